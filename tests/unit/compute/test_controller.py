"""The compute controller: holds, compaction, and what a replica is told when it comes."""

import asyncio

import msgspec
import pytest

from headwater.compute.collections import DEFAULT_LAG_MS
from headwater.compute.controller import ComputeController
from headwater.compute.protocol import (
    AllowCompaction,
    ComputeCommand,
    CreateDataflow,
    Frontiers,
    InitializationComplete,
)
from headwater.errors import AsOfBeforeSince, UndefinedObject
from headwater.ir.dataflow import (
    DataflowDescription,
    IndexExport,
    IndexImport,
    MaterializedViewSink,
    SinkExport,
    SourceImport,
)
from headwater.ir.scalar import Column
from headwater.runtime.clock import SystemClock
from headwater.types.frontier import Frontier, precedes
from headwater.types.ids import ClusterId, GlobalId, ReplicaId, ShardId
from headwater.types.read_hold import HoldSet, ReadHold
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp

CLUSTER = ClusterId("u1")
R1, R2 = ReplicaId("u1"), ReplicaId("u2")
TABLE, INDEX, SECOND, VIEW = (GlobalId(f"u{n}") for n in (1, 2, 3, 4))
DESC = RelationDesc(())
KEY = (Column(0),)
NOW = Timestamp(1_000_000)  # later than what is done before


class FakeStorage:
    """Collections that are readable from 0 on, and remember who holds them."""

    def __init__(self) -> None:
        self.holds: dict[GlobalId, HoldSet] = {}

    def acquire_hold(self, id: GlobalId, at: Frontier) -> ReadHold:
        return ReadHold(id, at, self.holds.setdefault(id, HoldSet()))

    def earliest(self, id: GlobalId) -> Frontier:
        return self.holds[id].earliest


class Sent:
    """What replicas were sent, decoded."""

    def __init__(self) -> None:
        self.commands: list[tuple[ReplicaId, ComputeCommand]] = []

    def __call__(self, replica: ReplicaId, payload: bytes) -> None:
        self.commands.append((replica, msgspec.msgpack.decode(payload, type=ComputeCommand)))

    def take(self, replica: ReplicaId) -> list[ComputeCommand]:
        taken = [command for to, command in self.commands if to == replica]
        self.commands = [(to, command) for to, command in self.commands if to != replica]
        return taken


def index_dataflow(id: GlobalId = INDEX, as_of: int = 100) -> DataflowDescription:
    return DataflowDescription(
        name="index",
        sources=(SourceImport(TABLE, ShardId("s1"), DESC),),
        indexes=(),
        objects=(),
        index_exports=(IndexExport(id, TABLE, KEY, 1),),
        sink_exports=(),
        as_of=Timestamp(as_of),
    )


class FrozenClock(SystemClock):
    """A clock that stands still until it is set."""

    now_s = 7.0

    def monotonic(self) -> float:
        return self.now_s


def make() -> tuple[ComputeController, FakeStorage, Sent]:
    storage, sent = FakeStorage(), Sent()
    controller = ComputeController(storage, sent, SystemClock())
    controller.create_instance(CLUSTER)
    return controller, storage, sent


def report(
    controller: ComputeController, replica: ReplicaId, id: GlobalId, upper: Frontier
) -> None:
    controller.respond(replica, msgspec.msgpack.encode(Frontiers(((id, upper),))))


def test_a_replica_is_told_the_history_and_then_that_it_is_complete() -> None:
    controller, _, sent = make()
    controller.create_dataflow(CLUSTER, index_dataflow())
    assert sent.commands == []
    controller.replica_connected(CLUSTER, R1)
    assert sent.take(R1) == [CreateDataflow(index_dataflow()), InitializationComplete()]


def test_history_is_compacted_to_the_since() -> None:
    controller, _, sent = make()
    controller.replica_connected(CLUSTER, R1)
    controller.create_dataflow(CLUSTER, index_dataflow())
    report(controller, R1, INDEX, Timestamp(5_000))
    controller.maintain(NOW)
    assert sent.take(R1)[-1] == AllowCompaction(INDEX, Timestamp(4_000))
    controller.replica_connected(CLUSTER, R2)
    created, complete = sent.take(R2)
    assert isinstance(created, CreateDataflow)
    assert created.dataflow.as_of == 4_000
    assert complete == InitializationComplete()


def test_since_follows_the_upper_but_never_passes_a_hold() -> None:
    controller, storage, _ = make()
    controller.replica_connected(CLUSTER, R1)
    controller.create_dataflow(CLUSTER, index_dataflow())
    assert storage.earliest(TABLE) == 100
    hold = controller.acquire_hold(CLUSTER, INDEX, Timestamp(150))
    report(controller, R1, INDEX, Timestamp(10_000))
    controller.maintain(NOW)
    assert controller.frontiers(CLUSTER, INDEX) == (150, 10_000)
    assert storage.earliest(TABLE) == 150
    hold.release()
    controller.maintain(NOW)
    assert controller.frontiers(CLUSTER, INDEX) == (9_000, 10_000)
    assert storage.earliest(TABLE) == 9_000
    with pytest.raises(AsOfBeforeSince):
        controller.acquire_hold(CLUSTER, INDEX, Timestamp(8_999))


def test_what_is_known_of_the_future_stays_readable_now() -> None:
    controller, _, _ = make()
    controller.replica_connected(CLUSTER, R1)
    controller.create_dataflow(CLUSTER, index_dataflow())
    report(controller, R1, INDEX, Timestamp(NOW + 36_000_000))
    controller.maintain(NOW)
    assert controller.frontiers(CLUSTER, INDEX)[0] == NOW + 1 - DEFAULT_LAG_MS


