"""INSERT of known rows: a blind write, buffered until the transaction commits."""

from collections.abc import Iterable, Mapping

import msgspec

from headwater.adapter.altered import refusal_if_altered, unless_altered
from headwater.adapter.constraints import check_rows
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.read import (
    collect,
    identity_finishing,
    is_alone,
    literals,
    plan_read,
)
from headwater.adapter.sequencer.select import result_columns
from headwater.adapter.session import RowTemplate, Session
from headwater.catalog.items import Table
from headwater.errors import FeatureNotSupported, WrongObjectType
from headwater.ir.linear import extract
from headwater.ir.relation import Constant, RelationExpr
from headwater.ir.rows import split_row
from headwater.ir.scalar import Literal, Parameter, UnmaterializableFunc
from headwater.ir.typing import arity
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.sql.lower.substitute import unmaterializable_of
from headwater.sql.plan.statements import DoNothing, InsertPlan, Planned, ReturningPlan
from headwater.types.ids import GlobalId, ShardId
from headwater.types.time import TIMESTAMP_MIN, Timestamp


async def sequence_insert(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: InsertPlan,
) -> p.ExecuteReply:
    """Answer an INSERT of rows that read no relation."""
    table = writable_table(coord, plan.id)
    session.transaction.queried = True
    session.transaction.admit_write("INSERT")
    params = literals(request.params, planned.param_types)
    expr = coord.planner.relation(plan.values, params)
    refuse_mz_now(coord, expr)
    alone = is_alone(session, last=request.sync)
    read = await plan_read(coord, session, constant_planned(planned), expr, alone=alone)
    rows = await collect(coord, session, read, identity_finishing(arity(expr)))
    if plan.on_conflict is not None:
        rows = await insert_free(coord, session, table, rows, plan.on_conflict, alone=alone)
    else:
        await add_rows(coord, session, table, first_columns(rows, table.desc.arity))
    return inserted(rows, plan.returning)


def inserted(rows: bytes, returning: ReturningPlan | None) -> p.ExecuteReply:
    """Return the answer to an INSERT of ``rows``, RETURNING's columns last."""
    if returning is None:
        return p.Command(tag=f"INSERT 0 {total(rows)}")
    _, returned = split_columns(rows, 0, returning.desc.arity)
    return p.Rows(
        source=p.InlineRows(rows=returned), columns=result_columns(returning.desc), tag="INSERT 0"
    )


async def add_rows(coord: Coordinator, session: Session, table: Table, rows: bytes) -> None:
    """Make a statement's updates of a table part of the transaction.

    Raises: NotNullViolation, CheckViolation, UniqueViolation.
    """
    check_rows(table, rows)
    keys = coord.group_commit.keys
    if keys.has(table.shard):
        keys.note(table)
        await keys.load([table.shard])
        unless_altered(coord, [table], adds_only=False)
        keys.admit_pending(table.shard, rows, session.transaction.pending_keys)
    session.transaction.add_writes(table, rows)


class ReadAt(msgspec.Struct, frozen=True):
    """When tables were read that must not have changed since; whose locks do not count."""

    times: dict[ShardId, Timestamp]
    owner: object = None


async def insert_free(
    coord: Coordinator,
    session: Session,
    table: Table,
    rows: bytes,
    conflict: DoNothing,
    *,
    alone: bool,
    read_at: "ReadAt | None" = None,
) -> bytes:
    """Insert those of ``rows`` that meet no other (ON CONFLICT DO NOTHING); return them.

    Alone, a statement decides as it commits. Otherwise it decides now, and COMMIT fails if the
    table has changed by then: a row that stood in the way may be gone. ``read_at``: where the rows
    come from.

    Raises: WriteConflict where what was read has changed.
    """
    width = table.desc.arity
    check_rows(table, first_columns(rows, width))
    keys = coord.group_commit.keys
    if not keys.has(table.shard):
        await add_rows(coord, session, table, first_columns(rows, width))
        return rows
    if not alone:
        await keys.load([table.shard])
        unless_altered(coord, [table], adds_only=False)
        ts = coord.oracle.read_ts()
        pending = session.transaction.pending_keys
        free = keys.free(table.shard, rows, conflict.arbiter, pending)
        await add_rows(coord, session, table, first_columns(free, width))
        session.transaction.add_read_for_write({table.id}, ts)
        return free
    free = flat.EMPTY

    def resolve() -> Mapping[ShardId, bytes]:
        nonlocal free
        free = keys.free(table.shard, rows, conflict.arbiter)
        return {table.shard: first_columns(free, width)}

    ts = await coord.group_commit.write(
        {table.shard: flat.EMPTY},
        resolve=resolve,
        unless_written_since=None if read_at is None else read_at.times,
        owner=None if read_at is None else read_at.owner,
        refusal=refusal_if_altered(coord, [table], adds_only=False),
    )
    session.last_ts = max(session.last_ts, ts)
    return free


def refuse_mz_now(coord: Coordinator, expr: RelationExpr) -> None:
    """Refuse a write of the time that it is read at. Raises: FeatureNotSupported."""
    inlined = coord.planner.world(coord.snapshot, None).inline(expr)
    if UnmaterializableFunc.MZ_NOW in unmaterializable_of(inlined):
        raise FeatureNotSupported("calls to mz_now in write statements are not supported")


def row_template(coord: Coordinator, plan: InsertPlan) -> RowTemplate | None:
    """Return how to make the one row of a prepared INSERT from its parameters, without planning.

    None where a value is more than a parameter or a literal, or there are several rows.
    """
    if plan.returning is not None or plan.on_conflict is not None:
        return None
    world = coord.planner.world(coord.snapshot, None)
    expr = coord.planner.relation(plan.values)
    if unmaterializable_of(expr):
        return None
    linear, inner = extract(coord.planner.optimize(expr, world))
    if not isinstance(inner, Constant) or inner.rows != ((b"", 1),) or linear.predicates:
        return None
    items: list[int | bytes] = []
    for column in range(len(linear.outputs)):
        match linear.output(column):
            case Literal(data=data):
                items.append(data)
            case Parameter(number=number):
                items.append(number - 1)
            case _:
                return None
    return tuple(items)


async def insert_template(
    coord: Coordinator,
    session: Session,
    planned: Planned,
    plan: InsertPlan,
    template: RowTemplate,
    params: tuple[bytes | None, ...],
) -> p.ExecuteReply:
    """Answer an INSERT whose row is made of parameters and literals alone."""
    table = writable_table(coord, plan.id)
    session.transaction.queried = True
    session.transaction.admit_write("INSERT")
    values = literals(params, planned.param_types)
    row = b"".join(values[i].data if isinstance(i, int) else i for i in template)
    await add_rows(coord, session, table, flat.build(((row, TIMESTAMP_MIN, 1),)))
    return p.Command(tag="INSERT 0 1")


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
    return sum(flat.diffs(rows))


def first_columns(rows: bytes, width: int) -> bytes:
    """Return the first ``width`` columns of rows that may have RETURNING's behind them."""
    for row, _, _ in flat.updates(rows):
        if len(split_row(row)) == width:
            return rows
        break
    return split_columns(rows, width, 0)[0]


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
