"""A catalog transaction: from one snapshot to the next, as a pure function.

Operations apply in order; names are checked as they go, references when all are done. What comes
out are the next snapshot, the rows of the catalog's shard that change, the changes of the builtin
tables, and the events for the audit log, in one value, so that the caller can make them durable in
that order.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec

from headwater.catalog import audit
from headwater.catalog.builtin.pack import (
    comment_row,
    default_privilege_row,
    rows_of,
    system_privilege_row,
    variable_row,
)
from headwater.catalog.builtin.roles import role_rows
from headwater.catalog.codec import (
    SYSTEM_PRIVILEGES_ROW,
    Change,
    Kind,
    RowKey,
    comment_row_key,
    default_privilege_row_key,
    encode_object,
    to_json,
)
from headwater.catalog.items import (
    Access,
    CatalogItem,
    Cluster,
    CommentKey,
    Database,
    Index,
    Item,
    MaterializedView,
    NetworkPolicy,
    Role,
    Schema,
    Sink,
    Source,
    Type,
)
from headwater.catalog.ops import (
    CatalogObject,
    Create,
    DropCluster,
    DropDatabase,
    DropItem,
    DropPolicy,
    DropRole,
    DropSchema,
    Op,
    ResetVariables,
    SetComment,
    SetDefaultPrivilege,
    SetSecret,
    SetSystemPrivileges,
    SetVariable,
    Update,
)
from headwater.catalog.privileges import Acl, DefaultPrivilegeKey, initial, mentions
from headwater.catalog.rows import TableRow
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import (
    DependentObjectsStillExist,
    DuplicateDatabase,
    DuplicateObject,
    DuplicateSchema,
    DuplicateTable,
    UndefinedObject,
    invariant,
)
from headwater.types.ids import ClusterId, DatabaseId, GlobalId, PolicyId, RoleId, SchemaId

# How many objects the error of a role that is still in use lists.
_DEPENDENTS_SHOWN_MAX = 20


class TableUpdate(msgspec.Struct, frozen=True):
    """A row of the builtin table ``schema.name`` that comes (1) or goes (-1)."""

    table: str
    row: bytes
    diff: int


class Transacted(msgspec.Struct, frozen=True):
    """What a transaction leads to."""

    snapshot: CatalogSnapshot
    changes: tuple[Change, ...]
    table_updates: tuple[TableUpdate, ...]
    events: tuple[audit.Event, ...] = ()


class _State:
    """The next snapshot in the making."""

    def __init__(self, base: CatalogSnapshot, by: RoleId | None) -> None:
        self.base = base
        self.by = by
        self.events: list[audit.Event] = []
        self.databases: dict[DatabaseId, Database] = dict(base.databases)
        self.schemas: dict[SchemaId, Schema] = dict(base.schemas)
        self.items: dict[GlobalId, CatalogItem] = dict(base.items)
        self.clusters: dict[ClusterId, Cluster] = dict(base.clusters)
        self.roles: dict[RoleId, Role] = dict(base.roles)
        self.policies: dict[PolicyId, NetworkPolicy] = dict(base.policies)
        self.system_privileges: Acl = base.system_privileges
        self.default_privileges: dict[DefaultPrivilegeKey, str] = dict(base.default_privileges)
        self.variables: dict[str, str] = dict(base.variables)
        self.comments: dict[CommentKey, str] = dict(base.comments)
        self.rows: dict[RowKey, Change] = {}
        self.tables: list[TableUpdate] = []

    def row(self, key: RowKey, old: str | None, new: str | None) -> None:
        before = self.rows.get(key)
        self.rows[key] = Change(key, before.old if before is not None else old, new)

    def contribute(self, rows: "list[TableRow]", diff: int) -> None:
        self.tables.extend(TableUpdate(table, row, diff) for table, row in rows)

    def snapshot(self) -> CatalogSnapshot:
        return CatalogSnapshot(
            version=self.base.version + 1,
            databases=self.databases,
            schemas=self.schemas,
            items=self.items,
            clusters=self.clusters,
            roles=self.roles,
            sizes=self.base.sizes,
            variables=self.variables,
            comments=self.comments,
            access=Access(
                policies=self.policies,
                system_privileges=self.system_privileges,
                default_privileges=self.default_privileges,
            ),
        )


def transact(
    base: CatalogSnapshot, ops: "list[Op] | tuple[Op, ...]", by: RoleId | None = None
) -> Transacted:
    """Apply ``ops`` to ``base``, for role ``by``; None is the system.

    Raises:
        DuplicateTable, DuplicateObject, DuplicateSchema, DuplicateDatabase: A name is taken.
        DependentObjectsStillExist: What is dropped is still used.
        UndefinedObject: An object to be changed is gone.
    """
    state = _State(base, by)
    for op in ops:
        _apply(state, op)
    snapshot = state.snapshot()
    if _renames(base, snapshot):
        _show_new_names(base, snapshot, state)
    if state.roles != base.roles or state.system_privileges != base.system_privileges:
        for diff, roles, privileges in (
            (-1, base.roles, base.system_privileges),
            (1, state.roles, state.system_privileges),
        ):
            state.contribute([*role_rows(roles, privileges)], diff)
    _check_names(base, snapshot, state)
    _check_references(base, snapshot)
    changes = tuple(c for c in state.rows.values() if c.old != c.new)
    return Transacted(snapshot, changes, _consolidated(state.tables), tuple(state.events))


def _apply(state: _State, op: Op) -> None:
    match op:
        case Create(object=made):
            _put(state, None, _with_privileges(state, made))
            made_events = audit.created(_with(state), made, provisioned=op.provisioned)
            state.events.extend(made_events)
        case Update(object=changed, decision=decision):
            old = _table_of(state, changed).get(changed.id)
            if old is None:
                raise UndefinedObject(f'"{changed.name}" does not exist any more')
            before = _with(state)
            _put(state, old, changed)
            if op.applied is not None:
                state.events.extend(audit.replaced(before, changed, op.applied))
            state.events.extend(audit.changed(before, old, changed, state.by, decision))
        case SetSystemPrivileges(privileges=privileges):
            state.events.extend(audit.system_granted(state.system_privileges, privileges))
            _set_system_privileges(state, privileges)
        case SetDefaultPrivilege(key=default, letters=letters):
            had = state.default_privileges.get(default, "")
            state.events.extend(audit.default_granted(default, had, letters))
            _set_default_privilege(state, default, letters)
        case SetVariable(name=name, value=value):
            state.events.append(audit.variable_set(name, value))
            _set_variable(state, name, value)
        case ResetVariables():
            state.events.append(audit.Event("alter", "system", None))
            for each in list(state.variables):
                _set_variable(state, each, None)
        case SetComment(key=key, comment=comment):
            state.events.extend(audit.commented(_with(state), key))
            _set_comment(state, key, comment)
        case SetSecret(id=id, value=secret):
            key_ = (Kind.SECRET.value, id)
            state.row(key_, "", None if secret is None else secret.hex())
        case _:
            _drop(state, op)


def _drop(state: _State, op: Op) -> None:
    before = _with(state)
    gone: CatalogObject | None = None
    match op:
        case DropDatabase(id=database):
            gone = state.databases.get(database)
            _remove(state, state.databases.pop(database, None), database)
        case DropSchema(id=schema):
            gone = state.schemas.get(schema)
            _remove(state, state.schemas.pop(schema, None), schema)
        case DropItem(id=item):
            gone = state.items.get(item)
            _remove(state, state.items.pop(item, None), item)
        case DropCluster(id=cluster):
            gone = state.clusters.get(cluster)
            _remove(state, state.clusters.pop(cluster, None), cluster)
        case DropRole(id=role):
            gone = state.roles.get(role)
            _remove(state, state.roles.pop(role, None), role)
            _leave_groups(state, role)
        case DropPolicy(id=policy):
            gone = state.policies.get(policy)
            _remove(state, state.policies.pop(policy, None), policy)
        case _:
            pass
    if gone is not None:
        state.events.extend(audit.dropped(before, gone))


def _table_of(state: _State, entity: CatalogObject) -> dict[str, CatalogObject]:
    match entity:
        case Database():
            found: object = state.databases
        case Schema():
            found = state.schemas
        case Cluster():
            found = state.clusters
        case Role():
            found = state.roles
        case NetworkPolicy():
            found = state.policies
        case _:
            found = state.items
    return cast("dict[str, CatalogObject]", found)


def _put(state: _State, old: CatalogObject | None, new: CatalogObject) -> None:
    table = _table_of(state, new)
    invariant(old is not None or new.id not in table, "an id is used twice", id=new.id)
    table[new.id] = new
    if old is not None:
        state.contribute(list(rows_of(state.base, old)), -1)
        _forget_comments(state, _replica_ids(old) - _replica_ids(new))
    state.contribute(list(rows_of(_with(state), new)), 1)
    if not _is_durable(new):
        return
    key, value = encode_object(new)
    state.row(key, encode_object(old)[1] if old is not None else None, value)


def _remove(state: _State, old: CatalogObject | None, id: str) -> None:
    if old is None:
        raise UndefinedObject(f'"{id}" does not exist any more')
    state.contribute(list(rows_of(state.base, old)), -1)
    _forget_comments(state, {id, *_replica_ids(old)})
    if _is_durable(old):
        key_, value = encode_object(old)
        state.row(key_, value, None)


def _replica_ids(entity: CatalogObject) -> set[str]:
    return {replica.id for replica in entity.replicas} if isinstance(entity, Cluster) else set()


def _forget_comments(state: _State, gone: set[str]) -> None:
    """Remove the comments on objects that are no more."""
    for key in [key for key in state.comments if key.id in gone]:
        _set_comment(state, key, None)


def _with_privileges(state: _State, made: CatalogObject) -> CatalogObject:
    """Return a new object with the privileges that its kind and place give it."""
    if isinstance(made, Role) or made.privileges:
        return made
    kind, database, schema = type(made).__name__.lower(), None, None
    if isinstance(made, NetworkPolicy):
        kind = "network policy"
    elif isinstance(made, Schema):
        database = made.database
    elif isinstance(made, Item):
        kind, schema = made.kind.noun, made.schema
        database = state.schemas[schema].database if schema in state.schemas else None
    acl = initial(state.default_privileges, kind, made.owner, database=database, schema=schema)
    return msgspec.structs.replace(made, privileges=acl) if acl else made


def _leave_groups(state: _State, gone: RoleId) -> None:
    """Take a dropped role from the groups that members are in."""
    for member in list(state.roles.values()):
        kept = tuple(group for group in member.groups if group.role != gone)
        if len(kept) != len(member.groups):
            _put(state, member, msgspec.structs.replace(member, groups=kept))


def _set_system_privileges(state: _State, privileges: Acl) -> None:
    old, state.system_privileges = state.system_privileges, privileges
    state.contribute([system_privilege_row(item) for item in old], -1)
    state.contribute([system_privilege_row(item) for item in privileges], 1)
    state.row(SYSTEM_PRIVILEGES_ROW, to_json(old) if old else None, to_json(privileges))


def _set_default_privilege(state: _State, key: DefaultPrivilegeKey, letters: str) -> None:
    old = state.default_privileges.pop(key, None)
    if letters:
        state.default_privileges[key] = letters
        state.contribute([default_privilege_row(key, letters)], 1)
    if old is not None:
        state.contribute([default_privilege_row(key, old)], -1)
    state.row(default_privilege_row_key(key), old, letters or None)


def _set_variable(state: _State, name: str, value: str | None) -> None:
    old = state.variables.pop(name, None)
    if value is not None:
        state.variables[name] = value
        state.contribute([variable_row(name, value)], 1)
    if old is not None:
        state.contribute([variable_row(name, old)], -1)
    state.row((Kind.VARIABLE, name), old, value)


def _set_comment(state: _State, key: CommentKey, comment: str | None) -> None:
    old = state.comments.pop(key, None)
    if comment is not None:
        state.comments[key] = comment
        state.contribute([comment_row(key, comment)], 1)
    if old is not None:
        state.contribute([comment_row(key, old)], -1)
    state.row(comment_row_key(key), old, comment)


def _with(state: _State) -> CatalogSnapshot:
    """Return what packing may look at: the state so far, without its look-up maps."""
    return state.snapshot()


def _is_durable(entity: CatalogObject) -> bool:
    return not entity.id.startswith(("t", "s")) or isinstance(entity, Role | Cluster)


def _renames(base: CatalogSnapshot, next_: CatalogSnapshot) -> bool:
    """Return whether any object that was there has another name now."""
    before, after = _names(base), _names(next_)
    return any(after.get(key, name) != name for key, name in before.items())


def _names(snapshot: CatalogSnapshot) -> dict[tuple[str, str], str]:
    return {
        **{("item", i.id): i.name for i in snapshot.items.values() if not i.is_builtin},
        **{("schema", s.id): s.name for s in snapshot.schemas.values()},
        **{("database", d.id): d.name for d in snapshot.databases.values()},
        **{("role", r.id): r.name for r in snapshot.roles.values()},
        **{("cluster", c.id): c.name for c in snapshot.clusters.values()},
    }


def _show_new_names(base: CatalogSnapshot, next_: CatalogSnapshot, state: _State) -> None:
    """Write anew the rows of objects that name a renamed one: their statements, their grants."""
    pairs: tuple[tuple[Iterable[CatalogObject], Mapping[Any, CatalogObject]], ...] = (
        (next_.items.values(), base.items),
        (next_.schemas.values(), base.schemas),
        (next_.databases.values(), base.databases),
    )
    for entities, old in pairs:
        for entity in entities:
            if not entity.id.startswith("s") and old.get(entity.id) is entity:
                state.contribute(list(rows_of(base, entity)), -1)
                state.contribute(list(rows_of(next_, entity)), 1)


def _check_names(base: CatalogSnapshot, next_: CatalogSnapshot, state: _State) -> None:
    """Every object that is new or changed must own its name."""
    for id, item in next_.items.items():
        if base.items.get(id) is item:
            continue
        taken = next_.item_in(item.schema, item.name)
        if isinstance(item, Type):
            taken = next_.type_in(item.schema, item.name)
        other = taken if taken is not None and taken.id != id else None
        if other is None:
            other = _shadowed(next_, item)
        if other is not None:
            if isinstance(item, Type):
                raise DuplicateObject(f'type "{item.name}" already exists')
            raise DuplicateTable(f'relation "{item.name}" already exists')
    _check_flat_names(next_)


def _shadowed(snapshot: CatalogSnapshot, item: CatalogItem) -> CatalogItem | None:
    """Return another item of the same name space and name; the look-up keeps only the last."""
    for other in snapshot.items_in(item.schema):
        same_space = isinstance(other, Type) == isinstance(item, Type)
        if same_space and other.name == item.name and other.id != item.id:
            return other
    return None


def _check_flat_names(snapshot: CatalogSnapshot) -> None:
    seen: set[object] = set()
    for database in snapshot.databases.values():
        if database.name in seen:
            raise DuplicateDatabase(f'database "{database.name}" already exists')
        seen.add(database.name)
    for schema in snapshot.schemas.values():
        key = (schema.database, schema.name)
        if key in seen and not schema.id.startswith("t"):
            raise DuplicateSchema(f'schema "{schema.name}" already exists')
        seen.add(key)
    for kind, names in (
        ("cluster", [cluster.name for cluster in snapshot.clusters.values()]),
        ("role", [role.name for role in snapshot.roles.values()]),
    ):
        for name in names:
            if (kind, name) in seen:
                quoted = f"'{name}'" if kind == "cluster" else f'"{name}"'
                raise DuplicateObject(f"{kind} {quoted} already exists")
            seen.add((kind, name))
    for cluster in snapshot.clusters.values():
        names = [replica.name for replica in cluster.replicas]
        for name in names:
            if names.count(name) > 1:
                raise DuplicateObject(
                    f'replica "{name}" of cluster "{cluster.name}" already exists'
                )


def _check_references(base: CatalogSnapshot, next_: CatalogSnapshot) -> None:
    gone = base.items.keys() - next_.items.keys()
    for item in next_.items.values():
        broken = [id for id in item.depends_on if id in gone]
        if broken:
            used = base.items[broken[0]]
            raise DependentObjectsStillExist(
                f'cannot drop {used.kind.noun} "{used.name}": '
                f'still depended upon by {item.kind.noun} "{item.name}"'
            )
        if item.schema not in next_.schemas:
            schema = base.schemas[item.schema]
            raise DependentObjectsStillExist(
                f'schema "{schema.name}" cannot be dropped without CASCADE '
                f"while it contains objects"
            )
        if isinstance(item, Source | MaterializedView | Index | Sink):
            cluster = item.cluster
            if cluster is not None and cluster not in next_.clusters:
                raise DependentObjectsStillExist(
                    f'cannot drop cluster "{base.clusters[cluster].name}" because other objects '
                    f"depend on it",
                    detail=f'{item.kind.noun} "{item.name}" runs on it.',
                )
    for schema in next_.schemas.values():
        if schema.database is not None and schema.database not in next_.databases:
            raise DependentObjectsStillExist(
                f'database "{base.databases[schema.database].name}" cannot be dropped while it '
                f"contains schemas"
            )
    _check_owners(base, next_)


def _check_owners(base: CatalogSnapshot, next_: CatalogSnapshot) -> None:
    """Refuse to drop a role that anything still names.

    Source: PostgreSQL, DROP ROLE: the detail lists what depends on it, a line each.
    """
    for role in base.roles.keys() - next_.roles.keys():
        name = base.roles[role].name
        found = list(_dependents_of_role(next_, role, name))
        if found:
            shown = found[:_DEPENDENTS_SHOWN_MAX]
            if len(found) > len(shown):
                shown.append(f"and {len(found) - len(shown)} other objects")
            raise DependentObjectsStillExist(
                f'role "{name}" cannot be dropped because some objects depend on it',
                detail="\n".join(shown),
            )


def _dependents_of_role(snapshot: CatalogSnapshot, role: RoleId, name: str) -> Iterator[str]:
    kinds: tuple[tuple[str, Iterable[CatalogObject]], ...] = (
        ("", snapshot.items.values()),
        ("schema", snapshot.schemas.values()),
        ("database", snapshot.databases.values()),
        ("cluster", snapshot.clusters.values()),
        ("network policy", snapshot.policies.values()),
    )
    for kind, entities in kinds:
        for entity in entities:
            if isinstance(entity, Role):
                continue
            noun = entity.kind.noun if isinstance(entity, Item) else kind
            if entity.owner == role:
                yield f'{name}: owner of {noun} "{entity.name}"'
            if mentions([a for a in entity.privileges if a.grantee == role != entity.owner], role):
                yield f'{name}: privileges on {noun} "{entity.name}"'
    if mentions(snapshot.system_privileges, role):
        yield f"{name}: privileges on SYSTEM"
    for key in snapshot.default_privileges:
        plural = f"{key.object_type.upper()}S"
        if key.role == role:
            yield f"{name}: default privileges on {plural} created by {name}"
        if key.grantee == role:
            yield f"{name}: default privileges on {plural} granted to {name}"


def _consolidated(updates: list[TableUpdate]) -> tuple[TableUpdate, ...]:
    sums: dict[tuple[str, bytes], int] = {}
    for update in updates:
        key = (update.table, update.row)
        sums[key] = sums.get(key, 0) + update.diff
    return tuple(TableUpdate(table, row, diff) for (table, row), diff in sums.items() if diff)
