"""ALTER TABLE: columns and constraints of tables that have rows, readers and writers."""

import threading
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.headwater import Headwater, running
from tests.fixtures.replicas import rows

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def connection(scratch: Connection) -> Connection:
    return scratch


def test_older_rows_have_what_the_column_was_added_with(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int)")
    connection.execute("INSERT INTO t VALUES (1), (2)")
    connection.execute("ALTER TABLE t ADD COLUMN b text")
    connection.execute("ALTER TABLE t ADD COLUMN c int NOT NULL DEFAULT 7")
    connection.execute("INSERT INTO t VALUES (3, 'x')")
    connection.execute("ALTER TABLE t ALTER COLUMN c SET DEFAULT 8")
    connection.execute("INSERT INTO t (a) VALUES (4)")
    wanted = [(1, None, 7), (2, None, 7), (3, "x", 7), (4, None, 8)]
    assert rows(connection, "SELECT * FROM t ORDER BY a") == wanted
    connection.execute("UPDATE t SET b = 'y' WHERE a = 1")
    connection.execute("DELETE FROM t WHERE a IN (2, 3)")
    assert rows(connection, "SELECT * FROM t ORDER BY a") == [(1, "y", 7), (4, None, 8)]


def test_a_column_that_is_there_is_not_added_again(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int)")
    with pytest.raises(psycopg.errors.DuplicateColumn, match='column "a" of relation "t" already'):
        connection.execute("ALTER TABLE t ADD COLUMN a int")
    connection.execute("ALTER TABLE t ADD COLUMN IF NOT EXISTS a text, ADD b int")
    assert [row[:3] for row in rows(connection, "SHOW COLUMNS FROM t")] == [
        ("a", True, "integer"),
        ("b", True, "integer"),
    ]
    connection.execute("ALTER TABLE IF EXISTS missing ADD COLUMN a int")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="volatile"):
        connection.execute("ALTER TABLE t ADD COLUMN r float DEFAULT random()")


def test_views_keep_their_columns_and_indexes_get_the_new_one(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int, k int)")
    connection.execute("CREATE TABLE u (k int)")
    connection.execute("INSERT INTO t VALUES (1, 5), (2, 6)")
    connection.execute("INSERT INTO u VALUES (5)")
    connection.execute("CREATE INDEX i ON t (a)")
    connection.execute("CREATE VIEW v AS SELECT * FROM t")
    connection.execute("CREATE VIEW w AS SELECT t AS whole FROM t")
    # Unqualified names, and those that NATURAL JOIN finds, mean what they meant.
    connection.execute("CREATE VIEW x AS SELECT a, x.y FROM u, LATERAL (SELECT a AS y FROM t) x, t")
    connection.execute("CREATE MATERIALIZED VIEW m AS SELECT * FROM u NATURAL JOIN t")
    assert rows(connection, "SELECT * FROM m") == [(5, 1)]
    connection.execute("ALTER TABLE u ADD COLUMN a int DEFAULT 9")
    connection.execute("ALTER TABLE t ADD COLUMN b text DEFAULT 'old'")
    connection.execute("INSERT INTO u VALUES (6, 3)")
    assert rows(connection, "SELECT * FROM m ORDER BY a") == [(5, 1), (6, 2)]
    assert rows(connection, "SELECT * FROM v ORDER BY a") == [(1, 5), (2, 6)]
    assert rows(connection, "SELECT whole::text FROM w ORDER BY 1") == [("(1,5)",), ("(2,6)",)]
    assert rows(connection, "SELECT count(*) FROM x") == [(8,)]
    assert rows(connection, "SELECT b FROM t WHERE a = 1") == [("old",)]
    (text,) = rows(connection, "EXPLAIN SELECT b FROM t WHERE a = 1")[0]
    assert "scratch.i" in str(text)
    shown = rows(connection, "SHOW CREATE VIEW v")[0][1]
    assert "VERSION" not in str(shown)


def test_a_subscription_goes_on_with_the_columns_that_it_began_with(
    connection: Connection, other: Connection
) -> None:
    connection.execute("CREATE TABLE t (a int)")
    other.execute("BEGIN")
    other.execute("DECLARE c CURSOR FOR SUBSCRIBE t WITH (SNAPSHOT = false)")
    other.execute("FETCH 0 c")
    connection.execute("ALTER TABLE t ADD COLUMN b int")
    connection.execute("INSERT INTO t VALUES (1, 2)")
    ((_, diff, *data),) = rows(other, "FETCH 1 c")
    assert (diff, data) == (1, [1])
    other.execute("COMMIT")


