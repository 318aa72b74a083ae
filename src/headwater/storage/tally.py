"""Statistics of one running source: what it has received, staged and committed."""

from collections import Counter

import msgspec

from headwater.ir.ingestion import IngestionDescription
from headwater.runtime.clock import Clock
from headwater.storage.protocol import Report, SourceStatistics
from headwater.storage.sources.reader import Standing
from headwater.types.ids import GlobalId

# Statistics are sent at most this often.
PERIOD_S = 1.0


class Tally:
    """Counts for a source and each of its outputs, since it began to run here.

    What is staged counts as committed with the commit that holds it.

    Attributes:
        snapshot_done: Whether a snapshot was committed, now or by an earlier run.
    """

    def __init__(self, description: IngestionDescription, clock: Clock, report: Report) -> None:
        self._id = description.id
        self._outputs = [export.id for export in description.exports]
        self._clock = clock
        self._report = report
        self._messages = 0
        self._bytes = 0
        self._staged: Counter[GlobalId] = Counter()
        self._pending: Counter[GlobalId] = Counter()
        self._committed: Counter[GlobalId] = Counter()
        self._snapshot_messages: int | None = None
        self.snapshot_done = False
        self._told: list[SourceStatistics] = []
        self._told_at: float | None = None
        self._standing: Standing | None = None

    def received(self, messages: int, size: int) -> None:
        """Count what was received."""
        self._messages += messages
        self._bytes += size

    def updates_staged(self, output: GlobalId, count: int) -> None:
        """Count updates that are durable but not visible yet."""
        self._staged[output] += count
        self._pending[output] += count

    def forget_staged(self) -> None:
        """What was staged and not committed is void; it will be staged again."""
        self._pending.clear()

    def committed(self, *, has_data: bool) -> None:
        """Count what was staged as committed."""
        self._committed.update(self._pending)
        self._pending.clear()
        if has_data and not self.snapshot_done:
            self.snapshot_done = True
            self._snapshot_messages = self._messages

    def tell(self, standing: Standing | None) -> None:
        """Send the numbers, if it is time and they have changed. None: there is no reader."""
        now = self._clock.monotonic()
        if self._told_at is not None and now - self._told_at < PERIOD_S:
            return
        self._standing = standing or self._standing or Standing(reading=False)
        found = self._numbers(self._standing)
        if found != self._told:
            self._told = found
            self._told_at = now
            for each in found:
                self._report(each)

    def _numbers(self, standing: Standing) -> list[SourceStatistics]:
        in_snapshot = None if self.snapshot_done else self._messages
        staged = self._snapshot_messages if self.snapshot_done else in_snapshot
        known = standing.snapshot_records
        if known is None and self.snapshot_done:
            known = self._snapshot_messages
        whole = SourceStatistics(
            id=self._id,
            messages_received=self._messages,
            bytes_received=self._bytes,
            updates_staged=self._staged.total(),
            updates_committed=self._committed.total(),
            records_indexed=standing.records_indexed,
            bytes_indexed=standing.bytes_indexed,
            rehydration_latency_ms=standing.rehydration_ms,
            snapshot_records_known=known,
            snapshot_records_staged=staged,
            snapshot_committed=self.snapshot_done,
            offset_known=standing.offset_known,
            offset_committed=standing.offset_committed,
        )
        parts = [
            msgspec.structs.replace(
                whole,
                id=output,
                updates_staged=self._staged[output],
                updates_committed=self._committed[output],
            )
            for output in self._outputs
            if output != self._id
        ]
        return [whole, *parts]
