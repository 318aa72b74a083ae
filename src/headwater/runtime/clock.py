"""Time: what the wall shows, what has elapsed, and waiting."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """The only way to ask for the time or to let it pass."""

    def now_ms(self) -> int:
        """Return the time of day in milliseconds since the epoch; may jump back."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Return the time of day in milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds since the machine's start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        await asyncio.sleep(seconds)
