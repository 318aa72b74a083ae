"""Stored SQL as users read it: ``[u1 AS db.s.t]`` becomes the object's name of today."""

import msgspec

from headwater.catalog.snapshot import IMPLICIT_SCHEMAS, CatalogSnapshot
from headwater.sql.ast.base import NamedType, Node, ObjectName
from headwater.sql.ast.pretty import pretty
from headwater.sql.parse.parser import parse_statements
from headwater.types.ids import ClusterId, GlobalId


def readable(catalog: CatalogSnapshot, create_sql: str, *, redacted: bool = False) -> str:
    """Return a stored statement with a semicolon, on several lines where it is long.

    Names stand in place of ids, and those of types are qualified too.
    """
    statement = parse_statements(create_sql)[0].statement
    shown = _rename(catalog, statement)
    assert isinstance(shown, Node)
    return pretty(shown, redacted=redacted)


# The field of a statement that names a cluster; all other names are of items.
_CLUSTER_FIELD = "in_cluster"


def _rename(catalog: CatalogSnapshot, value: object, field: str = "") -> object:
    if isinstance(value, tuple):
        return tuple(_rename(catalog, item, field) for item in value)
    if not isinstance(value, Node):
        return value
    if isinstance(value, NamedType) and value.name.id is None and len(value.name.parts) == 1:
        return msgspec.structs.replace(value, name=_type_name(catalog, value.name))
    if isinstance(value, ObjectName):
        if value.id is None:
            return value
        if field == _CLUSTER_FIELD:
            cluster = catalog.clusters.get(ClusterId(value.id))
            parts = value.parts if cluster is None else (cluster.name,)
            return ObjectName(parts=parts, position=value.position)
        item = catalog.try_item(GlobalId(value.id))
        parts = value.parts if item is None else catalog.full_name(item)
        return ObjectName(parts=parts, position=value.position)
    changes = {}
    for field in value.__struct_fields__:
        old = getattr(value, field)
        if isinstance(old, tuple | Node):
            new = _rename(catalog, old, field)
            if new != old:
                changes[field] = new
    return msgspec.structs.replace(value, **changes) if changes else value


def _type_name(catalog: CatalogSnapshot, name: ObjectName) -> ObjectName:
    """Return the full name of a builtin type; other types' names are stored in full."""
    for schema in IMPLICIT_SCHEMAS:
        found = catalog.try_schema(schema, None)
        if found is not None and catalog.type_in(found.id, name.last) is not None:
            return ObjectName(parts=(schema, name.last), position=name.position)
    return name
