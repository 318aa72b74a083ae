"""Whole queries: WITH, set operations, VALUES, SHOW, ORDER BY and LIMIT around them."""

from collections.abc import Sequence

from headwater.errors import (
    AmbiguousColumn,
    DatatypeMismatch,
    DuplicateAlias,
    InvalidColumnReference,
    InvalidRecursion,
    SyntaxError_,
)
from headwater.ir.functions import CastContext
from headwater.ir.relation import LetRecLimit
from headwater.ir.scalar import ColumnOrder, Literal
from headwater.sql.ast import query as ast
from headwater.sql.ast.visit import walk
from headwater.sql.plan.context import (
    CteBinding,
    Ctes,
    ExprContext,
    OrderedRelation,
    StatementContext,
)
from headwater.sql.plan.fold import limit_count, offset_count
from headwater.sql.plan.hir import (
    ColumnRef,
    HirConstant,
    HirDistinct,
    HirGetLocal,
    HirLet,
    HirLetRec,
    HirMap,
    HirNegate,
    HirRelation,
    HirScalar,
    HirThreshold,
    HirUnion,
)
from headwater.sql.plan.hir_visit import Rewriter, has_subquery, shift
from headwater.sql.plan.queries.from_clause import FromPlanner
from headwater.sql.plan.queries.select import plan_select
from headwater.sql.plan.queries.table_functions import UNIT
from headwater.sql.plan.rows import Rows
from headwater.sql.plan.shows import plan_show
from headwater.sql.plan.types import try_common_type, type_of
from headwater.sql.resolve.datatypes import resolve_type, show_type
from headwater.sql.resolve.location import location
from headwater.sql.resolve.scope import Scope, ScopeColumn
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT8, TEXT, BaseType, ColumnType, ScalarType

_LIMITS = {
    ast.RecursionLimitKind.RETURN: True,
    ast.RecursionLimitKind.ERROR: False,
    ast.RecursionLimitKind.PLAIN: False,
}


