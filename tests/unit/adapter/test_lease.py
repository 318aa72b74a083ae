import asyncio

import pytest

from headwater.adapter.lease import LEASE_MARGIN_S, LEASE_S, ReadLease, wait_out
from headwater.errors import Fenced
from headwater.runtime.clock import SystemClock


class Hands(SystemClock):
    """A clock whose hands tests move; sleeping moves them too."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def test_a_lease_counts_from_before_consensus_was_asked():
    clock, told = Hands(), []
    lease = ReadLease(clock, told.append)
    assert not lease.holds()
    asked_at = clock.now
    clock.now += 1  # the answer took its time
    lease.confirm(asked_at)
    assert lease.holds()
    assert told == [int((asked_at + LEASE_S) * 1e9)]
    clock.now = asked_at + LEASE_S
    assert not lease.holds()


def test_a_late_answer_shortens_nothing():
    clock, told = Hands(), []
    lease = ReadLease(clock, told.append)
    lease.confirm(clock.now)
    lease.confirm(clock.now - 1)
    assert len(told) == 1


async def test_a_read_waits_for_the_next_confirmation():
    clock = Hands()
    lease = ReadLease(clock)
    read = asyncio.create_task(lease.wait())
    await asyncio.sleep(0)
    lease.confirm(clock.now - LEASE_S)  # it was over before it began
    await asyncio.sleep(0)
    assert not read.done()
    lease.confirm(clock.now)
    await read


async def test_of_a_fenced_server_no_read_waits():
    lease = ReadLease(Hands())
    read = asyncio.create_task(lease.wait())
    await asyncio.sleep(0)
    lease.end(Fenced("a newer server has taken this environment over"))
    with pytest.raises(Fenced):
        await read
    with pytest.raises(Fenced):
        await lease.wait()


async def test_the_newer_server_outwaits_the_lease_of_the_older():
    clock = Hands()
    older = ReadLease(clock)
    older.confirm(clock.now)
    fenced_at = clock.now
    await wait_out(clock, fenced_at, lambda: False)
    assert not older.holds()
    assert clock.now >= fenced_at + LEASE_S + LEASE_MARGIN_S


async def test_it_waits_for_nobody_who_is_gone():
    clock = Hands()
    await wait_out(clock, clock.now, lambda: True)
    assert clock.now == 100.0
    asked = []

    def gone() -> bool:
        asked.append(clock.now)
        return len(asked) == 3

    await wait_out(clock, clock.now, gone)
    assert clock.now < 101.0
