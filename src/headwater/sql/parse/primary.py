"""What stands between operators: literals, names, constructors, conditionals, subqueries."""

from collections.abc import Callable

from headwater.sql.ast.base import DataType
from headwater.sql.ast.keywords import NOT_AN_EXPRESSION, words
from headwater.sql.ast.query import (
    ArrayExpr,
    ArrayQuery,
    Boolean,
    Case,
    Cast,
    Coalesce,
    Exists,
    Expr,
    Greatest,
    Identifier,
    IntervalField,
    IntervalLiteral,
    Least,
    ListExpr,
    ListQuery,
    MapEntry,
    MapExpr,
    MapQuery,
    Null,
    NullIf,
    Number,
    Parameter,
    QualifiedWildcard,
    Query,
    Row,
    String,
    Subquery,
    When,
)
from headwater.sql.parse.data_type import data_type
from headwater.sql.parse.function import SPECIAL_CALLS, VALUE_FUNCTIONS, call, value_function
from headwater.sql.parse.stream import NUMBER, PARAMETER, QUOTED, STRING, WORD, TokenStream

_QUERY_STARTS = frozenset(["SELECT", "WITH", "VALUES", "TABLE", "SHOW"])
_AFTER_OPERAND = frozenset(
    ["UNION", "EXCEPT", "INTERSECT", "ORDER", "LIMIT", "OFFSET", "FETCH", ")"]
)
_TYPE_STARTS = words(
    """
    BIT BPCHAR CHAR CHARACTER DEC DECIMAL DOUBLE FLOAT NATIONAL NCHAR NUMERIC TIME TIMESTAMP
    TIMESTAMPTZ TIMETZ VARCHAR
    """
)
_WITHIN = {
    None: 0,
    IntervalField.YEAR: 1,
    IntervalField.MONTH: 2,
    IntervalField.DAY: 3,
    IntervalField.HOUR: 4,
    IntervalField.MINUTE: 5,
    IntervalField.SECOND: 6,
}


def starts_query(p: TokenStream, index: int) -> bool:
    """Return whether a query without parentheses begins at the token ``index``."""
    key = p.keys[index]
    if key not in _QUERY_STARTS:
        return False
    if key in ("SELECT", "WITH"):
        return True
    following = index + 1
    if key == "VALUES":
        return p.keys[following] == "("
    return p.kinds[following] <= QUOTED or (key == "TABLE" and p.keys[following] == "[")


def is_query(p: TokenStream, index: int | None = None) -> bool:
    """Return whether the parenthesis at ``index`` (the current token) holds a query.

    ``((SELECT 1) UNION SELECT 2)`` does, ``((SELECT 1) + 1)`` does not: what comes after an inner
    query's parenthesis decides.
    """
    index = p.i if index is None else index
    first = index
    while p.keys[first] == "(":
        first += 1
    if first == index or not starts_query(p, first):
        return False
    return all(_continues_query(p, p.closing(i) + 1) for i in range(index + 1, first))


def _continues_query(p: TokenStream, index: int) -> bool:
    key = p.keys[index] if index < len(p.keys) else ""
    return key in _AFTER_OPERAND or (key == "AS" and p.keys[index + 1] == "OF")


def primary(p: TokenStream) -> Expr:
    """Read an operand without prefix or postfix operators."""
    kind = p.kinds[p.i]
    if kind is WORD:
        rule = _RULES.get(p.key)
        if rule is not None:
            return rule(p)
        if p.key in NOT_AN_EXPRESSION:
            p.fail("an expression")
        return _named(p)
    position = p.position
    if kind is NUMBER:
        value = p.value
        p.advance()
        return Number(value, position=position)
    if kind is STRING:
        value = p.value
        p.advance()
        return String(value, position=position)
    if kind is PARAMETER:
        number = int(p.value)
        p.advance()
        return Parameter(number, position=position)
    if kind is QUOTED:
        return _named(p)
    if p.key == "(":
        return _parenthesis(p)
    p.fail("an expression")


# --- names, calls, typed literals -----------------------------------------------------------------


def _named(p: TokenStream) -> Expr:
    """Read what begins with a name: a column, ``t.*``, a call, or ``type 'literal'``."""
    position, start = p.position, p.i
    parts = [p.values[start]]
    p.advance()
    while p.key == ".":
        p.advance()
        if p.key == "*":
            p.advance()
            return QualifiedWildcard(tuple(parts), position=position)
        parts.append(p.label())
    if p.key == "(":
        return call(p, tuple(parts), position)
    if p.kinds[p.i] is STRING:
        return _typed_literal(p, start)
    return Identifier(tuple(parts), position=position)


