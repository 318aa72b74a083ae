"""ALTER COLUMN … TYPE: what the column's values become.

Source: PostgreSQL, ``tablecmds.c``.
"""

from headwater.catalog.items import Table
from headwater.errors import DatatypeMismatch, FeatureNotSupported
from headwater.ir.functions import CastContext
from headwater.sql.ast import query as ast
from headwater.sql.ast.column import AlterColumnType
from headwater.sql.ast.visit import walk
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.ddl import TableColumn
from headwater.sql.plan.hir import HirScalar
from headwater.sql.plan.types import can_coerce, type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.sql.resolve.scope import Scope
from headwater.types.relation import RelationDesc


def conversion(
    ctx: StatementContext,
    table: Table,
    old: RelationDesc,
    column: TableColumn,
    action: AlterColumnType,
) -> HirScalar:
    """Return a column's new value over the columns ``old``: USING, else the column, cast.

    Raises: DatatypeMismatch, FeatureNotSupported for subqueries.
    """
    node = action.using or ast.Identifier(parts=(action.name,), position=action.position)
    if any(isinstance(part, ast.Query) for part in walk(node)):
        raise FeatureNotSupported(
            "cannot use subquery in transform expression", position=node.position
        )
    scope = Scope.of_relation(ctx.catalog.full_name(table), old, None)
    context = ExprContext(ctx, scope, {}, "transform expressions")
    expr = context.plan(node)
    target = column.type.type
    if can_coerce(type_of(expr).type, target, CastContext.ASSIGNMENT):
        return context.coerce(expr, target, node.position, CastContext.ASSIGNMENT)
    shown = show_type(target)
    if action.using is None:
        raise DatatypeMismatch(
            f'column "{action.name}" cannot be cast automatically to type {shown}',
            hint=f'You might need to specify "USING {action.name}::{shown}".',
            position=node.position,
        )
    raise DatatypeMismatch(
        f'result of USING clause for column "{action.name}"'
        f" cannot be cast automatically to type {shown}",
        hint="You might need to add an explicit cast.",
        position=node.position,
    )
