"""Window functions."""

from headwater.errors import FeatureNotSupported
from headwater.ir.relation import RelationExpr
from headwater.sql.plan.decorrelate.scope import Context, Scope
from headwater.sql.plan.hir import WindowCall


def lower_window(
    context: Context, call: WindowCall, scope: Scope, inner: RelationExpr, prefix: int
) -> RelationExpr:
    """Return ``inner`` followed by the value of ``call`` for each row."""
    raise FeatureNotSupported(f"window function {call.func} is not supported")
