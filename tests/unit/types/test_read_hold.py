"""Holds keep their collection's since back, and no longer than they are held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InternalError
from headwater.types.ids import GlobalId
from headwater.types.read_hold import HoldSet, ReadHold

ID = GlobalId("u1")


def test_earliest_is_the_least_time_held() -> None:
    holds = HoldSet()
    assert holds.earliest is None
    late, early = ReadHold(ID, 9, holds), ReadHold(ID, 4, holds)
    assert holds.earliest == 4
    early.downgrade(7)
    assert holds.earliest == 7
    early.release()
    assert holds.earliest == 9
    late.release()
    assert holds.earliest is None


def test_release_is_idempotent_and_going_back_is_a_bug() -> None:
    holds = HoldSet()
    hold = ReadHold(ID, 5, holds)
    with pytest.raises(InternalError):
        hold.downgrade(4)
    hold.release()
    hold.release()
    assert holds.earliest is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=60))
def test_earliest_agrees_with_a_list(steps: list[tuple[int, int]]) -> None:
    holds = HoldSet()
    held: dict[int, ReadHold] = {}
    for slot, time in steps:
        hold = held.get(slot)
        if hold is None:
            held[slot] = ReadHold(ID, time, holds)
        elif hold.since is not None and time >= hold.since:
            hold.downgrade(time)
        else:
            hold.release()
            del held[slot]
        times = [hold.since for hold in held.values() if hold.since is not None]
        assert holds.earliest == min(times, default=None)
