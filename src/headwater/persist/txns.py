"""The transaction shard: one log through which all tables commit.

A commit at ``time`` to any number of tables is one version of this log, and so is a tick that
advances every table. Committed writes stay here until they are *applied*: moved, as metadata, into
the tables' own shards, several commits combined, in one atomic commit of both logs::

    txns   upper 40    entries  [t=31: {A: …}]  [t=35: {A: …, B: …}]     applied {A: 30, B: 12}
    A      upper 30    batches  [0, 12) [12, 30)
    B      upper 12    batches  [0, 12)

What a table holds below its shard's upper is in its shard, the rest is in the entries; its own
upper is that of the transaction shard. A reader that looks at the entries first and at the shard
afterwards misses nothing, because what leaves the entries has entered the shard.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from headwater.errors import InternalError, ObjectNotInPrerequisiteState
from headwater.persist import flat
from headwater.persist.errors import fenced
from headwater.persist.holds import ShardLog
from headwater.persist.log import Change, VersionLog
from headwater.persist.machine import Append, ShardState
from headwater.persist.parts import BlobPart, Delta, InlinePart, Part, PartRef, Snapshot
from headwater.persist.read import Fetcher, check_readable, refs_between, snapshot_of
from headwater.persist.txns_machine import (
    TxnApplied,
    TxnCommit,
    TxnFence,
    TxnLeave,
    TxnOp,
    TxnsState,
    parts_between,
)
from headwater.persist.write import Data, Uploader, WriteHandle
from headwater.runtime.tasks import Tasks
from headwater.types.frontier import Frontier, join, less_equal, precedes
from headwater.types.ids import ShardId
from headwater.types.relation import RelationDesc
from headwater.types.time import TIMESTAMP_MIN, Timestamp

TxnsLog = VersionLog[TxnsState, TxnOp]

APPLY_ENTRIES = 32  # commits that wait before they are applied together
APPLY_BYTES = 256 << 10  # inline bytes that do: they are part of each roll-up


class TableStore(Uploader, Protocol):
    """What opens the tables' shards: the client."""

    tasks: Tasks
    owned: set[ShardId]

    @property
    def inline_bytes_max(self) -> int:
        """Return the size up to which parts live in the log."""
        ...

    async def open_writer(
        self, shard: ShardId, desc: RelationDesc, *, epoch: int | None = None
    ) -> WriteHandle:
        """Open a table's shard."""
        ...

    async def shard_log(self, shard: ShardId) -> ShardLog:
        """Open a table's log."""
        ...


