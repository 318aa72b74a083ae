"""Compaction, garbage, leases: the state stays small and readers notice nothing."""

import asyncio

import pytest

from headwater.errors import AsOfBeforeSince, ObjectNotInPrerequisiteState
from headwater.persist import compact, flat
from headwater.persist.client import PersistClient, PersistConfig
from headwater.persist.machine import Batch
from headwater.persist.maintain import Maintenance
from headwater.persist.parts import BlobPart, InlinePart
from headwater.runtime.clock import SystemClock
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8

DESC = RelationDesc((Column("a", INT8),))
QUIET = PersistConfig(maintenance_s=3600, garbage_ms=0, lease_ms=60_000, compact_batches=4)


class Later(SystemClock):
    """The system's clock, put forward."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def now_ms(self) -> int:
        return super().now_ms() + self._seconds * 1000


def row(number: int) -> bytes:
    """Encode a whole number from 1 to 65535."""
    return bytes((0x19, number)) if number < 256 else b"\x1a" + number.to_bytes(2, "big")


def batch(lower: int, size: int) -> Batch:
    parts = (InlinePart(bytes(size), 1),) if size else ()
    return Batch(lower=lower, upper=lower + 1, parts=parts)


def test_runs_grow_backwards_while_sizes_are_alike() -> None:
    def chosen(*sizes: int) -> list[int]:
        batches = [batch(i, size) for i, size in enumerate(sizes)]
        return [b.lower for b in compact.choose_run(batches)]

    big = 1 << 20
    assert chosen(10, 10, 10) == [0, 1, 2]
    assert chosen(big, 10, 10) == [1, 2]
    assert chosen(big, big, 10) == [0, 1] or chosen(big, big, 10) == [1, 2]
    assert chosen(9 * big, big, 0) == [1, 2]
    assert chosen(5) == []


async def fill(client: PersistClient, n: int):
    writer = await client.open_writer("s1", DESC)
    for t in range(n):
        updates = [(row(1 + t), t, 1)] + ([(row(t), t, -1)] if t else [])
        await writer.compare_and_append(flat.build(updates), t, t + 1)
    return writer


async def test_readers_see_the_same_before_and_after(make_client, contents) -> None:
    client = await make_client(QUIET)
    writer = await fill(client, 40)
    reader = await client.open_reader("s1")
    hold = await client.hold("s1", 0, name="controller", lease=False)
    before = {t: await contents(reader, await reader.snapshot(t)) for t in (0, 20, 39)}
    deltas = reader.listen(25)
    await hold.downgrade(20)
    await compact.maintain(client, writer.log, QUIET)
    assert len(writer.log.state.batches) <= 4
    for t in (20, 39):
        assert await contents(reader, await reader.snapshot(t)) == before[t]
    with pytest.raises(AsOfBeforeSince):
        await reader.snapshot(19)
    delta = await anext(deltas)
    got = flat.concat([await reader.fetch_flat(ref) for ref in delta.parts])
    assert flat.consolidate(got) == sorted(
        update for t in range(26, 40) for update in ((row(t + 1), t, 1), (row(t), t, -1))
    )
    await hold.downgrade(39)
    await writer.compare_and_append(b"", 40, 41)
    await writer.compare_and_append(flat.build([(row(999), 41, 1)]), 41, 42)
    while await compact.compact(client, writer.log, QUIET):
        pass
    snapshot = await reader.snapshot(40)
    assert await contents(reader, snapshot) == [(row(40), 40, 1)]
    assert sum(ref.part.updates for ref in snapshot.parts) == 2


async def test_a_listener_behind_since_is_told(make_client) -> None:
    client = await make_client(QUIET)
    writer = await fill(client, 40)
    reader = await client.open_reader("s1")
    deltas = reader.listen(5)
    hold = await client.hold("s1", 0, name="controller", lease=False)
    await hold.downgrade(30)
    await compact.maintain(client, writer.log, QUIET)
    with pytest.raises(AsOfBeforeSince):
        await anext(deltas)


async def test_large_results_become_parquet_and_old_blobs_go(make_client, contents) -> None:
    client = await make_client(QUIET)
    writer = await client.open_writer("s1", DESC)
    for t in range(6):
        data = flat.build_at([row(1 + i) for i in range(5000)], t)
        await writer.compare_and_append(data, t, t + 1)
    old = set(await client.blob.list("s1/"))
    assert len(old) == 6
    hold = await client.hold("s1", 5, name="controller", lease=False)
    assert hold.since == 5
    await compact.maintain(client, writer.log, QUIET)
    reader = await client.open_reader("s1")
    snapshot = await reader.snapshot(5)
    (ref,) = snapshot.parts
    assert isinstance(ref.part, BlobPart)
    assert ref.part.updates == 5000
    assert {diff for _, _, diff in await contents(reader, snapshot)} == {6}
    assert await client.blob.list("s1/") == [ref.part.key]
    assert writer.log.state.garbage == ()


async def test_garbage_waits_for_readers_with_a_lease(make_client) -> None:
    client = await make_client(QUIET)
    writer = await client.open_writer("s1", DESC)
    for t in range(6):
        data = flat.build_at([row(1 + i) for i in range(5000)], t)
        await writer.compare_and_append(data, t, t + 1)
    lease = await client.hold("s1", 0)
    await compact.maintain(client, writer.log, QUIET)
    assert len(await client.blob.list("s1/")) > 6
    await lease.release()
    await compact.maintain(client, writer.log, QUIET)
    assert len(await client.blob.list("s1/")) == 1


async def test_leases_run_out_unless_renewed(make_client) -> None:
    short = PersistConfig(maintenance_s=3600, lease_ms=1)
    client = await make_client(short)
    writer = await fill(client, 10)
    lease = await client.hold("s1", 2)
    await client.hold("s1", 9, name="controller", lease=False)
    assert writer.log.state.since == 2
    client.clock = Later(60)
    await compact.maintain(client, writer.log, short)
    assert writer.log.state.since == 9
    await Maintenance(client).renew()
    assert lease.released
    with pytest.raises(ObjectNotInPrerequisiteState):
        await lease.downgrade(5)


async def test_renewal_is_one_commit_for_all(make_client) -> None:
    client = await make_client(QUIET)
    await fill(client, 3)
    leases = [await client.hold("s1", 0) for _ in range(3)]
    seqno = client.logs["s1"].seqno
    expires = [client.logs["s1"].state.holds[h.name].expires_ms for h in leases]
    client.clock = Later(30)
    await Maintenance(client).renew()
    assert client.logs["s1"].seqno == seqno + 1
    renewed = [client.logs["s1"].state.holds[h.name].expires_ms for h in leases]
    assert all(new > old for new, old in zip(renewed, expires, strict=True))


async def test_finalized_shards_lose_their_blobs(make_client) -> None:
    client = await make_client(PersistConfig(maintenance_s=0.01, garbage_ms=0))
    writer = await client.open_writer("s1", DESC)
    data = flat.build_at([row(1 + i) for i in range(5000)], 0)
    await writer.compare_and_append(data, 0, 1)
    await writer.upload(data)  # never committed
    await client.finalize("s1")
    async with asyncio.timeout(10):
        await client.logs["s1"].wait(lambda state: not state.garbage)
    assert len(await client.blob.list("s1/")) == 1
    assert await client.sweep() == 0  # the other one is young


async def test_logs_are_rolled_up(make_client) -> None:
    client = await make_client(QUIET)
    writer = await fill(client, 100)
    await writer.log.rollup(b"token")
    assert [seqno for seqno, _ in await client.consensus.scan("s1", 0)] == [writer.log.seqno]
    again = await (await make_client()).open_reader("s1")
    assert again.upper == 100


async def test_large_shards_are_merged_range_by_range(make_client, contents, monkeypatch) -> None:
    monkeypatch.setattr(compact, "INPUT_BYTES_MAX", 200_000)
    config = PersistConfig(
        maintenance_s=3600, garbage_ms=0, compact_batches=1, part_bytes=40_000, inline_bytes_max=100
    )
    client = await make_client(config)
    writer = await client.open_writer("s1", DESC)
    await client.hold("s1", 0, name="controller", lease=False)
    for t in range(2):
        data = flat.build_at([row(1 + i) for i in range(t * 100, 10_000 + t * 100)], t)
        await writer.compare_and_append(data, t, t + 1)
    first, second = writer.log.state.batches
    assert len(first.parts) > 4
    ranges = compact.ranges_of([first, second], 200_000)
    assert len(ranges) > 2
    assert [r.low for r in ranges[1:]] == [r.high for r in ranges[:-1]]
    merged = []
    real = compact.codec.merge

    def merge(desc, inputs, *args, **kwargs):
        merged.append(len(inputs))
        return real(desc, inputs, *args, **kwargs)

    monkeypatch.setattr(compact.codec, "merge", merge)
    assert await compact.compact(client, writer.log, config)
    assert len(merged) == len(ranges)
    assert max(merged) < len(first.parts) + len(second.parts)
    (batch_,) = writer.log.state.batches
    lasts = [part.last for part in batch_.parts[:-1]]
    assert all(a < b.first for a, b in zip(lasts, batch_.parts[1:], strict=True))
    reader = await client.open_reader("s1")
    got = await contents(reader, await reader.snapshot(1))
    assert len(got) == 10_100
    assert sum(diff for _, _, diff in got) == 20_000
