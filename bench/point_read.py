"""One indexed point read, prepared, over the wire, eight clients, beside PostgreSQL 15."""

import psycopg

from bench import pgbench
from bench.report import Outcome, at_least_ratio
from bench.workspace import folder, running_postgres
from tests.fixtures.headwater import running

ROWS = 100_000
SCRIPT = f"""\\set aid random(1, {ROWS})
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
"""
TABLE = (
    "CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler text)",
    "INSERT INTO pgbench_accounts "
    f"SELECT g, 1, 0, repeat(' ', 84) FROM generate_series(1, {ROWS}) g",
)

missing = pgbench.missing


def measure() -> Outcome:
    """Alternate between the servers, so that what else the machine does meets both."""
    with folder() as where, running_postgres(where) as theirs, running(where / "hw") as ours:
        script = where / "point.sql"
        script.write_text(SCRIPT)
        with ours.connect() as connection:
            for statement in TABLE:
                connection.execute(statement.encode())
            connection.execute("CREATE INDEX accounts_by_aid ON pgbench_accounts (aid)")
            connection.execute("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
        with psycopg.connect(theirs.dsn, autocommit=True) as other:
            for statement in TABLE:
                other.execute(statement.encode())
            other.execute("ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid)")
            other.execute("VACUUM ANALYZE pgbench_accounts")
        series = pgbench.side_by_side(ours, theirs, script, "reads/s")
        return Outcome(
            f"prepared indexed point read over the wire, {pgbench.CLIENTS} clients, {ROWS:,} rows",
            series,
            [at_least_ratio(series[0], series[1], 0.3, "PostgreSQL")],
            [" ".join(pgbench.command(script))],
            ["headwater reads strictly serializably, PostgreSQL read committed: their defaults"],
        )
