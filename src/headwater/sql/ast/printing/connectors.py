"""Sources, sinks, connections, clusters, roles and privileges as SQL."""

from headwater.sql.ast.base import ObjectKind, ObjectName
from headwater.sql.ast.connector import (
    AvroFormat,
    BytesFormat,
    ConnectionSource,
    CreateConnection,
    CreateSink,
    CreateSource,
    CreateSubsource,
    CreateWebhook,
    CsvFormat,
    Envelope,
    ExternalReference,
    ForAllTables,
    FormatClauses,
    ForSchemas,
    ForTables,
    HeaderFilter,
    IcebergSinkTarget,
    Include,
    IncludeKind,
    JsonFormat,
    KafkaSinkTarget,
    LoadGeneratorSource,
    ProtobufFormat,
    RegexFormat,
    SchemaStrategy,
    Seed,
    SeedSide,
    TextFormat,
    ValidateConnection,
    WebhookCheck,
    WebhookCheckItem,
)
from headwater.sql.ast.control import (
    AlterDefaultPrivileges,
    AlterRoleAttributes,
    AlterRoleReset,
    AlterRoleSet,
    CreateCluster,
    CreateClusterReplica,
    CreateNetworkPolicy,
    CreateRole,
    GrantPrivileges,
    GrantRole,
    GrantTarget,
    Privilege,
    RevokePrivileges,
    RevokeRole,
    RoleAttribute,
    RoleAttributeKind,
)
from headwater.sql.ast.keywords import quote
from headwater.sql.ast.printing.objects import definitions
from headwater.sql.ast.printing.options import listed, with_options
from headwater.sql.ast.printing.rows import plural, values, variable
from headwater.sql.ast.printing.writer import Rules, Writer, columns, name, names, when, words

_IF_NOT_EXISTS = "IF NOT EXISTS "

# --- formats --------------------------------------------------------------------------------------


def _clauses(w: Writer, node: FormatClauses) -> str:
    shown = ""
    if node.value is not None and node.key is not None:
        shown = f"KEY FORMAT {w.node(node.key)} VALUE FORMAT {w.node(node.value)}"
    elif node.value is not None:
        shown = f"FORMAT {w.node(node.value)}"
    includes = f"INCLUDE {w.nodes(node.includes)}" if node.includes else ""
    return words(shown, includes, None if node.envelope is None else w.node(node.envelope))


def _registry(w: Writer, node: AvroFormat | ProtobufFormat) -> str:
    registry = "" if node.registry is None else name(node.registry)
    return f"USING CONFLUENT SCHEMA REGISTRY CONNECTION {registry}{listed(w, node.options)}"


def _avro(w: Writer, node: AvroFormat) -> str:
    if node.schema is not None:
        return f"AVRO USING SCHEMA {w.string(node.schema)}{listed(w, node.options)}"
    return (
        f"AVRO {_registry(w, node)}"
        + w.optional("KEY STRATEGY ", node.key_strategy)
        + w.optional("VALUE STRATEGY ", node.value_strategy)
        + w.optional("SEED ", node.seed)
    )


def _protobuf(w: Writer, node: ProtobufFormat) -> str:
    if node.message is not None and node.schema is not None:
        message, schema = w.string(node.message), w.string(node.schema)
        return f"PROTOBUF MESSAGE {message} USING SCHEMA {schema}"
    return f"PROTOBUF {_registry(w, node)}{w.optional('SEED ', node.seed)}"


def _strategy(w: Writer, node: SchemaStrategy) -> str:
    if node.id is not None:
        return f"ID {node.id}"
    return "LATEST" if node.inline is None else f"INLINE {w.string(node.inline)}"


def _seed(w: Writer, node: Seed) -> str:
    key = "" if node.key is None else f"KEY {w.node(node.key)} "
    return f"{key}VALUE {w.node(node.value)}"


def _seed_side(w: Writer, node: SeedSide) -> str:
    message = "" if node.message is None else f" MESSAGE {w.string(node.message)}"
    return f"SCHEMA {w.string(node.schema)}{message}"


def _json(w: Writer, node: JsonFormat) -> str:
    declared = f" ({w.nodes(node.columns)})" if node.columns else ""
    return f"JSON{when(node.array, ' ARRAY')}{declared}"


def _csv(w: Writer, node: CsvFormat) -> str:
    head = f"{node.columns} COLUMNS"
    if node.header is not None:
        head = f"HEADER{columns(node.header)}"
    delimiter = "" if node.delimiter is None else f" DELIMITED BY {w.string(node.delimiter)}"
    return f"CSV WITH {head}{delimiter}"


def _include(w: Writer, node: Include) -> str:
    text: str = node.kind
    if node.header is not None:
        text += f" {w.string(node.header)}"
    if node.filters:
        text += f" ({w.nodes(node.filters)})"
    if node.aliases:
        text += f" AS ({names(node.aliases)})"
    elif node.alias is not None:
        text += f" AS {quote(node.alias)}"
    return text + when(node.bytes and node.kind is IncludeKind.HEADER, " BYTES")


def _header_filter(w: Writer, node: HeaderFilter) -> str:
    return when(node.negated, "NOT ") + w.string(node.header)


