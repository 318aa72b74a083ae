"""The optimizer as a whole: views, bounds, indexes, time."""

import time
from collections import Counter

import pytest

from headwater.compute.reference import Snapshot, evaluate_relation
from headwater.errors import InternalError, StatementTooComplex
from headwater.ir.check import check_plan
from headwater.ir.dataflow import IndexImport
from headwater.ir.relation import Get, Global, JoinKind, Negate, Reduce, TopK
from headwater.ir.scalar import Column
from headwater.ir.typing import Typer
from headwater.ir.visit import replace, walk
from headwater.sql.lower.plan import Lowering
from headwater.sql.optimize import pipeline
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.inline_views import inline_views
from headwater.sql.optimize.pipeline import optimize
from tests.golden.planning import IDS, optimizer_context, plan_sql
from tests.property.plans import python_fold, row

VIEW = plan_sql("select a, count(*) as n from t group by a")


def view_get(name="u90"):
    return Get(Global(name), Typer().desc(VIEW))


def test_views_are_inlined_once_and_shared():
    other = plan_sql("with x as (select a from t) select x.a from x, x as y")
    context = OptimizerContext(views={"u90": VIEW, "u91": other}, fold=python_fold)
    plan = inline_views(replace(plan_sql("select a from t union all select k from keyed")), context)
    assert plan == plan_sql("select a from t union all select k from keyed")
    nested = OptimizerContext(views={"u90": VIEW, "u91": Negate(view_get())}, fold=python_fold)
    result = optimize(Get(Global("u91"), Typer().desc(VIEW)), nested)
    check_plan(result)
    assert {node.id.id for node in walk(result) if isinstance(node, Get)} == {IDS["t"]}


def test_a_view_with_an_index_is_read_from_it():
    index = IndexImport("u95", "u90", (Column(0),), 2)
    context = OptimizerContext(views={"u90": VIEW}, indexes={"u90": (index,)}, fold=python_fold)
    assert optimize(view_get(), context) == view_get()


def test_a_view_cannot_be_defined_by_itself():
    context = OptimizerContext(views={"u90": Negate(view_get())})
    with pytest.raises(InternalError):
        optimize(view_get(), context)


def test_too_deep_plans_are_refused():
    plan = view_get()
    for _ in range(2_000):
        plan = Negate(plan)
    with pytest.raises(StatementTooComplex):
        optimize(plan, OptimizerContext())


def test_deep_plans_are_optimized():
    plan = plan_sql("select a from t")
    for number in range(300):
        plan = Reduce(plan, (Column(0),), ()) if number % 2 else Negate(plan)
    assert optimize(plan, optimizer_context())


def test_append_only_inputs_need_less_state():
    sql = "select a, max(b) from t group by a"
    context = replace_context(append_only=frozenset({IDS["t"]}))
    (reduce,) = [n for n in walk(optimize(plan_sql(sql), context)) if isinstance(n, Reduce)]
    assert reduce.monotonic
    top = "select * from (select a, b from t order by b limit 2) as x"
    (node,) = [n for n in walk(optimize(plan_sql(top), context)) if isinstance(n, TopK)]
    assert node.monotonic
    (node,) = [n for n in walk(optimize(plan_sql(top), optimizer_context())) if isinstance(n, TopK)]
    assert not node.monotonic


def replace_context(**changed):
    return OptimizerContext(fold=python_fold, **changed)


def test_recursive_joins_are_linear():
    sql = (
        "with mutually recursive r (x int, y int) as (select a, b from t union"
        " select p.x, q.y from r as p, r as q, t where p.y = q.x and q.y = t.a) select * from r"
    )
    plan = optimize(plan_sql(sql), optimizer_context())
    joins = [node for node in walk(plan) if hasattr(node, "implementation")]
    assert joins
    assert {node.implementation.kind for node in joins} == {JoinKind.LINEAR}


@pytest.mark.parametrize("limit", [None, 2])
def test_recursion_keeps_its_meaning(limit):
    options = f"(return at recursion limit {limit}) " if limit else ""
    sql = (
        f"with mutually recursive {options}r (x int, y int) as (select a, b from t union"
        " select p.x, t.b from r as p join t on p.y = t.a) select * from r"
    )
    plan = plan_sql(sql)
    data = {IDS["t"]: Snapshot(Counter(row(n, n + 1) for n in range(5)))}
    expected = evaluate_relation(plan, data)
    optimized = optimize(plan, optimizer_context())
    assert evaluate_relation(optimized, data).rows == expected.rows
    assert len(expected.rows) == (9 if limit else 15)
    assert Lowering().lower(optimized)


FIVE_WAY = (
    "select n_name, count(*) from customer, orders, lineitem, supplier, nation where"
    " c_custkey = o_custkey and l_orderkey = o_orderkey and l_suppkey = s_suppkey and"
    " c_nationkey = s_nationkey and s_nationkey = n_nationkey and c_mktsegment = 'X'"
    " group by n_name"
)


def test_planning_stays_quick():
    """A generous bound, so that only a change of order shows; bench/ has the real numbers."""
    plan = plan_sql(FIVE_WAY)
    optimize(plan, optimizer_context())
    begin = time.perf_counter()
    Lowering().lower(optimize(plan, optimizer_context()))
    assert time.perf_counter() - begin < 0.5


def test_no_cross_join_that_can_be_avoided():
    plan = optimize(plan_sql(FIVE_WAY), optimizer_context())
    for node in walk(plan):
        if hasattr(node, "implementation"):
            for order in node.implementation.orders:
                assert all(step.key for step in order[1:])


def test_no_rule_is_asked_again_of_a_plan_that_it_left_as_it_was(monkeypatch):
    left: dict[str, list[object]] = {}

    def watched(name, rule):
        def run(expr, context):
            assert not any(known is expr for known in left.get(name, ())), name
            result = rule(expr, context)
            if result == expr:
                left.setdefault(name, []).append(expr)
            return result

        return run

    wrapped = {rule: watched(name, rule) for name, rule in (*pipeline.LOGICAL, *pipeline.PHYSICAL)}
    for rules in ("LOGICAL", "PHYSICAL"):
        watching = tuple((name, wrapped[rule]) for name, rule in getattr(pipeline, rules))
        monkeypatch.setattr(pipeline, rules, watching)
    optimize(plan_sql("select a + 1 from t where b = 2 and a < 1 + 2"), optimizer_context())
    assert {"fuse", "normalize_lets", "relation_cse", "flag_monotonic"} <= left.keys()
