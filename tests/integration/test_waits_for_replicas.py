"""Queries on a cluster that nothing runs on: they wait, and not for ever."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def connection(server: Headwater) -> Iterator[Connection]:
    with server.connect() as connection:
        connection.execute("CREATE CLUSTER unmanned REPLICAS ()")
        connection.execute("CREATE TABLE unread (a int)")
        connection.execute("SET cluster = unmanned")
        yield connection
        connection.execute("ROLLBACK")
        connection.execute("RESET statement_timeout")
        connection.execute("DROP TABLE unread CASCADE")
        connection.execute("DROP CLUSTER unmanned")


def _run(connection: Connection, query: str) -> None:
    cursor = connection.cursor()
    if query.startswith("COPY"):
        with cursor.copy(query.encode()) as copy:
            copy.read()
    else:
        cursor.execute(query.encode())


@pytest.mark.parametrize(
    "query", ["SELECT max(a) FROM unread", "SUBSCRIBE unread", "COPY (SUBSCRIBE unread) TO STDOUT"]
)
def test_the_wait_for_a_replica_ends(connection: Connection, query: str) -> None:
    heard: list[str] = []
    connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
    connection.execute("SET statement_timeout = '1 s'")
    with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        _run(connection, query)
    assert query.startswith("SELECT") or any(
        'cluster "unmanned" has no replicas' in notice for notice in heard
    )


def test_fetch_says_how_long_it_waits(connection: Connection) -> None:
    connection.execute("SET statement_timeout = '300 ms'")
    connection.execute("BEGIN")
    connection.execute("DECLARE c CURSOR FOR SUBSCRIBE unread")
    for _ in range(3):
        assert rows(connection, "FETCH 1 c WITH (timeout = '150 ms')") == []
