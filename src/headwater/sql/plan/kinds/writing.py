"""INSERT, UPDATE, DELETE, COPY … FROM.

The rows of a write are planned in the table's shape: every column coerced as on assignment,
defaults filled in, a null where none may be turned into the error 23502 of that row.
"""

from collections.abc import Sequence
from functools import lru_cache

from headwater.catalog.items import ItemKind, Table
from headwater.errors import (
    DatatypeMismatch,
    DuplicateColumn,
    ErrorFields,
    FeatureNotSupported,
    NotNullViolation,
    SyntaxError_,
    UndefinedColumn,
    WrongObjectType,
)
from headwater.ir.functions import CastContext
from headwater.ir.literals import TRUE, is_null, literal_from_text, null_literal
from headwater.ir.relation import RowSetFinishing
from headwater.ir.scalar import Literal, LiteralError, Parameter
from headwater.sql.ast import ddl as ast_ddl
from headwater.sql.ast import dml
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan.calls import is_null as call_is_null
from headwater.sql.plan.coerce import get_field
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.fold import fold
from headwater.sql.plan.hir import (
    ColumnRef,
    Exists,
    HirCall,
    HirDistinct,
    HirFilter,
    HirGet,
    HirIf,
    HirJoin,
    HirJoinKind,
    HirMap,
    HirProject,
    HirRelation,
    HirScalar,
    HirTopK,
)
from headwater.sql.plan.hir_visit import move_columns
from headwater.sql.plan.kinds.options import Options
from headwater.sql.plan.kinds.outcome import Outcome, StatementHandler
from headwater.sql.plan.kinds.reading import (
    QUERIES,
    copy_format,
    plan_copy_to,
)
from headwater.sql.plan.queries.from_clause import FromPlanner
from headwater.sql.plan.queries.naming import column_name
from headwater.sql.plan.queries.planner import column_refs, values_rows
from headwater.sql.plan.rows import Rows
from headwater.sql.plan.scalars.rows import row_subquery
from headwater.sql.plan.scalars.subqueries import conjuncts
from headwater.sql.plan.statements import (
    CopyFormatKind,
    CopyFromPlan,
    InsertPlan,
    ReadThenWritePlan,
    ReturningPlan,
    WriteKind,
)
from headwater.sql.plan.types import can_coerce, type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.sql.resolve.location import location
from headwater.sql.resolve.scope import Scope, product
from headwater.types.ids import GlobalId
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8, TEXT, BaseType, ColumnType, ScalarType, record_of

_COPY_FROM_OPTIONS = (
    "format",
    "delimiter",
    "null",
    "quote",
    "escape",
    "header",
    "aws connection",
    "files",
    "pattern",
)
_FROM_TEXT = frozenset({BaseType.NUMERIC, BaseType.FLOAT4, BaseType.FLOAT8})
_TABLE_TEXTS_CACHED_MAX = 1_000


def _table(ctx: StatementContext, name: ObjectName, verb: str) -> Table:
    """Return the table that a statement writes. Raises: WrongObjectType."""
    item = ctx.names.item(name)
    if isinstance(item, Table) and item.is_writable:
        return item
    noun = "system table" if isinstance(item, Table) and item.is_builtin else item.kind.noun
    raise WrongObjectType(
        f"cannot {verb} {noun} '{ctx.catalog.show_item(item)}'", position=name.position
    )


# --- one value for one column ---------------------------------------------------------------------


def assign(ctx: ExprContext, table: Table, index: int, expr: HirScalar, position: int) -> HirScalar:
    """Return ``expr`` as a value of the table's column. Raises: DatatypeMismatch."""
    column = table.desc.columns[index]
    found = type_of(expr).type
    if not can_coerce(found, column.type, CastContext.ASSIGNMENT):
        raise DatatypeMismatch(
            f'column "{column.name}" is of type {show_type(column.type)}'
            f" but expression is of type {show_type(found)}",
            hint="You will need to rewrite or cast the expression.",
            position=position,
        )
    coerced = ctx.coerce(expr, column.type, position, CastContext.ASSIGNMENT)
    return not_null(table, index, coerced)


def not_null(table: Table, index: int, expr: HirScalar) -> HirScalar:
    """Return ``expr``, an error in its place where the column forbids the null that it is."""
    column = table.desc.columns[index]
    if column.nullable or not type_of(expr).nullable:
        return expr
    message = (
        f'null value in column "{column.name}" of relation "{table.name}"'
        " violates not-null constraint"
    )
    if isinstance(expr, Literal):
        if is_null(expr):
            raise NotNullViolation(message)
        return expr
    error = LiteralError(
        ErrorFields(NotNullViolation.sqlstate, message), ColumnType(column.type, False)
    )
    return HirIf(call_is_null(expr), error, _declared_not_null(expr, column.type))


