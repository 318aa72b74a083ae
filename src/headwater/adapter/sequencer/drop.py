"""DROP: out of the catalog first, then out of the controllers."""

from collections.abc import Callable, Sequence

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.planning import is_txn_table
from headwater.adapter.sequencer.cluster import without_replica
from headwater.adapter.sequencer.ddl import Work
from headwater.adapter.sequencer.privileges import forget_roles
from headwater.adapter.sequencer.source import linked_cluster, run_source
from headwater.adapter.sequencer.unique_index import enforcing, tables_without
from headwater.adapter.session import Session, notice
from headwater.catalog.builtin.initial import is_system
from headwater.catalog.items import (
    CatalogItem,
    Cluster,
    Index,
    MaterializedView,
    Relation,
    Secret,
    Sink,
    Source,
    Table,
)
from headwater.catalog.ops import (
    DropCluster,
    DropDatabase,
    DropItem,
    DropPolicy,
    DropRole,
    DropSchema,
    Op,
    SetSecret,
    Update,
)
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import (
    ErrorFields,
    FeatureNotSupported,
    InsufficientPrivilege,
    ObjectInUse,
)
from headwater.sql.plan.ddl import DropObjectsPlan, DropOwnedPlan, ObjectRef, ObjectType
from headwater.types.ids import (
    ClusterId,
    DatabaseId,
    GlobalId,
    PolicyId,
    ReplicaId,
    RoleId,
    SchemaId,
)

_OUTSIDE_SCHEMAS: dict[ObjectType, Callable[[str], Op]] = {
    ObjectType.DATABASE: lambda id: DropDatabase(DatabaseId(id)),
    ObjectType.SCHEMA: lambda id: DropSchema(SchemaId(id)),
    ObjectType.ROLE: lambda id: DropRole(RoleId(id)),
    ObjectType.NETWORK_POLICY: lambda id: DropPolicy(PolicyId(id)),
}
_CLUSTER_KINDS = (ObjectType.CLUSTER, ObjectType.CLUSTER_REPLICA)


def prepare_drop(
    session: Session,
    coord: Coordinator,
    snapshot: CatalogSnapshot,
    plan: DropObjectsPlan | DropOwnedPlan,
) -> Work:
    """DROP … and DROP OWNED: everything the plan lists, parts of sources with them."""
    refs = _with_parts(snapshot, plan.drops)
    ops: list[Op] = []
    items: list[CatalogItem] = []
    clusters: list[ClusterId] = []
    replicas: dict[ReplicaId, None] = {}
    for ref in refs:
        _check_droppable(session, ref)
        match ref.type:
            case ObjectType.CLUSTER:
                clusters.append(ClusterId(ref.id))
            case ObjectType.CLUSTER_REPLICA:
                replicas[ReplicaId(ref.id)] = None
            case kind if kind in _OUTSIDE_SCHEMAS:
                ops.append(_OUTSIDE_SCHEMAS[kind](ref.id))
            case ObjectType.FUNCTION | ObjectType.SYSTEM:
                raise FeatureNotSupported(f"DROP {ref.type.value.upper()} is not supported")
            case _:
                item = snapshot.item(GlobalId(ref.id))
                items.append(item)
                ops.append(DropItem(item.id))
                if isinstance(item, Secret):
                    ops.append(SetSecret(item.id, None))
                own = linked_cluster(snapshot, item.id)
                if own is not None and own.id not in clusters:
                    clusters.append(own.id)
    ops.extend(_drop_replicas(snapshot, replicas, clusters))
    ops.extend(DropCluster(id) for id in clusters)
    if isinstance(plan, DropOwnedPlan):
        ops.extend(forget_roles(snapshot, plan.roles, {ref.id for ref in refs}))

    async def after(_: CatalogSnapshot) -> None:
        await release_items(coord, items)
        for cluster in clusters:
            running = [s.replica for s in coord.cluster.replicas() if s.cluster == cluster]
            for replica in running:  # also those that are about to be replaced
                await coord.cluster.drop_replica(replica)
            coord.compute.drop_instance(cluster)
        for replica_id in replicas:
            await coord.cluster.drop_replica(replica_id)

    losing = list(tables_without(snapshot, items))
    ops.extend(Update(table) for _, table in losing)
    return Work(
        tag=_tag(plan),
        ops=tuple(_ordered(ops)),
        after=(after,),
        notices=_notices(snapshot, plan),
        before=tuple(enforcing(coord, *change) for change in losing),
        locks=tuple(table.shard for table, _ in losing),
    )


def _tag(plan: DropObjectsPlan | DropOwnedPlan) -> str:
    return "DROP OWNED" if isinstance(plan, DropOwnedPlan) else f"DROP {plan.type.value.upper()}"


def _ordered(ops: list[Op]) -> list[Op]:
    """Return ``ops`` with containers after what they hold."""
    last = (DropSchema, DropCluster)
    inner = [op for op in ops if not isinstance(op, (*last, DropDatabase, DropRole))]
    outer = [op for op in ops if isinstance(op, last)]
    rest = [op for op in ops if isinstance(op, DropDatabase | DropRole)]
    return [*inner, *outer, *rest]


