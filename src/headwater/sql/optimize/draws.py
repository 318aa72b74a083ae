"""Volatile calls are evaluated once for each row, whatever becomes of the row.

A *draw* is a Map of nothing but volatile calls (``ir.linear.is_draw``). A plan with draws means
something only if each is computed once, and for rows that stay: computed in two branches of a
union, the copies differ where they should cancel; computed for a row that is added and taken away,
what is taken away was never added. So draws are made operators of their own at first
(``isolate_draws``), which no rule copies, inlines or moves; and at last each gets an input that is
settled, every row of it by itself (``separate_draws``).

Only what is evaluated once can have draws: sequencing refuses them in what is maintained.
"""

from headwater.errors import FeatureNotSupported
from headwater.ir import kernels
from headwater.ir.functions import lookup
from headwater.ir.linear import is_draw
from headwater.ir.relation import (
    Constant,
    Filter,
    FlatMap,
    Let,
    LetRec,
    Map,
    Project,
    Reduce,
    RelationExpr,
)
from headwater.ir.scalar import AggregateExpr, Column, ScalarExpr
from headwater.ir.typing import Typer, arity
from headwater.ir.visit import (
    local_gets,
    map_inputs,
    map_scalars,
    replace,
    scalars_of,
    transform_scalar,
    transform_up,
    walk_scalar,
)
from headwater.sql.optimize.context import OptimizerContext
from headwater.types.scalar import INT8

_SERIES = next(s.kernel for s in lookup("generate_series") if s.args == (INT8, INT8))


def isolate_draws(expr: RelationExpr, _context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with volatile calls in draws below the operators that they were in."""
    return transform_up(expr, _isolate)


def _isolate(node: RelationExpr) -> RelationExpr:
    if not isinstance(node, Map | Filter | FlatMap | Reduce) or is_draw(node):
        return node
    calls = tuple(
        dict.fromkeys(
            call
            for scalar in scalars_of(node)
            for call in walk_scalar(scalar)
            if kernels.is_volatile_call(call)
        )
    )
    if not calls:
        return node
    width, shift = arity(node.input), len(calls)
    drawn = {call: Column(width + number) for number, call in enumerate(calls)}

    def visit(part: ScalarExpr) -> ScalarExpr:
        if isinstance(part, Column) and part.index >= width:
            return Column(part.index + shift)  # what this very Map computes
        return drawn.get(part, part)

    over = replace(node, input=Map(node.input, calls))
    result = map_scalars(over, lambda scalar: transform_scalar(scalar, visit))
    if isinstance(node, Reduce):
        return result
    return Project(result, (*range(width), *range(width + shift, arity(result))))


def separate_draws(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with draws over inputs whose rows are there once, and are there to stay.

    Raises:
        FeatureNotSupported: A draw is of rows that a recursion may take back.
    """
    return _separate(expr, context.typer, frozenset())


def _separate(expr: RelationExpr, typer: Typer, recursive: frozenset[int]) -> RelationExpr:
    """Separate draws; ``recursive`` are the locals that change from iteration to iteration."""
    if isinstance(expr, LetRec):
        inside = recursive.union(expr.ids)
        values = tuple(_separate(value, typer, inside) for value in expr.values)
        return replace(expr, values=values, body=_separate(expr.body, typer, recursive))
    if isinstance(expr, Let):
        value = _separate(expr.value, typer, recursive)
        if recursive and not recursive.isdisjoint(local_gets(value)):
            recursive |= {expr.id}
        return Let(expr.id, value, _separate(expr.body, typer, recursive))
    if recursive and is_draw(expr) and not recursive.isdisjoint(local_gets(expr)):
        raise FeatureNotSupported(
            "volatile functions over a recursive relation are not supported",
            hint="Call the function outside of WITH MUTUALLY RECURSIVE.",
        )
    expr = map_inputs(expr, lambda child: _separate(child, typer, recursive))
    return _over_settled_rows(expr, typer) if is_draw(expr) else expr


def _over_settled_rows(draw: RelationExpr, typer: Typer) -> RelationExpr:
    assert isinstance(draw, Map)
    below = draw.input
    if isinstance(below, Reduce) or _is_once_each(below):
        return draw
    width = arity(below)
    columns = tuple(Column(index) for index in range(width))
    if typer.keys(below):
        return Map(Reduce(below, columns, ()), draw.scalars)
    count = AggregateExpr(kernels.COUNT, kernels.TRUE, kernels.COUNT_TYPE)
    counted = Reduce(below, columns, (count,))
    bounds = (kernels.int8_literal(1), Column(width))
    copies = FlatMap(counted, _SERIES, bounds, (kernels.COUNT_TYPE,))
    return Map(Project(copies, tuple(range(width))), draw.scalars)


def _is_once_each(expr: RelationExpr) -> bool:
    return isinstance(expr, Constant) and all(diff == 1 for _, diff in expr.rows)
