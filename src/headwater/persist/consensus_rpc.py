"""Consensus over a socket: the process that owns a store serves it to the others.

A server hands each client's requests to the store, so that they join its group commits, and pushes
the versions of the shards the client watches, except those the client itself has committed. A
client reconnects by itself: what was asked and not answered is asked again (a commit that had
happened is then a mismatch, in which its author recognises himself), shards are watched again, and
subscribers are told to scan them.
"""

import asyncio
import hmac
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec

from headwater.errors import (
    ConnectionFailure,
    HeadwaterError,
    InvalidParameterValue,
    ProtocolViolation,
)
from headwater.persist import rpc_wire as wire
from headwater.persist.consensus import (
    COMMITTED,
    Cas,
    CommitResult,
    Consensus,
    PushCallback,
    SeqNo,
    Subscription,
)
from headwater.persist.parts import INLINE_BYTES_MAX_POSTGRES
from headwater.runtime.clock import Clock
from headwater.runtime.rng import Rng
from headwater.runtime.tasks import Tasks
from headwater.types.ids import ShardId

logger = logging.getLogger(__name__)

REQUESTS_MAX = 1024  # unanswered ones of one client; beyond, its socket is not read
PUSH_BUFFER_MAX = 64 << 20  # bytes; a client that is further behind has to connect anew
RECONNECT_MIN_S = 0.02
RECONNECT_MAX_S = 2.0


def parse_address(address: str) -> tuple[str, str, int]:
    """Return ``("unix", path, 0)`` or ``("tcp", host, port)``.

    Raises:
        InvalidParameterValue: Neither ``unix:///path`` nor ``tcp://host:port``.
    """
    parts = urlsplit(address)
    if parts.scheme == "unix" and parts.path:
        return "unix", parts.path, 0
    if parts.scheme == "tcp" and parts.hostname and parts.port is not None:
        return "tcp", parts.hostname, parts.port
    raise InvalidParameterValue(
        f'invalid address "{address}"', hint="Use unix:///path or tcp://host:port."
    )


def _remove_left_over(path: str) -> None:
    Path(path).unlink(missing_ok=True)


class ConsensusServer:
    """Serves a store. Use :meth:`start`.

    Attributes:
        address: Where clients connect; with the real port where 0 was asked for.
    """

    def __init__(self, consensus: Consensus, tasks: Tasks, secret: bytes) -> None:
        self.consensus = consensus
        self.tasks = tasks
        self.secret = secret
        self.address = ""
        self.clients: set[_Served] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    async def start(
        cls, consensus: Consensus, address: str, tasks: Tasks, secret: bytes = b""
    ) -> "ConsensusServer":
        """Listen at ``address`` (``unix:///path`` or ``tcp://host:port``).

        Args:
            consensus: The store to be served.
            address: A unix socket left over at the path is replaced.
            tasks: Runs the requests.
            secret: What clients must know; empty: anyone may connect.
        """
        server = cls(consensus, tasks, secret)
        scheme, host, port = parse_address(address)
        loop = asyncio.get_running_loop()
        if scheme == "unix":
            _remove_left_over(host)
            server._server = await loop.create_unix_server(lambda: _Served(server), host)
            server.address = address
        else:
            server._server = await loop.create_server(lambda: _Served(server), host, port)
            port = server._server.sockets[0].getsockname()[1]
            server.address = f"tcp://{host}:{port}"
        return server

    async def close(self) -> None:
        """Stop listening and drop all clients; the store stays open."""
        if self._server is not None:
            self._server.close()
        for client in tuple(self.clients):
            client.drop()


