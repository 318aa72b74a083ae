"""The conversation between the native front and Python.

Three streams, each of MessagePack maps tagged by ``kind``:

* *requests* (:data:`Request`): front → Python, in order per connection. Those with an ``id`` other
  than 0 are answered by exactly one :data:`Reply`; the rest are events and have no answer. A
  connection has at most one unanswered request.
* *replies* (:data:`Reply`): Python → front, by request id. Each carries the same :class:`Trailer`.
* *commands* (:data:`Command_`): Python → front, unasked for.

Rows are bytes in the flat update codec (``hw_types::flat``): diffs are multiplicities, times are
ignored unless said otherwise. Mirrored by ``rust/hw-front/src/protocol.rs``; a test holds both
sides together.
"""

from typing import Literal, TypeAlias

import msgspec

from headwater.errors import ErrorFields
from headwater.ir.physical import Mfp
from headwater.ir.relation import RowSetFinishing
from headwater.ir.scalar import ColumnOrder
from headwater.types.ids import GlobalId, ShardId
from headwater.types.scalar import ScalarType

TransactionStatus = Literal["I", "T", "E"]
"""Idle (no explicit transaction), in a transaction, in a failed transaction."""


class _Message(msgspec.Struct, frozen=True, tag_field="kind", kw_only=True):
    """Any message; subclasses set the tag."""


# --- Shapes used by several messages -------------------------------------------------------------


class ResultColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column of a result as a client is told of it; see ``oids.result_column``."""

    name: str
    type: ScalarType
    oid: int
    type_size: int = -1
    type_modifier: int = -1
    table_oid: int = 0
    column_number: int = 0


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a prepared statement; see ``oids.parameter``."""

    type: ScalarType
    oid: int


class FastPlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the front may answer a prepared point read without asking.

    It applies while the catalog has this version, the session's settings have not changed since
    the statement was prepared, and the session is in no explicit transaction. It must be given
    only where nothing but an index lookup with one row of key values is needed.

    Attributes:
        catalog_version: Compared with what ``FrontState.set_catalog_version`` was told last.
        cluster: The cluster whose replicas hold the index.
        index: The index's id.
        key: One item a column of the index's key: the number of a parameter (from 0), or the
            bytes of a literal datum. A NULL parameter finds nothing.
        mfp: Applied to full rows of the indexed collection.
        finishing: Applied to what is left.
        serializable: Read the freshest time the index can answer instead of the oracle's.
    """

    catalog_version: int
    cluster: str
    index: str
    key: tuple[int | bytes, ...]
    mfp: Mfp
    finishing: RowSetFinishing
    serializable: bool = False


class FastInsert(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the front hands a prepared INSERT of one row to the store, or on as :class:`Insert`.

    Attributes:
        catalog_version: The catalog that it was planned against.
        table: The table.
        row: For each column the number of a parameter (from 0), or a datum.
        shard: The table's, where the store may commit the row by itself while it is lent the
            transaction shard; None where more has to be looked at than NULLs.
        not_null: The columns that take no NULL: a row with one is executed as any other statement.
    """

    catalog_version: int
    table: GlobalId
    row: tuple[int | bytes, ...]
    shard: ShardId | None = None
    not_null: tuple[int, ...] = ()


class StatementDesc(msgspec.Struct, frozen=True, omit_defaults=True):
    """A planned statement: what Bind and Describe need to know of it.

    ``columns`` is None where the statement returns no rows. ``handle`` is Python's own number.
    """

    handle: int
    parameters: tuple[Parameter, ...] = ()
    columns: tuple[ResultColumn, ...] | None = None
    fast: FastPlan | None = None
    fast_insert: FastInsert | None = None


class NamedStatement(msgspec.Struct, frozen=True):
    """A statement that SQL's PREPARE made; a client may Bind it by name."""

    name: str
    statement: StatementDesc


