"""The coordinator: the state that sessions share, and the one way to change the catalog.

It is small on purpose: snapshots are immutable and read by everybody at once; changes of the
catalog take turns. A change is durable in the catalog's shard first, then shows in the builtin
tables, and then controllers act on it; a server that dies in between finishes the work at its next
start.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from headwater.adapter.audit_log import AuditLog
from headwater.adapter.controllers import (
    ClusterController,
    ComputeController,
    Peeks,
    StorageController,
)
from headwater.adapter.damage import DamageWatch
from headwater.adapter.fast_indexes import FastIndexes
from headwater.adapter.group_commit import GroupCommit
from headwater.adapter.oracle import TimestampOracle
from headwater.adapter.planning import Planner
from headwater.adapter.session import Session
from headwater.adapter.statement_log import StatementLog
from headwater.catalog.allocate import IdAllocator
from headwater.catalog.durable import DurableCatalog
from headwater.catalog.items import BuiltinTable, Index, MaterializedView
from headwater.catalog.ops import Op
from headwater.catalog.rows import TableRow
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.catalog.transact import TableUpdate, transact
from headwater.errors import Fenced, HeadwaterError
from headwater.persist import flat
from headwater.persist.client import PersistClient
from headwater.persist.rounds import RoundStore
from headwater.runtime.clock import Clock
from headwater.runtime.rng import Rng
from headwater.runtime.tasks import Tasks
from headwater.types.frontier import Frontier
from headwater.types.ids import ClusterId, GlobalId, RoleId, ShardId
from headwater.types.read_hold import ReadHold
from headwater.types.time import TIMESTAMP_MIN, Timestamp

logger = logging.getLogger(__name__)

# Collections move on by themselves in ticks of a second.
NUDGE_AHEAD_MAX_MS = 1_000

T = TypeVar("T")


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What the coordinator is given to work with."""

    persist: PersistClient
    compute: ComputeController
    storage: StorageController
    cluster: ClusterController
    peeks: Peeks
    clock: Clock
    rng: Rng
    tasks: Tasks
    version: str
    rounds: RoundStore | None = None  # a store that commits rows of inserts by itself


