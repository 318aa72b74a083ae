"""Rows that come from replicas: peeks, subscriptions, the fast path."""

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest

from headwater.cluster.transport import Disconnected, LinkEvent
from headwater.errors import UndefinedObject
from headwater.ir.physical import Mfp
from headwater.ir.relation import RowSetFinishing
from headwater.pgwire import protocol as p
from headwater.pgwire.server import PeekFailed
from tests.unit.pgwire.conftest import Server, fields, kinds
from tests.unit.pgwire.fake import int_datum, text_datum, unflat
from tests.unit.pgwire.replica import FakeReplica


@pytest.fixture
async def replica(server: Server) -> AsyncIterator[FakeReplica]:
    replica = FakeReplica(server.links)
    server.links.start(replica.link_event)
    yield replica
    replica.close()
    server.links.disconnect("r1")
    server.links.close()


async def test_a_peek_is_answered_and_completed(server: Server, replica: FakeReplica) -> None:
    replica.connect()
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        rows = await (await conn.execute("peek rows")).fetchall()
        assert rows == [(1, "a"), (2, "b"), (3, "c")]
        with pytest.raises(psycopg.errors.DivisionByZero):
            await conn.execute("peek error")
    await server.adapter.until(lambda: ("terminate",) in server.adapter.log)
    complete = [entry[1:] for entry in server.adapter.log if entry[0] == "complete"]
    assert complete == [("done", 3), ("failed", 0)]


async def test_a_peek_without_a_replica_says_what_it_waits_for(
    server: Server, replica: FakeReplica
) -> None:
    raw = await server.raw()
    raw.send(b"Q", b"peek rows\0")
    messages = await raw.until(b"N")
    assert fields(messages[-1][1])["M"] == "waiting for a replica"
    replica.connect()
    assert kinds(messages + await raw.until(b"Z")) == "TNDDDCZ"


async def test_a_failed_peek_fails_an_explicit_transaction(
    server: Server, replica: FakeReplica
) -> None:
    replica.connect()
    raw = await server.raw()
    await raw.query("begin")
    assert (await raw.query("peek error"))[-1] == (b"Z", b"E")
    log = [entry[0] for entry in server.adapter.log]
    assert "complete" in log
    assert "failure" in log


async def test_cancelling_a_peek_tells_replica_and_adapter(
    server: Server, replica: FakeReplica
) -> None:
    replica.connect()
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        await conn.execute("peek rows")
        running = asyncio.create_task(conn.execute("peek nothing"))
        await server.adapter.until(lambda: server.adapter.log.count(("execute", True)) == 2)
        await conn.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await running
        await server.adapter.until(lambda: ("complete", "canceled", 0) in server.adapter.log)
        await conn.execute("peek rows")
    assert any(b"cancel_peek" in command for command in replica.commands)


async def test_a_client_that_vanishes_abandons_its_peek(
    server: Server, replica: FakeReplica
) -> None:
    raw = await server.raw()
    raw.send(b"Q", b"peek nothing\0")
    await server.adapter.until(lambda: ("execute", True) in server.adapter.log)
    await raw.close()
    await server.adapter.until(lambda: ("complete", "abandoned", 0) in server.adapter.log)
    await server.adapter.until(lambda: not server.adapter.sessions)


