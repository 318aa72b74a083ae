"""WITH MUTUALLY RECURSIVE, on its own and over its context's columns.

A block that mentions enclosing columns is a recursion for each row of its context. It is computed
for all of them at once: the distinct values of the columns that it mentions lead every binding's
columns, each value is a lateral join of them with what it was, and a use of a binding selects the
rows of its own context. What results mentions nothing outside and is joined back like a subquery.
"""

from headwater.ir import kernels
from headwater.ir.literals import TRUE
from headwater.ir.relation import Get, LetRec, RelationExpr
from headwater.ir.typing import arity
from headwater.ir.visit import map_tuple, replace
from headwater.sql.plan.decorrelate.build import UNIT, distinct, join_on_columns, product, project
from headwater.sql.plan.decorrelate.scope import (
    Context,
    Scope,
    map_hir_scalar,
    map_subqueries,
    rebuild,
)
from headwater.sql.plan.hir import (
    ColumnRef,
    HirCall,
    HirFilter,
    HirGetLocal,
    HirJoin,
    HirJoinKind,
    HirLetRec,
    HirProject,
    HirRelation,
    HirScalar,
)
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BOOL, ColumnType, record_of


def lower_let_rec(
    context: Context, relation: HirLetRec, outer: RelationExpr, scope: Scope
) -> RelationExpr:
    """Return ``outer``'s columns followed by those of the block's body."""
    mentioned = sorted(context.free(relation))
    if not mentioned:
        return product(outer, _closed(context, relation))
    columns = [scope[level - 1][index] for level, index in mentioned]
    used = list(dict.fromkeys(columns))
    types = context.typer.types(outer)
    # HIR ids count up from 0: those below belong to contexts.
    local = -1 - context.fresh()
    desc = RelationDesc(
        tuple(
            Column(f"c{number}", types[c].type, types[c].nullable) for number, c in enumerate(used)
        )
    )
    place = {key: used.index(column) for key, column in zip(mentioned, columns, strict=True)}

    def with_context(rows: Get) -> RelationExpr:
        context.ctes[local] = rows
        keyed = _Keyed(HirGetLocal(local, desc), place, relation)
        inner = _closed(context, keyed.block())
        pairs = [(column, number) for number, column in enumerate(used)]
        joined = join_on_columns(context, outer, inner, pairs)
        width = arity(outer)
        return project(joined, (*range(width), *range(width + len(used), arity(joined))))

    return context.bind(distinct(project(outer, used)), with_context)


def _closed(context: Context, relation: HirLetRec) -> RelationExpr:
    """Return the plan of a block that mentions nothing outside."""
    numbers = tuple(context.fresh() for _ in relation.ids)
    descs = tuple(replace(desc, keys=()) for desc in relation.descs)
    for identifier, number, desc in zip(relation.ids, numbers, descs, strict=True):
        context.local(identifier, number, desc)
    return LetRec(
        numbers,
        tuple(context.lower(context, value, UNIT, ()) for value in relation.values),
        descs,
        tuple(relation.limit for _ in numbers),
        context.lower(context, relation.body, UNIT, ()),
    )


class _Keyed:
    """Puts the context's columns in front of every binding.

    Attributes:
        rows: The context: its distinct rows.
        place: (level, column) as the block counts → the column of ``rows``.
    """

    def __init__(
        self, rows: HirGetLocal, place: dict[tuple[int, int], int], block: HirLetRec
    ) -> None:
        self.rows = rows
        self.place = place
        self.original = block
        self.descs = {
            number: RelationDesc((*rows.desc.columns, *desc.columns))
            for number, desc in zip(block.ids, block.descs, strict=True)
        }

    def block(self) -> HirLetRec:
        """Return the block for all rows of the context."""
        block = self.original
        return HirLetRec(
            block.names,
            block.ids,
            map_tuple(block.values, self._beside),
            tuple(self.descs[number] for number in block.ids),
            block.limit,
            self._beside(block.body),
        )

    def _beside(self, relation: HirRelation) -> HirRelation:
        inner = self._relation(relation, 0)
        return HirJoin(self.rows, inner, TRUE, HirJoinKind.INNER, lateral=True)

    def _relation(self, relation: HirRelation, depth: int) -> HirRelation:
        """Return ``relation``, which stands ``depth`` scopes inside the block, over ``rows``."""
        if isinstance(relation, HirGetLocal) and relation.id in self.descs:
            return self._own(relation, depth)
        return rebuild(
            relation,
            lambda child, lateral: self._relation(child, depth + lateral),
            lambda expr: self._scalar(expr, depth),
        )

    def _scalar(self, expr: HirScalar, depth: int) -> HirScalar:
        def visit(node: HirScalar) -> HirScalar:
            if isinstance(node, ColumnRef) and node.level > depth:
                return self._ref(depth + 1, self.place[node.level - depth, node.index])
            return node

        return map_subqueries(
            map_hir_scalar(expr, visit), lambda inner: self._relation(inner, depth + 1)
        )

    def _ref(self, level: int, index: int) -> ColumnRef:
        column = self.rows.desc.columns[index]
        return ColumnRef(level, index, ColumnType(column.type, column.nullable), column.name)

    def _own(self, relation: HirGetLocal, depth: int) -> HirRelation:
        """Return those rows of a binding that belong to the context's row at hand."""
        desc = self.descs[relation.id]
        width = self.rows.desc.arity
        tests = tuple(
            _same(self._ref(0, index), self._ref(depth + 1, index)) for index in range(width)
        )
        kept = HirFilter(HirGetLocal(relation.id, desc), tests)
        return HirProject(kept, tuple(range(width, desc.arity)))


def _same(left: ColumnRef, right: ColumnRef) -> HirScalar:
    """Return a condition that holds for equal values, NULL being equal to NULL."""
    args: tuple[HirScalar, ...] = (left, right)
    if left.type.nullable:
        kind = ColumnType(record_of(("f1", left.type)), nullable=False)
        args = tuple(HirCall(kernels.RECORD, (item,), kind) for item in args)
    return HirCall(kernels.EQ, args, ColumnType(BOOL, nullable=False))
