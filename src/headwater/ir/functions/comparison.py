"""Comparisons, boolean logic and choices.

Comparison kernels are generic: they compare any two values of one type as their bytes order.
"""

from headwater.ir.functions.signature import FunctionKind, Signature, parse_table

_ORDERED = [
    "numeric",
    "bool",
    "int2",
    "int4",
    "int8",
    "uint2",
    "uint4",
    "uint8",
    "float4",
    "float8",
    "oid",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "interval",
    "bytea",
    "text",
    "bpchar",
    "char",
    "name",
    "jsonb",
    "anyarray",
    "record",
    "mz_timestamp",
    "anyrange",
    "list",
]
_EQUATED = ["mz_aclitem", "aclitem", "map"]
_SYMBOLS = {"=": "eq", "<>": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def _comparisons() -> str:
    """Return the table of comparison operators."""
    lines = []
    for symbol, kernel in _SYMBOLS.items():
        types = _ORDERED + (_EQUATED if kernel in ("eq", "ne") else [])
        overloads = "; ".join(f"{type_},{type_}->bool ={kernel}" for type_ in types)
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
mz_error_if_null: any,text->any =error_if_null {ce}
"""

SIGNATURES: tuple[Signature, ...] = (
    *parse_table(_comparisons(), FunctionKind.OPERATOR),
    *parse_table(_FUNCTIONS),
)
SYNTAX: tuple[Signature, ...] = parse_table(_SYNTAX)
