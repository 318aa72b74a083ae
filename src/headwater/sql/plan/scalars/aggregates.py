"""Aggregates: overloads, DISTINCT, FILTER, ORDER BY; averages and variances from sums.

An aggregate becomes a reference to a column that grouping will make (``Aggregates.add``). Averages
and variances of numbers are arithmetic over sums and counts, so that the dataflow has to maintain
no more than those; the same arithmetic serves window aggregates, which is what ``make`` abstracts
from. Variances of floats are aggregates of their own: the difference of two sums of squares is
exact only before it is rounded.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from headwater.errors import DatatypeMismatch, SyntaxError_, UndefinedFunction, WrongObjectType
from headwater.ir.functions import CastContext, Signature
from headwater.ir.literals import TRUE, int_literal, literal_from_text, null_literal
from headwater.ir.scalar import ColumnOrder
from headwater.sql.ast import query as ast
from headwater.sql.plan.calls import choose_function, convey
from headwater.sql.plan.coerce import cast, make_record
from headwater.sql.plan.context import Aggregates, ExprContext
from headwater.sql.plan.hir import HirAggregate, HirCall, HirIf, HirScalar
from headwater.sql.plan.hir_visit import least_level, shift
from headwater.sql.plan.overload import Choice
from headwater.sql.plan.scalars.subqueries import condition
from headwater.sql.plan.types import type_of
from headwater.types.scalar import (
    BOOL,
    BPCHAR,
    FLOAT8,
    INT8,
    INTERVAL,
    NUMERIC,
    BaseType,
    ColumnType,
    record_of,
)

# Aggregates whose answer depends on NULL arguments: a FILTER cannot make rows NULL for them.
_KEEPS_NULLS = frozenset({"array_agg", "list_agg", "jsonb_agg", "jsonb_object_agg", "map_agg"})
_ORDERED = frozenset({*_KEEPS_NULLS, "string_agg"})
_NEVER_NULL = frozenset({"count", "regr_count"})
_AVERAGES = frozenset({"avg"})
_VARIANCES = {
    "variance": (True, False),
    "var_samp": (True, False),
    "var_pop": (False, False),
    "stddev": (True, True),
    "stddev_samp": (True, True),
    "stddev_pop": (False, True),
}
_FLOATS = frozenset({BaseType.FLOAT4, BaseType.FLOAT8})
# Sort keys: the expression, whether it falls, whether NULL comes last.
OrderKeys = tuple[tuple[HirScalar, bool, bool], ...]
# Makes one aggregate over coerced arguments: its overload and arguments to a scalar.
Make = Callable[[Choice, tuple[HirScalar, ...]], HirScalar]


def plan_aggregate(
    ctx: ExprContext, node: ast.Function, name: str, overloads: tuple[Signature, ...]
) -> HirScalar:
    """Plan an aggregate call in a clause where aggregates may stand."""
    inner = ctx.inside_aggregate()
    if ctx.aggregates is None:
        outer = None if ctx.in_aggregate else _only_of_outer(inner, node, name, overloads)
        if outer is None:
            raise ctx.refuse_aggregate(name, node.position)
        return outer
    aggregates = ctx.aggregates
    args = aggregate_arguments(inner, node, name)
    keep = None if node.filter is None else condition(_filter_context(ctx), node.filter, "FILTER")
    order = order_keys(inner, node)
    if node.distinct:
        _check_distinct(node, args, order)

    level = least_level([arg for arg, _ in args])
    if level:
        # An aggregate over an outer query's columns alone is that query's.
        owner = ctx.scope.outwards(level).aggregates
        if isinstance(owner, Aggregates) and keep is None and not order:
            return _of_outer(inner, node, name, overloads, args, owner, level)

    def make(choice: Choice, coerced: tuple[HirScalar, ...]) -> HirScalar:
        if choice.signature.name in _KEEPS_NULLS:
            aggregate = _aggregate(choice, coerced, None, order, distinct=node.distinct)
            return aggregates.add(aggregate, name, keep)
        aggregate = _aggregate(choice, coerced, keep, order, distinct=node.distinct)
        return aggregates.add(aggregate, name)

    return expand(inner, node, name, overloads, args, make)


def _only_of_outer(
    ctx: ExprContext, node: ast.Function, name: str, overloads: tuple[Signature, ...]
) -> HirScalar | None:
    """Plan an aggregate where only an outer query's may stand; None where it is none's.

    Source: PostgreSQL, section 4.2.7: it belongs to the nearest level that its arguments name.
    """
    if ctx.scope.outer is None or node.filter is not None or node.order_by:
        return None
    args = aggregate_arguments(ctx, node, name)
    level = least_level([arg for arg, _ in args])
    if not level:
        return None
    owner = ctx.scope.outwards(level).aggregates
    if not isinstance(owner, Aggregates):
        return None
    return _of_outer(ctx, node, name, overloads, args, owner, level)


def _of_outer(
    ctx: ExprContext,
    node: ast.Function,
    name: str,
    overloads: tuple[Signature, ...],
    args: Sequence[tuple[HirScalar, int]],
    owner: Aggregates,
    level: int,
) -> HirScalar:
    moved = [(shift(arg, -level), position) for arg, position in args]

    def make(choice: Choice, coerced: tuple[HirScalar, ...]) -> HirScalar:
        return owner.add(_aggregate(choice, coerced, None, (), distinct=node.distinct), name)

    return shift(expand(ctx, node, name, overloads, moved, make), level)


def _filter_context(ctx: ExprContext) -> ExprContext:
    inner = ExprContext(ctx.statement, ctx.scope, ctx.ctes, "FILTER")
    return inner


def aggregate_arguments(
    ctx: ExprContext, node: ast.Function, name: str
) -> list[tuple[HirScalar, int]]:
    """Plan the arguments, each with its position; ``count(*)`` has none."""
    if node.star:
        if name != "count":
            raise UndefinedFunction(f"function {name}() does not exist", position=node.position)
        return []
    if not node.arguments and name == "count":
        raise WrongObjectType(
            "count(*) must be used to call a parameterless aggregate function",
            position=node.position,
        )
    return [(ctx.plan(argument), argument.position) for argument in node.arguments]


def expand(
    ctx: ExprContext,
    node: ast.Function,
    name: str,
    overloads: tuple[Signature, ...],
    args: Sequence[tuple[HirScalar, int]],
    make: Make,
) -> HirScalar:
    """Choose the overload and build the aggregate from those that the dataflow maintains."""
    types = tuple(type_of(arg).type for arg, _ in args)
    choice = choose_function(name, types, node.position)
    if choice.result == BPCHAR and types[0].base is BaseType.BPCHAR:
        # The greatest of values that are padded to a length is padded to it.
        choice = replace(choice, result=types[0])
    exprs, positions = [arg for arg, _ in args], [position for _, position in args]
    coerced = convey(ctx, choice, exprs, positions)
    if name in _AVERAGES:
        return _average(choice, coerced[0], make)
    if name in _VARIANCES and type_of(coerced[0]).type.base not in _FLOATS:
        sample, root = _VARIANCES[name]
        return _variance(coerced[0], make, sample=sample, root=root)
    return make(choice, coerced)


def _aggregate(
    choice: Choice,
    args: tuple[HirScalar, ...],
    keep: HirScalar | None,
    order: OrderKeys,
    *,
    distinct: bool,
) -> HirAggregate:
    signature = choice.signature
    if keep is not None:
        first: HirScalar = args[0] if args else TRUE
        args = (HirIf(keep, first, null_literal(type_of(first).type)), *args[1:])
    expr, order_by = aggregate_input(signature, args, order)
    assert choice.result is not None
    nullable = signature.name not in _NEVER_NULL
    type = ColumnType(choice.result, nullable)
    return HirAggregate(signature.kernel, expr, type, distinct, order_by)


def aggregate_input(
    signature: Signature, args: tuple[HirScalar, ...], order: OrderKeys
) -> tuple[HirScalar, tuple[ColumnOrder, ...]]:
    """Return the one expression that the aggregate takes, and its order over the fields of it.

    That is the argument, or a record of several arguments and the sort keys. Where the order cannot
    matter it is dropped.
    """
    expr: HirScalar = args[0] if args else TRUE
    ordered = order if signature.name in _ORDERED else ()
    if len(args) > 1 or ordered:
        members = (expr, *args[1:], *(key for key, _, _ in ordered))
        kind = record_of(*((f"f{i}", type_of(m)) for i, m in enumerate(members, 1)))
        expr = make_record(members, kind)
    return expr, tuple(
        ColumnOrder(len(args) + number, desc, last)
        for number, (_, desc, last) in enumerate(ordered)
    )


def order_keys(ctx: ExprContext, node: ast.Function) -> OrderKeys:
    """Plan ORDER BY within an aggregate's arguments."""
    return order_items(ctx, node.order_by)


