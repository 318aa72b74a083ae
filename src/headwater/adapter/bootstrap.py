"""Boot: from the durable catalog to a running coordinator.

In order: open the catalog (fencing the server before), the transaction shard, the builtin objects;
plan every item again in the order of dependencies; open all collections; start replicas; build the
dataflows again, each at the least time that its inputs can be read; run sources and sinks; set the
builtin tables right; wait until no server before this one answers any more (``lease``). What a
crash left half done (a collection or a table registration of a committed item) is finished here.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence

from headwater.adapter import dataflows
from headwater.adapter.audit_log import AuditLog
from headwater.adapter.builtin_items import builtin_items
from headwater.adapter.builtin_rows import correct_builtin_tables, read_batches
from headwater.adapter.constraints import Keys, current_rows
from headwater.adapter.coordinator import Coordinator, Outside
from headwater.adapter.group_commit import GroupCommit
from headwater.adapter.introspection import Introspection
from headwater.adapter.lease import wait_out
from headwater.adapter.lending import Lending
from headwater.adapter.measurements import Measurements
from headwater.adapter.oracle import TimestampOracle
from headwater.adapter.planning import Planner, is_txn_table
from headwater.adapter.running import sink_of
from headwater.adapter.schedules import Schedules
from headwater.adapter.sequencer.cluster import start_replicas
from headwater.adapter.sequencer.replan import builtin_view, replan
from headwater.adapter.sequencer.source import run_source
from headwater.adapter.sequencer.unique_index import tables_with_keys
from headwater.adapter.statement_retention import Held
from headwater.catalog.allocate import BuiltinIds, IdAllocator
from headwater.catalog.builtin.initial import (
    DEFAULT_SIZE,
    Initial,
    initial_objects,
    system_clusters,
    system_roles,
    system_schemas,
)
from headwater.catalog.builtin.pg_views import PG_VIEWS
from headwater.catalog.builtin.views import MZ_VIEWS
from headwater.catalog.codec import (
    SYSTEM_PRIVILEGES_ROW,
    Change,
    DurableItem,
    Kind,
    State,
    decode_kind,
    default_privilege_row_key,
    encode_object,
    from_json,
    to_json,
)
from headwater.catalog.durable import DurableCatalog
from headwater.catalog.items import (
    Access,
    BuiltinTable,
    CatalogItem,
    Cluster,
    CommentKey,
    Database,
    Index,
    MaterializedView,
    NetworkPolicy,
    Relation,
    ReplicaSize,
    Role,
    Schema,
    Sink,
    Source,
    Table,
)
from headwater.catalog.ops import CatalogObject
from headwater.catalog.privileges import AclItem, DefaultPrivilegeKey
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.cluster.sizes import SIZES
from headwater.errors import HeadwaterError, InternalError
from headwater.persist.txns import TxnsHandle
from headwater.types.ids import GlobalId, ShardId

logger = logging.getLogger(__name__)

_ENVIRONMENT = (Kind.META.value, "environment")
_NANO_CORES = 1_000_000_000


async def boot(
    outside: Outside,
    txns_shard: ShardId,
    opened: Callable[[int], None] = lambda _: None,
    *,
    alone: Callable[[], bool] = lambda: False,
) -> Coordinator:
    """Open the environment and bring everything in it to run.

    Args:
        outside: Persist and the controllers.
        txns_shard: The transaction shard's name.
        opened: Called with this server's epoch, before any replica is started.
        alone: Whether all servers before this one are known to have ended; asked again and again.

    Raises: IncompatibleVersion, and whatever persist raises.
    """
    durable = await DurableCatalog.open(outside.persist)
    opened(durable.epoch)
    txns = await outside.persist.open_txns(txns_shard)
    left = await txns.fence(durable.epoch)
    fenced_at = outside.clock.monotonic()
    numbers = outside.peeks.state
    elsewhere = numbers.read_ts if outside.rounds is not None else lambda: 0
    oracle = TimestampOracle(outside.clock, txns.upper, elsewhere)
    ids = IdAllocator(durable.state)
    await _first_objects(durable, ids, outside)
    planner = Planner(outside.compute)
    builtin = BuiltinIds(durable.state, ids)
    snapshot = _plan_all(planner, durable, builtin)
    counters = ids.changes()
    await durable.commit([*builtin.changes, *counters])
    ids.committed(counters)
    coord: Coordinator | None = None

    def failed(error: HeadwaterError) -> None:
        if coord is not None:
            coord.on_failure(error)

    def read_table(shard: ShardId) -> AsyncIterator[bytes]:
        return current_rows(outside.persist, txns_shard, shard, oracle)

    def catalog_version() -> int:
        return coord.snapshot.version if coord is not None else 0

    lending = None
    if outside.rounds is not None:
        lending = Lending(outside.rounds, txns, catalog_version, lambda: outside.rng.token()[:8])
    group_commit = GroupCommit(
        oracle,
        txns,
        outside.clock,
        outside.tasks,
        keys=Keys(read_table),
        on_applied=numbers.set_read_ts,
        on_failure=failed,
        on_lease=numbers.set_lease_until,
        lending=lending,
    )
    coord = Coordinator(
        outside,
        snapshot=snapshot,
        durable=durable,
        ids=ids,
        oracle=oracle,
        group_commit=group_commit,
        planner=planner,
        txns_shard=txns_shard,
    )
    coord.environment_id = durable.state[_ENVIRONMENT]
    coord.secrets = _secrets(durable)
    outside.peeks.set_catalog_version(snapshot.version)
    numbers.set_read_ts(oracle.read_ts())
    await _open_collections(coord, txns)
    for cluster in snapshot.clusters.values():
        start_replicas(coord, cluster)
    await _build_dataflows(coord)
    _run_external(coord)
    group_commit.start()
    earlier = await correct_builtin_tables(coord, txns_shard)
    Introspection(coord, earlier.history).start()
    Measurements(coord).start()
    _start_statement_log(coord, earlier.statements)
    Schedules(coord).start()
    await wait_out(outside.clock, fenced_at, lambda: left or alone())
    logger.info("environment booted", extra={"items": len(snapshot.items), "epoch": durable.epoch})
    return coord


async def _first_objects(durable: DurableCatalog, ids: IdAllocator, outside: Outside) -> None:
    """Put into a new catalog what every catalog starts with."""
    changes: list[Change] = []
    entities: tuple[CatalogObject, ...]
    if _ENVIRONMENT not in durable.state:
        changes.append(Change(_ENVIRONMENT, None, outside.rng.token().hex()[:12]))
        first = initial_objects()
        entities = (
            *first.roles,
            *first.databases,
            *first.schemas,
            *first.clusters,
            *first.policies,
        )
        changes.append(Change(SYSTEM_PRIVILEGES_ROW, None, to_json(first.system_privileges)))
        for default, letters in first.default_privileges.items():
            changes.append(Change(default_privilege_row_key(default), None, letters))
        audit = AuditLog(durable.state, ids, outside.clock)
        changes.extend(audit.begin(_containers_of(first), entities))
    else:  # what this version of the program brings
        entities = (*system_roles(), *system_clusters(DEFAULT_SIZE))
    for entity in entities:
        key, value = encode_object(entity)
        if key not in durable.state:
            changes.append(Change(key, None, value))
    counters = ids.changes()
    await durable.commit([*changes, *counters])
    ids.committed(counters)


def _secrets(durable: DurableCatalog) -> dict[GlobalId, bytes]:
    return {
        GlobalId(key): bytes.fromhex(value)
        for (kind, key), value in durable.state.items()
        if kind == Kind.SECRET
    }


# The snapshot


class _Building:
    """A snapshot that grows item by item; each addition makes the maps anew."""

    def __init__(self, base: CatalogSnapshot) -> None:
        self.snapshot = base

    def add(self, items: "Sequence[CatalogItem]") -> None:
        self.snapshot = self.snapshot.with_items(items)


def _plan_all(planner: Planner, durable: DurableCatalog, builtin: BuiltinIds) -> CatalogSnapshot:
    """Return the catalog as stored, with all builtin objects, everything planned."""
    building = _Building(_containers(durable))
    schemas = {schema.name: schema.id for schema in system_schemas()}
    building.add(builtin_items(builtin, schemas))
    for definition in (*MZ_VIEWS, *PG_VIEWS):
        record = builtin.record(f"view {definition.key}")
        schema = schemas[definition.schema]
        try:
            view = builtin_view(planner, building.snapshot, definition, record, schema)
        except HeadwaterError as error:
            logger.warning(
                "a builtin view can't be planned",
                extra={"view": definition.key, "reason": error.message},
            )
            continue
        building.add([view])
    stored = decode_kind(durable.state, Kind.ITEM, DurableItem)
    _plan_items(planner, building, stored)
    building.add(tables_with_keys(building.snapshot))
    return building.snapshot


def _plan_items(planner: Planner, building: _Building, stored: list[DurableItem]) -> None:
    """Plan users' items, oldest first; one that needs a later one waits for it."""
    waiting = sorted(stored, key=lambda item: int(item.id[1:]))
    while waiting:
        left: list[DurableItem] = []
        failures: list[HeadwaterError] = []
        for item in waiting:
            try:
                building.add([replan(planner, building.snapshot, item)])
            except HeadwaterError as error:
                left.append(item)
                failures.append(error)
        if len(left) == len(waiting):
            raise InternalError(
                f'the stored statement of "{left[0].name}" can no longer be planned',
                detail=f"{failures[0].message}: {left[0].create_sql}",
            ) from failures[0]
        waiting = left


