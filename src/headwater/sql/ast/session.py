"""Statements about the session: transactions, variables, RAISE."""

from __future__ import annotations

import enum
from typing import TypeAlias

from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.query import Expr


class IsolationLevel(enum.StrEnum):
    """The levels that a transaction mode may name."""

    READ_UNCOMMITTED = "READ UNCOMMITTED"
    READ_COMMITTED = "READ COMMITTED"
    REPEATABLE_READ = "REPEATABLE READ"
    SERIALIZABLE = "SERIALIZABLE"
    STRONG_SESSION_SERIALIZABLE = "STRONG SESSION SERIALIZABLE"
    STRICT_SERIALIZABLE = "STRICT SERIALIZABLE"


class AccessMode(enum.StrEnum):
    """Whether a transaction may write."""

    READ_ONLY = "READ ONLY"
    READ_WRITE = "READ WRITE"


TransactionMode: TypeAlias = IsolationLevel | AccessMode


class StartTransaction(Node, frozen=True, gc=False):
    """``BEGIN`` or ``START TRANSACTION``."""

    modes: tuple[TransactionMode, ...] = ()


class SetTransaction(Node, frozen=True, gc=False):
    """``SET TRANSACTION …`` or ``SET SESSION CHARACTERISTICS AS TRANSACTION …``."""

    modes: tuple[TransactionMode, ...]
    session: bool = False


class Commit(Node, frozen=True, gc=False):
    """``COMMIT`` or ``END``."""

    chain: bool = False


class Rollback(Node, frozen=True, gc=False):
    """``ROLLBACK`` or ``ABORT``."""

    chain: bool = False


class Savepoint(Node, frozen=True, gc=False):
    """``SAVEPOINT name``."""

    name: str


class ReleaseSavepoint(Node, frozen=True, gc=False):
    """``RELEASE [SAVEPOINT] name``."""

    name: str


class RollbackTo(Node, frozen=True, gc=False):
    """``ROLLBACK TO [SAVEPOINT] name``."""

    name: str


class SetVariable(Node, frozen=True, gc=False):
    """``SET [SESSION | LOCAL] name TO value, …``; no values is DEFAULT.

    A value is a literal, or an ``ObjectName`` for a bare word. ``SET TIME ZONE``, ``SET NAMES``
    and ``SET SCHEMA`` set ``timezone``, ``client_encoding`` and ``search_path``.
    """

    name: str
    values: tuple[Expr | ObjectName, ...]
    local: bool = False


class ResetVariable(Node, frozen=True, gc=False):
    """``RESET name``; None is ALL."""

    name: str | None


class DiscardTarget(enum.StrEnum):
    """What DISCARD drops."""

    ALL = "ALL"
    PLANS = "PLANS"
    SEQUENCES = "SEQUENCES"
    TEMP = "TEMP"


class Discard(Node, frozen=True, gc=False):
    """``DISCARD …``."""

    target: DiscardTarget


class SetConstraints(Node, frozen=True, gc=False):
    """``SET CONSTRAINTS ALL | name, … DEFERRED | IMMEDIATE``; no names are all."""

    names: tuple[ObjectName, ...]
    deferred: bool


class AlterSystemSet(Node, frozen=True, gc=False):
    """``ALTER SYSTEM SET name TO value, …``; no values is DEFAULT."""

    name: str
    values: tuple[Expr | ObjectName, ...]


class AlterSystemReset(Node, frozen=True, gc=False):
    """``ALTER SYSTEM RESET name``; None is ALL."""

    name: str | None


class RaiseLevel(enum.StrEnum):
    """How severe a RAISEd message is."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    LOG = "LOG"
    NOTICE = "NOTICE"
    WARNING = "WARNING"


class Raise(Node, frozen=True, gc=False):
    """``RAISE level ['message']``: sends a message of that level to the client."""

    level: RaiseLevel
    message: str | None = None
