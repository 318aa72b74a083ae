"""Damaged parts, a full disk, two servers on one folder, a folder of a newer version."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import ExecStatus

from headwater.catalog.codec import Change, Kind
from headwater.catalog.durable import DurableCatalog
from headwater.persist.blob import open_blob
from headwater.persist.client import PersistClient
from headwater.persist.stores import open_consensus
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from tests.fixtures import tmpfs
from tests.fixtures.headwater import Headwater, kill_process, running
from tests.fixtures.ports import free_port
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def parts(server: Headwater, connection: Connection) -> Iterator[dict[Path, bytes]]:
    """The parts of a table ``big`` that is too large to be kept inline; repaired afterwards."""
    connection.execute("SET statement_timeout = '30s'")
    connection.execute("CREATE TABLE beside (a int)")
    connection.execute("INSERT INTO beside VALUES (1)")
    connection.execute("CREATE TABLE big (a int, b text)")
    connection.execute("CREATE MATERIALIZED VIEW big_count AS SELECT count(*) AS c FROM big")
    connection.execute("CREATE INDEX big_idx ON big (a)")
    before = set(files(server))
    connection.execute(
        "INSERT INTO big SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 20000) AS n"
    )
    assert rows(connection, "SELECT c FROM big_count") == [(20000,)]
    kept = {path: path.read_bytes() for path in set(files(server)) - before}
    assert kept
    yield kept
    for path, data in kept.items():
        path.write_bytes(data)
    connection.execute("DROP TABLE beside, big CASCADE")


def files(server: Headwater) -> list[Path]:
    return [path for path in (server.folder / "blob").rglob("*.parquet") if path.is_file()]


def refused(connection: Connection, query: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        rows(connection, query)
    return caught.value


def test_a_damaged_part_is_an_error_of_the_queries_that_need_it(
    server: Headwater, connection: Connection, parts: dict[Path, bytes]
) -> None:
    connection.execute("CREATE CLUSTER elsewhere SIZE '1'")
    connection.execute("SET cluster = elsewhere")
    for path, data in parts.items():
        path.write_bytes(data[:-64] + bytes(64))
    error = refused(connection, "SELECT max(b) FROM big")
    assert error.sqlstate == "XX001"
    assert "damaged" in str(error)
    assert rows(connection, "SELECT c FROM big_count") == [(20000,)]
    assert rows(connection, "SELECT a FROM beside") == [(1,)]
    for path, data in parts.items():
        path.write_bytes(data)
    assert rows(connection, "SELECT count(*) FROM big") == [(20000,)]


def test_a_missing_part_is_waited_for_by_what_is_maintained(
    server: Headwater, connection: Connection, parts: dict[Path, bytes]
) -> None:
    for path in parts:
        path.unlink()
    for pid in server.replica_pids():
        kill_process(pid)
    connection.execute("CREATE CLUSTER onlooker SIZE '1'")
    connection.execute("SET cluster = onlooker")
    error = refused(connection, "SELECT max(b) FROM big")
    assert error.sqlstate == "XX001"
    assert "missing" in str(error)
    assert refused(connection, "UPDATE big SET a = 0 WHERE a = 1").sqlstate == "XX001"
    connection.execute("INSERT INTO big VALUES (0, '')")
    connection.execute("INSERT INTO beside VALUES (2)")
    assert rows(connection, "SELECT count(*) FROM beside") == [(2,)]
    connection.execute("RESET cluster")
    reason = (
        "SELECT count(*) > 0 FROM mz_internal.mz_cluster_replica_statuses "
        "WHERE reason LIKE '%missing%'"
    )
    eventually(lambda: rows(connection, reason), [(True,)])
    # The part comes back: views and indexes go on by themselves.
    for path, data in parts.items():
        path.write_bytes(data)
    assert rows(connection, "SELECT c FROM big_count") == [(20001,)]
    assert rows(connection, "SELECT b FROM big WHERE a = 0") == [("",)]
    eventually(lambda: rows(connection, reason), [(False,)])


def test_a_read_of_what_can_no_longer_be_maintained_fails_and_does_not_wait(
    server: Headwater, connection: Connection, parts: dict[Path, bytes]
) -> None:
    point = "SELECT count(*) FROM big WHERE a = 7"
    assert rows(connection, point) == [(1,)]
    for path in parts:
        path.unlink()
    # What is in memory is read from there.
    assert rows(connection, point) == [(1,)]
    for pid in server.replica_pids():
        kill_process(pid)
    connection.execute("INSERT INTO beside VALUES (2)")
    connection.execute("INSERT INTO big VALUES (0, '')")
    for _ in range(7):  # prepared after a few: the read that needs not ask the adapter
        assert refused(connection, point).sqlstate == "XX001"
    error = refused(connection, "SELECT c FROM big_count")
    assert error.sqlstate == "XX001"
    assert "missing" in str(error)
    subscribe = "COPY (SUBSCRIBE (SELECT max(b) FROM big)) TO STDOUT"
    with pytest.raises(psycopg.errors.DataCorrupted), connection.cursor().copy(subscribe) as copied:
        copied.read()
    assert rows(connection, "SELECT a FROM beside ORDER BY a") == [(1,), (2,)]
    for path, data in parts.items():
        path.write_bytes(data)
    eventually(lambda: answered(connection, "SELECT c FROM big_count"), [(20001,)])
    eventually(lambda: answered(connection, point), [(1,)])


def answered(connection: Connection, query: str) -> list[tuple[object, ...]] | None:
    """Return the rows of a query, None where what it needs is damaged."""
    try:
        return rows(connection, query)
    except psycopg.errors.DataCorrupted:
        return None


NO_DISK = tmpfs.missing()


def work_on(server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE t (a int, b text)")
        connection.execute("CREATE MATERIALIZED VIEW c AS SELECT count(*) AS c FROM t")
        connection.execute("CREATE SOURCE ticks FROM LOAD GENERATOR COUNTER (TICK INTERVAL '20ms')")
        connection.execute("INSERT INTO t VALUES (1, 'before')")
        assert rows(connection, "SELECT c FROM c") == [(1,)]


def assert_goes_on(server: Headwater) -> None:
    """Check that what was acknowledged is there, what was refused is not, and all goes on."""
    with server.connect() as connection:
        connection.execute("INSERT INTO t VALUES (2, 'after')")
        assert rows(connection, "SELECT b FROM t ORDER BY a") == [("before",), ("after",)]
        assert rows(connection, "SELECT c FROM c") == [(2,)]
        ((before,),) = rows(connection, "SELECT count(*) FROM ticks")
        query = "SELECT count(*), count(DISTINCT counter), max(counter) FROM ticks"
        eventually(lambda: int(str(rows(connection, query)[0][0])) > int(str(before)), want=True)
        ((count, distinct, maximum),) = rows(connection, query)
        assert count == distinct == maximum


def assert_full(connection: Connection) -> None:
    insert = "INSERT INTO t SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 20000) AS n"
    for statement in (insert, "INSERT INTO t VALUES (3, 'refused')", "CREATE TABLE u (a int)"):
        with pytest.raises(psycopg.errors.DiskFull) as caught:
            connection.execute(statement.encode())
        assert "no space left on device" in str(caught.value)


@pytest.mark.skipif(NO_DISK is not None, reason=NO_DISK or "")
def test_a_full_disk_refuses_writes_and_nothing_else(tmp_path: Path) -> None:
    with tmpfs.disk(tmp_path / "disk", 48) as disk, running(tmp_path / "disk" / "data") as server:
        work_on(server)
        with server.connect() as connection:
            disk.fill()
            assert_full(connection)
            assert rows(connection, "SELECT b FROM t") == [("before",)]
            disk.free()
        assert_goes_on(server)


@pytest.mark.skipif(NO_DISK is not None, reason=NO_DISK or "")
def test_a_disk_that_stays_full_does_not_end_the_server(tmp_path: Path) -> None:
    with tmpfs.disk(tmp_path / "disk", 48) as disk, running(tmp_path / "disk" / "data") as server:
        work_on(server)
        with server.connect() as connection:
            disk.fill()
            full_until = time.monotonic() + 4.0  # several ticks of every kind
            while time.monotonic() < full_until:
                assert rows(connection, "SELECT b FROM t") == [("before",)]
            assert_full(connection)
            assert rows(connection, "SELECT b FROM t") == [("before",)]
            disk.free()
        assert_goes_on(server)


@pytest.mark.skipif(NO_DISK is not None, reason=NO_DISK or "")
def test_a_server_on_a_full_disk_says_so_and_starts_when_there_is_space(tmp_path: Path) -> None:
    with tmpfs.disk(tmp_path / "disk", 48) as disk, running(tmp_path / "disk" / "data") as server:
        work_on(server)
        server.kill()
        disk.fill()
        ended = serve(server.folder)
        assert ended.returncode == 1, ended.stderr
        assert "no space left on device" in ended.stderr
        assert "Traceback" not in ended.stderr
        disk.free()
        server.start()
        assert_goes_on(server)


def serve(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run another server on ``folder`` until it ends."""
    return subprocess.run(
        serve_command(folder), check=False, capture_output=True, text=True, timeout=60
    )


