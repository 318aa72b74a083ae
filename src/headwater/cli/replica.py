"""``headwater replica``: one replica process."""

import asyncio
from typing import Annotated

import typer

from headwater.cluster.replica import Replica, die_with_parent
from headwater.runtime.logs import log_to_stderr


def replica(
    listen: Annotated[
        str, typer.Option(help="Address for headwaterd to connect to: host:port or unix:/path.")
    ],
    workers: Annotated[int, typer.Option(min=1, max=64, help="Timely worker threads.")] = 1,
    parent: Annotated[
        int | None, typer.Option(hidden=True, help="Process id of the headwaterd that owns it.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "warning",
) -> None:
    """Run one replica process, until SIGTERM or SIGINT.

    headwaterd starts the replicas of managed clusters by itself. Start one by hand to run it on
    another machine, and name its address:
    CREATE CLUSTER c REPLICAS (r1 (STORAGECTL ADDRESSES ['host:port'], ...)), or
    CREATE CLUSTER REPLICA c.r1 (COMPUTECTL ADDRESSES ['host:port']).
    """
    log_to_stderr(log_level)
    if parent is not None:
        die_with_parent(parent)
    arguments = [f"--listen={listen}", f"--workers={workers}", f"--log-level={log_level}"]
    if parent is not None:
        arguments.append(f"--parent={parent}")
    asyncio.run(Replica(listen, workers, arguments).run())


if __name__ == "__main__":  # what headwaterd starts: nothing else of the package is imported
    typer.run(replica)
