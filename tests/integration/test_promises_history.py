"""Collections are timestamped histories: the past is answered exactly, or refused clearly."""

import psycopg
import pytest

from tests.fixtures.headwater import Headwater, kill_process
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]


def since_of(connection: Connection, name: str) -> int:
    """Return the time from which on a durable collection can be read."""
    found = rows(
        connection,
        "SELECT f.read_frontier::text FROM mz_internal.mz_frontiers f "
        f"JOIN mz_objects o ON o.id = f.object_id WHERE o.name = '{name}'",
    )
    return int(str(found[0][0])) if found else 0  # the relation follows within a second


def now_in(connection: Connection, relation: str) -> tuple[int, list[tuple[object, ...]]]:
    """Return a relation's rows and the time at which it has them, of one transaction."""
    with connection.transaction():
        found = rows(connection, f"SELECT * FROM {relation} ORDER BY 1")
        ((time,),) = rows(connection, "SELECT mz_now()::text")
    return int(str(time)), found


def test_as_of_answers_every_moment_of_the_retained_past(connection: Connection) -> None:
    connection.execute("CREATE TABLE steps (n int) WITH (RETAIN HISTORY = FOR '1h')")
    connection.execute(
        "CREATE MATERIALIZED VIEW stairs WITH (RETAIN HISTORY = FOR '1h') AS "
        "SELECT count(*) AS c, sum(n) AS s FROM steps"
    )
    moments = []
    for n in range(8):
        connection.execute(f"INSERT INTO steps VALUES ({n})".encode())
        if n % 3 == 2:
            connection.execute(f"DELETE FROM steps WHERE n = {n - 1}".encode())
        moments.append((now_in(connection, "steps"), now_in(connection, "stairs")))
    for steps, stairs in moments:
        time, found = steps
        assert rows(connection, f"SELECT * FROM steps ORDER BY 1 AS OF {time}") == found
        expected = [(len(found), sum(int(str(n)) for (n,) in found))]
        assert rows(connection, f"SELECT count(*), sum(n) FROM steps AS OF {time}") == expected
        time, found = stairs
        assert rows(connection, f"SELECT * FROM stairs AS OF {time}") == found


def test_the_past_survives_kills(server: Headwater, connection: Connection) -> None:
    connection.execute("CREATE TABLE lasting (n int) WITH (RETAIN HISTORY = FOR '1h')")
    connection.execute("INSERT INTO lasting VALUES (1)")
    time, found = now_in(connection, "lasting")
    connection.execute("DELETE FROM lasting")
    for pid in server.replica_pids():
        kill_process(pid)
    assert rows(connection, f"SELECT * FROM lasting AS OF {time}") == found == [(1,)]
    server.kill()
    server.start()
    with server.connect() as again:
        assert rows(again, f"SELECT * FROM lasting AS OF {time}") == found
        assert rows(again, "SELECT * FROM lasting") == []


def test_before_since_is_a_clear_error(connection: Connection) -> None:
    connection.execute("CREATE TABLE forgetful (n int)")
    connection.execute("INSERT INTO forgetful VALUES (1)")
    time, _ = now_in(connection, "forgetful")
    eventually(lambda: since_of(connection, "forgetful") > time, want=True)
    with pytest.raises(psycopg.Error) as caught:
        rows(connection, f"SELECT * FROM forgetful AS OF {time}")
    assert caught.value.sqlstate == "22X01"
    assert f"{time}" in str(caught.value)
    assert "not valid for all inputs" in str(caught.value)
    with pytest.raises(psycopg.Error) as caught:
        rows(connection, "SELECT * FROM forgetful AS OF 0")
    assert caught.value.sqlstate == "22X01"
    assert rows(connection, "SELECT * FROM forgetful") == [(1,)]
