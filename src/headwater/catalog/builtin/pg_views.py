"""The builtin views of ``pg_catalog`` and ``information_schema``, for drivers and tools.

Columns that have no meaning here are constants of the right type. Only objects of the current
database, and the system's, are shown, as PostgreSQL does; ``mz_internal.pg_…_all_databases`` show
those of all. The order of columns is that of ``shapes.txt``.
"""

from headwater.catalog.builtin.time_zones import MZ_TIME_ZONES, PG_TIME_ZONES
from headwater.catalog.builtin.views import BuiltinViewDef

_HERE = """(s.database_id IS NULL OR s.database_id IN (
            SELECT h.id FROM mz_catalog.mz_databases AS h WHERE h.name = current_database()))"""
_DATABASE = "LEFT JOIN mz_catalog.mz_databases AS d ON s.database_id = d.id"
_CURRENT = "database_name IS NULL OR database_name = current_database()"


_ALL_DATABASES: tuple[tuple[str, str], ...] = (
    (
        "pg_namespace_all_databases",
        """
        SELECT oid, name AS nspname, owner_oid AS nspowner, acl AS nspacl, database_name
        FROM mz_internal.mz_space_details WHERE kind = 'schema'
        """,
    ),
    (
        "pg_class_all_databases",
        """
        SELECT o.oid, o.name AS relname, o.schema_oid AS relnamespace, 0::oid AS reloftype,
               o.owner_oid AS relowner,
               CASE WHEN o.relkind = 'i' THEN 403 ELSE 0 END::oid AS relam, 0::oid AS reltablespace,
               0::int4 AS relpages, (-1)::float4 AS reltuples, 0::oid AS reltoastrelid,
               (x.on_id IS NOT NULL OR o.has_keys) AS relhasindex,
               o.persistence::"char" AS relpersistence,
               o.relkind, o.natts AS relnatts, o.checks AS relchecks,
               false AS relhasrules, false AS relhastriggers, false AS relhassubclass,
               false AS relrowsecurity, false AS relforcerowsecurity,
               'd'::"char" AS relreplident, false AS relispartition, false AS relhasoids,
               NULL::text[] AS reloptions, o.database_name
        FROM mz_internal.mz_class_details AS o
        LEFT JOIN (SELECT DISTINCT i.on_id FROM mz_catalog.mz_indexes AS i) AS x
               ON x.on_id = o.id AND o.relkind <> 'i'
        """,
    ),
    (
        "pg_attribute_all_databases",
        """
        SELECT oid AS attrelid, name AS attname, typid AS atttypid, typlen AS attlen,
               num AS attnum, typmod AS atttypmod, ndims AS attndims, not_null AS attnotnull,
               has_default AS atthasdef, ''::"char" AS attidentity, ''::"char" AS attgenerated,
               false AS attisdropped, 0::oid AS attcollation, database_name,
               NULL::text AS pg_type_database_name
        FROM mz_internal.mz_attribute_details
        """,
    ),
    (
        "pg_attrdef_all_databases",
        """
        SELECT o.oid, o.oid AS adrelid, c.position::int8 AS adnum, c.default AS adbin,
               c.default AS adsrc
        FROM mz_catalog.mz_columns AS c JOIN mz_catalog.mz_relations AS o ON c.id = o.id
        WHERE c.default IS NOT NULL
        """,
    ),
    (
        "pg_type_all_databases",
        """
        SELECT oid, name AS typname, schema_oid AS typnamespace, owner_oid AS typowner, typlen,
               typtype::"char" AS typtype, category::"char" AS typcategory,
               ','::"char" AS typdelim, 0::oid AS typrelid, typelem, typarray,
               typinput::regproc AS typinput, typreceive, false AS typnotnull,
               0::oid AS typbasetype, (-1)::int4 AS typtypmod, 0::oid AS typcollation,
               NULL::text AS typdefault, database_name
        FROM mz_internal.mz_type_details
        """,
    ),
    (
        "pg_description_all_databases",
        """
        SELECT o.oid AS objoid, k.oid AS classoid, o.sub_id AS objsubid,
               o.comment AS description, n.database_name AS oid_database_name,
               NULL::text AS class_database_name
        FROM mz_internal.mz_descriptions AS o
        LEFT JOIN mz_internal.mz_oid_names AS n ON n.oid = o.oid
        LEFT JOIN mz_internal.mz_oid_names AS k
               ON k.kind = 'class' AND k.schema_name = 'pg_catalog' AND k.name = o.class
        WHERE o.class NOT IN ('pg_database', 'pg_authid')
        """,
    ),
    (
        "pg_authid_core",
        """
        SELECT oid, name AS rolname, COALESCE(rolsuper, false) AS rolsuper,
               inherit AS rolinherit, COALESCE(rolcanlogin, false) AS rolcanlogin,
               false AS rolreplication, false AS rolbypassrls, (-1)::int4 AS rolconnlimit,
               NULL::text AS rolpassword, NULL::timestamptz AS rolvaliduntil
        FROM mz_catalog.mz_roles
        """,
    ),
)

