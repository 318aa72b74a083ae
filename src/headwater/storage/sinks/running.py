"""A running sink: follow a collection, write whole timestamps, remember how far.

The writer records its progress in the same transaction as the data, so whatever is running when a
process dies, the next one goes on exactly where the last commit ended.
"""

import logging

from headwater.errors import (
    AsOfBeforeSince,
    DataException,
    ExternalError,
    Fenced,
    HeadwaterError,
    TransientError,
    UserError,
)
from headwater.ir.ingestion import SinkDescription
from headwater.persist.client import PersistClient
from headwater.persist.parts import PartRef
from headwater.persist.read import Reader
from headwater.runtime.clock import Clock
from headwater.storage.protocol import Report, SinkStatistics, Status, StatusUpdate
from headwater.storage.sinks.kafka import KafkaWriter, open_writer
from headwater.types.ids import ShardId
from headwater.types.time import Timestamp

logger = logging.getLogger(__name__)

RETRY_PAUSE_MIN_S = 0.1
RETRY_PAUSE_MAX_S = 10.0
# While nothing changes, progress is recorded this often: a restart re-reads at most so much.
IDLE_PROGRESS_S = 10.0
STATISTICS_PERIOD_S = 1.0


class RunningSink:
    """One sink on one replica."""

    def __init__(
        self,
        description: SinkDescription,
        persist: PersistClient,
        txns: ShardId,
        clock: Clock,
        report: Report,
    ) -> None:
        self.description = description
        self._persist = persist
        self._txns = txns
        self._clock = clock
        self._report = report
        self._said: tuple[Status, str | None] | None = None
        self._records = 0
        self._bytes = 0
        self._written: int | None = None
        self._told_at: float | None = None
        self._wanted = 0  # the time that somebody waits for

    def nudge(self, time: int) -> None:
        """Record the progress as soon as it is past ``time``, not only when it is idle."""
        self._wanted = max(self._wanted, time)
        self._told_at = None
        self._tell()

    async def run(self) -> None:
        """Write until cancelled, or until the collection is closed.

        Cancellation: a transaction under way is either committed or void.
        """
        pause = RETRY_PAUSE_MIN_S
        self._set_status(Status.STARTING)
        while True:
            started = self._clock.monotonic()
            try:
                await self._attempt()
                self._set_status(Status.CEASED)
                return
            except AsOfBeforeSince as error:
                self._set_status(Status.CEASED, error)
                return
            except Fenced:
                raise
            except (ExternalError, TransientError, UserError) as error:
                self._set_status(Status.STALLED, error)
            if self._clock.monotonic() - started > RETRY_PAUSE_MAX_S:
                pause = RETRY_PAUSE_MIN_S
            await self._clock.sleep(pause)
            pause = min(pause * 2, RETRY_PAUSE_MAX_S)

    async def _attempt(self) -> None:
        description = self.description
        writer = await open_writer(description)
        reader = await self._persist.open_reader(
            description.shard, txns=self._txns if description.table else None
        )
        progress = writer.progress()
        self._written = progress
        self._set_status(Status.RUNNING)
        if progress is None:
            as_of = Timestamp(description.as_of)
            batches = []
            if description.with_snapshot:
                snapshot = await reader.snapshot(as_of)
                batches = await self._fetch(reader, snapshot.parts, snapshot.errors)
            await self._write(writer, batches, as_of + 1)
        else:
            as_of = Timestamp(progress - 1)
        await self._follow(writer, reader, as_of)

    async def _follow(self, writer: KafkaWriter, reader: Reader, as_of: Timestamp) -> None:
        last_write = self._clock.monotonic()
        async for delta in reader.listen(as_of):
            batches = await self._fetch(reader, delta.parts, delta.errors)
            if delta.upper is None:
                if batches:
                    await self._write(writer, batches, delta.lower + 1)
                return
            idle = self._clock.monotonic() - last_write
            self._tell()
            is_wanted = (self._written or 0) <= self._wanted < delta.upper
            if is_wanted:
                self._told_at = None  # it is said at once
            if batches or is_wanted or idle >= IDLE_PROGRESS_S:
                await self._write(writer, batches, delta.upper)
                last_write = self._clock.monotonic()

    async def _fetch(
        self, reader: Reader, parts: tuple[PartRef, ...], errors: tuple[PartRef, ...]
    ) -> list[bytes]:
        if errors:
            raise DataException(
                f"the input of sink {self.description.id} has errors",
                hint="Query it to see them; the sink goes on when they are gone.",
            )
        return [await reader.fetch_flat(part) for part in parts]

    async def _write(self, writer: KafkaWriter, batches: list[bytes], frontier: int) -> None:
        records, size = await writer.write(batches, frontier)
        self._records += records
        self._bytes += size
        self._written = frontier
        self._set_status(Status.RUNNING)
        self._tell()

    def _tell(self) -> None:
        """Send the numbers, if it is time."""
        now = self._clock.monotonic()
        if self._told_at is not None and now - self._told_at < STATISTICS_PERIOD_S:
            return
        self._told_at = now
        self._report(
            SinkStatistics(
                id=self.description.id,
                messages_staged=self._records,
                messages_committed=self._records,
                bytes_staged=self._bytes,
                bytes_committed=self._bytes,
                upper=self._written,
            )
        )

    def _set_status(self, status: Status, error: HeadwaterError | None = None) -> None:
        said = (status, error.message if error is not None else None)
        if said == self._said:
            return
        self._said = said
        fields = error.fields() if error is not None else None
        self._report(StatusUpdate(self.description.id, status, self._clock.now_ms(), fields))
