"""Which time a query reads at: a pure function of frontiers, isolation and what was asked for.

Read holds come first: the caller holds every input, so that the sinces given here can't move.
"""

from enum import StrEnum

import msgspec

from headwater.errors import AsOfBeforeSince
from headwater.types.frontier import Frontier, less_equal, show
from headwater.types.time import TIMESTAMP_MAX, TIMESTAMP_MIN, Timestamp


class Isolation(StrEnum):
    """The isolation levels that are distinguished; weaker ones count as SERIALIZABLE."""

    STRICT_SERIALIZABLE = "strict serializable"
    STRONG_SESSION_SERIALIZABLE = "strong session serializable"
    SERIALIZABLE = "serializable"


class InputFrontiers(msgspec.Struct, frozen=True):
    """One input's frontiers, as held."""

    name: str
    since: Frontier
    upper: Frontier


class Wanted(msgspec.Struct, frozen=True):
    """AS OF: exactly ``time``, or with ``at_least`` the least readable time from it on."""

    time: Timestamp
    at_least: bool = False


class Determination(msgspec.Struct, frozen=True):
    """A chosen time and what it was chosen from; EXPLAIN TIMESTAMP shows it.

    Attributes:
        read_ts: The time chosen.
        oracle_ts: The oracle's read time, None where isolation did not ask it.
        since: The join of the inputs' sinces.
        upper: The meet of the inputs' uppers.
        inputs: The frontiers of each input.
    """

    read_ts: Timestamp
    oracle_ts: Timestamp | None
    since: Frontier
    upper: Frontier
    inputs: tuple[InputFrontiers, ...]

    @property
    def largest_not_in_advance_of_upper(self) -> Timestamp:
        """Return the freshest time that all inputs can answer at once."""
        return largest_readable(self.upper)

    @property
    def can_respond_immediately(self) -> bool:
        """Return whether no input has to advance first."""
        return not less_equal(self.upper, self.read_ts)


def largest_readable(upper: Frontier) -> Timestamp:
    """Return the greatest time before ``upper``; 0 where there is none."""
    return TIMESTAMP_MAX if upper is None else Timestamp(max(upper - 1, 0))


def determine(
    isolation: Isolation,
    oracle_ts: Timestamp,
    inputs: tuple[InputFrontiers, ...],
    *,
    wanted: Wanted | None = None,
    session_ts: Timestamp = TIMESTAMP_MIN,
    now_ms: int = TIMESTAMP_MAX,
) -> Determination:
    """Choose the time at which to read ``inputs``.

    Strict serializable: the oracle's time, raised to the inputs' since. Serializable: the freshest
    time that answers without waiting, up to ``now_ms``: of views that are refreshed now and then
    more is known than what is; the oracle's where an input is closed or there is none. Strong
    session serializable: the same, but never before ``session_ts``.

    Raises:
        AsOfBeforeSince: The exact time asked for is no longer readable.
    """
    since: Frontier = Timestamp(0)
    upper: Frontier = None
    for held in inputs:
        if held.since is None or since is None:
            since = None
        else:
            since = max(since, held.since)
        if held.upper is not None:
            upper = held.upper if upper is None else min(upper, held.upper)
    if since is None:
        raise AsOfBeforeSince("the collections of the query can no longer be read at any time")
    if wanted is not None:
        chosen = _as_wanted(wanted, since)
        used_oracle = None
    elif isolation is Isolation.STRICT_SERIALIZABLE:
        chosen, used_oracle = max(oracle_ts, since), oracle_ts
    else:
        freshest = oracle_ts
        if upper is not None:
            freshest = min(largest_readable(upper), max(oracle_ts, Timestamp(now_ms)))
        chosen, used_oracle = max(freshest, since), None
        if isolation is Isolation.STRONG_SESSION_SERIALIZABLE:
            chosen = max(chosen, session_ts)
    return Determination(chosen, used_oracle, since, upper, inputs)


def _as_wanted(wanted: Wanted, since: Timestamp) -> Timestamp:
    if wanted.time >= since:
        return wanted.time
    if wanted.at_least:
        return since
    raise AsOfBeforeSince(
        f"Timestamp ({wanted.time}) is not valid for all inputs: [Antichain {show(since)}]",
        hint="Query a later time, or keep more history with RETAIN HISTORY.",
    )
