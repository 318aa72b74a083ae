"""Real clients: psycopg 3, asyncpg, psycopg 2, psql."""

import asyncio
import shutil

import asyncpg
import psycopg
import psycopg2
import pytest

from tests.unit.pgwire.conftest import Server
from tests.unit.pgwire.fake import int_datum, text_datum


async def test_psycopg_in_text_and_binary(server: Server) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        for binary in (False, True):
            cursor = conn.cursor(binary=binary)
            await cursor.execute("series 3")
            assert await cursor.fetchall() == [(n, f"row {n}") for n in range(3)]
            await cursor.execute("nulls")
            assert await cursor.fetchall() == [(None, True)]
        await conn.execute("insert", prepare=True)
        assert conn.info.parameter_status("server_version") == "15.0"
        await conn.execute("set application_name = x")
        assert conn.info.parameter_status("application_name") == "x"


async def test_psycopg_pipelines(server: Server) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        async with conn.pipeline():
            cursors = [await conn.execute(f"series {n}") for n in range(20)]
        assert [len(await cursor.fetchall()) for cursor in cursors] == list(range(20))


async def test_asyncpg_prepares_and_fetches_through_portals(server: Server) -> None:
    conn = await asyncpg.connect(server.dsn)
    try:
        statement = await conn.prepare("select $1::int4, $2::text")
        for n in range(3):
            assert tuple(await statement.fetchrow(n, f"t{n}")) == (n, f"t{n}")
        assert tuple(await statement.fetchrow(-5, None)) == (-5, None)
        await conn.execute("begin")
        series = await conn.prepare("series 10")
        portal = await series.cursor()
        assert [row["n"] for row in await portal.fetch(4)] == [0, 1, 2, 3]
        assert [row["n"] for row in await portal.fetch(40)] == [4, 5, 6, 7, 8, 9]
        await conn.execute("commit")
    finally:
        await conn.close()


async def test_errors_reach_drivers_with_all_fields(server: Server) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        with pytest.raises(psycopg.errors.SyntaxError) as caught:
            await conn.execute("broken")
        diag = caught.value.diag
        assert (diag.statement_position, diag.message_hint) == ("3", "Try harder.")
        with pytest.raises(psycopg.errors.InternalError_):
            await conn.execute("bug")
        await conn.execute("insert")


async def test_transactions_report_their_status(server: Server) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        status = psycopg.pq.TransactionStatus
        await conn.execute("begin")
        assert conn.info.transaction_status == status.INTRANS
        with pytest.raises(psycopg.errors.SyntaxError):
            await conn.execute("broken")
        assert conn.info.transaction_status == status.INERROR
        cursor = await conn.execute("commit")
        assert (cursor.statusmessage, conn.info.transaction_status) == ("ROLLBACK", status.IDLE)


async def test_notices_are_filtered(server: Server) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        seen: list[str | None] = []
        conn.add_notice_handler(lambda notice: seen.append(notice.severity))
        for severity in ("debug", "notice", "warning"):
            await conn.execute(f"raise {severity}")
        await conn.execute("set client_min_messages = error")
        await conn.execute("raise warning")
        await conn.execute("set client_min_messages = debug1")
        await conn.execute("raise debug")
        assert seen == ["NOTICE", "WARNING", "DEBUG"]


@pytest.mark.parametrize("sql", ["hang", "peek nothing", "wide 1000000"])
async def test_cancel_stops_a_statement_and_leaves_the_session(server: Server, sql: str) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        running = asyncio.create_task(conn.execute(sql))
        await server.adapter.until(lambda: ("execute", True) in server.adapter.log)
        await conn.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled, match="due to user request"):
            await running
        cursor = await conn.execute("series 1")
        assert await cursor.fetchall() == [(0, "row 0")]


async def test_statement_timeout(server: Server) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        await conn.execute("set statement_timeout = 50")
        for sql in ("hang", "peek nothing"):
            with pytest.raises(psycopg.errors.QueryCanceled, match="due to statement timeout"):
                await conn.execute(sql)
        await conn.execute("insert")


