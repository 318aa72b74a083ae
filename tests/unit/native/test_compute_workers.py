"""One contract from both sides: plans and commands of msgspec structs, obeyed by the workers."""

import msgspec
import pytest

from headwater.compute.protocol import (
    AllowCompaction,
    CreateDataflow,
    DataflowFailed,
    Frontiers,
    InitializationComplete,
    OpenSink,
    OpenSource,
    Peek,
    SinkBatch,
    SinkFrontier,
)
from headwater.errors import ErrorFields
from headwater.ir.dataflow import (
    BuildDesc,
    DataflowDescription,
    IndexExport,
    IndexImport,
    MaterializedViewSink,
    SinkExport,
    SourceImport,
    SubscribeSink,
)
from headwater.ir.physical import (
    ArrangeBy,
    Constant,
    DeltaJoin,
    FlatMap,
    Get,
    JoinPath,
    JoinStage,
    Let,
    LetRec,
    LinearJoin,
    Mfp,
    MfpNode,
    Negate,
    Plan,
    Predicate,
    Reduce,
    ReducePlan,
    Threshold,
    TopK,
    Union,
    Window,
)
from headwater.ir.relation import (
    DEFAULT_FRAME,
    Global,
    LetRecLimit,
    LocalId,
    RowSetFinishing,
    WindowFunction,
)
from headwater.ir.scalar import AggregateExpr, Call, Column, ColumnOrder, Literal
from headwater.native.loader import native
from headwater.types.relation import Column as RelationColumn
from headwater.types.relation import RelationDesc
from headwater.types.scalar import BaseType, ColumnType, ScalarType
from tests.fixtures.workers import Workers, flat_of

INT8 = ColumnType(ScalarType(BaseType.INT8), nullable=True)
DESC = RelationDesc((RelationColumn("a", INT8.type), RelationColumn("b", INT8.type)))
TYPES = msgspec.msgpack.encode((INT8.type, INT8.type))
IDENTITY = Mfp.identity(2)
KEY = (Column(0),)


class IntWorkers(Workers):
    """Workers over rows of two whole numbers."""

    def feed(self, token: int, rows, time: int, upper: int, encoding: str = "flat") -> None:
        flat = flat_updates([(row, time, 1) for row in rows])
        if encoding == "parquet":
            flat, _ = native.persist_encode(msgspec.msgpack.encode(DESC), False, flat)
        self.feed_flat(token, flat, upper, encoding)

    def peek(self, target: str, timestamp: int, keys=None):
        uuid = bytes(15) + bytes([len(self.rows) + 1])
        finishing = RowSetFinishing(order_by=(), limit=None, offset=0, project=(0, 1))
        self.command(Peek(uuid, target, keys, timestamp, IDENTITY, finishing, 1 << 30))

        def found():
            for header, body in self.rows:
                if header["kind"] == "peek" and header["uuid"] == uuid:
                    return header, body
            return None

        header, body = self.wait(found)
        if header["error"] is not None:
            return header["error"]["sqlstate"], header["error"]["message"]
        rows = native.decode_updates(TYPES, body)
        return sorted(row for row, _, diff in rows for _ in range(diff))


@pytest.fixture
def workers():
    made = IntWorkers(2)
    yield made
    made.native.shutdown()


def flat_updates(updates) -> bytes:
    """Encode ``((a, b), time, diff)`` in the flat codec."""
    return flat_of(
        (native.encode_int(a) + native.encode_int(b), time, diff) for (a, b), time, diff in updates
    )


def literal(value: int) -> Literal:
    return Literal(native.encode_int(value), INT8)


def dataflow(plan: Plan, **exports) -> CreateDataflow:
    return CreateDataflow(
        DataflowDescription(
            name="test",
            sources=(SourceImport("u1", "s1", DESC),),
            indexes=(),
            objects=(BuildDesc("u2", plan),),
            index_exports=exports.get("indexes", (IndexExport("u3", "u2", KEY, 2),)),
            sink_exports=exports.get("sinks", ()),
            as_of=0,
        )
    )


def get(arity: int = 2) -> Get:
    return Get(Global("u1"), arity, Mfp.identity(arity), pass_through=True)


def arranged() -> ArrangeBy:
    return ArrangeBy(get(), 2, (KEY, (Column(1),)))


