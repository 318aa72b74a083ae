"""Ingestions: data and offsets become durable together, and nothing is lost or repeated."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from headwater.errors import ConnectionFailure, TooManyConnections
from headwater.ir.ingestion import IngestionDescription, IngestionExport, LoadGeneratorSource
from headwater.ir.literals import int_datum, text_datum
from headwater.persist import flat
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.persist.parts import InlinePart
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.storage.ingestion import Ingestion
from headwater.storage.protocol import (
    Status,
    StatusUpdate,
    StorageResponse,
)
from headwater.storage.sources.load_generator import resume_offset
from headwater.storage.sources.reader import (
    OutputBatch,
    SourceBatch,
    SourceLost,
    SourceReader,
    Standing,
)
from headwater.types.ids import GlobalId, ShardId
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8, TEXT, UINT8
from headwater.types.time import Timestamp

DESC = RelationDesc((Column("n", INT8),))
OFFSETS = RelationDesc((Column("offset", UINT8),))
DATA, REMAP = ShardId("data"), ShardId("remap")
DESCRIPTION = IngestionDescription(
    id=GlobalId("u1"),
    source=LoadGeneratorSource(generator="counter"),
    exports=(IngestionExport(GlobalId("u1"), DATA, DESC),),
    remap=IngestionExport(GlobalId("u2"), REMAP, OFFSETS),
    timestamp_interval_ms=50,
)


@pytest.fixture
async def persist(tmp_path: Path) -> AsyncIterator[PersistClient]:
    consensus = await SqliteConsensus.open(tmp_path / "consensus.db")
    tasks = SupervisedTasks()
    client = PersistClient(
        LocalBlob(tmp_path / "blob"), consensus, SystemClock(), SystemRng(), tasks
    )
    yield client
    await client.close()
    await tasks.close()
    await consensus.close()


class FakeReader:
    """Numbers from ``offset`` on, one a batch, up to ``end``; then it says what ``after`` says."""

    def __init__(self, offset: int, end: int, after: type[BaseException]) -> None:
        self.bound: int | None = offset or None
        self.offset = offset
        self.end = end
        self.after = after
        self.reading = True

    async def next(self, wait_s: float) -> SourceBatch | None:
        if self.offset == self.end:
            raise self.after("that was all")
        before, self.offset = self.bound, self.offset + 1
        self.bound = self.offset
        bindings = [] if before is None else [(int_datum(before), 0, -1)]
        bindings.append((int_datum(self.offset), 0, 1))
        rows = flat.build([(int_datum(self.offset), 0, 1)])
        return SourceBatch(outputs={"": OutputBatch(rows)}, bindings=flat.build(bindings))

    def committed(self, batch: SourceBatch) -> None:
        pass

    def standing(self) -> Standing:
        return Standing(reading=self.reading, offset_committed=self.bound)

    async def close(self) -> None:
        pass


async def contents(persist: PersistClient, shard: ShardId) -> Counter[bytes]:
    reader = await persist.open_reader(shard)
    assert reader.upper
    snapshot = await reader.snapshot(Timestamp(reader.upper - 1))
    held: Counter[bytes] = Counter()
    for part in snapshot.parts:
        for row, _, diff in flat.updates(await reader.fetch_flat(part)):
            held[row] += diff
    return +held


def numbers(until: int) -> Counter[bytes]:
    return Counter(int_datum(n) for n in range(1, until + 1))


def make(
    persist: PersistClient, ends: list[int], after: type[BaseException]
) -> tuple[Ingestion, list[StatusUpdate]]:
    """An ingestion whose reader ends at the next of ``ends`` each time it is opened."""
    told: list[StatusUpdate] = []

    async def open_reader(
        description: IngestionDescription,
        bindings: bytes,
        persist: PersistClient,
        *,
        backfill: bool = False,
    ) -> SourceReader:
        offset = resume_offset(bindings) or 0
        last = len(ends) == 1
        return FakeReader(offset, ends.pop(0), StopAsyncIteration if last else after)

    def report(word: StorageResponse) -> None:
        if isinstance(word, StatusUpdate):
            told.append(word)

    return Ingestion(DESCRIPTION, persist, SystemClock(), open_reader, report), told


async def test_what_is_read_becomes_durable_with_its_offsets(persist: PersistClient) -> None:
    ingestion, told = make(persist, [5], ConnectionFailure)
    await ingestion.run()
    reader = await persist.open_reader(DATA)
    assert reader.upper is None  # the source has ended: its output is complete for ever
    statuses = [update.status for update in told]
    assert statuses == [Status.STARTING, Status.RUNNING, Status.CEASED]


async def test_an_interrupted_source_goes_on_where_it_was(persist: PersistClient) -> None:
    ingestion, told = make(persist, [3, 4, 1000], TooManyConnections)
    running = asyncio.ensure_future(ingestion.run())
    writer = await persist.open_writer(DATA, DESC)
    reader = await persist.open_reader(DATA)
    while (await contents_or_empty(persist)) < numbers(20):
        await reader.wait_upper(Timestamp(writer.upper or 0))
    running.cancel()
    await asyncio.wait((running,))
    held = await contents(persist, DATA)
    count = sum(held.values())
    assert held == numbers(count)
    assert await contents(persist, REMAP) == Counter([int_datum(count)])
    stalled = [update.error for update in told if update.status is Status.STALLED]
    assert [error.message for error in stalled if error] == ["that was all"] * 2


async def test_a_backlog_in_small_batches_is_committed_in_few_large_parts(
    persist: PersistClient,
) -> None:
    text = RelationDesc((Column("t", TEXT),))
    rows = [text_datum(f"{number:010000}") for number in range(1_000)]

    class Backlog(FakeReader):
        async def next(self, wait_s: float) -> SourceBatch | None:
            batch = await super().next(wait_s)
            assert batch is not None
            row = flat.build([(rows[self.offset - 1], 0, 1)])
            more = self.offset < self.end
            return msgspec.structs.replace(batch, outputs={"": OutputBatch(row)}, more=more)

    async def open_reader(*_: object, **__: object) -> SourceReader:
        return Backlog(0, len(rows), StopAsyncIteration)

    exports = (IngestionExport(GlobalId("u1"), DATA, text),)
    description = msgspec.structs.replace(DESCRIPTION, exports=exports)
    await Ingestion(description, persist, SystemClock(), open_reader, lambda _: None).run()
    reader = await persist.open_reader(DATA)
    snapshot = await reader.snapshot(Timestamp(0))
    found: list[bytes] = []
    for part in snapshot.parts:
        found.extend(row for row, _, _ in flat.updates(await reader.fetch_flat(part)))
    assert sorted(found) == rows
    inline = [ref.part for ref in snapshot.parts if isinstance(ref.part, InlinePart)]
    assert sum(len(part.data) for part in inline) <= persist.inline_bytes_max
    assert len(snapshot.parts) == 3  # of four MiB each, and the rest


async def until_held(persist: PersistClient, want: Counter[bytes]) -> None:
    await persist.open_writer(DATA, DESC)
    reader = await persist.open_reader(DATA)
    while (await contents_or_empty(persist)) < want:
        await reader.wait_upper(Timestamp(reader.upper or 0))


async def contents_or_empty(persist: PersistClient) -> Counter[bytes]:
    reader = await persist.open_reader(DATA)
    return await contents(persist, DATA) if reader.upper else Counter()


async def test_every_time_has_data_and_offsets_that_agree(persist: PersistClient) -> None:
    ingestion, _ = make(persist, [30], ConnectionFailure)
    await ingestion.run()
    data = await persist.open_reader(DATA)
    remap = await persist.open_reader(REMAP)
    counts: Counter[int] = Counter()
    bound: dict[int, int] = {}
    async for delta in data.listen(Timestamp(0)):
        for part in delta.parts:
            for _, time, diff in flat.updates(await data.fetch_flat(part)):
                counts[time] += diff
    async for delta in remap.listen(Timestamp(0)):
        for part in delta.parts:
            for row, time, diff in flat.updates(await remap.fetch_flat(part)):
                if diff > 0:
                    bound[time] = int.from_bytes(row[1:], "big")
    assert sorted(counts) == sorted(bound)
    first = await data.snapshot(Timestamp(0))  # what was there from the beginning
    seen = sum([flat.count(await data.fetch_flat(part)) for part in first.parts])
    for time in sorted(counts):
        seen += counts[time]
        assert bound[time] == seen


async def test_a_nudge_advances_an_idle_source(persist: PersistClient) -> None:
    class Idle(FakeReader):
        async def next(self, wait_s: float) -> SourceBatch | None:
            await asyncio.sleep(wait_s)
            return None

    async def open_reader(*_: object, **__: object) -> SourceReader:
        return Idle(0, 1, ConnectionFailure)

    ingestion = Ingestion(DESCRIPTION, persist, SystemClock(), open_reader, lambda _: None)
    running = asyncio.ensure_future(ingestion.run())
    await persist.open_writer(DATA, DESC)
    reader = await persist.open_reader(DATA)
    far = SystemClock().now_ms() + 3_600_000
    await reader.wait_upper(Timestamp(1))
    assert reader.upper is not None
    assert reader.upper < far
    ingestion.nudge(far)
    await reader.wait_upper(Timestamp(far))
    running.cancel()
    await asyncio.wait((running,))


class Scripted(FakeReader):
    """Does what ``script`` says: a number of rows to yield, or an exception to raise."""

    def __init__(self, offset: int, script: list[int | BaseException]) -> None:
        super().__init__(offset, 1_000_000, ConnectionFailure)
        self.script = script

    async def next(self, wait_s: float) -> SourceBatch | None:
        if not self.script:
            await asyncio.sleep(wait_s)
            return None
        step = self.script.pop(0)
        self.reading = not isinstance(step, BaseException)
        if isinstance(step, BaseException):
            raise step
        if step > 1:
            self.script.insert(0, step - 1)
        return await super().next(wait_s)


async def test_while_the_system_is_out_of_reach_the_outputs_advance(
    persist: PersistClient,
) -> None:
    told: list[StatusUpdate] = []
    failures: list[int | BaseException] = [ConnectionFailure("gone")] * 5

    async def open_reader(*_: object, **__: object) -> SourceReader:
        return Scripted(0, [2, *failures, 3])

    def report(word: StorageResponse) -> None:
        if isinstance(word, StatusUpdate):
            told.append(word)

    ingestion = Ingestion(DESCRIPTION, persist, SystemClock(), open_reader, report)
    running = asyncio.ensure_future(ingestion.run())
    await until_held(persist, numbers(5))
    running.cancel()
    await asyncio.wait((running,))
    assert [update.status for update in told] == [
        Status.STARTING,
        Status.RUNNING,
        Status.STALLED,
        Status.RUNNING,
    ]


async def errors_of(persist: PersistClient, shard: ShardId) -> Counter[bytes]:
    reader = await persist.open_reader(shard)
    assert reader.upper
    snapshot = await reader.snapshot(Timestamp(reader.upper - 1))
    held: Counter[bytes] = Counter()
    for part in snapshot.errors:
        for row, _, diff in flat.updates(await reader.fetch_flat(part)):
            held[row] += diff
    return +held


async def test_a_source_whose_records_are_gone_says_so_once(persist: PersistClient) -> None:
    lost = text_datum("55000:the topic is gone")
    for _ in range(3):  # the first run finds out, later ones find it written
        told: list[StatusUpdate] = []
        stalled = asyncio.Event()

        async def open_reader(*_: object, **__: object) -> SourceReader:
            return Scripted(0, [2, SourceLost("the topic is gone")])

        def report(
            word: StorageResponse,
            told: list[StatusUpdate] = told,
            stalled: asyncio.Event = stalled,
        ) -> None:
            if isinstance(word, StatusUpdate):
                told.append(word)
                if word.status is Status.STALLED:
                    stalled.set()

        ingestion = Ingestion(DESCRIPTION, persist, SystemClock(), open_reader, report)
        running = asyncio.ensure_future(ingestion.run())
        await stalled.wait()
        reader = await persist.open_reader(DATA)
        await reader.wait_upper(Timestamp(SystemClock().now_ms()))
        running.cancel()
        await asyncio.wait((running,))
        assert await errors_of(persist, DATA) == Counter([lost])
        assert await contents(persist, DATA) == numbers(2)
        assert told[-1].error is not None
        assert told[-1].error.message == "the topic is gone"


async def test_an_output_added_later_has_what_the_others_have_had(persist: PersistClient) -> None:
    opened: list[tuple[int, bool]] = []

    async def open_reader(
        description: IngestionDescription,
        bindings: bytes,
        persist: PersistClient,
        *,
        backfill: bool = False,
    ) -> SourceReader:
        offset = resume_offset(bindings) or 0
        opened.append((len(description.exports), backfill))
        if backfill:
            return FakeReader(0, offset, StopAsyncIteration)
        return Scripted(offset, [3])

    late = ShardId("late")
    exports = (*DESCRIPTION.exports, IngestionExport(GlobalId("u3"), late, DESC))
    for description in (DESCRIPTION, msgspec.structs.replace(DESCRIPTION, exports=exports)):
        ingestion = Ingestion(description, persist, SystemClock(), open_reader, lambda _: None)
        running = asyncio.ensure_future(ingestion.run())
        await until_held(persist, numbers(3 * len(description.exports)))
        running.cancel()
        await asyncio.wait((running,))
    assert opened == [(1, False), (1, True), (2, False)]
    assert await contents(persist, late) == numbers(6)
    assert await contents(persist, DATA) == numbers(6)
