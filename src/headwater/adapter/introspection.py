"""What is running, as rows of builtin tables: frontiers, hydration, statuses, statistics, sessions.

Once a second the rows are made anew from the controllers' state and the difference to what was
written last is written. An idle environment whose objects stand still writes only frontiers.
"""

import functools
import logging
from collections.abc import Iterable, Iterator, Set

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.dataflow_rows import DataflowRows, current
from headwater.adapter.refreshes import progress
from headwater.adapter.status_history import StatusHistory, details_datum
from headwater.catalog import rows as r
from headwater.catalog.items import CatalogItem, Index, MaterializedView, Sink, Source, Table
from headwater.catalog.rows import TableRow
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.catalog.transact import TableUpdate
from headwater.errors import HeadwaterError
from headwater.storage.protocol import SinkStatistics, SourceStatistics, Status, StatusUpdate
from headwater.types.frontier import Frontier
from headwater.types.ids import GlobalId, ReplicaId
from headwater.types.time import Timestamp

logger = logging.getLogger(__name__)

# A little before the timeline would tick: what is written then moves it in the tick's place.
PERIOD_S = 0.97
# Frontiers are written every so many periods: those of what stands still move as well.
FRONTIERS_EVERY = 2
_MICROS_PER_MS = 1_000
# Hydration's rows are the same again and again; one takes some 200 bytes.
_HYDRATION_ROWS_MAX = 10_000
_MAINTAINED = (Index, MaterializedView, Sink, Source, Table)


