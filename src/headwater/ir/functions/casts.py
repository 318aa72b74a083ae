"""Which types convert into which, where, and by which kernel.

A cast is valid in its context and in every stricter one: implicit also on assignment, both also
when written out. The table is Materialize's.
"""

import re
from dataclasses import dataclass
from enum import IntEnum

from headwater.types.scalar import BaseType


class CastContext(IntEnum):
    """Where a cast may happen, the freest place last."""

    IMPLICIT = 0
    ASSIGNMENT = 1
    EXPLICIT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """One conversion.

    Attributes:
        source: The base type of the value.
        target: The base type wanted.
        context: The least explicit context in which it is allowed.
        kernel: The kernel for written casts; it reads modifier, element and fields of the call's
            type.
        assign_kernel: The kernel for assignment and implicit casts: where a text is longer than
            the target's length it raises, while a written cast cuts.
        relabel: Whether the value's bytes stay as they are whatever the call's type.
        could_error: Whether evaluation may raise.
        monotone: Whether the result never falls as the value rises. If the cast may raise, the
            values for which it does not are an interval, but for infinities and NaN.
        witness: Whether the kernel wants a typed NULL literal of the source's type after the value.
    """

    source: BaseType
    target: BaseType
    context: CastContext
    kernel: str
    assign_kernel: str
    relabel: bool
    could_error: bool
    monotone: bool
    witness: bool


# source: implicit | assignment | explicit; indented lines continue.
_TABLE = """
bool: | text | int4 int8
int2: int4 int8 float4 float8 numeric oid regclass regproc regtype | uint2 uint4 uint8 text |
int4: oid regclass regproc regtype int8 float4 float8 numeric mz_timestamp |
    int2 uint2 uint4 uint8 text | bool char
int8: numeric float4 float8 oid regclass regproc regtype mz_timestamp |
    int2 int4 uint2 uint4 uint8 text | bool
uint2: uint4 uint8 int4 int8 numeric float4 float8 | int2 text |
uint4: uint8 int8 numeric float4 float8 mz_timestamp | uint2 int2 int4 text |
uint8: numeric float4 float8 mz_timestamp | uint2 uint4 int2 int4 int8 text |
mz_timestamp: | text timestamp timestamptz |
text: bpchar varchar name | mz_timestamp char |
    bool int2 int4 int8 uint2 uint4 uint8 oid regclass regproc regtype float4 float8 numeric
    date time timestamp timestamptz interval bytea jsonb uuid array list map range int2vector
numeric: mz_timestamp float4 float8 | numeric int2 int4 int8 uint2 uint4 uint8 text |
timestamp: mz_timestamp timestamptz | date timestamp time text |
timestamptz: mz_timestamp | date timestamp timestamptz time text |
date: mz_timestamp timestamp timestamptz | text |
oid: regclass regproc regtype | int4 int8 | text
regclass: oid | | text
regproc: oid | | text
regtype: oid | | text
float4: float8 | int2 int4 int8 uint2 uint4 uint8 numeric text |
float8: | int2 int4 int8 uint2 uint4 uint8 float4 numeric text |
time: interval | text |
interval: | time text |
bytea: | text |
bpchar: text bpchar varchar name | char |
varchar: text bpchar varchar name | char |
char: text | bpchar varchar | int4
name: text | bpchar varchar |
record: record | text |
array: array | text | list
int2vector: array | | text
list: list | text |
map: | text |
jsonb: | text | bool int2 int4 int8 float4 float8 numeric
uuid: | text |
range: | text |
mz_aclitem: | | text
aclitem: | | text
"""

