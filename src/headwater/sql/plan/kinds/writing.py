"""INSERT, UPDATE, DELETE, COPY … FROM.

The rows of a write are planned in the table's shape: every column coerced as on assignment,
defaults filled in. Constraints are looked at when the rows are known (``adapter.constraints``).
"""

from collections.abc import Sequence

from headwater.catalog.items import Table
from headwater.errors import (
    SyntaxError_,
)
from headwater.ir.literals import TRUE, literal_from_text
from headwater.ir.scalar import Literal
from headwater.sql.ast import dml
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.fold import fold
from headwater.sql.plan.hir import (
    Exists,
    HirCall,
    HirDistinct,
    HirFilter,
    HirGet,
    HirJoin,
    HirJoinKind,
    HirMap,
    HirProject,
    HirRelation,
    HirScalar,
    HirTopK,
)
from headwater.sql.plan.hir_visit import move_columns
from headwater.sql.plan.kinds.assigning import (
    assign,
    assigned,
    default_of,
    identity,
    target_scope,
    targets_of,
    with_returning,
    writable,
)
from headwater.sql.plan.kinds.merging import arbiter, plan_upsert
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.reading import (
    QUERIES,
)
from headwater.sql.plan.queries.from_clause import FromPlanner
from headwater.sql.plan.queries.planner import column_refs, values_rows
from headwater.sql.plan.rows import Rows
from headwater.sql.plan.scalars.rows import plan_operand
from headwater.sql.plan.scalars.subqueries import conjuncts
from headwater.sql.plan.statements import (
    DoNothing,
    InsertPlan,
    ReadThenWritePlan,
    ReturningPlan,
    TruncatePlan,
    WriteKind,
)
from headwater.sql.resolve.location import location
from headwater.sql.resolve.scope import Scope, product
from headwater.types.scalar import INT8, BaseType, ColumnType, ScalarType, record_of

_FROM_TEXT = frozenset({BaseType.NUMERIC, BaseType.FLOAT4, BaseType.FLOAT8})
_TABLE_TEXTS_CACHED_MAX = 1_000


# --- INSERT ---------------------------------------------------------------------------------------


def _insert(ctx: StatementContext, node: dml.Insert) -> Outcome:
    table = writable(ctx, node.table, "insert into")
    targets = targets_of(table, node.columns, node.table.position)
    source = node.source
    if source is None:
        rows = _default_values(ctx, table)
    elif isinstance(source.body, ast.Values) and _is_plain(source):
        rows = _values(ctx, table, targets, source.body, explicit=bool(node.columns))
    else:
        rows = _from_query(ctx, table, targets, source, explicit=bool(node.columns))
    if node.on_conflict is not None and node.on_conflict.assignments:
        return plan_upsert(ctx, table, node, rows.relation())
    nothing = None
    if node.on_conflict is not None:
        nothing = DoNothing(arbiter(table, node.on_conflict))
    relation, returning = _returning(ctx, table, rows, node)
    result = None if returning is None else returning.desc
    if not ctx.reads:
        return Outcome(InsertPlan(table.id, table.desc, relation, returning, nothing), result)
    arity = table.desc.arity + (0 if result is None else result.arity)
    plan = ReadThenWritePlan(
        table.id, table.desc, WriteKind.INSERT, relation, identity(arity), returning, nothing
    )
    return Outcome(plan, result)


def _is_plain(query: ast.Query) -> bool:
    return (
        query.with_ is None
        and not query.order_by
        and query.limit is None
        and query.offset is None
        and query.as_of is None
    )


def _default_values(ctx: StatementContext, table: Table) -> Rows:
    row = [default_of(ctx, table, index) for index in range(table.desc.arity)]
    return values_rows([row], list(table.desc.names))


def _check_width(width: int, targets: Sequence[int], *, explicit: bool, position: int) -> None:
    if width > len(targets):
        raise SyntaxError_("INSERT has more expressions than target columns", position=position)
    if width < len(targets) and explicit:
        raise SyntaxError_("INSERT has more target columns than expressions", position=position)


