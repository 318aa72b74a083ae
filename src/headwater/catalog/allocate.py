"""Ids of new objects: counters that never go back, and the lasting ids of builtin objects.

Counters are rows of the catalog's shard. An id handed out and never committed may be handed out
again after a restart: nothing durable refers to it.
"""

import itertools
from collections.abc import Iterable, Mapping

from headwater.catalog.codec import BuiltinRecord, Change, Kind, RowKey, from_json, to_json
from headwater.types.ids import (
    ClusterId,
    DatabaseId,
    GlobalId,
    PolicyId,
    ReplicaId,
    RoleId,
    SchemaId,
    ShardId,
)

# Those below are used by the objects that every catalog starts with.
_FIRST = {
    "item": 1,
    "builtin": 1,
    "cluster": 2,
    "replica": 2,
    "database": 2,
    "schema": 9,
    "role": 2,
    "policy": 2,
    "audit": 1,
    "oid": 20_100,
    "builtin_oid": 17_000,
}


class IdAllocator:
    """Hands out ids; :meth:`changes` is what the next commit must make durable."""

    def __init__(self, state: Mapping[RowKey, str]) -> None:
        self._durable = {name: int(state.get(_key(name), first)) for name, first in _FIRST.items()}
        self._stored = {name for name in _FIRST if _key(name) in state}
        self._next = dict(self._durable)
        self._transient = itertools.count(1)  # taken from several threads

    def item(self) -> GlobalId:
        """Return the id of a new item."""
        return GlobalId(f"u{self._take('item')}")

    def builtin(self) -> GlobalId:
        """Return the id of a builtin item that is new in this version of the program."""
        return GlobalId(f"s{self._take('builtin')}")

    def cluster(self) -> ClusterId:
        """Return the id of a new cluster."""
        return ClusterId(f"u{self._take('cluster')}")

    def replica(self) -> ReplicaId:
        """Return the id of a new replica."""
        return ReplicaId(f"u{self._take('replica')}")

    def database(self) -> DatabaseId:
        """Return the id of a new database."""
        return DatabaseId(f"u{self._take('database')}")

    def schema(self) -> SchemaId:
        """Return the id of a new schema."""
        return SchemaId(f"u{self._take('schema')}")

    def role(self) -> RoleId:
        """Return the id of a new role."""
        return RoleId(f"u{self._take('role')}")

    def policy(self) -> PolicyId:
        """Return the id of a new network policy."""
        return PolicyId(f"u{self._take('policy')}")

    def audit(self) -> int:
        """Return the number of a new event of the audit log."""
        return self._take("audit")

    def oid(self) -> int:
        """Return the object id of a new object."""
        return self._take("oid")

    def builtin_oid(self) -> int:
        """Return the object id of a builtin item that is new in this version of the program."""
        return self._take("builtin_oid")

    def transient(self) -> GlobalId:
        """Return an id that is gone with the statement or session; never stored."""
        return GlobalId(f"t{next(self._transient)}")

    def changes(self) -> list[Change]:
        """Return the counters' changes since :meth:`committed`."""
        return [
            Change(
                _key(name),
                str(self._durable[name]) if name in self._stored else None,
                str(value),
            )
            for name, value in self._next.items()
            if value != self._durable[name]
        ]

    def committed(self, changes: Iterable[Change]) -> None:
        """Note that ``changes``, which came from :meth:`changes`, are durable."""
        for change in changes:
            kind, key = change.key
            name = key.removeprefix("next_")
            if kind == Kind.META and name in self._durable and change.new is not None:
                self._durable[name] = int(change.new)
                self._stored.add(name)

    def _take(self, name: str) -> int:
        value = self._next[name]
        self._next[name] = value + 1
        return value


class BuiltinIds:
    """The ids of builtin objects by name (``table mz_catalog.mz_tables``), the same for ever."""

    def __init__(self, state: Mapping[RowKey, str], ids: IdAllocator) -> None:
        self._ids = ids
        self._records = {
            key: from_json(value, BuiltinRecord)
            for (kind, key), value in state.items()
            if kind == Kind.BUILTIN
        }
        self.changes: list[Change] = []

    def record(
        self, name: str, *, oid: int | None = None, shard: bool = False, shape: str = ""
    ) -> BuiltinRecord:
        """Return the ids of ``name``; new ones if this version of the program brought it.

        A table whose columns are others than before is another table, with a collection anew.
        """
        found = self._records.get(name)
        if found is not None and found.shape == shape:
            return found
        id = self._ids.builtin()
        if oid is None:
            oid = self._ids.builtin_oid() if found is None else found.oid
        record = BuiltinRecord(id, oid, ShardId(f"table-{id}") if shard else None, shape)
        self._records[name] = record
        old = None if found is None else to_json(found)
        self.changes.append(Change((Kind.BUILTIN.value, name), old, to_json(record)))
        return record


def _key(name: str) -> RowKey:
    return (Kind.META.value, f"next_{name}")
