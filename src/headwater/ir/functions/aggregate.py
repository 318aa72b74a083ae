"""Aggregates and window functions.

Aggregates of several arguments take a record of them; ``count(*)`` counts a literal true.
"""

from headwater.ir.functions.signature import (
    AggregateClass,
    FunctionKind,
    Signature,
    parse_table,
)

_ACCUMULABLE = """
count: ->int8 #2803 =count {c}; any->int8 #2147 =count {c}
sum: int2->int8 #2109 {en}; int4->int8 #2108 {en}; int8->numeric #2107 {en};
    uint2->uint8 #16502 {en}; uint4->uint8 #16503 {en}; uint8->numeric #16504 {en};
    float4->float4 #2110 {en}; float8->float8 #2111 {en}; numeric->numeric #2114 {en};
    interval->interval #2113 {en}
avg: int8->numeric #2100 {en}; int4->numeric #2101 {en}; int2->numeric #2102 {en};
    uint8->numeric #16507 {en}; uint4->numeric #16506 {en}; uint2->numeric #16505 {en};
    float4->float8 #2104 {en}; float8->float8 #2105 {en}; numeric->numeric #2103 {en};
    interval->interval #2106 {en}
avg_internal_v1: int8->numeric #16635 =avg_int8 {en}; int4->numeric #16636 =avg_int4 {en};
    int2->numeric #16637 =avg_int2 {en}; uint8->numeric #16638 =avg_uint8 {en};
    uint4->numeric #16639 =avg_uint4 {en}; uint2->numeric #16640 =avg_uint2 {en};
    float4->float8 #16641 =avg_float4 {en}; float8->float8 #16642 =avg_float8 {en};
    interval->interval #16643 =avg_interval {en}
bool_and: bool->bool #2517 =bool_and {n}
bool_or: bool->bool #2518 =bool_or {n}
every: bool->bool #2519 =bool_and {n}
bit_and: int2->int2 #2236 {n}; int4->int4 #2238 {n}; int8->int8 #2240 {n};
    uint2->uint2 {n}; uint4->uint4 {n}; uint8->uint8 {n}
bit_or: int2->int2 #2237 {n}; int4->int4 #2239 {n}; int8->int8 #2241 {n};
    uint2->uint2 {n}; uint4->uint4 {n}; uint8->uint8 {n}
bit_xor: int2->int2 #6164 {n}; int4->int4 #6165 {n}; int8->int8 #6166 {n};
    uint2->uint2 {n}; uint4->uint4 {n}; uint8->uint8 {n}
regr_count: float8,float8->int8 #2818 {c}
regr_sxx: float8,float8->float8 #2819 {n}
regr_syy: float8,float8->float8 #2820 {n}
regr_sxy: float8,float8->float8 #2821 {n}
regr_avgx: float8,float8->float8 #2822 {n}
regr_avgy: float8,float8->float8 #2823 {n}
regr_r2: float8,float8->float8 #2824 {n}
regr_slope: float8,float8->float8 #2825 {n}
regr_intercept: float8,float8->float8 #2826 {n}
covar_pop: float8,float8->float8 #2827 {n}
covar_samp: float8,float8->float8 #2828 {n}
corr: float8,float8->float8 #2829 {n}
mz_all: bool->bool #16400 =mz_all {c}
mz_any: bool->bool #16401 =mz_any {c}
variance: float4->float8 #2151 =var_samp_float4 {en}; float8->float8 #2152 =var_samp_float8 {en};
    int2->numeric #2150 =var_samp_int2 {en}; int4->numeric #2149 =var_samp_int4 {en};
    int8->numeric #2148 =var_samp_int8 {en}; uint2->numeric #16520 =var_samp_uint2 {en};
    uint4->numeric #16521 =var_samp_uint4 {en}; uint8->numeric #16522 =var_samp_uint8 {en};
    numeric->numeric #2153 =var_samp_numeric {en}
var_samp: float4->float8 #2644 {en}; float8->float8 #2645 {en}; int2->numeric #2643 {en};
    int4->numeric #2642 {en}; int8->numeric #2641 {en}; uint2->numeric #16526 {en};
    uint4->numeric #16527 {en}; uint8->numeric #16528 {en}; numeric->numeric #2646 {en}
var_pop: float4->float8 #2721 {en}; float8->float8 #2722 {en}; int2->numeric #2720 {en};
    int4->numeric #2719 {en}; int8->numeric #2718 {en}; uint2->numeric #16523 {en};
    uint4->numeric #16524 {en}; uint8->numeric #16525 {en}; numeric->numeric #2723 {en}
stddev: float4->float8 #2157 =stddev_samp_float4 {en};
    float8->float8 #2158 =stddev_samp_float8 {en}; int2->numeric #2156 =stddev_samp_int2 {en};
    int4->numeric #2155 =stddev_samp_int4 {en}; int8->numeric #2154 =stddev_samp_int8 {en};
    uint2->numeric #16511 =stddev_samp_uint2 {en}; uint4->numeric #16512 =stddev_samp_uint4 {en};
    uint8->numeric #16513 =stddev_samp_uint8 {en}; numeric->numeric #2159 =stddev_samp_numeric {en}
stddev_samp: float4->float8 #2715 {en}; float8->float8 #2716 {en}; int2->numeric #2714 {en};
    int4->numeric #2713 {en}; int8->numeric #2712 {en}; uint2->numeric #16517 {en};
    uint4->numeric #16518 {en}; uint8->numeric #16519 {en}; numeric->numeric #2717 {en}
stddev_pop: float4->float8 #2727 {en}; float8->float8 #2728 {en}; int2->numeric #2726 {en};
    int4->numeric #2725 {en}; int8->numeric #2724 {en}; uint2->numeric #16514 {en};
    uint4->numeric #16515 {en}; uint8->numeric #16516 {en}; numeric->numeric #2729 {en}
"""

