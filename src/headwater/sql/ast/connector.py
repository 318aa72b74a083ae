"""Sources, sinks, connections: what connects a collection to the world outside."""

from __future__ import annotations

import enum
from typing import TypeAlias

from headwater.sql.ast.base import ColumnDefinition, Node, ObjectName
from headwater.sql.ast.column import Constraint, TableColumn
from headwater.sql.ast.option import Option
from headwater.sql.ast.query import Expr

# --- formats --------------------------------------------------------------------------------------


class SchemaStrategy(Node, frozen=True, gc=False):
    """``LATEST``, ``ID n`` or ``INLINE 'schema'``: at most one field is set."""

    id: int | None = None
    inline: str | None = None


class AvroFormat(Node, frozen=True, gc=False):
    """``AVRO USING CONFLUENT SCHEMA REGISTRY CONNECTION r …`` or ``AVRO USING SCHEMA '…' (…)``."""

    registry: ObjectName | None = None
    options: tuple[Option, ...] = ()
    key_strategy: SchemaStrategy | None = None
    value_strategy: SchemaStrategy | None = None
    schema: str | None = None
    seed: Seed | None = None


class ProtobufFormat(Node, frozen=True, gc=False):
    """``PROTOBUF USING CONFLUENT SCHEMA REGISTRY …``, or ``MESSAGE m USING SCHEMA …``."""

    registry: ObjectName | None = None
    options: tuple[Option, ...] = ()
    message: str | None = None
    schema: str | None = None
    seed: Seed | None = None


class SeedSide(Node, frozen=True, gc=False):
    """The schema of a key or a value, with the message's name for protobuf."""

    schema: str
    message: str | None = None


class Seed(Node, frozen=True, gc=False):
    """``SEED [KEY …] VALUE …``: what purification fetched, kept in stored SQL."""

    key: SeedSide | None
    value: SeedSide


class JsonFormat(Node, frozen=True, gc=False):
    """``JSON``: one jsonb column, or declared columns ``JSON (a int, b text, …)``.

    ``array`` is a webhook's ``JSON ARRAY``.
    """

    columns: tuple[ColumnDefinition, ...] = ()
    array: bool = False


class TextFormat(Node, frozen=True, gc=False):
    """``TEXT``."""


class BytesFormat(Node, frozen=True, gc=False):
    """``BYTES``."""


class CsvFormat(Node, frozen=True, gc=False):
    """``CSV WITH n COLUMNS | WITH HEADER [(names)] [DELIMITED BY 'c']``."""

    columns: int | None
    header: tuple[str, ...] | None = None
    delimiter: str | None = None


class RegexFormat(Node, frozen=True, gc=False):
    """``REGEX '…'``."""

    pattern: str


Format: TypeAlias = (
    AvroFormat | ProtobufFormat | JsonFormat | TextFormat | BytesFormat | CsvFormat | RegexFormat
)

# --- what follows a format ------------------------------------------------------------------------


class IncludeKind(enum.StrEnum):
    """The metadata that INCLUDE adds as columns."""

    KEY = "KEY"
    PARTITION = "PARTITION"
    OFFSET = "OFFSET"
    TIMESTAMP = "TIMESTAMP"
    HEADERS = "HEADERS"
    HEADER = "HEADER"


class HeaderFilter(Node, frozen=True, gc=False):
    """``[NOT] 'header'`` of a webhook's ``INCLUDE HEADERS (…)``."""

    header: str
    negated: bool = False


class Include(Node, frozen=True, gc=False):
    """``INCLUDE kind [AS alias]``; ``header`` and ``bytes`` are HEADER's, ``filters`` HEADERS'."""

    kind: IncludeKind
    alias: str | None = None
    aliases: tuple[str, ...] = ()
    header: str | None = None
    bytes: bool = False
    filters: tuple[HeaderFilter, ...] = ()


class EnvelopeKind(enum.StrEnum):
    """How a source's or a sink's records make updates."""

    NONE = "NONE"
    UPSERT = "UPSERT"
    DEBEZIUM = "DEBEZIUM"
    MATERIALIZE = "MATERIALIZE"


class Envelope(Node, frozen=True, gc=False):
    """``ENVELOPE kind [(VALUE DECODING ERRORS = INLINE | (INLINE AS alias))]``."""

    kind: EnvelopeKind
    inline_errors: bool = False
    inline_errors_alias: str | None = None


class FormatClauses(Node, frozen=True, gc=False):
    """``[FORMAT f | KEY FORMAT k VALUE FORMAT v] [INCLUDE …] [ENVELOPE …]``.

    ``key`` is None for the one-format spelling, where ``value`` holds the format (and decodes a
    registry's key as well); both are None where none is written.
    """

    value: Format | None = None
    key: Format | None = None
    includes: tuple[Include, ...] = ()
    envelope: Envelope | None = None


# --- sources --------------------------------------------------------------------------------------


class ConnectionKind(enum.StrEnum):
    """The systems that connections, sources and sinks reach."""

    KAFKA = "KAFKA"
    CONFLUENT_SCHEMA_REGISTRY = "CONFLUENT SCHEMA REGISTRY"
    POSTGRES = "POSTGRES"
    MYSQL = "MYSQL"
    SQL_SERVER = "SQL SERVER"
    SSH_TUNNEL = "SSH TUNNEL"
    AWS = "AWS"
    AWS_PRIVATELINK = "AWS PRIVATELINK"
    ICEBERG_CATALOG = "ICEBERG CATALOG"


