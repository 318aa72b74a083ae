"""Small pieces of relational plan that decorrelation is made of."""

from collections.abc import Sequence

from headwater.ir.kernels import null_of, null_safe
from headwater.ir.relation import (
    Constant,
    Join,
    Map,
    Negate,
    Project,
    Reduce,
    RelationExpr,
    Union,
)
from headwater.ir.scalar import Column, ScalarExpr
from headwater.ir.typing import arity
from headwater.ir.visit import shift
from headwater.sql.plan.decorrelate.scope import Context
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ColumnType

# One row of no columns: the context of a query that stands in none.
UNIT = Constant(((b"", 1),), RelationDesc((), ((),)))


def is_unit(expr: RelationExpr) -> bool:
    """Return whether ``expr`` is one row of no columns."""
    return isinstance(expr, Constant) and not expr.desc.columns and expr.rows == UNIT.rows


def product(left: RelationExpr, right: RelationExpr) -> RelationExpr:
    """Return all pairs of rows."""
    if is_unit(left):
        return right
    if is_unit(right):
        return left
    return Join((left, right), ())


def project(expr: RelationExpr, outputs: Sequence[int]) -> RelationExpr:
    """Return the columns ``outputs`` of ``expr``; itself if that is all of them."""
    if list(outputs) == list(range(arity(expr))):
        return expr
    return Project(expr, tuple(outputs))


def distinct(expr: RelationExpr) -> RelationExpr:
    """Return each row of ``expr`` once."""
    return Reduce(expr, tuple(Column(index) for index in range(arity(expr))), ())


def minus(left: RelationExpr, right: RelationExpr) -> RelationExpr:
    """Return ``left`` less ``right``, which must be contained in it."""
    return Union((left, Negate(right)))


def join_on_columns(
    context: Context,
    left: RelationExpr,
    right: RelationExpr,
    pairs: Sequence[tuple[int, int]],
) -> RelationExpr:
    """Join where columns are not distinct, NULL being equal to NULL.

    Shape: the columns of both, one after the other.
    """
    if not pairs:
        return product(left, right)
    left_types, right_types = context.typer.types(left), context.typer.types(right)
    offset = len(left_types)
    classes: list[tuple[ScalarExpr, ...]] = []
    for a, b in pairs:
        nullable = left_types[a].nullable and right_types[b].nullable
        type_ = ColumnType(left_types[a].type, nullable)
        classes.append((null_safe(Column(a), type_), null_safe(Column(offset + b), type_)))
    return Join((left, right), tuple(classes))


def with_nulls(expr: RelationExpr, types: Sequence[ColumnType]) -> RelationExpr:
    """Return ``expr`` followed by a NULL of each of ``types``."""
    if not types:
        return expr
    return Map(expr, tuple(null_of(column.type) for column in types))


def matched(
    context: Context, left: RelationExpr, right: RelationExpr, pairs: Sequence[tuple[int, int]]
) -> RelationExpr:
    """Return the rows of ``left`` that have a match in ``right``, whose rows are distinct."""
    joined = join_on_columns(context, left, right, pairs)
    return project(joined, range(arity(left)))


def shifted(exprs: Sequence[ScalarExpr], by: int) -> tuple[ScalarExpr, ...]:
    """Return ``exprs`` with column indexes moved by ``by``."""
    return tuple(shift(expr, by) for expr in exprs)
