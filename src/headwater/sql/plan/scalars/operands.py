"""Literals, parameters, column references, casts."""

from headwater.errors import HeadwaterError, NumericValueOutOfRange, SyntaxError_
from headwater.ir.functions import CastContext
from headwater.ir.literals import (
    FALSE,
    TRUE,
    int_literal,
    interval_datum,
    literal_from_text,
    literal_interval,
    null_literal,
    text_datum,
)
from headwater.ir.scalar import Literal
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node
from headwater.sql.plan.coerce import make_record
from headwater.sql.plan.context import ExprContext, Handler
from headwater.sql.plan.hir import ColumnRef, HirCall, HirScalar
from headwater.sql.plan.scalars.catalog_functions import cast_over_catalog, oid_named
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.datatypes import resolve_type
from headwater.types.scalar import (
    INT4,
    INT8,
    INTERVAL,
    NUMERIC,
    OID,
    TEXT,
    UNKNOWN,
    BaseType,
    ColumnType,
    ScalarType,
    record_of,
)

_UNKNOWN_TYPE = ColumnType(UNKNOWN, False)
_INT4_DIGITS_MAX = 2**31
_INT8_DIGITS_MAX = 2**63


def _number(_ctx: ExprContext, node: ast.Number) -> HirScalar:
    text = node.text
    if text.isdigit() or (text[0] == "-" and text[1:].isdigit()):
        value = int(text)
        if -_INT4_DIGITS_MAX <= value < _INT4_DIGITS_MAX:
            return int_literal(value, INT4)
        if -_INT8_DIGITS_MAX <= value < _INT8_DIGITS_MAX:
            return int_literal(value, INT8)
    try:
        return literal_from_text(text.upper(), NUMERIC)
    except NumericValueOutOfRange as error:
        error.position = node.position
        raise


def _float(ctx: ExprContext, node: ast.Number, target: ScalarType) -> HirScalar:
    """Plan a number that is cast to a float at once: it may be beyond what numerics hold."""
    try:
        return ctx.plan(node)
    except NumericValueOutOfRange:
        pass
    try:
        return literal_from_text(node.text, target)
    except NumericValueOutOfRange as error:
        error.position = node.position
        raise


_FLOATS = frozenset({BaseType.FLOAT4, BaseType.FLOAT8})


def _string(_ctx: ExprContext, node: ast.String) -> HirScalar:
    return Literal(text_datum(node.value), _UNKNOWN_TYPE)


def _boolean(_ctx: ExprContext, node: ast.Boolean) -> HirScalar:
    return TRUE if node.value else FALSE


def _null(_ctx: ExprContext, _node: ast.Null) -> HirScalar:
    return null_literal(UNKNOWN)


def _default(_ctx: ExprContext, node: ast.Default) -> HirScalar:
    raise SyntaxError_("DEFAULT is not allowed in this context", position=node.position)


def _wildcard(ctx: ExprContext, node: ast.Wildcard) -> HirScalar:
    raise SyntaxError_("* is not allowed in this context", position=node.position)


def _parameter(ctx: ExprContext, node: ast.Parameter) -> HirScalar:
    return ctx.statement.parameter(node.number, node.position)


