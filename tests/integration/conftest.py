"""One server for a module's tests, unless a test starts its own."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fixtures import kafka, postgres
from tests.fixtures.headwater import Headwater, running
from tests.fixtures.kafka import Kafka
from tests.fixtures.ports import free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headwater]:
    """A server with nothing in it but what the module's tests have made."""
    folder: Path = tmp_path_factory.mktemp("headwater")
    with running(folder) as started:
        yield started


@pytest.fixture
def connection(server: Headwater) -> "Iterator[psycopg.Connection[tuple[object, ...]]]":
    """A connection to the server."""
    with server.connect() as opened:
        yield opened


@pytest.fixture
def scratch(server: Headwater) -> "Iterator[psycopg.Connection[tuple[object, ...]]]":
    """A connection in a schema that goes with the test."""
    with server.connect() as opened:
        opened.execute("CREATE SCHEMA scratch")
        opened.execute("SET search_path = scratch")
        yield opened
        opened.execute("ROLLBACK")
        opened.execute("DROP SCHEMA scratch CASCADE")


@pytest.fixture
def other(
    server: Headwater, scratch: "psycopg.Connection[tuple[object, ...]]"
) -> "Iterator[psycopg.Connection[tuple[object, ...]]]":
    """Another connection in the schema of ``scratch``."""
    assert scratch
    with server.connect() as opened:
        opened.execute("SET search_path = scratch")
        yield opened


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One broker for all tests; topics are a test's own."""
    started = kafka.make(tmp_path_factory.mktemp("kafka"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Postgres]:
    """A PostgreSQL 15 that is asked the same."""
    why = postgres.missing()
    if why is not None:
        pytest.skip(why)
    started = postgres.Postgres(tmp_path_factory.mktemp("postgres"), free_port())
    started.folder.parent.chmod(0o755)
    for parent in list(started.folder.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    started.start()
    yield started
    started.stop()
