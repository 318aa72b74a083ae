"""One server for a module's tests, unless a test starts its own."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fixtures import kafka
from tests.fixtures.headwater import Headwater, running
from tests.fixtures.kafka import Kafka


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headwater]:
    """A server with nothing in it but what the module's tests have made."""
    folder: Path = tmp_path_factory.mktemp("headwater")
    with running(folder) as started:
        yield started


@pytest.fixture
def connection(server: Headwater) -> "Iterator[psycopg.Connection[tuple[object, ...]]]":
    """A connection in a database of the test's own."""
    with server.connect() as opened:
        yield opened


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One broker for all tests; topics are a test's own."""
    started = kafka.make(tmp_path_factory.mktemp("kafka"))
    started.start()
    yield started
    started.stop()
