"""Constants: making them from Python values and from text, reading them, folding expressions.

A literal's ``data`` is one datum in the row encoding (``hw_types::row``). The simplest datums are
encoded here, since the planner makes thousands of them; all others, and all text forms, are the
extension's. This is the one module of ``ir`` that reaches it.

Source: the table of tags in ``rust/hw-types/src/row.rs``; a property test compares both.
"""

import struct
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from headwater.errors import ErrorFields, HeadwaterError, InternalError
from headwater.ir.scalar import Call, If, Literal, LiteralError, ScalarExpr
from headwater.native import raised
from headwater.native.loader import native
from headwater.types.scalar import BOOL, INT4, INT8, TEXT, BaseType, ColumnType, ScalarType

NULL_DATUM = b"\xfe"
FALSE_DATUM = b"\x02"
TRUE_DATUM = b"\x03"
_ZERO = 0x18
_TEXT = 0x30
_BYTES = 0x31
_INTERVAL = 0x33
_MAP = 0x42
_INTERVAL_BYTES = 19
_FLOAT8 = 0x25
_DAY_MICROS = 86_400_000_000
_MONTH_DAYS = 30  # as PostgreSQL estimates them
_CACHED_LITERALS_MAX = 4096

TEXT_BASES = frozenset(
    {BaseType.TEXT, BaseType.VARCHAR, BaseType.BPCHAR, BaseType.NAME, BaseType.UNKNOWN}
)
INT_RANGES: dict[BaseType, tuple[int, int]] = {
    BaseType.INT2: (-(2**15), 2**15 - 1),
    BaseType.INT4: (-(2**31), 2**31 - 1),
    BaseType.INT8: (-(2**63), 2**63 - 1),
    BaseType.UINT2: (0, 2**16 - 1),
    BaseType.UINT4: (0, 2**32 - 1),
    BaseType.UINT8: (0, 2**64 - 1),
    BaseType.OID: (0, 2**32 - 1),
    BaseType.REGCLASS: (0, 2**32 - 1),
    BaseType.REGPROC: (0, 2**32 - 1),
    BaseType.REGTYPE: (0, 2**32 - 1),
    BaseType.MZ_TIMESTAMP: (0, 2**64 - 1),
}


def int_datum(value: int) -> bytes:
    """Return the encoding of a whole number between -2^63 and 2^64 - 1."""
    if value == 0:
        return b"\x18"
    if value > 0:
        size = (value.bit_length() + 7) >> 3
        return bytes((_ZERO + size,)) + value.to_bytes(size, "big")
    magnitude = -value
    size = (magnitude.bit_length() + 7) >> 3
    return bytes((_ZERO - size,)) + ((1 << (8 * size)) - 1 - magnitude).to_bytes(size, "big")


def text_datum(value: str) -> bytes:
    """Return the encoding of a text."""
    return b"\x30" + value.encode().replace(b"\0", b"\0\xff") + b"\0\0"


def bytes_datum(value: bytes) -> bytes:
    """Return the encoding of a bytea."""
    return b"\x31" + value.replace(b"\0", b"\0\xff") + b"\0\0"


def interval_datum(months: int, days: int, micros: int) -> bytes:
    """Return the encoding of an interval."""
    estimate = (months * _MONTH_DAYS + days) * _DAY_MICROS + micros + (1 << 79)
    parts = (months + (1 << 31)).to_bytes(4, "big") + (days + (1 << 31)).to_bytes(4, "big")
    return bytes((_INTERVAL,)) + estimate.to_bytes(10, "big") + parts


@lru_cache(maxsize=256)
def null_literal(type: ScalarType) -> Literal:
    """Return NULL of ``type``."""
    return Literal(NULL_DATUM, ColumnType(type, True))


