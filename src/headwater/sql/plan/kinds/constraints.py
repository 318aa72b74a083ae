"""The constraints of a new table: PRIMARY KEY, UNIQUE, CHECK; names as PostgreSQL chooses them."""

from collections.abc import Iterator, Sequence

import msgspec

from headwater.catalog.items import KeyConstraint
from headwater.errors import (
    DuplicateColumn,
    DuplicateObject,
    FeatureNotSupported,
    InvalidTableDefinition,
    UndefinedColumn,
)
from headwater.ir.scalar import CallUnmaterializable
from headwater.sql.ast import ddl as ast_ddl
from headwater.sql.ast import query as ast
from headwater.sql.ast.column import Constraint, ConstraintKind
from headwater.sql.ast.printer import to_sql
from headwater.sql.ast.visit import walk
from headwater.sql.plan.coerce import require_bool
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.ddl import CheckPlan, TableColumn
from headwater.sql.plan.hir import ColumnRef, HirScalar
from headwater.sql.plan.hir_visit import Rewriter
from headwater.sql.resolve.scope import Scope
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import ColumnType

_KEY_KINDS = (ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE)


class TableConstraints(msgspec.Struct, frozen=True):
    """A table's columns, not null where its primary key wants them so, and its constraints.

    ``node`` is the statement with all keys and checks named.
    """

    columns: tuple[TableColumn, ...]
    desc: RelationDesc
    keys: tuple[KeyConstraint, ...]
    checks: tuple[CheckPlan, ...]
    node: ast_ddl.CreateTable


def table_constraints(
    ctx: StatementContext, table: str, columns: Sequence[TableColumn], node: ast_ddl.CreateTable
) -> TableConstraints:
    """Plan the keys and checks of CREATE TABLE.

    Raises: InvalidTableDefinition, UndefinedColumn, DuplicateColumn, DuplicateObject,
        FeatureNotSupported for foreign keys.
    """
    names = _Names(table)
    all_names = [column.name for column in columns]
    given = list(_given(node))
    keys = [_key(names, all_names, columns_of, one) for columns_of, one in given if _is_key(one)]
    if sum(key.primary for key in keys) > 1:
        second = [one for _, one in given if one.kind is ConstraintKind.PRIMARY_KEY][1]
        raise InvalidTableDefinition(
            f'multiple primary keys for table "{table}" are not allowed', position=second.position
        )
    made_not_null = {index for key in keys if key.primary for index in key.columns}
    columns = tuple(
        msgspec.structs.replace(column, type=ColumnType(column.type.type, False))
        if index in made_not_null
        else column
        for index, column in enumerate(columns)
    )
    shape = tuple(Column(c.name, c.type.type, c.type.nullable) for c in columns)
    proven = tuple(
        key.columns
        for key in keys
        if not key.nulls_distinct or not any(shape[index].nullable for index in key.columns)
    )
    desc = RelationDesc(shape, proven)
    checks = [_check(ctx, names, table, desc, one) for _, one in given if _is_check(one)]
    # PostgreSQL checks them in the order of their names.
    in_order = tuple(sorted(checks, key=lambda check: check.name))
    return TableConstraints(tuple(columns), desc, tuple(keys), in_order, names.put_into(node))


def _given(node: ast_ddl.CreateTable) -> Iterator[tuple[tuple[str, ...], Constraint]]:
    """Yield the constraints, columns' first, with the columns that they name."""
    for column in node.columns:
        for constraint in column.constraints:
            _refuse_foreign(constraint)
            yield (column.name,), constraint
    for constraint in node.constraints:
        _refuse_foreign(constraint)
        yield constraint.columns, constraint


def _refuse_foreign(constraint: Constraint) -> None:
    if constraint.kind is ConstraintKind.FOREIGN_KEY:
        raise FeatureNotSupported(
            f"{constraint.kind.value} constraints are not supported", position=constraint.position
        )


