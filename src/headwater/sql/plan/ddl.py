"""Plans of statements that change the catalog.

Names are resolved: objects referred to are ids, objects to be made carry an :class:`ItemPath`.
``create_sql`` is the statement in its stored form, every reference written ``[id AS name]``; the
catalog keeps it and bootstrap plans it anew.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from headwater.catalog.items import KeyConstraint
from headwater.sql.plan.external import ConnectionDetails, SinkDetails, SourceDetails
from headwater.sql.plan.hir import HirRelation, HirScalar
from headwater.types.ids import ClusterId, DatabaseId, GlobalId, ReplicaId, RoleId, SchemaId
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ColumnType, ScalarType


class ItemPath(msgspec.Struct, frozen=True):
    """Where a new item will be; ``database`` is None in the system's schemas and ``mz_temp``."""

    database: str | None
    schema: str
    item: str
    database_id: DatabaseId | None = None
    schema_id: SchemaId | None = None  # None for mz_temp: the session's own schema

    def __str__(self) -> str:
        parts = (self.database, self.schema, self.item)
        return ".".join(part for part in parts if part is not None)


class ObjectType(StrEnum):
    """The kinds of catalog objects; the value is the SQL word in lower case."""

    TABLE = "table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    SOURCE = "source"
    SINK = "sink"
    INDEX = "index"
    TYPE = "type"
    FUNCTION = "function"
    SECRET = "secret"
    CONNECTION = "connection"
    CLUSTER = "cluster"
    CLUSTER_REPLICA = "cluster replica"
    DATABASE = "database"
    SCHEMA = "schema"
    ROLE = "role"
    NETWORK_POLICY = "network policy"
    SYSTEM = "system"


# Any id of a catalog object; which one follows from the ObjectType beside it.
ObjectId = GlobalId | ClusterId | ReplicaId | DatabaseId | SchemaId | RoleId | str


class CreateDatabasePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_database"):
    """CREATE DATABASE; the new one gets a schema ``public``."""

    name: str
    if_not_exists: bool


class CreateSchemaPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_schema"):
    """CREATE SCHEMA."""

    database_id: DatabaseId
    database: str
    name: str
    if_not_exists: bool
    owner: RoleId | None = None  # None: who makes it


class RoleAttributes(msgspec.Struct, frozen=True):
    """What a role may do; None where the statement says nothing."""

    login: bool | None = None
    superuser: bool | None = None
    inherit: bool | None = None
    password: str | None = None
    clear_password: bool = False


class CreateRolePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_role"):
    """CREATE ROLE."""

    name: str
    attributes: RoleAttributes


class TableColumn(msgspec.Struct, frozen=True):
    """A column of a new table; ``default`` is over no columns, None for NULL."""

    name: str
    type: ColumnType
    default: HirScalar | None = None
    default_sql: str | None = None  # the same as text, for the catalog


class CheckPlan(msgspec.Struct, frozen=True):
    """CHECK: ``predicate`` is a boolean over the table's columns, ``sql`` its text."""

    name: str
    predicate: HirScalar
    sql: str


class CreateTablePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_table"):
    """CREATE TABLE. ``desc.keys`` holds the keys that no two rows can share, NULLs included."""

    name: ItemPath
    desc: RelationDesc
    columns: tuple[TableColumn, ...]
    create_sql: str
    depends_on: tuple[GlobalId, ...]
    if_not_exists: bool = False
    temporary: bool = False
    retain_history_ms: int | None = None
    keys: tuple[KeyConstraint, ...] = ()
    checks: tuple[CheckPlan, ...] = ()


class CreateTableAsPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_table_as"):
    """CREATE TABLE AS: ``table`` begins with the rows of ``query``, which has its columns."""

    table: CreateTablePlan
    query: HirRelation


class CreateTableFromSourcePlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="create_table_from_source"
):
    """CREATE TABLE … FROM SOURCE: one output of an ingestion as a read-only table."""

    name: ItemPath
    desc: RelationDesc
    source: GlobalId
    reference: tuple[str, ...] | None
    details: SourceDetails | None  # the source's, with this table's encoding and columns
    create_sql: str
    depends_on: tuple[GlobalId, ...]
    if_not_exists: bool = False
    retain_history_ms: int | None = None


class CreateViewPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_view"):
    """CREATE VIEW. ``replaces`` is dropped first."""

    name: ItemPath
    query: HirRelation
    desc: RelationDesc
    create_sql: str
    depends_on: tuple[GlobalId, ...]
    if_not_exists: bool = False
    temporary: bool = False
    replaces: GlobalId | None = None


class RefreshPlan(msgspec.Struct, frozen=True):
    """REFRESH AT and EVERY: times, and intervals in milliseconds with what they are aligned to.

    The times are of type mz_timestamp, constant but for ``mz_now()``, the time of creation.
    """

    ats: tuple[HirScalar, ...]
    everies: tuple[tuple[int, HirScalar], ...]


class CreateMaterializedViewPlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="create_materialized_view"
):
    """CREATE MATERIALIZED VIEW. A null in a column of ``assert_not_null`` is an error row."""

    name: ItemPath
    query: HirRelation
    desc: RelationDesc
    cluster_id: ClusterId
    create_sql: str
    depends_on: tuple[GlobalId, ...]
    if_not_exists: bool = False
    replaces: GlobalId | None = None
    replacement_for: GlobalId | None = None
    assert_not_null: tuple[int, ...] = ()
    retain_history_ms: int | None = None
    partition_by: tuple[int, ...] = ()
    refresh: RefreshPlan | None = None


class CreateIndexPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_index"):
    """CREATE INDEX; ``keys`` are over the columns of ``on``."""

    name: ItemPath
    on: GlobalId
    on_desc: RelationDesc
    keys: tuple[HirScalar, ...]
    cluster_id: ClusterId
    create_sql: str
    depends_on: tuple[GlobalId, ...]
    if_not_exists: bool = False
    retain_history_ms: int | None = None
    unique: bool = False


class OwnCluster(msgspec.Struct, frozen=True):
    """A cluster to be made for one source or sink, by WITH (SIZE …)."""

    name: str
    size: str


class SourceExport(msgspec.Struct, frozen=True):
    """One relation that an ingestion of several outputs makes.

    ``reference`` is the name upstream, ``output`` the number of the generator's output.
    """

    name: ItemPath
    desc: RelationDesc
    reference: tuple[str, ...]
    output: int
    create_sql: str


class CreateSourcePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_source"):
    """CREATE SOURCE.

    ``desc`` is the source's own relation: the data if it has one output, else no columns, and
    ``exports`` hold the data. ``progress`` is the progress collection's name. ``check`` is a
    webhook's CHECK, over ``check_columns`` of the request.
    """

    name: ItemPath
    details: SourceDetails
    desc: RelationDesc
    exports: tuple[SourceExport, ...]
    progress: ItemPath
    progress_desc: RelationDesc
    cluster: ClusterId | OwnCluster | None
    create_sql: str
    depends_on: tuple[GlobalId, ...]
    if_not_exists: bool = False
    timestamp_interval_ms: int | None = None
    retain_history_ms: int | None = None
    envelope: str = "none"
    check: HirScalar | None = None
    check_columns: RelationDesc | None = None


class CreateSinkPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_sink"):
    """CREATE SINK. ``key`` are columns of ``from_id``, None without KEY.

    Where ``key_enforced``, sequencing proves it unique in the optimized plan or refuses.
    ``partition_by`` is over the columns of ``from_id``.
    """

    name: ItemPath
    from_id: GlobalId
    from_desc: RelationDesc
    details: SinkDetails
    key: tuple[int, ...] | None
    key_enforced: bool
    cluster: ClusterId | OwnCluster | None
    create_sql: str
    depends_on: tuple[GlobalId, ...]
    headers: int | None = None
    partition_by: HirScalar | None = None
    with_snapshot: bool = True
    if_not_exists: bool = False
    commit_interval_ms: int | None = None


class CreateConnectionPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_connection"):
    """CREATE CONNECTION."""

    name: ItemPath
    details: ConnectionDetails
    validate: bool
    create_sql: str
    depends_on: tuple[GlobalId, ...]
    if_not_exists: bool = False


class CreateSecretPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_secret"):
    """CREATE SECRET; ``value`` is a bytea over no columns and is never stored in SQL."""

    name: ItemPath
    value: HirScalar
    create_sql: str
    if_not_exists: bool = False


class CreateTypePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_type"):
    """CREATE TYPE: ``definition`` is the structural type, its ``custom`` still unset."""

    name: ItemPath
    definition: ScalarType
    create_sql: str
    depends_on: tuple[GlobalId, ...]


class ManagedCluster(msgspec.Struct, frozen=True):
    """A cluster whose replicas r1 … rN are made and unmade for it."""

    size: str
    replication_factor: int = 1
    availability_zones: tuple[str, ...] = ()
    introspection_interval_ms: int | None = 1000  # None: off
    introspection_debugging: bool = False
    refresh_schedule: bool = False  # SCHEDULE = ON REFRESH
    hydration_time_estimate_ms: int = 0

    @property
    def hydration_estimate_ms(self) -> int | None:
        """Return the estimate of a cluster that runs for refreshes, None of any other."""
        return self.hydration_time_estimate_ms if self.refresh_schedule else None


class ReplicaConfig(msgspec.Struct, frozen=True):
    """A replica: of a size, started for it; or at addresses, started by hand."""

    size: str | None = None
    availability_zone: str | None = None
    compute_addresses: tuple[str, ...] = ()
    workers: int | None = None
    introspection_interval_ms: int | None = 1000
    introspection_debugging: bool = False
    billed_as: str | None = None
    internal: bool = False


