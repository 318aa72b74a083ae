"""Arrays, lists, maps, records: making them and reading parts of them."""

from collections.abc import Sequence

from headwater.errors import (
    DatatypeMismatch,
    FeatureNotSupported,
    IndeterminateDatatype,
    UndefinedColumn,
    WrongObjectType,
)
from headwater.ir.functions import CastContext
from headwater.ir.literals import int_literal, literal_from_text, null_literal
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node
from headwater.sql.plan.calls import call_operator
from headwater.sql.plan.coerce import get_field
from headwater.sql.plan.context import ExprContext, Handler
from headwater.sql.plan.hir import ColumnRef, HirCall, HirScalar
from headwater.sql.plan.scalars.conditionals import unify
from headwater.sql.plan.scalars.rows import close_row, open_row
from headwater.sql.plan.types import any_nullable, type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.sql.resolve.location import location
from headwater.types.scalar import (
    INT8,
    JSONB,
    TEXT,
    BaseType,
    ColumnType,
    ScalarType,
    array_of,
    list_of,
    map_of,
)


def _array(ctx: ExprContext, node: ast.ArrayExpr) -> HirScalar:
    if not node.items:
        raise IndeterminateDatatype(
            "cannot determine type of empty array",
            hint="Explicitly cast to the desired type, for example ARRAY[]::integer[].",
            position=node.position,
        )
    items = unify(ctx, node.items, [ctx.plan(item) for item in node.items], "ARRAY")
    kind = type_of(items[0]).type
    # Brackets within brackets are further dimensions of one array.
    result = kind if kind.base is BaseType.ARRAY else array_of(kind.without_modifier())
    if kind.base in (BaseType.LIST, BaseType.MAP):
        raise FeatureNotSupported(f"{show_type(kind)}[] not yet supported", position=node.position)
    return HirCall("array_make", tuple(items), ColumnType(result, False))


def _list(ctx: ExprContext, node: ast.ListExpr) -> HirScalar:
    if not node.items:
        raise IndeterminateDatatype(
            "cannot determine type of empty list",
            hint="Explicitly cast to the desired type, for example LIST[]::int list.",
            position=node.position,
        )
    items = unify(ctx, node.items, [ctx.plan(item) for item in node.items], "LIST")
    return HirCall("list_make", tuple(items), ColumnType(list_of(type_of(items[0]).type), False))


def _map(ctx: ExprContext, node: ast.MapExpr) -> HirScalar:
    if not node.entries:
        raise IndeterminateDatatype(
            "cannot determine type of empty map",
            hint="Explicitly cast to the desired type, for example MAP[]::map[text=>int].",
            position=node.position,
        )
    keys = [ctx.plan_as(entry.key, TEXT) for entry in node.entries]
    nodes = [entry.value for entry in node.entries]
    values = unify(ctx, nodes, [ctx.plan(value) for value in nodes], "MAP")
    args = tuple(part for pair in zip(keys, values, strict=True) for part in pair)
    return HirCall("map_make", args, ColumnType(map_of(type_of(values[0]).type), False))


def _row(ctx: ExprContext, node: ast.Row) -> HirScalar:
    return close_row(ctx, open_row(ctx, node))


# --- reading --------------------------------------------------------------------------------------


def _field(ctx: ExprContext, node: ast.FieldAccess) -> HirScalar:
    whole = _column_of_table(ctx, node)
    if whole is not None:
        return whole
    operand = ctx.plan(node.operand)
    declared = type_of(operand).type
    if declared.base is not BaseType.RECORD:
        raise WrongObjectType(
            f"column notation .{node.field} applied to type {show_type(declared)},"
            " which is not a composite type",
            position=location(node),
        )
    for index, field in enumerate(declared.fields):
        if field.name == node.field:
            return get_field(operand, index)
    raise UndefinedColumn(
        f'could not identify column "{node.field}" in record data type', position=node.position
    )


def _column_of_table(ctx: ExprContext, node: ast.FieldAccess) -> HirScalar | None:
    """Plan ``(t).c`` as the column, without making the row."""
    if not isinstance(node.operand, ast.Identifier):
        return None
    if ctx.scope.resolve(node.operand.parts) is not None:
        return None
    found = ctx.scope.find_table(node.operand.parts)
    if found is None:
        return None
    level, scope, table = found
    for name, index in table.columns:
        if name == node.field:
            column = scope.columns[index]
            return ColumnRef(level, index, column.type, column.name)
    raise UndefinedColumn(
        f"column {table.name}.{node.field} does not exist", position=node.position
    )


def _subscript(ctx: ExprContext, node: ast.Subscript) -> HirScalar:
    operand = ctx.plan(node.operand)
    base = type_of(operand).type.base
    if base is BaseType.ARRAY:
        return _array_index(ctx, operand, node)
    if base is BaseType.LIST:
        return _list_parts(ctx, operand, node.items)
    if base is BaseType.MAP:
        return _map_get(ctx, operand, node)
    if base is BaseType.JSONB:
        return _json_path(ctx, operand, node)
    if base is BaseType.INT2VECTOR:
        array = ctx.coerce(operand, array_of(ScalarType(BaseType.INT2)), node.position)
        return _array_index(ctx, array, node, first=0)
    raise DatatypeMismatch(
        f"cannot subscript type {show_type(type_of(operand).type)}"
        " because it does not support subscripting",
        position=location(node),
    )


