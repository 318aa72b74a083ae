"""Datums and rows that the system itself writes, in the row encoding of ``hw_types::row``.

Only what the catalog's own relations and short answers (SHOW, EXPLAIN) need: NULL, booleans, whole
numbers, decimals, floats, texts, bytes, uuids, intervals of milliseconds, lists and one-dimensional
arrays. User data are encoded in Rust; a contract test holds both to the same bytes.
"""

import struct
from collections.abc import Iterable, Sequence
from decimal import Decimal

from headwater.errors import DataCorrupted

# A row of the builtin table ``schema.table``: that name, and the row.
TableRow = tuple[str, bytes]

NULL = b"\xfe"
FALSE = b"\x02"
TRUE = b"\x03"
_ZERO = 0x18
_FLOAT8 = b"\x25"
_NUMERIC_NEGATIVE, _NUMERIC_ZERO, _NUMERIC_POSITIVE = b"\x29", b"\x2a", b"\x2b"
_TEXT = b"\x30"
_BYTES = b"\x31"
_UUID = b"\x32"
_UUID_BYTES = 16
_INTERVAL = b"\x33"
_ARRAY, _LIST = b"\x40", b"\x41"
_END = b"\x00"
_SIGN64 = 1 << 63
_NUMERIC_BIAS = 0x80
_MICROS_PER_MS = 1_000


def boolean(value: bool | None) -> bytes:
    """Return a boolean datum."""
    return NULL if value is None else (TRUE if value else FALSE)


def integer(value: int | None) -> bytes:
    """Return a whole number's datum: integers, oids, dates, timestamps and mz_timestamps."""
    if value is None:
        return NULL
    magnitude = abs(value)
    size = (magnitude.bit_length() + 7) // 8
    if value >= 0:
        return bytes((_ZERO + size,)) + magnitude.to_bytes(size, "big")
    inverted = bytes(byte ^ 0xFF for byte in magnitude.to_bytes(size, "big"))
    return bytes((_ZERO - size,)) + inverted


def text(value: str | None) -> bytes:
    """Return a text datum."""
    if value is None:
        return NULL
    return _TEXT + value.encode().replace(b"\x00", b"\x00\xff") + b"\x00\x00"


def bytea(value: bytes) -> bytes:
    """Return a bytea datum."""
    return _BYTES + value.replace(b"\x00", b"\x00\xff") + b"\x00\x00"


def uuid(value: bytes) -> bytes:
    """Return the datum of a uuid of 16 bytes."""
    assert len(value) == _UUID_BYTES
    return _UUID + value


def float8(value: float | None) -> bytes:
    """Return a double's datum."""
    if value is None:
        return NULL
    (bits,) = struct.unpack(">Q", struct.pack(">d", value + 0.0))
    ordered = ~bits & (2**64 - 1) if bits & _SIGN64 else bits | _SIGN64
    return _FLOAT8 + int(ordered).to_bytes(8, "big")


def numeric(value: Decimal | int | None) -> bytes:
    """Return a finite decimal's datum."""
    if value is None:
        return NULL
    sign, digits, exponent = Decimal(value).normalize().as_tuple()
    if not any(digits):
        return _NUMERIC_ZERO
    assert isinstance(exponent, int)  # it is finite
    flip = 0xFF if sign else 0
    out = bytearray(_NUMERIC_NEGATIVE if sign else _NUMERIC_POSITIVE)
    out.append((exponent + len(digits) - 1 + _NUMERIC_BIAS) ^ flip)
    for at in range(0, len(digits), 2):
        pair = digits[at] * 10 + (digits[at + 1] if at + 1 < len(digits) else 0)
        out.append((pair * 2 + (1 if at + 2 < len(digits) else 0)) ^ flip)
    return bytes(out)


def interval_ms(value: int | None) -> bytes:
    """Return the datum of an interval of ``value`` milliseconds, no days or months."""
    if value is None:
        return NULL
    estimate = value * _MICROS_PER_MS + (1 << 79)
    zero = (1 << 31).to_bytes(4, "big")
    return _INTERVAL + estimate.to_bytes(10, "big") + zero + zero


def text_list(values: Iterable[str] | None) -> bytes:
    """Return a ``text list`` datum."""
    if values is None:
        return NULL
    return _LIST + b"".join(text(value) for value in values) + _END


def integer_list(values: Iterable[int] | None) -> bytes:
    """Return the datum of a list of whole numbers."""
    if values is None:
        return NULL
    return _LIST + b"".join(integer(value) for value in values) + _END


def text_array(values: Sequence[str | None] | None) -> bytes:
    """Return a ``text[]`` datum of one dimension; empty ones have none. Elements may be NULL."""
    if values is None:
        return NULL
    dimensions = b"\x01" if values else b"\x00"
    return _ARRAY + b"".join(text(value) for value in values) + _END + dimensions


def integer_array(values: Sequence[int]) -> bytes:
    """Return the datum of an array of whole numbers of one dimension; empty ones have none."""
    dimensions = b"\x01" if values else b"\x00"
    return _ARRAY + b"".join(integer(value) for value in values) + _END + dimensions


def read_texts(row: bytes) -> list[str]:
    """Return the columns of a row of texts, none of them NULL.

    Raises: DataCorrupted.
    """
    columns: list[str] = []
    at = 0
    while at < len(row):
        if row[at : at + 1] != _TEXT:
            raise DataCorrupted("a row of texts has another datum in it")
        end = at + 1
        while True:
            end = row.find(b"\x00", end)
            if end < 0 or end + 1 >= len(row):
                raise DataCorrupted("a row of texts ends within a text")
            if row[end + 1] == 0:
                break
            end += 2
        columns.append(row[at + 1 : end].replace(b"\x00\xff", b"\x00").decode())
        at = end + 2
    return columns
