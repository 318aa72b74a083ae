"""REFRESH of materialized views: the schedule that a plan stands for, and when a view begins.

``mz_now()`` in a schedule is the oracle's read time when the view is made; stored statements hold
that time in its place, so that a schedule is the same after every start.
"""

from headwater.adapter.planning import Planner
from headwater.catalog import rows as r
from headwater.errors import DataException, InvalidParameterValue
from headwater.ir.literals import literal_int
from headwater.ir.scalar import Literal, UnmaterializableFunc
from headwater.sql.plan.ddl import RefreshPlan
from headwater.sql.plan.hir import HirScalar
from headwater.sql.plan.kinds.refreshing import ALIGNED_TO, AT, not_constant
from headwater.types.frontier import Frontier
from headwater.types.refresh import RefreshEvery, RefreshSchedule
from headwater.types.scalar import MZ_TIMESTAMP, ColumnType
from headwater.types.time import TIMESTAMP_MAX, TIMESTAMP_MIN, Timestamp


def schedule_of(
    planner: Planner, plan: RefreshPlan | None, creation: Timestamp = TIMESTAMP_MIN
) -> RefreshSchedule | None:
    """Return the schedule of a plan in which mz_now() is ``creation``.

    Raises: InvalidParameterValue: A time is NULL, or beyond the end of time; or what evaluating
        raises.
    """
    if plan is None:
        return None
    return RefreshSchedule(
        tuple(
            RefreshEvery(ms, _time(planner, at, creation, ALIGNED_TO)) for ms, at in plan.everies
        ),
        tuple(_time(planner, at, creation, AT) for at in plan.ats),
    )


def _time(planner: Planner, expr: HirScalar, creation: Timestamp, clause: str) -> Timestamp:
    now = Literal(r.integer(creation), ColumnType(MZ_TIMESTAMP, nullable=False))
    values = {UnmaterializableFunc.MZ_NOW: now}
    time = literal_int(planner.constant(expr, values=values))
    if time is None:
        raise not_constant(clause)
    if not TIMESTAMP_MIN <= time <= TIMESTAMP_MAX:
        raise InvalidParameterValue(f"{clause} {time}, a time that never comes")
    return Timestamp(time)


def check_schedule(schedule: RefreshSchedule, readable: Timestamp) -> None:
    """Check that a new view's refreshes are possible: its inputs can be read from ``readable`` on.

    Raises: DataException.
    """
    for at in schedule.ats:
        if at < readable:
            raise DataException(
                "REFRESH AT requested for a time where not all the inputs are readable",
                detail=f"The requested REFRESH AT time is {at}, but not all input collections are"
                f" readable earlier than [{readable}].",
            )


def first_refresh(schedule: RefreshSchedule | None, as_of: Timestamp) -> Timestamp:
    """Return from when on a view can be read whose dataflow begins at ``as_of``.

    Raises: DataException: All refreshes are before.
    """
    if schedule is None:
        return as_of
    first = schedule.round_up(as_of)
    if first is None:
        raise DataException(
            "all the specified refreshes of the materialized view would be too far in the past,"
            " and thus they would never happen",
            detail=f"The last refresh would be at {schedule.last}, the earliest possible one at"
            f" {as_of}.",
        )
    return first


def progress(
    schedule: RefreshSchedule, since: Frontier, upper: Frontier
) -> tuple[Timestamp | None, Timestamp | None]:
    """Return a view's last completed refresh and its next one, from its collection's frontiers.

    None is the last refresh of a view that has had none, or whose query came to an end by itself
    between refreshes that would go on; none is next where nothing changes any more.
    """
    if upper is None:
        return schedule.last, None
    if since is not None and upper <= since:  # nothing has been written yet
        return None, since
    return schedule.before(upper), upper
