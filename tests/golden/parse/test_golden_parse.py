"""Golden trees: each ``.txt`` file holds statements and what they parse to.

A case is the SQL, a line ``----``, and the canonical text and the tree (without positions and
fields at their defaults), or the error with SQLSTATE, position and detail. Blank lines end a case.
Accept changes with ``PYTHONPATH=src python tests/golden/parse/test_golden_parse.py --rewrite``.
"""

import enum
import sys
from pathlib import Path

import pytest

from headwater.errors import HeadwaterError
from headwater.sql.ast.base import Node
from headwater.sql.ast.printer import to_sql
from headwater.sql.parse.parser import parse_statements

_FOLDER = Path(__file__).parent
_FILES = sorted(_FOLDER.glob("*.txt"))


def tree(value: object, indent: int = 0) -> str:
    """Return a tree as indented text."""
    pad = "  " * indent
    if isinstance(value, Node):
        lines = [type(value).__name__]
        fields, defaults = value.__struct_fields__, value.__struct_defaults__
        default = dict(zip(reversed(fields), reversed(defaults), strict=False))
        for field in fields:
            item = getattr(value, field)
            if field != "position" and (field not in default or item != default[field]):
                lines.append(f"{pad}  {field}: {tree(item, indent + 1)}")
        return "\n".join(lines)
    if isinstance(value, tuple) and any(isinstance(item, Node | tuple) for item in value):
        return "".join(f"\n{pad}  - {tree(item, indent + 1)}" for item in value)
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    return repr(value)


def outcome(sql: str) -> str:
    """Return what a case's SQL gives."""
    try:
        parsed = parse_statements(sql)
    except HeadwaterError as err:
        shown = f"error {err.sqlstate} at {err.position}: {err}"
        return f"{shown}\n  detail: {err.detail}" if err.detail else shown
    return "\n".join(f"{to_sql(one.statement)}\n{tree(one.statement)}" for one in parsed)


def cases(text: str) -> list[tuple[str, str]]:
    """Return a file's cases: SQL and outcome."""
    found = []
    for block in text.strip().split("\n\n"):
        sql, _, expected = block.partition("\n----\n")
        found.append((sql.removesuffix("\n----"), expected.strip()))
    return found


def rewritten(text: str) -> str:
    """Return a file's text with the outcomes of today."""
    return "\n\n".join(f"{sql}\n----\n{outcome(sql)}" for sql, _ in cases(text)) + "\n"


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_trees_are_as_written(path: Path) -> None:
    text = path.read_text()
    assert cases(text), path
    assert rewritten(text) == text


def test_there_are_files() -> None:
    assert _FILES


if __name__ == "__main__":
    if sys.argv[1:] != ["--rewrite"]:
        sys.exit("usage: test_golden_parse.py --rewrite")
    for file in _FILES:
        file.write_text(rewritten(file.read_text()))
