"""CREATE of tables, views, materialized views, indexes and types."""

from collections.abc import Sequence

import msgspec

from headwater.catalog.items import (
    CatalogItem,
    ItemKind,
    MaterializedView,
    Source,
    Table,
    View,
    stored_desc,
)
from headwater.errors import (
    DatatypeMismatch,
    DependentObjectsStillExist,
    DuplicateColumn,
    FeatureNotSupported,
    InvalidParameterValue,
    InvalidTableDefinition,
    SyntaxError_,
    UndefinedColumn,
    WrongObjectType,
)
from headwater.ir.functions import CastContext
from headwater.sql.ast import ddl as ast_ddl
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import ColumnDefinition, Node, ObjectName
from headwater.sql.ast.option import Option, OptionList, Refresh, RefreshKind, TypeValue
from headwater.sql.ast.printer import to_sql
from headwater.sql.ast.visit import walk
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.ddl import (
    CreateIndexPlan,
    CreateMaterializedViewPlan,
    CreateTablePlan,
    CreateTypePlan,
    CreateViewPlan,
    TableColumn,
)
from headwater.sql.plan.hir import ColumnRef, HirRelation, HirScalar
from headwater.sql.plan.kinds.constraints import table_constraints
from headwater.sql.plan.kinds.likeness import with_likes
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.reading import QUERIES
from headwater.sql.plan.kinds.refreshing import plan_refresh
from headwater.sql.plan.kinds.replacing import check_replacement
from headwater.sql.plan.kinds.stored import (
    cluster_of,
    dependencies,
    new_path,
    no_parameters,
    path_parts,
    stored_sql,
)
from headwater.sql.plan.types import can_coerce, type_of
from headwater.sql.resolve.datatypes import resolve_type, show_type
from headwater.sql.resolve.names import check_identifier
from headwater.sql.resolve.scope import Scope
from headwater.types.ids import GlobalId
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BaseType, ColumnType, ScalarType, list_of, map_of, record_of

COLUMNS_MAX = 1_600
_TABLE_OPTIONS = ("partition by", "retain history")
_VIEW_OPTIONS = ("assert not null", "partition by", "retain history", "refresh")
_INDEX_OPTIONS = ("retain history",)
# What PostgreSQL does by its default method, arrangements do.
_INDEX_METHODS = frozenset({"arrangement", "btree"})
# Types that parts may be ordered by.
_PARTITION_BASES = frozenset(
    {
        BaseType.BOOL,
        BaseType.INT2,
        BaseType.INT4,
        BaseType.INT8,
        BaseType.UINT2,
        BaseType.UINT4,
        BaseType.UINT8,
        BaseType.DATE,
        BaseType.TIME,
        BaseType.TIMESTAMP,
        BaseType.TIMESTAMPTZ,
        BaseType.MZ_TIMESTAMP,
        BaseType.TEXT,
        BaseType.BYTEA,
        BaseType.UUID,
        BaseType.RECORD,
    }
)


# --- tables ---------------------------------------------------------------------------------------


def _create_table(ctx: StatementContext, node: ast_ddl.CreateTable) -> Outcome:
    path = new_path(ctx, node.name, temporary=node.temporary)
    node = with_likes(ctx, node)
    planned = table_columns(ctx, path.item, node.columns)
    found = table_constraints(ctx, path.item, planned, node)
    columns, desc = found.columns, found.desc
    options = Options(ctx, node.options, "CREATE TABLE", _TABLE_OPTIONS)
    partition_by(options, desc)
    no_parameters(ctx, "A table")
    return Outcome(
        CreateTablePlan(
            path,
            desc,
            columns,
            stored_sql(ctx, node, if_not_exists=False),
            dependencies(ctx),
            node.if_not_exists,
            node.temporary or path.database is None,
            options.interval_ms("retain history"),
            found.keys,
            found.checks,
        )
    )


def table_columns(
    ctx: StatementContext, table: str, nodes: Sequence[ast_ddl.TableColumn]
) -> list[TableColumn]:
    """Plan column definitions, keys and CHECKs apart."""
    if len(nodes) > COLUMNS_MAX:
        raise InvalidTableDefinition(f"tables can have at most {COLUMNS_MAX} columns")
    _check_distinct([column.name for column in nodes], nodes[0].position if nodes else 0)
    columns = [_table_column(ctx, node, table) for node in nodes]
    return columns


