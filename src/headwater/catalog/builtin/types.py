"""The builtin types as the catalog shows them: names, object ids, categories.

Source: PostgreSQL 15 ``pg_type.dat``; ids from 16383 up are Materialize's.
"""

import msgspec

from headwater.ir.functions.schemas import TYPE_IO
from headwater.types.scalar import BaseType, ScalarType, array_of

MZ_CATALOG = "mz_catalog"
PG_CATALOG = "pg_catalog"


class BuiltinType(msgspec.Struct, frozen=True):
    """A type: ``category`` is PostgreSQL's letter, ``array_oid`` 0 where there is no array type."""

    name: str
    schema: str
    type: ScalarType
    oid: int
    array_oid: int
    size: int
    category: str


# base, schema, oid, array oid, size in bytes or -1, category
_ROWS: tuple[tuple[BaseType, str, int, int, int, str], ...] = (
    (BaseType.BOOL, PG_CATALOG, 16, 1000, 1, "B"),
    (BaseType.BYTEA, PG_CATALOG, 17, 1001, -1, "U"),
    (BaseType.CHAR, PG_CATALOG, 18, 1002, 1, "S"),
    (BaseType.NAME, PG_CATALOG, 19, 1003, 64, "S"),
    (BaseType.INT8, PG_CATALOG, 20, 1016, 8, "N"),
    (BaseType.INT2, PG_CATALOG, 21, 1005, 2, "N"),
    (BaseType.INT2VECTOR, PG_CATALOG, 22, 1006, -1, "A"),
    (BaseType.INT4, PG_CATALOG, 23, 1007, 4, "N"),
    (BaseType.REGPROC, PG_CATALOG, 24, 1008, 4, "N"),
    (BaseType.TEXT, PG_CATALOG, 25, 1009, -1, "S"),
    (BaseType.OID, PG_CATALOG, 26, 1028, 4, "N"),
    (BaseType.FLOAT4, PG_CATALOG, 700, 1021, 4, "N"),
    (BaseType.FLOAT8, PG_CATALOG, 701, 1022, 8, "N"),
    (BaseType.ACLITEM, PG_CATALOG, 1033, 1034, 12, "U"),
    (BaseType.BPCHAR, PG_CATALOG, 1042, 1014, -1, "S"),
    (BaseType.VARCHAR, PG_CATALOG, 1043, 1015, -1, "S"),
    (BaseType.DATE, PG_CATALOG, 1082, 1182, 4, "D"),
    (BaseType.TIME, PG_CATALOG, 1083, 1183, 8, "D"),
    (BaseType.TIMESTAMP, PG_CATALOG, 1114, 1115, 8, "D"),
    (BaseType.TIMESTAMPTZ, PG_CATALOG, 1184, 1185, 8, "D"),
    (BaseType.INTERVAL, PG_CATALOG, 1186, 1187, 16, "T"),
    (BaseType.NUMERIC, PG_CATALOG, 1700, 1231, -1, "N"),
    (BaseType.REGCLASS, PG_CATALOG, 2205, 2210, 4, "N"),
    (BaseType.REGTYPE, PG_CATALOG, 2206, 2211, 4, "N"),
    (BaseType.UUID, PG_CATALOG, 2950, 2951, 16, "U"),
    (BaseType.JSONB, PG_CATALOG, 3802, 3807, -1, "U"),
    (BaseType.UINT2, MZ_CATALOG, 16460, 16461, 2, "N"),
    (BaseType.UINT4, MZ_CATALOG, 16462, 16463, 4, "N"),
    (BaseType.UINT8, MZ_CATALOG, 16464, 16465, 8, "N"),
    (BaseType.MZ_TIMESTAMP, MZ_CATALOG, 16552, 16553, 8, "U"),
    (BaseType.MZ_ACLITEM, MZ_CATALOG, 16566, 16567, -1, "U"),
)
# Constructors without an element: shown as the type of any list, map, record or array.
_PSEUDO: tuple[tuple[BaseType, str, int, str], ...] = (
    (BaseType.RECORD, PG_CATALOG, 2249, "P"),
    (BaseType.LIST, MZ_CATALOG, 16383, "U"),
    (BaseType.MAP, MZ_CATALOG, 16384, "U"),
)
# Types of arguments that stand for several; no value is of one.
_POLYMORPHIC = (
    ("cstring", PG_CATALOG, 2275),
    ("void", PG_CATALOG, 2278),
    ("trigger", PG_CATALOG, 2279),
    ("internal", PG_CATALOG, 2281),
    ("event_trigger", PG_CATALOG, 3838),
    ("any", PG_CATALOG, 2276),
    ("anyarray", PG_CATALOG, 2277),
    ("anyelement", PG_CATALOG, 2283),
    ("anynonarray", PG_CATALOG, 2776),
    ("anyrange", PG_CATALOG, 3831),
    ("anycompatible", PG_CATALOG, 5077),
    ("anycompatiblearray", PG_CATALOG, 5078),
    ("anycompatiblenonarray", PG_CATALOG, 5079),
    ("anycompatiblerange", PG_CATALOG, 5080),
    ("anycompatiblelist", MZ_CATALOG, 16454),
    ("anycompatiblemap", MZ_CATALOG, 16455),
)
_RANGES: tuple[tuple[BaseType, str, int], ...] = (
    (BaseType.INT4, "int4range", 3904),
    (BaseType.NUMERIC, "numrange", 3906),
    (BaseType.TIMESTAMP, "tsrange", 3908),
    (BaseType.TIMESTAMPTZ, "tstzrange", 3910),
    (BaseType.DATE, "daterange", 3912),
    (BaseType.INT8, "int8range", 3926),
)
_ANY_ARRAY_OID = 2277


