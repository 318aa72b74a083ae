"""Which overload a call means, and what polymorphic types become.

The expected choices were checked against PostgreSQL 15 where it has the types.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.ir.functions import CastContext, lookup, lookup_operator
from headwater.sql.plan.overload import AMBIGUOUS, Choice, choose
from headwater.sql.plan.types import can_coerce, common_type, same_type, try_common_type
from headwater.types.scalar import (
    DATE,
    FLOAT4,
    FLOAT8,
    INT2,
    INT4,
    INT8,
    INTERVAL,
    JSONB,
    NUMERIC,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    UINT2,
    UINT4,
    UINT8,
    UNKNOWN,
    VARCHAR,
    BaseType,
    ScalarType,
    array_of,
    list_of,
)


def operator(symbol, *types):
    overloads = tuple(s for s in lookup_operator(symbol) if len(s.args) == len(types))
    return choose(overloads, types, operator=True)


@pytest.mark.parametrize(
    ("symbol", "types", "targets", "result"),
    [
        ("+", (INT4, INT4), (INT4, INT4), INT4),
        ("+", (INT2, INT8), (INT8, INT8), INT8),
        ("+", (INT4, NUMERIC), (NUMERIC, NUMERIC), NUMERIC),
        ("+", (INT4, FLOAT4), (FLOAT8, FLOAT8), FLOAT8),
        ("+", (NUMERIC, FLOAT8), (FLOAT8, FLOAT8), FLOAT8),
        ("+", (INT4, UNKNOWN), (INT4, INT4), INT4),
        ("+", (DATE, UNKNOWN), (DATE, INTERVAL), TIMESTAMP),
        ("+", (TIMESTAMP, INTERVAL), (TIMESTAMP, INTERVAL), TIMESTAMP),
        ("-", (DATE, DATE), (DATE, DATE), INT4),
        ("=", (VARCHAR, UNKNOWN), (TEXT, TEXT), None),
        ("=", (TIMESTAMP, TIMESTAMPTZ), (TIMESTAMPTZ, TIMESTAMPTZ), None),
        ("=", (DATE, TIMESTAMP), (TIMESTAMP, TIMESTAMP), None),
        ("<", (UINT4, INT8), (INT8, INT8), None),
        ("||", (TEXT, UNKNOWN), (TEXT, TEXT), TEXT),
        ("||", (UNKNOWN, UNKNOWN), (TEXT, TEXT), TEXT),
        ("||", (INT4, TEXT), (INT4, TEXT), TEXT),
        ("->", (JSONB, UNKNOWN), (JSONB, TEXT), JSONB),
        ("->", (JSONB, INT4), (JSONB, INT8), JSONB),
        ("-", (NUMERIC,), (NUMERIC,), NUMERIC),
    ],
)
def test_operators(symbol, types, targets, result):
    found = operator(symbol, *types)
    assert isinstance(found, Choice)
    assert found.targets == targets
    if result is not None:
        assert found.result == result


def test_no_operator_fits():
    assert operator("+", TEXT, INT4) is None
    assert operator("=", INT4, TEXT) is None
    assert operator("+", UNKNOWN, UNKNOWN) is AMBIGUOUS


def test_polymorphic_families():
    ints = array_of(INT4)
    assert choose(lookup("array_cat"), (ints, array_of(INT8))).result == array_of(INT8)
    assert choose(lookup("array_position"), (ints, UNKNOWN)).targets[1] == INT4
    assert choose(lookup("array_cat"), (ints, array_of(TEXT))) is None
    appended = choose(lookup("list_append"), (list_of(INT4), INT4))
    assert appended.result == list_of(INT4)
    assert choose(lookup("lag"), (TEXT, INT4, UNKNOWN)).result == TEXT
    assert choose(lookup("array_agg"), (array_of(TEXT),)).result == array_of(TEXT)


def test_functions_take_casts_of_literals():
    assert choose(lookup("lower"), (VARCHAR,)).targets == (TEXT,)
    assert choose(lookup("round"), (INT4,)).result == FLOAT8
    assert choose(lookup("concat"), (INT4, UNKNOWN)).targets == (INT4, TEXT)
    assert choose(lookup("sum"), (TEXT,)) is None


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ((INT4, INT8), INT8),
        ((INT8, INT4), INT8),
        ((INT4, NUMERIC, FLOAT8), FLOAT8),
        ((UNKNOWN, UNKNOWN), TEXT),
        ((UNKNOWN, DATE), DATE),
        ((DATE, TIMESTAMPTZ), TIMESTAMPTZ),
        ((VARCHAR, TEXT), VARCHAR),
        ((UINT2, INT2), INT4),
        ((UINT4, INT4), INT8),
        ((UINT8, INT8), NUMERIC),
        ((ScalarType(BaseType.NUMERIC, 2), ScalarType(BaseType.NUMERIC, 3)), NUMERIC),
    ],
)
def test_common_types(types, expected):
    assert common_type(types, "CASE") == expected


PLAIN = [INT2, INT4, INT8, NUMERIC, FLOAT4, FLOAT8, TEXT, VARCHAR, DATE, TIMESTAMP, TIMESTAMPTZ]


@given(st.lists(st.sampled_from([*PLAIN, UINT2, UINT4, UINT8, UNKNOWN]), min_size=1, max_size=4))
def test_all_members_coerce_to_the_common_type(types):
    found = try_common_type(types)
    if isinstance(found, tuple):
        return
    for member in types:
        assert same_type(member, found) or can_coerce(member, found, CastContext.ASSIGNMENT)


@given(st.sampled_from(PLAIN), st.sampled_from(PLAIN))
def test_freer_contexts_allow_less(source, target):
    contexts = [CastContext.IMPLICIT, CastContext.ASSIGNMENT, CastContext.EXPLICIT]
    allowed = [can_coerce(source, target, context) for context in contexts]
    assert allowed == sorted(allowed)