def _table_column(ctx: StatementContext, node: ast_ddl.TableColumn, table: str) -> TableColumn:
    check_identifier(node.name, node.position)
    type = resolve_type(node.data_type, ctx.names)
    nullable: bool | None = None
    default: HirScalar | None = None
    default_sql: str | None = None
    for constraint in node.constraints:
        kind = constraint.kind
        if kind in (ast_ddl.ConstraintKind.NOT_NULL, ast_ddl.ConstraintKind.NULL):
            wanted = kind is ast_ddl.ConstraintKind.NULL
            if nullable is not None and nullable != wanted:
                raise SyntaxError_(
                    f'conflicting NULL/NOT NULL declarations for column "{node.name}"'
                    f' of table "{table}"',
                    position=constraint.position,
                )
            nullable = wanted
        elif kind is ast_ddl.ConstraintKind.DEFAULT:
            assert constraint.expression is not None
            default = _default(ctx, node.name, type, constraint.expression)
            default_sql = to_sql(constraint.expression)
    return TableColumn(node.name, ColumnType(type, nullable is not False), default, default_sql)


def _default(ctx: StatementContext, name: str, type: ScalarType, node: ast.Expr) -> HirScalar:
    context = ExprContext(ctx, Scope.empty(), {}, "DEFAULT expressions")
    expr = context.plan(node)
    found = type_of(expr).type
    if not can_coerce(found, type, CastContext.ASSIGNMENT):
        raise DatatypeMismatch(
            f'column "{name}" is of type {show_type(type)}'
            f" but default expression is of type {show_type(found)}",
            hint="You will need to rewrite or cast the expression.",
            position=node.position,
        )
    return context.coerce(expr, type, node.position, CastContext.ASSIGNMENT)


def partition_by(options: Options, desc: RelationDesc) -> tuple[int, ...]:
    """Read PARTITION BY: a prefix of the columns, of types that parts can be ordered by."""
    value = options.value("partition by")
    if value is None:
        return ()
    items = value.items if isinstance(value, OptionList) else (value,)
    found = []
    for number, item in enumerate(items):
        if not isinstance(item, ObjectName):
            raise options.invalid("partition by", "must be a list of columns")
        if number >= desc.arity or desc.columns[number].name != item.last:
            raise options.invalid(
                "partition by", "PARTITION BY columns must be a prefix of the relation's columns"
            )
        column = desc.columns[number]
        if column.type.base not in _PARTITION_BASES:
            raise options.invalid(
                "partition by",
                f"PARTITION BY column {column.name} has unsupported type {show_type(column.type)}",
            )
        found.append(number)
    return tuple(found)


def _check_distinct(names: Sequence[str], position: int) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DuplicateColumn(f'column "{name}" specified more than once', position=position)
        seen.add(name)


# --- views ----------------------------------------------------------------------------------------


def view_query(
    ctx: StatementContext, query: ast.Query, columns: Sequence[str], position: int
) -> tuple[HirRelation, RelationDesc]:
    """Plan the query of a view, its columns renamed. Raises: FeatureNotSupported for SHOW."""
    if any(isinstance(part, ast.Show) for part in walk(query)):
        raise FeatureNotSupported("SHOW commands are not allowed in views", position=position)
    relation, desc = QUERIES.subquery(ctx, query, None, {})
    no_parameters(ctx, "A view")
    if len(columns) > desc.arity:
        raise SyntaxError_(
            "CREATE VIEW specifies more column names than columns", position=position
        )
    names = [*columns, *desc.names[len(columns) :]]
    _check_distinct(names, position)
    renamed = tuple(
        Column(name, column.type, column.nullable)
        for name, column in zip(names, desc.columns, strict=True)
    )
    return relation, RelationDesc(renamed, desc.keys)


def _replaced(
    ctx: StatementContext, path_of: Sequence[str], kind: ItemKind, position: int
) -> GlobalId | None:
    """Return the item that OR REPLACE replaces. Raises: WrongObjectType."""
    item = ctx.catalog.try_resolve_item(tuple(path_of), (), None)
    if item is None:
        return None
    if item.kind is not kind:
        raise WrongObjectType(f'"{item.name}" is not a {kind.noun}', position=position)
    check_no_dependents(ctx, item, "replace")
    return item.id


def check_no_dependents(ctx: StatementContext, item: CatalogItem, verb: str) -> None:
    """Refuse to touch what others than its indexes depend on.

    Raises: DependentObjectsStillExist.
    """
    users = [ctx.catalog.item(user) for user in ctx.catalog.used_by(item.id)]
    listed = [user for user in users if user.kind is not ItemKind.INDEX]
    if listed:
        shown = [f'{user.kind.noun} "{user.name}"' for user in listed]
        raise DependentObjectsStillExist(
            f'cannot {verb} {item.kind.noun} "{item.name}": still depended upon by'
            f" {', '.join(shown)}"
        )


