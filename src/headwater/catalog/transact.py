"""A catalog transaction: from one snapshot to the next, as a pure function.

Operations apply in order; names are checked as they go, references when all are done. What comes
out are the next snapshot, the rows of the catalog's shard that change, and the changes of the
builtin tables, in one value, so that the caller can make them durable in that order.
"""

from typing import cast

import msgspec

from headwater.catalog.builtin.pack import TableRow, comment_row, rows_of, variable_row
from headwater.catalog.codec import Change, Kind, RowKey, comment_row_key, encode_object
from headwater.catalog.items import (
    CatalogItem,
    Cluster,
    CommentKey,
    Database,
    Index,
    MaterializedView,
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
    DropRole,
    DropSchema,
    Op,
    SetComment,
    SetSecret,
    SetVariable,
    Update,
)
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
from headwater.types.ids import ClusterId, DatabaseId, GlobalId, RoleId, SchemaId


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


class _State:
    """The next snapshot in the making."""

    def __init__(self, base: CatalogSnapshot) -> None:
        self.base = base
        self.databases: dict[DatabaseId, Database] = dict(base.databases)
        self.schemas: dict[SchemaId, Schema] = dict(base.schemas)
        self.items: dict[GlobalId, CatalogItem] = dict(base.items)
        self.clusters: dict[ClusterId, Cluster] = dict(base.clusters)
        self.roles: dict[RoleId, Role] = dict(base.roles)
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
        )


def transact(base: CatalogSnapshot, ops: "list[Op] | tuple[Op, ...]") -> Transacted:
    """Apply ``ops`` to ``base``.

    Raises:
        DuplicateTable, DuplicateObject, DuplicateSchema, DuplicateDatabase: A name is taken.
        DependentObjectsStillExist: What is dropped is still used.
        UndefinedObject: An object to be changed is gone.
    """
    state = _State(base)
    for op in ops:
        _apply(state, op)
    snapshot = state.snapshot()
    _check_names(base, snapshot, state)
    _check_references(base, snapshot)
    changes = tuple(c for c in state.rows.values() if c.old != c.new)
    return Transacted(snapshot, changes, _consolidated(state.tables))


def _apply(state: _State, op: Op) -> None:
    match op:
        case Create(object=made):
            _put(state, None, made)
        case Update(object=changed):
            old = _table_of(state, changed).get(changed.id)
            if old is None:
                raise UndefinedObject(f'"{changed.name}" does not exist any more')
            _put(state, old, changed)
        case DropDatabase(id=database):
            _remove(state, state.databases.pop(database, None), database)
        case DropSchema(id=schema):
            _remove(state, state.schemas.pop(schema, None), schema)
        case DropItem(id=item):
            _remove(state, state.items.pop(item, None), item)
        case DropCluster(id=cluster):
            _remove(state, state.clusters.pop(cluster, None), cluster)
        case DropRole(id=role):
            _remove(state, state.roles.pop(role, None), role)
        case SetVariable(name=name, value=value):
            _set_variable(state, name, value)
        case SetComment(key=key, comment=comment):
            _set_comment(state, key, comment)
        case SetSecret(id=id, value=secret):
            key_ = (Kind.SECRET.value, id)
            state.row(key_, "", None if secret is None else secret.hex())


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
        case _:
            found = state.items
    return cast("dict[str, CatalogObject]", found)


def _put(state: _State, old: CatalogObject | None, new: CatalogObject) -> None:
    table = _table_of(state, new)
    invariant(old is not None or new.id not in table, "an id is used twice", id=new.id)
    table[new.id] = new
    if old is not None:
        state.contribute(list(rows_of(state.base, old)), -1)
    state.contribute(list(rows_of(_with(state), new)), 1)
    if not _is_durable(new):
        return
    key, value = encode_object(new)
    state.row(key, encode_object(old)[1] if old is not None else None, value)


def _remove(state: _State, old: CatalogObject | None, id: str) -> None:
    if old is None:
        raise UndefinedObject(f'"{id}" does not exist any more')
    state.contribute(list(rows_of(state.base, old)), -1)
    for key in [k for k in state.comments if k.id == id]:
        _set_comment(state, key, None)
    if _is_durable(old):
        key_, value = encode_object(old)
        state.row(key_, value, None)


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
                raise DuplicateObject(f'{kind} "{name}" already exists')
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
    dropped = base.roles.keys() - next_.roles.keys()
    if not dropped:
        return
    owned = [
        *next_.items.values(),
        *next_.schemas.values(),
        *next_.databases.values(),
        *next_.clusters.values(),
    ]
    for entity in owned:
        if entity.owner in dropped:
            raise DependentObjectsStillExist(
                f'role "{base.roles[entity.owner].name}" cannot be dropped '
                f"because some objects depend on it",
                detail=f'"{entity.name}" is owned by it.',
            )


def _consolidated(updates: list[TableUpdate]) -> tuple[TableUpdate, ...]:
    sums: dict[tuple[str, bytes], int] = {}
    for update in updates:
        key = (update.table, update.row)
        sums[key] = sums.get(key, 0) + update.diff
    return tuple(TableUpdate(table, row, diff) for (table, row), diff in sums.items() if diff)
