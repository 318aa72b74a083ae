"""REFRESH of materialized views, and clusters that run for refreshes, on a real server."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.headwater import Headwater, kill_process, running
from tests.fixtures.replicas import replica_ids, rows, wait_for_process
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]


def one(connection: Connection, query: str) -> object:
    """Return the one value of a query."""
    ((value,),) = rows(connection, query)
    return value


def present(connection: Connection) -> int:
    return int(str(one(connection, "SELECT mz_now()::text FROM (SELECT count(*) FROM mz_tables)")))


@contextmanager
def made(connection: Connection, *statements: str) -> Iterator[None]:
    """Have objects for as long as the block; the first word after CREATE names their kind."""
    try:
        for statement in statements:
            connection.execute(statement.encode())
        yield
    finally:
        for statement in reversed(statements):
            found = re.match(r"CREATE (TABLE|MATERIALIZED VIEW|CLUSTER) (\w+)", statement)
            assert found is not None
            connection.execute(f"DROP {found[1]} IF EXISTS {found[2]} CASCADE".encode())


def test_a_view_stands_still_between_refreshes(connection: Connection) -> None:
    view = "CREATE MATERIALIZED VIEW v WITH (REFRESH EVERY '4 s') AS SELECT count(*) AS n FROM t"
    with made(connection, "CREATE TABLE t (a int)", view):
        assert one(connection, "SELECT n FROM v") == 0  # everything runs
        connection.execute("INSERT INTO t VALUES (1)")
        wanted = "SELECT n = 1, (SELECT count(*) FROM t), mz_now()::text::int8 FROM v"
        ((new, fresh, at),) = rows(connection, wanted)
        ((_, sql),) = rows(connection, "SHOW CREATE MATERIALIZED VIEW v")
        creation = int(re.findall(r"\d{13}", str(sql))[0])
        assert fresh == 1
        assert new is False or int(str(at)) >= creation + 4_000
        eventually(lambda: one(connection, "SELECT n FROM v"), want=1)
        connection.execute("CREATE DEFAULT INDEX ON v")
        assert one(connection, "SELECT n FROM v") == 1


def test_a_view_can_be_read_from_its_first_refresh_on(connection: Connection) -> None:
    view = (
        "CREATE MATERIALIZED VIEW v WITH (REFRESH AT mz_now()::text::int8 + 2000) AS "
        "SELECT count(*) AS n FROM t"
    )
    with made(connection, "CREATE TABLE t (a int)"):
        connection.execute("INSERT INTO t VALUES (1)")
        before = int(time.time() * 1_000)
        with made(connection, view):
            connection.execute("INSERT INTO t VALUES (2)")
            assert one(connection, "SELECT n FROM v") == 2
            assert int(time.time() * 1_000) - before >= 2_000
            connection.execute("INSERT INTO t VALUES (3)")
            time.sleep(1.2)  # sources and tables tick meanwhile
            assert one(connection, "SELECT n FROM v") == 2
            assert one(connection, "SELECT count(*) FROM t, v") == 3


@pytest.mark.parametrize(
    ("refresh", "message"),
    [
        ("AT NULL", "REFRESH AT argument must be an expression"),
        ("EVERY '1 s' ALIGNED TO NULL", "ALIGNED TO argument must be an expression"),
        ("AT 18446744073709551615", "a time that never comes"),
        ("EVERY '999 microseconds'", "at least 1 millisecond"),
    ],
)
def test_a_time_that_is_none_is_refused(connection: Connection, refresh: str, message: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=message):
        connection.execute(
            f"CREATE MATERIALIZED VIEW v WITH (REFRESH {refresh}) AS SELECT 1".encode()
        )


def test_a_view_of_the_past_is_refused(connection: Connection) -> None:
    with made(connection, "CREATE TABLE t (a int)"):
        with pytest.raises(psycopg.errors.DataException, match="not all the inputs are readable"):
            connection.execute(
                "CREATE MATERIALIZED VIEW v WITH (REFRESH AT '2000-01-01') AS SELECT * FROM t"
            )
        connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            connection.execute(
                "CREATE MATERIALIZED VIEW v WITH (REFRESH AT CREATION) AS SELECT * FROM t"
            )
        connection.execute("ROLLBACK")
        assert rows(connection, "SELECT 1 FROM mz_materialized_views WHERE name = 'v'") == []


def test_a_constant_of_the_future_is_read_in_the_future(connection: Connection) -> None:
    """A strict serializable answer is not given before its time, others are."""
    view = "CREATE MATERIALIZED VIEW v WITH (REFRESH AT '3000-01-01') AS SELECT 7 AS n"
    with made(connection, view):
        connection.execute("SET statement_timeout = '1500ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT n FROM v")
        connection.execute("SET transaction_isolation = 'serializable'")
        assert one(connection, "SELECT n FROM v") == 7
        connection.execute("RESET transaction_isolation")
        connection.execute("RESET statement_timeout")


def test_what_is_read_in_the_future_holds_up_nobody(connection: Connection) -> None:
    """A transaction reads all of a schema at one time, in as far as that can be read by then."""
    far = "CREATE MATERIALIZED VIEW v WITH (REFRESH AT '3000-01-01') AS SELECT count(*) FROM t"
    near = "CREATE MATERIALIZED VIEW w WITH (REFRESH EVERY '1 day') AS SELECT count(*) FROM t"
    with made(connection, "CREATE TABLE t (a int)", far, near):
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("BEGIN")
        assert one(connection, "SELECT count(*) FROM t") == 1
        assert one(connection, "SELECT * FROM w") == 0
        with pytest.raises(psycopg.errors.InvalidTransactionState):
            connection.execute("SELECT * FROM v")
        connection.execute("ROLLBACK")
        connection.execute("SET transaction_isolation = 'strong session serializable'")
        assert one(connection, "SELECT * FROM w") == 0
        assert one(connection, "SELECT count(*) FROM t") == 1
        connection.execute("RESET transaction_isolation")


def test_the_catalog_tells_of_refreshes(connection: Connection) -> None:
    view = (
        "CREATE MATERIALIZED VIEW v WITH (REFRESH AT CREATION, "
        "REFRESH EVERY '1 hour' ALIGNED TO '2000-01-01') AS SELECT count(*) AS n FROM t"
    )
    plain = "CREATE MATERIALIZED VIEW w AS SELECT a FROM t"
    with made(connection, "CREATE TABLE t (a int)", view, plain):
        strategies = rows(
            connection,
            "SELECT name, s.type, s.interval::text, s.aligned_to::text, "
            "s.at BETWEEN now() - '1 minute'::interval AND now() + '1 minute'::interval "
            "FROM mz_internal.mz_materialized_view_refresh_strategies s "
            "JOIN mz_materialized_views m ON m.id = s.materialized_view_id ORDER BY 1, 2",
        )
        assert strategies == [
            ("v", "at", None, None, True),
            ("v", "every", "01:00:00", "2000-01-01 00:00:00+00", None),
            ("w", "on-commit", None, None, None),
        ]
        assert one(connection, "SELECT n FROM v") == 0
        hour = "946684800000"  # 2000-01-01
        progress = (
            "SELECT m.name, r.last_completed_refresh::text::int8 <= extract(epoch FROM now()) * "
            f"1000, (r.next_refresh::text::int8 - {hour}) % 3600000 "
            "FROM mz_internal.mz_materialized_view_refreshes r "
            "JOIN mz_materialized_views m ON m.id = r.materialized_view_id"
        )
        eventually(lambda: rows(connection, progress), want=[("v", True, 0)])
        ((_, sql),) = rows(connection, "SHOW CREATE MATERIALIZED VIEW v")
        assert re.search(
            r"REFRESH = AT \d{13}::mz_catalog.mz_timestamp,\s+REFRESH = EVERY '1 hour' ALIGNED TO "
            r"'2000-01-01'\s*\)",
            str(sql),
        ), sql


def _refreshed_rightly(connection: Connection, begin: int, end: int) -> int:
    """Compare all refreshes of ``v`` between two times with what its query was then."""
    compared = 0
    for at in range(begin, end, 1_000):
        expected = one(connection, f"SELECT count(*) FROM t AS OF {at}")
        assert one(connection, f"SELECT n FROM v AS OF {at}") == expected, f"at {at}"
        assert one(connection, f"SELECT n FROM v AS OF {at + 999}") == expected, f"after {at}"
        compared += 1
    return compared


def test_refreshes_survive_kills(tmp_path: Path) -> None:
    """Every refresh is there and right, those that were due while nothing ran as well."""
    with running(tmp_path / "hw") as server:
        with server.internal() as system:
            system.execute("ALTER SYSTEM SET statement_timeout = '5 min'")
        with server.connect() as connection:
            connection.execute("CREATE CLUSTER c (SIZE = '1')")
            connection.execute("CREATE TABLE t (a int) WITH (RETAIN HISTORY FOR '1 hour')")
            connection.execute("INSERT INTO t VALUES (0)")
            connection.execute(
                "CREATE MATERIALIZED VIEW v IN CLUSTER c WITH (RETAIN HISTORY FOR '1 hour', "
                "REFRESH EVERY '1 s' ALIGNED TO '2000-01-01') AS SELECT count(*) AS n FROM t"
            )
            connection.execute(
                "CREATE MATERIALIZED VIEW first WITH (REFRESH AT CREATION) AS "
                "SELECT count(*) AS n FROM t"
            )
            begin = (present(connection) // 1_000 + 1) * 1_000
            definition = rows(connection, "SHOW CREATE MATERIALIZED VIEW first")
            assert one(connection, "SELECT n FROM first") == 1
        for kill in range(4):
            with server.connect() as connection:
                for number in range(5):
                    connection.execute("INSERT INTO t VALUES (%s)", (number,))
                    time.sleep(0.25)
                if kill % 2:
                    replica = replica_ids(server, "c")["r1"]
                    kill_process(wait_for_process(server, replica))
                    continue
            server.kill()
            time.sleep(1.5)  # a refresh is due meanwhile
            server.start()
        with server.connect() as connection:
            assert one(connection, "SELECT count(*) FROM t") == 21
            eventually(lambda: one(connection, "SELECT n FROM v"), want=21)
            end = present(connection) // 1_000 * 1_000
            assert _refreshed_rightly(connection, begin, end) >= 5
            assert one(connection, "SELECT n FROM first") == 1
            assert rows(connection, "SHOW CREATE MATERIALIZED VIEW first") == definition


def _factor(connection: Connection) -> object:
    return one(connection, "SELECT replication_factor::int8 FROM mz_clusters WHERE name = 'c'")


def test_a_cluster_runs_for_refreshes_only(server: Headwater, connection: Connection) -> None:
    cluster = "CREATE CLUSTER c (SIZE = '1', SCHEDULE = ON REFRESH)"
    view = (
        "CREATE MATERIALIZED VIEW v IN CLUSTER c WITH (REFRESH EVERY '15 s') AS "
        "SELECT count(*) AS n FROM t"
    )
    with made(connection, "CREATE TABLE t (a int)", cluster):
        assert _factor(connection) == 0
        ((_, sql),) = rows(connection, "SHOW CREATE CLUSTER c")
        assert str(sql).endswith(
            "MANAGED = true, SIZE = '1', SCHEDULE = ON REFRESH (HYDRATION TIME ESTIMATE = "
            "'00:00:00'))"
        )
        with made(connection, view):
            assert one(connection, "SELECT n FROM v") == 0
            eventually(lambda: _factor(connection), want=0)
            connection.execute("INSERT INTO t VALUES (1)")
            eventually(lambda: one(connection, "SELECT n FROM v"), want=1, seconds=120)
            eventually(lambda: _factor(connection), want=0)
            id = one(connection, "SELECT id FROM mz_materialized_views WHERE name = 'v'")
        told = rows(
            connection,
            "SELECT event_type, details->>'reason', details->'scheduling_policies'->'on_refresh' "
            "FROM mz_audit_events WHERE object_type = 'cluster-replica' "
            "AND details->>'cluster_name' = 'c' ORDER BY id",
        )
        on = {
            "decision": "on",
            "hydration_time_estimate": "00:00:00",
            "objects_needing_compaction": [],
            "objects_needing_refresh": [id],
        }
        off = {**on, "decision": "off", "objects_needing_refresh": []}
        assert len(told) >= 4
        assert told == [("create", "schedule", on), ("drop", "schedule", off)] * (len(told) // 2)
        eventually(lambda: replica_ids(server, "c"), want={})


def test_a_schedule_can_be_altered(connection: Connection) -> None:
    with made(connection, "CREATE CLUSTER c (SIZE = '1')"):
        schedule = (
            "SELECT s.type, s.refresh_hydration_time_estimate::text "
            "FROM mz_internal.mz_cluster_schedules s JOIN mz_clusters c ON c.id = s.cluster_id "
            "WHERE c.name = 'c'"
        )
        assert rows(connection, schedule) == [("manual", None)]
        connection.execute(
            "ALTER CLUSTER c SET (SCHEDULE = ON REFRESH (HYDRATION TIME ESTIMATE = '90 s'))"
        )
        assert rows(connection, schedule) == [("on-refresh", "00:01:30")]
        connection.execute("ALTER CLUSTER c SET (INTROSPECTION DEBUGGING = TRUE)")
        assert rows(connection, schedule) == [("on-refresh", "00:01:30")]
        eventually(lambda: _factor(connection), want=0)
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="REPLICATION FACTOR"):
            connection.execute("ALTER CLUSTER c SET (REPLICATION FACTOR = 1)")
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="switching a cluster"):
            connection.execute("ALTER CLUSTER c SET (MANAGED = false)")
        connection.execute("ALTER CLUSTER c RESET (SCHEDULE)")
        assert rows(connection, schedule) == [("manual", None)]
        connection.execute("ALTER CLUSTER c SET (REPLICATION FACTOR = 1)")
        assert _factor(connection) == 1