async def test_idle_in_transaction_timeout(server: Server) -> None:
    conn = await psycopg.AsyncConnection.connect(server.dsn, autocommit=True)
    await conn.execute("set idle_timeout = 50")
    await conn.execute("begin")
    await server.adapter.until(lambda: not server.adapter.sessions)
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        await conn.execute("insert")
    await conn.close()


@pytest.mark.parametrize("kind", ["text", "csv"])
async def test_copy_in(server: Server, kind: str) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        separator = "\t" if kind == "text" else ","
        async with conn.cursor() as cursor:
            async with cursor.copy(f"copy t from stdin {kind}") as copy:
                for n in range(100_000):
                    await copy.write(f"{n}{separator}row {n}\n")
            assert cursor.statusmessage == "COPY 100000"
        stored = server.adapter.stored
        assert stored[77] == int_datum(77) + text_datum("row 77")
        assert (len(stored), server.adapter.batches) == (100_000, 4)


async def test_a_failed_copy_stores_nothing_and_names_the_line(server: Server) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation) as caught:
            async with conn.cursor().copy("copy t from stdin") as copy:
                await copy.write("1\ta\nx\tb\n")
        assert caught.value.diag.context == 'COPY t, line 2, column n: "x"'
        with pytest.raises(psycopg.errors.BadCopyFileFormat):
            async with conn.cursor().copy("copy t from stdin") as copy:
                await copy.write("1\n")
        with pytest.raises(ZeroDivisionError):
            async with conn.cursor().copy("copy t from stdin") as copy:
                await copy.write(f"{1 // 0}\ta\n")
        server.adapter.refuse_copy = True
        with pytest.raises(psycopg.errors.UniqueViolation):
            async with conn.cursor().copy("copy t from stdin") as copy:
                await copy.write("1\ta\n")
        assert server.adapter.stored == []
        await conn.execute("insert")


async def test_copy_out(server: Server) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as conn:
        cursor = conn.cursor()
        async with cursor.copy("copy series 3 to stdout csv") as copy:
            assert b"".join([bytes(data) async for data in copy]) == b"0,row 0\n1,row 1\n2,row 2\n"
        assert cursor.rowcount == 3
        async with cursor.copy("copy series 2 to stdout binary") as copy:
            copy.set_types(["int4", "text"])
            assert [row async for row in copy.rows()] == [(0, "row 0"), (1, "row 1")]


async def test_asyncpg_reads_a_large_result(server: Server) -> None:
    conn = await asyncpg.connect(server.dsn)
    try:
        rows = [tuple(row) for row in await conn.fetch("series 100000")]
        assert (len(rows), rows[-1]) == (100_000, (99_999, "row 99999"))
    finally:
        await conn.close()


def _psycopg2(dsn: str) -> list[tuple[object, ...]]:
    conn = psycopg2.connect(dsn)
    try:
        with conn.cursor() as cursor:
            cursor.execute("series 2")
            rows = cursor.fetchall()
        conn.commit()
        return rows
    finally:
        conn.close()


async def test_psycopg2(server: Server) -> None:
    assert await asyncio.to_thread(_psycopg2, server.dsn) == [(0, "row 0"), (1, "row 1")]


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
async def test_psql(server: Server) -> None:
    script = r"""
series 2;
insert;
broken;
copy t from stdin csv;
1,"a
b"
2,
\.
copy series 2 to stdout;
begin;
declare c series 3;
fetch 2 c;
commit;
"""
    process = await asyncio.create_subprocess_exec(
        "psql", "-XAt", server.dsn,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(script.encode())
    want = "0|row 0\n1|row 1\nINSERT 0 1\nCOPY 2\n0\trow 0\n1\trow 1\nBEGIN\nDECLARE CURSOR\n"
    assert out.decode() == want + "0|row 0\n1|row 1\nCOMMIT\n"
    assert "ERROR:  syntax error" in err.decode()
    assert "HINT:  Try harder." in err.decode()
    assert server.adapter.stored == [int_datum(1) + text_datum("a\nb"), int_datum(2) + b"\xfe"]
