"""From the chain applied to a source's rows: what a part must be able to hold to be read.

The chain decides row by row, conditions before the expressions that they guard. What is derived
follows that order and ends where something may fail that statistics can say nothing about: beyond
it, leaving a row out could hide its error.
"""

import msgspec

from headwater.ir import kernels
from headwater.ir.linear import Linear
from headwater.ir.monotone import RELABELS, monotone_in
from headwater.ir.physical import Mfp
from headwater.ir.scalar import Call, Column, Literal, ScalarExpr
from headwater.ir.selection import EVERYTHING, AllOf, AnyOf, Condition, Range, Selection, Within
from headwater.ir.visit import columns_of, walk_scalar

# Beyond so many ranges only their hull is kept: a part is rarely between them.
RANGES_MAX = 1_000
# An expression of more nodes, what it is made from included, is not looked into.
NODES_MAX = 64


def derive_selection(mfp: Mfp) -> Selection | None:
    """Return what ``mfp`` asks of a row, as far as statistics may answer it; None for nothing."""
    expander = _Expander(mfp)
    conditions: list[Condition] = []
    useful = False
    for expr, decides in _steps(mfp):
        expanded = expander.expand(expr)
        condition = None
        if expanded is not None:
            condition = _condition(expanded) if decides else _evaluated(expanded)
        if condition is not None:
            conditions.append(condition)
            useful = useful or decides
        elif kernels.may_fail(expr):
            break
    else:
        bounds = _bounds(expander, mfp)
        if bounds is not None:
            return Selection(tuple(conditions), *bounds)
    return Selection(tuple(conditions)) if useful else None


class _Expander:
    """Expressions of a chain over its input's columns alone, where they don't become large."""

    def __init__(self, mfp: Mfp) -> None:
        self._chain = Linear(mfp.input_arity, mfp.expressions, (), ())
        self._sizes = [1] * mfp.input_arity
        for expr in mfp.expressions:
            self._sizes.append(self._size(expr))

    def _size(self, expr: ScalarExpr) -> int:
        nodes = walk_scalar(expr)
        return sum(self._sizes[n.index] if isinstance(n, Column) else 1 for n in nodes)

    def expand(self, expr: ScalarExpr) -> ScalarExpr | None:
        # A disjunction is as long as it is; its members are what is evaluated.
        large = any(self._size(member) > NODES_MAX for member in kernels.disjuncts(expr))
        return None if large else self._chain.expand(expr)


def _steps(mfp: Mfp) -> list[tuple[ScalarExpr, bool]]:
    """Return what is evaluated, in order, and whether the row ends there unless it is true."""
    steps: list[tuple[ScalarExpr, bool]] = []
    waiting = list(mfp.predicates)
    for have, expr in enumerate((*mfp.expressions, None), mfp.input_arity):
        while waiting and waiting[0].support <= have:
            steps.append((waiting.pop(0).expr, True))
        if expr is not None:
            steps.append((expr, False))
    return steps + [(item.expr, True) for item in waiting]


def _bounds(
    expander: _Expander, mfp: Mfp
) -> tuple[tuple[ScalarExpr, ...], tuple[ScalarExpr, ...]] | None:
    """Return the temporal bounds that statistics bound; None for none, or if others may fail."""
    found: list[tuple[ScalarExpr, ...]] = []
    for bounds in (mfp.lower_bounds, mfp.upper_bounds):
        known = []
        for expr in bounds:
            expanded = expander.expand(expr)
            if expanded is not None and is_bounded(expanded):
                known.append(expanded)
            elif kernels.may_fail(expr):
                return None
        found.append(tuple(known))
    return (found[0], found[1]) if any(found) else None


def is_bounded(expr: ScalarExpr) -> bool:
    """Return whether bounds of ``expr`` follow from bounds of the columns that it reads."""
    if isinstance(expr, Column | Literal):
        return True
    if not isinstance(expr, Call):
        return False
    if expr.func in RELABELS:
        return is_bounded(expr.args[0])
    within = monotone_in(expr)
    return bool(within) and all(
        is_bounded(arg) if number in within else isinstance(arg, Literal)
        for number, arg in enumerate(expr.args)
    )


