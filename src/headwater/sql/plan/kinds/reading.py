"""SELECT, SUBSCRIBE, COPY … TO, cursors, EXPLAIN, SHOW as statements."""

from collections.abc import Sequence

from headwater.catalog.items import stored_desc
from headwater.errors import (
    DuplicateColumn,
    FeatureNotSupported,
    InvalidParameterValue,
    SyntaxError_,
    UndefinedColumn,
    WrongObjectType,
)
from headwater.ir.functions import CastContext
from headwater.ir.literals import literal_int
from headwater.ir.scalar import ColumnOrder, Literal
from headwater.sql.ast import dml
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.fold import fold
from headwater.sql.plan.hir import HirScalar
from headwater.sql.plan.hir_visit import Rewriter
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.queries.from_clause import get_columns
from headwater.sql.plan.queries.planner import Queries
from headwater.sql.plan.rows import Rows
from headwater.sql.plan.statements import (
    AsOfPlan,
    CancelBackendPlan,
    SelectPlan,
    SetConfigPlan,
    Setting,
    SleepPlan,
    SubscribeDebezium,
    SubscribeDiffs,
    SubscribeEnvelope,
    SubscribeOrdered,
    SubscribePlan,
    SubscribeUpsert,
)
from headwater.sql.resolve.scope import Scope
from headwater.types.ids import GlobalId
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import (
    BOOL,
    FLOAT8,
    INT4,
    INT8,
    MZ_TIMESTAMP,
    NUMERIC,
    TEXT,
    TIMESTAMPTZ,
)

QUERIES = Queries()


# --- SELECT ---------------------------------------------------------------------------------------


def plan_query(ctx: StatementContext, query: ast.Query) -> SelectPlan:
    """Plan a query as a statement of its own."""
    as_of = None if query.as_of is None else plan_as_of(ctx, query.as_of)
    rows = QUERIES.rows_at(ctx, query, None, {}).settle(ctx)
    return select_plan(rows, as_of)


def select_plan(rows: Rows, as_of: AsOfPlan | None = None) -> SelectPlan:
    """Return rows as a plan for the client."""
    limit, limit_expr = _known(rows.limit)
    offset, offset_expr = _known(rows.offset)
    desc = rows.desc()
    finishing = rows.finishing(limit, offset or 0)
    return SelectPlan(rows.mapped(), finishing, desc, as_of, limit_expr, offset_expr)


def _known(count: HirScalar | None) -> tuple[int | None, HirScalar | None]:
    if count is None:
        return None, None
    if isinstance(count, Literal):
        return literal_int(count), None
    return None, count


def plan_as_of(ctx: StatementContext, node: ast.AsOf) -> AsOfPlan:
    """Plan AS OF."""
    return AsOfPlan(plan_time(ctx, node.time, "AS OF"), node.at_least)


def plan_time(ctx: StatementContext, node: ast.Expr, clause: str) -> HirScalar:
    """Plan a time: constant, castable to mz_timestamp, free of the moment.

    Raises: FeatureNotSupported (``now()`` and its kin), CannotCoerce.
    """
    before = len(ctx.uses_now)
    context = ExprContext(ctx, Scope.empty(), {}, clause)
    expr = context.plan(node)
    if len(ctx.uses_now) > before:
        raise FeatureNotSupported(
            f"unmaterializable function calls are not allowed in {clause}", position=node.position
        )
    time = context.coerce(expr, MZ_TIMESTAMP, node.position, CastContext.ASSIGNMENT)
    return fold(time, node.position)


def _select(ctx: StatementContext, query: ast.Query) -> Outcome:
    alone = _cancel_backend(ctx, query) or _set_config(ctx, query) or _sleep(ctx, query)
    if alone is not None:
        return Outcome(alone, alone.desc)
    plan = plan_query(ctx, query)
    return Outcome(plan, plan.desc)


