"""What can go wrong with a shard, where a caller needs more than the message."""

from headwater.errors import ShardUpperMismatch
from headwater.types.frontier import Frontier, show
from headwater.types.ids import ShardId


class UpperMismatch(ShardUpperMismatch):
    """An append does not begin at the shard's upper.

    Attributes:
        shard: The shard.
        current: Its upper.
    """

    def __init__(self, shard: ShardId, lower: Frontier, current: Frontier) -> None:
        super().__init__(
            f"upper of shard {shard} is {show(current)}, not {show(lower)}",
            detail="Another writer has advanced the collection.",
        )
        self.shard = shard
        self.current = current
