"""What the storage controller knows of one durable collection: frontiers, holds, policy."""

from enum import StrEnum

import msgspec

from headwater.persist.holds import ReadHold as DurableHold
from headwater.persist.read import Reader
from headwater.types.frontier import Frontier, join, meet
from headwater.types.ids import GlobalId, ShardId
from headwater.types.read_hold import HoldSet
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp

# How far the since of a collection stays behind its upper where nobody holds it back.
DEFAULT_LAG_MS = 1_000


class CollectionKind(StrEnum):
    """Who advances the collection's upper."""

    TABLE = "table"  # the transaction shard
    SOURCE = "source"  # an ingestion
    MATERIALIZED_VIEW = "materialized_view"  # a dataflow


class CollectionDescription(msgspec.Struct, frozen=True):
    """A durable collection as storage is asked to keep it.

    ``lag_ms`` is how much history it retains. ``ingestion`` is the source that writes it, if one
    does: whom to nudge.
    """

    id: GlobalId
    shard: ShardId
    desc: RelationDesc
    kind: CollectionKind
    lag_ms: int = DEFAULT_LAG_MS
    ingestion: GlobalId | None = None


class CollectionState:
    """One durable collection, as seen from headwaterd.

    Frontiers: ``since`` is what persist was told, durably; reads at or after it are exact as long
    as a hold taken while it was so is kept. It never passes a hold.
    """

    def __init__(
        self, description: CollectionDescription, reader: Reader, critical: DurableHold
    ) -> None:
        self.description = description
        self.reader = reader
        self.critical = critical
        self.since: Frontier = critical.since
        self.holds = HoldSet()

    @property
    def upper(self) -> Frontier:
        """Return the durable upper."""
        return self.reader.upper

    def permitted_since(self, present: Timestamp) -> Frontier:
        """Return how far policy and holds let the since go; reads are given time ``present``."""
        upper = self.upper
        # A closed collection stays readable at its end: nothing compacts it to nothing.
        base = upper if upper is not None else self.since
        if base is None:
            return None
        # What is known beyond the present, as of a view until its next refresh, stays readable.
        implied = Timestamp(max(min(base, present + 1) - self.description.lag_ms, 0))
        return join((self.since, meet((implied, self.holds.earliest))))
