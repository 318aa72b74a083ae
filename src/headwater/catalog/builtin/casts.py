"""``pg_cast``: the conversions between two types, as PostgreSQL's catalog describes them.

A cast is by a function, which may be called by its name too (``int4(x)``), or its two types share
their representation. As in PostgreSQL, conversions to and from text that merely print and parse are
not listed (CREATE CAST: "automatic I/O conversion casts"), nor those of pseudo-types.
"""

from collections.abc import Iterator

import msgspec

from headwater.catalog.builtin.types import type_oid
from headwater.ir.functions import CASTS, CastContext
from headwater.ir.functions.casts import Cast
from headwater.types.scalar import BaseType, ScalarType

# PostgreSQL's cast functions: source, target, oid. Their names are their targets' but where given.
_FUNCTIONS = """
    bool int4 2558, bool text 2971, char int4 77, char text 946, char bpchar 860,
    char varchar 946 text, name text 406, name bpchar 408, name varchar 1401, int8 int2 714,
    int8 int4 480, int8 regproc 1287 oid, int8 oid 1287, int8 float4 652, int8 float8 482,
    int8 numeric 1781, int8 regclass 1287 oid, int8 regtype 1287 oid, int2 int8 754, int2 int4 313,
    int2 regproc 313 int4, int2 oid 313 int4, int2 float4 236, int2 float8 235, int2 numeric 1782,
    int2 regclass 313 int4, int2 regtype 313 int4, int4 bool 2557, int4 char 78, int4 int8 481,
    int4 int2 314, int4 float4 318, int4 float8 316, int4 numeric 1740, text char 944,
    text name 407, text regclass 1079, oid int8 1288, float4 int8 653, float4 int2 238,
    float4 int4 319, float4 float8 311, float4 numeric 1742, float8 int8 483, float8 int2 237,
    float8 int4 317, float8 float4 312, float8 numeric 1743, bpchar char 944, bpchar name 409,
    bpchar text 401, bpchar varchar 401 text, varchar char 944, varchar name 1400,
    date timestamp 2024, date timestamptz 1174, time interval 1370, timestamp date 2029,
    timestamp time 1316, timestamp timestamptz 2028, timestamptz date 1178, timestamptz time 2019,
    timestamptz timestamp 2027, interval time 1419, numeric int8 1779, numeric int2 1783,
    numeric int4 1744, numeric float4 1745, numeric float8 1746, jsonb bool 3556, jsonb int8 3452,
    jsonb int2 3450, jsonb int4 3451, jsonb float4 3453, jsonb float8 2580, jsonb numeric 3449
"""
# Pairs that PostgreSQL calls binary coercible.
_COERCIBLE = """
    int4 regproc, int4 oid, int4 regclass, int4 regtype, regproc oid, text bpchar, text varchar,
    oid int4, oid regproc, oid regclass, oid regtype, varchar text, varchar bpchar, regclass oid,
    regtype oid
"""
# What a function of a shared oid takes, where that is not the cast's source.
_TAKES = {944: "text"}
_TEXTS = frozenset({"text", "varchar", "bpchar", "char", "name"})
_PSEUDO = frozenset({"record", "array", "list", "map", "range", "int2vector"})
_CONTEXTS = {CastContext.IMPLICIT: "i", CastContext.ASSIGNMENT: "a", CastContext.EXPLICIT: "e"}


class CastRow(msgspec.Struct, frozen=True):
    """One cast: its types by name, and by what it is done (``b`` by nothing, ``f`` a function).

    ``oid`` is the function's in PostgreSQL, 0 for one that PostgreSQL has not; ``takes`` and
    ``function`` are its parameter's type and its name.
    """

    source: str
    target: str
    context: str
    method: str
    function: str = ""
    takes: str = ""
    oid: int = 0


def _described() -> dict[tuple[str, str], tuple[int, str]]:
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for entry in _FUNCTIONS.split(","):
        source, target, oid, *named = entry.split()
        found[source, target] = (int(oid), named[0] if named else target)
    return found


def _pairs(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(entry.split()) for entry in text.split(","))


def casts() -> Iterator[CastRow]:
    """Yield the casts that ``pg_cast`` lists, each pair of types once."""
    described, coercible = _described(), _pairs(_COERCIBLE)
    for cast in CASTS.values():
        source, target = cast.source.value, cast.target.value
        if source == target or not (_has_oid(cast.source) and _has_oid(cast.target)):
            continue
        context = _CONTEXTS[cast.context]
        if (source, target) in coercible:
            yield CastRow(source, target, context, "b")
        elif (source, target) in described:
            oid, name = described[source, target]
            yield CastRow(source, target, context, "f", name, _TAKES.get(oid, source), oid)
        elif not _is_by_text(cast):
            yield CastRow(source, target, context, "f", target, source)


def _has_oid(base: BaseType) -> bool:
    return base.value not in _PSEUDO and type_oid(ScalarType(base)) != 0


def _is_by_text(cast: Cast) -> bool:
    return cast.source.value in _TEXTS or cast.target.value in _TEXTS