def join_path(source: int, lookup: int) -> JoinPath:
    order = (0, 3) if source == 0 else (2, 1)
    stream, other = (Column(1), Column(0)) if source == 0 else (Column(0), Column(1))
    stage = JoinStage(lookup, (stream,), (other,), 2, Mfp(4, projection=order))
    return JoinPath(source, 2, (stream,), IDENTITY, (stage,))


STEP = LinearJoin(
    (Get(LocalId(1), 2, IDENTITY), arranged()),
    msgspec.structs.replace(join_path(0, 1), source_key=None),
)
COUNT = Reduce(
    get(),
    2,
    KEY,
    (AggregateExpr("count", Column(1), INT8, distinct=True),),
    ReducePlan(accumulable=(0,)),
    IDENTITY,
)
BY_VALUE = (ColumnOrder(1, desc=True),)
DISTINCT = (Column(0), Column(1))

# Over the edges (1, 2), (2, 3), (2, 4), (3, 1).
PLANS: dict[str, tuple[Plan, list[tuple[int, int]]]] = {
    "get": (get(), [(1, 2), (2, 3), (2, 4), (3, 1)]),
    "constant": (
        Constant(((native.encode_int(5) + native.encode_int(6), 2),), 2),
        [(5, 6), (5, 6)],
    ),
    "mfp": (
        MfpNode(
            arranged(),
            Mfp(
                2,
                expressions=(Call("add_int8_int8", (Column(0), Column(1)), INT8),),
                predicates=(Predicate(2, Call("gt", (Column(1), literal(1)), INT8)),),
                projection=(2, 0),
            ),
            key=KEY,
            lookups=(native.encode_int(2),),
        ),
        [(5, 2), (6, 2)],
    ),
    "let": (Let(1, get(), Union((Get(LocalId(1), 2, IDENTITY), Negate(get())))), []),
    "let_rec": (
        LetRec(
            (1,),
            (Reduce(Union((get(), STEP)), 2, DISTINCT, (), ReducePlan(), IDENTITY),),
            (LetRecLimit(9, return_at_limit=True),),
            (2,),
            MfpNode(
                Get(LocalId(1), 2, IDENTITY),
                Mfp(
                    2,
                    predicates=(Predicate(1, Call("eq", (Column(0), literal(1)), INT8)),),
                    projection=(0, 1),
                ),
            ),
        ),
        [(1, 1), (1, 2), (1, 3), (1, 4)],
    ),
    "flat_map": (
        FlatMap(
            get(),
            "generate_series_int8_int8",
            (literal(2), Column(1)),
            (INT8,),
            Mfp(3, projection=(0, 2)),
        ),
        [(1, 2), (2, 2), (2, 2), (2, 3), (2, 3), (2, 4)],
    ),
    "linear_join": (
        LinearJoin((arranged(), arranged()), join_path(0, 1)),
        [(1, 3), (1, 4), (2, 1), (3, 2)],
    ),
    "delta_join": (
        DeltaJoin((arranged(), arranged()), (join_path(0, 1), join_path(1, 0))),
        [(1, 3), (1, 4), (2, 1), (3, 2)],
    ),
    "reduce": (COUNT, [(1, 1), (2, 2), (3, 1)]),
    "top_k": (
        TopK(get(), 2, (0,), BY_VALUE, literal(1), 0, False, False, (4,)),
        [(1, 2), (2, 4), (3, 1)],
    ),
    "monotonic_top_k": (
        TopK(get(), 2, (0,), BY_VALUE, literal(1), 0, True, True, ()),
        [(1, 2), (2, 4), (3, 1)],
    ),
    "window": (
        MfpNode(
            Window(
                get(),
                2,
                (),
                (ColumnOrder(0, desc=True),),
                (
                    WindowFunction("rank", (), DEFAULT_FRAME, INT8),
                    WindowFunction("lag", (Column(1), literal(1), literal(9)), DEFAULT_FRAME, INT8),
                ),
            ),
            Mfp(4, projection=(2, 3)),
        ),
        [(1, 9), (2, 1), (2, 3), (4, 4)],
    ),
    "threshold": (
        Threshold(Union((get(), get(), Negate(COUNT)), consolidate=True), 2),
        [(1, 2), (1, 2), (2, 3), (2, 3), (2, 4), (2, 4), (3, 1)],
    ),
}


