"""ALTER TABLE: the columns, defaults and constraints of a table that has rows.

The actions change the table's own CREATE TABLE statement, which is planned again as a whole: what
comes out is what the server plans at its next start. Constraints are named first, so that what goes
and comes does not change the names of the others. Whether the rows that are there fulfil new
constraints is found out when the statement runs.
"""

from collections.abc import Callable, Sequence

import msgspec

from headwater.catalog.items import Table
from headwater.errors import (
    DuplicateColumn,
    DuplicateObject,
    FeatureNotSupported,
    InvalidTableDefinition,
    UndefinedColumn,
    UndefinedObject,
    WrongObjectType,
)
from headwater.sql.ast import ddl as ast_ddl
from headwater.sql.ast.base import Node, ObjectKind, ObjectName
from headwater.sql.ast.column import ColumnChange, Constraint, ConstraintKind
from headwater.sql.ast.ddl import CreateTable
from headwater.sql.ast.printer import to_sql
from headwater.sql.ast.query import Identifier
from headwater.sql.ast.visit import walk
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.ddl import AlterNoopPlan, AlterTablePlan, ObjectType, TableColumn
from headwater.sql.plan.hir import HirScalar
from headwater.sql.plan.kinds.altering import try_object
from headwater.sql.plan.kinds.changing_types import conversion
from headwater.sql.plan.kinds.constraints import table_constraints
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.relations import table_columns
from headwater.sql.plan.kinds.stored import dependencies
from headwater.sql.plan.statements import Notice
from headwater.sql.resolve.datatypes import resolve_type
from headwater.types.ids import GlobalId

replace = msgspec.structs.replace

_KEPT_BY_KEYS = (ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE, ConstraintKind.CHECK)
_CHANGED_BY = {
    ColumnChange.SET_NOT_NULL: (ConstraintKind.NOT_NULL, ConstraintKind.NULL),
    ColumnChange.DROP_NOT_NULL: (ConstraintKind.NOT_NULL, ConstraintKind.NULL),
    ColumnChange.SET_DEFAULT: (ConstraintKind.DEFAULT,),
    ColumnChange.DROP_DEFAULT: (ConstraintKind.DEFAULT,),
}


def _alter_table(ctx: StatementContext, node: ast_ddl.AlterTable) -> Outcome:
    ref = try_object(ctx, ObjectKind.TABLE, node.name, if_exists=node.if_exists)
    if ref is None:
        return Outcome(AlterNoopPlan(ObjectType.TABLE))
    table = ctx.catalog.item(GlobalId(ref.id))
    assert isinstance(table, Table)
    if not table.is_writable or not table.create_sql:
        raise WrongObjectType(
            f'columns of "{table.name}" cannot be changed: something else writes it',
            position=node.name.position,
        )
    altered = _Altered(ctx, table)
    for action in node.actions:
        _ACTIONS[type(action)](altered, action)
    statement = altered.statement
    if statement == altered.before and not altered.converted:
        return Outcome(AlterNoopPlan(ObjectType.TABLE))
    columns = table_columns(ctx, table.name, statement.columns)
    found = table_constraints(ctx, table.name, columns, statement)
    # Types of new columns; the table's own name is not one that it depends on.
    used = (id for id in dependencies(ctx) if id != table.id)
    depends_on = tuple(dict.fromkeys((*table.depends_on, *used)))
    plan = AlterTablePlan(
        table.id,
        found.columns,
        found.desc,
        to_sql(ctx.names.stored(found.node)),
        depends_on,
        found.keys,
        found.checks,
        tuple(altered.origins.get(column.name) for column in found.columns),
        altered.conversions(found.columns),
        any(isinstance(action, ast_ddl.DropColumn) and action.cascade for action in node.actions),
    )
    return Outcome(plan)


