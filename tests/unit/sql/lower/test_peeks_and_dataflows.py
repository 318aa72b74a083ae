"""How one-shot reads are answered, and what dataflows import."""

from itertools import pairwise

import pytest

from headwater.errors import UndefinedParameter
from headwater.ir import physical as lir
from headwater.ir.dataflow import IndexExport, SinkExport, SubscribeSink
from headwater.ir.literals import int_literal, text_literal
from headwater.ir.relation import ColumnOrder, Constant, Reduce, RowSetFinishing, TopK
from headwater.ir.scalar import AggregateExpr, Column, Parameter, UnmaterializableFunc
from headwater.ir.visit_physical import walk_plan
from headwater.sql.lower.dataflow import build_dataflow
from headwater.sql.lower.peek import (
    ConstantPeek,
    DataflowPeek,
    IndexPeek,
    fast_path,
    parameters_of,
    plan_peek,
    project_for_finishing,
)
from headwater.sql.lower.reduce import Growth, buckets, largest_group, reduce_plan, top_k_plan
from headwater.sql.lower.substitute import (
    has_parameters,
    substitute_parameters,
    substitute_unmaterializable,
    unmaterializable_of,
)
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.pipeline import optimize
from headwater.types.relation import RelationDesc
from headwater.types.scalar import INT8, MZ_TIMESTAMP, ColumnType
from tests.golden.planning import (
    IDS,
    INDEX_IDS,
    lower_context,
    optimizer_context,
    plan_sql,
)
from tests.property.plans import python_fold


def peek(sql, with_indexes=True):
    expr = optimize(plan_sql(sql), optimizer_context(with_indexes))
    return plan_peek(expr, lower_context(with_indexes), object_id="t1", index_id="t2")


def test_constants_need_nothing():
    answer = peek("select 1 + 2 where 3 > 2")
    assert answer == ConstantPeek(((b"\x19\x03", 1),))
    failed = peek("select 1 / 0")
    assert isinstance(failed, ConstantPeek)
    assert failed.error.sqlstate == "22012"


def test_a_fixed_key_is_looked_up():
    answer = peek("select w from keyed where k = 7 and v > 3")
    assert isinstance(answer, IndexPeek)
    assert answer.index.id == INDEX_IDS["keyed_k"]
    assert answer.key_rows() == (b"\x19\x07",)
    assert answer.mfp.projection == (2,)
    assert [item.support for item in answer.mfp.predicates] == [2]


def test_a_list_of_keys_is_looked_up_sorted():
    assert peek("select v from keyed where k in (300, 1, 1)").key_rows() == (
        b"\x19\x01",
        b"\x1a\x01\x2c",
    )


def test_null_never_matches():
    answer = peek("select v from keyed where k = null::int4")
    assert answer == ConstantPeek(())


def test_parameters_stay_in_the_keys():
    answer = peek("select v from keyed where k = $1::int4 and v = $2::int4")
    assert isinstance(answer, IndexPeek)
    assert isinstance(answer.keys[0][0], Parameter)
    assert parameters_of(answer) == {1, 2}


def test_no_index_no_fast_path():
    answer = peek("select w from keyed where k = 7", with_indexes=False)
    assert isinstance(answer, DataflowPeek)
    dataflow = answer.lowered.dataflow
    assert [source.id for source in dataflow.sources] == [IDS["keyed"]]
    assert dataflow.sources[0].mfp.projection == (2,)
    assert dataflow.index_exports == (IndexExport("t2", "t1", (Column(0),), 1),)
    get = dataflow.objects[0].plan
    assert (get.arity, get.mfp) == (1, lir.Mfp.identity(1))


def test_dataflows_import_indexes_and_only_what_they_read():
    expr = optimize(
        plan_sql("select amount, item from bids join auctions on auction_id = auctions.id"),
        optimizer_context(),
    )
    dataflow = build_dataflow("v", [("u50", expr)], lower_context()).dataflow
    assert dataflow.sources == ()
    assert {index.id for index in dataflow.indexes} == {
        INDEX_IDS["auctions_id"],
        INDEX_IDS["bids_auction"],
    }


def test_exports_of_what_is_not_built_here():
    sink = SinkExport("t9", IDS["t"], SubscribeSink(with_snapshot=True))
    dataflow = build_dataflow("s", [], lower_context(), sink_exports=(sink,)).dataflow
    assert [source.id for source in dataflow.sources] == [IDS["t"]]
    assert dataflow.sources[0].mfp is None
    index = IndexExport("u77", IDS["keyed"], (Column(1),), 3)
    dataflow = build_dataflow("i", [], lower_context(), index_exports=(index,)).dataflow
    assert [item.id for item in dataflow.indexes] == [INDEX_IDS["keyed_k"]]


def test_a_source_read_twice_keeps_its_columns():
    expr = optimize(
        plan_sql("select a from t where b = 1 union all select b from t where a = 2"),
        optimizer_context(),
    )
    dataflow = build_dataflow("v", [("u50", expr)], lower_context()).dataflow
    assert dataflow.sources[0].mfp is None
    gets = [n for n in walk_plan(dataflow.objects[0].plan) if isinstance(n, lir.Get)]
    assert [get.arity for get in gets] == [2, 2]


def test_later_objects_read_earlier_ones():
    first = optimize(plan_sql("select a, count(*) from t group by a"), optimizer_context())
    second = optimize(plan_sql("select k from keyed"), optimizer_context())
    dataflow = build_dataflow("two", [("u50", first), ("u51", second)], lower_context()).dataflow
    assert [item.id for item in dataflow.objects] == ["u50", "u51"]


