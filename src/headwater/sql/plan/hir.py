"""The high-level plan: SQL with names and types resolved, subqueries still inside expressions.

The planner makes it from the AST; ``decorrelate`` turns it into ``ir.relation``. Relations have the
operators of ``ir.relation`` that SQL can express; scalars may hold relations. A column reference
names a level: 0 is the innermost relation, 1 the one that the subquery stands in, and so on.
"""

from enum import StrEnum

import msgspec

from headwater.ir.relation import FrameBoundKind, FrameExclusion, FrameUnits, LetRecLimit
from headwater.ir.scalar import (
    CallUnmaterializable,
    ColumnOrder,
    Literal,
    LiteralError,
    Parameter,
)
from headwater.types.ids import GlobalId
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ColumnType


class ColumnRef(msgspec.Struct, frozen=True, tag_field="kind", tag="column_ref"):
    """Column ``index`` of the relation ``level`` scopes outwards."""

    level: int
    index: int
    type: ColumnType
    name: str = ""


class HirCall(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_call"):
    """A kernel applied to arguments; see ``ir.scalar.Call``."""

    func: str
    args: tuple["HirScalar", ...]
    type: ColumnType


class HirIf(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_if"):
    """See ``ir.scalar.If``."""

    cond: "HirScalar"
    then: "HirScalar"
    els: "HirScalar"


class Exists(msgspec.Struct, frozen=True, tag_field="kind", tag="exists"):
    """Whether the relation has a row. Never null."""

    relation: "HirRelation"


class ScalarSubquery(msgspec.Struct, frozen=True, tag_field="kind", tag="scalar_subquery"):
    """The only column of the only row; NULL if there is none, an error if there are more."""

    relation: "HirRelation"
    type: ColumnType


class HirAggregate(msgspec.Struct, frozen=True):
    """See ``ir.scalar.AggregateExpr``; FILTER is folded into ``expr`` by the planner."""

    func: str
    expr: "HirScalar"
    type: ColumnType
    distinct: bool = False
    order_by: tuple[ColumnOrder, ...] = ()


class FrameBound(msgspec.Struct, frozen=True):
    """One end of a frame.

    For PRECEDING and FOLLOWING: ``offset`` in rows or groups; in RANGE frames ``value``, at which
    the frame begins or ends in the order column.
    """

    kind: FrameBoundKind
    offset: int = 0
    value: "HirScalar | None" = None


class WindowFrame(msgspec.Struct, frozen=True):
    """The frame of a window function."""

    units: FrameUnits
    start: FrameBound
    end: FrameBound
    exclusion: FrameExclusion = FrameExclusion.NO_OTHERS


class WindowCall(msgspec.Struct, frozen=True, tag_field="kind", tag="window"):
    """A window function over the rows of the enclosing relation.

    ``func`` is the window function's or aggregate's kernel name, ``args`` its arguments; see
    ``ir.relation.WindowFunction``. Several arguments of an aggregate come as one record.
    """

    func: str
    args: tuple["HirScalar", ...]
    partition_by: tuple["HirScalar", ...]
    order_by: tuple[tuple["HirScalar", bool, bool], ...]  # expression, desc, nulls_last
    frame: WindowFrame
    ignore_nulls: bool
    type: ColumnType
    filter: "HirScalar | None" = None
    inner_order: tuple[ColumnOrder, ...] = ()

    @property
    def parts(self) -> tuple["HirScalar", ...]:
        """The expressions of the call, in the order in which :meth:`with_parts` takes them."""
        bounds = (self.filter, self.frame.start.value, self.frame.end.value)
        return (
            *self.args,
            *self.partition_by,
            *(key for key, _, _ in self.order_by),
            *(part for part in bounds if part is not None),
        )

    def with_parts(self, parts: tuple["HirScalar", ...]) -> "WindowCall":
        """Return the call with other expressions in the places of its own."""
        left = iter(parts)

        def other(part: "HirScalar | None") -> "HirScalar | None":
            return None if part is None else next(left)

        args = tuple(next(left) for _ in self.args)
        partition = tuple(next(left) for _ in self.partition_by)
        order = tuple((next(left), desc, last) for _, desc, last in self.order_by)
        keep = other(self.filter)
        start = msgspec.structs.replace(self.frame.start, value=other(self.frame.start.value))
        end = msgspec.structs.replace(self.frame.end, value=other(self.frame.end.value))
        frame = msgspec.structs.replace(self.frame, start=start, end=end)
        return msgspec.structs.replace(
            self, args=args, partition_by=partition, order_by=order, frame=frame, filter=keep
        )


HirScalar = (
    ColumnRef
    | Literal
    | LiteralError
    | Parameter
    | CallUnmaterializable
    | HirCall
    | HirIf
    | Exists
    | ScalarSubquery
    | WindowCall
)


class HirConstant(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_constant"):
    """Rows known at planning."""

    rows: tuple[tuple[bytes, int], ...]
    desc: RelationDesc


class HirGet(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_get"):
    """All rows of a catalog relation; views are inlined by ``catalog_inline`` before optimizing."""

    id: GlobalId
    desc: RelationDesc


class HirGetLocal(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_get_local"):
    """All rows of a CTE."""

    id: int
    desc: RelationDesc


class HirLet(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_let"):
    """A CTE bound within ``body``."""

    name: str
    id: int
    value: "HirRelation"
    body: "HirRelation"


class HirLetRec(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_let_rec"):
    """WITH MUTUALLY RECURSIVE."""

    names: tuple[str, ...]
    ids: tuple[int, ...]
    values: tuple["HirRelation", ...]
    descs: tuple[RelationDesc, ...]
    limit: LetRecLimit | None
    body: "HirRelation"


class HirProject(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_project"):
    """The columns ``outputs``."""

    input: "HirRelation"
    outputs: tuple[int, ...]


class HirMap(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_map"):
    """The input's columns followed by ``scalars``; each may refer to those before it."""

    input: "HirRelation"
    scalars: tuple[HirScalar, ...]


class HirFilter(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_filter"):
    """The rows for which all ``predicates`` are true."""

    input: "HirRelation"
    predicates: tuple[HirScalar, ...]


class HirTableFunc(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_table_func"):
    """The rows of a table function; arguments are over the enclosing scopes (level ≥ 1)."""

    func: str
    args: tuple[HirScalar, ...]
    desc: RelationDesc


class HirJoinKind(StrEnum):
    """SQL's joins."""

    INNER = "inner"
    LEFT = "left"
    RIGHT = "right"
    FULL = "full"


class HirJoin(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_join"):
    """``left`` and ``right`` where ``on`` is true; ``on`` sees both as level 0.

    With ``lateral`` the right side sees the left as level 1 (its own columns are level 0); the
    left's columns precede the enclosing scopes, which are then level 2 and up. Only INNER and
    LEFT may be lateral.
    """

    left: "HirRelation"
    right: "HirRelation"
    on: HirScalar
    join_kind: HirJoinKind
    lateral: bool = False


class HirReduce(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_reduce"):
    """One row a group, by key columns of the input; with no key exactly one row."""

    input: "HirRelation"
    group_key: tuple[int, ...]
    aggregates: tuple[HirAggregate, ...]
    expected_group_size: int | None = None


class HirDistinct(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_distinct"):
    """Each row once."""

    input: "HirRelation"


class HirTopK(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_top_k"):
    """See ``ir.relation.TopK``; ``limit`` is over the enclosing scopes (level ≥ 1) or constant."""

    input: "HirRelation"
    group_key: tuple[int, ...]
    order_key: tuple[ColumnOrder, ...]
    limit: HirScalar | None
    offset: int
    expected_group_size: int | None = None


class HirNegate(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_negate"):
    """The input with all multiplicities negated."""

    input: "HirRelation"


class HirThreshold(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_threshold"):
    """The input's rows of positive multiplicity."""

    input: "HirRelation"


class HirUnion(msgspec.Struct, frozen=True, tag_field="kind", tag="hir_union"):
    """UNION ALL of inputs of equal column types."""

    inputs: tuple["HirRelation", ...]


HirRelation = (
    HirConstant
    | HirGet
    | HirGetLocal
    | HirLet
    | HirLetRec
    | HirProject
    | HirMap
    | HirFilter
    | HirTableFunc
    | HirJoin
    | HirReduce
    | HirDistinct
    | HirTopK
    | HirNegate
    | HirThreshold
    | HirUnion
)
