"""How aggregates and top-k are kept up to date, from what is known of groups and input."""

from headwater.ir.functions import AggregateClass, aggregate_class
from headwater.ir.physical import ReducePlan
from headwater.ir.relation import Reduce

# A stage of a hierarchical reduction divides each group into this many times fewer buckets.
BUCKET_FANOUT = 16
# Rows a group where nothing was said: three stages, which bound an update's work to a few dozen
# rows for groups of up to 64 ki, and cost small groups little.
EXPECTED_GROUP_SIZE_DEFAULT = 65_536


def buckets(expected_group_size: int | None) -> tuple[int, ...]:
    """Return the stages for groups of that many rows: falling powers of two, none if small."""
    size = expected_group_size or EXPECTED_GROUP_SIZE_DEFAULT
    stages = []
    count = BUCKET_FANOUT
    while count * BUCKET_FANOUT <= size:
        stages.append(count)
        count *= BUCKET_FANOUT
    return tuple(reversed(stages))


def reduce_plan(node: Reduce) -> ReducePlan:
    """Return which aggregates of ``node`` are computed how.

    Append-only input gets buckets as well: its values are all kept, and without buckets every
    change would look at each of them.
    """
    by_class: dict[AggregateClass, list[int]] = {kind: [] for kind in AggregateClass}
    for number, aggregate in enumerate(node.aggregates):
        by_class[aggregate_class(aggregate.func)].append(number)
    hierarchical = tuple(by_class[AggregateClass.HIERARCHICAL])
    return ReducePlan(
        accumulable=tuple(by_class[AggregateClass.ACCUMULABLE]),
        hierarchical=hierarchical,
        basic=tuple(by_class[AggregateClass.BASIC]),
        buckets=buckets(node.expected_group_size) if hierarchical else (),
        monotonic=False,
    )
