"""EXPLAIN in all its forms."""

from headwater.sql.ast.base import ObjectKind
from headwater.sql.ast.explain import (
    AnalyzeProperty,
    ExplainAnalyze,
    ExplainFilterPushdown,
    ExplainFormat,
    ExplainObject,
    ExplainPlan,
    ExplainSinkSchema,
    ExplainStage,
    ExplainTimestamp,
)
from headwater.sql.ast.statement import Statement
from headwater.sql.parse.kind import object_kind
from headwater.sql.parse.option import with_options
from headwater.sql.parse.stream import TokenStream

_STAGES = {tuple(stage.split()): stage for stage in ExplainStage}
_EXPLAINED = (ObjectKind.VIEW, ObjectKind.MATERIALIZED_VIEW, ObjectKind.INDEX)


def explain(p: TokenStream) -> Statement:
    """Read an EXPLAIN; entered on it."""
    position = p.position
    p.expect("EXPLAIN")
    if p.accept("TIMESTAMP"):
        chosen = _format(p)
        p.expect("FOR")
        return ExplainTimestamp(_statement(p), chosen, position=position)
    if p.accept_all("FILTER", "PUSHDOWN"):
        p.expect("FOR")
        return ExplainFilterPushdown(_what(p), position=position)
    if p.key in ("KEY", "VALUE") and p.peek() == "SCHEMA":
        return _sink_schema(p, position)
    if p.accept("ANALYZE"):
        return _analyze(p, position)
    stage = _stage(p)
    options = with_options(p)
    chosen = _format(p)
    p.accept("FOR")
    return ExplainPlan(_what(p), stage, options, chosen, position=position)


def _stage(p: TokenStream) -> ExplainStage | None:
    for words, stage in _STAGES.items():
        if p.accept_all(*words):
            return stage
    if p.accept("PLAN"):
        return ExplainStage.PHYSICAL
    return None


def _format(p: TokenStream) -> ExplainFormat | None:
    if not p.accept("AS"):
        return None
    if p.accept_all("VERBOSE", "TEXT"):
        return ExplainFormat.VERBOSE_TEXT
    return ExplainFormat(p.expect_any("TEXT", "JSON", "DOT"))


def _what(p: TokenStream) -> Statement | ExplainObject:
    position = p.position
    replan = p.accept("REPLAN")
    if replan or p.key in ("VIEW", "MATERIALIZED", "INDEX"):
        kind = object_kind(p)
        if kind not in _EXPLAINED:
            p.fail("VIEW", "MATERIALIZED VIEW", "INDEX")
        return ExplainObject(kind, p.object_name("an object"), replan, position=position)
    return _statement(p)


def _statement(p: TokenStream) -> Statement:
    p.enter()
    found = p.rules.statement(p)
    p.depth -= 1
    return found


def _sink_schema(p: TokenStream, position: int) -> ExplainSinkSchema:
    key = p.key == "KEY"
    p.skip(2)
    chosen = _format(p)
    p.expect("FOR")
    if not p.at("CREATE", "SINK"):
        p.fail("CREATE SINK")
    return ExplainSinkSchema(key, _statement(p), chosen, position=position)


def _analyze(p: TokenStream, position: int) -> ExplainAnalyze:
    of_cluster = p.accept("CLUSTER")
    properties = [AnalyzeProperty(p.expect_any("CPU", "MEMORY", "HINTS"))]
    while p.accept(","):
        properties.append(AnalyzeProperty(p.expect_any("CPU", "MEMORY")))
    skew = p.accept_all("WITH", "SKEW")
    what = None
    if not of_cluster:
        p.expect("FOR")
        at = p.position
        kind = object_kind(p)
        what = ExplainObject(kind, p.object_name("an object"), position=at)
    as_sql = p.accept_all("AS", "SQL")
    return ExplainAnalyze(tuple(properties), what, skew, as_sql, position=position)
