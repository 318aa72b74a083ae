"""Statements as the catalog stores them, changed by ALTER."""

from collections.abc import Callable

import msgspec

from headwater.catalog.items import Cluster
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.printer import to_sql
from headwater.sql.parse.parser import parse_statements

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
