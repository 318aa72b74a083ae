import asyncio
import threading

import pytest

from headwater.errors import FeatureNotSupported
from headwater.runtime.aside import WORKS_MAX, Aside


async def test_results_and_errors_come_back():
    aside = Aside()
    assert await aside.run(lambda: threading.current_thread().name) == "aside"

    def fail():
        raise FeatureNotSupported("no")

    with pytest.raises(FeatureNotSupported):
        await aside.run(fail)


async def test_the_loop_goes_on_and_endless_work_is_given_up():
    aside, ended = Aside(), threading.Event()

    def endless():
        try:
            while True:
                pass
        finally:
            ended.set()

    tasks = [asyncio.create_task(aside.run(endless)) for _ in range(WORKS_MAX)]
    for _ in range(10):
        await asyncio.sleep(0)
    waiting = asyncio.create_task(aside.run(lambda: 1))
    await asyncio.sleep(0)
    assert not waiting.done()  # all places are taken
    for task in tasks:
        task.cancel()
    assert await asyncio.gather(*tasks, return_exceptions=True)
    assert ended.wait(5)
    assert await waiting == 1


async def test_deep_recursion_ends_in_an_error_and_not_in_a_crash():
    def deep(tree):
        return deep((tree,))

    with pytest.raises(RecursionError):
        await Aside().run(lambda: deep(()))
