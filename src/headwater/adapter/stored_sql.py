"""Statements as the catalog stores them, changed by ALTER."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from headwater.catalog.items import Cluster
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.printer import to_sql
from headwater.sql.parse.parser import parse_statements
from headwater.types.ids import GlobalId

replace = msgspec.structs.replace


# The field of a statement that names a cluster; all other names are of items.
_CLUSTER_FIELD = "in_cluster"


def with_cluster(create_sql: str, cluster: Cluster) -> str:
    """Return a CREATE statement whose IN CLUSTER names ``cluster``."""
    (parsed,) = parse_statements(create_sql)
    statement: Node = parsed.statement
    if _CLUSTER_FIELD not in statement.__struct_fields__:
        return create_sql
    name = ObjectName(parts=(cluster.name,), id=cluster.id)
    return to_sql(replace(statement, **{_CLUSTER_FIELD: name}))


def with_version(create_sql: str, id: GlobalId, version: int) -> str:
    """Return a statement that means item ``id`` as of ``version`` where it says no other."""
    if not create_sql:
        return create_sql
    (parsed,) = parse_statements(create_sql)
    return to_sql(_versioned(parsed.statement, id, version))


N = TypeVar("N")


def _versioned(value: N, id: GlobalId, version: int) -> N:
    if isinstance(value, tuple):
        return tuple(_versioned(item, id, version) for item in value)  # type: ignore[return-value]
    if isinstance(value, ObjectName):
        if value.id == id and value.version is None:
            return replace(value, version=version)
        return value
    if not isinstance(value, Node):
        return value
    changes = {}
    for field in value.__struct_fields__:
        old = getattr(value, field)
        if isinstance(old, tuple | Node):
            changes[field] = _versioned(old, id, version)
    return replace(value, **changes)


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
