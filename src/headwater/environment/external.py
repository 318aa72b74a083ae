"""From what was planned to what runs: sources, sinks and connections in the storage layer's words.

The catalog keeps the planner's option structs as JSON values; storage knows nothing of catalog or
SQL and takes ``ir.ingestion``. Secrets are filled in by the adapter before they come here.
"""

import msgspec

from headwater.adapter import controllers as asked
from headwater.errors import FeatureNotSupported
from headwater.ir import ingestion as runs
from headwater.sql.plan import external as planned
from headwater.types.ids import GlobalId
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import NUMERIC, UINT8, range_of

_US_PER_MS = 1_000
# Without a TICK INTERVAL a generator that ticks does so once a second, as documented.
_DEFAULT_TICK_MS = 1_000

KAFKA_PROGRESS = RelationDesc(
    (
        Column("partition", range_of(NUMERIC), nullable=False),
        Column("offset", UINT8, nullable=True),
    )
)
OFFSET_PROGRESS = RelationDesc((Column("offset", UINT8, nullable=True),))


def ingestion(
    description: asked.IngestionDescription, environment_id: str
) -> runs.IngestionDescription:
    """Return the ingestion that storage is to run.

    Raises:
        FeatureNotSupported: The source is of a kind, format or envelope that can't be run.
    """
    details = msgspec.convert(description.options, planned.SourceDetails)
    match details:
        case planned.LoadGeneratorSource():
            source: runs.SourceConnection = _load_generator(details)
            progress = OFFSET_PROGRESS
        case planned.KafkaSource():
            source = _kafka_source(description, details, environment_id)
            progress = KAFKA_PROGRESS
        case _:
            raise FeatureNotSupported(f"{description.source_kind} sources")
    remap = runs.IngestionExport(
        GlobalId(f"{description.id}-remap"), description.remap_shard, progress
    )
    exports = tuple(
        runs.IngestionExport(
            export.id, export.shard, export.desc, export.reference[-1] if export.reference else ""
        )
        for export in description.exports
    )
    return runs.IngestionDescription(id=description.id, source=source, exports=exports, remap=remap)


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
    )


def _up_to(details: planned.LoadGeneratorSource) -> int | None:
    if details.up_to is not None or details.tick_interval_us is not None:
        return details.up_to
    # TPC-H without a tick is a snapshot that stays as it is.
    return 1 if details.generator is planned.LoadGeneratorKind.TPCH else None


def _kafka_source(
    description: asked.IngestionDescription,
    details: planned.KafkaSource,
    environment_id: str,
) -> runs.KafkaSource:
    (export,) = description.exports
    include = tuple(
        runs.IncludeColumn(
            column.metadata.value, column.name, column.header or "", column.header_as_bytes
        )
        for column in details.metadata
    )
    names = export.desc.names
    prefix = details.group_id_prefix or ""
    return runs.KafkaSource(
        connection=kafka_connection(description.connection, environment_id),
        topic=details.topic,
        group_id=f"{prefix}headwater-{environment_id}-{description.id}",
        key_format=_format(details.encoding.key) if details.encoding.key is not None else None,
        value_format=_required_format(details.encoding.value),
        envelope=_source_envelope(description),
        include=include,
        include_key=tuple(names[at] for at in details.key_columns) if details.key_included else (),
        start_offsets=details.start_offsets,
        start_timestamp_ms=details.start_timestamp_ms,
        metadata_refresh_ms=details.topic_metadata_refresh_interval_ms,
    )


def _source_envelope(description: asked.IngestionDescription) -> runs.Envelope:
    envelope = description.options.get("envelope")
    if envelope is None:
        return runs.NoneEnvelope()
    match msgspec.convert(envelope, planned.Envelope):
        case planned.UpsertEnvelope(error_column=column):
            return runs.UpsertEnvelope(column)
        case planned.DebeziumEnvelope():
            return runs.DebeziumEnvelope()
        case _:
            return runs.NoneEnvelope()


def kafka_connection(
    connection: asked.ConnectionDescription | None, environment_id: str
) -> runs.KafkaConnection:
    """Return how to reach a Kafka cluster, as librdkafka's options.

    Raises:
        FeatureNotSupported: The connection needs a tunnel or encryption.
    """
    if connection is None:
        raise FeatureNotSupported("Kafka without a connection")
    details = msgspec.convert(connection.options, planned.KafkaConnection)
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
    )


def sink(description: asked.SinkDescription, environment_id: str) -> runs.SinkDescription:
    """Return the sink that storage is to run.

    Raises:
        FeatureNotSupported: The sink is of a kind or format that can't be run.
    """
    details = msgspec.convert(description.options, planned.SinkDetails)
    if not isinstance(details, planned.KafkaSink):
        raise FeatureNotSupported(f"{description.sink_kind} sinks")
    envelope: runs.UpsertEnvelope | runs.DebeziumEnvelope = runs.DebeziumEnvelope()
    key: tuple[int, ...] | None = None
    if isinstance(details.envelope, planned.UpsertEnvelope):
        envelope = runs.UpsertEnvelope()
    if isinstance(details.envelope, planned.UpsertEnvelope | planned.DebeziumEnvelope):
        key = details.envelope.key_columns or None
    prefix = details.transactional_id_prefix or ""
    return runs.SinkDescription(
        id=description.id,
        on=description.on,
        shard=description.on_shard,
        table=description.on_table,
        desc=description.on_desc,
        sink=runs.KafkaSink(
            connection=kafka_connection(description.connection, environment_id),
            topic=details.topic,
            key=key,
            key_format=_format(details.key_format) if details.key_format is not None else None,
            value_format=_required_format(details.value_format),
            envelope=envelope,
            transactional_id=f"{prefix}headwater-{environment_id}-{description.id}",
            partition_count=details.topic_partition_count,
            replication_factor=details.topic_replication_factor,
            topic_config=dict(details.topic_config),
            compression=details.compression,
        ),
        as_of=description.as_of or 0,
        with_snapshot=description.with_snapshot,
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
