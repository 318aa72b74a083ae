"""CREATE and ALTER CLUSTER and CLUSTER REPLICA: the catalog's part, and starting processes."""

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.ddl import After, Work
from headwater.adapter.session import Session, notice
from headwater.catalog.items import Cluster, Replica
from headwater.catalog.ops import Create, Update
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.cluster.controller import ReplicaConfig
from headwater.cluster.sizes import size_named
from headwater.errors import (
    DuplicateObject,
    FeatureNotSupported,
    InvalidParameterValue,
    ObjectNotInPrerequisiteState,
    UndefinedObject,
)
from headwater.sql.plan import ddl
from headwater.types.ids import ClusterId, GlobalId, ReplicaId, RoleId

REPLICAS_MAX = 16
# How long ALTER CLUSTER keeps replicas of the old size beside the new ones, unless told.
HANDOVER_MS = 60_000
_POLL_S = 0.05


def replica_config(replica: Replica) -> ReplicaConfig:
    """Return what a replica is made of. Raises: InvalidParameterValue (an unknown size)."""
    if replica.addresses:
        return ReplicaConfig(
            name=replica.name,
            size=replica.size,
            workers=replica.workers,
            address=replica.addresses[0],
        )
    size = size_named(replica.size or "")
    return ReplicaConfig(
        name=replica.name,
        size=replica.size,
        workers=size.workers,
        memory_bytes=size.memory_bytes,
    )


def start_replicas(coord: Coordinator, cluster: Cluster) -> None:
    """Make a cluster known and start its replicas."""
    coord.compute.create_instance(cluster.id)
    for replica in cluster.replicas:
        coord.cluster.create_replica(cluster.id, replica.id, replica_config(replica))


def _replica(
    coord: Coordinator, owner: RoleId, cluster: ClusterId, name: str, size: str
) -> Replica:
    workers = size_named(size).workers
    return Replica(
        id=coord.ids.replica(),
        name=name,
        cluster=cluster,
        owner=owner,
        size=size,
        workers=workers,
    )


def _configured(
    coord: Coordinator, owner: RoleId, cluster: ClusterId, name: str, config: ddl.ReplicaConfig
) -> Replica:
    if config.size is not None:
        made = _replica(coord, owner, cluster, name, config.size)
        return msgspec.structs.replace(made, internal=config.internal, billed_as=config.billed_as)
    if not config.compute_addresses:
        raise InvalidParameterValue(
            f'replica "{name}" needs a SIZE or COMPUTE ADDRESSES',
        )
    return Replica(
        id=coord.ids.replica(),
        name=name,
        cluster=cluster,
        owner=owner,
        size=None,
        addresses=config.compute_addresses,
        workers=config.workers or 1,
        internal=config.internal,
        billed_as=config.billed_as,
    )


def new_cluster(
    coord: Coordinator,
    session: Session,
    name: str,
    managed: ddl.ManagedCluster,
    *,
    linked_to: GlobalId | None = None,
) -> Cluster:
    """Return a managed cluster to be made, with its replicas r1 … rN."""
    id = coord.ids.cluster()
    _check_factor(managed.replication_factor)
    replicas = tuple(
        _replica(coord, session.role, id, f"r{number}", managed.size)
        for number in range(1, managed.replication_factor + 1)
    )
    return Cluster(
        id=id,
        name=name,
        owner=session.role,
        size=managed.size,
        replication_factor=managed.replication_factor,
        replicas=replicas,
        linked_to=linked_to,
        introspection_interval_ms=managed.introspection_interval_ms,
        introspection_debugging=managed.introspection_debugging,
        hydration_estimate_ms=managed.hydration_estimate_ms,
    )


def _check_schedule(snapshot: CatalogSnapshot, managed: ddl.ManagedCluster | None) -> None:
    """Refuse SCHEDULE = ON REFRESH where it is switched off. Raises: FeatureNotSupported."""
    wanted = managed is not None and managed.refresh_schedule
    if wanted and snapshot.variables.get("enable_cluster_schedule_refresh") == "off":
        raise FeatureNotSupported(
            "`SCHEDULE = ON REFRESH` cluster option is not available",
            hint="An operator has set enable_cluster_schedule_refresh to off.",
        )


