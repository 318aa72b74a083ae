"""ALTER of names, owners, placements and settings; COMMENT ON."""

import msgspec

from headwater.adapter import dataflows
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.create import secret_value
from headwater.adapter.sequencer.ddl import Work
from headwater.adapter.sequencer.privileges import find
from headwater.adapter.sequencer.unique_index import with_enforcement
from headwater.adapter.session import Session, notice
from headwater.adapter.stored_sql import with_cluster, with_name
from headwater.adapter.variables import find_variable, parse_value
from headwater.catalog.items import (
    CommentKey,
    Index,
    MaterializedView,
    Sink,
    Source,
    Table,
)
from headwater.catalog.ops import (
    CatalogObject,
    Op,
    ResetVariables,
    SetComment,
    SetSecret,
    SetVariable,
    Update,
)
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import FeatureNotSupported, InsufficientPrivilege, UndefinedObject
from headwater.sql.plan import ddl
from headwater.sql.plan.ddl import ObjectRef, ObjectType
from headwater.types.ids import GlobalId, ReplicaId


def _named(entity: CatalogObject, name: str) -> CatalogObject:
    sql = getattr(entity, "create_sql", None)
    if sql is None:
        return msgspec.structs.replace(entity, name=name)
    sql = with_name(sql, lambda parts: (*parts[:-1], name))
    return msgspec.structs.replace(entity, name=name, create_sql=sql)


def _moved_items(snapshot: CatalogSnapshot, ref: ObjectRef, name: str) -> list[Op]:
    """Return the items of a renamed schema or database with their stored names changed."""
    if ref.type not in (ObjectType.SCHEMA, ObjectType.DATABASE):
        return []
    schemas = [
        schema.id
        for schema in snapshot.schemas.values()
        if ref.id in (schema.id, schema.database if ref.type is ObjectType.DATABASE else None)
    ]
    at = -2 if ref.type is ObjectType.SCHEMA else -3

    def moved(parts: tuple[str, ...]) -> tuple[str, ...]:
        if len(parts) < -at:
            return parts
        changed = list(parts)
        changed[at] = name
        return tuple(changed)

    return [
        Update(msgspec.structs.replace(item, create_sql=with_name(item.create_sql, moved)))
        for schema in schemas
        for item in snapshot.items_in(schema)
    ]


def _refuse_system(ref: ObjectRef, what: str) -> None:
    if ref.id.startswith("s"):
        raise InsufficientPrivilege(f"cannot {what} {ref.type.value} of the system")


def prepare_rename(
    coord: Coordinator, snapshot: CatalogSnapshot, plan: ddl.AlterRenamePlan
) -> Work:
    """ALTER … RENAME TO: stored statements refer by id, so that nothing else changes."""
    _refuse_system(plan.object, "rename")
    if plan.object.type is ObjectType.CLUSTER_REPLICA:
        return _rename_replica(snapshot, ReplicaId(plan.object.id), plan.new_name)
    entity = find(snapshot, plan.object)
    tag = f"ALTER {plan.object.type.value.upper()}"
    moved = _moved_items(snapshot, plan.object, plan.new_name)
    named = _named(entity, plan.new_name)
    work = Work(tag=tag, ops=(Update(named), *moved))
    if not isinstance(named, Index) or not named.unique:
        return work
    table = snapshot.item(named.on)
    assert isinstance(table, Table)
    return with_enforcement(coord, work, table, named)


def _rename_replica(snapshot: CatalogSnapshot, id: ReplicaId, name: str) -> Work:
    replica = snapshot.replica_by_id(id)
    if replica is None:
        raise UndefinedObject("the replica does not exist any more")
    cluster = snapshot.cluster_by_id(replica.cluster)
    renamed = tuple(
        msgspec.structs.replace(r, name=name) if r.id == id else r for r in cluster.replicas
    )
    changed = msgspec.structs.replace(cluster, replicas=renamed)
    return Work(tag="ALTER CLUSTER REPLICA", ops=(Update(changed),))


def prepare_set_schema(snapshot: CatalogSnapshot, plan: ddl.AlterSetSchemaPlan) -> Work:
    """ALTER … SET SCHEMA: indexes move with their relation."""
    schema = snapshot.schema_by_id(plan.schema)
    assert schema.database is not None
    path = (snapshot.database_by_id(schema.database).name, schema.name)
    item = snapshot.item(GlobalId(plan.object.id))
    moved = [
        Update(
            msgspec.structs.replace(
                one,
                schema=schema.id,
                create_sql=with_name(one.create_sql, lambda parts: (*path, parts[-1])),
            )
        )
        for one in (item, *snapshot.indexes_on(item.id))
    ]
    tag = f"ALTER {plan.object.type.value.upper()}"
    return Work(tag=tag, ops=tuple(moved) if item.schema != schema.id else ())


def prepare_swap(snapshot: CatalogSnapshot, plan: ddl.AlterSwapPlan) -> Work:
    """ALTER … SWAP WITH: both change names in one commit."""
    left, right = find(snapshot, plan.left), find(snapshot, plan.right)
    _refuse_system(plan.left, "rename")
    _refuse_system(plan.right, "rename")
    ops = (
        Update(_named(left, right.name)),
        Update(_named(right, left.name)),
        *_moved_items(snapshot, plan.left, right.name),
        *_moved_items(snapshot, plan.right, left.name),
    )
    return Work(tag=f"ALTER {plan.left.type.value.upper()}", ops=ops)


