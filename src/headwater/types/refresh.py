"""When a materialized view is refreshed: at single times, at regular times, or both.

Between two refreshes a view's contents stand still: what its query would change at time t, the view
changes at the first refresh from t on. So a schedule is a function that rounds times up::

    query's changes   t1    t2 t3          t4        time
    ----------------|--+-----+--+-----|-----+------|------>
    refreshes       r1                r2           r3
    view's changes                    t1…t3        t4

Times that no refresh follows are never seen: after the last refresh a view is final.
"""

from collections.abc import Iterator

import msgspec

from headwater.types.frontier import Frontier
from headwater.types.time import TIMESTAMP_MAX, TIMESTAMP_MIN, Timestamp


class RefreshEvery(msgspec.Struct, frozen=True, array_like=True):
    """Refreshes at ``aligned_to`` and at all times a multiple of ``interval_ms`` from it."""

    interval_ms: int
    aligned_to: Timestamp

    def round_up(self, time: Timestamp) -> Frontier:
        """Return the first refresh at or after ``time``; None beyond the end of time."""
        ahead = (self.aligned_to - time) % self.interval_ms
        return Timestamp(time + ahead) if time + ahead <= TIMESTAMP_MAX else None

    def round_down(self, time: Timestamp) -> Timestamp | None:
        """Return the last refresh at or before ``time``; None before the beginning of time."""
        rounded = time - (time - self.aligned_to) % self.interval_ms
        return Timestamp(rounded) if rounded >= TIMESTAMP_MIN else None


class RefreshSchedule(msgspec.Struct, frozen=True, array_like=True):
    """See the module; there is at least one refresh."""

    everies: tuple[RefreshEvery, ...] = ()
    ats: tuple[Timestamp, ...] = ()

    def round_up(self, time: Timestamp) -> Frontier:
        """Return the first refresh at or after ``time``; None after the last one."""
        return min(self._from(time), default=None)

    def round_up_frontier(self, frontier: Frontier) -> Frontier:
        """Return how far the view is known where its query is known before ``frontier``."""
        return None if frontier is None else self.round_up(frontier)

    def before(self, frontier: Frontier) -> Timestamp | None:
        """Return the last refresh before ``frontier``; None if all are later, or none is last."""
        if frontier is None:
            return self.last
        return max(self._to(Timestamp(frontier - 1)), default=None)

    @property
    def last(self) -> Timestamp | None:
        """Return the last refresh; None if they go on."""
        return None if self.everies else max(self.ats, default=None)

    def _from(self, time: Timestamp) -> Iterator[Timestamp]:
        yield from (at for at in self.ats if at >= time)
        for every in self.everies:
            rounded = every.round_up(time)
            if rounded is not None:
                yield rounded

    def _to(self, time: Timestamp) -> Iterator[Timestamp]:
        yield from (at for at in self.ats if at <= time)
        for every in self.everies:
            rounded = every.round_down(time)
            if rounded is not None:
                yield rounded
