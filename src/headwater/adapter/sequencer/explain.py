"""EXPLAIN of plans."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.dataflows import lower_index, lower_materialized_view
from headwater.adapter.planning import World
from headwater.adapter.sequencer.inline import text_answer
from headwater.adapter.sequencer.read import choose_target, literals, session_values
from headwater.adapter.sequencer.select import bound_finishing
from headwater.adapter.session import Session
from headwater.catalog.items import Index, MaterializedView, Relation, View
from headwater.errors import FeatureNotSupported
from headwater.ir.attributes import NAMES as ATTRIBUTES
from headwater.ir.attributes import Attributes
from headwater.ir.explain import (
    ExplainOptions,
    explain_index_peek,
    explain_plan,
    explain_relation,
    explain_source,
    explained,
)
from headwater.ir.explain_json import plan_json
from headwater.ir.relation import RelationExpr, RowSetFinishing
from headwater.pgwire import protocol as p
from headwater.sql.lower.dataflow import LoweredDataflow
from headwater.sql.lower.peek import (
    ConstantPeek,
    DataflowPeek,
    IndexPeek,
    plan_peek,
    project_for_finishing,
)
from headwater.sql.lower.substitute import substitute_unmaterializable, unmaterializable_of
from headwater.sql.plan import ddl
from headwater.sql.plan.explain_hir import show_finishing, show_hir
from headwater.sql.plan.hir import HirGet, HirRelation
from headwater.sql.plan.statements import (
    ExplainFormat,
    ExplainPlan,
    ExplainStage,
    Planned,
    SelectPlan,
    SubscribePlan,
)
from headwater.sql.resolve.datatypes import show_type
from headwater.types.ids import ClusterId, GlobalId

_ON_BY_DEFAULT = frozenset({"arity", "humanized expressions", "filter pushdown"})
_SHOWN_BY_LOGICAL_PLANS = (
    ExplainStage.DECORRELATED,
    ExplainStage.LOCALLY_OPTIMIZED,
    ExplainStage.OPTIMIZED,
    ExplainStage.TRACE,
)


class Names(dict[GlobalId, str]):
    """Full names of items by id, looked up when asked for."""

    def __init__(self, coord: Coordinator) -> None:
        super().__init__()
        self._snapshot = coord.snapshot

    def get(self, key: GlobalId, default: str | None = None) -> str:  # type: ignore[override]
        """Return an item's full name, ``default`` or the id itself where there is none."""
        item = self._snapshot.try_item(key)
        return (default or key) if item is None else self._snapshot.show_item(item)

    def is_index(self, key: GlobalId) -> bool:
        """Return whether the item is an index."""
        return isinstance(self._snapshot.try_item(key), Index)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Explainer:
    """What one EXPLAIN shows: where the plan runs, under which title, and how it is printed.

    Attributes:
        expr: The relational plan before optimizing.
        finishing: What is left to do for a client; None for what is maintained.
        lower: Returns the dataflow of a maintained object; None where none is built.
    """

    coord: Coordinator
    plan: ExplainPlan
    flags: frozenset[str]
    options: ExplainOptions
    title: str
    world: World
    cluster: ClusterId | None
    expr: RelationExpr
    finishing: RowSetFinishing | None = None
    lower: Callable[[], LoweredDataflow] | None = None


def _flags(plan: ExplainPlan) -> frozenset[str]:
    off = {name for name, value in plan.options if value.lower() in ("false", "off", "0")}
    return frozenset({name for name, _ in plan.options} | _ON_BY_DEFAULT) - off


def _options(coord: Coordinator, plan: ExplainPlan, flags: frozenset[str]) -> ExplainOptions:
    chosen = frozenset(ATTRIBUTES) & flags
    attributes = None
    if chosen and plan.stage in _SHOWN_BY_LOGICAL_PLANS:
        attributes = Attributes(chosen, lambda column: show_type(column.type))
    return ExplainOptions(
        names=Names(coord),
        column_names="humanized expressions" in flags,
        attributes=attributes,
        redacted="redacted" in flags,
        join_implementations="join implementations" in flags,
    )


