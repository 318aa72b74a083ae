"""The one place that makes headwaterd's objects and joins them.

From the bottom up: persist, the controllers, the links and replica processes, the adapter, the
front that clients connect to. Nothing is made anywhere else, and nothing is global.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from headwater import __version__
from headwater.adapter.bootstrap import boot
from headwater.adapter.client import HeadwaterAdapter
from headwater.adapter.coordinator import Coordinator, Outside
from headwater.adapter.webhooks import Webhooks
from headwater.cluster.controller import ClusterController, ReplicaState
from headwater.cluster.process import ProcessOrchestrator
from headwater.cluster.transport import Links
from headwater.compute.controller import ComputeController
from headwater.environment.config import EnvironmentConfig
from headwater.environment.owners import Owners, owners_of
from headwater.errors import (
    ExternalError,
    Fenced,
    HeadwaterError,
    SystemError_,
    TransientError,
)
from headwater.http.app import HttpServer
from headwater.persist.blob import open_blob
from headwater.persist.client import PersistClient
from headwater.persist.consensus import Consensus
from headwater.persist.consensus_rpc import ConsensusServer
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.persist.rounds import RoundStore
from headwater.persist.stores import open_consensus
from headwater.pgwire.server import FrontServer
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.storage.collections import CollectionKind
from headwater.storage.controller import StorageController
from headwater.types.frontier import Frontier
from headwater.types.ids import GlobalId, ShardId
from headwater.types.time import Timestamp

# How often sinces follow uppers: history of a second more costs less than looking at every
# collection and telling every replica.
MAINTENANCE_S = 2.0
# How far tables may stay behind a source that moves, when a join waits for both.
FOLLOW_SOURCES_S = 0.05
# How often sources are looked for where there was none.
NO_SOURCES_S = 0.5
# How often memory is looked at, where there is a limit.
MEMORY_PERIOD_S = 1.0
# How long consensus may take to note that this server leaves, and its last words before.
LEAVE_TIMEOUT_S = 2.0
TXNS_SHARD = ShardId("txns")

logger = logging.getLogger(__name__)


class Running(msgspec.Struct, kw_only=True):
    """What replicas are told of this environment; ``cluster.controller.Environment``."""

    epoch: int
    blob: str
    local_consensus: str
    remote_consensus: str
    txns: str
    secret: bytes

    def consensus_for(self, *, remote: bool) -> str:
        """Return consensus's URL as a replica reaches it."""
        return self.remote_consensus if remote else self.local_consensus


