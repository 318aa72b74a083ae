"""SHOW of objects: a query over the ``mz_internal.mz_show_*`` views, in the words of SQL.

Each kind has a view, the columns it shows, and what ``FROM``, ``ON`` and ``IN CLUSTER`` compare.
SHOW CREATE is a constant row, made from the catalog alone.
"""

from functools import lru_cache

import msgspec

from headwater.catalog.items import Cluster, ItemKind
from headwater.errors import FeatureNotSupported, InvalidSchemaName, WrongObjectType
from headwater.ir.literals import text_literal
from headwater.sql.ast import query as ast
from headwater.sql.ast import show as ast_show
from headwater.sql.ast.base import ObjectKind
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.hir import HirConstant
from headwater.sql.plan.item_kinds import item_kind
from headwater.sql.plan.rows import Rows
from headwater.sql.plan.stored_names import readable
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import TEXT


class _View(msgspec.Struct, frozen=True):
    """Where a kind of SHOW reads: a view, and the columns that it shows."""

    name: str
    columns: tuple[str, ...]
    container: str = "schema_id"  # what FROM compares; "" where there is none
    on: str = ""
    like: str = "name"


_K = ObjectKind
_NAME_COMMENT = ("name", "comment")
_VIEWS: dict[ObjectKind, _View] = {
    _K.OBJECT: _View("mz_show_all_objects", ("name", "type", "comment")),
    _K.TABLE: _View("mz_show_tables", _NAME_COMMENT, on="source_id"),
    _K.VIEW: _View("mz_show_views", _NAME_COMMENT),
    _K.TYPE: _View("mz_show_types", _NAME_COMMENT),
    _K.SECRET: _View("mz_show_secrets", _NAME_COMMENT),
    _K.CONNECTION: _View("mz_show_connections", ("name", "type", "comment")),
    _K.SOURCE: _View("mz_show_sources", ("name", "type", "cluster", "comment")),
    _K.SUBSOURCE: _View("mz_show_subsources", ("name", "type"), on="source_id"),
    _K.SINK: _View("mz_show_sinks", ("name", "type", "cluster", "comment")),
    _K.MATERIALIZED_VIEW: _View("mz_show_materialized_views", ("name", "cluster", "comment")),
    _K.INDEX: _View("mz_show_indexes", ("name", "on", "cluster", "key", "comment"), on="on_id"),
    _K.DATABASE: _View("mz_show_databases", _NAME_COMMENT, ""),
    _K.SCHEMA: _View("mz_show_schemas", _NAME_COMMENT, "database_id"),
    _K.ROLE: _View("mz_show_roles", _NAME_COMMENT, ""),
    _K.CLUSTER: _View("mz_show_clusters", ("name", "replicas", "comment"), ""),
    _K.CLUSTER_REPLICA: _View(
        "mz_show_cluster_replicas",
        ("cluster", "replica", "size", "ready", "comment"),
        "",
        like="cluster",
    ),
    _K.NETWORK_POLICY: _View("mz_show_network_policies", ("name", "rules", "comment"), ""),
}
_PRIVILEGES = (
    "grantor",
    "grantee",
    "database",
    "schema",
    "name",
    "object_type",
    "privilege_type",
)
_DEFAULT_PRIVILEGES = (
    "object_owner",
    "database",
    "schema",
    "object_type",
    "grantee",
    "privilege_type",
)
_COLUMNS = ("name", "nullable", "type", "comment")
_CREATABLE = frozenset(
    {
        ItemKind.TABLE,
        ItemKind.VIEW,
        ItemKind.MATERIALIZED_VIEW,
        ItemKind.SOURCE,
        ItemKind.SINK,
        ItemKind.INDEX,
        ItemKind.CONNECTION,
        ItemKind.TYPE,
    }
)


