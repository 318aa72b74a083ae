"""CREATE SINK."""

from headwater.catalog.items import MaterializedView, Source, Table, relation_desc
from headwater.errors import (
    DatatypeMismatch,
    DuplicateColumn,
    FeatureNotSupported,
    InvalidParameterValue,
    UndefinedColumn,
    WrongObjectType,
)
from headwater.ir.functions import CastContext
from headwater.sql.ast import connector
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.option import OptionMap
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.ddl import CreateSinkPlan, OwnCluster
from headwater.sql.plan.external import (
    BytesFormat,
    DebeziumEnvelope,
    Envelope,
    Format,
    IcebergSink,
    JsonFormat,
    KafkaSink,
    SinkDetails,
    TextFormat,
    UpsertEnvelope,
)
from headwater.sql.plan.hir import HirScalar
from headwater.sql.plan.kinds.connections import connection_id
from headwater.sql.plan.kinds.formats import plan_format
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.sources import own_cluster
from headwater.sql.plan.kinds.stored import dependencies, new_path, stored_sql
from headwater.sql.resolve.scope import Scope
from headwater.types.relation import RelationDesc
from headwater.types.scalar import UINT8, BaseType

_WITH_OPTIONS = ("snapshot", "size", "version", "commit interval", "partition strategy")
_KAFKA_OPTIONS = (
    "topic",
    "compression type",
    "transactional id prefix",
    "partition by",
    "progress group id prefix",
    "topic replication factor",
    "topic partition count",
    "topic config",
    "topic metadata refresh interval",
    "legacy ids",
)
_ICEBERG_OPTIONS = ("namespace", "table")
_COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")


def _create_sink(ctx: StatementContext, node: connector.CreateSink) -> Outcome:
    item = ctx.names.item(node.from_)
    desc = relation_desc(item)
    if desc is None or not isinstance(item, Table | Source | MaterializedView):
        raise WrongObjectType(
            f'"{item.name}" is a {item.kind.noun}, which cannot be exported as a sink',
            hint="Only tables, sources and materialized views can be exported.",
            position=node.from_.position,
        )
    if isinstance(item, Table) and item.layout is not None:
        raise FeatureNotSupported(
            f'cannot export table "{item.name}": columns of it were dropped or changed their types',
            hint="Let the sink read a materialized view over the table.",
            position=node.from_.position,
        )
    key = _key(node, desc)
    options = Options(ctx, node.options, "CREATE SINK", _WITH_OPTIONS)
    commit_ms = options.interval_ms("commit interval")
    partition_by: HirScalar | None = None
    details: SinkDetails
    if isinstance(node.into, connector.KafkaSinkTarget):
        details, partition_by = _kafka(ctx, node, node.into, desc, key)
    else:
        details = _iceberg(ctx, node, node.into, commit_ms)
    name = node.name or ObjectName(parts=(f"{item.name}_sink",), position=node.position)
    path = new_path(ctx, name)
    cluster, changes = own_cluster(ctx, path, options, node.in_cluster)
    headers = None if node.headers is None else _headers(node, desc)
    if node.name is None:
        changes["name"] = ObjectName(
            parts=tuple(p for p in (path.database, path.schema, path.item) if p is not None)
        )
    plan = CreateSinkPlan(
        path,
        item.id,
        desc,
        details,
        key,
        not node.key_not_enforced,
        cluster,
        stored_sql(ctx, node, if_not_exists=False, **changes),
        dependencies(ctx),
        headers,
        partition_by,
        options.boolean("snapshot", True),
        node.if_not_exists,
        commit_ms,
    )
    return Outcome(plan, cluster=None if isinstance(cluster, OwnCluster) else cluster)


def _key(node: connector.CreateSink, desc: RelationDesc) -> tuple[int, ...] | None:
    if node.key is None:
        return None
    found: list[int] = []
    for name in node.key:
        indexes = [index for index, column in enumerate(desc.columns) if column.name == name]
        if not indexes:
            raise UndefinedColumn(f'column "{name}" does not exist', position=node.position)
        if indexes[0] in found:
            raise DuplicateColumn(
                f'duplicate column referenced in KEY: "{name}"', position=node.position
            )
        found.append(indexes[0])
    return tuple(found)


def _headers(node: connector.CreateSink, desc: RelationDesc) -> int:
    if node.headers not in desc.names:
        raise UndefinedColumn(
            f'HEADERS column "{node.headers}" does not exist', position=node.position
        )
    index = desc.names.index(node.headers)
    if desc.columns[index].type.base is not BaseType.MAP:
        raise WrongObjectType(
            "HEADERS column must have type map[text => text] or map[text => bytea]",
            position=node.position,
        )
    return index


def _envelope(node: connector.CreateSink, key: tuple[int, ...] | None) -> Envelope:
    clause = None if node.format is None else node.format.envelope
    if clause is None:
        raise InvalidParameterValue("ENVELOPE clause is required", position=node.position)
    if clause.kind is connector.EnvelopeKind.UPSERT:
        if key is None:
            raise InvalidParameterValue(
                "ENVELOPE UPSERT requires that KEY be specified", position=node.position
            )
        return UpsertEnvelope(key)
    if clause.kind is connector.EnvelopeKind.DEBEZIUM:
        return DebeziumEnvelope(() if key is None else key)
    raise FeatureNotSupported(
        f"ENVELOPE {clause.kind.value} is not supported for sinks", position=node.position
    )


