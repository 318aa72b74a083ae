"""Table functions: each call yields rows of the signature's columns."""

from headwater.ir.functions.signature import FunctionKind, Signature, parse_table

_FUNCTIONS = """
generate_series: int4,int4->setof int4 #1067; int4,int4,int4->setof int4 #1066 {e};
    int8,int8->setof int8 #1069; int8,int8,int8->setof int8 #1068 {e};
    numeric,numeric->setof numeric #3260 {e}; numeric,numeric,numeric->setof numeric #3259 {e};
    timestamp,timestamp,interval->setof timestamp #938 {e};
    timestamptz,timestamptz,interval->setof timestamptz #939 {e}
generate_subscripts: anyarray,int4->setof int4 #1192; anyarray,int4,bool->setof int4 #1191
unnest: anyarray->setof anyelement #2331; list->setof list_element;
    map->setof (key text, value map_value)
_pg_expandarray: anyarray->setof (x anyelement, n int4) =expand_array
jsonb_array_elements: jsonb->setof (value jsonb) #3219 {e}
jsonb_array_elements_text: jsonb->setof (value text) #3465 {e}
jsonb_each: jsonb->setof (key text, value jsonb) #3208 {e}
jsonb_each_text: jsonb->setof (key text, value text) #3932 {e}
jsonb_object_keys: jsonb->setof text #3931 {e}
jsonb_path_query: jsonb,text->setof jsonb =jsonb_path_query {e};
    jsonb,text,jsonb->setof jsonb =jsonb_path_query {e};
    jsonb,text,jsonb,bool->setof jsonb #4006 =jsonb_path_query {e}
json_array_elements: jsonb->setof (value jsonb) #3955 =jsonb_array_elements_jsonb {e}
json_array_elements_text: jsonb->setof (value text) #3969 =jsonb_array_elements_text_jsonb {e}
json_each: jsonb->setof (key text, value jsonb) #3958 =jsonb_each_jsonb {e}
json_each_text: jsonb->setof (key text, value text) #3959 =jsonb_each_text_jsonb {e}
json_object_keys: jsonb->setof text #3957 =jsonb_object_keys_jsonb {e}
string_to_table: text,text->setof text #6160 {c}; text,text,text->setof text #6161 {c}
regexp_split_to_table: text,text->setof text #2765 {e}; text,text,text->setof text #2766 {e}
regexp_matches: text,text->setof text[] #2763 {e}; text,text,text->setof text[] #2764 {e}
regexp_extract: text,text->setof record {e}
csv_extract: int8,text->setof record #16388 {e}
date_bin_hopping: interval,interval,timestamp->setof timestamp #16449 {e};
    interval,interval,timestamptz->setof timestamptz #16450 {e};
    interval,interval,timestamp,timestamp->setof timestamp #16451 {e};
    interval,interval,timestamptz,timestamptz->setof timestamptz #16452 {e}
repeat_row: int8->setof ()
repeat_row_non_negative: int8->setof () #17075 {e}
"""

SIGNATURES: tuple[Signature, ...] = parse_table(_FUNCTIONS, FunctionKind.TABLE)