def _envelope(w: Writer, node: Envelope) -> str:
    errors = ""
    if node.inline_errors:
        alias = node.inline_errors_alias
        inline = "INLINE" if alias is None else f"(INLINE AS {quote(alias)})"
        errors = f" (VALUE DECODING ERRORS = {inline})"
    return f"ENVELOPE {node.kind}{errors}"


# --- sources --------------------------------------------------------------------------------------


def _cluster(w: Writer, cluster: ObjectName | None) -> str:
    return w.optional("IN CLUSTER ", cluster)


def _source(w: Writer, node: CreateSource) -> str:
    target = when(node.if_not_exists, _IF_NOT_EXISTS) + name(node.name)
    return (
        f"CREATE SOURCE {target}{definitions(w, node.columns, node.constraints)}"
        + _cluster(w, node.in_cluster)
        + f" FROM {w.node(node.from_)}"
        + w.optional("", node.format)
        + w.optional("FOR ", node.tables)
        + w.optional("EXPOSE PROGRESS AS ", node.progress)
        + with_options(w, node.options)
    )


def _connection_source(w: Writer, node: ConnectionSource) -> str:
    return f"{node.kind} CONNECTION {name(node.connection)}{listed(w, node.options)}"


def _reference(w: Writer, node: ExternalReference) -> str:
    return name(node.reference) + w.optional("AS ", node.name)


def _subsource(w: Writer, node: CreateSubsource) -> str:
    target = when(node.if_not_exists, _IF_NOT_EXISTS) + name(node.name)
    body = definitions(w, node.columns, node.constraints) or " ()"
    of = w.optional("OF SOURCE ", node.of_source)
    return f"CREATE SUBSOURCE {target}{body}{of}{with_options(w, node.options)}"


def _webhook(w: Writer, node: CreateWebhook) -> str:
    kind = "TABLE" if node.is_table else "SOURCE"
    target = when(node.if_not_exists, _IF_NOT_EXISTS) + name(node.name)
    includes = "".join([f" INCLUDE {w.node(include)}" for include in node.includes])
    text = f"CREATE {kind} {target}{_cluster(w, node.in_cluster)} FROM WEBHOOK"
    return f"{text} BODY FORMAT {w.node(node.body)}{includes}{w.optional('', node.check)}"


def _check(w: Writer, node: WebhookCheck) -> str:
    items = f"WITH ({w.nodes(node.items)}) " if node.items else ""
    return f"CHECK ({items}{w.node(node.condition)})"


def _check_item(w: Writer, node: WebhookCheckItem) -> str:
    what = node.what.upper() if isinstance(node.what, str) else f"SECRET {name(node.what)}"
    alias = "" if node.alias is None else f" AS {quote(node.alias)}"
    return what + alias + when(node.bytes, " BYTES")


# --- sinks and connections ------------------------------------------------------------------------


def _sink(w: Writer, node: CreateSink) -> str:
    target = when(node.if_not_exists, " IF NOT EXISTS") + w.optional("", node.name)
    key = ""
    if node.key is not None:
        key = f" KEY ({names(node.key)}){when(node.key_not_enforced, ' NOT ENFORCED')}"
    headers = "" if node.headers is None else f" HEADERS {quote(node.headers)}"
    mode = "" if node.mode is None else f" MODE {node.mode}"
    return (
        f"CREATE SINK{target}{_cluster(w, node.in_cluster)} FROM {name(node.from_)}"
        + f" INTO {w.node(node.into)}{key}{headers}"
        + w.optional("", node.format)
        + mode
        + with_options(w, node.options)
    )


def _iceberg(w: Writer, node: IcebergSinkTarget) -> str:
    aws = w.optional("USING AWS CONNECTION ", node.aws_connection)
    return f"ICEBERG CATALOG CONNECTION {name(node.connection)}{listed(w, node.options)}{aws}"


def _connection(w: Writer, node: CreateConnection) -> str:
    target = when(node.if_not_exists, _IF_NOT_EXISTS) + name(node.name)
    options = f" ({w.nodes(node.options)})"
    return f"CREATE CONNECTION {target} TO {node.kind}{options}{with_options(w, node.with_options)}"


# --- clusters and policies ------------------------------------------------------------------------


def _create_cluster(w: Writer, node: CreateCluster) -> str:
    features = f" FEATURES ({w.nodes(node.features)})" if node.features else ""
    target = when(node.if_not_exists, _IF_NOT_EXISTS) + quote(node.name)
    return f"CREATE CLUSTER {target} ({w.nodes(node.options)}){features}"


def _create_replica(w: Writer, node: CreateClusterReplica) -> str:
    exists = when(node.if_not_exists, _IF_NOT_EXISTS)
    target = f"{exists}{quote(node.cluster)}.{quote(node.replica)}"
    return f"CREATE CLUSTER REPLICA {target} ({w.nodes(node.options)})"


def _create_policy(w: Writer, node: CreateNetworkPolicy) -> str:
    return f"CREATE NETWORK POLICY {quote(node.name)} ({w.nodes(node.options)})"


