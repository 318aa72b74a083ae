"""CREATE and ALTER CONNECTION: options by kind, checked against each other, defaults filled in."""

from collections.abc import Callable, Sequence

from headwater.catalog.items import ItemKind
from headwater.errors import FeatureNotSupported, InvalidParameterValue
from headwater.sql.ast import connector
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.option import BrokerAddress, Option, OptionList, OptionValue, Tunnel
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.ddl import CreateConnectionPlan
from headwater.sql.plan.external import (
    AwsConnection,
    Broker,
    ConnectionDetails,
    DatabaseConnection,
    DatabaseProduct,
    IcebergConnection,
    KafkaConnection,
    PrivatelinkConnection,
    RegistryConnection,
    Sasl,
    SecurityProtocol,
    SshConnection,
    Tls,
)
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.stored import dependencies, new_path, stored_sql
from headwater.sql.plan.statements import ValidateConnectionPlan
from headwater.types.ids import GlobalId

_TLS = ("ssl key", "ssl certificate", "ssl certificate authority")
_DATABASE = (
    "host",
    "port",
    "database",
    "user",
    "password",
    "ssl mode",
    "aws connection",
    "aws privatelink",
    "ssh tunnel",
    *_TLS,
)
_K = connector.ConnectionKind
OPTIONS: dict[connector.ConnectionKind, tuple[str, ...]] = {
    _K.KAFKA: (
        "broker",
        "brokers",
        "aws privatelink",
        "aws connection",
        "security protocol",
        "sasl mechanisms",
        "sasl username",
        "sasl password",
        "ssh tunnel",
        "progress topic",
        "progress topic replication factor",
        *_TLS,
    ),
    _K.CONFLUENT_SCHEMA_REGISTRY: (
        "url",
        "username",
        "password",
        "aws privatelink",
        "ssh tunnel",
        *_TLS,
    ),
    _K.POSTGRES: _DATABASE,
    _K.MYSQL: tuple(name for name in _DATABASE if name != "database"),
    _K.SQL_SERVER: _DATABASE,
    _K.SSH_TUNNEL: ("host", "port", "user"),
    _K.AWS: (
        "region",
        "endpoint",
        "access key id",
        "secret access key",
        "session token",
        "assume role arn",
        "assume role session name",
    ),
    _K.AWS_PRIVATELINK: ("service name", "availability zones"),
    _K.ICEBERG_CATALOG: (
        "catalog type",
        "url",
        "warehouse",
        "credential",
        "scope",
        "aws connection",
    ),
}
_SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_SSL_MODES: dict[DatabaseProduct, tuple[str, ...]] = {
    DatabaseProduct.POSTGRES: ("disable", "require", "verify_ca", "verify_full"),
    DatabaseProduct.MYSQL: ("disabled", "required", "verify_ca", "verify_identity"),
    DatabaseProduct.SQL_SERVER: ("disabled", "required", "verify_ca", "verify"),
}
_PORTS = {
    DatabaseProduct.POSTGRES: 5432,
    DatabaseProduct.MYSQL: 3306,
    DatabaseProduct.SQL_SERVER: 1433,
}
# Connections that are tried when they are made, unless told otherwise.
_NOT_VALIDATED = frozenset({_K.AWS, _K.AWS_PRIVATELINK, _K.SSH_TUNNEL})


def _create(ctx: StatementContext, node: connector.CreateConnection) -> Outcome:
    details = plan_details(ctx, node.kind, node.options)
    path = new_path(ctx, node.name)
    with_options = Options(ctx, node.with_options, "CREATE CONNECTION", ("validate",))
    validate = with_options.boolean("validate", node.kind not in _NOT_VALIDATED)
    sql = stored_sql(ctx, node, if_not_exists=False, with_options=())
    return Outcome(
        CreateConnectionPlan(path, details, validate, sql, dependencies(ctx), node.if_not_exists)
    )


def plan_details(
    ctx: StatementContext, kind: connector.ConnectionKind, nodes: Sequence[Option]
) -> ConnectionDetails:
    """Read a connection's options."""
    options = Options(ctx, nodes, f"{kind.value} CONNECTION", OPTIONS[kind])
    return _READERS[kind](options)


def _tls(options: Options) -> Tls:
    key, certificate = options.secret("ssl key"), options.string_or_secret("ssl certificate")
    if (key is None) != (certificate is None):
        raise InvalidParameterValue(
            "SSL KEY and SSL CERTIFICATE must be specified together",
            position=options.position("ssl key") or options.position("ssl certificate"),
        )
    return Tls(options.string_or_secret("ssl certificate authority"), certificate, key)


