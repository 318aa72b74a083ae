"""The table of functions that are SQL over the catalog's relations.

An entry is a name and its overloads: the signature, ``arguments -> result``, and an expression, or
for ``setof`` a query, over the parameters ``p1 …``. Where a parameter is an object's *kind*
(:data:`KINDS`), a caller gives its name or its oid, and the expression sees the oid.

Tools call these once a row. So a body is, where it can be, an expression over *one* global
aggregate of a relation that an equality narrows: that is planned as a join with the relation,
grouped by its key, for the distinct arguments; conditions go on top of the aggregate. Subqueries in
the branches of a CASE would each split the rows and join again.
"""

from headwater.catalog.builtin.privilege_functions import (
    ID_OF_OID,
    OID_OF_ID,
    PRIVILEGE_FUNCTIONS,
    ROLE_BY_ID,
    ROLE_BY_OID,
    acl_cast,
    acl_text,
)

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
_IN_CLASSES = " AND d.class = 'pg_class'"
_VIEW = (
    "(SELECT max(v.definition) FROM (SELECT oid, name, definition FROM mz_catalog.mz_views"
    " UNION ALL SELECT oid, name, definition FROM mz_catalog.mz_materialized_views) AS v"
    " WHERE v.{by} = p1)"
)
# What a type's modifier says, in parentheses; timestamps' goes between the words of their name.
_TYPMOD = (
    "CASE WHEN p1 IS NULL OR p2 IS NULL THEN NULL WHEN p2 < 0 THEN ''"
    " WHEN p1 IN (1042, 1043) THEN '(' || (p2 - 4)::text || ')'"
    " WHEN p1 = 1700 THEN '(39,' || ((p2 - 4) % 65536)::text || ')'"
    " WHEN p1 IN (1114, 1184) THEN '(' || p2::text || ')' ELSE '' END"
)
_FORMAT_TYPE = (
    "(SELECT CASE WHEN p1 IS NULL THEN NULL WHEN p1 = 0 THEN '-' ELSE"
    " COALESCE(CASE WHEN p1 IN (1114, 1184)"
    f" THEN replace(max(t.shown), 'timestamp', 'timestamp' || COALESCE({_TYPMOD}, ''))"
    f" ELSE max(t.shown) || COALESCE({_TYPMOD}, '') END, '???') END"
    " FROM mz_internal.mz_type_details AS t WHERE t.oid = p1)"
)
# As ``server_version_num``: 1.23.4 is 102304.
_VERSION_NUMBER = (
    "(SELECT p[1]::int4 * 100000 + p[2]::int4 * 100 + p[3]::int4"
    " FROM (SELECT regexp_match(mz_version(), '^v?([0-9]+)\\.([0-9]+)\\.([0-9]+)') AS p) AS v)"
)
_TYPE_NAME = "(SELECT max(t.name) FROM mz_catalog.mz_types AS t WHERE t.oid = p1)"
_INDEX = (
    "(SELECT max(i.definition) FROM mz_internal.mz_index_definitions AS i"
    " WHERE i.oid = p1 AND i.position = {part})"
)
_CONSTRAINT = "(SELECT max(c.definition) FROM mz_internal.mz_constraints AS c WHERE c.oid = p1)"
_STORED = (
    "(SELECT sum(u.size_bytes)::int8 FROM mz_catalog.mz_recent_storage_usage AS u"
    " JOIN mz_catalog.mz_relations AS o ON u.object_id = o.id WHERE o.oid = p1::oid)"
)
# Materialize's answer where nothing has been measured.
_STORED_OR_UNKNOWN = f"CASE WHEN p1 IS NOT NULL THEN COALESCE({_STORED}, (-1)::int8) END"
_ROLE_NAME = (
    "(SELECT CASE WHEN p1 IS NULL THEN NULL ELSE COALESCE(max(r.name),"
    " 'unknown (OID=' || p1::int8::text || ')') END FROM mz_catalog.mz_roles AS r WHERE r.oid = p1)"
)

# --- names and oids -------------------------------------------------------------------------------

