"""What the catalog holds: one frozen struct per kind of object.

Every item carries the statement that makes it again (``create_sql``, fully qualified), its ids and
what it depends on. Planned forms (a view's relation, an index's key) stand beside the text: they
are derived from it at boot and never stored.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from headwater.catalog.layout import Layout
from headwater.catalog.privileges import Acl, DefaultPrivilegeKey
from headwater.ir.relation import RelationExpr
from headwater.ir.scalar import ScalarExpr
from headwater.types.ids import (
    ClusterId,
    DatabaseId,
    GlobalId,
    PolicyId,
    ReplicaId,
    RoleId,
    SchemaId,
    ShardId,
)
from headwater.types.refresh import RefreshSchedule
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ScalarType
from headwater.types.time import Timestamp


class ItemKind(StrEnum):
    """The kinds of items in a schema, spelled as ``mz_objects.type`` does."""

    TABLE = "table"
    SOURCE = "source"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized-view"
    INDEX = "index"
    SINK = "sink"
    CONNECTION = "connection"
    SECRET = "secret"
    TYPE = "type"
    FUNC = "function"

    @property
    def noun(self) -> str:
        """Return the kind as messages spell it, e.g. ``materialized view``."""
        return self.value.replace("-", " ")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What all items have in common.

    Attributes:
        id: ``u…`` made by users, ``s…`` builtin, ``t…`` temporary.
        oid: The number by which PostgreSQL's catalog relations name it.
        schema: Where it lives; ``name`` is unique there.
        create_sql: The CREATE statement with all names qualified; empty for builtin items.
        depends_on: The items whose removal would break this one, directly.
        privileges: Who may do what to it; empty for kinds that have none, e.g. indexes.
    """

    id: GlobalId
    oid: int
    name: str
    schema: SchemaId
    owner: RoleId
    create_sql: str = ""
    depends_on: tuple[GlobalId, ...] = ()
    privileges: Acl = ()

    @property
    def kind(self) -> ItemKind:
        """Return the kind of the item."""
        raise NotImplementedError

    @property
    def is_builtin(self) -> bool:
        """Return whether the system made it."""
        return self.id.startswith("s")

    @property
    def is_temporary(self) -> bool:
        """Return whether it goes with the session."""
        return self.id.startswith("t")


class KeyConstraint(msgspec.Struct, frozen=True):
    """PRIMARY KEY or UNIQUE: the values of ``columns`` together occur once.

    ``nulls_distinct``: rows with a NULL among them never meet. ``index`` is the unique index that
    it comes and goes with; None: it is a constraint.
    """

    name: str
    columns: tuple[int, ...]
    primary: bool = False
    nulls_distinct: bool = True
    index: GlobalId | None = None


class CheckConstraint(msgspec.Struct, frozen=True):
    """CHECK: ``predicate``, a boolean over the table's columns, is not false; ``sql`` as text."""

    name: str
    predicate: ScalarExpr
    sql: str


class Table(Item, frozen=True, kw_only=True):
    """A collection that statements write to.

    Attributes:
        desc: The shape of its rows. Its columns, by their names, are ``relation_desc``'s.
        layout: Which of the row's columns are the table's, None for all in order.
        defaults: Per column of a row the DEFAULT expression's text, None for NULL.
        shard: Where its rows are; all tables commit through the transaction shard.
        source: For CREATE TABLE … FROM SOURCE: the source that writes it (read-only then).
        reference: For such a table: what it is upstream.
        keys: Its PRIMARY KEY and UNIQUE constraints; ``desc.keys`` has those that hold for NULLs.
        checks: Its CHECK constraints.
        details: For a table FROM SOURCE or FROM WEBHOOK, both read-only: the plan.
    """

    desc: RelationDesc
    shard: ShardId
    layout: Layout | None = None
    keys: tuple[KeyConstraint, ...] = ()
    checks: tuple[CheckConstraint, ...] = ()
    defaults: tuple[str | None, ...] = ()
    retain_history_ms: int | None = None
    source: GlobalId | None = None
    reference: tuple[str, ...] = ()
    details: msgspec.Struct | None = None

    @property
    def kind(self) -> ItemKind:
        """Return TABLE."""
        return ItemKind.TABLE

    @property
    def shown(self) -> tuple[int, ...]:
        """Return the places in its rows of the columns that users see, in their order."""
        return tuple(range(self.desc.arity)) if self.layout is None else self.layout.shown

    def shown_at(self, version: int | None) -> tuple[int, ...]:
        """Return the places of those that there were before columns were added, but for the first.

        ``version`` of these count; None is now.
        """
        if version is None or version >= len(self.desc.added):
            return self.shown
        width = self.desc.arity - len(self.desc.added) + version
        return tuple(place for place in self.shown if place < width)

    @property
    def is_writable(self) -> bool:
        """Return whether users may INSERT: not a builtin table, nor one fed from outside."""
        return self.details is None and self.source is None and not self.is_builtin


