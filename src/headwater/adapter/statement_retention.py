"""How long the sample of statements is kept: so many days, and so many executions.

Whatever an execution that stays belongs to stays with it: its prepared statement, that one's
session and text, and the events of its life.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from headwater.adapter import statement_rows as s
from headwater.catalog import rows as r
from headwater.catalog.transact import TableUpdate
from headwater.ir.literals import literal_int
from headwater.ir.rows import skip, split_row
from headwater.ir.scalar import Literal
from headwater.types.scalar import TIMESTAMPTZ, ColumnType

# As in Materialize.
RETENTION_DAYS = 30
# The newest executions that stay, some 1 KB each with what belongs to them.
EXECUTIONS_MAX = 20_000

TABLES = (s.SESSIONS, s.PREPARED, s.EXECUTIONS, s.LIFECYCLE, s.TEXTS)

_DAY_US = 86_400_000_000
_TIME = ColumnType(TIMESTAMPTZ, nullable=False)

# Rows with their multiplicities, by table (without its schema).
Held = Mapping[str, Mapping[bytes, int]]


class InUse(msgspec.Struct, frozen=True):
    """What stays in any case, since executions to come refer to it: ids and hashes as datums."""

    prepared: frozenset[bytes] = frozenset()
    sessions: frozenset[bytes] = frozenset()
    hashes: frozenset[bytes] = frozenset()


class HeldExecution(msgspec.Struct, frozen=True):
    """An execution's row, and what of it counts here."""

    row: bytes
    id: bytes
    prepared: bytes
    began_us: int
    running: bool


def held_execution(row: bytes) -> HeldExecution:
    """Return what counts of an execution's row."""
    at, ends = 0, []
    for _ in range(s.EXECUTION_STATUS + 1):
        at = skip(row, at)
        ends.append(at)
    began = row[ends[s.EXECUTION_BEGAN - 1] : ends[s.EXECUTION_BEGAN]]
    return HeldExecution(
        row=row,
        id=row[: ends[0]],
        prepared=row[ends[0] : ends[s.EXECUTION_PREPARED]],
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


def expired(
    held: Held, executions: Iterable[HeldExecution], in_use: InUse, now_ms: int
) -> list[TableUpdate]:
    """Return what takes out all that does not stay.

    Args:
        held: All rows.
        executions: Those of the executions' table.
        in_use: What stays in any case; so do executions that run.
        now_ms: The time of day, in milliseconds since the epoch.
    """
    oldest_us = now_ms * 1_000 - RETENTION_DAYS * _DAY_US
    newest = sorted(executions, key=lambda each: each.began_us, reverse=True)
    stay = [
        each
        for rank, each in enumerate(newest)
        if each.running or (rank < EXECUTIONS_MAX and each.began_us >= oldest_us)
    ]
    ids = {each.id for each in stay}
    prepared = in_use.prepared | {each.prepared for each in stay}
    sessions, hashes = set(in_use.sessions), set(in_use.hashes)
    for row in held[s.PREPARED]:
        datums = split_row(row)
        if datums[0] in prepared:
            sessions.add(datums[s.PREPARED_SESSION])
            hashes.add(datums[s.PREPARED_HASH])
    kept = {each.row for each in stay}
    gone = [
        (s.EXECUTIONS, [row for row in held[s.EXECUTIONS] if row not in kept]),
        (s.LIFECYCLE, [row for row in held[s.LIFECYCLE] if row[: skip(row, 0)] not in ids]),
        (s.PREPARED, [row for row in held[s.PREPARED] if row[: skip(row, 0)] not in prepared]),
        (s.SESSIONS, [row for row in held[s.SESSIONS] if row[: skip(row, 0)] not in sessions]),
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


def day_us(row: bytes) -> int:
    """Return the day of a text's row, in microseconds since the epoch."""
    return literal_int(Literal(row[: skip(row, 0)], _TIME)) or 0
