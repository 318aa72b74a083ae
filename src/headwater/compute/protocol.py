"""The compute protocol: commands to a replica, and what it answers.

Commands travel on channel 0 of the link (``hw-link``), in order, and go to every timely worker;
``hw_compute::protocol`` mirrors them. Responses to peeks and subscriptions travel on channel 1 and
are read in Rust; everything else comes back on channel 0. A new controller, or a new replica, is
brought up to date by the compacted history of commands, ended by ``InitializationComplete``.
"""

import msgspec

from headwater.ir.dataflow import DataflowDescription
from headwater.ir.physical import Mfp
from headwater.ir.relation import RowSetFinishing
from headwater.ir.selection import Selection
from headwater.types.frontier import Frontier
from headwater.types.ids import GlobalId
from headwater.types.refresh import RefreshSchedule
from headwater.types.time import Timestamp

PROTOCOL_VERSION = 1


class CreateDataflow(msgspec.Struct, frozen=True, tag_field="kind", tag="create_dataflow"):
    """Render a dataflow and keep it until all its exports are dropped."""

    dataflow: DataflowDescription


class AllowCompaction(msgspec.Struct, frozen=True, tag_field="kind", tag="allow_compaction"):
    """Export ``id`` will not be read before ``since``; the empty frontier drops it."""

    id: GlobalId
    since: Frontier


class Peek(msgspec.Struct, frozen=True, tag_field="kind", tag="peek"):
    """Read index ``target`` at ``timestamp``, once its upper is beyond.

    Attributes:
        uuid: 16 bytes that name the answer.
        keys: Only these key rows (each the concatenated key datums); None for all.
        mfp: Applied to full rows of the indexed collection.
        finishing: Workers may cut their part by it; the reader applies it to the whole.
        result_bytes_max: Beyond it the answer is an error.
    """

    uuid: bytes
    target: GlobalId
    keys: tuple[bytes, ...] | None
    timestamp: Timestamp
    mfp: Mfp
    finishing: RowSetFinishing
    result_bytes_max: int


class CancelPeek(msgspec.Struct, frozen=True, tag_field="kind", tag="cancel_peek"):
    """Nobody waits for this peek any more."""

    uuid: bytes


class Inspect(msgspec.Struct, frozen=True, tag_field="kind", tag="inspect"):
    """Say what the dataflows cost; each worker answers with an ``Inspected``."""

    token: int


class InitializationComplete(
    msgspec.Struct, frozen=True, tag_field="kind", tag="initialization_complete"
):
    """The replayed history ends here; dataflows not in it are gone."""


ComputeCommand = (
    CreateDataflow | AllowCompaction | Peek | CancelPeek | Inspect | InitializationComplete
)


class Frontiers(msgspec.Struct, frozen=True, tag_field="kind", tag="frontiers"):
    """New uppers of exports on this process: the least over its workers. Sent as they move.

    For an index, times before the upper are in the arrangement; for a materialized view, the upper
    is of what is *computed*, not of what is durable.
    """

    uppers: tuple[tuple[GlobalId, Frontier], ...]


class DataflowFailed(msgspec.Struct, frozen=True, tag_field="kind", tag="dataflow_failed"):
    """A dataflow could not be rendered: a bug, or a plan from another version."""

    id: GlobalId
    message: str


class ErrorReport(msgspec.Struct, frozen=True):
    """An error of an export, and for how many rows it stands."""

    sqlstate: str
    message: str
    count: int


class Errors(msgspec.Struct, frozen=True, tag_field="kind", tag="errors"):
    """The errors of an export on one of a replica's workers, as they are now.

    Sent as they change. ``errors`` are the first of ``total`` distinct ones.
    """

    id: GlobalId
    worker: int
    errors: tuple[ErrorReport, ...]
    total: int


class StageReport(msgspec.Struct, frozen=True):
    """What the input of one stage of a reduction holds: updates, and their bytes."""

    records: int
    bytes: int


class NodeReport(msgspec.Struct, frozen=True):
    """What a node of a plan has cost a worker since it was rendered.

    Attributes:
        export: An export of its dataflow.
        object: The object whose plan it is of; an index is a node of its own.
        node: Its number in the plan from 0, each node before what is below it.
        records: Updates in its arrangements.
        bytes: Bytes of its arrangements.
        elapsed_ns: How long its operators have run.
        stages: The inputs of its stages (``ReducePlan.buckets``), if it has any, in their order.
    """

    export: GlobalId
    object: GlobalId
    node: int
    records: int
    bytes: int
    elapsed_ns: int
    stages: tuple[StageReport, ...] = ()


class Inspected(msgspec.Struct, frozen=True, tag_field="kind", tag="inspected"):
    """The answer of worker ``worker``, one of ``workers``, to ``Inspect``."""

    token: int
    worker: int
    workers: int
    nodes: tuple[NodeReport, ...]


ComputeResponse = Frontiers | DataflowFailed | Errors | Inspected


# From the controller to the shell: on the link's shell channel.


class RefreshSink(msgspec.Struct, frozen=True, tag_field="kind", tag="refresh_sink"):
    """Shard ``shard`` is written at the refreshes of ``schedule`` only.

    Sent ahead of the dataflow that writes it. Workers know nothing of it: it is the shell that
    decides when what they find missing is committed.
    """

    shard: str
    schedule: RefreshSchedule


# Between a replica's workers and the shell around them (same process, ``native`` calls).


class OpenSource(msgspec.Struct, frozen=True, tag_field="kind", tag="open_source"):
    """A dataflow wants the history of a shard from ``as_of``, under ``token``.

    Parts that ``selection`` leaves nothing of need not be fetched.
    """

    token: int
    shard: str
    table: bool
    as_of: Frontier
    until: Frontier
    selection: Selection | None = None


class CloseSource(msgspec.Struct, frozen=True, tag_field="kind", tag="close_source"):
    """Nobody reads ``token`` any more."""

    token: int


class OpenSink(msgspec.Struct, frozen=True, tag_field="kind", tag="open_sink"):
    """A dataflow maintains shard ``shard`` under ``token``; its contents are fed back to it."""

    token: int
    id: GlobalId
    shard: str
    desc: bytes  # msgpack RelationDesc
    as_of: Frontier


class CloseSink(msgspec.Struct, frozen=True, tag_field="kind", tag="close_sink"):
    """The sink ``token`` is dropped."""

    token: int


class SinkFrontier(msgspec.Struct, frozen=True, tag_field="kind", tag="sink_frontier"):
    """All workers of this process know what sink ``token`` should hold before ``desired``."""

    token: int
    desired: Frontier


class SinkBatch(msgspec.Struct, frozen=True, tag_field="kind", tag="sink_batch"):
    """The answer to a sink asked for ``[lower, upper)``: flat updates of all workers together.

    Updates have times in [lower, upper), consolidated: desired minus persisted. ``errors`` are
    the error half.
    """

    token: int
    lower: Frontier
    upper: Frontier
    updates: bytes
    errors: bytes


ShellRequest = OpenSource | CloseSource | OpenSink | CloseSink | SinkFrontier | SinkBatch