class _Outbox:
    """Frames to one peer: those of one turn of the loop are written at once.

    A tick moves every materialized view of a replica: fifty commits, and fifty answers, in a turn.

    Args:
        transport: Where to.
        waiting_max: Called where more bytes than this wait to be sent.
        overflow: What is called then.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        waiting_max: int = sys.maxsize,
        overflow: Callable[[], None] = lambda: None,
    ) -> None:
        self._transport = transport
        self._frames: list[bytes] = []
        self._waiting_max = waiting_max
        self._overflow = overflow

    def send(self, message: wire.Message) -> None:
        """Write a message at the end of this turn; it is lost with the connection."""
        if not self._frames:
            asyncio.get_running_loop().call_soon(self._write)
        self._frames.append(wire.frame(message))

    def _write(self) -> None:
        frames, self._frames = self._frames, []
        if self._transport.is_closing():
            return
        self._transport.write(b"".join(frames))
        if self._transport.get_write_buffer_size() > self._waiting_max:
            self._overflow()


class _Served(asyncio.Protocol):
    """One client, seen from the server."""

    def __init__(self, server: ConsensusServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._outbox: _Outbox | None = None
        self._frames = wire.Frames(wire.HELLO_BYTES_MAX)
        self._welcome = False
        self._running = 0
        self._watched: set[ShardId] = set()
        self._own: set[tuple[ShardId, SeqNo]] = set()
        self._subscription = server.consensus.subscribe(self._pushed)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._outbox = _Outbox(self._transport, PUSH_BUFFER_MAX, self._too_slow)
        self._server.clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._outbox = None
        self._server.clients.discard(self)
        self._subscription.close()

    def drop(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                self._handle(wire.request_decoder.decode(frame))
        except (ProtocolViolation, msgspec.DecodeError) as error:
            logger.warning("consensus client refused", extra={"why": str(error)})
            self.drop()

    def _handle(self, request: wire.Request) -> None:
        if isinstance(request, wire.Hello):
            if request.version != wire.PROTOCOL_VERSION:
                raise ProtocolViolation(f"client speaks version {request.version}")
            if not hmac.compare_digest(request.secret, self._server.secret):
                raise ProtocolViolation("client does not know the secret")
            self._welcome = True
            self._frames.bytes_max = wire.FRAME_BYTES_MAX
            limit = self._server.consensus.inline_bytes_max
            self._send(wire.Welcome(wire.PROTOCOL_VERSION, limit))
            return
        if not self._welcome:
            raise ProtocolViolation("client did not say hello")
        if isinstance(request, wire.Unwatch):
            self._watched.discard(request.shard)
            self._subscription.remove(request.shard)
            return
        self._running += 1
        if self._running >= REQUESTS_MAX and self._transport is not None:
            self._transport.pause_reading()
        self._server.tasks.spawn(self._answer(request), name="consensus-request")

    async def _answer(
        self, request: wire.Commit | wire.Scan | wire.Truncate | wire.ListShards | wire.Watch
    ) -> None:
        try:
            answer: wire.Answer = await self._result(request)
        except HeadwaterError as error:
            answer = wire.Failed(request.id, error.fields())
        finally:
            self._running -= 1
            if self._running == REQUESTS_MAX - 1 and self._transport is not None:
                self._transport.resume_reading()
        self._send(answer)

    async def _result(
        self, request: wire.Commit | wire.Scan | wire.Truncate | wire.ListShards | wire.Watch
    ) -> wire.Answer:
        consensus = self._server.consensus
        match request:
            case wire.Commit(id, ops):
                result = await consensus.commit(ops)
                if result.committed and self._transport is not None:
                    watched = self._watched
                    self._own |= {(op.shard, op.seqno) for op in ops if op.shard in watched}
                return wire.Committed(id, result.mismatched)
            case wire.Scan(id, shard, from_seqno):
                found = await consensus.scan(shard, from_seqno)
                size, end = 0, 0
                while end < len(found) and (end == 0 or size < wire.SCAN_BYTES):
                    size += len(found[end][1])
                    end += 1
                return wire.Versions(id, tuple(found[:end]), end < len(found))
            case wire.Truncate(id, shard, before):
                await consensus.truncate(shard, before)
                return wire.Done(id)
            case wire.ListShards(id):
                return wire.Shards(id, tuple(await consensus.list_shards()))
            case wire.Watch(id, shard):
                self._watched.add(shard)
                await self._subscription.add(shard)
                return wire.Done(id)

    def _pushed(self, shard: ShardId, seqno: SeqNo, data: bytes | None) -> None:
        if (shard, seqno) in self._own:
            self._own.discard((shard, seqno))
        elif data is None:
            self.drop()  # a gap in our own source: the client scans when it comes back
        else:
            self._send(wire.Push(shard, seqno, data))

    def _send(self, message: wire.Message) -> None:
        if self._outbox is not None:
            self._outbox.send(message)

    def _too_slow(self) -> None:
        logger.warning("consensus client is too slow")
        self.drop()


class _Pending(msgspec.Struct):
    """A request that is not answered yet."""

    request: wire.Request
    future: "asyncio.Future[wire.Answer]"


class RpcConsensus:
    """The store that a :class:`ConsensusServer` serves. Use :meth:`connect`."""

    def __init__(self, address: str, clock: Clock, rng: Rng, tasks: Tasks, secret: bytes) -> None:
        self.inline_bytes_max = INLINE_BYTES_MAX_POSTGRES
        self._address = parse_address(address)
        self._clock = clock
        self._rng = rng
        self._tasks = tasks
        self._secret = secret
        self._pending: dict[int, _Pending] = {}
        self._last_id = 0
        self._connection: _Connection | None = None
        self._subscribers: dict[ShardId, dict[_RemoteSubscription, None]] = {}
        self._welcomed = asyncio.Event()
        self._lost = asyncio.Event()
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls, address: str, clock: Clock, rng: Rng, tasks: Tasks, secret: bytes = b""
    ) -> "RpcConsensus":
        """Begin to connect, and go on until :meth:`close`; requests wait for a connection."""
        store = cls(address, clock, rng, tasks, secret)
        store._task = tasks.spawn(store._keep_connected(), name="consensus-connection")
        return store

    async def wait_connected(self) -> None:
        """Return when the server has welcomed this client."""
        await self._welcomed.wait()

    async def commit(self, ops: Sequence[Cas]) -> CommitResult:
        """Apply all ``ops`` or none; durable on return."""
        try:
            answer = await self._ask(wire.Commit(self._next_id(), tuple(ops)))
        except asyncio.CancelledError:
            self._tell_gap({op.shard for op in ops})
            raise
        assert isinstance(answer, wire.Committed)
        return CommitResult(answer.mismatched) if answer.mismatched else COMMITTED

    async def scan(self, shard: ShardId, from_seqno: SeqNo) -> list[tuple[SeqNo, bytes]]:
        """Return the versions from ``from_seqno`` on, oldest first."""
        found: list[tuple[SeqNo, bytes]] = []
        while True:
            answer = await self._ask(wire.Scan(self._next_id(), shard, from_seqno))
            assert isinstance(answer, wire.Versions)
            found.extend(answer.versions)
            if not answer.more:
                return found
            from_seqno = SeqNo(found[-1][0] + 1)

    async def truncate(self, shard: ShardId, before: SeqNo) -> None:
        """Remove versions before ``before``, keeping the newest."""
        await self._ask(wire.Truncate(self._next_id(), shard, before))

    async def list_shards(self) -> list[ShardId]:
        """Return the shards that have a version."""
        answer = await self._ask(wire.ListShards(self._next_id()))
        assert isinstance(answer, wire.Shards)
        return list(answer.shards)

    def subscribe(self, callback: PushCallback) -> Subscription:
        """Return a flow of pushes of what others commit."""
        return _RemoteSubscription(self, callback)

    async def close(self) -> None:
        """Disconnect; what is not answered fails."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.drop()
        self._fail_pending(ConnectionFailure("the connection to the consensus store is closed"))

    # Requests

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def _ask(
        self, request: wire.Commit | wire.Scan | wire.Truncate | wire.ListShards | wire.Watch
    ) -> wire.Answer:
        if self._closed:
            raise ConnectionFailure("the connection to the consensus store is closed")
        future: asyncio.Future[wire.Answer] = asyncio.get_running_loop().create_future()
        self._pending[request.id] = _Pending(request, future)
        try:
            if self._connection is not None:
                self._connection.send(request)
            answer = await future
        finally:
            self._pending.pop(request.id, None)
        if isinstance(answer, wire.Failed):
            raise wire.error_of(answer.error)
        return answer

    def _fail_pending(self, error: HeadwaterError) -> None:
        for pending in self._pending.values():
            if not pending.future.done():
                pending.future.set_exception(error)

    def received(self, answer: wire.Answer) -> None:
        """Take an answer or a push from the connection."""
        match answer:
            case wire.Push(shard, seqno, data):
                for subscriber in tuple(self._subscribers.get(shard, ())):
                    subscriber.callback(shard, seqno, data)
            case wire.Welcome():
                self._resume(answer)
            case _:
                pending = self._pending.get(answer.id)
                if pending is not None and not pending.future.done():
                    pending.future.set_result(answer)

    # Connecting

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        delay_s = RECONNECT_MIN_S
        scheme, host, port = self._address
        while not self._closed:
            self._lost.clear()
            try:
                if scheme == "unix":
                    await loop.create_unix_connection(lambda: _Connection(self), host)
                else:
                    await loop.create_connection(lambda: _Connection(self), host, port)
            except OSError as error:
                logger.debug("consensus not reached", extra={"why": str(error)})
            else:
                await self._lost.wait()
                if self._welcomed.is_set():
                    delay_s = RECONNECT_MIN_S
                self._welcomed.clear()
            await self._clock.sleep(self._rng.uniform(delay_s / 2, delay_s))
            delay_s = min(delay_s * 2, RECONNECT_MAX_S)

    def connected(self, connection: "_Connection") -> None:
        """Introduce ourselves on a new connection."""
        connection.send(wire.Hello(wire.PROTOCOL_VERSION, self._secret))

    def disconnected(self, connection: "_Connection") -> None:
        """Notice that a connection has ended."""
        if self._connection is connection:
            self._connection = None
        self._lost.set()

    def welcome(self, connection: "_Connection", answer: wire.Answer) -> None:
        """Use a connection once the server has welcomed us."""
        self._connection = connection
        self.received(answer)

    def _resume(self, welcome: wire.Welcome) -> None:
        connection = self._connection
        if connection is None:
            return
        self.inline_bytes_max = welcome.inline_bytes_max
        self._welcomed.set()
        for shard in self._subscribers:
            # Not waited for: frames keep their order, so that later scans see what is not pushed.
            connection.send(wire.Watch(0, shard))
        for pending in self._pending.values():
            connection.send(pending.request)
        self._tell_gap(set(self._subscribers))

    def _tell_gap(self, shards: set[ShardId]) -> None:
        for shard in shards:
            for subscriber in tuple(self._subscribers.get(shard, ())):
                subscriber.callback(shard, SeqNo(0), None)

    # Subscriptions

    async def watch(self, subscriber: "_RemoteSubscription", shard: ShardId) -> None:
        """Have a shard pushed to a subscriber."""
        self._subscribers.setdefault(shard, {})[subscriber] = None
        await self._ask(wire.Watch(self._next_id(), shard))

    def unwatch(self, subscriber: "_RemoteSubscription", shard: ShardId) -> None:
        """Undo :meth:`watch`."""
        subscribers = self._subscribers.get(shard)
        if subscribers is None:
            return
        subscribers.pop(subscriber, None)
        if not subscribers:
            del self._subscribers[shard]
            if self._connection is not None:
                self._connection.send(wire.Unwatch(shard))


