"""From what was planned to what runs: sources, sinks and connections in storage's own words.

The catalog's items hold the planner's structs; storage knows nothing of catalog or SQL and takes
``ir.ingestion``, complete, with secrets filled in.
"""

import msgspec

from headwater.adapter.planning import Planner, is_txn_table
from headwater.catalog.items import Connection, MaterializedView, Sink, Source, Table
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import FeatureNotSupported, InternalError, WrongObjectType
from headwater.ir import ingestion as runs
from headwater.sql.plan import ddl
from headwater.sql.plan import external as planned
from headwater.sql.plan.hir import HirGet
from headwater.sql.plan.kinds.datums import DATUMS
from headwater.types.ids import GlobalId
from headwater.types.relation import RelationDesc

_US_PER_MS = 1_000
# Without a TICK INTERVAL a generator that ticks does so once a second, as documented.
_DEFAULT_TICK_MS = 1_000
_DEFAULT_TIMESTAMP_INTERVAL_MS = 1_000


def ingestion_of(
    snapshot: CatalogSnapshot, source: Source, environment_id: str
) -> runs.IngestionDescription:
    """Return the ingestion that a primary source stands for, with all that it writes.

    Raises:
        FeatureNotSupported: The source is of a kind, format or envelope that can't be run.
    """
    plan = source.details
    if not isinstance(plan, ddl.CreateSourcePlan) or source.progress is None:
        raise InternalError("a source without a plan", detail=f"id = {source.id}")
    exports: list[runs.IngestionExport] = []
    is_kafka = isinstance(plan.details, planned.KafkaSource)
    if source.shard is not None:
        exports.append(runs.IngestionExport(source.id, source.shard, source.desc, ""))
    for item in snapshot.items.values():
        is_part = isinstance(item, Source) and item.parent == source.id
        is_table = isinstance(item, Table) and item.source == source.id
        if item.id == source.progress or not (is_part or is_table):
            continue
        assert isinstance(item, Source | Table)
        if item.shard is not None:
            output = item.reference[-1] if item.reference and not is_kafka else ""
            exports.append(runs.IngestionExport(item.id, item.shard, item.desc, output))
    if is_kafka:
        # Each has its own view of the messages.
        exports = [msgspec.structs.replace(export, output=str(export.id)) for export in exports]
    progress = snapshot.item(source.progress)
    assert isinstance(progress, Source)
    assert progress.shard is not None
    return runs.IngestionDescription(
        id=source.id,
        source=_connection(snapshot, source, plan, environment_id),
        exports=tuple(exports),
        remap=runs.IngestionExport(progress.id, progress.shard, progress.desc),
        timestamp_interval_ms=source.timestamp_interval_ms or _DEFAULT_TIMESTAMP_INTERVAL_MS,
    )


def _connection(
    snapshot: CatalogSnapshot, source: Source, plan: ddl.CreateSourcePlan, environment_id: str
) -> runs.SourceConnection:
    match plan.details:
        case planned.LoadGeneratorSource():
            return _load_generator(plan.details)
        case planned.KafkaSource():
            return _kafka_source(snapshot, source, plan.details, environment_id)
        case _:
            raise FeatureNotSupported(f"{source.source_kind} sources")


