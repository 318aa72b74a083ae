"""What plans say of the world outside: connections, source and sink options, formats, envelopes.

All options are validated and typed; defaults are filled in. A secret travels as its id and is read
by the process that connects.
"""

from enum import StrEnum

import msgspec

from headwater.types.ids import GlobalId
from headwater.types.scalar import ColumnType


class SecretRef(msgspec.Struct, frozen=True, tag_field="kind", tag="secret"):
    """The value of the secret ``id``."""

    id: GlobalId


StringOrSecret = str | SecretRef


class Tls(msgspec.Struct, frozen=True):
    """Certificates in PEM form; None where not given."""

    certificate_authority: StringOrSecret | None = None
    certificate: StringOrSecret | None = None
    key: SecretRef | None = None


class Sasl(msgspec.Struct, frozen=True):
    """SASL credentials; ``mechanism`` as Kafka spells it."""

    mechanism: str
    username: StringOrSecret
    password: SecretRef | None


class Broker(msgspec.Struct, frozen=True):
    """One bootstrap broker and the tunnel to it, if any."""

    address: str
    ssh_tunnel: GlobalId | None = None
    privatelink: GlobalId | None = None
    privatelink_port: int | None = None
    availability_zone: str | None = None


class SecurityProtocol(StrEnum):
    """Kafka's security protocols."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class KafkaConnection(msgspec.Struct, frozen=True, tag_field="kind", tag="kafka"):
    """CREATE CONNECTION … TO KAFKA. ``progress_topic`` None means the default name."""

    brokers: tuple[Broker, ...]
    security_protocol: SecurityProtocol
    sasl: Sasl | None = None
    tls: Tls = Tls()
    ssh_tunnel: GlobalId | None = None
    aws_connection: GlobalId | None = None
    progress_topic: str | None = None
    progress_topic_replication_factor: int | None = None


class RegistryConnection(msgspec.Struct, frozen=True, tag_field="kind", tag="registry"):
    """CREATE CONNECTION … TO CONFLUENT SCHEMA REGISTRY."""

    url: str
    username: StringOrSecret | None = None
    password: SecretRef | None = None
    tls: Tls = Tls()
    ssh_tunnel: GlobalId | None = None
    privatelink: GlobalId | None = None


class DatabaseProduct(StrEnum):
    """The databases that sources read."""

    POSTGRES = "postgres"
    MYSQL = "mysql"
    SQL_SERVER = "sql-server"


class DatabaseConnection(msgspec.Struct, frozen=True, tag_field="kind", tag="database"):
    """CREATE CONNECTION … TO POSTGRES, MYSQL or SQL SERVER; ``ssl_mode`` in that system's words."""

    product: DatabaseProduct
    host: str
    port: int
    database: str | None
    user: StringOrSecret | None
    password: SecretRef | None
    ssl_mode: str
    tls: Tls = Tls()
    ssh_tunnel: GlobalId | None = None
    privatelink: GlobalId | None = None
    aws_connection: GlobalId | None = None


class AwsConnection(msgspec.Struct, frozen=True, tag_field="kind", tag="aws"):
    """CREATE CONNECTION … TO AWS: fixed credentials or a role to assume."""

    region: str | None = None
    endpoint: str | None = None
    access_key_id: StringOrSecret | None = None
    secret_access_key: SecretRef | None = None
    session_token: StringOrSecret | None = None
    assume_role_arn: str | None = None
    assume_role_session_name: str | None = None


class PrivatelinkConnection(msgspec.Struct, frozen=True, tag_field="kind", tag="privatelink"):
    """CREATE CONNECTION … TO AWS PRIVATELINK."""

    service_name: str
    availability_zones: tuple[str, ...]


class SshConnection(msgspec.Struct, frozen=True, tag_field="kind", tag="ssh"):
    """CREATE CONNECTION … TO SSH TUNNEL."""

    host: str
    port: int
    user: str


class IcebergConnection(msgspec.Struct, frozen=True, tag_field="kind", tag="iceberg"):
    """CREATE CONNECTION … TO ICEBERG CATALOG."""

    catalog_type: str
    url: str
    warehouse: str | None = None
    credential: StringOrSecret | None = None
    scope: str | None = None
    aws_connection: GlobalId | None = None


