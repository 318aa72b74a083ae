"""SUBSCRIBE: a dataflow that sends its updates, and the stream that the front makes of them."""

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.planning import is_long_plan
from headwater.adapter.sequencer.read import (
    Target,
    choose_target,
    choose_time,
    literals,
    no_replicas,
    session_values,
    wanted_time,
)
from headwater.adapter.sequencer.select import result_columns
from headwater.adapter.session import Session, notice
from headwater.adapter.subscriptions import subscription_row
from headwater.adapter.variables import duration_ms
from headwater.catalog.items import Relation
from headwater.errors import (
    DataException,
    FeatureNotSupported,
    InvalidParameterValue,
    QueryCanceled,
)
from headwater.ir.dataflow import SinkExport, SubscribeSink
from headwater.ir.literals import literal_int
from headwater.ir.scalar import Literal
from headwater.ir.typing import arity
from headwater.pgwire import protocol as p
from headwater.sql.lower.dataflow import LoweredDataflow, build_dataflow
from headwater.sql.lower.substitute import (
    substitute_unmaterializable,
    unmaterializable_of,
    volatile_of,
)
from headwater.sql.plan.statements import (
    Planned,
    SubscribeDebezium,
    SubscribeDiffs,
    SubscribeOrdered,
    SubscribePlan,
    SubscribeUpsert,
)
from headwater.types.ids import ClusterId, GlobalId, ReplicaId
from headwater.types.time import Timestamp


async def start_subscribe(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: SubscribePlan,
    *,
    of_cursor: bool = False,
) -> p.SubscribeSource:
    """Create a subscription's dataflow; it is dropped when the request's source is spent.

    ``of_cursor``: FETCH says how long it waits, and not ``statement_timeout``.
    """
    params = literals(request.params, planned.param_types)
    session.transaction.admit_subscribe(at_own_time=plan.as_of is not None)
    session.transaction.queried = True
    target = choose_target(coord, session, planned)
    if target.cluster is None:
        coord.snapshot.cluster(session.cluster)  # says that it does not exist
        raise FeatureNotSupported("SUBSCRIBE needs a cluster")
    wanted = wanted_time(coord, plan.as_of, params)
    up_to = _up_to(coord, plan, params)
    relations = frozenset(
        id for id in planned.depends_on if isinstance(coord.snapshot.try_item(id), Relation)
    )
    determination, holds = choose_time(coord, session, target, relations, wanted, alone=True)
    try:
        as_of = determination.read_ts
        if up_to is not None and up_to < as_of:
            raise DataException(
                f"subscription lower bound (`AS OF`) is greater than its upper bound (`UP TO`): "
                f"{as_of} > {up_to}"
            )
        if up_to == as_of:
            session.notify(
                notice(
                    f"subscribe as of {as_of} (inclusive) up to the same bound {up_to} "
                    "(exclusive) is guaranteed to be empty"
                )
            )
        if not determination.can_respond_immediately:
            coord.nudge_inputs(sorted(relations), as_of)
        source = await _create(
            coord, session, request, planned, plan, params, target, relations, as_of, up_to
        )
        _tell_of_wait(coord, session, target, source.id, of_cursor=of_cursor)
        return source
    finally:
        holds.release()  # the dataflow has taken its own


def _tell_of_wait(
    coord: Coordinator, session: Session, target: Target, id: GlobalId, *, of_cursor: bool
) -> None:
    """Say that nobody computes a subscription, and end it if that lasts too long."""
    cluster = target.cluster
    if cluster is None or coord.snapshot.cluster_by_id(cluster).replicas:
        return
    session.notify(notice(no_replicas(target.name)))
    timeout_ms = duration_ms(session.variables.get("statement_timeout"))

    async def end() -> None:
        await coord.clock.sleep(timeout_ms / 1_000)
        there = coord.snapshot.clusters.get(cluster)
        if there is not None and not there.replicas:
            coord.peeks.fail_subscribe(
                id, QueryCanceled("canceling statement due to statement timeout")
            )

    if timeout_ms > 0 and not of_cursor:
        coord.tasks.spawn(end(), name=f"wait of {id}")


def _up_to(
    coord: Coordinator, plan: SubscribePlan, params: tuple[Literal, ...]
) -> Timestamp | None:
    if plan.up_to is None:
        return None
    value = literal_int(coord.planner.constant(plan.up_to, params))
    if value is None:
        raise InvalidParameterValue("UP TO time must not be NULL")
    return Timestamp(value)


async def _create(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: SubscribePlan,
    params: tuple[Literal, ...],
    target: Target,
    relations: frozenset[GlobalId],
    as_of: Timestamp,
    up_to: Timestamp | None,
) -> p.SubscribeSource:
    cluster = target.cluster or ClusterId("")
    world = coord.planner.world(coord.snapshot, cluster)
    relation = await coord.planner.perhaps_aside(
        planned.is_long, lambda: coord.planner.relation(plan.query, params)
    )
    inlined = world.inline(relation)
    for name in sorted(volatile_of(inlined)):
        # A row that is taken back later must be the one that was given.
        raise FeatureNotSupported(f"cannot materialize call to {name}() in SUBSCRIBE")
    if unmaterializable_of(inlined):
        inlined = substitute_unmaterializable(inlined, session_values(coord, session))
    id, on = coord.ids.transient(), coord.ids.transient()

    def lower() -> LoweredDataflow:
        return build_dataflow(
            f"Dataflow: subscribe-{id}",
            [(on, coord.planner.optimize(inlined, world))],
            world.lowering(),
            sink_exports=(SinkExport(id, on, SubscribeSink(plan.with_snapshot)),),
            as_of=as_of,
            until=up_to,
        )

    lowered = await coord.planner.perhaps_aside(is_long_plan(inlined), lower)
    coord.peeks.expect_subscribe(id)
    try:
        replica = ReplicaId(target.replica) if target.replica else None
        coord.compute.create_dataflow(cluster, lowered.dataflow, replica=replica)
    except BaseException:
        coord.peeks.forget_subscribe(id)
        raise
    session.hold_for(request.id, None, ((cluster, id),))
    coord.subscriptions[id] = subscription_row(
        id, session.id, cluster, coord.clock.now_ms(), relations
    )
    coord.damage.watch(
        id, [(cluster, id)], coord.oracle.read_ts, lambda e: coord.peeks.fail_subscribe(id, e)
    )
    return p.SubscribeSource(
        id=id,
        arity=arity(inlined),
        progress=plan.progress,
        as_of=as_of,
        up_to=up_to,
        envelope=_envelope(plan),
    )


def _envelope(plan: SubscribePlan) -> p.SubscribeEnvelope | None:
    match plan.envelope:
        case SubscribeDiffs():
            return None
        case SubscribeUpsert(key=key):
            return p.SubscribeEnvelope("upsert", key=key)
        case SubscribeDebezium(key=key):
            return p.SubscribeEnvelope("debezium", key=key)
        case SubscribeOrdered(order_by=order_by):
            return p.SubscribeEnvelope("ordered", order_by=order_by)


async def sequence_subscribe(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: SubscribePlan,
) -> p.ExecuteReply:
    """Answer SUBSCRIBE sent as a query: its rows come as they become complete."""
    source = await start_subscribe(coord, session, request, planned, plan)
    return p.Rows(source=source, columns=result_columns(plan.desc), tag="SUBSCRIBE")