class Queries:
    """Plans queries; has no state of its own."""

    __slots__ = ()

    def rows(
        self,
        ctx: StatementContext,
        query: ast.Query,
        outer: Scope | None,
        ctes: Ctes,
        *,
        keep_open: bool = False,
    ) -> Rows:
        """Plan a query up to its finishing.

        ``keep_open`` leaves output columns of unknown type to the caller; else they become text.
        """
        if query.as_of is not None:
            raise SyntaxError_(
                "AS OF is only allowed at the end of the outermost query",
                position=query.as_of.position,
            )
        return self.rows_at(ctx, query, outer, ctes, keep_open=keep_open)

    def rows_at(
        self,
        ctx: StatementContext,
        query: ast.Query,
        outer: Scope | None,
        ctes: Ctes,
        *,
        keep_open: bool = False,
    ) -> Rows:
        """Plan a query whose AS OF, if any, the caller has seen to."""
        bindings = _Bindings(self, ctx, outer, ctes)
        if query.with_ is not None:
            bindings.bind(query.with_)
        rows = self._body(ctx, query, outer, bindings.ctes, keep_open=keep_open)
        self._limit(ctx, query, rows, outer, bindings.ctes)
        bindings.enclose(rows)
        return rows

    def subquery(
        self, ctx: StatementContext, query: ast.Query, outer: Scope | None, ctes: Ctes
    ) -> tuple[HirRelation, RelationDesc]:
        """Return the relation and columns of a query inside another."""
        rows = self.rows(ctx, query, outer, ctes).settle(ctx)
        return rows.relation(), rows.desc()

    def ordered_subquery(
        self, ctx: StatementContext, query: ast.Query, outer: Scope | None, ctes: Ctes
    ) -> OrderedRelation:
        """Return the relation of a query with its order: outputs first, then what orders them."""
        rows = self.rows(ctx, query, outer, ctes).settle(ctx)
        types = rows.all_types()
        extra = [o.column for o in rows.order_by]
        outputs = [*rows.outputs, *extra]
        first = len(rows.outputs)
        order_by = tuple(
            ColumnOrder(first + number, order.desc, order.nulls_last)
            for number, order in enumerate(rows.order_by)
        )
        desc = rows.desc()
        rows.outputs = outputs
        return OrderedRelation(
            rows.relation(), desc, tuple(types[index] for index in outputs), order_by
        )

    # --- bodies -----------------------------------------------------------------------------------

    def _body(
        self,
        ctx: StatementContext,
        query: ast.Query,
        outer: Scope | None,
        ctes: Ctes,
        *,
        keep_open: bool,
    ) -> Rows:
        body = query.body
        if isinstance(body, ast.Select):
            return plan_select(ctx, body, query.order_by, outer, ctes, keep_open=keep_open)
        rows = self._set_expr(ctx, body, outer, ctes, keep_open=keep_open)
        if isinstance(body, ast.Query) and (rows.limit is not None or rows.offset is not None):
            rows = _cut(rows)
        if query.order_by:
            rows.order_by = self._order(ctx, rows, query.order_by, outer, ctes)
        return rows

    def _set_expr(
        self,
        ctx: StatementContext,
        body: ast.SetExpr,
        outer: Scope | None,
        ctes: Ctes,
        *,
        keep_open: bool,
    ) -> Rows:
        if isinstance(body, ast.Select):
            return plan_select(ctx, body, (), outer, ctes, keep_open=keep_open)
        if isinstance(body, ast.Values):
            rows = self._values(ctx, body, outer, ctes)
            return rows if keep_open else rows.settle(ctx)
        if isinstance(body, ast.SetOperation):
            rows = self._set_operation(ctx, body, outer, ctes)
            return rows if keep_open else rows.settle(ctx)
        if isinstance(body, ast.Query):
            return self.rows(ctx, body, outer, ctes, keep_open=keep_open)
        if isinstance(body, ast.TableQuery):
            ref = ast.TableRef(name=body.name, position=body.position)
            relation, scope = FromPlanner(ctx, ctes, outer, outer).table(ref)
            columns = scope.columns
            return Rows(
                relation,
                [column.type for column in columns],
                [column.name for column in columns],
                list(range(len(columns))),
            )
        assert isinstance(body, ast.Show)
        return plan_show(ctx, body)

    def _order(
        self,
        ctx: StatementContext,
        rows: Rows,
        items: Sequence[ast.OrderItem],
        outer: Scope | None,
        ctes: Ctes,
    ) -> tuple[ColumnOrder, ...]:
        """Plan an ORDER BY that sees only output columns: of a set operation, of VALUES."""
        order_by = []
        for item in items:
            index = self._output(ctx, rows, item.expression, outer, ctes)
            nulls_first = item.descending if item.nulls_first is None else item.nulls_first
            order_by.append(ColumnOrder(index, item.descending, not nulls_first))
        return tuple(order_by)

    def _output(
        self,
        ctx: StatementContext,
        rows: Rows,
        node: ast.Expr,
        outer: Scope | None,
        ctes: Ctes,
    ) -> int:
        if isinstance(node, ast.Number) and node.text.isdigit():
            number = int(node.text)
            if not 1 <= number <= len(rows.outputs):
                raise InvalidColumnReference(
                    f"column reference {number} in ORDER BY clause is out of range"
                    f" (1 - {len(rows.outputs)})",
                    position=node.position,
                )
            return rows.outputs[number - 1]
        if isinstance(node, ast.Identifier) and len(node.parts) == 1:
            matches = [i for i, name in enumerate(rows.names) if name == node.parts[0]]
            if len(matches) > 1:
                raise AmbiguousColumn(
                    f'column reference "{node.parts[0]}" is ambiguous', position=node.position
                )
            if matches:
                return rows.outputs[matches[0]]
        # Beyond PostgreSQL: any expression over the output columns and enclosing queries'.
        columns = [
            ScopeColumn(name, rows.output_type(number)) for number, name in enumerate(rows.names)
        ]
        scope = Scope(columns, range(len(columns)), [], outer)
        expr = ExprContext(ctx, scope, ctes, "ORDER BY clause of a set expression").plan_typed(node)

        def leaf(found: HirScalar, depth: int) -> HirScalar:
            if isinstance(found, ColumnRef) and found.level == depth:
                return shift(rows.expression(found.index), depth)
            return found

        return rows.add(Rewriter(leaf).scalar(expr))

    def _limit(
        self, ctx: StatementContext, query: ast.Query, rows: Rows, outer: Scope | None, ctes: Ctes
    ) -> None:
        if query.limit is None and query.offset is None:
            return
        if rows.limit is not None or rows.offset is not None:
            cut = _cut(rows)
            for name in Rows.__slots__:
                setattr(rows, name, getattr(cut, name))
        if query.limit is not None:
            context = ExprContext(ctx, Scope.empty(outer), ctes, "LIMIT")
            count = context.plan_as(query.limit, INT8, CastContext.ASSIGNMENT)
            rows.limit = limit_count(count, query.limit.position)
        if query.offset is not None:
            context = ExprContext(ctx, Scope.empty(outer), ctes, "OFFSET")
            count = context.plan_as(query.offset, INT8, CastContext.ASSIGNMENT)
            rows.offset = offset_count(count, query.offset.position)
        if any(count is not None and has_subquery(count) for count in (rows.limit, rows.offset)):
            rows.limit_by_rank(ties=False)
        if query.with_ties:
            if not rows.order_by:
                raise SyntaxError_(
                    "WITH TIES cannot be specified without ORDER BY clause",
                    position=query.position,
                )
            rows.limit_by_rank(ties=True)

    # --- VALUES -----------------------------------------------------------------------------------

    def _values(
        self, ctx: StatementContext, body: ast.Values, outer: Scope | None, ctes: Ctes
    ) -> Rows:
        context = ExprContext(ctx, Scope.empty(outer), ctes, "VALUES")
        width = len(body.rows[0])
        planned: list[list[HirScalar]] = []
        for row in body.rows:
            if len(row) != width:
                raise SyntaxError_(
                    "VALUES lists must all be the same length",
                    position=row[0].position if row else body.position,
                )
            planned.append([context.plan(item) for item in row])
        for column in range(width):
            types = [type_of(row[column]).type for row in planned]
            first = types[0]
            if first.base is not BaseType.UNKNOWN and all(t == first for t in types):
                continue
            nodes = [row[column] for row in body.rows]
            target = _common(types, [location(node) for node in nodes], "VALUES")
            for exprs, node in zip(planned, nodes, strict=True):
                exprs[column] = context.coerce(exprs[column], target, node.position)
        names = [f"column{number}" for number in range(1, width + 1)]
        return values_rows(planned, names)

    # --- set operations ---------------------------------------------------------------------------

    def _set_operation(
        self, ctx: StatementContext, body: ast.SetOperation, outer: Scope | None, ctes: Ctes
    ) -> Rows:
        # A long UNION leans to the left: its members are gathered in a loop.
        operands: list[ast.SetExpr] = [body.right]
        left = body.left
        while (
            isinstance(left, ast.SetOperation)
            and body.operator is ast.SetOperator.UNION
            and left.operator is body.operator
            and left.all == body.all
        ):
            operands.append(left.right)
            left = left.left
        operands.append(left)
        operands.reverse()
        members = [self._operand(ctx, operand, outer, ctes) for operand in operands]
        width = len(members[0].outputs)
        for member, operand in zip(members, operands, strict=True):
            if len(member.outputs) != width:
                raise SyntaxError_(
                    f"each {body.operator.value} query must have the same number of columns",
                    position=_column_location(operand, 0),
                )
        targets = []
        for column in range(width):
            types = [member.output_type(column).type for member in members]
            positions = [_column_location(operand, column) for operand in operands]
            target = _common(types, positions, body.operator.value)
            targets.append(target)
            for member in members:
                member.coerce_output(column, target, CastContext.IMPLICIT, ctx)
        types_of_columns = []
        for column in range(width):
            kinds = [member.output_type(column) for member in members]
            nullable = any(kind.nullable for kind in kinds)
            types_of_columns.append(ColumnType(targets[column], nullable))
        relations = [member.relation() for member in members]
        relation = _combine(ctx, body, relations, types_of_columns)
        return Rows(relation, types_of_columns, members[0].names, list(range(width)))

    def _operand(
        self, ctx: StatementContext, operand: ast.SetExpr, outer: Scope | None, ctes: Ctes
    ) -> Rows:
        rows = self._set_expr(ctx, operand, outer, ctes, keep_open=True)
        return _cut(rows) if rows.limit is not None or rows.offset is not None else rows


