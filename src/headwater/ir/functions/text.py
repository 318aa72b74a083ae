"""Operators and functions over text and bytes."""

from headwater.ir.functions.signature import FunctionKind, Signature, parse_table

_OPERATORS = """
|| cat: text,text->text #654; text,anynonarray->text #2779 =cat_text_text {x};
    anynonarray,text->text #2780 =cat_text_text {x}; bytea,bytea->bytea #2018
^@ starts_with: text,text->bool #3877
~~ like: text,text->bool #1209 {e}; bpchar,text->bool #1211 =like_text_text {et}
!~~ not_like: text,text->bool #1210 {e}; bpchar,text->bool #1212 =not_like_text_text {et}
~~* ilike: text,text->bool #1627 {e}; bpchar,text->bool #1629 =ilike_text_text {et}
!~~* not_ilike: text,text->bool #1628 {e}; bpchar,text->bool #1630 =not_ilike_text_text {et}
~ regex: text,text->bool #641 {e}; bpchar,text->bool #1055 =regex_text_text {et}
~* iregex: text,text->bool #1228 {e}; bpchar,text->bool #1234 =iregex_text_text {et}
!~ not_regex: text,text->bool #642 {e}; bpchar,text->bool #1056 =not_regex_text_text {et}
!~* not_iregex: text,text->bool #1229 {e}; bpchar,text->bool #1235 =not_iregex_text_text {et}
"""