class BuiltinTable(Table, frozen=True, kw_only=True):
    """A table that the system writes: facts of the catalog, or of what is running."""


class SourceReference(msgspec.Struct, frozen=True):
    """Something upstream that a table can be made of; ``columns`` are None where unknown."""

    name: str
    namespace: str | None = None
    columns: tuple[str, ...] | None = None


class Source(Item, frozen=True, kw_only=True):
    """A collection that an external system feeds, or one part of it.

    A *primary* source runs an ingestion on a cluster. Its *subsources* have ``parent`` set and
    are written by the parent's ingestion, its *progress* collection likewise. A primary source of
    many tables has no rows of its own (``desc`` has no columns, ``shard`` is None).

    Attributes:
        source_kind: As ``mz_sources.type``: kafka, load-generator, postgres, webhook, subsource,
            progress …
        connection: What it connects by, None for load generators and webhooks.
        details: The planned options (``sql.plan.external``), derived from ``create_sql``.
        reference: For a subsource: what it is upstream, e.g. ``("auction", "bids")``.
        progress: For a primary source: the collection of its progress, which is the durable map
            from its offsets to times.
        references: For a primary source: what there is upstream, as far as it is known.
    """

    desc: RelationDesc
    source_kind: str
    shard: ShardId | None = None
    cluster: ClusterId | None = None
    connection: GlobalId | None = None
    details: msgspec.Struct | None = None
    envelope: str | None = None
    key_format: str | None = None
    value_format: str | None = None
    parent: GlobalId | None = None
    reference: tuple[str, ...] = ()
    progress: GlobalId | None = None
    retain_history_ms: int | None = None
    timestamp_interval_ms: int | None = None
    references: tuple[SourceReference, ...] = ()

    @property
    def kind(self) -> ItemKind:
        """Return SOURCE."""
        return ItemKind.SOURCE


class BuiltinLog(Source, frozen=True, kw_only=True):
    """What the workers of a replica know of themselves, as a relation (``hw_compute::logging``).

    It is computed where it is read, and differs from replica to replica.
    """

    log: str


class View(Item, frozen=True, kw_only=True):
    """A named query; ``expr`` is inlined where it is read. ``definition`` is the query's text."""

    desc: RelationDesc
    expr: RelationExpr
    definition: str = ""

    @property
    def kind(self) -> ItemKind:
        """Return VIEW."""
        return ItemKind.VIEW


class BuiltinView(View, frozen=True, kw_only=True):
    """A view of the system."""


class MaterializedView(Item, frozen=True, kw_only=True):
    """A query whose answer a cluster maintains in a shard.

    ``replacement_for`` is the view whose definition this one's is meant to become. ``refresh`` is
    when the shard changes, None for at once.
    """

    desc: RelationDesc
    expr: RelationExpr
    shard: ShardId
    cluster: ClusterId
    definition: str = ""
    assert_not_null: tuple[int, ...] = ()
    retain_history_ms: int | None = None
    replacement_for: GlobalId | None = None
    refresh: RefreshSchedule | None = None

    @property
    def kind(self) -> ItemKind:
        """Return MATERIALIZED_VIEW."""
        return ItemKind.MATERIALIZED_VIEW


class Index(Item, frozen=True, kw_only=True):
    """An arrangement of relation ``on`` by ``key``, kept in memory by ``cluster``'s replicas.

    ``expressions`` are the texts of the key's parts. ``unique``: its table has a key of its name.
    """

    on: GlobalId
    key: tuple[ScalarExpr, ...]
    expressions: tuple[str, ...] = ()
    cluster: ClusterId
    retain_history_ms: int | None = None
    unique: bool = False

    @property
    def kind(self) -> ItemKind:
        """Return INDEX."""
        return ItemKind.INDEX


class Sink(Item, frozen=True, kw_only=True):
    """A collection written to an external system.

    ``details`` are the planned options (``sql.plan.external``), derived from ``create_sql``;
    ``as_of`` is the time at which the sink begins.
    """

    on: GlobalId
    sink_kind: str
    cluster: ClusterId
    connection: GlobalId | None = None
    details: msgspec.Struct | None = None
    key: tuple[int, ...] | None = None
    envelope: str | None = None
    format: str | None = None
    key_format: str | None = None
    value_format: str | None = None
    as_of: Timestamp = Timestamp(0)
    with_snapshot: bool = True
    version: int = 0

    @property
    def kind(self) -> ItemKind:
        """Return SINK."""
        return ItemKind.SINK


