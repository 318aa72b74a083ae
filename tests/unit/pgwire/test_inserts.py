"""Prepared INSERTs of one row: the front says the row alone, where that is a transaction."""

import pytest

from headwater.errors import DiskFull
from headwater.pgwire import protocol as p
from tests.unit.pgwire.conftest import Raw, Server, fields, kinds
from tests.unit.pgwire.fake import NULL, int_datum


@pytest.fixture
async def raw(server: Server) -> Raw:
    server.adapter.fast_insert = p.FastInsert(3, "u1", (int_datum(5), 0))
    server.front.state.set_catalog_version(3)
    raw = await server.raw()
    raw.parse("put $1", "p")
    raw.sync()
    await raw.until(b"Z")
    return raw


async def put(raw: Raw, value: bytes | None, *, sync: bool = True) -> list[tuple[bytes, bytes]]:
    raw.bind(value, name="p")
    raw.execute()
    if not sync:
        raw.bind(value, name="p")
        raw.execute()
    raw.sync()
    return await raw.until(b"Z")


async def test_parameters_and_literals_make_the_row(server: Server, raw: Raw) -> None:
    messages = await put(raw, b"7")
    assert kinds(messages) == "2CZ"
    assert messages[1][1] == b"INSERT 0 1\0"
    assert messages[2][1] == b"I"
    await put(raw, None)
    assert server.adapter.inserted == [int_datum(5) + int_datum(7), int_datum(5) + NULL]
    assert ("execute", True) not in server.adapter.log
    assert ("sync", False) not in server.adapter.log


async def test_what_is_part_of_a_transaction_is_executed(server: Server, raw: Raw) -> None:
    await raw.query("begin")
    assert (await put(raw, b"7"))[1][1] == b"INSERT 0 9\0"
    await raw.query("commit")
    await put(raw, b"7", sync=False)  # two statements before Sync: neither is alone
    assert server.adapter.inserted == []


async def test_a_void_plan_is_executed(server: Server, raw: Raw) -> None:
    server.adapter.refuse_insert = p.Again()  # it became void on the way
    assert (await put(raw, b"7"))[1][1] == b"INSERT 0 9\0"
    server.adapter.refuse_insert = None
    server.front.state.set_catalog_version(4)
    assert (await put(raw, b"7"))[1][1] == b"INSERT 0 9\0"
    assert server.adapter.inserted == []


async def test_its_failure_is_the_statements(server: Server, raw: Raw) -> None:
    server.adapter.refuse_insert = p.Failed(error=DiskFull("no space left on device").fields())
    messages = await put(raw, b"7")
    assert kinds(messages) == "2EZ"
    assert fields(messages[1][1])["C"] == "53100"
    assert messages[2][1] == b"I"
    server.adapter.refuse_insert = None
    assert kinds(await put(raw, b"7")) == "2CZ"
