"""COPY reads and writes what PostgreSQL 15 does, and says the same of what is wrong."""

import struct

import psycopg
import pytest

from tests.fixtures import postgres
from tests.fixtures.headwater import Headwater

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

TABLE = """CREATE TABLE copied
    (a int PRIMARY KEY, b text NOT NULL DEFAULT 'd', c numeric CHECK (c < 100))"""
SIGNATURE = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)


def fields(*values: bytes | None) -> bytes:
    """Return a tuple of the binary format."""
    coded = [b"\xff\xff\xff\xff" if v is None else struct.pack("!i", len(v)) + v for v in values]
    return struct.pack("!h", len(values)) + b"".join(coded)


def four(value: int) -> bytes:
    return struct.pack("!i", value)


CASES = {
    "text": ("COPY copied FROM STDIN", b"1\tx\\ty\t1.50\n2\ty\t\\N\n\\.\n"),
    "text ends without a newline": ("COPY copied FROM STDIN", b"1\tx\t1"),
    "columns and defaults": ("COPY copied (c, a) FROM STDIN", b"2\t1\n3\t2\n"),
    "other characters": (
        "COPY copied FROM STDIN (DELIMITER '|', NULL 'nil', HEADER)",
        b"a|b|c\n1|x\\|y|nil\n",
    ),
    "csv": (
        "COPY copied FROM STDIN (FORMAT csv)",
        b'1,"a ""quoted"", one\nof two lines",1.5\n2," x ",\n3,"",7\n',
    ),
    "old spelling": ("COPY copied FROM STDIN WITH CSV HEADER QUOTE AS '!'", b"a,b,c\n1,!x,y!,2\n"),
    "csv null and not null": (
        "COPY copied FROM STDIN (FORMAT csv, FORCE_NOT_NULL (b), FORCE_NULL (c))",
        b'1,,""\n',
    ),
    "header matches": ("COPY copied FROM STDIN (FORMAT csv, HEADER match)", b"a,b,c\n1,x,2\n"),
    "header does not match": (
        "COPY copied FROM STDIN (FORMAT csv, HEADER match)",
        b"a,x,c\n1,x,2\n",
    ),
    "header too short": ("COPY copied FROM STDIN (HEADER match)", b"a\tb\n1\tx\t2\n"),
    "where": (
        "COPY copied FROM STDIN WHERE a > 1 AND c IS NOT NULL",
        b"1\tx\t1\n2\ty\t\\N\n3\tz\t3\n",
    ),
    "binary": (
        "COPY copied (a, b) FROM STDIN (FORMAT binary)",
        SIGNATURE + fields(four(1), b"x") + fields(four(-2), b"") + b"\xff\xff",
    ),
    "binary without signature": ("COPY copied (a, b) FROM STDIN (FORMAT binary)", b"1\tx\n"),
    "binary, too few fields": (
        "COPY copied (a, b) FROM STDIN (FORMAT binary)",
        SIGNATURE + fields(four(1)) + b"\xff\xff",
    ),
    "binary, cut short": (
        "COPY copied (a, b) FROM STDIN (FORMAT binary)",
        SIGNATURE + fields(four(1), b"xyz")[:-1],
    ),
    "missing data": ("COPY copied FROM STDIN", b"1\tx\t1\n2\ty\n"),
    "extra data": ("COPY copied FROM STDIN", b"1\tx\t1\t2\n"),
    "empty line": ("COPY copied FROM STDIN", b"\n"),
    "bad integer": ("COPY copied FROM STDIN", b"1\tx\t1\none\ty\t2\n"),
    "bad number, csv": ("COPY copied FROM STDIN (FORMAT csv)", b'1,x,"1,5"\n'),
    "unterminated": ("COPY copied FROM STDIN (FORMAT csv)", b'1,"x,1\n'),
    "null where none may be": ("COPY copied FROM STDIN", b"1\t\\N\t1\n"),
    "check": ("COPY copied FROM STDIN", b"1\tx\t100\n"),
    "key within the data": ("COPY copied FROM STDIN", b"1\tx\t1\n1\ty\t2\n"),
    "key of the table": ("COPY copied FROM STDIN", b"9\tx\t1\n"),
}


def copy_in(connection: Connection, statement: str, data: bytes) -> object:
    """Return what a client can tell of COPY, and the rows that are there afterwards."""
    connection.execute("DELETE FROM copied")
    connection.execute("INSERT INTO copied VALUES (9, 'before', NULL)")
    said: object = None
    try:
        with connection.cursor() as cursor:
            with cursor.copy(statement.encode()) as copy:
                copy.write(data)
            said = cursor.statusmessage
    except psycopg.Error as error:
        diag = error.diag
        # Of a value that is wrong both tell the place; of a line PostgreSQL shows the text too.
        # What is wrong with the value is said in words of our own, after the same beginning.
        bad_value = error.sqlstate == "22P02"
        message = str(diag.message_primary).partition(":")[0] if bad_value else diag.message_primary
        where = diag.context if bad_value else None
        said = (error.sqlstate, message, diag.message_detail, where)
    return said, connection.execute("SELECT * FROM copied ORDER BY a").fetchall()


def test_copy_from_does_what_postgres_does(server: Headwater, judge: postgres.Postgres) -> None:
    with server.connect() as ours, psycopg.connect(judge.dsn, autocommit=True) as theirs:
        for connection in (ours, theirs):
            connection.execute(TABLE.encode())
        for name, (statement, data) in CASES.items():
            assert copy_in(ours, statement, data) == copy_in(theirs, statement, data), name


@pytest.mark.parametrize(
    "options",
    [
        "",
        "(DELIMITER '|', NULL 'nil', HEADER)",
        "(FORMAT csv, HEADER)",
        "(FORMAT csv, FORCE_QUOTE (b), QUOTE '!', ESCAPE '#')",
        "(FORMAT csv, FORCE_QUOTE *)",
        "(FORMAT binary)",
    ],
)
def test_copy_to_writes_what_postgres_writes(
    server: Headwater, judge: postgres.Postgres, options: str
) -> None:
    rows = r"""(1, E'a\tb\\c\nd', 1.5), (2, 'say "!x,#y"', -3), (3, '', NULL), (NULL, 'nil', 0)"""
    query = f"COPY (SELECT * FROM (VALUES {rows}) v (a, b, c) ORDER BY b) TO STDOUT {options}"
    written = []
    for dsn in (server.dsn, judge.dsn):
        with (
            psycopg.connect(dsn, autocommit=True) as connection,
            connection.cursor() as cursor,
            cursor.copy(query.encode()) as copy,
        ):
            written.append(b"".join(bytes(part) for part in copy))
    assert written[0] == written[1]
