"""What planning a statement yields: one struct a kind, and the session that planning sees.

The adapter's sequencer has one module a kind and executes these. Plans of DDL are in ``ddl``, the
options of external systems in ``external``; both are part of :data:`StatementPlan`.
"""

from enum import IntEnum, StrEnum
from typing import Protocol

import msgspec

from headwater.ir.relation import RowSetFinishing
from headwater.ir.scalar import ColumnOrder
from headwater.sql.ast.base import Node
from headwater.sql.plan.ddl import DdlPlan, ObjectRef, ObjectType
from headwater.sql.plan.hir import HirGet, HirRelation, HirScalar
from headwater.types.ids import ClusterId, GlobalId, ReplicaId
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ScalarType


class PlanSession(Protocol):
    """What planning reads of a session."""

    @property
    def search_path(self) -> tuple[str, ...]:
        """Return the schemas of ``search_path``, in order, without the implicit ones."""

    @property
    def database(self) -> str:
        """Return the current database's name; it need not exist."""

    @property
    def cluster(self) -> str:
        """Return the current cluster's name; it need not exist."""

    @property
    def user(self) -> str:
        """Return the current role's name."""


# --- reading --------------------------------------------------------------------------------------


class AsOfPlan(msgspec.Struct, frozen=True):
    """AS OF ``time`` (an mz_timestamp over no columns), or the least readable time beyond it."""

    time: HirScalar
    at_least: bool = False


class SelectPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="select"):
    """A query and what is left to do to its rows.

    Attributes:
        query: Yields rows that ``finishing`` sorts, cuts and projects.
        finishing: ``limit`` and ``offset`` hold where they are known at planning.
        desc: The columns that the client sees, after ``finishing``.
        as_of: The time asked for.
        limit: Set where LIMIT depends on parameters; an int8 over no columns; after binding it
            overrides ``finishing.limit``.
        offset: The same for OFFSET.
    """

    query: HirRelation
    finishing: RowSetFinishing
    desc: RelationDesc
    as_of: AsOfPlan | None = None
    limit: HirScalar | None = None
    offset: HirScalar | None = None


class SubscribeDiffs(msgspec.Struct, frozen=True, tag_field="kind", tag="diffs"):
    """Columns: mz_timestamp, [mz_progressed], mz_diff, then the data."""


class SubscribeUpsert(msgspec.Struct, frozen=True, tag_field="kind", tag="upsert"):
    """ENVELOPE UPSERT. Columns: mz_timestamp, [mz_progressed], mz_state, key, other data."""

    key: tuple[int, ...]


class SubscribeDebezium(msgspec.Struct, frozen=True, tag_field="kind", tag="debezium"):
    """ENVELOPE DEBEZIUM. As upsert, each value column as ``before_x`` and then all ``after_x``."""

    key: tuple[int, ...]


class SubscribeOrdered(msgspec.Struct, frozen=True, tag_field="kind", tag="ordered"):
    """WITHIN TIMESTAMP ORDER BY; column 0 is mz_diff, the data's columns count from 1."""

    order_by: tuple[ColumnOrder, ...]


SubscribeEnvelope = SubscribeDiffs | SubscribeUpsert | SubscribeDebezium | SubscribeOrdered


class SubscribePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="subscribe"):
    """SUBSCRIBE to a relation ``from_id`` or, where that is None, to ``query``.

    ``query`` is always set (a HirGet of ``from_id``); ``data_desc`` are its columns, ``desc`` those
    that the client sees. Times are mz_timestamps over no columns; ``up_to`` is exclusive.
    """

    from_id: GlobalId | None
    query: HirRelation
    data_desc: RelationDesc
    desc: RelationDesc
    envelope: SubscribeEnvelope
    with_snapshot: bool = True
    progress: bool = False
    as_of: AsOfPlan | None = None
    up_to: HirScalar | None = None


class CopyFormatKind(StrEnum):
    """The formats of COPY."""

    TEXT = "text"
    CSV = "csv"
    BINARY = "binary"
    PARQUET = "parquet"


class CopyFormat(msgspec.Struct, frozen=True):
    """How COPY writes or reads rows; defaults are the format's, ``force_…`` columns' positions."""

    format: CopyFormatKind = CopyFormatKind.TEXT
    delimiter: str = "\t"
    null: str = "\\N"
    quote: str = '"'
    escape: str = '"'
    header: bool = False
    header_match: bool = False
    force_quote: tuple[int, ...] = ()
    force_not_null: tuple[int, ...] = ()
    force_null: tuple[int, ...] = ()


class CopyToPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="copy_to"):
    """COPY … TO STDOUT, or to ``uri`` (text over no columns) through an AWS connection."""

    plan: SelectPlan | SubscribePlan
    format: CopyFormat
    uri: HirScalar | None = None
    aws_connection: GlobalId | None = None
    max_file_size_bytes: int | None = None


