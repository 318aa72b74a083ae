"""Executions that were sampled, and the rows that tell of them and of what they belong to."""

import msgspec

from headwater.catalog import rows as r
from headwater.catalog.rows import TableRow
from headwater.types.ids import ClusterId

SESSIONS = "mz_session_history"
PREPARED = "mz_prepared_statement_history"
EXECUTIONS = "mz_statement_execution_history"
LIFECYCLE = "mz_statement_lifecycle_history"
TEXTS = "mz_sql_text"

_MICROS_PER_MS = 1_000
_DAY_MS = 86_400_000

# Events of an execution's life, as Materialize names them.
BEGAN = "execution-began"
OPTIMIZED = "optimization-finished"
FINISHED = "execution-finished"

# How an execution has ended, likewise.
SUCCESS, ERROR, CANCELED, ABORTED = "success", "error", "canceled", "aborted"

# How an answer was found: by a dataflow of its own, by looking into an index, without any data.
STANDARD, FAST_PATH, CONSTANT = "standard", "fast-path", "constant"


class PreparedRecord(msgspec.Struct, frozen=True):
    """A prepared statement that has a row; ``hidden`` as in ``StatementText``."""

    id: bytes
    session: bytes
    hash: bytes
    hidden: bool


class SampledExecution(msgspec.Struct, kw_only=True):
    """A sampled execution. Times are milliseconds since the epoch.

    Attributes:
        id: 16 bytes.
        params: The parameters' texts as a datum, ``text[]``.
        written: Its row in the history, where it has one.
        status: None while it runs.
        rows: How many rows were returned, None where that is not known.
        result_bytes: Of the rows as they are kept, None likewise.
    """

    id: bytes
    prepared: PreparedRecord
    sample_rate: float
    application_name: str
    database: str
    search_path: tuple[str, ...]
    isolation: str
    transaction: int
    params: bytes
    version: str
    began_ms: int
    cluster: ClusterId | None = None
    cluster_name: str | None = None
    timestamp: int | None = None
    transient_index: str | None = None
    optimized_ms: int | None = None
    finished_ms: int | None = None
    status: str | None = None
    error_message: str | None = None
    result_bytes: int | None = None
    rows: int | None = None
    strategy: str | None = None
    written: TableRow | None = None

    def note_time(self, cluster: ClusterId | None, name: str, timestamp: int) -> None:
        """Note where and as of when data are read."""
        self.cluster, self.cluster_name = cluster, None if cluster is None else name
        self.timestamp = timestamp

    def note_plan(self, strategy: str, transient_index: str | None, at_ms: int) -> None:
        """Note that the plan is ready; ``transient_index`` is made for this answer alone."""
        self.strategy, self.transient_index, self.optimized_ms = strategy, transient_index, at_ms

    def row(self) -> TableRow:
        """Return its row of the history as of now."""
        return _row(
            EXECUTIONS,
            r.uuid(self.id),
            r.uuid(self.prepared.id),
            r.float8(self.sample_rate),
            r.text(self.cluster),
            r.text(self.application_name),
            r.text(self.cluster_name),
            r.text(self.database),
            r.text_list(self.search_path),
            r.text(self.isolation),
            r.integer(self.timestamp),
            r.integer(self.transaction),
            r.text(self.transient_index),
            self.params,
            r.text(self.version),
            _moment(self.began_ms),
            _moment(self.finished_ms),
            r.text(self.status),
            r.text(self.error_message),
            r.integer(self.result_bytes),
            r.integer(self.rows),
            r.text(self.strategy),
        )


# Positions in the datums of the rows above, which retention looks at.
EXECUTION_PREPARED, EXECUTION_BEGAN = 1, 14
EXECUTION_STATUS = 16


def session_row(id: bytes, connected_ms: int, application_name: str, user: str) -> TableRow:
    """Return the row of a session: its name at first, and who has connected."""
    return _row(SESSIONS, r.uuid(id), _moment(connected_ms), r.text(application_name), r.text(user))


def prepared_row(
    record: PreparedRecord, name: str, kind: str, prepared_ms: int, throttled: int
) -> TableRow:
    """Return the row of a prepared statement; ``throttled`` samples before it were dropped."""
    return _row(
        PREPARED,
        r.uuid(record.id),
        r.uuid(record.session),
        r.text(name),
        r.bytea(record.hash),
        _moment(prepared_ms),
        r.text(kind),
        r.integer(throttled),
    )


def text_row(day_ms: int, hash: bytes, sql: str, redacted: str) -> TableRow:
    """Return the row of a text; ``day_ms`` is its day's beginning."""
    return _row(TEXTS, _moment(day_ms), r.bytea(hash), r.text(sql), r.text(redacted))


def event_row(execution: bytes, event: str, at_ms: int) -> TableRow:
    """Return the row of an event of an execution's life."""
    return _row(LIFECYCLE, r.uuid(execution), r.text(event), _moment(at_ms))


def day_of(ms: int) -> int:
    """Return the beginning, in UTC, of the day that a moment is in."""
    return ms - ms % _DAY_MS


def _moment(ms: int | None) -> bytes:
    return r.integer(None if ms is None else ms * _MICROS_PER_MS)


def _row(table: str, *datums: bytes) -> TableRow:
    return f"mz_internal.{table}", b"".join(datums)
