"""A range of 0.01 % of a table of many parts: fetching and decoding all, and those it may be in.

Run: PYTHONPATH=src .venv/bin/python bench/micro/part_selection.py [rows] [parts]

Both read the same bytes from memory, so that the ratio is of decoding alone; of an object store it
is more.
"""

import sys
import time
from collections.abc import Callable

import msgspec

from headwater.compute.selection import PartSelector
from headwater.ir.physical import Mfp, Predicate
from headwater.ir.scalar import Call, Column, Literal
from headwater.native.loader import native
from headwater.persist import codec, flat
from headwater.persist.parts import BlobPart
from headwater.sql.lower.selection import derive_selection
from headwater.types.relation import Column as ColumnDesc
from headwater.types.relation import RelationDesc
from headwater.types.scalar import BOOL, INT8, ColumnType
from headwater.types.time import TIMESTAMP_MIN

DESC = RelationDesc((ColumnDesc("k", INT8), ColumnDesc("v", INT8)))
ROUNDS = 5
SHARE = 10_000  # one row of so many is in the range


def parts_of(rows: int, parts: int) -> list[tuple[BlobPart, bytes]]:
    """Return parts, each of its own range of keys, as appends in the order of keys make them."""
    found = []
    each = rows // parts
    for number in range(parts):
        keys = range(number * each, (number + 1) * each)
        updates = [(native.encode_int(k) + native.encode_int(k * 7), 1, 1) for k in keys]
        encoded = codec.encode(DESC, flat.build(updates), errors=False)
        info = encoded.info
        part = BlobPart(f"{number}", encoded.encoding, info.updates, len(encoded.data), 0)
        part = msgspec.structs.replace(part, stats=info.stats, first=info.first, last=info.last)
        found.append((part, encoded.data))
    return found


def range_of(low: int, high: int) -> Mfp:
    def compare(func: str, value: int) -> Predicate:
        literal = Literal(native.encode_int(value), ColumnType(INT8, nullable=False))
        return Predicate(1, Call(func, (Column(0), literal), ColumnType(BOOL, nullable=True)))

    return Mfp(2, predicates=(compare("ge", low), compare("lt", high)), projection=(0, 1))


def best(read: Callable[[], int]) -> float:
    """Return the least of some runs, in ms."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        read()
        took.append(time.perf_counter() - began)
    return min(took) * 1_000


def main(rows: int, parts: int) -> None:
    stored = parts_of(rows, parts)
    desc = msgspec.msgpack.encode(DESC)
    low = rows // 2 + 1
    selection = derive_selection(range_of(low, low + rows // SHARE))

    def decode(data: bytes) -> int:
        return len(native.persist_decode(desc, "parquet", data, None, 0, None, None))

    def whole() -> int:
        return sum(decode(data) for _, data in stored)

    def selected() -> int:
        selector = PartSelector(selection)
        return sum(decode(data) for part, data in stored if selector.wants(part, TIMESTAMP_MIN))

    before, after = best(whole), best(selected)
    print(f"{rows} rows in {parts} parts, a range of {rows // SHARE} rows")
    print(f"all: {before:.2f} ms, selected: {after:.2f} ms, ratio {before / after:.0f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or (1_000_000, 64)))
