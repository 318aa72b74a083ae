"""What is known of each operator of a relational plan, as EXPLAIN's modifiers show it.

An attribute is a short text derived from the operator's subtree: its arity, types, keys, size,
whether multiplicities can be negative, how many rows are expected.
"""

from collections.abc import Callable, Mapping

from headwater.ir.linear import subtracts
from headwater.ir.relation import (
    Filter,
    FlatMap,
    Get,
    Global,
    Join,
    Let,
    LetRec,
    LocalId,
    Map,
    Negate,
    Project,
    RelationExpr,
    TopK,
    Union,
)
from headwater.ir.typing import Typer, column_names
from headwater.ir.visit import inputs_of, walk
from headwater.types.ids import GlobalId
from headwater.types.scalar import ColumnType

NAMES = (
    "non negative",
    "subtree size",
    "arity",
    "types",
    "keys",
    "cardinality",
    "column names",
)


class Attributes:
    """Derives the chosen attributes of operators.

    Args:
        chosen: Members of ``NAMES``.
        show_type: The name of a type, as SQL has it.
        cardinalities: Estimated numbers of rows of global collections.
    """

    def __init__(
        self,
        chosen: frozenset[str],
        show_type: Callable[[ColumnType], str],
        cardinalities: Mapping[GlobalId, int] | None = None,
    ) -> None:
        self.chosen = chosen
        self.show_type = show_type
        self.cardinalities = cardinalities or {}
        self.typer = Typer()
        self.signs: dict[int, bool] = {}
        self.derive: dict[str, Callable[[RelationExpr], str]] = {
            "non negative": lambda expr: str(self.is_non_negative(expr)).lower(),
            "subtree size": lambda expr: str(sum(1 for _ in walk(expr))),
            "arity": lambda expr: str(len(self.typer.types(expr))),
            "types": lambda expr: f'"({", ".join(map(self._type, self.typer.types(expr)))})"',
            "keys": lambda expr: f'"({", ".join(map(_key, self.typer.keys(expr)))})"',
            "cardinality": self._cardinality,
            "column names": lambda expr: f'"({", ".join(n or "#" for n in column_names(expr))})"',
        }

    def text(self, expr: RelationExpr) -> str:
        """Return the operator's attributes as a comment; empty where none are chosen."""
        shown = [
            f"{name.replace(' ', '_')}: {self.derive[name](expr)}"
            for name in NAMES
            if name in self.chosen
        ]
        return f" // {{ {', '.join(shown)} }}" if shown else ""

    def bind(self, number: int, value: RelationExpr) -> None:
        """Take note of what a local name stands for; bindings come before their uses."""
        self.signs[number] = self.is_non_negative(value)

    def is_non_negative(self, expr: RelationExpr) -> bool:
        """Return whether no row of ``expr`` can have a negative multiplicity."""
        match expr:
            case Get(id=LocalId(id=number)):
                return self.signs.get(number, False)
            case Negate():
                return False
            case Union():
                return not subtracts(expr) and all(map(self.is_non_negative, expr.inputs))
            case Map() | Filter() | Project() | FlatMap() | TopK() | Join():
                return all(map(self.is_non_negative, inputs_of(expr)))
            case Let() | LetRec():
                return self.is_non_negative(expr.body)
            case _:
                return True

    def _type(self, type: ColumnType) -> str:
        return self.show_type(type) + ("?" if type.nullable else "")

    def _cardinality(self, expr: RelationExpr) -> str:
        if () in self.typer.keys(expr):
            return '"1"'
        if isinstance(expr, Get) and isinstance(expr.id, Global):
            rows = self.cardinalities.get(expr.id.id)
            return '"unknown"' if rows is None else f'"{rows}"'
        return '"unknown"'


def _key(key: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, key))}]"
