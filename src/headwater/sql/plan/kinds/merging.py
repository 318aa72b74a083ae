"""MERGE, and INSERT … ON CONFLICT DO UPDATE: rows of a source meet rows of the table.

Both are one relation: source joined with the table, and for each pair what becomes of it. Of a
table without a key each distinct row takes part once, with the number of times that it is there.
"""

from collections.abc import Sequence

import msgspec

from headwater.catalog.items import Table
from headwater.errors import (
    InvalidColumnReference,
    SyntaxError_,
    UndefinedObject,
)
from headwater.ir.literals import TRUE, int_literal, null_literal
from headwater.sql.ast import dml
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node
from headwater.sql.plan.calls import conjunction, is_null, negation
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.hir import (
    ColumnRef,
    HirAggregate,
    HirCall,
    HirGet,
    HirIf,
    HirJoin,
    HirJoinKind,
    HirMap,
    HirProject,
    HirReduce,
    HirRelation,
    HirScalar,
)
from headwater.sql.plan.hir_visit import move_columns
from headwater.sql.plan.kinds.assigning import (
    assign,
    assigned,
    default_of,
    identity,
    target_scope,
    targets_of,
    with_returning,
    writable,
)
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.queries.from_clause import FromPlanner
from headwater.sql.plan.scalars.subqueries import condition
from headwater.sql.plan.statements import (
    Action,
    FreshRows,
    MergePlan,
    ReadThenWritePlan,
    WriteKind,
)
from headwater.sql.resolve.location import location
from headwater.sql.resolve.scope import Scope, ScopeColumn, product
from headwater.types.scalar import BOOL, INT4, INT8, ColumnType

_INT4 = ColumnType(INT4, False)
_INT8 = ColumnType(INT8, False)
_BOOL = ColumnType(BOOL, True)
_HERE = ColumnType(BOOL, True)

_CONFLICT = MergePlan(
    "ON CONFLICT DO UPDATE",
    "Ensure that no rows proposed for insertion within the same command have duplicate "
    "constrained values.",
)
_MERGE = MergePlan("MERGE", "Ensure that not more than one source row matches any one target row.")


class _Pairs(msgspec.Struct, frozen=True):
    """The table joined with a source.

    Shape: the table's n columns, the source's, how often the table's row is there (int8), and
    booleans that are true where there is a row of the table and of the source, else NULL.
    """

    relation: HirRelation
    width: int  # the table's columns and the source's

    @property
    def count(self) -> HirScalar:
        """Return how often the table's row is there."""
        return ColumnRef(0, self.width, _INT8)

    @property
    def has_target(self) -> HirScalar:
        """Return whether there is a row of the table."""
        return negation(is_null(ColumnRef(0, self.width + 1, _HERE)))

    @property
    def has_source(self) -> HirScalar:
        """Return whether there is a row of the source."""
        return negation(is_null(ColumnRef(0, self.width + 2, _HERE)))


def _pairs(
    table: Table, source: HirRelation, width: int, on: HirScalar, kind: HirJoinKind
) -> _Pairs:
    """Join; ``on`` is over the table's columns and the source's ``width``."""
    arity = table.desc.arity
    target: HirRelation = HirGet(table.id, table.desc)
    if table.desc.keys:
        target = HirMap(target, (int_literal(1, INT8),))
    else:
        count = HirAggregate("count", TRUE, _INT8)
        target = HirReduce(target, tuple(range(arity)), (count,))
    target = HirProject(HirMap(target, (TRUE,)), (*range(arity), arity, arity + 1))
    source = HirMap(source, (TRUE,))
    moved = _moved(on, arity)
    joined = HirJoin(target, source, moved, kind)
    order = (
        *range(arity),
        *range(arity + 2, arity + 2 + width),
        arity,
        arity + 1,
        arity + 2 + width,
    )
    return _Pairs(HirProject(joined, order), arity + width)


def _moved(on: HirScalar, arity: int) -> HirScalar:
    """Return a condition over table and source as one over the join, where two columns more are."""
    return move_columns(on, lambda index: index if index < arity else index + 2)


def _outcomes(
    table: Table, pairs: _Pairs, action: HirScalar, new: Sequence[HirScalar]
) -> HirRelation:
    """Return old row, new row, action, count, and then the pair's columns.

    ``new`` are over the pair and, behind its columns, the action.
    """
    arity = table.desc.arity
    total = pairs.width + 3
    relation = HirMap(HirMap(pairs.relation, (action,)), tuple(new))
    news = range(total + 1, total + 1 + arity)
    return HirProject(relation, (*range(arity), *news, total, pairs.width, *range(pairs.width)))


# --- ON CONFLICT ----------------------------------------------------------------------------------


