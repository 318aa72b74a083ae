"""Data types: ``numeric(10, 2)[]``, ``timestamp with time zone``, ``map[text => int] list``."""

from headwater.errors import FeatureNotSupported, InvalidParameterValue
from headwater.sql.ast.base import ArrayType, DataType, ListType, MapType, NamedType, ObjectName
from headwater.sql.ast.keywords import RENAMED_TYPES
from headwater.sql.ast.query import IntervalField
from headwater.sql.parse.stream import NUMBER, WORD, TokenStream

DOUBLE_PRECISION_BITS_MIN = 25
"""The least precision at which FLOAT(p) is a float8; up to 53 it may be."""

_FLOAT_BITS_MAX = 53


def data_type(p: TokenStream) -> DataType:
    """Read a data type with its suffixes."""
    p.enter()
    position = p.position
    result = _base(p)
    p.depth -= 1
    while True:
        key = p.key
        if key == "[" or (key == "ARRAY" and p.keys[p.i + 1] != "("):
            result = ArrayType(result, _dimensions(p), position=position)
            p.grow()
        elif key == "LIST":
            p.advance()
            result = ListType(result, position=position)
            p.grow()
        else:
            return result


def _dimensions(p: TokenStream) -> int:
    if p.accept("ARRAY"):
        if p.key == "[":
            _brackets(p)
        return 1
    count = 0
    while p.key == "[":
        _brackets(p)
        count += 1
    return count


def _brackets(p: TokenStream) -> None:
    """Step over ``[]`` or ``[3]``: like PostgreSQL we do not hold values to a size."""
    p.expect("[")
    if p.kind is NUMBER:
        p.integer()
    p.expect("]")


def _base(p: TokenStream) -> DataType:
    if p.kind is WORD and p.peek() != ".":
        key = p.key
        if key in _SPELLED:
            position = p.position
            p.advance()
            return _SPELLED[key](p, position)
        renamed = RENAMED_TYPES.get(key)
        if renamed is not None:
            position = p.position
            p.advance()
            return _named(p, renamed, position)
    name = p.object_name("a data type")
    return NamedType(name, modifiers(p), position=name.position)


def modifiers(p: TokenStream) -> tuple[int, ...]:
    """Read ``(10, 2)``, if it is there."""
    if not p.accept("("):
        return ()
    found = [_modifier(p)]
    while p.accept(","):
        found.append(_modifier(p))
    p.expect(")")
    return tuple(found)


def _modifier(p: TokenStream) -> int:
    if p.accept("-"):
        return -p.integer("a type modifier")
    return p.integer("a type modifier")


def _named(p: TokenStream, name: str, position: int) -> NamedType:
    return _make(name, modifiers(p), position)


def _make(name: str, found: tuple[int, ...], position: int) -> NamedType:
    return NamedType(ObjectName((name,), position=position), found, position=position)


def _character(p: TokenStream, position: int) -> DataType:
    if p.accept("VARYING"):
        return _named(p, "varchar", position)
    return _make("bpchar", modifiers(p) or (1,), position)


def _national(p: TokenStream, position: int) -> DataType:
    p.expect_any("CHAR", "CHARACTER")
    return _character(p, position)


def _bit(p: TokenStream, position: int) -> DataType:
    return _named(p, "varbit" if p.accept("VARYING") else "bit", position)


def _double(p: TokenStream, position: int) -> DataType:
    p.accept("PRECISION")  # Materialize takes DOUBLE alone
    return _make("float8", (), position)


def _float(p: TokenStream, position: int) -> DataType:
    bits = modifiers(p)
    if bits and not 1 <= bits[0] <= _FLOAT_BITS_MAX:
        raise InvalidParameterValue(
            f"precision for type float must be within ([1-{_FLOAT_BITS_MAX}])", position=position
        )
    short = bits and bits[0] < DOUBLE_PRECISION_BITS_MIN
    return _make("float4" if short else "float8", (), position)


def _time(p: TokenStream, position: int) -> DataType:
    found = modifiers(p)
    return _make("timetz" if _with_time_zone(p) else "time", found, position)


def _timestamp(p: TokenStream, position: int) -> DataType:
    found = modifiers(p)
    return _make("timestamptz" if _with_time_zone(p) else "timestamp", found, position)


def _with_time_zone(p: TokenStream) -> bool:
    if p.key == "WITH" and p.accept_all("WITH", "TIME", "ZONE"):
        return True
    if p.key == "WITHOUT":
        p.accept_all("WITHOUT", "TIME", "ZONE")
    return False


def _interval(p: TokenStream, position: int) -> DataType:
    if p.key in IntervalField.__members__:
        raise FeatureNotSupported(
            "interval types with fields are not supported", position=p.position
        )
    return _named(p, "interval", position)


def _map(p: TokenStream, position: int) -> DataType:
    p.expect("[")
    key = data_type(p)
    p.expect("=>")
    value = data_type(p)
    p.expect("]")
    return MapType(key, value, position=position)


_SPELLED = {
    "BIT": _bit,
    "CHAR": _character,
    "CHARACTER": _character,
    "DOUBLE": _double,
    "FLOAT": _float,
    "INTERVAL": _interval,
    "MAP": _map,
    "NATIONAL": _national,
    "NCHAR": _character,
    "TIME": _time,
    "TIMESTAMP": _timestamp,
}
