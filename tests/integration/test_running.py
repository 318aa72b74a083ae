"""What runs, as relations: how far replicas are, how long they took, what fails, who subscribes."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import replica_ids, rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

IDS = "SELECT id FROM mz_catalog.mz_objects WHERE name = '{}' AND id LIKE 'u%'"


def id_of(connection: Connection, name: str) -> str:
    """Return the id of a user's object."""
    ((found,),) = rows(connection, IDS.format(name))
    return str(found)


@pytest.fixture
def cluster(server: Headwater, scratch: Connection) -> Iterator[str]:
    """A cluster of the test's own, which the connection uses, of one replica; its replica's id."""
    scratch.execute("CREATE CLUSTER own (SIZE '25cc', REPLICATION FACTOR 1)")
    scratch.execute("SET cluster = own")
    scratch.execute("CREATE TABLE t (a int)")
    scratch.execute("INSERT INTO t VALUES (1), (0), (0)")
    (replica,) = replica_ids(server, "own").values()
    yield replica
    scratch.execute("ROLLBACK")
    scratch.execute("RESET cluster")
    scratch.execute("DROP CLUSTER own CASCADE")


def test_replicas_are_as_far_as_what_they_maintain(scratch: Connection, cluster: str) -> None:
    scratch.execute("CREATE INDEX i ON t (a)")
    scratch.execute("CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t")
    ((now,),) = rows(scratch, "SELECT mz_now()::text FROM t LIMIT 1")
    index, view = id_of(scratch, "i"), id_of(scratch, "m")
    far = f"""
        SELECT object_id, replica_id FROM mz_catalog.mz_cluster_replica_frontiers
        WHERE write_frontier > {now}::mz_timestamp AND replica_id = '{cluster}' ORDER BY 1
    """
    eventually(lambda: rows(scratch, far), sorted([(index, cluster), (view, cluster)]))
    of_index = (
        "SELECT replica_id FROM mz_catalog.mz_cluster_replica_frontiers WHERE object_id = '{}'"
    )
    scratch.execute("DROP INDEX i")
    eventually(lambda: rows(scratch, of_index.format(index)), [])
    scratch.execute("ALTER CLUSTER own SET (REPLICATION FACTOR 0)")
    eventually(lambda: rows(scratch, of_index.format(view)), [])
    frontier = f"SELECT count(*) FROM mz_internal.mz_frontiers WHERE object_id = '{view}'"
    assert rows(scratch, frontier) == [(1,)]


def test_hydration_is_timed_by_replica_and_node(scratch: Connection, cluster: str) -> None:
    scratch.execute("CREATE VIEW v AS SELECT a, count(*) FROM t GROUP BY a")
    scratch.execute("CREATE INDEX i ON v (a)")
    index = id_of(scratch, "i")
    times = f"""
        SELECT replica_id, time_ns > 0 AND time_ns < 60000000000
        FROM mz_internal.mz_compute_hydration_times WHERE object_id = '{index}'
    """
    eventually(lambda: rows(scratch, times), [(cluster, True)])
    shown = f"""
        SELECT hydrated, hydration_time > INTERVAL '0' AND hydration_time < INTERVAL '1 minute'
        FROM mz_internal.mz_compute_hydration_statuses WHERE object_id = '{index}'
    """
    eventually(lambda: rows(scratch, shown), [(True, True)])
    # The replica itself says which nodes there are.
    said = f"""
        SELECT DISTINCT lir_id, hydrated
        FROM mz_introspection.mz_compute_operator_hydration_statuses_per_worker
        WHERE export_id = '{index}' ORDER BY 1
    """
    ours = f"""
        SELECT physical_plan_node_id, hydrated
        FROM mz_internal.mz_compute_operator_hydration_statuses
        WHERE object_id = '{index}' AND replica_id = '{cluster}' ORDER BY 1
    """
    known = rows(scratch, said)
    assert len(known) > 1
    eventually(lambda: rows(scratch, ours), known)
    scratch.execute("DROP INDEX i")
    eventually(lambda: (rows(scratch, times), rows(scratch, ours)), ([], []))


def test_what_nobody_computes_is_not_hydrated(scratch: Connection, cluster: str) -> None:
    scratch.execute("ALTER CLUSTER own SET (REPLICATION FACTOR 0)")
    scratch.execute("CREATE INDEX i ON t (a)")
    index = id_of(scratch, "i")
    inputs = f"""
        SELECT dependency_id FROM mz_internal.mz_compute_dependencies
        WHERE object_id = '{index}'
    """
    eventually(lambda: rows(scratch, inputs), [(id_of(scratch, "t"),)])
    times = f"SELECT * FROM mz_internal.mz_compute_hydration_times WHERE object_id = '{index}'"
    assert rows(scratch, times) == []


