"""Reductions whose groups are single rows become maps."""

from headwater.ir import kernels
from headwater.ir.relation import Map, Project, Reduce, RelationExpr
from headwater.ir.scalar import AggregateExpr, Column, If, ScalarExpr
from headwater.ir.typing import Types, arity, scalar_type
from headwater.ir.visit import map_inputs
from headwater.sql.optimize.context import OptimizerContext

_IDENTITY = frozenset({"min", "max", "bool_and", "bool_or"})


def elide_reduces(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` without reductions by a key of their input."""

    def visit(node: RelationExpr) -> RelationExpr:
        node = map_inputs(node, visit)
        return _elide(node, context) if isinstance(node, Reduce) else node

    return visit(expr)


def _elide(node: Reduce, context: OptimizerContext) -> RelationExpr:
    columns = {key.index for key in node.group_key if isinstance(key, Column)}
    keys = context.typer.keys(node.input)
    if not any(set(key) <= columns for key in keys):
        return node
    types = context.typer.types(node.input)
    values = [over_one_row(aggregate, types) for aggregate in node.aggregates]
    scalars: list[ScalarExpr] = list(node.group_key)
    for value in values:
        if value is None:
            return node
        scalars.append(value)
    width = arity(node.input)
    return Project(Map(node.input, tuple(scalars)), tuple(range(width, width + len(scalars))))


def over_one_row(aggregate: AggregateExpr, types: Types) -> ScalarExpr | None:
    """Return the aggregate's value over a single row, None if it takes more than an expression."""
    expr = aggregate.expr
    if aggregate.func in _IDENTITY:
        return expr if scalar_type(expr, types).type == aggregate.type.type else None
    if aggregate.func == kernels.COUNT:
        if not scalar_type(expr, types).nullable:
            return kernels.int8_literal(1)
        return If(kernels.is_null(expr), kernels.int8_literal(0), kernels.int8_literal(1))
    return None
