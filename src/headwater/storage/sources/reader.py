"""What an ingestion asks of a reader."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

import msgspec

from headwater.errors import ObjectNotInPrerequisiteState
from headwater.persist.flat import EMPTY


class SourceLost(ObjectNotInPrerequisiteState):
    """What a source was to read next is gone upstream: it can never go on."""

    sqlstate: ClassVar[str] = "55000"


class OutputBatch(msgspec.Struct, frozen=True):
    """Updates for one output: both halves flat, their times without meaning."""

    updates: bytes = EMPTY
    errors: bytes = EMPTY


class SourceBatch(msgspec.Struct, frozen=True):
    """What a reader has read: updates by output, and how the bindings change with them.

    Attributes:
        outputs: For each output that changes.
        bindings: Updates of the remap collection: the old offsets' rows retracted, the new ones
            added. Whoever sees these rows sees exactly the updates up to these offsets.
        more: Whether the batch goes on: it and the next are committed at one time.
        messages: Records read, for statistics.
        bytes: Their size, likewise.
    """

    outputs: Mapping[str, OutputBatch]
    bindings: bytes
    more: bool = False
    messages: int = 0
    bytes: int = 0


class Standing(msgspec.Struct, frozen=True):
    """How a reader stands, for statuses and statistics.

    Attributes:
        reading: Whether the system was reached and nothing has stood against reading since.
        offset_known: The sum of the offsets known upstream, None if unknown.
        offset_committed: The sum of the offsets that are durable here, None if there are none yet.
        snapshot_records: How many records the snapshot has, None if unknown or if there is none.
        records_indexed: Keys that the envelope remembers, and with
        bytes_indexed: how many bytes.
        rehydration_ms: How long it took to remember them at the start, None if it need not.
    """

    reading: bool = True
    offset_known: int | None = None
    offset_committed: int | None = None
    snapshot_records: int | None = None
    records_indexed: int = 0
    bytes_indexed: int = 0
    rehydration_ms: int | None = None


class SourceReader(Protocol):
    """Reads one external system, from the offsets it was opened with."""

    async def next(self, wait_s: float) -> SourceBatch | None:
        """Return what there is to commit, waiting for at most ``wait_s`` seconds.

        Returns:
            None if there was nothing.

        Raises:
            ExternalError: The system is out of reach; calling again tries again.
            SourceLost: The source can never go on.
            StopAsyncIteration: The source has ended for good.
        """
        ...

    def committed(self, batch: SourceBatch) -> None:
        """Note that ``batch`` is durable: upstream may be told."""
        ...

    def standing(self) -> Standing:
        """Return how the reader stands."""
        ...

    async def close(self) -> None:
        """Let go of the external system."""
        ...
