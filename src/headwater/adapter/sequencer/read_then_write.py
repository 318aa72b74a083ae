"""UPDATE, DELETE, INSERT … SELECT, MERGE: read at a time, write the difference, if nobody wrote.

Alone, a statement that has lost the race is tried again, after some tries with the tables locked.
In an explicit transaction the writes wait for COMMIT, which fails with 40001 if what was read has
changed; what the transaction itself has written is read too.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from headwater.adapter.altered import refusal_if_altered, unless_altered
from headwater.adapter.constraints import check_rows
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.group_commit import WriteConflict
from headwater.adapter.planning import globals_of
from headwater.adapter.sequencer.insert import (
    ReadAt,
    add_rows,
    constant_planned,
    first_columns,
    insert_free,
    inserted,
    negated,
    refuse_mz_now,
    total,
    writable_table,
)
from headwater.adapter.sequencer.mixing import read_by, with_writes
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
from headwater.errors import CardinalityViolation, FeatureNotSupported, UniqueViolation
from headwater.ir.literals import int_datum, literal_int
from headwater.ir.relation import RowSetFinishing
from headwater.ir.rows import split_row
from headwater.ir.scalar import Literal
from headwater.ir.typing import arity
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.sql.plan.hir import HirGet, HirRelation
from headwater.sql.plan.statements import (
    Action,
    FreshRows,
    Planned,
    ReadThenWritePlan,
    TruncatePlan,
    WriteKind,
)
from headwater.types.ids import GlobalId
from headwater.types.scalar import INT8, ColumnType
from headwater.types.time import TIMESTAMP_MIN, Timestamp

_TRIES_MAX = 8
_INT8 = ColumnType(INT8, False)


class Effect(msgspec.Struct, frozen=True):
    """What a statement does to its table.

    Attributes:
        removed: Rows that go, flat, diffs positive.
        added: Rows that come.
        count: Rows affected.
        returned: RETURNING's rows.
    """

    removed: bytes
    added: bytes
    count: int
    returned: bytes = flat.EMPTY

    @property
    def updates(self) -> bytes:
        """Return the table's updates; what goes and comes again is left out."""
        if not flat.count(self.removed):
            return self.added
        changes = [*negated(flat.updates(self.removed)), *flat.updates(self.added)]
        return flat.build(
            (row, TIMESTAMP_MIN, diff) for row, _, diff in flat.consolidate(flat.build(changes))
        )


async def sequence_read_then_write(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: ReadThenWritePlan,
) -> p.ExecuteReply:
    """Answer a statement that writes what it has read."""
    session.transaction.queried = True
    session.transaction.admit_write(plan.write.value)
    table = writable_table(coord, plan.id)
    tables = tables_read(coord, planned, plan.id, plan.write.value)
    params = literals(request.params, planned.param_types)
    alone = is_alone(session, last=request.sync)

    async def read() -> tuple[bytes, Timestamp]:
        return await _read(coord, session, planned, plan.selection, plan.finishing, params)

    if plan.on_conflict is not None:
        conflict = plan.on_conflict
        if not _reads(coord, plan.selection, table.id):
            tables = {id: read for id, read in tables.items() if id != table.id}

        async def insert(owner: object) -> bytes:
            rows, ts = await read()
            read_at = ReadAt({item.shard: ts for item in tables.values()}, owner)
            if not alone:
                session.transaction.add_read_for_write(set(tables), ts)
            return await insert_free(
                coord, session, table, rows, conflict, alone=alone, read_at=read_at
            )

        return inserted(await _until_unraced(coord, tables, insert), plan.returning)

    if alone and plan.merge is not None and plan.merge.fresh is not None:
        rows = await _insert_fresh(coord, session, planned, table, plan.merge.fresh, params)
        if rows is not None:
            return inserted(rows, plan.returning)

    async def change(owner: object) -> Effect:
        rows, ts = await read()
        effect = effect_of(plan, rows)
        check_rows(table, effect.added)
        if not alone:
            session.transaction.add_read_for_write(set(tables), ts)
            await add_rows(coord, session, table, effect.updates)
        else:
            await _commit(coord, table, effect.updates, tables, ts, owner)
        return effect

    return _reply(plan, await _until_unraced(coord, tables, change))


