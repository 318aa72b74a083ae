"""The layers below the adapter, without processes: real controllers that talk to nobody."""

import asyncio
from pathlib import Path

import msgspec

from headwater.adapter.bootstrap import boot
from headwater.adapter.client import ClientSession, HeadwaterAdapter
from headwater.adapter.coordinator import Coordinator, Outside
from headwater.cluster.controller import ReplicaConfig, ReplicaState
from headwater.compute.controller import ComputeController
from headwater.errors import HeadwaterError
from headwater.persist import flat
from headwater.persist.blob import LocalBlob
from headwater.persist.client import PersistClient
from headwater.persist.consensus_sqlite import SqliteConsensus
from headwater.pgwire import protocol as p
from headwater.pgwire.session_api import fields_of
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.storage.controller import StorageController
from headwater.types.ids import ClusterId, GlobalId, ReplicaId, ShardId

TXNS = ShardId("txns")


class FakeCluster:
    """Notes which replicas are wanted."""

    def __init__(self) -> None:
        self.states: dict[ReplicaId, ReplicaState] = {}
        self._changed = asyncio.Event()

    def create_replica(self, cluster: ClusterId, replica: ReplicaId, config: ReplicaConfig) -> None:
        self.states[replica] = ReplicaState(cluster=cluster, replica=replica, config=config)

    async def drop_replica(self, replica: ReplicaId) -> None:
        del self.states[replica]
        self._changed.set()

    async def gone(self, replica: ReplicaId) -> None:
        """Return when a replica is dropped."""
        while replica in self.states:
            self._changed.clear()
            await self._changed.wait()

    def replicas(self) -> list[ReplicaState]:
        return list(self.states.values())

    def on_shard_failed(self) -> None:
        pass

    def shard_failure(self, cluster: ClusterId, shard: ShardId, since: float) -> None:
        pass


class FakePeeks:
    """Answers peeks with what the test has put into ``answers``, in order."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.asked: list[p.PeekSource] = []
        self.subscribed: list[GlobalId] = []
        self.version = 0
        self._read_ts = 0
        self.sinces: dict[str, int] = {}

    async def collect_peek(self, source: p.PeekSource) -> bytes:
        self.asked.append(source)
        return self.answers.pop(0) if self.answers else flat.EMPTY

    @property
    def state(self) -> "FakePeeks":
        return self

    def cancel(self, conn: int) -> bool:
        return conn > 0

    def fail_peek(self, uuid: bytes, error: HeadwaterError) -> None:
        pass

    def fail_subscribe(self, id: GlobalId, error: HeadwaterError) -> None:
        pass

    def forget_subscribe(self, id: GlobalId) -> None:
        if id in self.subscribed:
            self.subscribed.remove(id)

    def expect_subscribe(self, id: GlobalId) -> None:
        self.subscribed.append(id)

    def set_catalog_version(self, version: int) -> None:
        self.version = version

    def set_index_since(self, id: str, since: int) -> None:
        self.sinces[id] = since

    def set_index_upper(self, id: str, upper: int) -> None:
        pass

    def drop_index(self, id: str) -> None:
        self.sinces.pop(id, None)

    def set_read_ts(self, ts: int) -> None:
        self._read_ts = ts

    def read_ts(self) -> int:
        return self._read_ts

    def set_lease_until(self, until_ns: int) -> None:
        pass


class Server:
    """A booted adapter over a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = FakeCluster()
        self.peeks = FakePeeks()
        self.failures: list[HeadwaterError] = []
        self._conns = 0

    async def start(self) -> "Server":
        self.clock, rng, self.tasks = SystemClock(), SystemRng(), SupervisedTasks()
        self.consensus = await SqliteConsensus.open(self.folder / "consensus.db")
        self.persist = PersistClient(
            LocalBlob(self.folder / "blob"), self.consensus, self.clock, rng, self.tasks
        )
        await self.persist.start()
        self.storage = StorageController(
            self.persist, TXNS, lambda *_: None, lambda time: self.coord.group_commit.nudge(time)
        )
        self.compute = ComputeController(self.storage, lambda *_: None, self.clock)
        outside = Outside(
            persist=self.persist,
            compute=self.compute,
            storage=self.storage,
            cluster=self.cluster,
            peeks=self.peeks,
            clock=self.clock,
            rng=rng,
            tasks=self.tasks,
            version="0.0.0",
        )
        self.coord: Coordinator = await boot(outside, TXNS, alone=lambda: True)
        self.coord.on_failure = self.failures.append
        self.adapter = HeadwaterAdapter(self.coord)
        return self

    @staticmethod
    def times(source: p.PeekSource) -> int:
        """Return the time at which a peek reads."""
        return int(msgspec.msgpack.decode(source.peek)["timestamp"])

    async def stop(self) -> None:
        await self.tasks.close()
        await self.persist.close()
        await self.consensus.close()

    async def connect(self, user: str = "materialize", **options: str) -> "Client":
        self._conns += 1
        startup = p.Startup(
            id=1,
            conn=self._conns,
            user=user,
            database="materialize",
            options=options,
            process_id=self._conns,
        )
        session, started = await self.adapter.startup(startup)
        return Client(self, session, self._conns, started)


class Client:
    """Does what the front does with a client's simple queries."""

    def __init__(
        self, server: Server, session: ClientSession, conn: int, started: p.Started
    ) -> None:
        self.server = server
        self.api = session
        self.session = session.session
        self.conn = conn
        self.started = started
        self.requests = 1
        self.status = "I"
        self.notices: list[str] = []

    async def run(self, sql: str) -> list[p.ExecuteReply]:
        """Send a simple query; return the reply of each statement, a Failed last."""
        replies: list[p.ExecuteReply] = []
        try:
            parsed = await self.api.parse_many(
                p.ParseMany(id=self._next(), conn=self.conn, sql=sql)
            )
            for number, handle in enumerate(parsed.statements, start=1):
                last = number == len(parsed.statements)
                execute = p.Execute(id=self._next(), conn=self.conn, handle=handle, sync=last)
                reply = await self.api.execute(execute)
                replies.append(reply)
                self._saw(reply)
                if isinstance(getattr(reply, "source", None), p.PeekSource):
                    self.api.complete(
                        p.Complete(conn=self.conn, execution=execute.id, outcome="done")
                    )
        except HeadwaterError as error:
            failed = self.api.fail(fields_of(error))
            self._saw(failed)
            replies.append(failed)
        return replies

    async def tag(self, sql: str) -> str:
        """Run one statement and return its command tag; fail the test if it fails."""
        (reply,) = await self.run(sql)
        assert isinstance(reply, p.Command), reply
        return reply.tag

    async def error(self, sql: str) -> tuple[str, str]:
        """Run statements of which the last fails; return SQLSTATE and message."""
        reply = (await self.run(sql))[-1]
        assert isinstance(reply, p.Failed), reply
        return reply.error.sqlstate, reply.error.message

    async def constant(self, sql: str) -> list[bytes]:
        """Run a query whose rows are made here and return them."""
        (reply,) = await self.run(sql)
        assert isinstance(reply, p.Rows), reply
        assert isinstance(reply.source, p.InlineRows), reply.source
        return [row for row, _, diff in flat.updates(reply.source.rows) for _ in range(diff)]

    def _saw(self, reply: p.ExecuteReply) -> None:
        self.status = reply.status
        self.notices.extend(notice.message for notice in reply.notices)

    def _next(self) -> int:
        self.requests += 1
        return self.requests
