"""Window functions and aggregates with OVER."""

from headwater.errors import FeatureNotSupported, UndefinedObject, WindowingError, WrongObjectType
from headwater.ir.functions import FunctionKind, Signature
from headwater.ir.scalar import ColumnOrder
from headwater.sql.ast import query as ast
from headwater.sql.plan.calls import choose_function, convey
from headwater.sql.plan.context import ExprContext
from headwater.sql.plan.hir import HirScalar, WindowCall
from headwater.sql.plan.overload import Choice
from headwater.sql.plan.scalars.aggregates import (
    aggregate_arguments,
    aggregate_input,
    expand,
    order_keys,
)
from headwater.sql.plan.scalars.frames import plan_frame
from headwater.sql.plan.scalars.subqueries import condition
from headwater.sql.plan.types import type_of
from headwater.types.scalar import ColumnType

_TAKES_NULLS = frozenset({"lag", "lead", "first_value", "last_value", "nth_value"})


def plan_window(
    ctx: ExprContext, node: ast.Function, name: str, overloads: tuple[Signature, ...]
) -> HirScalar:
    """Plan a call with OVER. Raises: WindowingError, WrongObjectType, FeatureNotSupported."""
    if not ctx.windows:
        raise ctx.refuse_window(name, node.position)
    kind = overloads[0].kind
    if kind not in (FunctionKind.AGGREGATE, FunctionKind.WINDOW):
        raise WrongObjectType(
            f"OVER specified, but {name} is not a window function nor an aggregate function",
            position=node.position,
        )
    _refuse(node, name, kind)
    inner = ctx.inside_window()
    spec = _spec(ctx, node)
    partition_by = tuple(inner.plan_typed(expr) for expr in spec.partition_by)
    order_by = tuple(_order_key(inner, item) for item in spec.order_by)
    frame, order_by = plan_frame(inner, spec, order_by)
    ignore_nulls = node.nulls is ast.Nulls.IGNORE
    keep = None if node.filter is None else condition(inner, node.filter, "FILTER")
    inner_order = order_keys(inner, node)

    def make(choice: Choice, args: tuple[HirScalar, ...]) -> HirScalar:
        signature = choice.signature
        order: tuple[ColumnOrder, ...] = ()
        if kind is FunctionKind.AGGREGATE:
            expr, order = aggregate_input(signature, args, inner_order)
            args = (expr,)
        assert choice.result is not None
        nullable = kind is FunctionKind.AGGREGATE or bool(signature.args)
        nullable = nullable and signature.name != "count"
        # The table's kernels of window functions carry argument types; the name alone tells them.
        func = signature.name if kind is FunctionKind.WINDOW else signature.kernel
        return WindowCall(
            func,
            args,
            partition_by,
            order_by,
            frame,
            ignore_nulls,
            ColumnType(choice.result, nullable),
            keep,
            order,
        )

    args = aggregate_arguments(inner, node, name)
    if kind is FunctionKind.AGGREGATE:
        return expand(inner, node, name, overloads, args, make)
    exprs, positions = [arg for arg, _ in args], [position for _, position in args]
    choice = choose_function(name, tuple(type_of(e).type for e in exprs), node.position)
    return make(choice, convey(inner, choice, exprs, positions))


def _refuse(node: ast.Function, name: str, kind: FunctionKind) -> None:
    if node.distinct:
        raise FeatureNotSupported(
            "DISTINCT is not implemented for window functions", position=node.position
        )
    if node.order_by and kind is not FunctionKind.AGGREGATE:
        raise FeatureNotSupported(
            "ORDER BY is not implemented for non-aggregate window functions", position=node.position
        )
    if node.filter is not None and kind is not FunctionKind.AGGREGATE:
        raise FeatureNotSupported(
            "FILTER is not implemented for non-aggregate window functions", position=node.position
        )
    if node.nulls is not None and name not in _TAKES_NULLS:
        raise FeatureNotSupported(
            f"{node.nulls.value} NULLS is not supported for {name}", position=node.position
        )


def _spec(ctx: ExprContext, node: ast.Function) -> ast.WindowSpec:
    """Return the window of OVER, names of the WINDOW clause put in."""
    over = node.over
    if isinstance(over, str):
        return _named(ctx, over, node.position)
    assert over is not None
    if over.base is None:
        return over
    base = _named(ctx, over.base, node.position)
    if over.partition_by:
        raise WindowingError(
            f'cannot override PARTITION BY clause of window "{over.base}"', position=node.position
        )
    if over.order_by and base.order_by:
        raise WindowingError(
            f'cannot override ORDER BY clause of window "{over.base}"', position=node.position
        )
    if base.frame is not None:
        raise WindowingError(
            f'cannot copy window "{over.base}" because it has a frame clause',
            position=node.position,
        )
    return ast.WindowSpec(
        partition_by=base.partition_by,
        order_by=over.order_by or base.order_by,
        frame=over.frame,
        position=over.position,
    )


def _named(ctx: ExprContext, name: str, position: int) -> ast.WindowSpec:
    spec = None if ctx.named_windows is None else ctx.named_windows.get(name)
    if spec is None:
        raise UndefinedObject(f'window "{name}" does not exist', position=position)
    return spec


def _order_key(ctx: ExprContext, item: ast.OrderItem) -> tuple[HirScalar, bool, bool]:
    nulls_first = item.descending if item.nulls_first is None else item.nulls_first
    return ctx.plan_typed(item.expression), item.descending, not nulls_first
