"""Rounds of single-row inserts that a consensus store commits by itself, under a loan.

The store is lent the transaction shard as it stands; until it gives it back nobody else here writes
to it. The front hands it rows, it makes versions of them that are those of ``TxnsHandle.commit``
(``rust/hw-consensus``), and tells of each after it has answered::

    lend ─> rows ─> commit ─> answered        ... ─> rows ─> commit ─> answered
                                └─> on_round(…)                            └─> on_round(…)
                                                          take_back: returns after the last on_round

Where the shard is taken back for a moment only, rows that come meanwhile wait in the store.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from headwater.persist.consensus import SeqNo
from headwater.types.ids import ShardId
from headwater.types.time import Timestamp


class Loan(msgspec.Struct, frozen=True, kw_only=True):
    """What the store has to know of the transaction shard.

    Attributes:
        seqno: Its newest version; the loan does not begin where it is another.
        upper: The tables' upper.
        open: Whether something was written at ``upper`` already.
        epoch: The owner's.
        catalog_version: Rows made for another one are given back.
        inline_bytes_max: Of one table's part of a version.
        token: Eight bytes that no other loan has.
    """

    shard: ShardId
    seqno: SeqNo
    upper: Timestamp
    open: bool
    epoch: int
    catalog_version: int
    inline_bytes_max: int
    token: bytes


class Round(msgspec.Struct, frozen=True):
    """Rows that were committed at ``time``; ``began``: when, by the monotonic clock, in seconds."""

    time: Timestamp
    tables: tuple[ShardId, ...]
    began: float


class RoundStore(Protocol):
    """A consensus store that can do it."""

    def follow(self, on_round: Callable[[Round], None], on_ended: Callable[[], None]) -> None:
        """Name who is told, on the loop, of rounds and of loans that end by themselves."""
        ...

    def lend(self, loan: Loan) -> None:
        """Let the store commit rows from now on; ``on_ended`` follows where it can't."""
        ...

    def announce(self) -> None:
        """Have the store keep rows that come from now on: it is lent the shard soon.

        They wait for a bounded time; without the loan they are Python's to commit.
        """
        ...

    async def take_back(self, *, soon: bool) -> None:
        """Return when the store commits no more and all its rounds have been told.

        ``soon``: it is lent the shard again soon; as :meth:`announce`.
        """
        ...

    def nudge(self, time: int) -> None:
        """Have the tables' upper pass ``time`` as soon as the clock has; nothing without a loan."""
        ...
