"""Thousands of broken conversations: no crash, no leak, no session left behind."""

import asyncio
import contextlib
import random
import resource
import struct
from pathlib import Path

from tests.unit.pgwire.conftest import Server, kinds, startup_packet

CONNECTIONS = 3000
AT_ONCE = 20
SILENCE_S = 0.05
MEMORY_GROWTH_MAX = 64 << 20  # bytes; the first thousands warm allocators and caches up


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def conversation(rng: random.Random) -> bytes:
    """A sensible conversation, or the pieces of one in any order."""
    pieces = [
        message(b"Q", b"series 3; insert\0"),
        message(b"Q", b"begin; declare c series 5; fetch 2 c\0"),
        message(b"Q", b"copy t from stdin csv\0"),
        message(b"d", b'1,"a\n'),
        message(b"c", b""),
        message(b"f", b"no\0"),
        message(b"P", b"s\0select $1::int4, $2::text\0\0\2\0\0\0\x17\0\0\0\x19"),
        message(b"B", b"p\0s\0\0\1\0\1\0\2\0\0\0\4\0\0\0\7\xff\xff\xff\xff\0\0"),
        message(b"D", b"Ss\0"),
        message(b"D", b"Pp\0"),
        message(b"E", b"p\0\0\0\0\1"),
        message(b"C", b"Pp\0"),
        message(b"H", b""),
        message(b"S", b""),
        message(b"F", b"\0\0\0\1\0\0\0\0\0\0"),
        message(b"X", b""),
    ]
    if rng.random() < 0.5:
        rng.shuffle(pieces)
    start = startup_packet({"user": "u", "options": "-c a=b"}, 196608 + rng.choice((0, 0, 2)))
    return start + b"".join(pieces[: rng.randint(1, len(pieces))])


def mutate(rng: random.Random, data: bytes) -> bytes:
    mutated = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        at = rng.randrange(len(mutated))
        match rng.randrange(5):
            case 0:
                mutated[at] = rng.randrange(256)
            case 1:
                del mutated[at : at + rng.randint(1, 8)]
            case 2:
                mutated[at:at] = rng.randbytes(rng.randint(1, 8))
            case 3:
                mutated[at : at + 4] = rng.choice(
                    (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0")
                )
            case _:
                del mutated[at:]
        if not mutated:
            return b"\0"
    return bytes(mutated)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def attack(server: Server, data: bytes, *, hasty: bool) -> None:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        if not hasty:  # wait for answers for as long as some come
            with contextlib.suppress(TimeoutError):
                while await asyncio.wait_for(reader.read(1 << 16), SILENCE_S):
                    pass
        writer.write_eof()
        async with asyncio.timeout(30):
            while await reader.read(1 << 16):
                pass
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_broken_conversations_leave_nothing_behind(server: Server) -> None:
    rng = random.Random(20260601)
    attacks = [mutate(rng, conversation(rng)) for _ in range(CONNECTIONS)]
    baseline = 0
    for at in range(0, CONNECTIONS, AT_ONCE):
        batch = attacks[at : at + AT_ONCE]
        hasty = at % (2 * AT_ONCE) == 0
        await asyncio.gather(*(attack(server, data, hasty=hasty) for data in batch))
        server.adapter.log.clear()
        server.adapter.stored.clear()
        if at < CONNECTIONS // 3:
            baseline = resident_bytes()
    await server.adapter.until(lambda: not server.adapter.sessions)
    assert resident_bytes() - baseline < MEMORY_GROWTH_MAX
    assert server.front.connections == 0
    raw = await server.raw()
    assert kinds(await raw.query("series 2")) == "TDDCZ"


async def test_announced_sizes_are_not_allocated(server: Server) -> None:
    raws = [await server.raw() for _ in range(100)]
    before = resident_bytes()
    for raw in raws:
        raw.writer.write(b"Q" + struct.pack("!I", (1 << 20) + 3) + b"x" * 10)
        await raw.writer.drain()
    other = await server.raw()
    assert kinds(await other.query("insert")) == "CZ"
    assert resident_bytes() - before < 16 << 20
