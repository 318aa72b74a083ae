"""The shape of a relation: its columns, in order, and its keys."""

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
    empty (nothing known); a key ``()`` says that there is at most one row.
    """

    columns: tuple[Column, ...]
    keys: tuple[tuple[int, ...], ...] = ()

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
