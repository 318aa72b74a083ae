"""Functions over the catalog, called once a row: what they answer, and that they are joins."""

import time
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from headwater.catalog.builtin.sql_functions import FUNCTIONS, KINDS
from tests.fixtures.headwater import Headwater
from tests.fixtures.postgres import Postgres

Connection = psycopg.Connection[tuple[object, ...]]
pytestmark = pytest.mark.server

_SETUP = """
CREATE ROLE team;
CREATE ROLE joe;
GRANT team TO joe;
CREATE TABLE t (a int NOT NULL, b numeric(39, 2));
CREATE TABLE u (a int);
CREATE SCHEMA other;
CREATE TABLE other.t (a int);
GRANT SELECT, INSERT ON t TO team;
GRANT UPDATE ON t TO joe;
GRANT CREATEDB ON SYSTEM TO team;
"""


@pytest.fixture(scope="module")
def connection(server: Headwater) -> Iterator[Connection]:
    with server.connect() as opened:
        for statement in _SETUP.split(";"):
            if statement.strip():
                opened.execute(statement.encode())
        yield opened


def one(connection: Connection, sql: str) -> object:
    """Return the first value of a query."""
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("has_table_privilege('joe', {t}, 'SELECT')", True),
        ("has_table_privilege('joe', {t}, 'select, delete')", True),
        ("has_table_privilege('team', {t}, 'UPDATE')", False),
        ("has_table_privilege('joe', {t}, 'DELETE')", False),
        ("has_table_privilege('joe', {t}, 'TRIGGER')", False),
        ("has_table_privilege('public', {t}, 'SELECT')", False),
        ("has_table_privilege('mz_system', {t}, 'DELETE')", True),
        ("has_table_privilege('joe', 1::oid, 'SELECT')", None),
        ("has_table_privilege(1::oid, {t}, 'SELECT')", None),
        ("has_table_privilege('joe', NULL::oid, 'SELECT')", None),
        ("has_table_privilege('mz_system', {t}, NULL)", None),
        ("has_schema_privilege('joe', 'other', 'USAGE')", False),
        ("has_schema_privilege('joe', 'public', 'USAGE')", True),
        ("has_database_privilege('joe', current_database(), 'USAGE')", True),
        ("has_system_privilege('joe', 'CREATEDB')", True),
        ("has_system_privilege('joe', 'CREATEROLE')", False),
        ("pg_has_role('joe', 'team', 'USAGE')", True),
        ("pg_has_role('team', 'joe', 'MEMBER')", False),
        ("pg_has_role('joe', NULL::oid, 'MEMBER')", None),
        ("has_cluster_privilege('joe', 'quickstart', 'USAGE')", True),
        ("has_cluster_privilege('joe', 'quickstart', 'CREATE')", False),
        ("format_type(1700, 655366)", "numeric(39,2)"),
        ("format_type(1043, 14)", "character varying(10)"),
        ("format_type(23, NULL)", "integer"),
        ("format_type(1114, 3)", "timestamp(3) without time zone"),
        ("format_type(1184, -1)", "timestamp with time zone"),
        ("mz_internal.mz_render_typmod(1043, 14)", "(10)"),
        ("mz_internal.mz_render_typmod(1700, -1)", ""),
        ("aclitem_grantee(makeaclitem(0, 1, 'SELECT', false))::int8", 0),
        ("aclitem_grantor(makeaclitem(0, 1, 'SELECT', false))::int8", 1),
        ("aclitem_privileges(makeaclitem(0, 1, 'INSERT,SELECT', false))", "ar"),
        ("mz_internal.mz_validate_role_privilege('MEMBER')", True),
        ("cardinality((mz_role_oid_memberships() -> mz_role_oid('joe')::text)::text[])", 2),
        ("(SELECT name FROM mz_internal.mz_resolve_object_name('regclass', 'other.t'))", "t"),
        ("current_setting(NULL)", None),
        ("set_config('bytea_output', 'hex', false)", "hex"),
        ("pg_blocking_pids(1)", []),
        # Materialize's: nothing has been measured.
        ("pg_relation_size('pg_views'::regclass)", -1),
        ("pg_relation_size('pg_views', 'main')", -1),
        ("pg_relation_size(NULL::oid)", None),
        ("pg_stat_get_numscans(NULL)", None),
        ("(SELECT setting FROM pg_show_all_settings() WHERE name = 'bytea_output')", "hex"),
        ("(SELECT typstorage::text FROM pg_type WHERE typname = 'text')", "x"),
        ("(SELECT n_live_tup FROM pg_stat_user_tables WHERE relid = {t})", None),
        ("(SELECT count(*) FROM pg_stat_user_tables WHERE relname = 'u')", 1),
        ("current_setting('no_such', n = 'u')", None),
        ("(SELECT catcode::text FROM pg_get_keywords() WHERE word = 'select')", "R"),
        ("format_type(0, NULL)", "-"),
        ("format_type(4000000, NULL)", "???"),
        ("format_type(NULL, NULL)", None),
        ("pg_get_userbyid(4000000)", "unknown (OID=4000000)"),
        ("pg_get_userbyid(NULL)", None),
        ("{t}::regclass::text", "t"),
        ("'other.t'::regclass::text", "other.t"),
        ("to_regclass('nothing')", None),
        ("to_regclass('other.t')::text", "other.t"),
        ("to_regclass(n)::text", "u"),
        ("to_regtype('character varying')::oid::int8", 1043),
        ("to_regtype('int4')::oid::int8", 23),
        ("to_regtype('nothing')", None),
        ("current_setting('search_path')", "public"),
        ("('4 5'::int2vector)[0]", 4),
        ("(SELECT max(s) FROM generate_subscripts('4 5 6'::int2vector, 1) AS s)", 2),
        ("has_table_privilege('team', n, 'SELECT')", False),
    ],
)
def test_an_answer(connection: Connection, call: str, expected: object) -> None:
    called = call.format(t="'t'::regclass::oid")
    assert one(connection, f"SELECT {called} FROM (VALUES ('u')) AS x(n)") == expected


