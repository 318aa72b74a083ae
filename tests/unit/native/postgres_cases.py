"""Calls whose results PostgreSQL 15 was asked for; see ``record_postgres``.

A case is written ``name | type:text | type:text``: a function, ``op:`` an operator, or ``cast:`` a
type. Its recorded result is the output text, ``NULL``, or ``ERROR sqlstate message``.
"""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
CASES = FOLDER / "postgres_cases.txt"
RESULTS = FOLDER / "postgres_results.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One call: what, and arguments as (type, text); None is NULL."""

    line: str
    name: str
    args: tuple[tuple[str, str | None], ...]

    def sql(self) -> str:
        """Return the query that asks PostgreSQL."""
        args = [
            f"NULL::{type_}" if text is None else "'" + text.replace("'", "''") + f"'::{type_}"
            for type_, text in self.args
        ]
        if self.name.startswith("cast:"):
            return f"SELECT CAST({args[0]} AS {self.name[5:]})"
        if self.name.startswith("op:"):
            symbol = self.name[3:]
            return (
                f"SELECT {args[0]} {symbol} {args[1]}"
                if len(args) > 1
                else f"SELECT {symbol} {args[0]}"
            )
        if self.name == "extract":
            return f"SELECT extract({self.args[0][1]} FROM {args[1]})"
        return f"SELECT {self.name}({', '.join(args)})"


def _argument(text: str) -> tuple[str, str | None]:
    type_, _, value = text.partition(":")
    return type_, None if value == "NULL" else value


def read_cases() -> list[Case]:
    """Return the cases of the file, in order."""
    cases = []
    for line in CASES.read_text().splitlines():
        if line and not line.startswith("#"):
            name, *args = line.split(" | ")
            cases.append(Case(line=line, name=name, args=tuple(map(_argument, args))))
    return cases


def read_results() -> dict[str, str]:
    """Return the recorded result of each case's line."""
    pairs = (line.split("\t", 1) for line in RESULTS.read_text().splitlines())
    return {case: result.replace("\\n", "\n") for case, result in pairs}
