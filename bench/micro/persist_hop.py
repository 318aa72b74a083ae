"""From an append in one process to the listener in another: 100 rows inline, over a unix socket.

Run: PYTHONPATH=src .venv/bin/python bench/micro/persist_hop.py [folder]
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from headwater.persist import flat
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient
from headwater.persist.consensus import Consensus
from headwater.persist.consensus_rpc import ConsensusServer, RpcConsensus
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8

DESC = RelationDesc((Column("a", INT8),))
ROUNDS = 500


def client_of(folder: Path, consensus: Consensus, tasks: SupervisedTasks) -> PersistClient:
    return PersistClient(LocalBlob(folder / "blob"), consensus, SystemClock(), SystemRng(), tasks)


def show(what: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    print(f"{what}: p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, n {len(ordered)}")


async def reader(folder: Path) -> None:
    tasks = SupervisedTasks()
    rpc = await RpcConsensus.connect(f"unix://{folder}/rpc", SystemClock(), SystemRng(), tasks)
    client = client_of(folder, rpc, tasks)
    out = await client.open_writer("out", DESC)
    table = await client.open_reader("t", txns="txns")
    hops = []
    async for delta in table.listen(1):
        for ref in delta.parts:
            data = await table.fetch_flat(ref)
            sent = int(next(iter(flat.updates(data)))[0][1:20])
            hops.append((time.perf_counter_ns() - sent) / 1e9)
            await out.compare_and_append(data, out.upper, delta.upper)
        if len(hops) >= ROUNDS:
            break
    show("hop, 100 rows inline, durable, to another process", hops)
    await rpc.close()


async def main(folder: Path) -> None:
    consensus = await SqliteConsensus.open(folder / "consensus.db")
    tasks = SupervisedTasks()
    server = await ConsensusServer.start(consensus, f"unix://{folder}/rpc", tasks)
    client = client_of(folder, consensus, tasks)
    txns = await client.open_txns("txns")
    await txns.register(1, [("t", DESC)])
    await client.open_writer("out", DESC)
    back = await client.open_reader("out")
    child = await asyncio.create_subprocess_exec(sys.executable, __file__, "--read", str(folder))
    await asyncio.sleep(1.5)
    round_trips = []
    for t in range(2, ROUNDS + 2):
        rows = [b"\x30%019d" % time.perf_counter_ns() + b"x" * 80 + b"\0\0"] * 100
        began = time.perf_counter()
        await txns.commit(t, {"t": flat.build_at(rows, t)})
        await back.wait_upper(t)
        round_trips.append(time.perf_counter() - began)
        await asyncio.sleep(0.002)
    show("there, derived and back, both durable", round_trips)
    await child.wait()
    await client.close()
    await server.close()
    await tasks.close()
    await consensus.close()


if __name__ == "__main__":
    if "--read" in sys.argv:
        uvloop.run(reader(Path(sys.argv[-1])))
    else:
        with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as made:
            uvloop.run(main(Path(made)))
