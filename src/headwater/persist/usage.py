"""How much is stored of each shard, as the states that this process follows know it."""

from collections import Counter
from collections.abc import Mapping

from headwater.persist.client import PersistClient
from headwater.persist.machine import ShardState
from headwater.persist.txns_machine import TxnsState
from headwater.types.ids import ShardId


def stored_bytes(client: PersistClient) -> Mapping[ShardId, int]:
    """Return the encoded bytes of all parts of each open shard; nothing is read.

    What was committed to a table and is not in its own shard yet counts as the table's. What is
    no longer referred to and waits to be deleted does not count.
    """
    sizes: Counter[ShardId] = Counter()
    for shard, log in client.logs.items():
        state = log.state
        if isinstance(state, ShardState):
            sizes[shard] += sum(
                part.bytes for batch in state.batches for part in (*batch.parts, *batch.errors)
            )
        elif isinstance(state, TxnsState):
            for entry in state.entries:
                for table, parts in entry.writes.items():
                    sizes[table] += sum(part.bytes for part in parts)
    return sizes