_OIDS = frozenset({BaseType.OID, BaseType.REGCLASS, BaseType.REGPROC, BaseType.REGTYPE})
_WIDENED = {
    BaseType.INT2: {BaseType.INT4, BaseType.INT8},
    BaseType.INT4: {BaseType.INT8},
    BaseType.UINT2: {BaseType.UINT4, BaseType.UINT8, BaseType.INT4, BaseType.INT8},
    BaseType.UINT4: {BaseType.UINT8, BaseType.INT8},
    BaseType.UINT8: set(),
    BaseType.OID: {BaseType.INT8, *_OIDS},
    BaseType.REGCLASS: {BaseType.OID},
    BaseType.REGPROC: {BaseType.OID},
    BaseType.REGTYPE: {BaseType.OID},
    BaseType.VARCHAR: {BaseType.TEXT},
    BaseType.NAME: {BaseType.TEXT},
    BaseType.CHAR: {BaseType.TEXT},
}
_NUMBERS = frozenset(
    {
        *(BaseType.INT2, BaseType.INT4, BaseType.INT8, BaseType.NUMERIC),
        *(BaseType.UINT2, BaseType.UINT4, BaseType.UINT8, BaseType.FLOAT4, BaseType.FLOAT8),
    }
)
_MOMENTS = frozenset(
    {BaseType.DATE, BaseType.TIMESTAMP, BaseType.TIMESTAMPTZ, BaseType.MZ_TIMESTAMP}
)
_CONTAINERS = frozenset(
    {BaseType.ARRAY, BaseType.LIST, BaseType.MAP, BaseType.RECORD, BaseType.RANGE}
)
# Between zero and the least value that they take there are some that fail.
_UNDERFLOWS = frozenset(
    {
        (BaseType.FLOAT8, BaseType.FLOAT4),
        (BaseType.FLOAT8, BaseType.NUMERIC),
        (BaseType.FLOAT4, BaseType.NUMERIC),
    }
)
_LENGTHS = frozenset({BaseType.VARCHAR, BaseType.BPCHAR})
_TEXTS = frozenset({BaseType.TEXT, *_LENGTHS, BaseType.NAME, BaseType.CHAR})
_NEVER_FAILS = frozenset({BaseType.FLOAT8, BaseType.TEXT, BaseType.NAME, BaseType.CHAR})


def _could_error(source: BaseType, target: BaseType, *, relabel: bool) -> bool:
    """Return whether some value of ``source`` has no counterpart in ``target``."""
    if relabel or (target in _NEVER_FAILS and source not in _TEXTS | {BaseType.JSONB}):
        return False
    if source in _TEXTS and target in {
        BaseType.TEXT,
        BaseType.NAME,
        BaseType.CHAR,
        BaseType.BPCHAR,
    }:
        return target is BaseType.BPCHAR
    if source.startswith(("int", "uint")) and target in {BaseType.NUMERIC, BaseType.FLOAT4}:
        return False
    return (source, target) not in {
        (BaseType.TIME, BaseType.INTERVAL),
        (BaseType.INTERVAL, BaseType.TIME),
        (BaseType.INT4, BaseType.BOOL),
        (BaseType.INT8, BaseType.BOOL),
        (BaseType.BOOL, BaseType.INT4),
        (BaseType.BOOL, BaseType.INT8),
        (BaseType.TIMESTAMP, BaseType.DATE),
        (BaseType.TIMESTAMPTZ, BaseType.DATE),
        (BaseType.TIMESTAMP, BaseType.TIME),
        (BaseType.TIMESTAMPTZ, BaseType.TIME),
        (BaseType.CHAR, BaseType.INT4),
    }


def _cast(source: BaseType, target: BaseType, context: CastContext) -> Cast:
    """Return one row of the table."""
    kernel = f"cast_{source}_{target}"
    relabel = target in _WIDENED.get(source, ())
    assign = f"assign_{source}_{target}" if target in _LENGTHS else kernel
    monotone = (
        ({source, target} <= _NUMBERS and (source, target) not in _UNDERFLOWS)
        or {source, target} <= _MOMENTS
        or (source in _NUMBERS and target is BaseType.MZ_TIMESTAMP)
    )
    return Cast(
        source=source,
        target=target,
        context=context,
        kernel=kernel,
        assign_kernel=assign,
        relabel=relabel,
        could_error=_could_error(source, target, relabel=relabel),
        monotone=monotone or relabel,
        witness=source in _CONTAINERS,
    )


def _read() -> dict[tuple[BaseType, BaseType], Cast]:
    """Return the table by source and target."""
    casts: dict[tuple[BaseType, BaseType], Cast] = {}
    for line in filter(None, re.sub(r"\n +", " ", _TABLE).splitlines()):
        name, _, rest = line.partition(":")
        for context, targets in zip(CastContext, rest.split("|"), strict=True):
            for target in targets.split():
                cast = _cast(BaseType(name), BaseType(target), context)
                casts[cast.source, cast.target] = cast
    return casts


CASTS: dict[tuple[BaseType, BaseType], Cast] = _read()


def lookup_cast(source: BaseType, target: BaseType) -> Cast | None:
    """Return how ``source`` converts into ``target``, None where it does not.

    Equal types convert without a cast, except where a modifier has to be applied: those pairs
    (numeric, timestamp, timestamptz, varchar, bpchar, record, list, array) are in the table.
    """
    return CASTS.get((source, target))
