"""The sample of statements: what is drawn, what is written, what is dropped, what is forgotten."""

import pytest

from adapter.fakes import Server
from headwater.adapter import statement_log, statement_retention
from headwater.adapter import statement_rows as s
from headwater.adapter.builtin_rows import read_table
from headwater.adapter.statement_retention import InUse, expired
from headwater.adapter.statement_texts import TEXT_CHARS_MAX, text_of
from headwater.catalog import rows as r
from headwater.errors import ConnectionFailure
from headwater.ir.batches import datum_text
from headwater.ir.rows import split_row
from headwater.pgwire import protocol as p
from headwater.sql.parse.parser import parse_statements

DAY_MS = 86_400_000


def relation(server, table):
    return server.coord.snapshot.resolve_item(("mz_internal", table), (), None)


async def history(server, table):
    """The rows of a table that are written, as dicts of texts."""
    item = relation(server, table)
    ts = server.coord.oracle.read_ts()
    held = await read_table(server.persist, "txns", item.shard, ts)
    assert set(held.values()) <= {1}
    return [
        {
            column.name: datum_text(column.type, datum)
            for column, datum in zip(item.desc.columns, split_row(row), strict=True)
        }
        for row in held
    ]


async def executions(server):
    """The texts of what was executed and how it ended, oldest first."""
    await server.coord.statements.flush()
    texts = {row["sql_hash"]: row["sql"] for row in await history(server, s.TEXTS)}
    prepared = {row["id"]: row for row in await history(server, s.PREPARED)}
    found = await history(server, s.EXECUTIONS)
    found.sort(key=lambda row: int(row["transaction_id"]))
    for row in found:
        row["sql"] = texts[prepared[row["prepared_statement_id"]]["sql_hash"]]
    return found


async def everything(server, client):
    """Have everything that a client executes from now on sampled."""
    await server.coord.statements.flush()
    server.coord.statements._rng = Counted()  # none below is sampled at the first rate
    await client.run("ALTER SYSTEM SET statement_logging_max_sample_rate = 1")
    await client.run("SET statement_logging_sample_rate = 1")
    server.coord.statements._rng = Counted()


class Counted:
    """Draws the numbers that it is given, then 0.5; tokens count up."""

    def __init__(self):
        self.draws, self.drawn, self.tokens = [], 0, 0

    def token(self):
        self.tokens += 1
        return self.tokens.to_bytes(16, "big")

    def uniform(self, low, high):
        self.drawn += 1
        return self.draws.pop(0) if self.draws else 0.5


async def test_the_rate_is_the_sessions_up_to_the_systems(server, client):
    log = server.coord.statements
    rate = log._rate
    assert rate(client.session) == 0.1
    await client.run("SET statement_logging_sample_rate = 1")
    assert rate(client.session) == 0.99
    await client.run("ALTER SYSTEM SET statement_logging_max_sample_rate = 0.75")
    assert rate(client.session) == 0.75
    await client.run("SET statement_logging_sample_rate = 0.5")
    assert rate(client.session) == 0.5
    await client.run("ALTER SYSTEM SET statement_logging_default_sample_rate = 0.25")
    assert rate((await server.connect()).session) == 0.25
    # Who connects can't say what the system's bound is.
    other = await server.connect(statement_logging_max_sample_rate="1")
    await other.run("SET statement_logging_sample_rate = 1")
    assert rate(other.session) == 0.75


async def test_one_draw_decides_and_none_where_nothing_is_wanted(server, client):
    await everything(server, client)
    await client.run("SET statement_logging_sample_rate = 0.3")
    rng = server.coord.statements._rng
    rng.draws, rng.drawn = [0.29, 0.3, 0.9, 0.0], 0
    for number in range(4):
        await client.run(f"SELECT {number}")
    assert rng.drawn == 4
    found = [row["sql"] for row in await executions(server)]
    assert found == ["SET statement_logging_sample_rate = 0.3", "SELECT 0", "SELECT 3"]
    await client.run("SET statement_logging_sample_rate = 0")
    rng.drawn, tokens = 0, rng.tokens
    await client.run("SELECT 5")
    assert (rng.drawn, rng.tokens) == (0, tokens)
    assert "SELECT 5" not in [row["sql"] for row in await executions(server)]


