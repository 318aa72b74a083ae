"""Consensus in one SQLite file: ``rust/hw-consensus``, whose thread commits for everyone.

The thread takes what was asked, applies it inside one transaction (one fsync: WAL with
``synchronous=FULL``), and hands all results to the loop at once. Another process may write to the
same file (a newer owner that is about to fence us). It also commits rounds of inserts (``rounds``).

All of a process's access to the file goes through one library: SQLite's locks are the process's,
and a second library's would take the first one's away when it closes the file.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from headwater.errors import (
    DataCorrupted,
    DiskFull,
    HeadwaterError,
    IncompatibleVersion,
    IoError,
    invariant,
)
from headwater.native.loader import native
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
from headwater.persist.rounds import Loan, Round
from headwater.types.ids import ShardId

SCHEMA_VERSION = 1
_DRAIN_MAX = 1024  # events taken at once, so that the loop serves others in between
# Rounds that follow each other closely are told together, this long after those before: whoever
# follows the tables wakes for each time that he is told.
_TELL_EVERY_S = 0.005


class SqliteConsensus:
    """The store in the file ``path``; made if it does not exist. Use :meth:`open`.

    Attributes:
        native: The store itself, for the front, which hands it rows.
    """

    inline_bytes_max = INLINE_BYTES_MAX_SQLITE

    def __init__(self, path: Path, store: Any) -> None:
        self.native = store
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._fanout = Fanout()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._commits: dict[int, Sequence[Cas]] = {}
        self._last_id = 0
        self._pushes: list[Sequence[Cas]] = []
        self._rounds: list[tuple[Cas, Round]] = []
        self._told_at = 0.0
        self._on_round: Callable[[Round], None] = lambda _: None
        self._on_ended: Callable[[], None] = lambda: None
        self._closed = False
        self._loop.add_reader(store.fd(), self._drain)

    @classmethod
    async def open(cls, path: Path) -> "SqliteConsensus":
        """Open or make the store.

        Raises:
            IncompatibleVersion: A newer version of headwater made the file.
            DataCorrupted: The file is no such store.
        """
        try:
            store = await asyncio.to_thread(native.Consensus, str(path))
        except ValueError as error:
            raise _error(path, *error.args) from error
        return cls(path, store)

    # What the others ask

    async def commit(self, ops: Sequence[Cas]) -> CommitResult:
        """Apply all ``ops`` or none; durable on return."""
        invariant(len(ops) <= COMMIT_OPS_MAX, "commit is bounded", ops=len(ops))
        size = sum(len(op.data) for op in ops)
        invariant(size <= COMMIT_BYTES_MAX, "commit is bounded", bytes=size)
        id, future = self._ask()
        self._commits[id] = ops
        self.native.commit(id, [(op.shard, op.expected or 0, op.data) for op in ops])
        mismatched = await future
        return CommitResult(tuple(mismatched)) if mismatched else COMMITTED

    async def scan(self, shard: ShardId, from_seqno: SeqNo) -> list[tuple[SeqNo, bytes]]:
        """Return the versions from ``from_seqno`` on, oldest first."""
        id, future = self._ask()
        self.native.scan(id, shard, from_seqno)
        return cast("list[tuple[SeqNo, bytes]]", await future)

    async def truncate(self, shard: ShardId, before: SeqNo) -> None:
        """Remove versions before ``before``, keeping the newest."""
        id, future = self._ask()
        self.native.truncate(id, shard, before)
        await future

    async def list_shards(self) -> list[ShardId]:
        """Return the shards that have a version."""
        id, future = self._ask()
        self.native.list_shards(id)
        return cast("list[ShardId]", await future)

    async def pragma(self, name: str, value: int | None = None) -> int:
        """Set a pragma of the connection that commits, where a value is given; return its value."""
        id, future = self._ask()
        self.native.pragma(id, name, value)
        return int(await future)

    def subscribe(self, callback: PushCallback) -> Subscription:
        """Return a flow of pushes of what this process commits."""
        return self._fanout.subscribe(callback)

    async def close(self) -> None:
        """Finish what was asked and close the file."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self.native.close)
        self._drain()
        self._loop.remove_reader(self.native.fd())

    # Rounds of inserts; see ``headwater.persist.rounds``

    def follow(self, on_round: Callable[[Round], None], on_ended: Callable[[], None]) -> None:
        """Name who is told, on the loop, of rounds and of loans that end by themselves."""
        self._on_round, self._on_ended = on_round, on_ended

    def lend(self, loan: Loan) -> None:
        """Let the store commit rows from now on; ``on_ended`` follows where it can't."""
        if not self._closed:
            self.native.give(**msgspec.structs.asdict(loan))

    def announce(self) -> None:
        """Have the store keep rows that come from now on: it is lent the shard soon."""
        if not self._closed:
            self.native.announce()

    async def take_back(self, *, soon: bool) -> None:
        """Return when the store commits no more and all its rounds have been told."""
        id, future = self._ask()
        self.native.take_back(id, soon=soon)
        await future

    def nudge(self, time: int) -> None:
        """Have the tables' upper pass ``time`` as soon as the clock has; nothing without a loan."""
        if not self._closed:
            self.native.nudge(time)

    # What the thread says

    def _ask(self) -> "tuple[int, asyncio.Future[Any]]":
        if self._closed:
            raise IoError("the consensus store is closed")
        self._last_id += 1
        future = self._asked[self._last_id] = self._loop.create_future()
        return self._last_id, future

    def _drain(self) -> None:
        for event in self.native.drain(_DRAIN_MAX):
            match event:
                case ("round", shard, expected, data, time, began_ns, tables):
                    cas = Cas(shard, expected or None, data)
                    self._rounds.append((cas, Round(time, tuple(tables), began_ns / 1e9)))
                case ("done", id, value):
                    self._tell()
                    self._done(id, value)
                case ("failed", id, (kind, detail)):
                    self._tell()
                    self._failed(id, _error(self._path, kind, detail))
                case _:
                    self._tell()
                    self._on_ended()
        if self._rounds:
            late = self._told_at + _TELL_EVERY_S - self._loop.time()
            if late <= 0:
                self._tell()
            else:
                self._loop.call_later(late, self._tell)
        if self._pushes:
            # One turn later, so that the authors go on first and need not read their own versions.
            self._loop.call_soon(self._push)

    def _done(self, id: int, value: object) -> None:
        ops = self._commits.pop(id, None)
        if ops is not None and not value:
            self._pushes.append(ops)
        future = self._asked.pop(id)
        if not future.done():
            future.set_result(value)

    def _failed(self, id: int, error: HeadwaterError) -> None:
        self._commits.pop(id, None)
        future = self._asked.pop(id)
        if not future.done():
            future.set_exception(error)

    def _tell(self) -> None:
        """Tell of rounds: who has taken the shard back goes on with all that was done to it."""
        if not self._rounds:
            return
        rounds, self._rounds = self._rounds, []
        self._told_at = self._loop.time()
        self._push()  # what was committed before them
        for cas, _ in rounds:
            self._fanout.push((cas,))
        for _, round in rounds:
            self._on_round(round)

    def _push(self) -> None:
        pushes, self._pushes = self._pushes, []
        for ops in pushes:
            self._fanout.push(ops)


def _error(path: Path, kind: str, detail: str) -> HeadwaterError:
    match kind:
        case "full":
            return DiskFull(f'could not write consensus store "{path}": no space left on device')
        case "newer":
            return IncompatibleVersion(
                f'consensus store "{path}" was written by a newer version of headwater',
                detail=f"{detail.capitalize()}; this version reads up to {SCHEMA_VERSION}.",
                hint="Start the version that wrote it, or a later one.",
            )
        case "damaged":
            return DataCorrupted(f'consensus store "{path}" is damaged', detail=f"{detail}.")
        case _:
            return IoError(f'consensus store "{path}" failed', detail=f"{detail}.")