class Connection(Item, frozen=True, kw_only=True):
    """How to reach an external system; secrets are named by id, never held."""

    connection_kind: str
    details: msgspec.Struct | None = None

    @property
    def kind(self) -> ItemKind:
        """Return CONNECTION."""
        return ItemKind.CONNECTION


class Secret(Item, frozen=True, kw_only=True):
    """A value that is never shown; its bytes are not in the catalog's items."""

    @property
    def kind(self) -> ItemKind:
        """Return SECRET."""
        return ItemKind.SECRET


class Type(Item, frozen=True, kw_only=True):
    """A named type: builtin, or made by CREATE TYPE."""

    type: ScalarType
    category: str = "U"

    @property
    def kind(self) -> ItemKind:
        """Return TYPE."""
        return ItemKind.TYPE


class Func(Item, frozen=True, kw_only=True):
    """A function's name; its overloads are in ``ir.functions``."""

    @property
    def kind(self) -> ItemKind:
        """Return FUNC."""
        return ItemKind.FUNC


CatalogItem = (
    Table | Source | View | MaterializedView | Index | Sink | Connection | Secret | Type | Func
)
Relation = Table | Source | View | MaterializedView


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """A database: a name space of schemas."""

    id: DatabaseId
    oid: int
    name: str
    owner: RoleId
    privileges: Acl = ()


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """A schema: a name space of items. System and temporary schemas have no database."""

    id: SchemaId
    oid: int
    name: str
    owner: RoleId
    database: DatabaseId | None = None
    privileges: Acl = ()


class ReplicaSize(msgspec.Struct, frozen=True, kw_only=True):
    """What a SIZE means: processes and timely workers a process, and what they cost."""

    name: str
    processes: int
    workers: int
    cpu_nano_cores: int
    memory_bytes: int
    disk_bytes: int | None = None
    credits_per_hour: str = "0"


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """One copy of a cluster's dataflows.

    ``addresses`` is empty for a replica that the orchestrator starts, else where it listens.
    ``internal``: the operator's, beside those that its users manage; ``billed_as`` is its price.
    """

    id: ReplicaId
    name: str
    cluster: ClusterId
    owner: RoleId
    size: str | None
    addresses: tuple[str, ...] = ()
    workers: int = 1
    internal: bool = False
    billed_as: str | None = None


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """A named pool of compute; ``size`` and ``replication_factor`` only where managed.

    ``hydration_estimate_ms`` is set where replicas run only for refreshes (SCHEDULE = ON REFRESH).
    """

    id: ClusterId
    name: str
    owner: RoleId
    managed: bool = True
    size: str | None = None
    replication_factor: int | None = None
    replicas: tuple[Replica, ...] = ()
    linked_to: GlobalId | None = None  # a source or sink with a cluster of its own
    introspection_interval_ms: int | None = 1000
    introspection_debugging: bool = False
    availability_zones: tuple[str, ...] = ()
    workload_class: str | None = None
    hydration_estimate_ms: int | None = None
    privileges: Acl = ()


class Membership(msgspec.Struct, frozen=True, array_like=True):
    """A role's membership in a group, and who granted it."""

    role: RoleId
    grantor: RoleId


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role: a user or a group; attributes are None where nobody has said anything."""

    id: RoleId
    oid: int
    name: str
    login: bool | None = None
    superuser: bool | None = None
    inherit: bool = True
    groups: tuple[Membership, ...] = ()
    variables: Mapping[str, str] = {}


class PolicyRule(msgspec.Struct, frozen=True):
    """One rule of a network policy: which addresses it lets in."""

    name: str
    action: str
    direction: str
    address: str


class NetworkPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which addresses may connect; recorded, and the default one is the variable's."""

    id: PolicyId
    oid: int
    name: str
    owner: RoleId
    rules: tuple[PolicyRule, ...] = ()
    privileges: Acl = ()


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Who may do what, in as far as it belongs to no single object."""

    policies: Mapping[PolicyId, NetworkPolicy] = {}
    system_privileges: Acl = ()
    default_privileges: Mapping[DefaultPrivilegeKey, str] = {}


class CommentKey(msgspec.Struct, frozen=True):
    """What a comment is on: an object by kind and id, or a column of it (from 1)."""

    kind: str
    id: str
    column: int | None = None


def relation_desc(item: CatalogItem, version: int | None = None) -> RelationDesc | None:
    """Return the columns of a relation, None for what cannot be selected from.

    ``version``: of a table, how many columns had been added to it when it was looked at.
    """
    if isinstance(item, Table) and (item.layout is not None or version is not None):
        return item.desc.only(item.shown_at(version))
    if isinstance(item, Table | Source | View | MaterializedView):
        return item.desc
    return None


def stored_desc(item: CatalogItem) -> RelationDesc | None:
    """Return the shape of a relation's rows, None for what cannot be selected from."""
    return item.desc if isinstance(item, Relation) else None
