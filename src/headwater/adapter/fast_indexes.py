"""Indexes that the front reads by itself: kept readable at the times it may choose.

A prepared point read that the front answers takes no hold of its own. So each index that such a
plan names is held here, at a time that follows the oracle's read time one period behind: whatever
time the front takes between reading the oracle's time and sending the peek, the index can still be
read then. The front is told of a new since before the hold moves, and so before any replica is.
"""

from headwater.adapter.controllers import ComputeController, FrontNumbers
from headwater.types.frontier import Frontier
from headwater.types.ids import ClusterId, GlobalId
from headwater.types.read_hold import ReadHold
from headwater.types.time import TIMESTAMP_MAX, Timestamp


class FastIndexes:
    """See the module."""

    def __init__(self, compute: ComputeController, numbers: FrontNumbers) -> None:
        self._compute = compute
        self._numbers = numbers
        self._holds: dict[GlobalId, ReadHold] = {}
        self._last = Timestamp(0)

    def ensure(self, cluster: ClusterId, index: GlobalId) -> None:
        """Have the front know ``index``, before a plan that names it is handed out."""
        if index in self._holds:
            return
        hold = self._compute.acquire_hold(cluster, index)
        self._holds[index] = hold
        self._numbers.set_index_since(index, hold.since or 0)
        self.on_upper(index, self._compute.frontiers(cluster, index)[1])

    def forget(self, index: GlobalId) -> None:
        """Let go of an index that is dropped."""
        hold = self._holds.pop(index, None)
        if hold is not None:
            self._numbers.drop_index(index)
            hold.release()

    def advance(self, read_ts: Timestamp) -> None:
        """Let history go up to the time that was told last time; called periodically."""
        since, self._last = self._last, read_ts
        for index, hold in self._holds.items():
            if hold.since is not None and hold.since < since:
                self._numbers.set_index_since(index, since)
                hold.downgrade(since)

    def on_upper(self, index: GlobalId, upper: Frontier) -> None:
        """Tell the front how far an index has come, if it reads it."""
        if index in self._holds:
            self._numbers.set_index_upper(index, TIMESTAMP_MAX if upper is None else upper)
