import asyncio

import pytest

from headwater.adapter.purify import check_reachable
from headwater.errors import ConnectionFailure
from headwater.sql.plan.external import Broker, KafkaConnection, SecurityProtocol


def kafka(*addresses):
    brokers = tuple(Broker(address) for address in addresses)
    return KafkaConnection(brokers, SecurityProtocol.PLAINTEXT)


async def test_one_broker_that_answers_is_enough(unused_tcp_port):
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await check_reachable(kafka(f"127.0.0.1:{unused_tcp_port}", f"127.0.0.1:{port}"))
    server.close()
    await server.wait_closed()


async def test_a_broker_that_is_down_is_named(unused_tcp_port):
    with pytest.raises(ConnectionFailure, match="failed to connect to Kafka broker") as error:
        await check_reachable(kafka(f"127.0.0.1:{unused_tcp_port}"))
    assert f"127.0.0.1:{unused_tcp_port}" in error.value.detail
