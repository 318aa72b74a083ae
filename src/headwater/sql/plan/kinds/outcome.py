"""What a handler of a statement returns."""

from collections.abc import Callable
from typing import Any

from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.statements import StatementPlan
from headwater.types.ids import ClusterId
from headwater.types.relation import RelationDesc


class Outcome:
    """A plan, the columns of its answer (None: no rows), the cluster that the statement names."""

    __slots__ = ("cluster", "desc", "plan")

    def __init__(
        self,
        plan: StatementPlan,
        desc: RelationDesc | None = None,
        cluster: ClusterId | None = None,
    ) -> None:
        self.plan = plan
        self.desc = desc
        self.cluster = cluster


StatementHandler = Callable[[StatementContext, Any], Outcome]
