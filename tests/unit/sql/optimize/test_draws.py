"""Volatile calls: each computed in one place, for rows that are settled."""

import pytest

from headwater.errors import FeatureNotSupported
from headwater.ir.kernels import TRUE, is_volatile_call
from headwater.ir.linear import extract, is_draw
from headwater.ir.literals import int_literal
from headwater.ir.relation import (
    Constant,
    FlatMap,
    Get,
    Join,
    Let,
    LocalId,
    Map,
    Negate,
    Project,
    Reduce,
    RelationExpr,
    TopK,
    Union,
)
from headwater.ir.scalar import Call, Column
from headwater.ir.typing import Typer, arity
from headwater.ir.visit import columns_of, replace, scalars_of, walk, walk_scalar
from headwater.sql.lower.plan import Lowering
from headwater.sql.optimize.draws import isolate_draws, separate_draws
from headwater.sql.optimize.fold_constants import fold_constants
from headwater.sql.optimize.fuse import fuse
from headwater.sql.optimize.normalize_lets import normalize_lets
from headwater.sql.optimize.pipeline import optimize
from headwater.sql.optimize.predicate_pushdown import push_predicates
from headwater.sql.optimize.relation_cse import relation_cse
from headwater.types.relation import RelationDesc
from headwater.types.scalar import FLOAT8, INT8, ColumnType
from tests.golden.planning import optimizer_context, plan_sql

CONTEXT = optimizer_context()
TABLE = plan_sql("select * from t")


def random(number=0):
    return Call(
        "random", (int_literal(0, INT8), int_literal(number, INT8)), ColumnType(FLOAT8, False)
    )


def draw(below, number=0):
    return Map(below, (random(number),))


def calls_of(plan: RelationExpr):
    """Volatile calls by operator: (operator, call) of each place where one is written."""
    return [
        (node, call)
        for node in walk(plan)
        for scalar in scalars_of(node)
        for call in walk_scalar(scalar)
        if is_volatile_call(call)
    ]


@pytest.mark.parametrize(
    "sql",
    [
        # The pads of an outer join take away what the join adds, by value.
        "select * from (select random() r, t.b from t right join s on t.a = s.a) q"
        " left join t on q.b is not null",
        "select * from (select random() r, t.b from t full join s on exists (select 1 from keyed)"
        " or t.b is null) q left join t on q.b is not null",
        "select r + r, r from (select random() r from t) q where r > 0.5 and r < 0.7",
        "with q as (select random() r, a from t) select * from q, q as p where q.r = p.r",
        "select * from (select random() r, a from t) q where r in (select v from keyed)",
        "select random(), a from t except all select v, k from keyed",
        "select a, sum(random()) from t group by a",
        "select a, row_number() over (order by random()) from t",
        "select * from t left join s on t.a = s.a and random() < 0.5",
        "select case when random() < 0.5 then (select max(v) from keyed where k = a) else"
        " (select min(v) from keyed where k = a) end from t",
        "select random() from (select a from t union all select a from s) q",
        "select * from t where random() < 0.5 and a = 1",
        "select count(*) from (select * from t limit (random() * 3)::int) q",
        "select * from s, lateral (select b from t where a = s.a limit (random() * 3)::int) q",
        "select a from s where a in (select a from t order by b limit 1 + (random() * 3)::int)",
        "select * from (select a from t order by a fetch first (random() * 3)::int rows with ties)",
        "select * from (select a from t order by a limit (select 1) + (random() * 3)::int) q",
    ],
)
def test_each_call_is_evaluated_in_one_place(sql):
    plan = optimize(plan_sql(sql), CONTEXT)
    found = calls_of(plan)
    assert found
    assert len({call for _, call in found}) == len(found)
    for node, _ in found:
        assert is_draw(node)
        settled = extract(node.input)[1]
        assert isinstance(settled, Reduce | FlatMap | Get)
    assert Lowering().lower(plan)


def test_calls_leave_every_operator():
    for sql in (
        "select a + random() from t",
        "select a from t where random() < 0.5",
        "select sum(random()) from t",
        "select generate_series(1, (random() * 10)::int) from t",
        "select * from (select a from t order by b limit (random() * 3)::int) q",
    ):
        plan = isolate_draws(plan_sql(sql), CONTEXT)
        assert all(is_draw(node) for node, _ in calls_of(plan)), sql
        assert isolate_draws(plan, CONTEXT) == plan