def test_what_was_written_for_the_old_columns_fits_or_is_refused(
    connection: Connection, other: Connection
) -> None:
    connection.execute("CREATE TABLE t (a int)")
    connection.execute("INSERT INTO t VALUES (1)")
    other.execute("BEGIN")
    other.execute("INSERT INTO t VALUES (2)")
    connection.execute("ALTER TABLE t ADD COLUMN b int DEFAULT 5")
    other.execute("COMMIT")
    assert rows(connection, "SELECT * FROM t ORDER BY a") == [(1, 5), (2, 5)]
    other.execute("BEGIN")
    other.execute("DELETE FROM t WHERE a = 1")
    connection.execute("ALTER TABLE t ADD COLUMN c int")
    with pytest.raises(psycopg.errors.SerializationFailure, match='relation "t" was altered'):
        other.execute("COMMIT")
    other.execute("BEGIN")
    other.execute("INSERT INTO t VALUES (2)")
    connection.execute("ALTER TABLE t ADD PRIMARY KEY (a)")
    with pytest.raises(psycopg.errors.SerializationFailure, match='relation "t" was altered'):
        other.execute("COMMIT")
    assert rows(connection, "SELECT * FROM t ORDER BY a") == [(1, 5, None), (2, 5, None)]


def test_constraints_are_checked_then_enforced(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int, b int)")
    connection.execute("INSERT INTO t VALUES (1, 1), (1, NULL)")
    with pytest.raises(psycopg.errors.UniqueViolation) as twice:
        connection.execute("ALTER TABLE t ADD CONSTRAINT k UNIQUE (a)")
    assert twice.value.diag.message_primary == 'could not create unique index "k"'
    assert twice.value.diag.message_detail == "Key (a)=(1) is duplicated."
    with pytest.raises(psycopg.errors.NotNullViolation) as null:
        connection.execute("ALTER TABLE t ALTER COLUMN b SET NOT NULL")
    assert null.value.diag.message_primary == 'column "b" of relation "t" contains null values'
    with pytest.raises(psycopg.errors.CheckViolation) as check:
        connection.execute("ALTER TABLE t ADD CHECK (a > 1)")
    assert (
        check.value.diag.message_primary
        == 'check constraint "t_a_check" of relation "t" is violated by some row'
    )
    connection.execute("UPDATE t SET a = 2, b = 2 WHERE b IS NULL")
    connection.execute("ALTER TABLE t ADD PRIMARY KEY (a), ALTER COLUMN b SET NOT NULL")
    for statement, error in (
        ("INSERT INTO t VALUES (2, 5)", psycopg.errors.UniqueViolation),
        ("INSERT INTO t VALUES (3, NULL)", psycopg.errors.NotNullViolation),
        ("UPDATE t SET a = NULL", psycopg.errors.NotNullViolation),
    ):
        with pytest.raises(error):
            connection.execute(statement)
    connection.execute("INSERT INTO t VALUES (2, 9) ON CONFLICT (a) DO UPDATE SET b = 9")
    assert rows(connection, "SELECT * FROM t ORDER BY a") == [(1, 1), (2, 9)]
    connection.execute("ALTER TABLE t DROP CONSTRAINT t_pkey")
    connection.execute("INSERT INTO t VALUES (2, 5)")
    with pytest.raises(psycopg.errors.NotNullViolation):  # as in PostgreSQL, until told otherwise
        connection.execute("INSERT INTO t VALUES (NULL, 5)")
    connection.execute("ALTER TABLE t ALTER a DROP NOT NULL")
    connection.execute("INSERT INTO t VALUES (NULL, 5)")
    with pytest.raises(psycopg.errors.UndefinedObject, match='"t_pkey" of relation "t" does not'):
        connection.execute("ALTER TABLE t DROP CONSTRAINT t_pkey")


