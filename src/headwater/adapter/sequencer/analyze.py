"""EXPLAIN ANALYZE: what the nodes of running plans cost, asked of one replica's workers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import zip_longest

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.analyze_sql import analyze_sql
from headwater.adapter.sequencer.select import result_columns
from headwater.adapter.session import Session
from headwater.catalog import rows as r
from headwater.catalog.builtin.introspection_views import CUT_TOLERANCE
from headwater.catalog.builtin.pg_rows import quoted
from headwater.catalog.items import Index, MaterializedView
from headwater.compute.protocol import Inspected, StageReport
from headwater.errors import FeatureNotSupported, ObjectNotInPrerequisiteState
from headwater.ir.dataflow import DataflowDescription
from headwater.ir.explain import ExplainOptions, explain_nodes
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.sql.lower.reduce import largest_group
from headwater.sql.plan.statements import ExplainAnalyzePlan
from headwater.types.ids import ClusterId, GlobalId
from headwater.types.time import TIMESTAMP_MIN

_NS_PER_S = 1_000_000_000
_RATIO_DIGITS = Decimal("0.01")


@dataclass(slots=True)
class _Cost:
    """What something has cost each worker."""

    bytes: list[int]
    records: list[int]
    elapsed_ns: list[int]
    stages: list[StageReport] = field(default_factory=list)  # of all workers together

    @staticmethod
    def nothing(workers: int) -> "_Cost":
        return _Cost([0] * workers, [0] * workers, [0] * workers)

    def add_stages(self, stages: Sequence[StageReport]) -> None:
        """Add what the inputs of stages hold on one more worker."""
        pairs = zip_longest(self.stages, stages, fillvalue=StageReport(0, 0))
        self.stages = [StageReport(a.records + b.records, a.bytes + b.bytes) for a, b in pairs]


@dataclass(slots=True)
class _Line:
    """A line of the answer: its first columns, and what they name has cost."""

    head: tuple[str, ...]
    cost: _Cost


@dataclass(frozen=True, slots=True)
class _Measure:
    """One measured property: where it is in a cost, and how it is shown."""

    of: Callable[[_Cost], list[int]]
    show: Callable[[int], bytes]


_MEASURES: dict[str, tuple[_Measure, ...]] = {
    "cpu": (_Measure(lambda cost: cost.elapsed_ns, lambda ns: r.text(_duration(ns))),),
    "memory": (
        _Measure(lambda cost: cost.bytes, lambda size: r.text(_size(size))),
        _Measure(lambda cost: cost.records, r.numeric),
    ),
}


async def sequence_analyze(
    coord: Coordinator, session: Session, plan: ExplainAnalyzePlan
) -> p.ExecuteReply:
    """Answer EXPLAIN ANALYZE.

    Raises: FeatureNotSupported (of what is not maintained);
        ObjectNotInPrerequisiteState (the cluster has no replica to ask).
    """
    if plan.as_sql:
        name = None if plan.object is None else _quoted_name(coord, GlobalId(plan.object.id))
        sql = analyze_sql(plan.properties, name, by_worker=plan.with_skew)
        return _answer(plan, [r.text(sql)])
    if plan.object is None:
        cluster = coord.snapshot.cluster(session.cluster).id
        answers = await _ask(coord, cluster)
        lines = list(_objects(coord, cluster, answers))
    else:
        item = coord.snapshot.item(GlobalId(plan.object.id))
        if not isinstance(item, Index | MaterializedView):
            raise FeatureNotSupported(f"EXPLAIN ANALYZE of a {item.kind.noun}")
        dataflow = coord.compute.dataflow(item.cluster, item.id)
        answers = await _ask(coord, item.cluster)
        lines = list(_nodes(coord, item.id, dataflow, answers))
    if "hints" in plan.properties:
        return _answer(plan, [b"".join(map(r.text, line.head)) + _hint(line) for line in lines])
    measures = [measure for word in plan.properties for measure in _MEASURES[word]]
    rows = [row for line in lines for row in _rows(line, measures, by_worker=plan.with_skew)]
    return _answer(plan, rows)


def _quoted_name(coord: Coordinator, id: GlobalId) -> str:
    """Return the name of an index or materialized view as ``mz_mappable_objects`` has it."""
    item = coord.snapshot.item(id)
    if not isinstance(item, Index | MaterializedView):
        raise FeatureNotSupported(f"EXPLAIN ANALYZE of a {item.kind.noun}")
    return ".".join(quoted(part) for part in coord.snapshot.full_name(item))


def _answer(plan: ExplainAnalyzePlan, rows: Sequence[bytes]) -> p.ExecuteReply:
    data = flat.build((row, TIMESTAMP_MIN, 1) for row in rows)
    return p.Rows(source=p.InlineRows(rows=data), columns=result_columns(plan.desc))


async def _ask(coord: Coordinator, cluster: ClusterId) -> tuple[Inspected, ...]:
    chosen = min(coord.compute.replicas(cluster), default=None)
    if chosen is None:
        raise ObjectNotInPrerequisiteState("the cluster has no running replica to be asked")
    return await coord.compute.inspect(chosen)


def _costs(
    answers: Sequence[Inspected], wanted: Callable[[GlobalId], bool]
) -> dict[tuple[GlobalId, GlobalId, int], _Cost]:
    """Return what each node of the dataflows of ``wanted`` exports has cost each worker."""
    found: dict[tuple[GlobalId, GlobalId, int], _Cost] = {}
    for worker, answer in enumerate(answers):
        for node in answer.nodes:
            if not wanted(node.export):
                continue
            key = (node.export, node.object, node.node)
            cost = found.setdefault(key, _Cost.nothing(len(answers)))
            cost.bytes[worker] += node.bytes
            cost.records[worker] += node.records
            cost.elapsed_ns[worker] += node.elapsed_ns
            cost.add_stages(node.stages)
    return found


def _nodes(
    coord: Coordinator,
    id: GlobalId,
    dataflow: DataflowDescription,
    answers: Sequence[Inspected],
) -> Iterator[_Line]:
    exports = {
        *(export.id for export in dataflow.index_exports),
        *(export.id for export in dataflow.sink_exports),
    }
    costs = {key[1:]: cost for key, cost in _costs(answers, exports.__contains__).items()}
    nothing = _Cost.nothing(len(answers))
    indent = ""
    if any(export.id == id for export in dataflow.index_exports):
        yield _Line(("→Arrange",), costs.get((id, 0), nothing))
        indent = "  "
    names = {item: coord.snapshot.show_item(coord.snapshot.item(item)) for item in _known(coord)}
    options = ExplainOptions(names=names)
    for built in reversed(dataflow.objects):
        for number, title in enumerate(explain_nodes(built.plan, options)):
            yield _Line((indent + title,), costs.get((built.id, number), nothing))


def _known(coord: Coordinator) -> Iterator[GlobalId]:
    return (item.id for item in coord.snapshot.items.values())


def _objects(
    coord: Coordinator, cluster: ClusterId, answers: Sequence[Inspected]
) -> Iterator[_Line]:
    """Sum up each export of a cluster."""
    totals: dict[GlobalId, _Cost] = {}
    for (export, _, _), cost in _costs(answers, lambda _: True).items():
        total = totals.setdefault(export, _Cost.nothing(len(answers)))
        for mine, more in (
            (total.bytes, cost.bytes),
            (total.records, cost.records),
            (total.elapsed_ns, cost.elapsed_ns),
        ):
            mine[:] = [a + b for a, b in zip(mine, more, strict=True)]
    for id in sorted(totals):
        item = coord.snapshot.try_item(id)
        if item is not None and coord.compute.has(cluster, id):
            yield _Line((coord.snapshot.show_item(item), id), totals[id])


def _hint(line: _Line) -> bytes:
    """Return levels, levels to cut, the group size that does so, and the bytes that it saves.

    A level that is given nearly as many rows as the first has little to do: the levels before it
    leave as much as they are given, since groups are smaller than was expected.
    """
    stages = line.cost.stages
    if not stages:
        return r.NULL * 4
    least = stages[0].records * (1 - CUT_TOLERANCE)
    cut = [stage for stage in stages[1:] if stage.records >= least and stage.records]
    levels = r.integer(len(stages)) + r.integer(len(cut))
    if not cut:
        return levels + r.NULL * 2
    size = largest_group(len(stages) - len(cut))
    return levels + r.integer(size) + r.text(_size(sum(stage.bytes for stage in cut)))


def _rows(line: _Line, measures: Sequence[_Measure], *, by_worker: bool) -> Iterator[bytes]:
    head = b"".join(map(r.text, line.head))
    if not by_worker:
        yield head + b"".join(item.show(sum(item.of(line.cost))) for item in measures)
        return
    for worker in range(len(line.cost.bytes)):
        row = [head, r.integer(worker)]
        for item in measures:
            values = item.of(line.cost)
            total = sum(values)
            ratio = Decimal(values[worker] * len(values)) / total if total else None
            row.append(r.numeric(None if ratio is None else ratio.quantize(_RATIO_DIGITS)))
            shown = (values[worker], total // len(values), total)
            row.extend(item.show(value) for value in shown)
        yield b"".join(row)


def _size(size: int) -> str:
    """Return bytes as ``pg_size_pretty`` shows them."""
    if size < 10 * 1024:
        return f"{size} bytes"
    for unit in ("kB", "MB", "GB"):
        size = (size + 512) // 1024
        if size < 10 * 1024:
            return f"{size} {unit}"
    return f"{(size + 512) // 1024} TB"


def _duration(ns: int) -> str:
    """Return a time as an interval is shown."""
    seconds, rest = divmod(ns, _NS_PER_S)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    micros = f".{rest // 1000:06}".rstrip("0") if rest >= 1000 else ""
    return f"{hours:02}:{minutes:02}:{seconds:02}{micros}"