@pytest.mark.parametrize("encoding", ["flat", "parquet"])
@pytest.mark.parametrize("kind", PLANS)
def test_every_node_of_a_plan_is_rendered(workers, kind, encoding):
    plan, want = PLANS[kind]
    workers.command(dataflow(plan))
    workers.command(InitializationComplete())
    opened = workers.request(OpenSource)
    assert (opened.shard, opened.as_of, opened.until) == ("s1", 0, None)
    workers.feed(opened.token, [(1, 2), (2, 3), (2, 4), (3, 1)], 1, 2, encoding)
    assert workers.peek("u3", 1) == want
    assert workers.peek("u3", 0) == (want if kind == "constant" else [])


def test_an_index_is_imported_by_a_later_dataflow(workers):
    workers.command(dataflow(arranged()))
    workers.feed(workers.request(OpenSource).token, [(1, 2), (2, 3)], 1, 5)
    workers.command(AllowCompaction("u3", 3))
    workers.command(
        CreateDataflow(
            DataflowDescription(
                name="late",
                sources=(),
                indexes=(IndexImport("u3", "u2", KEY, 2),),
                objects=(),
                index_exports=(IndexExport("u5", "u2", (Column(1),), 2),),
                sink_exports=(),
                as_of=3,
            )
        )
    )
    assert workers.peek("u5", 4, keys=(native.encode_int(3),)) == [(2, 3)]


def test_errors_are_answers(workers):
    failing = Constant((), 2, ErrorFields("22012", "division by zero"))
    workers.command(dataflow(failing))
    assert workers.peek("u3", 1) == ("22012", "division by zero")
    assert workers.peek("u99", 1)[0] == "XX000"


def failure(workers):
    """Wait for a dataflow to be refused."""
    return workers.wait(
        lambda: next((r for r in workers.responses if isinstance(r, DataflowFailed)), None)
    )


def test_a_plan_of_another_version_is_refused(workers):
    workers.command(dataflow(MfpNode(get(), Mfp(2, projection=(7,)))))
    assert failure(workers).id == "u3"
    with pytest.raises(RuntimeError, match="malformed command"):
        workers.native.command(msgspec.msgpack.encode({"kind": "unheard_of"}))


def test_a_materialized_view_says_what_its_shard_lacks(workers):
    sink = SinkExport("u4", "u2", MaterializedViewSink("s4", DESC))
    workers.command(dataflow(get(), indexes=(), sinks=(sink,)))
    source, opened = workers.request(OpenSource), workers.request(OpenSink)
    assert (opened.id, opened.shard, opened.as_of) == ("u4", "s4", 0)
    assert msgspec.msgpack.decode(opened.desc, type=RelationDesc) == DESC
    workers.feed(opened.token, [(9, 9)], 1, 2)  # what a shard holds that it should not
    workers.feed(source.token, [(1, 2)], 3, 5)
    desired = workers.wait(
        lambda: next(
            (r for r in workers.requests if isinstance(r, SinkFrontier) and r.desired == 5), None
        )
    )
    workers.native.tell([], [(opened.token, 2, desired.desired)])
    batch = workers.request(SinkBatch)
    assert (batch.lower, batch.upper) == (2, 5)
    updates = sorted(native.decode_updates(TYPES, batch.updates))
    assert updates == [((1, 2), 3, 1), ((9, 9), 2, -1)]


def test_a_subscription_sends_updates(workers):
    sink = SinkExport("t1", "u2", SubscribeSink(with_snapshot=True))
    workers.command(dataflow(get(), indexes=(), sinks=(sink,)))
    workers.feed(workers.request(OpenSource).token, [(1, 2)], 3, 5)
    header, body = workers.wait(
        lambda: next((row for row in workers.rows if row[0]["upper"] == 5), None)
    )
    assert (header["kind"], header["id"], header["errors"]) == ("subscribe", "t1", 0)
    assert native.decode_updates(TYPES, body) == [((1, 2), 3, 1)]
    said = workers.wait(
        lambda: next((r for r in workers.responses if isinstance(r, Frontiers)), None)
    )
    assert said.uppers[-1] == ("t1", 5)
