"""CREATE SOURCE, CREATE SUBSOURCE's progress, webhooks, CREATE TABLE … FROM SOURCE."""

from collections.abc import Iterable, Sequence

import msgspec

from headwater.catalog.items import ItemKind, Source
from headwater.errors import (
    DuplicateTable,
    FeatureNotSupported,
    InvalidParameterValue,
    UndefinedTable,
    WrongObjectType,
)
from headwater.sql.ast import connector
from headwater.sql.ast import ddl as ast_ddl
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import NamedType, Node, ObjectName
from headwater.sql.ast.option import OptionList
from headwater.sql.ast.printer import to_sql
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.ddl import (
    CreateSourcePlan,
    CreateTableFromSourcePlan,
    ItemPath,
    OwnCluster,
    SourceExport,
)
from headwater.sql.plan.external import (
    DatabaseProduct,
    DatabaseSource,
    KafkaSource,
    LoadGeneratorKind,
    LoadGeneratorSource,
    SourceDetails,
)
from headwater.sql.plan.kinds import generators
from headwater.sql.plan.kinds.clusters import check_size
from headwater.sql.plan.kinds.connections import connection_id
from headwater.sql.plan.kinds.formats import SourceShape
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.stored import (
    cluster_of,
    dependencies,
    new_path,
    path_parts,
    sibling_path,
    stored_sql,
)
from headwater.types.ids import ClusterId
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BYTEA, NUMERIC, UINT8, UUID, range_of

_WITH_OPTIONS = ("timestamp interval", "retain history", "size")
_KAFKA_OPTIONS = (
    "topic",
    "group id prefix",
    "start offset",
    "start timestamp",
    "topic metadata refresh interval",
)
_DATABASE_OPTIONS = {
    DatabaseProduct.POSTGRES: ("publication", "text columns", "exclude columns", "details"),
    DatabaseProduct.MYSQL: ("text columns", "exclude columns", "details"),
    DatabaseProduct.SQL_SERVER: ("text columns", "exclude columns", "details"),
}
_PRODUCTS = {
    connector.ConnectionKind.POSTGRES: DatabaseProduct.POSTGRES,
    connector.ConnectionKind.MYSQL: DatabaseProduct.MYSQL,
    connector.ConnectionKind.SQL_SERVER: DatabaseProduct.SQL_SERVER,
}
_KAFKA_PROGRESS = RelationDesc(
    (Column("partition", range_of(NUMERIC), False), Column("offset", UINT8, True))
)
_PROGRESS = {
    DatabaseProduct.POSTGRES: RelationDesc((Column("lsn", UINT8, True),)),
    DatabaseProduct.MYSQL: RelationDesc(
        (
            Column("source_id_lower", UUID, False),
            Column("source_id_upper", UUID, False),
            Column("transaction_id", UINT8, True),
        )
    ),
    DatabaseProduct.SQL_SERVER: RelationDesc((Column("lsn", BYTEA, True),)),
}
_NO_COLUMNS = RelationDesc(())
_TICK_DEFAULT_US = 1_000_000
_NOT_NULL = ast_ddl.Constraint(kind=ast_ddl.ConstraintKind.NOT_NULL)


def own_cluster(
    ctx: StatementContext, path: ItemPath, options: Options, in_cluster: ObjectName | None
) -> tuple[ClusterId | OwnCluster, dict[str, object]]:
    """Return where a source or sink runs: a cluster, or one of its own by WITH (SIZE …).

    Returns: it, and the changes to the statement's stored form.
    """
    size = options.text("size")
    if size is not None:
        if in_cluster is not None:
            raise InvalidParameterValue(
                "SIZE cannot be used together with IN CLUSTER", position=options.position("size")
            )
        check_size(ctx, size, options.position("size"))
        base = "_".join(part for part in path_parts(path))
        name, number = base, 0
        while ctx.catalog.try_cluster(name) is not None:
            number += 1
            name = f"{base}{number}"
        return OwnCluster(name, size), {}
    cluster, name_of_cluster = cluster_of(ctx, in_cluster)
    return cluster.id, {"in_cluster": name_of_cluster}


