"""Queries: WITH, set operations, SELECT's clauses, ORDER BY, LIMIT, AS OF."""

from headwater.errors import FeatureNotSupported, SyntaxError_
from headwater.sql.ast.base import ColumnDefinition
from headwater.sql.ast.keywords import NOT_A_BARE_LABEL, words
from headwater.sql.ast.query import (
    AsOf,
    Cte,
    Expr,
    Grouping,
    GroupingKind,
    NamedWindow,
    Number,
    OrderItem,
    Query,
    RecursionLimitKind,
    RecursiveBinding,
    Select,
    SelectHint,
    SelectItem,
    SetExpr,
    SetOperation,
    SetOperator,
    TableExpr,
    TableQuery,
    Values,
    Wildcard,
    With,
    WithMutuallyRecursive,
)
from headwater.sql.parse.data_type import data_type
from headwater.sql.parse.expression import (
    expression_or_default,
    expressions,
    operand,
    order_items,
)
from headwater.sql.parse.function import window_spec
from headwater.sql.parse.show import show_relation
from headwater.sql.parse.stream import NUMBER, QUOTED, WORD, TokenStream
from headwater.sql.parse.table import is_as_of, table_expressions

_SET_LEVELS = {"UNION": 1, "EXCEPT": 1, "INTERSECT": 2}
_HINTS = (
    ("AGGREGATE", "INPUT", "GROUP", "SIZE"),
    ("DISTINCT", "ON", "INPUT", "GROUP", "SIZE"),
    ("LIMIT", "INPUT", "GROUP", "SIZE"),
    ("EXPECTED", "GROUP", "SIZE"),
)

_LIMIT_ERROR = "Invalid WITH MUTUALLY RECURSIVE recursion limit"

QUERY_LEVELS = 2
"""Levels of nesting and height that a query counts as: reading one takes that many more frames."""


def query(p: TokenStream) -> Query:
    """Read a query, without the parentheses that may be around it."""
    p.enter(QUERY_LEVELS)
    outside, p.height = p.height, 0
    position = p.position
    ctes = with_clause(p) if p.key == "WITH" else None
    body = _set_expression(p, 0)
    order_by = order_items(p) if p.accept_all("ORDER", "BY") else ()
    limit = offset = as_of = None
    with_ties = False
    if p.key in ("LIMIT", "OFFSET", "FETCH"):
        limit, offset, with_ties = _bounds(p)
    if isinstance(body, Query):
        _refuse_twice(body, position, order_by, limit, offset)
    if p.key == "FOR":
        raise FeatureNotSupported("row locks (FOR UPDATE) are not supported", position=p.position)
    if p.key == "AS":
        as_of = optional_as_of(p)
    p.height = max(outside, p.height + QUERY_LEVELS)
    p.depth -= QUERY_LEVELS
    whole = Query(body, ctes, order_by, limit, offset, with_ties, as_of, position=position)
    return body if isinstance(body, Query) and _is_bare(whole) else whole


def _refuse_twice(
    inner: Query,
    position: int,
    order_by: tuple[OrderItem, ...],
    limit: Expr | None,
    offset: Expr | None,
) -> None:
    """Refuse clauses of a query in parentheses that stand again after them, as PostgreSQL does."""
    for name, own, other in (
        ("ORDER BY", inner.order_by, order_by),
        ("LIMIT", inner.limit, limit),
        ("OFFSET", inner.offset, offset),
    ):
        if own and other:
            raise SyntaxError_(f"multiple {name} clauses not allowed", position=position)


def _is_bare(found: Query) -> bool:
    """Return whether a query has no clause of its own, so that its body stands for it."""
    clauses = (found.with_, found.limit, found.offset, found.as_of)
    return not found.order_by and all(clause is None for clause in clauses)


def parenthesized_query(p: TokenStream) -> Query:
    """Read a query in parentheses."""
    p.expect("(")
    found = query(p)
    p.expect(")")
    return found


