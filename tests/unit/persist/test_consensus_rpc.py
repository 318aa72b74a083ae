"""Consensus over a socket: lost connections, refused clients."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from headwater.errors import InvalidParameterValue
from headwater.persist import flat
from headwater.persist import rpc_wire as wire
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient
from headwater.persist.consensus import Cas
from headwater.persist.consensus_rpc import ConsensusServer, RpcConsensus, parse_address
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8

DESC = RelationDesc((Column("a", INT8),))


@pytest.fixture
async def store(tmp_path: Path):
    store = await SqliteConsensus.open(tmp_path / "consensus.db")
    yield store
    await store.close()


@pytest.fixture
async def tasks():
    tasks = SupervisedTasks()
    yield tasks
    await tasks.close()


class ForgetfulStore:
    """A store whose server dies after each commit was applied, before it is answered."""

    def __init__(self, inner: SqliteConsensus) -> None:
        self._inner = inner
        self.server: ConsensusServer | None = None
        self.forgets = 0

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    async def commit(self, ops):
        result = await self._inner.commit(ops)
        if self.forgets and result.committed:
            self.forgets -= 1
            for client in tuple(self.server.clients):
                client.drop()
        return result


async def connect(server: ConsensusServer, tasks: SupervisedTasks) -> RpcConsensus:
    return await RpcConsensus.connect(server.address, SystemClock(), SystemRng(), tasks)


async def persist(store: RpcConsensus, tmp_path: Path, tasks: SupervisedTasks) -> PersistClient:
    return PersistClient(LocalBlob(tmp_path / "blob"), store, SystemClock(), SystemRng(), tasks)


async def test_a_commit_whose_answer_is_lost_happens_once(store, tmp_path, tasks) -> None:
    forgetful = ForgetfulStore(store)
    server = await ConsensusServer.start(forgetful, "tcp://127.0.0.1:0", tasks)
    forgetful.server = server
    rpc = await connect(server, tasks)
    client = await persist(rpc, tmp_path, tasks)
    writer = await client.open_writer("s", DESC)
    for time in range(5):
        forgetful.forgets = 1
        await writer.compare_and_append(flat.build([(b"x", time, 1)]), time, time + 1)
    reader = await client.open_reader("s")
    snapshot = await reader.snapshot(4)
    got = flat.concat([await reader.fetch_flat(ref) for ref in snapshot.parts])
    assert flat.consolidate(got) == [(b"x", 4, 5)]
    await rpc.close()
    await server.close()


async def test_pushes_missed_while_away_are_made_up_for(store, tmp_path, tasks) -> None:
    server = await ConsensusServer.start(store, "tcp://127.0.0.1:0", tasks)
    rpc = await connect(server, tasks)
    local, remote = await persist(store, tmp_path, tasks), await persist(rpc, tmp_path, tasks)
    writer = await local.open_writer("s", DESC)
    reader = await remote.open_reader("s")
    await server.close()
    for time in range(300):
        await writer.compare_and_append(b"", time, time + 1)
    again = await ConsensusServer.start(store, server.address, tasks)
    async with asyncio.timeout(10):
        await reader.wait_upper(299)
    assert reader.upper == 300
    await rpc.close()
    await again.close()


async def test_strangers_are_refused(store, tasks) -> None:
    server = await ConsensusServer.start(store, "tcp://127.0.0.1:0", tasks, b"secret")
    _, host, port = parse_address(server.address)
    too_large = (1 << 20).to_bytes(4, "little")
    no_hello = wire.frame(wire.Commit(1, (Cas("s", None, b"x"),)))
    wrong = wire.frame(wire.Hello(wire.PROTOCOL_VERSION, b"guess"))
    for attempt in (too_large, no_hello, wrong, b"\x04\x00\x00\x00\xc1\xc1\xc1\xc1"):
        reading, writing = await asyncio.open_connection(host, port)
        writing.write(attempt)
        with contextlib.suppress(ConnectionResetError):
            assert await reading.read() == b""
        writing.close()
    assert await store.list_shards() == []
    await server.close()


def test_addresses() -> None:
    assert parse_address("unix:///a/b.sock") == ("unix", "/a/b.sock", 0)
    assert parse_address("tcp://h:7") == ("tcp", "h", 7)
    for wrong in ("tcp://h", "http://h:1", "unix://"):
        with pytest.raises(InvalidParameterValue):
            parse_address(wrong)
