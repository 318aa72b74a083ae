"""What a server with a hundred maintained views costs while nothing changes."""

import os
import time
from pathlib import Path

from bench.report import Outcome, Series, at_most
from bench.workspace import folder
from tests.fixtures.headwater import Headwater, running

VIEWS = 100
SECONDS = 20.0
SETTLE_SECONDS = 5.0
ROUNDS = 3


def missing() -> str | None:
    return None if Path("/proc/self/stat").exists() else "it reads /proc"


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _shares(server: Headwater, seconds: float) -> dict[str, float]:
    """Return per cent of a core over ``seconds``, of headwaterd and of its replicas."""
    pids = {server.pid: "headwaterd", **dict.fromkeys(server.replica_pids(), "replicas")}
    before = {pid: _cpu_seconds(pid) for pid in pids}
    began = time.monotonic()
    time.sleep(seconds)  # what is measured is that nothing happens
    passed = time.monotonic() - began
    shares = {"headwaterd": 0.0, "replicas": 0.0}
    for pid, name in pids.items():
        shares[name] += (_cpu_seconds(pid) - before[pid]) / passed * 100
    return shares


def measure() -> Outcome:
    with folder() as where, running(where / "hw") as server:
        time.sleep(SETTLE_SECONDS)  # what starting left behind is no part of idling
        empty = [sum(_shares(server, SECONDS / 2).values()) for _ in range(2)]
        with server.connect() as connection:
            connection.execute("CREATE TABLE t (a int, b int)")
            connection.execute("INSERT INTO t SELECT g, g % 10 FROM generate_series(1, 1000) g")
            for number in range(VIEWS // 2):
                query = f"SELECT b, count(*) AS n FROM t WHERE a > {number} GROUP BY b"
                connection.execute(f"CREATE MATERIALIZED VIEW m{number} AS {query}".encode())
                connection.execute(f"CREATE VIEW v{number} AS {query}".encode())
                connection.execute(f"CREATE INDEX i{number} ON v{number} (b)".encode())
            for number in range(VIEWS // 2):
                for kind in "mv":
                    text = f"SELECT sum(n) FROM {kind}{number}"
                    assert connection.execute(text.encode()).fetchone() == (1000 - number,)
            processes = len(server.replica_pids())
        time.sleep(SETTLE_SECONDS)
        found = [_shares(server, SECONDS) for _ in range(ROUNDS)]
    total = Series(
        f"with {VIEWS} views, all processes", "% of a core", [sum(each.values()) for each in found]
    )
    return Outcome(
        f"CPU while idle: {VIEWS // 2} materialized views and {VIEWS // 2} indexed views",
        [
            Series("without views, all processes", "% of a core", empty),
            total,
            Series("of it headwaterd", "% of a core", [each["headwaterd"] for each in found]),
            Series(
                f"of it {processes} replica processes",
                "% of a core",
                [each["replicas"] for each in found],
            ),
        ],
        [at_most(total, 3.0)],
        [f"utime + stime of /proc/PID/stat over {SECONDS:g} s"],
    )
