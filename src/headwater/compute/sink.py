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
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from headwater.compute.perseverance import Perseverance
from headwater.compute.protocol import OpenSink, SinkBatch
from headwater.errors import HeadwaterError, invariant
from headwater.persist import flat
from headwater.persist.client import PersistClient
from headwater.persist.consensus import COMMIT_OPS_MAX
from headwater.persist.errors import UpperMismatch
from headwater.persist.read import Reader
from headwater.persist.write import ShardAppend, WriteHandle
from headwater.runtime.tasks import Tasks
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
    """The part of the workers that a sink needs; it wakes them once for many sinks."""

    def reach(self, token: int, upper: Frontier) -> None:
        """Say that the shard is complete before ``upper``."""
        ...

    def write_batch(self, token: int, lower: Timestamp, upper: Frontier) -> None:
        """Ask for what is missing in [lower, upper): ``deliver`` gets the answer."""
        ...


class SinkWriter:
    """Commits one materialized view's batches on behalf of one replica process.

    One thing is under way at a time, a question to the workers or an append::

                    set_desired, set_persisted: something is due
        nothing ──────────────────────────────────────────────────> asked
           ^ ^                                                        │ deliver
           │ └─────────── appended, by run ── something to write <────┤
           └───────── appended, with other sinks ── nothing to write <┘

    ``append_nothing`` is called where there is nothing to write, which is often: it makes many such
    appends one, and calls :meth:`appended`, or :meth:`append_alone` where that has failed.
    """

    def __init__(
        self,
        workers: BatchWriter,
        persist: PersistClient,
        perseverance: Perseverance,
        append_nothing: "Callable[[SinkWriter, Timestamp, Frontier], None]",
        request: OpenSink,
        schedule: RefreshSchedule | None = None,
    ) -> None:
        self._workers = workers
        self._persist = persist
        self._perseverance = perseverance
        self._append_nothing = append_nothing
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
        self._open = False
        self._busy = False
        self._due: tuple[Timestamp, Frontier] | None = None  # the interval being written
        self._batches: asyncio.Queue[SinkBatch | None] = asyncio.Queue()

    @property
    def is_open(self) -> bool:
        """Return whether the sink runs."""
        return self._open

    @property
    def writer(self) -> WriteHandle:
        """Return the shard's handle; the sink is open."""
        writer = self._writer
        invariant(writer is not None, "a sink writes before it is open", shard=self._shard)
        assert writer is not None
        return writer

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
        self._durable = upper
        if self._schedule is None:
            new, begin = upper == self._as_of, self._as_of
        elif upper is None:
            new, begin = False, since
        elif less_than(since, upper):
            new, begin = False, Timestamp(upper - 1)  # as they were since the last refresh
        else:
            new, begin = True, upper
        if new and upper is not None:
            self._workers.reach(self._token, upper)
            self.set_persisted(upper)
        return reader, begin

    def set_desired(self, desired: Frontier) -> None:
        """Note that the workers know the view before ``desired``."""
        self._desired = desired
        self._consider()

    def set_persisted(self, upper: Frontier) -> None:
        """Note that the workers have been fed the shard's contents before ``upper``."""
        self._persisted = upper
        self._consider()

    def deliver(self, batch: SinkBatch) -> None:
        """Take the workers' answer to ``write_batch``."""
        if self._due is None:  # they have summed
            self._idle()
            return
        lower, upper = self._due
        if _is_empty(batch.updates) and _is_empty(batch.errors):
            self._append_nothing(self, lower, upper)
            return
        batch = msgspec.structs.replace(batch, lower=lower, upper=upper)
        if self._schedule is not None:
            batch = msgspec.structs.replace(
                batch,
                updates=flat.at_times(batch.updates, self._refreshed),
                errors=flat.at_times(batch.errors, self._refreshed),
            )
        self._batches.put_nowait(batch)

    def append_alone(self, lower: Timestamp, upper: Frontier) -> None:
        """Append nothing in [lower, upper), however often that has to be tried."""
        self._batches.put_nowait(SinkBatch(self._token, lower, upper, b"", b""))

    def appended(self, upper: Frontier) -> None:
        """Note that the shard's upper is ``upper`` by an append, ours or another replica's."""
        self._durable = upper
        self._idle()

    async def run(self) -> None:
        """Append what is missing, for as long as the view is maintained.

        Cancellation: an append under way is either durable or not; nothing else is left behind.
        """
        self._open = True
        try:
            self._consider()
            while (batch := await self._batches.get()) is not None:
                append = partial(_append, self.writer, batch)
                try:
                    await self._perseverance.until_done(self._shard, append)
                    upper = batch.upper
                except UpperMismatch as lost:
                    # Someone else has written this interval; the shard's feed will tell us what.
                    upper = lost.current
                self.appended(upper)
        finally:
            self._open = False

    def _idle(self) -> None:
        self._busy, self._due = False, None
        self._consider()

    def _consider(self) -> None:
        """Begin what is due, unless something is under way."""
        if self._busy or not self._open:
            return
        lower, desired = self._persisted, self._desired
        if lower is None:  # the shard is closed: the view is final
            self._busy = True
            self._batches.put_nowait(None)
            return
        if not precedes(self._durable, lower):
            return  # the last append has not come back yet
        upper = self._written_to(desired)
        if precedes(upper, lower):
            self._sum(lower, desired)
            return
        self._busy, self._due = True, (lower, upper)
        known = self._known_for(lower, upper)
        if known == lower:
            self._append_nothing(self, lower, upper)
        else:
            self._workers.write_batch(self._token, lower, known)

    def _written_to(self, desired: Frontier) -> Frontier:
        """Return how far the shard can be written where the view is known before ``desired``."""
        if self._schedule is None:
            return desired
        return self._schedule.round_up_frontier(desired)

    def _known_for(self, lower: Timestamp, upper: Frontier) -> Frontier:
        """Return before when the workers' changes are those of [lower, upper).

        It is ``lower`` where none are.
        """
        if self._schedule is None:
            return upper
        refresh = self._schedule.before(upper)
        if refresh is None:  # an end, but none that refreshes make: the query's own
            return self._desired
        return lower if refresh < lower else Timestamp(refresh + 1)

    def _refreshed(self, time: int) -> int:
        assert self._schedule is not None
        refresh = self._schedule.round_up(Timestamp(time))
        invariant(refresh is not None, "an update after the last refresh", shard=self._shard)
        assert refresh is not None
        return refresh

    def _sum(self, lower: Timestamp, desired: Frontier) -> None:
        """Have the workers sum what has changed since the last refresh, now and then."""
        if self._schedule is None or desired is None or desired >= lower:
            return
        self._moves += 1
        if self._moves % SUM_MOVES == 0:
            # At the next refresh, ``lower``, they have nothing to be written before ``desired``.
            self._busy = True
            self._workers.write_batch(self._token, lower, desired)


