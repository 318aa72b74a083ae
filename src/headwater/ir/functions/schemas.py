"""In which schema a function is, and the functions that exist by name alone.

Everything is in ``pg_catalog`` but for what is listed here. Source: Materialize's builtin tables.
"""

_NAMES = {
    "mz_catalog": """
        avg_internal_v1 concat_agg constant_time_eq crc32 csv_extract datediff
        has_cluster_privilege has_connection_privilege has_role has_secret_privilege
        has_system_privilege has_type_privilege kafka_murmur2 list_agg list_append list_cat
        list_length list_length_max list_n_layers list_prepend list_remove map_agg map_build
        map_length mz_environment_id mz_is_superuser mz_logical_timestamp mz_now mz_uptime
        mz_version mz_version_num pretty_sql regexp_extract repeat_row
        repeat_row_non_negative seahash starts_with timezone_offset
        try_parse_monotonic_iso8601_timestamp unnest
    """,
    "mz_internal": """
        aclitem_grantee aclitem_grantor aclitem_privileges is_rbac_enabled make_mz_aclitem
        mz_acl_item_contains_privilege mz_aclexplode mz_aclitem_grantee mz_aclitem_grantor
        mz_aclitem_privileges mz_connection_oid mz_database_oid mz_format_privileges
        mz_global_id_to_name mz_minimal_name_qualification mz_name_rank mz_normalize_object_name
        mz_normalize_schema_name mz_render_typmod mz_resolve_object_name
        mz_role_oid mz_role_oid_memberships mz_schema_oid mz_secret_oid mz_session_id
        mz_session_settings mz_type_name
        mz_validate_privileges mz_validate_role_privilege parse_catalog_create_sql
        parse_catalog_id parse_catalog_privileges redact_sql
    """,
    "mz_unsafe": """
        mz_all mz_any mz_avg_promotion mz_avg_promotion_internal_v1 mz_error_if_null mz_panic
        mz_sleep
    """,
    "information_schema": "_pg_expandarray",
}
_SCHEMAS = {name: schema for schema, names in _NAMES.items() for name in names.split()}
# Found in pg_catalog by PostgreSQL's clients and in mz_catalog by Materialize's.
_IN_BOTH = frozenset({"starts_with", "unnest"})

# Functions that read and write the types' external forms: PostgreSQL's clients join with them by
# name and oid. They take values of type internal, so that no query can call them.
_TYPE_IO = """
aclitemin#1031 any_in#2294 anyarray_in#2296 anyarray_recv#2502 anycompatible_in#5086
anycompatiblearray_in#5088 anycompatiblearray_recv#5090 anycompatiblenonarray_in#5092
anycompatiblerange_in#5094 anyelement_in#2312 anynonarray_in#2777 anyrange_in#3832 array_in#750
array_recv#2400 boolin#1242 boolrecv#2436 bpcharin#1044 bpcharrecv#2430 byteain#1244
bytearecv#2412 charin#1245 charrecv#2434 date_in#1084 date_recv#2468 float4in#200
float4recv#2424 float8in#214 float8recv#2426 int2in#38 int2recv#2404 int2vectorin#40
int2vectorrecv#2410 int4in#42 int4recv#2406 int8in#460 int8recv#2408 internal_in#2304
interval_in#1160 interval_recv#2478 jsonb_in#3806 jsonb_recv#3805 namein#34 namerecv#2422
numeric_in#1701 numeric_recv#2460 oidin#1798 oidrecv#2418 range_in#3834 range_recv#3836
record_in#2290 record_recv#2402 regclassin#2218 regclassrecv#2452 regprocin#44 regprocrecv#2444
regtypein#2220 regtyperecv#2454 textin#46 textrecv#2414 time_in#1143 time_recv#2470
timestamp_in#1312 timestamp_recv#2474 timestamptz_in#1150 timestamptz_recv#2476 uuid_in#2952
uuid_recv#2961 varcharin#1046 varcharrecv#2432
"""
TYPE_IO: dict[str, int] = {
    name: int(oid) for name, _, oid in (word.partition("#") for word in _TYPE_IO.split())
}


def schema_of(name: str) -> str:
    """Return the schema that a function is in."""
    return _SCHEMAS.get(name, "pg_catalog")


def is_in_schema(name: str, schema: str) -> bool:
    """Return whether a function may be called with ``schema`` before its name."""
    return schema == schema_of(name) or (schema == "pg_catalog" and name in _IN_BOTH)
