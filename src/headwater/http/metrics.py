"""Metrics in Prometheus' text form: every frontier we own, replicas, clients.

Names are ``headwater_<package>_<thing>_<unit>``; labels are ids, whose number is bounded by the
catalog's limits. They are read from the controllers when asked for, not kept beside them.
"""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from headwater.cluster.controller import ReplicaState
from headwater.types.frontier import Frontier
from headwater.types.ids import GlobalId


class Observed(Protocol):
    """What metrics are read from; the environment gives it."""

    def collections(self) -> "Iterable[tuple[GlobalId, Frontier, Frontier]]":
        """Return id, since and upper of every durable collection."""
        ...

    def replicas(self) -> Iterable[ReplicaState]:
        """Return every replica."""
        ...

    def connections(self) -> int:
        """Return the number of SQL clients."""
        ...

    def read_ts(self) -> int:
        """Return the oracle's read timestamp."""
        ...

    def statements_dropped(self) -> int:
        """Return how many executions were sampled and not written: there were too many."""
        ...

    def now_ms(self) -> int:
        """Return the time of day."""
        ...


class HeadwaterCollector(Collector):
    """Reads :class:`Observed` each time it is scraped."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def collect(self) -> "Iterable[CounterMetricFamily | GaugeMetricFamily]":
        """Yield all metrics as of now."""
        now = self._observed.now_ms()
        since = GaugeMetricFamily(
            "headwater_storage_since_timestamp_ms",
            "Reads of the collection are exact from here on.",
            labels=["id"],
        )
        upper = GaugeMetricFamily(
            "headwater_storage_upper_timestamp_ms",
            "All updates of the collection before this are known.",
            labels=["id"],
        )
        lag = GaugeMetricFamily(
            "headwater_storage_upper_lag_ms",
            "How far the collection's upper is behind the clock.",
            labels=["id"],
        )
        for id, since_ts, upper_ts in self._observed.collections():
            if since_ts is not None:
                since.add_metric([id], since_ts)
            if upper_ts is not None:
                upper.add_metric([id], upper_ts)
                lag.add_metric([id], max(now - upper_ts, 0))
        yield from (since, upper, lag)
        online = GaugeMetricFamily(
            "headwater_cluster_replica_online",
            "Whether the replica is connected.",
            labels=["cluster", "replica"],
        )
        fetched = CounterMetricFamily(
            "headwater_compute_parts_fetched",
            "Parts of collections that the replica's dataflows have read.",
            labels=["cluster", "replica"],
        )
        skipped = CounterMetricFamily(
            "headwater_compute_parts_skipped",
            "Parts that they passed over, as by their statistics no row is of use.",
            labels=["cluster", "replica"],
        )
        for replica in self._observed.replicas():
            labels = [replica.cluster, replica.replica]
            online.add_metric(labels, int(replica.online))
            fetched.add_metric(labels, replica.parts_fetched)
            skipped.add_metric(labels, replica.parts_skipped)
        yield from (online, fetched, skipped)
        yield _gauge(
            "headwater_pgwire_connections_total",
            "SQL clients connected.",
            self._observed.connections(),
        )
        yield _gauge(
            "headwater_adapter_read_ts_timestamp_ms",
            "The oracle's read timestamp.",
            self._observed.read_ts(),
        )
        yield CounterMetricFamily(
            "headwater_adapter_statements_dropped",
            "Executions that were sampled and not written down, as there were too many.",
            value=self._observed.statements_dropped(),
        )


def _gauge(name: str, text: str, value: int) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def metrics_text(observed: Observed) -> bytes:
    """Return all metrics in Prometheus' text form."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(HeadwaterCollector(observed))
    return generate_latest(registry)
