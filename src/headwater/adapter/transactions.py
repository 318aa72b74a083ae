"""A session's transaction: what it has done so far, and what it may still do.

The first statement decides the kind: reads (all at one time, over one time domain), one
subscription, writes (buffered until COMMIT), or changes of the catalog (staged until COMMIT). Kinds
don't mix. A statement outside of BEGIN is an implicit transaction, which lasts until the end of the
batch that it came in.
"""

from enum import StrEnum

import msgspec

from headwater.adapter.constraints import Pending
from headwater.adapter.holds import ReadHolds
from headwater.adapter.timestamps import Determination
from headwater.adapter.variables import Values
from headwater.catalog.items import Table
from headwater.errors import (
    ActiveSqlTransaction,
    FeatureNotSupported,
    InFailedSqlTransaction,
    InvalidTransactionState,
    ReadOnlySqlTransaction,
)
from headwater.pgwire.protocol import ResultColumn, TransactionStatus
from headwater.types.ids import GlobalId
from headwater.types.time import Timestamp


class Kind(StrEnum):
    """What a transaction consists of."""

    NONE = "none"
    READ = "read"
    SUBSCRIBE = "subscribe"
    WRITE = "write"
    DDL = "ddl"


class TimeDomain(msgspec.Struct, frozen=True):
    """What a transaction may read, fixed by its first read: the objects of some schemas."""

    relations: frozenset[GlobalId]
    names: tuple[str, ...]


class ReadState:
    """A reading transaction's time, holds and domain. ``domain`` None: a single statement's."""

    def __init__(
        self, determination: Determination, holds: ReadHolds, domain: TimeDomain | None
    ) -> None:
        self.determination = determination
        self.holds = holds
        self.domain = domain


class Savepoint(msgspec.Struct, frozen=True):
    """What a transaction had done when SAVEPOINT came.

    Attributes:
        writes: How many batches of each table there were; they are only ever added to.
        staged: A ``sequencer.ddl.Staged`` as it was then.
        variables: The session's.
        cursors: The names of the cursors that were declared.
    """

    name: str
    kind: Kind
    writes: dict[GlobalId, int]
    staged: object | None
    variables: Values
    cursors: frozenset[str]


