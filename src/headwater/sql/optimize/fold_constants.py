"""Relations known at planning are computed at planning; what is empty goes away.

Folding neither hides nor invents errors: an expression that fails on a constant row makes the
whole constant a ``ConstantError`` only where every reader of the row would fail.
"""

from headwater.ir import kernels
from headwater.ir.effort import is_cheap
from headwater.ir.linear import is_draw
from headwater.ir.relation import (
    ArrangeBy,
    Constant,
    ConstantError,
    Filter,
    FlatMap,
    Join,
    Map,
    Negate,
    Project,
    Reduce,
    RelationExpr,
    Threshold,
    TopK,
    Union,
    Window,
)
from headwater.ir.rows import split_row
from headwater.ir.scalar import Call, Column, If, Literal, LiteralError, ScalarExpr
from headwater.ir.typing import Typer, Types
from headwater.ir.visit import map_inputs, substitute, walk_scalar
from headwater.sql.optimize.context import OptimizerContext
from headwater.types.relation import RelationDesc

FOLD_ROWS_MAX = 1_000  # rows of a constant that planning is willing to compute with

Rows = tuple[tuple[bytes, int], ...]


def fold_constants(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with operators over constants evaluated, and empty inputs propagated."""

    def visit(node: RelationExpr) -> RelationExpr:
        return _fold(map_inputs(node, visit), context)

    return visit(expr)


def empty(expr: RelationExpr, typer: Typer) -> Constant:
    """Return the constant of no rows that has the columns of ``expr``."""
    return Constant((), RelationDesc(typer.desc(expr).columns, ((),)))


def is_empty(expr: RelationExpr) -> bool:
    """Return whether ``expr`` is the constant of no rows."""
    return isinstance(expr, Constant) and not expr.rows


def _fold(node: RelationExpr, context: OptimizerContext) -> RelationExpr:
    match node:
        case (
            Map()
            | Filter()
            | Project()
            | Negate()
            | Threshold()
            | Reduce()
            | TopK()
            | Window()
            | FlatMap()
        ):
            child = node.input
            if isinstance(child, Constant | ConstantError) or isinstance(node, Filter | Reduce):
                return _fold_unary(node, child, context)
            return node
        case ArrangeBy():
            return node
        case Join():
            return _fold_join(node, context)
        case Union():
            return _fold_union(node, context)
        case _:
            return node


def _fold_unary(node: RelationExpr, child: RelationExpr, context: OptimizerContext) -> RelationExpr:
    if isinstance(node, Filter) and not isinstance(child, Constant | ConstantError):
        return _fold_filter(node, context)
    if isinstance(child, ConstantError):
        return ConstantError(child.error, context.typer.desc(node))
    if not isinstance(child, Constant):
        return node
    if not child.rows:
        return empty(node, context.typer)
    if len(child.rows) > FOLD_ROWS_MAX:
        return node
    rows = child.rows
    match node:
        case Negate():
            return Constant(
                tuple((row, -diff) for row, diff in rows), RelationDesc(child.desc.columns)
            )
        case Threshold():
            kept = tuple((row, diff) for row, diff in _consolidate(rows) if diff > 0)
            return Constant(kept, child.desc)
        case Project():
            return _fold_project(node, child, context.typer)
        case Map():
            return _fold_map(node, child, context)
        case Filter():
            return _fold_filter_rows(node, child, context)
        case Reduce():
            return _fold_distinct(node, child, context)
        case _:
            return node


def _fold_filter(node: Filter, context: OptimizerContext) -> RelationExpr:
    if any(kernels.is_false_or_null(item) for item in node.predicates):
        # What comes before a false condition may still be meant to fail; SQL does not promise it.
        return empty(node, context.typer)
    predicates = tuple(item for item in node.predicates if not kernels.is_true(item))
    if len(predicates) == len(node.predicates):
        return node
    return Filter(node.input, predicates) if predicates else node.input


def _fold_project(node: Project, child: Constant, typer: Typer) -> RelationExpr:
    rows = []
    for row, diff in child.rows:
        datums = split_row(row)
        rows.append((b"".join(datums[output] for output in node.outputs), diff))
    return Constant(_consolidate(tuple(rows)), typer.desc(node))


def _fold_map(node: Map, child: Constant, context: OptimizerContext) -> RelationExpr:
    scalars = node.scalars
    if any(not is_closed(scalar) for scalar in scalars):
        return node
    desc = _desc_of_map(node, context.typer)
    given = child.rows
    if is_draw(node):
        if any(diff < 0 for _, diff in given) or sum(diff for _, diff in given) > FOLD_ROWS_MAX:
            return node
        given = tuple((row, 1) for row, diff in given for _ in range(diff))  # a draw for each
    rows = []
    for row, diff in given:
        datums = split_row(row)
        for scalar in scalars:
            value = evaluate(scalar, datums, child.desc.types, context, node)
            if value is None:
                return node
            if isinstance(value, LiteralError):
                return ConstantError(value, desc)
            datums.append(value.data)
        rows.append((b"".join(datums), diff))
    return Constant(tuple(rows), desc)


def _desc_of_map(node: Map, typer: Typer) -> RelationDesc:
    return typer.desc(node)


def _fold_filter_rows(node: Filter, child: Constant, context: OptimizerContext) -> RelationExpr:
    predicates = [item for item in node.predicates if is_closed(item)]
    others = tuple(item for item in node.predicates if not is_closed(item))
    rows = []
    for row, diff in child.rows:
        datums = split_row(row)
        for predicate in predicates:
            value = evaluate(predicate, datums, child.desc.types, context, node)
            if value is None:
                return node
            if isinstance(value, LiteralError):
                return ConstantError(value, context.typer.desc(node))
            if not kernels.is_true(value):
                break
        else:
            rows.append((row, diff))
    result = Constant(tuple(rows), child.desc)
    return Filter(result, others) if others else result


def _fold_distinct(node: Reduce, child: Constant, context: OptimizerContext) -> RelationExpr:
    if node.aggregates or any(diff <= 0 for _, diff in child.rows):
        return node
    if any(not is_closed(key) for key in node.group_key):
        return node
    rows: dict[bytes, int] = {}
    for row, _ in child.rows:
        datums = split_row(row)
        parts = []
        for key in node.group_key:
            value = evaluate(key, datums, child.desc.types, context, node)
            if value is None:
                return node
            if isinstance(value, LiteralError):
                return ConstantError(value, context.typer.desc(node))
            parts.append(value.data)
        rows[b"".join(parts)] = 1
    return Constant(tuple(rows.items()), context.typer.desc(node))


def _fold_union(node: Union, context: OptimizerContext) -> RelationExpr:
    for member in node.inputs:
        if isinstance(member, ConstantError):
            return ConstantError(member.error, context.typer.desc(node))
    kept = [member for member in node.inputs if not is_empty(member)]
    constants = [member for member in kept if isinstance(member, Constant)]
    if len(constants) > 1:
        rows = _consolidate(tuple(row for member in constants for row in member.rows))
        columns = context.typer.desc(Union(tuple(constants))).columns
        kept = [member for member in kept if not isinstance(member, Constant)]
        if rows:
            kept.append(Constant(rows, RelationDesc(columns)))
    if not kept:
        return empty(node, context.typer)
    if len(kept) == 1:
        return kept[0]
    return node if len(kept) == len(node.inputs) else Union(tuple(kept))


def _fold_join(node: Join, context: OptimizerContext) -> RelationExpr:
    if any(is_empty(member) for member in node.inputs):
        return empty(node, context.typer)
    for members in node.equivalences:
        literals = {item.data for item in members if isinstance(item, Literal)}
        if len(literals) > 1 or kernels.NULL_DATUM in literals:
            return empty(node, context.typer)
    constants = [member for member in node.inputs if isinstance(member, Constant)]
    if len(constants) < len(node.inputs) or not constants:
        return node
    rows: Rows = ((b"", 1),)
    for member in constants:
        if len(rows) * len(member.rows) > FOLD_ROWS_MAX:
            return node
        rows = tuple((left + right, m * n) for left, m in rows for right, n in member.rows)
    columns = tuple(column for member in constants for column in member.desc.columns)
    product = Constant(rows, RelationDesc(columns))
    predicates = tuple(
        kernels.eq(members[0], item) for members in node.equivalences for item in members[1:]
    )
    return _fold(Filter(product, predicates), context) if predicates else product


def _consolidate(rows: Rows) -> Rows:
    if len(rows) < 2:
        return rows
    sums: dict[bytes, int] = {}
    for row, diff in rows:
        sums[row] = sums.get(row, 0) + diff
    return tuple((row, diff) for row, diff in sums.items() if diff)


def is_closed(expr: ScalarExpr) -> bool:
    """Return whether ``expr`` depends on columns alone: no parameter, no moment, no session."""
    return all(
        isinstance(item, Column | Literal | LiteralError | Call | If) for item in walk_scalar(expr)
    )


def evaluate(
    expr: ScalarExpr,
    datums: list[bytes],
    types: Types,
    context: OptimizerContext,
    node: RelationExpr,
) -> Literal | LiteralError | None:
    """Return the value of ``expr`` over one row; None where that is left to the dataflow."""
    if isinstance(expr, Literal | LiteralError):
        return expr
    known = types if len(datums) <= len(types) else context.typer.types(node)

    def value(index: int) -> ScalarExpr:
        return Literal(datums[index], known[index])

    constant = substitute(expr, value)
    return context.fold(constant) if is_cheap(constant) else None
