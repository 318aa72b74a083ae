"""Planning a query that was never seen before: text in, physical plan out, over the wire."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg

from bench.report import Outcome, Series, at_most
from bench.workspace import folder, running_postgres
from tests.fixtures import postgres
from tests.fixtures.headwater import running

ROUNDS = 30
TABLES = (
    "CREATE TABLE region (r_regionkey int NOT NULL, r_name text NOT NULL)",
    "CREATE TABLE nation (n_nationkey int NOT NULL, n_name text NOT NULL, n_regionkey int)",
    "CREATE TABLE customer (c_custkey int NOT NULL, c_name text, c_nationkey int)",
    "CREATE TABLE orders (o_orderkey int NOT NULL, o_custkey int, o_orderdate date)",
    "CREATE TABLE lineitem (l_orderkey int NOT NULL, l_extendedprice numeric, l_discount numeric)",
    "CREATE INDEX region_by_key ON region (r_regionkey)",
    "CREATE INDEX nation_by_key ON nation (n_nationkey)",
    "CREATE INDEX customer_by_key ON customer (c_custkey)",
    "CREATE INDEX orders_by_key ON orders (o_orderkey)",
    "CREATE INDEX lineitem_by_order ON lineitem (l_orderkey)",
)
# Each text differs by a literal, so that nothing that is kept by text is of use.
POINT = "SELECT o_custkey, o_orderdate FROM orders WHERE o_orderkey = {}"
FIVE_WAY = (
    "SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue "
    "FROM customer, orders, lineitem, nation, region "
    "WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND c_nationkey = n_nationkey "
    "AND n_regionkey = r_regionkey AND r_name = 'ASIA' AND o_orderdate >= DATE '1994-01-01' "
    "AND o_orderkey > {} GROUP BY n_name ORDER BY revenue DESC"
)

Connection = psycopg.Connection[tuple[object, ...]]


def missing() -> str | None:
    return None


def _timed(connection: Connection, texts: Iterator[str]) -> list[float]:
    found = []
    for text in texts:
        began = time.perf_counter()
        connection.execute(text.encode(), prepare=False).fetchall()
        found.append((time.perf_counter() - began) * 1e3)
    return found


def _explains(keyword: str, query: str) -> Iterator[str]:
    return (f"{keyword} {query.format(number)}" for number in range(ROUNDS))


def measure() -> Outcome:
    with folder() as where, ExitStack() as stack:
        server = stack.enter_context(running(where / "hw"))
        connection = stack.enter_context(server.connect())
        for statement in TABLES:
            connection.execute(statement.encode())
        keyword = "EXPLAIN PHYSICAL PLAN FOR"
        first_join = _timed(connection, iter([f"{keyword} {FIVE_WAY.format(-1)}"]))
        first_point = _timed(connection, iter([f"{keyword} {POINT.format(-1)}"]))
        point = Series("point query", "ms", _timed(connection, _explains(keyword, POINT)))
        join = Series("five-way join", "ms", _timed(connection, _explains(keyword, FIVE_WAY)))
        floor = Series("round trip without planning (SHOW)", "ms", _show(connection))
        series = [
            Series("first statement of the process: five-way join", "ms", first_join),
            Series("first point query of the process", "ms", first_point),
            point,
            join,
            floor,
        ]
        if postgres.missing() is None:
            theirs = stack.enter_context(running_postgres(where))
            other = stack.enter_context(psycopg.connect(theirs.dsn, autocommit=True))
            for statement in TABLES:
                other.execute(statement.encode())
            for what, query in (("point query", POINT), ("five-way join", FIVE_WAY)):
                times = _timed(other, _explains("EXPLAIN", query))
                series.append(Series(f"PostgreSQL 15, {what}", "ms", times))
    return Outcome(
        f"EXPLAIN of a text not seen before, over the wire, {ROUNDS} texts each",
        series,
        [at_most(point, 5.0), at_most(join, 50.0)],
        [f"{keyword} {POINT.format('N')}", f"{keyword} {FIVE_WAY.format('N')}"],
    )


def _show(connection: Connection) -> list[float]:
    return _timed(connection, iter(["SHOW search_path"] * ROUNDS))
