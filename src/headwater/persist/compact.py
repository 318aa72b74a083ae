"""Compaction and garbage: what keeps a shard's state and storage small.

Batches are merged in the manner of a geometric spine: from the newest backwards a run grows while
the next older batch is not much larger than the run, so that every update is rewritten some
``log(size)`` times. Merging advances times to ``since`` and consolidates. What a merge replaces
stays in the blob store until no reader can be reading it any more.
"""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from typing import Protocol

import msgspec

from headwater.errors import HeadwaterError, InternalError, ObjectNotInPrerequisiteState
from headwater.persist import codec
from headwater.persist.blob import Blob
from headwater.persist.holds import Committer, ShardLog
from headwater.persist.log import Change
from headwater.persist.machine import Batch, Collected, Expire, ReplaceBatches, ShardState
from headwater.persist.parts import BlobPart, InlinePart, Part, PartRef
from headwater.runtime.clock import Clock
from headwater.types.ids import ShardId
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp

logger = logging.getLogger(__name__)

GROWTH = 2  # an older batch joins a run up to so many times the run's size
SMALL_BYTES = 64 << 10  # what is smaller than this costs nothing to rewrite
INPUT_BYTES_MAX = 128 << 20  # of one merge, about, flat: all of it is in memory at once
UPDATE_BYTES = 40  # what an update of a Parquet part is assumed to take, flat
ROUNDS_MAX = 4  # merges of one shard in a row; others wait
COLLECT_MAX = 64  # blobs removed in one go
ORPHAN_MS = 86_400_000  # an upload that nothing refers to after a day was abandoned


class Settings(Protocol):
    """The part of the client's configuration that matters here."""

    @property
    def compact_batches(self) -> int:
        """Return the number of batches that a shard may have."""
        ...

    @property
    def compact_inline_bytes(self) -> int:
        """Return the inline bytes that a shard may have."""
        ...

    @property
    def part_bytes(self) -> int:
        """Return the size of the parts to be made, flat."""
        ...

    @property
    def garbage_ms(self) -> int:
        """Return how long a blob stays after its last reference."""
        ...


class PartStore(Committer, Protocol):
    """What reads and writes parts: the client."""

    blob: Blob
    clock: Clock

    @property
    def inline_bytes_max(self) -> int:
        """Return the size up to which parts live in the log."""
        ...

    async def fetch(self, ref: PartRef) -> bytes:
        """Return a part as stored."""
        ...

    async def store_part(self, shard: ShardId, encoded: codec.EncodedPart) -> BlobPart:
        """Write an encoded part to the blob store."""
        ...


def is_due(state: ShardState, settings: Settings) -> bool:
    """Return whether the shard has too many batches or too many inline bytes."""
    if state.since is None or len(state.batches) < 2:
        return False
    if len(state.batches) > settings.compact_batches:
        return True
    inline = 0
    for batch in state.batches:
        if not batch.is_empty:
            parts = (*batch.parts, *batch.errors)
            inline += sum(len(part.data) for part in parts if isinstance(part, InlinePart))
    return inline > settings.compact_inline_bytes


def choose_run(batches: Sequence[Batch]) -> Sequence[Batch]:
    """Return the neighbouring batches to be merged; fewer than two: nothing to do."""
    sizes = [_flat_bytes(batch) for batch in batches]
    size, start = 0, len(batches)
    while start > 0:
        older = sizes[start - 1]
        if start < len(batches) and older > GROWTH * max(size, SMALL_BYTES):
            break
        size += older
        start -= 1
    if len(batches) - start >= 2:
        return batches[start:]
    # The newest batch is much smaller than the one before it: take the cheapest pair.
    pairs = [(sizes[i] + sizes[i + 1], i) for i in range(len(batches) - 1)]
    first = min(pairs)[1] if pairs else 0
    return batches[first : first + 2] if pairs else ()


def ranges_of(run: Sequence[Batch], bytes_max: int) -> list[codec.RowRange]:
    """Cut the rows of a run into ranges, to be merged one after the other.

    The cuts are where parts of the largest batch begin, so that no range has more than about
    ``bytes_max`` of it; the other batches' rows are spread more or less alike.
    """
    largest = max(run, key=_flat_bytes)
    parts = [part for part in largest.parts if isinstance(part, BlobPart)]
    parts.sort(key=lambda part: part.first)
    share = bytes_max * _flat_bytes(largest) // max(sum(map(_flat_bytes, run)), 1)
    cuts: list[bytes] = []
    size = 0
    for part in parts:
        if size > 0 and size + _part_bytes(part) > share and part.first > (cuts or [b""])[-1]:
            cuts.append(part.first)
            size = 0
        size += _part_bytes(part)
    edges = [None, *cuts, None]
    return [codec.RowRange(low, high) for low, high in itertools.pairwise(edges)]


def _part_bytes(part: Part) -> int:
    if isinstance(part, InlinePart):
        return len(part.data)
    return part.updates * UPDATE_BYTES + part.bytes


def _flat_bytes(batch: Batch) -> int:
    return sum(_part_bytes(part) for part in (*batch.parts, *batch.errors))


