"""The optimizer's rules, in the one list that orders them.

``LOGICAL`` rules are repeated until nothing changes, at most ``ROUNDS_MAX`` times; ``PHYSICAL``
ones run once, after it. Each rule is a pure function and keeps the plan's columns and rows.
"""

from collections.abc import Callable

from headwater.errors import within_stack
from headwater.ir.relation import RelationExpr
from headwater.ir.visit import check_depth
from headwater.sql.optimize.context import OptimizerContext, Rule
from headwater.sql.optimize.draws import isolate_draws, separate_draws
from headwater.sql.optimize.fold_constants import fold_constants
from headwater.sql.optimize.fuse import fuse
from headwater.sql.optimize.inline_views import inline_views
from headwater.sql.optimize.join_implementation import plan_joins
from headwater.sql.optimize.limits import fuse_limits
from headwater.sql.optimize.monotonic import flag_monotonic
from headwater.sql.optimize.normalize_lets import normalize_lets
from headwater.sql.optimize.predicate_pushdown import push_predicates
from headwater.sql.optimize.projection_pushdown import push_projections
from headwater.sql.optimize.reduce_elision import elide_reduces
from headwater.sql.optimize.relation_cse import relation_cse
from headwater.sql.optimize.semijoin import drop_semijoins
from headwater.sql.optimize.simplify_aggregates import simplify_aggregates
from headwater.sql.optimize.simplify_scalars import simplify_scalars
from headwater.sql.optimize.temporal import split_temporal
from headwater.sql.optimize.union_cancel import cancel_unions

ROUNDS_MAX = 10

Trace = Callable[[str, RelationExpr], None]

LOGICAL: tuple[tuple[str, Rule], ...] = (
    ("normalize_lets", normalize_lets),
    ("fuse", fuse),
    ("simplify_scalars", simplify_scalars),
    ("fold_constants", fold_constants),
    ("push_predicates", push_predicates),
    ("simplify_aggregates", simplify_aggregates),
    ("elide_reduces", elide_reduces),
    ("fuse_limits", fuse_limits),
    ("drop_semijoins", drop_semijoins),
    ("relation_cse", relation_cse),
    ("push_projections", push_projections),
    ("cancel_unions", cancel_unions),
)

PHYSICAL: tuple[tuple[str, Rule], ...] = (
    ("normalize_lets", normalize_lets),
    ("separate_draws", separate_draws),
    ("split_temporal", split_temporal),
    ("fuse", fuse),
    ("relation_cse", relation_cse),
    ("plan_joins", plan_joins),
    ("fuse", fuse),
    ("relation_cse", relation_cse),
    ("flag_monotonic", flag_monotonic),
)


@within_stack()
def optimize(
    expr: RelationExpr, context: OptimizerContext, trace: Trace | None = None
) -> RelationExpr:
    """Return a plan for the same rows as ``expr``, ready to be lowered.

    Args:
        expr: A plan from ``decorrelate``; column types and order are kept.
        context: What is known of views, indexes and collections.
        trace: Called with each rule's name and result, where that differs from its input.

    Raises:
        StatementTooComplex: The plan nests too deeply.
    """
    check_depth(expr)
    run = _Run(context, trace)
    expr = run.rule("inline_views", inline_views, expr)
    expr = run.rule("isolate_draws", isolate_draws, expr)
    for _ in range(ROUNDS_MAX):
        before = expr
        for name, rule in LOGICAL:
            expr = run.rule(name, rule, expr)
        if expr is before or expr == before:
            expr = before
            break
    for name, rule in PHYSICAL:
        expr = run.rule(name, rule, expr)
    return expr


class _Run:
    """One optimization.

    Attributes:
        settled: What each rule has left as it was, the last time that it did.
    """

    def __init__(self, context: OptimizerContext, trace: Trace | None) -> None:
        self.context = context
        self.trace = trace
        self.settled: dict[Rule, RelationExpr] = {}

    def rule(self, name: str, rule: Rule, expr: RelationExpr) -> RelationExpr:
        """Return what the rule makes of ``expr``, which is not asked twice of the same plan."""
        if self.settled.get(rule) is expr:
            return expr
        result = rule(expr, self.context)
        if result is expr or result == expr:
            self.settled[rule] = expr
            return expr  # the same object, for which types and keys are remembered
        if self.trace is not None:
            self.trace(name, result)
        return result
