"""Clients that go without a word: nothing of their sessions is left behind."""

import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.fixtures import netns
from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

# More than what the buffers of both ends hold, so that the server is in mid-result.
ROWS = 60_000


@pytest.fixture(scope="module")
def big(server: Headwater) -> Iterator[None]:
    with server.connect() as connection:
        connection.execute("CREATE TABLE big (a int, b text)")
        connection.execute(
            f"INSERT INTO big SELECT n, repeat('x', 500) FROM generate_series(1, {ROWS}) AS n"
        )
        connection.execute("CREATE CLUSTER nobody REPLICAS ()")
    yield
    with server.connect() as connection:
        connection.execute("DROP TABLE big CASCADE")
        connection.execute("DROP CLUSTER nobody")


def query(sql: str) -> bytes:
    return b"Q" + struct.pack("!I", len(sql) + 5) + sql.encode() + b"\0"


def extended(sql: str, rows_max: int) -> bytes:
    parse = b"\0" + sql.encode() + b"\0\0\0"
    parts = ((b"P", parse), (b"B", bytes(8)), (b"E", b"\0" + struct.pack("!I", rows_max)))
    return b"".join(kind + struct.pack("!I", len(body) + 4) + body for kind, body in parts)


@contextmanager
def client(server: Headwater) -> Iterator[socket.socket]:
    """A client below the level of any driver, with a temporary table."""
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        words = b"user\0materialize\0database\0materialize\0application_name\0ghost\0\0"
        raw.sendall(struct.pack("!II", len(words) + 8, 196608) + words)
        raw.sendall(query("CREATE TEMPORARY TABLE mine (a int)"))
        told = b""
        while told.count(b"Z\0\0\0\x05I") < 2:
            told += raw.recv(65536)
        yield raw


def next_of(raw: socket.socket, kinds: bytes) -> bytes:
    """Read messages up to the next one of ``kinds``, and nothing more; return its kind."""
    while True:
        kind, size = struct.unpack("!cI", raw.recv(5, socket.MSG_WAITALL))
        assert len(raw.recv(size - 4, socket.MSG_WAITALL)) == size - 4
        if kind in kinds:
            return bytes(kind)


def left(connection: Connection) -> tuple[object, ...]:
    """Return how much there is of ghosts: sessions, temporary tables, subscriptions' dataflows."""
    ((tables,),) = rows(connection, "SELECT count(*) FROM mz_tables WHERE name = 'mine'")
    return (sessions(connection) - 1, tables)


def sessions(connection: Connection) -> int:
    """Return how many sessions there are, that of ``connection`` included."""
    ((count,),) = rows(connection, "SELECT count(*) FROM mz_internal.mz_sessions")
    return int(str(count))


WHAT = {
    "a SELECT": (query("SELECT a, b FROM big"), 100),
    "a COPY": (query("COPY (SELECT a, b FROM big) TO STDOUT"), 100),
    "a SUBSCRIBE": (query("COPY (SUBSCRIBE big) TO STDOUT"), 100),
    "a suspended portal": (extended("SELECT a, b FROM big", 3) + b"H\0\0\0\x04", 100),
    "a wait for a replica": (query("SET cluster = nobody") + query("SELECT max(b) FROM big"), 10),
    "a COPY FROM": (query("COPY big FROM STDIN") + b"d\0\0\0\x081\tx\n", 5),
    # Sent ahead while the statement waits: more than the server reads meanwhile.
    "many statements": (
        query("SET cluster = nobody")
        + query("SELECT max(b) FROM big")
        + query("SELECT 1") * 20_000,
        10,
    ),
}


@pytest.mark.usefixtures("big")
@pytest.mark.parametrize("what", WHAT)
def test_a_client_that_closes_its_socket_in_the_middle_of(
    server: Headwater, connection: Connection, what: str
) -> None:
    sent, read = WHAT[what]
    with client(server) as raw:
        raw.sendall(sent)
        raw.recv(read)
        eventually(lambda: left(connection), (1, 1))
    eventually(lambda: left(connection), (0, 0))


@pytest.mark.usefixtures("big")
def test_a_client_that_stops_reading_has_until_its_statement_times_out(
    server: Headwater, connection: Connection
) -> None:
    with client(server) as raw:
        for seconds in (1, 4, 16):
            set_timeout = query(f"SET statement_timeout = '{seconds}s'")
            raw.sendall(set_timeout + query("SELECT a, b FROM big"))
            if next_of(raw, b"DE") == b"D":
                break  # else it has timed out before its first row: the machine is busy
        else:
            pytest.fail("no row in 16 seconds")
        eventually(lambda: left(connection), (0, 0))


@pytest.mark.usefixtures("big")
def test_a_slow_client_gets_all_of_its_rows(server: Headwater) -> None:
    with server.connect() as slow, slow.cursor() as cursor:
        slow.execute("SET statement_timeout = 0")
        wait: Callable[[], int] = iter(range(ROWS)).__next__
        for row in cursor.stream("SELECT a FROM big ORDER BY a"):
            assert row == (wait() + 1,)


FOLLOW = """
import sys
import psycopg
with psycopg.connect(sys.argv[1]) as connection, connection.cursor() as cursor:
    with cursor.copy("COPY (SUBSCRIBE t) TO STDOUT") as copied:
        for data in copied:
            print("got", flush=True)
"""


@pytest.mark.skipif(netns.missing() is not None, reason=netns.missing() or "")
def test_a_client_whose_host_is_lost_is_noticed(tmp_path: Path) -> None:
    """The cable is out: nobody says anything, and what is sent is not acknowledged."""
    server = Headwater(tmp_path)
    server.arguments = (f"--sql-address=0.0.0.0:{server.port}",)
    server.start()
    try:
        with netns.host() as host, server.connect() as connection:
            connection.execute("CREATE TABLE t (a int)")
            connection.execute("INSERT INTO t VALUES (1)")
            dsn = f"host={host.gateway} port={server.port} user=materialize dbname=materialize"
            command = host.command(sys.executable, "-c", FOLLOW, dsn)
            follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            try:
                assert follower.stdout is not None
                assert follower.stdout.readline() == "got\n"
                host.unplug()
                connection.execute("INSERT INTO t VALUES (2)")
                eventually(lambda: sessions(connection), 1, seconds=90)
            finally:
                follower.kill()
                follower.wait()
                follower.stdout.close()
    finally:
        server.stop()
