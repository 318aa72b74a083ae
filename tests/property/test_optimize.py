"""Decorrelating, optimizing and lowering keep what a query means, whatever the tables hold."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.compute.reference import (
    Bundle,
    EvaluationError,
    evaluate_plan,
    evaluate_relation,
)
from headwater.ir.check import check_plan
from headwater.ir.dataflow import IndexImport
from headwater.ir.rows import split_row
from headwater.ir.scalar import Column
from headwater.ir.typing import Typer, arity
from headwater.sql.lower.plan import Lowering
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.pipeline import optimize
from headwater.sql.plan.decorrelate import decorrelate
from tests.property.plans import (
    TABLES,
    databases,
    evaluate_hir,
    hir_arity,
    python_fold,
    relations,
)

SETTINGS = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
INDEXES = {
    "u1": (IndexImport("i1", "u1", (Column(0),), 2),),
    "u2": (
        IndexImport("i2", "u2", (Column(0),), 3),
        IndexImport("i4", "u2", (Column(1), Column(0)), 3),
    ),
    "u3": (IndexImport("i3", "u3", (Column(0),), 2),),
}


def expected_of(plan, data):
    """Return the oracle's rows, or None where it fails."""
    try:
        return evaluate_hir(plan, data)
    except EvaluationError:
        return None


def check_against(expected, snapshot, what):
    if expected is None:
        return  # an error: whether and where it shows is looked at in tests of their own
    assert not snapshot.errors, what
    assert snapshot.rows == {row: count for row, count in expected.items() if count}, what


def check_keys(expr, data):
    """Check on actual rows what is claimed of the plan's keys and nullability."""
    snapshot = evaluate_relation(expr, data)
    if snapshot.errors:
        return
    typer = Typer()
    for row in snapshot.rows:
        for datum, column in zip(split_row(row), typer.types(expr), strict=True):
            assert column.nullable or datum != b"\xfe", expr
    for key in typer.keys(expr):
        seen = [
            b"".join(split_row(row)[column] for column in key) for row in snapshot.rows.elements()
        ]
        assert len(seen) == len(set(seen)), (key, expr)


@SETTINGS
@given(relations((), 3), databases())
def test_decorrelated_equals_nested_loops(plan, data):
    expr = decorrelate(plan)
    assert arity(expr) == hir_arity(plan)
    check_plan(expr)
    check_against(expected_of(plan, data), evaluate_relation(expr, data), expr)


@SETTINGS
@given(relations((), 3), databases(), st.booleans())
def test_optimized_and_lowered_equal_nested_loops(plan, data, indexed):
    indexes = INDEXES if indexed else {}
    context = OptimizerContext(indexes=indexes, fold=python_fold)
    original = decorrelate(plan)
    types = Typer().types(original)
    expr = optimize(original, context, lambda _name, step: check_plan(step, types))
    check_keys(expr, data)
    expected = expected_of(plan, data)
    check_against(expected, evaluate_relation(expr, data), expr)
    lowering = Lowering(indexes)
    lowered = lowering.lower(expr)
    inputs = {
        name: Bundle(
            snapshot,
            raw=name in lowering.sources,
            keys=frozenset(index.key for index in indexes.get(name, ())),
        )
        for name, snapshot in data.items()
    }
    assert set(lowering.sources) <= set(TABLES)
    check_against(expected, evaluate_plan(lowered.plan, inputs).snapshot, lowered.plan)