class _Altered:
    """A table's statement as the actions change it, one after the other.

    Attributes:
        before: The statement as it was, all constraints named.
        statement: What has become of it.
        origins: The numbers of the columns that were there, by name.
        converted: Those that change their types, by name, and what with.
    """

    def __init__(self, ctx: StatementContext, table: Table) -> None:
        self.ctx = ctx
        self.table = table
        statement = parse_statements(table.create_sql)[0].statement
        assert isinstance(statement, CreateTable)
        columns = table_columns(ctx, table.name, statement.columns)
        self.before = table_constraints(ctx, table.name, columns, statement).node
        self.statement = self.before
        self.old = table.desc.only(table.shown)
        self.origins = {name: index for index, name in enumerate(self.old.names)}
        self.converted: dict[str, ast_ddl.AlterColumnType] = {}

    def conversions(self, columns: Sequence[TableColumn]) -> dict[int, HirScalar]:
        """Return what columns that change their types become, over the table's old columns."""
        made = {}
        for index, column in enumerate(columns):
            action = self.converted.get(column.name)
            if action is not None:
                made[index] = conversion(self.ctx, self.table, self.old, column, action)
        return made

    def column(self, name: str, position: int) -> ast_ddl.TableColumn:
        """Return a column's definition. Raises: UndefinedColumn."""
        for column in self.statement.columns:
            if column.name == name:
                return column
        raise UndefinedColumn(
            f'column "{name}" of relation "{self.table.name}" does not exist', position=position
        )

    def put(self, changed: ast_ddl.TableColumn) -> None:
        """Put a column's definition in the place of that of the same name."""
        columns = (c if c.name != changed.name else changed for c in self.statement.columns)
        self.statement = replace(self.statement, columns=tuple(columns))

    def check_not_partitioned_by(self, name: str, verb: str, position: int) -> None:
        """Refuse a change of what PARTITION BY names. Raises: InvalidTableDefinition."""
        for option in self.statement.options:
            if option.name == "partition by" and any(
                isinstance(node, ObjectName) and node.parts == (name,) for node in walk(option)
            ):
                raise InvalidTableDefinition(
                    f'cannot {verb} column "{name}" because it is part of the partition key'
                    f' of relation "{self.table.name}"',
                    position=position,
                )

    def keep_not_null(self, key: Sequence[str], position: int) -> None:
        """As in PostgreSQL, the columns of a primary ``key`` that has gone stay NOT NULL."""
        if not key or self.primary_key():
            return
        for column in self.statement.columns:
            if column.name in key:
                self.put(_with(column, ColumnChange.SET_NOT_NULL, None))

    def primary_key(self) -> tuple[str, ...]:
        """Return the columns of the primary key."""
        for column in self.statement.columns:
            if any(c.kind is ConstraintKind.PRIMARY_KEY for c in column.constraints):
                return (column.name,)
        for constraint in self.statement.constraints:
            if constraint.kind is ConstraintKind.PRIMARY_KEY:
                return constraint.columns
        return ()


def _add_column(altered: _Altered, action: ast_ddl.AddColumn) -> None:
    column = action.column
    if any(one.name == column.name for one in altered.statement.columns):
        shown = f'column "{column.name}" of relation "{altered.table.name}" already exists'
        if not action.if_not_exists:
            raise DuplicateColumn(shown, position=column.position)
        altered.ctx.notices.append(Notice(f"{shown}, skipping", sqlstate="42701"))
        return
    statement = altered.statement
    altered.statement = replace(statement, columns=(*statement.columns, column))


def _add_constraint(altered: _Altered, action: ast_ddl.AddConstraint) -> None:
    constraint = action.constraint
    for name in constraint.columns:
        altered.column(name, constraint.position)
    if constraint.kind is ConstraintKind.PRIMARY_KEY and altered.primary_key():
        raise InvalidTableDefinition(
            f'multiple primary keys for table "{altered.table.name}" are not allowed',
            position=constraint.position,
        )
    statement = altered.statement
    altered.statement = replace(statement, constraints=(*statement.constraints, constraint))


