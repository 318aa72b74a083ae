"""What all statements that write have in common: their table, its columns, values for them."""

from collections.abc import Sequence
from functools import lru_cache

from headwater.catalog.items import Table
from headwater.errors import (
    DatatypeMismatch,
    DuplicateColumn,
    FeatureNotSupported,
    SyntaxError_,
    UndefinedColumn,
    WrongObjectType,
)
from headwater.ir.functions import CastContext
from headwater.ir.literals import null_literal
from headwater.ir.relation import RowSetFinishing
from headwater.sql.ast import ddl as ast_ddl
from headwater.sql.ast import dml
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import ObjectName
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan.coerce import get_field
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.hir import (
    ColumnRef,
    HirMap,
    HirProject,
    HirRelation,
    HirScalar,
    ScalarSubquery,
)
from headwater.sql.plan.queries.naming import column_name
from headwater.sql.plan.scalars.rows import as_record, record_type
from headwater.sql.plan.statements import ReturningPlan
from headwater.sql.plan.types import can_coerce, type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.sql.resolve.location import location
from headwater.sql.resolve.scope import Scope
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import ColumnType

_TABLE_TEXTS_CACHED_MAX = 1_000


def writable(ctx: StatementContext, name: ObjectName, verb: str) -> Table:
    """Return the table that a statement writes. Raises: WrongObjectType."""
    item = ctx.names.item(name)
    if isinstance(item, Table) and item.is_writable:
        return item
    noun = "system table" if isinstance(item, Table) and item.is_builtin else item.kind.noun
    raise WrongObjectType(
        f"cannot {verb} {noun} '{ctx.catalog.show_item(item)}'", position=name.position
    )


def target_scope(ctx: StatementContext, table: Table, alias: str | None) -> Scope:
    """Return the scope of a statement's table: its full name, or the alias that hides it."""
    path, relation = ctx.catalog.full_name(table), None
    if alias is not None:
        path, relation = (alias,), table.name
    return Scope.of_relation(path, table.desc, None, relation=relation, shown=table.shown)


def assign(ctx: ExprContext, table: Table, index: int, expr: HirScalar, position: int) -> HirScalar:
    """Return ``expr`` as a value of the table's column. Raises: DatatypeMismatch."""
    column = table.desc.columns[index]
    found = type_of(expr).type
    if not can_coerce(found, column.type, CastContext.ASSIGNMENT):
        raise DatatypeMismatch(
            f'column "{column.name}" is of type {show_type(column.type)}'
            f" but expression is of type {show_type(found)}",
            hint="You will need to rewrite or cast the expression.",
            position=position,
        )
    return ctx.coerce(expr, column.type, position, CastContext.ASSIGNMENT)


def default_of(ctx: StatementContext, table: Table, index: int) -> HirScalar:
    """Return the value that a column has where none is given."""
    column = table.desc.columns[index]
    node = _defaults(table.create_sql).get(column.name)
    context = ExprContext(ctx, Scope.empty(), {}, "DEFAULT expressions")
    if node is None:
        return null_literal(column.type)
    expr = context.plan(node)
    return context.coerce(expr, column.type, 0, CastContext.ASSIGNMENT)


@lru_cache(maxsize=_TABLE_TEXTS_CACHED_MAX)
def _defaults(create_sql: str) -> dict[str, ast.Expr]:
    """Return the DEFAULT expressions of a table's statement by column."""
    if not create_sql:
        return {}
    statement = parse_statements(create_sql)[0].statement
    if not isinstance(statement, ast_ddl.CreateTable):
        return {}
    found: dict[str, ast.Expr] = {}
    for column in statement.columns:
        for constraint in column.constraints:
            is_default = constraint.kind is ast_ddl.ConstraintKind.DEFAULT
            if is_default and constraint.expression is not None:
                found[column.name] = constraint.expression
    return found


def _by_name(table: Table) -> dict[str, int]:
    """Return the places of a table's columns in its rows."""
    return {table.desc.columns[place].name: place for place in table.shown}


def targets_of(table: Table, names: Sequence[str], position: int) -> list[int]:
    """Return the columns that an INSERT names, all where it names none."""
    if not names:
        return list(table.shown)
    by_name = _by_name(table)
    found: list[int] = []
    for name in names:
        if name not in by_name:
            raise UndefinedColumn(
                f'column "{name}" of relation "{table.name}" does not exist', position=position
            )
        if by_name[name] in found:
            raise DuplicateColumn(f'column "{name}" specified more than once', position=position)
        found.append(by_name[name])
    return found