_PG: tuple[tuple[str, str], ...] = (
    (
        "pg_namespace",
        f"""
        SELECT oid, nspname, nspowner, nspacl FROM mz_internal.pg_namespace_all_databases
        WHERE {_CURRENT}
        """,
    ),
    (
        "pg_class",
        """
        SELECT c.*, o.acl AS relacl, true AS relispopulated, 0::oid AS reltype,
               0::oid AS relfilenode, 0::oid AS relrewrite, NULL::text AS relpartbound
        FROM mz_internal.pg_class_all_databases AS c
        JOIN mz_internal.mz_class_details AS o ON o.oid = c.oid
        WHERE c.database_name IS NULL OR c.database_name = current_database()
        """,
    ),
    (
        "pg_attribute",
        f"""
        SELECT a.*, NULL::text[] AS attacl, (-1)::int4 AS attstattarget,
               CASE WHEN attlen < 0 THEN 'x' ELSE 'p' END::"char" AS attstorage,
               ''::"char" AS attcompression, true AS attislocal, 0::int4 AS attinhcount,
               NULL::text[] AS attoptions, NULL::text[] AS attfdwoptions,
               false AS atthasmissing
        FROM mz_internal.pg_attribute_all_databases AS a WHERE {_CURRENT}
        """,
    ),
    ("pg_attrdef", "SELECT * FROM mz_internal.pg_attrdef_all_databases"),
    (
        "pg_type",
        """
        SELECT t.*, o.acl AS typacl, false AS typispreferred, true AS typisdefined,
               0::int4 AS typndims, CASE WHEN t.typlen < 0 THEN 'x' ELSE 'p' END::"char"
               AS typstorage, NULL::text AS typdefaultbin
        FROM mz_internal.pg_type_all_databases AS t
        JOIN mz_internal.mz_type_details AS o ON o.oid = t.oid
        WHERE t.database_name IS NULL OR t.database_name = current_database()
        """,
    ),
    (
        "pg_database",
        """
        SELECT oid, name AS datname, owner_oid AS datdba, 6::int4 AS encoding,
               false AS datistemplate, true AS datallowconn, 'C'::text AS datcollate,
               'C'::text AS datctype, acl AS datacl, 1663::oid AS dattablespace,
               (-1)::int4 AS datconnlimit
        FROM mz_internal.mz_space_details WHERE kind = 'database'
        """,
    ),
    (
        "pg_tablespace",
        """
        SELECT 1663::oid AS oid, 'pg_default' AS spcname, NULL::oid AS spcowner,
               NULL::text[] AS spcacl, NULL::text[] AS spcoptions
        """,
    ),
    (
        "pg_am",
        """
        SELECT 403::oid AS oid, 'arrangement' AS amname, 0::oid::regproc AS amhandler,
               'i'::"char" AS amtype, false AS amcanorder
        """,
    ),
    (
        "pg_index",
        f"""
        SELECT x.*, x.indnatts AS indnkeyatts, false AS indisexclusion, false AS indcheckxmin,
               true AS indisready, true AS indislive, 0::oid::text::int2vector AS indclass,
               0::oid::text::int2vector AS indcollation
        FROM (SELECT i.oid AS indexrelid, r.oid AS indrelid, k.columns::int2 AS indnatts,
                     y.is_unique AS indisunique, false AS indisprimary, false AS indimmediate,
                     false AS indisclustered, true AS indisvalid, false AS indisreplident,
                     k.key::int2vector AS indkey, k.options::int2vector AS indoption,
                     k.expressions AS indexprs, NULL::text AS indpred,
                     false AS indnullsnotdistinct
              FROM mz_catalog.mz_indexes AS i
              JOIN mz_internal.mz_index_keys AS y ON y.index_id = i.id
              JOIN mz_catalog.mz_relations AS r ON i.on_id = r.id
              JOIN mz_catalog.mz_schemas AS s ON r.schema_id = s.id
              JOIN (SELECT index_id, count(*) AS columns,
                           string_agg(COALESCE(on_position::int8, 0)::text, ' '
                                      ORDER BY index_position) AS key,
                           string_agg('0', ' ') AS options,
                           CASE WHEN bool_or(on_position IS NULL)
                                THEN '{{' || string_agg(on_expression, ', ' ORDER BY index_position)
                                     || '}}' END AS expressions
                    FROM mz_catalog.mz_index_columns GROUP BY index_id) AS k ON k.index_id = i.id
              WHERE {_HERE}
              UNION ALL
              SELECT c.index_oid, c.relid, array_length(c.columns, 1)::int2, true, c.type = 'p',
                     true, false, true, false, array_to_string(c.columns, ' ')::int2vector,
                     regexp_replace(array_to_string(c.columns, ' '), '[0-9]+', '0', 'g')
                         ::int2vector, NULL, NULL, NOT c.nulls_distinct
              FROM mz_internal.mz_constraints AS c
              JOIN mz_catalog.mz_tables AS t ON t.id = c.table_id
              JOIN mz_catalog.mz_schemas AS s ON t.schema_id = s.id
              WHERE c.type IN ('p', 'u') AND {_HERE}) AS x
        """,
    ),
    (
        "pg_constraint",
        f"""
        SELECT c.oid, c.name AS conname, c.schema_oid AS connamespace,
               c.type::"char" AS contype, false AS condeferrable, false AS condeferred,
               true AS convalidated, c.relid AS conrelid, 0::oid AS contypid,
               c.index_oid AS conindid, 0::oid AS conparentid, 0::oid AS confrelid,
               ' '::"char" AS confupdtype, ' '::"char" AS confdeltype,
               ' '::"char" AS confmatchtype, true AS conislocal, 0::int4 AS coninhcount,
               true AS connoinherit, c.columns AS conkey, NULL::int2[] AS confkey,
               NULL::oid[] AS conpfeqop, NULL::oid[] AS conppeqop, NULL::oid[] AS conffeqop,
               NULL::oid[] AS conexclop, c.predicate AS conbin, NULL::int2[] AS confdelsetcols
        FROM mz_internal.mz_constraints AS c
        JOIN mz_catalog.mz_tables AS t ON t.id = c.table_id
        JOIN mz_catalog.mz_schemas AS s ON t.schema_id = s.id
        WHERE {_HERE}
        """,
    ),
    (
        "pg_indexes",
        f"""
        SELECT COALESCE(d.name, current_database()) AS table_catalog, s.name AS schemaname,
               r.name AS tablename, i.name AS indexname, NULL::text AS tablespace,
               i.create_sql AS indexdef
        FROM mz_catalog.mz_indexes AS i
        JOIN mz_catalog.mz_relations AS r ON i.on_id = r.id
        JOIN mz_catalog.mz_schemas AS s ON r.schema_id = s.id
        {_DATABASE}
        WHERE {_HERE}
        """,
    ),
    (
        "pg_authid",
        """
        SELECT a.*, d.createrole AS rolcreaterole, d.createdb AS rolcreatedb
        FROM mz_internal.pg_authid_core AS a JOIN mz_internal.mz_role_details AS d ON d.oid = a.oid
        """,
    ),
    (
        "pg_roles",
        """
        SELECT r.name AS rolname, COALESCE(r.rolsuper, false) AS rolsuper,
               r.inherit AS rolinherit, d.createrole AS rolcreaterole,
               d.createdb AS rolcreatedb, COALESCE(r.rolcanlogin, false) AS rolcanlogin,
               false AS rolreplication, (-1)::int4 AS rolconnlimit, '********' AS rolpassword,
               NULL::timestamptz AS rolvaliduntil, false AS rolbypassrls,
               d.config AS rolconfig, r.oid
        FROM mz_catalog.mz_roles AS r JOIN mz_internal.mz_role_details AS d ON d.oid = r.oid
        """,
    ),
    (
        "pg_user",
        """
        SELECT r.name AS usename, r.oid AS usesysid, d.createdb AS usecreatedb,
               r.rolsuper AS usesuper, false AS userepl, false AS usebypassrls,
               NULL::text AS passwd, NULL::timestamptz AS valuntil, d.config AS useconfig
        FROM mz_catalog.mz_roles AS r JOIN mz_internal.mz_role_details AS d ON d.oid = r.oid
        WHERE r.rolcanlogin
        """,
    ),
    (
        "pg_auth_members",
        """
        SELECT r.oid AS roleid, m.oid AS member, g.oid AS grantor, false AS admin_option
        FROM mz_catalog.mz_role_members AS x
        JOIN mz_catalog.mz_roles AS r ON r.id = x.role_id
        JOIN mz_catalog.mz_roles AS m ON m.id = x.member
        JOIN mz_catalog.mz_roles AS g ON g.id = x.grantor
        """,
    ),
    (
        "pg_proc",
        """
        SELECT a.oid, a.name AS proname, a.schema_oid AS pronamespace, r.oid AS proowner,
               NULL::text AS proargdefaults, a.result AS prorettype,
               NULL::text[] AS proacl, 12::oid AS prolang, a.name AS prosrc,
               a.kind::"char" AS prokind, a.kind = 'a' AS proisagg, a.kind = 'w' AS proiswindow,
               a.returns_set AS proretset, a.volatility::"char" AS provolatile,
               's'::"char" AS proparallel, false AS prosecdef, false AS proleakproof,
               false AS proisstrict, a.nargs AS pronargs, a.types AS proargtypes,
               a.variadic AS provariadic, NULL::text[] AS proargnames,
               NULL::text[] AS proargmodes, NULL::oid[] AS proallargtypes,
               1::float4 AS procost, 0::float4 AS prorows, NULL::text[] AS proconfig,
               NULL::text AS probin
        FROM mz_internal.mz_function_arguments AS a
        CROSS JOIN mz_catalog.mz_roles AS r WHERE r.id = 's1'
        """,
    ),
    (
        "pg_aggregate",
        """
        SELECT a.oid AS aggfnoid, a.agg_kind AS aggkind,
               a.agg_num_direct_args AS aggnumdirectargs, NULL::regproc AS aggtransfn,
               0::oid::regproc AS aggfinalfn, 0::oid::regproc AS aggcombinefn,
               0::oid::regproc AS aggserialfn, 0::oid::regproc AS aggdeserialfn,
               0::oid::regproc AS aggmtransfn, 0::oid::regproc AS aggminvtransfn,
               0::oid::regproc AS aggmfinalfn, false AS aggfinalextra, false AS aggmfinalextra,
               NULL::"char" AS aggfinalmodify, NULL::"char" AS aggmfinalmodify,
               0::oid AS aggsortop, NULL::oid AS aggtranstype, NULL::int4 AS aggtransspace,
               0::oid AS aggmtranstype, NULL::int4 AS aggmtransspace,
               NULL::text AS agginitval, NULL::text AS aggminitval
        FROM mz_internal.mz_aggregates AS a
        """,
    ),
    (
        "pg_operator",
        """
        SELECT o.oid, o.name AS oprname, COALESCE(t.oid, 0::oid) AS oprresult,
               CASE WHEN array_length(o.argument_type_ids, 1) = 2
                    THEN COALESCE(l.oid, 0::oid) ELSE 0::oid END AS oprleft,
               COALESCE(r.oid, 0::oid) AS oprright, 11::oid AS oprnamespace,
               CASE WHEN array_length(o.argument_type_ids, 1) = 2 THEN 'b' ELSE 'l' END::"char"
                   AS oprkind, NULL::regproc AS oprcode
        FROM mz_catalog.mz_operators AS o
        LEFT JOIN mz_catalog.mz_types AS t ON t.id = o.return_type_id
        LEFT JOIN mz_catalog.mz_types AS l ON l.id = o.argument_type_ids[1]
        LEFT JOIN mz_catalog.mz_types AS r
               ON r.id = o.argument_type_ids[array_length(o.argument_type_ids, 1)]
        """,
    ),
    (
        "pg_cast",
        """
        SELECT c.oid, c.castsource, c.casttarget, c.castfunc,
               c.castcontext::"char" AS castcontext, c.castmethod::"char" AS castmethod
        FROM mz_internal.mz_casts AS c
        """,
    ),
    (
        "pg_language",
        """
        SELECT 12::oid AS oid, 'internal' AS lanname, r.oid AS lanowner, false AS lanispl,
               false AS lanpltrusted, 0::oid AS lanplcallfoid, 0::oid AS laninline,
               0::oid AS lanvalidator, ARRAY[]::text[] AS lanacl
        FROM mz_catalog.mz_roles AS r WHERE r.id = 's1'
        """,
    ),
    (
        "pg_depend",
        """
        SELECT k.oid AS classid, o.oid AS objid, 0::int4 AS objsubid, k.oid AS refclassid,
               u.oid AS refobjid, 0::int4 AS refobjsubid, 'n'::"char" AS deptype
        FROM mz_internal.mz_object_dependencies AS d
        JOIN mz_catalog.mz_relations AS u ON u.id = d.referenced_object_id
        JOIN mz_catalog.mz_objects AS o ON o.id = d.object_id
        LEFT JOIN mz_internal.mz_oid_names AS k
               ON k.kind = 'class' AND k.schema_name = 'pg_catalog' AND k.name = 'pg_class'
        WHERE o.type IN ('table', 'source', 'view', 'materialized-view', 'index')
        """,
    ),
    (
        "pg_stat_activity",
        # Which statements run is nobody's to see: NULL, as PostgreSQL shows it to other roles.
        """
        SELECT NULL::oid AS datid, NULL::text AS datname, s.connection_id::int8::int4 AS pid,
               NULL::int4 AS leader_pid, r.oid AS usesysid, r.name AS usename,
               NULL::text AS application_name, s.client_ip AS client_addr,
               NULL::text AS client_hostname, NULL::int4 AS client_port,
               s.connected_at AS backend_start, NULL::timestamptz AS xact_start,
               NULL::timestamptz AS query_start, NULL::timestamptz AS state_change,
               NULL::text AS wait_event_type, NULL::text AS wait_event, NULL::text AS state,
               NULL::int8 AS query_id, NULL::text AS query, 'client backend' AS backend_type
        FROM mz_internal.mz_session_rows AS s
        JOIN mz_catalog.mz_roles AS r ON r.id = s.role_id
        """,
    ),
    (
        "pg_stat_user_tables",
        # Nothing counts what PostgreSQL counts here: NULL, rather than numbers that mislead.
        f"""
        SELECT r.oid AS relid, s.name AS schemaname, r.name AS relname, NULL::int8 AS seq_scan,
               NULL::int8 AS seq_tup_read, NULL::int8 AS idx_scan, NULL::int8 AS idx_tup_fetch,
               NULL::int8 AS n_tup_ins, NULL::int8 AS n_tup_upd, NULL::int8 AS n_tup_del,
               NULL::int8 AS n_live_tup, NULL::int8 AS n_dead_tup,
               NULL::timestamptz AS last_vacuum, NULL::timestamptz AS last_autovacuum,
               NULL::timestamptz AS last_analyze, NULL::timestamptz AS last_autoanalyze
        FROM mz_catalog.mz_relations AS r JOIN mz_catalog.mz_schemas AS s ON r.schema_id = s.id
        WHERE r.type IN ('table', 'source', 'materialized-view') AND s.database_id IS NOT NULL
              AND {_HERE}
        """,
    ),
    (
        "pg_settings",
        # The width of an index's key is asked for by PostgreSQL's JDBC driver.
        """
        SELECT x.name, x.setting, NULL::text AS unit, x.context AS category,
               x.description AS short_desc, NULL::text AS extra_desc, x.context, x.vartype,
               CASE WHEN x.context = 'internal' THEN 'default'
                    WHEN x.setting <> x.reset_val THEN 'session'
                    WHEN x.reset_val <> x.boot THEN 'configuration file'
                    ELSE 'default' END AS source,
               x.minimum AS min_val, x.maximum AS max_val, x.choices AS enumvals,
               x.boot AS boot_val, x.reset_val, NULL::text AS sourcefile,
               NULL::int4 AS sourceline, false AS pending_restart
        FROM (SELECT v.*, COALESCE(s.setting, v.boot) AS reset_val,
                     COALESCE(mz_internal.mz_session_settings() -> lower(v.name), s.setting,
                              v.boot) AS setting
              FROM mz_internal.mz_variables AS v
              LEFT JOIN mz_internal.mz_settings AS s ON s.name = lower(v.name)
              UNION ALL SELECT 'max_index_keys', 'Columns of an index''s key at most.', 'internal',
                     'integer', '32', '32', '32', NULL, '32', '32') AS x
        """,
    ),
    (
        "pg_tables",
        f"""
        SELECT s.name AS schemaname, t.name AS tablename, r.name AS tableowner
        FROM mz_catalog.mz_tables AS t
        JOIN mz_catalog.mz_schemas AS s ON t.schema_id = s.id
        JOIN mz_catalog.mz_roles AS r ON t.owner_id = r.id
        WHERE {_HERE}
        """,
    ),
    (
        "pg_views",
        f"""
        SELECT s.name AS schemaname, v.name AS viewname, r.oid AS viewowner, v.definition
        FROM mz_catalog.mz_views AS v
        JOIN mz_catalog.mz_schemas AS s ON v.schema_id = s.id
        JOIN mz_catalog.mz_roles AS r ON v.owner_id = r.id
        WHERE {_HERE}
        """,
    ),
    (
        "pg_matviews",
        f"""
        SELECT s.name AS schemaname, v.name AS matviewname, r.oid AS matviewowner, v.definition
        FROM mz_catalog.mz_materialized_views AS v
        JOIN mz_catalog.mz_schemas AS s ON v.schema_id = s.id
        JOIN mz_catalog.mz_roles AS r ON v.owner_id = r.id
        WHERE {_HERE}
        """,
    ),
    (
        "pg_description",
        """
        SELECT objoid, classoid, objsubid, description
        FROM mz_internal.pg_description_all_databases
        WHERE oid_database_name IS NULL OR oid_database_name = current_database()
        """,
    ),
    (
        "pg_shdescription",
        """
        SELECT o.oid AS objoid, k.oid AS classoid, o.comment AS description
        FROM mz_internal.mz_descriptions AS o
        JOIN mz_internal.mz_oid_names AS k
               ON k.kind = 'class' AND k.schema_name = 'pg_catalog' AND k.name = o.class
        WHERE o.class IN ('pg_database', 'pg_authid')
        """,
    ),
    (
        "pg_range",
        """
        SELECT oid AS rngtypid, element_oid AS rngsubtype
        FROM mz_internal.mz_type_details WHERE category = 'R'
        """,
    ),
    (
        "pg_default_acl",
        """
        SELECT (x.at + 16000)::int4::oid AS oid, x.role AS defaclrole, x.namespace
               AS defaclnamespace, x.type::"char" AS defaclobjtype, x.acl AS defaclacl
        FROM (SELECT row_number() OVER (ORDER BY p.role_id, p.object_type, p.schema_id,
                     p.grantee) AS at, COALESCE(o.oid, 0::oid) AS role,
                     COALESCE(s.oid, 0::oid) AS namespace,
                     CASE p.object_type WHEN 'table' THEN 'r' WHEN 'type' THEN 'T'
                          WHEN 'schema' THEN 'n' ELSE 'o' END AS type,
                     ARRAY[COALESCE(g.name, '') || '=' || p.privileges || '/'
                           || COALESCE(o.name, '')] AS acl
              FROM mz_catalog.mz_default_privileges AS p
              LEFT JOIN mz_catalog.mz_roles AS o ON p.role_id = o.id
              LEFT JOIN mz_catalog.mz_roles AS g ON p.grantee = g.id
              LEFT JOIN mz_catalog.mz_schemas AS s ON p.schema_id = s.id
              WHERE p.object_type IN ('table', 'type', 'schema')) AS x
        """,
    ),
)

