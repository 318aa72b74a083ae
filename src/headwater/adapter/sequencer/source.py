"""CREATE SOURCE, CREATE TABLE … FROM SOURCE, CREATE SINK; and what runs them."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from headwater.adapter import dataflows
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.planning import WEBHOOK, World
from headwater.adapter.running import ingestion_of, kafka_output, sink_of
from headwater.adapter.sequencer.cluster import new_cluster, start_replicas
from headwater.adapter.sequencer.ddl import After, Work
from headwater.adapter.sequencer.new_items import exists_notice, new_item, new_shard
from headwater.adapter.session import Session
from headwater.catalog.items import Cluster, MaterializedView, Relation, Sink, Source, Table
from headwater.catalog.ops import Create, Op, Update
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import (
    DataCorrupted,
    FeatureNotSupported,
    InvalidColumnReference,
    WrongObjectType,
)
from headwater.ir.typing import Typer
from headwater.sql.plan import ddl
from headwater.sql.plan import external as planned
from headwater.sql.plan.kinds.references import references_of
from headwater.types.ids import ClusterId, GlobalId
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp

_LOAD_GENERATOR = "load-generator"
PROGRESS = "progress"
SUBSOURCE = "subsource"


def source_kind(details: planned.SourceDetails) -> str:
    """Return a source's type as ``mz_sources`` shows it."""
    match details:
        case planned.KafkaSource():
            return "kafka"
        case planned.LoadGeneratorSource():
            return _LOAD_GENERATOR
        case planned.DatabaseSource(product=product):
            return product.value
        case planned.WebhookSource():
            return WEBHOOK


def subsource_desc(parent: Source, reference: tuple[str, ...], *, progress: bool) -> RelationDesc:
    """Return the columns of a source's part. Raises: DataCorrupted."""
    plan = parent.details
    assert isinstance(plan, ddl.CreateSourcePlan)
    if progress:
        return plan.progress_desc
    for export in plan.exports:
        if export.reference == reference:
            return export.desc
    raise DataCorrupted(f'source "{parent.name}" has no output {".".join(reference)}')


def own_cluster(
    coord: Coordinator,
    session: Session,
    snapshot: CatalogSnapshot,
    wanted: ClusterId | ddl.OwnCluster | None,
    owner: GlobalId,
) -> tuple[ClusterId, tuple[Op, ...], tuple[After, ...]]:
    """Return where a source or sink runs, with the cluster made for it if it wants its own."""
    if isinstance(wanted, ddl.OwnCluster):
        cluster = new_cluster(
            coord,
            session,
            wanted.name,
            ddl.ManagedCluster(size=wanted.size),
            linked_to=owner,
        )

        async def start(_: CatalogSnapshot) -> None:
            start_replicas(coord, cluster)

        return cluster.id, (Create(cluster),), (start,)
    if wanted is None:
        wanted = snapshot.cluster(session.cluster).id
    return wanted, (), ()


def prepare_source(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: ddl.CreateSourcePlan
) -> Work:
    """CREATE SOURCE: the source, its parts, its progress, and the ingestion."""
    if isinstance(plan.details, planned.WebhookSource):
        return _prepare_webhook(coord, session, snapshot, plan, plan.details)
    if isinstance(plan.details, planned.DatabaseSource):
        raise FeatureNotSupported(f"{source_kind(plan.details)} sources are not supported yet")
    new = new_item(coord, session, snapshot, plan.name)
    if new.taken is not None and plan.if_not_exists:
        return exists_notice("source", plan.name.item)
    cluster, cluster_ops, cluster_after = own_cluster(
        coord, session, snapshot, plan.cluster, new.id
    )
    progress = _part(coord, session, snapshot, plan.progress, plan.progress_desc, new.id, PROGRESS)
    if isinstance(plan.details, planned.KafkaSource) and plan.details.contents is not None:
        kafka_output(new.id, plan.desc, plan.details.contents)  # refuses what can not run
    has_data = plan.desc.arity > 0 and not plan.exports
    source = Source(
        id=new.id,
        oid=new.oid,
        name=plan.name.item,
        schema=new.schema,
        owner=session.role,
        create_sql=plan.create_sql,
        depends_on=plan.depends_on,
        desc=plan.desc,
        source_kind=source_kind(plan.details),
        shard=new_shard(coord, new.id) if has_data else None,
        cluster=cluster,
        connection=getattr(plan.details, "connection", None),
        details=plan,
        envelope=plan.envelope,
        progress=progress.id,
        retain_history_ms=plan.retain_history_ms,
        timestamp_interval_ms=plan.timestamp_interval_ms,
        references=references_of(plan.details),
    )
    parts = [
        _part(
            coord,
            session,
            snapshot,
            export.name,
            export.desc,
            new.id,
            SUBSOURCE,
            reference=export.reference,
            create_sql=export.create_sql,
        )
        for export in plan.exports
    ]

    async def run(made: CatalogSnapshot) -> None:
        since = coord.oracle.read_ts()
        for item in (progress, source, *parts):
            if item.shard is not None:
                await dataflows.create_collection(coord, item, since)
        run_source(coord, made, source)

    ops: list[Op] = [*new.ops, *cluster_ops, Create(source), Create(progress)]
    ops.extend(Create(part) for part in parts)
    return Work(tag="CREATE SOURCE", ops=tuple(ops), after=(*cluster_after, run))


