"""Message by message: what drivers do not show."""

import asyncio
import struct

import pytest

from tests.unit.pgwire.conftest import MESSAGE_BYTES_MAX, Server, fields, kinds, startup_packet


async def test_startup_refuses_encryption_and_hands_over_a_key(server: Server) -> None:
    raw = await server.dial()
    for request in (80877103, 80877104):
        raw.writer.write(struct.pack("!II", 8, request))
        assert await raw.reader.readexactly(1) == b"N"
    raw.writer.write(startup_packet({"user": "u", "options": r"-c cluster=a\ b --x-y=1"}))
    messages = await raw.until(b"Z")
    assert kinds(messages) == "R" + "S" * 8 + "KZ"
    session = server.adapter.sessions[0].startup
    assert (session.user, session.database) == ("u", "u")
    assert session.options == {"cluster": "a b", "x_y": "1"}


@pytest.mark.parametrize(
    ("minor", "negotiated", "key_bytes"), [(0, False, 8), (2, False, 36), (9, True, 36)]
)
async def test_minor_versions(server: Server, minor: int, negotiated: bool, key_bytes: int) -> None:
    raw = await server.dial()
    raw.writer.write(startup_packet({"user": "u"}, 196608 + minor))
    messages = await raw.until(b"Z")
    assert (messages[0][0] == b"v") == negotiated
    assert [len(body) for kind, body in messages if kind == b"K"] == [key_bytes]


async def test_a_refused_user_is_told_why(server: Server) -> None:
    raw = await server.dial()
    raw.writer.write(startup_packet({"user": "nobody"}))
    error = fields((await raw.until(b"E"))[-1][1])
    assert (error["S"], error["V"], error["C"]) == ("FATAL", "FATAL", "28000")
    assert await raw.reader.read() == b""


async def test_empty_queries_in_both_protocols(server: Server) -> None:
    raw = await server.raw()
    assert kinds(await raw.query(" ; ")) == "IZ"
    raw.parse("")
    raw.bind()
    raw.execute()
    raw.sync()
    assert kinds(await raw.until(b"Z")) == "12IZ"


async def test_statements_of_a_simple_query_stop_at_the_first_error(server: Server) -> None:
    raw = await server.raw()
    messages = await raw.query("insert; series 2; nonsense; insert")
    assert kinds(messages) == "CTDDCEZ"
    log = [entry for entry in server.adapter.log if entry[0] == "execute"]
    assert log == [("execute", False), ("execute", False), ("execute", False)]


async def test_the_last_statement_commits_without_a_sync_request(server: Server) -> None:
    raw = await server.raw()
    assert kinds(await raw.query("insert; insert")) == "CCZ"
    raw.parse("insert")
    raw.bind()
    raw.execute()
    raw.sync()
    assert kinds(await raw.until(b"Z")) == "12CZ"
    assert [e for e in server.adapter.log if e[0] in ("execute", "sync")] == [
        ("execute", False),
        ("execute", True),
        ("execute", True),
    ]


async def test_errors_skip_to_sync_and_roll_back_what_was_open(server: Server) -> None:
    raw = await server.raw()
    raw.parse("insert")
    raw.bind()
    raw.execute()
    raw.send(b"H")
    assert kinds(await raw.until(b"C")) == "12C"
    raw.execute("missing")
    raw.parse("insert")
    raw.bind()
    raw.sync()
    messages = await raw.until(b"Z")
    assert kinds(messages) == "EZ"
    assert fields(messages[0][1])["C"] == "34000"
    assert ("sync", True) in server.adapter.log


async def test_an_error_found_here_fails_an_explicit_transaction(server: Server) -> None:
    raw = await server.raw()
    assert (await raw.query("begin"))[-1] == (b"Z", b"T")
    raw.bind(name="missing")
    raw.sync()
    messages = await raw.until(b"Z")
    assert fields(messages[0][1])["C"] == "26000"
    assert messages[-1] == (b"Z", b"E")
    assert ("failure", "26000") in server.adapter.log
    messages = await raw.query("commit")
    assert messages == [(b"C", b"ROLLBACK\0"), (b"Z", b"I")]