_CONSTRAINTS = f"""FROM mz_internal.mz_constraints AS c
        JOIN mz_catalog.mz_tables AS t ON t.id = c.table_id
        JOIN mz_catalog.mz_schemas AS s ON s.id = t.schema_id WHERE {_HERE}"""
_GRANTS = f"""
        SELECT g.name AS grantor,
               CASE WHEN e.grantee = 'p' THEN 'PUBLIC' ELSE r.name END AS grantee,
               d.name AS table_catalog, s.name AS table_schema, e.name AS table_name,
               e.privilege_type, 'NO' AS is_grantable,
               CASE WHEN e.privilege_type = 'SELECT' THEN 'YES' ELSE 'NO' END AS with_hierarchy
        FROM (SELECT x.*, (mz_internal.mz_aclexplode(x.privileges)).*
              FROM mz_catalog.mz_relations AS x) AS e
        JOIN mz_catalog.mz_roles AS g ON e.grantor = g.id
        LEFT JOIN mz_catalog.mz_roles AS r ON e.grantee = r.id
        JOIN mz_catalog.mz_schemas AS s ON e.schema_id = s.id
        {_DATABASE}
        WHERE {_HERE}
        """
# The roles whose rights the current one has; a superuser has all.
_MY_ROLES = """(SELECT g.name FROM mz_internal.mz_role_reach AS m
            JOIN mz_catalog.mz_roles AS me ON m.member = me.id
            JOIN mz_catalog.mz_roles AS g ON m.role_id = g.id
            WHERE me.name = current_user AND NOT mz_is_superuser()
            UNION ALL SELECT g.name FROM mz_catalog.mz_roles AS g WHERE mz_is_superuser())"""

