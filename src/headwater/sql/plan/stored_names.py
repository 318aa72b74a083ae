"""Stored SQL as users read it: ``[u1 AS db.s.t]`` becomes the object's name of today."""

import msgspec

from headwater.catalog.snapshot import CatalogSnapshot
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.printer import to_sql
from headwater.sql.parse.parser import parse_statements
from headwater.types.ids import ClusterId, GlobalId


def readable(catalog: CatalogSnapshot, create_sql: str, *, redacted: bool = False) -> str:
    """Return a stored statement with names in place of ids."""
    statement = parse_statements(create_sql)[0].statement
    shown = _rename(catalog, statement)
    assert isinstance(shown, Node)
    return to_sql(shown, redacted=redacted)


# The field of a statement that names a cluster; all other names are of items.
_CLUSTER_FIELD = "in_cluster"


def _rename(catalog: CatalogSnapshot, value: object, field: str = "") -> object:
    if isinstance(value, tuple):
        return tuple(_rename(catalog, item, field) for item in value)
    if not isinstance(value, Node):
        return value
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