def arbiter(table: Table, node: dml.OnConflict) -> int | None:
    """Return the number of the key that ON CONFLICT names, None where it names none.

    Raises: InvalidColumnReference (42P10), UndefinedObject.
    """
    if node.constraint is not None:
        for number, key in enumerate(table.keys):
            if key.name == node.constraint and key.index is None:
                return number
        raise UndefinedObject(
            f'constraint "{node.constraint}" for table "{table.name}" does not exist',
            position=node.position,
        )
    if not node.columns:
        return None
    wanted = set(targets_of(table, node.columns, node.position))
    for number, key in enumerate(table.keys):
        if set(key.columns) == wanted:
            return number
    raise InvalidColumnReference(
        "there is no unique or exclusion constraint matching the ON CONFLICT specification"
    )


def plan_upsert(
    ctx: StatementContext, table: Table, node: dml.Insert, proposed: HirRelation
) -> Outcome:
    """Plan INSERT … ON CONFLICT DO UPDATE of the rows ``proposed``."""
    conflict = node.on_conflict
    assert conflict is not None
    number = arbiter(table, conflict)
    if number is None:
        raise SyntaxError_(
            "ON CONFLICT DO UPDATE requires inference specification or constraint name",
            hint="For example, ON CONFLICT (column_name).",
            position=conflict.position,
        )
    arity = table.desc.arity
    on = conjunction([_equal(table, index) for index in table.keys[number].columns])
    pairs = _pairs(table, proposed, arity, on, HirJoinKind.RIGHT)
    scope = target_scope(ctx, table, node.alias)
    fresh = _fresh(ctx, scope, proposed, node, arity)
    excluded = Scope.of_relation(("excluded",), table.desc, None, shown=table.shown)
    # Unqualified names mean the table's row.
    whole = product(scope, excluded, None, conflict.position)
    whole = Scope(whole.columns, scope.star, whole.tables, None)
    action: HirScalar = int_literal(Action.UPDATE, INT4)
    if conflict.where is not None:
        context = ExprContext(ctx, whole, {}, "WHERE")
        holds = condition(context, conflict.where, "WHERE")
        action = HirIf(holds, action, int_literal(Action.NOTHING, INT4))
    action = HirIf(pairs.has_target, action, int_literal(Action.INSERT, INT4))
    updated = assigned(ctx, table, whole, conflict.assignments)
    inserts = _is_action(pairs, Action.INSERT)
    new = [
        HirIf(inserts, ColumnRef(0, arity + index, type, name), updated[index])
        for index, (type, name) in enumerate(zip(table.desc.types, table.desc.names, strict=True))
    ]
    relation = _outcomes(table, pairs, action, new)
    merge = msgspec.structs.replace(_CONFLICT, key=table.keys[number].columns)
    if fresh is not None:
        merge = msgspec.structs.replace(merge, fresh=FreshRows(fresh, number))
    return _finished(ctx, table, relation, scope, node.returning, WriteKind.INSERT, merge)


def _fresh(
    ctx: StatementContext, scope: Scope, proposed: HirRelation, node: dml.Insert, arity: int
) -> HirRelation | None:
    """Return the rows to be inserted where none is in the way; None if they read a relation."""
    if node.returning and not ctx.reads:
        proposed, _ = with_returning(ctx, proposed, scope, node.returning, arity)
    return None if ctx.reads else proposed


def _equal(table: Table, index: int) -> HirScalar:
    column, arity = table.desc.types[index], table.desc.arity
    sides = (ColumnRef(0, index, column), ColumnRef(0, arity + index, column))
    return HirCall("eq", sides, _BOOL)


def _is_action(pairs: _Pairs, action: Action) -> HirScalar:
    chosen = ColumnRef(0, pairs.width + 3, _INT4)
    return HirCall("eq", (chosen, int_literal(action, INT4)), ColumnType(BOOL, False))


def _finished(
    ctx: StatementContext,
    table: Table,
    relation: HirRelation,
    scope: Scope,
    returning_items: Sequence[ast.SelectItem],
    write: WriteKind,
    merge: MergePlan,
) -> Outcome:
    """Cut the pair's columns off, RETURNING's put on; they see the new row."""
    arity = table.desc.arity
    total = 2 * arity + 2
    relation = HirProject(relation, tuple(range(total)))
    returning = None
    if returning_items:
        columns = [*scope.columns, *scope.columns, ScopeColumn("", _INT4), ScopeColumn("", _INT8)]
        after = Scope(
            columns,
            [index + arity for index in scope.star],
            [table_.shifted(arity) for table_ in scope.tables],
            None,
        )
        relation, returning = with_returning(ctx, relation, after, returning_items, total)
        total += returning.desc.arity
    plan = ReadThenWritePlan(
        table.id, table.desc, write, relation, identity(total), returning, merge=merge
    )
    return Outcome(plan, None if returning is None else returning.desc)


# --- MERGE ----------------------------------------------------------------------------------------