def _values(
    ctx: StatementContext,
    table: Table,
    targets: Sequence[int],
    body: ast.Values,
    *,
    explicit: bool,
) -> Rows:
    """Plan VALUES row by row, each expression straight to its column's type."""
    context = ExprContext(ctx, Scope.empty(), {}, "VALUES")
    width = len(body.rows[0])
    columns = table.desc.columns
    filled: dict[int, HirScalar] = {}
    planned = []
    for nodes in body.rows:
        if len(nodes) != width:
            raise SyntaxError_(
                "VALUES lists must all be the same length", position=nodes[0].position
            )
        _check_width(width, targets, explicit=explicit, position=nodes[-1].position)
        row: list[HirScalar | None] = [None] * len(columns)
        for index, node in zip(targets, nodes, strict=False):
            if isinstance(node, ast.Default):
                continue
            row[index] = _value(context, table, index, node)
        for index in range(len(columns)):
            if row[index] is None:
                if index not in filled:
                    filled[index] = default_of(ctx, table, index)
                row[index] = filled[index]
        planned.append([item for item in row if item is not None])
    return values_rows(planned, list(table.desc.names))


def _value(context: ExprContext, table: Table, index: int, node: ast.Expr) -> HirScalar:
    wanted = table.desc.columns[index].type
    if isinstance(node, ast.Number) and wanted.base in _FROM_TEXT and wanted.modifier is None:
        # The literal's text is read as the column's type at once: no cast at run time.
        return literal_from_text(node.text, wanted)
    planned = plan_operand(context, node) if wanted.base is BaseType.RECORD else context.plan(node)
    expr = assign(context, table, index, planned, location(node))
    return expr if isinstance(expr, Literal) else fold(expr, node.position)


def _from_query(
    ctx: StatementContext,
    table: Table,
    targets: Sequence[int],
    source: ast.Query,
    *,
    explicit: bool,
) -> Rows:
    rows = QUERIES.rows(ctx, source, None, {}, keep_open=True)
    position = source.position
    _check_width(len(rows.outputs), targets, explicit=explicit, position=position)
    context = ExprContext(ctx, Scope.empty(), {}, "INSERT")
    if rows.limit is not None or rows.offset is not None:
        rows.base, rows.base_types = rows.with_limit(), rows.all_types()
        rows.scalars, rows.limit, rows.offset = [], None, None
    missing = {index: default_of(ctx, table, index) for index in _missing(table, targets, rows)}
    given = {
        index: assign(context, table, index, rows.expression(output), position)
        for output, index in zip(range(len(rows.outputs)), targets, strict=False)
    }
    outputs = []
    for index in range(table.desc.arity):
        outputs.append(rows.add(given[index] if index in given else missing[index]))
    rows.outputs, rows.names = outputs, list(table.desc.names)
    return rows


def _missing(table: Table, targets: Sequence[int], rows: Rows) -> list[int]:
    given = set(targets[: len(rows.outputs)])
    return [index for index in range(table.desc.arity) if index not in given]


def _returning(
    ctx: StatementContext, table: Table, rows: Rows, node: dml.Insert
) -> tuple[HirRelation, ReturningPlan | None]:
    relation = rows.relation()
    if not node.returning:
        return relation, None
    scope = target_scope(ctx, table, node.alias)
    return with_returning(ctx, relation, scope, node.returning, table.desc.arity)


# --- UPDATE and DELETE ----------------------------------------------------------------------------


def _update(ctx: StatementContext, node: dml.Update) -> Outcome:
    table = writable(ctx, node.table, "update")
    arity = table.desc.arity
    scope = target_scope(ctx, table, node.alias)
    relation, whole = _matched(ctx, table, scope, node.from_, node.where, node.position)
    new = assigned(ctx, table, whole, node.assignments)
    width = len(whole.columns)
    relation = HirMap(relation, tuple(new))
    if node.from_:
        # Old row, its partner, new row: the partner may be RETURNed.
        relation = _once(ctx, table, relation)
        after = _after(scope, whole, arity)
        new_at, others = arity + width, range(2 * arity, arity + width)
        relation = HirProject(relation, (*range(arity), *range(new_at, new_at + arity), *others))
    else:  # the old row's columns are all there are
        after = _after(scope, scope, arity)
    returning = None
    total = 2 * arity
    if node.returning:
        relation, returning = with_returning(ctx, relation, after, node.returning, total)
        total += returning.desc.arity
    elif node.from_:
        relation = HirProject(relation, tuple(range(total)))
    plan = ReadThenWritePlan(
        table.id, table.desc, WriteKind.UPDATE, relation, identity(total), returning
    )
    return Outcome(plan, None if returning is None else returning.desc)


