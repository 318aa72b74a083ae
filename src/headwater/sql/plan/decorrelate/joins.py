"""Joins: inner, outer and lateral.

Outer joins are the inner join, plus the rows without a match padded with NULLs. The unmatched rows
are the rows *less* the matched ones (negated), which is incremental and needs no threshold.
"""

from collections.abc import Sequence

from headwater.ir import kernels
from headwater.ir.relation import Filter, Get, Join, Reduce, RelationExpr, Union
from headwater.ir.scalar import Call, Column, ScalarExpr
from headwater.ir.typing import arity
from headwater.ir.visit import columns_of, shift
from headwater.sql.plan.decorrelate.build import (
    UNIT,
    distinct,
    is_unit,
    join_on_columns,
    matched,
    minus,
    project,
    with_nulls,
)
from headwater.sql.plan.decorrelate.scalars import attach_rows, branch, lower_plain, lower_scalar
from headwater.sql.plan.decorrelate.scope import Context, Scope, has_subquery
from headwater.sql.plan.hir import HirJoin, HirJoinKind

Pairs = list[tuple[int, int]]


def lower_join(context: Context, join: HirJoin, outer: RelationExpr, scope: Scope) -> RelationExpr:
    """Return ``outer`` followed by the join's columns, for each row of ``outer``."""
    if join.lateral:
        return _lower_lateral(context, join, outer, scope)
    prefix = arity(outer)
    left = context.lower(context, join.left, outer, scope)
    keep_right = join.join_kind in (HirJoinKind.RIGHT, HirJoinKind.FULL)
    shared = prefix
    if not is_unit(outer) and not keep_right and not context.free(join.right):
        right = context.lower(context, join.right, UNIT, ())
        shared = 0
    else:
        right = context.lower(context, join.right, outer, scope)
    if join.join_kind is HirJoinKind.INNER:
        return _inner(context, join, left, right, prefix, shared, scope)

    def over_left(rows: Get) -> RelationExpr:
        return context.bind(
            right,
            lambda others: _outer(context, join, rows, others, prefix, shared, scope),
        )

    return context.bind(left, over_left)


def _inner(
    context: Context,
    join: HirJoin,
    left: RelationExpr,
    right: RelationExpr,
    prefix: int,
    shared: int,
    scope: Scope,
) -> RelationExpr:
    """Join on the shared context columns and the condition; drop the right's copy of them.

    Shape: context, left's own, right's own.
    """
    width = arity(left)
    joined = join_on_columns(context, left, right, [(column, column) for column in range(shared)])
    joined = project(joined, (*range(width), *range(width + shared, arity(joined))))
    return _filter_on(context, join, joined, prefix, scope)


def _filter_on(
    context: Context, join: HirJoin, joined: RelationExpr, prefix: int, scope: Scope
) -> RelationExpr:
    width = arity(joined)
    inner_scope = ({column: prefix + column for column in range(width - prefix)}, *scope)
    predicate, widened = lower_scalar(context, join.on, inner_scope, joined)
    if kernels.is_true(predicate):
        return joined
    return project(Filter(widened, kernels.conjuncts(predicate)), range(width))


def _outer(
    context: Context,
    join: HirJoin,
    left: Get,
    right: Get,
    prefix: int,
    shared: int,
    scope: Scope,
) -> RelationExpr:
    left_width, right_width = arity(left), arity(right)
    own = right_width - shared  # the right's own columns
    left_types = context.typer.types(left)
    right_types = context.typer.types(right)[shared:]
    split = _equi_split(context, join, left, right, prefix, shared, scope)
    unmatched_left: RelationExpr | None = None
    unmatched_right: RelationExpr | None = None
    if split is not None:
        inner, unmatched_left, unmatched_right = split
    else:
        inner = _inner(context, join, left, right, prefix, shared, scope)

    def pad(both: RelationExpr) -> RelationExpr:
        parts: list[RelationExpr] = [both]
        if join.join_kind in (HirJoinKind.LEFT, HirJoinKind.FULL):
            missing = unmatched_left
            if missing is None:
                missing = _unmatched(context, left, both, range(left_width))
            parts.append(with_nulls(missing, right_types))
        if join.join_kind in (HirJoinKind.RIGHT, HirJoinKind.FULL):
            missing = unmatched_right
            if missing is None:
                columns = (*range(shared), *range(left_width, left_width + own))
                missing = _unmatched(context, right, both, columns)
            padded = with_nulls(missing, left_types[prefix:])
            parts.append(
                project(
                    padded,
                    (
                        *range(prefix),
                        *range(right_width, right_width + left_width - prefix),
                        *range(prefix, right_width),
                    ),
                )
            )
        return Union(tuple(parts))

    return pad(inner) if split is not None else context.bind(inner, pad)


def _unmatched(
    context: Context, side: Get, both: RelationExpr, columns: Sequence[int]
) -> RelationExpr:
    """Return the rows of ``side`` that do not occur as ``columns`` of ``both``, repeats kept."""
    present = distinct(project(both, columns))
    if context.typer.keys(side):
        return minus(side, present)
    pairs = [(column, column) for column in range(arity(side))]
    return minus(side, matched(context, side, present, pairs))