def _evaluated(expr: ScalarExpr) -> Condition | None:
    """Return the condition that ``expr`` has a value, whichever; None where it can't fail."""
    if not kernels.may_fail(expr) or not is_bounded(expr):
        return None
    return Within(expr, (EVERYTHING,), nulls=True)


def _condition(expr: ScalarExpr) -> Condition | None:
    """Return what statistics can say of ``expr`` being true; None for nothing."""
    if isinstance(expr, Column):
        return Within(expr, (_only(kernels.TRUE_DATUM),))
    if not isinstance(expr, Call):
        return None
    match expr.func:
        case kernels.AND:
            return _all_of(expr)
        case kernels.OR:
            return _any_of(expr)
        case kernels.NOT:
            return _negated(expr.args[0])
        case kernels.IS_TRUE:
            return _condition(expr.args[0])
        case kernels.IS_FALSE:
            return _negated(expr.args[0])
        case kernels.IS_NULL if is_bounded(expr.args[0]):
            return Within(expr.args[0], (), nulls=True)
        case kernels.IS_DISTINCT:
            return _compared(kernels.NOT_EQ, *expr.args, nulls=True)
        case func if func in kernels.COMMUTED:
            return _compared(func, *expr.args)
    return None


def _negated(expr: ScalarExpr) -> Condition | None:
    """Return what statistics can say of ``expr`` being false."""
    if isinstance(expr, Column):
        return Within(expr, (_only(kernels.FALSE_DATUM),))
    if not isinstance(expr, Call):
        return None
    if expr.func == kernels.IS_NULL and is_bounded(expr.args[0]):
        return Within(expr.args[0], (EVERYTHING,))
    if expr.func == kernels.IS_DISTINCT:
        return _compared(kernels.EQ, *expr.args)
    if expr.func in kernels.NEGATED:
        return _compared(kernels.NEGATED[expr.func], *expr.args)
    return None


def _all_of(expr: Call) -> Condition | None:
    members = []
    for arg in expr.args:
        member = _condition(arg)
        if member is not None:
            members.append(member)
        elif kernels.may_fail(arg):
            return None
    return AllOf(tuple(members)) if members else None


def _any_of(expr: Call) -> Condition | None:
    members = []
    for arg in kernels.disjuncts(expr):
        member = _condition(arg)
        if member is None:
            return None
        members.append(member)
    first = members[0]
    if isinstance(first, Within):
        same = [item for item in members if isinstance(item, Within) and item.expr == first.expr]
        if len(same) == len(members):
            ranges = tuple(found for item in same for found in item.ranges)
            return Within(first.expr, _united(ranges), any(item.nulls for item in same))
    return AnyOf(tuple(members))


def _compared(
    func: str, left: ScalarExpr, right: ScalarExpr, *, nulls: bool = False
) -> Condition | None:
    """Return the condition that a comparison with a constant is true."""
    if isinstance(left, Literal):
        func, left, right = kernels.COMMUTED[func], right, left
    if not isinstance(right, Literal) or kernels.is_null_literal(right) or not is_bounded(left):
        return None
    if not columns_of(left):
        return None
    value = right.data
    beyond = value + b"\0"
    ranges = {
        kernels.EQ: (Range(value, beyond),),
        kernels.NOT_EQ: (Range(high=value), Range(beyond)),
        kernels.LT: (Range(high=value),),
        kernels.LTE: (Range(high=beyond),),
        kernels.GT: (Range(beyond),),
        kernels.GTE: (Range(value),),
    }
    return Within(left, ranges[func], nulls)


def _only(value: bytes) -> Range:
    return Range(value, value + b"\0")


def _united(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """Return ranges with the same values, sorted and apart; their hull if they are too many."""
    merged: list[Range] = []
    for item in sorted(ranges, key=lambda item: item.low):
        last = merged[-1] if merged else None
        if last is None or (last.high is not None and last.high < item.low):
            merged.append(item)
        elif last.high is not None and (item.high is None or item.high > last.high):
            merged[-1] = msgspec.structs.replace(last, high=item.high)
    if len(merged) > RANGES_MAX:
        return (Range(merged[0].low, merged[-1].high),)
    return tuple(merged)
