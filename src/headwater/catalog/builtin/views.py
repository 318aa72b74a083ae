"""The builtin views of ``mz_catalog`` and ``mz_internal``, as SQL, in an order that resolves them.

Each is written over builtin tables and the views before it. ``adapter.bootstrap`` plans them.
"""

import msgspec


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


_INTERNAL: tuple[tuple[str, str], ...] = (
    (
        "mz_object_comments",
        "SELECT id, object_type, comment FROM mz_internal.mz_comments WHERE object_sub_id IS NULL",
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
        "mz_materialization_dependencies",
        """
        SELECT d.object_id, d.referenced_object_id AS dependency_id
        FROM mz_internal.mz_object_dependencies AS d
        JOIN mz_catalog.mz_objects AS o ON o.id = d.object_id
        WHERE o.type IN ('index', 'materialized-view', 'sink')
        """,
    ),
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
        SELECT object_id, replica_id, hydrated, NULL::interval AS hydration_time
        FROM mz_internal.mz_hydration_statuses WHERE replica_id IS NOT NULL
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
    ("mz_show_roles", _show("x.name", "mz_catalog.mz_roles AS x", kind="role")),
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
    (
        "mz_show_network_policies",
        "SELECT ''::text AS name, NULL::text AS rules, ''::text AS comment WHERE false",
    ),
    (
        "mz_show_default_privileges",
        """
        SELECT NULL::text AS object_owner, NULL::text AS database, NULL::text AS schema,
               x.object_type, NULL::text AS grantee, NULL::text AS privilege_type
        FROM mz_catalog.mz_default_privileges AS x WHERE false
        """,
    ),
    (
        "mz_show_all_privileges",
        """
        SELECT NULL::text AS grantor, NULL::text AS grantee, NULL::text AS database,
               NULL::text AS schema, x.name, x.type AS object_type, ''::text AS privilege_type
        FROM mz_catalog.mz_objects AS x WHERE false
        """,
    ),
)

MZ_VIEWS = tuple(
    BuiltinViewDef(schema, name, " ".join(query.split()))
    for schema, views in (
        ("mz_catalog", _CATALOG),
        ("mz_internal", _INTERNAL),
    )
    for name, query in views
)
