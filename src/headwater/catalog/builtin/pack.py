"""Objects of the catalog as rows of the builtin tables.

What an object contributes depends on itself, and on the catalog only for names that never change
while it exists, so that a transaction's effect on the tables is: rows of the old object out, rows
of the new one in.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from headwater.catalog import rows as r
from headwater.catalog.audit import AuditRecord
from headwater.catalog.builtin.pg_rows import (
    acl_names,
    class_rows,
    constraint_rows,
    database_name,
    definition,
    oid_name,
    quoted,
    role_oid,
    shown_defaults,
    space_row,
)
from headwater.catalog.builtin.redacted import redacted
from headwater.catalog.builtin.roles import grant_rows
from headwater.catalog.builtin.types import (
    BUILTIN_TYPES,
    io_functions,
    show_type,
    type_modifier,
    type_oid,
)
from headwater.catalog.items import (
    CatalogItem,
    Cluster,
    CommentKey,
    Connection,
    Database,
    Index,
    Item,
    MaterializedView,
    NetworkPolicy,
    ReplicaSize,
    Role,
    Schema,
    Secret,
    Sink,
    Source,
    Table,
    Type,
    View,
    relation_desc,
    stored_desc,
)
from headwater.catalog.ops import CatalogObject
from headwater.catalog.privileges import Acl, AclItem, DefaultPrivilegeKey
from headwater.catalog.rows import TableRow
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.ir.scalar import Column
from headwater.types.ids import ClusterId, GlobalId
from headwater.types.scalar import INT2, TEXT, BaseType, ScalarType
from headwater.types.time import Timestamp

_MICROS_PER_MS = 1_000
# The end of the year 262142, where timestamptz ends.
_LAST_MOMENT_MS = 8_210_266_876_799_999


def _acl(privileges: Acl) -> bytes:
    return r.text_array([str(item) for item in privileges])


def rows_of(snapshot: CatalogSnapshot, object: CatalogObject) -> Iterator[TableRow]:
    """Yield the rows that an object contributes to the builtin tables."""
    if not isinstance(object, NetworkPolicy | Role):
        yield from grant_rows(snapshot, object)
    match object:
        case Database():
            yield space_row(snapshot, object)
            yield _row(
                "mz_databases",
                r.text(object.id),
                r.integer(object.oid),
                r.text(object.name),
                r.text(object.owner),
                _acl(object.privileges),
            )
        case Schema():
            yield space_row(snapshot, object)
            yield _row(
                "mz_schemas",
                r.text(object.id),
                r.integer(object.oid),
                r.text(object.database),
                r.text(object.name),
                r.text(object.owner),
                _acl(object.privileges),
            )
        case NetworkPolicy():
            yield from _policy(object)
        case Cluster():
            yield from _cluster(object)
        case Role():
            yield from _role(object)
        case _:
            yield from _item(snapshot, object)


def comment_row(key: CommentKey, comment: str) -> TableRow:
    """Return the row of a comment."""
    return _internal(
        "mz_comments", r.text(key.id), r.text(key.kind), r.integer(key.column), r.text(comment)
    )


def variable_row(name: str, value: str) -> TableRow:
    """Return the row of a system variable."""
    return _internal("mz_settings", r.text(name), r.text(value))


def audit_row(record: AuditRecord) -> TableRow:
    """Return the row of an event of the audit log."""
    return _internal(
        "mz_audit_rows",
        r.integer(record.id),
        r.text(record.event_type),
        r.text(record.object_type),
        r.text(record.details),
        r.text(record.user),
        r.integer(record.occurred_at_ms * _MICROS_PER_MS),
    )


def system_privilege_row(item: AclItem) -> TableRow:
    """Return the row of a privilege on the system."""
    return _row("mz_system_privileges", r.text(str(item)))


def default_privilege_row(key: DefaultPrivilegeKey, letters: str) -> TableRow:
    """Return the row of a default privilege."""
    return _row(
        "mz_default_privileges",
        r.text(key.role),
        r.text(key.database),
        r.text(key.schema),
        r.text(key.object_type),
        r.text(key.grantee),
        r.text(letters),
    )


def size_rows(sizes: Iterable[ReplicaSize]) -> Iterator[TableRow]:
    """Yield the rows of the sizes a replica can have."""
    for size in sizes:
        yield _row(
            "mz_cluster_replica_sizes",
            r.text(size.name),
            r.integer(size.processes),
            r.integer(size.workers),
            r.integer(size.cpu_nano_cores),
            r.integer(size.memory_bytes),
            r.integer(size.disk_bytes),
            r.numeric(Decimal(size.credits_per_hour)),
        )


def _row(table: str, *datums: bytes) -> TableRow:
    return f"mz_catalog.{table}", b"".join(datums)


def _internal(table: str, *datums: bytes) -> TableRow:
    return f"mz_internal.{table}", b"".join(datums)


def _cluster(cluster: Cluster) -> Iterator[TableRow]:
    yield _row(
        "mz_clusters",
        r.text(cluster.id),
        r.text(cluster.name),
        r.text(cluster.owner),
        _acl(cluster.privileges),
        r.boolean(cluster.managed),
        r.text(cluster.size),
        r.integer(cluster.replication_factor),
        r.boolean(False if cluster.managed else None),
        r.text_list(cluster.availability_zones if cluster.managed else None),
        r.boolean(cluster.introspection_debugging if cluster.managed else None),
        r.interval_ms(cluster.introspection_interval_ms if cluster.managed else None),
    )
    if cluster.managed:
        refreshes = cluster.hydration_estimate_ms is not None
        yield _internal(
            "mz_cluster_schedules",
            r.text(cluster.id),
            r.text("on-refresh" if refreshes else "manual"),
            r.interval_ms(cluster.hydration_estimate_ms),
        )
    yield _internal(
        "mz_cluster_workload_classes", r.text(cluster.id), r.text(cluster.workload_class)
    )
    shown = ", ".join(
        f"{replica.name} ({replica.size or 'external'})" for replica in cluster.replicas
    )
    yield _internal("mz_cluster_replica_lists", r.text(cluster.id), r.text(shown or None))
    for replica in cluster.replicas:
        yield _row(
            "mz_cluster_replicas",
            r.text(replica.id),
            r.text(replica.name),
            r.text(cluster.id),
            r.text(replica.size),
            r.NULL,
            r.text(replica.owner),
            r.boolean(False),
        )
        if replica.internal:
            yield _internal("mz_internal_cluster_replicas", r.text(replica.id))


def _policy(policy: NetworkPolicy) -> Iterator[TableRow]:
    yield _internal(
        "mz_network_policies",
        r.text(policy.id),
        r.text(policy.name),
        r.text(policy.owner),
        _acl(policy.privileges),
        r.integer(policy.oid),
    )
    for rule in policy.rules:
        yield _internal(
            "mz_network_policy_rules",
            r.text(rule.name),
            r.text(policy.id),
            r.text(rule.action),
            r.text(rule.address),
            r.text(rule.direction),
        )


def _role(role: Role) -> Iterator[TableRow]:
    yield _row(
        "mz_roles",
        r.text(role.id),
        r.integer(role.oid),
        r.text(role.name),
        r.boolean(role.inherit),
        r.boolean(role.login),
        r.boolean(role.superuser),
    )
    for group in role.groups:
        yield _row("mz_role_members", r.text(group.role), r.text(role.id), r.text(group.grantor))
    for name, value in role.variables.items():
        yield _row("mz_role_parameters", r.text(role.id), r.text(name), r.text(value))


def _column_type(type_: ScalarType) -> str:
    """Return a column's type as ``mz_columns`` names it: lists and maps without their parts."""
    if type_.base in (BaseType.LIST, BaseType.MAP):
        return type_.base.value
    return show_type(type_)


