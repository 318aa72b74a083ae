"""Temporal filters: bounds of validity, at every time, and what is refused."""

from collections import Counter

import pytest

from headwater.compute.reference import (
    Bundle,
    Snapshot,
    evaluate_plan,
    evaluate_relation,
)
from headwater.errors import FeatureNotSupported
from headwater.ir.explain import explain_scalar
from headwater.ir.literals import int_datum
from headwater.ir.visit_physical import walk_plan
from headwater.sql.lower.plan import Lowering
from headwater.sql.optimize.pipeline import optimize
from headwater.sql.optimize.temporal import now_as_moment
from tests.golden.planning import IDS, optimizer_context, plan_sql

BIDS = Snapshot(
    Counter(
        b"".join(int_datum(value) for value in (number, buyer, 1, number * 3, 0))
        for number, buyer in ((2, 7), (4, 7), (6, 8))
    )
)


@pytest.mark.parametrize(
    "condition",
    [
        "mz_now() < id",
        "mz_now() <= id",
        "mz_now() > id",
        "mz_now() >= id",
        "mz_now() = id",
        "id < mz_now()",
        "mz_now() between id and amount",
        "mz_now() >= id and mz_now() < amount and buyer = 7",
        "not (mz_now() < id)",
        "mz_now() > 3::int8",
        # Any Boolean expression over comparisons.
        "mz_now() <> id",
        "mz_now() < id or buyer = 8",
        "mz_now() < id or mz_now() > amount",
        "not (mz_now() >= id and (mz_now() <= amount or buyer = 7))",
        "case when mz_now() < id then buyer = 7 else mz_now() > amount end",
        "(mz_now() < id) = (buyer = 7)",
        "(mz_now() < nullif(id, 4)) is not true",
        "mz_now() in (id, amount)",
        # Arithmetic.
        "mz_now()::text::int8 + 2 < id",
        "mz_now()::text::int8 - 3 >= id",
        "10 - mz_now()::text::int8 > id",
        "mz_now()::text::int8 - 100 > id - 95 or buyer = 8",
    ],
)
def test_bounds_equal_the_condition_at_every_time(condition):
    expr = optimize(plan_sql(f"select id from bids where {condition}"), optimizer_context(False))
    plan = Lowering().lower(expr).plan
    inputs = {IDS["bids"]: BIDS}
    bundles = {IDS["bids"]: Bundle(BIDS)}
    seen = set()
    for time in range(20):
        expected = evaluate_relation(expr, inputs, time).rows
        assert evaluate_plan(plan, bundles, time).snapshot.rows == expected
        seen.add(frozenset(expected))
    assert len(seen) > 1


def test_filters_above_joins_and_groups_are_nodes_of_their_own():
    sql = (
        "select item from auctions join bids on auctions.id = auction_id"
        " where mz_now() < auctions.id + bids.id"
    )
    plan = Lowering().lower(optimize(plan_sql(sql), optimizer_context(False))).plan
    closures = [
        stage.closure
        for node in walk_plan(plan)
        if hasattr(node, "path")
        for stage in node.path.stages
    ]
    assert closures
    assert not any(closure.is_temporal for closure in closures)
    assert plan.mfp.is_temporal


def bounds(condition):
    """Return a filter's lower and upper bounds, as text."""
    plan = (
        Lowering()
        .lower(
            optimize(
                plan_sql(f"select end_time from auctions where {condition}"), optimizer_context()
            )
        )
        .plan
    )
    return [
        list(map(explain_scalar, side)) for side in (plan.mfp.lower_bounds, plan.mfp.upper_bounds)
    ]


def test_intervals_move_to_the_other_side():
    def moment(value, below):
        epoch = "'1970-01-01 00:00:00+00'"
        cast = f"timestamptz_to_mz_timestamp({value})"
        return f"case when ({value} < {epoch}) then {below} else {cast} end"

    # now - 1 hour <= end: present until the millisecond after end + 1 hour.
    bound = moment("(#3 + '01:00:00')", "null")
    assert bounds("mz_now()::timestamptz - interval '1 hour' <= end_time") == [
        [],
        [f"({bound} + 1)"],
    ]
    # end < now + 1 day: present from the millisecond after end - 1 day.
    bound = moment("(#3 - '1 day')", "0")
    assert bounds("end_time < interval '1 day' + mz_now()::timestamptz") == [[f"({bound} + 1)"], []]
    # now < end, which may lie between milliseconds: up to and with the one that it is in.
    assert bounds("mz_now()::timestamptz < end_time") == [
        [],
        [moment("(#3 + '00:00:00.000999')", "null")],
    ]
    with pytest.raises(FeatureNotSupported):  # months have no one length
        bounds("mz_now()::timestamptz - interval '1 month' <= end_time")


def test_now_is_the_moment_in_conditions():
    def plan(sql):
        return now_as_moment(plan_sql(sql))

    condition = "{0} - interval '1 hour' <= end_time and end_time < {0}"
    query = f"select end_time from auctions where {condition}"
    assert plan(query.format("now()")) == plan(query.format("mz_now()::timestamptz"))
    assert "NOW" in repr(plan("select now() from auctions")).upper().replace("MZ_NOW", "")


@pytest.mark.parametrize(
    "sql",
    [
        "select id, mz_now() from bids",
        "select id from bids where mz_now()::text > 'x'",
        "select id from bids where mz_now()::text::int8 * 2 < id",
        "select id from bids where mz_now()::text::int8 + id < mz_now()::text::int8",
    ],
)
def test_other_uses_are_refused(sql):
    expr = optimize(plan_sql(sql), optimizer_context(False))
    with pytest.raises(FeatureNotSupported, match=r"mz_now|temporal"):
        Lowering().lower(expr)
