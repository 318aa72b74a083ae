"""A backlog of JSON messages with declared columns, read into a source from the beginning."""

import subprocess
import sys
import time
from contextlib import ExitStack

import psycopg
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from bench.report import ROOT, Outcome, Series, at_least
from bench.workspace import folder, running_kafka
from tests.fixtures import kafka
from tests.fixtures.headwater import running
from tests.fixtures.kafka import Kafka

MESSAGES = 2_000_000
PARTITIONS = 4
ROUNDS = 3
POLL_SECONDS = 0.25
ROUND_SECONDS_MAX = 240
COLUMNS = "id int8, customer int4, amount numeric, note text, paid bool"

missing = kafka.missing
Connection = psycopg.Connection[tuple[object, ...]]


def _ours(connection: Connection, name: str) -> tuple[float, float]:
    """Return the seconds until everything is committed, and until it is counted."""
    began = time.perf_counter()
    connection.execute(
        f"CREATE SOURCE {name} FROM KAFKA CONNECTION k (TOPIC 'backlog') "
        f"FORMAT JSON ({COLUMNS})".encode()
    )
    deadline = time.monotonic() + ROUND_SECONDS_MAX
    progress = (
        "SELECT sum(s.updates_committed) FROM mz_internal.mz_source_statistics s "
        f"JOIN mz_sources o ON o.id = s.id WHERE o.name = '{name}'"
    )
    while int(str((connection.execute(progress.encode()).fetchone() or (0,))[0] or 0)) < MESSAGES:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not ingested in {ROUND_SECONDS_MAX} s")
        time.sleep(POLL_SECONDS)
    committed = time.perf_counter() - began
    counted = connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchone()
    seconds = time.perf_counter() - began
    if counted != (MESSAGES,):
        raise RuntimeError(f"{counted} rows of {MESSAGES} messages")
    return committed, seconds


def _plain(broker: Kafka, number: int) -> float:
    """Return the seconds that a plain client takes to read the topic and look at nothing."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.address,
            "group.id": f"plain{number}",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe(["backlog"])
    began, count = time.perf_counter(), 0
    while count < MESSAGES:
        count += len(consumer.consume(10_000, 1.0))
        if time.perf_counter() - began > ROUND_SECONDS_MAX:
            raise RuntimeError("the plain client did not read the backlog")
    consumer.close()
    return time.perf_counter() - began


def measure() -> Outcome:
    ours: list[tuple[float, float]] = []
    plain: list[float] = []
    with folder() as where, ExitStack() as stack:
        broker = stack.enter_context(running_kafka(where))
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic("backlog", PARTITIONS, 1)])["backlog"].result(30)
        producer = (sys.executable, "-m", "bench.kafka_producer")
        subprocess.run(
            [*producer, "backlog", broker.address, "backlog", str(MESSAGES)],
            cwd=ROOT,
            check=True,
            timeout=ROUND_SECONDS_MAX,
        )
        server = stack.enter_context(running(where / "hw"))
        with server.connect() as connection:
            connection.execute(
                f"CREATE CONNECTION k TO KAFKA (BROKER '{broker.address}', "
                "SECURITY PROTOCOL PLAINTEXT)".encode()
            )
            for number in range(ROUNDS):
                ours.append(_ours(connection, f"s{number}"))
                connection.execute(f"DROP SOURCE s{number}".encode())
                plain.append(_plain(broker, number))
    rate = Series("ingested and counted", "messages/s", [MESSAGES / each[1] for each in ours])
    return Outcome(
        f"{MESSAGES:,} JSON messages into ({COLUMNS}), {PARTITIONS} partitions",
        [
            rate,
            Series("until committed", "messages/s", [MESSAGES / each[0] for each in ours]),
            Series(
                "plain Kafka client in Python, nothing decoded",
                "messages/s",
                [MESSAGES / s for s in plain],
            ),
        ],
        [at_least(rate, 150_000.0)],
        [f"CREATE SOURCE … FORMAT JSON ({COLUMNS}); SELECT count(*)"],
        ["the broker shares the machine"],
    )
