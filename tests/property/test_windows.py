"""Window functions: what the workers maintain is what the reference computes, at every time."""

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.compute.protocol import CreateDataflow, InitializationComplete, OpenSource, Peek
from headwater.compute.reference import Bundle, Snapshot, evaluate_plan
from headwater.ir.dataflow import BuildDesc, DataflowDescription, IndexExport, SourceImport
from headwater.ir.physical import Get, LetRec, Mfp, Plan, Window
from headwater.ir.relation import (
    FrameBound,
    FrameBoundKind,
    FrameExclusion,
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
from tests.unit.native.test_compute_workers import INT8, Workers, literal

# The partition, the order, the argument, and the ends of frames by distance.
PARTITION, ORDER, ARG, BACK, FORTH = range(5)
ARITY = 5
DESC = RelationDesc(tuple(RelationColumn(f"c{index}", INT8.type) for index in range(ARITY)))
NULL = b"\xfe"

small = st.integers(0, 3)


def datum(value: int | None) -> bytes:
    return NULL if value is None else native.encode_int(value)


@st.composite
def rows(draw) -> bytes:
    order = draw(st.none() | st.integers(0, 7))
    arg = draw(st.none() | st.integers(-3, 3))
    ends = (None, None) if order is None else (order - 2, order + 1)
    return b"".join(map(datum, (draw(st.integers(0, 1)), order, arg, *ends)))


@st.composite
def bounds(draw, units: FrameUnits, *, is_end: bool, desc: bool) -> FrameBound:
    unbounded = FrameBoundKind.UNBOUNDED_FOLLOWING if is_end else FrameBoundKind.UNBOUNDED_PRECEDING
    preceding, following = FrameBoundKind.PRECEDING, FrameBoundKind.FOLLOWING
    kind = draw(st.sampled_from([unbounded, preceding, FrameBoundKind.CURRENT_ROW, following]))
    if units is FrameUnits.RANGE and kind in (preceding, following):
        return FrameBound(kind, column=BACK if (kind is preceding) != desc else FORTH)
    return FrameBound(kind, draw(small) if kind in (preceding, following) else 0)


@st.composite
def functions(draw, *, desc: bool) -> WindowFunction:
    units = draw(st.sampled_from(list(FrameUnits)))
    frame = WindowFrame(
        units,
        draw(bounds(units, is_end=False, desc=desc)),
        draw(bounds(units, is_end=True, desc=desc)),
        draw(st.sampled_from([FrameExclusion.NO_OTHERS, *FrameExclusion])),
    )
    positional = {"first_value": [], "last_value": [], "nth_value": [st.integers(1, 3)]}
    shifts = {"lag": [st.integers(-1, 3)], "lead": [st.integers(-1, 3)]}
    numbers = ["row_number", "rank", "dense_rank"]
    func = draw(
        st.sampled_from(
            [*numbers, *positional, *shifts, "ntile", "count", "sum_int4", "min", "max", "list_agg"]
        )
    )
    if func in numbers:
        return WindowFunction(func, (), frame, INT8)
    if func == "ntile":
        return WindowFunction(func, (literal(draw(st.integers(1, 3))),), frame, INT8)
    more = tuple(literal(draw(item)) for item in {**positional, **shifts}.get(func, []))
    ignores = func in positional or func in shifts
    return WindowFunction(
        func, (Column(ARG), *more), frame, INT8, ignore_nulls=ignores and draw(st.booleans())
    )


@st.composite
def plans(draw) -> Plan:
    desc = draw(st.booleans())
    order = (ColumnOrder(ORDER, desc, draw(st.booleans())),)
    calls = tuple(draw(st.lists(functions(desc=desc), min_size=1, max_size=3)))
    whole = Get(Global("u1"), ARITY, Mfp.identity(ARITY), pass_through=True)
    window = Window(whole, ARITY, draw(st.sampled_from([(), (PARTITION,)])), order, calls)
    if draw(st.integers(0, 3)):
        return window
    # Within recursion partitions are computed anew.
    arity = ARITY + len(calls)
    result = Get(LocalId(1), arity, Mfp.identity(arity), pass_through=True)
    return LetRec((1,), (window,), (None,), (arity,), result)


def encoded(updates: list[tuple[bytes, int, int]]) -> bytes:
    ends, end = [], 0
    for row, _, _ in updates:
        end += len(row)
        ends.append(end)
    count = len(updates)
    return b"".join(
        (
            count.to_bytes(4, "little"),
            end.to_bytes(4, "little"),
            *(item.to_bytes(4, "little") for item in ends),
            *(time.to_bytes(8, "little") for _, time, _ in updates),
            *(diff.to_bytes(8, "little", signed=True) for _, _, diff in updates),
            *(row for row, _, _ in updates),
        )
    )


def peek(workers: Workers, arity: int, time: int) -> Counter[bytes]:
    uuid = time.to_bytes(16, "big")
    finishing = RowSetFinishing((), None, 0, tuple(range(arity)))
    workers.command(Peek(uuid, "u3", None, time, Mfp.identity(arity), finishing, 1 << 30))

    def found():
        return next((body for header, body in workers.rows if header["uuid"] == uuid), None)

    body = workers.wait(found)
    if not body:
        return Counter()
    count, total = int.from_bytes(body[:4], "little"), int.from_bytes(body[4:8], "little")
    at = 8
    ends = [int.from_bytes(body[at + 4 * i : at + 4 * i + 4], "little") for i in range(count)]
    at += 12 * count
    diffs = [
        int.from_bytes(body[at + 8 * i : at + 8 * i + 8], "little", signed=True)
        for i in range(count)
    ]
    at += 8 * count
    assert len(body) == at + total
    starts = [0, *ends]
    answer: Counter[bytes] = Counter()
    for index in range(count):
        answer[body[at + starts[index] : at + ends[index]]] += diffs[index]
    return answer


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans(), st.lists(rows(), max_size=8), st.data())
def test_windows_are_maintained(plan, first, data):
    window = plan.values[0] if isinstance(plan, LetRec) else plan
    arity = ARITY + len(window.functions)
    workers = Workers(1)
    try:
        description = DataflowDescription(
            name="windows",
            sources=(SourceImport("u1", "s1", DESC),),
            indexes=(),
            objects=(BuildDesc("u2", plan),),
            index_exports=(IndexExport("u3", "u2", (Column(0),), arity),),
            sink_exports=(),
            as_of=0,
        )
        workers.command(CreateDataflow(description))
        workers.command(InitializationComplete())
        token = workers.request(OpenSource).token
        now: Counter[bytes] = Counter()
        changes = Counter(first)
        for time in range(1, 6):
            now.update(changes)
            updates = [(row, time, diff) for row, diff in changes.items() if diff]
            parts = [("flat", 0, encoded(updates), None, 0, None, None)] if updates else []
            workers.native.feed(token, parts, time + 1)
            held = Counter({row: count for row, count in now.items() if count})
            want = evaluate_plan(plan, {"u1": Bundle(Snapshot(held))}).snapshot
            assert peek(workers, arity, time) == want.rows
            gone = data.draw(st.lists(st.sampled_from(sorted(held)), max_size=1)) if held else []
            changes = Counter(data.draw(st.lists(rows(), max_size=2)))
            changes.subtract(gone)
    finally:
        workers.native.shutdown()
