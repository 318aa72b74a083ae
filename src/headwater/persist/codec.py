"""Parts as bytes: encoding, checksums, merging, and what of a part counts for a reader.

Parquet is Rust's work (``hw-persist`` behind ``headwater.native``), and so is whatever goes over
the updates of a part one by one; flat parts that count whole are passed on as they are.
"""

import zlib
from collections.abc import Sequence

import msgspec

from headwater.errors import DataCorrupted
from headwater.native.loader import native
from headwater.persist import flat
from headwater.persist.parts import BlobPart, ColumnStats, InlinePart, Part, PartRef
from headwater.types.relation import RelationDesc

FLAT = "flat"
PARQUET = "parquet"


class PartInfo(msgspec.Struct, frozen=True):
    """What is known of a part without reading it; the fields are those of :class:`BlobPart`."""

    updates: int
    stats: tuple[ColumnStats, ...] = ()
    first: bytes = b""
    last: bytes | None = None


class EncodedPart(msgspec.Struct, frozen=True):
    """The stored form of some updates."""

    data: bytes
    encoding: str
    info: PartInfo

    @property
    def updates(self) -> int:
        """Return the number of updates."""
        return self.info.updates


class RowRange(msgspec.Struct, frozen=True):
    """Rows from ``low`` on and before ``high``, by the order of bytes; None: no bound."""

    low: bytes | None = None
    high: bytes | None = None

    def meets(self, part: Part) -> bool:
        """Return whether a part may have such rows."""
        if not isinstance(part, BlobPart):
            return True
        return not self._follows(part.last) and (self.high is None or part.first < self.high)

    def _follows(self, last: bytes | None) -> bool:
        """Return whether the range begins after ``last``, with what columns added to it give."""
        if self.low is None or last is None:
            return False
        return last < self.low and not self.low.startswith(last)


EVERYWHERE = RowRange()
_info = msgspec.msgpack.Decoder(PartInfo)


def checksum(data: bytes) -> int:
    """Return the CRC-32 of a stored part."""
    return zlib.crc32(data)


def verify(ref: PartRef, part: BlobPart, data: bytes) -> None:
    """Raise DataCorrupted unless ``data`` is what was written."""
    if len(data) != part.bytes or checksum(data) != part.checksum:
        raise DataCorrupted(
            f'part "{part.key}" of shard {ref.shard} is damaged',
            detail=(
                f"It has {len(data)} bytes with checksum {checksum(data):08x} where {part.bytes} "
                f"bytes with checksum {part.checksum:08x} were written."
            ),
        )


def encode(desc: RelationDesc, data: bytes, *, errors: bool) -> EncodedPart:
    """Return a flat batch as Parquet, sorted and consolidated.

    Raises:
        DataCorrupted: The batch is malformed.
    """
    try:
        stored, info = native.persist_encode(_desc(desc), errors, data)
    except ValueError as error:
        raise DataCorrupted("updates cannot be written as a part", detail=f"{error}.") from error
    return EncodedPart(stored, PARQUET, _info.decode(info))


def decode(desc: RelationDesc, ref: PartRef, data: bytes) -> bytes:
    """Return the updates of a part that count, flat.

    Raises:
        DataCorrupted: The part is not what its reference says.
    """
    part = ref.part
    encoding, stamp = (part.encoding, part.stamp) if isinstance(part, BlobPart) else (FLAT, None)
    if encoding == FLAT and flat.count(data) != part.updates:
        raise DataCorrupted(
            f"part of shard {ref.shard} has {flat.count(data)} updates, not {part.updates}"
        )
    if encoding == FLAT and stamp is None and not desc.added and _counts_whole(ref, data):
        return data
    try:
        return native.persist_decode(
            _desc(desc), encoding, data, stamp, ref.lower, ref.upper, ref.as_of
        )
    except ValueError as error:
        name = part.key if isinstance(part, BlobPart) else "inline"
        raise DataCorrupted(
            f'part "{name}" of shard {ref.shard} cannot be read', detail=f"{error}."
        ) from error


def merge(
    desc: RelationDesc,
    inputs: Sequence[tuple[Part, bytes]],
    since: int,
    target_bytes: int,
    *,
    errors: bool,
    within: RowRange = EVERYWHERE,
) -> list[EncodedPart]:
    """Return parts with the inputs' rows in a range, times advanced to ``since``, consolidated.

    Raises:
        DataCorrupted: An input is malformed.
    """
    raw = [
        (part.encoding, data, part.stamp) if isinstance(part, BlobPart) else (FLAT, data, None)
        for part, data in inputs
    ]
    try:
        merged = native.persist_merge(
            _desc(desc), errors, raw, within.low, within.high, since, target_bytes
        )
    except ValueError as error:
        raise DataCorrupted("parts cannot be merged", detail=f"{error}.") from error
    return [EncodedPart(stored, PARQUET, _info.decode(info)) for stored, info in merged]


def split(desc: RelationDesc, data: bytes, target_bytes: int, *, errors: bool) -> list[EncodedPart]:
    """Return a flat batch as several Parquet parts, each a range of rows."""
    return merge(desc, [(inline(data), data)], 0, target_bytes, errors=errors)


def to_flat(desc: RelationDesc, encoded: EncodedPart) -> bytes:
    """Return an encoded part as a flat batch."""
    return native.persist_decode(_desc(desc), encoded.encoding, encoded.data, None, 0, None, None)


def inline(data: bytes) -> InlinePart:
    """Return a small batch as a part."""
    return InlinePart(data=data, updates=flat.count(data))


def _counts_whole(ref: PartRef, data: bytes) -> bool:
    all_times = flat.times(data)
    if not all_times:
        return True
    first, last = min(all_times), max(all_times)
    inside = first >= ref.lower and (ref.upper is None or last < ref.upper)
    return inside and (ref.as_of is None or first >= ref.as_of)


def _desc(desc: RelationDesc) -> bytes:
    return msgspec.msgpack.encode(desc)
