"""The builtin views of ``pg_catalog`` and ``information_schema``, for drivers and tools.

Columns that have no meaning here are constants of the right type. Only objects of the current
database, and the system's, are shown, as PostgreSQL does.
"""

from headwater.catalog.builtin.views import BuiltinViewDef

_HERE = """(s.database_id IS NULL OR s.database_id IN (
            SELECT h.id FROM mz_catalog.mz_databases AS h WHERE h.name = current_database()))"""

_PG: tuple[tuple[str, str], ...] = (
    (
        "pg_namespace",
        f"""
        SELECT s.oid, s.name AS nspname, r.oid AS nspowner, NULL::text[] AS nspacl
        FROM mz_catalog.mz_schemas AS s JOIN mz_catalog.mz_roles AS r ON s.owner_id = r.id
        WHERE {_HERE}
        """,
    ),
    (
        "pg_class",
        f"""
        SELECT o.oid, o.name AS relname, s.oid AS relnamespace, 0::oid AS reloftype,
               r.oid AS relowner, 0::oid AS relam, 0::oid AS reltablespace,
               -1::float4 AS reltuples, 0::oid AS reltoastrelid,
               o.id IN (SELECT i.on_id FROM mz_catalog.mz_indexes AS i) AS relhasindex,
               'p'::"char" AS relpersistence,
               CASE o.type WHEN 'table' THEN 'r' WHEN 'source' THEN 'r' WHEN 'index' THEN 'i'
                    WHEN 'view' THEN 'v' WHEN 'materialized-view' THEN 'm' END AS relkind,
               0::int2 AS relnatts, 0::int2 AS relchecks, false AS relhasrules,
               false AS relhastriggers, false AS relhassubclass, false AS relrowsecurity,
               false AS relforcerowsecurity, 'd'::"char" AS relreplident,
               false AS relispartition, false AS relhasoids, NULL::text[] AS reloptions
        FROM mz_catalog.mz_objects AS o
        JOIN mz_catalog.mz_schemas AS s ON o.schema_id = s.id
        JOIN mz_catalog.mz_roles AS r ON o.owner_id = r.id
        WHERE o.type IN ('table', 'source', 'index', 'view', 'materialized-view') AND {_HERE}
        """,
    ),
    (
        "pg_attribute",
        """
        SELECT o.oid AS attrelid, c.name AS attname, c.type_oid AS atttypid,
               COALESCE(p.typlen, (-1)::int2) AS attlen, c.position::int8::int2 AS attnum,
               c.type_mod AS atttypmod, 0::int2 AS attndims, NOT c.nullable AS attnotnull,
               c.default IS NOT NULL AS atthasdef, ''::"char" AS attidentity,
               ''::"char" AS attgenerated, false AS attisdropped, 0::oid AS attcollation
        FROM mz_catalog.mz_columns AS c
        JOIN mz_catalog.mz_relations AS o ON c.id = o.id
        LEFT JOIN mz_catalog.mz_types AS t ON t.oid = c.type_oid
        LEFT JOIN mz_internal.mz_type_pg_metadata AS p ON p.id = t.id
        """,
    ),
    (
        "pg_attrdef",
        """
        SELECT o.oid, o.oid AS adrelid, c.position::int8 AS adnum, c.default AS adbin,
               c.default AS adsrc
        FROM mz_catalog.mz_columns AS c JOIN mz_catalog.mz_relations AS o ON c.id = o.id
        WHERE c.default IS NOT NULL
        """,
    ),
    (
        "pg_type",
        """
        SELECT t.oid, t.name AS typname, s.oid AS typnamespace, r.oid AS typowner,
               COALESCE(p.typlen, (-1)::int2) AS typlen,
               COALESCE(p.typtype, 'b')::"char" AS typtype,
               CASE t.category WHEN 'array' THEN 'A' WHEN 'boolean' THEN 'B'
                    WHEN 'date-time' THEN 'D' WHEN 'numeric' THEN 'N' WHEN 'pseudo' THEN 'P'
                    WHEN 'range' THEN 'R' WHEN 'string' THEN 'S' WHEN 'timespan' THEN 'T'
                    ELSE 'U' END::"char" AS typcategory,
               ','::"char" AS typdelim, 0::oid AS typrelid,
               COALESCE(p.typelem, 0::oid) AS typelem, COALESCE(p.typarray, 0::oid) AS typarray,
               NULL::regproc AS typinput, 0::oid AS typreceive, false AS typnotnull,
               0::oid AS typbasetype, (-1)::int4 AS typtypmod, 0::oid AS typcollation,
               NULL::text AS typdefault
        FROM mz_catalog.mz_types AS t
        JOIN mz_catalog.mz_schemas AS s ON t.schema_id = s.id
        JOIN mz_catalog.mz_roles AS r ON t.owner_id = r.id
        LEFT JOIN mz_internal.mz_type_pg_metadata AS p ON p.id = t.id
        """,
    ),
    (
        "pg_database",
        """
        SELECT d.oid, d.name AS datname, r.oid AS datdba, 6::int4 AS encoding,
               false AS datistemplate, true AS datallowconn, 'C'::text AS datcollate,
               'C'::text AS datctype, NULL::text[] AS datacl
        FROM mz_catalog.mz_databases AS d JOIN mz_catalog.mz_roles AS r ON d.owner_id = r.id
        """,
    ),
    (
        "pg_index",
        """
        SELECT i.oid AS indexrelid, r.oid AS indrelid, 0::int2 AS indnatts, false AS indisunique,
               false AS indisprimary, false AS indimmediate, false AS indisclustered,
               true AS indisvalid, false AS indisreplident, NULL::text AS indexprs,
               NULL::text AS indpred
        FROM mz_catalog.mz_indexes AS i JOIN mz_catalog.mz_relations AS r ON i.on_id = r.id
        """,
    ),
    (
        "pg_indexes",
        """
        SELECT current_database() AS table_catalog, s.name AS schemaname, r.name AS tablename,
               i.name AS indexname, NULL::text AS tablespace, i.create_sql AS indexdef
        FROM mz_catalog.mz_indexes AS i
        JOIN mz_catalog.mz_relations AS r ON i.on_id = r.id
        JOIN mz_catalog.mz_schemas AS s ON r.schema_id = s.id
        """,
    ),
    (
        "pg_roles",
        """
        SELECT name AS rolname, COALESCE(rolsuper, false) AS rolsuper, inherit AS rolinherit,
               COALESCE(rolsuper, false) AS rolcreaterole, COALESCE(rolsuper, false) AS
               rolcreatedb, COALESCE(rolcanlogin, false) AS rolcanlogin,
               false AS rolreplication, (-1)::int4 AS rolconnlimit, '********' AS rolpassword,
               NULL::timestamptz AS rolvaliduntil, false AS rolbypassrls,
               NULL::text[] AS rolconfig, oid
        FROM mz_catalog.mz_roles
        """,
    ),
    (
        "pg_user",
        """
        SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb,
               rolsuper AS usesuper, rolreplication AS userepl, rolbypassrls AS usebypassrls,
               rolpassword AS passwd, rolvaliduntil AS valuntil, rolconfig AS useconfig
        FROM pg_catalog.pg_roles
        """,
    ),
    (
        "pg_proc",
        """
        SELECT f.oid, f.name AS proname, s.oid AS pronamespace, r.oid AS proowner,
               NULL::text AS proargdefaults, 0::oid AS prorettype
        FROM mz_catalog.mz_functions AS f
        JOIN mz_catalog.mz_schemas AS s ON f.schema_id = s.id
        JOIN mz_catalog.mz_roles AS r ON f.owner_id = r.id
        """,
    ),
    ("pg_settings", "SELECT name, setting FROM mz_internal.mz_settings"),
    (
        "pg_tables",
        """
        SELECT s.name AS schemaname, t.name AS tablename, r.name AS tableowner
        FROM mz_catalog.mz_tables AS t
        JOIN mz_catalog.mz_schemas AS s ON t.schema_id = s.id
        JOIN mz_catalog.mz_roles AS r ON t.owner_id = r.id
        """,
    ),
    (
        "pg_views",
        """
        SELECT s.name AS schemaname, v.name AS viewname, r.oid AS viewowner, v.definition
        FROM mz_catalog.mz_views AS v
        JOIN mz_catalog.mz_schemas AS s ON v.schema_id = s.id
        JOIN mz_catalog.mz_roles AS r ON v.owner_id = r.id
        """,
    ),
    (
        "pg_matviews",
        """
        SELECT s.name AS schemaname, v.name AS matviewname, r.oid AS matviewowner, v.definition
        FROM mz_catalog.mz_materialized_views AS v
        JOIN mz_catalog.mz_schemas AS s ON v.schema_id = s.id
        JOIN mz_catalog.mz_roles AS r ON v.owner_id = r.id
        """,
    ),
    (
        "pg_description",
        """
        SELECT o.oid AS objoid, 1259::oid AS classoid, COALESCE(c.object_sub_id, 0) AS objsubid,
               c.comment AS description
        FROM mz_internal.mz_comments AS c JOIN mz_catalog.mz_objects AS o ON c.id = o.id
        """,
    ),
    (
        "pg_am",
        """SELECT 0::oid AS oid, ''::text AS amname, NULL::regproc AS amhandler,
                  'i'::"char" AS amtype WHERE false""",
    ),
    (
        "pg_collation",
        """SELECT 0::oid AS oid, ''::text AS collname, 0::oid AS collnamespace,
                  0::oid AS collowner, 'd'::"char" AS collprovider,
                  true AS collisdeterministic, 6::int4 AS collencoding, ''::text AS collcollate,
                  ''::text AS collctype, NULL::text AS collversion WHERE false""",
    ),
    (
        "pg_constraint",
        """SELECT 0::oid AS oid, ''::text AS conname, 0::oid AS connamespace,
                  'p'::"char" AS contype, false AS condeferrable, false AS condeferred,
                  true AS convalidated, 0::oid AS conrelid, 0::oid AS contypid,
                  0::oid AS conindid, 0::oid AS conparentid, 0::oid AS confrelid,
                  ' '::"char" AS confupdtype, ' '::"char" AS confdeltype,
                  ' '::"char" AS confmatchtype, true AS conislocal, 0::int4 AS coninhcount,
                  true AS connoinherit, NULL::int2[] AS conkey, NULL::int2[] AS confkey
           WHERE false""",
    ),
    (
        "pg_enum",
        """SELECT 0::oid AS oid, 0::oid AS enumtypid, 0::float4 AS enumsortorder,
                  ''::text AS enumlabel WHERE false""",
    ),
    (
        "pg_extension",
        """SELECT 0::oid AS oid, ''::text AS extname, 0::oid AS extowner,
                  0::oid AS extnamespace, false AS extrelocatable, ''::text AS extversion
           WHERE false""",
    ),
    (
        "pg_inherits",
        """SELECT 0::oid AS inhrelid, 0::oid AS inhparent, 0::int4 AS inhseqno,
                  false AS inhdetachpending WHERE false""",
    ),
    (
        "pg_range",
        """
        SELECT t.oid AS rngtypid, 0::oid AS rngsubtype
        FROM mz_catalog.mz_types AS t WHERE t.category = 'range'
        """,
    ),
)