def values_rows(planned: list[list[HirScalar]], names: list[str]) -> Rows:
    """Return rows of expressions over the enclosing scopes, each column of one type."""
    width = len(names)
    types = []
    for column in range(width):
        kinds = [type_of(row[column]) for row in planned]
        types.append(ColumnType(kinds[0].type, any(kind.nullable for kind in kinds)))
    outputs = list(range(width))
    desc = RelationDesc(
        tuple(Column(n, t.type, t.nullable) for n, t in zip(names, types, strict=True))
    )
    if all(isinstance(item, Literal) for row in planned for item in row):
        rows = tuple(
            (b"".join([item.data for item in row]), 1)  # type: ignore[union-attr]
            for row in planned
        )
        return Rows(HirConstant(rows, desc), types, names, outputs)
    if len(planned) == 1:
        return Rows(UNIT, [], names, outputs, list(planned[0]))
    return Rows(_union_of_rows(planned, desc), types, names, outputs)


def _union_of_rows(planned: list[list[HirScalar]], desc: RelationDesc) -> HirRelation:
    """Return constants in one relation, each row with expressions as one of its own."""
    constants = []
    others: list[HirRelation] = []
    for row in planned:
        if all(isinstance(item, Literal) for item in row):
            constants.append((b"".join([i.data for i in row if isinstance(i, Literal)]), 1))
        else:
            others.append(HirMap(UNIT, tuple(row)))
    if constants:
        others.insert(0, HirConstant(tuple(constants), desc))
    return others[0] if len(others) == 1 else HirUnion(tuple(others))


