"""Who commits: the group commit here, or the store by itself.

A store that can (``persist.rounds``) is lent the transaction shard while all that is written are
rows of prepared single-row INSERTs: the front hands them to the store, and the interpreter learns
of them afterwards. Whatever else wants to write takes the shard back first::

    group commit:  round (fast rows only) ── lend ·············· take back ── UPDATE, DDL, tick ──
    store:                                    └─ round ─ round ─ round ─┘

For a round of the group commit the shard is away for a moment only: rows that come meanwhile wait
in the store for the next loan. Before the first loan it is *announced*, so that rows cease to come
to the group commit, which could otherwise go on for ever with always some of them pending.

What the group commit knows of tables (when they were written, up to when the lease holds) follows
with each round that is told; when the shard has been taken back all of them are.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from headwater.persist.rounds import Loan, Round, RoundStore


class Lender(Protocol):
    """The transaction shard as a lender sees it; see ``headwater.persist.txns``."""

    def loan(self, catalog_version: int, token: bytes) -> Loan | None:
        """Return what a store must know to commit rounds; None while the shard is being changed."""
        ...


class Lending:
    """See the module.

    Args:
        store: Who is lent to.
        lender: The transaction shard.
        catalog_version: Tells the version of the catalog that rows must be made for.
        token: Gives eight bytes that no other loan has.
    """

    def __init__(
        self,
        store: RoundStore,
        lender: Lender,
        catalog_version: Callable[[], int],
        token: Callable[[], bytes],
    ) -> None:
        self._store = store
        self._lender = lender
        self._catalog_version = catalog_version
        self._token = token
        self._withheld = 0
        self._taking = asyncio.Lock()
        self._used = False
        self._wanted = False
        self._announced = False
        self.lent = False
        self._on_round: Callable[[Round], None] = lambda _: None
        store.follow(self._told, self._ended)

    def follow(self, on_round: Callable[[Round], None]) -> None:
        """Name who is told of rounds, in order."""
        self._on_round = on_round

    def lend(self) -> bool:
        """Lend if that is worth it, and nothing speaks against it; nobody is writing.

        Returns:
            Whether the shard is lent now. Otherwise :meth:`release` is to follow.
        """
        if self.lent or not self._is_worth_it():
            return self.lent
        loan = self._lender.loan(self._catalog_version(), self._token())
        if loan is not None:
            self.lent = True
            self._announced = False
            self._store.lend(loan)
        return self.lent

    def announce(self) -> bool:
        """Have rows go to the store, which is lent the shard after the next round.

        Returns:
            Whether that is worth it. Otherwise :meth:`release` is to follow.
        """
        if not self._is_worth_it():
            return False
        self._announced = True
        self._store.announce()
        return True

    def want(self, wanted: bool) -> None:
        """Note whether the last round has written nothing but what the store could have."""
        self._wanted = wanted
        self._used = True

    def ticked(self) -> bool:
        """Note that a tick has passed: what is not used is not lent again.

        Returns:
            Whether the store is lent the shard and uses it.
        """
        self._wanted = self._wanted and self._used
        self._used = False
        return self.lent and self._wanted

    async def take_back(self, *, soon: bool = False) -> None:
        """Return when nothing is lent, and every round has been told.

        ``soon``: rows may wait for the next loan; :meth:`lend` or :meth:`release` follows.
        """
        async with self._taking:
            if self.lent or (self._announced and not soon):
                await self._store.take_back(soon=soon)
                self.lent = False
                self._announced = soon

    async def release(self) -> None:
        """Give rows that wait for a loan to Python: none follows."""
        if self._announced:
            await self.take_back()

    @contextmanager
    def withheld(self) -> Iterator[None]:
        """Lend nothing meanwhile; what is lent is not taken back by this."""
        self._withheld += 1
        try:
            yield
        finally:
            self._withheld -= 1

    def nudge(self, time: int) -> bool:
        """Have the store move the tables past ``time``; return whether it is its business."""
        if self.lent:
            self._store.nudge(time)
        return self.lent

    def _is_worth_it(self) -> bool:
        return self._wanted and not self._withheld

    def _told(self, round: Round) -> None:
        self._used = True
        self._on_round(round)

    def _ended(self) -> None:
        self.lent = self._announced = False
