"""What statements about objects promise, as clients see it."""

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
        connection.execute("CREATE SCHEMA objects")
        connection.execute("SET search_path = objects")
        yield connection
        connection.execute("DROP SCHEMA objects CASCADE")


def test_a_null_where_none_was_asserted_is_an_error_while_it_is_there(
    connection: Connection,
) -> None:
    connection.execute("CREATE TABLE t (x int, y int)")
    connection.execute("INSERT INTO t VALUES (1, NULL), (2, 3)")
    connection.execute(
        "CREATE MATERIALIZED VIEW m (a, b) WITH (ASSERT NOT NULL b) AS SELECT x, y FROM t"
    )
    with pytest.raises(psycopg.errors.NotNullViolation, match='column "b" must not be null'):
        connection.execute("SELECT * FROM m")
    connection.execute("UPDATE t SET y = 2 WHERE y IS NULL")
    assert rows(connection, "SELECT * FROM m ORDER BY a") == [(1, 2), (2, 3)]
