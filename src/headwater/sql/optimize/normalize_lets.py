"""Bindings in one place: all Lets at the top, in order, each used, and used more than once.

A plan in normal form is a sequence of Let and LetRec around an expression without either; values
of a LetRec are in normal form themselves. Ids are unique, and every ``Get`` of a local carries what
is now known of the columns and keys of its value.
"""

from headwater.ir.linear import extract
from headwater.ir.relation import (
    Constant,
    ConstantError,
    Get,
    Let,
    LetRec,
    LocalId,
    RelationExpr,
)
from headwater.ir.typing import Typer
from headwater.ir.visit import local_gets, map_inputs, replace
from headwater.sql.optimize.context import OptimizerContext
from headwater.types.relation import Column, RelationDesc

Binding = tuple[int, RelationExpr] | LetRec  # a LetRec's body is not looked at


def normalize_lets(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` in normal form; see the module."""
    return _Normalizer(context.typer).run(expr)


def refreshed(desc: RelationDesc, typer: Typer, value: RelationExpr) -> RelationDesc:
    """Return ``desc`` with what is known of ``value``: types and keys; names stay."""
    types = typer.types(value)
    keys = typer.keys(value)
    if desc.keys == keys and all(
        column.nullable == known.nullable and column.type == known.type
        for column, known in zip(desc.columns, types, strict=True)
    ):
        return desc
    return RelationDesc(
        tuple(
            Column(column.name, known.type, known.nullable)
            for column, known in zip(desc.columns, types, strict=True)
        ),
        keys,
    )


class _Normalizer:
    def __init__(self, typer: Typer) -> None:
        self.typer = typer
        self.next_id = 0
        # The new name of each old id and its new description, or the value put in its place.
        self.names: dict[int, RelationExpr] = {}
        self.descs: dict[int, RelationDesc] = {}

    def run(self, expr: RelationExpr) -> RelationExpr:
        bindings: list[Binding] = []
        uses = local_gets(expr)
        body = self.hoist(expr, bindings, uses)
        return _rebuild(_used(bindings, body), body)

    def hoist(
        self, expr: RelationExpr, bindings: list[Binding], uses: dict[int, int]
    ) -> RelationExpr:
        """Return ``expr`` without bindings; they are appended to ``bindings``."""
        match expr:
            case Get(id=LocalId(id=old)):
                return self.names.get(old, expr)
            case Let():
                if uses.get(expr.id, 0) > 0:
                    value = self.hoist(expr.value, bindings, uses)
                    if uses[expr.id] == 1 or _is_cheap(value):
                        self.names[expr.id] = value
                    else:
                        desc = self.typer.desc(value)
                        self.names[expr.id] = Get(LocalId(self.next_id), desc)
                        bindings.append((self.next_id, value))
                        self.next_id += 1
                return self.hoist(expr.body, bindings, uses)
            case LetRec():
                return self._hoist_recursive(expr, bindings, uses)
            case _:
                return map_inputs(expr, lambda child: self.hoist(child, bindings, uses))

    def _hoist_recursive(
        self, expr: LetRec, bindings: list[Binding], uses: dict[int, int]
    ) -> RelationExpr:
        numbers = []
        for old, desc in zip(expr.ids, expr.descs, strict=True):
            self.names[old] = Get(LocalId(self.next_id), desc)
            numbers.append(self.next_id)
            self.next_id += 1
        values = []
        for value in expr.values:
            inside: list[Binding] = []
            result = self.hoist(value, inside, uses)
            values.append(_rebuild(_used(inside, result), result))
        rebuilt = replace(expr, ids=tuple(numbers), values=tuple(values))
        bindings.append(rebuilt)
        return self.hoist(expr.body, bindings, uses)


def _is_cheap(value: RelationExpr) -> bool:
    """Return whether computing ``value`` at each use costs no more than reading it."""
    _, inner = extract(value)
    return isinstance(inner, Get | Constant | ConstantError)


def _used(bindings: list[Binding], body: RelationExpr) -> list[Binding]:
    """Return the bindings that the ``body`` or a later used binding reads."""
    counts = local_gets(body)
    kept: list[Binding] = []
    for binding in reversed(bindings):
        if isinstance(binding, LetRec):
            if not any(number in counts for number in binding.ids):
                continue
            values = binding.values
        else:
            if binding[0] not in counts:
                continue
            values = (binding[1],)
        for value in values:
            for number, count in local_gets(value).items():
                counts[number] = counts.get(number, 0) + count
        kept.append(binding)
    kept.reverse()
    return kept


def _rebuild(bindings: list[Binding], body: RelationExpr) -> RelationExpr:
    for binding in reversed(bindings):
        if isinstance(binding, LetRec):
            body = replace(binding, body=body)
        else:
            body = Let(binding[0], binding[1], body)
    return body
