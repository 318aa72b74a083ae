"""The names of output columns without an alias.

Source: PostgreSQL's ``FigureColname`` (``parse_target.c``).
"""

from headwater.sql.ast import query as ast
from headwater.sql.ast.base import ArrayType, DataType, ListType, MapType, NamedType

ANONYMOUS = "?column?"
_FIXED: dict[type, str] = {
    ast.Coalesce: "coalesce",
    ast.Greatest: "greatest",
    ast.Least: "least",
    ast.NullIf: "nullif",
    ast.ArrayExpr: "array",
    ast.ArrayQuery: "array",
    ast.ListExpr: "list",
    ast.ListQuery: "list",
    ast.MapExpr: "map",
    ast.MapQuery: "map",
    ast.Exists: "exists",
    ast.Row: "row",
    ast.IntervalLiteral: "interval",
    ast.Boolean: "bool",
}


def column_name(node: ast.Expr) -> str:
    """Return the name of the output column of an expression."""
    return _figure(node)[0]


def _figure(node: ast.Expr) -> tuple[str, int]:
    """Return a name and how good it is: 2 for what the user wrote, 1 for a guess, 0 for none."""
    if isinstance(node, ast.Identifier):
        return node.parts[-1], 2
    if isinstance(node, ast.FieldAccess):
        return node.field, 2
    if isinstance(node, ast.Function):
        return node.name.last, 2
    if isinstance(node, ast.Subscript):
        return _figure(node.operand)
    if isinstance(node, ast.Cast):
        name, strength = _figure(node.operand)
        return (name, strength) if strength == 2 else (_type_name(node.data_type), 1)
    if isinstance(node, ast.Case):
        if node.otherwise is not None:
            name, strength = _figure(node.otherwise)
            if strength == 2:
                return name, strength
        return "case", 1
    if isinstance(node, ast.Subquery):
        return _query_name(node.query)
    fixed = _FIXED.get(type(node))
    if fixed is None:
        return ANONYMOUS, 0
    return fixed, 1 if isinstance(node, ast.Boolean | ast.IntervalLiteral) else 2


def _type_name(node: DataType) -> str:
    if isinstance(node, NamedType):
        return node.name.last
    if isinstance(node, ArrayType):
        return _type_name(node.element)
    assert isinstance(node, ListType | MapType)
    return "list" if isinstance(node, ListType) else "map"


def _query_name(query: ast.Query) -> tuple[str, int]:
    body: ast.SetExpr = query.body
    while isinstance(body, ast.SetOperation | ast.Query):
        body = body.left if isinstance(body, ast.SetOperation) else body.body
    if isinstance(body, ast.Values):
        return "column1", 2
    if isinstance(body, ast.Select) and body.items:
        item = body.items[0]
        return (item.alias, 2) if item.alias is not None else _figure(item.expression)
    return ANONYMOUS, 0
