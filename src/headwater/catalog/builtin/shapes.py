"""The shapes of the builtin relations, read from ``shapes.txt``: one truth for tables and views."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from headwater.errors import InternalError
from headwater.types import scalar
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BaseType, ScalarType, array_of, list_of, map_of

_MAP = "map[text=>"
LISTED: Mapping[str, int] = {
    "information_schema.columns": 11,
    "information_schema.schemata": 2,
    "information_schema.tables": 4,
}
"""How many columns ``*`` selects of relations that have more: Materialize's, as its users write
``SELECT *``. PostgreSQL's others, which tools name, follow them."""


def parse_type(text: str) -> ScalarType:
    """Return the type that a column's text names."""
    if text.endswith("[]"):
        return array_of(parse_type(text[:-2]))
    if text.endswith(" list"):
        return list_of(parse_type(text[: -len(" list")]))
    if text.startswith(_MAP):
        return map_of(parse_type(text[len(_MAP) : -1]))
    if text == '"char"':
        return scalar.CHAR
    return ScalarType(BaseType(text))


def parse_columns(text: str) -> RelationDesc:
    """Return the shape that ``name:type, name:type?`` describes."""
    columns = []
    for part in text.split(","):
        name, _, type_ = part.strip().partition(":")
        nullable = type_.endswith("?")
        columns.append(Column(name, parse_type(type_.removesuffix("?")), nullable))
    return RelationDesc(tuple(columns))


@lru_cache(maxsize=1)
def shapes() -> Mapping[str, RelationDesc]:
    """Return the shapes by ``schema.name``."""
    found: dict[str, str] = {}
    schema = name = ""
    for line in files(__package__).joinpath("shapes.txt").read_text().splitlines():
        if line.startswith("["):
            schema = line.strip("[]")
        elif line.startswith("    "):
            found[name] += f" {line.strip()}"
        elif line and not line.startswith("#"):
            bare, _, columns = line.partition("  ")
            name = f"{schema}.{bare}"
            found[name] = columns
    return {name: parse_columns(columns) for name, columns in found.items()}


def shape(schema: str, name: str) -> RelationDesc:
    """Return the shape of a builtin relation. Raises: InternalError (it has none)."""
    found = shapes().get(f"{schema}.{name}")
    if found is None:
        raise InternalError(f"builtin relation {schema}.{name} has no shape")
    return found