def _typed_literal(p: TokenStream, start: int) -> Expr:
    """Read ``type 'literal'`` again from its type at ``start``; entered on the string."""
    string = p.i
    p.skip(start - string)
    position = p.position
    of = data_type(p)
    if p.i != string:
        p.fail()
    return _literal(p, of, position)


def _literal(p: TokenStream, of: DataType, position: int) -> Expr:
    operand = String(p.value, position=p.position)
    p.advance()
    return Cast(operand, of, position=position)


def _maybe_typed(p: TokenStream) -> Expr:
    """Read a word that begins a spelled-out type: with a literal behind it, it is one."""
    end = p.i + 1
    if p.keys[end] == "(":
        end = min(p.closing(end) + 1, len(p.keys) - 1)
    while p.keys[end] in ("WITH", "WITHOUT", "TIME", "ZONE", "VARYING", "PRECISION", "CHARACTER"):
        end += 1
    if p.kinds[end] is not STRING or (end == p.i + 1 and p.key in ("DOUBLE", "NATIONAL")):
        return _named(p)
    position = p.position
    return _literal(p, data_type(p), position)


def _interval(p: TokenStream) -> Expr:
    """Read ``INTERVAL [(p)] 'value' [fields]``."""
    position = p.position
    has_precision = p.peek() == "(" and p.peek_kind(4) is STRING
    if p.peek_kind() is not STRING and not has_precision:
        return _named(p)
    p.advance()
    precision = None
    if p.accept("("):
        precision = p.integer("a precision")
        p.expect(")")
    value = p.string()
    leading, trailing = interval_field(p), None
    if leading is not None and p.accept("TO"):
        trailing = interval_field(p)
        if trailing is None or _WITHIN[trailing] <= _WITHIN[leading]:
            p.fail("a smaller interval field")
    if (trailing or leading) is IntervalField.SECOND and p.accept("("):
        precision = p.integer("a precision")
        p.expect(")")
    return IntervalLiteral(value, leading, trailing, precision, position=position)


def interval_field(p: TokenStream) -> IntervalField | None:
    """Read YEAR, MONTH, …, or nothing; the plurals are no SQL, but Materialize takes them."""
    word = p.key[:-1] if p.key.endswith("S") else p.key
    if word not in IntervalField.__members__ or p.kind is not WORD:
        return None
    p.advance()
    return IntervalField(word)


def _boolean(p: TokenStream) -> Expr:
    position, value = p.position, p.key == "TRUE"
    p.advance()
    return Boolean(value, position=position)


def _null(p: TokenStream) -> Expr:
    position = p.position
    p.advance()
    return Null(position=position)


# --- parentheses ----------------------------------------------------------------------------------


def _parenthesis(p: TokenStream) -> Expr:
    """Read a scalar subquery, a row, or an expression in parentheses."""
    position = p.position
    if is_query(p):
        return Subquery(_query(p), position=position)
    p.expect("(")
    if p.accept(")"):
        return Row((), position=position)
    first = p.rules.operand(p, 0)
    if p.key == ",":
        items = [first]
        while p.accept(","):
            items.append(p.rules.operand(p, 0))
        p.expect(")")
        return Row(tuple(items), position=position)
    p.expect(")")
    return first


def _query(p: TokenStream) -> Query:
    p.expect("(")
    query = p.rules.query(p)
    p.expect(")")
    return query


# --- keywords -------------------------------------------------------------------------------------


def _case(p: TokenStream) -> Expr:
    position = p.position
    p.advance()
    operand = None if p.key == "WHEN" else p.rules.operand(p, 0)
    branches = []
    while p.key == "WHEN":
        at = p.position
        p.advance()
        condition = p.rules.operand(p, 0)
        p.expect("THEN")
        branches.append(When(condition, p.rules.operand(p, 0), position=at))
    if not branches:
        p.fail("WHEN")
    otherwise = p.rules.operand(p, 0) if p.accept("ELSE") else None
    p.expect("END")
    return Case(operand, tuple(branches), otherwise, position=position)


def _cast(p: TokenStream) -> Expr:
    position = p.position
    p.expect_all("CAST", "(")
    operand = p.rules.operand(p, 0)
    p.expect("AS")
    to = data_type(p)
    p.expect(")")
    return Cast(operand, to, position=position)


