"""The shard's state machine: pure, deterministic, the same in every process.

``apply(state, op, seqno)`` returns the next state or a :class:`Rejection`; it knows no clock and no
I/O. States are immutable values. Invariants: batches are contiguous from the first lower to
``upper``; ``since <= upper``; ``since`` and ``upper`` never go back; an update is in exactly one
batch; a batch loses by compaction only the difference between times at or before its ``since``.
"""

from typing import Generic, Protocol, TypeVar, assert_never

import msgspec

from headwater.persist.parts import BlobPart, Part
from headwater.types.frontier import Frontier, join, meet, precedes
from headwater.types.relation import RelationDesc
from headwater.types.time import TIMESTAMP_MIN, Timestamp


class Batch(msgspec.Struct, frozen=True, omit_defaults=True):
    """All updates at times ``lower <= time < upper``, exact at times at or beyond ``since``."""

    lower: Timestamp
    upper: Frontier
    since: Timestamp = TIMESTAMP_MIN
    parts: tuple[Part, ...] = ()
    errors: tuple[Part, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Return whether there are no updates."""
        return not self.parts and not self.errors


class HoldState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A promise that ``since`` stays at or before a time.

    Attributes:
        since: The held frontier; empty for one that needs nothing any more.
        expires_ms: When the lease ends unless renewed; None for a durable hold.
        seqno: The holder may still read parts that this version refers to.
    """

    since: Frontier
    expires_ms: int | None = None
    seqno: int = 0


class Garbage(msgspec.Struct, frozen=True):
    """A blob that no batch refers to since version ``seqno``."""

    key: str
    seqno: int
    dropped_ms: int


class ShardState(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is known of a shard but its data."""

    since: Frontier = TIMESTAMP_MIN
    upper: Frontier = TIMESTAMP_MIN
    desc: RelationDesc | None = None
    batches: tuple[Batch, ...] = ()
    holds: dict[str, HoldState] = {}
    epoch: int = 0
    garbage: tuple[Garbage, ...] = ()


class Op(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind"):
    """A change of state."""


class Describe(Op, frozen=True, tag="describe"):
    """Give the shard its shape; refused unless rows of the one that it has can be read in it."""

    desc: RelationDesc


class Append(Op, frozen=True, tag="append"):
    """Add all updates in ``[lower, upper)``; ``lower`` must be the shard's upper."""

    lower: Timestamp
    upper: Frontier
    parts: tuple[Part, ...] = ()
    errors: tuple[Part, ...] = ()
    epoch: int | None = None


class DowngradeSince(Op, frozen=True, tag="downgrade_since"):
    """Let a hold advance to ``since``."""

    hold: str
    since: Frontier


class Hold(Op, frozen=True, tag="hold"):
    """Take a hold at ``since`` or, if that is compacted away, at the shard's since."""

    hold: str
    since: Frontier
    expires_ms: int | None = None


class Release(Op, frozen=True, tag="release"):
    """Give a hold up; one that is gone already is no error."""

    hold: str


class Heartbeat(Op, frozen=True, tag="heartbeat"):
    """Renew a lease; the holder reads no part that was dropped before version ``seqno``."""

    hold: str
    expires_ms: int
    seqno: int


class Expire(Op, frozen=True, tag="expire"):
    """Drop the leases that have run out by ``now_ms``."""

    now_ms: int


class ReplaceBatches(Op, frozen=True, tag="replace_batches"):
    """Put one batch in the place of all those it covers (the result of compaction)."""

    batch: Batch
    now_ms: int


class Collected(Op, frozen=True, tag="collected"):
    """Forget blobs that have been deleted."""

    keys: tuple[str, ...]


class Fence(Op, frozen=True, tag="fence"):
    """Refuse appends of owners before ``epoch`` from now on."""

    epoch: int


class Close(Op, frozen=True, tag="close"):
    """End the shard: no reads, no writes, all its data are garbage."""

    now_ms: int


ShardOp = (
    Describe
    | Append
    | DowngradeSince
    | Hold
    | Release
    | Heartbeat
    | Expire
    | ReplaceBatches
    | Collected
    | Fence
    | Close
)


class Rejection(msgspec.Struct, frozen=True, tag_field="kind"):
    """Why an op does not apply to a state."""


class WrongUpper(Rejection, frozen=True, tag="wrong_upper"):
    """The append does not begin at the shard's upper."""

    current: Frontier
    wanted: Timestamp


class BadBounds(Rejection, frozen=True, tag="bad_bounds"):
    """An append's upper is not beyond its lower."""

    lower: Timestamp
    upper: Frontier


class WrongDesc(Rejection, frozen=True, tag="wrong_desc"):
    """The shard has another shape."""

    current: RelationDesc


class UnknownHold(Rejection, frozen=True, tag="unknown_hold"):
    """There is no such hold: it was released or its lease ran out."""

    hold: str


class FencedBy(Rejection, frozen=True, tag="fenced_by"):
    """A newer owner has fenced the op's."""

    epoch: int


class NotCovered(Rejection, frozen=True, tag="not_covered"):
    """The batches to be replaced are not there (any more)."""


S = TypeVar("S")
O = TypeVar("O")  # noqa: E741 - pairs with S


class Machine(Protocol, Generic[S, O]):
    """A state machine that :mod:`headwater.persist.log` can keep in consensus."""

    def initial(self) -> S:
        """Return the state before the first version."""
        ...

    def apply(self, state: S, op: O, seqno: int) -> S | Rejection:
        """Return the state after ``op``, which version ``seqno`` carries."""
        ...

    def encode(self, version: "Ops[O] | Rollup[S]") -> bytes:
        """Return the bytes of a version."""
        ...

    def decode(self, data: bytes) -> "Ops[O] | Rollup[S]":
        """Return the version in ``data``; raises msgspec.DecodeError."""
        ...


class Ops(msgspec.Struct, Generic[O], frozen=True, tag_field="kind", tag="ops"):
    """A version that changes the state; ``token`` tells its author that it is his."""

    token: bytes
    ops: tuple[O, ...]


class Rollup(msgspec.Struct, Generic[S], frozen=True, tag_field="kind", tag="rollup"):
    """A version that repeats the whole state, so that those before it can go."""

    token: bytes
    state: S
    recent: tuple[bytes, ...]  # tokens of the last versions, newest last


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Ops[ShardOp] | Rollup[ShardState]] = msgspec.msgpack.Decoder(
    Ops[ShardOp] | Rollup[ShardState]
)


class ShardMachine:
    """The machine of every shard but the transaction shard."""

    def initial(self) -> ShardState:
        """Return the state of a shard that does not exist yet."""
        return ShardState()

    def encode(self, version: Ops[ShardOp] | Rollup[ShardState]) -> bytes:
        """Return the bytes of a version."""
        return _encoder.encode(version)

    def decode(self, data: bytes) -> Ops[ShardOp] | Rollup[ShardState]:
        """Return the version in ``data``."""
        return _decoder.decode(data)

    def apply(self, state: ShardState, op: ShardOp, seqno: int) -> ShardState | Rejection:
        """Return the state after ``op``, which version ``seqno`` carries."""
        match op:
            case Append():
                return _append(state, op)
            case DowngradeSince():
                return _downgrade(state, op)
            case Hold():
                hold = HoldState(
                    since=join((op.since, state.since)), expires_ms=op.expires_ms, seqno=seqno
                )
                return _with_holds(state, {**state.holds, op.hold: hold})
            case Release():
                return _with_holds(
                    state, {name: hold for name, hold in state.holds.items() if name != op.hold}
                )
            case Heartbeat():
                return _heartbeat(state, op)
            case Expire():
                return _with_holds(
                    state,
                    {
                        name: hold
                        for name, hold in state.holds.items()
                        if hold.expires_ms is None or hold.expires_ms > op.now_ms
                    },
                )
            case ReplaceBatches():
                return _replace(state, op, seqno)
            case Collected():
                gone = set(op.keys)
                left = tuple(garbage for garbage in state.garbage if garbage.key not in gone)
                return msgspec.structs.replace(state, garbage=left)
            case Describe():
                if state.desc is None or op.desc.follows(state.desc):
                    return msgspec.structs.replace(state, desc=op.desc)
                return WrongDesc(state.desc)
            case Fence():
                if op.epoch < state.epoch:
                    return FencedBy(state.epoch)
                return msgspec.structs.replace(state, epoch=op.epoch)
            case Close():
                return _close(state, op, seqno)
            case _:
                assert_never(op)


def _append(state: ShardState, op: Append) -> ShardState | Rejection:
    if op.epoch is not None and op.epoch < state.epoch:
        return FencedBy(state.epoch)
    if state.upper is None or op.lower != state.upper:
        return WrongUpper(state.upper, op.lower)
    if op.upper is not None and op.upper <= op.lower:
        return BadBounds(op.lower, op.upper)
    batch = Batch(lower=op.lower, upper=op.upper, parts=op.parts, errors=op.errors)
    batches = state.batches
    if batch.is_empty and batches and batches[-1].is_empty:
        batches = (*batches[:-1], msgspec.structs.replace(batches[-1], upper=op.upper))
    else:
        batches = (*batches, batch)
    since = _since(state.since, op.upper, state.holds)
    return msgspec.structs.replace(state, upper=op.upper, since=since, batches=batches)


def _since(since: Frontier, upper: Frontier, holds: dict[str, HoldState]) -> Frontier:
    """Return the since that the holds allow, never beyond upper nor before ``since``."""
    if not holds:
        return since
    wanted = meet(hold.since for hold in holds.values())
    if not precedes(wanted, upper):
        wanted = upper
    return join((since, wanted))


def _with_holds(state: ShardState, holds: dict[str, HoldState]) -> ShardState:
    since = _since(state.since, state.upper, holds)
    return msgspec.structs.replace(state, holds=holds, since=since)


def _downgrade(state: ShardState, op: DowngradeSince) -> ShardState | Rejection:
    hold = state.holds.get(op.hold)
    if hold is None:
        return UnknownHold(op.hold)
    hold = msgspec.structs.replace(hold, since=join((hold.since, op.since)))
    return _with_holds(state, {**state.holds, op.hold: hold})


def _heartbeat(state: ShardState, op: Heartbeat) -> ShardState | Rejection:
    hold = state.holds.get(op.hold)
    if hold is None:
        return UnknownHold(op.hold)
    hold = msgspec.structs.replace(hold, expires_ms=op.expires_ms, seqno=max(hold.seqno, op.seqno))
    return msgspec.structs.replace(state, holds={**state.holds, op.hold: hold})


def _replace(state: ShardState, op: ReplaceBatches, seqno: int) -> ShardState | Rejection:
    new = op.batch
    if not precedes(new.since, state.since):
        return NotCovered()
    starts = [i for i, batch in enumerate(state.batches) if batch.lower == new.lower]
    if not starts:
        return NotCovered()
    first, end = starts[0], starts[0]
    rest: tuple[Batch, ...] = ()
    while end < len(state.batches):
        batch = state.batches[end]
        end += 1
        if batch.upper == new.upper:
            break
        if not precedes(batch.upper, new.upper):
            # The last batch grew while it was being compacted: only an empty one can be cut.
            if not batch.is_empty or new.upper is None or new.upper <= batch.lower:
                return NotCovered()
            rest = (msgspec.structs.replace(batch, lower=new.upper),)
            break
    else:
        return NotCovered()
    old = state.batches[first:end]
    if any(batch.since > new.since for batch in old):
        return NotCovered()  # compacted further by someone else: the new one would claim too much
    kept = set(_keys((new,)))
    dropped = tuple(
        Garbage(key=key, seqno=seqno, dropped_ms=op.now_ms) for key in _keys(old) if key not in kept
    )
    return msgspec.structs.replace(
        state,
        batches=(*state.batches[:first], new, *rest, *state.batches[end:]),
        garbage=state.garbage + dropped,
    )


def _close(state: ShardState, op: Close, seqno: int) -> ShardState:
    dropped = tuple(
        Garbage(key=key, seqno=seqno, dropped_ms=op.now_ms) for key in _keys(state.batches)
    )
    return msgspec.structs.replace(
        state,
        since=None,
        upper=None,
        batches=(),
        holds={},
        garbage=state.garbage + dropped,
    )


def _keys(batches: tuple[Batch, ...]) -> list[str]:
    return [
        part.key
        for batch in batches
        for part in (*batch.parts, *batch.errors)
        if isinstance(part, BlobPart)
    ]
