"""The entry: a statement of the tree becomes a plan for the sequencer."""

from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import FeatureNotSupported, within_stack
from headwater.sql.ast.base import Node
from headwater.sql.ast.statement import Statement
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.kinds import (
    altered_tables,
    altering,
    clusters,
    connections,
    copying,
    explaining,
    filling,
    merging,
    privileges,
    reading,
    relations,
    renamed_columns,
    sessions,
    sinks,
    sources,
    webhooks,
    writing,
)
from headwater.sql.plan.kinds.outcome import StatementHandler
from headwater.sql.plan.scalars.handlers import HANDLERS as SCALAR_HANDLERS
from headwater.sql.plan.statements import Planned, PlanSession
from headwater.types.scalar import ScalarType

_HANDLERS: dict[type[Node], StatementHandler] = {
    **reading.HANDLERS,
    **writing.HANDLERS,
    **merging.HANDLERS,
    **copying.HANDLERS,
    **relations.HANDLERS,
    **filling.HANDLERS,
    **clusters.HANDLERS,
    **connections.HANDLERS,
    **sources.HANDLERS,
    **webhooks.HANDLERS,
    **sinks.HANDLERS,
    **altered_tables.HANDLERS,
    **altering.HANDLERS,
    **renamed_columns.HANDLERS,
    **privileges.HANDLERS,
    **explaining.HANDLERS,
    **sessions.HANDLERS,
}
# What is answered at once, in the session's time zone; definitions are in UTC for everybody.
_IN_SESSION = frozenset(
    {*reading.HANDLERS, *writing.HANDLERS, *filling.HANDLERS, *sessions.HANDLERS}
)


def plan_statement(
    catalog: CatalogSnapshot,
    session: PlanSession,
    statement: Statement,
    params: tuple[ScalarType | None, ...] = (),
) -> Planned:
    """Plan a statement against one version of the catalog.

    Args:
        catalog: What names mean.
        session: Search path, database and cluster; ``temp_schema`` where it has temporary items.
        statement: As the parser made it.
        params: The types that the client gave for ``$1 …``; None where it left them open.

    Raises: any UserError, with the position in the statement's text where one is known.
    """
    ctx = StatementContext(catalog, session, params, SCALAR_HANDLERS, reading.QUERIES)
    handler = _HANDLERS.get(type(statement))
    if type(statement) not in _IN_SESSION:
        ctx.time_zone = None
    if handler is None:
        raise FeatureNotSupported(
            f"{type(statement).__name__} is not yet supported", position=statement.position
        )
    with within_stack():
        outcome = handler(ctx, statement)
    return Planned(
        plan=outcome.plan,
        param_types=ctx.param_types(),
        result_desc=outcome.desc,
        depends_on=frozenset(ctx.names.used),
        notices=tuple(ctx.notices),
        target_cluster=outcome.cluster,
    )