def _notices(
    snapshot: CatalogSnapshot, plan: DropObjectsPlan | DropOwnedPlan
) -> tuple[ErrorFields, ...]:
    if isinstance(plan, DropOwnedPlan) or not plan.cascade:
        return ()
    named = {ref.id for ref in plan.named}
    others = [ref for ref in plan.drops if ref.id not in named]
    if not others:
        return ()
    names = [_name(snapshot, ref) for ref in others]
    if len(names) == 1:
        return (notice(f"drop cascades to {names[0]}"),)
    return (
        notice(
            f"drop cascades to {len(names)} other objects",
            detail="\n".join(f"drop cascades to {name}" for name in names),
        ),
    )


def _name(snapshot: CatalogSnapshot, ref: ObjectRef) -> str:
    item = snapshot.try_item(GlobalId(ref.id))
    name = ref.id if item is None else item.name
    if ref.type is ObjectType.SCHEMA and ref.id in snapshot.schemas:
        name = snapshot.schemas[SchemaId(ref.id)].name
    return f"{ref.type.value} {name}"


def _with_parts(snapshot: CatalogSnapshot, drops: Sequence[ObjectRef]) -> list[ObjectRef]:
    """Return ``drops`` with the subsources and progress of each source, parts first."""
    seen = {ref.id for ref in drops}
    result: list[ObjectRef] = []
    for ref in drops:
        item = snapshot.try_item(GlobalId(ref.id))
        if isinstance(item, Source) and ref.type not in _CLUSTER_KINDS:
            for user in snapshot.used_by(item.id):
                part = snapshot.item(user)
                if isinstance(part, Source) and part.parent == item.id and part.id not in seen:
                    seen.add(part.id)
                    result.append(ObjectRef(ObjectType.SOURCE, part.id))
        result.append(ref)
    return result


def _check_droppable(session: Session, ref: ObjectRef) -> None:
    if is_system(ref.id):
        raise InsufficientPrivilege(f"cannot drop {ref.type.value} of the system")
    if ref.type is ObjectType.ROLE and ref.id == session.role:
        raise ObjectInUse("current role cannot be dropped")


def _drop_replicas(
    snapshot: CatalogSnapshot, replicas: dict[ReplicaId, None], clusters: list[ClusterId]
) -> list[Op]:
    """Return the clusters without the replicas; those of dropped clusters go with them."""
    changed: dict[ClusterId, Cluster] = {}
    for id in list(replicas):
        replica = snapshot.replica_by_id(id)
        if replica is None or replica.cluster in clusters:
            del replicas[id]
            continue
        cluster = changed.get(replica.cluster, snapshot.cluster_by_id(replica.cluster))
        changed[replica.cluster] = without_replica(cluster, id)
    return [Update(cluster) for cluster in changed.values()]


async def release_items(coord: Coordinator, items: Sequence[CatalogItem]) -> None:
    """Let controllers forget what is out of the catalog, dependents first."""
    for item in items:
        match item:
            case Index() | MaterializedView():
                coord.forget_index(item.id)
                coord.compute.drop(item.cluster, [item.id])
            case Sink():
                coord.storage.stop(item.id)
            case Source() if item.parent is None and item.progress is not None:
                coord.storage.stop(item.id)
            case Secret():
                coord.secrets.pop(item.id, None)
            case _:
                pass
    for item in items:
        coord.storage.forget_statistics(item.id)
        if isinstance(item, Table) and item.source is not None:
            source = coord.snapshot.try_item(item.source)
            if isinstance(source, Source):  # it goes on without the table
                run_source(coord, coord.snapshot, source)
    coord.planner.forget()
    durable = [i for i in items if isinstance(i, Relation) and coord.storage.has(i.id)]
    tables = [i for i in durable if isinstance(i, Table | Source) and is_txn_table(i)]
    await coord.storage.drop_collections([item.id for item in durable])
    if tables:
        shards = [table.shard for table in tables if table.shard is not None]
        await coord.group_commit.forget(shards)
        for shard in shards:
            coord.group_commit.keys.forget(shard)


async def drop_temporary(coord: Coordinator, session: Session) -> None:
    """Drop a session's temporary objects, and the schema that they are in."""
    if session.temp_schema is not None:
        await coord.finish(_drop_schema(coord, session.temp_schema))
        session.temp_schema = None


async def _drop_schema(coord: Coordinator, schema: SchemaId) -> None:
    async with coord.changing():
        if schema not in coord.snapshot.schemas:
            return
        items = coord.snapshot.items_in(schema)
        ids = coord.snapshot.dependents_of([item.id for item in items])
        gone = [coord.snapshot.item(id) for id in ids]
        await coord.transact([*(DropItem(id) for id in ids), DropSchema(schema)])
        await release_items(coord, gone)
