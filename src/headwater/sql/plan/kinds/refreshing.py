"""REFRESH of materialized views: when a view is refreshed, and what is stored of it."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from headwater.errors import CannotCoerce, InvalidParameterValue, UserError
from headwater.ir.functions import CastContext
from headwater.ir.literals import literal_interval
from headwater.ir.scalar import CallUnmaterializable, Literal, UnmaterializableFunc
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import NamedType, Node, ObjectName
from headwater.sql.ast.option import Option, Refresh, RefreshKind
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.ddl import RefreshPlan
from headwater.sql.plan.fold import fold
from headwater.sql.plan.hir import HirScalar
from headwater.sql.plan.hir_visit import has_subquery
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.sql.resolve.scope import Scope
from headwater.types.scalar import INTERVAL, MZ_TIMESTAMP, ColumnType
from headwater.types.time import Timestamp

# What errors call the clauses.
AT = "REFRESH AT"
ALIGNED_TO = "REFRESH EVERY ... ALIGNED TO"
_DATA_EXCEPTIONS = "22"  # the class of SQLSTATEs
_MICROS_PER_DAY = 86_400_000_000
_MICROS_PER_MS = 1_000
_CREATION: HirScalar = CallUnmaterializable(
    UnmaterializableFunc.MZ_NOW, ColumnType(MZ_TIMESTAMP, nullable=False)
)
N = TypeVar("N", bound=Node)
V = TypeVar("V")
replace = msgspec.structs.replace


def plan_refresh(ctx: StatementContext, options: Sequence[Option]) -> RefreshPlan | None:
    """Plan the REFRESH options, which may be repeated; None for ON COMMIT, the default.

    Raises: InvalidParameterValue: An interval or a time that is none, or a contradiction.
    """
    written = [option for option in options if option.name == "refresh"]
    on_commit = 0
    ats: list[HirScalar] = []
    everies: list[tuple[int, HirScalar]] = []
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
        elif value.time is None:
            ats.append(_CREATION)
        elif value.kind is RefreshKind.AT:
            ats.append(_time(ctx, value.time, AT))
        else:
            interval_ms = _interval_ms(ctx, value.time)
            aligned = _CREATION
            if value.aligned_to is not None:
                aligned = _time(ctx, value.aligned_to, ALIGNED_TO)
            everies.append((interval_ms, aligned))
    if on_commit and len(written) > 1:
        raise InvalidParameterValue(
            "REFRESH ON COMMIT is not compatible with any of the other REFRESH options",
            position=written[0].position,
        )
    return RefreshPlan(tuple(ats), tuple(everies)) if ats or everies else None


def with_creation(node: N, creation: Timestamp) -> N:
    """Return a statement whose REFRESH options say when it was run.

    AT CREATION becomes that time, EVERY without ALIGNED TO is aligned to it, and it stands for the
    calls of mz_now().
    """
    if isinstance(node, Refresh):
        time = _literal_time(creation)
        if node.kind is RefreshKind.AT_CREATION:
            return replace(node, kind=RefreshKind.AT, time=time)
        if node.kind is RefreshKind.EVERY:
            aligned = time if node.aligned_to is None else _at_time(node.aligned_to, creation)
            return replace(node, aligned_to=aligned)
        return node if node.time is None else replace(node, time=_at_time(node.time, creation))
    options = getattr(node, "options", ())
    changed = tuple(
        replace(option, value=with_creation(option.value, creation))
        if isinstance(option.value, Refresh)
        else option
        for option in options
    )
    return replace(node, options=changed)


def _at_time(value: V, moment: Timestamp) -> V:
    """Return an expression with a time in the place of mz_now()."""
    if isinstance(value, tuple):
        return tuple(_at_time(item, moment) for item in value)  # type: ignore[return-value]
    if isinstance(value, ast.Function) and value.name.last == UnmaterializableFunc.MZ_NOW:
        return _literal_time(moment)  # type: ignore[return-value]
    if not isinstance(value, Node):
        return value
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    return replace(
        value, **{k: _at_time(v, moment) for k, v in fields.items() if isinstance(v, tuple | Node)}
    )


def _literal_time(time: Timestamp) -> ast.Expr:
    type_ = ObjectName(parts=("mz_catalog", "mz_timestamp"))
    return ast.Cast(ast.Number(str(time)), NamedType(type_))


def _time(ctx: StatementContext, node: ast.Expr, clause: str) -> HirScalar:
    """Return a constant time; ``mz_now()`` is that of the statement."""
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
        raise not_constant(clause, node.position) from error
    if not constant or (not moments and not isinstance(folded, Literal)):
        raise not_constant(clause, node.position)
    return folded


def not_constant(clause: str, position: int = 0) -> InvalidParameterValue:
    """Return the error of a time that is none."""
    return InvalidParameterValue(
        f"{clause} argument must be an expression that can be simplified and/or cast to a constant"
        " whose type is mz_timestamp",
        position=position,
    )


def _interval_ms(ctx: StatementContext, node: ast.Expr) -> int:
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
    if total < _MICROS_PER_MS:
        raise InvalidParameterValue(
            "REFRESH interval must be at least 1 millisecond", position=node.position
        )
    return total // _MICROS_PER_MS


def show_interval(micros: int) -> str:
    """Return an interval of less than days as PostgreSQL shows it: ``-00:01:00``."""
    seconds, rest = divmod(abs(micros), 1_000_000)
    shown = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    fraction = f".{rest:06}".rstrip("0") if rest else ""
    return f"{'-' if micros < 0 else ''}{shown}{fraction}"