def _drop_constraint(altered: _Altered, action: ast_ddl.DropConstraint) -> None:
    def kept(constraints: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
        return tuple(
            one for one in constraints if one.kind not in _KEPT_BY_KEYS or one.name != action.name
        )

    statement = altered.statement
    key = altered.primary_key()
    columns = tuple(replace(c, constraints=kept(c.constraints)) for c in statement.columns)
    altered.statement = replace(statement, columns=columns, constraints=kept(statement.constraints))
    if altered.statement == statement:
        shown = f'constraint "{action.name}" of relation "{altered.table.name}" does not exist'
        if not action.if_exists:
            raise UndefinedObject(shown, position=action.position)
        altered.ctx.notices.append(Notice(f"{shown}, skipping"))
    else:
        altered.keep_not_null(key, action.position)


def _alter_column(altered: _Altered, action: ast_ddl.AlterColumn) -> None:
    column = altered.column(action.name, action.position)
    if action.change is ColumnChange.DROP_NOT_NULL and action.name in altered.primary_key():
        raise InvalidTableDefinition(
            f'column "{action.name}" is in a primary key', position=action.position
        )
    default = action.default
    altered.put(_with(column, action.change, default))


def _with(
    column: ast_ddl.TableColumn, change: ColumnChange, default: Node | None
) -> ast_ddl.TableColumn:
    """Return a column's definition with what it said of the matter replaced."""
    rest = tuple(c for c in column.constraints if c.kind not in _CHANGED_BY[change])
    if change is ColumnChange.SET_NOT_NULL:
        rest = (*rest, Constraint(ConstraintKind.NOT_NULL))
    elif change is ColumnChange.SET_DEFAULT:
        rest = (*rest, Constraint(ConstraintKind.DEFAULT, expression=default))  # type: ignore[arg-type]
    return replace(column, constraints=rest)


def _drop_column(altered: _Altered, action: ast_ddl.DropColumn) -> None:
    name, statement = action.name, altered.statement
    if all(column.name != name for column in statement.columns):
        shown = f'column "{name}" of relation "{altered.table.name}" does not exist'
        if not action.if_exists:
            raise UndefinedColumn(shown, position=action.position)
        altered.ctx.notices.append(Notice(f"{shown}, skipping"))
        return
    altered.check_not_partitioned_by(name, "drop", action.position)
    key = altered.primary_key()
    # As in PostgreSQL, constraints go with any of their columns.
    altered.statement = replace(
        statement,
        columns=tuple(_without_checks(c, name) for c in statement.columns if c.name != name),
        constraints=tuple(c for c in statement.constraints if not _mentions(c, name)),
    )
    altered.origins.pop(name, None)
    altered.keep_not_null(key, action.position)


def _without_checks(column: ast_ddl.TableColumn, name: str) -> ast_ddl.TableColumn:
    return replace(
        column, constraints=tuple(c for c in column.constraints if not _mentions(c, name))
    )


def _mentions(constraint: Constraint, name: str) -> bool:
    if name in constraint.columns:
        return True
    if constraint.kind is not ConstraintKind.CHECK or constraint.expression is None:
        return False
    nodes = walk(constraint.expression)
    return any(isinstance(node, Identifier) and node.parts[-1] == name for node in nodes)


def _alter_type(altered: _Altered, action: ast_ddl.AlterColumnType) -> None:
    column = altered.column(action.name, action.position)
    if action.name not in altered.origins or action.name in altered.converted:
        raise FeatureNotSupported(
            f'cannot alter type of column "{action.name}" twice', position=action.position
        )
    altered.check_not_partitioned_by(action.name, "alter", action.position)
    old = altered.old.columns[altered.origins[action.name]].type
    altered.put(replace(column, data_type=action.data_type))
    if action.using is not None or resolve_type(action.data_type, altered.ctx.names) != old:
        altered.converted[action.name] = action


def _rename_constraint(altered: _Altered, action: ast_ddl.RenameConstraint) -> None:
    statement = altered.statement
    every = [
        *statement.constraints,
        *(c for column in statement.columns for c in column.constraints),
    ]
    names = {one.name for one in every if one.kind in _KEPT_BY_KEYS}
    if action.name not in names:
        raise UndefinedObject(
            f'constraint "{action.name}" for table "{altered.table.name}" does not exist',
            position=action.position,
        )
    if action.new_name in names:
        raise DuplicateObject(
            f'constraint "{action.new_name}" for relation "{altered.table.name}" already exists',
            position=action.position,
        )

    def renamed(constraints: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
        return tuple(
            replace(one, name=action.new_name) if one.name == action.name else one
            for one in constraints
        )

    columns = tuple(replace(c, constraints=renamed(c.constraints)) for c in statement.columns)
    constraints = renamed(statement.constraints)
    altered.statement = replace(statement, columns=columns, constraints=constraints)


_ACTIONS: dict[type[Node], Callable[..., None]] = {
    ast_ddl.AddColumn: _add_column,
    ast_ddl.AddConstraint: _add_constraint,
    ast_ddl.DropConstraint: _drop_constraint,
    ast_ddl.AlterColumn: _alter_column,
    ast_ddl.AlterColumnType: _alter_type,
    ast_ddl.DropColumn: _drop_column,
    ast_ddl.RenameConstraint: _rename_constraint,
}

HANDLERS: dict[type[Node], StatementHandler] = {ast_ddl.AlterTable: _alter_table}
