"""How sampled executions end: by an answer, by the front's word, by an error."""

import asyncio

from headwater.adapter import statement_rows as s
from headwater.adapter.session import Session
from headwater.adapter.statement_log import StatementLog
from headwater.adapter.statement_rows import SampledExecution
from headwater.errors import ErrorFields, QueryCanceled
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.pgwire.session_api import fields_of

# The key of a running COPY FROM among a session's unfinished executions; requests are above 0.
COPY_IN = -1


def answered(
    log: StatementLog,
    session: Session,
    execution: SampledExecution,
    request: int,
    reply: p.ExecuteReply,
) -> None:
    """Note the reply to a request; where rows are still to come, the execution goes on."""
    match reply:
        case p.CopyIn():
            execution.strategy = None
            session.unfinished[COPY_IN] = execution
        case p.Rows(source=source) | p.CopyOut(source=source):
            _answered_by(log, session, execution, request, source)
        case _:
            execution.strategy = None
            log.finish(execution, s.SUCCESS)


def _answered_by(
    log: StatementLog,
    session: Session,
    execution: SampledExecution,
    request: int,
    source: p.RowSource,
) -> None:
    match source:
        case p.InlineRows():
            execution.strategy = s.CONSTANT
            rows, size = _measured(source)
            log.finish(execution, s.SUCCESS, rows=rows, result_bytes=size)
        case p.PeekSource():
            session.unfinished[request] = execution
        case p.SubscribeSource():
            execution.strategy = None
            session.unfinished[request] = execution
        case p.FetchSource():  # what the front takes of a cursor it does not tell
            execution.strategy = None
            log.finish(execution, s.SUCCESS)


def _measured(source: p.InlineRows) -> tuple[int, int | None]:
    """Return how many rows go out, and their bytes if it is all of them."""
    found = sum(flat.diffs(source.rows))
    size = len(source.rows) - flat.HEADER_BYTES - flat.count(source.rows) * flat.UPDATE_BYTES
    rows, finishing = found, source.finishing
    if finishing is not None:
        rows = max(rows - finishing.offset, 0)
        rows = rows if finishing.limit is None else min(rows, finishing.limit)
    return rows, max(size, 0) if rows == found else None


def completed(log: StatementLog, session: Session, event: p.Complete) -> None:
    """Note that the rows of an answer have been read, or are not wanted any more.

    Of errors among the rows only the code is told here.
    """
    execution = session.unfinished.pop(event.execution, None)
    if execution is None:
        return
    match event.outcome:
        case "done":
            log.finish(execution, s.SUCCESS, rows=event.rows)
        case "failed":
            log.finish(execution, s.ERROR, message=f"SQLSTATE {event.sqlstate}")
        case _:
            log.finish(execution, s.CANCELED)


def failed(log: StatementLog, execution: SampledExecution, error: BaseException) -> None:
    """Note what a statement has raised."""
    if isinstance(error, asyncio.CancelledError | QueryCanceled):
        log.finish(execution, s.CANCELED)
    else:
        log.finish(execution, s.ERROR, message=fields_of(error).message)


def copy_ended(log: StatementLog, session: Session, error: ErrorFields | None) -> None:
    """Note that a COPY FROM is over, if one runs; None: it has ended well."""
    execution = session.unfinished.pop(COPY_IN, None)
    if execution is None:
        return
    if error is None:
        log.finish(execution, s.SUCCESS)
    elif error.sqlstate == QueryCanceled.sqlstate:
        log.finish(execution, s.CANCELED)
    else:
        log.finish(execution, s.ERROR, message=error.message)


def abandoned(log: StatementLog, session: Session) -> None:
    """Note that the client is gone, and with it whoever would read the rest."""
    for execution in session.unfinished.values():
        log.finish(execution, s.CANCELED)
    session.unfinished.clear()
