"""Transactions, variables, RAISE."""

from headwater.sql.ast.base import ObjectName
from headwater.sql.ast.query import Expr
from headwater.sql.ast.session import (
    AccessMode,
    AlterSystemReset,
    AlterSystemSet,
    Commit,
    Discard,
    DiscardTarget,
    IsolationLevel,
    Raise,
    RaiseLevel,
    ReleaseSavepoint,
    ResetVariable,
    Rollback,
    RollbackTo,
    Savepoint,
    SetConstraints,
    SetTransaction,
    SetVariable,
    StartTransaction,
    TransactionMode,
)
from headwater.sql.parse.expression import operand
from headwater.sql.parse.show import variable_name
from headwater.sql.parse.stream import QUOTED, STRING, TokenStream

# --- transactions ---------------------------------------------------------------------------------


def begin(p: TokenStream) -> StartTransaction:
    """Read BEGIN; entered on it."""
    position = p.position
    p.expect("BEGIN")
    p.accept_any(("TRANSACTION", "WORK"))
    return StartTransaction(_modes(p), position=position)


def start(p: TokenStream) -> StartTransaction:
    """Read START TRANSACTION; entered on START."""
    position = p.position
    p.expect_all("START", "TRANSACTION")
    return StartTransaction(_modes(p), position=position)


def _modes(p: TokenStream) -> tuple[TransactionMode, ...]:
    modes = []
    while p.key in ("ISOLATION", "READ"):
        modes.append(_mode(p))
        p.accept(",")
    return tuple(modes)


def _mode(p: TokenStream) -> TransactionMode:
    if p.accept("READ"):
        return AccessMode("READ " + p.expect_any("ONLY", "WRITE"))
    p.expect_all("ISOLATION", "LEVEL")
    for level in IsolationLevel:
        if p.accept_all(*level.split()):
            return level
    p.fail(*(level.value for level in IsolationLevel))


def commit(p: TokenStream) -> Commit:
    """Read COMMIT or END; entered on it."""
    position = p.position
    p.expect_any("COMMIT", "END")
    return Commit(_chain(p), position=position)


def rollback(p: TokenStream) -> Rollback | RollbackTo:
    """Read ROLLBACK or ABORT, or ROLLBACK TO; entered on it."""
    position = p.position
    word = p.expect_any("ROLLBACK", "ABORT")
    p.accept_any(("TRANSACTION", "WORK"))
    if word == "ROLLBACK" and p.accept("TO"):
        p.accept("SAVEPOINT")
        return RollbackTo(p.name("a savepoint's name"), position=position)
    return Rollback(_chain(p), position=position)


def savepoint(p: TokenStream) -> Savepoint:
    """Read SAVEPOINT; entered on it."""
    position = p.position
    p.expect("SAVEPOINT")
    return Savepoint(p.name("a savepoint's name"), position=position)


def release(p: TokenStream) -> ReleaseSavepoint:
    """Read RELEASE; entered on it."""
    position = p.position
    p.expect("RELEASE")
    p.accept("SAVEPOINT")
    return ReleaseSavepoint(p.name("a savepoint's name"), position=position)


def _chain(p: TokenStream) -> bool:
    p.accept_any(("TRANSACTION", "WORK"))
    if not p.accept("AND"):
        return False
    negated = p.accept("NO")
    p.expect("CHAIN")
    return not negated


# --- variables ------------------------------------------------------------------------------------

_SQL_NAMES = {"NAMES": "client_encoding", "SCHEMA": "search_path"}


