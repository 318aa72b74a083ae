"""The entries: text in, trees out."""

from headwater.sql.ast.base import DataType
from headwater.sql.ast.query import Expr
from headwater.sql.ast.statement import ParsedStatement
from headwater.sql.parse.data_type import data_type
from headwater.sql.parse.expression import expression, operand, order_items
from headwater.sql.parse.query import query
from headwater.sql.parse.statement import statement
from headwater.sql.parse.stream import Grammar, TokenStream

_GRAMMAR = Grammar(expression, operand, order_items, query, statement)


def parse_statements(sql: str) -> tuple[ParsedStatement, ...]:
    """Return the statements of ``sql``, which semicolons separate; none for an empty text.

    Raises:
        SyntaxError_: where the text does not follow the grammar, with the position in ``sql`` and
            what was expected as its detail. Nothing is returned for the statements before it.
        FeatureNotSupported: for grammar of PostgreSQL's that has no node here (COLLATE, row locks).
        NameTooLong: for an identifier above 255 bytes.
        StatementTooComplex: for a text or a tree above the limits of ``lexer`` and ``stream``.
    """
    p = TokenStream(sql, _GRAMMAR)
    found: list[ParsedStatement] = []
    while True:
        while p.key == ";":
            p.advance()
        if not p.key:
            return tuple(found)
        start = p.starts[p.i]
        p.height = 0
        parsed = statement(p)
        if p.key not in (";", ""):
            p.fail("end of statement")
        end = p.ends[p.i - 1]
        found.append(ParsedStatement(parsed, sql[start:end], start))


def parse_expression(sql: str) -> Expr:
    """Return the one expression that is all of ``sql``; errors as ``parse_statements``'."""
    p = TokenStream(sql, _GRAMMAR)
    found = operand(p, 0)
    _expect_end(p)
    return found


def parse_data_type(sql: str) -> DataType:
    """Return the one data type that is all of ``sql``; errors as ``parse_statements``'."""
    p = TokenStream(sql, _GRAMMAR)
    found = data_type(p)
    _expect_end(p)
    return found


def _expect_end(p: TokenStream) -> None:
    if p.key:
        p.fail("EOF")
