"""Operators and functions over text and bytes."""

from headwater.ir.functions.signature import FunctionKind, Signature, parse_table

_OPERATORS = """
|| cat: text,text->text #654; text,anynonarray->text #2779 =cat_text_text {t};
    anynonarray,text->text #2780 =cat_text_text {t}; bytea,bytea->bytea #2011
~~ like: text,text->bool #1209 {e}; bpchar,text->bool #1211 =like_text_text {e}
!~~ not_like: text,text->bool #1210 {e}; bpchar,text->bool #1212 =not_like_text_text {e}
~~* ilike: text,text->bool #1627 {e}; bpchar,text->bool #1629 =ilike_text_text {e}
!~~* not_ilike: text,text->bool #1628 {e}; bpchar,text->bool #1630 =not_ilike_text_text {e}
~ regex: text,text->bool #641 {e}; bpchar,text->bool #1055 =regex_text_text {e}
~* iregex: text,text->bool #1228 {e}; bpchar,text->bool #1234 =iregex_text_text {e}
!~ not_regex: text,text->bool #642 {e}; bpchar,text->bool #1056 =not_regex_text_text {e}
!~* not_iregex: text,text->bool #1229 {e}; bpchar,text->bool #1235 =not_iregex_text_text {e}
"""

_FUNCTIONS = """
ascii: text->int4 #1620
bit_count: bytea->int8 #6163
bit_length: bytea->int4 #1810 {e}; text->int4 #1811 {e}
btrim: text->text #885; text,text->text #884
char_length: text->int4 #1381 =length_text {e}
chr: int4->text #1621 {e}
concat: any...->text #3058 =concat {ct}
concat_ws: text,any...->text #3059 =concat_ws {ct}
constant_time_eq: bytea,bytea->bool #16644; text,text->bool #16645
convert_from: bytea,text->text #1714 {e}
crc32: text->uint4 #16987; bytea->uint4 #16988
decode: text,text->bytea #1947 {e}
digest: text,text->bytea #12001 {e}; bytea,text->bytea #12002 {e}
encode: bytea,text->text #1946 {e}
get_bit: bytea,int4->int4 #723 {e}
get_byte: bytea,int4->int4 #721 {e}
hmac: text,text,text->bytea #12003 {e}; bytea,bytea,text->bytea #12004 {e}
initcap: text->text #872
left: text,int4->text #3060
length: text->int4 #1317 {e}; bytea->int4 #2010 {e}; bytea,text->int4 #1713 {e}
like_escape: text,text->text #1637 {e}
lower: text->text #870
lpad: text,int4->text #879 {e}; text,int4,text->text #873 {e}
ltrim: text->text #881; text,text->text #875
md5: text->text #2311; bytea->text #2321
octet_length: bytea->int4 #720 {e}; text->int4 #1374 {e}; bpchar->int4 #1375 =octet_length_text {e}
position: text,text->int4 #849 {e}
quote_ident: text->text #1282
regexp_match: text,text->text[] #3396 {en}; text,text,text->text[] #3397 {en}
regexp_replace: text,text,text->text #2284 {e}; text,text,text,text->text #2285 {e}
regexp_split_to_array: text,text->text[] #2767 {e}; text,text,text->text[] #2768 {e}
repeat: text,int4->text #1622 {e}
replace: text,text,text->text #2087 {e}
reverse: text->text #3062
right: text,int4->text #3061
rpad: text,int4->text #880 {e}; text,int4,text->text #874 {e}
rtrim: text->text #882; text,text->text #876
sha224: bytea->bytea #3419
sha256: bytea->bytea #3420
sha384: bytea->bytea #3421
sha512: bytea->bytea #3422
split_part: text,text,int4->text #2088 {e}
starts_with: text,text->bool #3696
string_to_array: text,text->text[] #376 {c}; text,text,text->text[] #394 {c}
strpos: text,text->int4 #868 =strpos_text_text {e}
substr: text,int4->text #883 =substring_text_int4 {e};
    text,int4,int4->text #877 =substring_text_int4_int4 {e}
substring: text,int4->text #937 {e}; text,int4,int4->text #936 {e}; bytea,int4->bytea {e};
    bytea,int4,int4->bytea {e}; text,text->text {en}
translate: text,text,text->text #878
upper: text->text #871
"""

SIGNATURES: tuple[Signature, ...] = (
    *parse_table(_OPERATORS, FunctionKind.OPERATOR),
    *parse_table(_FUNCTIONS),
)
