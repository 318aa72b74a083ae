"""Statements and the plans, or the errors, that planning makes of them."""

from pathlib import Path

import pytest

from headwater.errors import HeadwaterError
from tests.golden.goldens import check_golden
from tests.golden.plan.answers import answer
from tests.golden.plan.small_catalog import error_of, show_statement

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "name",
    ["select", "joins", "grouping", "subqueries", "sets", "windows", "scalars", "writes", "ddl"],
)
def test_plans(name):
    check_golden(HERE / f"{name}.txt", show_statement)


def test_errors():
    check_golden(HERE / "errors.txt", error_of)


def test_answers(monkeypatch):
    def run(sql):
        try:
            return "\n".join(answer(sql, monkeypatch)) or "(no rows)"
        except HeadwaterError as error:
            return f"{error.sqlstate}:{error.message}"

    check_golden(HERE / "answers.txt", run)
