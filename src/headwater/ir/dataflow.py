"""Dataflow descriptions: what a replica is asked to build and keep.

Mirrored by ``hw_compute::plan``. A description is complete (shards, shapes, plans, times): nothing
in it refers to the catalog.
"""

import msgspec

from headwater.ir.physical import ArrangementKey, Mfp, Plan
from headwater.ir.selection import Selection
from headwater.types.frontier import Frontier
from headwater.types.ids import GlobalId, ShardId
from headwater.types.refresh import RefreshSchedule
from headwater.types.relation import RelationDesc


class SourceImport(msgspec.Struct, frozen=True):
    """A durable collection read from persist.

    ``mfp`` is applied to each row as it is read, None for none; parts that ``selection`` leaves
    nothing of need not be read. ``table`` says that the shard's upper is the transaction shard's.
    """

    id: GlobalId
    shard: ShardId
    desc: RelationDesc
    table: bool = False
    mfp: Mfp | None = None
    selection: Selection | None = None


class LogImport(msgspec.Struct, frozen=True):
    """What the workers that run the dataflow know of themselves (``hw_compute::logging``).

    Each worker gives rows of its own; so does each replica. ``mfp`` is applied to each row.
    """

    id: GlobalId
    log: str
    desc: RelationDesc
    mfp: Mfp | None = None


CollectionImport = SourceImport | LogImport


class IndexImport(msgspec.Struct, frozen=True):
    """An arrangement that another dataflow on the same replica exports."""

    id: GlobalId  # the index
    on: GlobalId  # the collection it arranges
    key: ArrangementKey
    arity: int


class BuildDesc(msgspec.Struct, frozen=True):
    """An object and the plan that computes it; built in order, later ones may read earlier."""

    id: GlobalId
    plan: Plan


class IndexExport(msgspec.Struct, frozen=True):
    """An arrangement kept for peeks and other dataflows."""

    id: GlobalId
    on: GlobalId
    key: ArrangementKey
    arity: int


class MaterializedViewSink(msgspec.Struct, frozen=True, tag_field="kind", tag="materialized_view"):
    """Write the collection to a shard, self-correcting.

    The shard changes at the refreshes of ``refresh`` only, which is the business of whoever commits
    what workers find missing (``compute.sink``), and not of the workers. None: at all times.
    """

    shard: ShardId
    desc: RelationDesc
    refresh: RefreshSchedule | None = None


class SubscribeSink(msgspec.Struct, frozen=True, tag_field="kind", tag="subscribe"):
    """Send updates back as they become complete; without snapshot only those after as_of."""

    with_snapshot: bool


class SinkExport(msgspec.Struct, frozen=True):
    """A collection written somewhere, updates at times before ``until`` of the dataflow only."""

    id: GlobalId
    on: GlobalId
    sink: MaterializedViewSink | SubscribeSink


class DataflowDescription(msgspec.Struct, frozen=True):
    """One dataflow.

    Frontiers: exact at times from ``as_of``; updates at times not before ``until`` need not be
    computed. ``as_of`` is at or after the since of every import when the command is sent; a log
    has none, and shows at the as_of what is so when the dataflow is built.
    """

    name: str
    sources: tuple[SourceImport, ...]
    indexes: tuple[IndexImport, ...]
    objects: tuple[BuildDesc, ...]
    index_exports: tuple[IndexExport, ...]
    sink_exports: tuple[SinkExport, ...]
    as_of: Frontier
    until: Frontier = None
    logs: tuple[LogImport, ...] = ()

    @property
    def collections(self) -> tuple[CollectionImport, ...]:
        """Return what is read as a stream of rows."""
        return (*self.sources, *self.logs)
