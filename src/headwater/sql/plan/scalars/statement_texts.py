"""Functions whose arguments are SQL, or that tell of its grammar; planning itself answers them.

``pretty_sql`` and ``redact_sql`` read and print statements as ``SHOW CREATE`` does, which is
Python's: they take constants, and refuse columns.
"""

from collections.abc import Callable

from headwater.errors import FeatureNotSupported, InvalidParameterValue, UserError
from headwater.ir.literals import is_null, literal_int, literal_text, null_literal, text_literal
from headwater.ir.scalar import Literal
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node
from headwater.sql.ast.keywords import KEYWORDS, NOT_A_BARE_LABEL, RESERVED, SPECIAL
from headwater.sql.ast.pretty import WIDTH, pretty
from headwater.sql.ast.printer import to_sql
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan.calls import choose_function
from headwater.sql.plan.context import ExprContext
from headwater.sql.plan.hir import HirScalar
from headwater.sql.plan.types import type_of
from headwater.types.scalar import INT4, TEXT, ScalarType

MAX_WIDTH = 10_000
"""The longest line that ``pretty_sql`` is asked for, in characters."""


def plan_pretty_sql(ctx: ExprContext, node: ast.Function) -> HirScalar:
    """Plan ``pretty_sql(text [, width])``.

    Raises: FeatureNotSupported (not of constants); InvalidParameterValue (not one statement, or a
    width below 0); UserError (the text's own syntax error).
    """
    if not 1 <= len(node.arguments) <= 2:
        return _none_fits(ctx, "pretty_sql", node)
    text = _constant(ctx, "pretty_sql", node.arguments[0], TEXT)
    width = None
    if len(node.arguments) == 2:
        width = _constant(ctx, "pretty_sql", node.arguments[1], INT4)
    if is_null(text) or (width is not None and is_null(width)):
        return null_literal(TEXT)
    columns = WIDTH if width is None else literal_int(width)
    assert columns is not None
    if columns < 0:
        raise InvalidParameterValue(f"invalid width: {columns}", position=node.position)
    return _printed(text, node, lambda found: pretty(found, width=min(columns, MAX_WIDTH)))


def plan_redact_sql(ctx: ExprContext, node: ast.Function) -> HirScalar:
    """Plan ``redact_sql(text)``: the statement without its literals' values; errors as above."""
    if len(node.arguments) != 1:
        return _none_fits(ctx, "redact_sql", node)
    text = _constant(ctx, "redact_sql", node.arguments[0], TEXT)
    if is_null(text):
        return null_literal(TEXT)
    return _printed(text, node, lambda found: to_sql(found, redacted=True))


def _none_fits(ctx: ExprContext, name: str, node: ast.Function) -> HirScalar:
    types = tuple(type_of(ctx.plan(argument)).type for argument in node.arguments)
    choose_function(name, types, node.position)
    raise AssertionError(name)


def _constant(ctx: ExprContext, name: str, argument: ast.Expr, type: ScalarType) -> Literal:
    planned = ctx.plan_as(argument, type)
    if not isinstance(planned, Literal):
        raise FeatureNotSupported(
            f"{name} takes constants only",
            hint="SHOW CREATE gives the statement of an object on several lines.",
            position=argument.position,
        )
    return planned


def _printed(text: Literal, node: ast.Function, show: Callable[[Node], str]) -> Literal:
    sql = literal_text(text)
    assert sql is not None
    try:
        parsed = parse_statements(sql)
    except UserError as error:
        # Positions are of the argument, not of the statement that is planned.
        error.position = node.position
        raise
    if len(parsed) != 1:
        raise InvalidParameterValue(
            f"expected exactly one statement, found {len(parsed)}", position=node.position
        )
    return text_literal(show(parsed[0].statement))


def _keyword_rows() -> str:
    """Return the query of ``pg_get_keywords``. Source: PostgreSQL, section 9.26."""
    rows = []
    for word in sorted(KEYWORDS):
        code, said = "U", "unreserved"
        if word in RESERVED:
            code, said = "R", "reserved"
        elif word in SPECIAL:
            code, said = "C", "unreserved (cannot be function or type name)"
        is_bare = word not in NOT_A_BARE_LABEL
        bare = "can be bare label" if is_bare else "requires AS"
        rows.append(f"('{word.lower()}', '{code}', {is_bare}, '{said}', '{bare}')")
    return (
        'SELECT k.word, k.catcode::"char" AS catcode, k.barelabel, k.catdesc, k.baredesc'
        f" FROM (VALUES {', '.join(rows)}) AS k(word, catcode, barelabel, catdesc, baredesc)"
    )


KEYWORDS_FUNCTION = ((" -> setof text", _keyword_rows()),)
"""The overloads of ``pg_get_keywords``, as ``catalog.builtin.sql_functions`` writes them."""