def _check_factor(factor: int) -> None:
    if not 0 <= factor <= REPLICAS_MAX:
        raise InvalidParameterValue(f"REPLICATION FACTOR must be between 0 and {REPLICAS_MAX}")


def prepare_cluster(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: ddl.CreateClusterPlan
) -> Work:
    """CREATE CLUSTER."""
    if plan.if_not_exists and snapshot.try_cluster(plan.name) is not None:
        said = notice(f'cluster "{plan.name}" already exists, skipping', "42710")
        return Work(tag="CREATE CLUSTER", notices=(said,))
    _check_schedule(snapshot, plan.managed)
    if plan.managed is not None:
        cluster = new_cluster(coord, session, plan.name, plan.managed)
    else:
        id = coord.ids.cluster()
        listed = plan.unmanaged.replicas if plan.unmanaged is not None else ()
        cluster = Cluster(
            id=id,
            name=plan.name,
            owner=session.role,
            managed=False,
            replicas=tuple(_configured(coord, session.role, id, r.name, r.config) for r in listed),
        )
    cluster = msgspec.structs.replace(cluster, workload_class=plan.workload_class)

    async def start(_: CatalogSnapshot) -> None:
        start_replicas(coord, cluster)

    return Work(tag="CREATE CLUSTER", ops=(Create(cluster),), after=(start,))


def prepare_replica(
    coord: Coordinator,
    session: Session,
    snapshot: CatalogSnapshot,
    plan: ddl.CreateClusterReplicaPlan,
) -> Work:
    """CREATE CLUSTER REPLICA."""
    cluster = snapshot.cluster_by_id(plan.cluster_id)
    if any(replica.name == plan.name for replica in cluster.replicas):
        if plan.if_not_exists:
            said = notice(f'cluster replica "{plan.name}" already exists, skipping', "42710")
            return Work(tag="CREATE CLUSTER REPLICA", notices=(said,))
        raise DuplicateObject(f'cluster replica "{cluster.name}.{plan.name}" already exists')
    replica = _configured(coord, cluster.owner, cluster.id, plan.name, plan.config)
    changed = msgspec.structs.replace(cluster, replicas=(*cluster.replicas, replica))

    async def start(_: CatalogSnapshot) -> None:
        coord.cluster.create_replica(cluster.id, replica.id, replica_config(replica))

    return Work(tag="CREATE CLUSTER REPLICA", ops=(Update(changed),), after=(start,))


def without_replica(cluster: Cluster, id: ReplicaId) -> Cluster:
    """Return a cluster with one replica fewer.

    Raises: ObjectNotInPrerequisiteState: The cluster is managed, and makes the replica itself.
    """
    if cluster.managed and not any(r.id == id and r.internal for r in cluster.replicas):
        raise ObjectNotInPrerequisiteState(
            f'cannot drop replica of managed cluster "{cluster.name}"',
            hint="Use ALTER CLUSTER … SET (REPLICATION FACTOR n).",
        )
    kept = tuple(replica for replica in cluster.replicas if replica.id != id)
    return msgspec.structs.replace(cluster, replicas=kept)


def prepare_alter_cluster(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: ddl.AlterClusterPlan
) -> Work:
    """ALTER CLUSTER SET | RESET: new replicas first, the old ones go when those have caught up."""
    cluster = snapshot.cluster_by_id(plan.id)
    if cluster.hydration_estimate_ms is None:
        _check_schedule(snapshot, plan.managed)
    if plan.managed is not None:
        changed = resized(coord, cluster, plan.managed)
    else:
        changed = msgspec.structs.replace(
            cluster,
            managed=False,
            size=None,
            replication_factor=None,
            hydration_estimate_ms=None,
        )
    changed = msgspec.structs.replace(changed, workload_class=plan.workload_class)
    timeout_ms = plan.reconfiguration.timeout_ms if plan.reconfiguration else HANDOVER_MS
    return Work(
        tag="ALTER CLUSTER",
        ops=(Update(changed),),
        after=(handover(coord, cluster, changed, timeout_ms),),
    )


