"""Expressions: precedence climbing over operators; ``primary`` reads what stands between them.

The levels, tightest first, are PostgreSQL's (4.1.6): postfix ``. :: []``, sign, COLLATE, AT TIME
ZONE, ``^``, ``* / %``, ``+ -``, other operators, BETWEEN IN LIKE, comparison (not associative), IS,
NOT, AND, OR.
"""

from headwater.errors import FeatureNotSupported
from headwater.sql.ast.base import ObjectName
from headwater.sql.ast.query import (
    And,
    AnyAll,
    Between,
    BinaryOp,
    Cast,
    Default,
    Expr,
    FieldAccess,
    Function,
    InList,
    InSubquery,
    Is,
    IsDistinctFrom,
    IsTest,
    Like,
    Not,
    Number,
    Or,
    OrderItem,
    Query,
    RecordWildcard,
    Subscript,
    SubscriptItem,
    UnaryOp,
)
from headwater.sql.parse.data_type import data_type
from headwater.sql.parse.predicate import normalized, overlaps, similar
from headwater.sql.parse.primary import is_query, primary
from headwater.sql.parse.stream import QUOTED, SYMBOL, TokenStream

OR, AND, NOT, IS, COMPARISON, LIKE, OTHER, ADD, MULTIPLY, POWER, AT, COLLATE, SIGN, POSTFIX = range(
    1, 15
)

_INFIX = {
    "OR": OR,
    "AND": AND,
    "IS": IS,
    "ISNULL": IS,
    "NOTNULL": IS,
    "<": COMPARISON,
    ">": COMPARISON,
    "=": COMPARISON,
    "<=": COMPARISON,
    ">=": COMPARISON,
    "<>": COMPARISON,
    "BETWEEN": LIKE,
    "IN": LIKE,
    "LIKE": LIKE,
    "ILIKE": LIKE,
    "SIMILAR": LIKE,
    "OVERLAPS": LIKE,
    "NOT": LIKE,
    "OPERATOR": OTHER,
    "+": ADD,
    "-": ADD,
    "*": MULTIPLY,
    "/": MULTIPLY,
    "%": MULTIPLY,
    "^": POWER,
    "AT": AT,
    "COLLATE": COLLATE,
    "::": POSTFIX,
    "[": POSTFIX,
    ".": POSTFIX,
}
_NO_OPERATOR = frozenset(["(", ")", "]", ",", ";", ":", ":=", "..", "=>"])
_NEGATABLE = frozenset(["BETWEEN", "IN", "LIKE", "ILIKE", "SIMILAR"])
# Words that continue an expression only before certain others.
_AHEAD = {"NOT": _NEGATABLE, "SIMILAR": frozenset(["TO"])}
_SIGNS = frozenset("+-")
_QUANTIFIERS = frozenset(["ANY", "SOME", "ALL"])


def expression(p: TokenStream) -> Expr:
    """Read a whole expression."""
    return operand(p, 0)


def operand(p: TokenStream, above: int) -> Expr:
    """Read an expression whose outer operators all bind tighter than ``above``."""
    p.enter()
    outside, p.height = p.height, 0
    left = _prefix(p, above)
    while True:
        key = p.key
        level = _INFIX.get(key)
        if level is None:
            if p.kinds[p.i] is not SYMBOL or key in _NO_OPERATOR:
                break
            level = OTHER
        if level <= above or (key in _AHEAD and p.peek() not in _AHEAD[key]):
            break
        left = _INFIX_RULES.get(key, _binary)(p, left, level)
        p.grow()
        if level == COMPARISON and _INFIX.get(p.key) == COMPARISON:
            p.fail("parentheses around one of the comparisons")
    p.height = max(outside, p.height + 1)
    p.depth -= 1
    return left


def expressions(p: TokenStream) -> tuple[Expr, ...]:
    """Read one or more expressions with commas between them."""
    found = [operand(p, 0)]
    while p.accept(","):
        found.append(operand(p, 0))
    return tuple(found)


def expression_list(p: TokenStream) -> tuple[Expr, ...]:
    """Read one or more expressions in parentheses."""
    p.expect("(")
    found = expressions(p)
    p.expect(")")
    return found


def expression_or_default(p: TokenStream) -> Expr:
    """Read an expression or DEFAULT."""
    if p.key == "DEFAULT" and p.peek() in (",", ")", "", ";", "WHERE", "FROM", "RETURNING"):
        position = p.position
        p.advance()
        return Default(position=position)
    return operand(p, 0)