def serve_command(folder: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "headwater.cli.main",
        "serve",
        f"--data={folder}",
        f"--sql-address=127.0.0.1:{free_port()}",
        "--internal-sql-address=",
        "--http-address=",
    ]


def test_a_newer_server_on_the_folder_fences_the_older(tmp_path: Path) -> None:
    with running(tmp_path) as older:
        with older.connect() as connection:
            connection.execute("CREATE TABLE t (a int)")
            connection.execute("CREATE MATERIALIZED VIEW v AS SELECT sum(a) AS s FROM t")
            connection.execute("INSERT INTO t VALUES (1)")
        process = older.process
        assert process is not None
        with running(tmp_path) as newer, newer.connect() as connection:
            assert rows(connection, "SELECT a FROM t") == [(1,)]
            # An older server that is idle notices at its next tick, at the latest.
            assert process.wait(30) != 0
            assert "a newer server has taken this environment over" in older.logs()
            connection.execute("INSERT INTO t VALUES (2)")
            assert rows(connection, "SELECT s FROM v") == [(3,)]


def test_a_fenced_server_never_answers_from_before_what_the_newer_acknowledged(
    tmp_path: Path,
) -> None:
    """The older is frozen meanwhile, so that nothing tells it; it wakes up with reads waiting."""
    with running(tmp_path) as older, contextlib.ExitStack() as stack:
        with older.connect() as connection:
            connection.execute("CREATE TABLE t (a int)")
            connection.execute("CREATE INDEX t_a ON t (a)")
            connection.execute("INSERT INTO t VALUES (1)")
        readers = [stack.enter_context(contextlib.closing(older.connect())) for _ in range(4)]
        for reader in readers:
            assert (
                reader.pgconn.prepare(b"p", b"SELECT a FROM t WHERE a = 2").status
                == ExecStatus.COMMAND_OK
            )
        process = older.process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            with running(tmp_path) as newer, newer.connect() as connection:
                connection.execute("INSERT INTO t VALUES (2)")
                for reader in readers[:2]:
                    reader.pgconn.send_query(b"SELECT a FROM t WHERE a = 2")
                for reader in readers[2:]:  # by the index, which the front reads without asking
                    reader.pgconn.send_query_prepared(b"p", None)
                process.send_signal(signal.SIGCONT)
                answers = [reader.pgconn.get_result() for reader in readers]
                assert all(
                    answer is None or answer.status != ExecStatus.TUPLES_OK for answer in answers
                )
                assert process.wait(30) != 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)


def test_data_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    with running(tmp_path) as server, server.connect() as connection:
        connection.execute("CREATE TABLE t (a int)")
    asyncio.run(write_format(tmp_path, 999))
    ended = serve(tmp_path)
    assert ended.returncode == 1
    assert "newer version" in ended.stderr
    assert "format 999" in ended.stderr
    assert "Traceback" not in ended.stderr


async def write_format(folder: Path, version: int) -> None:
    """Say in a stopped server's folder that a program of format ``version`` wrote it."""
    clock, rng, tasks = SystemClock(), SystemRng(), SupervisedTasks()
    consensus = await open_consensus(f"sqlite://{folder / 'consensus.db'}", clock, rng, tasks)
    blob = await open_blob(f"file://{folder / 'blob'}")
    persist = PersistClient(blob, consensus, clock, rng, tasks)
    await persist.start()
    durable = await DurableCatalog.open(persist)
    key = (Kind.META.value, "format")
    assert key in durable.state
    await durable.commit([Change(key, durable.state[key], str(version))])
    await tasks.close()
    await persist.close()
    await consensus.close()
