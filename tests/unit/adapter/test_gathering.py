from headwater.adapter.gathering import MOMENT_MAX_S, Gathering


def test_those_who_were_answered_and_those_who_wait_are_expected_together():
    gathering = Gathering()
    assert gathering.moment_s(1) == 0  # nobody is known yet
    gathering.ended(answered=4, waiting=4, seconds=0.001)
    assert gathering.expected == 8
    assert gathering.moment_s(4) == 0.0005  # half of the round
    assert gathering.moment_s(8) == 0
    gathering.ended(answered=8, waiting=0, seconds=1.0)
    assert gathering.moment_s(1) == MOMENT_MAX_S


def test_a_single_writer_never_waits():
    gathering = Gathering()
    for _ in range(3):
        gathering.ended(answered=1, waiting=0, seconds=0.001)
        assert gathering.moment_s(1) == 0


def test_who_does_not_come_back_is_waited_for_ever_less():
    gathering = Gathering()
    waits = []
    for _ in range(200):
        gathering.ended(answered=2, waiting=0, seconds=0.001)
        waited = gathering.moment_s(1) > 0
        waits.append(waited)
        if waited:
            gathering.waited(in_vain=True)
    assert sum(waits) < 12
    gathering.waited(in_vain=False)
    gathering.ended(answered=2, waiting=0, seconds=0.001)
    while not gathering.moment_s(1):
        pass
    gathering.waited(in_vain=True)
    assert gathering.moment_s(1) == 0
    assert gathering.moment_s(1) > 0  # one round without: it counts from one again