def _create_source(ctx: StatementContext, node: connector.CreateSource) -> Outcome:
    if node.columns and not isinstance(node.columns[0], str):
        raise FeatureNotSupported("CREATE SOURCE with column definitions", position=node.position)
    options = Options(ctx, node.options, "CREATE SOURCE", _WITH_OPTIONS)
    made = _source(ctx, node)
    path = new_path(ctx, node.name)
    cluster, changes = own_cluster(ctx, path, options, node.in_cluster)
    progress = _progress_path(ctx, node, path)
    exports = _exports(ctx, node, path, made.tables)
    names = [name for name in node.columns if isinstance(name, str)]
    desc = _renamed(made.desc, names, node.position)
    sql = stored_sql(ctx, node, if_not_exists=False, **changes)
    plan = CreateSourcePlan(
        path,
        made.details,
        desc,
        exports,
        progress,
        made.progress,
        cluster,
        sql,
        dependencies(ctx),
        node.if_not_exists,
        options.interval_ms("timestamp interval"),
        options.interval_ms("retain history"),
        made.envelope,
    )
    return Outcome(plan, cluster=None if isinstance(cluster, OwnCluster) else cluster)


class _Made:
    """What FROM says: the details, the source's own relation, the tables upstream."""

    __slots__ = ("desc", "details", "envelope", "progress", "tables")

    def __init__(
        self,
        details: SourceDetails,
        desc: RelationDesc,
        progress: RelationDesc,
        *,
        envelope: str = "none",
        tables: dict[tuple[str, ...], RelationDesc] | None = None,
    ) -> None:
        self.details = details
        self.desc = desc
        self.progress = progress
        self.envelope = envelope
        self.tables = tables


def _source(ctx: StatementContext, node: connector.CreateSource) -> _Made:
    source = node.from_
    if isinstance(source, connector.LoadGeneratorSource):
        return _generator(ctx, node, source)
    if source.kind is connector.ConnectionKind.KAFKA:
        return _kafka(ctx, node, source)
    product = _PRODUCTS.get(source.kind)
    if product is None:
        raise FeatureNotSupported(
            f"sources from {source.kind.value} are not supported", position=source.position
        )
    return _database(ctx, source, product)


# --- load generators ------------------------------------------------------------------------------


def _generator(
    ctx: StatementContext, node: connector.CreateSource, source: connector.LoadGeneratorSource
) -> _Made:
    kind = LoadGeneratorKind(source.kind.value.lower())
    what = f"{source.kind.value} LOAD GENERATOR"
    options = Options(ctx, source.options, what, generators.OPTIONS[kind])
    details = _generator_details(kind, options)
    tables = generators.TABLES.get(kind)
    if tables is not None:
        schema = source.kind.value.lower()
        named: dict[tuple[str, ...], RelationDesc] = {
            (schema, name): desc for name, desc in tables.items()
        }
        return _Made(details, _NO_COLUMNS, generators.PROGRESS, tables=named)
    if node.tables is not None:
        raise InvalidParameterValue(
            "FOR ALL TABLES is only valid for multi-output sources", position=node.position
        )
    return _Made(details, generators.SINGLE[kind], generators.PROGRESS)


def _generator_details(kind: LoadGeneratorKind, options: Options) -> LoadGeneratorSource:
    tick = options.interval_us("tick interval")
    if tick == 0:
        raise options.invalid("tick interval", "must be greater than 0")
    if tick is None and kind not in (LoadGeneratorKind.TPCH, LoadGeneratorKind.KEY_VALUE):
        tick = _TICK_DEFAULT_US
    if kind is LoadGeneratorKind.KEY_VALUE:
        for name in ("keys", "snapshot rounds", "value size", "seed", "partitions", "batch size"):
            if name not in options:
                raise InvalidParameterValue(
                    f"LOAD GENERATOR KEY VALUE requires option {name.upper()}"
                )
    as_of, up_to = options.integer("as of") or 0, options.integer("up to")
    if up_to is not None and up_to < as_of:
        raise options.invalid("up to", "UP TO cannot be less than AS OF")
    scale = options.number("scale factor")
    if scale is not None and not scale > 0:
        raise options.invalid("scale factor", f"unsupported scale factor {scale}")
    details = LoadGeneratorSource(
        kind,
        tick,
        as_of,
        up_to,
        0.01 if scale is None else scale,
        options.integer("max cardinality", minimum=1),
        options.integer("keys", minimum=1) or 0,
        options.integer("snapshot rounds", minimum=1) or 1,
        options.boolean("transactional snapshot", True),
        options.integer("value size") or 0,
        options.integer("seed") or 0,
        options.integer("partitions", minimum=1) or 1,
        options.integer("batch size", minimum=1) or 1,
    )
    if details.partitions > max(details.keys, 1):
        raise options.invalid("partitions", "cannot be more than KEYS")
    return details


