"""headwaterd's side of clusters: replicas wanted, replicas running, and the words between.

For each replica the controller has the orchestrator run its process (unless it was started by hand
and is only named by address), keeps a link to it, and on every new connection replays the compute
history and the storage assignments before anything else. What replicas answer goes to the compute
and storage controllers, which know nothing of processes.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from headwater.cluster.orchestrator import Orchestrator, ProcessEvent, ProcessSpec
from headwater.cluster.protocol import PROTOCOL_VERSION, Hello, PartsRead, Ready, ShardFailed
from headwater.cluster.transport import (
    CHANNEL_COMPUTE,
    CHANNEL_SHELL,
    Connected,
    Disconnected,
    LinkEvent,
    Links,
    Message,
    Unreachable,
)
from headwater.compute.controller import ComputeController
from headwater.errors import DataCorrupted, DuplicateObject, ErrorFields, UndefinedObject
from headwater.runtime.clock import Clock
from headwater.storage.controller import StorageController
from headwater.storage.protocol import StorageResponse
from headwater.types.ids import ClusterId, ReplicaId, ShardId

logger = logging.getLogger(__name__)

_shell_messages = msgspec.msgpack.Decoder(Ready | PartsRead | ShardFailed | StorageResponse)


class ReplicaConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a replica is made of. With ``address`` it runs elsewhere and is only connected to."""

    name: str
    size: str | None
    workers: int
    memory_bytes: int = 0
    address: str | None = None


class ShardFailure(msgspec.Struct, frozen=True):
    """A shard that a replica can't read or write; ``at`` is of the monotonic clock."""

    error: ErrorFields
    at: float


class ReplicaState(msgspec.Struct, kw_only=True):
    """A replica as it stands. Times in ms since the epoch.

    ``parts_fetched`` and ``parts_skipped``: of sources, by its dataflows, since headwaterd started.
    """

    cluster: ClusterId
    replica: ReplicaId
    config: ReplicaConfig
    online: bool = False
    incarnation: int = 0
    pid: int | None = None
    reason: str | None = None
    updated_ms: int = 0
    failing: "dict[ShardId, ShardFailure]" = {}
    parts_fetched: int = 0
    parts_skipped: int = 0


class Environment(Protocol):
    """What replicas must know to join in."""

    @property
    def epoch(self) -> int:
        """Return the environment's epoch."""
        ...

    @property
    def blob(self) -> str:
        """Return the blob store's URL."""
        ...

    def consensus_for(self, *, remote: bool) -> str:
        """Return consensus's URL as a replica on this machine, or on another one, reaches it."""
        ...

    @property
    def txns(self) -> str:
        """Return the transaction shard."""
        ...

    @property
    def secret(self) -> bytes:
        """Return what the server of consensus wants to hear."""
        ...


