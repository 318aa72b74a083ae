"""What the adapter asks of the layers below: protocols that the controllers implement.

The adapter decides (plans, times, holds); controllers carry it out. All methods that are not
coroutines run on the event loop and return at once. ``environment.assemble`` joins the two, with
small bridges where a controller's own words differ. Descriptions here are complete: nothing in
them refers to the catalog.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from headwater.cluster.controller import ReplicaConfig, ReplicaState
from headwater.compute.collections import ExportState
from headwater.compute.protocol import ErrorReport, Inspected
from headwater.errors import ErrorFields, HeadwaterError
from headwater.ir.dataflow import DataflowDescription
from headwater.ir.ingestion import IngestionDescription, SinkDescription
from headwater.pgwire.protocol import PeekSource
from headwater.storage.collections import CollectionDescription
from headwater.storage.protocol import SinkStatistics, SourceStatistics, StatusUpdate
from headwater.types.frontier import Frontier
from headwater.types.ids import ClusterId, GlobalId, ReplicaId, ShardId
from headwater.types.read_hold import ReadHold
from headwater.types.time import Timestamp


class ComputeController(Protocol):
    """Dataflows of all clusters; see ``headwater.compute.controller``.

    Attributes:
        on_upper: Called whenever an export's upper has moved.
        revision: Grows with every change of exports, replicas, hydration and errors.
    """

    on_upper: Callable[[GlobalId, Frontier], None]
    revision: int

    def create_instance(self, cluster: ClusterId) -> None:
        """Begin to keep track of a cluster; nothing runs on it yet."""
        ...

    def drop_instance(self, cluster: ClusterId) -> None:
        """Forget a cluster, letting go of everything its dataflows held."""
        ...

    def create_dataflow(
        self,
        cluster: ClusterId,
        dataflow: DataflowDescription,
        *,
        lag_ms: int = ...,
        replica: ReplicaId | None = ...,
    ) -> None:
        """Build ``dataflow`` on every replica of ``cluster``, or on one alone, now and later.

        Frontiers: every input is readable at the dataflow's as_of; the controller takes its own
        holds before it returns.

        Raises: AsOfBeforeSince.
        """
        ...

    def drop(self, cluster: ClusterId, ids: Iterable[GlobalId]) -> None:
        """Drop exports. Unknown ones are ignored."""
        ...

    def has(self, cluster: ClusterId, id: GlobalId) -> bool:
        """Return whether ``id`` is an export on ``cluster``."""
        ...

    def frontiers(self, cluster: ClusterId, id: GlobalId) -> tuple[Frontier, Frontier]:
        """Return the since and upper of an export."""
        ...

    def acquire_hold(self, cluster: ClusterId, id: GlobalId, at: Frontier = None) -> ReadHold:
        """Hold an export at ``at``, or at its since. Raises: AsOfBeforeSince."""
        ...

    async def wait_upper(self, cluster: ClusterId, id: GlobalId, time: Timestamp) -> None:
        """Return once some replica's upper of ``id`` has passed ``time``."""
        ...

    def hydrated(self, cluster: ClusterId, id: GlobalId) -> Mapping[ReplicaId, bool]:
        """Return for each connected replica whether ``id`` is hydrated there."""
        ...

    def uppers(self, cluster: ClusterId, id: GlobalId) -> Mapping[ReplicaId, Frontier]:
        """Return how far each connected replica is with ``id``; 0 of one that has not said yet."""
        ...

    def replicas(self, cluster: ClusterId) -> frozenset[ReplicaId]:
        """Return the replicas that are connected and initialized."""
        ...

    def dataflow(self, cluster: ClusterId, id: GlobalId) -> DataflowDescription:
        """Return the dataflow that maintains export ``id``. Raises: UndefinedObject."""
        ...

    def errors(self, id: GlobalId) -> tuple[ErrorReport, ...]:
        """Return the errors of an export as they are now, a bounded number of them."""
        ...

    def error_counts(self, id: GlobalId) -> Mapping[ReplicaId, int]:
        """Return for how many rows of an export each replica has errors; at least so many."""
        ...

    async def inspect(self, replica: ReplicaId) -> tuple[Inspected, ...]:
        """Return what the dataflows of a replica have cost each of its workers.

        Raises: ConnectionFailure.
        """
        ...

    def cluster_of(self, id: GlobalId) -> ClusterId | None:
        """Return the cluster that maintains export ``id``; None if none does."""
        ...

    def exports(self, cluster: ClusterId) -> Iterable[ExportState]:
        """Return the state of all exports of a cluster."""
        ...

    def imports(
        self, cluster: ClusterId, id: GlobalId
    ) -> tuple[tuple[GlobalId, ...], tuple[GlobalId, ...]]:
        """Return the durable collections, and the indexes, that an export is computed from."""
        ...


