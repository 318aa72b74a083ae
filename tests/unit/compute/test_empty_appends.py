"""Sinks that have nothing to write: their uppers move together, and no sink waits for another."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from headwater.compute.protocol import OpenSink, SinkBatch, SinkFrontier
from headwater.compute.sink import FedPart
from headwater.compute.worker import ComputeShell
from headwater.errors import DiskFull
from headwater.persist import flat
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient
from headwater.persist.consensus import Cas, CommitResult
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.types.ids import GlobalId, ShardId
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT4
from headwater.types.time import Timestamp

DESC = RelationDesc((Column("a", INT4),))
VIEWS = 50
SHARDS = [ShardId(f"s{number}") for number in range(VIEWS)]
TXNS = ShardId("txns")
BEGIN = Timestamp(5)


class Consensus(SqliteConsensus):
    """Counts commits; ``before`` is done once, ahead of the next commit of several shards."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.commits = 0
        self.before: list[object] = []

    async def commit(self, ops: Sequence[Cas]) -> CommitResult:
        self.commits += 1
        if len(ops) > 1 and self.before:
            step = self.before.pop()
            if isinstance(step, BaseException):
                raise step
            await step  # type: ignore[misc]
        return await super().commit(ops)


class QuietWorkers:
    """Workers whose views are empty at all times."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.serve = lambda: None

    def fd(self) -> int:
        raise NotImplementedError("the test calls serve by itself")

    def drain(self) -> list[bytes]:
        waiting, self.waiting = self.waiting, []
        return waiting

    def feed(self, token: int, parts: Sequence[FedPart], upper: int | None) -> None:
        assert parts == (), (token, upper)

    def tell(
        self,
        uppers: Sequence[tuple[int, int | None]],
        writes: Sequence[tuple[int, int, int | None]],
    ) -> None:
        del uppers
        for token, lower, upper in writes:
            frontier = None if upper is None else Timestamp(upper)
            self.say(SinkBatch(token, Timestamp(lower), frontier, flat.EMPTY, flat.EMPTY))

    def say(self, request: msgspec.Struct) -> None:
        if not self.waiting:
            asyncio.get_running_loop().call_soon(lambda: self.serve())
        self.waiting.append(msgspec.msgpack.encode(request))

    def advance(self, time: int) -> None:
        for token in range(VIEWS):
            self.say(SinkFrontier(token, Timestamp(time)))


class Replica:
    """A shell over a persist client of its own."""

    def __init__(self, persist: PersistClient, tasks: SupervisedTasks) -> None:
        self.told: list[tuple[object, object]] = []
        self.workers = QuietWorkers()
        shell = ComputeShell(
            self.workers, persist, tasks, TXNS, lambda *told: self.told.append(told)
        )
        self.workers.serve = shell.serve
        desc = msgspec.msgpack.encode(DESC)
        for token, shard in enumerate(SHARDS):
            self.workers.say(OpenSink(token, GlobalId(f"u{token}"), shard, desc, BEGIN))


@asynccontextmanager
async def _client(
    folder: Path, consensus: Consensus, tasks: SupervisedTasks
) -> AsyncIterator[PersistClient]:
    client = PersistClient(LocalBlob(folder), consensus, SystemClock(), SystemRng(), tasks)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def consensus(tmp_path: Path) -> AsyncIterator[Consensus]:
    opened = await Consensus.open(tmp_path / "consensus.db")
    assert isinstance(opened, Consensus)
    yield opened
    await opened.close()


@pytest.fixture
async def tasks() -> AsyncIterator[SupervisedTasks]:
    supervised = SupervisedTasks()
    yield supervised
    await supervised.close()


@pytest.fixture
async def clients(
    tmp_path: Path, consensus: Consensus, tasks: SupervisedTasks
) -> AsyncIterator[list[PersistClient]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(_client(tmp_path / "blob", consensus, tasks))
            for _ in range(3)
        ]


async def _reach(client: PersistClient, time: int) -> None:
    """Return when all shards' uppers are ``time``."""
    async with asyncio.timeout(20):
        for shard in SHARDS:
            reader = await client.open_reader(shard)
            await reader.wait_upper(Timestamp(time - 1))
            assert reader.upper == time
            await reader.close()


async def _made(clients: list[PersistClient]) -> None:
    for shard in SHARDS:
        await clients[-1].open_writer(shard, DESC)


async def test_many_uppers_move_in_few_commits(
    clients: list[PersistClient], consensus: Consensus, tasks: SupervisedTasks
) -> None:
    await _made(clients)
    replica = Replica(clients[0], tasks)
    await _reach(clients[1], BEGIN)
    for time in (10, 20, 30):
        before = consensus.commits
        replica.workers.advance(time)
        await _reach(clients[1], time)
        assert consensus.commits - before <= 3
    assert replica.told == []


async def test_two_replicas_move_them_together(
    clients: list[PersistClient], tasks: SupervisedTasks
) -> None:
    await _made(clients)
    replicas = [Replica(client, tasks) for client in clients[:2]]
    await _reach(clients[2], BEGIN)
    for time in range(10, 200, 10):
        for replica in replicas if time % 20 else reversed(replicas):
            replica.workers.advance(time)
        await _reach(clients[2], time)
    assert [replica.told for replica in replicas] == [[], []]


async def test_a_view_that_another_replica_has_written_does_not_hold_up_the_others(
    clients: list[PersistClient], consensus: Consensus, tasks: SupervisedTasks
) -> None:
    await _made(clients)
    replica = Replica(clients[0], tasks)
    await _reach(clients[1], BEGIN)
    writer = await clients[1].open_writer(SHARDS[3], DESC)
    consensus.before = [writer.compare_and_append(b"", BEGIN, Timestamp(7))]
    replica.workers.advance(10)
    await _reach(clients[1], 10)
    assert consensus.before == []
    replica.workers.advance(20)
    await _reach(clients[1], 20)
    assert replica.told == []


async def test_where_the_common_commit_fails_each_sink_appends_by_itself(
    clients: list[PersistClient], consensus: Consensus, tasks: SupervisedTasks
) -> None:
    await _made(clients)
    replica = Replica(clients[0], tasks)
    await _reach(clients[1], BEGIN)
    consensus.before = [DiskFull("no space left on device")]
    replica.workers.advance(10)
    await _reach(clients[1], 10)
    assert consensus.before == []
