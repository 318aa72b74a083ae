"""The builtin views of what runs, and of how it has run: how far, how long, how large."""

REPLICAS: tuple[tuple[str, str], ...] = (
    (
        "mz_cluster_replica_frontiers",
        """
        SELECT p.object_id, p.replica_id,
               CASE WHEN p.is_current THEN f.write_frontier ELSE p.write_frontier END
               AS write_frontier
        FROM mz_internal.mz_replica_progress AS p
        JOIN mz_internal.mz_frontiers AS f ON f.object_id = p.object_id
        """,
    ),
)


def _slowest(inputs: str) -> str:
    """Return SQL that gives of each object's inputs the one that is least far.

    What is complete for ever, whose frontier is NULL, is never waited for.
    """
    return f"""
        SELECT DISTINCT ON (i.object_id) i.object_id, i.dependency_id, f.write_frontier
        FROM {inputs} AS i
        JOIN mz_internal.mz_frontiers AS f ON f.object_id = i.dependency_id
        ORDER BY i.object_id, f.write_frontier NULLS LAST, i.dependency_id
        """


def _behind(input: str) -> str:
    """Return SQL for how far an object, ``o``, is behind an input."""
    return f"""
        CASE WHEN o.write_frontier IS NULL THEN INTERVAL '0'
             ELSE greatest(
                 {input}.write_frontier::timestamptz - o.write_frontier::timestamptz, INTERVAL '0')
        END"""


PROGRESS: tuple[tuple[str, str], ...] = (
    (
        "mz_materialization_lag",
        f"""
        WITH MUTUALLY RECURSIVE
        reach(object_id text, dependency_id text) AS (
            SELECT object_id, dependency_id FROM mz_internal.mz_materialization_dependencies
            UNION
            SELECT r.object_id, d.dependency_id
            FROM reach AS r
            JOIN mz_internal.mz_materialization_dependencies AS d
              ON d.object_id = r.dependency_id
        ),
        roots(object_id text, dependency_id text) AS (
            SELECT object_id, dependency_id FROM reach WHERE dependency_id NOT IN (
                SELECT object_id FROM mz_internal.mz_materialization_dependencies)
        ),
        near(object_id text, dependency_id text, write_frontier mz_timestamp) AS (
            {_slowest("mz_internal.mz_materialization_dependencies")}
        ),
        far(object_id text, dependency_id text, write_frontier mz_timestamp) AS (
            {_slowest("roots")}
        )
        SELECT o.object_id, {_behind("n")} AS local_lag, {_behind("r")} AS global_lag,
               n.dependency_id AS slowest_local_input_id,
               r.dependency_id AS slowest_global_input_id
        FROM mz_internal.mz_frontiers AS o
        JOIN near AS n ON n.object_id = o.object_id
        JOIN far AS r ON r.object_id = o.object_id
        """,
    ),
)

# Clusters are the same deployment if they have borne the same name: one that is made anew, and one
# that has taken the place of another by swapping names.
LINEAGE: tuple[tuple[str, str], ...] = (
    (
        "mz_cluster_deployment_lineage",
        """
        WITH borne AS (
            SELECT id AS cluster_id, name FROM mz_catalog.mz_clusters
            UNION SELECT details->>'id', details->>'name' FROM mz_catalog.mz_audit_events
            WHERE object_type = 'cluster' AND event_type IN ('create', 'drop')
            UNION SELECT details->>'id', details->>'old_name' FROM mz_catalog.mz_audit_events
            WHERE object_type = 'cluster' AND event_type = 'alter'
            UNION SELECT details->>'id', details->>'new_name' FROM mz_catalog.mz_audit_events
            WHERE object_type = 'cluster' AND event_type = 'alter'
        )
        SELECT b.cluster_id, c.id AS current_deployment_cluster_id, c.name AS cluster_name
        FROM mz_catalog.mz_clusters AS c JOIN borne AS b ON b.name = c.name
        """,
    ),
)
