"""When a cluster is to run for its views' refreshes, and what is told of it."""

import pytest

from headwater.adapter.refreshes import progress
from headwater.adapter.schedules import RefreshedView, decide
from headwater.types.frontier import Frontier
from headwater.types.ids import GlobalId
from headwater.types.refresh import RefreshEvery, RefreshSchedule
from headwater.types.time import Timestamp

VIEW = GlobalId("u1")
TENTHS = RefreshSchedule((RefreshEvery(100, Timestamp(0)),))


def decided(
    upper: int | None, present: int, *, since: int = 0, hydration: int = 0, compaction: int = 0
) -> tuple[bool, bool]:
    """Return whether a view needs its cluster for a refresh, and for compaction."""
    view = RefreshedView(
        VIEW, TENTHS, Timestamp(since), None if upper is None else Timestamp(upper)
    )
    decision = decide([view], Timestamp(present), hydration_ms=hydration, compaction_ms=compaction)
    assert decision.is_on == bool(
        decision.objects_needing_refresh or decision.objects_needing_compaction
    )
    return decision.objects_needing_refresh == (VIEW,), decision.objects_needing_compaction == (
        VIEW,
    )


def test_a_cluster_runs_from_the_time_of_a_refresh_until_it_is_done() -> None:
    assert decided(300, 299) == (False, False)
    assert decided(300, 301) == (True, False)
    assert decided(400, 301) == (False, False)


def test_a_cluster_runs_ahead_of_a_refresh_by_the_estimate_of_hydration() -> None:
    assert decided(300, 250, hydration=50) == (False, False)
    assert decided(300, 251, hydration=50) == (True, False)


def test_a_cluster_runs_on_for_compaction() -> None:
    assert decided(300, 239, compaction=40) == (False, True)  # the last refresh was at 200
    assert decided(300, 240, compaction=40) == (False, False)


def test_a_view_that_is_new_waits_for_its_first_refresh() -> None:
    assert decided(0, 250, since=300, compaction=1_000) == (False, False)
    assert decided(0, 301, since=300, compaction=1_000) == (True, False)


def test_a_view_that_is_final_needs_no_cluster() -> None:
    assert decided(None, 1_000) == (False, False)


@pytest.mark.parametrize(
    ("schedule", "since", "upper", "expected"),
    [
        (TENTHS, 300, 0, (None, 300)),
        (TENTHS, 300, 300, (None, 300)),
        (TENTHS, 299, 400, (300, 400)),
        (TENTHS, 299, None, (None, None)),
        (RefreshSchedule(ats=(Timestamp(5), Timestamp(9))), 5, 9, (5, 9)),
        (RefreshSchedule(ats=(Timestamp(5), Timestamp(9))), 5, None, (9, None)),
    ],
)
def test_progress_is_read_from_frontiers(
    schedule: RefreshSchedule,
    since: Frontier,
    upper: Frontier,
    expected: tuple[int | None, int | None],
) -> None:
    assert progress(schedule, since, upper) == expected
