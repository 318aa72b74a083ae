"""Which records of the corpus pass: a line a file, and nothing of the records themselves.

A line is ``name sha records passed``: the first characters of the file's SHA-256, how many records
it has, and the numbers of those that pass, as ranges (``1-17,19``; ``-`` for none).
"""

from pathlib import Path

from tests.slt.corpus import Played

HERE = Path(__file__).resolve().parent


def path_of(part: str) -> Path:
    """Return where a part's ratchet is."""
    return HERE / f"ratchet-{part}.txt"


def write(part: str, played: list[Played]) -> None:
    """Record what passes now."""
    lines = [
        f"{file.name} {file.sha} {len(file.results)} {ranges(file.passed) or '-'}\n"
        for file in sorted(played, key=lambda file: file.name)
    ]
    path_of(part).write_text("".join(lines))


def lost(part: str, played: list[Played]) -> list[str]:
    """Return what the ratchet holds and does not pass any more, a line a file.

    A file that has changed is compared by the number of records that pass.
    """
    found = []
    now = {file.name: file for file in played}
    for line in path_of(part).read_text().splitlines():
        name, sha, _, passed = line.split()
        before = unranges(passed)
        file = now.get(name)
        if file is None:
            found.append(f"{name} was not played")
        elif file.sha != sha:
            if len(file.passed) < len(before):
                found.append(f"{name}: {len(before)} records passed, now {len(file.passed)}")
        elif gone := before - file.passed:
            found.append(f"{name}: records {ranges(gone)} passed before")
    return found


def ranges(numbers: frozenset[int]) -> str:
    """Return ``{1, 2, 3, 7}`` as ``1-3,7``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{low}-{high}" if low != high else str(low) for low, high in runs)


def unranges(text: str) -> frozenset[int]:
    """Return the numbers that ``ranges`` has written."""
    pairs = [part.split("-") for part in text.split(",") if part != "-"]
    return frozenset(n for pair in pairs for n in range(int(pair[0]), int(pair[-1]) + 1))
