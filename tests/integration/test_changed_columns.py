"""ALTER TABLE … DROP COLUMN and ALTER COLUMN … TYPE, of tables that have rows and readers."""

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


def _columns(connection: Connection, relation: str) -> list[object]:
    return [(row[0], row[2]) for row in rows(connection, f"SHOW COLUMNS FROM {relation}")]


# --- DROP COLUMN ----------------------------------------------------------------------------------


def test_a_column_that_is_dropped_is_gone(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int, b int NOT NULL DEFAULT 5, c text, d int)")
    connection.execute("COMMENT ON COLUMN t.b IS 'second'")
    connection.execute("COMMENT ON COLUMN t.d IS 'fourth'")
    connection.execute("INSERT INTO t VALUES (1, 2, 'x', 4)")
    connection.execute("ALTER TABLE t DROP COLUMN b")
    assert _columns(connection, "t") == [("a", "integer"), ("c", "text"), ("d", "integer")]
    assert rows(connection, "SELECT * FROM t") == [(1, "x", 4)]
    assert rows(connection, "SELECT t, t.* FROM t") == [(("1", "x", "4"), 1, "x", 4)]
    with pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute("SELECT b FROM t")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute("INSERT INTO t (a, b) VALUES (1, 2)")
    connection.execute("INSERT INTO t VALUES (2, 'y', 5)")
    connection.execute("INSERT INTO t (d, c) SELECT d + 1, c FROM t WHERE a = 2")
    with connection.cursor().copy("COPY t FROM STDIN") as copy:
        copy.write_row((7, "z", 8))
    updated = "UPDATE t SET d = 0 WHERE a = 1 RETURNING *"
    assert rows(connection, updated) == [(1, "x", 0)]
    assert rows(connection, "DELETE FROM t WHERE a = 7 RETURNING t.*") == [(7, "z", 8)]
    merged = """MERGE INTO t USING (VALUES (1, 'm'), (9, 'n')) AS s (a, c) ON t.a = s.a
        WHEN MATCHED THEN UPDATE SET c = s.c WHEN NOT MATCHED THEN INSERT VALUES (s.a, s.c, 3)"""
    connection.execute(merged)
    wanted = [(1, "m", 0), (2, "y", 5), (9, "n", 3), (None, "y", 6)]
    assert rows(connection, "SELECT * FROM t ORDER BY a") == wanted
    described = "SELECT col_description('t'::regclass, n) FROM generate_series(1, 4) n ORDER BY n"
    assert rows(connection, described) == [(None,), (None,), ("fourth",), (None,)]
    connection.execute("ALTER TABLE t ADD COLUMN b text DEFAULT 'new'")
    assert rows(connection, "SELECT * FROM t WHERE a = 2") == [(2, "y", 5, "new")]
    connection.execute("CREATE TABLE u (LIKE t)")
    assert [name for name, _ in _columns(connection, "u")] == ["a", "c", "d", "b"]
    with pytest.raises(psycopg.errors.UndefinedColumn, match='"q" of relation "t" does not exist'):
        connection.execute("ALTER TABLE t DROP q")
    connection.execute("ALTER TABLE t DROP IF EXISTS q, DROP d RESTRICT")
    assert [name for name, _ in _columns(connection, "t")] == ["a", "c", "b"]


def test_constraints_and_indexes_go_with_their_columns(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE t (a int, b int UNIQUE, c int, PRIMARY KEY (a, b), CHECK (b < c), d int)"
    )
    connection.execute("CREATE INDEX i ON t (b, c)")
    connection.execute("CREATE INDEX j ON t (c)")
    connection.execute("CREATE UNIQUE INDEX k ON t (d)")
    connection.execute("CREATE UNIQUE INDEX l ON t (b)")
    connection.execute("INSERT INTO t VALUES (1, 2, 3, 4)")
    connection.execute("ALTER TABLE t DROP COLUMN b")
    left = "SELECT name FROM (SHOW INDEXES ON t) ORDER BY name"
    assert rows(connection, left) == [("j",), ("k",)]
    constraints = "SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass"
    assert rows(connection, constraints) == []
    connection.execute("INSERT INTO t VALUES (1, 0, 5)")
    with pytest.raises(psycopg.errors.NotNullViolation) as null:
        connection.execute("INSERT INTO t VALUES (NULL, 0, 6)")
    assert null.value.diag.message_detail == "Failing row contains (null, 0, 6)."
    with pytest.raises(psycopg.errors.UniqueViolation) as twice:
        connection.execute("INSERT INTO t VALUES (7, 7, 4)")
    assert twice.value.diag.message_detail == "Key (d)=(4) already exists."
    assert rows(connection, "SELECT * FROM t WHERE c = 3") == [(1, 3, 4)]
    keys = "SELECT indkey FROM pg_index WHERE indexrelid = 'k'::regclass"
    assert rows(connection, keys) == [("3",)]


