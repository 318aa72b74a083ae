"""Sessions over real controllers and a real folder; what replicas would answer is made up."""

import asyncio

import msgspec
import pytest

from adapter.fakes import Server
from headwater.adapter.builtin_rows import read_table
from headwater.catalog.rows import integer, text
from headwater.compute import protocol as compute
from headwater.errors import ErrorFields
from headwater.persist import flat
from headwater.pgwire import protocol as p


async def stored(server, name):
    table = server.coord.snapshot.resolve_item((name,), ("public",), "materialize")
    ts = server.coord.oracle.read_ts()
    return await read_table(server.persist, "txns", table.shard, ts)


def row(*values):
    return b"".join(text(v) if isinstance(v, str) else integer(v) for v in values)


async def test_a_session_is_told_its_parameters(client):
    parameters = client.started.parameters
    assert parameters["cluster"] == "quickstart"
    assert parameters["server_version"] == "9.5.0"
    assert client.started.settings is not None


async def test_constants_need_no_replica(client):
    assert await client.constant("SELECT 1 + 2, 'x'") == [row(3, "x")]
    assert await client.constant("SELECT current_database(), current_user") == [
        row("materialize", "materialize")
    ]


async def test_inserted_rows_are_durable_when_the_insert_is_answered(server, client):
    await client.tag("CREATE TABLE t (a int, b text DEFAULT 'none')")
    assert await client.tag("INSERT INTO t VALUES (1, 'x'), (2, 'y')") == "INSERT 0 2"
    assert await client.tag("INSERT INTO t (a) VALUES (3)") == "INSERT 0 1"
    assert await stored(server, "t") == {row(1, "x"): 1, row(2, "y"): 1, row(3, "none"): 1}


async def test_a_block_commits_several_tables_at_once(server, client):
    await client.run("CREATE TABLE t (a int); CREATE TABLE u (a int)")
    rounds = server.coord.group_commit.rounds
    await client.run("BEGIN; INSERT INTO t VALUES (1); INSERT INTO u VALUES (2)")
    assert client.status == "T"
    assert await stored(server, "t") == {}
    assert await client.tag("COMMIT") == "COMMIT"
    assert server.coord.group_commit.rounds == rounds + 1
    assert await stored(server, "t") == {row(1): 1}
    assert await stored(server, "u") == {row(2): 1}


async def test_rollback_forgets_writes(server, client):
    await client.tag("CREATE TABLE t (a int)")
    await client.run("BEGIN; INSERT INTO t VALUES (1)")
    assert await client.tag("ROLLBACK") == "ROLLBACK"
    assert client.status == "I"
    assert await stored(server, "t") == {}


async def test_after_an_error_a_block_takes_only_its_end(client):
    await client.tag("BEGIN")
    assert (await client.error("SELECT * FROM nowhere"))[0] == "42P01"
    assert client.status == "E"
    sqlstate, message = await client.error("SELECT 1")
    assert sqlstate == "25P02"
    assert message.startswith("current transaction is aborted")
    assert await client.tag("COMMIT") == "ROLLBACK"
    assert client.status == "I"


async def test_an_error_ends_an_implicit_transaction_as_a_whole(server, client):
    await client.tag("CREATE TABLE t (a int)")
    replies = await client.run("INSERT INTO t VALUES (1); SELECT * FROM nowhere")
    assert isinstance(replies[-1], p.Failed)
    assert client.status == "I"
    assert await stored(server, "t") == {}


async def test_reads_and_writes_do_not_mix(client):
    await client.tag("CREATE TABLE t (a int)")
    await client.run("BEGIN; SELECT * FROM t")
    assert (await client.error("INSERT INTO t VALUES (1)"))[0] == "25006"
    await client.run("ROLLBACK; BEGIN; INSERT INTO t VALUES (1)")
    assert (await client.error("SELECT * FROM t")) == (
        "25000",
        "transaction in write-only mode",
    )


async def test_all_reads_of_a_block_are_at_one_time(server, client):
    await client.tag("CREATE TABLE t (a int)")
    writer = await server.connect()
    (_, first) = await client.run("BEGIN; SELECT * FROM t")
    await writer.tag("INSERT INTO t VALUES (1)")
    (second,) = await client.run("SELECT * FROM t")
    times = {server.times(reply.source) for reply in (first, second)}
    assert len(times) == 1
    await client.tag("COMMIT")
    (third,) = await client.run("SELECT * FROM t")
    assert server.times(third.source) > times.pop()


