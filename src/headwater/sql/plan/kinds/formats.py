"""FORMAT, INCLUDE and ENVELOPE of sources and sinks."""

from collections.abc import Sequence

from headwater.errors import (
    DuplicateColumn,
    FeatureNotSupported,
    InvalidParameterValue,
    SyntaxError_,
)
from headwater.sql.ast import connector
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.external import (
    AvroFormat,
    BytesFormat,
    CsvFormat,
    DebeziumEnvelope,
    Envelope,
    Format,
    FormatColumn,
    JsonFormat,
    KafkaContents,
    MetadataColumn,
    MetadataKind,
    NoneEnvelope,
    ProtobufFormat,
    RegexFormat,
    SourceEncoding,
    TextFormat,
    UpsertEnvelope,
)
from headwater.sql.plan.kinds.connections import connection_id
from headwater.sql.plan.queries.table_functions import capture_groups
from headwater.sql.resolve.datatypes import resolve_type
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import (
    BYTEA,
    INT4,
    JSONB,
    TEXT,
    TIMESTAMP,
    UINT8,
    ColumnType,
    ScalarType,
    list_of,
    record_of,
)

_HEADERS = list_of(record_of(("key", ColumnType(TEXT, False)), ("value", ColumnType(BYTEA, True))))
_ERROR_COLUMN = "error"
_ERROR_TYPE = record_of(("description", ColumnType(TEXT, False)))
_METADATA_TYPES: dict[MetadataKind, tuple[ScalarType, bool]] = {
    MetadataKind.PARTITION: (INT4, False),
    MetadataKind.OFFSET: (UINT8, False),
    MetadataKind.TIMESTAMP: (TIMESTAMP, False),
    MetadataKind.HEADERS: (_HEADERS, False),
}


def plan_format(ctx: StatementContext, node: connector.Format, *, is_key: bool = False) -> Format:
    """Return one format. Raises: FeatureNotSupported, InvalidParameterValue."""
    if isinstance(node, connector.BytesFormat):
        return BytesFormat()
    if isinstance(node, connector.TextFormat):
        return TextFormat()
    if isinstance(node, connector.JsonFormat):
        columns = tuple(
            FormatColumn(c.name, ColumnType(resolve_type(c.data_type, ctx.names), True))
            for c in node.columns
        )
        _check_distinct([column.name for column in columns], node.position)
        return JsonFormat(columns, node.array)
    if isinstance(node, connector.CsvFormat):
        return _csv(node)
    if isinstance(node, connector.RegexFormat):
        names = capture_groups(node.pattern)
        if not names:
            raise InvalidParameterValue(
                "source regex has no capture groups", position=node.position
            )
        return RegexFormat(node.pattern, tuple(names))
    if isinstance(node, connector.AvroFormat):
        return _avro(ctx, node, is_key=is_key)
    return _protobuf(ctx, node, is_key=is_key)


def _csv(node: connector.CsvFormat) -> Format:
    delimiter = "," if node.delimiter is None else node.delimiter
    if len(delimiter.encode()) != 1:
        raise InvalidParameterValue(
            "CSV delimiter must be an ASCII character", position=node.position
        )
    if node.header is not None:
        if not node.header:
            raise FeatureNotSupported(
                "CSV WITH HEADER requires the columns' names", position=node.position
            )
        return CsvFormat(node.header, delimiter, True)
    count = node.columns or 0
    return CsvFormat(tuple(f"column{number}" for number in range(1, count + 1)), delimiter)


def _avro(ctx: StatementContext, node: connector.AvroFormat, *, is_key: bool) -> Format:
    if node.registry is None:
        return AvroFormat(node.schema or "", None, wire_format=True)
    registry = connection_id(ctx, node.registry)
    if node.seed is None:
        # Purification fetches the schema and writes it into the statement as its seed.
        return AvroFormat("", registry)
    side = node.seed.key if is_key and node.seed.key is not None else node.seed.value
    return AvroFormat(side.schema, registry)


def _protobuf(ctx: StatementContext, node: connector.ProtobufFormat, *, is_key: bool) -> Format:
    if node.registry is None:
        if node.message is None or node.schema is None:
            raise SyntaxError_("PROTOBUF requires MESSAGE and SCHEMA", position=node.position)
        return ProtobufFormat(node.message, node.schema.encode(), None)
    registry = connection_id(ctx, node.registry)
    if node.seed is None:
        return ProtobufFormat("", b"", registry)
    side = node.seed.key if is_key and node.seed.key is not None else node.seed.value
    return ProtobufFormat(side.message or "", side.schema.encode(), registry)


def value_columns(format: Format) -> list[Column]:
    """Return the columns that decoding a value yields."""
    if isinstance(format, BytesFormat):
        return [Column("data", BYTEA, True)]
    if isinstance(format, TextFormat):
        return [Column("text", TEXT, True)]
    if isinstance(format, JsonFormat) and not format.columns:
        return [Column("data", JSONB, True)]
    if isinstance(format, CsvFormat | RegexFormat):
        return [Column(name, TEXT, True) for name in format.columns]
    return [Column(c.name, c.type.type, c.type.nullable) for c in format.columns]