class CopyFormat(msgspec.Struct, frozen=True, omit_defaults=True):
    r"""COPY's options. Single-byte options are one ASCII character; "" means the default.

    ``header_match``: the first line must name the columns. ``force_…`` are positions of columns.
    ``row_bytes_max``: of what is read, 0 for 128 MiB.

    Defaults: text: delimiter tab, null ``\\N``; csv: delimiter comma, null empty, quote ``"``,
    escape the same as quote.
    """

    format: Literal["text", "csv", "binary"] = "text"
    delimiter: str = ""
    null: str | None = None
    quote: str = ""
    escape: str = ""
    header: bool = False
    header_match: bool = False
    force_quote: tuple[int, ...] = ()
    force_not_null: tuple[int, ...] = ()
    force_null: tuple[int, ...] = ()
    row_bytes_max: int = 0


class SessionSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The session variables that the front itself obeys. Zero time-outs are off."""

    statement_timeout_ms: int = 0
    idle_in_transaction_timeout_ms: int = 0
    client_min_messages: str = "notice"
    max_result_bytes: int = 1 << 30
    time_zone: str = "UTC"
    interval_style: str = "postgres"
    bytea_output: str = "hex"
    extra_float_digits: int = 1


# --- Requests: front → Python --------------------------------------------------------------------


class _Request(_Message, frozen=True, kw_only=True):
    """A question of connection ``conn``; ``id`` names it in the reply, 0 for an event."""

    id: int = 0
    conn: int


class Startup(_Request, frozen=True, kw_only=True, tag="startup"):
    """A client has sent its startup message; answered by :class:`Started` or :class:`Failed`.

    ``options`` holds every parameter of the packet that is not named here, those of ``options``'s
    ``-c k=v`` and ``--k=v`` included. ``internal`` tells which listener was used.
    ``process_id`` is what the client will know the session by (``pg_backend_pid()``).
    """

    user: str
    database: str
    application_name: str = ""
    options: dict[str, str] = {}
    internal: bool = False
    peer: str = ""
    process_id: int = 0


class ParseMany(_Request, frozen=True, kw_only=True, tag="parse_many"):
    """A simple Query's text; answered by :class:`Parsed`.

    The handles returned are good for one Execute each and only until the connection's next
    request that is not an Execute or a part of a COPY.
    """

    sql: str


class Prepare(_Request, frozen=True, kw_only=True, tag="prepare"):
    """A Parse message; answered by :class:`Prepared`. The name "" is replaced each time.

    ``param_oids`` may be shorter than the parameters; 0 leaves a type to be inferred.
    """

    name: str
    sql: str
    param_oids: tuple[int, ...] = ()


class Execute(_Request, frozen=True, kw_only=True, tag="execute"):
    """Run a statement; answered by one of :data:`ExecuteReply`.

    Attributes:
        handle: From :class:`Parsed`, :class:`Prepared` or :class:`NamedStatement`.
        params: One row-encoded datum a parameter, of the parameter's type; None is NULL.
        max_rows: The portal's row limit, 0 for none; only a hint.
        sync: Whether this is the last statement before Sync, so that an implicit transaction is
            to be committed before answering. If false, a :class:`Sync` or another Execute follows.
        portal: The portal's name, "" for the unnamed and for simple queries.
    """

    handle: int
    params: tuple[bytes | None, ...] = ()
    max_rows: int = 0
    sync: bool = True
    portal: str = ""


class Insert(_Request, frozen=True, kw_only=True, tag="insert"):
    """Insert one row, as a transaction; answered by :class:`Command`, or by :class:`Again`.

    Sent in place of the Execute of a statement that has a :class:`FastInsert`.
    """

    table: GlobalId
    row: bytes
    catalog_version: int


class Sync(_Request, frozen=True, kw_only=True, tag="sync"):
    """End the implicit transaction; answered by :class:`Synced` or :class:`Failed`.

    Sent only where an Execute had ``sync`` false, or the front itself failed a statement.
    ``failed`` asks for a rollback.
    """

    failed: bool = False


class CopyData(_Request, frozen=True, kw_only=True, tag="copy_data"):
    """Rows of a running COPY FROM; answered by :class:`Synced` (go on) or :class:`Failed`.

    ``rows`` is one flat batch of at most a few MiB in the column order of :class:`CopyIn`.
    """

    rows: bytes


class CopyDone(_Request, frozen=True, kw_only=True, tag="copy_done"):
    """A COPY FROM has ended well; answered by :class:`Command`. ``sync`` as in Execute."""

    sync: bool = True


class CopyFail(_Request, frozen=True, kw_only=True, tag="copy_fail"):
    """A COPY FROM has failed, by the client's word or by malformed data.

    Store nothing; answered by :class:`Failed` with this error.
    """

    error: ErrorFields


class Complete(_Request, frozen=True, kw_only=True, tag="complete"):
    """Event: the row source of Execute request ``execution`` is spent or abandoned.

    Sent exactly once for each peek and subscribe source, never for others. What was held for it
    can be released. ``outcome`` other than "done" fails an explicit transaction.
    """

    execution: int
    outcome: Literal["done", "failed", "canceled", "abandoned"]
    rows: int = 0
    sqlstate: str = ""


class Failure(_Request, frozen=True, kw_only=True, tag="failure"):
    """Event: the front itself found a statement at fault (a bad parameter, an unknown portal).

    An explicit transaction is now failed; an implicit one will be rolled back by :class:`Sync`.
    """

    sqlstate: str


class CloseStatement(_Request, frozen=True, kw_only=True, tag="close_statement"):
    """Event: a statement of :class:`Prepared` or :class:`NamedStatement` is no longer needed.

    Sent once for each, DEALLOCATEd ones too, except when the connection ends. ``name`` is free
    unless another statement has it by now.
    """

    handle: int
    name: str


class ClosePortal(_Request, frozen=True, kw_only=True, tag="close_portal"):
    """Event: a cursor opened by :class:`DeclareCursor` is gone, other than by CLOSE."""

    name: str


class Cancel(_Request, frozen=True, kw_only=True, tag="cancel"):
    """Event: stop what the connection's request ``request`` is doing and answer it.

    Answer with :class:`Failed` and 57014, or with success where it came too late.
    """

    request: int
    reason: Literal["user request", "statement timeout"] = "user request"


class Terminate(_Request, frozen=True, kw_only=True, tag="terminate"):
    """Event: the connection is gone; the last message of its conversation.

    A request still unanswered is to be abandoned; its reply is ignored.
    """


class PeekResult(_Request, frozen=True, kw_only=True, tag="peek_result"):
    """Event: the answer of ``collect_peek`` call number ``execution``; ``conn`` is 0."""

    execution: int
    rows: bytes = b""
    error: ErrorFields | None = None


Request: TypeAlias = (
    Startup
    | ParseMany
    | Prepare
    | Execute
    | Insert
    | Sync
    | CopyData
    | CopyDone
    | CopyFail
    | Complete
    | Failure
    | CloseStatement
    | ClosePortal
    | Cancel
    | Terminate
    | PeekResult
)


# --- Row sources ---------------------------------------------------------------------------------


class InlineRows(_Message, frozen=True, kw_only=True, tag="inline"):
    """Rows that are there already: a flat batch, sent in its order after ``finishing``."""

    rows: bytes
    finishing: RowSetFinishing | None = None


class PeekSource(_Message, frozen=True, kw_only=True, tag="peek", omit_defaults=True):
    """A one-shot read, sent to every replica of a cluster; the first complete answer wins.

    Attributes:
        uuid: 16 bytes, the same as inside ``peek``; names it in responses and cancellation.
        cluster: Whose replicas are asked. With none the peek waits for one.
        before: Compute commands to send first (CreateDataflow of a transient index).
        peek: The Peek command; CancelPeek is sent where its answer is no longer needed.
        after: Compute commands to send when the peek is over (AllowCompaction to empty).
        finishing: Applied to the merged rows.
        waiting_notice: What to tell the client after a second without an answer; "" for nothing.
        replica: Ask only this replica; "" for all.
        max_result_bytes: More rows than this are an error; 0 for the session's limit.
    """

    uuid: bytes
    cluster: str
    peek: bytes
    finishing: RowSetFinishing
    before: tuple[bytes, ...] = ()
    after: tuple[bytes, ...] = ()
    waiting_notice: str = ""
    replica: str = ""
    max_result_bytes: int = 0


class SubscribeEnvelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a subscription's updates become rows.

    Shape: ``upsert``: ``mz_state``, ``key``'s columns, the other columns. ``debezium``:
    ``mz_state``, ``key``'s columns, the other columns before and then after. ``ordered``:
    ``mz_diff`` and all columns, sorted within a time by ``order_by``, whose column 0 is
    ``mz_diff``. ``mz_state`` is upsert, insert (debezium's alone), delete or key_violation.
    """

    form: Literal["upsert", "debezium", "ordered"]
    key: tuple[int, ...] = ()
    order_by: tuple[ColumnOrder, ...] = ()


