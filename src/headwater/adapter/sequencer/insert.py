"""INSERT of known rows: a blind write, buffered until the transaction commits."""

from collections.abc import Iterable

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.read import (
    collect,
    identity_finishing,
    is_alone,
    literals,
    plan_read,
)
from headwater.adapter.sequencer.select import result_columns
from headwater.adapter.session import Session
from headwater.catalog.items import Table
from headwater.errors import FeatureNotSupported, WrongObjectType
from headwater.ir.rows import split_row
from headwater.ir.typing import arity
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.sql.plan.statements import InsertPlan, Planned
from headwater.types.ids import GlobalId
from headwater.types.time import TIMESTAMP_MIN


async def sequence_insert(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: InsertPlan,
) -> p.ExecuteReply:
    """Answer an INSERT of rows that read no relation."""
    if plan.on_conflict is not None:
        raise FeatureNotSupported("ON CONFLICT is not supported")
    table = writable_table(coord, plan.id)
    session.transaction.admit_write("INSERT")
    params = literals(request.params, planned.param_types)
    expr = coord.planner.relation(plan.values, params)
    read = plan_read(
        coord, session, constant_planned(planned), expr, alone=is_alone(session, last=request.sync)
    )
    rows = await collect(coord, session, read, identity_finishing(arity(expr)))
    width = plan.table_desc.arity
    if plan.returning is None:
        session.transaction.add_writes(table.id, rows)
        return p.Command(tag=f"INSERT 0 {total(rows)}")
    written, returned = split_columns(rows, width, plan.returning.desc.arity)
    session.transaction.add_writes(table.id, written)
    return p.Rows(
        source=p.InlineRows(rows=returned),
        columns=result_columns(plan.returning.desc),
        tag="INSERT 0",
    )


def constant_planned(planned: Planned) -> Planned:
    """Return ``planned`` for a read of its values alone: they mention no relation."""
    return Planned(
        plan=planned.plan,
        param_types=planned.param_types,
        target_cluster=planned.target_cluster,
        target_replica=planned.target_replica,
    )


def writable_table(coord: Coordinator, id: GlobalId) -> Table:
    """Return the table that a statement writes to. Raises: WrongObjectType."""
    item = coord.snapshot.item(id)
    if not isinstance(item, Table) or not item.is_writable:
        raise WrongObjectType(f'cannot change {item.kind.noun} "{item.name}": it is read-only')
    return item


def total(rows: bytes) -> int:
    """Return the number of rows in a flat batch, multiplicities counted."""
    return sum(diff for _, _, diff in flat.updates(rows))


def split_columns(rows: bytes, width: int, last: int) -> tuple[bytes, bytes]:
    """Return the first ``width`` columns, and the last ``last``, as flat batches."""
    first: list[flat.Update] = []
    rest: list[flat.Update] = []
    for row, _, diff in flat.updates(rows):
        datums = split_row(row)
        first.append((b"".join(datums[:width]), TIMESTAMP_MIN, diff))
        rest.append((b"".join(datums[len(datums) - last :]), TIMESTAMP_MIN, diff))
    return flat.build(first), flat.build(rest)


def negated(rows: Iterable[flat.Update]) -> list[flat.Update]:
    """Return updates with their diffs negated."""
    return [(row, time, -diff) for row, time, diff in rows]
