"""Aggregates with WITHIN GROUP: percentiles, the mode, and ranks of rows that are not there."""

from collections.abc import Sequence

from headwater.errors import FeatureNotSupported, SyntaxError_, UndefinedFunction, WrongObjectType
from headwater.ir.functions import AggregateClass, CastContext, FunctionKind, Signature
from headwater.ir.scalar import ColumnOrder
from headwater.sql.ast import query as ast
from headwater.sql.plan.calls import choose_function, convey
from headwater.sql.plan.coerce import make_record
from headwater.sql.plan.context import ExprContext
from headwater.sql.plan.hir import HirAggregate, HirScalar
from headwater.sql.plan.scalars.aggregates import order_items
from headwater.sql.plan.scalars.subqueries import condition
from headwater.sql.plan.types import common_type, type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.types.scalar import FLOAT8, BaseType, ColumnType, ScalarType, array_of, record_of

_PERCENTILES = frozenset({"percentile_cont", "percentile_disc", "mode"})
_FRACTIONS = array_of(FLOAT8)
_HYPOTHETICAL = frozenset({"rank", "dense_rank", "percent_rank", "cume_dist"})


def takes_order(node: ast.Function, name: str) -> bool:
    """Return whether a call is of an ordered-set aggregate, or written as one."""
    return bool(node.within_group) or name in _PERCENTILES


def plan_ordered_set(
    ctx: ExprContext, node: ast.Function, name: str, overloads: Sequence[Signature]
) -> HirScalar:
    """Plan a call with WITHIN GROUP.

    Raises: WrongObjectType, SyntaxError_, FeatureNotSupported, UndefinedFunction.
    """
    _check(node, name, overloads)
    if ctx.aggregates is None:
        raise ctx.refuse_aggregate(name, node.position)
    aggregates = ctx.aggregates
    inner = ctx.inside_aggregate()
    keep = None if node.filter is None else condition(inner, node.filter, "FILTER")
    direct = [inner.plan(argument) for argument in node.arguments]
    keys = order_items(inner, node.within_group)
    if name in _HYPOTHETICAL:
        members, kernel, result = _hypothetical(inner, node, name, overloads, direct, keys)
    else:
        members, kernel, result = _over_values(inner, node, name, direct, keys)
    record = record_of(*((f"f{i}", type_of(member)) for i, member in enumerate(members, 1)))
    order = tuple(ColumnOrder(number, desc, last) for number, (_, desc, last) in enumerate(keys))
    aggregate = HirAggregate(
        kernel, make_record(members, record), ColumnType(result, True), order_by=order
    )
    return aggregates.add(aggregate, name, keep)


def _check(node: ast.Function, name: str, overloads: Sequence[Signature]) -> None:
    ordered = name in _PERCENTILES or name in _HYPOTHETICAL
    if node.over is not None:
        raise FeatureNotSupported(
            f"OVER is not supported for ordered-set aggregate {name}", position=node.position
        )
    if not node.within_group:
        raise WrongObjectType(
            f"WITHIN GROUP is required for ordered-set aggregate {name}", position=node.position
        )
    if not ordered:
        what = f"{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"
        if not any(item.kind is FunctionKind.AGGREGATE for item in overloads):
            what = f"WITHIN GROUP specified, but {name} is not an aggregate function"
        raise WrongObjectType(what, position=node.position)
    if node.distinct:
        raise SyntaxError_("cannot use DISTINCT with WITHIN GROUP", position=node.position)
    if node.order_by:
        raise SyntaxError_(
            "cannot use multiple ORDER BY clauses with WITHIN GROUP", position=node.position
        )


def _over_values(
    ctx: ExprContext,
    node: ast.Function,
    name: str,
    direct: Sequence[HirScalar],
    keys: Sequence[tuple[HirScalar, bool, bool]],
) -> tuple[tuple[HirScalar, ...], str, ScalarType]:
    """Return the fields of the records: the value, then the fraction."""
    fractions = [
        ctx.coerce(arg, _FRACTIONS, argument.position, CastContext.EXPLICIT)
        if type_of(arg).type.base is BaseType.ARRAY
        else arg
        for arg, argument in zip(direct, node.arguments, strict=True)
    ]
    args = [*fractions, *(key for key, _, _ in keys)]
    choice = choose_function(name, tuple(type_of(arg).type for arg in args), node.position)
    positions = [
        *(argument.position for argument in node.arguments),
        *(item.expression.position for item in node.within_group),
    ]
    *fraction, value = convey(ctx, choice, args, positions)
    assert choice.result is not None
    return (value, *fraction), choice.signature.kernel, choice.result


def _hypothetical(
    ctx: ExprContext,
    node: ast.Function,
    name: str,
    overloads: Sequence[Signature],
    direct: Sequence[HirScalar],
    keys: Sequence[tuple[HirScalar, bool, bool]],
) -> tuple[tuple[HirScalar, ...], str, ScalarType]:
    """Return the fields of the records: the sort keys, then the row that is not there."""
    if len(direct) != len(keys):
        types = [*map(type_of, direct), *(type_of(key) for key, _, _ in keys)]
        shown = ", ".join(show_type(item.type) for item in types)
        raise UndefinedFunction(
            f"function {name}({shown}) does not exist",
            hint=f"To use the hypothetical-set aggregate {name}, the number of hypothetical direct"
            f" arguments (here {len(direct)}) must match the number of ordering columns"
            f" (here {len(keys)}).",
            position=node.position,
        )
    rows, given = [], []
    for (key, _, _), arg in zip(keys, direct, strict=True):
        target = common_type([type_of(key).type, type_of(arg).type], "WITHIN GROUP", node.position)
        rows.append(ctx.coerce(key, target, node.position))
        given.append(ctx.coerce(arg, target, node.position))
    signature = next(item for item in overloads if item.aggregate is AggregateClass.BASIC)
    assert isinstance(signature.result, ScalarType)
    return (*rows, *given), signature.kernel, signature.result
