"""Operators and functions over dates, times, timestamps and intervals."""

from headwater.ir.functions.signature import FunctionKind, Signature, parse_table

_OPERATORS = """
+ add: interval,interval->interval #1337 {e}; timestamp,interval->timestamp #2066 {em};
    interval,timestamp->timestamp #2553 {em}; timestamptz,interval->timestamptz #1327 {em};
    interval,timestamptz->timestamptz #2554 {em}; date,interval->timestamp #1076 {em};
    interval,date->timestamp #2551 {em}; date,time->timestamp #1360 {em};
    time,date->timestamp #1363 {em}; time,interval->time #1800; interval,time->time #1849
- neg: interval->interval #1336 {e}
- sub: interval,interval->interval #1338 {e}; timestamp,timestamp->interval #2067 {e};
    timestamptz,timestamptz->interval #1328 {e}; timestamp,interval->timestamp #2068 {e};
    timestamptz,interval->timestamptz #1329 {e}; date,date->int4 #1099 {e};
    date,interval->timestamp #1077 {e}; time,time->interval #1399; time,interval->time #1801
* mul: interval,float8->interval #1583 {e}; float8,interval->interval #1584 {e}
/ div: interval,float8->interval #1585 {e}
"""

_FUNCTIONS = """
age: timestamp,timestamp->interval #2058 {e}; timestamptz,timestamptz->interval #1199 {e}
date: text->date #16563 =cast_text_date {e}; timestamp->date #2029 =cast_timestamp_date {m};
    timestamptz->date #1178 =cast_timestamptz_date {m}
date_bin: interval,timestamp->timestamp #16446 {e}; interval,timestamptz->timestamptz #16447 {e};
    interval,timestamp,timestamp->timestamp #6177 {e};
    interval,timestamptz,timestamptz->timestamptz #6178 {e}
date_part: text,interval->float8 #1172 {e}; text,time->float8 #1385 {e};
    text,timestamp->float8 #2021 {e}; text,timestamptz->float8 #1171 {e};
    text,date->float8 #1384 {e}
date_trunc: text,timestamp->timestamp #2020 {e}; text,timestamptz->timestamptz #1217 {e};
    text,interval->interval #1218 {e}
datediff: text,timestamp,timestamp->int8 #16606 {e}; text,timestamptz,timestamptz->int8 #16607 {e};
    text,date,date->int8 #16604 {e}; text,time,time->int8 #16605 {e}
extract: text,interval->numeric #6204 {e}; text,time->numeric #6200 {e};
    text,timestamp->numeric #6202 {e}; text,timestamptz->numeric #6203 {e};
    text,date->numeric #6199 {e}
justify_days: interval->interval #1295 {e}
justify_hours: interval->interval #1175 {e}
justify_interval: interval->interval #2711 {e}
make_timestamp: int8,int8,int8,int8,int8,float8->timestamp #3461 {e}
timezone: text,timestamp->timestamptz #2069 {e}; text,timestamptz->timestamp #1159 {e};
    text,time->time #2037 {e}; interval,timestamp->timestamptz #2070 {e};
    interval,timestamptz->timestamp #1026 {e}; interval,time->time #2038 {e}
to_char: timestamp,text->text #2049; timestamptz,text->text #1770
to_timestamp: float8->timestamptz #1158 {em}
try_parse_monotonic_iso8601_timestamp: text->timestamp #16611 =try_parse_iso8601_text {nm}
"""

SIGNATURES: tuple[Signature, ...] = (
    *parse_table(_OPERATORS, FunctionKind.OPERATOR),
    *parse_table(_FUNCTIONS),
)
