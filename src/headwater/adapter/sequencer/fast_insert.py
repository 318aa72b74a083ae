"""Prepared INSERTs of one row whose statement the front has put into the row already.

While the store is lent the transaction shard (``adapter.lending``) it commits such rows by itself,
where nothing has to be looked at but NULLs. All others, and those of other moments, come here.

The front sends the row alone (``pgwire.protocol.Insert``) where it is a transaction of its own; all
that have come in one turn of the loop are one write of the group commit. Nothing of a session is
needed: it has no transaction, and does nothing else until it is answered.
"""

import asyncio
from collections.abc import Sequence

from headwater.adapter.altered import refusal_if_altered
from headwater.adapter.constraints import check_rows
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.insert import writable_table
from headwater.adapter.sequencer.read import isolation_of
from headwater.adapter.session import PreparedStatement, Session
from headwater.adapter.timestamps import Isolation
from headwater.catalog.items import Table
from headwater.errors import HeadwaterError
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.pgwire.session_api import Reply, fields_of
from headwater.sql.plan.statements import InsertPlan
from headwater.types.ids import GlobalId
from headwater.types.time import TIMESTAMP_MIN, Timestamp


def fast_insert(
    coord: Coordinator, session: Session, statement: PreparedStatement
) -> p.FastInsert | None:
    """Return how the front may hand on a prepared INSERT of parameters and literals alone."""
    planned, template = statement.planned, statement.template
    if planned is None or template is None or not isinstance(planned.plan, InsertPlan):
        return None
    if planned.notices or isolation_of(session) is Isolation.STRONG_SESSION_SERIALIZABLE:
        return None
    table = writable_table(coord, planned.plan.id)
    shard = table.shard if _is_lendable(coord, table) else None
    if shard is not None:
        session.inserts_unseen = True
    columns = enumerate(table.desc.columns)
    not_null = tuple(i for i, column in columns if not column.nullable)
    return p.FastInsert(coord.snapshot.version, planned.plan.id, template, shard, not_null)


def _is_lendable(coord: Coordinator, table: Table) -> bool:
    """Return whether the store may commit rows of a table: they have neither keys nor CHECKs."""
    return not table.checks and not coord.group_commit.keys.has(table.shard)


_INSERTED = p.Command(tag="INSERT 0 1")


def insert_rows(coord: Coordinator, inserts: Sequence[p.Insert], reply: Reply) -> None:
    """Insert rows of several sessions, each in a transaction of its own, as one write a table."""
    void: list[int] = []
    by_table: dict[GlobalId, list[p.Insert]] = {}
    for insert in inserts:
        if insert.catalog_version == coord.snapshot.version:
            by_table.setdefault(insert.table, []).append(insert)
        else:
            void.append(insert.id)
    if void:
        reply(void, p.Again())
    for table, rows in by_table.items():
        _insert_into(coord, table, rows, reply)


def _insert_into(
    coord: Coordinator, id: GlobalId, inserts: Sequence[p.Insert], reply: Reply
) -> None:
    table = writable_table(coord, id)
    keys = coord.group_commit.keys
    if not keys.has(table.shard):
        good = _checked(table, inserts, reply)
        if good:
            _submit(coord, table, good, reply)
        return
    if not keys.is_loaded(table.shard):
        reply([insert.id for insert in inserts], p.Again())  # who executes it waits for them
        return
    keys.note(table)
    for insert in _checked(table, inserts, reply):
        _submit(coord, table, (insert,), reply)  # the group commit decides about each by itself


def _submit(coord: Coordinator, table: Table, inserts: Sequence[p.Insert], reply: Reply) -> None:
    """Write rows as one, and answer all of them alike."""

    def answer(done: "asyncio.Future[Timestamp]") -> None:
        error = done.exception()
        if error is not None:
            reply(ids, p.Failed(error=fields_of(error)))
            return
        for insert in inserts:
            session = coord.sessions.get(insert.conn)
            if session is not None:
                session.last_ts = max(session.last_ts, done.result())
        reply(ids, _INSERTED)

    ids = [insert.id for insert in inserts]
    try:
        rows = flat.build((insert.row, TIMESTAMP_MIN, 1) for insert in inserts)
        done = coord.group_commit.submit(
            {table.shard: rows},
            refusal=refusal_if_altered(coord, [table], adds_only=True),
            writers=len(inserts),
            fast=_is_lendable(coord, table),
        )
    except HeadwaterError as error:
        reply(ids, p.Failed(error=error.fields()))
        return
    done.add_done_callback(answer)


def _checked(table: Table, inserts: Sequence[p.Insert], reply: Reply) -> Sequence[p.Insert]:
    """Return the inserts whose rows their table takes; the others are answered."""
    if not table.checks and all(column.nullable for column in table.desc.columns):
        return inserts
    good: list[p.Insert] = []
    for insert in inserts:
        try:
            check_rows(table, flat.build(((insert.row, TIMESTAMP_MIN, 1),)))
        except HeadwaterError as error:
            reply([insert.id], p.Failed(error=error.fields()))
        else:
            good.append(insert)
    return good
