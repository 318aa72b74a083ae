"""Sizes change while records flow, and nothing is lost or repeated."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.fixtures import kafka
from tests.fixtures.headwater import Headwater, running
from tests.fixtures.kafka import Kafka
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = [
    pytest.mark.server,
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif(kafka.missing() is not None, reason=kafka.missing() or ""),
]

Connection = psycopg.Connection[tuple[object, ...]]
PARTITIONS = 3
KEYS = 50


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    started = kafka.make(tmp_path_factory.mktemp("kafka"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, broker: Kafka) -> Iterator[Headwater]:
    folder: Path = tmp_path_factory.mktemp("headwater")
    with running(folder) as started:
        with started.connect() as connection:
            connection.execute(
                f"CREATE CONNECTION k TO KAFKA (BROKER '{broker.address}', "
                "SECURITY PROTOCOL PLAINTEXT)".encode()
            )
        yield started


def make_topic(broker: Kafka, topic: str, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)


class Flow:
    """Records {"n": 0}, {"n": 1}, … into a topic from a thread, until :meth:`stop`."""

    def __init__(self, broker: Kafka, topic: str) -> None:
        self.sent = 0
        self._producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 5})
        self._topic = topic
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(0.002):  # some 5000 records a second
            for _ in range(10):
                value = json.dumps({"n": self.sent, "k": self.sent % KEYS}).encode()
                self._producer.produce(self._topic, key=str(self.sent % KEYS), value=value)
                self.sent += 1
            self._producer.poll(0)

    def stop(self) -> int:
        """Stop; return how many records are in the topic."""
        self._stopping.set()
        self._thread.join()
        assert self._producer.flush(30) == 0
        return self.sent


def passes(flow: Flow, connection: Connection, query: str) -> None:
    """Wait until a count is past what had been sent when this was called."""
    target = flow.sent + 500
    eventually(lambda: int(str(rows(connection, query)[0][0])) > target, want=True)


def test_a_source_a_view_and_a_sink_while_their_sizes_change(
    server: Headwater, broker: Kafka
) -> None:
    make_topic(broker, "flow", PARTITIONS)
    make_topic(broker, "flow_out", 1)
    flow = Flow(broker, "flow")
    try:
        with server.connect() as connection:
            connection.execute("CREATE CLUSTER views SIZE '1'")
            connection.execute(
                "CREATE SOURCE flow FROM KAFKA CONNECTION k (TOPIC 'flow') "
                "FORMAT JSON (n int, k int) WITH (SIZE '1')"
            )
            connection.execute(
                "CREATE MATERIALIZED VIEW counted IN CLUSTER views AS SELECT count(*) AS c, "
                "count(DISTINCT n) AS d, max(n) AS m FROM flow"
            )
            connection.execute(
                "CREATE MATERIALIZED VIEW by_key IN CLUSTER views AS "
                "SELECT k, count(*) AS c FROM flow GROUP BY k"
            )
            connection.execute(
                "CREATE SINK flow_out FROM by_key INTO KAFKA CONNECTION k (TOPIC 'flow_out') "
                "KEY (k) FORMAT JSON ENVELOPE DEBEZIUM WITH (SIZE '1')"
            )
            count = "SELECT c FROM counted"
            passes(flow, connection, count)
            connection.execute("ALTER SOURCE flow SET (SIZE '2')")
            passes(flow, connection, count)
            connection.execute("ALTER SINK flow_out SET (SIZE '2')")
            passes(flow, connection, count)
            connection.execute("ALTER CLUSTER views SET (SIZE '2')")
            passes(flow, connection, count)
            connection.execute("ALTER SOURCE flow SET (SIZE '1')")
            connection.execute("ALTER SINK flow_out SET (SIZE '1')")
            connection.execute("ALTER CLUSTER views SET (SIZE '1', REPLICATION FACTOR 2)")
            passes(flow, connection, count)
            total = flow.stop()
            eventually(
                lambda: rows(connection, "SELECT c, d, m FROM counted"), [(total, total, total - 1)]
            )
            assert rows(connection, "SELECT count(*), count(DISTINCT n) FROM flow") == [
                (total, total)
            ]
            final = dict(rows(connection, "SELECT k, c FROM by_key"))
    finally:
        flow.stop()
    assert_changes_lead_to(broker, "flow_out", final)


def assert_changes_lead_to(broker: Kafka, topic: str, final: dict[object, object]) -> None:
    """Check that each key's committed changes are a chain: every *before* is the last *after*."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.address,
            "group.id": "test",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    state: dict[object, object] = {}
    changes = 0
    while state != final:
        message = consumer.poll(30)
        assert message is not None, f"{changes} changes lead to {state}, want {final}"
        assert message.error() is None, message.error()
        value = json.loads(message.value() or b"null")
        before, after = value["before"], value["after"]
        key = (after or before)["k"]
        assert (before["c"] if before else None) == state.get(key), value
        state[key] = after["c"]
        changes += 1
    extra = consumer.poll(1)
    assert extra is None, extra.value()
    consumer.close()
    assert changes > len(final)
