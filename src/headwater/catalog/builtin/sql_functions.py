"""The table of functions that are SQL over the catalog's relations.

An entry is a name and its overloads: the signature, ``arguments -> result``, and an expression, or
for ``setof`` a query, over the parameters ``p1 …``. Where a parameter is an object's *kind*
(:data:`KINDS`), a caller gives its name or its oid, and the expression sees the oid.
"""

# What an object can be named by in a call: kind, and where its oid is looked up.
KINDS = (
    "role",
    "grantee",  # a role, or public
    "class",
    "proc",
    "type",
    "schema",
    "database",
    "connection",
    "secret",
)

_VISIBLE = (
    "(SELECT bool_or((n.database_name IS NULL OR n.database_name = current_database())"
    " AND n.schema_name = ANY (current_schemas(true))) FROM mz_internal.mz_oid_names AS n"
    " WHERE n.kind = '{kind}' AND n.oid = p1)"
)
_FALSE = "CASE WHEN p1 IS NOT NULL THEN false END"
_COMMENT = (
    "(SELECT max(d.comment) FROM mz_internal.mz_descriptions AS d"
    " WHERE d.oid = p1 AND d.sub_id = {sub}{more})"
)
_IN_CATALOG = " AND d.class = p2"
_VIEW = (
    "(SELECT max(v.definition) FROM (SELECT oid, name, definition FROM mz_catalog.mz_views"
    " UNION ALL SELECT oid, name, definition FROM mz_catalog.mz_materialized_views) AS v"
    " WHERE v.{by} = p1)"
)
_FORMAT_TYPE = (
    "CASE WHEN p1 IS NULL THEN NULL WHEN p1 = 0 THEN '-' ELSE COALESCE((SELECT max(t.shown"
    " || CASE WHEN p2 IS NULL OR p2 < 0 THEN ''"
    " WHEN t.oid IN (1042, 1043) THEN '(' || (p2 - 4)::text || ')'"
    " WHEN t.oid = 1700 THEN '(39,' || ((p2 - 4) % 65536)::text || ')'"
    " ELSE '' END) FROM mz_internal.mz_type_details AS t WHERE t.oid = p1), '???') END"
)
_SIZE = (
    "CASE WHEN abs(p1) < 10240 THEN p1::text || ' bytes'"
    " WHEN abs(p1) < 10485760 THEN round(p1 / 1024)::text || ' kB'"
    " WHEN abs(p1) < 10737418240 THEN round(p1 / 1048576)::text || ' MB'"
    " WHEN abs(p1) < 10995116277760 THEN round(p1 / 1073741824)::text || ' GB'"
    " ELSE round(p1 / 1099511627776)::text || ' TB' END"
)
_TYPE_NAME = "(SELECT max(t.name) FROM mz_catalog.mz_types AS t WHERE t.oid = p1)"
_INDEX = "(SELECT max(i.create_sql) FROM mz_catalog.mz_indexes AS i WHERE i.oid = p1)"
_INDEX_COLUMN = (
    f"CASE WHEN p2 = 0 THEN {_INDEX} ELSE (SELECT max(COALESCE(x.on_expression, c.name))"
    " FROM mz_catalog.mz_indexes AS i JOIN mz_catalog.mz_index_columns AS x ON x.index_id = i.id"
    " LEFT JOIN mz_catalog.mz_columns AS c ON c.id = i.on_id AND c.position = x.on_position"
    " WHERE i.oid = p1 AND x.index_position = p2) END"
)
_STORED = (
    "(SELECT sum(u.size_bytes)::int8 FROM mz_catalog.mz_recent_storage_usage AS u"
    " JOIN mz_catalog.mz_relations AS o ON u.object_id = o.id WHERE o.oid = p1::oid)"
)
_ROLE_NAME = (
    "CASE WHEN p1 IS NULL THEN NULL ELSE COALESCE((SELECT max(r.name)"
    " FROM mz_catalog.mz_roles AS r WHERE r.oid = p1),"
    " 'unknown (OID=' || p1::int8::text || ')') END"
)
_ME = "(SELECT max(r.oid::int8)::oid FROM mz_catalog.mz_roles AS r WHERE r.name = current_user)"

