"""What a measurement hands back, and how it is printed: spread, ratio, machine, commit, command."""

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Series:
    """One quantity, measured several times in one run.

    Attributes:
        what: Which side and what of it.
        unit: Of every value.
        values: One for each round, in the order measured.
    """

    what: str
    unit: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True)
class Target:
    """What should be reached, what was, and whether that is enough."""

    text: str
    got: str
    met: bool


@dataclass
class Outcome:
    """The result of one measurement.

    Attributes:
        title: What was measured, in a line.
        series: The table.
        targets: What it is held against; a target missed is printed, never raised.
        commands: What was run, for someone who wants to run it alone.
        notes: Circumstances that the numbers need.
    """

    title: str
    series: list[Series] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def at_least_ratio(ours: Series, theirs: Series, want: float, name: str) -> Target:
    """Hold the ratio of two medians to a lower bound."""
    ratio = ours.median / theirs.median if theirs.median else float("inf")
    return Target(f">= {want:g} x {name}", f"{ratio:.2f} x", ratio >= want)


def at_most(series: Series, want: float) -> Target:
    """Hold a median to an upper bound in the series' own unit."""
    got = f"{_number(series.median)} {series.unit}"
    return Target(f"{series.what} <= {want:g} {series.unit}", got, series.median <= want)


def at_least(series: Series, want: float) -> Target:
    """Hold a median to a lower bound in the series' own unit."""
    got = f"{_number(series.median)} {series.unit}"
    return Target(f"{series.what} >= {want:g} {series.unit}", got, series.median >= want)


def render(name: str, outcome: Outcome) -> str:
    """Return an outcome as text: a Markdown table, its targets, commands and notes."""
    lines = [f"## {name}: {outcome.title}", ""]
    lines += _table(
        ("what", "unit", "min", "median", "max", "n"),
        [
            (
                each.what,
                each.unit,
                _number(min(each.values)),
                _number(each.median),
                _number(max(each.values)),
                str(len(each.values)),
            )
            for each in outcome.series
        ],
    )
    if outcome.targets:
        lines.append("")
        lines += _table(
            ("target", "got", ""),
            [(each.text, each.got, "met" if each.met else "MISSED") for each in outcome.targets],
        )
    if outcome.commands or outcome.notes:
        lines.append("")
    lines += [f"    {command}" for command in outcome.commands]
    lines += [f"- {note}" for note in outcome.notes]
    return "\n".join(lines) + "\n"


def heading(names: Sequence[str]) -> str:
    """Return where and with what this run was made."""
    commit = _git("rev-parse", "--short", "HEAD")
    if _git("status", "--porcelain", "--untracked-files=no"):
        commit += " with changes"
    load = os.getloadavg()[0]
    return (
        f"# headwater, commit {commit}\n\n"
        f"- machine: {_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}\n"
        f"- load average when it began: {load:.1f}\n"
        f"- CPython {platform.python_version()}; command: "
        f"{Path(sys.executable).name} -m bench {' '.join(names)}\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in lines
    ]


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _git(*arguments: str) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return result.stdout.strip()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
