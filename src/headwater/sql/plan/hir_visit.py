"""Rewriting column references in high-level plans.

A scalar's columns count levels outwards from where the scalar stands. Inside a subquery of it the
same row is one level further out: *depth* counts how many. Every rewrite returns the very object it
was given where nothing changed.
"""

from collections.abc import Callable, Iterable

import msgspec

from headwater.ir.functions import VOLATILE_KERNELS
from headwater.ir.scalar import CallUnmaterializable, Literal, LiteralError, Parameter
from headwater.sql.plan.hir import (
    ColumnRef,
    Exists,
    HirAggregate,
    HirCall,
    HirConstant,
    HirDistinct,
    HirFilter,
    HirGet,
    HirGetLocal,
    HirIf,
    HirJoin,
    HirLet,
    HirLetRec,
    HirMap,
    HirNegate,
    HirProject,
    HirReduce,
    HirRelation,
    HirScalar,
    HirTableFunc,
    HirThreshold,
    HirTopK,
    HirUnion,
    ScalarSubquery,
    WindowCall,
)

replace = msgspec.structs.replace
# Called with a leaf and its depth; returns what stands in its place.
Leaf = Callable[[HirScalar, int], HirScalar]
# Called with each whole scalar first; None lets the walk go on into it.
Whole = Callable[[HirScalar, int], HirScalar | None]
_LEAVES = (ColumnRef, Literal, LiteralError, Parameter, CallUnmaterializable)


class Rewriter:
    """Applies a function to the leaves of scalars, also inside their subqueries.

    ``whole`` is offered each scalar before its parts; what it returns is final.
    """

    __slots__ = ("leaf", "whole")

    def __init__(self, leaf: Leaf, whole: Whole | None = None) -> None:
        self.leaf = leaf
        self.whole = whole

    def scalar(self, expr: HirScalar, depth: int = 0) -> HirScalar:
        """Rewrite a scalar that stands ``depth`` levels inside."""
        if self.whole is not None:
            found = self.whole(expr, depth)
            if found is not None:
                return found
        kind = type(expr)
        if kind in _LEAVES:
            return self.leaf(expr, depth)
        if isinstance(expr, HirCall):
            args = self.scalars(expr.args, depth)
            return expr if args is expr.args else HirCall(expr.func, args, expr.type)
        if isinstance(expr, HirIf):
            return self._branches(expr, depth)
        if isinstance(expr, Exists):
            relation = self.relation(expr.relation, depth + 1)
            return expr if relation is expr.relation else Exists(relation)
        if isinstance(expr, ScalarSubquery):
            relation = self.relation(expr.relation, depth + 1)
            return expr if relation is expr.relation else ScalarSubquery(relation, expr.type)
        assert isinstance(expr, WindowCall)
        return self._window(expr, depth)

    def _branches(self, expr: HirIf, depth: int) -> HirScalar:
        chain: list[HirIf] = []
        last: HirScalar = expr
        while isinstance(last, HirIf):
            chain.append(last)
            last = last.els
            if self.whole is not None and isinstance(last, HirIf):
                found = self.whole(last, depth)
                if found is not None:
                    last = found
                    break
        rewritten = self.scalar(last, depth) if not isinstance(last, HirIf) else last
        for link in reversed(chain):
            cond, then = self.scalar(link.cond, depth), self.scalar(link.then, depth)
            same = cond is link.cond and then is link.then and rewritten is link.els
            rewritten = link if same else HirIf(cond, then, rewritten)
        return rewritten

    def _window(self, expr: WindowCall, depth: int) -> HirScalar:
        parts = expr.parts
        rewritten = self.scalars(parts, depth)
        return expr if rewritten is parts else expr.with_parts(rewritten)

    def scalars(self, exprs: tuple[HirScalar, ...], depth: int) -> tuple[HirScalar, ...]:
        """Rewrite several scalars."""
        rewritten = tuple([self.scalar(expr, depth) for expr in exprs])
        same = all(new is old for new, old in zip(rewritten, exprs, strict=True))
        return exprs if same else rewritten

    def relation(self, node: HirRelation, depth: int) -> HirRelation:
        """Rewrite the scalars of a relation whose own rows are ``depth`` levels inside."""
        match node:
            case HirConstant() | HirGet() | HirGetLocal():
                return node
            case HirMap(input, scalars):
                inner, new = self.relation(input, depth), self.scalars(scalars, depth)
                return node if inner is input and new is scalars else HirMap(inner, new)
            case HirFilter(input, predicates):
                inner, new = self.relation(input, depth), self.scalars(predicates, depth)
                return node if inner is input and new is predicates else HirFilter(inner, new)
            case HirProject(input, outputs):
                inner = self.relation(input, depth)
                return node if inner is input else HirProject(inner, outputs)
            case HirJoin():
                return self._join(node, depth)
            case HirTableFunc(func, args, desc):
                new = self.scalars(args, depth)
                return node if new is args else HirTableFunc(func, new, desc)
            case HirReduce():
                return self._reduce(node, depth)
            case HirDistinct(input) | HirNegate(input) | HirThreshold(input):
                inner = self.relation(input, depth)
                return node if inner is input else replace(node, input=inner)
            case HirTopK():
                inner = self.relation(node.input, depth)
                limit = None if node.limit is None else self.scalar(node.limit, depth)
                if inner is node.input and limit is node.limit:
                    return node
                return replace(node, input=inner, limit=limit)
            case HirUnion(inputs):
                parts = self.relations(inputs, depth)
                return node if parts is inputs else HirUnion(parts)
            case HirLet():
                value, body = self.relation(node.value, depth), self.relation(node.body, depth)
                same = value is node.value and body is node.body
                return node if same else replace(node, value=value, body=body)
            case HirLetRec():
                values, body = self.relations(node.values, depth), self.relation(node.body, depth)
                same = values is node.values and body is node.body
                return node if same else replace(node, values=values, body=body)

    def relations(self, nodes: tuple[HirRelation, ...], depth: int) -> tuple[HirRelation, ...]:
        """Rewrite several relations."""
        rewritten = tuple([self.relation(node, depth) for node in nodes])
        same = all(new is old for new, old in zip(rewritten, nodes, strict=True))
        return nodes if same else rewritten

    def _join(self, node: HirJoin, depth: int) -> HirRelation:
        left = self.relation(node.left, depth)
        right = self.relation(node.right, depth + 1 if node.lateral else depth)
        on = self.scalar(node.on, depth)
        if left is node.left and right is node.right and on is node.on:
            return node
        return replace(node, left=left, right=right, on=on)

    def _reduce(self, node: HirReduce, depth: int) -> HirRelation:
        inner = self.relation(node.input, depth)
        aggregates = tuple([self.aggregate(aggregate, depth) for aggregate in node.aggregates])
        same = all(new is old for new, old in zip(aggregates, node.aggregates, strict=True))
        if inner is node.input and same:
            return node
        return replace(node, input=inner, aggregates=aggregates)

    def aggregate(self, aggregate: HirAggregate, depth: int) -> HirAggregate:
        """Rewrite an aggregate's argument."""
        expr = self.scalar(aggregate.expr, depth)
        return aggregate if expr is aggregate.expr else replace(aggregate, expr=expr)