class EmptyAppends:
    """Appends of nothing, which move uppers: all that wait when a commit ends are the next one.

    A tick of the clock moves every view of a replica, and changes hardly any of them.
    """

    def __init__(self, persist: PersistClient, tasks: Tasks) -> None:
        self._persist = persist
        self._tasks = tasks
        self._waiting: list[tuple[SinkWriter, Timestamp, Frontier]] = []
        self._running = False

    def add(self, sink: SinkWriter, lower: Timestamp, upper: Frontier) -> None:
        """Append nothing in [lower, upper) soon, and tell the sink."""
        self._waiting.append((sink, lower, upper))
        if not self._running:
            self._running = True
            self._tasks.spawn(self._commit_all(), name="empty appends")

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                due = self._waiting[:COMMIT_OPS_MAX]
                del self._waiting[:COMMIT_OPS_MAX]
                await self._commit(due)
        finally:
            self._running = False

    async def _commit(self, due: Sequence[tuple[SinkWriter, Timestamp, Frontier]]) -> None:
        ours = []
        for sink, lower, upper in due:
            if not sink.is_open:
                continue  # it was dropped meanwhile
            current = sink.writer.upper
            if current == lower:
                ours.append((sink, lower, upper))
            else:
                sink.appended(current)  # another replica was first
        try:
            await self._persist.append_many(
                [ShardAppend(sink.writer, b"", lower, upper) for sink, lower, upper in ours]
            )
        except HeadwaterError:
            # One of them has another upper by now, or can't be written: each tries on its own.
            for sink, lower, upper in ours:
                sink.append_alone(lower, upper)
        else:
            for sink, _, upper in ours:
                sink.appended(upper)


def _is_empty(updates: bytes) -> bool:
    return updates in (b"", flat.EMPTY)


async def _append(writer: WriteHandle, batch: SinkBatch) -> None:
    assert batch.lower is not None  # as it was asked for
    await writer.compare_and_append(batch.updates, batch.lower, batch.upper, errors=batch.errors)
