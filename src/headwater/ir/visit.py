"""Generic walks over scalar expressions and relational plans.

Every transform returns the very object it was given where nothing changed, so that callers see by
identity whether a rewrite did something, and memo tables keyed by node identity stay warm. Walks
recurse; :func:`check_depth` bounds how deep, before any of them runs.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec

from headwater.errors import StatementTooComplex
from headwater.ir.relation import (
    ArrangeBy,
    Constant,
    ConstantError,
    Filter,
    FlatMap,
    FrameBound,
    Get,
    Join,
    Let,
    LetRec,
    LocalId,
    Map,
    Reduce,
    RelationExpr,
    TopK,
    Union,
    WindowFunction,
)
from headwater.ir.scalar import AggregateExpr, Call, Column, If, ScalarExpr

# Levels of nested operators or nested calls.
PLAN_DEPTH_MAX = 1_000
# Python frames that a walk takes a level, counted generously, and those that the default recursion
# limit leaves to walks: only plans that need more have the limit raised.
_FRAMES_A_LEVEL = 8
_FRAMES_FREE = 600

_T = TypeVar("_T")

replace = msgspec.structs.replace


# Scalars.


def scalar_children(expr: ScalarExpr) -> tuple[ScalarExpr, ...]:
    """Return the direct arguments of ``expr``."""
    kind = type(expr)
    if kind is Call:
        return expr.args  # type: ignore[union-attr]
    if kind is If:
        return (expr.cond, expr.then, expr.els)  # type: ignore[union-attr]
    return ()


def map_scalar_children(
    expr: ScalarExpr, function: Callable[[ScalarExpr], ScalarExpr]
) -> ScalarExpr:
    """Return ``expr`` with ``function`` applied to its direct arguments."""
    if isinstance(expr, Call):
        args = expr.args
        changed = False
        new = []
        for arg in args:
            mapped = function(arg)
            changed = changed or mapped is not arg
            new.append(mapped)
        return Call(expr.func, tuple(new), expr.type) if changed else expr
    if isinstance(expr, If):
        cond, then, els = function(expr.cond), function(expr.then), function(expr.els)
        if cond is expr.cond and then is expr.then and els is expr.els:
            return expr
        return If(cond, then, els)
    return expr


def transform_scalar(expr: ScalarExpr, function: Callable[[ScalarExpr], ScalarExpr]) -> ScalarExpr:
    """Apply ``function`` to every node of ``expr``, arguments first."""

    def walk(node: ScalarExpr) -> ScalarExpr:
        if type(node) is Call or type(node) is If:
            node = map_scalar_children(node, walk)
        return function(node)

    return walk(expr)


def walk_scalar(expr: ScalarExpr) -> Iterator[ScalarExpr]:
    """Yield every node of ``expr``, ``expr`` first, without recursion."""
    stack = [expr]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, Call):
            stack.extend(node.args)
        elif isinstance(node, If):
            stack.extend((node.cond, node.then, node.els))


def columns_of(expr: ScalarExpr) -> set[int]:
    """Return the input columns that ``expr`` reads."""
    if type(expr) is Column:
        return {expr.index}
    found: set[int] = set()
    stack = [expr]
    while stack:
        node = stack.pop()
        if type(node) is Column:
            found.add(node.index)
        elif type(node) is Call:
            stack.extend(node.args)
        elif type(node) is If:
            stack.append(node.cond)
            stack.append(node.then)
            stack.append(node.els)
    return found


def columns_of_all(exprs: Iterable[ScalarExpr]) -> set[int]:
    """Return the input columns that any of ``exprs`` reads."""
    found: set[int] = set()
    for expr in exprs:
        found |= columns_of(expr)
    return found


def substitute(expr: ScalarExpr, columns: Callable[[int], ScalarExpr | None]) -> ScalarExpr:
    """Return ``expr`` with each column replaced by ``columns(index)``; None leaves it."""
    kind = type(expr)
    if kind is Column:
        new = columns(expr.index)  # type: ignore[union-attr]
        return expr if new is None else new
    if kind is Call or kind is If:
        return map_scalar_children(expr, lambda arg: substitute(arg, columns))
    return expr


def remap(expr: ScalarExpr, mapping: Mapping[int, int]) -> ScalarExpr:
    """Return ``expr`` with column ``i`` renamed to ``mapping[i]``, which must exist."""
    kind = type(expr)
    if kind is Column:
        new = mapping[expr.index]  # type: ignore[union-attr]
        return expr if new == expr.index else Column(new)  # type: ignore[union-attr]
    if kind is Call or kind is If:
        return map_scalar_children(expr, lambda arg: remap(arg, mapping))
    return expr


def shift(expr: ScalarExpr, by: int) -> ScalarExpr:
    """Return ``expr`` with every column index moved by ``by``."""
    if by == 0:
        return expr
    kind = type(expr)
    if kind is Column:
        return Column(expr.index + by)  # type: ignore[union-attr]
    if kind is Call or kind is If:
        return map_scalar_children(expr, lambda arg: shift(arg, by))
    return expr


def map_aggregate(
    aggregate: AggregateExpr, function: Callable[[ScalarExpr], ScalarExpr]
) -> AggregateExpr:
    """Return ``aggregate`` with ``function`` applied to its argument."""
    expr = function(aggregate.expr)
    return aggregate if expr is aggregate.expr else replace(aggregate, expr=expr)


def columns_of_window_function(function: WindowFunction) -> set[int]:
    """Return the input columns that ``function`` reads, beside those of its window."""
    found = columns_of_all(function.args)
    others = (function.filter, function.frame.start.column, function.frame.end.column)
    return found | {column for column in others if column is not None}


def remap_window_function(function: WindowFunction, place: Mapping[int, int]) -> WindowFunction:
    """Return ``function`` with column ``i`` renamed to ``place[i]``, which must exist."""

    def moved(bound: FrameBound) -> FrameBound:
        return bound if bound.column is None else replace(bound, column=place[bound.column])

    frame = function.frame
    return replace(
        function,
        args=tuple(remap(arg, place) for arg in function.args),
        frame=replace(frame, start=moved(frame.start), end=moved(frame.end)),
        filter=None if function.filter is None else place[function.filter],
    )


def map_tuple(items: tuple[_T, ...], function: Callable[[_T], _T]) -> tuple[_T, ...]:
    """Return ``items`` with ``function`` applied, the same tuple if nothing changed."""
    new = [function(item) for item in items]
    for old, mapped in zip(items, new, strict=True):
        if old is not mapped:
            return tuple(new)
    return items


# Relations.

# Operators without inputs, and those with more than ``input`` alone. Asked before anything else:
# planning spends much of its time in walks, and a test of a type by identity is the cheapest.
_LEAVES = frozenset({Get, Constant, ConstantError})
_BRANCHING = frozenset({Join, Union, Let, LetRec})


def inputs_of(expr: RelationExpr) -> tuple[RelationExpr, ...]:
    """Return the direct inputs of ``expr``; bindings before the body."""
    kind = type(expr)
    if kind in _LEAVES:
        return ()
    if kind not in _BRANCHING:
        return (expr.input,)  # type: ignore[union-attr]
    if isinstance(expr, Let):
        return (expr.value, expr.body)
    if isinstance(expr, LetRec):
        return (*expr.values, expr.body)
    return expr.inputs  # type: ignore[union-attr]


def map_inputs(
    expr: RelationExpr, function: Callable[[RelationExpr], RelationExpr]
) -> RelationExpr:
    """Return ``expr`` with ``function`` applied to its direct inputs, bindings before the body."""
    kind = type(expr)
    if kind in _LEAVES:
        return expr
    if kind not in _BRANCHING:
        child = expr.input  # type: ignore[union-attr]
        mapped = function(child)
        return expr if mapped is child else replace(expr, input=mapped)
    if isinstance(expr, Join):
        inputs = map_tuple(expr.inputs, function)
        if inputs is expr.inputs:
            return expr
        return Join(inputs, expr.equivalences, expr.implementation)
    if isinstance(expr, Union):
        inputs = map_tuple(expr.inputs, function)
        return expr if inputs is expr.inputs else Union(inputs)
    if isinstance(expr, Let):
        value = function(expr.value)
        body = function(expr.body)
        if value is expr.value and body is expr.body:
            return expr
        return Let(expr.id, value, body)
    assert isinstance(expr, LetRec)
    values = map_tuple(expr.values, function)
    body = function(expr.body)
    if values is expr.values and body is expr.body:
        return expr
    return replace(expr, values=values, body=body)


def transform_up(
    expr: RelationExpr, function: Callable[[RelationExpr], RelationExpr]
) -> RelationExpr:
    """Apply ``function`` to every operator, inputs first."""

    def walk(node: RelationExpr) -> RelationExpr:
        return function(map_inputs(node, walk))

    return walk(expr)


def walk(expr: RelationExpr) -> Iterator[RelationExpr]:
    """Yield every operator of ``expr``, ``expr`` first, without recursion."""
    stack = [expr]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(inputs_of(node)))


def scalars_of(expr: RelationExpr) -> tuple[ScalarExpr, ...]:
    """Return the scalar expressions of the operator ``expr`` itself."""
    match expr:
        case Map():
            return expr.scalars
        case Filter():
            return expr.predicates
        case FlatMap():
            return expr.exprs
        case Join():
            return tuple(member for members in expr.equivalences for member in members)
        case Reduce():
            return (*expr.group_key, *(aggregate.expr for aggregate in expr.aggregates))
        case TopK():
            return () if expr.limit is None else (expr.limit,)
        case ArrangeBy():
            return tuple(member for key in expr.keys for member in key)
        case _:
            return ()


def map_scalars(expr: RelationExpr, function: Callable[[ScalarExpr], ScalarExpr]) -> RelationExpr:
    """Return the operator ``expr`` with ``function`` applied to each of its own scalars."""
    match expr:
        case Map():
            scalars = map_tuple(expr.scalars, function)
            return expr if scalars is expr.scalars else Map(expr.input, scalars)
        case Filter():
            predicates = map_tuple(expr.predicates, function)
            return expr if predicates is expr.predicates else Filter(expr.input, predicates)
        case FlatMap():
            exprs = map_tuple(expr.exprs, function)
            return expr if exprs is expr.exprs else replace(expr, exprs=exprs)
        case Join():
            classes = map_tuple(expr.equivalences, lambda members: map_tuple(members, function))
            if classes is expr.equivalences:
                return expr
            return replace(expr, equivalences=classes)
        case Reduce():
            key = map_tuple(expr.group_key, function)
            aggregates = map_tuple(
                expr.aggregates, lambda aggregate: map_aggregate(aggregate, function)
            )
            if key is expr.group_key and aggregates is expr.aggregates:
                return expr
            return replace(expr, group_key=key, aggregates=aggregates)
        case TopK():
            limit = None if expr.limit is None else function(expr.limit)
            return expr if limit is expr.limit else replace(expr, limit=limit)
        case ArrangeBy():
            keys = map_tuple(expr.keys, lambda members: map_tuple(members, function))
            return expr if keys is expr.keys else ArrangeBy(expr.input, keys)
        case _:
            return expr


def transform_scalars(
    expr: RelationExpr, function: Callable[[ScalarExpr], ScalarExpr]
) -> RelationExpr:
    """Apply ``function`` to every scalar of every operator of ``expr``."""
    return transform_up(expr, lambda node: map_scalars(node, function))


def local_gets(expr: RelationExpr) -> dict[int, int]:
    """Count the uses of each local id within ``expr``."""
    counts: dict[int, int] = {}
    for node in walk(expr):
        if isinstance(node, Get) and isinstance(node.id, LocalId):
            counts[node.id.id] = counts.get(node.id.id, 0) + 1
    return counts


def next_local_id(expr: RelationExpr) -> int:
    """Return a local id greater than all that ``expr`` binds or reads."""
    greatest = -1
    for node in walk(expr):
        match node:
            case Get(id=LocalId(id=number)):
                greatest = max(greatest, number)
            case Let():
                greatest = max(greatest, node.id)
            case LetRec():
                greatest = max(greatest, *node.ids)
            case _:
                pass
    return greatest + 1


# Depth.


def check_depth(expr: RelationExpr) -> None:
    """Make room for recursive walks over ``expr``, or refuse it.

    Raises:
        StatementTooComplex: Operators or calls nest deeper than ``PLAN_DEPTH_MAX``.
    """
    level: list[RelationExpr] = [expr]
    depth = deepest = 0
    while level:
        depth += 1
        if depth > PLAN_DEPTH_MAX:
            raise _too_deep()
        below: list[RelationExpr] = []
        for node in level:
            below.extend(inputs_of(node))
            for scalar in scalars_of(node):
                deepest = max(deepest, depth + _scalar_depth(scalar))
        level = below
    frames = max(depth, deepest) * _FRAMES_A_LEVEL
    if frames > _FRAMES_FREE and sys.getrecursionlimit() < frames + _FRAMES_FREE:
        sys.setrecursionlimit(frames + _FRAMES_FREE)


def _scalar_depth(expr: ScalarExpr) -> int:
    level = scalar_children(expr)
    depth = 1
    while level:
        depth += 1
        if depth > PLAN_DEPTH_MAX:
            raise _too_deep()
        level = tuple(child for node in level for child in scalar_children(node))
    return depth


def _too_deep() -> StatementTooComplex:
    return StatementTooComplex(
        "statement nests too deeply",
        detail=f"A plan may nest {PLAN_DEPTH_MAX} levels.",
        hint="Split the query into views.",
    )
