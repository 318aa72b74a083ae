"""Expressions: columns become positions, subqueries become columns of the relation below.

``lower_scalar`` may append columns to the relation that the expression is over; those that were
there keep their positions, so that a scope made before stays good.
"""

from collections.abc import Callable

from headwater.errors import FeatureNotSupported, InternalError
from headwater.ir import kernels
from headwater.ir.relation import Filter, Get, Let, Map, Reduce, RelationExpr, Union
from headwater.ir.scalar import (
    AggregateExpr,
    Call,
    CallUnmaterializable,
    Column,
    If,
    Literal,
    LiteralError,
    Parameter,
    ScalarExpr,
)
from headwater.ir.typing import arity
from headwater.sql.plan.decorrelate.build import (
    UNIT,
    distinct,
    join_on_columns,
    matched,
    minus,
    project,
)
from headwater.sql.plan.decorrelate.scope import Context, Scope, has_subquery, has_window
from headwater.sql.plan.hir import (
    ColumnRef,
    Exists,
    HirCall,
    HirConstant,
    HirFilter,
    HirGet,
    HirGetLocal,
    HirIf,
    HirMap,
    HirProject,
    HirReduce,
    HirRelation,
    HirScalar,
    HirTableFunc,
    ScalarSubquery,
    WindowCall,
)
from headwater.types.scalar import ColumnType

Lowered = tuple[ScalarExpr, RelationExpr]
Pairs = list[tuple[int, int]]  # a column of the rows, the column of the result equal to it


def lower_scalar(context: Context, expr: HirScalar, scope: Scope, inner: RelationExpr) -> Lowered:
    """Return ``expr`` over ``inner``, and ``inner`` with the columns that subqueries need."""
    match expr:
        case ColumnRef():
            return Column(scope[expr.level][expr.index]), inner
        case Literal() | LiteralError() | Parameter() | CallUnmaterializable():
            return expr, inner
        case HirCall():
            if expr.func == kernels.COALESCE and any(map(has_subquery, expr.args[1:])):
                return _lower_coalesce(context, expr, scope, inner)
            args = []
            for arg in expr.args:
                lowered, inner = lower_scalar(context, arg, scope, inner)
                args.append(lowered)
            return Call(expr.func, tuple(args), expr.type), inner
        case HirIf():
            return _lower_if(context, expr, scope, inner)
        case Exists():
            if _is_one_row(expr.relation):
                return kernels.TRUE, inner
            inner = branch(context, expr.relation, scope, inner, _exists)
            return Column(arity(inner) - 1), inner
        case ScalarSubquery():
            return _lower_subquery(context, expr.relation, scope, inner)
        case WindowCall():
            raise FeatureNotSupported("window functions are not allowed here")


def lower_plain(context: Context, expr: HirScalar, scope: Scope) -> ScalarExpr:
    """Return ``expr``, which holds no subquery, over positions of ``scope``."""
    lowered, after = lower_scalar(context, expr, scope, UNIT)
    if after is not UNIT:
        raise InternalError("subquery where none may be")
    return lowered


def _lower_if(context: Context, expr: HirIf, scope: Scope, inner: RelationExpr) -> Lowered:
    cond, inner = lower_scalar(context, expr.cond, scope, inner)
    if not has_subquery(expr.then) and not has_subquery(expr.els):
        then, inner = lower_scalar(context, expr.then, scope, inner)
        els, inner = lower_scalar(context, expr.els, scope, inner)
        return If(cond, then, els), inner
    return _guarded(
        context,
        inner,
        cond,
        lambda rows: lower_scalar(context, expr.then, scope, rows),
        lambda rows: lower_scalar(context, expr.els, scope, rows),
    )


def _lower_coalesce(context: Context, expr: HirCall, scope: Scope, inner: RelationExpr) -> Lowered:
    """Compute the arguments after the first only for rows where it is NULL."""
    first, inner = lower_scalar(context, expr.args[0], scope, inner)
    if len(expr.args) == 1:
        return first, inner
    inner = Map(inner, (first,))
    value = Column(arity(inner) - 1)
    rest = HirCall(expr.func, expr.args[1:], expr.type)
    return _guarded(
        context,
        inner,
        kernels.is_null(value),
        lambda rows: lower_scalar(context, rest, scope, rows),
        lambda rows: (value, rows),
    )


