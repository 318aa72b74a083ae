"""Operators and functions over jsonb."""

from headwater.ir.functions.signature import FunctionKind, Signature, parse_table

_OPERATORS = """
|| cat: jsonb,jsonb->jsonb #3284 {e}
- sub: jsonb,int8->jsonb #3286 {e}; jsonb,text->jsonb #3285 {e}; jsonb,text[]->jsonb #3398 {e}
#- delete_path: jsonb,text[]->jsonb #3287 {e}
@? path_exists: jsonb,text->bool #4012 =jsonb_path_exists_operator {en}
@@ path_match: jsonb,text->bool #4013 =jsonb_path_match_operator {en}
-> get: jsonb,int8->jsonb #3212 {n}; jsonb,text->jsonb #3211 {n}
->> get_text: jsonb,int8->text #3481 {n}; jsonb,text->text #3477 {n}
#> get_path: jsonb,text[]->jsonb #3213 {n}
#>> get_path_text: jsonb,text[]->text #3206 {n}
@> contains: jsonb,jsonb->bool #3246; jsonb,text->bool #16425 {e}; text,jsonb->bool #16428 {e}
<@ contained_by: jsonb,jsonb->bool #3250; jsonb,text->bool #16420 {e}; text,jsonb->bool #16422 {e}
? has_key: jsonb,text->bool #3247
?& has_all_keys: jsonb,text[]->bool #3249
?| has_any_key: jsonb,text[]->bool #3248
"""

_FUNCTIONS = """
jsonb_array_length: jsonb->int4 #3207 {e}
jsonb_build_array: ->jsonb #3272 =jsonb_build_array {c}; any...->jsonb #3271 =jsonb_build_array {cj}
jsonb_build_object: ->jsonb #3274 =jsonb_build_object {c};
    any...->jsonb #3273 =jsonb_build_object {cej}
jsonb_extract_path: jsonb,text...->jsonb #3217 =jsonb_extract_path {en}
jsonb_extract_path_text: jsonb,text...->text #3940 =jsonb_extract_path_text {en}
jsonb_insert: jsonb,text[],jsonb->jsonb =jsonb_insert {e};
    jsonb,text[],jsonb,bool->jsonb #3579 =jsonb_insert {e}
jsonb_object: text[]->jsonb #3263 =jsonb_object {e}; text[],text[]->jsonb #3264 =jsonb_object {e}
jsonb_path_exists: jsonb,text->bool =jsonb_path_exists {en};
    jsonb,text,jsonb->bool =jsonb_path_exists {en};
    jsonb,text,jsonb,bool->bool #4005 =jsonb_path_exists {en}
jsonb_path_match: jsonb,text->bool =jsonb_path_match {en};
    jsonb,text,jsonb->bool =jsonb_path_match {en};
    jsonb,text,jsonb,bool->bool #4009 =jsonb_path_match {en}
jsonb_path_query_array: jsonb,text->jsonb =jsonb_path_query_array {e};
    jsonb,text,jsonb->jsonb =jsonb_path_query_array {e};
    jsonb,text,jsonb,bool->jsonb #4007 =jsonb_path_query_array {e}
jsonb_path_query_first: jsonb,text->jsonb =jsonb_path_query_first {en};
    jsonb,text,jsonb->jsonb =jsonb_path_query_first {en};
    jsonb,text,jsonb,bool->jsonb #4008 =jsonb_path_query_first {en}
jsonb_pretty: jsonb->text #3306
jsonb_set: jsonb,text[],jsonb->jsonb =jsonb_set {e};
    jsonb,text[],jsonb,bool->jsonb #3305 =jsonb_set {e}
jsonb_set_lax: jsonb,text[],jsonb->jsonb =jsonb_set_lax {ce};
    jsonb,text[],jsonb,bool->jsonb =jsonb_set_lax {ce};
    jsonb,text[],jsonb,bool,text->jsonb #5054 =jsonb_set_lax {ce}
jsonb_strip_nulls: jsonb->jsonb #3262
jsonb_typeof: jsonb->text #3210
to_jsonb: any->jsonb #3787 =to_jsonb {w}
array_to_json: anyarray->jsonb #3153 =to_jsonb {w}
json_array_length: jsonb->int4 #3956 =jsonb_array_length_jsonb {e}
json_build_array: ->jsonb #3199 =jsonb_build_array {c}; any...->jsonb #3198 =jsonb_build_array {cj}
json_build_object: ->jsonb #3201 =jsonb_build_object {c};
    any...->jsonb #3200 =jsonb_build_object {cej}
json_extract_path: jsonb,text...->jsonb #3951 =jsonb_extract_path {en}
json_extract_path_text: jsonb,text...->text #3953 =jsonb_extract_path_text {en}
json_object: text[]->jsonb #3202 =jsonb_object {e}; text[],text[]->jsonb #3203 =jsonb_object {e}
json_strip_nulls: jsonb->jsonb #3261 =jsonb_strip_nulls_jsonb
json_typeof: jsonb->text #3968 =jsonb_typeof_jsonb
row_to_json: record->jsonb #3155 =to_jsonb {w}
to_json: any->jsonb #3176 =to_jsonb {w}
"""

SIGNATURES: tuple[Signature, ...] = (
    *parse_table(_OPERATORS, FunctionKind.OPERATOR),
    *parse_table(_FUNCTIONS),
)
