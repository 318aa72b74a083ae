from headwater.adapter.builtin_rows import desired_rows, read_table
from headwater.catalog.builtin.pg_views import PG_VIEWS
from headwater.catalog.builtin.tables import AUDIT_TABLE, BUILTIN_TABLES, RUNNING_TABLES
from headwater.catalog.builtin.views import MZ_VIEWS
from headwater.catalog.items import BuiltinTable
from headwater.ir.rows import split_row


async def test_every_builtin_view_is_planned(server):
    snapshot = server.coord.snapshot
    for definition in (*MZ_VIEWS, *PG_VIEWS):
        view = snapshot.resolve_item((definition.schema, definition.name), (), None)
        assert view.desc.arity > 0


async def test_rows_of_builtin_tables_have_the_columns_of_the_table(server):
    columns = {table.key: table.desc.columns for table in BUILTIN_TABLES}
    rows = desired_rows(server.coord.snapshot)
    assert sum(map(len, rows.values())) > 300
    for table, held in rows.items():
        for row in held:
            datums = split_row(row)
            assert len(datums) == len(columns[table]), table
            for datum, column in zip(datums, columns[table], strict=True):
                assert datum != b"\xfe" or column.nullable, (table, column.name)


async def test_stored_builtin_tables_are_what_the_catalog_says(server, client):
    await client.run("CREATE TABLE t (a int); CREATE INDEX i ON t (a); DROP TABLE t CASCADE")
    await client.run(
        "CREATE SCHEMA s; CREATE VIEW s.v AS SELECT 1 AS one; ALTER SCHEMA s RENAME TO s2"
    )
    await client.run(
        "CREATE ROLE team; CREATE ROLE joe; GRANT team TO joe; GRANT CREATEDB ON SYSTEM TO team;"
        "CREATE TABLE k (a int PRIMARY KEY, b int UNIQUE, CONSTRAINT c CHECK (b > a));"
        "GRANT SELECT ON k TO joe; ALTER TABLE k RENAME TO l; ALTER ROLE joe RENAME TO jo"
    )
    snapshot, ts = server.coord.snapshot, server.coord.oracle.read_ts()
    wanted = desired_rows(snapshot)
    for item in list(snapshot.items.values()):
        if isinstance(item, BuiltinTable) and item.name not in {*RUNNING_TABLES, AUDIT_TABLE}:
            held = await read_table(server.persist, "txns", item.shard, ts)
            assert held == wanted[".".join(snapshot.full_name(item))], item.name
