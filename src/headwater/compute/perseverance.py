"""Going on when persist can't: a disk without space, a store that does not answer, a part gone.

What a dataflow reads and writes is tried again until it succeeds, so that nothing has to be
restarted once the disk has space or the part is back. Meanwhile the frontier stands still, which
is the truth: nothing is known beyond it.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from headwater.errors import ExternalError, Fenced, HeadwaterError, TransientError
from headwater.persist.errors import UpperMismatch
from headwater.runtime.clock import Clock
from headwater.types.ids import ShardId

logger = logging.getLogger(__name__)

RETRY_PAUSE_MIN_S = 0.05
# Reads of what is damaged fail after the next try: it must come before their patience ends.
RETRY_PAUSE_MAX_S = 2.0

# Told of every failure, and with None of the success after any.
Report = Callable[[ShardId, HeadwaterError | None], None]
T = TypeVar("T")


class Perseverance:
    """Tries again what failed for reasons that can go away."""

    def __init__(self, clock: Clock, report: Report) -> None:
        self._clock = clock
        self._report = report

    async def until_done(
        self,
        shard: ShardId,
        act: Callable[[], Awaitable[T]],
        *,
        unless: type[HeadwaterError] | tuple[type[HeadwaterError], ...] = (),
    ) -> T:
        """Return what ``act`` returns, calling it as often as it takes, with growing pauses.

        Raises:
            HeadwaterError: One that time does not mend, of class ``unless``, or that says that
                somebody else has written.

        Cancellation: whatever ``act`` leaves behind.
        """
        pause = 0.0
        while True:
            try:
                result = await act()
            except (UpperMismatch, Fenced):
                raise
            except (TransientError, ExternalError) as error:
                if isinstance(error, unless):
                    raise
                if not pause:
                    logger.warning(
                        "persist failed; trying again",
                        extra={"shard": shard, "reason": error.message},
                    )
                self._report(shard, error)
            else:
                if pause:
                    self._report(shard, None)
                return result
            pause = min(max(pause * 2, RETRY_PAUSE_MIN_S), RETRY_PAUSE_MAX_S)
            await self._clock.sleep(pause)
