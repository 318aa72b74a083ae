"""ALTER COLUMN … TYPE, broken off between its commits: it is whole or has not happened."""

import pytest

from adapter.fakes import Server
from headwater.adapter.builtin_rows import read_table
from headwater.catalog.items import relation_desc
from headwater.catalog.rows import NULL, integer, text
from headwater.errors import ConnectionFailure
from headwater.ir.rows import split_row


def table(server):
    return server.coord.snapshot.resolve_item(("t",), ("public",), "materialize")


def columns(server):
    return [(c.name, c.type.base.value) for c in relation_desc(table(server)).columns]


async def stored(server):
    item = table(server)
    return await read_table(server.persist, "txns", item.shard, server.coord.oracle.read_ts())


async def before_the_rows(server, monkeypatch):
    async def fail(*_args, **_more):
        raise ConnectionFailure("broken off")

    monkeypatch.setattr(server.coord.group_commit, "write", fail)


async def before_the_catalog(server, monkeypatch):
    transact = server.coord.transact
    calls = []

    async def fail(*args, **more):
        calls.append(args)
        if len(calls) == 2:
            raise ConnectionFailure("broken off")
        return await transact(*args, **more)

    monkeypatch.setattr(server.coord, "transact", fail)


@pytest.mark.parametrize("broken", [before_the_rows, before_the_catalog])
async def test_a_change_of_type_is_whole_or_nothing(folder, monkeypatch, broken):
    first = await Server(folder).start()
    client = await first.connect()
    await client.run("CREATE TABLE t (a int, b int, c int)")
    await client.run("INSERT INTO t VALUES (1, 2, 3)")
    await client.run("CREATE VIEW v AS SELECT a, c FROM t")
    with monkeypatch.context() as patched:
        await broken(first, patched)
        sqlstate, _ = await client.error("ALTER TABLE t ALTER b TYPE text USING 'b' || b")
        assert sqlstate == ConnectionFailure.sqlstate
    old = [("a", "int4"), ("b", "int4"), ("c", "int4")]
    assert columns(first) == old
    await client.run("INSERT INTO t VALUES (4, 5, 6)")
    await first.stop()
    second = await Server(folder).start()
    assert columns(second) == old
    client = await second.connect()
    assert await client.tag("ALTER TABLE t ALTER b TYPE text USING 'b' || b") == "ALTER TABLE"
    assert columns(second) == [("a", "int4"), ("b", "text"), ("c", "int4")]
    places = table(second).shown
    rows = await stored(second)
    assert sum(rows.values()) == 2
    seen = set()
    for row in rows:
        datums = split_row(row)
        seen.add(tuple(datums[place] for place in places))
    assert seen == {
        (integer(1), text("b2"), integer(3)),
        (integer(4), text("b5"), integer(6)),
    }
    await client.run("ALTER TABLE t DROP b")
    await client.run("INSERT INTO t VALUES (7, 8)")
    assert columns(second) == [("a", "int4"), ("c", "int4")]
    (made,) = [row for row in await stored(second) if row.startswith(integer(7))]
    assert made == integer(7) + NULL + integer(8) + NULL * (table(second).desc.arity - 3)
    await second.stop()