class SubscribeSource(_Message, frozen=True, kw_only=True, tag="subscribe", omit_defaults=True):
    """A stream of updates of the dataflow's subscribe export ``id``.

    ``Links.expect_subscribe(id)`` must precede the dataflow's creation, so that nothing is missed.

    Shape: ``mz_timestamp``, ``mz_progressed`` if ``progress``, then what ``envelope`` makes of the
    updates, without it ``mz_diff`` and the dataflow's columns; the reply's ``columns`` describe
    them all. With ``progress`` a row with
    ``mz_progressed`` true and NULLs follows whenever the frontier moves.

    Frontiers: batches below what has been sent already are dropped, so that replicas may come and
    go. The stream ends when the frontier reaches ``up_to`` or is empty.
    """

    id: GlobalId
    arity: int
    progress: bool = False
    as_of: int = 0
    up_to: int | None = None
    envelope: SubscribeEnvelope | None = None


class FetchSource(_Message, frozen=True, kw_only=True, tag="fetch", omit_defaults=True):
    """Rows of a cursor or portal of the connection: at most ``count``, None for all.

    For subscriptions: without ``timeout_ms`` wait for at least one row and take what is there; with
    it wait for ``count`` rows but no longer than that.
    """

    cursor: str
    count: int | None = 1
    timeout_ms: int | None = None


