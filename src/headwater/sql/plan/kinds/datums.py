"""LOAD GENERATOR DATUMS: a column for each type, and the values of it that are worth a look.

The ends of each type's range, its zero and its neighbours, what is not a number, text that needs
quoting; NULL last. Row n of the source has the n-th value of each column, beginning again where a
column has fewer.
"""

from headwater.types import scalar as s
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import ScalarType

_INTERVALS = ("00:00:00", "1 year 2 months 3 days 04:05:06.789", "-1 day", "00:00:00.000001")

# Name, type and values in their text form.
_COLUMNS: tuple[tuple[str, ScalarType, tuple[str, ...]], ...] = (
    ("bool", s.BOOL, ("t", "f")),
    ("int2", s.INT2, ("0", "1", "-1", "32767", "-32768")),
    ("int4", s.INT4, ("0", "1", "-1", "2147483647", "-2147483648")),
    ("int8", s.INT8, ("0", "1", "-1", "9223372036854775807", "-9223372036854775808")),
    ("uint2", s.UINT2, ("0", "1", "65535")),
    ("uint4", s.UINT4, ("0", "1", "4294967295")),
    ("uint8", s.UINT8, ("0", "1", "18446744073709551615")),
    ("float4", s.FLOAT4, ("0", "1.5", "-3.4028235e38", "Infinity", "-Infinity", "NaN")),
    ("float8", s.FLOAT8, ("0", "1.5", "-1.7976931348623157e308", "Infinity", "-Infinity", "NaN")),
    ("numeric", s.NUMERIC, ("0", "0.1", "-12345678901234567890.0123456789", "1e38", "NaN")),
    ("text", s.TEXT, ("", "a", " ", "NULL", 'it\'s "quoted"\\\n', "h\u00e9\U0001f30a")),
    ("bytea", s.BYTEA, ("\\x", "\\x00", "\\x00ff7f80")),
    ("date", s.DATE, ("1970-01-01", "2000-02-29", "0001-01-01", "9999-12-31")),
    ("time", s.TIME, ("00:00:00", "12:34:56.789", "23:59:59.999999")),
    ("timestamp", s.TIMESTAMP, ("1970-01-01 00:00:00", "2000-02-29 23:59:59.999999")),
    ("timestamptz", s.TIMESTAMPTZ, ("1970-01-01 00:00:00+00", "2000-02-29 23:59:59.999999+00")),
    ("interval", s.INTERVAL, _INTERVALS),
    (
        "uuid",
        s.UUID,
        ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    ),
    ("jsonb", s.JSONB, ("null", "true", "0", '"a"', "[]", "{}", '{"a": [1, {"b": null}]}')),
    ("int4_array", s.array_of(s.INT4), ("{}", "{1,NULL,-1}", "{{1,2},{3,4}}")),
    ("text_list", s.list_of(s.TEXT), ("{}", '{a,"b c",NULL}')),
    ("text_map", s.map_of(s.TEXT), ("{}", "{a=>b}")),
    ("int4_range", s.range_of(s.INT4), ("empty", "[1,5)", "(,)")),
)

# Types and values, as the generator takes them.
DATUMS: tuple[tuple[ScalarType, tuple[str | None, ...]], ...] = tuple(
    (type, (*values, None)) for _, type, values in _COLUMNS
)
# The source's columns.
DATUMS_DESC = RelationDesc(
    (
        Column("rowid", s.INT8, False),
        *(Column(name, type, True) for name, type, _ in _COLUMNS),
    ),
    ((0,),),
)