def _all() -> tuple[BuiltinType, ...]:
    types: list[BuiltinType] = []
    for base, schema, oid, array_oid, size, category in _ROWS:
        type_ = ScalarType(base)
        types.append(BuiltinType(base.value, schema, type_, oid, array_oid, size, category))
        types.append(BuiltinType(f"_{base.value}", schema, array_of(type_), array_oid, 0, -1, "A"))
    for name, schema, oid in _POLYMORPHIC:
        unknown = ScalarType(BaseType.UNKNOWN)
        types.append(BuiltinType(name, schema, unknown, oid, 0, 4, "P"))
    for base, schema, oid, category in _PSEUDO:
        types.append(BuiltinType(base.value, schema, ScalarType(base), oid, 0, -1, category))
    for base, name, oid in _RANGES:
        type_ = ScalarType(BaseType.RANGE, element=ScalarType(base))
        types.append(BuiltinType(name, PG_CATALOG, type_, oid, oid + 1, -1, "R"))
    return tuple(types)


BUILTIN_TYPES = _all()
_BY_BASE = {row[0]: (row[2], row[3]) for row in _ROWS}
_PSEUDO_OIDS = {base: oid for base, _, oid, _ in _PSEUDO}
_RANGE_OIDS = {base: oid for base, _, oid in _RANGES}
# What users call them, where that is not PostgreSQL's internal name.
_SPOKEN = {
    BaseType.BOOL: "boolean",
    BaseType.INT2: "smallint",
    BaseType.INT4: "integer",
    BaseType.INT8: "bigint",
    BaseType.FLOAT4: "real",
    BaseType.FLOAT8: "double precision",
    BaseType.VARCHAR: "character varying",
    BaseType.BPCHAR: "character",
    BaseType.CHAR: '"char"',
    BaseType.TIMESTAMP: "timestamp without time zone",
    BaseType.TIMESTAMPTZ: "timestamp with time zone",
}


def type_oid(type_: ScalarType) -> int:
    """Return the object id by which clients know a type; custom types count as their structure."""
    if type_.base in _BY_BASE:
        return _BY_BASE[type_.base][0]
    element = type_.element
    if type_.base is BaseType.ARRAY:
        return _BY_BASE[element.base][1] if element and element.base in _BY_BASE else _ANY_ARRAY_OID
    if type_.base is BaseType.RANGE and element is not None:
        return _RANGE_OIDS.get(element.base, 0)
    return _PSEUDO_OIDS.get(type_.base, 0)


def io_functions(type_: ScalarType, name: str, category: str) -> tuple[int, int]:
    """Return the object ids of the functions that read a type's text and binary forms, 0 for none.

    They are PostgreSQL's; drivers tell arrays and their kin by them.
    """
    family = {"A": "array", "R": "range"}.get(category, type_.base.value)
    if type_.base is BaseType.UNKNOWN or type_.base is BaseType.INT2VECTOR:
        family = name  # a pseudo-type, or what is an array in name only
    return (
        next((TYPE_IO[f] for f in (f"{family}in", f"{family}_in") if f in TYPE_IO), 0),
        next((TYPE_IO[f] for f in (f"{family}recv", f"{family}_recv") if f in TYPE_IO), 0),
    )


def type_modifier(type_: ScalarType) -> int:
    """Return PostgreSQL's type modifier, -1 where there is none."""
    if type_.modifier is None:
        return -1
    if type_.base is BaseType.NUMERIC:
        return ((39 << 16) | type_.modifier) + 4
    if type_.base in (BaseType.VARCHAR, BaseType.BPCHAR):
        return type_.modifier + 4
    return type_.modifier


def show_type(type_: ScalarType) -> str:
    """Return a type's name as ``mz_columns.type`` and SHOW COLUMNS show it."""
    element = type_.element
    if type_.base is BaseType.ARRAY and element is not None:
        return f"{show_type(element)}[]"
    if type_.base is BaseType.LIST and element is not None:
        return f"{show_type(element)} list"
    if type_.base is BaseType.MAP and element is not None:
        return f"map[text=>{show_type(element)}]"
    if type_.base is BaseType.RANGE and element is not None:
        return next((name for base, name, _ in _RANGES if base is element.base), "range")
    if type_.base is BaseType.RECORD:
        fields = ", ".join(
            f"{field.name}: {show_type(field.type.type)}{'?' if field.type.nullable else ''}"
            for field in type_.fields
        )
        return f"record({fields})"
    return _SPOKEN.get(type_.base, type_.base.value)
