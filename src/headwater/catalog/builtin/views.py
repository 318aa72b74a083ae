"""The builtin views of the ``mz_`` schemas, as SQL, in an order that resolves them.

Each is written over builtin tables and the views before it. ``adapter.bootstrap`` plans them.
"""

import msgspec

from headwater.catalog.builtin.advice import ADVICE
from headwater.catalog.builtin.introspection_views import INTROSPECTION
from headwater.catalog.builtin.running_views import LINEAGE, METRICS, PROGRESS, REPLICAS, WALLCLOCK
from headwater.catalog.builtin.statement_views import STATEMENTS


class BuiltinViewDef(msgspec.Struct, frozen=True):
    """A builtin view: where it is and its query."""

    schema: str
    name: str
    query: str

    @property
    def key(self) -> str:
        """Return ``schema.name``, by which it keeps its id for ever."""
        return f"{self.schema}.{self.name}"


_CATALOG: tuple[tuple[str, str], ...] = (
    *REPLICAS,
    (
        "mz_array_types",
        """
        SELECT t.id, COALESCE(d.element_id, '') AS element_id
        FROM mz_catalog.mz_types AS t JOIN mz_internal.mz_type_details AS d ON d.id = t.id
        WHERE t.category = 'array'
        """,
    ),
    (
        "mz_audit_events",
        """
        SELECT id, event_type, object_type, details::jsonb AS details, "user", occurred_at
        FROM mz_internal.mz_audit_rows
        """,
    ),
    (
        "mz_kafka_connections",
        """
        SELECT id, string_to_array(brokers, ',') AS brokers,
               COALESCE(sink_progress_topic,
                        '_headwater-progress-' || mz_environment_id()) AS sink_progress_topic
        FROM mz_internal.mz_kafka_connection_rows
        """,
    ),
    (
        "mz_relations",
        """
        SELECT id, oid, schema_id, name, 'table' AS type, owner_id, NULL::text AS cluster_id,
               privileges FROM mz_catalog.mz_tables
        UNION ALL SELECT id, oid, schema_id, name, 'source', owner_id, cluster_id, privileges
               FROM mz_catalog.mz_sources
        UNION ALL SELECT id, oid, schema_id, name, 'view', owner_id, NULL::text, privileges
               FROM mz_catalog.mz_views
        UNION ALL SELECT id, oid, schema_id, name, 'materialized-view', owner_id, cluster_id,
               privileges FROM mz_catalog.mz_materialized_views
        """,
    ),
    (
        "mz_objects",
        """
        SELECT id, oid, schema_id, name, type, owner_id, cluster_id, privileges
               FROM mz_catalog.mz_relations
        UNION ALL SELECT id, oid, schema_id, name, 'sink', owner_id, cluster_id,
               NULL::mz_aclitem[] FROM mz_catalog.mz_sinks
        UNION ALL SELECT i.id, i.oid, r.schema_id, i.name, 'index', i.owner_id, i.cluster_id,
               NULL::mz_aclitem[]
               FROM mz_catalog.mz_indexes AS i
               JOIN mz_catalog.mz_relations AS r ON i.on_id = r.id
        UNION ALL SELECT id, oid, schema_id, name, 'connection', owner_id, NULL::text, privileges
               FROM mz_catalog.mz_connections
        UNION ALL SELECT id, oid, schema_id, name, 'type', owner_id, NULL::text, privileges
               FROM mz_catalog.mz_types
        UNION ALL SELECT id, oid, schema_id, name, 'function', owner_id, NULL::text,
               NULL::mz_aclitem[] FROM mz_catalog.mz_functions
        UNION ALL SELECT id, oid, schema_id, name, 'secret', owner_id, NULL::text, privileges
               FROM mz_catalog.mz_secrets
        """,
    ),
)


