"""Plans of TPC-H, Nexmark and CH-benCHmark, and that none has a cross join it could avoid."""

from pathlib import Path

import pytest

from headwater.ir import relation as mir
from headwater.ir.explain import ExplainOptions, explain_relation, explained
from headwater.ir.literals import fold_constant
from headwater.ir.typing import Typer, arity
from headwater.ir.visit import columns_of, walk
from headwater.sql.lower.peek import project_for_finishing
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.pipeline import optimize
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan import plan_statement
from headwater.sql.plan.decorrelate import decorrelate
from tests.golden.goldens import check_golden, inputs
from tests.golden.planning import SESSION, desc_of, make_catalog
from tests.golden.workloads.schemas import CHBENCH, NEXMARK, TPCH

HERE = Path(__file__).parent
QUERIES = {"tpch": 22, "nexmark": 23, "chbench": 22}
CATALOGS = {
    name: make_catalog({table: desc_of(*made) for table, made in tables.items()}, {})
    for name, tables in (("tpch", TPCH), ("nexmark", NEXMARK), ("chbench", CHBENCH))
}


def optimized(workload, sql):
    (statement,) = parse_statements(sql)
    selected = plan_statement(CATALOGS[workload], SESSION, statement.statement).plan
    expr, _ = project_for_finishing(decorrelate(selected.query), selected.finishing)
    return optimize(expr, OptimizerContext(fold=fold_constant))


@pytest.mark.parametrize("workload", sorted(CATALOGS))
def test_plans(workload):
    names = {item.id: item.name for item in CATALOGS[workload].items.values()}
    options = ExplainOptions(names=names, join_implementations=True)

    def run(sql):
        return explained("Explained Query", explain_relation(optimized(workload, sql), options))

    check_golden(HERE / f"{workload}.txt", run)


def components(join):
    """Return how many groups of inputs no class of the join ties together."""
    owner = [number for number, item in enumerate(join.inputs) for _ in range(arity(item))]
    group = list(range(len(join.inputs)))
    for members in join.equivalences:
        tied = [{owner[column] for column in columns_of(item)} for item in members]
        found = sorted({group[number] for owners in tied for number in owners})
        for number, old in enumerate(group):
            if old in found:
                group[number] = found[0]
    return len(set(group))


def is_small(expr, typer):
    """Return whether a relation reads nothing or has at most one row."""
    while isinstance(expr, mir.ArrangeBy):
        expr = expr.input
    return () in typer.keys(expr) or not any(isinstance(node, mir.Get) for node in walk(expr))


@pytest.mark.parametrize("workload", sorted(CATALOGS))
def test_no_cross_join_that_can_be_avoided(workload):
    queries = inputs(HERE / f"{workload}.txt")
    assert len(queries) == QUERIES[workload]
    typer = Typer()
    for sql in queries:
        for node in walk(optimized(workload, sql)):
            if not isinstance(node, mir.Join):
                continue
            small = sum(1 for member in node.inputs if is_small(member, typer))
            for order in node.implementation.orders:
                crosses = sum(1 for step in order[1:] if not step.key)
                assert crosses < components(node), sql
                # Only constants and relations of one row are multiplied with others.
                assert crosses <= small, sql