def _connection(options: Options, name: str) -> GlobalId | None:
    found = options.name_of_item(name, ItemKind.CONNECTION)
    return None if found is None else GlobalId(found)


# --- Kafka ----------------------------------------------------------------------------------------


def _kafka(options: Options) -> ConnectionDetails:
    brokers = _brokers(options)
    sasl = _sasl(options)
    tls = _tls(options)
    aws = _connection(options, "aws connection")
    word = options.choice("security protocol", [p.value for p in SecurityProtocol])
    has_sasl = sasl is not None or aws is not None
    if word is None:
        protocol = SecurityProtocol.SASL_SSL if has_sasl else SecurityProtocol.SSL
    else:
        protocol = SecurityProtocol(word)
    _check_protocol(options, protocol, tls, has_sasl=has_sasl)
    return KafkaConnection(
        brokers,
        protocol,
        sasl,
        tls,
        _connection(options, "ssh tunnel"),
        aws,
        options.text("progress topic"),
        options.integer("progress topic replication factor", minimum=1),
    )


def _check_protocol(
    options: Options, protocol: SecurityProtocol, tls: Tls, *, has_sasl: bool
) -> None:
    uses_sasl = protocol in (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL)
    if uses_sasl and not has_sasl:
        raise InvalidParameterValue(
            f"SECURITY PROTOCOL {protocol.value} requires SASL MECHANISMS, SASL USERNAME and"
            " SASL PASSWORD, or AWS CONNECTION",
            position=options.position("security protocol"),
        )
    if not uses_sasl and has_sasl:
        raise InvalidParameterValue(
            f"SASL options are not allowed with SECURITY PROTOCOL {protocol.value}",
            position=options.position("security protocol"),
        )
    uses_tls = protocol in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)
    if not uses_tls and tls != Tls():
        raise InvalidParameterValue(
            f"SSL options are not allowed with SECURITY PROTOCOL {protocol.value}",
            position=options.position("security protocol"),
        )


def _sasl(options: Options) -> Sasl | None:
    mechanism = options.choice("sasl mechanisms", _SASL_MECHANISMS)
    username = options.string_or_secret("sasl username")
    password = options.secret("sasl password")
    if mechanism is None and username is None and password is None:
        return None
    if username is None or password is None:
        raise InvalidParameterValue(
            "SASL USERNAME and SASL PASSWORD must be specified together",
            position=options.position("sasl mechanisms"),
        )
    return Sasl(mechanism or "PLAIN", username, password)


def _brokers(options: Options) -> tuple[Broker, ...]:
    given = [name for name in ("broker", "brokers", "aws privatelink") if name in options]
    if len(given) != 1:
        raise InvalidParameterValue(
            "KAFKA CONNECTION requires exactly one of BROKER, BROKERS, AWS PRIVATELINK"
        )
    if given[0] == "aws privatelink":
        raise FeatureNotSupported(
            "AWS PRIVATELINK is not supported", position=options.position(given[0])
        )
    value = options.value(given[0])
    items = value.items if isinstance(value, OptionList) else (value,)
    brokers = tuple(_broker(options, given[0], item) for item in items if item is not None)
    if not brokers:
        raise options.invalid(given[0], "must list at least one broker")
    return brokers


def _broker(options: Options, name: str, value: OptionValue) -> Broker:
    if isinstance(value, ast.String):
        return Broker(_address(options, name, value.value))
    if not isinstance(value, BrokerAddress):
        raise options.invalid(name, "must be 'host:port'")
    if value.is_pattern:
        raise FeatureNotSupported("MATCHING brokers are not supported", position=value.position)
    address = _address(options, name, value.address)
    if value.tunnel is None:
        return Broker(address)
    return _tunnelled(options, address, value.tunnel)


def _tunnelled(options: Options, address: str, tunnel: Tunnel) -> Broker:
    id = options.ctx.names.item_of_kind(tunnel.name, ItemKind.CONNECTION).id
    if tunnel.is_ssh:
        return Broker(address, ssh_tunnel=id)
    inner = Options(options.ctx, tunnel.options, "AWS PRIVATELINK", ("availability zone", "port"))
    return Broker(
        address,
        privatelink=id,
        privatelink_port=inner.integer("port", minimum=1),
        availability_zone=inner.text("availability zone"),
    )


