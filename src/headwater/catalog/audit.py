"""The audit log: what each operation of a catalog transaction did, as ``mz_audit_events`` tells.

Types, kinds and the keys of details are Materialize's (system catalog, ``mz_audit_events``). An
event tells of what a statement said: parts that follow by themselves (a dropped object's comments,
an owner's privileges, the names that a renamed schema changes) are not told. Temporary objects
are not audited.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from headwater.catalog.items import (
    CatalogItem,
    Cluster,
    CommentKey,
    Database,
    Index,
    Item,
    MaterializedView,
    NetworkPolicy,
    Replica,
    Role,
    Schema,
    Sink,
    Source,
)
from headwater.catalog.ops import CatalogObject, RefreshDecision
from headwater.catalog.privileges import LETTERS, Acl, DefaultPrivilegeKey
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.types.ids import ClusterId, DatabaseId, GlobalId, RoleId, SchemaId

Details = Mapping[str, object]

SYSTEM = "SYSTEM"
_RETAINED = re.compile(r"RETAIN HISTORY\s*=?\s*(FOR\s+)?('(?:[^']|'')*')")


class Event(msgspec.Struct, frozen=True):
    """One line of the audit log: what was done to which kind of object, and the rest as JSON."""

    event_type: str
    object_type: str
    details: Details | None


class AuditRecord(msgspec.Struct, frozen=True):
    """An event as it is stored: with who did it (None: the system), and when."""

    id: int
    event_type: str
    object_type: str
    details: str
    user: str | None
    occurred_at_ms: int


def record(event: Event, id: int, user: str | None, occurred_at_ms: int) -> AuditRecord:
    """Return the event as it is stored."""
    details = msgspec.json.encode(event.details, order="sorted").decode()
    return AuditRecord(id, event.event_type, event.object_type, details, user, occurred_at_ms)


def created(
    snapshot: CatalogSnapshot, made: CatalogObject, *, provisioned: bool = False
) -> Iterator[Event]:
    """Yield what tells of a new object; ``provisioned``: a role that came with its first login."""
    match made:
        case Cluster():
            yield Event("create", "cluster", _id_name(made))
            for replica in made.replicas:
                yield _replica_created(made, replica, "manual")
        case Role():
            source = "none" if provisioned else None
            yield Event("create", "role", {**_id_name(made), "auto_provision_source": source})
        case Source(source_kind="progress"):
            pass
        case Source() | Sink():
            kind = made.source_kind if isinstance(made, Source) else made.sink_kind
            details = {**_full(snapshot, made), "cluster_id": made.cluster, "type": kind}
            yield from _of_item("create", made, details)
        case Index():
            yield from _of_item(
                "create", made, {**_full(snapshot, made), "cluster_id": made.cluster}
            )
        case MaterializedView():
            details = {**_full(snapshot, made), "cluster_id": made.cluster}
            if made.replacement_for is not None:
                details["replacement_target_id"] = made.replacement_for
            yield from _of_item("create", made, details)
        case _:
            yield from _plain("create", snapshot, made)


def dropped(snapshot: CatalogSnapshot, gone: CatalogObject) -> Iterator[Event]:
    """Yield what tells of an object's end; ``snapshot`` still knows where it was."""
    if isinstance(gone, Cluster):
        for replica in gone.replicas:
            yield _replica_dropped(gone, replica)
    yield from _plain("drop", snapshot, gone)


def changed(
    snapshot: CatalogSnapshot,
    old: CatalogObject,
    new: CatalogObject,
    by: RoleId | None,
    decision: RefreshDecision | None = None,
) -> Iterator[Event]:
    """Yield what tells of a change; ``by`` is the role that made it, ``decision`` a schedule's."""
    told = [*_renamed(snapshot, old, new), *_regranted(old, new)]
    match old, new:
        case Cluster(), Cluster():
            told += _cluster_changed(old, new, decision)
        case Role(), Role():
            told += _role_changed(old, new, by)
        case NetworkPolicy(), NetworkPolicy() if old.rules != new.rules:
            told += _plain("alter", snapshot, new)
        case Item(), Item():
            told += _item_changed(snapshot, old, new, other=not told)
        case _:
            pass
    yield from told


