"""EXPLAIN in all its forms, and SHOW as a statement."""

from headwater.catalog.items import ItemKind
from headwater.errors import FeatureNotSupported, InvalidParameterValue, SyntaxError_
from headwater.sql.ast import connector, dml
from headwater.sql.ast import ddl as ast_ddl
from headwater.sql.ast import explain as ast_explain
from headwater.sql.ast import query as ast
from headwater.sql.ast import show as ast_show
from headwater.sql.ast.base import Node, ObjectKind
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.ddl import ObjectRef
from headwater.sql.plan.kinds import reading, relations, sinks, writing
from headwater.sql.plan.kinds.altering import resolve_object
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.reading import plan_query, select_plan
from headwater.sql.plan.shows import plan_show, variable_desc
from headwater.sql.plan.statements import (
    ExplainAnalyzePlan,
    ExplainFormat,
    ExplainPlan,
    ExplainPushdownPlan,
    ExplainSchemaPlan,
    ExplainStage,
    ExplainTimestampPlan,
    ShowAllVariablesPlan,
    ShowVariablePlan,
)
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8, NUMERIC, TEXT, UINT8, ScalarType

EXPLAIN_OPTIONS = (
    "arity",
    "cardinality",
    "column names",
    "enable eager delta joins",
    "equivalences",
    "filter pushdown",
    "humanized expressions",
    "join implementations",
    "keys",
    "linear chains",
    "no fast path",
    "no notices",
    "node identifiers",
    "non negative",
    "raw",
    "raw plans",
    "raw syntax",
    "redacted",
    "subtree size",
    "timing",
    "types",
)
_STAGES = {
    ast_explain.ExplainStage.RAW: (ExplainStage.RAW, "Raw Plan"),
    ast_explain.ExplainStage.DECORRELATED: (ExplainStage.DECORRELATED, "Decorrelated Plan"),
    ast_explain.ExplainStage.LOCALLY_OPTIMIZED: (
        ExplainStage.LOCALLY_OPTIMIZED,
        "Locally Optimized Plan",
    ),
    ast_explain.ExplainStage.OPTIMIZED: (ExplainStage.OPTIMIZED, "Optimized Plan"),
    ast_explain.ExplainStage.PHYSICAL: (ExplainStage.PHYSICAL, "Physical Plan"),
    ast_explain.ExplainStage.TRACE: (ExplainStage.TRACE, "Optimizer Trace"),
    ast_explain.ExplainStage.INSIGHTS: (ExplainStage.INSIGHTS, "Plan Insights"),
}
_EXPLAINABLE: dict[type[Node], StatementHandler] = {
    ast.Query: reading.HANDLERS[ast.Query],
    dml.Subscribe: reading.HANDLERS[dml.Subscribe],
    ast_ddl.CreateView: relations.HANDLERS[ast_ddl.CreateView],
    ast_ddl.CreateMaterializedView: relations.HANDLERS[ast_ddl.CreateMaterializedView],
    ast_ddl.CreateIndex: relations.HANDLERS[ast_ddl.CreateIndex],
    dml.Insert: writing.HANDLERS[dml.Insert],
    dml.Update: writing.HANDLERS[dml.Update],
    dml.Delete: writing.HANDLERS[dml.Delete],
}


def _desc(*columns: tuple[str, ScalarType]) -> RelationDesc:
    return RelationDesc(tuple(Column(name, type, True) for name, type in columns))


def _format(node: ast_explain.ExplainFormat | None) -> ExplainFormat:
    return ExplainFormat.TEXT if node is None else ExplainFormat(node.value.lower())


def _explain(ctx: StatementContext, node: ast_explain.ExplainPlan) -> Outcome:
    stage, title = _STAGES[node.stage or ast_explain.ExplainStage.PHYSICAL]
    options = Options(ctx, node.options, "EXPLAIN", EXPLAIN_OPTIONS)
    settings = tuple(
        (name, "true" if options.boolean(name, True) else "false") for name in options.found
    )
    desc = _desc((title, TEXT))
    if stage is ExplainStage.TRACE:
        desc = _desc(("path", TEXT), ("plan", TEXT))
    what = node.what
    if isinstance(what, ast_explain.ExplainObject):
        ref = _object(ctx, what)
        plan = ExplainPlan(stage, _format(node.format), settings, None, ref, what.replan, desc)
        return Outcome(plan, desc)
    handler = _EXPLAINABLE.get(type(what))
    if handler is None and isinstance(what, ast.Show):
        handler = HANDLERS.get(type(what))
    if handler is None:
        raise FeatureNotSupported(
            f"EXPLAIN of {type(what).__name__} is not supported", position=node.position
        )
    outcome = handler(ctx, what)
    plan = ExplainPlan(stage, _format(node.format), settings, outcome.plan, None, False, desc)
    return Outcome(plan, desc, outcome.cluster)