def test_columns_of_the_same_map_are_kept():
    sum_type = ColumnType(FLOAT8, False)
    plan = Map(TABLE, (random(), Call("add_float8_float8", (Column(2), Column(2)), sum_type)))
    # The call moves to column 2, so that the Map's own begin at 3.
    assert isolate_draws(plan, CONTEXT) == Project(
        Map(draw(TABLE), (Column(2), Call("add_float8_float8", (Column(3), Column(3)), sum_type))),
        (0, 1, 3, 4),
    )


def test_a_draw_is_not_moved_into_branches():
    union = Union((TABLE, Negate(plan_sql("select * from t where a > 1"))))
    above = Union((Project(draw(union), (0, 1)), TABLE))
    assert len(calls_of(fuse(above, CONTEXT))) == 1


def test_a_draw_is_not_inlined_where_it_is_read_twice():
    value = draw(TABLE)
    get = Get(LocalId(0), Typer().desc(value))
    plan = Let(0, value, Union((get, Negate(get))))
    assert len(calls_of(normalize_lets(plan, CONTEXT))) == 1
    assert len(calls_of(relation_cse(Union((value, Negate(value))), CONTEXT))) == 1
    assert len(calls_of(relation_cse(Union((value, draw(TABLE, 1))), CONTEXT))) == 2


def test_conditions_on_what_is_drawn_stay_above():
    plan = plan_sql("select * from (select random() r, a from t) q where r < 0.5 and a = 1")
    pushed = push_predicates(isolate_draws(plan, CONTEXT), CONTEXT)
    ((node, _),) = calls_of(pushed)
    assert is_draw(node)
    assert any(scalars_of(below) for below in walk(node.input)), "a = 1 comes first"


def test_rows_are_told_apart_before_they_are_drawn_for():
    kept = separate_draws(draw(TABLE), CONTEXT)
    copies = kept.input.input
    assert isinstance(copies, FlatMap)
    assert isinstance(copies.input, Reduce)
    assert arity(kept) == 3
    keyed = plan_sql("select * from keyed")
    assert isinstance(separate_draws(draw(keyed), CONTEXT).input, Reduce)
    rows = Constant(((b"", 1), (b"", 1)), RelationDesc(()))
    assert separate_draws(draw(rows), CONTEXT) == draw(rows)


def test_equal_constant_rows_have_draws_of_their_own():
    values = iter(range(3))

    def fold(_):
        return int_literal(next(values), INT8)

    context = type(CONTEXT)(fold=fold)
    folded = fold_constants(draw(Constant(((b"", 3),), RelationDesc(()))), context)
    assert isinstance(folded, Constant)
    assert len(set(folded.rows)) == 3
    taken_away = draw(Constant(((b"", -1),), RelationDesc(())))
    assert fold_constants(taken_away, context) == taken_away


def test_recursion_cannot_draw_for_its_own_rows():
    recursive = (
        "with mutually recursive r (x int, y float) as (select a, {} from t union"
        " select x + 1, {} from r where x < 10) select * from r"
    )
    with pytest.raises(FeatureNotSupported):
        optimize(plan_sql(recursive.format("random()", "random()")), CONTEXT)
    assert calls_of(optimize(plan_sql(recursive.format("random()", "y")), CONTEXT))


def test_stable_expressions_are_no_draws():
    assert not is_draw(Map(TABLE, (TRUE,)))
    plan = plan_sql("select a + 1 from t where b > 2")
    assert isolate_draws(plan, CONTEXT) is plan
    assert separate_draws(plan, CONTEXT) is plan


def test_a_limit_is_drawn_once_for_its_group():
    sql = "select * from s, lateral (select b from t where a = s.a limit (random() * 3)::int) q"
    (top,) = (n for n in walk(isolate_draws(plan_sql(sql), CONTEXT)) if isinstance(n, TopK))
    (group, drawn) = top.group_key
    rows = Get(LocalId(0), RelationDesc(()))
    assert isinstance(top.input, Join)
    _, groups = top.input.inputs
    assert is_draw(groups)
    assert replace(groups.input, input=rows) == Reduce(rows, (Column(group),), ())
    assert columns_of(top.limit) == {drawn}
    assert drawn == arity(top.input) - 1