def prepare_set_cluster(
    coord: Coordinator, snapshot: CatalogSnapshot, plan: ddl.AlterSetClusterPlan
) -> Work:
    """ALTER … SET CLUSTER: the object goes on elsewhere from where it was."""
    item = snapshot.item(plan.id)
    if not isinstance(item, Source | Sink | MaterializedView) or item.cluster is None:
        raise FeatureNotSupported(f"{item.kind.noun} can not be moved to another cluster")
    old = item.cluster
    tag = f"ALTER {item.kind.noun.upper()}"
    if old == plan.cluster_id:
        return Work(tag=tag)
    cluster = snapshot.cluster_by_id(plan.cluster_id)
    sql = with_cluster(item.create_sql, cluster)
    moved = msgspec.structs.replace(item, cluster=plan.cluster_id, create_sql=sql)

    async def after(made: CatalogSnapshot) -> None:
        if isinstance(moved, MaterializedView):
            await dataflows.create_materialized_view(coord, made, moved, exists=True)
            coord.compute.drop(old, [moved.id])
        else:
            coord.storage.move(moved.id, plan.cluster_id)

    return Work(tag=tag, ops=(Update(moved),), after=(after,))


def prepare_retain_history(snapshot: CatalogSnapshot, plan: ddl.AlterRetainHistoryPlan) -> Work:
    """ALTER … SET (RETAIN HISTORY): in force from the next start on."""
    item = snapshot.item(plan.id)
    if not isinstance(item, Table | Source | MaterializedView | Index):
        raise FeatureNotSupported(f"{item.kind.noun} retains no history")
    sql = plan.create_sql or item.create_sql
    changed = msgspec.structs.replace(
        item, retain_history_ms=plan.retain_history_ms, create_sql=sql
    )
    said = notice("the new retention takes effect when the server starts next")
    return Work(tag=f"ALTER {item.kind.noun.upper()}", ops=(Update(changed),), notices=(said,))


def prepare_timestamp_interval(
    snapshot: CatalogSnapshot, plan: ddl.AlterTimestampIntervalPlan
) -> Work:
    """ALTER SOURCE … SET (TIMESTAMP INTERVAL): in force from the next start on."""
    item = snapshot.item(plan.id)
    if not isinstance(item, Source):
        raise FeatureNotSupported(f"a {item.kind.noun} has no timestamp interval")
    changed = msgspec.structs.replace(
        item, timestamp_interval_ms=plan.timestamp_interval_ms, create_sql=plan.create_sql
    )
    said = notice("the new interval takes effect when the server starts next")
    return Work(tag="ALTER SOURCE", ops=(Update(changed),), notices=(said,))


def prepare_secret_value(coord: Coordinator, session: Session, plan: ddl.AlterSecretPlan) -> Work:
    """ALTER SECRET … AS."""
    value = secret_value(coord, session, plan)

    async def after(_: CatalogSnapshot) -> None:
        coord.secrets[plan.id] = value

    return Work(tag="ALTER SECRET", ops=(SetSecret(plan.id, value),), after=(after,))


def prepare_role(snapshot: CatalogSnapshot, plan: ddl.AlterRolePlan) -> Work:
    """ALTER ROLE: attributes, and defaults of variables."""
    role = snapshot.roles[plan.id]
    if plan.attributes is not None:
        wanted = plan.attributes
        role = msgspec.structs.replace(
            role,
            login=role.login if wanted.login is None else wanted.login,
            superuser=role.superuser if wanted.superuser is None else wanted.superuser,
            inherit=role.inherit if wanted.inherit is None else wanted.inherit,
        )
    if plan.variable is not None:
        variable = find_variable(plan.variable)
        variables = dict(role.variables)
        variables.pop(variable.name, None)
        if plan.values is not None:
            variables[variable.name] = parse_value(variable, plan.values)
        role = msgspec.structs.replace(role, variables=variables)
    return Work(tag="ALTER ROLE", ops=(Update(role),))


def prepare_system_variable(
    plan: ddl.AlterSystemSetPlan | ddl.AlterSystemResetAllPlan,
) -> Work:
    """ALTER SYSTEM SET, RESET and RESET ALL."""
    if isinstance(plan, ddl.AlterSystemResetAllPlan):
        return Work(tag="ALTER SYSTEM", ops=(ResetVariables(),))
    variable = find_variable(plan.name)
    value = None if plan.values is None else parse_value(variable, plan.values)
    return Work(tag="ALTER SYSTEM", ops=(SetVariable(variable.name, value),))


def prepare_comment(plan: ddl.CommentPlan) -> Work:
    """COMMENT ON."""
    kind = plan.object.type.value.replace(" ", "-")
    column = None if plan.column is None else plan.column + 1
    key = CommentKey(kind, plan.object.id, column)
    return Work(tag="COMMENT", ops=(SetComment(key, plan.comment),))
