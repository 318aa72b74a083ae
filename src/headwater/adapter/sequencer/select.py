"""SELECT: a time, holds, and a source of rows that the front reads."""

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.holds import logs_of
from headwater.adapter.planning import is_long_plan
from headwater.adapter.sequencer.mixing import note_read, with_writes
from headwater.adapter.sequencer.read import (
    Read,
    is_alone,
    is_catalog_query,
    isolation_of,
    literals,
    plan_read,
    source_of,
    until_present,
    wanted_time,
)
from headwater.adapter.session import PreparedStatement, Session, notice
from headwater.adapter.timestamps import Isolation
from headwater.errors import InvalidRowCountInLimit
from headwater.ir import kernels
from headwater.ir.literals import literal_int
from headwater.ir.relation import RelationExpr, RowSetFinishing
from headwater.ir.scalar import Literal, Parameter
from headwater.ir.visit import walk_scalar
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.pgwire.oids import result_column
from headwater.sql.lower.peek import IndexPeek, fast_path, project_for_finishing
from headwater.sql.lower.substitute import unmaterializable_of
from headwater.sql.plan.fold import offset_rows
from headwater.sql.plan.hir import HirFilter, HirGet, HirMap, HirProject, HirRelation
from headwater.sql.plan.hir_visit import calls
from headwater.sql.plan.statements import Planned, SelectPlan
from headwater.types.relation import RelationDesc
from headwater.types.time import TIMESTAMP_MIN


def result_columns(desc: RelationDesc) -> tuple[p.ResultColumn, ...]:
    """Return how a client is told of columns."""
    return tuple(result_column(column.name, column.type) for column in desc.columns)


async def read_select(
    coord: Coordinator,
    session: Session,
    planned: Planned,
    plan: SelectPlan,
    params: tuple[Literal, ...],
    *,
    alone: bool,
) -> tuple[Read, RowSetFinishing]:
    """Plan the read of a SELECT; the holds are the caller's."""
    wanted = wanted_time(coord, plan.as_of, params)
    transaction = session.transaction
    if planned.depends_on:
        transaction.admit_read(at_own_time=wanted is not None)
        of_catalog = all(id.startswith("s") for id in planned.depends_on)
        transaction.note_read(coord.snapshot.version, of_catalog=of_catalog)
        if not transaction.queried:
            transaction.routed = is_catalog_query(coord, session, planned)
    transaction.queried = True
    finishing = bound_finishing(coord, plan, params)
    bound = finishing

    def relation() -> tuple[RelationExpr, RowSetFinishing]:
        return project_for_finishing(coord.planner.relation(plan.query, params), bound)

    expr, finishing = await coord.planner.perhaps_aside(planned.is_long, relation)
    mixes = transaction.mixes and wanted is None and bool(planned.depends_on)
    if mixes and transaction.writes:
        expr = with_writes(coord, expr, transaction)
    read = await plan_read(coord, session, planned, expr, as_of=wanted, alone=alone)
    if mixes:
        note_read(coord, transaction, planned, read.ts)
    return read, finishing


def bound_finishing(
    coord: Coordinator, plan: SelectPlan, params: tuple[Literal, ...]
) -> RowSetFinishing:
    """Return the finishing with LIMIT and OFFSET from parameters filled in."""
    finishing = plan.finishing
    if plan.limit is not None:
        limit = literal_int(coord.planner.constant(plan.limit, params))
        if limit is not None and limit < 0:
            raise InvalidRowCountInLimit("LIMIT must not be negative")
        finishing = msgspec.structs.replace(finishing, limit=limit)
    if plan.offset is not None:
        offset = offset_rows(literal_int(coord.planner.constant(plan.offset, params)))
        finishing = msgspec.structs.replace(finishing, offset=offset)
    return finishing


