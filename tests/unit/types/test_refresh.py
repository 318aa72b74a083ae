"""Refresh schedules against their definition: the list of all refreshes, looked through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.types.refresh import RefreshEvery, RefreshSchedule
from headwater.types.time import TIMESTAMP_MAX, Timestamp

_END = 400  # all refreshes up to here are listed

_times = st.integers(0, 120).map(Timestamp)
_everies = st.builds(RefreshEvery, st.integers(1, 60), _times)
_schedules = st.builds(
    RefreshSchedule,
    st.lists(_everies, max_size=2).map(tuple),
    st.lists(_times, max_size=3).map(tuple),
).filter(lambda schedule: schedule.everies or schedule.ats)


def _refreshes(schedule: RefreshSchedule) -> list[int]:
    """List every refresh before :data:`_END`, in order."""
    found = set(schedule.ats)
    for every in schedule.everies:
        found.update(t for t in range(_END) if (t - every.aligned_to) % every.interval_ms == 0)
    return sorted(found)


@given(_schedules, _times)
def test_a_time_is_rounded_up_to_the_first_refresh_from_it_on(
    schedule: RefreshSchedule, time: Timestamp
) -> None:
    expected = next((at for at in _refreshes(schedule) if at >= time), None)
    assert schedule.round_up(time) == expected
    assert schedule.round_up_frontier(time) == expected


@given(_schedules, _times)
def test_the_refresh_before_a_frontier_is_the_last_one_that_is_less(
    schedule: RefreshSchedule, time: Timestamp
) -> None:
    expected = max((at for at in _refreshes(schedule) if at < time), default=None)
    assert schedule.before(time) == expected


@given(_schedules, _times)
def test_rounding_twice_is_rounding_once(schedule: RefreshSchedule, time: Timestamp) -> None:
    once = schedule.round_up(time)
    assert once is None or schedule.round_up(once) == once


@given(_schedules, _times)
def test_no_refresh_lies_between_the_one_before_and_the_one_rounded_up_to(
    schedule: RefreshSchedule, time: Timestamp
) -> None:
    before, after = schedule.before(time), schedule.round_up(time)
    between = [
        at
        for at in _refreshes(schedule)
        if (before is None or at > before) and (after is None or at < after)
    ]
    assert between == []


def test_only_single_refreshes_have_a_last_one() -> None:
    assert RefreshSchedule(ats=(Timestamp(7), Timestamp(3))).last == 7
    assert RefreshSchedule((RefreshEvery(10, Timestamp(0)),), (Timestamp(3),)).last is None


def test_a_closed_frontier_is_after_the_last_refresh() -> None:
    schedule = RefreshSchedule(ats=(Timestamp(7), Timestamp(3)))
    assert schedule.before(None) == 7
    assert schedule.round_up_frontier(None) is None


@pytest.mark.parametrize("aligned_to", [5, TIMESTAMP_MAX - 1])
def test_refreshes_end_with_time(aligned_to: int) -> None:
    every = RefreshEvery(1 << 62, Timestamp(aligned_to))
    assert every.round_up(TIMESTAMP_MAX) is None


def test_refreshes_begin_with_time() -> None:
    assert RefreshSchedule((RefreshEvery(10, Timestamp(4)),)).before(Timestamp(4)) is None
