"""Webhooks: what is answered with 200 is durable; what is refused, and how."""

import hashlib
import hmac
import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.fixtures.headwater import Headwater

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]
Header = tuple[str, str | bytes]


def post(
    server: Headwater, name: str, body: bytes | str, *headers: Header, database: str = "materialize"
) -> tuple[int, str]:
    """Send a request with exactly these headers; return status and answer."""
    data = body.encode() if isinstance(body, str) else body
    client = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    client.putrequest("POST", f"/api/webhook/{database}/public/{name}", skip_accept_encoding=True)
    client.putheader("Content-Length", str(len(data)))
    for header, value in headers:
        client.putheader(header, value)
    client.endheaders(data)
    response = client.getresponse()
    answer = response.status, response.read().decode()
    client.close()
    return answer


@pytest.fixture
def drop(server: Headwater) -> Iterator[None]:
    yield
    with server.connect() as connection:
        connection.execute("DROP SOURCE IF EXISTS hook CASCADE")


def rows(connection: Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()


@pytest.mark.usefixtures("drop")
def test_text_is_durable_when_it_is_answered(server: Headwater, connection: Connection) -> None:
    connection.execute("CREATE SOURCE hook FROM WEBHOOK BODY FORMAT TEXT")
    assert post(server, "hook", "one") == (200, "")
    assert post(server, "hook", "one") == (200, "")
    assert rows(connection, "SELECT body FROM hook") == [("one",), ("one",)]
    assert post(server, "hook", b"\xff")[0] == 400
    server.kill()
    server.start()
    with server.connect() as again:
        assert rows(again, "SELECT body FROM hook") == [("one",), ("one",)]
        assert post(server, "hook", "two") == (200, "")
        assert rows(again, "SELECT count(*) FROM hook") == [(3,)]
        again.execute("DROP SOURCE hook")
    assert post(server, "hook", "three")[0] == 404


@pytest.mark.usefixtures("drop")
def test_json_of_one_and_of_many(server: Headwater, connection: Connection) -> None:
    connection.execute("CREATE SOURCE hook FROM WEBHOOK BODY FORMAT JSON")
    assert post(server, "hook", '{"a": 1.50}')[0] == 200
    assert post(server, "hook", '{"a": 2}\n\n{"a": 3}\n')[0] == 200
    assert post(server, "hook", "[4, 5]")[0] == 200
    for malformed in ("{", "", '{"a": 1}\nnope'):
        status, text = post(server, "hook", malformed)
        assert (status, "JSON" in text) == (400, True)
    assert rows(connection, "SELECT body::text FROM hook ORDER BY 1") == [
        ("[4,5]",),
        ('{"a":1.5}',),
        ('{"a":2}',),
        ('{"a":3}',),
    ]
    connection.execute("CREATE SOURCE many FROM WEBHOOK BODY FORMAT JSON ARRAY")
    assert post(server, "many", ' [{"a": 1}, [2], "x"]')[0] == 200
    assert post(server, "many", "7")[0] == 200
    assert rows(connection, "SELECT body::text FROM many ORDER BY 1") == [
        ('"x"',),
        ("7",),
        ("[2]",),
        ('{"a":1}',),
    ]


@pytest.mark.usefixtures("drop")
def test_headers(server: Headwater, connection: Connection) -> None:
    connection.execute(
        "CREATE SOURCE hook FROM WEBHOOK BODY FORMAT BYTES INCLUDE HEADER 'X-Id' AS id "
        "INCLUDE HEADER 'x-raw' AS raw BYTES INCLUDE HEADERS (NOT 'authorization', NOT 'host')"
    )
    headers = [("X-Id", "7"), ("X-Raw", b"\xff"), ("Authorization", "secret")]
    # A header that is not text does not go into a map of texts.
    assert post(server, "hook", b"\x00", *headers)[0] == 400
    assert post(server, "hook", b"\x00", *headers[::2])[0] == 200
    assert rows(connection, "SELECT body, id, raw, headers->'x-id' FROM hook") == [
        (b"\x00", "7", None, "7")
    ]
    query = (
        "SELECT headers ? 'authorization', headers ? 'host', headers ? 'content-length' FROM hook"
    )
    assert rows(connection, query) == [(False, False, True)]
    assert post(server, "hook", b"", ("x-id", "1"), ("X-ID", "2"))[0] == 401


@pytest.mark.usefixtures("drop")
def test_check_with_a_signature_and_a_secret(server: Headwater, connection: Connection) -> None:
    connection.execute("CREATE SECRET hook_key AS 'pepper'")
    connection.execute(
        "CREATE SOURCE hook FROM WEBHOOK BODY FORMAT JSON CHECK (WITH (HEADERS, BODY BYTES, "
        "SECRET hook_key AS key BYTES) decode(headers->'signature', 'hex') = "
        "hmac(body, key, 'sha256'))"
    )
    body = json.dumps({"n": 1}).encode()
    signature = hmac.new(b"pepper", body, hashlib.sha256).hexdigest()
    assert post(server, "hook", body, ("Signature", signature)) == (200, "")
    status, text = post(server, "hook", body, ("Signature", "00" * 32))
    assert status == 400
    assert "CHECK" in text
    for missing_or_malformed in ([], [("Signature", "zz")]):
        assert post(server, "hook", body, *missing_or_malformed)[0] == 400
    assert rows(connection, "SELECT count(*) FROM hook") == [(1,)]
    connection.execute("ALTER SECRET hook_key AS 'salt'")
    assert post(server, "hook", body, ("Signature", signature))[0] == 400


@pytest.mark.usefixtures("drop")
def test_limits(server: Headwater, connection: Connection) -> None:
    connection.execute("CREATE SOURCE hook FROM WEBHOOK BODY FORMAT BYTES")
    assert post(server, "hook", bytes(2 << 20))[0] == 200
    assert post(server, "hook", bytes((2 << 20) + 1))[0] == 413
    for name, database in (("none", "materialize"), ("hook", "none")):
        assert post(server, name, b"", database=database)[0] == 404
    connection.execute("CREATE TABLE plain (a int)")
    assert post(server, "plain", b"")[0] == 404
    with server.internal() as system:
        system.execute("ALTER SYSTEM SET webhook_concurrent_request_limit = 0")
        assert post(server, "hook", b"")[0] == 429
        system.execute("ALTER SYSTEM RESET webhook_concurrent_request_limit")
    assert rows(connection, "SELECT count(*) FROM hook") == [(1,)]


@pytest.mark.usefixtures("drop")
def test_many_requests_at_once(server: Headwater, connection: Connection) -> None:
    connection.execute("CREATE SOURCE hook FROM WEBHOOK BODY FORMAT TEXT")
    connection.execute("CREATE MATERIALIZED VIEW hooked AS SELECT count(*) AS c FROM hook")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: post(server, "hook", str(n)), range(200)))
    assert answers == [(200, "")] * 200
    assert rows(connection, "SELECT count(*), count(DISTINCT body) FROM hook") == [(200, 200)]
    assert rows(connection, "SELECT c FROM hooked") == [(200,)]


