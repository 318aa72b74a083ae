"""The stores of a simulated environment: they delay, reorder, fail and forget, by one seed.

The world also keeps what was really committed, apart from how persist represents it, and checks on
every version that the state machines' promises hold.
"""

import asyncio
import random
from typing import Any

import msgspec

from headwater.errors import ConnectionFailure, DataCorrupted, DiskFull, HeadwaterError, IoError
from headwater.persist import codec, flat
from headwater.persist.consensus import COMMITTED, Cas, CommitResult, PushCallback
from headwater.persist.machine import Append, Ops, Rejection, Rollup, ShardMachine, ShardState
from headwater.persist.parts import BlobPart, PartRef
from headwater.persist.txns_machine import TxnApplied, TxnCommit, TxnFence, TxnsMachine, TxnsState
from headwater.types.frontier import precedes
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8

DESC = RelationDesc((Column("a", INT8),))
TXNS = "txns"


class Faults(msgspec.Struct):
    """How often things go wrong, as probabilities, and how slow they are."""

    lost_request: float = 0.0
    lost_answer: float = 0.0
    disk_full: float = 0.0
    lost_push: float = 0.0
    blob: float = 0.0
    slow: float = 0.0
    delay_s: float = 0.001
    push_s: float = 0.001
    slow_s: float = 2.0


class World:
    """What survives crashes: logs and blobs; and the truth about them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        pick = self.rng.choice
        self.faults = Faults(
            lost_request=pick((0, 0.02, 0.1)),
            lost_answer=pick((0, 0.02, 0.1)),
            disk_full=pick((0, 0, 0.05)),
            lost_push=pick((0, 0.05, 0.3)),
            blob=pick((0, 0.05, 0.2)),
            slow=pick((0, 0.02)),
            delay_s=pick((0.0001, 0.001, 0.01)),
            push_s=pick((0.0001, 0.01, 0.2)),
        )
        self.logs: dict[str, list[tuple[int, bytes]]] = {}
        self.blobs: dict[str, bytes] = {}
        self.states: dict[str, Any] = {}
        self.history: dict[str, list[flat.Update]] = {}
        self.subscriptions: list[_Subscription] = []
        self.trace: list[object] = []
        self.epoch = 0

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.faults = Faults()

    async def pause(self) -> None:
        """Let some time pass, sometimes much."""
        faults = self.faults
        slow = self.rng.random() < faults.slow
        await asyncio.sleep(self.rng.uniform(0, faults.slow_s if slow else faults.delay_s))

    def happens(self, probability: float) -> bool:
        """Return whether a fault happens now."""
        return self.rng.random() < probability

    def truth(self, shard: str, time: int) -> list[flat.Update]:
        """Return what the collection is as of a time."""
        sums: dict[bytes, int] = {}
        for row, at, diff in self.history.get(shard, ()):
            if at <= time:
                sums[row] = sums.get(row, 0) + diff
        return sorted((row, time, diff) for row, diff in sums.items() if diff)

    # Committing for real

    def apply(self, ops: "list[Cas]") -> CommitResult:
        """Commit, check, and tell subscribers; the one moment at which things happen."""
        mismatched = tuple(op.shard for op in ops if self.head(op.shard) != (op.expected or 0))
        if mismatched:
            return CommitResult(mismatched)
        for op in ops:
            self.logs.setdefault(op.shard, []).append((op.seqno, op.data))
            self.trace.append((op.shard, op.seqno, len(op.data)))
            self._check(op)
        for subscription in list(self.subscriptions):
            subscription.tell(ops)
        return COMMITTED

    def head(self, shard: str) -> int:
        """Return the newest version's number."""
        log = self.logs.get(shard)
        return log[-1][0] if log else 0

    def _check(self, op: Cas) -> None:
        machine: Any = TxnsMachine() if op.shard == TXNS else ShardMachine()
        version = machine.decode(op.data[1:])
        before = self.states.get(op.shard, machine.initial())
        if isinstance(version, Rollup):
            assert version.state == before, f"roll-up of {op.shard} is not the state"
            return
        assert isinstance(version, Ops)
        state = before
        for change in version.ops:
            if isinstance(change, TxnFence):
                self.epoch = max(self.epoch, change.epoch)
            if isinstance(change, TxnCommit | TxnApplied):
                assert change.epoch >= self.epoch, "a fenced owner has committed"
            after = machine.apply(state, change, op.seqno)
            assert not isinstance(after, Rejection), f"{change} was committed: {after}"
            self._remember(op.shard, change)
            state = after
        self.states[op.shard] = state
        assert precedes(before.upper, state.upper), "upper went back"
        if isinstance(state, TxnsState):
            times = [entry.time for entry in state.entries]
            assert times == sorted(times)
            assert all(time <= state.upper for time in times), "more than the upper is open"
        else:
            check_shard(before, state)

    def _remember(self, shard: str, op: object) -> None:
        match op:
            case Append(parts=parts) if not self._is_table(shard):
                for part in parts:
                    self.history.setdefault(shard, []).extend(self._updates(shard, part))
            case TxnCommit(time=time, writes=writes):
                for table, parts in writes.items():
                    for part in parts:
                        updates = list(self._updates(table, part))
                        assert all(at == time for _, at, _ in updates), "stamped"
                        self.history.setdefault(table, []).extend(updates)

    def _is_table(self, shard: str) -> bool:
        return shard.startswith("t")

    def _updates(self, shard: str, part: Any) -> list[flat.Update]:
        data = self.blobs[part.key] if isinstance(part, BlobPart) else part.data
        return list(flat.updates(codec.decode(DESC, PartRef(shard, part), data)))


