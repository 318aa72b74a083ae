"""CREATE and ALTER of clusters and replicas, databases, schemas, roles, secrets, policies."""

import re
from collections.abc import Sequence

from headwater.catalog.items import Cluster, ItemKind
from headwater.errors import (
    DuplicateObject,
    FeatureNotSupported,
    InsufficientPrivilege,
    InvalidParameterValue,
    ObjectNotInPrerequisiteState,
    ReservedName,
    SyntaxError_,
    UndefinedObject,
)
from headwater.ir.functions import CastContext
from headwater.sql.ast import control
from headwater.sql.ast import ddl as ast_ddl
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node, ObjectKind
from headwater.sql.ast.option import (
    Option,
    OptionList,
    PolicyRule,
    RelationWithOptions,
    ReplicaDefinition,
    Schedule,
)
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.ddl import (
    AlterClusterPlan,
    AlterNoopPlan,
    AlterReconfiguration,
    AlterRolePlan,
    AlterSecretPlan,
    CreateClusterPlan,
    CreateClusterReplicaPlan,
    CreateDatabasePlan,
    CreateNetworkPolicyPlan,
    CreateRolePlan,
    CreateSchemaPlan,
    CreateSecretPlan,
    ManagedCluster,
    NamedReplica,
    NetworkRule,
    ObjectType,
    ReplicaConfig,
    RoleAttributes,
    UnmanagedCluster,
)
from headwater.sql.plan.hir import HirScalar
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.refreshing import show_interval
from headwater.sql.plan.kinds.stored import new_path
from headwater.sql.plan.statements import Notice
from headwater.sql.resolve.names import check_not_reserved
from headwater.sql.resolve.scope import Scope
from headwater.types.scalar import BYTEA

CLUSTER_OPTIONS = (
    "size",
    "replication factor",
    "managed",
    "schedule",
    "availability zones",
    "introspection interval",
    "introspection debugging",
    "disk",
    "workload class",
    "replicas",
)
_REPLICA_OPTIONS = (
    "size",
    "availability zone",
    "compute addresses",
    "computectl addresses",
    "storage addresses",
    "storagectl addresses",
    "address",
    "addresses",
    "workers",
    "introspection interval",
    "introspection debugging",
    "disk",
    "billed as",
    "internal",
)
REPLICATION_FACTOR_MAX = 64
_ROLE_NAMES_TAKEN = frozenset({"public", "none"})
POLICY_RULES_MAX = 25


# --- clusters -------------------------------------------------------------------------------------


def _create_cluster(ctx: StatementContext, node: control.CreateCluster) -> Outcome:
    check_not_reserved("cluster", node.name, node.position)
    options = Options(ctx, node.options, "CREATE CLUSTER", CLUSTER_OPTIONS)
    managed, unmanaged = _configuration(ctx, options, node.name)
    workload = _workload_class(ctx, options)
    return Outcome(CreateClusterPlan(node.name, managed, unmanaged, workload, node.if_not_exists))


def _workload_class(ctx: StatementContext, options: Options) -> str | None:
    """Read WORKLOAD CLASS, which is the operator's word. Raises: InsufficientPrivilege."""
    if "workload class" in options:
        _check_operator(ctx, options.position("workload class"))
    return options.text("workload class")


def _check_operator(ctx: StatementContext, position: int) -> None:
    if not _is_operator(ctx):
        raise InsufficientPrivilege(
            "WORKLOAD CLASS not supported for non-system users", position=position
        )


def _is_operator(ctx: StatementContext) -> bool:
    """Return whether the session is one of the system's own users."""
    return ctx.session.user.startswith("mz_")


def _configuration(
    ctx: StatementContext, options: Options, cluster: str
) -> tuple[ManagedCluster | None, UnmanagedCluster | None]:
    is_managed = options.boolean("managed", "replicas" not in options)
    if "disk" in options:
        ctx.notices.append(
            Notice("DISK option is no longer supported and has no effect", sqlstate="01000")
        )
    if is_managed:
        if "replicas" in options:
            raise options.invalid("replicas", "not supported for managed clusters")
        return managed_cluster(ctx, options, None), None
    _check_unmanaged(options)
    if "replicas" not in options:
        raise InvalidParameterValue("REPLICAS must be set for unmanaged clusters")
    return None, UnmanagedCluster(_replicas(ctx, options, cluster))