def plan_show(ctx: StatementContext, node: ast.Show) -> Rows:
    """Plan a SHOW that yields rows. Raises: FeatureNotSupported, and what look-ups raise."""
    if isinstance(node, ast_show.ShowObjects):
        return _objects(ctx, node)
    if isinstance(node, ast_show.ShowColumns):
        item = ctx.names.item(node.relation)
        return _query(
            ctx,
            "mz_show_columns",
            _COLUMNS,
            {"id": item.id},
            node.filter,
            "name",
            order="position",
        )
    if isinstance(node, ast_show.ShowCreate):
        return _create(ctx, node)
    if isinstance(node, ast_show.ShowPrivileges):
        conditions: dict[str, str] = {}
        if node.on is not None:
            conditions["object_type"] = node.on.value.lower()
        if node.role is not None:
            conditions["grantee"] = node.role
        view = "mz_show_default_privileges" if node.default else "mz_show_all_privileges"
        columns = _DEFAULT_PRIVILEGES if node.default else _PRIVILEGES
        return _query(ctx, view, columns, conditions, node.filter, "grantee")
    if isinstance(node, ast_show.ShowRoleMembership):
        conditions = {} if node.role is None else {"member": node.role}
        membership = ("role", "member", "grantor")
        return _query(ctx, "mz_show_role_members", membership, conditions, node.filter, "role")
    raise FeatureNotSupported("SHOW is not supported here", position=node.position)


def _objects(ctx: StatementContext, node: ast_show.ShowObjects) -> Rows:
    view = _VIEWS.get(node.kind)
    if view is None:
        raise FeatureNotSupported(
            f"SHOW {node.kind.value}S is not supported", position=node.position
        )
    conditions: dict[str, str] = {}
    if node.on is not None and view.on:
        conditions[view.on] = ctx.names.item(node.on).id
    elif view.container == "schema_id":
        schema = _schema(ctx, node)
        if schema is not None:
            conditions["schema_id"] = schema
    elif view.container == "database_id":
        name = ctx.session.database if node.container is None else node.container.last
        conditions["database_id"] = ctx.catalog.database(name, position=node.position).id
    if node.in_cluster is not None:
        conditions["cluster_id"] = ctx.names.cluster(node.in_cluster, node.position).id
    return _query(ctx, view.name, view.columns, conditions, node.filter, view.like)


def _schema(ctx: StatementContext, node: ast_show.ShowObjects) -> str | None:
    """Return the schema shown: that of FROM, else, unless a cluster is named, the current one."""
    if node.container is not None:
        return ctx.names.schema(node.container).id
    if node.in_cluster is not None:
        return None
    for name in ctx.session.search_path:
        schema = ctx.catalog.try_schema(name, ctx.session.database, ctx.names.temp_schema)
        if schema is not None:
            return schema.id
    raise InvalidSchemaName("no schema specified in non-namespaced context and no schema active")


def _query(
    ctx: StatementContext,
    view: str,
    columns: tuple[str, ...],
    conditions: dict[str, str],
    condition: ast_show.ShowFilter | None,
    like: str,
    order: str = "",
) -> Rows:
    query = _template(view, columns, tuple(conditions), order)
    body = query.body
    assert isinstance(body, ast.Select)
    inner = body.from_[0]
    assert isinstance(inner, ast.DerivedTable)
    if conditions:
        inner = _with_values(inner, tuple(conditions.values()))
    where: ast.Expr | None = None
    if isinstance(condition, ast_show.ShowLike):
        where = ast.Like(
            operand=ast.Identifier(parts=(like,)),
            pattern=ast.String(value=condition.pattern),
            position=condition.position,
        )
    elif isinstance(condition, ast_show.ShowWhere):
        where = condition.condition
    changed = msgspec.structs.replace(body, from_=(inner,), where=where)
    return ctx.queries.rows(
        ctx, msgspec.structs.replace(query, body=changed), None, {}, keep_open=False
    )


@lru_cache(maxsize=256)
def _template(
    view: str, columns: tuple[str, ...], conditions: tuple[str, ...], order: str
) -> ast.Query:
    listed = ", ".join(f'"{column}"' for column in columns)
    where = " AND ".join(f"{column} = ''" for column in conditions) or "true"
    ordinals = order or ", ".join(str(number) for number in range(1, len(columns) + 1))
    (parsed,) = parse_statements(
        f"SELECT {listed} FROM (SELECT * FROM mz_internal.{view} WHERE {where}) AS q"
        f" ORDER BY {ordinals}"
    )
    assert isinstance(parsed.statement, ast.Query)
    return parsed.statement


