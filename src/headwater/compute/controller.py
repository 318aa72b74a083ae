"""The compute controller: which dataflows run on which cluster, and how far they may compact.

One :class:`ComputeController` in headwaterd keeps an :class:`Instance` for every cluster: its
exports, the commands that made them, and what each replica has reported. It sends commands over
links that it is given and hears of connections and responses by method calls; it does no I/O.

A replica that connects is sent the compacted history: each live dataflow with its as_of advanced to
the since of its exports, then ``InitializationComplete``.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from headwater.compute.collections import DEFAULT_LAG_MS, ExportState
from headwater.compute.inspection import Inspections
from headwater.compute.instance import Instance, exports_of
from headwater.compute.protocol import (
    AllowCompaction,
    ComputeCommand,
    ComputeResponse,
    CreateDataflow,
    DataflowFailed,
    ErrorReport,
    Errors,
    Frontiers,
    Inspected,
    RefreshSink,
)
from headwater.errors import AsOfBeforeSince, UndefinedObject, invariant
from headwater.ir.dataflow import DataflowDescription, MaterializedViewSink
from headwater.runtime.clock import Clock
from headwater.types.frontier import Frontier, join, less_equal, precedes, show
from headwater.types.ids import ClusterId, GlobalId, ReplicaId
from headwater.types.read_hold import ReadHold
from headwater.types.time import TIMESTAMP_MIN, Timestamp

logger = logging.getLogger(__name__)

Send = Callable[[ReplicaId, bytes], None]

_encoder = msgspec.msgpack.Encoder()
_responses = msgspec.msgpack.Decoder(ComputeResponse)


class StorageHolds(Protocol):
    """Who holds storage's collections readable: the storage controller."""

    def acquire_hold(self, id: GlobalId, at: Frontier) -> ReadHold:
        """Hold ``id`` at ``at`` or, if that is compacted, raise AsOfBeforeSince."""
        ...