# --- Kafka and databases --------------------------------------------------------------------------


def _kafka(
    ctx: StatementContext, node: connector.CreateSource, source: connector.ConnectionSource
) -> _Made:
    if node.tables is not None:
        raise InvalidParameterValue(
            "FOR TABLES is not supported for Kafka sources", position=node.position
        )
    connection = connection_id(ctx, source.connection)
    options = Options(ctx, source.options, "KAFKA", _KAFKA_OPTIONS)
    # Without a FORMAT the source is there for tables made FROM SOURCE.
    shape = None if node.format is None else SourceShape(ctx, node.format, node.position)
    offsets = _start_offsets(options)
    timestamp = options.integer("start timestamp", minimum=None)
    if offsets and timestamp is not None:
        raise InvalidParameterValue("cannot specify START TIMESTAMP and START OFFSET at same time")
    refresh = options.interval_ms("topic metadata refresh interval")
    details = KafkaSource(
        connection,
        options.required_text("topic"),
        None if shape is None else shape.contents,
        options.text("group id prefix"),
        offsets,
        timestamp,
        60_000 if refresh is None else refresh,
    )
    if shape is None:
        return _Made(details, _NO_COLUMNS, _KAFKA_PROGRESS)
    tag = type(shape.envelope).__struct_config__.tag
    return _Made(details, shape.desc, _KAFKA_PROGRESS, envelope=str(tag))


def _start_offsets(options: Options) -> tuple[int, ...]:
    value = options.value("start offset")
    if value is None:
        return ()
    items = value.items if isinstance(value, OptionList) else (value,)
    found = []
    for item in items:
        if not isinstance(item, ast.Number) or not item.text.isdigit():
            raise options.invalid("start offset", "must be a list of whole numbers")
        found.append(int(item.text))
    return tuple(found)


def _database(
    ctx: StatementContext, source: connector.ConnectionSource, product: DatabaseProduct
) -> _Made:
    connection = connection_id(ctx, source.connection)
    options = Options(ctx, source.options, source.kind.value, _DATABASE_OPTIONS[product])
    publication = None
    if product is DatabaseProduct.POSTGRES:
        publication = options.required_text("publication")
    details = DatabaseSource(
        product,
        connection,
        publication,
        _column_references(options, "text columns"),
        _column_references(options, "exclude columns"),
    )
    return _Made(details, _NO_COLUMNS, _PROGRESS[product], tables={})


def _column_references(options: Options, name: str) -> tuple[tuple[str, ...], ...]:
    value = options.value(name)
    if value is None:
        return ()
    items = value.items if isinstance(value, OptionList) else (value,)
    return tuple(item.parts for item in items if isinstance(item, ObjectName))


# --- what a source makes beside itself ------------------------------------------------------------


def _progress_path(ctx: StatementContext, node: connector.CreateSource, path: ItemPath) -> ItemPath:
    if node.progress is not None:
        return new_path(ctx, node.progress)
    base = f"{path.item}_progress"
    name, number = base, 0
    schema = path.schema_id
    while schema is not None and ctx.catalog.item_in(schema, name) is not None:
        number += 1
        name = f"{base}_{number}"
    return sibling_path(path, name)


def _exports(
    ctx: StatementContext,
    node: connector.CreateSource,
    path: ItemPath,
    tables: dict[tuple[str, ...], RelationDesc] | None,
) -> tuple[SourceExport, ...]:
    """Return the relations that FOR … asks for; none for the new form without it."""
    wanted = node.tables
    if tables is None or wanted is None:
        return ()
    chosen: list[tuple[tuple[str, ...], ObjectName | None]]
    if isinstance(wanted, connector.ForAllTables):
        chosen = [(reference, None) for reference in tables]
    elif isinstance(wanted, connector.ForSchemas):
        chosen = [(reference, None) for reference in tables if reference[0] in wanted.schemas]
    else:
        chosen = [(_upstream(tables, item.reference), item.name) for item in wanted.tables]
    outputs = list(tables)
    exports: list[SourceExport] = []
    for reference, alias in chosen:
        target = new_path(ctx, alias) if alias is not None else sibling_path(path, reference[-1])
        if any(export.name == target for export in exports):
            raise DuplicateTable(
                f'multiple subsources would be named "{target.item}"', position=node.position
            )
        exports.append(
            SourceExport(
                target,
                tables[reference],
                reference,
                outputs.index(reference),
                _export_sql(path, target, tables[reference]),
            )
        )
    return tuple(exports)