def _kafka(
    ctx: StatementContext,
    node: connector.CreateSink,
    target: connector.KafkaSinkTarget,
    desc: RelationDesc,
    key: tuple[int, ...] | None,
) -> tuple[KafkaSink, HirScalar | None]:
    connection = connection_id(ctx, target.connection)
    options = Options(ctx, target.options, "KAFKA", _KAFKA_OPTIONS)
    if node.format is None or node.format.value is None:
        raise InvalidParameterValue("sink format must be specified", position=node.position)
    envelope = _envelope(node, key)
    value_format = plan_format(ctx, node.format.value)
    key_format = None
    if key is not None:
        chosen = node.format.key or node.format.value
        key_format = plan_format(ctx, chosen, is_key=True)
        _check_format(key_format, desc, key, "KEY", node.position)
    all_columns = tuple(range(desc.arity))
    _check_format(value_format, desc, all_columns, "VALUE", node.position)
    if isinstance(envelope, DebeziumEnvelope) and not isinstance(value_format, JsonFormat):
        raise FeatureNotSupported(
            "ENVELOPE DEBEZIUM writes pairs of rows, which this FORMAT can't hold",
            position=node.position,
        )
    refresh = options.interval_ms("topic metadata refresh interval")
    sink = KafkaSink(
        connection,
        options.required_text("topic"),
        key_format,
        value_format,
        envelope,
        options.choice("compression type", _COMPRESSIONS) or "lz4",
        options.text("transactional id prefix"),
        options.text("progress group id prefix"),
        options.integer("topic partition count", minimum=1),
        options.integer("topic replication factor", minimum=1),
        _topic_config(options),
        60_000 if refresh is None else refresh,
        options.boolean("legacy ids", False),
    )
    return sink, _partition_by(ctx, options, desc)


def _check_format(
    format: Format, desc: RelationDesc, columns: tuple[int, ...], side: str, position: int
) -> None:
    """Check that a format can hold some columns.

    Raises: FeatureNotSupported, DatatypeMismatch.
    """
    if isinstance(format, TextFormat | BytesFormat):
        name = "TEXT" if isinstance(format, TextFormat) else "BYTES"
        if len(columns) != 1:
            raise FeatureNotSupported(
                f"{side} FORMAT {name} writes one column, and there are {len(columns)}",
                position=position,
            )
        column = desc.columns[columns[0]]
        if name == "BYTES" and column.type.base is not BaseType.BYTEA:
            raise DatatypeMismatch(
                f'{side} FORMAT BYTES writes a column of type bytea, which "{column.name}" is not',
                position=position,
            )
    elif not isinstance(format, JsonFormat):
        return
    elif format.columns:
        raise InvalidParameterValue("FORMAT JSON of a sink takes no columns", position=position)


def _topic_config(options: Options) -> tuple[tuple[str, str], ...]:
    value = options.value("topic config")
    if value is None:
        return ()
    if not isinstance(value, OptionMap):
        raise options.invalid("topic config", "must be MAP['key' => 'value', …]")
    found = []
    for entry in value.entries:
        if not isinstance(entry.value, ast.String):
            raise options.invalid("topic config", "values must be strings")
        found.append((entry.key, entry.value.value))
    return tuple(found)


def _partition_by(ctx: StatementContext, options: Options, desc: RelationDesc) -> HirScalar | None:
    value = options.value("partition by")
    if value is None:
        return None
    if isinstance(value, ObjectName):
        node: ast.Expr = ast.Identifier(parts=value.parts, position=value.position)
    else:
        node = value  # type: ignore[assignment]
    scope = Scope.of_relation(None, desc, None)
    context = ExprContext(ctx, scope, {}, "PARTITION BY")
    return context.plan_as(node, UINT8, CastContext.ASSIGNMENT)


def _iceberg(
    ctx: StatementContext,
    node: connector.CreateSink,
    target: connector.IcebergSinkTarget,
    commit_ms: int | None,
) -> IcebergSink:
    connection = connection_id(ctx, target.connection)
    aws = None if target.aws_connection is None else connection_id(ctx, target.aws_connection)
    options = Options(ctx, target.options, "ICEBERG CATALOG", _ICEBERG_OPTIONS)
    if commit_ms is None:
        raise InvalidParameterValue("COMMIT INTERVAL option is required", position=node.position)
    append = node.mode is connector.SinkMode.APPEND
    if not append and node.key is None:
        raise InvalidParameterValue(
            "MODE UPSERT requires that KEY be specified", position=node.position
        )
    return IcebergSink(
        connection,
        aws,
        options.required_text("namespace"),
        options.required_text("table"),
        append,
        commit_ms,
    )


HANDLERS: dict[type[Node], StatementHandler] = {connector.CreateSink: _create_sink}
