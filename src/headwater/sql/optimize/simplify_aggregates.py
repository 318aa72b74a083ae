"""Aggregates in their cheapest form, and each only once.

Every aggregate of a reduction is state per group in each of its replicas, so that those which must
be equal are worth finding: ``avg(a), avg(b)`` over columns that are never NULL count rows twice.
"""

from headwater.ir import kernels
from headwater.ir.linear import extract
from headwater.ir.relation import Map, Project, Reduce, RelationExpr
from headwater.ir.scalar import AggregateExpr, Column, Literal, ScalarExpr
from headwater.ir.typing import Key, Types, scalar_type
from headwater.ir.visit import map_inputs, map_tuple, replace
from headwater.sql.optimize.context import OptimizerContext

# Aggregates of which repeated arguments change nothing.
_IDEMPOTENT = frozenset({"min", "max", "bool_and", "bool_or", "mz_all", "mz_any"})


def simplify_aggregates(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with no aggregate or constant key computed that another one tells."""

    def visit(node: RelationExpr) -> RelationExpr:
        node = map_inputs(node, visit)
        return _simplify(node, context) if isinstance(node, Reduce) else node

    return visit(expr)


def _simplify(node: Reduce, context: OptimizerContext) -> RelationExpr:
    types, keys = context.typer.types(node.input), context.typer.keys(node.input)
    aggregates = map_tuple(
        node.aggregates,
        lambda item: _counting_rows(_without_distinct(item, node.group_key, keys), types),
    )
    if aggregates is not node.aggregates:
        node = replace(node, aggregates=aggregates)
    return _each_once(node)


def _without_distinct(
    item: AggregateExpr, group_key: tuple[ScalarExpr, ...], keys: tuple[Key, ...]
) -> AggregateExpr:
    """Drop DISTINCT where repetition changes nothing, or no group has an argument twice."""
    if not item.distinct:
        return item
    columns = {key.index for key in (*group_key, item.expr) if isinstance(key, Column)}
    once = _ignores_order(item) and any(set(key) <= columns for key in keys)
    return replace(item, distinct=False) if once or item.func in _IDEMPOTENT else item


def _ignores_order(item: AggregateExpr) -> bool:
    """Whether the aggregate is the same in any order; DISTINCT gives some others theirs."""
    return item.func == kernels.COUNT or item.func.startswith("sum_")


def _counting_rows(item: AggregateExpr, types: Types) -> AggregateExpr:
    """Count rows in place of an argument that is never NULL and never an error."""
    if (
        item.func != kernels.COUNT
        or item.distinct
        or item.order_by
        or kernels.is_true(item.expr)
        or kernels.may_fail(item.expr)
        or scalar_type(item.expr, types).nullable
    ):
        return item
    return kernels.with_expr(item, kernels.TRUE)


def _each_once(node: Reduce) -> RelationExpr:
    """Compute equal keys and aggregates once, and constant keys not at all."""
    linear, _ = extract(node.input)
    keys = [linear.output(key.index) if isinstance(key, Column) else key for key in node.group_key]
    constant = [key if isinstance(key, Literal) else None for key in keys]
    kept_keys = tuple(
        dict.fromkeys(
            key for key, value in zip(node.group_key, constant, strict=True) if value is None
        )
    )
    kept = tuple(dict.fromkeys(node.aggregates))
    if len(kept_keys) == len(node.group_key) and len(kept) == len(node.aggregates):
        return node
    reduced: RelationExpr = replace(node, group_key=kept_keys, aggregates=kept)
    width = len(kept_keys) + len(kept)
    constants: list[ScalarExpr] = []
    outputs = []
    for key, value in zip(node.group_key, constant, strict=True):
        if value is None:
            outputs.append(kept_keys.index(key))
        else:
            outputs.append(width + len(constants))
            constants.append(value)
    outputs.extend(len(kept_keys) + kept.index(item) for item in node.aggregates)
    if constants:
        reduced = Map(reduced, tuple(constants))
    return Project(reduced, tuple(outputs))
