"""Changing the catalog: every such statement is work prepared first, committed then, acted on last.

Outside of BEGIN a statement's work is committed at once. In an explicit transaction it is staged:
later statements see it, COMMIT makes all of it durable in one catalog commit, ROLLBACK forgets it.
"""

from collections.abc import Awaitable, Callable

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.session import Session
from headwater.catalog.ops import Op
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.catalog.transact import transact
from headwater.errors import ErrorFields, HeadwaterError, SerializationFailure
from headwater.types.ids import RoleId, ShardId

Before = Callable[[object], Awaitable[Callable[[], None]]]
After = Callable[[CatalogSnapshot], Awaitable[None]]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a statement does.

    Attributes:
        tag: The command tag.
        ops: The catalog's changes; none for IF NOT EXISTS of what exists.
        after: What controllers do once those are durable, given the snapshot that holds them.
        notices: What to tell the client.
        locks: Tables that nobody else may write to meanwhile.
        before: What is done first, and may refuse; it is given who may write to what is locked, and
            returns what is to be done at the moment at which the changes show.
        release: What is let go of in the end, whether or not the work could be done. Only work
            that is done at once may have it.
    """

    tag: str
    ops: tuple[Op, ...] = ()
    after: tuple[After, ...] = ()
    notices: tuple[ErrorFields, ...] = ()
    locks: tuple[ShardId, ...] = ()
    before: tuple[Before, ...] = ()
    release: tuple[Callable[[], None], ...] = ()


Prepare = Callable[[CatalogSnapshot], Awaitable[Work]]


class Staged:
    """The work of an explicit transaction so far."""

    def __init__(self, base: CatalogSnapshot) -> None:
        self.base = base
        self.snapshot = base
        self.works: list[Work] = []

    def add(self, work: Work) -> None:
        """Take in a statement's work. Raises: what ``catalog.transact`` raises."""
        if work.ops:
            self.snapshot = transact(self.snapshot, work.ops).snapshot
        self.works.append(work)

    def copy(self) -> "Staged":
        """Return the same work, which what is added to this one does not change."""
        copied = Staged(self.base)
        copied.snapshot, copied.works = self.snapshot, list(self.works)
        return copied


def session_snapshot(coord: Coordinator, session: Session) -> CatalogSnapshot:
    """Return the catalog as the session sees it, with what its transaction has staged."""
    staged = session.transaction.staged
    return staged.snapshot if isinstance(staged, Staged) else coord.snapshot


async def run_ddl(coord: Coordinator, session: Session, what: str, prepare: Prepare) -> str:
    """Prepare a statement's work, then commit it, or stage it in an explicit transaction.

    Returns: the command tag.
    """
    transaction = session.transaction
    transaction.admit_ddl(what)
    if not transaction.implicit:
        staged = transaction.staged
        if not isinstance(staged, Staged):
            if transaction.catalog_version not in (None, coord.snapshot.version):
                raise SerializationFailure(
                    "another session modified the catalog after this transaction had read it"
                )
            staged = transaction.staged = Staged(coord.snapshot)
        _check_unchanged(coord, staged)
        work = await prepare(staged.snapshot)
        staged.add(work)
    else:
        work = await coord.finish(_do_at_once(coord, prepare, session.role))
    for notice in work.notices:
        session.notify(notice)
    return work.tag


async def _do_at_once(coord: Coordinator, prepare: Prepare, by: RoleId) -> Work:
    async with coord.changing():
        work = await prepare(coord.snapshot)
        try:
            await _perform(coord, [work], by)
        finally:
            for release in work.release:
                release()
    return work


async def commit_staged(coord: Coordinator, staged: Staged, by: RoleId) -> None:
    """Commit a transaction's work, for role ``by``.

    Raises: SerializationFailure where the catalog has changed under it.
    """

    async def commit() -> None:
        async with coord.changing():
            _check_unchanged(coord, staged)
            await _perform(coord, staged.works, by)

    await coord.finish(commit())


def _check_unchanged(coord: Coordinator, staged: Staged) -> None:
    if coord.snapshot.version != staged.base.version:
        raise SerializationFailure(
            "another session modified the catalog while this DDL transaction was open"
        )


async def _perform(coord: Coordinator, works: list[Work], by: RoleId) -> None:
    locks = sorted({shard for work in works for shard in work.locks})
    if not locks:
        await _commit(coord, works, by, None)
        return
    async with coord.group_commit.locked(locks) as owner:
        await _commit(coord, works, by, owner)


async def _commit(coord: Coordinator, works: list[Work], by: RoleId, owner: object) -> None:
    published = [await act(owner) for work in works for act in work.before]
    ops = [op for work in works for op in work.ops]
    if ops:
        await coord.transact(ops, by, published)
    failure: HeadwaterError | None = None
    for act in [act for work in works for act in work.after]:
        try:
            await act(coord.snapshot)
        except HeadwaterError as error:  # the rest is committed as well and must be acted on
            failure = failure or error
    if failure is not None:
        raise failure
