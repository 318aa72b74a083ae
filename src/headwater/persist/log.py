"""A state machine kept in consensus: replay, optimistic commits, roll-ups, waiting.

:class:`VersionLog` holds one shard's state in memory, follows the pushes, and computes versions.
:func:`commit` moves several logs at once::

    compute versions from the states ─> consensus.commit ─ committed ─> states advance, waiters wake
             ^                                │ mismatch, or no answer
             └── replay what others wrote <───┘ (own token found among it: the commit had happened)

A version is a format byte and the machine's encoding of :class:`Ops` or :class:`Rollup`. Every
version carries the token of the commit that wrote it; the last tokens are part of roll-ups, so that
an author whose answer was lost recognises his own commit even after truncation.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Generic, TypeVar

import msgspec

from headwater.errors import (
    ConnectionFailure,
    DataCorrupted,
    HeadwaterError,
    IncompatibleVersion,
    IoError,
    invariant,
)
from headwater.persist.consensus import Cas, Consensus, SeqNo, within
from headwater.persist.machine import Machine, Ops, Rejection, Rollup
from headwater.runtime.clock import Clock
from headwater.types.ids import ShardId

logger = logging.getLogger(__name__)

FORMAT_VERSION = 2  # 2: times of the transaction shard that are still open
ROLLUP_EVERY = 64  # versions; replaying one costs some 5 us, so opening a shard takes no 1 ms
RECENT_TOKENS = 64  # commits of others that a lost answer may be late by
ROLLUP_BYTES_MAX = 16 << 20  # a state beyond this is a failure of compaction, and is logged
RETRY_SECONDS = 0.02

S = TypeVar("S")
O = TypeVar("O")  # noqa: E741 - pairs with S


class VersionLog(Generic[S, O]):
    """One shard's state in this process.

    Attributes:
        seqno: The version that ``state`` reflects; 0 before the first.
        state: An immutable value, replaced as versions arrive.
        rollup_every: After how many versions maintenance rolls the log up.
    """

    def __init__(
        self, shard: ShardId, machine: Machine[S, O], consensus: Consensus, timeout_s: float
    ) -> None:
        self.shard = shard
        self.machine = machine
        self.seqno = SeqNo(0)
        self.state = machine.initial()
        self.rollup_seqno = SeqNo(0)
        self.rollup_every = ROLLUP_EVERY
        self.lock = asyncio.Lock()
        self.failure: HeadwaterError | None = None
        self._consensus = consensus
        self._timeout_s = timeout_s
        self._recent: deque[bytes] = deque(maxlen=RECENT_TOKENS)
        self._waiters: dict[asyncio.Future[None], None] = {}  # woken in order of arrival
        self._refreshing: asyncio.Lock = asyncio.Lock()

    # Reading

    async def refresh(self) -> None:
        """Replay what consensus has beyond ``state``."""
        async with self._refreshing:
            versions = await within(
                self._timeout_s,
                f"reading shard {self.shard}",
                self._consensus.scan(self.shard, SeqNo(self.seqno + 1)),
            )
            self._replay(versions)

    async def wait(self, ready: Callable[[S], bool]) -> None:
        """Return when ``ready(state)`` holds."""
        while not ready(self.state):
            if self.failure is not None:
                raise self.failure
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = None
            try:
                await waiter
            finally:
                self._waiters.pop(waiter, None)

    def wrote(self, token: bytes) -> bool:
        """Return whether one of the last versions is the commit with this token."""
        return token in self._recent

    def push(self, seqno: SeqNo, data: bytes) -> bool:
        """Follow a pushed version; return whether a refresh is needed instead."""
        if seqno <= self.seqno:
            return False
        if seqno != self.seqno + 1:
            return True
        try:
            self._replay([(seqno, data)])
        except HeadwaterError as error:
            self.fail(error)
        return False

    def fail(self, error: HeadwaterError) -> None:
        """Give the log up: who waits or commits gets ``error``."""
        self.failure = error
        self._wake()

    # Writing

    def after(self, ops: Sequence[O]) -> S | Rejection:
        """Return the state that ``ops`` would lead to."""
        state, seqno = self.state, self.seqno + 1
        for op in ops:
            result = self.machine.apply(state, op, seqno)
            if isinstance(result, Rejection):
                return result
            state = result
        return state

    def advance(self, state: S, token: bytes) -> None:
        """Take over the state of a version that was just committed after the current one."""
        self.seqno = SeqNo(self.seqno + 1)
        self.state = state
        self._recent.append(token)
        self._wake()

    def encode(self, version: Ops[O] | Rollup[S]) -> bytes:
        """Return a version's bytes."""
        return bytes((FORMAT_VERSION,)) + self.machine.encode(version)

    async def rollup(self, token: bytes) -> None:
        """Write the state as a version and truncate what is before it; gives way to others."""
        async with self.lock:
            version = Rollup(token, self.state, tuple(self._recent))
            cas = Cas(self.shard, self.seqno or None, self.encode(version))
            if len(cas.data) > ROLLUP_BYTES_MAX:
                logger.warning(
                    "shard state is large", extra={"shard": self.shard, "bytes": len(cas.data)}
                )
            what = f"rolling up shard {self.shard}"
            result = await within(self._timeout_s, what, self._consensus.commit([cas]))
            if not result.committed:
                return
            if self.seqno < cas.seqno:  # the push may have been faster
                self.seqno = self.rollup_seqno = cas.seqno
        await self._consensus.truncate(self.shard, cas.seqno)

    # Replaying

    def _replay(self, versions: Sequence[tuple[SeqNo, bytes]]) -> None:
        before = self.seqno
        for seqno, data in self._from_last_rollup(versions):
            if seqno > self.seqno:
                self._step(seqno, self._decode(data))
        if self.seqno != before:
            self._wake()

    def _from_last_rollup(
        self, versions: Sequence[tuple[SeqNo, bytes]]
    ) -> Sequence[tuple[SeqNo, bytes]]:
        """Skip what a roll-up repeats, where the versions do not follow the state directly."""
        if not versions or versions[0][0] <= self.seqno + 1:
            return versions
        for i, (_, data) in enumerate(versions):
            if isinstance(self._decode(data), Rollup):
                return versions[i:]
        raise DataCorrupted(
            f"log of shard {self.shard} has no roll-up after its gap",
            detail=f"Version {self.seqno} is followed by {versions[0][0]}.",
        )

    def _step(self, seqno: SeqNo, version: Ops[O] | Rollup[S]) -> None:
        if isinstance(version, Rollup):
            self.state = version.state
            self._recent.clear()
            self._recent.extend(version.recent)
            self.rollup_seqno = seqno
        else:
            self._check_next(seqno)
            result = self.after(version.ops)
            if isinstance(result, Rejection):
                raise DataCorrupted(
                    f"version {seqno} of shard {self.shard} does not apply", detail=repr(result)
                )
            self.state = result
            self._recent.append(version.token)
        self.seqno = seqno

    def _check_next(self, seqno: SeqNo) -> None:
        if seqno != self.seqno + 1:
            raise DataCorrupted(
                f"log of shard {self.shard} has a gap",
                detail=f"Version {self.seqno} is followed by {seqno}.",
            )

    def _decode(self, data: bytes) -> Ops[O] | Rollup[S]:
        if not data:
            raise DataCorrupted(f"log of shard {self.shard} has an empty version")
        if data[0] > FORMAT_VERSION:
            raise IncompatibleVersion(
                f"shard {self.shard} was written by a newer version of headwater",
                detail=f"Its format is {data[0]}; this version reads up to {FORMAT_VERSION}.",
                hint="Start the version that wrote it, or a later one.",
            )
        try:
            return self.machine.decode(data[1:])
        except msgspec.DecodeError as err:
            raise DataCorrupted(f"log of shard {self.shard} is damaged", detail=f"{err}.") from err

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class Change(msgspec.Struct, frozen=True):
    """Ops for one log, or what gives them from the logs' states once these are locked."""

    log: "VersionLog[Any, Any]"
    ops: tuple[Any, ...] | Callable[[], tuple[Any, ...]]


