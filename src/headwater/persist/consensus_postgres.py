"""Consensus in PostgreSQL: one connection commits for all callers of this process (group commit).

Requests that wait are written by one statement, which is one transaction and one round trip::

    log(shard, seqno, data), primary key (shard, seqno)

A version goes in only if its predecessor is the shard's head: the predecessor exists (truncation
keeps the head) and the version itself does not. Who is to blame is found out only when the
statement, which writes all or nothing, wrote nothing: then the heads are read, the requests that
cannot succeed are answered, and the others are tried again. Other processes may commit at the same
time; the primary key decides. Pushes reach this process only, so the others follow it over RPC.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg
from psycopg.errors import DiskFull as PostgresDiskFull
from psycopg.errors import SerializationFailure, UniqueViolation

from headwater.errors import (
    ConnectionFailure,
    DiskFull,
    HeadwaterError,
    IncompatibleVersion,
    IoError,
    invariant,
)
from headwater.persist.consensus import (
    COMMIT_BYTES_MAX,
    COMMIT_OPS_MAX,
    COMMITTED,
    Cas,
    CommitResult,
    Fanout,
    PushCallback,
    SeqNo,
    Subscription,
)
from headwater.persist.parts import INLINE_BYTES_MAX_POSTGRES
from headwater.runtime.clock import Clock
from headwater.runtime.tasks import Tasks
from headwater.types.ids import ShardId

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
BATCH_OPS_MAX = 2_000
RECONNECT_S = 0.1
CONNECT_TIMEOUT_S = 10

_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS headwater;
CREATE TABLE IF NOT EXISTS headwater.version (number int NOT NULL);
CREATE TABLE IF NOT EXISTS headwater.log (
    shard text COLLATE "C" NOT NULL, seqno int8 NOT NULL, data bytea NOT NULL,
    PRIMARY KEY (shard, seqno));
ALTER TABLE headwater.log ALTER data SET STORAGE EXTERNAL;
"""

# No row of `new` may lack its predecessor, in the log or among the rows before it.
_INSERT = """
WITH new AS (SELECT * FROM unnest(%s::text[], %s::int8[], %s::bytea[]) AS n (shard, seqno, data))
INSERT INTO headwater.log SELECT shard, seqno, data FROM new WHERE NOT EXISTS (
    SELECT FROM new n WHERE CASE WHEN n.seqno = 1
        THEN EXISTS (SELECT FROM headwater.log l WHERE l.shard = n.shard)
        ELSE NOT EXISTS (
            SELECT FROM headwater.log l WHERE l.shard = n.shard AND l.seqno = n.seqno - 1)
        AND NOT EXISTS (SELECT FROM new m WHERE m.shard = n.shard AND m.seqno = n.seqno - 1) END)
"""

_HEADS = """
SELECT s.shard, coalesce((SELECT max(seqno) FROM headwater.log l WHERE l.shard = s.shard), 0)
FROM unnest(%s::text[]) AS s (shard)
"""

_SCAN = "SELECT seqno, data FROM headwater.log WHERE shard = %s AND seqno >= %s ORDER BY seqno"

_TRUNCATE = """
DELETE FROM headwater.log WHERE shard = %(shard)s AND seqno < least(%(before)s,
    (SELECT max(seqno) FROM headwater.log WHERE shard = %(shard)s))
"""

_Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class _Waiting(msgspec.Struct):
    """A commit that has not been answered."""

    ops: Sequence[Cas]
    future: "asyncio.Future[CommitResult]"


