"""Literals made in Python are those that the extension makes, and read back."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidTextRepresentation
from headwater.ir.literals import (
    FALSE,
    TRUE,
    bool_literal,
    fold_constant,
    int_datum,
    int_literal,
    is_null,
    literal_bool,
    literal_float,
    literal_from_text,
    literal_int,
    literal_interval,
    literal_text,
    null_literal,
    show_literal,
    text_datum,
    text_literal,
)
from headwater.ir.scalar import Call, LiteralError
from headwater.native.loader import native
from headwater.types.scalar import BOOL, FLOAT8, INT4, INT8, INTERVAL, NUMERIC, TEXT, ColumnType


@given(st.integers(-(2**63), 2**64 - 1))
def test_ints_read_back(value):
    assert literal_int(int_literal(value, INT8)) == value


@given(st.integers(-(2**63), 2**64 - 1), st.integers(-(2**63), 2**64 - 1))
def test_int_datums_order_as_their_values(left, right):
    assert (int_datum(left) < int_datum(right)) == (left < right)


@given(st.text())
def test_texts_read_back(value):
    assert literal_text(text_literal(value)) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_ints_are_the_extensions(value):
    assert native.datum_from_text(msgspec.msgpack.encode(INT8), str(value)) == int_datum(value)


@given(st.text().filter(lambda text: "\0" not in text))
def test_texts_are_the_extensions(value):
    assert native.datum_from_text(msgspec.msgpack.encode(TEXT), value) == text_datum(value)


def test_other_types_go_through_the_extension():
    assert literal_interval(literal_from_text("1 mon 2 days 00:00:03", INTERVAL)) == (
        1,
        2,
        3_000_000,
    )
    assert literal_float(literal_from_text("-1.5", FLOAT8)) == -1.5
    assert show_literal(literal_from_text("1.50", NUMERIC)) == "1.5"
    with pytest.raises(InvalidTextRepresentation, match="integer"):
        literal_from_text("x", INT4)


def test_constants_fold_to_values_or_errors():
    def call(func, *args):
        return Call(func, args, ColumnType(INT4, True))

    one, zero = int_literal(1), int_literal(0)
    folded = fold_constant(call("add_int4_int4", one, one))
    assert literal_int(folded) == 2
    failed = fold_constant(call("div_int4_int4", one, zero))
    assert isinstance(failed, LiteralError)
    assert failed.error.sqlstate == "22012"


def test_shown():
    assert show_literal(text_literal("it's")) == "'it''s'"
    assert show_literal(null_literal(INT4)) == "null"
    assert show_literal(bool_literal(True)) == "true"
    assert literal_bool(FALSE) is False
    assert literal_bool(null_literal(BOOL)) is None
    assert is_null(null_literal(TEXT))
    assert not is_null(TRUE)
