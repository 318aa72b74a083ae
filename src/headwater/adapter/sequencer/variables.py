"""SET, RESET, SHOW of variables, DISCARD, RAISE."""

from collections.abc import Sequence

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.drop import drop_temporary
from headwater.adapter.sequencer.inline import text_answer, text_desc
from headwater.adapter.sequencer.read import literals
from headwater.adapter.sequencer.roles import become
from headwater.adapter.session import Session, notice
from headwater.adapter.transactions import Kind
from headwater.adapter.variables import (
    ROLE,
    SESSION_AUTHORIZATION,
    SessionVariables,
    find_variable,
)
from headwater.errors import ActiveSqlTransaction, NullValueNotAllowed
from headwater.ir.literals import literal_bool, literal_text
from headwater.pgwire import protocol as p
from headwater.sql.plan.statements import (
    DiscardPlan,
    DiscardTarget,
    Planned,
    RaisePlan,
    ResetVariablePlan,
    SetConfigPlan,
    SetVariablePlan,
    ShowAllVariablesPlan,
    ShowVariablePlan,
)

_WEAK_LEVELS = ("read uncommitted", "read committed", "repeatable read")


def sequence_set(coord: Coordinator, session: Session, plan: SetVariablePlan) -> p.ExecuteReply:
    """Answer SET."""
    if plan.local and session.transaction.implicit:
        session.notify(
            notice("SET LOCAL can only be used in transaction blocks", "25P01", "WARNING")
        )
    _set(coord, session, plan.name, plan.values, local=plan.local)
    return p.Command(tag="SET")


def _set(
    coord: Coordinator,
    session: Session,
    given: str,
    values: Sequence[str] | None,
    *,
    local: bool,
) -> str:
    """Set a variable, to its default where there are no values. Returns: its name."""
    name = find_variable(given).name
    _check_change(session, name)
    if name in (ROLE, SESSION_AUTHORIZATION):
        become(coord, session, name, values, local=local)
    elif values is None:
        session.variables.reset(name, local=local)
    else:
        session.variables.set(name, values, local=local)
    session.settings_version += 1
    _warn_missing(coord, session, name)
    level = session.variables.get("transaction_isolation")
    if name == "transaction_isolation" and level in _WEAK_LEVELS:
        session.notify(notice(f"transaction isolation level {level} is served as serializable"))
    return name


def sequence_set_config(
    coord: Coordinator, session: Session, request: p.Execute, planned: Planned, plan: SetConfigPlan
) -> p.ExecuteReply:
    """Answer ``SELECT set_config(…)``: the values as they are then."""
    params = literals(request.params, planned.param_types)
    made: list[str | None] = []
    for setting in plan.settings:
        name = literal_text(coord.planner.constant(setting.name, params))
        value = literal_text(coord.planner.constant(setting.value, params))
        if name is None:
            raise NullValueNotAllowed("SET requires parameter name")
        local = literal_bool(coord.planner.constant(setting.local, params)) or False
        found = _set(coord, session, name, None if value is None else (value,), local=local)
        made.append(session.variables.get(found))
    return text_answer("SELECT 1", plan.desc, [made])


def _check_change(session: Session, name: str) -> None:
    """Refuse what can't change between a transaction's statements."""
    if session.transaction.implicit or session.transaction.kind is Kind.NONE:
        return
    if name in ("cluster", "cluster_replica"):
        raise ActiveSqlTransaction(f"SET {name} cannot be called in an active transaction")
    if name == "transaction_isolation":
        raise ActiveSqlTransaction(
            "SET TRANSACTION ISOLATION LEVEL must be called before any query"
        )


def _warn_missing(coord: Coordinator, session: Session, name: str) -> None:
    """Warn where the current database, cluster or schema does not exist."""
    if not session.variables.flag("current_object_missing_warnings"):
        return
    snapshot = coord.snapshot
    if name == "database" and all(d.name != session.database for d in snapshot.databases.values()):
        session.notify(notice(f'database "{session.database}" does not exist', "MZ006"))
    elif name == "cluster" and snapshot.try_cluster(session.cluster) is None:
        session.notify(notice(f'cluster "{session.cluster}" does not exist', "MZ007"))
    elif name == "search_path":
        found = [snapshot.try_schema(n, session.database) for n in session.search_path]
        if not any(found):
            session.notify(notice("no schema in the search path exists", "MZ008"))


def sequence_reset(coord: Coordinator, session: Session, plan: ResetVariablePlan) -> p.ExecuteReply:
    """Answer RESET."""
    if plan.name is None:
        session.variables.reset_all()
    else:
        _set(coord, session, plan.name, None, local=False)
    session.settings_version += 1
    return p.Command(tag="RESET")


def sequence_show(session: Session, plan: ShowVariablePlan) -> p.ExecuteReply:
    """Answer SHOW of one variable."""
    variable = find_variable(plan.name)
    value = session.variables.get(variable.name)
    if variable.name == "transaction_isolation":
        value = session.isolation()
    elif variable.name == "transaction_read_only":
        value = "on" if session.transaction.read_only else "off"
    return text_answer("SHOW", text_desc(variable.name), [[value]])


def sequence_show_all(variables: SessionVariables, plan: ShowAllVariablesPlan) -> p.ExecuteReply:
    """Answer SHOW ALL."""
    del plan
    return text_answer("SHOW", text_desc("name", "setting", "description"), variables.show_all())


async def sequence_discard(
    coord: Coordinator, session: Session, plan: DiscardPlan
) -> p.ExecuteReply:
    """Answer DISCARD. ALL also forgets prepared statements; cursors end with transactions.

    There are no sequences, and plans are made anew by themselves where they have to be.
    """
    if plan.target is DiscardTarget.ALL:
        session.transaction.admit_alone("DISCARD ALL")
    if plan.target in (DiscardTarget.ALL, DiscardTarget.TEMP):
        await drop_temporary(coord, session)
    if plan.target is DiscardTarget.ALL:
        session.become(None, as_login=True, local=False)
        session.variables.reset_all()
        for handle in [h for h, s in session.statements.items() if not s.once]:
            session.drop_statement(handle)
        session.deallocated = None
        session.settings_version += 1
    return p.Command(tag=f"DISCARD {plan.target.value}")


def sequence_set_constraints(session: Session) -> p.ExecuteReply:
    """Answer SET CONSTRAINTS: there is nothing that could be deferred."""
    if session.transaction.implicit:
        said = "SET CONSTRAINTS can only be used in transaction blocks"
        session.notify(notice(said, "25P01", "WARNING"))
    return p.Command(tag="SET CONSTRAINTS")


def sequence_raise(session: Session, plan: RaisePlan) -> p.ExecuteReply:
    """Answer RAISE."""
    session.notify(notice(plan.message, severity=plan.severity.upper()))
    return p.Command(tag="RAISE")
