"""The physical plan: what a dataflow renders, operator by operator.

Mirrored by ``hw_compute::plan``. Rows are whole rows (concatenated datums); an *arrangement* of an
input of ``arity`` columns by ``key`` holds as key the datums of ``key``, and as value the datums of
the input's columns that are not plain ``Column`` members of the key, in column order (thinning).
Reading an arrangement restores the input's full row in column order.

Wherever a node reads an arrangement, lowering has made sure that it exists: it comes from an
``ArrangeBy``, an index import, or a ``Reduce``/``TopK``/``Threshold`` below that leaves one.
"""

import msgspec

from headwater.errors import ErrorFields
from headwater.ir.relation import LetRecLimit, RelationId, WindowFunction
from headwater.ir.scalar import AggregateExpr, ColumnOrder, ScalarExpr
from headwater.types.scalar import ColumnType

ArrangementKey = tuple[ScalarExpr, ...]


class Predicate(msgspec.Struct, frozen=True):
    """A condition, evaluated as soon as the first ``support`` columns are there."""

    support: int
    expr: ScalarExpr


class Mfp(msgspec.Struct, frozen=True):
    """Map, filter, project, fused; and temporal bounds.

    Columns 0 … input_arity-1 are the input's; column input_arity + i is ``expressions[i]``, which
    may refer to the columns before it. ``predicates`` are sorted by support. Output: the columns
    ``projection``. A row that errs goes to the error half. ``lower_bounds`` and ``upper_bounds``
    are expressions of type mz_timestamp (or NULL: the row never holds): the row is present at
    times t with ``max(lower_bounds) <= t < min(upper_bounds)``.
    """

    input_arity: int
    expressions: tuple[ScalarExpr, ...] = ()
    predicates: tuple[Predicate, ...] = ()
    projection: tuple[int, ...] = ()
    lower_bounds: tuple[ScalarExpr, ...] = ()
    upper_bounds: tuple[ScalarExpr, ...] = ()

    @staticmethod
    def identity(arity: int) -> "Mfp":
        """Return the plan that changes nothing."""
        return Mfp(arity, projection=tuple(range(arity)))

    @property
    def is_identity(self) -> bool:
        """Return whether rows pass unchanged."""
        return self == Mfp.identity(self.input_arity)

    @property
    def is_temporal(self) -> bool:
        """Return whether rows come and go with time alone."""
        return bool(self.lower_bounds or self.upper_bounds)


class Constant(msgspec.Struct, frozen=True, tag_field="kind", tag="constant"):
    """Rows present from the dataflow's as_of on, or an error."""

    rows: tuple[tuple[bytes, int], ...]
    arity: int
    error: ErrorFields | None = None


class Get(msgspec.Struct, frozen=True, tag_field="kind", tag="get"):
    """An imported or bound collection.

    Attributes:
        id: What is read.
        arity: Its columns.
        key: The arrangement to read from, None for the raw stream. A bundle passed whole to a Join
            or ArrangeBy (``mfp`` the identity, ``pass_through`` set) keeps all its arrangements.
        lookups: With ``key``: only these key values (each one row of key datums).
        mfp: Applied to the full rows read.
    """

    id: RelationId
    arity: int
    mfp: Mfp
    key: ArrangementKey | None = None
    lookups: tuple[bytes, ...] | None = None
    pass_through: bool = False


class Let(msgspec.Struct, frozen=True, tag_field="kind", tag="let"):
    """``value`` bound to local ``id`` within ``body``, with all its arrangements."""

    id: int
    value: "Plan"
    body: "Plan"


class LetRec(msgspec.Struct, frozen=True, tag_field="kind", tag="let_rec"):
    """Mutually recursive bindings in a nested scope; see ``ir.relation.LetRec``."""

    ids: tuple[int, ...]
    values: tuple["Plan", ...]
    limits: tuple[LetRecLimit | None, ...]
    arities: tuple[int, ...]
    body: "Plan"


class MfpNode(msgspec.Struct, frozen=True, tag_field="kind", tag="mfp"):
    """``mfp`` applied to the input, read from arrangement ``key`` or the raw stream."""

    input: "Plan"
    mfp: Mfp
    key: ArrangementKey | None = None
    lookups: tuple[bytes, ...] | None = None


class FlatMap(msgspec.Struct, frozen=True, tag_field="kind", tag="flat_map"):
    """Each input row followed by each row of table function ``func(exprs)``, then ``mfp``."""

    input: "Plan"
    func: str
    exprs: tuple[ScalarExpr, ...]
    columns: tuple[ColumnType, ...]
    mfp: Mfp
    key: ArrangementKey | None = None


