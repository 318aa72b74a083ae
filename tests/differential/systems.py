"""Asking a system: a statement's outcome in a form in which two systems compare."""

import json
import struct
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

import psycopg
from psycopg.adapt import Loader

STATEMENT_SECONDS_MAX = 30
DIGITS = 20
"""Significant digits of numerics that must agree: PostgreSQL's quotients carry no more."""


@dataclass(frozen=True)
class Outcome:
    """What a statement came to: an error's state and message, or columns' type OIDs and rows."""

    sqlstate: str | None
    message: str = ""
    types: tuple[int, ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()

    def bag(self) -> Counter[tuple[object, ...]]:
        """Return the rows without their order."""
        return Counter(self.rows)


class _Exact(Loader):
    """A type whose binary form is its value: dates, times, intervals (months, days, µs)."""

    format = psycopg.pq.Format.BINARY

    def load(self, data: bytes | bytearray | memoryview) -> object:
        return bytes(data).hex()


class _Float(Loader):
    """Floats to nine digits: libraries differ in the last bits. -0 is 0, NaN is itself."""

    format = psycopg.pq.Format.BINARY

    def load(self, data: bytes | bytearray | memoryview) -> object:
        data = bytes(data)
        value = struct.unpack("!d" if len(data) == 8 else "!f", data)[0]
        return f"{value:.9g}" if value else "0"


class _Json(Loader):
    """jsonb by value: blanks are no part of it."""

    format = psycopg.pq.Format.BINARY

    def load(self, data: bytes | bytearray | memoryview) -> object:
        return _plain(json.loads(bytes(data)[1:], parse_float=Decimal, parse_int=Decimal))


def _plain(value: object) -> object:
    """Return a value that is hashable and in which equal numbers are equal."""
    if isinstance(value, dict):
        return ("object", tuple(sorted((key, _plain(each)) for key, each in value.items())))
    if isinstance(value, list):
        return ("list", tuple(map(_plain, value)))
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, bytes):
        return value.hex()
    return value


def _number(value: Decimal) -> str:
    if not value.is_finite() or not value:
        return "0" if value.is_zero() else str(value)
    return f"{value:.{DIGITS - 1}e}"


class System:
    """A connection that answers statements. ``setup`` runs first on every connection."""

    def __init__(self, dsn: str, setup: tuple[str, ...] = ()) -> None:
        self.dsn = dsn
        self.setup = setup
        self.connection = self._connect()

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        connection = psycopg.connect(self.dsn, autocommit=True, prepare_threshold=None)
        for name in ("date", "time", "timetz", "timestamp", "timestamptz", "interval"):
            connection.adapters.register_loader(name, _Exact)
        for name in ("float4", "float8"):
            connection.adapters.register_loader(name, _Float)
        connection.adapters.register_loader("jsonb", _Json)
        connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS_MAX}s'".encode())
        connection.execute("SET TimeZone = 'UTC'")
        for statement in self.setup:
            connection.execute(statement.encode())
        return connection

    def ask(self, statement: str) -> Outcome:
        """Return a statement's outcome. A lost connection is an outcome, and is opened again."""
        try:
            cursor = self.connection.execute(statement.encode(), binary=True)
            if cursor.description is None:
                return Outcome(None)
            types = tuple(column.type_code for column in cursor.description)
            rows = tuple(tuple(map(_plain, row)) for row in cursor.fetchall())
            return Outcome(None, "", types, rows)
        except psycopg.Error as error:
            if self.connection.broken:
                self.connection = self._connect()
            return Outcome(error.sqlstate or "lost", str(error).split("\nLINE")[0])

    def do(self, statement: str) -> None:
        """Run a statement that must succeed."""
        outcome = self.ask(statement)
        if outcome.sqlstate is not None:
            raise RuntimeError(f"{outcome.message}: {statement}")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