def _declared_not_null(expr: HirScalar, type: ScalarType) -> HirScalar:
    """Return ``expr`` declared not null: a null has been turned into an error before."""
    if isinstance(expr, HirCall):
        return HirCall(expr.func, expr.args, ColumnType(type, False))
    if isinstance(expr, ColumnRef):
        return ColumnRef(expr.level, expr.index, ColumnType(type, False), expr.name)
    if isinstance(expr, Parameter):
        return Parameter(expr.number, ColumnType(type, False))
    return expr


def default_of(ctx: StatementContext, table: Table, index: int) -> HirScalar:
    """Return the value that a column has where none is given."""
    column = table.desc.columns[index]
    node = _defaults(table.create_sql).get(column.name)
    context = ExprContext(ctx, Scope.empty(), {}, "DEFAULT expressions")
    if node is None:
        return not_null(table, index, null_literal(column.type))
    expr = context.plan(node)
    coerced = context.coerce(expr, column.type, 0, CastContext.ASSIGNMENT)
    return not_null(table, index, coerced)


@lru_cache(maxsize=_TABLE_TEXTS_CACHED_MAX)
def _defaults(create_sql: str) -> dict[str, ast.Expr]:
    """Return the DEFAULT expressions of a table's statement by column."""
    if not create_sql:
        return {}
    statement = parse_statements(create_sql)[0].statement
    if not isinstance(statement, ast_ddl.CreateTable):
        return {}
    found: dict[str, ast.Expr] = {}
    for column in statement.columns:
        for constraint in column.constraints:
            is_default = constraint.kind is ast_ddl.ConstraintKind.DEFAULT
            if is_default and constraint.expression is not None:
                found[column.name] = constraint.expression
    return found


# --- INSERT ---------------------------------------------------------------------------------------


def _targets(table: Table, names: Sequence[str], position: int) -> list[int]:
    """Return the columns that an INSERT names, all where it names none."""
    if not names:
        return list(range(table.desc.arity))
    by_name = {name: index for index, name in enumerate(table.desc.names)}
    found: list[int] = []
    for name in names:
        if name not in by_name:
            raise UndefinedColumn(
                f'column "{name}" of relation "{table.name}" does not exist', position=position
            )
        if by_name[name] in found:
            raise DuplicateColumn(f'column "{name}" specified more than once', position=position)
        found.append(by_name[name])
    return found


def _insert(ctx: StatementContext, node: dml.Insert) -> Outcome:
    table = _table(ctx, node.table, "insert into")
    if node.on_conflict is not None:
        raise FeatureNotSupported("ON CONFLICT is not supported", position=node.position)
    targets = _targets(table, node.columns, node.table.position)
    source = node.source
    if source is None:
        rows = _default_values(ctx, table)
    elif isinstance(source.body, ast.Values) and _is_plain(source):
        rows = _values(ctx, table, targets, source.body, explicit=bool(node.columns))
    else:
        rows = _from_query(ctx, table, targets, source, explicit=bool(node.columns))
    relation, returning = _returning(ctx, table, rows, node)
    result = None if returning is None else returning.desc
    if not ctx.reads:
        return Outcome(InsertPlan(table.id, table.desc, relation, returning), result)
    arity = table.desc.arity + (0 if result is None else result.arity)
    plan = ReadThenWritePlan(
        table.id, table.desc, WriteKind.INSERT, relation, _identity(arity), returning
    )
    return Outcome(plan, result)


def _is_plain(query: ast.Query) -> bool:
    return (
        query.with_ is None
        and not query.order_by
        and query.limit is None
        and query.offset is None
        and query.as_of is None
    )


def _identity(arity: int) -> RowSetFinishing:
    return RowSetFinishing((), None, 0, tuple(range(arity)))


def _default_values(ctx: StatementContext, table: Table) -> Rows:
    row = [default_of(ctx, table, index) for index in range(table.desc.arity)]
    return values_rows([row], list(table.desc.names))


def _check_width(width: int, targets: Sequence[int], *, explicit: bool, position: int) -> None:
    if width > len(targets):
        raise SyntaxError_("INSERT has more expressions than target columns", position=position)
    if width < len(targets) and explicit:
        raise SyntaxError_("INSERT has more target columns than expressions", position=position)