ConnectionDetails = (
    KafkaConnection
    | RegistryConnection
    | DatabaseConnection
    | AwsConnection
    | PrivatelinkConnection
    | SshConnection
    | IcebergConnection
)


# --- formats --------------------------------------------------------------------------------------


class BytesFormat(msgspec.Struct, frozen=True, tag_field="kind", tag="bytes"):
    """One column ``data bytea``."""


class TextFormat(msgspec.Struct, frozen=True, tag_field="kind", tag="text"):
    """One column ``text text``."""


class FormatColumn(msgspec.Struct, frozen=True):
    """A declared column of a decoded message."""

    name: str
    type: ColumnType


class JsonFormat(msgspec.Struct, frozen=True, tag_field="kind", tag="json"):
    """One column ``data jsonb``; or, with ``columns``, the members of these names, converted."""

    columns: tuple[FormatColumn, ...] = ()
    array: bool = False  # webhooks: every element of the body's array is a row


class CsvFormat(msgspec.Struct, frozen=True, tag_field="kind", tag="csv"):
    """Text columns. ``header``: the first line must name the columns."""

    columns: tuple[str, ...]
    delimiter: str = ","
    header: bool = False


class RegexFormat(msgspec.Struct, frozen=True, tag_field="kind", tag="regex"):
    """One text column a capture group."""

    pattern: str
    columns: tuple[str, ...]


class AvroFormat(msgspec.Struct, frozen=True, tag_field="kind", tag="avro"):
    """Avro with a fixed reader schema (JSON text); purify has fetched it from the registry."""

    schema: str
    registry: GlobalId | None
    wire_format: bool = True  # five bytes of magic and schema id precede the datum
    columns: tuple[FormatColumn, ...] = ()


class ProtobufFormat(msgspec.Struct, frozen=True, tag_field="kind", tag="protobuf"):
    """Protobuf messages ``message`` of the compiled ``descriptors``."""

    message: str
    descriptors: bytes
    registry: GlobalId | None
    columns: tuple[FormatColumn, ...] = ()


Format = (
    BytesFormat | TextFormat | JsonFormat | CsvFormat | RegexFormat | AvroFormat | ProtobufFormat
)


class SourceEncoding(msgspec.Struct, frozen=True):
    """How messages are decoded; ``key`` is None where the key is not decoded."""

    value: Format
    key: Format | None = None


class NoneEnvelope(msgspec.Struct, frozen=True, tag_field="kind", tag="none"):
    """Each message is a row that stays."""


class UpsertEnvelope(msgspec.Struct, frozen=True, tag_field="kind", tag="upsert"):
    """The last value of a key counts; a null value deletes it.

    ``error_column`` names the column of inline decoding errors, None if they fail the key.
    """

    key_columns: tuple[int, ...] = ()  # of the source's relation; empty for a sink
    error_column: str | None = None


class DebeziumEnvelope(msgspec.Struct, frozen=True, tag_field="kind", tag="debezium"):
    """Messages hold the row before and after."""

    key_columns: tuple[int, ...] = ()


Envelope = NoneEnvelope | UpsertEnvelope | DebeziumEnvelope


class MetadataKind(StrEnum):
    """What INCLUDE adds beside key and value."""

    PARTITION = "partition"
    OFFSET = "offset"
    TIMESTAMP = "timestamp"
    HEADERS = "headers"
    HEADER = "header"


class MetadataColumn(msgspec.Struct, frozen=True):
    """A metadata column of a Kafka source, in the order of the relation's last columns."""

    metadata: MetadataKind
    name: str
    header: str | None = None  # for HEADER: which
    header_as_bytes: bool = False


# --- sources --------------------------------------------------------------------------------------


class KafkaContents(msgspec.Struct, frozen=True):
    """What a relation makes of a topic's messages.

    Shape: the relation's columns are the key's (if ``key_included``), the value's, an inline error
    column, then ``metadata``; ``key_columns`` and ``value_columns`` say where.
    """

    encoding: SourceEncoding
    envelope: Envelope
    metadata: tuple[MetadataColumn, ...] = ()
    key_columns: tuple[int, ...] = ()
    value_columns: tuple[int, ...] = ()
    key_included: bool = False


