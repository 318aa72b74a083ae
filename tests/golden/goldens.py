"""Golden files: blocks of an input, ``----``, and what it must yield; blank lines separate blocks.

``HEADWATER_REWRITE=1`` accepts what the code yields now; the diff is reviewed like code. Output
that has blank lines itself is written with a ``.`` on them.
"""

import os
from collections.abc import Callable
from pathlib import Path

_SEPARATOR = "----"


def inputs(path: Path) -> list[str]:
    """Return the inputs of a file's blocks, comments left out."""
    found = []
    for block in path.read_text().split("\n\n"):
        given = block.strip("\n").partition(f"\n{_SEPARATOR}\n")[0]
        lines = [line for line in given.splitlines() if not line.startswith("#")]
        if lines:
            found.append("\n".join(lines))
    return found


def check_golden(path: Path, run: Callable[[str], str]) -> None:
    """Compare ``run`` of each block's input with its output, or rewrite the file."""
    blocks = [block for block in path.read_text().split("\n\n") if block.strip()]
    rewritten = []
    failures = []
    for block in blocks:
        given, _, expected = block.strip("\n").partition(f"\n{_SEPARATOR}\n")
        given = given.removesuffix(f"\n{_SEPARATOR}")
        if all(line.startswith("#") for line in given.splitlines()):
            rewritten.append(given)
            continue
        query = "\n".join(line for line in given.splitlines() if not line.startswith("#"))
        found = "\n".join(line or "." for line in run(query).rstrip("\n").split("\n"))
        rewritten.append(f"{given}\n{_SEPARATOR}\n{found}")
        if found != expected:
            failures.append((query, expected, found))
    if os.environ.get("HEADWATER_REWRITE"):
        path.write_text("\n\n".join(rewritten) + "\n")
        return
    for query, expected, found in failures:
        assert found == expected, f"{path.name}: {query}"
