"""The order in which a join's inputs are looked up, one for each input that can start.

Orders are chosen greedily: next comes the input with the best look-up by what is known so far. A
look-up by a unique key comes first, then one by more columns, one whose arrangement exists, one
that is filtered, one with fewer rows; a cross join comes last.
"""

from collections.abc import Iterable

import msgspec

from headwater.ir.relation import Join, JoinStep, RelationExpr
from headwater.ir.scalar import Column, ScalarExpr
from headwater.ir.visit import columns_of, shift

Key = tuple[ScalarExpr, ...]


class JoinInput(msgspec.Struct, frozen=True):
    """What matters of a join's input. Expressions are over the input's own columns."""

    relation: RelationExpr
    offset: int
    width: int
    available: tuple[Key, ...]
    unique: tuple[frozenset[int], ...]
    filters: int
    rows: int | None


class Order(msgspec.Struct, frozen=True):
    """An order: its steps, the key of the start that the first look-up matches, how good it is."""

    steps: tuple[JoinStep, ...]
    start_key: Key
    score: tuple[object, ...]


class Classes:
    """The classes of a join, by the inputs that their members are of.

    Attributes:
        members: For each class its members, each with the inputs that it mentions and, if that is
            one, the member over that input's own columns.
        of_input: For each input the classes that mention it.
    """

    def __init__(self, join: Join, inputs: list[JoinInput]) -> None:
        owner = [number for number, item in enumerate(inputs) for _ in range(item.width)]
        self.members: list[list[tuple[ScalarExpr, frozenset[int], ScalarExpr | None]]] = []
        self.of_input: list[list[int]] = [[] for _ in inputs]
        for number, exprs in enumerate(join.equivalences):
            members = []
            for expr in exprs:
                owners = frozenset(owner[column] for column in columns_of(expr))
                local = None
                if len(owners) == 1:
                    local = shift(expr, -inputs[next(iter(owners))].offset)
                members.append((expr, owners, local))
            self.members.append(members)
            for mentioned in frozenset().union(*(owners for _, owners, _ in members)):
                self.of_input[mentioned].append(number)


class _Ordering:
    """One order in the making: what is placed, and what that says of the inputs that are not.

    Attributes:
        bound: For each input the parts of it that are equal to something placed: where that is
            said (class, member), and what they are equal to.
    """

    def __init__(self, start: int, inputs: list[JoinInput], classes: Classes) -> None:
        self.inputs = inputs
        self.classes = classes
        self.placed = {start}
        self.bound: list[dict[ScalarExpr, tuple[int, int, ScalarExpr]]] = [{} for _ in inputs]
        self.known: set[int] = set()
        self.rated: dict[int, _Rating] = {}
        self.rest = [number for number in range(len(inputs)) if number != start]
        self._learn(range(len(classes.members)))

    def next(self) -> "tuple[int, _Rating]":
        """Place the input with the best look-up. Returns: it, and the look-up."""
        for number in self.rest:
            if number not in self.rated:
                self.rated[number] = _rate(number, self.inputs[number], self.bound[number])
        best = max(self.rest, key=lambda number: self.rated[number].score)
        self.placed.add(best)
        self.rest.remove(best)
        self._learn(self.classes.of_input[best])
        return best, self.rated[best]

    def _learn(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if number in self.known:
                continue
            members = self.classes.members[number]
            value = next((expr for expr, owners, _ in members if owners <= self.placed), None)
            if value is None:
                continue
            self.known.add(number)
            for place, (_, owners, local) in enumerate(members):
                if local is not None and not owners <= self.placed:
                    owner = next(iter(owners))
                    self.bound[owner].setdefault(local, (number, place, value))
                    self.rated.pop(owner, None)


class _Rating(msgspec.Struct, frozen=True):
    """A look-up: how good it is, by which key, and what the key's parts are equal to."""

    score: tuple[object, ...]
    key: Key
    matched: Key


def order_from(start: int, inputs: list[JoinInput], classes: Classes) -> Order:
    """Return the order that starts with input ``start``."""
    ordering = _Ordering(start, inputs, classes)
    steps = [JoinStep(start, ())]
    scores: list[tuple[object, ...]] = []
    start_key: Key = ()
    while ordering.rest:
        number, rating = ordering.next()
        if len(steps) == 1:
            start_key = tuple(shift(item, -inputs[start].offset) for item in rating.matched)
        steps.append(JoinStep(number, rating.key))
        scores.append(rating.score[:-1])
    item = inputs[start]
    arranged = bool(start_key) and start_key in item.available
    # The worst step counts first; among equals the most selective, then the smallest start.
    return Order(
        tuple(steps),
        start_key,
        (
            sorted(scores),
            item.filters,
            arranged,
            -item.rows if item.rows is not None else 0,
            -start,
        ),
    )


def _rate(
    number: int, item: JoinInput, found: dict[ScalarExpr, tuple[int, int, ScalarExpr]]
) -> _Rating:
    """Rate the look-up of input ``number`` by the parts of it that are ``found``."""
    bound = dict(sorted(found.items(), key=lambda part: part[1][:2]))
    usable = [key for key in item.available if key and all(part in bound for part in key)]
    key: Key
    if usable:
        key = max(usable, key=len)
    else:
        key = tuple(bound)
    columns = {part.index for part in bound if isinstance(part, Column)}
    unique = any(keys <= columns for keys in item.unique)
    score = (
        bool(bound),
        unique and bool(bound),
        len(bound),
        bool(usable),
        item.filters,
        -item.rows if item.rows is not None else 0,
        -number,
    )
    return _Rating(score, key, tuple(bound[part][2] for part in key))
