"""Where a table's columns are in its rows, once columns have gone.

Rows stay as they are stored when a column is dropped: its place is kept, and NULL in new rows, like
PostgreSQL's ``attisdropped``. A column of another type is a new one at the end of the row, in the
old one's place among the columns.
"""

from collections.abc import Sequence

import msgspec

from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import ScalarType


class Layout(msgspec.Struct, frozen=True):
    """The places of columns in rows.

    Attributes:
        shown: The places of the columns that there are, in their order.
        gone: The other places, and the types that they have.
    """

    shown: tuple[int, ...]
    gone: tuple[tuple[int, ScalarType], ...]

    @staticmethod
    def of(shown: Sequence[int], types: Sequence[ScalarType]) -> "Layout | None":
        """Return the layout of rows of ``types``; None where all is shown as it stands."""
        if tuple(shown) == tuple(range(len(types))):
            return None
        gone = (place for place in range(len(types)) if place not in set(shown))
        return Layout(tuple(shown), tuple((place, types[place]) for place in gone))


def stored_shape(
    desc: RelationDesc, layout: Layout | None, added: tuple[bytes, ...]
) -> RelationDesc:
    """Return the shape of the rows of a table whose columns are those of ``desc``."""
    if layout is None:
        return RelationDesc(desc.columns, desc.keys, added)
    columns = {place: Column(_gone_name(place), type) for place, type in layout.gone}
    columns.update(zip(layout.shown, desc.columns, strict=True))
    keys = tuple(tuple(layout.shown[index] for index in key) for key in desc.keys)
    return RelationDesc(tuple(columns[place] for place in range(len(columns))), keys, added)


def _gone_name(place: int) -> str:
    return f"........pg.dropped.{place + 1}........"