def _create_view(ctx: StatementContext, node: ast_ddl.CreateView) -> Outcome:
    relation, desc = view_query(ctx, node.query, node.columns, node.position)
    used_temporary = any(item.startswith("t") for item in ctx.names.used)
    path = new_path(ctx, node.name, temporary=node.temporary)
    if used_temporary and path.database is not None:
        raise FeatureNotSupported(
            "non-temporary items cannot depend on temporary item", position=node.position
        )
    replaces = None
    if node.or_replace:
        replaces = _replaced(ctx, path_parts(path), ItemKind.VIEW, node.position)
    sql = stored_sql(ctx, node, if_not_exists=False, or_replace=False)
    return Outcome(
        CreateViewPlan(
            path,
            relation,
            desc,
            sql,
            dependencies(ctx),
            node.if_not_exists,
            node.temporary or path.database is None,
            replaces,
        )
    )


def _create_materialized_view(
    ctx: StatementContext, node: ast_ddl.CreateMaterializedView
) -> Outcome:
    relation, desc = view_query(ctx, node.query, node.columns, node.position)
    read = dependencies(ctx)
    path = new_path(ctx, node.name)
    cluster, cluster_name = cluster_of(ctx, node.in_cluster)
    repeated = ("assert not null", "refresh")
    single = [option for option in node.options if option.name not in repeated]
    options = Options(ctx, single, "CREATE MATERIALIZED VIEW", _VIEW_OPTIONS)
    asserted = _asserted(node.options, desc)
    columns = tuple(
        Column(c.name, c.type, c.nullable and index not in asserted)
        for index, c in enumerate(desc.columns)
    )
    desc = RelationDesc(columns, desc.keys)
    refresh = plan_refresh(ctx, node.options)
    if all(option.name != "refresh" for option in node.options):
        on_commit = Option(name="refresh", value=Refresh(RefreshKind.ON_COMMIT))
        node = msgspec.structs.replace(node, options=(*node.options, on_commit))
    replaces = None
    if node.or_replace:
        kind = ItemKind.MATERIALIZED_VIEW
        replaces = _replaced(ctx, path_parts(path), kind, node.position)
    replacement = None
    if node.replacement_for is not None:
        item = ctx.names.item_of_kind(node.replacement_for, ItemKind.MATERIALIZED_VIEW)
        assert isinstance(item, MaterializedView)
        check_replacement(ctx, item, desc, read, node.replacement_for.position)
        replacement = item.id
    sql = stored_sql(ctx, node, if_not_exists=False, or_replace=False, in_cluster=cluster_name)
    plan = CreateMaterializedViewPlan(
        path,
        relation,
        desc,
        cluster.id,
        sql,
        dependencies(ctx),
        node.if_not_exists,
        replaces,
        replacement,
        asserted,
        options.interval_ms("retain history"),
        partition_by(options, desc),
        refresh,
    )
    return Outcome(plan, cluster=cluster.id)


def _asserted(options: Sequence[Option], desc: RelationDesc) -> tuple[int, ...]:
    """Read ASSERT NOT NULL, which may be repeated."""
    found: list[int] = []
    for option in options:
        if option.name != "assert not null":
            continue
        value = option.value
        items = value.items if isinstance(value, OptionList) else (value,)
        for item in items:
            if not isinstance(item, ObjectName):
                raise InvalidParameterValue(
                    "invalid ASSERT NOT NULL: must be a column", position=option.position
                )
            if item.last not in desc.names:
                raise UndefinedColumn(
                    f'column "{item.last}" in ASSERT NOT NULL option not found',
                    position=option.position,
                )
            index = desc.names.index(item.last)
            if index in found:
                raise DuplicateColumn(
                    f'duplicate column "{item.last}" in non-null assertions',
                    position=option.position,
                )
            found.append(index)
    return tuple(sorted(found))


# --- indexes --------------------------------------------------------------------------------------


def _create_index(ctx: StatementContext, node: ast_ddl.CreateIndex) -> Outcome:
    item = ctx.names.item(node.on)
    desc = stored_desc(item)
    if desc is None or not isinstance(item, Table | Source | View | MaterializedView):
        raise WrongObjectType(
            f"index cannot be created on {item.name} because it is a {item.kind.noun}",
            position=node.on.position,
        )
    if node.using is not None and node.using not in _INDEX_METHODS:
        raise FeatureNotSupported(
            f'index method "{node.using}" is not supported', position=node.position
        )
    cluster, cluster_name = cluster_of(ctx, node.in_cluster)
    options = Options(ctx, node.options, "CREATE INDEX", _INDEX_OPTIONS)
    keys, key_nodes = _index_keys(ctx, node, item, desc)
    no_parameters(ctx, "An index")
    if node.unique:
        _check_unique(node, item, keys)
    name = node.name or _index_name(ctx, item, desc, keys, is_default=node.keys is None)
    schema = ctx.catalog.full_name(item)[:-1]
    path = new_path(ctx, ObjectName(parts=(*schema, name), position=node.position))
    # The index's own name is not a name to resolve: it goes where the relation is.
    sql = stored_sql(
        ctx,
        node,
        name=name,
        keys=tuple(key_nodes),
        in_cluster=cluster_name,
        using=None if node.using == "btree" else node.using,
        if_not_exists=False,
    )
    plan = CreateIndexPlan(
        path,
        item.id,
        desc,
        tuple(keys),
        cluster.id,
        sql,
        dependencies(ctx),
        node.if_not_exists,
        options.interval_ms("retain history"),
        node.unique,
    )
    return Outcome(plan, cluster=cluster.id)


