"""Group commit: the writes of all sessions, one time and one append a round.

While one round is being made durable the next one gathers, and perhaps a moment longer
(``gathering``). A round takes one write time from the oracle, commits all tables' updates through
the transaction shard, applies the time, and answers. An idle timeline is advanced every
:data:`TICK_S` seconds, so that reads at "now" do not stall, and at once when a read waits for it
(:meth:`GroupCommit.nudge`). Each round confirms that no newer server has taken over, and so extends
the lease by which reads trust the oracle (``lease``).

Keys are enforced here: all writers of a table are seen in one order, and of two that take the same
key in one round the first wins. What a write consists of may depend on the keys that are free when
its turn comes: a function in place of the updates is called then.

Prepared single-row INSERTs, while nothing else writes, are committed by the store itself
(``lending``): a round takes the transaction shard back, and lends it again.

Read-then-write statements read at t and must find that nobody has written to what they read since:
``unless_written_since``. One that lost such a race once may lock its tables for the next try: then
other writers to them wait.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from headwater.adapter.constraints import Keys, no_table
from headwater.adapter.gathering import Gathering
from headwater.adapter.lease import ReadLease
from headwater.adapter.lending import Lending
from headwater.adapter.oracle import TimestampOracle
from headwater.adapter.txns import Txns, Updates
from headwater.errors import (
    AdminShutdown,
    ConnectionFailure,
    HeadwaterError,
    SerializationFailure,
)
from headwater.persist import flat
from headwater.persist.rounds import Round
from headwater.runtime.clock import Clock
from headwater.runtime.tasks import Tasks
from headwater.types.ids import ShardId
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp

logger = logging.getLogger(__name__)

# An idle timeline advances this often.
TICK_S = 1.0
_RETRY_S = 0.2

# Tells, when the turn of a write has come, why it must not be made; None where it may.
Refusal = Callable[[], HeadwaterError | None]


class WriteConflict(SerializationFailure):
    """A table that a statement has read was written to before the statement could write."""

    sqlstate = "40001"


class _Write:
    """One session's writes, waiting for their round."""

    def __init__(
        self,
        updates: Updates,
        read_at: Mapping[ShardId, Timestamp],
        owner: object,
        resolve: Callable[[], Updates] | None,
        refusal: Refusal | None,
        writers: int,
        *,
        fast: bool,
    ) -> None:
        self.refusal = refusal
        self.writers = writers
        self.fast = fast
        self.updates = updates
        self.resolve = resolve
        self.read_at = read_at
        self.owner = owner
        self.done: asyncio.Future[Timestamp] = asyncio.get_running_loop().create_future()