# --- names and oids -------------------------------------------------------------------------------

# The name of what an oid of a kind means: qualified where the bare name means something else.
_REG_OUT = (
    "CASE WHEN p1 IS NULL THEN NULL ELSE COALESCE((SELECT max(CASE WHEN n.in_path"
    " AND NOT EXISTS (SELECT 1 FROM mz_internal.mz_oid_names AS m WHERE m.kind = '{kind}'"
    " AND m.name = n.name AND m.oid <> n.oid AND (m.database_name IS NULL"
    " OR m.database_name = current_database()) AND array_position(current_schemas(true),"
    " m.schema_name) <= array_position(current_schemas(true), n.schema_name))"
    " THEN n.name ELSE concat_ws('.', CASE WHEN n.database_name <> current_database()"
    " THEN n.database_name END, n.schema_name, n.name) END)"
    " FROM (SELECT o.*, (o.database_name IS NULL OR o.database_name = current_database())"
    " AND array_position(current_schemas(true), o.schema_name) IS NOT NULL AS in_path"
    " FROM mz_internal.mz_oid_names AS o WHERE o.kind = '{kind}' AND o.oid = p1::oid) AS n),"
    " p1::oid::text) END"
)
# The parts of a dotted name, folded unless quoted.
_PARTS = "string_to_array(p1, '.')"
_PART = (
    "CASE WHEN ({parts})[{at}] LIKE '\"%\"' THEN btrim(({parts})[{at}], '\"')"
    " ELSE lower(({parts})[{at}]) END"
)
_COUNT = f"array_length({_PARTS}, 1)"


def _part(from_end: int) -> str:
    """Return the SQL of a name's part, counted from its end."""
    return _PART.format(parts=_PARTS, at=f"{_COUNT} - {from_end}")


# What a name of a kind in schemas means: the first in the search path.
_REG_IN = (
    "CASE WHEN p1 IS NULL THEN NULL WHEN p1 ~ '^[0-9]+$' THEN p1::int8::oid ELSE"
    " mz_error_if_null((SELECT n.oid FROM mz_internal.mz_oid_names AS n WHERE n.kind = '{kind}'"
    f" AND n.name = {_part(0)}"
    f" AND CASE WHEN {_COUNT} > 1 THEN n.schema_name = {_part(1)}"
    " ELSE array_position(current_schemas(true), n.schema_name) IS NOT NULL END"
    f" AND (n.database_name IS NULL OR n.database_name = CASE WHEN {_COUNT} > 2 THEN {_part(2)}"
    " ELSE current_database() END)"
    " ORDER BY array_position(current_schemas(true), n.schema_name) LIMIT 1),"
    " '{noun} \"' || p1 || '\" does not exist') END"
)
# The same for kinds that a name alone finds wherever they are, those of the search path first, as
# Materialize's ``mz_connection_oid`` and ``mz_secret_oid`` do.
_ANY_IN = (
    "CASE WHEN p1 IS NULL THEN NULL WHEN p1 ~ '^[0-9]+$' THEN p1::int8::oid ELSE"
    " mz_error_if_null((SELECT n.oid FROM mz_internal.mz_oid_names AS n WHERE n.kind = '{kind}'"
    f" AND n.name = {_part(0)} AND ({_COUNT} < 2 OR n.schema_name = {_part(1)})"
    f" AND ({_COUNT} < 3 OR n.database_name = {_part(2)})"
    " ORDER BY n.database_name = current_database() DESC,"
    " array_position(current_schemas(true), n.schema_name), n.oid LIMIT 1),"
    " '{kind} \"' || p1 || '\" does not exist') END"
)
# What a name of a kind outside of schemas means.
_FLAT_IN = (
    "CASE WHEN p1 IS NULL THEN NULL ELSE mz_error_if_null((SELECT o.oid FROM {relation} AS o"
    " WHERE o.name = p1 LIMIT 1), '{noun} \"' || p1 || '\" does not exist') END"
)
_SCHEMA_IN = (
    "CASE WHEN p1 IS NULL THEN NULL ELSE mz_error_if_null((SELECT s.oid"
    " FROM mz_catalog.mz_schemas AS s LEFT JOIN mz_catalog.mz_databases AS d"
    f" ON s.database_id = d.id WHERE s.name = {_part(0)}"
    f" AND (s.database_id IS NULL OR d.name = CASE WHEN {_COUNT} > 1 THEN {_part(1)}"
    " ELSE current_database() END) LIMIT 1), 'schema \"' || p1 || '\" does not exist') END"
)
_ROLE_IN = _FLAT_IN.format(relation="mz_catalog.mz_roles", noun="role")
# kind: the expression from a name to the oid.
LOOK_UPS: dict[str, str] = {
    "role": _ROLE_IN,
    "grantee": f"CASE WHEN p1 = 'public' THEN 0::oid ELSE {_ROLE_IN} END",
    "database": _FLAT_IN.format(relation="mz_catalog.mz_databases", noun="database"),
    "schema": _SCHEMA_IN,
    "class": _REG_IN.format(kind="class", noun="relation"),
    "proc": _REG_IN.format(kind="proc", noun="function"),
    "type": _REG_IN.format(kind="type", noun="type"),
    "connection": _ANY_IN.format(kind="connection"),
    "secret": _ANY_IN.format(kind="secret"),
}

