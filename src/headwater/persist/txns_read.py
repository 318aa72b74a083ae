"""Reading a table: its shard, and the transaction shard's entries that it does not have yet."""

from collections.abc import Awaitable, Callable

from headwater.persist.holds import ShardLog
from headwater.persist.log import VersionLog
from headwater.persist.machine import ShardState
from headwater.persist.parts import Delta, Part, PartRef, Snapshot
from headwater.persist.read import Fetcher, ReadHandle, check_readable, refs_between, snapshot_of
from headwater.persist.txns_machine import TxnOp, TxnsState, parts_between
from headwater.types.frontier import Frontier, join, less_equal, precedes
from headwater.types.time import TIMESTAMP_MIN, Timestamp


class TableReadHandle(ReadHandle):
    """A reader of one table: its shard, and the entries that are not applied yet."""

    def __init__(
        self,
        fetcher: Fetcher,
        log: ShardLog,
        txns: VersionLog[TxnsState, TxnOp],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(fetcher, log, close)
        self.txns = txns
        self._seen: Frontier = TIMESTAMP_MIN

    @property
    def upper(self) -> Frontier:
        """Return the upper as this process knows it."""
        state = self.txns.state
        own = state.upper if self.shard in state.tables else self.log.state.upper
        self._seen = join((self._seen, own))
        return self._seen

    async def wait_upper(self, time: Timestamp) -> None:
        """Return when ``upper`` is beyond ``time``."""
        await self.txns.wait(lambda state: state.upper > time or self.shard not in state.tables)
        if self.shard not in self.txns.state.tables:
            await self.log.wait(lambda state: not less_equal(state.upper, time))

    async def snapshot(self, as_of: Timestamp) -> Snapshot:
        """Return the table as of a time, once its upper is beyond it."""
        check_readable(self.shard, self.since, as_of)
        await self.wait_upper(as_of)
        txns, state = await self._both()
        check_readable(self.shard, state.since, as_of)
        own = snapshot_of(self.shard, state, as_of)
        until = Timestamp(as_of + 1)
        entries = tuple(
            PartRef(shard=self.shard, part=part, upper=until, as_of=as_of)
            for part in self._entries(txns, state, TIMESTAMP_MIN, until)
        )
        return Snapshot(as_of=as_of, parts=own.parts + entries, errors=own.errors)

    async def _both(self) -> tuple[TxnsState, ShardState]:
        """Return both states, the shard's at least as new as the entries' want it."""
        txns = self.txns.state
        if not precedes(txns.tables.get(self.shard, TIMESTAMP_MIN), self.log.state.upper):
            await self.log.refresh()
        return txns, self.log.state

    async def _delta(self, lower: Timestamp) -> Delta:
        txns, state = await self._both()
        upper: Frontier = txns.upper if self.shard in txns.tables else state.upper
        if state.since is None:  # the shard is gone
            check_readable(self.shard, state.since, Timestamp(lower - 1))
        parts, errors = refs_between(self.shard, state.batches, lower, upper)
        entries = tuple(
            PartRef(shard=self.shard, part=part, lower=lower, upper=upper)
            for part in self._entries(txns, state, lower, upper)
        )
        return Delta(lower=lower, upper=upper, parts=parts + entries, errors=errors)

    def _entries(
        self, txns: TxnsState, state: ShardState, lower: Timestamp, upper: Frontier
    ) -> list[Part]:
        """Return the entries' parts in ``[lower, upper)`` that the shard does not have."""
        if state.upper is None:
            return []
        return parts_between(txns, self.shard, max(lower, state.upper), upper)