def optional_as_of(p: TokenStream) -> AsOf | None:
    """Read ``AS OF [AT LEAST] time``, if it is there."""
    position = p.position
    if not p.accept_all("AS", "OF"):
        return None
    at_least = p.accept_all("AT", "LEAST")
    return AsOf(operand(p, 0), at_least, position=position)


def _bounds(p: TokenStream) -> tuple[Expr | None, Expr | None, bool]:
    """Read LIMIT, OFFSET and FETCH in any order, each at most once."""
    limit = offset = None
    limited = shifted = with_ties = False
    while True:
        if limited and p.key in ("LIMIT", "FETCH"):
            raise SyntaxError_("multiple LIMIT/FETCH clauses not allowed", position=p.position)
        if shifted and p.key == "OFFSET":
            raise SyntaxError_("multiple OFFSET clauses not allowed", position=p.position)
        if p.key == "LIMIT":
            p.advance()
            limited = True
            if not p.accept("ALL"):
                limit = operand(p, 0)
        elif p.key == "OFFSET":
            p.advance()
            shifted = True
            offset = operand(p, 0)
            p.accept_any(("ROW", "ROWS"))
        elif p.key == "FETCH":
            limited = True
            limit, with_ties = _fetch_first(p)
        else:
            return limit, offset, with_ties


def _fetch_first(p: TokenStream) -> tuple[Expr, bool]:
    position = p.position
    p.advance()
    p.expect_any("FIRST", "NEXT")
    limit = Number("1", position=position) if p.key in ("ROW", "ROWS") else operand(p, 0)
    p.expect_any("ROW", "ROWS")
    if p.accept("ONLY"):
        return limit, False
    p.expect_all("WITH", "TIES")
    return limit, True


# --- WITH -----------------------------------------------------------------------------------------


def with_clause(p: TokenStream) -> With | WithMutuallyRecursive:
    """Read WITH and its CTEs; entered on it."""
    position = p.position
    p.expect("WITH")
    if p.accept_all("MUTUALLY", "RECURSIVE"):
        return _mutually_recursive(p, position)
    recursive = p.key == "RECURSIVE" and p.peek() not in ("AS", "(")
    if recursive:
        p.advance()
    ctes = [_cte(p)]
    while p.accept(","):
        ctes.append(_cte(p))
    return With(tuple(ctes), recursive, position=position)


def _cte(p: TokenStream) -> Cte:
    position = p.position
    name = p.name("a query's name")
    columns = p.name_list() if p.key == "(" else ()
    p.expect("AS")
    materialized = None
    if p.accept("MATERIALIZED"):
        materialized = True
    elif p.accept_all("NOT", "MATERIALIZED"):
        materialized = False
    p.expect("(")
    if p.key in ("INSERT", "UPDATE", "DELETE", "MERGE"):
        raise FeatureNotSupported("writes in WITH are not supported", position=p.position)
    found = query(p)
    p.expect(")")
    return Cte(name, columns, found, materialized, position=position)


def _mutually_recursive(p: TokenStream, position: int) -> WithMutuallyRecursive:
    limit, kind = None, RecursionLimitKind.PLAIN
    if p.accept("("):
        limit, kind = _recursion_limit(p)
        while p.accept(","):
            at = p.position
            _, other = _recursion_limit(p)
            if other is kind:
                raise SyntaxError_(f"{_limit_option(kind)} specified more than once", position=at)
            raise SyntaxError_(
                f"{_LIMIT_ERROR}. More than one recursion limit given. Please give at most one of"
                " RECURSION LIMIT, ERROR AT RECURSION LIMIT, RETURN AT RECURSION LIMIT.",
                position=at,
            )
        p.expect(")")
    bindings = [_binding(p)]
    while p.accept(","):
        bindings.append(_binding(p))
    return WithMutuallyRecursive(tuple(bindings), limit, kind, position=position)


