"""FROM: tables, derived tables, table functions and joins as one relation and its scope.

A lateral item sees its left siblings one level out. Items beside it that are not lateral have the
same levels around them, but must not see those siblings: they get *hidden* scopes, which count as
levels and have no columns.
"""

from collections.abc import Sequence

from headwater.catalog.builtin.shapes import LISTED
from headwater.catalog.items import CatalogItem, Table, stored_desc
from headwater.errors import (
    AmbiguousColumn,
    DatatypeMismatch,
    DuplicateAlias,
    InvalidColumnReference,
    UndefinedColumn,
    UndefinedTable,
    WrongObjectType,
)
from headwater.ir.functions import lookup_syntax
from headwater.ir.literals import TRUE
from headwater.sql.ast import query as ast
from headwater.sql.ast.visit import walk
from headwater.sql.plan.calls import call_operator, conjunction
from headwater.sql.plan.context import Ctes, ExprContext, StatementContext
from headwater.sql.plan.hir import (
    ColumnRef,
    HirCall,
    HirGet,
    HirGetLocal,
    HirJoin,
    HirJoinKind,
    HirMap,
    HirProject,
    HirRelation,
    HirScalar,
)
from headwater.sql.plan.queries.table_functions import UNIT, Made, rows_from
from headwater.sql.plan.scalars.subqueries import condition
from headwater.sql.plan.types import common_type, try_common_type, type_of
from headwater.sql.resolve.datatypes import resolve_type, show_type
from headwater.sql.resolve.scope import Scope, ScopeColumn, ScopeTable, product
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import ColumnType

_KINDS = {
    ast.JoinKind.INNER: HirJoinKind.INNER,
    ast.JoinKind.CROSS: HirJoinKind.INNER,
    ast.JoinKind.LEFT: HirJoinKind.LEFT,
    ast.JoinKind.RIGHT: HirJoinKind.RIGHT,
    ast.JoinKind.FULL: HirJoinKind.FULL,
}


