"""A part that is passed over would have added nothing: no row, at no time, and no error.

Random rows become a real part with the statistics that are written of it; random chains over them
are held against those, and applied to each row.
"""

from decimal import Decimal

import msgspec
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from headwater.compute.selection import PartSelector
from headwater.ir import kernels
from headwater.ir.linear import Linear
from headwater.ir.literals import int_literal, literal_from_text
from headwater.ir.scalar import (
    Call,
    CallUnmaterializable,
    Column,
    If,
    Literal,
    ScalarExpr,
    UnmaterializableFunc,
)
from headwater.native.loader import native
from headwater.persist import codec, flat
from headwater.persist.parts import BlobPart
from headwater.sql.lower.mfp import to_mfp
from headwater.sql.lower.selection import derive_selection
from headwater.types import scalar
from headwater.types.relation import Column as ColumnDesc
from headwater.types.relation import RelationDesc
from headwater.types.scalar import BOOL, BaseType, ColumnType, ScalarType

BOOL_TYPE = ColumnType(BOOL, nullable=True)
NOW = CallUnmaterializable(
    UnmaterializableFunc.MZ_NOW, ColumnType(scalar.MZ_TIMESTAMP, nullable=False)
)
TYPES = (
    scalar.INT4,
    scalar.FLOAT8,
    scalar.NUMERIC,
    scalar.TEXT,
    scalar.TIMESTAMP,
    scalar.BOOL,
    scalar.MZ_TIMESTAMP,
    ScalarType(BaseType.BPCHAR, modifier=5),
)
DESC = RelationDesc(tuple(ColumnDesc(f"c{i}", type_) for i, type_ in enumerate(TYPES)))
SMALL = st.integers(-9, 9)
FLOATS = st.sampled_from(["-Infinity", "Infinity", "NaN", "-0", "1e308", "-1e308", "1e-300"])
# Longer than what a bound keeps, and equal up to there.
LONG = st.sampled_from(
    ["x" * 70, "x" * 62 + "\u00e9\u00e9", "x" * 70 + "a", "\uffff" * 30, "x" * 61]
)
TEXTS = {
    scalar.INT4: st.one_of(SMALL.map(str), st.sampled_from(["2147483647", "-2147483648"])),
    scalar.FLOAT8: st.one_of(SMALL.map(str), FLOATS),
    scalar.NUMERIC: st.one_of(
        st.builds(lambda n, s: f"{Decimal(n).scaleb(-s):f}", SMALL, st.integers(0, 3)),
        st.sampled_from(["1.0", "1.00", "NaN", "9" * 39]),
    ),
    scalar.TEXT: st.one_of(st.text("ab", max_size=3), LONG),
    scalar.TIMESTAMP: st.one_of(
        st.integers(0, 9).map(lambda day: f"2024-01-{20 + day} 12:00"),
        st.sampled_from(["4713-01-01 BC", "262142-12-31", "1970-01-01"]),
    ),
    scalar.BOOL: st.sampled_from(["t", "f"]),
    scalar.MZ_TIMESTAMP: st.one_of(st.integers(0, 19).map(str), st.just("18446744073709551615")),
    TYPES[7]: st.text("ab ", max_size=4),
}


def typed(func: str, args: tuple[ScalarExpr, ...], type_: ScalarType) -> Call:
    return Call(func, args, ColumnType(type_, nullable=True))


def literals(type_: ScalarType, *, nulls: bool = True) -> st.SearchStrategy[Literal]:
    values = TEXTS[type_].map(lambda text: literal_from_text(text, type_))
    return st.one_of(values, st.just(kernels.null_of(type_))) if nulls else values