def _guarded(
    context: Context,
    inner: RelationExpr,
    cond: ScalarExpr,
    then: Callable[[RelationExpr], Lowered],
    els: Callable[[RelationExpr], Lowered],
) -> Lowered:
    """Split the rows by ``cond``, so that neither branch's subqueries see the other's rows.

    An error of a branch not taken (PostgreSQL: 4.2.14, CASE guards) does not arise that way.
    """
    if kernels.is_volatile(cond):
        inner = Map(inner, (cond,))
        cond = Column(arity(inner) - 1)  # both halves go by one value
    width = arity(inner)

    def split(rows: Get) -> RelationExpr:
        halves = []
        otherwise = kernels.negation(Call(kernels.IS_TRUE, (cond,), kernels.BOOL_TYPE))
        for predicate, side in ((cond, then), (otherwise, els)):
            value, half = side(Filter(rows, (predicate,)))
            half = Map(half, (value,))
            halves.append(project(half, (*range(width), arity(half) - 1)))
        return Union(tuple(halves))

    return Column(width), context.bind(inner, split)


def _is_one_row(relation: HirRelation) -> bool:
    """Return whether ``relation`` is an expression over a global aggregate."""
    while isinstance(relation, HirProject | HirMap):
        relation = relation.input
    return isinstance(relation, HirReduce) and not relation.group_key


def _lower_subquery(
    context: Context, relation: HirRelation, scope: Scope, inner: RelationExpr
) -> Lowered:
    """Return the only value of a scalar subquery.

    Where it is an expression over a global aggregate (or over nothing), the aggregate is joined to
    the rows and the expression is computed on top.
    """
    above: list[HirProject | HirMap] = []
    core = relation
    while isinstance(core, HirProject | HirMap):
        above.append(core)
        core = core.input
    if isinstance(core, HirReduce) and not core.group_key:
        inner = branch(context, core, scope, inner, _aggregated)
        width = arity(inner) - len(core.aggregates)
        place = {number: width + number for number in range(len(core.aggregates))}
    elif isinstance(core, HirConstant) and not core.desc.columns and core.rows == UNIT.rows:
        place = {}
    else:
        inner = branch(context, relation, scope, inner, _at_most_one_row)
        return Column(arity(inner) - 1), inner
    for node in reversed(above):
        if isinstance(node, HirProject):
            place = {number: place[output] for number, output in enumerate(node.outputs)}
            continue
        for scalar in node.scalars:
            value, inner = lower_scalar(context, scalar, (place, *scope), inner)
            inner = Map(inner, (value,))
            place = {**place, len(place): arity(inner) - 1}
    return Column(place[0]), inner


# Given the context, the rows, what the subquery is for their keys (keys first), and which columns
# of both are to be equal: the rows followed by what the subquery adds to them.
Attach = Callable[[Context, Get, RelationExpr, Pairs], RelationExpr]


def branch(
    context: Context,
    relation: HirRelation,
    scope: Scope,
    inner: RelationExpr,
    attach: Attach,
) -> RelationExpr:
    """Return ``inner`` followed by the columns that ``relation`` has for each of its rows.

    ``relation`` sees ``scope[0]`` as level 1. It is computed for the distinct values of the
    columns it mentions, and joined back on them by ``attach``.
    """

    def compute(keys: RelationExpr, inside: Scope) -> RelationExpr:
        context.omit_default = attach is _aggregated
        return context.lower(context, relation, keys, inside)

    used = sorted({scope[level - 1][index] for level, index in context.free(relation)})
    if attach is attach_rows and _is_row_wise(context, relation):
        return context.bind(inner, lambda rows: context.lower(context, relation, rows, scope))
    if not used:
        return context.bind(
            inner,
            lambda rows: attach(context, rows, compute(UNIT, ()), []),
        )
    place = {position: number for number, position in enumerate(used)}
    narrowed = tuple(
        {index: place[position] for index, position in level.items() if position in place}
        for level in scope
    )
    pairs = [(position, place[position]) for position in used]

    def over_inner(rows: Get) -> RelationExpr:
        return context.bind(
            distinct(project(rows, used)),
            lambda keys: attach(context, rows, compute(keys, narrowed), pairs),
        )

    return context.bind(inner, over_inner)


