"""EXPLAIN FILTER PUSHDOWN: how much of what is stored a query reads."""

from collections.abc import Sequence

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.dataflows import lower_materialized_view
from headwater.adapter.planning import World
from headwater.adapter.sequencer.explain import Names
from headwater.adapter.sequencer.read import choose_target, literals, session_values
from headwater.adapter.sequencer.select import result_columns
from headwater.adapter.session import Session
from headwater.catalog import rows as r
from headwater.catalog.items import MaterializedView
from headwater.compute.selection import PartSelector
from headwater.ir.dataflow import SourceImport
from headwater.persist import flat
from headwater.persist.parts import Part
from headwater.pgwire import protocol as p
from headwater.sql.lower.peek import DataflowPeek, plan_peek
from headwater.sql.lower.substitute import substitute_unmaterializable
from headwater.sql.plan.statements import ExplainPushdownPlan, Planned
from headwater.types.ids import GlobalId
from headwater.types.time import TIMESTAMP_MAX, TIMESTAMP_MIN, Timestamp


async def sequence_explain_pushdown(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: ExplainPushdownPlan,
) -> p.ExecuteReply:
    """Answer EXPLAIN FILTER PUSHDOWN.

    Shape: one row a stored collection that is read: its name, the bytes and parts it has now, and
    those that are read: by the choice that a replica makes, for a read at the oracle's read
    timestamp, or for a view that begins there.
    """
    names = Names(coord)
    found = []
    as_of = coord.oracle.read_ts()
    until = Timestamp(as_of + 1) if plan.plan is not None and as_of < TIMESTAMP_MAX else None
    for source in _sources(coord, session, request, planned, plan):
        parts = await _parts(coord, source, as_of)
        selector = PartSelector(source.selection, until)
        read = [part for part in parts if selector.wants(part, as_of)]
        numbers = (_bytes(parts), _bytes(read), len(parts), len(read))
        shown = (r.text(names.get(source.id)), *map(r.integer, numbers))
        found.append((b"".join(shown), TIMESTAMP_MIN, 1))
    rows = p.InlineRows(rows=flat.build(found))
    return p.Rows(source=rows, columns=result_columns(plan.desc), tag="EXPLAIN", counted=False)


async def _parts(coord: Coordinator, source: SourceImport, as_of: Timestamp) -> list[Part]:
    """Return the parts of a collection as of a time, or of the nearest that can be read at once."""
    txns = coord.txns_shard if source.table else None
    reader = await coord.persist.open_reader(source.shard, txns=txns)
    try:
        since, upper = reader.since, reader.upper
        if since is None or upper == TIMESTAMP_MIN:
            return []
        known = as_of if upper is None else min(as_of, Timestamp(upper - 1))
        if known < since:
            return []
        snapshot = await reader.snapshot(known)
        return [ref.part for ref in snapshot.parts]
    finally:
        await reader.close()


def _bytes(parts: Sequence[Part]) -> int:
    return sum(part.bytes for part in parts)


def _sources(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: ExplainPushdownPlan,
) -> tuple[SourceImport, ...]:
    if plan.plan is None:
        assert plan.id is not None
        view = coord.snapshot.item(GlobalId(plan.id))
        assert isinstance(view, MaterializedView)
        world = World(coord.snapshot, coord.compute, view.cluster)
        transient = coord.ids.transient()
        return lower_materialized_view(coord.planner, world, view, transient).dataflow.sources
    world = World(coord.snapshot, coord.compute, choose_target(coord, session, planned).cluster)
    expr = coord.planner.relation(plan.plan.query, literals(request.params, planned.param_types))
    inlined = substitute_unmaterializable(world.inline(expr), session_values(coord, session))
    peek = plan_peek(
        coord.planner.optimize(inlined, world),
        world.lowering(),
        object_id=coord.ids.transient(),
        index_id=coord.ids.transient(),
    )
    return peek.lowered.dataflow.sources if isinstance(peek, DataflowPeek) else ()