def _common(types: Sequence[ScalarType], positions: Sequence[int], construct: str) -> ScalarType:
    found = try_common_type(types)
    if isinstance(found, ScalarType):
        return found
    left, right = found
    at = next((p for t, p in zip(types, positions, strict=True) if t == right), 0)
    raise DatatypeMismatch(
        f"{construct} types {show_type(left)} and {show_type(right)} cannot be matched",
        position=at,
    )


def _column_location(operand: ast.SetExpr, column: int) -> int:
    """Return where a column of an operand is written, where that can be told."""
    while isinstance(operand, ast.SetOperation | ast.Query):
        operand = operand.left if isinstance(operand, ast.SetOperation) else operand.body
    if isinstance(operand, ast.Select) and column < len(operand.items):
        return location(operand.items[column].expression)
    return operand.position


def _cut(rows: Rows) -> Rows:
    """Return rows whose LIMIT and OFFSET are applied, so that others may be put on top."""
    types = [rows.column_type(index) for index in rows.outputs]
    return Rows(rows.relation(), types, rows.names, list(range(len(types))))


def _combine(
    ctx: StatementContext,
    body: ast.SetOperation,
    relations: list[HirRelation],
    types: list[ColumnType],
) -> HirRelation:
    """Return the set operation in terms of union, negate, threshold and distinct."""
    if body.operator is ast.SetOperator.UNION:
        union = HirUnion(tuple(relations))
        return union if body.all else HirDistinct(union)
    left, right = relations
    if not body.all:
        left, right = HirDistinct(left), HirDistinct(right)
    if body.operator is ast.SetOperator.EXCEPT:
        return HirThreshold(HirUnion((left, HirNegate(right))))
    # What is left of the left side when what is not in the right one is taken away.
    local = ctx.next_local()
    columns = tuple(Column(f"column{i}", t.type, t.nullable) for i, t in enumerate(types, 1))
    get = HirGetLocal(local, RelationDesc(columns))
    only_left = HirThreshold(HirUnion((get, HirNegate(right))))
    both = HirThreshold(HirUnion((get, HirNegate(only_left))))
    return HirLet("intersect", local, left, both)