def _check_unmanaged(options: Options) -> None:
    """Refuse what only managed clusters have. Raises: InvalidParameterValue."""
    for name in ("size", "replication factor", "availability zones"):
        if name in options:
            raise options.invalid(name, "not supported for unmanaged clusters")
    schedule = options.value("schedule")
    if isinstance(schedule, Schedule) and schedule.on_refresh:
        raise InvalidParameterValue(
            "cluster schedules other than MANUAL are not supported for unmanaged clusters",
            position=options.position("schedule"),
        )


def check_size(ctx: StatementContext, size: str | None, position: int = 0) -> str:
    """Return a size that replicas can have. Raises: InvalidParameterValue."""
    if size is None:
        raise InvalidParameterValue("SIZE must be specified", position=position)
    if size not in ctx.catalog.sizes and not _is_explicit_size(size):
        listed = ", ".join(sorted(ctx.catalog.sizes))
        raise InvalidParameterValue(
            f"unknown cluster replica size {size}",
            hint=f"Valid sizes are: {listed}.",
            position=position,
        )
    return size


def _is_explicit_size(size: str) -> bool:
    """Return whether a size is spelled out: ``scale=2,workers=4``."""
    parts = dict(part.split("=", 1) for part in size.split(",") if part.count("=") == 1)
    return parts.keys() >= {"scale", "workers"} and all(
        parts[key].isdigit() for key in ("scale", "workers")
    )


def managed_cluster(
    ctx: StatementContext, options: Options, old: ManagedCluster | None
) -> ManagedCluster:
    """Read a managed cluster's options; what is not written stays as in ``old``."""
    base = old or ManagedCluster("")
    size = options.text("size") if "size" in options else (base.size or None)
    factor = options.integer("replication factor") if "replication factor" in options else None
    factor = base.replication_factor if factor is None else factor
    if factor > REPLICATION_FACTOR_MAX:
        raise options.invalid("replication factor", f"must be at most {REPLICATION_FACTOR_MAX}")
    interval = base.introspection_interval_ms
    if "introspection interval" in options:
        interval = _introspection(options)
    refresh, estimate = base.refresh_schedule, base.hydration_time_estimate_ms
    schedule = options.value("schedule")
    if isinstance(schedule, Schedule):
        refresh = schedule.on_refresh
        estimate = _hydration_estimate(ctx, schedule)
        if refresh and "replication factor" in options:
            raise InvalidParameterValue(
                "REPLICATION FACTOR cannot be given together with any SCHEDULE other than MANUAL",
                position=options.position("replication factor"),
            )
        if refresh and old is None:
            factor = 0  # a refresh turns it on
    elif refresh and "replication factor" in options:
        raise InvalidParameterValue(
            "REPLICATION FACTOR cannot be set if the cluster SCHEDULE is anything other than"
            " MANUAL",
            position=options.position("replication factor"),
        )
    zones = base.availability_zones
    if "availability zones" in options:
        zones = options.texts("availability zones")
        for zone in zones:
            _check_zone(zone, options.position("availability zones"))
    debugging = options.boolean("introspection debugging", base.introspection_debugging)
    return ManagedCluster(
        check_size(ctx, size, options.position("size")),
        factor,
        zones,
        interval,
        debugging,
        refresh,
        estimate,
    )


def _hydration_estimate(ctx: StatementContext, schedule: Schedule) -> int:
    """Read HYDRATION TIME ESTIMATE, in milliseconds. Raises: InvalidParameterValue."""
    options = Options(ctx, schedule.options, "SCHEDULE", ("hydration time estimate",))
    value = options.value("hydration time estimate")
    position = options.position("hydration time estimate")
    if value is None:
        return 0
    if isinstance(value, ast.Number):
        raise SyntaxError_(
            f'Expected literal string, found number "{value.text}"', position=position
        )
    if not isinstance(value, ast.String):
        raise InvalidParameterValue("HYDRATION TIME ESTIMATE must be a string", position=position)
    micros = options.signed_interval_us("hydration time estimate")
    if micros is None:
        raise InvalidParameterValue(
            "HYDRATION TIME ESTIMATE must not involve units larger than days", position=position
        )
    if micros < 0:
        raise InvalidParameterValue(
            f"HYDRATION TIME ESTIMATE must be non-negative; got: {show_interval(micros)}",
            position=position,
        )
    return micros // 1_000


