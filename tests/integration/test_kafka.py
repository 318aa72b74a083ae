"""Kafka in and out, against a real broker: formats, envelopes, bad records, crashes."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fixtures import kafka
from tests.fixtures.headwater import Headwater, kill_process, running
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


@pytest.fixture
def connection(server: Headwater) -> Iterator[Connection]:
    with server.connect() as opened:
        yield opened


def rows(connection: Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()


def test_json_with_declared_columns_from_several_partitions(
    broker: Kafka, connection: Connection
) -> None:
    broker.make_topic("typed", 3)
    broker.produce(
        "typed",
        [(None, json.dumps({"a": n, "b": f"row {n}"}).encode()) for n in range(1000)],
    )
    connection.execute(
        "CREATE SOURCE typed FROM KAFKA CONNECTION k (TOPIC 'typed') FORMAT JSON (a int, b text)"
    )
    eventually(lambda: rows(connection, "SELECT count(*) FROM typed"), [(1000,)])
    assert rows(connection, "SELECT sum(a), min(b), max(b) FROM typed") == [
        (499500, "row 0", "row 999")
    ]
    broker.produce("typed", [(None, b'{"a": 1000, "b": null}')])
    eventually(lambda: rows(connection, "SELECT b FROM typed WHERE a = 1000"), [(None,)])


def test_metadata_columns(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("meta")
    broker.produce("meta", [(b"k0", b"v0"), (b"k1", b"v1")])
    connection.execute(
        "CREATE SOURCE meta FROM KAFKA CONNECTION k (TOPIC 'meta') KEY FORMAT TEXT "
        "VALUE FORMAT TEXT INCLUDE KEY AS k, PARTITION AS p, OFFSET AS o, TIMESTAMP AS ts"
    )
    query = "SELECT k, text, p, o, ts IS NOT NULL FROM meta ORDER BY o"
    eventually(
        lambda: rows(connection, query), [("k0", "v0", 0, "0", True), ("k1", "v1", 0, "1", True)]
    )


def test_upsert_keeps_the_last_value_and_null_deletes(
    broker: Kafka, connection: Connection
) -> None:
    broker.make_topic("upserts")
    broker.produce("upserts", [(b"a", b'{"v": 1}'), (b"b", b'{"v": 2}'), (b"a", b'{"v": 3}')])
    connection.execute(
        "CREATE SOURCE upserts FROM KAFKA CONNECTION k (TOPIC 'upserts') KEY FORMAT TEXT "
        "VALUE FORMAT JSON (v int) INCLUDE KEY AS k ENVELOPE UPSERT"
    )
    query = "SELECT k, v FROM upserts ORDER BY k"
    eventually(lambda: rows(connection, query), [("a", 3), ("b", 2)])
    broker.produce("upserts", [(b"b", None), (b"c", b'{"v": 4}')])
    eventually(lambda: rows(connection, query), [("a", 3), ("c", 4)])


def test_a_malformed_value_under_upsert_is_mended_by_the_next(
    broker: Kafka, connection: Connection
) -> None:
    broker.make_topic("mended")
    broker.produce("mended", [(b"a", b'{"v": 1}'), (b"b", b"not json")])
    connection.execute(
        "CREATE SOURCE mended FROM KAFKA CONNECTION k (TOPIC 'mended') KEY FORMAT TEXT "
        "VALUE FORMAT JSON (v int) INCLUDE KEY AS k ENVELOPE UPSERT"
    )
    query = "SELECT k, v FROM mended ORDER BY k"

    def failure() -> str | None:
        try:
            rows(connection, query)
        except psycopg.errors.InvalidTextRepresentation as error:
            return str(error)
        return None

    eventually(lambda: "offset 1" in (failure() or ""), True)
    broker.produce("mended", [(b"b", b'{"v": 2}')])
    eventually(lambda: failure(), None)
    assert rows(connection, query) == [("a", 1), ("b", 2)]


def test_a_malformed_value_without_envelope_is_an_error_of_the_collection(
    broker: Kafka, connection: Connection
) -> None:
    broker.make_topic("broken")
    broker.produce("broken", [(None, b'{"a": 1}'), (None, b'{"a": "x"}')])
    connection.execute(
        "CREATE SOURCE broken FROM KAFKA CONNECTION k (TOPIC 'broken') FORMAT JSON (a int)"
    )

    def message() -> str:
        try:
            return str(rows(connection, "SELECT * FROM broken"))
        except psycopg.errors.InvalidTextRepresentation as error:
            return str(error)

    eventually(lambda: 'column "a"' in message(), True)


def test_an_unreachable_broker_is_said_at_create(connection: Connection) -> None:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(
            "CREATE CONNECTION nowhere TO KAFKA (BROKER '127.0.0.1:1', SECURITY PROTOCOL PLAINTEXT)"
        )
    assert caught.value.sqlstate is not None
    assert not caught.value.sqlstate.startswith("XX")


def test_a_source_is_resumed_exactly_once_after_kills(broker: Kafka, tmp_path: Path) -> None:
    broker.make_topic("resumed", 3)
    with running(tmp_path) as server:
        kafka.connect(server, broker)
        with server.connect() as connection:
            connection.execute(
                "CREATE SOURCE resumed FROM KAFKA CONNECTION k (TOPIC 'resumed') "
                "FORMAT JSON (n int)"
            )
            connection.execute(
                "CREATE MATERIALIZED VIEW counted AS "
                "SELECT count(*) AS rows, count(DISTINCT n) AS distinct_rows FROM resumed"
            )
        total = 0
        for round_ in range(6):
            broker.produce(
                "resumed",
                [(None, json.dumps({"n": n}).encode()) for n in range(total, total + 5000)],
            )
            total += 5000
            if round_ % 2:
                server.kill()
                server.start()
            else:
                for pid in server.replica_pids():
                    kill_process(pid)
        with server.connect() as connection:
            query = "SELECT rows, distinct_rows FROM counted"
            eventually(lambda: rows(connection, query), [(total, total)], seconds=90)


def read_topic(broker: Kafka, topic: str, count: int) -> list[tuple[object, object]]:
    """The JSON of a topic's records."""

    def decoded(part: object) -> object:
        return None if part is None else json.loads(str(part, "utf-8"))  # type: ignore[arg-type]

    return [(decoded(m.key()), decoded(m.value())) for m in broker.read(topic, count)]


def test_an_upsert_sink_writes_each_change_once(broker: Kafka, connection: Connection) -> None:
    broker.make_topic("sunk")
    connection.execute("CREATE TABLE sold (id int, amount int)")
    connection.execute(
        "CREATE MATERIALIZED VIEW totals AS SELECT id, sum(amount) AS total FROM sold GROUP BY id"
    )
    connection.execute("INSERT INTO sold VALUES (1, 10)")
    connection.execute(
        "CREATE SINK sunk FROM totals INTO KAFKA CONNECTION k (TOPIC 'sunk') KEY (id) "
        "FORMAT JSON ENVELOPE UPSERT"
    )
    assert read_topic(broker, "sunk", 1) == [({"id": 1}, {"id": 1, "total": 10})]
    connection.execute("INSERT INTO sold VALUES (1, 5)")
    assert read_topic(broker, "sunk", 2)[1] == ({"id": 1}, {"id": 1, "total": 15})
    connection.execute("DELETE FROM sold WHERE id = 1")
    assert read_topic(broker, "sunk", 3)[2] == ({"id": 1}, None)