# --- roles ----------------------------------------------------------------------------------------


def _attribute(w: Writer, node: RoleAttribute) -> str:
    if node.kind is not RoleAttributeKind.PASSWORD:
        return node.kind
    return f"{node.kind} {'NULL' if node.password is None else w.string(node.password)}"


def _attributes(w: Writer, of: tuple[RoleAttribute, ...]) -> str:
    return " ".join([w.node(attribute) for attribute in of])


def _create_role(w: Writer, node: CreateRole) -> str:
    return words("CREATE ROLE", quote(node.name), _attributes(w, node.attributes))


def _alter_role(w: Writer, node: AlterRoleAttributes) -> str:
    return f"ALTER ROLE {quote(node.name)} {_attributes(w, node.attributes)}"


def _alter_role_set(w: Writer, node: AlterRoleSet) -> str:
    value = values(w, node.values)
    return f"ALTER ROLE {quote(node.name)} SET {variable(node.variable)} TO {value}"


def _privileges(of: tuple[Privilege, ...] | None) -> str:
    return "ALL PRIVILEGES" if of is None else ", ".join(of)


def _target(w: Writer, node: GrantTarget) -> str:
    if node.kind is ObjectKind.SYSTEM:
        return "ON SYSTEM"
    if node.all:
        return f"ON ALL {plural(node.kind)}{_containers(w, node.in_schemas, node.in_databases)}"
    return f"ON {node.kind} {w.nodes(node.names)}"


def _containers(w: Writer, schemas: tuple[ObjectName, ...], databases: tuple[str, ...]) -> str:
    if schemas:
        return f" IN SCHEMA {w.nodes(schemas)}"
    return f" IN DATABASE {names(databases)}" if databases else ""


def _grant(w: Writer, node: GrantPrivileges) -> str:
    return f"GRANT {_privileges(node.privileges)} {w.node(node.target)} TO {names(node.roles)}"


def _revoke(w: Writer, node: RevokePrivileges) -> str:
    return f"REVOKE {_privileges(node.privileges)} {w.node(node.target)} FROM {names(node.roles)}"


def _default_privileges(w: Writer, node: AlterDefaultPrivileges) -> str:
    for_ = ""
    if node.for_roles is None:
        for_ = " FOR ALL ROLES"
    elif node.for_roles:
        for_ = f" FOR ROLE {names(node.for_roles)}"
    containers = _containers(w, node.in_schemas, node.in_databases)
    verb, to = ("REVOKE", "FROM") if node.revoke else ("GRANT", "TO")
    what = f"{_privileges(node.privileges)} ON {plural(node.kind)}"
    return f"ALTER DEFAULT PRIVILEGES{for_}{containers} {verb} {what} {to} {names(node.roles)}"


RULES: Rules = {
    AlterDefaultPrivileges: _default_privileges,
    AlterRoleAttributes: _alter_role,
    AlterRoleReset: lambda w, node: (
        f"ALTER ROLE {quote(node.name)} RESET {variable(node.variable)}"
    ),
    AlterRoleSet: _alter_role_set,
    AvroFormat: _avro,
    BytesFormat: lambda w, node: "BYTES",
    ConnectionSource: _connection_source,
    CreateCluster: _create_cluster,
    CreateClusterReplica: _create_replica,
    CreateConnection: _connection,
    CreateNetworkPolicy: _create_policy,
    CreateRole: _create_role,
    CreateSink: _sink,
    CreateSource: _source,
    CreateSubsource: _subsource,
    CreateWebhook: _webhook,
    CsvFormat: _csv,
    Envelope: _envelope,
    ExternalReference: _reference,
    ForAllTables: lambda w, node: "ALL TABLES",
    ForSchemas: lambda w, node: f"SCHEMAS ({names(node.schemas)})",
    ForTables: lambda w, node: f"TABLES ({w.nodes(node.tables)})",
    FormatClauses: _clauses,
    GrantPrivileges: _grant,
    GrantRole: lambda w, node: f"GRANT {names(node.roles)} TO {names(node.members)}",
    GrantTarget: _target,
    HeaderFilter: _header_filter,
    IcebergSinkTarget: _iceberg,
    Include: _include,
    JsonFormat: _json,
    KafkaSinkTarget: lambda w, node: (
        f"KAFKA CONNECTION {name(node.connection)}{listed(w, node.options)}"
    ),
    LoadGeneratorSource: lambda w, node: f"LOAD GENERATOR {node.kind}{listed(w, node.options)}",
    ProtobufFormat: _protobuf,
    RegexFormat: lambda w, node: f"REGEX {w.string(node.pattern)}",
    RevokePrivileges: _revoke,
    RevokeRole: lambda w, node: f"REVOKE {names(node.roles)} FROM {names(node.members)}",
    RoleAttribute: _attribute,
    SchemaStrategy: _strategy,
    Seed: _seed,
    SeedSide: _seed_side,
    TextFormat: lambda w, node: "TEXT",
    ValidateConnection: lambda w, node: f"VALIDATE CONNECTION {name(node.name)}",
    WebhookCheck: _check,
    WebhookCheckItem: _check_item,
}
