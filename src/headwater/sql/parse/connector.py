"""CREATE of sources, webhooks, sinks, connections. Rules are entered after the kind's word."""

from headwater.sql.ast.base import ObjectName
from headwater.sql.ast.connector import (
    ConnectionKind,
    ConnectionSource,
    CreateConnection,
    CreateSink,
    CreateSource,
    CreateSubsource,
    CreateWebhook,
    ExternalReference,
    ForAllTables,
    ForSchemas,
    ForTables,
    IcebergSinkTarget,
    KafkaSinkTarget,
    LoadGeneratorKind,
    LoadGeneratorSource,
    SinkMode,
    SinkTarget,
    SourceFrom,
    WebhookCheck,
    WebhookCheckItem,
)
from headwater.sql.parse.column import names_or_columns, table_columns
from headwater.sql.parse.expression import operand
from headwater.sql.parse.format import format_, format_clauses, webhook_includes
from headwater.sql.parse.option import option_list, optional_option_list, with_options
from headwater.sql.parse.stream import TokenStream

_SOURCE_KINDS = (
    ConnectionKind.KAFKA,
    ConnectionKind.POSTGRES,
    ConnectionKind.MYSQL,
    ConnectionKind.SQL_SERVER,
)


def in_cluster(p: TokenStream) -> ObjectName | None:
    """Read ``IN CLUSTER name``, if it is there."""
    return p.object_name("a cluster") if p.accept_all("IN", "CLUSTER") else None


# --- sources --------------------------------------------------------------------------------------


def create_source(p: TokenStream, position: int) -> CreateSource | CreateWebhook:
    """Read what follows CREATE SOURCE."""
    if_not_exists = p.if_not_exists()
    name = p.object_name("a source")
    columns, constraints = names_or_columns(p)
    cluster = in_cluster(p)
    p.expect("FROM")
    if p.key == "WEBHOOK":
        return _webhook(p, position, name, cluster, if_not_exists)
    from_ = _source_from(p)
    clauses = format_clauses(p)
    tables = _for_tables(p) if p.accept("FOR") else None
    progress = None
    if p.accept_all("EXPOSE", "PROGRESS", "AS"):
        progress = p.object_name("a progress subsource")
    return CreateSource(
        name,
        from_,
        columns,
        constraints,
        cluster,
        clauses,
        tables,
        progress,
        with_options(p),
        if_not_exists,
        position=position,
    )


def create_webhook_table(
    p: TokenStream, position: int, name: ObjectName, *, if_not_exists: bool
) -> CreateWebhook:
    """Read what follows ``CREATE TABLE name FROM``; entered on WEBHOOK."""
    return _webhook(p, position, name, None, if_not_exists, is_table=True)


def _source_from(p: TokenStream) -> SourceFrom:
    position = p.position
    if p.accept_all("LOAD", "GENERATOR"):
        for generator in LoadGeneratorKind:
            if p.accept_all(*generator.split()):
                return LoadGeneratorSource(generator, optional_option_list(p), position=position)
        p.fail(*(generator.value for generator in LoadGeneratorKind))
    for kind in _SOURCE_KINDS:
        if p.accept_all(*kind.split()):
            p.expect("CONNECTION")
            connection = p.object_name("a connection")
            options = optional_option_list(p)
            return ConnectionSource(kind, connection, options, position=position)
    p.fail(*(kind.value for kind in _SOURCE_KINDS), "LOAD GENERATOR", "WEBHOOK")


def _for_tables(p: TokenStream) -> ForAllTables | ForSchemas | ForTables:
    position = p.position
    if p.accept("ALL"):
        p.expect("TABLES")
        return ForAllTables(position=position)
    if p.expect_any("SCHEMAS", "TABLES") == "SCHEMAS":
        return ForSchemas(p.name_list("a schema"), position=position)
    p.expect("(")
    tables = external_references(p)
    p.expect(")")
    return ForTables(tables, position=position)


def external_references(p: TokenStream) -> tuple[ExternalReference, ...]:
    """Read ``reference [AS name], …``."""
    found = []
    while True:
        position = p.position
        reference = p.object_name("an upstream table")
        name = p.object_name("a table") if p.accept_any(("AS", "INTO")) else None
        found.append(ExternalReference(reference, name, position=position))
        if not p.accept(","):
            return tuple(found)