_AT = "array_position(current_schemas(true), {of}.schema_name)"
_HERE = "({of}.database_name IS NULL OR {of}.database_name = current_database())"
# The name of what an oid of a kind means: qualified where the bare name means something else. Of
# the objects of that name and kind, those as near in the search path are counted, itself included.
_REG_OUT = (
    "(SELECT CASE WHEN p1 IS NULL THEN NULL ELSE COALESCE(CASE WHEN"
    f" sum(CASE WHEN {_HERE.format(of='m')} AND {_HERE.format(of='n')}"
    f" AND {_AT.format(of='m')} <= {_AT.format(of='n')} THEN 1 ELSE 0 END) = 1 THEN max(n.name)"
    " ELSE max(concat_ws('.', CASE WHEN n.database_name <> current_database()"
    " THEN n.database_name END, n.schema_name, n.name)) END, p1::oid::text) END"
    " FROM mz_internal.mz_oid_names AS n JOIN mz_internal.mz_oid_names AS m"
    " ON m.kind = n.kind AND m.name = n.name WHERE n.kind = '{kind}' AND n.oid = p1::oid)"
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
_NAMED = (
    "(SELECT CASE WHEN p1 IS NULL THEN NULL WHEN p1 ~ '^[0-9]+$' THEN p1::int8::oid ELSE"
    " {answer} END FROM (SELECT n.oid FROM mz_internal.mz_oid_names AS n WHERE n.kind = '{kind}'"
    f" AND n.name = {_part(0)}"
    f" AND CASE WHEN {_COUNT} > 1 THEN n.schema_name = {_part(1)}"
    f" ELSE {_AT.format(of='n')} IS NOT NULL END"
    f" AND (n.database_name IS NULL OR n.database_name = CASE WHEN {_COUNT} > 2 THEN {_part(2)}"
    " ELSE current_database() END)"
    f" ORDER BY {_AT.format(of='n')} LIMIT 1) AS o)"
)
_OID = "max(o.oid::int8)::oid"
_MUST = "mz_error_if_null(" + _OID + ", '{noun} \"' || p1 || '\" does not exist')"


def _reg_in(kind: str, noun: str) -> str:
    """Return the SQL of what a name means; it fails where it means nothing."""
    return _NAMED.format(kind=kind, answer=_MUST.format(noun=noun))


# The same for kinds that a name alone finds wherever they are, those of the search path first, as
# Materialize's ``mz_connection_oid`` and ``mz_secret_oid`` do.
_ANY_IN = (
    "(SELECT CASE WHEN p1 IS NULL THEN NULL WHEN p1 ~ '^[0-9]+$' THEN p1::int8::oid ELSE "
    + _MUST.format(noun="{kind}")
    + " END FROM (SELECT n.oid FROM mz_internal.mz_oid_names AS n WHERE n.kind = '{kind}'"
    f" AND n.name = {_part(0)} AND ({_COUNT} < 2 OR n.schema_name = {_part(1)})"
    f" AND ({_COUNT} < 3 OR n.database_name = {_part(2)})"
    " ORDER BY n.database_name = current_database() DESC,"
    f" {_AT.format(of='n')}, n.oid LIMIT 1) AS o)"
)
# What a name of a kind outside of schemas means.
_FLAT_IN = (
    "(SELECT CASE WHEN p1 IS NULL THEN NULL ELSE " + _MUST + " END"
    " FROM {relation} AS o WHERE o.name = p1)"
)
_SCHEMA_IN = (
    "(SELECT CASE WHEN p1 IS NULL THEN NULL ELSE " + _MUST.format(noun="schema") + " END"
    " FROM mz_catalog.mz_schemas AS o LEFT JOIN mz_catalog.mz_databases AS d"
    f" ON o.database_id = d.id WHERE o.name = {_part(0)}"
    f" AND (o.database_id IS NULL OR d.name = CASE WHEN {_COUNT} > 1 THEN {_part(1)}"
    " ELSE current_database() END))"
)
_ROLE_IN = _FLAT_IN.format(relation="mz_catalog.mz_roles", noun="role")
# kind: the expression from a name to the oid.
LOOK_UPS: dict[str, str] = {
    "role": _ROLE_IN,
    "grantee": (
        "(SELECT CASE WHEN p1 IS NULL THEN NULL ELSE " + _MUST.format(noun="role") + " END FROM"
        " (SELECT DISTINCT m.member AS oid FROM mz_internal.mz_memberships AS m"
        " WHERE m.member_name = p1) AS o)"
    ),
    "database": _FLAT_IN.format(relation="mz_catalog.mz_databases", noun="database"),
    "schema": _SCHEMA_IN,
    "class": _reg_in("class", "relation"),
    "proc": _reg_in("proc", "function"),
    "type": _reg_in("type", "type"),
    "connection": _ANY_IN.format(kind="connection"),
    "secret": _ANY_IN.format(kind="secret"),
}

FUNCTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    **PRIVILEGE_FUNCTIONS,
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
    "col_description": (("oid, int4 -> text", _COMMENT.format(sub="p2", more=_IN_CLASSES)),),
    "shobj_description": (
        (
            "oid, text -> text",
            _COMMENT.format(sub="0", more=_IN_CATALOG),
        ),
    ),
    "format_type": (("oid, int4 -> text", _FORMAT_TYPE),),
    "pg_get_expr": (("text, oid -> text", "p1"), ("text, oid, bool -> text", "p1")),
    "pg_get_constraintdef": (("oid -> text", _CONSTRAINT), ("oid, bool -> text", _CONSTRAINT)),
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
        (
            "oid -> text",
            "(SELECT max(CASE WHEN a.kind = 'a' THEN mz_error_if_null(NULL::text,"
            " '\"' || a.name || '\" is an aggregate function') ELSE 'CREATE OR REPLACE FUNCTION '"
            " || s.name || '.' || quote_ident(a.name) || '(' || a.arguments || E')\\n RETURNS '"
            " || CASE WHEN a.returns_set THEN 'SETOF ' ELSE '' END || format_type(a.result, NULL)"
            " || E'\\n LANGUAGE internal\\n ' || CASE a.volatility WHEN 'v' THEN 'VOLATILE'"
            " WHEN 's' THEN 'STABLE' ELSE 'IMMUTABLE' END || E'\\nAS $function$' || a.name"
            " || E'$function$\\n' END)"
            " FROM mz_internal.mz_function_arguments AS a"
            " JOIN mz_catalog.mz_schemas AS s ON s.oid = a.schema_oid WHERE a.oid = p1)",
        ),
    ),
    "pg_blocking_pids": (("int4 -> int4[]", "CASE WHEN p1 IS NOT NULL THEN '{}'::int4[] END"),),
    "pg_show_all_settings": ((" -> setof text", "SELECT * FROM pg_catalog.pg_settings"),),
    # What is changed by a SELECT of it alone is a statement of its own (``SetConfigPlan``).
    "set_config": (
        (
            "text, text, bool -> text",
            "CASE WHEN current_setting(p1) = p2 THEN p2 ELSE mz_error_if_null(NULL::text,"
            " 'set_config cannot change \"' || p1 || '\": SET can') END",
        ),
    ),
    "pg_options_to_table": (
        (
            "text[] -> setof text",
            "SELECT split_part(o.option, '=', 1) AS option_name, CASE WHEN o.option LIKE '%=%'"
            " THEN substr(o.option, position('=' IN o.option) + 1) END AS option_value"
            " FROM unnest(p1) AS o(option)",
        ),
    ),
    "pg_get_indexdef": (
        ("oid -> text", _INDEX.format(part="0")),
        ("oid, int4, bool -> text", _INDEX.format(part="p2")),
    ),
    "pg_get_viewdef": (
        ("oid -> text", _VIEW.format(by="oid")),
        ("oid, bool -> text", _VIEW.format(by="oid")),
        ("oid, int4 -> text", _VIEW.format(by="oid")),
        ("text -> text", _VIEW.format(by="name")),
        ("text, bool -> text", _VIEW.format(by="name")),
    ),
    "pg_encoding_to_char": (("int8 -> text", "CASE WHEN p1 = 6 THEN 'UTF8' END"),),
    "pg_char_to_encoding": (
        ("text -> int4", "CASE upper(p1) WHEN 'UTF8' THEN 6 WHEN 'UTF-8' THEN 6 ELSE -1 END"),
    ),
    "getdatabaseencoding": ((" -> text", "'UTF8'"),),
    "pg_is_in_recovery": ((" -> bool", "false"),),
    "pg_relation_is_publishable": (("regclass -> bool", "false"),),
    "pg_relation_size": (
        ("class -> int8", _STORED_OR_UNKNOWN),
        ("class, text -> int8", _STORED_OR_UNKNOWN),
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
    "pg_stat_get_numscans": (("oid -> int8", "CASE WHEN p1 IS NOT NULL THEN (-1)::int8 END"),),
    "pg_tablespace_location": (("oid -> text", "NULL::text"),),
    "pg_postmaster_start_time": ((" -> timestamptz", "now() - mz_uptime()"),),
    "pg_my_temp_schema": ((" -> oid", "0::oid"),),
    "pg_is_other_temp_schema": (("oid -> bool", "false"),),
    "is_rbac_enabled": ((" -> bool", "false"),),
    "mz_type_name": (("oid -> text", _TYPE_NAME),),
    "mz_version_num": ((" -> int4", _VERSION_NUMBER),),
    "mz_render_typmod": (("oid, int4 -> text", _TYPMOD),),
    "mz_minimal_name_qualification": (
        (
            "text[], text -> text[]",
            "(SELECT CASE WHEN p1 IS NULL OR p2 IS NULL THEN NULL"
            " WHEN p1[1] <> current_database() THEN p1"
            " WHEN array_position(current_schemas(true), p1[2]) IS NULL THEN ARRAY[p1[2], p1[3]]"
            " WHEN array_position(current_schemas(true), p1[2])"
            f" > min({_AT.format(of='n')}) THEN ARRAY[p1[2], p1[3]] ELSE ARRAY[p1[3]] END"
            " FROM mz_internal.mz_oid_names AS n WHERE n.name = p1[3]"
            " AND n.kind = (SELECT max(o.kind) FROM mz_internal.mz_oid_names AS o"
            f" WHERE o.id = p2) AND {_HERE.format(of='n')})",
        ),
    ),
    "mz_resolve_object_name": (
        (
            "text, text -> setof text",
            "SELECT o.id, o.oid, o.schema_id, o.name, o.type, o.owner_id, o.cluster_id,"
            " o.privileges FROM mz_catalog.mz_objects AS o"
            " JOIN mz_internal.mz_object_oid_alias AS a ON a.object_type = o.type"
            " JOIN mz_catalog.mz_schemas AS s ON s.id = o.schema_id"
            " LEFT JOIN mz_catalog.mz_databases AS d ON d.id = s.database_id"
            " CROSS JOIN (SELECT mz_internal.mz_normalize_object_name(p2) AS n) AS w"
            " WHERE a.oid_alias = p1 AND o.name = w.n[3]"
            " AND s.name = COALESCE(w.n[2], s.name)"
            " AND (w.n[2] IS NOT NULL OR s.name = ANY (current_schemas(true)))"
            " AND (d.name IS NULL OR d.name = COALESCE(w.n[1], current_database()))"
            " ORDER BY array_position(current_schemas(true), s.name) LIMIT 1",
        ),
    ),
    "mz_role_oid": (("role -> oid", "p1"),),
    "mz_schema_oid": (("schema -> oid", "p1"),),
    "mz_database_oid": (("database -> oid", "p1"),),
    "mz_type_oid": (("type -> oid", "p1"),),
    "mz_object_oid": (("class -> oid", "p1"),),
    "mz_connection_oid": (("connection -> oid", "p1"),),
    "mz_secret_oid": (("secret -> oid", "p1"),),
    "to_regclass": (("text -> regclass", _NAMED.format(kind="class", answer=_OID)),),
    "to_regproc": (("text -> regproc", _NAMED.format(kind="proc", answer=_OID)),),
    "to_regtype": (
        (
            "text -> regtype",
            f"COALESCE({_NAMED.format(kind='type', answer=_OID)}, (SELECT max(t.oid::int8)::oid"
            " FROM mz_internal.mz_type_details AS t WHERE t.shown = lower(btrim(p1))))",
        ),
    ),
    "mz_global_id_to_name": (
        (
            "text -> text",
            "(SELECT max(concat_ws('.', n.database_name, n.schema_name, n.name))"
            " FROM mz_internal.mz_object_fully_qualified_names AS n WHERE n.id = p1)",
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
    ("mz_aclitem", "text"): ("mz_aclitem -> text", acl_text(ROLE_BY_ID)),
    ("aclitem", "text"): ("aclitem -> text", acl_text(ROLE_BY_OID)),
    ("mz_aclitem", "aclitem"): ("mz_aclitem -> aclitem", acl_cast(OID_OF_ID, "")),
    ("aclitem", "mz_aclitem"): ("aclitem -> mz_aclitem", acl_cast(ID_OF_OID, "")),
}