class _RemoteSubscription:
    def __init__(self, store: RpcConsensus, callback: PushCallback) -> None:
        self.callback = callback
        self._store = store
        self._shards: set[ShardId] = set()

    async def add(self, shard: ShardId) -> None:
        self._shards.add(shard)
        await self._store.watch(self, shard)

    def remove(self, shard: ShardId) -> None:
        self._shards.discard(shard)
        self._store.unwatch(self, shard)

    def close(self) -> None:
        for shard in tuple(self._shards):
            self.remove(shard)


class _Connection(asyncio.Protocol):
    """The client's end of one connection."""

    def __init__(self, store: RpcConsensus) -> None:
        self._store = store
        self._transport: asyncio.Transport | None = None
        self._outbox: _Outbox | None = None
        self._frames = wire.Frames(wire.FRAME_BYTES_MAX)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._outbox = _Outbox(self._transport)
        self._store.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._outbox = None
        self._store.disconnected(self)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                answer = wire.answer_decoder.decode(frame)
                if isinstance(answer, wire.Welcome):
                    self._store.welcome(self, answer)
                else:
                    self._store.received(answer)
        except (ProtocolViolation, msgspec.DecodeError) as error:
            logger.warning("consensus server misbehaves", extra={"why": str(error)})
            self.drop()

    def send(self, message: wire.Message) -> None:
        """Write a message; one that is lost with the connection is sent again on the next."""
        if self._outbox is not None:
            self._outbox.send(message)

    def drop(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