def _matched(
    ctx: StatementContext,
    table: Table,
    scope: Scope,
    others: Sequence[ast.TableExpr],
    where: ast.Expr | None,
    position: int,
) -> tuple[HirRelation, Scope]:
    """Return the rows of the table, each distinct one with all of its partners, that hold."""
    relation: HirRelation = HirGet(table.id, table.desc)
    whole = scope
    if others:
        planner = FromPlanner(ctx, {}, None, None)
        partners, partner_scope = planner.plan(others)
        whole = product(scope, partner_scope, None, position)
        relation = HirJoin(HirDistinct(relation), partners, TRUE, HirJoinKind.INNER)
    if where is not None:
        predicates = conjuncts(ExprContext(ctx, whole, {}, "WHERE"), where, "WHERE")
        relation = HirFilter(relation, tuple(predicates))
    return relation, whole


def _after(scope: Scope, whole: Scope, arity: int) -> Scope:
    """Return the scope of RETURNING of an UPDATE: the table's names mean the new values.

    Shape: old row, new row, the partners' columns.
    """
    columns = [*scope.columns, *whole.columns]
    tables = [table.shifted(arity) for table in whole.tables]
    return Scope(columns, [index + arity for index in whole.star], tables, None)


def _once(ctx: StatementContext, table: Table, pairs: HirRelation) -> HirRelation:
    """Return each row of the table, as often as it is there, with one of its partners.

    Shape: the table's columns, then those of ``pairs``, which begin with the same again. Rows are
    compared as records, in which NULL equals NULL.
    """
    arity = table.desc.arity
    one = ExprContext(ctx, Scope.empty(), {}, "UPDATE").plan_as(ast.Number(text="1"), INT8)
    chosen = HirTopK(pairs, tuple(range(arity)), (), one, 0)
    refs = tuple(column_refs(table.desc.types))
    kind = record_of(*zip(table.desc.names, table.desc.types, strict=True))
    left = HirCall("record_make", refs, ColumnType(kind, False))
    right = move_columns(left, lambda index: index + arity)
    on = HirCall("eq", (left, right), ColumnType(ScalarType(BaseType.BOOL), False))
    return HirJoin(HirGet(table.id, table.desc), chosen, on, HirJoinKind.INNER)


def _delete(ctx: StatementContext, node: dml.Delete) -> Outcome:
    table = writable(ctx, node.table, "delete from")
    arity = table.desc.arity
    scope = whole = target_scope(ctx, table, node.alias)
    if node.using and not node.returning:
        relation = _with_partner(ctx, table, scope, node)
    else:
        relation, whole = _matched(ctx, table, scope, node.using, node.where, node.position)
    returning = None
    total = arity
    if node.returning:
        if node.using:
            relation = _once(ctx, table, relation)
            relation = HirProject(relation, tuple(range(arity, arity + len(whole.columns))))
        relation, returning = with_returning(ctx, relation, whole, node.returning, arity)
        total += returning.desc.arity
    plan = ReadThenWritePlan(
        table.id, table.desc, WriteKind.DELETE, relation, identity(total), returning
    )
    return Outcome(plan, None if returning is None else returning.desc)


def _with_partner(
    ctx: StatementContext, table: Table, scope: Scope, node: dml.Delete
) -> HirRelation:
    """Return the rows that have partners, which are only asked for."""
    planner = FromPlanner(ctx, {}, scope, scope)
    others, other_scope = planner.plan(node.using)
    if node.where is not None:
        context = ExprContext(ctx, other_scope, {}, "WHERE")
        others = HirFilter(others, tuple(conjuncts(context, node.where, "WHERE")))
    return HirFilter(HirGet(table.id, table.desc), (Exists(others),))


def _truncate(ctx: StatementContext, node: dml.Truncate) -> Outcome:
    tables = [writable(ctx, name, "truncate") for name in node.tables]
    gets = {table.id: HirGet(table.id, table.desc) for table in tables}
    return Outcome(TruncatePlan(tuple(gets.values())))


HANDLERS: dict[type[Node], StatementHandler] = {
    dml.Insert: _insert,
    dml.Update: _update,
    dml.Delete: _delete,
    dml.Truncate: _truncate,
}