def _show(columns: str, from_: str, *, id: str = "x.id", kind: str) -> str:
    """Return a ``mz_show_*`` query: ``columns``, then the object's comment."""
    return f"""
        SELECT {columns}, COALESCE(c.comment, '') AS comment
        FROM {from_}
        LEFT JOIN mz_internal.mz_object_comments AS c
               ON {id} = c.id AND c.object_type = '{kind}'
        """


# What can't stand for itself in a part of a path, the escape first.
_URL_ESCAPES = {"%": "%25", "/": "%2F", "?": "%3F", "#": "%23", " ": "%20", '"': "%22"}


def _url_part(column: str) -> str:
    """Return SQL that gives ``column`` as one part of a URL's path."""
    for plain, escape in _URL_ESCAPES.items():
        column = f"replace({column}, '{plain}', '{escape}')"
    return column


_PRIVILEGES_OF = """
        SELECT g.name AS grantor,
               CASE WHEN e.grantee = 'p' THEN 'PUBLIC' ELSE r.name END AS grantee, {columns},
               e.privilege_type
        FROM (SELECT x.*, (mz_internal.mz_aclexplode(x.privileges)).* FROM {relation} AS x
              WHERE x.id LIKE 'u%') AS e
        LEFT JOIN mz_catalog.mz_roles AS g ON e.grantor = g.id
        LEFT JOIN mz_catalog.mz_roles AS r ON e.grantee = r.id {joins}
        """


def _privileges(columns: str, relation: str, joins: str = "") -> str:
    """Return a ``mz_show_*_privileges`` query: one row a privilege of users' objects."""
    return _PRIVILEGES_OF.format(columns=columns, relation=relation, joins=joins)


def _mine(name: str, role: str = "grantee") -> tuple[str, str]:
    """Return the view of those rows of another that are about the current role's roles."""
    return (
        name.replace("mz_show_", "mz_show_my_").replace("mz_show_my_all", "mz_show_all_my"),
        f"""
        SELECT * FROM mz_internal.{name} WHERE {role} = 'PUBLIC' OR {role} IN (
            SELECT g.name FROM mz_internal.mz_role_reach AS m
            JOIN mz_catalog.mz_roles AS me ON m.member = me.id
            JOIN mz_catalog.mz_roles AS g ON m.role_id = g.id WHERE me.name = current_user)
        """,
    )


_OBJECTS_NAMES = """
        LEFT JOIN mz_catalog.mz_schemas AS s ON e.schema_id = s.id
        LEFT JOIN mz_catalog.mz_databases AS d ON s.database_id = d.id"""
