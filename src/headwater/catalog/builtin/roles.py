"""What roles are, and what they may do, as rows of the builtin tables.

Privileges are asked for by functions (``has_table_privilege`` and its kin) once a row of whatever
a tool lists. So they are kept as an equality can find them: :func:`grant_rows` says what each
object gives to whom, :func:`membership_rows` through which roles a role holds what it is given. An
object always gives something, if only nothing, to PUBLIC, and every role is one of PUBLIC: a
question about a role and an object that are there meets at least one row.
"""

from collections.abc import Iterable, Iterator, Mapping

from headwater.catalog import rows as r
from headwater.catalog.items import CatalogItem, Cluster, Database, ItemKind, Role, Schema
from headwater.catalog.privileges import PUBLIC, Acl
from headwater.catalog.rows import TableRow
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.types.ids import RoleId

PUBLIC_OID = 0
_GRANTED_KINDS = {
    ItemKind.TABLE: "class",
    ItemKind.SOURCE: "class",
    ItemKind.VIEW: "class",
    ItemKind.MATERIALIZED_VIEW: "class",
    ItemKind.TYPE: "type",
    ItemKind.CONNECTION: "connection",
    ItemKind.SECRET: "secret",
}


def reach(roles: Mapping[RoleId, Role], role: RoleId) -> set[RoleId]:
    """Return a role and all that it is a member of, directly or not."""
    seen: set[RoleId] = set()
    stack = [role]
    while stack:
        id = stack.pop()
        if id in roles and id not in seen:
            seen.add(id)
            stack.extend(group.role for group in roles[id].groups)
    return seen


def role_rows(roles: Mapping[RoleId, Role], system_privileges: Acl) -> Iterator[TableRow]:
    """Yield what depends on all roles, or on the privileges on the system, together."""
    reached = {role: reach(roles, role) for role in roles}
    for role, groups in reached.items():
        for group in groups:
            yield "mz_internal.mz_role_reach", r.text(role) + r.text(group)
    yield from _memberships(roles, reached)
    yield from _details(roles, reached, system_privileges)
    oids = {role.id: role.oid for role in roles.values()}
    yield from _grants("system", 0, "system", system_privileges, oids)


def _memberships(
    roles: Mapping[RoleId, Role], reached: Mapping[RoleId, set[RoleId]]
) -> Iterator[TableRow]:
    """Yield for each role those through which it holds privileges: itself, its groups, PUBLIC."""
    yield _membership(PUBLIC_OID, "public", PUBLIC_OID, superuser=False)
    for role in roles.values():
        for group in (PUBLIC_OID, *(roles[id].oid for id in reached[role.id])):
            yield _membership(role.oid, role.name, group, superuser=bool(role.superuser))


def _membership(member: int, name: str, role: int, *, superuser: bool) -> TableRow:
    row = r.integer(member) + r.text(name) + r.integer(role) + r.boolean(superuser)
    return "mz_internal.mz_memberships", row


def _details(
    roles: Mapping[RoleId, Role], reached: Mapping[RoleId, set[RoleId]], system_privileges: Acl
) -> Iterator[TableRow]:
    """Yield what PostgreSQL's catalogs say of roles: attributes by privileges, and settings."""
    for role in roles.values():
        held = reached[role.id]
        letters = "".join(a.letters for a in system_privileges if a.grantee in held)
        settings = [f"{name}={value}" for name, value in sorted(role.variables.items())]
        datums = (
            r.integer(role.oid),
            r.boolean(bool(role.superuser) or "R" in letters),
            r.boolean(bool(role.superuser) or "B" in letters),
            r.text_array(settings or None),
        )
        yield "mz_internal.mz_role_details", b"".join(datums)


def grant_rows(
    snapshot: CatalogSnapshot, object: Database | Schema | Cluster | CatalogItem
) -> Iterator[TableRow]:
    """Yield what an object gives to whom; nothing for kinds that privileges are not granted on."""
    oids = {role.id: role.oid for role in snapshot.roles.values()}
    match object:
        case Database():
            yield from _grants("database", object.oid, object.name, object.privileges, oids)
        case Schema():
            yield from _grants("schema", object.oid, object.name, object.privileges, oids)
        case Cluster():  # has no oid: it is asked for by its name
            yield from _grants("cluster", 0, object.name, object.privileges, oids)
        case _:
            kind = _GRANTED_KINDS.get(object.kind)
            if kind is not None:
                yield from _grants(kind, object.oid, object.name, object.privileges, oids)


def _grants(
    kind: str, oid: int, name: str, privileges: Acl, oids: Mapping[RoleId, int]
) -> Iterator[TableRow]:
    for grantee, letters in _letters(privileges, oids):
        datums = (r.text(kind), r.integer(oid), r.text(name), r.integer(grantee), r.text(letters))
        yield "mz_internal.mz_grants", b"".join(datums)


def _letters(privileges: Acl, oids: Mapping[RoleId, int]) -> Iterable[tuple[int, str]]:
    """Return the letters that each grantee has from all grantors, by its oid."""
    given = {PUBLIC_OID: ""}
    for item in privileges:
        grantee = PUBLIC_OID if item.grantee == PUBLIC else oids.get(item.grantee)
        if grantee is not None:
            given[grantee] = given.get(grantee, "") + item.letters
    return ((grantee, "".join(sorted(set(letters)))) for grantee, letters in given.items())
