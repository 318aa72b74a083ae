"""Plans as versioned bytes."""

import pytest

from headwater.errors import DataCorrupted, IncompatibleVersion
from headwater.ir import physical as lir
from headwater.ir.encode import (
    PLAN_VERSION,
    decode_dataflow,
    decode_plan,
    decode_relation,
    encode,
)
from headwater.ir.rows import split_row
from headwater.sql.lower.dataflow import build_dataflow
from headwater.sql.optimize.pipeline import optimize
from tests.golden.planning import lower_context, optimizer_context, plan_sql

SQL = "select a, count(*) from t join keyed on a = k where v > 3 group by a"


def test_plans_survive_the_trip():
    plan = optimize(plan_sql(SQL), optimizer_context())
    assert decode_relation(encode(plan)) == plan
    dataflow = build_dataflow("test", [("t1", plan)], lower_context()).dataflow
    assert decode_dataflow(encode(dataflow)) == dataflow
    physical = dataflow.objects[0].plan
    assert decode_plan(encode(physical)) == physical


def test_other_versions_and_other_bytes_are_refused():
    data = encode(lir.Constant((), 0))
    with pytest.raises(IncompatibleVersion):
        decode_plan(bytes((PLAN_VERSION + 1,)) + data[1:])
    with pytest.raises(IncompatibleVersion):
        decode_plan(b"")
    with pytest.raises(DataCorrupted):
        decode_plan(data[:-1])


def test_rows_are_split_at_every_kind_of_datum():
    datums = [
        b"\x02",
        b"\x18",
        b"\x19\x07",
        b"\x17\xf8",
        b"\x20" + b"\x01" * 8,
        b"\x25" + b"\x00" * 8,
        b"\x24" + b"\x00" * 4,
        b"\x30a\x00\xffb\x00\x00",
        b"\x32" + b"\x00" * 16,
        b"\x41\x18\x19\x05\x00",
        b"\x40\x18\x00\x01",
        b"\x43\x30x\x00\x00\xfe\x00",
        b"\x38\x15\x00\x00\x00\x02\x10\x11x\x00\x00",
        b"\xfe",
        b"\x28",
    ]
    assert split_row(b"".join(datums)) == datums
