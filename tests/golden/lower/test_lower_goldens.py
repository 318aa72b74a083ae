"""Physical plans, and which indexes they use."""

from pathlib import Path

from headwater.ir.explain import ExplainOptions, explain_index_peek, explain_plan
from headwater.sql.lower.peek import ConstantPeek, IndexPeek, plan_peek
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
OPTIONS = ExplainOptions(names=NAMES)
INDEX_NAMES = {identifier: name for name, identifier in INDEX_IDS.items()}


def lowered(sql, with_indexes=True):
    expr = optimize(plan_sql(sql), optimizer_context(with_indexes))
    peek = plan_peek(expr, lower_context(with_indexes), object_id="t1", index_id="t2")
    if isinstance(peek, ConstantPeek):
        return f"constant: {peek.error or peek.rows}\n"
    if isinstance(peek, IndexPeek):
        on, index = NAMES[peek.index.on], INDEX_NAMES[peek.index.id]
        return "fast path\n" + explain_index_peek(on, index, peek.keys, peek.mfp, OPTIONS)
    dataflow = peek.lowered.dataflow
    lines = [explain_plan(item.plan, OPTIONS).rstrip() for item in dataflow.objects]
    for source in dataflow.sources:
        if source.mfp is not None:
            predicates = len(source.mfp.predicates)
            lines.append(
                f"Source {NAMES[source.id]}: {predicates} predicates, columns"
                f" {source.mfp.projection}"
            )
    for use in peek.lowered.index_uses:
        lines.append(f"Index {INDEX_NAMES[use.index.id]} ({use.usage})")
    return "\n".join(lines) + "\n"


def test_with_indexes():
    check_golden(HERE / "indexed.txt", lowered)


def test_without_indexes():
    check_golden(HERE / "plain.txt", lambda sql: lowered(sql, with_indexes=False))
