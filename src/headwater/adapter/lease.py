"""The read lease: for how long this server may trust that no other one has acknowledged anything.

A server that was fenced does not know it until it asks consensus. In between it could answer a
strict serializable read from before what the newer server has acknowledged::

    older   ask ── confirmed ────────── lease ──────────> end: reads wait for the next confirmation
    newer            fence ─────────── lease + margin ────────> lets clients in

Every commit and every tick of the older server confirms its epoch and extends its lease, which
counts from the moment *before* consensus was asked. The newer server's fence comes after the last
confirmation, so that waiting for one lease from there on is enough. It need not wait where the
older servers are known to have ended.
"""

import asyncio
from collections.abc import Callable

from headwater.errors import HeadwaterError
from headwater.runtime.clock import Clock

# Three ticks of the group commit: a store that answers late stops no read before that.
LEASE_S = 3.0
# By so much clocks of two machines may run apart in a lease: far more than real ones do.
LEASE_MARGIN_S = 0.5
_POLL_S = 0.05


class ReadLease:
    """See the module.

    Args:
        clock: Whose monotonic time the lease is measured in.
        on_extended: Told of the lease's new end, in nanoseconds of the monotonic clock.
    """

    def __init__(self, clock: Clock, on_extended: Callable[[int], None] = lambda _: None) -> None:
        self._clock = clock
        self._on_extended = on_extended
        self._until = float("-inf")
        self._waiters: list[asyncio.Future[None]] = []
        self._ended: HeadwaterError | None = None

    def holds(self) -> bool:
        """Return whether no newer server has acknowledged anything up to now."""
        return self._clock.monotonic() < self._until

    def confirm(self, asked_at: float) -> None:
        """Extend the lease: consensus, asked at that moment or later, knows no newer server."""
        until = asked_at + LEASE_S
        if until <= self._until:
            return
        self._until = until
        self._on_extended(int(until * 1e9))
        if self.holds():
            self._wake(None)

    def end(self, error: HeadwaterError) -> None:
        """Give up: who waits for the lease, now or later, gets ``error``."""
        self._ended = error
        self._wake(error)

    async def wait(self) -> None:
        """Return at a moment at which the lease holds. Raises: what :meth:`end` was given."""
        while not self.holds():
            if self._ended is not None:
                raise self._ended
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _wake(self, error: HeadwaterError | None) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)


async def wait_out(clock: Clock, fenced_at: float, gone: Callable[[], bool]) -> None:
    """Return when no server that was fenced at ``fenced_at`` or before holds a lease any more.

    Args:
        clock: Its monotonic time.
        fenced_at: A moment at which the fence was durable.
        gone: Whether all of them are known to have ended.
    """
    while clock.monotonic() < fenced_at + LEASE_S + LEASE_MARGIN_S and not gone():
        await clock.sleep(_POLL_S)