def _interval(_ctx: ExprContext, node: ast.IntervalLiteral) -> HirScalar:
    text = node.value
    if node.leading is not None:
        text = _interval_with_fields(node)
    try:
        literal = literal_from_text(text, INTERVAL)
    except HeadwaterError as error:
        error.position = node.position
        raise
    least = node.trailing or node.leading
    if least is None and node.precision is None:
        return literal
    months, days, micros = literal_interval(literal)
    unit = _FIELD_MICROS.get(least) if least is not None else None
    if least is ast.IntervalField.YEAR:
        months = _truncated(months, 12)
    if least in (ast.IntervalField.YEAR, ast.IntervalField.MONTH):
        days = 0
    if least in _DATE_FIELDS:
        micros = 0
    elif unit is not None:
        micros = _truncated(micros, unit)
    if node.precision is not None:
        step = 10 ** max(0, 6 - node.precision)
        micros = (abs(micros) + step // 2) // step * step * (1 if micros >= 0 else -1)
    return Literal(interval_datum(months, days, micros), literal.type)


def _truncated(value: int, unit: int) -> int:
    return abs(value) // unit * unit * (1 if value >= 0 else -1)


_DATE_FIELDS = frozenset({ast.IntervalField.YEAR, ast.IntervalField.MONTH, ast.IntervalField.DAY})
_FIELD_MICROS = {
    ast.IntervalField.HOUR: 3_600_000_000,
    ast.IntervalField.MINUTE: 60_000_000,
}


def _interval_with_fields(node: ast.IntervalLiteral) -> str:
    """Return the text with the unit that a bare number in it has by its fields."""
    text = node.value.strip()
    fields = (node.leading, node.trailing)
    if fields == (ast.IntervalField.MINUTE, ast.IntervalField.SECOND) and text.count(":") == 1:
        sign, body = (text[:1], text[1:]) if text[:1] in ("+", "-") else ("", text)
        return f"{sign}0:{body}"
    if fields == (ast.IntervalField.DAY, ast.IntervalField.HOUR):
        days, _, hours = text.partition(" ")
        if hours.strip().isdigit() and days.lstrip("+-").isdigit():
            return f"{days} days {hours} hours"
    unit = node.trailing if node.trailing is not None else node.leading
    assert unit is not None
    bare = text.lstrip("+-").replace(".", "", 1)
    if not bare.isdigit():
        return text
    return f"{text} {unit.value.lower()}"


def identifier(ctx: ExprContext, node: ast.Identifier) -> HirScalar:
    """Plan a column reference, or a whole row by its table's name."""
    oid = ctx.scope.table_oid(node.parts, node.position)
    if oid is not None:
        return int_literal(oid, OID)
    found = ctx.scope.resolve(node.parts, node.position)
    if found is not None:
        if ctx.aggregates is not None or found.level:
            ctx.scope.note_use(found.level, found.index, node.position)
        return ColumnRef(found.level, found.index, found.type, found.name)
    whole = _whole_row(ctx, node)
    if whole is None:
        raise ctx.scope.undefined(node.parts, node.position)
    return whole


def _row_of_table(ctx: ExprContext, node: ast.QualifiedWildcard) -> HirScalar:
    """Plan ``t.*`` inside an expression: the whole row."""
    whole = _whole_row(ctx, node)
    if whole is None:
        raise ctx.scope.missing_table(node.parts[-1], node.position)
    return whole


def _whole_row(ctx: ExprContext, node: ast.Identifier | ast.QualifiedWildcard) -> HirScalar | None:
    found = ctx.scope.find_table(node.parts, node.position)
    if found is None:
        return None
    level, scope, table = found
    fields: list[HirScalar] = []
    types: list[tuple[str, ColumnType]] = []
    for name, index in table.columns:
        column = scope.columns[index]
        fields.append(ColumnRef(level, index, column.type, column.name))
        types.append((name, column.type))
        if ctx.aggregates is not None or level:
            ctx.scope.note_use(level, index, node.position)
    if len(fields) == 1 and table.path == (table.columns[0][0],):
        return fields[0]
    return make_record(tuple(fields), record_of(*types))


def _cast(ctx: ExprContext, node: ast.Cast) -> HirScalar:
    target = resolve_type(node.data_type, ctx.statement.names)
    operand = node.operand
    if isinstance(operand, ast.Parameter):
        # A cast settles an open parameter's type, without a cast at run time.
        expr = ctx.plan(operand)
        if type_of(expr).type.base is BaseType.UNKNOWN:
            # What names an object is text until it is looked up.
            plain = TEXT if target.base in _REG_KINDS else target.without_modifier()
            ctx.statement.settle_parameter(operand.number, plain, operand.position)
            expr = ctx.plan(operand)
    elif isinstance(operand, ast.ArrayExpr | ast.ListExpr | ast.MapExpr):
        expr = plan_container(ctx, operand, target)
    elif isinstance(operand, ast.Number) and target.base in _FLOATS:
        expr = _float(ctx, operand, target)
    else:
        expr = ctx.plan(operand)
    position = operand.position if isinstance(operand, ast.String) else node.position
    named = _REG_KINDS.get(target.base)
    if isinstance(operand, ast.String) and named is not None:
        return int_literal(oid_named(ctx, named, operand.value, position), target)
    special = cast_over_catalog(ctx, expr, target)
    if special is not None:
        return special
    return ctx.coerce(expr, target, position, CastContext.EXPLICIT)


def plan_container(ctx: ExprContext, node: ast.Expr, target: ScalarType) -> HirScalar:
    """Plan an empty container with the type that it is cast to; others by their items."""
    if isinstance(node, ast.ListExpr) and node.items and target.base is BaseType.LIST:
        assert target.element is not None
        items = [plan_container(ctx, item, target.element) for item in node.items]
        typed = [
            ctx.coerce(expr, target.element, item.position, CastContext.EXPLICIT)
            for expr, item in zip(items, node.items, strict=True)
        ]
        return HirCall("list_make", tuple(typed), ColumnType(target, False))
    if isinstance(node, ast.ArrayExpr) and node.items and target.base is BaseType.ARRAY:
        return _array_as(ctx, node, target)
    if _is_empty(node) and target.base in (BaseType.ARRAY, BaseType.LIST, BaseType.MAP):
        return literal_from_text("{}", target)
    return ctx.plan(node)


def _array_as(ctx: ExprContext, node: ast.ArrayExpr, target: ScalarType) -> HirScalar:
    """Plan an array constructor whose elements the cast around it gives a type."""
    if _is_empty(node):
        return literal_from_text("{}", target)
    assert target.element is not None
    items = []
    for item in node.items:
        if isinstance(item, ast.ArrayExpr):
            items.append(_array_as(ctx, item, target))
            continue
        expr = ctx.plan(item)
        # A value that is an array already is a dimension of the result.
        is_array = type_of(expr).type.base is BaseType.ARRAY
        wanted = target if is_array else target.element
        items.append(ctx.coerce(expr, wanted, item.position, CastContext.EXPLICIT))
    return HirCall("array_make", tuple(items), ColumnType(target, False))


def _is_empty(node: ast.Expr) -> bool:
    """Return whether a constructor has no elements; ``ARRAY[[], []]`` has none either."""
    if isinstance(node, ast.ArrayExpr):
        return all(isinstance(i, ast.ArrayExpr) and _is_empty(i) for i in node.items)
    if isinstance(node, ast.ListExpr):
        return not node.items
    return isinstance(node, ast.MapExpr) and not node.entries


_REG_KINDS = {BaseType.REGCLASS: "class", BaseType.REGPROC: "proc", BaseType.REGTYPE: "type"}

HANDLERS: dict[type[Node], Handler] = {
    ast.Number: _number,
    ast.String: _string,
    ast.Boolean: _boolean,
    ast.Null: _null,
    ast.Default: _default,
    ast.Wildcard: _wildcard,
    ast.QualifiedWildcard: _row_of_table,
    ast.RecordWildcard: _wildcard,
    ast.Parameter: _parameter,
    ast.IntervalLiteral: _interval,
    ast.Identifier: identifier,
    ast.Cast: _cast,
}
