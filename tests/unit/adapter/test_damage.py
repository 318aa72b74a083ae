"""Table t, materialized view m of t on cluster "other", index i of t, index j of i and m."""

import pytest

from headwater.adapter.damage import DamageWatch
from headwater.errors import DataCorrupted, ErrorFields
from headwater.types.ids import ClusterId, GlobalId, ShardId

HERE, OTHER = ClusterId("here"), ClusterId("other")
T, M = GlobalId("t"), GlobalId("m")
INDEX, JOIN = GlobalId("i"), GlobalId("j")
DAMAGE = ErrorFields(sqlstate="XX001", message='blob "b" is missing')


class World:
    """All three controllers, and the clock."""

    def __init__(self) -> None:
        self.now = 10.0
        self.uppers: dict[object, int | None] = {T: 100, M: 100, INDEX: 100, JOIN: 100}
        self.failures: dict[tuple[ClusterId, ShardId], float] = {}
        self.on_shard_failed = lambda: None

    def monotonic(self):
        return self.now

    # Storage

    def has(self, *where):
        return where[-1] in ((T, M) if len(where) == 1 else (INDEX, JOIN, M))

    def frontiers(self, *where):
        return 0, self.uppers[where[-1]]

    def shard(self, id):
        return ShardId(f"shard {id}")

    # Compute

    def cluster_of(self, id):
        return OTHER if id == M else None

    def imports(self, cluster, id):
        return {INDEX: ((T,), ()), JOIN: ((M,), (INDEX,)), M: ((T,), ())}[id]

    # Clusters

    def shard_failure(self, cluster, shard, since):
        at = self.failures.get((cluster, shard))
        return DAMAGE if at is not None and at >= since else None

    def fail(self, cluster, id):
        self.failures[cluster, self.shard(id)] = self.now
        self.on_shard_failed()


@pytest.fixture
def world():
    return World()


def read(world, *inputs, time=100):
    errors: list[DataCorrupted] = []
    watch = DamageWatch(world, world, world, world)
    watch.watch("read", inputs, lambda: time, errors.append)
    return watch, errors


def test_a_read_of_what_stands_still_fails_with_the_damage(world):
    _, errors = read(world, (HERE, INDEX))
    world.fail(HERE, T)
    assert [error.message for error in errors] == ['blob "b" is missing']
    world.fail(HERE, T)  # once is enough
    assert len(errors) == 1


def test_what_has_come_far_enough_is_read_whatever_happens_to_its_collection(world):
    world.uppers[INDEX] = 101
    _, errors = read(world, (HERE, INDEX))
    world.fail(HERE, T)
    assert errors == []


def test_the_damage_may_be_behind_an_index_or_on_another_cluster(world):
    _, behind_an_index = read(world, (HERE, JOIN))
    world.fail(HERE, T)
    assert len(behind_an_index) == 1
    _, elsewhere = read(world, (HERE, JOIN))
    world.fail(OTHER, T)
    assert len(elsewhere) == 1
    _, of_the_view = read(world, (None, M))
    world.fail(OTHER, T)
    assert len(of_the_view) == 1


def test_damage_that_is_not_in_the_way_is_nobodys_error(world):
    _, errors = read(world, (HERE, INDEX))
    world.fail(HERE, M)
    world.fail(OTHER, T)
    assert errors == []


def test_only_a_try_that_began_after_the_read_counts(world):
    world.fail(HERE, T)
    world.now += 1
    watch, errors = read(world, (HERE, INDEX))
    watch.check()
    assert errors == []
    world.fail(HERE, T)
    assert len(errors) == 1


def test_a_read_that_is_over_is_left_alone(world):
    watch, errors = read(world, (HERE, INDEX))
    watch.forget("read")
    watch.forget("read")
    world.fail(HERE, T)
    assert errors == []
