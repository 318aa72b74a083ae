"""A tiny adapter: SQL texts mapped to canned answers, so that the front is tested alone."""

import asyncio
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from headwater.errors import (
    ErrorFields,
    InvalidAuthorization,
    SyntaxError_,
    UniqueViolation,
)
from headwater.pgwire import oids
from headwater.pgwire import protocol as p
from headwater.pgwire.session_api import Reply
from headwater.types import scalar
from headwater.types.scalar import ScalarType

NULL = b"\xfe"


def int_datum(value: int) -> bytes:
    size = (abs(value).bit_length() + 7) >> 3
    if value >= 0:
        return bytes((0x18 + size,)) + value.to_bytes(size, "big")
    return bytes((0x18 - size,)) + ((1 << (8 * size)) - 1 + value).to_bytes(size, "big")


def text_datum(value: str) -> bytes:
    return b"\x30" + value.encode().replace(b"\0", b"\0\xff") + b"\0\0"


def flat(rows: Iterable[bytes], *, times: Sequence[int] = (), diffs: Sequence[int] = ()) -> bytes:
    """Encode rows in the flat update codec."""
    rows = list(rows)
    ends, end = [], 0
    for row in rows:
        end += len(row)
        ends.append(end)
    count = len(rows)
    header = struct.pack(f"<II{count}I", count, end, *ends)
    numbers = struct.pack(f"<{count}Q", *(times or [0] * count))
    numbers += struct.pack(f"<{count}q", *(diffs or [1] * count))
    return header + numbers + b"".join(rows)


def unflat(data: bytes) -> list[bytes]:
    """Return the rows of a flat batch."""
    count, _ = struct.unpack_from("<II", data)
    ends = struct.unpack_from(f"<{count}I", data, 8)
    start = 8 + count * 20
    return [data[start + a : start + b] for a, b in zip((0, *ends), ends, strict=False)]


def columns(*pairs: tuple[str, ScalarType]) -> tuple[p.ResultColumn, ...]:
    return tuple(oids.result_column(name, type_) for name, type_ in pairs)


SERIES = columns(("n", scalar.INT4), ("t", scalar.TEXT))


def series(count: int) -> p.InlineRows:
    return p.InlineRows(rows=flat(int_datum(n) + text_datum(f"row {n}") for n in range(count)))


def wide(count: int) -> p.InlineRows:
    """One row of a kilobyte, many times."""
    return p.InlineRows(rows=flat([int_datum(1) + text_datum("x" * 1000)], diffs=[count]))


@dataclass
class Prepared:
    sql: str
    desc: p.StatementDesc