def _limit_option(kind: RecursionLimitKind) -> str:
    return f"{kind.value} RECURSION LIMIT".strip()


def _recursion_limit(p: TokenStream) -> tuple[int, RecursionLimitKind]:
    kind = RecursionLimitKind.PLAIN
    if p.accept_all("RETURN", "AT"):
        kind = RecursionLimitKind.RETURN
    elif p.accept_all("ERROR", "AT"):
        kind = RecursionLimitKind.ERROR
    elif p.key != "RECURSION":
        p.fail("RECURSION", "RETURN", "ERROR")
    p.expect_all("RECURSION", "LIMIT")
    p.accept("=")
    position = p.position
    wrong = f"invalid {_limit_option(kind)}: "
    if p.key in (")", ","):
        raise SyntaxError_(f"{wrong}must provide an unsigned integer value", position=position)
    if p.key == "-":
        raise SyntaxError_(
            f"{wrong}invalid unsigned numeric value: invalid digit found in string",
            position=position,
        )
    if p.kind is not NUMBER:
        raise SyntaxError_(f"{wrong}cannot use value as number", position=position)
    limit = p.integer()
    if limit < 1:
        raise SyntaxError_(
            f"{_LIMIT_ERROR}. Recursion limit has to be greater than 0.", position=position
        )
    return limit, kind


def _binding(p: TokenStream) -> RecursiveBinding:
    position = p.position
    name = p.name("a binding's name")
    p.expect("(")
    columns = []
    while True:
        at = p.position
        column = p.name("a column")
        columns.append(ColumnDefinition(column, data_type(p), position=at))
        if not p.accept(","):
            break
    p.expect_all(")", "AS")
    return RecursiveBinding(name, tuple(columns), parenthesized_query(p), position=position)


# --- set operations -------------------------------------------------------------------------------


def _set_expression(p: TokenStream, above: int) -> SetExpr:
    left = _set_operand(p)
    while True:
        level = _SET_LEVELS.get(p.key, 0)
        if level <= above:
            return left
        position = p.position
        operator = SetOperator(p.key)
        p.advance()
        every = p.accept_any(("ALL", "DISTINCT")) == "ALL"
        right = _set_expression(p, level)
        left = SetOperation(operator, left, right, every, position=position)
        p.grow()


def _set_operand(p: TokenStream) -> SetExpr:
    key = p.key
    if key == "SELECT":
        return select(p)
    if key == "(":
        found = parenthesized_query(p)
        return found.body if _is_bare(found) else found
    if key == "VALUES":
        return values(p)
    if key == "TABLE":
        position = p.position
        p.advance()
        return TableQuery(p.object_name("a relation"), position=position)
    if key == "SHOW":
        return show_relation(p)
    p.fail("a query")


def values(p: TokenStream) -> Values:
    """Read VALUES and its rows."""
    position = p.position
    p.expect("VALUES")
    rows = [_values_row(p)]
    while p.accept(","):
        rows.append(_values_row(p))
    return Values(tuple(rows), position=position)


def _values_row(p: TokenStream) -> tuple[Expr, ...]:
    p.expect("(")
    row = [expression_or_default(p)]
    while p.accept(","):
        row.append(expression_or_default(p))
    p.expect(")")
    return tuple(row)


# --- SELECT ---------------------------------------------------------------------------------------

_NO_ITEMS = words(
    """
    FROM WHERE GROUP HAVING QUALIFY UNION EXCEPT INTERSECT ORDER LIMIT OFFSET FETCH WINDOW OPTIONS
    FOR AS ) ;
    """
) | {""}


