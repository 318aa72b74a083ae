"""What is derived of operators: types, nullability, keys, monotonicity; and the checker."""

import pytest

from headwater.errors import InternalError, StatementTooComplex
from headwater.ir import kernels
from headwater.ir.check import check_plan
from headwater.ir.functions import lookup
from headwater.ir.relation import (
    Constant,
    Filter,
    FlatMap,
    Get,
    Global,
    Join,
    Map,
    Negate,
    Project,
    Reduce,
    TopK,
    Union,
)
from headwater.ir.scalar import (
    AggregateExpr,
    Call,
    CallUnmaterializable,
    Column,
    ColumnOrder,
    If,
    UnmaterializableFunc,
)
from headwater.ir.typing import Typer, is_monotonic
from headwater.ir.visit import check_depth
from headwater.types.relation import Column as DescColumn
from headwater.types.relation import RelationDesc
from headwater.types.scalar import BOOL, INT4, INT8, MZ_TIMESTAMP, ColumnType
from tests.golden.planning import plan_select, plan_sql

INT = ColumnType(INT4, True)


def table(name, *columns, keys=()):
    described = tuple(DescColumn(c.rstrip("!"), INT4, not c.endswith("!")) for c in columns)
    return Get(Global(name), RelationDesc(described, keys))


T = table("u1", "a", "b")
KEYED = table("u2", "k!", "v", keys=((0,),))


def nullable(expr):
    return [column.nullable for column in Typer().types(expr)]


def test_conditions_make_columns_not_null():
    assert nullable(Filter(T, (kernels.is_not_null(Column(0)),))) == [False, True]
    comparison = Call(kernels.LT, (Column(1), Column(0)), kernels.BOOL_OR_NULL)
    assert nullable(Filter(T, (comparison,))) == [False, False]
    either = kernels.disjunction((comparison, kernels.is_not_null(Column(0))))
    assert nullable(Filter(T, (either,))) == [False, True]


def test_join_classes_make_columns_not_null():
    join = Join((T, KEYED), ((Column(0), Column(3)),))
    assert nullable(join) == [False, True, False, False]


def test_a_union_is_nullable_where_any_branch_is():
    assert nullable(Union((KEYED, T))) == [True, True]


def test_case_is_nullable_where_a_branch_is():
    expr = If(kernels.TRUE, Column(0), Column(1))
    assert nullable(Map(KEYED, (expr,))) == [False, True, True]


def test_keys_through_joins():
    typer = Typer()
    assert typer.keys(Join((T, KEYED), ())) == ()
    # The other side has a key, and is looked up by it: the first side's key stays a key.
    other = table("u3", "x!", "y!", keys=((0,),))
    assert typer.keys(Join((other, KEYED), ((Column(1), Column(2)),))) == ((0,),)
    assert typer.keys(Join((other, KEYED), ())) == ((0, 2),)
    assert typer.keys(Join((other, KEYED), ((Column(0), Column(2)),))) == ((0,), (2,))


def test_keys_of_groups_and_limits():
    typer = Typer()
    assert typer.keys(Reduce(T, (Column(1), Column(0)), ())) == ((0, 1),)
    assert typer.keys(Reduce(KEYED, (Column(1), Column(0)), ())) == ((1,),)
    assert typer.keys(Reduce(T, (), ())) == ((),)
    one = kernels.int8_literal(1)
    assert typer.keys(TopK(T, (0,), (ColumnOrder(1),), one)) == ((0,),)
    assert typer.keys(Negate(KEYED)) == ()
    fixed = kernels.eq(Column(0), kernels.int8_literal(5))
    assert typer.keys(Filter(KEYED, (fixed,))) == ((),)
    assert typer.keys(Project(KEYED, (1,))) == ()
    assert typer.keys(Project(KEYED, (1, 0, 0))) == ((1,),)


def test_only_growing_inputs_make_growing_outputs():
    def grows(expr):
        return is_monotonic(expr, {"u1"}.__contains__)

    assert grows(T)
    assert not grows(KEYED)
    assert grows(Join((T, Project(T, (0,))), ()))
    assert not grows(Union((T, Negate(T))))
    assert not grows(TopK(T, (), (), kernels.int8_literal(1)))
    assert grows(Reduce(T, (Column(0),), ()))
    counted = Reduce(T, (), (AggregateExpr(kernels.COUNT, kernels.TRUE, kernels.COUNT_TYPE),))
    assert not grows(counted)
    assert grows(Filter(T, (kernels.is_null(Column(0)),)))
    now = CallUnmaterializable(UnmaterializableFunc.MZ_NOW, ColumnType(MZ_TIMESTAMP))
    assert not grows(Filter(T, (kernels.is_null(now),)))
    assert grows(Constant(((b"\x18\x18\x18", 2),), T.desc))
    assert not grows(Constant(((b"\x18\x18\x18", -1),), T.desc))
    (series,) = (s.kernel for s in lookup("generate_series") if s.args == (INT8, INT8))
    assert grows(FlatMap(T, series, (Column(0), Column(0)), (kernels.COUNT_TYPE,)))
    assert not grows(FlatMap(T, kernels.REPEAT_ROW, (Column(0),), ()))


@pytest.mark.parametrize(
    "plan",
    [
        Project(T, (2,)),
        Filter(T, (Column(0),)),
        Map(T, (Column(2),)),
        Join((T, T), ((Column(0), Column(4)),)),
        Union((T, Project(T, (0,)))),
        Constant(((b"\x18\x18\x18", 1),), T.desc),
        TopK(T, (2,), (), None),
    ],
    ids=["project", "filter", "map", "join", "union", "constant", "top-k"],
)
def test_ill_formed_plans_are_found(plan):
    with pytest.raises(InternalError):
        check_plan(plan)


def test_well_formed_plans_pass():
    condition = Call(kernels.EQ, (Column(0), Column(1)), ColumnType(BOOL))
    check_plan(Filter(T, (condition,)), Typer().types(T))


def test_plans_that_nest_too_deeply_are_refused():
    plan = T
    for _ in range(1_001):
        plan = Negate(plan)
    with pytest.raises(StatementTooComplex):
        check_depth(plan)


@pytest.mark.parametrize(
    ("sql", "nullable"),
    [
        ("select k, min(k), sum(k), array_agg(v) from keyed group by k", [False] * 4),
        (
            "select k, min(v), string_agg(w, ',') from keyed group by k",
            [False, True, True],
        ),
        ("select k, string_agg(k::text, w) from keyed group by k", [False, False]),
        ("select min(k) from keyed", [True]),
        ("select k, sum(k) filter (where v > 0) from keyed group by k", [False, True]),
        ("select v, min(k) from keyed group by rollup (v)", [True, True]),
    ],
)
def test_an_aggregate_of_a_group_is_null_only_by_its_values(sql, nullable):
    plan = plan_sql(sql)
    assert [column.nullable for column in Typer().types(plan)] == nullable
    assert [column.nullable for column in plan_select(sql).desc.columns] == nullable


def test_the_average_of_a_group_is_null_only_by_its_values():
    plan = plan_sql("select k, avg(k), avg(v) from keyed group by k")
    assert [column.nullable for column in Typer().types(plan)] == [False, False, True]