async def test_a_row_that_does_not_fit_its_columns_is_an_error(server: Server) -> None:
    raw = await server.raw()
    messages = await raw.query("mangled")
    assert kinds(messages) == "TEZ"
    assert fields(messages[1][1])["C"] == "XX000"
    assert kinds(await raw.query("insert")) == "CZ"


async def test_error_fields(server: Server) -> None:
    raw = await server.raw()
    error = fields((await raw.query("broken"))[0][1])
    assert error == {
        "S": "ERROR",
        "V": "ERROR",
        "C": "42601",
        "M": "syntax error",
        "D": "It is broken.",
        "H": "Try harder.",
        "P": "3",
    }
    assert fields((await raw.query("bug"))[0][1])["C"] == "XX000"


async def test_describe_says_what_bind_needs(server: Server) -> None:
    raw = await server.raw()
    raw.parse("select $1::int4, $2::text", "s")
    raw.send(b"D", b"Ss\0")
    raw.bind(b"7", None, name="s", formats=b"\0\x02\0\x01\0\0")
    raw.send(b"D", b"P\0")
    raw.execute()
    raw.parse("insert", "i")
    raw.send(b"D", b"Si\0")
    raw.sync()
    messages = await raw.until(b"Z")
    assert kinds(messages) == "1tT2TDC1tnZ"
    assert messages[1][1] == struct.pack("!HII", 2, 23, 25)
    # The statement's formats are text, the portal's as bound.
    assert [body[16:18] + body[-2:] for kind, body in messages if kind == b"T"]
    assert messages[5][1] == struct.pack("!HIii", 2, 4, 7, -1)


@pytest.mark.parametrize(
    ("values", "formats", "code"),
    [
        ((b"1",), b"\0\0", "08P01"),
        ((b"x", b"t"), b"\0\0", "22P02"),
        ((b"1", b"\xff"), b"\0\0", "22021"),
        ((b"1", b"t"), b"\0\x03\0\0\0\0\0\0", "08P01"),
        ((b"1", b"t"), b"\0\x01\0\x07", "22023"),
    ],
)
async def test_bad_parameters(
    server: Server, values: tuple[bytes, ...], formats: bytes, code: str
) -> None:
    raw = await server.raw()
    raw.parse("select $1::int4, $2::text")
    raw.bind(*values, formats=formats)
    raw.sync()
    messages = await raw.until(b"Z")
    assert kinds(messages) == "1EZ"
    assert fields(messages[1][1])["C"] == code


async def test_portals_suspend_and_are_spent(server: Server) -> None:
    raw = await server.raw()
    await raw.query("begin")
    raw.parse("series 5", "s")
    raw.bind(portal="p", name="s")
    for limit in (2, 2, 2, 0):
        raw.execute("p", limit)
    raw.sync()
    messages = await raw.until(b"Z")
    assert kinds(messages) == "12DDsDDsDCCZ"
    assert [body for kind, body in messages if kind == b"C"] == [b"SELECT 1\0", b"SELECT 0\0"]
    raw.bind(portal="p", name="s")
    raw.sync()
    assert fields((await raw.until(b"Z"))[0][1])["C"] == "42P03"


async def test_portals_end_with_the_transaction_and_by_close(server: Server) -> None:
    raw = await server.raw()
    raw.parse("series 5", "s")
    raw.bind(portal="p", name="s")
    raw.execute("p", 1)
    raw.sync()
    assert kinds(await raw.until(b"Z")) == "12DsZ"
    raw.execute("p", 1)
    raw.sync()
    assert fields((await raw.until(b"Z"))[0][1])["C"] == "34000"
    raw.bind(portal="p", name="s")
    raw.send(b"C", b"Pp\0")
    raw.send(b"C", b"Pnever\0")
    raw.execute("p", 1)
    raw.sync()
    messages = await raw.until(b"Z")
    assert kinds(messages) == "233EZ"
    raw.bind(portal="p", name="s")
    raw.send(b"C", b"Ss\0")
    raw.bind(name="s")
    raw.sync()
    messages = await raw.until(b"Z")
    assert kinds(messages) == "23EZ"
    assert fields(messages[2][1])["C"] == "26000"


