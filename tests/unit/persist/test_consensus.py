"""What every consensus store promises."""

import asyncio

from headwater.persist.consensus import Cas, Consensus


async def test_versions_are_numbered_from_one(consensus: Consensus) -> None:
    assert (await consensus.commit([Cas("s", None, b"one")])).committed
    assert (await consensus.commit([Cas("s", 1, b"two")])).committed
    assert await consensus.scan("s", 0) == [(1, b"one"), (2, b"two")]
    assert await consensus.scan("s", 2) == [(2, b"two")]
    assert await consensus.scan("s", 3) == []
    assert await consensus.scan("other", 0) == []


async def test_a_commit_is_all_or_nothing(consensus: Consensus) -> None:
    await consensus.commit([Cas("a", None, b"a1")])
    result = await consensus.commit([Cas("a", 1, b"a2"), Cas("b", 7, b"x"), Cas("c", None, b"c1")])
    assert result.mismatched == ("b",)
    result = await consensus.commit([Cas("a", None, b"?"), Cas("b", None, b"?")])
    assert result.mismatched == ("a",)
    assert await consensus.scan("a", 0) == [(1, b"a1")]
    assert await consensus.list_shards() == ["a"]


async def test_of_concurrent_commits_one_wins(consensus: Consensus) -> None:
    results = await asyncio.gather(
        *(consensus.commit([Cas("s", None, b"%d" % i), Cas(f"o{i}", None, b"")]) for i in range(20))
    )
    winners = [i for i, result in enumerate(results) if result.committed]
    assert len(winners) == 1
    assert await consensus.scan("s", 0) == [(1, b"%d" % winners[0])]
    assert sorted(await consensus.list_shards()) == sorted(["s", f"o{winners[0]}"])


async def test_commits_of_one_author_chain_without_waiting(consensus: Consensus) -> None:
    results = await asyncio.gather(
        *(consensus.commit([Cas("s", i or None, b"%d" % i)]) for i in range(50))
    )
    assert all(result.committed for result in results)
    assert [seqno for seqno, _ in await consensus.scan("s", 0)] == list(range(1, 51))


async def test_truncation_keeps_the_head(consensus: Consensus) -> None:
    for i in range(10):
        await consensus.commit([Cas("s", i or None, b"%d" % i), Cas("t", i or None, b"t")])
    await consensus.truncate("s", 8)
    assert [seqno for seqno, _ in await consensus.scan("s", 0)] == [8, 9, 10]
    await consensus.truncate("s", 100)
    assert await consensus.scan("s", 0) == [(10, b"9")]
    assert not (await consensus.commit([Cas("s", None, b"?")])).committed
    assert not (await consensus.commit([Cas("s", 5, b"?")])).committed
    assert (await consensus.commit([Cas("s", 10, b"ten")])).committed
    assert len(await consensus.scan("t", 0)) == 10


async def test_large_versions_and_long_logs(consensus: Consensus) -> None:
    data = bytes(1 << 20)
    for i in range(40):
        assert (await consensus.commit([Cas("s", i or None, data)])).committed
    assert [(seqno, len(d)) for seqno, d in await consensus.scan("s", 0)] == [
        (i, 1 << 20) for i in range(1, 41)
    ]


async def test_what_others_commit_is_pushed_in_order(
    consensus: Consensus, another: Consensus
) -> None:
    got: list[tuple[str, int, bytes | None]] = []
    arrived = asyncio.Event()

    def pushed(shard: str, seqno: int, data: bytes | None) -> None:
        if data is not None:  # None: look again, after a new connection
            got.append((shard, seqno, data))
        if len(got) >= 30:
            arrived.set()

    subscription = another.subscribe(pushed)
    await subscription.add("s")
    for i in range(30):
        await consensus.commit([Cas("s", i or None, b"%d" % i), Cas("t", i or None, b"t")])
    async with asyncio.timeout(10):
        await arrived.wait()
    assert got == [("s", i + 1, b"%d" % i) for i in range(30)]
    subscription.close()
