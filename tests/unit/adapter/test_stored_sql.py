from headwater.adapter.stored_sql import shown_sql


def shown(server, *name):
    snapshot = server.coord.snapshot
    return shown_sql(snapshot, snapshot.resolve_item(name, ("public",), "materialize").create_sql)


async def test_stored_statements_are_shown_with_names_of_today(server, client):
    await client.run("CREATE TABLE t (a int); CREATE CLUSTER c SIZE '25cc'")
    await client.tag("CREATE MATERIALIZED VIEW m IN CLUSTER c AS SELECT a FROM t")
    await client.run("ALTER TABLE t RENAME TO t2; ALTER CLUSTER c RENAME TO c2")
    assert shown(server, "m") == (
        "CREATE MATERIALIZED VIEW materialize.public.m IN CLUSTER c2 "
        "AS SELECT a FROM materialize.public.t2;"
    )


async def test_a_renamed_schema_moves_its_items(server, client):
    await client.run("CREATE SCHEMA s; CREATE TABLE s.t (a int); ALTER SCHEMA s RENAME TO s2")
    assert shown(server, "s2", "t") == "CREATE TABLE materialize.s2.t (a int4);"
