"""PostgreSQL's own load generator, the same binary against both servers."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.report import Series
from tests.fixtures import postgres
from tests.fixtures.headwater import Headwater
from tests.fixtures.postgres import Postgres

BINARY = postgres.BIN / "pgbench"
CLIENTS = 8
ROUNDS = 3
SECONDS = 6
WARM_SECONDS = 2
_TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_LATENCY = re.compile(r"^latency average = ([0-9.]+) ms", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What one run of pgbench reached."""

    per_second: float
    latency_ms: float


def missing() -> str | None:
    """Return why there is nothing to compare with here, None if there is."""
    why = postgres.missing()
    if why is None and not BINARY.exists():
        why = f"no pgbench in {postgres.BIN}"
    return why


def address(server: Headwater | Postgres) -> list[str]:
    """Return the arguments with which pgbench finds a server."""
    if isinstance(server, Postgres):
        return ["-h", "127.0.0.1", "-p", str(server.port), "-U", postgres.USER, "postgres"]
    return ["-h", "127.0.0.1", "-p", str(server.port), "-U", "materialize", "materialize"]


def command(script: Path, seconds: int = SECONDS) -> list[str]:
    """Return the command line without the address."""
    options = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-T", str(seconds)]
    return [str(BINARY), *options, "-f", str(script)]


def run(server: Headwater | Postgres, script: Path, seconds: int) -> Run:
    """Let eight clients run a script for so long, each as fast as it is answered."""
    result = subprocess.run(
        [*command(script, seconds), *address(server)],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 60,
        env={"LC_ALL": "C"},
    )
    tps, latency = _TPS.search(result.stdout), _LATENCY.search(result.stdout)
    if result.returncode != 0 or tps is None or latency is None:
        raise RuntimeError(f"pgbench failed: {result.stderr[-2000:]}{result.stdout[-500:]}")
    return Run(float(tps[1]), float(latency[1]))


def side_by_side(ours: Headwater, theirs: Postgres, script: Path, unit: str) -> list[Series]:
    """Let the servers take turns, so that what else the machine does meets both.

    Returns:
        What headwater reached in ``unit``, what PostgreSQL did, and the mean latency of each.
    """
    servers = {"headwater": ours, "PostgreSQL 15": theirs}
    for server in servers.values():
        run(server, script, WARM_SECONDS)
    rounds = [
        {name: run(server, script, SECONDS) for name, server in servers.items()}
        for _ in range(ROUNDS)
    ]
    rates = [Series(name, unit, [each[name].per_second for each in rounds]) for name in servers]
    latencies = [
        Series(f"{name}, mean latency", "ms", [each[name].latency_ms for each in rounds])
        for name in servers
    ]
    return rates + latencies
