"""Frontiers over totally ordered times.

A frontier bounds times from below. Because our times are totally ordered a frontier is one time, or
none: ``None`` is the empty frontier ``{}``, which no time is beyond; a collection whose upper is
empty is closed.
"""

from collections.abc import Iterable

from headwater.types.time import Timestamp

Frontier = Timestamp | None


def less_equal(frontier: Frontier, time: Timestamp) -> bool:
    """Return whether ``time`` is at or beyond ``frontier`` (may still change, if an upper)."""
    return frontier is not None and frontier <= time


def less_than(frontier: Frontier, time: Timestamp) -> bool:
    """Return whether ``time`` is strictly beyond ``frontier``."""
    return frontier is not None and frontier < time


def precedes(left: Frontier, right: Frontier) -> bool:
    """Return whether ``left`` is at or before ``right``, the empty frontier being last."""
    return right is None or (left is not None and left <= right)


def meet(frontiers: Iterable[Frontier]) -> Frontier:
    """Return the earliest of ``frontiers``; empty if there are none."""
    return min((f for f in frontiers if f is not None), default=None)


def join(frontiers: Iterable[Frontier]) -> Frontier:
    """Return the latest of ``frontiers``; ``Timestamp(0)`` if there are none."""
    latest = Timestamp(0)
    for frontier in frontiers:
        if frontier is None:
            return None
        latest = max(latest, frontier)
    return latest


def show(frontier: Frontier) -> str:
    """Return ``{t}`` or ``{}``."""
    return "{}" if frontier is None else f"{{{frontier}}}"
