"""The relational plan: what the optimizer rewrites.

A tree over collections of rows with multiplicities, free of subqueries and of catalog references.
``Get`` names global objects by id. Each node's shape (columns, keys) is derived by ``ir.typing``
from its children; nothing is stored twice.
"""

from enum import StrEnum

import msgspec

from headwater.ir.scalar import AggregateExpr, ColumnOrder, ScalarExpr
from headwater.types.ids import GlobalId
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ColumnType


class LocalId(msgspec.Struct, frozen=True, tag_field="kind", tag="local"):
    """A relation bound by an enclosing Let or LetRec."""

    id: int


class Global(msgspec.Struct, frozen=True, tag_field="kind", tag="global"):
    """A relation of the catalog, or a transient one."""

    id: GlobalId


RelationId = LocalId | Global


class Constant(msgspec.Struct, frozen=True, tag_field="kind", tag="constant"):
    """Rows known at planning, each with its multiplicity, or the error of computing them."""

    rows: tuple[tuple[bytes, int], ...]
    desc: RelationDesc


class ConstantError(msgspec.Struct, frozen=True, tag_field="kind", tag="constant_error"):
    """A relation whose computation fails with ``error``."""

    error: ScalarExpr  # a LiteralError
    desc: RelationDesc


class Get(msgspec.Struct, frozen=True, tag_field="kind", tag="get"):
    """All rows of a named relation."""

    id: RelationId
    desc: RelationDesc


class Let(msgspec.Struct, frozen=True, tag_field="kind", tag="let"):
    """``value`` bound to local ``id`` within ``body``."""

    id: int
    value: "RelationExpr"
    body: "RelationExpr"


class LetRecLimit(msgspec.Struct, frozen=True):
    """At most ``rounds`` rounds; then stop (``return_at_limit``) or fail."""

    rounds: int
    return_at_limit: bool


class LetRec(msgspec.Struct, frozen=True, tag_field="kind", tag="let_rec"):
    """Mutually recursive bindings; each starts empty and is updated in order, round by round."""

    ids: tuple[int, ...]
    values: tuple["RelationExpr", ...]
    descs: tuple[RelationDesc, ...]
    limits: tuple[LetRecLimit | None, ...]
    body: "RelationExpr"


class Project(msgspec.Struct, frozen=True, tag_field="kind", tag="project"):
    """The columns ``outputs`` of the input, in that order; repeats allowed."""

    input: "RelationExpr"
    outputs: tuple[int, ...]


class Map(msgspec.Struct, frozen=True, tag_field="kind", tag="map"):
    """The input's columns followed by ``scalars``; each may refer to those before it."""

    input: "RelationExpr"
    scalars: tuple[ScalarExpr, ...]


class Filter(msgspec.Struct, frozen=True, tag_field="kind", tag="filter"):
    """The rows for which all ``predicates`` are true."""

    input: "RelationExpr"
    predicates: tuple[ScalarExpr, ...]


class FlatMap(msgspec.Struct, frozen=True, tag_field="kind", tag="flat_map"):
    """For each input row, it followed by each row of the table function ``func(exprs)``."""

    input: "RelationExpr"
    func: str
    exprs: tuple[ScalarExpr, ...]
    columns: tuple[ColumnType, ...]  # the table function's output columns


class JoinKind(StrEnum):
    """How a join is to be computed; UNIMPLEMENTED until join planning has chosen."""

    UNIMPLEMENTED = "unimplemented"
    LINEAR = "linear"
    DELTA = "delta"


class JoinStep(msgspec.Struct, frozen=True):
    """One look-up: input ``input`` arranged by ``key`` (over its own columns)."""

    input: int
    key: tuple[ScalarExpr, ...]


class JoinImplementation(msgspec.Struct, frozen=True):
    """LINEAR: ``orders`` holds one order. DELTA: one an input, in the order of the inputs.

    The first step of an order is the input that starts; its key is empty unless its arrangement
    is used.
    """

    kind: JoinKind
    orders: tuple[tuple[JoinStep, ...], ...] = ()


class Join(msgspec.Struct, frozen=True, tag_field="kind", tag="join"):
    """Combinations of rows of ``inputs`` for which all members of each class are equal, not null.

    Shape: the columns of all inputs, one after the other. ``equivalences`` are classes of
    expressions over these columns.
    """

    inputs: tuple["RelationExpr", ...]
    equivalences: tuple[tuple[ScalarExpr, ...], ...]
    implementation: JoinImplementation = JoinImplementation(JoinKind.UNIMPLEMENTED)


class Reduce(msgspec.Struct, frozen=True, tag_field="kind", tag="reduce"):
    """One row a distinct ``group_key``: the key's values, then the aggregates'.

    With an empty key there is a row only if the input has rows: the planner adds the default row
    of a global aggregate by a union.
    """

    input: "RelationExpr"
    group_key: tuple[ScalarExpr, ...]
    aggregates: tuple[AggregateExpr, ...]
    monotonic: bool = False
    expected_group_size: int | None = None