async def test_a_command_runs_once(server: Server) -> None:
    raw = await server.raw()
    raw.parse("insert")
    raw.bind()
    raw.execute()
    raw.execute()
    raw.sync()
    messages = await raw.until(b"Z")
    assert kinds(messages) == "12CEZ"
    assert fields(messages[3][1])["C"] == "55000"


async def test_cursors_and_portals_are_one_name_space(server: Server) -> None:
    raw = await server.raw()
    await raw.query("begin")
    assert kinds(await raw.query("declare c series 5")) == "CZ"
    assert kinds(await raw.query("fetch 2 c")) == "TDDCZ"
    raw.execute("c", 1)
    raw.sync()
    assert kinds(await raw.until(b"Z")) == "DsZ"
    raw.parse("series 3")
    raw.bind(portal="p")
    raw.sync()
    await raw.until(b"Z")
    messages = await raw.query("fetch all p; fetch all p; close p; close c")
    assert kinds(messages) == "TDDDCTCCCZ"
    assert (b"C", b"FETCH 0\0") in messages
    messages = await raw.query("close c")
    assert fields(messages[0][1])["C"] == "34000"


async def test_sql_prepare_shares_names_with_the_protocol(server: Server) -> None:
    raw = await server.raw()
    assert kinds(await raw.query("prepare s as series 1")) == "CZ"
    raw.bind(name="s")
    raw.execute()
    raw.parse("insert", "s")
    raw.sync()
    messages = await raw.until(b"Z")
    assert kinds(messages) == "2DCEZ"
    assert fields(messages[3][1])["C"] == "42P05"
    await raw.query("deallocate s")
    raw.bind(name="s")
    raw.sync()
    assert kinds(await raw.until(b"Z")) == "EZ"


async def test_oversized_messages_are_refused_and_never_read(server: Server) -> None:
    raw = await server.dial()
    raw.writer.write(struct.pack("!II", 10_001, 196608))
    assert fields((await raw.until(b"E"))[0][1])["C"] == "08P01"
    assert await raw.reader.read() == b""
    raw = await server.raw()
    raw.writer.write(b"Q" + struct.pack("!I", MESSAGE_BYTES_MAX + 5))
    error = fields((await raw.until(b"E"))[0][1])
    assert (error["S"], error["C"]) == ("FATAL", "08P01")
    assert await raw.reader.read() == b""


async def test_results_of_earlier_syncs_do_not_wait_for_later_ones(server: Server) -> None:
    raw = await server.raw()
    for sql in ("insert", "hang"):
        raw.parse(sql)
        raw.bind()
        raw.execute()
        raw.sync()
    assert kinds(await raw.until(b"Z")) == "12CZ"


async def test_a_vanished_client_frees_its_session(server: Server) -> None:
    raw = await server.raw()
    raw.send(b"Q", b"hang\0")
    await server.adapter.until(lambda: ("execute", True) in server.adapter.log)
    await raw.close()
    await server.adapter.until(lambda: not server.adapter.sessions)
    raw = await server.raw()
    raw.send(b"Q", b"wide 200000\0")
    await raw.message()
    await raw.close()
    await server.adapter.until(lambda: not server.adapter.sessions)


async def test_pipelined_queries_are_answered_in_order(server: Server) -> None:
    raw = await server.raw()
    for n in range(100):
        raw.send(b"Q", f"series {n % 3}\0".encode())
    for n in range(100):
        assert kinds(await raw.until(b"Z")) == "T" + "D" * (n % 3) + "CZ"


async def test_closing_tells_clients(server: Server) -> None:
    raw = await server.raw()
    closing = asyncio.create_task(server.front.close())
    error = fields((await raw.until(b"E"))[0][1])
    assert (error["S"], error["C"]) == ("FATAL", "57P01")
    await closing