class FromPlanner:
    """Plans one FROM clause.

    Attributes:
        visible: What lateral items see from level 1 on.
        hidden: What other items see there; as long a chain.
    """

    __slots__ = ("ctes", "ctx", "hidden", "visible")

    def __init__(
        self, ctx: StatementContext, ctes: Ctes, visible: Scope | None, hidden: Scope | None
    ) -> None:
        self.ctx = ctx
        self.ctes = ctes
        self.visible = visible
        self.hidden = hidden

    def plan(self, tables: Sequence[ast.TableExpr]) -> tuple[HirRelation, Scope]:
        """Return the product of the tables and its scope."""
        if not tables:
            return UNIT, Scope.empty(self.hidden)
        relation, scope = self.table(tables[0])
        for node in tables[1:]:
            relation, scope = self._beside(relation, scope, node)
        return relation, scope

    def _beside(
        self, left: HirRelation, scope: Scope, node: ast.TableExpr
    ) -> tuple[HirRelation, Scope]:
        lateral = is_lateral(node)
        right, right_scope = self._right(scope, node, lateral=lateral)
        joined = HirJoin(left, right, TRUE, HirJoinKind.INNER, lateral)
        return joined, product(scope, right_scope, self.hidden, node.position)

    def _right(
        self, left: Scope, node: ast.TableExpr, *, lateral: bool
    ) -> tuple[HirRelation, Scope]:
        if not lateral:
            return self.table(node)
        inner = FromPlanner(
            self.ctx, self.ctes, left.with_outer(self.visible), Scope.empty(self.hidden)
        )
        return inner.table(node)

    def table(self, node: ast.TableExpr) -> tuple[HirRelation, Scope]:
        """Plan one item."""
        if isinstance(node, ast.TableRef):
            return self._named(node)
        if isinstance(node, ast.Join):
            return self._join(node)
        if isinstance(node, ast.DerivedTable):
            outer = self.visible if node.lateral else self.hidden
            relation, desc = self.ctx.queries.subquery(self.ctx, node.query, outer, self.ctes)
            return relation, self._aliased(node.alias, None, desc)
        if isinstance(node, ast.TableFunction):
            made = self._functions((node.function,), ordinality=node.with_ordinality)
            return self._function_scope(made, node.alias)
        if isinstance(node, ast.RowsFrom):
            made = self._functions(node.functions, ordinality=node.with_ordinality)
            return self._function_scope(made, node.alias)
        assert isinstance(node, ast.NestedJoin)
        return self._nested(node)

    # --- tables -----------------------------------------------------------------------------------

    def _named(self, node: ast.TableRef) -> tuple[HirRelation, Scope]:
        name = node.name
        if len(name.parts) == 1 and name.id is None:
            binding = self.ctes.get(name.parts[0])
            if binding is not None:
                scope = self._aliased(node.alias, name.parts, binding.desc)
                return HirGetLocal(binding.id, binding.desc), scope
        item = self.ctx.names.item(name)
        stored = stored_desc(item)
        if stored is None:
            raise WrongObjectType(
                f'"{item.name}" is {_with_article(item.kind.noun)}',
                position=name.position,
            )
        self.ctx.reads[item.id] = None
        path = self.ctx.catalog.full_name(item)
        relation, desc = get_columns(item, stored, name.version)
        return relation, self._aliased(
            node.alias, path, desc, item.name, item.oid, LISTED.get(".".join(path))
        )

    def _aliased(
        self,
        alias: ast.TableAlias | None,
        path: tuple[str, ...] | None,
        desc: RelationDesc,
        relation: str | None = None,
        oid: int | None = None,
        listed: int | None = None,
    ) -> Scope:
        names: tuple[str, ...] = ()
        if alias is not None:
            path, names = (alias.name,), alias.columns
            if len(names) > desc.arity:
                raise InvalidColumnReference(
                    f'table "{alias.name}" has {desc.arity} columns available'
                    f" but {len(names)} columns specified",
                    position=alias.position,
                )
        hidden = relation if alias is not None else None
        return Scope.of_relation(path, desc, self.hidden, names, hidden, oid, listed)

    def _functions(self, nodes: Sequence[ast.Expr], *, ordinality: bool) -> Made:
        # Whether or not LATERAL is written, a function sees what stands before it.
        ctx = ExprContext(self.ctx, Scope.empty(self.visible), self.ctes, "functions in FROM")
        return rows_from(ctx, nodes, ordinality=ordinality)

    def _function_scope(
        self, made: Made, alias: ast.TableAlias | None
    ) -> tuple[HirRelation, Scope]:
        desc = made.desc
        if alias is None:
            return made.relation, Scope.of_relation((made.name,), desc, self.hidden)
        if alias.types:
            types = [resolve_type(node, self.ctx.names) for node in alias.types]
            columns = tuple(
                Column(name, type, True) for name, type in zip(alias.columns, types, strict=True)
            )
            desc = RelationDesc(columns)
        elif made.renames and not alias.columns:
            first = Column(alias.name, desc.columns[0].type, desc.columns[0].nullable)
            desc = RelationDesc((first, *desc.columns[1:]))
        return made.relation, self._aliased(alias, None, desc)

    # --- joins ------------------------------------------------------------------------------------

    def _nested(self, node: ast.NestedJoin) -> tuple[HirRelation, Scope]:
        relation, scope = self._join(node.join)
        columns = [scope.columns[index] for index in scope.star]
        desc = RelationDesc(tuple(Column(c.name, c.type.type, c.type.nullable) for c in columns))
        projected = HirProject(relation, tuple(scope.star))
        return projected, self._aliased(node.alias, None, desc)

    def _join(self, node: ast.Join) -> tuple[HirRelation, Scope]:
        # Joins lean to the left: a loop spares a stack frame a join.
        chain = [node]
        leftmost = node.left
        while isinstance(leftmost, ast.Join):
            chain.append(leftmost)
            leftmost = leftmost.left
        relation, scope = self.table(leftmost)
        for join in reversed(chain):
            relation, scope = self._join_one(relation, scope, join)
        return relation, scope

    def _join_one(
        self, left: HirRelation, left_scope: Scope, node: ast.Join
    ) -> tuple[HirRelation, Scope]:
        kind = _KINDS[node.kind]
        lateral = is_lateral(node.right)
        if lateral and kind in (HirJoinKind.RIGHT, HirJoinKind.FULL):
            right, right_scope = self._unrelated(node)
            lateral = False
        else:
            right, right_scope = self._right(left_scope, node.right, lateral=lateral)
        both = product(left_scope, right_scope, self.hidden, node.right.position)
        constraint = node.constraint
        using: Sequence[str] = ()
        on: HirScalar = TRUE
        if isinstance(constraint, ast.JoinOn):
            on = condition(
                ExprContext(self.ctx, both, self.ctes, "ON"),
                constraint.condition,
                "JOIN/ON",
            )
        elif isinstance(constraint, ast.JoinUsing):
            using = constraint.columns
        elif isinstance(constraint, ast.JoinNatural):
            using = _natural_columns(left_scope, right_scope)
        if not using and not isinstance(constraint, ast.JoinUsing):
            relation = HirJoin(left, right, on, kind, lateral)
            return relation, _padded(both, len(left_scope.columns), kind)
        merge = _Using(self, left_scope, right_scope, both, kind, node.position)
        on = merge.condition(using)
        relation = HirJoin(left, right, on, kind, lateral)
        alias = constraint.alias if isinstance(constraint, ast.JoinUsing) else None
        return merge.scope(relation, alias)

    def _unrelated(self, node: ast.Join) -> tuple[HirRelation, Scope]:
        """Plan a right side that could refer to the left, but must not in this kind of join."""
        try:
            return self.table(node.right)
        except (UndefinedColumn, UndefinedTable) as error:
            raise InvalidColumnReference(
                "invalid reference to FROM-clause entry in a lateral join",
                detail="The combining JOIN type must be INNER or LEFT for a LATERAL reference.",
                position=error.position,
            ) from error


