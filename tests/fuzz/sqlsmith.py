"""SQLsmith (Debian's ``sqlsmith``): ``python -m tests.fuzz.sqlsmith --minutes 30``.

SQLsmith reads its vocabulary from a catalog, and it knows PostgreSQL's. It talks to us through a
proxy that answers those questions from our function table and the catalog we have, hands all else
on, and counts what the server says. An internal error or a lost connection is a fault.
"""

import argparse
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from headwater.ir.functions import SIGNATURES, FunctionKind
from headwater.ir.functions.signature import Signature
from headwater.pgwire.oids import oid_of
from headwater.types.scalar import ScalarType
from tests.fixtures.headwater import Headwater, running
from tests.fuzz.statements import TABLES
from tests.fuzz.victim import STATEMENT_SECONDS, Fault

Rows = Iterable[tuple[str, ...]]


def _simple(signatures: Iterable[Signature]) -> list[Signature]:
    """Return the signatures whose types are all SQL types, not stand-ins for several."""
    return [
        s
        for s in signatures
        if all(isinstance(each, ScalarType) for each in (*s.args, s.result)) and not s.variadic
    ]


_BY_KIND = {kind: _simple(s for s in SIGNATURES if s.kind is kind) for kind in FunctionKind}


def _oid(type_: object) -> str:
    assert isinstance(type_, ScalarType)
    return str(oid_of(type_))


def _operators(_query: str) -> Rows:
    for s in _BY_KIND[FunctionKind.OPERATOR]:
        if len(s.args) == 2:
            yield (s.name, _oid(s.args[0]), _oid(s.args[1]), _oid(s.result))


def _routines(query: str) -> Rows:
    aggregates = "percentile_cont" in query
    kind = FunctionKind.AGGREGATE if aggregates else FunctionKind.SCALAR
    for number, s in enumerate(_BY_KIND[kind]):
        yield ("pg_catalog", f"{int(aggregates)}{number:06}", _oid(s.result), s.name)


def _parameters(query: str) -> Rows:
    found = re.search(r"oid = '?(\d)(\d{6})", query)
    if found is None:
        return
    kind = FunctionKind.AGGREGATE if found[1] == "1" else FunctionKind.SCALAR
    for each in _BY_KIND[kind][int(found[2])].args:
        yield (_oid(each),)


# What SQLsmith asks → its columns and rows.
ANSWERED: tuple[tuple[re.Pattern[str], int, Callable[[str], Rows]], ...] = (
    (re.compile(r"select oprname,.* from pg_catalog.pg_operator"), 4, _operators),
    (re.compile(r"select \(select nspname .* from pg_proc"), 4, _routines),
    (re.compile(r"select unnest\(proargtypes\) from pg_proc"), 1, _parameters),
    (re.compile(r"select version\(\)"), 1, lambda _query: [("PostgreSQL 15.0",)]),
)
REWRITTEN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"case typnamespace when .* end, oid"), "quote_ident(typname), oid"),
    (
        re.compile(r"(?<=from pg_type).*"),
        # It asserts that these are there.
        " union all select x.name, x.id, typdelim, 0::oid, 0::oid, 0::oid, typtype from pg_type,"
        " (values ('internal', 2281::oid), ('anyarray', 2277::oid), ('any', 2276::oid))"
        " as x (name, id) where typname = 'bool'",
    ),
    (re.compile(r"is_insertable_into"), "'YES'"),
    (re.compile(r"tablesample (system|bernoulli) \([^)]*\)"), ""),
    (re.compile(r"(?<=from information_schema.tables).*"), " where table_schema = 'public'"),
)