class Coordinator:
    """See the module. Made by :func:`headwater.adapter.bootstrap.boot`.

    Attributes:
        snapshot: The newest version of the catalog.
        sessions: By connection.
        subscriptions: The rows that active ones are shown as, by their exports.
        on_failure: Called when this server can't go on: it was fenced.
        secrets: The bytes of secrets, by id.
        fast_indexes: Indexes that the front reads by itself.
        audit: What catalog transactions tell of themselves.
        statements: Writes down a sample of what sessions execute.
        txns_shard: The transaction shard, through which tables are read.
        damage: Fails the reads that wait for what can't be read.
    """

    def __init__(
        self,
        outside: Outside,
        *,
        snapshot: CatalogSnapshot,
        durable: DurableCatalog,
        ids: IdAllocator,
        oracle: TimestampOracle,
        group_commit: GroupCommit,
        planner: Planner,
        txns_shard: ShardId,
    ) -> None:
        self.persist = outside.persist
        self.compute = outside.compute
        self.storage = outside.storage
        self.cluster = outside.cluster
        self.peeks = outside.peeks
        self.clock = outside.clock
        self.rng = outside.rng
        self.tasks = outside.tasks
        self.version = outside.version
        self.snapshot = snapshot
        self.durable = durable
        self.ids = ids
        self.oracle = oracle
        self.group_commit = group_commit
        self.planner = planner
        self.txns_shard = txns_shard
        self.environment_id = f"headwater-{durable.epoch}"
        self.started_ms = self.clock.now_ms()
        self.sessions: dict[int, Session] = {}
        self.subscriptions: dict[GlobalId, TableRow] = {}
        self.secrets: dict[GlobalId, bytes] = {}
        self.fast_indexes = FastIndexes(self.compute, self.peeks.state)
        self.damage = DamageWatch(self.compute, self.storage, self.cluster, self.clock)
        self.statements = StatementLog(
            self.clock, self.rng, f"v{self.version}", lambda: self.snapshot.variables
        )
        self.on_failure: Callable[[HeadwaterError], None] = lambda _: None
        self.audit = AuditLog(durable.state, ids, outside.clock)
        self._changing = asyncio.Lock()
        self._finishing: set[asyncio.Future[Any]] = set()
        self._closed: dict[GlobalId, ReadHold] = {}
        self.compute.on_upper = self._on_upper

    # The catalog

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Take the turn to change the catalog: the snapshot stays as it is until then."""
        async with self._changing:
            yield

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work`` to its end even if the caller is cancelled meanwhile.

        Changes of the catalog run in here: half of one would leave memory and disk at odds.
        """
        task = asyncio.ensure_future(work)
        self._finishing.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: "asyncio.Future[Any]") -> None:
        self._finishing.discard(task)
        if not task.cancelled():
            task.exception()  # who waits for it is told; who was cancelled does not want to know

    async def transact(
        self,
        ops: Sequence[Op],
        by: RoleId | None = None,
        published: Sequence[Callable[[], None]] = (),
    ) -> CatalogSnapshot:
        """Commit ``ops``; the caller has the turn (:meth:`changing`) and is in :meth:`finish`.

        Args:
            ops: What to do.
            by: The role that does it, None for the system.
            published: Called at the moment at which the new version shows.

        Raises: what ``catalog.transact`` raises; Fenced.
        """
        done = transact(self.snapshot, tuple(ops), by)
        audited = self.audit.records(done.events, None if by is None else self._role_name(by))
        counters = self.ids.changes()
        async with self.group_commit.changing_catalog():
            try:
                await self.durable.commit((*done.changes, *counters, *self.audit.changes(audited)))
            except Fenced as error:
                self.on_failure(error)
                raise
            self.ids.committed(counters)
            self.snapshot = done.snapshot
            for act in published:
                act()
            self.planner.forget()
            self.peeks.set_catalog_version(self.snapshot.version)
        for session in self.sessions.values():
            session.variables.set_system(self.snapshot.variables)
        await self.write_tables((*done.table_updates, *self.audit.updates(audited)))
        self.audit.note_shown()
        return self.snapshot

    def _role_name(self, id: RoleId) -> str:
        role = self.snapshot.roles.get(id)
        return id if role is None else role.name  # dropped while it had a session

    async def write_tables(self, updates: Sequence[TableUpdate]) -> None:
        """Write to builtin tables; those that this version does not have are skipped."""
        grouped: dict[ShardId, list[flat.Update]] = {}
        for update in updates:
            shard = self._builtin_shard(update.table)
            if shard is not None:
                grouped.setdefault(shard, []).append((update.row, TIMESTAMP_MIN, update.diff))
        if grouped:
            await self.group_commit.write({s: flat.build(rows) for s, rows in grouped.items()})

    def _builtin_shard(self, table: str) -> ShardId | None:
        schema_name, _, name = table.partition(".")
        schema = self.snapshot.try_schema(schema_name, None)
        item = self.snapshot.item_in(schema.id, name) if schema is not None else None
        return item.shard if isinstance(item, BuiltinTable) else None

    def written_by(self, id: GlobalId) -> ClusterId | None:
        """Return the cluster whose dataflow writes collection ``id``, None if none does."""
        item = self.snapshot.try_item(id)
        return item.cluster if isinstance(item, MaterializedView) else None

    # Time

    def _on_upper(self, id: GlobalId, upper: Frontier) -> None:
        self.fast_indexes.on_upper(id, upper)
        item = self.snapshot.try_item(id)
        if upper is None and isinstance(item, Index) and id not in self._closed:
            # Nothing changes it any more: it stays readable as it is.
            self._closed[id] = self.compute.acquire_hold(item.cluster, id)

    def forget_index(self, id: GlobalId) -> None:
        """Let go of what is held of an index that is dropped."""
        self.fast_indexes.forget(id)
        hold = self._closed.pop(id, None)
        if hold is not None:
            hold.release()

    def nudge_inputs(self, relations: "Sequence[GlobalId]", ts: Timestamp) -> None:
        """Ask for everything below ``relations`` to move past ``ts``.

        A time that is further ahead than a tick comes by itself: sources that are asked for it now
        would leave the present behind.
        """
        if ts > self.clock.now_ms() + NUDGE_AHEAD_MAX_MS:
            return
        seen: set[GlobalId] = set()
        stack = list(relations)
        while stack:
            id = stack.pop()
            item = self.snapshot.try_item(id)
            if id in seen or item is None:
                continue
            seen.add(id)
            stack.extend(item.depends_on)
            if self.storage.has(id):
                self.storage.nudge(id, ts)
