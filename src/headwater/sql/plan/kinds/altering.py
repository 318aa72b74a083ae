"""DROP, ALTER, COMMENT ON, GRANT and REVOKE."""

from collections.abc import Sequence

import msgspec

from headwater.catalog.items import (
    CatalogItem,
    Connection,
    ItemKind,
    Sink,
    Source,
    Type,
    View,
    relation_desc,
)
from headwater.catalog.snapshot import TEMP_SCHEMA
from headwater.errors import (
    DependentObjectsStillExist,
    FeatureNotSupported,
    InsufficientPrivilege,
    InvalidCatalogName,
    InvalidParameterValue,
    InvalidSchemaName,
    UndefinedColumn,
    UndefinedObject,
    UndefinedTable,
    WrongObjectType,
)
from headwater.sql.ast import connector
from headwater.sql.ast import ddl as ast_ddl
from headwater.sql.ast.base import Node, ObjectKind, ObjectName
from headwater.sql.ast.option import Option
from headwater.sql.ast.printer import to_sql
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.ddl import (
    AlterApplyReplacementPlan,
    AlterConnectionPlan,
    AlterNoopPlan,
    AlterOwnerPlan,
    AlterRenamePlan,
    AlterRetainHistoryPlan,
    AlterSetClusterPlan,
    AlterSetSchemaPlan,
    AlterSinkFromPlan,
    AlterSizePlan,
    AlterSwapPlan,
    AlterTimestampIntervalPlan,
    CommentPlan,
    CreateNetworkPolicyPlan,
    CreateSinkPlan,
    DropObjectsPlan,
    DropOwnedPlan,
    ObjectRef,
    ObjectType,
    ReassignOwnedPlan,
)
from headwater.sql.plan.item_kinds import ITEM_KINDS, item_kind
from headwater.sql.plan.kinds.clusters import alter_cluster, check_size, policy_rules
from headwater.sql.plan.kinds.connections import OPTIONS as CONNECTION_OPTIONS
from headwater.sql.plan.kinds.connections import plan_details
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.sinks import HANDLERS as SINK_HANDLERS
from headwater.sql.plan.kinds.stored import dependencies
from headwater.sql.plan.statements import Notice
from headwater.sql.resolve.names import check_identifier, check_not_reserved
from headwater.types.ids import ClusterId, DatabaseId, GlobalId, RoleId, SchemaId
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BaseType

COMMENT_BYTES_MAX = 1024

_TYPES: dict[ItemKind, ObjectType] = {
    ItemKind.TABLE: ObjectType.TABLE,
    ItemKind.VIEW: ObjectType.VIEW,
    ItemKind.MATERIALIZED_VIEW: ObjectType.MATERIALIZED_VIEW,
    ItemKind.SOURCE: ObjectType.SOURCE,
    ItemKind.SINK: ObjectType.SINK,
    ItemKind.INDEX: ObjectType.INDEX,
    ItemKind.TYPE: ObjectType.TYPE,
    ItemKind.SECRET: ObjectType.SECRET,
    ItemKind.CONNECTION: ObjectType.CONNECTION,
    ItemKind.FUNC: ObjectType.FUNCTION,
}
_MISSING = (UndefinedTable, UndefinedObject, InvalidSchemaName, InvalidCatalogName)


def object_type(kind: ObjectKind) -> ObjectType:
    """Return the kind of object that a statement's word means."""
    item = ITEM_KINDS.get(kind)
    return ObjectType(kind.value.lower()) if item is None else _TYPES[item]


def item_ref(item: CatalogItem) -> ObjectRef:
    """Return a reference to an item."""
    return ObjectRef(_TYPES[item.kind], item.id)


