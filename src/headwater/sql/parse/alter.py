"""ALTER of all kinds. Rules are entered after the kind's word."""

from headwater.sql.ast.base import ObjectKind, ObjectName
from headwater.sql.ast.ddl import (
    AlterApplyReplacement,
    AlterOptions,
    AlterOwner,
    AlterRename,
    AlterRenameColumn,
    AlterSecret,
    AlterSetCluster,
    AlterSetSchema,
    AlterSinkFrom,
    AlterSourceAddSubsource,
    AlterSourceDropSubsource,
    AlterSourceRefresh,
    AlterSwap,
    AlterTable,
    DropOptions,
    OptionChange,
    RenameConstraint,
    ResetOptions,
    RotateKeys,
    SetOptions,
)
from headwater.sql.ast.statement import Statement
from headwater.sql.parse.column import table_actions
from headwater.sql.parse.connector import external_references
from headwater.sql.parse.control import alter_default_privileges, alter_role
from headwater.sql.parse.ddl import behavior
from headwater.sql.parse.expression import operand
from headwater.sql.parse.kind import kind_name, object_kind
from headwater.sql.parse.option import option, option_list, option_name, option_names, with_options
from headwater.sql.parse.session import alter_system
from headwater.sql.parse.stream import TokenStream

_WITH_OPTIONS = frozenset(
    [
        ObjectKind.CLUSTER,
        ObjectKind.CONNECTION,
        ObjectKind.INDEX,
        ObjectKind.MATERIALIZED_VIEW,
        ObjectKind.NETWORK_POLICY,
        ObjectKind.SINK,
        ObjectKind.SOURCE,
        ObjectKind.TABLE,
        ObjectKind.VIEW,
    ]
)
_WITH_COLUMNS = (ObjectKind.TABLE, ObjectKind.VIEW, ObjectKind.MATERIALIZED_VIEW)
_MOVED = (*_WITH_COLUMNS, ObjectKind.TYPE)
_SWAPPED = (ObjectKind.SCHEMA, ObjectKind.CLUSTER)


def alter(p: TokenStream) -> Statement:
    """Read an ALTER; entered on it."""
    position = p.position
    p.expect("ALTER")
    if p.accept("SYSTEM"):
        return alter_system(p, position)
    if p.accept_all("DEFAULT", "PRIVILEGES"):
        return alter_default_privileges(p, position)
    kind = object_kind(p)
    of_role = kind is ObjectKind.ROLE and not p.at("IF", "EXISTS")
    if of_role and p.peek() not in ("RENAME", "OWNER"):
        return alter_role(p, position)
    if_exists = p.if_exists()
    if kind is ObjectKind.TABLE:
        p.accept("ONLY")  # no table has others that inherit from it
    name = kind_name(p, kind)
    if p.accept_all("RENAME", "TO"):
        return AlterRename(kind, name, p.name("a new name"), if_exists, position=position)
    if kind is ObjectKind.TABLE and p.at("RENAME", "CONSTRAINT") and p.peek(2) != "TO":
        action = _rename_constraint(p)
        return AlterTable(name, (action,), if_exists, position=position)
    if kind in _WITH_COLUMNS and p.accept("RENAME"):
        return _rename_column(p, kind, name, if_exists=if_exists, position=position)
    if p.accept_all("OWNER", "TO"):
        return AlterOwner(kind, name, p.name("a role"), if_exists, position=position)
    if kind in _SWAPPED and p.accept_all("SWAP", "WITH"):
        return AlterSwap(kind, name, p.name("a name"), position=position)
    if kind in _MOVED and p.accept_all("SET", "SCHEMA"):
        schema = p.object_name("a schema")
        return AlterSetSchema(kind, name, schema, if_exists, position=position)
    if p.accept_all("SET", "CLUSTER"):
        return AlterSetCluster(kind, name, p.name("a cluster"), if_exists, position=position)
    special = _special(p, kind, name, if_exists=if_exists, position=position)
    if special is not None:
        return special
    if kind not in _WITH_OPTIONS or p.key not in ("SET", "RESET", "DROP", "ROTATE"):
        settable = ["RESET", "SET"] if kind in _WITH_OPTIONS else []
        p.fail("OWNER", "RENAME", *settable, *(["SWAP"] if kind in _SWAPPED else []))
    changes = _changes(p, kind)
    with_ = with_options(p)
    return AlterOptions(kind, name, changes, with_, if_exists, position=position)


