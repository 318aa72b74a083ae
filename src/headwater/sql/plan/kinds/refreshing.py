"""REFRESH of materialized views: read and checked; only ON COMMIT is done."""

from collections.abc import Sequence

from headwater.errors import (
    CannotCoerce,
    FeatureNotSupported,
    InvalidParameterValue,
    UserError,
)
from headwater.ir.functions import CastContext
from headwater.ir.literals import literal_interval
from headwater.ir.scalar import Literal, UnmaterializableFunc
from headwater.sql.ast import query as ast
from headwater.sql.ast.option import Option, Refresh, RefreshKind
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.fold import fold
from headwater.sql.plan.hir_visit import has_subquery
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.sql.resolve.scope import Scope
from headwater.types.scalar import INTERVAL, MZ_TIMESTAMP

_AT = "REFRESH AT"
_ALIGNED_TO = "REFRESH EVERY ... ALIGNED TO"
_DATA_EXCEPTIONS = "22"  # the class of SQLSTATEs
_MICROS_PER_DAY = 86_400_000_000


def check_refresh(ctx: StatementContext, options: Sequence[Option]) -> None:
    """Check the REFRESH options, which may be repeated.

    Raises:
        InvalidParameterValue: An interval or a time that is none, or a contradiction.
        FeatureNotSupported: A view is to be refreshed now and then.
    """
    written = [option for option in options if option.name == "refresh"]
    on_commit = 0
    for option in written:
        value = option.value
        if not isinstance(value, Refresh):
            raise InvalidParameterValue("invalid REFRESH", position=option.position)
        if value.kind is RefreshKind.ON_COMMIT:
            on_commit += 1
            if on_commit > 1:
                raise InvalidParameterValue(
                    "REFRESH ON COMMIT cannot be specified multiple times",
                    position=option.position,
                )
        elif value.kind is RefreshKind.AT and value.time is not None:
            _check_time(ctx, value.time, _AT)
        elif value.kind is RefreshKind.EVERY and value.time is not None:
            _check_interval(ctx, value.time)
            if value.aligned_to is not None:
                _check_time(ctx, value.aligned_to, _ALIGNED_TO)
    if on_commit and len(written) > 1:
        raise InvalidParameterValue(
            "REFRESH ON COMMIT is not compatible with any of the other REFRESH options",
            position=written[0].position,
        )
    if written and not on_commit:
        raise FeatureNotSupported(
            "REFRESH EVERY and REFRESH AT materialized views is not available",
            hint="A materialized view is kept up to date at all times: leave REFRESH out.",
            position=written[0].position,
        )


def _check_time(ctx: StatementContext, node: ast.Expr, clause: str) -> None:
    """Check for a constant time; ``mz_now()`` is that of the statement."""
    before = len(ctx.uses_now)
    expr = ExprContext(ctx, Scope.empty(), {}, clause).plan(node)
    if has_subquery(expr):
        raise InvalidParameterValue(f"{clause} does not allow subqueries", position=node.position)
    moments = ctx.uses_now[before:]
    constant = all(call.func is UnmaterializableFunc.MZ_NOW for call in moments)
    context = ExprContext(ctx, Scope.empty(), {}, clause)
    try:
        time = context.coerce(expr, MZ_TIMESTAMP, node.position, CastContext.ASSIGNMENT)
        folded = fold(time, node.position)
    except CannotCoerce as error:
        shown = show_type(type_of(expr).type, modifier=True)
        raise InvalidParameterValue(
            f"{clause} does not support casting from {shown} to mz_timestamp",
            position=node.position,
        ) from error
    except UserError as error:
        if not error.sqlstate.startswith(_DATA_EXCEPTIONS):
            raise
        raise _not_constant(clause, node) from error
    if not constant or (not moments and not isinstance(folded, Literal)):
        raise _not_constant(clause, node)


def _not_constant(clause: str, node: ast.Expr) -> InvalidParameterValue:
    return InvalidParameterValue(
        f"{clause} argument must be an expression that can be simplified and/or cast to a constant"
        " whose type is mz_timestamp",
        position=node.position,
    )


def _check_interval(ctx: StatementContext, node: ast.Expr) -> None:
    context = ExprContext(ctx, Scope.empty(), {}, "REFRESH EVERY")
    value = fold(context.plan_as(node, INTERVAL, CastContext.ASSIGNMENT), node.position)
    assert isinstance(value, Literal)  # a string is
    months, days, micros = literal_interval(value)
    if months:
        raise InvalidParameterValue(
            "REFRESH interval must not involve units larger than days", position=node.position
        )
    total = days * _MICROS_PER_DAY + micros
    if total <= 0:
        raise InvalidParameterValue(
            f"REFRESH interval must be positive; got: {show_interval(total)}",
            position=node.position,
        )


def show_interval(micros: int) -> str:
    """Return an interval of less than days as PostgreSQL shows it: ``-00:01:00``."""
    seconds, rest = divmod(abs(micros), 1_000_000)
    shown = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    fraction = f".{rest:06}".rstrip("0") if rest else ""
    return f"{'-' if micros < 0 else ''}{shown}{fraction}"
