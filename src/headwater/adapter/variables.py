"""Session and system variables: what exists, which values are valid, how they are shown.

A value is kept in its canonical text. A session sees, in this order: SET LOCAL, SET, what
it asked for at startup, its role's defaults, ALTER SYSTEM SET, the built-in default.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import msgspec

from headwater.errors import CantChangeRuntimeParam, InvalidParameterValue, UndefinedObject
from headwater.ir.literals import fold_constant, literal_from_text, text_literal
from headwater.ir.scalar import Call, LiteralError
from headwater.types.scalar import TIMESTAMP, TIMESTAMPTZ, ColumnType

Parse = Callable[[Sequence[str]], str | None]

SERVER_VERSION = "9.5.0"
SERVER_VERSION_NUM = "90500"

# Who the session is: SET ROLE and SET SESSION AUTHORIZATION.
ROLE = "role"
SESSION_AUTHORIZATION = "session_authorization"
NO_ROLE = "none"

# Which statements are written down: the session's wish, its bound, and its value at first; and how
# much, in bytes a second, and in bytes at once after a quiet time.
SAMPLE_RATE = "statement_logging_sample_rate"
MAX_SAMPLE_RATE = "statement_logging_max_sample_rate"
DEFAULT_SAMPLE_RATE = "statement_logging_default_sample_rate"
TARGET_DATA_RATE = "statement_logging_target_data_rate"
MAX_DATA_CREDIT = "statement_logging_max_data_credit"


class Scope(StrEnum):
    """Who may set a variable."""

    SESSION = "session"
    SYSTEM = "system"
    FIXED = "fixed"  # nobody: it can be shown only


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One variable.

    Attributes:
        parse: From the values as written to the canonical text; None where they are invalid.
        reported: Whether clients are told of changes by ParameterStatus.
        listed: Whether SHOW ALL has it, and RESET ALL resets it.
    """

    name: str
    default: str
    parse: Parse
    scope: Scope = Scope.SESSION
    reported: bool = False
    listed: bool = True
    description: str = ""


def _one(values: Sequence[str]) -> str | None:
    return values[0] if len(values) == 1 else None


def _boolean(values: Sequence[str]) -> str | None:
    word = (_one(values) or "").strip().lower()
    if word and ("true".startswith(word) or "yes".startswith(word) or word in ("on", "1")):
        return "on"
    if word and ("false".startswith(word) or "no".startswith(word) or word in ("off", "of", "0")):
        return "off"
    return None


# What errors say of the values that a parser takes.
_BOUNDS: dict[Parse, tuple[int, int]] = {}
_AVAILABLE: dict[Parse, tuple[str, ...]] = {}
_WHOLE = re.compile(r"[+-]?\d{1,18}")


def _integer(low: int, high: int) -> Parse:
    def parse(values: Sequence[str]) -> str | None:
        word = (_one(values) or "").strip()
        if not _WHOLE.fullmatch(word) or not low <= int(word) <= high:
            return None
        return str(int(word))

    _BOUNDS[parse] = (low, high)
    return parse


def _number(low: float, high: float = math.inf) -> Parse:
    def parse(values: Sequence[str]) -> str | None:
        word = (_one(values) or "").strip()
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", word) or not low <= float(word) <= high:
            return None
        return word

    return parse


def _enum(*words: str) -> Parse:
    def parse(values: Sequence[str]) -> str | None:
        word = " ".join((_one(values) or "").lower().split())
        return next((w for w in words if w.lower() == word), None)

    _AVAILABLE[parse] = words
    return parse


def _only(*accepted: str) -> Parse:
    """Return a parser of the first word that also takes the others for it."""

    def parse(values: Sequence[str]) -> str | None:
        word = ", ".join(values).strip().lower().replace(" ", "")
        return accepted[0] if word in {w.lower().replace(" ", "") for w in accepted} else None

    _AVAILABLE[parse] = accepted[:1]
    return parse


def _identifiers(values: Sequence[str]) -> str | None:
    names = [name.strip() for value in values for name in _split_identifiers(value)]
    return ", ".join(_quote(name) for name in names)


def _split_identifiers(text: str) -> list[str]:
    quoted = re.findall(r'"((?:[^"]|"")*)"|([^,"]+)', text)
    return [a.replace('""', '"') if a else b.strip() for a, b in quoted if a or b.strip()]


def _quote(name: str) -> str:
    if re.fullmatch(r"[a-z_][a-z0-9_$]*", name):
        return name
    return '"' + name.replace('"', '""') + '"'


