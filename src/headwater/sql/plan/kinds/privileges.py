"""GRANT and REVOKE of privileges and roles, ALTER DEFAULT PRIVILEGES."""

from collections.abc import Sequence

from headwater.catalog.builtin.initial import is_system
from headwater.catalog.items import ItemKind, relation_desc
from headwater.catalog.privileges import OF_KIND, PRIVILEGES, PUBLIC, in_order
from headwater.errors import (
    InsufficientPrivilege,
    InvalidGrantOperation,
    ReservedName,
    SyntaxError_,
    WrongObjectType,
)
from headwater.sql.ast import control
from headwater.sql.ast.base import Node, ObjectKind, ObjectName
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.ddl import (
    DefaultPrivilegesPlan,
    ObjectRef,
    ObjectType,
    PrivilegesPlan,
    RoleMembershipPlan,
)
from headwater.sql.plan.item_kinds import item_kind
from headwater.sql.plan.kinds.altering import item_ref, object_type, resolve_object
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.types.ids import ClusterId, DatabaseId, GlobalId, RoleId, SchemaId

_RELATIONS = (ObjectType.VIEW, ObjectType.MATERIALIZED_VIEW, ObjectType.SOURCE)
_SHOWN_ORDER = (
    "SELECT",
    "INSERT",
    *(name for name in PRIVILEGES.values() if name not in ("SELECT", "INSERT")),
)
_LETTERS = {name: letter for letter, name in PRIVILEGES.items()}
_DEFAULT_KINDS = frozenset(
    {
        ObjectType.TABLE,
        ObjectType.TYPE,
        ObjectType.SECRET,
        ObjectType.CONNECTION,
        ObjectType.SCHEMA,
        ObjectType.DATABASE,
        ObjectType.CLUSTER,
    }
)
_NOT_IN_SCHEMA = (ObjectType.SCHEMA, ObjectType.DATABASE, ObjectType.CLUSTER)
_NOT_IN_DATABASE = (ObjectType.DATABASE, ObjectType.CLUSTER)
_RESERVED_DETAIL = 'The role prefixes "mz_" and "pg_" are reserved for system roles.'


def _roles(ctx: StatementContext, names: Sequence[str], position: int) -> tuple[RoleId, ...]:
    return tuple(
        PUBLIC if name == "public" else ctx.names.role(name, position).id for name in names
    )


def _grantees(ctx: StatementContext, names: Sequence[str], position: int) -> tuple[RoleId, ...]:
    """Return who is granted to or revoked from: PUBLIC or a role that users made."""
    found = _roles(ctx, names, position)
    for name, id in zip(names, found, strict=True):
        if is_system(id) and id != PUBLIC:
            raise ReservedName(
                f'role name "{name}" is reserved', detail=_RESERVED_DETAIL, position=position
            )
    return found


def _privileges(
    ctx: StatementContext, node: control.GrantPrivileges | control.RevokePrivileges
) -> Outcome:
    objects = _targets(ctx, node.target, node.position)
    for ref in objects:
        _check_changeable(ctx, ref, node.position)
    shown = "" if len(objects) != 1 or node.target.all else _shown(ctx, objects[0])
    kinds = [ref.type for ref in objects]
    letters = _letters(node.privileges, kinds, shown, node.position, some=node.target.all)
    revoke = isinstance(node, control.RevokePrivileges)
    roles = _grantees(ctx, node.roles, node.position)
    return Outcome(PrivilegesPlan(revoke, letters, objects, roles))


def _check_changeable(ctx: StatementContext, ref: ObjectRef, position: int) -> None:
    """Refuse to touch what the system made. Raises: InsufficientPrivilege."""
    if ref.type is ObjectType.SYSTEM or not ref.id.startswith("s"):
        return
    kind = {ObjectType.CLUSTER: "cluster", ObjectType.SCHEMA: "schema"}.get(ref.type, "item")
    raise InsufficientPrivilege(
        f"system {kind} '{_name(ctx, ref)}' cannot be modified", position=position
    )


def _name(ctx: StatementContext, ref: ObjectRef) -> str:
    catalog = ctx.catalog
    match ref.type:
        case ObjectType.CLUSTER:
            return catalog.cluster_by_id(ClusterId(ref.id)).name
        case ObjectType.SCHEMA:
            schema = catalog.schema_by_id(SchemaId(ref.id))
            if schema.database is None:
                return schema.name
            return f"{catalog.database_by_id(schema.database).name}.{schema.name}"
        case ObjectType.DATABASE:
            return catalog.database_by_id(DatabaseId(ref.id)).name
        case ObjectType.SYSTEM | ObjectType.NETWORK_POLICY:
            return str(ref.id)
        case _:
            return catalog.show_item(catalog.item(GlobalId(ref.id)))


def _shown(ctx: StatementContext, ref: ObjectRef) -> str:
    return "" if ref.type is ObjectType.SYSTEM else f' "{_name(ctx, ref)}"'


def _letters(
    privileges: Sequence[control.Privilege] | None,
    kinds: Sequence[ObjectType],
    shown: str,
    position: int,
    *,
    some: bool = False,
) -> str:
    """Return the letters of a list of privileges, None being ALL.

    Raises: InvalidGrantOperation for those that a kind does not have; unless it has ``some``.
    """
    if privileges is None:
        return in_order("".join(OF_KIND.get(kind.value, "") for kind in kinds))
    letters = in_order(_LETTERS[privilege.value] for privilege in privileges)
    for kind in kinds:
        # What is meant by ON TABLE is any relation, and of the privileges those that it has.
        allowed = OF_KIND.get("table" if kind in _RELATIONS else kind.value, "")
        invalid = [letter for letter in letters if letter not in allowed]
        if invalid and not (some and len(invalid) < len(letters)):
            named = [name for name in _SHOWN_ORDER if _LETTERS[name] in invalid]
            raise InvalidGrantOperation(
                f"invalid privilege types {', '.join(named)} for {kind.value.upper()}{shown}",
                position=position,
            )
    return letters


