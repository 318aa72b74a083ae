"""Type names, modifiers and how types are shown."""

import pytest

from headwater.errors import FeatureNotSupported, InvalidParameterValue, UndefinedObject
from headwater.sql.parse.parser import parse_data_type
from headwater.sql.resolve.datatypes import resolve_type, show_type
from headwater.sql.resolve.names import NameResolver
from headwater.types.scalar import INT4, TEXT, BaseType, ScalarType, array_of, list_of, map_of
from tests.golden.plan.small_catalog import CATALOG


def resolve(text):
    return resolve_type(parse_data_type(text), NameResolver(CATALOG, ("public",), "materialize"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int", INT4),
        ("pg_catalog.int4", INT4),
        ("numeric(10, 2)", ScalarType(BaseType.NUMERIC, 2)),
        ("numeric(10)", ScalarType(BaseType.NUMERIC, 0)),
        ("numeric", ScalarType(BaseType.NUMERIC)),
        ("varchar(3)", ScalarType(BaseType.VARCHAR, 3)),
        ("char", ScalarType(BaseType.BPCHAR, 1)),
        ("char(4)", ScalarType(BaseType.BPCHAR, 4)),
        ("float(24)", ScalarType(BaseType.FLOAT4)),
        ("float(25)", ScalarType(BaseType.FLOAT8)),
        ("timestamp(3) with time zone", ScalarType(BaseType.TIMESTAMPTZ, 3)),
        ("int[][]", array_of(INT4)),
        ("_text", array_of(TEXT)),
        ("int list list", list_of(list_of(INT4))),
        ("map[text => int]", map_of(INT4)),
        ("ints", list_of(INT4)),
        ("public.ints", list_of(INT4)),
    ],
)
def test_resolved(text, expected):
    assert resolve(text) == expected


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("nosuch", UndefinedObject, 'type "nosuch" does not exist'),
        ("numeric(40)", InvalidParameterValue, "precision for type numeric must be between 1"),
        ("numeric(4, 5)", InvalidParameterValue, "scale for type numeric"),
        (
            "varchar(0)",
            InvalidParameterValue,
            "length for type character varying must be between 1",
        ),
        ("timestamp(7)", InvalidParameterValue, "timestamp or timestamptz must be between 0 and 6"),
        ("map[int => int]", FeatureNotSupported, "map keys must be of type text"),
    ],
)
def test_refused(text, error, message):
    with pytest.raises(error, match=message):
        resolve(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("int", "integer"),
        ("varchar(3)", "character varying(3)"),
        ("timestamptz(3)", "timestamp(3) with time zone"),
        ("numeric(10, 2)", "numeric(39,2)"),
        ("int4range", "int4range"),
        ("map[text => int list]", "map[text=>integer list]"),
        ("text[]", "text[]"),
    ],
)
def test_shown(text, shown):
    assert show_type(resolve(text), modifier=True) == shown