def _is_row_wise(context: Context, relation: HirRelation) -> bool:
    """Return whether ``relation`` can be computed for rows that repeat, each by itself.

    Then it is computed over the rows themselves and not over their distinct keys.
    """
    while isinstance(relation, HirProject | HirMap | HirFilter):
        if isinstance(relation, HirMap) and any(map(has_window, relation.scalars)):
            return False
        relation = relation.input
    if isinstance(relation, HirTableFunc | HirGet | HirGetLocal | HirConstant):
        return True
    return not context.free(relation)


def attach_rows(context: Context, rows: Get, result: RelationExpr, pairs: Pairs) -> RelationExpr:
    """Join: each row followed by each row of the result for its key."""
    width = arity(rows)
    joined = join_on_columns(context, rows, result, pairs)
    return project(joined, (*range(width), *range(width + len(pairs), arity(joined))))


def _exists(context: Context, rows: Get, result: RelationExpr, pairs: Pairs) -> RelationExpr:
    """Add whether the result has a row for the key."""
    present = distinct(project(result, range(len(pairs))))
    return context.bind(
        matched(context, rows, present, pairs),
        lambda hits: Union((Map(hits, (kernels.TRUE,)), Map(minus(rows, hits), (kernels.FALSE,)))),
    )


def _aggregated(context: Context, rows: Get, result: RelationExpr, pairs: Pairs) -> RelationExpr:
    """Add the aggregates, or their values over nothing where the key has no group."""
    width = arity(rows)
    reduce = result
    while isinstance(reduce, Let):
        reduce = reduce.body
    if not isinstance(reduce, Reduce):
        raise InternalError("global aggregate is not a reduction")
    defaults = tuple(map(kernels.default_of, reduce.aggregates))

    def pad(hits: Get) -> RelationExpr:
        missing = minus(rows, project(hits, range(width)))
        return Union((hits, Map(missing, defaults) if defaults else missing))

    return context.bind(attach_rows(context, rows, result, pairs), pad)


def _at_most_one_row(
    context: Context, rows: Get, result: RelationExpr, pairs: Pairs
) -> RelationExpr:
    """Add the only value, NULL if there is none; an error if there are several."""
    width, key_width = arity(rows), len(pairs)
    value_type = context.typer.types(result)[key_width]
    columns = range(key_width)
    null = kernels.null_of(value_type.type)
    if any(set(key) <= set(columns) for key in context.typer.keys(result)):
        return context.bind(
            attach_rows(context, rows, result, pairs),
            lambda hits: Union((hits, Map(minus(rows, project(hits, range(width))), (null,)))),
        )

    def guard(values: Get) -> RelationExpr:
        counts = Reduce(
            project(values, columns),
            tuple(Column(column) for column in columns),
            (AggregateExpr(kernels.COUNT, kernels.TRUE, kernels.COUNT_TYPE),),
        )
        several = Filter(counts, (kernels.gt(Column(key_width), kernels.int8_literal(1)),))
        error = LiteralError(kernels.SEVERAL_ROWS, ColumnType(value_type.type, nullable=False))
        errors = project(Map(several, (error,)), (*columns, key_width + 1))
        return Union((values, errors))

    def pad(values: Get) -> RelationExpr:
        hits = attach_rows(context, rows, values, pairs)
        present = distinct(project(values, columns))
        missing = minus(rows, matched(context, rows, present, pairs))
        return Union((hits, Map(missing, (null,))))

    return context.bind(context.bind(result, guard), pad)
