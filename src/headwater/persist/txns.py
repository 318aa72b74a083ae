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

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from headwater.errors import InternalError, ObjectNotInPrerequisiteState
from headwater.persist import flat
from headwater.persist.errors import fenced
from headwater.persist.holds import ShardLog
from headwater.persist.log import Change, VersionLog
from headwater.persist.machine import Append
from headwater.persist.parts import BlobPart, InlinePart, Part
from headwater.persist.rounds import Loan
from headwater.persist.txns_machine import (
    TxnApplied,
    TxnCommit,
    TxnFence,
    TxnLeave,
    TxnOp,
    TxnsState,
    is_open,
    parts_between,
)
from headwater.persist.write import Data, Uploader, WriteHandle
from headwater.runtime.tasks import Tasks
from headwater.types.ids import ShardId
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp

TxnsLog = VersionLog[TxnsState, TxnOp]

APPLY_ENTRIES = 32  # commits that wait before they are applied together
APPLY_BYTES = 256 << 10  # inline bytes that do: they are part of each roll-up
# While the shard is lent as many do, because it has to be taken back for it; and it is rolled up
# every so often. Replaying that many versions takes some 5 ms.
APPLY_ENTRIES_LENT = 1024
ROLLUP_VERSIONS_LENT = 1024


class TableStore(Uploader, Protocol):
    """What opens the tables' shards: the client."""

    tasks: Tasks
    owned: set[ShardId]

    @property
    def inline_bytes_max(self) -> int:
        """Return the size up to which parts live in the log."""
        ...

    def token(self) -> bytes:
        """Return what names a commit."""
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

    # Lending; see ``headwater.persist.rounds``

    def loan(self, catalog_version: int, token: bytes) -> Loan | None:
        """Return what a store must know to commit rounds; None while a change is on its way."""
        if self._applying or self.log.lock.locked():
            return None
        self.log.rollup_every = 2 * ROLLUP_VERSIONS_LENT  # :meth:`tidy` does it
        state = self.log.state
        return Loan(
            shard=self.shard,
            seqno=self.log.seqno,
            upper=state.upper,
            open=is_open(state),
            epoch=self.epoch,
            catalog_version=catalog_version,
            inline_bytes_max=self._client.inline_bytes_max,
            token=token,
        )

    @property
    def is_untidy(self) -> bool:
        """Return whether rounds have left :meth:`tidy` something to do."""
        log = self.log
        return (
            len(log.state.entries) >= APPLY_ENTRIES_LENT
            or log.seqno - log.rollup_seqno >= ROLLUP_VERSIONS_LENT
        )

    async def tidy(self) -> None:
        """Apply what rounds have committed, and roll the log up; the shard is not lent."""
        await self.apply()
        if self.log.seqno - self.log.rollup_seqno >= ROLLUP_VERSIONS_LENT:
            await self.log.rollup(self._client.token())

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
        """Return the end of the last complete entry for a table, None if there is none."""
        state = self.log.state
        for entry in reversed(state.entries):
            if entry.time < state.upper and shard in entry.writes:
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
