"""Conditions on row numbers: ``row_number() OVER (…) <= k`` keeps the first k rows of a partition.

A row's number within the first k rows of its partition is what it is within all of them, so the
others go before the window function is computed. Only k rows a partition are then numbered, and a
change of the partition costs what a top-k costs. With k = 1 nothing is left to number.
"""

from headwater.ir import kernels
from headwater.ir.literals import int_literal, literal_int
from headwater.ir.scalar import ColumnOrder, Literal
from headwater.ir.visit import replace
from headwater.sql.plan.decorrelate.scope import arity_of_hir, walk_hir
from headwater.sql.plan.fold import fold
from headwater.sql.plan.hir import (
    ColumnRef,
    HirCall,
    HirFilter,
    HirMap,
    HirProject,
    HirRelation,
    HirScalar,
    HirTopK,
    WindowCall,
)
from headwater.types.scalar import INT8

ROW_NUMBER = "row_number"


def keep_first_rows(relation: HirFilter) -> HirRelation:
    """Return ``relation`` with a top-k below its window function, where its conditions allow it."""
    for number, predicate in enumerate(relation.predicates):
        found = _bound(predicate)
        if found is None:
            continue
        column, count = found
        below = _number_first(relation.input, column, count)
        if below is not None:
            rest = (*relation.predicates[:number], *relation.predicates[number + 1 :])
            return HirFilter(below, rest) if rest else below
    return relation


def _bound(predicate: HirScalar) -> tuple[int, int] | None:
    """Return the column that is at most a positive number, and that number."""
    if not isinstance(predicate, HirCall) or predicate.func not in kernels.COMMUTED:
        return None
    func, (left, right) = predicate.func, map(fold, predicate.args)
    if isinstance(left, Literal):
        func, left, right = kernels.COMMUTED[func], right, left
    if not isinstance(left, ColumnRef) or left.level or left.type.type != INT8:
        return None
    if not isinstance(right, Literal) or right.type.type != INT8:
        return None
    count = literal_int(right)
    if count is None:
        return None
    if func == kernels.LT:
        count -= 1
    elif func != kernels.LTE and not (func == kernels.EQ and count == 1):
        return None
    return (left.index, count) if count >= 1 else None


def _number_first(relation: HirRelation, column: int, count: int) -> HirRelation | None:
    """Return ``relation`` over the first rows only, if ``column`` is the rows' number."""
    if isinstance(relation, HirProject):
        below = _number_first(relation.input, relation.outputs[column], count)
        return None if below is None else replace(relation, input=below)
    if not isinstance(relation, HirMap):
        return None
    calls = {n for s in relation.scalars for n in walk_hir(s) if isinstance(n, WindowCall)}
    first = arity_of_hir(relation.input)
    if column < first:
        below = None if calls else _number_first(relation.input, column, count)
        return None if below is None else replace(relation, input=below)
    call = relation.scalars[column - first]
    if not isinstance(call, WindowCall) or call.func != ROW_NUMBER or calls != {call}:
        return None
    scalars = relation.scalars
    if count == 1:
        one = int_literal(1, INT8)
        scalars = tuple(one if scalar == call else scalar for scalar in scalars)
    return HirMap(_first_rows(relation.input, call, count, first), scalars)


def _first_rows(relation: HirRelation, call: WindowCall, count: int, width: int) -> HirRelation:
    extra: list[HirScalar] = []

    def column(expr: HirScalar) -> int:
        if isinstance(expr, ColumnRef) and not expr.level:
            return expr.index
        extra.append(expr)
        return width + len(extra) - 1

    group_key = tuple(column(expr) for expr in call.partition_by)
    order = tuple(
        ColumnOrder(column(expr), desc, nulls_last) for expr, desc, nulls_last in call.order_by
    )
    mapped = HirMap(relation, tuple(extra)) if extra else relation
    top = HirTopK(mapped, group_key, order, int_literal(count, INT8), 0)
    return HirProject(top, tuple(range(width))) if extra else top
