"""Errors of evaluation become exceptions with PostgreSQL's state, detail and hint."""

import msgspec
import pytest

from headwater.errors import HeadwaterError
from headwater.ir.literals import literal_from_text
from headwater.native.loader import native
from headwater.native.raised import error_of
from headwater.types.scalar import TEXT, array_of


def test_detail_and_hint_are_taken_off_the_message():
    error = error_of("22023", "bad\nDETAIL:  why\nHINT:  what to do")
    assert (error.sqlstate, error.message) == ("22023", "bad")
    assert (error.detail, error.hint) == ("why", "what to do")


def test_a_message_alone_has_neither():
    error = error_of("22012", "division by zero")
    assert (error.message, error.detail, error.hint) == ("division by zero", "", "")


def test_reading_a_literal_raises_what_its_type_says():
    with pytest.raises(HeadwaterError) as raised:
        literal_from_text("{a", array_of(TEXT))
    assert raised.value.sqlstate == "22P02"
    assert (
        native.datum_to_text(msgspec.msgpack.encode(TEXT), literal_from_text("a", TEXT).data) == "a"
    )
