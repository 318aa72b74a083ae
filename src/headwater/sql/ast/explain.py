"""The EXPLAIN statements."""

from __future__ import annotations

import enum

from headwater.sql.ast.base import Node, ObjectKind, ObjectName
from headwater.sql.ast.option import Option


class ExplainStage(enum.StrEnum):
    """The plan that EXPLAIN shows."""

    RAW = "RAW PLAN"
    DECORRELATED = "DECORRELATED PLAN"
    LOCALLY_OPTIMIZED = "LOCALLY OPTIMIZED PLAN"
    OPTIMIZED = "OPTIMIZED PLAN"
    PHYSICAL = "PHYSICAL PLAN"
    TRACE = "OPTIMIZER TRACE"
    INSIGHTS = "PLAN INSIGHTS"


class ExplainFormat(enum.StrEnum):
    """How EXPLAIN shows it."""

    TEXT = "TEXT"
    VERBOSE_TEXT = "VERBOSE TEXT"
    JSON = "JSON"
    DOT = "DOT"


class ExplainObject(Node, frozen=True, gc=False):
    """``[REPLAN] VIEW | MATERIALIZED VIEW | INDEX name``: an existing object to explain."""

    kind: ObjectKind
    name: ObjectName
    replan: bool = False


class ExplainPlan(Node, frozen=True, gc=False):
    """``EXPLAIN [stage] [WITH (modifiers)] [AS format] [FOR] what``.

    ``stage`` and ``format`` are None where not written. ``options`` are the modifiers, whose
    values are Booleans or missing.
    """

    what: Node | ExplainObject
    stage: ExplainStage | None = None
    options: tuple[Option, ...] = ()
    format: ExplainFormat | None = None


class ExplainTimestamp(Node, frozen=True, gc=False):
    """``EXPLAIN TIMESTAMP [AS format] FOR query``."""

    query: Node
    format: ExplainFormat | None = None


class ExplainFilterPushdown(Node, frozen=True, gc=False):
    """``EXPLAIN FILTER PUSHDOWN FOR query | MATERIALIZED VIEW name``."""

    what: Node | ExplainObject


class ExplainSinkSchema(Node, frozen=True, gc=False):
    """``EXPLAIN KEY | VALUE SCHEMA [AS JSON] FOR CREATE SINK …``."""

    key: bool
    statement: Node
    format: ExplainFormat | None = None


class AnalyzeProperty(enum.StrEnum):
    """What EXPLAIN ANALYZE measures."""

    CPU = "CPU"
    MEMORY = "MEMORY"
    HINTS = "HINTS"


class ExplainAnalyze(Node, frozen=True, gc=False):
    """``EXPLAIN ANALYZE properties [WITH SKEW] FOR object [AS SQL]``; no object is the cluster."""

    properties: tuple[AnalyzeProperty, ...]
    what: ExplainObject | None
    skew: bool = False
    as_sql: bool = False
