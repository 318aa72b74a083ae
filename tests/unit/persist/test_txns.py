"""Tables: commits to several at once, ticks, moving into shards, readers across all of it."""

import asyncio

import pytest

from headwater.errors import Fenced, UndefinedObject
from headwater.persist import flat
from headwater.persist import txns as txns_module
from headwater.persist.client import PersistClient
from headwater.persist.errors import UpperMismatch
from headwater.persist.log import Change
from headwater.persist.parts import InlinePart
from headwater.persist.txns import TxnsHandle
from headwater.persist.txns_machine import TxnCommit
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8

DESC = RelationDesc((Column("a", INT8),))


def rows(*names: str) -> bytes:
    return flat.build([(name.encode(), 0, 1) for name in names])


async def test_a_commit_reaches_several_tables_at_its_time(client, contents) -> None:
    txns = await client.open_txns("txns")
    await txns.register(1, [("t1", DESC), ("t2", DESC)])
    await txns.commit(5, {"t1": rows("a", "b"), "t2": rows("c")})
    await txns.advance(9)
    one = await client.open_reader("t1", txns="txns")
    two = await client.open_reader("t2", txns="txns")
    assert one.upper == two.upper == 10
    assert await contents(one, await one.snapshot(4)) == []
    assert await contents(one, await one.snapshot(9)) == [(b"a", 9, 1), (b"b", 9, 1)]
    assert await contents(two, await two.snapshot(5)) == [(b"c", 5, 1)]


async def test_applying_changes_nothing_for_readers(client, contents) -> None:
    txns = await client.open_txns("txns")
    await txns.register(1, [("t1", DESC), ("t2", DESC)])
    reader = await client.open_reader("t1", txns="txns")
    deltas = reader.listen(3)
    for time in range(2, 7):
        await txns.commit(time, {"t1": rows(f"r{time}")})
        if time % 2:
            await txns.apply()
    assert await contents(reader, await reader.snapshot(4)) == [
        (b"r2", 4, 1),
        (b"r3", 4, 1),
        (b"r4", 4, 1),
    ]
    delta = await anext(deltas)
    assert (delta.lower, delta.upper) == (4, 7)
    got = flat.concat([await reader.fetch_flat(ref) for ref in delta.parts])
    assert flat.consolidate(got) == [(b"r4", 4, 1), (b"r5", 5, 1), (b"r6", 6, 1)]
    await txns.apply()
    assert txns.log.state.entries == ()
    assert txns.log.state.tables == {"t1": 7, "t2": 0}
    other = await client.open_reader("t2", txns="txns")
    assert await contents(other, await other.snapshot(6)) == []


def open_commit(txns: TxnsHandle, time: int, **tables: bytes) -> Change:
    """Return what a round of inserts commits that leaves its time open."""
    writes = {
        table: (InlinePart(flat.stamp(data, time), flat.count(data)),)
        for table, data in tables.items()
    }
    return Change(txns.log, (TxnCommit(time, txns.epoch, writes=writes, open=True),))


async def test_an_open_time_is_read_once_it_is_closed(client, contents) -> None:
    txns = await client.open_txns("txns")
    await txns.register(1, [("t1", DESC)])
    await client.commit([open_commit(txns, 5, t1=rows("a"))])
    await client.commit([open_commit(txns, 5, t1=rows("b"))])
    reader = await client.open_reader("t1", txns="txns")
    assert reader.upper == 5
    assert await contents(reader, await reader.snapshot(4)) == []
    await txns.apply()
    assert txns.log.state.tables == {"t1": 0}, "what is not complete is not moved"
    deltas = reader.listen(4)
    reading = asyncio.ensure_future(reader.snapshot(5))
    await asyncio.sleep(0)
    assert not reading.done()
    await txns.commit(5, {"t1": rows("c")})
    assert await contents(reader, await reading) == [(b"a", 5, 1), (b"b", 5, 1), (b"c", 5, 1)]
    delta = await anext(deltas)
    assert (delta.lower, delta.upper) == (5, 6)
    assert len(delta.parts) == 3
    await txns.apply()
    assert txns.log.state.entries == ()
    assert len(await contents(reader, await reader.snapshot(5))) == 3


async def test_a_new_owner_closes_what_is_open(make_client, contents) -> None:
    """It may have been acknowledged: reads begin at the upper, and must see it."""
    old = await make_client()
    txns = await old.open_txns("txns")
    await txns.fence(1)
    await txns.register(1, [("t1", DESC)])
    await old.commit([open_commit(txns, 5, t1=rows("a"))])
    new = await make_client()
    taken = await new.open_txns("txns")
    await taken.fence(2)
    assert taken.upper == 6
    reader = await new.open_reader("t1", txns="txns")
    assert await contents(reader, await reader.snapshot(5)) == [(b"a", 5, 1)]
    with pytest.raises(Fenced):
        await old.commit([open_commit(txns, 6, t1=rows("b"))])


