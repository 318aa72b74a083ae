"""Maintained dataflows: indexes and materialized views, made by statements and again at boot.

A new dataflow begins at the least time that all its inputs can still be read at: holds are taken
first, then the time is chosen, and the controller takes holds of its own before these go.
"""

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.planning import Planner, World, is_long_plan, is_txn_table
from headwater.adapter.refreshes import first_refresh
from headwater.catalog.items import Index, MaterializedView, Relation, Source, Table, View
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.compute.collections import ExportKind
from headwater.errors import InternalError
from headwater.ir.dataflow import (
    DataflowDescription,
    IndexExport,
    MaterializedViewSink,
    SinkExport,
)
from headwater.ir.relation import Get, Global, RelationExpr
from headwater.sql.lower.dataflow import LoweredDataflow, build_dataflow
from headwater.storage.collections import DEFAULT_LAG_MS, CollectionDescription, CollectionKind
from headwater.storage.controller import CRITICAL_HOLD
from headwater.types.frontier import join
from headwater.types.ids import GlobalId
from headwater.types.read_hold import ReadHold
from headwater.types.time import TIMESTAMP_MIN, Timestamp


def lower_index(
    planner: Planner, world: World, index: Index, on: Relation, transient: GlobalId
) -> LoweredDataflow:
    """Return the dataflow of an index; ``transient`` names what it arranges, where that is a view.

    Raises: FeatureNotSupported.
    """
    objects: list[tuple[GlobalId, RelationExpr]] = []
    arranged = on.id
    if isinstance(on, View):
        arranged = transient
        query = Get(Global(on.id), on.desc)
        objects.append((arranged, planner.maintained(query, world, "an index")))
    export = IndexExport(index.id, arranged, index.key, on.desc.arity)
    return build_dataflow(
        f"Dataflow: {world.snapshot.show_item(index)}",
        objects,
        world.lowering(),
        index_exports=(export,),
        as_of=TIMESTAMP_MIN,
    )


def lower_materialized_view(
    planner: Planner, world: World, view: MaterializedView, transient: GlobalId
) -> LoweredDataflow:
    """Return the dataflow of a materialized view, whose query ``transient`` names.

    Raises: FeatureNotSupported.
    """
    expr = planner.maintained(view.expr, world, "a materialized view")
    sink = SinkExport(view.id, transient, MaterializedViewSink(view.shard, view.desc, view.refresh))
    return build_dataflow(
        f"Dataflow: {world.snapshot.show_item(view)}",
        [(transient, expr)],
        world.lowering(),
        sink_exports=(sink,),
        as_of=TIMESTAMP_MIN,
    )


async def index_dataflow(
    coord: Coordinator, world: World, index: Index, on: Relation
) -> LoweredDataflow:
    """As :func:`lower_index`; what may take long leaves the loop.

    The world stays as it is: the caller has the turn to change the catalog, or has staged changes
    that are compared with the catalog when they are committed.
    """
    planner, transient = coord.planner, coord.ids.transient()
    is_long = isinstance(on, View) and is_long_plan(on.expr, world)
    return await planner.perhaps_aside(
        is_long, lambda: lower_index(planner, world, index, on, transient)
    )


async def materialized_view_dataflow(
    coord: Coordinator, world: World, view: MaterializedView
) -> LoweredDataflow:
    """As :func:`lower_materialized_view`; otherwise as :func:`index_dataflow`."""
    planner, transient = coord.planner, coord.ids.transient()
    return await planner.perhaps_aside(
        is_long_plan(view.expr, world),
        lambda: lower_materialized_view(planner, world, view, transient),
    )


def least_readable(
    coord: Coordinator, index_or_view: Index | MaterializedView, dataflow: DataflowDescription
) -> tuple[Timestamp, list[ReadHold]]:
    """Return the least time at which all inputs can be read, and holds on them there.

    Of a dataflow without inputs it is the oracle's time for an index, which keeps no history, and
    the beginning of time for a materialized view.
    """
    holds: list[ReadHold] = []
    try:
        holds.extend(coord.storage.acquire_hold(source.id) for source in dataflow.sources)
        holds.extend(
            coord.compute.acquire_hold(index_or_view.cluster, imported.id)
            for imported in dataflow.indexes
        )
        if holds:
            since = join(hold.since for hold in holds)
        elif isinstance(index_or_view, MaterializedView):
            since = TIMESTAMP_MIN
        else:
            since = coord.oracle.read_ts()
        if since is None:
            raise InternalError("an input of a new dataflow can't be read any more")
    except BaseException:
        for hold in holds:
            hold.release()
        raise
    return since, holds


async def create_index(coord: Coordinator, snapshot: CatalogSnapshot, index: Index) -> None:
    """Build an index on every replica of its cluster. Raises: what lowering raises."""
    on = snapshot.item(index.on)
    assert isinstance(on, Relation)
    world = World(snapshot, coord.compute, index.cluster, without=frozenset({index.id}))
    lowered = await index_dataflow(coord, world, index, on)
    as_of, holds = least_readable(coord, index, lowered.dataflow)
    try:
        coord.compute.create_dataflow(
            index.cluster,
            _at(lowered.dataflow, as_of),
            lag_ms=index.retain_history_ms or DEFAULT_LAG_MS,
        )
    finally:
        for hold in holds:
            hold.release()
    coord.planner.forget()