def _prepare_webhook(
    coord: Coordinator,
    session: Session,
    snapshot: CatalogSnapshot,
    plan: ddl.CreateSourcePlan,
    details: planned.WebhookSource,
) -> Work:
    """CREATE SOURCE or TABLE … FROM WEBHOOK: a collection that requests write to."""
    noun = "table" if details.is_table else "source"
    new = new_item(coord, session, snapshot, plan.name)
    if new.taken is not None and plan.if_not_exists:
        return exists_notice(noun, plan.name.item)
    common: dict[str, Any] = {
        "id": new.id,
        "oid": new.oid,
        "name": plan.name.item,
        "schema": new.schema,
        "owner": session.role,
        "create_sql": plan.create_sql,
        "depends_on": plan.depends_on,
        "desc": plan.desc,
        "shard": new_shard(coord, new.id),
        "details": plan,
    }
    item: Table | Source = (
        Table(**common)
        if details.is_table
        else Source(source_kind=WEBHOOK, cluster=own_cluster_id(plan), **common)
    )

    async def run(_: CatalogSnapshot) -> None:
        await dataflows.create_table(coord, item)

    return Work(tag=f"CREATE {noun.upper()}", ops=(*new.ops, Create(item)), after=(run,))


def own_cluster_id(plan: ddl.CreateSourcePlan) -> ClusterId | None:
    """Return the cluster that a plan names, if it does not make one."""
    return None if isinstance(plan.cluster, ddl.OwnCluster) else plan.cluster


def _part(
    coord: Coordinator,
    session: Session,
    snapshot: CatalogSnapshot,
    name: ddl.ItemPath,
    desc: RelationDesc,
    parent: GlobalId,
    kind: str,
    *,
    reference: tuple[str, ...] = (),
    create_sql: str = "",
) -> Source:
    new = new_item(coord, session, snapshot, name)
    return Source(
        id=new.id,
        oid=new.oid,
        name=name.item,
        schema=new.schema,
        owner=session.role,
        create_sql=create_sql,
        depends_on=(parent,),
        desc=desc,
        source_kind=kind,
        shard=new_shard(coord, new.id),
        parent=parent,
        reference=reference,
    )


def run_source(coord: Coordinator, snapshot: CatalogSnapshot, source: Source) -> None:
    """Have a primary source's ingestion run as the catalog describes it."""
    assert source.cluster is not None
    coord.storage.run_ingestion(
        source.cluster, ingestion_of(snapshot, source, coord.environment_id)
    )


def prepare_table_from_source(
    coord: Coordinator,
    session: Session,
    snapshot: CatalogSnapshot,
    plan: ddl.CreateTableFromSourcePlan,
) -> Work:
    """CREATE TABLE … FROM SOURCE: one more output of a running ingestion."""
    new = new_item(coord, session, snapshot, plan.name)
    if new.taken is not None and plan.if_not_exists:
        return exists_notice("table", plan.name.item)
    if isinstance(plan.details, planned.KafkaSource) and plan.details.contents is not None:
        kafka_output(new.id, plan.desc, plan.details.contents)  # refuses what can not run
    table = Table(
        id=new.id,
        oid=new.oid,
        name=plan.name.item,
        schema=new.schema,
        owner=session.role,
        create_sql=plan.create_sql,
        depends_on=plan.depends_on,
        desc=plan.desc,
        shard=new_shard(coord, new.id),
        source=plan.source,
        reference=plan.reference or (),
        details=plan,
        retain_history_ms=plan.retain_history_ms,
    )

    async def run(made: CatalogSnapshot) -> None:
        await dataflows.create_collection(coord, table, coord.oracle.read_ts())
        source = made.item(plan.source)
        assert isinstance(source, Source)
        run_source(coord, made, source)

    return Work(tag="CREATE TABLE", ops=(*new.ops, Create(table)), after=(run,))