async def _insert_fresh(
    coord: Coordinator,
    session: Session,
    planned: Planned,
    table: Table,
    fresh: FreshRows,
    params: tuple[Literal, ...],
) -> bytes | None:
    """Insert the rows of ON CONFLICT DO UPDATE if none of them meets another: no table is read.

    Returns: the rows with RETURNING's columns; None where some do meet others.
    """
    keys = coord.group_commit.keys
    expr = coord.planner.relation(fresh.values, params)
    read = await plan_read(coord, session, constant_planned(planned), expr, alone=True)
    rows = await collect(coord, session, read, identity_finishing(arity(expr)))
    await keys.load([table.shard])
    unless_altered(coord, [table], adds_only=False)
    if total(keys.free(table.shard, rows, fresh.arbiter)) < total(rows):
        return None
    own = first_columns(rows, table.desc.arity)
    check_rows(table, own)
    try:
        ts = await coord.group_commit.write(
            {table.shard: own}, refusal=refusal_if_altered(coord, [table], adds_only=True)
        )
    except UniqueViolation as error:
        if error.constraint_name != table.keys[fresh.arbiter].name:
            raise
        return None  # somebody has come first
    session.last_ts = max(session.last_ts, ts)
    return rows


async def sequence_truncate(
    coord: Coordinator, session: Session, request: p.Execute, planned: Planned, plan: TruncatePlan
) -> p.ExecuteReply:
    """Answer TRUNCATE: all rows of the tables go, as if by DELETE, together."""
    session.transaction.queried = True
    session.transaction.admit_write("TRUNCATE")
    alone = is_alone(session, last=request.sync) and len(plan.tables) == 1
    for relation in plan.tables:
        table = writable_table(coord, relation.id)
        await _empty(coord, session, planned, relation, table, alone=alone)
    return p.Command(tag="TRUNCATE TABLE")


async def _empty(
    coord: Coordinator,
    session: Session,
    planned: Planned,
    relation: HirGet,
    table: Table,
    *,
    alone: bool,
) -> None:
    finishing = RowSetFinishing((), None, 0, tuple(range(table.desc.arity)))
    tables = {table.id: table}

    async def remove(owner: object) -> None:
        rows, ts = await _read(coord, session, planned, relation, finishing, ())
        updates = flat.build(negated(flat.updates(rows)))
        if not alone:
            session.transaction.add_read_for_write({table.id}, ts)
            await add_rows(coord, session, table, updates)
        else:
            await _commit(coord, table, updates, tables, ts, owner)

    await _until_unraced(coord, tables, remove)


_T = TypeVar("_T")


async def _until_unraced(
    coord: Coordinator, tables: dict[GlobalId, Table], attempt: Callable[[object], Awaitable[_T]]
) -> _T:
    """Try until nobody has written between reading and writing, at last with the tables locked.

    ``attempt`` is given whose locks it may pass.
    """
    for _ in range(_TRIES_MAX):
        try:
            return await attempt(None)
        except WriteConflict:
            continue
    shards = sorted({table.shard for table in tables.values()})
    async with coord.group_commit.locked(shards) as owner:
        return await attempt(owner)


async def _commit(
    coord: Coordinator,
    table: Table,
    updates: bytes,
    tables: dict[GlobalId, Table],
    ts: Timestamp,
    owner: object,
) -> None:
    if flat.count(updates):
        read_at = {item.shard: ts for item in tables.values()}
        await coord.group_commit.write(
            {table.shard: updates},
            unless_written_since=read_at,
            owner=owner,
            refusal=refusal_if_altered(coord, tables.values(), adds_only=False),
        )


def _reads(coord: Coordinator, selection: HirRelation, table: GlobalId) -> bool:
    """Return whether a selection reads a table, through views too."""
    expr = coord.planner.relation(selection)
    return table in globals_of(coord.planner.world(coord.snapshot, None).inline(expr))