# The types of min and max: their order is that of the row bytes, so that any would do.
_EXTREMES = [
    "bool",
    "oid",
    "uuid",
    "bytea",
    "anyarray",
    "int2",
    "int4",
    "int8",
    "uint2",
    "uint4",
    "uint8",
    "mz_timestamp",
    "float4",
    "float8",
    "text",
    "bpchar",
    "date",
    "timestamp",
    "timestamptz",
    "numeric",
    "interval",
    "time",
]

_BASIC = """
array_agg: anynonarray->anyarray #2335 =array_agg {cn};
    anyarray->anyarray #4053 =array_agg_array {cen}
list_agg: any->list #16444 =list_agg {cn}
map_agg: text,any->map #16653 =map_agg {cn}
string_agg: text,text->text #3538 {n}; bytea,bytea->bytea #3545 {n}
jsonb_agg: any->jsonb #3267 =jsonb_agg {cnj}
jsonb_object_agg: any,any->jsonb #3270 =jsonb_object_agg {cenj}
"""

# WITHIN GROUP: direct arguments come before those of its ORDER BY.
_ORDERED_SETS = """
percentile_cont: float8,float8->float8 #3974 =percentile_cont {en};
    float8,interval->interval #3976 =percentile_cont {en};
    float8[],float8->float8[] #3980 =percentile_cont {en};
    float8[],interval->interval[] #3982 =percentile_cont {en}
percentile_disc: float8,anyelement->anyelement #3972 =percentile_disc {en};
    float8[],anyelement->anyarray #3978 =percentile_disc {en}
mode: anyelement->anyelement #3984 =mode {n}
rank: any...->int8 #3986 =hypothetical_rank {c}
percent_rank: any...->float8 #3988 =hypothetical_percent_rank {c}
cume_dist: any...->float8 #3990 =hypothetical_cume_dist {c}
dense_rank: any...->int8 #3992 =hypothetical_dense_rank {c}
"""

# The planner renders these itself; the kernel's name says which.
_WINDOW = """
row_number: ->int8 #3100
rank: ->int8 #3101
dense_rank: ->int8 #3102
percent_rank: ->float8 #3103
cume_dist: ->float8 #3104
ntile: int4->int4 #3105 {cen}
lag: anyelement->anyelement #3106 {cn}; anyelement,int4->anyelement #3107 {cn};
    anycompatible,int4,anycompatible->anycompatible #3108 {cn}
lead: anyelement->anyelement #3109 {cn}; anyelement,int4->anyelement #3110 {cn};
    anycompatible,int4,anycompatible->anycompatible #3111 {cn}
first_value: anyelement->anyelement #3112 {cn}
last_value: anyelement->anyelement #3113 {cn}
nth_value: anyelement,int4->anyelement #3114 {cen}
"""


def _extremes() -> str:
    """Return the table of ``min`` and ``max``: generic kernels over the order of bytes."""
    lines = []
    for name in ("min", "max"):
        overloads = "; ".join(f"{type_}->{type_} ={name} {{n}}" for type_ in _EXTREMES)
        lines.append(f"{name}: {overloads}")
    return "\n".join(lines)


SIGNATURES: tuple[Signature, ...] = (
    *parse_table(_ACCUMULABLE, FunctionKind.AGGREGATE, aggregate=AggregateClass.ACCUMULABLE),
    *parse_table(_extremes(), FunctionKind.AGGREGATE, aggregate=AggregateClass.HIERARCHICAL),
    *parse_table(_BASIC, FunctionKind.AGGREGATE, aggregate=AggregateClass.BASIC),
    # Those that share their name with an aggregate come first: that is what OVER makes of it.
    *parse_table(_WINDOW, FunctionKind.WINDOW),
    *parse_table(_ORDERED_SETS, FunctionKind.AGGREGATE, aggregate=AggregateClass.BASIC),
)
