"""SAVEPOINT, RELEASE and ROLLBACK TO, against what PostgreSQL 15 does."""

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.postgres import Postgres

pytestmark = pytest.mark.server

SCRIPTS = {
    "kept": ["INSERT 1", "SAVEPOINT a", "INSERT 2", "RELEASE a", "INSERT 3", "COMMIT"],
    "undone": ["INSERT 1", "SAVEPOINT a", "INSERT 2", "ROLLBACK TO a", "INSERT 3", "COMMIT"],
    "undone by its long name": ["SAVEPOINT a", "INSERT 1", "ROLLBACK TO SAVEPOINT a", "COMMIT"],
    "twice": [
        *("SAVEPOINT a", "INSERT 1", "ROLLBACK TO a", "INSERT 2", "ROLLBACK WORK TO a"),
        *("INSERT 3", "COMMIT"),
    ],
    "nested": [
        *("INSERT 1", "SAVEPOINT a", "INSERT 2", "SAVEPOINT b", "INSERT 3", "ROLLBACK TO b"),
        *("INSERT 4", "RELEASE SAVEPOINT a", "COMMIT"),
    ],
    "outer one": [
        *("SAVEPOINT a", "INSERT 1", "SAVEPOINT b", "INSERT 2", "ROLLBACK TO a", "RELEASE b"),
        *("ROLLBACK TO a", "INSERT 3", "COMMIT"),
    ],
    "same name": [
        *("SAVEPOINT a", "INSERT 1", "SAVEPOINT a", "INSERT 2", "ROLLBACK TO a", "RELEASE a"),
        *("INSERT 3", "ROLLBACK TO a", "INSERT 4", "COMMIT"),
    ],
    "after an error": [
        *("INSERT 1", "SAVEPOINT a", "INSERT 2", "SELECT 1/0", "INSERT 3", "RELEASE a"),
        *("ROLLBACK TO a", "INSERT 4", "COMMIT"),
    ],
    "an error stays": ["SAVEPOINT a", "INSERT 1", "SELECT 1/0", "COMMIT"],
    "a key is free again": [
        *("SAVEPOINT a", "INSERT 1", "ROLLBACK TO a", "INSERT 1", "SAVEPOINT b", "INSERT 1"),
        *("ROLLBACK TO b", "INSERT 2", "COMMIT"),
    ],
    "unknown": ["INSERT 1", "ROLLBACK TO nothing", "COMMIT"],
    "rolled back": ["INSERT 1", "SAVEPOINT a", "INSERT 2", "ROLLBACK"],
    "a variable": [
        *("SET application_name = 'x'", "SAVEPOINT a", "SET application_name = 'y'"),
        *("ROLLBACK TO a", "SHOW application_name", "COMMIT"),
    ],
    "a table": [
        *("CREATE TABLE made (a int)", "SAVEPOINT a", "CREATE TABLE other (a int)"),
        *("ROLLBACK TO a", "CREATE TABLE other (b int, c int)", "COMMIT", "SELECT * FROM other"),
        *("SELECT * FROM made", "DROP TABLE made", "DROP TABLE other"),
    ],
}


@pytest.fixture(params=SCRIPTS)
def script(request: pytest.FixtureRequest) -> list[str]:
    return [
        f"INSERT INTO marked VALUES ({line.split()[1]})" if line.startswith("INSERT") else line
        for line in SCRIPTS[request.param]
    ]


def played(dsn: str, script: list[str]) -> list[object]:
    """Return what comes of each statement: rows, a tag or an SQLSTATE; and the table at last."""
    outcome: list[object] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS marked")
        connection.execute("CREATE TABLE marked (a int PRIMARY KEY)")
        for statement in ("BEGIN", *script):
            try:
                cursor = connection.execute(statement.encode())
            except psycopg.Error as error:
                outcome.append(error.sqlstate)
            else:
                outcome.append(cursor.fetchall() if cursor.description else cursor.statusmessage)
            outcome.append(connection.info.transaction_status.name)
        if connection.info.transaction_status.name != "IDLE":
            connection.execute("ROLLBACK")
        outcome.append(connection.execute("SELECT a FROM marked ORDER BY a").fetchall())
    return outcome


def test_a_script_ends_as_in_postgres(
    server: Headwater, judge: Postgres, script: list[str]
) -> None:
    assert played(server.dsn, script) == played(judge.dsn, script)


@pytest.mark.parametrize("statement", ["SAVEPOINT a", "RELEASE a", "ROLLBACK TO a"])
def test_there_is_no_savepoint_outside_of_a_block(server: Headwater, statement: str) -> None:
    with server.connect() as connection, pytest.raises(psycopg.Error) as raised:
        connection.execute(statement.encode())
    assert raised.value.sqlstate == "25P01"


def test_what_was_read_stays_read(server: Headwater) -> None:
    """A time that the client has seen rows of is the transaction's, whatever it takes back."""
    with server.connect() as connection, server.connect() as other:
        connection.execute("CREATE TABLE watched (a int)")
        connection.execute("BEGIN")
        connection.execute("SAVEPOINT a")
        assert connection.execute("SELECT count(*) FROM watched").fetchone() == (0,)
        connection.execute("ROLLBACK TO a")
        other.execute("INSERT INTO watched VALUES (1)")
        assert connection.execute("SELECT count(*) FROM watched").fetchone() == (0,)
        connection.execute("COMMIT")
        assert connection.execute("SELECT count(*) FROM watched").fetchone() == (1,)


def test_a_cursor_is_gone_with_its_savepoint(server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("SAVEPOINT a")
        connection.execute("DECLARE c CURSOR FOR SELECT 1")
        connection.execute("ROLLBACK TO a")
        with pytest.raises(psycopg.errors.InvalidCursorName):
            connection.execute("FETCH 1 FROM c")


def test_savepoints_are_bounded(server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("BEGIN")
        for _ in range(1_000):
            connection.execute("SAVEPOINT a")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            connection.execute("SAVEPOINT a")
