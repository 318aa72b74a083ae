"""``python -m bench [NAME…]``: run measurements, all of them by default, and print each.

A target that is missed is reported and is no failure: machines differ. The exit code is 1 only if
a measurement could not be made.
"""

import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from subprocess import SubprocessError

import psycopg
from confluent_kafka import KafkaException

from bench import (
    durable_insert,
    idle,
    kafka_backlog,
    kafka_to_subscribe,
    load_index,
    planning,
    point_read,
    start,
)
from bench.report import Outcome, heading, render

# What a server, a client or a child may do to a measurement; anything else is an error in here.
FAILURES = (
    AssertionError,
    KafkaException,
    OSError,
    RuntimeError,
    SubprocessError,
    psycopg.Error,
)
# name → why it can't be made here (None: it can), and how it is made
MEASUREMENTS: dict[str, tuple[Callable[[], str | None], Callable[[], Outcome]]] = {
    "start": (start.missing, start.measure),
    "planning": (planning.missing, planning.measure),
    "point_read": (point_read.missing, point_read.measure),
    "durable_insert": (durable_insert.missing, durable_insert.measure),
    "kafka_to_subscribe": (kafka_to_subscribe.missing, kafka_to_subscribe.measure),
    "kafka_backlog": (kafka_backlog.missing, kafka_backlog.measure),
    "idle": (idle.missing, idle.measure),
    "load_index": (load_index.missing, load_index.measure),
}


def main(names: Sequence[str]) -> int:
    """Run the named measurements; return the exit code."""
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped
    print(heading(names), flush=True)
    missed, failed = [], []
    for name in names or MEASUREMENTS:
        missing, measure = MEASUREMENTS[name]
        if (why := missing()) is not None:
            print(f"## {name}: not measured, {why}\n", flush=True)
            continue
        began = time.monotonic()
        try:
            outcome = measure()
        except FAILURES:
            print(f"## {name}: failed\n\n{traceback.format_exc()}", flush=True)
            failed.append(name)
            continue
        print(render(name, outcome))
        print(f"- took {time.monotonic() - began:.0f} s\n", flush=True)
        if not all(target.met for target in outcome.targets):
            missed.append(name)
    if missed:
        print(f"targets missed: {', '.join(missed)}")
    if failed:
        print(f"could not be measured: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
