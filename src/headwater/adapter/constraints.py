"""What rows a table may hold: NOT NULL, CHECK, PRIMARY KEY, UNIQUE.

NOT NULL and CHECK are looked at when a statement has its rows (:func:`check_rows`). Keys are looked
at twice: by the statement, so that it fails where PostgreSQL's would, and by group commit, which
sees all writers of a table in one order and whose answer counts (:class:`Keys`).

Which keys are taken is kept in memory for each table that has any, as fingerprints of 16 bytes
(``hw_types::keys``). A table that was there at boot is read once, before the first write to it;
from then on a write costs what it touches.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TypeVar

from headwater.adapter.oracle import TimestampOracle
from headwater.catalog.items import KeyConstraint, Table
from headwater.errors import (
    CheckViolation,
    ConstraintViolation,
    NotNullViolation,
    UndefinedTable,
    UniqueViolation,
)
from headwater.ir.batches import datum_text, first_false, first_null
from headwater.ir.rows import split_row
from headwater.persist.client import PersistClient
from headwater.persist.keys import KeyChanges, TableKeys
from headwater.types.ids import ShardId
from headwater.types.relation import RelationDesc

# Reads a table as it is now, part by part.
ReadTable = Callable[[ShardId], AsyncIterator[bytes]]


async def current_rows(
    persist: PersistClient, txns: ShardId, table: ShardId, oracle: TimestampOracle
) -> AsyncIterator[bytes]:
    """Yield the updates that a table consists of now, all commits that were answered included."""
    reader = await persist.open_reader(table, txns)
    try:
        as_of = oracle.read_ts()
        hold = await persist.hold(table, as_of)
        try:
            snapshot = await reader.snapshot(as_of)
            for part in snapshot.parts:
                yield await reader.fetch_flat(part)
        finally:
            await hold.release()
    finally:
        await reader.close()


async def no_table(table: ShardId) -> AsyncIterator[bytes]:
    """Refuse to read: where no table has keys. Raises: UndefinedTable."""
    if table:
        raise UndefinedTable(f"there is no table {table}")
    yield b""


class _TableKeys:
    """The keys of one table; ``ready`` is set once they are all known."""

    def __init__(self, table: Table, *, empty: bool) -> None:
        self.table = table
        self.taken = TableKeys([(key.columns, key.nulls_distinct) for key in table.keys])
        self.ready = empty
        self.loading = asyncio.Lock()


class Pending:
    """The keys that a transaction has taken and given back so far, by table."""

    def __init__(self) -> None:
        self.changes: dict[ShardId, KeyChanges] = {}


class Keys:
    """The taken keys of all tables that have any."""

    def __init__(self, read_table: ReadTable) -> None:
        self._read_table = read_table
        self._tables: dict[ShardId, _TableKeys] = {}

    def declare(self, table: Table, *, empty: bool) -> None:
        """Enforce a table's keys from now on; ``empty``: it was made just now."""
        if table.keys:
            self._tables[table.shard] = _TableKeys(table, empty=empty)
        else:
            self.forget(table.shard)

    def note(self, table: Table) -> None:
        """Note that a table may have another name, or more columns."""
        known = self._tables.get(table.shard)
        if known is not None and known.table.keys == table.keys:
            known.table = table

    def install(self, table: Table, taken: TableKeys | None) -> None:
        """Enforce other keys of a table from now on, all of which are ``taken`` if given."""
        self.declare(table, empty=False)
        found = self._tables.get(table.shard)
        if found is not None and taken is not None:
            found.taken, found.ready = taken, True

    def forget(self, shard: ShardId) -> None:
        """Forget a table that is gone."""
        self._tables.pop(shard, None)

    def has(self, shard: ShardId) -> bool:
        """Return whether a table has keys."""
        return shard in self._tables

    def is_loaded(self, shard: ShardId) -> bool:
        """Return whether all keys of a table are known already."""
        found = self._tables.get(shard)
        return found is None or found.ready

    async def load(self, shards: Sequence[ShardId]) -> None:
        """Know all keys of these tables: whoever writes to them must have waited for this."""
        for shard in shards:
            found = self._tables.get(shard)
            if found is None or found.ready:
                continue
            async with found.loading:
                if not found.ready:
                    await self._load(found)

    async def _load(self, found: _TableKeys) -> None:
        keys = TableKeys([(key.columns, key.nulls_distinct) for key in found.table.keys])
        async for data in self._read_table(found.table.shard):
            await asyncio.to_thread(keys.load, data)
        await asyncio.to_thread(keys.loaded)
        found.taken, found.ready = keys, True

    def admit(self, updates: Mapping[ShardId, bytes]) -> UniqueViolation | None:
        """Take the keys of a write, of all tables or, with the error returned, of none."""
        done: dict[ShardId, bytes] = {}
        for shard, data in updates.items():
            found = self._tables.get(shard)
            if found is None:
                continue
            violated = found.taken.admit(data)
            if violated is not None:
                self.retract(done)
                return _unique_violation(found.table, *violated)
            done[shard] = data
        return None

    def retract(self, updates: Mapping[ShardId, bytes]) -> None:
        """Take back what :meth:`admit` took: it was not written after all."""
        for shard, data in updates.items():
            found = self._tables.get(shard)
            if found is not None:
                found.taken.retract(data)

    def admit_pending(self, shard: ShardId, data: bytes, pending: Pending) -> None:
        """Take the keys of a statement for its transaction alone. Raises: UniqueViolation."""
        found = self._tables.get(shard)
        if found is None:
            return
        changes = pending.changes.setdefault(shard, KeyChanges())
        violated = found.taken.admit_pending(data, changes)
        if violated is not None:
            raise _unique_violation(found.table, *violated)

    def free(
        self, shard: ShardId, data: bytes, arbiter: int | None, pending: Pending | None = None
    ) -> bytes:
        """Return the rows of ``data`` that meet no row of the table and no earlier one of theirs.

        Args:
            shard: The table.
            data: Additions; their first columns are the table's.
            arbiter: The number of the key that decides, None for all.
            pending: The transaction's own changes.
        """
        found = self._tables.get(shard)
        if found is None:
            return data
        changes = None if pending is None else pending.changes.get(shard)
        return found.taken.free(data, arbiter, changes)


