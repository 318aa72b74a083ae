import pytest

from headwater.adapter.timestamps import InputFrontiers, Isolation, Wanted, determine
from headwater.errors import AsOfBeforeSince
from headwater.types.time import TIMESTAMP_MAX

STRICT, SERIAL = Isolation.STRICT_SERIALIZABLE, Isolation.SERIALIZABLE
SESSION = Isolation.STRONG_SESSION_SERIALIZABLE


def inputs(*frontiers):
    return tuple(InputFrontiers(f"i{n}", s, u) for n, (s, u) in enumerate(frontiers))


@pytest.mark.parametrize(
    ("isolation", "oracle", "frontiers", "expected", "immediately"),
    [
        # Strict: the oracle's time, whatever has to be waited for.
        (STRICT, 100, [(0, 101)], 100, True),
        (STRICT, 100, [(0, 90)], 100, False),
        (STRICT, 100, [(0, 500)], 100, True),
        (STRICT, 100, [(150, 200)], 150, True),  # never before what is readable
        (STRICT, 100, [(50, 200), (120, 121)], 120, True),
        # Serializable: the freshest time that answers at once.
        (SERIAL, 100, [(0, 90)], 89, True),
        (SERIAL, 100, [(0, 500)], 499, True),
        (SERIAL, 100, [(0, 500), (0, 90)], 89, True),
        (SERIAL, 100, [(95, 90)], 95, False),  # not even its since is complete yet
        (SERIAL, 100, [(0, 0)], 0, False),
        # Closed and constant inputs bound nothing.
        (SERIAL, 100, [(0, None)], 100, True),
        (SERIAL, 100, [], 100, True),
        (STRICT, 100, [], 100, True),
        (SERIAL, 100, [(0, None), (0, 90)], 89, True),
    ],
)
def test_choice(isolation, oracle, frontiers, expected, immediately):
    chosen = determine(isolation, oracle, inputs(*frontiers))
    assert chosen.read_ts == expected
    assert chosen.can_respond_immediately is immediately
    assert (chosen.oracle_ts is None) is (isolation is SERIAL)


def test_a_strong_session_never_goes_back():
    assert determine(SESSION, 100, inputs((0, 90)), session_ts=95).read_ts == 95
    assert determine(SESSION, 100, inputs((0, 99)), session_ts=95).read_ts == 98


def test_what_is_known_of_the_future_is_not_read_ahead_of_time():
    assert determine(SERIAL, 100, inputs((0, 9_000)), now_ms=120).read_ts == 120
    assert determine(SERIAL, 100, inputs((0, 9_000)), now_ms=80).read_ts == 100
    assert determine(SERIAL, 100, inputs((300, 9_000)), now_ms=120).read_ts == 300


def test_an_exact_time_must_be_readable():
    history = inputs((40, 90))
    assert determine(STRICT, 100, history, wanted=Wanted(40)).read_ts == 40
    assert determine(STRICT, 100, history, wanted=Wanted(2_000)).read_ts == 2_000
    with pytest.raises(AsOfBeforeSince, match=r"Timestamp \(39\) is not valid for all inputs"):
        determine(STRICT, 100, history, wanted=Wanted(39))
    assert determine(STRICT, 100, history, wanted=Wanted(39, at_least=True)).read_ts == 40


def test_a_collection_that_is_gone_cannot_be_read():
    with pytest.raises(AsOfBeforeSince):
        determine(STRICT, 100, inputs((None, None)))


def test_the_freshest_time_of_closed_inputs_is_the_end_of_time():
    assert determine(STRICT, 5, inputs((0, None))).largest_not_in_advance_of_upper == TIMESTAMP_MAX
