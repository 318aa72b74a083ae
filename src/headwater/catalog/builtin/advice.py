"""``mz_index_advice``: which indexes and materialized views pay, as far as dependencies tell.

What is asked by hand is not known: advice to drop something says so. Known is what is maintained:
which index or materialized view each dataflow reads, and which views it computes by itself.
"""

# What maintained objects read directly, with the clusters of both sides.
_READS = """
        reads(id text, cluster_id text, reader text, reader_cluster text) AS (
            SELECT d.dependency_id, o.cluster_id, d.object_id, b.cluster_id
            FROM mz_internal.mz_materialization_dependencies AS d
            JOIN mz_catalog.mz_objects AS o ON o.id = d.dependency_id
            JOIN mz_catalog.mz_objects AS b ON b.id = d.object_id
        )"""

# Views that maintained objects compute by themselves: they have no index on the object's cluster.
# Of several indexes of a view one computes it, and the others read that one.
_INLINED = """
        inlined(id text, reader text, cluster_id text) AS (
            SELECT v.id, min(x.id), x.cluster_id
            FROM mz_catalog.mz_indexes AS x JOIN mz_catalog.mz_views AS v ON v.id = x.on_id
            GROUP BY v.id, x.cluster_id
            UNION
            SELECT v.id, m.id, m.cluster_id
            FROM mz_catalog.mz_materialized_views AS m
            JOIN mz_internal.mz_object_dependencies AS d ON d.object_id = m.id
            JOIN mz_catalog.mz_views AS v ON v.id = d.referenced_object_id
            WHERE NOT EXISTS (SELECT 1 FROM mz_catalog.mz_indexes AS x
                              WHERE x.on_id = v.id AND x.cluster_id = m.cluster_id)
            UNION
            SELECT v.id, i.reader, i.cluster_id
            FROM inlined AS i
            JOIN mz_internal.mz_object_dependencies AS d ON d.object_id = i.id
            JOIN mz_catalog.mz_views AS v ON v.id = d.referenced_object_id
            WHERE NOT EXISTS (SELECT 1 FROM mz_catalog.mz_indexes AS x
                              WHERE x.on_id = v.id AND x.cluster_id = i.cluster_id)
        )"""

_INDEXES = """
        SELECT x.id AS object_id,
               CASE WHEN u.readers IS NOT NULL OR k.is_unique THEN 'keep'
                    ELSE 'drop unless queried directly' END AS hint,
               CASE WHEN u.readers IS NOT NULL THEN 'maintained objects read it'
                    WHEN k.is_unique THEN 'it belongs to a key of its table'
                    ELSE 'no maintained object reads it' END AS details,
               u.readers AS referenced_object_ids
        FROM mz_catalog.mz_indexes AS x
        JOIN mz_internal.mz_index_keys AS k ON k.index_id = x.id
        LEFT JOIN (SELECT id, list_agg(DISTINCT reader ORDER BY reader) AS readers
                   FROM reads GROUP BY id) AS u ON u.id = x.id
        WHERE x.id LIKE 'u%'"""

# A sink, and whatever is on another cluster, can only read what is durable. A replacement is not
# there to be read, and a view that is refreshed at times is not as an index would have it.
_MATERIALIZED = """
        SELECT m.id, CASE WHEN f.readers IS NOT NULL THEN 'keep'
                          WHEN n.readers IS NOT NULL AND n.count = 1 THEN 'convert to a view'
                          ELSE 'convert to a view with an index' END,
               CASE WHEN f.readers IS NOT NULL THEN 'sinks or objects on other clusters read it'
                    WHEN n.readers IS NOT NULL AND n.count = 1
                    THEN 'only one object, on its cluster, reads it'
                    WHEN n.readers IS NOT NULL THEN 'only objects on its cluster read it'
                    ELSE 'no maintained object reads it; '
                         || 'keep it if it is queried from other clusters' END,
               COALESCE(f.readers, n.readers)
        FROM mz_catalog.mz_materialized_views AS m
        LEFT JOIN (SELECT r.id, list_agg(DISTINCT r.reader ORDER BY r.reader) AS readers
                   FROM reads AS r LEFT JOIN mz_catalog.mz_sinks AS s ON s.id = r.reader
                   WHERE s.id IS NOT NULL OR r.reader_cluster <> r.cluster_id
                   GROUP BY r.id) AS f ON f.id = m.id
        LEFT JOIN (SELECT id, list_agg(DISTINCT reader ORDER BY reader) AS readers,
                          count(DISTINCT reader) AS count
                   FROM reads GROUP BY id) AS n ON n.id = m.id
        JOIN (SELECT DISTINCT materialized_view_id AS id
              FROM mz_internal.mz_materialized_view_refresh_strategies
              WHERE type = 'on-commit') AS t ON t.id = m.id
        WHERE m.id LIKE 'u%' AND m.id NOT IN (SELECT id FROM mz_internal.mz_replacements)"""

_VIEWS = """
        SELECT id, 'add index', 'several objects of one cluster compute it, each by itself',
               list_agg(DISTINCT reader ORDER BY reader)
        FROM inlined AS i
        WHERE id LIKE 'u%' AND NOT EXISTS (
            SELECT 1 FROM mz_catalog.mz_indexes AS x
            WHERE x.on_id = i.id AND x.cluster_id = i.cluster_id)
        GROUP BY id, cluster_id
        HAVING count(DISTINCT reader) > 1"""

ADVICE: tuple[tuple[str, str], ...] = (
    (
        "mz_index_advice",
        f"""
        WITH MUTUALLY RECURSIVE {_READS}, {_INLINED}
        {_INDEXES} UNION ALL {_MATERIALIZED} UNION ALL {_VIEWS}
        """,
    ),
)
