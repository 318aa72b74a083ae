"""What is measured from time to time and kept: lag, the use of replicas, and of storage.

Whatever is due at one moment is written at once. How often each is taken is a system variable.
"""

import logging
from collections.abc import Callable, Iterable

import msgspec

from headwater.adapter import replica_metrics, storage_usage, wallclock
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.history import History
from headwater.adapter.variables import VARIABLES, duration_ms
from headwater.catalog.rows import TableRow
from headwater.catalog.transact import TableUpdate
from headwater.errors import HeadwaterError

logger = logging.getLogger(__name__)

# How often is looked whether something is due: as short as an interval may be.
TICK_S = 1.0
# Old rows go once a day, for the first time when a server has had time to begin.
PRUNE_FIRST_S = 600.0
PRUNE_EVERY_S = 86_400.0
_MS_PER_S = 1_000


class _Measure(msgspec.Struct):
    """Something to measure: how often, by a variable's name; its rows at a time in ms."""

    interval: str
    rows: Callable[[int], Iterable[TableRow]]
    taken: float  # when, in seconds of the monotonic clock


class Measurements:
    """Measures for as long as the server runs, an interval after it starts for the first time."""

    def __init__(self, coord: Coordinator) -> None:
        self._coord = coord
        now = coord.clock.monotonic()
        metrics = replica_metrics.ReplicaMetrics(coord)
        self._measures = (
            _Measure(
                "wallclock_lag_recording_interval", lambda at: wallclock.lag_rows(coord, at), now
            ),
            _Measure("replica_metrics_history_interval", metrics.rows, now),
            _Measure(
                "storage_usage_collection_interval",
                lambda at: storage_usage.usage_rows(coord, at),
                now,
            ),
        )
        self._histories = (
            History(coord, wallclock.HISTORY, "occurred_at"),
            History(coord, replica_metrics.HISTORY, "occurred_at"),
            History(coord, storage_usage.HISTORY, "collection_timestamp"),
        )
        self._prune_at = now + PRUNE_FIRST_S

    def start(self) -> None:
        """Begin."""
        self._coord.tasks.spawn(self._run(), name="measurements")

    async def _run(self) -> None:
        while True:
            await self._coord.clock.sleep(TICK_S)
            try:
                await self._measure()
                await self._prune()
            except HeadwaterError as error:
                logger.warning("a measurement is lost", extra={"why": error.message})

    async def _measure(self) -> None:
        """Write what is due."""
        now, at_ms = self._coord.clock.monotonic(), self._coord.clock.now_ms()
        updates: list[TableUpdate] = []
        for measure in self._measures:
            if now >= measure.taken + self._interval_s(measure.interval):
                measure.taken = now
                updates.extend(TableUpdate(table, row, 1) for table, row in measure.rows(at_ms))
        if updates:
            await self._coord.write_tables(updates)

    def _interval_s(self, variable: str) -> float:
        text = self._coord.snapshot.variables.get(variable, VARIABLES[variable].default)
        return duration_ms(text) / _MS_PER_S

    async def _prune(self) -> None:
        if self._coord.clock.monotonic() < self._prune_at:
            return
        self._prune_at = self._coord.clock.monotonic() + PRUNE_EVERY_S
        for history in self._histories:
            await history.prune(self._coord.clock.now_ms())