async def test_many_commits_are_applied_in_the_background(client, contents) -> None:
    txns = await client.open_txns("txns")
    await txns.register(0, [("t1", DESC)])
    reader = await client.open_reader("t1", txns="txns")
    for time in range(1, 201):
        await txns.commit(time, {"t1": rows(f"{time:03}")})
    await reader.log.wait(lambda state: state.upper > 100)
    assert len(txns.log.state.entries) < 3 * txns_module.APPLY_ENTRIES
    assert len(await contents(reader, await reader.snapshot(200))) == 200


async def test_commits_before_the_upper_are_refused(client) -> None:
    txns = await client.open_txns("txns")
    await txns.register(5, [("t1", DESC)])
    with pytest.raises(UpperMismatch) as caught:
        await txns.commit(5, {"t1": rows("a")})
    assert caught.value.current == 6
    with pytest.raises(UndefinedObject):
        await txns.commit(6, {"t2": rows("a")})
    assert txns.upper == 6


async def test_an_owner_learns_whether_the_one_before_has_left(make_client) -> None:
    first = await (await make_client()).open_txns("txns")
    assert await first.fence(1)  # there was none
    second = await (await make_client()).open_txns("txns")
    assert not await second.fence(2)
    with pytest.raises(Fenced):
        await first.confirm()
    await second.confirm()
    await second.advance(5)
    await second.leave()
    third = await (await make_client()).open_txns("txns")
    assert await third.fence(3)
    assert third.upper == 6


async def test_a_newer_owner_fences_the_older(make_client) -> None:
    old = await (await make_client()).open_txns("txns")
    await old.fence(1)
    await old.register(1, [("t1", DESC)])
    new = await (await make_client()).open_txns("txns")
    await new.fence(2)
    with pytest.raises(Fenced):
        await old.commit(5, {"t1": rows("a")})
    with pytest.raises(Fenced):
        await old.fence(1)
    await new.commit(5, {"t1": rows("b")})
    assert new.upper == 6


async def test_a_forgotten_table_keeps_its_contents(client, contents) -> None:
    txns = await client.open_txns("txns")
    await txns.register(1, [("t1", DESC), ("t2", DESC)])
    reader = await client.open_reader("t1", txns="txns")
    await txns.commit(5, {"t1": rows("a"), "t2": rows("b")})
    await txns.forget(7, ["t1"])
    await txns.advance(20)
    assert reader.upper == 8
    assert await contents(reader, await reader.snapshot(7)) == [(b"a", 7, 1)]
    assert txns.tables == {"t2"}
    with pytest.raises(UndefinedObject):
        await txns.commit(21, {"t1": rows("x")})


async def test_uploaded_parts_take_the_commits_time(client, contents) -> None:
    txns = await client.open_txns("txns")
    await txns.register(1, [("t1", DESC)])
    reader = await client.open_reader("t1", txns="txns")
    many = [b"\x30" + b"%06d" % i * 4 + b"\0\0" for i in range(3000)]  # texts
    await txns.commit(8, {"t1": await txns.upload("t1", flat.build_at(many, 0))})
    expected = [(row, 8, 1) for row in many]
    assert await contents(reader, await reader.snapshot(8)) == expected
    await txns.apply()
    assert await contents(reader, await reader.snapshot(8)) == expected


async def test_readers_in_other_processes_follow(make_client, contents) -> None:
    one, two = await make_client(), await make_client()
    txns = await one.open_txns("txns")
    await txns.register(1, [("t1", DESC)])
    reader = await two.open_reader("t1", txns="txns")
    got: list[flat.Update] = []

    async def follow(until: int) -> None:
        lower = 1
        async for delta in reader.listen(0):
            assert delta.lower == lower
            lower = delta.upper
            for ref in delta.parts:
                got.extend(flat.updates(await reader.fetch_flat(ref)))
            if lower > until:
                return

    following = asyncio.ensure_future(follow(151))
    for time in range(2, 152):
        await txns.commit(time, {"t1": rows(f"{time:03}")})
    await asyncio.wait_for(following, 10)
    assert got == [(b"%03d" % time, time, 1) for time in range(2, 152)]


async def test_the_next_owner_goes_on(make_client, contents) -> None:
    client: PersistClient = await make_client()
    txns = await client.open_txns("txns")
    await txns.register(1, [("t1", DESC)])
    await txns.commit(2, {"t1": rows("a")})
    again = await (await make_client()).open_txns("txns")
    await again.fence(3)
    await again.commit(3, {"t1": rows("b")})
    await again.apply()
    reader = await client.open_reader("t1", txns="txns")
    assert await contents(reader, await reader.snapshot(3)) == [(b"a", 3, 1), (b"b", 3, 1)]
