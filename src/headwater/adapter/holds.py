"""Read holds of a query or transaction: on which collections, and the frontiers they pin."""

from collections.abc import Callable, Iterable

from headwater.adapter.controllers import ComputeController, StorageController
from headwater.adapter.timestamps import InputFrontiers
from headwater.catalog.items import BuiltinLog, MaterializedView, Source, Table, View
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.types.ids import ClusterId, GlobalId
from headwater.types.read_hold import ReadHold
from headwater.types.time import Timestamp


class Bundle:
    """The collections from which relations can be computed on one cluster.

    Attributes:
        storage: Durable collections.
        indexes: Indexes on the cluster.
    """

    def __init__(self, cluster: ClusterId) -> None:
        self.cluster = cluster
        self.storage: set[GlobalId] = set()
        self.indexes: set[GlobalId] = set()


def bundle_of(
    snapshot: CatalogSnapshot,
    compute: ComputeController,
    cluster: ClusterId,
    relations: Iterable[GlobalId],
) -> Bundle:
    """Return what ``relations`` are computed from: durable collections, indexes, through views.

    A view with an index on the cluster is read from the index; everything that has indexes counts
    with all of them, since planning may choose any.
    """
    bundle = Bundle(cluster)
    stack = list(relations)
    seen: set[GlobalId] = set()
    while stack:
        id = stack.pop()
        if id in seen:
            continue
        seen.add(id)
        item = snapshot.try_item(id)
        if item is None:
            continue
        indexes = [i.id for i in snapshot.indexes_on(id, cluster) if compute.has(cluster, i.id)]
        bundle.indexes.update(indexes)
        is_source = isinstance(item, Source) and item.shard is not None
        if is_source or isinstance(item, Table | MaterializedView):
            bundle.storage.add(id)
        elif isinstance(item, View) and not indexes:
            stack.extend(item.depends_on)
    return bundle


def logs_of(snapshot: CatalogSnapshot, relations: Iterable[GlobalId]) -> list[BuiltinLog]:
    """Return the logs of replicas that relations are computed from, by name."""
    found: dict[GlobalId, BuiltinLog] = {}
    stack, seen = list(relations), set[GlobalId]()
    while stack:
        id = stack.pop()
        if id in seen:
            continue
        seen.add(id)
        item = snapshot.try_item(id)
        if isinstance(item, BuiltinLog):
            found[id] = item
        elif isinstance(item, View):
            stack.extend(item.depends_on)
    return sorted(found.values(), key=lambda log: log.name)


class ReadHolds:
    """Holds on a bundle's collections, taken and released together.

    Attributes:
        on_release: Called when they are released, perhaps more than once: the read is over.
    """

    def __init__(self, holds: "list[tuple[ReadHold, ClusterId | None]]") -> None:
        self._holds = holds
        self.on_release: Callable[[], None] = lambda: None

    @staticmethod
    def acquire(
        compute: ComputeController, storage: StorageController, bundle: Bundle
    ) -> "ReadHolds":
        """Hold every collection of ``bundle`` at its since."""
        held: list[tuple[ReadHold, ClusterId | None]] = []
        try:
            held.extend((storage.acquire_hold(id), None) for id in sorted(bundle.storage))
            for id in sorted(bundle.indexes):
                held.append((compute.acquire_hold(bundle.cluster, id), bundle.cluster))
        except BaseException:
            for hold, _ in held:
                hold.release()
            raise
        return ReadHolds(held)

    @property
    def ids(self) -> frozenset[GlobalId]:
        """Return the collections held."""
        return frozenset(hold.id for hold, _ in self._holds)

    def frontiers(
        self, compute: ComputeController, storage: StorageController
    ) -> tuple[InputFrontiers, ...]:
        """Return each collection's since, as held, and its upper now."""
        found = []
        for hold, cluster in self._holds:
            if cluster is None:
                _, upper = storage.frontiers(hold.id)
            else:
                _, upper = compute.frontiers(cluster, hold.id)
            found.append(InputFrontiers(hold.id, hold.since, upper))
        return tuple(found)

    def downgrade(self, ts: Timestamp) -> None:
        """Let history before ``ts`` go."""
        for hold, _ in self._holds:
            if hold.since is not None and hold.since < ts:
                hold.downgrade(ts)

    def clone(self) -> "ReadHolds":
        """Take the same holds once more."""
        return ReadHolds([(h.clone(), c) for h, c in self._holds if h.since is not None])

    def subset(self, bundle: Bundle) -> "ReadHolds":
        """Take the holds on a bundle's collections once more."""
        wanted = bundle.storage | bundle.indexes
        return ReadHolds([(h.clone(), c) for h, c in self._holds if h.id in wanted])

    def extend(self, more: "ReadHolds") -> None:
        """Take over the holds of ``more``."""
        self._holds.extend(more._holds)

    def release(self) -> None:
        """Let go of everything; harmless when done already."""
        self.on_release()
        for hold, _ in self._holds:
            hold.release()
        self._holds = []
