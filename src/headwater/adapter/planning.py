"""From text to plans: the one place where the adapter calls the SQL stages.

parse → plan → decorrelate → (views put in, moments and parameters filled in) → optimize → lower.
What may take long is recognised by its size beforehand, and leaves the loop (``runtime.aside``).
What the stages may know of the world (views, indexes, collections) is taken from a catalog snapshot
and the controllers here, once for each version of the catalog and cluster.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import TypeVar

from headwater.adapter.append_only import is_append_only
from headwater.adapter.controllers import ComputeController
from headwater.adapter.data_errors import raise_fields
from headwater.catalog.items import (
    BuiltinLog,
    CheckConstraint,
    Index,
    MaterializedView,
    Relation,
    Source,
    Table,
    View,
)
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import (
    ErrorFields,
    FeatureNotSupported,
    NotNullViolation,
    UndefinedParameter,
)
from headwater.ir import kernels
from headwater.ir.dataflow import CollectionImport, IndexImport, LogImport, SourceImport
from headwater.ir.functions import CastContext
from headwater.ir.relation import (
    Constant,
    ConstantError,
    Get,
    Global,
    Join,
    Map,
    Project,
    RelationExpr,
)
from headwater.ir.scalar import (
    Column,
    If,
    Literal,
    LiteralError,
    ScalarExpr,
    UnmaterializableFunc,
)
from headwater.ir.visit import scalars_of, walk, walk_scalar
from headwater.runtime.aside import Aside
from headwater.sql.ast.query import Grouping
from headwater.sql.ast.statement import ParsedStatement
from headwater.sql.ast.visit import walk as walk_statement
from headwater.sql.lower.dataflow import LowerContext
from headwater.sql.lower.substitute import (
    Values,
    substitute_parameters,
    substitute_unmaterializable,
    unmaterializable_of,
    volatile_of,
)
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.inline_views import inline_views
from headwater.sql.optimize.pipeline import Trace, optimize
from headwater.sql.optimize.temporal import now_as_moment
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan.coerce import coerce
from headwater.sql.plan.ddl import CheckPlan
from headwater.sql.plan.decorrelate import decorrelate
from headwater.sql.plan.hir import HirConstant, HirGet, HirMap, HirRelation, HirScalar
from headwater.sql.plan.planning import plan_statement
from headwater.sql.plan.statements import Planned, PlanSession
from headwater.types.ids import ClusterId, GlobalId
from headwater.types.relation import Column as DescColumn
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ColumnType, ScalarType

T = TypeVar("T")

# The kind of sources that requests write to, through the transaction shard.
WEBHOOK = "webhook"


# Sizes from which planning may take more than some 10 ms, and so leaves the loop. A five-way join
# has 50 nodes as a statement and counts as 70 as a plan; a twelve-way join, which is optimized in
# five times its time, has 75 and counts as 223.
TEXT_CHARACTERS_LONG = 4_000
STATEMENT_NODES_LONG = 150
PLAN_NODES_LONG = 100


def is_long_statement(statement: ParsedStatement) -> bool:
    """Return whether planning a statement may take long: it is large, or stands for many."""
    for count, node in enumerate(walk_statement(statement.statement)):
        if count >= STATEMENT_NODES_LONG or isinstance(node, Grouping):
            return True
    return False


def is_long_plan(expr: RelationExpr, world: "World | None" = None) -> bool:
    """Return whether optimizing a plan may take long; with the views of ``world`` put in."""
    count = 0
    for node in walk(expr) if world is None else world.walk(expr):
        count += 1
        for scalar in scalars_of(node):
            for _ in walk_scalar(scalar):
                count += 1
                if count >= PLAN_NODES_LONG:
                    return True
        if isinstance(node, Constant):
            count += len(node.rows)
        elif isinstance(node, Join):
            count += len(node.inputs) ** 2  # orders are compared
        if count >= PLAN_NODES_LONG:
            return True
    return False


class _Views(Mapping[GlobalId, RelationExpr]):
    """The definitions of all views of a snapshot."""

    def __init__(self, snapshot: CatalogSnapshot) -> None:
        self._snapshot = snapshot

    def __getitem__(self, id: GlobalId) -> RelationExpr:
        item = self._snapshot.try_item(id)
        if not isinstance(item, View):
            raise KeyError(id)
        return item.expr

    def __iter__(self) -> Iterator[GlobalId]:
        return (i.id for i in self._snapshot.items.values() if isinstance(i, View))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Collections(Mapping[GlobalId, CollectionImport]):
    """All durable collections of a snapshot, and the logs, as imports."""

    def __init__(self, snapshot: CatalogSnapshot) -> None:
        self._snapshot = snapshot

    def __getitem__(self, id: GlobalId) -> CollectionImport:
        item = self._snapshot.try_item(id)
        if isinstance(item, BuiltinLog):
            return LogImport(id, item.log, item.desc)
        if isinstance(item, Table | Source | MaterializedView) and item.shard is not None:
            return SourceImport(id, item.shard, item.desc, is_txn_table(item))
        raise KeyError(id)

    def __iter__(self) -> Iterator[GlobalId]:
        return (
            i.id
            for i in self._snapshot.items.values()
            if isinstance(i, Table | Source | MaterializedView)
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _AppendOnly(Container[GlobalId]):
    """The collections of a snapshot whose rows are never retracted."""

    def __init__(self, snapshot: CatalogSnapshot) -> None:
        self._snapshot = snapshot

    def __contains__(self, id: object) -> bool:
        item = self._snapshot.try_item(id)  # type: ignore[arg-type]
        return is_append_only(item, self._snapshot)


def _not_null(column: DescColumn, at: int) -> ScalarExpr:
    error = ErrorFields(NotNullViolation.sqlstate, f'column "{column.name}" must not be null')
    fails = LiteralError(error, ColumnType(column.type, nullable=False))
    return If(kernels.is_null(Column(at)), fails, Column(at))


def is_txn_table(item: Relation) -> bool:
    """Return whether a relation's shard commits through the transaction shard."""
    if isinstance(item, Source):
        return item.source_kind == WEBHOOK
    return isinstance(item, Table) and item.source is None


