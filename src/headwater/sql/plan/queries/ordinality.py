"""WITH ORDINALITY: the rows of a table function, numbered in the order in which it makes them.

A relation has no order, so the number is computed from what determines it: the place of an array's
element, the distance from the start of a series, or the order of the values where a function yields
them sorted.
"""

from collections.abc import Sequence

from headwater.errors import FeatureNotSupported
from headwater.ir.functions import CastContext, lookup
from headwater.ir.literals import int_literal
from headwater.sql.plan.coerce import cast
from headwater.sql.plan.frames import DEFAULT_FRAME
from headwater.sql.plan.hir import (
    ColumnRef,
    HirCall,
    HirIf,
    HirMap,
    HirProject,
    HirRelation,
    HirScalar,
    HirTableFunc,
    WindowCall,
)
from headwater.sql.plan.types import type_of
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import (
    BOOL,
    INT4,
    INT8,
    INTERVAL,
    JSONB,
    TEXT,
    BaseType,
    ColumnType,
    ScalarType,
)

_INT8 = ColumnType(INT8, False)
# Functions whose rows come sorted by their columns.
_SORTED = frozenset({"jsonb_each", "jsonb_each_text", "jsonb_object_keys", "generate_subscripts"})
_SPLIT = frozenset({"regexp_split_to_table"})


def numbered(
    name: str,
    relation: HirRelation,
    args: Sequence[HirScalar],
    desc: RelationDesc,
    position: int,
) -> HirRelation:
    """Return the rows of ``name(args)`` with their numbers, from 1, as a last column int8.

    Raises: FeatureNotSupported for a function whose order nothing tells.
    """
    if name == "generate_series":
        return _series(relation, args, desc)
    if name == "unnest":
        base = type_of(args[0]).type.base
        if base is BaseType.ARRAY:
            return _array_elements(args[0], desc)
        if base is BaseType.LIST:
            length = HirCall("list_length_list", (args[0],), ColumnType(INT4, True))
            get = HirCall("list_index", (args[0], _place()), desc.types[0])
            return _places(int_literal(1, INT8), _int8(length), get, 0)
        return ranked(relation, desc)
    if name == "_pg_expandarray":
        return HirMap(relation, (_int8(ColumnRef(0, 1, desc.types[1])),))
    if name in ("jsonb_array_elements", "jsonb_array_elements_text"):
        return _json_elements(name, args[0])
    if name in _SPLIT:
        kernel = "_".join(["regexp_split_to_array", *(["text"] * len(args))])
        array = ScalarType(BaseType.ARRAY, element=TEXT)
        return _elements(HirCall(kernel, tuple(args), ColumnType(array, True)), desc)
    if name == "regexp_extract":
        # The first match only.
        return HirMap(relation, (int_literal(1, INT8),))
    if name in _SORTED:
        return ranked(relation, desc)
    raise FeatureNotSupported(f"WITH ORDINALITY of {name} is not supported", position=position)


def _place() -> HirScalar:
    return ColumnRef(0, 0, _INT8)


def _int8(expr: HirScalar) -> HirScalar:
    return cast(expr, INT8, CastContext.EXPLICIT)


def _arithmetic(word: str, left: HirScalar, right: HirScalar) -> HirScalar:
    nullable = type_of(left).nullable or type_of(right).nullable
    return HirCall(f"{word}_int8_int8", (left, right), ColumnType(INT8, nullable))


def _places(first: HirScalar, last: HirScalar, get: HirScalar, shift: int) -> HirRelation:
    """Return for each place from ``first`` to ``last`` what ``get`` reads there, and its number."""
    series = next(s for s in lookup("generate_series") if s.args == (INT8, INT8))
    places = RelationDesc((Column("place", INT8, False),))
    rows = HirTableFunc(series.kernel, (first, last), places)
    number = _arithmetic("add", _place(), int_literal(shift, INT8)) if shift else _place()
    return HirProject(HirMap(rows, (get, number)), (1, 2))


def _elements(array: HirScalar, desc: RelationDesc) -> HirRelation:
    signature = lookup("generate_subscripts")[0]
    subscripts = RelationDesc((Column("subscript", INT4, False),))
    rows = HirTableFunc(signature.kernel, (array, int_literal(1)), subscripts)
    place = _int8(ColumnRef(0, 0, ColumnType(INT4, False)))
    element = HirCall("array_index", (array, place), desc.types[0])
    return HirProject(HirMap(rows, (element, place)), (1, 2))


def _array_elements(array: HirScalar, desc: RelationDesc) -> HirRelation:
    """Return what ``unnest`` does, whatever the array's dimensions, with the places."""
    place = Column("n", INT4, False)
    rows = HirTableFunc("expand_array", (array,), RelationDesc((*desc.columns, place)))
    return HirProject(HirMap(rows, (_int8(ColumnRef(0, 1, ColumnType(INT4, False))),)), (0, 2))


def _json_elements(name: str, document: HirScalar) -> HirRelation:
    length = HirCall("jsonb_array_length_jsonb", (document,), ColumnType(INT4, True))
    last = _arithmetic("sub", _int8(length), int_literal(1, INT8))
    is_text = name.endswith("_text")
    kernel = "get_text_jsonb_int8" if is_text else "get_jsonb_int8"
    get = HirCall(kernel, (document, _place()), ColumnType(TEXT if is_text else JSONB, True))
    return _places(int_literal(0, INT8), last, get, 1)


def _series(relation: HirRelation, args: Sequence[HirScalar], desc: RelationDesc) -> HirRelation:
    value = ColumnRef(0, 0, desc.types[0])
    kind = desc.types[0].type
    if kind.base in (BaseType.INT4, BaseType.INT8):
        distance = _arithmetic("sub", _int8(value), _int8(args[0]))
        step = _int8(args[2]) if len(args) == 3 else int_literal(1, INT8)
        steps = _arithmetic("div", distance, step)
        number = _arithmetic("add", steps, int_literal(1, INT8))
        return HirMap(relation, (number,))
    # Times: numbered by their distance from the start, whichever way they go.
    base = kind.base.value
    interval = ColumnType(INTERVAL, True)
    ahead = HirCall("ge", (value, args[0]), ColumnType(BOOL, True))
    forth = HirCall(f"sub_{base}_{base}", (value, args[0]), interval)
    back = HirCall(f"sub_{base}_{base}", (args[0], value), interval)
    return HirMap(relation, (_row_number((HirIf(ahead, forth, back),)),))


def ranked(relation: HirRelation, desc: RelationDesc) -> HirRelation:
    """Return the rows numbered, from 1, in the order of their columns."""
    keys = [ColumnRef(0, index, type) for index, type in enumerate(desc.types)]
    return HirMap(relation, (_row_number(keys),))


def _row_number(keys: Sequence[HirScalar]) -> HirScalar:
    order = tuple((key, False, True) for key in keys)
    return WindowCall("row_number", (), (), order, DEFAULT_FRAME, False, _INT8)