async def test_the_first_read_fixes_the_time_domain(client):
    await client.run("CREATE SCHEMA other; CREATE TABLE t (a int); CREATE TABLE other.u (a int)")
    await client.run("BEGIN; SELECT * FROM t")
    sqlstate, message = await client.error("SELECT * FROM other.u")
    assert sqlstate == "25000"
    assert "same timedomain" in message


async def test_begin_takes_over_what_its_batch_has_done(server, client):
    await client.tag("CREATE TABLE t (a int)")
    await client.run("INSERT INTO t VALUES (1); BEGIN; INSERT INTO t VALUES (2)")
    assert await stored(server, "t") == {}
    assert (await client.error("SELECT * FROM t"))[0] == "25000"
    await client.run("ROLLBACK")
    assert await stored(server, "t") == {}


async def test_the_catalog_is_in_every_time_domain(client):
    await client.run("CREATE TABLE t (a int); BEGIN; SELECT * FROM t")
    (reply,) = await client.run("SHOW COLUMNS FROM t")
    assert isinstance(reply, p.Rows)


async def test_what_time_it_is_cannot_be_written(client):
    await client.tag("CREATE TABLE t (a mz_timestamp)")
    for write in ("INSERT INTO t VALUES (mz_now())", "DELETE FROM t WHERE a = mz_now()"):
        sqlstate, message = await client.error(write)
        assert (sqlstate, message) == (
            "0A000",
            "calls to mz_now in write statements are not supported",
        )


async def test_read_holds_go_with_the_answer_and_the_block(server, client):
    await client.tag("CREATE TABLE t (a int)")
    id = server.coord.snapshot.resolve_item(("t",), ("public",), "materialize").id
    held = server.storage.collections()[id].holds
    await client.run("BEGIN; SELECT * FROM t")
    assert held.earliest is not None
    await client.tag("COMMIT")
    assert held.earliest is None
    await client.run("SELECT * FROM t")
    assert held.earliest is None


async def test_update_and_delete_write_the_difference(server, client):
    await client.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)")
    server.peeks.answers = [flat.build([(row(1) + row(10), 0, 1)])]
    assert await client.tag("UPDATE t SET a = 10 WHERE a = 1") == "UPDATE 1"
    assert await stored(server, "t") == {row(10): 1, row(2): 1}
    server.peeks.answers = [flat.build([(row(2), 0, 1)])]
    assert await client.tag("DELETE FROM t WHERE a = 2") == "DELETE 1"
    assert await stored(server, "t") == {row(10): 1}


async def test_a_statement_that_lost_its_race_reads_again(server, client):
    await client.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    other = await server.connect()
    asked = server.peeks.collect_peek

    async def interrupted(source):
        server.peeks.collect_peek = asked
        answer = await asked(source)
        await other.tag("INSERT INTO t VALUES (7)")
        return answer

    server.peeks.collect_peek = interrupted
    server.peeks.answers = [
        flat.build([(row(1), 0, 1)]),
        flat.build([(row(1), 0, 1), (row(7), 0, 1)]),
    ]
    assert await client.tag("DELETE FROM t") == "DELETE 2"
    assert await stored(server, "t") == {}
    assert len(server.peeks.asked) == 2


async def test_in_a_block_a_lost_race_fails_the_commit(server, client):
    await client.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    other = await server.connect()
    server.peeks.answers = [flat.build([(row(1), 0, 1)])]
    await client.run("BEGIN; DELETE FROM t")
    await other.tag("INSERT INTO t VALUES (2)")
    assert (await client.error("COMMIT"))[0] == "40001"
    assert await stored(server, "t") == {row(1): 1, row(2): 1}


async def test_ddl_of_a_block_is_staged_and_committed_as_one(server, client):
    version = server.coord.snapshot.version
    await client.run("BEGIN; CREATE TABLE t (a int); CREATE VIEW v AS SELECT a + 1 AS b FROM t")
    other = await server.connect()
    assert (await other.error("SELECT * FROM v"))[0] == "42P01"
    assert server.coord.snapshot.version == version
    assert await client.tag("COMMIT") == "COMMIT"
    assert server.coord.snapshot.version == version + 1
    (reply,) = await other.run("SELECT * FROM v")
    assert isinstance(reply, p.Rows)


async def test_ddl_of_a_block_fails_where_the_catalog_has_changed(server, client):
    await client.run("BEGIN; CREATE TABLE t (a int)")
    other = await server.connect()
    await other.tag("CREATE TABLE u (a int)")
    assert (await client.error("COMMIT"))[0] == "40001"
    assert (await client.error("SELECT * FROM t"))[0] == "42P01"