class LoadGeneratorKind(enum.StrEnum):
    """The built-in generators."""

    AUCTION = "AUCTION"
    CLOCK = "CLOCK"
    COUNTER = "COUNTER"
    DATUMS = "DATUMS"
    KEY_VALUE = "KEY VALUE"
    MARKETING = "MARKETING"
    TPCH = "TPCH"


class ConnectionSource(Node, frozen=True, gc=False):
    """``FROM <kind> CONNECTION c [(options)]``."""

    kind: ConnectionKind
    connection: ObjectName
    options: tuple[Option, ...] = ()


class LoadGeneratorSource(Node, frozen=True, gc=False):
    """``FROM LOAD GENERATOR kind [(options)]``."""

    kind: LoadGeneratorKind
    options: tuple[Option, ...] = ()


SourceFrom: TypeAlias = ConnectionSource | LoadGeneratorSource


class ExternalReference(Node, frozen=True, gc=False):
    """``reference [AS name]``: an upstream table, and what it is called here."""

    reference: ObjectName
    name: ObjectName | None = None


class ForAllTables(Node, frozen=True, gc=False):
    """``FOR ALL TABLES``."""


class ForSchemas(Node, frozen=True, gc=False):
    """``FOR SCHEMAS (schema, …)``."""

    schemas: tuple[str, ...]


class ForTables(Node, frozen=True, gc=False):
    """``FOR TABLES (reference [AS name], …)``."""

    tables: tuple[ExternalReference, ...]


class CreateSource(Node, frozen=True, gc=False):
    """``CREATE SOURCE [IF NOT EXISTS] name [(columns)] [IN CLUSTER c] FROM … [clauses]``.

    ``columns`` holds names alone or definitions, as written; ``progress`` is EXPOSE PROGRESS AS.
    """

    name: ObjectName
    from_: SourceFrom
    columns: tuple[str, ...] | tuple[TableColumn, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    in_cluster: ObjectName | None = None
    format: FormatClauses | None = None
    tables: ForAllTables | ForSchemas | ForTables | None = None
    progress: ObjectName | None = None
    options: tuple[Option, ...] = ()
    if_not_exists: bool = False


class CreateSubsource(Node, frozen=True, gc=False):
    """``CREATE SUBSOURCE [IF NOT EXISTS] name (columns) [OF SOURCE s] [WITH (options)]``."""

    name: ObjectName
    columns: tuple[TableColumn, ...]
    constraints: tuple[Constraint, ...] = ()
    of_source: ObjectName | None = None
    options: tuple[Option, ...] = ()
    if_not_exists: bool = False


class WebhookCheckItem(Node, frozen=True, gc=False):
    """``HEADERS | BODY | SECRET name [AS alias] [BYTES]`` of a webhook's ``CHECK (WITH (…))``.

    ``what`` is ``"headers"``, ``"body"`` or the secret.
    """

    what: str | ObjectName
    alias: str | None = None
    bytes: bool = False


class WebhookCheck(Node, frozen=True, gc=False):
    """``CHECK ([WITH (item, …)] condition)``."""

    condition: Expr
    items: tuple[WebhookCheckItem, ...] = ()


class CreateWebhook(Node, frozen=True, gc=False):
    """``CREATE SOURCE | TABLE name [IN CLUSTER c] FROM WEBHOOK BODY FORMAT … [CHECK (…)]``."""

    name: ObjectName
    body: Format
    is_table: bool = False
    in_cluster: ObjectName | None = None
    includes: tuple[Include, ...] = ()
    check: WebhookCheck | None = None
    if_not_exists: bool = False
    or_replace: bool = False


# --- sinks ----------------------------------------------------------------------------------------


class KafkaSinkTarget(Node, frozen=True, gc=False):
    """``KAFKA CONNECTION c (options)``."""

    connection: ObjectName
    options: tuple[Option, ...] = ()


class IcebergSinkTarget(Node, frozen=True, gc=False):
    """``ICEBERG CATALOG CONNECTION c (options) USING AWS CONNECTION a``."""

    connection: ObjectName
    options: tuple[Option, ...] = ()
    aws_connection: ObjectName | None = None


SinkTarget: TypeAlias = KafkaSinkTarget | IcebergSinkTarget


class SinkMode(enum.StrEnum):
    """How an Iceberg sink writes."""

    UPSERT = "UPSERT"
    APPEND = "APPEND"


class CreateSink(Node, frozen=True, gc=False):
    """``CREATE SINK [IF NOT EXISTS] [name] [IN CLUSTER c] FROM relation INTO target …``.

    ``key`` is None where not written. ``format.includes`` is empty.
    """

    name: ObjectName | None
    from_: ObjectName
    into: SinkTarget
    in_cluster: ObjectName | None = None
    key: tuple[str, ...] | None = None
    key_not_enforced: bool = False
    headers: str | None = None
    format: FormatClauses | None = None
    mode: SinkMode | None = None
    options: tuple[Option, ...] = ()
    if_not_exists: bool = False


# --- connections ----------------------------------------------------------------------------------


class CreateConnection(Node, frozen=True, gc=False):
    """``CREATE CONNECTION [IF NOT EXISTS] name TO kind (options) [WITH (options)]``."""

    name: ObjectName
    kind: ConnectionKind
    options: tuple[Option, ...]
    with_options: tuple[Option, ...] = ()
    if_not_exists: bool = False


class ValidateConnection(Node, frozen=True, gc=False):
    """``VALIDATE CONNECTION name``."""

    name: ObjectName