class NamedReplica(msgspec.Struct, frozen=True):
    """A replica of an unmanaged cluster."""

    name: str
    config: ReplicaConfig


class UnmanagedCluster(msgspec.Struct, frozen=True):
    """A cluster with the replicas that the user lists."""

    replicas: tuple[NamedReplica, ...] = ()


class CreateClusterPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="create_cluster"):
    """CREATE CLUSTER; exactly one of ``managed`` and ``unmanaged`` is set."""

    name: str
    managed: ManagedCluster | None
    unmanaged: UnmanagedCluster | None
    workload_class: str | None = None
    if_not_exists: bool = False


class CreateClusterReplicaPlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="create_cluster_replica"
):
    """CREATE CLUSTER REPLICA."""

    cluster_id: ClusterId
    name: str
    config: ReplicaConfig
    if_not_exists: bool = False


class NetworkRule(msgspec.Struct, frozen=True):
    """One rule of a network policy."""

    name: str
    action: str
    direction: str
    address: str


class CreateNetworkPolicyPlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="create_network_policy"
):
    """CREATE NETWORK POLICY, or ALTER … SET (RULES …) with ``id``."""

    name: str
    rules: tuple[NetworkRule, ...]
    id: str | None = None


# --- drop and alter -------------------------------------------------------------------------------


class ObjectRef(msgspec.Struct, frozen=True):
    """An object of any kind."""

    type: ObjectType
    id: ObjectId


class DropObjectsPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="drop_objects"):
    """DROP. ``named`` are those of the statement; ``drops`` all that go, dependents first."""

    type: ObjectType
    named: tuple[ObjectRef, ...]
    drops: tuple[ObjectRef, ...]
    cascade: bool


class DropOwnedPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="drop_owned"):
    """DROP OWNED BY."""

    roles: tuple[RoleId, ...]
    drops: tuple[ObjectRef, ...]
    cascade: bool


class ReassignOwnedPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="reassign_owned"):
    """REASSIGN OWNED BY."""

    old_roles: tuple[RoleId, ...]
    new_role: RoleId


class AlterNoopPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_noop"):
    """ALTER … IF EXISTS of an object that does not exist."""

    type: ObjectType


class AlterRenamePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_rename"):
    """ALTER … RENAME TO."""

    object: ObjectRef
    old_name: str
    new_name: str


class AlterRenameColumnPlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="alter_rename_column"
):
    """ALTER … RENAME COLUMN; ``create_sql`` is the relation's statement, changed."""

    object: ObjectRef
    column: int
    new_name: str
    create_sql: str


class AlterSetSchemaPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_set_schema"):
    """ALTER … SET SCHEMA."""

    object: ObjectRef
    schema: SchemaId


class AlterSwapPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_swap"):
    """ALTER SCHEMA | CLUSTER … SWAP WITH."""

    left: ObjectRef
    right: ObjectRef


class AlterOwnerPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_owner"):
    """ALTER … OWNER TO."""

    object: ObjectRef
    new_owner: RoleId


class AlterReconfiguration(msgspec.Struct, frozen=True):
    """ALTER CLUSTER … WITH (WAIT …): keep the old replicas until the new are hydrated."""

    until_ready: bool
    timeout_ms: int
    commit_on_timeout: bool = True


class AlterClusterPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_cluster"):
    """ALTER CLUSTER SET/RESET; the whole new configuration, exactly one of the two."""

    id: ClusterId
    managed: ManagedCluster | None
    unmanaged: UnmanagedCluster | None
    workload_class: str | None = None
    reconfiguration: AlterReconfiguration | None = None


class AlterSizePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_size"):
    """ALTER SOURCE | SINK … SET (SIZE …): resizes the cluster of its own."""

    id: GlobalId
    cluster_id: ClusterId
    size: str


class AlterSetClusterPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_set_cluster"):
    """ALTER … SET CLUSTER."""

    id: GlobalId
    cluster_id: ClusterId


class AlterRetainHistoryPlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="alter_retain_history"
):
    """ALTER … SET | RESET (RETAIN HISTORY); None resets to the default."""

    id: GlobalId
    retain_history_ms: int | None
    create_sql: str = ""  # the object's statement, changed


class AlterTimestampIntervalPlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="alter_timestamp_interval"
):
    """ALTER SOURCE … SET | RESET (TIMESTAMP INTERVAL); None resets to the default."""

    id: GlobalId
    timestamp_interval_ms: int | None
    create_sql: str = ""  # the source's statement, changed


class AlterConnectionPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_connection"):
    """ALTER CONNECTION SET, DROP, RESET: the whole new details."""

    id: GlobalId
    details: ConnectionDetails
    validate: bool
    create_sql: str
    depends_on: tuple[GlobalId, ...]
    rotate_keys: bool = False


class AlterSecretPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_secret"):
    """ALTER SECRET … AS."""

    id: GlobalId
    value: HirScalar


class AlterSinkFromPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_sink_from"):
    """ALTER SINK … SET FROM: ``sink`` is the new definition, under the old name.

    ``as_of`` is the cut, which sequencing fills in: what the old input has up to it is written.
    """

    id: GlobalId
    sink: CreateSinkPlan
    as_of: int | None = None


class AlterSourceAddExportsPlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="alter_source_add_exports"
):
    """ALTER SOURCE … ADD SUBSOURCE."""

    id: GlobalId
    exports: tuple[SourceExport, ...]


class AlterTablePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_table"):
    """ALTER TABLE of columns and constraints: all of the table's, as they become.

    Attributes:
        origins: Per column its number among those that the table has, None for a new one.
        conversions: What columns that change their types become, over those that the table has.
        cascade: Whether what reads columns that go is dropped.
    """

    id: GlobalId
    columns: tuple[TableColumn, ...]
    desc: RelationDesc
    create_sql: str
    depends_on: tuple[GlobalId, ...]
    keys: tuple[KeyConstraint, ...]
    checks: tuple[CheckPlan, ...]
    origins: tuple[int | None, ...]
    conversions: Mapping[int, HirScalar]
    cascade: bool


class AlterApplyReplacementPlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="alter_apply_replacement"
):
    """ALTER MATERIALIZED VIEW … APPLY REPLACEMENT."""

    id: GlobalId
    replacement: GlobalId


class AlterRolePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_role"):
    """ALTER ROLE: attributes, or a variable's default (``values`` None resets it)."""

    id: RoleId
    attributes: RoleAttributes | None = None
    variable: str | None = None
    values: tuple[str, ...] | None = None


class AlterSystemSetPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="alter_system_set"):
    """ALTER SYSTEM SET | RESET; ``values`` None resets."""

    name: str
    values: tuple[str, ...] | None


class AlterSystemResetAllPlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="alter_system_reset_all"
):
    """ALTER SYSTEM RESET ALL."""


class CommentPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="comment"):
    """COMMENT ON; ``column`` counts from 0, None for the object itself; ``comment`` None drops."""

    object: ObjectRef
    column: int | None
    comment: str | None


# --- privileges -----------------------------------------------------------------------------------


class PrivilegesPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="privileges"):
    """GRANT and REVOKE of privileges; ``privileges`` are PostgreSQL's letters: ``arw``."""

    revoke: bool
    privileges: str
    objects: tuple[ObjectRef, ...]
    grantees: tuple[RoleId, ...]


class RoleMembershipPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="role_membership"):
    """GRANT and REVOKE of roles."""

    revoke: bool
    roles: tuple[RoleId, ...]
    members: tuple[RoleId, ...]


class DefaultPrivilegesPlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="default_privileges"
):
    """ALTER DEFAULT PRIVILEGES; ``roles`` empty means all roles."""

    revoke: bool
    privileges: str
    object_type: ObjectType
    roles: tuple[RoleId, ...]
    databases: tuple[DatabaseId, ...]
    schemas: tuple[SchemaId, ...]
    grantees: tuple[RoleId, ...]


DdlPlan = (
    CreateDatabasePlan
    | CreateSchemaPlan
    | CreateRolePlan
    | CreateTablePlan
    | CreateTableAsPlan
    | CreateTableFromSourcePlan
    | CreateViewPlan
    | CreateMaterializedViewPlan
    | CreateIndexPlan
    | CreateSourcePlan
    | CreateSinkPlan
    | CreateConnectionPlan
    | CreateSecretPlan
    | CreateTypePlan
    | CreateClusterPlan
    | CreateClusterReplicaPlan
    | CreateNetworkPolicyPlan
    | DropObjectsPlan
    | DropOwnedPlan
    | ReassignOwnedPlan
    | AlterNoopPlan
    | AlterRenamePlan
    | AlterRenameColumnPlan
    | AlterSetSchemaPlan
    | AlterSwapPlan
    | AlterOwnerPlan
    | AlterClusterPlan
    | AlterSizePlan
    | AlterSetClusterPlan
    | AlterRetainHistoryPlan
    | AlterTimestampIntervalPlan
    | AlterConnectionPlan
    | AlterSecretPlan
    | AlterSinkFromPlan
    | AlterSourceAddExportsPlan
    | AlterTablePlan
    | AlterApplyReplacementPlan
    | AlterRolePlan
    | AlterSystemSetPlan
    | AlterSystemResetAllPlan
    | CommentPlan
    | PrivilegesPlan
    | RoleMembershipPlan
    | DefaultPrivilegesPlan
)