def sequence_explain(
    coord: Coordinator, session: Session, request: p.Execute, planned: Planned, plan: ExplainPlan
) -> p.ExecuteReply:
    """Answer EXPLAIN of a plan."""
    if plan.format is ExplainFormat.DOT:
        raise FeatureNotSupported("EXPLAIN AS DOT is not supported", hint="Use AS JSON.")
    made: _Explainer | str
    if plan.object is not None:
        made = _of_object(coord, plan)
    else:
        made = _of_statement(coord, session, request, planned, plan)
    if isinstance(made, str):
        return text_answer("EXPLAIN", plan.desc, [[made]])
    if plan.stage is ExplainStage.TRACE:
        return text_answer("EXPLAIN", plan.desc, _trace(made))
    if plan.stage is ExplainStage.INSIGHTS:
        return text_answer("EXPLAIN", plan.desc, [[_json(_insights(made))]])
    as_json = plan.format is ExplainFormat.JSON
    return text_answer("EXPLAIN", plan.desc, [[_as_json(made) if as_json else _as_text(made)]])


def _of_object(coord: Coordinator, plan: ExplainPlan) -> _Explainer:
    assert plan.object is not None
    item = coord.snapshot.item(GlobalId(plan.object.id))
    cluster = item.cluster if isinstance(item, Index | MaterializedView) else None
    world = World(coord.snapshot, coord.compute, cluster, without=frozenset({item.id}))
    lower: Callable[[], LoweredDataflow] | None = None
    planner, transient = coord.planner, coord.ids.transient()
    match item:
        case Index():
            on = coord.snapshot.item(item.on)
            assert isinstance(on, Relation)
            found, lower = on, lambda: lower_index(planner, world, item, on, transient)
            expr = (
                on.expr
                if isinstance(on, View)
                else coord.planner.relation(HirGet(found.id, found.desc), ())
            )
        case MaterializedView():
            expr = item.expr
            lower = lambda: lower_materialized_view(planner, world, item, transient)  # noqa: E731
        case View():
            expr = item.expr
        case _:
            raise FeatureNotSupported(f"EXPLAIN of a {item.kind.noun}")
    flags = _flags(plan)
    return _Explainer(
        coord=coord,
        plan=plan,
        flags=flags,
        options=_options(coord, plan, flags),
        title=coord.snapshot.show_item(item),
        world=world,
        cluster=cluster,
        expr=expr,
        lower=lower,
    )


def _of_statement(
    coord: Coordinator, session: Session, request: p.Execute, planned: Planned, plan: ExplainPlan
) -> _Explainer | str:
    """Return what explains a statement; for its raw plan, the text itself."""
    inner = plan.plan
    query, cluster, title = _query_of(coord, session, planned, inner)
    flags = _flags(plan)
    options = _options(coord, plan, flags)
    if plan.stage is ExplainStage.RAW:
        if plan.format is ExplainFormat.JSON:
            return _json({"plans": [{"id": title, "plan": plan_json(query)}], "sources": []})
        return _raw(query, inner, title, options)
    params = literals(request.params, planned.param_types)
    expr = coord.planner.relation(query, params)
    finishing = None
    world = coord.planner.world(coord.snapshot, cluster)
    if isinstance(inner, SelectPlan):
        finishing = bound_finishing(coord, inner, params)
        if plan.stage is not ExplainStage.DECORRELATED:
            expr, finishing = project_for_finishing(expr, finishing)
            expr = world.inline(expr)
            if unmaterializable_of(expr):
                expr = substitute_unmaterializable(expr, session_values(coord, session))
    return _Explainer(
        coord=coord,
        plan=plan,
        flags=flags,
        options=options,
        title=title,
        world=world,
        cluster=cluster,
        expr=expr,
        finishing=finishing,
    )


def _raw(query: HirRelation, inner: object, title: str, options: ExplainOptions) -> str:
    text = show_hir(query, lambda id: options.names.get(GlobalId(id), id))
    if isinstance(inner, SelectPlan):
        return _finished(title, text, inner.finishing)
    return explained(title, text)


