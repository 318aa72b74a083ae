"""EXPLAIN TIMESTAMP: which time a query would be answered at, and why."""

from datetime import UTC, datetime

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.explain import Names
from headwater.adapter.sequencer.inline import text_answer
from headwater.adapter.sequencer.read import is_alone, literals
from headwater.adapter.sequencer.select import read_select
from headwater.adapter.session import Session
from headwater.adapter.timestamps import Determination
from headwater.pgwire import protocol as p
from headwater.sql.plan.statements import ExplainFormat, ExplainTimestampPlan, Planned
from headwater.types.frontier import Frontier
from headwater.types.ids import GlobalId

_MILLIS = 1000  # a second
_SHOWN_MAX = 253_402_300_799_999  # the last millisecond of the year 9999


async def sequence_explain_timestamp(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: ExplainTimestampPlan,
) -> p.ExecuteReply:
    """Answer EXPLAIN TIMESTAMP: choose a time as the query would, and say from what."""
    params = literals(request.params, planned.param_types)
    alone = is_alone(session, last=request.sync)
    read, _ = await read_select(coord, session, planned, plan.plan, params, alone=alone)
    read.holds.release()
    if plan.format is ExplainFormat.JSON:
        text = msgspec.json.format(msgspec.json.encode(read.determination), indent=2).decode()
    else:
        text = timestamp_text(read.determination, Names(coord))
    return text_answer("EXPLAIN", plan.desc, [[text]])


def timestamp_text(found: Determination, names: Names) -> str:
    """Return the choice of a time as a text, in Materialize's words."""
    oracle = [] if found.oracle_ts is None else [("oracle read timestamp", _time(found.oracle_ts))]
    lines = [
        ("query timestamp", _time(found.read_ts)),
        *oracle,
        ("largest not in advance of upper", _time(found.largest_not_in_advance_of_upper)),
        ("upper", _frontier(found.upper)),
        ("since", _frontier(found.since)),
        ("can respond immediately", " " + str(found.can_respond_immediately).lower()),
        ("timeline", " Some(EpochMilliseconds)"),
    ]
    shown = [f"{name:>31}:{value}" for name, value in lines]
    for source in found.inputs:
        name = GlobalId(source.name)
        kind = "compute" if names.is_index(name) else "storage"
        shown.extend(["", f"source {names.get(name)} ({source.name}, {kind}):"])
        shown.append(f"{'read frontier':>31}:{_frontier(source.since)}")
        shown.append(f"{'write frontier':>31}:{_frontier(source.upper)}")
    return "\n".join(shown) + "\n"


def _time(ts: int) -> str:
    return f" {_moment(ts)}"


def _frontier(frontier: Frontier) -> str:
    return "[]" if frontier is None else f"[{_moment(frontier)}]"


def _moment(ts: int) -> str:
    if ts > _SHOWN_MAX:
        return str(ts)
    shown = datetime.fromtimestamp(ts // _MILLIS, UTC)
    return f"{ts} ({shown:%Y-%m-%d %H:%M:%S}.{ts % _MILLIS:03})"
