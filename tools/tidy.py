"""House rules that no linter knows, as a check: file sizes, module docstrings, forbidden names.

Run it from anywhere; it exits 1 and names each offence. Exceptions stand in ``EXCEPTIONS`` with a
reason, and the list may only shrink.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINES_MAX = 800
FUNCTION_LINES_MAX = 100
FORBIDDEN_MODULES = {"util", "utils", "common", "helpers", "misc"}
FORBIDDEN_TEXT = re.compile(r"\bTODO\b(?!\(#\d+\))")
# path → why it may break a rule
EXCEPTIONS: dict[str, str] = {
    "tests/golden/plan/small_catalog.py": "one catalog, written out as a list of objects",
    "tests/unit/sql/parse/sql_trees.py": "one strategy for each kind of node of the grammar",
}


def tracked(*suffixes: str) -> list[Path]:
    """Return the files git tracks or would, with one of ``suffixes``."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / line for line in listed.stdout.splitlines())
    return sorted(path for path in paths if path.suffix in suffixes and path.exists())


def offences_of(path: Path) -> list[str]:
    """Return what is wrong with one file."""
    text = path.read_text(encoding="utf-8")
    name = str(path.relative_to(ROOT))
    if name in EXCEPTIONS:
        return []
    found = []
    lines = text.count("\n")
    if lines > LINES_MAX:
        found.append(f"{name}: {lines} lines, at most {LINES_MAX}")
    if path.stem in FORBIDDEN_MODULES:
        found.append(f"{name}: a module named {path.stem} shows a missing concept")
    if path.name != "tidy.py" and FORBIDDEN_TEXT.search(text):
        found.append(f"{name}: a TODO without an issue's number")
    if path.suffix == ".py":
        found += _python_offences(name, text)
    if path.suffix == ".rs" and not text.startswith("//!") and "/tests/" not in name:
        found.append(f"{name}: no module documentation")
    return found


def _python_offences(name: str, text: str) -> list[str]:
    tree = ast.parse(text)
    found = []
    if name.startswith("src/") and ast.get_docstring(tree) is None:
        found.append(f"{name}: no module docstring")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                found.append(
                    f"{name}:{node.lineno}: {node.name} has {length} lines, "
                    f"at most {FUNCTION_LINES_MAX}"
                )
    return found


def main() -> int:
    """Print offences; return 1 if there are any."""
    offences = [offence for path in tracked(".py", ".rs") for offence in offences_of(path)]
    for offence in offences:
        print(offence)
    for name in EXCEPTIONS:
        if not (ROOT / name).exists():
            offences.append(name)
            print(f"{name}: stands in EXCEPTIONS but is gone")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
