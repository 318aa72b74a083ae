"""Window functions and aggregates with OVER."""

from headwater.errors import (
    FeatureNotSupported,
    InvalidParameterValue,
    UndefinedObject,
    WindowingError,
    WrongObjectType,
)
from headwater.ir.functions import FunctionKind, Signature
from headwater.ir.literals import TRUE, is_null, literal_int, null_literal
from headwater.ir.scalar import Literal
from headwater.sql.ast import query as ast
from headwater.sql.plan.calls import choose_function, convey
from headwater.sql.plan.context import ExprContext
from headwater.sql.plan.frames import DEFAULT_FRAME
from headwater.sql.plan.hir import (
    FrameBound,
    FrameBoundKind,
    FrameUnits,
    HirIf,
    HirScalar,
    WindowCall,
    WindowFrame,
)
from headwater.sql.plan.overload import Choice
from headwater.sql.plan.scalars.aggregates import aggregate_arguments, expand
from headwater.sql.plan.scalars.subqueries import condition
from headwater.sql.plan.types import type_of
from headwater.types.scalar import INT8, ColumnType

_BOUND_KINDS = {
    ast.FrameBoundKind.UNBOUNDED_PRECEDING: FrameBoundKind.UNBOUNDED_PRECEDING,
    ast.FrameBoundKind.PRECEDING: FrameBoundKind.PRECEDING,
    ast.FrameBoundKind.CURRENT_ROW: FrameBoundKind.CURRENT_ROW,
    ast.FrameBoundKind.FOLLOWING: FrameBoundKind.FOLLOWING,
    ast.FrameBoundKind.UNBOUNDED_FOLLOWING: FrameBoundKind.UNBOUNDED_FOLLOWING,
}
_ORDER_OF_BOUNDS = list(_BOUND_KINDS.values())
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
    frame = DEFAULT_FRAME if spec.frame is None else _frame(inner, spec)
    ignore_nulls = node.nulls is ast.Nulls.IGNORE
    keep = None if node.filter is None else condition(inner, node.filter, "FILTER")

    def make(choice: Choice, args: tuple[HirScalar, ...]) -> HirScalar:
        if keep is not None:
            first: HirScalar = args[0] if args else TRUE
            args = (HirIf(keep, first, null_literal(type_of(first).type)), *args[1:])
        signature = choice.signature
        if kind is FunctionKind.AGGREGATE and not args:
            args = (TRUE,)
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
    if node.order_by:
        raise FeatureNotSupported(
            "aggregate ORDER BY is not implemented for window functions", position=node.position
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


def _frame(ctx: ExprContext, spec: ast.WindowSpec) -> WindowFrame:
    frame = spec.frame
    assert frame is not None
    if frame.exclusion not in (None, ast.FrameExclusion.NO_OTHERS):
        raise FeatureNotSupported("frame exclusion is not supported", position=frame.position)
    units = FrameUnits(frame.unit.value.lower())
    start = _bound(ctx, frame.start, units)
    if frame.end is None:
        end = FrameBound(FrameBoundKind.CURRENT_ROW)
    else:
        end = _bound(ctx, frame.end, units)
    _check_frame(start, end, frame.position)
    if units is FrameUnits.GROUPS and not spec.order_by:
        raise WindowingError("GROUPS mode requires an ORDER BY clause", position=frame.position)
    return WindowFrame(units, start, end)


def _check_frame(start: FrameBound, end: FrameBound, position: int) -> None:
    if start.kind is FrameBoundKind.UNBOUNDED_FOLLOWING:
        raise WindowingError("frame start cannot be UNBOUNDED FOLLOWING", position=position)
    if end.kind is FrameBoundKind.UNBOUNDED_PRECEDING:
        raise WindowingError("frame end cannot be UNBOUNDED PRECEDING", position=position)
    if _ORDER_OF_BOUNDS.index(start.kind) > _ORDER_OF_BOUNDS.index(end.kind):
        begins = {
            FrameBoundKind.CURRENT_ROW: "current row",
            FrameBoundKind.FOLLOWING: "following row",
        }[start.kind]
        ends = "preceding rows" if end.kind is FrameBoundKind.PRECEDING else "current row"
        raise WindowingError(f"frame starting from {begins} cannot have {ends}", position=position)


def _bound(ctx: ExprContext, bound: ast.FrameBound, units: FrameUnits) -> FrameBound:
    kind = _BOUND_KINDS[bound.kind]
    if bound.offset is None:
        return FrameBound(kind)
    if units is FrameUnits.RANGE:
        raise FeatureNotSupported(
            "RANGE with offset PRECEDING/FOLLOWING is not supported", position=bound.position
        )
    offset = ctx.plan_as(bound.offset, INT8)
    if not isinstance(offset, Literal):
        raise FeatureNotSupported("frame offsets must be constants", position=bound.offset.position)
    if is_null(offset):
        raise InvalidParameterValue(
            f"frame {_side(kind)} offset must not be null", position=bound.offset.position
        )
    count = literal_int(offset)
    assert count is not None
    if count < 0:
        raise InvalidParameterValue(
            f"frame {_side(kind)} offset must not be negative", position=bound.offset.position
        )
    return FrameBound(kind, count)


def _side(kind: FrameBoundKind) -> str:
    return "starting" if kind is FrameBoundKind.PRECEDING else "ending"