class TxnsHandle:
    """The tables' writer: one a process, in the process that owns the tables."""

    def __init__(self, client: TableStore, log: TxnsLog) -> None:
        self.shard = log.shard
        self.log = log
        self.epoch = 0
        self._client = client
        self._tables: dict[ShardId, ShardLog] = {}
        self._descs: dict[ShardId, RelationDesc] = {}
        self._applying = False

    @property
    def upper(self) -> Timestamp:
        """Return the upper of every table."""
        return self.log.state.upper

    @property
    def tables(self) -> frozenset[ShardId]:
        """Return the registered tables."""
        return frozenset(self.log.state.tables)

    async def wait_upper(self, time: Timestamp) -> None:
        """Return when the tables' upper is beyond ``time``."""
        await self.log.wait(lambda state: state.upper > time)

    async def fence(self, epoch: int) -> bool:
        """Become the owner: commits of owners before ``epoch`` fail from now on.

        Returns:
            Whether the owner before, if there was one, had said that it is gone.

        Raises:
            Fenced: A later owner is there already.
        """
        before = self.log.state
        await self._client.commit([Change(self.log, (TxnFence(epoch),))])
        self.epoch = epoch
        return before.left == before.epoch

    async def confirm(self) -> None:
        """Ask consensus whether there was no later owner when it answered.

        Raises:
            Fenced: There was.
        """
        await self.log.refresh()
        if self.log.state.epoch > self.epoch:
            raise fenced(self.log.state.epoch)

    async def leave(self) -> None:
        """Say that this owner is gone: it has stopped reading, and writes no more."""
        await self._client.commit([Change(self.log, (TxnLeave(self.epoch),))])

    async def register(
        self, time: Timestamp, tables: Sequence[tuple[ShardId, RelationDesc]]
    ) -> None:
        """Make shards tables, their shards too if they do not exist; a commit at ``time``.

        Raises:
            UpperMismatch, Fenced: As :meth:`commit`.
        """
        uppers: dict[ShardId, Timestamp] = {}
        for shard, desc in tables:
            await self._client.open_writer(shard, desc)
            log = await self._table(shard)
            upper = log.state.upper
            if upper is None or upper > time:
                raise ObjectNotInPrerequisiteState(
                    f"shard {shard} cannot become a table at time {time}",
                    detail=f"Its upper is {upper}.",
                )
            if shard not in self.log.state.tables:
                uppers[shard] = upper
        await self._commit(TxnCommit(time, self.epoch, register=uppers))

    async def forget(self, time: Timestamp, tables: Sequence[ShardId]) -> None:
        """End tables: their shards' uppers become ``time + 1`` and stay; a commit at ``time``."""
        known = [shard for shard in tables if shard in self.log.state.tables]
        logs = [await self._table(shard) for shard in known]
        upper = Timestamp(time + 1)
        changes = [
            Change(self.log, (TxnCommit(time, self.epoch, forget=tuple(known)),)),
            *(Change(log, self._moving(log, lambda _: upper)) for log in logs),
        ]
        await self._client.commit(changes)
        for shard in known:
            await self._client.let_go(self._tables.pop(shard))

    async def commit(self, time: Timestamp, writes: Mapping[ShardId, Data]) -> None:
        """Commit writes to any number of tables at ``time``, atomically; durable on return.

        Args:
            time: At or beyond the tables' upper, which becomes ``time + 1``.
            writes: For each table flat updates or parts (from :meth:`upload`); the times in them
                are replaced by ``time``.

        Raises:
            UpperMismatch: ``time`` is before the tables' upper. Nothing was changed.
            Fenced: A later owner has taken the tables over. Nothing was changed.
            DiskFull: Nothing was changed.
            ConnectionFailure: The outcome is unknown.

        Cancellation: the commit may or may not have happened, as a whole.
        """
        stamped = {
            shard: parts
            for shard, data in writes.items()
            if (parts := await self._stamped(shard, data, time))
        }
        await self._commit(TxnCommit(time, self.epoch, writes=stamped))

    async def advance(self, time: Timestamp) -> None:
        """Make every table's upper ``time + 1``."""
        await self._commit(TxnCommit(time, self.epoch))

    async def upload(self, shard: ShardId, data: bytes) -> tuple[Part, ...]:
        """Make ``data`` (flat) durable as parts, to be committed later; nobody sees them yet."""
        log = await self._table(shard)
        if log.state.desc is None:
            raise InternalError(f"table {shard} has no shape")
        return await self._client.make_parts(shard, log.state.desc, data, errors=False)

    async def apply(self) -> None:
        """Move what is committed into the tables' shards; metadata only, in one commit."""
        shards = {shard for entry in self.log.state.entries for shard in entry.writes}
        logs = [await self._table(shard) for shard in sorted(shards)]
        if not logs:
            return
        applied = Change(self.log, lambda: self._applied(logs))
        moved = [Change(log, self._moving(log, self._last_upper)) for log in logs]
        await self._client.commit([applied, *moved])

    # Parts of the above

    async def _commit(self, op: TxnCommit) -> None:
        await self._client.commit([Change(self.log, (op,))])
        entries = self.log.state.entries
        if self._applying or not entries:
            return
        if len(entries) >= APPLY_ENTRIES or _inline_bytes(self.log.state) >= APPLY_BYTES:
            self._applying = True
            self._client.tasks.spawn(self._apply_once(), name="persist-apply")

    async def _apply_once(self) -> None:
        try:
            await self.apply()
        finally:
            self._applying = False

    async def _table(self, shard: ShardId) -> ShardLog:
        log = self._tables.get(shard)
        if log is None:
            log = self._tables[shard] = await self._client.shard_log(shard)
            self._client.owned.add(shard)
        return log

    async def _stamped(self, shard: ShardId, data: Data, time: Timestamp) -> tuple[Part, ...]:
        if isinstance(data, bytes):
            if len(data) <= self._client.inline_bytes_max:
                updates = flat.count(data)
                return (InlinePart(flat.stamp(data, time), updates),) if updates else ()
            data = await self.upload(shard, data)
        return tuple(
            msgspec.structs.replace(part, stamp=time)
            if isinstance(part, BlobPart)
            else InlinePart(flat.stamp(part.data, time), part.updates)
            for part in data
        )

    def _last_upper(self, shard: ShardId) -> Timestamp | None:
        """Return the end of the last entry for a table, None if there is no entry."""
        for entry in reversed(self.log.state.entries):
            if shard in entry.writes:
                return Timestamp(entry.time + 1)
        return None

    def _applied(self, logs: Sequence[ShardLog]) -> tuple[TxnOp, ...]:
        state = self.log.state
        uppers = {
            log.shard: upper
            for log in logs
            if log.shard in state.tables and (upper := self._last_upper(log.shard)) is not None
        }
        return (TxnApplied(self.epoch, uppers),) if uppers else ()

    def _moving(
        self, log: ShardLog, upper_of: Callable[[ShardId], Timestamp | None]
    ) -> Callable[[], tuple[Append, ...]]:
        """Return what gives the append that brings a table's shard up to the entries.

        It is asked while both logs are locked; the commit happens only if both were current.
        """

        def ops() -> tuple[Append, ...]:
            state, upper = self.log.state, upper_of(log.shard)
            lower = log.state.upper
            if upper is None or lower is None or log.shard not in state.tables:
                return ()
            if upper <= lower:
                return ()
            parts = _combined(
                parts_between(state, log.shard, lower, upper), self._client.inline_bytes_max
            )
            return (Append(lower, upper, parts),)

        return ops


