"""Webhooks: requests become rows of the collections that CREATE … FROM WEBHOOK has made.

A request is checked, decoded and written like an INSERT: it is durable, and visible to every read
that begins afterwards, before it is answered. Requests of one moment share a group commit.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.planning import is_txn_table
from headwater.adapter.variables import find_variable
from headwater.catalog.items import Relation, Source, Table
from headwater.errors import (
    ConfigurationLimitExceeded,
    InvalidAuthorization,
    InvalidTextRepresentation,
    UndefinedObject,
    UserError,
)
from headwater.ir.literals import (
    NULL_DATUM,
    bytes_datum,
    evaluate,
    int_literal,
    literal_bool,
    map_datum,
    parse_datum,
    text_datum,
)
from headwater.ir.scalar import Literal, ScalarExpr, UnmaterializableFunc
from headwater.persist import flat
from headwater.sql.lower.substitute import scalar_unmaterializable
from headwater.sql.plan import external as planned
from headwater.sql.plan.ddl import CreateSourcePlan
from headwater.sql.plan.hir import HirGet
from headwater.types.ids import GlobalId
from headwater.types.scalar import JSONB, TIMESTAMPTZ
from headwater.types.time import TIMESTAMP_MIN

LIMIT_VARIABLE = "webhook_concurrent_request_limit"
_MICROS_PER_MS = 1_000
# Checks are lowered once a version of the catalog; so many are kept.
_CHECKS_MAX = 256

Headers = Sequence[tuple[str, bytes]]  # names in lower case


class RequestRefused(UserError):
    """A webhook's CHECK did not pass, or its request can't be decoded."""

    sqlstate = "22023"


class Webhooks:
    """Takes requests for all webhooks of the environment."""

    def __init__(self, coord: Coordinator) -> None:
        self._coord = coord
        self._under_way = 0
        self._checks: dict[tuple[GlobalId, int], ScalarExpr] = {}

    async def accept(
        self, database: str, schema: str, name: str, headers: Headers, body: bytes
    ) -> None:
        """Write the rows of one request.

        Raises:
            UndefinedObject: There is no such webhook.
            ConfigurationLimitExceeded: Too many requests are under way.
            InvalidAuthorization: A header came twice.
            RequestRefused: CHECK did not pass; InvalidTextRepresentation: the body is malformed.
        """
        item, plan, details = self._webhook(database, schema, name)
        limit = int(
            self._coord.snapshot.variables.get(
                LIMIT_VARIABLE, find_variable(LIMIT_VARIABLE).default
            )
        )
        if self._under_way >= limit:
            raise ConfigurationLimitExceeded(
                f"{limit} webhook requests are under way", hint="Try again in a moment."
            )
        self._under_way += 1
        try:
            twice = [name for name, count in Counter(n for n, _ in headers).items() if count > 1]
            if twice:
                raise InvalidAuthorization(f'header "{twice[0]}" is given more than once')
            given = dict(headers)
            if plan.check is not None:
                self._check(item, plan, details, given, body)
            tail = _tail(details, given)
            rows = [(datum + tail, TIMESTAMP_MIN, 1) for datum in _bodies(details.body, body)]
            assert item.shard is not None
            await self._coord.group_commit.write({item.shard: flat.build(rows)})
        finally:
            self._under_way -= 1

    def _webhook(
        self, database: str, schema_name: str, name: str
    ) -> tuple[Table | Source, CreateSourcePlan, planned.WebhookSource]:
        snapshot = self._coord.snapshot
        schema = snapshot.try_schema(schema_name, database)
        in_database = schema is not None and schema.database is not None
        item = snapshot.item_in(schema.id, name) if schema is not None and in_database else None
        plan = item.details if isinstance(item, Table | Source) else None
        details = plan.details if isinstance(plan, CreateSourcePlan) else None
        if not isinstance(item, Table | Source) or not isinstance(details, planned.WebhookSource):
            raise UndefinedObject(f"no webhook is named '{database}.{schema_name}.{name}'")
        assert isinstance(plan, CreateSourcePlan)
        assert is_txn_table(item)
        return item, plan, details

    def _check(
        self,
        item: Relation,
        plan: CreateSourcePlan,
        details: planned.WebhookSource,
        headers: Mapping[str, bytes],
        body: bytes,
    ) -> None:
        now = int_literal(self._coord.clock.now_ms() * _MICROS_PER_MS, TIMESTAMPTZ)
        moments = {UnmaterializableFunc.NOW: now, UnmaterializableFunc.CURRENT_TIMESTAMP: now}
        row = b"".join(self._check_datum(c, headers, body) for c in details.check_columns)
        found = evaluate(scalar_unmaterializable(self._lowered(item, plan), moments), row)
        passed = isinstance(found, Literal) and literal_bool(found) is True
        if not passed:
            raise RequestRefused("the request does not pass the webhook's CHECK")

    def _check_datum(
        self, column: planned.WebhookCheckColumn, headers: Mapping[str, bytes], body: bytes
    ) -> bytes:
        if column.what == "headers":
            return map_datum({k: _plain(v, as_bytes=column.as_bytes) for k, v in headers.items()})
        value = body if column.secret is None else self._coord.secrets[column.secret]
        return _plain(value, as_bytes=column.as_bytes)

    def _lowered(self, item: Relation, plan: CreateSourcePlan) -> ScalarExpr:
        key = (item.id, self._coord.snapshot.version)
        found = self._checks.get(key)
        if found is None:
            assert plan.check is not None
            assert plan.check_columns is not None
            if len(self._checks) >= _CHECKS_MAX:
                self._checks.clear()
            over = HirGet(item.id, plan.check_columns)
            (found,) = self._coord.planner.scalars(over, (plan.check,))
            self._checks[key] = found
        return found


def _plain(value: bytes, *, as_bytes: bool) -> bytes:
    if as_bytes:
        return bytes_datum(value)
    try:
        return text_datum(value.decode())
    except UnicodeDecodeError as error:
        raise InvalidTextRepresentation("the request is not UTF-8 where text is wanted") from error


def _tail(details: planned.WebhookSource, headers: Mapping[str, bytes]) -> bytes:
    """Return the datums after the body: the map of headers, and single ones."""
    datums = []
    if details.include_headers is not None:
        chosen = {name: value for name, value in headers.items() if _wanted(details, name)}
        datums.append(map_datum({k: _plain(v, as_bytes=False) for k, v in chosen.items()}))
    for column in details.headers:
        value = headers.get((column.header or "").lower())
        shown = NULL_DATUM if value is None else _plain(value, as_bytes=column.header_as_bytes)
        datums.append(shown)
    return b"".join(datums)


def _wanted(details: planned.WebhookSource, name: str) -> bool:
    """Return whether a header goes into the map: named ones only, or all but the excluded."""
    named = {header.lower() for header, excluded in details.header_filter if not excluded}
    excluded = {header.lower() for header, excluded in details.header_filter if excluded}
    return name not in excluded and (not named or name in named)


def _bodies(format: planned.Format, body: bytes) -> Iterator[bytes]:
    """Yield the datum of each row in a body."""
    if isinstance(format, planned.BytesFormat):
        yield bytes_datum(body)
    elif isinstance(format, planned.TextFormat):
        yield _plain(body, as_bytes=False)
    else:
        assert isinstance(format, planned.JsonFormat)
        for value in _json_values(body, array=format.array):
            yield parse_datum(value.decode(), JSONB)


def _json_values(body: bytes, *, array: bool) -> list[bytes]:
    """Return the JSON texts in a body: one, one a line, or the elements of an array."""
    try:
        whole: object = msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.DecodeError:
        lines = [line for line in body.splitlines() if line.strip()]
        return _decoded_lines(lines)
    if array and body.lstrip()[:1] == b"[":
        return [bytes(element) for element in msgspec.json.decode(body, type=list[msgspec.Raw])]
    assert isinstance(whole, msgspec.Raw)
    return [bytes(whole)]


def _decoded_lines(lines: list[bytes]) -> list[bytes]:
    try:
        for line in lines:
            msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise InvalidTextRepresentation(f"the body is not JSON: {error}") from error
    if not lines:
        raise InvalidTextRepresentation("the body is not JSON: it is empty")
    return lines
