"""What the table says of order: over values that are at the edges of each type."""

from itertools import combinations, pairwise, product

import msgspec
import pytest

from headwater.ir import kernels
from headwater.ir.functions import CASTS, SIGNATURES
from headwater.ir.functions.signature import Pseudo
from headwater.ir.literals import literal_from_text
from headwater.ir.monotone import monotone_in
from headwater.ir.scalar import Call, Column
from headwater.native.loader import native
from headwater.types.scalar import BaseType, ColumnType, ScalarType

SIGNED = ["-2", "-1", "0", "1", "2", "7"]
VALUES = {
    BaseType.INT2: [*SIGNED, "-32768", "32767"],
    BaseType.INT4: [*SIGNED, "-2147483648", "2147483647", "40000", "-146000", "365"],
    BaseType.INT8: [*SIGNED, "-9223372036854775808", "9223372036854775807", "5000000000"],
    BaseType.UINT2: ["0", "1", "7", "40000", "65535"],
    BaseType.UINT4: ["0", "1", "7", "65536", "4294967295"],
    BaseType.UINT8: ["0", "1", "7", "4294967296", "18446744073709551615"],
    BaseType.FLOAT4: [
        *SIGNED,
        "-Infinity",
        "-3e38",
        "1e-44",
        "0.1",
        "1.5",
        "2.5",
        "3e38",
        "Infinity",
        "NaN",
    ],
    BaseType.FLOAT8: [
        *(*SIGNED, "-Infinity", "-1e308", "-1e15", "-0.5", "-1e-300", "1e-300", "0.5", "1.5"),
        *("2.5", "0.1", "32767.5", "1e10", "1e38", "1e39", "1e308", "Infinity", "NaN"),
    ],
    BaseType.NUMERIC: [
        *(*SIGNED, "-1e20", "-0.5", "1e-39", "0.000000000000000001", "0.5", "1.5"),
        *("2.5", "32767.5", "1e20", "9" * 39, "NaN"),
    ],
    BaseType.DATE: [
        *("4713-01-01 BC", "0001-12-31 BC", "0001-01-01", "1969-12-31", "1970-01-01"),
        *("2024-01-30", "2024-01-31", "2024-02-29", "2024-12-31", "2025-01-01", "9999-12-31"),
    ],
    BaseType.TIME: ["00:00", "00:00:00.000001", "12:30", "23:59:59.999999"],
    BaseType.INTERVAL: [
        *("-10000 days", "-1 day", "0", "1 microsecond", "1 hour", "30 days", "100000 days"),
        *("1 month", "-1 month", "1 year -3 days"),
    ],
    BaseType.TEXT: [
        *("microseconds", "second", "hour", "day", "week", "month", "quarter", "year", "epoch"),
        *("Year", "decade", "century", "2024-01-31T12:00:00Z", "2024-02-01", "x", ""),
    ],
    BaseType.MZ_TIMESTAMP: ["0", "1", "1700000000000", "18446744073709551615"],
}
VALUES[BaseType.TIMESTAMP] = [
    *VALUES[BaseType.DATE],
    *("2024-01-30 23:59:59.999999", "2024-01-31 00:00:00.5", "2024-03-31 02:30", "262142-12-31"),
]
VALUES[BaseType.TIMESTAMPTZ] = VALUES[BaseType.TIMESTAMP]
NOT_FINITE = {
    literal_from_text(text, ScalarType(base)).data
    for base in (BaseType.FLOAT4, BaseType.FLOAT8)
    for text in ("-Infinity", "Infinity", "NaN")
} | {literal_from_text("NaN", ScalarType(BaseType.NUMERIC)).data}


def values(type_: ScalarType):
    return [literal_from_text(text, type_) for text in VALUES[type_.base]]


def claims():
    """Return kernels with the types of their arguments and result, and where they are monotone."""
    for signature in SIGNATURES:
        types = (*signature.args, signature.result)
        usable = all(not isinstance(t, Pseudo) and t.base in VALUES for t in types)
        listed = signature.kernel.startswith(("extract_", "date_part_"))
        if usable and (signature.monotone or listed):
            yield pytest.param(*(signature.kernel, types[:-1], types[-1]), id=signature.kernel)
    for cast in CASTS.values():
        if cast.monotone and {cast.source, cast.target} <= set(VALUES):
            source, target = ScalarType(cast.source), ScalarType(cast.target)
            for modifier in (None, 2) if cast.target in (BaseType.TIMESTAMP,) else (None,):
                to = msgspec.structs.replace(target, modifier=modifier) if modifier else target
                yield pytest.param(cast.kernel, (source,), to, id=f"{cast.kernel}-{modifier}")


@pytest.mark.parametrize(("kernel", "args", "result"), list(claims()))
def test_results_never_fall_and_fail_only_beyond_an_interval(kernel, args, result):
    for at in range(len(args)):
        others = [values(type_) for number, type_ in enumerate(args) if number != at]
        for fixed in product(*others):
            literals = [*fixed[:at], Column(0), *fixed[at:]]
            call = Call(kernel, tuple(literals), ColumnType(result, nullable=True))
            if at in monotone_in(call):
                check(call, sorted({literal.data for literal in values(args[at])}))


def check(call: Call, arguments: list[bytes]) -> None:
    encoded = msgspec.msgpack.encode(call)
    found = {data: native.eval_scalar(encoded, data) for data in arguments}
    fine = [d for d in arguments if isinstance(found[d], bytes) and found[d] != b"\xfe"]
    if call.func in kernels.INFALLIBLE:
        assert all(isinstance(value, bytes) for value in found.values()), (call, found)
    else:
        # As the ends of a range of arguments, others are not looked at.
        literals = {arg.data for arg in call.args if not isinstance(arg, Column)}
        if literals & NOT_FINITE:
            return
        fine = [data for data in fine if data not in NOT_FINITE]
    for low, high in pairwise(fine):
        assert found[low] <= found[high], (call, low.hex(), high.hex())
    for low, high in combinations(fine, 2):
        between = [found[data] for data in arguments if low < data < high]
        assert all(isinstance(value, bytes) for value in between), (call, low.hex(), high.hex())


def test_a_month_breaks_the_order():
    def add(interval: str) -> Call:
        amount = literal_from_text(interval, ScalarType(BaseType.INTERVAL))
        type_ = ColumnType(ScalarType(BaseType.TIMESTAMP), nullable=True)
        return Call("add_timestamp_interval", (Column(0), amount), type_)

    # PostgreSQL: '2024-01-30 12:00' + '1 month' is '2024-02-29 12:00'; of '2024-01-31' it is less.
    assert monotone_in(add("1 month")) == frozenset()
    assert monotone_in(add("1 year 1 day")) == frozenset()
    assert monotone_in(add("-30 days 5 hours")) == {0}
