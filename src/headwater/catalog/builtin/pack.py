"""Objects of the catalog as rows of the builtin tables.

What an object contributes depends on itself, and on the catalog only for names that never change
while it exists, so that a transaction's effect on the tables is: rows of the old object out, rows
of the new one in.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from headwater.catalog import rows as r
from headwater.catalog.builtin.types import BUILTIN_TYPES, show_type, type_modifier, type_oid
from headwater.catalog.items import (
    CatalogItem,
    Cluster,
    CommentKey,
    Connection,
    Database,
    Func,
    Index,
    Item,
    MaterializedView,
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
)
from headwater.catalog.ops import CatalogObject
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.ir.scalar import Column
from headwater.types.ids import RoleId

TableRow = tuple[str, bytes]  # "schema.table", row

_GRANTS = {Table: "arwd", Source: "r", View: "r", MaterializedView: "r"}
_USAGE = "U"
_PUBLIC_MARK = ""


def _acl(owner: RoleId, letters: str, public: str = "") -> bytes:
    grants = [f"{owner}={letters}/{owner}"]
    if public:
        grants.insert(0, f"{_PUBLIC_MARK}={public}/{owner}")
    return r.text_array(grants)


def rows_of(snapshot: CatalogSnapshot, object: CatalogObject) -> Iterator[TableRow]:
    """Yield the rows that an object contributes to the builtin tables."""
    match object:
        case Database():
            yield _row(
                "mz_databases",
                r.text(object.id),
                r.integer(object.oid),
                r.text(object.name),
                r.text(object.owner),
                _acl(object.owner, "UC", "U"),
            )
        case Schema():
            yield _row(
                "mz_schemas",
                r.text(object.id),
                r.integer(object.oid),
                r.text(object.database),
                r.text(object.name),
                r.text(object.owner),
                _acl(object.owner, "UC", "U"),
            )
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
        _acl(cluster.owner, "UC", "U"),
        r.boolean(cluster.managed),
        r.text(cluster.size),
        r.integer(cluster.replication_factor),
        r.boolean(False if cluster.managed else None),
        r.text_list([] if cluster.managed else None),
        r.boolean(False if cluster.managed else None),
        r.interval_ms(cluster.introspection_interval_ms if cluster.managed else None),
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
    for group in role.members_of:
        yield _row("mz_role_members", r.text(group), r.text(role.id), r.text("s1"))
    for name, value in role.variables.items():
        yield _row("mz_role_parameters", r.text(role.id), r.text(name), r.text(value))


def _item(snapshot: CatalogSnapshot, item: CatalogItem) -> Iterator[TableRow]:
    for used in item.depends_on:
        yield _internal("mz_object_dependencies", r.text(item.id), r.text(used))
    desc = relation_desc(item)
    if desc is not None:
        defaults = item.defaults if isinstance(item, Table) else ()
        for position, column in enumerate(desc.columns):
            default = defaults[position] if position < len(defaults) else None
            yield _row(
                "mz_columns",
                r.text(item.id),
                r.text(column.name),
                r.integer(position + 1),
                r.boolean(column.nullable),
                r.text(show_type(column.type)),
                r.text(default),
                r.integer(type_oid(column.type)),
                r.integer(type_modifier(column.type)),
            )
    match item:
        case Index():
            yield from _index(snapshot, item)
        case Type():
            yield from _type(item)
        case _:
            packer = _PACKERS.get(_family(item))
            if packer is not None:
                yield from packer(item)


def _index(snapshot: CatalogSnapshot, index: Index) -> Iterator[TableRow]:
    yield _row(
        "mz_indexes",
        r.text(index.id),
        r.integer(index.oid),
        r.text(index.name),
        r.text(index.on),
        r.text(index.cluster),
        r.text(index.owner),
        r.text(index.create_sql),
        r.text(index.create_sql),
    )
    on = snapshot.try_item(index.on)
    desc = relation_desc(on) if on is not None else None
    names: list[str] = []
    for position, expr in enumerate(index.key):
        column = expr.index if isinstance(expr, Column) else None
        named = desc.columns[column] if desc is not None and column is not None else None
        names.append(named.name if named is not None else f"expr{position + 1}")
        yield _row(
            "mz_index_columns",
            r.text(index.id),
            r.integer(position + 1),
            r.integer(None if column is None else column + 1),
            r.text(None if named is not None else names[-1]),
            r.boolean(named.nullable if named is not None else True),
        )
    yield _internal("mz_index_keys", r.text(index.id), r.text_array(names))


def _type(item: Type) -> Iterator[TableRow]:
    yield _row(
        "mz_types",
        r.text(item.id),
        r.integer(item.oid),
        r.text(item.schema),
        r.text(item.name),
        r.text(_CATEGORIES.get(item.category, "user-defined")),
        r.text(item.owner),
        _acl(item.owner, _USAGE, _USAGE),
        r.text(item.create_sql or None),
        r.text(item.create_sql or None),
    )
    builtin = _BUILTIN_BY_OID.get(item.oid)
    is_array = item.category == "A" and item.type.element is not None
    if builtin is not None:
        element = type_oid(item.type.element) if is_array and item.type.element else 0
        yield _internal(
            "mz_type_pg_metadata",
            r.text(item.id),
            r.integer(builtin.size),
            r.text("r" if item.category == "R" else "p" if item.category == "P" else "b"),
            r.integer(element),
            r.integer(builtin.array_oid),
        )
    if not is_array and item.category not in "RP":
        yield _row("mz_base_types", r.text(item.id))


def _common(item: Item) -> tuple[bytes, ...]:
    return r.text(item.id), r.integer(item.oid), r.text(item.schema), r.text(item.name)


def _owned(item: CatalogItem) -> tuple[bytes, bytes]:
    letters = next((g for of, g in _GRANTS.items() if isinstance(item, of)), _USAGE)
    return r.text(item.owner), _acl(item.owner, letters, "r" if item.is_builtin else "")


def _sql(item: Item) -> tuple[bytes, bytes]:
    sql = r.text(item.create_sql or None)
    return sql, sql


def _table(item: CatalogItem) -> Iterator[TableRow]:
    assert isinstance(item, Table)
    yield _row("mz_tables", *_common(item), *_owned(item), *_sql(item), r.text(item.source))


def _source(item: CatalogItem) -> Iterator[TableRow]:
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
        *_sql(item),
    )
    if item.parent is not None:
        yield _internal("mz_subsources", r.text(item.id), r.text(item.parent))


def _view(item: CatalogItem) -> Iterator[TableRow]:
    assert isinstance(item, View)
    sql = r.text(item.create_sql)
    yield _row("mz_views", *_common(item), r.text(item.definition), *_owned(item), sql, sql)


def _materialized_view(item: CatalogItem) -> Iterator[TableRow]:
    assert isinstance(item, MaterializedView)
    yield _row(
        "mz_materialized_views",
        *_common(item),
        r.text(item.cluster),
        r.text(item.definition),
        *_owned(item),
        *_sql(item),
    )


def _sink(item: CatalogItem) -> Iterator[TableRow]:
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
        *_sql(item),
    )


def _connection(item: CatalogItem) -> Iterator[TableRow]:
    assert isinstance(item, Connection)
    yield _row(
        "mz_connections", *_common(item), r.text(item.connection_kind), *_owned(item), *_sql(item)
    )


def _secret(item: CatalogItem) -> Iterator[TableRow]:
    yield _row("mz_secrets", *_common(item), *_owned(item))


def _func(item: CatalogItem) -> Iterator[TableRow]:
    assert isinstance(item, Func)
    yield _row(
        "mz_functions",
        *_common(item),
        r.text_array(()),
        r.NULL,
        r.NULL,
        r.boolean(False),
        r.text(item.owner),
    )


_PACKERS: dict[type, Callable[[CatalogItem], Iterator[TableRow]]] = {
    Table: _table,
    Source: _source,
    View: _view,
    MaterializedView: _materialized_view,
    Sink: _sink,
    Connection: _connection,
    Secret: _secret,
    Func: _func,
}
_BUILTIN_BY_OID = {builtin.oid: builtin for builtin in BUILTIN_TYPES}
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
