"""What every catalog starts with: roles, clusters, databases, schemas."""

import msgspec

from headwater.catalog.items import Cluster, Database, Replica, Role, Schema
from headwater.types.ids import ClusterId, DatabaseId, ReplicaId, RoleId, SchemaId

MZ_SYSTEM = RoleId("s1")
MZ_SUPPORT = RoleId("s2")
PUBLIC = RoleId("p")
DEFAULT_ROLE = RoleId("u1")
DEFAULT_DATABASE = DatabaseId("u1")
PUBLIC_SCHEMA = SchemaId("u3")
QUICKSTART = ClusterId("u1")
SYSTEM_CLUSTER = ClusterId("s1")
CATALOG_CLUSTER = ClusterId("s2")

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


def system_schemas() -> tuple[Schema, ...]:
    """Return the schemas of the system: made by the program, never stored."""
    return tuple(
        Schema(
            id=SchemaId(f"s{number}"),
            oid=_SCHEMA_OIDS.get(name, _FIRST_SYSTEM_OID + number),
            name=name,
            owner=MZ_SYSTEM,
        )
        for number, name in enumerate(SYSTEM_SCHEMA_NAMES, start=1)
    )


class Initial(msgspec.Struct, frozen=True):
    """The objects of a new catalog."""

    databases: tuple[Database, ...]
    schemas: tuple[Schema, ...]
    clusters: tuple[Cluster, ...]
    roles: tuple[Role, ...]


def initial_objects(*, size: str = DEFAULT_SIZE, user: str = "materialize") -> Initial:
    """Return what a new catalog holds besides builtin items."""
    return Initial(
        databases=(
            Database(id=DEFAULT_DATABASE, oid=FIRST_USER_OID, name="materialize", owner=MZ_SYSTEM),
        ),
        schemas=(
            Schema(
                id=PUBLIC_SCHEMA,
                oid=FIRST_USER_OID + 1,
                name="public",
                owner=DEFAULT_ROLE,
                database=DEFAULT_DATABASE,
            ),
        ),
        clusters=(
            _cluster(SYSTEM_CLUSTER, "mz_system", "s1", size, MZ_SYSTEM, replicas=0),
            _cluster(CATALOG_CLUSTER, "mz_catalog_server", "s2", size, MZ_SYSTEM),
            _cluster(QUICKSTART, "quickstart", "u1", size, DEFAULT_ROLE),
        ),
        roles=(
            Role(id=MZ_SYSTEM, oid=_FIRST_SYSTEM_OID + 20, name="mz_system", superuser=True),
            Role(id=MZ_SUPPORT, oid=_FIRST_SYSTEM_OID + 21, name="mz_support"),
            Role(id=DEFAULT_ROLE, oid=FIRST_USER_OID + 2, name=user, superuser=True),
        ),
    )


def _cluster(
    id: ClusterId, name: str, replica: str, size: str, owner: RoleId, *, replicas: int = 1
) -> Cluster:
    made = tuple(
        Replica(id=ReplicaId(replica), name="r1", cluster=id, owner=owner, size=size)
        for _ in range(replicas)
    )
    return Cluster(
        id=id, name=name, owner=owner, size=size, replication_factor=replicas, replicas=made
    )