def test_a_table_from_webhook(server: Headwater, connection: Connection) -> None:
    connection.execute("CREATE TABLE hook_table FROM WEBHOOK BODY FORMAT JSON")
    assert post(server, "hook_table", "1")[0] == 200
    with pytest.raises(psycopg.Error, match="hook_table"):
        connection.execute("INSERT INTO hook_table VALUES ('2')")
    connection.execute("ALTER TABLE hook_table RENAME TO hook_renamed")
    assert post(server, "hook_table", "2")[0] == 404
    assert post(server, "hook_renamed", "2")[0] == 200
    server.stop()
    server.start()
    with server.connect() as again:
        assert rows(again, "SELECT body::text FROM hook_renamed ORDER BY 1") == [("1",), ("2",)]
        kind = "SELECT type FROM mz_objects WHERE name = 'hook_renamed'"
        assert rows(again, kind) == [("table",)]


def test_names_in_urls(server: Headwater, connection: Connection) -> None:
    connection.execute('CREATE SOURCE "a/b %" FROM WEBHOOK BODY FORMAT TEXT')
    ((url,),) = rows(
        connection, "SELECT url FROM mz_internal.mz_webhook_sources WHERE name = 'a/b %'"
    )
    assert url == "/api/webhook/materialize/public/a%2Fb%20%25"
    assert post(server, "a%2Fb%20%25", "x") == (200, "")
    assert rows(connection, 'SELECT body FROM "a/b %"') == [("x",)]
