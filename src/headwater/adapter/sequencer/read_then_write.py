"""UPDATE, DELETE, INSERT … SELECT: read at a time, write the difference, if nobody wrote between.

Outside of BEGIN a lost race is tried again, the second time with the tables locked. In an explicit
transaction the writes wait for COMMIT, which fails with 40001 if what was read has changed.
"""

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.group_commit import WriteConflict
from headwater.adapter.sequencer.insert import (
    negated,
    refuse_mz_now,
    split_columns,
    total,
    writable_table,
)
from headwater.adapter.sequencer.read import collect, literals, plan_read
from headwater.adapter.sequencer.select import result_columns
from headwater.adapter.session import Session
from headwater.catalog.items import BuiltinTable, MaterializedView, Source, Table, View
from headwater.errors import FeatureNotSupported
from headwater.ir.scalar import Literal
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.sql.plan.statements import Planned, ReadThenWritePlan, WriteKind
from headwater.types.ids import GlobalId, ShardId
from headwater.types.time import TIMESTAMP_MIN, Timestamp

_TRIES_MAX = 8


async def sequence_read_then_write(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: ReadThenWritePlan,
) -> p.ExecuteReply:
    """Answer a statement that writes what it has read."""
    if plan.on_conflict is not None or plan.write is WriteKind.MERGE:
        raise FeatureNotSupported(f"{plan.write.value} of this form is not supported")
    session.transaction.admit_write(plan.write.value)
    table = writable_table(coord, plan.id)
    tables = tables_read(coord, planned, plan)
    params = literals(request.params, planned.param_types)
    if not session.transaction.implicit or session.transaction.writes:
        rows, ts = await _read(coord, session, planned, plan, params)
        session.transaction.add_read_for_write(set(tables), ts)
        session.transaction.add_writes(table.id, difference(plan, rows))
        return _reply(plan, rows)
    shards = sorted({coord_table.shard for coord_table in tables.values()})
    for _ in range(_TRIES_MAX):
        rows, ts = await _read(coord, session, planned, plan, params)
        try:
            await _write(coord, table, rows, plan, dict.fromkeys(shards, ts), None)
        except WriteConflict:
            continue
        return _reply(plan, rows)
    async with coord.group_commit.locked(shards) as owner:
        rows, ts = await _read(coord, session, planned, plan, params)
        await _write(coord, table, rows, plan, dict.fromkeys(shards, ts), owner)
        return _reply(plan, rows)


def tables_read(
    coord: Coordinator, planned: Planned, plan: ReadThenWritePlan
) -> dict[GlobalId, Table]:
    """Return the tables a statement reads, through views.

    Raises: FeatureNotSupported for what somebody else writes: it could change unnoticed.
    """
    found: dict[GlobalId, Table] = {}
    stack = [*planned.depends_on, plan.id]
    seen: set[GlobalId] = set()
    while stack:
        id = stack.pop()
        item = coord.snapshot.try_item(id)
        if id in seen or item is None:
            continue
        seen.add(id)
        if isinstance(item, Source | MaterializedView | BuiltinTable) or (
            isinstance(item, Table) and item.source is not None
        ):
            raise FeatureNotSupported(
                f'{plan.write.value} cannot read {item.kind.noun} "{item.name}"',
                detail="A statement that writes may read tables only, "
                "and views over them: nothing else is locked against change.",
            )
        if isinstance(item, Table):
            found[id] = item
        elif isinstance(item, View):
            stack.extend(item.depends_on)
    return found


async def _read(
    coord: Coordinator,
    session: Session,
    planned: Planned,
    plan: ReadThenWritePlan,
    params: tuple[Literal, ...],
) -> tuple[bytes, Timestamp]:
    """Return the rows of the selection and the time that they are of: the newest there is."""
    expr = coord.planner.relation(plan.selection, params)
    refuse_mz_now(coord, expr)
    isolation = session.transaction.isolation
    session.transaction.isolation = "strict serializable"
    try:
        read = plan_read(coord, session, planned, expr, alone=True)
    finally:
        session.transaction.isolation = isolation
    return await collect(coord, session, read, plan.finishing), read.ts


async def _write(
    coord: Coordinator,
    table: Table,
    rows: bytes,
    plan: ReadThenWritePlan,
    read_at: dict[ShardId, Timestamp],
    owner: object,
) -> None:
    data = difference(plan, rows)
    if flat.count(data) == 0:
        return
    await coord.group_commit.write({table.shard: data}, unless_written_since=read_at, owner=owner)


def difference(plan: ReadThenWritePlan, rows: bytes) -> bytes:
    """Return the updates of the table that the selection's rows stand for."""
    width = plan.table_desc.arity
    match plan.write:
        case WriteKind.INSERT:
            return split_columns(rows, width, 0)[0] if plan.returning is not None else rows
        case WriteKind.DELETE:
            old, _ = split_columns(rows, width, 0)
            return flat.build(negated(flat.updates(old)))
        case _:
            returned = plan.returning.desc.arity if plan.returning is not None else 0
            old, rest = split_columns(rows, width, width + returned)
            new, _ = split_columns(rest, width, 0)
            changes = [*negated(flat.updates(old)), *flat.updates(new)]
            return _consolidated(changes)


def _consolidated(updates: list[flat.Update]) -> bytes:
    sums: dict[bytes, int] = {}
    for row, _, diff in updates:
        sums[row] = sums.get(row, 0) + diff
    return flat.build((row, TIMESTAMP_MIN, diff) for row, diff in sums.items() if diff)


def _reply(plan: ReadThenWritePlan, rows: bytes) -> p.ExecuteReply:
    tag = "INSERT 0" if plan.write is WriteKind.INSERT else plan.write.value
    if plan.returning is None:
        return p.Command(tag=f"{tag} {total(rows)}")
    _, returned = split_columns(rows, 0, plan.returning.desc.arity)
    return p.Rows(
        source=p.InlineRows(rows=returned), columns=result_columns(plan.returning.desc), tag=tag
    )
