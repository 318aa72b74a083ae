"""Scalar expressions over the columns of one row.

The same structs serve the relational plan, the physical plan and the Rust interpreter
(``hw_expr::scalar`` mirrors them). Function names are kernel names from ``ir.functions``.
"""

from enum import StrEnum

import msgspec

from headwater.errors import ErrorFields
from headwater.types.scalar import ColumnType


class Column(msgspec.Struct, frozen=True, tag_field="kind", tag="column"):
    """The value of input column ``index``, from 0."""

    index: int


class Literal(msgspec.Struct, frozen=True, tag_field="kind", tag="literal"):
    """A constant: ``data`` is one datum in the row encoding."""

    data: bytes
    type: ColumnType


class LiteralError(msgspec.Struct, frozen=True, tag_field="kind", tag="literal_error"):
    """An expression known to fail with ``error`` whenever it is evaluated."""

    error: ErrorFields
    type: ColumnType


class Call(msgspec.Struct, frozen=True, tag_field="kind", tag="call"):
    """A kernel applied to arguments.

    ``and``, ``or`` and ``coalesce`` evaluate lazily, left to right; everything else evaluates all
    arguments first. ``type`` is the result's type; some kernels (casts with a modifier, record and
    list constructors) read it.
    """

    func: str
    args: tuple["ScalarExpr", ...]
    type: ColumnType


class If(msgspec.Struct, frozen=True, tag_field="kind", tag="if"):
    """``CASE WHEN cond THEN then ELSE els END``; only the branch taken is evaluated."""

    cond: "ScalarExpr"
    then: "ScalarExpr"
    els: "ScalarExpr"


class UnmaterializableFunc(StrEnum):
    """Functions whose value depends on the moment or the session, not on the row."""

    MZ_NOW = "mz_now"
    NOW = "now"
    CURRENT_USER = "current_user"
    SESSION_USER = "session_user"
    CURRENT_DATABASE = "current_database"
    CURRENT_SCHEMA = "current_schema"
    CURRENT_SCHEMAS_WITH_SYSTEM = "current_schemas_with_system"
    CURRENT_SCHEMAS_WITHOUT_SYSTEM = "current_schemas_without_system"
    CURRENT_TIMESTAMP = "current_timestamp"
    CURRENT_SETTING = "current_setting"
    PG_BACKEND_PID = "pg_backend_pid"
    VERSION = "version"
    MZ_VERSION = "mz_version"
    MZ_ENVIRONMENT_ID = "mz_environment_id"
    MZ_SESSION_ID = "mz_session_id"
    MZ_UPTIME = "mz_uptime"
    IS_SUPERUSER = "is_superuser"
    EVALUATION = (
        "evaluation"  # a number for what is evaluated once; keeps volatile calls out of views
    )


class CallUnmaterializable(msgspec.Struct, frozen=True, tag_field="kind", tag="unmaterializable"):
    """A call that sequencing replaces by a literal.

    Only ``mz_now`` may remain in a maintained plan, and there only inside temporal filters.
    """

    func: UnmaterializableFunc
    type: ColumnType


class Parameter(msgspec.Struct, frozen=True, tag_field="kind", tag="parameter"):
    """Parameter ``$number`` of a prepared statement; replaced by a literal before lowering.

    The front end's fast path keeps it in key expressions and fills it in itself.
    """

    number: int
    type: ColumnType


ScalarExpr = Column | Literal | LiteralError | Call | If | CallUnmaterializable | Parameter


class ColumnOrder(msgspec.Struct, frozen=True):
    """One sort key: a column of the row, its direction, and where NULLs go."""

    column: int
    desc: bool = False
    nulls_last: bool = True


class AggregateExpr(msgspec.Struct, frozen=True):
    """An aggregate over ``expr``.

    Attributes:
        func: The aggregate's kernel name, e.g. ``sum_int4``, ``count``, ``max``, ``array_agg``.
        expr: The argument, over the input row. ``count(*)`` counts a literal true. Aggregates of
            several arguments, or with ORDER BY inside, take a record.
        distinct: Whether equal arguments count once.
        type: The result's type.
        order_by: For ``expr`` a record ``(value…, key…)``: the order over its fields; empty
            otherwise.
    """

    func: str
    expr: ScalarExpr
    type: ColumnType
    distinct: bool = False
    order_by: tuple[ColumnOrder, ...] = ()
