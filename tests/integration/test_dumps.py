"""What pg_dump writes of tables, views, keys and data is loaded; and moves and names of objects."""

import shutil
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

# As pg_dump 15 prints it, comments left out.
DUMP = r"""
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA dumped;
ALTER SCHEMA dumped OWNER TO materialize;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE dumped.users (
    id integer NOT NULL,
    name character varying(20) DEFAULT 'x'::character varying NOT NULL,
    born date,
    tags text[] DEFAULT '{}'::text[],
    CONSTRAINT users_id_check CHECK ((id > 0))
);
ALTER TABLE dumped.users OWNER TO materialize;
CREATE VIEW dumped.named AS
 SELECT users.id,
    users.name
   FROM dumped.users
  WHERE ((users.name)::text = 'a'::text);
ALTER TABLE dumped.named OWNER TO materialize;
COMMENT ON TABLE dumped.users IS 'people';
COPY dumped.users (id, name, born, tags) FROM stdin;
1	a	2000-01-01	{x,y}
2	b	\N	{}
\.
ALTER TABLE ONLY dumped.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX users_name_idx ON dumped.users USING btree (name);
CREATE UNIQUE INDEX users_born_idx ON dumped.users USING btree (born);
GRANT SELECT ON TABLE dumped.users TO PUBLIC;
"""


@pytest.fixture
def connection(server: Headwater) -> Iterator[Connection]:
    with server.connect() as connection:
        yield connection
        connection.execute("ROLLBACK")
        connection.execute("DROP SCHEMA IF EXISTS dumped CASCADE")
        connection.execute("DROP SCHEMA IF EXISTS moved CASCADE")


@pytest.mark.skipif(shutil.which("psql") is None, reason="no psql")
def test_a_dump_is_loaded(server: Headwater, connection: Connection) -> None:
    said = subprocess.run(
        ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", server.dsn],
        input=DUMP,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert rows(connection, "SELECT id, tags::text FROM dumped.users ORDER BY id") == [
        (1, "{x,y}"),
        (2, "{}"),
    ]
    assert rows(connection, "SELECT * FROM dumped.named") == [(1, "a")]
    for query, error in (
        ("INSERT INTO dumped.users VALUES (1)", psycopg.errors.UniqueViolation),
        (
            "INSERT INTO dumped.users (id, born) VALUES (3, '2000-01-01')",
            psycopg.errors.UniqueViolation,
        ),
        ("INSERT INTO dumped.users VALUES (0)", psycopg.errors.CheckViolation),
    ):
        with pytest.raises(error):
            connection.execute(query.encode())


def test_a_relation_moves_with_its_indexes(connection: Connection) -> None:
    connection.execute("CREATE SCHEMA dumped")
    connection.execute("CREATE SCHEMA moved")
    connection.execute("CREATE TABLE dumped.t (a int PRIMARY KEY)")
    connection.execute("CREATE INDEX i ON dumped.t (a)")
    connection.execute("CREATE VIEW dumped.v AS SELECT a FROM dumped.t")
    connection.execute("CREATE TYPE dumped.y AS (a int)")
    connection.execute("INSERT INTO dumped.t VALUES (1)")
    connection.execute("ALTER TABLE dumped.t SET SCHEMA moved")
    connection.execute("ALTER TYPE dumped.y SET SCHEMA moved")
    assert rows(connection, "SELECT a FROM moved.t") == [(1,)]
    assert rows(connection, "SELECT a FROM dumped.v") == [(1,)]
    assert rows(connection, "SHOW CREATE INDEX moved.i")[0][0] == "materialize.moved.i"
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT a FROM dumped.t")
    connection.execute("CREATE TABLE dumped.t (b int)")
    with pytest.raises(psycopg.errors.DuplicateTable):
        connection.execute("ALTER TABLE dumped.t SET SCHEMA moved")
    with pytest.raises(psycopg.errors.InvalidSchemaName):
        connection.execute("ALTER TABLE dumped.t SET SCHEMA nowhere")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("ALTER TABLE dumped.t SET SCHEMA pg_catalog")


def test_a_constraint_gets_another_name(connection: Connection) -> None:
    connection.execute("CREATE SCHEMA dumped")
    connection.execute("CREATE TABLE dumped.t (a int PRIMARY KEY, CHECK (a > 0))")
    connection.execute("INSERT INTO dumped.t VALUES (1)")
    connection.execute("ALTER TABLE dumped.t RENAME CONSTRAINT t_pkey TO k")
    connection.execute("ALTER TABLE dumped.t RENAME CONSTRAINT t_a_check TO positive")
    with pytest.raises(psycopg.errors.UniqueViolation, match='"k"'):
        connection.execute("INSERT INTO dumped.t VALUES (1)")
    with pytest.raises(psycopg.errors.CheckViolation, match='"positive"'):
        connection.execute("INSERT INTO dumped.t VALUES (0)")
    with pytest.raises(psycopg.errors.UndefinedObject, match='"t_pkey" for table "t" does not'):
        connection.execute("ALTER TABLE dumped.t RENAME CONSTRAINT t_pkey TO x")
    with pytest.raises(psycopg.errors.DuplicateObject, match='"k" for relation "t" already'):
        connection.execute("ALTER TABLE dumped.t RENAME CONSTRAINT positive TO k")