async def test_executions_tell_how_they_went(server, client):
    await everything(server, client)
    await client.run("CREATE TABLE t (a int)")
    await client.run("VALUES (1), (2), (3), (4) LIMIT 3")
    await client.run("SELECT * FROM t")
    await client.run("SELECT 1 / 0")
    found = {row["sql"]: row for row in await executions(server)}
    assert len(found) == 4
    created = found["CREATE TABLE t (a int)"]
    assert (created["finished_status"], created["rows_returned"]) == ("success", None)
    assert (created["execution_strategy"], created["cluster_name"]) == (None, None)
    limited = found["VALUES (1), (2), (3), (4) LIMIT 3"]
    assert limited["rows_returned"] == "3"
    read = found["SELECT * FROM t"]
    assert (read["execution_strategy"], read["cluster_name"]) == ("standard", "quickstart")
    assert read["execution_timestamp"] is not None
    assert read["transient_index_id"][0] == "t"
    failed = found["SELECT 1 / 0"]
    assert failed["finished_status"] == "error"
    assert failed["error_message"] == "division by zero"
    assert all(row["finished_at"] >= row["began_at"] for row in found.values())
    assert {row["sample_rate"] for row in found.values()} == {"1"}


async def test_a_prepared_statement_has_one_row_and_one_text(server, client):
    await everything(server, client)
    prepared = await client.api.prepare(
        p.Prepare(id=50, conn=client.conn, name="plus", sql="SELECT $1 + 1, $2::text")
    )
    for number, params in enumerate(((r.integer(41), None), (r.integer(1), r.text("x")))):
        handle = prepared.statement.handle
        await client.api.execute(
            p.Execute(id=51 + number, conn=client.conn, handle=handle, params=params)
        )
    found = await executions(server)
    assert sorted(row["params"] for row in found) == ["{1,x}", "{41,NULL}"]
    (row,) = await history(server, s.PREPARED)
    assert (row["name"], row["statement_type"]) == ("plus", "select")
    assert len(await history(server, s.TEXTS)) == 1
    assert len(await history(server, s.SESSIONS)) == 1


async def test_a_running_execution_is_written_and_then_replaced(server, client):
    await everything(server, client)
    await client.run("CREATE TABLE t (a int)")
    (parsed,) = (
        await client.api.parse_many(p.ParseMany(id=60, conn=client.conn, sql="TABLE t"))
    ).statements
    await client.api.execute(p.Execute(id=61, conn=client.conn, handle=parsed))
    running = (await executions(server))[-1]
    assert (running["finished_at"], running["finished_status"]) == (None, None)
    client.api.complete(p.Complete(conn=client.conn, execution=61, outcome="done", rows=7))
    ended = (await executions(server))[-1]
    assert (ended["id"], ended["rows_returned"]) == (running["id"], "7")
    assert len(await executions(server)) == 2
    events = [row["event_type"] for row in await history(server, s.LIFECYCLE)]
    assert sorted(set(events)) == ["execution-began", "execution-finished", "optimization-finished"]


async def test_what_a_dead_server_left_running_is_aborted(folder):
    server = await Server(folder).start()
    client = await server.connect()
    await everything(server, client)
    await client.run("CREATE TABLE t (a int)")
    (parsed,) = (
        await client.api.parse_many(p.ParseMany(id=60, conn=client.conn, sql="TABLE t"))
    ).statements
    await client.api.execute(p.Execute(id=61, conn=client.conn, handle=parsed))
    await executions(server)
    await server.stop()
    server = await Server(folder).start()
    created, cut = await executions(server)
    assert (created["sql"], created["finished_status"]) == ("CREATE TABLE t (a int)", "success")
    assert (cut["sql"], cut["finished_status"], cut["finished_at"]) == ("TABLE t", "aborted", None)
    await server.stop()


