"""Operators and functions over dates, times, timestamps and intervals."""

from headwater.ir.functions.signature import FunctionKind, Signature, parse_table
from headwater.types import scalar
from headwater.types.scalar import ColumnType

_OPERATORS = """
+ add: interval,interval->interval #1337 {e}; timestamp,interval->timestamp #2066 {em1};
    interval,timestamp->timestamp #2553 {em2}; timestamptz,interval->timestamptz #1327 {em1};
    interval,timestamptz->timestamptz #2554 {em2}; date,interval->timestamp #1076 {em1};
    interval,date->timestamp #2551 {em2}; date,time->timestamp #1360 {em};
    time,date->timestamp #1363 {em}; time,interval->time #1800; interval,time->time #1849;
    date,int4->date #1100 {em}; int4,date->date #2555 {em}
- neg: interval->interval #1336 {e}
- sub: interval,interval->interval #1338 {e}; timestamp,timestamp->interval #2067 {e};
    timestamptz,timestamptz->interval #1328 {e}; timestamp,interval->timestamp #2068 {em1};
    timestamptz,interval->timestamptz #1329 {em1}; date,date->int4 #1099 {em1};
    date,interval->timestamp #1077 {em1}; date,int4->date #1101 {em1};
    time,time->interval #1399; time,interval->time #1801
* mul: interval,float8->interval #1583 {e}; float8,interval->interval #1584 {e}
/ div: interval,float8->interval #1585 {e}
"""

_FUNCTIONS = """
age: timestamp,timestamp->interval #2058 {e}; timestamptz,timestamptz->interval #1199 {e}
date: text->date #16563 =cast_text_date {e}; timestamp->date #2029 =cast_timestamp_date {m};
    timestamptz->date #1178 =cast_timestamptz_date {m}
date_bin: interval,timestamp->timestamp #16446 {em2};
    interval,timestamptz->timestamptz #16447 {em2};
    interval,timestamp,timestamp->timestamp #6177 {e};
    interval,timestamptz,timestamptz->timestamptz #6178 {e}
date_part: text,interval->float8 #1172 {e}; text,time->float8 #1385 {e};
    text,timestamp->float8 #2021 {e}; text,timestamptz->float8 #1171 {e};
    text,date->float8 #1384 {e}
date_trunc: text,timestamp->timestamp #2020 {em2}; text,timestamptz->timestamptz #1217 {em2};
    text,timestamptz,text->timestamptz #1284 {e};
    text,interval->interval #1218 {e}
datediff: text,timestamp,timestamp->int8 #16606 {e}; text,timestamptz,timestamptz->int8 #16607 {e};
    text,date,date->int8 #16604 {e}; text,time,time->int8 #16605 {e}
extract: text,interval->numeric #6204 {e}; text,time->numeric #6200 {e};
    text,timestamp->numeric #6202 {e}; text,timestamptz->numeric #6203 {e};
    text,date->numeric #6199 {e}
isfinite: date->bool #1373 =isfinite_int; timestamp->bool #2048 =isfinite_int;
    timestamptz->bool #1389 =isfinite_int; interval->bool #1390
justify_days: interval->interval #1295 {e}
justify_hours: interval->interval #1175 {e}
justify_interval: interval->interval #2711 {e}
make_date: int4,int4,int4->date #3846 {e}
make_interval: int4->interval =make_interval {e}; int4,int4->interval =make_interval {e};
    int4,int4,int4->interval =make_interval {e}; int4,int4,int4,int4->interval =make_interval {e};
    int4,int4,int4,int4,int4->interval =make_interval {e};
    int4,int4,int4,int4,int4,int4->interval =make_interval {e};
    int4,int4,int4,int4,int4,int4,float8->interval #3464 =make_interval {e}
make_time: int4,int4,float8->time #3847 {e}
make_timestamp: int8,int8,int8,int8,int8,float8->timestamp #3461 {en}
make_timestamptz: int4,int4,int4,int4,int4,float8->timestamptz #3462 =make_timestamptz {e};
    int4,int4,int4,int4,int4,float8,text->timestamptz #3463 =make_timestamptz {e}
overlaps: timestamp,timestamp,timestamp,timestamp->bool #2041 =overlaps {cen};
    timestamp,interval,timestamp,interval->bool #2042 =overlaps {cen};
    timestamp,timestamp,timestamp,interval->bool #2043 =overlaps {cen};
    timestamp,interval,timestamp,timestamp->bool #2044 =overlaps {cen};
    timestamptz,timestamptz,timestamptz,timestamptz->bool #1304 =overlaps {cen};
    timestamptz,interval,timestamptz,interval->bool #1305 =overlaps {cen};
    timestamptz,timestamptz,timestamptz,interval->bool #1306 =overlaps {cen};
    timestamptz,interval,timestamptz,timestamptz->bool #1307 =overlaps {cen};
    time,time,time,time->bool #1308 =overlaps {cen}
timezone: text,timestamp->timestamptz #2069 {e}; text,timestamptz->timestamp #1159 {e};
    text,time->time #2037 {e}; interval,timestamp->timestamptz #2070 {em2};
    interval,timestamptz->timestamp #1026 {em2}; interval,time->time #2038 {e}
to_char: timestamp,text->text #2049; timestamptz,text->text #1770; interval,text->text #1768;
    int4,text->text #1773 {e}; int8,text->text #1774 {e}; numeric,text->text #1772 {e};
    float4,text->text #1775 {e}; float8,text->text #1776 {e}
to_date: text,text->date #1780 {e}
to_number: text,text->numeric #1777 {e}
to_timestamp: float8->timestamptz #1158 {em}; text,text->timestamptz #1778 {e}
try_parse_monotonic_iso8601_timestamp: text->timestamp #16611 =try_parse_iso8601_text {nm}
"""

# Conversions in the session's zone, which the planner writes; nothing looks them up by these names.
_SYNTAX = """
timestamptz_in_zone: text,text->timestamptz =timestamptz_of_text_in {e}
text_in_zone: timestamptz,text->text =text_of_timestamptz_in {e}
extract_in_zone: text,timestamptz,text->numeric =extract_in_zone {e}
date_part_in_zone: text,timestamptz,text->float8 =date_part_in_zone {e}
"""

_ZONE_PARTS = scalar.record_of(
    ("abbrev", ColumnType(scalar.TEXT)),
    ("base_utc_offset", ColumnType(scalar.INTERVAL)),
    ("dst_offset", ColumnType(scalar.INTERVAL)),
)
_ZONE_OFFSET = Signature(
    name="timezone_offset",
    kind=FunctionKind.SCALAR,
    args=(scalar.TEXT, scalar.TIMESTAMPTZ),
    result=_ZONE_PARTS,
    kernel="timezone_offset_text_timestamptz",
    could_error=True,
    oid=16646,
)

SIGNATURES: tuple[Signature, ...] = (
    _ZONE_OFFSET,
    *parse_table(_OPERATORS, FunctionKind.OPERATOR),
    *parse_table(_FUNCTIONS),
)
SYNTAX: tuple[Signature, ...] = parse_table(_SYNTAX)
