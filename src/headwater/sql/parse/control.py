"""Clusters, network policies, roles, privileges. Rules are entered after the kind's word."""

from headwater.sql.ast.base import ObjectKind, ObjectName
from headwater.sql.ast.control import (
    AlterDefaultPrivileges,
    AlterRoleAttributes,
    AlterRoleReset,
    AlterRoleSet,
    CreateCluster,
    CreateClusterReplica,
    CreateNetworkPolicy,
    CreateRole,
    GrantPrivileges,
    GrantRole,
    GrantTarget,
    Privilege,
    RevokePrivileges,
    RevokeRole,
    RoleAttribute,
    RoleAttributeKind,
)
from headwater.sql.parse.kind import optional_kind, plural_kind
from headwater.sql.parse.option import option_list, options
from headwater.sql.parse.session import variable_change
from headwater.sql.parse.show import variable_name
from headwater.sql.parse.stream import TokenStream

# --- clusters -------------------------------------------------------------------------------------

# The first words of a cluster's options, as a syntax error names them.
_CLUSTER_OPTIONS = (
    "AVAILABILITY",
    "DISK",
    "INTROSPECTION",
    "MANAGED",
    "REPLICAS",
    "REPLICATION",
    "SIZE",
    "SCHEDULE",
    "WORKLOAD",
)


def create_cluster(p: TokenStream, position: int) -> CreateCluster | CreateClusterReplica:
    """Read what follows CREATE CLUSTER."""
    if p.accept("REPLICA"):
        return _replica(p, position)
    if_not_exists = p.if_not_exists()
    name = p.name("a cluster")
    if p.key != "(" and p.key not in _CLUSTER_OPTIONS:
        p.fail(*_CLUSTER_OPTIONS)
    found = option_list(p) if p.key == "(" else options(p)
    features = option_list(p) if p.accept("FEATURES") else ()
    return CreateCluster(name, found, features, if_not_exists, position=position)


def _replica(p: TokenStream, position: int) -> CreateClusterReplica:
    if_not_exists = p.if_not_exists()
    cluster = p.name("a cluster")
    p.expect(".")
    replica = p.label("a replica")
    found = option_list(p) if p.key == "(" else options(p)
    return CreateClusterReplica(cluster, replica, found, if_not_exists, position=position)


def create_network_policy(p: TokenStream, position: int) -> CreateNetworkPolicy:
    """Read what follows CREATE NETWORK POLICY."""
    return CreateNetworkPolicy(p.name("a network policy"), option_list(p), position=position)


# --- roles ----------------------------------------------------------------------------------------


def create_role(p: TokenStream, position: int) -> CreateRole:
    """Read what follows CREATE ROLE."""
    name = p.name("a role")
    p.accept("WITH")
    return CreateRole(name, _attributes(p), position=position)


def _attributes(p: TokenStream) -> tuple[RoleAttribute, ...]:
    found = []
    while p.key in RoleAttributeKind.__members__:
        position = p.position
        kind = RoleAttributeKind(p.key)
        p.advance()
        password = None
        if kind is RoleAttributeKind.PASSWORD and not p.accept("NULL"):
            password = p.string("a password or NULL")
        found.append(RoleAttribute(kind, password, position=position))
    return tuple(found)


def alter_role(
    p: TokenStream, position: int
) -> AlterRoleAttributes | AlterRoleSet | AlterRoleReset:
    """Read what follows ALTER ROLE, but for RENAME and OWNER."""
    name = p.name("a role")
    if p.accept("SET"):
        variable, values = variable_change(p)
        return AlterRoleSet(name, variable, values, position=position)
    if p.accept("RESET"):
        return AlterRoleReset(name, variable_name(p), position=position)
    p.accept("WITH")
    attributes = _attributes(p)
    if not attributes:
        p.fail("a role attribute", "SET", "RESET")
    return AlterRoleAttributes(name, attributes, position=position)


# --- privileges -----------------------------------------------------------------------------------


def grant(p: TokenStream) -> GrantRole | GrantPrivileges:
    """Read a GRANT; entered on it."""
    position = p.position
    p.expect("GRANT")
    if _names_roles(p):
        roles = p.names("a role")
        p.expect("TO")
        return GrantRole(roles, _grantees(p), position=position)
    privileges = _privileges(p)
    target = _target(p)
    p.expect("TO")
    return GrantPrivileges(privileges, target, _grantees(p), position=position)


def revoke(p: TokenStream) -> RevokeRole | RevokePrivileges:
    """Read a REVOKE; entered on it."""
    position = p.position
    p.expect("REVOKE")
    if _names_roles(p):
        roles = p.names("a role")
        p.expect("FROM")
        return RevokeRole(roles, _grantees(p), position=position)
    privileges = _privileges(p)
    target = _target(p)
    p.expect("FROM")
    return RevokePrivileges(privileges, target, _grantees(p), position=position)


def _names_roles(p: TokenStream) -> bool:
    """Return whether roles rather than privileges follow: then no ON comes before TO or FROM."""
    index = p.i
    while p.keys[index] not in ("ON", "TO", "FROM", "", ";"):
        index += 1
    return p.keys[index] != "ON"


def _grantees(p: TokenStream) -> tuple[str, ...]:
    found = []
    while True:
        p.accept("GROUP")
        found.append(p.name("a role"))
        if not p.accept(","):
            return tuple(found)


def _privileges(p: TokenStream) -> tuple[Privilege, ...] | None:
    if p.accept("ALL"):
        p.accept("PRIVILEGES")
        return None
    found = [Privilege(p.expect_any(*Privilege.__members__))]
    while p.accept(","):
        found.append(Privilege(p.expect_any(*Privilege.__members__)))
    return tuple(found)


def _target(p: TokenStream) -> GrantTarget:
    position = p.position
    p.expect("ON")
    if p.accept("SYSTEM"):
        return GrantTarget(ObjectKind.SYSTEM, position=position)
    if p.key == "ALL" and p.peek() not in (",", "TO", "FROM", "."):
        p.advance()
        kind = plural_kind(p)
        if kind is None:
            p.fail("a kind of objects")
        schemas, databases = _in_containers(p)
        return GrantTarget(kind, (), True, schemas, databases, position=position)
    single: ObjectKind | None = None
    if p.peek() not in (",", "TO", "FROM", "."):
        single = optional_kind(p)
    names = p.object_names("an object")
    return GrantTarget(single or ObjectKind.TABLE, names, position=position)


def _in_containers(p: TokenStream) -> tuple[tuple[ObjectName, ...], tuple[str, ...]]:
    if p.accept_all("IN", "SCHEMA"):
        return p.object_names("a schema"), ()
    if p.accept_all("IN", "DATABASE"):
        return (), p.names("a database")
    return (), ()


def alter_default_privileges(p: TokenStream, position: int) -> AlterDefaultPrivileges:
    """Read what follows ALTER DEFAULT PRIVILEGES."""
    for_roles: tuple[str, ...] | None = ()
    if p.accept_all("FOR", "ALL", "ROLES"):
        for_roles = None
    elif p.accept("FOR"):
        p.expect_any("ROLE", "USER")
        for_roles = p.names("a role")
    schemas, databases = _in_containers(p)
    revoke_ = p.expect_any("GRANT", "REVOKE") == "REVOKE"
    privileges = _privileges(p)
    p.expect("ON")
    kind = plural_kind(p)
    if kind is None:
        p.fail("a kind of objects")
    p.expect("FROM" if revoke_ else "TO")
    return AlterDefaultPrivileges(
        privileges, kind, _grantees(p), revoke_, for_roles, schemas, databases, position=position
    )