async def test_readers_in_python_collect_peeks(server: Server, replica: FakeReplica) -> None:
    replica.connect()

    def source(word: bytes) -> p.PeekSource:
        return p.PeekSource(
            uuid=word.ljust(16),
            cluster="c",
            peek=b"peek" + word.ljust(16) + word,
            finishing=RowSetFinishing((), 2, 1, (1,)),
        )

    rows = unflat(await server.front.collect_peek(source(b"rows")))
    assert rows == [text_datum("b"), text_datum("c")]
    with pytest.raises(PeekFailed) as caught:
        await server.front.collect_peek(source(b"error"))
    assert caught.value.fields().sqlstate == "22012"
    waiting = asyncio.create_task(server.front.collect_peek(source(b"nothing")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(await server.front.collect_peek(source(b"again"))) > 0


async def test_a_subscription_survives_its_replica(server: Server, replica: FakeReplica) -> None:
    other = FakeReplica(server.links)
    lost = asyncio.Event()
    ready = asyncio.Semaphore(0)

    def event(event: LinkEvent) -> None:
        replica.link_event(event)
        if isinstance(event, Disconnected):
            lost.set()
        else:
            ready.release()

    server.links.close()
    server.links.start(event)
    replica.connect("r1")
    other.connect("r2")
    await ready.acquire()
    await ready.acquire()
    raw = await server.raw()
    raw.send(b"Q", b"subscribe\0")
    await raw.until(b"D")  # progress at as_of: the adapter has opened it
    replica.batch(5, 7, (1, 5, 1), (2, 6, 1))
    first = await _rows(raw, 3)
    replica.close()
    await lost.wait()
    other.batch(5, 6, (1, 5, 1))
    other.batch(6, 8, (2, 6, 1), (2, 7, -1))
    other.batch(8, None, (3, 9, 1))
    second = [body for kind, body in await raw.until(b"Z") if kind == b"D"]
    other.close()
    server.links.disconnect("r2")
    shown = [_values(body) for body in first + second]
    assert shown == [
        ("5", "f", "1", "1"),
        ("6", "f", "1", "2"),
        ("7", "t", None, None),
        ("7", "f", "-1", "2"),
        ("8", "t", None, None),
        ("9", "f", "1", "3"),
    ]


async def test_fetch_from_a_subscription_takes_what_is_there(
    server: Server, replica: FakeReplica
) -> None:
    await _connected(server, replica)
    raw = await server.raw()
    await raw.query("begin; declare c subscribe")
    assert kinds(await raw.query("fetch all c")) == "TDCZ"  # progress at as_of
    assert kinds(await raw.query("fetch all c 20")) == "TCZ"
    replica.batch(5, 7, (1, 5, 1), (2, 6, 1))
    assert kinds(await raw.query("fetch 1 c")) == "TDCZ"
    assert kinds(await raw.query("fetch 5 c")) == "TDDCZ"
    assert kinds(await raw.query("commit")) == "CZ"
    assert ("complete", "abandoned", 4) in server.adapter.log


async def test_what_is_dropped_ends_its_readers(server: Server, replica: FakeReplica) -> None:
    asked = asyncio.Event()
    replica.answer = lambda *_: asked.set()
    await _connected(server, replica)
    raw = await server.raw()
    raw.send(b"Q", b"peek nothing\0")
    await asked.wait()
    server.links.fail_peeks("c", UndefinedObject("the cluster was dropped"))
    assert fields((await raw.until(b"E"))[-1][1])["M"] == "the cluster was dropped"
    await raw.until(b"Z")
    raw.send(b"Q", b"subscribe\0")
    await raw.until(b"D")
    server.links.fail_subscribe("t1", UndefinedObject("the relation was dropped"))
    assert fields((await raw.until(b"E"))[-1][1])["C"] == "42704"


async def _connected(server: Server, replica: FakeReplica) -> None:
    ready = asyncio.Event()

    def event(event: LinkEvent) -> None:
        replica.link_event(event)
        ready.set()

    server.links.close()
    server.links.start(event)
    replica.connect()
    await ready.wait()


async def _rows(raw: object, count: int) -> list[bytes]:
    return [(await raw.until(b"D"))[-1][1] for _ in range(count)]  # type: ignore[attr-defined]


def _values(body: bytes) -> tuple[str | None, ...]:
    values: list[str | None] = []
    at = 2
    while at < len(body):
        length = int.from_bytes(body[at : at + 4], signed=True)
        at += 4
        values.append(None if length < 0 else body[at : at + length].decode())
        at += max(length, 0)
    return tuple(values)


async def test_the_fast_path_asks_nobody_while_it_applies(
    server: Server, replica: FakeReplica
) -> None:
    def answer(uuid: bytes, word: bytes) -> None:
        assert word == b"fast " + int_datum(7)
        replica.rows(uuid, [(7, "fast")])

    replica.answer = answer
    await _connected(server, replica)
    server.adapter.fast = p.FastPlan(
        catalog_version=3,
        cluster="c",
        index="u1",
        key=(0,),
        mfp=Mfp.identity(2),
        finishing=RowSetFinishing((), None, 0, (0, 1)),
    )
    state = server.front.state
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        raw = await server.raw()
        raw.parse("point $1", "p")
        raw.sync()
        await raw.until(b"Z")

        async def read() -> str | None:
            raw.bind(b"7", name="p")
            raw.execute()
            raw.sync()
            messages = await raw.until(b"Z")
            assert kinds(messages) == "2DCZ"
            return _values(messages[1][1])[1]

        assert await read() == "slow"  # nothing is known yet
        state.set_catalog_version(3)
        state.set_index_since("u1", 10)
        assert await read() == "slow"  # the index cannot be read at time 0
        state.set_read_ts(12)
        assert await read() == "slow"  # a newer server may have acknowledged something
        state.set_lease_until(int((time.monotonic() + 3600) * 1e9))
        assert await read() == "fast"
        state.set_index_upper("u1", 13)
        state.set_read_ts(10_000)
        assert await read() == "slow"  # it stands still: the adapter finds out why
        state.set_index_upper("u1", 10_001)
        assert await read() == "fast"
        state.set_index_since("u1", 10_001)
        assert await read() == "slow"
        state.set_read_ts(10_020)
        await raw.query("begin")
        assert await read() == "slow"
        await raw.query("commit")
        assert await read() == "fast"
        state.set_catalog_version(4)
        assert await read() == "slow"
        state.set_catalog_version(3)
        await raw.query("set client_min_messages = notice")
        assert await read() == "slow"
        await conn.execute("insert")
