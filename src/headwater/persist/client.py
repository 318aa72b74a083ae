"""PersistClient: everything a process does with shards goes through one of these."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from headwater.errors import (
    DataCorrupted,
    ExternalError,
    HeadwaterError,
    IncompatibleVersion,
    InternalError,
    ObjectNotInPrerequisiteState,
    TransientError,
    UndefinedObject,
    invariant,
)
from headwater.persist import codec, flat
from headwater.persist.blob import Blob
from headwater.persist.compact import sweep_orphans
from headwater.persist.consensus import Consensus, SeqNo
from headwater.persist.errors import UpperMismatch, fenced
from headwater.persist.holds import ReadHold, ShardLog, downgrade_many
from headwater.persist.log import RETRY_SECONDS, Change, Rejected, VersionLog, commit
from headwater.persist.machine import (
    BadBounds,
    Close,
    Describe,
    Fence,
    FencedBy,
    Hold,
    Machine,
    Rejection,
    ShardMachine,
    UnknownHold,
    WrongDesc,
    WrongUpper,
)
from headwater.persist.maintain import Maintenance
from headwater.persist.parts import BlobPart, InlinePart, Part, PartRef
from headwater.persist.read import Reader, ReadHandle
from headwater.persist.txns import TxnsHandle
from headwater.persist.txns_machine import TxnsMachine, UnknownTable, blob_keys
from headwater.persist.txns_read import TableReadHandle
from headwater.persist.write import ShardAppend, WriteHandle
from headwater.runtime.clock import Clock
from headwater.runtime.rng import Rng
from headwater.runtime.tasks import Tasks
from headwater.types.frontier import Frontier
from headwater.types.ids import ShardId
from headwater.types.relation import RelationDesc
from headwater.types.time import TIMESTAMP_MIN

logger = logging.getLogger(__name__)

S = TypeVar("S")
O = TypeVar("O")  # noqa: E741 - pairs with S


class PersistConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and periods.

    Attributes:
        consensus_timeout_s: How long an operation waits for consensus before it fails.
        maintenance_s: Period of roll-ups, compaction and lease renewal.
        backstop_s: Period of the poll that finds what pushes have missed.
        lease_ms: How long a leased hold outlives its owner.
        garbage_ms: How long a blob stays after its last reference; longer than any read of it.
        inline_bytes_max: Parts up to this size live in the log; None: what the store suggests.
        compact_batches: A shard with more batches than this is compacted.
        compact_inline_bytes: Likewise one with more inline bytes than this.
        part_bytes: Compaction makes parts of about this size, flat.
    """

    consensus_timeout_s: float = 30.0
    maintenance_s: float = 1.0
    backstop_s: float = 60.0
    lease_ms: int = 60_000
    garbage_ms: int = 600_000
    inline_bytes_max: int | None = None
    compact_batches: int = 16
    compact_inline_bytes: int = 256 << 10
    part_bytes: int = 32 << 20