def _refresh_strategies(view: MaterializedView) -> Iterator[TableRow]:
    def row(
        type_: str,
        interval_ms: int | None = None,
        aligned_to: Timestamp | None = None,
        at: Timestamp | None = None,
    ) -> TableRow:
        return _internal(
            "mz_refresh_strategies",
            r.text(view.id),
            r.text(type_),
            r.interval_ms(interval_ms),
            _moment(aligned_to),
            _moment(at),
        )

    if view.refresh is None:
        yield row("on-commit")
        return
    for every in view.refresh.everies:
        yield row("every", every.interval_ms, every.aligned_to)
    for at in view.refresh.ats:
        yield row("at", at=at)


def _moment(time: Timestamp | None) -> bytes:
    """Return a time as a timestamptz's datum, NULL beyond the last one that there is."""
    if time is None or time > _LAST_MOMENT_MS:
        return r.NULL
    return r.integer(time * _MICROS_PER_MS)


def _item(snapshot: CatalogSnapshot, item: CatalogItem) -> Iterator[TableRow]:
    for used in item.depends_on:
        yield _internal("mz_object_dependencies", r.text(item.id), r.text(used))
    yield from class_rows(snapshot, item)
    yield oid_name(snapshot, item, item.oid, item.name)
    if not item.is_builtin:
        yield _internal("mz_object_global_ids", r.text(item.id), r.text(item.id))
    shard = getattr(item, "shard", None)
    if shard is not None:
        yield _internal("mz_storage_shards", r.text(item.id), r.text(shard))
    retained = getattr(item, "retain_history_ms", None)
    if retained is not None:
        yield _internal("mz_retained_histories", r.text(item.id), r.integer(retained))
    if isinstance(item, MaterializedView):
        yield from _refresh_strategies(item)
        if item.replacement_for is not None:
            yield _internal("mz_replacements", r.text(item.id), r.text(item.replacement_for))
    desc = relation_desc(item)
    if desc is not None:
        defaults = shown_defaults(item, desc.arity)
        for position, column in enumerate(desc.columns):
            yield _row(
                "mz_columns",
                r.text(item.id),
                r.text(column.name),
                r.integer(position + 1),
                r.boolean(column.nullable),
                r.text(_column_type(column.type)),
                r.text(defaults[position]),
                r.integer(type_oid(column.type)),
                r.integer(type_modifier(column.type)),
            )
    if isinstance(item, Table):
        yield from constraint_rows(snapshot, item)
    match item:
        case Index():
            yield from _index(snapshot, item)
        case Type():
            yield from _type(snapshot, item)
        case _:
            packer = _PACKERS.get(_family(item))
            if packer is not None:
                yield from packer(snapshot, item)


