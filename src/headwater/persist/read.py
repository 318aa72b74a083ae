"""Reading shards: a snapshot as of a time, then everything that follows."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from headwater.errors import AsOfBeforeSince, InternalError
from headwater.persist.holds import ShardLog
from headwater.persist.machine import Batch, ShardState
from headwater.persist.parts import Delta, Part, PartRef, Snapshot
from headwater.types.frontier import Frontier, less_equal, show
from headwater.types.ids import ShardId
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp


class Reader(Protocol):
    """A collection to be read: a shard, or a table (a shard behind the transaction shard)."""

    shard: ShardId

    @property
    def desc(self) -> RelationDesc:
        """Return the collection's shape."""
        ...

    @property
    def since(self) -> Frontier:
        """Return the since as this process knows it."""
        ...

    @property
    def upper(self) -> Frontier:
        """Return the upper as this process knows it; the collection's may be beyond."""
        ...

    async def wait_upper(self, time: Timestamp) -> None:
        """Return when ``upper`` is beyond ``time``: its updates are known."""
        ...

    async def snapshot(self, as_of: Timestamp) -> Snapshot:
        """Return the collection as of a time, once its upper is beyond it.

        Shape: the parts' updates, summed; the times of all are ``as_of``.
        Frontiers: needs ``since <= as_of``; waits for ``as_of < upper``.

        Raises:
            AsOfBeforeSince: The time is compacted away.
        """
        ...

    def listen(self, as_of: Timestamp) -> AsyncIterator[Delta]:
        """Yield what follows the snapshot at ``as_of``, without gaps, as it becomes known.

        Frontiers: the first delta's lower is ``as_of + 1``, each other's is the upper before it;
        ends after the delta whose upper is empty. The caller keeps a hold at or before the last
        delta's ``upper - 1``; it needs none while it keeps up.

        Raises:
            AsOfBeforeSince: Compaction has overtaken the listener.
        """
        ...

    async def fetch(self, ref: PartRef) -> bytes:
        """Return the part as stored, its checksum verified.

        Raises:
            DataCorrupted: The blob is missing or damaged.
        """
        ...

    async def fetch_flat(self, ref: PartRef) -> bytes:
        """Return the updates that count, flat, with their times as ``ref`` wants them."""
        ...

    async def close(self) -> None:
        """Let go of the shard."""
        ...


class Fetcher(Protocol):
    """What reads parts: the client."""

    async def fetch(self, ref: PartRef) -> bytes:
        """Return the part as stored, its checksum verified."""
        ...

    async def fetch_flat(self, ref: PartRef, desc: RelationDesc) -> bytes:
        """Return the updates that count."""
        ...


class ReadHandle:
    """A reader of one shard."""

    def __init__(
        self, fetcher: Fetcher, log: ShardLog, close: Callable[[], Awaitable[None]]
    ) -> None:
        self.shard = log.shard
        self.log = log
        self._fetcher = fetcher
        self._close = close

    @property
    def desc(self) -> RelationDesc:
        """Return the shard's shape."""
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
        return self.log.state.upper

    async def wait_upper(self, time: Timestamp) -> None:
        """Return when ``upper`` is beyond ``time``."""
        await self.log.wait(lambda state: not less_equal(state.upper, time))

    async def snapshot(self, as_of: Timestamp) -> Snapshot:
        """Return the collection as of a time, once its upper is beyond it."""
        check_readable(self.shard, self.since, as_of)
        await self.wait_upper(as_of)
        state = self.log.state
        check_readable(self.shard, state.since, as_of)
        return snapshot_of(self.shard, state, as_of)

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

    async def _delta(self, lower: Timestamp) -> Delta:
        """Return what is known from ``lower`` on."""
        if self.since is None:  # the shard is gone
            check_readable(self.shard, self.since, Timestamp(lower - 1))
        return delta_of(self.shard, self.log.state, lower)

    async def fetch(self, ref: PartRef) -> bytes:
        """Return the part as stored, its checksum verified."""
        return await self._fetcher.fetch(ref)

    async def fetch_flat(self, ref: PartRef) -> bytes:
        """Return the updates that count, flat."""
        return await self._fetcher.fetch_flat(ref, self.desc)

    async def close(self) -> None:
        """Let go of the shard."""
        await self._close()


def check_readable(shard: ShardId, since: Frontier, as_of: Timestamp) -> None:
    """Raise AsOfBeforeSince unless ``since <= as_of``."""
    if not less_equal(since, as_of):
        raise AsOfBeforeSince(
            f"time {as_of} is before the since {show(since)} of the collection",
            detail=f"Shard {shard} has been compacted beyond that time.",
        )


def snapshot_of(shard: ShardId, state: ShardState, as_of: Timestamp) -> Snapshot:
    """Return the parts of ``state`` that reach a time at or before ``as_of``."""
    until = Timestamp(as_of + 1)

    def ref(part: Part) -> PartRef:
        return PartRef(shard=shard, part=part, upper=until, as_of=as_of)

    batches = [batch for batch in state.batches if batch.lower <= as_of]
    return Snapshot(
        as_of=as_of,
        parts=tuple(ref(part) for batch in batches for part in batch.parts),
        errors=tuple(ref(part) for batch in batches for part in batch.errors),
    )


def delta_of(shard: ShardId, state: ShardState, lower: Timestamp) -> Delta:
    """Return the updates of ``state`` at times in ``[lower, state.upper)``."""
    parts, errors = refs_between(shard, state.batches, lower, state.upper)
    return Delta(lower=lower, upper=state.upper, parts=parts, errors=errors)


def refs_between(
    shard: ShardId, batches: tuple[Batch, ...], lower: Timestamp, upper: Frontier
) -> tuple[tuple[PartRef, ...], tuple[PartRef, ...]]:
    """Return both halves' parts that may have updates in ``[lower, upper)``."""
    inside: list[Batch] = []
    for batch in reversed(batches):
        if batch.upper is not None and batch.upper <= lower:
            break
        if upper is None or batch.lower < upper:
            inside.append(batch)
    inside.reverse()
    for batch in inside:
        if not batch.is_empty and batch.since >= lower:
            check_readable(shard, batch.since, Timestamp(lower - 1))

    def ref(part: Part) -> PartRef:
        return PartRef(shard=shard, part=part, lower=lower, upper=upper)

    return (
        tuple(ref(part) for batch in inside for part in batch.parts),
        tuple(ref(part) for batch in inside for part in batch.errors),
    )
