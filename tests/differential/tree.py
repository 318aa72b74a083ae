"""SQL as a tree of pieces, so that a query that fails can be made smaller."""

from collections.abc import Iterator
from dataclasses import dataclass

OPTIONAL = "optional"
"""The kind of a piece that may be left out: a clause, a join, an item of a list after the first."""


@dataclass(frozen=True)
class Piece:
    """A piece of SQL. ``kind`` is an expression's type, ``OPTIONAL``, or a form of the grammar.

    Pieces of one kind may stand for one another as far as the grammar goes; whether names and types
    still fit is for the systems to say.
    """

    kind: str
    parts: "tuple[str | Piece, ...]"

    def __str__(self) -> str:
        return "".join(map(str, self.parts))


def smaller(piece: Piece, literals: dict[str, str]) -> Iterator[Piece]:
    """Yield trees that are ``piece`` with one piece left out or replaced by a smaller one.

    ``literals`` has a constant for each kind of expression. The largest cuts come first.
    """
    if piece.kind == OPTIONAL and piece.parts:
        yield Piece(OPTIONAL, ())
    for inner in _within(piece):
        if inner.kind == piece.kind and inner.kind != OPTIONAL:
            yield inner
    literal = literals.get(piece.kind)
    if literal is not None and len(str(piece)) > len(literal):
        yield Piece(piece.kind, (literal,))
    for index, part in enumerate(piece.parts):
        if isinstance(part, Piece):
            for less in smaller(part, literals):
                yield Piece(piece.kind, (*piece.parts[:index], less, *piece.parts[index + 1 :]))


def _within(piece: Piece) -> Iterator[Piece]:
    """Yield the pieces inside ``piece``, the largest first on each way down."""
    for part in piece.parts:
        if isinstance(part, Piece):
            yield part
            yield from _within(part)
