"""Kafka topics: a thread in Rust polls and decodes, this side takes batches and binds offsets."""

import asyncio
import os

import msgspec

from headwater.errors import ConnectionFailure, ObjectNotInPrerequisiteState
from headwater.ir.ingestion import IngestionDescription, KafkaSource, UpsertEnvelope
from headwater.native.loader import native
from headwater.persist import flat
from headwater.persist.client import PersistClient
from headwater.storage.sources.reader import OutputBatch, SourceBatch
from headwater.types.time import Timestamp


class KafkaReader:
    """One topic, from the offsets that were bound last."""

    def __init__(self, source: KafkaSource, bound: dict[int, int], held: OutputBatch) -> None:
        self._bound = bound
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ready = asyncio.Event()
        options = msgspec.msgpack.encode(source)
        self._native = native.KafkaReader(options, bound, held.updates, held.errors, self._fd)
        asyncio.get_running_loop().add_reader(self._fd, self._signalled)

    async def next(self, wait_s: float) -> SourceBatch | None:
        """Return what was read since the last call, waiting for at most ``wait_s`` seconds.

        Raises:
            ConnectionFailure: The brokers are out of reach; the reader goes on trying.
            ObjectNotInPrerequisiteState: The records to be read next are gone.
        """
        batch = self._take()
        if batch is None and wait_s > 0:
            try:
                async with asyncio.timeout(wait_s):
                    await self._ready.wait()
            except TimeoutError:
                return None
            batch = self._take()
        return batch

    def committed(self, batch: SourceBatch) -> None:
        """Offsets are bound in our own collection; upstream is not told."""

    async def close(self) -> None:
        """Stop the thread; what it has read and not handed over is read again."""
        asyncio.get_running_loop().remove_reader(self._fd)
        await asyncio.to_thread(self._native.close)
        os.close(self._fd)

    def _signalled(self) -> None:
        os.eventfd_read(self._fd)
        self._ready.set()

    def _take(self) -> SourceBatch | None:
        self._ready.clear()
        taken, problem, known = self._native.take()
        if taken is None:
            if problem is not None:
                definite, text = problem
                raise ObjectNotInPrerequisiteState(text) if definite else ConnectionFailure(text)
            return None
        updates, errors, offsets, messages, size = taken
        return SourceBatch(
            outputs={"": OutputBatch(updates, errors)},
            bindings=self._bind(offsets),
            messages=messages,
            bytes=size,
            offset_known=known,
            offset_committed=sum(self._bound.values()),
        )

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
) -> KafkaReader:
    """Open a topic at the offsets that ``bindings`` (flat rows of the remap collection) say.

    Envelopes that need to know what the output holds are given its snapshot.

    Raises:
        ConnectionFailure: The source can't be opened.
    """
    bound = native.kafka_offsets(bindings or flat.EMPTY)
    held = OutputBatch()
    if bound and isinstance(source.envelope, UpsertEnvelope):
        held = await _snapshot(ingestion, persist)
    try:
        return KafkaReader(source, bound, held)
    except native.SourceUnavailable as error:
        raise ConnectionFailure(str(error)) from error
    except native.SourceDefinite as error:
        raise ObjectNotInPrerequisiteState(str(error)) from error


async def _snapshot(ingestion: IngestionDescription, persist: PersistClient) -> OutputBatch:
    (export,) = ingestion.exports
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
