"""Functions over privileges and acl items: a part of the table of ``sql_functions``."""

_NAMES = {
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
# PostgreSQL's privileges that are not told apart here, and what stands for them.
_LIKE = {
    "TRUNCATE": "d",
    "REFERENCES": "r",
    "TRIGGER": "",
    "CONNECT": "U",
    "TEMPORARY": "C",
    "TEMP": "C",
    "EXECUTE": "U",
}
_WORDS = "|".join((*_NAMES.values(), *_LIKE))
_VALID = f"upper({{p}}) ~ '^\\s*({_WORDS})\\s*(,\\s*({_WORDS})\\s*)*$'"
_CHECKED = (
    "mz_error_if_null(CASE WHEN {p} IS NULL OR " + _VALID + " THEN true END,"
    " 'unrecognized privilege type: \"' || {p} || '\"')"
)
_LETTERS = " || ".join(
    f"CASE WHEN upper({{p}}) ~ '(^|,)\\s*{name}\\s*(,|$)' THEN '{letter}' ELSE '' END"
    for letter, name in (
        *_NAMES.items(),
        *((letter, name) for name, letter in _LIKE.items() if letter),
    )
)


def _letters(parameter: str) -> str:
    """Return the SQL of the letters that a text of privileges stands for; it fails on others."""
    checked = _CHECKED.format(p=parameter)
    return f"CASE WHEN {checked} THEN {_LETTERS.format(p=parameter)} END"


_RAW = "concat({p})"  # an acl item as stored, with ids or oids
_GRANTEE = "split_part(" + _RAW + ", '=', 1)"
_GRANTOR = "split_part(split_part(" + _RAW + ", '=', 2), '/', 2)"
_GIVEN = "split_part(split_part(" + _RAW + ", '=', 2), '/', 1)"
_ROLE_ID = (
    "mz_error_if_null(CASE WHEN {p} ~ '^([usg][0-9]+|p)$' THEN {p} END,"
    " 'couldn''t parse role id ''' || {p} || '''')"
)
_MAKE = (
    "CASE WHEN p1 IS NULL OR p2 IS NULL OR p3 IS NULL THEN NULL ELSE concat("
    + "replace("
    + _ROLE_ID.format(p="p1")
    + ", 'p', ''), '=', "
    + _letters("p3")
    + ", '/', mz_error_if_null(CASE WHEN p2 <> 'p' THEN "
    + _ROLE_ID.format(p="p2")
    + " END, 'mz_aclitem grantor cannot be PUBLIC role')) END"
)
_MAKE_PG = (
    "CASE WHEN p1 IS NULL OR p2 IS NULL OR p3 IS NULL OR p4 IS NULL THEN NULL ELSE concat("
    "CASE WHEN p1 = 0 THEN '' ELSE p1::text END, '=', " + _letters("p3") + ", '/', p2::text,"
    " mz_error_if_null(CASE WHEN NOT p4 THEN '' END, 'GRANT OPTION not yet supported')) END"
)
ROLE_BY_ID = "COALESCE((SELECT max(r.name) FROM mz_catalog.mz_roles AS r WHERE r.id = {id}), {id})"
ROLE_BY_OID = (
    "COALESCE((SELECT max(r.name) FROM mz_catalog.mz_roles AS r WHERE r.oid::text = {id}), {id})"
)


def acl_text(role: str) -> str:
    """Return the SQL of an acl item's text, with the names that ``role`` finds for its roles."""
    grantee, grantor, given = (part.format(p="p1") for part in (_GRANTEE, _GRANTOR, _GIVEN))
    return (
        f"CASE WHEN p1 IS NULL THEN NULL ELSE CASE WHEN {grantee} = '' THEN ''"
        f" ELSE {role.format(id=grantee)} END || '=' || {given} || '/' ||"
        f" {role.format(id=grantor)} END"
    )


def acl_cast(role: str, public: str) -> str:
    """Return the SQL that turns the roles of an acl item into other numbers; NULL if unknown."""
    grantee, grantor, given = (part.format(p="p1") for part in (_GRANTEE, _GRANTOR, _GIVEN))
    return (
        f"CASE WHEN {grantee} = '{public}' THEN '' ELSE {role.format(id=grantee)} END"
        f" || '=' || {given} || '/' || {role.format(id=grantor)}"
    )


OID_OF_ID = "(SELECT max(r.oid::text) FROM mz_catalog.mz_roles AS r WHERE r.id = {id})"
ID_OF_OID = "(SELECT max(r.id) FROM mz_catalog.mz_roles AS r WHERE r.oid::text = {id})"
_LETTER_ROWS = ", ".join(f"('{letter}', '{name}')" for letter, name in _NAMES.items())
_EXPLODED = (
    "SELECT {grantor} AS grantor, {grantee} AS grantee, l.name AS privilege_type,"
    " false AS is_grantable FROM (SELECT mz_error_if_null(u.item, '{what} arrays must not contain"
    " null values') AS item FROM unnest(p1) AS u(item)) AS i,"
    f" (VALUES {_LETTER_ROWS}) AS l(letter, name)"
    " WHERE position(l.letter IN {given}) > 0"
)
_MZ_EXPLODED = _EXPLODED.format(
    grantor=_GRANTOR.format(p="i.item"),
    grantee=f"COALESCE(NULLIF({_GRANTEE.format(p='i.item')}, ''), 'p')",
    given=_GIVEN.format(p="i.item"),
    what="MZ_ACL",
)
_PG_EXPLODED = _EXPLODED.format(
    grantor=_GRANTOR.format(p="i.item") + "::oid",
    grantee=f"COALESCE(NULLIF({_GRANTEE.format(p='i.item')}, ''), '0')::oid",
    given=_GIVEN.format(p="i.item"),
    what="ACL",
)
# Whether a role holds one of some privileges: one look-up by the object, one by the role.
_HELD = (
    "(SELECT CASE WHEN {wanted} IS NOT NULL AND {checked} THEN"
    " bool_or(m.superuser OR translate(g.letters, {letters}, '') <> g.letters) END"
    " FROM mz_internal.mz_grants AS g JOIN mz_internal.mz_memberships AS m ON m.role = g.grantee"
    " WHERE g.kind = '{kind}' AND {object} AND {role})"
)
_ME = "m.member_name = current_user"


def _held(kind: str, object: str, role: str, wanted: str) -> str:
    """Return the SQL of whether a role holds a privilege on an object; NULL without either."""
    checked, letters = _CHECKED.format(p=wanted), _LETTERS.format(p=wanted)
    return _HELD.format(
        kind=kind, object=object, role=role, wanted=wanted, checked=checked, letters=letters
    )


def _checks(kind: str) -> tuple[tuple[str, str], ...]:
    """Return the overloads over (role, object, privileges) and over (object, privileges)."""
    return (
        (f"grantee, {kind}, text -> bool", _held(kind, "g.oid = p2", "m.member = p1", "p3")),
        (f"{kind}, text -> bool", _held(kind, "g.oid = p1", _ME, "p2")),
    )


def _cluster_check(cluster: str, role: str, wanted: str, given: str) -> str:
    """Return the SQL of a privilege on a cluster, which has a name only; it fails without one."""
    held = _held("cluster", f"g.name = {cluster}", role, wanted)
    return (
        f"CASE WHEN {given} OR {cluster} IS NULL OR {wanted} IS NULL THEN NULL"
        " WHEN mz_error_if_null((SELECT bool_or(true) FROM mz_catalog.mz_clusters AS c"
        f" WHERE c.name = {cluster}), 'cluster \"' || {cluster} || '\" does not exist')"
        f" THEN {held} END"
    )


_KIND_OF_ROLE = (
    "mz_error_if_null(CASE WHEN {p} IS NULL OR upper({p}) ~ '^(USAGE|MEMBER)( WITH .*)?$'"
    " THEN true END, 'unrecognized privilege type: \"' || {p} || '\"')"
)


def _role_check(member: str, role: str, wanted: str, given: str) -> str:
    return (
        f"(SELECT CASE WHEN {given} OR {role} IS NULL OR {wanted} IS NULL THEN NULL"
        f" WHEN {_KIND_OF_ROLE.format(p=wanted)} THEN count(*) > 0 END"
        " FROM mz_internal.mz_memberships AS m"
        f" WHERE {member} AND m.role = {role} AND m.role <> 0)"
    )


_HAS_ROLE = (
    ("role, role, text -> bool", _role_check("m.member = p1", "p2", "p3", "p1 IS NULL")),
    ("role, text -> bool", _role_check(_ME, "p1", "p2", "false")),
)
PRIVILEGE_FUNCTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "has_table_privilege": _checks("class"),
    "has_schema_privilege": _checks("schema"),
    "has_database_privilege": _checks("database"),
    "has_type_privilege": _checks("type"),
    "has_connection_privilege": _checks("connection"),
    "has_secret_privilege": _checks("secret"),
    "has_cluster_privilege": (
        (
            "grantee, text, text -> bool",
            _cluster_check("p2", "m.member = p1", "p3", "p1 IS NULL"),
        ),
        ("text, text -> bool", _cluster_check("p1", _ME, "p2", "false")),
    ),
    "has_system_privilege": (
        ("grantee, text -> bool", _held("system", "g.oid = 0", "m.member = p1", "p2")),
        ("text -> bool", _held("system", "g.oid = 0", _ME, "p1")),
    ),
    "has_role": _HAS_ROLE,
    "pg_has_role": _HAS_ROLE,
    "has_any_column_privilege": _checks("class"),
    "make_mz_aclitem": (("text, text, text -> mz_aclitem", _MAKE),),
    "makeaclitem": (("oid, oid, text, bool -> aclitem", _MAKE_PG),),
    "mz_aclitem_grantee": (
        (
            "mz_aclitem -> text",
            f"CASE WHEN p1 IS NOT NULL THEN"
            f" COALESCE(NULLIF({_GRANTEE.format(p='p1')}, ''), 'p') END",
        ),
    ),
    "mz_aclitem_grantor": (
        ("mz_aclitem -> text", f"CASE WHEN p1 IS NOT NULL THEN {_GRANTOR.format(p='p1')} END"),
    ),
    "mz_aclitem_privileges": (
        ("mz_aclitem -> text", f"CASE WHEN p1 IS NOT NULL THEN {_GIVEN.format(p='p1')} END"),
    ),
    "aclitem_grantee": (
        (
            "aclitem -> oid",
            f"CASE WHEN p1 IS NOT NULL THEN"
            f" COALESCE(NULLIF({_GRANTEE.format(p='p1')}, ''), '0')::oid END",
        ),
    ),
    "aclitem_grantor": (
        ("aclitem -> oid", f"CASE WHEN p1 IS NOT NULL THEN {_GRANTOR.format(p='p1')}::oid END"),
    ),
    "aclitem_privileges": (
        ("aclitem -> text", f"CASE WHEN p1 IS NOT NULL THEN {_GIVEN.format(p='p1')} END"),
    ),
    "mz_role_oid_memberships": (
        (
            " -> map[text=>text[]]",
            "(SELECT map_agg(x.member, x.roles) FROM (SELECT m.member::text AS member,"
            " array_agg(m.role::text ORDER BY m.role::text) AS roles"
            " FROM mz_internal.mz_memberships AS m WHERE m.member <> 0 AND m.role <> 0"
            " GROUP BY m.member) AS x)",
        ),
    ),
    "mz_validate_role_privilege": (("text -> bool", _KIND_OF_ROLE.format(p="p1")),),
    "mz_acl_item_contains_privilege": (
        (
            "mz_aclitem, text -> bool",
            f"CASE WHEN p1 IS NOT NULL AND p2 IS NOT NULL THEN"
            f" {_GIVEN.format(p='p1')} ~ ('[' || {_letters('p2')} || ']') END",
        ),
    ),
    "mz_validate_privileges": (("text -> bool", _CHECKED.format(p="p1")),),
    "mz_format_privileges": (
        (
            "text -> text[]",
            "CASE WHEN p1 IS NULL THEN NULL ELSE ARRAY(SELECT l.name"
            f" FROM (VALUES {_LETTER_ROWS}) AS l(letter, name)"
            " WHERE position(l.letter IN p1) > 0 ORDER BY position(l.letter IN p1)) END",
        ),
    ),
    "mz_aclexplode": (("mz_aclitem[] -> setof text", _MZ_EXPLODED),),
    "aclexplode": (("aclitem[] -> setof oid", _PG_EXPLODED),),
}