class PersistClient:
    """Opens shards and commits changes of several of them at once.

    One a process; lives on one asyncio loop. :meth:`start` before use, :meth:`close` after.
    """

    def __init__(
        self,
        blob: Blob,
        consensus: Consensus,
        clock: Clock,
        rng: Rng,
        tasks: Tasks,
        config: PersistConfig | None = None,
    ) -> None:
        self.blob = blob
        self.consensus = consensus
        self.clock = clock
        self.rng = rng
        self.tasks = tasks
        self.config = config or PersistConfig()
        self.logs: dict[ShardId, VersionLog[Any, Any]] = {}
        self.holds: dict[tuple[ShardId, str], ReadHold] = {}
        self.owned: set[ShardId] = set()  # what this process writes, and so compacts
        self._users: dict[ShardId, int] = {}
        self._opening: dict[ShardId, asyncio.Lock] = {}
        self._subscription = consensus.subscribe(self._pushed)
        self._machine = ShardMachine()
        self._txns_machine = TxnsMachine()
        self._gaps: set[ShardId] = set()
        self.closed = False

    async def start(self) -> None:
        """Begin maintenance."""
        self.tasks.spawn(Maintenance(self).run(), name="persist-maintenance")

    async def close(self) -> None:
        """Let go of everything; consensus, blob and tasks stay the caller's."""
        self.closed = True
        self._subscription.close()
        gone = InternalError("the persist client is closed")
        for log in self.logs.values():
            log.fail(gone)

    # Opening

    async def open_writer(
        self, shard: ShardId, desc: RelationDesc, *, epoch: int | None = None
    ) -> WriteHandle:
        """Open a shard for appending, making it if it does not exist.

        Raises:
            ObjectNotInPrerequisiteState: The shard has a shape that ``desc`` does not follow.
        """
        log = await self.shard_log(shard)
        self.owned.add(shard)
        if log.state.desc != desc:
            await self.commit([Change(log, (Describe(desc),))])
        return WriteHandle(self, log, desc, epoch)

    async def open_reader(self, shard: ShardId, txns: ShardId | None = None) -> Reader:
        """Open a shard for reading; ``txns``: a table, whose upper is the transaction shard's.

        Raises:
            UndefinedObject: There is no such shard.
        """
        log = await self.shard_log(shard)
        if log.state.desc is None:
            await self.let_go(log)
            raise UndefinedObject(f'shard "{shard}" does not exist')
        if txns is None:
            return ReadHandle(self, log, lambda: self.let_go(log))
        txns_log = await self.open_log(txns, self._txns_machine)

        async def close() -> None:
            await self.let_go(log)
            await self.let_go(txns_log)

        if shard not in txns_log.state.tables and log.state.upper == TIMESTAMP_MIN:
            await close()
            raise UndefinedObject(f'shard "{shard}" is no table')
        return TableReadHandle(self, log, txns_log, close)

    async def open_txns(self, shard: ShardId) -> TxnsHandle:
        """Open the transaction shard as the tables' owner; made if it does not exist."""
        log = await self.open_log(shard, self._txns_machine)
        self.owned.add(shard)
        return TxnsHandle(self, log)

    async def hold(
        self, shard: ShardId, since: Frontier, *, name: str = "", lease: bool = True
    ) -> ReadHold:
        """Take a read hold; its ``since`` is later than asked if that is compacted away.

        Args:
            shard: The shard, which must exist.
            since: What is to stay readable.
            name: The name of a durable hold; it is taken over, as it stands, if it exists.
            lease: Whether the hold ends with this process.
        """
        invariant(lease != bool(name), "a durable hold has a name, a lease has none")
        log = await self.shard_log(shard)
        if not lease and name in log.state.holds:
            return ReadHold(self, log, name, log.state.holds[name].since, leased=False)
        expires_ms = self.clock.now_ms() + self.config.lease_ms if lease else None
        name = name or self.rng.token().hex()
        await self.commit([Change(log, (Hold(name, since, expires_ms),))])
        hold = ReadHold(self, log, name, log.state.holds[name].since, leased=lease)
        if lease:
            self.holds[shard, name] = hold
        return hold

    # Changing

    async def append_many(self, appends: Sequence[ShardAppend]) -> None:
        """Do all appends in one atomic commit, or none and raise the first one's error."""
        await self.commit(
            [await a.writer.change(a.data, a.lower, a.upper, errors=a.errors) for a in appends]
        )

    async def downgrade_many(self, downgrades: "list[tuple[ReadHold, Frontier]]") -> None:
        """Advance many holds in one commit."""
        await downgrade_many(self, downgrades)

    async def fence(self, shard: ShardId, epoch: int) -> None:
        """Make appends of owners before ``epoch`` fail from now on."""
        log = await self.shard_log(shard)
        await self.commit([Change(log, (Fence(epoch),))])
        await self.let_go(log)

    async def finalize(self, shard: ShardId) -> None:
        """End a shard: its data are removed in the background. Doing so twice is no error."""
        log = await self.shard_log(shard)
        await self.commit([Change(log, (Close(self.clock.now_ms()),))])
        if log.state.garbage:
            self.owned.add(shard)  # stays open for its garbage to be collected
        else:
            await self.let_go(log)

    async def sweep(self, txns: Sequence[ShardId] = ()) -> int:
        """Remove what crashes have left behind; for the environment's owner, now and then.

        Args:
            txns: The transaction shards, whose entries refer to parts.

        Returns:
            The number of blobs removed; those of ended shards follow in the background.
        """
        referenced: set[str] = set()
        for shard in txns:
            txns_log = await self.open_log(shard, self._txns_machine)
            referenced |= blob_keys(txns_log.state)
            await self.let_go(txns_log)
        removed = 0
        for shard in await self.consensus.list_shards():
            if shard in txns:
                continue
            log = await self.shard_log(shard)
            removed += await sweep_orphans(self, log, referenced)
            if log.state.upper is None and log.state.since is None and log.state.garbage:
                self.owned.add(shard)
            else:
                await self.let_go(log)
        return removed

    async def commit(self, changes: Sequence[Change]) -> None:
        """Apply all changes or none and raise the first one's error."""
        if not changes:
            return
        rejected = await commit(
            self.consensus,
            self.clock,
            changes,
            self.rng.token(),
            self.config.consensus_timeout_s,
        )
        if rejected is not None:
            raise _error(rejected)

    def token(self) -> bytes:
        """Return what names a commit: no other has it."""
        return self.rng.token()

    # Parts

    @property
    def inline_bytes_max(self) -> int:
        """Return the size up to which parts live in the log."""
        configured = self.config.inline_bytes_max
        return self.consensus.inline_bytes_max if configured is None else configured

    async def make_parts(
        self, shard: ShardId, desc: RelationDesc, data: bytes, *, errors: bool
    ) -> tuple[Part, ...]:
        """Return ``data`` as parts: inline while small, else written to the blob store."""
        updates = flat.count(data)
        if updates == 0:
            return ()
        if len(data) <= self.inline_bytes_max:
            return (InlinePart(data=data, updates=updates),)
        return await self.write_parts(shard, desc, data, errors=errors)

    async def write_parts(
        self, shard: ShardId, desc: RelationDesc, data: bytes, *, errors: bool
    ) -> tuple[BlobPart, ...]:
        """Write a batch to the blob store, in parts of about ``part_bytes``."""
        if len(data) <= self.config.part_bytes:
            encoded = [await asyncio.to_thread(codec.encode, desc, data, errors=errors)]
        else:
            encoded = await asyncio.to_thread(
                codec.split, desc, data, self.config.part_bytes, errors=errors
            )
        writes = [self.store_part(shard, part) for part in encoded if part.updates]
        return tuple(await asyncio.gather(*writes))

    async def store_part(self, shard: ShardId, encoded: codec.EncodedPart) -> BlobPart:
        """Write an encoded part to the blob store."""
        key = f"{shard}/{self.clock.now_ms():013d}-{self.rng.token().hex()}.{encoded.encoding}"
        await self.blob.put(key, encoded.data)
        return BlobPart(
            key=key,
            encoding=encoded.encoding,
            updates=encoded.updates,
            bytes=len(encoded.data),
            checksum=codec.checksum(encoded.data),
            stats=encoded.info.stats,
            first=encoded.info.first,
            last=encoded.info.last,
        )

    async def fetch(self, ref: PartRef) -> bytes:
        """Return the part as stored, its checksum verified."""
        part = ref.part
        if isinstance(part, InlinePart):
            return part.data
        data = await self.blob.get(part.key)
        codec.verify(ref, part, data)
        return data

    async def fetch_flat(self, ref: PartRef, desc: RelationDesc) -> bytes:
        """Return the updates that count, flat."""
        data = await self.fetch(ref)
        if isinstance(ref.part, InlinePart):
            return codec.decode(desc, ref, data)
        return await asyncio.to_thread(codec.decode, desc, ref, data)

    # Logs

    async def open_log(self, shard: ShardId, machine: Machine[S, O]) -> VersionLog[S, O]:
        """Return the shard's log, up to date with at least the moment of the call."""
        if self.closed:
            raise InternalError("the persist client is closed")
        self._users[shard] = self._users.get(shard, 0) + 1
        async with self._opening.setdefault(shard, asyncio.Lock()):
            log = self.logs.get(shard)
            if log is None:
                log = VersionLog(shard, machine, self.consensus, self.config.consensus_timeout_s)
                self.logs[shard] = log
                try:
                    await self._subscription.add(shard)
                    await log.refresh()
                except BaseException:
                    self.logs.pop(shard, None)
                    self._subscription.remove(shard)
                    self._users[shard] -= 1
                    raise
                return log
        await log.refresh()
        return log

    async def shard_log(self, shard: ShardId) -> ShardLog:
        """Return a shard's log; to be given back by :meth:`let_go`."""
        return await self.open_log(shard, self._machine)

    async def let_go(self, log: VersionLog[Any, Any]) -> None:
        """Forget a shard when its last user is gone."""
        shard = log.shard
        if shard not in self._users:
            return
        self._users[shard] -= 1
        if self._users[shard] <= 0 and self.logs.get(shard) is log:
            del self._users[shard], self.logs[shard]
            self._opening.pop(shard, None)
            self.owned.discard(shard)
            self._subscription.remove(shard)

    def _pushed(self, shard: ShardId, seqno: SeqNo, data: bytes | None) -> None:
        log = self.logs.get(shard)
        if log is None:
            return
        if (data is None or log.push(seqno, data)) and shard not in self._gaps:
            self._gaps.add(shard)
            self.tasks.spawn(self._fill_gap(log), name=f"persist-refresh-{shard}")

    async def _fill_gap(self, log: VersionLog[Any, Any]) -> None:
        """Read what pushes have missed, however often it takes."""
        self._gaps.discard(log.shard)
        while not self.closed and self.logs.get(log.shard) is log:
            try:
                await log.refresh()
                return
            except (DataCorrupted, IncompatibleVersion) as error:
                log.fail(error)
                return
            except (TransientError, ExternalError) as error:
                logger.debug("shard not read", extra={"shard": log.shard, "why": str(error)})
            await self.clock.sleep(RETRY_SECONDS)


def _error(rejected: Rejected) -> HeadwaterError:
    shard, reason = rejected.log.shard, rejected.reason
    match reason:
        case WrongUpper(current, wanted):
            return UpperMismatch(shard, wanted, current)
        case FencedBy(epoch):
            return fenced(epoch)
        case WrongDesc():
            return ObjectNotInPrerequisiteState(f"shard {shard} has another shape")
        case UnknownHold(hold):
            return ObjectNotInPrerequisiteState(
                f"read hold {hold} on shard {shard} has run out or was released"
            )
        case BadBounds(lower, upper):
            return InternalError(
                f"append to shard {shard} is empty in time",
                detail=f"Its lower is {lower}, its upper {upper}.",
            )
        case UnknownTable(table):
            return UndefinedObject(f'shard "{table}" is no table')
        case Rejection():
            return ObjectNotInPrerequisiteState(
                f"shard {shard} does not allow that", detail=repr(reason)
            )