_ACCESS: tuple[tuple[str, str], ...] = (
    ("mz_show_cluster_privileges", _privileges("e.name", "mz_catalog.mz_clusters")),
    ("mz_show_database_privileges", _privileges("e.name", "mz_catalog.mz_databases")),
    (
        "mz_show_schema_privileges",
        _privileges(
            "d.name AS database, e.name",
            "mz_catalog.mz_schemas",
            "LEFT JOIN mz_catalog.mz_databases AS d ON e.database_id = d.id",
        ),
    ),
    (
        "mz_show_object_privileges",
        _privileges(
            "d.name AS database, s.name AS schema, e.name, e.type AS object_type",
            "mz_catalog.mz_objects",
            _OBJECTS_NAMES,
        ),
    ),
    (
        "mz_show_system_privileges",
        """
        SELECT g.name AS grantor,
               CASE WHEN e.grantee = 'p' THEN 'PUBLIC' ELSE r.name END AS grantee,
               e.privilege_type
        FROM (SELECT (mz_internal.mz_aclexplode(ARRAY[privileges])).*
              FROM mz_catalog.mz_system_privileges) AS e
        LEFT JOIN mz_catalog.mz_roles AS g ON e.grantor = g.id
        LEFT JOIN mz_catalog.mz_roles AS r ON e.grantee = r.id
        WHERE e.grantee LIKE 'u%' OR e.grantee = 'p'
        """,
    ),
    (
        "mz_show_all_privileges",
        """
        SELECT grantor, grantee, NULL::text AS database, NULL::text AS schema, NULL::text AS name,
               'system' AS object_type, privilege_type FROM mz_internal.mz_show_system_privileges
        UNION ALL SELECT grantor, grantee, NULL::text, NULL::text, name, 'cluster', privilege_type
        FROM mz_internal.mz_show_cluster_privileges
        UNION ALL SELECT grantor, grantee, NULL::text, NULL::text, name, 'database',
               privilege_type FROM mz_internal.mz_show_database_privileges
        UNION ALL SELECT grantor, grantee, database, NULL::text, name, 'schema', privilege_type
        FROM mz_internal.mz_show_schema_privileges
        UNION ALL SELECT grantor, grantee, database, schema, name, object_type, privilege_type
        FROM mz_internal.mz_show_object_privileges
        """,
    ),
    (
        "mz_show_default_privileges",
        """
        SELECT CASE WHEN x.role_id = 'p' THEN 'PUBLIC' ELSE o.name END AS object_owner,
               d.name AS database, s.name AS schema, x.object_type,
               CASE WHEN x.grantee = 'p' THEN 'PUBLIC' ELSE r.name END AS grantee,
               unnest(mz_internal.mz_format_privileges(x.privileges)) AS privilege_type
        FROM mz_catalog.mz_default_privileges AS x
        LEFT JOIN mz_catalog.mz_roles AS o ON x.role_id = o.id
        LEFT JOIN mz_catalog.mz_roles AS r ON x.grantee = r.id
        LEFT JOIN mz_catalog.mz_databases AS d ON x.database_id = d.id
        LEFT JOIN mz_catalog.mz_schemas AS s ON x.schema_id = s.id
        WHERE x.grantee NOT LIKE 's%'
        """,
    ),
    (
        "mz_show_role_members",
        """
        SELECT r.name AS role, m.name AS member, g.name AS grantor
        FROM mz_catalog.mz_role_members AS x
        JOIN mz_catalog.mz_roles AS r ON r.id = x.role_id
        JOIN mz_catalog.mz_roles AS m ON m.id = x.member
        JOIN mz_catalog.mz_roles AS g ON g.id = x.grantor
        """,
    ),
    _mine("mz_show_cluster_privileges"),
    _mine("mz_show_database_privileges"),
    _mine("mz_show_schema_privileges"),
    _mine("mz_show_object_privileges"),
    _mine("mz_show_system_privileges"),
    _mine("mz_show_all_privileges"),
    _mine("mz_show_default_privileges"),
    _mine("mz_show_role_members", "member"),
    (
        "mz_show_network_policies",
        """
        SELECT p.name, string_agg(r.name, ',' ORDER BY r.name) AS rules,
               COALESCE(max(c.comment), '') AS comment
        FROM mz_internal.mz_network_policies AS p
        LEFT JOIN mz_internal.mz_network_policy_rules AS r ON r.policy_id = p.id
        LEFT JOIN mz_internal.mz_object_comments AS c
               ON c.id = p.id AND c.object_type = 'network-policy'
        GROUP BY p.id, p.name
        """,
    ),
)