class ClusterController:
    """See the module. Lives on headwaterd's event loop."""

    def __init__(
        self,
        links: Links,
        orchestrator: Orchestrator,
        clock: Clock,
        environment: Environment,
        socket_dir: Path,
    ) -> None:
        self._links = links
        self._orchestrator = orchestrator
        self._clock = clock
        self._environment = environment
        self._socket_dir = socket_dir
        self._replicas: dict[ReplicaId, ReplicaState] = {}
        self._compute: ComputeController | None = None
        self._storage: StorageController | None = None
        self.on_status: Callable[[ReplicaState], None] = lambda _: None
        self.on_shard_failed: Callable[[], None] = lambda: None
        orchestrator.set_listener(self._process_event)

    def attach(self, compute: ComputeController, storage: StorageController) -> None:
        """Name the controllers that replicas work for; before the first replica is made."""
        self._compute = compute
        self._storage = storage

    def start(self) -> None:
        """Begin to take in what links say."""
        self._links.start(self._link_event)

    # What controllers send

    def send_compute(self, replica: ReplicaId, payload: bytes) -> None:
        """Send a compute command; lost if the replica is not connected: history will tell it."""
        self._send(replica, CHANNEL_COMPUTE, payload)

    def send_shell(self, replica: ReplicaId, payload: bytes) -> None:
        """Send a storage command; lost if the replica is not connected."""
        self._send(replica, CHANNEL_SHELL, payload)

    def _send(self, replica: ReplicaId, channel: int, payload: bytes) -> None:
        state = self._replicas.get(replica)
        if state is not None and state.incarnation:
            self._links.send(replica, state.incarnation, channel, payload)

    # Replicas

    def create_replica(self, cluster: ClusterId, replica: ReplicaId, config: ReplicaConfig) -> None:
        """Start a replica, or connect to it, and keep doing so; returns before it is ready."""
        if replica in self._replicas:
            raise DuplicateObject(f'replica "{replica}" exists already')
        self._replicas[replica] = ReplicaState(
            cluster=cluster, replica=replica, config=config, updated_ms=self._clock.now_ms()
        )
        address = config.address
        if address is None:
            address = f"unix:{self._socket_dir / f'replica-{replica}.sock'}"
            self._orchestrator.ensure(ProcessSpec(replica, address, config.workers))
        environment = self._environment
        hello = Hello(
            version=PROTOCOL_VERSION,
            epoch=environment.epoch,
            replica=replica,
            blob=environment.blob,
            consensus=environment.consensus_for(remote=not address.startswith("unix:")),
            txns=environment.txns,
            secret=environment.secret,
        )
        self._links.connect(
            replica, cluster, [address], environment.epoch, msgspec.msgpack.encode(hello)
        )

    async def drop_replica(self, replica: ReplicaId) -> None:
        """Stop a replica for good."""
        state = self._replicas.pop(replica, None)
        if state is None:
            raise UndefinedObject(f'replica "{replica}" does not exist')
        self._links.disconnect(replica)
        self._lost(state, "dropped")
        if state.config.address is None:
            await self._orchestrator.drop(replica)

    def replicas(self) -> Sequence[ReplicaState]:
        """Return the state of every replica."""
        return tuple(self._replicas.values())

    async def close(self) -> None:
        """Stop all replicas that we started, and let go of the others."""
        for replica in list(self._replicas):
            self._links.disconnect(replica)
        self._replicas.clear()
        await self._orchestrator.close()

    # What links and processes say

    def _link_event(self, event: LinkEvent) -> None:
        state = self._replicas.get(ReplicaId(event.replica))
        if state is None:
            return
        match event:
            case Connected():
                self._connected(state, event.incarnation)
            case Disconnected(reason=reason):
                if event.incarnation == state.incarnation:
                    self._lost(state, reason)
            case Unreachable(reason=reason):
                self._set_status(state, online=False, reason=reason)
            case Message(channel=channel, payload=payload):
                if event.incarnation == state.incarnation:
                    self._message(state, channel, payload)

    def _connected(self, state: ReplicaState, incarnation: int) -> None:
        assert self._compute is not None
        assert self._storage is not None
        state.incarnation = incarnation
        state.failing = {}
        self._compute.replica_connected(state.cluster, state.replica)
        self._links.ready(state.replica, incarnation)
        self._storage.replica_connected(state.cluster, state.replica)
        self._set_status(state, online=True, reason=None)

    def _lost(self, state: ReplicaState, reason: str) -> None:
        assert self._compute is not None
        assert self._storage is not None
        if state.incarnation:
            state.incarnation = 0
            self._compute.replica_disconnected(state.replica)
            self._storage.replica_disconnected(state.replica)
        self._set_status(state, online=False, reason=reason)

    def _message(self, state: ReplicaState, channel: int, payload: bytes) -> None:
        assert self._compute is not None
        assert self._storage is not None
        if channel == CHANNEL_COMPUTE:
            self._compute.respond(state.replica, payload)
            return
        match _shell_messages.decode(payload):
            case Ready(pid=pid):
                state.pid = pid
            case PartsRead(fetched=fetched, skipped=skipped):
                state.parts_fetched += fetched
                state.parts_skipped += skipped
            case ShardFailed(shard=shard, error=error):
                self._shard_failed(state, ShardId(shard), error)
            case _ as response:
                self._storage.respond(state.replica, response)

    def _shard_failed(self, state: ReplicaState, shard: ShardId, error: ErrorFields | None) -> None:
        if error is None:
            state.failing.pop(shard, None)
        else:
            if shard not in state.failing:
                logger.error(
                    "a shard can't be served by a replica",
                    extra={"replica": state.replica, "shard": shard, "reason": error.message},
                )
            state.failing[shard] = ShardFailure(error, self._clock.monotonic())
        reasons = [f"shard {s}: {failure.error.message}" for s, failure in state.failing.items()]
        self._set_status(state, online=state.online, reason=reasons[0] if reasons else None)
        if error is not None and error.sqlstate == DataCorrupted.sqlstate:
            self.on_shard_failed()

    def shard_failure(self, cluster: ClusterId, shard: ShardId, since: float) -> ErrorFields | None:
        """Return how the replicas of a cluster have failed to read a damaged shard.

        None unless each that is connected has tried since then (of the monotonic clock).
        """
        replicas = [s for s in self._replicas.values() if s.cluster == cluster and s.incarnation]
        failures = [state.failing.get(shard) for state in replicas]
        found: ErrorFields | None = None
        for failure in failures:
            if failure is None or failure.at < since:
                return None
            if failure.error.sqlstate != DataCorrupted.sqlstate:
                return None
            found = failure.error
        return found

    def _process_event(self, event: ProcessEvent) -> None:
        state = self._replicas.get(event.replica)
        if state is None:
            return
        state.pid = event.pid if event.reason is None else None
        if event.reason is not None:
            self._set_status(state, online=False, reason=event.reason)

    def _set_status(self, state: ReplicaState, *, online: bool, reason: str | None) -> None:
        if state.online == online and state.reason == reason:
            return
        state.online, state.reason = online, reason
        state.updated_ms = self._clock.now_ms()
        self.on_status(state)