class Introspection:
    """Keeps the running tables up to date."""

    def __init__(self, coord: Coordinator, history: Iterable[TableRow] = ()) -> None:
        self._coord = coord
        self._dataflows = DataflowRows(coord)
        self._frontier_rows: frozenset[TableRow] = frozenset()
        self._steady_rows: frozenset[TableRow] = frozenset()
        self._steady_of: tuple[CatalogSnapshot | None, int] = (None, -1)
        # What was written last, part by part; a part that is the very same has nothing new.
        self._written: tuple[frozenset[TableRow], ...] = (frozenset(),) * 3 + (frozenset(history),)
        self._periods = 0
        self._snapshot: CatalogSnapshot | None = None
        self._items: tuple[CatalogItem, ...] = ()
        self._statuses: dict[GlobalId, tuple[StatusUpdate, ReplicaId | None]] = {}
        self._history = StatusHistory(set(self._written[-1]))
        self._history.forget_dropped(coord.snapshot.try_item)
        # When each error of an object was first seen, while it lasts.
        self._failing: dict[tuple[GlobalId, str, str], int] = {}

    def start(self) -> None:
        """Begin; what earlier servers wrote has been cleared at boot."""
        self._coord.storage.on_status = self._on_status
        self._coord.tasks.spawn(self._run(), name="introspection")

    def _on_status(self, update: StatusUpdate, replica: ReplicaId | None) -> None:
        coord = self._coord
        item = coord.snapshot.try_item(update.id)
        if item is None:
            return
        now = update.time or coord.clock.now_ms()
        status = update.status
        if status is Status.PAUSED and _expects_replica(coord.snapshot, item):
            status = Status.STARTING
        update = msgspec.structs.replace(update, time=now, status=status)
        before = self._statuses.get(update.id)
        if before is not None and before[0].status is status and before[0].error == update.error:
            return
        self._statuses[update.id] = (update, replica)
        for id in (update.id, *_outputs(coord.snapshot, item)):
            self._history.add(id, update, replica, is_sink=isinstance(item, Sink))

    async def _run(self) -> None:
        while True:
            await self._coord.clock.sleep(PERIOD_S)
            self._coord.fast_indexes.advance(self._coord.oracle.read_ts())
            try:
                await self.refresh()
            except HeadwaterError as error:
                logger.warning("introspection is behind", extra={"why": error.message})

    async def refresh(self) -> None:
        """Write what has changed since the last time."""
        parts = (self._moving(), self._steady(), self._dataflows.rows(), frozenset(self._rows()))
        updates: list[TableUpdate] = []
        for before, after in zip(self._written, parts, strict=True):
            if after is not before:
                updates.extend(_difference(before, after))
        if updates:
            await self._coord.write_tables(updates)
        self._written = parts

    def _maintained(self) -> tuple[CatalogItem, ...]:
        """Return the users' items of the newest catalog that have frontiers."""
        snapshot = self._coord.snapshot
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._items = tuple(
                item
                for item in snapshot.items.values()
                if isinstance(item, _MAINTAINED) and not item.is_builtin
            )
        return self._items

    def _moving(self) -> frozenset[TableRow]:
        """Return what moves all the time, made anew every so many periods."""
        if self._periods % FRONTIERS_EVERY == 0:
            self._frontier_rows = frozenset((*self._frontiers(), *self._dataflows.progress()))
        self._periods += 1
        return self._frontier_rows

    def _steady(self) -> frozenset[TableRow]:
        """Return what is the same until the catalog, a dataflow or a replica changes."""
        of = (self._coord.snapshot, self._coord.compute.revision)
        if of[0] is not self._steady_of[0] or of[1] != self._steady_of[1]:
            self._steady_of = of
            self._steady_rows = frozenset((*self._computed(), *self._errors()))
        return self._steady_rows

    def _rows(self) -> Iterator[TableRow]:
        yield from self._stored()
        yield from self._refreshes()
        yield from self._replicas()
        yield from self._external()
        yield from self._coord.subscriptions.values()
        for session in self._coord.sessions.values():
            yield _row(
                "mz_session_rows",
                r.text(session.id),
                r.integer(session.conn),
                r.text(session.login.id),
                r.NULL,
                r.integer(session.connected_ms * _MICROS_PER_MS),
            )

    def _frontiers(self) -> Iterator[TableRow]:
        coord = self._coord
        for item in self._maintained():
            if isinstance(item, Index) and coord.compute.has(item.cluster, item.id):
                yield _frontiers(item.id, *coord.compute.frontiers(item.cluster, item.id))
            elif coord.storage.has(item.id):
                yield _frontiers(item.id, *coord.storage.frontiers(item.id))
            elif isinstance(item, Sink):
                told, _ = coord.storage.statistics.get(item.id, (None, None))
                if isinstance(told, SinkStatistics) and told.upper is not None:
                    yield _frontiers(item.id, None, Timestamp(told.upper))
            if isinstance(item, Source | Sink):
                replica = coord.storage.feeder(item.id)
                if replica is not None:
                    yield current(item.id, replica)

    def _computed(self) -> Iterator[TableRow]:
        """Yield which replicas have computed what they maintain."""
        coord = self._coord
        for item in self._maintained():
            id = item.id
            if isinstance(item, Index | MaterializedView) and coord.compute.has(item.cluster, id):
                for replica, hydrated in coord.compute.hydrated(item.cluster, id).items():
                    yield _hydration(id, replica, hydrated=hydrated)

    def _stored(self) -> Iterator[TableRow]:
        """Yield which collections have been written at all."""
        coord = self._coord
        for item in self._maintained():
            if isinstance(item, Table | Source) and coord.storage.has(item.id):
                _, upper = coord.storage.frontiers(item.id)
                yield _hydration(item.id, None, hydrated=upper is None or upper > 0)

    def _refreshes(self) -> Iterator[TableRow]:
        coord = self._coord
        for item in self._maintained():
            if isinstance(item, MaterializedView) and item.refresh and coord.storage.has(item.id):
                last, following = progress(item.refresh, *coord.storage.frontiers(item.id))
                yield _row(
                    "mz_refresh_progress",
                    r.text(item.id),
                    r.integer(last),
                    r.integer(following),
                )

    def _errors(self) -> Iterator[TableRow]:
        """Yield the errors of what is maintained; they go when the rows that cause them do."""
        coord = self._coord
        before, self._failing = self._failing, {}
        for item in self._maintained():
            if not isinstance(item, Index | MaterializedView):
                continue
            for error in coord.compute.errors(item.id):
                key = (item.id, error.sqlstate, error.message)
                seen_ms = before.get(key) or coord.clock.now_ms()
                self._failing[key] = seen_ms
                yield _row(
                    "mz_dataflow_errors",
                    r.text(item.id),
                    r.text(error.sqlstate),
                    r.text(error.message),
                    r.integer(error.count),
                    r.integer(seen_ms * _MICROS_PER_MS),
                )

    def _replicas(self) -> Iterator[TableRow]:
        for state in self._coord.cluster.replicas():
            yield _row(
                "mz_cluster_replica_statuses",
                r.text(state.replica),
                r.integer(0),
                r.text("online" if state.online else "offline"),
                r.text(state.reason),
                r.integer(state.updated_ms * _MICROS_PER_MS),
            )

    def _external(self) -> Iterator[TableRow]:
        coord = self._coord
        for id, (update, replica) in list(self._statuses.items()):
            if coord.snapshot.try_item(id) is None:
                del self._statuses[id]
                continue
            yield _row(
                "mz_status_updates",
                r.text(id),
                r.text(replica),
                r.text(update.status.value),
                r.text(update.error.message if update.error is not None else None),
                details_datum(update),
                r.integer(update.time * _MICROS_PER_MS),
            )
        self._history.note_dropped(coord.snapshot.try_item, coord.clock.now_ms())
        yield from self._history.rows()
        for id, (statistics, by) in coord.storage.statistics.items():
            item = coord.snapshot.try_item(id)
            if item is not None:
                yield _statistics(statistics, by)


