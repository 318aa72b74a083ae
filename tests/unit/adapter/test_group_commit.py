import asyncio

import pytest

from adapter.conftest import StillClock
from headwater.adapter.constraints import Keys
from headwater.adapter.group_commit import GroupCommit, WriteConflict
from headwater.adapter.oracle import TimestampOracle
from headwater.catalog.items import KeyConstraint, Table
from headwater.errors import AdminShutdown, DiskFull, Fenced, UniqueViolation
from headwater.ir.literals import int_datum
from headwater.persist import flat
from headwater.runtime.clock import SystemClock
from headwater.runtime.tasks import SupervisedTasks
from headwater.types import scalar
from headwater.types.ids import GlobalId, RoleId, SchemaId, ShardId
from headwater.types.relation import Column, RelationDesc

DESC = RelationDesc((Column("a", scalar.INT4),))
A, B = ShardId("a"), ShardId("b")


def row(byte: bytes, diff: int = 1) -> bytes:
    return flat.build([(byte, 0, diff)])


class FakeTxns:
    """Notes what it is asked; ``gate`` holds a commit back, ``error`` fails the next."""

    def __init__(self) -> None:
        self.upper = 1
        self.commits: list[tuple[int, dict[ShardId, bytes]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.error: Exception | None = None

    async def commit(self, time, writes):
        self.asked.set()
        await self.gate.wait()
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.commits.append((time, dict(writes)))
        self.upper = time + 1

    async def advance(self, time):
        self.upper = time + 1

    async def register(self, time, tables):
        self.upper = time + 1

    async def forget(self, time, tables):
        self.upper = time + 1

    async def confirm(self):
        pass

    is_untidy = False

    async def tidy(self):
        pass

    async def leave(self):
        self.left = True


@pytest.fixture
async def tasks():
    tasks = SupervisedTasks()
    yield tasks
    await tasks.close()


def begin(txns, tasks, clock=None, **more):
    clock = clock or StillClock()
    group = GroupCommit(TimestampOracle(clock, txns.upper), txns, clock, tasks, **more)
    group.start()
    return group


async def test_sessions_that_write_together_share_one_append(tasks):
    txns = FakeTxns()
    txns.gate.clear()
    group = begin(txns, tasks)
    first = asyncio.create_task(group.write({A: row(b"0")}))
    await asyncio.sleep(0)
    others = [asyncio.create_task(group.write({A: row(b"%d" % n)})) for n in range(1, 50)]
    await asyncio.sleep(0)
    txns.gate.set()
    times = await asyncio.gather(first, *others)
    assert len(txns.commits) <= 2
    assert sum(flat.count(writes[A]) for _, writes in txns.commits) == 50
    assert sorted(set(times)) == [time for time, _ in txns.commits]


async def test_a_round_waits_a_moment_for_those_who_were_answered(tasks):
    txns = FakeTxns()
    group = begin(txns, tasks)

    async def client():
        for _ in range(20):
            await group.write({A: row(b"1")})

    await asyncio.gather(*(client() for _ in range(8)))
    assert sum(flat.count(writes[A]) for _, writes in txns.commits) == 160
    sizes = [flat.count(writes[A]) for _, writes in txns.commits]
    assert sizes[-10:] == [8] * 10, sizes


async def test_a_write_is_visible_to_reads_that_begin_after_it(tasks):
    txns, clock = FakeTxns(), StillClock()
    oracle = TimestampOracle(clock, txns.upper)
    group = GroupCommit(oracle, txns, clock, tasks)
    group.start()
    for n in range(5):  # the clock stands still, times rise all the same
        ts = await group.write({A: row(b"%d" % n)})
        assert oracle.read_ts() == ts == 1_000 + n


async def test_what_was_read_must_not_have_been_written_since(tasks):
    txns = FakeTxns()
    group = begin(txns, tasks)
    ts = await group.write({A: row(b"1")})
    with pytest.raises(WriteConflict):
        await group.write({A: row(b"2")}, unless_written_since={A: ts - 1})
    assert await group.write({A: row(b"2")}, unless_written_since={A: ts, B: ts}) > ts


async def test_of_two_racing_statements_one_loses(tasks):
    txns = FakeTxns()
    group = begin(txns, tasks)
    ts = await group.write({A: row(b"1")})
    results = await asyncio.gather(
        *(group.write({A: row(b"2")}, unless_written_since={A: ts}) for _ in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(r).__name__ for r in results) == ["WriteConflict", "int"]


async def test_a_lock_holds_other_writers_back(tasks):
    txns = FakeTxns()
    group = begin(txns, tasks)
    async with group.locked([A]) as owner:
        waiting = asyncio.create_task(group.write({A: row(b"1")}))
        free = await group.write({B: row(b"2")})
        own = await group.write({A: row(b"3")}, owner=owner)
        assert not waiting.done()
    assert await waiting > own > free


async def test_a_lock_waits_for_the_round_that_writes_what_it_locks(tasks):
    txns, clock = FakeTxns(), StillClock()
    oracle = TimestampOracle(clock, txns.upper)
    group = GroupCommit(oracle, txns, clock, tasks)
    group.start()
    txns.gate.clear()
    before = asyncio.create_task(group.write({A: row(b"1")}))
    await txns.asked.wait()  # the write is on its way, beyond holding it back

    async def read_then_write():
        async with group.locked([A, B]) as owner:
            read_at = oracle.read_ts()
            return read_at, await group.write(
                {A: row(b"2")}, unless_written_since={A: read_at, B: read_at}, owner=owner
            )

    own = asyncio.create_task(read_then_write())
    await asyncio.sleep(0)
    txns.gate.set()
    read_at, written = await own
    assert await before == read_at < written


async def test_a_full_disk_fails_the_round_and_not_the_server(tasks):
    txns = FakeTxns()
    group = begin(txns, tasks)
    txns.error = DiskFull("no space left")
    with pytest.raises(DiskFull):
        await group.write({A: row(b"1")})
    await group.write({A: row(b"1")})
    assert len(txns.commits) == 1


async def test_a_fenced_server_stops_and_says_so(tasks):
    txns = FakeTxns()
    ended = asyncio.get_running_loop().create_future()
    group = begin(txns, tasks, on_failure=ended.set_result)
    txns.error = Fenced("a newer server has taken this environment over")
    with pytest.raises(Fenced):
        await group.write({A: row(b"1")})
    assert isinstance(await ended, Fenced)
    with pytest.raises(Fenced):  # why it stopped, not merely that it does
        await group.write({A: row(b"1")})


async def test_a_read_of_a_fenced_server_is_refused_and_not_answered(tasks):
    txns, clock = FakeTxns(), StillClock()
    group = GroupCommit(TimestampOracle(clock, txns.upper), txns, clock, tasks)

    async def fenced(time):
        raise Fenced("a newer server has taken this environment over")

    txns.advance = fenced
    group.start()
    with pytest.raises(Fenced):  # nothing has confirmed its epoch yet, and nothing will
        await group.confirmed()


async def test_reads_go_on_while_the_disk_is_full(tasks):
    txns, clock = FakeTxns(), StillClock()
    group = GroupCommit(TimestampOracle(clock, txns.upper), txns, clock, tasks)

    async def full(time):
        raise DiskFull("no space left")

    txns.advance = full
    group.start()
    await group.confirmed()


async def test_a_server_that_stops_says_that_it_is_gone(tasks):
    txns = FakeTxns()
    group = begin(txns, tasks)
    await group.write({A: row(b"1")})
    await group.close()
    assert txns.left
    with pytest.raises(AdminShutdown):
        await group.write({A: row(b"2")})


async def test_a_nudge_moves_the_tables_past_the_time(tasks):
    txns = FakeTxns()
    applied = asyncio.get_running_loop().create_future()
    group = begin(txns, tasks, on_applied=applied.set_result)
    group.nudge(1_000)
    assert await applied == 1_000
    assert txns.upper == 1_001


async def test_times_never_go_back_across_a_restart(persist, tasks):
    txns = await persist.open_txns(ShardId("txns"))
    await txns.fence(1)
    first = begin(txns, tasks, SystemClock())
    await first.register([(A, DESC)])
    written = await first.write({A: row(scalar_int(7))})
    again = await persist.open_txns(ShardId("txns"))
    behind = TimestampOracle(StillClock(0), again.upper)  # the wall clock was set back
    assert behind.read_ts() >= written
    assert behind.write_ts() > written


async def test_the_owner_before_is_fenced(persist, tasks):
    old, new = await persist.open_txns(ShardId("txns")), await persist.open_txns(ShardId("txns"))
    await old.fence(1)
    group = begin(old, tasks, SystemClock())
    await group.register([(A, DESC)])
    await new.fence(2)
    with pytest.raises(Fenced):
        await group.write({A: row(scalar_int(7))})


def scalar_int(value: int) -> bytes:
    return bytes((0x19, value))


TABLE = Table(
    id=GlobalId("u1"),
    oid=1,
    name="t",
    schema=SchemaId("u1"),
    owner=RoleId("u1"),
    desc=DESC,
    shard=A,
    keys=(KeyConstraint("t_pkey", (0,), primary=True, nulls_distinct=False),),
)


def number(value: int, diff: int = 1) -> bytes:
    return flat.build([(int_datum(value), 0, diff)])


def keyed(*stored: bytes, empty: bool = False) -> Keys:
    """Return the keys of TABLE, whose stored parts are read once."""

    async def read(shard):
        assert shard == A
        for part in stored:
            yield part

    keys = Keys(read)
    keys.declare(TABLE, empty=empty)
    return keys


async def test_a_key_that_is_taken_refuses_the_write_and_no_other(tasks):
    txns = FakeTxns()
    group = begin(txns, tasks, keys=keyed(empty=True))
    await group.write({A: number(1)})
    results = await asyncio.gather(
        *(group.write({A: number(n)}) for n in (1, 2, 2, 3)), return_exceptions=True
    )
    assert [isinstance(result, UniqueViolation) for result in results] == [True, False, True, False]
    assert results[0].detail == "Key (a)=(1) already exists."
    written = sum(flat.count(writes[A]) for _, writes in txns.commits)
    assert written == 3


async def test_stored_keys_are_known_before_the_first_write(tasks):
    group = begin(FakeTxns(), tasks, keys=keyed(number(7, -1), number(7), number(8)))
    with pytest.raises(UniqueViolation):
        await group.write({A: number(8)})
    await group.write({A: number(7)})


async def test_keys_of_a_commit_that_failed_are_free_again(tasks):
    txns = FakeTxns()
    group = begin(txns, tasks, keys=keyed(empty=True))
    txns.error = DiskFull("no room")
    with pytest.raises(DiskFull):
        await group.write({A: number(1)})
    await group.write({A: number(1)})
    await group.write({A: number(1, -1)})
    await group.write({A: number(1)})


async def test_a_write_may_be_made_of_the_keys_that_are_free(tasks):
    keys = keyed(empty=True)
    group = begin(FakeTxns(), tasks, keys=keys)
    kept = {}

    def free(n):
        def resolve():
            kept[n] = keys.free(A, flat.concat([number(n), number(9)]), None)
            return {A: kept[n]}

        return resolve

    await asyncio.gather(*(group.write({A: flat.EMPTY}, resolve=free(n)) for n in (1, 2, 3)))
    assert sorted(flat.count(data) for data in kept.values()) == [1, 1, 2]