@pytest.mark.parametrize("name", sorted(n for n in FUNCTIONS if n.startswith(("has_", "pg_get_"))))
def test_a_call_a_row_is_no_cross_join(connection: Connection, name: str) -> None:
    """What a body reads is joined by a key, however many rows there are."""
    for signature, body in FUNCTIONS[name]:
        parameters = [part.strip() for part in signature.partition("->")[0].split(",")]
        # Where there is nothing but a role, or no argument at all, there is no key of an object.
        if "SELECT" not in body or parameters == ["text"]:
            continue
        types = ["oid" if parameter in KINDS else parameter for parameter in parameters]
        columns = ", ".join(f"c{n} {type_}" for n, type_ in enumerate(types))
        connection.execute(b"DROP TABLE IF EXISTS arguments CASCADE")
        connection.execute(f"CREATE TABLE arguments ({columns})".encode())
        given = ", ".join(f"c{n}" for n in range(len(types)))
        query = f"SELECT {name}({given}) FROM arguments"
        plan = str(one(connection, f"EXPLAIN OPTIMIZED PLAN FOR {query}"))
        assert "CrossJoin" not in plan, plan


def test_functions_of_postgres_have_its_object_ids(connection: Connection, judge: Postgres) -> None:
    """Drivers ask ``pg_proc`` by object id: what an id means here, it means there."""
    listed = "SELECT oid::int8, proname::text FROM pg_catalog.pg_proc WHERE oid < 10000"
    ours = dict(connection.execute(listed.encode()).fetchall())
    with psycopg.connect(judge.dsn) as theirs:
        assert ours.items() <= dict(theirs.execute(listed.encode()).fetchall()).items()
    assert {"max", "has_table_privilege", "pg_get_keywords", "current_user"} <= set(ours.values())