def _index(snapshot: CatalogSnapshot, index: Index) -> Iterator[TableRow]:
    yield _row(
        "mz_indexes",
        r.text(index.id),
        r.integer(index.oid),
        r.text(index.name),
        r.text(index.on),
        r.text(index.cluster),
        r.text(index.owner),
        *_sql(snapshot, index),
    )
    yield definition(index.oid, 0, readable(snapshot, index.create_sql))
    expressions = {at: readable(snapshot, sql) for at, sql in enumerate(index.expressions)}
    on = snapshot.try_item(index.on)
    desc = stored_desc(on) if on is not None else None
    shown = on.shown if isinstance(on, Table) else range(0 if desc is None else desc.arity)
    names: list[str] = []
    for position, expr in enumerate(index.key):
        column = expr.index if isinstance(expr, Column) else None
        named = desc.columns[column] if desc is not None and column is not None else None
        said = expressions.get(position, f"expr{position + 1}")
        names.append(named.name if named is not None else said)
        yield definition(index.oid, position + 1, names[-1])
        yield _row(
            "mz_index_columns",
            r.text(index.id),
            r.integer(position + 1),
            r.integer(None if column is None else shown.index(column) + 1),
            r.text(None if named is not None else expressions.get(position, names[-1])),
            r.boolean(named.nullable if named is not None else True),
        )
    yield _internal("mz_index_keys", r.text(index.id), r.text_array(names), r.boolean(index.unique))