RowSource: TypeAlias = InlineRows | PeekSource | SubscribeSource | FetchSource
StreamSource: TypeAlias = InlineRows | PeekSource | SubscribeSource


# --- Replies: Python → front ---------------------------------------------------------------------


class Trailer(_Message, frozen=True, kw_only=True, omit_defaults=True):
    """What every reply may carry beside its answer.

    Attributes:
        status: The transaction status after the request; ReadyForQuery reports it.
        notices: Sent before the answer, those below ``client_min_messages`` dropped.
        parameters: ParameterStatus changes, for reported variables only.
        settings: The new settings if any has changed; a change ends the use of fast plans of
            statements prepared before it.
        prepared: Statements made by SQL's PREPARE.
        deallocated: Names dropped by DEALLOCATE; None for all.
    """

    status: TransactionStatus = "I"
    notices: tuple[ErrorFields, ...] = ()
    parameters: dict[str, str] = {}
    settings: SessionSettings | None = None
    prepared: tuple[NamedStatement, ...] = ()
    deallocated: tuple[str, ...] | None = ()


class Started(Trailer, frozen=True, kw_only=True, tag="started"):
    """The session is open. ``parameters`` has all reported variables, ``settings`` is set."""


class Parsed(Trailer, frozen=True, kw_only=True, tag="parsed"):
    """One handle a statement, in order; none for an empty text."""

    statements: tuple[int, ...]


class Prepared(Trailer, frozen=True, kw_only=True, tag="prepared"):
    """The statement is planned. ``empty`` marks a text with no statement in it."""

    statement: StatementDesc
    empty: bool = False


