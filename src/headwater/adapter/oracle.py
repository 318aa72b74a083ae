"""The timestamp oracle: one timeline's read and write times, linearized.

Every write commits at a fresh time, later than all before it; every strict serializable read takes
the time of the last write that is applied, so that it sees all that was acknowledged before it
began. Times follow the wall clock in milliseconds and never go back.

A restart is safe without a bound of its own: whatever time a read was given is that of a write
which the transaction shard holds durably, so a new oracle that begins at the shard's upper is
beyond all of them. Two servers can't both move it: the later one fences the shard.
"""

from collections.abc import Callable

from headwater.errors import invariant
from headwater.runtime.clock import Clock
from headwater.types.frontier import Frontier
from headwater.types.time import Timestamp


class TimestampOracle:
    """See the module.

    Args:
        clock: The wall clock that times follow.
        upper: The transaction shard's upper: all times before it are applied.
        elsewhere: The last write that was applied without this object: by a round of the store's
            own (``lending``), of which it is told later.
    """

    def __init__(
        self, clock: Clock, upper: Frontier, elsewhere: Callable[[], int] = lambda: 0
    ) -> None:
        invariant(upper is not None, "the transaction shard is closed")
        self._clock = clock
        self._elsewhere = elsewhere
        self._read_ts = Timestamp(max((upper or 0) - 1, 0))
        self._write_ts = self._read_ts

    def read_ts(self) -> Timestamp:
        """Return the time at which all applied writes are visible."""
        return Timestamp(max(self._read_ts, self._elsewhere()))

    def write_ts(self) -> Timestamp:
        """Return a time later than every one returned before and every applied one."""
        self._write_ts = Timestamp(max(self._clock.now_ms(), self._write_ts + 1))
        return self._write_ts

    def apply_write(self, ts: Timestamp) -> None:
        """Make the write at ``ts``, now durable, visible to reads that begin from here on."""
        self._read_ts = max(self._read_ts, ts)
        self._write_ts = max(self._write_ts, ts)