def resolve_object(ctx: StatementContext, kind: ObjectKind, name: ObjectName) -> ObjectRef:
    """Return the object of this kind that a name means.

    Raises: UndefinedTable, UndefinedObject, InvalidSchemaName, InvalidCatalogName, WrongObjectType,
        SyntaxError_ (no object of this kind is named by itself).
    """
    position = name.position
    if kind is ObjectKind.CLUSTER:
        return ObjectRef(ObjectType.CLUSTER, ctx.names.cluster(name).id)
    if kind is ObjectKind.CLUSTER_REPLICA:
        if len(name.parts) != 2:
            raise InvalidParameterValue(
                "a cluster replica is named cluster.replica", position=position
            )
        replica = ctx.catalog.replica(name.parts[0], name.parts[1], position=position)
        return ObjectRef(ObjectType.CLUSTER_REPLICA, replica.id)
    if kind is ObjectKind.ROLE:
        return ObjectRef(ObjectType.ROLE, ctx.names.role(name.last, position).id)
    if kind is ObjectKind.DATABASE:
        found = ctx.catalog.database(name.last, position=position)
        return ObjectRef(ObjectType.DATABASE, found.id)
    if kind is ObjectKind.SCHEMA:
        return ObjectRef(ObjectType.SCHEMA, ctx.names.schema(name).id)
    if kind is ObjectKind.NETWORK_POLICY:
        policy = ctx.catalog.policy(name.last, position=position)
        return ObjectRef(ObjectType.NETWORK_POLICY, policy.id)
    if kind is ObjectKind.TYPE:
        return item_ref(ctx.names.type_item(name))
    if kind is ObjectKind.OBJECT:
        return item_ref(ctx.names.item(name))
    return item_ref(ctx.names.item_of_kind(name, item_kind(kind, position)))


def try_object(
    ctx: StatementContext, kind: ObjectKind, name: ObjectName, *, if_exists: bool
) -> ObjectRef | None:
    """Return the object; None, with a notice, for an unknown one under IF EXISTS."""
    try:
        return resolve_object(ctx, kind, name)
    except _MISSING:
        if not if_exists:
            raise
        shown, noun = ".".join(name.parts), object_type(kind).value
        ctx.notices.append(Notice(f'{noun} "{shown}" does not exist, skipping'))
        return None


def check_not_system(ctx: StatementContext, ref: ObjectRef, position: int) -> None:
    """Refuse to change what the system made. Raises: InsufficientPrivilege."""
    if not ref.id.startswith("s"):
        return
    shown = _system_name(ctx, ref)
    if ctx.session.user != "mz_system":
        raise InsufficientPrivilege(
            f"must be owner of {ref.type.value.upper()} {shown}", position=position
        )
    item = "item" if ref.type in _TYPES.values() else ref.type.value
    raise InsufficientPrivilege(f"system {item} '{shown}' cannot be modified", position=position)


def _system_name(ctx: StatementContext, ref: ObjectRef) -> str:
    catalog = ctx.catalog
    match ref.type:
        case ObjectType.CLUSTER:
            return catalog.cluster_by_id(ClusterId(ref.id)).name
        case ObjectType.SCHEMA:
            return catalog.schema_by_id(SchemaId(ref.id)).name
        case ObjectType.ROLE:
            return catalog.roles[RoleId(ref.id)].name
        case _:
            item = catalog.try_item(GlobalId(ref.id))
            return ref.id if item is None else catalog.show_item(item)


# --- DROP -----------------------------------------------------------------------------------------


def _drop(ctx: StatementContext, node: ast_ddl.Drop) -> Outcome:
    named = []
    for name in node.names:
        try:
            ref = try_object(ctx, node.kind, name, if_exists=node.if_exists)
        except WrongObjectType as error:
            raise _with_kind(ctx, name, error) from error
        if ref is not None:
            check_not_system(ctx, ref, name.position)
            named.append(ref)
    cascade = node.behavior is ast_ddl.DropBehavior.CASCADE
    if node.kind is ObjectKind.DATABASE and node.behavior is None:
        cascade = True
    drops: dict[ObjectRef, None] = {}
    for ref in named:
        for found in _closure(ctx, ref, named, cascade=cascade):
            drops.setdefault(found)
    plan = DropObjectsPlan(object_type(node.kind), tuple(named), tuple(drops), cascade)
    return Outcome(plan)


def _with_kind(ctx: StatementContext, name: ObjectName, error: WrongObjectType) -> WrongObjectType:
    """Return the error with the statement that would do, as PostgreSQL's hint has it."""
    item = ctx.names.try_item(name)
    if item is None:
        return error
    noun = item.kind.noun
    article = "an" if noun[0] in "aeiou" else "a"
    hint = f"Use DROP {noun.upper()} to remove {article} {noun}."
    return WrongObjectType(error.message, hint=hint, position=name.position)


