"""GRANT and REVOKE of privileges and roles, ALTER DEFAULT PRIVILEGES, and changes of owners."""

from collections.abc import Iterable

import msgspec

from headwater.adapter.sequencer.ddl import Work
from headwater.adapter.session import notice
from headwater.catalog.builtin.initial import MZ_SYSTEM
from headwater.catalog.builtin.roles import reach
from headwater.catalog.items import Index, Item, Membership, NetworkPolicy, Role
from headwater.catalog.ops import (
    CatalogObject,
    Op,
    SetDefaultPrivilege,
    SetSystemPrivileges,
    Update,
)
from headwater.catalog.privileges import (
    OF_KIND,
    PUBLIC,
    Acl,
    DefaultPrivilegeKey,
    granted,
    in_order,
    revoked,
    transferred,
    without_role,
)
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import ErrorFields, FeatureNotSupported, InvalidGrantOperation
from headwater.sql.plan import ddl
from headwater.sql.plan.ddl import ObjectRef, ObjectType
from headwater.types.ids import ClusterId, DatabaseId, GlobalId, PolicyId, RoleId, SchemaId

Owned = CatalogObject


def find(snapshot: CatalogSnapshot, ref: ObjectRef) -> CatalogObject:
    """Return the object that ``ref`` names. Raises: UndefinedObject."""
    match ref.type:
        case ObjectType.DATABASE:
            return snapshot.databases[DatabaseId(ref.id)]
        case ObjectType.SCHEMA:
            return snapshot.schemas[SchemaId(ref.id)]
        case ObjectType.CLUSTER:
            return snapshot.clusters[ClusterId(ref.id)]
        case ObjectType.ROLE:
            return snapshot.roles[RoleId(ref.id)]
        case ObjectType.NETWORK_POLICY:
            return snapshot.policies[PolicyId(ref.id)]
        case ObjectType.CLUSTER_REPLICA | ObjectType.SYSTEM:
            raise FeatureNotSupported(f"ALTER {ref.type.value.upper()} is not supported")
        case _:
            return snapshot.item(GlobalId(ref.id))


def _kind(entity: CatalogObject) -> str:
    if isinstance(entity, Item):
        return entity.kind.noun
    return "network policy" if isinstance(entity, NetworkPolicy) else type(entity).__name__.lower()


def _changed(acl: Acl, plan: ddl.PrivilegesPlan, grantor: RoleId, kind: str) -> Acl:
    letters = "".join(letter for letter in plan.privileges if letter in OF_KIND.get(kind, ""))
    change = revoked if plan.revoke else granted
    for grantee in plan.grantees if letters else ():
        acl = change(acl, grantee, grantor, letters)
    return acl


def prepare_privileges(snapshot: CatalogSnapshot, plan: ddl.PrivilegesPlan) -> Work:
    """GRANT and REVOKE: an object's owner is the grantor, whoever says it."""
    ops: list[Op] = []
    for ref in plan.objects:
        if ref.type is ObjectType.SYSTEM:
            acl = _changed(snapshot.system_privileges, plan, MZ_SYSTEM, "system")
            if acl != snapshot.system_privileges:
                ops.append(SetSystemPrivileges(acl))
            continue
        entity = find(snapshot, ref)
        if isinstance(entity, Role):
            raise FeatureNotSupported("a role has no privileges on it")
        acl = _changed(entity.privileges, plan, entity.owner, _kind(entity))
        if acl != entity.privileges:
            ops.append(Update(msgspec.structs.replace(entity, privileges=acl)))
    return Work(tag="REVOKE" if plan.revoke else "GRANT", ops=tuple(ops))


def prepare_default_privileges(snapshot: CatalogSnapshot, plan: ddl.DefaultPrivilegesPlan) -> Work:
    """ALTER DEFAULT PRIVILEGES."""
    places: list[tuple[DatabaseId | None, SchemaId | None]] = [
        *((database, None) for database in plan.databases),
        *((snapshot.schemas[schema].database, schema) for schema in plan.schemas),
    ]
    ops: list[Op] = []
    for role in plan.roles or (PUBLIC,):
        for database, schema in places or [(None, None)]:
            for grantee in plan.grantees:
                key = DefaultPrivilegeKey(role, plan.object_type.value, grantee, database, schema)
                old = snapshot.default_privileges.get(key, "")
                if plan.revoke:
                    new = "".join(letter for letter in old if letter not in plan.privileges)
                else:
                    new = in_order(old + plan.privileges)
                if new != old:
                    ops.append(SetDefaultPrivilege(key, new))
    return Work(tag="ALTER DEFAULT PRIVILEGES", ops=tuple(ops))


