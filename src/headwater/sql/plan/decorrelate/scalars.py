"""Expressions: columns become positions, subqueries become columns of the relation below.

``lower_scalar`` may append columns to the relation that the expression is over; those that were
there keep their positions, so that a scope made before stays good.
"""

from collections.abc import Callable

from headwater.errors import FeatureNotSupported, InternalError
from headwater.ir import kernels
from headwater.ir.relation import Filter, Get, Map, Reduce, RelationExpr, Union
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
    minus,
    product,
    project,
)
from headwater.sql.plan.decorrelate.scope import Context, Scope, has_subquery
from headwater.sql.plan.hir import (
    ColumnRef,
    Exists,
    HirCall,
    HirConstant,
    HirIf,
    HirMap,
    HirProject,
    HirReduce,
    HirRelation,
    HirScalar,
    ScalarSubquery,
    WindowCall,
)
from headwater.types.scalar import ColumnType

Lowered = tuple[ScalarExpr, RelationExpr]


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
            if always_one_row(expr.relation):
                return kernels.TRUE, inner
            inner = branch(context, expr.relation, scope, inner, _exists)
            return Column(arity(inner) - 1), inner
        case ScalarSubquery():
            finish = _only_row if always_one_row(expr.relation) else _at_most_one_row
            inner = branch(context, expr.relation, scope, inner, finish)
            return Column(arity(inner) - 1), inner
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


def always_one_row(relation: HirRelation) -> bool:
    """Return whether ``relation`` has exactly one row for each row of its context."""
    while isinstance(relation, HirProject | HirMap):
        relation = relation.input
    if isinstance(relation, HirReduce):
        return not relation.group_key
    return isinstance(relation, HirConstant) and [diff for _, diff in relation.rows] == [1]


Finish = Callable[[Context, RelationExpr, RelationExpr], RelationExpr]


def branch(
    context: Context,
    relation: HirRelation,
    scope: Scope,
    inner: RelationExpr,
    finish: Finish,
) -> RelationExpr:
    """Return ``inner`` followed by the columns that ``relation`` has for each of its rows.

    ``relation`` sees ``scope[0]`` as level 1. It is computed for the distinct values of the
    columns it mentions; ``finish(context, keys, result)`` turns the result (keys' columns first)
    into what is joined back on the keys.
    """
    used = sorted({scope[level - 1][index] for level, index in context.free(relation)})
    width = arity(inner)
    if not used:
        result = finish(context, UNIT, context.lower(context, relation, UNIT, ()))
        return product(inner, result)
    place = {position: number for number, position in enumerate(used)}
    narrowed = tuple(
        {index: place[position] for index, position in level.items() if position in place}
        for level in scope
    )

    def over_inner(rows: Get) -> RelationExpr:
        def over_keys(keys: Get) -> RelationExpr:
            result = finish(context, keys, context.lower(context, relation, keys, narrowed))
            joined = join_on_columns(
                context, rows, result, [(position, place[position]) for position in used]
            )
            return project(joined, (*range(width), *range(width + len(used), arity(joined))))

        return context.bind(distinct(project(rows, used)), over_keys)

    return context.bind(inner, over_inner)


def _exists(context: Context, keys: RelationExpr, result: RelationExpr) -> RelationExpr:
    """Return the keys followed by whether ``result`` has a row for them."""
    width = arity(keys)

    def pad(present: Get) -> RelationExpr:
        return Union(
            (
                Map(present, (kernels.TRUE,)),
                Map(minus(keys, present), (kernels.FALSE,)),
            )
        )

    return context.bind(distinct(project(result, range(width))), pad)


def _only_row(context: Context, keys: RelationExpr, result: RelationExpr) -> RelationExpr:
    return result


def _at_most_one_row(context: Context, keys: RelationExpr, result: RelationExpr) -> RelationExpr:
    """Return the keys followed by the only value of ``result``, NULL if there is none."""
    width = arity(keys)
    value_type = context.typer.types(result)[width]
    columns = tuple(range(width))
    unique = any(set(key) <= set(columns) for key in context.typer.keys(result))

    def pad(rows: Get) -> RelationExpr:
        missing = minus(keys, distinct(project(rows, columns)))
        return Union((rows, Map(missing, (kernels.null_of(value_type.type),))))

    def guard(rows: Get) -> RelationExpr:
        counts = Reduce(
            project(rows, columns),
            tuple(Column(column) for column in columns),
            (AggregateExpr(kernels.COUNT, kernels.TRUE, kernels.COUNT_TYPE),),
        )
        several = Filter(counts, (kernels.gt(Column(width), kernels.int8_literal(1)),))
        error = LiteralError(kernels.SEVERAL_ROWS, ColumnType(value_type.type, nullable=False))
        errors = project(Map(several, (error,)), (*columns, width + 1))
        return Union((rows, errors))

    if not unique:
        result = context.bind(result, guard)
    return context.bind(result, pad)