def test_errors_are_counted_by_replica(scratch: Connection, cluster: str) -> None:
    scratch.execute("CREATE VIEW v AS SELECT 1 / a AS b FROM t")
    scratch.execute("CREATE INDEX i ON v (b)")
    index = id_of(scratch, "i")
    counts = f"""
        SELECT replica_id, count FROM mz_internal.mz_compute_error_counts_raw_unified
        WHERE object_id = '{index}'
    """
    eventually(lambda: rows(scratch, counts), [(cluster, 2)])
    scratch.execute("DELETE FROM t WHERE a = 0")
    eventually(lambda: rows(scratch, counts), [])


def test_lag_is_behind_the_slowest_input(scratch: Connection, cluster: str) -> None:
    scratch.execute("CREATE MATERIALIZED VIEW stands AS SELECT a FROM t")
    scratch.execute(
        "CREATE MATERIALIZED VIEW follows IN CLUSTER quickstart AS SELECT a FROM stands"
    )
    table, stands = id_of(scratch, "t"), id_of(scratch, "stands")
    follows = id_of(scratch, "follows")
    lags = f"""
        SELECT object_id, local_lag > INTERVAL '5 seconds', global_lag > INTERVAL '5 seconds',
               slowest_local_input_id, slowest_global_input_id
        FROM mz_internal.mz_materialization_lag WHERE object_id IN ('{stands}', '{follows}')
    """
    keep_up = {(stands, False, False, table, table), (follows, False, False, stands, table)}
    eventually(lambda: set(rows(scratch, lags)), keep_up)
    scratch.execute("ALTER CLUSTER own SET (REPLICATION FACTOR 0)")
    # What reads the view that stands still is as far as it, and with it behind the table.
    behind = {(stands, True, True, table, table), (follows, False, True, stands, table)}
    eventually(lambda: set(rows(scratch, lags)), behind)
    scratch.execute("ALTER CLUSTER own SET (REPLICATION FACTOR 1)")
    eventually(lambda: set(rows(scratch, lags)), keep_up)
    scratch.execute("DROP MATERIALIZED VIEW stands CASCADE")
    eventually(lambda: rows(scratch, lags), [])


def test_subscriptions_are_listed_while_they_last(
    server: Headwater, scratch: Connection, cluster: str
) -> None:
    scratch.execute("CREATE VIEW v AS SELECT a FROM t")
    view = id_of(scratch, "v")
    listed = f"""
        SELECT c.name, s.connection_id::int8, u.created_at >= s.connected_at
        FROM mz_internal.mz_subscriptions AS u
        JOIN mz_internal.mz_sessions AS s ON s.id = u.session_id
        JOIN mz_catalog.mz_clusters AS c ON c.id = u.cluster_id
        WHERE u.referenced_object_ids = LIST['{view}']
    """
    with server.connect(autocommit=False) as watching:
        watching.execute("SET cluster = own")
        watching.execute("SET search_path = scratch")
        watching.execute("DECLARE c CURSOR FOR SUBSCRIBE v")
        conn = watching.info.backend_pid
        eventually(lambda: rows(scratch, listed), [("own", conn, True)])
        watching.execute("COMMIT")
        eventually(lambda: rows(scratch, listed), [])
        watching.execute("DECLARE c CURSOR FOR SUBSCRIBE v")
        eventually(lambda: len(rows(scratch, listed)), 1)
    eventually(lambda: rows(scratch, listed), [])


def test_clusters_that_took_a_name_over_are_one_deployment(scratch: Connection) -> None:
    for name in ("blue", "green"):
        scratch.execute(f"CREATE CLUSTER {name} (SIZE '25cc', REPLICATION FACTOR 0)".encode())
    ids = dict(rows(scratch, "SELECT name, id FROM mz_catalog.mz_clusters WHERE id LIKE 'u%'"))
    scratch.execute("ALTER CLUSTER blue SWAP WITH green")
    scratch.execute("DROP CLUSTER green")
    lineage = """
        SELECT cluster_id, current_deployment_cluster_id
        FROM mz_internal.mz_cluster_deployment_lineage WHERE cluster_name = 'blue' ORDER BY 1
    """
    now = ids["green"]
    assert rows(scratch, lineage) == sorted([(ids["blue"], now), (now, now)], key=str)
    scratch.execute("DROP CLUSTER blue")
    assert rows(scratch, lineage) == []
