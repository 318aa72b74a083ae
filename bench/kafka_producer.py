"""A producer in a process of its own: ``python -m bench.kafka_producer``, told what by arguments.

``paced ADDRESS TOPIC RATE SECONDS`` sends records that carry the time they were handed over;
``backlog ADDRESS TOPIC COUNT`` sends so many as fast as the broker takes them.
"""

import sys
import time

from confluent_kafka import Producer

CUSTOMERS = 1000
PAID = ("true", "false", "null")
# How many records may wait in the client before it asks the broker to take some.
QUEUE_MESSAGES_MAX = 500_000


def paced(address: str, topic: str, rate: int, seconds: float) -> None:
    """Send ``rate`` records a second, each at its own instant, without waiting to fill batches."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 0})
    began = time.monotonic()
    for number in range(int(rate * seconds)):
        ahead = began + number / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        text = (
            f'{{"id": {number}, "customer": {number % CUSTOMERS}, '
            f'"amount": {number % 997}, "sent": {time.time_ns() // 1000}}}'
        )
        producer.produce(topic, text.encode())
        producer.poll(0)
    if producer.flush(30):
        raise SystemExit("records were not taken by the broker")
    passed = time.monotonic() - began
    print(f"{rate * seconds / passed:.0f}")


def backlog(address: str, topic: str, count: int) -> None:
    """Send ``count`` records in batches."""
    producer = Producer(
        {
            "bootstrap.servers": address,
            "linger.ms": 50,
            "batch.num.messages": 10_000,
            "queue.buffering.max.messages": QUEUE_MESSAGES_MAX,
            "compression.type": "lz4",
        }
    )
    for number in range(count):
        text = (
            f'{{"id": {number}, "customer": {number % CUSTOMERS}, "amount": {number % 9973}.25, '
            f'"note": "order {number % 5000} of somebody", "paid": {PAID[number % 3]}}}'
        )
        while True:
            try:
                producer.produce(topic, text.encode())
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    if producer.flush(120):
        raise SystemExit("records were not taken by the broker")


def main(arguments: list[str]) -> None:
    kind, address, topic, *rest = arguments
    if kind == "paced":
        paced(address, topic, int(rest[0]), float(rest[1]))
    elif kind == "backlog":
        backlog(address, topic, int(rest[0]))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
