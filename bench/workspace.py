"""Folders and servers that live as long as one measurement."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fixtures import kafka, postgres
from tests.fixtures.kafka import Kafka
from tests.fixtures.postgres import Postgres


@contextmanager
def folder() -> Iterator[Path]:
    """Give a new folder that servers under other users can enter; remove it at the end."""
    path = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def running_postgres(where: Path) -> Iterator[Postgres]:
    """Run a durable PostgreSQL 15 with its defaults."""
    server = postgres.make(where / "postgres")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def running_kafka(where: Path) -> Iterator[Kafka]:
    """Run a broker of one node."""
    broker = kafka.make(where / "kafka")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
