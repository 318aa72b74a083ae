"""The shape of a relation: its columns, in order, and its keys."""

from collections.abc import Sequence

import msgspec

from headwater.types.scalar import ColumnType, ScalarType


class Column(msgspec.Struct, frozen=True):
    """A named column."""

    name: str
    type: ScalarType
    nullable: bool = True


class RelationDesc(msgspec.Struct, frozen=True):
    """Columns in row order, and sets of column indexes known to be unique.

    Shape: a row is the concatenation of one encoded datum a column, in this order. ``keys`` may be
    empty (nothing known); a key ``()`` says that there is at most one row. ``added`` has one
    encoded datum for each column that a table got after it was made, in order; those are its last.
    Rows that are older than such a column hold that datum in it, and may be stored without it.
    """

    columns: tuple[Column, ...]
    keys: tuple[tuple[int, ...], ...] = ()
    added: tuple[bytes, ...] = ()

    @property
    def arity(self) -> int:
        """Return the number of columns."""
        return len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns' names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def types(self) -> tuple[ColumnType, ...]:
        """Return the columns' types in order."""
        return tuple(ColumnType(column.type, column.nullable) for column in self.columns)

    def first(self, width: int) -> "RelationDesc":
        """Return the shape that this one has grown from, of the first ``width`` columns."""
        keys = tuple(key for key in self.keys if all(index < width for index in key))
        kept = len(self.added) - (self.arity - width)
        return RelationDesc(self.columns[:width], keys, self.added[: max(kept, 0)])

    def only(self, columns: Sequence[int]) -> "RelationDesc":
        """Return the shape of these columns, in the order given."""
        at = {column: place for place, column in enumerate(columns)}
        keys = tuple(
            tuple(at[column] for column in key)
            for key in self.keys
            if all(column in at for column in key)
        )
        return RelationDesc(tuple(self.columns[column] for column in columns), keys)

    def follows(self, other: "RelationDesc") -> bool:
        """Return whether rows of shape ``other`` can be read as rows of this one.

        Names, nullability and keys do not count: they are not in the rows.
        """
        more = self.arity - other.arity
        return (
            more == len(self.added) - len(other.added) >= 0
            and self.added[: len(other.added)] == other.added
            and all(
                mine.type == its.type
                for mine, its in zip(self.columns, other.columns, strict=False)
            )
        )
