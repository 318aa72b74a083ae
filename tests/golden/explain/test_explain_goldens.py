"""EXPLAIN of whole queries: plans of the auction demo with its indexes."""

from pathlib import Path

from headwater.ir.explain import ExplainOptions, explain_relation, explained
from headwater.sql.lower.peek import DataflowPeek, plan_peek
from headwater.sql.optimize.pipeline import optimize
from tests.golden.goldens import check_golden
from tests.golden.planning import (
    INDEX_IDS,
    NAMES,
    lower_context,
    optimizer_context,
    plan_sql,
)

HERE = Path(__file__).parent
OPTIONS = ExplainOptions(names=NAMES, join_implementations=True)
INDEX_NAMES = {identifier: f"materialize.public.{name}" for name, identifier in INDEX_IDS.items()}


def explain(sql):
    expr = optimize(plan_sql(sql), optimizer_context())
    peek = plan_peek(expr, lower_context(), object_id="t1", index_id="t2")
    used: dict[str, list[str]] = {}
    if isinstance(peek, DataflowPeek):
        for use in peek.lowered.index_uses:
            used.setdefault(INDEX_NAMES[use.index.id], []).append(use.usage)
    return explained(
        "Explained Query",
        explain_relation(expr, OPTIONS),
        used_indexes=used.items(),
        target_cluster="quickstart",
    )


def test_explained():
    check_golden(HERE / "auction.txt", explain)
