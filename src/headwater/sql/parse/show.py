"""SHOW and INSPECT."""

from headwater.sql.ast.base import ObjectKind
from headwater.sql.ast.query import Show
from headwater.sql.ast.show import (
    InspectShard,
    ShowColumns,
    ShowCreate,
    ShowFilter,
    ShowLike,
    ShowObjects,
    ShowPrivileges,
    ShowRoleMembership,
    ShowVariable,
    ShowWhere,
)
from headwater.sql.parse.expression import operand
from headwater.sql.parse.kind import kind_name, object_kind, plural_kind
from headwater.sql.parse.stream import QUOTED, TokenStream

_ENDS = frozenset(["", ";", ")", "FROM", "IN", "ON", "LIKE", "WHERE", "FOR", "UNION", "EXCEPT"])
_BODY_ENDS = _ENDS | {"INTERSECT", "ORDER", "LIMIT", "OFFSET", "FETCH", "AS"}


def show(p: TokenStream) -> Show:
    """Read any SHOW statement; entered on SHOW."""
    found = _relation(p)
    if found is not None:
        return found
    position = p.position
    p.expect("SHOW")
    if p.accept("ALL"):
        return ShowVariable(None, position=position)
    return ShowVariable(variable_name(p), position=position)


def show_relation(p: TokenStream) -> Show:
    """Read a SHOW that may be a query's body: any but a variable's."""
    found = _relation(p)
    if found is None:
        p.skip(1)
        p.fail("what to show")
    return found


def variable_name(p: TokenStream) -> str:
    """Read a variable's name; SQL's spellings of several words have names of one."""
    if p.accept_all("TIME", "ZONE"):
        return "timezone"
    if p.accept_all("TRANSACTION", "ISOLATION", "LEVEL"):
        return "transaction_isolation"
    if p.accept_all("SESSION", "AUTHORIZATION"):
        return "session_authorization"
    name = p.label("a variable")
    while p.accept("."):
        name += "." + p.label("a variable")
    return name


def _relation(p: TokenStream) -> Show | None:
    """Read a SHOW of objects, or nothing if a variable's name follows."""
    position = p.position
    start = p.i
    p.expect("SHOW")
    key = p.key
    if key in ("CREATE", "REDACTED") and p.peek() not in _BODY_ENDS:
        return _create(p, position)
    if key == "COLUMNS" and p.peek() in ("FROM", "IN"):
        p.skip(2)
        relation = p.object_name("a relation")
        return ShowColumns(relation, _filter(p), position=position)
    if key == "PRIVILEGES" or p.at("DEFAULT", "PRIVILEGES"):
        return _privileges(p, position)
    if p.accept_all("ROLE", "MEMBERSHIP"):
        role = p.name("a role") if p.accept("FOR") else None
        return ShowRoleMembership(role, _filter(p), position=position)
    if p.accept_all("INSPECT", "SHARD"):
        return InspectShard(p.string("a shard's id"), position=position)
    kind = plural_kind(p)
    if kind is not None and p.key in _BODY_ENDS:
        return _objects(p, kind, position)
    p.skip(start - p.i)
    return None


def _objects(p: TokenStream, kind: ObjectKind, position: int) -> ShowObjects:
    container = on = in_cluster = None
    while True:
        if p.key == "IN" and p.peek() == "CLUSTER":
            p.skip(2)
            in_cluster = p.name("a cluster")
        elif p.key in ("FROM", "IN") and container is None:
            p.advance()
            container = p.object_name("a schema")
        elif p.key == "ON" and on is None:
            p.advance()
            on = p.object_name("an object")
        else:
            break
    return ShowObjects(kind, container, on, in_cluster, _filter(p), position=position)


def _filter(p: TokenStream) -> ShowFilter | None:
    position = p.position
    if p.accept("LIKE"):
        return ShowLike(p.string("a pattern"), position=position)
    if p.accept("WHERE"):
        return ShowWhere(operand(p, 0), position=position)
    return None


def _create(p: TokenStream, position: int) -> ShowCreate:
    redacted = p.accept("REDACTED")
    p.expect("CREATE")
    kind = object_kind(p)
    name = kind_name(p, kind)
    return ShowCreate(kind, name, redacted, position=position)


def _privileges(p: TokenStream, position: int) -> ShowPrivileges:
    default = p.accept("DEFAULT")
    p.expect("PRIVILEGES")
    on = None
    if p.accept("ON"):
        on = plural_kind(p) or (ObjectKind.SYSTEM if p.accept("SYSTEM") else None)
        if on is None:
            p.fail("a kind of objects")
    role = None
    if p.accept("FOR"):
        role = p.name("a role") if p.kinds[p.i] <= QUOTED else None
    return ShowPrivileges(on, role, default, _filter(p), position=position)