def _query_of(
    coord: Coordinator, session: Session, planned: Planned, inner: object
) -> tuple[HirRelation, ClusterId | None, str]:
    """Return the query that a statement runs or maintains, where, and what EXPLAIN calls it."""
    match inner:
        case SelectPlan() | SubscribePlan():
            return inner.query, choose_target(coord, session, planned).cluster, "Explained Query"
        case ddl.CreateViewPlan():
            return inner.query, None, str(inner.name)
        case ddl.CreateMaterializedViewPlan():
            return inner.query, inner.cluster_id, str(inner.name)
        case ddl.CreateIndexPlan():
            return HirGet(inner.on, inner.on_desc), inner.cluster_id, str(inner.name)
        case _:
            raise FeatureNotSupported("EXPLAIN of this statement is not supported")


# The stages.


def _optimized(made: _Explainer) -> RelationExpr:
    """Return the relational plan of the stage asked for."""
    planner = made.coord.planner
    match made.plan.stage:
        case ExplainStage.RAW | ExplainStage.DECORRELATED:
            return made.expr
        case ExplainStage.LOCALLY_OPTIMIZED:
            # As if nothing were known of the cluster: a view by itself.
            return planner.optimize(made.expr, World(made.coord.snapshot, made.coord.compute, None))
        case _:
            return planner.optimize(made.expr, made.world)


def _trace(made: _Explainer) -> Iterable[tuple[str, str]]:
    """Return the plan after each rule that changed it: the rule's place, and the plan."""
    steps = [("optimize/input", explain_relation(made.expr, made.options))]

    def note(rule: str, result: RelationExpr) -> None:
        path = f"optimize/{len(steps):03}/{rule}"
        steps.append((path, explain_relation(result, made.options)))

    made.coord.planner.optimize(made.expr, made.world, note)
    return steps


def _as_text(made: _Explainer) -> str:
    expr = _optimized(made)
    stage = made.plan.stage
    if stage not in (ExplainStage.OPTIMIZED, ExplainStage.PHYSICAL):
        return explained(
            made.title, explain_relation(expr, made.options), target_cluster=_cluster_name(made)
        )
    if stage is ExplainStage.PHYSICAL and made.finishing is None:
        return _maintained(made, expr)
    if made.finishing is None:
        return explained(
            made.title,
            explain_relation(expr, made.options),
            used_indexes=_uses(made, _dataflow(made, expr)),
            target_cluster=_cluster_name(made),
        )
    peek = _peek(made, expr)
    is_physical = stage is ExplainStage.PHYSICAL
    match peek:
        case DataflowPeek(lowered=lowered):
            body = _bodies(made, lowered) if is_physical else explain_relation(expr, made.options)
            return _finished(
                made.title,
                body,
                made.finishing,
                sources=_sources(made, lowered) if is_physical else (),
                used_indexes=_uses(made, lowered),
                target_cluster=_cluster_name(made),
            )
        case IndexPeek(index=index, keys=keys, mfp=mfp):
            names = made.options.names
            body = explain_index_peek(
                names.get(index.on, index.on), names.get(index.id, index.id), keys, mfp,
                made.options,
            )  # fmt: skip
            return _finished(
                f"{made.title} (fast path)",
                body if is_physical else explain_relation(expr, made.options),
                made.finishing,
                used_indexes=_uses(made, peek),
                target_cluster=_cluster_name(made),
            )
        case ConstantPeek():
            body = explain_relation(expr, replace(made.options, attributes=None))
            return _finished(f"{made.title} (fast path)", body, made.finishing)


def _peek(made: _Explainer, expr: RelationExpr) -> ConstantPeek | IndexPeek | DataflowPeek:
    return plan_peek(
        expr,
        made.world.lowering(),
        object_id=made.coord.ids.transient(),
        index_id=made.coord.ids.transient(),
        by_dataflow="no fast path" in made.flags,
    )


def _dataflow(made: _Explainer, expr: RelationExpr) -> LoweredDataflow | None:
    """Return the dataflow of a query, of a new object or of one that exists, if there is one."""
    if made.lower is not None:
        return made.lower()
    if made.finishing is None and made.cluster is None:
        return None
    peek = plan_peek(
        expr,
        made.world.lowering(),
        object_id=made.coord.ids.transient(),
        index_id=made.coord.ids.transient(),
        by_dataflow=True,
        single_time=made.finishing is not None,
    )
    return peek.lowered if isinstance(peek, DataflowPeek) else None


