"""COPY to and from files in object stores and on the web."""

import http.server
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pyarrow
import pyarrow.parquet
import pytest

from tests.fixtures.replicas import rows
from tests.fixtures.s3 import s3_endpoint

__all__ = ["s3_endpoint"]  # a fixture

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

ALL = "WITH (AWS CONNECTION store, FORMAT CSV)"


@pytest.fixture
def store(scratch: Connection, s3_endpoint: str) -> Connection:
    """A connection to the server, in whose schema the bucket's connection is called store."""
    scratch.execute("CREATE SECRET key AS 'hidden'")
    scratch.execute(
        "CREATE CONNECTION store TO AWS (ACCESS KEY ID = 'id', SECRET ACCESS KEY = SECRET key,"
        f" REGION = 'us-east-1', ENDPOINT = '{s3_endpoint}')".encode()
    )
    return scratch


def client(endpoint: str) -> Any:
    """The bucket without us."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="hidden",
    )


def files(endpoint: str, prefix: str) -> dict[str, bytes]:
    """The files of the bucket below a prefix."""
    s3 = client(endpoint)
    listed = s3.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])
    keys = [entry["Key"] for entry in listed]
    return {key: s3.get_object(Bucket="bucket", Key=key)["Body"].read() for key in keys}


def put(endpoint: str, key: str, data: bytes) -> None:
    client(endpoint).put_object(Bucket="bucket", Key=key, Body=data)


def test_the_connection_is_shown_without_its_secret(store: Connection, s3_endpoint: str) -> None:
    shown = """
        SELECT a.endpoint, a.region, a.access_key_id, s.name, a.access_key_id_secret_id,
               a.assume_role_arn
        FROM mz_internal.mz_aws_connections AS a
        JOIN mz_catalog.mz_connections AS c ON c.id = a.id
        JOIN mz_catalog.mz_secrets AS s ON s.id = a.secret_access_key_secret_id
        WHERE c.name = 'store'
    """
    assert rows(store, shown) == [(s3_endpoint, "us-east-1", "id", "key", None, None)]


def test_csv_goes_out_and_comes_back(store: Connection, s3_endpoint: str) -> None:
    store.execute("CREATE TABLE t (a int, b text, c timestamptz)")
    store.execute(
        "INSERT INTO t VALUES (1, 'x,y', '2024-02-29 12:00+01'), (2, NULL, NULL), (2, NULL, NULL)"
    )
    out = store.execute(
        "COPY (SELECT * FROM t ORDER BY a) TO 's3://bucket/csv'"
        " WITH (AWS CONNECTION store, FORMAT CSV, HEADER)"
    )
    assert out.statusmessage == "COPY 3"
    (written,) = files(s3_endpoint, "csv/").values()
    assert written == b'a,b,c\n1,"x,y",2024-02-29 11:00:00+00\n2,,\n2,,\n'
    store.execute("CREATE TABLE u (a int, b text, c timestamptz)")
    back = store.execute(
        "COPY u FROM 's3://bucket/csv' WITH (AWS CONNECTION store, FORMAT CSV, HEADER)"
    )
    assert back.statusmessage == "COPY 3"
    assert rows(store, "SELECT * FROM u EXCEPT ALL SELECT * FROM t") == []
    assert rows(store, "SELECT count(*) FROM u") == [(3,)]


def test_large_results_are_several_files(store: Connection, s3_endpoint: str) -> None:
    out = store.execute(
        "COPY (SELECT g, repeat('x', 90) FROM generate_series(1, 1000) AS g)"
        " TO 's3://bucket/many' WITH (AWS CONNECTION store, FORMAT CSV, MAX FILE SIZE 20000)"
    )
    assert out.statusmessage == "COPY 1000"
    written = files(s3_endpoint, "many/")
    assert len(written) == 5  # of some 94,000 bytes
    assert list(written) == sorted(written)
    lines = [line for file in written.values() for line in file.splitlines()]
    assert sorted(int(line.partition(b",")[0]) for line in lines) == list(range(1, 1001))


def test_an_empty_result_is_one_file(store: Connection, s3_endpoint: str) -> None:
    store.execute(
        "COPY (SELECT 1 AS n WHERE false) TO 's3://bucket/none'"
        " WITH (AWS CONNECTION store, FORMAT CSV, HEADER)"
    )
    assert list(files(s3_endpoint, "none/").values()) == [b"n\n"]


def test_files_are_named_or_matched(store: Connection, s3_endpoint: str) -> None:
    for name in ("in/a.csv", "in/b.csv", "in/deep/c.csv", "in/readme.md", "inner/z.csv"):
        put(s3_endpoint, name, f"{name}\n".encode())

    def loaded(options: str) -> list[str]:
        store.execute("CREATE TABLE names (name text)")
        store.execute(
            "COPY names FROM 's3://bucket/in'"
            f" WITH (AWS CONNECTION store, FORMAT CSV{options})".encode()
        )
        found = [str(name) for (name,) in rows(store, "SELECT name FROM names ORDER BY 1")]
        store.execute("DROP TABLE names")
        return found

    assert loaded("") == ["in/a.csv", "in/b.csv", "in/deep/c.csv", "in/readme.md"]
    assert loaded(", PATTERN '*.csv'") == ["in/a.csv", "in/b.csv", "in/deep/c.csv"]
    assert loaded(", FILES ['b.csv', 'deep/c.csv']") == ["in/b.csv", "in/deep/c.csv"]


def test_parquet_keeps_types(store: Connection, s3_endpoint: str) -> None:
    store.execute(
        "CREATE TABLE p (a int, b bool, n numeric(10, 2), f float8, t text, d date, ts timestamp,"
        " tz timestamptz, tm time, u uuid, j jsonb, by bytea, l int list, ar text[],"
        " m map[text=>int])"
    )
    store.execute(
        "INSERT INTO p VALUES (1, true, 12.5, 0.1, 'é', '2024-02-29', '2024-02-29 01:02:03.000004',"
        " '2024-02-29 01:02:03+01', '23:59:59.5', '11111111-2222-3333-4444-555555555555',"
        """ '{"k": [1, null]}', '\\x00ff', '{1,NULL}', '{x,"y z"}', '{k=>7}'),"""
        " (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,"
        " NULL)"
    )
    store.execute(
        "COPY (SELECT * FROM p ORDER BY a) TO 's3://bucket/parquet'"
        " WITH (AWS CONNECTION store, FORMAT PARQUET)"
    )
    (written,) = files(s3_endpoint, "parquet/").values()
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(written))
    first, second = table.to_pylist()
    assert (first["a"], first["b"], first["n"]) == (1, True, Decimal("12.50"))
    assert (first["t"], first["by"], first["l"]) == ("é", b"\x00\xff", [1, None])
    assert first["u"] == bytes.fromhex("11111111222233334444555555555555")
    assert first["tz"].isoformat() == "2024-02-29T00:02:03+00:00"
    assert first["ar"] == {"items": ["x", "y z"], "dimensions": 1}
    assert json.loads(first["j"]) == {"k": [1, None]}
    assert set(second.values()) == {None}
    field = table.schema.field("a")
    assert field.metadata[b"ARROW:extension:name"] == b"materialize.v1.integer"
    store.execute("CREATE TABLE q AS SELECT * FROM p WHERE false")
    back = store.execute(
        "COPY q FROM 's3://bucket/parquet' WITH (AWS CONNECTION store, FORMAT PARQUET)"
    )
    assert back.statusmessage == "COPY 2"
    assert rows(store, "SELECT * FROM q EXCEPT ALL SELECT * FROM p") == []


def test_parquet_of_others_is_read_by_name(store: Connection, s3_endpoint: str) -> None:
    table = pyarrow.table(
        {"extra": [1, 2], "name": ["x", None], "id": pyarrow.array([7, 8], "int16")}
    )
    for codec in ("gzip", "zstd", "brotli", "lz4", "none"):
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(table, sink, compression=codec)
        put(s3_endpoint, f"theirs/{codec}.parquet", sink.getvalue().to_pybytes())
    store.execute("CREATE TABLE r (id bigint, name text)")
    store.execute("COPY r FROM 's3://bucket/theirs' WITH (AWS CONNECTION store, FORMAT PARQUET)")
    counted = "SELECT id, name, count(*) FROM r GROUP BY 1, 2 ORDER BY 1"
    assert rows(store, counted) == [(7, "x", 5), (8, None, 5)]
    store.execute("CREATE TABLE lacking (other int)")
    with pytest.raises(psycopg.errors.BadCopyFileFormat, match='no column "other"'):
        store.execute(
            "COPY lacking FROM 's3://bucket/theirs' WITH (AWS CONNECTION store, FORMAT PARQUET)"
        )


def test_types_without_a_form_are_refused(store: Connection) -> None:
    for query, message in (
        ("SELECT INTERVAL '1 day' AS i", 'column "i" of type interval'),
        ("SELECT ROW(1, 2) AS r", 'column "r" of type record'),
        ("SELECT ARRAY[[1], [2]] AS a", "several dimensions"),
    ):
        with pytest.raises(psycopg.errors.FeatureNotSupported, match=message):
            store.execute(
                f"COPY ({query}) TO 's3://bucket/refused'"
                " WITH (AWS CONNECTION store, FORMAT PARQUET)".encode()
            )
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no form in Parquet"):
        store.execute(
            "COPY (SELECT 'NaN'::numeric AS n) TO 's3://bucket/refused'"
            " WITH (AWS CONNECTION store, FORMAT PARQUET)"
        )


def test_what_is_wrong_is_said_and_nothing_is_loaded(store: Connection, s3_endpoint: str) -> None:
    put(s3_endpoint, "bad/1.csv", b"1\n")
    put(s3_endpoint, "bad/2.csv", b"2\nx\n")
    put(s3_endpoint, "bad/3.parquet", b"PAR1 but not really")
    store.execute("CREATE TABLE n (n int)")
    with pytest.raises(psycopg.errors.InvalidTextRepresentation) as refused:
        store.execute(f"COPY n FROM 's3://bucket/bad' {ALL}".encode())
    assert "bad/2.csv, line 2, column n" in str(refused.value.diag.message_detail)
    assert rows(store, "SELECT count(*) FROM n") == [(0,)]
    with pytest.raises(psycopg.errors.BadCopyFileFormat):
        store.execute(
            "COPY n FROM 's3://bucket/bad/3.parquet' WITH (AWS CONNECTION store, FORMAT PARQUET)"
        )
    with pytest.raises(psycopg.errors.UndefinedFile):
        store.execute(f"COPY n FROM 's3://bucket/nothing' {ALL}".encode())
    with pytest.raises(psycopg.errors.IoError):
        store.execute(f"COPY n FROM 's3://no-such-bucket/x' {ALL}".encode())
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="AWS CONNECTION"):
        store.execute("COPY n FROM 's3://bucket/bad' WITH (FORMAT CSV)")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="not a URL"):
        store.execute("COPY n FROM 'ftp://host/file' WITH (FORMAT CSV)")
    assert rows(store, "SELECT count(*) FROM n") == [(0,)]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server of a folder with one file."""
    (tmp_path / "data.csv").write_text("1,a\n2,b\n")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            return

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


def test_a_file_of_the_web_is_read(scratch: Connection, web: str) -> None:
    scratch.execute("CREATE TABLE w (n int, t text)")
    done = scratch.execute(f"COPY w FROM '{web}/data.csv' WITH (FORMAT CSV)".encode())
    assert done.statusmessage == "COPY 2"
    assert rows(scratch, "SELECT * FROM w ORDER BY 1") == [(1, "a"), (2, "b")]
    with pytest.raises(psycopg.errors.UndefinedFile):
        scratch.execute(f"COPY w FROM '{web}/missing.csv' WITH (FORMAT CSV)".encode())
