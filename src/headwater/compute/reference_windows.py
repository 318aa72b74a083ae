"""The slow, obvious values of window functions over one ordered partition."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headwater.errors import InternalError
from headwater.ir.literals import NULL_DATUM, int_datum, literal_int
from headwater.ir.relation import (
    FrameBound,
    FrameBoundKind,
    FrameExclusion,
    FrameUnits,
    WindowFunction,
)
from headwater.ir.scalar import AggregateExpr, Column, ColumnOrder, Literal
from headwater.types.scalar import INT8, ColumnType

Datums = list[bytes]
# The sort key of a datum in an order's column.
KeyOf = Callable[[ColumnOrder, bytes], object]
Aggregate = Callable[[AggregateExpr, Counter[bytes]], bytes]

# What can be compared with what has the same meaning.
Place = tuple[object, ...]

_TRUE = b"\x03"


@dataclass(frozen=True, slots=True)
class OrderedPartition:
    """The rows of a partition in order, each row as often as it occurs."""

    rows: Sequence[Datums]
    order: tuple[ColumnOrder, ...]
    key_of: KeyOf
    aggregate: Aggregate

    def key(self, at: int) -> tuple[object, ...]:
        """Return what peers have in common."""
        return tuple(self.key_of(item, self.rows[at][item.column]) for item in self.order)

    def peers(self, at: int) -> range:
        """Return the positions of the row's peers."""
        same = [other for other in range(len(self.rows)) if self.key(other) == self.key(at)]
        return range(same[0], same[-1] + 1)

    def groups(self) -> list[range]:
        """Return the groups of peers."""
        found: list[range] = []
        at = 0
        while at < len(self.rows):
            found.append(self.peers(at))
            at = found[-1].stop
        return found

    def value(self, function: WindowFunction, at: int) -> bytes:
        """Return the value of ``function`` for the row at a position from 0."""
        peers, count = self.peers(at), len(self.rows)
        match function.func:
            case "row_number":
                return int_datum(at + 1)
            case "rank":
                return int_datum(peers.start + 1)
            case "dense_rank":
                return int_datum(self.groups().index(peers) + 1)
            case "ntile":
                return self._ntile(_number(self._arg(function, 0, 0)), at)
            case "lag" | "lead":
                return self._shifted(function, at)
            case "first_value" | "last_value" | "nth_value":
                return self._positional(function, at)
            case "percent_rank" | "cume_dist":
                raise InternalError("reference has no floats", detail=f"{count} rows")
            case _:
                return self._aggregated(function, at)

    def _arg(self, function: WindowFunction, number: int, at: int) -> bytes:
        arg = function.args[number]
        if isinstance(arg, Literal):
            return arg.data
        assert isinstance(arg, Column)
        return self.rows[at][arg.index]

    def _ntile(self, parts: int | None, at: int) -> bytes:
        if parts is None:
            return NULL_DATUM
        sizes = [len(self.rows) // parts + (part < len(self.rows) % parts) for part in range(parts)]
        for part, size in enumerate(sizes):
            if at < size:
                return int_datum(part + 1)
            at -= size
        raise InternalError("row is in no part")

    def _shifted(self, function: WindowFunction, at: int) -> bytes:
        distance = _number(self._arg(function, 1, at)) if len(function.args) > 1 else 1
        if distance is None:
            return NULL_DATUM
        signed = distance if function.func == "lead" else -distance
        ahead = range(at + 1, len(self.rows)) if signed > 0 else range(at - 1, -1, -1)
        seen = [other for other in ahead if self._counts(function, other)]
        if signed == 0:
            return self._arg(function, 0, at)
        if len(seen) >= abs(signed):
            return self._arg(function, 0, seen[abs(signed) - 1])
        return self._arg(function, 2, at) if len(function.args) > 2 else NULL_DATUM

    def _counts(self, function: WindowFunction, at: int) -> bool:
        return not function.ignore_nulls or self._arg(function, 0, at) != NULL_DATUM

    def _positional(self, function: WindowFunction, at: int) -> bytes:
        frame = [other for other in self.frame(function, at) if self._counts(function, other)]
        index: int | None = 0 if function.func == "first_value" else -1
        if function.func == "nth_value":
            number = _number(self._arg(function, 1, at))
            index = None if number is None else number - 1
        if index is None or not frame or index >= len(frame):
            return NULL_DATUM
        return self._arg(function, 0, frame[index])

    def _aggregated(self, function: WindowFunction, at: int) -> bytes:
        taken = [
            other
            for other in self.frame(function, at)
            if function.filter is None or self.rows[other][function.filter] == _TRUE
        ]
        if function.func == "list_agg":
            # In the order of the frame, which the bare aggregate does not know.
            items = b"".join(self._arg(function, 0, other) for other in taken)
            return b"\x41" + items + b"\x00" if taken else NULL_DATUM
        values = Counter(self._arg(function, 0, other) for other in taken)
        expr = AggregateExpr(function.func, function.args[0], function.type)
        return self.aggregate(expr, values)

    def frame(self, function: WindowFunction, at: int) -> list[int]:
        """Return the positions of the row's frame."""
        frame, peers = function.frame, self.peers(at)
        inside = [
            other
            for other in range(len(self.rows))
            if self._is_at_or_after(frame.units, frame.start, other, at)
            and self._is_at_or_before(frame.units, frame.end, other, at)
        ]
        match frame.exclusion:
            case FrameExclusion.NO_OTHERS:
                return inside
            case FrameExclusion.CURRENT_ROW:
                return [other for other in inside if other != at]
            case FrameExclusion.GROUP:
                return [other for other in inside if other not in peers]
            case FrameExclusion.TIES:
                return [other for other in inside if other == at or other not in peers]

    def _is_at_or_after(self, units: FrameUnits, bound: FrameBound, other: int, at: int) -> bool:
        if bound.kind is FrameBoundKind.UNBOUNDED_PRECEDING:
            return True
        here, there = self._places(units, bound, other, at)
        return there >= here

    def _is_at_or_before(self, units: FrameUnits, bound: FrameBound, other: int, at: int) -> bool:
        if bound.kind is FrameBoundKind.UNBOUNDED_FOLLOWING:
            return True
        here, there = self._places(units, bound, other, at)
        return there <= here

    def _places(
        self, units: FrameUnits, bound: FrameBound, other: int, at: int
    ) -> tuple[Place, Place]:
        """Return where the frame ends, and where the other row is, in comparable terms."""
        if bound.column is not None:
            [item] = self.order
            return (self.key_of(item, self.rows[at][bound.column]),), self.key(other)
        signed = -bound.offset if bound.kind is FrameBoundKind.PRECEDING else bound.offset
        if units is FrameUnits.ROWS:
            return (at + signed,), (other,)
        groups = self.groups()
        return (groups.index(self.peers(at)) + signed,), (groups.index(self.peers(other)),)


def _number(datum: bytes) -> int | None:
    return literal_int(Literal(datum, ColumnType(INT8, nullable=datum == NULL_DATUM)))
