"""The storage protocol: which sources and sinks a replica runs, and how they fare.

Messages travel on the link's shell channel, between the storage controller and the replica's
shell. A new connection is brought up to date by the full set: what is not in it must stop.
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from headwater.errors import ErrorFields
from headwater.ir.ingestion import IngestionDescription, SinkDescription
from headwater.types.ids import GlobalId


class RunIngestion(msgspec.Struct, frozen=True, tag_field="kind", tag="run_ingestion"):
    """Run a source, or go on with its changed description."""

    ingestion: IngestionDescription


class RunSink(msgspec.Struct, frozen=True, tag_field="kind", tag="run_sink"):
    """Run a sink, or go on with its changed description."""

    sink: SinkDescription


class Stop(msgspec.Struct, frozen=True, tag_field="kind", tag="stop"):
    """Stop a source or a sink. What it has committed stays."""

    id: GlobalId


class Nudge(msgspec.Struct, frozen=True, tag_field="kind", tag="nudge"):
    """Somebody waits for a source's uppers to pass ``time``: advance now, not at the next tick.

    To a sink it says: record your progress as soon as it is past ``time``.
    """

    id: GlobalId
    time: int


class StorageInitialized(msgspec.Struct, frozen=True, tag_field="kind", tag="storage_initialized"):
    """The full set ends here."""


StorageCommand = RunIngestion | RunSink | Stop | Nudge | StorageInitialized


class Status(StrEnum):
    """How a source or a sink fares, as users read it."""

    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STALLED = "stalled"
    CEASED = "ceased"
    DROPPED = "dropped"


class StatusUpdate(msgspec.Struct, frozen=True, tag_field="kind", tag="status_update"):
    """A change of status; ``error`` says why it is stalled or ceased. Times in ms."""

    id: GlobalId
    status: Status
    time: int
    error: ErrorFields | None = None


class SourceStatistics(msgspec.Struct, frozen=True, tag_field="kind", tag="source_statistics"):
    """Counters of one source, or one output of it, since it began to run there; and its gauges.

    ``offset_known`` and ``offset_committed`` are sums over partitions; None before they are known.
    """

    id: GlobalId
    messages_received: int = 0
    bytes_received: int = 0
    updates_staged: int = 0
    updates_committed: int = 0
    records_indexed: int = 0
    bytes_indexed: int = 0
    rehydration_latency_ms: int | None = None
    snapshot_records_known: int | None = None
    snapshot_records_staged: int | None = None
    snapshot_committed: bool = False
    offset_known: int | None = None
    offset_committed: int | None = None


class SinkStatistics(msgspec.Struct, frozen=True, tag_field="kind", tag="sink_statistics"):
    """Counters of one sink since it began to run on this replica."""

    id: GlobalId
    messages_staged: int = 0
    messages_committed: int = 0
    bytes_staged: int = 0
    bytes_committed: int = 0
    upper: int | None = None


StorageResponse = StatusUpdate | SourceStatistics | SinkStatistics
Report = Callable[[StorageResponse], None]