class KafkaSource(msgspec.Struct, frozen=True, tag_field="kind", tag="kafka"):
    """FROM KAFKA CONNECTION.

    ``contents`` is None where the source has no FORMAT: tables made FROM SOURCE have theirs.
    """

    connection: GlobalId
    topic: str
    contents: KafkaContents | None = None
    group_id_prefix: str | None = None
    start_offsets: tuple[int, ...] = ()
    start_timestamp_ms: int | None = None  # negative: relative to now
    topic_metadata_refresh_interval_ms: int = 60_000


class LoadGeneratorKind(StrEnum):
    """The load generators."""

    AUCTION = "auction"
    COUNTER = "counter"
    TPCH = "tpch"
    KEY_VALUE = "key value"
    MARKETING = "marketing"
    CLOCK = "clock"
    DATUMS = "datums"


class LoadGeneratorSource(msgspec.Struct, frozen=True, tag_field="kind", tag="load_generator"):
    """FROM LOAD GENERATOR. Fields that a generator does not know are at their defaults."""

    generator: LoadGeneratorKind
    tick_interval_us: int | None = None  # None: once, as fast as it goes
    as_of: int = 0
    up_to: int | None = None
    scale_factor: float = 0.01
    max_cardinality: int | None = None
    keys: int = 0
    snapshot_rounds: int = 1
    transactional_snapshot: bool = True
    value_size: int = 0
    seed: int = 0
    partitions: int = 1
    batch_size: int = 1
    include_offset: str | None = None  # the name of KEY VALUE's offset column


class DatabaseSource(msgspec.Struct, frozen=True, tag_field="kind", tag="database"):
    """FROM POSTGRES, MYSQL or SQL SERVER CONNECTION."""

    product: DatabaseProduct
    connection: GlobalId
    publication: str | None = None
    text_columns: tuple[tuple[str, ...], ...] = ()
    exclude_columns: tuple[tuple[str, ...], ...] = ()


class WebhookCheckColumn(msgspec.Struct, frozen=True):
    """A column that a webhook's CHECK reads: ``what`` is body or headers, unless it is a secret."""

    name: str
    as_bytes: bool
    secret: GlobalId | None = None
    what: str = ""


class WebhookSource(msgspec.Struct, frozen=True, tag_field="kind", tag="webhook"):
    """FROM WEBHOOK; the CHECK expression is in the plan that holds this.

    Shape: the relation's columns are ``body``, the map of headers if there is one, then
    ``headers``. ``check_columns`` are what CHECK is over.
    """

    body: Format
    headers: tuple[MetadataColumn, ...] = ()
    include_headers: str | None = None  # the name of the map column
    header_filter: tuple[tuple[str, bool], ...] = ()  # name, excluded
    check_columns: tuple[WebhookCheckColumn, ...] = ()
    is_table: bool = False


SourceDetails = KafkaSource | LoadGeneratorSource | DatabaseSource | WebhookSource


# --- sinks ----------------------------------------------------------------------------------------


class KafkaSink(msgspec.Struct, frozen=True, tag_field="kind", tag="kafka"):
    """INTO KAFKA CONNECTION."""

    connection: GlobalId
    topic: str
    key_format: Format | None
    value_format: Format
    envelope: Envelope
    compression: str = "lz4"
    transactional_id_prefix: str | None = None
    progress_group_id_prefix: str | None = None
    topic_partition_count: int | None = None
    topic_replication_factor: int | None = None
    topic_config: tuple[tuple[str, str], ...] = ()
    topic_metadata_refresh_interval_ms: int = 60_000
    legacy_ids: bool = False


class IcebergSink(msgspec.Struct, frozen=True, tag_field="kind", tag="iceberg"):
    """INTO ICEBERG CATALOG CONNECTION; ``append`` or upsert mode."""

    connection: GlobalId
    aws_connection: GlobalId | None
    namespace: str
    table: str
    append: bool
    commit_interval_ms: int


SinkDetails = KafkaSink | IcebergSink
