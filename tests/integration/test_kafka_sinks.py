"""Options of Kafka sinks: formats, envelopes, partitions, headers, topics, and what they follow."""

import json
from collections.abc import Iterator

import psycopg
import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

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


def sink(connection: Connection, on: str, topic: str, clauses: str, options: str = "") -> None:
    connection.execute(
        f"CREATE SINK {topic}_sink FROM {on} INTO KAFKA CONNECTION k (TOPIC '{topic}'{options}) "
        f"{clauses}".encode()
    )


def value(message: Message) -> object:
    """The JSON of a record's value."""
    data = message.value()
    return None if data is None else json.loads(data)


def headers(message: Message) -> dict[str, bytes | None]:
    return dict(message.headers() or [])  # type: ignore[arg-type]


def test_json_of_every_type(broker: Kafka, connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE of_types (b bool, i int, l bigint, f float8, n numeric, t text, d date, "
        "ts timestamp, tz timestamptz, u uuid, j jsonb, a int[], li text list, m map[text=>int], "
        "y bytea)"
    )
    connection.execute(
        "INSERT INTO of_types VALUES (true, -1, 9007199254740993, 1.5, 1.10, 'é\"', '2024-02-29', "
        "'1970-01-01 00:00:01.0025', '1970-01-01 00:00:01+00', "
        "'00112233-4455-6677-8899-aabbccddeeff', '{\"k\": [1, null]}', '{{1,2},{3,4}}', "
        "'{a,b}', '{x=>1}', '\\x00ff')"
    )
    sink(connection, "of_types", "of_types", "FORMAT JSON ENVELOPE DEBEZIUM")
    (message,) = broker.read("of_types", 1)
    assert message.key() is None
    assert value(message) == {
        "before": None,
        "after": {
            "b": True,
            "i": -1,
            "l": 9007199254740993,
            "f": 1.5,
            "n": "1.1",
            "t": 'é"',
            "d": "2024-02-29",
            "ts": "1002.500",
            "tz": "1000.000",
            "u": "00112233-4455-6677-8899-aabbccddeeff",
            "j": {"k": [1, None]},
            "a": [[1, 2], [3, 4]],
            "li": ["a", "b"],
            "m": {"x": 1},
            "y": "\\x00ff",
        },
    }


def test_debezium_pairs_rows_under_a_key(broker: Kafka, connection: Connection) -> None:
    connection.execute("CREATE TABLE pairs (id int, v int)")
    connection.execute("INSERT INTO pairs VALUES (1, 1)")
    sink(connection, "pairs", "pairs", "KEY (id) NOT ENFORCED FORMAT JSON ENVELOPE DEBEZIUM")
    broker.read("pairs", 1)
    connection.execute("UPDATE pairs SET v = 2 WHERE id = 1")
    broker.read("pairs", 2)
    connection.execute("DELETE FROM pairs")
    first, second, third = broker.read("pairs", 3)
    old, new = {"id": 1, "v": 1}, {"id": 1, "v": 2}
    assert [json.loads(m.key() or b"") for m in (first, second, third)] == [{"id": 1}] * 3
    assert value(first) == {"before": None, "after": old}
    assert value(second) == {"before": old, "after": new}
    assert value(third) == {"before": new, "after": None}
    stamps = [int(headers(m)["materialize-timestamp"] or b"0") for m in (first, second, third)]
    assert stamps == sorted(stamps)
    assert stamps[0] > 1_600_000_000_000


def test_text_and_bytes(broker: Kafka, connection: Connection) -> None:
    connection.execute("CREATE TABLE plain (k int, v bytea)")
    connection.execute("CREATE TABLE raw (v bytea)")
    connection.execute("INSERT INTO raw VALUES ('\\x00ff'), (NULL)")
    sink(
        connection,
        "raw",
        "raw",
        "KEY (v) NOT ENFORCED KEY FORMAT TEXT VALUE FORMAT BYTES ENVELOPE UPSERT",
    )
    found = {(m.key(), m.value()) for m in broker.read("raw", 2)}
    assert found == {(b"\\x00ff", b"\x00\xff"), (None, None)}
    for clauses, wrong in (
        ("FORMAT TEXT ENVELOPE DEBEZIUM", "FORMAT TEXT writes one column, and there are 2"),
        ("KEY (k) NOT ENFORCED FORMAT JSON (a int) ENVELOPE UPSERT", "takes no columns"),
        (
            "KEY (k) NOT ENFORCED KEY FORMAT BYTES VALUE FORMAT JSON ENVELOPE UPSERT",
            'type bytea, which "k" is not',
        ),
        ("FORMAT JSON ENVELOPE UPSERT", "requires that KEY be specified"),
        ("KEY (k) FORMAT JSON ENVELOPE UPSERT", "could not be validated as unique"),
        ("KEY (nope) FORMAT JSON ENVELOPE UPSERT", 'column "nope" does not exist'),
        ("FORMAT JSON", "ENVELOPE clause is required"),
    ):
        with pytest.raises(psycopg.Error, match=wrong.replace("(", r"\(")) as caught:
            sink(connection, "plain", "refused", clauses)
        assert not str(caught.value.sqlstate).startswith("XX")
    connection.execute("CREATE VIEW seen AS SELECT * FROM plain")
    with pytest.raises(psycopg.errors.WrongObjectType):
        sink(connection, "seen", "refused", "FORMAT JSON ENVELOPE DEBEZIUM")


def test_partitions_by_key_and_by_expression(broker: Kafka, connection: Connection) -> None:
    connection.execute("CREATE TABLE spread (id int, area int)")
    connection.execute("INSERT INTO spread SELECT n, n % 5 FROM generate_series(1, 40) AS n")
    connection.execute("INSERT INTO spread VALUES (41, NULL), (42, 0)")
    sink(
        connection,
        "spread",
        "spread",
        "KEY (id) NOT ENFORCED FORMAT JSON ENVELOPE UPSERT",
        ", TOPIC PARTITION COUNT 3, PARTITION BY = 10 / area",
    )
    for message in broker.read("spread", 42, 3):
        row = value(message)
        assert isinstance(row, dict)
        area = row["area"]
        # A division by zero and a NULL go to the first partition.
        assert message.partition() == (10 // area % 3 if area else 0), row
    sink(
        connection,
        "spread",
        "hashed",
        "KEY (id) NOT ENFORCED FORMAT JSON ENVELOPE UPSERT",
        ", TOPIC PARTITION COUNT 3",
    )
    homes: dict[bytes, set[int]] = {}
    for message in broker.read("hashed", 42, 3):
        homes.setdefault(message.key() or b"", set()).add(message.partition() or 0)
    connection.execute("UPDATE spread SET area = 9")
    for message in broker.read("hashed", 84, 3):
        homes[message.key() or b""].add(message.partition() or 0)
    assert all(len(partitions) == 1 for partitions in homes.values())
    assert set.union(*homes.values()) == {0, 1, 2}


def test_headers_from_a_column(broker: Kafka, connection: Connection) -> None:
    connection.execute("CREATE TABLE headed (id int, h map[text=>text])")
    connection.execute(
        "INSERT INTO headed VALUES (1, '{a=>x, b=>NULL, materialize-timestamp=>1}'), (2, NULL)"
    )
    sink(
        connection,
        "headed",
        "headed",
        "KEY (id) NOT ENFORCED HEADERS h FORMAT JSON ENVELOPE UPSERT",
    )
    found = {m.key(): headers(m) for m in broker.read("headed", 2)}
    one, two = found[b'{"id":1}'], found[b'{"id":2}']
    assert (one["a"], one["b"]) == (b"x", None)
    assert int(one.pop("materialize-timestamp") or b"0") > 1_600_000_000_000
    assert set(one) == {"a", "b"}
    assert set(two) == {"materialize-timestamp"}


def test_snapshot_false_and_only_the_newest_of_a_snapshot(
    broker: Kafka, connection: Connection
) -> None:
    connection.execute("CREATE TABLE before (id int, v int)")
    connection.execute("INSERT INTO before VALUES (1, 1)")
    connection.execute("UPDATE before SET v = 2")
    clauses = "KEY (id) NOT ENFORCED FORMAT JSON ENVELOPE UPSERT"
    sink(connection, "before", "whole", clauses)
    sink(connection, "before", "later", f"{clauses} WITH (SNAPSHOT = false)")
    connection.execute("INSERT INTO before VALUES (2, 1)")
    assert [value(m) for m in broker.read("whole", 2)] == [
        {"id": 1, "v": 2},
        {"id": 2, "v": 1},
    ]
    assert [value(m) for m in broker.read("later", 1)] == [{"id": 2, "v": 1}]


def test_topics_are_made_as_asked(broker: Kafka, connection: Connection) -> None:
    connection.execute("CREATE TABLE asked (id int)")
    connection.execute("INSERT INTO asked VALUES (1)")
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        sink(
            connection,
            "asked",
            f"asked_{codec}",
            # Without keys a compacted topic takes no records.
            "KEY (id) NOT ENFORCED FORMAT JSON ENVELOPE DEBEZIUM",
            f", COMPRESSION TYPE {codec}, TOPIC PARTITION COUNT 2, TOPIC REPLICATION FACTOR 1, "
            "TOPIC CONFIG MAP['cleanup.policy' => 'compact', 'retention.ms' => '123456']",
        )
        assert len(broker.read(f"asked_{codec}", 1, 2)) == 1
    admin = AdminClient(broker.client())
    resource = ConfigResource(ResourceType.TOPIC, "asked_none")
    config = admin.describe_configs([resource])[resource].result(30)
    assert (config["cleanup.policy"].value, config["retention.ms"].value) == ("compact", "123456")


def test_a_sink_changes_what_it_follows(broker: Kafka, server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE first (id int, v text)")
        connection.execute("CREATE TABLE second (id int, v text)")
        connection.execute("INSERT INTO first VALUES (1, 'a')")
        connection.execute("INSERT INTO second VALUES (9, 'not written')")
        sink(connection, "first", "moved", "KEY (id) NOT ENFORCED FORMAT JSON ENVELOPE UPSERT")
        connection.execute("INSERT INTO first VALUES (2, 'b')")
        connection.execute("ALTER SINK moved_sink SET FROM second")
        connection.execute("INSERT INTO first VALUES (3, 'not written')")
        connection.execute("INSERT INTO second VALUES (4, 'c')")
        assert [value(m) for m in broker.read("moved", 3)] == [
            {"id": 1, "v": "a"},
            {"id": 2, "v": "b"},
            {"id": 4, "v": "c"},
        ]
        ((shown,),) = [row[1:] for row in rows(connection, "SHOW CREATE SINK moved_sink")]
        assert "second" in str(shown)
        with pytest.raises(psycopg.errors.DependentObjectsStillExist):
            connection.execute("DROP TABLE second")
        connection.execute("DROP TABLE first")
        connection.execute("CREATE TABLE third (other int)")
        with pytest.raises(psycopg.errors.UndefinedColumn):
            connection.execute("ALTER SINK moved_sink SET FROM third")
    server.kill()
    server.start()
    with server.connect() as connection:
        connection.execute("INSERT INTO second VALUES (5, 'd')")
        assert value(broker.read("moved", 4)[3]) == {"id": 5, "v": "d"}


def test_statuses_and_statistics(broker: Kafka, connection: Connection) -> None:
    connection.execute("CREATE TABLE watched (a int)")
    connection.execute("INSERT INTO watched VALUES (1), (2)")
    sink(connection, "watched", "watched", "FORMAT JSON ENVELOPE DEBEZIUM")
    broker.read("watched", 2)
    query = """
        SELECT s.messages_staged, s.messages_committed, s.bytes_staged = s.bytes_committed,
               s.bytes_committed > 50, t.status, t.type, s.replica_id IS NOT NULL
        FROM mz_internal.mz_sink_statistics AS s
        JOIN mz_internal.mz_sink_statuses AS t ON t.id = s.id WHERE t.name = 'watched_sink'
    """
    want = ("2", "2", True, True, "running", "kafka", True)
    eventually(lambda: rows(connection, query), [want])
    ((id,),) = rows(connection, "SELECT id FROM mz_sinks WHERE name = 'watched_sink'")
    history = (
        f"SELECT status FROM mz_internal.mz_sink_status_history WHERE sink_id = '{id}' "
        "ORDER BY occurred_at, status"
    )
    eventually(lambda: rows(connection, history), [("created",), ("starting",), ("running",)])
    connection.execute("DROP SINK watched_sink")
    eventually(lambda: rows(connection, history)[-1], ("dropped",))


def test_errors_of_the_input_stall_a_sink_until_they_are_gone(
    broker: Kafka, connection: Connection
) -> None:
    connection.execute("CREATE TABLE divisors (a int)")
    connection.execute("INSERT INTO divisors VALUES (1)")
    connection.execute("CREATE MATERIALIZED VIEW quotients AS SELECT 10 / a AS q FROM divisors")
    sink(connection, "quotients", "quotients", "FORMAT JSON ENVELOPE DEBEZIUM")
    broker.read("quotients", 1)
    connection.execute("INSERT INTO divisors VALUES (0)")
    status = "SELECT status FROM mz_internal.mz_sink_statuses WHERE name = 'quotients_sink'"
    eventually(lambda: rows(connection, status), [("stalled",)])


def test_schemas_are_of_formats_that_have_them(connection: Connection) -> None:
    connection.execute("CREATE TABLE explained (a int)")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="Avro schemas"):
        connection.execute(
            "EXPLAIN VALUE SCHEMA FOR CREATE SINK s FROM explained INTO KAFKA CONNECTION k "
            "(TOPIC 't') FORMAT JSON ENVELOPE DEBEZIUM"
        )


def test_how_far_a_sink_is(broker: Kafka, connection: Connection) -> None:
    connection.execute("CREATE TABLE far (a int)")
    connection.execute("INSERT INTO far VALUES (1)")
    sink(connection, "far", "far", "FORMAT JSON ENVELOPE DEBEZIUM")
    broker.read("far", 1)
    ((now,),) = rows(connection, "SELECT mz_now()::text FROM far")
    seen = f"""
        SELECT f.write_frontier > {now}::mz_timestamp, f.write_frontier = p.write_frontier,
               l.slowest_local_input_id = t.id, l.global_lag < INTERVAL '30 s'
        FROM mz_catalog.mz_sinks AS s
        JOIN mz_internal.mz_frontiers AS f ON f.object_id = s.id
        JOIN mz_catalog.mz_cluster_replica_frontiers AS p ON p.object_id = s.id
        JOIN mz_internal.mz_materialization_lag AS l ON l.object_id = s.id
        JOIN mz_catalog.mz_tables AS t ON t.name = 'far'
        WHERE s.name = 'far_sink'
    """
    eventually(lambda: rows(connection, seen), [(True, True, True, True)])
    connection.execute("DROP SINK far_sink")
    assert rows(connection, seen) == []
