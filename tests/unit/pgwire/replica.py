"""A replica in Python: answers peeks and feeds subscriptions as a worker would."""

import struct
from collections.abc import Callable

import msgspec

from headwater.cluster.transport import (
    CHANNEL_COMPUTE,
    CHANNEL_READS,
    Connected,
    ControllerMessage,
    LinkEvent,
    Links,
    LinkServer,
    ServerEvent,
)
from tests.unit.pgwire.fake import flat, int_datum, text_datum


def response(header: dict[str, object], body: bytes = b"") -> bytes:
    encoded = msgspec.msgpack.encode(header)
    return struct.pack("<I", len(encoded)) + encoded + body


class FakeReplica:
    """Commands are ``peek`` + uuid + word; the word says what to answer."""

    def __init__(self, links: Links) -> None:
        self.server = LinkServer("127.0.0.1:0")
        self.commands: list[bytes] = []
        self.answer: Callable[[bytes, bytes], None] = self.default_answer
        self.links = links
        self.server.start(self._event)

    def connect(self, name: str = "r1") -> None:
        self.links.connect(name, "c", [self.server.address], 1, b"hello")

    def link_event(self, event: LinkEvent) -> None:
        """Say that a replica that has connected is ready at once."""
        if isinstance(event, Connected):
            self.links.ready(event.replica, event.incarnation)

    def _event(self, event: ServerEvent) -> None:
        if not isinstance(event, ControllerMessage) or event.channel != CHANNEL_COMPUTE:
            return
        self.commands.append(event.payload)
        if event.payload.startswith(b"peek"):
            self.answer(event.payload[4:20], event.payload[20:])
        elif (command := msgspec.msgpack.decode(event.payload))["kind"] == "peek":
            self.answer(command["uuid"], b"fast " + command["keys"][0])

    def default_answer(self, uuid: bytes, word: bytes) -> None:
        if word == b"error":
            error = {"sqlstate": "22012", "message": "division by zero"}
            header = {"kind": "peek", "uuid": uuid, "last": True, "error": error}
            self.server.respond(CHANNEL_READS, response(header))
        elif word != b"nothing":
            self.rows(uuid, [(2, "b"), (1, "a")], last=False)
            self.rows(uuid, [(3, "c")])

    def rows(self, uuid: bytes, rows: list[tuple[int, str]], *, last: bool = True) -> None:
        header = {"kind": "peek", "uuid": uuid, "last": last}
        body = flat(int_datum(n) + text_datum(t) for n, t in rows)
        self.server.respond(CHANNEL_READS, response(header, body))

    def batch(self, lower: int, upper: int | None, *updates: tuple[int, int, int]) -> None:
        """Send the updates ``(value, time, diff)`` of a time range of subscription t1."""
        header = {"kind": "subscribe", "id": "t1", "lower": lower, "upper": upper}
        body = flat(
            [int_datum(value) for value, _, _ in updates],
            times=[time for _, time, _ in updates],
            diffs=[diff for _, _, diff in updates],
        )
        self.server.respond(CHANNEL_READS, response(header, body))

    def close(self) -> None:
        self.server.close()
