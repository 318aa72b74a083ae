"""parse(print(tree)) == tree: over random trees, and over every statement of the corpora."""

import re
import warnings
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from headwater.errors import HeadwaterError
from headwater.sql.ast.base import Node
from headwater.sql.ast.printer import to_sql
from headwater.sql.ast.query import Query, Show
from headwater.sql.ast.visit import without_positions
from headwater.sql.parse.parser import parse_expression, parse_statements
from tests.unit.sql.parse.sql_trees import expressions, queries, statements

_SETTINGS = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _reparsed(tree: Node) -> Node:
    text = to_sql(tree)
    parsed = parse_statements(text)
    assert len(parsed) == 1, text
    assert parsed[0].text == text
    return without_positions(parsed[0].statement)


@_SETTINGS
@given(expressions())
def test_expression_prints_as_text_that_parses_to_itself(tree: Node) -> None:
    assert without_positions(parse_expression(to_sql(tree))) == without_positions(tree)


@_SETTINGS
@given(queries())
def test_query_prints_as_text_that_parses_to_itself(tree: Node) -> None:
    text = to_sql(tree)
    wrapped = _reparsed(tree)
    expected = without_positions(tree)
    if isinstance(wrapped, Show):
        wrapped = Query(wrapped)
    assert wrapped == expected, text


@_SETTINGS
@given(statements())
def test_statement_prints_as_text_that_parses_to_itself(tree: Node) -> None:
    assert _reparsed(tree) == without_positions(tree)


# --- corpora --------------------------------------------------------------------------------------

_ROOTS = (
    Path(__file__).parents[4] / "tests" / "slt",
    Path(__file__).parents[5] / "shared" / "slt" / "corpus" / "dev",
)
PARSED_SHARE_MIN = 0.995
PRINTED_MAX = 500
"""Records of a file that are all printed back; of those after them, one in twenty."""
_HEAD = re.compile(r"(statement|query)\s+(\S+)")


def _records(path: Path) -> list[tuple[int, str]]:
    """Return the SQL of all records that expect no error, with their lines."""
    found = []
    skipped = False
    lines = path.read_text().replace("\r\n", "\n").split("\n")
    index = 0
    while index < len(lines):
        head = lines[index].split("#", 1)[0].strip()
        index += 1
        if head == "halt":
            break
        if head.startswith(("skipif", "onlyif")):
            words = head.split()
            skipped |= (words[1] == "postgresql") == (words[0] == "skipif")
            continue
        match = _HEAD.match(head)
        if match is None or "multiline" in head:
            skipped = skipped and not head
            continue
        start = index
        while index < len(lines) and lines[index].strip() and lines[index].strip() != "----":
            index += 1
        sql = "\n".join(lines[start:index])
        while index < len(lines) and lines[index].strip():
            index += 1
        if match[2] != "error" and not skipped and sql.strip():
            found.append((start, sql))
        skipped = False
    return found


def _files() -> list[Path]:
    return sorted(path for root in _ROOTS if root.is_dir() for path in root.rglob("*.slt"))


@pytest.mark.slow
def test_corpora_parse_and_print_back() -> None:
    files = _files()
    if not files:
        warnings.warn("no corpora: nothing was parsed", stacklevel=1)
        pytest.skip("NO CORPORA: tests/slt and shared/slt are absent, nothing was parsed")
    total, refused = 0, Counter[str]()
    for path in files:
        for number, (line, sql) in enumerate(_records(path)):
            total += 1
            try:
                parsed = parse_statements(sql)
            except HeadwaterError as err:
                refused[f"{path.name}:{line + 1}: {err}"] += 1
                continue
            # SQLite's files repeat a few shapes thousands of times.
            if number > PRINTED_MAX and number % 20:
                continue
            for statement in parsed:
                assert _reparsed(statement.statement) == without_positions(statement.statement), (
                    f"{path}:{line}: {statement.text}"
                )
    share = 1 - refused.total() / total
    print(f"{total} records, {share:.4%} parsed; refused: {list(refused)[:20]}")
    assert share >= PARSED_SHARE_MIN, list(refused)[:50]
