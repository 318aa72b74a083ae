"""Where one datum of a row ends and the next begins.

Planning looks into rows only where they are constants, oracles do in tests; rows in motion are the
extension's. Source: ``rust/hw-types/src/row.rs``, whose ``skip`` this repeats.
"""

from headwater.errors import InternalError

_END = 0
_FIXED = {0x02: 1, 0x03: 1, 0xFE: 1, 0x24: 5, 0x25: 9, 0x32: 17, 0x33: 19}
_INT_FIRST, _ZERO, _INT_LAST = 0x10, 0x18, 0x20
_NUMERIC_FIRST, _NUMERIC_LAST = 0x28, 0x2D
_TEXT, _BYTES, _JSONB = 0x30, 0x31, 0x38
_ARRAY, _RECORD, _RANGE = 0x40, 0x43, 0x44
_JSON_STRING, _JSON_NUMBER, _JSON_ARRAY, _JSON_OBJECT = 0x11, 0x12, 0x15, 0x16


def split_row(row: bytes) -> list[bytes]:
    """Return the datums of ``row``."""
    datums = []
    at = 0
    while at < len(row):
        end = skip(row, at)
        datums.append(row[at:end])
        at = end
    return datums


def skip(row: bytes, at: int) -> int:
    """Return where the datum that begins at ``at`` ends."""
    tag = row[at]
    if _INT_FIRST <= tag <= _INT_LAST:
        return at + 1 + abs(tag - _ZERO)
    fixed = _FIXED.get(tag)
    if fixed is not None:
        return at + fixed
    if tag in (_TEXT, _BYTES):
        return _skip_escaped(row, at + 1)
    if _NUMERIC_FIRST <= tag <= _NUMERIC_LAST:
        return _skip_numeric(row, at)
    if tag == _JSONB:
        return _skip_json(row, at + 1)
    if _ARRAY <= tag <= _RECORD:
        at += 1
        while row[at] != _END:
            at = skip(row, at)
        at += 1
        if tag == _ARRAY:
            dimensions = row[at]
            at += 1 + (4 * dimensions if dimensions > 1 else 0)
        return at
    if tag == _RANGE:
        return _skip_range(row, at + 1)
    raise InternalError("row has an unknown tag", detail=f"tag = {tag:#04x}")


def _skip_escaped(row: bytes, at: int) -> int:
    while True:
        at = row.index(0, at)
        if row[at + 1] == 0:
            return at + 2
        at += 2


def _skip_numeric(row: bytes, at: int) -> int:
    flip = {1: 0xFF, 3: 0}.get(row[at] - _NUMERIC_FIRST)
    if flip is None:
        return at + 1
    at += 2
    while (row[at] ^ flip) & 1:
        at += 1
    return at + 1


def _skip_json(row: bytes, at: int) -> int:
    left = 1
    while left:
        left -= 1
        tag = row[at]
        at += 1
        if tag == _JSON_STRING:
            at = _skip_escaped(row, at)
        elif tag == _JSON_NUMBER:
            at = _skip_numeric(row, at)
        elif tag in (_JSON_ARRAY, _JSON_OBJECT):
            count = int.from_bytes(row[at : at + 4], "big")
            left += count if tag == _JSON_ARRAY else 2 * count
            at += 4
    return at


def _skip_range(row: bytes, at: int) -> int:
    if row[at] == 1:
        return at + 1
    at += 1
    for none in (0, 0xFF):
        at = at + 1 if row[at] == none else skip(row, at) + 1
    return at
