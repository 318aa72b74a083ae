"""A server under fire: it is asked, and must answer or refuse within the statement's time."""

import select
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import pq

from tests.fixtures.headwater import Headwater

STATEMENT_SECONDS = 10
GRACE_SECONDS = 10
"""How much later than its timeout a statement's error may come, on a busy machine."""
STATEMENTS_A_CONNECTION = 25
_PROBE = b"SELECT sum(x) FROM materialize.public.fuzz_alive"
_GONE = ("42P01", "3D000", "3F000")
"""What the probe reads has been dropped, by a statement that was in the right."""


@dataclass(frozen=True)
class Fault:
    """What should not have happened, and the statement after which it did."""

    what: str
    statement: bytes


@dataclass
class Victim:
    """A server and the connection to it. Faults and SQLSTATEs are counted."""

    server: Headwater
    faults: list[Fault] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    timeouts: list[bytes] = field(default_factory=list)
    _connection: pq.PGconn | None = None
    _tables: Sequence[str] = ()
    _asked: int = 0

    def prepare(self, tables: Sequence[str] = ()) -> None:
        """Make what the probe reads, and ``tables``; again, where statements have dropped them."""
        self._tables = tables
        for statement in (
            b"CREATE DATABASE IF NOT EXISTS materialize",
            b"CREATE SCHEMA IF NOT EXISTS materialize.public",
            b"CREATE TABLE IF NOT EXISTS materialize.public.fuzz_alive (x int)",
            b"INSERT INTO materialize.public.fuzz_alive VALUES (1), (2)",
        ):
            assert self.ask(statement) == ""
        for table in tables:
            self.ask(table.encode())

    def ask(self, statement: bytes) -> str | None:
        """Return the SQLSTATE, empty for success, None for a fault, which is recorded."""
        began = time.monotonic()
        try:
            connection = self._connected()
            connection.send_query(statement.replace(b"\0", b" "))
            deadline = began + STATEMENT_SECONDS + GRACE_SECONDS
            state = self._collect(connection, deadline, endless=b"subscribe" in statement.lower())
        except (psycopg.Error, _Lost, OSError) as error:
            self._close()
            return self._fault(f"{type(error).__name__}: {error}", statement)
        self.states[state or "success"] += 1
        self._asked += 1
        if state == "57014":
            self.timeouts.append(statement)
        if state.startswith("XX"):
            return self._fault(f"internal error {state}: {self._message}", statement)
        idle = connection.transaction_status == pq.TransactionStatus.IDLE
        if not idle or self._asked % STATEMENTS_A_CONNECTION == 0:
            self._close()
        return state

    def probe(self, statement: bytes) -> None:
        """See that the server still computes; ``statement`` is what was asked last."""
        self._close()
        state = self.ask(_PROBE)
        if state in _GONE:
            self._close()
            self.prepare(self._tables)
            state = self.ask(_PROBE)
        if state != "":
            self.faults.append(Fault("a plain query is not answered any more", statement))

    def _fault(self, what: str, statement: bytes) -> None:
        self.faults.append(Fault(what, statement))

    def _connected(self) -> pq.PGconn:
        if self._connection is None:
            connection = pq.PGconn.connect(self.server.dsn.encode() + b" connect_timeout=20")
            if connection.status != pq.ConnStatus.OK:
                raise _Lost(f"cannot connect: {connection.error_message.decode()}")
            connection.notice_handler = None
            self._connection = connection
            connection.send_query(b"SET statement_timeout = '%ds'" % STATEMENT_SECONDS)
            self._collect(connection, time.monotonic() + GRACE_SECONDS)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.finish()
            self._connection = None

    def _collect(self, connection: pq.PGconn, deadline: float, *, endless: bool = False) -> str:
        """Read all results; return the first error's SQLSTATE. Raises: _Lost.

        What may be ``endless``, by no timeout of statements, is cancelled after a second.
        """
        state = self._message = ""
        patience = time.monotonic() + 1
        while True:
            connection.flush()
            while connection.is_busy():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise _Lost("no answer in time")
                if endless and time.monotonic() > patience:
                    connection.get_cancel().cancel()
                    endless = False
                select.select([connection.socket], [], [], min(left, 1))
                connection.consume_input()
            result = connection.get_result()
            if result is None:
                break
            match result.status:
                case pq.ExecStatus.FATAL_ERROR:
                    code = result.error_field(pq.DiagnosticField.SQLSTATE)
                    if code is None:
                        raise _Lost(result.error_message.decode(errors="replace"))
                    state = state or code.decode()
                    self._message = self._message or result.error_message.decode(errors="replace")
                case pq.ExecStatus.COPY_IN:
                    connection.put_copy_end(b"nothing to copy")
                case pq.ExecStatus.COPY_OUT:
                    self._drain(connection, deadline)
        if connection.status != pq.ConnStatus.OK:
            raise _Lost("connection lost")
        return state

    def _drain(self, connection: pq.PGconn, deadline: float) -> None:
        """Read a COPY; one without end (SUBSCRIBE) is cancelled after a second."""
        patience = time.monotonic() + 1
        cancelled = False
        while (count := connection.get_copy_data(1)[0]) != -1:
            if count > 0 and time.monotonic() < patience:
                continue
            if time.monotonic() > deadline:
                raise _Lost("COPY does not end")
            if time.monotonic() > patience and not cancelled:
                connection.get_cancel().cancel()
                cancelled = True
            if count == 0:
                select.select([connection.socket], [], [], 0.2)
                connection.consume_input()


class _Lost(Exception):
    """No answer, or no connection."""
