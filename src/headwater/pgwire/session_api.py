"""What answers the front's requests: protocols that the adapter implements.

An :class:`Adapter` opens a :class:`Session` per connection. A session's coroutines are never run
concurrently: the server awaits one before it calls the next. Errors are raised as
:class:`~headwater.errors.HeadwaterError`; the server then asks :meth:`Session.fail` for the reply.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from headwater.errors import ErrorFields, HeadwaterError
from headwater.pgwire import protocol as p

Reply = Callable[[Sequence[int], p.Reply], None]
"""Answers requests, named by their ids, that have the same answer."""


class Session(Protocol):
    """One connection's session.

    Cancellation: any coroutine may be cancelled at an await, by a client's cancel request, a
    time-out, or a vanished client. It must then leave the session as a failed statement would.
    """

    async def parse_many(self, request: p.ParseMany) -> p.Parsed:
        """Split a simple query into statements; plan nothing yet."""

    async def prepare(self, request: p.Prepare) -> p.Prepared:
        """Parse and plan one statement and keep it under a handle."""

    async def execute(self, request: p.Execute) -> p.ExecuteReply:
        """Run a statement, and commit the implicit transaction if ``request.sync``."""

    async def sync(self, request: p.Sync) -> p.Synced:
        """Commit (or, if ``request.failed``, roll back) the implicit transaction."""

    async def copy_data(self, request: p.CopyData) -> p.Synced:
        """Take a batch of rows of the running COPY FROM."""

    async def copy_done(self, request: p.CopyDone) -> p.Command:
        """End the running COPY FROM."""

    def copy_fail(self, request: p.CopyFail) -> None:
        """Forget the running COPY FROM; :meth:`fail` is called next."""

    def complete(self, event: p.Complete) -> None:
        """Release what was held for a row source."""

    def failure(self, event: p.Failure) -> None:
        """Note that the front failed a statement: an explicit transaction is failed now."""

    def close_statement(self, event: p.CloseStatement) -> None:
        """Drop a prepared statement."""

    def close_portal(self, event: p.ClosePortal) -> None:
        """Note that a declared cursor is gone."""

    def fail(self, error: ErrorFields) -> p.Failed:
        """Roll back the implicit transaction or fail the explicit one, and say so.

        Called after any coroutine above has raised. The reply has ``error`` as it is.
        """

    async def terminate(self) -> None:
        """The client is gone: release everything. No other method is called afterwards."""


class Adapter(Protocol):
    """Opens sessions."""

    async def startup(self, request: p.Startup) -> tuple[Session, p.Started]:
        """Open a session.

        Raises:
            HeadwaterError: The client is refused; it is told with severity FATAL.
        """

    def insert(self, rows: Sequence[p.Insert], reply: Reply) -> None:
        """Insert rows, each in a transaction of its own; ``reply`` is called for each, once.

        They are of different connections: each is alone until it is answered.
        """


def fields_of(error: BaseException) -> ErrorFields:
    """Return what a client is told of ``error``: an unexpected exception is XX000."""
    if isinstance(error, HeadwaterError):
        return error.fields()
    return ErrorFields(sqlstate="XX000", message=f"internal error: {type(error).__name__}")
