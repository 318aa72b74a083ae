"""What a refreshed view's shard holds, against the definition: the query as of the last refresh.

The workers are a slow and obvious model of the real ones; shell, sink and persist are real.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from headwater.compute.protocol import OpenSink, RefreshSink, SinkBatch, SinkFrontier
from headwater.compute.sink import SUM_MOVES, FedPart
from headwater.compute.worker import ComputeShell
from headwater.native.loader import native
from headwater.persist import flat
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.types.frontier import Frontier, precedes
from headwater.types.ids import GlobalId, ShardId
from headwater.types.refresh import RefreshEvery, RefreshSchedule
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT4
from headwater.types.time import Timestamp

SHARD, TXNS = ShardId("s1"), ShardId("txns")
DESC = RelationDesc((Column("a", INT4),))
END = 60
TOKEN = 7

Update = tuple[bytes, int, int]


class ModelWorkers:
    """A replica's workers, which know ``query``'s changes at all times before ``known``."""

    def __init__(self, query: Sequence[Update], as_of: int) -> None:
        self.as_of = as_of
        self.query = query
        self.known: Frontier = Timestamp(as_of)
        self.persisted: Frontier = Timestamp(0)
        self.fed: list[Update] = []
        self.asked: list[tuple[int, Frontier]] = []
        self.answered: list[tuple[int, Frontier]] = []
        self.waiting: list[bytes] = []
        self.serve = lambda: None

    def fd(self) -> int:
        raise NotImplementedError("the test calls serve by itself")

    def drain(self) -> list[bytes]:
        waiting, self.waiting = self.waiting, []
        return waiting

    def feed(self, token: int, parts: Sequence[FedPart], upper: int | None) -> None:
        for _, half, data, _, lower, until, as_of in parts:
            assert half == 0
            self.fed.extend(flat.updates(flat.restrict(data, lower, until, as_of)))
        if upper is None or (self.persisted is not None and upper > self.persisted):
            self.persisted = None if upper is None else Timestamp(upper)
        self._answer()

    def tell(
        self,
        uppers: Sequence[tuple[int, int | None]],
        writes: Sequence[tuple[int, int, int | None]],
    ) -> None:
        for token, upper in uppers:
            self.feed(token, (), upper)
        for _, lower, upper in writes:
            self.asked.append((lower, None if upper is None else Timestamp(upper)))
        self._answer()

    def advance(self, known: Frontier) -> None:
        self.known = known
        self._say(SinkFrontier(TOKEN, known))
        self._answer()

    def _answer(self) -> None:
        if not self.asked:
            return
        lower, upper = self.asked[0]
        if not (precedes(Timestamp(lower), self.persisted) and precedes(upper, self.known)):
            return
        self.answered.append(self.asked.pop(0))
        sums: Counter[tuple[bytes, int]] = Counter()
        begin = max(lower, self.as_of)
        for updates, sign in ((self.query, 1), (self.fed, -1)):
            for row, time, diff in updates:
                if upper is None or time < upper:
                    sums[row, max(time, begin)] += sign * diff
        missing = [
            (row, time, diff)
            for (row, time), diff in sums.items()
            if diff and (upper is None or time < upper)
        ]
        self._say(SinkBatch(TOKEN, Timestamp(lower), upper, flat.build(missing), b""))

    def _say(self, request: msgspec.Struct) -> None:
        self.waiting.append(msgspec.msgpack.encode(request))
        asyncio.get_running_loop().call_soon(lambda: self.serve())


class World:
    """A shard, and replicas that write it."""

    def __init__(self, persist: PersistClient, tasks: SupervisedTasks) -> None:
        self.persist = persist
        self.tasks = tasks
        self.failures: list[object] = []

    def replica(
        self, query: Sequence[Update], as_of: int, schedule: RefreshSchedule
    ) -> ModelWorkers:
        workers = ModelWorkers(query, as_of)
        shell = ComputeShell(
            workers, self.persist, self.tasks, TXNS, lambda *told: self.failures.append(told)
        )
        workers.serve = shell.serve
        shell.refresh_sink(RefreshSink(SHARD, schedule))
        desc = msgspec.msgpack.encode(DESC)
        opened = OpenSink(TOKEN, GlobalId("u1"), SHARD, desc, Timestamp(as_of))
        workers.waiting.append(msgspec.msgpack.encode(opened))
        shell.serve()
        return workers

    async def contents(self, time: int) -> Counter[bytes]:
        reader = await self.persist.open_reader(SHARD)
        snapshot = await reader.snapshot(Timestamp(time))
        found: Counter[bytes] = Counter()
        for ref in snapshot.parts:
            for row, at, diff in flat.updates(await reader.fetch_flat(ref)):
                assert at <= time
                found[row] += diff
        return +found

    async def reaches(self, upper: Frontier) -> None:
        """Return when the shard's upper is ``upper``."""
        reader = await self.persist.open_reader(SHARD)
        async with asyncio.timeout(20):
            while not precedes(upper, reader.upper):
                assert reader.upper is not None
                await reader.wait_upper(reader.upper)
        assert reader.upper == upper


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    tasks = SupervisedTasks()
    consensus = await SqliteConsensus.open(tmp_path / "consensus.db")
    persist = PersistClient(
        LocalBlob(tmp_path / "blob"), consensus, SystemClock(), SystemRng(), tasks
    )
    await persist.start()
    await persist.open_writer(SHARD, DESC)
    yield World(persist, tasks)
    await tasks.close()
    await consensus.close()