def replaced(snapshot: CatalogSnapshot, changed: CatalogObject, by: CatalogItem) -> Iterator[Event]:
    """Yield what tells of a materialized view that took over the definition of another."""
    if isinstance(changed, MaterializedView):
        details = {**_full(snapshot, changed), "replacement": _full(snapshot, by)}
        yield from _of_item("alter", changed, details)


def commented(snapshot: CatalogSnapshot, key: CommentKey) -> Iterator[Event]:
    """Yield what tells of COMMENT ON; one on a column is told of the relation."""
    found = _commented(snapshot, key)
    if found is None:
        return
    id, name = found
    yield Event("comment", key.kind, {"id": id, "name": name})


def system_granted(old: Acl, new: Acl) -> Iterator[Event]:
    """Yield what tells of privileges on the system."""
    yield from _grants("system", SYSTEM, old, new)


def default_granted(key: DefaultPrivilegeKey, old: str, new: str) -> Iterator[Event]:
    """Yield what tells of default privileges."""
    for event_type, letters in (("grant", _minus(new, old)), ("revoke", _minus(old, new))):
        if letters:
            details = {
                "role_id": key.role,
                "database_id": key.database,
                "schema_id": key.schema,
                "grantee_id": key.grantee,
                "privileges": letters,
            }
            yield Event(event_type, key.object_type.replace(" ", "-"), details)


def variable_set(name: str, value: str | None) -> Event:
    """Return what tells of ALTER SYSTEM SET and RESET."""
    return Event("alter", "system", {"name": name, "value": value})


def initial(snapshot: CatalogSnapshot, entities: Iterable[CatalogObject]) -> Iterator[Event]:
    """Yield what tells of the objects and privileges that a new catalog, ``snapshot``, has."""
    made = list(entities)
    for role in made:
        if isinstance(role, Role) and not _is_system(role.id):
            yield from _plain("create", snapshot, role)
    for key, letters in snapshot.default_privileges.items():
        yield from default_granted(key, "", letters)
    for entity in made:
        if isinstance(entity, Role):
            continue
        yield from _plain("create", snapshot, entity)
        given = [item for item in entity.privileges if not _is_system(item.grantee)]
        yield from _grants(_kind(entity), object_id(entity), (), tuple(given))
        if isinstance(entity, Cluster):
            for replica in entity.replicas:
                yield _replica_created(entity, replica, "system")
    yield from system_granted((), snapshot.system_privileges)


def _is_system(role: str) -> bool:
    return role.startswith(("s", "g"))


# Names


def object_id(entity: CatalogObject) -> str:
    """Return an object's id with the letter of its kind, as events of grants and owners say it."""
    match entity:
        case Database():
            return f"D{entity.id}"
        case Schema():
            return f"S{entity.database or ''}.{entity.id}"
        case Cluster():
            return f"C{entity.id}"
        case Role():
            return f"R{entity.id}"
        case NetworkPolicy():
            return f"P{entity.id}"
        case _:
            return f"I{entity.id}"


def _kind(entity: CatalogObject) -> str:
    if isinstance(entity, Item):
        return entity.kind.value
    if isinstance(entity, NetworkPolicy):
        return "network-policy"
    return type(entity).__name__.lower()


def _id_name(entity: CatalogObject) -> Details:
    return {"id": entity.id, "name": entity.name}


def _place(snapshot: CatalogSnapshot, item: CatalogItem) -> Details:
    schema = snapshot.schemas[item.schema]
    database = None if schema.database is None else snapshot.databases[schema.database].name
    return {"database": database or "", "schema": schema.name, "item": item.name}


def _full(snapshot: CatalogSnapshot, item: CatalogItem) -> Details:
    return {"id": item.id, **_place(snapshot, item)}


def _database_name(snapshot: CatalogSnapshot, schema: Schema) -> str | None:
    return None if schema.database is None else snapshot.databases[schema.database].name


def _plain(event_type: str, snapshot: CatalogSnapshot, entity: CatalogObject) -> Iterator[Event]:
    match entity:
        case Source(source_kind="progress"):
            pass
        case Item():
            yield from _of_item(event_type, entity, _full(snapshot, entity))
        case Schema():
            if not entity.id.startswith("t"):
                details = {**_id_name(entity), "database_name": _database_name(snapshot, entity)}
                yield Event(event_type, "schema", details)
        case _:
            yield Event(event_type, _kind(entity), _id_name(entity))


