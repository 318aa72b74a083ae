"""SAVEPOINT, RELEASE, ROLLBACK TO: going back within a transaction.

A transaction's writes and its changes of the catalog are kept until COMMIT, so that going back is
forgetting those since. Its reads are not undone: see ``Transaction.go_back``.
"""

from headwater.adapter.constraints import Pending
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.ddl import Staged
from headwater.adapter.session import Session
from headwater.adapter.transactions import Savepoint, Transaction
from headwater.catalog.items import Table
from headwater.errors import (
    InvalidSavepoint,
    NoActiveSqlTransaction,
    ProgramLimitExceeded,
)
from headwater.pgwire import protocol as p
from headwater.sql.plan.statements import ReleaseSavepointPlan, RollbackToPlan, SavepointPlan

# How many savepoints a transaction may hold at a time.
_SAVEPOINTS_MAX = 1_000


def sequence_savepoint(session: Session, plan: SavepointPlan) -> p.ExecuteReply:
    """Answer SAVEPOINT. Raises: NoActiveSqlTransaction, ProgramLimitExceeded."""
    transaction = _block(session, "SAVEPOINT")
    if len(transaction.savepoints) >= _SAVEPOINTS_MAX:
        raise ProgramLimitExceeded(
            f"a transaction cannot have more than {_SAVEPOINTS_MAX} savepoints",
            hint="RELEASE SAVEPOINT forgets one and those after it.",
        )
    staged = transaction.staged
    transaction.savepoints.append(
        Savepoint(
            name=plan.name,
            kind=transaction.kind,
            writes={table: len(batches) for table, batches in transaction.writes.items()},
            staged=staged.copy() if isinstance(staged, Staged) else None,
            variables=session.variables.values(),
            cursors=frozenset(transaction.cursors),
        )
    )
    return p.Command(tag="SAVEPOINT")


def sequence_release(session: Session, plan: ReleaseSavepointPlan) -> p.ExecuteReply:
    """Answer RELEASE: the savepoint and those after it are forgotten, what was done stays.

    Raises: NoActiveSqlTransaction, InvalidSavepoint.
    """
    transaction = _block(session, "RELEASE SAVEPOINT")
    del transaction.savepoints[_find(transaction, plan.name) :]
    return p.Command(tag="RELEASE")


def sequence_rollback_to(
    coord: Coordinator, session: Session, plan: RollbackToPlan
) -> p.ExecuteReply:
    """Answer ROLLBACK TO: the transaction is as it was at the savepoint, which stays.

    Raises: NoActiveSqlTransaction, InvalidSavepoint, UniqueViolation (another session has taken a
        key that a write before the savepoint has).
    """
    transaction = _block(session, "ROLLBACK TO SAVEPOINT")
    at = _find(transaction, plan.name)
    savepoint = transaction.savepoints[at]
    del transaction.savepoints[at + 1 :]
    transaction.go_back(savepoint)
    staged = savepoint.staged
    transaction.staged = staged.copy() if isinstance(staged, Staged) else None
    session.variables.go_back(savepoint.variables)
    session.settings_version += 1
    _take_keys(coord, transaction)
    transaction.failed = False
    return p.Command(tag="ROLLBACK")


def _take_keys(coord: Coordinator, transaction: Transaction) -> None:
    """Take again, from nothing, the keys of the writes that are left."""
    transaction.pending_keys = Pending()
    keys = coord.group_commit.keys
    for id, batches in transaction.writes.items():
        table = coord.snapshot.try_item(id)
        if isinstance(table, Table) and keys.has(table.shard):
            for batch in batches:
                keys.admit_pending(table.shard, batch, transaction.pending_keys)


def _block(session: Session, what: str) -> Transaction:
    transaction = session.transaction
    if transaction.implicit:
        raise NoActiveSqlTransaction(f"{what} can only be used in transaction blocks")
    return transaction


def _find(transaction: Transaction, name: str) -> int:
    """Return the place of the last savepoint of a name."""
    for at in range(len(transaction.savepoints) - 1, -1, -1):
        if transaction.savepoints[at].name == name:
            return at
    raise InvalidSavepoint(f'savepoint "{name}" does not exist')