# --- writing --------------------------------------------------------------------------------------


class CopyFromPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="copy_from"):
    """COPY t FROM STDIN, or from ``uri``.

    Input rows have the columns ``input_desc``. The table's rows are ``columns``: for each of the
    table's columns an expression over the input row, coerced, with defaults. Of them those go in
    for which ``where``, over the table's columns, holds.
    """

    id: GlobalId
    table_desc: RelationDesc
    input_desc: RelationDesc
    columns: tuple[HirScalar, ...]
    format: CopyFormat
    uri: HirScalar | None = None
    aws_connection: GlobalId | None = None
    files: tuple[str, ...] = ()
    pattern: str | None = None
    where: HirScalar | None = None


class ReturningPlan(msgspec.Struct, frozen=True):
    """RETURNING: the last ``desc.arity`` columns of the write's rows are what the client sees."""

    desc: RelationDesc


class InsertPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="insert"):
    """INSERT of rows that read no relation: a blind write.

    Shape: ``values`` yields the table's columns (coerced, defaults filled in; a null where none
    may be is an error), then RETURNING's.
    """

    id: GlobalId
    table_desc: RelationDesc
    values: HirRelation
    returning: ReturningPlan | None = None
    on_conflict: "DoNothing | None" = None


class DoNothing(msgspec.Struct, frozen=True):
    """ON CONFLICT DO NOTHING: only rows that meet no other go in.

    ``arbiter`` is the number of the key in ``Table.keys`` that decides, None for all of them.
    """

    arbiter: int | None


class WriteKind(StrEnum):
    """What a read-then-write does; the value is its command tag."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    MERGE = "MERGE"


class Action(IntEnum):
    """What becomes of a row of a merge."""

    NOTHING = 0
    INSERT = 1
    UPDATE = 2
    DELETE = 3


class MergePlan(msgspec.Struct, frozen=True):
    """How rows of a merge are told apart: MERGE, and INSERT … ON CONFLICT DO UPDATE.

    ``command`` names it where a row would be affected twice, ``hint`` says what to do then. Rows
    that are inserted must differ in the columns ``key``.
    """

    command: str
    hint: str
    key: tuple[int, ...] = ()
    fresh: "FreshRows | None" = None


class FreshRows(msgspec.Struct, frozen=True):
    """What ON CONFLICT DO UPDATE comes to where no row is in the way: a blind INSERT.

    ``values`` are rows that read no relation, RETURNING's columns last; ``arbiter`` is the number
    of the key that decides.
    """

    values: HirRelation
    arbiter: int


class ReadThenWritePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="read_then_write"):
    """INSERT … SELECT, UPDATE, DELETE: read ``selection`` at t, write the difference at t + 1.

    Shape: with n the table's arity, rows of ``selection`` are for INSERT n new columns; for DELETE
    n old columns; for UPDATE n old columns and then n new ones; with ``merge`` n old ones, n new
    ones, the :class:`Action` as int4, and an int8 that says how often the old row is there; then
    RETURNING's columns. Each row's multiplicity counts. ``finishing`` cuts them (INSERT … SELECT …
    LIMIT).
    """

    id: GlobalId
    table_desc: RelationDesc
    write: WriteKind
    selection: HirRelation
    finishing: RowSetFinishing
    returning: ReturningPlan | None = None
    on_conflict: DoNothing | None = None
    merge: MergePlan | None = None


class TruncatePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="truncate"):
    """TRUNCATE: all rows of some tables, at once."""

    tables: tuple[HirGet, ...]


# --- sessions and transactions --------------------------------------------------------------------


class SetVariablePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="set_variable"):
    """SET; ``values`` None is DEFAULT. ``local`` lasts until the transaction ends."""

    name: str
    values: tuple[str, ...] | None
    local: bool


class ResetVariablePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="reset_variable"):
    """RESET; ``name`` None resets all."""

    name: str | None


class ShowVariablePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="show_variable"):
    """SHOW of one variable."""

    name: str


class ShowAllVariablesPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="show_all_variables"):
    """SHOW ALL."""


class SetConstraintsPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="set_constraints"):
    """SET CONSTRAINTS of constraints, which are all immediate: nothing changes."""


class DiscardTarget(StrEnum):
    """What DISCARD forgets."""

    ALL = "ALL"
    PLANS = "PLANS"
    SEQUENCES = "SEQUENCES"
    TEMP = "TEMP"


class DiscardPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="discard"):
    """DISCARD."""

    target: DiscardTarget


class IsolationLevel(StrEnum):
    """The isolation levels that transactions may ask for, as ``transaction_isolation`` shows."""

    READ_UNCOMMITTED = "read uncommitted"
    READ_COMMITTED = "read committed"
    REPEATABLE_READ = "repeatable read"
    SERIALIZABLE = "serializable"
    STRONG_SESSION_SERIALIZABLE = "strong session serializable"
    STRICT_SERIALIZABLE = "strict serializable"


class TransactionModes(msgspec.Struct, frozen=True):
    """Modes that were written; None where not."""

    isolation: IsolationLevel | None = None
    read_only: bool | None = None


class StartTransactionPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="start_transaction"):
    """BEGIN."""

    modes: TransactionModes


class SetTransactionPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="set_transaction"):
    """SET TRANSACTION; or SET SESSION CHARACTERISTICS AS TRANSACTION (``session``)."""

    modes: TransactionModes
    session: bool


class CommitPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="commit"):
    """COMMIT."""

    chain: bool = False


class RollbackPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="rollback"):
    """ROLLBACK."""

    chain: bool = False


class SavepointPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="savepoint"):
    """SAVEPOINT."""

    name: str


class ReleaseSavepointPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="release"):
    """RELEASE SAVEPOINT."""

    name: str


class RollbackToPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="rollback_to"):
    """ROLLBACK TO SAVEPOINT."""

    name: str


class PreparePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="prepare"):
    """PREPARE: ``statement`` is planned by the session with these parameter types."""

    name: str
    statement: Node
    param_types: tuple[ScalarType | None, ...]


class ExecutePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="execute"):
    """EXECUTE; ``arguments`` are over no columns, not yet coerced to the parameters' types."""

    name: str
    arguments: tuple[HirScalar, ...]


class DeallocatePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="deallocate"):
    """DEALLOCATE; ``name`` None means all."""

    name: str | None


class DeclarePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="declare"):
    """DECLARE … CURSOR FOR ``statement``."""

    name: str
    statement: Node


class FetchPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="fetch"):
    """FETCH: at most ``count`` rows, None for all; wait ``timeout_us``, None without end."""

    name: str
    count: int | None
    timeout_us: int | None = None


class ClosePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="close"):
    """CLOSE; ``name`` None means all."""

    name: str | None


class RaisePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="raise"):
    """RAISE: a message of this severity to the client."""

    severity: str
    message: str


class CancelBackendPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="cancel_backend"):
    """``SELECT pg_cancel_backend(pid)``: ``pid`` is an int4 over no columns; answers one bool."""

    pid: HirScalar
    desc: RelationDesc


class Setting(msgspec.Struct, frozen=True):
    """The arguments of a ``set_config(name, value, is_local)``, over no columns."""

    name: HirScalar
    value: HirScalar
    local: HirScalar


class SetConfigPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="set_config"):
    """``SELECT set_config(…), …``: SET, answered with the values in one row."""

    settings: tuple[Setting, ...]
    desc: RelationDesc


class SleepPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="sleep"):
    """``SELECT mz_unsafe.mz_sleep(seconds)``: a float8 over no columns; answers one NULL, late."""

    seconds: HirScalar
    desc: RelationDesc


class ValidateConnectionPlan(
    msgspec.Struct, frozen=True, tag_field="kind", tag="validate_connection"
):
    """VALIDATE CONNECTION."""

    id: GlobalId


# --- explain --------------------------------------------------------------------------------------


class ExplainStage(StrEnum):
    """The stage whose plan EXPLAIN shows."""

    RAW = "raw"
    DECORRELATED = "decorrelated"
    LOCALLY_OPTIMIZED = "locally optimized"
    OPTIMIZED = "optimized"
    PHYSICAL = "physical"
    TRACE = "trace"
    INSIGHTS = "insights"


class ExplainFormat(StrEnum):
    """How a plan is shown."""

    TEXT = "text"
    VERBOSE_TEXT = "verbose text"
    JSON = "json"
    DOT = "dot"


class ExplainPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="explain"):
    """EXPLAIN of a statement's plan, or of an existing object.

    Exactly one of ``plan`` (a SelectPlan, SubscribePlan, CreateViewPlan, CreateIndexPlan …) and
    ``object`` is set. ``options`` are lower case with blanks: ``types``,
    ``no fast path``.
    """

    stage: ExplainStage
    format: ExplainFormat
    options: tuple[tuple[str, str], ...]
    plan: "StatementPlan | None"
    object: ObjectRef | None
    replan: bool
    desc: RelationDesc


class ExplainTimestampPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="explain_timestamp"):
    """EXPLAIN TIMESTAMP."""

    plan: SelectPlan
    format: ExplainFormat
    desc: RelationDesc


class ExplainPushdownPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="explain_pushdown"):
    """EXPLAIN FILTER PUSHDOWN of a query or of the materialized view ``id``."""

    plan: SelectPlan | None
    id: GlobalId | None
    desc: RelationDesc


class ExplainSchemaPlan(msgspec.Struct, frozen=True, tag_field="kind", tag="explain_schema"):
    """EXPLAIN KEY | VALUE SCHEMA FOR CREATE SINK."""

    for_key: bool
    sink: DdlPlan
    desc: RelationDesc


class ExplainAnalyzePlan(msgspec.Struct, frozen=True, tag_field="kind", tag="explain_analyze"):
    """EXPLAIN ANALYZE of a running object, or of the cluster where ``object`` is None."""

    properties: tuple[str, ...]  # cpu, memory, hints
    object: ObjectRef | None
    with_skew: bool
    as_sql: bool
    desc: RelationDesc


StatementPlan = (
    SelectPlan
    | SubscribePlan
    | CopyToPlan
    | CopyFromPlan
    | InsertPlan
    | ReadThenWritePlan
    | TruncatePlan
    | SetVariablePlan
    | ResetVariablePlan
    | ShowVariablePlan
    | ShowAllVariablesPlan
    | DiscardPlan
    | SetConstraintsPlan
    | StartTransactionPlan
    | SetTransactionPlan
    | CommitPlan
    | RollbackPlan
    | RollbackToPlan
    | SavepointPlan
    | ReleaseSavepointPlan
    | PreparePlan
    | ExecutePlan
    | DeallocatePlan
    | DeclarePlan
    | FetchPlan
    | ClosePlan
    | RaisePlan
    | CancelBackendPlan
    | SetConfigPlan
    | SleepPlan
    | ValidateConnectionPlan
    | ExplainPlan
    | ExplainTimestampPlan
    | ExplainPushdownPlan
    | ExplainSchemaPlan
    | ExplainAnalyzePlan
    | DdlPlan
)


class Notice(msgspec.Struct, frozen=True):
    """Something to tell the client that is not an error."""

    message: str
    severity: str = "NOTICE"
    sqlstate: str = "00000"
    detail: str = ""
    hint: str = ""


class Planned(msgspec.Struct, frozen=True):
    """A statement, planned.

    Attributes:
        plan: What to execute.
        param_types: The types of ``$1 …``, all known.
        result_desc: The columns of the answer; None for a statement without rows.
        depends_on: Every catalog item that the statement mentions, directly.
        notices: What to tell the client before the statement runs.
        target_cluster: The cluster named by the statement itself; None: the session's.
        target_replica: The replica named by ``SET cluster_replica`` or ``IN CLUSTER … REPLICA``.
        is_long: Whether working with the plan may take long, for what is known of the statement.
    """

    plan: StatementPlan
    param_types: tuple[ScalarType, ...] = ()
    result_desc: RelationDesc | None = None
    depends_on: frozenset[GlobalId] = frozenset()
    notices: tuple[Notice, ...] = ()
    target_cluster: ClusterId | None = None
    target_replica: ReplicaId | None = None
    is_long: bool = False


__all__ = [
    "AsOfPlan",
    "CancelBackendPlan",
    "ClosePlan",
    "CommitPlan",
    "CopyFormat",
    "CopyFormatKind",
    "CopyFromPlan",
    "CopyToPlan",
    "DeallocatePlan",
    "DeclarePlan",
    "DiscardPlan",
    "DiscardTarget",
    "DoNothing",
    "ExecutePlan",
    "ExplainAnalyzePlan",
    "ExplainFormat",
    "ExplainPlan",
    "ExplainPushdownPlan",
    "ExplainSchemaPlan",
    "ExplainStage",
    "ExplainTimestampPlan",
    "FetchPlan",
    "FreshRows",
    "InsertPlan",
    "IsolationLevel",
    "Notice",
    "ObjectType",
    "PlanSession",
    "Planned",
    "PreparePlan",
    "RaisePlan",
    "ReadThenWritePlan",
    "ReleaseSavepointPlan",
    "ResetVariablePlan",
    "ReturningPlan",
    "RollbackPlan",
    "RollbackToPlan",
    "SavepointPlan",
    "SelectPlan",
    "SetConfigPlan",
    "SetConstraintsPlan",
    "SetTransactionPlan",
    "SetVariablePlan",
    "Setting",
    "ShowAllVariablesPlan",
    "ShowVariablePlan",
    "SleepPlan",
    "StartTransactionPlan",
    "StatementPlan",
    "SubscribeDebezium",
    "SubscribeDiffs",
    "SubscribeEnvelope",
    "SubscribeOrdered",
    "SubscribePlan",
    "SubscribeUpsert",
    "TransactionModes",
    "ValidateConnectionPlan",
    "WriteKind",
]
