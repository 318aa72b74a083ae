"""Single-row INSERT, durable when acknowledged, eight clients, beside PostgreSQL 15."""

import psycopg

from bench import pgbench
from bench.report import Outcome, Series, at_least_ratio
from bench.workspace import folder, running_postgres
from tests.fixtures.headwater import running

ROUNDS = 3
SECONDS = 6
TABLE = "CREATE TABLE history (tid int, bid int, aid int, delta int, note text)"
SCRIPT = """\\set aid random(1, 100000)
\\set delta random(-5000, 5000)
INSERT INTO history (tid, bid, aid, delta, note) VALUES (1, 1, :aid, :delta, 'a short note');
"""

missing = pgbench.missing


def measure() -> Outcome:
    """Alternate between the servers; both keep data on the same disk, fsync on."""
    with folder() as where, running_postgres(where) as theirs, running(where / "hw") as ours:
        script = where / "insert.sql"
        script.write_text(SCRIPT)
        with ours.connect() as connection:
            connection.execute(TABLE)
        with psycopg.connect(theirs.dsn, autocommit=True) as other:
            other.execute(TABLE)
            fsync = other.execute("SHOW fsync").fetchone()
        got: list[pgbench.Run] = []
        beside: list[pgbench.Run] = []
        pgbench.run(ours, script, 2)
        pgbench.run(theirs, script, 2)
        for _ in range(ROUNDS):
            got.append(pgbench.run(ours, script, SECONDS))
            beside.append(pgbench.run(theirs, script, SECONDS))
        rate = Series("headwater", "inserts/s", [each.per_second for each in got])
        other_rate = Series("PostgreSQL 15", "inserts/s", [each.per_second for each in beside])
        return Outcome(
            f"single-row durable INSERT, prepared, {pgbench.CLIENTS} clients",
            [
                rate,
                other_rate,
                Series("headwater, mean latency", "ms", [each.latency_ms for each in got]),
                Series("PostgreSQL, mean latency", "ms", [each.latency_ms for each in beside]),
            ],
            [at_least_ratio(rate, other_rate, 1.0, "PostgreSQL")],
            [" ".join(pgbench.command(script, SECONDS))],
            [f"PostgreSQL's fsync is {fsync[0] if fsync else '?'}"],
        )
