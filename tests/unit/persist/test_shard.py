"""Appending to and reading from shards."""

import asyncio

import pytest

from headwater.errors import AsOfBeforeSince, Fenced, ObjectNotInPrerequisiteState, UndefinedObject
from headwater.persist import flat
from headwater.persist.client import PersistClient, PersistConfig
from headwater.persist.errors import UpperMismatch
from headwater.persist.parts import BlobPart
from headwater.persist.write import ShardAppend
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8, TEXT

DESC = RelationDesc((Column("a", INT8),))


async def test_append_is_seen_by_snapshots_at_its_time(client: PersistClient, contents) -> None:
    writer = await client.open_writer("s1", DESC)
    await writer.compare_and_append(flat.build([(b"a", 1, 1), (b"b", 3, 2)]), 0, 5)
    reader = await client.open_reader("s1")
    assert await contents(reader, await reader.snapshot(2)) == [(b"a", 2, 1)]
    assert await contents(reader, await reader.snapshot(4)) == [(b"a", 4, 1), (b"b", 4, 2)]
    assert (reader.since, reader.upper) == (0, 5)


async def test_append_elsewhere_than_at_the_upper_is_refused(client: PersistClient) -> None:
    writer = await client.open_writer("s1", DESC)
    await writer.compare_and_append(b"", 0, 5)
    with pytest.raises(UpperMismatch) as caught:
        await writer.compare_and_append(flat.build([(b"a", 4, 1)]), 4, 6)
    assert caught.value.current == 5
    assert writer.upper == 5


async def test_snapshot_waits_for_upper(client: PersistClient, contents) -> None:
    writer = await client.open_writer("s1", DESC)
    reader = await client.open_reader("s1")
    waiting = asyncio.ensure_future(reader.snapshot(3))
    await writer.compare_and_append(b"", 0, 3)
    assert not waiting.done()
    await writer.compare_and_append(flat.build([(b"x", 3, 1)]), 3, 4)
    assert await contents(reader, await waiting) == [(b"x", 3, 1)]


async def test_listen_continues_a_snapshot(client: PersistClient) -> None:
    writer = await client.open_writer("s1", DESC)
    await writer.compare_and_append(flat.build([(b"a", 1, 1), (b"b", 7, 1)]), 0, 10)
    reader = await client.open_reader("s1")
    deltas = reader.listen(4)
    first = await anext(deltas)
    assert (first.lower, first.upper) == (5, 10)
    assert [list(flat.updates(await reader.fetch_flat(p))) for p in first.parts] == [[(b"b", 7, 1)]]
    await writer.compare_and_append(b"", 10, None)
    last = await anext(deltas)
    assert (last.lower, last.upper, last.parts) == (10, None, ())
    assert [delta async for delta in deltas] == []


async def test_large_parts_go_to_the_blob_store(client: PersistClient, contents) -> None:
    rows = [b"\x30" + b"%08d" % i * 16 + b"\0\0" for i in range(2000)]  # texts
    writer = await client.open_writer("s1", DESC)
    await writer.compare_and_append(flat.build_at(rows, 3), 0, 5)
    reader = await client.open_reader("s1")
    snapshot = await reader.snapshot(4)
    assert [type(ref.part) for ref in snapshot.parts] == [BlobPart]
    assert len(await client.blob.list("s1/")) == 1
    assert await contents(reader, snapshot) == [(row, 4, 1) for row in rows]


async def test_huge_appends_become_several_parts(make_client, contents) -> None:
    client = await make_client(PersistConfig(part_bytes=100_000))
    writer = await client.open_writer("s1", DESC)
    rows = [b"\x30" + b"%08d" % i * 16 + b"\0\0" for i in range(4000)]
    await writer.compare_and_append(flat.build_at(rows, 3), 0, 5)
    reader = await client.open_reader("s1")
    snapshot = await reader.snapshot(4)
    assert len(snapshot.parts) == 7
    assert await contents(reader, snapshot) == [(row, 4, 1) for row in rows]


async def test_append_many_is_all_or_nothing(client: PersistClient) -> None:
    one, two = await client.open_writer("s1", DESC), await client.open_writer("s2", DESC)
    data = flat.build([(b"a", 1, 1)])
    with pytest.raises(UpperMismatch) as caught:
        await client.append_many([ShardAppend(one, data, 0, 2), ShardAppend(two, data, 1, 2)])
    assert caught.value.shard == "s2"
    assert (one.upper, two.upper) == (0, 0)
    await client.append_many([ShardAppend(one, data, 0, 2), ShardAppend(two, data, 0, 3)])
    assert (await one.refresh(), await two.refresh()) == (2, 3)


async def test_holds_keep_since_back(client: PersistClient) -> None:
    writer = await client.open_writer("s1", DESC)
    await writer.compare_and_append(b"", 0, 100)
    reader = await client.open_reader("s1")
    durable = await client.hold("s1", 0, name="controller", lease=False)
    lease = await client.hold("s1", 10)
    await durable.downgrade(50)
    assert reader.since == 10
    await lease.release()
    assert reader.since == 50
    with pytest.raises(AsOfBeforeSince):
        await reader.snapshot(49)
    await durable.downgrade(1000)
    assert reader.since == 100
    again = await client.hold("s1", 0, name="controller", lease=False)
    assert again.since == 1000


async def test_fence_refuses_older_owners(client: PersistClient) -> None:
    old = await client.open_writer("s1", DESC, epoch=1)
    await client.fence("s1", 2)
    with pytest.raises(Fenced):
        await old.compare_and_append(b"", 0, 1)
    new = await client.open_writer("s1", DESC, epoch=2)
    await new.compare_and_append(b"", 0, 1)
    assert new.upper == 1


async def test_shape_is_fixed(client: PersistClient) -> None:
    await client.open_writer("s1", DESC)
    with pytest.raises(ObjectNotInPrerequisiteState):
        await client.open_writer("s1", RelationDesc((Column("b", TEXT),)))
    with pytest.raises(UndefinedObject):
        await client.open_reader("s2")


async def test_another_client_follows(make_client, contents) -> None:
    one, two = await make_client(), await make_client()
    writer = await one.open_writer("s1", DESC)
    reader = await two.open_reader("s1")
    waiting = asyncio.ensure_future(reader.snapshot(3))
    for time in range(200):  # beyond a roll-up
        await writer.compare_and_append(flat.build([(b"x", time, 1)]), time, time + 1)
    assert await contents(reader, await waiting) == [(b"x", 3, 4)]
    third = await (await make_client()).open_reader("s1")
    assert third.upper == 200


async def test_a_shard_is_let_go_with_its_last_user(client: PersistClient) -> None:
    writer = await client.open_writer("s1", DESC)
    hold = await client.hold("s1", 0)
    reader = await client.open_reader("s1")
    await writer.close()
    await reader.close()
    assert "s1" in client.logs
    await hold.release()
    await hold.release()
    assert client.logs == {}
    again = await client.open_writer("s1", DESC)
    assert again.upper == 0