class Transaction:
    """See the module.

    Attributes:
        implicit: Not begun by BEGIN.
        writes: Flat batches by table, in order.
        tables: The tables as they were when they were first written to.
        read_at: Tables that a read-then-write has read, and when.
        pending_keys: What it takes and gives back of its tables' keys.
        read_only: Whether READ ONLY was asked for, or READ WRITE; None where neither.
        queried: Whether a query or a write has run: its modes are settled then.
        routed: Whether its first query went to the catalog's cluster by itself.
        catalog_version: Of the catalog, when it was first read; None where nothing was read, or
            something else as well.
        unlocked: Something it has read that can change unnoticed: it can't write any more.
        isolation: As asked for by BEGIN, None for the session's.
        cursors: The columns of the cursors declared in it.
        closed_cursors: Those that ROLLBACK TO has closed; the front does not know.
        savepoints: In the order in which they were made; a name may occur again.
    """

    def __init__(self, *, implicit: bool) -> None:
        self.implicit = implicit
        self.kind = Kind.NONE
        self.failed = False
        self.reads: ReadState | None = None
        self.writes: dict[GlobalId, list[bytes]] = {}
        self.tables: dict[GlobalId, Table] = {}
        self.read_at: dict[GlobalId, Timestamp] = {}
        self.pending_keys = Pending()
        self.read_only: bool | None = None
        self.queried = False
        self.routed = False
        self.catalog_version: int | None = None
        self.unlocked: str | None = None
        self.isolation: str | None = None
        self.cursors: dict[str, tuple[ResultColumn, ...]] = {}
        self.closed_cursors: set[str] = set()
        self.savepoints: list[Savepoint] = []
        self.staged: object | None = None  # a sequencer.ddl.Staged
        self.statements = 0
        self.number = 0  # in the statements' history; 0 where it is not there
        self.now_us: int | None = None  # what now() is in all of its statements

    @property
    def status(self) -> TransactionStatus:
        """Return what ReadyForQuery is to say."""
        if self.implicit:
            return "I"
        return "E" if self.failed else "T"

    def check_alive(self) -> None:
        """Raise InFailedSqlTransaction after an error in an explicit transaction."""
        if self.failed:
            raise InFailedSqlTransaction(
                "current transaction is aborted, commands ignored until end of transaction block"
            )

    @property
    def mixes(self) -> bool:
        """Return whether queries and writes may both stand in it: READ WRITE was asked for."""
        return self.read_only is False and not self.implicit

    def admit_read(self, *, at_own_time: bool = False) -> None:
        """Let a query in; with AS OF, ``at_own_time``, it does not bind the others.

        Raises: InvalidTransactionState.
        """
        if self.kind is Kind.WRITE and not self.mixes:
            raise InvalidTransactionState("transaction in write-only mode")
        self._refuse_after_ddl()
        if at_own_time:
            return
        if self.kind is Kind.SUBSCRIBE:
            raise InvalidTransactionState(
                "SUBSCRIBE in transactions must be the only read statement"
            )
        if self.kind is Kind.NONE:
            self.kind = Kind.READ

    def note_read(self, version: int, *, of_catalog: bool) -> None:
        """Note a read, before its time is chosen; ``version`` is the catalog's.

        What has read nothing but the catalog may go on to change it, if nobody else does.
        """
        if not of_catalog:
            self.catalog_version = None
        elif self.reads is None:
            self.catalog_version = version

    def admit_subscribe(self, *, at_own_time: bool = False) -> None:
        """Let the one subscription in; those with AS OF, ``at_own_time``, are not counted.

        Raises: InvalidTransactionState.
        """
        if self.kind is Kind.WRITE:
            raise InvalidTransactionState("transaction in write-only mode")
        self._refuse_after_ddl()
        if at_own_time:
            return
        if self.kind is Kind.READ:
            raise InvalidTransactionState(
                "transaction in read-only mode",
                detail="SELECT queries cannot be combined with other query types, "
                "including SUBSCRIBE.",
            )
        if self.kind is Kind.SUBSCRIBE:
            raise InvalidTransactionState(
                "SUBSCRIBE in transactions must be the only read statement"
            )
        self.kind = Kind.SUBSCRIBE

    def admit_write(self, what: str) -> None:
        """Let a write in. Raises: ReadOnlySqlTransaction, InvalidTransactionState."""
        if self.read_only:
            raise ReadOnlySqlTransaction(
                "transaction in read-only mode",
                detail=f"cannot execute {what} in a read-only transaction",
            )
        if self.kind is Kind.SUBSCRIBE or (self.kind is Kind.READ and not self.mixes):
            raise ReadOnlySqlTransaction(
                "transaction in read-only mode",
                detail="The transaction began with a query.",
                hint="BEGIN READ WRITE lets queries and writes stand in one transaction.",
            )
        if self.unlocked is not None:
            raise FeatureNotSupported(
                f"a transaction that has read {self.unlocked} cannot write",
                detail="Only tables, and views over them, are known not to have changed at COMMIT.",
            )
        self._refuse_after_ddl()
        self.kind = Kind.WRITE

    def admit_ddl(self, what: str) -> None:
        """Let a change of the catalog in. Raises: ActiveSqlTransaction, ReadOnlySqlTransaction."""
        if self.read_only:
            raise ReadOnlySqlTransaction(
                "transaction in read-only mode",
                detail=f"cannot execute {what} in a read-only transaction",
            )
        if self.implicit:
            return  # committed at once, by itself
        after_catalog = self.kind is Kind.READ and self.catalog_version is not None
        if self.kind not in (Kind.NONE, Kind.DDL) and not after_catalog:
            mode = "write-only" if self.kind is Kind.WRITE else "read-only"
            raise ActiveSqlTransaction(
                f"transaction in {mode} mode",
                detail=f"{what} can not follow queries or writes in one transaction.",
            )
        self.kind = Kind.DDL

    def admit_alone(self, what: str) -> None:
        """Let in what can't be part of a transaction. Raises: ActiveSqlTransaction."""
        if not self.implicit:
            raise ActiveSqlTransaction(f"{what} cannot run inside a transaction block")

    def go_back(self, savepoint: Savepoint) -> None:
        """Forget the writes and cursors since a savepoint.

        What has been read stays read: the client has seen it, and other reads are at its time.
        """
        for table in list(self.writes):
            del self.writes[table][savepoint.writes.get(table, 0) :]
            if not self.writes[table]:
                del self.writes[table]
        if savepoint.kind is not Kind.NONE or self.kind not in (Kind.READ, Kind.SUBSCRIBE):
            self.kind = savepoint.kind
        gone = self.cursors.keys() - savepoint.cursors
        for name in gone:
            del self.cursors[name]
        self.closed_cursors |= gone

    def add_writes(self, table: Table, rows: bytes) -> None:
        """Buffer a flat batch of a table until COMMIT."""
        self.writes.setdefault(table.id, []).append(rows)
        self.tables.setdefault(table.id, table)

    def add_read_for_write(self, tables: "set[GlobalId]", ts: Timestamp) -> None:
        """Note that a write depends on what ``tables`` held at ``ts``, and still does at COMMIT."""
        for table in tables:
            self.read_at.setdefault(table, ts)

    def check_domain(self, names: "list[str]") -> None:
        """Check a later read against the domain that the first has fixed.

        Args:
            names: Full names of what the statement mentions outside of it.

        Raises: InvalidTransactionState.
        """
        domain = self.reads.domain if self.reads is not None else None
        if domain is None or not names:
            return
        if self.routed:
            quoted = ", ".join(f'"{name}"' for name in sorted(names))
            raise InvalidTransactionState(
                f"querying the following items {quoted} is not allowed from the "
                '"mz_catalog_server" cluster',
                detail="The transaction is executing on the mz_catalog_server cluster, maybe "
                "having been routed there by the first statement in the transaction.",
            )
        raise InvalidTransactionState(
            # Spelled as clients know it.
            "Transactions can only reference objects in the same timedomain.",
            detail="The following relations in the query are outside the transaction's time "
            f"domain:\n{_lines(names)}\nOnly the following relations are available:\n"
            f"{_lines(domain.names)}",
        )

    def _refuse_after_ddl(self) -> None:
        if self.kind is Kind.DDL and not self.implicit:
            raise InvalidTransactionState(
                "transactions which modify objects are restricted to just modifying objects",
                hint="Commit first.",
            )


def _lines(names: "list[str] | tuple[str, ...]") -> str:
    return "\n".join(f'"{name}"' for name in sorted(names))
