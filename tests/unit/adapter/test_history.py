"""Tables of what was measured: what goes with age, and what with numbers."""

from headwater.adapter import history, wallclock
from headwater.adapter.builtin_rows import read_table
from headwater.adapter.history import RETENTION_MS, History
from headwater.catalog import rows as r
from headwater.catalog.transact import TableUpdate
from headwater.ir.rows import split_row
from headwater.types.frontier import Frontier
from headwater.types.time import Timestamp
from tests.unit.adapter.fakes import TXNS, Client, Server

TABLE = wallclock.HISTORY
HOUR_MS = 3_600_000
NOW_MS = 2_000_000 * HOUR_MS


def lag_of(rows: list[tuple[str, bytes]]) -> list[bytes]:
    return [split_row(row)[2] for _, row in rows]


async def write(server: Server, *times_ms: int) -> None:
    """Record a lag of an object ``x`` at each of some times."""
    rows = [r.text("x") + r.NULL + r.interval_ms(5) + r.integer(at * 1_000) for at in times_ms]
    await server.coord.write_tables([TableUpdate(TABLE, row, 1) for row in rows])


async def held(server: Server) -> list[int]:
    """Return the times of the table's rows, in milliseconds."""
    coord = server.coord
    item = coord.snapshot.resolve_item(tuple(TABLE.split(".")), (), None)
    rows = await read_table(coord.persist, TXNS, item.shard, coord.oracle.read_ts())
    times = [int.from_bytes(split_row(row)[3][1:], "big") // 1_000 for row in rows]
    return sorted(times)


async def test_what_is_old_goes_and_the_rest_stays(server: Server) -> None:
    old, young = NOW_MS - RETENTION_MS - 1, NOW_MS - RETENTION_MS
    await write(server, old, old - 1, young, NOW_MS)
    found = History(server.coord, TABLE, "occurred_at")
    assert await found.prune(NOW_MS) == 2
    assert await held(server) == [young, NOW_MS]
    assert await found.prune(NOW_MS) == 0


async def test_beyond_a_number_of_rows_the_oldest_hours_go(server: Server, monkeypatch) -> None:
    monkeypatch.setattr(history, "ROWS_MAX", 4)
    monkeypatch.setattr(history, "WRITE_ROWS_MAX", 2)
    hours = [NOW_MS - 3 * HOUR_MS, NOW_MS - 2 * HOUR_MS, NOW_MS - HOUR_MS]
    await write(server, *(hour + minute for hour in hours for minute in (0, 1)))
    assert await History(server.coord, TABLE, "occurred_at").prune(NOW_MS) == 2
    assert await held(server) == [hours[1], hours[1] + 1, hours[2], hours[2] + 1]


async def test_lag_is_from_the_upper_to_the_clock(
    server: Server, client: Client, monkeypatch
) -> None:
    await client.run("CREATE TABLE t (a int)")
    uppers: list[Frontier] = [Timestamp(7_000), Timestamp(9_000), Timestamp(0), None]
    monkeypatch.setattr(server.coord.storage, "frontiers", lambda _: (Timestamp(0), uppers.pop(0)))
    expected = [1_500, 0, None, 0]  # behind, ahead, not readable yet, complete for ever
    for lag_ms in expected:
        assert lag_of(list(wallclock.lag_rows(server.coord, 8_500))) == [r.interval_ms(lag_ms)]