async def test_objects_and_rows_are_there_after_a_restart(folder):
    first = await Server(folder).start()
    client = await first.connect()
    await client.run("CREATE TABLE t (a int); INSERT INTO t VALUES (5)")
    await client.run(
        "CREATE VIEW v AS SELECT a, count(*) AS n FROM t GROUP BY a;"
        "CREATE INDEX i ON v (a); CREATE MATERIALIZED VIEW m AS SELECT * FROM v"
    )
    names = {item.name for item in first.coord.snapshot.items.values()}
    await first.stop()
    second = await Server(folder).start()
    snapshot = second.coord.snapshot
    assert {item.name for item in snapshot.items.values()} == names
    assert await stored(second, "t") == {row(5): 1}
    index = snapshot.resolve_item(("i",), ("public",), "materialize")
    view = snapshot.resolve_item(("m",), ("public",), "materialize")
    assert second.compute.has(index.cluster, index.id)
    assert second.compute.has(view.cluster, view.id)
    await second.stop()


async def test_a_second_server_fences_the_first(folder):
    first = await Server(folder).start()
    client = await first.connect()
    await client.tag("CREATE TABLE t (a int)")
    second = await Server(folder).start()
    for _ in range(2):  # who finds out, and whoever comes later
        sqlstate, message = await client.error("INSERT INTO t VALUES (1)")
        assert sqlstate == "57P04"
        assert "newer server" in message
    assert first.failures
    await second.stop()
    await first.stop()


async def test_builtin_tables_follow_the_catalog(server, client):
    await client.tag("CREATE TABLE t (a int)")
    made = server.coord.snapshot.resolve_item(("t",), ("public",), "materialize")
    tables = server.coord.snapshot.resolve_item(("mz_tables",), (), None)
    ts = server.coord.oracle.read_ts()
    rows = await read_table(server.persist, "txns", tables.shard, ts)
    assert any(held.startswith(text(made.id)) for held in rows)


async def test_a_prepared_insert_of_parameters_is_handed_to_the_front(server, client):
    assert await client.tag("CREATE TABLE t (a int, b text)") == "CREATE TABLE"

    async def prepared(sql):
        return (
            await client.api.prepare(p.Prepare(id=9, conn=client.conn, name="", sql=sql))
        ).statement

    fast = (await prepared("INSERT INTO t (b, a) VALUES ('x', $1)")).fast_insert
    assert fast.row == (0, text("x"))
    for more in (
        "INSERT INTO t VALUES ($1 + 1, 'x')",
        "INSERT INTO t VALUES ($1, 'x'), ($1, 'y')",
        "INSERT INTO t VALUES ($1, 'x') RETURNING a",
        "SELECT $1::int",
    ):
        assert (await prepared(more)).fast_insert is None
    answers = []

    def insert(version, *datums):
        rows = [
            p.Insert(id=n, conn=client.conn, table=fast.table, row=datum, catalog_version=version)
            for n, datum in enumerate(datums)
        ]
        server.adapter.insert(rows, lambda ids, reply: answers.append((ids, reply)))

    rounds = server.coord.group_commit.rounds
    insert(fast.catalog_version, b"one", b"two")
    await server.coord.group_commit.write({})  # a later write: the ones before are answered
    assert answers == [([0, 1], p.Command(tag="INSERT 0 1"))]
    assert server.coord.group_commit.rounds - rounds <= 2
    assert client.session.last_ts == server.coord.oracle.read_ts()
    insert(fast.catalog_version - 1, b"late")
    assert answers[1] == ([0], p.Again())


async def test_a_prepared_point_read_is_handed_to_the_front(client):
    await client.run("CREATE TABLE t (a int, b text); CREATE INDEX i ON t (a)")
    prepared = await client.api.prepare(
        p.Prepare(id=900, conn=client.conn, name="s", sql="SELECT b FROM t WHERE a = $1")
    )
    fast = prepared.statement.fast
    assert fast is not None
    assert fast.key == (0,)
    assert fast.catalog_version == client.server.peeks.version
    assert fast.index in client.server.peeks.sinces
    assert [c.name for c in prepared.statement.columns] == ["b"]