def _address(options: Options, name: str, text: str) -> str:
    """Return ``host:port``; several in one string are a common mistake."""
    if "," in text:
        raise options.invalid(
            name, f'cannot specify multiple Kafka broker addresses in one string "{text}"'
        )
    host, colon, port = text.rpartition(":")
    if not colon:
        return f"{text}:9092"
    if not host or not port.isdigit():
        raise options.invalid(name, f'"{text}" is not a valid address')
    return text


# --- others ---------------------------------------------------------------------------------------


def _registry(options: Options) -> ConnectionDetails:
    url = options.required_text("url")
    if not url.startswith(("http://", "https://")):
        raise options.invalid("url", f'"{url}" is not a valid URL')
    return RegistryConnection(
        url,
        options.string_or_secret("username"),
        options.secret("password"),
        _tls(options),
        _connection(options, "ssh tunnel"),
        _connection(options, "aws privatelink"),
    )


def _database(product: DatabaseProduct) -> Callable[[Options], ConnectionDetails]:
    def read(options: Options) -> ConnectionDetails:
        modes = _SSL_MODES[product]
        mode = options.text("ssl mode")
        wanted = modes[0] if mode is None else mode.lower().replace("-", "_")
        if wanted not in modes:
            raise options.invalid("ssl mode", f'"{mode}" is not one of {", ".join(modes)}')
        return DatabaseConnection(
            product,
            options.required_text("host"),
            options.integer("port", minimum=1) or _PORTS[product],
            options.text("database"),
            options.string_or_secret("user"),
            options.secret("password"),
            wanted,
            _tls(options),
            _connection(options, "ssh tunnel"),
            _connection(options, "aws privatelink"),
            _connection(options, "aws connection"),
        )

    return read


def _ssh(options: Options) -> ConnectionDetails:
    return SshConnection(
        options.required_text("host"),
        options.integer("port", minimum=1) or 22,
        options.required_text("user"),
    )


def _aws(options: Options) -> ConnectionDetails:
    key_id, secret = options.string_or_secret("access key id"), options.secret("secret access key")
    role = options.text("assume role arn")
    if (key_id is None) != (secret is None):
        raise InvalidParameterValue(
            "must specify both ACCESS KEY ID and SECRET ACCESS KEY with static credentials"
        )
    if (key_id is None) == (role is None):
        raise InvalidParameterValue(
            "must specify either ASSUME ROLE ARN, or ACCESS KEY ID and SECRET ACCESS KEY"
        )
    return AwsConnection(
        options.text("region"),
        options.text("endpoint"),
        key_id,
        secret,
        options.string_or_secret("session token"),
        role,
        options.text("assume role session name"),
    )


def _privatelink(options: Options) -> ConnectionDetails:
    return PrivatelinkConnection(
        options.required_text("service name"), options.texts("availability zones")
    )


def _iceberg(options: Options) -> ConnectionDetails:
    kind = options.choice("catalog type", ("rest", "s3tablesrest"))
    if kind is None:
        raise InvalidParameterValue("ICEBERG CATALOG CONNECTION option CATALOG TYPE is required")
    return IcebergConnection(
        kind,
        options.required_text("url"),
        options.text("warehouse"),
        options.string_or_secret("credential"),
        options.text("scope"),
        _connection(options, "aws connection"),
    )


_READERS: dict[connector.ConnectionKind, Callable[[Options], ConnectionDetails]] = {
    _K.KAFKA: _kafka,
    _K.CONFLUENT_SCHEMA_REGISTRY: _registry,
    _K.POSTGRES: _database(DatabaseProduct.POSTGRES),
    _K.MYSQL: _database(DatabaseProduct.MYSQL),
    _K.SQL_SERVER: _database(DatabaseProduct.SQL_SERVER),
    _K.SSH_TUNNEL: _ssh,
    _K.AWS: _aws,
    _K.AWS_PRIVATELINK: _privatelink,
    _K.ICEBERG_CATALOG: _iceberg,
}


def connection_id(ctx: StatementContext, name: ObjectName) -> GlobalId:
    """Return the connection that a source, sink or format names."""
    return ctx.names.item_of_kind(name, ItemKind.CONNECTION).id


def _validate(ctx: StatementContext, node: connector.ValidateConnection) -> Outcome:
    return Outcome(ValidateConnectionPlan(connection_id(ctx, node.name)))


HANDLERS: dict[type[Node], StatementHandler] = {
    connector.CreateConnection: _create,
    connector.ValidateConnection: _validate,
}
