"""Operators, boolean connectives, tests, LIKE, BETWEEN, IN lists."""

from collections.abc import Sequence

from headwater.errors import FeatureNotSupported, SyntaxError_
from headwater.ir.literals import FALSE, is_null, literal_text, null_literal
from headwater.ir.scalar import Literal
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node
from headwater.sql.plan.calls import apply as apply_choice
from headwater.sql.plan.calls import (
    call_operator,
    choose_function,
    conjunction,
    disjunction,
    is_distinct,
    negation,
    truth,
)
from headwater.sql.plan.calls import is_null as call_is_null
from headwater.sql.plan.coerce import get_field, is_record_maker, require_bool
from headwater.sql.plan.context import ExprContext, Handler
from headwater.sql.plan.hir import HirScalar, ScalarSubquery
from headwater.sql.plan.scalars.rows import close_row, plan_operand, row_subquery
from headwater.sql.plan.types import common_type, type_of
from headwater.sql.resolve.location import location
from headwater.types.scalar import BOOL, TEXT, BaseType

_NEGATED = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_LIKE_OPERATORS = {
    (False, False): "~~",
    (False, True): "!~~",
    (True, False): "~~*",
    (True, True): "!~~*",
}


def _unary(ctx: ExprContext, node: ast.UnaryOp) -> HirScalar:
    operand = ctx.plan(node.operand)
    if node.operator == "+" and type_of(operand).type.base is not BaseType.UNKNOWN:
        return call_operator(ctx, "+", (operand,), (node.operand.position,), node.position)
    return call_operator(ctx, node.operator, (operand,), (node.operand.position,), node.position)


def _binary(ctx: ExprContext, node: ast.BinaryOp) -> HirScalar:
    """Plan an infix operator; chains to the left, as ``a + b + c …``, without recursion."""
    chain = [node]
    left = node.left
    while type(left) is ast.BinaryOp:
        chain.append(left)
        left = left.left
    expr = plan_operand(ctx, left)
    for link in reversed(chain):
        expr = _apply_binary(ctx, link, expr, _right(ctx, link, expr))
    return expr


def _right(ctx: ExprContext, node: ast.BinaryOp, left: HirScalar) -> HirScalar:
    """Plan the right operand; a subquery beside a row yields a row."""
    right = node.right
    if isinstance(right, ast.Subquery) and is_record_maker(left) and node.operator in _NEGATED:
        return row_subquery(ctx, right, len(type_of(left).type.fields))
    return plan_operand(ctx, right)


def _apply_binary(
    ctx: ExprContext, node: ast.BinaryOp, left: HirScalar, right: HirScalar
) -> HirScalar:
    positions = (node.left.position, node.right.position)
    if node.operator == "^":
        types = (type_of(left).type, type_of(right).type)
        choice = choose_function("power", types, node.position)
        return apply_choice(ctx, choice, (left, right), positions)
    if node.operator in _NEGATED and isinstance(node.left, ast.Row):
        compared = compare_rows(ctx, node.operator, left, right, positions, node.position)
        if compared is not None:
            return compared
    left, right = close_row(ctx, left), close_row(ctx, right)
    return call_operator(ctx, node.operator, (left, right), positions, node.position)


def compare_rows(
    ctx: ExprContext,
    operator: str,
    left: HirScalar,
    right: HirScalar,
    positions: Sequence[int],
    position: int,
) -> HirScalar | None:
    """Compare two written rows field by field, so that fields of different types may meet.

    Returns: None if either is not a row constructor: then records are compared as values.

    Raises: SyntaxError_ (different numbers of fields).
    """
    if not (is_record_maker(left) and _is_row(right)):
        return None
    lefts, rights = _fields(left), _fields(right)
    if len(lefts) != len(rights):
        raise SyntaxError_("unequal number of entries in row expressions", position=position)
    if not lefts:
        raise FeatureNotSupported("cannot compare rows of zero length", position=position)
    pairs = list(zip(lefts, rights, strict=True))

    def call(symbol: str, pair: tuple[HirScalar, HirScalar]) -> HirScalar:
        return call_operator(ctx, symbol, pair, positions, position)

    if operator == "=":
        return conjunction([call("=", pair) for pair in pairs])
    if operator == "<>":
        return disjunction([call("<>", pair) for pair in pairs])
    # a < b, or a = b and what follows is less: from the last field to the first.
    strict = operator[0]
    result = call(operator, pairs[-1])
    for pair in reversed(pairs[:-1]):
        result = disjunction([call(strict, pair), conjunction([call("=", pair), result])])
    return result


