"""Conditions decide which parts are fetched at all; the answers are the same."""

import re
import urllib.request

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

PARTS = 8
ROWS = 3_000
# Rows of a part are more than what is kept inline.
FILL = (
    "INSERT INTO spread SELECT i, md5(i::text) || md5((i + 1)::text) FROM generate_series({}, {}) i"
)
SOME = "k >= 9001 AND k < 9101"


@pytest.fixture(scope="module")
def connection(server: Headwater):
    with server.connect() as connection:
        connection.execute("CREATE TABLE spread (k int, filler text)")
        for number in range(PARTS):
            first = number * ROWS
            connection.execute(FILL.format(first, first + ROWS - 1))
        yield connection


def parts_read(server: Headwater, connection: Connection) -> tuple[int, int]:
    """Return how many parts the dataflows of the default cluster have fetched and skipped."""
    rows = connection.execute("SELECT id FROM mz_clusters WHERE name = 'quickstart'").fetchall()
    with urllib.request.urlopen(
        f"http://127.0.0.1:{server.http_port}/metrics", timeout=10
    ) as reply:
        text = reply.read().decode()
    fetched, skipped = (
        re.findall(
            rf'^headwater_compute_parts_{word}_total{{cluster="{rows[0][0]}".*}} (\S+)$', text, re.M
        )
        for word in ("fetched", "skipped")
    )
    return int(sum(map(float, fetched))), int(sum(map(float, skipped)))


def pushdown(connection: Connection, what: str) -> tuple[str, int, int, int, int]:
    """Return the name, bytes, bytes selected, parts and parts selected of the one source."""
    (row,) = connection.execute(f"EXPLAIN FILTER PUSHDOWN FOR {what}").fetchall()
    total, selected, parts, read = (
        int(str(number)) for number in row[1:]
    )  # uint8: text to psycopg
    return str(row[0]), total, selected, parts, read


def test_a_range_reads_the_parts_that_may_hold_it(server: Headwater, connection: Connection):
    name, total, selected, parts, read = pushdown(connection, f"SELECT * FROM spread WHERE {SOME}")
    assert (name, parts, read) == ("materialize.public.spread", PARTS, 1)
    assert 0 < selected < total / 4
    name, total, selected, parts, read = pushdown(connection, "SELECT * FROM spread")
    assert (total, parts) == (selected, read)
    before = parts_read(server, connection)
    assert connection.execute(f"SELECT count(*) FROM spread WHERE {SOME}").fetchall() == [(100,)]
    eventually(lambda: parts_read(server, connection), (before[0] + 1, before[1] + PARTS - 1))


def test_an_error_in_a_row_is_not_passed_over(connection: Connection):
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        connection.execute("SELECT count(*) FROM spread WHERE k + 2147470000 < 5").fetchall()
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("SELECT count(*) FROM spread WHERE 1 / k > 5").fetchall()
    # PostgreSQL does not promise an order; we evaluate what can't fail first.
    query = "SELECT count(*) FROM spread WHERE 1 / (k - 1) > 5 AND k >= 9000"
    assert connection.execute(query).fetchall() == [(0,)]


def test_a_view_is_right_after_changes_and_a_restart(server: Headwater, connection: Connection):
    connection.execute(
        f"CREATE MATERIALIZED VIEW few AS SELECT k, length(filler) AS n FROM spread WHERE {SOME}"
    )
    assert pushdown(connection, "MATERIALIZED VIEW few")[3:] == (PARTS, 1)
    assert connection.execute("SELECT count(*), sum(n) FROM few").fetchall() == [(100, 6400)]
    connection.execute("UPDATE spread SET filler = 'short' WHERE k < 9010")
    connection.execute("DELETE FROM spread WHERE k >= 9100")
    wanted = [(99, 90 * 64 + 9 * 5)]
    assert connection.execute("SELECT count(*), sum(n) FROM few").fetchall() == wanted
    server.stop()
    server.start()
    with server.connect() as again:
        assert again.execute("SELECT count(*), sum(n) FROM few").fetchall() == wanted
        again.execute("CREATE VIEW same AS SELECT k FROM spread WHERE " + SOME)
        again.execute("CREATE DEFAULT INDEX ON same")
        assert again.execute("SELECT count(*) FROM same").fetchall() == [(99,)]
        assert parts_read(server, again)[1] > 0


def test_rows_whose_time_is_over_are_not_read(server: Headwater):
    with server.connect() as connection:
        connection.execute("CREATE TABLE moments (at timestamp, filler text)")
        for year in (2001, 2002, 2003, 2900):
            connection.execute(
                f"INSERT INTO moments SELECT '{year}-01-01'::timestamp + i * interval '1 minute',"
                f" md5(i::text) || md5((i + 1)::text) FROM generate_series(1, {ROWS}) i"
            )
        query = "SELECT at FROM moments WHERE mz_now() <= at + interval '30 days'"
        assert pushdown(connection, query)[3:] == (4, 1)
        connection.execute(f"CREATE MATERIALIZED VIEW recent AS {query}")
        assert pushdown(connection, "MATERIALIZED VIEW recent")[3:] == (4, 1)
        assert connection.execute("SELECT count(*) FROM recent").fetchall() == [(ROWS,)]
        begun = "SELECT count(*) FROM moments WHERE mz_now() >= at"
        assert pushdown(connection, begun)[3:] == (4, 3)
        assert connection.execute(begun).fetchall() == [(3 * ROWS,)]
