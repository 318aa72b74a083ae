"""Operators and functions over jsonb."""

from headwater.ir.functions.signature import FunctionKind, Signature, parse_table

_OPERATORS = """
|| cat: jsonb,jsonb->jsonb #3284 {e}
- sub: jsonb,int8->jsonb #3286 {e}; jsonb,text->jsonb #3285 {e}
-> get: jsonb,int8->jsonb #3212 {n}; jsonb,text->jsonb #3211 {n}
->> get_text: jsonb,int8->text #3481 {n}; jsonb,text->text #3477 {n}
#> get_path: jsonb,text[]->jsonb #3213 {n}
#>> get_path_text: jsonb,text[]->text #3206 {n}
@> contains: jsonb,jsonb->bool #3246; jsonb,text->bool #16425 {e}; text,jsonb->bool #16428 {e}
<@ contained_by: jsonb,jsonb->bool #3250; jsonb,text->bool #16420 {e}; text,jsonb->bool #16422 {e}
? has_key: jsonb,text->bool #3247
"""

_FUNCTIONS = """
jsonb_array_length: jsonb->int4 #3207 {e}
jsonb_build_array: ->jsonb #3272 =jsonb_build_array {c}; any...->jsonb #3271 =jsonb_build_array {cj}
jsonb_build_object: ->jsonb #3274 =jsonb_build_object {c};
    any...->jsonb #3273 =jsonb_build_object {cej}
jsonb_pretty: jsonb->text #3306
jsonb_strip_nulls: jsonb->jsonb #3262
jsonb_typeof: jsonb->text #3210
to_jsonb: any->jsonb #3787 =to_jsonb {w}
"""

SIGNATURES: tuple[Signature, ...] = (
    *parse_table(_OPERATORS, FunctionKind.OPERATOR),
    *parse_table(_FUNCTIONS),
)
