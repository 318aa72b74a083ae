"""Commits when consensus is late, silent, or loses answers."""

import asyncio

import pytest

from headwater.errors import ConnectionFailure
from headwater.persist import flat
from headwater.persist.client import PersistClient, PersistConfig
from headwater.persist.errors import UpperMismatch
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8

DESC = RelationDesc((Column("a", INT8),))
X = flat.build([(b"x", 0, 1)])


class Unreliable:
    """A store that misbehaves when told to."""

    def __init__(self, inner) -> None:
        self._inner = inner
        self.silent = False
        self.lose_request = 0
        self.lose_answer = 0
        self.commits = 0

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    async def commit(self, ops):
        self.commits += 1
        if self.silent:
            await asyncio.get_running_loop().create_future()
        if self.lose_request:
            self.lose_request -= 1
            raise ConnectionFailure("request lost")
        result = await self._inner.commit(ops)
        if self.lose_answer:
            self.lose_answer -= 1
            raise ConnectionFailure("answer lost")
        return result


@pytest.fixture
async def unreliable(make_client) -> PersistClient:
    client = await make_client(PersistConfig(consensus_timeout_s=0.2))
    store = Unreliable(client.consensus)
    other = PersistClient(
        client.blob, store, SystemClock(), SystemRng(), client.tasks, client.config
    )
    await other.start()
    yield other
    await other.close()


async def test_lost_requests_are_repeated(unreliable) -> None:
    writer = await unreliable.open_writer("s", DESC)
    unreliable.consensus.lose_request = 2
    await writer.compare_and_append(X, 0, 1)
    assert (await writer.refresh(), len(writer.log.state.batches)) == (1, 1)


async def test_lost_answers_are_found_in_the_log(unreliable) -> None:
    writer = await unreliable.open_writer("s", DESC)
    unreliable.consensus.lose_answer = 1
    before = unreliable.consensus.commits
    await writer.compare_and_append(X, 0, 1)
    assert (await writer.refresh(), len(writer.log.state.batches)) == (1, 1)
    assert unreliable.consensus.commits == before + 1


async def test_lost_answers_are_found_behind_a_roll_up(unreliable, make_client) -> None:
    writer = await unreliable.open_writer("s", DESC)
    other = await (await make_client()).open_writer("s", DESC)
    store = unreliable.consensus

    async def overtake(ops):
        """Commit, let another writer go on and roll up, then lose the answer."""
        del store.commit
        await store.commit(ops)
        await other.refresh()
        await other.compare_and_append(b"", 1, 2)
        await other.log.rollup(b"other")
        raise ConnectionFailure("answer lost")

    store.commit = overtake
    await writer.compare_and_append(X, 0, 1)
    assert await writer.refresh() == 2


async def test_a_silent_store_is_reported_in_time(unreliable) -> None:
    writer = await unreliable.open_writer("s", DESC)
    unreliable.consensus.silent = True
    with pytest.raises(ConnectionFailure, match=r"did not answer within 0\.\d* s"):
        await writer.compare_and_append(X, 0, 1)
    unreliable.consensus.silent = False
    await writer.compare_and_append(X, 0, 1)
    assert writer.upper == 1


async def test_a_cancelled_commit_leaves_the_log_right(unreliable) -> None:
    writer = await unreliable.open_writer("s", DESC)
    unreliable.consensus.silent = True
    task = asyncio.ensure_future(writer.compare_and_append(X, 0, 1))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    unreliable.consensus.silent = False
    await writer.compare_and_append(X, 0, 1)
    with pytest.raises(UpperMismatch):
        await writer.compare_and_append(X, 0, 1)


async def test_commits_to_overlapping_shards_do_not_deadlock(client) -> None:
    writers = [await client.open_writer(f"s{i}", DESC) for i in range(4)]

    async def both(i: int, j: int) -> None:
        for _ in range(20):
            changes = []
            for writer in (writers[i], writers[j]):
                changes.append(await writer.change(b"", writer.upper, writer.upper + 1))
            try:
                await client.commit(changes)
            except UpperMismatch:
                continue

    async with asyncio.timeout(20):
        await asyncio.gather(both(0, 1), both(1, 0), both(2, 1), both(3, 0), both(1, 3))
    assert sum(writer.upper for writer in writers) > 0
