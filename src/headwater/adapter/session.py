"""A session: who is connected, its variables, prepared statements, cursors and transaction."""

import msgspec

from headwater.adapter.holds import ReadHolds
from headwater.adapter.statement_rows import PreparedRecord, SampledExecution
from headwater.adapter.transactions import Transaction
from headwater.adapter.variables import (
    ROLE,
    SESSION_AUTHORIZATION,
    SessionVariables,
    bytes_count,
    duration_ms,
)
from headwater.catalog.items import Role
from headwater.errors import ErrorFields, InvalidSqlStatementName
from headwater.ir.literals import literal_from_text
from headwater.ir.scalar import Literal
from headwater.pgwire.protocol import ResultColumn, SessionSettings
from headwater.sql.ast.statement import ParsedStatement
from headwater.sql.plan.statements import Notice, Planned
from headwater.types.ids import RoleId, SchemaId
from headwater.types.scalar import TEXT, ScalarType, map_of

# A row to be written: for each column the number of a parameter (from 0), or a datum.
RowTemplate = tuple[int | bytes, ...]


class PreparedStatement:
    """A statement under a handle, planned for one version of the catalog."""

    __slots__ = (
        "declared",
        "fetched",
        "handle",
        "name",
        "once",
        "parsed",
        "planned",
        "prepared_ms",
        "record",
        "settings",
        "template",
        "version",
    )

    def __init__(
        self,
        handle: int,
        parsed: ParsedStatement | None,
        declared: tuple[ScalarType | None, ...],
        *,
        name: str = "",
        once: bool = False,
    ) -> None:
        self.handle = handle
        self.parsed = parsed  # None: an empty text
        self.declared = declared
        self.name = name
        self.once = once  # part of a simple query: gone with it
        self.planned: Planned | None = None
        self.template: RowTemplate | None = None  # of an INSERT of parameters and literals
        self.fetched: tuple[ResultColumn, ...] | None = None  # the cursor's of a described FETCH
        self.version = -1
        self.settings = -1
        self.prepared_ms = 0  # when, of one that a client has prepared
        self.record: PreparedRecord | None = None  # in the statements' history, where it has one


class Execution(msgspec.Struct):
    """A row source that the front reads for a client, and what it keeps alive."""

    holds: ReadHolds | None
    drop: tuple[tuple[str, str], ...] = ()  # (cluster, export) to drop when it is spent


