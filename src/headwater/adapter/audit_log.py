"""The audit log: events are committed with what they tell of, and shown right after.

A catalog transaction's commit holds its events as rows of an outbox; then they are written to the
log's collection. The commit after that takes them from the outbox again, so that the catalog does
not grow with the log. A server that starts writes what the last one had not come to.
"""

from collections.abc import Iterable, Mapping, Sequence

from headwater.catalog import audit
from headwater.catalog.allocate import IdAllocator
from headwater.catalog.audit import AuditRecord, Event
from headwater.catalog.builtin.pack import audit_row
from headwater.catalog.codec import Change, Kind, RowKey, State, decode_kind, to_json
from headwater.catalog.ops import CatalogObject
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.catalog.transact import TableUpdate
from headwater.runtime.clock import Clock


class AuditLog:
    """What is committed and not yet known to be shown; ``state`` is the catalog's rows."""

    def __init__(self, state: State, ids: IdAllocator, clock: Clock) -> None:
        self._state = state
        self._ids = ids
        self._clock = clock
        self._latest_ms = 0
        self._shown: tuple[RowKey, ...] = ()

    def records(self, events: Iterable[Event], user: str | None) -> list[AuditRecord]:
        """Return a transaction's events, numbered, at a time that no other transaction has."""
        self._latest_ms = max(self._clock.now_ms(), self._latest_ms + 1)
        return [audit.record(e, self._ids.audit(), user, self._latest_ms) for e in events]

    def changes(self, records: Sequence[AuditRecord]) -> list[Change]:
        """Return what puts ``records`` into the outbox, and takes out what is shown."""
        gone = [Change(key, self._state[key], None) for key in self._shown if key in self._state]
        return [*gone, *(Change(_key(each), None, to_json(each)) for each in records)]

    def updates(self, records: Iterable[AuditRecord]) -> list[TableUpdate]:
        """Return what shows ``records``; :meth:`note_shown` is told when it is written."""
        return [TableUpdate(*audit_row(each), 1) for each in records]

    def note_shown(self) -> None:
        """Note that all that has been committed is in the log's collection."""
        self._shown = tuple(key for key in self._state if key[0] == Kind.AUDIT)

    def missing(self, held: Mapping[bytes, int]) -> list[TableUpdate]:
        """Return what shows the events of the outbox that the collection, ``held``, lacks."""
        updates = self.updates(decode_kind(self._state, Kind.AUDIT, AuditRecord))
        return [update for update in updates if update.row not in held]

    def begin(self, snapshot: CatalogSnapshot, entities: Iterable[CatalogObject]) -> list[Change]:
        """Return the outbox of a new catalog: what it starts with."""
        return self.changes(self.records(audit.initial(snapshot, entities), None))


def _key(record: AuditRecord) -> RowKey:
    return (Kind.AUDIT.value, str(record.id))
