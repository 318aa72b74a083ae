"""The storage controller: durable collections, and which replica runs which source or sink.

One in headwaterd. For each collection it keeps a durable *critical hold*, which is the collection's
since, and lets it follow the upper as far as policy and read holds permit. For each source and sink
it picks one replica of its cluster, tells it to run, and picks another when that one goes.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from headwater.errors import AsOfBeforeSince, UndefinedObject, invariant
from headwater.ir.ingestion import IngestionDescription, SinkDescription
from headwater.persist.client import PersistClient
from headwater.persist.holds import ReadHold as DurableHold
from headwater.storage.collections import CollectionDescription, CollectionKind, CollectionState
from headwater.storage.protocol import (
    Nudge,
    RunIngestion,
    RunSink,
    SinkStatistics,
    SourceStatistics,
    Status,
    StatusUpdate,
    Stop,
    StorageCommand,
    StorageInitialized,
    StorageResponse,
)
from headwater.types.frontier import Frontier, less_equal, precedes, show
from headwater.types.ids import ClusterId, GlobalId, ReplicaId, ShardId
from headwater.types.read_hold import ReadHold
from headwater.types.time import Timestamp

logger = logging.getLogger(__name__)

# The name of the durable hold that is a collection's since.
CRITICAL_HOLD = "controller"
# The since of a collection is made durable again only after it could move this far: each move is a
# version in consensus, and history of a few seconds more costs less than that.
SINCE_STEP_MS = 5_000

Send = Callable[[ReplicaId, bytes], None]
Running = IngestionDescription | SinkDescription
# What was told last, and by which replica; None before any was told.
Statistics = tuple[SourceStatistics | SinkStatistics, ReplicaId | None]

_encoder = msgspec.msgpack.Encoder()


class StorageController:
    """See the module. Methods that are not coroutines return at once."""

    def __init__(
        self,
        persist: PersistClient,
        txns: ShardId,
        send: Send,
        nudge_tables: Callable[[Timestamp], None],
    ) -> None:
        self._persist = persist
        self._txns = txns
        self._send = send
        self._nudge_tables = nudge_tables
        self._collections: dict[GlobalId, CollectionState] = {}
        self._running: dict[GlobalId, tuple[ClusterId, Running]] = {}
        self._placed: dict[GlobalId, ReplicaId] = {}
        self._sink_holds: dict[GlobalId, ReadHold] = {}
        self._sink_moved: dict[GlobalId, asyncio.Event] = {}
        self._replicas: dict[ClusterId, list[ReplicaId]] = {}
        self.on_status: Callable[[StatusUpdate, ReplicaId | None], None] = lambda *_: None
        self.statistics: dict[GlobalId, Statistics] = {}

    # Collections

    async def create_collections(self, descriptions: Sequence[CollectionDescription]) -> None:
        """Open each collection's shard, making it if it is new, and hold its since.

        Frontiers: a new shard begins with since and upper 0. Tables must be registered with the
        transaction shard by the caller.
        """
        for description in descriptions:
            invariant(
                description.id not in self._collections, "collection exists", id=description.id
            )
            await self._persist.open_writer(description.shard, description.desc)
            is_table = description.kind is CollectionKind.TABLE
            reader = await self._persist.open_reader(
                description.shard, txns=self._txns if is_table else None
            )
            hold = await self._persist.hold(
                description.shard, reader.since, lease=False, name=CRITICAL_HOLD
            )
            self._collections[description.id] = CollectionState(description, reader, hold)

    async def drop_collections(self, ids: Iterable[GlobalId]) -> None:
        """Stop keeping collections; their shards are finalized once nobody holds them."""
        for id in ids:
            state = self._collections.pop(id, None)
            if state is not None:
                await state.critical.release()

    def has(self, id: GlobalId) -> bool:
        """Return whether ``id`` is a durable collection."""
        return id in self._collections

    def frontiers(self, id: GlobalId) -> tuple[Frontier, Frontier]:
        """Return the since and the durable upper of a collection."""
        state = self._collection(id)
        return state.since, state.upper

    def shard(self, id: GlobalId) -> ShardId:
        """Return where a collection is kept."""
        return self._collection(id).description.shard

    def acquire_hold(self, id: GlobalId, at: Frontier = None) -> ReadHold:
        """Hold a collection at ``at``, or at its since where none is given.

        Raises:
            AsOfBeforeSince: ``at`` is compacted.
        """
        state = self._collection(id)
        if at is not None and not precedes(state.since, at):
            raise AsOfBeforeSince(
                f"timestamp {at} is not valid for all inputs: "
                f"collection {id} can be read from {show(state.since)} on"
            )
        return ReadHold(id, state.since if at is None else at, state.holds)

    async def wait_upper(self, id: GlobalId, time: Timestamp) -> None:
        """Return once the durable upper of ``id`` has passed ``time``."""
        await self._collection(id).reader.wait_upper(time)

    def nudge(self, id: GlobalId, time: Timestamp) -> None:
        """Ask whoever advances collection ``id`` to pass ``time`` now, if it is not there yet.

        For a materialized view nudge what it reads instead.
        """
        state = self._collection(id)
        if not less_equal(state.upper, time):
            return
        if state.description.kind is CollectionKind.TABLE:
            self._nudge_tables(time)
        elif state.description.ingestion is not None:
            replica = self._placed.get(state.description.ingestion)
            if replica is not None:
                self._command(replica, Nudge(state.description.ingestion, time))

    def collections(self) -> Mapping[GlobalId, CollectionState]:
        """Return all collections, for introspection."""
        return self._collections

    async def maintain(self, present: Timestamp) -> None:
        """Let each collection's since follow its upper, in steps of :data:`SINCE_STEP_MS`.

        Frontiers: ``present`` is the time that reads are given now; no since passes it.

        Called on a timer.
        """
        downgrades: list[tuple[DurableHold, Frontier]] = []
        for state in self._collections.values():
            since = state.permitted_since(present)
            before = state.since
            if before is None or since is None or since - before < SINCE_STEP_MS:
                continue
            # From here on no new hold may be taken below: first the promise, then the deed.
            state.since = since
            downgrades.append((state.critical, since))
        if downgrades:
            await self._persist.downgrade_many(downgrades)

    # Sources and sinks

    def feeder(self, id: GlobalId) -> ReplicaId | None:
        """Return the replica that feeds a source's collection or runs sink ``id``, if any."""
        state = self._collections.get(id)
        ingestion = None if state is None else state.description.ingestion
        return self._placed.get(ingestion or id)

    def run_ingestion(self, cluster: ClusterId, ingestion: IngestionDescription) -> None:
        """Run a source on one replica of ``cluster``, now or when there is one."""
        for id in (ingestion.id, *(export.id for export in ingestion.exports)):
            self.statistics.setdefault(id, (SourceStatistics(id), None))
        self._run(cluster, ingestion)

    def run_sink(self, cluster: ClusterId, sink: SinkDescription) -> None:
        """Run a sink on one replica of ``cluster``, holding its input from ``as_of`` on.

        Raises:
            AsOfBeforeSince: The input is compacted beyond the sink's as_of.
        """
        if sink.id not in self._sink_holds:
            self._sink_holds[sink.id] = self.acquire_hold(sink.on, Timestamp(sink.as_of))
        self.statistics.setdefault(sink.id, (SinkStatistics(sink.id), None))
        self._run(cluster, sink)

    async def wait_sink(self, id: GlobalId, time: Timestamp) -> None:
        """Return once a sink has written everything up to ``time``; ask it to do so soon."""
        replica = self._placed.get(id)
        if replica is not None:
            self._command(replica, Nudge(id, time))
        while not self._has_written(id, time):
            moved = self._sink_moved.setdefault(id, asyncio.Event())
            moved.clear()
            await moved.wait()

    def _has_written(self, id: GlobalId, time: Timestamp) -> bool:
        told, _ = self.statistics.get(id, (None, None))
        upper = told.upper if isinstance(told, SinkStatistics) else None
        return upper is not None and upper > time

    def stop(self, id: GlobalId) -> None:
        """Stop a source or sink for good."""
        self._running.pop(id, None)
        self.forget_statistics(id)
        replica = self._placed.pop(id, None)
        if replica is not None:
            self._command(replica, Stop(id))
        hold = self._sink_holds.pop(id, None)
        if hold is not None:
            hold.release()

    def forget_statistics(self, id: GlobalId) -> None:
        """Let go of what is known of a source, a sink or an output that is dropped."""
        self.statistics.pop(id, None)

    def move(self, id: GlobalId, cluster: ClusterId) -> None:
        """Run a source or sink on another cluster, going on where it was."""
        _, description = self._running[id]
        replica = self._placed.pop(id, None)
        if replica is not None:
            self._command(replica, Stop(id))
        self._run(cluster, description)

    # Replicas

    def replica_connected(self, cluster: ClusterId, replica: ReplicaId) -> None:
        """Tell a replica, new or back again, what it runs; it takes over what has no replica."""
        self._replicas.setdefault(cluster, []).append(replica)
        for id, (home, description) in self._running.items():
            if home == cluster and id not in self._placed:
                self._placed[id] = replica
            if self._placed.get(id) == replica:
                self._command(replica, _run_command(description))
        self._command(replica, StorageInitialized())

    def replica_disconnected(self, replica: ReplicaId) -> None:
        """Move what ran on a replica to another one of its cluster."""
        for cluster, replicas in self._replicas.items():
            if replica not in replicas:
                continue
            replicas.remove(replica)
            for id in [id for id, at in self._placed.items() if at == replica]:
                del self._placed[id]
                self._place(cluster, id)

    def respond(self, replica: ReplicaId, response: StorageResponse) -> None:
        """Take in a word of a replica's shell."""
        match response:
            case StatusUpdate() as update:
                if self._placed.get(update.id) == replica:
                    self.on_status(update, replica)
            case SourceStatistics() as statistics:
                if statistics.id in self.statistics:
                    self.statistics[statistics.id] = (statistics, replica)
            case SinkStatistics() as statistics:
                if statistics.id in self.statistics:
                    self.statistics[statistics.id] = (statistics, replica)
                moved = self._sink_moved.pop(statistics.id, None)
                if moved is not None:
                    moved.set()
                hold = self._sink_holds.get(statistics.id)
                if hold is not None and statistics.upper is not None:
                    resume = Timestamp(max(statistics.upper - 1, 0))
                    if precedes(hold.since, resume):
                        hold.downgrade(resume)

    # Inside

    def _collection(self, id: GlobalId) -> CollectionState:
        state = self._collections.get(id)
        if state is None:
            raise UndefinedObject(f'"{id}" is not a durable collection')
        return state

    def _run(self, cluster: ClusterId, description: Running) -> None:
        self._running[description.id] = (cluster, description)
        self._place(cluster, description.id)

    def _place(self, cluster: ClusterId, id: GlobalId) -> None:
        running = self._running.get(id)
        if running is None:
            return
        replicas = self._replicas.get(cluster, [])
        if not replicas:
            self._placed.pop(id, None)
            self.on_status(StatusUpdate(id, Status.PAUSED, 0), None)
            return
        replica = self._placed.setdefault(id, replicas[0])
        self._command(replica, _run_command(running[1]))

    def _command(self, replica: ReplicaId, command: StorageCommand) -> None:
        self._send(replica, _encoder.encode(command))


def _run_command(description: Running) -> StorageCommand:
    if isinstance(description, IngestionDescription):
        return RunIngestion(description)
    return RunSink(description)
