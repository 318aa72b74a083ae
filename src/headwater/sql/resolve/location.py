"""Where an expression begins: what errors about the whole of it point at.

A node's own position is its operator's. Source: PostgreSQL's ``exprLocation`` (``nodeFuncs.c``).
"""

from headwater.sql.ast import query as ast

_LEFT: dict[type, str] = {
    ast.BinaryOp: "left",
    ast.IsDistinctFrom: "left",
    ast.Like: "operand",
    ast.Between: "operand",
    ast.InList: "operand",
    ast.InSubquery: "operand",
    ast.AnyAll: "operand",
    ast.Is: "operand",
    ast.Subscript: "operand",
    ast.FieldAccess: "operand",
    ast.Cast: "operand",
}


def location(node: ast.Expr) -> int:
    """Return the position of the expression's first character, 0 if unknown."""
    first: ast.Expr = node
    best = node.position
    while True:
        if isinstance(first, ast.And | ast.Or):
            first = first.operands[0]
        else:
            field = _LEFT.get(type(first))
            if field is None:
                return best
            first = getattr(first, field)
        if first.position:
            best = min(best, first.position) if best else first.position
