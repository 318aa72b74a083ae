"""What literals without a type become where something says what they are meant to be."""

import datetime
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
        connection.execute("CREATE SCHEMA literal")
        connection.execute("SET search_path = literal")
        yield connection
        connection.execute("ROLLBACK")
        connection.execute("DROP SCHEMA literal CASCADE")


def test_an_interval_is_taken_from_a_date(connection: Connection) -> None:
    taken = "SELECT (date '2020-01-08' - ' 7 DAY ')::text, (date '2020-01-08' + '1 month')::text"
    assert rows(connection, taken) == [("2020-01-01 00:00:00", "2020-02-08 00:00:00")]
    # A text that is a date is one, as in PostgreSQL.
    assert rows(connection, "SELECT date '2020-01-08' - '2020-01-01'") == [(7,)]
    assert rows(connection, "SELECT date '2020-01-08' - NULL") == [(None,)]
    with pytest.raises(psycopg.errors.DatetimeFieldOverflow, match="date"):
        connection.execute("SELECT date '2020-01-08' - '2020-13-01'")


def test_a_written_row_becomes_what_its_column_is(connection: Connection) -> None:
    connection.execute(
        "CREATE TYPE seen AS (id int, name text, much numeric(3, 1), at timestamp(3))"
    )
    connection.execute("CREATE TABLE t (a int, y seen)")
    connection.execute("INSERT INTO t VALUES (1, (1, 'a', 1.234, '2001-02-03 04:05:06.123456'))")
    connection.execute("INSERT INTO t VALUES (2, ROW(NULL, 'b', NULL, NULL)), (3, NULL)")
    assert rows(connection, "SELECT y::text FROM t ORDER BY a") == [
        ('(1,a,1.2,"2001-02-03 04:05:06.123")',),
        ("(,b,,)",),
        (None,),
    ]
    with pytest.raises(psycopg.errors.DatatypeMismatch):
        connection.execute("INSERT INTO t VALUES (1, (1, 'a'))")
    with pytest.raises(psycopg.errors.InvalidDatetimeFormat):
        connection.execute("INSERT INTO t VALUES (1, (1, 'a', 1, 'noon'))")


def test_comments_are_of_their_kind_of_object(connection: Connection) -> None:
    connection.execute("CREATE TYPE pair AS (a int, b int)")
    connection.execute("CREATE SECRET hush AS 'x'")
    connection.execute("COMMENT ON COLUMN pair.a IS 'first'")
    connection.execute("COMMENT ON TYPE pair IS 'two'")
    connection.execute("COMMENT ON SECRET hush IS 'quiet'")
    found = """SELECT obj_description(t.oid, 'pg_type'), col_description(t.oid, 1),
        obj_description(s.oid, 'pg_class') FROM mz_types t, mz_secrets s
        WHERE t.name = 'pair' AND s.name = 'hush'"""
    assert rows(connection, found) == [("two", None, None)]
    with pytest.raises(psycopg.errors.WrongObjectType, match="is a temporary schema"):
        connection.execute("COMMENT ON SCHEMA mz_temp IS 'mine'")


def test_a_test_says_when_its_transactions_begin(connection: Connection) -> None:
    connection.execute("SET unsafe_new_transaction_wall_time = '2000-12-01 00:00:00 UTC'")
    moment = datetime.datetime(2000, 12, 1, tzinfo=datetime.UTC)
    assert rows(connection, "SELECT now()") == [(moment,)]
    zone = "SELECT abbrev, is_dst FROM pg_timezone_names WHERE name = 'America/Denver'"
    assert rows(connection, zone) == [("MST", False)]
    connection.execute("SET unsafe_new_transaction_wall_time = '2000-07-01 00:00:00 UTC'")
    assert rows(connection, zone) == [("MDT", True)]
    connection.execute("RESET unsafe_new_transaction_wall_time")