class _Using:
    """USING and NATURAL: columns of one name on both sides that become one.

    Source: PostgreSQL, section 7.2.1.1.
    """

    def __init__(
        self,
        planner: FromPlanner,
        left: Scope,
        right: Scope,
        both: Scope,
        kind: HirJoinKind,
        position: int,
    ) -> None:
        self.planner = planner
        self.left = left
        self.right = right
        self.both = both
        self.kind = kind
        self.position = position
        self.pairs: list[tuple[str, int, int]] = []

    def condition(self, names: Sequence[str]) -> HirScalar:
        """Return the condition that the pairs of columns are equal."""
        ctx = ExprContext(self.planner.ctx, self.both, {}, "ON")
        offset = len(self.left.columns)
        tests = []
        for name in names:
            left = _common_column(self.left, name, "left", self.position)
            right = offset + _common_column(self.right, name, "right", self.position)
            self.pairs.append((name, left, right))
            args = (_ref(self.both, left), _ref(self.both, right))
            self._check_types(name, *args)
            tests.append(call_operator(ctx, "=", args, (0, 0), self.position))
        return conjunction(tests) if tests else TRUE

    def _check_types(self, name: str, left: ColumnRef, right: ColumnRef) -> None:
        common = try_common_type((left.type.type, right.type.type))
        if isinstance(common, tuple):
            shown = " and ".join(map(show_type, common))
            raise DatatypeMismatch(
                f'NATURAL/USING join column "{name}" types {shown} cannot be matched',
                position=self.position,
            )

    def scope(self, relation: HirRelation, alias: str | None) -> tuple[HirRelation, Scope]:
        """Return the join with merged columns first in ``*``, and once."""
        offset = len(self.left.columns)
        padded = _padded(self.both, offset, self.kind)
        columns = list(padded.columns)
        mapped: list[HirScalar] = []
        merged: list[int] = []
        for name, left, right in self.pairs:
            expr = self._merged(padded, left, right)
            if isinstance(expr, ColumnRef):
                merged.append(expr.index)
                continue
            merged.append(len(columns))
            mapped.append(expr)
            columns.append(ScopeColumn(name, type_of(expr)))
        gone = {index for _, left, right in self.pairs for index in (left, right)}
        rest = [index for index in padded.star if index not in gone]
        tables = padded.tables
        if alias is not None:
            if any(table.name == alias for table in tables):
                raise DuplicateAlias(
                    f'table name "{alias}" specified more than once', position=self.position
                )
            named = tuple(
                (name, index) for (name, _, _), index in zip(self.pairs, merged, strict=True)
            )
            tables = [*tables, ScopeTable((alias,), named)]
        scope = Scope(columns, [*merged, *rest], tables, self.planner.hidden)
        return (HirMap(relation, tuple(mapped)) if mapped else relation), scope

    def _merged(self, padded: Scope, left: int, right: int) -> HirScalar:
        left_ref, right_ref = _ref(padded, left), _ref(padded, right)
        kinds = (left_ref.type.type, right_ref.type.type)
        target = common_type(kinds, "JOIN/USING", self.position)
        ctx = ExprContext(self.planner.ctx, padded, {}, "ON")
        if self.kind is HirJoinKind.FULL:
            args = (ctx.coerce(left_ref, target), ctx.coerce(right_ref, target))
            nullable = all(type_of(arg).nullable for arg in args)
            return HirCall(lookup_syntax("coalesce").kernel, args, ColumnType(target, nullable))
        kept = right_ref if self.kind is HirJoinKind.RIGHT else left_ref
        if kept.type.type.without_modifier() == target.without_modifier():
            return kept
        return ctx.coerce(kept, target)