async def test_an_outcome_other_than_done_is_an_error_or_a_cancellation(server, client):
    await everything(server, client)
    await client.run("CREATE TABLE t (a int)")
    for id, outcome in ((71, "failed"), (72, "canceled"), (73, "abandoned")):
        parsed = await client.api.parse_many(
            p.ParseMany(id=70, conn=client.conn, sql=f"SELECT a, {id} FROM t")
        )
        await client.api.execute(p.Execute(id=id, conn=client.conn, handle=parsed.statements[0]))
        client.api.complete(
            p.Complete(conn=client.conn, execution=id, outcome=outcome, sqlstate="22012")
        )
    rows = {row["sql"][10:12]: row for row in (await executions(server))[1:]}
    status = {id: row["finished_status"] for id, row in rows.items()}
    assert status == {"71": "error", "72": "canceled", "73": "canceled"}
    assert rows["71"]["error_message"] == "SQLSTATE 22012"


async def test_beyond_its_bounds_the_log_drops_and_counts(server, client, monkeypatch):
    await everything(server, client)
    log = server.coord.statements
    await log.flush()
    monkeypatch.setattr(statement_log, "ROWS_MAX", 8)
    for number in range(10):
        await client.run(f"SELECT {number}")
    # The session, then for each its text, itself, its beginning and end and plan, and what it is.
    assert log.dropped == 8
    assert len(await executions(server)) == 2
    await client.run("SELECT 11")
    await log.flush()
    counts = {row["throttled_count"] for row in await history(server, s.PREPARED)}
    assert counts == {"0", "8"}


async def test_no_more_is_written_a_second_than_the_system_says(server, client):
    await everything(server, client)
    await client.run("ALTER SYSTEM SET statement_logging_max_data_credit = 1")
    await client.run("ALTER SYSTEM SET statement_logging_target_data_rate = 0")
    before = len(await executions(server))
    log = server.coord.statements
    dropped = log.dropped
    for number in range(5):
        await client.run(f"SELECT {number}")
    assert log.dropped - dropped == 5
    assert len(await executions(server)) == before


async def test_what_can_not_be_written_is_kept(server, client, monkeypatch):
    await everything(server, client)
    log = server.coord.statements
    write = log._write

    async def refuse(updates):
        raise ConnectionFailure("no")

    monkeypatch.setattr(log, "_write", refuse)
    await client.run("SELECT 1")
    with pytest.raises(ConnectionFailure):
        await log.flush()
    monkeypatch.setattr(log, "_write", write)
    assert [row["sql"] for row in await executions(server)] == ["SELECT 1"]


@pytest.mark.parametrize(
    ("sql", "hidden"),
    [
        ("CREATE SECRET s AS 'hunter2'", True),
        ("ALTER SECRET s AS 'hunter2'", True),
        ("CREATE ROLE r PASSWORD 'hunter2'", True),
        ("ALTER ROLE r PASSWORD 'hunter2'", True),
        ("CREATE CONNECTION c TO KAFKA (BROKER 'h', SASL PASSWORD = 'hunter2')", True),
        ("SELECT 'hunter2'", False),
        ("CREATE VIEW v AS SELECT 'hunter2'", False),
    ],
)
def test_secrets_and_passwords_are_hidden(sql, hidden):
    (parsed,) = parse_statements(sql)
    text = text_of(parsed, lambda _: None)
    assert text.hidden is hidden
    assert ("hunter2" in text.sql) is not hidden
    assert "hunter2" not in text.redacted
    assert "hunter2" not in text_of(parsed, lambda _: None, hide=True).sql


def test_execute_is_as_secret_as_what_it_executes():
    (prepared,) = parse_statements("ALTER SECRET s AS $1")
    (execute,) = parse_statements("EXECUTE p ('hunter2')")
    assert text_of(execute, {"p": prepared}.get).hidden
    assert not text_of(execute, lambda _: None).hidden


def test_long_texts_are_cut_and_not_printed():
    (parsed,) = parse_statements("SELECT '" + "x" * TEXT_CHARS_MAX + "'")
    text = text_of(parsed, lambda _: None)
    assert len(text.sql) == TEXT_CHARS_MAX
    assert text.redacted == "'<REDACTED>'"


# Retention