TRUE = Literal(TRUE_DATUM, ColumnType(BOOL, False))
FALSE = Literal(FALSE_DATUM, ColumnType(BOOL, False))
_NOT_NULL_TEXT = ColumnType(TEXT, False)
_NOT_NULL_INT4 = ColumnType(INT4, False)
_NOT_NULL_INT8 = ColumnType(INT8, False)


def bool_literal(value: bool) -> Literal:
    """Return true or false."""
    return TRUE if value else FALSE


def text_literal(value: str) -> Literal:
    """Return a text."""
    return Literal(text_datum(value), _NOT_NULL_TEXT)


def int_literal(value: int, type: ScalarType = INT4) -> Literal:
    """Return a whole number of ``type``, which must hold it."""
    if type is INT4:
        return Literal(int_datum(value), _NOT_NULL_INT4)
    if type is INT8:
        return Literal(int_datum(value), _NOT_NULL_INT8)
    return Literal(int_datum(value), ColumnType(type, False))


def map_datum(entries: Mapping[str, bytes]) -> bytes:
    """Return the encoding of a map from text to ``entries``' datums."""
    pairs = sorted((text_datum(key), value) for key, value in entries.items())
    return bytes((_MAP,)) + b"".join(key + value for key, value in pairs) + b"\x00"


def parse_datum(text: str, type: ScalarType) -> bytes:
    """Return the encoding of what ``text`` spells, as it comes from users; nothing is kept of it.

    Raises: as ``literal_from_text``.
    """
    return native.datum_from_text(msgspec.msgpack.encode(type), text)


@lru_cache(maxsize=_CACHED_LITERALS_MAX)
def literal_from_text(text: str, type: ScalarType) -> Literal:
    """Return the value of ``type`` that ``text`` spells.

    Raises: what the type's input function raises: InvalidTextRepresentation,
        NumericValueOutOfRange, InvalidDatetimeFormat, DatetimeFieldOverflow.
    """
    data = _plain_datum(text, type)
    if data is None:
        data = native.datum_from_text(msgspec.msgpack.encode(type), text)
    return Literal(data, ColumnType(type, False))


def _plain_datum(text: str, type: ScalarType) -> bytes | None:
    """Encode what needs no parsing; None leaves it, and its errors, to the extension."""
    base = type.base
    if base in TEXT_BASES and (type.modifier is None or base is BaseType.UNKNOWN):
        if base is BaseType.BPCHAR:
            # Trailing blanks are no part of the value: it is padded where it is shown.
            return text_datum(text.rstrip(" "))
        return text_datum(text) if base is not BaseType.NAME else None
    limits = INT_RANGES.get(base)
    if limits is not None and text.isascii() and text.lstrip("-").isdigit() and len(text) < 21:
        value = int(text) if not text.startswith("--") else None
        if value is not None and limits[0] <= value <= limits[1]:
            return int_datum(value)
    return None


def is_null(literal: Literal) -> bool:
    """Return whether the literal is NULL."""
    return literal.data == NULL_DATUM


def literal_int(literal: Literal) -> int | None:
    """Return a whole number's value, None for NULL."""
    data = literal.data
    tag = data[0]
    if data == NULL_DATUM:
        return None
    if tag == _ZERO:
        return 0
    if _ZERO < tag <= _ZERO + 8:
        return int.from_bytes(data[1:], "big")
    if _ZERO - 8 <= tag < _ZERO:
        size = len(data) - 1
        return int.from_bytes(data[1:], "big") - ((1 << (8 * size)) - 1)
    raise InternalError("literal is not a whole number", detail=f"type = {literal.type.type.base}")


def literal_text(literal: Literal) -> str | None:
    """Return a text's value, None for NULL."""
    if literal.data == NULL_DATUM:
        return None
    if literal.data[0] != _TEXT:
        raise InternalError("literal is not a text", detail=f"type = {literal.type.type.base}")
    return literal.data[1:-2].replace(b"\0\xff", b"\0").decode()


