"""The spine: what goes in comes out, of a SELECT, a view, a materialized view and a SUBSCRIBE."""

from pathlib import Path

import psycopg
import pytest

from tests.fixtures.headwater import Headwater, kill_process, running

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]


def rows(connection: Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()


def test_insert_select(connection: Connection) -> None:
    connection.execute("CREATE TABLE t1 (a int, b text)")
    connection.execute("INSERT INTO t1 VALUES (1, 'one'), (2, 'two'), (3, NULL)")
    assert rows(connection, "SELECT * FROM t1 ORDER BY a") == [(1, "one"), (2, "two"), (3, None)]
    assert rows(connection, "SELECT count(*), sum(a) FROM t1") == [(3, 6)]


def test_view_index_and_materialized_view_follow_the_table(connection: Connection) -> None:
    connection.execute("CREATE TABLE orders (id int, customer int, amount int)")
    connection.execute("CREATE TABLE customers (id int, name text)")
    connection.execute(
        "CREATE VIEW totals AS SELECT c.name, sum(o.amount) AS total FROM orders o "
        "JOIN customers c ON c.id = o.customer GROUP BY c.name"
    )
    connection.execute("CREATE INDEX totals_idx ON totals (name)")
    connection.execute("CREATE MATERIALIZED VIEW totals_mv AS SELECT * FROM totals")
    connection.execute("INSERT INTO customers VALUES (1, 'ann'), (2, 'bob')")
    connection.execute("INSERT INTO orders VALUES (1, 1, 10), (2, 1, 5), (3, 2, 7)")
    for relation in ("totals", "totals_mv"):
        assert rows(connection, f"SELECT * FROM {relation} ORDER BY name") == [
            ("ann", 15),
            ("bob", 7),
        ]
    assert rows(connection, "SELECT total FROM totals WHERE name = 'bob'") == [(7,)]
    connection.execute("UPDATE orders SET amount = amount + 1 WHERE customer = 2")
    connection.execute("DELETE FROM orders WHERE id = 1")
    for relation in ("totals", "totals_mv"):
        assert rows(connection, f"SELECT * FROM {relation} ORDER BY name") == [
            ("ann", 5),
            ("bob", 8),
        ]


def test_errors_are_data_and_go_away_with_their_row(connection: Connection) -> None:
    connection.execute("CREATE TABLE divisors (d int)")
    connection.execute("INSERT INTO divisors VALUES (1), (0)")
    connection.execute("CREATE MATERIALIZED VIEW quotients AS SELECT 10 / d AS q FROM divisors")
    with pytest.raises(psycopg.errors.DivisionByZero):
        rows(connection, "SELECT * FROM quotients")
    connection.execute("DELETE FROM divisors WHERE d = 0")
    assert rows(connection, "SELECT * FROM quotients") == [(10,)]


def test_everything_survives_kill_9_of_the_server(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE t (a int)")
            connection.execute("CREATE MATERIALIZED VIEW doubled AS SELECT a * 2 AS b FROM t")
            connection.execute("INSERT INTO t VALUES (1), (2)")
        server.kill()
        server.start()
        with server.connect() as connection:
            connection.execute("INSERT INTO t VALUES (3)")
            assert rows(connection, "SELECT * FROM t ORDER BY a") == [(1,), (2,), (3,)]
            assert rows(connection, "SELECT * FROM doubled ORDER BY b") == [(2,), (4,), (6,)]


def test_a_killed_replica_comes_back(server: Headwater, connection: Connection) -> None:
    connection.execute("CREATE TABLE kept (a int)")
    connection.execute("CREATE INDEX kept_idx ON kept (a)")
    connection.execute("INSERT INTO kept VALUES (1), (2)")
    assert rows(connection, "SELECT count(*) FROM kept") == [(2,)]
    for pid in server.replica_pids():
        kill_process(pid)
    assert rows(connection, "SELECT count(*) FROM kept") == [(2,)]


def test_stops_cleanly_on_sigterm(tmp_path: Path) -> None:
    server = Headwater(tmp_path)
    server.start()
    assert server.stop() == 0
