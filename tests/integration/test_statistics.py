"""Aggregates of ordered sets, bits and pairs: PostgreSQL's answers, asked once and maintained."""

from datetime import timedelta

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

QUERIES = {
    "bits": (
        "SELECT g, bit_and(a), bit_or(a), bit_xor(a), every(a > 1) FROM v GROUP BY g",
        [(1, 0, 3, 0, False), (2, 7, 7, 0, True), (3, None, None, None, None)],
    ),
    "ordered": (
        "SELECT g, percentile_cont(0.5) WITHIN GROUP (ORDER BY x),"
        " percentile_disc(ARRAY[0, 0.5, 1]) WITHIN GROUP (ORDER BY s DESC),"
        " percentile_cont(0.25) WITHIN GROUP (ORDER BY i) AS q, mode() WITHIN GROUP (ORDER BY s)"
        " FROM v GROUP BY g",
        [
            (1, 1.5, ["b", "a", "a"], timedelta(minutes=90), "a"),
            (2, 1e15 + 1, ["c", "c", "c"], timedelta(days=1), "c"),
            (3, None, None, None, None),
        ],
    ),
    "hypothetical": (
        "SELECT rank(2) WITHIN GROUP (ORDER BY a), dense_rank(3) WITHIN GROUP (ORDER BY a DESC),"
        " percent_rank(2, 'b') WITHIN GROUP (ORDER BY a, s),"
        " cume_dist(7) WITHIN GROUP (ORDER BY a) FROM v",
        [(2, 3, 1 / 3, 6 / 7)],
    ),
    "pairs": (
        "SELECT g, variance(x), stddev_pop(x), covar_samp(x, a), corr(a, x), regr_count(x, a),"
        " regr_slope(x, a), regr_avgy(x, a) FROM v GROUP BY g",
        [
            (1, 12.25, 2.857738033247041, -0.5, -0.14285714285714285, 3, -0.5, 0.0),
            (2, 2.0, 1.0, 0.0, None, 2, None, 1e15 + 1),
            (3, None, None, None, None, 0, None, None),
        ],
    ),
    "filtered": (
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FILTER (WHERE g = 1),"
        " rank(1) WITHIN GROUP (ORDER BY a) FILTER (WHERE g > 9) FROM v",
        [(1.5, 1)],
    ),
}


@pytest.fixture(scope="module")
def connection(server: Headwater):
    with server.connect() as connection:
        connection.execute("CREATE TABLE v (g int, a int, x float8, s text, i interval)")
        # They come before the values and go after them: what is left must not show it.
        connection.execute(
            "INSERT INTO v VALUES (1, 4, '1e300', 'b', '9 days'), (4, 1, 1, 'z', NULL)"
        )
        for name, (query, _) in QUERIES.items():
            connection.execute(f"CREATE MATERIALIZED VIEW {name} AS {query}".encode())
        connection.execute(
            "INSERT INTO v VALUES (1, 3, 1.5, 'a', '1 hour'), (1, 1, 2.5, 'b', '2 hours'),"
            " (1, 2, -4, 'a', '4 hours'), (2, 7, 1e15, 'c', NULL), (2, 7, 1e15 + 2, 'c', '1 day'),"
            " (3, NULL, NULL, NULL, NULL)"
        )
        connection.execute("DELETE FROM v WHERE x = '1e300' OR g = 4")
        yield connection


@pytest.mark.parametrize("name", QUERIES)
def test_answers_are_postgresqls(connection: Connection, name: str) -> None:
    query, expected = QUERIES[name]
    for asked in (query, f"SELECT * FROM {name}"):
        found = sorted(rows(connection, asked), key=repr)
        for row, want in zip(found, expected, strict=True):
            for value, wanted in zip(row, want, strict=True):
                close = isinstance(wanted, float)
                assert value == (pytest.approx(wanted, rel=1e-14) if close else wanted)