def _values(
    ctx: StatementContext,
    table: Table,
    targets: Sequence[int],
    body: ast.Values,
    *,
    explicit: bool,
) -> Rows:
    """Plan VALUES row by row, each expression straight to its column's type."""
    context = ExprContext(ctx, Scope.empty(), {}, "VALUES")
    width = len(body.rows[0])
    columns = table.desc.columns
    filled: dict[int, HirScalar] = {}
    planned = []
    for nodes in body.rows:
        if len(nodes) != width:
            raise SyntaxError_(
                "VALUES lists must all be the same length", position=nodes[0].position
            )
        _check_width(width, targets, explicit=explicit, position=nodes[-1].position)
        row: list[HirScalar | None] = [None] * len(columns)
        for index, node in zip(targets, nodes, strict=False):
            if isinstance(node, ast.Default):
                continue
            row[index] = _value(context, table, index, node)
        for index in range(len(columns)):
            if row[index] is None:
                if index not in filled:
                    filled[index] = default_of(ctx, table, index)
                row[index] = filled[index]
        planned.append([item for item in row if item is not None])
    return values_rows(planned, list(table.desc.names))


def _value(context: ExprContext, table: Table, index: int, node: ast.Expr) -> HirScalar:
    wanted = table.desc.columns[index].type
    if isinstance(node, ast.Number) and wanted.base in _FROM_TEXT and wanted.modifier is None:
        # The literal's text is read as the column's type at once: no cast at run time.
        return literal_from_text(node.text, wanted)
    expr = assign(context, table, index, context.plan(node), location(node))
    return expr if isinstance(expr, Literal) else fold(expr, node.position)


def _from_query(
    ctx: StatementContext,
    table: Table,
    targets: Sequence[int],
    source: ast.Query,
    *,
    explicit: bool,
) -> Rows:
    rows = QUERIES.rows(ctx, source, None, {}, keep_open=True)
    position = source.position
    _check_width(len(rows.outputs), targets, explicit=explicit, position=position)
    context = ExprContext(ctx, Scope.empty(), {}, "INSERT")
    if rows.limit is not None or rows.offset is not None:
        rows.base, rows.base_types = rows.with_limit(), rows.all_types()
        rows.scalars, rows.limit, rows.offset = [], None, None
    missing = {index: default_of(ctx, table, index) for index in _missing(table, targets, rows)}
    given = {
        index: assign(context, table, index, rows.expression(output), position)
        for output, index in zip(range(len(rows.outputs)), targets, strict=False)
    }
    outputs = []
    for index in range(table.desc.arity):
        outputs.append(rows.add(given[index] if index in given else missing[index]))
    rows.outputs, rows.names = outputs, list(table.desc.names)
    return rows


def _missing(table: Table, targets: Sequence[int], rows: Rows) -> list[int]:
    given = set(targets[: len(rows.outputs)])
    return [index for index in range(table.desc.arity) if index not in given]


def _returning(
    ctx: StatementContext, table: Table, rows: Rows, node: dml.Insert
) -> tuple[HirRelation, ReturningPlan | None]:
    relation = rows.relation()
    if not node.returning:
        return relation, None
    path = (node.alias or table.name,)
    scope = Scope.of_relation(path, table.desc, None)
    return _with_returning(ctx, relation, scope, node.returning, table.desc.arity)


def _with_returning(
    ctx: StatementContext,
    relation: HirRelation,
    scope: Scope,
    items: Sequence[ast.SelectItem],
    arity: int,
) -> tuple[HirRelation, ReturningPlan]:
    """Append RETURNING's columns, over ``scope``, to a relation of ``arity`` columns."""
    context = ExprContext(ctx, scope, {}, "RETURNING")
    columns: list[Column] = []
    exprs: list[HirScalar] = []
    for item in items:
        node = item.expression
        if isinstance(node, ast.Wildcard):
            for index in scope.star:
                found = scope.columns[index]
                columns.append(Column(found.name, found.type.type, found.type.nullable))
                exprs.append(ColumnRef(0, index, found.type, found.name))
            continue
        expr = context.plan_typed(node)
        found_type = type_of(expr)
        name = item.alias or column_name(node)
        columns.append(Column(name, found_type.type, found_type.nullable))
        exprs.append(expr)
    outputs = list(range(arity))
    mapped: list[HirScalar] = []
    for expr in exprs:
        if isinstance(expr, ColumnRef) and expr.level == 0:
            outputs.append(expr.index)
        else:
            outputs.append(len(scope.columns) + len(mapped))
            mapped.append(expr)
    if mapped:
        relation = HirMap(relation, tuple(mapped))
    return HirProject(relation, tuple(outputs)), ReturningPlan(RelationDesc(tuple(columns)))