def _cancel_backend(ctx: StatementContext, query: ast.Query) -> CancelBackendPlan | None:
    """Plan ``SELECT pg_cancel_backend(pid)``, which may stand alone only."""
    found = _only_call(query, "pg_cancel_backend")
    if found is None:
        return None
    context = ExprContext(ctx, Scope.empty(), {}, "SELECT")
    pid = context.plan_as(found[0], INT4)
    return CancelBackendPlan(pid, RelationDesc((Column(found[1], BOOL, False),)))


def _sleep(ctx: StatementContext, query: ast.Query) -> SleepPlan | None:
    """Plan ``SELECT mz_unsafe.mz_sleep(seconds)``, which may stand alone only."""
    found = _only_call(query, "mz_sleep")
    if found is None or ctx.catalog.variables.get("unsafe_enable_unsafe_functions") == "off":
        return None
    context = ExprContext(ctx, Scope.empty(), {}, "SELECT")
    seconds = context.plan_as(found[0], FLOAT8)
    return SleepPlan(seconds, RelationDesc((Column(found[1], TIMESTAMPTZ),)))


def _only_call(query: ast.Query, name: str) -> tuple[ast.Expr, str] | None:
    """Return the argument, and the column's name, of a query that only calls ``name``."""
    body = query.body
    clauses = (query.with_, query.limit, query.offset, query.as_of)
    if not isinstance(body, ast.Select) or len(body.items) != 1 or body.from_ or any(clauses):
        return None
    node = body.items[0].expression
    called = isinstance(node, ast.Function) and node.name.last == name
    if not called or body.where is not None or body.group_by or body.having is not None:
        return None
    assert isinstance(node, ast.Function)
    if len(node.arguments) != 1:
        return None
    return node.arguments[0], body.items[0].alias or name


def _set_config(ctx: StatementContext, query: ast.Query) -> SetConfigPlan | None:
    """Plan ``SELECT set_config(name, value, is_local), …``, without anything else."""
    body = query.body
    if not isinstance(body, ast.Select) or not body.items or query.with_ is not None:
        return None
    if body.from_ or body.where is not None:
        return None
    context = ExprContext(ctx, Scope.empty(), {}, "SELECT")
    settings, columns = [], []
    for item in body.items:
        node = item.expression
        if not isinstance(node, ast.Function) or node.name.last != "set_config":
            return None
        if len(node.arguments) != 3 or node.name.parts[:-1] not in ((), ("pg_catalog",)):
            return None
        name, value, local = node.arguments
        settings.append(
            Setting(
                context.plan_as(name, TEXT),
                context.plan_as(value, TEXT),
                context.plan_as(local, BOOL),
            )
        )
        columns.append(Column(item.alias or "set_config", TEXT, True))
    return SetConfigPlan(tuple(settings), RelationDesc(tuple(columns)))


# --- SUBSCRIBE ------------------------------------------------------------------------------------


def plan_subscribe(ctx: StatementContext, node: dml.Subscribe) -> SubscribePlan:
    """Plan a SUBSCRIBE."""
    options = Options(ctx, node.options, "SUBSCRIBE", ("snapshot", "progress"))
    progress = options.boolean("progress", False)
    from_id: GlobalId | None = None
    if isinstance(node.relation, ObjectName):
        item = ctx.names.item(node.relation)
        found = stored_desc(item)
        if found is None:
            raise WrongObjectType(
                f'"{item.name}" is not a relation and cannot be subscribed to',
                position=node.relation.position,
            )
        from_id = item.id
        query, desc = get_columns(item, found)
    else:
        if node.relation.as_of is not None:
            raise SyntaxError_("AS OF must follow the query's parentheses", position=node.position)
        query, desc = QUERIES.subquery(ctx, node.relation, None, {})
    envelope = _envelope(ctx, node, desc)
    as_of = None if node.as_of is None else plan_as_of(ctx, node.as_of)
    up_to = None if node.up_to is None else plan_time(ctx, node.up_to, "UP TO")
    _check_bounds(as_of, up_to, node)
    return SubscribePlan(
        from_id,
        query,
        desc,
        _subscribe_desc(desc, envelope, progress=progress),
        envelope,
        options.boolean("snapshot", True),
        progress,
        as_of,
        up_to,
    )


