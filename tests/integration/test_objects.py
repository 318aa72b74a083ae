"""What statements about objects promise, as clients see it."""

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
        connection.execute("CREATE SCHEMA objects")
        connection.execute("SET search_path = objects")
        yield connection
        connection.execute("DROP SCHEMA objects CASCADE")


def test_a_null_where_none_was_asserted_is_an_error_while_it_is_there(
    connection: Connection,
) -> None:
    connection.execute("CREATE TABLE t (x int, y int)")
    connection.execute("INSERT INTO t VALUES (1, NULL), (2, 3)")
    connection.execute(
        "CREATE MATERIALIZED VIEW m (a, b) WITH (ASSERT NOT NULL b) AS SELECT x, y FROM t"
    )
    with pytest.raises(psycopg.errors.NotNullViolation, match='column "b" must not be null'):
        connection.execute("SELECT * FROM m")
    connection.execute("UPDATE t SET y = 2 WHERE y IS NULL")
    assert rows(connection, "SELECT * FROM m ORDER BY a") == [(1, 2), (2, 3)]


def test_a_table_made_from_a_query_has_its_rows_and_is_one_like_any(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int NOT NULL, b numeric(10, 2), c text[])")
    connection.execute("INSERT INTO t VALUES (1, 1.5, '{x}'), (1, 1.5, '{x}'), (2, NULL, NULL)")
    done = connection.execute("CREATE TABLE made (k) AS SELECT * FROM t")
    assert done.statusmessage == "SELECT 3"
    assert rows(connection, "SELECT k, b::text, c FROM made ORDER BY k") == [
        (1, "1.5", ["x"]),
        (1, "1.5", ["x"]),
        (2, None, None),
    ]
    connection.execute("INSERT INTO made VALUES (NULL, 2.345, '{y}')")
    connection.execute("DELETE FROM made WHERE k = 1")
    assert rows(connection, "SELECT k, b::text FROM made ORDER BY k") == [(2, None), (None, "2.35")]
    # A numeric keeps its scale; its precision is that of all.
    described = rows(connection, "SHOW COLUMNS FROM made")
    assert [tuple(column[:3]) for column in described] == [
        ("k", True, "integer"),
        ("b", True, "numeric"),
        ("c", True, "text[]"),
    ]


def test_a_table_made_from_a_query_follows_the_rules_of_create_table(
    connection: Connection,
) -> None:
    connection.execute("CREATE TABLE made AS SELECT 1 AS a")
    with pytest.raises(psycopg.errors.DuplicateTable):
        connection.execute("CREATE TABLE made AS SELECT 2 AS a")
    done = connection.execute("CREATE TABLE IF NOT EXISTS made AS SELECT 2 AS a")
    assert done.statusmessage == "CREATE TABLE AS"
    assert rows(connection, "SELECT a FROM made") == [(1,)]
    with pytest.raises(psycopg.errors.InvalidTableDefinition, match="pseudo-type record"):
        connection.execute("CREATE TABLE pair AS SELECT ROW(1, 2) AS r")
    with pytest.raises(psycopg.errors.DuplicateColumn):
        connection.execute("CREATE TABLE pair AS SELECT 1 AS a, 2 AS a")
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("CREATE TABLE pair AS SELECT 1 / (a - 1) FROM made")
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM pair")


def test_tables_made_from_queries_are_there_after_a_crash(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server, server.connect() as connection:
        connection.execute("CREATE TYPE whole AS LIST (ELEMENT TYPE = int4)")
        connection.execute(
            "CREATE TABLE made AS SELECT n, '{1,2}'::whole AS w FROM generate_series(1, 3) AS n"
        )
        server.kill()
    with running(tmp_path / "data") as server, server.connect() as connection:
        assert rows(connection, "SELECT n, w::text FROM made ORDER BY n") == [
            (1, "{1,2}"),
            (2, "{1,2}"),
            (3, "{1,2}"),
        ]
