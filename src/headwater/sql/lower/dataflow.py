"""Complete dataflows from plans: imports with what is pushed into their reads, objects, exports."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from headwater.errors import InternalError, SerializationFailure, within_stack
from headwater.ir import physical as lir
from headwater.ir.dataflow import (
    BuildDesc,
    CollectionImport,
    DataflowDescription,
    IndexExport,
    IndexImport,
    LogImport,
    SinkExport,
    SourceImport,
)
from headwater.ir.physical import Mfp, Plan
from headwater.ir.relation import Get, Global, RelationExpr
from headwater.ir.typing import Typer, arity
from headwater.ir.visit import check_depth, walk
from headwater.ir.visit_physical import map_plan_inputs, walk_plan
from headwater.sql.lower.plan import RAW, IndexUse, Lowering
from headwater.sql.lower.selection import derive_selection
from headwater.types.frontier import Frontier
from headwater.types.ids import GlobalId
from headwater.types.time import TIMESTAMP_MIN

replace = msgspec.structs.replace


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerContext:
    """What lowering may read from.

    Attributes:
        collections: Durable collections and logs, as imports without ``mfp``.
        indexes: The arrangements on the target cluster, by what they arrange.
    """

    collections: Mapping[GlobalId, CollectionImport] = field(default_factory=dict)
    indexes: Mapping[GlobalId, tuple[IndexImport, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredDataflow:
    """A dataflow, and for EXPLAIN the indexes it uses and how."""

    dataflow: DataflowDescription
    index_uses: tuple[IndexUse, ...]


@within_stack()
def build_dataflow(
    name: str,
    objects: Sequence[tuple[GlobalId, RelationExpr]],
    context: LowerContext,
    *,
    index_exports: Sequence[IndexExport] = (),
    sink_exports: Sequence[SinkExport] = (),
    as_of: Frontier = TIMESTAMP_MIN,
    until: Frontier = None,
    single_time: bool = False,
    push_source_mfps: bool = True,
) -> LoweredDataflow:
    """Return the dataflow that computes ``objects`` (optimized plans, in order) and exports them.

    An export ``on`` something that is not among the objects imports it. With ``single_time`` what
    is computed need not be right but at ``as_of``.

    Raises:
        FeatureNotSupported: A plan has ``mz_now()`` outside temporal filters.
        InternalError: A plan reads something that ``context`` does not have.
    """
    widths = _widths(expr for _, expr in objects)
    lowering = Lowering(_as_wide(context.indexes, widths), Typer(), single_time=single_time)
    built: list[BuildDesc] = []
    for identifier, expr in objects:
        check_depth(expr)
        lowered = lowering.lower(expr)
        plan, available = lowered.plan, lowered.available
        if isinstance(plan, lir.Get) and plan.pass_through:
            plan, available = lowering.as_raw(lowered, arity(expr)), RAW
        # An arrangement that the plan leaves anyway is what an index by its key exports.
        built.append(BuildDesc(identifier, plan))
        lowering.globals[identifier] = available
    made = {identifier for identifier, _ in objects}
    used_indexes = {use.index.id: use.index for use in lowering.index_uses.values()}
    exports: list[IndexExport | SinkExport] = [*index_exports, *sink_exports]
    for export in exports:
        if export.on in made:
            continue
        indexes = context.indexes.get(export.on, ())
        if indexes and isinstance(export, IndexExport):
            used_indexes.setdefault(indexes[0].id, indexes[0])
        else:
            lowering.sources.setdefault(export.on, 0)
    imports = tuple(_import(context, identifier, widths) for identifier in lowering.sources)
    objects_ = tuple(built)
    if push_source_mfps:
        exported = {export.on for export in exports}
        imports, objects_ = _push_mfps(imports, objects_, exported)
    dataflow = DataflowDescription(
        name=name,
        sources=tuple(read for read in imports if isinstance(read, SourceImport)),
        indexes=tuple(used_indexes.values()),
        objects=objects_,
        index_exports=tuple(index_exports),
        sink_exports=tuple(sink_exports),
        as_of=as_of,
        until=until,
        logs=tuple(read for read in imports if isinstance(read, LogImport)),
    )
    return LoweredDataflow(dataflow=dataflow, index_uses=tuple(lowering.index_uses.values()))


def _widths(exprs: Iterable[RelationExpr]) -> dict[GlobalId, int]:
    """Return how many columns the plans know each relation with.

    A plan may be older than the last columns of a table. Raises: SerializationFailure where parts
    of it are not.
    """
    widths: dict[GlobalId, int] = {}
    for expr in exprs:
        for node in walk(expr):
            if isinstance(node, Get) and isinstance(node.id, Global):
                width = widths.setdefault(node.id.id, node.desc.arity)
                if width != node.desc.arity:
                    raise SerializationFailure("a table was altered while its query was planned")
    return widths


def _as_wide(
    indexes: Mapping[GlobalId, tuple[IndexImport, ...]], widths: Mapping[GlobalId, int]
) -> Mapping[GlobalId, tuple[IndexImport, ...]]:
    """Return the indexes without those of rows that a plan does not know yet."""
    odd = [id for id, width in widths.items() if any(i.arity != width for i in indexes.get(id, ()))]
    if not odd:
        return indexes
    return {
        id: tuple(index for index in found if index.arity == widths.get(id, index.arity))
        for id, found in indexes.items()
    }


def _import(
    context: LowerContext, identifier: GlobalId, widths: Mapping[GlobalId, int]
) -> CollectionImport:
    source = context.collections.get(identifier)
    if source is None:
        raise InternalError("dataflow reads an unknown collection", detail=f"id = {identifier}")
    width = widths.get(identifier, source.desc.arity)
    if width < source.desc.arity:
        return replace(source, desc=source.desc.first(width))
    return source


def _push_mfps(
    imports: tuple[CollectionImport, ...],
    objects: tuple[BuildDesc, ...],
    exported: set[GlobalId],
) -> tuple[tuple[CollectionImport, ...], tuple[BuildDesc, ...]]:
    """Move the chain over a collection that is read once into the read itself."""
    reads: dict[GlobalId, list[lir.Get]] = {}
    for item in objects:
        for node in walk_plan(item.plan):
            if isinstance(node, lir.Get) and isinstance(node.id, Global):
                reads.setdefault(node.id.id, []).append(node)
    moved: dict[GlobalId, Mfp] = {}
    pushed: list[CollectionImport] = []
    for source in imports:
        gets = reads.get(source.id, [])
        if (
            len(gets) == 1
            and source.id not in exported
            and gets[0].key is None
            and not gets[0].mfp.is_identity
        ):
            mfp = moved[source.id] = gets[0].mfp
            source = replace(source, mfp=mfp)
            if isinstance(source, SourceImport):
                source = replace(source, selection=derive_selection(mfp))
        pushed.append(source)
    if not moved:
        return imports, objects

    def visit(plan: Plan) -> Plan:
        if isinstance(plan, lir.Get) and isinstance(plan.id, Global) and plan.id.id in moved:
            width = len(moved[plan.id.id].projection)
            return replace(plan, arity=width, mfp=Mfp.identity(width))
        return map_plan_inputs(plan, visit)

    return tuple(pushed), tuple(BuildDesc(item.id, visit(item.plan)) for item in objects)
