"""The builtin views of what runs, and of how it has run: how far, how long, how large."""

REPLICAS: tuple[tuple[str, str], ...] = (
    (
        "mz_storage_usage",
        """
        SELECT s.object_id, sum(u.size_bytes)::uint8 AS size_bytes, u.collection_timestamp
        FROM mz_internal.mz_storage_shards AS s
        JOIN mz_internal.mz_storage_usage_by_shard AS u ON u.shard_id = s.shard_id
        GROUP BY s.object_id, u.collection_timestamp
        """,
    ),
    (
        "mz_recent_storage_usage",
        """
        SELECT s.object_id, sum(u.size_bytes)::uint8 AS size_bytes
        FROM mz_internal.mz_storage_shards AS s
        LEFT JOIN (SELECT DISTINCT ON (shard_id) shard_id, size_bytes
                   FROM mz_internal.mz_storage_usage_by_shard
                   WHERE collection_timestamp + INTERVAL '1 day' > mz_now()
                   ORDER BY shard_id, collection_timestamp DESC) AS u ON u.shard_id = s.shard_id
        GROUP BY s.object_id
        """,
    ),
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


# The bucket of ``lag``: its seconds, rounded up to a power of two. What is taken off is less than
# the distance of the logarithms of neighbouring seconds for four years.
LAG_SECONDS = """
        CASE WHEN lag IS NULL THEN NULL
             ELSE power(2::float8, ceil(
                 ln(greatest(ceil(extract(epoch FROM lag)::float8), 1::float8)) / ln(2::float8)
                 - 0.000000001::float8))::uint8
        END"""

WALLCLOCK: tuple[tuple[str, str], ...] = (
    (
        "mz_wallclock_global_lag_history",
        """
        SELECT object_id, min(lag) AS lag, date_trunc('minute', occurred_at) AS occurred_at
        FROM mz_internal.mz_wallclock_lag_history
        GROUP BY object_id, date_trunc('minute', occurred_at)
        """,
    ),
    (
        "mz_wallclock_global_lag_recent_history",
        """
        SELECT object_id, min(lag) AS lag, date_trunc('minute', occurred_at) AS occurred_at
        FROM mz_internal.mz_wallclock_lag_history
        WHERE occurred_at + INTERVAL '1 day' > mz_now()
        GROUP BY object_id, date_trunc('minute', occurred_at)
        """,
    ),
    (
        "mz_wallclock_global_lag",
        """
        SELECT DISTINCT ON (h.object_id) h.object_id, h.lag
        FROM (SELECT object_id, occurred_at, min(lag) AS lag
              FROM mz_internal.mz_wallclock_lag_history
              WHERE occurred_at + INTERVAL '5 minutes' > mz_now()
              GROUP BY object_id, occurred_at) AS h
        JOIN mz_catalog.mz_objects AS o ON o.id = h.object_id
        ORDER BY h.object_id, h.occurred_at DESC
        """,
    ),
    (
        "mz_wallclock_global_lag_histogram_raw",
        f"""
        SELECT date_trunc('day', occurred_at) AS period_start,
               date_trunc('day', occurred_at) + INTERVAL '1 day' AS period_end,
               object_id, {LAG_SECONDS} AS lag_seconds, '{{}}'::jsonb AS labels
        FROM mz_internal.mz_wallclock_global_lag_history
        """,
    ),
    (
        "mz_wallclock_global_lag_histogram",
        """
        SELECT period_start, period_end, object_id, lag_seconds, labels, count(*) AS count
        FROM mz_internal.mz_wallclock_global_lag_histogram_raw
        GROUP BY period_start, period_end, object_id, lag_seconds, labels
        """,
    ),
)


_PERCENT = """
        100 * {of}cpu_nano_cores::float8 / z.cpu_nano_cores::float8 AS cpu_percent,
               100 * {of}memory_bytes::float8 / z.memory_bytes::float8 AS memory_percent,
               100 * {of}disk_bytes::float8 / z.disk_bytes::float8 AS disk_percent,
               100 * {of}heap_bytes::float8 / {of}heap_limit::float8 AS heap_percent
        """.strip().format(of="m.")

# The console shows two weeks in buckets of eight hours.
_BUCKET = "INTERVAL '8 hours'"
_SHOWN = "INTERVAL '14 days'"


def _most(percent: str) -> str:
    """Return SQL for the row of each replica and bucket in which something was highest."""
    return f"""
        SELECT DISTINCT ON (bucket_start, replica_id) *
        FROM shown ORDER BY bucket_start, replica_id, {percent} DESC NULLS LAST, occurred_at
        """


def _same(other: str) -> str:
    return f"{other}.bucket_start = m.bucket_start AND {other}.replica_id = m.replica_id"


METRICS: tuple[tuple[str, str], ...] = (
    (
        "mz_cluster_replica_metrics",
        """
        SELECT DISTINCT ON (m.replica_id, m.process_id) m.replica_id, m.process_id,
               m.cpu_nano_cores, m.memory_bytes, m.disk_bytes, m.heap_bytes, m.heap_limit
        FROM mz_internal.mz_cluster_replica_metrics_history AS m
        JOIN mz_catalog.mz_cluster_replicas AS r ON r.id = m.replica_id
        ORDER BY m.replica_id, m.process_id, m.occurred_at DESC
        """,
    ),
    (
        "mz_cluster_replica_utilization",
        f"""
        SELECT m.replica_id, m.process_id, {_PERCENT}
        FROM mz_internal.mz_cluster_replica_metrics AS m
        JOIN mz_catalog.mz_cluster_replicas AS r ON r.id = m.replica_id
        LEFT JOIN mz_catalog.mz_cluster_replica_sizes AS z ON z.size = r.size
        """,
    ),
    (
        "mz_cluster_replica_utilization_history",
        f"""
        SELECT m.replica_id, m.process_id, {_PERCENT}, m.occurred_at
        FROM mz_internal.mz_cluster_replica_metrics_history AS m
        LEFT JOIN mz_internal.mz_cluster_replica_history AS r ON r.replica_id = m.replica_id
        LEFT JOIN mz_catalog.mz_cluster_replica_sizes AS z ON z.size = r.size
        """,
    ),
    (
        "mz_console_cluster_utilization_overview",
        f"""
        WITH shown AS (
            SELECT date_bin({_BUCKET}, u.occurred_at, '1970-01-01'::timestamptz) AS bucket_start,
                   u.*, u.memory_percent + COALESCE(u.disk_percent, 0) AS memory_and_disk_percent
            FROM mz_internal.mz_cluster_replica_utilization_history AS u
            WHERE u.occurred_at + {_SHOWN} > mz_now()
        ),
        memory AS ({_most("memory_percent")}), disk AS ({_most("disk_percent")}),
        together AS ({_most("memory_and_disk_percent")}), heap AS ({_most("heap_percent")}),
        cpu AS ({_most("cpu_percent")}),
        offline AS (
            SELECT date_bin({_BUCKET}, s.occurred_at, '1970-01-01'::timestamptz) AS bucket_start,
                   s.replica_id,
                   jsonb_agg(jsonb_build_object(
                       'replicaId', s.replica_id, 'occurredAt', s.occurred_at,
                       'status', s.status, 'reason', s.reason)) AS events
            FROM mz_internal.mz_cluster_replica_status_history AS s
            WHERE s.status = 'offline' AND s.occurred_at + {_SHOWN} > mz_now()
            GROUP BY 1, s.replica_id
        )
        SELECT m.bucket_start, m.replica_id,
               m.memory_percent, m.occurred_at AS max_memory_at,
               d.disk_percent, d.occurred_at AS max_disk_at,
               t.memory_and_disk_percent, t.memory_percent AS max_memory_and_disk_memory_percent,
               t.disk_percent AS max_memory_and_disk_disk_percent,
               t.occurred_at AS max_memory_and_disk_at,
               h.heap_percent, h.occurred_at AS max_heap_at,
               c.cpu_percent AS max_cpu_percent, c.occurred_at AS max_cpu_at,
               o.events AS offline_events, m.bucket_start + {_BUCKET} AS bucket_end,
               r.replica_name AS name, r.cluster_id, r.size
        FROM memory AS m JOIN disk AS d ON {_same("d")} JOIN together AS t ON {_same("t")}
        JOIN heap AS h ON {_same("h")} JOIN cpu AS c ON {_same("c")}
        LEFT JOIN offline AS o ON {_same("o")}
        LEFT JOIN mz_internal.mz_cluster_replica_history AS r ON r.replica_id = m.replica_id
        """,
    ),
)