# --- privileges -----------------------------------------------------------------------------------

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
_ROLE_BY_ID = "COALESCE((SELECT max(r.name) FROM mz_catalog.mz_roles AS r WHERE r.id = {id}), {id})"
_ROLE_BY_OID = (
    "COALESCE((SELECT max(r.name) FROM mz_catalog.mz_roles AS r WHERE r.oid::text = {id}), {id})"
)


def _acl_text(role: str) -> str:
    grantee, grantor, given = (part.format(p="p1") for part in (_GRANTEE, _GRANTOR, _GIVEN))
    return (
        f"CASE WHEN p1 IS NULL THEN NULL ELSE CASE WHEN {grantee} = '' THEN ''"
        f" ELSE {role.format(id=grantee)} END || '=' || {given} || '/' ||"
        f" {role.format(id=grantor)} END"
    )


def _acl_cast(role: str, public: str) -> str:
    """Return the SQL that turns the roles of an acl item into other numbers; NULL if unknown."""
    grantee, grantor, given = (part.format(p="p1") for part in (_GRANTEE, _GRANTOR, _GIVEN))
    return (
        f"CASE WHEN {grantee} = '{public}' THEN '' ELSE {role.format(id=grantee)} END"
        f" || '=' || {given} || '/' || {role.format(id=grantor)}"
    )


_OID_OF_ID = "(SELECT max(r.oid::text) FROM mz_catalog.mz_roles AS r WHERE r.id = {id})"
_ID_OF_OID = "(SELECT max(r.id) FROM mz_catalog.mz_roles AS r WHERE r.oid::text = {id})"
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
_ROLES_OF = (
    "(SELECT m.role_id FROM mz_internal.mz_role_reach AS m JOIN mz_catalog.mz_roles AS r"
    " ON r.id = m.member WHERE r.oid = {role})"
)
_HELD = (
    "(SELECT bool_or(mz_internal.mz_acl_item_contains_privilege(a.item, {wanted}) AND"
    " (mz_internal.mz_aclitem_grantee(a.item) = 'p' OR mz_internal.mz_aclitem_grantee(a.item) IN"
    f" {_ROLES_OF}))"
    " FROM (SELECT unnest(x.privileges) AS item FROM {relation} AS x{where}) AS a)"
)
_NO_ROLE = (
    "({role} <> 0 AND NOT EXISTS (SELECT 1 FROM mz_catalog.mz_roles AS r WHERE r.oid = {role}))"
)
_SUPER = (
    "(SELECT bool_or(COALESCE(r.rolsuper, false)) FROM mz_catalog.mz_roles AS r"
    " WHERE r.oid = {role})"
)


