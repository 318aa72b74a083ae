"""Column definitions and constraints of tables and sources; the actions of ALTER TABLE."""

from headwater.sql.ast.column import (
    AddColumn,
    AddConstraint,
    AlterColumn,
    AlterColumnType,
    ColumnChange,
    Constraint,
    ConstraintKind,
    DropColumn,
    DropConstraint,
    LikeOption,
    TableAction,
    TableColumn,
    TableLike,
)
from headwater.sql.parse.data_type import data_type
from headwater.sql.parse.expression import collation, operand
from headwater.sql.parse.stream import TokenStream

Columns = tuple[TableColumn, ...]
Constraints = tuple[Constraint, ...]

_TABLE_CONSTRAINTS = frozenset(["PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "CONSTRAINT"])


def names_or_columns(
    p: TokenStream, likes: list[TableLike] | None = None
) -> tuple[tuple[str, ...] | Columns, Constraints]:
    """Read ``(name, …)`` or full definitions, if a parenthesis is there.

    LIKE is read where there is a list for it.
    """
    if p.key != "(":
        return (), ()
    if p.peek(2) in (",", ")"):
        return p.name_list(), ()
    return table_columns(p, likes)


def table_columns(
    p: TokenStream, likes: list[TableLike] | None = None
) -> tuple[Columns, Constraints]:
    """Read column definitions and table constraints in parentheses, maybe none."""
    p.expect("(")
    columns: list[TableColumn] = []
    constraints: list[Constraint] = []
    while p.key != ")":
        if _at_constraint(p):
            constraints.append(_table_constraint(p))
        elif likes is not None and p.key == "LIKE":
            likes.append(_table_like(p, len(columns)))
        else:
            columns.append(table_column(p))
        if not p.accept(","):
            break
    p.expect(")")
    return tuple(columns), tuple(constraints)


def _at_constraint(p: TokenStream) -> bool:
    if p.key not in _TABLE_CONSTRAINTS:
        return False
    following = p.peek()
    if p.key in ("PRIMARY", "FOREIGN"):
        return following == "KEY"
    if p.key in ("UNIQUE", "CHECK"):
        return following in ("(", "NULLS")
    return p.peek(2) in ("PRIMARY", "UNIQUE", "CHECK", "FOREIGN")


def _table_like(p: TokenStream, at: int) -> TableLike:
    position = p.position
    p.expect("LIKE")
    name = p.object_name("a table")
    including: set[LikeOption] = set()
    while word := p.accept_any(("INCLUDING", "EXCLUDING")):
        option = p.expect_any(*LikeOption, "ALL")
        chosen = set(LikeOption) if option == "ALL" else {LikeOption(option)}
        including = including | chosen if word == "INCLUDING" else including - chosen
    in_order = tuple(option for option in LikeOption if option in including)
    return TableLike(name, in_order, at, position=position)


def table_column(p: TokenStream) -> TableColumn:
    """Read ``name type [constraint …]``."""
    position = p.position
    name = p.name("a column")
    of = data_type(p)
    if p.key == "COLLATE":
        collation(p)
    constraints = []
    while (constraint := _column_constraint(p)) is not None:
        constraints.append(constraint)
    return TableColumn(name, of, tuple(constraints), position=position)


def _column_constraint(p: TokenStream) -> Constraint | None:
    position = p.position
    name = p.name("a constraint's name") if p.accept("CONSTRAINT") else None
    if p.accept_all("NOT", "NULL"):
        return Constraint(ConstraintKind.NOT_NULL, name, position=position)
    if p.accept("NULL"):
        return Constraint(ConstraintKind.NULL, name, position=position)
    if p.accept("DEFAULT"):
        value = operand(p, 0)
        return Constraint(ConstraintKind.DEFAULT, name, expression=value, position=position)
    if p.accept_all("PRIMARY", "KEY"):
        return Constraint(ConstraintKind.PRIMARY_KEY, name, position=position)
    if p.accept("UNIQUE"):
        return Constraint(ConstraintKind.UNIQUE, name, position=position)
    if p.accept("CHECK"):
        return _check(p, name, position)
    if p.accept("REFERENCES"):
        table = p.object_name("a table")
        columns = p.name_list() if p.key == "(" else ()
        return Constraint(
            ConstraintKind.FOREIGN_KEY,
            name,
            referenced=table,
            referenced_columns=columns,
            position=position,
        )
    if name is not None:
        p.fail("a constraint")
    return None


def _check(p: TokenStream, name: str | None, position: int) -> Constraint:
    p.expect("(")
    condition = operand(p, 0)
    p.expect(")")
    return Constraint(ConstraintKind.CHECK, name, expression=condition, position=position)


def _table_constraint(p: TokenStream) -> Constraint:
    position = p.position
    name = p.name("a constraint's name") if p.accept("CONSTRAINT") else None
    first = p.expect_any("PRIMARY", "UNIQUE", "CHECK", "FOREIGN")
    if first == "CHECK":
        return _check(p, name, position)
    if first == "FOREIGN":
        p.expect("KEY")
        columns = p.name_list()
        p.expect("REFERENCES")
        table = p.object_name("a table")
        referenced = p.name_list() if p.key == "(" else ()
        return Constraint(
            ConstraintKind.FOREIGN_KEY, name, columns, None, table, referenced, position=position
        )
    kind = ConstraintKind.UNIQUE
    not_distinct = False
    if first == "PRIMARY":
        p.expect("KEY")
        kind = ConstraintKind.PRIMARY_KEY
    else:
        not_distinct = p.accept_all("NULLS", "NOT", "DISTINCT")
    columns = p.name_list()
    enforced = not p.accept_all("NOT", "ENFORCED")
    return Constraint(
        kind,
        name,
        columns,
        enforced=enforced,
        nulls_not_distinct=not_distinct,
        position=position,
    )


_ACTION_STARTS = frozenset(["ADD", "ALTER", "DROP"])


def table_actions(p: TokenStream) -> tuple[TableAction, ...]:
    """Read the actions of ALTER TABLE; none where something else follows the table's name."""
    if p.key not in _ACTION_STARTS:
        return ()
    actions = [_table_action(p)]
    while p.accept(","):
        actions.append(_table_action(p))
    return tuple(actions)


def _table_action(p: TokenStream) -> TableAction:
    position = p.position
    match p.expect_any("ADD", "ALTER", "DROP"):
        case "ADD":
            if _at_constraint(p):
                return AddConstraint(_table_constraint(p), position=position)
            p.accept("COLUMN")
            exists = p.if_not_exists()
            return AddColumn(table_column(p), exists, position=position)
        case "DROP":
            if not p.accept("CONSTRAINT"):
                p.accept("COLUMN")
                if_exists = p.if_exists()
                name = p.name("a column")
                cascade = p.accept_any(("CASCADE", "RESTRICT")) == "CASCADE"
                return DropColumn(name, if_exists, cascade, position=position)
            if_exists = p.if_exists()
            dropped = p.name("a constraint's name")
            p.accept_any(("CASCADE", "RESTRICT"))
            return DropConstraint(dropped, if_exists, position=position)
        case _:
            return _alter_column(p, position)


def _alter_column(p: TokenStream, position: int) -> AlterColumn | AlterColumnType:
    p.accept("COLUMN")
    name = p.name("a column")
    if p.accept("TYPE") or p.accept_all("SET", "DATA", "TYPE"):
        return _alter_type(p, name, position)
    verb = p.expect_any("SET", "DROP")
    if p.accept("DEFAULT"):
        change = ColumnChange(f"{verb} DEFAULT")
        default = operand(p, 0) if verb == "SET" else None
        return AlterColumn(name, change, default, position=position)
    p.expect_all("NOT", "NULL")
    return AlterColumn(name, ColumnChange(f"{verb} NOT NULL"), position=position)


def _alter_type(p: TokenStream, name: str, position: int) -> AlterColumnType:
    of = data_type(p)
    if p.key == "COLLATE":
        collation(p)
    using = operand(p, 0) if p.accept("USING") else None
    return AlterColumnType(name, of, using, position=position)
