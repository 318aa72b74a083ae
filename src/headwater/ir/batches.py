"""Flat batches of rows, whole: conditions over them, their values, and batches of values."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from headwater.ir.scalar import ScalarExpr
from headwater.native import raised
from headwater.native.loader import native
from headwater.types.scalar import ScalarType


def first_null(rows: bytes, columns: Sequence[int]) -> tuple[int, bytes] | None:
    """Return the first added row with a NULL in one of ``columns``: the column, and the row."""
    return native.first_null(rows, columns)


def first_false(predicates: Sequence[ScalarExpr], rows: bytes) -> tuple[int, bytes] | None:
    """Return the first added row for which a predicate is false: which, and the row.

    Raises: what evaluating raises.
    """
    return native.first_false([msgspec.msgpack.encode(one) for one in predicates], rows)


def datum_text(type: ScalarType, datum: bytes) -> str | None:
    """Return PostgreSQL's text form of a datum, None for NULL."""
    return native.datum_to_text(msgspec.msgpack.encode(type), datum)


def evaluated(exprs: Sequence[ScalarExpr], rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield the values of expressions over the columns of each row.

    Raises: what evaluating raises.
    """
    encoded = [msgspec.msgpack.encode(one) for one in exprs]
    for row in rows:
        values = []
        for expr in encoded:
            value = native.eval_scalar(expr, row)
            if not isinstance(value, bytes):
                raise raised.error_of(*value)
            values.append(value)
        yield values


def values_of(types: Sequence[ScalarType], rows: bytes) -> Iterator[tuple[tuple[object, ...], int]]:
    """Yield each row of a flat batch as Python values, and how often it is there.

    Types without a Python counterpart among the plain ones come as their text form.
    """
    for values, _, count in native.decode_updates(msgspec.msgpack.encode(types), rows):
        yield values, count


def batch_of(types: Sequence[ScalarType], rows: Sequence[Sequence[object]]) -> bytes:
    """Return a flat batch of rows of Python values: the reverse of :func:`values_of`.

    A text stands for any type. Raises: what the type's input function raises.
    """
    return native.encode_rows(msgspec.msgpack.encode(types), rows)
