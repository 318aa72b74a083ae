"""Which parts are fetched: what statistics say, and what a feed does with it."""

import msgspec
import pytest

from headwater.compute.selection import PartSelector
from headwater.compute.worker import Feed, feed_history
from headwater.ir.literals import literal_from_text
from headwater.ir.scalar import Call, Column
from headwater.ir.selection import Range, Selection, Within
from headwater.native.loader import native
from headwater.persist import codec, flat
from headwater.persist.parts import BlobPart, Delta, InlinePart, PartRef, Snapshot
from headwater.types.relation import Column as ColumnDesc
from headwater.types.relation import RelationDesc
from headwater.types.scalar import FLOAT8, INT4, MZ_TIMESTAMP, TEXT, ColumnType
from headwater.types.time import Timestamp

DESC = RelationDesc((ColumnDesc("a", INT4), ColumnDesc("b", TEXT)))
NULL = b"\xfe"


def part(*rows: tuple[int | None, str | None], key: str = "key") -> BlobPart:
    encoded = codec.encode(
        DESC, flat.build([(int_(a) + text(b), 1, 1) for a, b in rows]), errors=False
    )
    info = encoded.info
    return BlobPart(
        *(key, encoded.encoding, info.updates, len(encoded.data), 0, None),
        *(info.stats, info.first, info.last),
    )


def int_(value: int | None) -> bytes:
    return NULL if value is None else native.encode_int(value)


def text(value: str | None) -> bytes:
    return NULL if value is None else native.encode_text(value)


def wants(condition: Within, part: BlobPart | InlinePart) -> bool:
    return PartSelector(Selection((condition,))).wants(part, Timestamp(5))


def within(low: int, high: int, *, nulls: bool = False, expr=Column(0)) -> Within:  # noqa: B008
    return Within(expr, (Range(int_(low), int_(high)),), nulls)


def test_ranges_meet_bounds_at_their_ends():
    rows = part((3, "x"), (7, "x"))
    assert wants(within(7, 9), rows)
    assert wants(within(0, 4), rows)
    assert not wants(within(0, 3), rows)
    assert not wants(within(8, 100), rows)
    several = Within(Column(0), (Range(high=int_(3)), Range(int_(8), int_(9)), Range(int_(20))))
    assert not wants(several, rows)
    assert wants(several, part((3, "x"), (8, "x")))
    assert wants(several, part((25, "x")))


def test_nulls_are_counted():
    assert not wants(within(0, 9), part((None, "x")))
    assert wants(within(0, 9, nulls=True), part((None, "x")))
    assert not wants(within(0, 9, nulls=True), part((11, "x")))
    assert not wants(Within(Column(0), (), nulls=True), part((1, "x"), (2, "x")))
    assert wants(Within(Column(0), (), nulls=True), part((1, "x"), (None, "x")))


def test_bounds_cut_short_stay_bounds():
    long = "m" * 100
    cut = part((1, long))

    def at_least(value: str) -> Within:
        return Within(Column(1), (Range(text(value)),))

    assert wants(at_least(long), cut)
    assert wants(at_least("m" * 99), cut)
    assert not wants(at_least("n"), cut)
    assert not wants(Within(Column(1), (Range(high=text("l")),)), cut)
    # No bound is kept above what has none that is short.
    assert wants(at_least("n"), part((1, "\U0010ffff" * 30)))


def test_what_is_not_known_is_read():
    unknown = BlobPart("key", "flat", 1, 1, 0)
    assert wants(within(0, 3), unknown)
    assert wants(within(0, 3), InlinePart(b"", 0))
    assert PartSelector(None).wants(part((3, "x")), Timestamp(5))


def test_a_call_that_fails_at_an_end_is_read():
    one = literal_from_text("1", INT4)
    plus = Call("add_int4_int4", (Column(0), one), ColumnType(INT4, nullable=True))
    assert wants(within(5, 9, expr=plus), part((4, "x")))
    assert not wants(within(5, 9, expr=plus), part((3, "x")))
    # 2147483647 + 1 is an error, and an error is an answer.
    assert wants(within(5, 9, expr=plus), part((20, "x"), (2147483647, "x")))


def test_infinities_vouch_for_nothing_between():
    """``-Infinity + -1e308`` is fine, ``-1e308 + -1e308`` is out of range."""
    desc = RelationDesc((ColumnDesc("x", FLOAT8),))
    values = [literal_from_text(text, FLOAT8).data for text in ("-Infinity", "-1e308", "0")]
    encoded = codec.encode(desc, flat.build((row, 1, 1) for row in values), errors=False)
    stats = encoded.info.stats
    mixed = BlobPart("key", encoded.encoding, 3, len(encoded.data), 0, stats=stats)
    args = (Column(0), literal_from_text("-1e308", FLOAT8))
    plus = Call("add_float8_float8", args, ColumnType(FLOAT8, nullable=True))
    beyond = Within(plus, (Range(literal_from_text("5", FLOAT8).data),))
    assert PartSelector(Selection((beyond,))).wants(mixed, Timestamp(5))
    failing = native.eval_scalar(msgspec.msgpack.encode(plus), values[1])
    assert failing[0] == "22003"


@pytest.mark.parametrize(
    ("lower", "upper", "wanted"),
    [
        (None, [9], True),
        (None, [4, 5], False),
        (None, [4, 6], True),
        ([4, 9], None, True),
        ([8, 9], None, False),
        ([7, 9], None, True),
    ],
)
def test_rows_that_hold_at_none_of_the_times_are_not_read(lower, upper, wanted):
    type_ = ColumnType(MZ_TIMESTAMP, nullable=True)
    moment = Call("cast_int4_mz_timestamp", (Column(0),), type_)
    selection = Selection(
        lower_bounds=(moment,) if lower else (), upper_bounds=(moment,) if upper else ()
    )
    rows = part(*((value, "x") for value in lower or upper))
    assert PartSelector(selection, Timestamp(8)).wants(rows, Timestamp(5)) is wanted
    assert PartSelector(selection).wants(rows, Timestamp(5)) is (wanted or bool(lower))


class Fed:
    """Workers that remember what they were given."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.uppers: list[int | None] = []

    def feed(self, token, parts, upper):
        self.parts.extend(part[2] for part in parts)
        if not parts:
            self.uppers.append(upper)


class History:
    """A reader of a snapshot at 5, and of one delta after it that ends the collection."""

    def __init__(self, parts: list[BlobPart], later: list[BlobPart]) -> None:
        self._parts, self._later = refs(parts), refs(later)

    async def snapshot(self, as_of):
        return Snapshot(as_of, self._parts, refs([part((1, "e"), key="error")]))

    async def listen(self, as_of):
        yield Delta(as_of + 1, None, self._later, ())


def refs(parts: list[BlobPart]) -> tuple[PartRef, ...]:
    return tuple(PartRef("s1", part) for part in parts)


async def test_snapshots_and_deltas_pass_over_parts_but_never_over_errors():
    parts = [part((n, "x"), (n + 5, "x"), key=f"k{n}") for n in (0, 10, 20)]
    later = [part((n, "x"), key=f"d{n}") for n in (11, 40)]
    fed, tallies = Fed(), []

    async def fetch(ref: PartRef) -> bytes:
        return ref.part.key.encode()

    selector = PartSelector(Selection((within(12, 15),)))
    feed = Feed(fed, fetch, 1, selector, lambda *counts: tallies.append(counts))
    await feed_history(feed, History(parts, later), Timestamp(5), None)
    assert fed.parts == [b"k10", b"error"]
    assert fed.uppers == [6, None]
    assert tallies == [(2, 2), (0, 2)]