_INFORMATION: tuple[tuple[str, str], ...] = (
    (
        "schemata",
        f"""
        SELECT current_database() AS catalog_name, s.name AS schema_name,
               (SELECT max(o.name) FROM mz_catalog.mz_roles AS o WHERE o.id = s.owner_id)
                   AS schema_owner,
               NULL::text AS default_character_set_catalog,
               NULL::text AS default_character_set_schema,
               NULL::text AS default_character_set_name, NULL::text AS sql_path
        FROM mz_catalog.mz_schemas AS s WHERE {_HERE}
        """,
    ),
    (
        "tables",
        f"""
        SELECT COALESCE(d.name, current_database()) AS table_catalog, s.name AS table_schema,
               r.name AS table_name,
               CASE r.type WHEN 'materialized-view' THEN 'MATERIALIZED VIEW'
                    WHEN 'table' THEN 'BASE TABLE' WHEN 'source' THEN 'SOURCE'
                    ELSE 'VIEW' END AS table_type,
               CASE r.type WHEN 'table' THEN 'YES' ELSE 'NO' END AS is_insertable_into,
               'NO' AS is_typed
        FROM mz_catalog.mz_relations AS r
        JOIN mz_catalog.mz_schemas AS s ON s.id = r.schema_id
        {_DATABASE}
        WHERE {_HERE}
        """,
    ),
    (
        "columns",
        f"""
        SELECT COALESCE(d.name, current_database()) AS table_catalog, s.name AS table_schema,
               o.name AS table_name, c.name AS column_name,
               c.position::int8 AS ordinal_position, c.default AS column_default,
               CASE WHEN c.nullable THEN 'YES' ELSE 'NO' END AS is_nullable,
               c.type AS data_type,
               CASE WHEN c.type_oid IN (1042, 1043) AND c.type_mod >= 0
                    THEN c.type_mod - 4 END AS character_maximum_length,
               CASE WHEN c.type_oid = 1700 AND c.type_mod >= 0 THEN 39 END
                    AS numeric_precision,
               CASE WHEN c.type_oid = 1700 AND c.type_mod >= 0
                    THEN (c.type_mod - 4) % 65536 END AS numeric_scale,
               current_database() AS udt_catalog, ts.name AS udt_schema, t.name AS udt_name,
               CASE WHEN c.type_oid IN (20, 21, 23, 700, 701) THEN 2
                    WHEN c.type_oid = 1700 THEN 10 END AS numeric_precision_radix,
               CASE WHEN c.type_oid = 1082 THEN 0
                    WHEN c.type_oid IN (1083, 1114, 1184, 1186)
                    THEN CASE WHEN c.type_mod >= 0 THEN c.type_mod ELSE 6 END END
                    AS datetime_precision,
               NULL::text AS interval_type, NULL::text AS collation_name,
               NULL::text AS domain_name, 'NO' AS is_identity,
               NULL::text AS identity_generation, 'NEVER' AS is_generated,
               NULL::text AS generation_expression,
               CASE o.type WHEN 'table' THEN 'YES' ELSE 'NO' END AS is_updatable
        FROM mz_catalog.mz_columns AS c
        LEFT JOIN mz_catalog.mz_types AS t ON t.oid = c.type_oid
        LEFT JOIN mz_catalog.mz_schemas AS ts ON ts.id = t.schema_id
        JOIN mz_catalog.mz_relations AS o ON o.id = c.id
        JOIN mz_catalog.mz_schemas AS s ON s.id = o.schema_id
        {_DATABASE}
        WHERE {_HERE}
        """,
    ),
    (
        "views",
        f"""
        SELECT COALESCE(d.name, current_database()) AS table_catalog, s.name AS table_schema,
               v.name AS table_name, v.definition AS view_definition
        FROM mz_catalog.mz_views AS v
        JOIN mz_catalog.mz_schemas AS s ON s.id = v.schema_id
        {_DATABASE}
        WHERE {_HERE}
        """,
    ),
    (
        "table_constraints",
        f"""
        SELECT current_database() AS constraint_catalog, s.name AS constraint_schema,
               c.name AS constraint_name, current_database() AS table_catalog,
               s.name AS table_schema, t.name AS table_name,
               CASE c.type WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' ELSE 'CHECK' END
                   AS constraint_type,
               'NO' AS is_deferrable, 'NO' AS initially_deferred, 'YES' AS enforced,
               CASE WHEN c.type <> 'u' THEN NULL WHEN c.nulls_distinct THEN 'YES' ELSE 'NO' END
                   AS nulls_distinct
        {_CONSTRAINTS}
        """,
    ),
    (
        "key_column_usage",
        f"""
        SELECT current_database() AS constraint_catalog, k.constraint_schema, k.constraint_name,
               current_database() AS table_catalog, k.constraint_schema AS table_schema,
               k.table_name, c.name AS column_name, k.n::int4 AS ordinal_position,
               NULL::int4 AS position_in_unique_constraint
        FROM (SELECT s.name AS constraint_schema, c.name AS constraint_name, t.name AS table_name,
                     t.id, u.position, u.n
              FROM mz_internal.mz_constraints AS c
              JOIN mz_catalog.mz_tables AS t ON t.id = c.table_id
              JOIN mz_catalog.mz_schemas AS s ON s.id = t.schema_id,
              unnest(c.columns) WITH ORDINALITY AS u(position, n)
              WHERE c.type IN ('p', 'u') AND {_HERE}) AS k
        JOIN mz_catalog.mz_columns AS c ON c.id = k.id AND c.position = k.position::int8::uint8
        """,
    ),
    (
        "table_privileges",
        f"""
        SELECT * FROM ({_GRANTS}) AS x
        WHERE x.grantor IN {_MY_ROLES} OR x.grantee IN {_MY_ROLES} OR x.grantee = 'PUBLIC'
        """,
    ),
    (
        "role_table_grants",
        f"""
        SELECT * FROM information_schema.table_privileges
        WHERE grantor IN {_MY_ROLES} OR grantee IN {_MY_ROLES}
        """,
    ),
    (
        "applicable_roles",
        f"""
        SELECT member AS grantee, role AS role_name, 'NO' AS is_grantable
        FROM mz_internal.mz_show_role_members WHERE member IN {_MY_ROLES}
        """,
    ),
    ("enabled_roles", f"SELECT x.name AS role_name FROM {_MY_ROLES} AS x(name)"),
    (
        "routines",
        f"""
        SELECT current_database() AS routine_catalog, s.name AS routine_schema,
               f.name AS routine_name, 'FUNCTION' AS routine_type, NULL::text AS
               routine_definition
        FROM mz_catalog.mz_functions AS f
        JOIN mz_catalog.mz_schemas AS s ON f.schema_id = s.id
        WHERE {_HERE}
        """,
    ),
    (
        "character_sets",
        """
        SELECT NULL::text AS character_set_catalog, NULL::text AS character_set_schema,
               'UTF8' AS character_set_name, 'UCS' AS character_repertoire,
               'UTF8' AS form_of_use, current_database() AS default_collate_catalog,
               'pg_catalog' AS default_collate_schema, 'en_US.utf8' AS default_collate_name
        """,
    ),
)

PG_VIEWS = tuple(
    BuiltinViewDef(schema, name, " ".join(query.split()))
    for schema, views in (
        ("mz_internal", _ALL_DATABASES),
        ("mz_catalog", MZ_TIME_ZONES),
        ("pg_catalog", _PG),
        ("pg_catalog", PG_TIME_ZONES),
        ("information_schema", _INFORMATION),
    )
    for name, query in views
)
