"""A real persist client on a temporary folder, and a clock that stands still."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapter.fakes import Client, Server
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks


class StillClock(SystemClock):
    """Shows ``now`` until told otherwise; sleeping yields and moves it."""

    def __init__(self, now: int = 1_000) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now


@pytest.fixture
async def persist(tmp_path: Path) -> AsyncIterator[PersistClient]:
    tasks = SupervisedTasks()
    consensus = await SqliteConsensus.open(tmp_path / "consensus.db")
    client = PersistClient(
        LocalBlob(tmp_path / "blob"), consensus, SystemClock(), SystemRng(), tasks
    )
    await client.start()
    yield client
    await client.close()
    await tasks.close()
    await consensus.close()


@pytest.fixture(scope="session")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that a server has been started on once; tests start theirs on copies of it."""
    folder = tmp_path_factory.mktemp("booted")

    async def start_and_stop() -> None:
        await (await Server(folder).start()).stop()

    asyncio.run(start_and_stop())
    return folder


@pytest.fixture
def folder(booted: Path, tmp_path: Path) -> Path:
    """A folder with an empty environment in it."""
    shutil.copytree(booted, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[Server]:
    """A booted adapter on an empty environment."""
    started = await Server(folder).start()
    yield started
    await started.stop()


@pytest.fixture
async def client(server: Server) -> Client:
    """A session of it."""
    return await server.connect()
