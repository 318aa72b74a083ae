"""Reads that wait for what is damaged: they fail with its error, instead of waiting for ever.

A replica that meets a missing or damaged part tries again until it is back; meanwhile what it
maintains from that collection stands still, and so does what depends on it, on other clusters too.
A read whose inputs stand still for that reason fails as soon as every replica that could advance
them has tried since the read began, and failed. What is in memory stays readable: an index that
has come far enough is not late, whatever has happened to its collection meanwhile.
"""

from collections.abc import Callable, Iterable

import msgspec

from headwater.adapter.controllers import ClusterController, ComputeController, StorageController
from headwater.errors import DataCorrupted
from headwater.runtime.clock import Clock
from headwater.types.frontier import less_equal
from headwater.types.ids import ClusterId, GlobalId
from headwater.types.time import Timestamp

Input = tuple[ClusterId | None, GlobalId]
"""An index on a cluster, or a durable collection (without one)."""


class WaitingRead(msgspec.Struct, frozen=True):
    """A read under way.

    Attributes:
        inputs: What it reads.
        time: What they must have passed; asked anew each time.
        began: When; of the monotonic clock.
        fail: Ends it with an error.
    """

    inputs: tuple[Input, ...]
    time: Callable[[], Timestamp]
    began: float
    fail: Callable[[DataCorrupted], None]


class DamageWatch:
    """See the module. Lives on the coordinator's loop; costs nothing while nothing is damaged."""

    def __init__(
        self,
        compute: ComputeController,
        storage: StorageController,
        cluster: ClusterController,
        clock: Clock,
    ) -> None:
        self._compute = compute
        self._storage = storage
        self._cluster = cluster
        self._clock = clock
        self._reads: dict[object, WaitingRead] = {}
        cluster.on_shard_failed = self.check

    def watch(
        self,
        key: object,
        inputs: Iterable[Input],
        time: Callable[[], Timestamp],
        fail: Callable[[DataCorrupted], None],
    ) -> None:
        """Fail the read ``key`` once its inputs can't pass ``time``, until :meth:`forget`."""
        self._reads[key] = WaitingRead(tuple(inputs), time, self._clock.monotonic(), fail)

    def forget(self, key: object) -> None:
        """Note that a read is over; doing so twice is no error."""
        self._reads.pop(key, None)

    def check(self) -> None:
        """Fail the reads that wait in vain; called when a replica has failed to read a shard."""
        for key, read in list(self._reads.items()):
            time = read.time()
            for cluster, id in read.inputs:
                error = self._why_late(cluster, id, time, read.began, set())
                if error is not None:
                    del self._reads[key]
                    read.fail(error)
                    break

    def _why_late(
        self,
        cluster: ClusterId | None,
        id: GlobalId,
        time: Timestamp,
        since: float,
        seen: set[Input],
    ) -> DataCorrupted | None:
        """Return the damage that keeps a collection from passing ``time``, if there is any."""
        if (cluster, id) in seen:
            return None
        seen.add((cluster, id))
        own: tuple[GlobalId, ...] = ()
        if cluster is None:
            own = (id,)  # who writes it reads it too
            if not self._storage.has(id) or not less_equal(self._storage.frontiers(id)[1], time):
                return None
            cluster = self._compute.cluster_of(id)  # of a materialized view
            if cluster is None:
                return None
        elif not self._compute.has(cluster, id) or not less_equal(
            self._compute.frontiers(cluster, id)[1], time
        ):
            return None
        collections, indexes = self._compute.imports(cluster, id)
        for source in (*own, *collections):
            error = self._cluster.shard_failure(cluster, self._storage.shard(source), since)
            if error is not None:
                return DataCorrupted(error.message, detail=error.detail, hint=error.hint)
        for further in [
            *((None, source) for source in collections),
            *((cluster, i) for i in indexes),
        ]:
            found = self._why_late(*further, time, since, seen)
            if found is not None:
                return found
        return None
