"""What the processes of replicas take of the machine, as rows."""

from collections.abc import Iterator

from headwater.adapter.coordinator import Coordinator
from headwater.catalog import rows as r
from headwater.catalog.rows import TableRow
from headwater.cluster.usage import ProcessUsage, heap_limit, usage_of
from headwater.types.ids import ReplicaId

HISTORY = "mz_internal.mz_cluster_replica_metrics_history"
_MICROS_PER_MS = 1_000


class ReplicaMetrics:
    """Looks at processes, and remembers what it saw of each the last time."""

    def __init__(self, coord: Coordinator) -> None:
        self._coord = coord
        self._limit = heap_limit()
        # By process: when, in seconds of the monotonic clock, and its cpu time.
        self._seen: dict[tuple[ReplicaId, int], tuple[float, int]] = {}

    def rows(self, at_ms: int) -> Iterator[TableRow]:
        """Yield the metrics of each replica at ``at_ms`` (since the epoch).

        Shape: a replica has one process, number 0. One that runs on another host is not known: its
        row is of NULLs. One of ours that does not run has no row. Processor use is the mean since
        the last time, unknown of a process that is new.
        """
        before, self._seen = self._seen, {}
        for state in self._coord.cluster.replicas():
            if state.config.address is not None:
                if state.online:
                    yield _row(state.replica, None, None, None, at_ms)
                continue
            usage = usage_of(state.pid) if state.pid is not None else None
            if usage is None or state.pid is None:
                continue
            now = self._coord.clock.monotonic()
            key = state.replica, state.pid
            self._seen[key] = now, usage.cpu_ns
            cpu = None
            if key in before and now > before[key][0]:
                then, cpu_ns = before[key]
                cpu = int((usage.cpu_ns - cpu_ns) / (now - then))
            yield _row(state.replica, usage, cpu, self._limit, at_ms)


def _row(
    replica: ReplicaId,
    usage: ProcessUsage | None,
    cpu_nano_cores: int | None,
    limit: int | None,
    at_ms: int,
) -> TableRow:
    memory = swap = heap = None
    if usage is not None:
        memory, swap = usage.memory_bytes, usage.swap_bytes
        heap = memory + swap
    numbers = (
        0,
        cpu_nano_cores,
        memory,
        swap,
        at_ms * _MICROS_PER_MS,
        heap,
        limit,
    )
    return HISTORY, r.text(replica) + b"".join(map(r.integer, numbers))
