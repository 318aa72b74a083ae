"""SET ROLE and SET SESSION AUTHORIZATION: who a session is."""

from collections.abc import Sequence

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.session import Session
from headwater.adapter.variables import NO_ROLE, SESSION_AUTHORIZATION
from headwater.catalog.items import Role
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import InsufficientPrivilege, InvalidParameterValue
from headwater.types.ids import RoleId


def become(
    coord: Coordinator,
    session: Session,
    variable: str,
    values: Sequence[str] | None,
    *,
    local: bool,
) -> None:
    """Be the role that a variable's new value names; None resets it.

    Raises: InvalidParameterValue for no role, InsufficientPrivilege. As in PostgreSQL a session may
        be what its user is a member of, and a superuser's anyone.
    """
    as_login = variable == SESSION_AUTHORIZATION
    name = None if values is None else ", ".join(values)
    if name is None or (name == NO_ROLE and not as_login):
        session.become(None, as_login=as_login, local=local)
        return
    role = coord.snapshot.try_role(name)
    if role is None:
        raise InvalidParameterValue(f'role "{name}" does not exist')
    if as_login and role.id != session.login.id and not session.login.superuser:
        raise InsufficientPrivilege("permission denied to set session authorization")
    if not as_login and not _may_be(coord.snapshot, session.authorization, role):
        raise InsufficientPrivilege(f'permission denied to set role "{name}"')
    session.become(role, as_login=as_login, local=local)


def _may_be(snapshot: CatalogSnapshot, user: Role, role: Role) -> bool:
    """Return whether ``user`` is a superuser, or a member of ``role``, if by way of others."""
    now = snapshot.roles.get(user.id, user)
    if now.superuser:
        return True
    found: set[RoleId] = set()
    pending = [now.id]
    while pending:
        id = pending.pop()
        if id not in found and id in snapshot.roles:
            found.add(id)
            pending.extend(group.role for group in snapshot.roles[id].groups)
    return role.id in found
