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
    Get,
    Join,
    Let,
    LetRec,
    LocalId,
    Map,
    Project,
    Reduce,
    RelationExpr,
    TopK,
)
from headwater.ir.scalar import AggregateExpr, Column, ScalarExpr
from headwater.ir.typing import Typer, anonymous_desc, arity
from headwater.ir.visit import (
    local_gets,
    map_inputs,
    map_scalars,
    next_local_id,
    remap,
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
    next_id = next_local_id(expr)

    def visit(node: RelationExpr) -> RelationExpr:
        nonlocal next_id
        if not isinstance(node, Map | Filter | FlatMap | Reduce | TopK) or is_draw(node):
            return node
        calls = _calls_of(node)
        if not calls:
            return node
        if not isinstance(node, TopK):
            return _isolated(node, calls)
        next_id += 1
        return _with_limits_drawn(node, calls, next_id - 1)

    return transform_up(expr, visit)


def _calls_of(node: RelationExpr) -> tuple[ScalarExpr, ...]:
    """Return the volatile calls of the operator ``node`` itself, each once."""
    calls = (call for scalar in scalars_of(node) for call in walk_scalar(scalar))
    return tuple(dict.fromkeys(filter(kernels.is_volatile_call, calls)))


def _with_limits_drawn(node: TopK, calls: tuple[ScalarExpr, ...], id: int) -> RelationExpr:
    """Return ``node`` with one draw a group, which joins the group's key.

    A limit is looked at wherever rows of a group are cut, and must be the same each time.
    """
    width, keys = arity(node.input), node.group_key
    place = {column: number for number, column in enumerate(keys)}
    rows = Get(LocalId(id), anonymous_desc(Typer().types(node.input)))
    groups = Map(
        Reduce(rows, tuple(map(Column, keys)), ()),
        tuple(remap(call, place) for call in calls),
    )
    same = tuple((Column(key), Column(width + number)) for key, number in place.items())
    first = width + len(keys)
    drawn = {call: Column(first + number) for number, call in enumerate(calls)}
    assert node.limit is not None
    top = replace(
        node,
        input=Join((rows, groups), same),
        group_key=(*keys, *range(first, first + len(calls))),
        limit=transform_scalar(node.limit, lambda part: drawn.get(part, part)),
    )
    return Let(id, node.input, Project(top, tuple(range(width))))


def _isolated(node: RelationExpr, calls: tuple[ScalarExpr, ...]) -> RelationExpr:
    assert isinstance(node, Map | Filter | FlatMap | Reduce)
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