def _has(relation: str, by: str, missing: str, role: str, object: str, wanted: str) -> str:
    """Return the SQL of whether a role holds a privilege on a row of a relation."""
    held = _HELD.format(
        wanted=wanted, role=role, relation=relation, where=f" WHERE x.{by} = {object}"
    )
    return (
        f"CASE WHEN {role} IS NULL OR {object} IS NULL OR {wanted} IS NULL THEN NULL"
        f" WHEN NOT {_CHECKED.format(p=wanted)} OR {_NO_ROLE.format(role=role)} THEN NULL"
        f" WHEN NOT EXISTS (SELECT 1 FROM {relation} AS y WHERE y.{by} = {object}) THEN {missing}"
        f" ELSE COALESCE({_SUPER.format(role=role)}, false) OR COALESCE({held}, false) END"
    )


def _checks(
    kind: str, relation: str, by: str = "oid", missing: str = "NULL"
) -> tuple[tuple[str, str], ...]:
    """Return the overloads over (role, object, privileges) and over (object, privileges)."""
    return (
        (
            f"grantee, {kind}, text -> bool",
            _has(relation, by, missing.format(p="p2"), "p1", "p2", "p3"),
        ),
        (f"{kind}, text -> bool", _has(relation, by, missing.format(p="p1"), _ME, "p1", "p2")),
    )


_NO_CLUSTER = "mz_error_if_null(NULL::bool, 'cluster \"' || {p} || '\" does not exist')"
_SYSTEM_HELD = _HELD.format(
    wanted="{wanted}",
    role="{role}",
    relation="(SELECT array_agg(privileges) AS privileges FROM mz_catalog.mz_system_privileges)",
    where="",
)


def _system_check(role: str, wanted: str) -> str:
    held = _SYSTEM_HELD.format(wanted=wanted, role=role)
    return (
        f"CASE WHEN {role} IS NULL OR {wanted} IS NULL THEN NULL"
        f" WHEN NOT {_CHECKED.format(p=wanted)} OR {_NO_ROLE.format(role=role)} THEN NULL"
        f" ELSE COALESCE({_SUPER.format(role=role)}, false) OR COALESCE({held}, false) END"
    )


def _role_check(member: str, role: str, wanted: str) -> str:
    return (
        f"CASE WHEN {member} IS NULL OR {role} IS NULL OR {wanted} IS NULL THEN NULL"
        f" WHEN NOT mz_error_if_null(CASE WHEN upper({wanted}) IN ('USAGE', 'MEMBER')"
        " THEN true END,"
        f" 'unrecognized privilege type: \"' || {wanted} || '\"') THEN NULL"
        f" ELSE EXISTS (SELECT 1 FROM mz_internal.mz_role_reach AS m"
        " JOIN mz_catalog.mz_roles AS r ON r.id = m.member"
        " JOIN mz_catalog.mz_roles AS g ON g.id = m.role_id"
        f" WHERE r.oid = {member} AND g.oid = {role}) END"
    )


