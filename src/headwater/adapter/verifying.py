"""Whether the rows that a table has fulfil constraints that it is to get.

The rows are read whole, in the shape that the table will have, and are in memory meanwhile: a table
of more than :data:`VERIFIED_BYTES_MAX` gets no constraints. Nobody may write to it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

import msgspec

from headwater.adapter.constraints import shown_key
from headwater.adapter.coordinator import Coordinator
from headwater.catalog.items import CheckConstraint, KeyConstraint, Table
from headwater.errors import (
    CheckViolation,
    NotNullViolation,
    ProgramLimitExceeded,
    UniqueViolation,
)
from headwater.ir.batches import first_false, first_null
from headwater.persist import flat
from headwater.persist.keys import TableKeys

VERIFIED_BYTES_MAX = 1 << 30


class NewRules(msgspec.Struct, frozen=True):
    """What rows have not been checked for yet."""

    not_null: tuple[int, ...]
    keys: tuple[KeyConstraint, ...]
    checks: tuple[CheckConstraint, ...]

    @property
    def any(self) -> bool:
        """Return whether there are any."""
        return bool(self.not_null or self.keys or self.checks)

    @classmethod
    def between(cls, old: Table, new: Table) -> "NewRules":
        """Return what ``new`` demands of rows, and ``old`` did not."""
        held = {index for index, column in enumerate(old.desc.columns) if not column.nullable}
        return cls(
            tuple(
                index
                for index, column in enumerate(new.desc.columns)
                if not column.nullable and index not in held
            ),
            _more(new.keys, old.keys),
            _more(new.checks, old.checks),
        )


R = TypeVar("R", KeyConstraint, CheckConstraint)


def _more(new: Sequence[R], old: Sequence[R]) -> tuple[R, ...]:
    """Return the rules that are new, by whatever name."""
    known = [msgspec.structs.replace(rule, name="") for rule in old]
    return tuple(rule for rule in new if msgspec.structs.replace(rule, name="") not in known)


async def table_rows(coord: Coordinator, table: Table) -> AsyncIterator[bytes]:
    """Yield the updates that a table consists of now, in the shape of ``table``."""
    if not coord.storage.has(table.id):
        return  # made in the same transaction
    reader = await coord.persist.open_reader(table.shard, coord.txns_shard)
    try:
        as_of = coord.oracle.read_ts()
        hold = await coord.persist.hold(table.shard, as_of)
        try:
            snapshot = await reader.snapshot(as_of)
            for part in snapshot.parts:
                yield await coord.persist.fetch_flat(part, table.desc)
        finally:
            await hold.release()
    finally:
        await reader.close()


async def table_batches(coord: Coordinator, table: Table) -> list[bytes]:
    """Return what :func:`table_rows` yields. Raises: ProgramLimitExceeded."""
    batches: list[bytes] = []
    size = 0
    async for batch in table_rows(coord, table):
        batches.append(batch)
        size += len(batch)
        if size > VERIFIED_BYTES_MAX:
            raise ProgramLimitExceeded(
                f'table "{table.name}" is too large to be rewritten',
                detail=f"More than {VERIFIED_BYTES_MAX} bytes would have to be in memory.",
            )
    return batches


async def verify(table: Table, rules: NewRules, rows: AsyncIterator[bytes]) -> TableKeys:
    """Check ``rows`` against the rules. Returns: the keys that they take, all of the table's.

    Raises: NotNullViolation, CheckViolation, UniqueViolation, ProgramLimitExceeded.
    """
    batches: list[bytes] = []
    size = 0
    async for batch in rows:
        batches.append(batch)
        size += len(batch)
        if size > VERIFIED_BYTES_MAX:
            raise ProgramLimitExceeded(
                f'table "{table.name}" is too large for a constraint to be added',
                detail=f"More than {VERIFIED_BYTES_MAX} bytes would have to be checked.",
            )
    return await asyncio.to_thread(_verified, table, rules, batches)


def _verified(table: Table, rules: NewRules, batches: list[bytes]) -> TableKeys:
    rows = flat.build(flat.consolidate(flat.concat(batches)))
    if rules.not_null:
        found = first_null(rows, rules.not_null)
        if found is not None:
            name = table.desc.columns[found[0]].name
            null = NotNullViolation(
                f'column "{name}" of relation "{table.name}" contains null values'
            )
            null.table_name, null.column_name = table.name, name
            raise null
    if rules.checks:
        failed = first_false([check.predicate for check in rules.checks], rows)
        if failed is not None:
            name = rules.checks[failed[0]].name
            check = CheckViolation(
                f'check constraint "{name}" of relation "{table.name}" is violated by some row'
            )
            check.table_name, check.constraint_name = table.name, name
            raise check
    taken = TableKeys([(key.columns, key.nulls_distinct) for key in table.keys])
    violated = taken.admit(rows)
    if violated is not None:
        number, row = violated
        key = table.keys[number]
        error = UniqueViolation(
            f'could not create unique index "{key.name}"',
            detail=f"Key {shown_key(table, key, row)} is duplicated.",
        )
        error.table_name, error.constraint_name = table.name, key.name
        raise error
    return taken
