"""ALTER … RENAME COLUMN of tables, views and materialized views.

The relation's own statement is rewritten here. Statements that read it go on to call the column by
its old name: they are rewritten when the statement runs (``adapter.sequencer.rename_column``).
"""

from collections.abc import Callable

import msgspec

from headwater.catalog.items import CatalogItem, MaterializedView, Table, View, relation_desc
from headwater.errors import DuplicateColumn, UndefinedColumn, WrongObjectType
from headwater.sql.ast import ddl as ast_ddl
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.column import Constraint, TableColumn
from headwater.sql.ast.option import Option
from headwater.sql.ast.printer import to_sql
from headwater.sql.ast.query import Identifier
from headwater.sql.ast.visit import transform
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.ddl import AlterNoopPlan, AlterRenameColumnPlan
from headwater.sql.plan.kinds.altering import check_not_system, object_type, try_object
from headwater.sql.plan.kinds.constraints import table_constraints
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.relations import table_columns
from headwater.sql.resolve.names import check_identifier
from headwater.types.ids import GlobalId
from headwater.types.relation import RelationDesc

replace = msgspec.structs.replace

# Options of relations whose values are columns of theirs.
_OF_COLUMNS = frozenset({"partition by", "assert not null"})


def _rename_column(ctx: StatementContext, node: ast_ddl.AlterRenameColumn) -> Outcome:
    ref = try_object(ctx, node.kind, node.name, if_exists=node.if_exists)
    if ref is None:
        return Outcome(AlterNoopPlan(object_type(node.kind)))
    check_not_system(ctx, ref, node.name.position)
    check_identifier(node.new_name, node.position)
    item = ctx.catalog.item(GlobalId(ref.id))
    desc = relation_desc(item)
    if desc is None or not _is_renamable(item):
        raise WrongObjectType(
            f'columns of "{item.name}" cannot be renamed: something else names them',
            position=node.name.position,
        )
    if node.column not in desc.names:
        raise UndefinedColumn(f'column "{node.column}" does not exist', position=node.position)
    if node.new_name in desc.names:
        raise DuplicateColumn(
            f'column "{node.new_name}" of relation "{item.name}" already exists',
            position=node.position,
        )
    sql = _renamed(ctx, item, desc, (node.column, node.new_name))
    column = desc.names.index(node.column)
    return Outcome(AlterRenameColumnPlan(ref, column, node.new_name, sql))


def _is_renamable(item: CatalogItem) -> bool:
    if isinstance(item, Table):
        return item.is_writable
    return isinstance(item, View | MaterializedView)


def _renamed(
    ctx: StatementContext, item: CatalogItem, desc: RelationDesc, names: tuple[str, str]
) -> str:
    """Return the statement that makes the relation with its column of a new name."""
    (parsed,) = parse_statements(item.create_sql)
    statement = parsed.statement
    old, new = names
    change = _renaming(old, new)
    if isinstance(statement, ast_ddl.CreateTable):
        # Constraints keep the names that they have from the column's old one.
        planned = table_columns(ctx, item.name, statement.columns)
        named = table_constraints(ctx, item.name, planned, statement).node
        return to_sql(transform(named, change))
    assert isinstance(statement, ast_ddl.CreateView | ast_ddl.CreateMaterializedView)
    columns = tuple(new if name == old else name for name in desc.names)
    statement = replace(statement, columns=columns)
    if isinstance(statement, ast_ddl.CreateMaterializedView):
        options = tuple(transform(option, change) for option in statement.options)
        statement = replace(statement, options=options)
    return to_sql(statement)


def _renaming(old: str, new: str) -> Callable[[Node], Node]:
    """Return what changes a column's name wherever a table's statement has it."""

    def in_option(node: Node) -> Node:
        if isinstance(node, ObjectName) and node.parts == (old,):
            return replace(node, parts=(new,))
        return node

    def change(node: Node) -> Node:
        match node:
            case TableColumn(name=name) if name == old:
                return replace(node, name=new)
            case Constraint(columns=columns) if old in columns:
                return replace(node, columns=tuple(new if c == old else c for c in columns))
            case Identifier(parts=parts) if parts[-1] == old:
                return replace(node, parts=(*parts[:-1], new))
            case Option(name=name) if name in _OF_COLUMNS:
                return transform(node, in_option)
        return node

    return change


HANDLERS: dict[type[Node], StatementHandler] = {ast_ddl.AlterRenameColumn: _rename_column}
