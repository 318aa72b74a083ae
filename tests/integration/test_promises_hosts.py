"""A replica on another host serves the cluster over TCP, and the loss of that host is survived."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.fixtures import netns
from tests.fixtures.headwater import Headwater, running
from tests.fixtures.netns import Host
from tests.fixtures.ports import free_port
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

MISSING = netns.missing()
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(MISSING is not None, reason=MISSING or ""),
]

Connection = psycopg.Connection[tuple[object, ...]]
REPLICA_PORT = 7401  # in the namespace nobody else listens


@contextmanager
def replica_on(host: Host, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a replica by hand on ``host``, as the README says."""
    with (folder / "far.log").open("ab") as log:
        process = subprocess.Popen(
            host.command(
                sys.executable,
                "-m",
                "headwater.cli.main",
                "replica",
                f"--listen={host.address}:{REPLICA_PORT}",
                "--workers=2",
            ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def ask(connection: Connection, replica: str, query: str) -> list[tuple[object, ...]]:
    """Ask one replica; it is waited for."""
    connection.execute(f"SET cluster_replica = {replica}".encode())
    try:
        return rows(connection, query)
    finally:
        connection.execute("RESET cluster_replica")


def statuses(connection: Connection) -> dict[object, object]:
    return dict(
        rows(  # type: ignore[arg-type]
            connection,
            "SELECT r.name, s.status FROM mz_internal.mz_cluster_replica_statuses s "
            "JOIN mz_cluster_replicas r ON r.id = s.replica_id "
            "JOIN mz_clusters c ON c.id = r.cluster_id WHERE c.name = 'wide'",
        )
    )


def test_a_replica_on_another_host_serves_and_its_loss_is_survived(tmp_path: Path) -> None:
    with netns.host() as host:
        persist = f"{host.gateway}:{free_port()}"
        with running(tmp_path / "data", f"--persist-address={persist}") as server:
            serve_from(host, server, tmp_path)


def serve_from(host: Host, server: Headwater, folder: Path) -> None:
    query = "SELECT c, s FROM sums"
    with server.connect() as connection, replica_on(host, folder):
        connection.execute(
            "CREATE CLUSTER wide REPLICAS "
            f"(far (ADDRESSES ['{host.address}:{REPLICA_PORT}'], WORKERS 2), "
            "near (SIZE '1'))".encode()
        )
        connection.execute("SET cluster = wide")
        connection.execute("CREATE TABLE t (a int)")
        connection.execute("INSERT INTO t SELECT * FROM generate_series(1, 1000)")
        connection.execute("CREATE VIEW sums AS SELECT count(*) AS c, sum(a) AS s FROM t")
        connection.execute("CREATE INDEX sums_idx ON sums (c)")
        connection.execute("CREATE MATERIALIZED VIEW odd AS SELECT a FROM t WHERE a % 2 = 1")
        first = [(1000, 500500)]
        assert ask(connection, "far", query) == ask(connection, "near", query) == first
        assert ask(connection, "far", "SELECT count(*) FROM odd") == [(500,)]
        # The cable is out: what comes meanwhile is answered by the other replica.
        host.unplug()
        connection.execute("INSERT INTO t VALUES (1001)")
        assert rows(connection, query) == [(1001, 501501)]
        assert rows(connection, "SELECT count(*) FROM odd") == [(501,)]
        eventually(lambda: statuses(connection), {"far": "offline", "near": "online"})
        assert rows(connection, query) == [(1001, 501501)]
        # It is back in: the replica catches up with what it has missed.
        host.plug()
        eventually(lambda: statuses(connection), {"far": "online", "near": "online"})
        assert ask(connection, "far", query) == [(1001, 501501)]
        assert ask(connection, "far", "SELECT count(*) FROM odd") == [(501,)]
    with server.connect() as connection:
        connection.execute("SET cluster = wide")
        # The host is gone: its process was killed when the block ended.
        eventually(lambda: statuses(connection), {"far": "offline", "near": "online"})
        connection.execute("INSERT INTO t VALUES (1002)")
        assert rows(connection, query) == [(1002, 502503)]
        assert rows(connection, "SELECT count(*) FROM odd") == [(501,)]
        with replica_on(host, folder):
            assert ask(connection, "far", query) == [(1002, 502503)]
        connection.execute("DROP CLUSTER REPLICA wide.far")
        assert rows(connection, query) == [(1002, 502503)]
