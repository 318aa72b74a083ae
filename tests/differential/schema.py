"""Random tables and their rows."""

from dataclasses import dataclass
from random import Random

from tests.differential.expressions import Column, Expressions
from tests.differential.vocabulary import VALUES

ROWS_MAX = 9


@dataclass(frozen=True)
class Table:
    """A table: its columns and its rows as literals."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    def statements(self) -> list[str]:
        """Return what makes and fills it."""
        columns = ", ".join(f"{column.text} {column.type}" for column in self.columns)
        made = [f"CREATE TABLE {self.name} ({columns})"]
        if self.rows:
            rows = ", ".join(f"({', '.join(row)})" for row in self.rows)
            made.append(f"INSERT INTO {self.name} VALUES {rows}")
        return made


@dataclass(frozen=True)
class Schema:
    """Tables to ask about. ``extreme``: values at the ends of their types' ranges are among them,
    so that arithmetic may fail.
    """

    tables: tuple[Table, ...]
    extreme: bool


def draw_schema(rng: Random) -> Schema:
    """Draw three tables, one of which may be empty, with NULLs and repeated rows."""
    extreme = rng.random() < 0.2
    literals = Expressions(rng, extreme=extreme)
    tables = []
    for name in ("r", "s", "u"):
        types = ["int4", "int4", "text", *rng.sample(list(VALUES), rng.randint(2, 5))]
        columns = tuple(Column(f"{name}{i}", type_) for i, type_ in enumerate(types))
        rows = [_row(rng, literals, columns) for _ in range(rng.choice((0, 3, 5, ROWS_MAX)))]
        if rows and rng.random() < 0.3:
            rows.append(rows[0])
        tables.append(Table(name, columns, tuple(rows)))
    return Schema(tuple(tables), extreme)


def _row(rng: Random, literals: Expressions, columns: tuple[Column, ...]) -> tuple[str, ...]:
    return tuple(
        "NULL" if rng.random() < 0.12 else str(literals.literal(column.type)) for column in columns
    )
