"""The transaction shard's state machine; see :mod:`headwater.persist.txns` for the picture."""

from typing import assert_never

import msgspec

from headwater.persist.machine import FencedBy, Op, Ops, Rejection, Rollup, WrongUpper
from headwater.persist.parts import BlobPart, Part
from headwater.types.frontier import Frontier
from headwater.types.ids import ShardId
from headwater.types.time import TIMESTAMP_MIN, Timestamp

Writes = dict[ShardId, tuple[Part, ...]]


class Entry(msgspec.Struct, frozen=True):
    """What was committed at ``time`` and is not applied yet."""

    time: Timestamp
    writes: Writes


class TxnsState(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is known of the tables as a whole.

    Attributes:
        upper: The upper of every table; there may be entries at it, when it is open.
        epoch: The owner's; commits of earlier ones are refused.
        tables: The tables, each with the upper of its own shard: writes before it are there.
        entries: The other writes, by rising time.
        left: The last owner that has said that it is gone.
    """

    upper: Timestamp = TIMESTAMP_MIN
    epoch: int = 0
    tables: dict[ShardId, Timestamp] = {}
    entries: tuple[Entry, ...] = ()
    left: int = 0


class TxnCommit(Op, frozen=True, tag="txn_commit"):
    """Commit at ``time``: writes, new tables, tables that end here; possibly nothing.

    ``open``: more may follow at the same time, which is not complete, and not read, until a commit
    that is not open, or a new owner, closes it.
    """

    time: Timestamp
    epoch: int
    writes: Writes = {}
    register: dict[ShardId, Timestamp] = {}
    forget: tuple[ShardId, ...] = ()
    open: bool = False


class TxnApplied(Op, frozen=True, tag="txn_applied"):
    """Forget the writes before each table's time: its own shard has them now."""

    epoch: int
    applied: dict[ShardId, Timestamp]


class TxnFence(Op, frozen=True, tag="txn_fence"):
    """Refuse commits of owners before ``epoch`` from now on."""

    epoch: int


class TxnLeave(Op, frozen=True, tag="txn_leave"):
    """The owner is gone: it reads and writes no more."""

    epoch: int


TxnOp = TxnCommit | TxnApplied | TxnFence | TxnLeave


class UnknownTable(Rejection, frozen=True, tag="unknown_table"):
    """The table is not registered."""

    shard: ShardId


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Ops[TxnOp] | Rollup[TxnsState]] = msgspec.msgpack.Decoder(
    Ops[TxnOp] | Rollup[TxnsState]
)


class TxnsMachine:
    """The machine of the transaction shard."""

    def initial(self) -> TxnsState:
        """Return the state without tables."""
        return TxnsState()

    def encode(self, version: Ops[TxnOp] | Rollup[TxnsState]) -> bytes:
        """Return the bytes of a version."""
        return _encoder.encode(version)

    def decode(self, data: bytes) -> Ops[TxnOp] | Rollup[TxnsState]:
        """Return the version in ``data``."""
        return _decoder.decode(data)

    def apply(self, state: TxnsState, op: TxnOp, seqno: int) -> TxnsState | Rejection:
        """Return the state after ``op``, which version ``seqno`` carries."""
        if op.epoch < state.epoch:
            return FencedBy(state.epoch)
        match op:
            case TxnCommit():
                return _commit(state, op)
            case TxnApplied():
                return _applied(state, op)
            case TxnFence():
                return msgspec.structs.replace(state, epoch=op.epoch, upper=_closed(state))
            case TxnLeave():
                return msgspec.structs.replace(state, left=op.epoch)
            case _:
                assert_never(op)


def _commit(state: TxnsState, op: TxnCommit) -> TxnsState | Rejection:
    if op.time < state.upper:
        return WrongUpper(current=state.upper, wanted=op.time)
    tables = state.tables
    for shard in (*op.writes, *op.forget):
        if shard not in tables:
            return UnknownTable(shard)
    entries = state.entries
    if op.register or op.forget:
        tables = {shard: at for shard, at in tables.items() if shard not in op.forget}
        tables |= op.register
        entries = _without(entries, {shard: Timestamp(op.time + 1) for shard in op.forget})
    if op.writes:
        entries = (*entries, Entry(op.time, op.writes))
    return TxnsState(
        upper=op.time if op.open else Timestamp(op.time + 1),
        epoch=state.epoch,
        tables=tables,
        entries=entries,
        left=state.left,
    )


def _closed(state: TxnsState) -> Timestamp:
    """Return the upper with everything complete that was written: it may have been acknowledged."""
    return Timestamp(state.entries[-1].time + 1) if is_open(state) else state.upper


def is_open(state: TxnsState) -> bool:
    """Return whether something was written at ``upper``, which is not complete."""
    return bool(state.entries) and state.entries[-1].time >= state.upper


def _applied(state: TxnsState, op: TxnApplied) -> TxnsState | Rejection:
    for shard in op.applied:
        if shard not in state.tables:
            return UnknownTable(shard)
    return msgspec.structs.replace(
        state,
        tables=state.tables | op.applied,
        entries=_without(state.entries, op.applied),
    )


def _without(entries: tuple[Entry, ...], before: dict[ShardId, Timestamp]) -> tuple[Entry, ...]:
    """Return the entries less the writes to each shard before its time."""
    left = []
    for entry in entries:
        writes = {
            shard: parts
            for shard, parts in entry.writes.items()
            if shard not in before or entry.time >= before[shard]
        }
        if len(writes) == len(entry.writes):
            left.append(entry)
        elif writes:
            left.append(Entry(entry.time, writes))
    return tuple(left)


def parts_between(
    state: TxnsState, shard: ShardId, lower: Timestamp, upper: Frontier
) -> list[Part]:
    """Return what entries at times in ``[lower, upper)`` wrote to ``shard``."""
    found: list[Part] = []
    for entry in state.entries:
        if entry.time >= lower and (upper is None or entry.time < upper):
            found.extend(entry.writes.get(shard, ()))
    return found


def blob_keys(state: TxnsState) -> set[str]:
    """Return the keys of the blobs that entries refer to."""
    return {
        part.key
        for entry in state.entries
        for parts in entry.writes.values()
        for part in parts
        if isinstance(part, BlobPart)
    }
