"""Malformed and oversized messages, and clients that vanish: others do not notice."""

import random
import socket
import struct
from collections.abc import Iterator

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

TIMEOUT_S = 20
PROTOCOL_3 = 196_608


@pytest.fixture(autouse=True)
def others_work(server: Headwater) -> Iterator[None]:
    """A session that is open all the time goes on, in the same process as before."""
    with server.connect() as connection:
        pid = server.pid
        yield
        assert rows(connection, "SELECT 1") == [(1,)]
        assert server.process is not None
        assert server.process.poll() is None
        assert server.pid == pid


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def connect(server: Headwater) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S)


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def startup(server: Headwater) -> socket.socket:
    """Open a session by hand."""
    raw = connect(server)
    body = struct.pack("!i", PROTOCOL_3) + b"user\0materialize\0database\0materialize\0\0"
    raw.sendall(struct.pack("!i", len(body) + 4) + body)
    until_ready(raw)
    return raw


def until_ready(raw: socket.socket) -> list[tuple[bytes, bytes]]:
    """Return the server's messages up to ReadyForQuery."""
    found: list[tuple[bytes, bytes]] = []
    while not found or found[-1][0] != b"Z":
        found.append(read_message(raw))
    return found


def read_message(raw: socket.socket) -> tuple[bytes, bytes]:
    head = read_exactly(raw, 5)
    return head[:1], read_exactly(raw, struct.unpack("!i", head[1:])[0] - 4)


def read_exactly(raw: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = raw.recv(count - len(data))
        if not part:
            raise EOFError(data)
        data += part
    return data


def until_closed(raw: socket.socket) -> bytes:
    """Return all that comes before the server hangs up."""
    data = b""
    try:
        while part := raw.recv(1 << 16):
            data += part
    except ConnectionResetError:
        pass
    return data


def test_an_oversized_message_is_refused_by_its_length(server: Headwater) -> None:
    before = resident_bytes(server.pid)
    for length in (0x7FFFFFFF, 1 << 30, 65 << 20):
        with startup(server) as raw:
            raw.sendall(b"Q" + struct.pack("!i", length))
            answer = until_closed(raw)
        assert answer[:1] == b"E", answer
        assert b"C08P01\0" in answer or b"C54000\0" in answer, answer
    assert resident_bytes(server.pid) - before < 64 << 20


@pytest.mark.parametrize("length", [-1, 0, 3, -(1 << 31)])
def test_an_impossible_length_ends_the_session(server: Headwater, length: int) -> None:
    with startup(server) as raw:
        raw.sendall(b"Q" + struct.pack("!i", length))
        answer = until_closed(raw)
    assert b"C08P01\0" in answer, answer


@pytest.mark.parametrize(
    "first",
    [
        struct.pack("!ii", 0x7FFFFFFF, PROTOCOL_3),
        struct.pack("!ii", 20_000, PROTOCOL_3),
        struct.pack("!ii", 8, 99 << 16),
        struct.pack("!i", -5),
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        struct.pack("!ii", 13, PROTOCOL_3) + b"user\0",
    ],
)
def test_a_malformed_greeting_ends_the_connection(server: Headwater, first: bytes) -> None:
    with connect(server) as raw:
        raw.sendall(first)
        raw.shutdown(socket.SHUT_WR)
        answer = until_closed(raw)
    assert answer[:1] in (b"E", b""), answer


@pytest.mark.parametrize(
    "bad",
    [
        message(b"P", b"no end"),
        message(b"P", b"\0SELECT 1\0" + struct.pack("!h", 30_000)),
        message(b"B", b"\0\0" + struct.pack("!hhi", 0, 1, 0x7FFFFFFF)),
        message(b"B", b"\0\0" + struct.pack("!h", -7)),
        message(b"D", b"?x\0"),
        message(b"E", b"\0"),
        message(b"Q", b"SELECT '\xff\xfe'\0"),
        message(b"Q", b"SELECT 1"),
        message(b"\x07", b"what is this"),
        message(b"d", b"no copy is under way"),
    ],
)
def test_a_malformed_message_is_an_error_of_its_session(server: Headwater, bad: bytes) -> None:
    with startup(server) as raw:
        raw.sendall(bad + message(b"S", b""))
        found = until_ready_or_closed(raw)
    # A stray CopyData is left unanswered, as PostgreSQL does; all else is an error.
    assert found[0][0] == (b"Z" if bad[:1] == b"d" else b"E"), found
    assert b"CXX000\0" not in found[0][1], found


def until_ready_or_closed(raw: socket.socket) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    try:
        while not found or found[-1][0] != b"Z":
            found.append(read_message(raw))
    except (EOFError, ConnectionResetError):
        pass
    return found


def test_noise_ends_sessions_and_nothing_else(server: Headwater) -> None:
    random_ = random.Random(5)
    for _ in range(60):
        with startup(server) as raw:
            noise = b"".join(
                message(
                    random_.choice([b"Q", b"P", b"B", b"D", b"E", b"C", b"S", b"F", b"d", b"c"]),
                    random_.randbytes(random_.randrange(40)),
                )
                for _ in range(8)
            )
            raw.sendall(noise + message(b"X", b""))
            assert b"CXX000\0" not in until_closed(raw)


def test_a_client_that_vanishes_in_mid_result_leaves_nothing_behind(
    server: Headwater, connection: Connection
) -> None:
    connection.execute("CREATE TABLE numbers (a int)")
    connection.execute("INSERT INTO numbers SELECT * FROM generate_series(1, 200000)")
    query = "SELECT a.a, b.a FROM numbers a, generate_series(1, 10) AS b(a)"

    def sessions() -> int:
        ((count,),) = rows(connection, "SELECT count(*) FROM mz_internal.mz_sessions")
        return int(str(count))

    eventually(sessions, 2)  # they are listed a moment after they begin
    for _ in range(5):
        raw = startup(server)
        raw.sendall(message(b"Q", query.encode() + b"\0"))
        assert read_message(raw)[0] == b"T"
        # RST, as when a machine loses its power and comes back.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    eventually(sessions, 2)
    assert rows(connection, "SELECT count(*) FROM numbers") == [(200000,)]