class TopK(msgspec.Struct, frozen=True, tag_field="kind", tag="top_k"):
    """For each value of columns ``group_key``, rows ``offset`` to ``offset + limit`` by order.

    ``limit`` is an expression over the group key's columns; None is no limit. Ties are broken by
    the whole row, so that the answer is definite.
    """

    input: "RelationExpr"
    group_key: tuple[int, ...]
    order_key: tuple[ColumnOrder, ...]
    limit: ScalarExpr | None
    offset: int = 0
    monotonic: bool = False
    expected_group_size: int | None = None


class FrameUnits(StrEnum):
    """What the ends of a window frame count."""

    ROWS = "rows"
    RANGE = "range"  # distances in the only order column, or peers
    GROUPS = "groups"  # groups of peers


class FrameBoundKind(StrEnum):
    """Where a frame begins or ends."""

    UNBOUNDED_PRECEDING = "unbounded_preceding"
    PRECEDING = "preceding"
    CURRENT_ROW = "current_row"
    FOLLOWING = "following"
    UNBOUNDED_FOLLOWING = "unbounded_following"


class FrameExclusion(StrEnum):
    """What is left out of a frame."""

    NO_OTHERS = "no_others"
    CURRENT_ROW = "current_row"
    GROUP = "group"  # the current row and its peers
    TIES = "ties"  # the current row's peers but not itself


class FrameBound(msgspec.Struct, frozen=True):
    """One end of a frame.

    Attributes:
        kind: Which.
        offset: Rows or groups, for PRECEDING and FOLLOWING of ROWS and GROUPS.
        column: For PRECEDING and FOLLOWING of RANGE, the input's column that holds the value of the
            order column at which the frame begins or ends; NULL where that is NULL.
    """

    kind: FrameBoundKind
    offset: int = 0
    column: int | None = None


class WindowFrame(msgspec.Struct, frozen=True):
    """The rows around the current one that a window function looks at."""

    units: FrameUnits
    start: FrameBound
    end: FrameBound
    exclusion: FrameExclusion = FrameExclusion.NO_OTHERS


# Where none is written: up to the last of the current row's peers.
DEFAULT_FRAME = WindowFrame(
    FrameUnits.RANGE,
    FrameBound(FrameBoundKind.UNBOUNDED_PRECEDING),
    FrameBound(FrameBoundKind.CURRENT_ROW),
)


class WindowFunction(msgspec.Struct, frozen=True):
    """A window function: one value for each row.

    Attributes:
        func: The window function's name, or an aggregate's kernel.
        args: Columns of the input, or literals. Aggregates take one, as ``AggregateExpr`` does.
        frame: The frame; numbering functions, ``lag`` and ``lead`` pay no regard to it.
        type: The result's type.
        ignore_nulls: Rows whose first argument is NULL are passed over.
        filter: The column that is true for the rows that an aggregate takes.
        order_by: As of ``AggregateExpr``, for aggregates whose answer depends on an order.
    """

    func: str
    args: tuple[ScalarExpr, ...]
    frame: WindowFrame
    type: ColumnType
    ignore_nulls: bool = False
    filter: int | None = None
    order_by: tuple[ColumnOrder, ...] = ()


class Window(msgspec.Struct, frozen=True, tag_field="kind", tag="window"):
    """Each row of the input followed by the values of window functions.

    A partition is the rows with equal columns ``partition``, ordered by ``order``; ties are broken
    by the whole row, so that the answer is definite. Rows equal in ``order`` are peers.
    """

    input: "RelationExpr"
    partition: tuple[int, ...]
    order: tuple[ColumnOrder, ...]
    functions: tuple[WindowFunction, ...]


class Negate(msgspec.Struct, frozen=True, tag_field="kind", tag="negate"):
    """The input with all multiplicities negated."""

    input: "RelationExpr"


class Threshold(msgspec.Struct, frozen=True, tag_field="kind", tag="threshold"):
    """The input's rows of positive multiplicity."""

    input: "RelationExpr"


class Union(msgspec.Struct, frozen=True, tag_field="kind", tag="union"):
    """The sum of the multiplicities of all inputs, which have equal column types."""

    inputs: tuple["RelationExpr", ...]


class ArrangeBy(msgspec.Struct, frozen=True, tag_field="kind", tag="arrange_by"):
    """The input, arranged by each of ``keys``."""

    input: "RelationExpr"
    keys: tuple[tuple[ScalarExpr, ...], ...]


RelationExpr = (
    Constant
    | ConstantError
    | Get
    | Let
    | LetRec
    | Project
    | Map
    | Filter
    | FlatMap
    | Join
    | Reduce
    | TopK
    | Window
    | Negate
    | Threshold
    | Union
    | ArrangeBy
)


class RowSetFinishing(msgspec.Struct, frozen=True):
    """What remains to be done to the rows of an answer: sort, cut, project.

    ``order_by`` and ``project`` count columns of the rows as the plan yields them.
    """

    order_by: tuple[ColumnOrder, ...]
    limit: int | None
    offset: int
    project: tuple[int, ...]
