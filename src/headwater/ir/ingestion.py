"""What a replica needs to know to run a source or a sink: complete, free of the catalog.

An *ingestion* reads one external system and writes one or more durable collections, its exports,
and the remap collection that binds its offsets to our times. A *sink* follows one collection and
writes it outside. Both run on one replica of their cluster at a time.
"""

import msgspec

from headwater.ir.scalar import ScalarExpr
from headwater.types.ids import GlobalId, ShardId
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ColumnType, ScalarType

# --- Connections ---------------------------------------------------------------------------------


class KafkaConnection(msgspec.Struct, frozen=True, tag_field="kind", tag="kafka"):
    """How to reach a Kafka cluster. ``options`` are librdkafka's, secrets resolved.

    ``brokers`` is the bootstrap list ``host:port,…``.
    """

    brokers: str
    options: dict[str, str]
    progress_topic: str
    progress_replication_factor: int | None = None


# --- Formats and envelopes -----------------------------------------------------------------------


class JsonFormat(msgspec.Struct, frozen=True, tag_field="kind", tag="json"):
    """JSON: one jsonb column, or the declared ``columns``, matched by name.

    With declared columns a missing member is NULL, an extra one is ignored, and a value that is
    not of the column's type makes the record an error.
    """

    columns: tuple[tuple[str, ColumnType], ...] = ()


class TextFormat(msgspec.Struct, frozen=True, tag_field="kind", tag="text"):
    """One text column; bytes that are not UTF-8 make the record an error."""


class BytesFormat(msgspec.Struct, frozen=True, tag_field="kind", tag="bytes"):
    """One bytea column."""


class CsvFormat(msgspec.Struct, frozen=True, tag_field="kind", tag="csv"):
    """``columns`` text columns, named by the header where ``header`` (then it is checked)."""

    columns: tuple[str, ...]
    header: bool = False
    delimiter: str = ","


Format = JsonFormat | TextFormat | BytesFormat | CsvFormat


class NoneEnvelope(msgspec.Struct, frozen=True, tag_field="kind", tag="none"):
    """Each message is a row, for ever."""


class UpsertEnvelope(msgspec.Struct, frozen=True, tag_field="kind", tag="upsert"):
    """The last value of each key holds; a null value deletes.

    With ``inline_errors`` a value that can't be decoded gives a row whose ``error`` record says
    why, instead of an error under its key.
    """

    inline_errors: str | None = None


class DebeziumEnvelope(msgspec.Struct, frozen=True, tag_field="kind", tag="debezium"):
    """Values are ``{before, after}`` pairs."""


Envelope = NoneEnvelope | UpsertEnvelope | DebeziumEnvelope


class IncludeColumn(msgspec.Struct, frozen=True):
    """A metadata column: ``what`` is key, partition, offset, timestamp, headers or header."""

    what: str
    name: str
    header: str = ""
    as_bytes: bool = False


# --- Sources -------------------------------------------------------------------------------------


class KafkaOutput(msgspec.Struct, frozen=True):
    """What one collection makes of a topic's messages.

    Shape of the export ``name``: the key's columns if included, the value's columns, then
    ``include``'s in order, as the export's desc says. UPSERT: the key's columns first, and they are
    its key.
    """

    name: str
    key_format: Format | None
    value_format: Format
    envelope: Envelope
    include: tuple[IncludeColumn, ...] = ()
    include_key: tuple[str, ...] = ()  # names of the key's columns, in order; empty: not included


class KafkaSource(msgspec.Struct, frozen=True, tag_field="kind", tag="kafka"):
    """A Kafka topic and what is made of it.

    ``start_timestamp_ms`` is since the epoch, or relative to now where it is negative.
    """

    connection: KafkaConnection
    topic: str
    group_id: str
    outputs: tuple[KafkaOutput, ...]
    start_offsets: tuple[int, ...] = ()
    start_timestamp_ms: int | None = None
    metadata_refresh_ms: int = 30_000


class LoadGeneratorSource(msgspec.Struct, frozen=True, tag_field="kind", tag="load_generator"):
    """Invented data, the same for the same options.

    Attributes:
        generator: auction, counter, tpch, key_value, clock, datums or marketing.
        tick_ms: Time between rounds.
        scale_factor: TPCH's.
        max_cardinality: COUNTER: how many rows there are at most.
        up_to: Stop after this offset.
        as_of: Begin as if at this offset.
        keys, partitions, snapshot_rounds, value_bytes, seed, batch_size: KEY VALUE's.
        datums: DATUMS' columns: type, and values in their text form.
    """

    generator: str
    tick_ms: int = 1_000
    scale_factor: float = 0.01
    max_cardinality: int | None = None
    up_to: int | None = None
    as_of: int = 0
    keys: int = 0
    partitions: int = 1
    snapshot_rounds: int = 1
    transactional_snapshot: bool = True
    value_bytes: int = 0
    seed: int = 0
    batch_size: int = 1
    datums: tuple[tuple[ScalarType, tuple[str | None, ...]], ...] = ()


SourceConnection = KafkaSource | LoadGeneratorSource


class IngestionExport(msgspec.Struct, frozen=True):
    """One collection that an ingestion writes; ``output`` is the upstream table's name or ""."""

    id: GlobalId
    shard: ShardId
    desc: RelationDesc
    output: str = ""


class IngestionDescription(msgspec.Struct, frozen=True):
    """A running source.

    ``remap`` is the durable collection of bindings from offsets to times; its rows are the
    progress collection's: Kafka ``(partition numrange, offset uint8)``, others ``(offset uint8)``.
    """

    id: GlobalId
    source: SourceConnection
    exports: tuple[IngestionExport, ...]
    remap: IngestionExport
    timestamp_interval_ms: int = 1_000


# --- Sinks ---------------------------------------------------------------------------------------


class KafkaSink(msgspec.Struct, frozen=True, tag_field="kind", tag="kafka"):
    """A Kafka topic to write to, transactionally, with the progress in ``progress_topic``.

    ``key`` are column indexes of the collection; None writes no keys. ``envelope`` is upsert or
    debezium. ``key_format`` None writes keys in ``value_format``.
    """

    connection: KafkaConnection
    topic: str
    key: tuple[int, ...] | None
    key_format: Format | None
    value_format: Format
    envelope: UpsertEnvelope | DebeziumEnvelope
    transactional_id: str
    partition_count: int | None = None
    replication_factor: int | None = None
    topic_config: dict[str, str] = {}
    compression: str = "lz4"
    headers: int | None = None  # the column of a map whose entries become headers
    partition_by: ScalarExpr | None = None  # over the collection's columns, uint8
    metadata_refresh_ms: int = 60_000
    progress_group_id: str = ""


class SinkDescription(msgspec.Struct, frozen=True):
    """A running sink.

    Frontiers: begins with the collection as of ``as_of`` if ``with_snapshot`` and nothing was
    written before; otherwise goes on from the recorded progress.
    """

    id: GlobalId
    on: GlobalId
    shard: ShardId
    table: bool
    desc: RelationDesc
    sink: KafkaSink
    as_of: int
    with_snapshot: bool = True
    version: int = 0