# --- UPDATE and DELETE ----------------------------------------------------------------------------


def _update(ctx: StatementContext, node: dml.Update) -> Outcome:
    table = _table(ctx, node.table, "update")
    arity = table.desc.arity
    scope = Scope.of_relation((node.alias or table.name,), table.desc, None)
    relation: HirRelation = HirGet(table.id, table.desc)
    whole = scope
    if node.from_:
        # The rows that are updated once however many partners they have.
        planner = FromPlanner(ctx, {}, None, None)
        others, other_scope = planner.plan(node.from_)
        whole = product(scope, other_scope, None, node.position)
        relation = HirJoin(HirDistinct(relation), others, TRUE, HirJoinKind.INNER)
    if node.where is not None:
        predicates = conjuncts(ExprContext(ctx, whole, {}, "WHERE"), node.where, "WHERE")
        relation = HirFilter(relation, tuple(predicates))
    new = _assigned(ctx, table, whole, node.assignments)
    width = len(whole.columns)
    relation = HirMap(relation, tuple(new))
    if node.from_:
        relation = HirProject(relation, (*range(arity), *range(width, width + arity)))
        relation = _once(ctx, table, relation, [type_of(expr) for expr in new])
        relation = HirProject(relation, (*range(arity), *range(2 * arity, 3 * arity)))
    elif width != arity:
        relation = HirProject(relation, (*range(arity), *range(width, width + arity)))
    returning = None
    total = 2 * arity
    if node.returning:
        after = _after_scope(scope, arity)
        relation, returning = _with_returning(ctx, relation, after, node.returning, total)
        total += returning.desc.arity
    plan = ReadThenWritePlan(
        table.id, table.desc, WriteKind.UPDATE, relation, _identity(total), returning
    )
    return Outcome(plan, None if returning is None else returning.desc)


def _after_scope(scope: Scope, arity: int) -> Scope:
    """Return the scope of RETURNING of an UPDATE: names mean the new values."""
    columns = [*scope.columns, *scope.columns]
    tables = [table.shifted(arity) for table in scope.tables]
    return Scope(columns, [index + arity for index in scope.star], tables, None)


def _once(
    ctx: StatementContext, table: Table, pairs: HirRelation, new: Sequence[ColumnType]
) -> HirRelation:
    """Return each row of the table with one of its partners.

    Shape: the table's columns, the same again, the new ones. Rows are compared as records, in
    which NULL equals NULL.
    """
    del new
    arity = table.desc.arity
    one = ExprContext(ctx, Scope.empty(), {}, "UPDATE").plan_as(ast.Number(text="1"), INT8)
    chosen = HirTopK(pairs, tuple(range(arity)), (), one, 0)
    refs = tuple(column_refs(table.desc.types))
    kind = record_of(*zip(table.desc.names, table.desc.types, strict=True))
    left = HirCall("record_make", refs, ColumnType(kind, False))
    right = move_columns(left, lambda index: index + arity)
    on = HirCall("eq", (left, right), ColumnType(ScalarType(BaseType.BOOL), False))
    return HirJoin(HirGet(table.id, table.desc), chosen, on, HirJoinKind.INNER)


def _assigned(
    ctx: StatementContext, table: Table, scope: Scope, assignments: Sequence[dml.Assignment]
) -> list[HirScalar]:
    """Return the new value of every column."""
    by_name = {name: index for index, name in enumerate(table.desc.names)}
    context = ExprContext(ctx, scope, {}, "UPDATE")
    new: dict[int, HirScalar] = {}
    for assignment in assignments:
        targets = []
        for name in assignment.columns:
            if name not in by_name:
                raise UndefinedColumn(
                    f'column "{name}" of relation "{table.name}" does not exist',
                    position=assignment.position,
                )
            if by_name[name] in new or by_name[name] in targets:
                raise SyntaxError_(
                    f'multiple assignments to same column "{name}"', position=assignment.position
                )
            targets.append(by_name[name])
        for index, value in _values_of(ctx, context, table, targets, assignment):
            new[index] = value
    return [
        new[index] if index in new else ColumnRef(0, index, type, name)
        for index, (type, name) in enumerate(zip(table.desc.types, table.desc.names, strict=True))
    ]


