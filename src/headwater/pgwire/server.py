"""Runs the native front on the event loop: drains requests, keeps them in order, sends replies.

Each connection has one task, which takes its requests one after the other. Cancel requests and the
client's end do not wait in that line: they cancel what the task is awaiting.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

import msgspec

from headwater.cluster.transport import Links
from headwater.errors import AdminShutdown, ErrorFields, HeadwaterError, QueryCanceled
from headwater.errors import InternalError as _InternalError
from headwater.native.loader import native
from headwater.pgwire import protocol as p
from headwater.pgwire.session_api import Adapter, Session, fields_of
from headwater.runtime.tasks import Tasks
from headwater.types.ids import GlobalId

logger = logging.getLogger(__name__)

_DRAIN_MAX = 256  # requests taken at once, so that the loop serves others in between
_CLOSE_TIMEOUT_S = 5.0  # how long sessions may take to end when the server closes


class PeekFailed(HeadwaterError):
    """A peek for a reader in Python failed; ``error`` says how, in the data's own code."""

    def __init__(self, error: ErrorFields) -> None:
        super().__init__(error.message, detail=error.detail, hint=error.hint)
        self.error = error

    def fields(self) -> ErrorFields:
        """Return the error as it came."""
        return self.error


class FrontServer:
    """The front end of an environment.

    Args:
        links: Where peeks and subscriptions are read.
        adapter: Who answers.
        tasks: Who owns the connections' tasks.
        connections_max: Clients at most; None for the front's default.
        message_bytes_max: A message's bytes at most; None for the front's default.
    """

    def __init__(
        self,
        links: Links,
        adapter: Adapter,
        tasks: Tasks,
        *,
        connections_max: int | None = None,
        message_bytes_max: int | None = None,
    ) -> None:
        self._links = links
        self._adapter = adapter
        self._tasks = tasks
        self._native = links.open_front(
            connections_max=connections_max, message_bytes_max=message_bytes_max
        )
        self._connections: dict[int, _Connection] = {}
        self._peeks: dict[int, asyncio.Future[bytes]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.state = self._native.state
        """The numbers that prepared point reads look at; see ``rust/hw-front/src/fast.rs``."""

    def start(self) -> None:
        """Begin to answer, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._native.fd(), self._drain)

    def listen(self, address: str, *, internal: bool = False) -> str:
        """Listen at ``host:port`` and return the address, with a real port.

        Raises:
            OSError: The address is in use, or none of ours.
        """
        return self._native.listen(address, internal=internal)

    async def close(self) -> None:
        """Stop listening, end all connections, and return when their sessions have ended."""
        self._native.close()
        error = AdminShutdown("terminating connection due to administrator command").fields()
        for conn in list(self._connections):
            self.terminate(conn, error)
        tasks = [connection.task for connection in self._connections.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_CLOSE_TIMEOUT_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._loop is not None:
            self._loop.remove_reader(self._native.fd())

    @property
    def connections(self) -> int:
        """Return the number of clients, those that are not let in yet included."""
        return self._native.connections()

    # What the adapter may ask

    def notify(self, conn: int, notice: ErrorFields) -> None:
        """Tell a client something as soon as it can be told."""
        self._native.command(p.encode(p.SendNotice(conn=conn, notice=notice)))

    def set_parameter(self, conn: int, name: str, value: str) -> None:
        """Tell a client that a reported variable has changed."""
        self._native.command(p.encode(p.SendParameter(conn=conn, name=name, value=value)))

    def cancel(self, conn: int) -> bool:
        """Cancel what a connection is doing; False where there is no such connection."""
        return self._native.command(p.encode(p.CancelConnection(conn=conn)))

    def terminate(self, conn: int, error: ErrorFields) -> bool:
        """End a connection with a last word; False where there is no such connection."""
        return self._native.command(p.encode(p.TerminateConnection(conn=conn, error=error)))

    def expect_subscribe(self, id: GlobalId) -> None:
        """Keep the batches of subscribe export ``id`` until a client reads them."""
        self._links.expect_subscribe(id)

    def forget_subscribe(self, id: GlobalId) -> None:
        """Drop what is kept for ``id``, where no client will come."""
        self._links.forget_subscribe(id)

    def fail_peek(self, uuid: bytes, error: HeadwaterError) -> None:
        """End a peek under way with an error; nothing where it is over."""
        self._links.fail_peek(uuid, error)

    def fail_subscribe(self, id: GlobalId, error: HeadwaterError) -> None:
        """End a subscription with an error, after what is ready."""
        self._links.fail_subscribe(id, error)

    def set_catalog_version(self, version: int) -> None:
        """Void the fast plans made for other versions of the catalog."""
        self.state.set_catalog_version(version)

    def hand_inserts_to(self, store: "native.Consensus") -> None:
        """Hand rows of single-row inserts to a store, whenever it takes them."""
        self._native.set_inserts(store)

    async def collect_peek(self, source: p.PeekSource) -> bytes:
        """Run a peek and return its finished rows as a flat batch, for readers in Python.

        Raises:
            PeekFailed: The data hold an error, or no answer can be had.
        Cancellation: the peek is given up.
        """
        number = self._native.collect_peek(p.encode(source))
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._peeks[number] = future
        try:
            return await future
        finally:
            if self._peeks.pop(number, None) is not None:
                self._native.cancel_peek(number)

    # What the front says

    def _drain(self) -> None:
        inserts: list[p.Insert] = []
        for data in self._native.drain(_DRAIN_MAX):
            try:
                request = p.decode_request(data)
            except msgspec.MsgspecError:
                logger.exception("the native front speaks another version of the protocol")
                continue
            if isinstance(request, p.Insert):
                inserts.append(request)
            elif isinstance(request, p.PeekResult):
                self._peek_result(request)
            else:
                self._dispatch(request)
        if inserts:
            self._adapter.insert(inserts, self.reply_all)

    def _peek_result(self, result: p.PeekResult) -> None:
        future = self._peeks.pop(result.execution, None)
        if future is None or future.done():
            return
        if result.error is not None:
            future.set_exception(PeekFailed(result.error))
        else:
            future.set_result(result.rows)

    def _dispatch(self, request: p.Request) -> None:
        connection = self._connections.get(request.conn)
        if connection is None:
            if not isinstance(request, p.Startup):
                return  # a late word of a connection whose start failed
            connection = _Connection(self, request.conn)
            self._connections[request.conn] = connection
        connection.take(request)

    # What connections need

    @property
    def adapter(self) -> Adapter:
        """Return who answers."""
        return self._adapter

    @property
    def tasks(self) -> Tasks:
        """Return who owns the connections' tasks."""
        return self._tasks

    def reply(self, id: int, reply: p.Reply) -> None:
        """Send a reply; the client may be gone meanwhile."""
        self._native.reply(id, p.encode(reply))

    def reply_all(self, ids: Sequence[int], reply: p.Reply) -> None:
        """Send the same reply to several requests."""
        data = p.encode(reply)
        for id in ids:
            self._native.reply(id, data)

    def forget(self, conn: int) -> None:
        """Forget a connection whose session has ended."""
        self._connections.pop(conn, None)


class _Connection:
    """One client: its requests in order, and the task that answers them."""

    def __init__(self, server: FrontServer, conn: int) -> None:
        self._server = server
        self._conn = conn
        self._requests: deque[p.Request] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._session: Session | None = None
        self._current = 0  # the request that is being answered
        self._canceled: set[int] = set()
        self.task = server.tasks.spawn(self._run(), name=f"connection {conn}")

    def take(self, request: p.Request) -> None:
        """Take a request or event."""
        if isinstance(request, p.Cancel):
            self._cancel(request.request)
            return
        if isinstance(request, p.Terminate) and self._current:
            self._cancel(self._current)
        self._requests.append(request)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _cancel(self, id: int) -> None:
        """Cancel a request that is being answered, or that waits to be."""
        if id == self._current:
            if id not in self._canceled:
                self._canceled.add(id)
                self.task.cancel()
        elif any(request.id == id for request in self._requests):
            self._canceled.add(id)

    async def _run(self) -> None:
        try:
            while True:
                while self._requests:
                    request = self._requests.popleft()
                    if isinstance(request, p.Terminate):
                        return
                    if request.id == 0:
                        self._event(request)
                    elif not await self._answer(request):
                        return
                self._wake = asyncio.get_running_loop().create_future()
                await self._wake
        finally:
            self._server.forget(self._conn)
            if self._session is not None:
                await self._session.terminate()

    async def _answer(self, request: p.Request) -> bool:
        """Answer a request; return whether the conversation goes on."""
        if request.id in self._canceled:
            self._canceled.discard(request.id)
            reply: p.Reply = self._failed(_canceled())
        else:
            self._current = request.id
            try:
                reply = await self._ask(request)
            except asyncio.CancelledError:
                if request.id not in self._canceled:
                    raise
                if (task := asyncio.current_task()) is not None:
                    task.uncancel()
                reply = self._failed(_canceled())
            except Exception as error:  # noqa: BLE001 the connection's root: the client is told
                reply = self._failed(error)
            finally:
                self._current = 0
                self._canceled.discard(request.id)
        self._server.reply(request.id, reply)
        return self._session is not None

    def _failed(self, error: BaseException) -> p.Failed:
        ours = isinstance(error, _InternalError) or not isinstance(error, HeadwaterError)
        if ours:
            logger.error("a statement failed by a bug", exc_info=error, extra={"conn": self._conn})
        fields = fields_of(error)
        if self._session is None:
            return p.Failed(error=fields)
        return self._session.fail(fields)

    async def _ask(self, request: p.Request) -> p.Reply:
        if isinstance(request, p.Startup):
            self._session, started = await self._server.adapter.startup(request)
            return started
        session = self._session
        if session is None:
            raise _InternalError("a request came before its connection's start")
        match request:
            case p.Execute():
                return await session.execute(request)
            case p.ParseMany():
                return await session.parse_many(request)
            case p.Prepare():
                return await session.prepare(request)
            case p.Sync():
                return await session.sync(request)
            case p.CopyData():
                return await session.copy_data(request)
            case p.CopyDone():
                return await session.copy_done(request)
            case p.CopyFail():
                session.copy_fail(request)
                return session.fail(request.error)
            case _:
                raise _InternalError(f"an event came as a request: {type(request).__name__}")

    def _event(self, event: p.Request) -> None:
        session = self._session
        if session is None:
            return
        try:
            match event:
                case p.Complete():
                    session.complete(event)
                case p.Failure():
                    session.failure(event)
                case p.CloseStatement():
                    session.close_statement(event)
                case p.ClosePortal():
                    session.close_portal(event)
        except Exception:
            logger.exception("handling an event failed", extra={"conn": self._conn})


def _canceled() -> QueryCanceled:
    # The front, which knows why, puts its own text in place of this one.
    return QueryCanceled("canceling statement due to user request")