def _of_item(event_type: str, item: CatalogItem, details: Details) -> Iterator[Event]:
    if not item.is_temporary:
        yield Event(event_type, item.kind.value, details)


# Changes


def _renamed(snapshot: CatalogSnapshot, old: CatalogObject, new: CatalogObject) -> Iterator[Event]:
    if old.name == new.name:
        return
    names = {"old_name": old.name, "new_name": new.name}
    match old, new:
        case Item(), Item():
            places = {"old_name": _place(snapshot, old), "new_name": _place(snapshot, new)}
            yield from _of_item("alter", new, {"id": new.id, **places})
        case Schema(), Schema():
            database = _database_name(snapshot, new)
            yield Event("alter", "schema", {"id": new.id, "database_name": database, **names})
        case _:
            yield Event("alter", _kind(new), {"id": new.id, **names})


def _regranted(old: CatalogObject, new: CatalogObject) -> Iterator[Event]:
    if isinstance(old, Role) or isinstance(new, Role) or new.id.startswith("t"):
        return
    if old.owner != new.owner:
        owners = {"old_owner_id": old.owner, "new_owner_id": new.owner}
        yield Event("alter", _kind(new), {"object_id": object_id(new), **owners})
    else:
        yield from _grants(_kind(new), object_id(new), old.privileges, new.privileges)


def _grants(kind: str, id: str, old: Acl, new: Acl) -> Iterator[Event]:
    before = {(item.grantee, item.grantor): item.letters for item in old}
    after = {(item.grantee, item.grantor): item.letters for item in new}
    for grantee, grantor in dict.fromkeys((*before, *after)):
        had, has = before.get((grantee, grantor), ""), after.get((grantee, grantor), "")
        for event_type, letters in (("grant", _minus(has, had)), ("revoke", _minus(had, has))):
            if letters:
                details = {
                    "object_id": id,
                    "grantee_id": grantee,
                    "grantor_id": grantor,
                    "privileges": letters,
                }
                yield Event(event_type, kind, details)


def _minus(letters: str, others: str) -> str:
    return "".join(c for c in LETTERS if c in letters and c not in others)


def _item_changed(
    snapshot: CatalogSnapshot, old: CatalogItem, new: CatalogItem, *, other: bool
) -> Iterator[Event]:
    full = _full(snapshot, new)
    before, after = getattr(old, "cluster", None), getattr(new, "cluster", None)
    if before != after:
        moved = {"old_cluster_id": before, "new_cluster_id": after}
        yield from _of_item("alter", new, {**full, **moved})
    elif getattr(old, "retain_history_ms", None) != getattr(new, "retain_history_ms", None):
        kept, keeps = _RETAINED.search(old.create_sql), _RETAINED.search(new.create_sql)
        histories = {
            "old_history": None if kept is None else f"FOR {kept[2]}",
            "new_history": None if keeps is None else keeps[2],
        }
        yield from _of_item("alter", new, {"id": new.id, **histories})
    elif other and old.schema == new.schema and _says_otherwise(old, new):
        yield from _of_item("alter", new, full)


def _says_otherwise(old: CatalogItem, new: CatalogItem) -> bool:
    """Return whether the item itself changed, not just a name within its statement."""
    own = ("details", "on", "timestamp_interval_ms", "source")
    return any(getattr(old, name, None) != getattr(new, name, None) for name in own)


def _cluster_changed(
    old: Cluster, new: Cluster, decision: RefreshDecision | None
) -> Iterator[Event]:
    before = {replica.id: replica for replica in old.replicas}
    after = {replica.id: replica for replica in new.replicas}
    plain = msgspec.structs.replace(
        old, name=new.name, owner=new.owner, privileges=new.privileges, replicas=new.replicas
    )
    if plain != new:
        yield Event("alter", "cluster", _id_name(new))
    for id, replica in before.items():
        if id not in after:
            yield _replica_dropped(new, replica, decision)
        elif after[id].name != replica.name:
            details = {
                "cluster_id": new.id,
                "replica_id": id,
                "old_name": replica.name,
                "new_name": after[id].name,
            }
            yield Event("alter", "cluster-replica", details)
    for id, replica in after.items():
        if id not in before:
            yield _replica_created(new, replica, "manual", decision)