def _introspection(options: Options) -> int | None:
    value = options.value("introspection interval")
    if isinstance(value, ast.Number) and value.text == "0":
        return None
    return options.interval_ms("introspection interval") or None


def _replicas(ctx: StatementContext, options: Options, cluster: str) -> tuple[NamedReplica, ...]:
    value = options.value("replicas")
    items = value.items if isinstance(value, OptionList) else ()
    found: list[NamedReplica] = []
    for item in items:
        if not isinstance(item, ReplicaDefinition):
            raise options.invalid("replicas", "must be a list of replicas")
        check_not_reserved("replica", item.name, item.position)
        if any(replica.name == item.name for replica in found):
            raise DuplicateObject(
                f"cannot create multiple replicas named '{item.name}' on cluster '{cluster}'",
                position=item.position,
            )
        config = _replica(ctx, item.options)
        _check_internal(ctx, config, item.position)
        found.append(NamedReplica(item.name, config))
    return tuple(found)


def _replica(ctx: StatementContext, nodes: Sequence[Option]) -> ReplicaConfig:
    options = Options(ctx, nodes, "CLUSTER REPLICA", _REPLICA_OPTIONS)
    addresses: tuple[str, ...] = ()
    for name in ("address", "addresses", "compute addresses", "computectl addresses"):
        if name in options and not addresses:
            addresses = options.texts(name)
    size = _size(options)
    zone = options.text("availability zone")
    written = [name for name in _UNORCHESTRATED if name in options]
    if written and (size is not None or zone is not None):
        raise InvalidParameterValue(
            "invalid mixture of orchestrated and unorchestrated replica options",
            position=options.position(written[0]),
        )
    _check_addresses(options)
    if size is None and not addresses:
        raise InvalidParameterValue("SIZE or ADDRESS must be specified for a cluster replica")
    if zone is not None:
        _check_zone(zone, options.position("availability zone"))
    interval: int | None = 1000
    if "introspection interval" in options:
        interval = _introspection(options)
    return ReplicaConfig(
        None if size is None else check_size(ctx, size, options.position("size")),
        zone,
        addresses,
        options.integer("workers", minimum=1),
        interval,
        options.boolean("introspection debugging", False),
        options.text("billed as"),
        options.boolean("internal", False),
    )


def _size(options: Options) -> str | None:
    """Read a replica's SIZE, a string. Raises: InvalidParameterValue."""
    value = options.value("size")
    if "size" in options and (value is None or isinstance(value, ast.Number | ast.Null)):
        raise options.invalid("size", "must provide a string value")
    return options.text("size")


# What says where a replica listens that somebody else has started.
_UNORCHESTRATED = (
    "address",
    "addresses",
    "compute addresses",
    "computectl addresses",
    "storage addresses",
    "storagectl addresses",
    "workers",
)


def _check_addresses(options: Options) -> None:
    """Raises: InvalidParameterValue: A process has no address of one kind."""
    if "storagectl addresses" not in options or "computectl addresses" not in options:
        return
    if len(options.texts("storagectl addresses")) != len(options.texts("computectl addresses")):
        raise InvalidParameterValue(
            "COMPUTECTL ADDRESSES and STORAGECTL ADDRESSES must have the same length",
            position=options.position("computectl addresses"),
        )


def _check_zone(zone: str, position: int) -> None:
    """Refuse an availability zone: replicas run where the server does, which has none."""
    raise InvalidParameterValue(
        f"unknown cluster replica availability zone {zone}", position=position
    )


def _check_internal(ctx: StatementContext, config: ReplicaConfig, position: int) -> None:
    """Raises: InsufficientPrivilege, InvalidParameterValue (billed as, but not internal)."""
    if not _is_operator(ctx) and (config.internal or config.billed_as is not None):
        raise InsufficientPrivilege(
            "cannot specify INTERNAL or BILLED AS as non-internal user", position=position
        )
    if config.billed_as is not None and not config.internal:
        raise InvalidParameterValue(
            "must specify INTERNAL when specifying BILLED AS", position=position
        )