class Synced(Trailer, frozen=True, kw_only=True, tag="synced"):
    """Done; nothing more to say."""


class Command(Trailer, frozen=True, kw_only=True, tag="command"):
    """The statement is done and returns no rows. ``tag``: "INSERT 0 3"."""

    tag: str


class Rows(Trailer, frozen=True, kw_only=True, tag="rows"):
    """The statement returns rows.

    Attributes:
        source: Where they are.
        columns: None means those of the prepared statement or of the cursor fetched from.
        tag: The first part of the command tag.
        counted: Whether the number of rows follows the tag.
    """

    source: RowSource
    columns: tuple[ResultColumn, ...] | None = None
    tag: str = "SELECT"
    counted: bool = True


class CopyOut(Trailer, frozen=True, kw_only=True, tag="copy_out"):
    """COPY … TO STDOUT. The tag is "COPY n"."""

    columns: tuple[ResultColumn, ...]
    source: StreamSource
    format: CopyFormat = CopyFormat()


class CopyIn(Trailer, frozen=True, kw_only=True, tag="copy_in"):
    """COPY … FROM STDIN: the front reads, parses and sends :class:`CopyData`.

    ``table`` is for error contexts. Rows are in the order of ``columns``.
    """

    table: str
    columns: tuple[ResultColumn, ...]
    format: CopyFormat = CopyFormat()


class DeclareCursor(Trailer, frozen=True, kw_only=True, tag="declare_cursor"):
    """A cursor is open; it ends with the transaction. Its rows are fetched by FetchSource."""

    name: str
    columns: tuple[ResultColumn, ...]
    source: StreamSource


class CloseCursor(Trailer, frozen=True, kw_only=True, tag="close_cursor"):
    """CLOSE: drop a cursor or portal, None for all. An unknown name is 34000, from the front."""

    name: str | None


class Empty(Trailer, frozen=True, kw_only=True, tag="empty"):
    """The statement was empty."""


class Again(Trailer, frozen=True, kw_only=True, tag="again"):
    """An :class:`Insert` was not done: its plan is void, and the statement is to be executed."""


class Failed(Trailer, frozen=True, kw_only=True, tag="failed"):
    """The request failed, and with it an implicit transaction; ``status`` is "I" or "E"."""

    error: ErrorFields


ExecuteReply: TypeAlias = (
    Command | Rows | CopyOut | CopyIn | DeclareCursor | CloseCursor | Empty | Again | Failed
)
Reply: TypeAlias = Started | Parsed | Prepared | Synced | ExecuteReply


# --- Commands: Python → front, unasked for -------------------------------------------------------


class SendNotice(_Message, frozen=True, kw_only=True, tag="send_notice"):
    """Tell a client something as soon as it can be told."""

    conn: int
    notice: ErrorFields


class SendParameter(_Message, frozen=True, kw_only=True, tag="send_parameter"):
    """Tell a client that a reported variable has changed."""

    conn: int
    name: str
    value: str


class CancelConnection(_Message, frozen=True, kw_only=True, tag="cancel_connection"):
    """Act as if the client had sent a CancelRequest (``pg_cancel_backend``)."""

    conn: int


class TerminateConnection(_Message, frozen=True, kw_only=True, tag="terminate_connection"):
    """Send a FATAL error and close (``pg_terminate_backend``, shutdown)."""

    conn: int
    error: ErrorFields


Command_: TypeAlias = SendNotice | SendParameter | CancelConnection | TerminateConnection

_ENCODER = msgspec.msgpack.Encoder()
_REQUESTS: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)


def encode(message: Reply | Command_ | PeekSource) -> bytes:
    """Return the message's bytes."""
    return _ENCODER.encode(message)


def decode_request(data: bytes) -> Request:
    """Return the request in ``data``.

    Raises:
        msgspec.ValidationError: ``data`` is no request; the native side is of another version.
    """
    return _REQUESTS.decode(data)
