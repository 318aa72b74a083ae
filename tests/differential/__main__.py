"""The long run: ``python -m tests.differential --seed 1 --queries 20000``."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.differential.campaign import Campaign, Report
from tests.differential.systems import System
from tests.fixtures import headwater, postgres


def main() -> int:
    """Run; print seed, counts and disagreements; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--schema", type=int, default=0, help="the number of the first schema")
    parser.add_argument("--seconds", type=float, help="stop after that long")
    parser.add_argument("--no-shrink", action="store_true", help="show queries as they were drawn")
    options = parser.parse_args()
    why = postgres.missing()
    if why is not None:
        print(why, file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="differential-", dir="/tmp"))
    folder.chmod(0o755)
    judge = postgres.make(folder / "postgres")
    judge.start()
    report: Report | None = None
    try:
        with headwater.running(folder / "headwater") as server:
            ours = System(server.dsn)
            campaign = Campaign(System(judge.dsn), ours, options.seed, not options.no_shrink)
            shown = 0
            for report in campaign.run(options.queries, options.seconds, options.schema):
                for found in report.disagreements[shown:]:
                    tables = [s for table in found.schema.tables for s in table.statements()]
                    used = [s for s in tables if f" {s.split()[2]} " in f"{found.query} "]
                    print(f"--- {found.what}", *used, found.query, sep="\n")
                    print(f"  PostgreSQL: {found.theirs}\n  headwater:  {found.ours}", flush=True)
                shown = len(report.disagreements)
                print(report.summary().splitlines()[0], dict(report.counts), file=sys.stderr)
    finally:
        judge.stop()
        shutil.rmtree(folder, ignore_errors=True)
    assert report is not None
    print(report.summary())
    return 1 if report.disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