def create_subsource(p: TokenStream, position: int) -> CreateSubsource:
    """Read what follows CREATE SUBSOURCE."""
    if_not_exists = p.if_not_exists()
    name = p.object_name("a subsource")
    columns, constraints = table_columns(p)
    of = p.object_name("a source") if p.accept_all("OF", "SOURCE") else None
    return CreateSubsource(
        name, columns, constraints, of, with_options(p), if_not_exists, position=position
    )


# --- webhooks -------------------------------------------------------------------------------------


def _webhook(
    p: TokenStream,
    position: int,
    name: ObjectName,
    cluster: ObjectName | None,
    if_not_exists: bool,
    *,
    is_table: bool = False,
) -> CreateWebhook:
    p.expect_all("WEBHOOK", "BODY", "FORMAT")
    body = format_(p)
    includes = webhook_includes(p)
    check = _check(p) if p.key == "CHECK" else None
    return CreateWebhook(
        name, body, is_table, cluster, includes, check, if_not_exists, position=position
    )


def _check(p: TokenStream) -> WebhookCheck:
    position = p.position
    p.expect_all("CHECK", "(")
    items = []
    if p.accept_all("WITH", "("):
        while True:
            items.append(_check_item(p))
            if not p.accept(","):
                break
        p.expect(")")
    condition = operand(p, 0)
    p.expect(")")
    return WebhookCheck(condition, tuple(items), position=position)


def _check_item(p: TokenStream) -> WebhookCheckItem:
    position = p.position
    kind = p.expect_any("HEADERS", "BODY", "SECRET")
    what = p.object_name("a secret") if kind == "SECRET" else kind.lower()
    alias = p.label("an alias") if p.accept("AS") else None
    return WebhookCheckItem(what, alias, p.accept("BYTES"), position=position)


# --- sinks ----------------------------------------------------------------------------------------


def create_sink(p: TokenStream, position: int) -> CreateSink:
    """Read what follows CREATE SINK."""
    if_not_exists = p.if_not_exists()
    anonymous = p.key in ("FROM", "IN") and p.peek() != "."
    name = None if anonymous else p.object_name("a sink")
    cluster = in_cluster(p)
    p.expect("FROM")
    from_ = p.object_name("a relation")
    p.expect("INTO")
    into = _sink_target(p)
    key = None
    not_enforced = False
    if p.key == "KEY" and p.peek() == "(":
        p.advance()
        key = p.name_list()
        not_enforced = p.accept_all("NOT", "ENFORCED")
    headers = p.name("a column") if p.accept("HEADERS") else None
    clauses = format_clauses(p)
    mode = SinkMode(p.expect_any("UPSERT", "APPEND")) if p.accept("MODE") else None
    return CreateSink(
        name,
        from_,
        into,
        cluster,
        key,
        not_enforced,
        headers,
        clauses,
        mode,
        with_options(p),
        if_not_exists,
        position=position,
    )


def _sink_target(p: TokenStream) -> SinkTarget:
    position = p.position
    if p.accept_all("ICEBERG", "CATALOG"):
        p.expect("CONNECTION")
        catalog = p.object_name("a connection")
        options = optional_option_list(p)
        aws = None
        if p.accept_all("USING", "AWS", "CONNECTION"):
            aws = p.object_name("a connection")
        return IcebergSinkTarget(catalog, options, aws, position=position)
    if p.key != "KAFKA":
        p.fail("KAFKA", "ICEBERG CATALOG")
    p.expect_all("KAFKA", "CONNECTION")
    connection = p.object_name("a connection")
    return KafkaSinkTarget(connection, optional_option_list(p), position=position)


# --- connections ----------------------------------------------------------------------------------


def create_connection(p: TokenStream, position: int) -> CreateConnection:
    """Read what follows CREATE CONNECTION."""
    if_not_exists = p.if_not_exists()
    name = p.object_name("a connection")
    p.expect_any("TO", "FOR")
    kind = next(
        (kind for kind in _BY_LENGTH if p.accept_all(*kind.split())),
        None,
    )
    if kind is None:
        p.fail(*(kind.value for kind in ConnectionKind))
    options = option_list(p) if p.key == "(" else ()
    return CreateConnection(name, kind, options, with_options(p), if_not_exists, position=position)


_BY_LENGTH = sorted(ConnectionKind, key=lambda kind: -len(kind))