def _object(ctx: StatementContext, node: ast_explain.ExplainObject) -> ObjectRef:
    if node.kind not in (ObjectKind.VIEW, ObjectKind.MATERIALIZED_VIEW, ObjectKind.INDEX):
        raise SyntaxError_(
            "only views, materialized views and indexes can be explained", position=node.position
        )
    return resolve_object(ctx, node.kind, node.name)


def _timestamp(ctx: StatementContext, node: ast_explain.ExplainTimestamp) -> Outcome:
    if not isinstance(node.query, ast.Query):
        raise FeatureNotSupported("EXPLAIN TIMESTAMP is for queries only", position=node.position)
    desc = _desc(("Timestamp", TEXT))
    return Outcome(
        ExplainTimestampPlan(plan_query(ctx, node.query), _format(node.format), desc), desc
    )


def _pushdown(ctx: StatementContext, node: ast_explain.ExplainFilterPushdown) -> Outcome:
    desc = _desc(
        ("Source", TEXT),
        ("Total Bytes", UINT8),
        ("Selected Bytes", UINT8),
        ("Total Parts", UINT8),
        ("Selected Parts", UINT8),
    )
    what = node.what
    if isinstance(what, ast_explain.ExplainObject):
        item = ctx.names.item_of_kind(what.name, ItemKind.MATERIALIZED_VIEW)
        return Outcome(ExplainPushdownPlan(None, item.id, desc), desc)
    if not isinstance(what, ast.Query):
        raise FeatureNotSupported(
            "EXPLAIN FILTER PUSHDOWN is for queries and materialized views",
            position=node.position,
        )
    return Outcome(ExplainPushdownPlan(plan_query(ctx, what), None, desc), desc)


def _schema(ctx: StatementContext, node: ast_explain.ExplainSinkSchema) -> Outcome:
    statement = node.statement
    if not isinstance(statement, connector.CreateSink):
        raise InvalidParameterValue(
            "EXPLAIN KEY SCHEMA and EXPLAIN VALUE SCHEMA are for CREATE SINK",
            position=node.position,
        )
    planned = sinks.HANDLERS[connector.CreateSink](ctx, statement)
    desc = _desc(("Schema", TEXT))
    sink = planned.plan
    return Outcome(ExplainSchemaPlan(node.key, sink, desc), desc)  # type: ignore[arg-type]


# What EXPLAIN ANALYZE shows of each property.
_MEASURES: dict[str, tuple[tuple[str, ScalarType], ...]] = {
    "cpu": (("elapsed", TEXT),),
    "memory": (("memory", TEXT), ("records", NUMERIC)),
}


def _analyze(ctx: StatementContext, node: ast_explain.ExplainAnalyze) -> Outcome:
    words = tuple(prop.value.lower() for prop in node.properties)
    columns: list[tuple[str, ScalarType]] = [("operator", TEXT)]
    if node.what is None:
        columns = [("object", TEXT), ("global_id", TEXT)]
    if node.skew:
        columns.append(("worker_id", UINT8))
    for word in words:
        if word == "hints":
            columns.extend([("levels", INT8), ("to_cut", INT8), ("hint", INT8), ("savings", TEXT)])
        for measure, kind in _MEASURES.get(word, ()):
            if node.skew:
                ratio = "cpu" if measure == "elapsed" else measure
                columns.extend([(f"{ratio}_ratio", NUMERIC), (f"worker_{measure}", kind)])
                columns.append((f"avg_{measure}", kind))
            columns.append((f"total_{measure}", kind))
    desc = _desc(("SQL", TEXT)) if node.as_sql else _desc(*columns)
    ref = None if node.what is None else _object(ctx, node.what)
    return Outcome(ExplainAnalyzePlan(words, ref, node.skew, node.as_sql, desc), desc)


# --- SHOW -----------------------------------------------------------------------------------------


def _show(ctx: StatementContext, node: ast.Show) -> Outcome:
    plan = select_plan(plan_show(ctx, node).settle(ctx))
    return Outcome(plan, plan.desc)


def _show_variable(_ctx: StatementContext, node: ast_show.ShowVariable) -> Outcome:
    desc = variable_desc(node)
    if node.name is None:
        return Outcome(ShowAllVariablesPlan(), desc)
    return Outcome(ShowVariablePlan(node.name), desc)


HANDLERS: dict[type[Node], StatementHandler] = {
    ast_explain.ExplainPlan: _explain,
    ast_explain.ExplainTimestamp: _timestamp,
    ast_explain.ExplainFilterPushdown: _pushdown,
    ast_explain.ExplainSinkSchema: _schema,
    ast_explain.ExplainAnalyze: _analyze,
    ast_show.ShowObjects: _show,
    ast_show.ShowColumns: _show,
    ast_show.ShowCreate: _show,
    ast_show.ShowPrivileges: _show,
    ast_show.ShowRoleMembership: _show,
    ast_show.InspectShard: _show,
    ast_show.ShowVariable: _show_variable,
}
