"""Builtin tables of what was measured: rows are only added, and let go of when they are old.

They may hold millions of rows, so that none of them is kept in memory: what is old is found by
reading the table, once a day, and taken back in writes of a bounded size.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping

from headwater.adapter.constraints import current_rows
from headwater.adapter.coordinator import Coordinator
from headwater.catalog.items import BuiltinTable
from headwater.catalog.transact import TableUpdate
from headwater.ir.literals import literal_int
from headwater.ir.rows import split_row
from headwater.ir.scalar import Literal
from headwater.persist import flat
from headwater.types.scalar import TIMESTAMPTZ, ColumnType

# As long as Materialize keeps such rows: 30 days.
RETENTION_MS = 30 * 86_400_000
# A table keeps no more rows than this, the newest; one takes some 100 bytes.
ROWS_MAX = 5_000_000
# Rows of one write that takes old ones back.
WRITE_ROWS_MAX = 10_000
# After so many rows others have their turn on the event loop.
_ROWS_PER_TURN = 2_000
_MICROS_PER_MS = 1_000
_HOUR_MS = 3_600_000
_TIME = ColumnType(TIMESTAMPTZ, nullable=False)


class History:
    """One such table.

    Args:
        table: ``schema.name``.
        time_column: The name of the column that says when.
    """

    def __init__(self, coord: Coordinator, table: str, time_column: str) -> None:
        self._coord = coord
        self._table = table
        schema, _, name = table.partition(".")
        item = coord.snapshot.item_in(coord.snapshot.schema((schema,), None).id, name)
        assert isinstance(item, BuiltinTable), table
        self._shard = item.shard
        self._at = item.desc.names.index(time_column)

    async def prune(self, now_ms: int) -> int:
        """Take back what is older than :data:`RETENTION_MS`, or beyond :data:`ROWS_MAX` rows.

        Returns: how many rows went.
        """
        hours: Counter[int] = Counter()
        async for _, at_ms, diff in self._rows():
            hours[at_ms // _HOUR_MS] += diff
        cutoff_ms = _cutoff_ms(hours, now_ms)
        if all(hour * _HOUR_MS >= cutoff_ms for hour, rows in hours.items() if rows):
            return 0
        old: Counter[bytes] = Counter()
        async for row, at_ms, diff in self._rows():
            if at_ms < cutoff_ms:
                old[row] += diff
        gone = [TableUpdate(self._table, row, -diff) for row, diff in old.items() if diff]
        for start in range(0, len(gone), WRITE_ROWS_MAX):
            await self._coord.write_tables(gone[start : start + WRITE_ROWS_MAX])
        return sum(-update.diff for update in gone)

    async def _rows(self) -> AsyncIterator[tuple[bytes, int, int]]:
        """Yield the table's updates: each a row, its time in ms, and by how much it counts."""
        coord, seen = self._coord, 0
        async for part in current_rows(coord.persist, coord.txns_shard, self._shard, coord.oracle):
            for row, _, diff in flat.updates(part):
                seen += 1
                if seen % _ROWS_PER_TURN == 0:
                    await coord.clock.sleep(0)
                datum = split_row(row)[self._at]
                micros = literal_int(Literal(datum, _TIME)) or 0
                yield row, micros // _MICROS_PER_MS, diff


def _cutoff_ms(hours: Mapping[int, int], now_ms: int) -> int:
    """Return before when rows go, given how many there are of each hour since the epoch."""
    cutoff_ms = now_ms - RETENTION_MS
    kept = 0
    for hour in sorted(hours, reverse=True):
        kept += hours[hour]
        if kept > ROWS_MAX:
            return max(cutoff_ms, (hour + 1) * _HOUR_MS)
    return cutoff_ms
