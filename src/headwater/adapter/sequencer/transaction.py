"""BEGIN, COMMIT, ROLLBACK, SET TRANSACTION; and the end of implicit transactions."""

from headwater.adapter.altered import refusal_if_altered
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.ddl import Staged, commit_staged
from headwater.adapter.session import Session, notice
from headwater.adapter.transactions import Kind, Transaction
from headwater.catalog.items import Table
from headwater.errors import ActiveSqlTransaction, UndefinedTable
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.sql.plan.statements import (
    CommitPlan,
    RollbackPlan,
    SetTransactionPlan,
    StartTransactionPlan,
    TransactionModes,
)
from headwater.types.ids import GlobalId, ShardId


async def sequence_begin(
    coord: Coordinator, session: Session, plan: StartTransactionPlan
) -> p.ExecuteReply:
    """Answer BEGIN. What its batch has done before becomes part of the block."""
    transaction = session.transaction
    if not transaction.implicit:
        session.notify(notice("there is already a transaction in progress", "25001", "WARNING"))
        _check_modes(transaction, plan.modes)
        _set_modes(session, plan.modes)
        return p.Command(tag="BEGIN")
    if transaction.kind is Kind.NONE:
        await end_transaction(coord, session, commit=True)
        begin(session, plan.modes)
        return p.Command(tag="BEGIN")
    _check_modes(transaction, plan.modes)
    transaction.implicit = False
    session.variables.begin()
    _set_modes(session, plan.modes)
    return p.Command(tag="BEGIN")


def _check_modes(transaction: Transaction, modes: TransactionModes) -> None:
    """Refuse modes that come too late. Raises: ActiveSqlTransaction."""
    if not transaction.queried:
        return
    if modes.read_only is False and transaction.read_only:
        raise ActiveSqlTransaction("transaction read-write mode must be set before any query")
    if modes.isolation is not None and transaction.kind is not Kind.NONE:
        raise ActiveSqlTransaction(
            "SET TRANSACTION ISOLATION LEVEL must be called before any query"
        )


def begin(session: Session, modes: TransactionModes) -> None:
    """Put the session into an explicit transaction."""
    session.transaction = Transaction(implicit=False)
    session.variables.begin()
    _set_modes(session, modes)


def _set_modes(session: Session, modes: TransactionModes) -> None:
    if modes.isolation is not None:
        session.transaction.isolation = modes.isolation.value
    if modes.read_only is not None:
        session.transaction.read_only = modes.read_only


def sequence_set_transaction(session: Session, plan: SetTransactionPlan) -> p.ExecuteReply:
    """Answer SET TRANSACTION, and SET SESSION CHARACTERISTICS."""
    modes = plan.modes
    if plan.session:
        if modes.isolation is not None:
            session.variables.set("transaction_isolation", [modes.isolation.value])
            session.settings_version += 1
        return p.Command(tag="SET")
    transaction = session.transaction
    if transaction.implicit:
        session.notify(
            notice("SET TRANSACTION can only be used in transaction blocks", "25P01", "WARNING")
        )
        return p.Command(tag="SET")
    _check_modes(transaction, modes)
    _set_modes(session, modes)
    return p.Command(tag="SET")


async def sequence_commit(coord: Coordinator, session: Session, plan: CommitPlan) -> p.ExecuteReply:
    """Answer COMMIT; of a failed transaction it is a rollback."""
    transaction = session.transaction
    if transaction.implicit:
        session.notify(notice("there is no transaction in progress", "25P01", "WARNING"))
        await end_transaction(coord, session, commit=True)
        return p.Command(tag="COMMIT")
    if transaction.failed:
        await end_transaction(coord, session, commit=False)
        _chain(session, transaction, chain=plan.chain)
        return p.Command(tag="ROLLBACK")
    await end_transaction(coord, session, commit=True)
    _chain(session, transaction, chain=plan.chain)
    return p.Command(tag="COMMIT")


async def sequence_rollback(
    coord: Coordinator, session: Session, plan: RollbackPlan
) -> p.ExecuteReply:
    """Answer ROLLBACK."""
    transaction = session.transaction
    if transaction.implicit:
        session.notify(notice("there is no transaction in progress", "25P01", "WARNING"))
    await end_transaction(coord, session, commit=False)
    if not transaction.implicit:
        _chain(session, transaction, chain=plan.chain)
    return p.Command(tag="ROLLBACK")


def _chain(session: Session, before: Transaction, *, chain: bool) -> None:
    if chain:
        begin(session, TransactionModes())
        session.transaction.isolation = before.isolation
        session.transaction.read_only = before.read_only


async def end_transaction(coord: Coordinator, session: Session, *, commit: bool) -> None:
    """End the current transaction and begin an implicit one.

    Raises: what committing raises; the transaction is rolled back then.
    """
    transaction = session.transaction
    session.transaction = Transaction(implicit=True)
    if transaction.reads is not None:
        transaction.reads.holds.release()
    try:
        if commit and not transaction.failed:
            await _commit(coord, session, transaction)
    except BaseException:
        session.variables.end(committed=False)
        raise
    session.variables.end(committed=commit or transaction.implicit)


def abandon_transaction(session: Session) -> None:
    """Roll back at once, without waiting for anything."""
    transaction = session.transaction
    session.transaction = Transaction(implicit=True)
    if transaction.reads is not None:
        transaction.reads.holds.release()
    session.variables.end(committed=transaction.implicit)


async def _commit(coord: Coordinator, session: Session, transaction: Transaction) -> None:
    if isinstance(transaction.staged, Staged):
        await commit_staged(coord, transaction.staged, session.role)
    if not transaction.writes:
        return
    updates = {
        _shard(coord, table): flat.concat(batches) for table, batches in transaction.writes.items()
    }
    read_at = {_shard(coord, table): ts for table, ts in transaction.read_at.items()}
    updates = {shard: data for shard, data in updates.items() if flat.count(data)}
    if not updates:
        return
    tables = transaction.tables.values()
    refusal = refusal_if_altered(coord, tables, adds_only=not read_at)
    ts = await coord.group_commit.write(
        updates, unless_written_since=read_at or None, refusal=refusal
    )
    session.last_ts = max(session.last_ts, ts)


def _shard(coord: Coordinator, table: GlobalId) -> ShardId:
    item = coord.snapshot.try_item(table)
    if not isinstance(item, Table):
        raise UndefinedTable(f"unknown catalog item '{table}'")
    return item.shard