def _equi_split(
    context: Context,
    join: HirJoin,
    left: Get,
    right: Get,
    prefix: int,
    shared: int,
    scope: Scope,
) -> tuple[RelationExpr, RelationExpr, RelationExpr] | None:
    """Take the condition apart into equalities of both sides, and conditions on one side.

    Then whether a row has a match depends on its key alone, and the unmatched rows are found by
    the distinct keys of the other side. Returns the inner join and the rows of each side without a
    match, or None if the condition is of another kind.
    """
    if has_subquery(join.on):
        return None
    left_width = arity(left)
    own = arity(right) - shared
    inner_scope = (
        {column: prefix + column for column in range(left_width - prefix + own)},
        *scope,
    )
    predicate = lower_plain(context, join.on, inner_scope)
    if kernels.is_volatile(predicate):
        return None  # parts of the condition would be computed twice, and differ
    left_only: list[ScalarExpr] = []
    right_only: list[ScalarExpr] = []
    left_keys: list[ScalarExpr] = [Column(column) for column in range(shared)]
    right_keys: list[ScalarExpr] = [Column(column) for column in range(shared)]
    for conjunct in kernels.conjuncts(predicate):
        sides = _sides(conjunct, left_width)
        if sides == {"left"} or not sides:
            left_only.append(conjunct)
        elif sides == {"right"}:
            right_only.append(shift(conjunct, shared - left_width))
        else:
            pair = _equality(conjunct, left_width, shared)
            if pair is None:
                return None
            left_keys.append(pair[0])
            right_keys.append(pair[1])
    if len(left_keys) == shared:
        return None
    left_rows = _filtered(left, left_only)
    right_rows = _filtered(right, right_only)
    left_types, right_types = context.typer.types(left), context.typer.types(right)
    for column in range(shared):
        if left_types[column].nullable and right_types[column].nullable:
            left_keys[column] = kernels.null_safe(Column(column), left_types[column])
            right_keys[column] = left_keys[column]
    classes = tuple((a, shift(b, left_width)) for a, b in zip(left_keys, right_keys, strict=True))
    inner = project(
        Join((left_rows, right_rows), classes),
        (*range(left_width), *range(left_width + shared, left_width + shared + own)),
    )
    return (
        inner,
        minus(left, _semijoin(left_rows, left_keys, right_rows, right_keys)),
        minus(right, _semijoin(right_rows, right_keys, left_rows, left_keys)),
    )


def _semijoin(
    rows: RelationExpr,
    keys: list[ScalarExpr],
    others: RelationExpr,
    other_keys: list[ScalarExpr],
) -> RelationExpr:
    """Return the rows whose keys occur among the others' keys."""
    from_columns = [key.index for key in other_keys if isinstance(key, Column)]
    width = arity(rows)
    if len(from_columns) == len(other_keys):
        present = distinct(project(others, from_columns))
    else:
        present = Reduce(others, tuple(other_keys), ())
    classes = tuple((key, Column(width + number)) for number, key in enumerate(keys))
    return project(Join((rows, present), classes), range(width))


def _filtered(rows: Get, predicates: list[ScalarExpr]) -> RelationExpr:
    predicates = [item for item in predicates if not kernels.is_true(item)]
    return Filter(rows, tuple(predicates)) if predicates else rows


def _sides(expr: ScalarExpr, left_width: int) -> set[str]:
    return {"left" if column < left_width else "right" for column in columns_of(expr)}


def _equality(
    expr: ScalarExpr, left_width: int, shared: int
) -> tuple[ScalarExpr, ScalarExpr] | None:
    """Return both sides of ``left expression = right expression``, each over its own input."""
    if not isinstance(expr, Call) or expr.func != kernels.EQ:
        return None
    a, b = expr.args
    if _sides(a, left_width) == {"right"}:
        a, b = b, a
    if _sides(a, left_width) != {"left"} or _sides(b, left_width) != {"right"}:
        return None
    return a, shift(b, shared - left_width)


def _lower_lateral(
    context: Context, join: HirJoin, outer: RelationExpr, scope: Scope
) -> RelationExpr:
    """The right side is a relation over each row of the left, like a subquery of many rows."""
    prefix = arity(outer)
    left = context.lower(context, join.left, outer, scope)

    def over_left(rows: Get) -> RelationExpr:
        width = arity(rows)
        right_scope = (
            {column: prefix + column for column in range(width - prefix)},
            *scope,
        )
        joined = branch(context, join.right, right_scope, rows, attach_rows)
        inner = _filter_on(context, join, joined, prefix, scope)
        if join.join_kind is HirJoinKind.INNER:
            return inner

        def pad(both: RelationExpr) -> RelationExpr:
            types = context.typer.types(both)[width:]
            missing = _unmatched(context, rows, both, range(width))
            return Union((both, with_nulls(missing, types)))

        return context.bind(inner, pad)

    return context.bind(left, over_left)
