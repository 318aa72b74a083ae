"""EXPLAIN of plans and of timestamps, and SHOW CREATE."""

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.dataflows import lower_index, lower_materialized_view
from headwater.adapter.planning import World
from headwater.adapter.sequencer.inline import text_answer, text_desc
from headwater.adapter.sequencer.read import choose_target, is_alone, literals, session_values
from headwater.adapter.sequencer.select import read_select
from headwater.adapter.session import Session
from headwater.adapter.stored_sql import shown_sql
from headwater.adapter.timestamps import Determination
from headwater.catalog.items import Index, MaterializedView, Relation, View
from headwater.errors import FeatureNotSupported
from headwater.ir.explain import (
    ExplainOptions,
    explain_index_peek,
    explain_plan,
    explain_relation,
    explained,
)
from headwater.ir.relation import RelationExpr
from headwater.pgwire import protocol as p
from headwater.sql.lower.dataflow import LoweredDataflow
from headwater.sql.lower.peek import ConstantPeek, DataflowPeek, IndexPeek, plan_peek
from headwater.sql.lower.substitute import substitute_unmaterializable
from headwater.sql.plan import ddl
from headwater.sql.plan.explain_hir import show_finishing, show_hir
from headwater.sql.plan.hir import HirGet, HirRelation
from headwater.sql.plan.statements import (
    ExplainFormat,
    ExplainPlan,
    ExplainStage,
    ExplainTimestampPlan,
    Planned,
    SelectPlan,
    ShowCreatePlan,
    SubscribePlan,
)
from headwater.types.frontier import show
from headwater.types.ids import ClusterId, GlobalId


class _Names(dict[GlobalId, str]):
    """Full names of items by id, looked up when asked for."""

    def __init__(self, coord: Coordinator) -> None:
        super().__init__()
        self._snapshot = coord.snapshot

    def get(self, key: GlobalId, default: str | None = None) -> str:  # type: ignore[override]
        item = self._snapshot.try_item(key)
        return (default or key) if item is None else self._snapshot.show_item(item)


def _options(coord: Coordinator, plan: ExplainPlan) -> ExplainOptions:
    flags = {name for name, value in plan.options if value.lower() not in ("false", "off", "0")}
    return ExplainOptions(
        names=_Names(coord),
        arity="arity" in flags,
        redacted="redacted" in flags,
        join_implementations="join implementations" in flags,
    )


def sequence_explain(
    coord: Coordinator, session: Session, request: p.Execute, planned: Planned, plan: ExplainPlan
) -> p.ExecuteReply:
    """Answer EXPLAIN of a plan."""
    if plan.format in (ExplainFormat.JSON, ExplainFormat.DOT):
        raise FeatureNotSupported(f"EXPLAIN AS {plan.format.value.upper()} is not supported yet")
    if plan.stage is ExplainStage.INSIGHTS:
        raise FeatureNotSupported("EXPLAIN PLAN INSIGHTS is not supported yet")
    options = _options(coord, plan)
    if plan.object is not None:
        text = _explain_object(coord, plan, options)
    else:
        text = _explain_statement(coord, session, request, planned, plan, options)
    return text_answer("EXPLAIN", plan.desc, [[text]])


def _explain_object(coord: Coordinator, plan: ExplainPlan, options: ExplainOptions) -> str:
    assert plan.object is not None
    item = coord.snapshot.item(GlobalId(plan.object.id))
    title = coord.snapshot.show_item(item)
    cluster = item.cluster if isinstance(item, Index | MaterializedView) else None
    world = World(coord.snapshot, coord.compute, cluster, without=frozenset({item.id}))
    match item:
        case Index():
            on = coord.snapshot.item(item.on)
            assert isinstance(on, Relation)
            lowered = lower_index(coord, world, item, on)
            expr = on.expr if isinstance(on, View) else None
        case MaterializedView():
            lowered, expr = lower_materialized_view(coord, world, item), item.expr
        case View():
            return _stages(coord, plan, options, title, item.expr, world, None)
        case _:
            raise FeatureNotSupported(f"EXPLAIN of a {item.kind.noun}")
    if plan.stage is ExplainStage.PHYSICAL or expr is None:
        return _physical(coord, title, lowered, cluster, options)
    return _stages(coord, plan, options, title, expr, world, None)


def _explain_statement(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: ExplainPlan,
    options: ExplainOptions,
) -> str:
    inner = plan.plan
    query, cluster, title = _query_of(coord, session, planned, inner)
    if plan.stage is ExplainStage.RAW:
        text = show_hir(query, lambda id: options.names.get(GlobalId(id), id))
        if isinstance(inner, SelectPlan):
            text = show_finishing(inner.finishing) + text
        return f"{title}:\n{text}"
    world = World(coord.snapshot, coord.compute, cluster)
    params = literals(request.params, planned.param_types)
    expr = coord.planner.relation(query, params)
    if not isinstance(inner, SelectPlan):
        return _stages(coord, plan, options, title, expr, world, cluster)
    if plan.stage is not ExplainStage.PHYSICAL:
        return _stages(coord, plan, options, title, expr, world, cluster)
    values = session_values(coord, session)
    inlined = substitute_unmaterializable(world.inline(expr), values)
    peek = plan_peek(
        coord.planner.optimize(inlined, world),
        world.lowering(),
        object_id=coord.ids.transient(),
        index_id=coord.ids.transient(),
    )
    match peek:
        case DataflowPeek(lowered=lowered):
            return _physical(coord, title, lowered, cluster, options)
        case IndexPeek(index=index, keys=keys, mfp=mfp):
            body = explain_index_peek(
                options.names.get(index.on, index.on),
                options.names.get(index.id, index.id),
                keys,
                mfp,
                options,
            )
            usage = "*** full scan ***" if keys is None else "lookup"
            return explained(
                f"{title} (fast path)",
                body,
                used_indexes=[(options.names.get(index.id, index.id), [usage])],
                target_cluster=_cluster_name(coord, cluster),
            )
        case ConstantPeek():
            body = explain_relation(coord.planner.optimize(inlined, world), options)
            return explained(f"{title} (fast path)", body)