_HAS_ROLE = (
    ("role, role, text -> bool", _role_check("p1", "p2", "p3")),
    ("role, text -> bool", _role_check(_ME, "p1", "p2")),
)
_PRIVILEGES: dict[str, tuple[tuple[str, str], ...]] = {
    "has_table_privilege": _checks("class", "mz_catalog.mz_relations"),
    "has_schema_privilege": _checks("schema", "mz_catalog.mz_schemas"),
    "has_database_privilege": _checks("database", "mz_catalog.mz_databases"),
    "has_type_privilege": _checks("type", "mz_catalog.mz_types"),
    "has_connection_privilege": _checks("connection", "mz_catalog.mz_connections"),
    "has_secret_privilege": _checks("secret", "mz_catalog.mz_secrets"),
    "has_cluster_privilege": _checks("text", "mz_catalog.mz_clusters", "name", _NO_CLUSTER),
    "has_system_privilege": (
        ("grantee, text -> bool", _system_check("p1", "p2")),
        ("text -> bool", _system_check(_ME, "p1")),
    ),
    "has_role": _HAS_ROLE,
    "pg_has_role": _HAS_ROLE,
    "has_any_column_privilege": _checks("class", "mz_catalog.mz_relations"),
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

FUNCTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    **_PRIVILEGES,
    "pg_table_is_visible": (("oid -> bool", _VISIBLE.format(kind="class")),),
    "pg_type_is_visible": (("oid -> bool", _VISIBLE.format(kind="type")),),
    "pg_function_is_visible": (("oid -> bool", _VISIBLE.format(kind="proc")),),
    "pg_operator_is_visible": (
        ("oid -> bool", "(SELECT true FROM mz_catalog.mz_operators AS o WHERE o.oid = p1 LIMIT 1)"),
    ),
    "pg_collation_is_visible": (("oid -> bool", _FALSE),),
    "pg_conversion_is_visible": (("oid -> bool", _FALSE),),
    "pg_ts_config_is_visible": (("oid -> bool", _FALSE),),
    "pg_ts_dict_is_visible": (("oid -> bool", _FALSE),),
    "pg_ts_parser_is_visible": (("oid -> bool", _FALSE),),
    "pg_ts_template_is_visible": (("oid -> bool", _FALSE),),
    "pg_opclass_is_visible": (("oid -> bool", _FALSE),),
    "pg_opfamily_is_visible": (("oid -> bool", _FALSE),),
    "pg_statistics_obj_is_visible": (("oid -> bool", _FALSE),),
    "pg_get_userbyid": (("oid -> text", _ROLE_NAME),),
    "obj_description": (
        ("oid, text -> text", _COMMENT.format(sub="0", more=_IN_CATALOG)),
        ("oid -> text", _COMMENT.format(sub="0", more="")),
    ),
    "col_description": (("oid, int4 -> text", _COMMENT.format(sub="p2", more="")),),
    "shobj_description": (
        (
            "oid, text -> text",
            _COMMENT.format(sub="0", more=_IN_CATALOG),
        ),
    ),
    "format_type": (("oid, int4 -> text", _FORMAT_TYPE),),
    "pg_get_expr": (("text, oid -> text", "p1"), ("text, oid, bool -> text", "p1")),
    "pg_get_constraintdef": (("oid -> text", "NULL::text"), ("oid, bool -> text", "NULL::text")),
    "pg_get_ruledef": (("oid -> text", "NULL::text"), ("oid, bool -> text", "NULL::text")),
    "pg_get_triggerdef": (("oid -> text", "NULL::text"), ("oid, bool -> text", "NULL::text")),
    "pg_get_partkeydef": (("oid -> text", "NULL::text"),),
    "pg_get_statisticsobjdef_columns": (("oid -> text", "NULL::text"),),
    "pg_get_serial_sequence": (("text, text -> text", "NULL::text"),),
    "pg_get_function_result": (
        (
            "oid -> text",
            "(SELECT max(CASE WHEN f.returns_set THEN 'SETOF ' ELSE '' END"
            " || format_type(t.oid, NULL)) FROM mz_catalog.mz_functions AS f"
            " JOIN mz_catalog.mz_types AS t ON t.id = f.return_type_id WHERE f.oid = p1)",
        ),
    ),
    "pg_get_function_arguments": (
        (
            "oid -> text",
            "(SELECT max(a.arguments) FROM mz_internal.mz_function_arguments AS a"
            " WHERE a.oid = p1)",
        ),
    ),
    "pg_get_function_identity_arguments": (
        (
            "oid -> text",
            "(SELECT max(a.arguments) FROM mz_internal.mz_function_arguments AS a"
            " WHERE a.oid = p1)",
        ),
    ),
    "pg_get_functiondef": (
        ("oid -> text", "mz_error_if_null(NULL::text, 'functions have no definition in SQL')"),
    ),
    "pg_get_indexdef": (("oid -> text", _INDEX), ("oid, int4, bool -> text", _INDEX_COLUMN)),
    "pg_get_viewdef": (
        ("oid -> text", _VIEW.format(by="oid")),
        ("oid, bool -> text", _VIEW.format(by="oid")),
        ("oid, int4 -> text", _VIEW.format(by="oid")),
        ("text -> text", _VIEW.format(by="name")),
        ("text, bool -> text", _VIEW.format(by="name")),
    ),
    "pg_encoding_to_char": (("int8 -> text", "CASE WHEN p1 = 6 THEN 'UTF8' ELSE '' END"),),
    "pg_char_to_encoding": (
        ("text -> int4", "CASE upper(p1) WHEN 'UTF8' THEN 6 WHEN 'UTF-8' THEN 6 ELSE -1 END"),
    ),
    "getdatabaseencoding": ((" -> text", "'UTF8'"),),
    "pg_is_in_recovery": ((" -> bool", "false"),),
    "pg_relation_is_publishable": (("regclass -> bool", "false"),),
    "pg_relation_size": (
        ("class -> int8", _STORED),
        ("class, text -> int8", _STORED),
    ),
    "pg_table_size": (("class -> int8", _STORED),),
    "pg_indexes_size": (("class -> int8", "0::int8"),),
    "pg_total_relation_size": (("class -> int8", _STORED),),
    "pg_database_size": (
        (
            "database -> int8",
            "(SELECT COALESCE(sum(u.size_bytes), 0)::int8 FROM"
            " mz_catalog.mz_recent_storage_usage AS u JOIN mz_catalog.mz_relations AS o"
            " ON u.object_id = o.id JOIN mz_catalog.mz_schemas AS s ON o.schema_id = s.id"
            " JOIN mz_catalog.mz_databases AS d ON s.database_id = d.id WHERE d.oid = p1)",
        ),
    ),
    "pg_tablespace_size": (("oid -> int8", "NULL::int8"),),
    "pg_stat_get_numscans": (("oid -> int8", "(-1)::int8"),),
    "pg_tablespace_location": (("oid -> text", "NULL::text"),),
    "pg_size_pretty": (("numeric -> text", _SIZE),),
    "pg_postmaster_start_time": ((" -> timestamptz", "now() - mz_uptime()"),),
    "pg_my_temp_schema": ((" -> oid", "0::oid"),),
    "pg_is_other_temp_schema": (("oid -> bool", "false"),),
    "is_rbac_enabled": ((" -> bool", "false"),),
    "mz_type_name": (("oid -> text", _TYPE_NAME),),
    "mz_role_oid": (("role -> oid", "p1"),),
    "mz_schema_oid": (("schema -> oid", "p1"),),
    "mz_database_oid": (("database -> oid", "p1"),),
    "mz_type_oid": (("type -> oid", "p1"),),
    "mz_object_oid": (("class -> oid", "p1"),),
    "mz_connection_oid": (("connection -> oid", "p1"),),
    "mz_secret_oid": (("secret -> oid", "p1"),),
    "to_regclass": (("text -> regclass", _REG_IN.format(kind="class", noun="")),),
    "mz_global_id_to_name": (
        (
            "text -> text",
            "CASE WHEN p1 IS NULL THEN NULL ELSE (SELECT max(concat_ws('.', n.database_name,"
            " n.schema_name, n.name)) FROM mz_internal.mz_object_fully_qualified_names AS n"
            " WHERE n.id = p1) END",
        ),
    ),
}
# Casts that need the catalog: (source, target): signature, body.
CASTS: dict[tuple[str, str], tuple[str, str]] = {
    ("regclass", "text"): ("regclass -> text", _REG_OUT.format(kind="class")),
    ("regproc", "text"): ("regproc -> text", _REG_OUT.format(kind="proc")),
    ("regtype", "text"): ("regtype -> text", _REG_OUT.format(kind="type")),
    ("text", "regclass"): ("class -> regclass", "p1"),
    ("text", "regproc"): ("proc -> regproc", "p1"),
    ("text", "regtype"): ("type -> regtype", "p1"),
    ("mz_aclitem", "text"): ("mz_aclitem -> text", _acl_text(_ROLE_BY_ID)),
    ("aclitem", "text"): ("aclitem -> text", _acl_text(_ROLE_BY_OID)),
    ("mz_aclitem", "aclitem"): ("mz_aclitem -> aclitem", _acl_cast(_OID_OF_ID, "")),
    ("aclitem", "mz_aclitem"): ("aclitem -> mz_aclitem", _acl_cast(_ID_OF_OID, "")),
}