# The names that replicas of managed clusters have.
_MANAGED_REPLICA = re.compile(r"r[0-9]+")


def _create_replica(ctx: StatementContext, node: control.CreateClusterReplica) -> Outcome:
    cluster = ctx.names.cluster(node.cluster, node.position)
    check_not_reserved("replica", node.replica, node.position)
    config = _replica(ctx, node.options)
    if cluster.managed:
        if not config.internal:
            raise ObjectNotInPrerequisiteState(
                f"cannot modify managed cluster {cluster.name}", position=node.position
            )
        if _MANAGED_REPLICA.fullmatch(node.replica):
            raise ReservedName(
                f"{node.replica} is reserved for replicas of managed clusters",
                position=node.position,
            )
    _check_internal(ctx, config, node.position)
    return Outcome(CreateClusterReplicaPlan(cluster.id, node.replica, config, node.if_not_exists))


def alter_cluster(ctx: StatementContext, node: ast_ddl.AlterOptions) -> Outcome:
    """Plan ALTER CLUSTER … SET | RESET."""
    cluster = ctx.catalog.try_cluster(node.name.last)
    if cluster is None and node.if_exists:
        return Outcome(AlterNoopPlan(ObjectType.CLUSTER))
    cluster = ctx.names.cluster(node.name)
    change = node.changes[0]
    old = _managed_of(cluster)
    if isinstance(change, ast_ddl.ResetOptions):
        return Outcome(_reset(ctx, change, old, cluster))
    if not isinstance(change, ast_ddl.SetOptions):
        raise FeatureNotSupported("ALTER CLUSTER of this form", position=node.position)
    options = Options(ctx, change.options, "ALTER CLUSTER", CLUSTER_OPTIONS)
    is_managed = options.boolean("managed", cluster.managed)
    workload = cluster.workload_class
    if "workload class" in options:
        workload = _workload_class(ctx, options)
    waiting = _reconfiguration(ctx, node.with_options)
    if is_managed:
        if "replicas" in options:
            raise options.invalid("replicas", "not supported for managed clusters")
        if old is None:
            replicas = [replica for replica in cluster.replicas if not replica.internal]
            sizes = {replica.size for replica in replicas}
            size = next(iter(sizes)) if len(sizes) == 1 else None
            old = ManagedCluster(size or "", len(replicas))
        managed_plan = managed_cluster(ctx, options, old)
        return Outcome(AlterClusterPlan(cluster.id, managed_plan, None, workload, waiting))
    _check_unmanaged(options)
    if old is not None and old.refresh_schedule and "schedule" not in options:
        raise InvalidParameterValue(
            "when switching a cluster to unmanaged, if the managed cluster's SCHEDULE is anything"
            " other than MANUAL, you have to explicitly set the SCHEDULE to MANUAL"
        )
    if "replicas" in options:
        listed = _replicas(ctx, options, cluster.name)
    else:
        listed = tuple(
            NamedReplica(
                replica.name,
                ReplicaConfig(
                    replica.size, compute_addresses=replica.addresses, workers=replica.workers
                ),
            )
            for replica in cluster.replicas
        )
    return Outcome(AlterClusterPlan(cluster.id, None, UnmanagedCluster(listed), workload))


def _managed_of(cluster: Cluster) -> ManagedCluster | None:
    if not cluster.managed:
        return None
    return ManagedCluster(
        cluster.size or "",
        cluster.replication_factor or 0,
        introspection_interval_ms=cluster.introspection_interval_ms,
        introspection_debugging=cluster.introspection_debugging,
        refresh_schedule=cluster.hydration_estimate_ms is not None,
        hydration_time_estimate_ms=cluster.hydration_estimate_ms or 0,
    )