def _closure(
    ctx: StatementContext, ref: ObjectRef, named: Sequence[ObjectRef], *, cascade: bool
) -> list[ObjectRef]:
    """Return all that goes with an object, dependents first. Raises: Dependent objects…."""
    catalog = ctx.catalog
    if ref.type is ObjectType.DATABASE:
        found: list[ObjectRef] = []
        for schema in catalog.schemas_in(DatabaseId(ref.id)):
            if not cascade and (schema.name != "public" or catalog.items_in(schema.id)):
                raise DependentObjectsStillExist(
                    f'database "{catalog.database_by_id(DatabaseId(ref.id)).name}"'
                    " cannot be dropped with RESTRICT while it contains schemas"
                )
            inner = ObjectRef(ObjectType.SCHEMA, schema.id)
            found.extend(_closure(ctx, inner, named, cascade=True))
        return [*found, ref]
    if ref.type is ObjectType.SCHEMA:
        items = [item.id for item in catalog.items_in(SchemaId(ref.id))]
        if items and not cascade:
            name = catalog.schema_by_id(SchemaId(ref.id)).name
            raise DependentObjectsStillExist(
                f"schema '{name}' cannot be dropped without CASCADE while it contains objects"
            )
        return [*_dependents(ctx, items), ref]
    if ref.type is ObjectType.CLUSTER:
        items = [item.id for item in catalog.objects_on(ClusterId(ref.id))]
        cluster = catalog.cluster_by_id(ClusterId(ref.id))
        if items and not cascade:
            shown = ", ".join(f'"{catalog.item(id).name}"' for id in items)
            raise DependentObjectsStillExist(
                f'cannot drop cluster "{cluster.name}" because other objects depend on it',
                detail=f"Objects on the cluster: {shown}.",
                hint="Use DROP ... CASCADE to drop the dependent objects too.",
            )
        replicas = [ObjectRef(ObjectType.CLUSTER_REPLICA, r.id) for r in cluster.replicas]
        return [*_dependents(ctx, items), *replicas, ref]
    if ref.type in (ObjectType.CLUSTER_REPLICA, ObjectType.ROLE, ObjectType.NETWORK_POLICY):
        return [ref]
    return _item_closure(ctx, ref, named, cascade=cascade)


def _dependents(ctx: StatementContext, ids: Sequence[GlobalId]) -> list[ObjectRef]:
    return [item_ref(ctx.catalog.item(id)) for id in ctx.catalog.dependents_of(ids)]


def _item_closure(
    ctx: StatementContext, ref: ObjectRef, named: Sequence[ObjectRef], *, cascade: bool
) -> list[ObjectRef]:
    """Return an item with its indexes, what its ingestion makes, and, cascading, its users.

    Indexes go with their relation, subsources and progress with their source, without CASCADE.
    """
    id = GlobalId(ref.id)
    item = ctx.catalog.item(id)
    if isinstance(item, Source) and item.parent is not None and not cascade:
        is_progress = item.source_kind == "progress"
        if is_progress or ObjectRef(ObjectType.SOURCE, item.parent) not in named:
            raise WrongObjectType(
                f'"{item.name}" is part of source "{ctx.catalog.item(item.parent).name}"'
                " and cannot be dropped on its own",
                hint="Use DROP SOURCE of that source, or CASCADE.",
            )
    if not cascade:
        named_ids = {str(r.id) for r in named}
        for user in ctx.catalog.dependents_of([id]):
            found = ctx.catalog.item(user)
            if user == id or user in named_ids or _goes_along(found, id, named_ids):
                continue
            raise DependentObjectsStillExist(
                f'cannot drop {item.kind.noun} "{item.name}": still depended upon by'
                f' {found.kind.noun} "{found.name}"',
                hint="Use DROP ... CASCADE to drop the dependent objects too.",
            )
    children = [
        other.id
        for other in ctx.catalog.items.values()
        if isinstance(other, Source) and other.parent == id
    ]
    return _dependents(ctx, [*children, id])


