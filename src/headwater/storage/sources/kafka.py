"""Kafka topics: a thread in Rust polls and decodes, this side takes batches and binds offsets."""

import asyncio
import os
from collections.abc import Mapping, Sequence

import msgspec

from headwater.errors import ConnectionFailure, InvalidParameterValue
from headwater.ir.ingestion import (
    IngestionDescription,
    IngestionExport,
    KafkaConnection,
    KafkaSource,
    UpsertEnvelope,
)
from headwater.native.loader import native
from headwater.persist import flat
from headwater.persist.client import PersistClient
from headwater.runtime.clock import Clock
from headwater.storage.sources.reader import OutputBatch, SourceBatch, SourceLost, Standing
from headwater.types.time import Timestamp

_HINT = "Check that the brokers run and can be reached from here; the source goes on by itself."
_LOST_HINT = "Drop the source and create it anew to read the topic as it is now."


class KafkaReader:
    """One topic, from the offsets that were bound last.

    Args:
        source: Its outputs are yielded under their names.
        bound: The offsets to go on from, by partition; none at all: there is a snapshot.
        until: Read only what lies before these offsets, then end.
        held: What the outputs hold, for envelopes that need it.
    """

    def __init__(
        self,
        source: KafkaSource,
        bound: Mapping[int, int],
        *,
        until: Mapping[int, int] | None = None,
        held: Sequence[OutputBatch] = (),
        rehydration_ms: int | None = None,
    ) -> None:
        self._outputs = [output.name for output in source.outputs]
        self._bound = dict(bound)
        self._committed = sum(bound.values()) if bound else None
        self._ends = until is not None
        self._rehydration_ms = rehydration_ms
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ready = asyncio.Event()
        self._native = native.KafkaReader(
            msgspec.msgpack.encode(source),
            dict(bound),
            None if until is None else dict(until),
            [(output.updates, output.errors) for output in held],
            self._fd,
        )
        asyncio.get_running_loop().add_reader(self._fd, self._signalled)

    async def next(self, wait_s: float) -> SourceBatch | None:
        """Return what was read since the last call, waiting for at most ``wait_s`` seconds.

        While the snapshot is under way there is always a batch, which may be empty.

        Raises:
            ConnectionFailure: The brokers are out of reach; the reader goes on trying.
            SourceLost: The records to be read next are gone.
            StopAsyncIteration: Everything before ``until`` was read.
        """
        batch, more = self._take()
        if batch is None and (more or not self._ends) and wait_s > 0:
            try:
                async with asyncio.timeout(wait_s):
                    await self._ready.wait()
            except TimeoutError:
                pass
            else:
                batch, more = self._take()
        if batch is None and more:
            return SourceBatch(outputs={}, bindings=flat.EMPTY, more=True)
        if batch is None and self._ends:
            raise StopAsyncIteration
        return batch

    def committed(self, batch: SourceBatch) -> None:
        """Tell the consumer group, for those who watch it; nothing of ours depends on that."""
        self._committed = sum(self._bound.values())
        self._native.commit(self._bound)

    def standing(self) -> Standing:
        """Return how the reader stands."""
        reading, known, snapshot, records, size = self._native.gauges()
        return Standing(
            reading=reading,
            offset_known=known if reading or known else None,
            offset_committed=self._committed,
            snapshot_records=snapshot or None,
            records_indexed=records,
            bytes_indexed=size,
            rehydration_ms=self._rehydration_ms,
        )

    async def close(self) -> None:
        """Stop the thread; what it has read and not handed over is read again."""
        asyncio.get_running_loop().remove_reader(self._fd)
        await asyncio.to_thread(self._native.close)
        os.close(self._fd)

    def _signalled(self) -> None:
        os.eventfd_read(self._fd)
        self._ready.set()

    def _take(self) -> tuple[SourceBatch | None, bool]:
        """Return what there is, and whether the snapshot goes on after it."""
        self._ready.clear()
        taken, problem, more = self._native.take()
        if taken is None:
            if problem is not None:
                definite, text = problem
                if definite:
                    raise SourceLost(text, hint=_LOST_HINT)
                raise ConnectionFailure(text, hint=_HINT)
            return None, more
        halves, offsets, messages, size = taken
        outputs = dict(zip(self._outputs, (OutputBatch(*half) for half in halves), strict=False))
        return SourceBatch(outputs, self._bind(offsets), more, messages, size), more

    def _bind(self, offsets: dict[int, int]) -> bytes:
        updates = []
        for partition, offset in offsets.items():
            before = self._bound.get(partition)
            if before is not None:
                updates.append((native.kafka_binding(partition, before), 0, -1))
            updates.append((native.kafka_binding(partition, offset), 0, 1))
            self._bound[partition] = offset
        return flat.build(updates)


async def open_kafka(
    source: KafkaSource,
    ingestion: IngestionDescription,
    bindings: bytes,
    persist: PersistClient,
    clock: Clock,
    *,
    backfill: bool = False,
) -> KafkaReader:
    """Open a topic at the offsets that ``bindings`` (flat rows of the remap collection) say.

    Envelopes that need to know what their output holds are given its snapshot. With ``backfill``
    the reader yields what lies before these offsets instead, and ends.

    Raises:
        InvalidParameterValue: The source can't be read as described.
    """
    names = {export.output for export in ingestion.exports}
    outputs = tuple(output for output in source.outputs if output.name in names)
    start = source.start_timestamp_ms
    if start is not None and start < 0:
        start = max(clock.now_ms() + start, 0)
    source = msgspec.structs.replace(source, outputs=outputs, start_timestamp_ms=start)
    bound = native.kafka_offsets(bindings or flat.EMPTY)
    began = clock.monotonic()
    exports = {export.output: export for export in ingestion.exports}
    held = [OutputBatch()] * len(outputs)
    has_state = any(isinstance(output.envelope, UpsertEnvelope) for output in outputs)
    if bound and has_state and not backfill:
        held = [
            await _snapshot(exports[output.name], persist)
            if isinstance(output.envelope, UpsertEnvelope)
            else OutputBatch()
            for output in outputs
        ]
    latency_ms = round((clock.monotonic() - began) * 1_000) if has_state else None
    try:
        if backfill:
            return KafkaReader(source, {}, until=bound)
        return KafkaReader(source, bound, held=held, rehydration_ms=latency_ms)
    except native.SourceUnavailable as error:
        raise ConnectionFailure(str(error), hint=_HINT) from error
    except native.SourceDefinite as error:
        raise InvalidParameterValue(str(error)) from error


async def _snapshot(export: IngestionExport, persist: PersistClient) -> OutputBatch:
    reader = await persist.open_reader(export.shard)
    upper = reader.upper
    if not upper:
        return OutputBatch()
    snapshot = await reader.snapshot(Timestamp(upper - 1))
    halves = []
    for parts in (snapshot.parts, snapshot.errors):
        fetched = [await reader.fetch_flat(part) for part in parts]
        halves.append(native.consolidate_times(flat.concat(fetched)))
    return OutputBatch(*halves)


async def partition_count(connection: KafkaConnection, topic: str | None, timeout_s: float) -> int:
    """Return how many partitions a topic has, 0 if there is none of that name.

    Without a topic the number says nothing, but that the brokers answer.

    Raises: ConnectionFailure.
    """
    encoded = msgspec.msgpack.encode(connection)
    try:
        return await asyncio.to_thread(
            native.kafka_partition_count, encoded, topic, round(timeout_s * 1_000)
        )
    except native.SourceUnavailable as error:
        raise ConnectionFailure(str(error)) from error
