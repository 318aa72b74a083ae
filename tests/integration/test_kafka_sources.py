"""Options of Kafka sources: where to start, metadata, headers, envelopes, tables of one source."""

import json
from collections.abc import Iterator

import psycopg
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, broker: Kafka) -> Iterator[Headwater]:
    with running(tmp_path_factory.mktemp("headwater")) as started:
        kafka.connect(started, broker)
        yield started


def rows(connection: Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()


def message(connection: Connection, query: str) -> str:
    """What a query fails with, or what it answers."""
    try:
        return str(rows(connection, query))
    except psycopg.Error as error:
        return f"{error.sqlstate}: {error}"


def create(connection: Connection, name: str, topic: str, clauses: str, options: str = "") -> None:
    made = f"CREATE SOURCE {name} FROM KAFKA CONNECTION k (TOPIC '{topic}'{options}) {clauses}"
    connection.execute(made.encode())


def test_start_offsets_and_timestamps(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("starts", 2)
    for partition in (0, 1):
        for n in range(3):
            record = (None, f"p{partition} {n}".encode())
            broker.produce("starts", [record], partition=partition, timestamp_ms=1_000 * (n + 1))
    query = "SELECT text FROM {} ORDER BY text"
    create(connection, "offsets", "starts", "FORMAT TEXT", ", START OFFSET (2, 1)")
    assert rows(connection, query.format("offsets")) == [("p0 2",), ("p1 1",), ("p1 2",)]
    create(connection, "one_offset", "starts", "FORMAT TEXT", ", START OFFSET (3)")
    assert rows(connection, query.format("one_offset")) == [("p1 0",), ("p1 1",), ("p1 2",)]
    create(connection, "stamped", "starts", "FORMAT TEXT", ", START TIMESTAMP 2000")
    assert rows(connection, query.format("stamped")) == [
        ("p0 1",),
        ("p0 2",),
        ("p1 1",),
        ("p1 2",),
    ]
    # An hour ago nothing of this was there; what comes now is.
    create(connection, "recent", "starts", "FORMAT TEXT", ", START TIMESTAMP -3600000")
    assert rows(connection, query.format("recent")) == []
    broker.produce("starts", [(None, b"now")], partition=0)
    eventually(lambda: rows(connection, query.format("recent")), [("now",)])


def test_a_start_beyond_the_end_is_waited_for(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("beyond")
    broker.produce("beyond", [(None, b"0")])
    create(connection, "beyond", "beyond", "FORMAT TEXT", ", START OFFSET (3)")
    assert rows(connection, "SELECT text FROM beyond") == []
    broker.produce("beyond", [(None, str(n).encode()) for n in range(1, 5)])
    eventually(lambda: rows(connection, "SELECT text FROM beyond ORDER BY text"), [("3",), ("4",)])


def test_headers(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("headers_seen")
    broker.produce("headers_seen", [(b"k", b"none")])
    broker.produce(
        "headers_seen", [(b"k", b"twice")], headers=[("h", b"1"), ("h", b"2"), ("e", b"")]
    )
    broker.produce("headers_seen", [(b"k", b"null")], headers=[("h", None)])
    broker.produce("headers_seen", [(b"k", b"bytes")], headers=[("h", b"\xff")])
    create(connection, "all_headers", "headers_seen", "FORMAT TEXT INCLUDE HEADERS")
    query = (
        "SELECT text, list_length(headers), headers[1].key, headers[1].value "
        "FROM all_headers ORDER BY text"
    )
    assert rows(connection, query) == [
        ("bytes", 1, "h", b"\xff"),
        ("none", 0, None, None),
        ("null", 1, "h", None),
        ("twice", 3, "h", b"1"),
    ]
    create(
        connection,
        "one_header",
        "headers_seen",
        "KEY FORMAT TEXT VALUE FORMAT TEXT INCLUDE KEY, HEADER 'h' AS h BYTES ENVELOPE UPSERT",
    )
    # The last record of the key has it; that it was missing in the first is mended by then.
    assert rows(connection, "SELECT key, text, h FROM one_header") == [("k", "bytes", b"\xff")]
    create(connection, "missing", "headers_seen", "FORMAT TEXT INCLUDE HEADER 'h' AS h")
    assert 'header "h"' in message(connection, "SELECT * FROM missing")


def test_metadata_may_be_renamed_and_must_not_clash(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("renamed")
    broker.produce("renamed", [(b"1", b'{"partition": 7}')], timestamp_ms=1_500)
    create(
        connection,
        "renamed",
        "renamed",
        "KEY FORMAT TEXT VALUE FORMAT JSON (partition int) "
        "INCLUDE KEY AS id, PARTITION AS p, OFFSET AS o, TIMESTAMP AS ts",
    )
    query = 'SELECT id, "partition", p, o, ts::text FROM renamed'
    assert rows(connection, query) == [("1", 7, 0, "0", "1970-01-01 00:00:01.5")]
    with pytest.raises(psycopg.errors.DuplicateColumn, match='"partition"'):
        create(connection, "clash", "renamed", "FORMAT JSON (partition int) INCLUDE PARTITION")


def test_key_formats_and_keys_of_several_columns(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("wide")

    def record(a: int, b: str, v: int | None) -> tuple[bytes, bytes | None]:
        value = None if v is None else json.dumps({"v": v}).encode()
        return json.dumps({"b": b, "a": a}).encode(), value

    broker.produce("wide", [record(1, "x", 1), record(1, "y", 2), record(1, "x", 3)])
    create(
        connection,
        "wide",
        "wide",
        "KEY FORMAT JSON (a int, b text) VALUE FORMAT JSON (v int) "
        "INCLUDE KEY AS (ka, kb) ENVELOPE UPSERT",
    )
    query = "SELECT ka, kb, v FROM wide ORDER BY kb"
    assert rows(connection, query) == [(1, "x", 3), (1, "y", 2)]
    broker.produce("wide", [record(1, "y", None)])
    eventually(lambda: rows(connection, query), [(1, "x", 3)])


def test_a_null_key_is_an_error_until_it_is_taken_back(
    broker: Kafka, connection: Connection
) -> None:
    broker.make_topic("keyless")
    broker.produce("keyless", [(b"a", b"1"), (None, b"2")])
    create(connection, "keyless", "keyless", "KEY FORMAT TEXT VALUE FORMAT TEXT ENVELOPE UPSERT")
    query = "SELECT key, text FROM keyless"
    failure = "failed to decode key (partition 0, offset 1): it is null"
    assert failure in message(connection, query)
    broker.produce("keyless", [(None, None)])
    eventually(lambda: message(connection, query), "[('a', '1')]")


def test_inline_errors(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("inline")
    broker.produce("inline", [(b"a", b'{"v": 1}'), (b"b", b"broken")])
    create(
        connection,
        "inline_errors",
        "inline",
        "KEY FORMAT TEXT VALUE FORMAT JSON (v int) "
        "ENVELOPE UPSERT (VALUE DECODING ERRORS = (INLINE AS problem))",
    )
    query = "SELECT key, v, (problem).description FROM inline_errors ORDER BY key"
    good, bad = rows(connection, query)
    assert good == ("a", 1, None)
    assert bad[:2] == ("b", None)
    assert "JSON" in str(bad[2])
    broker.produce("inline", [(b"b", b'{"v": 2}')])
    eventually(lambda: rows(connection, query), [("a", 1, None), ("b", 2, None)])


def test_null_values_without_envelope(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("nulls")
    broker.produce("nulls", [(b"a", None), (None, b"1")])
    create(connection, "nulls", "nulls", "KEY FORMAT TEXT VALUE FORMAT TEXT INCLUDE KEY")
    assert rows(connection, "SELECT key, text FROM nulls ORDER BY key NULLS LAST") == [
        ("a", None),
        (None, "1"),
    ]


def test_tables_of_one_source(broker: Kafka, server: Headwater) -> None:
    broker.make_topic("shared", 2)
    records = [(b"a", b'{"v": 1}'), (b"b", b'{"v": 2}'), (b"a", b'{"v": 3}')]
    broker.produce("shared", records)
    with server.connect() as connection:
        create(connection, "shared", "shared", "")
        connection.execute(
            "CREATE TABLE raw FROM SOURCE shared (REFERENCE shared) "
            "FORMAT TEXT INCLUDE PARTITION AS p"
        )
        assert rows(connection, "SELECT count(*) FROM raw") == [(3,)]
        broker.produce("shared", [(b"c", b'{"v": 4}')])
        eventually(lambda: rows(connection, "SELECT count(*) FROM raw"), [(4,)])
        # A table that is made later has what the others have had, and what comes.
        connection.execute(
            "CREATE TABLE keyed FROM SOURCE shared (REFERENCE shared) "
            "KEY FORMAT TEXT VALUE FORMAT JSON (v int) INCLUDE KEY AS k ENVELOPE UPSERT"
        )
        query = "SELECT k, v FROM keyed ORDER BY k"
        assert rows(connection, query) == [("a", 3), ("b", 2), ("c", 4)]
        with pytest.raises(psycopg.errors.UndefinedTable, match="not found in source"):
            connection.execute("CREATE TABLE t FROM SOURCE shared (REFERENCE other) FORMAT TEXT")
        with pytest.raises(psycopg.Error, match="keyed"):
            connection.execute("INSERT INTO keyed VALUES ('d', 1)")
    server.kill()
    server.start()
    broker.produce("shared", [(b"a", None)])
    with server.connect() as connection:
        eventually(lambda: rows(connection, query), [("b", 2), ("c", 4)])
        assert rows(connection, "SELECT count(*) FROM raw") == [(5,)]
        connection.execute("DROP TABLE raw")
        broker.produce("shared", [(b"d", b'{"v": 5}')])
        eventually(lambda: rows(connection, query), [("b", 2), ("c", 4), ("d", 5)])


def test_progress_and_the_consumer_group(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("followed", 2)
    broker.produce("followed", [(None, b"x")] * 3, partition=0)
    create(connection, "followed", "followed", "FORMAT TEXT", ", GROUP ID PREFIX 'mine-'")
    assert rows(connection, "SELECT count(*) FROM followed") == [(3,)]
    progress = 'SELECT lower("partition")::int, "offset" FROM followed_progress ORDER BY 1'
    assert rows(connection, progress) == [(0, "3"), (1, "0")]
    admin = AdminClient(broker.client())

    def committed() -> list[int]:
        """What the source's consumer group has committed of partition 0."""
        groups = [group.group_id for group in admin.list_consumer_groups().result(30).valid]
        offsets = []
        for group in groups:
            if group.startswith("mine-headwater-"):
                asked = ConsumerGroupTopicPartitions(group, [TopicPartition("followed", 0)])
                (future,) = admin.list_consumer_group_offsets([asked]).values()
                offsets += [found.offset for found in future.result(30).topic_partitions]
        return offsets

    eventually(committed, [3])


def test_statistics(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("counted")
    broker.produce("counted", [(b"k", b"12345"), (b"l", b"12345"), (b"k", b"12")])
    create(connection, "counted", "counted", "KEY FORMAT TEXT VALUE FORMAT TEXT ENVELOPE UPSERT")
    assert rows(connection, "SELECT count(*) FROM counted") == [(2,)]
    query = """
        SELECT messages_received, bytes_received, records_indexed, offset_known, offset_committed,
               snapshot_records_known, snapshot_records_staged, snapshot_committed,
               updates_committed = updates_staged AND updates_committed >= 2,
               replica_id IS NOT NULL, rehydration_latency IS NOT NULL
        FROM mz_internal.mz_source_statistics JOIN mz_sources USING (id) WHERE name = 'counted'
    """
    want = ("3", "15", "2", "3", "3", "3", "3", True, True, True, True)
    eventually(lambda: rows(connection, query), [want])
    broker.produce("counted", [(b"m", b"1")])
    eventually(lambda: rows(connection, query)[0][:5], ("4", "17", "3", "4", "4"))


def test_statuses_and_their_history(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("lived")
    create(connection, "lived", "lived", "FORMAT TEXT")
    ((id,),) = rows(connection, "SELECT id FROM mz_sources WHERE name = 'lived'")
    history = (
        "SELECT status FROM mz_internal.mz_source_status_history "
        f"WHERE source_id = '{id}' ORDER BY occurred_at, status"
    )
    eventually(lambda: rows(connection, history), [("created",), ("starting",), ("running",)])
    status = "SELECT status, type FROM mz_internal.mz_source_statuses WHERE name = 'lived'"
    assert rows(connection, status) == [("running", "kafka")]
    connection.execute("DROP SOURCE lived")
    eventually(lambda: rows(connection, history)[-1], ("dropped",))
    assert rows(connection, status) == []


def test_statuses_of_a_cluster_that_is_emptied(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("parked")
    connection.execute("CREATE CLUSTER parking SIZE '1'")
    connection.execute(
        "CREATE SOURCE parked IN CLUSTER parking FROM KAFKA CONNECTION k (TOPIC 'parked') "
        "FORMAT TEXT"
    )
    status = "SELECT status FROM mz_internal.mz_source_statuses WHERE name = 'parked'"
    eventually(lambda: rows(connection, status), [("running",)])
    connection.execute("ALTER CLUSTER parking SET (REPLICATION FACTOR 0)")
    eventually(lambda: rows(connection, status), [("paused",)])
    connection.execute("ALTER CLUSTER parking SET (REPLICATION FACTOR 1)")
    eventually(lambda: rows(connection, status), [("running",)])
    for _ in range(3):
        connection.execute("ALTER CLUSTER parking SET (REPLICATION FACTOR 0)")
        eventually(lambda: rows(connection, status), [("paused",)])
        connection.execute("ALTER CLUSTER parking SET (REPLICATION FACTOR 1)")
        eventually(lambda: rows(connection, status), [("running",)])
    count = (
        "SELECT count(*) FROM mz_internal.mz_source_status_history AS h "
        "JOIN mz_sources AS s ON s.id = h.source_id WHERE s.name = 'parked'"
    )
    eventually(lambda: rows(connection, count), [(5,)])


def test_a_table_of_a_topic_without_records(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("silent", 2)
    create(connection, "silent", "silent", "")
    for name in ("silent_1", "silent_2"):
        connection.execute(
            f"CREATE TABLE {name} FROM SOURCE silent (REFERENCE silent) FORMAT TEXT".encode()
        )
        assert rows(connection, f"SELECT count(*) FROM {name}") == [(0,)]
    broker.produce("silent", [(None, b"at last")])
    for name in ("silent_1", "silent_2"):
        query = f"SELECT text FROM {name}"
        eventually(lambda query=query: rows(connection, query), [("at last",)])  # type: ignore[misc]


def test_a_connection_moves_to_other_brokers(
    broker: Kafka, connection: Connection, unused_tcp_port: int
) -> None:
    broker.make_topic("moving")
    broker.produce("moving", [(None, b"a")])
    connection.execute(
        f"CREATE CONNECTION moving TO KAFKA (BROKER '{broker.address}', "
        "SECURITY PROTOCOL PLAINTEXT)".encode()
    )
    connection.execute(
        "CREATE SOURCE moving_source FROM KAFKA CONNECTION moving (TOPIC 'moving') FORMAT TEXT"
    )
    assert rows(connection, "SELECT text FROM moving_source") == [("a",)]
    away = f"ALTER CONNECTION moving SET (BROKER '127.0.0.1:{unused_tcp_port}')"
    with pytest.raises(psycopg.OperationalError, match="failed to connect"):
        connection.execute(away.encode())
    connection.execute(f"{away} WITH (VALIDATE = false)".encode())
    status = "SELECT status FROM mz_internal.mz_source_statuses WHERE name = 'moving_source'"
    eventually(lambda: rows(connection, status), [("stalled",)])
    broker.produce("moving", [(None, b"b")])
    connection.execute(f"ALTER CONNECTION moving SET (BROKER '{broker.address}')".encode())
    eventually(
        lambda: rows(connection, "SELECT text FROM moving_source ORDER BY text"),
        [("a",), ("b",)],
    )
    eventually(lambda: rows(connection, status), [("running",)])