def _exists(p: TokenStream) -> Expr:
    if p.peek() != "(" or not is_query(p, p.i + 1):
        return _named(p)
    position = p.position
    p.advance()
    return Exists(_query(p), position=position)


def _row(p: TokenStream) -> Expr:
    if p.peek() != "(":
        return _named(p)
    position = p.position
    p.advance()
    return Row(_arguments(p), position=position)


def _arguments(p: TokenStream) -> tuple[Expr, ...]:
    p.expect("(")
    items: list[Expr] = []
    if p.key != ")":
        items.append(p.rules.operand(p, 0))
        while p.accept(","):
            items.append(p.rules.operand(p, 0))
    p.expect(")")
    return tuple(items)


def _conditional(p: TokenStream) -> Expr:
    """Read COALESCE, GREATEST, LEAST or NULLIF."""
    if p.peek() != "(":
        return _named(p)
    position, key = p.position, p.key
    p.advance()
    items = _arguments(p)
    if key == "NULLIF":
        if len(items) != 2:
            p.i -= 1
            p.fail("two arguments of NULLIF")
        return NullIf(items[0], items[1], position=position)
    if not items:
        p.i -= 1
        p.fail("an expression")
    if key == "COALESCE":
        return Coalesce(items, position=position)
    if key == "GREATEST":
        return Greatest(items, position=position)
    return Least(items, position=position)


def _special_call(p: TokenStream) -> Expr:
    if p.peek() != "(":
        return _named(p)
    return SPECIAL_CALLS[p.key](p)


def _value_function(p: TokenStream) -> Expr:
    return _named(p) if p.peek() in ("(", ".") else value_function(p)


# --- constructors ---------------------------------------------------------------------------------


def _array(p: TokenStream) -> Expr:
    position = p.position
    if p.peek() == "[":
        p.advance()
        return ArrayExpr(_items(p, ArrayExpr), position=position)
    if p.peek() == "(" and is_query(p, p.i + 1):
        p.advance()
        return ArrayQuery(_query(p), position=position)
    p.advance()
    p.fail("[", "(")


def _items(p: TokenStream, node: type[ArrayExpr] | type[ListExpr]) -> tuple[Expr, ...]:
    """Read items in brackets, where inner brackets are a ``node`` of their own."""
    p.enter()
    p.expect("[")
    items: list[Expr] = []
    while p.key != "]":
        position = p.position
        if p.key == "[":
            items.append(node(_items(p, node), position=position))
        else:
            items.append(p.rules.operand(p, 0))
        if not p.accept(","):
            break
    p.expect("]")
    p.depth -= 1
    return tuple(items)


def _list(p: TokenStream) -> Expr:
    position = p.position
    if p.peek() == "[":
        p.advance()
        return ListExpr(_items(p, ListExpr), position=position)
    if p.peek() == "(" and is_query(p, p.i + 1):
        p.advance()
        return ListQuery(_query(p), position=position)
    return _named(p)


def _map(p: TokenStream) -> Expr:
    position = p.position
    if p.peek() == "[":
        p.advance()
        return MapExpr(_map_entries(p), position=position)
    if p.peek() == "(" and is_query(p, p.i + 1):
        p.advance()
        return MapQuery(_query(p), position=position)
    return _named(p)


def _map_entries(p: TokenStream) -> tuple[MapEntry, ...]:
    p.enter()
    p.expect("[")
    entries = []
    while p.key != "]":
        position = p.position
        key = p.rules.operand(p, 0)
        p.expect("=>")
        at = p.position
        value: Expr
        if p.key == "[":
            value = MapExpr(_map_entries(p), position=at)
        else:
            value = p.rules.operand(p, 0)
        entries.append(MapEntry(key, value, position=position))
        if not p.accept(","):
            break
    p.expect("]")
    p.depth -= 1
    return tuple(entries)


_RULES: dict[str, Callable[[TokenStream], Expr]] = {
    "ARRAY": _array,
    "CASE": _case,
    "CAST": _cast,
    "COALESCE": _conditional,
    "EXISTS": _exists,
    "FALSE": _boolean,
    "GREATEST": _conditional,
    "INTERVAL": _interval,
    "LEAST": _conditional,
    "LIST": _list,
    "MAP": _map,
    "NULL": _null,
    "NULLIF": _conditional,
    "ROW": _row,
    "TRUE": _boolean,
    **dict.fromkeys(SPECIAL_CALLS, _special_call),
    **dict.fromkeys(VALUE_FUNCTIONS, _value_function),
    **dict.fromkeys(_TYPE_STARTS, _maybe_typed),
}