async def rebuild_indexes(coord: Coordinator, snapshot: CatalogSnapshot, on: GlobalId) -> None:
    """Build the indexes of a relation that has more columns now again, and all that reads them."""
    items = [snapshot.items[id] for id in _reading_indexes(coord, snapshot, on)]
    for item in items:
        assert isinstance(item, Index | MaterializedView)
        coord.forget_index(item.id)
        coord.compute.drop(item.cluster, [item.id])
    coord.planner.forget()
    for item in sorted(items, key=lambda item: (isinstance(item, MaterializedView), item.oid)):
        if isinstance(item, Index):
            await create_index(coord, snapshot, item)
        elif isinstance(item, MaterializedView):
            await create_materialized_view(coord, snapshot, item, exists=True)


def _reading_indexes(
    coord: Coordinator, snapshot: CatalogSnapshot, on: GlobalId
) -> dict[GlobalId, None]:
    """Return the indexes of a relation, and what is maintained from them, directly or not."""
    found: dict[GlobalId, None] = {index.id: None for index in snapshot.indexes_on(on)}
    maintained = [i for i in snapshot.items.values() if isinstance(i, Index | MaterializedView)]
    before = -1
    while before != len(found):
        before = len(found)
        for item in maintained:
            if item.id not in found and coord.compute.has(item.cluster, item.id):
                _, indexes = coord.compute.imports(item.cluster, item.id)
                if not found.keys().isdisjoint(indexes):
                    found[item.id] = None
    return found


def subscriptions_of(coord: Coordinator, id: GlobalId) -> list[GlobalId]:
    """Return the subscriptions that read a collection, by the ids of their exports."""
    return [
        export.id
        for cluster in coord.snapshot.clusters
        for export in coord.compute.exports(cluster)
        if export.kind is ExportKind.SUBSCRIBE
        and id in coord.compute.imports(cluster, export.id)[0]
    ]


async def create_materialized_view(
    coord: Coordinator, snapshot: CatalogSnapshot, view: MaterializedView, *, exists: bool = False
) -> None:
    """Maintain a materialized view on its cluster, making its collection unless it ``exists``.

    Frontiers: a new view can be read from the dataflow's as_of on, or from its first refresh. One
    that exists goes on one step before what its collection holds durably, or where it begins if
    that is nothing yet. Where that is a refresh to come, the dataflow begins now, to be ready then.
    """
    world = World(snapshot, coord.compute, view.cluster)
    lowered = await materialized_view_dataflow(coord, world, view)
    as_of, holds = least_readable(coord, view, lowered.dataflow)
    try:
        if exists:
            since, upper = coord.storage.frontiers(view.id)
            if upper is None or since is None:
                return  # complete for ever
            # What has not been written at its first time yet has an upper of its since.
            begin = Timestamp(max(upper - 1, since))
        else:
            begin = first_refresh(view.refresh, as_of)
            await create_collection(coord, view, begin)
        if view.refresh is not None:
            begin = min(begin, coord.oracle.read_ts())
        as_of = max(as_of, begin)
        coord.compute.create_dataflow(view.cluster, _at(lowered.dataflow, as_of))
    finally:
        for hold in holds:
            hold.release()


def _at(dataflow: DataflowDescription, as_of: Timestamp) -> DataflowDescription:
    return DataflowDescription(
        name=dataflow.name,
        sources=dataflow.sources,
        indexes=dataflow.indexes,
        objects=dataflow.objects,
        index_exports=dataflow.index_exports,
        sink_exports=dataflow.sink_exports,
        as_of=as_of,
        until=dataflow.until,
        logs=dataflow.logs,
    )


def describe_collection(item: Relation) -> CollectionDescription:
    """Return a durable relation as storage is asked to keep it."""
    assert isinstance(item, Table | Source | MaterializedView)
    if item.shard is None:
        raise InternalError("a relation without a collection", detail=f"id = {item.id}")
    kind, ingestion = CollectionKind.SOURCE, None
    if isinstance(item, MaterializedView):
        kind = CollectionKind.MATERIALIZED_VIEW
    elif is_txn_table(item):
        kind = CollectionKind.TABLE
    elif isinstance(item, Source):
        ingestion = item.parent or item.id
    else:
        ingestion = item.source
    lag_ms = item.retain_history_ms or DEFAULT_LAG_MS
    return CollectionDescription(item.id, item.shard, item.desc, kind, lag_ms, ingestion)


async def create_collection(coord: Coordinator, item: Relation, since: Timestamp) -> None:
    """Make a new relation's collection, readable from ``since`` on."""
    description = describe_collection(item)
    await coord.persist.open_writer(description.shard, description.desc)
    # The controller takes over the hold of this name, and with it the since.
    await coord.persist.hold(description.shard, since, name=CRITICAL_HOLD, lease=False)
    await coord.storage.create_collections([description])


async def create_table(coord: Coordinator, table: Table | Source) -> None:
    """Make the collection of a new table (or webhook), empty as of now."""
    assert table.shard is not None
    ts = await coord.group_commit.register([(table.shard, table.desc)])
    if isinstance(table, Table):
        coord.group_commit.keys.declare(table, empty=True)
    await create_collection(coord, table, ts)
