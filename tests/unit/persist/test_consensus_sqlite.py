"""The SQLite store: durability across owners, two owners, full disks, newer versions."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from headwater.errors import DataCorrupted, DiskFull, Fenced, IncompatibleVersion
from headwater.persist import flat
from headwater.persist import log as log_module
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient
from headwater.persist.consensus import Cas, Consensus
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8

DESC = RelationDesc((Column("a", INT8),))


def client_of(consensus: Consensus, tmp_path: Path) -> PersistClient:
    blob = LocalBlob(tmp_path / "blob")
    return PersistClient(blob, consensus, SystemClock(), SystemRng(), SupervisedTasks())


async def test_a_new_owner_finds_what_was_committed(tmp_path: Path) -> None:
    one = await SqliteConsensus.open(tmp_path / "c.db")
    for i in range(100):
        await one.commit([Cas("a", i or None, b"%d" % i), Cas(f"b{i}", None, b"x")])
    await one.truncate("a", 41)
    await one.commit([Cas("a", 100, b"last")])
    await one.close()
    two = await SqliteConsensus.open(tmp_path / "c.db")
    versions = await two.scan("a", 0)
    assert versions[-1] == (101, b"last")
    seqnos = [seqno for seqno, _ in versions]
    assert seqnos == list(range(seqnos[0], 102))
    assert len(await two.list_shards()) == 101
    assert (await two.commit([Cas("a", 101, b"more")])).committed
    await two.close()


async def test_two_owners_never_overwrite_each_other(tmp_path: Path) -> None:
    stores = [await SqliteConsensus.open(tmp_path / "c.db") for _ in range(2)]

    async def count(store: SqliteConsensus) -> int:
        won, head = 0, 0
        while head < 200:
            result = await store.commit([Cas("s", head or None, b"x"), Cas("t", head or None, b"")])
            won += result.committed
            head = (await store.scan("s", head + 1) or [(head, b"")])[-1][0]
        return won

    won = await asyncio.gather(*(count(store) for store in stores))
    assert sum(won) == (await stores[0].scan("s", 0))[-1][0]
    assert await stores[0].scan("t", 0) == await stores[1].scan("t", 0)
    for store in stores:
        await store.close()


async def test_an_older_owner_of_the_same_folder_is_fenced(tmp_path: Path) -> None:
    stores = [await SqliteConsensus.open(tmp_path / "c.db") for _ in range(2)]
    old, new = [await client_of(store, tmp_path).open_txns("txns") for store in stores]
    await old.fence(1)
    await old.register(1, [("t1", DESC)])
    await new.fence(2)
    with pytest.raises(Fenced, match="a newer server has taken this environment over"):
        await old.advance(5)
    await new.advance(5)
    for store in stores:
        await store.close()


async def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    store = await SqliteConsensus.open(tmp_path / "c.db")
    client = client_of(store, tmp_path)
    writer = await client.open_writer("s", DESC)
    await writer.compare_and_append(flat.build([(b"\x18", 0, 1)]), 0, 1)

    used = await store.pragma("page_count")
    await store.pragma("max_page_count", used + 4)
    large = flat.build_at([b"\x18"] * 2900, 1)
    with pytest.raises(DiskFull, match="no space left on device"):
        await writer.compare_and_append(large, 1, 2)
    assert writer.upper == 1
    assert await writer.refresh() == 1
    await store.pragma("max_page_count", 1 << 30)
    await writer.compare_and_append(large, 1, 2)
    assert await writer.refresh() == 2
    await store.close()


async def test_newer_stores_are_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "c.db") as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(IncompatibleVersion, match="newer version of headwater"):
        await SqliteConsensus.open(tmp_path / "c.db")


async def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.db").write_bytes(b"this is no database, " * 100)
    with pytest.raises(DataCorrupted, match="is damaged"):
        await SqliteConsensus.open(tmp_path / "c.db")


async def test_versions_of_a_newer_format_are_refused(tmp_path: Path) -> None:
    store = await SqliteConsensus.open(tmp_path / "c.db")
    client = client_of(store, tmp_path)
    writer = await client.open_writer("s", DESC)
    reader = await client.open_reader("s")
    newer = bytes((log_module.FORMAT_VERSION + 1,))
    waiting = asyncio.ensure_future(reader.wait_upper(5))
    await store.commit([Cas("s", writer.log.seqno, newer)])
    with pytest.raises(IncompatibleVersion, match="shard s was written by a newer version"):
        await waiting
    with pytest.raises(IncompatibleVersion):
        await writer.compare_and_append(b"", 0, 1)
    with pytest.raises(IncompatibleVersion):
        await client_of(store, tmp_path).open_reader("s")
    await store.close()


async def test_damaged_versions_are_named(tmp_path: Path) -> None:
    store = await SqliteConsensus.open(tmp_path / "c.db")
    for data in (b"", b"\x01\xc1", b"\x01\x81\xa4kind\xa4what"):
        await store.commit([Cas("s", len(await store.scan("s", 0)) or None, data)])
        with pytest.raises(DataCorrupted, match="log of shard s"):
            await client_of(store, tmp_path).open_reader("s")
    await store.close()
