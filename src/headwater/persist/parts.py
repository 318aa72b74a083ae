"""Parts: where updates are, and which of them count for a reader."""

import msgspec

from headwater.types.frontier import Frontier
from headwater.types.time import TIMESTAMP_MIN, Timestamp

# Parts up to this size live in the consensus store's log (measured: design, section 11).
INLINE_BYTES_MAX_SQLITE = 64 << 10
INLINE_BYTES_MAX_POSTGRES = 16 << 10


bytes_ = bytes  # a part has an attribute of that name


class ColumnStats(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one column of a part without reading it.

    ``low`` and ``high`` are encoded datums, possibly truncated: every value ``v`` that is not NULL
    has ``low <= v`` and, if ``high`` is set, ``v <= high`` by the order of bytes.
    """

    low: bytes | None = None
    high: bytes | None = None
    nulls: int = 0


class InlinePart(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="inline"):
    """Updates in the flat codec, carried by the state itself."""

    data: bytes
    updates: int

    @property
    def bytes(self) -> int:
        """Return the encoded size."""
        return len(self.data)


class BlobPart(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="blob"):
    """Updates in the blob store under ``key``.

    Attributes:
        encoding: ``parquet`` or ``flat``.
        checksum: CRC-32 of the stored bytes.
        stamp: The time of every update, in place of what is stored, if set.
        stats: One entry a column; empty where nothing is known.
        first: At or below every row, by the order of bytes.
        last: At or above every row; None where unknown.
    """

    key: str
    encoding: str
    updates: int
    bytes: int
    checksum: int
    stamp: Timestamp | None = None
    stats: tuple[ColumnStats, ...] = ()
    first: bytes_ = b""
    last: bytes_ | None = None


Part = InlinePart | BlobPart


class PartRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a shard, and which of its updates count.

    In this order: times are replaced by the part's ``stamp`` if it has one; updates with
    ``lower <= time < upper`` stay (None: no bound); times advance to at least ``as_of`` if set.
    """

    shard: str
    part: Part
    lower: Timestamp = TIMESTAMP_MIN
    upper: Frontier = None
    as_of: Timestamp | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """A collection as of one time: the sum of all parts, times advanced to ``as_of``."""

    as_of: Timestamp
    parts: tuple[PartRef, ...]
    errors: tuple[PartRef, ...]


class Delta(msgspec.Struct, frozen=True):
    """All updates of a collection with ``lower <= time < upper``; there may be none."""

    lower: Timestamp
    upper: Frontier
    parts: tuple[PartRef, ...] = ()
    errors: tuple[PartRef, ...] = ()
