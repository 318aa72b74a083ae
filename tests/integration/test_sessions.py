"""Transactions, cursors, prepared statements and subscriptions as a session meets them."""

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]


def refused(connection: Connection, statement: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement.encode())
    return caught.value


def test_a_read_write_transaction_sees_itself_and_is_serializable(server: Headwater) -> None:
    with server.connect() as one, server.connect() as two:
        one.execute("CREATE TABLE accounts (id int PRIMARY KEY, balance int)")
        one.execute("INSERT INTO accounts VALUES (1, 100), (2, 100)")
        one.execute("BEGIN READ WRITE")
        assert rows(one, "SELECT sum(balance) FROM accounts") == [(200,)]
        one.execute("UPDATE accounts SET balance = balance - 150 WHERE id = 1")
        one.execute("INSERT INTO accounts VALUES (3, 7)")
        mine = [(1, -50), (2, 100), (3, 7)]
        assert rows(one, "SELECT * FROM accounts ORDER BY id") == mine
        assert rows(two, "SELECT * FROM accounts ORDER BY id") == [(1, 100), (2, 100)]
        two.execute("UPDATE accounts SET balance = 0 WHERE id = 2")
        assert refused(one, "COMMIT").sqlstate == "40001"
        assert rows(two, "SELECT * FROM accounts ORDER BY id") == [(1, 100), (2, 0)]
        one.execute("BEGIN READ WRITE")
        one.execute("SELECT * FROM accounts")
        one.execute("DELETE FROM accounts WHERE id = 2")
        one.execute("COMMIT")
        assert rows(two, "SELECT * FROM accounts") == [(1, 100)]


@pytest.mark.parametrize(
    ("statements", "sqlstate"),
    [
        (("BEGIN", "SELECT * FROM modes", "INSERT INTO modes VALUES (1)"), "25006"),
        (("BEGIN READ ONLY", "INSERT INTO modes VALUES (1)"), "25006"),
        (("BEGIN", "INSERT INTO modes VALUES (1)", "SELECT * FROM modes"), "25000"),
        (("BEGIN", "SELECT 1 / 0", "SELECT 1"), "25P02"),
        (("BEGIN", "SELECT * FROM modes", "SET TRANSACTION ISOLATION LEVEL serializable"), "25001"),
        (("BEGIN READ ONLY", "SELECT * FROM modes", "BEGIN READ WRITE"), "25001"),
        (("BEGIN", "DISCARD ALL"), "25001"),
        (("DECLARE c CURSOR FOR SELECT 1",), "25P01"),
        (("FETCH 1 c",), "34000"),
        (("BEGIN", "DECLARE c CURSOR FOR SELECT 1", "DECLARE c CURSOR FOR SELECT 1"), "42P03"),
        (("BEGIN", "DECLARE c CURSOR FOR SELECT 1", "FETCH BACKWARD 1 c"), "55000"),
        (("EXECUTE nothing",), "26000"),
        (("PREPARE p AS SELECT 1", "PREPARE p AS SELECT 1"), "42P05"),
        (("SAVEPOINT s",), "25P01"),
        (("SET statement_timeout = 'soon'",), "22023"),
        (("SET server_version = '16'",), "55P02"),
        (("SHOW nothing_of_the_kind",), "42704"),
    ],
)
def test_what_a_session_may_not_do(
    server: Headwater, statements: tuple[str, ...], sqlstate: str
) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS modes (a int)")
        for statement in statements[:-1]:
            try:
                connection.execute(statement.encode())
            except psycopg.errors.DivisionByZero:
                continue
        assert refused(connection, statements[-1]).sqlstate == sqlstate


def test_cursors_move_forward(connection: Connection) -> None:
    connection.execute("CREATE TABLE counted (a int)")
    connection.execute("INSERT INTO counted SELECT generate_series(1, 5)")
    connection.execute("BEGIN")
    connection.execute("DECLARE c NO SCROLL CURSOR FOR SELECT a FROM counted ORDER BY a")
    assert rows(connection, "FETCH c") == [(1,)]
    assert rows(connection, "FETCH FORWARD 2 FROM c") == [(2,), (3,)]
    assert rows(connection, "FETCH FORWARD ALL IN c") == [(4,), (5,)]
    assert rows(connection, "FETCH NEXT FROM c") == []
    connection.execute("CLOSE ALL")
    connection.execute("COMMIT")


