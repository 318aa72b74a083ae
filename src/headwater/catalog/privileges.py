"""Privileges as the catalog records them: who may do what to an object, and who said so.

A grant is an :class:`AclItem`; an object keeps one for each pair of grantee and grantor, owner's
first, in the order in which they were granted. Privileges are PostgreSQL's letters, always in the
order of :data:`LETTERS`, and the role ``p`` is PUBLIC. They are recorded and shown; nothing is
refused for lack of one yet.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from headwater.types.ids import DatabaseId, RoleId, SchemaId

# Letter and name of each privilege, in the order in which they are printed.
PRIVILEGES: Mapping[str, str] = {
    "a": "INSERT",
    "r": "SELECT",
    "w": "UPDATE",
    "d": "DELETE",
    "U": "USAGE",
    "C": "CREATE",
    "R": "CREATEROLE",
    "B": "CREATEDB",
    "N": "CREATECLUSTER",
    "P": "CREATENETWORKPOLICY",
}
LETTERS = "".join(PRIVILEGES)
PUBLIC = RoleId("p")
# What ALL PRIVILEGES means, by kind of object as messages spell it.
OF_KIND: Mapping[str, str] = {
    "table": "arwd",
    "view": "r",
    "materialized view": "r",
    "source": "r",
    "schema": "UC",
    "database": "UC",
    "cluster": "UC",
    "connection": "U",
    "secret": "U",
    "type": "U",
    "network policy": "U",
    "system": "RBNP",
}


class AclItem(msgspec.Struct, frozen=True, array_like=True):
    """One grant."""

    grantee: RoleId
    grantor: RoleId
    letters: str

    def __str__(self) -> str:
        """Return the text form: ids of roles, PUBLIC as nothing."""
        grantee = "" if self.grantee == PUBLIC else self.grantee
        return f"{grantee}={self.letters}/{self.grantor}"


Acl = tuple[AclItem, ...]


class DefaultPrivilegeKey(msgspec.Struct, frozen=True):
    """Which new objects get a default privilege, and who: ``role`` is the creator, ``p`` any."""

    role: RoleId
    object_type: str
    grantee: RoleId
    database: DatabaseId | None = None
    schema: SchemaId | None = None


DefaultPrivileges = Mapping[DefaultPrivilegeKey, str]


def in_order(letters: Iterable[str]) -> str:
    """Return letters in the order of :data:`LETTERS`, each once."""
    wanted = set(letters)
    return "".join(letter for letter in LETTERS if letter in wanted)


def owned(kind: str, owner: RoleId) -> Acl:
    """Return what the owner of a new object may: everything that its kind has."""
    letters = OF_KIND.get(kind, "")
    return (AclItem(owner, owner, letters),) if letters else ()


def granted(acl: Acl, grantee: RoleId, grantor: RoleId, letters: str) -> Acl:
    """Return ``acl`` with a grant added to it."""
    made = list(acl)
    for index, item in enumerate(made):
        if (item.grantee, item.grantor) == (grantee, grantor):
            made[index] = AclItem(grantee, grantor, in_order(item.letters + letters))
            return tuple(made)
    return (*made, AclItem(grantee, grantor, in_order(letters)))


def revoked(acl: Acl, grantee: RoleId, grantor: RoleId, letters: str) -> Acl:
    """Return ``acl`` without these privileges, in as far as ``grantor`` granted them."""
    made = []
    for item in acl:
        left = item.letters
        if (item.grantee, item.grantor) == (grantee, grantor):
            left = "".join(letter for letter in left if letter not in letters)
        if left:
            made.append(AclItem(item.grantee, item.grantor, left))
    return tuple(made)


def without_role(acl: Acl, role: RoleId) -> Acl:
    """Return ``acl`` without what was granted to the role."""
    return tuple(item for item in acl if item.grantee != role)


def transferred(acl: Acl, old: RoleId, new: RoleId) -> Acl:
    """Return what an object's privileges become when ``new`` owns it in place of ``old``.

    The new owner is the grantor of all, and has what the old one had.
    Source: PostgreSQL, ALTER ... OWNER TO (``aclnewowner``).
    """
    made: Acl = ()
    for item in acl:
        grantee = new if item.grantee == old else item.grantee
        grantor = new if item.grantor == old else item.grantor
        made = granted(made, grantee, grantor, item.letters)
    return made


def initial(
    defaults: DefaultPrivileges,
    kind: str,
    owner: RoleId,
    *,
    database: DatabaseId | None = None,
    schema: SchemaId | None = None,
) -> Acl:
    """Return the privileges of a new object: its owner's, and what the defaults give.

    A default privilege on tables holds for every kind of relation, in as far as that has it.
    """
    acl = owned(kind, owner)
    allowed = OF_KIND.get(kind, "")
    type_ = "table" if kind in ("view", "materialized view", "source") else kind
    for key, letters in defaults.items():
        fits = (
            key.object_type == type_
            and key.role in (owner, PUBLIC)
            and key.database in (None, database)
            and key.schema in (None, schema)
        )
        given = "".join(letter for letter in letters if letter in allowed)
        if fits and given:
            acl = granted(acl, key.grantee, owner, given)
    return acl


def mentions(acl: Sequence[AclItem], role: RoleId) -> bool:
    """Return whether a role is grantee or grantor of any grant."""
    return any(role in (item.grantee, item.grantor) for item in acl)
