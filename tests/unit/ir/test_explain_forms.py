"""EXPLAIN's modifiers and its JSON."""

import json

import msgspec
import pytest

from headwater.ir.attributes import NAMES, Attributes
from headwater.ir.explain import (
    ExplainOptions,
    explain_nodes,
    explain_relation,
    explain_source,
)
from headwater.ir.explain_json import plan_json
from headwater.ir.visit_physical import walk_plan
from headwater.sql.lower.peek import DataflowPeek, plan_peek
from headwater.sql.optimize.pipeline import optimize
from tests.golden.planning import IDS, lower_context, optimizer_context, plan_sql
from tests.golden.planning import NAMES as TABLE_NAMES


def explained(sql, *chosen):
    attributes = Attributes(
        frozenset(chosen), lambda column: column.type.base.value, {IDS["keyed"]: 1000}
    )
    options = ExplainOptions(names=TABLE_NAMES, attributes=attributes)
    expr = optimize(plan_sql(sql), optimizer_context(False))
    return explain_relation(expr, options).splitlines()


@pytest.mark.parametrize(
    ("sql", "chosen", "first"),
    [
        ("select k, v from keyed where v > 1", ("arity",), "arity: 2"),
        ("select k, v from keyed", ("types",), 'types: "(int4, int4?)"'),
        ("select k, v from keyed", ("keys",), 'keys: "([0])"'),
        ("select v, count(*) from keyed group by v", ("keys",), 'keys: "([0])"'),
        ("select * from keyed", ("cardinality",), 'cardinality: "1000"'),
        ("select w, k from keyed", ("column names",), 'column_names: "(w, k)"'),
        ("select a from t except all select k from keyed", ("non negative",), "non_negative: true"),
        ("select a from t where b = 1", ("subtree size", "arity"), "subtree_size: 3, arity: 1"),
    ],
)
def test_attributes_of_the_topmost_operator(sql, chosen, first):
    assert explained(sql, *chosen)[0].endswith(f" // {{ {first} }}")


def test_differences_may_be_negative_and_bindings_are_known():
    lines = explained(
        "with x as (select a from t where b > 0) select * from x union all select a + 1 from x"
        " union all (select b from t except all select a from t)",
        "non negative",
    )
    negative = [line for line in lines if "non_negative: false" in line]
    assert negative
    assert all(word in line for line in negative for word in ("//",))
    assert not any("Get l" in line for line in negative)


def test_without_attributes_there_is_no_comment():
    assert not any("//" in line for line in explained("select a from t"))
    assert set(NAMES) >= {"arity", "types", "keys"}


def test_json_shows_literals_and_rows_as_texts():
    plan = optimize(
        plan_sql("select a from t where a = 5 union all values (7)"), optimizer_context(False)
    )
    shown = json.loads(msgspec.json.encode(plan_json(plan)))
    assert shown["kind"] == "union"
    assert '{"kind": "literal", "value": "5", "type": "int4"}' in json.dumps(shown)
    constant = next(member for member in shown["inputs"] if member["kind"] == "constant")
    assert constant["rows"] == ["(7)"]
    assert constant["desc"]["columns"][0]["type"] == "int4"


def test_json_of_physical_plans():
    expr = optimize(plan_sql("select v, count(*) from keyed group by v"), optimizer_context(False))
    peek = plan_peek(expr, lower_context(False), object_id="t1", index_id="t2")
    assert isinstance(peek, DataflowPeek)
    (built,) = peek.lowered.dataflow.objects
    shown = json.loads(msgspec.json.encode(plan_json(built.plan)))
    assert shown["kind"] == "reduce"
    assert shown["plan"]["accumulable"] == [0]
    assert shown["input"]["id"] == {"kind": "global", "id": IDS["keyed"]}


def test_the_fast_path_can_be_forgone():
    expr = optimize(plan_sql("select * from keyed where k = 1"), optimizer_context())
    names = {"object_id": "t1", "index_id": "t2"}
    assert not isinstance(plan_peek(expr, lower_context(), **names), DataflowPeek)
    forced = plan_peek(expr, lower_context(), **names, by_dataflow=True)
    assert isinstance(forced, DataflowPeek)


def test_what_is_done_to_rows_as_they_are_read():
    expr = optimize(plan_sql("select v + 1 from keyed where k > 2"), optimizer_context(False))
    peek = plan_peek(expr, lower_context(False), object_id="t1", index_id="t2")
    assert isinstance(peek, DataflowPeek)
    (source,) = peek.lowered.dataflow.sources
    text = explain_source("keyed", source.mfp)
    assert text == "Source keyed\n  Project: #3\n  Filter: (#0 > 2)\n  Map: (#1 + 1)\n"


@pytest.mark.parametrize(
    ("sql", "titles"),
    [
        (
            "select a, rank() over (order by b) from t where a > 1",
            ["→Project", "  →Window", "    →Stream u"],
        ),
        (
            "select * from (select a, count(*) as n from t group by a) x"
            " join (select a, count(*) as n from t group by a) y on x.n = y.n + 1",
            None,
        ),
        (
            "with recursive r as (select a from t union select a + 1 from r where a < 9)"
            " select count(*) from r",
            None,
        ),
    ],
)
def test_every_node_has_a_title(sql, titles):
    expr = optimize(plan_sql(sql), optimizer_context())
    peek = plan_peek(expr, lower_context(), object_id="t1", index_id="t2")
    for built in peek.lowered.dataflow.objects:
        found = explain_nodes(built.plan)
        assert len(found) == len(list(walk_plan(built.plan)))
        assert all(title.lstrip().startswith("→") for title in found)
        if titles is not None:
            assert [title.rstrip("0123456789 ") for title in found[: len(titles)]] == titles
