"""Whether a round of the group commit waits for more writers, for how many, and how long.

Writers that wait for their answers fall into two groups, of which one gathers while the other's
round is made durable: everybody waits for a round and a half. If instead a round waits a moment for
those who have just been answered, all share every round::

    two groups   |- AAAA -|- BBBB -|- AAAA -|- BBBB -|      a writer has a turn every two rounds
    gathered     |- AAAABBBB -| |- AAAABBBB -|              every round, and a moment more

The moment is worth it while it is short beside the round. Who does not come back in time (he has
other things to do) is not waited for again, for longer and longer.
"""

# A moment is at most this part of the last round, and this long.
SHARE_OF_ROUND = 0.5
MOMENT_MAX_S = 0.002
# After as many vain moments in a row, so many rounds go without (doubling).
_ROUNDS_WITHOUT_MAX = 64


class Gathering:
    """See the module. Knows numbers alone; the group commit tells them and waits."""

    def __init__(self) -> None:
        self.expected = 0
        self._moment_s = 0.0
        self._without = 0
        self._next_without = 1

    def moment_s(self, waiting: int) -> float:
        """Return for how many seconds a round with ``waiting`` writers should wait for others."""
        if waiting >= self.expected:
            return 0.0
        if self._without:
            self._without -= 1
            return 0.0
        return self._moment_s

    def waited(self, *, in_vain: bool) -> None:
        """Note whether those who were waited for have come."""
        if in_vain:
            self._without = self._next_without
            self._next_without = min(self._next_without * 2, _ROUNDS_WITHOUT_MAX)
        else:
            self._next_without = 1

    def ended(self, answered: int, waiting: int, seconds: float) -> None:
        """Note the end of a round that took so long, with so many more waiting by then."""
        self.expected = answered + waiting
        self._moment_s = min(seconds * SHARE_OF_ROUND, MOMENT_MAX_S)
