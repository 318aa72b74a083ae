"""Links between headwaterd and replica processes: the Python side.

The links themselves (frames, heartbeats, reconnection, which replica's answer to a read counts)
are ``rust/hw-link``. Here its events become classes and reach a callback on the event loop, in
order: :class:`Links` for headwaterd, :class:`LinkServer` for a replica process.

A replica has a new *incarnation* each time it connects. What is sent names the incarnation it is
meant for, so that no command overtakes the history that is replayed first; once it is,
:meth:`Links.ready` lets pending reads follow.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

import msgspec

from headwater.errors import HeadwaterError
from headwater.native.loader import native

logger = logging.getLogger(__name__)

CHANNEL_COMPUTE: Final = 0  # compute commands one way, compute responses for Python the other way
CHANNEL_READS: Final = 1  # answers to peeks and subscriptions, read in Rust
CHANNEL_SHELL: Final = 2  # messages between the two shells
_DRAIN_MAX = 256  # events taken at once, so that the loop serves others in between


class Connected(msgspec.Struct, frozen=True):
    """All processes of a replica are connected; ``greetings`` is what each of them said."""

    replica: str
    incarnation: int
    greetings: Sequence[bytes]


class Disconnected(msgspec.Struct, frozen=True):
    """The replica is gone; attempts to connect go on."""

    replica: str
    incarnation: int
    reason: str


class Unreachable(msgspec.Struct, frozen=True):
    """An attempt to connect failed, for another reason than the one before."""

    replica: str
    reason: str


class Message(msgspec.Struct, frozen=True):
    """One process of a replica said something."""

    replica: str
    incarnation: int
    process: int
    channel: int
    payload: bytes


LinkEvent = Connected | Disconnected | Unreachable | Message


class ControllerConnected(msgspec.Struct, frozen=True):
    """A controller has taken over."""

    epoch: int
    hello: bytes


class ControllerDisconnected(msgspec.Struct, frozen=True):
    """The controller is gone; another one, or the same, will come."""

    epoch: int
    reason: str


class ControllerMessage(msgspec.Struct, frozen=True):
    """The controller said something that is not for the workers."""

    channel: int
    payload: bytes


ServerEvent = ControllerConnected | ControllerDisconnected | ControllerMessage


class _Drained(Protocol):
    """A native object with a queue of events."""

    def fd(self) -> int: ...
    def drain(self, max: int) -> list[tuple[object, ...]]: ...


class _Reader:
    """Hands a native queue's events to a callback whenever there are any."""

    def __init__(self, source: _Drained, handle: Callable[[tuple[object, ...]], None]) -> None:
        self._source = source
        self._handle = handle
        self._loop = asyncio.get_running_loop()
        self._fd = source.fd()
        self._loop.add_reader(self._fd, self._drain)

    def take_all(self) -> None:
        """Hand over all that has come so far."""
        while self._drain():
            pass

    def _drain(self) -> int:
        events = self._source.drain(_DRAIN_MAX)
        for event in events:
            try:
                self._handle(event)
            except Exception:
                logger.exception("handling an event of a link failed", extra={"kind": event[0]})
        return len(events)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)