def test_an_index_by_the_group_needs_no_arrangement_of_its_own():
    expr = optimize(plan_sql("select a, count(*) from t group by a"), optimizer_context())
    export = IndexExport("u60", "u50", (Column(0),), 2)
    dataflow = build_dataflow(
        "i", [("u50", expr)], lower_context(), index_exports=(export,)
    ).dataflow
    assert isinstance(dataflow.objects[0].plan, lir.Reduce)


def test_only_columns_that_the_answer_reads_are_computed():
    expr = plan_sql("select w, v, k from keyed")
    finishing = RowSetFinishing((ColumnOrder(2),), 3, 0, (1,))
    cut, after = project_for_finishing(expr, finishing)
    assert cut.outputs == (1, 2)
    assert after == RowSetFinishing((ColumnOrder(1),), 3, 0, (0,))


def test_filling_in_parameters_and_moments():
    expr = plan_sql("select v from keyed where k = $1::int4 and mz_now() > k")
    assert has_parameters(expr)
    filled = substitute_parameters(expr, [int_literal(7)])
    assert not has_parameters(filled)
    with pytest.raises(UndefinedParameter):
        substitute_parameters(expr, [])
    assert unmaterializable_of(expr) == {UnmaterializableFunc.MZ_NOW}
    now = int_literal(1000, MZ_TIMESTAMP)
    done = substitute_unmaterializable(filled, {UnmaterializableFunc.MZ_NOW: now})
    assert unmaterializable_of(done) == frozenset()
    answer = fast_path(optimize(done, optimizer_context()), lower_context())
    assert isinstance(answer, IndexPeek)
    assert text_literal("x").data not in answer.key_rows()


def test_stages_follow_from_the_expected_group_size():
    assert buckets(10) == ()
    assert buckets(300) == (16,)
    assert buckets(5000) == (256, 16)


def test_stages_of_groups_of_unknown_size_serve_large_ones():
    first, *others = buckets(None)
    assert 10_000_000 / first < 1_000
    for more, fewer in pairwise((first, *others, 1)):
        assert more % fewer == 0  # the rows of a bucket stay together
        assert more / fewer <= 32
        assert more.bit_count() == 1


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_the_largest_group_of_so_many_levels(levels):
    assert len(buckets(largest_group(levels))) == levels - 1
    assert len(buckets(largest_group(levels) + 1)) == levels


EMPTY = Constant((), RelationDesc((), ()))


def test_groups_that_only_grow_have_no_stages():
    greatest = AggregateExpr("max", Column(0), ColumnType(MZ_TIMESTAMP))
    reduce = Reduce(EMPTY, (), (greatest,))
    staged = lir.ReducePlan(hierarchical=(0,), buckets=buckets(None))
    assert reduce_plan(reduce, Growth.UNKNOWN) == staged
    assert reduce_plan(reduce, Growth.ALWAYS) == lir.ReducePlan(hierarchical=(0,), monotonic=True)
    assert reduce_plan(reduce, Growth.ONCE_CONSOLIDATED) == lir.ReducePlan(
        hierarchical=(0,), monotonic=True, must_consolidate=True
    )
    counted = Reduce(EMPTY, (), (AggregateExpr("count", Column(0), ColumnType(INT8)),))
    assert reduce_plan(counted, Growth.ALWAYS) == lir.ReducePlan(accumulable=(0,))


@pytest.mark.parametrize(
    ("limit", "offset", "is_monotonic"),
    [
        (int_literal(1, INT8), 0, True),
        (int_literal(999, INT8), 1, True),
        (int_literal(1_000, INT8), 1, False),
        (int_literal(-1, INT8), 0, False),
        (None, 1, False),
        (Column(0), 0, False),
    ],
)
def test_a_top_k_of_rows_that_only_grow_keeps_a_few(limit, offset, is_monotonic):
    node = TopK(EMPTY, (), (), limit, offset)
    plan = top_k_plan(node, lir.Constant((), 0), Growth.ALWAYS)
    assert (plan.monotonic, plan.must_consolidate) == (is_monotonic, False)
    assert plan.buckets == (() if is_monotonic else buckets(None))


def growth_of_nodes(sql: str, **context) -> list[tuple[bool, bool]]:
    """Return the flags of each such node of a query, and then of a view of it."""
    expr = optimize(plan_sql(sql), OptimizerContext(fold=python_fold, **context))
    once = plan_peek(expr, lower_context(False), object_id="t1", index_id="t2").lowered
    kept = build_dataflow("view", [("u900", expr)], lower_context(False))
    found = []
    for lowered in (once, kept):
        for node in walk_plan(lowered.dataflow.objects[0].plan):
            plan = node.plan if isinstance(node, lir.Reduce) else node
            if isinstance(plan, lir.TopK) or getattr(plan, "hierarchical", ()):
                found.append((plan.monotonic, plan.must_consolidate))
    return found


@pytest.mark.parametrize(
    "sql",
    ["select a, max(b) from t group by a", "select * from (select a from t order by b limit 2) x"],
)
def test_rows_of_one_time_are_added_up_first_where_they_may_have_been_taken_away(sql):
    grows = frozenset({IDS["t"]})
    assert growth_of_nodes(sql) == [(True, True), (False, False)]
    assert growth_of_nodes(sql, append_only=grows) == [(True, False), (True, False)]


def test_rows_of_a_recursion_come_and_go_at_one_time_too():
    sql = """with mutually recursive r (a int, b int) as (
        select a, max(b) from (select a, b from t union all select b, a from r) as x group by a
    ) select max(b) from r"""
    assert sorted(growth_of_nodes(sql)[:2]) == [(False, False), (True, True)]
