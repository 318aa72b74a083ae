"""ALTER … RENAME COLUMN: who reads the relation goes on to see what it saw."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.headwater import Headwater, running
from tests.fixtures.replicas import rows

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def connection(server: Headwater) -> Iterator[Connection]:
    with server.connect() as connection:
        connection.execute("CREATE SCHEMA renaming")
        connection.execute("SET search_path = renaming")
        yield connection
        connection.execute("ROLLBACK")
        connection.execute("DROP SCHEMA renaming CASCADE")


def _names(connection: Connection, relation: str) -> list[object]:
    return [row[0] for row in rows(connection, f"SHOW COLUMNS FROM {relation}")]


def test_a_column_of_a_table_gets_another_name(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE t (a int UNIQUE CHECK (a > 0), b int DEFAULT 5, CHECK (t.b > a))"
    )
    connection.execute("INSERT INTO t VALUES (1, 2)")
    connection.execute("COMMENT ON COLUMN t.a IS 'the first'")
    prepared = "SELECT a FROM t"
    assert rows(connection, prepared) == [(1,)]
    connection.execute("ALTER TABLE t RENAME COLUMN a TO c")
    connection.execute("ALTER TABLE t RENAME b TO a")
    assert _names(connection, "t") == ["c", "a"]
    assert rows(connection, "SELECT * FROM t WHERE c = 1 AND a = 2") == [(1, 2)]
    connection.execute("INSERT INTO t (c) VALUES (3)")
    assert rows(connection, prepared + " ORDER BY 1") == [(2,), (5,)]
    with pytest.raises(psycopg.errors.UniqueViolation, match="t_a_key") as twice:
        connection.execute("INSERT INTO t VALUES (3, 9)")
    assert twice.value.diag.message_detail == "Key (c)=(3) already exists."
    with pytest.raises(psycopg.errors.CheckViolation, match="t_a_check"):
        connection.execute("INSERT INTO t VALUES (0, 9)")
    with pytest.raises(psycopg.errors.CheckViolation, match='"t_check"'):
        connection.execute("INSERT INTO t VALUES (4, 1)")
    checks = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' ORDER BY 1"
    assert rows(connection, checks) == [("CHECK ((c > 0))",), ("CHECK ((t.a > c))",)]
    described = "SELECT col_description('t'::regclass, 1), col_description('t'::regclass, 2)"
    assert rows(connection, described) == [("the first", None)]


def test_what_reads_the_relation_goes_on(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int, b int)")
    connection.execute("CREATE TABLE u (a int, x int)")
    connection.execute("INSERT INTO t VALUES (1, 2)")
    connection.execute("INSERT INTO u VALUES (1, 7)")
    connection.execute("CREATE INDEX i ON t (a, (a + b))")
    connection.execute("CREATE VIEW v AS SELECT renaming.t.a, t.b FROM renaming.t")
    connection.execute("CREATE VIEW w AS SELECT * FROM t NATURAL JOIN u")
    connection.execute("CREATE VIEW x AS SELECT o.p, o.b FROM t AS o (p)")
    connection.execute("CREATE MATERIALIZED VIEW m AS SELECT a, count(*) AS n FROM t GROUP BY a")
    connection.execute("ALTER TABLE t RENAME a TO c")
    connection.execute("ALTER TABLE t RENAME b TO a")
    connection.execute("ALTER VIEW v RENAME COLUMN a TO first")
    connection.execute("ALTER MATERIALIZED VIEW m RENAME n TO counted")
    connection.execute("CREATE VIEW y AS SELECT counted FROM m")
    connection.execute("ALTER MATERIALIZED VIEW m RENAME counted TO n")
    connection.execute("INSERT INTO t VALUES (3, 4)")
    assert _names(connection, "v") == ["first", "b"]
    assert _names(connection, "w") == ["a", "b", "x"]
    assert rows(connection, "SELECT first, b FROM v ORDER BY 1") == [(1, 2), (3, 4)]
    assert rows(connection, "SELECT * FROM w") == [(1, 2, 7)]
    assert rows(connection, "SELECT p, b FROM x ORDER BY 1") == [(1, 2), (3, 4)]
    assert rows(connection, "SELECT a, n FROM m ORDER BY 1") == [(1, 1), (3, 1)]
    assert rows(connection, "SELECT counted FROM y") == [(1,), (1,)]
    shown = str(rows(connection, "SHOW CREATE INDEX i")[0][1])
    assert shown.endswith(("(c, c + a);", "(c, (c + a));"))
    (text,) = rows(connection, "EXPLAIN SELECT * FROM t WHERE c = 1 AND c + a = 3")[0]
    assert "renaming.i" in str(text)
    (text,) = rows(connection, "SHOW CREATE VIEW w")[0][1:]
    assert "AS t (a, b)" in str(text)


def test_what_can_not_be_renamed(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int, b int)")
    with pytest.raises(psycopg.errors.UndefinedColumn, match='column "c" does not exist'):
        connection.execute("ALTER TABLE t RENAME c TO d")
    with pytest.raises(psycopg.errors.DuplicateColumn, match='"b" of relation "t" already exists'):
        connection.execute("ALTER TABLE t RENAME a TO b")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("ALTER TABLE mz_catalog.mz_tables RENAME id TO b")
    connection.execute("ALTER TABLE IF EXISTS missing RENAME a TO b")


def test_renamed_columns_survive_servers(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE t (a int UNIQUE, b int)")
            connection.execute("INSERT INTO t VALUES (1, 2)")
            connection.execute("CREATE INDEX i ON t (a)")
            connection.execute("CREATE VIEW v AS SELECT t.a FROM t")
            connection.execute("CREATE MATERIALIZED VIEW m AS SELECT * FROM v NATURAL JOIN t")
            connection.execute("ALTER TABLE t ADD COLUMN c int DEFAULT 3")
            connection.execute("ALTER TABLE t RENAME a TO d")
            connection.execute("ALTER VIEW v RENAME a TO e")
            connection.execute("ALTER MATERIALIZED VIEW m RENAME b TO f")
        server.kill()
        server.start()
        with server.connect() as connection:
            assert _names(connection, "t") == ["d", "b", "c"]
            assert rows(connection, "SELECT e FROM v") == [(1,)]
            assert rows(connection, "SELECT a, f FROM m") == [(1, 2)]
            assert rows(connection, "SELECT * FROM t WHERE d = 1") == [(1, 2, 3)]
            with pytest.raises(psycopg.errors.UniqueViolation, match="t_a_key"):
                connection.execute("INSERT INTO t VALUES (1)")
