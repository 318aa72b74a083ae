"""A running source: read, give a time, commit.

What a reader yields becomes visible at one time in every output, together with the bindings that
say up to which offsets: the outputs and the remap collection are appended to in *one* atomic commit
over their shards. So the durable state is always "exactly the records before these offsets", and a
restart goes on from the bindings with nothing lost or repeated. (Minting bindings first and data
later, as with a consensus that can't commit several shards at once, would need a replay of the
half-done interval; here there is none.)

Two replicas that run the same source for a moment exclude each other: each append names the uppers
it expects, and the loser stops.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from headwater.errors import ExternalError, Fenced, HeadwaterError, TransientError, UserError
from headwater.ir.ingestion import IngestionDescription, IngestionExport
from headwater.persist import flat
from headwater.persist.client import PersistClient
from headwater.persist.errors import UpperMismatch
from headwater.persist.parts import InlinePart, Part
from headwater.persist.write import ShardAppend, WriteHandle
from headwater.runtime.clock import Clock
from headwater.storage.protocol import SourceStatistics, Status, StatusUpdate
from headwater.storage.sources.reader import SourceBatch, SourceReader
from headwater.types.frontier import less_equal
from headwater.types.time import Timestamp

logger = logging.getLogger(__name__)

# A source appends as soon as it has something, but not more often than this.
COMMIT_PAUSE_S = 0.010
# After an error of the external system: the pause before the next try, doubling up to the maximum.
RETRY_PAUSE_MIN_S = 0.1
RETRY_PAUSE_MAX_S = 10.0
# Statistics are sent at most this often.
STATISTICS_PERIOD_S = 1.0

# Opens a reader at the offsets that the remap collection's rows (flat) say; empty: at the start.
OpenReader = Callable[[IngestionDescription, bytes, PersistClient], Awaitable[SourceReader]]


class Ingestion:
    """One source on one replica.

    Args:
        report: Is told of every change of status and, now and then, of statistics.
    """

    def __init__(
        self,
        description: IngestionDescription,
        persist: PersistClient,
        clock: Clock,
        open_reader: OpenReader,
        report: Callable[[StatusUpdate | SourceStatistics], None],
    ) -> None:
        self.description = description
        self._persist = persist
        self._clock = clock
        self._open_reader = open_reader
        self._report = report
        self._status: Status | None = None
        self._writers: list[WriteHandle] = []
        self._by_output: dict[str, list[int]] = {}
        self._staged: list[list[Part]] = []
        self._staged_errors: list[list[Part]] = []
        self._nudged: int = 0
        self._nudge = asyncio.Event()
        self._messages = 0
        self._bytes = 0
        self._updates = 0
        self._snapshot_done = False
        self._reported_at = 0.0

    def nudge(self, time: int) -> None:
        """Let the uppers pass ``time`` now, not at the next tick."""
        self._nudged = max(self._nudged, time)
        self._nudge.set()

    async def run(self) -> None:
        """Ingest until cancelled, ended, or superseded by another replica.

        Cancellation: what was committed stays; the rest is read again by whoever comes next.
        """
        pause = RETRY_PAUSE_MIN_S
        self._set_status(Status.STARTING)
        while True:
            try:
                await self._attempt()
                self._set_status(Status.CEASED)
                return
            except UpperMismatch:
                logger.info("source is run elsewhere", extra={"source": self.description.id})
                await self._clock.sleep(RETRY_PAUSE_MAX_S)
            except UserError as error:
                self._set_status(Status.STALLED, error)
                await self._clock.sleep(RETRY_PAUSE_MAX_S)
            except Fenced:
                raise
            except (ExternalError, TransientError) as error:
                self._set_status(Status.STALLED, error)
                await self._clock.sleep(pause)
                pause = min(pause * 2, RETRY_PAUSE_MAX_S)

    async def _attempt(self) -> None:
        await self._open_writers()
        bindings = await self._read_bindings()
        reader = await self._open_reader(self.description, bindings, self._persist)
        try:
            self._set_status(Status.RUNNING)
            await self._pump(reader)
        finally:
            await reader.close()

    async def _open_writers(self) -> None:
        exports: Sequence[IngestionExport] = (self.description.remap, *self.description.exports)
        self._writers = [await self._persist.open_writer(x.shard, x.desc) for x in exports]
        for writer in self._writers:
            await writer.refresh()
        self._by_output = {}
        for at, export in enumerate(self.description.exports, start=1):
            self._by_output.setdefault(export.output, []).append(at)
        self._clear_staged()
        # An output that was added later begins empty where the others are.
        behind = [w for w in self._writers if w.upper != self._writers[0].upper]
        upper = self._writers[0].upper
        if behind and upper is not None:
            await self._persist.append_many(
                [ShardAppend(w, b"", w.upper or Timestamp(0), upper) for w in behind]
            )

    async def _read_bindings(self) -> bytes:
        remap = self._writers[0]
        if not remap.upper:
            return flat.EMPTY
        reader = await self._persist.open_reader(remap.shard)
        snapshot = await reader.snapshot(Timestamp(remap.upper - 1))
        parts = [await reader.fetch_flat(part) for part in snapshot.parts]
        self._snapshot_done = True
        return flat.concat(parts)

    async def _pump(self, reader: SourceReader) -> None:
        tick_s = self.description.timestamp_interval_ms / 1_000
        last_commit = self._clock.monotonic() - tick_s
        while True:
            wait = max(last_commit + tick_s - self._clock.monotonic(), 0.0)
            try:
                batch = await self._next(reader, wait)
            except StopAsyncIteration:
                await self._close()
                return
            if batch is not None:
                await self._stage(batch)
                if batch.more:
                    continue
            elif self._clock.monotonic() < last_commit + tick_s and not self._is_nudged():
                continue
            await self._commit(batch)
            if batch is not None:
                reader.committed(batch)
            self._report_statistics(batch)
            since_last = self._clock.monotonic() - last_commit
            last_commit = self._clock.monotonic()
            if since_last < COMMIT_PAUSE_S:
                await self._clock.sleep(COMMIT_PAUSE_S - since_last)

    async def _next(self, reader: SourceReader, wait_s: float) -> SourceBatch | None:
        """Wait for the reader, the tick or a nudge, whichever is first."""
        if self._is_nudged():
            return await reader.next(0.0)
        self._nudge.clear()
        reading = asyncio.ensure_future(reader.next(wait_s))
        nudged = asyncio.ensure_future(self._nudge.wait())
        try:
            await asyncio.wait((reading, nudged), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return await reading
            return None
        finally:
            for future in (reading, nudged):
                future.cancel()

    def _is_nudged(self) -> bool:
        return less_equal(self._writers[0].upper, Timestamp(self._nudged)) and self._nudged > 0

    async def _stage(self, batch: SourceBatch) -> None:
        """Make a batch's updates durable as parts, not visible yet."""
        for output, made in batch.outputs.items():
            for at in self._by_output.get(output, ()):
                writer = self._writers[at]
                self._staged[at] += await writer.upload(made.updates)
                self._staged_errors[at] += await writer.upload(made.errors, errors=True)
                self._updates += flat.count(made.updates)
        self._staged[0] += await self._writers[0].upload(batch.bindings)
        self._messages += batch.messages
        self._bytes += batch.bytes

    async def _commit(self, batch: SourceBatch | None) -> None:
        """Append what is staged at a new time to all outputs at once; advance all uppers."""
        lower = self._writers[0].upper
        if lower is None:
            raise UpperMismatch(self._writers[0].shard, None, None)
        time = max(self._clock.now_ms(), lower, self._nudged)
        appends = [
            ShardAppend(
                writer,
                [_stamped(part, time) for part in self._staged[at]],
                lower,
                Timestamp(time + 1),
                [_stamped(part, time) for part in self._staged_errors[at]],
            )
            for at, writer in enumerate(self._writers)
        ]
        await self._persist.append_many(appends)
        self._clear_staged()
        if batch is not None:
            self._snapshot_done = True

    async def _close(self) -> None:
        """The source has ended: its outputs are complete for ever."""
        lower = self._writers[0].upper
        if lower is not None:
            await self._persist.append_many(
                [ShardAppend(writer, b"", lower, None) for writer in self._writers]
            )

    def _clear_staged(self) -> None:
        self._staged = [[] for _ in self._writers]
        self._staged_errors = [[] for _ in self._writers]

    def _set_status(self, status: Status, error: HeadwaterError | None = None) -> None:
        if status is self._status and error is None:
            return
        self._status = status
        fields = error.fields() if error is not None else None
        self._report(StatusUpdate(self.description.id, status, self._clock.now_ms(), fields))

    def _report_statistics(self, batch: SourceBatch | None) -> None:
        now = self._clock.monotonic()
        if now - self._reported_at < STATISTICS_PERIOD_S:
            return
        self._reported_at = now
        self._report(
            SourceStatistics(
                id=self.description.id,
                messages_received=self._messages,
                bytes_received=self._bytes,
                updates_staged=self._updates,
                updates_committed=self._updates,
                records_indexed=0,
                bytes_indexed=0,
                rehydration_latency_ms=None,
                snapshot_records_known=None,
                snapshot_records_staged=None,
                snapshot_committed=self._snapshot_done,
                offset_known=batch.offset_known if batch is not None else None,
                offset_committed=batch.offset_committed if batch is not None else None,
            )
        )


def _stamped(part: Part, time: int) -> Part:
    """Return the part with all its updates at ``time``; blobs are not touched."""
    if isinstance(part, InlinePart):
        return msgspec.structs.replace(part, data=flat.stamp(part.data, time))
    return msgspec.structs.replace(part, stamp=Timestamp(time))
