"""Writing a materialized view: desired minus persisted, appended by whoever comes first.

Every replica of a cluster runs the same dataflow and so computes the same view. Each tries to
append what the shard lacks; compare-and-append lets one of them win each interval, and the others
see the winner's batch come back, subtract it, and find nothing left to write there.

    desired  ─ known before D (the workers' frontier)
    shard    ─ durable before U
    write    ─ [U, D) as soon as U < D, once the workers have been fed the shard up to U
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import msgspec

from headwater.compute.perseverance import Perseverance
from headwater.compute.protocol import OpenSink, SinkBatch
from headwater.errors import invariant
from headwater.persist.client import PersistClient
from headwater.persist.errors import UpperMismatch
from headwater.persist.read import Reader
from headwater.persist.write import WriteHandle
from headwater.types.frontier import Frontier, precedes
from headwater.types.ids import ShardId
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp

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
    ) -> None:
        self._workers = workers
        self._persist = persist
        self._perseverance = perseverance
        self._token = request.token
        self._shard = ShardId(request.shard)
        self._desc = msgspec.msgpack.decode(request.desc, type=RelationDesc)
        self._as_of = request.as_of
        self._writer: WriteHandle | None = None
        self._desired: Frontier = Timestamp(0)
        self._persisted: Frontier = Timestamp(0)
        self._durable: Frontier = Timestamp(0)  # the shard's upper as far as we know
        self._moved = asyncio.Event()
        self._batch: asyncio.Future[SinkBatch] | None = None

    async def open(self) -> Reader:
        """Open the shard, empty before the dataflow's as_of if it is new, and return a reader.

        Frontiers: on return the shard's upper is at or after ``as_of``. If it is ``as_of`` the
        shard's contents there are still to be written, by us or by another replica: the workers
        are told that there is nothing before it.
        """
        self._writer = await self._persist.open_writer(self._shard, self._desc)
        while self._as_of is not None and not precedes(self._as_of, self._writer.upper):
            lower = self._writer.upper
            assert lower is not None  # it precedes as_of
            try:
                await self._writer.compare_and_append(b"", lower, self._as_of)
            except UpperMismatch:
                continue  # another replica was first; look again
        if self._as_of is not None and self._writer.upper == self._as_of:
            self._workers.feed(self._token, (), self._as_of)
            self.set_persisted(self._as_of)
        return await self._persist.open_reader(self._shard)

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
            lower, upper = self._persisted, self._desired
            if lower is None:
                return  # the shard is closed: the view is final
            if precedes(upper, lower) or not precedes(self._durable, lower):
                continue  # nothing new, or the last append has not come back yet
            batch = await self._ask(lower, upper)
            try:
                await self._perseverance.until_done(
                    self._shard, partial(_append, writer, batch, lower, upper)
                )
                self._durable = upper
            except UpperMismatch as lost:
                # Someone else has written this interval; the shard's feed will tell us what.
                self._durable = lost.current

    async def _ask(self, lower: int, upper: Frontier) -> SinkBatch:
        self._batch = asyncio.get_running_loop().create_future()
        self._workers.write_batch(self._token, lower, upper)
        try:
            return await self._batch
        finally:
            self._batch = None


async def _append(writer: WriteHandle, batch: SinkBatch, lower: Timestamp, upper: Frontier) -> None:
    await writer.compare_and_append(batch.updates, lower, upper, errors=batch.errors)
