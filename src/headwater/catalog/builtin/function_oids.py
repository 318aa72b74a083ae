"""Object ids of the functions that are SQL over the catalog, or that planning answers.

Those of compiled functions stand with their signatures (``ir.functions``). Sources: PostgreSQL's
``pg_proc.dat``, and Materialize's builtin tables for what PostgreSQL lacks.
"""

_LISTED = """
aclexplode(aclitem[])#1689 aclitem_grantee(aclitem)#16617 aclitem_grantor(aclitem)#16616
aclitem_privileges(aclitem)#16618 clock_timestamp()#2649 col_description(oid,int4)#1216
current_catalog()#16957 current_database()#861 current_role()#16958 current_schema()#1402
current_schemas(bool)#1403 current_setting(text)#2077 current_setting(text,bool)#3294
current_timestamp()#16389 current_user()#745 format_type(oid,int4)#1081 getdatabaseencoding()#1039
has_any_column_privilege(oid,oid,text)#3027 has_any_column_privilege(oid,text)#3029
has_any_column_privilege(oid,text,text)#3026 has_any_column_privilege(text,oid,text)#3025
has_any_column_privilege(text,text)#3028 has_any_column_privilege(text,text,text)#3024
has_cluster_privilege(oid,text,text)#16588 has_cluster_privilege(text,text)#16589
has_cluster_privilege(text,text,text)#16587 has_connection_privilege(oid,oid,text)#16594
has_connection_privilege(oid,text)#16596 has_connection_privilege(oid,text,text)#16593
has_connection_privilege(text,oid,text)#16592 has_connection_privilege(text,text)#16595
has_connection_privilege(text,text,text)#16591 has_database_privilege(oid,oid,text)#2253
has_database_privilege(oid,text)#2255 has_database_privilege(oid,text,text)#2252
has_database_privilege(text,oid,text)#2251 has_database_privilege(text,text)#2254
has_database_privilege(text,text,text)#2250 has_role(oid,oid,text)#16623 has_role(oid,text)#16625
has_role(oid,text,text)#16622 has_role(text,oid,text)#16621 has_role(text,text)#16624
has_role(text,text,text)#16620 has_schema_privilege(oid,oid,text)#2271
has_schema_privilege(oid,text)#2273 has_schema_privilege(oid,text,text)#2270
has_schema_privilege(text,oid,text)#2269 has_schema_privilege(text,text)#2272
has_schema_privilege(text,text,text)#2268 has_secret_privilege(oid,oid,text)#16600
has_secret_privilege(oid,text)#16602 has_secret_privilege(oid,text,text)#16599
has_secret_privilege(text,oid,text)#16598 has_secret_privilege(text,text)#16601
has_secret_privilege(text,text,text)#16597 has_system_privilege(oid,text)#16609
has_system_privilege(text)#16610 has_system_privilege(text,text)#16608
has_table_privilege(oid,oid,text)#1925 has_table_privilege(oid,text)#1927
has_table_privilege(oid,text,text)#1924 has_table_privilege(text,oid,text)#1923
has_table_privilege(text,text)#1926 has_table_privilege(text,text,text)#1922
has_type_privilege(oid,oid,text)#3141 has_type_privilege(oid,text)#3143
has_type_privilege(oid,text,text)#3140 has_type_privilege(text,oid,text)#3139
has_type_privilege(text,text)#3142 has_type_privilege(text,text,text)#3138 is_rbac_enabled()#16574
make_mz_aclitem(text,text,text)#16570 makeaclitem(oid,oid,text,bool)#1365 max(anyarray)#2050
max(bool)#16398 max(bpchar)#2244 max(date)#2122 max(float4)#2119 max(float8)#2120 max(int2)#2117
max(int4)#2116 max(int8)#2115 max(interval)#2128 max(mz_timestamp)#16561 max(numeric)#16441
max(oid)#2118 max(text)#2129 max(time)#2123 max(timestamp)#2126 max(timestamptz)#2127
max(uint2)#16496 max(uint4)#16497 max(uint8)#16498 min(anyarray)#2051 min(bool)#16399
min(bpchar)#2245 min(date)#2138 min(float4)#2135 min(float8)#2136 min(int2)#2133 min(int4)#2132
min(int8)#2131 min(interval)#2144 min(mz_timestamp)#16562 min(numeric)#16442 min(oid)#2134
min(text)#2145 min(time)#2139 min(timestamp)#2142 min(timestamptz)#2143 min(uint2)#16499
min(uint4)#16500 min(uint8)#16501 mz_acl_item_contains_privilege(mz_aclitem,text)#16575
mz_aclexplode(mz_aclitem[])#16619 mz_aclitem_grantee(mz_aclitem)#16572
mz_aclitem_grantor(mz_aclitem)#16571 mz_aclitem_privileges(mz_aclitem)#16573
mz_connection_oid(text)#16650 mz_database_oid(text)#16585 mz_environment_id()#16407
mz_format_privileges(text)#16615 mz_global_id_to_name(text)#16582 mz_is_superuser()#16614
mz_minimal_name_qualification(text[],text)#16578 mz_now()#16560 mz_render_typmod(oid,int4)#16410
mz_resolve_object_name(text,text)#16581 mz_role_oid(text)#16577 mz_role_oid_memberships()#16612
mz_schema_oid(text)#16586 mz_secret_oid(text)#16651 mz_session_id()#16435 mz_type_name(oid)#16453
mz_uptime()#16436 mz_validate_privileges(text)#16576 mz_validate_role_privilege(text)#16613
mz_version()#16411 mz_version_num()#16458 now()#1299 obj_description(oid)#1348
obj_description(oid,text)#1215 pg_backend_pid()#2026 pg_blocking_pids(int4)#2561
pg_char_to_encoding(text)#1264 pg_collation_is_visible(oid)#3815 pg_conversion_is_visible(oid)#2093
pg_database_size(oid)#2324 pg_database_size(text)#2168 pg_encoding_to_char(int8)#1597
pg_function_is_visible(oid)#2081 pg_get_constraintdef(oid)#1387 pg_get_constraintdef(oid,bool)#2508
pg_get_expr(text,oid)#1716 pg_get_expr(text,oid,bool)#2509 pg_get_function_arguments(oid)#2162
pg_get_function_identity_arguments(oid)#2232 pg_get_function_result(oid)#2165
pg_get_functiondef(oid)#2098 pg_get_indexdef(oid)#1643 pg_get_indexdef(oid,int4,bool)#2507
pg_get_keywords()#1686 pg_get_partkeydef(oid)#3352 pg_get_ruledef(oid)#1573
pg_get_ruledef(oid,bool)#2504 pg_get_serial_sequence(text,text)#1665
pg_get_statisticsobjdef_columns(oid)#6174 pg_get_triggerdef(oid)#1662
pg_get_triggerdef(oid,bool)#2730 pg_get_userbyid(oid)#1642 pg_get_viewdef(oid)#1641
pg_get_viewdef(oid,bool)#2506 pg_get_viewdef(oid,int4)#3159 pg_get_viewdef(text)#1640
pg_get_viewdef(text,bool)#2505 pg_has_role(oid,oid,text)#2708 pg_has_role(oid,text)#2710
pg_has_role(oid,text,text)#2707 pg_has_role(text,oid,text)#2706 pg_has_role(text,text)#2709
pg_has_role(text,text,text)#2705 pg_indexes_size(regclass)#2998 pg_is_in_recovery()#3810
pg_is_other_temp_schema(oid)#2855 pg_my_temp_schema()#2854 pg_opclass_is_visible(oid)#2083
pg_operator_is_visible(oid)#2082 pg_opfamily_is_visible(oid)#3829 pg_options_to_table(text[])#2289
pg_postmaster_start_time()#2560 pg_relation_is_publishable(regclass)#6121
pg_relation_size(regclass)#2325 pg_relation_size(regclass,text)#2332 pg_show_all_settings()#2084
pg_size_pretty(numeric)#3166 pg_stat_get_numscans(oid)#1928 pg_statistics_obj_is_visible(oid)#3403
pg_table_is_visible(oid)#2079 pg_table_size(regclass)#2997 pg_tablespace_location(oid)#3778
pg_tablespace_size(oid)#2322 pg_total_relation_size(regclass)#2286 pg_ts_config_is_visible(oid)#3758
pg_ts_dict_is_visible(oid)#3757 pg_ts_parser_is_visible(oid)#3756
pg_ts_template_is_visible(oid)#3768 pg_type_is_visible(oid)#2080 pg_typeof(any)#1619 pi()#1610
pretty_sql(text)#16648 pretty_sql(text,int4)#16647 redact_sql(text)#17074 session_user()#746
set_config(text,text,bool)#2078 shobj_description(oid,text)#1993 statement_timestamp()#2648
to_regclass(text)#3495 to_regtype(text)#3493 transaction_timestamp()#2647 user()#16959 version()#89
"""


def _parse(listed: str) -> dict[tuple[str, tuple[str, ...]], int]:
    found = {}
    for word in listed.split():
        signature, _, oid = word.partition("#")
        name, _, arguments = signature.removesuffix(")").partition("(")
        found[name, tuple(arguments.split(",")) if arguments else ()] = int(oid)
    return found


FUNCTION_OIDS: dict[tuple[str, tuple[str, ...]], int] = _parse(_LISTED)
"""Object ids by name and the names of the arguments' types."""
