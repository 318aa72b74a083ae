"""Chains of map, filter, project as physical ``Mfp``s; temporal filters become bounds.

A temporal filter is a conjunct that compares ``mz_now()`` by ``=``, ``<``, ``<=``, ``>`` or ``>=``
with an expression of type mz_timestamp that does not mention it. ``optimize.temporal`` brings
what it can into that form; anything else with ``mz_now()`` is refused.
"""

from headwater.errors import FeatureNotSupported
from headwater.ir import kernels
from headwater.ir.explain import explain_scalar
from headwater.ir.linear import Linear
from headwater.ir.literals import int_literal, literal_int
from headwater.ir.physical import Mfp, Predicate
from headwater.ir.scalar import Call, Column, Literal, ScalarExpr
from headwater.ir.visit import columns_of, remap
from headwater.types.scalar import MZ_TIMESTAMP, UINT8, ColumnType

# Timestamps are whole numbers as rows go: the kernel for those adds one to them.
STEP = "add_uint8_uint8"
_TIMESTAMP_END = 2**64 - 1

Bounds = tuple[list[ScalarExpr], list[ScalarExpr]]


def to_mfp(linear: Linear) -> Mfp:
    """Return the physical form of ``linear``.

    Raises:
        FeatureNotSupported: ``mz_now()`` stands where it may not.
    """
    linear = linear.simplified()
    for expr in linear.expressions:
        if kernels.mentions_mz_now(expr):
            raise FeatureNotSupported(
                "mz_now() is only allowed in temporal filters of maintained queries",
                hint="Compare mz_now() directly with an expression that can be cast to"
                " mz_timestamp, in a WHERE or HAVING clause.",
            )
    predicates = []
    lower: list[ScalarExpr] = []
    upper: list[ScalarExpr] = []
    for expr in linear.predicates:
        if kernels.mentions_mz_now(expr):
            _bound(expr, lower, upper)
        else:
            support = max(columns_of(expr), default=-1) + 1
            predicates.append(Predicate(support, expr))
    predicates = _in_order(predicates)
    return Mfp(
        linear.input_arity,
        linear.expressions,
        tuple(predicates),
        linear.outputs,
        tuple(lower),
        tuple(upper),
    )


def _in_order(predicates: list[Predicate]) -> list[Predicate]:
    """Return conditions by support, otherwise as written, those that may fail last.

    A row that another condition rejects has no error, even if the other needs later columns.
    """
    safe: list[Predicate] = []
    failing: list[Predicate] = []
    for item in predicates:
        (failing if kernels.may_fail(item.expr) else safe).append(item)
    last = max((item.support for item in safe), default=0)
    late = [Predicate(max(item.support, last), item.expr) for item in failing]
    return sorted([*safe, *late], key=lambda item: item.support)


def split_temporal(linear: Linear) -> tuple[Linear, Linear | None]:
    """Return the chain without temporal filters, and the chain of them to follow it, if any."""
    temporal = [item for item in linear.predicates if kernels.mentions_mz_now(item)]
    if not temporal:
        return linear, None
    rest = tuple(item for item in linear.predicates if not kernels.mentions_mz_now(item))
    needed = list(dict.fromkeys(linear.outputs))
    for item in temporal:
        needed.extend(column for column in sorted(columns_of(item)) if column not in needed)
    place = {column: number for number, column in enumerate(needed)}
    first = Linear(linear.input_arity, linear.expressions, rest, tuple(needed))
    second = Linear(
        len(needed),
        (),
        tuple(remap(item, place) for item in temporal),
        tuple(place[output] for output in linear.outputs),
    )
    return first, second


def _bound(expr: ScalarExpr, lower: list[ScalarExpr], upper: list[ScalarExpr]) -> None:
    if not isinstance(expr, Call) or expr.func not in kernels.COMMUTED or len(expr.args) != 2:
        raise _unsupported(expr)
    func, (left, right) = expr.func, expr.args
    if kernels.is_mz_now(right) and not kernels.is_mz_now(left):
        func, left, right = kernels.COMMUTED[func], right, left
    if not kernels.is_mz_now(left) or kernels.mentions_mz_now(right):
        raise _unsupported(expr)
    match func:
        case kernels.EQ:
            lower.append(right)
            upper.append(_next(right))
        case kernels.LT:
            upper.append(right)
        case kernels.LTE:
            upper.append(_next(right))
        case kernels.GT:
            lower.append(_next(right))
        case kernels.GTE:
            lower.append(right)
        case _:
            raise _unsupported(expr)


def _next(expr: ScalarExpr) -> ScalarExpr:
    """Return the timestamp after ``expr``; the last one has none and stays."""
    if isinstance(expr, Literal):
        value = literal_int(expr)
        return (
            expr
            if value is None or value >= _TIMESTAMP_END
            else int_literal(value + 1, MZ_TIMESTAMP)
        )
    return Call(STEP, (expr, int_literal(1, UINT8)), ColumnType(MZ_TIMESTAMP, nullable=True))


def _unsupported(expr: ScalarExpr) -> FeatureNotSupported:
    return FeatureNotSupported(
        "Unsupported temporal predicate. Note: `mz_now()` must be directly compared to a"
        " non-temporal expression of mz_timestamp-castable type. Expression found:"
        f" {explain_scalar(expr)}",
        hint="Compare mz_now(), or a timestamp or whole number made of it, with an expression that"
        " does not mention it.",
    )


def columns_identity(width: int) -> tuple[ScalarExpr, ...]:
    """Return the columns 0 to ``width - 1``."""
    return tuple(Column(index) for index in range(width))
