"""What headwaterd and a replica's shell say to each other before and beside the work itself.

Travels on the link's shell channel together with the messages of ``storage.protocol``, and with
what ``compute.protocol`` has for the shell.
"""

import msgspec

from headwater.compute.protocol import RefreshSink
from headwater.errors import ErrorFields
from headwater.storage.protocol import StorageCommand

PROTOCOL_VERSION = 1


class Hello(msgspec.Struct, frozen=True, tag_field="kind", tag="hello"):
    """headwaterd introduces itself; the first word on every connection.

    Attributes:
        version: Of this protocol; a replica of another version refuses.
        epoch: Of the environment: a replica obeys the newest it has seen.
        replica: The replica's id.
        blob: Where parts are.
        consensus: Where shards' states are, as seen from the replica.
        txns: The transaction shard.
        secret: What the server of consensus wants to hear.
    """

    version: int
    epoch: int
    replica: str
    blob: str
    consensus: str
    txns: str
    secret: bytes = b""


ShellCommand = StorageCommand | RefreshSink


class Ready(msgspec.Struct, frozen=True, tag_field="kind", tag="ready"):
    """The replica has opened persist and started its workers; commands may follow."""

    version: int
    pid: int
    workers: int


class PartsRead(msgspec.Struct, frozen=True, tag_field="kind", tag="parts_read"):
    """Parts of sources that dataflows have fetched, and that they passed over, since last said."""

    fetched: int
    skipped: int


class ShardFailed(msgspec.Struct, frozen=True, tag_field="kind", tag="shard_failed"):
    """A shard can't be read or written on this replica; what depends on it stands still.

    Said again after every further try. Without an error: it can again.
    """

    shard: str
    error: ErrorFields | None = None
