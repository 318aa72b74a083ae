"""A running front with the fake adapter behind it."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from headwater.cluster.transport import Links
from headwater.pgwire.server import FrontServer
from headwater.runtime.tasks import SupervisedTasks
from tests.unit.pgwire.fake import FakeAdapter

MESSAGE_BYTES_MAX = 1 << 20


@dataclass
class Server:
    """The parts of a running front."""

    front: FrontServer
    adapter: FakeAdapter
    links: Links
    host: str
    port: int
    raws: "list[Raw]" = field(default_factory=list)

    @property
    def dsn(self) -> str:
        return f"postgresql://materialize@{self.host}:{self.port}/materialize?sslmode=disable"

    async def raw(self) -> "Raw":
        """Connect below the level of any driver, through the start-up."""
        raw = await self.dial()
        await raw.start()
        return raw

    async def dial(self) -> "Raw":
        reader, writer = await asyncio.open_connection(self.host, self.port)
        self.raws.append(Raw(reader, writer))
        return self.raws[-1]


@dataclass
class Raw:
    """A client that speaks in bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    key: bytes = b""
    pending: bytes = b""

    async def start(self, **parameters: str) -> None:
        words = {"user": "materialize", **parameters}
        self.writer.write(startup_packet(words))
        for kind, body in await self.until(b"Z"):
            if kind == b"K":
                self.key = body

    def send(self, kind: bytes, *parts: bytes) -> None:
        body = b"".join(parts)
        self.pending += kind + struct.pack("!I", len(body) + 4) + body
        if kind in b"SHQ":  # a driver writes when it begins to wait, and so all at once
            self.writer.write(self.pending)
            self.pending = b""

    def parse(self, sql: str, name: str = "") -> None:
        self.send(b"P", name.encode() + b"\0", sql.encode() + b"\0\0\0")

    def bind(
        self, *values: bytes | None, portal: str = "", name: str = "", formats: bytes = b"\0\0"
    ) -> None:
        encoded = b"".join(
            struct.pack("!i", -1) if value is None else struct.pack("!I", len(value)) + value
            for value in values
        )
        head = portal.encode() + b"\0" + name.encode() + b"\0\0\0"
        self.send(b"B", head, struct.pack("!H", len(values)), encoded, formats)

    def execute(self, portal: str = "", max_rows: int = 0) -> None:
        self.send(b"E", portal.encode() + b"\0", struct.pack("!i", max_rows))

    def sync(self) -> None:
        self.send(b"S")

    async def message(self) -> tuple[bytes, bytes]:
        async with asyncio.timeout(10):
            head = await self.reader.readexactly(5)
            return head[:1], await self.reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)

    async def until(self, kind: bytes) -> list[tuple[bytes, bytes]]:
        """Return all messages up to and with the first of that kind."""
        messages = []
        while not messages or messages[-1][0] != kind:
            messages.append(await self.message())
        return messages

    async def query(self, sql: str) -> list[tuple[bytes, bytes]]:
        self.send(b"Q", sql.encode() + b"\0")
        return await self.until(b"Z")

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def startup_packet(parameters: dict[str, str], version: int = 196608) -> bytes:
    words = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    return struct.pack("!II", len(words) + 9, version) + words + b"\0"


def kinds(messages: list[tuple[bytes, bytes]]) -> str:
    return b"".join(kind for kind, _ in messages).decode()


def fields(body: bytes) -> dict[str, str]:
    """Read an ErrorResponse or NoticeResponse."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    adapter = FakeAdapter()
    links = Links()
    tasks = SupervisedTasks()
    front = FrontServer(links, adapter, tasks, message_bytes_max=MESSAGE_BYTES_MAX)
    adapter.prepare_subscribe = links.expect_subscribe
    front.start()
    host, port = front.listen("127.0.0.1:0").rsplit(":", 1)
    server = Server(front, adapter, links, host, int(port))
    yield server
    for raw in server.raws:
        await raw.close()
    await front.close()
    await tasks.close()
    assert adapter.sessions == []
