"""COPY … TO STDOUT and COPY … FROM STDIN."""

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.data_errors import raise_fields
from headwater.adapter.sequencer.insert import add_rows, total, writable_table
from headwater.adapter.sequencer.read import session_values
from headwater.adapter.sequencer.select import result_columns, select_source
from headwater.adapter.sequencer.subscribe import start_subscribe
from headwater.adapter.session import Session
from headwater.adapter.variables import bytes_count
from headwater.catalog.items import Table
from headwater.errors import FeatureNotSupported, InvalidTransactionState
from headwater.ir.relation import Constant, ConstantError
from headwater.ir.scalar import LiteralError
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.sql.lower.substitute import substitute_unmaterializable, unmaterializable_of
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.pipeline import optimize
from headwater.sql.plan.hir import (
    ColumnRef,
    HirConstant,
    HirFilter,
    HirMap,
    HirProject,
    HirRelation,
)
from headwater.sql.plan.statements import (
    CopyFormat,
    CopyFormatKind,
    CopyFromPlan,
    CopyToPlan,
    Planned,
    SelectPlan,
)
from headwater.types.time import TIMESTAMP_MIN

_FORMATS: dict[CopyFormatKind, "p.CopyFormat"] = {
    CopyFormatKind.TEXT: p.CopyFormat("text"),
    CopyFormatKind.CSV: p.CopyFormat("csv"),
    CopyFormatKind.BINARY: p.CopyFormat("binary"),
}


class CopyIn:
    """A running COPY FROM."""

    def __init__(self, plan: CopyFromPlan, table: Table) -> None:
        self.plan = plan
        self.table = table
        self.count = 0


def wire_format(format: CopyFormat, row_bytes_max: int = 0) -> p.CopyFormat:
    """Return COPY's options as the front takes them. Raises: FeatureNotSupported."""
    known = _FORMATS.get(format.format)
    if known is None:
        raise FeatureNotSupported(f"COPY in format {format.format.value} to or from the client")
    return p.CopyFormat(
        format=known.format,
        delimiter=format.delimiter,
        null=format.null,
        quote=format.quote,
        escape=format.escape,
        header=format.header,
        header_match=format.header_match,
        force_quote=format.force_quote,
        force_not_null=format.force_not_null,
        force_null=format.force_null,
        row_bytes_max=row_bytes_max,
    )


async def sequence_copy_to(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: CopyToPlan,
) -> p.ExecuteReply:
    """Answer COPY … TO STDOUT, of a query or a subscription."""
    inner = plan.plan
    if isinstance(inner, SelectPlan):
        source: p.StreamSource = await select_source(coord, session, request, planned, inner)
    else:
        source = await start_subscribe(coord, session, request, planned, inner)
    columns = result_columns(inner.desc)
    return p.CopyOut(columns=columns, source=source, format=wire_format(plan.format))


async def sequence_copy_from(
    coord: Coordinator, session: Session, plan: CopyFromPlan
) -> p.ExecuteReply:
    """Answer COPY … FROM STDIN: the front parses what the client sends."""
    table = writable_table(coord, plan.id)
    row_bytes_max = bytes_count(session.variables.get("max_copy_from_row_size"))
    session.transaction.queried = True
    session.transaction.admit_write("COPY FROM")
    session.copy = CopyIn(plan, table)
    return p.CopyIn(
        table=table.name,
        columns=result_columns(plan.input_desc),
        format=wire_format(plan.format, row_bytes_max),
    )


async def copy_data(coord: Coordinator, session: Session, rows: bytes) -> None:
    """Take in a batch of rows of the running COPY FROM: they are part of the transaction.

    Raises: NotNullViolation, CheckViolation, UniqueViolation, and what a default raises.
    """
    running = session.copy
    if not isinstance(running, CopyIn):
        raise InvalidTransactionState("no COPY is running")
    plan = running.plan
    if not _is_identity(plan):
        rows = _evaluate(coord, session, plan, rows)
    running.count += total(rows)
    await add_rows(coord, session, running.table, rows)


def copy_done(session: Session) -> p.Command:
    """End the running COPY FROM well."""
    running, session.copy = session.copy, None
    if not isinstance(running, CopyIn):
        raise InvalidTransactionState("no COPY is running")
    return p.Command(tag=f"COPY {running.count}")


def _is_identity(plan: CopyFromPlan) -> bool:
    """Return whether input rows are the table's rows as they are."""
    return (
        plan.where is None
        and len(plan.columns) == plan.input_desc.arity
        and all(
            isinstance(column, ColumnRef) and column.level == 0 and column.index == position
            for position, column in enumerate(plan.columns)
        )
    )


def _evaluate(coord: Coordinator, session: Session, plan: CopyFromPlan, rows: bytes) -> bytes:
    """Return the table's rows: defaults, coercions and null checks over the input rows."""
    given = tuple((row, diff) for row, _, diff in flat.updates(rows))
    width = plan.input_desc.arity
    query: HirRelation = HirProject(
        HirMap(HirConstant(given, plan.input_desc), plan.columns),
        tuple(range(width, width + len(plan.columns))),
    )
    if plan.where is not None:
        query = HirFilter(query, (plan.where,))
    relation = coord.planner.relation(query)
    if unmaterializable_of(relation):
        relation = substitute_unmaterializable(relation, session_values(coord, session))
    folded = optimize(relation, OptimizerContext())
    if isinstance(folded, ConstantError) and isinstance(folded.error, LiteralError):
        raise_fields(folded.error.error)
    if not isinstance(folded, Constant):
        raise FeatureNotSupported("COPY FROM needs values that only a query can compute")
    return flat.build((row, TIMESTAMP_MIN, diff) for row, diff in folded.rows)
