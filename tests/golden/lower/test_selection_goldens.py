"""What a source's conditions ask of a part; bounds are shown as bytes of their datums."""

from pathlib import Path

from headwater.ir.explain import explain_scalar
from headwater.ir.selection import Condition, Range, Within
from headwater.sql.lower.peek import DataflowPeek, plan_peek
from headwater.sql.optimize.pipeline import optimize
from tests.golden.goldens import check_golden
from tests.golden.planning import NAMES, lower_context, optimizer_context, plan_sql

HERE = Path(__file__).parent


def show_range(item: Range) -> str:
    high = "..." if item.high is None else item.high.hex()
    return f"[{item.low.hex() or '...'}, {high})"


def show(condition: Condition, depth: int = 1) -> list[str]:
    if isinstance(condition, Within):
        ranges = [show_range(item) for item in condition.ranges]
        shown = ", ".join([*ranges, *(["null"] if condition.nulls else [])])
        return [f"{'  ' * depth}{explain_scalar(condition.expr)} in {shown}"]
    below = [line for member in condition.conditions for line in show(member, depth + 1)]
    return ["  " * depth + type(condition).__name__, *below]


def selected(sql: str) -> str:
    expr = optimize(plan_sql(sql), optimizer_context(False))
    peek = plan_peek(expr, lower_context(False), object_id="t1", index_id="t2")
    assert isinstance(peek, DataflowPeek)
    lines = []
    for source in peek.lowered.dataflow.sources:
        lines.append(NAMES[source.id] + (": all" if source.selection is None else ""))
        if source.selection is None:
            continue
        for condition in source.selection.conditions:
            lines.extend(show(condition))
        lines.extend(f"  from {explain_scalar(e)}" for e in source.selection.lower_bounds)
        lines.extend(f"  before {explain_scalar(e)}" for e in source.selection.upper_bounds)
    return "\n".join(lines) + "\n"


def test_selections():
    check_golden(HERE / "selection.txt", selected)