_FUNCTIONS = """
ascii: text->int4 #1620
bit_count: bytea->int8 #6163
bit_length: bytea->int4 #1810 {e}; text->int4 #1811 {e}
btrim: text->text #885; text,text->text #884; bytea,bytea->bytea #2015
char_length: text->int4 #1381 =length_text {e}
character_length: text->int4 #1369 =length_text {e}
chr: int4->text #1621 {e}
concat: any...->text #3058 =concat {ct}
concat_ws: text,any...->text #3059 =concat_ws {ct}
constant_time_eq: bytea,bytea->bool #16644; text,text->bool #16645
convert: bytea,text,text->bytea #1813 {e}
convert_from: bytea,text->text #1714 {e}
convert_to: text,text->bytea #1717 {e}
crc32: text->uint4 #16987; bytea->uint4 #16988
decode: text,text->bytea #1947 {e}
digest: text,text->bytea #12001 {e}; bytea,text->bytea #12002 {e}
encode: bytea,text->text #1946 {e}
format: text->text #3540 =format_text {ce}; text,any...->text #3539 =format_text {cet}
gen_random_uuid: ->uuid #3432 =gen_random_uuid {cv}
get_bit: bytea,int4->int4 #723 {e}
get_byte: bytea,int4->int4 #721 {e}
hmac: text,text,text->bytea #12003 {e}; bytea,bytea,text->bytea #12004 {e}
initcap: text->text #872
is_normalized: text,text->bool #4351 {e}
kafka_murmur2: text->int4 #16989; bytea->int4 #16990
left: text,int4->text #3060
length: text->int4 #1317 {e}; bytea->int4 #2010 {e}; bytea,text->int4 #1713 {e}
like_escape: text,text->text #1637 {e}
lower: text->text #870
lpad: text,int4->text #879 {e}; text,int4,text->text #873 {e}
ltrim: text->text #881; text,text->text #875; bytea,bytea->bytea #6195
md5: text->text #2311; bytea->text #2321
normalize: text,text->text #4350 {e}
num_nonnulls: any...->int4 #440 =num_nonnulls {c}
num_nulls: any...->int4 #438 =num_nulls {c}
octet_length: bytea->int4 #720 {e}; text->int4 #1374 {e};
    bpchar->int4 #1375 =octet_length_text {et}
overlay: text,text,int4->text #1405 {e}; text,text,int4,int4->text #1404 {e};
    bytea,bytea,int4->bytea #752 {e}; bytea,bytea,int4,int4->bytea #749 {e}
parse_ident: text->text[] #16584 {e}; text,bool->text[] #1268 {e}
pg_size_bytes: text->int8 #3334 {e}
pg_size_pretty: int8->text #2288; numeric->text #3166 {en}
position: text,text->int4 #849 {e}; bytea,bytea->int4 #2014
quote_ident: text->text #1282 {e}
quote_literal: text->text #1283; anyelement->text #1285 =quote_literal_text {t}
quote_nullable: text->text #1289 {c}; anyelement->text #1290 =quote_nullable_text {ct}
regexp_count: text,text->int4 #6254 =regexp_count {e}; text,text,int4->int4 #6255 =regexp_count {e};
    text,text,int4,text->int4 #6256 =regexp_count {e}
regexp_instr: text,text->int4 #6257 =regexp_instr {e}; text,text,int4->int4 #6258 =regexp_instr {e};
    text,text,int4,int4->int4 #6259 =regexp_instr {e};
    text,text,int4,int4,int4->int4 #6260 =regexp_instr {e};
    text,text,int4,int4,int4,text->int4 #6261 =regexp_instr {e};
    text,text,int4,int4,int4,text,int4->int4 #6262 =regexp_instr {e}
regexp_like: text,text->bool #6263 =regexp_like {e}; text,text,text->bool #6264 =regexp_like {e}
regexp_substr: text,text->text #6265 =regexp_substr {en};
    text,text,int4->text #6266 =regexp_substr {en};
    text,text,int4,int4->text #6267 =regexp_substr {en};
    text,text,int4,int4,text->text #6268 =regexp_substr {en};
    text,text,int4,int4,text,int4->text #6269 =regexp_substr {en}
regexp_match: text,text->text[] #3396 {en}; text,text,text->text[] #3397 {en}
regexp_replace: text,text,text->text #2284 {e}; text,text,text,text->text #2285 {e};
    text,text,text,int4->text #6253 =regexp_replace_nth {e};
    text,text,text,int4,int4->text #6252 =regexp_replace_nth {e};
    text,text,text,int4,int4,text->text #6251 =regexp_replace_nth {e}
regexp_split_to_array: text,text->text[] #2767 {e}; text,text,text->text[] #2768 {e}
repeat: text,int4->text #1622 {e}
replace: text,text,text->text #2087 {e}
reverse: text->text #3062
right: text,int4->text #3061
rpad: text,int4->text #880 {e}; text,int4,text->text #874 {e}
rtrim: text->text #882; text,text->text #876; bytea,bytea->bytea #6196
seahash: text->uint8 #16991; bytea->uint8 #16992
set_bit: bytea,int8,int4->bytea #724 {e}
set_byte: bytea,int4,int4->bytea #722 {e}
sha224: bytea->bytea #3419
sha256: bytea->bytea #3420
sha384: bytea->bytea #3421
sha512: bytea->bytea #3422
similar_to_escape: text->text #1987 {e}; text,text->text #1986 {e}
split_part: text,text,int4->text #2088 {e}
starts_with: text,text->bool #3696
string_to_array: text,text->text[] #376 {c}; text,text,text->text[] #394 {c}
strpos: text,text->int4 #868 =strpos_text_text {e}
substr: text,int4->text #883 =substring_text_int4 {e};
    text,int4,int4->text #877 =substring_text_int4_int4 {e};
    bytea,int4->bytea #2086 =substring_bytea_int4 {e};
    bytea,int4,int4->bytea #2085 =substring_bytea_int4_int4 {e}
substring: text,int4->text #937 {e}; text,int4,int4->text #936 {e}; bytea,int4->bytea #2013 {e};
    bytea,int4,int4->bytea #2012 {e}; text,text->text #2073 {en};
    text,text,text->text #2074 {en}
to_hex: int4->text #2089; int8->text #2090
translate: text,text,text->text #878
unistr: text->text #6198 {e}
upper: text->text #871
uuid_generate_v5: uuid,text->uuid #16565
mz_normalize_object_name: text->text[] #16603 {e}
mz_normalize_schema_name: text->text[] #16655 {e}
pg_column_size: any->int4 #1269 =column_size
mz_row_size: record->int4 #16440 =row_size
"""

SIGNATURES: tuple[Signature, ...] = (
    *parse_table(_OPERATORS, FunctionKind.OPERATOR),
    *parse_table(_FUNCTIONS),
)