class JoinStage(msgspec.Struct, frozen=True):
    """One binary step of a join.

    Attributes:
        lookup: Which input is looked up.
        stream_key: Key expressions over the row so far.
        lookup_key: The arrangement of the input that is looked up.
        lookup_arity: The input's columns.
        closure: Over the row so far followed by the input's full row.
    """

    lookup: int
    stream_key: tuple[ScalarExpr, ...]
    lookup_key: ArrangementKey
    lookup_arity: int
    closure: Mfp


class JoinPath(msgspec.Struct, frozen=True):
    """A source input, and the look-ups that complete its rows.

    ``source_key`` is the arrangement the source is read from: for LINEAR None means the raw
    stream (arranged for the first stage as needed; if it equals the first stage's ``stream_key``
    the arrangement itself is joined); for DELTA it is required.
    """

    source: int
    source_arity: int
    source_key: ArrangementKey | None
    initial: Mfp
    stages: tuple[JoinStage, ...]


class LinearJoin(msgspec.Struct, frozen=True, tag_field="kind", tag="linear_join"):
    """Binary joins one after the other, each intermediate result arranged."""

    inputs: tuple["Plan", ...]
    path: JoinPath


class DeltaJoin(msgspec.Struct, frozen=True, tag_field="kind", tag="delta_join"):
    """One path an input, over arrangements only; their results are added."""

    inputs: tuple["Plan", ...]
    paths: tuple[JoinPath, ...]


# A stage of a hierarchical reduction divides each group into this many times fewer buckets.
BUCKET_FANOUT = 16


class ReducePlan(msgspec.Struct, frozen=True):
    """Which aggregates are computed how, by index into ``Reduce.aggregates``.

    Every index is in exactly one list; all empty is DISTINCT.

    Attributes:
        buckets: The stages of hierarchical ones: falling powers of two; empty when groups are
            small, and when they only grow.
        monotonic: Whether rows are only ever added. Then hierarchical ones keep the best value of
            a group, and nothing else of it.
        must_consolidate: Whether that is so only once the changes of a time are added up.
    """

    accumulable: tuple[int, ...] = ()
    hierarchical: tuple[int, ...] = ()
    basic: tuple[int, ...] = ()
    buckets: tuple[int, ...] = ()
    monotonic: bool = False
    must_consolidate: bool = False


class Reduce(msgspec.Struct, frozen=True, tag_field="kind", tag="reduce"):
    """Rows of key values, then aggregates in order; then ``mfp_after``.

    ``key`` and the aggregates' arguments are over the input's rows. Leaves an arrangement by all
    key columns if ``mfp_after`` is the identity.
    """

    input: "Plan"
    input_arity: int
    key: tuple[ScalarExpr, ...]
    aggregates: tuple[AggregateExpr, ...]
    plan: ReducePlan
    mfp_after: Mfp
    input_key: ArrangementKey | None = None


class TopK(msgspec.Struct, frozen=True, tag_field="kind", tag="top_k"):
    """See ``ir.relation.TopK``; the last three as in :class:`ReducePlan`.

    If ``monotonic`` the limit is a literal: so many rows of a group are kept, and no others.
    """

    input: "Plan"
    arity: int
    group_key: tuple[int, ...]
    order_key: tuple[ColumnOrder, ...]
    limit: ScalarExpr | None
    offset: int
    monotonic: bool
    must_consolidate: bool
    buckets: tuple[int, ...]


class Window(msgspec.Struct, frozen=True, tag_field="kind", tag="window"):
    """See ``ir.relation.Window``."""

    input: "Plan"
    arity: int
    partition: tuple[int, ...]
    order: tuple[ColumnOrder, ...]
    functions: tuple[WindowFunction, ...]


class Negate(msgspec.Struct, frozen=True, tag_field="kind", tag="negate"):
    """The input with all multiplicities negated."""

    input: "Plan"


class Threshold(msgspec.Struct, frozen=True, tag_field="kind", tag="threshold"):
    """Rows of positive multiplicity; leaves an arrangement by all columns."""

    input: "Plan"
    arity: int


class Union(msgspec.Struct, frozen=True, tag_field="kind", tag="union"):
    """All inputs added; consolidated if ``consolidate``."""

    inputs: tuple["Plan", ...]
    consolidate: bool = False


class ArrangeBy(msgspec.Struct, frozen=True, tag_field="kind", tag="arrange_by"):
    """The input with arrangements by ``keys`` added to those it has; the raw stream stays."""

    input: "Plan"
    arity: int
    keys: tuple[ArrangementKey, ...]


Plan = (
    Constant
    | Get
    | Let
    | LetRec
    | MfpNode
    | FlatMap
    | LinearJoin
    | DeltaJoin
    | Reduce
    | TopK
    | Window
    | Negate
    | Threshold
    | Union
    | ArrangeBy
)
