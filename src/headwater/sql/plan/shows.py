"""SHOW of objects as queries over the catalog's relations."""

from headwater.errors import FeatureNotSupported
from headwater.sql.ast import query as ast
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.rows import Rows


def plan_show(ctx: StatementContext, node: ast.Show) -> Rows:
    """Plan a SHOW that yields rows. Raises: FeatureNotSupported."""
    raise FeatureNotSupported("SHOW is not supported here", position=node.position)