def _goes_along(item: CatalogItem, id: GlobalId, named: set[str]) -> bool:
    if item.kind is ItemKind.INDEX:
        on = getattr(item, "on", None)
        return on == id or on in named
    return isinstance(item, Source) and item.parent == id


def _drop_owned(ctx: StatementContext, node: ast_ddl.DropOwned) -> Outcome:
    roles = tuple(ctx.names.role(name, node.position).id for name in node.roles)
    cascade = node.behavior is ast_ddl.DropBehavior.CASCADE
    owned = [item.id for item in ctx.catalog.items.values() if item.owner in roles]
    drops = [*_dependents(ctx, owned), *_owned_containers(ctx, roles, cascade=cascade)]
    drops = list(dict.fromkeys(drops))
    if not cascade:
        for ref in _dependents(ctx, owned):
            item = ctx.catalog.item(GlobalId(ref.id))
            if item.owner not in roles and item.kind is not ItemKind.INDEX:
                raise DependentObjectsStillExist(
                    f'{item.kind.noun} "{item.name}" still depends on objects owned by the roles',
                    hint="Use DROP OWNED ... CASCADE to drop the dependent objects too.",
                )
    return Outcome(DropOwnedPlan(roles, tuple(drops), cascade))


def _owned_containers(
    ctx: StatementContext, roles: Sequence[RoleId], *, cascade: bool
) -> list[ObjectRef]:
    """Return the schemas, databases and clusters of the roles with what goes along."""
    catalog = ctx.catalog
    refs = [
        *(ObjectRef(ObjectType.SCHEMA, s.id) for s in catalog.schemas.values() if s.owner in roles),
        *(
            ObjectRef(ObjectType.DATABASE, d.id)
            for d in catalog.databases.values()
            if d.owner in roles
        ),
        *(
            ObjectRef(ObjectType.CLUSTER, c.id)
            for c in catalog.clusters.values()
            if c.owner in roles
        ),
    ]
    found: list[ObjectRef] = []
    for ref in refs:
        found.extend(_closure(ctx, ref, refs, cascade=cascade or ref.type is ObjectType.DATABASE))
    return found


def _reassign_owned(ctx: StatementContext, node: ast_ddl.ReassignOwned) -> Outcome:
    old = tuple(ctx.names.role(name, node.position).id for name in node.roles)
    return Outcome(ReassignOwnedPlan(old, ctx.names.role(node.new_role, node.position).id))


# --- ALTER ----------------------------------------------------------------------------------------


def _rename(ctx: StatementContext, node: ast_ddl.AlterRename) -> Outcome:
    ref = try_object(ctx, node.kind, node.name, if_exists=node.if_exists)
    if ref is None:
        return Outcome(AlterNoopPlan(object_type(node.kind)))
    check_not_system(ctx, ref, node.name.position)
    if ref.type in (ObjectType.CLUSTER, ObjectType.CLUSTER_REPLICA, ObjectType.SCHEMA):
        check_not_reserved(ref.type.value, node.new_name, node.position)
    else:
        check_identifier(node.new_name, node.position)
    return Outcome(AlterRenamePlan(ref, node.name.last, node.new_name))


def _swap(ctx: StatementContext, node: ast_ddl.AlterSwap) -> Outcome:
    left = resolve_object(ctx, node.kind, node.name)
    parts = (*node.name.parts[:-1], node.other)
    right = resolve_object(ctx, node.kind, ObjectName(parts=parts, position=node.position))
    for ref in (left, right):
        check_not_system(ctx, ref, node.position)
    return Outcome(AlterSwapPlan(left, right))


def _owner(ctx: StatementContext, node: ast_ddl.AlterOwner) -> Outcome:
    kind = node.kind
    if kind is ObjectKind.TABLE and isinstance(ctx.names.try_item(node.name), View):
        kind = ObjectKind.VIEW  # as in PostgreSQL, whose dumps say so
    ref = try_object(ctx, kind, node.name, if_exists=node.if_exists)
    if ref is None:
        return Outcome(AlterNoopPlan(object_type(node.kind)))
    if ref.type is ObjectType.INDEX:
        ctx.notices.append(
            Notice("ALTER INDEX ... OWNER TO is ignored: the owner of its relation owns an index")
        )
        return Outcome(AlterNoopPlan(ObjectType.INDEX))
    check_not_system(ctx, ref, node.name.position)
    return Outcome(AlterOwnerPlan(ref, ctx.names.role(node.role, node.position).id))