def order_items(ctx: ExprContext, items: Sequence[ast.OrderItem]) -> OrderKeys:
    """Plan the sort keys of an aggregate."""
    keys = []
    for item in items:
        nulls_first = item.descending if item.nulls_first is None else item.nulls_first
        keys.append((ctx.plan_typed(item.expression), item.descending, not nulls_first))
    return tuple(keys)


def _check_distinct(
    node: ast.Function,
    args: Sequence[tuple[HirScalar, int]],
    order: OrderKeys,
) -> None:
    if not args:
        raise SyntaxError_(
            "DISTINCT specified, but count(*) has no argument", position=node.position
        )
    planned = {arg for arg, _ in args}
    if any(key not in planned for key, _, _ in order):
        raise DatatypeMismatch(
            "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
            position=node.position,
        )


# --- averages -------------------------------------------------------------------------------------


def _call(name: str, make: Make, expr: HirScalar) -> HirScalar:
    """Return the aggregate ``name`` of a typed expression."""
    choice = choose_function(name, (type_of(expr).type,), 0)
    target = choice.targets[0]
    return make(choice, (cast(expr, target, CastContext.IMPLICIT),))


def _explicit(expr: HirScalar, base: BaseType) -> HirScalar:
    target = NUMERIC if base is BaseType.NUMERIC else FLOAT8
    return cast(expr, target, CastContext.EXPLICIT)