def test_functions_are_shown_in_the_schema_that_they_are_called_in(connection: Connection) -> None:
    shown = connection.execute(
        "SELECT DISTINCT p.proname, n.nspname FROM pg_proc AS p JOIN pg_namespace AS n"
        " ON n.oid = p.pronamespace WHERE p.proname IN ('max', 'digest', 'list_agg', 'mz_role_oid')"
    ).fetchall()
    assert set(shown) == {
        ("max", "pg_catalog"),
        ("digest", "pg_catalog"),
        ("list_agg", "mz_catalog"),
        ("mz_role_oid", "mz_internal"),
    }


def test_a_statement_is_printed_from_its_text(connection: Connection) -> None:
    assert one(connection, "SELECT pretty_sql('select 1,2')") == "SELECT 1, 2;"
    assert one(connection, "SELECT pretty_sql('select 1,2', 0)") == "SELECT\n    1,\n    2;"
    redacted = one(connection, "SELECT mz_internal.redact_sql($$select 'a'$$)")
    assert redacted == "SELECT '<REDACTED>'"
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="invalid width"):
        connection.execute("SELECT pretty_sql('select 1', -1)")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="exactly one statement"):
        connection.execute("SELECT pretty_sql('select 1; select 2')")
    with pytest.raises(psycopg.errors.SyntaxError):
        connection.execute("SELECT pretty_sql('selec')")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="constants"):
        connection.execute("SELECT pretty_sql(name) FROM mz_objects")


def test_a_parameter_names_a_relation(connection: Connection) -> None:
    found = connection.execute("SELECT %s::regclass::oid = 'other.t'::regclass::oid", ["other.t"])
    assert found.fetchone() == (True,)


def test_what_has_read_the_catalog_may_change_it(server: Headwater, connection: Connection) -> None:
    with server.connect() as other:
        other.execute("BEGIN")
        assert one(other, "SELECT count(*) FROM pg_class WHERE relname = 'late'") == 0
        other.execute("CREATE TABLE late (a int)")
        other.execute("COMMIT")
        other.execute("BEGIN")
        assert one(other, "SELECT count(*) FROM pg_class WHERE relname = 'late'") == 1
        connection.execute("DROP TABLE late")
        with pytest.raises(psycopg.errors.SerializationFailure):
            other.execute("CREATE TABLE late (a int)")
        other.execute("ROLLBACK")
        other.execute("BEGIN")
        assert one(other, "SELECT count(*) FROM t") == 0
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            other.execute("CREATE TABLE late (a int)")


def test_time_zones_are_those_of_the_tz_database(connection: Connection) -> None:
    """Every name is one that the server knows; offsets are now's. Source: PostgreSQL 15, 54.30."""
    count = one(connection, "SELECT count(DISTINCT utc_offset) FROM pg_timezone_names")
    assert isinstance(count, int)
    assert count >= 24
    for name, hours in (("Asia/Tokyo", 9), ("UTC", 0), ("America/Phoenix", -7)):
        found = connection.execute(
            "SELECT utc_offset, is_dst FROM pg_timezone_names WHERE name = %s", [name]
        )
        assert found.fetchone() == (timedelta(hours=hours), False)
    for abbreviation, minutes, summer in (("PDT", -420, True), ("IST", 120, False)):
        found = connection.execute(
            "SELECT utc_offset, is_dst FROM pg_timezone_abbrevs WHERE abbrev = %s", [abbreviation]
        )
        assert found.fetchone() == (timedelta(minutes=minutes), summer)


def test_rows_have_their_relation_as_a_system_column(connection: Connection) -> None:
    """``tableoid`` is seen where it is named alone. Source: PostgreSQL, section 5.5."""
    connection.execute("INSERT INTO u VALUES (1)")
    found = connection.execute("SELECT tableoid::regclass::text, x.tableoid = 'u'::regclass, x.*"
                               " FROM u AS x")  # fmt: skip
    assert found.fetchall() == [("u", True, 1)]
    assert (
        one(connection, "SELECT c.tableoid::regclass::text FROM pg_class c LIMIT 1") == "pg_class"
    )
    with pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute("SELECT x.tableoid FROM t LEFT JOIN u AS x ON true")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute("SELECT x.tableoid FROM (SELECT 1) AS x")


