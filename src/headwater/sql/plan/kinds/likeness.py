"""CREATE TABLE (LIKE other): the columns of another relation, written out.

As in PostgreSQL columns, types and NOT NULL are taken over, of tables also what INCLUDING names:
DEFAULTS, CONSTRAINTS (CHECK, under their names) and INDEXES (PRIMARY KEY and UNIQUE, under new
ones). What else PostgreSQL knows (GENERATED, STORAGE …) is nothing that a table has here.
"""

import msgspec

from headwater.catalog.items import CatalogItem, Table, relation_desc
from headwater.errors import WrongObjectType
from headwater.sql.ast.column import Constraint, ConstraintKind, LikeOption, TableColumn, TableLike
from headwater.sql.ast.ddl import CreateTable
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.ddl import TableColumn as PlannedColumn
from headwater.sql.plan.kinds.constraints import table_constraints
from headwater.sql.plan.statements import Notice
from headwater.sql.resolve.datatypes import show_type

replace = msgspec.structs.replace

_TAKEN = {
    ConstraintKind.DEFAULT: LikeOption.DEFAULTS,
    ConstraintKind.CHECK: LikeOption.CONSTRAINTS,
    ConstraintKind.PRIMARY_KEY: LikeOption.INDEXES,
    ConstraintKind.UNIQUE: LikeOption.INDEXES,
}


def with_likes(ctx: StatementContext, node: CreateTable) -> CreateTable:
    """Return the statement with what each LIKE stands for. Raises: WrongObjectType."""
    columns, constraints = list(node.columns), list(node.constraints)
    for like in reversed(node.likes):
        taken, more = _taken(ctx, like)
        columns[like.at : like.at] = taken
        constraints[:0] = more
    return replace(node, columns=tuple(columns), constraints=tuple(constraints), likes=())


def _taken(
    ctx: StatementContext, like: TableLike
) -> tuple[tuple[TableColumn, ...], tuple[Constraint, ...]]:
    before = dict(ctx.names.used)
    item = ctx.names.item(like.name)
    if item.id not in before:
        ctx.names.used.pop(item.id)  # the new table does not depend on it
    if LikeOption.COMMENTS in like.including and any(
        key.id == item.id for key in ctx.catalog.comments
    ):
        ctx.notices.append(Notice(f'comments on "{item.name}" are not taken over'))
    if isinstance(item, Table) and item.create_sql:
        statement = parse_statements(item.create_sql)[0].statement
        if isinstance(statement, CreateTable):
            return _of_table(ctx, item, statement, like)
    return _of_relation(item, like), ()


def _of_table(
    ctx: StatementContext, table: Table, statement: CreateTable, like: TableLike
) -> tuple[tuple[TableColumn, ...], tuple[Constraint, ...]]:
    # Only names and columns are looked at here; the new table's are planned in full later.
    desc = table.desc.only(table.shown)
    planned = [PlannedColumn(c.name, t) for c, t in zip(desc.columns, desc.types, strict=True)]
    named = table_constraints(ctx, table.name, planned, statement).node
    not_null = {column.name for column in desc.columns if not column.nullable}
    columns = []
    for column in named.columns:
        kept = _kept(column.constraints, like)
        if column.name in not_null:
            rest = (c for c in kept if c.kind is not ConstraintKind.NOT_NULL)
            kept = (*rest, Constraint(ConstraintKind.NOT_NULL))
        columns.append(replace(column, constraints=kept))
    return tuple(columns), _kept(named.constraints, like)


def _kept(constraints: tuple[Constraint, ...], like: TableLike) -> tuple[Constraint, ...]:
    kept = []
    for constraint in constraints:
        option = _TAKEN.get(constraint.kind)
        if option in like.including:
            is_key = option is LikeOption.INDEXES
            kept.append(replace(constraint, name=None) if is_key else constraint)
    return tuple(kept)


def _of_relation(item: CatalogItem, like: TableLike) -> tuple[TableColumn, ...]:
    desc = relation_desc(item)
    if desc is None:
        raise WrongObjectType(
            f'relation "{item.name}" is invalid in LIKE clause',
            detail=f"This operation is not supported for a {item.kind.noun}.",
            position=like.name.position,
        )
    columns = []
    for column in desc.columns:
        text = f"CREATE TABLE t (c {show_type(column.type)})"
        statement = parse_statements(text)[0].statement
        assert isinstance(statement, CreateTable)
        columns.append(replace(statement.columns[0], name=column.name))
    return tuple(columns)