def key_columns(format: Format, alias: str | None, aliases: Sequence[str]) -> list[Column]:
    """Return the columns that decoding a key yields, under the names that INCLUDE KEY gives."""
    found = value_columns(format)
    is_one = isinstance(format, BytesFormat | TextFormat | JsonFormat) and not (
        isinstance(format, JsonFormat) and format.columns
    )
    if is_one:
        found = [Column("key", found[0].type, found[0].nullable)]
    names = (alias,) if alias is not None else tuple(aliases)
    if not names:
        return found
    if len(names) != len(found):
        raise InvalidParameterValue(
            f"INCLUDE KEY names {len(names)} columns but the key has {len(found)}"
        )
    return [Column(n, c.type, c.nullable) for n, c in zip(names, found, strict=True)]


class SourceShape:
    """The columns of a Kafka source and what each is.

    Attributes:
        encoding: How key and value are decoded.
        envelope: With the columns of its key.
        metadata: INCLUDE's columns.
        desc: All columns: key, value, inline error, metadata.
        key: Where the key's columns are.
        value: Where the value's columns are.
        key_included: Whether the key's columns are the user's to see.
    """

    __slots__ = ("desc", "encoding", "envelope", "key", "key_included", "metadata", "value")

    @property
    def contents(self) -> KafkaContents:
        """Return all of it as what a source or table of a topic holds."""
        return KafkaContents(
            self.encoding, self.envelope, self.metadata, self.key, self.value, self.key_included
        )

    def __init__(self, ctx: StatementContext, node: connector.FormatClauses, position: int) -> None:
        if node.value is None:
            raise InvalidParameterValue("Source format must be specified", position=position)
        value = plan_format(ctx, node.value)
        key = None if node.key is None else plan_format(ctx, node.key, is_key=True)
        kind = connector.EnvelopeKind.NONE if node.envelope is None else node.envelope.kind
        include = next((i for i in node.includes if i.kind is connector.IncludeKind.KEY), None)
        if kind is connector.EnvelopeKind.MATERIALIZE:
            raise FeatureNotSupported("ENVELOPE MATERIALIZE is not supported", position=position)
        is_upsert = kind is connector.EnvelopeKind.UPSERT
        if (is_upsert or include is not None) and key is None:
            clause = "ENVELOPE UPSERT" if is_upsert else "INCLUDE KEY"
            raise InvalidParameterValue(
                f"{clause} requires specifying KEY FORMAT .. VALUE FORMAT, got bare FORMAT",
                position=position,
            )
        self.encoding = SourceEncoding(value, key)
        self.key_included = include is not None or is_upsert
        columns: list[Column] = []
        if key is not None and self.key_included:
            alias = None if include is None else include.alias
            aliases = () if include is None else include.aliases
            columns.extend(key_columns(key, alias, aliases))
        self.key = tuple(range(len(columns)))
        columns.extend(value_columns(value))
        self.value = tuple(range(len(self.key), len(columns)))
        error = self._inline_error(node.envelope)
        if error is not None:
            columns.append(Column(error, _ERROR_TYPE, True))
        self.metadata = self._metadata(node.includes, columns)
        _check_distinct([column.name for column in columns], position)
        keys: tuple[tuple[int, ...], ...] = ()
        self.envelope: Envelope = NoneEnvelope()
        if is_upsert:
            keys = (self.key,)
            self.envelope = UpsertEnvelope(self.key, error)
        elif kind is connector.EnvelopeKind.DEBEZIUM:
            self.envelope = DebeziumEnvelope(self.key)
        self.desc = RelationDesc(tuple(columns), keys)

    def _inline_error(self, envelope: connector.Envelope | None) -> str | None:
        if envelope is None or not envelope.inline_errors:
            return None
        return envelope.inline_errors_alias or _ERROR_COLUMN

    def _metadata(
        self, includes: Sequence[connector.Include], columns: list[Column]
    ) -> tuple[MetadataColumn, ...]:
        found = []
        for include in includes:
            if include.kind is connector.IncludeKind.KEY:
                continue
            kind = MetadataKind(include.kind.value.lower())
            if kind is MetadataKind.HEADER:
                assert include.alias is not None
                type = BYTEA if include.bytes else TEXT
                columns.append(Column(include.alias, type, True))
                found.append(MetadataColumn(kind, include.alias, include.header, include.bytes))
                continue
            name = include.alias or kind.value
            type, nullable = _METADATA_TYPES[kind]
            columns.append(Column(name, type, nullable))
            found.append(MetadataColumn(kind, name))
        return tuple(found)


def _check_distinct(names: Sequence[str], position: int) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise DuplicateColumn(f'column "{name}" specified more than once', position=position)
