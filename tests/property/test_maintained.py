"""What the workers maintain is, at every time, what the query says of the tables at that time.

Random plans are decorrelated, optimized, lowered and rendered on native workers; their inputs
change from time to time, before and after the dataflow's first time. The oracle evaluates the query
itself by nested loops over the tables of each time.
"""

from collections import Counter
from itertools import pairwise

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.compute.protocol import CreateDataflow, InitializationComplete, OpenSource
from headwater.compute.reference import EvaluationError, Snapshot
from headwater.ir.dataflow import SinkExport, SourceImport, SubscribeSink
from headwater.ir.rows import split_row
from headwater.ir.typing import Typer
from headwater.native.loader import native
from headwater.sql.lower.dataflow import LowerContext, build_dataflow
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.pipeline import optimize
from headwater.sql.plan.decorrelate import decorrelate
from tests.fixtures.workers import Workers, flat_of
from tests.property.plans import TABLES, databases, evaluate_hir, python_fold, relations

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
COLLECTIONS = {name: SourceImport(name, f"s-{name}", desc) for name, desc in TABLES.items()}


def changes(before: Counter, after: Counter, time: int) -> list[tuple[bytes, int, int]]:
    """Return the updates at ``time`` that make ``after`` of ``before``."""
    return [
        (row, time, after[row] - before[row])
        for row in sorted({*before, *after})
        if after[row] != before[row]
    ]


def expected_at(plan, database) -> Counter | None:
    """Return the query's rows, None where it fails."""
    try:
        return Counter({row: n for row, n in evaluate_hir(plan, database).items() if n})
    except EvaluationError:
        return None


def grown(history):
    """Return databases whose rows are those of ``history`` so far: none is taken away.

    Of a table with a key the first row of each value stays the only one.
    """
    databases = [history[0]]
    for database in history[1:]:
        rows = {name: Counter(databases[-1][name].rows) for name in TABLES}
        for name, desc in TABLES.items():
            (key,) = desc.keys or ((),)
            taken = {tuple(split_row(row)[i] for i in key) for row in rows[name]}
            for row, count in database[name].rows.items():
                if not key or tuple(split_row(row)[i] for i in key) not in taken:
                    rows[name][row] += count
        databases.append({name: Snapshot(counter) for name, counter in rows.items()})
    return databases


def maintained(expr, history, as_of, workers: Workers, *, single_time=False):
    """Return the accumulated rows and number of errors at each time from ``as_of``, as decoded."""
    sink = SinkExport("t1", "v1", SubscribeSink(with_snapshot=True))
    built = build_dataflow(
        "test",
        [("v1", expr)],
        LowerContext(collections=COLLECTIONS),
        sink_exports=[sink],
        as_of=as_of,
        single_time=single_time,
    )
    workers.command(CreateDataflow(built.dataflow))
    workers.command(InitializationComplete())
    tokens = {}
    for _ in built.dataflow.sources:
        opened = workers.request(OpenSource)
        tokens[opened.shard] = opened.token
    for time, (before, after) in enumerate(pairwise([None, *history])):
        for name in (source.id for source in built.dataflow.sources):
            old = Counter() if before is None else before[name].rows
            updates = changes(old, after[name].rows, time)
            workers.feed_flat(tokens[f"s-{name}"], flat_of(updates), time + 1)
    for name in (source.id for source in built.dataflow.sources):
        workers.feed_flat(tokens[f"s-{name}"], flat_of([]), len(history) + 1)

    types = msgspec.msgpack.encode(tuple(column.type for column in Typer().types(expr)))

    def ended():
        done = any(h["upper"] is None or h["upper"] >= len(history) for h, _ in workers.rows)
        return True if done else None

    workers.wait(ended)
    updates, errors = [], 0
    for header, body in workers.rows:
        assert b"Invalid data in source" not in body, expr
        errors += header["errors"]
        updates += native.decode_updates(types, body)
    found = {}
    for time in range(as_of, len(history)):
        total = Counter()
        for row, at, diff in updates:
            if at <= time:
                total[row] += diff
        found[time] = Counter({row: n for row, n in total.items() if n})
    return found, errors, types


def check(plan, history, as_of, count, *, append_only=frozenset(), single_time=False):
    """Compare what workers maintain with what the query says, at one time or all from ``as_of``."""
    if single_time:
        history = history[: as_of + 1]
    wanted = [expected_at(plan, database) for database in history]
    context = OptimizerContext(fold=python_fold, append_only=append_only)
    expr = optimize(decorrelate(plan), context)
    workers = Workers(count)
    try:
        found, errors, types = maintained(expr, history, as_of, workers, single_time=single_time)
    finally:
        workers.native.shutdown()
    for time in range(as_of, len(history)):
        rows = wanted[time]
        if rows is None or errors:
            return  # from the first error on, which rows there are is not said
        decoded = native.decode_updates(types, flat_of((row, 0, n) for row, n in rows.items()))
        assert found[time] == Counter({row: n for row, _, n in decoded}), (time, expr)


HISTORIES = st.lists(databases(), min_size=2, max_size=4)
WORKERS = st.sampled_from([1, 2])


@SETTINGS
@given(relations((), 3), HISTORIES, st.integers(0, 1), WORKERS)
def test_maintained_equals_recomputed(plan, history, as_of, count):
    check(plan, history, as_of, count)


@SETTINGS
@given(relations((), 3), HISTORIES, st.integers(0, 1), WORKERS)
def test_maintained_over_tables_that_only_grow_equals_recomputed(plan, history, as_of, count):
    check(plan, grown(history), as_of, count, append_only=frozenset(TABLES))


@SETTINGS
@given(relations((), 3), HISTORIES, st.integers(0, 1), WORKERS)
def test_computed_once_equals_recomputed(plan, history, as_of, count):
    check(plan, history, as_of, count, single_time=True)