def _check_unique(node: ast_ddl.CreateIndex, item: CatalogItem, keys: Sequence[HirScalar]) -> None:
    """Refuse a unique index that can't be enforced. Raises: FeatureNotSupported."""
    if not isinstance(item, Table) or not item.is_writable:
        raise FeatureNotSupported(
            f"unique indexes on a {item.kind.noun} are not supported",
            detail="Only tables that are written to by statements have their keys enforced.",
            hint="Create an index that is not unique.",
            position=node.on.position,
        )
    if not all(isinstance(key, ColumnRef) for key in keys):
        raise FeatureNotSupported(
            "unique indexes on expressions are not supported", position=node.position
        )


def _index_keys(
    ctx: StatementContext, node: ast_ddl.CreateIndex, item: CatalogItem, desc: RelationDesc
) -> tuple[list[HirScalar], list[ast.Expr]]:
    shown = item.shown if isinstance(item, Table) else tuple(range(desc.arity))
    scope = Scope.of_relation((item.name,), desc, None, shown=shown)
    if node.keys is None:
        indexes = desc.keys[0] if desc.keys else shown
        keys: list[HirScalar] = [
            ColumnRef(0, index, desc.types[index], desc.columns[index].name) for index in indexes
        ]
        return keys, [ast.Identifier(parts=(desc.columns[index].name,)) for index in indexes]
    context = ExprContext(ctx, scope, {}, "CREATE INDEX")
    # Names of the key's expressions are resolved like any others; the text keeps them.
    planned = [context.plan_typed(key) for key in node.keys]
    return planned, [ctx.names.stored(key) for key in node.keys]


def _index_name(
    ctx: StatementContext,
    item: CatalogItem,
    desc: RelationDesc,
    keys: Sequence[HirScalar],
    *,
    is_default: bool,
) -> str:
    """Return ``<relation>_<columns>_idx`` or ``<relation>_primary_idx``, free in the schema."""
    if is_default:
        base = f"{item.name}_primary_idx"
    else:
        columns = [
            desc.columns[key.index].name if isinstance(key, ColumnRef) else "expr" for key in keys
        ]
        base = "_".join([item.name, *columns, "idx"])
    name, number = base, 0
    while ctx.catalog.item_in(item.schema, name) is not None:
        number += 1
        name = f"{base}{number}"
    return name


# --- types ----------------------------------------------------------------------------------------


def _create_type(ctx: StatementContext, node: ast_ddl.CreateType) -> Outcome:
    definition = node.definition
    if isinstance(definition, ast_ddl.RecordDefinition):
        _check_distinct([field.name for field in definition.fields], node.position)
        type = record_of(*(_field(ctx, field) for field in definition.fields))
    elif isinstance(definition, ast_ddl.ListDefinition):
        options = Options(ctx, definition.options, "CREATE TYPE", ("element type",))
        type = list_of(_type_option(ctx, options, "element type"))
    else:
        options = Options(ctx, definition.options, "CREATE TYPE", ("key type", "value type"))
        if _type_option(ctx, options, "key type").base is not BaseType.TEXT:
            raise options.invalid("key type", "map keys must be of type text")
        type = map_of(_type_option(ctx, options, "value type"))
    path = new_path(ctx, node.name)
    return Outcome(CreateTypePlan(path, type, stored_sql(ctx, node), dependencies(ctx)))


def _field(ctx: StatementContext, field: ColumnDefinition) -> tuple[str, ColumnType]:
    return field.name, ColumnType(resolve_type(field.data_type, ctx.names), True)


def _type_option(ctx: StatementContext, options: Options, name: str) -> ScalarType:
    value = options.value(name)
    if not isinstance(value, TypeValue):
        raise InvalidParameterValue(f"CREATE TYPE option {name.upper()} is required")
    return resolve_type(value.data_type, ctx.names)


HANDLERS: dict[type[Node], StatementHandler] = {
    ast_ddl.CreateTable: _create_table,
    ast_ddl.CreateView: _create_view,
    ast_ddl.CreateMaterializedView: _create_materialized_view,
    ast_ddl.CreateIndex: _create_index,
    ast_ddl.CreateType: _create_type,
}
