"""Writing a materialized view: desired minus persisted, appended by whoever comes first.

Every replica of a cluster runs the same dataflow and so computes the same view. Each tries to
append what the shard lacks; compare-and-append lets one of them win each interval, and the others
see the winner's batch come back, subtract it, and find nothing left to write there.

    desired  ─ known before D (the workers' frontier)
    shard    ─ durable before U
    write    ─ [U, D) as soon as U < D, once the workers have been fed the shard up to U

A view that is refreshed now and then (``types.refresh``) is written as far as its schedule says:
up to D rounded up, which is its next refresh. What the workers have for times between two refreshes
is moved to the later one; U is always a refresh, at which old contents and new ones are compared::

    refreshes           r1                 r2                 r3
    ─────────────────────┼───────┬──────────┼───────────┬──────┼────> time
    D before r2: nothing U=r2 ───┘(D)       │           │
    D past r2: write [r2, r3), with all that changed in (r1, r2] at r2
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import msgspec

from headwater.compute.perseverance import Perseverance
from headwater.compute.protocol import OpenSink, SinkBatch
from headwater.errors import invariant
from headwater.persist import flat
from headwater.persist.client import PersistClient
from headwater.persist.errors import UpperMismatch
from headwater.persist.read import Reader
from headwater.persist.write import WriteHandle
from headwater.types.frontier import Frontier, less_than, precedes
from headwater.types.ids import ShardId
from headwater.types.refresh import RefreshSchedule
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp

# Changes between two refreshes are summed after this many moves of the workers' frontier: what
# cancels then takes no memory until the next refresh.
SUM_MOVES = 32

# (encoding, half, bytes, stamp, lower, upper, as_of): half 0 is the collection, half 1 its errors;
# the rest says which updates of the part count, as ``persist.parts.PartRef`` does.
FedPart = tuple[str, int, bytes, int | None, int, int | None, int | None]


class BatchWriter(Protocol):
    """The part of the workers that a sink needs."""

    def feed(self, token: int, parts: Sequence[FedPart], upper: int | None) -> None:
        """Say that the shard is complete before ``upper``."""
        ...

    def write_batch(self, token: int, lower: int, upper: int | None) -> None:
        """Ask for what is missing in [lower, upper)."""
        ...


class SinkWriter:
    """Commits one materialized view's batches on behalf of one replica process."""

    def __init__(
        self,
        workers: BatchWriter,
        persist: PersistClient,
        perseverance: Perseverance,
        request: OpenSink,
        schedule: RefreshSchedule | None = None,
    ) -> None:
        self._workers = workers
        self._persist = persist
        self._perseverance = perseverance
        self._token = request.token
        self._shard = ShardId(request.shard)
        self._desc = msgspec.msgpack.decode(request.desc, type=RelationDesc)
        self._schedule = schedule
        self._as_of = request.as_of
        self._start = self._written_to(request.as_of)
        self._moves = 0
        self._writer: WriteHandle | None = None
        self._desired: Frontier = Timestamp(0)
        self._persisted: Frontier = Timestamp(0)
        self._durable: Frontier = Timestamp(0)  # the shard's upper as far as we know
        self._moved = asyncio.Event()
        self._batch: asyncio.Future[SinkBatch] | None = None

    async def open(self) -> tuple[Reader, Frontier]:
        """Open the shard, empty before its first time if it is new.

        Returns: a reader, and from when on the workers are to be fed the shard's contents.

        Frontiers: on return the shard's upper is at or after its first time, which is ``as_of`` or
        the first refresh from there. If nothing has been written yet it is that time, and the
        contents there are still to be written, by us or by another replica: the workers are told
        that there is nothing before it.
        """
        self._writer = await self._persist.open_writer(self._shard, self._desc)
        while not precedes(self._start, self._writer.upper):
            lower = self._writer.upper
            assert lower is not None  # it precedes the first time
            try:
                await self._writer.compare_and_append(b"", lower, self._start)
            except UpperMismatch:
                continue  # another replica was first; look again
        reader = await self._persist.open_reader(self._shard)
        upper, since = self._writer.upper, reader.since
        if self._schedule is None:
            new, begin = upper == self._as_of, self._as_of
        elif upper is None:
            new, begin = False, since
        elif less_than(since, upper):
            new, begin = False, Timestamp(upper - 1)  # as they were since the last refresh
        else:
            new, begin = True, upper
        if new and upper is not None:
            self._workers.feed(self._token, (), upper)
            self.set_persisted(upper)
        return reader, begin

    def set_desired(self, desired: Frontier) -> None:
        """Note that the workers know the view before ``desired``."""
        self._desired = desired
        self._moved.set()

    def set_persisted(self, upper: Frontier) -> None:
        """Note that the workers have been fed the shard's contents before ``upper``."""
        self._persisted = upper
        self._moved.set()

    def deliver(self, batch: SinkBatch) -> None:
        """Take the workers' answer to ``write_batch``."""
        if self._batch is not None and not self._batch.done():
            self._batch.set_result(batch)

    async def run(self) -> None:
        """Append whatever is missing, for as long as the view is maintained.

        Cancellation: an append under way is either durable or not; nothing else is left behind.
        """
        writer = self._writer
        invariant(writer is not None, "a sink runs before it is open", shard=self._shard)
        assert writer is not None
        while True:
            await self._moved.wait()
            self._moved.clear()
            lower, desired = self._persisted, self._desired
            if lower is None:
                return  # the shard is closed: the view is final
            upper = self._written_to(desired)
            if not precedes(self._durable, lower):
                continue  # the last append has not come back yet
            if precedes(upper, lower):
                await self._sum(lower, desired)
                continue
            batch = await self._missing(lower, upper, desired)
            try:
                await self._perseverance.until_done(
                    self._shard, partial(_append, writer, batch, lower, upper)
                )
                self._durable = upper
            except UpperMismatch as lost:
                # Someone else has written this interval; the shard's feed will tell us what.
                self._durable = lost.current

    def _written_to(self, desired: Frontier) -> Frontier:
        """Return how far the shard can be written where the view is known before ``desired``."""
        if self._schedule is None:
            return desired
        return self._schedule.round_up_frontier(desired)

    async def _missing(self, lower: Timestamp, upper: Frontier, desired: Frontier) -> SinkBatch:
        """Return what the shard lacks in [lower, upper)."""
        schedule = self._schedule
        if schedule is None:
            return await self._ask(lower, upper)
        refresh = schedule.before(upper)
        if refresh is None:  # an end, but none that refreshes make: the query's own
            known = desired
        elif refresh < lower:
            return SinkBatch(self._token, lower, upper, b"", b"")
        else:
            known = Timestamp(refresh + 1)
        batch = await self._ask(lower, known)
        return msgspec.structs.replace(
            batch,
            upper=upper,
            updates=flat.at_times(batch.updates, self._refreshed),
            errors=flat.at_times(batch.errors, self._refreshed),
        )

    def _refreshed(self, time: int) -> int:
        assert self._schedule is not None
        refresh = self._schedule.round_up(Timestamp(time))
        invariant(refresh is not None, "an update after the last refresh", shard=self._shard)
        assert refresh is not None
        return refresh

    async def _sum(self, lower: Timestamp, desired: Frontier) -> None:
        """Have the workers sum what has changed since the last refresh, now and then."""
        if self._schedule is None or desired is None or desired >= lower:
            return
        self._moves += 1
        if self._moves % SUM_MOVES == 0:
            # At the next refresh, ``lower``, they have nothing to be written before ``desired``.
            await self._ask(lower, desired)

    async def _ask(self, lower: int, upper: Frontier) -> SinkBatch:
        self._batch = asyncio.get_running_loop().create_future()
        self._workers.write_batch(self._token, lower, upper)
        try:
            return await self._batch
        finally:
            self._batch = None


async def _append(writer: WriteHandle, batch: SinkBatch, lower: Timestamp, upper: Frontier) -> None:
    await writer.compare_and_append(batch.updates, lower, upper, errors=batch.errors)
