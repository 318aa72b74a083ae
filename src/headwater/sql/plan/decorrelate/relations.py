"""The walk over relations, and the entry point."""

from collections.abc import Container, Iterable, Mapping, Sequence

from headwater.errors import FeatureNotSupported, within_stack
from headwater.ir import kernels
from headwater.ir.relation import (
    Constant,
    Filter,
    FlatMap,
    Get,
    Global,
    Let,
    Map,
    Negate,
    Reduce,
    RelationExpr,
    Threshold,
    TopK,
    Union,
)
from headwater.ir.scalar import AggregateExpr, Column, ScalarExpr
from headwater.ir.typing import arity
from headwater.ir.visit import replace
from headwater.sql.plan.decorrelate.build import (
    UNIT,
    distinct,
    is_unit,
    minus,
    product,
    project,
)
from headwater.sql.plan.decorrelate.joins import lower_join
from headwater.sql.plan.decorrelate.ranked import keep_first_rows
from headwater.sql.plan.decorrelate.recursion import lower_let_rec
from headwater.sql.plan.decorrelate.scalars import lower_plain, lower_scalar
from headwater.sql.plan.decorrelate.scope import (
    Context,
    Scope,
    has_subquery,
    has_window,
    map_hir_scalar,
    replace_local,
    walk_hir,
)
from headwater.sql.plan.decorrelate.windows import lower_windows
from headwater.sql.plan.hir import (
    ColumnRef,
    HirConstant,
    HirDistinct,
    HirFilter,
    HirGet,
    HirGetLocal,
    HirJoin,
    HirLet,
    HirLetRec,
    HirMap,
    HirNegate,
    HirProject,
    HirReduce,
    HirRelation,
    HirScalar,
    HirTableFunc,
    HirThreshold,
    HirTopK,
    HirUnion,
    WindowCall,
)


@within_stack()
def decorrelate(relation: HirRelation) -> RelationExpr:
    """Return the relational plan that computes ``relation``.

    Shape: the columns of ``relation``.

    Raises:
        FeatureNotSupported: A form that has no plan yet.
        StatementTooComplex: Relations nest too deeply.
    """
    return lower_relation(Context(lower_relation), relation, UNIT, ())


def lower_relation(
    context: Context, relation: HirRelation, outer: RelationExpr, scope: Scope
) -> RelationExpr:
    """Return ``outer``'s columns followed by ``relation``'s, for every row of ``outer``.

    ``outer`` is cheap to repeat (a local name or the unit) and its rows are distinct. ``scope[i]``
    places the columns of level ``i + 1``, as ``relation`` counts, in ``outer``.
    """
    context.deeper()
    try:
        if not is_unit(outer) and not context.free(relation):
            return product(outer, _lower(context, relation, UNIT, ()))
        return _lower(context, relation, outer, scope)
    finally:
        context.depth -= 1


def _lower(  # noqa: C901, PLR0911, PLR0912 -- one case an operator
    context: Context, relation: HirRelation, outer: RelationExpr, scope: Scope
) -> RelationExpr:
    prefix = arity(outer)
    match relation:
        case HirConstant():
            return product(outer, Constant(relation.rows, relation.desc))
        case HirGet():
            return product(outer, Get(Global(relation.id), relation.desc))
        case HirGetLocal():
            return product(outer, context.ctes[relation.id])
        case HirLet():
            return _lower_let(context, relation, outer, scope)
        case HirLetRec():
            return lower_let_rec(context, relation, outer, scope)
        case HirProject():
            inner = lower_relation(context, relation.input, outer, scope)
            columns = (prefix + output for output in relation.outputs)
            return project(inner, (*range(prefix), *columns))
        case HirMap():
            return _lower_map(context, relation, outer, scope)
        case HirFilter():
            return _lower_filter(context, relation, outer, scope)
        case HirTableFunc():
            return _lower_table_func(context, relation, outer, scope)
        case HirJoin():
            return lower_join(context, relation, outer, scope)
        case HirReduce():
            return _lower_reduce(context, relation, outer, scope)
        case HirDistinct():
            return distinct(lower_relation(context, relation.input, outer, scope))
        case HirTopK():
            return _lower_top_k(context, relation, outer, scope)
        case HirNegate():
            return Negate(lower_relation(context, relation.input, outer, scope))
        case HirThreshold():
            return Threshold(lower_relation(context, relation.input, outer, scope))
        case HirUnion():
            return Union(
                tuple(lower_relation(context, member, outer, scope) for member in relation.inputs)
            )


def _lower_let(
    context: Context, relation: HirLet, outer: RelationExpr, scope: Scope
) -> RelationExpr:
    if context.free(relation.value):
        # A CTE over its context's columns: each use computes it for its own context.
        body = replace_local(relation.body, relation.id, relation.value)
        return lower_relation(context, body, outer, scope)
    value = lower_relation(context, relation.value, UNIT, ())
    number = context.fresh()
    desc = context.typer.desc(value)
    context.local(relation.id, number, desc)
    return Let(number, value, lower_relation(context, relation.body, outer, scope))


def _lower_map(
    context: Context, relation: HirMap, outer: RelationExpr, scope: Scope
) -> RelationExpr:
    inner = lower_relation(context, relation.input, outer, scope)
    prefix, width = arity(outer), arity(inner)
    place = {column: prefix + column for column in range(width - prefix)}
    outputs = list(range(width))
    computed: dict[WindowCall, int] = {}
    for number, scalar in enumerate(relation.scalars):
        if has_window(scalar):
            ready = _ready_windows(relation.scalars[number:], place, computed)
            inner = _compute_windows(context, ready, computed, place, scope, inner, prefix)
            scalar, inner = _over_windows(context, scalar, computed, place, scope, inner, prefix)
        expr, inner = lower_scalar(context, scalar, (place, *scope), inner)
        inner = Map(inner, (expr,))
        position = arity(inner) - 1
        place[len(outputs) - prefix] = position
        outputs.append(position)
    return project(inner, outputs)