class StorageController(Protocol):
    """Durable collections, ingestions and sinks; see ``headwater.storage.controller``.

    Attributes:
        on_status: Called with each change of a source's or sink's status.
        statistics: The newest statistics of each, and of each output; by which replica.
    """

    on_status: Callable[[StatusUpdate, ReplicaId | None], None]
    statistics: dict[GlobalId, tuple[SourceStatistics | SinkStatistics, ReplicaId | None]]

    async def create_collections(self, descriptions: Sequence[CollectionDescription]) -> None:
        """Open collections: make their shards if new, and follow their frontiers.

        Tables are registered with the transaction shard by the adapter beforehand.
        """
        ...

    async def drop_collections(self, ids: Iterable[GlobalId]) -> None:
        """Stop keeping collections."""
        ...

    def has(self, id: GlobalId) -> bool:
        """Return whether ``id`` is a durable collection."""
        ...

    def frontiers(self, id: GlobalId) -> tuple[Frontier, Frontier]:
        """Return the since and upper of a collection."""
        ...

    def shard(self, id: GlobalId) -> ShardId:
        """Return where a collection is kept."""
        ...

    def acquire_hold(self, id: GlobalId, at: Frontier = None) -> ReadHold:
        """Hold a collection at ``at``, or at its since. Raises: AsOfBeforeSince."""
        ...

    async def wait_upper(self, id: GlobalId, time: Timestamp) -> None:
        """Return once the upper of ``id`` is beyond ``time``."""
        ...

    def nudge(self, id: GlobalId, time: Timestamp) -> None:
        """Ask whoever feeds ``id`` to move its upper past ``time`` soon."""
        ...

    def feeder(self, id: GlobalId) -> ReplicaId | None:
        """Return the replica that feeds a source's collection or runs sink ``id``, if any."""
        ...

    def run_ingestion(self, cluster: ClusterId, ingestion: IngestionDescription) -> None:
        """Run, or change, an ingestion; its collections exist already."""
        ...

    def run_sink(self, cluster: ClusterId, sink: SinkDescription) -> None:
        """Run, or change, a sink. Raises: AsOfBeforeSince."""
        ...

    async def wait_sink(self, id: GlobalId, time: Timestamp) -> None:
        """Return once a sink has written everything up to ``time``; ask it to do so soon."""
        ...

    def stop(self, id: GlobalId) -> None:
        """Stop an ingestion or a sink for good."""
        ...

    def forget_statistics(self, id: GlobalId) -> None:
        """Let go of the statistics of what is dropped."""
        ...

    def move(self, id: GlobalId, cluster: ClusterId) -> None:
        """Run an ingestion or a sink on another cluster, going on where it was."""
        ...


class ClusterController(Protocol):
    """The processes of replicas; see ``headwater.cluster.controller``.

    Attributes:
        on_shard_failed: Called whenever a replica has failed to read a shard because of damage.
    """

    on_shard_failed: Callable[[], None]

    def shard_failure(self, cluster: ClusterId, shard: ShardId, since: float) -> ErrorFields | None:
        """Return how the replicas of a cluster have failed to read a shard.

        None unless each of them has tried since then (of the monotonic clock), and failed.
        """
        ...

    def create_replica(self, cluster: ClusterId, replica: ReplicaId, config: ReplicaConfig) -> None:
        """Start (or connect to) a replica, and keep it running; returns before it is ready."""
        ...

    async def drop_replica(self, replica: ReplicaId) -> None:
        """Stop a replica for good."""
        ...

    def replicas(self) -> Sequence[ReplicaState]:
        """Return the state of every replica."""
        ...


class FrontNumbers(Protocol):
    """The numbers that the front's prepared point reads look at."""

    def set_read_ts(self, read_ts: int) -> None:
        """Tell the oracle's read time, before a write at it is acknowledged; never goes back."""
        ...

    def read_ts(self) -> int:
        """Return what was told last, or by the store after one of its own rounds."""
        ...

    def set_lease_until(self, until_ns: int) -> None:
        """Tell until when reads at the read time are strict; nanoseconds of the monotonic clock."""
        ...

    def set_index_since(self, id: str, since: int) -> None:
        """Tell from when on an index can be read, before replicas may compact up to there."""
        ...

    def set_index_upper(self, id: str, upper: int) -> None:
        """Tell up to when an index can be read without waiting."""
        ...

    def drop_index(self, id: str) -> None:
        """Tell that an index is gone."""
        ...


class Peeks(Protocol):
    """Reads and streams that the front carries out; see ``pgwire.server.FrontServer``."""

    @property
    def state(self) -> FrontNumbers:
        """Return the front's numbers."""
        ...

    async def collect_peek(self, source: PeekSource) -> bytes:
        """Run a peek and return its finished rows as a flat batch, for readers in Python."""
        ...

    def fail_peek(self, uuid: bytes, error: HeadwaterError) -> None:
        """End a peek under way with an error; nothing where it is over."""
        ...

    def fail_subscribe(self, id: GlobalId, error: HeadwaterError) -> None:
        """End a subscription with an error, after what is ready."""
        ...

    def cancel(self, conn: int) -> bool:
        """Act as if the client of a connection had asked for cancellation."""
        ...

    def expect_subscribe(self, id: GlobalId) -> None:
        """Keep the subscribe batches of export ``id`` until a client reads them."""
        ...

    def forget_subscribe(self, id: GlobalId) -> None:
        """Drop what is kept for export ``id``: no client will come."""
        ...

    def set_catalog_version(self, version: int) -> None:
        """Tell the front that plans made for older versions are void."""
        ...
