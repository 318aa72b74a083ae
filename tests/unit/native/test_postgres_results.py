"""Kernels give what PostgreSQL 15 gave: text for text, and for errors the same code.

Messages are Materialize's where the two differ; ``test_messages`` has those.
"""

import re

import msgspec
import pytest

from headwater.ir import functions
from headwater.ir.functions import Convey, Pseudo, Signature
from headwater.ir.scalar import Call, Literal
from headwater.native.loader import native
from headwater.types.scalar import (
    BOOL,
    DATE,
    INT4,
    INT8,
    NUMERIC,
    TEXT,
    BaseType,
    ColumnType,
    ScalarType,
    array_of,
    range_of,
)
from tests.unit.native.postgres_cases import Case, read_cases, read_results

RESULTS = read_results()
NULL = b"\xfe"
RANGES = {"int4range": range_of(INT4), "numrange": range_of(NUMERIC), "daterange": range_of(DATE)}
# Where we mean to differ: floats have one zero, letters are Unicode's in every database.
DIFFERENT = {
    "cast:float8 | text:-0": "0",
    "round | float8:-0.4": "0",
    "ceil | float8:-0.5": "0",
    "cbrt | float8:27": "3",
    "op:||/ | float8:27": "3",
    # Arrays are read as PostgreSQL 17 reads them.
    "cast:int4[] | text:{{},{}}": "{}",
    "lower | text:ÀBC": "àbc",
    "upper | text:straße": "STRASSE",
}


def scalar_type(name: str) -> ScalarType:
    if name.endswith("[]"):
        return array_of(scalar_type(name[:-2]))
    if name in RANGES:
        return RANGES[name]
    base, _, modifier = name.partition("(")
    return ScalarType(BaseType(base), modifier=int(modifier[:-1]) if modifier else None)


def pack(type_: ScalarType) -> bytes:
    return msgspec.msgpack.encode(type_)


def literal(type_: ScalarType, text: str | None) -> Literal:
    data = NULL if text is None else native.datum_from_text(pack(type_), text)
    return Literal(data, ColumnType(type_))


def matches(want: object, got: ScalarType) -> bool:
    if isinstance(want, ScalarType):
        return want == got.without_modifier()
    families = {
        Pseudo.ANYARRAY: BaseType.ARRAY,
        Pseudo.ANYCOMPATIBLEARRAY: BaseType.ARRAY,
        Pseudo.ANYRANGE: BaseType.RANGE,
        Pseudo.ANYCOMPATIBLEMAP: BaseType.MAP,
        Pseudo.ANYCOMPATIBLELIST: BaseType.LIST,
        Pseudo.MAP: BaseType.MAP,
        Pseudo.LIST: BaseType.LIST,
        Pseudo.RECORD: BaseType.RECORD,
    }
    return want not in families or families[want] == got.base


def choose(name: str, types: list[ScalarType]) -> Signature:
    """Return the overload whose types fit, integers widened where none fits as it stands."""
    overloads = (
        functions.lookup_operator(name[3:]) if name.startswith("op:") else functions.lookup(name)
    )
    # A range contains ranges as well as elements: what fits a range is no element.
    overloads = sorted(overloads, key=lambda signature: Pseudo.ANYELEMENT in signature.args)
    wide = [INT8 if type_ == INT4 else type_ for type_ in types]
    for candidate in (types, wide):
        for signature in overloads:
            args = signature.args
            if signature.variadic and len(candidate) > len(args):
                args = (*args, *args[-1:] * (len(candidate) - len(args)))
            if len(args) == len(candidate) and all(map(matches, args, candidate)):
                return signature
    raise AssertionError(f"no overload of {name} for {types}")


def result_type(signature: Signature, types: list[ScalarType]) -> ScalarType:
    match signature.result:
        case ScalarType() as known:
            return known
        case Pseudo.ANYELEMENT:
            return types[0].element
        case _:
            return next(t for t in types if t.base in (BaseType.ARRAY, BaseType.RANGE))


def build(case: Case) -> Call:
    types = [scalar_type(type_) for type_, _ in case.args]
    args = [literal(type_, text) for type_, (_, text) in zip(types, case.args, strict=True)]
    if case.name.startswith("cast:"):
        target = scalar_type(case.name[5:])
        if case.args[0][0] == target.base == BaseType.TIMESTAMP and target.modifier is None:
            return Call("identity", tuple(args), ColumnType(target))
        cast = functions.lookup_cast(types[0].base, target.base)
        assert cast is not None, case.line
        witness = [Literal(NULL, ColumnType(types[0]))] if cast.witness else []
        return Call(cast.kernel, (*args, *witness), ColumnType(target))
    signature = choose(case.name, types)
    if signature.convey is Convey.WITNESS:
        args += [Literal(NULL, ColumnType(type_)) for type_ in types]
    return Call(signature.kernel, tuple(args), ColumnType(result_type(signature, types)))


def show(call: Call, data: bytes) -> str:
    text = native.datum_to_text(pack(call.type.type), data)
    return "NULL" if text is None else text


def plain(text: str, type_: ScalarType) -> str:
    """Bring both systems' texts to one form: jsonb without blanks, numerics without zeros."""
    if text.startswith("ERROR"):
        return text[: len("ERROR 00000")]
    if text == "NULL":
        return text
    if type_.base is BaseType.JSONB:
        return show(Call("", (), ColumnType(type_)), native.datum_from_text(pack(type_), text))
    if type_.base is BaseType.INTERVAL:
        return re.sub(r"\bmon(s?)\b", r"month\1", text)
    if type_.base is BaseType.NUMERIC and "." in text:
        return text.rstrip("0").rstrip(".")
    return text


@pytest.mark.parametrize("case", read_cases(), ids=lambda case: case.line)
def test_case(case: Case) -> None:
    call = build(case)
    got = native.eval_scalar(msgspec.msgpack.encode(call))
    type_ = call.type.type
    shown = show(call, got) if isinstance(got, bytes) else f"ERROR {got[0]}"
    assert shown == DIFFERENT.get(case.line, plain(RESULTS[case.line], type_))


def test_there_is_a_result_for_each_case() -> None:
    assert {case.line for case in read_cases()} == set(RESULTS)
    assert {BOOL, TEXT} <= {scalar_type(t) for case in read_cases() for t, _ in case.args} | {BOOL}
