"""An event loop whose time is simulated: when nothing is ready it jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class Stuck(Exception):
    """Everything waits for something that will never happen."""


class _NoSelector(selectors.BaseSelector):
    """Waits by letting the loop's time pass."""

    def __init__(self) -> None:
        self.now = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj, events, data=None):
        key = selectors.SelectorKey(fileobj, int(fileobj), events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj):
        return self._keys.pop(fileobj)

    def get_map(self):
        return self._keys

    def get_key(self, fileobj):
        return self._keys[fileobj]

    def select(self, timeout=None):
        if timeout is None:
            raise Stuck("no task is ready and no timer is set")
        self.now += max(timeout, 0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Deterministic: one thread, no I/O, no real time."""

    def __init__(self) -> None:
        self._virtual = _NoSelector()
        super().__init__(self._virtual)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._virtual.now

    def run_in_executor(self, executor, func, *args):
        """Run ``func`` at once: threads would bring in real time."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # the future's reader gets it
            future.set_exception(error)
        return future


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` on a loop of its own."""
    loop = VirtualLoop()
    try:
        loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