def _reset(
    ctx: StatementContext,
    change: ast_ddl.ResetOptions,
    old: ManagedCluster | None,
    cluster: Cluster,
) -> AlterClusterPlan:
    if old is None:
        raise InvalidParameterValue(f"cannot reset options of unmanaged cluster {cluster.name}")
    factor, interval = old.replication_factor, old.introspection_interval_ms
    debugging, workload = old.introspection_debugging, cluster.workload_class
    refreshes = old.refresh_schedule and "schedule" not in change.names
    for name in change.names:
        if name not in CLUSTER_OPTIONS:
            listed = ", ".join(option.upper() for option in sorted(CLUSTER_OPTIONS))
            raise InvalidParameterValue(
                f"unknown ALTER CLUSTER option {name.upper()}", hint=f"Valid options are: {listed}."
            )
        if name == "size":
            raise InvalidParameterValue("SIZE has no default value")
        factor = 1 if name == "replication factor" else factor
        interval = 1000 if name == "introspection interval" else interval
        debugging = False if name == "introspection debugging" else debugging
        if name == "workload class":
            _check_operator(ctx, change.position)
            workload = None
    managed = ManagedCluster(
        old.size,
        factor,
        introspection_interval_ms=interval,
        introspection_debugging=debugging,
        refresh_schedule=refreshes,
        hydration_time_estimate_ms=old.hydration_time_estimate_ms if refreshes else 0,
    )
    return AlterClusterPlan(cluster.id, managed, None, workload)


def _reconfiguration(ctx: StatementContext, nodes: Sequence[Option]) -> AlterReconfiguration | None:
    if not nodes:
        return None
    options = Options(ctx, nodes, "ALTER CLUSTER", ("wait until ready", "wait for"))
    if "wait for" in options:
        return AlterReconfiguration(False, options.interval_ms("wait for") or 0)
    value = options.value("wait until ready")
    inner_nodes = value.options if isinstance(value, RelationWithOptions) else ()
    inner = Options(ctx, inner_nodes, "WAIT UNTIL READY", ("timeout", "on timeout"))
    timeout = inner.interval_ms("timeout")
    if timeout is None:
        raise InvalidParameterValue("TIMEOUT option of WAIT UNTIL READY is required")
    action = inner.choice("on timeout", ("COMMIT", "ROLLBACK"))
    return AlterReconfiguration(True, timeout, action != "ROLLBACK")


# --- databases, schemas ---------------------------------------------------------------------------


def _create_database(_ctx: StatementContext, node: ast_ddl.CreateDatabase) -> Outcome:
    check_not_reserved("database", node.name, node.position)
    return Outcome(CreateDatabasePlan(node.name, node.if_not_exists))


def _create_schema(ctx: StatementContext, node: ast_ddl.CreateSchema) -> Outcome:
    parts = node.name.parts
    if len(parts) > 2:
        raise InvalidParameterValue(
            f"schema name {'.'.join(parts)} has more than two components", position=node.position
        )
    check_not_reserved("schema", parts[-1], node.name.position)
    wanted = parts[0] if len(parts) == 2 else ctx.session.database
    database = ctx.catalog.database(wanted, position=node.name.position)
    owner = None if node.owner is None else ctx.names.role(node.owner, node.position).id
    return Outcome(
        CreateSchemaPlan(database.id, database.name, parts[-1], node.if_not_exists, owner)
    )


# --- secrets --------------------------------------------------------------------------------------


def _secret_value(ctx: StatementContext, node: ast.Expr) -> HirScalar:
    context = ExprContext(ctx, Scope.empty(), {}, "CREATE SECRET")
    return context.plan_as(node, BYTEA, CastContext.EXPLICIT)


def _create_secret(ctx: StatementContext, node: ast_ddl.CreateSecret) -> Outcome:
    value = _secret_value(ctx, node.value)
    path = new_path(ctx, node.name)
    shown = ".".join(part for part in (path.database, path.schema, path.item) if part)
    return Outcome(
        CreateSecretPlan(path, value, f"CREATE SECRET {shown} AS '********'", node.if_not_exists)
    )


def _alter_secret(ctx: StatementContext, node: ast_ddl.AlterSecret) -> Outcome:
    if node.if_exists and ctx.names.try_item(node.name) is None:
        return Outcome(AlterNoopPlan(ObjectType.SECRET))
    item = ctx.names.item_of_kind(node.name, ItemKind.SECRET)
    return Outcome(AlterSecretPlan(item.id, _secret_value(ctx, node.value)))


# --- roles ----------------------------------------------------------------------------------------