def _containers_of(first: Initial) -> CatalogSnapshot:
    """Return a new catalog's names, for what is told of them."""
    return CatalogSnapshot(
        version=0,
        databases={database.id: database for database in first.databases},
        schemas={schema.id: schema for schema in first.schemas},
        items={},
        clusters={cluster.id: cluster for cluster in first.clusters},
        roles={role.id: role for role in first.roles},
        sizes={},
        variables={},
        comments={},
        access=Access(
            system_privileges=first.system_privileges,
            default_privileges=first.default_privileges,
        ),
    )


def _containers(durable: DurableCatalog) -> CatalogSnapshot:
    state = durable.state
    schemas = (*system_schemas(), *decode_kind(state, Kind.SCHEMA, Schema))
    comments = {
        from_json(key, CommentKey): value
        for (kind, key), value in state.items()
        if kind == Kind.COMMENT
    }
    variables = {key: value for (kind, key), value in state.items() if kind == Kind.VARIABLE}
    databases = decode_kind(state, Kind.DATABASE, Database)
    return CatalogSnapshot(
        version=1,
        databases={database.id: database for database in databases},
        schemas={schema.id: schema for schema in schemas},
        items={},
        clusters={c.id: c for c in decode_kind(state, Kind.CLUSTER, Cluster)},
        roles={role.id: role for role in decode_kind(state, Kind.ROLE, Role)},
        sizes={size.name: size for size in replica_sizes()},
        variables=variables,
        comments=comments,
        access=_access(state),
    )


