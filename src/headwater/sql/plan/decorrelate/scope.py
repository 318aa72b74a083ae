"""Levels, the columns a relation takes from outside, and what the walk carries along."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from headwater.errors import StatementTooComplex
from headwater.ir.relation import Get, Let, LocalId, RelationExpr
from headwater.ir.typing import Typer
from headwater.ir.visit import PLAN_DEPTH_MAX, map_tuple, replace
from headwater.sql.plan.hir import (
    ColumnRef,
    Exists,
    HirAggregate,
    HirCall,
    HirConstant,
    HirFilter,
    HirGet,
    HirGetLocal,
    HirIf,
    HirJoin,
    HirLet,
    HirLetRec,
    HirMap,
    HirProject,
    HirReduce,
    HirRelation,
    HirScalar,
    HirTableFunc,
    HirTopK,
    HirUnion,
    ScalarSubquery,
    WindowCall,
)
from headwater.types.relation import RelationDesc

Level = Mapping[int, int]
# For each scope, innermost first: the position of its columns in the collection at hand.
Scope = tuple[Level, ...]
Free = frozenset[tuple[int, int]]  # (level ≥ 1 as seen by the relation, column)

_NOTHING: Free = frozenset()


@dataclass(slots=True)
class Context:
    """What one decorrelation carries: fresh ids, types, CTEs, and the walk over relations.

    ``lower`` is ``relations.lower_relation``; it is here because expressions and relations need
    each other.
    """

    lower: "Callable[[Context, HirRelation, RelationExpr, Scope], RelationExpr]"
    typer: Typer = field(default_factory=Typer)
    ctes: dict[int, Get] = field(default_factory=dict)
    next_id: int = 0
    depth: int = 0
    omit_default: bool = False  # the global aggregate lowered next comes without its default row
    _free: dict[int, tuple[object, Free]] = field(default_factory=dict)

    def fresh(self) -> int:
        """Return a local id that is not in use."""
        self.next_id += 1
        return self.next_id - 1

    def bind(self, value: RelationExpr, body: Callable[[Get], RelationExpr]) -> RelationExpr:
        """Return ``body`` over a local name for ``value``."""
        if isinstance(value, Get):
            return body(value)
        number = self.fresh()
        get = Get(LocalId(number), self.typer.desc(value))
        return Let(number, value, body(get))

    def local(self, identifier: int, number: int, desc: RelationDesc) -> Get:
        """Let CTE ``identifier`` be read from local ``number``. Returns: how."""
        get = Get(LocalId(number), desc)
        self.ctes[identifier] = get
        return get

    def deeper(self) -> None:
        """Count one level of nesting more.

        Raises:
            StatementTooComplex: There are too many.
        """
        self.depth += 1
        if self.depth > PLAN_DEPTH_MAX:
            raise StatementTooComplex(
                "statement nests too deeply", hint="Split the query into views."
            )

    def free(self, relation: HirRelation) -> Free:
        """Return the enclosing scopes' columns that ``relation`` mentions."""
        known = self._free.get(id(relation))
        if known is None:
            known = (relation, frozenset(_free_of(self, relation)))
            self._free[id(relation)] = known
        return known[1]


def free_of_scalar(context: Context, expr: HirScalar) -> set[tuple[int, int]]:
    """Return (level, column) of all columns ``expr`` mentions, subqueries included.

    Level 0 is the relation that ``expr`` is over.
    """
    found: set[tuple[int, int]] = set()
    for node in walk_hir(expr):
        if isinstance(node, ColumnRef):
            found.add((node.level, node.index))
        elif isinstance(node, Exists | ScalarSubquery):
            found |= {(level - 1, index) for level, index in context.free(node.relation)}
    return found


def walk_hir(expr: HirScalar) -> Iterator[HirScalar]:
    """Yield the nodes of ``expr``, not those inside its subqueries."""
    stack: list[HirScalar] = [expr]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(_arguments(node))


def has_subquery(expr: HirScalar) -> bool:
    """Return whether a subquery is part of ``expr``."""
    return any(isinstance(node, Exists | ScalarSubquery) for node in walk_hir(expr))


def has_window(expr: HirScalar) -> bool:
    """Return whether a window function is part of ``expr``."""
    return any(isinstance(node, WindowCall) for node in walk_hir(expr))


def scalars_of_hir(relation: HirRelation) -> tuple[HirScalar, ...]:
    """Return the scalars of the operator ``relation`` itself."""
    match relation:
        case HirMap():
            return relation.scalars
        case HirFilter():
            return relation.predicates
        case HirTableFunc():
            return relation.args
        case HirJoin():
            return (relation.on,)
        case HirReduce():
            return tuple(aggregate.expr for aggregate in relation.aggregates)
        case HirTopK():
            return () if relation.limit is None else (relation.limit,)
        case _:
            return ()


def inputs_of_hir(relation: HirRelation) -> tuple[HirRelation, ...]:
    """Return the direct inputs of ``relation``."""
    match relation:
        case HirConstant() | HirGet() | HirGetLocal() | HirTableFunc():
            return ()
        case HirLet():
            return (relation.value, relation.body)
        case HirLetRec():
            return (*relation.values, relation.body)
        case HirJoin():
            return (relation.left, relation.right)
        case HirUnion():
            return relation.inputs
        case _:
            return (relation.input,)