def test_an_index_on_an_index_holds_it() -> None:
    controller, _, _ = make()
    controller.replica_connected(CLUSTER, R1)
    controller.create_dataflow(CLUSTER, index_dataflow())
    controller.create_dataflow(
        CLUSTER,
        DataflowDescription(
            name="second",
            sources=(),
            indexes=(IndexImport(INDEX, TABLE, KEY, 1),),
            objects=(),
            index_exports=(IndexExport(SECOND, TABLE, KEY, 1),),
            sink_exports=(),
            as_of=Timestamp(200),
        ),
    )
    report(controller, R1, INDEX, Timestamp(50_000))
    controller.maintain(NOW)
    assert controller.frontiers(CLUSTER, INDEX)[0] == 200
    report(controller, R1, SECOND, Timestamp(40_000))
    controller.maintain(NOW)
    assert controller.frontiers(CLUSTER, SECOND)[0] == 39_000
    assert controller.frontiers(CLUSTER, INDEX)[0] == 39_000


def test_a_view_is_held_back_to_its_durable_upper() -> None:
    controller, storage, _ = make()
    controller.replica_connected(CLUSTER, R1)
    dataflow = msgspec.structs.replace(
        index_dataflow(),
        index_exports=(),
        sink_exports=(SinkExport(VIEW, TABLE, MaterializedViewSink(ShardId("s2"), DESC)),),
    )
    controller.create_dataflow(CLUSTER, dataflow)
    report(controller, R1, VIEW, Timestamp(9_000))
    controller.maintain(NOW)
    assert storage.earliest(TABLE) == 100  # computed, but not durable
    controller.set_durable_upper(VIEW, Timestamp(7_000))
    controller.maintain(NOW)
    assert storage.earliest(TABLE) == 6_999


def test_dropping_lets_go_and_tells_replicas() -> None:
    controller, storage, sent = make()
    controller.replica_connected(CLUSTER, R1)
    controller.create_dataflow(CLUSTER, index_dataflow())
    controller.drop(CLUSTER, [INDEX])
    assert storage.earliest(TABLE) is None
    assert sent.take(R1)[-1] == AllowCompaction(INDEX, None)
    with pytest.raises(UndefinedObject):
        controller.frontiers(CLUSTER, INDEX)
    controller.replica_connected(CLUSTER, R2)
    assert sent.take(R2) == [InitializationComplete()]


async def test_waiting_for_an_upper_ends_when_any_replica_passes() -> None:
    controller, _, _ = make()
    controller.replica_connected(CLUSTER, R1)
    controller.replica_connected(CLUSTER, R2)
    controller.create_dataflow(CLUSTER, index_dataflow())
    waiting = asyncio.ensure_future(controller.wait_upper(CLUSTER, INDEX, Timestamp(500)))
    await asyncio.sleep(0)
    report(controller, R1, INDEX, Timestamp(500))
    await asyncio.sleep(0)
    assert not waiting.done()  # an upper of 500 says nothing of time 500
    report(controller, R2, INDEX, Timestamp(501))
    await waiting
    await controller.wait_upper(CLUSTER, INDEX, Timestamp(500))


async def test_waiting_for_what_is_dropped_is_an_error() -> None:
    controller, _, _ = make()
    controller.create_dataflow(CLUSTER, index_dataflow())
    waiting = asyncio.ensure_future(controller.wait_upper(CLUSTER, INDEX, Timestamp(500)))
    await asyncio.sleep(0)
    controller.drop(CLUSTER, [INDEX])
    with pytest.raises(UndefinedObject):
        await waiting


def test_hydration_is_per_replica_and_told_once() -> None:
    controller, _, _ = make()
    told: list[tuple[ReplicaId, GlobalId]] = []
    controller.on_hydrated = lambda _, replica, id: told.append((replica, id))
    controller.replica_connected(CLUSTER, R1)
    controller.replica_connected(CLUSTER, R2)
    controller.create_dataflow(CLUSTER, index_dataflow())
    assert controller.hydrated(CLUSTER, INDEX) == {R1: False, R2: False}
    for upper in (101, 102):
        report(controller, R1, INDEX, Timestamp(upper))
    assert controller.hydrated(CLUSTER, INDEX) == {R1: True, R2: False}
    assert told == [(R1, INDEX)]
    controller.replica_disconnected(R1)
    assert controller.hydrated(CLUSTER, INDEX) == {R2: False}
    assert precedes(Timestamp(102), controller.frontiers(CLUSTER, INDEX)[1])


def test_hydration_is_timed_from_when_a_replica_is_told() -> None:
    clock = FrozenClock()
    controller = ComputeController(FakeStorage(), Sent(), clock)
    controller.create_instance(CLUSTER)
    controller.create_dataflow(CLUSTER, index_dataflow(as_of=100))
    clock.now_s = 10.0
    controller.replica_connected(CLUSTER, R1)
    clock.now_s = 10.5
    report(controller, R1, INDEX, Timestamp(100))
    (export,) = controller.exports(CLUSTER)
    assert export.hydration_ns == {}
    before = controller.revision
    clock.now_s = 12.25
    report(controller, R1, INDEX, Timestamp(101))
    assert export.hydration_ns == {R1: 2_250_000_000}
    assert controller.revision > before
    clock.now_s = 20.0
    report(controller, R1, INDEX, Timestamp(102))
    assert export.hydration_ns == {R1: 2_250_000_000}
    controller.replica_disconnected(R1)
    assert export.hydration_ns == {}