def _reason(reason: str, decision: RefreshDecision | None) -> Details:
    """Return why a replica comes or goes."""
    if decision is None:
        return {"reason": reason}
    told = {
        "decision": "on" if decision.is_on else "off",
        "objects_needing_refresh": list(decision.objects_needing_refresh),
        "objects_needing_compaction": list(decision.objects_needing_compaction),
        "hydration_time_estimate": _time_span(decision.hydration_time_estimate_ms),
    }
    return {"reason": "schedule", "scheduling_policies": {"on_refresh": told}}


def _time_span(ms: int) -> str:
    seconds, rest = divmod(ms, 1_000)
    shown = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{shown}.{rest:03}".rstrip("0") if rest else shown


def _replica_created(
    cluster: Cluster, replica: Replica, reason: str, decision: RefreshDecision | None = None
) -> Event:
    details = {
        "cluster_id": cluster.id,
        "cluster_name": cluster.name,
        "replica_id": replica.id,
        "replica_name": replica.name,
        "logical_size": replica.size or "",
        "billed_as": replica.billed_as,
        "internal": replica.internal,
        **_reason(reason, decision),
    }
    return Event("create", "cluster-replica", details)


def _replica_dropped(
    cluster: Cluster, replica: Replica, decision: RefreshDecision | None = None
) -> Event:
    details = {
        "cluster_id": cluster.id,
        "cluster_name": cluster.name,
        "replica_id": replica.id,
        "replica_name": replica.name,
        **_reason("manual", decision),
    }
    return Event("drop", "cluster-replica", details)


def _role_changed(old: Role, new: Role, by: RoleId | None) -> Iterator[Event]:
    before = {held.role: held for held in old.groups}
    after = {held.role: held for held in new.groups}
    for event_type, more, less in (("grant", after, before), ("revoke", before, after)):
        for group, held in more.items():
            if group not in less:
                details = {
                    "role_id": group,
                    "member_id": new.id,
                    "grantor_id": held.grantor,
                    "executed_by": by,
                }
                yield Event(event_type, "role", details)
    if msgspec.structs.replace(old, name=new.name, groups=new.groups) != new:
        yield Event("alter", "role", _id_name(new))


# Comments

_DEBUG_KINDS = {
    "table": "Table",
    "source": "Source",
    "view": "View",
    "materialized-view": "MaterializedView",
    "index": "Index",
    "sink": "Sink",
    "connection": "Connection",
    "secret": "Secret",
    "type": "Type",
    "function": "Func",
}


def _typed(id: str) -> str:
    return f"{'User' if id.startswith('u') else 'System'}({id[1:]})"


def _commented(snapshot: CatalogSnapshot, key: CommentKey) -> tuple[str, str] | None:
    match key.kind:
        case "database" if key.id in snapshot.databases:
            name = snapshot.databases[DatabaseId(key.id)].name
            return f"Database({_typed(key.id)})", name
        case "schema" if key.id in snapshot.schemas:
            schema = snapshot.schemas[SchemaId(key.id)]
            database = "Ambient" if schema.database is None else f"Id({_typed(schema.database)})"
            name = ".".join(filter(None, (_database_name(snapshot, schema), schema.name)))
            return f"Schema(({database}, Id({_typed(key.id)})))", name
        case "cluster" if key.id in snapshot.clusters:
            return f"Cluster({_typed(key.id)})", snapshot.clusters[ClusterId(key.id)].name
        case "role" if key.id in snapshot.roles:
            return f"Role({_typed(key.id)})", snapshot.roles[RoleId(key.id)].name
        case "network-policy":
            found = [p for p in snapshot.policies.values() if p.id == key.id]
            return (f"NetworkPolicy({_typed(key.id)})", found[0].name) if found else None
        case "cluster-replica":
            owners = [(c, r) for c in snapshot.clusters.values() for r in c.replicas]
            for cluster, replica in owners:
                if replica.id == key.id:
                    ids = f"({_typed(cluster.id)}, {_typed(replica.id)})"
                    return f"ClusterReplica({ids})", f"{cluster.name}.{replica.name}"
            return None
        case _:
            item = snapshot.try_item(GlobalId(key.id))
            if item is None or item.is_temporary:
                return None
            return f"{_DEBUG_KINDS[item.kind.value]}({_typed(item.id)})", snapshot.show_item(item)
