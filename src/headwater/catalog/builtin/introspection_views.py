"""The builtin views of ``mz_introspection`` that have rows: what the replicas maintain.

Their rows are those of all clusters. A dataflow goes by the number in the id of its export.
"""

INTROSPECTION: tuple[tuple[str, str], ...] = (
    (
        "mz_compute_exports",
        """
        SELECT DISTINCT object_id AS export_id, substr(object_id, 2)::uint8 AS dataflow_id
        FROM mz_internal.mz_hydration_statuses WHERE replica_id IS NOT NULL
        """,
    ),
    (
        "mz_compute_frontiers",
        """
        SELECT e.export_id, f.write_frontier AS time
        FROM mz_introspection.mz_compute_exports AS e
        JOIN mz_internal.mz_frontiers AS f ON f.object_id = e.export_id
        WHERE f.write_frontier IS NOT NULL
        """,
    ),
    (
        "mz_dataflow_global_ids",
        """
        SELECT dataflow_id AS id, export_id AS global_id
        FROM mz_introspection.mz_compute_exports
        """,
    ),
    (
        "mz_mappable_objects",
        """
        SELECT COALESCE(quote_ident(o.database_name) || '.', '') || quote_ident(o.schema_name)
               || '.' || quote_ident(o.name) AS name, e.export_id AS global_id
        FROM mz_introspection.mz_compute_exports AS e
        JOIN mz_internal.mz_object_fully_qualified_names AS o ON o.id = e.export_id
        """,
    ),
    (
        "mz_dataflows",
        """
        SELECT e.dataflow_id AS id, 'Dataflow: ' || COALESCE(o.database_name || '.', '')
               || o.schema_name || '.' || o.name AS name
        FROM mz_introspection.mz_compute_exports AS e
        JOIN mz_internal.mz_object_fully_qualified_names AS o ON o.id = e.export_id
        """,
    ),
)
