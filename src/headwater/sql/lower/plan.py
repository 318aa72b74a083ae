"""The relational plan as operators that a dataflow renders.

The walk returns each plan with what it offers: the raw stream of its rows, and arrangements. Every
arrangement that a node reads is offered by its input; where none is, an ``ArrangeBy`` makes it.
Chains of map, filter and project are fused into the operator below or into the read above.
"""

from collections.abc import Mapping

import msgspec

from headwater.errors import InternalError, invariant
from headwater.ir import physical as lir
from headwater.ir import relation as mir
from headwater.ir.dataflow import IndexImport
from headwater.ir.kernels import with_expr
from headwater.ir.linear import Linear, extract, subtracts
from headwater.ir.physical import ArrangementKey, Mfp, Plan
from headwater.ir.relation import Global, JoinKind, LocalId, RelationExpr
from headwater.ir.scalar import LiteralError
from headwater.ir.typing import Typer, arity
from headwater.ir.visit import columns_of_all, remap, replace
from headwater.sql.lower.joins import PathBuilder
from headwater.sql.lower.lookups import find_lookup
from headwater.sql.lower.mfp import columns_identity, split_temporal, to_mfp
from headwater.sql.lower.reduce import Growth, reduce_plan, top_k_plan
from headwater.types.ids import GlobalId


class Available(msgspec.Struct, frozen=True):
    """What can be read of a plan: its raw stream, and arrangements by ``keys``."""

    raw: bool
    keys: tuple[ArrangementKey, ...] = ()

    @property
    def read_key(self) -> ArrangementKey | None:
        """Return the arrangement to read all rows from; None for the raw stream."""
        return None if self.raw else self.keys[0]


RAW = Available(raw=True)


class Lowered(msgspec.Struct, frozen=True):
    """A plan and what it offers."""

    plan: Plan
    available: Available


class IndexUse(msgspec.Struct, frozen=True):
    """An index that a plan reads, and how."""

    index: IndexImport
    usage: str  # the words of EXPLAIN: ``*** full scan ***``, ``lookup``, …


