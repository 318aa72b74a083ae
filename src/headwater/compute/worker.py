"""The replica's side of compute: the shell that does I/O for the timely workers.

Workers are Rust threads that move rows and never open a file or a socket. What they need from
persist they ask of the :class:`ComputeShell` around them, in the same process, by
``compute.protocol.ShellRequest``: the history of a shard for a dataflow's import, and the durable
commit of what a materialized view should hold. The shell answers by ``feed`` and ``tell``.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from headwater.compute.perseverance import Perseverance, Report
from headwater.compute.protocol import (
    CloseSink,
    CloseSource,
    OpenSink,
    OpenSource,
    RefreshSink,
    ShellRequest,
    SinkBatch,
    SinkFrontier,
)
from headwater.compute.selection import ALL_PARTS, PartSelector
from headwater.compute.sink import EmptyAppends, FedPart, SinkWriter
from headwater.errors import DataCorrupted, HeadwaterError
from headwater.native.loader import native
from headwater.persist import flat
from headwater.persist.client import PersistClient
from headwater.persist.parts import BlobPart, InlinePart, PartRef
from headwater.persist.read import Reader
from headwater.runtime.tasks import Tasks
from headwater.types.frontier import Frontier, precedes
from headwater.types.ids import ShardId
from headwater.types.refresh import RefreshSchedule
from headwater.types.time import Timestamp

logger = logging.getLogger(__name__)

# Parts fetched ahead of the one being fed, a source: enough to hide the object store's latency.
PREFETCH_PARTS = 4

Fetch = Callable[[PartRef], Awaitable[bytes]]
# Parts of a source that were fetched and that were passed over since the last call.
Tally = Callable[[int, int], None]

_requests = msgspec.msgpack.Decoder(ShellRequest)


class Workers(Protocol):
    """What the shell asks of the workers; ``native.ComputeServer`` is the implementation."""

    def feed(self, token: int, parts: Sequence[FedPart], upper: int | None) -> None:
        """Give import or sink ``token`` updates; times before ``upper`` are complete."""
        ...

    def tell(
        self,
        uppers: Sequence[tuple[int, int | None]],
        writes: Sequence[tuple[int, int, int | None]],
    ) -> None:
        """Say of imports and sinks what is complete, then ask sinks what is missing.

        Args:
            uppers: ``(token, upper)``: times before ``upper`` are complete.
            writes: ``(token, lower, upper)``: a SinkBatch is to say what [lower, upper) lacks.
        """
        ...

    def fd(self) -> int:
        """Return the descriptor that is readable while requests wait."""
        ...

    def drain(self) -> list[bytes]:
        """Take all waiting requests."""
        ...


class ComputeShell:
    """Serves the workers of one replica process.

    ``report`` is called with a shard and an error when a collection can't be read or written: its
    dataflows stand still. It is called with None when that is over. ``tally`` is called with how
    many parts of a source have been fetched, and how many passed over. ``catch_up`` is called to
    take in what the controller has said before the workers asked for anything.
    """

    def __init__(
        self,
        workers: Workers,
        persist: PersistClient,
        tasks: Tasks,
        txns: ShardId,
        report: Report,
        tally: Tally = lambda _fetched, _skipped: None,
        catch_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._workers = workers
        self._catch_up = catch_up
        self._persist = persist
        self._tasks = tasks
        self._txns = txns
        self._report = report
        self._tally = tally
        self._perseverance = Perseverance(persist.clock, report)
        self._feeds: dict[int, asyncio.Task[None]] = {}
        self._sinks: dict[int, SinkWriter] = {}
        self._schedules: dict[ShardId, RefreshSchedule] = {}
        self._turn = _Turn(workers)
        self._empty = EmptyAppends(persist, tasks)

    def start(self) -> None:
        """Begin to serve, on the running event loop."""
        asyncio.get_running_loop().add_reader(self._workers.fd(), self.serve)

    def stop(self) -> None:
        """Stop serving; what was acknowledged stays, the rest is redone by whoever comes next."""
        asyncio.get_running_loop().remove_reader(self._workers.fd())
        for task in self._feeds.values():
            task.cancel()
        self._feeds.clear()
        self._turn.forget()
        self._sinks.clear()

    def serve(self) -> None:
        """Take in what the workers ask for."""
        requests = self._workers.drain()
        self._catch_up()  # a schedule is told ahead of the dataflow that opens its sink
        for payload in requests:
            self._handle(_requests.decode(payload))

    def refresh_sink(self, command: RefreshSink) -> None:
        """Note when a shard is to be written; its sink is opened later."""
        self._schedules[ShardId(command.shard)] = command.schedule

    def _handle(self, request: ShellRequest) -> None:
        match request:
            case OpenSource():
                feed = self._feed_source(request)
                self._spawn(request.token, ShardId(request.shard), feed)
            case OpenSink():
                schedule = self._schedules.pop(ShardId(request.shard), None)
                sink = SinkWriter(
                    self._turn,
                    self._persist,
                    self._perseverance,
                    self._empty.add,
                    request,
                    schedule,
                )
                self._sinks[request.token] = sink
                self._spawn(request.token, ShardId(request.shard), self._run_sink(request, sink))
            case CloseSource(token=token) | CloseSink(token=token):
                task = self._feeds.pop(token, None)
                if task is not None:
                    task.cancel()
                self._sinks.pop(token, None)
            case SinkFrontier(token=token, desired=desired):
                if token in self._sinks:
                    self._sinks[token].set_desired(desired)
            case SinkBatch(token=token):
                if token in self._sinks:
                    self._sinks[token].deliver(request)

    def _spawn(self, token: int, shard: ShardId, work: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except HeadwaterError as error:
                logger.exception("a shard can't be served", extra={"shard": shard})
                self._report(shard, error)

        self._feeds[token] = self._tasks.spawn(guarded(), name=f"feed {shard}")

    async def _feed_source(self, request: OpenSource) -> None:
        shard, txns = ShardId(request.shard), self._txns if request.table else None
        reader = await self._perseverance.until_done(
            shard, lambda: self._persist.open_reader(shard, txns=txns)
        )
        until = request.until
        choice = PartSelector(request.selection, until), self._tally
        if until is None:
            fetch = self._fetch_from(shard, reader)
            feed = Feed(self._workers, fetch, request.token, *choice, self._turn.reach)
            await feed_history(feed, reader, request.as_of, None)
            return
        # Someone waits for the end of this import: damage is an answer too, and ends it.
        reached: list[Frontier] = [request.as_of]
        fetch = self._fetch_from(shard, reader, unless=DataCorrupted)
        feed = Feed(self._workers, fetch, request.token, *choice)
        try:
            await feed_history(feed, reader, request.as_of, until, reached.append)
        except DataCorrupted as error:
            time = reached[-1]
            assert time is not None  # an import that is closed reads no more
            self._workers.feed(request.token, [_fed_error(error, time)], None)
            logger.error("a read met damage", extra={"shard": shard, "reason": error.message})

    async def _run_sink(self, request: OpenSink, sink: SinkWriter) -> None:
        shard = ShardId(request.shard)
        reader, begin = await self._perseverance.until_done(shard, sink.open)
        fetch = self._fetch_from(shard, reader)
        feed = Feed(self._workers, fetch, request.token, say=self._turn.reach)
        async with asyncio.TaskGroup() as group:
            group.create_task(feed_history(feed, reader, begin, None, sink.set_persisted))
            group.create_task(sink.run())

    def _fetch_from(
        self, shard: ShardId, reader: Reader, *, unless: tuple[()] | type[HeadwaterError] = ()
    ) -> Fetch:
        def fetch(part: PartRef) -> Awaitable[bytes]:
            return self._perseverance.until_done(shard, lambda: reader.fetch(part), unless=unless)

        return fetch


class _Turn:
    """What the workers are told once a turn of the loop: they wake once for all of it.

    Many imports of one collection move together, one a view that reads it; so do the sinks.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._uppers: dict[int, Frontier] = {}
        self._writes: list[tuple[int, Timestamp, Frontier]] = []

    def reach(self, token: int, upper: Frontier) -> None:
        """Have the workers told that times before ``upper`` are complete in an import or sink."""
        self._soon()
        self._uppers[token] = upper

    def write_batch(self, token: int, lower: Timestamp, upper: Frontier) -> None:
        """Have a sink asked, after what ``reach`` says, what [lower, upper) lacks."""
        self._soon()
        self._writes.append((token, lower, upper))

    def forget(self) -> None:
        """Tell nothing of what is not told yet: the workers end."""
        self._uppers, self._writes = {}, []

    def _soon(self) -> None:
        if not self._uppers and not self._writes:
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        uppers, writes = self._uppers, self._writes
        self._uppers, self._writes = {}, []
        if uppers or writes:
            self._workers.tell(list(uppers.items()), writes)