def _set_schema(ctx: StatementContext, node: ast_ddl.AlterSetSchema) -> Outcome:
    ref = try_object(ctx, node.kind, node.name, if_exists=node.if_exists)
    if ref is None:
        return Outcome(AlterNoopPlan(object_type(node.kind)))
    check_not_system(ctx, ref, node.name.position)
    schema = ctx.names.schema(node.schema)
    if schema.database is None and not schema.id.startswith("t"):
        raise InsufficientPrivilege(
            f"permission denied for schema {schema.name}", position=node.schema.position
        )
    item = ctx.catalog.item(GlobalId(ref.id))
    if item.is_temporary or schema.id.startswith("t"):
        raise FeatureNotSupported(
            "cannot move objects into or out of temporary schemas", position=node.position
        )
    return Outcome(AlterSetSchemaPlan(ref, schema.id))


def _options(ctx: StatementContext, node: ast_ddl.AlterOptions) -> Outcome:
    if node.kind is ObjectKind.CLUSTER:
        return alter_cluster(ctx, node)
    if node.kind is ObjectKind.NETWORK_POLICY:
        change = node.changes[0]
        nodes = change.options if isinstance(change, ast_ddl.SetOptions) else ()
        policy = ctx.catalog.policy(node.name.last, position=node.name.position)
        return Outcome(CreateNetworkPolicyPlan(policy.name, policy_rules(ctx, nodes), policy.id))
    ref = try_object(ctx, node.kind, node.name, if_exists=node.if_exists)
    if ref is None:
        return Outcome(AlterNoopPlan(object_type(node.kind)))
    item = ctx.catalog.item(GlobalId(ref.id))
    if isinstance(item, Connection):
        return _alter_connection(ctx, node, item)
    change = node.changes[0]
    if isinstance(change, ast_ddl.ResetOptions):
        return _reset_option(node, item, change.names)
    if not isinstance(change, ast_ddl.SetOptions):
        raise FeatureNotSupported("ALTER of this form", position=node.position)
    return _set_option(ctx, node, item, change.options)


_SETTABLE = ("retain history", "timestamp interval", "size", "snapshot")


def _set_option(
    ctx: StatementContext, node: ast_ddl.AlterOptions, item: CatalogItem, nodes: Sequence[Option]
) -> Outcome:
    options = Options(ctx, nodes, f"ALTER {node.kind.value}", _SETTABLE)
    if len(options.found) != 1:
        raise FeatureNotSupported("ALTER of several options", position=node.position)
    if "size" in options:
        size = check_size(ctx, options.text("size"), options.position("size"))
        cluster = getattr(item, "cluster", None)
        if not isinstance(item, Source | Sink) or cluster is None:
            raise options.invalid("size", f"a {item.kind.noun} has no size")
        if ctx.catalog.cluster_by_id(cluster).linked_to != item.id:
            name = ctx.catalog.cluster_by_id(cluster).name
            raise InvalidParameterValue(
                f'{item.kind.noun} "{item.name}" has no cluster of its own',
                hint=f"Use ALTER CLUSTER {name} SET (SIZE ...).",
                position=options.position("size"),
            )
        return Outcome(AlterSizePlan(item.id, cluster, size))
    if "retain history" in options:
        retained = options.interval_ms("retain history")
        return Outcome(AlterRetainHistoryPlan(item.id, retained, _with_options(item, nodes)))
    if "timestamp interval" in options and isinstance(item, Source):
        interval = options.interval_ms("timestamp interval")
        return Outcome(AlterTimestampIntervalPlan(item.id, interval, _with_options(item, nodes)))
    raise FeatureNotSupported(f"ALTER {node.kind.value} of this option", position=node.position)


def _without_options(item: CatalogItem, names: Sequence[str]) -> str:
    """Return an item's statement without some of its options."""
    if not item.create_sql:
        return ""
    statement: Node = parse_statements(item.create_sql)[0].statement
    kept = tuple(o for o in getattr(statement, "options", ()) if o.name not in names)
    return to_sql(msgspec.structs.replace(statement, options=kept))


