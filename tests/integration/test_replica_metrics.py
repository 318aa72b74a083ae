"""What replicas use of processor and memory: in numbers, and in parts of their size."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.headwater import Headwater, running
from tests.fixtures.replicas import replica_ids, rows, wait_for_process
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

GIB = 1 << 30
SIZE_BYTES = 4 * GIB  # of 25cc
CURRENT = """
    SELECT process_id::int, memory_bytes::int8, disk_bytes::int8, heap_bytes::int8,
           heap_limit::int8
    FROM mz_internal.mz_cluster_replica_metrics WHERE replica_id = '{}'
"""
HISTORY = """
    SELECT count(*), max(occurred_at) FROM mz_internal.mz_cluster_replica_metrics_history
    WHERE replica_id = '{}'
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headwater]:
    """A server that looks at its replicas every second."""
    with running(tmp_path_factory.mktemp("headwater")) as started:
        with started.internal() as system:
            system.execute("ALTER SYSTEM SET replica_metrics_history_interval = '1s'")
        yield started


def resident_bytes(pid: int) -> int:
    """Return how much of a process is in memory, as another file of the kernel's says it."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4_096


def test_memory_is_that_of_the_process(server: Headwater, connection: Connection) -> None:
    (replica,) = replica_ids(server, "quickstart").values()
    pid = wait_for_process(server, replica)
    eventually(lambda: len(rows(connection, CURRENT.format(replica))), 1)
    ((process, memory, disk, heap, limit),) = rows(connection, CURRENT.format(replica))
    assert isinstance(memory, int)
    assert isinstance(disk, int)
    assert isinstance(limit, int)
    resident = resident_bytes(pid)
    assert resident / 2 < memory < 2 * resident
    assert process == 0
    assert heap == memory + disk
    assert limit > memory
    share = f"""
        SELECT u.memory_percent - 100 * m.memory_bytes::float8 / {SIZE_BYTES},
               u.heap_percent - 100 * m.heap_bytes::float8 / {limit}, u.disk_percent
        FROM mz_internal.mz_cluster_replica_utilization AS u
        JOIN mz_internal.mz_cluster_replica_metrics AS m ON m.replica_id = u.replica_id
        WHERE u.replica_id = '{replica}'
    """
    assert rows(connection, share) == [(pytest.approx(0), pytest.approx(0), None)]


def test_work_shows_as_use_of_the_processor(server: Headwater, scratch: Connection) -> None:
    (replica,) = replica_ids(server, "quickstart").values()
    scratch.execute("CREATE TABLE t (a int)")
    scratch.execute("CREATE VIEW v AS SELECT md5(a::text) AS h, count(*) FROM t GROUP BY 1")
    scratch.execute("CREATE INDEX i ON v (h)")
    scratch.execute("INSERT INTO t SELECT g FROM generate_series(1, 100000) AS g")
    assert rows(scratch, "SELECT count(*) FROM v") == [(100_000,)]
    busy = f"""
        SELECT max(m.cpu_nano_cores) > 50000000, max(u.cpu_percent) > 5
        FROM mz_internal.mz_cluster_replica_metrics_history AS m
        JOIN mz_internal.mz_cluster_replica_utilization_history AS u
          ON u.replica_id = m.replica_id AND u.occurred_at = m.occurred_at
        WHERE m.replica_id = '{replica}'
    """
    eventually(lambda: rows(scratch, busy), [(True, True)])
    overview = f"""
        SELECT o.name, o.size, o.bucket_end - o.bucket_start = INTERVAL '8 hours',
               o.memory_percent = (SELECT max(u.memory_percent)
                   FROM mz_internal.mz_cluster_replica_utilization_history AS u
                   WHERE u.replica_id = o.replica_id AND u.occurred_at >= o.bucket_start
                     AND u.occurred_at < o.bucket_end),
               o.max_cpu_percent > 5, o.disk_percent
        FROM mz_internal.mz_console_cluster_utilization_overview AS o
        WHERE o.replica_id = '{replica}' ORDER BY o.max_cpu_percent DESC LIMIT 1
    """
    assert rows(scratch, overview) == [("r1", "25cc", True, True, True, None)]


def test_of_dropped_replicas_only_records_are_left(
    server: Headwater, connection: Connection
) -> None:
    connection.execute("CREATE CLUSTER brief (SIZE '25cc', REPLICATION FACTOR 1)")
    (replica,) = replica_ids(server, "brief").values()
    eventually(lambda: len(rows(connection, CURRENT.format(replica))), 1)
    connection.execute("DROP CLUSTER brief")
    assert rows(connection, CURRENT.format(replica)) == []
    ((count, _),) = rows(connection, HISTORY.format(replica))
    assert count != 0
    shares = f"""
        SELECT count(*) FROM mz_internal.mz_cluster_replica_utilization_history
        WHERE replica_id = '{replica}' AND memory_percent > 0
    """
    assert rows(connection, shares) == [(count,)]


def test_records_outlive_the_server(server: Headwater) -> None:
    (replica,) = replica_ids(server, "quickstart").values()
    with server.connect() as connection:
        eventually(lambda: rows(connection, HISTORY.format(replica))[0][0] != 0, want=True)
        ((count, seen),) = rows(connection, HISTORY.format(replica))
    server.stop()
    server.start()
    since = HISTORY.format(replica) + f" AND occurred_at > '{seen}'"
    up_to = HISTORY.format(replica) + f" AND occurred_at <= '{seen}'"
    with server.connect() as connection:
        eventually(lambda: rows(connection, since)[0][0] != 0, want=True)
        assert rows(connection, up_to) == [(count, seen)]
