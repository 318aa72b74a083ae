"""Trees as SQL text again: canonical, on one line, names quoted where they need it.

For every tree that the parser makes, ``parse(to_sql(tree))`` equals the tree but for positions.
"""

from headwater.sql.ast.base import Node
from headwater.sql.ast.printing import connectors, expressions, objects, options, queries, rows
from headwater.sql.ast.printing.writer import Rules, Writer

_RULES: Rules = {
    **expressions.RULES,
    **queries.RULES,
    **options.RULES,
    **rows.RULES,
    **objects.RULES,
    **connectors.RULES,
}


def to_sql(node: Node, *, redacted: bool = False) -> str:
    """Return ``node`` (a statement, a query, an expression, a type or any part) as SQL.

    Args:
        node: What to print.
        redacted: Replace the literals' values by ``'<REDACTED>'``; such text may not parse.
    """
    return Writer(_RULES, expressions.level, redacted=redacted).node(node)
