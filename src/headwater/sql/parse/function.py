"""Calls: arguments, FILTER, OVER, and the functions for which SQL has a syntax of its own."""

from collections.abc import Callable

from headwater.sql.ast.base import ObjectName
from headwater.sql.ast.keywords import words
from headwater.sql.ast.query import (
    Expr,
    FrameBound,
    FrameBoundKind,
    FrameExclusion,
    FrameUnit,
    Function,
    NamedArgument,
    Nulls,
    Number,
    OrderItem,
    String,
    WindowFrame,
    WindowSpec,
)
from headwater.sql.parse.stream import QUOTED, STRING, WORD, TokenStream

ABOVE_IN = 6
"""The level (``expression.LIKE``) above which an operand leaves IN alone, for POSITION(a IN b)."""

VALUE_FUNCTIONS = words(
    """
    CURRENT_CATALOG CURRENT_DATE CURRENT_ROLE CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP
    CURRENT_USER LOCALTIME LOCALTIMESTAMP SESSION_USER
    """
)
"""Functions that are called without parentheses."""


def call(p: TokenStream, parts: tuple[str, ...], position: int) -> Function:
    """Read a call from its opening parenthesis on."""
    name = ObjectName(parts, position=position)
    p.expect("(")
    if p.accept(")"):
        return _suffixes(p, Function(name, position=position))
    if p.accept("*"):
        p.expect(")")
        return _suffixes(p, Function(name, star=True, position=position))
    distinct = p.accept_any(("DISTINCT", "ALL")) == "DISTINCT" if _is_quantified(p) else False
    variadic = False
    arguments: list[Expr] = []
    while True:
        if p.key == "VARIADIC" and p.peek() not in (",", ")", "."):
            variadic = True
            p.advance()
        arguments.append(_argument(p))
        if not p.accept(","):
            break
    order_by = _order_by(p)
    p.expect(")")
    function = Function(
        name,
        tuple(arguments),
        distinct=distinct,
        variadic=variadic,
        order_by=order_by,
        position=position,
    )
    return _suffixes(p, function)


def _is_quantified(p: TokenStream) -> bool:
    return p.key in ("DISTINCT", "ALL") and p.peek() not in (",", ")", ".")


def _argument(p: TokenStream) -> Expr:
    if p.kinds[p.i] <= QUOTED and p.keys[p.i + 1] in ("=>", ":="):
        position, name = p.position, p.value
        p.skip(2)
        return NamedArgument(name, p.rules.operand(p, 0), position=position)
    return p.rules.operand(p, 0)


def _order_by(p: TokenStream) -> tuple[OrderItem, ...]:
    return p.rules.order_items(p) if p.accept_all("ORDER", "BY") else ()


def _suffixes(p: TokenStream, function: Function) -> Function:
    """Read what may follow the parentheses of a call."""
    key = p.key
    if key not in _SUFFIXES:
        return function
    within_group = function.within_group
    condition, nulls = function.filter, function.nulls
    over: WindowSpec | str | None = None
    if p.accept_all("WITHIN", "GROUP", "(", "ORDER", "BY"):
        within_group = p.rules.order_items(p)
        p.expect(")")
    nulls = _nulls(p)
    if p.key == "FILTER" and p.peek() == "(":
        p.skip(2)
        p.expect("WHERE")
        condition = p.rules.operand(p, 0)
        p.expect(")")
    nulls = nulls or _nulls(p)
    if p.key == "OVER" and (p.peek() == "(" or p.peek_kind() <= QUOTED):
        p.advance()
        over = window_spec(p) if p.key == "(" else p.name("a window's name")
    return Function(
        function.name,
        function.arguments,
        function.star,
        function.distinct,
        function.variadic,
        function.order_by,
        within_group,
        condition,
        nulls,
        over,
        position=function.position,
    )


_SUFFIXES = frozenset(["WITHIN", "FILTER", "IGNORE", "RESPECT", "OVER"])


def _nulls(p: TokenStream) -> Nulls | None:
    if p.key in ("IGNORE", "RESPECT") and p.peek() == "NULLS":
        nulls = Nulls(p.key)
        p.skip(2)
        return nulls
    return None


# --- windows --------------------------------------------------------------------------------------


def window_spec(p: TokenStream) -> WindowSpec:
    """Read a window in parentheses."""
    p.enter()
    position = p.position
    p.expect("(")
    base = None
    if p.kinds[p.i] is QUOTED or (p.kinds[p.i] is WORD and p.key not in _WINDOW_CLAUSES):
        base = p.name("a window's name")
    partition_by: list[Expr] = []
    if p.accept_all("PARTITION", "BY"):
        partition_by.append(p.rules.operand(p, 0))
        while p.accept(","):
            partition_by.append(p.rules.operand(p, 0))
    order_by = _order_by(p)
    frame = _frame(p) if p.key in FrameUnit.__members__ else None
    p.expect(")")
    p.grow()
    p.depth -= 1
    return WindowSpec(base, tuple(partition_by), order_by, frame, position=position)


_WINDOW_CLAUSES = frozenset(["PARTITION", "ORDER", "ROWS", "RANGE", "GROUPS"])


