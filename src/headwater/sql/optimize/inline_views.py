"""Put the definitions of views where they are named, each bound once."""

from headwater.errors import InternalError
from headwater.ir.kernels import int8_literal, is_volatile_call
from headwater.ir.relation import Get, Global, Let, LetRec, LocalId, RelationExpr
from headwater.ir.scalar import Call, ScalarExpr
from headwater.ir.visit import (
    map_inputs,
    map_tuple,
    next_local_id,
    replace,
    transform_scalar,
    transform_scalars,
    transform_up,
    walk,
)
from headwater.sql.optimize.context import OptimizerContext
from headwater.types.ids import GlobalId


def inline_views(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with each view that has no index bound by a Let around it.

    Views that definitions name are inlined too; each view is bound once, before those that use it.
    """
    if not _named(expr, context):
        return expr
    order: list[GlobalId] = []
    state: dict[GlobalId, bool] = {}

    def visit(node: RelationExpr) -> None:
        for name in _named(node, context):
            if state.get(name) is False:
                raise InternalError("view is defined by itself", detail=f"id = {name}")
            if name not in state:
                state[name] = False
                visit(context.views[name])
                state[name] = True
                order.append(name)

    visit(expr)
    number = next_local_id(expr)
    bound: dict[GlobalId, int] = {}
    bindings: list[tuple[int, RelationExpr]] = []
    for name in order:
        body = _drawing_apart(context.views[name], len(bindings))
        body, number = _renumbered(body, number)
        bindings.append((number, _replace_names(body, bound)))
        bound[name] = number
        number += 1
    result = _replace_names(expr, bound)
    for identifier, value in reversed(bindings):
        result = Let(identifier, value, result)
    return result


def _drawing_apart(body: RelationExpr, number: int) -> RelationExpr:
    """Return ``body`` with volatile calls that are none of another view's, nor the query's.

    Calls count up from 0 in each statement; a further argument tells statements apart.
    """

    def visit(node: ScalarExpr) -> ScalarExpr:
        if isinstance(node, Call) and is_volatile_call(node):
            return Call(node.func, (*node.args, int8_literal(number)), node.type)
        return node

    return transform_scalars(body, lambda scalar: transform_scalar(scalar, visit))


def _named(expr: RelationExpr, context: OptimizerContext) -> list[GlobalId]:
    found: dict[GlobalId, None] = {}
    for node in walk(expr):
        if isinstance(node, Get) and isinstance(node.id, Global):
            name = node.id.id
            if name in context.views and not context.indexes.get(name):
                found[name] = None
    return list(found)


def _replace_names(expr: RelationExpr, bound: dict[GlobalId, int]) -> RelationExpr:
    def visit(node: RelationExpr) -> RelationExpr:
        if isinstance(node, Get) and isinstance(node.id, Global) and node.id.id in bound:
            return Get(LocalId(bound[node.id.id]), node.desc)
        return node

    return transform_up(expr, visit)


def _renumbered(expr: RelationExpr, first: int) -> tuple[RelationExpr, int]:
    """Return ``expr`` with its local ids replaced by ``first`` and up, and the next free one."""
    fresh: dict[int, int] = {}

    def name(old: int) -> int:
        return fresh.setdefault(old, first + len(fresh))

    def visit(node: RelationExpr) -> RelationExpr:
        node = map_inputs(node, visit)
        match node:
            case Get(id=LocalId(id=old)):
                return Get(LocalId(name(old)), node.desc)
            case Let():
                return Let(name(node.id), node.value, node.body)
            case LetRec():
                return replace(node, ids=map_tuple(node.ids, name))
            case _:
                return node

    result = visit(expr)
    return result, first + len(fresh)