class World:
    """What plans for one cluster may use, as of one version of the catalog."""

    def __init__(
        self,
        snapshot: CatalogSnapshot,
        compute: ComputeController,
        cluster: ClusterId | None,
        *,
        without: frozenset[GlobalId] = frozenset(),
    ) -> None:
        self.snapshot = snapshot
        self.cluster = cluster
        self._views = _Views(snapshot)
        self._collections = _Collections(snapshot)
        self._indexes = {} if cluster is None else _indexes(snapshot, compute, cluster, without)
        self._append_only = _AppendOnly(snapshot)

    def optimizer(self) -> OptimizerContext:
        """Return the context of one optimization."""
        return OptimizerContext(
            views=self._views, indexes=self._indexes, append_only=self._append_only
        )

    def lowering(self) -> LowerContext:
        """Return the context of one lowering."""
        return LowerContext(collections=self._collections, indexes=self._indexes)

    def walk(self, expr: RelationExpr) -> Iterator[RelationExpr]:
        """Yield the nodes of ``expr``, and in place of each view that has no index here its own."""
        for node in walk(expr):
            view = self._view(node)
            if view is None:
                yield node
            else:
                yield from self.walk(view)

    def _view(self, node: RelationExpr) -> RelationExpr | None:
        if not isinstance(node, Get) or not isinstance(node.id, Global):
            return None
        return None if node.id.id in self._indexes else self._views.get(node.id.id)

    def inline(self, expr: RelationExpr) -> RelationExpr:
        """Return ``expr`` with the views that have no index here put in."""
        return inline_views(expr, self.optimizer())


def _indexes(
    snapshot: CatalogSnapshot,
    compute: ComputeController,
    cluster: ClusterId,
    without: frozenset[GlobalId],
) -> dict[GlobalId, tuple[IndexImport, ...]]:
    found: dict[GlobalId, list[IndexImport]] = {}
    for item in snapshot.objects_on(cluster):
        if not isinstance(item, Index) or item.id in without or not compute.has(cluster, item.id):
            continue
        on = snapshot.item(item.on)
        assert isinstance(on, Relation)
        found.setdefault(item.on, []).append(IndexImport(item.id, item.on, item.key, on.desc.arity))
    return {on: tuple(indexes) for on, indexes in found.items()}


class _NoParameters:
    """The parameters of an expression that has none."""

    time_zone: str | None = None

    def settle_parameter(self, number: int, type: ScalarType, position: int) -> ScalarType:
        """Refuse: there is no parameter."""
        del type
        raise UndefinedParameter(f"there is no parameter ${number}", position=position)