def _rename_constraint(p: TokenStream) -> RenameConstraint:
    position = p.position
    p.expect_all("RENAME", "CONSTRAINT")
    name = p.name("a constraint's name")
    p.expect("TO")
    return RenameConstraint(name, p.name("a new name"), position=position)


def _rename_column(
    p: TokenStream, kind: ObjectKind, name: ObjectName, *, if_exists: bool, position: int
) -> AlterRenameColumn:
    """Read ``[COLUMN] column TO new_name``; what may stand after RENAME is known to be a column."""
    if p.key == "COLUMN" and p.peek() != "TO":
        p.skip(1)
    column = p.name("a column")
    p.expect("TO")
    new_name = p.name("a new name")
    return AlterRenameColumn(kind, name, column, new_name, if_exists, position=position)


def _special(
    p: TokenStream, kind: ObjectKind, name: ObjectName, *, if_exists: bool, position: int
) -> Statement | None:
    """Read what only one kind of object has."""
    if kind is ObjectKind.SECRET:
        p.expect("AS")
        return AlterSecret(name, operand(p, 0), if_exists, position=position)
    if kind is ObjectKind.SINK and p.accept_all("SET", "FROM"):
        return AlterSinkFrom(name, p.object_name("a relation"), if_exists, position=position)
    if kind is ObjectKind.MATERIALIZED_VIEW and p.accept_all("APPLY", "REPLACEMENT"):
        replacement = p.object_name("a materialized view")
        return AlterApplyReplacement(name, replacement, if_exists, position=position)
    if kind is ObjectKind.TABLE and (actions := table_actions(p)):
        return AlterTable(name, actions, if_exists, position=position)
    if kind is ObjectKind.SOURCE:
        return _source(p, name, if_exists=if_exists, position=position)
    return None


def _source(
    p: TokenStream, name: ObjectName, *, if_exists: bool, position: int
) -> Statement | None:
    if p.accept_all("REFRESH", "REFERENCES"):
        return AlterSourceRefresh(name, if_exists, position=position)
    if p.accept("ADD"):
        p.expect_any("SUBSOURCE", "TABLE")
        references = external_references(p)
        return AlterSourceAddSubsource(
            name, references, with_options(p), if_exists, position=position
        )
    if p.key == "DROP" and p.peek() in ("SUBSOURCE", "TABLE"):
        p.skip(2)
        exists = p.if_exists()
        names = p.object_names("a subsource")
        return AlterSourceDropSubsource(
            name, names, if_exists, exists, behavior(p), position=position
        )
    return None


def _changes(p: TokenStream, kind: ObjectKind) -> tuple[OptionChange, ...]:
    changes = [_change(p, kind)]
    while p.accept(","):
        changes.append(_change(p, kind))
    return tuple(changes)


def _change(p: TokenStream, kind: ObjectKind) -> OptionChange:
    position = p.position
    word = p.expect_any("SET", "RESET", "DROP", "ROTATE")
    if word == "ROTATE":
        p.expect("KEYS")
        return RotateKeys(position=position)
    if word == "SET":
        if p.key == "(":
            return SetOptions(option_list(p), position=position)
        return SetOptions((option(p),), position=position)
    names = option_names(p) if p.key == "(" else (option_name(p),)
    if word == "DROP" and kind is ObjectKind.CONNECTION:
        return DropOptions(names, position=position)
    return ResetOptions(names, position=position)
