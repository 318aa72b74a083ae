"""Parts as bytes: encoding, checksums, and what of a part counts for a reader.

Parquet is Rust's work (``hw-persist`` behind ``headwater.native``); flat parts are read here too.
"""

import zlib

from headwater.errors import DataCorrupted, IncompatibleVersion
from headwater.persist import flat
from headwater.persist.parts import BlobPart, ColumnStats, InlinePart, PartRef
from headwater.types.relation import RelationDesc

FLAT = "flat"
PARQUET = "parquet"


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


def encode(
    desc: RelationDesc, data: bytes, *, errors: bool
) -> tuple[bytes, str, tuple[ColumnStats, ...]]:
    """Return the stored form of a batch, the form's name, and what it says of the columns."""
    return data, FLAT, ()


def decode(desc: RelationDesc, ref: PartRef, data: bytes) -> bytes:
    """Return the updates of a part that count, flat."""
    part = ref.part
    if isinstance(part, BlobPart):
        match part.encoding:
            case "flat":
                pass
            case _:
                raise IncompatibleVersion(
                    f'part "{part.key}" of shard {ref.shard} has the unknown encoding '
                    f'"{part.encoding}"'
                )
        if part.stamp is not None:
            data = flat.stamp(data, part.stamp)
    if flat.count(data) != part.updates:
        raise DataCorrupted(f"part of shard {ref.shard} has a wrong number of updates")
    return flat.restrict(data, ref.lower, ref.upper, ref.as_of)


def inline(data: bytes) -> InlinePart:
    """Return a small batch as a part."""
    return InlinePart(data=data, updates=flat.count(data))
