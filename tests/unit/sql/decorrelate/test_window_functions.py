"""Window functions: the values PostgreSQL gives."""

from collections import Counter

import pytest

from headwater.compute.reference import Snapshot, evaluate_relation
from headwater.errors import UserError
from headwater.ir.relation import Window
from headwater.ir.typing import arity
from headwater.ir.visit import walk
from headwater.sql.optimize.pipeline import optimize
from tests.golden.planning import IDS, TABLES, optimizer_context, plan_sql
from tests.property.plans import row

ROWS = [(1, 10), (1, 20), (1, 20), (2, 5), (None, 7), (None, 9)]


def run(sql):
    data = {IDS[name]: Snapshot() for name in TABLES}
    data[IDS["t"]] = Snapshot(Counter(row(*values) for values in ROWS))
    plan = plan_sql(sql)
    raw = evaluate_relation(plan, data)
    optimized = evaluate_relation(optimize(plan, optimizer_context()), data)
    assert optimized.rows == raw.rows
    assert not optimized.errors
    return optimized.rows


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("row_number() over (partition by a order by b)", [1, 2, 3, 1, 1, 2]),
        ("row_number() over (order by b desc, a)", [3, 1, 2, 6, 5, 4]),
        ("rank() over (partition by a order by b)", [1, 2, 2, 1, 1, 2]),
        ("rank() over (partition by a order by b desc)", [3, 1, 1, 1, 2, 1]),
        ("dense_rank() over (partition by a order by b desc)", [2, 1, 1, 1, 2, 1]),
        ("lag(b) over (partition by a order by b)", [None, 10, 20, None, None, 7]),
        ("lag(b, 2, -1) over (partition by a order by b)", [-1, -1, 10, -1, -1, -1]),
        ("lead(b) over (partition by a order by b)", [20, 20, None, None, 9, None]),
        ("first_value(b) over (partition by a order by b desc)", [20, 20, 20, 5, 9, 9]),
        ("last_value(b) over (partition by a order by b)", [10, 20, 20, 5, 7, 9]),
        (
            "last_value(b) over (partition by a order by b rows between unbounded preceding"
            " and unbounded following)",
            [20, 20, 20, 5, 9, 9],
        ),
        ("sum(b) over (partition by a)", [50, 50, 50, 5, 16, 16]),
        ("max(b) over ()", [20, 20, 20, 20, 20, 20]),
        ("sum(b) over (partition by a order by b)", [10, 50, 50, 5, 7, 16]),
        (
            "sum(b) over (partition by a order by b rows between 1 preceding and current row)",
            [10, 30, 40, 5, 7, 16],
        ),
        (
            "count(*) over (partition by a order by b rows between 1 following and 2 following)",
            [2, 1, 0, 0, 1, 0],
        ),
        (
            "row_number() over (order by b, a) + rank() over (order by a)",
            [4 + 1, 5 + 1, 6 + 1, 1 + 4, 2 + 5, 3 + 5],
        ),
    ],
)
def test_values(expression, expected):
    found = run(f"select a, b, {expression} from t")
    rows = Counter(row(a, b, value) for (a, b), value in zip(ROWS, expected, strict=True))
    assert found == rows


def test_over_groups():
    found = run("select a, row_number() over (order by max(b)) from t group by a")
    assert found == Counter([row(2, 1), row(None, 2), row(1, 3)])


def test_correlated():
    found = run(
        "select distinct o.a, (select max(n) from (select row_number() over (order by i.b) as n"
        " from t as i where i.a = o.a) as x) from t as o"
    )
    assert found == Counter([row(1, 3), row(2, 1), row(None, None)])


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "select a, b, n from (select *, row_number() over (partition by a order by b) as n"
            " from t) as x where n <= 2",
            [(1, 10, 1), (1, 20, 2), (2, 5, 1), (None, 7, 1), (None, 9, 2)],
        ),
        (
            "select b from (select *, row_number() over (partition by a order by b desc) as n"
            " from t) as x where 1 = n and b > 5",
            [(20,), (9,)],
        ),
        (
            "select b, row_number() over (partition by a order by b + 0 desc) from t"
            " qualify 3 > row_number() over (partition by a order by b + 0 desc)",
            [(20, 1), (20, 2), (5, 1), (9, 1), (7, 2)],
        ),
        # Not where another window function sees all rows, nor below it.
        (
            "select b, c from (select b, row_number() over (order by b) as n, count(*) over () as c"
            " from t) as x where n <= 2",
            [(5, 6), (7, 6)],
        ),
        ("select b from (select b, row_number() over (order by b) as n from t) x where n < 1", []),
    ],
)
def test_first_rows(sql, expected):
    assert run(sql) == Counter(row(*values) for values in expected)


