"""Typed expressions over the columns of a scope, drawn from the vocabulary."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.differential import vocabulary as say
from tests.differential.tree import Piece

DEPTH_MAX = 3
"""Levels of templates inside one another; subqueries count their own."""

_HOLE = re.compile(r"\{(\w+(?:\[\])?)(?::(\w+))?\}")


@dataclass(frozen=True)
class Column:
    """What an expression may name: its text and type."""

    text: str
    type: str


@dataclass(frozen=True)
class Scope:
    """The columns of a query and, after them, those of the queries around it."""

    columns: tuple[Column, ...] = ()
    outer: "tuple[Column, ...]" = ()

    def inside(self) -> "Scope":
        """Return the scope of a subquery before it has columns of its own."""
        return Scope((), (*self.columns, *self.outer))


@dataclass
class Expressions:
    """Draws expressions. ``subquery`` draws one of a type, or returns None.

    Attributes:
        fallible: Whether what fails for some values may be drawn.
        extreme: Whether literals may be at the ends of their type's range.
        missing: Templates and forms that are not to be drawn.
    """

    rng: Random
    fallible: bool = False
    extreme: bool = False
    missing: frozenset[str] = frozenset()
    subquery: "Callable[[str, Scope], Piece | None]" = lambda _type, _scope: None
    _by_type: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        templates = list(say.TEMPLATES)
        if self.fallible:
            templates += [*say.FALLIBLE] * 3
        for type_, template in templates:
            if template in self.missing:
                continue
            for each in say.VALUES if type_ == "T" else (type_,):
                text = template.replace("{T}", f"{{{each}}}") if type_ == "T" else template
                self._by_type.setdefault(each, []).append(text)

    def type(self) -> str:
        """Draw a type, the common ones more often."""
        common = ("int4", "int4", "int4", "text", "text", "bool", "int8", "numeric", "float8")
        if self.rng.random() < 0.6:
            return self.rng.choice(common)
        return self.rng.choice(tuple(say.VALUES))

    def literal(self, type_: str, *, typed: bool = False) -> Piece:
        """Draw a constant; ``typed``: never a string that is yet to get its type."""
        if self.rng.random() < 0.06:
            return Piece(type_, (f"NULL::{type_}",))
        values = say.VALUES[type_]
        if self.extreme and self.rng.random() < 0.3:
            values = say.EXTREMES.get(type_, values)
        value = self.rng.choice(values)
        bare = type_ in ("int4", "bool") or (type_ == "numeric" and "." in value)
        if type_ == "text" and not typed and self.rng.random() < 0.6:
            return Piece(type_, (value,))
        return Piece(type_, (value if bare and value[0] != "-" else f"({value})::{type_}",))

    def column(self, type_: str, scope: Scope) -> Piece | None:
        """Draw a column of a type, those of the innermost query more often."""
        near = [column for column in scope.columns if column.type == type_]
        far = [column for column in scope.outer if column.type == type_]
        if far and (not near or self.rng.random() < 0.25):
            near = far
        return Piece(type_, (self.rng.choice(near).text,)) if near else None

    def expression(self, type_: str, scope: Scope, depth: int = DEPTH_MAX) -> Piece:
        """Draw an expression of a type."""
        chance = self.rng.random()
        if depth > 0 and chance < 0.06:
            drawn = self.subquery(type_, scope)
            if drawn is not None:
                return drawn
        if depth <= 0 or chance < 0.5:
            column = self.column(type_, scope)
            if column is not None:
                return column
            if depth <= 0 or chance < 0.2:
                return self.literal(type_)
        templates = self._by_type.get(type_)
        if not templates:
            return self.column(type_, scope) or self.literal(type_)
        return self._filled(type_, self.rng.choice(templates), scope, depth - 1)

    def _filled(self, type_: str, template: str, scope: Scope, depth: int) -> Piece:
        any_type = self.rng.choice(say.ORDERED)
        parts: list[str | Piece] = []
        end = 0
        for hole in _HOLE.finditer(template):
            parts.append(template[end : hole.start()])
            parts.append(self._hole(hole[1], hole[2], any_type, scope, depth))
            end = hole.end()
        parts.append(template[end:])
        return Piece(type_, tuple(parts))

    def only(self, template: str) -> str:
        """Return a template with constants in its holes, none of them NULL or extreme."""

        def constant(hole: "re.Match[str]") -> str:
            if hole[2] is not None or hole[1] not in (*say.VALUES, "T"):
                return str(self._hole(hole[1], hole[2], "int4", Scope(), 0))
            kind = "int4" if hole[1] == "T" else hole[1]
            return f"({say.VALUES[kind][1]})::{kind}"

        return _HOLE.sub(constant, template)

    def _hole(
        self, kind: str, flavour: str | None, any_type: str, scope: Scope, depth: int
    ) -> Piece:
        choice = self.rng.choice
        match kind, flavour:
            case "T", None:
                return self.expression(any_type, scope, depth)
            case "field", None:
                return Piece("field", (choice(say.FIELDS),))
            case "datefield", None:
                return Piece("field", (choice(say.DATE_FIELDS),))
            case "truncfield", None:
                return Piece("text", (choice(say.TRUNC_FIELDS),))
            case _, None:
                return self.expression(kind, scope, depth)
            case _, "pattern":
                return Piece("text", (choice(say.PATTERNS),))
            case _, "regex":
                return Piece("text", (choice(say.REGEXES),))
            case _, "one":
                return Piece(kind, (str(self.rng.randint(1, 4)),))
            case _, "nonzero":
                return Piece(kind, (choice(("2", "3", "(-4)", "7")) + f"::{kind}",))
            case "interval", "small":
                return Piece(
                    kind, (choice(("'1 hour'", "'-90 minutes'", "'0.5 s'")) + "::interval",)
                )
            case "text", "ascii":
                return Piece("text", (choice(("'foo bar'", "'aB c'", "'x-y'", "''")),))
            case _, "small":
                return Piece(kind, (f"({self.rng.randint(-3, 5)})::{kind}",))
            case _:
                return self.literal(kind)


def probes() -> Iterator[tuple[str, str]]:
    """Yield templates and forms, each with a statement that only says it."""
    expressions = Expressions(Random(0))
    for type_, template in (*say.TEMPLATES, *say.FALLIBLE):
        text = template.replace("{T}", "{int4}") if type_ == "T" else template
        yield template, f"SELECT {expressions.only(text)} LIMIT 0"
    yield from say.FORMS.items()
