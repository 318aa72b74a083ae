"""psql's backslash commands, by psql 15: each without an error, in time, and true."""

import os
import subprocess

import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.postgres import BIN, Postgres

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.skipif(not (BIN / "psql").exists(), reason="no psql 15"),
]

_OBJECTS = """
CREATE TABLE t (a int NOT NULL, b text DEFAULT 'x', c numeric(39, 2), d int[]);
CREATE VIEW v AS SELECT a, b FROM t;
CREATE MATERIALIZED VIEW mv AS SELECT count(*) AS n FROM t;
CREATE INDEX idx ON t (a, (b || 'y'));
CREATE TYPE numbers AS LIST (ELEMENT TYPE = int4);
CREATE TABLE keyed (id int PRIMARY KEY, code text UNIQUE, n int CONSTRAINT positive CHECK (n > 0));
CREATE ROLE joe;
CREATE ROLE team;
GRANT team TO joe;
GRANT SELECT, INSERT ON t TO joe;
ALTER DEFAULT PRIVILEGES FOR ROLE joe GRANT SELECT ON TABLES TO team;
COMMENT ON TABLE t IS 'what is tested';
COMMENT ON COLUMN t.a IS 'the first column';
COMMENT ON SCHEMA public IS 'everybody''s';
"""


@pytest.fixture(scope="module")
def filled(server: Headwater) -> Headwater:
    with server.connect() as connection:
        for statement in _OBJECTS.split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())
    return server


def run(server: Headwater, command: str) -> str:
    """Return what psql prints, unaligned, for one command."""
    return psql(server.dsn, command)


def psql(dsn: str, command: str) -> str:
    """Return what psql prints, unaligned. No query may take long, on however busy a machine."""
    done = subprocess.run(
        [str(BIN / "psql"), "-X", "-A", "-d", dsn, "-c", command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PGOPTIONS": "-c statement_timeout=15s"},
    )
    assert "ERROR" not in done.stderr, f"{command}: {done.stderr}"
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (r"\d", ["public|t|table|materialize", "public|mv|materialized view|materialize"]),
        (
            r"\d t",
            [
                "a|integer||not null|",
                "b|text|||'x'",
                "c|numeric(39,2)|||",
                "d|integer[]|||",
            ],
        ),
        (r"\d+ t", ["a|integer||not null||plain||the first column"]),
        (r"\d v", ["a|integer||not null|", "b|text|||"]),
        (r"\d+ v", ["View definition:"]),
        (r"\d+ mv", ["n|bigint||not null||plain||"]),
        (
            r"\d keyed",
            [
                "id|integer||not null|",
                '    "keyed_pkey" PRIMARY KEY, arrangement (id)',
                '    "keyed_code_key" UNIQUE CONSTRAINT, arrangement (code)',
                '    "positive" CHECK ((n > 0))',
            ],
        ),
        (r"\d idx", ["a|integer|a", "expr|text|b || 'y'"]),
        (r"\dt", ["public|t|table|materialize"]),
        (r"\dt+ t", ["public|t|table|materialize|permanent||what is tested"]),
        (r"\di", ["public|idx|index|materialize|t"]),
        (r"\dv v", ["public|v|view|materialize"]),
        (r"\dm", ["public|mv|materialized view|materialize"]),
        (r"\df abs", ["pg_catalog|abs|integer|int4|func"]),
        (r"\do ->>", ["pg_catalog|->>|jsonb|text|text|"]),
        (r"\dT numbers", ["public|numbers|"]),
        (r"\dT+ numbers", ["public|numbers|numbers|var||materialize|"]),
        (r"\dn", ["public|mz_system"]),
        (r"\l", ["materialize|mz_system|UTF8|C|C|"]),
        (r"\du", ["joe|Cannot login|{team}"]),
        (r"\dg joe", ["joe|Cannot login|{team}"]),
        (r"\ddp", ["joe||table|team=r/joe"]),
        (r"\db", ["pg_default||"]),
        (
            r"\dC",
            [
                "integer|bigint|int8|yes",
                "text|character varying|(binary coercible)|yes",
                "bigint|uint8|uint8|in assignment",
            ],
        ),
        (r"\l+", ["materialize|mz_system|UTF8|C|C||libc|"]),
        (r"\du+", ["joe|Cannot login|{team}|"]),
        (r"\da count", ["pg_catalog|count|bigint|*|"]),
        (r"\encoding", ["UTF8"]),
        (r"\dconfig", ["application_name|psql"]),
        (r"\dconfig max_secrets", ["max_secrets|100"]),
        (r"\dLS", ["internal|mz_system|f|"]),
        (
            r"\sf pg_table_is_visible",
            [
                "CREATE OR REPLACE FUNCTION pg_catalog.pg_table_is_visible(oid)",
                " RETURNS boolean",
                "AS $function$pg_table_is_visible$function$",
            ],
        ),
    ],
)
def test_a_command_shows_what_is_there(filled: Headwater, command: str, lines: list[str]) -> None:
    shown = run(filled, command).splitlines()
    for line in lines:
        assert any(found.startswith(line) for found in shown), shown


@pytest.mark.parametrize(
    "command",
    [
        *(r"\d mv", r"\di+", r"\ds", r"\df+", r"\dT+", r"\dn+", r"\dv+", r"\dm+", r"\dx"),
        *(r"\do+", r"\dS+", r"\da"),
        *(r"\dD", r"\dO", r"\dE", r"\des", r"\dy", r"\dc", r"\drds", r"\db+", r"\sv v"),
        *(r"\conninfo", r"\dS pg_am", r"\dL", r"\dd", r"\dC+", r"\dcS+", r"\dDS+"),
        *(r"\des+", r"\dew+", r"\det+", r"\deu+"),
    ],
)
def test_a_command_succeeds(filled: Headwater, command: str) -> None:
    run(filled, command)


def test_privileges_are_shown_with_the_names_of_roles(filled: Headwater) -> None:
    shown = run(filled, r"\dp t")
    assert "materialize=arwd/materialize" in shown
    assert "joe=ar/materialize" in shown


# What can be cast here only, and what PostgreSQL does without being told to.
_OURS = {("boolean", "bigint"), ("bigint", "boolean")}
_EXPLICIT = {("text", "regclass")}


def test_casts_are_those_of_postgres(filled: Headwater, judge: Postgres) -> None:
    theirs = _casts(psql(judge.dsn, r"\dC"))
    ours = _casts(run(filled, r"\dC"))
    their_types = {type_ for pair in theirs for type_ in pair}
    shared = {pair for pair in ours if their_types.issuperset(pair)} - _OURS
    assert len(shared) > 80
    for pair in shared:
        function, implicit = theirs[pair]
        expected = (function, "no") if pair in _EXPLICIT else (function, implicit)
        assert ours[pair] == expected, pair


def _casts(shown: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Return function and context by source and target."""
    rows = (line.split("|") for line in shown.splitlines())
    return {(row[0], row[1]): (row[2], row[3]) for row in rows if len(row) == 4}


def test_functions_of_casts_can_be_called(filled: Headwater) -> None:
    with filled.connect() as connection:
        listed = connection.execute(
            "SELECT p.proname, format_type(c.castsource, NULL) FROM pg_cast AS c"
            " JOIN pg_proc AS p ON p.oid = c.castfunc WHERE c.castmethod = 'f'"
        ).fetchall()
        assert len(listed) > 100
        for name, source in listed:
            connection.execute(f'SELECT pg_catalog."{name}"(NULL::{source})'.encode())
