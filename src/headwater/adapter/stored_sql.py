"""Statements as the catalog stores them, changed by rename and shown to users."""

from collections.abc import Callable

import msgspec

from headwater.catalog.items import Cluster
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.printer import to_sql
from headwater.sql.parse.parser import parse_statements
from headwater.types.ids import ClusterId, GlobalId

replace = msgspec.structs.replace


# The field of a statement that names a cluster; all other names are of items.
_CLUSTER_FIELD = "in_cluster"


def map_names(
    value: object, change: Callable[[ObjectName, str], ObjectName], field: str = ""
) -> object:
    """Return a tree with every object name put through ``change``, with the field it stands in."""
    if isinstance(value, ObjectName):
        return change(value, field)
    if isinstance(value, tuple):
        items = tuple(map_names(item, change, field) for item in value)
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    if not isinstance(value, Node):
        return value
    changes = {}
    for name in value.__struct_fields__:
        old = getattr(value, name)
        if isinstance(old, tuple | Node):
            new = map_names(old, change, name)
            if new is not old:
                changes[name] = new
    return replace(value, **changes) if changes else value


def shown_sql(snapshot: CatalogSnapshot, create_sql: str) -> str:
    """Return a stored statement as users read it: full names in place of ``[id AS name]``."""
    if not create_sql:
        return create_sql
    (parsed,) = parse_statements(create_sql)

    def visible(name: ObjectName, field: str) -> ObjectName:
        if name.id is None:
            return name
        if field == _CLUSTER_FIELD:
            cluster = snapshot.clusters.get(ClusterId(name.id))
            return replace(name, id=None, parts=name.parts if cluster is None else (cluster.name,))
        item = snapshot.try_item(GlobalId(name.id))
        parts = name.parts if item is None else snapshot.full_name(item)
        return replace(name, id=None, parts=parts)

    shown = map_names(parsed.statement, visible)
    assert isinstance(shown, Node)
    return f"{to_sql(shown)};"


def with_cluster(create_sql: str, cluster: Cluster) -> str:
    """Return a CREATE statement whose IN CLUSTER names ``cluster``."""
    (parsed,) = parse_statements(create_sql)
    statement: Node = parsed.statement
    if _CLUSTER_FIELD not in statement.__struct_fields__:
        return create_sql
    name = ObjectName(parts=(cluster.name,), id=cluster.id)
    return to_sql(replace(statement, **{_CLUSTER_FIELD: name}))


def with_name(create_sql: str, parts: Callable[[tuple[str, ...]], tuple[str, ...]]) -> str:
    """Return a CREATE statement with what it makes named ``parts`` of the old name."""
    if not create_sql:
        return create_sql
    (parsed,) = parse_statements(create_sql)
    statement: Node = parsed.statement
    old = getattr(statement, "name", None)
    if isinstance(old, ObjectName):
        statement = replace(statement, name=replace(old, parts=parts(old.parts)))
    elif isinstance(old, str):
        statement = replace(statement, name=parts((old,))[-1])
    return to_sql(statement)
