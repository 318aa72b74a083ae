"""``headwater serve``: one environment in the foreground."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from headwater.environment.config import (
    DEFAULT_HTTP_ADDRESS,
    DEFAULT_INTERNAL_ADDRESS,
    DEFAULT_SQL_ADDRESS,
    EnvironmentConfig,
    parse_bytes,
)
from headwater.environment.server import serve_until_stopped
from headwater.errors import HeadwaterError
from headwater.runtime.logs import log_to_stderr

# Planning holds the interpreter's lock in long stretches; a short interval keeps ticks on time.
# Source: design, section 11: a tick loop beside a busy thread is late by 5 ms at the default.
SWITCH_INTERVAL_S = 0.0005


def serve(
    data: Annotated[
        Path, typer.Option(help="Folder for everything local; made if it does not exist.")
    ],
    sql_address: Annotated[
        str, typer.Option(help="Where PostgreSQL clients connect.")
    ] = DEFAULT_SQL_ADDRESS,
    internal_sql_address: Annotated[
        str, typer.Option(help="Where mz_system and mz_support connect; empty for nowhere.")
    ] = DEFAULT_INTERNAL_ADDRESS,
    http_address: Annotated[
        str, typer.Option(help="Where HTTP clients connect; empty for nowhere.")
    ] = DEFAULT_HTTP_ADDRESS,
    blob: Annotated[
        str | None, typer.Option(help="Object store for parts, e.g. s3://bucket/prefix.")
    ] = None,
    consensus: Annotated[
        str | None, typer.Option(help="Store for shards' states, e.g. postgres://user@host/db.")
    ] = None,
    persist_address: Annotated[
        str | None,
        typer.Option(help="Where replicas on other machines reach consensus, host:port."),
    ] = None,
    memory_limit: Annotated[
        str | None, typer.Option(help="Memory for all processes together, e.g. 8GiB.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "warning",
) -> None:
    """Run headwater on a folder, in the foreground, until SIGTERM or SIGINT.

    With --data alone everything is in that folder: parts as files, states in SQLite. Replicas run
    as child processes. One line is printed when connections are taken.
    """
    log_to_stderr(log_level)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        config = EnvironmentConfig(
            data=data.resolve(),
            blob=blob,
            consensus=consensus,
            sql_address=sql_address,
            internal_sql_address=internal_sql_address or None,
            http_address=http_address or None,
            persist_address=persist_address,
            memory_limit_bytes=parse_bytes(memory_limit) if memory_limit else None,
        )
        asyncio.run(serve_until_stopped(config, _announce))
    except HeadwaterError as error:
        message = f"headwater: {error.message}"
        for more in (error.detail, error.hint):
            message += f"\n  {more}" if more else ""
        typer.echo(message, err=True)
        raise typer.Exit(1) from None


def _announce(config: EnvironmentConfig, sql_address: str) -> None:
    host, _, port = sql_address.rpartition(":")
    typer.echo(
        f"headwater listens on {sql_address} (pid {os.getpid()}, data in {config.data}); "
        f"connect with: psql -h {host} -p {port} -U materialize materialize"
    )
    sys.stdout.flush()
