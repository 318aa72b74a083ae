"""Table functions of a select list: each row is repeated for each of their rows.

They are planned as marks in expressions, and joined to the rows once those are known. Functions
that stand side by side advance together; one in another's argument is expanded before it.
"""

from collections.abc import Sequence

from headwater.errors import FeatureNotSupported
from headwater.ir.literals import TRUE
from headwater.sql.ast import query as ast
from headwater.sql.plan.coerce import make_record
from headwater.sql.plan.context import TABLE_FUNCTION_BASE, ExprContext
from headwater.sql.plan.hir import (
    ColumnRef,
    HirJoin,
    HirJoinKind,
    HirRelation,
    HirScalar,
)
from headwater.sql.plan.hir_visit import Rewriter
from headwater.sql.plan.queries.grouping import GroupRewriter
from headwater.sql.plan.queries.table_functions import plan_function, zip_rows
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ColumnType, record_of

Found = tuple[ast.Function, HirRelation, RelationDesc]


def mark_table_function(ctx: ExprContext, node: ast.Function) -> HirScalar:
    """Note a table function of the select list. Returns: the mark of its column, or of its row."""
    functions = ctx.table_functions
    assert functions is not None
    made = plan_function(_arguments_of(ctx), node, levels=1)
    first = TABLE_FUNCTION_BASE + functions.columns
    functions.found.append((node, made.relation, made.desc))
    functions.columns += made.desc.arity
    types = made.desc.types
    if made.desc.arity == 1:
        return ColumnRef(0, first, types[0], made.desc.columns[0].name)
    refs = tuple(ColumnRef(0, first + i, type) for i, type in enumerate(types))
    kind = record_of(*zip(made.desc.names, types, strict=True))
    return make_record(refs, kind)


def _arguments_of(ctx: ExprContext) -> ExprContext:
    return ExprContext(
        ctx.statement,
        ctx.scope,
        ctx.ctes,
        "the arguments of a table function",
        aggregates=ctx.aggregates,
        table_functions=ctx.table_functions,
    )


def expand(
    ctx: ExprContext,
    relation: HirRelation,
    types: list[ColumnType],
    grouped: GroupRewriter | None,
) -> tuple[HirRelation, list[ColumnType], dict[int, int]]:
    """Join the table functions that ``ctx`` has found to the rows of ``relation``.

    Args:
        ctx: The select list's context.
        relation: The rows, with columns of ``types``.
        types: Their types.
        grouped: What moves expressions onto the groups, if ``relation`` is groups.

    Returns: the rows, their types, and where each mark's column is.
    """
    functions = ctx.table_functions
    assert functions is not None
    place: dict[int, int] = {}
    first_marks = []
    mark = TABLE_FUNCTION_BASE
    for _, _, desc in functions.found:
        first_marks.append(mark)
        mark += desc.arity
    for layer in _layers(functions.found, first_marks):
        rows, desc = _side_by_side(ctx, [functions.found[number] for number in layer])
        rows = _resolved(rows, place)
        if grouped is not None:
            rows = grouped.rewriter.relation(rows, 1)
        column = len(types)
        for number in layer:
            for offset in range(functions.found[number][2].arity):
                place[first_marks[number] + offset] = column
                column += 1
        relation = HirJoin(relation, rows, TRUE, HirJoinKind.INNER, lateral=True)
        types = [*types, *desc.types]
    return relation, types, place


def _layers(found: Sequence[Found], first_marks: Sequence[int]) -> list[list[int]]:
    """Return the functions by how deep their arguments nest, those of plain arguments first."""
    depths: list[int] = []
    for _, relation, _ in found:
        marks = _marks(relation)
        inner = [
            depths[number]
            for number, depth in enumerate(depths)
            if any(
                first_marks[number] <= m < first_marks[number] + found[number][2].arity
                for m in marks
            )
        ]
        depths.append(1 + max(inner, default=-1))
    return [
        [number for number, depth in enumerate(depths) if depth == level]
        for level in range(max(depths, default=-1) + 1)
    ]


def _marks(relation: HirRelation) -> set[int]:
    """Return the marks that a function's arguments mention."""
    found: set[int] = set()

    def leaf(node: HirScalar, depth: int) -> HirScalar:
        if (
            isinstance(node, ColumnRef)
            and node.level == depth
            and node.index >= TABLE_FUNCTION_BASE
        ):
            found.add(node.index)
        return node

    Rewriter(leaf).relation(relation, 1)
    return found


def _resolved(relation: HirRelation, place: dict[int, int]) -> HirRelation:
    def leaf(node: HirScalar, depth: int) -> HirScalar:
        if isinstance(node, ColumnRef) and node.level == depth and node.index in place:
            return ColumnRef(node.level, place[node.index], node.type, node.name)
        return node

    return Rewriter(leaf).relation(relation, 1) if place else relation


def _side_by_side(ctx: ExprContext, found: Sequence[Found]) -> tuple[HirRelation, RelationDesc]:
    if len(found) == 1:
        return found[0][1], found[0][2]
    if any(_marks(relation) for _, relation, _ in found):
        raise FeatureNotSupported(
            "table functions side by side cannot both have table functions as arguments",
            position=found[0][0].position,
        )
    inner = ExprContext(ctx.statement, ctx.scope, ctx.ctes, ctx.clause, aggregates=ctx.aggregates)
    numbered = [plan_function(inner, node, ordinality=True, levels=1) for node, _, _ in found]
    return zip_rows(inner, [(made.relation, made.desc) for made in numbered])