def _with_values(table: ast.DerivedTable, values: tuple[str, ...]) -> ast.DerivedTable:
    """Put the ids compared with in place of the template's empty strings."""
    body = table.query.body
    assert isinstance(body, ast.Select)
    assert body.where is not None
    tests = body.where.operands if isinstance(body.where, ast.And) else (body.where,)
    filled = []
    for test, value in zip(tests, values, strict=True):
        assert isinstance(test, ast.BinaryOp)
        filled.append(msgspec.structs.replace(test, right=ast.String(value=value)))
    where: ast.Expr = filled[0] if len(filled) == 1 else ast.And(operands=tuple(filled))
    query = msgspec.structs.replace(table.query, body=msgspec.structs.replace(body, where=where))
    return msgspec.structs.replace(table, query=query)


# --- SHOW CREATE ----------------------------------------------------------------------------------


def _create(ctx: StatementContext, node: ast_show.ShowCreate) -> Rows:
    if node.kind is ObjectKind.CLUSTER:
        cluster = ctx.names.cluster(node.name)
        return _constant(cluster.name, _cluster_sql(cluster))
    item = ctx.names.type_item(node.name) if node.kind is ObjectKind.TYPE else None
    if item is None:
        found = ctx.names.item(node.name)
        wanted = item_kind(node.kind, node.name.position)
        if found.kind is not wanted:
            noun = found.kind.noun
            raise WrongObjectType(
                f"{ctx.catalog.show_item(found)} is not a {wanted.noun}",
                hint=f"Use SHOW CREATE {noun.upper()} to show a {noun}.",
                position=node.name.position,
            )
    else:
        found = item
    if found.kind not in _CREATABLE or not found.create_sql:
        raise FeatureNotSupported(
            f"cannot show create for system {found.kind.noun} {ctx.catalog.show_item(found)}",
            position=node.name.position,
        )
    text = readable(ctx.catalog, found.create_sql, redacted=node.redacted)
    return _constant(ctx.catalog.show_item(found), text)


def _cluster_sql(cluster: Cluster) -> str:
    if not cluster.managed:
        raise FeatureNotSupported("SHOW CREATE for unmanaged clusters not yet supported")
    interval = f"INTERVAL '{_clock_time(cluster.introspection_interval_ms or 0)}'"
    factor, schedule = f" REPLICATION FACTOR = {cluster.replication_factor},", "MANUAL"
    if cluster.hydration_estimate_ms is not None:
        estimate = _clock_time(cluster.hydration_estimate_ms)
        factor, schedule = "", f"ON REFRESH (HYDRATION TIME ESTIMATE = '{estimate}')"
    name = cluster.name.replace('"', '""')
    debugging = str(cluster.introspection_debugging).lower()
    workload = ""
    if cluster.workload_class is not None:
        workload = ", WORKLOAD CLASS = '" + cluster.workload_class.replace("'", "''") + "'"
    return (
        f'CREATE CLUSTER "{name}" (INTROSPECTION DEBUGGING = {debugging},'
        f" INTROSPECTION INTERVAL = {interval}, MANAGED = true,"
        f"{factor} SIZE = '{cluster.size}', SCHEDULE = {schedule}{workload})"
    )


def _clock_time(ms: int) -> str:
    """Return a time span without days, as intervals show it, in whole seconds."""
    seconds = ms // 1_000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _constant(name: str, create_sql: str) -> Rows:
    columns = (Column("name", TEXT, False), Column("create_sql", TEXT, False))
    row = text_literal(name).data + text_literal(create_sql).data
    desc = RelationDesc(columns)
    return Rows.of_relation(HirConstant(((row, 1),), desc), desc)


def variable_desc(node: ast_show.ShowVariable) -> RelationDesc:
    """Return the columns of SHOW of a variable, or of all."""
    if node.name is not None:
        return RelationDesc((Column(node.name, TEXT, False),))
    names = ("name", "setting", "description")
    return RelationDesc(tuple(Column(name, TEXT, False) for name in names))
