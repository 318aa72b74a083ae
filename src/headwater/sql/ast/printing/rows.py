"""Statements about rows and the session as SQL: DML, COPY, cursors, variables, SHOW, EXPLAIN."""

from headwater.sql.ast.base import Node, ObjectKind, ObjectName
from headwater.sql.ast.dml import (
    Assignment,
    Close,
    Copy,
    CopyDirection,
    Deallocate,
    Declare,
    Delete,
    Execute,
    Fetch,
    Insert,
    Merge,
    MergeAction,
    MergeClause,
    OnConflict,
    Prepare,
    Subscribe,
    Truncate,
    Update,
)
from headwater.sql.ast.explain import (
    ExplainAnalyze,
    ExplainFilterPushdown,
    ExplainFormat,
    ExplainObject,
    ExplainPlan,
    ExplainSinkSchema,
    ExplainTimestamp,
)
from headwater.sql.ast.keywords import quote
from headwater.sql.ast.keywords import words as keywords
from headwater.sql.ast.printing.options import with_options
from headwater.sql.ast.printing.writer import Rules, Writer, columns, name, names, when, words
from headwater.sql.ast.session import (
    AlterSystemReset,
    AlterSystemSet,
    Commit,
    Discard,
    Raise,
    ReleaseSavepoint,
    ResetVariable,
    Rollback,
    RollbackTo,
    Savepoint,
    SetConstraints,
    SetTransaction,
    SetVariable,
    StartTransaction,
    TransactionMode,
)
from headwater.sql.ast.show import (
    InspectShard,
    ShowColumns,
    ShowCreate,
    ShowLike,
    ShowObjects,
    ShowPrivileges,
    ShowRoleMembership,
    ShowVariable,
    ShowWhere,
)

# --- writes ---------------------------------------------------------------------------------------


def _as(alias: str | None) -> str:
    return "" if alias is None else f" AS {quote(alias)}"


def _insert(w: Writer, node: Insert) -> str:
    source = "DEFAULT VALUES" if node.source is None else w.node(node.source)
    text = f"INSERT INTO {name(node.table)}{_as(node.alias)}{columns(node.columns)} {source}"
    return text + w.optional("", node.on_conflict) + w.clause("RETURNING ", node.returning)


def _on_conflict(w: Writer, node: OnConflict) -> str:
    named = "" if node.constraint is None else f" ON CONSTRAINT {quote(node.constraint)}"
    text = f"ON CONFLICT{columns(node.columns)}{named} DO "
    if not node.assignments:
        return text + "NOTHING"
    return f"{text}UPDATE SET {w.nodes(node.assignments)}{w.optional('WHERE ', node.where)}"


def _assignment(w: Writer, node: Assignment) -> str:
    target = quote(node.columns[0])
    if len(node.columns) > 1:
        target = f"({names(node.columns)})"
    return f"{target} = {w.node(node.value)}"


def _update(w: Writer, node: Update) -> str:
    return (
        f"UPDATE {name(node.table)}{_as(node.alias)} SET {w.nodes(node.assignments)}"
        + w.clause("FROM ", node.from_)
        + w.optional("WHERE ", node.where)
        + w.clause("RETURNING ", node.returning)
    )


def _delete(w: Writer, node: Delete) -> str:
    return (
        f"DELETE FROM {name(node.table)}{_as(node.alias)}"
        + w.clause("USING ", node.using)
        + w.optional("WHERE ", node.where)
        + w.clause("RETURNING ", node.returning)
    )


def _merge(w: Writer, node: Merge) -> str:
    clauses = " ".join([w.node(clause) for clause in node.clauses])
    target = f"MERGE INTO {name(node.table)}{_as(node.alias)}"
    return f"{target} USING {w.node(node.source)} ON {w.node(node.condition)} {clauses}"


def _merge_clause(w: Writer, node: MergeClause) -> str:
    text = f"WHEN {node.match}{w.optional('AND ', node.condition)} THEN {node.action}"
    if node.action is MergeAction.UPDATE:
        return f"{text} SET {w.nodes(node.assignments)}"
    if node.action is not MergeAction.INSERT:
        return text
    values = f"VALUES ({w.nodes(node.values)})" if node.values else "DEFAULT VALUES"
    return f"{text}{columns(node.columns)} {values}"


# --- reads ----------------------------------------------------------------------------------------


def _relation(w: Writer, node: Node) -> str:
    return w.node(node) if isinstance(node, ObjectName) else f"({w.node(node)})"


def _copy(w: Writer, node: Copy) -> str:
    text = f"COPY {_relation(w, node.relation)}{columns(node.columns)} {node.direction}"
    if node.target is not None:
        text += f" {w.node(node.target)}"
    else:
        text += " STDIN" if node.direction is CopyDirection.FROM else " STDOUT"
    return text + with_options(w, node.options) + w.optional("WHERE ", node.where)