def _load_generator(details: planned.LoadGeneratorSource) -> runs.LoadGeneratorSource:
    interval = details.tick_interval_us
    return runs.LoadGeneratorSource(
        generator=details.generator.value.replace(" ", "_"),
        tick_ms=_DEFAULT_TICK_MS if interval is None else max(interval // _US_PER_MS, 1),
        scale_factor=details.scale_factor,
        max_cardinality=details.max_cardinality,
        up_to=_up_to(details),
        as_of=details.as_of,
        keys=details.keys,
        partitions=details.partitions,
        snapshot_rounds=details.snapshot_rounds,
        transactional_snapshot=details.transactional_snapshot,
        value_bytes=details.value_size,
        seed=details.seed,
        batch_size=details.batch_size,
        datums=DATUMS if details.generator is planned.LoadGeneratorKind.DATUMS else (),
    )


def _up_to(details: planned.LoadGeneratorSource) -> int | None:
    if details.up_to is not None or details.tick_interval_us is not None:
        return details.up_to
    # TPC-H without a tick is a snapshot that stays as it is.
    return 1 if details.generator is planned.LoadGeneratorKind.TPCH else None


def group_id_prefix(details: planned.KafkaSource, source: GlobalId, environment_id: str) -> str:
    """Return what the consumer group of a Kafka source is called; nothing follows it."""
    return f"{details.group_id_prefix or ''}headwater-{environment_id}-{source}"


def _kafka_source(
    snapshot: CatalogSnapshot,
    source: Source,
    details: planned.KafkaSource,
    environment_id: str,
) -> runs.KafkaSource:
    outputs = []
    if details.contents is not None:
        outputs.append(kafka_output(source.id, source.desc, details.contents))
    for item in snapshot.items.values():
        if isinstance(item, Table) and item.source == source.id:
            plan = item.details
            own = plan.details if isinstance(plan, ddl.CreateTableFromSourcePlan) else None
            if not isinstance(own, planned.KafkaSource) or own.contents is None:
                raise InternalError("a table of a topic without a format", detail=f"id = {item.id}")
            outputs.append(kafka_output(item.id, item.desc, own.contents))
    return runs.KafkaSource(
        connection=kafka_connection(snapshot, details.connection, environment_id),
        topic=details.topic,
        group_id=group_id_prefix(details, source.id, environment_id),
        outputs=tuple(outputs),
        start_offsets=details.start_offsets,
        start_timestamp_ms=details.start_timestamp_ms,
        metadata_refresh_ms=details.topic_metadata_refresh_interval_ms,
    )


def kafka_output(
    id: GlobalId, desc: RelationDesc, contents: planned.KafkaContents
) -> runs.KafkaOutput:
    """Return what a relation makes of a topic's messages.

    Raises:
        FeatureNotSupported: The format or envelope can't be run.
    """
    key = contents.encoding.key
    include = tuple(
        runs.IncludeColumn(
            column.metadata.value, column.name, column.header or "", column.header_as_bytes
        )
        for column in contents.metadata
    )
    names = desc.names
    return runs.KafkaOutput(
        name=str(id),
        key_format=_required_format(key) if key is not None else None,
        value_format=_required_format(contents.encoding.value),
        envelope=_envelope(contents.envelope),
        include=include,
        include_key=tuple(names[column] for column in contents.key_columns)
        if contents.key_included
        else (),
    )


def _envelope(envelope: planned.Envelope) -> runs.Envelope:
    match envelope:
        case planned.UpsertEnvelope(error_column=column):
            return runs.UpsertEnvelope(column)
        case planned.DebeziumEnvelope():
            raise FeatureNotSupported("ENVELOPE DEBEZIUM sources")
        case _:
            return runs.NoneEnvelope()


def kafka_connection(
    snapshot: CatalogSnapshot, id: GlobalId, environment_id: str
) -> runs.KafkaConnection:
    """Return how to reach the Kafka cluster of connection ``id``. Raises: as below."""
    item = snapshot.item(id)
    details = item.details if isinstance(item, Connection) else None
    if not isinstance(details, planned.KafkaConnection):
        raise WrongObjectType(f'"{item.name}" is not a Kafka connection')
    return kafka_options(details, environment_id)


def kafka_options(details: planned.KafkaConnection, environment_id: str) -> runs.KafkaConnection:
    """Return how to reach a Kafka cluster, as librdkafka's options.

    Raises:
        FeatureNotSupported: The connection needs a tunnel or encryption.
    """
    if details.ssh_tunnel or any(b.ssh_tunnel or b.privatelink for b in details.brokers):
        raise FeatureNotSupported("tunnels to Kafka")
    if details.security_protocol is not planned.SecurityProtocol.PLAINTEXT:
        raise FeatureNotSupported(
            f"SECURITY PROTOCOL {details.security_protocol.value}",
            hint="Only PLAINTEXT connections to Kafka are possible for now.",
        )
    return runs.KafkaConnection(
        brokers=",".join(broker.address for broker in details.brokers),
        options={"security.protocol": "PLAINTEXT"},
        progress_topic=details.progress_topic or f"_headwater-progress-{environment_id}",
        progress_replication_factor=details.progress_topic_replication_factor,
    )


def sink_of(
    snapshot: CatalogSnapshot,
    sink: Sink,
    environment_id: str,
    planner: Planner,
) -> runs.SinkDescription:
    """Return the export that a sink stands for.

    Raises:
        FeatureNotSupported: The sink is of a kind or format that can't be run.
    """
    plan = sink.details
    if not isinstance(plan, ddl.CreateSinkPlan):
        raise InternalError("a sink without a plan", detail=f"id = {sink.id}")
    details = plan.details
    if not isinstance(details, planned.KafkaSink):
        raise FeatureNotSupported(f"{sink.sink_kind} sinks")
    on = snapshot.item(sink.on)
    if not isinstance(on, Table | Source | MaterializedView) or on.shard is None:
        raise WrongObjectType(f'{on.kind.noun} "{on.name}" cannot be exported as a sink')
    envelope: runs.UpsertEnvelope | runs.DebeziumEnvelope = runs.DebeziumEnvelope()
    if isinstance(details.envelope, planned.UpsertEnvelope):
        envelope = runs.UpsertEnvelope()
    prefix = details.transactional_id_prefix or ""
    partition_by = None
    if plan.partition_by is not None:
        (partition_by,) = planner.scalars(HirGet(on.id, on.desc), (plan.partition_by,))
    group_prefix = details.progress_group_id_prefix or ""
    return runs.SinkDescription(
        id=sink.id,
        on=sink.on,
        shard=on.shard,
        table=is_txn_table(on),
        desc=on.desc,
        sink=runs.KafkaSink(
            connection=kafka_connection(snapshot, details.connection, environment_id),
            topic=details.topic,
            key=plan.key,
            key_format=_format(details.key_format) if details.key_format is not None else None,
            value_format=_required_format(details.value_format),
            envelope=envelope,
            transactional_id=f"{prefix}headwater-{environment_id}-{sink.id}",
            partition_count=details.topic_partition_count,
            replication_factor=details.topic_replication_factor,
            topic_config=dict(details.topic_config),
            compression=details.compression,
            headers=plan.headers,
            partition_by=partition_by,
            metadata_refresh_ms=details.topic_metadata_refresh_interval_ms,
            progress_group_id=f"{group_prefix}headwater-{environment_id}-{sink.id}",
        ),
        as_of=sink.as_of,
        with_snapshot=sink.with_snapshot,
        version=sink.version,
    )


def _required_format(format: planned.Format) -> runs.Format:
    found = _format(format)
    if found is None:
        raise FeatureNotSupported(f"FORMAT {type(format).__name__.removesuffix('Format').upper()}")
    return found


def _format(format: planned.Format) -> runs.Format | None:
    match format:
        case planned.BytesFormat():
            return runs.BytesFormat()
        case planned.TextFormat():
            return runs.TextFormat()
        case planned.JsonFormat(columns=columns):
            return runs.JsonFormat(tuple((column.name, column.type) for column in columns))
        case planned.CsvFormat(columns=names, delimiter=delimiter, header=header):
            return runs.CsvFormat(names, header, delimiter)
        case _:
            return None