def _query_of(
    coord: Coordinator, session: Session, planned: Planned, inner: object
) -> tuple[HirRelation, ClusterId | None, str]:
    """Return the query that a statement runs or maintains, where, and what EXPLAIN calls it."""
    match inner:
        case SelectPlan() | SubscribePlan():
            return inner.query, choose_target(coord, session, planned).cluster, "Explained Query"
        case ddl.CreateViewPlan():
            return inner.query, None, str(inner.name)
        case ddl.CreateMaterializedViewPlan():
            return inner.query, inner.cluster_id, str(inner.name)
        case ddl.CreateIndexPlan():
            return HirGet(inner.on, inner.on_desc), inner.cluster_id, str(inner.name)
        case _:
            raise FeatureNotSupported("EXPLAIN of this statement is not supported")


def _stages(
    coord: Coordinator,
    plan: ExplainPlan,
    options: ExplainOptions,
    title: str,
    expr: RelationExpr,
    world: World,
    cluster: ClusterId | None,
) -> str:
    match plan.stage:
        case ExplainStage.RAW | ExplainStage.DECORRELATED:
            body = explain_relation(expr, options)
        case ExplainStage.LOCALLY_OPTIMIZED:
            local = World(coord.snapshot, coord.compute, None)
            body = explain_relation(coord.planner.optimize(expr, local), options)
        case ExplainStage.TRACE:
            steps: list[str] = []
            coord.planner.optimize(
                expr,
                world,
                lambda rule, made: steps.append(f"{rule}:\n{explain_relation(made, options)}"),
            )
            return "\n".join(steps)
        case _:
            body = explain_relation(coord.planner.optimize(expr, world), options)
    return explained(title, body, target_cluster=_cluster_name(coord, cluster))


def _physical(
    coord: Coordinator,
    title: str,
    lowered: LoweredDataflow,
    cluster: ClusterId | None,
    options: ExplainOptions,
) -> str:
    bodies = [explain_plan(build.plan, options) for build in lowered.dataflow.objects]
    for export in lowered.dataflow.index_exports if not bodies else ():
        bodies.append(f"→Arrange {options.names.get(export.on, export.on)}\n")
    uses: dict[str, list[str]] = {}
    for use in lowered.index_uses:
        uses.setdefault(options.names.get(use.index.id, use.index.id), []).append(use.usage)
    return explained(
        title,
        "".join(bodies),
        used_indexes=list(uses.items()),
        target_cluster=_cluster_name(coord, cluster),
    )


def _cluster_name(coord: Coordinator, cluster: ClusterId | None) -> str | None:
    return None if cluster is None else coord.snapshot.cluster_by_id(cluster).name


def sequence_explain_timestamp(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: ExplainTimestampPlan,
) -> p.ExecuteReply:
    """Answer EXPLAIN TIMESTAMP: choose a time as the query would, and say from what."""
    params = literals(request.params, planned.param_types)
    alone = is_alone(session, last=request.sync)
    read, _ = read_select(coord, session, planned, plan.plan, params, alone=alone)
    read.holds.release()
    names = _Names(coord)
    if plan.format is ExplainFormat.JSON:
        text = msgspec.json.format(msgspec.json.encode(read.determination), indent=2).decode()
    else:
        text = _timestamp_text(read.determination, names)
    return text_answer("EXPLAIN", plan.desc, [[text]])


def _timestamp_text(found: Determination, names: _Names) -> str:
    oracle = "None" if found.oracle_ts is None else str(found.oracle_ts)
    lines = [
        f"                query timestamp: {found.read_ts}",
        f"          oracle read timestamp: {oracle}",
        f"largest not in advance of upper: {found.largest_not_in_advance_of_upper}",
        f"                          upper: {show(found.upper)}",
        f"                          since: {show(found.since)}",
        f"        can respond immediately: {str(found.can_respond_immediately).lower()}",
        "                       timeline: EpochMilliseconds",
    ]
    for source in found.inputs:
        lines.append("")
        lines.append(f"source {names.get(GlobalId(source.name))} ({source.name}):")
        lines.append(f"                  read frontier: {show(source.since)}")
        lines.append(f"                 write frontier: {show(source.upper)}")
    return "\n".join(lines) + "\n"


def sequence_show_create(
    coord: Coordinator, session: Session, plan: ShowCreatePlan
) -> p.ExecuteReply:
    """Answer SHOW CREATE."""
    del session
    if plan.object.type is ddl.ObjectType.CLUSTER:
        cluster = coord.snapshot.cluster_by_id(ClusterId(plan.object.id))
        sql = f"CREATE CLUSTER {cluster.name} (MANAGED = {str(cluster.managed).lower()}"
        if cluster.managed:
            sql += f", REPLICATION FACTOR = {cluster.replication_factor}, SIZE = '{cluster.size}'"
        return text_answer("SHOW", text_desc("name", "create_sql"), [[plan.name, sql + ")"]])
    item = coord.snapshot.item(GlobalId(plan.object.id))
    shown = shown_sql(coord.snapshot, item.create_sql)
    return text_answer("SHOW", text_desc("name", "create_sql"), [[plan.name, shown]])
