"""Consensus in one SQLite file: a single owner thread commits for everyone (group commit).

All versions of all shards are appended to one table in commit order, so that a commit that touches
hundreds of shards dirties few pages; where a shard's versions stand is known from memory::

    shard(no, name)      log(pos, shard, seqno, data)      pos rises by one a version

The thread drains its queue, applies what is in it inside one transaction (one fsync: WAL with
``synchronous=FULL``), and hands all results to the loop at once. Another process may write to the
same file (a newer owner that is about to fence us): ``PRAGMA data_version`` tells, and the index is
read again. Checkpoints run on a thread of their own, so that they do not stand in a commit's way.

Source: design, section 11 (0.18 ms a commit; NORMAL loses acknowledged commits with the power).
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from headwater.errors import (
    DataCorrupted,
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
from headwater.persist.parts import INLINE_BYTES_MAX_SQLITE
from headwater.types.ids import ShardId

logger = logging.getLogger(__name__)

T = TypeVar("T")

SCHEMA_VERSION = 1
BATCH_MAX = 512  # a transaction with as many requests takes no more: what one full disk takes back
CHECKPOINT_WAL_BYTES = 4 << 20  # the WAL is folded into the file when it has grown by this much
TRUNCATE_WAL_BYTES = 64 << 20  # and cut, at the price of a late commit, beyond this
BUSY_TIMEOUT_MS = 5_000  # another owner may commit at the same moment, for a moment
DELETES_MAX = 64  # versions removed a transaction: truncation gives way to commits

# Nothing is added where another process has written since the index was read.
_APPEND_ONE = "INSERT INTO log SELECT ?, ?, ?, ? FROM pragma_data_version WHERE data_version = ?"
_SCHEMA = """
CREATE TABLE shard (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE log (pos INTEGER PRIMARY KEY, shard INTEGER NOT NULL, seqno INTEGER NOT NULL,
                  data BLOB NOT NULL);
"""


class _Commit(msgspec.Struct):
    ops: Sequence[Cas]
    future: "asyncio.Future[Any]"


class _Call(msgspec.Struct):
    work: Callable[[], Any]
    future: "asyncio.Future[Any]"


class _Truncate(msgspec.Struct):
    shard: ShardId
    before: SeqNo
    future: "asyncio.Future[Any]"


_Request = _Commit | _Call | _Truncate


class _ShardIndex:
    """Where a shard's versions stand: ``positions[i]`` is version ``first + i``."""

    __slots__ = ("first", "no", "positions")

    def __init__(self, no: int) -> None:
        self.no = no
        self.first = 1
        self.positions: deque[int] = deque()

    @property
    def head(self) -> int:
        return self.first + len(self.positions) - 1


class SqliteConsensus:
    """The store in the file ``path``; made if it does not exist. Use :meth:`open`."""

    inline_bytes_max = INLINE_BYTES_MAX_SQLITE

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[tuple[_Request, ...] | None] = queue.SimpleQueue()
        self._held: list[_Request] | None = None
        self._fanout = Fanout()
        self._shards: dict[ShardId, _ShardIndex] = {}
        self._by_no: dict[int, ShardId] = {}
        self._last_pos = 0
        self._data_version = -1
        self._doomed: deque[int] = deque()
        self._wal_bytes = 0
        self._checkpoint_due = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="consensus", daemon=True)
        self._checkpointer = threading.Thread(
            target=self._checkpoint, name="consensus-checkpoint", daemon=True
        )
        self._opened: asyncio.Future[None] = self._loop.create_future()

    @classmethod
    async def open(cls, path: Path) -> "SqliteConsensus":
        """Open or make the store.

        Raises:
            IncompatibleVersion: A newer version of headwater made the file.
            DataCorrupted: The file is no such store.
        """
        store = cls(path)
        store._thread.start()
        await store._opened
        store._checkpointer.start()
        return store

    # On the loop

    async def commit(self, ops: Sequence[Cas]) -> CommitResult:
        """Apply all ``ops`` or none; durable on return."""
        invariant(len(ops) <= COMMIT_OPS_MAX, "commit is bounded", ops=len(ops))
        size = sum(len(op.data) for op in ops)
        invariant(size <= COMMIT_BYTES_MAX, "commit is bounded", bytes=size)
        future: asyncio.Future[CommitResult] = self._loop.create_future()
        self._put(_Commit(ops, future))
        return await future

    async def scan(self, shard: ShardId, from_seqno: SeqNo) -> list[tuple[SeqNo, bytes]]:
        """Return the versions from ``from_seqno`` on, oldest first."""
        future: asyncio.Future[list[tuple[SeqNo, bytes]]] = self._loop.create_future()
        self._put(_Call(lambda: self._scan(shard, from_seqno), future))
        return await future

    async def truncate(self, shard: ShardId, before: SeqNo) -> None:
        """Remove versions before ``before``, keeping the newest."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._put(_Truncate(shard, before, future))
        await future

    async def list_shards(self) -> list[ShardId]:
        """Return the shards that have a version."""
        future: asyncio.Future[list[ShardId]] = self._loop.create_future()
        self._put(_Call(self._list, future))
        return await future

    def subscribe(self, callback: PushCallback) -> Subscription:
        """Return a flow of pushes of what this process commits."""
        return self._fanout.subscribe(callback)

    async def close(self) -> None:
        """Finish what was asked and close the file."""
        if self._stopping:
            return
        self._stopping = True
        self._hand_over()
        self._queue.put(None)
        self._checkpoint_due.set()
        for thread in (self._thread, self._checkpointer):
            await asyncio.to_thread(thread.join)

    async def on_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on the owner's thread, between transactions."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._put(_Call(lambda: work(self._connection), future))
        return await future

    def _put(self, request: _Request) -> None:
        """Hand a request to the thread: at once, unless this turn of the loop has woken it already.

        Every put wakes the thread, and many come in one turn when a tick moves many views.
        """
        if self._stopping:
            raise IoError("the consensus store is closed")
        if self._held is None:
            self._held = []
            self._loop.call_soon(self._hand_over)
            self._queue.put((request,))
        else:
            self._held.append(request)

    def _hand_over(self) -> None:
        held, self._held = self._held, None
        if held:
            self._queue.put(tuple(held))

    def _deliver(self, done: list[tuple[_Request, Any]]) -> None:
        pushes: list[Sequence[Cas]] = []
        for request, result in done:
            if isinstance(request, _Commit) and result is COMMITTED:
                pushes.append(request.ops)
            if request.future.done():
                continue
            if isinstance(result, HeadwaterError):
                request.future.set_exception(result)
            else:
                request.future.set_result(result)
        if pushes:
            # One turn later, so that the authors go on first and need not read their own versions.
            self._loop.call_soon(self._push, pushes)

    def _push(self, pushes: list[Sequence[Cas]]) -> None:
        for ops in pushes:
            self._fanout.push(ops)

    # On the owner's thread

    def _run(self) -> None:
        try:
            self._connection = _connect(self._path)
            self._load()
        except (HeadwaterError, sqlite3.Error, OSError) as error:
            outcome = _translated(error, self._path)
            self._loop.call_soon_threadsafe(self._opened.set_exception, outcome)
            return
        self._loop.call_soon_threadsafe(self._opened.set_result, None)
        while self._turn():
            pass
        self._connection.close()

    def _turn(self) -> bool:
        """Apply what is in the queue in one transaction; return whether to go on."""
        requests: list[_Request] = []
        going = True
        try:
            some = self._queue.get(timeout=0.01 if self._doomed else None)
            while some is not None:
                requests.extend(some)
                if len(requests) >= BATCH_MAX:
                    break
                some = self._queue.get_nowait()
            else:
                going = False
        except queue.Empty:
            pass
        done = self._apply(requests)
        if done:
            try:
                self._loop.call_soon_threadsafe(self._deliver, done)
            except RuntimeError:
                return False  # the loop is gone, and with it everyone who waits
        return going

    def _apply(self, requests: list[_Request]) -> list[tuple[_Request, Any]]:
        done: list[tuple[_Request, Any]] = []
        commits = [request for request in requests if isinstance(request, _Commit)]
        if commits or self._doomed:
            try:
                done.extend(self._transact(commits))
            except (HeadwaterError, sqlite3.Error) as error:
                outcome = _translated(error, self._path)
                logger.warning("consensus commit failed", extra={"reason": str(error)})
                self._reload()
                done.extend((commit, outcome) for commit in commits)
        for request in requests:
            if isinstance(request, _Truncate):
                self._doom(request.shard, request.before)
                done.append((request, None))
            elif isinstance(request, _Call):
                try:
                    self._sync()
                    done.append((request, request.work()))
                except (HeadwaterError, sqlite3.Error) as error:
                    done.append((request, _translated(error, self._path)))
        return done

    def _transact(self, commits: list[_Commit]) -> list[tuple[_Request, Any]]:
        one = len(commits) == 1 and len(commits[0].ops) == 1 and not self._doomed
        if one and self._append_one(commits[0].ops[0]):
            return [(commits[0], COMMITTED)]
        done: list[tuple[_Request, Any]] = []
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._sync()
            rows: list[tuple[int, int, int, bytes]] = []
            for commit in commits:
                done.append((commit, self._check(commit.ops, rows)))
            if rows:
                self._connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?)", rows)
            doomed = [self._doomed.popleft() for _ in range(min(DELETES_MAX, len(self._doomed)))]
            if doomed:
                self._connection.executemany(
                    "DELETE FROM log WHERE pos = ?", [(pos,) for pos in doomed]
                )
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        self._wrote(sum(len(row[3]) + 256 for row in rows) + len(doomed) * 64)
        return done

    def _append_one(self, op: Cas) -> bool:
        """Add one version as a transaction of one statement; return whether that was possible.

        It is the group commit's usual case, and each statement hands the interpreter's lock about.
        """
        index = self._shards.get(op.shard)
        if index is None or index.head != op.expected:
            return False
        row = (self._last_pos + 1, index.no, op.seqno, op.data, self._data_version)
        try:
            added = self._connection.execute(_APPEND_ONE, row).rowcount
        except sqlite3.OperationalError:
            return False  # another owner is at it, or the disk is full: the long way says which
        if added != 1:
            return False  # another owner has been at it
        self._last_pos += 1
        index.positions.append(self._last_pos)
        self._wrote(len(op.data) + 256)
        return True

    def _wrote(self, size: int) -> None:
        self._wal_bytes += size + 8192
        if self._wal_bytes >= CHECKPOINT_WAL_BYTES:
            self._wal_bytes = 0
            self._checkpoint_due.set()

    def _check(self, ops: Sequence[Cas], rows: list[tuple[int, int, int, bytes]]) -> CommitResult:
        mismatched = []
        for op in ops:
            index = self._shards.get(op.shard)
            head = 0 if index is None else index.head
            if head != (op.expected or 0):
                mismatched.append(op.shard)
        if mismatched:
            return CommitResult(tuple(mismatched))
        for op in ops:
            index = self._shards.get(op.shard) or self._new_shard(op.shard)
            self._last_pos += 1
            index.positions.append(self._last_pos)
            rows.append((self._last_pos, index.no, op.seqno, op.data))
        return COMMITTED

    def _new_shard(self, name: ShardId) -> _ShardIndex:
        no = max(self._by_no, default=0) + 1
        self._connection.execute("INSERT INTO shard VALUES (?, ?)", (no, name))
        return self._know(no, name)

    def _know(self, no: int, name: ShardId) -> _ShardIndex:
        index = self._shards[name] = _ShardIndex(no)
        self._by_no[no] = name
        return index

    def _scan(self, shard: ShardId, from_seqno: SeqNo) -> list[tuple[SeqNo, bytes]]:
        index = self._shards.get(shard)
        if index is None:
            return []
        found = []
        execute = self._connection.execute
        for seqno in range(max(from_seqno, index.first), index.head + 1):
            pos = index.positions[seqno - index.first]
            row = execute("SELECT data FROM log WHERE pos = ?", (pos,)).fetchone()
            if row is None:  # another owner truncated it
                self._reload()
                return self._scan(shard, from_seqno)
            found.append((SeqNo(seqno), row[0]))
        return found

    def _list(self) -> list[ShardId]:
        return [name for name, index in self._shards.items() if index.positions]

    def _doom(self, shard: ShardId, before: SeqNo) -> None:
        index = self._shards.get(shard)
        while index is not None and index.first < before and len(index.positions) > 1:
            self._doomed.append(index.positions.popleft())
            index.first += 1

    # The index

    def _sync(self) -> None:
        """Read the index again if another process has written."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._data_version:
            self._data_version = version
            self._load()

    def _reload(self) -> None:
        try:
            self._load()
        except sqlite3.Error as error:
            logger.warning("consensus index not readable", extra={"reason": str(error)})
            self._data_version = -1

    def _load(self) -> None:
        execute = self._connection.execute
        self._shards, self._by_no, self._last_pos = {}, {}, 0
        self._doomed.clear()
        for no, name in execute("SELECT no, name FROM shard"):
            self._know(no, name)
        for pos, no, seqno in execute("SELECT pos, shard, seqno FROM log ORDER BY pos"):
            index = self._shards[self._by_no[no]]
            if not index.positions:
                index.first = seqno
            if seqno != index.head + 1:
                # Truncation removes in order, but a crash may leave some of what it had doomed.
                index.positions.clear()
                index.first = seqno
            index.positions.append(pos)
            self._last_pos = pos
        (self._data_version,) = execute("PRAGMA data_version").fetchone()

    # On the checkpointer's thread

    def _checkpoint(self) -> None:
        try:
            connection = _connect(self._path)
        except (HeadwaterError, sqlite3.Error) as error:
            logger.warning("no checkpoints", extra={"reason": str(error)})
            return
        wal = self._path.with_name(self._path.name + "-wal")
        while True:
            self._checkpoint_due.wait()
            self._checkpoint_due.clear()
            if self._stopping:
                break
            try:
                # A connection that has not read yet would checkpoint nothing, silently.
                connection.execute("SELECT 1 FROM shard LIMIT 1").fetchone()
                large = wal.exists() and wal.stat().st_size > TRUNCATE_WAL_BYTES
                mode = "TRUNCATE" if large else "PASSIVE"
                connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
            except (sqlite3.Error, OSError) as error:
                logger.warning("checkpoint failed", extra={"reason": str(error)})
        connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000, cached_statements=32
    )
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "wal_autocheckpoint=0",
        "cache_size=-16384",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        connection.close()
        raise IncompatibleVersion(
            f'consensus store "{path}" was written by a newer version of headwater',
            detail=f"Its schema is {version}; this version reads up to {SCHEMA_VERSION}.",
            hint="Start the version that wrote it, or a later one.",
        )
    if version == 0:
        connection.executescript(
            f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;"
        )
    return connection


def _translated(error: BaseException, path: Path) -> HeadwaterError:
    if isinstance(error, HeadwaterError):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return DiskFull(f'could not write consensus store "{path}": no space left on device')
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DataCorrupted(f'consensus store "{path}" is damaged', detail=f"{error}.")
    return IoError(f'consensus store "{path}" failed', detail=f"{error}.")