class GroupCommit:
    """See the module. One a timeline; :meth:`run` is its task.

    Args:
        on_applied: Called with each time that has become readable, at once.
        on_failure: Called once with the error that ends the server: it is fenced, or lost its
            store for good.
        on_lease: Told until when reads may trust the oracle; nanoseconds of the monotonic clock.
        lending: Where there is a store that can commit by itself.
    """

    def __init__(
        self,
        oracle: TimestampOracle,
        txns: Txns,
        clock: Clock,
        tasks: Tasks,
        *,
        keys: Keys | None = None,
        on_applied: Callable[[Timestamp], None] = lambda _: None,
        on_failure: Callable[[HeadwaterError], None] = lambda _: None,
        on_lease: Callable[[int], None] = lambda _: None,
        lending: Lending | None = None,
    ) -> None:
        self._oracle = oracle
        self._txns = txns
        self._clock = clock
        self._tasks = tasks
        self.keys = keys or Keys(no_table)
        self._on_applied = on_applied
        self._on_failure = on_failure
        self._pending: list[_Write] = []
        self._nudged: Timestamp = Timestamp(0)
        self._wake = asyncio.Event()
        self._written: dict[ShardId, Timestamp] = {}
        self._start = oracle.read_ts()
        self._locks: dict[ShardId, object] = {}
        self._unlocked = asyncio.Condition()
        self._turn = asyncio.Lock()  # one change of the transaction shard at a time
        self._failure: HeadwaterError | None = None
        self._lease = ReadLease(clock, on_lease)
        self._gathering = Gathering()
        self._writers = 0  # that are pending
        self._enough: asyncio.Future[bool] | None = None  # a round waits for more of them
        self.rounds = 0
        self._lending = lending
        if lending is not None:
            lending.follow(self._followed)

    def start(self) -> None:
        """Begin to commit and to tick."""
        self._tasks.spawn(self._run(), name="group-commit")

    async def close(self) -> None:
        """Commit nothing more, and say so to whoever takes over; no session may be left."""
        async with self._alone():
            if self._failure is None:
                self._failure = AdminShutdown("the server is shutting down")
                await self._txns.leave()

    async def confirmed(self) -> None:
        """Return at a moment up to which no newer server has acknowledged anything.

        A strict serializable read passes here between being asked for and choosing its time.

        Raises:
            Fenced: There is a newer server.
        """
        if not self._lease.holds():
            self._wake.set()
            await self._lease.wait()

    async def write(
        self,
        updates: Updates,
        *,
        unless_written_since: Mapping[ShardId, Timestamp] | None = None,
        owner: object = None,
        resolve: Callable[[], Updates] | None = None,
        refusal: Refusal | None = None,
    ) -> Timestamp:
        """Commit ``updates`` (flat batches by table; times are ignored) and return their time.

        Durable, and visible to every read that begins after the return. ``resolve`` gives the
        updates when the write's turn comes; ``updates`` only names their tables then. ``refusal``
        is asked before: what it returns is raised.

        Raises:
            UniqueViolation: A key is taken.
            WriteConflict: A table of ``unless_written_since`` was written after the time given.
            Fenced: A newer server has taken over.

        Cancellation: the write may or may not happen.
        """
        await self.keys.load(list(updates))
        done = self.submit(updates, unless_written_since, owner, resolve, refusal=refusal)
        return await asyncio.shield(done)

    def submit(
        self,
        updates: Updates,
        unless_written_since: Mapping[ShardId, Timestamp] | None = None,
        owner: object = None,
        resolve: Callable[[], Updates] | None = None,
        *,
        refusal: Refusal | None = None,
        writers: int = 1,
        fast: bool = False,
    ) -> "asyncio.Future[Timestamp]":
        """Begin what :meth:`write` waits for, with the keys of the tables known already.

        The future is nobody's to cancel. ``writers``: how many sessions wait for it. ``fast``: the
        store could commit it by itself.
        """
        self._check()
        read_at = unless_written_since or {}
        write = _Write(updates, read_at, owner, resolve, refusal, writers, fast=fast)
        self._pending.append(write)
        self._writers += writers
        self._wake.set()
        if self._enough is not None and self._writers >= self._gathering.expected:
            _settle(self._enough, enough=True)
        return write.done

    async def register(self, tables: Sequence[tuple[ShardId, RelationDesc]]) -> Timestamp:
        """Let new tables take part; return the time from which they are readable (and empty)."""
        async with self._alone():
            self._check()
            ts = self._oracle.write_ts()
            await self._guard(lambda: self._txns.register(ts, tables))
            self._applied(ts)
            return ts

    async def forget(self, tables: Sequence[ShardId]) -> None:
        """Let dropped tables no longer take part."""
        async with self._alone():
            self._check()
            ts = self._oracle.write_ts()
            await self._guard(lambda: self._txns.forget(ts, tables))
            self._applied(ts)
            for shard in tables:
                self._written.pop(shard, None)

    def nudge(self, time: Timestamp) -> None:
        """Advance all tables past ``time`` now, or as soon as the wall clock has reached it."""
        upper = self._txns.upper
        if upper is None or upper > time:
            return
        if self._lending is not None and self._lending.nudge(time):
            return
        if time > self._nudged:
            self._nudged = time
            self._wake.set()

    @asynccontextmanager
    async def locked(self, tables: Sequence[ShardId]) -> AsyncIterator[object]:
        """Hold back other writers to ``tables``; yields the owner to write as.

        What the owner reads from here on stays true until it writes: no write of others to
        ``tables`` is on its way any more.
        """
        owner = object()
        async with self._unlocked:
            await self._unlocked.wait_for(lambda: not any(t in self._locks for t in tables))
            self._locks.update(dict.fromkeys(tables, owner))
        try:
            async with self._alone():
                pass  # a round that was taken before the lock may write what is locked
            yield owner
        finally:
            for table in tables:
                self._locks.pop(table, None)
            async with self._unlocked:
                self._unlocked.notify_all()
            self._wake.set()

    @asynccontextmanager
    async def changing_catalog(self) -> AsyncIterator[None]:
        """Keep rows that were made for the catalog as it was out, from now on."""
        if self._lending is None:
            yield
            return
        with self._lending.withheld():
            await self._lending.take_back()
            yield

    @asynccontextmanager
    async def _alone(self, *, briefly: bool = False) -> AsyncIterator[None]:
        """Be the one writer of the transaction shard; ``briefly``: rows may wait for it."""
        async with self._turn:
            if self._lending is None:
                yield
                return
            await self._lending.take_back(soon=briefly)
            yield
            await self._hand_over(self._lending)

    async def _hand_over(self, lending: Lending) -> None:
        """Lend the shard, now or after the round of what is pending; or keep it."""
        if self._failure is None and not self._locks:
            if self._pending:
                if all(write.fast for write in self._pending) and lending.announce():
                    return
            elif lending.lend():
                # Who comes next is not waited for here: he goes to the store.
                self._gathering = Gathering()
                return
        await lending.release()

    def _followed(self, round: Round) -> None:
        """Take note of a round that the store has committed."""
        self.rounds += 1
        for shard in round.tables:
            self._written[shard] = round.time
        self._lease.confirm(round.began)
        self._applied(round.time)
        if self._txns.is_untidy:
            self._wake.set()

    # The task

    async def _run(self) -> None:
        while self._failure is None:
            try:
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
            except TimeoutError:
                if self._lending is not None and self._lending.ticked():
                    self._lending.nudge(self._clock.now_ms())
                    continue
            await self._gather()
            async with self._alone(briefly=True):
                self._wake.clear()
                try:
                    await self._round()
                except HeadwaterError as error:
                    self._fail(error)

    async def _gather(self) -> None:
        """Wait a moment for those who were answered by the last round, if that is worth it."""
        moment_s = self._gathering.moment_s(self._writers) if self._writers else 0.0
        if not moment_s:
            return
        loop = asyncio.get_running_loop()
        self._enough = loop.create_future()
        late = loop.call_later(moment_s, _settle, self._enough)
        try:
            self._gathering.waited(in_vain=not await self._enough)
        finally:
            late.cancel()
            self._enough = None

    async def _round(self) -> None:
        """Commit what is pending; with nothing pending advance the timeline."""
        batch = self._take()
        if not batch:
            await (self._tidy() if self._txns.is_untidy else self._advance())
            return
        began = self._clock.monotonic()
        ts = self._oracle.write_ts()
        updates: dict[ShardId, list[bytes]] = {}
        for write in batch:
            for shard, data in write.updates.items():
                updates.setdefault(shard, []).append(data)
        merged = {shard: flat.concat(parts) for shard, parts in updates.items()}
        try:
            await self._guard(lambda: self._txns.commit(ts, merged))
        except HeadwaterError as error:
            for write in batch:
                self.keys.retract(write.updates)
                _refuse(write, error)
            if isinstance(error, ConnectionFailure):
                raise
            if not error.retryable or self._fenced(error):
                raise
            return  # nothing was written: a full disk, say
        self.rounds += 1
        if self._lending is not None:
            self._lending.want(all(write.fast for write in batch))
        answered = sum(write.writers for write in batch)
        self._gathering.ended(answered, self._writers, self._clock.monotonic() - began)
        for shard in merged:
            self._written[shard] = ts
        self._applied(ts)
        for write in batch:
            if not write.done.done():
                write.done.set_result(ts)

    def _take(self) -> list[_Write]:
        """Return the writes of this round; refuse those that lost their race."""
        taken: list[_Write] = []
        kept: list[_Write] = []
        writing: set[ShardId] = set()
        for write in self._pending:
            if any(
                self._locks.get(shard, write.owner) is not write.owner for shard in write.updates
            ):
                kept.append(write)
                continue
            stale = [
                shard
                for shard, ts in write.read_at.items()
                if shard in writing or self._written.get(shard, self._start) > ts
            ]
            if stale:
                _refuse(
                    write,
                    WriteConflict("could not serialize access due to concurrent update"),
                )
                continue
            refused = None if write.refusal is None else write.refusal()
            if refused is not None:
                _refuse(write, refused)
                continue
            if write.resolve is not None:
                write.updates = write.resolve()
            violation = self.keys.admit(write.updates)
            if violation is not None:
                _refuse(write, violation)
                continue
            writing.update(shard for shard, data in write.updates.items() if flat.count(data))
            taken.append(write)
        self._pending = kept
        self._writers = sum(write.writers for write in kept)
        return taken

    async def _advance(self) -> None:
        target = max(self._nudged, Timestamp(0))
        ahead = target - self._clock.now_ms()
        upper = self._txns.upper
        waiting = upper is not None and upper <= target
        if waiting and 0 < ahead <= TICK_S * 1_000:
            await self._clock.sleep(ahead / 1_000)
        ts = self._oracle.write_ts()
        try:
            await self._guard(lambda: self._txns.advance(ts))
        except HeadwaterError as error:
            if not error.retryable or self._fenced(error):
                raise
            # Nothing was written, on a full disk, say: the timeline stands until there is room.
            logger.warning("the timeline can't advance", extra={"why": str(error)})
            await self._guard(self._txns.confirm)
            await self._clock.sleep(_RETRY_S)
            return
        self._applied(ts)

    async def _tidy(self) -> None:
        try:
            await self._guard(self._txns.tidy)
        except HeadwaterError as error:
            if not error.retryable or self._fenced(error):
                raise
            logger.warning("the transaction shard can't be tidied", extra={"why": str(error)})
            await self._clock.sleep(_RETRY_S)

    def _applied(self, ts: Timestamp) -> None:
        self._oracle.apply_write(ts)
        self._on_applied(ts)

    async def _guard(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do ``act``; where the store does not answer, try the very same again until it does."""
        while True:
            asked_at = self._clock.monotonic()
            try:
                await act()
            except ConnectionFailure as error:
                logger.warning("the store does not answer; trying again", extra={"why": str(error)})
                await self._clock.sleep(_RETRY_S)
                continue
            self._lease.confirm(asked_at)
            return

    def _fenced(self, error: HeadwaterError) -> bool:
        return error.sqlstate == "57P04"

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: HeadwaterError) -> None:
        self._failure = error
        for write in self._pending:
            _refuse(write, error)
        self._pending = []
        self._lease.end(error)
        self._on_failure(error)


def _settle(future: "asyncio.Future[bool]", *, enough: bool = False) -> None:
    if not future.done():
        future.set_result(enough)


def _refuse(write: _Write, error: HeadwaterError) -> None:
    if not write.done.done():
        write.done.set_exception(error)
        write.done.exception()  # a client that is gone does not ask
