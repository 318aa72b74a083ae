"""What sessions execute is sampled, written down and kept; values that are secret are not."""

import contextlib
import hashlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.headwater import Headwater, running
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

ENDED = """
SELECT finished_status, error_message FROM mz_internal.mz_recent_activity_log WHERE sql = %s
"""
# All that may hold a text that a user wrote.
WRITTEN = (
    "SELECT e::text FROM mz_internal.mz_statement_execution_history e",
    "SELECT p::text FROM mz_internal.mz_prepared_statement_history p",
    "SELECT t::text FROM mz_internal.mz_sql_text t",
    "SELECT a::text FROM mz_internal.mz_recent_activity_log a",
)


def raise_bound(server: Headwater) -> None:
    """Let sessions have all that they execute written down."""
    with server.internal() as system:
        system.execute("ALTER SYSTEM SET statement_logging_max_sample_rate = 1")


def sampled(server: Headwater, **options: object) -> Connection:
    """Connect, and have everything written down."""
    connection = server.connect(**options)
    connection.execute("SET statement_logging_sample_rate = 1.0")
    return connection


@pytest.fixture(scope="module")
def reader(server: Headwater) -> Iterator[Connection]:
    """A session that nothing is written of."""
    raise_bound(server)
    with server.connect() as opened:
        opened.execute("SET statement_logging_sample_rate = 0")
        opened.execute("SET transaction_isolation = 'serializable'")
        yield opened


def ended(reader: Connection, sql: str) -> list[tuple[object, ...]]:
    """How each execution of a statement has ended."""
    return reader.execute(ENDED, (sql,)).fetchall()


