"""What every catalog starts with: roles, clusters, databases, schemas, privileges."""

import msgspec

from headwater.catalog.items import (
    Cluster,
    Database,
    NetworkPolicy,
    PolicyRule,
    Replica,
    Role,
    Schema,
)
from headwater.catalog.privileges import OF_KIND, Acl, AclItem, DefaultPrivilegeKey
from headwater.catalog.privileges import PUBLIC as PUBLIC
from headwater.types.ids import ClusterId, DatabaseId, PolicyId, ReplicaId, RoleId, SchemaId

MZ_SYSTEM = RoleId("s1")
MZ_SUPPORT = RoleId("s2")
MZ_ANALYTICS = RoleId("s3")
MZ_JWT_SYNC = RoleId("s4")
MZ_MONITOR = RoleId("g1")
MZ_MONITOR_REDACTED = RoleId("g2")
DEFAULT_ROLE = RoleId("u1")
DEFAULT_DATABASE = DatabaseId("u1")
DEFAULT_POLICY = PolicyId("u1")
PUBLIC_SCHEMA = SchemaId("u3")
QUICKSTART = ClusterId("u1")
SYSTEM_CLUSTER = ClusterId("s1")
CATALOG_CLUSTER = ClusterId("s2")
PROBE_CLUSTER = ClusterId("s3")
SUPPORT_CLUSTER = ClusterId("s4")
ANALYTICS_CLUSTER = ClusterId("s5")

DEFAULT_SIZE = "25cc"
# Object ids below are PostgreSQL's and the builtin relations'.
FIRST_USER_OID = 20_000
_FIRST_SYSTEM_OID = 16_600

SYSTEM_SCHEMA_NAMES = (
    "mz_catalog",
    "mz_internal",
    "pg_catalog",
    "information_schema",
    "mz_introspection",
    "mz_catalog_unstable",
    "mz_unsafe",
)
_SCHEMA_OIDS = {"pg_catalog": 11}


def is_system(id: str) -> bool:
    """Return whether the id is of an object or role that the system made: it stays as it is."""
    return id.startswith(("s", "g")) or id == PUBLIC


def _grants(owner: RoleId, *grants: tuple[RoleId, str]) -> Acl:
    return tuple(AclItem(grantee, owner, letters) for grantee, letters in grants)


_SCHEMA_GRANTS = _grants(MZ_SYSTEM, (PUBLIC, "U"), (MZ_SUPPORT, "U"), (MZ_SYSTEM, "UC"))
_PUBLIC_GRANTS = _grants(
    MZ_SYSTEM, (PUBLIC, "U"), (MZ_SUPPORT, "U"), (MZ_SYSTEM, "UC"), (DEFAULT_ROLE, "UC")
)


def system_schemas() -> tuple[Schema, ...]:
    """Return the schemas of the system: made by the program, never stored."""
    return tuple(
        Schema(
            id=SchemaId(f"s{number}"),
            oid=_SCHEMA_OIDS.get(name, _FIRST_SYSTEM_OID + number),
            name=name,
            owner=MZ_SYSTEM,
            privileges=_SCHEMA_GRANTS,
        )
        for number, name in enumerate(SYSTEM_SCHEMA_NAMES, start=1)
    )


# What sessions have executed is not for everyone: texts and parameters for one role, the rest for
# those that watch.
_WATCHERS = (MZ_ANALYTICS, MZ_MONITOR, MZ_MONITOR_REDACTED, MZ_SUPPORT)
_READERS: dict[str, tuple[RoleId, ...]] = {
    "mz_activity_log_thinned": (MZ_MONITOR,),
    "mz_recent_activity_log": (MZ_MONITOR,),
    "mz_recent_activity_log_thinned": (MZ_MONITOR,),
    "mz_recent_sql_text": (MZ_MONITOR,),
    "mz_sql_text": (MZ_MONITOR,),
    "mz_statement_execution_history": (MZ_MONITOR,),
    "mz_prepared_statement_history": _WATCHERS,
    "mz_recent_activity_log_redacted": _WATCHERS,
    "mz_recent_sql_text_redacted": _WATCHERS,
    "mz_sql_text_redacted": _WATCHERS,
    "mz_statement_execution_history_redacted": _WATCHERS,
    "mz_statement_lifecycle_history": _WATCHERS,
}


def builtin_privileges(kind: str, name: str = "") -> Acl:
    """Return the privileges of a builtin item: everyone reads it, the system does as it likes.

    Args:
        kind: The kind of item.
        name: A relation's name: some are for few roles.
    """
    public = "U" if kind == "type" else "r"
    readers = _READERS.get(name, (PUBLIC,))
    own = (MZ_SYSTEM, OF_KIND.get(kind, public))
    return _grants(MZ_SYSTEM, *((role, public) for role in readers), own)


class Initial(msgspec.Struct, frozen=True):
    """The objects of a new catalog."""

    databases: tuple[Database, ...]
    schemas: tuple[Schema, ...]
    clusters: tuple[Cluster, ...]
    roles: tuple[Role, ...]
    policies: tuple[NetworkPolicy, ...]
    system_privileges: Acl
    default_privileges: dict[DefaultPrivilegeKey, str]


