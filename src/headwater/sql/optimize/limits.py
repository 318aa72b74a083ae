"""Top-k that cuts nothing, everything, or again."""

from headwater.ir import kernels
from headwater.ir.relation import RelationExpr, TopK
from headwater.ir.scalar import Literal
from headwater.ir.visit import map_inputs, replace
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.fold_constants import empty


def fuse_limits(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with top-k in its cheapest form."""

    def visit(node: RelationExpr) -> RelationExpr:
        node = map_inputs(node, visit)
        return _top_k(node, context) if isinstance(node, TopK) else node

    return visit(expr)


def _top_k(node: TopK, context: OptimizerContext) -> RelationExpr:
    limit = _rows(node)
    if node.limit is None and not node.offset:
        return node.input
    if limit == 0:
        return empty(node, context.typer)
    if _is_one_row(node, context):
        # The group is one row, or none: only the offset could leave it out.
        return empty(node, context.typer) if node.offset else node.input
    below = node.input
    if (
        isinstance(below, TopK)
        and below.group_key == node.group_key
        and below.order_key == node.order_key
    ):
        return _fused(node, below)
    return node


def _rows(node: TopK) -> int | None:
    """Return the limit where it is known; None also where there is none."""
    if isinstance(node.limit, Literal) and not kernels.is_null_literal(node.limit):
        return kernels.int_of(node.limit.data)
    return None


def _is_one_row(node: TopK, context: OptimizerContext) -> bool:
    if node.limit is not None and _rows(node) is None:
        return False
    group = set(node.group_key)
    return any(set(key) <= group for key in context.typer.keys(node.input))


def _fused(node: TopK, below: TopK) -> RelationExpr:
    """Cut once where the same groups are cut twice in the same order."""
    outer, inner = _rows(node), _rows(below)
    if (node.limit is not None and outer is None) or (below.limit is not None and inner is None):
        return node
    limits = []
    if inner is not None:
        limits.append(max(inner - node.offset, 0))
    if outer is not None:
        limits.append(outer)
    limit = kernels.int8_literal(min(limits)) if limits else None
    return replace(below, limit=limit, offset=below.offset + node.offset)
