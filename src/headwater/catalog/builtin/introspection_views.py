"""The builtin views of ``mz_introspection``, over the logs of the replica that is asked.

Every worker renders the same dataflows: what is of their structure is shown as worker 0 has it, and
what is counted is the sum over all. A ``_raw`` log counts by multiplicity.
"""

from headwater.ir.physical import BUCKET_FANOUT

# Of the first level's rows, how many fewer another may have and still be thought to have as many.
CUT_TOLERANCE = 0.15


def _of_worker_0(name: str, columns: str) -> tuple[str, str]:
    return (
        name,
        f"SELECT {columns} FROM mz_introspection.{name}_per_worker WHERE worker_id = 0::uint8",
    )


def _counted(name: str, keys: str, count: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the views of a raw log by key and worker, and by key: how often rows are there."""
    of_worker = ", ".join(part for part in (keys.partition(", ")[0], "worker_id") if part)
    rest = keys.partition(", ")[2]
    columns = f"{of_worker}, {rest}" if rest else of_worker
    return (
        (
            f"{name}_per_worker",
            f"""
            SELECT {columns}, count(*) AS {count}
            FROM mz_introspection.{name}_raw GROUP BY {columns}
            """,
        ),
        (
            name,
            f"""
            SELECT {keys}, sum({count}) AS {count}
            FROM mz_introspection.{name}_per_worker GROUP BY {keys}
            """,
        ),
    )


def _kinds(*sources: tuple[str, str]) -> str:
    return " UNION ALL ".join(
        f"SELECT operator_id, worker_id, '{kind}' AS kind FROM mz_introspection.{log}"
        for kind, log in sources
    )


_SIZES = _kinds(
    ("records", "mz_arrangement_records_raw"),
    ("records", "mz_arrangement_batcher_records_raw"),
    ("batches", "mz_arrangement_batches_raw"),
    ("size", "mz_arrangement_heap_size_raw"),
    ("size", "mz_arrangement_batcher_size_raw"),
    ("capacity", "mz_arrangement_heap_capacity_raw"),
    ("capacity", "mz_arrangement_batcher_capacity_raw"),
    ("allocations", "mz_arrangement_heap_allocations_raw"),
    ("allocations", "mz_arrangement_batcher_allocations_raw"),
)
_MEASURES = ("records", "batches", "size", "capacity", "allocations")
_COUNTS = ", ".join(f"count(*) FILTER (WHERE kind = '{kind}') AS {kind}" for kind in _MEASURES)
_SUMS = ", ".join(f"sum({kind})::int8 AS {kind}" for kind in _MEASURES)
_OR_ZERO = ", ".join(f"COALESCE(s.{kind}, 0) AS {kind}" for kind in _MEASURES)
_TALLIES = ("sent", "received", "batch_sent", "batch_received")

_STRUCTURE: tuple[tuple[str, str], ...] = (
    _of_worker_0("mz_active_peeks", "id, object_id, type, time"),
    _of_worker_0("mz_compute_exports", "export_id, dataflow_id"),
    (
        "mz_compute_frontiers",
        """
        SELECT export_id, min(time) AS time
        FROM mz_introspection.mz_compute_frontiers_per_worker GROUP BY export_id
        """,
    ),
    (
        "mz_compute_import_frontiers",
        """
        SELECT export_id, import_id, min(time) AS time
        FROM mz_introspection.mz_compute_import_frontiers_per_worker GROUP BY export_id, import_id
        """,
    ),
    (
        "mz_compute_error_counts_per_worker",
        """
        SELECT export_id, worker_id, sum(count)::int8 AS count
        FROM mz_introspection.mz_compute_error_counts_raw GROUP BY export_id, worker_id
        """,
    ),
    (
        "mz_compute_error_counts",
        """
        SELECT export_id, sum(count) AS count
        FROM mz_introspection.mz_compute_error_counts_per_worker
        GROUP BY export_id HAVING sum(count) <> 0
        """,
    ),
    (
        "mz_dataflow_global_ids",
        """
        SELECT id, global_id FROM mz_introspection.mz_compute_dataflow_global_ids_per_worker
        WHERE worker_id = 0::uint8
        """,
    ),
    (
        "mz_lir_mapping",
        """
        SELECT global_id, lir_id, operator, parent_lir_id, nesting, operator_id_start,
               operator_id_end
        FROM mz_introspection.mz_compute_lir_mapping_per_worker WHERE worker_id = 0::uint8
        """,
    ),
    (
        "mz_mappable_objects",
        """
        SELECT COALESCE(quote_ident(o.database_name) || '.', '') || quote_ident(o.schema_name)
               || '.' || quote_ident(o.name) AS name, d.global_id
        FROM mz_introspection.mz_dataflow_global_ids AS d
        JOIN mz_introspection.mz_compute_exports AS e ON e.dataflow_id = d.id
        JOIN mz_internal.mz_object_fully_qualified_names AS o ON o.id = e.export_id
        """,
    ),
    _of_worker_0("mz_dataflow_operators", "id, name"),
    _of_worker_0("mz_dataflow_addresses", "id, address"),
    _of_worker_0("mz_dataflow_channels", "id, from_index, from_port, to_index, to_port, type"),
    (
        "mz_dataflows_per_worker",
        """
        SELECT a.address[1] AS id, o.worker_id, o.name
        FROM mz_introspection.mz_dataflow_operators_per_worker AS o
        JOIN mz_introspection.mz_dataflow_addresses_per_worker AS a
          ON a.id = o.id AND a.worker_id = o.worker_id
        WHERE list_length(a.address) = 1
        """,
    ),
    _of_worker_0("mz_dataflows", "id, name"),
    (
        "mz_dataflow_operator_dataflows_per_worker",
        """
        SELECT o.id, o.name, o.worker_id, d.id AS dataflow_id, d.name AS dataflow_name
        FROM mz_introspection.mz_dataflow_operators_per_worker AS o
        JOIN mz_introspection.mz_dataflow_addresses_per_worker AS a
          ON a.id = o.id AND a.worker_id = o.worker_id
        JOIN mz_introspection.mz_dataflows_per_worker AS d
          ON d.id = a.address[1] AND d.worker_id = o.worker_id
        """,
    ),
    _of_worker_0("mz_dataflow_operator_dataflows", "id, name, dataflow_id, dataflow_name"),
    (
        "mz_dataflow_operator_parents_per_worker",
        """
        SELECT o.id, p.id AS parent_id, o.worker_id
        FROM (SELECT a.id, a.worker_id, a.address[1:list_length(a.address) - 1] AS parent
              FROM mz_introspection.mz_dataflow_addresses_per_worker AS a
              JOIN mz_introspection.mz_dataflow_operators_per_worker AS own
                ON own.id = a.id AND own.worker_id = a.worker_id
              WHERE list_length(a.address) > 1) AS o
        JOIN mz_introspection.mz_dataflow_addresses_per_worker AS p
          ON p.address = o.parent AND p.worker_id = o.worker_id
        JOIN mz_introspection.mz_dataflow_operators_per_worker AS operators
          ON operators.id = p.id AND operators.worker_id = p.worker_id
        """,
    ),
    _of_worker_0("mz_dataflow_operator_parents", "id, parent_id"),
    (
        "mz_dataflow_channel_operators_per_worker",
        """
        WITH operators AS (
          SELECT o.id, o.worker_id, a.address
          FROM mz_introspection.mz_dataflow_operators_per_worker AS o
          JOIN mz_introspection.mz_dataflow_addresses_per_worker AS a
            ON a.id = o.id AND a.worker_id = o.worker_id
        ), channels AS (
          SELECT c.id, c.worker_id, c.type,
                 CASE WHEN c.from_index = 0::uint8 THEN a.address
                      ELSE a.address || c.from_index END AS from_address,
                 CASE WHEN c.to_index = 0::uint8 THEN a.address
                      ELSE a.address || c.to_index END AS to_address
          FROM mz_introspection.mz_dataflow_channels_per_worker AS c
          JOIN mz_introspection.mz_dataflow_addresses_per_worker AS a
            ON a.id = c.id AND a.worker_id = c.worker_id
        )
        SELECT c.id, c.worker_id, f.id AS from_operator_id, c.from_address AS from_operator_address,
               t.id AS to_operator_id, c.to_address AS to_operator_address, c.type
        FROM channels AS c
        LEFT JOIN operators AS f ON f.address = c.from_address AND f.worker_id = c.worker_id
        LEFT JOIN operators AS t ON t.address = c.to_address AND t.worker_id = c.worker_id
        """,
    ),
    _of_worker_0(
        "mz_dataflow_channel_operators",
        "id, from_operator_id, from_operator_address, to_operator_id, to_operator_address, type",
    ),
)

_SIZED: tuple[tuple[str, str], ...] = (
    (
        "mz_arrangement_sizes_per_worker",
        f"SELECT operator_id, worker_id, {_COUNTS} FROM ({_SIZES}) AS s "
        "GROUP BY operator_id, worker_id",
    ),
    (
        "mz_arrangement_sizes",
        f"""
        SELECT operator_id, {_SUMS}
        FROM mz_introspection.mz_arrangement_sizes_per_worker GROUP BY operator_id
        """,
    ),
    (
        "mz_arrangement_sharing_per_worker",
        """
        SELECT operator_id, worker_id, count(*) AS count
        FROM mz_introspection.mz_arrangement_sharing_raw GROUP BY operator_id, worker_id
        """,
    ),
    (
        "mz_arrangement_sharing",
        """
        SELECT operator_id, count FROM mz_introspection.mz_arrangement_sharing_per_worker
        WHERE worker_id = 0::uint8
        """,
    ),
    (
        "mz_records_per_dataflow_operator_per_worker",
        f"""
        SELECT o.id, o.name, o.worker_id, o.dataflow_id, {_OR_ZERO}
        FROM mz_introspection.mz_dataflow_operator_dataflows_per_worker AS o
        LEFT JOIN mz_introspection.mz_arrangement_sizes_per_worker AS s
          ON s.operator_id = o.id AND s.worker_id = o.worker_id
        """,
    ),
    (
        "mz_records_per_dataflow_operator",
        f"""
        SELECT id, name, dataflow_id, {_SUMS}
        FROM mz_introspection.mz_records_per_dataflow_operator_per_worker
        GROUP BY id, name, dataflow_id
        """,
    ),
    (
        "mz_records_per_dataflow_per_worker",
        f"""
        SELECT d.id, d.name, d.worker_id, {_SUMS}
        FROM mz_introspection.mz_records_per_dataflow_operator_per_worker AS o
        JOIN mz_introspection.mz_dataflows_per_worker AS d
          ON d.id = o.dataflow_id AND d.worker_id = o.worker_id
        GROUP BY d.id, d.name, d.worker_id
        """,
    ),
    (
        "mz_records_per_dataflow",
        f"""
        SELECT id, name, {_SUMS}
        FROM mz_introspection.mz_records_per_dataflow_per_worker GROUP BY id, name
        """,
    ),
    (
        "mz_dataflow_arrangement_sizes",
        f"SELECT id, name, {', '.join(_MEASURES)} FROM mz_introspection.mz_records_per_dataflow",
    ),
)

_COUNTED: tuple[tuple[str, str], ...] = (
    *_counted("mz_compute_operator_durations_histogram", "id, duration_ns", "count"),
    *_counted("mz_scheduling_elapsed", "id", "elapsed_ns"),
    (
        "mz_peek_durations_histogram_per_worker",
        """
        SELECT worker_id, type, duration_ns, count(*) AS count
        FROM mz_introspection.mz_peek_durations_histogram_raw
        GROUP BY worker_id, type, duration_ns
        """,
    ),
    (
        "mz_peek_durations_histogram",
        """
        SELECT type, duration_ns, sum(count) AS count
        FROM mz_introspection.mz_peek_durations_histogram_per_worker GROUP BY type, duration_ns
        """,
    ),
    (
        "mz_scheduling_parks_histogram_per_worker",
        """
        SELECT worker_id, slept_for_ns, requested_ns, count(*) AS count
        FROM mz_introspection.mz_scheduling_parks_histogram_raw
        GROUP BY worker_id, slept_for_ns, requested_ns
        """,
    ),
    (
        "mz_scheduling_parks_histogram",
        """
        SELECT slept_for_ns, requested_ns, sum(count) AS count
        FROM mz_introspection.mz_scheduling_parks_histogram_per_worker
        GROUP BY slept_for_ns, requested_ns
        """,
    ),
    (
        "mz_message_counts_per_worker",
        "SELECT channel_id, from_worker_id, to_worker_id, "
        + ", ".join(f"count(*) FILTER (WHERE kind = '{kind}') AS {kind}" for kind in _TALLIES)
        + " FROM ("
        + " UNION ALL ".join(
            f"SELECT channel_id, from_worker_id, to_worker_id, '{kind}' AS kind "
            f"FROM mz_introspection.mz_message_{log}_raw"
            for kind, log in (
                ("sent", "counts_sent"),
                ("received", "counts_received"),
                ("batch_sent", "batch_counts_sent"),
                ("batch_received", "batch_counts_received"),
            )
        )
        + ") AS m GROUP BY channel_id, from_worker_id, to_worker_id",
    ),
    (
        "mz_message_counts",
        "SELECT channel_id, "
        + ", ".join(f"sum({kind}) AS {kind}" for kind in _TALLIES)
        + " FROM mz_introspection.mz_message_counts_per_worker GROUP BY channel_id",
    ),
)

# Levels of a reduction in stages that are given nearly as many rows as the first: the levels before
# leave as much as they are given, since groups are smaller than was expected. ``sql.lower.reduce``
# has the fan-out of levels, and EXPLAIN ANALYZE HINTS the same rule.
_ADVICE = (
    "mz_expected_group_size_advice",
    f"""
    WITH level AS (
      SELECT g.id AS dataflow_id, m.global_id, m.lir_id, m.operator_id_start AS region_id,
             m.operator AS region_name, o.id, s.records, s.size
      FROM mz_introspection.mz_lir_mapping AS m
      JOIN mz_introspection.mz_dataflow_global_ids AS g ON g.global_id = m.global_id
      JOIN mz_introspection.mz_dataflow_operators AS o
        ON o.id >= m.operator_id_start AND o.id < m.operator_id_end
      JOIN mz_introspection.mz_arrangement_sizes AS s ON s.operator_id = o.id
      WHERE o.name ~ '^Arrange(Extreme|TopK)(Stage)?$'
    ), region AS (
      SELECT dataflow_id, global_id, lir_id, region_id, region_name, min(id) AS first_id,
             count(*) AS levels
      FROM level GROUP BY dataflow_id, global_id, lir_id, region_id, region_name
    ), cut AS (
      SELECT r.global_id, r.lir_id, count(*) AS to_cut, sum(l.size) AS savings
      FROM region AS r
      JOIN level AS f ON f.id = r.first_id AND f.global_id = r.global_id AND f.lir_id = r.lir_id
      JOIN level AS l ON l.global_id = r.global_id AND l.lir_id = r.lir_id AND l.id > r.first_id
      WHERE l.records > 0 AND l.records >= f.records * {1 - CUT_TOLERANCE}
      GROUP BY r.global_id, r.lir_id
    )
    SELECT r.dataflow_id, d.name AS dataflow_name, r.region_id, r.region_name, r.levels, c.to_cut,
           c.savings, power({BUCKET_FANOUT}::float8, (r.levels - c.to_cut + 1)::float8) - 1 AS hint
    FROM region AS r
    JOIN cut AS c ON c.global_id = r.global_id AND c.lir_id = r.lir_id
    JOIN mz_introspection.mz_dataflows AS d ON d.id = r.dataflow_id
    """,
)

INTROSPECTION: tuple[tuple[str, str], ...] = (*_STRUCTURE, *_SIZED, _ADVICE, *_COUNTED)
