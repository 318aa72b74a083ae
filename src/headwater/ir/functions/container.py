"""Operators and functions over arrays, lists, maps, records and ranges."""

from headwater.ir.functions.signature import FunctionKind, Signature, parse_table

_OPERATORS = """
|| cat: anycompatiblearray,anycompatiblearray->anycompatiblearray #375 =array_cat_array_array {ce};
    anycompatiblearray,anycompatible->anycompatiblearray #349 =array_append_array_any {ce};
    anycompatible,anycompatiblearray->anycompatiblearray #374 =array_prepend_any_array {ce};
    anycompatiblelist,anycompatiblelist->anycompatiblelist #16419 =list_cat_list_list {c};
    anycompatiblelist,list_element->anycompatiblelist #16418 =list_append_list_any {c};
    list_element,anycompatiblelist->anycompatiblelist #16417 =list_prepend_any_list {c}
-> get: map,text->map_value #16429 {n}
@> contains: anycompatiblemap,anycompatiblemap->bool #16427; anyrange,anyelement->bool #3889;
    anyrange,anyrange->bool #3890; anyarray,anyarray->bool #2751; list,list->bool #16975
<@ contained_by: anycompatiblemap,anycompatiblemap->bool #16421; anyelement,anyrange->bool #3891;
    anyrange,anyrange->bool #3892; anyarray,anyarray->bool #2752; list,list->bool #16976
? has_key: map,text->bool #16426
?& has_all_keys: map,text[]->bool #16423
?| has_any_key: map,text[]->bool #16424
+ add: anyrange,anyrange->anyrange #3898 {e}
- sub: anyrange,anyrange->anyrange #3899 {e}
* mul: anyrange,anyrange->anyrange #3900
&& overlaps: anyrange,anyrange->bool #3888; anyarray,anyarray->bool #2750
&< not_extend_right: anyrange,anyrange->bool #3895
&> not_extend_left: anyrange,anyrange->bool #3896
<< before: anyrange,anyrange->bool #3893
>> after: anyrange,anyrange->bool #3894
-|- adjacent: anyrange,anyrange->bool #3897
"""

_FUNCTIONS = """
array_cat: anycompatiblearray,anycompatiblearray->anycompatiblearray #383 {ce}
array_append: anycompatiblearray,anycompatible->anycompatiblearray #378 {ce}
array_dims: anyarray->text #747 {n}
array_fill: anyelement,int4[]->anyarray #1193 {ce}; anyelement,int4[],int4[]->anyarray #1286 {ce}
array_length: anyarray,int8->int4 #2176 {n}
array_lower: anyarray,int8->int4 #2091 {n}
array_upper: anyarray,int8->int4 #2092 {n}
array_ndims: anyarray->int4 #748 {n}
array_position: anycompatiblearray,anycompatible->int4 #3277 {cen};
    anycompatiblearray,anycompatible,int4->int4 #3278 {cen}
array_positions: anycompatiblearray,anycompatible->int4[] #3279 {cen}
array_prepend: anycompatible,anycompatiblearray->anycompatiblearray #379 {ce}
array_replace: anycompatiblearray,anycompatible,anycompatible->anycompatiblearray #3168 {c}
array_remove: anycompatiblearray,anycompatible->anycompatiblearray #3167 {ce}
array_to_string: anyarray,text->text #395 {cw}; anyarray,text,text->text #384 {cw}
cardinality: anyarray->int4 #3179
list_append: anycompatiblelist,list_element->anycompatiblelist #16392 {c}
list_cat: anycompatiblelist,anycompatiblelist->anycompatiblelist #16393 {c}
list_length: list->int4 #16395
list_length_max: list,int8->int4 #16394 =list_length_max {cenw}
list_n_layers: list->int4 #16396 {w}
list_prepend: list_element,anycompatiblelist->anycompatiblelist #16397 {c}
list_remove: anycompatiblelist,list_element->anycompatiblelist #16448 {c}
map_build: list->map =map_build_list
map_length: map->int4
range_merge: anyrange,anyrange->anyrange #4057
trim_array: anyarray,int4->anyarray #6172 {e}
lower: anyrange->anyelement #3848 {n}
upper: anyrange->anyelement #3849 {n}
isempty: anyrange->bool #3850
lower_inc: anyrange->bool #3851
upper_inc: anyrange->bool #3852
lower_inf: anyrange->bool #3853
upper_inf: anyrange->bool #3854
int4range: int4,int4->int4range #3840 =range_make {ce};
    int4,int4,text->int4range #3841 =range_make {ce}
int8range: int8,int8->int8range #3945 =range_make {ce};
    int8,int8,text->int8range #3946 =range_make {ce}
numrange: numeric,numeric->numrange #3844 =range_make {ce};
    numeric,numeric,text->numrange #3845 =range_make {ce}
daterange: date,date->daterange #3941 =range_make {ce};
    date,date,text->daterange #3942 =range_make {ce}
tsrange: timestamp,timestamp->tsrange #3933 =range_make {ce};
    timestamp,timestamp,text->tsrange #3934 =range_make {ce}
tstzrange: timestamptz,timestamptz->tstzrange #3937 =range_make {ce};
    timestamptz,timestamptz,text->tstzrange #3938 =range_make {ce}
"""

# Constructors and accessors that the parser writes; nothing looks them up by these names.
_SYNTAX = """
array_make: anycompatible...->anyarray =array_make {ce}
list_make: anycompatible...->list =list_make {c}
map_make: any...->map =map_make {ce}
record_make: any...->record =record_make {c}
record_get: record,int8->any =record_get {n}
array_index: anyarray,int8...->anyelement =array_index {n}
list_index: list,int8...->any =list_index {n}
list_slice: list,int8,int8->list =list_slice
array_slice: anyarray,int8...->anyarray =array_slice {c}
jsonb_subscript: jsonb,text->jsonb =subscript_jsonb_text {n}
any_eq: any,any->bool =any_eq {c}
any_ne: any,any->bool =any_ne {c}
any_lt: any,any->bool =any_lt {c}
any_le: any,any->bool =any_le {c}
any_gt: any,any->bool =any_gt {c}
any_ge: any,any->bool =any_ge {c}
all_eq: any,any->bool =all_eq {c}
all_ne: any,any->bool =all_ne {c}
all_lt: any,any->bool =all_lt {c}
all_le: any,any->bool =all_le {c}
all_gt: any,any->bool =all_gt {c}
all_ge: any,any->bool =all_ge {c}
"""

SIGNATURES: tuple[Signature, ...] = (
    *parse_table(_OPERATORS, FunctionKind.OPERATOR),
    *parse_table(_FUNCTIONS),
)
SYNTAX: tuple[Signature, ...] = parse_table(_SYNTAX)