def arity_of_hir(relation: HirRelation) -> int:
    """Return how many columns ``relation`` has."""
    match relation:
        case HirConstant() | HirGet() | HirGetLocal() | HirTableFunc():
            return relation.desc.arity
        case HirLet() | HirLetRec():
            return arity_of_hir(relation.body)
        case HirProject():
            return len(relation.outputs)
        case HirMap():
            return arity_of_hir(relation.input) + len(relation.scalars)
        case HirJoin():
            return arity_of_hir(relation.left) + arity_of_hir(relation.right)
        case HirReduce():
            return len(relation.group_key) + len(relation.aggregates)
        case HirUnion():
            return arity_of_hir(relation.inputs[0])
        case _:
            return arity_of_hir(relation.input)


def _arguments(node: HirScalar) -> tuple[HirScalar, ...]:
    match node:
        case HirCall():
            return node.args
        case HirIf():
            return (node.cond, node.then, node.els)
        case WindowCall():
            return node.parts
        case _:
            return ()


def _free_of(context: Context, relation: HirRelation) -> set[tuple[int, int]]:
    found = {
        (level, index)
        for scalar in scalars_of_hir(relation)
        for level, index in free_of_scalar(context, scalar)
        if level >= 1
    }
    for child in inputs_of_hir(relation):
        inside = context.free(child)
        if isinstance(relation, HirJoin) and relation.lateral and child is relation.right:
            found |= {(level - 1, index) for level, index in inside if level >= 2}
        else:
            found |= inside
    return found


# Rewriting of HIR: moving a correlated CTE's value to where it is used.


def replace_local(
    relation: HirRelation, number: int, value: HirRelation, depth: int = 0
) -> HirRelation:
    """Put ``value`` wherever CTE ``number`` is read; ``depth`` scopes lie in between."""
    if isinstance(relation, HirGetLocal) and relation.id == number:
        return shift_levels(value, depth)

    def scalar(expr: HirScalar) -> HirScalar:
        return map_subqueries(expr, lambda inner: replace_local(inner, number, value, depth + 1))

    return rebuild(
        relation,
        lambda child, lateral: replace_local(child, number, value, depth + lateral),
        scalar,
    )


def shift_levels(relation: HirRelation, by: int, cutoff: int = 1) -> HirRelation:
    """Return ``relation`` with columns of levels from ``cutoff`` on moved ``by`` scopes out."""
    if by == 0:
        return relation
    return rebuild(
        relation,
        lambda child, lateral: shift_levels(child, by, cutoff + lateral),
        lambda expr: _shift_scalar(expr, by, cutoff),
    )


def _shift_scalar(expr: HirScalar, by: int, cutoff: int) -> HirScalar:
    def visit(node: HirScalar) -> HirScalar:
        if isinstance(node, ColumnRef) and node.level >= cutoff:
            return replace(node, level=node.level + by)
        return node

    return map_subqueries(
        map_hir_scalar(expr, visit), lambda inner: shift_levels(inner, by, cutoff + 1)
    )


def map_hir_scalar(expr: HirScalar, function: Callable[[HirScalar], HirScalar]) -> HirScalar:
    """Apply ``function`` to every node of ``expr``, arguments first; subqueries stay."""

    def walk(node: HirScalar) -> HirScalar:
        match node:
            case HirCall():
                args = map_tuple(node.args, walk)
                if args is not node.args:
                    node = replace(node, args=args)
            case HirIf():
                node = HirIf(walk(node.cond), walk(node.then), walk(node.els))
            case WindowCall():
                node = node.with_parts(map_tuple(node.parts, walk))
            case _:
                pass
        return function(node)

    return walk(expr)


def map_subqueries(expr: HirScalar, function: Callable[[HirRelation], HirRelation]) -> HirScalar:
    """Apply ``function`` to the relations of ``expr``'s subqueries."""

    def visit(node: HirScalar) -> HirScalar:
        if isinstance(node, Exists | ScalarSubquery):
            inner = function(node.relation)
            return node if inner is node.relation else replace(node, relation=inner)
        return node

    return map_hir_scalar(expr, visit)


def rebuild(
    relation: HirRelation,
    child: Callable[[HirRelation, int], HirRelation],
    scalar: Callable[[HirScalar], HirScalar],
) -> HirRelation:
    """Apply ``child`` (told 1 for a lateral right side) and ``scalar`` one level down."""
    match relation:
        case HirConstant() | HirGet() | HirGetLocal():
            return relation
        case HirTableFunc():
            return replace(relation, args=map_tuple(relation.args, scalar))
        case HirLet():
            return replace(relation, value=child(relation.value, 0), body=child(relation.body, 0))
        case HirLetRec():
            return replace(
                relation,
                values=map_tuple(relation.values, lambda value: child(value, 0)),
                body=child(relation.body, 0),
            )
        case HirJoin():
            return replace(
                relation,
                left=child(relation.left, 0),
                right=child(relation.right, int(relation.lateral)),
                on=scalar(relation.on),
            )
        case HirUnion():
            return HirUnion(map_tuple(relation.inputs, lambda member: child(member, 0)))
        case _:
            return _rebuild_unary(relation, child, scalar)


def _rebuild_unary(
    relation: HirRelation,
    child: Callable[[HirRelation, int], HirRelation],
    scalar: Callable[[HirScalar], HirScalar],
) -> HirRelation:
    changed: dict[str, object] = {"input": child(relation.input, 0)}  # type: ignore[union-attr]
    match relation:
        case HirMap():
            changed["scalars"] = map_tuple(relation.scalars, scalar)
        case HirFilter():
            changed["predicates"] = map_tuple(relation.predicates, scalar)
        case HirReduce():

            def aggregate(item: HirAggregate) -> HirAggregate:
                return replace(item, expr=scalar(item.expr))

            changed["aggregates"] = map_tuple(relation.aggregates, aggregate)
        case HirTopK() if relation.limit is not None:
            changed["limit"] = scalar(relation.limit)
        case _:
            pass
    return replace(relation, **changed)