def _subscribe(w: Writer, node: Subscribe) -> str:
    text = f"SUBSCRIBE TO {_relation(w, node.relation)}"
    if node.envelope is not None:
        text += f" ENVELOPE {node.envelope} (KEY ({names(node.key)}))"
    text += w.clause("WITHIN TIMESTAMP ORDER BY ", node.within_timestamp_order_by)
    text += with_options(w, node.options) + w.optional("", node.as_of)
    return text + w.optional("UP TO ", node.up_to)


def _declare(w: Writer, node: Declare) -> str:
    hold = when(node.hold, " WITH HOLD")
    return f"DECLARE {quote(node.name)} CURSOR{hold} FOR {w.node(node.statement)}"


def _fetch(w: Writer, node: Fetch) -> str:
    count = "ALL" if node.count is None else str(node.count)
    if node.backward:
        count = f"BACKWARD {count}"
    return f"FETCH {count} FROM {quote(node.cursor)}{with_options(w, node.options)}"


def _name_or_all(of: str | None) -> str:
    return "ALL" if of is None else quote(of)


def _prepare(w: Writer, node: Prepare) -> str:
    types = f" ({w.nodes(node.types)})" if node.types else ""
    return f"PREPARE {quote(node.name)}{types} AS {w.node(node.statement)}"


def _execute(w: Writer, node: Execute) -> str:
    arguments = f" ({w.nodes(node.arguments)})" if node.arguments else ""
    return f"EXECUTE {quote(node.name)}{arguments}"


# --- session --------------------------------------------------------------------------------------


def _mode(mode: TransactionMode) -> str:
    return mode if mode in ("READ ONLY", "READ WRITE") else f"ISOLATION LEVEL {mode}"


def _start(w: Writer, node: StartTransaction) -> str:
    return words("BEGIN", ", ".join([_mode(mode) for mode in node.modes]))


def _set_transaction(w: Writer, node: SetTransaction) -> str:
    before = "SET SESSION CHARACTERISTICS AS TRANSACTION" if node.session else "SET TRANSACTION"
    return words(before, ", ".join([_mode(mode) for mode in node.modes]))


_NO_VARIABLES = keywords(
    """
    ALL CREATE REDACTED COLUMNS PRIVILEGES DEFAULT ROLE INSPECT TIME TRANSACTION SESSION LOCAL
    NAMES SCHEMA TABLES VIEWS MATERIALIZED SOURCES SUBSOURCES SINKS INDEXES INDEX INDICES KEYS
    TYPES ROLES USERS CLUSTERS SECRETS CONNECTIONS DATABASES SCHEMAS FUNCTIONS NETWORK
    OBJECTS
    """
)


def variable(of: str) -> str:
    """Return a variable's name; one that begins a SHOW of something else is quoted."""
    first, *others = of.split(".")
    head = f'"{first}"' if first.upper() in _NO_VARIABLES else quote(first)
    return ".".join([head, *[quote(other) for other in others]])


def values(w: Writer, of: tuple[Node, ...]) -> str:
    """Return a variable's new value."""
    return w.nodes(of) if of else "DEFAULT"


def _set(w: Writer, node: SetVariable) -> str:
    return f"SET {when(node.local, 'LOCAL ')}{variable(node.name)} TO {values(w, node.values)}"


def _reset(w: Writer, node: ResetVariable) -> str:
    return f"RESET {'ALL' if node.name is None else variable(node.name)}"


def _system_set(w: Writer, node: AlterSystemSet) -> str:
    return f"ALTER SYSTEM SET {variable(node.name)} TO {values(w, node.values)}"


def _system_reset(w: Writer, node: AlterSystemReset) -> str:
    return f"ALTER SYSTEM RESET {'ALL' if node.name is None else variable(node.name)}"


def _raise(w: Writer, node: Raise) -> str:
    return words("RAISE", node.level, None if node.message is None else w.string(node.message))


# --- SHOW -----------------------------------------------------------------------------------------


def plural(kind: ObjectKind) -> str:
    """Return a kind's plural in SQL."""
    if kind is ObjectKind.NETWORK_POLICY:
        return "NETWORK POLICIES"
    return kind.value + ("ES" if kind is ObjectKind.INDEX else "S")


def _show_objects(w: Writer, node: ShowObjects) -> str:
    cluster = None if node.in_cluster is None else f"IN CLUSTER {quote(node.in_cluster)}"
    return (
        f"SHOW {plural(node.kind)}"
        + w.optional("FROM ", node.container)
        + w.optional("ON ", node.on)
        + (f" {cluster}" if cluster else "")
        + w.optional("", node.filter)
    )


def _show_privileges(w: Writer, node: ShowPrivileges) -> str:
    on = ""
    if node.on is not None:
        on = " ON " + ("SYSTEM" if node.on is ObjectKind.SYSTEM else plural(node.on))
    role = "" if node.role is None else f" FOR {quote(node.role)}"
    default = when(node.default, "DEFAULT ")
    return f"SHOW {default}PRIVILEGES{on}{role}{w.optional('', node.filter)}"