def test_settings_are_those_of_the_session(connection: Connection) -> None:
    connection.execute("SET application_name = 'mine'")
    found = connection.execute(
        "SELECT setting, source, context, vartype, boot_val FROM pg_settings"
        " WHERE name IN ('application_name', 'standard_conforming_strings') ORDER BY name"
    )
    assert found.fetchall() == [
        ("mine", "session", "user", "string", ""),
        ("on", "default", "user", "bool", "on"),
    ]
    connection.execute("RESET application_name")
    assert one(connection, "SELECT count(*) FROM pg_settings WHERE source = 'session'") == 0


def test_set_config_in_a_query_says_that_it_changes_nothing(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.NullValueNotAllowed, match="SET can"):
        connection.execute("SELECT set_config('search_path', '', false) FROM mz_schemas")


def test_users_are_the_roles_that_may_log_in(connection: Connection) -> None:
    """Source: Materialize's mz_analytics and mz_jwt_sync are roles, and no users."""
    connection.execute("CREATE ROLE enters WITH LOGIN")
    found = connection.execute("SELECT usename FROM pg_user ORDER BY 1").fetchall()
    assert found == [("enters",), ("mz_support",), ("mz_system",)]


def test_sleep_answers_late_and_can_be_stopped(connection: Connection) -> None:
    """Source: Materialize's mz_sleep returns NULL of type timestamptz."""
    began = time.monotonic()
    found = connection.execute("SELECT mz_unsafe.mz_sleep(0.25 + 0.25)")
    assert found.fetchall() == [(None,)]
    assert time.monotonic() - began >= 0.5
    assert found.description is not None
    assert found.description[0].name == "mz_sleep"
    connection.execute("SET statement_timeout = '100ms'")
    with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        connection.execute("SELECT mz_unsafe.mz_sleep(3600)")
    connection.execute("RESET statement_timeout")
    assert one(connection, "SELECT mz_unsafe.mz_sleep(NULL)") is None
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.execute("SELECT mz_unsafe.mz_sleep(-1)")


@pytest.mark.parametrize(
    "query",
    ["mz_sleep(a) FROM generate_series(1, 2) a", "mz_sleep(1), 2", "1 WHERE mz_sleep(1) IS NULL"],
)
def test_a_sleep_stands_alone(connection: Connection, query: str) -> None:
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="potentially dangerous"):
        connection.execute(f"SELECT {query}".encode())


@pytest.mark.parametrize("call", ["mz_panic('now')", "mz_any(true)", "mz_all(1)"])
def test_dangerous_functions_are_refused(connection: Connection, call: str) -> None:
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="potentially dangerous"):
        connection.execute(f"SELECT mz_unsafe.{call}".encode())


def test_the_database_before_a_functions_name_must_exist(connection: Connection) -> None:
    assert one(connection, "SELECT materialize.pg_catalog.abs(-1)") == 1
    with pytest.raises(psycopg.errors.InvalidCatalogName):
        connection.execute("SELECT noexist.pg_catalog.abs(1)")


def test_columns_that_only_tools_name_are_not_listed(
    connection: Connection, judge: Postgres
) -> None:
    """``SELECT *`` gives Materialize's columns; the others are what PostgreSQL says of a column."""
    made = "CREATE TABLE shown (a int, b text, c timestamp(3), d int[], e date, f float8)"
    asked = (
        "SELECT c.column_name::text, udt_name::text, numeric_precision_radix, datetime_precision,"
        " is_identity::text, is_generated::text, c.is_updatable::text, x.is_insertable_into::text"
        " FROM information_schema.columns AS c JOIN information_schema.tables AS x"
        " USING (table_schema, table_name) WHERE table_name = 'shown' ORDER BY c.ordinal_position"
    )
    connection.execute(made.encode())
    with psycopg.connect(judge.dsn, autocommit=True) as theirs:
        theirs.execute(made.encode())
        assert connection.execute(asked.encode()).fetchall() == (
            theirs.execute(asked.encode()).fetchall()
        )
    starred = connection.execute("SELECT * FROM information_schema.columns LIMIT 1")
    assert [column.name for column in starred.description or ()][-1] == "numeric_scale"
    starred = connection.execute("SELECT x.* FROM information_schema.tables AS x LIMIT 1")
    assert [column.name for column in starred.description or ()][-1] == "table_type"