def _inline_bytes(state: TxnsState) -> int:
    return sum(
        len(part.data)
        for entry in state.entries
        for parts in entry.writes.values()
        for part in parts
        if isinstance(part, InlinePart)
    )


def _combined(parts: Sequence[Part], bytes_max: int) -> tuple[Part, ...]:
    """Return the parts with neighbouring inline ones joined up to ``bytes_max``."""
    result: list[Part] = []
    run: list[bytes] = []
    size = 0

    def flush() -> None:
        nonlocal size
        if run:
            data = flat.concat(run)
            result.append(InlinePart(data, flat.count(data)))
        run.clear()
        size = 0

    for part in parts:
        if not isinstance(part, InlinePart):
            result.append(part)
            continue
        if size + len(part.data) > bytes_max:
            flush()
        run.append(part.data)
        size += len(part.data)
    flush()
    return tuple(result)


class TableReadHandle:
    """A reader of one table: its shard, and the entries that are not applied yet."""

    def __init__(
        self,
        fetcher: Fetcher,
        log: ShardLog,
        txns: TxnsLog,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self.shard = log.shard
        self.log = log
        self.txns = txns
        self._fetcher = fetcher
        self._close = close
        self._seen: Frontier = TIMESTAMP_MIN

    @property
    def desc(self) -> RelationDesc:
        """Return the table's shape."""
        desc = self.log.state.desc
        if desc is None:
            raise InternalError(f"shard {self.shard} has no shape yet")
        return desc

    @property
    def since(self) -> Frontier:
        """Return the since as this process knows it."""
        return self.log.state.since

    @property
    def upper(self) -> Frontier:
        """Return the upper as this process knows it."""
        state = self.txns.state
        own = state.upper if self.shard in state.tables else self.log.state.upper
        self._seen = join((self._seen, own))
        return self._seen

    async def wait_upper(self, time: Timestamp) -> None:
        """Return when ``upper`` is beyond ``time``."""
        await self.txns.wait(lambda state: state.upper > time or self.shard not in state.tables)
        if self.shard not in self.txns.state.tables:
            await self.log.wait(lambda state: not less_equal(state.upper, time))

    async def snapshot(self, as_of: Timestamp) -> Snapshot:
        """Return the table as of a time, once its upper is beyond it."""
        check_readable(self.shard, self.since, as_of)
        await self.wait_upper(as_of)
        txns, state = await self._both()
        check_readable(self.shard, state.since, as_of)
        own = snapshot_of(self.shard, state, as_of)
        until = Timestamp(as_of + 1)
        entries = tuple(
            PartRef(shard=self.shard, part=part, upper=until, as_of=as_of)
            for part in self._entries(txns, state, TIMESTAMP_MIN, until)
        )
        return Snapshot(as_of=as_of, parts=own.parts + entries, errors=own.errors)

    async def listen(self, as_of: Timestamp) -> AsyncIterator[Delta]:
        """Yield what follows the snapshot at ``as_of``."""
        check_readable(self.shard, self.since, as_of)
        lower = Timestamp(as_of + 1)
        while True:
            await self.wait_upper(lower)
            delta = await self._delta(lower)
            yield delta
            if delta.upper is None:
                return
            lower = delta.upper

    async def fetch(self, ref: PartRef) -> bytes:
        """Return the part as stored, its checksum verified."""
        return await self._fetcher.fetch(ref)

    async def fetch_flat(self, ref: PartRef) -> bytes:
        """Return the updates that count, flat."""
        return await self._fetcher.fetch_flat(ref, self.desc)

    async def close(self) -> None:
        """Let go of the table."""
        await self._close()

    async def _both(self) -> tuple[TxnsState, ShardState]:
        """Return both states, the shard's at least as new as the entries' want it."""
        txns = self.txns.state
        if not precedes(txns.tables.get(self.shard, TIMESTAMP_MIN), self.log.state.upper):
            await self.log.refresh()
        return txns, self.log.state

    async def _delta(self, lower: Timestamp) -> Delta:
        txns, state = await self._both()
        upper: Frontier = txns.upper if self.shard in txns.tables else state.upper
        if state.since is None:  # the shard is gone
            check_readable(self.shard, state.since, Timestamp(lower - 1))
        parts, errors = refs_between(self.shard, state.batches, lower, upper)
        entries = tuple(
            PartRef(shard=self.shard, part=part, lower=lower, upper=upper)
            for part in self._entries(txns, state, lower, upper)
        )
        return Delta(lower=lower, upper=upper, parts=parts + entries, errors=errors)

    def _entries(
        self, txns: TxnsState, state: ShardState, lower: Timestamp, upper: Frontier
    ) -> list[Part]:
        """Return the entries' parts in ``[lower, upper)`` that the shard does not have."""
        if state.upper is None:
            return []
        return parts_between(txns, self.shard, max(lower, state.upper), upper)