def tables_read(
    coord: Coordinator, planned: Planned, target: GlobalId, what: str
) -> dict[GlobalId, Table]:
    """Return the tables a statement reads, through views.

    Raises: FeatureNotSupported for what somebody else writes: it could change unnoticed.
    """
    tables, other = read_by(coord.snapshot, planned.depends_on | {target})
    if other is not None:
        raise FeatureNotSupported(
            f"{what} cannot read {other}",
            detail="A statement that writes may read tables only, "
            "and views over them: nothing else is locked against change.",
        )
    return tables


async def _read(
    coord: Coordinator,
    session: Session,
    planned: Planned,
    selection: HirRelation,
    finishing: RowSetFinishing,
    params: tuple[Literal, ...],
) -> tuple[bytes, Timestamp]:
    """Return the rows of a selection and the time that they are of: the newest there is."""
    expr = coord.planner.relation(selection, params)
    refuse_mz_now(coord, expr)
    if session.transaction.writes:
        expr = with_writes(coord, expr, session.transaction)
    isolation = session.transaction.isolation
    session.transaction.isolation = "strict serializable"
    try:
        read = await plan_read(coord, session, planned, expr, alone=True)
    finally:
        session.transaction.isolation = isolation
    return await collect(coord, session, read, finishing), read.ts


def effect_of(plan: ReadThenWritePlan, rows: bytes) -> Effect:
    """Return what the selection's rows stand for. Raises: CardinalityViolation."""
    width = plan.table_desc.arity
    back = 0 if plan.returning is None else plan.returning.desc.arity
    if plan.merge is not None:
        return _merged(plan, rows, back)
    if plan.write is WriteKind.INSERT and plan.returning is None:
        return Effect(flat.EMPTY, rows, total(rows))
    old: list[flat.Update] = []
    new: list[flat.Update] = []
    returned: list[flat.Update] = []
    first = new if plan.write is WriteKind.INSERT else old
    for row, _, diff in flat.updates(rows):
        datums = split_row(row)
        first.append((b"".join(datums[:width]), TIMESTAMP_MIN, diff))
        if plan.write is WriteKind.UPDATE:
            new.append((b"".join(datums[width : 2 * width]), TIMESTAMP_MIN, diff))
        if back:
            returned.append((b"".join(datums[-back:]), TIMESTAMP_MIN, diff))
    return Effect(flat.build(old), flat.build(new), total(rows), flat.build(returned))


def _merged(plan: ReadThenWritePlan, rows: bytes, back: int) -> Effect:
    assert plan.merge is not None
    width = plan.table_desc.arity
    old: list[flat.Update] = []
    new: list[flat.Update] = []
    returned: list[flat.Update] = []
    affected: set[tuple[Action, bytes]] = set()
    count = 0
    for row, _, diff in flat.updates(rows):
        datums = split_row(row)
        action = _ACTIONS[datums[2 * width]]
        if action is Action.NOTHING:
            continue
        times = diff
        if action is Action.INSERT:
            subject = b"".join(datums[width + index] for index in plan.merge.key)
        else:
            subject = b"".join(datums[:width])
            times = literal_int(Literal(datums[2 * width + 1], _INT8)) or 0
            old.append((subject, TIMESTAMP_MIN, times))
        if action is not Action.INSERT or subject:
            if diff > 1 or (action, subject) in affected:
                raise CardinalityViolation(
                    f"{plan.merge.command} command cannot affect row a second time",
                    hint=plan.merge.hint,
                )
            affected.add((action, subject))
        if action is not Action.DELETE:
            new.append((b"".join(datums[width : 2 * width]), TIMESTAMP_MIN, times))
        if back:
            returned.append((b"".join(datums[-back:]), TIMESTAMP_MIN, times))
        count += times
    return Effect(flat.build(old), flat.build(new), count, flat.build(returned))


_ACTIONS = {int_datum(action): action for action in Action}


def _reply(plan: ReadThenWritePlan, effect: Effect) -> p.ExecuteReply:
    tag = "INSERT 0" if plan.write is WriteKind.INSERT else plan.write.value
    if plan.returning is None:
        return p.Command(tag=f"{tag} {effect.count}")
    return p.Rows(
        source=p.InlineRows(rows=effect.returned),
        columns=result_columns(plan.returning.desc),
        tag=tag,
    )
