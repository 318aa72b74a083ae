"""Each rule's file shows what its first change does to a query's plan."""

from pathlib import Path

import pytest

from headwater.ir.explain import ExplainOptions, explain_relation
from headwater.sql.optimize.pipeline import LOGICAL, PHYSICAL, optimize
from tests.golden.goldens import check_golden
from tests.golden.planning import NAMES, optimizer_context, plan_sql

HERE = Path(__file__).parent
OPTIONS = ExplainOptions(names=NAMES, join_implementations=True)
RULES = sorted({name for name, _ in (*LOGICAL, *PHYSICAL)})


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule):
    def run(sql):
        plan = plan_sql(sql)
        shown = []

        def trace(name, after):
            nonlocal plan
            if name == rule and not shown:
                shown.append((plan, after))
            plan = after

        optimize(plan, optimizer_context(), trace)
        if not shown:
            return "no change"
        before, after = (explain_relation(side, OPTIONS) for side in shown[0])
        return f"before:\n{before}after:\n{after}"

    check_golden(HERE / f"{rule}.txt", run)


def test_whole_pipeline():
    def run(sql):
        return explain_relation(optimize(plan_sql(sql), optimizer_context()), OPTIONS)

    check_golden(HERE / "pipeline.txt", run)
