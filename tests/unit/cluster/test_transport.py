"""Links between the two Python shells."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from headwater.cluster.transport import (
    CHANNEL_COMPUTE,
    CHANNEL_SHELL,
    Connected,
    ControllerConnected,
    ControllerDisconnected,
    ControllerMessage,
    Disconnected,
    Links,
    LinkServer,
    Message,
    Unreachable,
)


class Inbox:
    """Events in order of their coming."""

    def __init__(self, start: Callable[[Callable[[object], None]], None]) -> None:
        self._events: asyncio.Queue[object] = asyncio.Queue()
        start(self._events.put_nowait)

    async def next(self) -> object:
        async with asyncio.timeout(10):
            return await self._events.get()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_messages_in_order_both_ways(tmp_path: Path, kind: str) -> None:
    server = LinkServer("127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path / 'r.sock'}")
    links = Links()
    theirs, ours = Inbox(server.start), Inbox(links.start)
    links.connect("r1", "c", [server.address], 7, b"hello")
    assert await ours.next() == Connected("r1", 1, [b""])
    assert await theirs.next() == ControllerConnected(7, b"hello")
    for n in range(1000):
        assert links.send("r1", 1, CHANNEL_COMPUTE, b"%d" % n)
    for n in range(1000):
        assert await theirs.next() == ControllerMessage(CHANNEL_COMPUTE, b"%d" % n)
    large = bytes(10 << 20)
    assert server.respond(CHANNEL_SHELL, large)
    assert await ours.next() == Message("r1", 1, 0, CHANNEL_SHELL, large)
    assert not links.send("r1", 2, CHANNEL_COMPUTE, b"for an incarnation to come")
    assert not links.send("r2", 1, CHANNEL_COMPUTE, b"for nobody")
    links.disconnect("r1")
    assert isinstance(await theirs.next(), ControllerDisconnected)
    assert not server.respond(CHANNEL_SHELL, b"to nobody")
    links.close()
    server.close()


async def test_a_replica_that_comes_back_is_another_incarnation(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'r.sock'}"
    links = Links()
    ours = Inbox(links.start)
    links.connect("r1", "c", [address], 1, b"")
    assert isinstance(await ours.next(), Unreachable)
    for incarnation in (1, 2):
        server = LinkServer(address, greeting=b"it is me")
        event = await ours.next()
        while isinstance(event, Unreachable):  # the address comes back in more than one step
            event = await ours.next()
        assert event == Connected("r1", incarnation, [b"it is me"])
        server.close()
        event = await ours.next()
        assert isinstance(event, Disconnected)
        assert event.incarnation == incarnation
        if incarnation == 1:
            event = await ours.next() if not ours._events.empty() else event
    links.disconnect("r1")
    links.close()


async def test_the_newest_epoch_is_obeyed() -> None:
    server = LinkServer("127.0.0.1:0")
    theirs = Inbox(server.start)
    old, new = Links(), Links()
    from_old, from_new = Inbox(old.start), Inbox(new.start)
    old.connect("r1", "c", [server.address], 1, b"old")
    assert isinstance(await from_old.next(), Connected)
    new.connect("r1", "c", [server.address], 2, b"new")
    assert isinstance(await from_new.next(), Connected)
    assert isinstance(await from_old.next(), Disconnected)
    refused = await from_old.next()
    assert refused == Unreachable("r1", "epoch 1 is fenced by a newer controller")
    events = [await theirs.next() for _ in range(3)]
    assert events == [
        ControllerConnected(1, b"old"),
        ControllerDisconnected(1, "a newer controller has taken over"),
        ControllerConnected(2, b"new"),
    ]
    for links in (old, new):
        links.disconnect("r1")
        links.close()
    server.close()


async def test_malformed_addresses_are_errors() -> None:
    links = Links()
    with pytest.raises(OSError, match="neither unix:/path nor host:port"):
        links.connect("r1", "c", ["nowhere"], 1, b"")
