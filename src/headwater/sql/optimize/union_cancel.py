"""A union's branch and its negation cancel."""

from headwater.ir.relation import Negate, RelationExpr, Union
from headwater.ir.visit import map_inputs
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.fold_constants import empty


def cancel_unions(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` without pairs of equal union branches of which one is negated."""

    def visit(node: RelationExpr) -> RelationExpr:
        node = map_inputs(node, visit)
        return _cancel(node, context) if isinstance(node, Union) else node

    return visit(expr)


def _cancel(union: Union, context: OptimizerContext) -> RelationExpr:
    negated = [member.input for member in union.inputs if isinstance(member, Negate)]
    if not negated:
        return union
    kept: list[RelationExpr] = []
    dropped: list[RelationExpr] = []
    for member in union.inputs:
        if not isinstance(member, Negate) and member in negated:
            negated.remove(member)
            dropped.append(member)
        else:
            kept.append(member)
    if not dropped:
        return union
    for member in dropped:
        kept.remove(Negate(member))
    if not kept:
        return empty(union, context.typer)
    return kept[0] if len(kept) == 1 else Union(tuple(kept))