def _merge(ctx: StatementContext, node: dml.Merge) -> Outcome:
    table = writable(ctx, node.table, "merge into")
    arity = table.desc.arity
    scope = target_scope(ctx, table, node.alias)
    source, source_scope = FromPlanner(ctx, {}, None, None).plan((node.source,))
    whole = product(scope, source_scope, None, node.position)
    on = condition(ExprContext(ctx, whole, {}, "MERGE"), node.condition, "MERGE")
    matches = {clause.match for clause in node.clauses}
    kind = HirJoinKind.RIGHT
    if dml.MergeMatch.NOT_MATCHED_BY_SOURCE in matches:
        kind = HirJoinKind.FULL
    pairs = _pairs(table, source, len(source_scope.columns), on, kind)
    of_source = Scope(
        whole.columns,
        [index for index in whole.star if index >= arity],
        [one.shifted(arity) for one in source_scope.tables],
        None,
    )
    of_target = Scope(whole.columns, scope.star, list(scope.tables), None)
    scopes = {
        dml.MergeMatch.MATCHED: whole,
        dml.MergeMatch.NOT_MATCHED: of_source,
        dml.MergeMatch.NOT_MATCHED_BY_SOURCE: of_target,
    }
    # Which clause, from 1; then what it does.
    chosen: HirScalar = int_literal(0, INT4)
    for number, clause in reversed(list(enumerate(node.clauses, 1))):
        applies = _applies(ctx, pairs, clause, scopes[clause.match])
        chosen = HirIf(applies, int_literal(number, INT4), chosen)
    numbered = _Pairs(HirMap(pairs.relation, (chosen,)), pairs.width)
    action: HirScalar = int_literal(Action.NOTHING, INT4)
    new: list[HirScalar] = [null_literal(type.type) for type in table.desc.types]
    for number, clause in enumerate(node.clauses, 1):
        is_it = HirCall(
            "eq",
            (ColumnRef(0, pairs.width + 3, _INT4), int_literal(number, INT4)),
            ColumnType(BOOL, False),
        )
        action = HirIf(is_it, int_literal(_ACTIONS[clause.action], INT4), action)
        values = _values(ctx, table, clause, scopes[clause.match])
        if values is not None:
            new = [HirIf(is_it, value, old) for value, old in zip(values, new, strict=True)]
    total = pairs.width + 4
    relation: HirRelation = HirMap(numbered.relation, (action, *new))
    relation = HirProject(
        relation,
        (*range(arity), *range(total + 1, total + 1 + arity), total, pairs.width),
    )
    plan = ReadThenWritePlan(
        table.id,
        table.desc,
        WriteKind.MERGE,
        relation,
        identity(2 * arity + 2),
        merge=_MERGE,
    )
    return Outcome(plan)


_ACTIONS = {
    dml.MergeAction.INSERT: Action.INSERT,
    dml.MergeAction.UPDATE: Action.UPDATE,
    dml.MergeAction.DELETE: Action.DELETE,
    dml.MergeAction.NOTHING: Action.NOTHING,
}


def _applies(
    ctx: StatementContext, pairs: _Pairs, clause: dml.MergeClause, scope: Scope
) -> HirScalar:
    match clause.match:
        case dml.MergeMatch.MATCHED:
            found = [pairs.has_target, pairs.has_source]
        case dml.MergeMatch.NOT_MATCHED:
            found = [negation(pairs.has_target)]
        case _:
            found = [negation(pairs.has_source)]
    applies = conjunction(found)
    if clause.condition is None:
        return applies
    holds = condition(ExprContext(ctx, scope, {}, "MERGE WHEN AND"), clause.condition, "WHEN")
    return HirIf(applies, holds, negation(TRUE))


def _values(
    ctx: StatementContext, table: Table, clause: dml.MergeClause, scope: Scope
) -> list[HirScalar] | None:
    """Return the row that a clause leaves, None where it leaves none."""
    if clause.action is dml.MergeAction.UPDATE:
        return assigned(ctx, table, scope, clause.assignments)
    if clause.action is not dml.MergeAction.INSERT:
        return None
    context = ExprContext(ctx, scope, {}, "VALUES")
    targets = targets_of(table, clause.columns, clause.position)
    if len(clause.values) > len(targets):
        raise SyntaxError_(
            "INSERT has more expressions than target columns", position=clause.position
        )
    if clause.values and clause.columns and len(clause.values) < len(targets):
        raise SyntaxError_(
            "INSERT has more target columns than expressions", position=clause.position
        )
    given = {
        index: assign(context, table, index, context.plan(value), location(value))
        for index, value in zip(targets, clause.values, strict=False)
        if not isinstance(value, ast.Default)
    }
    return [
        given[index] if index in given else default_of(ctx, table, index)
        for index in range(table.desc.arity)
    ]


HANDLERS: dict[type[Node], StatementHandler] = {dml.Merge: _merge}