class Environment:
    """One headwaterd, assembled. :meth:`start` it, then :meth:`close` it."""

    def __init__(self, config: EnvironmentConfig) -> None:
        self.config = config
        self.clock = SystemClock()
        self.rng = SystemRng()
        self.tasks = SupervisedTasks()
        self.on_failure: Callable[[HeadwaterError], None] = lambda _: None
        self.http: HttpServer | None = None
        self._servers: list[ConsensusServer] = []
        self._owners: Owners | None = None

    async def start(self) -> str:
        """Start everything; return the address on which SQL clients are taken.

        Raises:
            HeadwaterError: Something can't be opened; what was started is still to be closed.
        """
        config = self.config
        config.data.mkdir(parents=True, exist_ok=True)
        secret = secrets.token_bytes(16)
        blob = await open_blob(config.blob_url)
        consensus = await open_consensus(config.consensus_url, self.clock, self.rng, self.tasks)
        self._consensus = consensus
        self.persist = PersistClient(blob, consensus, self.clock, self.rng, self.tasks)
        await self.persist.start()
        running = await self._serve_consensus(consensus, secret)
        self._make_controllers(running)
        adapter = HeadwaterAdapter()
        self.front = FrontServer(self.links, adapter, self.tasks)
        self.front.start()
        adapter.attach(await self._boot(running))
        self.tasks.spawn(self._maintain(), name="maintenance")
        self.tasks.spawn(self._follow_sources(), name="follow sources")
        self.tasks.spawn(self._guard_memory(), name="memory")
        if config.internal_sql_address is not None:
            self._listen(config.internal_sql_address, internal=True)
        if config.http_address is not None:
            self.http = HttpServer(self, Webhooks(self.coordinator), self.tasks)
            with _listening(config.http_address):
                self.http.start(config.http_address)
        return self._listen(config.sql_address, internal=False)

    def _listen(self, address: str, *, internal: bool) -> str:
        with _listening(address):
            return self.front.listen(address, internal=internal)

    # What HTTP's metrics are read from

    def collections(self) -> Iterable[tuple[GlobalId, Frontier, Frontier]]:
        """Return id, since and upper of every durable collection."""
        states = self.storage.collections().items()
        return [(id, state.since, state.upper) for id, state in states]

    def replicas(self) -> Iterable[ReplicaState]:
        """Return every replica."""
        return self.cluster.replicas()

    def connections(self) -> int:
        """Return the number of SQL clients."""
        return self.front.connections

    def read_ts(self) -> int:
        """Return the oracle's read timestamp."""
        return self.coordinator.oracle.read_ts()

    def statements_dropped(self) -> int:
        """Return how many executions were sampled and not written: there were too many."""
        return self.coordinator.statements.dropped

    def now_ms(self) -> int:
        """Return the time of day."""
        return self.clock.now_ms()

    async def _serve_consensus(self, consensus: Consensus, secret: bytes) -> Running:
        """Serve consensus to replicas: on a local socket, and over TCP where that is asked for."""
        config = self.config
        socket = _socket_dir(config) / "consensus.sock"
        addresses = [f"unix://{socket}"]
        if config.persist_address is not None:
            addresses.append(f"tcp://{config.persist_address}")
        for address in addresses:
            server = await ConsensusServer.start(consensus, address, self.tasks, secret)
            self._servers.append(server)
        return Running(
            epoch=0,
            blob=config.blob_url,
            local_consensus=f"rpc+{self._servers[0].address}",
            remote_consensus=f"rpc+{self._servers[-1].address}",
            txns=TXNS_SHARD,
            secret=secret,
        )

    def _make_controllers(self, running: Running) -> None:
        self.links = Links()
        self.orchestrator = ProcessOrchestrator(self.config.data / "logs", self.clock, self.tasks)
        self.cluster = ClusterController(
            self.links, self.orchestrator, self.clock, running, _socket_dir(self.config)
        )
        self.storage = StorageController(
            self.persist, TXNS_SHARD, self.cluster.send_shell, self._nudge_tables
        )
        self.compute = ComputeController(
            self.storage, self.cluster.send_compute, self.clock, self.cluster.send_shell
        )
        self.cluster.attach(self.compute, self.storage)
        self.cluster.start()

    async def _boot(self, running: Running) -> Coordinator:
        outside = Outside(
            persist=self.persist,
            compute=self.compute,
            storage=self.storage,
            cluster=self.cluster,
            peeks=self.front,
            clock=self.clock,
            rng=self.rng,
            tasks=self.tasks,
            version=__version__,
            rounds=self._round_store(),
        )

        owners = self._owners = owners_of(self.config.consensus_url)

        def opened(epoch: int) -> None:
            running.epoch = epoch
            if owners is not None:
                owners.enter(epoch)

        def alone() -> bool:
            return owners is not None and owners.alone()

        self.coordinator = await boot(outside, TXNS_SHARD, opened, alone=alone)
        self.coordinator.on_failure = lambda error: self.on_failure(error)
        return self.coordinator

    def _round_store(self) -> RoundStore | None:
        """Return the consensus store if it can commit rows of inserts that the front hands it."""
        if not isinstance(self._consensus, SqliteConsensus):
            return None
        self.front.hand_inserts_to(self._consensus.native)
        return self._consensus

    def _nudge_tables(self, time: Timestamp) -> None:
        self.coordinator.group_commit.nudge(time)

    async def _maintain(self) -> None:
        """Let sinces follow, for as long as the server runs."""
        while True:
            await self.clock.sleep(MAINTENANCE_S)
            for id, state in self.storage.collections().items():
                if state.description.kind is CollectionKind.MATERIALIZED_VIEW:
                    self.compute.set_durable_upper(id, state.upper)
            present = self.coordinator.oracle.read_ts()
            self.compute.maintain(present)
            try:
                await self.storage.maintain(present)
            except Fenced as error:
                self.on_failure(error)
                return
            except (TransientError, ExternalError) as error:
                # A full disk, say: history is kept for longer.
                logger.warning("maintenance is put off", extra={"reason": error.message})

    async def _follow_sources(self) -> None:
        """Let tables keep up with sources, so that a join of both is not a tick behind."""
        pause_s = NO_SOURCES_S
        while True:
            await self.clock.sleep(pause_s)
            uppers = [
                state.upper
                for state in self.storage.collections().values()
                if state.description.kind is CollectionKind.SOURCE
            ]
            pause_s = FOLLOW_SOURCES_S if uppers else NO_SOURCES_S
            furthest = max((upper for upper in uppers if upper is not None), default=0)
            if furthest > self.coordinator.oracle.read_ts() + 1:
                self.coordinator.group_commit.nudge(Timestamp(furthest - 1))

    async def _guard_memory(self) -> None:
        """Keep all processes together below the limit, by ending the largest replica.

        It starts again and reads its collections anew; what is durable is untouched.
        """
        limit = self.config.memory_limit_bytes
        while limit is not None:
            await self.clock.sleep(MEMORY_PERIOD_S)
            own = resident_bytes(os.getpid())
            replicas = {pid: resident_bytes(pid) for pid in self.orchestrator.pids()}
            if own + sum(replicas.values()) <= limit or not replicas:
                continue
            largest = max(replicas, key=lambda pid: replicas[pid])
            logger.error(
                "memory limit exceeded: ending the largest replica",
                extra={"pid": largest, "bytes": replicas[largest], "limit": limit},
            )
            with contextlib.suppress(ProcessLookupError):
                os.kill(largest, signal.SIGKILL)

    async def close(self) -> None:
        """Stop everything in order: clients, replicas, tasks, persist."""
        for part in (
            self._close_front,
            self._write_statements,
            self._leave,
            self._close_cluster,
            self._close_persist,
        ):
            try:
                await part()
            except AttributeError:
                continue  # it was never made

    async def _close_front(self) -> None:
        if self.http is not None:
            await self.http.close()
        await self.front.close()

    async def _write_statements(self) -> None:
        """Write what is known of executions; what can't be written in time is lost."""
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self.coordinator.statements.flush()
        except (HeadwaterError, TimeoutError) as error:
            logger.warning("statements are lost", extra={"reason": str(error)})

    async def _leave(self) -> None:
        """Say that nobody is answered here any more, so that who takes over need not wait."""
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self.coordinator.group_commit.close()
        except (HeadwaterError, TimeoutError) as error:
            logger.warning("left without a word", extra={"reason": str(error)})

    async def _close_cluster(self) -> None:
        await self.cluster.close()

    async def _close_persist(self) -> None:
        await self.tasks.close()
        for server in self._servers:
            await server.close()
        await self.persist.close()
        await self._consensus.close()
        if self._owners is not None:
            self._owners.leave()


@contextlib.contextmanager
def _listening(address: str) -> Iterator[None]:
    """Say in the user's words that an address can't be listened on."""
    try:
        yield
    except OSError as error:
        raise SystemError_(
            f"can't listen on {address}: {error.strerror or error}",
            hint="Is another server running? Choose another address.",
        ) from error


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory; 0 if it is gone. Source: proc(5), statm."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _socket_dir(config: EnvironmentConfig) -> Path:
    """Return where sockets go: in the data folder, unless its path is too long for one.

    Source: sun_path of unix(7) has 108 bytes.
    """
    inside = config.data / "run"
    if len(str(inside / "replica-u123456.sock")) < 104:
        inside.mkdir(parents=True, exist_ok=True)
        return inside
    outside = Path("/tmp") / f"headwater-{abs(hash(str(config.data))):x}"
    outside.mkdir(mode=0o700, parents=True, exist_ok=True)
    return outside
