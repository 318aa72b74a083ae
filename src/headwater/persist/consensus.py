"""Consensus: a versioned log per shard, changed by compare-and-set over several shards at once.

Versions of a shard are numbered from 1 without gaps; ``truncate`` removes the oldest, never the
newest. What a commit wrote is durable when it returns and is then pushed to subscribers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NewType, Protocol, TypeVar

import msgspec

from headwater.errors import ConnectionFailure
from headwater.types.ids import ShardId

SeqNo = NewType("SeqNo", int)
T = TypeVar("T")

# Bounds on what is asked of a store at once; more is a bug of the caller.
COMMIT_OPS_MAX = 10_000
COMMIT_BYTES_MAX = 64 << 20


class Cas(msgspec.Struct, frozen=True, array_like=True):
    """Add the version after ``expected`` (None: the first) to a shard's log."""

    shard: ShardId
    expected: SeqNo | None
    data: bytes

    @property
    def seqno(self) -> SeqNo:
        """Return the number of the version to be added."""
        return SeqNo((self.expected or 0) + 1)


class CommitResult(msgspec.Struct, frozen=True, array_like=True):
    """``mismatched`` names the shards whose head was not as expected; empty: committed."""

    mismatched: tuple[ShardId, ...] = ()

    @property
    def committed(self) -> bool:
        """Return whether all ops were applied; if not, none was."""
        return not self.mismatched


COMMITTED = CommitResult()

# Called on the loop with a committed version, in the order of a shard's versions; with no data
# where versions may have been missed and the shard is to be scanned again.
PushCallback = Callable[[ShardId, SeqNo, bytes | None], None]


class Subscription(Protocol):
    """A flow of pushes; it begins with no shard."""

    async def add(self, shard: ShardId) -> None:
        """Push what is committed to ``shard`` from now on; a scan afterwards misses nothing."""
        ...

    def remove(self, shard: ShardId) -> None:
        """Stop pushing ``shard``."""
        ...

    def close(self) -> None:
        """Stop pushing."""
        ...


class Consensus(Protocol):
    """The store of shards' logs.

    Raises:
        DiskFull: From ``commit``: nothing was changed.
        ConnectionFailure: From any method: no answer; a commit may or may not have happened.
        IoError: As ConnectionFailure, from the store itself.
    """

    inline_bytes_max: int

    async def commit(self, ops: Sequence[Cas]) -> CommitResult:
        """Apply all ``ops`` or none; durable on return. At most one op a shard."""
        ...

    async def scan(self, shard: ShardId, from_seqno: SeqNo) -> list[tuple[SeqNo, bytes]]:
        """Return the versions from ``from_seqno`` on that are not truncated, oldest first."""
        ...

    async def truncate(self, shard: ShardId, before: SeqNo) -> None:
        """Remove versions before ``before``, keeping at least the newest."""
        ...

    async def list_shards(self) -> list[ShardId]:
        """Return the shards that have a version."""
        ...

    def subscribe(self, callback: PushCallback) -> Subscription:
        """Return a flow of pushes to ``callback``."""
        ...

    async def close(self) -> None:
        """Finish what was asked and let go of the store."""
        ...


class Fanout:
    """Subscriptions within one process; used by the stores that this process commits to."""

    def __init__(self) -> None:
        self._by_shard: dict[ShardId, dict[_LocalSubscription, None]] = {}

    def subscribe(self, callback: PushCallback) -> "_LocalSubscription":
        """Return a subscription that receives what :meth:`push` is given."""
        return _LocalSubscription(callback, self._by_shard)

    def push(self, ops: Sequence[Cas]) -> None:
        """Hand committed ops to those who subscribed to their shards."""
        for op in ops:
            for subscription in tuple(self._by_shard.get(op.shard, ())):
                subscription.callback(op.shard, op.seqno, op.data)


class _LocalSubscription:
    def __init__(
        self,
        callback: PushCallback,
        by_shard: "dict[ShardId, dict[_LocalSubscription, None]]",
    ) -> None:
        self.callback = callback
        self._by_shard = by_shard
        self._shards: set[ShardId] = set()

    async def add(self, shard: ShardId) -> None:
        self._shards.add(shard)
        self._by_shard.setdefault(shard, {})[self] = None

    def remove(self, shard: ShardId) -> None:
        self._shards.discard(shard)
        subscribers = self._by_shard.get(shard, {})
        subscribers.pop(self, None)
        if not subscribers:
            self._by_shard.pop(shard, None)

    def close(self) -> None:
        for shard in tuple(self._shards):
            self.remove(shard)


async def within(seconds: float, what: str, answer: Awaitable[T]) -> T:
    """Return the answer or raise ConnectionFailure if there is none after ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError as late:
        raise ConnectionFailure(
            f"the consensus store did not answer within {seconds:g} s", detail=f"While {what}."
        ) from late
