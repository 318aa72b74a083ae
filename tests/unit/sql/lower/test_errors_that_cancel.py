"""Expressions that may fail stay above unions in which rows cancel, and below no other check."""

from headwater.ir import physical as lir
from headwater.ir.visit_physical import walk_plan
from headwater.sql.lower.peek import DataflowPeek, plan_peek
from headwater.sql.optimize.pipeline import optimize
from tests.golden.planning import lower_context, optimizer_context, plan_sql


def lowered(sql):
    expr = optimize(plan_sql(sql), optimizer_context(False))
    peek = plan_peek(expr, lower_context(False), object_id="t1", index_id="t2")
    assert isinstance(peek, DataflowPeek)
    return [node for item in peek.lowered.dataflow.objects for node in walk_plan(item.plan)]


def computes(node, func):
    mfp = getattr(node, "mfp", None)
    return mfp is not None and func in repr(mfp.expressions) + repr(mfp.predicates)


def test_a_division_follows_the_union_that_drops_the_default_row():
    nodes = lowered("select a / (select count(*) from t) from t")
    union = next(node for node in nodes if isinstance(node, lir.Union) and node.consolidate)
    above = [node for node in nodes if computes(node, "div")]
    assert [node.input for node in above] == [union]


def test_a_check_that_fails_comes_after_those_that_reject():
    nodes = lowered("select k from keyed where (select b from t where t.a = k and b < 20) = 10")
    failing = [
        mfp
        for node in nodes
        for mfp in (getattr(node, "mfp", None), getattr(node, "mfp_after", None))
        if mfp is not None and "more than one record" in repr(mfp.predicates)
    ]
    assert failing
    for mfp in failing:
        assert len(mfp.predicates) == 2
        assert "more than one record" in repr(mfp.predicates[-1])
