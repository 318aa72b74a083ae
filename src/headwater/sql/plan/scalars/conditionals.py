"""CASE, COALESCE, GREATEST, LEAST, NULLIF."""

from collections.abc import Sequence

from headwater.ir.functions import lookup_syntax
from headwater.ir.literals import null_literal
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node
from headwater.sql.plan.calls import call_operator
from headwater.sql.plan.coerce import require_bool
from headwater.sql.plan.context import ExprContext, Handler
from headwater.sql.plan.hir import HirCall, HirIf, HirScalar
from headwater.sql.plan.types import common_type, type_of
from headwater.sql.resolve.location import location
from headwater.types.scalar import UNKNOWN, ColumnType


def _case(ctx: ExprContext, node: ast.Case) -> HirScalar:
    conditions: list[HirScalar] = []
    results: list[HirScalar] = []
    operand = None if node.operand is None else ctx.plan(node.operand)
    for branch in node.branches:
        condition = ctx.plan(branch.condition)
        if operand is None or node.operand is None:
            at = location(branch.condition)
            condition = require_bool(condition, "CASE/WHEN", ctx.statement, at)
        else:
            positions = (node.operand.position, branch.condition.position)
            at = branch.condition.position
            condition = call_operator(ctx, "=", (operand, condition), positions, at)
        conditions.append(condition)
        results.append(ctx.plan(branch.result))
    otherwise = null_literal(UNKNOWN) if node.otherwise is None else ctx.plan(node.otherwise)
    positions_of = [location(branch.result) for branch in node.branches]
    positions_of.append(node.position if node.otherwise is None else location(node.otherwise))
    # PostgreSQL looks at ELSE first; that order shows in the error's text.
    types = [type_of(expr).type for expr in (otherwise, *results)]
    at = _first_clash(types, [positions_of[-1], *positions_of[:-1]])
    target = common_type(types, "CASE", at)
    expr = ctx.coerce(otherwise, target, positions_of[-1])
    branches = list(zip(conditions, results, positions_of, strict=False))
    for condition, result, position in reversed(branches):
        expr = HirIf(condition, ctx.coerce(result, target, position), expr)
    return expr


def _first_clash(types: Sequence[object], positions: Sequence[int]) -> int:
    """Return where the second of the first two different known types stands."""
    known = [(t, p) for t, p in zip(types, positions, strict=True) if t != UNKNOWN]
    return next((p for t, p in known if t != known[0][0]), 0)


def unify(
    ctx: ExprContext, nodes: Sequence[ast.Expr], exprs: Sequence[HirScalar], construct: str
) -> list[HirScalar]:
    """Return the expressions coerced to their common type."""
    types = [type_of(expr).type for expr in exprs]
    positions = [location(node) for node in nodes]
    target = common_type(types, construct, _first_clash(types, positions))
    return [
        ctx.coerce(expr, target, position) for expr, position in zip(exprs, positions, strict=True)
    ]


def _coalesce(ctx: ExprContext, node: ast.Coalesce) -> HirScalar:
    items = unify(ctx, node.items, [ctx.plan(item) for item in node.items], "coalesce")
    if len(items) == 1:
        return items[0]
    kernel = lookup_syntax("coalesce").kernel
    nullable = all(type_of(item).nullable for item in items)
    return HirCall(kernel, tuple(items), ColumnType(type_of(items[0]).type, nullable))


def _extreme(name: str) -> Handler:
    def plan(ctx: ExprContext, node: ast.Greatest | ast.Least) -> HirScalar:
        items = unify(ctx, node.items, [ctx.plan(item) for item in node.items], name)
        nullable = all(type_of(item).nullable for item in items)
        kernel = lookup_syntax(name).kernel
        return HirCall(kernel, tuple(items), ColumnType(type_of(items[0]).type, nullable))

    return plan


def _nullif(ctx: ExprContext, node: ast.NullIf) -> HirScalar:
    left, right = ctx.plan(node.left), ctx.plan(node.right)
    positions = (node.left.position, node.right.position)
    compared = call_operator(ctx, "=", (left, right), positions, node.position)
    if type_of(left).type.base is UNKNOWN.base and isinstance(compared, HirCall):
        left = compared.args[0]
    # The result is the left value as it was, whatever type it was compared as.
    return HirIf(compared, null_literal(type_of(left).type), left)


HANDLERS: dict[type[Node], Handler] = {
    ast.Case: _case,
    ast.Coalesce: _coalesce,
    ast.Greatest: _extreme("greatest"),
    ast.Least: _extreme("least"),
    ast.NullIf: _nullif,
}