def _arithmetic(word: str, left: HirScalar, right: HirScalar, base: BaseType) -> HirScalar:
    declared = NUMERIC if base is BaseType.NUMERIC else FLOAT8
    nullable = type_of(left).nullable or type_of(right).nullable
    return HirCall(f"{word}_{base}_{base}", (left, right), ColumnType(declared, nullable))


def _average(choice: Choice, expr: HirScalar, make: Make) -> HirScalar:
    """Return the sum divided by the count; NULL where nothing was counted, as the sum then is."""
    base = type_of(expr).type.base
    count = _call("count", make, expr)
    if base is BaseType.INTERVAL:
        total = _call("sum", make, expr)
        divisor = _explicit(count, BaseType.FLOAT8)
        return HirCall("div_interval_float8", (total, divisor), ColumnType(INTERVAL, True))
    if base in _FLOATS:
        total = _call("sum", make, _explicit(expr, BaseType.FLOAT8))
        return _arithmetic("div", total, _explicit(count, BaseType.FLOAT8), BaseType.FLOAT8)
    total = _explicit(_call("sum", make, expr), BaseType.NUMERIC)
    return _arithmetic("div", total, _explicit(count, BaseType.NUMERIC), BaseType.NUMERIC)


def _variance(expr: HirScalar, make: Make, *, sample: bool, root: bool) -> HirScalar:
    """Return (Σx² - (Σx)²/n) / (n - 1 or n); NULL for fewer rows than that takes."""
    base = BaseType.NUMERIC
    value = _explicit(expr, base)
    squares = _call("sum", make, _arithmetic("mul", value, value, base))
    total = _call("sum", make, value)
    count = _call("count", make, value)
    exact_count = _explicit(count, base)
    mean_square = _arithmetic("div", _arithmetic("mul", total, total, base), exact_count, base)
    deviation = _arithmetic("sub", squares, mean_square, base)
    kind = type_of(deviation).type
    zero = literal_from_text("0", kind)
    # Rounding may leave a little less than nothing.
    deviation = HirCall("greatest", (deviation, zero), ColumnType(kind, True))
    divisor = exact_count
    if sample:
        divisor = _arithmetic("sub", exact_count, literal_from_text("1", kind), base)
    result = _arithmetic("div", deviation, divisor, base)
    if root:
        result = HirCall(f"sqrt_{base}", (result,), ColumnType(kind, True))
    least = int_literal(1 if sample else 0, INT8)
    enough = HirCall("gt", (count, least), ColumnType(BOOL, False))
    return HirIf(enough, result, null_literal(kind))