def test_success_error_and_cancellation_are_told(server: Headwater, reader: Connection) -> None:
    with sampled(server, application_name="shop") as client:
        client.execute("CREATE TABLE sales (amount int)")
        client.execute("INSERT INTO sales VALUES (1), (2), (0)")
        client.execute("SELECT amount FROM sales ORDER BY 1")
        with pytest.raises(psycopg.errors.UndefinedTable):
            client.execute("SELECT * FROM nowhere")
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.execute("SELECT 4 / amount FROM sales")
        client.execute("SET statement_timeout = '200 ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            client.execute("SELECT mz_unsafe.mz_sleep(60)")
    eventually(lambda: ended(reader, "SELECT mz_unsafe.mz_sleep(60)"), want=[("canceled", None)])
    assert ended(reader, "INSERT INTO sales VALUES (1), (2), (0)") == [("success", None)]
    ((status, message),) = ended(reader, "SELECT * FROM nowhere")
    assert status == "error"
    assert "nowhere" in str(message)
    # What fails among the rows Python is told by its code only.
    assert ended(reader, "SELECT 4 / amount FROM sales") == [("error", "SQLSTATE 22012")]
    (found,) = rows(
        reader,
        "SELECT rows_returned, execution_strategy, cluster_name, database_name, search_path::text,"
        " application_name, initial_application_name, authenticated_user, statement_type,"
        " sample_rate, finished_at >= began_at, execution_timestamp IS NOT NULL"
        " FROM mz_internal.mz_recent_activity_log"
        " WHERE sql = 'SELECT amount FROM sales ORDER BY 1'",
    )
    assert found[:3] == (3, "standard", "quickstart")
    assert found[3:9] == ("materialize", "{public}", "shop", "shop", "materialize", "select")
    assert found[9:] == (1.0, True, True)


def test_an_index_is_read_fast_and_a_constant_needs_no_data(
    server: Headwater, reader: Connection
) -> None:
    with sampled(server) as client:
        client.execute("CREATE TABLE shops (id int)")
        client.execute("CREATE INDEX shops_id ON shops (id)")
        client.execute("SELECT id FROM shops")
        client.execute("VALUES (7), (8)")
    strategy = (
        "SELECT execution_strategy, rows_returned FROM mz_internal.mz_recent_activity_log"
        " WHERE sql = %s"
    )
    eventually(
        lambda: reader.execute(strategy, ("VALUES (7), (8)",)).fetchall(), want=[("constant", 2)]
    )
    assert reader.execute(strategy, ("SELECT id FROM shops",)).fetchall() == [("fast-path", 0)]
    events = rows(
        reader,
        "SELECT l.event_type FROM mz_internal.mz_statement_lifecycle_history l"
        " JOIN mz_internal.mz_recent_activity_log a ON a.execution_id = l.statement_id"
        " WHERE a.sql = 'SELECT id FROM shops'"
        " ORDER BY l.occurred_at, l.event_type = 'execution-finished', l.event_type",
    )
    told = ["execution-began", "optimization-finished", "execution-finished"]
    assert [event for (event,) in events] == told


def test_a_prepared_statement_has_one_text_and_its_parameters(
    server: Headwater, reader: Connection
) -> None:
    sql = "SELECT $1::int4 + 1, $2::text"
    with sampled(server) as client:
        for number, text in ((41, "a"), (1, None)):
            client.execute("SELECT %s::int4 + 1, %s::text", (number, text), prepare=True)
    params = "SELECT params FROM mz_internal.mz_recent_activity_log WHERE sql = %s ORDER BY 1"
    want = [(["1", None],), (["41", "a"],)]
    eventually(lambda: reader.execute(params, (sql,)).fetchall(), want=want)
    digest = hashlib.sha256(sql.encode()).digest()
    texts = reader.execute(
        "SELECT sql, redacted_sql FROM mz_internal.mz_sql_text WHERE sql_hash = %s", (digest,)
    ).fetchall()
    assert texts == [(sql, "SELECT $1::int4 + '<REDACTED>', $2::text")]
    prepared = reader.execute(
        "SELECT count(*), count(DISTINCT name) FROM mz_internal.mz_prepared_statement_history"
        " WHERE sql_hash = %s",
        (digest,),
    ).fetchall()
    assert prepared == [(1, 1)]


def test_a_copy_and_a_subscription_end_when_their_rows_do(
    server: Headwater, reader: Connection
) -> None:
    with sampled(server) as client:
        client.execute("CREATE TABLE copied (a int)")
        with client.cursor() as cursor:
            with cursor.copy("COPY copied FROM STDIN") as copy:
                copy.write("1\n2\n")
            refused = pytest.raises(psycopg.errors.InvalidTextRepresentation)
            with refused, cursor.copy("COPY copied (a) FROM STDIN") as copy:
                copy.write("x\n")
            stream = cursor.stream("SUBSCRIBE TO copied")
            next(stream)
            running_now = "SELECT count(*) FROM mz_internal.mz_recent_activity_log"
            running_now += " WHERE sql = 'SUBSCRIBE TO copied' AND finished_at IS NULL"
            eventually(lambda: rows(reader, running_now), want=[(1,)])
            client.cancel()
            with pytest.raises(psycopg.errors.QueryCanceled):
                list(stream)
    eventually(lambda: ended(reader, "SUBSCRIBE TO copied"), want=[("canceled", None)])
    assert ended(reader, "COPY copied FROM STDIN") == [("success", None)]
    ((status, message),) = ended(reader, "COPY copied (a) FROM STDIN")
    assert status == "error"
    assert "invalid input syntax" in str(message)


def test_secrets_are_never_written_and_redacted_views_have_no_values(
    server: Headwater, reader: Connection
) -> None:
    with sampled(server) as client:
        client.execute("CREATE SECRET hidden AS 'hunter2'")
        client.execute("ALTER SECRET hidden AS 'hunter2hunter2'")
        with contextlib.suppress(psycopg.Error):  # written down however it ends
            client.execute("CREATE ROLE hider PASSWORD 'hunter2'")
        client.execute("SELECT 'plain' AS shown")
    with server.internal() as system:
        system.execute("SET statement_logging_sample_rate = 1")
        system.execute("SELECT 'hunter2' AS of_the_system")
    redacted = """
    SELECT redacted_sql FROM mz_internal.mz_recent_activity_log_redacted
    WHERE redacted_sql LIKE '%of_the_system' OR redacted_sql LIKE '%SECRET hidden%' ORDER BY 1
    """
    want = [
        ("ALTER SECRET hidden AS '<REDACTED>'",),
        ("CREATE SECRET hidden AS '<REDACTED>'",),
        ("SELECT '<REDACTED>' AS of_the_system",),
    ]
    eventually(lambda: rows(reader, redacted), want=want)
    shown = [str(row) for query in WRITTEN for row in rows(reader, query)]
    assert any("plain" in text for text in shown)
    assert not any("hunter2" in text for text in shown)
    for view in ("mz_sql_text_redacted", "mz_recent_sql_text_redacted"):
        texts = [
            str(text) for (text,) in rows(reader, f"SELECT redacted_sql FROM mz_internal.{view}")
        ]
        assert "SELECT '<REDACTED>' AS shown" in texts
        assert not any("plain" in text for text in texts)


def test_views_stored_with_values_have_redacted_statements_without(
    server: Headwater, reader: Connection
) -> None:
    with server.connect() as client:
        client.execute("CREATE VIEW valued AS SELECT 'plain' AS a, 31337 AS b")
    found = rows(
        reader, "SELECT create_sql, redacted_create_sql FROM mz_views WHERE name = 'valued'"
    )
    ((whole, redacted),) = found
    assert "'plain'" in str(whole)
    assert "plain" not in str(redacted)
    assert "31337" not in str(redacted)
    assert str(redacted).endswith("AS SELECT '<REDACTED>' AS a, '<REDACTED>' AS b")


def test_texts_are_granted_to_those_that_monitor(reader: Connection) -> None:
    asked = "SELECT has_table_privilege(%s, %s, 'SELECT')"
    may = {
        (role, table)
        for role in ("mz_monitor", "mz_monitor_redacted", "mz_support", "materialize")
        for table in ("mz_sql_text", "mz_sql_text_redacted", "mz_session_history")
        if reader.execute(asked, (role, f"mz_internal.{table}")).fetchall() == [(True,)]
    }
    assert ("materialize", "mz_session_history") in may
    assert {role for role, table in may if table == "mz_sql_text"} == {"mz_monitor"}
    watchers = {"mz_monitor", "mz_monitor_redacted", "mz_support"}
    assert {role for role, table in may if table == "mz_sql_text_redacted"} == watchers


def test_nothing_is_written_at_rate_0(server: Headwater, reader: Connection) -> None:
    with server.connect() as client:
        client.execute("SET statement_logging_sample_rate = 0")
        client.execute("SELECT 'unseen'")
        client.execute("SET statement_logging_sample_rate = 1")
        client.execute("SELECT 'seen'")
    eventually(lambda: ended(reader, "SELECT 'seen'"), want=[("success", None)])
    assert ended(reader, "SELECT 'unseen'") == []
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics") as answer:
        assert b"headwater_adapter_statements_dropped_total 0.0" in answer.read()


def test_a_restart_keeps_the_history_and_ends_what_ran(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        raise_bound(server)
        client = sampled(server)
        client.execute("CREATE TABLE t (a int)")
        client.execute("INSERT INTO t VALUES (1)")
        stream = client.cursor().stream("SUBSCRIBE TO t")
        next(stream)
        with server.connect() as reader:
            eventually(lambda: ended(reader, "SUBSCRIBE TO t"), want=[(None, None)])
            before = rows(reader, "SELECT * FROM mz_internal.mz_sql_text ORDER BY sql_hash")
        server.kill()
        stream.close()
        client.close()
        server.start()
        with server.connect() as reader:
            eventually(lambda: ended(reader, "SUBSCRIBE TO t"), want=[("aborted", None)])
            assert ended(reader, "INSERT INTO t VALUES (1)") == [("success", None)]
            after = rows(reader, "SELECT * FROM mz_internal.mz_sql_text ORDER BY sql_hash")
            assert set(before) <= set(after)
            assert len(after) == len({row[:2] for row in after})
            raise_bound(server)
            again = sampled(server)
            again.execute("INSERT INTO t VALUES (1)")
            again.close()
        server.stop()  # nothing is lost of what was there when it was asked to
        server.start()
        with server.connect() as reader:
            found = ended(reader, "INSERT INTO t VALUES (1)")
            assert found == [("success", None), ("success", None)]