def _maintained(made: _Explainer, expr: RelationExpr) -> str:
    lowered = _dataflow(made, expr)
    if lowered is None:  # a view, which nothing computes by itself
        return explained(made.title, explain_relation(expr, made.options))
    return explained(
        made.title,
        _bodies(made, lowered),
        sources=_sources(made, lowered),
        used_indexes=_uses(made, lowered),
        target_cluster=_cluster_name(made),
    )


def _bodies(made: _Explainer, lowered: LoweredDataflow) -> str:
    bodies = [explain_plan(build.plan, made.options) for build in lowered.dataflow.objects]
    for export in lowered.dataflow.index_exports if not bodies else ():
        bodies.append(f"→Arrange {made.options.names.get(export.on, export.on)}\n")
    return "".join(bodies)


def _sources(made: _Explainer, lowered: LoweredDataflow) -> list[str]:
    """Return what is done to the rows of stored collections as they are read."""
    return [
        explain_source(made.options.names.get(source.id, source.id), source.mfp, made.options)
        for source in lowered.dataflow.collections
        if source.mfp is not None and "filter pushdown" in made.flags
    ]


def _uses(
    made: _Explainer, read: LoweredDataflow | IndexPeek | None
) -> list[tuple[str, list[str]]]:
    """Return the indexes that are read, by name, and how."""
    names = made.options.names
    uses: dict[str, list[str]] = {}
    if isinstance(read, IndexPeek):
        usage = "*** full scan ***" if read.keys is None else "lookup"
        uses[names.get(read.index.id, read.index.id)] = [usage]
    elif read is not None:
        for use in read.index_uses:
            uses.setdefault(names.get(use.index.id, use.index.id), []).append(use.usage)
    return list(uses.items())


def _finished(
    title: str,
    body: str,
    finishing: RowSetFinishing,
    *,
    sources: Iterable[str] = (),
    used_indexes: Iterable[tuple[str, list[str]]] = (),
    target_cluster: str | None = None,
) -> str:
    """Return a plan's text with what is left to be done to its rows on top, if anything is."""
    in_order = finishing.project == tuple(range(len(finishing.project)))
    if finishing.order_by or finishing.limit is not None or finishing.offset or not in_order:
        inner = "".join(f"  {line}\n" for line in body.rstrip("\n").split("\n"))
        body = f"{show_finishing(finishing)}\n{inner}"
    return explained(
        title, body, sources=sources, used_indexes=used_indexes, target_cluster=target_cluster
    )


def _cluster_name(made: _Explainer) -> str | None:
    if made.cluster is None:
        return None
    return made.coord.snapshot.cluster_by_id(made.cluster).name


# JSON.


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _as_json(made: _Explainer) -> str:
    expr = _optimized(made)
    plans: list[object] = [{"id": made.title, "plan": plan_json(expr)}]
    if made.plan.stage is ExplainStage.PHYSICAL:
        lowered = _dataflow(made, expr)
        if lowered is not None:
            objects = lowered.dataflow.objects
            plans = [{"id": made.title, "plan": plan_json(build.plan)} for build in objects]
    return _json({"plans": plans, "sources": []})


def _insights(made: _Explainer) -> object:
    """Return what a client needs to advise its user: plans, what they read, the fast path."""
    expr = _optimized(made)
    lowered = _dataflow(made, expr)
    fast = made.finishing is not None and not isinstance(_peek(made, expr), DataflowPeek)
    options = replace(made.options, attributes=None)
    imports = {}
    if lowered is not None:
        for source in lowered.dataflow.sources:
            imports[source.id] = {"name": options.names.get(source.id), "type": "storage"}
        for log in lowered.dataflow.logs:
            imports[log.id] = {"name": options.names.get(log.id), "type": "compute"}
        for index in lowered.dataflow.indexes:
            imports[index.id] = {"name": options.names.get(index.id), "type": "compute"}
    return {
        "plans": {
            "raw": {"text": explain_relation(made.expr, options), "json": plan_json(made.expr)},
            "optimized": {
                "global": {"text": explain_relation(expr, options), "json": plan_json(expr)},
                "fast_path": fast,
            },
        },
        "insights": {
            "imports": imports,
            "used_indexes": dict(_uses(made, lowered)),
        },
        "cluster": _cluster_name(made),
    }
