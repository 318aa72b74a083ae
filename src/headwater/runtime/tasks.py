"""Background tasks: each has an owner that notices its failure and ends it on the way out."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from headwater.errors import HeadwaterError, InternalError

logger = logging.getLogger(__name__)


class Tasks(Protocol):
    """The only way to start something that runs beside its caller."""

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Start ``work``; its failure is the owner's, not the caller's."""
        ...

    async def close(self) -> None:
        """Cancel what still runs and return when all of it has ended."""
        ...


class SupervisedTasks:
    """Tasks on the running loop, strongly held, logged where they fail.

    Args:
        on_failure: Called with the task's name and error after it was logged.
    """

    def __init__(self, on_failure: Callable[[str, BaseException], None] | None = None) -> None:
        self._running: dict[asyncio.Task[None], None] = {}  # in order of their start
        self._on_failure = on_failure

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Start ``work`` on the running loop."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running[task] = None
        task.add_done_callback(self._done)
        return task

    async def close(self) -> None:
        """Cancel what still runs and return when all of it has ended."""
        current = asyncio.current_task()
        running = [task for task in self._running if task is not current]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        ours = isinstance(error, InternalError) or not isinstance(error, HeadwaterError)
        logger.error(
            "background task failed",
            exc_info=error if ours else None,
            extra={"task": task.get_name(), "reason": str(error)},
        )
        if self._on_failure is not None:
            self._on_failure(task.get_name(), error)
