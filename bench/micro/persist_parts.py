"""Parts of two int8 columns: encode, decode, merge, in rows a second; and their size.

Run: PYTHONPATH=src .venv/bin/python bench/micro/persist_parts.py [rows]
"""

import random
import sys
import time

import msgspec

from headwater.native.loader import native
from headwater.persist import flat
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8

DESC = msgspec.msgpack.encode(RelationDesc((Column("k", INT8), Column("v", INT8))))


def row(key: int, value: int) -> bytes:
    out = bytearray()
    for number in (key, value):
        raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
        out.append(0x18 + len(raw))
        out += raw
    return bytes(out)


def show(what: str, rows: int, began: float, size: int) -> None:
    took = time.perf_counter() - began
    print(f"{what}: {rows / took / 1e6:.2f} M rows/s, {size / rows:.1f} bytes/row")


def main(n: int) -> None:
    rng = random.Random(1)
    data = flat.build((row(i, rng.randrange(1 << 40)), 1000 + i % 10, 1) for i in range(n))
    for _ in range(2):
        began = time.perf_counter()
        part, _info = native.persist_encode(DESC, False, data)
        show("encode", n, began, len(part))
        began = time.perf_counter()
        back = native.persist_decode(DESC, "parquet", part, None, 0, None, None)
        show("decode to flat", n, began, len(back))
        began = time.perf_counter()
        merged = native.persist_merge(
            DESC, False, [("parquet", part, None)] * 2, None, None, 2000, 32 << 20
        )
        show("merge of two", 2 * n, began, sum(len(m[0]) for m in merged) * 2)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