def _type(snapshot: CatalogSnapshot, item: Type) -> Iterator[TableRow]:
    yield _row(
        "mz_types",
        r.text(item.id),
        r.integer(item.oid),
        r.text(item.schema),
        r.text(item.name),
        r.text(_CATEGORIES.get(item.category, "user-defined")),
        *_owned(item),
        *_sql(snapshot, item),
    )
    builtin = _BUILTIN_BY_OID.get(item.oid)
    element, parts = item.type.element, item.category in ("A", "U", "R")
    element_id = type_id(snapshot, element) if element is not None and parts else None
    is_array = item.category == "A" and element is not None
    yield _internal(
        "mz_type_details",
        r.text(item.id),
        r.integer(item.oid),
        r.text(item.name if builtin is None or item.category in "PR" else show_type(item.type)),
        r.integer(-1 if builtin is None else builtin.size),
        r.text(_TYPE_KINDS.get(item.category, "c" if item.type.base is BaseType.RECORD else "b")),
        r.integer(_subscripted(item.type)),
        r.integer(0 if builtin is None else builtin.array_oid),
        r.text(element_id),
        r.integer(0 if element is None else type_oid(element)),
        r.text(item.name),
        r.integer(snapshot.schemas[item.schema].oid),
        r.integer(role_oid(snapshot, item.owner)),
        r.text(item.category),
        database_name(snapshot, item),
        acl_names(snapshot, item.id, item.privileges),
        *(r.integer(oid) for oid in io_functions(item.type, item.name, item.category)),
    )
    if item.category == "P":
        yield _row("mz_pseudo_types", r.text(item.id))
    elif item.type.base is BaseType.LIST and element is not None:
        yield _row(
            "mz_list_types",
            r.text(item.id),
            r.text(element_id),
            r.integer_list(_modifiers(element)),
        )
    elif item.type.base is BaseType.MAP and element is not None:
        yield _row(
            "mz_map_types",
            r.text(item.id),
            r.text(type_id(snapshot, TEXT)),
            r.text(element_id),
            r.NULL,
            r.integer_list(_modifiers(element)),
        )
    elif not is_array:
        yield _row("mz_base_types", r.text(item.id))


def _subscripted(type_: ScalarType) -> int:
    """Return the oid of the type of an array's elements; 0 for what is no array."""
    if type_.base is BaseType.INT2VECTOR:
        return type_oid(INT2)
    return type_oid(type_.element) if type_.base is BaseType.ARRAY and type_.element else 0


def _modifiers(type_: ScalarType) -> list[int] | None:
    return None if type_.modifier is None else [type_modifier(type_)]


def type_id(snapshot: CatalogSnapshot, type_: ScalarType) -> str | None:
    """Return the id of a named type's item; None for one that has no name."""
    if type_.custom is not None:
        return type_.custom
    found = snapshot.type_by_oid(type_oid(type_))
    return None if found is None else found.id


def _common(item: Item) -> tuple[bytes, ...]:
    return r.text(item.id), r.integer(item.oid), r.text(item.schema), r.text(item.name)


def _owned(item: CatalogItem) -> tuple[bytes, bytes]:
    return r.text(item.owner), _acl(item.privileges)


_STORED_NAME = re.compile(r"\[(\w+) AS ([^\]]+)\]")


def readable(snapshot: CatalogSnapshot, sql: str) -> str:
    """Return a stored statement with the names that its ``[id AS name]`` have now."""

    def name(match: re.Match[str]) -> str:
        id = match[1]
        cluster = snapshot.clusters.get(ClusterId(id)) if match[2].count(".") == 0 else None
        if cluster is not None:
            return quoted(cluster.name)
        item = snapshot.try_item(GlobalId(id))
        if item is None or item.schema not in snapshot.schemas:
            return match[2]
        return ".".join(quoted(part) for part in snapshot.full_name(item))

    return _STORED_NAME.sub(name, sql)


def _sql(snapshot: CatalogSnapshot, item: Item) -> tuple[bytes, bytes]:
    sql = readable(snapshot, item.create_sql)
    return r.text(sql or None), r.text(redacted(sql) or None)


def _table(snapshot: CatalogSnapshot, item: CatalogItem) -> Iterator[TableRow]:
    assert isinstance(item, Table)
    yield _row(
        "mz_tables", *_common(item), *_owned(item), *_sql(snapshot, item), r.text(item.source)
    )


def _source(snapshot: CatalogSnapshot, item: CatalogItem) -> Iterator[TableRow]:
    assert isinstance(item, Source)
    yield _row(
        "mz_sources",
        *_common(item),
        r.text(item.source_kind),
        r.text(item.connection),
        r.NULL,
        r.text(item.envelope),
        r.text(item.key_format),
        r.text(item.value_format),
        r.text(item.cluster),
        *_owned(item),
        *_sql(snapshot, item),
    )
    if item.source_kind == "kafka":
        details = getattr(item.details, "details", None)
        yield _row(
            "mz_kafka_sources",
            r.text(item.id),
            r.text(getattr(details, "group_id_prefix", None) or ""),
            r.text(getattr(details, "topic", "")),
        )
    for known in item.references:
        yield _internal(
            "mz_known_references",
            r.text(item.id),
            r.text(known.namespace),
            r.text(known.name),
            r.text_array(known.columns),
        )
    if item.parent is not None:
        yield _internal("mz_subsources", r.text(item.id), r.text(item.parent))