def identity(arity: int) -> RowSetFinishing:
    """Return the finishing that changes nothing."""
    return RowSetFinishing((), None, 0, tuple(range(arity)))


def with_returning(
    ctx: StatementContext,
    relation: HirRelation,
    scope: Scope,
    items: Sequence[ast.SelectItem],
    arity: int,
) -> tuple[HirRelation, ReturningPlan]:
    """Append RETURNING's columns, over ``scope``, to a relation of ``arity`` columns."""
    context = ExprContext(ctx, scope, {}, "RETURNING clause")
    columns: list[Column] = []
    exprs: list[HirScalar] = []
    for item in items:
        node = item.expression
        if isinstance(node, ast.Wildcard | ast.QualifiedWildcard):
            for name, index in _starred(scope, node):
                of = scope.columns[index].type
                columns.append(Column(name, of.type, of.nullable))
                exprs.append(ColumnRef(0, index, of, name))
            continue
        expr = context.plan_typed(node)
        found_type = type_of(expr)
        name = item.alias or column_name(node)
        columns.append(Column(name, found_type.type, found_type.nullable))
        exprs.append(expr)
    outputs = list(range(arity))
    mapped: list[HirScalar] = []
    for expr in exprs:
        if isinstance(expr, ColumnRef) and expr.level == 0:
            outputs.append(expr.index)
        else:
            outputs.append(len(scope.columns) + len(mapped))
            mapped.append(expr)
    if mapped:
        relation = HirMap(relation, tuple(mapped))
    return HirProject(relation, tuple(outputs)), ReturningPlan(RelationDesc(tuple(columns)))


def _starred(scope: Scope, node: ast.Wildcard | ast.QualifiedWildcard) -> Sequence[tuple[str, int]]:
    """Return the columns that ``*`` and ``t.*`` stand for. Raises: UndefinedTable."""
    if isinstance(node, ast.Wildcard):
        return [(scope.columns[index].name, index) for index in scope.star]
    table = scope.table(node.parts, node.position)
    if table is None:
        raise scope.missing_table(node.parts[-1], node.position)
    return table.columns


def assigned(
    ctx: StatementContext, table: Table, scope: Scope, assignments: Sequence[dml.Assignment]
) -> list[HirScalar]:
    """Return the new value of every column."""
    by_name = _by_name(table)
    context = ExprContext(ctx, scope, {}, "UPDATE")
    new: dict[int, HirScalar] = {}
    for assignment in assignments:
        targets = []
        for name in assignment.columns:
            if name not in by_name:
                raise UndefinedColumn(
                    f'column "{name}" of relation "{table.name}" does not exist',
                    position=assignment.position,
                )
            if by_name[name] in new or by_name[name] in targets:
                raise SyntaxError_(
                    f'multiple assignments to same column "{name}"', position=assignment.position
                )
            targets.append(by_name[name])
        for index, value in _values_of(ctx, context, table, targets, assignment):
            new[index] = value
    return [
        new[index] if index in new else ColumnRef(0, index, type, name)
        for index, (type, name) in enumerate(zip(table.desc.types, table.desc.names, strict=True))
    ]


def _values_of(
    ctx: StatementContext,
    context: ExprContext,
    table: Table,
    targets: list[int],
    assignment: dml.Assignment,
) -> list[tuple[int, HirScalar]]:
    node = assignment.value
    if len(targets) == 1 and not isinstance(node, ast.Row):
        nodes: tuple[ast.Expr, ...] = (node,)
    elif isinstance(node, ast.Row):
        nodes = node.items
    elif isinstance(node, ast.Subquery):
        relation, desc = ctx.queries.subquery(ctx, node.query, context.scope, context.ctes)
        if desc.arity != len(targets):
            raise SyntaxError_(
                "number of columns does not match number of values", position=node.position
            )
        row = ScalarSubquery(as_record(relation, desc), ColumnType(record_type(desc), True))
        return [
            (index, assign(context, table, index, get_field(row, number), node.position))
            for number, index in enumerate(targets)
        ]
    else:
        raise FeatureNotSupported(
            "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
            position=node.position,
        )
    if len(nodes) != len(targets):
        raise SyntaxError_(
            "number of columns does not match number of values", position=node.position
        )
    found = []
    for index, item in zip(targets, nodes, strict=True):
        if isinstance(item, ast.Default):
            found.append((index, default_of(ctx, table, index)))
        else:
            found.append((index, assign(context, table, index, context.plan(item), location(item))))
    return found