async def test_set_and_reset(client):
    assert await client.tag("SET application_name = 'mine'") == "SET"
    assert client.session.variables.get("application_name") == "mine"
    assert (await client.error("SET nope = 1"))[0] == "42704"
    assert (await client.error("SET server_version = '1'"))[0] == "55P02"


@pytest.mark.parametrize("user", ["mz_system", "mz_support"])
async def test_system_users_connect_on_the_internal_address_only(server, user):
    from headwater.errors import InvalidAuthorization

    with pytest.raises(InvalidAuthorization):
        await server.connect(user)


async def test_an_index_the_front_reads_is_held_a_period_behind(server, client):
    await client.run("CREATE TABLE t (a int, b text); CREATE INDEX i ON t (a)")
    await client.api.prepare(
        p.Prepare(id=900, conn=client.conn, name="s", sql="SELECT b FROM t WHERE a = $1")
    )
    index = server.coord.snapshot.resolve_item(("i",), ("public",), "materialize")
    fast, before = server.coord.fast_indexes, server.coord.oracle.read_ts()
    fast.advance(before)
    fast.advance(before + 5_000)
    assert server.peeks.sinces[index.id] == before
    await client.tag("DROP INDEX i")
    assert server.peeks.sinces == {}


async def test_an_index_that_nothing_changes_any_more_stays_readable(server, client):
    await client.run("CREATE VIEW v AS SELECT 1 AS one; CREATE INDEX i ON v (one)")
    index = server.coord.snapshot.resolve_item(("i",), ("public",), "materialize")
    server.compute.replica_connected(index.cluster, "u1")
    done = compute.Frontiers(uppers=((index.id, None),))
    server.compute.respond("u1", msgspec.msgpack.encode(done))
    server.compute.maintain(server.coord.oracle.read_ts())
    since, upper = server.compute.frontiers(index.cluster, index.id)
    assert since is not None
    assert upper is None
    (reply,) = await client.run("SELECT * FROM v")
    assert server.times(reply.source) >= since
    assert await client.tag("DROP INDEX i") == "DROP INDEX"


async def test_a_replica_is_renamed(server, client):
    await client.run("CREATE CLUSTER c REPLICAS (a (SIZE '25cc'))")
    assert await client.tag("ALTER CLUSTER REPLICA c.a RENAME TO b") == "ALTER CLUSTER REPLICA"
    assert [r.name for r in server.coord.snapshot.cluster("c").replicas] == ["b"]


async def test_ddl_of_a_client_that_cancels_is_done_as_a_whole(server, client):
    running = asyncio.ensure_future(client.run("CREATE TABLE t (a int)"))
    commit = server.coord.durable.commit
    reached = asyncio.Event()

    async def slow(changes):
        reached.set()
        await asyncio.sleep(0)
        await commit(changes)

    server.coord.durable.commit = slow
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    server.coord.durable.commit = commit
    client.api.fail(ErrorFields("57014", "canceled"))
    assert await client.tag("CREATE TABLE u (a int)") == "CREATE TABLE"
    assert await client.tag("INSERT INTO t VALUES (1)") == "INSERT 0 1"


async def test_a_resized_cluster_keeps_its_replicas_until_new_ones_take_over(server, client):
    await client.run("CREATE CLUSTER c SIZE '25cc'; CREATE TABLE t (a int)")
    await client.tag("CREATE INDEX i IN CLUSTER c ON t (a)")
    cluster = server.coord.snapshot.cluster("c")
    (old,) = cluster.replicas
    await client.tag("ALTER CLUSTER c SET (SIZE '50cc')")
    (new,) = server.coord.snapshot.cluster("c").replicas
    assert new.id != old.id
    assert {old.id, new.id} <= server.cluster.states.keys()
    index = server.coord.snapshot.resolve_item(("i",), ("public",), "materialize")
    server.compute.replica_connected(cluster.id, new.id)
    far = compute.Frontiers(uppers=((index.id, server.coord.oracle.read_ts() + 10_000),))
    server.compute.respond(new.id, msgspec.msgpack.encode(far))
    async with asyncio.timeout(10):
        await server.cluster.gone(old.id)
    assert new.id in server.cluster.states


async def test_dropping_a_cluster_stops_its_replicas(server, client):
    await client.tag("CREATE CLUSTER c SIZE '25cc', REPLICATION FACTOR 2")
    cluster = server.coord.snapshot.cluster("c")
    assert {r.id for r in cluster.replicas} <= server.cluster.states.keys()
    await client.tag("DROP CLUSTER c")
    assert not {r.id for r in cluster.replicas} & server.cluster.states.keys()