def _with_options(item: CatalogItem, nodes: Sequence[Option]) -> str:
    """Return an item's statement with these options in place of what it said of them."""
    if not item.create_sql:
        return ""
    rest = _without_options(item, [node.name for node in nodes])
    statement: Node = parse_statements(rest)[0].statement
    options = (*getattr(statement, "options", ()), *nodes)
    return to_sql(msgspec.structs.replace(statement, options=options))


def _reset_option(node: ast_ddl.AlterOptions, item: CatalogItem, names: Sequence[str]) -> Outcome:
    if names == ("retain history",):
        return Outcome(AlterRetainHistoryPlan(item.id, None, _without_options(item, names)))
    if names == ("timestamp interval",) and isinstance(item, Source):
        return Outcome(AlterTimestampIntervalPlan(item.id, None, _without_options(item, names)))
    raise FeatureNotSupported(f"ALTER {node.kind.value} RESET", position=node.position)


def _alter_connection(
    ctx: StatementContext, node: ast_ddl.AlterOptions, item: Connection
) -> Outcome:
    """Plan changes of options on top of the connection's own statement."""
    statement = parse_statements(item.create_sql)[0].statement if item.create_sql else None
    if not isinstance(statement, connector.CreateConnection):
        raise FeatureNotSupported("ALTER CONNECTION of a system connection", position=node.position)
    options = {option.name: option for option in statement.options}
    rotate = False
    valid = CONNECTION_OPTIONS[statement.kind]
    for change in node.changes:
        if isinstance(change, ast_ddl.RotateKeys):
            rotate = True
        elif isinstance(change, ast_ddl.SetOptions):
            options.update({option.name: option for option in change.options})
        else:
            for name in change.names:
                if name not in valid:
                    listed = ", ".join(n.upper() for n in sorted(valid))
                    raise InvalidParameterValue(
                        f"unknown {statement.kind.value} CONNECTION option {name.upper()}",
                        hint=f"Valid options are: {listed}.",
                        position=node.position,
                    )
                options.pop(name, None)
    changed = msgspec.structs.replace(statement, options=tuple(options.values()))
    details = plan_details(ctx, statement.kind, changed.options)
    with_options = Options(ctx, node.with_options, "ALTER CONNECTION", ("validate",))
    sql = to_sql(ctx.names.stored(changed))
    used = tuple(id for id in dependencies(ctx) if id != item.id)
    validate = with_options.boolean("validate", True)
    return Outcome(AlterConnectionPlan(item.id, details, validate, sql, used, rotate))


def _set_cluster(ctx: StatementContext, node: ast_ddl.AlterSetCluster) -> Outcome:
    ref = try_object(ctx, node.kind, node.name, if_exists=node.if_exists)
    if ref is None:
        return Outcome(AlterNoopPlan(object_type(node.kind)))
    cluster = ctx.names.cluster(node.cluster, node.position)
    return Outcome(AlterSetClusterPlan(GlobalId(ref.id), cluster.id))


def _apply_replacement(ctx: StatementContext, node: ast_ddl.AlterApplyReplacement) -> Outcome:
    kind = ObjectKind.MATERIALIZED_VIEW
    ref = try_object(ctx, kind, node.name, if_exists=node.if_exists)
    if ref is None:
        return Outcome(AlterNoopPlan(ObjectType.MATERIALIZED_VIEW))
    replacement = ctx.names.item_of_kind(node.replacement, ItemKind.MATERIALIZED_VIEW)
    target = ctx.catalog.item(GlobalId(ref.id))
    if getattr(replacement, "replacement_for", None) != target.id:
        raise WrongObjectType(
            f'"{replacement.name}" is not a replacement for "{target.name}"',
            hint=f"CREATE REPLACEMENT MATERIALIZED VIEW ... FOR {target.name} makes one.",
            position=node.replacement.position,
        )
    return Outcome(AlterApplyReplacementPlan(GlobalId(ref.id), replacement.id))


