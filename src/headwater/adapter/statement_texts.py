"""What of a statement's text is written down, and what is not.

Values that nobody may read again are never written: statements that hold or set a secret or a
password, and all statements of the system's own roles, are written without their literals.
"""

import hashlib
import re
from collections.abc import Callable

import msgspec

from headwater.sql.ast.control import RoleAttribute, RoleAttributeKind
from headwater.sql.ast.ddl import AlterSecret, CreateSecret
from headwater.sql.ast.dml import Execute, Insert
from headwater.sql.ast.option import Option
from headwater.sql.ast.printer import to_sql
from headwater.sql.ast.printing.writer import REDACTED
from headwater.sql.ast.query import Query
from headwater.sql.ast.statement import ParsedStatement
from headwater.sql.ast.visit import walk

# Of a longer text its beginning is written, and no redacted form: printing it would take long.
TEXT_CHARS_MAX = 65_536

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
# Options whose values should be secrets, and may be written as texts by mistake.
_SECRET_OPTIONS = re.compile(r"\b(password|secret|token|key)\b")
# What a prepared statement's name means to the session, None for nothing.
Named = Callable[[str], "ParsedStatement | None"]


class StatementText(msgspec.Struct, frozen=True):
    """A statement as it is written down.

    Attributes:
        hash: SHA-256 of what was sent, of ``redacted`` where that is hidden.
        kind: What kind of statement it is: ``select``, ``create_view``.
        hidden: Whether values must not be shown: of parameters and in errors neither.
    """

    sql: str
    redacted: str
    hash: bytes
    kind: str
    hidden: bool


def text_of(parsed: ParsedStatement, named: Named, *, hide: bool = False) -> StatementText:
    """Return what is written of a statement.

    Args:
        parsed: The statement.
        named: Finds what EXECUTE executes.
        hide: Whether to hide its literals whatever it is.
    """
    statement, sql = parsed.statement, parsed.text
    hidden = hide or _is_secret(parsed, named)
    is_long = len(sql) > TEXT_CHARS_MAX
    redacted = REDACTED if is_long else to_sql(statement, redacted=True)
    if hidden:
        sql = redacted
    digest = hashlib.sha256(sql.encode()).digest()
    return StatementText(sql[:TEXT_CHARS_MAX], redacted, digest, _kind(statement), hidden)


def _is_secret(parsed: ParsedStatement, named: Named) -> bool:
    statement = parsed.statement
    if isinstance(statement, Query | Insert):
        return False
    if isinstance(statement, Execute):
        found = named(statement.name)
        return found is not None and _is_secret(found, lambda _: None)
    for node in walk(statement):
        match node:
            case CreateSecret() | AlterSecret():
                return True
            case RoleAttribute(kind=RoleAttributeKind.PASSWORD):
                return True
            case Option(name=name) if _SECRET_OPTIONS.search(name):
                return True
    return False


def _kind(statement: object) -> str:
    name = type(statement).__name__
    return "select" if name == "Query" else _CAPITAL.sub("_", name).lower()