def _is_row(expr: HirScalar) -> bool:
    return is_record_maker(expr) or (
        isinstance(expr, ScalarSubquery) and type_of(expr).type.base is BaseType.RECORD
    )


def _fields(record: HirScalar) -> list[HirScalar]:
    return [get_field(record, index) for index in range(len(type_of(record).type.fields))]


def _and(ctx: ExprContext, node: ast.And) -> HirScalar:
    return conjunction([_condition(ctx, operand, "AND") for operand in node.operands])


def _or(ctx: ExprContext, node: ast.Or) -> HirScalar:
    return disjunction([_condition(ctx, operand, "OR") for operand in node.operands])


def _not(ctx: ExprContext, node: ast.Not) -> HirScalar:
    return negation(_condition(ctx, node.operand, "NOT"))


def _condition(ctx: ExprContext, node: ast.Expr, clause: str) -> HirScalar:
    return require_bool(ctx.plan(node), clause, ctx.statement, location(node))


def _is(ctx: ExprContext, node: ast.Is) -> HirScalar:
    operand = ctx.plan(node.operand)
    if node.test is ast.IsTest.NULL:
        return _is_null_test(ctx, operand, node)
    at = location(node.operand)
    operand = require_bool(operand, f"IS {node.test.value}", ctx.statement, at)
    if node.test is ast.IsTest.UNKNOWN:
        result = call_is_null(operand)
    else:
        result = truth("is_true" if node.test is ast.IsTest.TRUE else "is_false", operand)
    return negation(result) if node.negated else result


def _is_null_test(ctx: ExprContext, operand: HirScalar, node: ast.Is) -> HirScalar:
    if is_record_maker(operand):
        # A row is null if all its fields are, and not null if none is.
        tests = [call_is_null(field) for field in _fields(operand)]
        if node.negated:
            tests = [negation(test) for test in tests]
        return conjunction(tests)
    if type_of(operand).type.base is BaseType.UNKNOWN:
        operand = ctx.coerce(operand, TEXT, node.operand.position)
    result = call_is_null(operand)
    return negation(result) if node.negated else result


def _is_distinct(ctx: ExprContext, node: ast.IsDistinctFrom) -> HirScalar:
    left, right = plan_operand(ctx, node.left), plan_operand(ctx, node.right)
    if is_record_maker(left) and is_record_maker(right):
        lefts, rights = _fields(left), _fields(right)
        if len(lefts) != len(rights):
            raise SyntaxError_(
                "unequal number of entries in row expressions", position=node.position
            )
        pairs = zip(lefts, rights, strict=True)
        result = disjunction([_distinct_pair(ctx, a, b, node) for a, b in pairs])
    else:
        result = _distinct_pair(ctx, close_row(ctx, left), close_row(ctx, right), node)
    return negation(result) if node.negated else result


def _distinct_pair(
    ctx: ExprContext, left: HirScalar, right: HirScalar, node: ast.IsDistinctFrom
) -> HirScalar:
    positions = (node.left.position, node.right.position)
    # The operator that would be called settles the types of both sides.
    compared = call_operator(ctx, "<>", (left, right), positions, node.position)
    args = getattr(compared, "args", None)
    if args is None or len(args) != 2:
        return is_distinct(left, right)
    return is_distinct(args[0], args[1])


