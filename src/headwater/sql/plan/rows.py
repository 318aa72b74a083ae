"""The rows that a query yields while its last clauses are still open."""

from collections.abc import Sequence

from headwater.errors import DatatypeMismatch
from headwater.ir.functions import CastContext
from headwater.ir.literals import TRUE, int_literal
from headwater.ir.relation import RowSetFinishing
from headwater.ir.scalar import ColumnOrder, Literal
from headwater.sql.plan.coerce import ParameterTypes, coerce
from headwater.sql.plan.fold import constant_count
from headwater.sql.plan.frames import DEFAULT_FRAME
from headwater.sql.plan.hir import (
    ColumnRef,
    HirCall,
    HirConstant,
    HirFilter,
    HirMap,
    HirProject,
    HirRelation,
    HirScalar,
    HirTopK,
    ScalarSubquery,
    WindowCall,
)
from headwater.sql.plan.hir_visit import has_volatile_call, shift
from headwater.sql.plan.types import can_coerce, type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BOOL, INT8, TEXT, BaseType, ColumnType, ScalarType

_INT8 = ColumnType(INT8, False)
_BOOL = ColumnType(BOOL, True)


class Rows:
    """A query's rows: ``base``, then ``scalars`` over it; what of them is shown, and in what order.

    Attributes:
        base: A relation with columns of ``base_types``.
        scalars: Further columns, each over ``base`` alone.
        names: The names of the output columns.
        outputs: Where the output columns are, among base and scalars.
        order_by: The order, by columns among base and scalars.
        limit: An int8 over the enclosing scopes (level 1 and up); None for all rows.
        offset: The same; None for 0.
        group_size: How many rows LIMIT is expected to choose from.
    """

    __slots__ = (
        "base",
        "base_types",
        "group_size",
        "limit",
        "names",
        "offset",
        "order_by",
        "outputs",
        "scalars",
    )

    def __init__(
        self,
        base: HirRelation,
        base_types: list[ColumnType],
        names: list[str],
        outputs: list[int],
        scalars: list[HirScalar] | None = None,
    ) -> None:
        self.base = base
        self.base_types = base_types
        self.scalars: list[HirScalar] = [] if scalars is None else scalars
        self.names = names
        self.outputs = outputs
        self.order_by: tuple[ColumnOrder, ...] = ()
        self.limit: HirScalar | None = None
        self.offset: HirScalar | None = None
        self.group_size: int | None = None

    @staticmethod
    def of_relation(relation: HirRelation, desc: RelationDesc) -> "Rows":
        """Return all columns of a relation."""
        arity = desc.arity
        return Rows(relation, list(desc.types), list(desc.names), list(range(arity)))

    def column_type(self, index: int) -> ColumnType:
        """Return the type of a column among base and scalars."""
        arity = len(self.base_types)
        return self.base_types[index] if index < arity else type_of(self.scalars[index - arity])

    def output_type(self, output: int) -> ColumnType:
        """Return the type of an output column."""
        return self.column_type(self.outputs[output])

    def expression(self, output: int) -> HirScalar:
        """Return an output column as an expression over ``base``."""
        index = self.outputs[output]
        arity = len(self.base_types)
        if index < arity:
            return ColumnRef(0, index, self.base_types[index], self.names[output])
        return self.scalars[index - arity]

    def add(self, expr: HirScalar) -> int:
        """Return the column, among base and scalars, that holds ``expr``, adding it if needed."""
        if isinstance(expr, ColumnRef) and expr.level == 0:
            return expr.index
        for index, scalar in enumerate(self.scalars):
            if scalar == expr:
                return len(self.base_types) + index
        self.scalars.append(expr)
        return len(self.base_types) + len(self.scalars) - 1

    def all_types(self) -> list[ColumnType]:
        """Return the types of base and scalars."""
        return [*self.base_types, *(type_of(scalar) for scalar in self.scalars)]

    def mapped(self) -> HirRelation:
        """Return the relation of base and scalars."""
        return HirMap(self.base, tuple(self.scalars)) if self.scalars else self.base

    def desc(self, keys: tuple[tuple[int, ...], ...] = ()) -> RelationDesc:
        """Return the output columns."""
        columns = []
        for name, index in zip(self.names, self.outputs, strict=True):
            found = self.column_type(index)
            columns.append(Column(name, found.type, found.nullable))
        return RelationDesc(tuple(columns), keys)

    def settle(self, params: ParameterTypes) -> "Rows":
        """Make text of output columns whose type is still open."""
        for output in range(len(self.outputs)):
            if self.output_type(output).type.base is BaseType.UNKNOWN:
                self.coerce_output(output, TEXT, CastContext.IMPLICIT, params)
        return self

    def coerce_output(
        self, output: int, target: ScalarType, context: CastContext, params: ParameterTypes
    ) -> None:
        """Convert an output column.

        Raises: what ``coerce`` raises.
        """
        if self.output_type(output).type == target:
            return
        index = self.outputs[output]
        arity = len(self.base_types)
        converted = coerce(self.expression(output), target, context, params)
        if index >= arity and self.outputs.count(index) == 1:
            self.scalars[index - arity] = converted
        else:
            self.outputs[output] = self.add(converted)

    def coerce_outputs(
        self,
        targets: Sequence[ScalarType],
        context: CastContext,
        params: ParameterTypes,
        describe: str,
    ) -> None:
        """Convert all output columns. Raises: DatatypeMismatch with ``describe``."""
        for output, target in enumerate(targets):
            found = self.output_type(output).type
            if not can_coerce(found, target, context):
                raise DatatypeMismatch(
                    describe.format(
                        column=self.names[output],
                        found=show_type(found),
                        wanted=show_type(target),
                    )
                )
            self.coerce_output(output, target, context, params)

    def with_limit(self) -> HirRelation:
        """Return base and scalars cut to LIMIT and OFFSET."""
        if self.offset is not None and not isinstance(self.offset, Literal):
            self.limit_by_rank(ties=False)
        relation = self.mapped()
        if self.limit is None and self.offset is None:
            return relation
        return HirTopK(
            relation,
            (),
            self.order_by,
            self.limit,
            constant_count(self.offset, "OFFSET"),
            self.group_size,
        )

    def limit_by_rank(self, *, ties: bool) -> None:
        """Replace LIMIT and OFFSET by filters on the rows' numbers in their order.

        With ``ties``, rows that are equal to the last one stay as well.
        """
        arity = len(self.base_types)
        keys = []
        for order in self.order_by:
            kind = self.column_type(order.column)
            key = (
                ColumnRef(0, order.column, kind)
                if order.column < arity
                else self.scalars[order.column - arity]
            )
            keys.append((key, order.desc, order.nulls_last))

        def ranked(func: str) -> HirScalar:
            call = WindowCall(func, (), (), tuple(keys), DEFAULT_FRAME, False, _INT8)
            return ColumnRef(0, self.add(call), _INT8)

        tests: list[HirScalar] = []
        limit, offset = _once(self.limit), _once(self.offset)
        if offset is not None:
            tests.append(_or_null(HirCall("gt", (ranked("row_number"), offset), _BOOL), offset))
        if limit is not None:
            last = limit
            if offset is not None:
                start = offset
                if not isinstance(offset, Literal):
                    zero = int_literal(0, INT8)
                    start = HirCall("coalesce", (offset, zero), _INT8)
                last = HirCall("add_int8_int8", (limit, start), ColumnType(INT8, True))
            rank = ranked("rank" if ties else "row_number")
            tests.append(_or_null(HirCall("le", (rank, last), _BOOL), limit))
        types = self.all_types()
        self.base = HirFilter(self.mapped(), tuple(tests))
        self.base_types, self.scalars = types, []
        self.limit = self.offset = None

    def relation(self) -> HirRelation:
        """Return the output columns as a relation, LIMIT and OFFSET applied, order forgotten."""
        self._prune()
        return project(self.with_limit(), self.outputs, len(self.base_types) + len(self.scalars))

    def _prune(self) -> None:
        """Drop scalars that neither the output nor a limit's order needs."""
        arity = len(self.base_types)
        used = set(self.outputs)
        if self.limit is not None or self.offset is not None:
            used.update(order.column for order in self.order_by)
        else:
            self.order_by = ()
        kept = [n for n in range(len(self.scalars)) if arity + n in used]
        if len(kept) == len(self.scalars):
            return
        moved = {arity + old: arity + new for new, old in enumerate(kept)}
        self.scalars = [self.scalars[number] for number in kept]
        self.outputs = [moved.get(index, index) for index in self.outputs]
        self.order_by = tuple(
            ColumnOrder(moved.get(o.column, o.column), o.desc, o.nulls_last) for o in self.order_by
        )

    def finishing(self, limit: int | None, offset: int) -> RowSetFinishing:
        """Return what is left to do for a client."""
        return RowSetFinishing(self.order_by, limit, offset, tuple(self.outputs))


def _once(count: HirScalar | None) -> HirScalar | None:
    """Return a LIMIT or OFFSET to be compared with each row: evaluated once for all of them."""
    if count is None or not has_volatile_call(count):
        return count
    unit = HirConstant(((b"", 1),), RelationDesc((), ((),)))
    return ScalarSubquery(HirMap(unit, (shift(count, 1),)), ColumnType(INT8, True))


def _or_null(test: HirScalar, count: HirScalar) -> HirScalar:
    """Return ``test``, true where ``count`` is NULL: a LIMIT or OFFSET of NULL is none."""
    return test if isinstance(count, Literal) else HirCall("coalesce", (test, TRUE), _BOOL)


def project(relation: HirRelation, outputs: Sequence[int], arity: int) -> HirRelation:
    """Return the columns ``outputs`` of a relation of ``arity`` columns."""
    if len(outputs) == arity and all(i == output for i, output in enumerate(outputs)):
        return relation
    return HirProject(relation, tuple(outputs))
