"""Read holds: tokens that keep a collection's since from passing a time.

A :class:`HoldSet` is the multiset of times at which a collection is held; its owner never lets the
since pass ``HoldSet.earliest``. A :class:`ReadHold` is one member of it, taken before use and
released in ``finally``.
"""

from collections import Counter
from collections.abc import Callable

from headwater.errors import invariant
from headwater.types.frontier import Frontier, meet, precedes
from headwater.types.ids import GlobalId


class HoldSet:
    """A multiset of times with its least member.

    The least is recomputed only when the last hold at the least time goes, so that the cost of a
    change is constant but for that case.
    """

    def __init__(self, on_change: Callable[[], None] | None = None) -> None:
        self._times: Counter[int] = Counter()
        self._earliest: int | None = None
        self._on_change = on_change

    @property
    def earliest(self) -> Frontier:
        """Return the least time held; the empty frontier if nothing is."""
        return self._earliest  # type: ignore[return-value]  # a Timestamp by construction

    def add(self, time: int) -> None:
        """Add one hold at ``time``."""
        self._times[time] += 1
        if self._earliest is None or time < self._earliest:
            self._earliest = time

    def remove(self, time: int) -> None:
        """Take one hold at ``time`` away."""
        invariant(self._times[time] > 0, "released a hold that was not held", time=time)
        self._times[time] -= 1
        if self._times[time] == 0:
            del self._times[time]
            if time == self._earliest:
                self._earliest = min(self._times, default=None)
                if self._on_change is not None:
                    self._on_change()


class ReadHold:
    """Keeps collection ``id`` readable from ``since`` on, until released.

    Frontiers: while held, the collection's since is at or before ``since``.
    """

    __slots__ = ("_holds", "_since", "id")

    def __init__(self, id: GlobalId, since: Frontier, holds: HoldSet) -> None:
        self.id = id
        self._since = since
        self._holds: HoldSet | None = holds
        if since is not None:
            holds.add(since)

    @property
    def since(self) -> Frontier:
        """Return the time held; the empty frontier once released."""
        return self._since

    def downgrade(self, since: Frontier) -> None:
        """Move the hold forward to ``since``; never back."""
        if self._holds is None or since == self._since:
            return
        invariant(precedes(self._since, since), "a read hold went back", id=self.id)
        holds, before, self._since = self._holds, self._since, since
        if since is not None:
            holds.add(since)
        else:
            self._holds = None
        if before is not None:
            holds.remove(before)

    def release(self) -> None:
        """Let go; harmless when released already."""
        self.downgrade(None)

    def clone(self) -> "ReadHold":
        """Take a second hold at the same time."""
        invariant(self._holds is not None, "cloned a released read hold", id=self.id)
        assert self._holds is not None
        return ReadHold(self.id, self._since, self._holds)

    def __repr__(self) -> str:
        return f"ReadHold({self.id} at {self._since})"


def earliest_common(holds: "list[ReadHold]") -> Frontier:
    """Return the least time held by any of ``holds``."""
    return meet(hold.since for hold in holds)