async def select_source(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: SelectPlan,
) -> p.InlineRows | p.PeekSource:
    """Return where a SELECT's rows are; what must live as long is kept for the request."""
    params = literals(request.params, planned.param_types)
    alone = is_alone(session, last=request.sync)
    read, finishing = await read_select(coord, session, planned, plan, params, alone=alone)
    try:
        await until_present(coord, planned, read)
        source = source_of(coord, session, read, finishing)
    except BaseException:
        read.holds.release()
        raise
    if isinstance(source, p.PeekSource):
        session.hold_for(request.id, read.holds)
    else:
        read.holds.release()
    if session.variables.flag("emit_timestamp_notice") and planned.depends_on:
        session.notify(notice(f"query timestamp: {read.ts}"))
    return source


async def sequence_select(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: SelectPlan,
) -> p.ExecuteReply:
    """Answer a SELECT."""
    source = await select_source(coord, session, request, planned, plan)
    return p.Rows(source=source, columns=result_columns(plan.desc))


def fast_plan(
    coord: Coordinator, session: Session, statement: PreparedStatement
) -> p.FastPlan | None:
    """Return how the front may answer a prepared SELECT by itself, if it is a point read."""
    planned = statement.planned
    if planned is None or planned.is_long or not isinstance(planned.plan, SelectPlan):
        return None
    plan = planned.plan
    isolation = isolation_of(session)
    if plan.as_of is not None or plan.limit is not None or plan.offset is not None:
        return None
    if isolation is Isolation.STRONG_SESSION_SERIALIZABLE:
        return None
    if planned.notices or session.variables.get("cluster_replica"):
        return None
    if session.variables.flag("emit_timestamp_notice"):
        return None
    cluster = coord.snapshot.try_cluster(session.cluster)
    if cluster is None or not planned.depends_on or not _may_look_up(plan.query):
        return None
    if all(id.startswith("s") for id in planned.depends_on):
        return None
    world = coord.planner.world(coord.snapshot, cluster.id)
    inlined = world.inline(coord.planner.relation(plan.query))
    if unmaterializable_of(inlined) or is_long_plan(inlined):
        return None
    peek = fast_path(coord.planner.optimize(inlined, world), world.lowering())
    if not isinstance(peek, IndexPeek) or peek.keys is None or len(peek.keys) != 1:
        return None
    key = _key(peek)
    if key is None or logs_of(coord.snapshot, planned.depends_on):
        return None
    coord.fast_indexes.ensure(cluster.id, peek.index.id)
    return p.FastPlan(
        catalog_version=coord.snapshot.version,
        cluster=cluster.id,
        index=peek.index.id,
        key=key,
        mfp=peek.mfp,
        finishing=plan.finishing,
        serializable=isolation is Isolation.SERIALIZABLE,
    )


def _may_look_up(query: HirRelation) -> bool:
    """Return whether a query has the shape of a look-up by key: most have not, and are seen here.

    It is a filter of one relation, by an equation among others.
    """
    equates = False
    while isinstance(query, HirProject | HirMap | HirFilter):
        if isinstance(query, HirFilter):
            equates = equates or any(calls(each, kernels.EQ) for each in query.predicates)
        query = query.input
    return equates and isinstance(query, HirGet)


def _key(peek: IndexPeek) -> tuple[int | bytes, ...] | None:
    """Return the look-up's key if the front can fill it in; no parameter may be elsewhere."""
    assert peek.keys is not None
    items: list[int | bytes] = []
    for value in peek.keys[0]:
        match value:
            case Parameter(number=number):
                items.append(number - 1)
            case Literal(data=data):
                items.append(data)
            case _:
                return None
    rest = (*peek.mfp.expressions, *(item.expr for item in peek.mfp.predicates))
    if any(isinstance(node, Parameter) for expr in rest for node in walk_scalar(expr)):
        return None
    return tuple(items)


def one_row(row: bytes) -> p.InlineRows:
    """Return an answer of one row."""
    return p.InlineRows(rows=flat.build([(row, TIMESTAMP_MIN, 1)]))
