"""What an ingestion asks of a reader."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from headwater.persist.flat import EMPTY


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
        offset_known: The sum of offsets known upstream, None if unknown.
        offset_committed: The sum of offsets that this batch reaches.
    """

    outputs: Mapping[str, OutputBatch]
    bindings: bytes
    more: bool = False
    messages: int = 0
    bytes: int = 0
    offset_known: int | None = None
    offset_committed: int | None = None


class SourceReader(Protocol):
    """Reads one external system, from the offsets it was opened with."""

    async def next(self, wait_s: float) -> SourceBatch | None:
        """Return what there is to commit, waiting for at most ``wait_s`` seconds.

        Returns:
            None if there was nothing.

        Raises:
            ExternalError: The system is out of reach; calling again tries again.
            UserError: The source can't go on (its data are gone, or not what was declared).
            StopAsyncIteration: The source has ended for good.
        """
        ...

    def committed(self, batch: SourceBatch) -> None:
        """Note that ``batch`` is durable: upstream may be told."""
        ...

    async def close(self) -> None:
        """Let go of the external system."""
        ...
