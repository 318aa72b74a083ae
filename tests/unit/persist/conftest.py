"""Stores and clients for the tests of persist."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from headwater.persist import flat
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient, PersistConfig
from headwater.persist.consensus import Consensus
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.persist.parts import Snapshot
from headwater.persist.read import Reader
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8

DESC = RelationDesc((Column("a", INT8),))


@pytest.fixture
async def consensus(tmp_path: Path) -> AsyncIterator[Consensus]:
    store = await SqliteConsensus.open(tmp_path / "consensus.db")
    yield store
    await store.close()


@pytest.fixture
async def make_client(
    tmp_path: Path, consensus: Consensus
) -> AsyncIterator[Callable[..., Awaitable[PersistClient]]]:
    opened = []

    async def make(config: PersistConfig | None = None) -> PersistClient:
        tasks = SupervisedTasks()
        blob = LocalBlob(tmp_path / "blob")
        client = PersistClient(blob, consensus, SystemClock(), SystemRng(), tasks, config)
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
