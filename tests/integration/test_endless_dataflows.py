"""What never ends, or is too large for any machine, ends with its statement; others are served.

Times are bounds on a machine that others use as well, several times what is promised.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

ROWS = 100_000  # of `large`: their pairs take minutes
GRACE_SECONDS = 3.0
"""How much later than its time or its cancellation a statement may end; 1 s is promised."""
BUSY_SHARE = 0.25
"""Of a core: more than an idle replica uses, less than a working one gets on a busy machine."""
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")

ENDLESS = {
    "a recursion of few rows": """WITH MUTUALLY RECURSIVE c (n bigint) AS (
        SELECT 1::bigint UNION SELECT n + 1 FROM c) SELECT count(*) FROM c""",
    "a recursion of many rows": f"""WITH MUTUALLY RECURSIVE c (n bigint) AS (
        SELECT n::bigint FROM large UNION SELECT n + {ROWS} FROM c) SELECT count(*) FROM c""",
    "a recursion by SQL's standard": """WITH RECURSIVE c (n) AS (
        SELECT 1::bigint UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c""",
    "a recursion that oscillates": """WITH MUTUALLY RECURSIVE c (n bigint) AS (
        SELECT 1::bigint EXCEPT ALL SELECT n FROM c) SELECT count(*) FROM c""",
    "a recursion that multiplies": """WITH MUTUALLY RECURSIVE c (n bigint) AS (
        SELECT n::bigint FROM large UNION SELECT a.n * 1000 + b.n FROM c AS a, c AS b)
        SELECT count(*) FROM c""",
    "a cross join without results": "SELECT count(*) FROM large a, large b WHERE a.n * 7 + b.n < 0",
    "a cross join of expressions": "SELECT max(a.n * 3 + b.n) FROM large a, large b",
    "a delta join": """SELECT max(a.n + b.n + c.n) FROM large a, large b, large c
        WHERE a.g = b.g AND b.g = c.g""",
    "a table function": "SELECT count(*) FROM large, generate_series(1, 10000000000) x WHERE x < 0",
}


@pytest.fixture(scope="module", autouse=True)
def large(server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE large (n int, g int)")
        connection.execute(f"INSERT INTO large SELECT n, n % 3 FROM generate_series(1, {ROWS}) n")
        connection.execute("CREATE INDEX large_g ON large (g)")
        connection.execute("CREATE TABLE small (n int)")
        connection.execute("INSERT INTO small VALUES (7)")
        connection.execute("CREATE VIEW kept AS SELECT n FROM small")
        connection.execute("CREATE INDEX kept_n ON kept (n)")
        assert rows(connection, "SELECT n FROM kept") == [(7,)]
        assert rows(connection, "SELECT g, count(*) FROM large GROUP BY g ORDER BY g") == [
            (0, ROWS // 3),
            (1, ROWS // 3 + 1),
            (2, ROWS // 3),
        ]


@contextmanager
def answering(server: Headwater) -> Iterator[None]:
    """Ask for something small again and again; each answer comes as if nothing else were done."""
    stop = threading.Event()
    slow: list[float] = []

    def ask() -> None:
        with server.connect() as connection:
            while not (stop.is_set() and slow):
                for query in ("SELECT n FROM kept", "SELECT sum(n) FROM small"):
                    began = time.monotonic()
                    assert rows(connection, query) == [(7,)]
                    slow.append(time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert max(slow) < GRACE_SECONDS


def is_busy(server: Headwater) -> bool:
    """Return whether the replicas have been at work for a moment."""

    def used() -> float:
        fields = [
            Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            for pid in server.replica_pids()
        ]
        return sum(int(each[11]) + int(each[12]) for each in fields) / TICKS_A_SECOND

    began, before = time.monotonic(), used()
    threading.Event().wait(0.3)
    return (used() - before) / (time.monotonic() - began) > BUSY_SHARE


@pytest.mark.parametrize("query", ENDLESS.values(), ids=ENDLESS)
def test_a_statement_ends_at_its_time(server: Headwater, query: str) -> None:
    with answering(server), server.connect() as connection:
        connection.execute("SET statement_timeout = '2s'")
        began = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(query.encode())
        assert time.monotonic() - began < 2 + GRACE_SECONDS
    eventually(lambda: is_busy(server), False)


@pytest.mark.parametrize("query", ENDLESS.values(), ids=ENDLESS)
def test_a_statement_ends_when_it_is_cancelled(server: Headwater, query: str) -> None:
    with answering(server), server.connect() as connection:
        cancelled: list[float] = []

        def cancel() -> None:
            cancelled.append(time.monotonic())
            connection.cancel()

        timer = threading.Timer(1.0, cancel)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(query.encode())
        timer.join()
        assert time.monotonic() - cancelled[0] < GRACE_SECONDS
    eventually(lambda: is_busy(server), False)


@pytest.mark.parametrize("query", ENDLESS.values(), ids=ENDLESS)
def test_what_is_maintained_ends_when_it_is_dropped(server: Headwater, query: str) -> None:
    with answering(server), server.connect() as connection:
        connection.execute(f"CREATE VIEW endless AS {query}".encode())
        connection.execute("CREATE DEFAULT INDEX ON endless")
        connection.execute(f"CREATE MATERIALIZED VIEW endless_too AS {query}".encode())
        connection.execute("SET statement_timeout = '1s'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT * FROM endless, endless_too")
        connection.execute("DROP MATERIALIZED VIEW endless_too")
        connection.execute("DROP VIEW endless CASCADE")
    eventually(lambda: is_busy(server), False)


def test_a_client_that_vanishes_leaves_nothing_at_work(server: Headwater) -> None:
    for query in ENDLESS.values():
        connection = server.connect()
        connection.pgconn.send_query(query.encode())
        connection.pgconn.flush()
        with answering(server):
            eventually(lambda: is_busy(server), True)
            connection.close()
        eventually(lambda: is_busy(server), False)
