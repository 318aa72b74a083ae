"""Opening a consensus store by its URL (blobs: ``headwater.persist.blob.open_blob``)."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from headwater.errors import InvalidParameterValue
from headwater.persist.consensus import Consensus
from headwater.persist.consensus_postgres import PostgresConsensus
from headwater.persist.consensus_rpc import RpcConsensus
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.runtime.clock import Clock
from headwater.runtime.rng import Rng
from headwater.runtime.tasks import Tasks


async def open_consensus(
    url: str, clock: Clock, rng: Rng, tasks: Tasks, *, secret: bytes = b""
) -> Consensus:
    """Open the store that ``url`` names.

    Args:
        url: ``sqlite:///path``, ``postgres://…``, ``rpc+unix:///path`` or ``rpc+tcp://host:port``.
        clock: Paces reconnection.
        rng: Spreads it.
        tasks: Runs it.
        secret: What an RPC server wants to hear.

    Raises:
        InvalidParameterValue: The URL names no store.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "sqlite":
            path = Path(unquote(parts.path))
            path.parent.mkdir(parents=True, exist_ok=True)
            return await SqliteConsensus.open(path)
        case "postgres" | "postgresql":
            return await PostgresConsensus.open(url, clock, tasks)
        case "rpc+unix" | "rpc+tcp":
            address = url.removeprefix("rpc+")
            return await RpcConsensus.connect(address, clock, rng, tasks, secret)
        case _:
            raise InvalidParameterValue(
                f'"{url}" is not a consensus store',
                hint="Use sqlite:///path, postgres://…, rpc+unix:///path or rpc+tcp://host:port.",
            )
