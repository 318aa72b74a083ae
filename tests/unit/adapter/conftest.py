"""A real persist client on a temporary folder, and a clock that stands still."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

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