@dataclass
class Proxy:
    """Stands between SQLsmith and the server, on a port of its own."""

    server: Headwater
    faults: list[Fault] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    port: int = 0

    def start(self) -> None:
        """Listen, and serve each connection in threads of its own."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]

        def accept() -> None:
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        upstream = socket.create_connection(("127.0.0.1", self.server.port))
        conversation = _Conversation(self, client, upstream)
        threading.Thread(target=conversation.answers, daemon=True).start()
        conversation.questions()


class _Conversation:
    def __init__(self, proxy: Proxy, client: socket.socket, upstream: socket.socket) -> None:
        self.proxy, self.client, self.upstream = proxy, client, upstream
        self.asked = ""
        self.ended = False

    def questions(self) -> None:
        """Hand the client's messages on, but for those that are answered here."""
        try:
            started = False
            while True:
                kind = _read(self.client, 1) if started else b""
                size = _read(self.client, 4)
                body = _read(self.client, struct.unpack("!I", size)[0] - 4)
                if not started:
                    started = body[:4] == struct.pack("!I", 196608)
                if kind == b"X":
                    self.ended = True
                if kind != b"Q" or not self._answered(body[:-1].decode(errors="replace")):
                    self.upstream.sendall(
                        kind + size + body if kind != b"Q" else self._rewritten(body)
                    )
        except (OSError, EOFError):
            self.ended = True
            self.upstream.close()

    def _answered(self, query: str) -> bool:
        flat = " ".join(query.split())
        for pattern, columns, answer in ANSWERED:
            if pattern.match(flat):
                self.client.sendall(_result(columns, answer(flat)))
                return True
        return False

    def _rewritten(self, body: bytes) -> bytes:
        query = body[:-1].decode(errors="replace")
        for pattern, text in REWRITTEN:
            query = pattern.sub(text, query)
        self.asked = query
        return _message(b"Q", query.encode() + b"\0")

    def answers(self) -> None:
        """Hand the server's messages back, and count its errors."""
        try:
            pending = b""
            plain = False
            while chunk := self.upstream.recv(65536):
                self.client.sendall(chunk)
                pending += chunk
                if not plain and pending[:1] in (b"N", b"S") and len(pending) == 1:
                    pending = b""
                    continue
                plain = True
                while len(pending) >= 5:
                    size = struct.unpack("!I", pending[1:5])[0] + 1
                    if len(pending) < size:
                        break
                    self._seen(pending[:1], pending[5:size])
                    pending = pending[size:]
        except OSError:
            pass
        if not self.ended:
            self.proxy.faults.append(Fault("connection lost", self.asked.encode()))
        self.client.close()

    def _seen(self, kind: bytes, body: bytes) -> None:
        if kind == b"C":
            self.proxy.states["success"] += 1
        if kind == b"E":
            fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0")}
            state = fields.get(b"C", "?")
            self.proxy.states[state] += 1
            self.proxy.errors[re.sub(r'"[^"]*"', "…", f"{state} {fields.get(b'M')}")[:100]] += 1
            if state.startswith("XX"):
                self.proxy.faults.append(
                    Fault(f"internal error {state}: {fields.get(b'M')}", self.asked.encode())
                )


def _read(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = stream.recv(size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _result(columns: int, rows: Rows) -> bytes:
    """Return the messages of a result of text columns."""
    column = struct.pack("!IHIhiH", 0, 0, 25, -1, -1, 0)
    described = b"".join(f"c{i}".encode() + b"\0" + column for i in range(columns))
    messages = [_message(b"T", struct.pack("!H", columns) + described)]
    for row in rows:
        values = b"".join(struct.pack("!I", len(v.encode())) + v.encode() for v in row)
        messages.append(_message(b"D", struct.pack("!H", len(row)) + values))
    return b"".join((*messages, _message(b"C", b"SELECT\0"), _message(b"Z", b"I")))


def smith(proxy: Proxy, *arguments: str, seconds: float) -> str:
    """Run SQLsmith for a time; return what it said."""
    target = f"host=127.0.0.1 port={proxy.port} user=materialize dbname=materialize"
    options = f"options='-c statement_timeout={STATEMENT_SECONDS}s'"
    process = subprocess.Popen(
        ["sqlsmith", f"--target={target} {options}", "--exclude-catalog", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    return said


def main() -> int:
    """Run; print seed, counts and faults; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30)
    options = parser.parse_args()
    if shutil.which("sqlsmith") is None:
        print("sqlsmith is not installed: apt-get install sqlsmith", file=sys.stderr)
        return 2
    with running(Path(tempfile.mkdtemp(prefix="sqlsmith-"))) as server:
        proxy = Proxy(server)
        proxy.start()
        with server.connect() as connection:
            for table in TABLES:
                connection.execute(table.encode())
        end = time.monotonic() + options.minutes * 60
        seed = options.seed
        said = ""
        while (left := end - time.monotonic()) > 0:
            said = smith(proxy, f"--seed={seed}", seconds=left)
            seed += 1000
            if sum(proxy.states.values()) == 0:
                break
    for fault in proxy.faults:
        print(f"--- {fault.what}\n{fault.statement.decode()}")
    print(f"seed {options.seed}: {sum(proxy.states.values())} statements")
    print("  states:", ", ".join(f"{state} {n}" for state, n in proxy.states.most_common(25)))
    for error, count in proxy.errors.most_common(20):
        print(f"  {count:6} {error}")
    print(f"  SQLsmith: {said[-300:]!r}")
    print(f"  {len(proxy.faults)} faults")
    return 1 if proxy.faults or not proxy.states else 0


if __name__ == "__main__":
    sys.exit(main())
