"""The shard's state machine, step by step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.persist import machine
from headwater.persist.machine import (
    Append,
    Batch,
    Close,
    Collected,
    Describe,
    DowngradeSince,
    Expire,
    Fence,
    Heartbeat,
    Hold,
    Ops,
    Rejection,
    Release,
    ReplaceBatches,
    Rollup,
    ShardMachine,
    ShardOp,
    ShardState,
)
from headwater.persist.parts import BlobPart, InlinePart
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT4, TEXT

MACHINE = ShardMachine()
PART = InlinePart(b"x", 1)


def blob(key: str) -> BlobPart:
    return BlobPart(key=key, encoding="parquet", updates=1, bytes=1, checksum=0)


def after(*ops: ShardOp, state: ShardState | None = None) -> ShardState:
    state = state or MACHINE.initial()
    for seqno, op in enumerate(ops, 1):
        result = MACHINE.apply(state, op, seqno)
        assert not isinstance(result, Rejection), result
        state = result
    return state


def refused(state: ShardState, op: ShardOp) -> Rejection:
    result = MACHINE.apply(state, op, 99)
    assert isinstance(result, Rejection)
    return result


def test_appends_begin_at_the_upper() -> None:
    state = after(Append(0, 5, (PART,)), Append(5, 6))
    assert state.upper == 6
    assert refused(state, Append(5, 7)) == machine.WrongUpper(6, 5)
    assert refused(state, Append(6, 6)) == machine.BadBounds(6, 6)
    closed = after(Append(6, None), state=state)
    assert refused(closed, Append(6, 7)) == machine.WrongUpper(None, 6)


def test_empty_appends_grow_one_batch() -> None:
    state = after(Append(0, 5, (PART,)), *(Append(t, t + 1) for t in range(5, 50)))
    assert state.batches == (Batch(0, 5, parts=(PART,)), Batch(5, 50))


def test_since_is_the_earliest_hold_but_not_beyond_upper() -> None:
    state = after(Append(0, 100), Hold("a", 10), Hold("b", 20))
    assert state.since == 10
    state = after(DowngradeSince("a", 500), state=state)
    assert state.since == 20
    state = after(Release("b"), state=state)
    assert state.since == 100
    state = after(Append(100, 300), state=state)
    assert state.since == 300
    assert after(Hold("c", 0), state=state).holds["c"].since == 300
    assert refused(state, DowngradeSince("b", 7)) == machine.UnknownHold("b")
    assert refused(state, Heartbeat("b", 7, 1)) == machine.UnknownHold("b")


def test_leases_expire_and_durable_holds_do_not() -> None:
    state = after(Append(0, 9), Hold("lease", 1, expires_ms=10), Hold("durable", 5))
    assert after(Expire(9), state=state).since == 1
    assert after(Expire(10), state=state).since == 5
    renewed = after(Heartbeat("lease", 20, 3), Expire(15), state=state)
    assert renewed.since == 1


def test_compaction_replaces_what_it_covers() -> None:
    state = after(
        Append(0, 5, (blob("a"),)), Append(5, 7, (blob("b"), PART)), Append(7, 9, (PART,))
    )
    new = Batch(0, 7, parts=(blob("c"),))
    compacted = after(ReplaceBatches(new, 1000), state=state)
    assert compacted.batches == (new, Batch(7, 9, parts=(PART,)))
    assert [garbage.key for garbage in compacted.garbage] == ["a", "b"]
    assert after(Collected(("a", "b")), state=compacted).garbage == ()
    for wrong in (Batch(0, 6), Batch(1, 7), Batch(0, 8), Batch(0, None), Batch(0, 7, since=1)):
        assert refused(state, ReplaceBatches(wrong, 0)) == machine.NotCovered()


def test_compaction_survives_a_growing_last_batch() -> None:
    state = after(Append(0, 5, (PART,)), Append(5, 7))
    grown = after(Append(7, 20), state=state)
    new = Batch(0, 7, parts=(PART,))
    assert after(ReplaceBatches(new, 0), state=grown).batches == (new, Batch(7, 20))


def test_what_compaction_lost_cannot_come_back() -> None:
    state = after(Append(0, 9, (PART,)), Hold("a", 5))
    compacted = after(ReplaceBatches(Batch(0, 9, since=5, parts=(PART,)), 0), state=state)
    late = ReplaceBatches(Batch(0, 9, since=3, parts=(PART,)), 0)
    assert refused(compacted, late) == machine.NotCovered()


def test_fences_only_rise() -> None:
    state = after(Fence(3))
    assert refused(state, Fence(2)) == machine.FencedBy(3)
    assert refused(state, Append(0, 1, epoch=2)) == machine.FencedBy(3)
    assert after(Append(0, 1, epoch=3), Append(1, 2), state=state).upper == 2


def test_a_closed_shard_is_garbage() -> None:
    state = after(Append(0, 5, (blob("a"),), (blob("e"),)), Hold("x", 1), Close(7))
    assert (state.since, state.upper, state.batches, state.holds) == (None, None, (), {})
    assert [garbage.key for garbage in state.garbage] == ["a", "e"]


@given(
    st.lists(
        st.one_of(
            st.builds(lambda n: ("append", n, 0), st.integers(1, 5)),
            st.builds(lambda h, t: ("hold", h, t), st.integers(0, 3), st.integers(0, 40)),
            st.builds(lambda h, t: ("down", h, t), st.integers(0, 3), st.integers(0, 40)),
            st.builds(lambda h: ("release", h, 0), st.integers(0, 3)),
        ),
        max_size=30,
    )
)
def test_frontiers_only_advance(steps: list[tuple[str, int, int]]) -> None:
    state = MACHINE.initial()
    for kind, n, time in steps:
        match kind:
            case "append":
                op: ShardOp = Append(state.upper, state.upper + n, (PART,) * (n % 2))
            case "hold":
                op = Hold(str(n), time)
            case "down":
                op = DowngradeSince(str(n), time)
            case _:
                op = Release(str(n))
        result = MACHINE.apply(state, op, 1)
        if isinstance(result, Rejection):
            continue
        assert state.since <= result.since <= result.upper
        assert state.upper <= result.upper
        assert all(hold.since >= result.since for hold in result.holds.values())
        state = result


@pytest.mark.parametrize(
    "version",
    [
        Ops(b"t", (Append(0, None, (PART, blob("k"))), Hold("h", None), Fence(2))),
        Rollup(b"t", after(Append(0, 5, (PART,)), Hold("h", 3)), (b"a", b"b")),
    ],
)
def test_versions_survive_the_codec(version: Ops[ShardOp] | Rollup[ShardState]) -> None:
    assert MACHINE.decode(MACHINE.encode(version)) == version


def test_a_shape_grows_and_never_changes() -> None:
    a, b = Column("a", INT4, False), Column("b", TEXT)
    state = after(Describe(RelationDesc((a,), ((0,),))))
    loose = RelationDesc((Column("x", INT4),))  # names, nullability and keys are not in the rows
    assert after(Describe(loose), state=state).desc == loose
    grown = RelationDesc((a, b), (), (b"\x01",))
    state = after(Describe(grown), state=state)
    for wrong in (
        RelationDesc((a,)),
        RelationDesc((b, a), (), (b"\x01",)),
        RelationDesc((a, b), (), (b"\x02",)),
        RelationDesc((a, b, b), (), (b"\x01",)),
    ):
        assert refused(state, Describe(wrong)) == machine.WrongDesc(grown)
    after(Describe(RelationDesc((a, b, a), (), (b"\x01", b"\x01"))), state=state)
    assert grown.first(1) == RelationDesc((a,))