def shift(expr: HirScalar, by: int) -> HirScalar:
    """Return ``expr`` for a place ``by`` levels further inside."""

    def leaf(found: HirScalar, depth: int) -> HirScalar:
        if isinstance(found, ColumnRef) and found.level >= depth:
            return ColumnRef(found.level + by, found.index, found.type, found.name)
        return found

    return expr if by == 0 else Rewriter(leaf).scalar(expr)


def move_columns(expr: HirScalar, move: Callable[[int], int]) -> HirScalar:
    """Return ``expr`` with the columns of level 0 moved to where ``move`` says."""

    def leaf(found: HirScalar, depth: int) -> HirScalar:
        if isinstance(found, ColumnRef) and found.level == depth:
            return ColumnRef(found.level, move(found.index), found.type, found.name)
        return found

    return Rewriter(leaf).scalar(expr)


def mentions_level(expr: HirScalar, level: int) -> bool:
    """Return whether ``expr`` refers to a column of ``level``."""
    found = False

    def leaf(scalar: HirScalar, depth: int) -> HirScalar:
        nonlocal found
        if isinstance(scalar, ColumnRef) and scalar.level == depth + level:
            found = True
        return scalar

    Rewriter(leaf).scalar(expr)
    return found


def least_level(exprs: Iterable[HirScalar]) -> int | None:
    """Return the innermost level that ``exprs`` refer to, None if to no column at all."""
    found: int | None = None

    def leaf(scalar: HirScalar, depth: int) -> HirScalar:
        nonlocal found
        if isinstance(scalar, ColumnRef) and scalar.level >= depth:
            level = scalar.level - depth
            found = level if found is None else min(found, level)
        return scalar

    rewriter = Rewriter(leaf)
    for expr in exprs:
        rewriter.scalar(expr)
    return found


def has_window(expr: HirScalar) -> bool:
    """Return whether ``expr`` itself, not a subquery in it, calls a window function."""
    stack = [expr]
    while stack:
        top = stack.pop()
        if isinstance(top, WindowCall):
            return True
        if isinstance(top, HirCall):
            stack.extend(top.args)
        elif isinstance(top, HirIf):
            stack.extend((top.cond, top.then, top.els))
    return False


def has_subquery(expr: HirScalar) -> bool:
    """Return whether a subquery is part of ``expr``."""
    return _has(expr, lambda node: isinstance(node, Exists | ScalarSubquery))


def has_volatile_call(expr: HirScalar) -> bool:
    """Return whether evaluating ``expr`` again may give another value."""
    return _has(expr, lambda node: isinstance(node, HirCall) and node.func in VOLATILE_KERNELS)


def calls(expr: HirScalar, func: str) -> bool:
    """Return whether the kernel ``func`` is called in ``expr``."""
    return _has(expr, lambda node: isinstance(node, HirCall) and node.func == func)


def _has(expr: HirScalar, wanted: Callable[[HirScalar], bool]) -> bool:
    found = False

    def whole(node: HirScalar, _: int) -> HirScalar | None:
        nonlocal found
        found = found or wanted(node)
        return node if found else None

    Rewriter(lambda leaf, _: leaf, whole).scalar(expr)
    return found
