"""Comparisons, boolean logic and choices.

Comparison kernels are generic: they compare any two values of one type as their bytes order.
"""

from headwater.ir.functions.signature import FunctionKind, Signature, parse_table

# A type, and the oids of =, <>, <, <=, > and >= over it; 0 where there is none.
_OIDS = """
numeric: 1752 1753 1754 1755 1756 1757
bool: 91 85 58 1694 59 1695
int2: 94 519 95 522 520 524
int4: 96 518 97 523 521 525
int8: 410 411 412 414 413 415
uint2: 16544 16547 16532 16535 16538 16541
uint4: 16545 16548 16533 16536 16539 16542
uint8: 16546 16549 16534 16537 16540 16543
float4: 620 621 622 624 623 625
float8: 670 671 672 673 674 675
oid: 607 608 609 611 610 612
date: 1093 1094 1095 1096 1097 1098
time: 1108 1109 1110 1111 1112 1113
timestamp: 2060 2061 2062 2063 2064 2065
timestamptz: 1320 1321 1322 1323 1324 1325
uuid: 2972 2973 2974 2976 2975 2977
interval: 1330 1331 1332 1333 1334 1335
bytea: 1955 1956 1957 1958 1959 1960
text: 98 531 664 665 666 667
bpchar: 1054 1057 1058 1059 1060 1061
char: 92 630 631 632 633 634
name: 93 643 660 661 662 663
jsonb: 3240 3241 3242 3244 3243 3245
anyarray: 1070 1071 1072 1074 1073 1075
record: 2988 2989 2990 2992 2991 2993
mz_timestamp: 16554 16555 16556 16557 16558 16559
anyrange: 3882 3883 3884 3885 3887 3886
list: 16439 0 0 0 0 0
mz_aclitem: 16568 16569 0 0 0 0
aclitem: 974 0 0 0 0 0
map: 0 0 0 0 0 0
"""
_SYMBOLS = {"=": "eq", "<>": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_ONLY_EQUATED = frozenset({"mz_aclitem", "aclitem", "map"})


def _comparisons() -> str:
    """Return the table of comparison operators."""
    types = {}
    for line in _OIDS.strip().splitlines():
        name, _, oids = line.partition(":")
        types[name] = dict(zip(_SYMBOLS, oids.split(), strict=True))
    lines = []
    for symbol, kernel in _SYMBOLS.items():
        equates = kernel in ("eq", "ne")
        overloads = "; ".join(
            f"{name},{name}->bool #{oids[symbol]} ={kernel}"
            for name, oids in types.items()
            if equates or name not in _ONLY_EQUATED
        )
        lines.append(f"{symbol}: {overloads}")
    return "\n".join(lines)


# The parser's own constructs; nothing looks them up as functions of these names.
_SYNTAX = """
and: bool...->bool =and {c}
or: bool...->bool =or {c}
not: bool->bool =not
is_null: any->bool =is_null {c}
is_true: bool->bool =is_true {c}
is_false: bool->bool =is_false {c}
is_distinct: anycompatible,anycompatible->bool =is_distinct {c}
coalesce: anycompatible...->anycompatible =coalesce {c}
greatest: anycompatible...->anycompatible =greatest {c}
least: anycompatible...->anycompatible =least {c}
nullif: anycompatible,anycompatible->anycompatible =nullif {c}
"""

_FUNCTIONS = """
mz_error_if_null: any,text->any #16445 =error_if_null {ce}
"""

SIGNATURES: tuple[Signature, ...] = (
    *parse_table(_comparisons(), FunctionKind.OPERATOR),
    *parse_table(_FUNCTIONS),
)
SYNTAX: tuple[Signature, ...] = parse_table(_SYNTAX)
