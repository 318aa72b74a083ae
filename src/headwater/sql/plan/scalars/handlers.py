"""How each kind of expression is planned: the families' tables in one."""

from headwater.sql.ast.base import Node
from headwater.sql.plan.context import Handler
from headwater.sql.plan.scalars import (
    conditionals,
    containers,
    functions,
    operands,
    operators,
    subqueries,
)

HANDLERS: dict[type[Node], Handler] = {
    **operands.HANDLERS,
    **operators.HANDLERS,
    **conditionals.HANDLERS,
    **containers.HANDLERS,
    **subqueries.HANDLERS,
    **functions.HANDLERS,
}
