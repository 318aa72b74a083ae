"""Window frames: which are allowed, and the values at which RANGE frames begin and end."""

from headwater.errors import (
    FeatureNotSupported,
    InvalidFrameOffset,
    NullValueNotAllowed,
    WindowingError,
)
from headwater.ir import kernels
from headwater.ir.functions import CastContext
from headwater.ir.literals import is_null, literal_from_text, literal_int
from headwater.ir.relation import FrameBoundKind, FrameExclusion, FrameUnits
from headwater.ir.scalar import Literal
from headwater.sql.ast import query as ast
from headwater.sql.plan.coerce import cast
from headwater.sql.plan.context import ExprContext
from headwater.sql.plan.fold import fold, must_be_constant
from headwater.sql.plan.frames import DEFAULT_FRAME
from headwater.sql.plan.hir import FrameBound, HirCall, HirScalar, WindowFrame
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.types.scalar import (
    BOOL,
    FLOAT8,
    INT8,
    INTERVAL,
    NUMERIC,
    TIMESTAMP,
    TIMESTAMPTZ,
    BaseType,
    ColumnType,
    ScalarType,
)

FRAME_OFFSET_MAX = 1_000_000
"""Rows, or groups, from the current row to an end of its frame at most."""

OrderBy = tuple[tuple[HirScalar, bool, bool], ...]

_BOUND_KINDS = {
    ast.FrameBoundKind.UNBOUNDED_PRECEDING: FrameBoundKind.UNBOUNDED_PRECEDING,
    ast.FrameBoundKind.PRECEDING: FrameBoundKind.PRECEDING,
    ast.FrameBoundKind.CURRENT_ROW: FrameBoundKind.CURRENT_ROW,
    ast.FrameBoundKind.FOLLOWING: FrameBoundKind.FOLLOWING,
    ast.FrameBoundKind.UNBOUNDED_FOLLOWING: FrameBoundKind.UNBOUNDED_FOLLOWING,
}
_ORDER_OF_BOUNDS = list(_BOUND_KINDS.values())
_EXCLUSIONS = {
    None: FrameExclusion.NO_OTHERS,
    ast.FrameExclusion.NO_OTHERS: FrameExclusion.NO_OTHERS,
    ast.FrameExclusion.CURRENT_ROW: FrameExclusion.CURRENT_ROW,
    ast.FrameExclusion.GROUP: FrameExclusion.GROUP,
    ast.FrameExclusion.TIES: FrameExclusion.TIES,
}
# In which type distances are counted from a column: one in which no distance overflows and that
# orders as the column does. Then the type of the distance.
_DISTANCES: dict[BaseType, tuple[ScalarType, ScalarType]] = {
    BaseType.INT2: (NUMERIC, NUMERIC),
    BaseType.INT4: (NUMERIC, NUMERIC),
    BaseType.INT8: (NUMERIC, NUMERIC),
    BaseType.UINT2: (NUMERIC, NUMERIC),
    BaseType.UINT4: (NUMERIC, NUMERIC),
    BaseType.UINT8: (NUMERIC, NUMERIC),
    BaseType.NUMERIC: (NUMERIC, NUMERIC),
    BaseType.FLOAT4: (FLOAT8, FLOAT8),
    BaseType.FLOAT8: (FLOAT8, FLOAT8),
    BaseType.DATE: (TIMESTAMP, INTERVAL),
    BaseType.TIMESTAMP: (TIMESTAMP, INTERVAL),
    BaseType.TIMESTAMPTZ: (TIMESTAMPTZ, INTERVAL),
    BaseType.TIME: (INTERVAL, INTERVAL),
    BaseType.INTERVAL: (INTERVAL, INTERVAL),
}
_INTEGERS = frozenset(
    {
        BaseType.INT2,
        BaseType.INT4,
        BaseType.INT8,
        BaseType.UINT2,
        BaseType.UINT4,
        BaseType.UINT8,
    }
)


def plan_frame(
    ctx: ExprContext, spec: ast.WindowSpec, order_by: OrderBy
) -> tuple[WindowFrame, OrderBy]:
    """Return the frame, and the order that it needs: for distances maybe of another type.

    Raises: WindowingError, FeatureNotSupported, InvalidColumnReference, InvalidFrameOffset,
        NullValueNotAllowed.
    """
    frame = spec.frame
    if frame is None:
        return DEFAULT_FRAME, order_by
    units = FrameUnits(frame.unit.value.lower())
    end = frame.end or ast.FrameBound(ast.FrameBoundKind.CURRENT_ROW, position=frame.position)
    _check(_BOUND_KINDS[frame.start.kind], _BOUND_KINDS[end.kind], frame.position)
    if units is FrameUnits.GROUPS and not spec.order_by:
        raise WindowingError("GROUPS mode requires an ORDER BY clause", position=frame.position)
    exclusion = _EXCLUSIONS[frame.exclusion]
    if units is FrameUnits.RANGE and (frame.start.offset or end.offset):
        order_by = (_distant_order(order_by, frame.position),)
        bounds = [_distant(ctx, bound, spec, order_by[0]) for bound in (frame.start, end)]
        return WindowFrame(units, bounds[0], bounds[1], exclusion), order_by
    first = _counted(ctx, frame.start, units, "starting")
    return WindowFrame(units, first, _counted(ctx, end, units, "ending"), exclusion), order_by


