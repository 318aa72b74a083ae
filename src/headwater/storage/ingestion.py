"""A running source: read, give a time, commit.

What a reader yields becomes visible at one time in every output, together with the bindings that
say up to which offsets: the outputs and the remap collection are appended to in *one* atomic commit
over their shards. So the durable state is always "exactly the records before these offsets", and a
restart goes on from the bindings with nothing lost or repeated. (Minting bindings first and data
later, as with a consensus that can't commit several shards at once, would need a replay of the
half-done interval; here there is none.)

What a source holds at first, its snapshot, is what it holds from the beginning of its collections'
time: nobody sees it empty before, and whoever asks waits. An output that is added to a source later
is filled likewise with what the others have had, and joins them in one commit.

A source whose records are gone upstream says so in the error half of its outputs, for good: reads
get that error instead of an answer that is not the topic's.

While the external system is out of reach the outputs go on being readable as they are: their
uppers advance, and the status says that they stand still.

Two replicas that run the same source for a moment exclude each other: each append names the uppers
it expects, and the loser stops.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from headwater.errors import ExternalError, Fenced, HeadwaterError, TransientError, UserError
from headwater.ir.ingestion import IngestionDescription, IngestionExport
from headwater.ir.literals import literal_text, text_datum
from headwater.ir.scalar import Literal
from headwater.persist import flat
from headwater.persist.client import PersistClient
from headwater.persist.errors import UpperMismatch
from headwater.persist.parts import InlinePart, Part
from headwater.persist.write import ShardAppend, WriteHandle
from headwater.runtime.clock import Clock
from headwater.storage.protocol import Report, Status, StatusUpdate
from headwater.storage.sources.reader import SourceBatch, SourceLost, SourceReader
from headwater.storage.staging import Staged
from headwater.storage.tally import Tally
from headwater.types.frontier import Frontier, less_equal
from headwater.types.scalar import TEXT, ColumnType
from headwater.types.time import TIMESTAMP_MIN, Timestamp

logger = logging.getLogger(__name__)

# A source appends as soon as it has something, but not more often than this.
COMMIT_PAUSE_S = 0.010
# After an error of the external system: the pause before the next try, doubling up to the maximum.
RETRY_PAUSE_MIN_S = 0.1
RETRY_PAUSE_MAX_S = 10.0
_ERROR_ROW = ColumnType(TEXT, nullable=False)


class OpenReader(Protocol):
    """Opens readers of external systems."""

    async def __call__(
        self,
        description: IngestionDescription,
        bindings: bytes,
        persist: PersistClient,
        *,
        backfill: bool = False,
    ) -> SourceReader:
        """Open a reader at the offsets that ``bindings`` say: the remap collection's rows, flat.

        Empty means at the start. With ``backfill`` it yields what lies before them instead, and
        ends there.
        """
        ...


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
        report: Report,
    ) -> None:
        self.description = description
        self._persist = persist
        self._clock = clock
        self._open_reader = open_reader
        self._report = report
        self._said: tuple[Status, str | None] | None = None
        self._writers: list[WriteHandle] = []
        self._staged: list[Staged] = []
        self._backfilled: list[Staged] = []
        self._nudged: int = 0
        self._nudge = asyncio.Event()
        self._tally = Tally(description, clock, report)

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
            except Fenced:
                raise
            except UserError as error:
                self._set_status(Status.STALLED, error)
                await self._clock.sleep(RETRY_PAUSE_MAX_S)
            except (ExternalError, TransientError) as error:
                self._set_status(Status.STALLED, error)
                await self._clock.sleep(pause)
                pause = min(pause * 2, RETRY_PAUSE_MAX_S)

    async def _attempt(self) -> None:
        await self._open_writers()
        if self._writers[0].upper is None:
            await self._backfill(b"")
            await self._close()
            return
        bindings = await self._read_bindings()
        lost = await self._read_loss()
        if lost is None:
            try:
                await self._ingest(bindings)
                return
            except SourceLost as error:
                lost = error
        await self._stand_still(lost)

    async def _ingest(self, bindings: bytes) -> None:
        """Read to the end, if there is one. Raises: SourceLost, and what stands in the way."""
        if not self.description.exports:
            await self._advance_forever()
        if bindings:
            await self._backfill(bindings)
        reader = await self._open_reader(self.description, bindings, self._persist)
        try:
            await self._pump(reader)
        finally:
            await reader.close()

    async def _open_writers(self) -> None:
        exports: Sequence[IngestionExport] = (self.description.remap, *self.description.exports)
        self._writers = [await self._persist.open_writer(x.shard, x.desc) for x in exports]
        for writer in self._writers:
            await writer.refresh()
        self._clear_staged()

    async def _read_bindings(self) -> bytes:
        remap = self._writers[0]
        if not remap.upper:
            return b""
        reader = await self._persist.open_reader(remap.shard)
        snapshot = await reader.snapshot(Timestamp(remap.upper - 1))
        parts = [await reader.fetch_flat(part) for part in snapshot.parts]
        self._tally.snapshot_done = bool(parts)
        return flat.concat(parts) if parts else b""

    async def _read_loss(self) -> SourceLost | None:
        """Return why the source can't go on, where an earlier run has found out."""
        for writer in self._writers[1:]:
            if not writer.upper:
                continue
            reader = await self._persist.open_reader(writer.shard)
            snapshot = await reader.snapshot(Timestamp(writer.upper - 1))
            for part in snapshot.errors:
                for row, _, _ in flat.updates(await reader.fetch_flat(part)):
                    code, _, message = (literal_text(Literal(row, _ERROR_ROW)) or "").partition(":")
                    if code == SourceLost.sqlstate:
                        return SourceLost(message)
        return None

    async def _backfill(self, bindings: bytes) -> None:
        """Stage for outputs that were never written what the others have had.

        Without bindings that is everything: the source has ended.
        """
        ats = [at for at, writer in enumerate(self._writers) if at and writer.upper == 0]
        if not ats:
            return
        exports = tuple(self.description.exports[at - 1] for at in ats)
        description = msgspec.structs.replace(self.description, exports=exports)
        reader = await self._open_reader(
            description, bindings, self._persist, backfill=bool(bindings)
        )
        try:
            while True:
                try:
                    batch = await reader.next(RETRY_PAUSE_MAX_S)
                except StopAsyncIteration:
                    return
                if batch is not None:
                    await self._stage(msgspec.structs.replace(batch, bindings=flat.EMPTY), ats)
        finally:
            await reader.close()
            self._backfilled = self._staged
            self._staged = [Staged(writer) for writer in self._writers]

    async def _pump(self, reader: SourceReader) -> None:
        tick_s = self.description.timestamp_interval_ms / 1_000
        last_commit = self._clock.monotonic() - tick_s
        # In the middle of a batch, as a snapshot is, nothing is committed, whoever waits.
        # Whether there is one at first only the reader knows.
        unfinished = True
        wait = 0.0
        while True:
            try:
                batch = await (reader.next(wait) if unfinished else self._next(reader, wait))
                unfinished = batch is not None and batch.more
            except StopAsyncIteration:
                await self._close()
                return
            except ExternalError as error:
                self._set_status(Status.STALLED, error)
                await self._clock.sleep(RETRY_PAUSE_MIN_S)
                batch = None
            if reader.standing().reading:
                self._set_status(Status.RUNNING)
            if batch is not None:
                await self._stage(batch)
            is_due = self._clock.monotonic() >= last_commit + tick_s or self._is_nudged()
            if not unfinished and (batch is not None or is_due):
                await self._commit(batch)
                if batch is not None:
                    reader.committed(batch)
                since_last = self._clock.monotonic() - last_commit
                last_commit = self._clock.monotonic()
                if since_last < COMMIT_PAUSE_S:
                    await self._clock.sleep(COMMIT_PAUSE_S - since_last)
            self._tally.tell(reader.standing())
            wait = max(last_commit + tick_s - self._clock.monotonic(), 0.0)
            if unfinished:
                wait = tick_s

    async def _stand_still(self, error: SourceLost) -> None:
        """Say in every output that the source can't go on, then advance them as they are."""
        self._clear_staged()
        row = flat.build([(text_datum(f"{error.sqlstate}:{error.message}"), TIMESTAMP_MIN, 1)])
        told = await self._read_loss() is not None
        for at, writer in enumerate(self._writers):
            if at and (not told or not writer.upper):
                await self._staged[at].add(flat.EMPTY, row)
        await self._commit(None)
        self._set_status(Status.STALLED, error)
        await self._advance_forever()

    async def _advance_forever(self) -> None:
        """Advance the uppers tick by tick, sooner where somebody waits."""
        tick_s = self.description.timestamp_interval_ms / 1_000
        if not self.description.exports:
            self._set_status(Status.RUNNING)
        while True:
            if not self._is_nudged():
                self._nudge.clear()
                try:
                    async with asyncio.timeout(tick_s):
                        await self._nudge.wait()
                except TimeoutError:
                    pass
            await self._commit(None)
            self._tally.tell(None)

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

    async def _stage(self, batch: SourceBatch, only: Sequence[int] | None = None) -> None:
        """Stage a batch's updates; ``only`` for some writers."""
        for at, export in enumerate(self.description.exports, start=1):
            made = batch.outputs.get(export.output)
            if made is None or (only is not None and at not in only):
                continue
            await self._staged[at].add(made.updates, made.errors)
            self._tally.updates_staged(export.id, flat.count(made.updates))
        await self._staged[0].add(batch.bindings)
        self._tally.received(batch.messages, batch.bytes)

    async def _commit(self, batch: SourceBatch | None) -> None:
        """Append what is staged at a new time to all outputs at once; advance all uppers."""
        lower = self._writers[0].upper
        if lower is None:
            raise UpperMismatch(self._writers[0].shard, None, None)
        time = max(self._clock.now_ms(), lower, self._nudged)
        await self._append(time if lower else TIMESTAMP_MIN, Timestamp(time + 1))
        self._tally.committed(has_data=batch is not None)
        self._clear_staged()

    async def _close(self) -> None:
        """The source has ended: its outputs are complete for ever."""
        await self._append(self._writers[0].upper or TIMESTAMP_MIN, None)
        self._tally.committed(has_data=True)

    async def _append(self, time: int, upper: Frontier) -> None:
        """Append what is staged at ``time`` and what is backfilled at the beginning.

        Frontiers: all uppers become ``upper``; collections that are closed already are left out.
        """
        appends = []
        for at, writer in enumerate(self._writers):
            if writer.upper is None:
                continue
            rows, errors = await self._backfilled[at].parts()
            more, more_errors = await self._staged[at].parts()
            appends.append(
                ShardAppend(
                    writer,
                    (*_stamped(rows, TIMESTAMP_MIN), *_stamped(more, time)),
                    writer.upper,
                    upper,
                    (*_stamped(errors, TIMESTAMP_MIN), *_stamped(more_errors, time)),
                )
            )
        if appends:
            await self._persist.append_many(appends)

    def _clear_staged(self) -> None:
        self._staged = [Staged(writer) for writer in self._writers]
        self._backfilled = [Staged(writer) for writer in self._writers]
        self._tally.forget_staged()

    def _set_status(self, status: Status, error: HeadwaterError | None = None) -> None:
        said = (status, error.message if error is not None else None)
        if said == self._said:
            return
        self._said = said
        fields = error.fields() if error is not None else None
        self._report(StatusUpdate(self.description.id, status, self._clock.now_ms(), fields))


def _stamped(parts: Iterable[Part], time: int) -> Iterator[Part]:
    """Yield the parts with all their updates at ``time``; blobs are not touched."""
    for part in parts:
        if isinstance(part, InlinePart):
            yield msgspec.structs.replace(part, data=flat.stamp(part.data, time))
        else:
            yield msgspec.structs.replace(part, stamp=Timestamp(time))
