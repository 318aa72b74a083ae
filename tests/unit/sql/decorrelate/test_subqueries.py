"""Subqueries in every place, checked against their values row by row."""

from collections import Counter

import pytest

from headwater.compute.reference import Snapshot, evaluate_relation
from headwater.ir.literals import text_datum
from headwater.sql.optimize.pipeline import optimize
from headwater.sql.plan.decorrelate import decorrelate
from tests.golden.planning import IDS, TABLES, optimizer_context, plan_select, plan_sql
from tests.property.plans import datum

DATA = {
    "t": [(1, 10), (2, 20), (2, 20), (None, 30), (3, 0)],
    "s": [(1, "x"), (1, "y"), (2, "x"), (None, "z")],
    "keyed": [(1, 5, "a"), (2, None, "b"), (4, 7, "c")],
}


def encoded(value):
    return text_datum(value) if isinstance(value, str) else datum(value)


def inputs():
    found = {IDS[name]: Snapshot() for name in TABLES}
    for name, rows in DATA.items():
        found[IDS[name]] = Snapshot(Counter(b"".join(map(encoded, row)) for row in rows))
    return found


def run(sql):
    """Return the sorted rows of a query, and its errors, optimized and not."""
    plan = plan_sql(sql)
    raw = evaluate_relation(plan, inputs())
    optimized = evaluate_relation(optimize(plan, optimizer_context()), inputs())
    assert optimized.rows == raw.rows
    return optimized


def rows(*expected):
    return Counter(b"".join(map(encoded, row)) for row in expected)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "select a from t where exists (select 1 from s where s.a = t.a)",
            [(1,), (2,), (2,)],
        ),
        ("select a from t where not exists (select 1 from s where s.a = t.a)", [(None,), (3,)]),
        ("select a from t where a in (select k from keyed)", [(1,), (2,), (2,)]),
        ("select a from t where a not in (select k from keyed)", [(3,)]),
        ("select a from t where a not in (select a from s)", []),
        (
            "select a, (select v from keyed where k = t.a) from t where b < 30",
            [(1, 5), (2, None), (2, None), (3, None)],
        ),
        (
            "select a, (select max(c) from s where s.a = t.a) from t where b > 0",
            [(1, "y"), (2, "x"), (2, "x"), (None, None)],
        ),
        ("select k from keyed where v = (select max(v) from keyed)", [(4,)]),
        (
            "select a, x.c from t, lateral"
            " (select c from s where s.a = t.a order by c limit 1) as x",
            [(1, "x"), (2, "x"), (2, "x")],
        ),
        (
            "select a, x.c from t left join lateral (select c from s where s.a = t.a) as x on true"
            " where b >= 20",
            [(2, "x"), (2, "x"), (None, None)],
        ),
        # Rows that cancel do not fail first: the default row of an aggregate, a missing match.
        ("select a, 4 / (select count(*) from keyed) from t where b = 0", [(3, 1)]),
        (
            "select a, 12 / coalesce(v, 0) from t left join keyed on t.a = k where a = 1",
            [(1, 2)],
        ),
        # Too many rows elsewhere.
        (
            "select k from keyed where (select b from t where t.a = k and b < 20) = 10",
            [(1,)],
        ),
        # Table functions inside one another, and beside.
        (
            "select k, generate_series(1, generate_series(k, 2)) from keyed where k < 3",
            [(1, 1), (1, 1), (1, 2), (2, 1), (2, 2)],
        ),
        (
            "select generate_series(1, 2), generate_series(generate_series(1, 2), 2) from keyed"
            " where k = 1",
            [(1, 1), (1, 2), (2, 2)],
        ),
        # Row counts by subqueries and of other types.
        ("select b from t order by b desc limit (select min(k) from keyed)", [(30,)]),
        ("select b from t order by b offset (select count(*) from keyed)", [(20,), (30,)]),
        ("select b from (select b from t order by b limit 1.5 * 2) as x", [(0,), (10,), (20,)]),
        # Two levels out.
        (
            "select a from t where exists (select 1 from keyed where k = t.a and exists"
            " (select 1 from s where s.a = t.a and s.a = keyed.k))",
            [(1,), (2,), (2,)],
        ),
        (
            "select k, (select count(*) from t where t.a = k and exists"
            " (select 1 from s where s.a = k)) from keyed",
            [(1, 1), (2, 2), (4, 0)],
        ),
        # A correlated CTE.
        (
            "select k, (with w as (select b from t where a = keyed.k) select max(b) from w)"
            " from keyed",
            [(1, 10), (2, 20), (4, None)],
        ),
        # A correlated recursion: one for each context, NULL among them.
        (
            "select b, (with mutually recursive n (x int) as (select a union select x + 1 from n"
            " where x < t.b) select sum(x) from n) from t where b <= 20 or a is null",
            [(10, 55), (20, 209), (20, 209), (30, None), (0, 3)],
        ),
        (
            "select k, x from keyed, lateral (with mutually recursive n (x int) as"
            " (select k union (with m as (select x from n) select m.x + 1 from m"
            " where m.x <= (select min(x) from n) and exists (select 1 from n where n.x < k + 1)))"
            " select x from n) as r where v is not null",
            [(1, 1), (1, 2), (4, 4), (4, 5)],
        ),
        (
            "select t.a, k from t full join keyed on t.a = k and v is not null",
            [(1, 1), (2, None), (2, None), (None, None), (3, None), (None, 2), (None, 4)],
        ),
        (
            "select t.a, k from t left join keyed on t.a < k and b = 0",
            [(1, None), (2, None), (2, None), (None, None), (3, 4)],
        ),
    ],
)
def test_values(sql, expected):
    result = run(sql)
    assert result.rows == rows(*expected)
    assert not result.errors


def test_more_than_one_row_is_an_error():
    result = run("select a, (select c from s where s.a = t.a) from t")
    assert result.errors
    assert set(result.errors) == {"21000:more than one record produced in subquery"}


def test_no_error_where_the_rows_concerned_are_absent():
    result = run("select a, (select c from s where s.a = t.a) from t where a = 2")
    assert result.rows == rows((2, "x"), (2, "x"))
    assert not result.errors


def test_a_branch_not_taken_does_not_fail():
    result = run("select case when b = 0 then 0 else (select 100 / t.b) end from t")
    assert result.rows == rows((10,), (5,), (5,), (3,), (0,))
    assert not result.errors
    guarded = run(
        "select a, case when a = 1 then 'many' else (select c from s where s.a = t.a) end"
        " from t where a < 3"
    )
    assert guarded.rows == rows((1, "many"), (2, "x"), (2, "x"))
    assert not guarded.errors


def test_coalesce_computes_later_arguments_only_where_needed():
    result = run(
        "select coalesce((select v from keyed where k = t.a),"
        " (select 100 / t.b from keyed where k = t.a)) from t where b <> 30"
    )
    assert result.rows == rows((5,), (5,), (5,), (None,))
    assert not result.errors


def test_a_plan_has_no_subquery_left():
    selected = plan_select("select a from t where a in (select a from s)")
    assert "Subquery" not in repr(decorrelate(selected.query))