def _changes(rng: random.Random) -> list[Update]:
    """Rows that come and go at random times."""
    changes: list[Update] = []
    for number in range(rng.randrange(12)):
        row, begin = native.encode_int(number % 4), rng.randrange(END)
        changes.append((row, begin, 1))
        if rng.random() < 0.6:
            changes.append((row, rng.randrange(begin, END), -1))
    return changes


def _schedule(rng: random.Random, as_of: int) -> RefreshSchedule:
    everies = tuple(
        RefreshEvery(rng.choice([1, 3, 10, 25]), Timestamp(rng.randrange(END)))
        for _ in range(rng.randrange(3))
    )
    ats = tuple(Timestamp(rng.randrange(as_of, END)) for _ in range(rng.randrange(3)))
    return RefreshSchedule(everies, ats if everies or ats else (Timestamp(END // 2),))


@pytest.mark.parametrize("seed", range(25))
async def test_a_view_is_its_query_as_of_the_last_refresh(world: World, seed: int) -> None:
    rng = random.Random(seed)
    as_of = rng.randrange(20)
    query, schedule = _changes(rng), _schedule(rng, as_of)
    first = schedule.round_up(Timestamp(as_of))
    assert first is not None
    await world.persist.hold(SHARD, first, name="test", lease=False)
    replicas = [world.replica(query, as_of, schedule)]
    known, upper = as_of, first
    while known < END and upper is not None:
        known += rng.choice([1, 1, 2, 5, 13])
        rng.choice(replicas).advance(Timestamp(known))
        upper = schedule.round_up(Timestamp(known))
        await world.reaches(upper)
        if rng.random() < 0.3 and upper is not None:  # another one, as after a restart
            replicas.append(world.replica(query, min(known, upper - 1), schedule))
    for time in range(first, END if upper is None else min(upper, END)):
        refresh = schedule.before(Timestamp(time + 1))
        assert refresh is not None
        expected: Counter[bytes] = Counter()
        for row, at, diff in query:
            expected[row] += diff if max(at, as_of) <= refresh else 0
        assert await world.contents(time) == +expected, f"at {time}, refreshed at {refresh}"
    assert world.failures == []


async def test_changes_between_refreshes_are_summed_before_the_next_one(world: World) -> None:
    schedule = RefreshSchedule((RefreshEvery(1_000, Timestamp(0)),))
    workers = world.replica([(native.encode_int(1), 5, 1)], 0, schedule)
    workers.advance(Timestamp(1))
    await world.reaches(Timestamp(1_000))
    for known in range(2, SUM_MOVES + 3):
        workers.advance(Timestamp(known))
        await asyncio.sleep(0.005)
    assert [lower for lower, upper in workers.answered if upper is not None and upper < lower] == [
        1_000
    ]
    workers.advance(Timestamp(1_001))
    await world.reaches(Timestamp(2_000))
    assert await world.contents(999) == Counter()
    assert await world.contents(1_000) == Counter({native.encode_int(1): 1})


async def test_a_view_is_final_after_its_last_refresh(world: World) -> None:
    schedule = RefreshSchedule(ats=(Timestamp(3), Timestamp(8)))
    query = [(native.encode_int(n), n, 1) for n in range(20)]
    workers = world.replica(query, 0, schedule)
    workers.advance(Timestamp(9))
    await world.reaches(None)
    assert await world.contents(1_000) == Counter({native.encode_int(n): 1 for n in range(9)})


async def test_a_query_without_inputs_is_written_at_its_first_refresh(world: World) -> None:
    schedule = RefreshSchedule((RefreshEvery(1_000, Timestamp(40)),))
    await world.persist.hold(SHARD, Timestamp(40), name="test", lease=False)
    workers = world.replica([(native.encode_int(1), 0, 1)], 7, schedule)
    workers.advance(None)
    await world.reaches(None)
    assert await world.contents(40) == Counter({native.encode_int(1): 1})