def _access(state: State) -> Access:
    policies = decode_kind(state, Kind.POLICY, NetworkPolicy)
    stored = state.get(SYSTEM_PRIVILEGES_ROW)
    return Access(
        policies={policy.id: policy for policy in policies},
        system_privileges=() if stored is None else from_json(stored, tuple[AclItem, ...]),
        default_privileges={
            from_json(key, DefaultPrivilegeKey): letters
            for (kind, key), letters in state.items()
            if kind == Kind.DEFAULT_PRIVILEGE
        },
    )


def replica_sizes() -> tuple[ReplicaSize, ...]:
    """Return the sizes that ``mz_cluster_replica_sizes`` lists."""
    return tuple(
        ReplicaSize(
            name=size.name,
            processes=size.processes,
            workers=size.workers,
            cpu_nano_cores=size.workers * _NANO_CORES,
            memory_bytes=size.memory_bytes,
            credits_per_hour=str(size.credits_per_hour),
        )
        for size in SIZES.values()
    )


# Collections and dataflows


async def _open_collections(coord: Coordinator, txns: TxnsHandle) -> None:
    """Follow all durable collections, registering tables that a crash left out."""
    relations = [
        item
        for item in coord.snapshot.items.values()
        if isinstance(item, Relation) and getattr(item, "shard", None) is not None
    ]
    tables = [item for item in relations if isinstance(item, Table | Source) and is_txn_table(item)]
    for table in tables:
        if isinstance(table, Table):
            coord.group_commit.keys.declare(table, empty=False)
    unknown = [t for t in tables if t.shard is not None and t.shard not in txns.tables]
    ts = coord.oracle.read_ts()
    if unknown:
        ts = await coord.group_commit.register(
            [(t.shard, t.desc) for t in unknown if t.shard is not None]
        )
    for item in unknown:
        await dataflows.create_collection(coord, item, ts)
    fresh = {item.id for item in unknown}
    rest = [dataflows.describe_collection(item) for item in relations if item.id not in fresh]
    await coord.storage.create_collections(rest)


async def _build_dataflows(coord: Coordinator) -> None:
    """Create the dataflows of indexes, older first, and then of materialized views."""
    items = sorted(coord.snapshot.items.values(), key=lambda item: int(item.id[1:]))
    for item in items:
        if isinstance(item, Index):
            try:
                await dataflows.create_index(coord, coord.snapshot, item)
            except HeadwaterError as error:
                _log_failure(item, error)
    for item in items:
        if isinstance(item, MaterializedView):
            try:
                await dataflows.create_materialized_view(coord, coord.snapshot, item, exists=True)
            except HeadwaterError as error:
                _log_failure(item, error)


def _log_failure(item: CatalogItem, error: HeadwaterError) -> None:
    logger.error("an object can't be maintained", extra={"id": item.id, "reason": error.message})


def _run_external(coord: Coordinator) -> None:
    """Run all sources and sinks."""
    for item in coord.snapshot.items.values():
        try:
            if isinstance(item, Source) and item.progress is not None:
                run_source(coord, coord.snapshot, item)
            elif isinstance(item, Sink):
                described = sink_of(coord.snapshot, item, coord.environment_id, coord.planner)
                coord.storage.run_sink(item.cluster, described)
        except HeadwaterError as error:
            _log_failure(item, error)


def _start_statement_log(coord: Coordinator, held: Held) -> None:
    async def read(table: str) -> list[bytes]:
        item = coord.snapshot.resolve_item(("mz_internal", table), (), None)
        if not isinstance(item, BuiltinTable):
            raise InternalError(f"{table} is no builtin table")
        return await read_batches(
            coord.persist, coord.txns_shard, item.shard, coord.oracle.read_ts()
        )

    coord.statements.start(
        held,
        coord.tasks,
        write=coord.write_tables,
        read=read,
        aside=coord.planner.aside,
        sessions=lambda: tuple(coord.sessions.values()),
    )
