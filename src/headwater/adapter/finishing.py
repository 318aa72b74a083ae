"""Finishing in Python: sort, cut and project the few rows that never leave this process.

The front does the same in Rust for everything that goes to clients.
"""

from functools import cmp_to_key

from headwater.ir.relation import RowSetFinishing
from headwater.ir.rows import split_row
from headwater.ir.scalar import ColumnOrder
from headwater.persist import flat
from headwater.types.time import TIMESTAMP_MIN

_NULL = b"\xfe"
Row = tuple[list[bytes], int]


def finish(data: bytes, finishing: RowSetFinishing) -> bytes:
    """Return the flat batch ``data`` sorted, cut and projected; multiplicities count.

    Shape: the columns ``finishing.project``; times are 0, diffs positive.
    """
    rows: list[Row] = [(split_row(row), diff) for row, _, diff in flat.updates(data)]
    if finishing.order_by:

        def ordered(left: Row, right: Row) -> int:
            return compare(left[0], right[0], finishing.order_by)

        rows.sort(key=cmp_to_key(ordered))
    kept = _cut(rows, finishing.offset, finishing.limit)
    return flat.build(
        (b"".join(datums[column] for column in finishing.project), TIMESTAMP_MIN, diff)
        for datums, diff in kept
    )


def compare(left: list[bytes], right: list[bytes], order: tuple[ColumnOrder, ...]) -> int:
    """Compare two rows' datums by ``order``, then by the whole row."""
    for key in order:
        a, b = left[key.column], right[key.column]
        if a == b:
            continue
        if a == _NULL or b == _NULL:
            return 1 if (a == _NULL) == key.nulls_last else -1
        return (1 if a > b else -1) * (-1 if key.desc else 1)
    return (left > right) - (left < right)


def _cut(rows: list[Row], offset: int, limit: int | None) -> list[Row]:
    kept: list[Row] = []
    left = limit
    for datums, diff in rows:
        skipped = min(offset, diff)
        offset -= skipped
        count = diff - skipped if left is None else min(diff - skipped, left)
        if left is not None:
            left -= count
        if count > 0:
            kept.append((datums, count))
    return kept