def test_first_rows_are_a_top_k():
    def plan(condition, columns="a, b, n"):
        return plan_sql(
            f"select {columns} from (select *, row_number() over (partition by a order by b) as n"
            f" from t) as x where {condition}"
        )

    def kinds(expr):
        return {type(node).__name__ for node in walk(optimize(expr, optimizer_context()))}

    assert kinds(plan("n <= 1")) >= {"TopK"}
    assert not kinds(plan("n = 1")) & {"Window"}
    assert kinds(plan("n <= 3")) >= {"TopK", "Window"}
    # Numbers that nobody reads are not computed.
    assert "Window" not in kinds(plan("n <= 3", "a, b"))
    assert "TopK" not in kinds(plan("n = 2"))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ntile(2) over (order by b, a)", [2, 2, 2, 1, 1, 1]),
        ("nth_value(b, 2) over (partition by a order by b)", [None, 20, 20, None, None, 9]),
        (
            "sum(b) over (order by b range between 2 preceding and 3 following)",
            [19, 40, 40, 12, 31, 26],
        ),
        (
            "sum(b) over (order by b desc range between 2 preceding and 3 following)",
            [26, 40, 40, 12, 21, 26],
        ),
        (
            "count(*) over (order by a range between 1 preceding and current row)",
            [3, 3, 3, 4, 2, 2],
        ),
        (
            "sum(b) over (order by a groups between 1 preceding and 1 following)",
            [55, 55, 55, 71, 21, 21],
        ),
        (
            "sum(b) over (order by a groups between 1 preceding and 1 following exclude group)",
            [5, 5, 5, 66, 5, 5],
        ),
        (
            "sum(b) over (order by b rows between unbounded preceding and unbounded following"
            " exclude ties)",
            [71, 51, 51, 71, 71, 71],
        ),
        (
            "sum(b) over (order by b rows between unbounded preceding and unbounded following"
            " exclude current row)",
            [61, 51, 51, 66, 64, 62],
        ),
        ("count(*) filter (where b > 8) over (order by b)", [2, 4, 4, 0, 0, 1]),
        ("lag(a) ignore nulls over (order by b)", [2, 1, 1, None, 2, 2]),
        ("last_value(a) ignore nulls over (order by b)", [1, 1, 1, 2, 2, 2]),
    ],
)
def test_frames(expression, expected):
    found = run(f"select a, b, {expression} from t")
    rows = Counter(row(a, b, value) for (a, b), value in zip(ROWS, expected, strict=True))
    assert found == rows


@pytest.mark.parametrize(
    ("over", "sqlstate", "message"),
    [
        ("rows -1 preceding", "22013", "frame starting offset must not be negative"),
        (
            "rows between 1 preceding and -1 following",
            "22013",
            "frame ending offset must not be negative",
        ),
        ("rows null preceding", "22004", "frame starting offset must not be null"),
        ("groups -1 preceding", "22013", "frame starting offset must not be negative"),
        ("rows b preceding", "42P10", "argument of ROWS must not contain variables"),
        (
            "range -1 preceding",
            "22013",
            "invalid preceding or following size in window function",
        ),
        (
            ", a range 1 preceding",
            "42P20",
            "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
        ),
        (
            "range interval '1 day' preceding",
            "0A000",
            "RANGE with offset PRECEDING/FOLLOWING is not supported for column type integer"
            " and offset type interval",
        ),
        (
            "range 1.5 preceding",
            "0A000",
            "RANGE with offset PRECEDING/FOLLOWING is not supported for column type integer"
            " and offset type numeric",
        ),
    ],
)
def test_frames_that_are_refused(over, sqlstate, message):
    with pytest.raises(UserError) as raised:
        plan_sql(f"select sum(b) over (order by b {over}) from t")
    assert (raised.value.sqlstate, raised.value.message) == (sqlstate, message)


def test_windows_are_shared_by_calls_over_equal_partitions_and_orders():
    plan = plan_sql(
        "select rank() over w, lag(b) over w, sum(b) over (partition by a) from t"
        " window w as (partition by a order by b)"
    )
    windows = [node for node in walk(plan) if isinstance(node, Window)]
    assert sorted(len(window.functions) for window in windows) == [1, 2]


def test_numbers_of_a_view_do_not_depend_on_what_is_read_of_it():
    rows = [(1, 10), (1, 20), (1, 30)]
    data = {IDS[name]: Snapshot() for name in TABLES}
    data[IDS["t"]] = Snapshot(Counter(row(*values) for values in rows))
    numbered = "(select a, b, row_number() over (order by a) as n from t) as v"
    narrow = plan_sql(f"select n from {numbered} where n = 2")
    narrow = optimize(narrow, optimizer_context())
    assert evaluate_relation(narrow, data).rows == Counter([row(2)])
    windows = [node for node in walk(narrow) if isinstance(node, Window)]
    assert [arity(window.input) for window in windows] == [2]