def _difference(before: Set[TableRow], after: Set[TableRow]) -> list[TableUpdate]:
    updates = [TableUpdate(table, row, 1) for table, row in after - before]
    updates.extend(TableUpdate(table, row, -1) for table, row in before - after)
    return updates


def _expects_replica(snapshot: CatalogSnapshot, item: CatalogItem) -> bool:
    """Return whether a source or sink without a replica is about to get one."""
    cluster = item.cluster if isinstance(item, Source | Sink) else None
    return cluster is not None and bool(snapshot.cluster_by_id(cluster).replicas)


def _outputs(snapshot: CatalogSnapshot, item: CatalogItem) -> list[GlobalId]:
    """Return the subsources and tables that a source writes beside itself."""
    if not isinstance(item, Source):
        return []
    users = [snapshot.item(id) for id in snapshot.used_by(item.id)]
    return [
        user.id
        for user in users
        if (isinstance(user, Source) and user.parent == item.id and user.id != item.progress)
        or (isinstance(user, Table) and user.source == item.id)
    ]


def _statistics(found: SourceStatistics | SinkStatistics, replica: ReplicaId | None) -> TableRow:
    if isinstance(found, SinkStatistics):
        return _row(
            "mz_sink_statistics",
            r.text(found.id),
            r.text(replica),
            r.integer(found.messages_staged),
            r.integer(found.messages_committed),
            r.integer(found.bytes_staged),
            r.integer(found.bytes_committed),
        )
    return _row(
        "mz_source_statistics",
        r.text(found.id),
        r.text(replica),
        r.integer(found.messages_received),
        r.integer(found.bytes_received),
        r.integer(found.updates_staged),
        r.integer(found.updates_committed),
        r.integer(found.records_indexed),
        r.integer(found.bytes_indexed),
        r.interval_ms(found.rehydration_latency_ms),
        r.integer(found.snapshot_records_known),
        r.integer(found.snapshot_records_staged),
        r.boolean(found.snapshot_committed),
        r.integer(found.offset_known),
        r.integer(found.offset_committed),
    )


def _row(table: str, *datums: bytes) -> TableRow:
    return f"mz_internal.{table}", b"".join(datums)


def _frontiers(id: GlobalId, since: Frontier, upper: Frontier) -> TableRow:
    return _row("mz_frontiers", r.text(id), r.integer(since), r.integer(upper))


@functools.lru_cache(_HYDRATION_ROWS_MAX)
def _hydration(id: GlobalId, replica: ReplicaId | None, *, hydrated: bool) -> TableRow:
    return _row("mz_hydration_statuses", r.text(id), r.text(replica), r.boolean(hydrated))
