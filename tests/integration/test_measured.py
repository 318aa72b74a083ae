"""What is measured from time to time: lag behind the clock, kept over drops and restarts."""

from collections.abc import Iterator

import psycopg
import pytest

from headwater.catalog.builtin.running_views import LAG_SECONDS
from tests.fixtures.headwater import Headwater, running
from tests.fixtures.replicas import replica_ids, rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

INTERVALS = (
    "wallclock_lag_recording_interval",
    "replica_metrics_history_interval",
    "storage_usage_collection_interval",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headwater]:
    """A server that measures every second."""
    with running(tmp_path_factory.mktemp("headwater")) as started:
        with started.internal() as system:
            for name in INTERVALS:
                system.execute(f"ALTER SYSTEM SET {name} = '1s'".encode())
        yield started


def id_of(connection: Connection, name: str) -> str:
    """Return the id of a user's object."""
    query = f"SELECT id FROM mz_catalog.mz_objects WHERE name = '{name}' AND id LIKE 'u%'"
    ((found,),) = rows(connection, query)
    return str(found)


def test_intervals_are_a_second_at_least(server: Headwater) -> None:
    with server.internal() as system:
        for name in INTERVALS:
            with pytest.raises(psycopg.errors.InvalidParameterValue):
                system.execute(f"ALTER SYSTEM SET {name} = '999ms'".encode())


def test_lag_is_recorded_of_each_object_and_replica(server: Headwater, scratch: Connection) -> None:
    scratch.execute("CREATE TABLE t (a int)")
    scratch.execute("CREATE INDEX i ON t (a)")
    scratch.execute("CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t")
    table, index, view = (id_of(scratch, name) for name in ("t", "i", "m"))
    (replica,) = replica_ids(server, "quickstart").values()
    recorded = f"""
        SELECT DISTINCT object_id, replica_id FROM mz_internal.mz_wallclock_lag_history
        WHERE lag < INTERVAL '30 s' AND object_id IN ('{table}', '{index}', '{view}')
    """
    of_view = {(view, None), (view, replica)}
    eventually(lambda: set(rows(scratch, recorded)), {(table, None), (index, replica), *of_view})
    newest = f"SELECT lag < INTERVAL '30 s' FROM mz_internal.mz_wallclock_global_lag\
        WHERE object_id = '{index}'"
    eventually(lambda: rows(scratch, newest), [(True,)])
    # A record stays when what it is of goes, and none is added.
    scratch.execute("DROP INDEX i")
    assert rows(scratch, newest) == []
    counted = """
        SELECT count(*), max(occurred_at) FROM mz_internal.mz_wallclock_lag_history
        WHERE object_id = '{}'
    """
    before = rows(scratch, counted.format(index))
    assert before[0][0] != 0
    ((_, seen),) = rows(scratch, counted.format(table))
    later = f"SELECT count(*) > 0 FROM mz_internal.mz_wallclock_lag_history\
        WHERE object_id = '{table}' AND occurred_at > '{seen}'"
    eventually(lambda: rows(scratch, later), [(True,)])
    assert rows(scratch, counted.format(index)) == before


def test_lag_is_counted_in_powers_of_two(scratch: Connection) -> None:
    buckets = {0: 1, 1: 1, 1.001: 2, 2: 2, 2.5: 4, 4: 4, 5: 8, 1_024: 1_024, 1_024.5: 2_048}
    lags = ", ".join(f"(INTERVAL '{seconds} s')" for seconds in buckets)
    query = f"SELECT {LAG_SECONDS} FROM (VALUES {lags}, (NULL)) AS v(lag) ORDER BY lag"
    found = [bucket for (bucket,) in rows(scratch, query)]
    assert [None if bucket is None else int(str(bucket)) for bucket in found] == [
        *buckets.values(),
        None,
    ]


def test_what_stands_still_falls_behind(scratch: Connection) -> None:
    scratch.execute("CREATE CLUSTER still (SIZE '25cc', REPLICATION FACTOR 1)")
    try:
        scratch.execute("CREATE TABLE t (a int)")
        scratch.execute("CREATE MATERIALIZED VIEW m IN CLUSTER still AS SELECT a FROM t")
        assert rows(scratch, "SELECT * FROM m") == []
        scratch.execute("ALTER CLUSTER still SET (REPLICATION FACTOR 0)")
        table, view = id_of(scratch, "t"), id_of(scratch, "m")
        lags = f"""
            SELECT object_id, lag > INTERVAL '5 s' FROM mz_internal.mz_wallclock_global_lag
            WHERE object_id IN ('{table}', '{view}')
        """
        eventually(lambda: set(rows(scratch, lags)), {(table, False), (view, True)})
        # Each minute of an object counts once.
        histogram = f"""
            SELECT count FROM mz_internal.mz_wallclock_global_lag_histogram
            WHERE object_id = '{table}' AND period_end = period_start + INTERVAL '1 day'
        """
        minutes = f"""
            SELECT count(*) FROM mz_internal.mz_wallclock_global_lag_history
            WHERE object_id = '{table}'
        """
        (found,) = rows(scratch, f"SELECT sum(count) FROM ({histogram}) AS x")
        assert found == rows(scratch, minutes)[0]
    finally:
        scratch.execute("DROP CLUSTER still CASCADE")


def test_records_outlive_the_server(server: Headwater) -> None:
    counted = """
        SELECT (SELECT count(*) FROM mz_internal.mz_wallclock_lag_history
                WHERE occurred_at <= '{0}'),
               (SELECT count(*) FROM mz_internal.mz_wallclock_lag_history
                WHERE occurred_at > '{0}') > 0
    """
    with server.connect() as connection:
        connection.execute("CREATE TABLE kept (a int)")
        table = id_of(connection, "kept")
        last = f"""
            SELECT max(occurred_at) FROM mz_internal.mz_wallclock_lag_history
            WHERE object_id = '{table}'
        """
        eventually(lambda: rows(connection, last) != [(None,)], want=True)
        ((seen,),) = rows(connection, last)
        ((before, _),) = rows(connection, counted.format(seen))
    server.stop()
    server.start()
    with server.connect() as connection:
        assert before != 0
        eventually(lambda: rows(connection, counted.format(seen)), [(before, True)])
