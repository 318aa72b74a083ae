"""What sources and sinks have been through: the last few statuses of each, kept across restarts."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from headwater.catalog import rows as r
from headwater.catalog.items import CatalogItem
from headwater.catalog.rows import TableRow
from headwater.ir.literals import literal_int, literal_text, parse_datum
from headwater.ir.rows import split_row
from headwater.ir.scalar import Literal
from headwater.storage.protocol import Status, StatusUpdate
from headwater.types.ids import GlobalId, ReplicaId
from headwater.types.scalar import JSONB, TEXT, TIMESTAMPTZ, ColumnType

# So many statuses of each object are kept.
KEPT_MAX = 5
# Dropped objects keep theirs until the server starts anew, and so many of them at most.
DROPPED_MAX = 1_000

_SOURCES = "mz_internal.mz_source_status_history"
_SINKS = "mz_internal.mz_sink_status_history"
_MICROS_PER_MS = 1_000
_TIME = ColumnType(TIMESTAMPTZ, nullable=False)
_TEXT = ColumnType(TEXT, nullable=False)


class StatusHistory:
    """The rows of both history relations.

    Args:
        written: What the relations hold already.
    """

    def __init__(self, written: Iterable[TableRow]) -> None:
        self._kept: dict[GlobalId, deque[TableRow]] = {}
        self._dropped: deque[GlobalId] = deque()
        found: list[tuple[int, GlobalId, TableRow]] = []
        for table, row in written:
            time, named, *_ = split_row(row)
            at = literal_int(Literal(time, _TIME)) or 0
            found.append((at, GlobalId(literal_text(Literal(named, _TEXT)) or ""), (table, row)))
        for _, id, row_of_table in sorted(found):
            self._of(id).append(row_of_table)

    def add(
        self, id: GlobalId, update: StatusUpdate, replica: ReplicaId | None, *, is_sink: bool
    ) -> None:
        """Note a change of status; the first one of an object comes after its creation."""
        table = _SINKS if is_sink else _SOURCES
        kept = self._of(id)
        if not kept:
            kept.append(_row(table, id, StatusUpdate(id, Status.CREATED, update.time), None))
        kept.append(_row(table, id, update, replica))

    def note_dropped(self, find: Callable[[GlobalId], CatalogItem | None], now_ms: int) -> None:
        """Note which objects are gone."""
        gone = [id for id in self._kept if find(id) is None and id not in self._dropped]
        for id in gone:
            kept = self._kept[id]
            table = kept[-1][0]
            kept.append(_row(table, id, StatusUpdate(id, Status.DROPPED, now_ms), None))
            self._dropped.append(id)
            if len(self._dropped) > DROPPED_MAX:
                del self._kept[self._dropped.popleft()]

    def forget_dropped(self, find: Callable[[GlobalId], CatalogItem | None]) -> None:
        """Let go of objects that earlier servers have dropped."""
        for id in [id for id in self._kept if find(id) is None]:
            del self._kept[id]

    def rows(self) -> Iterator[TableRow]:
        """Yield all rows."""
        for kept in self._kept.values():
            yield from kept

    def _of(self, id: GlobalId) -> deque[TableRow]:
        return self._kept.setdefault(id, deque(maxlen=KEPT_MAX))


def details_datum(update: StatusUpdate) -> bytes:
    """Return what more there is to say of a status, as a jsonb datum: hints, and the detail."""
    error = update.error
    details: dict[str, object] = {}
    if error is not None and error.hint:
        details["hints"] = [error.hint]
    if error is not None and error.detail:
        details["detail"] = error.detail
    return parse_datum(json.dumps(details), JSONB) if details else r.NULL


def _row(table: str, id: GlobalId, update: StatusUpdate, replica: ReplicaId | None) -> TableRow:
    return table, b"".join(
        (
            r.integer(update.time * _MICROS_PER_MS),
            r.text(id),
            r.text(update.status.value),
            r.text(update.error.message if update.error is not None else None),
            details_datum(update),
            r.text(replica),
        )
    )
