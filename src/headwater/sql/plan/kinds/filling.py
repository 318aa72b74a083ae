"""CREATE TABLE AS: a table that begins with the rows of a query."""

from headwater.catalog.items import ItemKind
from headwater.errors import DuplicateColumn, InvalidTableDefinition, SyntaxError_
from headwater.sql.ast import ddl as ast_ddl
from headwater.sql.ast.base import Node
from headwater.sql.ast.keywords import quote
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.ddl import CreateTableAsPlan, CreateTablePlan, TableColumn
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.reading import QUERIES
from headwater.sql.plan.kinds.stored import dependencies, new_path, no_parameters, path_parts
from headwater.sql.resolve.datatypes import show_type
from headwater.sql.resolve.names import check_identifier
from headwater.types.ids import GlobalId
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BaseType, ColumnType, ScalarType


def _create_table_as(ctx: StatementContext, node: ast_ddl.CreateTableAs) -> Outcome:
    """Plan it as PostgreSQL has it: columns are nullable, without keys or defaults."""
    path = new_path(ctx, node.name, temporary=node.temporary)
    query, found = QUERIES.subquery(ctx, node.query, None, {})
    no_parameters(ctx, "CREATE TABLE AS")
    if len(node.columns) > found.arity:
        raise SyntaxError_("too many column names were specified", position=node.position)
    names = (*node.columns, *found.names[len(node.columns) :])
    for at, name in enumerate(names):
        check_identifier(name, node.position)
        if name in names[:at]:
            raise DuplicateColumn(
                f'column "{name}" specified more than once', position=node.position
            )
    columns = tuple(
        Column(name, column.type) for name, column in zip(names, found.columns, strict=True)
    )
    shown = [f"{quote(c.name)} {_type_sql(ctx, c.type, c.name, node)}" for c in columns]
    kind = "TEMPORARY TABLE" if node.temporary or path.database is None else "TABLE"
    target = ".".join(quote(part) for part in path_parts(path))
    table = CreateTablePlan(
        path,
        RelationDesc(columns),
        tuple(TableColumn(c.name, ColumnType(c.type, nullable=True)) for c in columns),
        f"CREATE {kind} {target} ({', '.join(shown)})",
        tuple(id for id in dependencies(ctx) if _is_type(ctx, id)),
        node.if_not_exists,
        node.temporary or path.database is None,
    )
    return Outcome(CreateTableAsPlan(table, query))


def _is_type(ctx: StatementContext, id: GlobalId) -> bool:
    item = ctx.catalog.try_item(id)
    return item is not None and item.kind is ItemKind.TYPE


def _type_sql(ctx: StatementContext, type: ScalarType, column: str, node: Node) -> str:
    """Return a column's type as a stored statement names it.

    Raises: InvalidTableDefinition: It has no name.
    """
    if type.custom is not None:
        item = ctx.catalog.item(GlobalId(type.custom))
        ctx.names.use(item.id)
        name = ".".join(quote(part) for part in ctx.catalog.full_name(item))
        return f"[{item.id} AS {name}]"
    if type.base is BaseType.RECORD:
        raise InvalidTableDefinition(
            f'column "{column}" has pseudo-type record', position=node.position
        )
    if type.element is None or type.base is BaseType.RANGE:
        return show_type(type, modifier=True)
    inner = _type_sql(ctx, type.element, column, node)
    shapes = {BaseType.ARRAY: f"{inner}[]", BaseType.LIST: f"{inner} list"}
    return shapes.get(type.base, f"map[text => {inner}]")


HANDLERS: dict[type[Node], StatementHandler] = {ast_ddl.CreateTableAs: _create_table_as}