def test_a_prepared_fetch_notices_another_cursor(connection: Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("DECLARE c CURSOR FOR SELECT 1 AS a")
    connection.execute("PREPARE f AS FETCH 1 c")
    assert rows(connection, "EXECUTE f") == [(1,)]
    connection.execute("COMMIT")
    connection.execute("BEGIN")
    connection.execute("DECLARE c CURSOR FOR SELECT 'x' AS a, 2 AS b")
    error = refused(connection, "EXECUTE f")
    assert (error.sqlstate, error.diag.message_primary) == (
        "0A000",
        "cached plan must not change result type",
    )
    connection.execute("ROLLBACK")


def states(connection: Connection, envelope: str, count: int) -> list[tuple[object, ...]]:
    """Return what a subscription says of the table's changes, times left out."""
    connection.execute("BEGIN")
    connection.execute(f"DECLARE s CURSOR FOR SUBSCRIBE changing {envelope}".encode())
    found: list[tuple[object, ...]] = []
    with connection.cursor() as cursor:
        for change in ("INSERT (1, 'a')", "INSERT (2, 'b')", "UPDATE 1", "DELETE 2", "TWICE"):
            found.extend(cursor.execute("FETCH ALL s WITH (TIMEOUT '0s')").fetchall())
            _changes[change](connection)
        while len(found) < count:
            found.extend(cursor.execute("FETCH 10 s").fetchall())
    connection.execute("COMMIT")
    return [row[1:] for row in found]


_changes = {
    "INSERT (1, 'a')": lambda c: _aside(c, "INSERT INTO changing VALUES (1, 'a')"),
    "INSERT (2, 'b')": lambda c: _aside(c, "INSERT INTO changing VALUES (2, 'b')"),
    "UPDATE 1": lambda c: _aside(c, "UPDATE changing SET v = 'aa' WHERE k = 1"),
    "DELETE 2": lambda c: _aside(c, "DELETE FROM changing WHERE k = 2"),
    "TWICE": lambda c: _aside(c, "INSERT INTO changing VALUES (3, 'x'), (3, 'y')"),
}


def _aside(connection: Connection, statement: str) -> None:
    """Run a statement in a session of its own."""
    with psycopg.connect(connection.info.dsn, autocommit=True) as other:
        other.execute(statement.encode())


@pytest.mark.parametrize(
    ("envelope", "expected"),
    [
        (
            "ENVELOPE UPSERT (KEY (k))",
            [
                ("upsert", 1, "a"),
                ("upsert", 2, "b"),
                ("upsert", 1, "aa"),
                ("delete", 2, None),
                ("key_violation", 3, None),
            ],
        ),
        (
            "ENVELOPE DEBEZIUM (KEY (k))",
            [
                ("insert", 1, None, "a"),
                ("insert", 2, None, "b"),
                ("upsert", 1, "a", "aa"),
                ("delete", 2, "b", None),
                ("key_violation", 3, None, None),
            ],
        ),
        (
            "WITHIN TIMESTAMP ORDER BY v DESC, mz_diff",
            [
                (1, 1, "a"),
                (1, 2, "b"),
                (1, 1, "aa"),
                (-1, 1, "a"),
                (-1, 2, "b"),
                (1, 3, "y"),
                (1, 3, "x"),
            ],
        ),
    ],
)
def test_subscriptions_say_what_became_of_each_key(
    connection: Connection, envelope: str, expected: list[tuple[object, ...]]
) -> None:
    connection.execute("DROP TABLE IF EXISTS changing")
    connection.execute("CREATE TABLE changing (k int, v text)")
    assert states(connection, envelope, len(expected)) == expected
