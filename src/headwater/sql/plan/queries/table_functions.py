"""Table functions: one, several side by side, with ordinality; in FROM and in the select list."""

from collections.abc import Sequence

from headwater.errors import FeatureNotSupported, InvalidParameterValue, TooManyColumns
from headwater.ir.functions import FunctionKind, lookup, lookup_syntax
from headwater.ir.literals import int_literal, is_null, literal_int, literal_text
from headwater.ir.scalar import Literal
from headwater.sql.ast import query as ast
from headwater.sql.plan.calls import call_operator, choose_function, convey
from headwater.sql.plan.context import ExprContext
from headwater.sql.plan.hir import (
    ColumnRef,
    HirCall,
    HirConstant,
    HirJoin,
    HirJoinKind,
    HirMap,
    HirProject,
    HirRelation,
    HirScalar,
    HirTableFunc,
)
from headwater.sql.plan.hir_visit import shift
from headwater.sql.plan.overload import Choice, settle
from headwater.sql.plan.queries.naming import column_name
from headwater.sql.plan.queries.ordinality import numbered, ranked
from headwater.sql.plan.scalars.catalog_functions import is_set_returning, plan_catalog_rows
from headwater.sql.plan.scalars.functions import function_name, plan_arguments
from headwater.sql.plan.scalars.named_arguments import positional
from headwater.sql.plan.types import type_of
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT4, INT8, TEXT, BaseType, ColumnType

ORDINALITY = "ordinality"
CSV_COLUMNS_MAX = 8_192

UNIT = HirConstant(((b"", 1),), RelationDesc((), ((),)))


class Made:
    """A table function's rows.

    Attributes:
        name: The function's name.
        renames: Whether an alias also names the only column, as PostgreSQL does for functions
            that return plain values.
    """

    __slots__ = ("desc", "name", "relation", "renames")

    def __init__(
        self, relation: HirRelation, desc: RelationDesc, name: str, *, renames: bool
    ) -> None:
        self.relation = relation
        self.desc = desc
        self.name = name
        self.renames = renames


def is_table_function(node: ast.Expr) -> bool:
    """Return whether the expression calls a table function."""
    if not isinstance(node, ast.Function):
        return False
    if is_set_returning(node.name.last):
        return True
    overloads = lookup(node.name.last)
    return bool(overloads) and overloads[0].kind is FunctionKind.TABLE


def plan_function(
    ctx: ExprContext, node: ast.Expr, *, ordinality: bool = False, levels: int = 0
) -> Made:
    """Plan one function whose arguments stand ``levels`` outside of its rows' own level.

    In FROM ``ctx`` has no columns of level 0, and ``levels`` is 0. A function that is not a table
    function yields one row.
    """
    if not isinstance(node, ast.Function) or not is_table_function(node):
        return _plain_function(ctx, node, ordinality=ordinality)
    name = function_name(node.name)
    node = positional(node)
    args = plan_arguments(ctx, node)
    types = tuple(type_of(arg).type for arg in args)
    positions = [argument.position for argument in node.arguments]
    if is_set_returning(name):
        rows = plan_catalog_rows(ctx, name, args, positions, levels)
        if rows is not None:
            made, desc = rows
            if ordinality:
                made = ranked(made, desc)
                desc = RelationDesc((*desc.columns, Column(ORDINALITY, INT8, False)))
            return Made(made, desc, name, renames=False)
    choice = choose_function(name, types, node.position)
    coerced = convey(ctx, choice, args, positions)
    if levels:
        coerced = tuple(shift(arg, levels) for arg in coerced)
    columns = _columns(name, choice, coerced, node)
    renames = len(columns) == 1 and columns[0].name == name
    desc = RelationDesc(tuple(columns))
    relation: HirRelation = HirTableFunc(choice.signature.kernel, coerced, desc)
    if name == "generate_subscripts" and types[0].base is BaseType.INT2VECTOR:
        relation = _from_zero(relation)
    if ordinality:
        relation = numbered(name, relation, coerced, desc, node.position)
        desc = RelationDesc((*columns, Column(ORDINALITY, INT8, False)))
    return Made(relation, desc, name, renames=renames)


def _from_zero(subscripts: HirRelation) -> HirRelation:
    """Return subscripts as an int2vector's, whose first is 0."""
    subscript = ColumnRef(0, 0, ColumnType(INT4, False))
    less = HirCall("sub_int4_int4", (subscript, int_literal(1)), ColumnType(INT4, False))
    return HirProject(HirMap(subscripts, (less,)), (1,))


def _plain_function(ctx: ExprContext, node: ast.Expr, *, ordinality: bool) -> Made:
    """Plan an expression in FROM as a relation of one row."""
    expr = ctx.plan_typed(node)
    found = type_of(expr)
    name = column_name(node)
    columns = [Column(name, found.type, found.nullable)]
    scalars: tuple[HirScalar, ...] = (expr,)
    if ordinality:
        scalars = (expr, int_literal(1, INT8))
        columns.append(Column(ORDINALITY, INT8, False))
    return Made(HirMap(UNIT, scalars), RelationDesc(tuple(columns)), name, renames=True)


