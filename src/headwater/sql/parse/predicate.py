"""SQL's predicates that are calls by another spelling: SIMILAR TO, OVERLAPS, IS NORMALIZED.

Each becomes the call that PostgreSQL makes of it, so that a definition shows as it does there.
"""

from headwater.sql.ast.base import ObjectName
from headwater.sql.ast.query import BinaryOp, Expr, Function, Not, Row, String
from headwater.sql.parse.stream import TokenStream

FORMS = frozenset(["NFC", "NFD", "NFKC", "NFKD"])
"""Unicode's normalization forms."""


def _call(name: str, arguments: tuple[Expr, ...], position: int) -> Function:
    return Function(ObjectName((name,), position=position), arguments, position=position)


def similar(p: TokenStream, left: Expr, level: int, *, negated: bool, position: int) -> Expr:
    """Read ``TO pattern [ESCAPE e]``: ``left ~ similar_to_escape(pattern, e)``."""
    p.expect("TO")
    arguments = [p.rules.operand(p, level)]
    if p.accept("ESCAPE"):
        arguments.append(p.rules.operand(p, level))
    pattern = _call("similar_to_escape", tuple(arguments), position)
    return BinaryOp("!~" if negated else "~", left, pattern, position=position)


def normalized(p: TokenStream, left: Expr, *, negated: bool, position: int) -> Expr | None:
    """Read ``[form] NORMALIZED``, after IS [NOT]; None where something else follows."""
    form = "NFC"
    if p.key in FORMS and p.peek() == "NORMALIZED":
        form = p.key
        p.advance()
    elif p.key != "NORMALIZED":
        return None
    p.advance()
    test = _call("is_normalized", (left, String(form, position=position)), position)
    return Not(test, position=position) if negated else test


def overlaps(p: TokenStream, left: Expr, level: int) -> Expr:
    """Read ``OVERLAPS (start, end)`` behind another such pair."""
    position = p.position
    p.advance()
    right = p.rules.operand(p, level)
    arguments: list[Expr] = []
    for pair in (left, right):
        if not isinstance(pair, Row) or len(pair.items) != 2:
            p.fail("two expressions on each side of OVERLAPS")
        arguments.extend(pair.items)
    return _call("overlaps", tuple(arguments), position)
