"""The function table holds what is listed: name, arguments, result and oid of each overload.

The list is checked in, so that a change of the table shows as a change of it: one that leaves out
or alters a signature that clients know is a change of the interface.
"""

from pathlib import Path

import pytest

from headwater.ir import functions
from headwater.ir.functions import FunctionKind
from headwater.ir.functions.schemas import TYPE_IO, is_in_schema, schema_of

LINES = (Path(__file__).parent / "signatures.txt").read_text().splitlines()


def test_every_overload_is_listed_once():
    calls = [line for line in LINES if not line.startswith("cast ")]
    assert len(calls) == len(set(calls)) == len(functions.SIGNATURES)


def test_every_cast_is_listed():
    casts = {tuple(line.split()[1:4:2]) for line in LINES if line.startswith("cast ")}
    assert casts == {(c.source.value, c.target.value) for c in functions.CASTS.values()}


@pytest.mark.parametrize(
    "line",
    [
        # Source of the oids: PostgreSQL 15's pg_proc and pg_operator, Materialize's builtins.
        "scalar pg_catalog.substr(text, int4, int4) -> text #877",
        "scalar pg_catalog.make_interval(int4, int4, int4, int4, int4, int4, float8)"
        " -> interval #3464",
        "scalar mz_catalog.seahash(text) -> uint8 #16991",
        "operator pg_catalog.+(date, int4) -> date #1100",
        "operator pg_catalog.=(numeric, numeric) -> bool #1752",
        "operator pg_catalog.@>(anyrange, anyelement) -> bool #3889",
        "aggregate pg_catalog.sum(int8) -> numeric #2107",
        "table pg_catalog.jsonb_each(jsonb) -> setof (key text, value jsonb) #3208",
        "table pg_catalog.generate_series(numeric, numeric) -> setof numeric #3260",
        "window pg_catalog.row_number() -> int8 #3100",
        "cast int4 -> int8 implicit",
        "cast float8 -> int4 assignment",
        "cast text -> jsonb explicit",
    ],
)
def test_known_signatures(line):
    assert line in LINES


def test_oids_are_unique_among_functions():
    oids = [s.oid for s in functions.SIGNATURES if s.oid and s.kind is not FunctionKind.OPERATOR]
    assert len(oids) == len(set(oids))
    assert not set(oids) & set(TYPE_IO.values())


def test_functions_are_in_their_schemas():
    assert schema_of("abs") == "pg_catalog"
    assert schema_of("mz_now") == "mz_catalog"
    assert is_in_schema("unnest", "pg_catalog")
    assert not is_in_schema("abs", "mz_catalog")
