"""Common subexpressions are computed once.

Plans are trees; equal subtrees are found by numbering them bottom-up, equal shape and equal inputs
giving equal numbers. Those that are used twice and cost something are bound by a Let.
"""

from headwater.ir.linear import extract
from headwater.ir.relation import (
    ArrangeBy,
    Constant,
    ConstantError,
    Get,
    Global,
    Let,
    LetRec,
    LocalId,
    RelationExpr,
)
from headwater.ir.visit import inputs_of, map_inputs, next_local_id, replace
from headwater.sql.optimize.context import OptimizerContext
from headwater.types.relation import RelationDesc

_PLACE = RelationDesc(())


def relation_cse(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr``, whose Lets are all at the top, with repeated work bound once."""
    if _is_chain(expr):
        return expr  # where nothing can occur twice
    return _Numbering(context, next_local_id(expr)).run(expr)


def _is_chain(expr: RelationExpr) -> bool:
    """Return whether no operator of ``expr`` has several inputs."""
    inputs = inputs_of(expr)
    while len(inputs) == 1:
        inputs = inputs_of(inputs[0])
    return not inputs


class _Numbering:
    def __init__(self, context: OptimizerContext, first_id: int) -> None:
        self.context = context
        self.typer = context.typer
        self.next_id = first_id
        self.numbers: dict[RelationExpr, int] = {}
        self.nodes: list[RelationExpr] = []  # by number: the operator over its inputs' numbers
        self.originals: list[RelationExpr] = []
        self.uses: list[int] = []
        self.locals: dict[int, int] = {}  # Let's id -> number of its value

    def run(self, expr: RelationExpr) -> RelationExpr:
        pending: list[tuple[LetRec, int]] = []
        while isinstance(expr, Let | LetRec):
            if isinstance(expr, Let):
                self.locals[expr.id] = self.number(expr.value)
            else:
                pending.append((expr, len(self.nodes)))
            expr = expr.body
        root = self.number(expr)
        return self._rebuild(root, pending)

    def number(self, expr: RelationExpr) -> int:
        """Return the number of ``expr``, giving a new one to what was not seen before."""
        if isinstance(expr, Get) and isinstance(expr.id, LocalId):
            known = self.locals.get(expr.id.id)
            if known is not None:
                return known
        if isinstance(expr, Let | LetRec):
            key: RelationExpr = expr
            children: list[int] = []
        else:
            children = [self.number(child) for child in inputs_of(expr)]
            remaining = iter(children)
            key = map_inputs(expr, lambda _child: Get(LocalId(-1 - next(remaining)), _PLACE))
        number = self.numbers.get(key)
        if number is None:
            number = len(self.nodes)
            self.numbers[key] = number
            self.nodes.append(key)
            self.originals.append(expr)
            self.uses.append(0)
            for child in children:
                self.uses[child] += 1
        return number

    def _rebuild(self, root: int, recursive: list[tuple[LetRec, int]]) -> RelationExpr:
        """Write the plan out again; bind numbers used more than once, in order."""
        needed = self._reachable(root)
        # A LetRec's own values see the bindings before it: those must be bound by name.
        forced = {
            self.locals[number]
            for node, _ in recursive
            for value in node.values
            for number in _outside_locals(value)
            if number in self.locals
        }
        needed |= {number for target in forced for number in self._reachable(target)}
        built: dict[int, RelationExpr] = {}
        bindings: list[tuple[int, int, RelationExpr]] = []  # number, local id, value
        for number in sorted(needed):
            expr = self._restore(number, built)
            if number in forced or (self.uses[number] > 1 and not self._is_cheap(expr)):
                bindings.append((number, self.next_id, expr))
                built[number] = Get(LocalId(self.next_id), self.typer.desc(expr))
                self.next_id += 1
            else:
                built[number] = expr
        return self._wrap(built, bindings, recursive, root)

    def _is_cheap(self, expr: RelationExpr) -> bool:
        """Return whether ``expr`` costs nothing to have twice: reads, and existing arrangements."""
        if isinstance(expr, ArrangeBy):
            source = expr.input
            if not isinstance(source, Get) or not isinstance(source.id, Global):
                return False
            held = {index.key for index in self.context.indexes.get(source.id.id, ())}
            return held.issuperset(expr.keys)
        _, inner = extract(expr)
        return isinstance(inner, Get | Constant | ConstantError)

    def _restore(self, number: int, built: dict[int, RelationExpr]) -> RelationExpr:
        node = self.nodes[number]
        if isinstance(node, Let | LetRec):
            return node
        children = [built[child] for child in _numbered(node)]
        remaining = iter(children)
        expr = map_inputs(node, lambda _child: next(remaining))
        original = self.originals[number]
        return original if expr == original else expr

    def _wrap(
        self,
        built: dict[int, RelationExpr],
        bindings: list[tuple[int, int, RelationExpr]],
        recursive: list[tuple[LetRec, int]],
        root: int,
    ) -> RelationExpr:
        renamed = {old: built[number] for old, number in self.locals.items() if number in built}
        layers: list[tuple[int, int, RelationExpr | LetRec]] = [
            (number, identifier, value) for number, identifier, value in bindings
        ]
        for node, position in recursive:
            values = tuple(
                relation_cse_within(_rename(value, renamed), self) for value in node.values
            )
            layers.append((position, -1, replace(node, values=values)))
        # A LetRec stands before the first number made after it.
        layers.sort(key=lambda layer: (layer[0], layer[1] >= 0))
        result = built[root]
        for _, identifier, value in reversed(layers):
            if isinstance(value, LetRec) and identifier == -1:
                result = replace(value, body=result)
            else:
                result = Let(identifier, value, result)
        return result

    def _reachable(self, root: int) -> set[int]:
        found: set[int] = set()
        stack = [root]
        while stack:
            number = stack.pop()
            if number in found:
                continue
            found.add(number)
            stack.extend(_numbered(self.nodes[number]))
        return found


def _numbered(node: RelationExpr) -> list[int]:
    """Return the numbers that stand in the place of an operator's inputs."""
    if isinstance(node, Let | LetRec):
        return []
    return [
        -1 - child.id.id
        for child in inputs_of(node)
        if isinstance(child, Get) and isinstance(child.id, LocalId)
    ]


def relation_cse_within(value: RelationExpr, outer: _Numbering) -> RelationExpr:
    """Return one value of a LetRec with its own repeated work bound."""
    inner = _Numbering(outer.context, max(outer.next_id, next_local_id(value)))
    result = inner.run(value)
    outer.next_id = inner.next_id
    return result


def _rename(expr: RelationExpr, renamed: dict[int, RelationExpr]) -> RelationExpr:
    def visit(node: RelationExpr) -> RelationExpr:
        if isinstance(node, Get) and isinstance(node.id, LocalId):
            return renamed.get(node.id.id, node)
        return map_inputs(node, visit)

    return visit(expr)


def _outside_locals(expr: RelationExpr) -> set[int]:
    found: set[int] = set()
    stack = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, Get) and isinstance(node.id, LocalId):
            found.add(node.id.id)
        stack.extend(inputs_of(node))
    return found