def prepare_size(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: ddl.AlterSizePlan
) -> Work:
    """ALTER SOURCE | SINK … SET (SIZE …): its own cluster gets replicas of the new size."""
    cluster = snapshot.clusters.get(plan.cluster_id)
    if cluster is None:
        raise UndefinedObject("the object has no cluster of its own")
    factor = 1 if cluster.replication_factor is None else cluster.replication_factor
    managed = ddl.ManagedCluster(size=plan.size, replication_factor=factor)
    changed = resized(coord, cluster, managed)
    noun = snapshot.item(plan.id).kind.noun.upper()
    return Work(
        tag=f"ALTER {noun}",
        ops=(Update(changed),),
        after=(handover(coord, cluster, changed, HANDOVER_MS),),
    )


def resized(coord: Coordinator, cluster: Cluster, managed: ddl.ManagedCluster) -> Cluster:
    """Return a cluster as ``managed`` wants it; replicas of the right size stay."""
    _check_factor(managed.replication_factor)
    internal = [r for r in cluster.replicas if r.internal]
    own = [r for r in cluster.replicas if not r.internal and not r.addresses]
    kept = [r for r in own if r.size == managed.size][: managed.replication_factor]
    names = {replica.name for replica in (*kept, *internal)}
    free = (f"r{n}" for n in range(1, 10_000) if f"r{n}" not in names)
    fresh = [
        _replica(coord, cluster.owner, cluster.id, next(free), managed.size)
        for _ in range(managed.replication_factor - len(kept))
    ]
    return msgspec.structs.replace(
        cluster,
        managed=True,
        size=managed.size,
        replication_factor=managed.replication_factor,
        replicas=(*kept, *fresh, *internal),
        introspection_interval_ms=managed.introspection_interval_ms,
        introspection_debugging=managed.introspection_debugging,
        hydration_estimate_ms=managed.hydration_estimate_ms,
    )


def handover(coord: Coordinator, old: Cluster, new: Cluster, timeout_ms: int) -> After:
    """Return what starts a cluster's new replicas, and has the old ones go when those can."""
    before = {replica.id for replica in old.replicas}
    after = {replica.id for replica in new.replicas}
    fresh = [replica for replica in new.replicas if replica.id not in before]
    gone = [replica.id for replica in old.replicas if replica.id not in after]

    async def act(_: CatalogSnapshot) -> None:
        for replica in fresh:
            coord.cluster.create_replica(new.id, replica.id, replica_config(replica))
        waited_for = [replica.id for replica in fresh] if gone else []
        retiring = _retire(coord, new.id, gone, waited_for, timeout_ms)
        coord.tasks.spawn(retiring, name=f"retire-replicas-{new.id}")

    return act


async def _retire(
    coord: Coordinator,
    cluster: ClusterId,
    gone: list[ReplicaId],
    fresh: list[ReplicaId],
    timeout_ms: int,
) -> None:
    """Stop replicas that the catalog has no more, when ``fresh`` ones can take over."""
    if fresh:
        await _caught_up(coord, cluster, fresh, timeout_ms)
    for id in gone:
        if any(state.replica == id for state in coord.cluster.replicas()):
            await coord.cluster.drop_replica(id)


async def _caught_up(
    coord: Coordinator, cluster: ClusterId, replicas: list[ReplicaId], timeout_ms: int
) -> None:
    """Return when all of the cluster's dataflows are hydrated on ``replicas``, or time is up."""
    deadline = coord.clock.monotonic() + timeout_ms / 1_000
    while coord.clock.monotonic() < deadline:
        if _are_hydrated(coord, cluster, replicas):
            return
        await coord.clock.sleep(_POLL_S)


def _are_hydrated(coord: Coordinator, cluster: ClusterId, replicas: list[ReplicaId]) -> bool:
    if cluster not in coord.snapshot.clusters:
        return True  # dropped meanwhile
    if not set(replicas) <= coord.compute.replicas(cluster):
        return False
    items = coord.snapshot.objects_on(cluster)
    maintained = [item.id for item in items if coord.compute.has(cluster, item.id)]
    return all(
        coord.compute.hydrated(cluster, id).get(replica, False)
        for id in maintained
        for replica in replicas
    )