def test_a_view_that_reads_the_column_is_in_the_way(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int, b int, c int)")
    connection.execute("CREATE TABLE u (b int)")
    connection.execute("INSERT INTO t VALUES (1, 2, 3)")
    connection.execute("INSERT INTO u VALUES (2)")
    connection.execute("CREATE VIEW v AS SELECT a, c FROM t")
    connection.execute("CREATE MATERIALIZED VIEW m AS SELECT sum(a), count(*) FROM t")
    for name, query in (
        ("x", "SELECT b FROM t"),
        ("x", "SELECT * FROM t"),
        ("x", "SELECT a FROM t NATURAL JOIN u"),
        ("x", "SELECT row_to_json(t) FROM t"),
        ("x", "SELECT a FROM t ORDER BY b LIMIT 1"),
    ):
        connection.execute(f"CREATE VIEW {name} AS {query}")
        with pytest.raises(psycopg.errors.DependentObjectsStillExist) as used:
            connection.execute("ALTER TABLE t DROP COLUMN b")
        diag = used.value.diag
        assert diag.message_primary == (
            "cannot drop column b of table t because other objects depend on it"
        )
        assert diag.message_detail == f"view {name} depends on column b of table t"
        connection.execute(f"DROP VIEW {name}")
    connection.execute("CREATE VIEW x AS SELECT b FROM t")
    connection.execute("CREATE MATERIALIZED VIEW y AS SELECT b + 1 AS n FROM x")
    heard: list[str] = []
    connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
    connection.execute("ALTER TABLE t DROP COLUMN b CASCADE")
    assert heard == ["drop cascades to 2 other objects"]
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM y")
    connection.execute("INSERT INTO t VALUES (4, 5)")
    assert rows(connection, "SELECT * FROM v ORDER BY 1") == [(1, 3), (4, 5)]
    assert rows(connection, "SELECT * FROM m") == [(5, 2)]


def test_a_column_that_rows_are_kept_together_by_stays(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int, b int, c int) WITH (PARTITION BY (a, b))")
    for change in ("DROP b", "ALTER a TYPE text"):
        with pytest.raises(psycopg.errors.InvalidTableDefinition, match="of the partition key"):
            connection.execute(f"ALTER TABLE t {change}")
    connection.execute("ALTER TABLE t RENAME b TO d")
    connection.execute("ALTER TABLE t DROP c")
    shown = str(rows(connection, "SHOW CREATE TABLE t")[0][1])
    assert "PARTITION BY = (a, d)" in shown


def test_views_that_know_columns_by_older_names_follow(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int, b int, c int, d int)")
    connection.execute("INSERT INTO t VALUES (1, 2, 3, 4)")
    connection.execute("CREATE VIEW v AS SELECT t.a, d FROM t")
    connection.execute("ALTER TABLE t RENAME a TO x")
    connection.execute("ALTER TABLE t DROP b")
    connection.execute("ALTER TABLE t ADD e int")
    connection.execute("ALTER TABLE t RENAME d TO y")
    connection.execute("ALTER TABLE t ALTER c TYPE text")
    assert rows(connection, "SELECT * FROM v") == [(1, 4)]
    assert rows(connection, "SELECT * FROM t") == [(1, "3", 4, None)]
    (text,) = rows(connection, "SHOW CREATE VIEW v")[0][1:]
    assert "AS t (a, d)" in str(text)


# --- TYPE -----------------------------------------------------------------------------------------


