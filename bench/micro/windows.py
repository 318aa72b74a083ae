"""What a change of one row costs window functions over one partition, by its size.

Beside it: the same functions computed anew whenever the partition changes, as within recursion.

Run: PYTHONPATH=src .venv/bin/python bench/micro/windows.py [rows …]
"""

import sys
import time

from headwater.compute.protocol import (
    CreateDataflow,
    InitializationComplete,
    OpenSource,
    Peek,
)
from headwater.ir.dataflow import BuildDesc, DataflowDescription, IndexExport, SourceImport
from headwater.ir.physical import Get, LetRec, Mfp, Plan, Window
from headwater.ir.relation import (
    DEFAULT_FRAME,
    FrameBound,
    FrameBoundKind,
    FrameUnits,
    Global,
    LocalId,
    RowSetFinishing,
    WindowFrame,
    WindowFunction,
)
from headwater.ir.scalar import Column, ColumnOrder
from headwater.native.loader import native
from headwater.types.relation import Column as RelationColumn
from headwater.types.relation import RelationDesc
from headwater.types.scalar import INT8, ColumnType
from tests.property.test_windows import encoded
from tests.unit.native.test_compute_workers import Workers

SIZES = (1_000, 10_000, 100_000)
CHANGES = 20
KIND = ColumnType(INT8, nullable=True)
DESC = RelationDesc((RelationColumn("place", INT8), RelationColumn("value", INT8)))
LAST_TEN = WindowFrame(
    FrameUnits.ROWS,
    FrameBound(FrameBoundKind.PRECEDING, 9),
    FrameBound(FrameBoundKind.CURRENT_ROW),
)
FUNCTIONS = {
    "row_number": WindowFunction("row_number", (), DEFAULT_FRAME, KIND),
    "rank": WindowFunction("rank", (), DEFAULT_FRAME, KIND),
    "lag": WindowFunction("lag", (Column(1),), DEFAULT_FRAME, KIND),
    "sum of ten rows": WindowFunction("sum_int4", (Column(1),), LAST_TEN, KIND),
    "running max": WindowFunction("max", (Column(1),), DEFAULT_FRAME, KIND),
    "running sum": WindowFunction("sum_int4", (Column(1),), DEFAULT_FRAME, KIND),
}


def row(place: int, value: int) -> bytes:
    return native.encode_int(place) + native.encode_int(value)


def plan_of(function: WindowFunction, *, anew: bool) -> Plan:
    source = Get(Global("u1"), 2, Mfp.identity(2), pass_through=True)
    window = Window(source, 2, (), (ColumnOrder(0),), (function,))
    if not anew:
        return window
    whole = Get(LocalId(1), 3, Mfp.identity(3), pass_through=True)
    return LetRec((1,), (window,), (None,), (3,), whole)


def seconds_a_change(function: WindowFunction, size: int, *, anew: bool) -> float:
    """Return the median time from a changed value in the middle to reading its result."""
    workers = Workers(1)
    try:
        description = DataflowDescription(
            name="windows",
            sources=(SourceImport("u1", "s1", DESC),),
            indexes=(),
            objects=(BuildDesc("u2", plan_of(function, anew=anew)),),
            index_exports=(IndexExport("u3", "u2", (Column(0),), 3),),
            sink_exports=(),
            as_of=0,
        )
        workers.command(CreateDataflow(description))
        workers.command(InitializationComplete())
        token = workers.request(OpenSource).token
        middle = size // 2

        def advance(updates: list[tuple[bytes, int, int]], upper: int) -> float:
            began = time.perf_counter()
            part = ("flat", 0, encoded(updates), None, 0, None, None)
            workers.native.feed(token, [part], upper)

            uuid = upper.to_bytes(16, "big")
            key = (native.encode_int(middle),)
            finishing = RowSetFinishing((), None, 0, (0, 1, 2))
            workers.command(Peek(uuid, "u3", key, upper - 1, Mfp.identity(3), finishing, 1 << 20))
            workers.wait(lambda: True if workers.rows else None)
            workers.rows.clear()
            workers.responses.clear()
            return time.perf_counter() - began

        advance([(row(place, 5), 1, 1) for place in range(size)], 2)
        took = []
        for number in range(CHANGES):
            old, new = (5, 4) if number % 2 == 0 else (4, 5)
            at = number + 2
            took.append(advance([(row(middle, old), at, -1), (row(middle, new), at, 1)], at + 1))
        return sorted(took)[len(took) // 2]
    finally:
        workers.native.shutdown()


def main(sizes: list[int]) -> None:
    print(f"{'':18}" + "".join(f"{size:>12,}{'anew':>12}" for size in sizes) + "   ms a change")
    for name, function in FUNCTIONS.items():
        cells = []
        for size in sizes:
            for anew in (False, True):
                cells.append(f"{seconds_a_change(function, size, anew=anew) * 1e3:>12.3f}")
        print(f"{name:18}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or list(SIZES))