class _Bindings:
    """The bindings of one WITH."""

    def __init__(
        self, queries: Queries, ctx: StatementContext, outer: Scope | None, ctes: Ctes
    ) -> None:
        self.queries = queries
        self.ctx = ctx
        self.outer = outer
        self.ctes = ctes
        self.lets: list[tuple[str, int, HirRelation]] = []
        self.recursive: HirLetRec | None = None

    def bind(self, node: ast.With | ast.WithMutuallyRecursive) -> None:
        """Plan the bindings in order."""
        names: set[str] = set()
        listed = node.ctes if isinstance(node, ast.With) else node.bindings
        for binding in listed:
            if binding.name in names:
                raise DuplicateAlias(
                    f'WITH query name "{binding.name}" specified more than once',
                    position=binding.position,
                )
            names.add(binding.name)
        if isinstance(node, ast.WithMutuallyRecursive):
            self._mutually_recursive(node)
            return
        for cte in node.ctes:
            if node.recursive and _mentions(cte.query, cte.name):
                self._recursive(cte)
            else:
                self._plain(cte)

    def enclose(self, rows: Rows) -> None:
        """Put rows inside the bindings; their scalars too, for they may read what is bound."""
        if self.recursive is None and not self.lets:
            return
        types = rows.all_types()
        rows.base = self._wrap(rows.mapped())
        rows.base_types, rows.scalars = types, []

    def _wrap(self, body: HirRelation) -> HirRelation:
        if self.recursive is not None:
            rec = self.recursive
            return HirLetRec(rec.names, rec.ids, rec.values, rec.descs, rec.limit, body)
        for name, id, value in reversed(self.lets):
            body = HirLet(name, id, value, body)
        return body

    def _plain(self, cte: ast.Cte) -> None:
        relation, desc = self.queries.subquery(self.ctx, cte.query, self.outer, self.ctes)
        desc = _renamed(desc, cte)
        id = self.ctx.next_local()
        self.lets.append((cte.name, id, relation))
        self.ctes = {**self.ctes, cte.name: CteBinding(id, desc)}

    def _recursive(self, cte: ast.Cte) -> None:
        """Plan PostgreSQL's ``WITH RECURSIVE``: base UNION [ALL] step, to the fixpoint."""
        body = cte.query.body
        if not isinstance(body, ast.SetOperation) or body.operator is not ast.SetOperator.UNION:
            raise InvalidRecursion(
                f'recursive query "{cte.name}" does not have the form'
                " non-recursive-term UNION [ALL] recursive-term",
                position=cte.position,
            )
        base_query = ast.Query(body=body.left, with_=cte.query.with_, position=body.position)
        if _mentions(base_query, cte.name):
            raise InvalidRecursion(
                f'recursive reference to query "{cte.name}" must not appear within its'
                " non-recursive term",
                position=cte.position,
            )
        base, desc = self.queries.subquery(self.ctx, base_query, self.outer, self.ctes)
        desc = _renamed(desc, cte)
        desc = RelationDesc(tuple(Column(c.name, c.type, True) for c in desc.columns))
        id = self.ctx.next_local()
        self.ctes = {**self.ctes, cte.name: CteBinding(id, desc)}
        step_query = ast.Query(body=body.right, with_=cte.query.with_, position=body.position)
        rows = self.queries.rows(self.ctx, step_query, self.outer, self.ctes, keep_open=True)
        if len(rows.outputs) != desc.arity:
            raise SyntaxError_(
                "each UNION query must have the same number of columns", position=body.position
            )
        for output, column in enumerate(desc.columns):
            found = rows.output_type(output).type
            if found != column.type and found.base is not BaseType.UNKNOWN:
                common = try_common_type((column.type, found))
                if common != column.type:
                    overall = common if isinstance(common, ScalarType) else found
                    raise DatatypeMismatch(
                        f'recursive query "{cte.name}" column {output + 1} has type'
                        f" {show_type(column.type)} in non-recursive term but type"
                        f" {show_type(overall)} overall",
                        hint="Cast the output of the non-recursive term to the correct type.",
                        position=cte.position,
                    )
            rows.coerce_output(output, column.type, CastContext.IMPLICIT, self.ctx)
        union: HirRelation = HirUnion((base, rows.relation()))
        value = union if body.all else HirDistinct(union)
        get = HirGetLocal(id, desc)
        bound = self.ctx.next_local()
        rec = HirLetRec((cte.name,), (id,), (value,), (desc,), None, get)
        self.lets.append((cte.name, bound, rec))
        self.ctes = {**self.ctes, cte.name: CteBinding(bound, desc)}

    def _mutually_recursive(self, node: ast.WithMutuallyRecursive) -> None:
        ctx = self.ctx
        descs, ids = [], []
        for binding in node.bindings:
            columns = tuple(
                Column(column.name, resolve_type(column.data_type, ctx.names), True)
                for column in binding.columns
            )
            descs.append(RelationDesc(columns))
            ids.append(ctx.next_local())
        bound = {
            binding.name: CteBinding(id, desc)
            for binding, id, desc in zip(node.bindings, ids, descs, strict=True)
        }
        self.ctes = {**self.ctes, **bound}
        values = [
            self._recursive_value(binding, desc)
            for binding, desc in zip(node.bindings, descs, strict=True)
        ]
        limit = None
        if node.limit is not None:
            limit = LetRecLimit(node.limit, _LIMITS[node.limit_kind])
        names = tuple(binding.name for binding in node.bindings)
        self.recursive = HirLetRec(names, tuple(ids), tuple(values), tuple(descs), limit, UNIT)

    def _recursive_value(self, binding: ast.RecursiveBinding, desc: RelationDesc) -> HirRelation:
        rows = self.queries.rows(self.ctx, binding.query, self.outer, self.ctes, keep_open=True)
        found = [rows.output_type(output).type for output in range(len(rows.outputs))]
        declared = [column.type for column in desc.columns]
        mismatch = (
            f'WITH MUTUALLY RECURSIVE query "{binding.name}" declared types'
            f" ({', '.join(show_type(t) for t in declared)}), but query returns types"
            f" ({', '.join(show_type(TEXT if t.base is BaseType.UNKNOWN else t) for t in found)})"
        )
        if len(found) != len(declared):
            raise DatatypeMismatch(mismatch, position=binding.position)
        escaped = mismatch.replace("{", "{{").replace("}", "}}")
        rows.coerce_outputs(declared, CastContext.ASSIGNMENT, self.ctx, escaped)
        return rows.relation()


def _renamed(desc: RelationDesc, cte: ast.Cte) -> RelationDesc:
    if len(cte.columns) > desc.arity:
        raise InvalidColumnReference(
            f'WITH query "{cte.name}" has {desc.arity} columns available'
            f" but {len(cte.columns)} columns specified",
            position=cte.position,
        )
    names = (*cte.columns, *desc.names[len(cte.columns) :])
    columns = tuple(
        Column(name, column.type, column.nullable)
        for name, column in zip(names, desc.columns, strict=True)
    )
    return RelationDesc(columns, desc.keys)


def _mentions(query: ast.Query, name: str) -> bool:
    return any(
        isinstance(node, ast.TableRef) and node.name.parts == (name,) for node in walk(query)
    )


def column_refs(types: Sequence[ColumnType]) -> list[HirScalar]:
    """Return references to all columns of level 0."""
    return [ColumnRef(0, index, type) for index, type in enumerate(types)]