def prepare_sink(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: ddl.CreateSinkPlan
) -> Work:
    """CREATE SINK."""
    on = _exportable(snapshot, plan.from_id)
    if plan.key is not None and plan.key_enforced:
        check_key(coord, snapshot, on, plan.key)
    new = new_item(coord, session, snapshot, plan.name)
    if new.taken is not None and plan.if_not_exists:
        return exists_notice("sink", plan.name.item)
    cluster, cluster_ops, cluster_after = own_cluster(
        coord, session, snapshot, plan.cluster, new.id
    )
    sink = Sink(
        id=new.id,
        oid=new.oid,
        name=plan.name.item,
        schema=new.schema,
        owner=session.role,
        create_sql=plan.create_sql,
        depends_on=plan.depends_on,
        on=plan.from_id,
        sink_kind=str(type(plan.details).__struct_config__.tag),
        cluster=cluster,
        connection=plan.details.connection,
        details=plan,
        key=plan.key,
        as_of=coord.oracle.read_ts(),
        with_snapshot=plan.with_snapshot,
    )
    sink_of(snapshot, sink, coord.environment_id, coord.planner)  # refuses what can not run

    async def run(made: CatalogSnapshot) -> None:
        described = sink_of(made, sink, coord.environment_id, coord.planner)
        coord.storage.run_sink(sink.cluster, described)

    ops = (*new.ops, *cluster_ops, Create(sink))
    return Work(tag="CREATE SINK", ops=ops, after=(*cluster_after, run))


@contextlib.asynccontextmanager
async def cut_over(
    coord: Coordinator, plan: ddl.AlterSinkFromPlan
) -> AsyncIterator[ddl.AlterSinkFromPlan]:
    """Have a sink write what its input has by now; yields the plan with the time of the cut.

    The new input is held there meanwhile. Cancellation: nothing has changed.
    """
    as_of = coord.oracle.read_ts()
    hold = coord.storage.acquire_hold(plan.sink.from_id, as_of)
    try:
        await coord.storage.wait_sink(plan.id, as_of)
        yield msgspec.structs.replace(plan, as_of=as_of)
    finally:
        hold.release()


def prepare_sink_from(
    coord: Coordinator, snapshot: CatalogSnapshot, plan: ddl.AlterSinkFromPlan
) -> Work:
    """ALTER SINK … SET FROM: the same topic, from the cut on fed by another relation."""
    old = snapshot.item(plan.id)
    assert isinstance(old, Sink)
    on = _exportable(snapshot, plan.sink.from_id)
    if plan.sink.key is not None and plan.sink.key_enforced:
        check_key(coord, snapshot, on, plan.sink.key)
    if plan.as_of is None:
        raise FeatureNotSupported("ALTER SINK … SET FROM in a transaction")
    sink = msgspec.structs.replace(
        old,
        create_sql=plan.sink.create_sql,
        depends_on=plan.sink.depends_on,
        on=plan.sink.from_id,
        details=plan.sink,
        key=plan.sink.key,
        as_of=Timestamp(plan.as_of),
        version=old.version + 1,
    )
    described = sink_of(snapshot, sink, coord.environment_id, coord.planner)

    async def run(_: CatalogSnapshot) -> None:
        coord.storage.stop(sink.id)
        coord.storage.run_sink(sink.cluster, described)

    return Work(tag="ALTER SINK", ops=(Update(sink),), after=(run,))


def _exportable(snapshot: CatalogSnapshot, id: GlobalId) -> Table | Source | MaterializedView:
    """Return what a sink may follow. Raises: WrongObjectType."""
    on = snapshot.item(id)
    if not isinstance(on, Table | Source | MaterializedView) or on.shard is None:
        raise WrongObjectType(
            f'{on.kind.noun} "{on.name}" cannot be exported as a sink',
            hint="Export a table, a source or a materialized view.",
        )
    return on


def check_key(
    coord: Coordinator, snapshot: CatalogSnapshot, on: Relation, key: tuple[int, ...]
) -> None:
    """Check that ``key`` is unique in ``on``, as the optimizer can prove it.

    Raises: InvalidColumnReference.
    """
    keys = list(on.desc.keys)
    if isinstance(on, MaterializedView):
        world = World(snapshot, coord.compute, None)
        keys.extend(Typer().keys(coord.planner.maintained(on.expr, world, "a sink")))
    if any(set(known) <= set(key) for known in keys):
        return
    names = ", ".join(on.desc.columns[column].name for column in key)
    raise InvalidColumnReference(
        f"upsert key could not be validated as unique: ({names})",
        hint="Group by the key, or write KEY (…) NOT ENFORCED.",
    )


def linked_cluster(snapshot: CatalogSnapshot, id: GlobalId) -> Cluster | None:
    """Return the cluster that was made for a source or sink, None if it has none of its own."""
    return next((c for c in snapshot.clusters.values() if c.linked_to == id), None)