@dataclass
class FakeSession:
    """Answers by the text of a statement; see ``_plan`` and ``execute``."""

    adapter: "FakeAdapter"
    startup: p.Startup
    status: p.TransactionStatus = "I"
    statements: dict[int, Prepared] = field(default_factory=dict)
    handles: int = 0
    copied: list[bytes] = field(default_factory=list)
    held: set[int] = field(default_factory=set)

    def _plan(self, sql: str) -> p.StatementDesc:
        self.handles += 1
        parameters: tuple[p.Parameter, ...] = ()
        shape: tuple[p.ResultColumn, ...] | None = None
        fast = fast_insert = None
        if sql.startswith("select $1::int4, $2::text"):
            parameters = (oids.parameter(scalar.INT4), oids.parameter(scalar.TEXT))
            shape = columns(("a", scalar.INT4), ("b", scalar.TEXT))
        elif sql.startswith("point"):
            parameters = (oids.parameter(scalar.INT4),)
            shape = SERIES
            fast = self.adapter.fast
        elif sql.startswith("put $1"):
            parameters = (oids.parameter(scalar.INT4),)
            fast_insert = self.adapter.fast_insert
        elif sql.startswith(("series", "fetch", "peek")):
            shape = SERIES
        elif sql.startswith("nulls"):
            shape = columns(("a", scalar.INT4), ("b", scalar.BOOL))
        elif sql.startswith("subscribe"):
            shape = columns(
                ("mz_timestamp", scalar.MZ_TIMESTAMP),
                ("mz_progressed", scalar.BOOL),
                ("mz_diff", scalar.INT8),
                ("n", scalar.INT4),
            )
        elif sql.startswith("broken"):
            raise SyntaxError_(
                "syntax error", position=3, hint="Try harder.", detail="It is broken."
            )
        return p.StatementDesc(
            handle=self.handles,
            parameters=parameters,
            columns=shape,
            fast=fast,
            fast_insert=fast_insert,
        )

    async def parse_many(self, request: p.ParseMany) -> p.Parsed:
        texts = [text.strip() for text in request.sql.split(";") if text.strip()]
        handles = []
        for text in texts:
            handles.append(self._keep(text).desc.handle)
        return p.Parsed(statements=tuple(handles), status=self.status)

    def _keep(self, sql: str) -> Prepared:
        prepared = Prepared(sql, self._plan(sql))
        self.statements[prepared.desc.handle] = prepared
        return prepared

    async def prepare(self, request: p.Prepare) -> p.Prepared:
        self.adapter.log.append(("prepare", request.name))
        prepared = self._keep(request.sql.strip(" ;"))
        return p.Prepared(statement=prepared.desc, empty=not prepared.sql, status=self.status)

    async def execute(self, request: p.Execute) -> p.ExecuteReply:
        self.adapter.log.append(("execute", request.sync))
        self.adapter.changed.set()
        sql = self.statements[request.handle].sql.removesuffix(";")
        if sql.isupper():  # psycopg 2 says BEGIN and COMMIT
            sql = sql.lower()
        for pattern, answer in _ANSWERS:
            if match := re.fullmatch(pattern, sql):
                reply = answer(self, match, request)
                if asyncio.iscoroutine(reply):
                    reply = await reply
                if isinstance(reply, p.Rows) and isinstance(
                    reply.source, p.PeekSource | p.SubscribeSource
                ):
                    self.held.add(request.id)
                return reply
        raise SyntaxError_(f"the fake does not know: {sql}")

    async def sync(self, request: p.Sync) -> p.Synced:
        self.adapter.log.append(("sync", request.failed))
        return p.Synced(status=self.status)

    async def copy_data(self, request: p.CopyData) -> p.Synced:
        self.copied.extend(unflat(request.rows))
        self.adapter.batches += 1
        if self.adapter.refuse_copy:
            raise UniqueViolation("no more rows")
        return p.Synced(status=self.status)

    async def copy_done(self, request: p.CopyDone) -> p.Command:
        self.adapter.log.append(("copy_done", request.sync))
        self.adapter.stored.extend(self.copied)
        count, self.copied = len(self.copied), []
        return p.Command(tag=f"COPY {count}", status=self.status)

    def copy_fail(self, request: p.CopyFail) -> None:
        self.copied = []

    def complete(self, event: p.Complete) -> None:
        self.held.discard(event.execution)
        self.adapter.log.append(("complete", event.outcome, event.rows))
        self.adapter.changed.set()

    def failure(self, event: p.Failure) -> None:
        self.adapter.log.append(("failure", event.sqlstate))
        self.status = "E"

    def close_statement(self, event: p.CloseStatement) -> None:
        del self.statements[event.handle]

    def close_portal(self, event: p.ClosePortal) -> None:
        self.adapter.log.append(("close_portal", event.name))

    def fail(self, error: ErrorFields) -> p.Failed:
        if self.status == "T":
            self.status = "E"
        return p.Failed(error=error, status=self.status)

    async def terminate(self) -> None:
        assert not self.held, "terminated while row sources are held"
        self.adapter.sessions.remove(self)
        self.adapter.log.append(("terminate",))
        self.adapter.changed.set()


