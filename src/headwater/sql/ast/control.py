"""Clusters, replicas, roles, privileges, network policies."""

from __future__ import annotations

import enum

from headwater.sql.ast.base import Node, ObjectKind, ObjectName
from headwater.sql.ast.option import Option
from headwater.sql.ast.query import Expr

# --- clusters -------------------------------------------------------------------------------------


class CreateCluster(Node, frozen=True, gc=False):
    """``CREATE CLUSTER name [(]options[)] [FEATURES (options)]``.

    An unmanaged cluster has an option ``replicas``: an ``OptionList`` of ``ReplicaDefinition``.
    """

    name: str
    options: tuple[Option, ...]
    features: tuple[Option, ...] = ()
    if_not_exists: bool = False


class CreateClusterReplica(Node, frozen=True, gc=False):
    """``CREATE CLUSTER REPLICA cluster.replica [(]options[)]``."""

    cluster: str
    replica: str
    options: tuple[Option, ...]
    if_not_exists: bool = False


# --- network policies -----------------------------------------------------------------------------


class CreateNetworkPolicy(Node, frozen=True, gc=False):
    """``CREATE NETWORK POLICY name (options)``: ``rules`` is a list of ``PolicyRule``."""

    name: str
    options: tuple[Option, ...]


# --- roles ----------------------------------------------------------------------------------------


class RoleAttributeKind(enum.StrEnum):
    """What CREATE and ALTER ROLE may say; the planner refuses some."""

    INHERIT = "INHERIT"
    NOINHERIT = "NOINHERIT"
    LOGIN = "LOGIN"
    NOLOGIN = "NOLOGIN"
    SUPERUSER = "SUPERUSER"
    NOSUPERUSER = "NOSUPERUSER"
    CREATECLUSTER = "CREATECLUSTER"
    NOCREATECLUSTER = "NOCREATECLUSTER"
    CREATEDB = "CREATEDB"
    NOCREATEDB = "NOCREATEDB"
    CREATEROLE = "CREATEROLE"
    NOCREATEROLE = "NOCREATEROLE"
    PASSWORD = "PASSWORD"


class RoleAttribute(Node, frozen=True, gc=False):
    """An attribute; ``password`` is PASSWORD's text, None for PASSWORD NULL and all others."""

    kind: RoleAttributeKind
    password: str | None = None


class CreateRole(Node, frozen=True, gc=False):
    """``CREATE ROLE name [WITH] attribute …``."""

    name: str
    attributes: tuple[RoleAttribute, ...] = ()


class AlterRoleAttributes(Node, frozen=True, gc=False):
    """``ALTER ROLE name [WITH] attribute …``."""

    name: str
    attributes: tuple[RoleAttribute, ...]


class AlterRoleSet(Node, frozen=True, gc=False):
    """``ALTER ROLE name SET variable TO value, …``; no values is DEFAULT."""

    name: str
    variable: str
    values: tuple[Expr | ObjectName, ...]


class AlterRoleReset(Node, frozen=True, gc=False):
    """``ALTER ROLE name RESET variable``."""

    name: str
    variable: str


class GrantRole(Node, frozen=True, gc=False):
    """``GRANT role, … TO member, …``."""

    roles: tuple[str, ...]
    members: tuple[str, ...]


class RevokeRole(Node, frozen=True, gc=False):
    """``REVOKE role, … FROM member, …``."""

    roles: tuple[str, ...]
    members: tuple[str, ...]


# --- privileges -----------------------------------------------------------------------------------


class Privilege(enum.StrEnum):
    """What may be granted."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    USAGE = "USAGE"
    CREATE = "CREATE"
    CREATEROLE = "CREATEROLE"
    CREATEDB = "CREATEDB"
    CREATECLUSTER = "CREATECLUSTER"
    CREATENETWORKPOLICY = "CREATENETWORKPOLICY"


class GrantTarget(Node, frozen=True, gc=False):
    """``ON <kind> name, …``, ``ON ALL <kind>s [IN SCHEMA | DATABASE name, …]``, or ``ON SYSTEM``.

    ``all`` tells the second form, whose ``in_schemas`` or ``in_databases`` bound it.
    """

    kind: ObjectKind
    names: tuple[ObjectName, ...] = ()
    all: bool = False
    in_schemas: tuple[ObjectName, ...] = ()
    in_databases: tuple[str, ...] = ()


class GrantPrivileges(Node, frozen=True, gc=False):
    """``GRANT privilege, … ON target TO role, …``; ``privileges`` is None for ALL."""

    privileges: tuple[Privilege, ...] | None
    target: GrantTarget
    roles: tuple[str, ...]


class RevokePrivileges(Node, frozen=True, gc=False):
    """``REVOKE privilege, … ON target FROM role, …``; ``privileges`` is None for ALL."""

    privileges: tuple[Privilege, ...] | None
    target: GrantTarget
    roles: tuple[str, ...]


class AlterDefaultPrivileges(Node, frozen=True, gc=False):
    """``ALTER DEFAULT PRIVILEGES [FOR …] [IN …] GRANT | REVOKE … ON <kind>s TO | FROM …``.

    ``for_roles`` is empty for the current role, None for ALL ROLES.
    """

    privileges: tuple[Privilege, ...] | None
    kind: ObjectKind
    roles: tuple[str, ...]
    revoke: bool = False
    for_roles: tuple[str, ...] | None = ()
    in_schemas: tuple[ObjectName, ...] = ()
    in_databases: tuple[str, ...] = ()
