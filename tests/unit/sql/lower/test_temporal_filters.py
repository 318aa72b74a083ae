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
from headwater.ir.literals import int_datum
from headwater.ir.visit_physical import walk_plan
from headwater.sql.lower.plan import Lowering
from headwater.sql.optimize.pipeline import optimize
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


@pytest.mark.parametrize(
    "sql",
    [
        "select id from bids where mz_now() <> id",
        "select id from bids where mz_now() < id or buyer = 3",
        "select id, mz_now() from bids",
    ],
)
def test_other_uses_are_refused(sql):
    expr = optimize(plan_sql(sql), optimizer_context(False))
    with pytest.raises(FeatureNotSupported, match=r"mz_now|temporal"):
        Lowering().lower(expr)
