"""EXPLAIN ANALYZE … AS SQL: the query over ``mz_introspection`` that says the same."""

from collections.abc import Sequence

_SEPARATOR = ",\n       "

# Of each measured property: the CTE that sums it up for each node (and worker), over ``source``.
_SOURCES = {
    "cpu": ("mz_scheduling_elapsed", "id", ("elapsed_ns",)),
    "memory": ("mz_arrangement_sizes", "operator_id", ("size", "records")),
}
# Of each of its columns: how it is shown, and what EXPLAIN ANALYZE calls it and its ratio.
_SHOWN = {
    "elapsed_ns": ("({} / 1000)::int8 * '1 microsecond'::interval", "elapsed", "cpu"),
    "size": ("pg_size_pretty({}::numeric)", "memory", "memory"),
    "records": ("{}", "records", "records"),
}


def analyze_sql(properties: Sequence[str], name: str | None, *, by_worker: bool) -> str:
    """Return the query for the object of that full name, quoted; None for all of the cluster."""
    if "hints" in properties and name is not None:
        return _hints(name)
    # The export of a cluster's dataflow, or the node of an object's plan, that operators are of.
    key = ("object", "global_id") if name is None else ("global_id", "lir_id")
    unit = _exports() if name is None else _nodes(name)
    parts = [f"unit AS (\n{unit}\n)"]
    parts += [f"{word} AS (\n{_sums(word, key, by_worker=by_worker)}\n)" for word in properties]
    head = ["u.object", "u.global_id"] if name is None else [_INDENTED]
    first = properties[0]
    if by_worker:
        head.append(f"{first}.worker_id")
    for word in properties:
        for column in _SOURCES[word][2]:
            head += _columns(f"{word}.{column}", column, by_worker=by_worker)
    joins = [f"JOIN {first} ON {_on(first, 'u', key)}"]
    for word in properties[1:]:
        on = _on(word, "u", key)
        joins.append(f"JOIN {word} ON {on}" + _same_worker(word, first, by_worker=by_worker))
    window = f"\nWINDOW w AS (PARTITION BY {_listed('u', key)})" if by_worker else ""
    order = _listed("u", key) + (f", {first}.worker_id" if by_worker else "")
    return (
        "WITH "
        + ",\n".join(parts)
        + "\nSELECT "
        + _SEPARATOR.join(head)
        + "\nFROM unit AS u\n"
        + "\n".join(joins)
        + window
        + f"\nORDER BY {order}"
    )


_WORKERS = "SELECT DISTINCT worker_id FROM mz_introspection.mz_dataflow_operators_per_worker"
_INDENTED = "repeat('  ', u.nesting::int4) || u.operator AS operator"


def _nodes(name: str) -> str:
    literal = name.replace("'", "''")
    return (
        "  SELECT m.global_id, m.lir_id, m.nesting, m.operator, m.operator_id_start, "
        "m.operator_id_end\n"
        "  FROM mz_introspection.mz_mappable_objects AS o\n"
        "  JOIN mz_introspection.mz_lir_mapping AS m ON m.global_id = o.global_id\n"
        f"  WHERE o.name = '{literal}'"
    )


def _exports() -> str:
    return (
        "  SELECT o.name AS object, e.export_id AS global_id, e.dataflow_id\n"
        "  FROM mz_introspection.mz_compute_exports AS e\n"
        "  JOIN mz_introspection.mz_mappable_objects AS o ON o.global_id = e.export_id"
    )


def _sums(word: str, key: tuple[str, str], *, by_worker: bool) -> str:
    """Return what the operators of each unit have cost, on each worker if so wanted."""
    relation, operator, columns = _SOURCES[word]
    relation += "_per_worker" if by_worker else ""
    source = f"mz_introspection.{relation}"
    if word == "cpu":  # a scope's time is that of what is within it
        scopes = "SELECT parent_id FROM mz_introspection.mz_dataflow_operator_parents"
        source = f"(SELECT * FROM {source} WHERE id NOT IN ({scopes}))"
    summed = ", ".join(f"COALESCE(sum(s.{column}), 0) AS {column}" for column in columns)
    worker, workers, same_worker = "", "", ""
    if by_worker:  # also those on which nothing is held
        worker = ", w.worker_id"
        workers = f"\n  CROSS JOIN ({_WORKERS}) AS w"
        same_worker = " AND s.worker_id = w.worker_id"
    if key[0] == "object":
        join = (
            "  JOIN mz_introspection.mz_dataflow_operator_dataflows AS o "
            "ON o.dataflow_id = u.dataflow_id\n"
            f"  LEFT JOIN {source} AS s ON s.{operator} = o.id{same_worker}"
        )
    else:
        join = (
            f"  LEFT JOIN {source} AS s\n"
            f"    ON s.{operator} >= u.operator_id_start AND s.{operator} < u.operator_id_end"
            f"{same_worker}"
        )
    listed = _listed("u", key)
    selected = f"  SELECT {listed}{worker}, {summed}\n  FROM unit AS u{workers}\n"
    return f"{selected}{join}\n  GROUP BY {listed}{worker}"


def _columns(value: str, column: str, *, by_worker: bool) -> list[str]:
    shown, name, ratio = _SHOWN[column]
    if not by_worker:
        return [f"{shown.format(value)} AS total_{name}"]
    total, average = f"(sum({value}) OVER w)", f"(avg({value}) OVER w)"
    return [
        f"round({value} * (count(*) OVER w) / NULLIF({total}, 0), 2) AS {ratio}_ratio",
        f"{shown.format(value)} AS worker_{name}",
        f"{shown.format(f'trunc({average})')} AS avg_{name}",
        f"{shown.format(total)} AS total_{name}",
    ]


def _hints(name: str) -> str:
    return (
        f"WITH unit AS (\n{_nodes(name)}\n)\n"
        f"SELECT {_INDENTED},\n"
        "       a.levels, a.to_cut, a.hint::int8 AS hint, pg_size_pretty(a.savings) AS savings\n"
        "FROM unit AS u\n"
        "LEFT JOIN mz_introspection.mz_expected_group_size_advice AS a\n"
        "  ON a.region_id = u.operator_id_start AND u.operator_id_end > u.operator_id_start\n"
        "ORDER BY u.global_id, u.lir_id"
    )


def _listed(alias: str, key: tuple[str, str]) -> str:
    return ", ".join(f"{alias}.{column}" for column in key)


def _on(left: str, right: str, key: tuple[str, str]) -> str:
    return " AND ".join(f"{left}.{column} = {right}.{column}" for column in key)


def _same_worker(word: str, first: str, *, by_worker: bool) -> str:
    return f" AND {word}.worker_id = {first}.worker_id" if by_worker else ""