class Lowering:
    """Lowers the objects of one dataflow; gathers what they import.

    Attributes:
        single_time: Whether the dataflow is read at its first time alone.
        sources: Global ids that are read as raw streams.
        index_uses: Indexes that are read, in the order they were met.
    """

    def __init__(
        self,
        indexes: Mapping[GlobalId, tuple[IndexImport, ...]] | None = None,
        typer: Typer | None = None,
        *,
        single_time: bool = False,
    ) -> None:
        self.single_time = single_time
        self._in_recursion = False  # where rows come and go from round to round
        self.indexes = indexes or {}
        self.typer = typer or Typer()
        self.locals: dict[int, Available] = {}
        self.globals: dict[GlobalId, Available] = {}  # objects built earlier in this dataflow
        self.sources: dict[GlobalId, int] = {}  # id -> arity
        self.index_uses: dict[tuple[GlobalId, str], IndexUse] = {}

    def lower(  # noqa: C901, PLR0911, PLR0912 -- one case an operator
        self, expr: RelationExpr
    ) -> Lowered:
        """Return the physical plan of ``expr``, which the optimizer has finished.

        Raises:
            FeatureNotSupported: ``mz_now()`` stands where it may not.
        """
        linear, inner = extract(expr)
        match inner:
            case mir.Constant():
                plan = lir.Constant(inner.rows, inner.desc.arity)
                return self._after(Lowered(plan, RAW), linear)
            case mir.ConstantError():
                invariant(isinstance(inner.error, LiteralError), "constant error without an error")
                error = inner.error.error  # type: ignore[union-attr]
                return Lowered(lir.Constant((), arity(expr), error), RAW)
            case mir.Get():
                return self._get(inner, linear)
            case mir.Let():
                value = self.lower(inner.value)
                self.locals[inner.id] = value.available
                body = self.lower(linear.to_relation(inner.body))
                return Lowered(lir.Let(inner.id, value.plan, body.plan), body.available)
            case mir.LetRec():
                return self._let_rec(inner, linear)
            case mir.Map():
                return self._draw(inner, linear)
            case mir.FlatMap():
                return self._flat_map(inner, linear)
            case mir.Join():
                return self._join(inner, linear)
            case mir.Reduce():
                return self._reduce(inner, linear)
            case mir.TopK():
                return self._after(self._top_k(inner), linear)
            case mir.Window():
                return self._after(self._window(inner), linear)
            case mir.Negate():
                return self._negate(inner, linear)
            case mir.Threshold():
                width = arity(inner)
                threshold = lir.Threshold(self.raw(inner.input), width)
                offered = Available(raw=False, keys=(columns_identity(width),))
                return self._after(Lowered(threshold, offered), linear)
            case mir.Union():
                return self._union(inner, linear)
            case mir.ArrangeBy():
                if not linear.is_identity:
                    return self.lower(linear.to_relation(inner.input))
                return self.arranged(self.lower(inner.input), inner.keys, arity(inner))
            case _:
                raise InternalError("operator is not lowered", detail=repr(type(inner)))

    def raw(self, expr: RelationExpr) -> Plan:
        """Return the plan of ``expr`` as one that offers the raw stream."""
        return self.as_raw(self.lower(expr), arity(expr))

    def as_raw(self, lowered: Lowered, width: int) -> Plan:
        """Return a plan that offers the raw stream."""
        plan, available = lowered.plan, lowered.available
        if isinstance(plan, lir.Get) and plan.pass_through:
            self._scan(plan, available.read_key)
            return lir.Get(plan.id, plan.arity, plan.mfp, available.read_key)
        if available.raw:
            return plan
        return lir.MfpNode(plan, Mfp.identity(width), available.read_key)

    def arranged(self, lowered: Lowered, keys: tuple[ArrangementKey, ...], width: int) -> Lowered:
        """Return a plan that also offers arrangements by ``keys``."""
        missing = tuple(dict.fromkeys(key for key in keys if key not in lowered.available.keys))
        if not missing:
            return lowered
        plan, available = lowered.plan, lowered.available
        if isinstance(plan, lir.Get) and plan.pass_through and not available.raw:
            if not any(key in keys for key in available.keys):
                plan, available = self.as_raw(lowered, width), RAW
            else:
                self._scan(plan, available.read_key)
        offered = Available(available.raw, (*available.keys, *missing))
        return Lowered(lir.ArrangeBy(plan, width, missing), offered)

    def _after(self, lowered: Lowered, linear: Linear) -> Lowered:
        """Return ``lowered`` followed by ``linear`` in a node of its own."""
        if linear.is_identity:
            return lowered
        return Lowered(lir.MfpNode(lowered.plan, to_mfp(linear), lowered.available.read_key), RAW)

    def _then_temporal(self, lowered: Lowered, temporal: Linear | None) -> Lowered:
        return lowered if temporal is None else self._after(lowered, temporal)

    # Reads.

    def _get(self, get: mir.Get, linear: Linear) -> Lowered:
        width = get.desc.arity
        available = self._offered(get)
        if linear.is_identity:
            plan = lir.Get(get.id, width, Mfp.identity(width), pass_through=True)
            return Lowered(plan, available)
        lookup = find_lookup(linear.simplified(), available.keys)
        if lookup is not None and not lookup.has_parameters:
            self._use(get.id, lookup.key, "lookup")
            plan = lir.Get(
                get.id, width, to_mfp(lookup.rest), lookup.key, tuple(sorted(lookup.encoded()))
            )
            return Lowered(plan, RAW)
        key = available.read_key
        self._use(get.id, key, "*** full scan ***")
        return Lowered(lir.Get(get.id, width, to_mfp(linear), key), RAW)

    def _offered(self, get: mir.Get) -> Available:
        if isinstance(get.id, LocalId):
            return self.locals[get.id.id]
        built = self.globals.get(get.id.id)
        if built is not None:
            return built
        indexes = self.indexes.get(get.id.id, ())
        if indexes:
            return Available(raw=False, keys=tuple(index.key for index in indexes))
        self.sources[get.id.id] = get.desc.arity
        return RAW

    def _use(self, id: mir.RelationId, key: ArrangementKey | None, usage: str) -> None:
        if not isinstance(id, Global) or key is None:
            return
        for index in self.indexes.get(id.id, ()):
            if index.key == key:
                self.index_uses.setdefault((index.id, usage), IndexUse(index, usage))
                return

    def _scan(self, plan: lir.Get, key: ArrangementKey | None) -> None:
        self._use(plan.id, key, "*** full scan ***")

    def _let_rec(self, node: mir.LetRec, linear: Linear) -> Lowered:
        for number in node.ids:
            self.locals[number] = RAW
        values = []
        outside, self._in_recursion = self._in_recursion, True
        for number, value in zip(node.ids, node.values, strict=True):
            values.append(self.raw(value))
            self.locals[number] = RAW
        self._in_recursion = outside
        body = self.lower(linear.to_relation(node.body))
        plan = lir.LetRec(
            node.ids,
            tuple(values),
            node.limits,
            tuple(desc.arity for desc in node.descs),
            body.plan,
        )
        return Lowered(plan, body.available)

    # Operators.

    def _draw(self, node: mir.Map, linear: Linear) -> Lowered:
        """Lower a map of volatile calls, over rows as they are and not as ``linear`` wants them."""
        drawn = Linear.identity(arity(node.input)).then_map(node.scalars).then(linear)
        return self._after(Lowered(self.raw(node.input), RAW), drawn)

    def _negate(self, node: mir.Negate, linear: Linear) -> Lowered:
        if linear.may_fail:
            return self._after(Lowered(lir.Negate(self.raw(node.input)), RAW), linear)
        return Lowered(lir.Negate(self.raw(linear.to_relation(node.input))), RAW)

    def _union(self, node: mir.Union, linear: Linear) -> Lowered:
        """Lower a union, ``linear`` in its members unless rows that cancel might fail there."""
        above = None
        if linear.may_fail and subtracts(node):
            linear, above = Linear.identity(arity(node)), linear
        inputs = tuple(self.raw(linear.to_relation(member)) for member in node.inputs)
        consolidate = any(isinstance(item, lir.Negate) for item in inputs)
        union = Lowered(lir.Union(inputs, consolidate), RAW)
        return union if above is None else self._after(union, above)

    def _flat_map(self, node: mir.FlatMap, linear: Linear) -> Lowered:
        linear, temporal = split_temporal(linear)
        below = self.lower(node.input)
        key = below.available.read_key
        source = below.plan
        if isinstance(source, lir.Get) and source.pass_through:
            source, key = self.as_raw(below, arity(node.input)), None
        plan = lir.FlatMap(source, node.func, node.exprs, node.columns, to_mfp(linear), key)
        return self._then_temporal(Lowered(plan, RAW), temporal)

    def _reduce(self, node: mir.Reduce, linear: Linear) -> Lowered:
        linear, temporal = split_temporal(linear)
        node = _narrowed(node)
        width = arity(node.input)
        below = self.lower(node.input)
        key = below.available.read_key
        source = below.plan
        if isinstance(source, lir.Get) and source.pass_through:
            source, key = self.as_raw(below, width), None
        after = to_mfp(linear)
        plan = lir.Reduce(
            source,
            width,
            node.group_key,
            node.aggregates,
            reduce_plan(node, self._growth(node)),
            after,
            key,
        )
        offered = RAW
        if after.is_identity:
            offered = Available(raw=False, keys=(columns_identity(len(node.group_key)),))
        return self._then_temporal(Lowered(plan, offered), temporal)

    def _top_k(self, node: mir.TopK) -> Lowered:
        return Lowered(top_k_plan(node, self.raw(node.input), self._growth(node)), RAW)

    def _growth(self, node: mir.Reduce | mir.TopK) -> Growth:
        """Return what is known of the rows below: of one time alone, none is taken away."""
        if node.monotonic:
            return Growth.ALWAYS
        at_once = self.single_time and not self._in_recursion
        return Growth.ONCE_CONSOLIDATED if at_once else Growth.UNKNOWN

    def _window(self, node: mir.Window) -> Lowered:
        below = self.raw(node.input)
        plan = lir.Window(below, arity(node.input), node.partition, node.order, node.functions)
        return Lowered(plan, RAW)

    # Joins.

    def _join(self, node: mir.Join, linear: Linear) -> Lowered:
        linear, temporal = split_temporal(linear.simplified())
        widths = [arity(member) for member in node.inputs]
        types = tuple(column for member in node.inputs for column in self.typer.types(member))
        implementation = node.implementation
        if implementation.kind is JoinKind.UNIMPLEMENTED:
            raise InternalError("join has no implementation")
        needed: dict[int, list[ArrangementKey]] = {}
        for order in implementation.orders:
            for step in order[1:]:
                needed.setdefault(step.input, []).append(step.key)
            if order[0].key or implementation.kind is JoinKind.DELTA:
                needed.setdefault(order[0].input, []).append(order[0].key)
        inputs = [
            self._join_input(member, tuple(needed.get(number, ())), widths[number])
            for number, member in enumerate(node.inputs)
        ]
        self._note_join(node)
        plans = tuple(item.plan for item in inputs)
        plan: Plan
        if implementation.kind is JoinKind.DELTA:
            paths = tuple(
                PathBuilder(node, widths, types, linear).build(
                    order, order[0].key, joined_as_is=False
                )
                for order in implementation.orders
            )
            plan = lir.DeltaJoin(plans, paths)
        else:
            order = implementation.orders[0]
            first = order[0]
            if first.key:
                path = PathBuilder(node, widths, types, linear).build(
                    order, first.key, joined_as_is=True
                )
            else:
                source_key = inputs[first.input].available.read_key
                path = PathBuilder(node, widths, types, linear).build(
                    order, source_key, joined_as_is=False
                )
            plan = lir.LinearJoin(plans, path)
        return self._then_temporal(Lowered(plan, RAW), temporal)

    def _join_input(
        self, member: RelationExpr, keys: tuple[ArrangementKey, ...], width: int
    ) -> Lowered:
        lowered = self.arranged(self.lower(member), keys, width)
        if not keys:
            return Lowered(self.as_raw(lowered, width), RAW)
        return lowered

    def _note_join(self, node: mir.Join) -> None:
        """Record the indexes that the join reads, in EXPLAIN's words."""
        kind = node.implementation.kind
        for order in node.implementation.orders:
            for number, step in enumerate(order):
                target = node.inputs[step.input]
                while isinstance(target, mir.ArrangeBy):
                    target = target.input
                if not isinstance(target, mir.Get):
                    continue
                if kind is JoinKind.LINEAR:
                    usage = "differential join"
                elif number == 0:
                    usage = "delta join 1st input (full scan)"
                else:
                    usage = "delta join lookup"
                self._use(target.id, step.key or None, usage)


def _narrowed(node: mir.Reduce) -> mir.Reduce:
    """Return ``node`` over only those columns of its input that it reads."""
    exprs = (*node.group_key, *(item.expr for item in node.aggregates))
    needed = sorted(columns_of_all(exprs))
    if len(needed) == arity(node.input):
        return node
    place = {column: number for number, column in enumerate(needed)}
    return replace(
        node,
        input=mir.Project(node.input, tuple(needed)),
        group_key=tuple(remap(item, place) for item in node.group_key),
        aggregates=tuple(with_expr(item, remap(item.expr, place)) for item in node.aggregates),
    )
