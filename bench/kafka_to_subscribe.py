"""From a record handed to a Kafka producer to its row in a SUBSCRIBE on a materialized join."""

import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from bench.kafka_producer import CUSTOMERS
from bench.report import ROOT, Outcome, Series, at_most
from bench.workspace import folder, running_kafka
from tests.fixtures import kafka
from tests.fixtures.headwater import Headwater, running
from tests.fixtures.kafka import Kafka

RATE = 1000
SECONDS = 12
# The first seconds of a round are not counted: the reader joins, the producer finds its pace.
WARM_SECONDS = 3
ROUNDS = 2
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


def _round(
    server: Headwater, broker: Kafka, number: str, customers: str
) -> tuple[list[float], list[float], float]:
    """Join a topic; return latencies in ms, here and of a plain client, and the pace."""
    topic = f"orders_{number}"
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    with server.connect() as connection:
        connection.execute(
            f"CREATE SOURCE {topic} FROM KAFKA CONNECTION k (TOPIC '{topic}') "
            "FORMAT JSON (id int8, customer int4, amount int4, sent int8)".encode()
        )
        connection.execute(
            f"CREATE MATERIALIZED VIEW joined_{number} AS SELECT o.id, o.sent, c.name "
            f"FROM {topic} o JOIN {customers} c ON c.id = o.customer".encode()
        )
        connection.execute(f"SELECT count(*) FROM joined_{number}".encode()).fetchone()
    total = RATE * SECONDS
    found: list[float] = []
    plain = Plain(broker, topic, total)
    plain.start()
    with closing(server.connect()) as reader:
        arguments = ("paced", broker.address, topic, str(RATE), str(SECONDS))
        producer = subprocess.Popen(
            [sys.executable, "-m", "bench.kafka_producer", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        timer = threading.Timer(SECONDS + DRAIN_SECONDS_MAX, reader.cancel)
        timer.start()
        text = f"COPY (SUBSCRIBE (SELECT sent FROM joined_{number})) TO STDOUT"
        with reader.cursor().copy(text.encode()) as copy:
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


def _customers(server: Headwater, broker: Kafka) -> None:
    """Make the other side of the join twice: a table, and a topic that is quiet from then on."""
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic("customers", 1, 1)])["customers"].result(30)
    producer = Producer({"bootstrap.servers": broker.address})
    for number in range(CUSTOMERS):
        producer.produce("customers", f'{{"id": {number}, "name": "customer {number}"}}'.encode())
    producer.flush(30)
    with server.connect() as connection:
        connection.execute(
            f"CREATE CONNECTION k TO KAFKA (BROKER '{broker.address}', "
            "SECURITY PROTOCOL PLAINTEXT)".encode()
        )
        connection.execute("CREATE TABLE in_table (id int4, name text)")
        connection.execute(
            "INSERT INTO in_table SELECT g, 'customer ' || g::text "
            f"FROM generate_series(0, {CUSTOMERS - 1}) g".encode()
        )
        connection.execute(
            "CREATE SOURCE in_topic FROM KAFKA CONNECTION k (TOPIC 'customers') "
            "FORMAT JSON (id int4, name text) WITH (TIMESTAMP INTERVAL '50ms')"
        )


def measure() -> Outcome:
    series, targets = [], []
    with folder() as where, ExitStack() as stack:
        broker = stack.enter_context(running_kafka(where))
        server = stack.enter_context(running(where / "hw"))
        _customers(server, broker)
        for customers in ("in_table", "in_topic"):
            name = {"in_table": "joined with a table", "in_topic": "joined with a quiet topic"}
            rounds = [
                _round(server, broker, f"{customers}_{number}", customers)
                for number in range(ROUNDS)
            ]
            first = Series(f"{name[customers]}, p50", "ms", [_quantile(r[0], 50) for r in rounds])
            second = Series(f"{name[customers]}, p99", "ms", [_quantile(r[0], 99) for r in rounds])
            series += [
                first,
                second,
                Series("the same, longest", "ms", [max(r[0]) for r in rounds]),
                Series(
                    "plain Kafka client beside it, p50", "ms", [_quantile(r[1], 50) for r in rounds]
                ),
                Series(
                    "plain Kafka client beside it, p99", "ms", [_quantile(r[1], 99) for r in rounds]
                ),
                Series("pace of the producer", "records/s", [r[2] for r in rounds]),
            ]
            targets += [at_most(first, 100.0), at_most(second, 500.0)]
    return Outcome(
        f"Kafka record to SUBSCRIBE on a materialized join, {RATE}/s, {PARTITIONS} partitions",
        series,
        targets,
        [f"python -m bench.kafka_producer paced BROKER TOPIC {RATE} {SECONDS}"],
        [
            f"each round {SECONDS} s, the first {WARM_SECONDS} s not counted; broker, producer, "
            "database and both readers share the machine",
            "the quiet topic has TIMESTAMP INTERVAL '50ms'; tables advance once a second when idle",
        ],
    )


def _quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]