class Links:
    """headwaterd's end: keeps replicas connected, and reads over them going."""

    def __init__(self) -> None:
        self.native = native.Links()
        self._reader: _Reader | None = None

    def start(self, callback: Callable[[LinkEvent], None]) -> None:
        """Call ``callback`` with every event from now on, on the running event loop."""
        self._reader = _Reader(self.native, lambda event: callback(_link_event(event)))

    def close(self) -> None:
        """Stop calling back. Links end by :meth:`disconnect`."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def connect(
        self, replica: str, cluster: str, addresses: Sequence[str], epoch: int, hello: bytes
    ) -> None:
        """Connect to a replica, and again whenever it is lost, until :meth:`disconnect`.

        Args:
            replica: Its id; an older link of that id ends.
            cluster: Whose peeks it answers.
            addresses: One a process: ``unix:/path`` or ``host:port``.
            epoch: This controller's; a process obeys the newest it has seen.
            hello: What each process is told first.

        Raises:
            OSError: An address is malformed.
        """
        self.native.connect(replica, cluster, addresses, epoch, hello)

    def disconnect(self, replica: str) -> None:
        """End the links to a replica and forget it; no event follows."""
        self.native.disconnect(replica)

    def send(
        self,
        replica: str,
        incarnation: int,
        channel: int,
        payload: bytes,
        process: int | None = None,
    ) -> bool:
        """Send to every process of a replica, or to one; never blocks.

        Returns:
            False where that incarnation is gone. True promises nothing: what is under way when a
            link breaks is lost, and a :class:`Disconnected` follows.
        """
        return self.native.send(replica, incarnation, channel, payload, process)

    def ready(self, replica: str, incarnation: int) -> bool:
        """Let pending and future peeks of its cluster go to a replica that has its history."""
        return self.native.ready(replica, incarnation)

    def expect_subscribe(self, id: str) -> None:
        """Begin to keep the batches of subscribe export ``id``, before its dataflow is created."""
        self.native.expect_subscribe(id)

    def forget_subscribe(self, id: str) -> None:
        """Drop what is kept for ``id``; only needed where no client ever came to read it."""
        self.native.forget_subscribe(id)

    def fail_subscribe(self, id: str, error: HeadwaterError) -> None:
        """End subscription ``id`` with an error, after what is ready (its relation is dropped)."""
        self.native.fail_subscribe(id, error.sqlstate, error.message)

    def fail_peeks(self, cluster: str, error: HeadwaterError) -> None:
        """End all peeks of a cluster with an error (it is dropped)."""
        self.native.fail_peeks(cluster, error.sqlstate, error.message)

    def fail_peek(self, uuid: bytes, error: HeadwaterError) -> None:
        """End one peek with an error (what it waits for can't come)."""
        self.native.fail_peek(uuid, error.sqlstate, error.message)

    def open_front(
        self, *, connections_max: int | None = None, message_bytes_max: int | None = None
    ) -> native.Front:
        """Return a wire protocol front end that reads over these links; see ``pgwire.server``."""
        return native.Front(self.native, connections_max, message_bytes_max)


class LinkServer:
    """A replica's end: listens, and obeys the controller with the newest epoch.

    Args:
        address: ``unix:/path`` or ``host:port``.
        workers: The native workers that obey channels 0 and 1 (``attach_link(responder) -> sink``).
            Without them everything comes to Python.
        greeting: What every controller is told first.
    """

    def __init__(self, address: str, workers: object | None = None, greeting: bytes = b"") -> None:
        self._native = native.LinkServer(address, workers, greeting)
        self._reader: _Reader | None = None

    @property
    def address(self) -> str:
        """Return the address to connect to; a port of 0 has become a real one."""
        return self._native.address

    def start(self, callback: Callable[[ServerEvent], None]) -> None:
        """Call ``callback`` with every event from now on, on the running event loop."""
        self._reader = _Reader(self._native, lambda event: callback(_server_event(event)))

    def take_all(self) -> None:
        """Call back with every event that has come so far, now."""
        if self._reader is not None:
            self._reader.take_all()

    def respond(self, channel: int, payload: bytes) -> bool:
        """Send to whichever controller is connected; False where none is."""
        return self._native.respond(channel, payload)

    def close(self) -> None:
        """Stop listening and close the link."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._native.close()


def _link_event(event: tuple[object, ...]) -> LinkEvent:
    match event[0]:
        case "connected":
            return Connected(*cast("tuple[str, int, list[bytes]]", event[1:]))
        case "disconnected":
            return Disconnected(*cast("tuple[str, int, str]", event[1:]))
        case "unreachable":
            return Unreachable(*cast("tuple[str, str]", event[1:]))
        case _:
            return Message(*cast("tuple[str, int, int, int, bytes]", event[1:]))


def _server_event(event: tuple[object, ...]) -> ServerEvent:
    match event[0]:
        case "connected":
            return ControllerConnected(*cast("tuple[int, bytes]", event[1:]))
        case "disconnected":
            return ControllerDisconnected(*cast("tuple[int, str]", event[1:]))
        case _:
            return ControllerMessage(*cast("tuple[int, bytes]", event[1:]))