def _array_index(
    ctx: ExprContext, operand: HirScalar, node: ast.Subscript, *, first: int = 1
) -> HirScalar:
    """Plan an index or a slice; ``first`` is the subscript of the first element."""
    if any(item.is_slice for item in node.items):
        return _array_slice(ctx, operand, node, first)
    element = type_of(operand).type.element
    assert element is not None
    indexes = [_from_one(index, first) for index in _indexes(ctx, node.items)]
    return HirCall("array_index", (operand, *indexes), ColumnType(element, True))


def _from_one(subscript: HirScalar, first: int) -> HirScalar:
    """Return a subscript as the kernels count, from one."""
    if first == 1:
        return subscript
    type_ = ColumnType(INT8, type_of(subscript).nullable)
    return HirCall("add_int8_int8", (subscript, int_literal(1 - first, INT8)), type_)


def _array_slice(
    ctx: ExprContext, operand: HirScalar, node: ast.Subscript, first: int
) -> HirScalar:
    """Plan ``a[l:u]…``; an index among slices is the slice up to it. Source: PostgreSQL, 8.15.3."""
    bounds: list[HirScalar] = []
    nullable = type_of(operand).nullable
    for item in node.items:
        ends = (item.lower, item.upper) if item.is_slice else (None, item.lower)
        for end in ends:
            if end is None:
                bounds.append(null_literal(INT8))
                continue
            bounds.append(_from_one(ctx.plan_as(end, INT8, CastContext.ASSIGNMENT), first))
            nullable = nullable or type_of(bounds[-1]).nullable
    return HirCall("array_slice", (operand, *bounds), ColumnType(type_of(operand).type, nullable))


def _indexes(ctx: ExprContext, items: Sequence[ast.SubscriptItem]) -> list[HirScalar]:
    indexes = []
    for item in items:
        assert item.lower is not None
        indexes.append(ctx.plan_as(item.lower, INT8, CastContext.ASSIGNMENT))
    return indexes


def _list_parts(
    ctx: ExprContext, operand: HirScalar, items: Sequence[ast.SubscriptItem]
) -> HirScalar:
    """Plan indexes and slices of a list: each index goes one layer in, slices stay."""
    expr = operand
    rest = list(items)
    while rest:
        declared = type_of(expr)
        if declared.type.base is not BaseType.LIST or declared.type.element is None:
            raise DatatypeMismatch(f"cannot subscript type {show_type(declared.type)}")
        item = rest.pop(0)
        if item.is_slice:
            lower = int_literal(1, INT8) if item.lower is None else ctx.plan_as(item.lower, INT8)
            upper = (
                int_literal(2**63 - 1, INT8)
                if item.upper is None
                else ctx.plan_as(item.upper, INT8)
            )
            nullable = declared.nullable or any_nullable((lower, upper))
            expr = HirCall("list_slice", (expr, lower, upper), ColumnType(declared.type, nullable))
            continue
        assert item.lower is not None
        index = ctx.plan_as(item.lower, INT8)
        expr = HirCall("list_index", (expr, index), ColumnType(declared.type.element, True))
    return expr


def _map_get(ctx: ExprContext, operand: HirScalar, node: ast.Subscript) -> HirScalar:
    expr = operand
    for item in node.items:
        if item.is_slice or item.lower is None:
            raise DatatypeMismatch("cannot slice a map", position=node.position)
        key = ctx.plan(item.lower)
        positions = (node.operand.position, item.lower.position)
        expr = call_operator(ctx, "->", (expr, key), positions, node.position)
    return expr


def _json_path(ctx: ExprContext, operand: HirScalar, node: ast.Subscript) -> HirScalar:
    expr = operand
    for item in node.items:
        if item.is_slice or item.lower is None:
            raise DatatypeMismatch(
                "jsonb subscript does not support slices", position=node.position
            )
        key = ctx.plan(item.lower)
        if type_of(key).type.base is BaseType.UNKNOWN:
            # Unlike ``->``, a subscript written as a text may be an array's index.
            key = ctx.coerce(key, TEXT, item.lower.position)
            expr = HirCall("subscript_jsonb_text", (expr, key), ColumnType(JSONB, True))
            continue
        positions = (node.operand.position, item.lower.position)
        expr = call_operator(ctx, "->", (expr, key), positions, node.position)
    return expr


def empty_container(type: ScalarType) -> HirScalar:
    """Return the array, list or map without elements."""
    return literal_from_text("{}", type)


HANDLERS: dict[type[Node], Handler] = {
    ast.ArrayExpr: _array,
    ast.ListExpr: _list,
    ast.MapExpr: _map,
    ast.Row: _row,
    ast.FieldAccess: _field,
    ast.Subscript: _subscript,
}
