"""``headwater demo``: a server with something live in it, and a table that keeps changing."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from headwater.environment.config import DEFAULT_SQL_ADDRESS

START_SECONDS_MAX = 60.0
REFRESH_PER_SECOND = 4
# Lines of a frame that are not rows: two tables' titles, heads and borders, a line, a panel of two.
FRAME_LINES = 5 + 5 + 1 + 4
ORGANIZATIONS_MAX = 8
AUCTIONS_MAX = 6

SETUP = (
    "CREATE SOURCE IF NOT EXISTS auction_house FROM LOAD GENERATOR AUCTION "
    "(TICK INTERVAL '500ms') FOR ALL TABLES",
    "CREATE VIEW IF NOT EXISTS highest_bids AS "
    "SELECT DISTINCT ON (a.id) a.id AS auction, a.item, b.amount, u.name AS bidder, a.end_time "
    "FROM auctions a JOIN bids b ON b.auction_id = a.id JOIN users u ON u.id = b.buyer "
    "ORDER BY a.id, b.amount DESC, b.id",
    "CREATE INDEX IF NOT EXISTS highest_bids_idx ON highest_bids (auction)",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS trade_by_organization AS "
    "SELECT o.name AS organization, count(*) AS bids, sum(b.amount) AS volume, "
    "max(b.amount) AS highest FROM organizations o JOIN users u ON u.org_id = o.id "
    "JOIN bids b ON b.buyer = u.id GROUP BY o.name",
    "CREATE VIEW IF NOT EXISTS open_auctions AS "
    "SELECT count(*) AS open FROM auctions WHERE mz_now() < end_time",
    "CREATE INDEX IF NOT EXISTS open_auctions_idx ON open_auctions (open)",
)


def demo(
    data: Annotated[Path, typer.Option(help="Folder of the demo; made if it does not exist.")],
    sql_address: Annotated[
        str, typer.Option(help="Where PostgreSQL clients connect.")
    ] = DEFAULT_SQL_ADDRESS,
    seconds: Annotated[
        float | None, typer.Option(help="Stop after so long; by default on Ctrl-C.")
    ] = None,
) -> None:
    """Start a server with an auction house in it and watch its views change.

    The server, its source and its views are ordinary ones: connect with psql while it runs.
    """
    console = Console()
    data.mkdir(parents=True, exist_ok=True)
    with (data / "server.log").open("ab") as log:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "headwater.cli.main",
                "serve",
                f"--data={data}",
                f"--sql-address={sql_address}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        asyncio.run(_show(console, server, sql_address, seconds))
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait()
        console.print(f"stopped; the data stay in {data}")


async def _show(
    console: Console, server: "subprocess.Popen[bytes]", address: str, seconds: float | None
) -> None:
    host, _, port = address.rpartition(":")
    dsn = f"host={host} port={port} user=materialize dbname=materialize"
    with console.status("starting the server …"):
        connection = await _connect(dsn, server)
    async with connection:
        for statement in SETUP:
            with console.status(f"{statement.split(' AS ')[0][:90]} …"):
                await connection.execute(statement.encode())
        deadline = None if seconds is None else time.monotonic() + seconds
        with Live(console=console, refresh_per_second=REFRESH_PER_SECOND) as live:
            while deadline is None or time.monotonic() < deadline:
                live.update(await _frame(connection, host, port, console.height))
                await asyncio.sleep(1 / REFRESH_PER_SECOND)


async def _connect(
    dsn: str, server: "subprocess.Popen[bytes]"
) -> psycopg.AsyncConnection[tuple[object, ...]]:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            return await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise typer.BadParameter(
                    "the server did not start; see server.log in the data folder"
                ) from None
            await asyncio.sleep(0.1)


def rows_that_fit(height: int) -> tuple[int, int]:
    """Return how many organizations and auctions to show on a terminal of ``height`` lines.

    At least one of each; the line that the cursor stands on is left free.
    """
    free = height - 1 - FRAME_LINES
    organizations = max(1, min(ORGANIZATIONS_MAX, (free + 1) // 2))
    return organizations, max(1, min(AUCTIONS_MAX, free - organizations))


async def _frame(
    connection: psycopg.AsyncConnection[tuple[object, ...]], host: str, port: str, height: int
) -> Group:
    organizations, auctions = rows_that_fit(height)
    trade = Table("organization", "bids", "volume", "highest", title="trade_by_organization")
    cursor = await connection.execute(
        "SELECT organization, bids, volume, highest FROM trade_by_organization "
        "ORDER BY volume DESC LIMIT %s",
        [organizations],
    )
    for row in await cursor.fetchall():
        trade.add_row(*(str(value) for value in row))
    bids = Table("auction", "item", "highest bid", "bidder", title="highest_bids, the newest")
    cursor = await connection.execute(
        "SELECT auction, item, amount, bidder FROM highest_bids ORDER BY auction DESC LIMIT %s",
        [auctions],
    )
    for row in await cursor.fetchall():
        bids.add_row(*(str(value) for value in row))
    cursor = await connection.execute("SELECT open FROM open_auctions")
    count = await cursor.fetchone()
    hint = Text(f"psql -h {host} -p {port} -U materialize materialize", style="bold")
    more = Text("then: COPY (SUBSCRIBE trade_by_organization) TO STDOUT; or your own view")
    return Group(
        trade,
        bids,
        Text(f"auctions open right now: {count[0] if count else 0}"),
        Panel(Group(hint, more), title="connect while this runs; Ctrl-C stops it"),
    )
