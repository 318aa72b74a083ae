"""Parts at rest, as other tools and as we read them."""

import io

import msgspec
import pyarrow.parquet as pq
import pytest

from headwater.errors import DataCorrupted
from headwater.persist import codec, flat
from headwater.persist.blob import LocalBlob
from headwater.persist.parts import BlobPart, InlinePart, PartRef
from headwater.persist.write import ShardAppend
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8, TEXT

DESC = RelationDesc((Column("id", INT8), Column("name", TEXT)))


def row(number: int, text: str) -> bytes:
    """Encode a whole number from 1 to 255 and a text."""
    return bytes((0x19, number, 0x30)) + text.encode() + b"\0\0"


DATA = flat.build([(row(7, "seven"), 3, 1), (row(2, "two"), 1, 2), (row(2, "two"), 1, -1)])


def blob_part(encoded: codec.EncodedPart, stamp: int | None = None) -> BlobPart:
    return BlobPart(
        key="s/1",
        encoding=encoded.encoding,
        updates=encoded.updates,
        bytes=len(encoded.data),
        checksum=codec.checksum(encoded.data),
        stamp=stamp,
        stats=encoded.info.stats,
    )


def test_other_tools_open_parts() -> None:
    encoded = codec.encode(DESC, DATA, errors=False)
    table = pq.read_table(io.BytesIO(encoded.data))
    assert table.to_pydict() == {
        "id": [2, 7],
        "name": ["two", "seven"],
        "__time": [1, 3],
        "__diff": [1, 1],
    }
    assert [(s.low, s.high, s.nulls) for s in encoded.info.stats] == [
        (b"\x19\x02", b"\x19\x07", 0),
        (b"\x30seven\0\0", b"\x30two\0\0", 0),
    ]


def test_references_choose_what_counts() -> None:
    encoded = codec.encode(DESC, DATA, errors=False)
    whole = InlinePart(DATA, 3)

    def got(part: BlobPart | InlinePart, **bounds: int) -> list[flat.Update]:
        data = part.data if isinstance(part, InlinePart) else encoded.data
        return flat.consolidate(codec.decode(DESC, PartRef("s", part, **bounds), data))

    for part in (whole, blob_part(encoded)):
        assert got(part) == [(row(2, "two"), 1, 1), (row(7, "seven"), 3, 1)]
        assert got(part, upper=3) == [(row(2, "two"), 1, 1)]
        assert got(part, lower=2) == [(row(7, "seven"), 3, 1)]
        assert got(part, as_of=2) == [(row(2, "two"), 2, 1), (row(7, "seven"), 3, 1)]
    assert got(blob_part(encoded, stamp=9), as_of=4) == [
        (row(2, "two"), 9, 1),
        (row(7, "seven"), 9, 1),
    ]
    assert got(blob_part(encoded, stamp=9), upper=9) == []


def test_merging_parts() -> None:
    encoded = codec.encode(DESC, DATA, errors=False)
    back = flat.build([(row(7, "seven"), 4, -1)])
    inputs = [(blob_part(encoded), encoded.data), (InlinePart(back, 1), back)]
    (merged,) = codec.merge(DESC, inputs, 5, 1 << 20, errors=False)
    ref = PartRef("s", blob_part(merged))
    assert flat.consolidate(codec.decode(DESC, ref, merged.data)) == [(row(2, "two"), 5, 1)]
    assert merged.updates == 1


def test_malformed_parts_are_errors() -> None:
    encoded = codec.encode(DESC, DATA, errors=False)
    for data in (b"", encoded.data[:-9], encoded.data[20:]):
        with pytest.raises(DataCorrupted):
            codec.decode(DESC, PartRef("s", blob_part(encoded)), data)
    unknown = msgspec.structs.replace(blob_part(encoded), encoding="orc")
    with pytest.raises(DataCorrupted):
        codec.decode(DESC, PartRef("s", unknown), encoded.data)
    with pytest.raises(DataCorrupted):
        codec.decode(DESC, PartRef("s", InlinePart(DATA, 2)), DATA)
    with pytest.raises(DataCorrupted):
        codec.encode(DESC, flat.build([(b"\x99", 0, 1)]), errors=False)


async def test_missing_and_damaged_blobs_name_shard_and_part(client, tmp_path) -> None:
    writer = await client.open_writer("s1", DESC)
    many = flat.build_at([row(1 + i % 200, f"{i:0100}") for i in range(2000)], 0)
    errors = flat.build_at([b"\x3022012:division by zero\0\0"], 0)
    await client.append_many([ShardAppend(writer, many, 0, 1, errors)])
    reader = await client.open_reader("s1")
    snapshot = await reader.snapshot(0)
    assert [await reader.fetch_flat(ref) for ref in snapshot.errors] == [errors]
    (ref,) = snapshot.parts
    assert len(flat.consolidate(await reader.fetch_flat(ref))) == 2000
    path = tmp_path / "blob" / ref.part.key
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DataCorrupted, match=r'part "s1/.*" of shard s1 is damaged'):
        await reader.fetch_flat(ref)
    await LocalBlob(tmp_path / "blob").delete(ref.part.key)
    with pytest.raises(DataCorrupted, match=r'"s1/.*" is missing'):
        await reader.fetch_flat(ref)