_R = control.RoleAttributeKind
_SYSTEM_PRIVILEGES = {
    _R.CREATECLUSTER: "CREATECLUSTER",
    _R.CREATEDB: "CREATEDB",
    _R.CREATEROLE: "CREATEROLE",
    _R.NOCREATECLUSTER: "CREATECLUSTER",
    _R.NOCREATEDB: "CREATEDB",
    _R.NOCREATEROLE: "CREATEROLE",
}


def role_attributes(nodes: Sequence[control.RoleAttribute]) -> RoleAttributes:
    """Read a role's attributes. Raises: FeatureNotSupported, InvalidParameterValue."""
    values: dict[str, bool] = {}
    password: str | None = None
    clears = False
    for node in nodes:
        kind = node.kind
        if kind in _SYSTEM_PRIVILEGES:
            raise FeatureNotSupported(
                f"{_SYSTEM_PRIVILEGES[kind]} attribute",
                hint="Use system privileges instead.",
                position=node.position,
            )
        if kind is _R.NOINHERIT:
            raise FeatureNotSupported("non inherit roles", position=node.position)
        if kind is _R.PASSWORD:
            password, clears = node.password, node.password is None
            continue
        name = kind.value.lower().removeprefix("no")
        value = not kind.value.startswith("NO")
        if name in values:
            raise InvalidParameterValue("conflicting or redundant options", position=node.position)
        values[name] = value
    return RoleAttributes(
        values.get("login"), values.get("superuser"), values.get("inherit"), password, clears
    )


def _create_role(_ctx: StatementContext, node: control.CreateRole) -> Outcome:
    if node.name in _ROLE_NAMES_TAKEN:
        raise InvalidParameterValue(f'role name "{node.name}" is reserved', position=node.position)
    check_not_reserved("role", node.name, node.position)
    return Outcome(CreateRolePlan(node.name, role_attributes(node.attributes)))


def _alter_role(ctx: StatementContext, node: control.AlterRoleAttributes) -> Outcome:
    role = ctx.names.role(node.name, node.position)
    return Outcome(AlterRolePlan(role.id, role_attributes(node.attributes)))


# --- network policies -----------------------------------------------------------------------------


def _create_policy(ctx: StatementContext, node: control.CreateNetworkPolicy) -> Outcome:
    check_not_reserved("network policy", node.name, node.position)
    return Outcome(CreateNetworkPolicyPlan(node.name, policy_rules(ctx, node.options)))


def policy_rules(ctx: StatementContext, nodes: Sequence[Option]) -> tuple[NetworkRule, ...]:
    """Read the RULES of a network policy."""
    options = Options(ctx, nodes, "NETWORK POLICY", ("rules",))
    value = options.value("rules")
    items = value.items if isinstance(value, OptionList) else ()
    if len(items) > POLICY_RULES_MAX:
        raise options.invalid("rules", f"at most {POLICY_RULES_MAX} rules")
    rules = []
    for item in items:
        if not isinstance(item, PolicyRule):
            raise options.invalid("rules", "must be a list of rules")
        rule = Options(ctx, item.options, "RULE", ("action", "direction", "address"))
        action = rule.choice("action", ("allow",))
        direction = rule.choice("direction", ("ingress",))
        if action is None or direction is None:
            raise options.invalid("rules", "ACTION, DIRECTION and ADDRESS are required")
        rules.append(NetworkRule(item.name, action, direction, rule.required_text("address")))
    return tuple(rules)


def unknown_kind(kind: ObjectKind, position: int) -> UndefinedObject:
    """Return the error for a kind of object that a statement cannot be about."""
    return UndefinedObject(f"{kind.value.lower()} is not supported here", position=position)


HANDLERS: dict[type[Node], StatementHandler] = {
    control.CreateCluster: _create_cluster,
    control.CreateClusterReplica: _create_replica,
    control.CreateRole: _create_role,
    control.AlterRoleAttributes: _alter_role,
    control.CreateNetworkPolicy: _create_policy,
    ast_ddl.CreateDatabase: _create_database,
    ast_ddl.CreateSchema: _create_schema,
    ast_ddl.CreateSecret: _create_secret,
    ast_ddl.AlterSecret: _alter_secret,
}