def _like(ctx: ExprContext, node: ast.Like) -> HirScalar:
    operand, pattern = ctx.plan(node.operand), ctx.plan(node.pattern)
    if node.escape is not None:
        escape = ctx.plan_as(node.escape, TEXT)
        args = (ctx.coerce(pattern, TEXT, node.pattern.position), escape)
        choice = choose_function("like_escape", (TEXT, TEXT), 0)
        pattern = apply_choice(ctx, choice, args, (node.pattern.position, node.escape.position))
    symbol = _LIKE_OPERATORS[node.case_insensitive, node.negated]
    positions = (node.operand.position, node.pattern.position)
    return call_operator(ctx, symbol, (operand, pattern), positions, node.position)


def _between(ctx: ExprContext, node: ast.Between) -> HirScalar:
    low, high = node.low, node.high
    result = _within(ctx, node, low, high)
    if node.symmetric:
        result = disjunction([result, _within(ctx, node, high, low)])
    return negation(result) if node.negated else result


def _within(ctx: ExprContext, node: ast.Between, low: ast.Expr, high: ast.Expr) -> HirScalar:
    above = ast.BinaryOp(operator=">=", left=node.operand, right=low, position=node.position)
    below = ast.BinaryOp(operator="<=", left=node.operand, right=high, position=node.position)
    return conjunction([_binary(ctx, above), _binary(ctx, below)])


def _in_list(ctx: ExprContext, node: ast.InList) -> HirScalar:
    """Plan ``x IN (…)`` as a disjunction of equalities, of one type where one can be found."""
    if not node.items:
        return negation(FALSE) if node.negated else FALSE
    operand = plan_operand(ctx, node.operand)
    items = [plan_operand(ctx, item) for item in node.items]
    position = node.position
    if not is_record_maker(operand) and len(items) > 1:
        operand, items = _unify_list(ctx, node, operand, items)
    tests = []
    for item, item_node in zip(items, node.items, strict=True):
        positions = (node.operand.position, item_node.position)
        compared = compare_rows(ctx, "=", operand, item, positions, position)
        if compared is None:
            pair = (close_row(ctx, operand), close_row(ctx, item))
            compared = call_operator(ctx, "=", pair, positions, position)
        tests.append(compared)
    result = disjunction(tests)
    return negation(result) if node.negated else result


def _unify_list(
    ctx: ExprContext, node: ast.InList, operand: HirScalar, items: list[HirScalar]
) -> tuple[HirScalar, list[HirScalar]]:
    """Coerce literals of an IN list to the operand's type, so that equal ones look equal."""
    wanted = type_of(operand).type
    if wanted.base is BaseType.UNKNOWN:
        wanted = common_type([type_of(e).type for e in (operand, *items)], "IN", node.position)
        operand = ctx.coerce(operand, wanted, node.operand.position)
    coerced = []
    for item, item_node in zip(items, node.items, strict=True):
        is_open = type_of(item).type.base is BaseType.UNKNOWN
        target = wanted.without_modifier()
        coerced.append(ctx.coerce(item, target, item_node.position) if is_open else item)
    return operand, coerced


def is_null_constant(expr: HirScalar) -> bool:
    """Return whether the expression is a literal NULL."""
    return isinstance(expr, Literal) and is_null(expr)


def text_constant(expr: HirScalar) -> str | None:
    """Return the value of a text literal, None for anything else."""
    if isinstance(expr, Literal) and type_of(expr).type.base in (BaseType.TEXT, BaseType.UNKNOWN):
        return literal_text(expr)
    return None


NULL_BOOL = null_literal(BOOL)

HANDLERS: dict[type[Node], Handler] = {
    ast.UnaryOp: _unary,
    ast.BinaryOp: _binary,
    ast.And: _and,
    ast.Or: _or,
    ast.Not: _not,
    ast.Is: _is,
    ast.IsDistinctFrom: _is_distinct,
    ast.Like: _like,
    ast.Between: _between,
    ast.InList: _in_list,
}