def _ready_windows(
    scalars: Iterable[HirScalar], place: Mapping[int, int], computed: Container[WindowCall]
) -> list[WindowCall]:
    """Return the calls that can be computed at once: over columns that are there, none nested."""

    def is_ready(call: WindowCall) -> bool:
        nodes = [node for part in call.parts for node in walk_hir(part)]
        return not any(
            isinstance(node, WindowCall)
            or (isinstance(node, ColumnRef) and node.level == 0 and node.index not in place)
            for node in nodes
        ) and not any(map(has_subquery, call.parts))

    calls = (node for scalar in scalars for node in walk_hir(scalar))
    windows = dict.fromkeys(node for node in calls if isinstance(node, WindowCall))
    return [call for call in windows if call not in computed and is_ready(call)]


def _compute_windows(
    context: Context,
    calls: Sequence[WindowCall],
    computed: dict[WindowCall, int],
    place: dict[int, int],
    scope: Scope,
    inner: RelationExpr,
    prefix: int,
) -> RelationExpr:
    """Add columns for ``calls``; they get numbers below zero in ``place``, which no other has."""
    if not calls:
        return inner
    width = arity(inner)
    inner = lower_windows(context, calls, (dict(place), *scope), inner, prefix)
    for number, call in enumerate(calls):
        computed[call] = -1 - len(computed)
        place[computed[call]] = width + number
    return inner


def _over_windows(
    context: Context,
    scalar: HirScalar,
    computed: dict[WindowCall, int],
    place: dict[int, int],
    scope: Scope,
    inner: RelationExpr,
    prefix: int,
) -> tuple[HirScalar, RelationExpr]:
    """Return an expression over the columns of its window calls, those not yet there computed."""

    def visit(node: HirScalar) -> HirScalar:
        nonlocal inner
        if not isinstance(node, WindowCall):
            return node
        if node not in computed:
            inner = _compute_windows(context, [node], computed, place, scope, inner, prefix)
        return ColumnRef(0, computed[node], node.type)

    return map_hir_scalar(scalar, visit), inner


def _lower_filter(
    context: Context, relation: HirFilter, outer: RelationExpr, scope: Scope
) -> RelationExpr:
    """Cheap conditions first, so that subqueries are computed for the rows that remain."""
    limited = keep_first_rows(relation)
    if limited is not relation:
        return lower_relation(context, limited, outer, scope)
    inner = lower_relation(context, relation.input, outer, scope)
    prefix, width = arity(outer), arity(inner)
    inner_scope = ({column: prefix + column for column in range(width - prefix)}, *scope)
    for predicate in sorted(relation.predicates, key=has_subquery):
        expr, inner = lower_scalar(context, predicate, inner_scope, inner)
        inner = Filter(inner, kernels.conjuncts(expr))
    return project(inner, range(width))


def _lower_table_func(
    context: Context, relation: HirTableFunc, outer: RelationExpr, scope: Scope
) -> RelationExpr:
    prefix = arity(outer)
    inner, args = outer, []
    for arg in relation.args:
        expr, inner = lower_scalar(context, arg, ({}, *scope), inner)
        args.append(expr)
    types = relation.desc.types
    result = FlatMap(inner, relation.func, tuple(args), types)
    width = arity(inner)
    return project(result, (*range(prefix), *range(width, width + len(types))))


def _lower_reduce(
    context: Context, relation: HirReduce, outer: RelationExpr, scope: Scope
) -> RelationExpr:
    omit_default, context.omit_default = context.omit_default, False
    inner = lower_relation(context, relation.input, outer, scope)
    prefix, width = arity(outer), arity(inner)
    inner_scope = ({column: prefix + column for column in range(width - prefix)}, *scope)
    aggregates = []
    for aggregate in relation.aggregates:
        expr, inner = lower_scalar(context, aggregate.expr, inner_scope, inner)
        aggregates.append(
            AggregateExpr(
                aggregate.func, expr, aggregate.type, aggregate.distinct, aggregate.order_by
            )
        )
    key: list[ScalarExpr] = [Column(column) for column in range(prefix)]
    key.extend(Column(prefix + column) for column in relation.group_key)
    reduce = Reduce(
        inner,
        tuple(key),
        tuple(aggregates),
        expected_group_size=relation.expected_group_size,
    )
    if relation.group_key or omit_default:
        return reduce

    def with_default(rows: Get) -> RelationExpr:
        missing = minus(outer, project(rows, range(prefix)))
        defaults = tuple(kernels.default_of(aggregate) for aggregate in aggregates)
        return Union((rows, Map(missing, defaults) if defaults else missing))

    return context.bind(reduce, with_default)


def _lower_top_k(
    context: Context, relation: HirTopK, outer: RelationExpr, scope: Scope
) -> RelationExpr:
    inner = lower_relation(context, relation.input, outer, scope)
    prefix = arity(outer)
    limit = None
    if relation.limit is not None:
        if has_subquery(relation.limit):
            raise FeatureNotSupported("subqueries in LIMIT are not supported")
        # The context's columns lead the input's, and all are of the group key.
        limit = lower_plain(context, relation.limit, ({}, *scope))
    return TopK(
        inner,
        (*range(prefix), *(prefix + column for column in relation.group_key)),
        tuple(replace(key, column=prefix + key.column) for key in relation.order_key),
        limit,
        relation.offset,
        expected_group_size=relation.expected_group_size,
    )