def initial_objects(*, size: str = DEFAULT_SIZE, user: str = "materialize") -> Initial:
    """Return what a new catalog holds besides builtin items."""
    return Initial(
        databases=(
            Database(
                id=DEFAULT_DATABASE,
                oid=FIRST_USER_OID,
                name="materialize",
                owner=MZ_SYSTEM,
                privileges=_PUBLIC_GRANTS,
            ),
        ),
        schemas=(
            Schema(
                id=PUBLIC_SCHEMA,
                oid=FIRST_USER_OID + 1,
                name="public",
                owner=MZ_SYSTEM,
                database=DEFAULT_DATABASE,
                privileges=_PUBLIC_GRANTS,
            ),
        ),
        clusters=(
            *system_clusters(size),
            _cluster(QUICKSTART, "quickstart", "u1", size, MZ_SYSTEM, _PUBLIC_GRANTS),
        ),
        roles=(
            *system_roles(),
            Role(id=DEFAULT_ROLE, oid=FIRST_USER_OID + 2, name=user),
        ),
        policies=(
            NetworkPolicy(
                id=DEFAULT_POLICY,
                oid=FIRST_USER_OID + 3,
                name="default",
                owner=MZ_SYSTEM,
                rules=(PolicyRule("open_ingress", "allow", "ingress", "0.0.0.0/0"),),
                privileges=_grants(MZ_SYSTEM, (PUBLIC, "U"), (MZ_SUPPORT, "U"), (MZ_SYSTEM, "U")),
            ),
        ),
        system_privileges=_grants(MZ_SYSTEM, (MZ_SYSTEM, "RBNP"), (DEFAULT_ROLE, "RBNP")),
        default_privileges={
            DefaultPrivilegeKey(PUBLIC, kind, grantee): "U"
            for kind, grantee in (
                ("cluster", MZ_SUPPORT),
                ("database", MZ_SUPPORT),
                ("schema", MZ_SUPPORT),
                ("type", PUBLIC),
            )
        },
    )


def system_roles() -> tuple[Role, ...]:
    """Return the roles of the system; the catalog of an older program may lack some."""
    # Whether they may log in: None where nothing says so, which pg_user shows as no user.
    made: tuple[tuple[RoleId, str, bool, bool | None], ...] = (
        (MZ_SYSTEM, "mz_system", True, True),
        (MZ_SUPPORT, "mz_support", False, True),
        (MZ_ANALYTICS, "mz_analytics", False, None),
        (MZ_JWT_SYNC, "mz_jwt_sync", False, None),
        (MZ_MONITOR, "mz_monitor", False, False),
        (MZ_MONITOR_REDACTED, "mz_monitor_redacted", False, False),
    )
    return tuple(
        Role(
            id=id,
            oid=_FIRST_SYSTEM_OID + 20 + number,
            name=name,
            login=login,
            superuser=superuser,
        )
        for number, (id, name, superuser, login) in enumerate(made)
    )


def system_clusters(size: str) -> tuple[Cluster, ...]:
    """Return the clusters of the system; only the catalog's has a replica."""
    support_too = _grants(MZ_SYSTEM, (MZ_SUPPORT, "U"), (MZ_SYSTEM, "UC"))
    catalog = _grants(MZ_SYSTEM, (PUBLIC, "U"), (MZ_SUPPORT, "UC"), (MZ_SYSTEM, "UC"))
    probe = _grants(MZ_SYSTEM, (MZ_MONITOR, "U"), (MZ_SUPPORT, "U"), (MZ_SYSTEM, "UC"))
    support = _grants(MZ_SUPPORT, (MZ_SUPPORT, "UC"), (MZ_SYSTEM, "UC"))
    analytics = _grants(MZ_ANALYTICS, (MZ_ANALYTICS, "UC"), (MZ_SYSTEM, "UC"))
    return (
        _cluster(SYSTEM_CLUSTER, "mz_system", None, size, MZ_SYSTEM, support_too),
        _cluster(CATALOG_CLUSTER, "mz_catalog_server", "s2", size, MZ_SYSTEM, catalog),
        _cluster(PROBE_CLUSTER, "mz_probe", None, size, MZ_SYSTEM, probe),
        _cluster(SUPPORT_CLUSTER, "mz_support", None, size, MZ_SUPPORT, support),
        _cluster(ANALYTICS_CLUSTER, "mz_analytics", None, size, MZ_ANALYTICS, analytics),
    )


def _cluster(
    id: ClusterId, name: str, replica: str | None, size: str, owner: RoleId, privileges: Acl
) -> Cluster:
    replicas = (
        ()
        if replica is None
        else (Replica(id=ReplicaId(replica), name="r1", cluster=id, owner=owner, size=size),)
    )
    return Cluster(
        id=id,
        name=name,
        owner=owner,
        size=size,
        replication_factor=len(replicas),
        replicas=replicas,
        privileges=privileges,
    )