def check_rows(table: Table, rows: bytes) -> None:
    """Look at the rows that a statement adds to a table; retractions do not count.

    Raises: NotNullViolation, CheckViolation, and what evaluating a CHECK raises.
    """
    not_null = [index for index, column in enumerate(table.desc.columns) if not column.nullable]
    if not_null:
        found = first_null(rows, not_null)
        if found is not None:
            raise not_null_violation(table, *found)
    if table.checks:
        failed = first_false([check.predicate for check in table.checks], rows)
        if failed is not None:
            raise _check_violation(table, *failed)


def not_null_violation(table: Table, column: int, row: bytes) -> NotNullViolation:
    """Return the error of a row with a NULL where none may be."""
    name = table.desc.columns[column].name
    error = NotNullViolation(
        f'null value in column "{name}" of relation "{table.name}" violates not-null constraint',
        detail=_failing_row(table, row),
    )
    return _about(error, table, column=name)


def _check_violation(table: Table, check: int, row: bytes) -> CheckViolation:
    name = table.checks[check].name
    error = CheckViolation(
        f'new row for relation "{table.name}" violates check constraint "{name}"',
        detail=_failing_row(table, row),
    )
    return _about(error, table, constraint=name)


def _unique_violation(table: Table, key: int, row: bytes) -> UniqueViolation:
    constraint = table.keys[key]
    error = UniqueViolation(
        f'duplicate key value violates unique constraint "{constraint.name}"',
        detail=f"Key {shown_key(table, constraint, row)} already exists.",
    )
    return _about(error, table, constraint=constraint.name)


def shown_key(table: Table, key: KeyConstraint, row: bytes) -> str:
    """Return a row's key as PostgreSQL shows it: ``(a, b)=(1, x)``."""
    names = ", ".join(table.desc.columns[index].name for index in key.columns)
    datums = split_row(row)
    values = ", ".join(_shown(table.desc, index, datums[index]) for index in key.columns)
    return f"({names})=({values})"


# PostgreSQL cuts each value of a failing row to so many characters.
_SHOWN_CHARACTERS_MAX = 64


def _failing_row(table: Table, row: bytes) -> str:
    datums = split_row(row)
    shown = (_cut(_shown(table.desc, i, datums[i])) for i in table.shown)
    return f"Failing row contains ({', '.join(shown)})."


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}..."


def _shown(desc: RelationDesc, index: int, datum: bytes) -> str:
    text = datum_text(desc.columns[index].type, datum)
    return "null" if text is None else text


_E = TypeVar("_E", bound=ConstraintViolation)


def _about(error: _E, table: Table, *, column: str = "", constraint: str = "") -> _E:
    error.table_name = table.name
    error.column_name = column
    error.constraint_name = constraint
    return error
