"""FORMAT, INCLUDE and ENVELOPE, of sources, tables from sources, webhooks and sinks."""

from headwater.sql.ast.base import ColumnDefinition
from headwater.sql.ast.connector import (
    AvroFormat,
    BytesFormat,
    CsvFormat,
    Envelope,
    EnvelopeKind,
    Format,
    FormatClauses,
    HeaderFilter,
    Include,
    IncludeKind,
    JsonFormat,
    ProtobufFormat,
    RegexFormat,
    SchemaStrategy,
    Seed,
    SeedSide,
    TextFormat,
)
from headwater.sql.parse.data_type import data_type
from headwater.sql.parse.option import optional_option_list
from headwater.sql.parse.stream import TokenStream


def format_clauses(p: TokenStream) -> FormatClauses | None:
    """Read ``[FORMAT …] [INCLUDE …] [ENVELOPE …]``; None where none of them is there."""
    position = p.position
    key = value = envelope = None
    if p.accept_all("KEY", "FORMAT"):
        key = format_(p)
        p.expect_all("VALUE", "FORMAT")
        value = format_(p)
    elif p.accept("FORMAT"):
        value = format_(p)
    includes = _includes(p) if p.accept("INCLUDE") else ()
    if p.accept("ENVELOPE"):
        envelope = _envelope(p)
    if value is None and not includes and envelope is None:
        return None
    return FormatClauses(value, key, includes, envelope, position=position)


def format_(p: TokenStream) -> Format:
    """Read a format, without the word FORMAT."""
    position = p.position
    kind = p.expect_any("JSON", "TEXT", "BYTES", "CSV", "AVRO", "PROTOBUF", "REGEX")
    if kind == "JSON":
        if p.accept("ARRAY"):
            return JsonFormat(array=True, position=position)
        return JsonFormat(_columns(p) if p.key == "(" else (), position=position)
    if kind == "TEXT":
        return TextFormat(position=position)
    if kind == "BYTES":
        return BytesFormat(position=position)
    if kind == "CSV":
        return _csv(p, position)
    if kind == "AVRO":
        return _avro(p, position)
    if kind == "PROTOBUF":
        return _protobuf(p, position)
    return RegexFormat(p.string("a pattern"), position=position)


def _columns(p: TokenStream) -> tuple[ColumnDefinition, ...]:
    p.expect("(")
    columns = []
    while True:
        position = p.position
        name = p.name("a column")
        columns.append(ColumnDefinition(name, data_type(p), position=position))
        if not p.accept(","):
            break
    p.expect(")")
    return tuple(columns)


def _csv(p: TokenStream, position: int) -> CsvFormat:
    p.expect("WITH")
    count = header = None
    if p.accept("HEADER"):
        header = p.name_list() if p.key == "(" else ()
    else:
        count = p.integer("HEADER or a number of columns")
        p.expect("COLUMNS")
    delimiter = p.string("a delimiter") if p.accept_all("DELIMITED", "BY") else None
    return CsvFormat(count, header, delimiter, position=position)


def _avro(p: TokenStream, position: int) -> AvroFormat:
    p.expect("USING")
    if p.accept("SCHEMA"):
        schema = p.string("a schema")
        return AvroFormat(options=optional_option_list(p), schema=schema, position=position)
    p.expect_all("CONFLUENT", "SCHEMA", "REGISTRY", "CONNECTION")
    registry = p.object_name("a connection")
    options = optional_option_list(p)
    key = _strategy(p) if p.accept_all("KEY", "STRATEGY") else None
    value = _strategy(p) if p.accept_all("VALUE", "STRATEGY") else None
    seed = _seed(p) if p.accept("SEED") else None
    return AvroFormat(registry, options, key, value, seed=seed, position=position)


def _strategy(p: TokenStream) -> SchemaStrategy:
    position = p.position
    kind = p.expect_any("LATEST", "ID", "INLINE")
    if kind == "ID":
        return SchemaStrategy(p.integer(), position=position)
    if kind == "INLINE":
        return SchemaStrategy(inline=p.string("a schema"), position=position)
    return SchemaStrategy(position=position)


