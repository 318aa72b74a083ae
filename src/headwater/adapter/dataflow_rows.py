"""What replicas compute, as rows: what it is made of, and how each replica gets on with it.

The controllers know all of it. What changes only with the set of dataflows and replicas, with
hydration or with errors is made anew when the compute controller says that one of them has changed.
"""

import functools
from collections.abc import Iterator

from headwater.adapter.coordinator import Coordinator
from headwater.catalog import rows as r
from headwater.catalog.rows import TableRow
from headwater.compute.collections import ExportKind, ExportState
from headwater.ir.dataflow import DataflowDescription
from headwater.ir.visit_physical import walk_plan
from headwater.types.frontier import Frontier, meet, precedes
from headwater.types.ids import ClusterId, GlobalId, ReplicaId

# Nodes of one export's plan that rows are made of; one takes some 200 bytes.
NODES_MAX = 1_000
# Sets of rows that are the same again and again: of an export's nodes, and of its progress.
_CACHED_MAX = 10_000


class DataflowRows:
    """The rows of everything that is computed for the catalog's items and for subscriptions."""

    def __init__(self, coord: Coordinator) -> None:
        self._coord = coord
        self._revision = -1
        self._rows: frozenset[TableRow] = frozenset()
        self._nodes: dict[GlobalId, tuple[DataflowDescription, int]] = {}

    def rows(self) -> frozenset[TableRow]:
        """Return inputs, hydration and errors; the same set while nothing of them has changed."""
        compute = self._coord.compute
        if compute.revision != self._revision:
            self._revision = compute.revision
            self._rows = frozenset(self._all())
        return self._rows

    def progress(self) -> Iterator[TableRow]:
        """Yield how far each replica is with what it maintains: sources, indexes and views.

        A replica that is as far as its object is one of those that are current: there is nothing
        new to be written of it while it keeps up.
        """
        coord = self._coord
        for cluster, export in self._exports():
            if export.kind is ExportKind.SUBSCRIBE:
                continue
            reached = export.upper
            if export.kind is ExportKind.MATERIALIZED_VIEW and coord.storage.has(export.id):
                _, reached = coord.storage.frontiers(export.id)
            for replica, upper in coord.compute.uppers(cluster, export.id).items():
                is_current = precedes(reached, upper)
                written = None if is_current else meet((reached, upper))
                yield _progress(export.id, replica, written, is_current=is_current)

    def _exports(self) -> Iterator[tuple[ClusterId, ExportState]]:
        for cluster in self._coord.snapshot.clusters:
            for export in self._coord.compute.exports(cluster):
                yield cluster, export

    def _all(self) -> Iterator[TableRow]:
        compute = self._coord.compute
        seen: set[GlobalId] = set()
        for cluster, export in self._exports():
            seen.add(export.id)
            sources, indexes = compute.imports(cluster, export.id)
            for id in (*sources, *indexes):
                yield "mz_internal.mz_dataflow_inputs", r.text(export.id) + r.text(id)
            nodes = self._nodes_of(cluster, export)
            for replica in export.told_at:
                hydrated = export.is_hydrated(replica)
                yield _hydration_time(export, replica)
                yield from _node_hydration(export.id, replica, nodes, hydrated=hydrated)
            for replica, count in compute.error_counts(export.id).items():
                yield (
                    "mz_internal.mz_compute_error_counts_raw_unified",
                    r.text(replica) + r.text(export.id) + r.numeric(count),
                )
        for id in self._nodes.keys() - seen:
            del self._nodes[id]

    def _nodes_of(self, cluster: ClusterId, export: ExportState) -> int:
        """Return how many nodes an export's plan has, as replicas number them."""
        dataflow = self._coord.compute.dataflow(cluster, export.id)
        known = self._nodes.get(export.id)
        if known is None or known[0] is not dataflow:
            # Objects are numbered each from 0 on; an index is a node of its own.
            counts = [sum(1 for _ in walk_plan(built.plan)) for built in dataflow.objects]
            known = dataflow, max((*counts, 1 if dataflow.index_exports else 0), default=0)
            self._nodes[export.id] = known
        return min(known[1], NODES_MAX)


def current(id: GlobalId, replica: ReplicaId) -> TableRow:
    """Return the row of a replica that is as far with ``id`` as anybody."""
    return _progress(id, replica, None, is_current=True)


def _hydration_time(export: ExportState, replica: ReplicaId) -> TableRow:
    took_ns = export.hydration_ns.get(replica) if export.is_hydrated(replica) else None
    return (
        "mz_internal.mz_compute_hydration_times",
        r.text(replica) + r.text(export.id) + r.integer(took_ns),
    )


@functools.lru_cache(_CACHED_MAX)
def _node_hydration(
    id: GlobalId, replica: ReplicaId, nodes: int, *, hydrated: bool
) -> tuple[TableRow, ...]:
    """Return a row for each node: the nodes of a plan are hydrated when its export is."""
    head, tail = r.text(replica) + r.text(id), r.boolean(hydrated)
    table = "mz_internal.mz_compute_operator_hydration_statuses"
    return tuple((table, head + r.integer(node) + tail) for node in range(nodes))


@functools.lru_cache(_CACHED_MAX)
def _progress(id: GlobalId, replica: ReplicaId, upper: Frontier, *, is_current: bool) -> TableRow:
    return (
        "mz_internal.mz_replica_progress",
        r.text(id) + r.text(replica) + r.integer(upper) + r.boolean(is_current),
    )
