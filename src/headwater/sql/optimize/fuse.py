"""Canonical form: one Map, Filter, Project in a row; no join in a join, no union in a union."""

from headwater.ir import kernels
from headwater.ir.linear import Linear, extract, is_linear, subtracts
from headwater.ir.relation import (
    Constant,
    ConstantError,
    Filter,
    Get,
    Join,
    JoinKind,
    Map,
    Negate,
    Project,
    Reduce,
    RelationExpr,
    Threshold,
    TopK,
    Union,
)
from headwater.ir.scalar import Column, ScalarExpr
from headwater.ir.typing import arity
from headwater.ir.visit import map_inputs, shift, substitute
from headwater.sql.optimize.context import OptimizerContext


def fuse(expr: RelationExpr, _context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with adjacent operators of a kind made one, inputs first."""
    return _fuse(expr)


def _fuse(expr: RelationExpr) -> RelationExpr:
    kind = type(expr)
    if kind is Get or kind is Constant or kind is ConstantError:
        return expr
    if is_linear(expr):
        return _fuse_linear(expr)
    expr = map_inputs(expr, _fuse)
    if isinstance(expr, Join):
        return _fuse_join(expr)
    if isinstance(expr, Union):
        return _fuse_union(expr)
    if isinstance(expr, Negate):
        return _fuse_negate(expr)
    if isinstance(expr, Reduce):
        return _fuse_reduce(expr)
    if isinstance(expr, Threshold) and isinstance(expr.input, Threshold | Reduce | TopK):
        return expr.input
    return expr


def _fuse_linear(expr: RelationExpr) -> RelationExpr:
    linear, below = extract(expr)
    fused = _fuse(below)
    if isinstance(fused, Map | Filter | Project):
        upper, below = linear, fused
        linear, fused = extract(below)
        linear = linear.then(upper)
    simple = linear.simplified()
    rebuilt = simple.to_relation(fused)
    # Keep the object where nothing changed, so that memo tables stay warm.
    return expr if rebuilt == expr else rebuilt


def _fuse_union(expr: Union) -> RelationExpr:
    inputs: list[RelationExpr] = []
    for member in expr.inputs:
        inputs.extend(_union_members(member))
    if len(inputs) == 1:
        return inputs[0]
    if len(inputs) == len(expr.inputs):
        return expr
    return Union(tuple(inputs))


def _union_members(member: RelationExpr) -> list[RelationExpr]:
    """Return what ``member`` contributes to a union around it."""
    if isinstance(member, Union):
        return [inner for child in member.inputs for inner in _union_members(child)]
    linear, inner = extract(member)
    if not linear.is_identity and isinstance(inner, Union):
        if linear.may_fail and subtracts(inner):
            return [member]
        return [
            found
            for child in inner.inputs
            for found in _union_members(_fuse(linear.to_relation(child)))
        ]
    return [member]


def _fuse_negate(expr: Negate) -> RelationExpr:
    """Move a negation down to where a union can see it; two cancel."""
    inner = expr.input
    if isinstance(inner, Negate):
        return inner.input
    if isinstance(inner, Union):
        return Union(tuple(_fuse_negate(Negate(member)) for member in inner.inputs))
    linear, below = extract(inner)
    if not linear.is_identity and isinstance(below, Negate):
        return linear.to_relation(below.input)
    return expr


def _fuse_reduce(expr: Reduce) -> RelationExpr:
    """Make DISTINCT of DISTINCT one, and let keys and arguments see through a projection."""
    inner = expr.input
    if isinstance(inner, Project):
        outputs = inner.outputs

        def over(index: int) -> ScalarExpr:
            return Column(outputs[index])

        return _fuse_reduce(
            Reduce(
                inner.input,
                tuple(substitute(key, over) for key in expr.group_key),
                tuple(
                    kernels.with_expr(aggregate, substitute(aggregate.expr, over))
                    for aggregate in expr.aggregates
                ),
                expr.monotonic,
                expr.expected_group_size,
            )
        )
    if not expr.aggregates and isinstance(inner, Reduce) and not inner.aggregates:
        key = tuple(
            substitute(item, lambda index: inner.group_key[index]) for item in expr.group_key
        )
        return Reduce(inner.input, key, (), expr.monotonic, expr.expected_group_size)
    return expr


def _fuse_join(expr: Join) -> RelationExpr:
    """Flatten joins in joins, lifting what lies between to above; drop inputs of one empty row."""
    if expr.implementation.kind is not JoinKind.UNIMPLEMENTED:
        return expr
    if not any(_is_join(member) or _is_unit(member) for member in expr.inputs):
        if len(expr.inputs) == 1 and not expr.equivalences:
            return expr.inputs[0]
        return expr
    inputs: list[RelationExpr] = []
    classes: list[tuple[ScalarExpr, ...]] = []
    predicates: list[ScalarExpr] = []
    # For each old column, an expression over the new inputs' columns.
    columns: list[ScalarExpr] = []
    offset = 0
    for member in expr.inputs:
        linear, inner = extract(member)
        if not isinstance(inner, Join) or any(map(kernels.mentions_mz_now, linear.predicates)):
            linear, inner = Linear.identity(arity(member)), member
        nested: tuple[RelationExpr, ...] = (inner,)
        if isinstance(inner, Join) and inner.implementation.kind is JoinKind.UNIMPLEMENTED:
            nested = inner.inputs
            classes.extend(
                tuple(shift(item, offset) for item in members) for members in inner.equivalences
            )
        inputs.extend(child for child in nested if not _is_unit(child))
        predicates.extend(
            shift(linear.expand(predicate), offset) for predicate in linear.predicates
        )
        columns.extend(
            shift(linear.output(number), offset) for number in range(len(linear.outputs))
        )
        offset += linear.input_arity
    classes.extend(
        tuple(substitute(item, lambda index: columns[index]) for item in members)
        for members in expr.equivalences
    )
    result: RelationExpr
    if not inputs:
        inputs = [expr.inputs[0]]
    result = inputs[0] if len(inputs) == 1 and not classes else Join(tuple(inputs), tuple(classes))
    above = Linear.identity(offset).then_filter(predicates)
    above = above.then_map(columns).then_project(range(offset, offset + len(columns)))
    return above.simplified().to_relation(result)


def _is_join(expr: RelationExpr) -> bool:
    linear, inner = extract(expr)
    return (
        isinstance(inner, Join)
        and inner.implementation.kind is JoinKind.UNIMPLEMENTED
        and not any(map(kernels.mentions_mz_now, linear.predicates))
    )


def _is_unit(expr: RelationExpr) -> bool:
    return isinstance(expr, Constant) and expr.rows == ((b"", 1),) and not expr.desc.columns