async def compact(store: PartStore, log: ShardLog, settings: Settings) -> bool:
    """Merge one run of batches; return whether the shard has changed.

    A merge that someone else has overtaken is dropped, with the parts it has written.
    """
    state = log.state
    run = choose_run(state.batches)
    if len(run) < 2 or state.since is None or state.desc is None:
        return False
    since, desc = state.since, state.desc
    written: list[Part] = []
    merged = Batch(
        lower=run[0].lower,
        upper=run[-1].upper,
        since=max(since, *(batch.since for batch in run)),
    )
    ranges = ranges_of(run, INPUT_BYTES_MAX)
    for errors in (False, True):
        parts = [part for batch in run for part in (batch.errors if errors else batch.parts)]
        half: list[Part] = []
        for within in [codec.EVERYWHERE] if errors else ranges:
            inputs = [part for part in parts if within.meets(part)]
            merge = _Merge(desc, inputs, since, within, errors)
            half += await _merge(store, log.shard, merge, settings)
        written.extend(half)
        merged = msgspec.structs.replace(merged, **{"errors" if errors else "parts": tuple(half)})
    try:
        await store.commit([Change(log, (ReplaceBatches(merged, store.clock.now_ms()),))])
    except ObjectNotInPrerequisiteState:
        for part in written:
            if isinstance(part, BlobPart):
                await store.blob.delete(part.key)
        return False
    logger.debug("compacted", extra={"shard": log.shard, "batches": len(run)})
    return True


class _Merge(msgspec.Struct, frozen=True):
    """What is to be merged in one go."""

    desc: RelationDesc
    parts: list[Part]
    since: Timestamp
    within: codec.RowRange
    errors: bool


async def _merge(store: PartStore, shard: ShardId, merge: _Merge, settings: Settings) -> list[Part]:
    """Return new parts with the updates of the old ones."""
    if not merge.parts:
        return []
    inputs = [(part, await store.fetch(PartRef(shard=shard, part=part))) for part in merge.parts]
    merged = await asyncio.to_thread(
        codec.merge,
        merge.desc,
        inputs,
        merge.since,
        settings.part_bytes,
        errors=merge.errors,
        within=merge.within,
    )
    result: list[Part] = []
    for encoded in merged:
        small = encoded.updates * UPDATE_BYTES <= store.inline_bytes_max
        flat = codec.to_flat(merge.desc, encoded) if small else b""
        if small and len(flat) <= store.inline_bytes_max // 4:
            result.append(codec.inline(flat))
        else:
            result.append(await store.store_part(shard, encoded))
    return result


def has_expired(state: ShardState, now_ms: int) -> bool:
    """Return whether a lease has run out."""
    return any(
        hold.expires_ms is not None and hold.expires_ms <= now_ms for hold in state.holds.values()
    )


def collectable(state: ShardState, now_ms: int, settings: Settings) -> tuple[str, ...]:
    """Return blobs that nothing refers to and nobody can be reading any more."""
    if not state.garbage:
        return ()
    readers = [hold.seqno for hold in state.holds.values() if hold.expires_ms is not None]
    return tuple(
        garbage.key
        for garbage in state.garbage[:COLLECT_MAX]
        if now_ms - garbage.dropped_ms >= settings.garbage_ms
        and all(seqno >= garbage.seqno for seqno in readers)
    )


def is_work_due(state: ShardState, now_ms: int, settings: Settings) -> bool:
    """Return whether :func:`maintain` would do anything."""
    return (
        is_due(state, settings)
        or has_expired(state, now_ms)
        or bool(collectable(state, now_ms, settings))
    )


async def collect(store: PartStore, log: ShardLog, settings: Settings) -> None:
    """Delete what is collectable, then forget it: a crash in between repeats the deletion."""
    keys = collectable(log.state, store.clock.now_ms(), settings)
    if not keys:
        return
    for key in keys:
        await store.blob.delete(key)
    await store.commit([Change(log, (Collected(keys),))])


async def sweep_orphans(store: PartStore, log: ShardLog, referenced: set[str]) -> int:
    """Delete a shard's blobs that were written but never committed; return how many.

    Args:
        store: The client.
        log: The shard.
        referenced: Keys that others refer to: the transaction shard's.
    """
    state = log.state
    known = {
        part.key
        for batch in state.batches
        for part in (*batch.parts, *batch.errors)
        if isinstance(part, BlobPart)
    } | {garbage.key for garbage in state.garbage}
    oldest = store.clock.now_ms() - ORPHAN_MS
    removed = 0
    for key in await store.blob.list(f"{log.shard}/"):
        written_ms = key.rpartition("/")[2].partition("-")[0]
        if key in known or key in referenced or not written_ms.isdigit():
            continue
        if int(written_ms) < oldest:
            await store.blob.delete(key)
            removed += 1
    return removed


async def maintain(store: PartStore, log: ShardLog, settings: Settings) -> None:
    """Do for one shard what is due; what fails is tried again the next time."""
    try:
        now = store.clock.now_ms()
        if has_expired(log.state, now):
            await store.commit([Change(log, (Expire(now),))])
        rounds = 0
        while (
            is_due(log.state, settings)
            and rounds < ROUNDS_MAX
            and await compact(store, log, settings)
        ):
            rounds += 1
        await collect(store, log, settings)
    except InternalError:
        raise
    except HeadwaterError as error:
        logger.warning("maintenance failed", extra={"shard": log.shard, "why": str(error)})
