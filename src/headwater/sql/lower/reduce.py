"""How aggregates and top-k are kept up to date, from what is known of groups and input."""

from enum import Enum

from headwater.ir.functions import AggregateClass, aggregate_class
from headwater.ir.literals import literal_int
from headwater.ir.physical import BUCKET_FANOUT, Plan, ReducePlan
from headwater.ir.physical import TopK as TopKPlan
from headwater.ir.relation import Reduce, TopK
from headwater.ir.scalar import Literal
from headwater.ir.typing import arity

# The stages where nothing was said of groups. An update looks at some 80 rows, and in groups of
# more than a million at a 16,384th of them (some 0.3 us a row). Each stage costs small groups a
# copy of their rows: better three with more between them than four. More buckets in the first
# would serve larger groups, and keep more of those of 10,000 rows twice.
BUCKETS_DEFAULT = (16_384, 512, 16)
# Rows of a group that only grows are kept in one list up to this many; a change may move all.
KEPT_ROWS_MAX = 1_000


class Growth(Enum):
    """Whether rows of a collection are taken away again."""

    UNKNOWN = "unknown"
    ALWAYS = "always"  # rows are only ever added
    ONCE_CONSOLIDATED = "once consolidated"  # as ALWAYS, the changes of each time added up

    @property
    def is_monotonic(self) -> bool:
        """Return whether rows are only added, as far as can be seen."""
        return self is not Growth.UNKNOWN


def buckets(expected_group_size: int | None) -> tuple[int, ...]:
    """Return the stages for groups of that many rows: falling powers of two, none if small."""
    if not expected_group_size:
        return BUCKETS_DEFAULT
    stages = []
    count = BUCKET_FANOUT
    while count * BUCKET_FANOUT <= expected_group_size:
        stages.append(count)
        count *= BUCKET_FANOUT
    return tuple(reversed(stages))


def largest_group(levels: int) -> int:
    """Return the greatest expected size of groups for which there are that many levels.

    The stages, and the last reduction of what they leave.
    """
    return int(BUCKET_FANOUT ** (levels + 1)) - 1


def reduce_plan(node: Reduce, growth: Growth) -> ReducePlan:
    """Return which aggregates of ``node`` are computed how, over rows of that ``growth``."""
    by_class: dict[AggregateClass, list[int]] = {kind: [] for kind in AggregateClass}
    for number, aggregate in enumerate(node.aggregates):
        by_class[aggregate_class(aggregate.func)].append(number)
    hierarchical = tuple(by_class[AggregateClass.HIERARCHICAL])
    if not hierarchical:
        growth = Growth.UNKNOWN  # the others make no use of it
    staged = hierarchical and not growth.is_monotonic
    return ReducePlan(
        accumulable=tuple(by_class[AggregateClass.ACCUMULABLE]),
        hierarchical=hierarchical,
        basic=tuple(by_class[AggregateClass.BASIC]),
        buckets=buckets(node.expected_group_size) if staged else (),
        monotonic=growth.is_monotonic,
        must_consolidate=growth is Growth.ONCE_CONSOLIDATED,
    )


def top_k_plan(node: TopK, below: Plan, growth: Growth) -> TopKPlan:
    """Return how a top-k is computed over ``below``, whose rows are of ``growth``."""
    if not _keeps_few(node):
        growth = Growth.UNKNOWN
    return TopKPlan(
        below,
        arity(node.input),
        node.group_key,
        node.order_key,
        node.limit,
        node.offset,
        growth.is_monotonic,
        growth is Growth.ONCE_CONSOLIDATED,
        () if growth.is_monotonic else buckets(node.expected_group_size),
    )


def _keeps_few(node: TopK) -> bool:
    """Return whether it is known how many rows of a group are kept, and that they are not many."""
    if not isinstance(node.limit, Literal):
        return False
    limit = literal_int(node.limit)
    return limit is not None and limit >= 0 and limit + node.offset <= KEPT_ROWS_MAX
