"""The long run: ``python -m tests.fuzz --minutes 30 --seed 1``."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fixtures.headwater import running
from tests.fuzz.statements import SOURCES, TABLES, mixed
from tests.fuzz.victim import STATEMENT_SECONDS, Victim

PROBE_EVERY = 200


def main() -> int:
    """Run; print seed, counts and faults; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--sources", default=",".join(SOURCES), help="some of: %(default)s")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    with running(Path(tempfile.mkdtemp(prefix="fuzz-"))) as server:
        victim = Victim(server)
        victim.prepare(TABLES)
        end = time.monotonic() + options.minutes * 60
        shown = 0
        for name, statement in mixed(options.seed, options.sources.split(",")):
            victim.ask(statement)
            counts[name] += 1
            if sum(counts.values()) % PROBE_EVERY == 0:
                victim.probe(statement)
            for fault in victim.faults[shown:]:
                print(
                    f"--- {name}: {fault.what}\n{fault.statement.decode(errors='replace')}",
                    flush=True,
                )
            shown = len(victim.faults)
            if time.monotonic() > end:
                break
    print(f"seed {options.seed}: {sum(counts.values())} statements {dict(counts)}")
    print("  states:", ", ".join(f"{state} {n}" for state, n in victim.states.most_common(25)))
    for statement in victim.timeouts[:20]:
        print(f"  stopped after {STATEMENT_SECONDS} s: {statement[:500]!r}")
    print(f"  {len(victim.faults)} faults")
    return 1 if victim.faults else 0


if __name__ == "__main__":
    sys.exit(main())