@dataclass(frozen=True, slots=True)
class Feed:
    """An import of the workers: where its parts come from, and which of them it needs.

    ``say``: tells the workers of an upper later in this turn of the loop, where that will do.
    """

    workers: Workers
    fetch: Fetch
    token: int
    selector: PartSelector = ALL_PARTS
    tally: Tally = lambda _fetched, _skipped: None
    say: Callable[[int, Frontier], None] | None = None

    def reach(self, upper: Frontier) -> None:
        """Say that times before ``upper`` are complete."""
        if self.say is None:
            self.workers.feed(self.token, (), upper)
        else:
            self.say(self.token, upper)

    async def give(
        self, parts: Sequence[PartRef], errors: Sequence[PartRef], since: Timestamp
    ) -> None:
        """Feed what is needed of ``parts``, and all ``errors``; no frontier moves.

        No update counts before ``since``. At most :data:`PREFETCH_PARTS` are under way.
        """
        if not parts and not errors:
            return
        waiting = deque((0, ref) for ref in parts if self.selector.wants(ref.part, since))
        self._count(len(parts) - len(waiting), (*(ref for _, ref in waiting), *errors))
        waiting.extend((1, ref) for ref in errors)
        under_way: deque[tuple[int, PartRef, asyncio.Task[bytes]]] = deque()
        try:
            while waiting or under_way:
                while waiting and len(under_way) < PREFETCH_PARTS:
                    half, ref = waiting.popleft()
                    under_way.append((half, ref, asyncio.ensure_future(self.fetch(ref))))
                half, ref, task = under_way.popleft()
                self.workers.feed(self.token, [_fed(half, ref, await task)], 0)
        finally:
            for _, _, task in under_way:
                task.cancel()

    def _count(self, skipped: int, wanted: Sequence[PartRef]) -> None:
        fetched = sum(isinstance(ref.part, BlobPart) for ref in wanted)
        if fetched or skipped:
            self.tally(fetched, skipped)


