from headwater.adapter.builtin_rows import desired_rows
from headwater.sql.plan.stored_names import readable


def shown(server, *name):
    snapshot = server.coord.snapshot
    return readable(snapshot, snapshot.resolve_item(name, ("public",), "materialize").create_sql)


async def test_stored_statements_are_shown_with_names_of_today(server, client):
    await client.run("CREATE TABLE t (a int); CREATE CLUSTER c SIZE '25cc'")
    await client.tag("CREATE MATERIALIZED VIEW m IN CLUSTER c AS SELECT a FROM t")
    await client.run("ALTER TABLE t RENAME TO t2; ALTER CLUSTER c RENAME TO c2")
    assert shown(server, "m") == (
        "CREATE MATERIALIZED VIEW materialize.public.m\n"
        "    IN CLUSTER c2\n"
        "    WITH (REFRESH = ON COMMIT)\n"
        "    AS SELECT a FROM materialize.public.t2;"
    )


async def test_a_renamed_schema_moves_its_items(server, client):
    await client.run("CREATE SCHEMA s; CREATE TABLE s.t (a int); ALTER SCHEMA s RENAME TO s2")
    assert shown(server, "s2", "t") == "CREATE TABLE materialize.s2.t (a pg_catalog.int4);"


async def test_altered_options_and_clusters_are_in_the_statement(server, client):
    await client.run("CREATE TABLE t (a int); CREATE CLUSTER c SIZE '25cc'")
    await client.tag("CREATE MATERIALIZED VIEW m IN CLUSTER quickstart AS SELECT a FROM t")
    await client.run("ALTER TABLE t SET (RETAIN HISTORY = FOR '1m')")
    assert shown(server, "t") == (
        "CREATE TABLE materialize.public.t (a pg_catalog.int4) WITH (RETAIN HISTORY = FOR '1m');"
    )
    await client.run("ALTER TABLE t RESET (RETAIN HISTORY)")
    assert shown(server, "t") == "CREATE TABLE materialize.public.t (a pg_catalog.int4);"
    await client.run("ALTER MATERIALIZED VIEW m SET CLUSTER quickstart")
    await client.run("ALTER MATERIALIZED VIEW m SET CLUSTER c")
    assert shown(server, "m") == (
        "CREATE MATERIALIZED VIEW materialize.public.m\n"
        "    IN CLUSTER c\n"
        "    WITH (REFRESH = ON COMMIT)\n"
        "    AS SELECT a FROM materialize.public.t;"
    )


async def test_the_catalog_shows_statements_with_the_names_of_today(server, client):
    await client.run("CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t")
    await client.run("ALTER TABLE t RENAME TO t2")
    rows = desired_rows(server.coord.snapshot)["mz_catalog.mz_views"]
    assert any(b"SELECT a FROM materialize.public.t2;" in row for row in rows)


async def test_views_mean_a_table_by_the_columns_that_it_had(server, client):
    await client.run(
        "CREATE TABLE t (a int UNIQUE, CHECK (a > 0)); CREATE VIEW v AS SELECT * FROM t"
    )
    await client.run("ALTER TABLE t ADD COLUMN b text DEFAULT 'x', ADD UNIQUE (b)")
    await client.run("CREATE VIEW w AS SELECT * FROM t; ALTER TABLE t ADD COLUMN c int")
    snapshot = server.coord.snapshot
    stored = {
        name: snapshot.resolve_item((name,), ("public",), "materialize").create_sql
        for name in ("t", "v", "w")
    }
    assert stored["t"] == (
        "CREATE TABLE materialize.public.t (a int4 CONSTRAINT t_a_key UNIQUE, b text DEFAULT 'x',"
        " c int4, CONSTRAINT t_a_check CHECK (a > 0), CONSTRAINT t_b_key UNIQUE (b))"
    )
    assert stored["v"].endswith("FROM [u1 AS materialize.public.t VERSION 0]")
    assert stored["w"].endswith("FROM [u1 AS materialize.public.t VERSION 1]")
    assert shown(server, "v").endswith("AS SELECT * FROM materialize.public.t;")
