"""Statements as the catalog stores them, changed by ALTER."""

from collections.abc import Callable, Collection, Sequence

import msgspec

from headwater.catalog.items import Cluster
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.ddl import CreateIndex
from headwater.sql.ast.printer import to_sql
from headwater.sql.ast.query import Identifier, QualifiedWildcard, TableAlias, TableRef
from headwater.sql.ast.visit import transform
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

    def change(node: Node) -> Node:
        if isinstance(node, ObjectName) and node.id == id and node.version is None:
            return replace(node, version=version)
        return node

    return to_sql(transform(parsed.statement, change))


def with_columns_named(
    create_sql: str, id: GlobalId, path: Sequence[str], names: Callable[[int | None], Sequence[str]]
) -> str:
    """Return a view's statement that calls the columns of relation ``id`` by ``names``.

    These depend on the version of the relation that is meant. The relation gets an alias, if it has
    none, with the columns' names; its whole name ``path`` can't stand before a column then.
    """
    (parsed,) = parse_statements(create_sql)
    aliased = False

    def change(node: Node) -> Node:
        nonlocal aliased
        if not isinstance(node, TableRef) or node.name.id != id:
            return node
        given = () if node.alias is None else node.alias.columns
        wanted = tuple(names(node.name.version))
        aliased = aliased or node.alias is None
        alias = node.alias or TableAlias(node.name.last)
        return replace(node, alias=replace(alias, columns=(*given, *wanted[len(given) :])))

    def shortened(node: Node) -> Node:
        if not isinstance(node, Identifier | QualifiedWildcard):
            return node
        rest = 1 if isinstance(node, Identifier) else 0
        qualifier = node.parts[: len(node.parts) - rest]
        if len(qualifier) < 2 or tuple(path[-len(qualifier) :]) != qualifier:
            return node
        return replace(node, parts=node.parts[len(qualifier) - 1 :])

    statement = transform(parsed.statement, change)
    return to_sql(transform(statement, shortened) if aliased else statement)


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


def without_columns(
    create_sql: str, id: GlobalId, gone: Callable[[int | None], Collection[int]]
) -> str:
    """Return a view's statement whose alias of relation ``id`` names no column that has ``gone``.

    Which those are, by their numbers from 0, depends on the version of the relation that is meant.
    """
    (parsed,) = parse_statements(create_sql)

    def change(node: Node) -> Node:
        if not isinstance(node, TableRef) or node.name.id != id or node.alias is None:
            return node
        numbers = gone(node.name.version)
        left = (name for at, name in enumerate(node.alias.columns) if at not in numbers)
        return replace(node, alias=replace(node.alias, columns=tuple(left)))

    return to_sql(transform(parsed.statement, change))


def with_key_column_named(create_sql: str, old: str, new: str) -> str:
    """Return an index's statement whose key calls column ``old`` of its relation ``new``."""
    (parsed,) = parse_statements(create_sql)
    statement = parsed.statement
    assert isinstance(statement, CreateIndex)

    def change(node: Node) -> Node:
        if isinstance(node, Identifier) and node.parts[-1] == old:
            return replace(node, parts=(*node.parts[:-1], new))
        return node

    keys = tuple(transform(key, change) for key in statement.keys or ())
    return to_sql(replace(statement, keys=keys or None))