@st.composite
def values(draw, type_: ScalarType) -> ScalarExpr:  # noqa: C901 -- one table
    """An expression of a type: a column, and what it may be made of others."""
    column = Column(TYPES.index(type_))
    choice = draw(st.integers(0, 7))
    int4 = Column(0)
    match type_, choice:
        case scalar.INT4, 0:
            return typed("add_int4_int4", (int4, draw(literals(scalar.INT4))), type_)
        case scalar.INT4, 1:
            return typed("sub_int4_int4", (int4, int4), type_)
        case scalar.INT4, 2:
            return typed("div_int4_int4", (draw(literals(scalar.INT4)), int4), type_)
        case scalar.INT4, 3:
            return typed("cast_float8_int4", (Column(1),), type_)
        case scalar.INT4, 4:
            return typed("cast_numeric_int4", (draw(values(scalar.NUMERIC)),), type_)
        case scalar.FLOAT8, 0:
            return typed("cast_int4_float8", (draw(values(scalar.INT4)),), type_)
        case scalar.FLOAT8, 1:
            args = (draw(values(scalar.FLOAT8)), draw(literals(scalar.FLOAT8)))
            return typed("add_float8_float8", args, type_)
        case scalar.FLOAT8, 2:
            return typed("sqrt_float8", (column,), type_)
        case scalar.NUMERIC, 0:
            return typed("cast_int4_numeric", (draw(values(scalar.INT4)),), type_)
        case scalar.NUMERIC, 1:
            to = ScalarType(BaseType.NUMERIC, modifier=1)
            return typed("cast_numeric_numeric", (column,), to)
        case scalar.NUMERIC, 2:
            return typed("add_numeric_numeric", (column, draw(literals(scalar.NUMERIC))), type_)
        case scalar.TIMESTAMP, 0 | 1:
            text = draw(st.sampled_from(["1 day", "-3 days 5 hours", "1 month", "300000 years"]))
            amount = literal_from_text(text, scalar.INTERVAL)
            return typed("add_timestamp_interval", (column, amount), type_)
        case scalar.TIMESTAMP, 2:
            unit = literal_from_text(draw(st.sampled_from(["day", "week", "x"])), scalar.TEXT)
            return typed("date_trunc_text_timestamp", (unit, column), type_)
        case scalar.MZ_TIMESTAMP, 0:
            return typed("cast_int4_mz_timestamp", (draw(values(scalar.INT4)),), type_)
        case scalar.MZ_TIMESTAMP, 1:
            return typed("cast_timestamp_mz_timestamp", (draw(values(scalar.TIMESTAMP)),), type_)
        case scalar.MZ_TIMESTAMP, 2:
            one = int_literal(draw(st.integers(0, 9)), scalar.UINT8)
            return typed("add_uint8_uint8", (column, one), type_)
        case scalar.BOOL, 0:
            return typed("not", (column,), type_)
    if choice == 7:
        cond = typed("lt", (int4, draw(literals(scalar.INT4))), scalar.BOOL)
        return If(cond, column, draw(literals(type_)))
    return column


@st.composite
def comparisons(draw) -> ScalarExpr:
    type_ = draw(st.sampled_from(TYPES))
    left = draw(values(type_))
    func = draw(st.sampled_from([*kernels.COMMUTED, "is_distinct", "is_null"]))
    if func == "is_null":
        return Call(func, (left,), BOOL_TYPE)
    right = draw(literals(type_)) if draw(st.integers(0, 9)) else draw(values(type_))
    args = (left, right) if draw(st.booleans()) else (right, left)
    return Call(func, args, BOOL_TYPE)


conditions = st.recursive(
    st.one_of(comparisons(), st.just(Column(5))),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda a: Call("and", tuple(a), BOOL_TYPE)),
        st.lists(inner, min_size=2, max_size=3).map(lambda a: Call("or", tuple(a), BOOL_TYPE)),
        st.builds(
            lambda func, arg: Call(func, (arg,), BOOL_TYPE),
            st.sampled_from(["not", "is_true", "is_false"]),
            inner,
        ),
    ),
    max_leaves=4,
)


@st.composite
def temporal(draw) -> ScalarExpr:
    func = draw(st.sampled_from(["eq", "lt", "le", "gt", "ge"]))
    return Call(func, (NOW, draw(values(scalar.MZ_TIMESTAMP))), BOOL_TYPE)


@st.composite
def chains(draw) -> Linear:
    made = draw(st.lists(st.sampled_from(TYPES).flatmap(values), max_size=2))
    linear = Linear.identity(len(TYPES)).then_map(made)
    linear = linear.then_filter(draw(st.lists(conditions, min_size=0, max_size=3)))
    return linear.then_filter(draw(st.lists(temporal(), max_size=2)))


@st.composite
def parts(draw) -> list[bytes]:
    """Rows whose values are near each other: then statistics say something."""
    pools = [draw(st.lists(literals(type_), min_size=1, max_size=3)) for type_ in TYPES]
    row = st.tuples(*map(st.sampled_from, pools))
    rows = draw(st.lists(row, min_size=1, max_size=6))
    return [b"".join(literal.data for literal in row) for row in rows]


def part_of(rows: list[bytes]) -> BlobPart:
    encoded = codec.encode(DESC, flat.build([(row, 3, 1) for row in rows]), errors=False)
    info = encoded.info
    return BlobPart(
        *("key", encoded.encoding, info.updates, len(encoded.data), 0, None),
        *(info.stats, info.first, info.last),
    )


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(chains(), parts(), st.integers(0, 20), st.none() | st.integers(1, 20))
def test_a_part_passed_over_adds_nothing(chain, rows, since, length):
    mfp = to_mfp(chain)
    selection = derive_selection(mfp)
    until = None if length is None else since + length
    wanted = PartSelector(selection, until).wants(part_of(rows), since)
    event(f"selection: {selection is not None}, read: {wanted}")
    if wanted:
        return
    encoded = msgspec.msgpack.encode(mfp)
    for row in rows:
        match native.eval_mfp(encoded, row):
            case None:
                pass
            case (bytes(), lower, upper):
                begins = max(lower, since)
                ends = upper is not None and upper <= begins
                assert ends or (until is not None and begins >= until), (row.hex(), lower, upper)
            case error:
                raise AssertionError(f"{error} is hidden: {row.hex()}")