def test_a_column_gets_another_type(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a text, b int DEFAULT 3, c int)")
    connection.execute("INSERT INTO t VALUES ('1', 2, 3), ('4', NULL, 6), ('4', NULL, 6)")
    connection.execute("DELETE FROM t WHERE c = 3")
    connection.execute("INSERT INTO t VALUES ('1', 2, 3)")
    with pytest.raises(psycopg.errors.DatatypeMismatch) as mismatch:
        connection.execute("ALTER TABLE t ALTER a TYPE int")
    assert mismatch.value.diag.message_primary == (
        'column "a" cannot be cast automatically to type integer'
    )
    assert mismatch.value.diag.message_hint == 'You might need to specify "USING a::integer".'
    connection.execute("ALTER TABLE t ALTER a TYPE int USING a::int + c, ALTER b TYPE bigint")
    assert _columns(connection, "t") == [("a", "integer"), ("b", "bigint"), ("c", "integer")]
    wanted = [(4, 2, 3), (10, None, 6), (10, None, 6)]
    assert rows(connection, "SELECT * FROM t ORDER BY a") == wanted
    connection.execute("INSERT INTO t (a, b) VALUES (11, 5000000000)")
    connection.execute("INSERT INTO t (a) VALUES (12)")
    connection.execute("UPDATE t SET b = b + 1 WHERE a = 4")
    assert rows(connection, "SELECT a, b FROM t WHERE a < 10 OR a > 10 ORDER BY a") == [
        (4, 3),
        (11, 5000000000),
        (12, 3),
    ]
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        connection.execute("ALTER TABLE t ALTER COLUMN b SET DATA TYPE int")
    assert rows(connection, "SELECT b FROM t WHERE a = 11") == [(5000000000,)]
    connection.execute("ALTER TABLE t ALTER COLUMN b SET DATA TYPE text USING 'b' || b")
    assert rows(connection, "SELECT b FROM t WHERE a = 11") == [("b5000000000",)]
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="subquery in transform"):
        connection.execute("ALTER TABLE t ALTER b TYPE int USING (SELECT 1)")


def test_indexes_and_keys_are_made_again(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a text PRIMARY KEY, b int, CHECK (b > 0))")
    connection.execute("CREATE INDEX i ON t (a)")
    connection.execute("CREATE UNIQUE INDEX k ON t (b)")
    connection.execute("INSERT INTO t VALUES ('1', 2), ('01', 3)")
    with pytest.raises(psycopg.errors.UniqueViolation, match='unique index "t_pkey"'):
        connection.execute("ALTER TABLE t ALTER a TYPE int USING a::int")
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("ALTER TABLE t ALTER b TYPE bigint USING b - 5")
    connection.execute("DELETE FROM t WHERE a = '01'")
    connection.execute("ALTER TABLE t ALTER a TYPE int USING a::int")
    connection.execute("ALTER TABLE t ALTER b TYPE numeric")
    with pytest.raises(psycopg.errors.UniqueViolation, match="t_pkey"):
        connection.execute("INSERT INTO t VALUES (1, 9)")
    with pytest.raises(psycopg.errors.UniqueViolation, match='"k"'):
        connection.execute("INSERT INTO t VALUES (5, 2.0)")
    connection.execute("INSERT INTO t VALUES (5, 2.5) ON CONFLICT (a) DO UPDATE SET b = 0.5")
    connection.execute("INSERT INTO t VALUES (5, 7) ON CONFLICT (a) DO UPDATE SET b = 0.5")
    assert rows(connection, "SELECT a, b::float8 FROM t WHERE a = 5") == [(5, 0.5)]
    (text,) = rows(connection, "EXPLAIN SELECT b FROM t WHERE a = 1")[0]
    assert "scratch.i" in str(text)
    assert rows(connection, "SELECT b::float8 FROM t WHERE a = 1") == [(2,)]


def test_a_type_that_a_view_reads_is_not_changed(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a int, b int)")
    connection.execute("INSERT INTO t VALUES (1, 2), (3, 4)")
    connection.execute("CREATE VIEW v AS SELECT b FROM t")
    connection.execute("CREATE MATERIALIZED VIEW m AS SELECT sum(a) AS s FROM t")
    with pytest.raises(psycopg.errors.FeatureNotSupported) as used:
        connection.execute("ALTER TABLE t ALTER b TYPE text")
    assert used.value.diag.message_primary == (
        "cannot alter type of a column used by a view or rule"
    )
    assert used.value.diag.message_detail == 'view v depends on column "b"'
    connection.execute("DROP VIEW v")
    connection.execute("ALTER TABLE t ALTER b TYPE text USING 'x' || b")
    connection.execute("CREATE VIEW v AS SELECT * FROM t")
    connection.execute("ALTER TABLE t ADD COLUMN c int")
    connection.execute("INSERT INTO t VALUES (5, 'y', 1)")
    assert rows(connection, "SELECT * FROM m") == [(9,)]
    assert rows(connection, "SELECT * FROM v ORDER BY a") == [(1, "x2"), (3, "x4"), (5, "y")]


