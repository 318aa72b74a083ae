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


MANY = "SELECT a, count(*) AS n FROM t GROUP BY a"
TWICE = "SELECT a, count(*) * 2 AS n FROM t GROUP BY a"


def test_a_replacement_changes_a_view_at_one_time_for_all_who_read_it(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server, server.connect() as connection:
        connection.execute("CREATE CLUSTER other SIZE '1'")
        connection.execute("CREATE TABLE t (a int)")
        connection.execute("INSERT INTO t VALUES (1), (1), (2)")
        connection.execute(f"CREATE MATERIALIZED VIEW m AS {MANY}")
        connection.execute("CREATE INDEX i ON m (a)")
        connection.execute("CREATE MATERIALIZED VIEW total AS SELECT sum(n) AS s FROM m")
        connection.execute(
            f"CREATE REPLACEMENT MATERIALIZED VIEW r FOR m IN CLUSTER other AS {TWICE}"
        )
        assert rows(connection, "SELECT a, n FROM r ORDER BY a") == [(1, 4), (2, 2)]
        assert rows(connection, "SELECT a, n FROM m ORDER BY a") == [(1, 2), (2, 1)]
        with server.connect() as watching:
            watching.execute("BEGIN")
            watching.execute("DECLARE c CURSOR FOR SUBSCRIBE m WITH (SNAPSHOT = false)")
            watching.execute("FETCH 0 FROM c")
            connection.execute("ALTER MATERIALIZED VIEW m APPLY REPLACEMENT r")
            seen: list[tuple[object, ...]] = []
            while len(seen) < 4:
                seen += rows(watching, "FETCH ALL FROM c WITH (timeout = '1s')")
            assert len({time for time, *_ in seen}) == 1
            assert sorted(tuple(row) for _, *row in seen) == [
                (-1, 1, 2),
                (-1, 2, 1),
                (1, 1, 4),
                (1, 2, 2),
            ]
        assert rows(connection, "SELECT a, n FROM m ORDER BY a") == [(1, 4), (2, 2)]
        assert rows(connection, "SELECT s FROM total") == [(6,)]
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM r")
        connection.execute("INSERT INTO t VALUES (3)")
        assert rows(connection, "SELECT s FROM total") == [(8,)]
        ((shown,),) = rows(connection, "SELECT create_sql FROM (SHOW CREATE MATERIALIZED VIEW m)")
        assert "IN CLUSTER other" in str(shown)
        assert "REPLACEMENT" not in str(shown)
    with running(tmp_path / "data") as server, server.connect() as connection:
        connection.execute("INSERT INTO t VALUES (3)")
        assert rows(connection, "SELECT n FROM m WHERE a = 3") == [(4,)]


def test_a_replacement_must_keep_what_readers_rely_on(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int, b int NOT NULL)")
    connection.execute("CREATE MATERIALIZED VIEW m AS SELECT b, count(*) AS n FROM t GROUP BY b")
    connection.execute("CREATE MATERIALIZED VIEW other AS SELECT * FROM m")
    make = "CREATE REPLACEMENT MATERIALIZED VIEW r FOR m AS "
    for query in (
        "SELECT b FROM t",
        "SELECT b, 1 AS n FROM t",
        "SELECT a AS b, count(*) AS n FROM t GROUP BY a",
        "SELECT b, max(a)::bigint AS n FROM t GROUP BY b",
    ):
        with pytest.raises(psycopg.errors.DatatypeMismatch):
            connection.execute(f"{make}{query}".encode())
    with pytest.raises(psycopg.errors.InvalidObjectDefinition):
        connection.execute(f"{make}SELECT b, max(n) AS n FROM other GROUP BY b".encode())
    connection.execute(f"{make}SELECT b, count(a) AS n FROM t GROUP BY b".encode())
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="already has"):
        connection.execute(f"{make}SELECT b, count(a) AS n FROM t GROUP BY b".encode())
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        connection.execute("DROP MATERIALIZED VIEW m")
    connection.execute("DROP MATERIALIZED VIEW r")


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
def test_what_replaces_a_view_begins_without_indexes(connection: Connection, kind: str) -> None:
    connection.execute(f"CREATE {kind} v AS SELECT 1 AS a".encode())
    connection.execute("CREATE INDEX on_v ON v (a)")
    connection.execute(f"CREATE OR REPLACE {kind} v AS SELECT 2 AS a".encode())
    assert rows(connection, "SELECT a FROM v") == [(2,)]
    assert rows(connection, "SELECT name FROM mz_indexes WHERE name = 'on_v'") == []
    connection.execute("CREATE VIEW reader AS SELECT a FROM v")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        connection.execute(f"CREATE OR REPLACE {kind} v AS SELECT 3 AS a".encode())


@pytest.mark.parametrize("name", ["'deep'", "(SELECT 'deep')"])
def test_a_secret_is_found_by_its_name_alone_where_privileges_are_asked(
    connection: Connection, name: str
) -> None:
    connection.execute("CREATE SCHEMA elsewhere")
    connection.execute("CREATE SECRET elsewhere.deep AS 'x'")
    asked = f"SELECT has_secret_privilege({name}, 'USAGE')"
    assert rows(connection, asked) == [(True,)]
    connection.execute("DROP SCHEMA elsewhere CASCADE")
    with pytest.raises(psycopg.Error, match='secret "deep" does not exist'):
        connection.execute(asked.encode())