def _check_bounds(as_of: AsOfPlan | None, up_to: HirScalar | None, node: dml.Subscribe) -> None:
    if as_of is None or as_of.at_least or not isinstance(as_of.time, Literal):
        return
    if not isinstance(up_to, Literal):
        return
    start, end = literal_int(as_of.time), literal_int(up_to)
    if start is not None and end is not None and end < start:
        raise InvalidParameterValue(
            f"subscription lower bound (AS OF {start}) is later than upper bound (UP TO {end})",
            position=node.position,
        )


def _envelope(ctx: StatementContext, node: dml.Subscribe, desc: RelationDesc) -> SubscribeEnvelope:
    if node.within_timestamp_order_by:
        return SubscribeOrdered(_subscribe_order(ctx, node.within_timestamp_order_by, desc))
    if node.envelope is None:
        return SubscribeDiffs()
    key = []
    for name in node.key:
        indexes = [index for index, column in enumerate(desc.columns) if column.name == name]
        if not indexes:
            raise UndefinedColumn(
                f'column "{name}" of the KEY does not exist', position=node.position
            )
        if indexes[0] in key:
            raise DuplicateColumn(
                f'column "{name}" specified more than once in KEY', position=node.position
            )
        key.append(indexes[0])
    if node.envelope is dml.SubscribeEnvelope.UPSERT:
        return SubscribeUpsert(tuple(key))
    return SubscribeDebezium(tuple(key))


def _subscribe_order(
    ctx: StatementContext, items: Sequence[ast.OrderItem], desc: RelationDesc
) -> tuple[ColumnOrder, ...]:
    names = ["mz_diff", *desc.names]
    orders = []
    for item in items:
        node = item.expression
        if not isinstance(node, ast.Identifier) or len(node.parts) != 1:
            raise FeatureNotSupported(
                "invalid ORDER BY in SUBSCRIBE WITHIN TIMESTAMP ORDER BY - all order bys must be"
                " output columns",
                position=node.position,
            )
        if node.parts[0] not in names:
            raise UndefinedColumn(
                f'column "{node.parts[0]}" does not exist', position=node.position
            )
        nulls_first = item.descending if item.nulls_first is None else item.nulls_first
        orders.append(ColumnOrder(names.index(node.parts[0]), item.descending, not nulls_first))
    return tuple(orders)


def _subscribe_desc(
    desc: RelationDesc, envelope: SubscribeEnvelope, *, progress: bool
) -> RelationDesc:
    """Return the columns that a client sees."""
    columns = [Column("mz_timestamp", NUMERIC, False)]
    if progress:
        columns.append(Column("mz_progressed", BOOL, False))
    data = [Column(c.name, c.type, c.nullable or progress) for c in desc.columns]
    if isinstance(envelope, SubscribeDiffs | SubscribeOrdered):
        columns.append(Column("mz_diff", INT8, progress))
        return RelationDesc((*columns, *data))
    columns.append(Column("mz_state", TEXT, progress))
    columns.extend(data[index] for index in envelope.key)
    values = [c for index, c in enumerate(desc.columns) if index not in envelope.key]
    if isinstance(envelope, SubscribeUpsert):
        columns.extend(Column(c.name, c.type, True) for c in values)
    else:
        columns.extend(Column(f"before_{c.name}", c.type, True) for c in values)
        columns.extend(Column(f"after_{c.name}", c.type, True) for c in values)
    return RelationDesc(tuple(columns))


def _subscribe(ctx: StatementContext, node: dml.Subscribe) -> Outcome:
    plan = plan_subscribe(ctx, node)
    return Outcome(plan, plan.desc)


def mentions_parameters(expr: HirScalar) -> bool:
    """Return whether an expression has parameters left."""
    found = False

    def leaf(scalar: HirScalar, _depth: int) -> HirScalar:
        nonlocal found
        found = found or type(scalar).__name__ == "Parameter"
        return scalar

    Rewriter(leaf).scalar(expr)
    return found


HANDLERS: dict[type[Node], StatementHandler] = {
    ast.Query: _select,
    dml.Subscribe: _subscribe,
}