def order_items(p: TokenStream) -> tuple[OrderItem, ...]:
    """Read what follows ORDER BY."""
    p.enter()
    found = [_order_item(p)]
    while p.accept(","):
        found.append(_order_item(p))
    p.depth -= 1
    return tuple(found)


def _order_item(p: TokenStream) -> OrderItem:
    position = p.position
    key = operand(p, 0)
    descending = p.accept_any(("ASC", "DESC")) == "DESC"
    nulls_first = None
    if p.accept("NULLS"):
        nulls_first = p.expect_any("FIRST", "LAST") == "FIRST"
    return OrderItem(key, descending, nulls_first, position=position)


# --- before an operand ----------------------------------------------------------------------------


def _prefix(p: TokenStream, above: int) -> Expr:
    key = p.key
    if p.kinds[p.i] is not SYMBOL:
        if key == "NOT":
            position = p.position
            p.advance()
            return Not(_loose_operand(p, NOT, above), position=position)
        if key == "OPERATOR" and p.peek() == "(":
            position = p.position
            schema, name = _qualified_operator(p)
            return UnaryOp(name, _loose_operand(p, OTHER, above), schema, position=position)
        return primary(p)
    if key in "([":
        return primary(p)
    if key in _NO_OPERATOR or key in ("*", "::", "."):
        p.fail("an expression")
    position = p.position
    p.advance()
    if key not in _SIGNS:
        return UnaryOp(key, _loose_operand(p, OTHER, above), position=position)
    signed = operand(p, SIGN)
    if key == "-" and type(signed) is Number and signed.text[0] != "-":
        return Number("-" + signed.text, position=position)
    return UnaryOp(key, signed, position=position)


def _loose_operand(p: TokenStream, level: int, above: int) -> Expr:
    """Read the operand of a prefix operator that may stand behind a tighter one: ``a * ~ b``.

    Printed, such an operator gets parentheses, so it counts as two levels here: what could be read
    can be read again when printed.
    """
    if level > above:
        return operand(p, level)
    p.enter()
    found = operand(p, level)
    p.depth -= 1
    return found


def _qualified_operator(p: TokenStream) -> tuple[tuple[str, ...], str]:
    """Read ``OPERATOR(schema.op)``."""
    p.expect_all("OPERATOR", "(")
    schema: list[str] = []
    while p.kinds[p.i] <= QUOTED:
        schema.append(p.label())
        p.expect(".")
    name = p.key
    if p.kinds[p.i] is not SYMBOL or name in _NO_OPERATOR:
        p.fail("an operator")
    p.advance()
    p.expect(")")
    return tuple(schema), name


# --- between or after operands: each is entered on the operator -----------------------------------


def _binary(p: TokenStream, left: Expr, level: int) -> Expr:
    position = p.position
    name = p.key
    schema: tuple[str, ...] = ()
    if name == "OPERATOR":
        schema, name = _qualified_operator(p)
    else:
        p.advance()
    if p.key in _QUANTIFIERS and p.peek() == "(":
        return _any_all(p, left, name, schema, position)
    return BinaryOp(name, left, operand(p, level), schema, position=position)


def _any_all(p: TokenStream, left: Expr, name: str, schema: tuple[str, ...], position: int) -> Expr:
    is_all = p.key == "ALL"
    p.advance()
    right: Expr | Query
    if is_query(p):
        p.expect("(")
        right = p.rules.query(p)
        p.expect(")")
    else:
        p.expect("(")
        right = operand(p, 0)
        p.expect(")")
    return AnyAll(left, name, right, is_all, schema, position=position)


def _and(p: TokenStream, left: Expr, level: int) -> Expr:
    position = p.position
    operands = [left]
    while p.accept("AND"):
        operands.append(operand(p, level))
    return And(tuple(operands), position=position)


def _or(p: TokenStream, left: Expr, level: int) -> Expr:
    position = p.position
    operands = [left]
    while p.accept("OR"):
        operands.append(operand(p, level))
    return Or(tuple(operands), position=position)