_INFORMATION: tuple[tuple[str, str], ...] = (
    (
        "schemata",
        f"""
        SELECT current_database() AS catalog_name, s.name AS schema_name
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
                    ELSE 'VIEW' END AS table_type
        FROM mz_catalog.mz_relations AS r
        JOIN mz_catalog.mz_schemas AS s ON s.id = r.schema_id
        LEFT JOIN mz_catalog.mz_databases AS d ON d.id = s.database_id
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
               c.type AS data_type, NULL::int4 AS character_maximum_length,
               NULL::int4 AS numeric_precision, NULL::int4 AS numeric_scale
        FROM mz_catalog.mz_columns AS c
        JOIN mz_catalog.mz_relations AS o ON o.id = c.id
        JOIN mz_catalog.mz_schemas AS s ON s.id = o.schema_id
        LEFT JOIN mz_catalog.mz_databases AS d ON d.id = s.database_id
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
        LEFT JOIN mz_catalog.mz_databases AS d ON d.id = s.database_id
        WHERE {_HERE}
        """,
    ),
    (
        "key_column_usage",
        """SELECT ''::text AS constraint_catalog, ''::text AS constraint_schema,
                  ''::text AS constraint_name, ''::text AS table_catalog,
                  ''::text AS table_schema, ''::text AS table_name, ''::text AS column_name,
                  0::int4 AS ordinal_position, 0::int4 AS position_in_unique_constraint
           WHERE false""",
    ),
    (
        "table_constraints",
        """SELECT ''::text AS constraint_catalog, ''::text AS constraint_schema,
                  ''::text AS constraint_name, ''::text AS table_catalog,
                  ''::text AS table_schema, ''::text AS table_name, ''::text AS constraint_type,
                  ''::text AS is_deferrable, ''::text AS initially_deferred,
                  ''::text AS enforced, ''::text AS nulls_distinct WHERE false""",
    ),
    (
        "referential_constraints",
        """SELECT ''::text AS constraint_catalog, ''::text AS constraint_schema,
                  ''::text AS constraint_name, ''::text AS unique_constraint_catalog,
                  ''::text AS unique_constraint_schema, ''::text AS unique_constraint_name,
                  ''::text AS match_option, ''::text AS update_rule, ''::text AS delete_rule
           WHERE false""",
    ),
    (
        "routines",
        """SELECT ''::text AS routine_catalog, ''::text AS routine_schema,
                  ''::text AS routine_name, ''::text AS routine_type,
                  NULL::text AS routine_definition WHERE false""",
    ),
)

PG_VIEWS = tuple(
    BuiltinViewDef(schema, name, " ".join(query.split()))
    for schema, views in (("pg_catalog", _PG), ("information_schema", _INFORMATION))
    for name, query in views
)
