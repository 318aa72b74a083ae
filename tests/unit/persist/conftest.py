"""Stores and clients for the tests of persist."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import uvloop

from headwater.persist import flat
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient, PersistConfig
from headwater.persist.consensus import Consensus
from headwater.persist.consensus_postgres import PostgresConsensus
from headwater.persist.consensus_rpc import ConsensusServer, RpcConsensus
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.persist.parts import Snapshot
from headwater.persist.read import Reader
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from tests.fixtures import postgres


def pytest_asyncio_loop_factories(config, item):
    """Run the tests on the loop that servers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """A PostgreSQL server of our own; its absence is said aloud."""
    why = postgres.missing()
    if why is not None:
        pytest.skip(f"persist is NOT tested on PostgreSQL: {why}")
    with tempfile.TemporaryDirectory(prefix="hw-persist-") as folder:
        Path(folder).chmod(0o755)
        server = postgres.make(Path(folder) / "pg")
        server.start()
        yield server.dsn
        server.stop()


async def open_store(kind: str, request, tmp_path: Path, tasks: SupervisedTasks) -> Consensus:
    if kind != "postgres":
        return await SqliteConsensus.open(tmp_path / "consensus.db")
    dsn = request.getfixturevalue("postgres_dsn")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("DROP SCHEMA IF EXISTS headwater CASCADE")
    return await PostgresConsensus.open(dsn, SystemClock(), tasks)


@pytest.fixture(params=["sqlite", "rpc", "postgres"])
async def consensus(request, tmp_path: Path) -> AsyncIterator[Consensus]:
    """A store; with ``rpc`` a client of a server in the same loop."""
    tasks = SupervisedTasks()
    store = await open_store(request.param, request, tmp_path, tasks)
    if request.param == "rpc":
        server = await ConsensusServer.start(store, f"unix://{tmp_path}/rpc.sock", tasks, b"secret")
        client = await RpcConsensus.connect(
            server.address, SystemClock(), SystemRng(), tasks, b"secret"
        )
        await client.wait_connected()
        yield client
        await client.close()
        await server.close()
    else:
        yield store
    await store.close()
    await tasks.close()


@pytest.fixture
async def another(request, tmp_path: Path, consensus: Consensus) -> AsyncIterator[Consensus]:
    """The same store as another process sees it."""
    if not isinstance(consensus, RpcConsensus):
        yield consensus
        return
    tasks = SupervisedTasks()
    client = await RpcConsensus.connect(
        f"unix://{tmp_path}/rpc.sock", SystemClock(), SystemRng(), tasks, b"secret"
    )
    yield client
    await client.close()
    await tasks.close()


@pytest.fixture
async def make_client(
    tmp_path: Path, consensus: Consensus, another: Consensus
) -> AsyncIterator[Callable[..., Awaitable[PersistClient]]]:
    """Clients; the first on ``consensus``, the others on ``another``."""
    opened = []

    async def make(config: PersistConfig | None = None) -> PersistClient:
        tasks = SupervisedTasks()
        blob = LocalBlob(tmp_path / "blob")
        store = another if opened else consensus
        client = PersistClient(blob, store, SystemClock(), SystemRng(), tasks, config)
        await client.start()
        opened.append((client, tasks))
        return client

    yield make
    for client, tasks in opened:
        await client.close()
        await tasks.close()


@pytest.fixture
async def client(make_client: Callable[..., Awaitable[PersistClient]]) -> PersistClient:
    return await make_client()


@pytest.fixture
def contents() -> Callable[[Reader, Snapshot], Awaitable[list[flat.Update]]]:
    async def read(reader: Reader, snapshot: Snapshot) -> list[flat.Update]:
        return flat.consolidate(flat.concat([await reader.fetch_flat(p) for p in snapshot.parts]))

    return read