def _view(snapshot: CatalogSnapshot, item: CatalogItem) -> Iterator[TableRow]:
    assert isinstance(item, View)
    definition = readable(snapshot, item.definition)
    sql = readable(snapshot, item.create_sql)
    yield _row(
        "mz_views",
        *_common(item),
        r.text(definition),
        *_owned(item),
        r.text(sql),
        r.text(redacted(sql)),
    )


def _materialized_view(snapshot: CatalogSnapshot, item: CatalogItem) -> Iterator[TableRow]:
    assert isinstance(item, MaterializedView)
    yield _row(
        "mz_materialized_views",
        *_common(item),
        r.text(item.cluster),
        r.text(readable(snapshot, item.definition)),
        *_owned(item),
        *_sql(snapshot, item),
    )


def _sink(snapshot: CatalogSnapshot, item: CatalogItem) -> Iterator[TableRow]:
    assert isinstance(item, Sink)
    yield _row(
        "mz_sinks",
        *_common(item),
        r.text(item.sink_kind),
        r.text(item.connection),
        r.NULL,
        r.text(item.envelope),
        r.text(item.format),
        r.text(item.key_format),
        r.text(item.value_format),
        r.text(item.cluster),
        r.text(item.owner),
        *_sql(snapshot, item),
    )

    if item.sink_kind == "kafka":
        topic = getattr(getattr(item.details, "details", None), "topic", "")
        yield _row("mz_kafka_sinks", r.text(item.id), r.text(topic))


def _connection(snapshot: CatalogSnapshot, item: CatalogItem) -> Iterator[TableRow]:
    assert isinstance(item, Connection)
    yield _row(
        "mz_connections",
        *_common(item),
        r.text(item.connection_kind),
        *_owned(item),
        *_sql(snapshot, item),
    )

    if item.connection_kind == "kafka":
        brokers = getattr(item.details, "brokers", ())
        progress = getattr(item.details, "progress_topic", None)
        yield _internal(
            "mz_kafka_connection_rows",
            r.text(item.id),
            r.text(",".join(str(getattr(broker, "address", broker)) for broker in brokers)),
            r.text(progress),
        )
    if item.connection_kind == "aws":
        yield _aws(item)


def _aws(item: Connection) -> TableRow:
    """Return what an AWS connection is made with: a secret by its id, never its value."""

    def given(name: str) -> bytes:
        value = getattr(item.details, name, None)
        return r.text(value if isinstance(value, str) else None)

    def secret(name: str) -> bytes:
        return r.text(getattr(getattr(item.details, name, None), "id", None))

    return _internal(
        "mz_aws_connections",
        r.text(item.id),
        given("endpoint"),
        given("region"),
        given("access_key_id"),
        secret("access_key_id"),
        secret("secret_access_key"),
        given("session_token"),
        secret("session_token"),
        given("assume_role_arn"),
        given("assume_role_session_name"),
        *(r.NULL,) * 3,  # who assumes a role: nobody, as roles are not assumed
    )


def _secret(snapshot: CatalogSnapshot, item: CatalogItem) -> Iterator[TableRow]:
    yield _row("mz_secrets", *_common(item), *_owned(item))


_PACKERS: dict[type, Callable[[CatalogSnapshot, CatalogItem], Iterator[TableRow]]] = {
    Table: _table,
    Source: _source,
    View: _view,
    MaterializedView: _materialized_view,
    Sink: _sink,
    Connection: _connection,
    Secret: _secret,
}
_BUILTIN_BY_OID = {builtin.oid: builtin for builtin in BUILTIN_TYPES}
_TYPE_KINDS = {"R": "r", "P": "p"}
_CATEGORIES = {
    "A": "array",
    "B": "boolean",
    "D": "date-time",
    "N": "numeric",
    "P": "pseudo",
    "R": "range",
    "S": "string",
    "T": "timespan",
    "U": "user-defined",
}


def _family(item: CatalogItem) -> type:
    return next((family for family in _PACKERS if isinstance(item, family)), Item)
