"""What is known of replicas' processes, and of which replicas nothing is."""

import os

from headwater.adapter.replica_metrics import ReplicaMetrics
from headwater.cluster.controller import ReplicaConfig, ReplicaState
from headwater.ir.rows import split_row
from headwater.types.ids import ClusterId, ReplicaId
from tests.unit.adapter.fakes import Server

NULL = b"\xfe"


def put(server: Server, id: str, pid: int | None, address: str | None = None) -> None:
    config = ReplicaConfig(name="r1", size=None, workers=1, address=address)
    server.cluster.states[ReplicaId(id)] = ReplicaState(
        cluster=ClusterId("u1"), replica=ReplicaId(id), config=config, pid=pid, online=True
    )


async def test_replicas_on_other_hosts_are_not_known(server: Server) -> None:
    server.cluster.states.clear()
    put(server, "ours", os.getpid())
    put(server, "theirs", os.getpid(), address="10.0.0.1:2100")  # a process of that number there
    put(server, "stopped", None)
    metrics = ReplicaMetrics(server.coord)
    ours, theirs = (split_row(row) for _, row in metrics.rows(1_000))
    assert [datum == NULL for datum in theirs] == [
        False,
        False,
        True,
        True,
        True,
        False,
        True,
        True,
    ]
    # A use is between two moments.
    assert [datum == NULL for datum in ours] == [False, False, True] + [False] * 5
    again = [split_row(row) for _, row in metrics.rows(2_000)]
    assert again[0][2] != NULL
