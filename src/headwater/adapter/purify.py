"""Purification: what a statement needs from the world outside, done before it takes its turn.

Nothing here changes the catalog, and nothing slow happens while others wait to change it. It finds
out whether the servers that a connection names answer, and whether the topic of a source is there;
what comes later is found out by the replica that runs the source or sink, and shows as its status.
"""

import asyncio
from collections.abc import Sequence

from headwater.adapter.running import kafka_connection, kafka_options
from headwater.catalog.items import Connection
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import (
    ConnectionFailure,
    InvalidParameterValue,
    UndefinedObject,
    WrongObjectType,
)
from headwater.ir import ingestion as runs
from headwater.sql.plan import ddl
from headwater.sql.plan import external as planned
from headwater.sql.plan.statements import StatementPlan, ValidateConnectionPlan
from headwater.storage.sources.kafka import partition_count
from headwater.types.ids import GlobalId

DIAL_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 10.0
_KAFKA_PORT = 9092


async def purify(snapshot: CatalogSnapshot, plan: StatementPlan, environment_id: str) -> None:
    """Check what ``plan`` needs outside.

    Raises:
        ConnectionFailure: A server does not answer.
        UndefinedObject: The topic of a source does not exist.
        InvalidParameterValue: The topic is not as the statement says.
    """
    match plan:
        case ddl.CreateConnectionPlan() | ddl.AlterConnectionPlan() if plan.validate:
            await _check_answers(plan.details, environment_id)
        case ddl.CreateSourcePlan(details=planned.KafkaSource() as source):
            details = _details(snapshot, source.connection)
            await _check_answers(details, environment_id)
            await _check_topic(
                kafka_connection(snapshot, source.connection, environment_id), source
            )
        case ddl.CreateSinkPlan(details=planned.KafkaSink(connection=connection)):
            await _check_answers(_details(snapshot, connection), environment_id)
        case ValidateConnectionPlan(id=connection):
            await _check_answers(_details(snapshot, connection), environment_id)
        case _:
            return


async def _check_topic(connection: runs.KafkaConnection, source: planned.KafkaSource) -> None:
    count = await partition_count(connection, source.topic, ANSWER_TIMEOUT_S)
    if count == 0:
        raise UndefinedObject(f'topic "{source.topic}" does not exist')
    if len(source.start_offsets) > count:
        raise InvalidParameterValue(
            f"START OFFSET names {len(source.start_offsets)} partitions, but topic "
            f'"{source.topic}" has {count}'
        )


def _details(snapshot: CatalogSnapshot, id: GlobalId) -> object:
    item = snapshot.item(id)
    if not isinstance(item, Connection):
        raise WrongObjectType(f'"{item.name}" is not a connection')
    return item.details


async def _check_answers(details: object, environment_id: str) -> None:
    await check_reachable(details)
    if isinstance(details, planned.KafkaConnection):
        # Somebody listens; whether it is a broker, and lets us in, is what the protocol says.
        options = kafka_options(details, environment_id)
        await partition_count(options, None, ANSWER_TIMEOUT_S)


async def check_reachable(details: object) -> None:
    """Return if one of the servers that ``details`` name takes a connection.

    Raises: ConnectionFailure that says why each of them does not.
    """
    match details:
        case planned.KafkaConnection() if details.ssh_tunnel is None:
            direct = [b for b in details.brokers if not (b.ssh_tunnel or b.privatelink)]
            if len(direct) == len(details.brokers):
                await _dial([_split(b.address, _KAFKA_PORT) for b in direct], "Kafka broker")
        case planned.DatabaseConnection() if not (details.ssh_tunnel or details.privatelink):
            await _dial([(details.host, details.port)], f"{details.product.value} server")
        case _:
            return


def _split(address: str, default_port: int) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return (host, int(port)) if host and port.isdigit() else (address, default_port)


async def _dial(servers: Sequence[tuple[str, int]], what: str) -> None:
    reasons: list[str] = []
    for host, port in servers:
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                _, writer = await asyncio.open_connection(host.strip("[]"), port)
        except TimeoutError:
            reasons.append(f"{host}:{port} did not answer within {DIAL_TIMEOUT_S:.0f} s")
        except OSError as error:
            reasons.append(f"{host}:{port}: {error.strerror or error}")
        else:
            writer.close()
            return
    raise ConnectionFailure(
        f"failed to connect to {what}",
        detail="; ".join(reasons),
        hint="Check the address, or create the connection WITH (VALIDATE = false).",
    )
