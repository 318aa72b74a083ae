"""Which parts of a stored collection a read needs, by their statistics.

A part is passed over only if every row of it would be dropped without an error by the chain that is
applied to rows as they are read; the answer with it and without it are the same. What isn't known
is assumed: a part without statistics is read.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from headwater.errors import InternalError
from headwater.ir import kernels
from headwater.ir.literals import literal_from_text
from headwater.ir.monotone import RELABELS, may_introduce_null, monotone_in
from headwater.ir.rows import skip
from headwater.ir.scalar import Call, Column, Literal, ScalarExpr
from headwater.ir.selection import AllOf, AnyOf, Condition, Range, Selection, Within
from headwater.native.loader import native
from headwater.persist.parts import BlobPart, ColumnStats, Part
from headwater.types.frontier import Frontier
from headwater.types.scalar import FLOAT4, FLOAT8
from headwater.types.time import Timestamp

# Between them and finite values a function may fail though it does not at these.
# Those of numeric as ``rust/hw-types/src/row.rs`` has them.
_NOT_FINITE = frozenset({b"\x28", b"\x2c", b"\x2d"}) | {
    literal_from_text(text, type).data
    for type in (FLOAT4, FLOAT8)
    for text in ("-Infinity", "Infinity", "NaN")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What is known of the values of an expression over the rows of a part.

    Attributes:
        low: At or below every value, by the order of bytes; maybe no whole datum.
        high: At or above every value; None where unknown.
        values: Whether some may not be NULL.
        nulls: Whether some may be NULL.
        safe: Whether none is an error.
    """

    low: bytes = b""
    high: bytes | None = None
    values: bool = True
    nulls: bool = True
    safe: bool = True


UNKNOWN = Image()


class PartSelector:
    """Decides for one read, of times before ``until`` if that is set."""

    def __init__(self, selection: Selection | None, until: Frontier = None) -> None:
        self._selection = selection
        self._until = None if until is None else native.encode_int(until)
        self._calls: dict[Call, tuple[bytes, tuple[int, ...]]] = {}

    def wants(self, part: Part, since: Timestamp) -> bool:
        """Return whether ``part``, of rows and not of errors, has to be read.

        Its updates count at ``since`` at the earliest.
        """
        if self._selection is None or not isinstance(part, BlobPart):
            return True
        for condition in self._selection.conditions:
            possible, safe = self._holds(condition, part.stats)
            if not safe:
                return True
            if not possible:
                return False
        return self._is_alive(self._selection, part.stats, native.encode_int(since))

    def _is_alive(self, selection: Selection, stats: Sequence[ColumnStats], since: bytes) -> bool:
        """Return whether some row may hold at one of the times that are read, or fail."""
        lower = [self._image(expr, stats) for expr in selection.lower_bounds]
        upper = [self._image(expr, stats) for expr in selection.upper_bounds]
        if not all(image.safe for image in (*lower, *upper)):
            return True
        if not all(image.values for image in (*lower, *upper)):
            return False
        if any(image.high is not None and image.high <= since for image in upper):
            return False
        return self._until is None or all(image.low < self._until for image in lower)

    def _holds(self, condition: Condition, stats: Sequence[ColumnStats]) -> tuple[bool, bool]:
        """Return whether some row may fulfil ``condition``, and whether none fails in it."""
        match condition:
            case Within(expr=expr, ranges=ranges, nulls=nulls):
                image = self._image(expr, stats)
                met = image.values and _meets(image, ranges)
                return met or (nulls and image.nulls), image.safe
            case AllOf(conditions=members) | AnyOf(conditions=members):
                found = [self._holds(member, stats) for member in members]
                possible = (held for held, _ in found)
                every = all(possible) if isinstance(condition, AllOf) else any(possible)
                return every, all(safe for _, safe in found)

    def _image(self, expr: ScalarExpr, stats: Sequence[ColumnStats]) -> Image:
        match expr:
            case Column(index=index):
                return _column(stats[index]) if index < len(stats) else UNKNOWN
            case Literal(data=data):
                null = data == kernels.NULL_DATUM
                return Image(low=data, high=data, values=not null, nulls=null)
            case Call() if expr.func in RELABELS:
                return self._image(expr.args[0], stats)
            case Call():
                return self._called(expr, stats)
        raise InternalError("statistics can't bound an expression", detail=repr(expr))

    def _called(self, call: Call, stats: Sequence[ColumnStats]) -> Image:
        """Return what is known of a call that is monotone: what it makes of the arguments' ends."""
        encoded, within = self._encoded(call)
        images = [self._image(call.args[number], stats) for number in within]
        fails = call.func not in kernels.INFALLIBLE
        safe = all(image.safe for image in images)
        if not all(image.values for image in images):
            return Image(values=False, nulls=any(image.nulls for image in images), safe=safe)
        nulls = any(image.nulls for image in images) or may_introduce_null(call.func)
        low = _end(encoded, [image.low for image in images], fails=fails)
        high = _end(encoded, [image.high for image in images], fails=fails)
        if fails and (low is None or high is None):
            safe = False
        if low is not None and high is not None and low > high:
            low = high = None
        return Image(low=low or b"", high=high, nulls=nulls, safe=safe)

    def _encoded(self, call: Call) -> tuple[bytes, tuple[int, ...]]:
        """Return the call over a row of the arguments it is monotone in, and which those are."""
        found = self._calls.get(call)
        if found is None:
            within = tuple(sorted(monotone_in(call)))
            args = tuple(
                Column(within.index(number)) if number in within else arg
                for number, arg in enumerate(call.args)
            )
            over = Call(call.func, args, call.type)
            found = self._calls[call] = msgspec.msgpack.encode(over), within
        return found


ALL_PARTS = PartSelector(None)


def _column(stats: ColumnStats) -> Image:
    return Image(
        low=stats.low or b"",
        high=stats.high,
        values=stats.low is not None,
        nulls=stats.nulls > 0,
    )


def _meets(image: Image, ranges: Sequence[Range]) -> bool:
    """Return whether a value may be in one of the ranges: the last that begins before the end."""
    high = image.high
    at = len(ranges) if high is None else bisect_right(ranges, high, key=lambda item: item.low)
    if at == 0:
        return False
    last = ranges[at - 1].high
    return last is None or image.low < last


def _end(encoded: bytes, row: Sequence[bytes | None], *, fails: bool) -> bytes | None:
    """Return the call's value where its arguments have these values, None where unknown."""
    datums = [datum for datum in row if datum is not None and _is_datum(datum)]
    if len(datums) < len(row) or (fails and not _NOT_FINITE.isdisjoint(datums)):
        return None
    value = native.eval_scalar(encoded, b"".join(datums))
    if not isinstance(value, bytes) or value == kernels.NULL_DATUM:
        return None
    return value


def _is_datum(data: bytes) -> bool:
    """Return whether a bound is a value, not cut short."""
    try:
        return bool(data) and skip(data, 0) == len(data)
    except (IndexError, ValueError, InternalError):
        return False