class ComputeController:
    """See the module. All methods run on headwaterd's event loop and return at once.

    Attributes:
        revision: Grows with every change of exports, replicas, hydration and errors.
    """

    def __init__(
        self,
        storage: StorageHolds,
        send: Send,
        clock: Clock,
        send_shell: Send = lambda _replica, _payload: None,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self.revision = 0
        self._send = send
        self._send_shell = send_shell
        self._instances: dict[ClusterId, Instance] = {}
        self._cluster_of: dict[ReplicaId, ClusterId] = {}
        self._inspections = Inspections()
        self.on_hydrated: Callable[[ClusterId, ReplicaId, GlobalId], None] = lambda *_: None
        self.on_upper: Callable[[GlobalId, Frontier], None] = lambda *_: None

    # Clusters and replicas

    def create_instance(self, cluster: ClusterId) -> None:
        """Begin to keep track of a cluster; nothing runs on it yet."""
        self._instances.setdefault(cluster, Instance(cluster))

    def drop_instance(self, cluster: ClusterId) -> None:
        """Forget a cluster, letting go of everything its dataflows held."""
        instance = self._instances.pop(cluster, None)
        if instance is None:
            return
        self.revision += 1
        for export in instance.exports.values():
            for hold in export.inputs:
                hold.release()
        for replica in instance.replicas:
            self._cluster_of.pop(replica, None)

    def replica_connected(self, cluster: ClusterId, replica: ReplicaId) -> None:
        """Bring a replica, new or back again, up to date by the compacted history."""
        instance = self._instance(cluster)
        instance.replicas.add(replica)
        self._cluster_of[replica] = cluster
        self.revision += 1
        for export in instance.exports.values():
            if instance.targets.get(export.id, replica) == replica:
                export.tell(replica, self._clock.monotonic())
        for command in instance.history(replica):
            if isinstance(command, CreateDataflow):
                self._tell_schedules((replica,), command.dataflow)
            self._send(replica, _encoder.encode(command))
        logger.info("replica initialized", extra={"cluster": cluster, "replica": replica})

    def replica_disconnected(self, replica: ReplicaId) -> None:
        """Forget what a replica reported; its exports keep the uppers once reached."""
        cluster = self._cluster_of.pop(replica, None)
        self._inspections.forget_replica(replica)
        instance = self._instances.get(cluster) if cluster is not None else None
        if instance is None:
            return
        self.revision += 1
        instance.replicas.discard(replica)
        for export in instance.exports.values():
            export.forget(replica)

    def replicas(self, cluster: ClusterId) -> frozenset[ReplicaId]:
        """Return the replicas that are connected and initialized."""
        return frozenset(self._instance(cluster).replicas)

    # Dataflows

    def create_dataflow(
        self,
        cluster: ClusterId,
        dataflow: DataflowDescription,
        *,
        lag_ms: int = DEFAULT_LAG_MS,
        replica: ReplicaId | None = None,
    ) -> None:
        """Build ``dataflow`` on every replica of ``cluster``, or on one alone, now and later.

        Frontiers: requires that every input is readable at the dataflow's as_of; holds are taken
        here, and follow the exports' since from now on.

        Raises:
            AsOfBeforeSince: An input is compacted beyond the as_of.
        """
        instance = self._instance(cluster)
        replicas = [each for each in instance.replicas if replica in (None, each)]
        self.revision += 1
        for id, kind in exports_of(dataflow).items():
            invariant(id not in instance.exports, "an export is created twice", id=id)
            inputs = self._hold_inputs(instance, dataflow)
            instance.exports[id] = ExportState(id, kind, dataflow.as_of, inputs, lag_ms)
            instance.dataflows[id] = dataflow
            if replica is not None:
                instance.targets[id] = replica
            for each in replicas:
                instance.exports[id].tell(each, self._clock.monotonic())
        self._tell_schedules(replicas, dataflow)
        payload = _encoder.encode(CreateDataflow(dataflow))
        for each in replicas:
            self._send(each, payload)

    def drop(self, cluster: ClusterId, ids: Iterable[GlobalId]) -> None:
        """Drop exports; what is waiting for them learns that they are gone."""
        instance = self._instances.get(cluster)
        if instance is None:
            return
        self.revision += 1
        for id in ids:
            export = instance.exports.pop(id, None)
            if export is None:
                continue
            instance.dataflows.pop(id, None)
            instance.targets.pop(id, None)
            self._inspections.forget(id)
            for hold in export.inputs:
                hold.release()
            for _, future in instance.waiters.pop(id, []):
                if not future.done():
                    future.set_exception(UndefinedObject(f'"{id}" was dropped'))
            self._broadcast(instance, AllowCompaction(id, None))

    def has(self, cluster: ClusterId, id: GlobalId) -> bool:
        """Return whether ``id`` is an export on ``cluster``."""
        instance = self._instances.get(cluster)
        return instance is not None and id in instance.exports

    def frontiers(self, cluster: ClusterId, id: GlobalId) -> tuple[Frontier, Frontier]:
        """Return the since and upper of an export."""
        export = self._export(cluster, id)
        return export.since, export.upper

    def acquire_hold(self, cluster: ClusterId, id: GlobalId, at: Frontier = None) -> ReadHold:
        """Hold an export at ``at``, or at its since where none is given.

        Raises:
            AsOfBeforeSince: ``at`` is compacted.
        """
        export = self._export(cluster, id)
        since = export.since
        if at is not None and not precedes(since, at):
            raise AsOfBeforeSince(
                f"timestamp {at} is not valid for all inputs: "
                f"index {id} can be read from {show(since)} on"
            )
        return ReadHold(id, since if at is None else at, export.holds)

    def cluster_of(self, id: GlobalId) -> ClusterId | None:
        """Return the cluster that maintains export ``id``; None if none does."""
        for cluster, instance in self._instances.items():
            if id in instance.exports:
                return cluster
        return None

    def imports(
        self, cluster: ClusterId, id: GlobalId
    ) -> tuple[tuple[GlobalId, ...], tuple[GlobalId, ...]]:
        """Return the durable collections, and the indexes, that an export is computed from."""
        dataflow = self._instance(cluster).dataflows[self._export(cluster, id).id]
        sources = tuple(source.id for source in dataflow.sources)
        return sources, tuple(index.id for index in dataflow.indexes)

    async def wait_upper(self, cluster: ClusterId, id: GlobalId, time: Timestamp) -> None:
        """Return once some replica's upper of ``id`` has passed ``time``.

        Cancellation: leaves nothing behind.
        """
        instance = self._instance(cluster)
        if not less_equal(self._export(cluster, id).upper, time):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (time, future)
        instance.waiters.setdefault(id, []).append(entry)
        try:
            await future
        finally:
            waiters = instance.waiters.get(id, [])
            if entry in waiters:
                waiters.remove(entry)

    def hydrated(self, cluster: ClusterId, id: GlobalId) -> Mapping[ReplicaId, bool]:
        """Return for each connected replica whether it has passed the first as_of of ``id``."""
        instance = self._instance(cluster)
        export = self._export(cluster, id)
        return {replica: export.is_hydrated(replica) for replica in instance.replicas}

    def uppers(self, cluster: ClusterId, id: GlobalId) -> Mapping[ReplicaId, Frontier]:
        """Return how far each connected replica is with ``id``; 0 of one that has not said yet."""
        export = self._export(cluster, id)
        return {replica: export.uppers.get(replica, TIMESTAMP_MIN) for replica in export.told_at}

    def dataflow(self, cluster: ClusterId, id: GlobalId) -> DataflowDescription:
        """Return the dataflow that maintains export ``id``. Raises: UndefinedObject."""
        self._export(cluster, id)
        return self._instance(cluster).dataflows[id]

    def errors(self, id: GlobalId) -> tuple[ErrorReport, ...]:
        """Return the errors of an export as they are now, a bounded number of them."""
        return self._inspections.errors(id)

    def error_counts(self, id: GlobalId) -> Mapping[ReplicaId, int]:
        """Return for how many rows of an export each replica has errors; at least so many.

        Of more distinct errors than a worker tells, the first are counted.
        """
        return self._inspections.counts(id)

    async def inspect(self, replica: ReplicaId) -> tuple[Inspected, ...]:
        """Return what the dataflows of a replica have cost each of its workers.

        Raises: ConnectionFailure. Cancellation: leaves nothing behind.
        """
        return await self._inspections.ask(
            replica, lambda command: self._send(replica, _encoder.encode(command))
        )

    def exports(self, cluster: ClusterId) -> Iterable[ExportState]:
        """Return the state of all exports of a cluster, for introspection."""
        return tuple(self._instance(cluster).exports.values())

    def set_durable_upper(self, id: GlobalId, upper: Frontier) -> None:
        """Note that the shard of materialized view ``id`` is durable up to ``upper``."""
        for instance in self._instances.values():
            export = instance.exports.get(id)
            if export is not None and precedes(export.durable_upper, upper):
                export.durable_upper = upper

    def maintain(self, present: Timestamp) -> None:
        """Advance the since of every export as far as policy and holds permit.

        Frontiers: ``present`` is the time that reads are given now; no since passes it.

        Called on a timer, so that the cost is bounded by it and not by the rate of frontiers.
        """
        for instance in self._instances.values():
            # Dependants first: letting go of their inputs lets those follow in the same round.
            for export in reversed(instance.exports.values()):
                since = export.permitted_since(present)
                if since == export.since:
                    continue
                export.since = since
                for hold in export.inputs:
                    hold.downgrade(join((hold.since, since)))
                self._broadcast(instance, AllowCompaction(export.id, since))

    # Responses

    def respond(self, replica: ReplicaId, payload: bytes) -> None:
        """Take in one response of a replica."""
        cluster = self._cluster_of.get(replica)
        instance = self._instances.get(cluster) if cluster is not None else None
        if instance is None:
            return  # a late word of a replica that is gone
        match _responses.decode(payload):
            case Frontiers(uppers=uppers):
                for id, upper in uppers:
                    self._report(instance, replica, id, upper)
            case Errors() as errors:
                if errors.id in instance.exports:
                    self._inspections.report(replica, errors)
                    self.revision += 1
            case Inspected() as answer:
                self._inspections.answer(answer)
            case DataflowFailed(id=id, message=message):
                logger.error(
                    "a replica could not render a dataflow",
                    extra={"replica": replica, "id": id, "reason": message},
                )

    def _report(
        self, instance: Instance, replica: ReplicaId, id: GlobalId, upper: Frontier
    ) -> None:
        export = instance.exports.get(id)
        if export is None:
            return  # transient, or dropped meanwhile
        was_hydrated = export.is_hydrated(replica)
        moved = export.report(replica, upper)
        if not was_hydrated and export.is_hydrated(replica):
            export.note_hydrated(replica, self._clock.monotonic())
            self.revision += 1
            self.on_hydrated(instance.cluster, replica, id)
        if not moved:
            return
        self.on_upper(id, export.upper)
        waiters = instance.waiters.get(id)
        if waiters:
            still = []
            for time, future in waiters:
                if less_equal(export.upper, time):
                    still.append((time, future))
                elif not future.done():
                    future.set_result(None)
            instance.waiters[id] = still

    # Inside

    def _instance(self, cluster: ClusterId) -> Instance:
        instance = self._instances.get(cluster)
        if instance is None:
            raise UndefinedObject(f'unknown cluster "{cluster}"')
        return instance

    def _export(self, cluster: ClusterId, id: GlobalId) -> ExportState:
        export = self._instance(cluster).exports.get(id)
        if export is None:
            raise UndefinedObject(f'"{id}" is not maintained on cluster "{cluster}"')
        return export

    def _hold_inputs(self, instance: Instance, dataflow: DataflowDescription) -> list[ReadHold]:
        held: list[ReadHold] = []
        try:
            for source in dataflow.sources:
                held.append(self._storage.acquire_hold(source.id, dataflow.as_of))
            for index in dataflow.indexes:
                held.append(self.acquire_hold(instance.cluster, index.id, dataflow.as_of))
        except BaseException:
            for hold in held:
                hold.release()
            raise
        return held

    def _tell_schedules(self, replicas: Iterable[ReplicaId], dataflow: DataflowDescription) -> None:
        """Tell shells when the views of a dataflow are refreshed, before workers hear of it."""
        for export in dataflow.sink_exports:
            if isinstance(export.sink, MaterializedViewSink) and export.sink.refresh is not None:
                payload = _encoder.encode(RefreshSink(export.sink.shard, export.sink.refresh))
                for replica in replicas:
                    self._send_shell(replica, payload)

    def _broadcast(self, instance: Instance, command: ComputeCommand) -> None:
        payload = _encoder.encode(command)
        for replica in instance.replicas:
            self._send(replica, payload)
