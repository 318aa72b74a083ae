"""Keys hold whoever writes and whatever ends the server; writes do what PostgreSQL 15 does."""

import random
import threading
from pathlib import Path

import psycopg
import pytest

from tests.fixtures import postgres
from tests.fixtures.headwater import Headwater, running
from tests.fixtures.replicas import rows

pytestmark = pytest.mark.server

CLIENTS = 8
KEYS = 30
ROUNDS = 40


def write_at_random(
    server: Headwater, client: int, won: list[int], failed: list[Exception]
) -> None:
    """Insert, upsert, move and delete rows under few keys; note the keys this client inserted."""
    choose = random.Random(client)
    try:
        with server.connect() as connection:
            for _ in range(ROUNDS):
                key = choose.randrange(KEYS)
                statement = choose.choice(
                    (
                        f"INSERT INTO keyed VALUES ({key}, {client})",
                        f"INSERT INTO keyed VALUES ({key}, {client})",
                        f"INSERT INTO keyed VALUES ({key}, {client}) ON CONFLICT DO NOTHING",
                        f"INSERT INTO keyed VALUES ({key}, {client}), ({key + KEYS}, {client})",
                        f"BEGIN; INSERT INTO keyed VALUES ({key}, {client}); COMMIT",
                        f"DELETE FROM keyed WHERE k = {key}",
                    )
                )
                try:
                    connection.execute(statement.encode())
                except psycopg.errors.UniqueViolation:
                    connection.execute("ROLLBACK")
                else:
                    won.append(key)
    except Exception as error:
        failed.append(error)


def test_no_key_is_ever_there_twice(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE keyed (k int PRIMARY KEY, who int)")
        won: list[int] = []
        failed: list[Exception] = []
        threads = [
            threading.Thread(target=write_at_random, args=(server, client, won, failed))
            for client in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        with server.connect() as watcher:
            while any(thread.is_alive() for thread in threads):
                found = rows(watcher, "SELECT k FROM keyed GROUP BY k HAVING count(*) > 1")
                assert found == []
        assert not failed
        assert won
        with server.connect() as connection:
            before = rows(connection, "SELECT k FROM keyed ORDER BY k")
            assert len(set(before)) == len(before)
        server.kill()
        server.start()
        with server.connect() as connection:
            assert rows(connection, "SELECT k FROM keyed ORDER BY k") == before
            taken = before[0][0]
            with pytest.raises(psycopg.errors.UniqueViolation) as caught:
                connection.execute(f"INSERT INTO keyed VALUES ({taken}, -1)".encode())
            assert caught.value.diag.message_detail == f"Key (k)=({taken}) already exists."
            connection.execute(f"DELETE FROM keyed WHERE k = {taken}".encode())
            connection.execute(f"INSERT INTO keyed VALUES ({taken}, -1)".encode())


def outcome(connection: "psycopg.Connection[tuple[object, ...]]", statement: str) -> object:
    """Return everything that a client can tell of a statement."""
    try:
        cursor = connection.execute(statement.encode())
    except psycopg.Error as error:
        diag = error.diag
        about = (diag.table_name, diag.column_name, diag.constraint_name)
        return error.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint, about
    found = None if cursor.description is None else sorted(cursor.fetchall(), key=str)
    return cursor.statusmessage, found


STATEMENTS = Path(__file__).with_name("writes.sql")


def test_statements_do_what_postgres_does(server: Headwater, judge: postgres.Postgres) -> None:
    with server.connect() as ours, psycopg.connect(judge.dsn, autocommit=True) as theirs:
        for statement in STATEMENTS.read_text().splitlines():
            assert outcome(ours, statement) == outcome(theirs, statement), statement