def _targets(
    ctx: StatementContext, target: control.GrantTarget, position: int
) -> tuple[ObjectRef, ...]:
    if target.kind is ObjectKind.SYSTEM:
        return (ObjectRef(ObjectType.SYSTEM, "SYSTEM"),)
    if not target.all:
        if target.kind is ObjectKind.TABLE:
            return tuple(_relation(ctx, name) for name in target.names)
        return tuple(resolve_object(ctx, target.kind, name) for name in target.names)
    return _all_of(ctx, target, position)


def _relation(ctx: StatementContext, name: ObjectName) -> ObjectRef:
    """Return what GRANT … ON TABLE means: a relation of any kind."""
    item = ctx.names.item(name)
    if relation_desc(item) is None:
        raise WrongObjectType(f'"{item.name}" is not a table', position=name.position)
    return item_ref(item)


def _all_of(
    ctx: StatementContext, target: control.GrantTarget, position: int
) -> tuple[ObjectRef, ...]:
    """Return the users' objects of a kind, everywhere or in some databases or schemas."""
    catalog = ctx.catalog
    if target.kind is ObjectKind.CLUSTER:
        clusters = [id for id in catalog.clusters if not id.startswith("s")]
        return tuple(ObjectRef(ObjectType.CLUSTER, id) for id in clusters)
    if target.kind is ObjectKind.DATABASE:
        return tuple(ObjectRef(ObjectType.DATABASE, id) for id in catalog.databases)
    schemas = {ctx.names.schema(name).id for name in target.in_schemas}
    databases = {catalog.database(name).id for name in target.in_databases}
    anywhere = not schemas and not databases
    chosen = [
        schema
        for schema in catalog.schemas.values()
        if schema.database is not None
        and (anywhere or schema.id in schemas or schema.database in databases)
    ]
    if target.kind is ObjectKind.SCHEMA:
        return tuple(ObjectRef(ObjectType.SCHEMA, schema.id) for schema in chosen)
    wanted = item_kind(target.kind, position)
    found = []
    for schema in chosen:
        for item in catalog.items_in(schema.id):
            is_relation = wanted is ItemKind.TABLE and relation_desc(item) is not None
            if item.kind is wanted or is_relation:
                found.append(item_ref(item))
    return tuple(found)


def _membership(ctx: StatementContext, node: control.GrantRole | control.RevokeRole) -> Outcome:
    revoke = isinstance(node, control.RevokeRole)
    roles = _roles(ctx, node.roles, node.position)
    for name, id in zip(node.roles, roles, strict=True):
        if is_system(id):
            raise ReservedName(f'role name "{name}" cannot be granted', position=node.position)
    members = _grantees(ctx, node.members, node.position)
    if PUBLIC in members:
        raise ReservedName('role name "public" is reserved', position=node.position)
    return Outcome(RoleMembershipPlan(revoke, roles, members))


def _default_privileges(ctx: StatementContext, node: control.AlterDefaultPrivileges) -> Outcome:
    if node.kind in (ObjectKind.FUNCTION, ObjectKind.OBJECT):
        raise SyntaxError_(
            "Expected one of TABLES or TYPES or SECRETS or CONNECTIONS or SCHEMAS or DATABASES"
            f" or CLUSTERS, found {node.kind.value}S",
            position=node.position,
        )
    kind = object_type(node.kind)
    if kind in _RELATIONS:
        raise SyntaxError_(
            f"For object type {kind.value.upper()}, you must specify 'TABLE' or omit the object"
            " type",
            position=node.position,
        )
    if kind not in _DEFAULT_KINDS:
        raise SyntaxError_(f"Unsupported GRANT on {kind.value.upper()}", position=node.position)
    if node.in_schemas and kind in _NOT_IN_SCHEMA:
        raise InvalidGrantOperation(
            f"cannot specify {kind.value.upper()}S and IN SCHEMA", position=node.position
        )
    if node.in_databases and kind in _NOT_IN_DATABASE:
        raise InvalidGrantOperation(
            f"cannot specify {kind.value.upper()}S and IN DATABASE", position=node.position
        )
    if node.for_roles is None:
        roles: tuple[RoleId, ...] = ()
    else:
        roles = _grantees(ctx, node.for_roles or (ctx.session.user,), node.position)
    letters = _letters(node.privileges, (kind,), "", node.position)
    schemas = [ctx.names.schema(name) for name in node.in_schemas]
    for schema in schemas:
        _check_changeable(ctx, ObjectRef(ObjectType.SCHEMA, schema.id), node.position)
    return Outcome(
        DefaultPrivilegesPlan(
            node.revoke,
            letters,
            kind,
            roles,
            tuple(ctx.catalog.database(name).id for name in node.in_databases),
            tuple(schema.id for schema in schemas),
            _grantees(ctx, node.roles, node.position),
        )
    )


HANDLERS: dict[type[Node], StatementHandler] = {
    control.GrantPrivileges: _privileges,
    control.RevokePrivileges: _privileges,
    control.GrantRole: _membership,
    control.RevokeRole: _membership,
    control.AlterDefaultPrivileges: _default_privileges,
}
