"""One-shot reads: which need no dataflow, and the dataflow for those that do.

Fast paths: the answer is a constant; or the plan is a map, filter, project over one index of the
current cluster, with or without a look-up of keys. Parameters may stand in the look-up's values and
in the chain: the front end fills them in on every execution.
"""

from dataclasses import dataclass

from headwater.errors import ErrorFields, within_stack
from headwater.ir import relation as mir
from headwater.ir.dataflow import IndexExport, IndexImport
from headwater.ir.kernels import mentions_mz_now
from headwater.ir.linear import Linear, extract
from headwater.ir.physical import Mfp
from headwater.ir.relation import Global, RelationExpr, RowSetFinishing
from headwater.ir.scalar import LiteralError, ScalarExpr
from headwater.ir.typing import arity
from headwater.ir.visit import replace, walk_scalar
from headwater.sql.lower.dataflow import LowerContext, LoweredDataflow, build_dataflow
from headwater.sql.lower.lookups import find_lookup
from headwater.sql.lower.mfp import columns_identity, to_mfp
from headwater.types.frontier import Frontier
from headwater.types.ids import GlobalId
from headwater.types.time import TIMESTAMP_MIN


@dataclass(frozen=True, slots=True)
class ConstantPeek:
    """The answer is known: rows with multiplicities, or an error."""

    rows: tuple[tuple[bytes, int], ...]
    error: ErrorFields | None = None


@dataclass(frozen=True, slots=True)
class IndexPeek:
    """The answer is read from one index.

    Attributes:
        index: What is read.
        keys: Only these key values: one tuple of literals or parameters, in the order of the
            index's key, a look-up. None reads everything.
        mfp: Over full rows of the indexed collection; parameters may be in it.
    """

    index: IndexImport
    keys: tuple[tuple[ScalarExpr, ...], ...] | None
    mfp: Mfp

    def key_rows(self) -> tuple[bytes, ...] | None:
        """Return the key rows for ``Peek.keys``; parameters must have been filled in."""
        if self.keys is None:
            return None
        return tuple(
            sorted(
                b"".join(value.data for value in row)  # type: ignore[union-attr]
                for row in self.keys
            )
        )


@dataclass(frozen=True, slots=True)
class DataflowPeek:
    """The answer needs a transient dataflow that exports ``index``, which is then read whole."""

    lowered: LoweredDataflow
    index: IndexExport
    mfp: Mfp


PeekPlan = ConstantPeek | IndexPeek | DataflowPeek


@within_stack()
def fast_path(expr: RelationExpr, context: LowerContext) -> ConstantPeek | IndexPeek | None:
    """Return how to answer ``expr`` (optimized) without a dataflow; None if it needs one."""
    linear, inner = extract(expr)
    while isinstance(inner, mir.ArrangeBy):
        below, inner = extract(inner.input)
        linear = below.then(linear)
    match inner:
        case mir.Constant() if linear.is_identity:
            return ConstantPeek(inner.rows)
        case mir.ConstantError():
            error = inner.error
            return ConstantPeek((), error.error if isinstance(error, LiteralError) else None)
        case mir.Get(id=Global(id=name)):
            if _mentions_now(linear):
                return None
            # A plan may be older than the last columns of a table.
            width = inner.desc.arity
            indexes = tuple(i for i in context.indexes.get(name, ()) if i.arity == width)
            return _index_peek(linear.simplified(), indexes) if indexes else None
        case _:
            return None


def _mentions_now(linear: Linear) -> bool:
    return any(map(mentions_mz_now, (*linear.predicates, *linear.expressions)))


def _index_peek(linear: Linear, indexes: tuple[IndexImport, ...]) -> IndexPeek:
    lookup = find_lookup(linear, tuple(index.key for index in indexes))
    if lookup is None:
        return IndexPeek(indexes[0], None, to_mfp(linear))
    chosen = next(index for index in indexes if index.key == lookup.key)
    return IndexPeek(chosen, lookup.rows, to_mfp(lookup.rest))


def plan_peek(
    expr: RelationExpr,
    context: LowerContext,
    *,
    object_id: GlobalId,
    index_id: GlobalId,
    name: str = "Dataflow: oneshot-select",
    as_of: Frontier = TIMESTAMP_MIN,
    until: Frontier = None,
    by_dataflow: bool = False,
    single_time: bool = True,
) -> PeekPlan:
    """Return how to answer ``expr`` (optimized, unmaterializable calls filled in) once.

    Args:
        expr: The plan.
        context: Indexes of the current cluster, and durable collections.
        object_id: Transient id for the dataflow's object, where one is needed.
        index_id: Transient id for its index.
        name: The dataflow's name.
        as_of: The time of the read; sequencing may replace it in the description later.
        until: The time after it, where known.
        by_dataflow: Whether to use a dataflow even where none is needed.
        single_time: Whether a dataflow is read at ``as_of`` alone; not where it stands for one
            that is kept.
    """
    fast = None if by_dataflow else fast_path(expr, context)
    if fast is not None:
        return fast
    width = arity(expr)
    export = IndexExport(index_id, object_id, columns_identity(width), width)
    lowered = build_dataflow(
        name,
        [(object_id, expr)],
        context,
        index_exports=(export,),
        as_of=as_of,
        until=until,
        single_time=single_time,
    )
    return DataflowPeek(lowered, export, Mfp.identity(width))


def project_for_finishing(
    expr: RelationExpr, finishing: RowSetFinishing
) -> tuple[RelationExpr, RowSetFinishing]:
    """Return ``expr`` cut to the columns that ``finishing`` reads, and it over those.

    To be called before optimizing a one-shot read: what is not read is then not computed.
    """
    columns = list(dict.fromkeys((*finishing.project, *(k.column for k in finishing.order_by))))
    place = {column: number for number, column in enumerate(columns)}
    if len(columns) == arity(expr) and columns == sorted(columns):
        return expr, finishing
    return mir.Project(expr, tuple(columns)), RowSetFinishing(
        tuple(replace(key, column=place[key.column]) for key in finishing.order_by),
        finishing.limit,
        finishing.offset,
        tuple(place[column] for column in finishing.project),
    )


def parameters_of(peek: IndexPeek) -> frozenset[int]:
    """Return the numbers of the parameters that ``peek`` still holds."""
    exprs: list[ScalarExpr] = [value for row in peek.keys or () for value in row]
    exprs.extend(peek.mfp.expressions)
    exprs.extend(item.expr for item in peek.mfp.predicates)
    return frozenset(
        node.number for expr in exprs for node in walk_scalar(expr) if hasattr(node, "number")
    )
