"""Commits on SQLite: latency of one committer, rate of eight, 300 empty appends at once.

Run: PYTHONPATH=src .venv/bin/python bench/micro/persist_commit.py [folder]
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from headwater.persist import flat
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.persist.write import ShardAppend
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8

DESC = RelationDesc((Column("a", INT8),))


def show(what: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    print(f"{what}: p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, n {len(ordered)}")


def fsync_alone(folder: Path) -> None:
    took = []
    with (folder / "probe").open("wb") as file:
        for _ in range(300):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    show("4 KiB write and fdatasync alone", took)


async def one(client: PersistClient, shard: str, n: int, took: list[float]) -> None:
    writer = await client.open_writer(shard, DESC)
    for t in range(n):
        data = flat.build([(b"\x30" + b"x" * 97 + b"\0\0", t, 1)])
        began = time.perf_counter()
        await writer.compare_and_append(data, t, t + 1)
        took.append(time.perf_counter() - began)


async def main(folder: Path) -> None:
    fsync_alone(folder)
    consensus = await SqliteConsensus.open(folder / "consensus.db")
    tasks = SupervisedTasks()
    client = PersistClient(LocalBlob(folder / "blob"), consensus, SystemClock(), SystemRng(), tasks)
    await client.start()
    took: list[float] = []
    await one(client, "single", 2000, took)
    show("one committer, 100 B", took)
    took = []
    began = time.perf_counter()
    await asyncio.gather(*(one(client, f"group{i}", 1500, took) for i in range(8)))
    rate = len(took) / (time.perf_counter() - began)
    show(f"eight committers, 100 B, {rate:.0f} commits/s", took)
    writers = [await client.open_writer(f"many{i}", DESC) for i in range(300)]
    took = []
    for t in range(100):
        began = time.perf_counter()
        await client.append_many([ShardAppend(w, b"", t, t + 1) for w in writers])
        took.append(time.perf_counter() - began)
    show("300 shards' empty appends in one commit", took)
    await client.close()
    await tasks.close()
    await consensus.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as made:
        uvloop.run(main(Path(made)))
