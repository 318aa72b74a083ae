"""Long pure work beside the loop: on a thread of its own, given up when its caller is cancelled.

The loop goes on meanwhile (the two share the interpreter; see ``cli.serve`` for how often they take
turns). Work that is given up gets an exception thrown into it, which it must let pass; it may touch
nothing that others change, and leaves nothing behind but its result.
"""

import asyncio
import ctypes
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# Works at the same time; more wait. Each takes turns with the loop.
WORKS_MAX = 4
# Deep recursion through C (comparing, hashing, encoding trees) needs more than the usual 8 MiB.
_STACK_BYTES = 64 << 20
# How often work that does not end is told again: a ``finally`` may have swallowed the first word.
_TELL_AGAIN_S = 0.1


class GivenUp(BaseException):
    """Thrown into work whose result nobody waits for."""


class Aside:
    """Runs works; one a process is enough."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(WORKS_MAX)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, or raise what it raises.

        Cancellation: the work is given up; it ends soon, and until then takes one of the places.
        """
        await self._free.acquire()
        running = _Work(work, self._free.release)
        try:
            return await running.result
        except asyncio.CancelledError:
            running.give_up()
            raise


class _Work(Generic[T]):
    def __init__(self, work: Callable[[], T], ended: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.result: asyncio.Future[T] = self._loop.create_future()
        self._work = work
        self._ended = ended
        before = threading.stack_size(_STACK_BYTES)
        try:
            self._thread = threading.Thread(target=self._run, name="aside", daemon=True)
            self._thread.start()
        finally:
            threading.stack_size(before)

    def give_up(self) -> None:
        if not self._thread.is_alive():
            self._end()  # the word may have come when the work was done, and cut its delivery off
            return
        # Source: PyThreadState_SetAsyncExc; it takes effect between two bytecodes of that thread.
        ident = ctypes.c_ulong(self._thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(GivenUp))
        self._loop.call_later(_TELL_AGAIN_S, self.give_up)

    def _run(self) -> None:
        value: T | None = None
        error: BaseException | None = None
        try:
            value = self._work()
        except BaseException as raised:  # noqa: BLE001 the thread's root: the caller is told
            error = raised
        try:
            self._loop.call_soon_threadsafe(self._deliver, value, error)
        except RuntimeError:
            return  # the loop is gone, and with it whoever waits

    def _end(self) -> None:
        ended, self._ended = self._ended, lambda: None
        ended()

    def _deliver(self, value: T | None, error: BaseException | None) -> None:
        self._end()
        if self.result.done():
            return
        if error is not None:
            self.result.set_exception(error)
        else:
            self.result.set_result(value)  # type: ignore[arg-type]  # T may be None