def _check(start: FrameBoundKind, end: FrameBoundKind, position: int) -> None:
    if start is FrameBoundKind.UNBOUNDED_FOLLOWING:
        raise WindowingError("frame start cannot be UNBOUNDED FOLLOWING", position=position)
    if end is FrameBoundKind.UNBOUNDED_PRECEDING:
        raise WindowingError("frame end cannot be UNBOUNDED PRECEDING", position=position)
    if _ORDER_OF_BOUNDS.index(start) > _ORDER_OF_BOUNDS.index(end):
        begins = {
            FrameBoundKind.CURRENT_ROW: "current row",
            FrameBoundKind.FOLLOWING: "following row",
        }[start]
        message = f"frame starting from {begins} cannot have preceding rows"
        raise WindowingError(message, position=position)


def _counted(ctx: ExprContext, bound: ast.FrameBound, units: FrameUnits, side: str) -> FrameBound:
    """Plan an end that counts rows or groups."""
    kind = _BOUND_KINDS[bound.kind]
    if bound.offset is None:
        return FrameBound(kind)
    position = bound.offset.position
    if isinstance(bound.offset, ast.Number) and float(bound.offset.text) > FRAME_OFFSET_MAX:
        # Also where it is no bigint.
        raise _too_far(position)
    planned = ctx.plan_as(bound.offset, INT8, CastContext.ASSIGNMENT)
    offset = must_be_constant(planned, units.value.upper(), position)
    if is_null(offset):
        raise NullValueNotAllowed(f"frame {side} offset must not be null", position=position)
    count = literal_int(offset)
    assert count is not None
    if count < 0:
        raise InvalidFrameOffset(f"frame {side} offset must not be negative", position=position)
    if count > FRAME_OFFSET_MAX:
        raise _too_far(position)
    return FrameBound(kind, count)


def _too_far(position: int) -> FeatureNotSupported:
    return FeatureNotSupported(
        f"Window frame offsets greater than {FRAME_OFFSET_MAX} are currently not supported",
        position=position,
    )


def _distant_order(order_by: OrderBy, position: int) -> tuple[HirScalar, bool, bool]:
    """Return the only sort key in the type in which distances from it are counted."""
    if len(order_by) != 1:
        raise WindowingError(
            "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            position=position,
        )
    [(key, desc, nulls_last)] = order_by
    kind = type_of(key).type
    found = _DISTANCES.get(kind.base)
    if found is None:
        raise FeatureNotSupported(
            "RANGE with offset PRECEDING/FOLLOWING is not supported for column type"
            f" {show_type(kind)}",
            position=position,
        )
    return cast(key, found[0], CastContext.EXPLICIT), desc, nulls_last


def _distant(
    ctx: ExprContext,
    bound: ast.FrameBound,
    spec: ast.WindowSpec,
    key: tuple[HirScalar, bool, bool],
) -> FrameBound:
    """Plan an end of a RANGE frame: its value in the order column."""
    kind = _BOUND_KINDS[bound.kind]
    if bound.offset is None:
        return FrameBound(kind)
    original = type_of(ctx.plan_typed(spec.order_by[0].expression)).type
    target = _DISTANCES[original.base][1]
    offset = _distance(ctx, bound.offset, original, target)
    expr, desc, _ = key
    base = type_of(expr).type.base
    falls = (kind is FrameBoundKind.PRECEDING) != desc
    func = f"{'sub' if falls else 'add'}_{base}_{target.base}"
    value = HirCall(func, (expr, offset), ColumnType(type_of(expr).type, True))
    return FrameBound(kind, value=value)


def _distance(
    ctx: ExprContext, node: ast.Expr, original: ScalarType, target: ScalarType
) -> HirScalar:
    planned = ctx.plan(node)
    given = type_of(planned).type
    whole = original.base in _INTEGERS
    fits = given.base in _INTEGERS if whole else True
    if given.base is BaseType.UNKNOWN and whole:
        planned = ctx.coerce(planned, INT8, node.position)
        given = INT8
    elif given.base is BaseType.UNKNOWN:
        planned = ctx.coerce(planned, target, node.position)
        given = target
    is_number = given.base in _INTEGERS or given.base in (
        BaseType.NUMERIC,
        BaseType.FLOAT4,
        BaseType.FLOAT8,
    )
    if (
        not fits
        or is_number != (target.base is not BaseType.INTERVAL)
        or (not is_number and given.base is not BaseType.INTERVAL)
    ):
        raise FeatureNotSupported(
            "RANGE with offset PRECEDING/FOLLOWING is not supported for column type"
            f" {show_type(original)} and offset type {show_type(given)}",
            hint="Cast the offset value to an appropriate type.",
            position=node.position,
        )
    offset = must_be_constant(cast(planned, target, CastContext.EXPLICIT), "RANGE", node.position)
    if is_null(offset):
        raise NullValueNotAllowed("frame offset must not be null", position=node.position)
    if _is_negative(offset, target):
        raise InvalidFrameOffset(
            "invalid preceding or following size in window function", position=node.position
        )
    return offset


def _is_negative(offset: Literal, kind: ScalarType) -> bool:
    zero = literal_from_text("0", kind)
    tested = fold(HirCall("lt", (offset, zero), ColumnType(BOOL, False)))
    return isinstance(tested, Literal) and kernels.is_true(tested)
