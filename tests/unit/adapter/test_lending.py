"""Who commits: the group commit, or the store while it is lent the transaction shard. Seeded.

The store here commits rounds at random moments into the very log that the group commit writes to,
and checks that nobody else does meanwhile.
"""

import asyncio
import random

import pytest

from adapter.conftest import StillClock
from headwater.adapter.group_commit import GroupCommit, WriteConflict
from headwater.adapter.lending import Lending
from headwater.adapter.oracle import TimestampOracle
from headwater.persist import flat
from headwater.persist.rounds import Loan, Round
from headwater.runtime.tasks import SupervisedTasks
from headwater.types.ids import ShardId

TABLE = ShardId("t")


class Shard:
    """The transaction shard: an upper, and who wrote what and when."""

    def __init__(self) -> None:
        self.upper = 1
        self.seqno = 0
        self.lent = False
        self.log: list[tuple[int, int, str]] = []
        self.tidied = 0

    def add(self, time: int, rows: int, by: str) -> None:
        assert time >= self.upper, f"{by} writes at {time}, before {self.upper}"
        self.upper = time + 1
        self.seqno += 1
        self.log.append((time, rows, by))

    async def _by_python(self, time: int, rows: int) -> None:
        assert not self.lent, "two write at once"
        seqno = self.seqno
        await asyncio.sleep(0)
        assert self.seqno == seqno, "another one has written meanwhile"
        self.add(time, rows, "python")

    async def commit(self, time, writes):
        await self._by_python(time, sum(flat.count(data) for data in writes.values()))

    async def advance(self, time):
        await self._by_python(time, 0)

    async def register(self, time, tables):
        await self._by_python(time, 0)

    async def forget(self, time, tables):
        await self._by_python(time, 0)

    async def confirm(self):
        pass

    async def leave(self):
        pass

    @property
    def is_untidy(self):
        return len(self.log) >= 40 * (self.tidied + 1)

    async def tidy(self):
        assert not self.lent
        self.tidied += 1

    def loan(self, catalog_version, token):
        return Loan(
            shard=ShardId("txns"),
            seqno=self.seqno,
            upper=self.upper,
            open=False,
            epoch=1,
            catalog_version=catalog_version,
            inline_bytes_max=1 << 16,
            token=token,
        )


class Store:
    """Commits rounds while it may; tells of them a while later, as the thread does."""

    def __init__(self, shard: Shard, rng: random.Random) -> None:
        self.shard = shard
        self.rng = rng
        self.loan: Loan | None = None
        self.announced = False
        self.waiting: list[asyncio.Future[None]] = []
        self.applied = 0
        self.untold: list[Round] = []
        self.nudged: list[int] = []

    def follow(self, on_round, on_ended):
        self.on_round, self.on_ended = on_round, on_ended

    def lend(self, loan):
        if loan.seqno != self.shard.seqno:
            self.on_ended()
            return
        self.loan = loan
        self.shard.lent = True
        self._wake()

    def announce(self):
        self.announced = True

    async def take_back(self, *, soon):
        for _ in range(self.rng.randrange(3)):
            await asyncio.sleep(0)
        self.loan = None
        self.announced = soon
        if not soon:
            self._wake()
        self.tell()
        await asyncio.sleep(0)
        self.shard.lent = False

    def _wake(self):
        for waiting in self.waiting:
            waiting.set_result(None)
        self.waiting = []

    async def insert(self, catalog_version: int) -> int | None:
        """Commit a row as soon as there is a loan, if one was announced; see `round`."""
        while self.loan is None and self.announced:
            waiting = asyncio.get_running_loop().create_future()
            self.waiting.append(waiting)
            await waiting
        return self.round(catalog_version)

    def nudge(self, time):
        self.nudged.append(time)

    def round(self, catalog_version: int) -> int | None:
        """Commit a row; return its time, None where Python is to be asked."""
        if self.loan is None or self.loan.catalog_version != catalog_version:
            return None
        self.shard.add(max(self.shard.upper, 1_000), 1, "store")
        self.applied = self.shard.upper - 1
        self.untold.append(Round(self.applied, (TABLE,), 0.0))
        if self.rng.random() < 0.3:
            self.tell()
        return self.applied

    def tell(self):
        untold, self.untold = self.untold, []
        for round in untold:
            self.on_round(round)


