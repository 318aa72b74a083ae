"""One version of the catalog, immutable: what planning and sequencing look things up in.

A transaction makes the next version (``catalog.transact``); whoever holds an older one goes on
reading it unharmed. Look-ups raise the error that PostgreSQL gives, with near misses as the hint.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property

from headwater.catalog.items import (
    Access,
    CatalogItem,
    Cluster,
    CommentKey,
    Database,
    Index,
    ItemKind,
    NetworkPolicy,
    Replica,
    ReplicaSize,
    Role,
    Schema,
    Type,
)
from headwater.errors import (
    InvalidCatalogName,
    InvalidName,
    InvalidSchemaName,
    UndefinedObject,
    UndefinedTable,
)
from headwater.types.ids import (
    ClusterId,
    DatabaseId,
    GlobalId,
    ReplicaId,
    RoleId,
    SchemaId,
)

# Searched before the search path, in this order, unless the path names them.
IMPLICIT_SCHEMAS = ("mz_catalog", "pg_catalog")
# System schemas that are never searched implicitly but whose names need no database.
SYSTEM_SCHEMAS = (
    "mz_catalog",
    "mz_internal",
    "mz_introspection",
    "mz_catalog_unstable",
    "mz_unsafe",
    "pg_catalog",
    "information_schema",
)
TEMP_SCHEMA = "mz_temp"
_NEAR_MISSES_MAX = 3
_NO_ACCESS = Access()


class CatalogSnapshot:
    """One version of the catalog. All attributes are read-only.

    Attributes:
        version: Counts committed transactions; equal versions have equal contents.
    """

    def __init__(
        self,
        *,
        version: int,
        databases: Mapping[DatabaseId, Database],
        schemas: Mapping[SchemaId, Schema],
        items: Mapping[GlobalId, CatalogItem],
        clusters: Mapping[ClusterId, Cluster],
        roles: Mapping[RoleId, Role],
        sizes: Mapping[str, ReplicaSize],
        variables: Mapping[str, str],
        comments: Mapping[CommentKey, str],
        access: Access = _NO_ACCESS,
    ) -> None:
        self.version = version
        self.databases = databases
        self.schemas = schemas
        self.items = items
        self.clusters = clusters
        self.roles = roles
        self.sizes = sizes
        self.variables = variables
        self.comments = comments
        self.access = access
        self.policies = access.policies
        self.system_privileges = access.system_privileges
        self.default_privileges = access.default_privileges

    def with_items(self, items: Iterable[CatalogItem]) -> "CatalogSnapshot":
        """Return this version with items added or replaced."""
        return CatalogSnapshot(
            version=self.version,
            databases=self.databases,
            schemas=self.schemas,
            items={**self.items, **{item.id: item for item in items}},
            clusters=self.clusters,
            roles=self.roles,
            sizes=self.sizes,
            variables=self.variables,
            comments=self.comments,
            access=self.access,
        )

    # By id.

    def item(self, id: GlobalId) -> CatalogItem:
        """Return the item. Raises: UndefinedObject if it is not in this version."""
        try:
            return self.items[id]
        except KeyError:
            raise UndefinedObject(f'object "{id}" does not exist') from None

    def try_item(self, id: GlobalId) -> CatalogItem | None:
        """Return the item, None if it is not in this version."""
        return self.items.get(id)

    def database_by_id(self, id: DatabaseId) -> Database:
        """Return the database."""
        return self.databases[id]

    def schema_by_id(self, id: SchemaId) -> Schema:
        """Return the schema."""
        return self.schemas[id]

    def cluster_by_id(self, id: ClusterId) -> Cluster:
        """Return the cluster."""
        return self.clusters[id]

    def role_by_id(self, id: RoleId) -> Role:
        """Return the role."""
        return self.roles[id]

    # By name.

    def database(self, name: str, *, position: int = 0) -> Database:
        """Return the database named ``name``.

        Raises: InvalidCatalogName.
        """
        found = self._databases_by_name.get(name)
        if found is None:
            raise InvalidCatalogName(
                f'database "{name}" does not exist',
                hint=_hint(name, self._databases_by_name),
                position=position,
            )
        return found

    def try_schema(
        self, name: str, database: str | None, temp_schema: SchemaId | None = None
    ) -> Schema | None:
        """Return the system schema ``name``, else that of ``database``, else None."""
        if name == TEMP_SCHEMA:
            return self.schemas.get(temp_schema) if temp_schema is not None else None
        system = self._schemas_by_name.get((None, name))
        if system is not None or database is None:
            return system
        owner = self._databases_by_name.get(database)
        return None if owner is None else self._schemas_by_name.get((owner.id, name))

    def schema(
        self,
        parts: Sequence[str],
        database: str | None,
        *,
        temp_schema: SchemaId | None = None,
        position: int = 0,
    ) -> Schema:
        """Return the schema named ``schema`` or ``database.schema``.

        Raises: InvalidSchemaName, InvalidCatalogName (the database is named and unknown).
        """
        if not 1 <= len(parts) <= 2:
            raise InvalidName(f"invalid schema name: {show_name(parts)}", position=position)
        if len(parts) == 2:
            owner = self.database(parts[0], position=position)
            found = self._schemas_by_name.get((owner.id, parts[1]))
            database = parts[0]
        else:
            found = self.try_schema(parts[0], database, temp_schema)
        if found is None:
            raise InvalidSchemaName(
                f'schema "{show_name(parts)}" does not exist',
                hint=_hint(parts[-1], self._schema_names(database)),
                position=position,
            )
        return found

    def search_schemas(
        self, search_path: Iterable[str], database: str | None, temp_schema: SchemaId | None = None
    ) -> list[Schema]:
        """Return the schemas an unqualified name is looked for in, in order, those that exist."""
        path = list(search_path)
        names = [n for n in (TEMP_SCHEMA, *IMPLICIT_SCHEMAS) if n not in path] + path
        schemas = (self.try_schema(name, database, temp_schema) for name in names)
        return [schema for schema in schemas if schema is not None]

    def creation_schema(
        self, search_path: Iterable[str], database: str | None, *, position: int = 0
    ) -> Schema:
        """Return the schema that an unqualified new item goes to: the first that exists.

        Raises: InvalidSchemaName if there is none, InvalidCatalogName (no such database).
        """
        if database is not None:
            self.database(database, position=position)
        for name in search_path:
            schema = self.try_schema(name, database)
            if schema is not None:
                return schema
        raise InvalidSchemaName("no schema has been selected to create in", position=position)

    def try_resolve_item(
        self,
        parts: Sequence[str],
        search_path: Sequence[str],
        database: str | None,
        *,
        temp_schema: SchemaId | None = None,
    ) -> CatalogItem | None:
        """Return the item (never a type) by the name as written, None if there is none."""
        return self._find(parts, search_path, database, temp_schema, self._items_by_name)

    def resolve_item(
        self,
        parts: Sequence[str],
        search_path: Sequence[str],
        database: str | None,
        *,
        temp_schema: SchemaId | None = None,
        position: int = 0,
    ) -> CatalogItem:
        """Return the item that ``[[database.]schema.]name`` means to a session.

        Types live in a name space of their own: see :meth:`resolve_type`.

        Raises: UndefinedTable with near misses, InvalidSchemaName, InvalidCatalogName.
        """
        item = self.try_resolve_item(parts, search_path, database, temp_schema=temp_schema)
        if item is not None:
            return item
        if len(parts) > 1:
            schemas = [self.schema(parts[:-1], database, position=position)]
        else:
            schemas = self.search_schemas(search_path, database, temp_schema)
        names = {n for s in schemas for n in self.names_in(s.id)}
        raise UndefinedTable(
            f'relation "{show_name(parts)}" does not exist',
            hint=_hint(parts[-1], names),
            position=position,
        )

    def resolve_type(
        self,
        parts: Sequence[str],
        search_path: Sequence[str],
        database: str | None,
        *,
        temp_schema: SchemaId | None = None,
        position: int = 0,
    ) -> Type:
        """Return the named type. Raises: UndefinedObject, InvalidSchemaName."""
        item = self._find(parts, search_path, database, temp_schema, self._types_by_name)
        if not isinstance(item, Type):
            raise UndefinedObject(f'type "{show_name(parts)}" does not exist', position=position)
        return item

    def item_in(self, schema: SchemaId, name: str) -> CatalogItem | None:
        """Return the item ``name`` of the schema, None if there is none."""
        return self._items_by_name.get((schema, name))

    def type_in(self, schema: SchemaId, name: str) -> CatalogItem | None:
        """Return the type ``name`` of the schema, None if there is none."""
        return self._types_by_name.get((schema, name))

    def type_by_oid(self, oid: int) -> Type | None:
        """Return the type with an object id, None if there is none."""
        return self._types_by_oid.get(oid)

    def cluster(self, name: str, *, position: int = 0) -> Cluster:
        """Return the cluster named ``name``. Raises: UndefinedObject."""
        found = self._clusters_by_name.get(name)
        if found is None:
            raise UndefinedObject(
                f"unknown cluster '{name}'",
                hint=_hint(name, self._clusters_by_name),
                position=position,
            )
        return found

    def try_cluster(self, name: str) -> Cluster | None:
        """Return the cluster named ``name``, None if there is none."""
        return self._clusters_by_name.get(name)

    def replica(self, cluster: str, name: str, *, position: int = 0) -> Replica:
        """Return a cluster's replica. Raises: UndefinedObject."""
        replicas = {r.name: r for r in self.cluster(cluster, position=position).replicas}
        if name not in replicas:
            raise UndefinedObject(
                f'CLUSTER {cluster} has no CLUSTER REPLICA named "{name}"',
                hint=_hint(name, replicas),
                position=position,
            )
        return replicas[name]

    def replica_by_id(self, id: ReplicaId) -> Replica | None:
        """Return a replica, None if it is not in this version."""
        return next((r for c in self.clusters.values() for r in c.replicas if r.id == id), None)

    def role(self, name: str, *, position: int = 0) -> Role:
        """Return the role named ``name``. Raises: UndefinedObject."""
        found = self._roles_by_name.get(name)
        if found is None:
            raise UndefinedObject(
                f'role "{name}" does not exist',
                hint=_hint(name, self._roles_by_name),
                position=position,
            )
        return found

    def try_role(self, name: str) -> Role | None:
        """Return the role named ``name``, None if there is none."""
        return self._roles_by_name.get(name)

    def policy(self, name: str, *, position: int = 0) -> NetworkPolicy:
        """Return the network policy named ``name``. Raises: UndefinedObject."""
        for policy in self.policies.values():
            if policy.name == name:
                return policy
        raise UndefinedObject(f'unknown network policy "{name}"', position=position)

    # Relations between items.

    def full_name(self, item: CatalogItem) -> tuple[str, ...]:
        """Return ``(database, schema, name)``; system and temporary items lack the database."""
        schema = self.schemas[item.schema]
        if schema.database is None:
            return (schema.name, item.name)
        return (self.databases[schema.database].name, schema.name, item.name)

    def show_item(self, item: CatalogItem) -> str:
        """Return the full name with dots, for messages."""
        return ".".join(self.full_name(item))

    def depends_on(self, id: GlobalId) -> tuple[GlobalId, ...]:
        """Return what the item directly depends on."""
        return self.item(id).depends_on

    def used_by(self, id: GlobalId) -> tuple[GlobalId, ...]:
        """Return the items that directly depend on ``id``, in order of creation."""
        return self._dependents.get(id, ())

    def dependents_of(self, ids: Iterable[GlobalId]) -> list[GlobalId]:
        """Return all that depends on ``ids``, itself included, dependents before what they use."""
        order: list[GlobalId] = []
        seen: set[GlobalId] = set()
        stack = [(id, False) for id in reversed(list(ids))]
        while stack:
            id, done = stack.pop()
            if done:
                order.append(id)
            elif id not in seen:
                seen.add(id)
                stack.append((id, True))
                stack.extend((user, False) for user in self.used_by(id) if user not in seen)
        return order

    def indexes_on(self, id: GlobalId, cluster: ClusterId | None = None) -> tuple[Index, ...]:
        """Return the indexes on relation ``id``, on one cluster or on all, oldest first."""
        found = self._indexes.get(id, ())
        return found if cluster is None else tuple(i for i in found if i.cluster == cluster)

    def items_in(self, schema: SchemaId) -> list[CatalogItem]:
        """Return the schema's items and types, oldest first."""
        return self._items_by_schema.get(schema, [])

    def names_in(self, schema: SchemaId) -> list[str]:
        """Return the names of the schema's items."""
        return [item.name for item in self.items_in(schema) if item.kind is not ItemKind.TYPE]

    def schemas_in(self, database: DatabaseId | None) -> list[Schema]:
        """Return the schemas of a database; of none: the system's."""
        return [schema for schema in self.schemas.values() if schema.database == database]

    def objects_on(self, cluster: ClusterId) -> list[CatalogItem]:
        """Return the items that run on the cluster."""
        return [item for item in self.items.values() if getattr(item, "cluster", None) == cluster]

    # Derived maps, made when first asked for.

    @cached_property
    def _databases_by_name(self) -> dict[str, Database]:
        return {database.name: database for database in self.databases.values()}

    @cached_property
    def _schemas_by_name(self) -> dict[tuple[DatabaseId | None, str], Schema]:
        return {
            (schema.database, schema.name): schema
            for schema in self.schemas.values()
            if schema.name != TEMP_SCHEMA
        }

    @cached_property
    def _items_by_name(self) -> dict[tuple[SchemaId, str], CatalogItem]:
        items = self.items.values()
        return {(i.schema, i.name): i for i in items if not isinstance(i, Type)}

    @cached_property
    def _types_by_name(self) -> dict[tuple[SchemaId, str], CatalogItem]:
        return {(i.schema, i.name): i for i in self.items.values() if isinstance(i, Type)}

    @cached_property
    def _types_by_oid(self) -> dict[int, Type]:
        return {item.oid: item for item in self.items.values() if isinstance(item, Type)}

    @cached_property
    def _items_by_schema(self) -> dict[SchemaId, list[CatalogItem]]:
        grouped: dict[SchemaId, list[CatalogItem]] = {}
        for item in self.items.values():
            grouped.setdefault(item.schema, []).append(item)
        return grouped

    @cached_property
    def _clusters_by_name(self) -> dict[str, Cluster]:
        return {cluster.name: cluster for cluster in self.clusters.values()}

    @cached_property
    def _roles_by_name(self) -> dict[str, Role]:
        return {role.name: role for role in self.roles.values()}

    @cached_property
    def _dependents(self) -> dict[GlobalId, tuple[GlobalId, ...]]:
        users: dict[GlobalId, list[GlobalId]] = {}
        for item in self.items.values():
            for used in item.depends_on:
                users.setdefault(used, []).append(item.id)
        return {used: tuple(ids) for used, ids in users.items()}

    @cached_property
    def _indexes(self) -> dict[GlobalId, tuple[Index, ...]]:
        grouped: dict[GlobalId, list[Index]] = {}
        for item in self.items.values():
            if isinstance(item, Index):
                grouped.setdefault(item.on, []).append(item)
        return {on: tuple(indexes) for on, indexes in grouped.items()}

    def _schema_names(self, database: str | None) -> list[str]:
        owner = self._databases_by_name.get(database) if database is not None else None
        ids = (None,) if owner is None else (None, owner.id)
        return [name for of, name in self._schemas_by_name if of in ids]

    def _find(
        self,
        parts: Sequence[str],
        search_path: Sequence[str],
        database: str | None,
        temp_schema: SchemaId | None,
        names: Mapping[tuple[SchemaId, str], CatalogItem],
    ) -> CatalogItem | None:
        if len(parts) > 3:
            raise InvalidName(
                f"improper qualified name (too many dotted names): {show_name(parts)}"
            )
        if len(parts) == 3:
            owner = self._databases_by_name.get(parts[0])
            if owner is None:
                return None
            schema = self._schemas_by_name.get((owner.id, parts[1]))
            return None if schema is None else names.get((schema.id, parts[2]))
        if len(parts) == 2:
            schema = self.try_schema(parts[0], database, temp_schema)
            return None if schema is None else names.get((schema.id, parts[1]))
        for schema in self.search_schemas(search_path, database, temp_schema):
            found = names.get((schema.id, parts[0]))
            if found is not None:
                return found
        return None


def show_name(parts: Sequence[str]) -> str:
    """Return a name as messages show it."""
    return ".".join(parts)


def _hint(name: str, candidates: Iterable[str]) -> str:
    near = get_close_matches(name, sorted(candidates), n=_NEAR_MISSES_MAX, cutoff=0.7)
    if not near:
        return ""
    return "Perhaps you meant " + " or ".join(f'"{n}"' for n in near) + "."
