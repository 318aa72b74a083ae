from adapter.fakes import Server
from headwater.adapter.builtin_rows import read_table
from headwater.catalog.codec import Kind
from headwater.errors import ConnectionFailure
from headwater.ir.rows import split_row


async def events(server):
    """The texts of (event type, object type, details) of all events, oldest first."""
    item = server.coord.snapshot.resolve_item(("mz_internal", "mz_audit_rows"), (), None)
    ts = server.coord.oracle.read_ts()
    held = await read_table(server.persist, "txns", item.shard, ts)
    assert set(held.values()) == {1}
    rows = sorted(split_row(row) for row in held)
    return [tuple(datum[1:-2].decode() for datum in row[1:4]) for row in rows]


def outbox(server):
    return [key for key in server.coord.durable.state if key[0] == Kind.AUDIT]


async def test_a_new_catalog_tells_what_it_starts_with(server):
    first, *_ = await events(server)
    assert first == ("create", "role", '{"id":"u1","name":"materialize"}')
    told = {(what, kind) for what, kind, _ in await events(server)}
    assert {("create", "role"), ("create", "database"), ("create", "schema")} <= told
    assert {("create", "cluster"), ("create", "cluster-replica"), ("grant", "system")} <= told


async def test_events_stay_across_a_restart_and_leave_the_catalog(folder):
    server = await Server(folder).start()
    client = await server.connect()
    await client.run("CREATE TABLE t (a int)")
    await client.run("ALTER TABLE t RENAME TO u")
    assert len(outbox(server)) == 1
    before = await events(server)
    assert [e[:2] for e in before[-2:]] == [("create", "table"), ("alter", "table")]
    await server.stop()
    server = await Server(folder).start()
    assert await events(server) == before
    await server.stop()


async def test_an_event_that_was_committed_only_is_shown_by_the_next_server(folder, monkeypatch):
    server = await Server(folder).start()
    client = await server.connect()
    before = await events(server)

    async def killed(updates):
        raise ConnectionFailure("killed")

    monkeypatch.setattr(server.coord, "write_tables", killed)
    assert (await client.error("CREATE DATABASE d"))[0] == "08006"
    assert await events(server) == before
    await server.stop()
    server = await Server(folder).start()
    added = (await events(server))[len(before) :]
    assert [e[:2] for e in added] == [("create", "database"), ("create", "schema")]
    await server.stop()


async def test_what_is_rolled_back_is_not_told(server, client):
    before = await events(server)
    await client.run("BEGIN")
    await client.run("CREATE VIEW v AS SELECT 1")
    await client.run("ROLLBACK")
    assert await events(server) == before