def _frame(p: TokenStream) -> WindowFrame:
    position = p.position
    unit = FrameUnit(p.key)
    p.advance()
    end = None
    if p.accept("BETWEEN"):
        start = _bound(p)
        p.expect("AND")
        end = _bound(p)
    else:
        start = _bound(p)
    exclusion = _exclusion(p) if p.accept("EXCLUDE") else None
    return WindowFrame(unit, start, end, exclusion, position=position)


def _bound(p: TokenStream) -> FrameBound:
    position = p.position
    if p.accept_all("CURRENT", "ROW"):
        return FrameBound(FrameBoundKind.CURRENT_ROW, position=position)
    offset = None
    if p.key == "UNBOUNDED" and p.peek() in ("PRECEDING", "FOLLOWING"):
        p.advance()
    else:
        offset = p.rules.operand(p, 0)
    side = p.expect_any("PRECEDING", "FOLLOWING")
    kind = FrameBoundKind(side if offset is not None else f"UNBOUNDED {side}")
    return FrameBound(kind, offset, position=position)


def _exclusion(p: TokenStream) -> FrameExclusion:
    first = p.expect_any("CURRENT", "GROUP", "TIES", "NO")
    if first == "CURRENT":
        p.expect("ROW")
        return FrameExclusion.CURRENT_ROW
    if first == "NO":
        p.expect("OTHERS")
        return FrameExclusion.NO_OTHERS
    return FrameExclusion(first)


# --- syntax of their own: each is entered on the function's name, "(" is next ---------------------


def value_function(p: TokenStream) -> Function:
    """Read CURRENT_DATE and its kin, which take no parentheses."""
    position, name = p.position, p.value
    p.advance()
    return Function(ObjectName((name,), position=position), position=position)


def _simple(name: str, arguments: list[Expr], position: int) -> Function:
    return Function(ObjectName((name,), position=position), tuple(arguments), position=position)


def _rest(p: TokenStream, arguments: list[Expr]) -> list[Expr]:
    """Read further arguments with commas before them, and the closing parenthesis."""
    while p.accept(","):
        arguments.append(p.rules.operand(p, 0))
    p.expect(")")
    return arguments


def _extract(p: TokenStream) -> Function:
    position = p.position
    p.skip(2)
    field: Expr
    if p.peek() == "FROM" and (p.kind <= QUOTED or p.kind is STRING):
        field = String(p.value, position=p.position)
        p.skip(2)
        return _simple("extract", _rest(p, [field, p.rules.operand(p, 0)]), position)
    return _simple("extract", _rest(p, [p.rules.operand(p, 0)]), position)


def _position(p: TokenStream) -> Function:
    position = p.position
    p.skip(2)
    needle = p.rules.operand(p, ABOVE_IN)
    p.expect("IN")
    haystack = p.rules.operand(p, ABOVE_IN)
    p.expect(")")
    return _simple("position", [needle, haystack], position)


def _substring(p: TokenStream) -> Function:
    position = p.position
    p.skip(2)
    arguments = [p.rules.operand(p, 0)]
    if p.accept("FROM"):
        arguments.append(p.rules.operand(p, 0))
        if p.accept("FOR"):
            arguments.append(p.rules.operand(p, 0))
    elif p.accept("SIMILAR"):
        arguments.append(p.rules.operand(p, 0))
        p.expect("ESCAPE")
        arguments.append(p.rules.operand(p, 0))
    elif p.key == "FOR":
        arguments.append(Number("1", position=p.position))
        p.advance()
        arguments.append(p.rules.operand(p, 0))
        if p.accept("FROM"):
            arguments[1] = p.rules.operand(p, 0)
    return _simple("substring", _rest(p, arguments), position)


def _trim(p: TokenStream) -> Function:
    position = p.position
    p.skip(2)
    side = p.accept_any(("BOTH", "LEADING", "TRAILING"))
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(side or "", "btrim")
    characters = None
    if not p.accept("FROM"):
        characters = p.rules.operand(p, 0)
        if not p.accept("FROM"):
            return _simple(name, _rest(p, [characters]), position)
    arguments = [p.rules.operand(p, 0)]
    if characters is not None:
        arguments.append(characters)
    return _simple(name, _rest(p, arguments), position)


def _overlay(p: TokenStream) -> Function:
    position = p.position
    p.skip(2)
    arguments = [p.rules.operand(p, 0)]
    if p.accept("PLACING"):
        arguments.append(p.rules.operand(p, 0))
        p.expect("FROM")
        arguments.append(p.rules.operand(p, 0))
        if p.accept("FOR"):
            arguments.append(p.rules.operand(p, 0))
    return _simple("overlay", _rest(p, arguments), position)


def _normalize(p: TokenStream) -> Function:
    position = p.position
    p.skip(2)
    arguments = [p.rules.operand(p, 0)]
    if p.key == "," and p.peek() in ("NFC", "NFD", "NFKC", "NFKD"):
        p.advance()
        arguments.append(String(p.key, position=p.position))
        p.advance()
    return _simple("normalize", _rest(p, arguments), position)


SPECIAL_CALLS: dict[str, Callable[[TokenStream], Function]] = {
    "EXTRACT": _extract,
    "NORMALIZE": _normalize,
    "OVERLAY": _overlay,
    "POSITION": _position,
    "SUBSTRING": _substring,
    "TRIM": _trim,
}