def _values_of(
    ctx: StatementContext,
    context: ExprContext,
    table: Table,
    targets: list[int],
    assignment: dml.Assignment,
) -> list[tuple[int, HirScalar]]:
    node = assignment.value
    if len(targets) == 1 and not isinstance(node, ast.Row):
        nodes: tuple[ast.Expr, ...] = (node,)
    elif isinstance(node, ast.Row):
        nodes = node.items
    elif isinstance(node, ast.Subquery):
        row = row_subquery(context, node, len(targets))
        return [
            (index, assign(context, table, index, get_field(row, number), node.position))
            for number, index in enumerate(targets)
        ]
    else:
        raise FeatureNotSupported(
            "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
            position=node.position,
        )
    if len(nodes) != len(targets):
        raise SyntaxError_(
            "number of columns does not match number of values", position=node.position
        )
    found = []
    for index, item in zip(targets, nodes, strict=True):
        if isinstance(item, ast.Default):
            found.append((index, default_of(ctx, table, index)))
        else:
            found.append((index, assign(context, table, index, context.plan(item), location(item))))
    return found


def _delete(ctx: StatementContext, node: dml.Delete) -> Outcome:
    table = _table(ctx, node.table, "delete from")
    arity = table.desc.arity
    scope = Scope.of_relation((node.alias or table.name,), table.desc, None)
    relation: HirRelation = HirGet(table.id, table.desc)
    if node.using:
        # A row goes once however many partners it has: the partners are only asked for.
        planner = FromPlanner(ctx, {}, scope, scope)
        others, other_scope = planner.plan(node.using)
        if node.where is not None:
            context = ExprContext(ctx, other_scope, {}, "WHERE")
            others = HirFilter(others, tuple(conjuncts(context, node.where, "WHERE")))
        relation = HirFilter(relation, (Exists(others),))
    elif node.where is not None:
        predicates = conjuncts(ExprContext(ctx, scope, {}, "WHERE"), node.where, "WHERE")
        relation = HirFilter(relation, tuple(predicates))
    returning = None
    total = arity
    if node.returning:
        relation, returning = _with_returning(ctx, relation, scope, node.returning, arity)
        total += returning.desc.arity
    plan = ReadThenWritePlan(
        table.id, table.desc, WriteKind.DELETE, relation, _identity(total), returning
    )
    return Outcome(plan, None if returning is None else returning.desc)


# --- COPY … FROM ----------------------------------------------------------------------------------


def _copy(ctx: StatementContext, node: dml.Copy) -> Outcome:
    if node.direction is dml.CopyDirection.TO:
        plan = plan_copy_to(ctx, node)
        return Outcome(plan, plan.plan.desc)
    if not isinstance(node.relation, ObjectName):
        raise SyntaxError_("COPY FROM requires a table", position=node.position)
    table = _table(ctx, node.relation, "copy into")
    options = Options(ctx, node.options, "COPY", _COPY_FROM_OPTIONS)
    format = copy_format(options)
    if format.format is CopyFormatKind.BINARY and node.target is None:
        raise FeatureNotSupported("COPY FROM with FORMAT binary", position=node.position)
    targets = _targets(table, node.columns, node.relation.position)
    input_desc = RelationDesc(tuple(table.desc.columns[index] for index in targets))
    input_desc = RelationDesc(tuple(Column(c.name, c.type, True) for c in input_desc.columns))
    columns = []
    for index, type in enumerate(table.desc.types):
        if index in targets:
            ref = ColumnRef(0, targets.index(index), ColumnType(type.type, True))
            columns.append(not_null(table, index, ref))
        else:
            columns.append(default_of(ctx, table, index))
    uri = None
    if node.target is not None:
        uri = ExprContext(ctx, Scope.empty(), {}, "COPY").plan_as(node.target, TEXT)
    aws = options.name_of_item("aws connection", ItemKind.CONNECTION)
    return Outcome(
        CopyFromPlan(
            table.id,
            table.desc,
            input_desc,
            tuple(columns),
            format,
            uri,
            None if aws is None else GlobalId(aws),
            options.texts("files"),
            options.text("pattern"),
        )
    )


def _merge(_ctx: StatementContext, node: dml.Merge) -> Outcome:
    raise FeatureNotSupported("MERGE is not supported", position=node.position)


HANDLERS: dict[type[Node], StatementHandler] = {
    dml.Insert: _insert,
    dml.Update: _update,
    dml.Delete: _delete,
    dml.Copy: _copy,
    dml.Merge: _merge,
}
