"""Single-row INSERT, durable when acknowledged, eight clients, beside PostgreSQL 15."""

import psycopg

from bench import pgbench
from bench.report import Outcome, at_least_ratio
from bench.workspace import folder, running_postgres
from tests.fixtures.headwater import running

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
        series = pgbench.side_by_side(ours, theirs, script, "inserts/s")
        return Outcome(
            f"single-row durable INSERT, prepared, {pgbench.CLIENTS} clients",
            series,
            [at_least_ratio(series[0], series[1], 1.0, "PostgreSQL")],
            [" ".join(pgbench.command(script))],
            [f"PostgreSQL's fsync is {fsync[0] if fsync else '?'}"],
        )