class PostgresConsensus:
    """The store in the database that ``url`` names. Use :meth:`open`."""

    inline_bytes_max = INLINE_BYTES_MAX_POSTGRES

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._fanout = Fanout()
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._writer: _Connection | None = None
        self._reader: _Connection | None = None
        self._reading = asyncio.Lock()
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, clock: Clock, tasks: Tasks) -> "PostgresConsensus":
        """Open or make the store: tables in the schema ``headwater`` of the database.

        Raises:
            ConnectionFailure: The server cannot be reached.
            IncompatibleVersion: A newer version of headwater made the tables.
        """
        store = cls(url, clock)
        store._writer = await store._connect()
        await store._make_schema(store._writer)
        store._task = tasks.spawn(store._run(), name="consensus-postgres")
        return store

    async def commit(self, ops: Sequence[Cas]) -> CommitResult:
        """Apply all ``ops`` or none; durable on return."""
        size = sum(len(op.data) for op in ops)
        bounded = len(ops) <= COMMIT_OPS_MAX and size <= COMMIT_BYTES_MAX
        invariant(bounded, "commit is bounded", ops=len(ops), bytes=size)
        self._check_open()
        future: asyncio.Future[CommitResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(ops, future))
        self._wake.set()
        return await future

    async def scan(self, shard: ShardId, from_seqno: SeqNo) -> list[tuple[SeqNo, bytes]]:
        """Return the versions from ``from_seqno`` on, oldest first."""
        rows = await self._read(_SCAN, (shard, from_seqno))
        return [(SeqNo(seqno), bytes(data)) for seqno, data in rows]

    async def truncate(self, shard: ShardId, before: SeqNo) -> None:
        """Remove versions before ``before``, keeping the newest."""
        await self._read(_TRUNCATE, {"shard": shard, "before": before})

    async def list_shards(self) -> list[ShardId]:
        """Return the shards that have a version."""
        rows = await self._read("SELECT DISTINCT shard FROM headwater.log", ())
        return [ShardId(shard) for (shard,) in rows]

    def subscribe(self, callback: PushCallback) -> Subscription:
        """Return a flow of pushes of what this process commits."""
        return self._fanout.subscribe(callback)

    async def close(self) -> None:
        """Finish what was asked and disconnect."""
        self._closed = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        for connection in (self._writer, self._reader):
            if connection is not None:
                await connection.close()

    def _check_open(self) -> None:
        if self._closed:
            raise IoError("the consensus store is closed")

    # Connections

    async def _connect(self) -> _Connection:
        try:
            return await psycopg.AsyncConnection.connect(
                self._url,
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_S,
                options="-c synchronous_commit=on",
                application_name="headwater",
            )
        except psycopg.Error as error:
            raise ConnectionFailure(
                "could not connect to the consensus store", detail=f"{error}."
            ) from error

    async def _make_schema(self, connection: _Connection) -> None:
        try:
            async with connection.transaction():
                # Two processes that start at once must not both make the tables.
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext('headwater'))")
                await connection.execute(_SCHEMA)
                cursor = await connection.execute("SELECT number FROM headwater.version")
                found = await cursor.fetchone()
                if found is None:
                    await connection.execute(
                        "INSERT INTO headwater.version VALUES (%s)", (SCHEMA_VERSION,)
                    )
        except psycopg.Error as error:
            raise _translated(error) from error
        if found is not None and found[0] > SCHEMA_VERSION:
            raise IncompatibleVersion(
                "the consensus store was written by a newer version of headwater",
                detail=f"Its schema is {found[0]}; this version reads up to {SCHEMA_VERSION}.",
                hint="Start the version that wrote it, or a later one.",
            )

    async def _read(
        self, query: str, parameters: tuple[object, ...] | dict[str, object]
    ) -> list[tuple[Any, ...]]:
        self._check_open()
        async with self._reading:
            try:
                if self._reader is None or self._reader.broken:
                    self._reader = await self._connect()
                cursor = await self._reader.execute(query.encode(), parameters, binary=True)
                return [] if cursor.description is None else await cursor.fetchall()
            except psycopg.Error as error:
                raise _translated(error) from error

    # Committing

    async def _run(self) -> None:
        while not self._closed or self._waiting:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch = self._take()
                try:
                    if self._writer is None or self._writer.broken:
                        self._writer = await self._connect()
                    await self._commit(self._writer, batch)
                except (psycopg.Error, HeadwaterError) as error:
                    logger.warning("consensus commit failed", extra={"why": str(error)})
                    _fail(batch, _translated(error))
                    if isinstance(error, ConnectionFailure):
                        await self._clock.sleep(RECONNECT_S)
                except BaseException as error:
                    _fail(batch, ConnectionFailure(f"the consensus store has stopped: {error}"))
                    raise

    def _take(self) -> list[_Waiting]:
        """Return the requests for one statement, in order."""
        ops, n = 0, 0
        while n < len(self._waiting) and (n == 0 or ops < BATCH_OPS_MAX):
            ops += len(self._waiting[n].ops)
            n += 1
        batch, self._waiting = self._waiting[:n], self._waiting[n:]
        return batch

    async def _commit(self, connection: _Connection, batch: list[_Waiting]) -> None:
        """Commit what can be committed of a batch, and answer all of it."""
        left = batch
        while left:
            if await self._insert(connection, left):
                for waiting in left:
                    _answer(waiting, COMMITTED)
                # One turn later: the authors go on first and need not read their own versions.
                asyncio.get_running_loop().call_soon(self._push, left)
                return
            left = await self._possible(connection, left)

    def _push(self, committed: list[_Waiting]) -> None:
        for waiting in committed:
            self._fanout.push(waiting.ops)

    async def _insert(self, connection: _Connection, batch: list[_Waiting]) -> bool:
        ops = [op for waiting in batch for op in waiting.ops]
        columns = [op.shard for op in ops], [op.seqno for op in ops], [op.data for op in ops]
        try:
            cursor = await connection.execute(_INSERT, columns, prepare=True)
        except (UniqueViolation, SerializationFailure):
            return False
        return cursor.rowcount == len(ops)

    async def _possible(self, connection: _Connection, batch: list[_Waiting]) -> list[_Waiting]:
        """Answer the requests that cannot succeed; return the others."""
        shards = sorted({op.shard for waiting in batch for op in waiting.ops})
        cursor = await connection.execute(_HEADS, (shards,), prepare=True)
        heads: dict[str, int] = dict(await cursor.fetchall())
        left = []
        for waiting in batch:
            mismatched = tuple(
                op.shard for op in waiting.ops if heads[op.shard] != (op.expected or 0)
            )
            if mismatched:
                _answer(waiting, CommitResult(mismatched))
            else:
                left.append(waiting)
                heads |= {op.shard: op.seqno for op in waiting.ops}
        return left


def _answer(waiting: _Waiting, result: CommitResult) -> None:
    if not waiting.future.done():
        waiting.future.set_result(result)


def _fail(batch: list[_Waiting], error: HeadwaterError) -> None:
    for waiting in batch:
        if not waiting.future.done():
            waiting.future.set_exception(error)


def _translated(error: BaseException) -> HeadwaterError:
    if isinstance(error, HeadwaterError):
        return error
    if isinstance(error, PostgresDiskFull):
        return DiskFull("could not write the consensus store: no space left on device")
    if isinstance(error, psycopg.OperationalError):
        return ConnectionFailure("the consensus store failed", detail=f"{error}.")
    return IoError("the consensus store failed", detail=f"{error}.")
