"""Planning a query that was never seen before: text in, physical plan out, over the wire.

Three promises are held: each of TPC-H's 22 queries within 50 ms when it is seen for the first time,
a point query within 2 ms, and 2,000 simple statements parsed a second.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import psycopg

from bench.report import Outcome, Series, Target, at_least, at_most
from bench.workspace import folder, running_postgres
from headwater.sql.parse.parser import parse_statements
from tests.fixtures import postgres
from tests.fixtures.headwater import running
from tests.golden.goldens import inputs
from tests.golden.workloads import schemas

ROUNDS = 30
PARSES = 2_000  # statements of one round
TPCH_MS_MAX = 50.0
POINT_MS_MAX = 2.0
PARSES_MIN = 2_000.0  # a second
QUERIES = inputs(Path(schemas.__file__).with_name("tpch.txt"))
# Each text differs by a literal, so that nothing that is kept by text is of use.
POINT = "SELECT o_custkey, o_orderdate FROM orders WHERE o_orderkey = {}"
SIMPLE = "SELECT a, b + 1 FROM t WHERE c = {} AND d < 'x' ORDER BY a LIMIT 10"

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


def _tables(schema: Mapping[str, tuple[str, object]]) -> Iterator[str]:
    """Yield CREATE TABLE of each table, and an index by its first column."""
    for name, (columns, _) in schema.items():
        words = columns.split()
        shown = ", ".join(
            f"{column} {kind.rstrip('!')}{' NOT NULL' if kind.endswith('!') else ''}"
            for column, kind in zip(words[::2], words[1::2], strict=True)
        )
        yield f"CREATE TABLE {name} ({shown})"
        yield f"CREATE INDEX {name}_by_key ON {name} ({words[0]})"


def _parses() -> list[float]:
    """Return how many simple statements are parsed a second, in several rounds."""
    found = []
    for round_ in range(ROUNDS // 3):
        texts = [SIMPLE.format(round_ * PARSES + number) for number in range(PARSES)]
        began = time.perf_counter()
        for text in texts:
            parse_statements(text)
        found.append(PARSES / (time.perf_counter() - began))
    return found


def measure() -> Outcome:
    keyword = "EXPLAIN PHYSICAL PLAN FOR"
    with folder() as where, ExitStack() as stack:
        server = stack.enter_context(running(where / "hw"))
        connection = stack.enter_context(server.connect())
        for statement in _tables(schemas.TPCH):
            connection.execute(statement.encode())
        first = _timed(connection, iter([f"{keyword} {POINT.format(-1)}"]))
        tpch = _timed(connection, (f"{keyword} {query}" for query in QUERIES))
        each = Series("TPC-H, each of 22 once", "ms", tpch)
        point = Series("point query", "ms", _timed(connection, _explains(keyword, POINT)))
        series = [
            Series("first query of the process", "ms", first),
            each,
            point,
            Series("round trip without planning (SHOW)", "ms", _show(connection)),
        ]
        if postgres.missing() is None:
            theirs = stack.enter_context(running_postgres(where))
            other = stack.enter_context(psycopg.connect(theirs.dsn, autocommit=True))
            for statement in _tables(schemas.TPCH):
                other.execute(statement.encode())
            texts = (f"EXPLAIN {query}" for query in QUERIES)
            series.append(Series("PostgreSQL 15, TPC-H", "ms", _timed(other, texts)))
            times = _timed(other, _explains("EXPLAIN", POINT))
            series.append(Series("PostgreSQL 15, point query", "ms", times))
    parsed = Series("simple statements parsed", "/s", _parses())
    slowest = max(tpch)
    return Outcome(
        f"EXPLAIN of a text not seen before, over the wire; {ROUNDS} point queries",
        [*series, parsed],
        [
            Target(
                f"the slowest of TPC-H's queries <= {TPCH_MS_MAX:g} ms",
                f"{slowest:.1f} ms (Q{tpch.index(slowest) + 1})",
                slowest <= TPCH_MS_MAX,
            ),
            at_most(point, POINT_MS_MAX),
            at_least(parsed, PARSES_MIN),
        ],
        [f"{keyword} {POINT.format('N')}", f"parse: {SIMPLE.format('N')}"],
    )


def _show(connection: Connection) -> list[float]:
    return _timed(connection, iter(["SHOW search_path"] * ROUNDS))
