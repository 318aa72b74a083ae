"""Arguments by name: each call is planned as the call that has them in their places."""

import pytest

from headwater.errors import SyntaxError_, UndefinedFunction
from tests.golden.plan.small_catalog import plan


@pytest.mark.parametrize(
    ("named", "placed"),
    [
        # Names and defaults: PostgreSQL 15's pg_proc.
        ("make_interval(days => 10)", "make_interval(0, 0, 0, 10)"),
        ("make_interval(secs => 1.5, years => 2)", "make_interval(2, 0, 0, 0, 0, 0, 1.5)"),
        ("make_interval(1, months => 2)", "make_interval(1, 2)"),
        ("make_date(day => 1, month => 2, year => 3)", "make_date(3, 2, 1)"),
        (
            "jsonb_set(jsonb_in => '{}', path => '{a}', replacement => '1')",
            "jsonb_set('{}', '{a}', '1')",
        ),
        (
            "jsonb_path_exists(target => '{}', path => '$.a', silent => true)",
            "jsonb_path_exists('{}', '$.a', '{}', true)",
        ),
    ],
)
def test_a_name_is_a_place(named, placed):
    assert plan(f"SELECT {named} AS x").plan == plan(f"SELECT {placed} AS x").plan


def test_rows_of_functions_too():
    named = "SELECT * FROM jsonb_path_query(path => '$[*]', target => '[1]')"
    assert plan(named).plan == plan("SELECT * FROM jsonb_path_query('[1]', '$[*]')").plan


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ("make_date(year => 1, 2, 3)", SyntaxError_, "positional argument cannot follow"),
        ("make_interval(1, years => 2)", SyntaxError_, 'argument name "years" used more than'),
        ("make_date(year => 1, day => 3)", UndefinedFunction, 'parameter "month"'),
        ("make_date(years => 1)", UndefinedFunction, 'no parameter "years"'),
        ("lower(string => 'A')", UndefinedFunction, 'no parameter "string"'),
    ],
)
def test_names_that_fit_nothing_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        plan(f"SELECT {call}")
