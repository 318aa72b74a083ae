"""What a catalog transaction may do: one struct an operation."""

import msgspec

from headwater.catalog.items import (
    CatalogItem,
    Cluster,
    CommentKey,
    Database,
    NetworkPolicy,
    Role,
    Schema,
)
from headwater.catalog.privileges import Acl, DefaultPrivilegeKey
from headwater.types.ids import ClusterId, DatabaseId, GlobalId, PolicyId, RoleId, SchemaId

CatalogObject = Database | Schema | CatalogItem | Cluster | Role | NetworkPolicy


class RefreshDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Whether SCHEDULE = ON REFRESH wants a cluster on, and on account of which views."""

    objects_needing_refresh: tuple[GlobalId, ...]
    objects_needing_compaction: tuple[GlobalId, ...]
    hydration_time_estimate_ms: int

    @property
    def is_on(self) -> bool:
        """Return whether anything needs the cluster."""
        return bool(self.objects_needing_refresh or self.objects_needing_compaction)


class Create(msgspec.Struct, frozen=True):
    """Add an object whose id is new; one without privileges gets those of new objects.

    ``provisioned``: a role that its first login makes, which the audit log tells apart.
    """

    object: CatalogObject
    provisioned: bool = False


class Update(msgspec.Struct, frozen=True):
    """Replace the object of the same id.

    ``applied`` is whose definition it takes over, if any. ``decision`` is why a schedule turned the
    cluster on or off, as the audit log tells it; None where somebody wanted it so.
    """

    object: CatalogObject
    applied: CatalogItem | None = None
    decision: RefreshDecision | None = None


class DropDatabase(msgspec.Struct, frozen=True):
    """Remove an empty database."""

    id: DatabaseId


class DropSchema(msgspec.Struct, frozen=True):
    """Remove an empty schema."""

    id: SchemaId


class DropItem(msgspec.Struct, frozen=True):
    """Remove an item that nothing left depends on."""

    id: GlobalId


class DropCluster(msgspec.Struct, frozen=True):
    """Remove a cluster that nothing runs on, with its replicas."""

    id: ClusterId


class DropRole(msgspec.Struct, frozen=True):
    """Remove a role that owns nothing."""

    id: RoleId


class DropPolicy(msgspec.Struct, frozen=True):
    """Remove a network policy."""

    id: PolicyId


class SetSystemPrivileges(msgspec.Struct, frozen=True):
    """Set the privileges on the system itself."""

    privileges: Acl


class SetDefaultPrivilege(msgspec.Struct, frozen=True):
    """Set what new objects grant; no letters remove it."""

    key: DefaultPrivilegeKey
    letters: str


class SetVariable(msgspec.Struct, frozen=True):
    """Set a system variable's default; None resets it."""

    name: str
    value: str | None


class ResetVariables(msgspec.Struct, frozen=True):
    """Reset all system variables."""


class SetComment(msgspec.Struct, frozen=True):
    """Set, or with None remove, the comment on an object or column."""

    key: CommentKey
    comment: str | None


class SetSecret(msgspec.Struct, frozen=True):
    """Set, or with None remove, the bytes of a secret."""

    id: GlobalId
    value: bytes | None


Op = (
    Create
    | Update
    | DropDatabase
    | DropSchema
    | DropItem
    | DropCluster
    | DropRole
    | DropPolicy
    | SetSystemPrivileges
    | SetDefaultPrivilege
    | SetVariable
    | ResetVariables
    | SetComment
    | SetSecret
)
