"""Window functions: calls over equal partitions and orders become one operator."""

from collections.abc import Callable, Sequence

from headwater.ir import relation as mir
from headwater.ir.relation import Map, RelationExpr, Window, WindowFunction
from headwater.ir.scalar import Column, ColumnOrder, Literal, ScalarExpr
from headwater.ir.typing import arity
from headwater.sql.plan.decorrelate.build import project
from headwater.sql.plan.decorrelate.scalars import lower_scalar
from headwater.sql.plan.decorrelate.scope import Context, Scope
from headwater.sql.plan.hir import FrameBound, HirScalar, WindowCall


def lower_windows(
    context: Context,
    calls: Sequence[WindowCall],
    scope: Scope,
    inner: RelationExpr,
    prefix: int,
) -> RelationExpr:
    """Return ``inner`` followed by the value of each of ``calls`` for each row.

    The first ``prefix`` columns are the context's: rows of different ones never meet.
    """
    width = arity(inner)
    windows: dict[object, list[int]] = {}
    for number, call in enumerate(calls):
        windows.setdefault((call.partition_by, call.order_by), []).append(number)
    where = {}
    for numbers in windows.values():
        inner = _lower_window(context, [calls[number] for number in numbers], scope, inner, prefix)
        first = arity(inner) - len(numbers)
        where.update({number: first + index for index, number in enumerate(numbers)})
    return project(inner, (*range(width), *(where[number] for number in range(len(calls)))))


def _lower_window(
    context: Context,
    calls: Sequence[WindowCall],
    scope: Scope,
    inner: RelationExpr,
    prefix: int,
) -> RelationExpr:
    """Lower calls over one partition and order; their values come last."""

    def value(expr: HirScalar) -> ScalarExpr:
        """Compute ``expr`` as a column, if it is none."""
        nonlocal inner
        lowered, inner = lower_scalar(context, expr, scope, inner)
        if isinstance(lowered, Column):
            return lowered
        inner = Map(inner, (lowered,))
        return Column(arity(inner) - 1)

    def column(expr: HirScalar) -> int:
        found = value(expr)
        assert isinstance(found, Column)
        return found.index

    first = calls[0]
    partition = (*range(prefix), *(column(expr) for expr in first.partition_by))
    order = tuple(ColumnOrder(column(expr), desc, last) for expr, desc, last in first.order_by)
    functions = tuple(
        WindowFunction(
            call.func,
            tuple(arg if isinstance(arg, Literal) else value(arg) for arg in call.args),
            mir.WindowFrame(
                call.frame.units,
                _bound(call.frame.start, column),
                _bound(call.frame.end, column),
                call.frame.exclusion,
            ),
            call.type,
            call.ignore_nulls,
            None if call.filter is None else column(call.filter),
            call.inner_order,
        )
        for call in calls
    )
    return Window(inner, tuple(dict.fromkeys(partition)), order, functions)


def _bound(bound: FrameBound, column: Callable[[HirScalar], int]) -> mir.FrameBound:
    return mir.FrameBound(
        bound.kind, bound.offset, None if bound.value is None else column(bound.value)
    )