def split_identifiers(text: str) -> tuple[str, ...]:
    """Return the names in the canonical text of a list of identifiers."""
    return tuple(_split_identifiers(text))


_UTC_NAMES = frozenset({"utc", "+00:00", "+00", "0", "gmt", "etc/utc", "z", "zulu", "uct"})
_EPOCH = literal_from_text("1970-01-01", TIMESTAMPTZ)


def _time_zone(values: Sequence[str]) -> str | None:
    """Read a zone: a name, hours, or an interval of hours and minutes east of UTC."""
    word = (_one(values) or "").strip()
    if word.lower() in _UTC_NAMES:
        return "UTC"
    if re.fullmatch(r"[+-]?\d{1,2}(\.\d+)?", word):
        minutes = round(float(word) * 60)
        word = _offset(minutes)
    elif re.fullmatch(r"[+-]?\d+h|[+-]?\d+ hours?", word):
        word = _offset(int(re.sub(r"[^\d+-]", "", word)) * 60)
    call = Call("timezone_text_timestamptz", (text_literal(word), _EPOCH), ColumnType(TIMESTAMP))
    return None if isinstance(fold_constant(call), LiteralError) else word


def _offset(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


_UNITS_MS = {"us": 0.001, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONG_UNITS = {"second": "s", "seconds": "s", "minute": "min", "minutes": "min", "hour": "h",
               "hours": "h", "day": "d", "days": "d", "m": "min"}  # fmt: skip
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\Z")


def _duration(values: Sequence[str]) -> str | None:
    match = _DURATION.match((_one(values) or "").strip().lower())
    if match is None:
        return None
    unit = _LONG_UNITS.get(match[2], match[2]) or "ms"
    if unit not in _UNITS_MS:
        return None
    return show_duration(int(float(match[1]) * _UNITS_MS[unit]))


def _period(values: Sequence[str]) -> str | None:
    """Read a duration of a second at least: how often something is done."""
    found = _duration(values)
    return None if found is None or duration_ms(found) < _UNITS_MS["s"] else found


def show_duration(ms: int) -> str:
    """Return a duration's canonical text."""
    if ms % 60_000 == 0 and ms:
        return f"{ms // 60_000} min"
    return f"{ms // 1_000} s" if ms % 1_000 == 0 else f"{ms} ms"


def duration_ms(text: str) -> int:
    """Return the milliseconds of a duration's canonical text."""
    number, unit = text.split()
    return int(int(number) * _UNITS_MS[unit])


_BYTE_UNITS = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}


def _bytes(values: Sequence[str]) -> str | None:
    match = _DURATION.match((_one(values) or "").strip().lower())
    if match is None or match[2] not in _BYTE_UNITS:
        return None
    return show_bytes(int(float(match[1]) * _BYTE_UNITS[match[2]]))


def _at_least_1mb(values: Sequence[str]) -> str | None:
    found = _bytes(values)
    if found is not None and bytes_count(found) < _BYTE_UNITS["mb"]:
        raise InvalidParameterValue(
            f'parameter "max_result_size" cannot have value "{found}": '
            "only supports values in range ByteSize(1048576).."
        )
    return found


def show_bytes(count: int) -> str:
    """Return a size's canonical text."""
    for unit in ("tb", "gb", "mb", "kb"):
        if count and count % _BYTE_UNITS[unit] == 0:
            return f"{count // _BYTE_UNITS[unit]}{unit.upper()}"
    return f"{count}B"


def bytes_count(text: str) -> int:
    """Return the number of bytes of a size's canonical text."""
    match = _DURATION.match(text.lower())
    return int(match[1]) * _BYTE_UNITS[match[2]] if match else 0


ISOLATION_LEVELS = (
    "read uncommitted",
    "read committed",
    "repeatable read",
    "serializable",
    "strong session serializable",
    "strict serializable",
)
_MESSAGE_LEVELS = (
    "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error", "info",
)  # fmt: skip


def _var(
    name: str,
    default: str,
    parse: Parse = _one,
    *,
    scope: Scope = Scope.SESSION,
    reported: bool = False,
    listed: bool = True,
    description: str = "",
) -> Variable:
    return Variable(
        name=name,
        default=default,
        parse=parse,
        scope=scope,
        reported=reported,
        listed=listed,
        description=description,
    )


_FIXED = Scope.FIXED
_SYSTEM = Scope.SYSTEM
_COUNT = _integer(0, 2**31 - 1)

_SESSION_VARIABLES = (
    _var("application_name", "", reported=True, description="Name the client gives itself."),
    _var("auto_route_catalog_queries", "on", _boolean,
         description="Run queries of the catalog alone on mz_catalog_server."),
    _var("bytea_output", "hex", _enum("hex", "escape"), description="Format of bytes."),
    _var("client_encoding", "UTF8", _only("UTF8", "utf-8", "unicode"), reported=True,
         description="Encoding of the client's texts."),
    _var("client_min_messages", "notice", _enum(*_MESSAGE_LEVELS),
         description="Least severity of messages that are sent."),
    _var("cluster", "quickstart", reported=True, description="Where queries run."),
    _var("cluster_replica", "", reported=True, description="The one replica that answers."),
    _var("current_object_missing_warnings", "on", _boolean,
         description="Warn when the current database, cluster or schema is missing."),
    _var("database", "materialize", reported=True, description="The current database."),
    _var("datestyle", "ISO, MDY", _only("ISO, MDY", "iso", "iso,mdy"), reported=True,
         description="Format of dates."),
    _var("default_cluster_replication_factor", "1", _COUNT, reported=True,
         description="Replicas of a new managed cluster."),
    _var("emit_introspection_query_notice", "on", _boolean,
         description="Tell when a query reads one replica's introspection."),
    _var("emit_plan_insights_notice", "off", _boolean, description="Tell about plans."),
    _var("emit_timestamp_notice", "off", _boolean, description="Tell each query's timestamp."),
    _var("emit_trace_id_notice", "off", _boolean, description="Tell each query's trace."),
    _var("enable_session_rbac_checks", "off", _boolean, scope=_FIXED,
         description="Check privileges in this session."),
    _var("enable_session_cardinality_estimates", "off", _boolean,
         description="Estimate rows when planning."),
    _var("extra_float_digits", "3", _integer(-15, 3), description="Digits of floats shown."),
    _var("failpoints", "", scope=_FIXED, description="For tests."),
    _var("idle_in_transaction_session_timeout", "2 min", _duration,
         description="Idle transactions end after this; 0 never."),
    _var("integer_datetimes", "on", _boolean, scope=_FIXED, reported=True,
         description="Whether timestamps are whole numbers."),
    _var("intervalstyle", "postgres",
         _enum("postgres", "postgres_verbose", "sql_standard", "iso_8601"), reported=True,
         description="Format of intervals."),
    _var("is_superuser", "off", _boolean, scope=_FIXED, reported=True,
         description="Whether the session may do everything."),
    _var("max_identifier_length", "255", _COUNT, scope=_FIXED,
         description="Bytes of an identifier at most."),
    # PostgreSQL's, for drivers that read it: how many columns of a key metadata queries look at.
    _var("max_index_keys", "32", _COUNT, scope=_FIXED, description="Columns of an index at most."),
    _var("default_table_access_method", "heap", _only("heap"),
         description="How PostgreSQL's tables are stored; read by clients only."),
    # PostgreSQL's, which dumps and tools set: what they are about is not here.
    _var("check_function_bodies", "on", _boolean, description="There are no functions to check."),
    _var("default_tablespace", "", _only(""), description="There are no tablespaces."),
    _var("lock_timeout", "0 s", _duration, description="Nothing waits for a lock."),
    _var("row_security", "on", _boolean, description="There are no policies on rows."),
    _var("synchronize_seqscans", "on", _boolean, description="There are no sequential scans."),
    _var("xmloption", "content", _enum("content", "document"), description="There is no XML."),
    _var("max_query_result_size", "1GB", _bytes, description="Bytes of a result at most."),
    _var("mz_version", "", scope=_FIXED, reported=True, description="This program's version."),
    _var("real_time_recency", "off", _boolean,
         description="Wait for what is upstream at the time of the query."),
    _var("real_time_recency_timeout", "10 s", _duration, description="How long at most."),
    _var(ROLE, NO_ROLE, scope=_FIXED, listed=False, description="The role that SET ROLE names."),
    _var("search_path", "public", _identifiers, reported=True,
         description="Schemas in which names are looked for."),
    _var("server_version", SERVER_VERSION, scope=_FIXED, reported=True,
         description="The PostgreSQL version that clients should expect."),
    _var("server_version_num", SERVER_VERSION_NUM, scope=_FIXED,
         description="The same as a number."),
    _var(SESSION_AUTHORIZATION, "", scope=_FIXED, listed=False,
         description="Who the session is, unless SET ROLE says otherwise."),
    _var("sql_safe_updates", "off", _boolean, description="Refuse dangerous statements."),
    _var("standard_conforming_strings", "on", _only("on", "true", "1", "yes"), reported=True,
         description="Backslashes in plain strings are ordinary characters."),
    _var(SAMPLE_RATE, "0.1", _number(0, 1),
         description="Share of statements logged, up to statement_logging_max_sample_rate."),
    _var("statement_timeout", "1 min", _duration,
         description="Statements are canceled after this; 0 never."),
    _var("timezone", "UTC", _time_zone, reported=True, description="The session's time zone."),
    _var("transaction_read_only", "off", _boolean, scope=_FIXED,
         description="Whether the transaction may not write."),
    _var("transaction_isolation", "strict serializable", _enum(*ISOLATION_LEVELS),
         description="The isolation of transactions."),
    _var("unsafe_new_transaction_wall_time", "", description="For tests."),
    _var("welcome_message", "on", _boolean, description="Greet new sessions."),
)  # fmt: skip
_LIMITS = {
    "max_connections": "5000",
    "superuser_reserved_connections": "3",
    "max_tables": "1000",
    "max_sources": "200",
    "max_sinks": "1000",
    "max_materialized_views": "1000",
    "max_clusters": "100",
    "max_replicas_per_cluster": "5",
    "max_databases": "1000",
    "max_schemas_per_database": "1000",
    "max_objects_per_schema": "1000",
    "max_secrets": "100",
    "max_roles": "1000",
    "max_network_policies": "25",
    "max_rules_per_network_policy": "25",
    "max_kafka_connections": "1000",
    "max_postgres_connections": "1000",
    "max_mysql_connections": "1000",
    "max_sql_server_connections": "1000",
    "max_aws_privatelink_connections": "0",
    "persist_fast_path_limit": "25",
    "scram_iterations": "600000",
    "webhook_concurrent_request_limit": "500",
    "keep_n_source_status_history_entries": "5",
    "keep_n_sink_status_history_entries": "5",
    "keep_n_privatelink_status_history_entries": "5",
    TARGET_DATA_RATE: "2071",
    MAX_DATA_CREDIT: "52428800",
    "storage_dataflow_max_inflight_bytes": "268435456",
}
_SYSTEM_VARIABLES = (
    *(_var(name, default, _COUNT, scope=_SYSTEM) for name, default in _LIMITS.items()),
    _var("max_result_size", "1GB", _at_least_1mb, scope=_SYSTEM,
         description="Bytes of a result at most."),
    _var("max_copy_from_row_size", "128MB", _bytes, scope=_SYSTEM),
    _var("metrics_retention", "30 d", scope=_SYSTEM),
    _var("allowed_cluster_replica_sizes", "", _identifiers, scope=_SYSTEM),
    _var("network_policy", "default", scope=_SYSTEM),
    _var("default_timestamp_interval", "1 s", _duration, scope=_SYSTEM),
    _var("min_timestamp_interval", "1 s", _duration, scope=_SYSTEM),
    _var("max_timestamp_interval", "1 s", _duration, scope=_SYSTEM),
    _var("wallclock_lag_recording_interval", "1 min", _period, scope=_SYSTEM,
         description="How often lag is recorded in mz_wallclock_lag_history."),
    _var("replica_metrics_history_interval", "1 min", _period, scope=_SYSTEM,
         description="How often the use of replicas is recorded."),
    _var("storage_usage_collection_interval", "60 min", _period, scope=_SYSTEM,
         description="How often the bytes of shards are recorded."),
    _var("enable_rbac_checks", "off", _boolean, scope=_SYSTEM),
    _var("enable_default_connection_validation", "on", _boolean, scope=_SYSTEM),
    _var("force_source_table_syntax", "off", _boolean, scope=_SYSTEM),
    _var("max_credit_consumption_rate", "1024", _number(0), scope=_SYSTEM),
    _var("cluster_refresh_mv_compaction_estimate", "0 s", _duration, scope=_SYSTEM),
    _var("optimizer_e2e_latency_warning_threshold", "500 ms", _duration, scope=_SYSTEM),
    _var(MAX_SAMPLE_RATE, "0.99", _number(0, 1), scope=_SYSTEM,
         description="Share of statements logged at most."),
    _var(DEFAULT_SAMPLE_RATE, "0.1", _number(0, 1), scope=_SYSTEM,
         description="What statement_logging_sample_rate is in new sessions."),
)  # fmt: skip

# Feature flags of Materialize's: what they gate is always on here, or not there at all. They can be
# set, so that its scripts run, and change nothing. The first kind are booleans.
_SWITCHES = ("enable_", "unsafe_enable_", "allow_", "disable_")
_FLAG_PREFIXES = (*_SWITCHES, "unsafe_", "persist_", "storage_", "compute_")
_OFF = ("disable_", "unsafe_enable_")
_OTHER_FLAGS = frozenset(
    {
        "user_storage_managed_collections_batch_duration",
    }
)
_FLAG_NAME = re.compile(r"[a-z][a-z0-9_]{2,80}\Z")

VARIABLES: Mapping[str, Variable] = {v.name: v for v in (*_SESSION_VARIABLES, *_SYSTEM_VARIABLES)}
_ALIASES = {
    "time zone": "timezone",
    "transaction isolation level": "transaction_isolation",
    "default_transaction_isolation": "transaction_isolation",
}
# How clients know some names; all others are shown as they are.
_SHOWN = {"datestyle": "DateStyle", "intervalstyle": "IntervalStyle", "timezone": "TimeZone"}


def find_variable(name: str) -> Variable:
    """Return the variable named ``name``. Raises: UndefinedObject."""
    folded = name.lower()
    found = VARIABLES.get(_ALIASES.get(folded, folded))
    if found is not None:
        return found
    is_flag = folded.startswith(_FLAG_PREFIXES) and _FLAG_NAME.match(folded)
    if is_flag and folded.startswith(_SWITCHES):
        default = "off" if folded.startswith(_OFF) else "on"
        return Variable(name=folded, default=default, parse=_boolean, scope=Scope.SYSTEM)
    if is_flag or folded in _OTHER_FLAGS:
        return Variable(name=folded, default="", parse=_one, scope=Scope.SYSTEM)
    raise UndefinedObject(f'unrecognized configuration parameter "{name}"')


def shown_name(variable: Variable) -> str:
    """Return a variable's name as ParameterStatus and SHOW ALL spell it."""
    return _SHOWN.get(variable.name, variable.name)


def kind_of(variable: Variable) -> str:
    """Return what values a variable takes, as PostgreSQL's ``pg_settings.vartype`` says it."""
    if variable.parse is _boolean or variable.default in ("on", "off"):
        return "bool"
    if variable.parse in _BOUNDS:
        return "integer"
    return "enum" if variable.parse in _AVAILABLE else "string"


def range_of(variable: Variable) -> tuple[int, int] | None:
    """Return the least and greatest value of a whole number, None of others."""
    return _BOUNDS.get(variable.parse)


def choices_of(variable: Variable) -> tuple[str, ...] | None:
    """Return the words that a variable may be set to, None where they are not listed."""
    return _AVAILABLE.get(variable.parse)


def parse_value(variable: Variable, values: Sequence[str]) -> str:
    """Return the canonical text of ``values``. Raises: InvalidParameterValue."""
    parsed = variable.parse(values)
    if parsed is not None:
        return parsed
    name, given = shown_name(variable), ", ".join(values)
    bounds = _BOUNDS.get(variable.parse)
    if variable.parse is _boolean:
        raise InvalidParameterValue(f'parameter "{name}" requires a "boolean" value')
    if bounds is not None and not _WHOLE.fullmatch(given.strip()):
        raise InvalidParameterValue(f'parameter "{name}" requires a "integer" value')
    if bounds is not None:
        raise InvalidParameterValue(
            f'{given.strip()} is outside the valid range for parameter "{name}" '
            f"({bounds[0]} .. {bounds[1]})"
        )
    words = _AVAILABLE.get(variable.parse)
    hint = "" if words is None else f"Available values: {', '.join(words)}."
    raise InvalidParameterValue(f'invalid value for parameter "{name}": "{given}"', hint=hint)


class Values(msgspec.Struct, frozen=True):
    """Which variables a session has set to what, for good and until its transaction's end."""

    session: dict[str, str]
    local: dict[str, str]


class SessionVariables:
    """One session's view of all variables."""

    def __init__(self, system: Mapping[str, str], fixed: Mapping[str, str] | None = None) -> None:
        self._system = system
        self._fixed = dict(fixed or {})
        self._session: dict[str, str] = {}
        self._local: dict[str, str] = {}
        self._defaults: dict[str, str] = {}
        self._before: dict[str, str] | None = None  # _session as of the transaction's begin
        self._told: dict[str, str] = {}
        self.version = 0  # counts what may have changed a value

    def set_system(self, system: Mapping[str, str]) -> None:
        """Take over the system's defaults of a newer catalog."""
        self.version += 1
        self._system = system

    def set_defaults(self, defaults: Mapping[str, str]) -> None:
        """Set what RESET goes back to: the role's defaults, then what startup asked for."""
        self.version += 1
        for name, value in defaults.items():
            variable = find_variable(name)
            self._defaults[variable.name] = parse_value(variable, [value])

    def get(self, name: str) -> str:
        """Return a variable's canonical text. Raises: UndefinedObject."""
        variable = find_variable(name)
        for layer in (self._local, self._session, self._fixed, self._defaults, self._system):
            if variable.name in layer:
                return layer[variable.name]
        return variable.default

    def flag(self, name: str) -> bool:
        """Return a boolean variable's value."""
        return self.get(name) == "on"

    def names(self, name: str) -> tuple[str, ...]:
        """Return the names in a variable that holds a list of identifiers."""
        return split_identifiers(self.get(name))

    def set(self, name: str, values: Sequence[str], *, local: bool = False) -> None:
        """Set a variable, until the transaction's end if ``local``.

        Raises: UndefinedObject, CantChangeRuntimeParam, InvalidParameterValue.
        """
        self.version += 1
        variable = _settable(name)
        (self._local if local else self._session)[variable.name] = parse_value(variable, values)

    def become(self, name: str, value: str | None, *, local: bool = False) -> None:
        """Set who the session is by :data:`ROLE` or :data:`SESSION_AUTHORIZATION`; None resets."""
        self.version += 1
        if name == SESSION_AUTHORIZATION:
            self.become(ROLE, None, local=local)
        self._local.pop(name, None)
        layer = self._local if local else self._session
        layer.pop(name, None)
        if value is not None:
            layer[name] = value
        elif local:
            layer[name] = self._fixed.get(name, NO_ROLE)

    def reset(self, name: str, *, local: bool = False) -> None:
        """Set a variable to its default. Raises: UndefinedObject, CantChangeRuntimeParam."""
        self.version += 1
        variable = _settable(name)
        self._local.pop(variable.name, None)
        self._session.pop(variable.name, None)
        if local:
            self._local[variable.name] = self.get(name)

    def reset_all(self) -> None:
        """Set all variables to their defaults, but for who the session is."""
        self.version += 1
        for layer in (self._session, self._local):
            for name in [name for name in layer if VARIABLES[name].listed]:
                del layer[name]

    def begin(self) -> None:
        """Remember the values, for a rollback."""
        self._before = dict(self._session)

    def values(self) -> Values:
        """Return what has been set, for :meth:`go_back`."""
        return Values(dict(self._session), dict(self._local))

    def go_back(self, values: Values) -> None:
        """Undo what SET has done since :meth:`values`."""
        if (self._session, self._local) != (values.session, values.local):
            self._session, self._local = dict(values.session), dict(values.local)
            self.version += 1

    def end(self, *, committed: bool) -> None:
        """Forget SET LOCAL; after a rollback also what SET has done since :meth:`begin`."""
        if self._local:
            self._local.clear()
            self.version += 1
        if not committed and self._before is not None and self._session != self._before:
            self._session = self._before
            self.version += 1
        self._before = None

    def show_all(self) -> list[tuple[str, str, str]]:
        """Return name, value and description of everything a session can see, by name."""
        listed = (v for v in VARIABLES.values() if v.listed)
        rows = [(shown_name(v), self.get(v.name), v.description) for v in listed]
        return sorted(rows, key=lambda row: row[0].lower())

    def by_name(self) -> dict[str, str]:
        """Return the values of all variables by their names as shown."""
        return {shown_name(v): self.get(v.name) for v in VARIABLES.values()}

    def changed_reported(self) -> dict[str, str]:
        """Return the reported variables that changed since the last call, by shown name."""
        changes: dict[str, str] = {}
        for variable in _SESSION_VARIABLES:
            if variable.reported:
                value = self.get(variable.name)
                if self._told.get(variable.name) != value:
                    self._told[variable.name] = value
                    changes[shown_name(variable)] = value
        return changes


def _settable(name: str) -> Variable:
    variable = find_variable(name)
    if variable.scope is not Scope.SESSION:
        raise CantChangeRuntimeParam(f'parameter "{shown_name(variable)}" cannot be changed')
    return variable