def _is_key(constraint: Constraint) -> bool:
    return constraint.kind in _KEY_KINDS and constraint.enforced


def _is_check(constraint: Constraint) -> bool:
    return constraint.kind is ConstraintKind.CHECK


class _Names:
    """The names of one table's constraints."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._taken: set[str] = set()
        self._chosen: dict[int, str] = {}  # by the node's identity

    def put_into(self, node: ast_ddl.CreateTable) -> ast_ddl.CreateTable:
        """Return the statement with the names that were chosen."""
        columns = tuple(
            msgspec.structs.replace(column, constraints=self._named(column.constraints))
            for column in node.columns
        )
        constraints = self._named(node.constraints)
        return msgspec.structs.replace(node, columns=columns, constraints=constraints)

    def _named(self, constraints: Sequence[Constraint]) -> tuple[Constraint, ...]:
        return tuple(
            msgspec.structs.replace(one, name=self._chosen.get(id(one), one.name))
            for one in constraints
        )

    def choose(self, given: Constraint, columns: Sequence[str], label: str) -> str:
        """Return the name given, else ``table_columns_label`` with a number where it is taken."""
        name = self._chosen[id(given)] = self._choose(given, columns, label)
        return name

    def _choose(self, given: Constraint, columns: Sequence[str], label: str) -> str:
        if given.name is not None:
            if given.name in self._taken:
                raise DuplicateObject(
                    f'constraint "{given.name}" for relation "{self._table}" already exists',
                    position=given.position,
                )
            self._taken.add(given.name)
            return given.name
        base = "_".join((self._table, *columns, label))
        name, number = base, 0
        while name in self._taken:
            number += 1
            name = f"{base}{number}"
        self._taken.add(name)
        return name


def _key(
    names: _Names, all_names: list[str], wanted: tuple[str, ...], constraint: Constraint
) -> KeyConstraint:
    found: list[int] = []
    primary = constraint.kind is ConstraintKind.PRIMARY_KEY
    for name in wanted:
        if name not in all_names:
            raise UndefinedColumn(
                f'column "{name}" named in key does not exist', position=constraint.position
            )
        index = all_names.index(name)
        if index in found:
            kind = constraint.kind.value.lower()
            raise DuplicateColumn(
                f'column "{name}" appears twice in {kind} constraint',
                position=constraint.position,
            )
        found.append(index)
    name = names.choose(constraint, () if primary else wanted, "pkey" if primary else "key")
    distinct = not primary and not constraint.nulls_not_distinct
    return KeyConstraint(name, tuple(found), primary, distinct)


def _check(
    ctx: StatementContext, names: _Names, table: str, desc: RelationDesc, constraint: Constraint
) -> CheckPlan:
    node = constraint.expression
    assert node is not None
    if any(isinstance(part, ast.Query) for part in walk(node)):
        raise FeatureNotSupported(
            "cannot use subquery in check constraint", position=constraint.position
        )
    context = ExprContext(ctx, Scope.of_relation((table,), desc, None), {}, "check constraints")
    predicate = require_bool(context.plan(node), "CHECK", ctx, node.position)
    leaves = _leaves(predicate)
    if any(isinstance(leaf, CallUnmaterializable) for leaf in leaves):
        raise FeatureNotSupported(
            "a check constraint may depend on nothing but its row", position=constraint.position
        )
    used = {leaf.index for leaf in leaves if isinstance(leaf, ColumnRef)}
    columns = tuple(desc.names[index] for index in sorted(used))
    name = names.choose(constraint, columns if len(columns) == 1 else (), "check")
    return CheckPlan(name, predicate, to_sql(node))


def _leaves(expr: HirScalar) -> list[HirScalar]:
    found: list[HirScalar] = []

    def leaf(scalar: HirScalar, _depth: int) -> HirScalar:
        found.append(scalar)
        return scalar

    Rewriter(leaf).scalar(expr)
    return found
