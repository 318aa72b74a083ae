"""EXPLAIN FILTER PUSHDOWN: how much of what is stored a query reads."""

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.dataflows import lower_materialized_view
from headwater.adapter.planning import World
from headwater.adapter.sequencer.explain import Names
from headwater.adapter.sequencer.read import choose_target, literals, session_values
from headwater.adapter.sequencer.select import result_columns
from headwater.adapter.session import Session
from headwater.catalog import rows as r
from headwater.catalog.items import MaterializedView
from headwater.ir.dataflow import SourceImport
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.sql.lower.peek import DataflowPeek, plan_peek
from headwater.sql.lower.substitute import substitute_unmaterializable
from headwater.sql.plan.statements import ExplainPushdownPlan, Planned
from headwater.types.ids import GlobalId
from headwater.types.time import TIMESTAMP_MIN


async def sequence_explain_pushdown(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: ExplainPushdownPlan,
) -> p.ExecuteReply:
    """Answer EXPLAIN FILTER PUSHDOWN.

    Shape: one row a stored collection that is read: its name, the bytes and parts it has now, and
    those that are read. Conditions are applied to every row as it is read; no part is passed over.
    """
    names = Names(coord)
    found = []
    for source in _sources(coord, session, request, planned, plan):
        log = await coord.persist.shard_log(source.shard)
        try:
            parts = [part for batch in log.state.batches for part in batch.parts]
        finally:
            await coord.persist.let_go(log)
        size, count = sum(part.bytes for part in parts), len(parts)
        shown = (r.text(names.get(source.id)), *map(r.integer, (size, size, count, count)))
        found.append((b"".join(shown), TIMESTAMP_MIN, 1))
    rows = p.InlineRows(rows=flat.build(found))
    return p.Rows(source=rows, columns=result_columns(plan.desc), tag="EXPLAIN", counted=False)


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