class Rejected(msgspec.Struct, frozen=True):
    """The first change that did not apply, and why."""

    log: "VersionLog[Any, Any]"
    reason: Rejection


async def commit(
    consensus: Consensus,
    clock: Clock,
    changes: Sequence[Change],
    token: bytes,
    timeout_s: float,
) -> Rejected | None:
    """Apply all changes, or none and say why.

    Args:
        consensus: The store of all the logs.
        clock: Bounds the retries.
        changes: At most one a log.
        token: Fresh for every call.
        timeout_s: How long to go on where the store gives no answer.

    Raises:
        ConnectionFailure: No answer in time; the changes may or may not have been applied.
        DiskFull: Nothing was changed.

    Cancellation: the changes may or may not have been applied; the logs stay right.
    """
    logs = [change.log for change in changes]
    invariant(len({log.shard for log in logs}) == len(logs), "one change a shard")
    deadline = clock.monotonic() + timeout_s
    async with AsyncExitStack() as stack:
        for log in sorted(logs, key=lambda log: log.shard):
            await stack.enter_async_context(log.lock)
            if log.failure is not None:
                raise log.failure
        unsure = False
        while True:
            if any(log.wrote(token) for log in logs):
                return None
            attempt = _attempt(changes, token)
            if isinstance(attempt, Rejected):
                if unsure or await _refreshed(logs):
                    unsure = False
                    continue
                return attempt
            if not attempt:
                return None
            cas = [step.cas for step in attempt]
            try:
                left = max(deadline - clock.monotonic(), RETRY_SECONDS)
                result = await within(left, "committing", consensus.commit(cas))
            except (ConnectionFailure, IoError):
                if clock.monotonic() >= deadline:
                    raise
                await clock.sleep(RETRY_SECONDS)
                await _refresh_until(logs, clock, deadline)
                unsure = True
                continue
            if result.committed:
                for step in attempt:
                    if step.log.seqno + 1 == step.cas.seqno:  # else the push was faster
                        step.log.advance(step.state, token)
                return None
            await _refresh_until(
                [log for log in logs if log.shard in result.mismatched], clock, deadline
            )


