"""What can go wrong with a shard, where a caller needs more than the message."""

from headwater.errors import Fenced, ShardUpperMismatch
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


def fenced(epoch: int) -> Fenced:
    """Return the error of an owner that the one of ``epoch`` has replaced."""
    return Fenced(
        "a newer server has taken this environment over",
        detail=f"Its epoch is {epoch}.",
        hint="Connect to the newer server, or stop it.",
    )
