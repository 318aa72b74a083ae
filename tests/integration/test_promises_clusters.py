"""Replicas, indexes and materialized views across clusters, while replicas come, go and die."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.fixtures.headwater import Headwater, kill_process
from tests.fixtures.replicas import pid_of, replica_ids, rows, wait_for_process
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

# Sums of floats, lists in an order of their own, ties in a top-k: what could differ by how rows
# are spread over workers.
TELLING_QUERIES = (
    "SELECT k % 7 AS g, count(*), sum(v) AS sv, avg(v) AS av, min(n), max(n), sum(n) AS sn, "
    "avg(n) AS an FROM {t} GROUP BY k % 7",
    "SELECT string_agg(s, ','), array_agg(k) FROM {t} WHERE k < 50",
    "SELECT DISTINCT ON (k % 5) k % 5 AS g, k, s FROM {t} ORDER BY k % 5, v",
    "SELECT a.k, b.s FROM {t} a JOIN {t} b ON a.k = b.k + 1 WHERE a.k % 3 = 0",
    "SELECT k, v FROM {t} ORDER BY s LIMIT 17",
    "SELECT a.k AS left_k, b.k AS right_k FROM {t} a LEFT JOIN {t} b "
    "ON a.k = b.k * 2 AND b.k > 20 WHERE a.k < 100",
)


def copied(connection: Connection, query: str) -> bytes:
    """Return the exact bytes of an answer."""
    with connection.cursor().copy(f"COPY ({query}) TO STDOUT".encode()) as copy:
        return b"".join(bytes(part) for part in copy)


def fill(connection: Connection, table: str, count: int = 500) -> None:
    connection.execute(f"CREATE TABLE {table} (k int, v float8, n numeric, s text)".encode())
    connection.execute(
        f"INSERT INTO {table} SELECT k, 1.0 / (k + 1), k::numeric / 7, 's' || (k % 40)::text "
        f"FROM generate_series(0, {count - 1}) AS k".encode()
    )


def test_an_index_with_a_key_of_several_columns(connection: Connection) -> None:
    connection.execute("CREATE TABLE wide (a int, b int)")
    connection.execute("CREATE INDEX ON wide (a, b)")
    assert rows(connection, "SELECT * FROM wide") == []


def timestamp(connection: Connection, table: str) -> int:
    """Return a time at which ``table`` is readable and complete."""
    with connection.transaction():
        rows(connection, f"SELECT count(*) FROM {table}")
        ((time,),) = rows(connection, "SELECT mz_now()::text")
    return int(str(time))


@contextmanager
def load(
    server: Headwater, setup: list[str], query: str
) -> Iterator[list[list[tuple[object, ...]]]]:
    """Run ``query`` in a loop beside the block; its answers are collected, its errors raised."""
    stopping = threading.Event()
    answers: list[list[tuple[object, ...]]] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with server.connect() as connection:
                for statement in setup:
                    connection.execute(statement.encode())
                while not stopping.is_set():
                    answers.append(rows(connection, query))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stopping.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a query hangs"
    assert not failures, failures


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("mixed", "REPLICAS (r1 (SIZE '1'), r2 (SIZE '2'))"),
        ("twins", "SIZE '2', REPLICATION FACTOR 2"),
    ],
)
def test_replicas_give_identical_bytes_at_the_same_time(
    server: Headwater, connection: Connection, name: str, definition: str
) -> None:
    table = f"same_{name}"
    connection.execute(f"CREATE CLUSTER {name} {definition}".encode())
    fill(connection, table)
    connection.execute(f"SET cluster = {name}".encode())
    views = []
    for number, query in enumerate(TELLING_QUERIES):
        view = f"{table}_{number}"
        connection.execute(f"CREATE VIEW {view} AS {query.format(t=table)}".encode())
        ((key,),) = rows(
            connection,
            "SELECT c.name FROM mz_columns c JOIN mz_objects o ON o.id = c.id "
            f"WHERE o.name = '{view}' AND c.position = 1",
        )
        connection.execute(f"CREATE INDEX ON {view} ({key})".encode())
        views.append(view)
    connection.execute(f"UPDATE {table} SET v = v * 3 WHERE k % 4 = 0".encode())
    connection.execute(f"DELETE FROM {table} WHERE k % 11 = 0".encode())
    time = timestamp(connection, table)
    for query in [
        *(q.format(t=table) for q in TELLING_QUERIES),
        *(f"SELECT * FROM {v}" for v in views),
    ]:
        answers = []
        for replica in ("r1", "r2"):
            connection.execute(f"SET cluster_replica = {replica}".encode())
            answers.append(copied(connection, f"{query} AS OF {time}"))
        assert answers[0], query
        assert answers[0] == answers[1], query
    connection.execute("RESET cluster_replica")
    connection.execute("RESET cluster")


def test_the_loss_of_a_replica_under_load_is_not_seen(
    server: Headwater, connection: Connection
) -> None:
    connection.execute("CREATE CLUSTER lossy REPLICAS (r1 (SIZE '1'), r2 (SIZE '2'))")
    connection.execute("SET cluster = lossy")
    fill(connection, "lost", 200)
    connection.execute("CREATE VIEW lost_sum AS SELECT count(*) AS c, sum(k) AS s FROM lost")
    connection.execute("CREATE INDEX lost_sum_idx ON lost_sum (c)")
    ids = replica_ids(server, "lossy")
    expected = [(200, sum(range(200)))]
    assert rows(connection, "SELECT c, s FROM lost_sum") == expected
    setup = ["SET cluster = lossy"]
    query = "SELECT c, s FROM lost_sum"
    with (
        load(server, setup, query) as answers,
        load(server, setup, "SELECT count(*), sum(k) FROM lost") as slow,
    ):
        for replica in ("r1", "r2", "r1", "r2"):
            kill_process(wait_for_process(server, ids[replica]))
            before = len(answers), len(slow)
            eventually(
                lambda before=before: (len(answers) > before[0] + 20, len(slow) > before[1] + 3),  # type: ignore[misc]
                (True, True),
            )
            eventually(lambda: all_online(connection, "lossy"), want=True)
    assert {tuple(answer) for answer in (*answers, *slow)} == {tuple(expected)}
    connection.execute("RESET cluster")


def all_online(connection: Connection, cluster: str) -> bool:
    """Whether all replicas of a cluster are connected and hold all they are to hold."""
    statuses = rows(
        connection,
        "SELECT s.status FROM mz_internal.mz_cluster_replica_statuses s "
        "JOIN mz_cluster_replicas r ON r.id = s.replica_id "
        f"JOIN mz_clusters c ON c.id = r.cluster_id WHERE c.name = '{cluster}'",
    )
    return bool(statuses) and all(status == "online" for (status,) in statuses)


def test_a_cluster_that_lost_all_replicas_catches_up(
    server: Headwater, connection: Connection
) -> None:
    connection.execute("CREATE CLUSTER phoenix REPLICAS (r1 (SIZE '1'), r2 (SIZE '1'))")
    connection.execute("SET cluster = phoenix")
    fill(connection, "ashes", 100)
    connection.execute("CREATE VIEW ashes_sum AS SELECT count(*) AS c FROM ashes")
    connection.execute("CREATE INDEX ashes_sum_idx ON ashes_sum (c)")
    connection.execute("CREATE MATERIALIZED VIEW ashes_mv AS SELECT k FROM ashes WHERE k > 90")
    assert rows(connection, "SELECT c FROM ashes_sum") == [(100,)]
    connection.execute("RESET cluster")
    connection.execute("DROP CLUSTER REPLICA phoenix.r1")
    connection.execute("DROP CLUSTER REPLICA phoenix.r2")
    connection.execute("INSERT INTO ashes VALUES (100, 0, 0, 'late')")
    connection.execute("CREATE CLUSTER REPLICA phoenix.r3 SIZE '2'")
    connection.execute("SET cluster = phoenix")
    assert rows(connection, "SELECT c FROM ashes_sum") == [(101,)]
    assert rows(connection, "SELECT count(*) FROM ashes_mv") == [(10,)]
    for pid in [pid_of(server, id) for id in replica_ids(server, "phoenix").values()]:
        assert pid is not None
        kill_process(pid)
    connection.execute("INSERT INTO ashes VALUES (101, 0, 0, 'later')")
    assert rows(connection, "SELECT c FROM ashes_sum") == [(102,)]
    assert rows(connection, "SELECT count(*) FROM ashes_mv") == [(11,)]
    connection.execute("RESET cluster")


def test_an_index_exists_on_replicas_added_later_and_only_on_its_cluster(
    server: Headwater, connection: Connection
) -> None:
    connection.execute("CREATE CLUSTER grown REPLICAS (r1 (SIZE '1'))")
    connection.execute("CREATE CLUSTER stranger SIZE '1'")
    fill(connection, "looked_up", 100)
    connection.execute("CREATE INDEX looked_up_idx IN CLUSTER grown ON looked_up (k)")
    connection.execute("CREATE CLUSTER REPLICA grown.r2 SIZE '2'")
    query = "SELECT s FROM looked_up WHERE k = 7"
    connection.execute("SET cluster = grown")
    connection.execute("SET cluster_replica = r2")
    assert rows(connection, query) == [("s7",)]
    ((plan,),) = rows(connection, f"EXPLAIN {query}")
    assert "looked_up_idx" in str(plan)
    hydrated = (
        "SELECT count(*) FROM mz_internal.mz_hydration_statuses h "
        "JOIN mz_objects o ON o.id = h.object_id "
        "WHERE o.name = 'looked_up_idx' AND h.hydrated"
    )
    connection.execute("RESET cluster_replica")
    eventually(lambda: rows(connection, hydrated), [(2,)])
    connection.execute("SET cluster = stranger")
    ((plan,),) = rows(connection, f"EXPLAIN {query}")
    assert "looked_up_idx" not in str(plan)
    assert rows(connection, query) == [("s7",)]
    connection.execute("RESET cluster")


def test_a_materialized_view_outlives_the_replicas_that_maintain_it(
    server: Headwater, connection: Connection
) -> None:
    connection.execute("CREATE CLUSTER maker SIZE '1'")
    fill(connection, "raw", 100)
    connection.execute(
        "CREATE MATERIALIZED VIEW made IN CLUSTER maker AS "
        "SELECT count(*) AS c, sum(k) AS s FROM raw"
    )
    assert rows(connection, "SELECT c, s FROM made") == [(100, 4950)]
    connection.execute("ALTER CLUSTER maker SET (REPLICATION FACTOR 0)")
    connection.execute("SET cluster = maker")
    notices: list[str] = []
    connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
    connection.execute("SET statement_timeout = '3s'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT * FROM made")
    assert any('cluster "maker" has no replicas' in notice for notice in notices)
    connection.execute("RESET statement_timeout")
    connection.execute("RESET cluster")
    with server.connect() as other:
        other.execute("SET transaction_isolation = serializable")
        other.execute("SET statement_timeout = '20s'")
        assert rows(other, "SELECT c, s FROM made") == [(100, 4950)]
        connection.execute("INSERT INTO raw VALUES (100, 0, 0, 'more')")
        assert rows(other, "SELECT c, s FROM made") == [(100, 4950)]
    connection.execute("ALTER CLUSTER maker SET (REPLICATION FACTOR 1)")
    assert rows(connection, "SELECT c, s FROM made") == [(101, 5050)]