def _show_membership(w: Writer, node: ShowRoleMembership) -> str:
    role = "" if node.role is None else f" FOR {quote(node.role)}"
    return f"SHOW ROLE MEMBERSHIP{role}{w.optional('', node.filter)}"


def _show_create(w: Writer, node: ShowCreate) -> str:
    return f"SHOW {when(node.redacted, 'REDACTED ')}CREATE {node.kind} {name(node.name)}"


# --- EXPLAIN --------------------------------------------------------------------------------------


def _format(chosen: ExplainFormat | None) -> str:
    return "" if chosen is None else f" AS {chosen}"


def _explain_plan(w: Writer, node: ExplainPlan) -> str:
    stage = "" if node.stage is None else f" {node.stage}"
    options = with_options(w, node.options)
    written = stage or options or node.format
    chosen = _format(node.format)
    return f"EXPLAIN{stage}{options}{chosen}{when(written, ' FOR')} {w.node(node.what)}"


def _explain_object(w: Writer, node: ExplainObject) -> str:
    return f"{when(node.replan, 'REPLAN ')}{node.kind} {name(node.name)}"


def _explain_sink(w: Writer, node: ExplainSinkSchema) -> str:
    side = "KEY" if node.key else "VALUE"
    return f"EXPLAIN {side} SCHEMA{_format(node.format)} FOR {w.node(node.statement)}"


def _explain_analyze(w: Writer, node: ExplainAnalyze) -> str:
    cluster = when(node.what is None, "CLUSTER ")
    properties = ", ".join(node.properties)
    skew, sql = when(node.skew, " WITH SKEW"), when(node.as_sql, " AS SQL")
    return f"EXPLAIN ANALYZE {cluster}{properties}{skew}{w.optional('FOR ', node.what)}{sql}"


def _set_constraints(w: Writer, node: SetConstraints) -> str:
    which = w.nodes(node.names) if node.names else "ALL"
    return f"SET CONSTRAINTS {which} {'DEFERRED' if node.deferred else 'IMMEDIATE'}"


RULES: Rules = {
    AlterSystemReset: _system_reset,
    AlterSystemSet: _system_set,
    Assignment: _assignment,
    Close: lambda w, node: f"CLOSE {_name_or_all(node.name)}",
    Commit: lambda w, node: "COMMIT" + when(node.chain, " AND CHAIN"),
    Copy: _copy,
    Deallocate: lambda w, node: f"DEALLOCATE {_name_or_all(node.name)}",
    Declare: _declare,
    Delete: _delete,
    Discard: lambda w, node: f"DISCARD {node.target}",
    SetConstraints: _set_constraints,
    Execute: _execute,
    ExplainAnalyze: _explain_analyze,
    ExplainFilterPushdown: lambda w, node: f"EXPLAIN FILTER PUSHDOWN FOR {w.node(node.what)}",
    ExplainObject: _explain_object,
    ExplainPlan: _explain_plan,
    ExplainSinkSchema: _explain_sink,
    ExplainTimestamp: lambda w, node: (
        f"EXPLAIN TIMESTAMP{_format(node.format)} FOR {w.node(node.query)}"
    ),
    Fetch: _fetch,
    Insert: _insert,
    InspectShard: lambda w, node: f"SHOW INSPECT SHARD {w.string(node.shard)}",
    Merge: _merge,
    MergeClause: _merge_clause,
    OnConflict: _on_conflict,
    Prepare: _prepare,
    Raise: _raise,
    ResetVariable: _reset,
    Rollback: lambda w, node: "ROLLBACK" + when(node.chain, " AND CHAIN"),
    RollbackTo: lambda w, node: f"ROLLBACK TO SAVEPOINT {quote(node.name)}",
    Savepoint: lambda w, node: f"SAVEPOINT {quote(node.name)}",
    ReleaseSavepoint: lambda w, node: f"RELEASE SAVEPOINT {quote(node.name)}",
    SetTransaction: _set_transaction,
    SetVariable: _set,
    ShowColumns: lambda w, node: (
        f"SHOW COLUMNS FROM {name(node.relation)}{w.optional('', node.filter)}"
    ),
    ShowCreate: _show_create,
    ShowLike: lambda w, node: f"LIKE {w.string(node.pattern)}",
    ShowObjects: _show_objects,
    ShowPrivileges: _show_privileges,
    ShowRoleMembership: _show_membership,
    ShowVariable: lambda w, node: f"SHOW {'ALL' if node.name is None else variable(node.name)}",
    ShowWhere: lambda w, node: f"WHERE {w.node(node.condition)}",
    StartTransaction: _start,
    Subscribe: _subscribe,
    Truncate: lambda w, node: "TRUNCATE " + ", ".join(name(table) for table in node.tables),
    Update: _update,
}