# Roles


def prepare_membership(snapshot: CatalogSnapshot, plan: ddl.RoleMembershipPlan) -> Work:
    """GRANT and REVOKE of roles; what is so already is told and left.

    Raises: InvalidGrantOperation: A role would be a member of itself.
    """
    ops: list[Op] = []
    notices: list[ErrorFields] = []
    for id in plan.members:
        member = snapshot.roles[id]
        groups = list(member.groups)
        for group in plan.roles:
            name = snapshot.roles[group].name
            has = any(held.role == group for held in groups)
            if plan.revoke:
                if not has:
                    said = f'role "{member.name}" is not a member of role "{name}"'
                    notices.append(notice(said, "01000"))
                groups = [held for held in groups if held.role != group]
            elif has:
                said = f'role "{member.name}" is already a member of role "{name}"'
                notices.append(notice(said))
            elif id in reach(snapshot.roles, group):
                raise InvalidGrantOperation(f'role "{name}" is a member of role "{member.name}"')
            else:
                groups.append(Membership(group, MZ_SYSTEM))
        if tuple(groups) != member.groups:
            ops.append(Update(msgspec.structs.replace(member, groups=tuple(groups))))
    tag = "REVOKE ROLE" if plan.revoke else "GRANT ROLE"
    return Work(tag=tag, ops=tuple(ops), notices=tuple(notices))


# Owners


def with_owner(entity: CatalogObject, owner: RoleId) -> CatalogObject:
    """Return an object owned by ``owner``, with privileges as that has it."""
    if isinstance(entity, Role):
        raise FeatureNotSupported("a role has no owner")
    acl = transferred(entity.privileges, entity.owner, owner)
    changed: CatalogObject = msgspec.structs.replace(entity, owner=owner, privileges=acl)
    return changed


def _everything(snapshot: CatalogSnapshot) -> Iterable[CatalogObject]:
    yield from snapshot.databases.values()
    yield from snapshot.schemas.values()
    yield from snapshot.items.values()
    yield from snapshot.clusters.values()
    yield from snapshot.policies.values()


def prepare_owner(snapshot: CatalogSnapshot, plan: ddl.AlterOwnerPlan) -> Work:
    """ALTER … OWNER TO: indexes follow their relation."""
    tag = f"ALTER {plan.object.type.value.upper()}"
    entity = find(snapshot, plan.object)
    if isinstance(entity, Index):
        return Work(tag=tag, notices=(notice("an index belongs to the owner of its relation"),))
    ops: list[Op] = [Update(with_owner(entity, plan.new_owner))]
    ops.extend(
        Update(with_owner(index, plan.new_owner))
        for index in snapshot.indexes_on(GlobalId(plan.object.id))
    )
    return Work(tag=tag, ops=tuple(ops))


def prepare_reassign(snapshot: CatalogSnapshot, plan: ddl.ReassignOwnedPlan) -> Work:
    """REASSIGN OWNED BY."""
    ops = tuple(
        Update(with_owner(entity, plan.new_role))
        for entity in _everything(snapshot)
        if not isinstance(entity, Role) and entity.owner in plan.old_roles
    )
    return Work(tag="REASSIGN OWNED", ops=ops)


def forget_roles(snapshot: CatalogSnapshot, roles: Iterable[RoleId], dropped: set[str]) -> list[Op]:
    """Return what takes all that roles were granted away from them: DROP OWNED does.

    ``dropped`` are the ids of the objects that go anyway.
    """
    gone = set(roles)
    ops: list[Op] = []
    for entity in _everything(snapshot):
        if isinstance(entity, Role) or entity.id in dropped:
            continue
        acl = entity.privileges
        for role in gone:
            acl = without_role(acl, role)
        if acl != entity.privileges:
            ops.append(Update(msgspec.structs.replace(entity, privileges=acl)))
    system = tuple(item for item in snapshot.system_privileges if item.grantee not in gone)
    if system != snapshot.system_privileges:
        ops.append(SetSystemPrivileges(system))
    ops.extend(
        SetDefaultPrivilege(key, "")
        for key in snapshot.default_privileges
        if key.role in gone or key.grantee in gone
    )
    return ops
