"""Who a session is, and set_config: SET ROLE, SET SESSION AUTHORIZATION, current_setting."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]
WHO = "SELECT current_user, session_user, current_role"


@pytest.fixture
def connection(server: Headwater) -> Iterator[Connection]:
    with server.connect() as connection:
        yield connection


@pytest.fixture
def roles(connection: Connection) -> Iterator[None]:
    for role in ("painter", "artists", "stranger"):
        connection.execute(f"CREATE ROLE {role}")
    connection.execute("GRANT artists TO painter")
    connection.execute("GRANT painter TO materialize")
    yield
    connection.execute("ROLLBACK")
    connection.execute("RESET ROLE")
    for role in ("painter", "artists", "stranger"):
        connection.execute(f"DROP OWNED BY {role} CASCADE")
        connection.execute(f"DROP ROLE {role}")


@pytest.mark.usefixtures("roles")
def test_a_session_is_what_its_user_is_a_member_of(connection: Connection) -> None:
    connection.execute("SET ROLE artists")
    assert rows(connection, WHO) == [("artists", "materialize", "artists")]
    assert rows(connection, "SHOW role") == [("artists",)]
    assert rows(connection, "SELECT current_setting('role')") == [("artists",)]
    connection.execute("CREATE TABLE painted (a int)")
    owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'painted'"
    assert rows(connection, owner) == [("artists",)]
    connection.execute("RESET ALL")
    connection.execute("SET ROLE 'painter'")
    assert rows(connection, WHO) == [("painter", "materialize", "painter")]
    connection.execute("SET ROLE NONE")
    assert rows(connection, WHO) == [("materialize", "materialize", "materialize")]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match='to set role "stranger"'):
        connection.execute("SET ROLE stranger")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match='role "nope" does not exist'):
        connection.execute("SET ROLE nope")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SET ROLE mz_system")


@pytest.mark.usefixtures("roles")
def test_a_role_is_undone_with_its_transaction(connection: Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("SET ROLE painter")
    assert rows(connection, WHO)[0][0] == "painter"
    connection.execute("ROLLBACK")
    assert rows(connection, WHO)[0][0] == "materialize"
    connection.execute("SET ROLE painter")
    connection.execute("BEGIN")
    connection.execute("SET LOCAL ROLE artists")
    assert rows(connection, WHO)[0][0] == "artists"
    connection.execute("SET LOCAL ROLE NONE")
    assert rows(connection, WHO)[0][0] == "materialize"
    connection.execute("COMMIT")
    assert rows(connection, WHO)[0][0] == "painter"
    connection.execute("DISCARD ALL")
    assert rows(connection, WHO)[0][0] == "materialize"


@pytest.mark.usefixtures("roles")
def test_a_superuser_may_be_anyone(server: Headwater, connection: Connection) -> None:
    connection.execute("SET SESSION AUTHORIZATION materialize")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="set session authorization"):
        connection.execute("SET SESSION AUTHORIZATION painter")
    with server.connect(user="mz_system", port=server.internal_port) as system:
        system.execute("SET SESSION AUTHORIZATION painter")
        assert rows(system, WHO) == [("painter", "painter", "painter")]
        system.execute("SET ROLE artists")
        assert rows(system, WHO) == [("artists", "painter", "artists")]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            system.execute("SET ROLE stranger")
        system.execute("RESET SESSION AUTHORIZATION")
        assert rows(system, WHO) == [("mz_system", "mz_system", "mz_system")]


@pytest.mark.usefixtures("roles")
def test_a_schema_is_given_to_a_role(connection: Connection) -> None:
    connection.execute("CREATE SCHEMA gallery AUTHORIZATION painter")
    connection.execute("CREATE SCHEMA IF NOT EXISTS AUTHORIZATION artists")
    owners = """SELECT s.name, r.name FROM mz_schemas s JOIN mz_roles r ON s.owner_id = r.id
        WHERE s.name IN ('gallery', 'artists') ORDER BY 1"""
    assert rows(connection, owners) == [("artists", "artists"), ("gallery", "painter")]
    with pytest.raises(psycopg.errors.UndefinedObject):
        connection.execute("CREATE SCHEMA other AUTHORIZATION nope")


def test_set_config_is_set(connection: Connection) -> None:
    assert rows(connection, "SELECT pg_catalog.set_config('search_path', '', false)") == [("",)]
    assert rows(connection, "SHOW search_path") == [("",)]
    found = connection.execute(
        "SELECT set_config('search_path', %s, false) AS path, set_config('TimeZone', %s, false)",
        ("a, b", "Europe/Vienna"),
    )
    assert [column.name for column in found.description or ()] == ["path", "set_config"]
    assert found.fetchall() == [("a, b", "Europe/Vienna")]
    assert rows(connection, "SELECT current_setting('timezone')") == [("Europe/Vienna",)]
    connection.execute("BEGIN")
    connection.execute("SELECT set_config('search_path', 'c', true)")
    assert rows(connection, "SHOW search_path") == [("c",)]
    connection.execute("COMMIT")
    assert rows(connection, "SHOW search_path") == [("a, b",)]
    connection.execute("SELECT set_config('search_path', NULL, false)")
    assert rows(connection, "SHOW search_path") == [("public",)]
    with pytest.raises(psycopg.errors.UndefinedObject):
        connection.execute("SELECT set_config('nope', 'x', false)")
    with pytest.raises(psycopg.errors.NullValueNotAllowed):
        connection.execute("SELECT set_config(NULL, 'x', false)")


def test_unknown_settings(connection: Connection) -> None:
    message = 'unrecognized configuration parameter "no.such"'
    with pytest.raises(psycopg.errors.UndefinedObject, match=message):
        connection.execute("SELECT current_setting('no.such')")
    with pytest.raises(psycopg.errors.UndefinedObject):
        connection.execute("SELECT current_setting('no' || name) FROM mz_schemas")
    assert rows(connection, "SELECT current_setting('no.such', true)") == [(None,)]
    assert rows(connection, "SELECT current_setting('search_path', false)") == [("public",)]
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="setseed is not supported"):
        connection.execute("SELECT setseed(0.5)")
