"""The flat update codec as Python sees it: batches of ``(row, time, diff)`` in one byte string.

The layout is ``hw_types::flat``'s, little-endian: ``u32 n``, ``u32 len``, ``n * u32`` ends of rows,
``n * u64`` times, ``n * i64`` diffs, ``len`` bytes of rows. What is columnar can be done to a whole
batch at once; only tests and small relations (the catalog) look at single rows here.
"""

import array
import operator
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from headwater.errors import DataCorrupted

HEADER_BYTES = 8
UPDATE_BYTES = 4 + 8 + 8
EMPTY = struct.pack("<II", 0, 0)

Update = tuple[bytes, int, int]  # row, time, diff

_SWAP = sys.byteorder != "little"


def count(data: bytes) -> int:
    """Return the number of updates, having checked that header and length agree."""
    if not data:
        return 0
    if len(data) < HEADER_BYTES:
        raise DataCorrupted(f"flat batch has {len(data)} bytes, less than its header")
    n, length = struct.unpack_from("<II", data)
    want = HEADER_BYTES + n * UPDATE_BYTES + length
    if want != len(data):
        raise DataCorrupted(f"flat batch has {len(data)} bytes where its header says {want}")
    return int(n)


def build(updates: Iterable[Update]) -> bytes:
    """Return the batch of ``updates``."""
    ends, times, diffs, rows, at = _u32(), _u64(), _i64(), [], 0
    for row, time, diff in updates:
        at += len(row)
        rows.append(row)
        ends.append(at)
        times.append(time)
        diffs.append(diff)
    return _assemble(ends, times, diffs, b"".join(rows))


def build_at(rows: Sequence[bytes], time: int, diff: int = 1) -> bytes:
    """Return the batch of ``rows``, all at one time and with one diff."""
    return build((row, time, diff) for row in rows)


def updates(data: bytes) -> Iterator[Update]:
    """Yield the updates in order."""
    ends, times, diffs, start = _columns(data)
    begin = start
    for end, time, diff in zip(ends, times, diffs, strict=True):
        yield data[begin : start + end], time, diff
        begin = start + end


def multiplicities(batches: Iterable[bytes]) -> dict[bytes, int]:
    """Return how often each row is there, where it is at all; times are ignored."""
    held: dict[bytes, int] = {}
    for batch in batches:
        for row, _, diff in updates(batch):
            held[row] = held.get(row, 0) + diff
    return {row: diff for row, diff in held.items() if diff}


def stamp(data: bytes, time: int) -> bytes:
    """Return the batch with every time replaced by ``time``."""
    n = count(data)
    if n == 0:
        return EMPTY
    at = HEADER_BYTES + n * 4
    return b"".join((data[:at], time.to_bytes(8, "little") * n, data[at + n * 8 :]))


def at_times(data: bytes, moved: Callable[[int], int]) -> bytes:
    """Return the batch with every time ``t`` replaced by ``moved(t)``, called once a time."""
    n = count(data)
    if n == 0:
        return EMPTY
    before = times(data)
    now = {time: moved(time) for time in set(before)}
    if all(time == other for time, other in now.items()):
        return data
    after = _u64()
    after.extend(map(now.__getitem__, before))
    if _SWAP:
        after.byteswap()
    at = HEADER_BYTES + n * 4
    return b"".join((data[:at], after.tobytes(), data[at + n * 8 :]))


def times(data: bytes) -> Sequence[int]:
    """Return every update's time, in order."""
    return _columns(data)[1]


def diffs(data: bytes) -> Sequence[int]:
    """Return every update's diff, in order."""
    return _columns(data)[2]


def concat(batches: Sequence[bytes]) -> bytes:
    """Return one batch with the updates of all, in order."""
    sizes = [(data, n) for data in batches if (n := count(data))]
    if len(sizes) == 1:
        return sizes[0][0]
    # Only the ends of rows have to be looked at; the other columns are joined as bytes.
    all_ends, all_times, diffs, rows, before = _u32(), [], [], [], 0
    for data, n in sizes:
        to_times = HEADER_BYTES + 4 * n
        to_diffs, to_rows = to_times + 8 * n, to_times + 16 * n
        ends = _ends(data[HEADER_BYTES:to_times], len(data) - to_rows)
        all_ends.extend([end + before for end in ends] if before else ends)
        all_times.append(data[to_times:to_diffs])
        diffs.append(data[to_diffs:to_rows])
        rows.append(data[to_rows:])
        before += len(data) - to_rows
    if _SWAP:
        all_ends.byteswap()
    header = struct.pack("<II", len(all_ends), before)
    return b"".join((header, all_ends.tobytes(), *all_times, *diffs, *rows))


def restrict(data: bytes, lower: int, upper: int | None, as_of: int | None) -> bytes:
    """Return the updates with ``lower <= time < upper``, times advanced to at least ``as_of``."""
    if count(data) == 0:
        return EMPTY
    all_times = times(data)
    inside = min(all_times) >= lower and (upper is None or max(all_times) < upper)
    if inside and (as_of is None or min(all_times) >= as_of):
        return data
    floor = 0 if as_of is None else as_of
    return build(
        (row, max(time, floor), diff)
        for row, time, diff in updates(data)
        if time >= lower and (upper is None or time < upper)
    )


def consolidate(data: bytes) -> list[Update]:
    """Return the updates summed by row and time, sorted, without those that cancel."""
    sums: dict[tuple[bytes, int], int] = {}
    for row, time, diff in updates(data):
        sums[row, time] = sums.get((row, time), 0) + diff
    return sorted((row, time, diff) for (row, time), diff in sums.items() if diff)


def _columns(data: bytes) -> tuple[Sequence[int], Sequence[int], Sequence[int], int]:
    n = count(data)
    if n == 0:
        return (), (), (), HEADER_BYTES
    all_times, diffs = _u64(), _i64()
    to_times = at = HEADER_BYTES + 4 * n
    for column in (all_times, diffs):
        size = n * column.itemsize
        column.frombytes(data[at : at + size])
        if _SWAP:
            column.byteswap()
        at += size
    return _ends(data[HEADER_BYTES:to_times], len(data) - at), all_times, diffs, at


def _ends(data: bytes, last: int) -> "array.array[int]":
    """Return the ends of rows, having checked that they are in order, up to ``last``."""
    ends = _u32()
    ends.frombytes(data)
    if _SWAP:
        ends.byteswap()
    if ends[-1] != last or any(map(operator.gt, ends, ends[1:])):
        raise DataCorrupted("flat batch has ends of rows that do not fit")
    return ends


def _assemble(
    ends: "array.array[int]", all_times: "array.array[int]", diffs: "array.array[int]", rows: bytes
) -> bytes:
    if _SWAP:
        for column in (ends, all_times, diffs):
            column.byteswap()
    header = struct.pack("<II", len(ends), len(rows))
    return b"".join((header, ends.tobytes(), all_times.tobytes(), diffs.tobytes(), rows))


def _u32() -> "array.array[int]":
    return array.array("I")


def _u64() -> "array.array[int]":
    return array.array("Q")


def _i64() -> "array.array[int]":
    return array.array("q")
