"""Prepared single-row INSERTs, which the store commits by itself while nobody else writes.

Whatever comes between them (other statements, changes of the catalog, another server), what was
acknowledged is there, once, for every read that begins afterwards, in any session.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.headwater import Headwater, running
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

WRITERS = 4
EACH = 150


def put(connection: Connection, client: int, n: int) -> None:
    """Insert a row as the front hands it on."""
    connection.execute("INSERT INTO log (client, n) VALUES (%s, %s)", (client, n), prepare=True)


def test_acknowledged_rows_are_seen_by_others_among_updates_and_changes_of_the_catalog(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE log (client int, n int, seen int DEFAULT 0)")
            connection.execute("CREATE INDEX log_idx ON log (client)")
            connection.execute("CREATE TABLE other (a int)")
        writing = threading.Event()
        writing.set()

        def write(client: int) -> None:
            with server.connect() as mine, server.connect() as reader:
                for n in range(EACH):
                    put(mine, client, n)
                    if n % 3:
                        continue
                    # By the index, prepared: the front reads it without asking.
                    found = reader.execute(
                        "SELECT n FROM log WHERE client = %s", (client,), prepare=True
                    ).fetchall()
                    assert Counter(found) == Counter((m,) for m in range(n + 1))

        def disturb(*statements: str) -> Callable[[], int]:
            def run() -> int:
                done = 0
                with server.connect() as mine:
                    while writing.is_set():
                        mine.execute(statements[done % len(statements)].encode())
                        done += 1
                return done

            return run

        with ThreadPoolExecutor() as pool:
            disturbing = [
                pool.submit(disturb("UPDATE log SET seen = seen + 1 WHERE client = 0")),
                pool.submit(disturb("INSERT INTO other VALUES (1), (2)", "DELETE FROM other")),
                pool.submit(disturb("CREATE TABLE passing (a int)", "DROP TABLE passing")),
            ]
            writers = [pool.submit(write, client) for client in range(WRITERS)]
            try:
                for writer in writers:
                    writer.result()
            finally:
                writing.clear()
            assert all(each.result() for each in disturbing)
        with server.connect() as connection:
            found = Counter(rows(connection, "SELECT client, n FROM log"))
            assert found == Counter((c, n) for c in range(WRITERS) for n in range(EACH))
            # All of the client's rows are updated together, each as often as it could be.
            ordered = rows(connection, "SELECT n, seen FROM log WHERE client = 0 ORDER BY n")
            seen = [int(str(times)) for _, times in ordered]
            assert seen == sorted(seen, reverse=True)
            assert {
                times for (times,) in rows(connection, "SELECT seen FROM log WHERE client = 1")
            } == {0}


def test_a_table_takes_no_rows_made_for_another_of_its_name(tmp_path: Path) -> None:
    with running(tmp_path) as server, server.connect() as admin, server.connect() as connection:
        admin.execute("CREATE TABLE log (client int, n int)")
        for n in range(20):
            put(connection, 1, n)
        admin.execute("ALTER TABLE log RENAME TO journal")
        admin.execute("CREATE TABLE log (n int, more text DEFAULT 'x', client int)")
        for n in range(20, 40):
            put(connection, 1, n)
        assert rows(admin, "SELECT client, n FROM journal ORDER BY n") == [
            (1, n) for n in range(20)
        ]
        assert rows(admin, "SELECT client, n, more FROM log ORDER BY n") == [
            (1, n, "x") for n in range(20, 40)
        ]
        admin.execute("DROP TABLE log")
        with pytest.raises(psycopg.errors.UndefinedTable):
            put(connection, 1, 40)


def test_nulls_and_keys_are_refused_as_ever(tmp_path: Path) -> None:
    with running(tmp_path) as server, server.connect() as connection:
        connection.execute("CREATE TABLE strict (a int NOT NULL, b text DEFAULT 'none')")
        connection.execute("CREATE TABLE keyed (a int PRIMARY KEY, b int)")
        strict = "INSERT INTO strict (a) VALUES (%s)"
        for value in (1, 2, 3):
            connection.execute(strict, (value,), prepare=True)
            with pytest.raises(psycopg.errors.NotNullViolation) as caught:
                connection.execute(strict, (None,), prepare=True)
            assert caught.value.diag.column_name == "a"
        assert rows(connection, "SELECT * FROM strict ORDER BY a") == [
            (value, "none") for value in (1, 2, 3)
        ]

        keyed = "INSERT INTO keyed VALUES (%s, %s)"

        def insert(client: int) -> int:
            taken = 0
            with server.connect() as mine:
                for key in range(50):
                    with contextlib.suppress(psycopg.errors.UniqueViolation):
                        mine.execute(keyed, (key, client), prepare=True)
                        taken += 1
            return taken

        with ThreadPoolExecutor() as pool:
            assert sum(pool.map(insert, range(WRITERS))) == 50
        assert rows(connection, "SELECT count(*), count(DISTINCT a) FROM keyed") == [(50, 50)]


def test_a_newer_server_has_all_that_the_older_acknowledged(tmp_path: Path) -> None:
    acknowledged: list[set[int]] = [set() for _ in range(WRITERS)]

    def write(older: Headwater, client: int) -> str | None:
        """Insert until that fails; return the SQLSTATE."""
        with older.connect() as connection:
            n = 0
            while True:
                try:
                    put(connection, client, n)
                except psycopg.OperationalError as error:
                    return error.sqlstate
                acknowledged[client].add(n)
                n += 1

    with running(tmp_path) as older, ThreadPoolExecutor() as pool:
        with older.connect() as connection:
            connection.execute("CREATE TABLE log (client int, n int)")
        process = older.process
        assert process is not None
        writers = [pool.submit(write, older, client) for client in range(WRITERS)]
        eventually(lambda: all(len(rows) > 50 for rows in acknowledged), want=True)
        with running(tmp_path) as newer, newer.connect() as connection:
            codes = {writer.result() for writer in writers}
            # Who waits for his row is told; who sends one afterwards finds nobody.
            assert codes <= {"57P04", "57P01", None}
            assert process.wait(30) != 0
            found = Counter(rows(connection, "SELECT client, n FROM log"))
            assert set(found.values()) == {1}
            for client, numbers in enumerate(acknowledged):
                assert {(client, n) for n in numbers} <= found.keys()
                assert found.keys() <= {(c, n) for c in range(WRITERS) for n in range(10**6)}


def test_killed_at_any_moment_it_has_what_it_acknowledged(tmp_path: Path) -> None:
    acknowledged: list[set[int]] = [set() for _ in range(WRITERS)]
    begun = [0] * WRITERS

    def write(client: int) -> None:
        with server.connect() as connection:
            while True:
                n, begun[client] = begun[client], begun[client] + 1
                try:
                    put(connection, client, n)
                except psycopg.OperationalError:
                    return
                acknowledged[client].add(n)

    with running(tmp_path) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE log (client int, n int)")
        for _ in range(3):
            goals = [len(numbers) + 100 for numbers in acknowledged]
            with ThreadPoolExecutor() as pool:
                writers = [pool.submit(write, client) for client in range(WRITERS)]
                eventually(
                    lambda goals=goals: (
                        any(map(set.__len__, acknowledged))
                        and all(len(a) >= goal for a, goal in zip(acknowledged, goals, strict=True))
                    ),
                    want=True,
                )
                server.kill()
                for writer in writers:
                    writer.result()
            server.start()
            with server.connect() as connection:
                found = Counter(rows(connection, "SELECT client, n FROM log"))
            assert set(found.values()) == {1}
            for client in range(WRITERS):
                mine = {int(str(n)) for by, n in found if by == client}
                assert acknowledged[client] <= mine <= set(range(begun[client]))


def test_rows_that_a_client_sends_without_waiting_are_answered_in_order(tmp_path: Path) -> None:
    """Each is a transaction of its own; their answers come whole, whoever sends them."""
    with running(tmp_path) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE log (client int, n int)")

        def write(client: int) -> list[bytes | None]:
            with server.connect() as connection:
                mine = connection.pgconn
                mine.prepare(b"put", b"INSERT INTO log (client, n) VALUES ($1::int, $2::int)")
                for n in range(3):  # one after the other: the store is lent the shard
                    mine.exec_prepared(b"put", [str(client).encode(), str(-n - 1).encode()])
                mine.enter_pipeline_mode()
                for n in range(EACH):
                    mine.send_query_prepared(b"put", [str(client).encode(), str(n).encode()])
                    mine.pipeline_sync()
                    if n % 7 == client:
                        mine.flush()
                mine.flush()
                answers: list[bytes | None] = []
                for _ in range(EACH):
                    result = mine.get_result()
                    assert result is not None
                    answers.append(result.command_status)
                    assert mine.get_result() is None
                    sync = mine.get_result()
                    assert sync is not None
                    assert sync.status == psycopg.pq.ExecStatus.PIPELINE_SYNC
                return answers

        with ThreadPoolExecutor() as pool:
            for answers in pool.map(write, range(WRITERS)):
                assert answers == [b"INSERT 0 1"] * EACH
        with server.connect() as connection:
            found = Counter(rows(connection, "SELECT client, n FROM log"))
            assert found == Counter((c, n) for c in range(WRITERS) for n in range(-3, EACH))
