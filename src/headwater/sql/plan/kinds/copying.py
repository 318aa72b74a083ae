"""COPY … FROM: the columns that come, and the table's row that they make."""

from headwater.catalog.items import ItemKind
from headwater.errors import SyntaxError_
from headwater.sql.ast import dml
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.hir import ColumnRef, HirScalar
from headwater.sql.plan.kinds.assigning import default_of, targets_of, writable
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.reading import copy_format, plan_copy_to
from headwater.sql.plan.statements import CopyFromPlan
from headwater.sql.resolve.scope import Scope
from headwater.types.ids import GlobalId
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import TEXT, ColumnType

_COPY_FROM_OPTIONS = (
    "format",
    "delimiter",
    "null",
    "quote",
    "escape",
    "header",
    "aws connection",
    "files",
    "pattern",
)


def _copy(ctx: StatementContext, node: dml.Copy) -> Outcome:
    if node.direction is dml.CopyDirection.TO:
        plan = plan_copy_to(ctx, node)
        return Outcome(plan, plan.plan.desc)
    if not isinstance(node.relation, ObjectName):
        raise SyntaxError_("COPY FROM requires a table", position=node.position)
    table = writable(ctx, node.relation, "copy into")
    options = Options(ctx, node.options, "COPY", _COPY_FROM_OPTIONS)
    format = copy_format(options)
    targets = targets_of(table, node.columns, node.relation.position)
    input_desc = RelationDesc(tuple(table.desc.columns[index] for index in targets))
    input_desc = RelationDesc(tuple(Column(c.name, c.type, True) for c in input_desc.columns))
    columns: list[HirScalar] = []
    for index, type in enumerate(table.desc.types):
        if index in targets:
            ref = ColumnRef(0, targets.index(index), ColumnType(type.type, True))
            columns.append(ref)
        else:
            columns.append(default_of(ctx, table, index))
    uri = None
    if node.target is not None:
        uri = ExprContext(ctx, Scope.empty(), {}, "COPY").plan_as(node.target, TEXT)
    aws = options.name_of_item("aws connection", ItemKind.CONNECTION)
    return Outcome(
        CopyFromPlan(
            table.id,
            table.desc,
            input_desc,
            tuple(columns),
            format,
            uri,
            None if aws is None else GlobalId(aws),
            options.texts("files"),
            options.text("pattern"),
        )
    )


HANDLERS: dict[type[Node], StatementHandler] = {dml.Copy: _copy}