def _protobuf(p: TokenStream, position: int) -> ProtobufFormat:
    if p.accept("MESSAGE"):
        message = p.string("a message's name")
        p.expect_all("USING", "SCHEMA")
        schema = p.string("a schema")
        return ProtobufFormat(message=message, schema=schema, position=position)
    p.expect_all("USING", "CONFLUENT", "SCHEMA", "REGISTRY", "CONNECTION")
    registry = p.object_name("a connection")
    options = optional_option_list(p)
    seed = _seed(p) if p.accept("SEED") else None
    return ProtobufFormat(registry, options, seed=seed, position=position)


def _seed(p: TokenStream) -> Seed:
    position = p.position
    key = _seed_side(p) if p.accept("KEY") else None
    p.expect("VALUE")
    return Seed(key, _seed_side(p), position=position)


def _seed_side(p: TokenStream) -> SeedSide:
    position = p.position
    p.expect("SCHEMA")
    schema = p.string("a schema")
    message = p.string("a message's name") if p.accept("MESSAGE") else None
    return SeedSide(schema, message, position=position)


# --- INCLUDE and ENVELOPE -------------------------------------------------------------------------


def _includes(p: TokenStream) -> tuple[Include, ...]:
    found = [_include(p)]
    while p.accept(","):
        found.append(_include(p))
    return tuple(found)


def _include(p: TokenStream) -> Include:
    position = p.position
    kind = IncludeKind(p.expect_any(*IncludeKind.__members__))
    if kind is IncludeKind.HEADER:
        return header(p, position)
    if not p.accept("AS"):
        return Include(kind, position=position)
    if kind is IncludeKind.KEY and p.key == "(":
        return Include(kind, aliases=p.name_list(), position=position)
    return Include(kind, p.label("an alias"), position=position)


def header(p: TokenStream, position: int) -> Include:
    """Read what follows ``INCLUDE HEADER``."""
    name = p.string("a header")
    p.expect("AS")
    alias = p.label("an alias")
    as_bytes = p.accept("BYTES")
    return Include(IncludeKind.HEADER, alias, header=name, bytes=as_bytes, position=position)


def webhook_includes(p: TokenStream) -> tuple[Include, ...]:
    """Read a webhook's ``INCLUDE HEADER …`` and ``INCLUDE HEADERS (…)``, with or without commas."""
    found = []
    while p.accept("INCLUDE"):
        while True:
            found.append(_webhook_include(p))
            if not p.accept(","):
                break
    return tuple(found)


def _webhook_include(p: TokenStream) -> Include:
    position = p.position
    if p.expect_any("HEADER", "HEADERS") == "HEADER":
        return header(p, position)
    filters = []
    if p.accept("("):
        while p.key != ")":
            at = p.position
            negated = p.accept("NOT")
            filters.append(HeaderFilter(p.string("a header"), negated, position=at))
            if not p.accept(","):
                break
        p.expect(")")
    alias = p.label("an alias") if p.accept("AS") else None
    return Include(IncludeKind.HEADERS, alias, filters=tuple(filters), position=position)


def _envelope(p: TokenStream) -> Envelope:
    position = p.position
    kind = EnvelopeKind(p.expect_any("NONE", "UPSERT", "DEBEZIUM", "MATERIALIZE"))
    if kind is not EnvelopeKind.UPSERT or not p.accept("("):
        return Envelope(kind, position=position)
    p.expect_all("VALUE", "DECODING", "ERRORS")
    p.accept("=")
    alias = None
    if p.accept("("):
        p.expect("INLINE")
        alias = p.label("an alias") if p.accept("AS") else None
        p.expect(")")
    else:
        p.expect("INLINE")
    p.expect(")")
    return Envelope(kind, True, alias, position=position)