_HISTORY: tuple[tuple[str, str], ...] = (
    (
        "mz_object_lifetimes",
        """
        SELECT COALESCE(details->>'id', details->>'replica_id') AS id,
               details->>'previous_id' AS previous_id, object_type, event_type, occurred_at
        FROM mz_catalog.mz_audit_events WHERE event_type IN ('create', 'drop')
        """,
    ),
    (
        "mz_object_history",
        """
        SELECT e.id, o.cluster_id, e.object_type,
               max(CASE WHEN e.event_type = 'create' THEN e.occurred_at END) AS created_at,
               max(CASE WHEN e.event_type = 'drop' THEN e.occurred_at END) AS dropped_at
        FROM mz_internal.mz_object_lifetimes AS e
        LEFT JOIN mz_catalog.mz_objects AS o ON o.id = e.id
        WHERE e.object_type NOT IN ('cluster-replica')
        GROUP BY e.id, o.cluster_id, e.object_type
        """,
    ),
    (
        "mz_cluster_replica_history",
        """
        SELECT e.id AS replica_id, e.size, e.cluster_id, e.cluster_name, e.replica_name,
               e.occurred_at AS created_at, d.occurred_at AS dropped_at, z.credits_per_hour
        FROM (SELECT details->>'replica_id' AS id, details->>'logical_size' AS size,
                     details->>'cluster_id' AS cluster_id,
                     details->>'cluster_name' AS cluster_name,
                     details->>'replica_name' AS replica_name, occurred_at
              FROM mz_catalog.mz_audit_events
              WHERE object_type = 'cluster-replica' AND event_type = 'create') AS e
        LEFT JOIN (SELECT details->>'replica_id' AS id, occurred_at
                   FROM mz_catalog.mz_audit_events
                   WHERE object_type = 'cluster-replica' AND event_type = 'drop') AS d
               ON d.id = e.id
        LEFT JOIN mz_catalog.mz_cluster_replica_sizes AS z ON z.size = e.size
        """,
    ),
    (
        "mz_cluster_replica_name_history",
        """
        SELECT occurred_at, details->>'id' AS id, details->>'old_name' AS previous_name,
               details->>'new_name' AS new_name
        FROM mz_catalog.mz_audit_events
        WHERE event_type = 'alter' AND object_type = 'cluster-replica'
          AND details->>'new_name' IS NOT NULL
        UNION ALL SELECT occurred_at, details->>'replica_id', NULL::text,
               details->>'replica_name'
        FROM mz_catalog.mz_audit_events
        WHERE event_type = 'create' AND object_type = 'cluster-replica'
        """,
    ),
    *LINEAGE,
    *METRICS,
    (
        "mz_source_references",
        """
        SELECT k.source_id, k.namespace, k.name, l.occurred_at AS updated_at, k.columns
        FROM mz_internal.mz_known_references AS k
        JOIN mz_internal.mz_object_lifetimes AS l ON l.id = k.source_id
        WHERE l.object_type = 'source' AND l.event_type = 'create'
        """,
    ),
    *ADVICE,
)