def select(p: TokenStream) -> Select:
    """Read SELECT up to its last own clause."""
    position = p.position
    p.expect("SELECT")
    distinct, distinct_on = _distinct(p)
    items = () if p.key in _NO_ITEMS else select_items(p)
    from_: tuple[TableExpr, ...] = table_expressions(p) if p.accept("FROM") else ()
    where = operand(p, 0) if p.accept("WHERE") else None
    group_by = _group_by(p) if p.accept_all("GROUP", "BY") else ()
    hints = _hints(p) if p.key == "OPTIONS" else ()
    having = operand(p, 0) if p.accept("HAVING") else None
    windows = _windows(p) if p.key == "WINDOW" else ()
    qualify = operand(p, 0) if p.accept("QUALIFY") else None
    if p.key == "OPTIONS" and not hints:
        hints = _hints(p)
    return Select(
        items,
        from_,
        where,
        group_by,
        having,
        qualify,
        windows,
        distinct,
        distinct_on,
        hints,
        position=position,
    )


def _distinct(p: TokenStream) -> tuple[bool, tuple[Expr, ...]]:
    if p.key == "ALL" and p.peek() != ".":
        p.advance()
        return False, ()
    if p.key != "DISTINCT":
        return False, ()
    p.advance()
    if not p.accept_all("ON", "("):
        return True, ()
    on = expressions(p)
    p.expect(")")
    return True, on


def select_items(p: TokenStream) -> tuple[SelectItem, ...]:
    """Read a select list; RETURNING has one as well."""
    items = [_select_item(p)]
    while p.accept(","):
        items.append(_select_item(p))
    return tuple(items)


def _select_item(p: TokenStream) -> SelectItem:
    position = p.position
    if p.key == "*":
        p.advance()
        return SelectItem(Wildcard(position=position), position=position)
    found = operand(p, 0)
    alias = None
    kind = p.kinds[p.i]
    if p.key == "AS":
        if not is_as_of(p):
            p.advance()
            alias = p.label("a column's alias")
    elif kind is QUOTED or (kind is WORD and p.key not in NOT_A_BARE_LABEL):
        alias = p.value
        p.advance()
    return SelectItem(found, alias, position=position)


def _group_by(p: TokenStream) -> tuple[Expr | Grouping, ...]:
    found = [_group_element(p)]
    while p.accept(","):
        found.append(_group_element(p))
    return tuple(found)


def _group_element(p: TokenStream) -> Expr | Grouping:
    position = p.position
    if p.at("(", ")"):
        p.skip(2)
        return Grouping(GroupingKind.EMPTY, position=position)
    if p.at("GROUPING", "SETS", "("):
        p.skip(3)
        return _grouping(p, GroupingKind.SETS, position)
    if p.key in ("CUBE", "ROLLUP") and p.peek() == "(":
        kind = GroupingKind(p.key)
        p.skip(2)
        return _grouping(p, kind, position)
    return operand(p, 0)


def _grouping(p: TokenStream, kind: GroupingKind, position: int) -> Grouping:
    p.enter()
    elements = [_group_element(p)]
    while p.accept(","):
        elements.append(_group_element(p))
    p.expect(")")
    p.depth -= 1
    return Grouping(kind, tuple(elements), position=position)


def _windows(p: TokenStream) -> tuple[NamedWindow, ...]:
    p.expect("WINDOW")
    found = []
    while True:
        position = p.position
        name = p.name("a window's name")
        p.expect("AS")
        found.append(NamedWindow(name, window_spec(p), position=position))
        if not p.accept(","):
            return tuple(found)


def _hints(p: TokenStream) -> tuple[SelectHint, ...]:
    p.expect_all("OPTIONS", "(")
    found = []
    while True:
        position = p.position
        words = next((words for words in _HINTS if p.at(*words)), None)
        if words is None:
            p.fail(*(" ".join(words) for words in _HINTS))
        p.skip(len(words))
        p.accept("=")
        value = None if p.key in (",", ")") else operand(p, 0)
        found.append(SelectHint(" ".join(words).lower(), value, position=position))
        if not p.accept(","):
            break
    p.expect(")")
    return tuple(found)
