"""How long the sample of statements is kept: so many days, and so many executions.

Whatever an execution that stays belongs to stays with it: its prepared statement, that one's
session and text, and the events of its life.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from headwater.adapter import statement_rows as s
from headwater.catalog import rows as r
from headwater.catalog.transact import TableUpdate
from headwater.ir.literals import literal_int
from headwater.ir.rows import skip, split_row
from headwater.ir.scalar import Literal
from headwater.persist import flat
from headwater.types.scalar import TIMESTAMPTZ, ColumnType

# As in Materialize.
RETENTION_DAYS = 30
# The newest executions that stay, some 1 KB each with what belongs to them.
EXECUTIONS_MAX = 20_000

TABLES = (s.SESSIONS, s.PREPARED, s.EXECUTIONS, s.LIFECYCLE, s.TEXTS)

# The datum of an id, which rows begin with.
_UUID_BYTES = 17
_DAY_US = 86_400_000_000
_TIME = ColumnType(TIMESTAMPTZ, nullable=False)

# Rows with their multiplicities, by table (without its schema).
Held = Mapping[str, Mapping[bytes, int]]


class InUse(msgspec.Struct, frozen=True):
    """What stays in any case, since executions to come refer to it: ids and hashes as datums."""

    prepared: frozenset[bytes] = frozenset()
    sessions: frozenset[bytes] = frozenset()
    hashes: frozenset[bytes] = frozenset()


class HeldExecution(msgspec.Struct, frozen=True, gc=False):
    """An execution's row, and what of it counts here."""

    row: bytes
    id: bytes
    prepared: bytes
    began_us: int
    running: bool


class Sweep(msgspec.Struct, frozen=True):
    """What takes out all that does not stay, and what is left then.

    Attributes:
        updates: To be written.
        executions: How many stay.
        texts: The hashes, as datums, of the texts of ``now_ms``'s day that stay.
    """

    updates: list[TableUpdate]
    executions: int
    texts: set[bytes]


def held_execution(row: bytes) -> HeldExecution:
    """Return what counts of an execution's row."""
    at, ends = 2 * _UUID_BYTES, {}
    for column in range(s.EXECUTION_PREPARED + 1, s.EXECUTION_STATUS + 1):
        at = skip(row, at)
        ends[column] = at
    began = row[ends[s.EXECUTION_BEGAN - 1] : ends[s.EXECUTION_BEGAN]]
    return HeldExecution(
        row=row,
        id=row[:_UUID_BYTES],
        prepared=row[_UUID_BYTES : 2 * _UUID_BYTES],
        began_us=literal_int(Literal(began, _TIME)) or 0,
        running=row[ends[s.EXECUTION_STATUS - 1] : ends[s.EXECUTION_STATUS]] == r.NULL,
    )


def aborted(held: Mapping[bytes, int]) -> Iterator[TableUpdate]:
    """Yield what marks the executions of ``held`` that had not ended when their server did.

    When they have ended is not known: that stays NULL.
    """
    table = f"mz_internal.{s.EXECUTIONS}"
    for row, diff in held.items():
        datums = split_row(row)
        if datums[s.EXECUTION_STATUS] == r.NULL:
            datums[s.EXECUTION_STATUS] = r.text(s.ABORTED)
            yield TableUpdate(table, row, -diff)
            yield TableUpdate(table, b"".join(datums), diff)


def sweep(batches: Mapping[str, Sequence[bytes]], in_use: InUse, now_ms: int) -> Sweep:
    """Return what does not stay; takes long.

    Args:
        batches: All rows, as flat batches by table.
        in_use: What stays in any case; so do executions that run.
        now_ms: The time of day, in milliseconds since the epoch.
    """
    held = {table: flat.multiplicities(batches[table]) for table in TABLES}
    updates = expired(held, in_use, now_ms)
    gone = {update.row for update in updates}
    return Sweep(
        updates=updates,
        executions=sum(row not in gone for row in held[s.EXECUTIONS]),
        texts=of_day((row for row in held[s.TEXTS] if row not in gone), s.day_of(now_ms)),
    )


def expired(held: Held, in_use: InUse, now_ms: int) -> list[TableUpdate]:
    """Return what takes out all that does not stay.

    Args:
        held: All rows.
        in_use: What stays in any case; so do executions that run.
        now_ms: The time of day, in milliseconds since the epoch.
    """
    oldest_us = now_ms * 1_000 - RETENTION_DAYS * _DAY_US
    found = [held_execution(row) for row in held[s.EXECUTIONS]]
    newest = sorted(found, key=lambda each: each.began_us, reverse=True)
    stay = [
        each
        for rank, each in enumerate(newest)
        if each.running or (rank < EXECUTIONS_MAX and each.began_us >= oldest_us)
    ]
    ids = {each.id for each in stay}
    prepared = in_use.prepared | {each.prepared for each in stay}
    sessions, hashes = set(in_use.sessions), set(in_use.hashes)
    for row in held[s.PREPARED]:
        if row[:_UUID_BYTES] in prepared:
            sessions.add(row[_UUID_BYTES : 2 * _UUID_BYTES])
            at = skip(row, 2 * _UUID_BYTES)
            hashes.add(row[at : skip(row, at)])
    kept = {each.row for each in stay}
    gone = [
        (s.EXECUTIONS, [row for row in held[s.EXECUTIONS] if row not in kept]),
        (s.LIFECYCLE, [row for row in held[s.LIFECYCLE] if row[:_UUID_BYTES] not in ids]),
        (s.PREPARED, [row for row in held[s.PREPARED] if row[:_UUID_BYTES] not in prepared]),
        (s.SESSIONS, [row for row in held[s.SESSIONS] if row[:_UUID_BYTES] not in sessions]),
        (s.TEXTS, [row for row in held[s.TEXTS] if hash_of(row) not in hashes]),
    ]
    return [
        TableUpdate(f"mz_internal.{table}", row, -held[table][row])
        for table, rows in gone
        for row in rows
    ]


def hash_of(row: bytes) -> bytes:
    """Return the hash of a text's row, as a datum."""
    at = skip(row, 0)
    return row[at : skip(row, at)]


def of_day(texts: Iterable[bytes], day_ms: int) -> set[bytes]:
    """Return the hashes, as datums, of the texts that were prepared on a day."""
    day = r.integer(day_ms * 1_000)
    return {hash_of(row) for row in texts if row.startswith(day)}
