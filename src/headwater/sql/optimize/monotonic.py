"""Reductions and top-k over collections that only grow are marked: they need less state."""

from headwater.ir.relation import Let, Reduce, RelationExpr, TopK
from headwater.ir.typing import is_monotonic
from headwater.ir.visit import map_inputs, replace
from headwater.sql.optimize.context import OptimizerContext


def flag_monotonic(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with ``monotonic`` set where the input is never retracted."""
    bound: dict[int, bool] = {}

    def grows(node: RelationExpr) -> bool:
        return is_monotonic(node, context.append_only.__contains__, bound)

    def visit(node: RelationExpr) -> RelationExpr:
        if isinstance(node, Let):
            value = visit(node.value)
            bound[node.id] = grows(value)
            body = visit(node.body)
            if value is node.value and body is node.body:
                return node
            return Let(node.id, value, body)
        node = map_inputs(node, visit)
        if isinstance(node, Reduce | TopK) and not node.monotonic and grows(node.input):
            return replace(node, monotonic=True)
        return node

    return visit(expr)
