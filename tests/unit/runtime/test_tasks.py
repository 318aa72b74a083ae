"""Background tasks have an owner."""

import asyncio
import logging

import pytest

from headwater.errors import ConnectionFailure
from headwater.runtime.rng import SeededRng
from headwater.runtime.tasks import SupervisedTasks


async def test_failures_are_logged_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    failed: list[tuple[str, BaseException]] = []
    tasks = SupervisedTasks(lambda name, error: failed.append((name, error)))

    async def fail(error: Exception) -> None:
        raise error

    with caplog.at_level(logging.ERROR):
        for name, error in (("bug", ValueError("x")), ("net", ConnectionFailure("lost"))):
            await asyncio.wait([tasks.spawn(fail(error), name=name)])
            await asyncio.sleep(0)
    assert [name for name, _ in failed] == ["bug", "net"]
    assert [record.exc_info is not None for record in caplog.records] == [True, False]


async def test_closing_cancels_and_waits() -> None:
    tasks = SupervisedTasks()
    ended = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    tasks.spawn(work(), name="a")
    tasks.spawn(work(), name="b")
    await asyncio.sleep(0)
    await tasks.close()
    assert ended == [True, True]


def test_a_seed_repeats_itself() -> None:
    one, two = SeededRng(7), SeededRng(7)
    assert [one.token(), one.uniform(0, 1), one.below(9)] == [
        two.token(),
        two.uniform(0, 1),
        two.below(9),
    ]