def _upstream(tables: dict[tuple[str, ...], RelationDesc], name: ObjectName) -> tuple[str, ...]:
    matches = [ref for ref in tables if ref[-len(name.parts) :] == name.parts[-2:]]
    if len(matches) != 1:
        raise UndefinedTable(
            f"reference to {'.'.join(name.parts)} not found in source", position=name.position
        )
    return matches[0]


def _export_sql(source: ItemPath, target: ItemPath, desc: RelationDesc) -> str:
    """Return the stored text of a subsource."""
    columns = tuple(
        ast_ddl.TableColumn(
            name=column.name,
            data_type=NamedType(name=ObjectName(parts=(column.type.base.value,))),
            constraints=() if column.nullable else (_NOT_NULL,),
        )
        for column in desc.columns
    )
    node = connector.CreateSubsource(
        name=ObjectName(parts=path_parts(target)),
        columns=columns,
        of_source=ObjectName(parts=path_parts(source)),
    )
    return to_sql(node)


def _renamed(desc: RelationDesc, names: Sequence[str], position: int) -> RelationDesc:
    if not names:
        return desc
    if len(names) != desc.arity:
        raise InvalidParameterValue(
            f"cannot rename columns: source has {desc.arity} columns but {len(names)} were named",
            position=position,
        )
    columns = tuple(
        Column(name, column.type, column.nullable)
        for name, column in zip(names, desc.columns, strict=True)
    )
    return RelationDesc(columns, desc.keys)


# --- CREATE TABLE … FROM SOURCE -------------------------------------------------------------------


def _table_from_source(ctx: StatementContext, node: ast_ddl.CreateTableFromSource) -> Outcome:
    item = ctx.names.item_of_kind(node.source, ItemKind.SOURCE)
    if not isinstance(item, Source) or item.parent is not None:
        raise WrongObjectType(f'"{item.name}" is not a source', position=node.source.position)
    options = Options(
        ctx,
        node.options,
        "CREATE TABLE",
        ("text columns", "exclude columns", "partition by", "retain history", "details"),
    )
    plan = item.details
    details = plan.details if isinstance(plan, CreateSourcePlan) else None
    reference = None if node.reference is None else node.reference.reference.parts
    if isinstance(details, LoadGeneratorSource):
        if node.format is not None:
            raise InvalidParameterValue(
                "FORMAT, INCLUDE and ENVELOPE are only allowed for tables of Kafka sources",
                position=node.position,
            )
        desc, reference = _generator_table(details, reference, node)
        described: SourceDetails | None = details
    elif isinstance(details, KafkaSource):
        if reference is not None and reference[-1] != details.topic:
            raise _no_reference(reference, (details.topic,), node.position)
        reference = (details.topic,)
        clauses = node.format or connector.FormatClauses()
        shape = SourceShape(ctx, clauses, node.position)
        desc = shape.desc
        described = msgspec.structs.replace(details, contents=shape.contents)
    else:
        raise FeatureNotSupported(
            "CREATE TABLE FROM SOURCE for this kind of source", position=node.position
        )
    path = new_path(ctx, node.name)
    names = [name for name in node.columns if isinstance(name, str)]
    desc = _renamed(desc, names, node.position)
    return Outcome(
        CreateTableFromSourcePlan(
            path,
            desc,
            item.id,
            reference,
            described,
            stored_sql(ctx, node, if_not_exists=False),
            dependencies(ctx),
            node.if_not_exists,
            options.interval_ms("retain history"),
        )
    )


def _generator_table(
    details: LoadGeneratorSource,
    reference: tuple[str, ...] | None,
    node: ast_ddl.CreateTableFromSource,
) -> tuple[RelationDesc, tuple[str, ...] | None]:
    tables = generators.TABLES.get(details.generator)
    if tables is None:
        return generators.SINGLE[details.generator], reference
    if reference is None or reference[-1] not in tables:
        raise _no_reference(reference, tables, node.position)
    return tables[reference[-1]], reference


def _no_reference(
    reference: tuple[str, ...] | None, valid: Iterable[str], position: int
) -> UndefinedTable:
    shown = "the table" if reference is None else ".".join(reference)
    return UndefinedTable(
        f"reference to {shown} not found in source",
        hint=f"Valid references are: {', '.join(valid)}.",
        position=position,
    )


HANDLERS: dict[type[Node], StatementHandler] = {
    connector.CreateSource: _create_source,
    ast_ddl.CreateTableFromSource: _table_from_source,
}
