"""PREPARE, EXECUTE, DEALLOCATE; DECLARE, FETCH, CLOSE."""

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.read import is_alone, session_values
from headwater.adapter.sequencer.select import result_columns, select_source
from headwater.adapter.sequencer.subscribe import start_subscribe
from headwater.adapter.session import PreparedStatement, Session
from headwater.errors import (
    DuplicateCursor,
    DuplicatePreparedStatement,
    FeatureNotSupported,
    InvalidCursorName,
    NoActiveSqlTransaction,
    SyntaxError_,
)
from headwater.ir.functions import CastContext
from headwater.pgwire import protocol as p
from headwater.sql.ast.printer import to_sql
from headwater.sql.ast.statement import ParsedStatement
from headwater.sql.plan.statements import (
    ClosePlan,
    DeallocatePlan,
    DeclarePlan,
    ExecutePlan,
    FetchPlan,
    Planned,
    PreparePlan,
    SelectPlan,
    SubscribePlan,
)

_US_PER_MS = 1_000


def as_parsed(node: object) -> ParsedStatement:
    """Return a statement inside another as if it had been sent by itself."""
    return ParsedStatement(node, to_sql(node), 0)  # type: ignore[arg-type]


def sequence_prepare(session: Session, plan: PreparePlan) -> PreparedStatement:
    """Keep a statement under a name. Raises: DuplicatePreparedStatement."""
    if plan.name in session.names:
        raise DuplicatePreparedStatement(f'prepared statement "{plan.name}" already exists')
    statement = session.add_statement(as_parsed(plan.statement), plan.param_types, name=plan.name)
    session.prepared_by_sql.append(statement)
    return statement


def sequence_deallocate(session: Session, plan: DeallocatePlan) -> p.ExecuteReply:
    """Answer DEALLOCATE."""
    if plan.name is None:
        for name in list(session.names):
            session.drop_statement(session.names[name])
        session.deallocated = None
        return p.Command(tag="DEALLOCATE ALL")
    session.drop_statement(session.named(plan.name).handle)
    if session.deallocated is not None:
        session.deallocated.append(plan.name)
    return p.Command(tag="DEALLOCATE")


def execute_arguments(
    coord: Coordinator, session: Session, plan: ExecutePlan, planned: Planned
) -> tuple[bytes | None, ...]:
    """Return EXECUTE's arguments as values of the statement's parameters.

    Raises: SyntaxError_ where there are too few or too many.
    """
    wanted = planned.param_types
    if len(plan.arguments) != len(wanted):
        raise SyntaxError_(
            f'wrong number of parameters for prepared statement "{plan.name}"',
            detail=f"Expected {len(wanted)} parameters but got {len(plan.arguments)}.",
        )
    values = session_values(coord, session)
    datums: list[bytes | None] = []
    for argument, type_ in zip(plan.arguments, wanted, strict=True):
        coerced = coord.planner.coerced(argument, type_, CastContext.ASSIGNMENT)
        literal = coord.planner.constant(coerced, values=values)
        datums.append(None if literal.data == b"\xfe" else literal.data)
    return tuple(datums)


async def sequence_declare(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    plan: DeclarePlan,
    inner: Planned,
) -> p.ExecuteReply:
    """Answer DECLARE: the cursor's rows are fetched by the front."""
    transaction = session.transaction
    if is_alone(session, last=request.sync):
        raise NoActiveSqlTransaction("DECLARE CURSOR can only be used in transaction blocks")
    if plan.name in transaction.cursors:
        raise DuplicateCursor(f'cursor "{plan.name}" already exists')
    match inner.plan:
        case SelectPlan():
            source: p.StreamSource = await select_source(coord, session, request, inner, inner.plan)
        case SubscribePlan():
            source = await start_subscribe(
                coord, session, request, inner, inner.plan, of_cursor=True
            )
        case _:
            raise FeatureNotSupported("a cursor can be declared for SELECT and SUBSCRIBE only")
    columns = result_columns(inner.plan.desc)
    transaction.cursors[plan.name] = columns
    return p.DeclareCursor(name=plan.name, columns=columns, source=source)


def check_columns(session: Session, statement: PreparedStatement, plan: FetchPlan) -> None:
    """Refuse a prepared FETCH whose cursor has other columns now. Raises: FeatureNotSupported."""
    columns = session.transaction.cursors.get(plan.name)
    if statement.fetched is not None and columns is not None and columns != statement.fetched:
        raise FeatureNotSupported("cached plan must not change result type")


def sequence_fetch(session: Session, plan: FetchPlan) -> p.ExecuteReply:
    """Answer FETCH; the front knows the cursor and its columns."""
    session.transaction.check_alive()
    if plan.name in session.transaction.closed_cursors:
        raise InvalidCursorName(f'cursor "{plan.name}" does not exist')
    timeout = None if plan.timeout_us is None else plan.timeout_us // _US_PER_MS
    source = p.FetchSource(cursor=plan.name, count=plan.count, timeout_ms=timeout)
    return p.Rows(source=source, columns=None, tag="FETCH")


def sequence_close(session: Session, plan: ClosePlan) -> p.ExecuteReply:
    """Answer CLOSE."""
    if plan.name is None:
        session.transaction.cursors.clear()
    else:
        session.transaction.cursors.pop(plan.name, None)
    return p.CloseCursor(name=plan.name)
