"""Loading an index from a stored collection, beside typed differential dataflow: a Rust program."""

import os
import re
import shutil
import subprocess

from bench.report import ROOT, Outcome, Series, Target

UPDATES = 5_000_000
KEYS = 1_000_000
ROUNDS = 3
EXAMPLE = ["-p", "hw-compute", "--example", "load_index"]
_TYPED = re.compile(r"typed \(u64, u64\):\s+([0-9.]+) M updates/s")
_LOADED = re.compile(
    r"index from (\w+) parts:\s+([0-9.]+) M updates/s, ([0-9.]+) x typed; "
    r"([0-9.]+) bytes an update(?: resident)?, ([0-9.]+) x rows' ([0-9.]+)"
)


def missing() -> str | None:
    return None if shutil.which("cargo") else "no cargo on the path"


def measure() -> Outcome:
    command = ["cargo", "run", "--release", "--quiet", *EXAMPLE, "--", str(UPDATES), str(KEYS)]
    texts = [_run(command) for _ in range(ROUNDS)]
    typed = [float(found[1]) for text in texts if (found := _TYPED.search(text))]
    series = [Series("typed differential, from memory", "M updates/s", typed)]
    targets = []
    for encoding in ("Flat", "Parquet"):
        matches = [each for text in texts for each in _LOADED.finditer(text) if each[1] == encoding]
        rate = Series(f"index from {encoding} parts", "M updates/s", [float(m[2]) for m in matches])
        bytes_ratio = Series(f"held, {encoding}", "x rows' bytes", [float(m[5]) for m in matches])
        ratio = Series("ratio", "x", [float(m[3]) for m in matches]).median
        series += [rate, bytes_ratio]
        targets += [
            Target(f"{encoding}: >= 0.5 x typed", f"{ratio:.2f} x", ratio >= 0.5),
            Target(
                f"{encoding}: <= 1.5 x the rows' bytes",
                f"{bytes_ratio.median:.2f} x",
                bytes_ratio.median <= 1.5,
            ),
        ]
    return Outcome(
        f"an index of {UPDATES:,} updates over {KEYS:,} keys",
        series,
        targets,
        [" ".join(command)],
        ["both sides run in one process, one after the other, with one timely worker"],
    )


def _run(command: list[str]) -> str:
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {result.stderr[-3000:]}")
    return result.stdout
