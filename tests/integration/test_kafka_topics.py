"""What becomes of a topic under a source: deleted, made anew, cut off, grown; brokers that go."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fixtures import kafka
from tests.fixtures.headwater import Headwater, running
from tests.fixtures.kafka import Kafka
from tests.fixtures.waiting import eventually

pytestmark = [
    pytest.mark.server,
    pytest.mark.kafka,
    pytest.mark.skipif(kafka.missing() is not None, reason=kafka.missing() or ""),
]

Connection = psycopg.Connection[tuple[object, ...]]
# The state of source ``name``: its status, and what it says of an error.
STATUS = "SELECT status, error, details->'hints'->>0 FROM mz_internal.mz_source_statuses WHERE name"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, broker: Kafka) -> Iterator[Headwater]:
    with running(tmp_path_factory.mktemp("headwater")) as started:
        kafka.connect(started, broker)
        yield started


def rows(connection: Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()


def texts(*values: str) -> list[tuple[None, bytes]]:
    return [(None, value.encode()) for value in values]


def source(connection: Connection, name: str, options: str = "") -> None:
    connection.execute(
        f"CREATE SOURCE {name} FROM KAFKA CONNECTION k (TOPIC '{name}', "
        f"TOPIC METADATA REFRESH INTERVAL '200ms'{options}) FORMAT TEXT".encode()
    )


def message(connection: Connection, query: str) -> str:
    """What a query fails with, or what it answers."""
    try:
        return str(rows(connection, query))
    except psycopg.Error as error:
        return f"{error.sqlstate}: {error}"


def test_a_deleted_topic_is_an_error_for_good(broker: Kafka, server: Headwater) -> None:
    broker.make_topic("deleted")
    broker.produce("deleted", texts("a"))
    with server.connect() as connection:
        source(connection, "deleted")
        assert rows(connection, "SELECT text FROM deleted") == [("a",)]
        broker.delete_topic("deleted")
        query = "SELECT text FROM deleted"
        eventually(lambda: '55000: topic "deleted" was deleted' in message(connection, query), True)
        wanted = ("stalled", 'topic "deleted" was deleted')
        eventually(lambda: rows(connection, f"{STATUS} = 'deleted'")[0][:2], wanted)
        status = rows(connection, f"{STATUS} = 'deleted'")[0]
        assert "create it anew" in str(status[2])
    # A topic of that name that comes later is another one, also after a restart.
    broker.make_topic("deleted")
    broker.produce("deleted", texts("b", "c"))
    server.stop()
    server.start()
    with server.connect() as connection:
        assert '55000: topic "deleted" was deleted' in message(connection, query)
        connection.execute("DROP SOURCE deleted")
        source(connection, "deleted")
        assert rows(connection, "SELECT text FROM deleted ORDER BY text") == [("b",), ("c",)]


def test_a_topic_made_anew_with_fewer_records_is_noticed(broker: Kafka, server: Headwater) -> None:
    broker.make_topic("anew")
    broker.produce("anew", texts("a", "b", "c"))
    with server.connect() as connection:
        connection.execute("CREATE CLUSTER of_anew SIZE '1'")
        source(connection, "anew")
        assert rows(connection, "SELECT count(*) FROM anew") == [(3,)]
        connection.execute("CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM anew")
        assert rows(connection, "SELECT * FROM counted") == [(3,)]
    server.stop()
    broker.delete_topic("anew")
    broker.make_topic("anew")
    broker.produce("anew", texts("d"))
    server.start()
    with server.connect() as connection:
        said = "ends at offset 1 where everything before 3 was read"
        eventually(lambda: said in message(connection, "SELECT count(*) FROM anew"), True)
        eventually(lambda: said in message(connection, "SELECT * FROM counted"), True)


def test_records_that_expired_before_they_were_read_are_missed(
    broker: Kafka, server: Headwater
) -> None:
    broker.make_topic("expired")
    broker.produce("expired", texts("a", "b"))
    with server.connect() as connection:
        source(connection, "expired")
        assert rows(connection, "SELECT count(*) FROM expired") == [(2,)]
    server.stop()
    broker.produce("expired", texts("c", "d", "e"))
    broker.delete_records("expired", 0, 4)
    server.start()
    with server.connect() as connection:
        eventually(
            lambda: (
                "no longer has offsets 2 to 3 of partition 0"
                in message(connection, "SELECT * FROM expired")
            ),
            True,
        )


def test_records_that_were_read_may_expire(broker: Kafka, server: Headwater) -> None:
    """Also those of a transaction, whose last offset is a marker that nobody reads."""
    broker.make_topic("consumed")
    with server.connect() as connection:
        connection.execute("CREATE TABLE feeding (a text)")
        connection.execute("INSERT INTO feeding VALUES ('x'), ('y')")
        connection.execute(
            "CREATE SINK consumed_sink FROM feeding INTO KAFKA CONNECTION k (TOPIC 'consumed') "
            "FORMAT JSON ENVELOPE DEBEZIUM"
        )
        broker.read("consumed", 2)
        source(connection, "consumed")
        assert rows(connection, "SELECT count(*) FROM consumed") == [(2,)]
        # Two records and the marker of their transaction.
        progress = 'SELECT "offset" FROM consumed_progress'
        eventually(lambda: rows(connection, progress), [("3",)])
        connection.execute("DROP SINK consumed_sink")
    server.stop()
    broker.delete_records("consumed", 0, 3)
    server.start()
    broker.produce("consumed", texts("after"))
    with server.connect() as connection:
        eventually(lambda: message(connection, "SELECT count(*) FROM consumed"), "[(3,)]")


def test_partitions_added_later_are_found(broker: Kafka, server: Headwater) -> None:
    broker.make_topic("grown")
    broker.produce("grown", texts("a"))
    with server.connect() as connection:
        source(connection, "grown")
        assert rows(connection, "SELECT text FROM grown") == [("a",)]
        broker.add_partitions("grown", 3)
        broker.produce("grown", texts("b"), partition=2)
        eventually(
            lambda: rows(connection, "SELECT text FROM grown ORDER BY text"), [("a",), ("b",)]
        )


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_records(broker: Kafka, server: Headwater, codec: str) -> None:
    name = f"compressed_{codec}"
    broker.make_topic(name)
    broker.produce(name, texts(*(f"row {n}" for n in range(100))), compression_type=codec)
    with server.connect() as connection:
        source(connection, name)
        query = f"SELECT count(*), min(text), max(text) FROM {name}"
        assert rows(connection, query) == [(100, "row 0", "row 99")]


def test_what_does_not_exist_is_said_at_create(broker: Kafka, server: Headwater) -> None:
    broker.make_topic("narrow")
    with server.connect() as connection:
        with pytest.raises(psycopg.errors.UndefinedObject, match='topic "nowhere" does not exist'):
            source(connection, "nowhere")
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="START OFFSET names 2"):
            source(connection, "narrow", ", START OFFSET (0, 0)")


def test_a_broker_that_goes_and_comes_back(tmp_path: Path) -> None:
    own = kafka.make(tmp_path / "kafka")
    own.start()
    try:
        own.make_topic("flaky")
        own.produce("flaky", texts("a"))
        with running(tmp_path / "headwater") as server:
            kafka.connect(server, own)
            with server.connect() as connection:
                source(connection, "flaky")
                assert rows(connection, "SELECT text FROM flaky") == [("a",)]
                own.stop()
                status = f"{STATUS} = 'flaky'"
                # A broker that is going may say something else before it is gone.
                eventually(lambda: "out of reach" in str(rows(connection, status)[0][1]), True)
                state, error, hint = rows(connection, status)[0]
                assert state == "stalled"
                assert own.address in str(error)
                assert "goes on by itself" in str(hint)
                # What was read stays readable, and what needs the broker says so.
                assert rows(connection, "SELECT text FROM flaky") == [("a",)]
                with pytest.raises(psycopg.OperationalError, match="failed to connect"):
                    connection.execute("VALIDATE CONNECTION k")
                with pytest.raises(psycopg.OperationalError, match="failed to connect"):
                    source(connection, "flaky2")
                connection.execute(
                    f"CREATE CONNECTION unseen TO KAFKA (BROKER '{own.address}', "
                    "SECURITY PROTOCOL PLAINTEXT) WITH (VALIDATE = false)".encode()
                )
                own.start()
                own.produce("flaky", texts("b"))
                query = "SELECT text FROM flaky ORDER BY text"
                eventually(lambda: rows(connection, query), [("a",), ("b",)])
                eventually(lambda: rows(connection, status)[0][0], "running")
                connection.execute("VALIDATE CONNECTION k")
                history = (
                    "SELECT status FROM mz_internal.mz_source_status_history "
                    "ORDER BY occurred_at DESC LIMIT 2"
                )
                eventually(lambda: rows(connection, history), [("running",), ("stalled",)])
    finally:
        own.stop(kill=True)