def check_shard(before: ShardState, state: ShardState) -> None:
    """Check a shard's invariants over one step."""
    assert precedes(state.since, state.upper), "since is beyond upper"
    assert precedes(before.since, state.since), "since went back"
    at: Any = state.batches[0].lower if state.batches else None
    for batch in state.batches:
        assert batch.lower == at, "batches are not contiguous"
        assert state.since is None or batch.since <= state.since
        at = batch.upper
    if state.batches:
        assert at == state.upper, "the last batch does not end at upper"
        assert state.batches[0].lower == 0


class _Subscription:
    def __init__(self, world: World, store: "SimConsensus", callback: PushCallback) -> None:
        self._world = world
        self._store = store
        self._callback = callback
        self._shards: set[str] = set()
        world.subscriptions.append(self)

    async def add(self, shard: str) -> None:
        await self._world.pause()
        self._shards.add(shard)

    def remove(self, shard: str) -> None:
        self._shards.discard(shard)

    def close(self) -> None:
        if self in self._world.subscriptions:
            self._world.subscriptions.remove(self)

    def tell(self, ops: "list[Cas]") -> None:
        world = self._world
        loop = asyncio.get_running_loop()
        for op in ops:
            if op.shard not in self._shards:
                continue
            delay = world.rng.uniform(0, world.faults.push_s)
            if world.happens(world.faults.lost_push):  # the connection broke, and comes back
                loop.call_later(delay * 2, self._push, op.shard, 0, None)
            else:
                loop.call_later(delay, self._push, op.shard, op.seqno, op.data)

    def _push(self, shard: str, seqno: int, data: bytes | None) -> None:
        if not self._store.dead and shard in self._shards:
            self._callback(shard, seqno, data)


class SimConsensus:
    """The consensus store as one process sees it."""

    inline_bytes_max = 100

    def __init__(self, world: World) -> None:
        self._world = world
        self.dead = False

    async def commit(self, ops: Any) -> CommitResult:
        world = self._world
        await world.pause()
        self._check_alive()
        if world.happens(world.faults.disk_full):
            raise DiskFull("could not write consensus store: no space left on device")
        if world.happens(world.faults.lost_request):
            raise ConnectionFailure("the request was lost")
        # From here on the commit happens whether or not its author waits for it.
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[CommitResult] = loop.create_future()
        delay = world.rng.uniform(0, world.faults.delay_s)
        if world.happens(world.faults.slow):
            delay += world.rng.uniform(0, world.faults.slow_s)
        loop.call_later(delay, self._apply, list(ops), outcome)
        result = await asyncio.shield(outcome)
        await world.pause()
        self._check_alive()
        if world.happens(world.faults.lost_answer):
            raise ConnectionFailure("the answer was lost")
        return result

    def _apply(self, ops: "list[Cas]", outcome: "asyncio.Future[CommitResult]") -> None:
        try:
            outcome.set_result(self._world.apply(ops))
        except AssertionError as error:
            self._world.trace.append(error)
            outcome.set_exception(error)

    async def scan(self, shard: str, from_seqno: int) -> list[tuple[int, bytes]]:
        await self._fallible()
        found = [entry for entry in self._world.logs.get(shard, ()) if entry[0] >= from_seqno]
        await self._fallible()
        return found

    async def truncate(self, shard: str, before: int) -> None:
        await self._fallible()
        log = self._world.logs.get(shard, [])
        self._world.logs[shard] = [e for e in log if e[0] >= before] or log[-1:]

    async def list_shards(self) -> list[str]:
        await self._fallible()
        return list(self._world.logs)

    def subscribe(self, callback: PushCallback) -> _Subscription:
        return _Subscription(self._world, self, callback)

    async def close(self) -> None:
        self.dead = True

    async def _fallible(self) -> None:
        await self._world.pause()
        self._check_alive()
        if self._world.happens(self._world.faults.lost_request):
            raise ConnectionFailure("the request was lost")

    def _check_alive(self) -> None:
        if self.dead:
            raise asyncio.CancelledError


class SimBlob:
    """The blob store as one process sees it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def get(self, key: str) -> bytes:
        await self._fallible(IoError)
        if key not in self._world.blobs:
            raise DataCorrupted(f'blob "{key}" is missing')
        return self._world.blobs[key]

    async def put(self, key: str, data: bytes) -> None:
        await self._fallible(DiskFull)
        self._world.blobs[key] = data
        await self._fallible(IoError)

    async def delete(self, key: str) -> None:
        await self._fallible(IoError)
        self._world.blobs.pop(key, None)

    async def list(self, prefix: str) -> Any:
        await self._fallible(IoError)
        return sorted(key for key in self._world.blobs if key.startswith(prefix))

    async def _fallible(self, error: type[HeadwaterError]) -> None:
        await self._world.pause()
        if self._world.happens(self._world.faults.blob):
            raise error("the blob store failed")


class SimClock:
    """The loop's time, from some day on."""

    def __init__(self, skew_ms: int = 0) -> None:
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        return 1_700_000_000_000 + self._skew_ms + int(asyncio.get_running_loop().time() * 1000)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