def _is(p: TokenStream, left: Expr, level: int) -> Expr:
    position = p.position
    p.advance()
    negated = p.accept("NOT")
    if p.accept("DISTINCT"):
        p.expect("FROM")
        return IsDistinctFrom(left, operand(p, level), negated, position=position)
    form = normalized(p, left, negated=negated, position=position)
    if form is not None:
        return form
    test = p.expect_any("NULL", "TRUE", "FALSE", "UNKNOWN")
    return Is(left, IsTest(test), negated, position=position)


def _isnull(p: TokenStream, left: Expr, level: int) -> Expr:
    position, negated = p.position, p.key == "NOTNULL"
    p.advance()
    return Is(left, IsTest.NULL, negated, position=position)


def _like_level(p: TokenStream, left: Expr, level: int) -> Expr:
    position = p.position
    negated = p.accept("NOT")
    key = p.key
    p.advance()
    if key == "IN":
        return _in(p, left, negated, position)
    if key == "BETWEEN":
        symmetric = p.accept_any(("SYMMETRIC", "ASYMMETRIC")) == "SYMMETRIC"
        low = operand(p, level)
        p.expect("AND")
        high = operand(p, level)
        return Between(left, low, high, symmetric, negated, position=position)
    if key == "SIMILAR":
        return similar(p, left, level, negated=negated, position=position)
    insensitive = key == "ILIKE"
    if p.key in _QUANTIFIERS and p.peek() == "(":
        name = ("!" if negated else "") + ("~~*" if insensitive else "~~")
        return _any_all(p, left, name, (), position)
    pattern = operand(p, level)
    escape = operand(p, level) if p.accept("ESCAPE") else None
    return Like(left, pattern, escape, insensitive, negated, position=position)


def _in(p: TokenStream, left: Expr, negated: bool, position: int) -> Expr:
    if is_query(p):
        p.expect("(")
        query = p.rules.query(p)
        p.expect(")")
        return InSubquery(left, query, negated, position=position)
    p.expect("(")
    items = () if p.key == ")" else expressions(p)
    p.expect(")")
    return InList(left, items, negated, position=position)


def _at(p: TokenStream, left: Expr, level: int) -> Expr:
    position = p.position
    p.expect_all("AT", "TIME", "ZONE")
    zone = operand(p, level)
    name = ObjectName(("timezone",), position=position)
    return Function(name, (zone, left), position=position)


def _collate(p: TokenStream, left: Expr, level: int) -> Expr:
    collation(p)
    return left


_BYTEWISE = frozenset(["C", "POSIX", "default", "ucs_basic"])


def collation(p: TokenStream) -> None:
    """Step over ``COLLATE name``.

    We compare text by its bytes, so the collations that say so change nothing and have no node;
    psql's own queries ask for ``pg_catalog.default``.
    """
    position = p.position
    p.expect("COLLATE")
    name = p.object_name("a collation")
    if name.last not in _BYTEWISE:
        raise FeatureNotSupported(
            f'collation "{name.last}" is not supported',
            hint='Text is compared by its bytes, as under COLLATE "C".',
            position=position,
        )


def _cast(p: TokenStream, left: Expr, level: int) -> Expr:
    position = p.position
    p.advance()
    return Cast(left, data_type(p), position=position)


def _subscript(p: TokenStream, left: Expr, level: int) -> Expr:
    position = p.position
    items = []
    while p.key == "[":
        items.append(_subscript_item(p))
    return Subscript(left, tuple(items), position=position)


def _subscript_item(p: TokenStream) -> SubscriptItem:
    position = p.position
    p.expect("[")
    lower = None if p.key == ":" else operand(p, 0)
    is_slice = p.accept(":")
    upper = None if p.key == "]" else operand(p, 0) if is_slice else None
    p.expect("]")
    return SubscriptItem(lower, upper, is_slice, position=position)


def _field(p: TokenStream, left: Expr, level: int) -> Expr:
    position = p.position
    p.advance()
    if p.accept("*"):
        return RecordWildcard(left, position=position)
    return FieldAccess(left, p.label("a field's name"), position=position)


_INFIX_RULES = {
    "OR": _or,
    "AND": _and,
    "IS": _is,
    "ISNULL": _isnull,
    "NOTNULL": _isnull,
    "NOT": _like_level,
    "BETWEEN": _like_level,
    "IN": _like_level,
    "LIKE": _like_level,
    "ILIKE": _like_level,
    "SIMILAR": _like_level,
    "OVERLAPS": overlaps,
    "AT": _at,
    "COLLATE": _collate,
    "::": _cast,
    "[": _subscript,
    ".": _field,
}