class Planner:
    """Calls the stages. Stateless but for a cache of :class:`World` by version and cluster.

    Attributes:
        aside: Where long work goes.
    """

    def __init__(self, compute: ComputeController) -> None:
        self.aside = Aside()
        self._compute = compute
        self._worlds: dict[ClusterId | None, World] = {}

    def parse(self, sql: str) -> tuple[ParsedStatement, ...]:
        """Return the statements of a text. Raises: SyntaxError_."""
        return parse_statements(sql)

    async def parse_aside(self, sql: str) -> tuple[ParsedStatement, ...]:
        """Return the statements of a text; a long one does not hold up the loop."""
        return await self.perhaps_aside(len(sql) >= TEXT_CHARACTERS_LONG, lambda: self.parse(sql))

    async def perhaps_aside(self, is_long: bool, work: Callable[[], T]) -> T:
        """Return what ``work`` returns: at once, or off the loop if it may take long."""
        return await self.aside.run(work) if is_long else work()

    def plan(
        self,
        snapshot: CatalogSnapshot,
        session: PlanSession,
        statement: ParsedStatement,
        param_types: tuple[ScalarType | None, ...] = (),
    ) -> Planned:
        """Plan one statement; positions in errors count from the beginning of its text."""
        return plan_statement(snapshot, session, statement.statement, param_types)

    def world(self, snapshot: CatalogSnapshot, cluster: ClusterId | None) -> World:
        """Return what plans for ``cluster`` may use."""
        world = self._worlds.get(cluster)
        if world is None or world.snapshot is not snapshot:
            world = World(snapshot, self._compute, cluster)
            self._worlds[cluster] = world
        return world

    def forget(self) -> None:
        """Forget the worlds: an index has come or gone without a new version."""
        self._worlds.clear()

    def relation(self, query: HirRelation, params: Sequence[Literal] = ()) -> RelationExpr:
        """Return a query without subqueries, its parameters filled in."""
        expr = decorrelate(query)
        return substitute_parameters(expr, params) if params else expr

    def asserted(
        self, query: HirRelation, desc: RelationDesc, columns: Sequence[int]
    ) -> RelationExpr:
        """Return a query, each of whose rows with a NULL in ``columns`` is an error."""
        expr = self.relation(query)
        if not columns:
            return expr
        checked = tuple(_not_null(desc.columns[at], at) for at in columns)
        made = {at: desc.arity + number for number, at in enumerate(columns)}
        outputs = tuple(made.get(at, at) for at in range(desc.arity))
        return Project(Map(expr, checked), outputs)

    def optimize(
        self, expr: RelationExpr, world: World, trace: Trace | None = None
    ) -> RelationExpr:
        """Return the plan that will run."""
        return optimize(expr, world.optimizer(), trace)

    def maintained(self, expr: RelationExpr, world: World, what: str) -> RelationExpr:
        """Return the optimized plan of something that is kept up to date.

        Raises: FeatureNotSupported where it calls what only a moment or session gives meaning.
        """
        inlined = now_as_moment(world.inline(expr))
        for func in sorted(unmaterializable_of(inlined) - {UnmaterializableFunc.MZ_NOW}):
            names = (
                {func.value}
                if func is not UnmaterializableFunc.EVALUATION
                else volatile_of(inlined)
            )
            raise FeatureNotSupported(f"cannot materialize call to {min(names)}() in {what}")
        return self.optimize(inlined, world)

    def constant(
        self,
        expr: HirScalar,
        params: Sequence[Literal] = (),
        values: Values | None = None,
    ) -> Literal:
        """Return the value of an expression over no columns. Raises: what evaluating it raises."""
        query = HirMap(HirConstant(((b"", 1),), RelationDesc(())), (expr,))
        relation = self.relation(query, params)
        if values:
            relation = substitute_unmaterializable(relation, values)
        folded = optimize(relation, OptimizerContext())
        if isinstance(folded, ConstantError) and isinstance(folded.error, LiteralError):
            raise_fields(folded.error.error)
        if not isinstance(folded, Constant) or len(folded.rows) != 1:
            raise FeatureNotSupported("the expression is not a constant")
        ((row, _),) = folded.rows
        return Literal(row, folded.desc.types[0])

    def coerced(self, expr: HirScalar, target: ScalarType, context: CastContext) -> HirScalar:
        """Return an expression without parameters as a value of ``target``."""
        return coerce(expr, target, context, _NoParameters())

    def scalars(self, on: HirRelation, exprs: tuple[HirScalar, ...]) -> tuple[ScalarExpr, ...]:
        """Return expressions over the columns of ``on`` without subqueries, as an index's key."""
        if not exprs:
            return ()
        relation = decorrelate(HirMap(on, exprs))
        scalars: tuple[ScalarExpr, ...] = ()
        while isinstance(relation, Map):  # one for each expression, the last outermost
            scalars = (*relation.scalars, *scalars)
            relation = relation.input
        if len(scalars) != len(exprs) or not isinstance(relation, Get):
            raise FeatureNotSupported("expressions of an index can't contain subqueries")
        return scalars

    def checks(
        self, id: GlobalId, desc: RelationDesc, checks: Sequence[CheckPlan]
    ) -> tuple[CheckConstraint, ...]:
        """Return the CHECK constraints of a new table."""
        predicates = self.scalars(HirGet(id, desc), tuple(check.predicate for check in checks))
        return tuple(
            CheckConstraint(check.name, predicate, check.sql)
            for check, predicate in zip(checks, predicates, strict=True)
        )


def globals_of(expr: RelationExpr) -> frozenset[GlobalId]:
    """Return the catalog relations that a plan reads."""
    return frozenset(
        node.id.id for node in walk(expr) if isinstance(node, Get) and isinstance(node.id, Global)
    )