def test_what_was_written_for_the_old_columns_is_refused(
    connection: Connection, other: Connection
) -> None:
    connection.execute("CREATE TABLE t (a int, b int)")
    for change in ("ALTER b TYPE bigint", "DROP b"):
        other.execute("BEGIN")
        other.execute("INSERT INTO t VALUES (2, 3)")
        connection.execute(f"ALTER TABLE t {change}")
        with pytest.raises(psycopg.errors.SerializationFailure, match='relation "t" was altered'):
            other.execute("COMMIT")
    with connection.transaction():
        connection.execute("CREATE TABLE made (a text)")
        connection.execute("ALTER TABLE made ALTER a TYPE int USING a::int")
        connection.execute("ALTER TABLE made ADD b int")
    connection.execute("INSERT INTO made VALUES (1, 2)")
    assert rows(connection, "SELECT * FROM made") == [(1, 2)]


def test_changed_columns_survive_servers(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE t (a int, b text, c int, d int UNIQUE, CHECK (d > c))")
            connection.execute(
                "INSERT INTO t SELECT g, 'x' || g, 0, g FROM generate_series(1, 5000) g"
            )
            connection.execute("CREATE INDEX i ON t (d)")
            connection.execute("CREATE MATERIALIZED VIEW m AS SELECT count(*), sum(d) FROM t")
            connection.execute("CREATE VIEW v AS SELECT a, d FROM t WHERE a < 3")
            connection.execute("ALTER TABLE t ADD COLUMN e int DEFAULT 9")
            connection.execute("ALTER TABLE t ALTER b TYPE int USING substr(b, 2)::int")
            connection.execute("ALTER TABLE t DROP COLUMN c")
            connection.execute("ALTER TABLE t RENAME COLUMN b TO was_text")
            connection.execute("INSERT INTO t VALUES (5001, 7, 5001, 8)")
        server.kill()
        server.start()
        with server.connect() as connection:
            counted = "SELECT count(*), sum(was_text), sum(d), sum(e) FROM t"
            assert rows(connection, counted) == [(5001, 12502507, 12507501, 45008)]
            assert rows(connection, "SELECT * FROM m") == [(5001, 12507501)]
            assert rows(connection, "SELECT * FROM v ORDER BY 1") == [(1, 1), (2, 2)]
            assert rows(connection, "SELECT * FROM t WHERE d = 7") == [(7, 7, 7, 9)]
            with pytest.raises(psycopg.errors.UniqueViolation, match="t_d_key"):
                connection.execute("INSERT INTO t VALUES (7, 0, 7, 1)")
            connection.execute("ALTER TABLE t DROP a CASCADE, ADD a text DEFAULT 'again'")
            found = rows(connection, "SELECT * FROM t WHERE d = 5001")
            assert found == [(7, 5001, 8, "again")]


def test_no_write_is_lost_while_types_change(server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE racing (a int, b int, c int)")
        connection.execute("CREATE MATERIALIZED VIEW raced AS SELECT count(*), sum(b) FROM racing")
        failed: list[Exception] = []
        written: list[int] = []

        def write(client: int) -> None:
            try:
                with server.connect() as session:
                    for number in range(40):
                        try:
                            session.execute("INSERT INTO racing VALUES (%s, 1, 7)", (client,))
                            written.append(number)
                            session.execute("UPDATE racing SET b = b + 1 WHERE a = %s", (client,))
                        except psycopg.errors.SerializationFailure:
                            continue
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=write, args=(client,)) for client in range(3)]
        for thread in threads:
            thread.start()
        for kind in ("bigint", "numeric", "text", "int USING c::int"):
            connection.execute(f"ALTER TABLE racing ALTER c TYPE {kind}")
        for thread in threads:
            thread.join()
        assert not failed
        assert rows(connection, "SELECT count(*), min(c), max(c) FROM racing") == [
            (len(written), 7, 7)
        ]
        sums = "SELECT count(*), sum(b) FROM racing"
        assert rows(connection, sums) == rows(connection, "SELECT * FROM raced")
        connection.execute("DROP TABLE racing CASCADE")
