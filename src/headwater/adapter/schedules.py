"""What refreshes cause: clusters that run for them only, and views that have had their last one.

A cluster with ``SCHEDULE = ON REFRESH`` has a replica while one of its views is to be refreshed
within the estimate of how long hydration takes, and for a while after, where the operator says so.
Every few seconds each such cluster is looked at, and turned on or off.
"""

import logging
from collections.abc import Iterable

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.refreshes import progress
from headwater.adapter.sequencer.cluster import HANDOVER_MS, handover, resized
from headwater.adapter.variables import VARIABLES, duration_ms
from headwater.catalog.items import Cluster, MaterializedView
from headwater.catalog.ops import RefreshDecision, Update
from headwater.errors import HeadwaterError
from headwater.sql.plan.ddl import ManagedCluster
from headwater.types.frontier import Frontier
from headwater.types.ids import ClusterId, GlobalId
from headwater.types.refresh import RefreshSchedule
from headwater.types.time import Timestamp

logger = logging.getLogger(__name__)

# How often clusters are looked at, as in Materialize.
PERIOD_S = 3.0
_COMPACTION = "cluster_refresh_mv_compaction_estimate"


class RefreshedView(msgspec.Struct, frozen=True):
    """A view with a schedule, and its collection's frontiers."""

    id: GlobalId
    schedule: RefreshSchedule
    since: Frontier
    upper: Frontier


def decide(
    views: Iterable[RefreshedView],
    present: Timestamp,
    *,
    hydration_ms: int,
    compaction_ms: int,
) -> RefreshDecision:
    """Return whether a cluster with ``views`` is to run at time ``present``.

    Args:
        views: All views of the cluster that have a schedule.
        present: The oracle's read time.
        hydration_ms: How long before a refresh the cluster runs, in milliseconds.
        compaction_ms: How long after a refresh it still runs.
    """
    refresh: list[GlobalId] = []
    compaction: list[GlobalId] = []
    for view in views:
        last, following = progress(view.schedule, view.since, view.upper)
        if following is not None and following < present + hydration_ms:
            refresh.append(view.id)
        if last is not None and last + compaction_ms > present:
            compaction.append(view.id)
    return RefreshDecision(
        objects_needing_refresh=tuple(refresh),
        objects_needing_compaction=tuple(compaction),
        hydration_time_estimate_ms=hydration_ms,
    )


class Schedules:
    """Looks after refreshes for as long as the server runs."""

    def __init__(self, coord: Coordinator) -> None:
        self._coord = coord

    def start(self) -> None:
        """Begin."""
        self._coord.tasks.spawn(self._run(), name="schedules")

    async def _run(self) -> None:
        while True:
            await self._coord.clock.sleep(PERIOD_S)
            self.drop_finished()
            for cluster in list(self._coord.snapshot.clusters.values()):
                if self._wanted(cluster) is None:
                    continue
                try:
                    await self._coord.finish(self._turn(cluster.id))
                except HeadwaterError as error:
                    logger.warning(
                        "a cluster can't be scheduled",
                        extra={"cluster": cluster.id, "why": error.message},
                    )

    def drop_finished(self) -> None:
        """Drop the dataflows of views that are final: what they compute is never written."""
        coord = self._coord
        for item in coord.snapshot.items.values():
            if not isinstance(item, MaterializedView) or item.refresh is None:
                continue
            if coord.storage.has(item.id) and coord.compute.has(item.cluster, item.id):
                _, upper = coord.storage.frontiers(item.id)
                if upper is None:
                    coord.compute.drop(item.cluster, [item.id])

    async def _turn(self, id: ClusterId) -> None:
        """Turn a cluster on or off if that is still wanted when the turn to do so comes."""
        coord = self._coord
        async with coord.changing():
            cluster = coord.snapshot.clusters.get(id)
            wanted = None if cluster is None else self._wanted(cluster)
            if cluster is None or wanted is None:
                return
            managed = ManagedCluster(
                cluster.size or "",
                1 if wanted.is_on else 0,
                introspection_interval_ms=cluster.introspection_interval_ms,
                introspection_debugging=cluster.introspection_debugging,
                refresh_schedule=True,
                hydration_time_estimate_ms=wanted.hydration_time_estimate_ms,
            )
            changed = resized(coord, cluster, managed)
            snapshot = await coord.transact([Update(changed, decision=wanted)])
            await handover(coord, cluster, changed, HANDOVER_MS)(snapshot)
        logger.info("schedule", extra={"cluster": id, "on": wanted.is_on})

    def _wanted(self, cluster: Cluster) -> RefreshDecision | None:
        """Return what a cluster's schedule wants changed; None if it is as it should be."""
        coord = self._coord
        if cluster.hydration_estimate_ms is None:
            return None
        views = [
            RefreshedView(item.id, item.refresh, *coord.storage.frontiers(item.id))
            for item in coord.snapshot.objects_on(cluster.id)
            if isinstance(item, MaterializedView)
            and item.refresh is not None
            and coord.storage.has(item.id)
        ]
        estimate = coord.snapshot.variables.get(_COMPACTION, VARIABLES[_COMPACTION].default)
        decision = decide(
            views,
            coord.oracle.read_ts(),
            hydration_ms=cluster.hydration_estimate_ms,
            compaction_ms=duration_ms(estimate),
        )
        return None if decision.is_on == bool(cluster.replication_factor) else decision
