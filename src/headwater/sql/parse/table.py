"""What stands in FROM: relations, derived tables, table functions, joins."""

from headwater.errors import FeatureNotSupported
from headwater.sql.ast.base import DataType
from headwater.sql.ast.keywords import NOT_A_TABLE_ALIAS
from headwater.sql.ast.query import (
    DerivedTable,
    Expr,
    Function,
    Join,
    JoinKind,
    JoinNatural,
    JoinOn,
    JoinUsing,
    NestedJoin,
    RowsFrom,
    TableAlias,
    TableExpr,
    TableFunction,
    TableRef,
)
from headwater.sql.parse.data_type import data_type
from headwater.sql.parse.expression import operand
from headwater.sql.parse.primary import is_query
from headwater.sql.parse.stream import QUOTED, WORD, TokenStream

_JOIN_STARTS = frozenset(["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL"])
_AFTER_ALIAS_OF = frozenset(
    ["", ",", ")", ";", "FROM", "WHERE", "GROUP", "ORDER", "ON", "USING", "LIMIT", "UNION"]
)


def is_as_of(p: TokenStream) -> bool:
    """Return whether AS begins AS OF rather than an alias that is called ``of``."""
    return p.peek() == "OF" and p.peek(2) not in _AFTER_ALIAS_OF


def table_expressions(p: TokenStream) -> tuple[TableExpr, ...]:
    """Read tables with commas between them."""
    found = [table_expression(p)]
    while p.accept(","):
        found.append(table_expression(p))
    return tuple(found)


def table_expression(p: TokenStream) -> TableExpr:
    """Read a table and all that is joined to it."""
    p.enter()
    outside, p.height = p.height, 0
    left = _table_factor(p)
    while p.key in _JOIN_STARTS:
        left = _join(p, left)
        p.grow()
    p.height = max(outside, p.height)
    p.depth -= 1
    return left


def _join(p: TokenStream, left: TableExpr) -> TableExpr:
    position = p.position
    natural = p.accept("NATURAL")
    kind = _join_kind(p)
    if kind is JoinKind.CROSS:
        if natural:
            p.fail("JOIN")
        return Join(kind, left, _table_factor(p), position=position)
    if natural:
        constraint: JoinOn | JoinUsing | JoinNatural = JoinNatural(position=position)
        return Join(kind, left, _table_factor(p), constraint, position=position)
    right = _join_right(p)
    return Join(kind, left, right, _constraint(p), position=position)


def _join_right(p: TokenStream) -> TableExpr:
    """Read the right side; ``a JOIN b JOIN c ON … ON …`` nests to the right."""
    right = _table_factor(p)
    while p.key in _JOIN_STARTS:
        p.enter()
        right = _join(p, right)
        p.grow()
        p.depth -= 1
    return right


def _join_kind(p: TokenStream) -> JoinKind:
    first = p.expect_any("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS")
    if first == "JOIN":
        return JoinKind.INNER
    if first in ("LEFT", "RIGHT", "FULL"):
        p.accept("OUTER")
    p.expect("JOIN")
    return JoinKind[first]


def _constraint(p: TokenStream) -> JoinOn | JoinUsing:
    position = p.position
    if p.expect_any("ON", "USING") == "ON":
        return JoinOn(operand(p, 0), position=position)
    columns = p.name_list()
    alias = p.label("an alias") if p.key == "AS" and p.accept("AS") else None
    return JoinUsing(columns, alias, position=position)


def _table_factor(p: TokenStream) -> TableExpr:
    position = p.position
    lateral = p.key == "LATERAL" and p.accept("LATERAL")
    if p.key == "(":
        return _parenthesis(p, lateral, position)
    if p.key == "ROWS" and p.at("ROWS", "FROM", "("):
        return _rows_from(p, lateral, position)
    if p.peek() == "(" and p.key in ("COALESCE", "GREATEST", "LEAST", "NULLIF"):
        return _table_function(p, operand(p, _ABOVE_ALL), lateral, position)
    name = p.object_name("a table")
    if p.key == "(" and name.id is None:
        p.skip(-(2 * len(name.parts) - 1))
        return _table_function(p, operand(p, _ABOVE_ALL), lateral, position)
    if lateral:
        p.fail("(")
    p.accept("*")
    table = TableRef(name, table_alias(p), position=position)
    if p.key == "TABLESAMPLE":
        raise FeatureNotSupported("TABLESAMPLE is not supported", position=p.position)
    return table


_ABOVE_ALL = 14


def _parenthesis(p: TokenStream, lateral: bool, position: int) -> TableExpr:
    if is_query(p):
        p.expect("(")
        found = p.rules.query(p)
        p.expect(")")
        return DerivedTable(found, lateral, table_alias(p), position=position)
    if lateral:
        p.fail("a query")
    p.expect("(")
    inner = table_expression(p)
    if not isinstance(inner, Join | NestedJoin):
        p.fail("JOIN")
    p.expect(")")
    alias = table_alias(p)
    if alias is None:
        return inner
    if isinstance(inner, NestedJoin):
        p.fail()
    return NestedJoin(inner, alias, position=position)


def _table_function(p: TokenStream, function: Expr, lateral: bool, position: int) -> TableFunction:
    ordinality = p.accept_all("WITH", "ORDINALITY")
    alias = table_alias(p)
    # Materialize reads WITH ORDINALITY after the alias too.
    ordinality = ordinality or p.accept_all("WITH", "ORDINALITY")
    return TableFunction(function, ordinality, lateral, alias, position=position)


def _rows_from(p: TokenStream, lateral: bool, position: int) -> RowsFrom:
    p.expect_all("ROWS", "FROM", "(")
    functions = [operand(p, _ABOVE_ALL)]
    while p.accept(","):
        functions.append(operand(p, _ABOVE_ALL))
    for function in functions:
        if not isinstance(function, Function):
            p.fail("a function")
    p.expect(")")
    ordinality = p.accept_all("WITH", "ORDINALITY")
    return RowsFrom(tuple(functions), ordinality, lateral, table_alias(p), position=position)


def table_alias(p: TokenStream) -> TableAlias | None:
    """Read ``[AS] name [(column [type], …)]``, if it is there."""
    position = p.position
    name = optional_alias(p)
    if name is None:
        return None
    columns: list[str] = []
    types: list[DataType] = []
    if p.accept("("):
        while True:
            columns.append(p.name("a column"))
            if p.key not in (",", ")"):
                types.append(data_type(p))
            if not p.accept(","):
                break
        if types and len(types) != len(columns):
            p.fail()
        p.expect(")")
    return TableAlias(name, tuple(columns), tuple(types), position=position)


def optional_alias(p: TokenStream) -> str | None:
    """Read ``[AS] name``, if it is there."""
    kind = p.kinds[p.i]
    if p.key == "AS":
        if is_as_of(p):
            return None
        p.advance()
        return p.label("an alias")
    if p.key == "UP" and p.peek() == "TO":
        return None
    if kind is QUOTED or (kind is WORD and p.key not in NOT_A_TABLE_ALIAS):
        name = p.value
        p.advance()
        return name
    return None