def test_functions_are_found_by_name(connection: Connection) -> None:
    assert one(connection, "SELECT to_regproc('sha256')::text") == "sha256"
    assert one(connection, "SELECT to_regproc('no_such_function')") is None


def test_local_times_are_in_the_session_s_zone(connection: Connection) -> None:
    connection.execute("SET timezone = 'Asia/Tokyo'")
    connection.execute("SET unsafe_new_transaction_wall_time = '2000-12-01 20:00:00 UTC'")
    found = "SELECT localtimestamp::text || ' ' || localtime::text"
    assert one(connection, found) == "2000-12-02 05:00:00 05:00:00"
    connection.execute("RESET unsafe_new_transaction_wall_time")
    connection.execute("RESET timezone")


def test_schemata_have_what_tools_name(connection: Connection) -> None:
    asked = "SELECT schema_owner, sql_path FROM information_schema.schemata"
    found = connection.execute(f"{asked} WHERE schema_name = 'pg_catalog'").fetchall()
    assert found == [("mz_system", None)]
    starred = connection.execute("SELECT * FROM information_schema.schemata LIMIT 1")
    names = [column.name for column in starred.description or ()]
    assert names == ["catalog_name", "schema_name"]


def test_there_is_nothing_to_defer(connection: Connection) -> None:
    """Source: PostgreSQL, SET CONSTRAINTS; Django says so when it loads and checks data."""
    connection.execute("CREATE TABLE deferring (a int PRIMARY KEY)")
    connection.execute("SET CONSTRAINTS ALL DEFERRED")
    connection.execute("SET CONSTRAINTS deferring_pkey IMMEDIATE")
    with pytest.raises(psycopg.errors.WrongObjectType, match='"deferring_pkey" is not deferrable'):
        connection.execute("SET CONSTRAINTS deferring_pkey DEFERRED")
    with pytest.raises(psycopg.errors.UndefinedObject, match='constraint "none" does not exist'):
        connection.execute("SET CONSTRAINTS none IMMEDIATE")
    connection.execute("DROP TABLE deferring")


def test_types_name_the_functions_that_read_them(connection: Connection) -> None:
    """Source: PostgreSQL's pg_type.dat; Npgsql joins pg_type and pg_proc by them."""
    connection.execute("CREATE TYPE read_pair AS (a int, b text)")
    found = connection.execute(
        """SELECT t.typname, i.proname, r.proname FROM pg_type AS t
           JOIN pg_proc AS i ON i.oid = t.typinput JOIN pg_proc AS r ON r.oid = t.typreceive
           WHERE t.typname IN ('int4', '_int4', 'int4range', 'timestamptz', 'int2vector',
                               'read_pair', 'text') ORDER BY 1"""
    ).fetchall()
    assert found == [
        ("_int4", "array_in", "array_recv"),
        ("int2vector", "int2vectorin", "int2vectorrecv"),
        ("int4", "int4in", "int4recv"),
        ("int4range", "range_in", "range_recv"),
        ("read_pair", "record_in", "record_recv"),
        ("text", "textin", "textrecv"),
        ("timestamptz", "timestamptz_in", "timestamptz_recv"),
    ]
    assert one(connection, "SELECT typinput::text FROM pg_type WHERE typname = 'bool'") == "boolin"
    assert one(connection, "SELECT a::regproc::oid FROM (VALUES ('array_in')) AS t (a)") == 750