_INTERNAL: tuple[tuple[str, str], ...] = (
    (
        "mz_type_pg_metadata",
        """
        SELECT id, typinput, typreceive FROM mz_internal.mz_type_details
        """,
    ),
    (
        "mz_sessions",
        """
        SELECT id::uuid AS id, connection_id, role_id, client_ip, connected_at
        FROM mz_internal.mz_session_rows
        """,
    ),
    (
        "mz_subscriptions",
        """
        SELECT id, session_id::uuid AS session_id, cluster_id, created_at, referenced_object_ids
        FROM mz_internal.mz_subscription_rows
        """,
    ),
    (
        "mz_global_frontiers",
        """
        SELECT object_id, write_frontier AS time FROM mz_internal.mz_frontiers
        WHERE write_frontier IS NOT NULL
        """,
    ),
    (
        "mz_history_retention_strategies",
        """
        SELECT id, 'FOR' AS strategy, to_jsonb(milliseconds) AS value
        FROM mz_internal.mz_retained_histories
        """,
    ),
    (
        "mz_materialized_view_refresh_strategies",
        """
        SELECT id AS materialized_view_id, type, interval, aligned_to, "at"
        FROM mz_internal.mz_refresh_strategies
        """,
    ),
    (
        "mz_materialized_view_refreshes",
        """
        SELECT id AS materialized_view_id, last_completed_refresh, next_refresh
        FROM mz_internal.mz_refresh_progress
        """,
    ),
    (
        "mz_object_oid_alias",
        """
        SELECT object_type, oid_alias FROM (VALUES ('table', 'regclass'), ('source', 'regclass'),
               ('view', 'regclass'), ('materialized-view', 'regclass'), ('index', 'regclass'),
               ('type', 'regtype'), ('function', 'regproc')) AS v(object_type, oid_alias)
        """,
    ),
    (
        "mz_objects_id_namespace_types",
        """
        SELECT object_type FROM (VALUES ('table'), ('view'), ('materialized-view'), ('source'),
               ('sink'), ('index'), ('connection'), ('type'), ('function'), ('secret'))
               AS v(object_type)
        """,
    ),
    (
        "mz_kafka_source_tables",
        """
        SELECT t.id, k.topic, s.envelope_type, s.key_format, s.value_format
        FROM mz_catalog.mz_tables AS t
        JOIN mz_catalog.mz_kafka_sources AS k ON t.source_id = k.id
        JOIN mz_catalog.mz_sources AS s ON s.id = k.id
        """,
    ),
    ("mz_source_statistics_raw", "SELECT * FROM mz_internal.mz_source_statistics"),
    ("mz_source_statistics_with_history", "SELECT * FROM mz_internal.mz_source_statistics"),
    ("mz_sink_statistics_raw", "SELECT * FROM mz_internal.mz_sink_statistics"),
    (
        "mz_cluster_replica_status_history",
        """
        SELECT replica_id, process_id, status, reason, updated_at AS occurred_at
        FROM mz_internal.mz_cluster_replica_statuses
        """,
    ),
    (
        "mz_object_comments",
        "SELECT id, object_type, comment FROM mz_internal.mz_comments WHERE object_sub_id IS NULL",
    ),
    (
        "mz_descriptions",
        """
        SELECT o.oid, o.class, COALESCE(c.object_sub_id, 0) AS sub_id, c.comment
        FROM (SELECT id, type AS object_type, oid,
                     CASE WHEN type = 'type' THEN 'pg_type' WHEN type = 'function' THEN 'pg_proc'
                          ELSE 'pg_class' END AS class FROM mz_catalog.mz_objects
              WHERE type NOT IN ('secret', 'connection', 'sink')
              UNION ALL SELECT id, 'schema', oid, 'pg_namespace' FROM mz_catalog.mz_schemas
              UNION ALL SELECT id, 'database', oid, 'pg_database' FROM mz_catalog.mz_databases
              UNION ALL SELECT id, 'role', oid, 'pg_authid' FROM mz_catalog.mz_roles) AS o
        JOIN mz_internal.mz_comments AS c ON c.id = o.id AND c.object_type = o.object_type
        """,
    ),
    (
        "mz_object_fully_qualified_names",
        """
        SELECT o.id, o.name, o.type AS object_type, s.id AS schema_id, s.name AS schema_name,
               d.id AS database_id, d.name AS database_name, o.cluster_id
        FROM mz_catalog.mz_objects AS o
        JOIN mz_catalog.mz_schemas AS s ON s.id = o.schema_id
        LEFT JOIN mz_catalog.mz_databases AS d ON s.database_id = d.id
        """,
    ),
    (
        "mz_compute_dependencies",
        """
        SELECT object_id, dependency_id FROM mz_internal.mz_dataflow_inputs
        """,
    ),
    (
        "mz_materialization_dependencies",
        """
        SELECT d.object_id, d.dependency_id
        FROM mz_internal.mz_compute_dependencies AS d
        JOIN mz_catalog.mz_objects AS o ON o.id = d.object_id
        UNION ALL
        SELECT d.object_id, d.referenced_object_id
        FROM mz_internal.mz_object_dependencies AS d
        JOIN mz_catalog.mz_sinks AS s ON s.id = d.object_id
        JOIN mz_catalog.mz_relations AS r ON r.id = d.referenced_object_id
        """,
    ),
    *PROGRESS,
    *WALLCLOCK,
    (
        "mz_object_transitive_dependencies",
        """
        WITH MUTUALLY RECURSIVE reach(object_id text, referenced_object_id text) AS (
            SELECT object_id, referenced_object_id FROM mz_internal.mz_object_dependencies
            UNION
            SELECT d.object_id, r.referenced_object_id
            FROM mz_internal.mz_object_dependencies AS d
            JOIN reach AS r ON d.referenced_object_id = r.object_id
        )
        SELECT object_id, referenced_object_id FROM reach
        """,
    ),
    (
        "mz_source_statuses",
        """
        WITH outputs AS (
            SELECT s.id, s.name, s.type, COALESCE(p.source_id, s.id) AS running, s.cluster_id
            FROM mz_catalog.mz_sources AS s
            LEFT JOIN mz_internal.mz_subsources AS p ON p.id = s.id
            WHERE s.type <> 'progress'
            UNION ALL
            SELECT t.id, t.name, 'table', t.source_id, NULL::text
            FROM mz_catalog.mz_tables AS t WHERE t.source_id IS NOT NULL
        )
        SELECT o.id, o.name, o.type, u.updated_at AS last_status_change_at,
               COALESCE(u.status, CASE WHEN o.type = 'webhook' THEN 'running'
                                       ELSE 'created' END) AS status,
               u.error, u.details
        FROM outputs AS o
        LEFT JOIN mz_internal.mz_status_updates AS u ON u.id = o.running
        """,
    ),
    (
        "mz_webhook_sources",
        f"""
        SELECT s.id, s.name, '/api/webhook/' || {_url_part("d.name")} || '/'
               || {_url_part("n.name")} || '/' || {_url_part("s.name")} AS url
        FROM mz_catalog.mz_sources AS s
        JOIN mz_catalog.mz_schemas AS n ON n.id = s.schema_id
        JOIN mz_catalog.mz_databases AS d ON d.id = n.database_id
        WHERE s.type = 'webhook'
        """,
    ),
    (
        "mz_sink_statuses",
        """
        SELECT s.id, s.name, s.type, u.updated_at AS last_status_change_at,
               COALESCE(u.status, 'created') AS status, u.error, u.details
        FROM mz_catalog.mz_sinks AS s
        LEFT JOIN mz_internal.mz_status_updates AS u ON u.id = s.id
        """,
    ),
    (
        "mz_compute_hydration_statuses",
        """
        SELECT h.object_id, h.replica_id, h.hydrated,
               CASE WHEN h.hydrated
                    THEN make_interval(secs => t.time_ns::float8 / 1000000000) END
               AS hydration_time
        FROM mz_internal.mz_hydration_statuses AS h
        LEFT JOIN mz_internal.mz_compute_hydration_times AS t
               ON t.object_id = h.object_id AND t.replica_id = h.replica_id
        WHERE h.replica_id IS NOT NULL
        """,
    ),
    (
        "mz_show_databases",
        _show("x.name", "mz_catalog.mz_databases AS x", kind="database"),
    ),
    (
        "mz_show_schemas",
        _show("x.database_id, x.name", "mz_catalog.mz_schemas AS x", kind="schema"),
    ),
    (
        "mz_show_roles",
        _show(
            "x.name",
            "(SELECT * FROM mz_catalog.mz_roles WHERE id LIKE 'u%') AS x",
            kind="role",
        ),
    ),
    (
        "mz_show_tables",
        _show("x.schema_id, x.name, x.source_id", "mz_catalog.mz_tables AS x", kind="table"),
    ),
    ("mz_show_views", _show("x.schema_id, x.name", "mz_catalog.mz_views AS x", kind="view")),
    ("mz_show_types", _show("x.schema_id, x.name", "mz_catalog.mz_types AS x", kind="type")),
    (
        "mz_show_connections",
        _show("x.schema_id, x.name, x.type", "mz_catalog.mz_connections AS x", kind="connection"),
    ),
    (
        "mz_show_secrets",
        _show("x.schema_id, x.name", "mz_catalog.mz_secrets AS x", kind="secret"),
    ),
    (
        "mz_show_columns",
        """
        SELECT x.id, x.name, x.nullable, x.type, x.position,
               COALESCE(c.comment, '') AS comment
        FROM mz_catalog.mz_columns AS x
        LEFT JOIN mz_internal.mz_comments AS c
               ON x.id = c.id AND c.object_sub_id::text = x.position::text
        """,
    ),
    (
        "mz_show_all_objects",
        """
        SELECT x.schema_id, x.name, x.type, COALESCE(c.comment, '') AS comment
        FROM mz_catalog.mz_objects AS x
        LEFT JOIN mz_internal.mz_object_comments AS c ON x.id = c.id
        """,
    ),
    (
        "mz_show_clusters",
        _show(
            "x.name, l.replicas",
            "mz_catalog.mz_clusters AS x LEFT JOIN mz_internal.mz_cluster_replica_lists AS l "
            "ON l.cluster_id = x.id",
            kind="cluster",
        ),
    ),
    (
        "mz_show_cluster_replicas",
        _show(
            "k.name AS cluster, x.name AS replica, x.id AS replica_id, x.size, "
            "COALESCE(s.status = 'online', false) AS ready",
            "mz_catalog.mz_cluster_replicas AS x "
            "JOIN mz_catalog.mz_clusters AS k ON x.cluster_id = k.id "
            "LEFT JOIN mz_internal.mz_cluster_replica_statuses AS s ON s.replica_id = x.id",
            kind="cluster-replica",
        ),
    ),
    (
        "mz_show_sources",
        _show(
            "x.id, x.name, x.type, k.name AS cluster, x.schema_id, x.cluster_id",
            "mz_catalog.mz_sources AS x LEFT JOIN mz_catalog.mz_clusters AS k "
            "ON x.cluster_id = k.id",
            kind="source",
        ),
    ),
    (
        "mz_show_sinks",
        _show(
            "x.id, x.name, x.type, k.name AS cluster, x.schema_id, x.cluster_id",
            "mz_catalog.mz_sinks AS x JOIN mz_catalog.mz_clusters AS k ON x.cluster_id = k.id",
            kind="sink",
        ),
    ),
    (
        "mz_show_materialized_views",
        _show(
            "x.id, x.name, k.name AS cluster, x.schema_id, x.cluster_id",
            "mz_catalog.mz_materialized_views AS x JOIN mz_catalog.mz_clusters AS k "
            "ON x.cluster_id = k.id",
            kind="materialized-view",
        ),
    ),
    (
        "mz_show_indexes",
        _show(
            'x.id, x.name, o.name AS "on", k.name AS cluster, y.key, x.on_id, o.schema_id, '
            "x.cluster_id",
            "mz_catalog.mz_indexes AS x JOIN mz_catalog.mz_clusters AS k ON x.cluster_id = k.id "
            "JOIN mz_catalog.mz_relations AS o ON x.on_id = o.id "
            "JOIN mz_internal.mz_index_keys AS y ON y.index_id = x.id",
            kind="index",
        ),
    ),
    (
        "mz_show_subsources",
        """
        SELECT x.id, s.name, s.type, s.schema_id, x.source_id
        FROM mz_internal.mz_subsources AS x JOIN mz_catalog.mz_sources AS s ON x.id = s.id
        """,
    ),
)

MZ_VIEWS = tuple(
    BuiltinViewDef(schema, name, " ".join(query.split()))
    for schema, views in (
        ("mz_catalog", _CATALOG),
        ("mz_internal", (*_INTERNAL, *_ACCESS, *_HISTORY, *STATEMENTS)),
        ("mz_introspection", INTROSPECTION),
    )
    for name, query in views
)
