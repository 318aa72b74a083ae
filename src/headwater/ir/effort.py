"""What evaluating a constant takes, estimated without doing it.

Planning evaluates constants, and everyone waits for planning: what is large or slow is left to the
dataflow, where it can be cancelled. An estimate may be far too high: the constant is then computed
when the statement runs.
"""

import math

from headwater.ir.literals import INT_RANGES, literal_int
from headwater.ir.scalar import Call, If, Literal, ScalarExpr

FOLD_BYTES_MAX = 64 * 1024  # bytes of a value that planning makes: some 0.1 ms to make and encode
SEARCHED_BYTES_MAX = 4 * 1024  # bytes of text and pattern: a pattern may cost 10 us a byte of text

# Kernels whose result is as large as a whole number among their arguments says.
_COUNTED = ("repeat_", "lpad_", "rpad_")
# Kernels whose result is as large as an array among their arguments says: that is not read here.
_SHAPED = ("array_fill_",)
# Kernels that put one argument in many places of another.
_MULTIPLYING = ("replace_", "regexp_replace_", "format_")
# Kernels that search by a pattern, or compare everything with everything.
_SEARCHING = (
    *("like_", "ilike_", "not_like_", "not_ilike_", "substring_text_text", "jsonb_path_"),
    *("regex", "iregex", "not_regex", "not_iregex"),
)


def is_cheap(expr: ScalarExpr) -> bool:
    """Return whether planning may evaluate a constant expression."""
    return _bytes(expr) <= FOLD_BYTES_MAX


def _bytes(expr: ScalarExpr) -> float:
    """Return how large the values that occur in evaluating ``expr`` get."""
    match expr:
        case Literal(data=data):
            return len(data)
        case If(cond=cond, then=then, els=els):
            return _bytes(cond) + max(_bytes(then), _bytes(els))
        case Call(func=func, args=args):
            return _bytes_of_call(func, args)
        case _:
            return 0


def _bytes_of_call(func: str, args: tuple[ScalarExpr, ...]) -> float:
    given = sum(map(_bytes, args))
    if func.startswith(_COUNTED):
        return given * max((_count(arg) for arg in args), default=1)
    if func.startswith(_SHAPED):
        return math.inf
    if func.startswith(_SEARCHING) and given > SEARCHED_BYTES_MAX:
        return math.inf
    return given * given if func.startswith(_MULTIPLYING) else given


def _count(arg: ScalarExpr) -> float:
    """Return the value of a whole number, 1 for what is none; what is not known yet is endless."""
    if not isinstance(arg, Literal):
        return math.inf
    if arg.type.type.base not in INT_RANGES:
        return 1
    return max(literal_int(arg) or 1, 1)