class Session:
    """See the module. Implements the planner's ``PlanSession``.

    Attributes:
        conn: The connection's number at the front.
        login: The role that has connected.
        process_id: ``pg_backend_pid()``.
        transaction: The current one; an implicit one between transactions.
        notices: What the next reply tells the client.
        settings_version: Counts changes that void plans made before.
        last_ts: The greatest time this session has read or written at.
        inserts_unseen: Whether it may have written at times that ``last_ts`` was not told of: all
            of them are applied.
        first_application_name: What the client called itself when it connected.
        sample_rate: What share of its statements is written down, as of a version of the variables.
        recorded: Whether it is in the sessions' history.
        sampled: The execution that is written down, while a statement of one is executed.
        unfinished: Executions that have been answered and still run, by request.
    """

    def __init__(
        self,
        conn: int,
        process_id: int,
        role: Role,
        variables: SessionVariables,
        id: str,
        connected_ms: int = 0,
    ) -> None:
        self.conn = conn
        self.process_id = process_id
        self.login = role
        self._roles = {role.name: role}  # those that it has been
        self.id = id
        self.connected_ms = connected_ms
        self.variables = variables
        self.temp_schema: SchemaId | None = None
        self.transaction = Transaction(implicit=True)
        self.statements: dict[int, PreparedStatement] = {}
        self.names: dict[str, int] = {}
        self.notices: list[ErrorFields] = []
        self.executions: dict[int, Execution] = {}
        self.settings_version = 0
        self.last_ts = 0
        self.inserts_unseen = False
        self.copy: object | None = None  # a sequencer.copy.CopyIn, while one runs
        self.prepared_by_sql: list[PreparedStatement] = []
        self.deallocated: list[str] | None = []
        self.first_application_name = ""
        self.sample_rate = (-1, 0.0)
        self.recorded = False
        self.sampled: SampledExecution | None = None
        self.unfinished: dict[int, SampledExecution] = {}
        self._next_handle = 0
        self._settings: SessionSettings | None = None
        self._told_version = -1
        self._settings_map: tuple[int, Literal] | None = None  # as of a version of the variables

    # Who it is

    def become(self, role: Role | None, *, as_login: bool, local: bool) -> None:
        """Be another role; None: who it is without SET ROLE, or who has connected."""
        if role is not None:
            self._roles[role.name] = role
        variable = SESSION_AUTHORIZATION if as_login else ROLE
        self.variables.become(variable, None if role is None else role.name, local=local)

    @property
    def authorization(self) -> Role:
        """Return the role that ``session_user`` names."""
        return self._roles.get(self.variables.get(SESSION_AUTHORIZATION), self.login)

    @property
    def current(self) -> Role:
        """Return the role that ``current_user`` names, and that owns what is made."""
        return self._roles.get(self.variables.get(ROLE)) or self.authorization

    @property
    def role(self) -> RoleId:
        """Return the current role's id."""
        return self.current.id

    @property
    def superuser(self) -> bool:
        """Return whether the current role is a superuser."""
        return bool(self.current.superuser)

    # PlanSession

    @property
    def user(self) -> str:
        """Return the current role's name."""
        return self.current.name

    @property
    def search_path(self) -> tuple[str, ...]:
        """Return the schemas of ``search_path``."""
        return self.variables.names("search_path")

    @property
    def time_zone(self) -> str:
        """Return the session's time zone: ``UTC``, an IANA name or an offset."""
        return self.variables.get("timezone")

    @property
    def database(self) -> str:
        """Return the current database's name; it need not exist."""
        return self.variables.get("database")

    @property
    def cluster(self) -> str:
        """Return the current cluster's name; it need not exist."""
        return self.variables.get("cluster")

    # Statements

    def add_statement(
        self,
        parsed: ParsedStatement | None,
        declared: tuple[ScalarType | None, ...] = (),
        *,
        name: str = "",
        once: bool = False,
    ) -> PreparedStatement:
        """Keep a statement under a fresh handle; a named one replaces that of the same name."""
        self._next_handle += 1
        statement = PreparedStatement(self._next_handle, parsed, declared, name=name, once=once)
        self.statements[statement.handle] = statement
        if not once:
            old = self.names.get(name)
            if old is not None and name == "":
                self.statements.pop(old, None)
            self.names[name] = statement.handle
        return statement

    def statement(self, handle: int) -> PreparedStatement:
        """Return a statement. Raises: InvalidSqlStatementName."""
        found = self.statements.get(handle)
        if found is None:
            raise InvalidSqlStatementName("prepared statement does not exist")
        return found

    def named(self, name: str) -> PreparedStatement:
        """Return the statement that a name means. Raises: InvalidSqlStatementName."""
        handle = self.names.get(name)
        if handle is None:
            raise InvalidSqlStatementName(f'prepared statement "{name}" does not exist')
        return self.statement(handle)

    def drop_statement(self, handle: int) -> None:
        """Forget a statement; unknown ones are ignored."""
        statement = self.statements.pop(handle, None)
        if statement is not None and self.names.get(statement.name) == handle:
            del self.names[statement.name]

    def drop_once(self) -> None:
        """Forget the statements of simple queries that are over."""
        for handle in [h for h, s in self.statements.items() if s.once]:
            del self.statements[handle]

    # Notices and settings

    def notify(self, notice: Notice | ErrorFields) -> None:
        """Tell the client something with the next reply."""
        if isinstance(notice, Notice):
            notice = ErrorFields(
                sqlstate=notice.sqlstate,
                message=notice.message,
                detail=notice.detail,
                hint=notice.hint,
                severity=notice.severity,
            )
        self.notices.append(notice)

    def take_notices(self) -> tuple[ErrorFields, ...]:
        """Return what the client has not been told yet."""
        notices, self.notices = tuple(self.notices), []
        return notices

    def changes(self) -> tuple[dict[str, str], SessionSettings | None]:
        """Return reported variables and settings that changed since the last call."""
        if self.variables.version == self._told_version:
            return {}, None
        self._told_version = self.variables.version
        return self.variables.changed_reported(), self._changed_settings()

    def _changed_settings(self) -> SessionSettings | None:
        get = self.variables.get
        settings = SessionSettings(
            statement_timeout_ms=duration_ms(get("statement_timeout")),
            idle_in_transaction_timeout_ms=duration_ms(get("idle_in_transaction_session_timeout")),
            client_min_messages=get("client_min_messages"),
            max_result_bytes=min(
                bytes_count(get("max_query_result_size")), bytes_count(get("max_result_size"))
            ),
            time_zone=get("timezone"),
            interval_style=get("intervalstyle"),
            bytea_output=get("bytea_output"),
            extra_float_digits=int(get("extra_float_digits")),
        )
        if settings == self._settings:
            return None
        self._settings = settings
        return settings

    def settings_map(self) -> Literal:
        """Return all variables and their values, as ``current_setting`` looks them up."""
        if self._settings_map is None or self._settings_map[0] != self.variables.version:
            quoted = ", ".join(
                f"{_in_map(shown.lower())}=>{_in_map(value)}"
                for shown, value in self.variables.by_name().items()
            )
            literal = literal_from_text(f"{{{quoted}}}", map_of(TEXT))
            self._settings_map = (self.variables.version, literal)
        return self._settings_map[1]

    def isolation(self) -> str:
        """Return the isolation level in force, as ``transaction_isolation`` names it."""
        return self.transaction.isolation or self.variables.get("transaction_isolation")

    def hold_for(
        self,
        execution: int,
        holds: ReadHolds | None,
        drop: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Keep ``holds`` until the row source of ``execution`` is spent."""
        self.executions[execution] = Execution(holds, drop)


def _in_map(text: str) -> str:
    """Return a key or value as a map's text form has it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def notice(
    message: str,
    sqlstate: str = "00000",
    severity: str = "NOTICE",
    *,
    detail: str = "",
    hint: str = "",
) -> ErrorFields:
    """Return a notice as data."""
    return ErrorFields(
        sqlstate=sqlstate, message=message, severity=severity, detail=detail, hint=hint
    )
