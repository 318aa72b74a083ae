"""CREATE SOURCE and CREATE TABLE … FROM WEBHOOK: the columns of a request, and its CHECK."""

from collections.abc import Sequence

from headwater.catalog.items import ItemKind
from headwater.errors import (
    AmbiguousColumn,
    DatatypeMismatch,
    FeatureNotSupported,
    InvalidParameterValue,
)
from headwater.ir.scalar import CallUnmaterializable, UnmaterializableFunc
from headwater.sql.ast import connector
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.ddl import CreateSourcePlan
from headwater.sql.plan.decorrelate.scope import has_subquery, walk_hir
from headwater.sql.plan.external import (
    BytesFormat,
    JsonFormat,
    MetadataColumn,
    MetadataKind,
    TextFormat,
    WebhookCheckColumn,
    WebhookSource,
)
from headwater.sql.plan.hir import ColumnRef, HirScalar
from headwater.sql.plan.kinds.formats import plan_format, value_columns
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.stored import (
    cluster_of,
    dependencies,
    new_path,
    sibling_path,
    stored_sql,
)
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.sql.resolve.scope import Scope
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BYTEA, TEXT, BaseType, map_of

_NO_COLUMNS = RelationDesc(())


# What CHECK may call of the functions whose value depends on more than the row.
_MOMENTS = frozenset({UnmaterializableFunc.NOW, UnmaterializableFunc.CURRENT_TIMESTAMP})


def _webhook(ctx: StatementContext, node: connector.CreateWebhook) -> Outcome:
    body = plan_format(ctx, node.body)
    if not isinstance(body, BytesFormat | TextFormat | JsonFormat):
        raise FeatureNotSupported(
            "a webhook's BODY FORMAT is one of TEXT, JSON and BYTES", position=node.position
        )
    columns = [Column("body", value_columns(body)[0].type, False)]
    whole = [i for i in node.includes if i.kind is connector.IncludeKind.HEADERS]
    filters = tuple((item.header, item.negated) for i in whole for item in i.filters)
    if whole:
        columns.append(Column("headers", map_of(TEXT), False))
    headers: list[MetadataColumn] = []
    for include in node.includes:
        if include.kind is connector.IncludeKind.HEADER:
            assert include.alias is not None
            columns.append(Column(include.alias, BYTEA if include.bytes else TEXT, True))
            headers.append(
                MetadataColumn(MetadataKind.HEADER, include.alias, include.header, include.bytes)
            )
    _check_names(columns, node.position)
    path = new_path(ctx, node.name)
    check, check_columns = _check(ctx, node.check)
    cluster, name = cluster_of(ctx, node.in_cluster)
    changes: dict[str, object] = {} if node.is_table else {"in_cluster": name}
    details = WebhookSource(
        body, tuple(headers), "headers" if whole else None, filters, check_columns, node.is_table
    )
    return Outcome(
        CreateSourcePlan(
            path,
            details,
            RelationDesc(tuple(columns)),
            (),
            sibling_path(path, f"{path.item}_progress"),
            _NO_COLUMNS,
            None if node.is_table else cluster.id,
            stored_sql(ctx, node, if_not_exists=False, or_replace=False, **changes),
            dependencies(ctx),
            node.if_not_exists,
            check=check,
            check_columns=None if check is None else _check_desc(check_columns),
        )
    )


def _check_names(columns: Sequence[Column], position: int) -> None:
    names = [column.name for column in columns]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise AmbiguousColumn(f'column reference "{name}" is ambiguous', position=position)


def _check(
    ctx: StatementContext, node: connector.WebhookCheck | None
) -> tuple[HirScalar | None, tuple[WebhookCheckColumn, ...]]:
    """Plan CHECK over the request's body, headers and the secrets that it names."""
    if node is None:
        return None, ()
    columns: list[WebhookCheckColumn] = []
    items = node.items or (
        connector.WebhookCheckItem(what="body"),
        connector.WebhookCheckItem(what="headers"),
    )
    for item in items:
        if isinstance(item.what, ObjectName):
            found = ctx.names.item_of_kind(item.what, ItemKind.SECRET)
            columns.append(WebhookCheckColumn(item.alias or found.name, item.bytes, found.id))
        else:
            what = "headers" if item.what == "headers" else "body"
            columns.append(WebhookCheckColumn(item.alias or what, item.bytes, what=what))
    desc = _check_desc(tuple(columns))
    context = ExprContext(ctx, Scope.of_relation(None, desc, None), {}, "CHECK")
    planned = context.plan(node.condition)
    found_type = type_of(planned).type
    if found_type.base is not BaseType.BOOL:
        raise DatatypeMismatch(
            f"CHECK must have type boolean, not type {show_type(found_type)}",
            position=node.position,
        )
    nodes = list(walk_hir(planned))
    if has_subquery(planned):
        raise FeatureNotSupported("CHECK does not allow subqueries", position=node.position)
    if any(isinstance(n, CallUnmaterializable) and n.func not in _MOMENTS for n in nodes):
        raise InvalidParameterValue(
            "expression provided in CHECK is not deterministic", position=node.position
        )
    if not any(isinstance(n, ColumnRef) for n in nodes):
        raise InvalidParameterValue(
            "expression provided in CHECK does not reference any columns", position=node.position
        )
    return planned, tuple(columns)


def _check_desc(columns: tuple[WebhookCheckColumn, ...]) -> RelationDesc:
    made = []
    for column in columns:
        plain = BYTEA if column.as_bytes else TEXT
        type = map_of(plain) if column.what == "headers" else plain
        made.append(Column(column.name, type, False))
    return RelationDesc(tuple(made))


HANDLERS: dict[type[Node], StatementHandler] = {connector.CreateWebhook: _webhook}
