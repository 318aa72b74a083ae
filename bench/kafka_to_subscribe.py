"""From a record handed to a Kafka producer to its row in a SUBSCRIBE on a materialized join."""

import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from bench.kafka_producer import CUSTOMERS
from bench.report import ROOT, Outcome, Series, at_most
from bench.workspace import folder, running_kafka
from tests.fixtures import kafka
from tests.fixtures.headwater import Headwater, running
from tests.fixtures.kafka import Kafka

RATE = 1000
SECONDS = 15
# The first seconds of a round are not counted: the reader joins, the producer finds its pace.
WARM_SECONDS = 3
ROUNDS = 3
PARTITIONS = 2
# What may pass after the last record until a round counts as failed.
DRAIN_SECONDS_MAX = 60

missing = kafka.missing


class Plain(threading.Thread):
    """Read a topic with a Kafka client beside the database: what the broker alone takes."""

    def __init__(self, broker: Kafka, topic: str, count: int) -> None:
        super().__init__(daemon=True)
        self.count = count
        self.latencies_ms: list[float] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": broker.address,
                "group.id": f"plain-{topic}",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
            }
        )
        self._consumer.subscribe([topic])

    def run(self) -> None:
        deadline = time.monotonic() + SECONDS + DRAIN_SECONDS_MAX
        while len(self.latencies_ms) < self.count and time.monotonic() < deadline:
            for message in self._consumer.consume(100, 0.05):
                value = message.value()
                if message.error() is None and value is not None:
                    sent = int(value[value.rindex(b":") + 1 : -1])
                    self.latencies_ms.append((time.time_ns() // 1000 - sent) / 1e3)
        self._consumer.close()


def _round(server: Headwater, broker: Kafka, number: int) -> tuple[list[float], list[float], float]:
    """Return latencies in ms through headwater and through a plain client, and the pace."""
    topic = f"orders{number}"
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    with server.connect() as connection:
        connection.execute(
            f"CREATE SOURCE {topic} FROM KAFKA CONNECTION k (TOPIC '{topic}') "
            "FORMAT JSON (id int8, customer int4, amount int4, sent int8)".encode()
        )
        connection.execute(
            f"CREATE MATERIALIZED VIEW joined{number} AS SELECT o.id, o.sent, c.name "
            f"FROM {topic} o JOIN customers c ON c.id = o.customer".encode()
        )
        connection.execute(f"SELECT count(*) FROM joined{number}".encode()).fetchone()
    total = RATE * SECONDS
    found: list[float] = []
    plain = Plain(broker, topic, total)
    plain.start()
    with server.connect() as reader, reader.cursor() as cursor:
        arguments = ("paced", broker.address, topic, str(RATE), str(SECONDS))
        producer = subprocess.Popen(
            [sys.executable, "-m", "bench.kafka_producer", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        timer = threading.Timer(SECONDS + DRAIN_SECONDS_MAX, reader.cancel)
        timer.start()
        text = f"COPY (SUBSCRIBE (SELECT sent FROM joined{number})) TO STDOUT"
        with cursor.copy(text.encode()) as copy:
            for line in copy:
                now = time.time_ns() // 1000
                for each in bytes(line).splitlines():
                    found.append((now - int(each.rpartition(b"\t")[2])) / 1e3)
                if len(found) >= total:
                    timer.cancel()
                    break
    pace = float(producer.communicate()[0])
    plain.join(SECONDS + DRAIN_SECONDS_MAX)
    with server.connect() as connection:
        connection.execute(f"DROP SOURCE {topic} CASCADE".encode())
    skipped = RATE * WARM_SECONDS
    return found[skipped:], plain.latencies_ms[skipped:], pace


def measure() -> Outcome:
    p50, p99, worst, plain50, plain99, paces = [], [], [], [], [], []
    with folder() as where, ExitStack() as stack:
        broker = stack.enter_context(running_kafka(where))
        server = stack.enter_context(running(where / "hw"))
        with server.connect() as connection:
            connection.execute(
                f"CREATE CONNECTION k TO KAFKA (BROKER '{broker.address}', "
                "SECURITY PROTOCOL PLAINTEXT)".encode()
            )
            connection.execute("CREATE TABLE customers (id int4, name text)")
            connection.execute(
                "INSERT INTO customers SELECT g, 'customer ' || g::text "
                f"FROM generate_series(0, {CUSTOMERS - 1}) g".encode()
            )
        for number in range(ROUNDS):
            ours, plain, pace = _round(server, broker, number)
            p50.append(_quantile(ours, 50))
            p99.append(_quantile(ours, 99))
            worst.append(max(ours))
            plain50.append(_quantile(plain, 50))
            plain99.append(_quantile(plain, 99))
            paces.append(pace)
    first, second = Series("p50", "ms", p50), Series("p99", "ms", p99)
    return Outcome(
        f"Kafka record to SUBSCRIBE on a materialized join, {RATE}/s, {PARTITIONS} partitions",
        [
            first,
            second,
            Series("longest", "ms", worst),
            Series("plain Kafka client, p50", "ms", plain50),
            Series("plain Kafka client, p99", "ms", plain99),
            Series("pace of the producer", "records/s", paces),
        ],
        [at_most(first, 100.0), at_most(second, 500.0)],
        [f"python -m bench.kafka_producer paced BROKER TOPIC {RATE} {SECONDS}"],
        [
            f"each round {SECONDS} s, the first {WARM_SECONDS} s not counted; broker, producer, "
            "database and both readers share the machine"
        ],
    )


def _quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]
