"""The replica's side of compute: the shell that does I/O for the timely workers.

Workers are Rust threads that move rows and never open a file or a socket. What they need from
persist they ask of the :class:`ComputeShell` around them, in the same process, by
``compute.protocol.ShellRequest``: the history of a shard for a dataflow's import, and the durable
commit of what a materialized view should hold. The shell answers by ``feed`` and ``write_batch``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

import msgspec

from headwater.compute.perseverance import Perseverance, Report
from headwater.compute.protocol import (
    CloseSink,
    CloseSource,
    OpenSink,
    OpenSource,
    ShellRequest,
    SinkBatch,
    SinkFrontier,
)
from headwater.compute.sink import FedPart, SinkWriter
from headwater.errors import DataCorrupted, HeadwaterError
from headwater.native.loader import native
from headwater.persist import flat
from headwater.persist.client import PersistClient
from headwater.persist.parts import InlinePart, PartRef
from headwater.persist.read import Reader
from headwater.runtime.tasks import Tasks
from headwater.types.frontier import Frontier, precedes
from headwater.types.ids import ShardId
from headwater.types.time import Timestamp

logger = logging.getLogger(__name__)

# Parts fetched ahead of the one being fed, a source: enough to hide the object store's latency.
PREFETCH_PARTS = 4

_requests = msgspec.msgpack.Decoder(ShellRequest)


class Workers(Protocol):
    """What the shell asks of the workers; ``native.ComputeServer`` is the implementation."""

    def feed(self, token: int, parts: Sequence[FedPart], upper: int | None) -> None:
        """Give import or sink ``token`` updates; times before ``upper`` are complete."""
        ...

    def write_batch(self, token: int, lower: int, upper: int | None) -> None:
        """Ask sink ``token`` what is missing at times in [lower, upper): a SinkBatch answers."""
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
    dataflows stand still. It is called with None when that is over.
    """

    def __init__(
        self,
        workers: Workers,
        persist: PersistClient,
        tasks: Tasks,
        txns: ShardId,
        report: Report,
    ) -> None:
        self._workers = workers
        self._persist = persist
        self._tasks = tasks
        self._txns = txns
        self._report = report
        self._perseverance = Perseverance(persist.clock, report)
        self._feeds: dict[int, asyncio.Task[None]] = {}
        self._sinks: dict[int, SinkWriter] = {}

    def start(self) -> None:
        """Begin to serve, on the running event loop."""
        asyncio.get_running_loop().add_reader(self._workers.fd(), self.serve)

    def stop(self) -> None:
        """Stop serving; what was acknowledged stays, the rest is redone by whoever comes next."""
        asyncio.get_running_loop().remove_reader(self._workers.fd())
        for task in self._feeds.values():
            task.cancel()
        self._feeds.clear()
        self._sinks.clear()

    def serve(self) -> None:
        """Take in what the workers ask for."""
        for payload in self._workers.drain():
            self._handle(_requests.decode(payload))

    def _handle(self, request: ShellRequest) -> None:
        match request:
            case OpenSource():
                feed = self._feed_source(request)
                self._spawn(request.token, ShardId(request.shard), feed)
            case OpenSink():
                sink = SinkWriter(self._workers, self._persist, self._perseverance, request)
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
        if request.until is None:
            fetch = self._fetch_from(shard, reader)
            await feed_history(self._workers, reader, fetch, request.token, request.as_of, None)
            return
        # Someone waits for the end of this import: damage is an answer too, and ends it.
        reached: list[Frontier] = [request.as_of]
        fetch = self._fetch_from(shard, reader, unless=DataCorrupted)
        try:
            await feed_history(
                self._workers,
                reader,
                fetch,
                request.token,
                request.as_of,
                request.until,
                reached.append,
            )
        except DataCorrupted as error:
            time = reached[-1]
            assert time is not None  # an import that is closed reads no more
            self._workers.feed(request.token, [_fed_error(error, time)], None)
            logger.error("a read met damage", extra={"shard": shard, "reason": error.message})

    async def _run_sink(self, request: OpenSink, sink: SinkWriter) -> None:
        shard = ShardId(request.shard)
        reader = await self._perseverance.until_done(shard, sink.open)
        fetch = self._fetch_from(shard, reader)
        start, fed = request.as_of, sink.set_persisted
        async with asyncio.TaskGroup() as group:
            group.create_task(
                feed_history(self._workers, reader, fetch, request.token, start, None, fed)
            )
            group.create_task(sink.run())

    def _fetch_from(
        self, shard: ShardId, reader: Reader, *, unless: tuple[()] | type[HeadwaterError] = ()
    ) -> "Fetch":
        def fetch(part: PartRef) -> Awaitable[bytes]:
            return self._perseverance.until_done(shard, lambda: reader.fetch(part), unless=unless)

        return fetch


Fetch = Callable[[PartRef], Awaitable[bytes]]


async def feed_history(
    workers: Workers,
    reader: Reader,
    fetch: Fetch,
    token: int,
    as_of: Frontier,
    until: Frontier,
    progressed: Callable[[Frontier], None] = lambda _: None,
) -> None:
    """Feed ``token`` the collection as of ``as_of``, then its changes as they become durable.

    Frontiers: after each feed the import is complete at times before what ``progressed`` is told.
    Ends when the collection closes or ``until`` is reached; both close the import.

    Raises:
        AsOfBeforeSince: ``as_of`` is compacted.
        DataCorrupted: A part is missing or damaged.

    Cancellation: the import stays where it is.
    """
    if as_of is None:
        workers.feed(token, (), None)
        progressed(None)
        return
    snapshot = await reader.snapshot(as_of)
    await _feed_parts(workers, fetch, token, snapshot.parts, snapshot.errors)
    upper: Frontier = Timestamp(as_of + 1)
    workers.feed(token, (), upper)
    progressed(upper)
    async for delta in reader.listen(as_of):
        await _feed_parts(workers, fetch, token, delta.parts, delta.errors)
        upper = delta.upper
        if until is not None and precedes(until, upper):
            upper = None
        workers.feed(token, (), upper)
        progressed(upper)
        if upper is None:
            return
    workers.feed(token, (), None)
    progressed(None)


async def _feed_parts(
    workers: Workers,
    fetch: Fetch,
    token: int,
    parts: Sequence[PartRef],
    errors: Sequence[PartRef],
) -> None:
    """Feed parts as they arrive, at most :data:`PREFETCH_PARTS` under way; no frontier moves."""
    waiting = [(0, part) for part in parts] + [(1, part) for part in errors]
    under_way: list[tuple[int, PartRef, asyncio.Task[bytes]]] = []
    try:
        while waiting or under_way:
            while waiting and len(under_way) < PREFETCH_PARTS:
                half, part = waiting.pop(0)
                under_way.append((half, part, asyncio.ensure_future(fetch(part))))
            half, part, task = under_way.pop(0)
            workers.feed(token, [_fed(half, part, await task)], 0)
    finally:
        for _, _, task in under_way:
            task.cancel()


def _fed_error(error: HeadwaterError, time: Timestamp) -> FedPart:
    """Return an error as an update of the error half at ``time``."""
    row = native.encode_text(f"{error.sqlstate}:{error.message}")
    return ("flat", 1, flat.build([(row, time, 1)]), None, time, time + 1, None)


def _fed(half: int, ref: PartRef, data: bytes) -> FedPart:
    part = ref.part
    if isinstance(part, InlinePart):
        return ("flat", half, data, None, ref.lower, ref.upper, ref.as_of)
    return (part.encoding, half, data, part.stamp, ref.lower, ref.upper, ref.as_of)
