"""A sample of the statements that sessions execute, written down as rows of builtin tables.

Whether an execution is sampled is one random number against the session's rate. Those that are
collect here, in bounded memory, and are written together every few seconds while there is something
to write. What is not written when the server dies is lost. Statements that the front answers by
itself are not seen here.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from headwater.adapter import statement_retention as retention
from headwater.adapter import statement_rows as s
from headwater.adapter.session import PreparedStatement, Session
from headwater.adapter.statement_rows import PreparedRecord, SampledExecution
from headwater.adapter.statement_texts import StatementText, text_of
from headwater.adapter.variables import (
    MAX_DATA_CREDIT,
    MAX_SAMPLE_RATE,
    SAMPLE_RATE,
    TARGET_DATA_RATE,
    VARIABLES,
)
from headwater.catalog import rows as r
from headwater.catalog.builtin.initial import is_system
from headwater.catalog.rows import TableRow
from headwater.catalog.transact import TableUpdate
from headwater.errors import HeadwaterError
from headwater.ir.batches import datum_text
from headwater.runtime.aside import Aside
from headwater.runtime.clock import Clock
from headwater.runtime.rng import Rng
from headwater.runtime.tasks import Tasks
from headwater.sql.ast.printing.writer import REDACTED
from headwater.sql.ast.statement import ParsedStatement
from headwater.types.scalar import ScalarType

logger = logging.getLogger(__name__)

FLUSH_PERIOD_S = 5.0
# How often what is kept is looked at for its age, while there is something to write.
SWEEP_PERIOD_S = 3_600.0
# Kept until they are written: so many rows, and bytes of them. What comes then is dropped.
ROWS_MAX = 10_000
BYTES_MAX = 8 << 20
# Executions that run, subscriptions among them.
RUNNING_MAX = 5_000
# Of longer parameters only the size is written; of longer errors the beginning.
PARAM_BYTES_MAX = 16_384
ERROR_CHARS_MAX = 4_096

Write = Callable[[Sequence[TableUpdate]], Awaitable[None]]
# The rows of one of ``statement_retention.TABLES``, as flat batches.
Read = Callable[[str], Awaitable[Sequence[bytes]]]


class StatementLog:
    """See the module. Nothing is written before :meth:`start`.

    Args:
        clock: For when things happen.
        rng: Decides what is sampled, and makes ids.
        version: What ``mz_version()`` says.
        system: The system's variables that are set.

    Attributes:
        dropped: How many executions were sampled and not written, as there were too many.
    """

    def __init__(
        self, clock: Clock, rng: Rng, version: str, system: Callable[[], Mapping[str, str]]
    ) -> None:
        self.dropped = 0
        self._clock = clock
        self._rng = rng
        self._version = version
        self._system = system
        self._buffer: list[TableUpdate] = []
        self._buffer_bytes = 0
        self._dirty = asyncio.Event()
        self._running: dict[bytes, SampledExecution] = {}
        self._transactions = 0
        self._throttled = 0  # dropped since a prepared statement was written
        self._credit_bytes: float | None = None
        self._credit_at = 0.0
        self._day_ms = 0
        self._texts: set[bytes] = set()  # the day's that are written: hashes as datums
        self._fresh: dict[bytes, PreparedRecord] = {}  # of executions that are not written yet
        self._executions = 0  # in the table
        self._swept_at: float | None = None
        self._write: Write | None = None
        self._read: Read | None = None
        self._aside: Aside | None = None
        self._sessions: Callable[[], Iterable[Session]] = tuple

    # What is sampled

    def begin(
        self, session: Session, statement: PreparedStatement, params: Sequence[bytes | None]
    ) -> SampledExecution | None:
        """Note that a statement begins; None if this execution is not sampled."""
        rate = self._rate(session)
        if rate <= 0 or (rate < 1 and self._rng.uniform(0, 1) >= rate):
            return None
        if statement.parsed is None:
            return None
        if self._is_full() or not self._has_credit():
            self.dropped += 1
            self._throttled += 1
            return None
        now = self._clock.now_ms()
        prepared = self._prepared(session, statement, statement.parsed, now)
        transaction = session.transaction
        if transaction.number == 0:
            self._transactions += 1
            transaction.number = self._transactions
        types = () if statement.planned is None else statement.planned.param_types
        execution = SampledExecution(
            id=self._rng.token(),
            prepared=prepared,
            sample_rate=rate,
            application_name=session.variables.get("application_name"),
            database=session.database,
            search_path=session.search_path,
            isolation=session.isolation(),
            transaction=transaction.number,
            params=_params(params, types, hidden=prepared.hidden),
            version=self._version,
            began_ms=now,
        )
        self._running[execution.id] = execution
        self._fresh[prepared.id] = prepared
        self._add(s.event_row(execution.id, s.BEGAN, now))
        return execution

    def _rate(self, session: Session) -> float:
        version, rate = session.sample_rate
        if version != session.variables.version:
            most = float(self._system_value(MAX_SAMPLE_RATE))
            rate = min(float(session.variables.get(SAMPLE_RATE)), most)
            session.sample_rate = (session.variables.version, rate)
        return rate

    def _system_value(self, name: str) -> str:
        return self._system().get(name, VARIABLES[name].default)

    def _is_full(self) -> bool:
        return (
            len(self._buffer) >= ROWS_MAX
            or self._buffer_bytes >= BYTES_MAX
            or len(self._running) >= RUNNING_MAX
        )

    def _has_credit(self) -> bool:
        """Return whether bytes may be written; so many a second come, up to a bound."""
        most = float(self._system_value(MAX_DATA_CREDIT))
        now = self._clock.monotonic()
        if self._credit_bytes is None:
            self._credit_bytes = most
        else:
            earned = (now - self._credit_at) * float(self._system_value(TARGET_DATA_RATE))
            self._credit_bytes = min(self._credit_bytes + earned, most)
        self._credit_at = now
        return self._credit_bytes > 0

    # What an execution belongs to

    def _prepared(
        self, session: Session, statement: PreparedStatement, parsed: ParsedStatement, now: int
    ) -> PreparedRecord:
        """Return the statement's record; it is written when it is met first."""
        if statement.record is not None:
            return statement.record
        id = bytes.fromhex(session.id)
        if not session.recorded:
            session.recorded = True
            name, user = session.first_application_name, session.login.name
            self._add(s.session_row(id, session.connected_ms, name, user))

        def named(name: str) -> ParsedStatement | None:
            found = session.statements.get(session.names.get(name, 0))
            return None if found is None else found.parsed

        text = text_of(parsed, named, hide=is_system(session.login.id))
        record = PreparedRecord(self._rng.token(), id, text.hash, text.hidden)
        prepared_ms = statement.prepared_ms or now
        self._add(s.prepared_row(record, statement.name, text.kind, prepared_ms, self._throttled))
        self._throttled = 0
        self._add_text(text, prepared_ms, now)
        statement.record = record
        return record

    def _add_text(self, text: StatementText, prepared_ms: int, now: int) -> None:
        """Write a text once a day; what was prepared on an earlier day is not looked for."""
        today, day = s.day_of(now), s.day_of(prepared_ms)
        if today != self._day_ms:
            self._day_ms, self._texts = today, set()
        hash = r.bytea(text.hash)
        if day == today and hash in self._texts:
            return
        if day == today:
            self._texts.add(hash)
        self._add(s.text_row(day, text.hash, text.sql, text.redacted))

    def _add(self, row: TableRow, diff: int = 1) -> None:
        self._buffer.append(TableUpdate(*row, diff))
        size = len(row[1])
        self._buffer_bytes += size
        if diff > 0 and self._credit_bytes is not None:
            self._credit_bytes -= size
        self._dirty.set()

    # How executions end

    def finish(
        self,
        execution: SampledExecution,
        status: str,
        *,
        message: str | None = None,
        rows: int | None = None,
        result_bytes: int | None = None,
    ) -> None:
        """Note how an execution has ended; what is said later of it is not heard."""
        if execution.status is not None:
            return
        if message is not None:
            message = REDACTED if execution.prepared.hidden else message[:ERROR_CHARS_MAX]
        execution.status, execution.error_message = status, message
        execution.rows, execution.result_bytes = rows, result_bytes
        if status != s.SUCCESS:
            execution.strategy = None
        execution.finished_ms = max(self._clock.now_ms(), execution.began_ms)
        if execution.optimized_ms is not None:
            self._add(s.event_row(execution.id, s.OPTIMIZED, execution.optimized_ms))
        self._add(s.event_row(execution.id, s.FINISHED, execution.finished_ms))
        if execution.written is not None:
            self._add(execution.written, -1)
        self._add(execution.row())
        self._running.pop(execution.id, None)

    # Writing

    def start(
        self,
        held: retention.Held,
        tasks: Tasks,
        *,
        write: Write,
        read: Read,
        aside: Aside,
        sessions: Callable[[], Iterable[Session]],
    ) -> None:
        """Begin to write; executions of ``held`` that have not ended never will.

        Args:
            held: What earlier servers have written.
            tasks: Owns the task that writes.
            write: Writes rows, all or none.
            read: Reads what is written.
            aside: Runs what takes long beside the loop.
            sessions: Those that are open.
        """
        self._write, self._read, self._aside = write, read, aside
        self._sessions = sessions
        self._day_ms = s.day_of(self._clock.now_ms())
        self._texts = retention.of_day(held[s.TEXTS], self._day_ms)
        executions = held[s.EXECUTIONS]
        self._executions = len(executions)
        for update in retention.aborted(executions):
            self._add((update.table, update.row), update.diff)
        tasks.spawn(self._run(), name="statement log")

    async def _run(self) -> None:
        while True:
            await self._dirty.wait()
            await self._clock.sleep(FLUSH_PERIOD_S)
            self._dirty.clear()
            try:
                await self.flush()
                if self._is_to_sweep():
                    await self.sweep()
            except HeadwaterError as error:
                logger.warning("statements are not written yet", extra={"why": error.message})
                self._dirty.set()

    async def flush(self) -> None:
        """Write what has come since the last time.

        Raises: what writing raises; all is kept for the next time then.
        """
        for execution in self._running.values():
            if execution.written is None:
                execution.written = execution.row()
                self._add(execution.written)
        updates, self._buffer = self._buffer, []
        size, self._buffer_bytes = self._buffer_bytes, 0
        fresh, self._fresh = self._fresh, {}
        if not updates or self._write is None:
            return
        try:
            await self._write(updates)
        except HeadwaterError:
            self._buffer[:0] = updates
            self._buffer_bytes += size
            self._fresh = fresh | self._fresh
            raise
        table = f"mz_internal.{s.EXECUTIONS}"
        self._executions += sum(update.diff for update in updates if update.table == table)

    # Keeping it bounded

    def _is_to_sweep(self) -> bool:
        late = self._swept_at is None or (
            self._clock.monotonic() - self._swept_at >= SWEEP_PERIOD_S
        )
        return late or self._executions > 2 * retention.EXECUTIONS_MAX

    async def sweep(self) -> None:
        """Take out what is too old or too much.

        Called right after :meth:`flush`: what is in use by then and has rows is either held by an
        open session or met again in what has come since.
        """
        assert self._read is not None
        assert self._write is not None
        assert self._aside is not None
        batches = {table: await self._read(table) for table in retention.TABLES}
        in_use, now = self._in_use(), self._clock.now_ms()
        found = await self._aside.run(lambda: retention.sweep(batches, in_use, now))
        # A statement that came meanwhile may have found its text written.
        fresh = {r.bytea(each.hash) for each in self._fresh.values()}
        texts = f"mz_internal.{s.TEXTS}"
        updates = [
            update
            for update in found.updates
            if update.table != texts or retention.hash_of(update.row) not in fresh
        ]
        self._texts = found.texts | fresh
        for at in range(0, len(updates), ROWS_MAX):
            await self._write(updates[at : at + ROWS_MAX])
        self._executions, self._swept_at = found.executions, self._clock.monotonic()

    def _in_use(self) -> retention.InUse:
        records = list(self._fresh.values())
        sessions = [bytes.fromhex(one.id) for one in self._sessions()]
        for session in self._sessions():
            found = (statement.record for statement in session.statements.values())
            records.extend(record for record in found if record is not None)
        return retention.InUse(
            prepared=frozenset(r.uuid(record.id) for record in records),
            sessions=frozenset(
                r.uuid(id) for id in (*sessions, *(record.session for record in records))
            ),
            hashes=frozenset(r.bytea(record.hash) for record in records),
        )


def _params(values: Sequence[bytes | None], types: Sequence[ScalarType], *, hidden: bool) -> bytes:
    """Return the parameters' texts as a datum of ``text[]``; NULL where a parameter is."""
    texts: list[str | None] = []
    for value, type_ in zip(values, types, strict=False):
        if value is None or value == r.NULL:
            texts.append(None)
        elif hidden:
            texts.append(REDACTED)
        elif len(value) > PARAM_BYTES_MAX:
            texts.append(f"({len(value)} bytes)")
        else:
            texts.append(datum_text(type_, value))
    return r.text_array(texts)
