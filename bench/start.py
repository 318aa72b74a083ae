"""``headwater serve`` on an empty folder, to the first answer, beside initdb and a start."""

import time
from pathlib import Path

import psycopg

from bench.report import Outcome, Series, at_most
from bench.workspace import folder
from tests.fixtures import postgres
from tests.fixtures.headwater import Headwater

ROUNDS = 5
# A row of a collection that a replica maintains: the replica is up when this answers.
FROM_A_REPLICA = "SELECT count(*) FROM t"


def missing() -> str | None:
    return None


def _ours(where: Path, *, first: bool) -> tuple[float, float, float]:
    """Return the seconds to the line, to a constant's answer, and to a replica's answer."""
    server = Headwater(where)
    began = time.perf_counter()
    server.start()
    line = time.perf_counter() - began
    try:
        with server.connect() as connection:
            connection.execute("SELECT 1").fetchone()
            answer = time.perf_counter() - began
            if first:
                connection.execute("CREATE TABLE t (a int)")
                connection.execute("INSERT INTO t VALUES (1)")
            assert connection.execute(FROM_A_REPLICA).fetchone() == (1,)
            return line, answer, time.perf_counter() - began
    finally:
        server.stop()


def _theirs(where: Path) -> float:
    server = postgres.make(where)
    began = time.perf_counter()
    server.start()
    try:
        with psycopg.connect(server.dsn) as connection:
            connection.execute("SELECT 1").fetchone()
        return time.perf_counter() - began
    finally:
        server.stop()


def measure() -> Outcome:
    new, again, theirs = [], [], []
    with folder() as where:
        for number in range(ROUNDS):
            new.append(_ours(where / f"hw{number}", first=True))
            again.append(_ours(where / f"hw{number}", first=False))
            if postgres.missing() is None:
                theirs.append(_theirs(where / f"pg{number}"))
    first = Series("empty folder: SELECT 1 answered", "s", [each[1] for each in new])
    series = [
        Series("empty folder: takes connections", "s", [each[0] for each in new]),
        first,
        Series("empty folder: first table written, read by a replica", "s", [e[2] for e in new]),
        Series("started again: that table read by a replica", "s", [each[2] for each in again]),
    ]
    if theirs:
        series.append(Series("PostgreSQL 15: initdb, start, SELECT 1", "s", theirs))
    return Outcome(
        "from starting the command to the first answer",
        series,
        [at_most(first, 3.0)],
        ["headwater serve --data EMPTY; psql -c 'SELECT 1'"],
    )