def execution(number, began_ms, status=s.SUCCESS):
    record = s.PreparedRecord(id_of(number), id_of(1000 + number), bytes([number]), False)
    row = s.SampledExecution(
        id=id_of(2000 + number),
        prepared=record,
        sample_rate=1.0,
        application_name="",
        database="materialize",
        search_path=("public",),
        isolation="serializable",
        transaction=1,
        params=r.text_array(()),
        version="v0",
        began_ms=began_ms,
        status=status,
    )
    return {
        s.EXECUTIONS: row.row()[1],
        s.PREPARED: s.prepared_row(record, "", "select", began_ms, 0)[1],
        s.SESSIONS: s.session_row(record.session, began_ms, "", "joe")[1],
        s.LIFECYCLE: s.event_row(row.id, s.BEGAN, began_ms)[1],
        s.TEXTS: s.text_row(s.day_of(began_ms), record.hash, "SELECT", "SELECT")[1],
    }


def id_of(number):
    return number.to_bytes(16, "big")


def left(ages_ms, now_ms, in_use=None, status=s.SUCCESS):
    """Which numbers of executions so old stay, by table."""
    made = [execution(at, now_ms - age, status) for at, age in enumerate(ages_ms)]
    held = {table: {one[table]: 1 for one in made} for table in statement_retention.TABLES}
    gone = expired(held, in_use or InUse(), now_ms)
    assert all(update.diff == -1 for update in gone)
    rows = {update.row for update in gone}
    return {
        table: [at for at, one in enumerate(made) if one[table] not in rows]
        for table in statement_retention.TABLES
    }


def test_after_thirty_days_all_of_an_execution_is_gone():
    now = 100 * DAY_MS
    kept = left([0, 30 * DAY_MS, 30 * DAY_MS + 1, 31 * DAY_MS], now)
    assert kept == {table: [0, 1] for table in statement_retention.TABLES}


def test_only_so_many_of_the_newest_stay(monkeypatch):
    monkeypatch.setattr(statement_retention, "EXECUTIONS_MAX", 2)
    kept = left([5, 1, 4, 2], 100 * DAY_MS)
    assert kept == {table: [1, 3] for table in statement_retention.TABLES}


def test_what_runs_and_what_is_in_use_stays():
    now = 100 * DAY_MS
    assert left([40 * DAY_MS], now, status=None)[s.EXECUTIONS] == [0]
    in_use = InUse(prepared=frozenset({r.uuid(id_of(0))}))
    kept = left([40 * DAY_MS, 41 * DAY_MS], now, in_use)
    assert (kept[s.EXECUTIONS], kept[s.LIFECYCLE]) == ([], [])
    assert (kept[s.PREPARED], kept[s.SESSIONS], kept[s.TEXTS]) == ([0], [0], [0])


async def test_a_sweep_leaves_what_open_sessions_refer_to(server, client, monkeypatch):
    await everything(server, client)
    prepared = await client.api.prepare(
        p.Prepare(id=50, conn=client.conn, name="one", sql="SELECT 1")
    )
    handle = prepared.statement.handle
    await client.api.execute(p.Execute(id=51, conn=client.conn, handle=handle))
    await client.run("SELECT 2")
    await client.run("SELECT 3")
    assert len(await executions(server)) == 3
    monkeypatch.setattr(statement_retention, "EXECUTIONS_MAX", 0)
    await server.coord.statements.sweep()
    assert await executions(server) == []
    # The last simple query is forgotten when the next comes.
    assert len(await history(server, s.PREPARED)) == 2
    monkeypatch.setattr(statement_retention, "EXECUTIONS_MAX", 10)
    await client.api.execute(p.Execute(id=52, conn=client.conn, handle=handle))
    await client.run("SELECT 2")
    assert [row["sql"] for row in await executions(server)] == ["SELECT 1", "SELECT 2"]
    assert len(await history(server, s.SESSIONS)) == 1


async def test_a_text_that_is_used_while_others_are_taken_out_stays(server, client, monkeypatch):
    await everything(server, client)
    await client.run("SELECT 1; SELECT 2")
    await client.run("SELECT 3")
    assert len(await executions(server)) == 3
    log = server.coord.statements

    class Meanwhile:
        async def run(self, work):
            found = work()
            await client.run("SELECT 2")
            return found

    monkeypatch.setattr(log, "_aside", Meanwhile())
    monkeypatch.setattr(statement_retention, "EXECUTIONS_MAX", 0)
    await log.sweep()
    assert [row["sql"] for row in await executions(server)] == ["SELECT 2"]
    texts = {row["sql"] for row in await history(server, s.TEXTS)}
    assert "SELECT 2" in texts
    assert "SELECT 1" not in texts
