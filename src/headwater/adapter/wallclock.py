"""Wallclock lag: how far behind the clock what is maintained can be read, as rows."""

from collections.abc import Iterator

from headwater.adapter.coordinator import Coordinator
from headwater.catalog import rows as r
from headwater.catalog.items import Index, MaterializedView, Sink, Source, Table
from headwater.catalog.rows import TableRow
from headwater.storage.protocol import SinkStatistics
from headwater.types.frontier import Frontier, meet
from headwater.types.ids import ClusterId, GlobalId, ReplicaId
from headwater.types.time import TIMESTAMP_MIN, Timestamp

HISTORY = "mz_internal.mz_wallclock_lag_history"
_MICROS_PER_MS = 1_000


def lag_rows(coord: Coordinator, at_ms: int) -> Iterator[TableRow]:
    """Yield the lag at ``at_ms`` (since the epoch) of each of the users' objects.

    Shape: one row a replica of what replicas hold in memory or write: indexes and materialized
    views; one without a replica for each collection that is durable, and for each sink.
    """
    for item in list(coord.snapshot.items.values()):
        if item.is_builtin:
            continue
        durable: Frontier = None
        if isinstance(item, Table | Source | MaterializedView) and coord.storage.has(item.id):
            _, durable = coord.storage.frontiers(item.id)
            yield _row(item.id, None, durable, at_ms)
        elif isinstance(item, Sink):
            told, _ = coord.storage.statistics.get(item.id, (None, None))
            upper = told.upper if isinstance(told, SinkStatistics) else None
            yield _row(item.id, None, Timestamp(upper or TIMESTAMP_MIN), at_ms)
        if isinstance(item, Index | MaterializedView):
            for replica, upper in _uppers(coord, item.cluster, item.id):
                yield _row(item.id, replica, meet((upper, durable)), at_ms)


def _uppers(
    coord: Coordinator, cluster: ClusterId, id: GlobalId
) -> Iterator[tuple[ReplicaId, Frontier]]:
    if coord.compute.has(cluster, id):
        yield from coord.compute.uppers(cluster, id).items()


def _row(id: GlobalId, replica: ReplicaId | None, upper: Frontier, at_ms: int) -> TableRow:
    lag_ms: int | None = 0  # of what is complete for ever
    if upper is not None:
        # What can't be read at any time yet has no lag.
        lag_ms = max(at_ms - upper, 0) if upper > TIMESTAMP_MIN else None
    return HISTORY, b"".join(
        (
            r.text(id),
            r.text(replica),
            r.interval_ms(lag_ms),
            r.integer(at_ms * _MICROS_PER_MS),
        )
    )