def _ref(scope: Scope, index: int) -> ColumnRef:
    column = scope.columns[index]
    return ColumnRef(0, index, column.type, column.name)


def _common_column(scope: Scope, name: str, side: str, position: int) -> int:
    indexes = scope.by_name.get(name, ())
    if not indexes:
        raise UndefinedColumn(
            f'column "{name}" specified in USING clause does not exist in {side} table',
            position=position,
        )
    if len(indexes) > 1:
        raise AmbiguousColumn(
            f'common column name "{name}" appears more than once in {side} table',
            position=position,
        )
    return indexes[0]


def _natural_columns(left: Scope, right: Scope) -> list[str]:
    names = dict.fromkeys(left.columns[index].name for index in left.star)
    return [name for name in names if name in right.by_name]


def _padded(both: Scope, offset: int, kind: HirJoinKind) -> Scope:
    """Return the scope with the columns nullable that the join may fill with NULL."""
    if kind is HirJoinKind.INNER:
        return both
    columns = []

    def _is_padded(index: int) -> bool:
        return kind is HirJoinKind.FULL or (index < offset) == (kind is HirJoinKind.RIGHT)

    for index, column in enumerate(both.columns):
        if _is_padded(index) and not column.type.nullable:
            columns.append(ScopeColumn(column.name, ColumnType(column.type.type, True)))
        else:
            columns.append(column)
    tables = [
        table.padded() if _is_padded(table.columns[0][1] if table.columns else 0) else table
        for table in both.tables
    ]
    return Scope(columns, both.star, tables, both.outer)


def is_lateral(node: ast.TableExpr) -> bool:
    """Return whether an item may refer to its left siblings."""
    if isinstance(node, ast.TableRef):
        return False
    if isinstance(node, ast.DerivedTable):
        return node.lateral
    if isinstance(node, ast.TableFunction):
        return _has_names(node.function)
    if isinstance(node, ast.RowsFrom):
        return any(_has_names(function) for function in node.functions)
    if isinstance(node, ast.Join):
        return is_lateral(node.left) or is_lateral(node.right)
    assert isinstance(node, ast.NestedJoin)
    return is_lateral(node.join)


def _has_names(node: ast.Expr) -> bool:
    return any(isinstance(part, ast.Identifier | ast.Query) for part in walk(node))


def get_columns(
    item: CatalogItem, stored: RelationDesc, version: int | None = None
) -> tuple[HirRelation, RelationDesc]:
    """Return a relation's rows, of shape ``stored``, as its columns in a version, and these."""
    relation: HirRelation = HirGet(item.id, stored)
    if not isinstance(item, Table):
        return relation, stored
    places = item.shown_at(version)
    if places == tuple(range(stored.arity)):
        return relation, stored
    return HirProject(relation, places), stored.only(places)


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
