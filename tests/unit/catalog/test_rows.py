from decimal import Decimal

import pytest

from headwater.catalog import rows
from headwater.errors import DataCorrupted
from headwater.ir.literals import int_datum, parse_datum, text_datum
from headwater.types.scalar import BYTEA, TEXT, UUID, array_of


@pytest.mark.parametrize("value", [0, 1, 255, 256, -1, -255, -256, 2**63 - 1, -(2**63), 2**64 - 1])
def test_integers_are_encoded_as_the_planner_encodes_them(value):
    assert rows.integer(value) == int_datum(value)


def test_bytes_order_as_values_do():
    ints = [-(10**9), -256, -255, -1, 0, 1, 255, 256, 10**12]
    assert sorted(ints, key=rows.integer) == ints
    numbers = [Decimal(n) for n in ("-12.5", "-0.1", "0", "0.25", "1", "1.05", "99", "100")]
    assert sorted(numbers, key=rows.numeric) == numbers
    floats = [-2.5, -0.5, 0.0, 0.5, 7.0]
    assert sorted(floats, key=rows.float8) == floats
    assert rows.integer(2**64 - 1) < rows.integer(None)


def test_texts_are_read_back():
    row = rows.text("a\0b") + rows.text("") + rows.text("é")
    assert rows.text("a\0b") == text_datum("a\0b")
    assert rows.read_texts(row) == ["a\0b", "", "é"]


def test_a_damaged_row_of_texts_is_an_error():
    for damaged in (b"\x30abc", rows.integer(5), b"\x30a\x00"):
        with pytest.raises(DataCorrupted):
            rows.read_texts(damaged)


def test_uuids_and_bytes_are_encoded_as_rows_in_motion_are():
    text = "00010203-0405-0607-08ff-0a0b0c0d0e0f"
    assert rows.uuid(bytes.fromhex(text.replace("-", ""))) == parse_datum(text, UUID)
    assert rows.bytea(b"a\0\xff") == parse_datum("\\x6100ff", BYTEA)


def test_elements_of_an_array_may_be_null():
    assert rows.text_array(("a", None)) == parse_datum("{a,NULL}", array_of(TEXT))
