"""Storage usage: the bytes of each shard at a time, as rows."""

from collections.abc import Iterator

from headwater.adapter.coordinator import Coordinator
from headwater.catalog import rows as r
from headwater.catalog.rows import TableRow
from headwater.persist.usage import stored_bytes

HISTORY = "mz_internal.mz_storage_usage_by_shard"
_MICROS_PER_MS = 1_000
# The low bits of a row's id count the shards of one collection; those above are its time in ms.
_SHARD_BITS = 20


def usage_rows(coord: Coordinator, at_ms: int) -> Iterator[TableRow]:
    """Yield the size of every shard that is stored at ``at_ms`` (since the epoch)."""
    sizes = sorted(stored_bytes(coord.persist).items())
    for number, (shard, size) in enumerate(sizes[: 1 << _SHARD_BITS]):
        yield (
            HISTORY,
            b"".join(
                (
                    r.integer(at_ms << _SHARD_BITS | number),
                    r.text(shard),
                    r.integer(size),
                    r.integer(at_ms * _MICROS_PER_MS),
                )
            ),
        )