def test_a_constraint_that_plans_may_rest_on_is_not_weakened(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int PRIMARY KEY)")
    connection.execute("CREATE MATERIALIZED VIEW m AS SELECT DISTINCT a FROM t")
    with pytest.raises(psycopg.errors.ObjectInUse, match="because other objects use it"):
        connection.execute("ALTER TABLE t DROP CONSTRAINT t_pkey")
    connection.execute("DROP MATERIALIZED VIEW m")
    connection.execute("ALTER TABLE t DROP CONSTRAINT t_pkey")


def test_altered_tables_survive_servers(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE t (a int UNIQUE, b int UNIQUE)")
            connection.execute("INSERT INTO t SELECT g, g FROM generate_series(1, 5000) g")
            connection.execute("CREATE INDEX i ON t (a)")
            connection.execute("CREATE VIEW v AS SELECT * FROM t")
            connection.execute("CREATE TABLE u (a int)")
            connection.execute("CREATE UNIQUE INDEX ui ON u (a)")
            connection.execute("INSERT INTO u VALUES (1)")
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="indexes on a view"):
                connection.execute("CREATE UNIQUE INDEX ON v (a)")
            connection.execute("CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n, sum(b) FROM v")
            connection.execute("ALTER TABLE t ADD COLUMN c text DEFAULT 'old'")
            connection.execute("INSERT INTO t SELECT g, g FROM generate_series(5001, 9000) g")
        server.kill()
        server.start()
        with server.connect() as connection:
            counted = "SELECT c, count(*), sum(a) FROM t GROUP BY c"
            assert rows(connection, counted) == [("old", 9000, 40504500)]
            assert rows(connection, "SELECT * FROM m") == [(9000, 40504500)]
            assert rows(connection, "SELECT * FROM v WHERE a = 7") == [(7, 7)]
            assert rows(connection, "SELECT * FROM t WHERE a = 7") == [(7, 7, "old")]
            with pytest.raises(psycopg.errors.UniqueViolation, match="t_a_key"):
                connection.execute("INSERT INTO t VALUES (7, 0)")
            with pytest.raises(psycopg.errors.UniqueViolation, match="ui"):
                connection.execute("INSERT INTO u VALUES (1)")
            connection.execute("DELETE FROM t WHERE a > 1")
            connection.execute("ALTER TABLE t ADD COLUMN d int, ADD PRIMARY KEY (b)")
            assert rows(connection, "SELECT * FROM t") == [(1, 1, "old", None)]


def test_a_unique_index_is_enforced_by_the_name_that_it_is_given(server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE renamed (a int)")
        connection.execute("INSERT INTO renamed VALUES (1)")
        connection.execute("CREATE UNIQUE INDEX renamed_before ON renamed (a)")
        connection.execute("ALTER INDEX renamed_before RENAME TO renamed_after")
        with pytest.raises(psycopg.errors.UniqueViolation, match='constraint "renamed_after"'):
            connection.execute("INSERT INTO renamed VALUES (1)")
        connection.execute("DROP INDEX renamed_after")
        connection.execute("INSERT INTO renamed VALUES (1)")
        assert rows(connection, "SELECT a FROM renamed") == [(1,), (1,)]


def test_no_write_is_lost_or_seen_in_two_shapes(server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE racing (a int, b int)")
        connection.execute("CREATE MATERIALIZED VIEW raced AS SELECT count(*), sum(b) FROM racing")
        failed: list[Exception] = []
        written: list[int] = []

        def write(client: int) -> None:
            try:
                with server.connect() as session:
                    for number in range(60):
                        try:
                            session.execute("INSERT INTO racing VALUES (%s, 1)", (client,))
                            session.execute("UPDATE racing SET b = b + 1 WHERE a = %s", (client,))
                        except psycopg.errors.SerializationFailure:
                            continue
                        written.append(number)
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=write, args=(client,)) for client in range(4)]
        for thread in threads:
            thread.start()
        for column in range(6):
            connection.execute(f"ALTER TABLE racing ADD COLUMN c{column} int DEFAULT {column}")
        for thread in threads:
            thread.join()
        assert not failed
        assert len(written) > 100
        sums = "SELECT count(*), sum(b) FROM racing"
        assert rows(connection, sums) == rows(connection, "SELECT * FROM raced")
        found = rows(connection, "SELECT DISTINCT c0, c1, c2, c3, c4, c5 FROM racing")
        assert found == [(0, 1, 2, 3, 4, 5)]
        connection.execute("DROP TABLE racing CASCADE")