@dataclass
class FakeAdapter:
    """Opens fake sessions and keeps what they saw."""

    sessions: list[FakeSession] = field(default_factory=list)
    log: list[tuple[object, ...]] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=list)
    batches: int = 0
    refuse_copy: bool = False
    fast: p.FastPlan | None = None
    fast_insert: p.FastInsert | None = None
    inserted: list[bytes] = field(default_factory=list)
    refuse_insert: p.Reply | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    prepare_subscribe: Callable[[str], None] = lambda _: None

    async def startup(self, request: p.Startup) -> tuple[FakeSession, p.Started]:
        if request.user == "nobody":
            raise InvalidAuthorization('role "nobody" does not exist')
        session = FakeSession(self, request)
        self.sessions.append(session)
        parameters = {
            "server_version": "15.0",
            "server_encoding": "UTF8",
            "client_encoding": "UTF8",
            "DateStyle": "ISO, MDY",
            "TimeZone": "UTC",
            "integer_datetimes": "on",
            "standard_conforming_strings": "on",
            "application_name": request.application_name,
        }
        return session, p.Started(parameters=parameters, settings=p.SessionSettings())

    def insert(self, rows: Sequence[p.Insert], reply: Reply) -> None:
        ids = [row.id for row in rows]
        if self.refuse_insert is not None:
            reply(ids, self.refuse_insert)
            return
        self.inserted.extend(row.row for row in rows)
        reply(ids, p.Command(tag="INSERT 0 1"))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that is noted makes the condition true."""
        async with asyncio.timeout(10):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def _rows(session: FakeSession, source: p.RowSource, shape: object = SERIES) -> p.Rows:
    return p.Rows(source=source, columns=shape, status=session.status)  # type: ignore[arg-type]


def _echo(session: FakeSession, _: object, request: p.Execute) -> p.Rows:
    row = b"".join(NULL if param is None else param for param in request.params)
    shape = columns(("a", scalar.INT4), ("b", scalar.TEXT))
    return _rows(session, p.InlineRows(rows=flat([row])), shape)


def _begin(session: FakeSession, *_: object) -> p.Command:
    session.status = "T"
    return p.Command(tag="BEGIN", status="T")


def _end(session: FakeSession, match: re.Match[str], _: object) -> p.Command:
    tag = "ROLLBACK" if session.status == "E" else match[0].upper()
    session.status = "I"
    return p.Command(tag=tag, status="I")


async def _hang(session: FakeSession, *_: object) -> p.Command:
    session.adapter.changed.set()
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def _notice(session: FakeSession, match: re.Match[str], _: object) -> p.Command:
    notice = ErrorFields(sqlstate="00000", message="take note", severity=match[1].upper())
    return p.Command(tag="DO", notices=(notice,), status=session.status)


def _set(session: FakeSession, match: re.Match[str], _: object) -> p.Command:
    name, value = match[1], match[2]
    settings = p.SessionSettings()
    if name == "statement_timeout":
        settings = p.SessionSettings(statement_timeout_ms=int(value))
    elif name == "idle_timeout":
        settings = p.SessionSettings(idle_in_transaction_timeout_ms=int(value))
    elif name == "client_min_messages":
        settings = p.SessionSettings(client_min_messages=value)
    return p.Command(tag="SET", parameters={name: value}, settings=settings, status=session.status)


def _copy_in(session: FakeSession, match: re.Match[str], _: object) -> p.CopyIn:
    kind = match[1] or "text"
    return p.CopyIn(
        table="t", columns=SERIES, format=p.CopyFormat(format=kind), status=session.status
    )


def _copy_out(session: FakeSession, match: re.Match[str], _: object) -> p.CopyOut:
    return p.CopyOut(
        columns=SERIES,
        source=series(int(match[1])),
        format=p.CopyFormat(format=match[2] or "text"),
        status=session.status,
    )


def _peek(session: FakeSession, match: re.Match[str], request: p.Execute) -> p.Rows:
    source = p.PeekSource(
        uuid=request.id.to_bytes(16, "big"),
        cluster="c",
        peek=b"peek" + request.id.to_bytes(16, "big") + match[1].encode(),
        finishing=p.RowSetFinishing((), None, 0, (0, 1)),
        waiting_notice="waiting for a replica",
    )
    return _rows(session, source)


def _subscribe(session: FakeSession, match: re.Match[str], _: object) -> p.Rows:
    session.adapter.prepare_subscribe("t1")
    shape = session._plan("subscribe").columns
    return _rows(session, p.SubscribeSource(id="t1", arity=1, progress=True, as_of=5), shape)


def _declare(session: FakeSession, match: re.Match[str], _: object) -> p.DeclareCursor:
    return p.DeclareCursor(
        name=match[1], columns=SERIES, source=series(int(match[2])), status=session.status
    )


def _declare_subscribe(
    session: FakeSession, match: re.Match[str], request: p.Execute
) -> p.DeclareCursor:
    session.adapter.prepare_subscribe("t1")
    session.held.add(request.id)
    return p.DeclareCursor(
        name=match[1],
        columns=session._plan("subscribe").columns or (),
        source=p.SubscribeSource(id="t1", arity=1, progress=True, as_of=5),
        status=session.status,
    )


def _fetch(session: FakeSession, match: re.Match[str], _: object) -> p.Rows:
    count = None if match[1] == "all" else int(match[1])
    timeout = int(match[3]) if match[3] else None
    source = p.FetchSource(cursor=match[2], count=count, timeout_ms=timeout)
    return p.Rows(source=source, tag="FETCH", status=session.status)


def _prepare(session: FakeSession, match: re.Match[str], _: object) -> p.Command:
    prepared = session._keep(match[2])
    named = p.NamedStatement(name=match[1], statement=prepared.desc)
    return p.Command(tag="PREPARE", prepared=(named,), status=session.status)


_SHAPE_NULLS = columns(("a", scalar.INT4), ("b", scalar.BOOL))
_ANSWERS: list[tuple[str, Callable[..., object]]] = [
    (r"select \$1::int4, \$2::text", _echo),
    (r"series (\d+)", lambda s, m, _: _rows(s, series(int(m[1])))),
    (
        r"point \$1",
        lambda s, m, r: _rows(s, p.InlineRows(rows=flat([r.params[0] + text_datum("slow")]))),
    ),
    (r"wide (\d+)", lambda s, m, _: _rows(s, wide(int(m[1])))),
    (r"nulls", lambda s, m, _: _rows(s, p.InlineRows(rows=flat([NULL + b"\x03"])), _SHAPE_NULLS)),
    (r"mangled", lambda s, m, _: _rows(s, p.InlineRows(rows=flat([int_datum(1)])))),
    (r"insert", lambda s, m, _: p.Command(tag="INSERT 0 1", status=s.status)),
    (r"put \$1", lambda s, m, _: p.Command(tag="INSERT 0 9", status=s.status)),
    (r"begin", _begin),
    (r"commit|rollback", _end),
    (r"hang", _hang),
    (r"raise (\w+)", _notice),
    (r"set (\w+) = (\S+)", _set),
    (r"copy t from stdin ?(csv|text)?", _copy_in),
    (r"copy series (\d+) to stdout ?(csv|text|binary)?", _copy_out),
    (r"peek (\w+)", _peek),
    (r"subscribe", _subscribe),
    (r"declare (\w+) series (\d+)", _declare),
    (r"declare (\w+) subscribe", _declare_subscribe),
    (r"fetch (\w+) (\w+) ?(\d+)?", _fetch),
    (r"close all", lambda s, m, _: p.CloseCursor(name=None, status=s.status)),
    (r"close (\w+)", lambda s, m, _: p.CloseCursor(name=m[1], status=s.status)),
    (r"prepare (\w+) as (.*)", _prepare),
    (r"deallocate all", lambda s, m, _: p.Command(tag="DEALLOCATE ALL", deallocated=None)),
    (r"deallocate (\w+)", lambda s, m, _: p.Command(tag="DEALLOCATE", deallocated=(m[1],))),
    (r"bug", lambda s, m, _: 1 / 0),
]