def set_variable(p: TokenStream) -> SetVariable | SetTransaction | SetConstraints:
    """Read SET in all its forms; entered on SET."""
    position = p.position
    p.expect("SET")
    if p.accept_all("SESSION", "CHARACTERISTICS", "AS", "TRANSACTION"):
        return SetTransaction(_some_modes(p), session=True, position=position)
    if p.key == "CONSTRAINTS" and p.peek() not in ("TO", "="):
        p.advance()
        named = () if p.accept("ALL") else p.object_names("a constraint")
        deferred = p.expect_any("DEFERRED", "IMMEDIATE") == "DEFERRED"
        return SetConstraints(named, deferred, position=position)
    if p.accept_all("SESSION", "AUTHORIZATION"):
        return SetVariable("session_authorization", _role(p, "DEFAULT"), position=position)
    local = False
    if p.key in ("LOCAL", "SESSION") and p.peek() not in ("TO", "="):
        local = p.key == "LOCAL"
        p.advance()
    if p.key == "TRANSACTION" and p.peek() in ("ISOLATION", "READ"):
        p.advance()
        return SetTransaction(_some_modes(p), position=position)
    if p.accept_all("SESSION", "AUTHORIZATION"):
        values = _role(p, "DEFAULT")
        return SetVariable("session_authorization", values, local, position=position)
    if p.key == "ROLE" and p.peek() not in ("TO", "="):
        p.advance()
        return SetVariable("role", _role(p, "NONE"), local, position=position)
    if p.accept_all("TIME", "ZONE"):
        return SetVariable("timezone", _time_zone(p), local, position=position)
    if p.key in _SQL_NAMES and p.peek() not in ("TO", "=", "."):
        name = _SQL_NAMES[p.key]
        p.advance()
        return SetVariable(name, _values(p), local, position=position)
    name = variable_name(p)
    p.expect_any("TO", "=")
    return SetVariable(name, _values(p), local, position=position)


def _some_modes(p: TokenStream) -> tuple[TransactionMode, ...]:
    modes = _modes(p)
    if not modes:
        p.fail("ISOLATION LEVEL", "READ ONLY", "READ WRITE")
    return modes


def _role(p: TokenStream, nobody: str) -> tuple[Expr | ObjectName, ...]:
    """Read a role's name, as a name or a string; the word ``nobody`` stands for none."""
    if p.accept(nobody):
        return ()
    if p.kind == STRING:
        return (operand(p, 0),)
    position = p.position
    return (ObjectName(parts=(p.name("a role"),), position=position),)


def _time_zone(p: TokenStream) -> tuple[Expr | ObjectName, ...]:
    if p.accept("LOCAL"):
        return ()
    return _values(p)


def _values(p: TokenStream) -> tuple[Expr | ObjectName, ...]:
    """Read a variable's new value, nothing for DEFAULT."""
    if p.accept("DEFAULT"):
        return ()
    values = [_value(p)]
    while p.accept(","):
        values.append(_value(p))
    return tuple(values)


def _value(p: TokenStream) -> Expr | ObjectName:
    if p.kinds[p.i] <= QUOTED and p.key not in ("TRUE", "FALSE", "NULL", "INTERVAL", "MAP", "LIST"):
        position = p.position
        return ObjectName((p.label("a value"),), position=position)
    return operand(p, 0)


def reset(p: TokenStream) -> ResetVariable:
    """Read RESET; entered on it."""
    position = p.position
    p.expect("RESET")
    return ResetVariable(None if p.accept("ALL") else variable_name(p), position=position)


def discard(p: TokenStream) -> Discard:
    """Read DISCARD; entered on it."""
    position = p.position
    p.expect("DISCARD")
    what = p.expect_any("ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY")
    target = DiscardTarget.TEMP if what == "TEMPORARY" else DiscardTarget(what)
    return Discard(target, position=position)


def alter_system(p: TokenStream, position: int) -> AlterSystemSet | AlterSystemReset:
    """Read what follows ALTER SYSTEM."""
    if p.accept("RESET"):
        return AlterSystemReset(None if p.accept("ALL") else variable_name(p), position=position)
    p.expect("SET")
    name = variable_name(p)
    p.expect_any("TO", "=")
    return AlterSystemSet(name, _values(p), position=position)


def variable_change(p: TokenStream) -> tuple[str, tuple[Expr | ObjectName, ...]]:
    """Read ``name TO value, …``; of ALTER ROLE."""
    name = variable_name(p)
    p.expect_any("TO", "=")
    return name, _values(p)


def raise_message(p: TokenStream) -> Raise:
    """Read RAISE; entered on it."""
    position = p.position
    p.expect("RAISE")
    level = RaiseLevel(p.expect_any(*RaiseLevel.__members__))
    message = p.string("a message") if p.kinds[p.i] is STRING else None
    return Raise(level, message, position=position)