def _columns(
    name: str, choice: Choice, args: Sequence[HirScalar], node: ast.Function
) -> list[Column]:
    signature = choice.signature
    if name == "csv_extract":
        return _csv_columns(args, node)
    if name == "regexp_extract":
        return _capture_columns(args, node)
    columns = []
    for column, declared in signature.columns:
        settled = settle(declared, choice)
        if settled is None:
            raise FeatureNotSupported(
                f"the columns of {name} cannot be told", position=node.position
            )
        columns.append(Column(column, settled, True))
    return columns


def _csv_columns(args: Sequence[HirScalar], node: ast.Function) -> list[Column]:
    count = literal_int(args[0]) if isinstance(args[0], Literal) else None
    if count is None or count < 1:
        raise InvalidParameterValue(
            "csv_extract number of columns must be a positive integer literal",
            position=node.position,
        )
    if count > CSV_COLUMNS_MAX:
        raise TooManyColumns(
            f"attempt to create relation with too many columns, {count} max: {CSV_COLUMNS_MAX}",
            position=node.position,
        )
    return [Column(f"column{number}", TEXT, True) for number in range(1, count + 1)]


def _capture_columns(args: Sequence[HirScalar], node: ast.Function) -> list[Column]:
    pattern = args[0]
    if not isinstance(pattern, Literal) or is_null(pattern):
        raise InvalidParameterValue(
            "regex given to regexp_extract must be a string literal", position=node.position
        )
    text = literal_text(pattern)
    assert text is not None
    names = capture_groups(text)
    if not names:
        raise InvalidParameterValue(
            "regexp_extract must specify at least one capture group", position=node.position
        )
    return [Column(name, TEXT, True) for name in names]


def capture_groups(pattern: str) -> list[str]:
    """Return the names of a regular expression's capture groups; ``columnN`` for unnamed ones."""
    names: list[str] = []
    index, in_class = 0, False
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            index += 2
            continue
        if in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(":
            rest = pattern[index + 1 :]
            named = next((p for p in ("?P<", "?<") if rest.startswith(p)), None)
            if named is not None and rest[len(named)] not in "=!":
                names.append(rest[len(named) : rest.index(">")])
            elif not rest.startswith("?"):
                names.append(f"column{len(names) + 1}")
        index += 1
    return names


def _each_array(node: ast.Expr) -> list[ast.Expr]:
    """Return a call of ``unnest`` as one for each of its arrays, other expressions as they are.

    Source: PostgreSQL, section 9.19: in FROM it takes several arrays, which advance together.
    """
    if (
        not isinstance(node, ast.Function)
        or node.name.last != "unnest"
        or len(node.arguments) < 2
        or not is_table_function(node)
    ):
        return [node]
    return [
        ast.Function(node.name, (argument,), position=node.position) for argument in node.arguments
    ]


def rows_from(ctx: ExprContext, nodes: Sequence[ast.Expr], *, ordinality: bool) -> Made:
    """Plan functions that advance together; the shorter ones are padded with NULL."""
    nodes = [each for node in nodes for each in _each_array(node)]
    if len(nodes) == 1:
        return plan_function(ctx, nodes[0], ordinality=ordinality)
    made = [plan_function(ctx, node, ordinality=True) for node in nodes]
    relation, desc = zip_rows(ctx, [(part.relation, part.desc) for part in made])
    columns = [column for part in made for column in part.desc.columns[:-1]]
    padded = [Column(column.name, column.type, True) for column in columns]
    outputs = list(range(len(columns)))
    if ordinality:
        padded.append(Column(ORDINALITY, INT8, False))
        outputs.append(desc.arity - 1)
    projected = HirProject(relation, tuple(outputs))
    return Made(projected, RelationDesc(tuple(padded)), made[0].name, renames=False)


def zip_rows(
    ctx: ExprContext, parts: Sequence[tuple[HirRelation, RelationDesc]]
) -> tuple[HirRelation, RelationDesc]:
    """Join relations whose last column is the row's number on that number.

    Shape: the columns of all, numbers left out, then the number.
    """
    relation, desc = parts[0]
    for right, right_desc in parts[1:]:
        left_arity, right_arity = desc.arity, right_desc.arity
        number = ColumnRef(0, left_arity - 1, ColumnType(INT8, True))
        other = ColumnRef(0, left_arity + right_arity - 1, ColumnType(INT8, True))
        on = call_operator(ctx, "=", (number, other), (0, 0), 0)
        joined = HirJoin(relation, right, on, HirJoinKind.FULL)
        merged = HirCall(lookup_syntax("coalesce").kernel, (number, other), ColumnType(INT8, False))
        mapped = HirMap(joined, (merged,))
        kept = [*range(left_arity - 1), *range(left_arity, left_arity + right_arity - 1)]
        outputs = (*kept, left_arity + right_arity)
        relation = HirProject(mapped, outputs)
        columns = [*desc.columns[:-1], *right_desc.columns[:-1]]
        padded = [Column(column.name, column.type, True) for column in columns]
        desc = RelationDesc((*padded, Column(ORDINALITY, INT8, False)))
    return relation, desc