class _Step(msgspec.Struct, frozen=True):
    """One log's version to be committed, and the state that it leads to."""

    log: "VersionLog[Any, Any]"
    cas: Cas
    state: Any


def _attempt(changes: Sequence[Change], token: bytes) -> Rejected | list[_Step]:
    steps = []
    for change in changes:
        log = change.log
        ops = change.ops() if callable(change.ops) else change.ops
        if not ops:
            continue
        state = log.after(ops)
        if isinstance(state, Rejection):
            return Rejected(log, state)
        cas = Cas(log.shard, log.seqno or None, log.encode(Ops(token, ops)))
        steps.append(_Step(log, cas, state))
    return steps


async def _refreshed(logs: "Sequence[VersionLog[Any, Any]]") -> bool:
    """Refresh all logs; return whether any has moved: a rejection may have been out of date."""
    before = [log.seqno for log in logs]
    for log in logs:
        await log.refresh()
    return before != [log.seqno for log in logs]


async def _refresh_until(
    logs: "Sequence[VersionLog[Any, Any]]", clock: Clock, deadline: float
) -> None:
    while True:
        try:
            for log in logs:
                await log.refresh()
            return
        except (ConnectionFailure, IoError):
            if clock.monotonic() >= deadline:
                raise
            await clock.sleep(RETRY_SECONDS)