def literal_bytes(literal: Literal) -> bytes | None:
    """Return a bytea's value, None for NULL."""
    if literal.data == NULL_DATUM:
        return None
    if literal.data[0] != _BYTES:
        raise InternalError("literal is not a bytea", detail=f"type = {literal.type.type.base}")
    return literal.data[1:-2].replace(b"\0\xff", b"\0")


def literal_interval(literal: Literal) -> tuple[int, int, int]:
    """Return an interval's months, days and microseconds."""
    data = literal.data
    if data[0] != _INTERVAL or len(data) != _INTERVAL_BYTES:
        raise InternalError("literal is not an interval", detail=f"{literal.type.type.base}")
    estimate = int.from_bytes(data[1:11], "big") - (1 << 79)
    months = int.from_bytes(data[11:15], "big") - (1 << 31)
    days = int.from_bytes(data[15:19], "big") - (1 << 31)
    return months, days, estimate - (months * _MONTH_DAYS + days) * _DAY_MICROS


def literal_float(literal: Literal) -> float:
    """Return a double precision literal's value."""
    data = literal.data
    if data[0] != _FLOAT8 or len(data) != 9:
        raise InternalError("literal is not a float8", detail=f"{literal.type.type.base}")
    bits = int.from_bytes(data[1:], "big")
    bits = bits ^ (1 << 63) if bits >> 63 else bits ^ ((1 << 64) - 1)
    value: float = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    return value


def literal_bool(literal: Literal) -> bool | None:
    """Return a boolean's value, None for NULL."""
    return None if literal.data == NULL_DATUM else literal.data == TRUE_DATUM


def show_literal(literal: Literal) -> str:
    """Return the value as SQL text output shows it, quoted unless a number or a boolean."""
    data, base = literal.data, literal.type.type.base
    if data == NULL_DATUM:
        return "null"
    if base is BaseType.BOOL:
        return "true" if data == TRUE_DATUM else "false"
    if base in INT_RANGES:
        return str(literal_int(literal))
    if base in TEXT_BASES:
        text = literal_text(literal) or ""
    else:
        text = native.datum_to_text(msgspec.msgpack.encode(literal.type.type), data) or ""
        if base in (BaseType.NUMERIC, BaseType.FLOAT4, BaseType.FLOAT8):
            return text
    return "'" + text.replace("'", "''") + "'"


def fold_constant(expr: ScalarExpr) -> Literal | LiteralError:
    """Evaluate an expression without columns, parameters and unmaterializable calls.

    The result has the expression's type, not nullable unless it is NULL.
    """
    return evaluate(expr, b"")


def evaluate(expr: ScalarExpr, row: bytes) -> Literal | LiteralError:
    """Evaluate an expression over the columns of ``row``, which is no column itself."""
    if isinstance(expr, Literal | LiteralError):
        return expr
    data = native.eval_scalar(msgspec.msgpack.encode(expr), row)
    if isinstance(data, bytes):
        return Literal(data, ColumnType(scalar_type(expr), data == NULL_DATUM))
    sqlstate, message = data
    message, detail, hint = raised.parts(message)
    fields = ErrorFields(sqlstate, message, detail=detail, hint=hint)
    return LiteralError(fields, ColumnType(scalar_type(expr), True))


def error_of(literal: LiteralError, position: int = 0) -> HeadwaterError:
    """Return the error that a failed evaluation stands for, to be raised."""
    error = raised.error_of(literal.error.sqlstate, literal.error.message)
    error.detail, error.hint = literal.error.detail, literal.error.hint
    error.position = position
    return error


def scalar_type(expr: ScalarExpr) -> ScalarType:
    """Return the type of an expression without columns."""
    while isinstance(expr, If):
        expr = expr.then if not isinstance(expr.then, LiteralError) else expr.els
    if isinstance(expr, Call | Literal | LiteralError) or hasattr(expr, "type"):
        found: ColumnType = expr.type
        return found.type
    raise InternalError("type of a column reference is not known here")