async def feed_history(
    feed: Feed,
    reader: Reader,
    as_of: Frontier,
    until: Frontier,
    progressed: Callable[[Frontier], None] = lambda _: None,
) -> None:
    """Feed the collection as of ``as_of``, then its changes as they become durable.

    Frontiers: after each feed the import is complete at times before what ``progressed`` is told.
    Ends when the collection closes or ``until`` is reached; both close the import.

    Raises:
        AsOfBeforeSince: ``as_of`` is compacted.
        DataCorrupted: A part is missing or damaged.

    Cancellation: the import stays where it is.
    """
    if as_of is None:
        feed.reach(None)
        progressed(None)
        return
    snapshot = await reader.snapshot(as_of)
    await feed.give(snapshot.parts, snapshot.errors, as_of)
    upper: Frontier = Timestamp(as_of + 1)
    feed.reach(upper)
    progressed(upper)
    async for delta in reader.listen(as_of):
        await feed.give(delta.parts, delta.errors, delta.lower)
        upper = delta.upper
        if until is not None and precedes(until, upper):
            upper = None
        feed.reach(upper)
        progressed(upper)
        if upper is None:
            return
    feed.reach(None)
    progressed(None)


def _fed_error(error: HeadwaterError, time: Timestamp) -> FedPart:
    """Return an error as an update of the error half at ``time``."""
    row = native.encode_text(f"{error.sqlstate}:{error.message}")
    return ("flat", 1, flat.build([(row, time, 1)]), None, time, time + 1, None)


def _fed(half: int, ref: PartRef, data: bytes) -> FedPart:
    part = ref.part
    if isinstance(part, InlinePart):
        return ("flat", half, data, None, ref.lower, ref.upper, ref.as_of)
    return (part.encoding, half, data, part.stamp, ref.lower, ref.upper, ref.as_of)
