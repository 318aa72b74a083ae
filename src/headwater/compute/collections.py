"""What the compute controller knows of one export: its frontiers, its holds, its inputs."""

from collections.abc import Sequence
from enum import StrEnum

from headwater.types.frontier import Frontier, join, meet, precedes
from headwater.types.ids import GlobalId, ReplicaId
from headwater.types.read_hold import HoldSet, ReadHold
from headwater.types.time import Timestamp

# How far the since of an export stays behind its upper where nobody holds it back: one second, as
# long as a client may reasonably take between learning a timestamp and reading at it.
DEFAULT_LAG_MS = 1_000
_NS_PER_S = 1_000_000_000


class ExportKind(StrEnum):
    """What an export is, which decides how far it may be compacted."""

    INDEX = "index"
    MATERIALIZED_VIEW = "materialized_view"
    SUBSCRIBE = "subscribe"


class ExportState:
    """One export of one dataflow on one cluster.

    Frontiers: ``since`` is what replicas were allowed to compact to; it never goes back and never
    passes a hold. ``upper`` is the furthest that any replica has reported: the first answer wins.
    """

    def __init__(
        self,
        id: GlobalId,
        kind: ExportKind,
        as_of: Frontier,
        inputs: Sequence[ReadHold],
        lag_ms: int = DEFAULT_LAG_MS,
    ) -> None:
        self.id = id
        self.kind = kind
        self.as_of = as_of
        self.since: Frontier = as_of
        self.inputs = tuple(inputs)
        self.lag_ms = lag_ms
        self.holds = HoldSet()
        self.uppers: dict[ReplicaId, Frontier] = {}
        self.told_at: dict[ReplicaId, float] = {}  # when each connected replica was told of it
        self.hydration_ns: dict[ReplicaId, int] = {}  # how long each took from there on
        self._upper: Frontier = as_of
        self.durable_upper: Frontier = as_of  # of a materialized view's shard

    @property
    def upper(self) -> Frontier:
        """Return the furthest upper any replica has reached; it outlives the replica."""
        return self._upper

    def tell(self, replica: ReplicaId, now: float) -> None:
        """Note that a replica is told of the export, anew if it came back; in seconds."""
        self.told_at[replica] = now
        self.hydration_ns.pop(replica, None)

    def forget(self, replica: ReplicaId) -> None:
        """Forget what a replica has reported."""
        for known in (self.uppers, self.told_at, self.hydration_ns):
            known.pop(replica, None)

    def note_hydrated(self, replica: ReplicaId, now: float) -> None:
        """Note that a replica has passed the export's first time just now, in seconds."""
        took_s = now - self.told_at.get(replica, now)
        self.hydration_ns[replica] = int(took_s * _NS_PER_S)

    def report(self, replica: ReplicaId, upper: Frontier) -> bool:
        """Note a replica's upper; return whether the export's own has moved."""
        self.uppers[replica] = upper
        if precedes(upper, self._upper):
            return False
        self._upper = join((self._upper, upper))
        return True

    def is_hydrated(self, replica: ReplicaId) -> bool:
        """Return whether ``replica`` has passed the export's first time."""
        upper = self.uppers.get(replica, Timestamp(0))
        return self.as_of is None or upper is None or upper > self.as_of

    def permitted_since(self, present: Timestamp) -> Frontier:
        """Return how far the policy and the holds let ``since`` go.

        A materialized view is rebuilt from its shard's upper, a subscription from what it sent:
        both one step before their upper. An index stays readable ``lag_ms`` back. What is known
        beyond ``present``, as of views until their next refresh, is yet to be read at it.
        """
        if self.kind is ExportKind.INDEX:
            # A closed index (over constants) stays readable at its end.
            base, back = (self._upper or self.since), self.lag_ms
        elif self.kind is ExportKind.MATERIALIZED_VIEW:
            base, back = self.durable_upper, 1
        else:
            base, back = self._upper, self.lag_ms
        implied: Frontier = None
        if base is not None:
            implied = Timestamp(max(min(base, present + 1) - back, 0))
        wanted = (
            meet((implied, self.holds.earliest)) if implied is not None else (self.holds.earliest)
        )
        return join((self.since, wanted))
