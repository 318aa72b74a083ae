"""What planning evaluates by itself, and what it leaves to the dataflow."""

import pytest

from headwater.ir.effort import is_cheap
from headwater.ir.literals import int_literal, text_literal
from headwater.ir.scalar import Call, If, ScalarExpr
from headwater.types.scalar import BOOL, TEXT, ColumnType

ANY_TEXT = ColumnType(TEXT, nullable=True)
HUGE = text_literal("x" * 100_000)


def call(func: str, *args: ScalarExpr) -> Call:
    return Call(func, args, ANY_TEXT)


def repeated(times: int) -> Call:
    return call("repeat_text_int4", text_literal("xyz"), int_literal(times))


@pytest.mark.parametrize(
    ("expr", "cheap"),
    [
        (repeated(10), True),
        (repeated(1_000_000_000), False),
        (call("lpad_text_int4", text_literal("x"), int_literal(1_000_000_000)), False),
        (call("length_text", repeated(1_000_000_000)), False),
        (call("repeat_text_int4", text_literal("x"), call("f", int_literal(3))), False),
        (call("upper_text", text_literal("x")), True),
        (call("upper_text", HUGE), False),
        (call("replace_text_text_text", *[text_literal("x" * 1000)] * 3), False),
        (call("replace_text_text_text", *[text_literal("x")] * 3), True),
        (call("regex_text_text", text_literal("x" * 5000), text_literal("(x+)+y")), False),
        (call("regex_text_text", text_literal("x" * 50), text_literal("(x+)+y")), True),
        (call("array_fill_any_array", int_literal(1), text_literal("{1000000000}")), False),
        (If(call("f", repeated(3)), repeated(1_000_000_000), int_literal(1)), False),
        (Call("eq", (int_literal(2_000_000_000), int_literal(1)), ColumnType(BOOL, True)), True),
    ],
)
def test_cheap_is_what_is_small_and_soon_done(expr: ScalarExpr, cheap: bool) -> None:
    assert is_cheap(expr) is cheap