def _sink_from(ctx: StatementContext, node: ast_ddl.AlterSinkFrom) -> Outcome:
    ref = try_object(ctx, ObjectKind.SINK, node.name, if_exists=node.if_exists)
    if ref is None:
        return Outcome(AlterNoopPlan(ObjectType.SINK))
    sink = ctx.catalog.item(GlobalId(ref.id))
    statement = parse_statements(sink.create_sql)[0].statement
    assert isinstance(statement, connector.CreateSink)
    changed = msgspec.structs.replace(statement, from_=node.from_)
    planned = SINK_HANDLERS[connector.CreateSink](ctx, changed).plan
    assert isinstance(planned, CreateSinkPlan)
    return Outcome(AlterSinkFromPlan(sink.id, planned))


def _unsupported(_ctx: StatementContext, node: Node) -> Outcome:
    if isinstance(node, connector.CreateSubsource):
        raise FeatureNotSupported(
            "CREATE SUBSOURCE statements are not supported",
            hint="A source makes its subsources: CREATE SOURCE ... FOR ALL TABLES.",
            position=node.position,
        )
    raise FeatureNotSupported(f"{type(node).__name__} is not supported", position=node.position)


# --- COMMENT --------------------------------------------------------------------------------------


def _with_columns(ctx: StatementContext, name: ObjectName) -> CatalogItem:
    """Return the relation, or else the type, that a name means."""
    try:
        return ctx.names.item(name)
    except UndefinedTable:
        try:
            return ctx.names.type_item(name)
        except UndefinedObject:
            pass
        raise


def _comment(ctx: StatementContext, node: ast_ddl.CommentOn) -> Outcome:
    if node.text is not None and len(node.text.encode()) > COMMENT_BYTES_MAX:
        raise InvalidParameterValue(
            f"comment length must not exceed {COMMENT_BYTES_MAX} bytes", position=node.position
        )
    if node.kind is ObjectKind.SCHEMA and node.name.parts[-1] == TEMP_SCHEMA:
        raise WrongObjectType(
            f"cannot comment on schema {TEMP_SCHEMA} because it is a temporary schema",
            position=node.name.position,
        )
    if node.kind is not ObjectKind.COLUMN:
        return Outcome(CommentPlan(resolve_object(ctx, node.kind, node.name), None, node.text))
    name = node.name
    relation = ObjectName(parts=name.parts[:-1], position=name.position)
    if len(name.parts) < 2:
        raise InvalidParameterValue(
            "the column of COMMENT ON COLUMN must be qualified", position=name.position
        )
    item = _with_columns(ctx, relation)
    desc = relation_desc(item)
    if isinstance(item, Type) and item.type.base is BaseType.RECORD:
        desc = RelationDesc(
            tuple(Column(f.name, f.type.type, f.type.nullable) for f in item.type.fields)
        )
    if desc is None:
        shown = ctx.catalog.show_item(item)
        raise WrongObjectType(
            f'{item.kind.noun} "{shown}" does not have columns', position=name.position
        )
    if name.last not in desc.names:
        raise UndefinedColumn(
            f'column "{name.last}" of relation "{item.name}" does not exist',
            position=name.position,
        )
    return Outcome(CommentPlan(item_ref(item), desc.names.index(name.last), node.text))


HANDLERS: dict[type[Node], StatementHandler] = {
    ast_ddl.Drop: _drop,
    ast_ddl.DropOwned: _drop_owned,
    ast_ddl.ReassignOwned: _reassign_owned,
    ast_ddl.AlterRename: _rename,
    ast_ddl.AlterSwap: _swap,
    ast_ddl.AlterOwner: _owner,
    ast_ddl.AlterSetSchema: _set_schema,
    ast_ddl.AlterOptions: _options,
    ast_ddl.AlterSetCluster: _set_cluster,
    ast_ddl.AlterApplyReplacement: _apply_replacement,
    ast_ddl.AlterSinkFrom: _sink_from,
    ast_ddl.AlterSourceAddSubsource: _unsupported,
    ast_ddl.AlterSourceDropSubsource: _unsupported,
    ast_ddl.AlterSourceRefresh: _unsupported,
    connector.CreateSubsource: _unsupported,
    ast_ddl.CommentOn: _comment,
}