class World:
    """A group commit over a store that is lent to."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.shard = Shard()
        self.store = Store(self.shard, self.rng)
        self.catalog_version = 1
        self.tasks = SupervisedTasks()
        clock = StillClock()
        self.oracle = TimestampOracle(clock, self.shard.upper, lambda: self.store.applied)
        lending = Lending(self.store, self.shard, lambda: self.catalog_version, lambda: b"token-00")
        self.lending = lending
        self.group = GroupCommit(self.oracle, self.shard, clock, self.tasks, lending=lending)
        self.group.start()
        self.acknowledged = 0

    async def insert(self) -> None:
        """Do what the front and ``fast_insert`` do; it must be seen by what begins afterwards."""
        version = self.catalog_version
        time = await self.store.insert(version)
        if time is None:
            rows = flat.build([(b"r", 0, 1)])
            time = await self.group.submit({TABLE: rows}, fast=True)
        self.acknowledged += 1
        assert self.oracle.read_ts() >= time

    async def update(self) -> None:
        """Read, and write what depends on it; what was read must not have changed."""
        read_at = self.oracle.read_ts()
        await asyncio.sleep(0)
        rows = flat.build([(b"r", 0, -1), (b"s", 0, 1)])
        try:
            time = await self.group.write({TABLE: rows}, unless_written_since={TABLE: read_at})
        except WriteConflict:
            return
        self.acknowledged += 2
        between = [at for at, count, _ in self.shard.log if read_at < at < time and count]
        assert not between, f"read at {read_at}, written at {between}, before {time}"

    async def lock(self) -> None:
        async with self.group.locked([TABLE]) as owner:
            read_at = self.oracle.read_ts()
            await asyncio.sleep(0)
            rows = flat.build([(b"l", 0, 1)])
            time = await self.group.write(
                {TABLE: rows}, unless_written_since={TABLE: read_at}, owner=owner
            )
            self.acknowledged += 1
            assert self.oracle.read_ts() >= time

    async def change_catalog(self) -> None:
        async with self.group.changing_catalog():
            await asyncio.sleep(0)
            assert self.store.round(self.catalog_version) is None, "committed for an old catalog"
            self.catalog_version += 1

    async def register(self) -> None:
        await self.group.register([])


@pytest.mark.parametrize("seed", range(30))
async def test_there_is_one_writer_and_nothing_acknowledged_is_unseen(seed: int) -> None:
    world = World(seed)
    rest = (world.update, world.lock, world.change_catalog, world.register)

    async def client() -> None:
        for _ in range(60):
            often = world.rng.random() < 0.85
            await (world.insert if often else world.rng.choice(rest))()
            if world.rng.random() < 0.5:
                await asyncio.sleep(0)

    await asyncio.gather(*(client() for _ in range(4)))
    await world.group.close()
    await world.tasks.close()
    assert sum(rows for _, rows, _ in world.shard.log) == world.acknowledged
    assert any(by == "store" for _, _, by in world.shard.log), "the store was never lent to"
    assert world.shard.tidied


async def test_the_store_is_lent_to_though_there_is_always_a_row_pending() -> None:
    world = World(1)

    async def client() -> None:
        for _ in range(50):
            await world.insert()

    await asyncio.gather(*(client() for _ in range(8)))
    by_python = sum(rows for _, rows, by in world.shard.log if by == "python")
    # Two rounds, the first row alone and the others with the next ones, and no more.
    assert by_python <= 16
    assert world.acknowledged == 400
    await world.group.close()
    await world.tasks.close()


async def test_only_what_is_used_is_lent_again() -> None:
    world = World(1)
    await world.insert()
    await world.insert()
    assert [by for _, _, by in world.shard.log] == ["python", "store"]
    assert world.lending.lent
    world.lending.ticked()
    await world.register()
    assert world.lending.lent, "it was used since the tick before"
    world.lending.ticked()
    await world.register()
    assert not world.lending.lent
    await world.tasks.close()


async def test_writes_that_the_store_cannot_commit_keep_the_shard() -> None:
    world = World(1)
    await world.insert()
    assert world.lending.lent
    await world.group.write({TABLE: flat.build([(b"u", 0, 1)])})
    assert not world.lending.lent
    await world.tasks.close()


async def test_a_nudge_is_the_stores_while_it_has_the_shard() -> None:
    world = World(1)
    await world.insert()
    upper = world.shard.upper
    world.group.nudge(upper + 3)
    world.group.nudge(upper - 1)  # it is past that
    assert world.store.nudged == [upper + 3]
    await world.tasks.close()
