"""What every blob store promises; the folder's durability; bad URLs."""

import errno
import os
from pathlib import Path

import pytest

from headwater.errors import DataCorrupted, DiskFull, InternalError, InvalidParameterValue, IoError
from headwater.persist import blob as blob_module
from headwater.persist import flat
from headwater.persist.blob import Blob, LocalBlob, open_blob
from headwater.persist.client import PersistClient
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import TEXT
from tests.fixtures.s3 import s3_endpoint

__all__ = ["s3_endpoint"]  # a fixture

DESC = RelationDesc((Column("a", TEXT),))


@pytest.fixture(params=["local", "s3"])
async def blob(request, tmp_path: Path) -> Blob:
    if request.param == "local":
        return await open_blob(f"file://{tmp_path}/blob")
    endpoint = request.getfixturevalue("s3_endpoint")
    keys = "access_key_id=a&secret_access_key=b&region=us-east-1"
    return await open_blob(f"s3://bucket/{tmp_path.name}?endpoint={endpoint}&{keys}")


async def test_objects_come_back(blob: Blob) -> None:
    large = os.urandom(3 << 20)
    await blob.put("s1/a", b"one")
    await blob.put("s1/b.parquet", large)
    await blob.put("s10/c", b"")
    assert await blob.get("s1/a") == b"one"
    assert await blob.get("s1/b.parquet") == large
    assert await blob.get("s10/c") == b""


async def test_listing_is_by_prefix(blob: Blob) -> None:
    for key in ("s1/b", "s1/a", "s10/c", "t/u/v"):
        await blob.put(key, b"x")
    assert await blob.list("s1/") == ["s1/a", "s1/b"]
    assert await blob.list("s1") == ["s1/a", "s1/b", "s10/c"]
    assert await blob.list("") == ["s1/a", "s1/b", "s10/c", "t/u/v"]
    assert await blob.list("nothing/") == []


async def test_deleted_objects_are_missing(blob: Blob) -> None:
    await blob.put("s1/a", b"x")
    await blob.delete("s1/a")
    await blob.delete("s1/a")
    with pytest.raises(DataCorrupted, match='blob "s1/a" is missing'):
        await blob.get("s1/a")


async def test_a_shard_lives_in_any_store(blob: Blob, tmp_path: Path) -> None:
    consensus = await SqliteConsensus.open(tmp_path / "consensus.db")
    tasks = SupervisedTasks()
    client = PersistClient(blob, consensus, SystemClock(), SystemRng(), tasks)
    writer = await client.open_writer("s1", DESC)
    rows = [b"\x30%06d\0\0" % i for i in range(20_000)]
    await writer.compare_and_append(flat.build_at(rows, 0), 0, 1)
    reader = await client.open_reader("s1")
    (ref,) = (await reader.snapshot(0)).parts
    assert [row for row, _, _ in flat.updates(await reader.fetch_flat(ref))] == rows
    await client.close()
    await tasks.close()
    await consensus.close()


async def test_keys_stay_inside(blob: Blob) -> None:
    for key in ("../etc/passwd", "/etc/passwd", "a//b", "a#1", ""):
        with pytest.raises(InternalError):
            await blob.put(key, b"x")


async def test_left_overs_of_crashes_are_swept(tmp_path: Path) -> None:
    old, young = tmp_path / "s1" / "a#1", tmp_path / "s1" / "b#2"
    old.parent.mkdir()
    for path in (old, young, tmp_path / "s1" / "c"):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    blob = LocalBlob(tmp_path)
    assert not old.exists()
    assert young.exists()
    assert await blob.list("") == ["s1/c"]


async def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch) -> None:
    blob = LocalBlob(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(blob_module.os, "fsync", full)
    with pytest.raises(DiskFull):
        await blob.put("s1/a", b"x")
    assert os.listdir(tmp_path / "s1") == []


async def test_file_and_folders_are_synced(tmp_path: Path, monkeypatch) -> None:
    synced = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(blob_module.os, "fsync", fsync)
    await LocalBlob(tmp_path).put("s1/x/a", b"x")
    assert synced == [f"{tmp_path}/s1/x/a#1"] + [
        str(path) for path in (tmp_path / "s1/x", tmp_path / "s1", tmp_path)
    ]


async def test_bad_stores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterValue):
        await open_blob("gopher://x/y")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IoError):
        await open_blob(str(tmp_path / "file" / "blob"))
