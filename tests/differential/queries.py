"""Queries over a schema, their answers independent of the order in which rows are met.

What the standard leaves open is never asked: LIMIT and DISTINCT ON come with an order over all that
is put out, aggregates and windows that depend on order get one.
"""

from dataclasses import dataclass
from random import Random

from tests.differential import vocabulary as say
from tests.differential.expressions import Column, Expressions, Scope
from tests.differential.schema import Schema
from tests.differential.tree import OPTIONAL, Piece

QUERY_DEPTH_MAX = 2
"""Levels of queries inside one another."""


@dataclass(frozen=True)
class Query:
    """A query. ``ordered``: its rows have one order. ``fallible``: it may fail for some rows.

    ``strict``: everything in it is evaluated, once, so that whether it fails is determined.
    """

    piece: Piece
    ordered: bool
    fallible: bool
    strict: bool

    def __str__(self) -> str:
        return str(self.piece)


@dataclass(frozen=True)
class _Source:
    """A FROM item: its columns, and expressions that tell its rows apart."""

    piece: Piece
    columns: tuple[Column, ...]


def _join(separator: str, pieces: "list[Piece]", *, droppable: bool = False) -> list["str | Piece"]:
    """Return ``pieces`` with a separator between; with ``droppable`` all but the first may go."""
    parts: list[str | Piece] = []
    for index, piece in enumerate(pieces):
        if index == 0:
            parts.append(piece)
        elif droppable:
            parts.append(Piece(OPTIONAL, (separator, piece)))
        else:
            parts += [separator, piece]
    return parts


class Queries:
    """Draws queries over ``schema``."""

    def __init__(self, rng: Random, schema: Schema, missing: frozenset[str] = frozenset()) -> None:
        self.rng = rng
        self.schema = schema
        self.missing = missing
        self._names = 0
        self._depth = 0
        self._ctes: list[tuple[str, tuple[Column, ...]]] = []
        self._expressions = Expressions(rng)

    def query(self) -> Query:
        """Draw a statement."""
        fallible = self.rng.random() < 0.12
        self._names = self._depth = 0
        self._ctes = []
        self._expressions = Expressions(
            self.rng, fallible, self.schema.extreme, self.missing, self._subquery
        )
        if fallible and self.rng.random() < 0.6:
            return self._expression_alone()
        types = [self._expressions.type() for _ in range(self.rng.randint(1, 4))]
        parts: list[str | Piece] = []
        if self.rng.random() < 0.25:
            parts.append(self._with())
        body = self._body(types, Scope())
        ordered = self.rng.random() < 0.5
        if not ordered:
            parts.append(body)
        elif self.rng.random() < 0.5 and "ORDER BY" not in str(body):
            parts += [body, self._order_and_limit(len(types))]
        else:
            parts += ["SELECT * FROM ", body, " AS q", self._order_and_limit(len(types))]
        fails = fallible or self.schema.extreme
        return Query(Piece("statement", tuple(parts)), ordered, fails, strict=False)

    def _expression_alone(self) -> Query:
        type_ = self._expressions.type()
        scope = Scope()
        self._depth = QUERY_DEPTH_MAX
        text = self._expressions.expression(type_, scope, 1)
        piece = Piece("statement", ("SELECT ", text))
        return Query(piece, ordered=True, fallible=True, strict=True)

    # --- parts of queries -------------------------------------------------------------------------

    def _with(self) -> Piece:
        parts: list[str | Piece] = ["WITH "]
        for index in range(self.rng.randint(1, 2)):
            name = self._name("w")
            types = [self._expressions.type() for _ in range(self.rng.randint(1, 3))]
            columns = tuple(Column(f"c{i}", t) for i, t in enumerate(types))
            names = ", ".join(column.text for column in columns)
            body = self._body(types, Scope())
            parts += [", " if index else "", f"{name} ({names}) AS (", body, ")"]
            self._ctes.append((name, columns))
        return Piece("with", (*parts, " "))

    def _order_and_limit(self, width: int) -> Piece:
        terms = list(range(1, width + 1))
        self.rng.shuffle(terms)
        keys = ", ".join(str(term) + self._direction() for term in terms)
        limit: tuple[str | Piece, ...] = ()
        if self.rng.random() < 0.5:
            limit = (Piece(OPTIONAL, (f" LIMIT {self.rng.randint(0, 5)}",)),)
            if self.rng.random() < 0.4:
                limit += (Piece(OPTIONAL, (f" OFFSET {self.rng.randint(0, 3)}",)),)
        return Piece("order", (f" ORDER BY {keys}", *limit))

    def _direction(self) -> str:
        return self.rng.choice(("", "", " ASC", " DESC", " NULLS FIRST", " DESC NULLS LAST"))

    def _body(self, types: list[str], outer: Scope) -> Piece:
        """Draw a query without ORDER BY whose columns have ``types``."""
        self._depth += 1
        try:
            chance = self.rng.random()
            if self._depth <= QUERY_DEPTH_MAX and chance < 0.12:
                operation = self.rng.choice(
                    (
                        *("UNION", "UNION ALL", "UNION ALL", "EXCEPT", "EXCEPT ALL"),
                        *("INTERSECT", "INTERSECT ALL"),
                    )
                )
                left, right = self._body(types, outer), self._body(types, outer)
                return Piece("query", ("(", left, f" {operation} ", right, ")"))
            if chance < 0.16:
                return self._values(types)
            return self._select(types, outer)
        finally:
            self._depth -= 1

    def _values(self, types: list[str]) -> Piece:
        rows = [
            Piece("row", ("(", *_join(", ", [self._expressions.literal(t) for t in types]), ")"))
            for _ in range(self.rng.randint(1, 3))
        ]
        return Piece("query", ("(VALUES ", *_join(", ", rows, droppable=True), ")"))

    def _select(self, types: list[str], outer: Scope) -> Piece:
        source = self._from(outer)
        scope = Scope(source.columns, (*outer.columns, *outer.outer))
        chance = self.rng.random()
        where = self._where(scope)
        if chance < 0.3:
            return self._grouped(types, source, where, scope)
        if chance < 0.45 and source.columns:
            return self._windowed(types, source, where, scope)
        if chance < 0.55 and source.columns:
            return self._distinct_on(types, source, where, scope)
        distinct = Piece(OPTIONAL, ("DISTINCT ",)) if self.rng.random() < 0.15 else ""
        items = [self._expressions.expression(t, scope) for t in types]
        return Piece(
            "query", ("(SELECT ", distinct, *_join(", ", items), " FROM ", source.piece, where, ")")
        )

    def _where(self, scope: Scope) -> Piece:
        if self.rng.random() < 0.45:
            return Piece(OPTIONAL, ())
        return Piece(OPTIONAL, (" WHERE ", self._expressions.expression("bool", scope)))

    def _everything(self, columns: tuple[Column, ...]) -> str:
        """Return an order in which only equal rows tie."""
        return ", ".join(column.text + self._direction() for column in columns)

    def _distinct_on(self, types: list[str], source: _Source, where: Piece, scope: Scope) -> Piece:
        keys = self.rng.sample(source.columns, min(len(source.columns), self.rng.randint(1, 2)))
        on = ", ".join(column.text for column in keys)
        order = ", ".join(column.text + self._direction() for column in keys)
        everything = self._everything(source.columns)
        items = [self._expressions.expression(t, scope, 1) for t in types]
        return Piece(
            "query",
            (
                *(f"(SELECT DISTINCT ON ({on}) ", *_join(", ", items), " FROM ", source.piece),
                *(where, f" ORDER BY {order}, {everything})"),
            ),
        )

    # --- grouping ---------------------------------------------------------------------------------

    def _grouped(self, types: list[str], source: _Source, where: Piece, scope: Scope) -> Piece:
        keys = self._group_keys(source, scope)
        texts = [str(key) for key, _ in keys]
        groups = Scope(tuple(Column(str(key), type_) for key, type_ in keys), scope.outer)
        items = []
        for type_ in types:
            aggregate = self._aggregate(type_, source, scope)
            if aggregate is None or (keys and self.rng.random() < 0.4):
                # Only keys that are plain columns may be named inside a larger expression.
                plain = Scope(tuple(c for c in groups.columns if c.text in self._plain(source)))
                key = self._expressions.column(type_, Scope(groups.columns))
                item = key or self._expressions.expression(type_, plain, 1)
            else:
                item = aggregate
            items.append(item)
        having = Piece(OPTIONAL, ())
        if self.rng.random() < 0.3:
            test = self._aggregate("int8", source, scope)
            having = Piece(OPTIONAL, (" HAVING ", test or "count(*)", " > ", "1"))
        group: str = ""
        if texts:
            group = " GROUP BY " + self._grouping(texts)
        return Piece(
            "query",
            ("(SELECT ", *_join(", ", items), " FROM ", source.piece, where, group, having, ")"),
        )

    def _plain(self, source: _Source) -> set[str]:
        return {column.text for column in source.columns}

    def _group_keys(self, source: _Source, scope: Scope) -> list[tuple[Piece, str]]:
        keys = []
        for _ in range(self.rng.choice((0, 1, 1, 2, 2))):
            if not source.columns:
                break
            column = self.rng.choice(source.columns)
            keys.append((Piece(column.type, (column.text,)), column.type))
        return keys

    def _grouping(self, texts: list[str]) -> str:
        chance = self.rng.random()
        keys = ", ".join(texts)
        if chance < 0.7:
            return keys
        if chance < 0.8:
            return f"ROLLUP ({keys})"
        if chance < 0.9:
            return f"CUBE ({keys})"
        return f"GROUPING SETS (({keys}), ({texts[0]}), ())"

    def _aggregate(self, type_: str, source: _Source, scope: Scope) -> Piece | None:
        if not source.columns:
            return None
        own = Scope(source.columns)
        draw = self._expressions.expression
        any_type = self.rng.choice(say.ORDERED)
        forms: list[tuple[str | Piece, ...]] = []
        if type_ == "int8":
            forms += [("count(*)",), ("count(", draw(any_type, own, 1), ")")]
            forms += [("count(DISTINCT ", draw(any_type, own, 1), ")")]
            forms += [("sum(", draw("int4", own, 1), ")")]
        if type_ == "numeric":
            forms += [("sum(", draw(self.rng.choice(("int8", "numeric")), own, 1), ")")]
            forms += [("round(avg(", draw("int4", own, 1), "), 3)")]
            forms += [("sum(DISTINCT ", draw("numeric", own, 1), ")")]
        if type_ == "bool":
            forms += [("bool_and(", draw("bool", own, 1), ")")]
            forms += [("bool_or(", draw("bool", own, 1), ")")]
        if type_ == "text":
            order = self._everything(source.columns)
            forms += [("string_agg(", draw("text", own, 1), f", '-' ORDER BY {order})")]
        if type_ in ("int4[]", "text[]"):
            order = self._everything(source.columns)
            forms += [("array_agg(", draw(type_[:-2], own, 1), f" ORDER BY {order})")]
        if type_ == "jsonb":
            order = self._everything(source.columns)
            forms += [("jsonb_agg(", draw("int4", own, 1), f" ORDER BY {order})")]
        if type_ not in ("bool", "uuid", "jsonb", "bytea", "int4[]", "text[]"):
            forms += [(f"{self.rng.choice(('min', 'max'))}(", draw(type_, own, 1), ")")] * 2
        if not forms:
            return None
        parts = self.rng.choice(forms)
        if self.rng.random() < 0.2:
            test = draw("bool", own, 1)
            parts += (Piece(OPTIONAL, (" FILTER (WHERE ", test, ")")),)
        return Piece(type_, parts)

    # --- windows ----------------------------------------------------------------------------------

    def _windowed(self, types: list[str], source: _Source, where: Piece, scope: Scope) -> Piece:
        # One order for all calls: equal rows must stand in the same places of each.
        partition = ""
        if self.rng.random() < 0.6:
            partition = f"PARTITION BY {self.rng.choice(source.columns).text} "
        window = f"{partition}ORDER BY {self._everything(source.columns)}"
        items = [self._window_call(t, source, window) for t in types]
        return Piece("query", ("(SELECT ", *_join(", ", items), " FROM ", source.piece, where, ")"))

    def _window_call(self, type_: str, source: _Source, window: str) -> Piece:
        own = Scope(source.columns)
        draw = self._expressions.expression
        forms: list[tuple[str | Piece, ...]] = []
        if type_ == "int8":
            forms += [("row_number()",), ("rank()",), ("dense_rank()",), ("count(*)",)]
            forms += [("sum(", draw("int4", own, 0), ")")]
        if type_ == "int4":
            forms += [(f"ntile({self.rng.randint(1, 4)})",)]
        if type_ == "float8":
            forms += [("percent_rank()",), ("cume_dist()",)]
        if type_ == "bool":
            forms += [("bool_or(", draw("bool", own, 0), ")")]
        if type_ == "numeric":
            forms += [("round(avg(", draw("int4", own, 0), ")")]
        value = self._expressions.column(type_, own)
        if value is None:
            value = self._expressions.literal(type_, typed=True)
        forms += [("lag(", value, ")"), ("lead(", value, f", {self.rng.randint(0, 2)})")]
        forms += [("first_value(", value, ")"), ("last_value(", value, ")")]
        forms += [("nth_value(", value, f", {self.rng.randint(1, 3)})")]
        if type_ not in ("bool", "uuid", "jsonb", "bytea", "int4[]", "text[]"):
            forms += [("max(", value, ")"), ("min(", value, ")")]
        forms = [form for form in forms if str(form[0]).partition("(")[0] not in self.missing]
        parts = self.rng.choice(forms)
        tail = ", 3)" if parts[0] == "round(avg(" else ""
        return Piece(type_, (*parts, f" OVER ({window}", self._frame(), ")", tail))

    def _frame(self) -> Piece:
        if self.rng.random() < 0.6:
            return Piece(OPTIONAL, ())
        low = self.rng.choice(("UNBOUNDED PRECEDING", "1 PRECEDING", "CURRENT ROW"))
        high = self.rng.choice(("UNBOUNDED FOLLOWING", "1 FOLLOWING", "CURRENT ROW"))
        units = [unit for unit in ("ROWS", "ROWS", "GROUPS") if unit not in self.missing]
        return Piece(OPTIONAL, (f" {self.rng.choice(units)} BETWEEN {low} AND {high}",))

    # --- FROM -------------------------------------------------------------------------------------

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def _from(self, outer: Scope) -> _Source:
        first = self._item(outer, lateral=Scope())
        pieces: list[str | Piece] = [first.piece]
        columns = list(first.columns)
        for _ in range(self.rng.choice((0, 0, 0, 1, 1, 2))):
            visible = Scope(tuple(columns), (*outer.columns, *outer.outer))
            kind = self.rng.choice(
                (
                    *(",", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN"),
                    *("FULL JOIN", "CROSS JOIN"),
                )
            )
            sideways = kind in (",", "JOIN", "LEFT JOIN", "CROSS JOIN")
            item = self._item(outer, lateral=visible if sideways else Scope())
            joined = self._joined(kind, item, columns, visible)
            pieces.append(Piece(OPTIONAL, joined))
            columns += item.columns
        return _Source(Piece("from", tuple(pieces)), tuple(columns))

    def _joined(
        self, kind: str, item: _Source, columns: list[Column], visible: Scope
    ) -> "tuple[str | Piece, ...]":
        if kind == ",":
            return (" CROSS JOIN ", item.piece)
        if kind == "CROSS JOIN":
            return (f" {kind} ", item.piece)
        pairs = [(a, b) for a in columns for b in item.columns if a.type == b.type]
        scope = Scope((*columns, *item.columns), visible.outer)
        equality: tuple[str | Piece, ...] = ()
        if pairs and (kind == "FULL JOIN" or self.rng.random() < 0.7):
            left, right = self.rng.choice(pairs)
            equality = (f"{left.text} = {right.text}",)
        if kind == "FULL JOIN" and not equality:
            return (" LEFT JOIN ", item.piece, " ON true")
        if not equality or (kind != "FULL JOIN" and self.rng.random() < 0.3):
            extra = self._expressions.expression("bool", scope, 1)
            equality = (*equality, " AND ", extra) if equality else (extra,)
        return (f" {kind} ", item.piece, " ON ", Piece("bool", ("(", *equality, ")")))

    def _item(self, outer: Scope, lateral: Scope) -> _Source:
        chance = self.rng.random()
        alias = self._name("t")
        if self._ctes and chance < 0.3:
            name, columns = self.rng.choice(self._ctes)
            return self._named(f"{name} AS {alias}", alias, columns)
        if self._depth < QUERY_DEPTH_MAX and chance < 0.45:
            types = [self._expressions.type() for _ in range(self.rng.randint(1, 3))]
            columns = tuple(Column(f"c{i}", t) for i, t in enumerate(types))
            names = ", ".join(column.text for column in columns)
            sideways = bool(lateral.columns) and self.rng.random() < 0.5
            scope = Scope((), (*lateral.columns, *lateral.outer) if sideways else ())
            body = self._body(types, Scope(scope.outer))
            word = "LATERAL " if sideways else ""
            piece = Piece("item", (word, body, f" AS {alias} ({names})"))
            return self._of(piece, alias, columns)
        if chance < 0.5:
            return self._function(alias, lateral)
        table = self.rng.choice(self.schema.tables)
        return self._named(f"{table.name} AS {alias}", alias, table.columns)

    def _function(self, alias: str, lateral: Scope) -> _Source:
        bound = self._expressions.column("int4", Scope(lateral.columns))
        high: str | Piece = f"least({bound}, 4)" if bound else str(self.rng.randint(0, 4))
        if self.rng.random() < 0.5:
            piece = Piece("item", (f"generate_series(1, {high}) AS {alias} (n)",))
            return self._of(piece, alias, (Column("n", "int4"),))
        array = self._expressions.literal("int4[]")
        columns = (Column("n", "int4"), Column("o", "int8"))
        piece = Piece("item", ("unnest(", array, f") WITH ORDINALITY AS {alias} (n, o)"))
        return self._of(piece, alias, columns)

    def _named(self, text: str, alias: str, columns: tuple[Column, ...]) -> _Source:
        return self._of(Piece("item", (text,)), alias, columns)

    def _of(self, piece: Piece, alias: str, columns: tuple[Column, ...]) -> _Source:
        return _Source(piece, tuple(Column(f"{alias}.{c.text}", c.type) for c in columns))

    # --- subqueries in expressions ----------------------------------------------------------------

    def _subquery(self, type_: str, scope: Scope) -> Piece | None:
        if self._depth >= QUERY_DEPTH_MAX or not (scope.columns or scope.outer):
            return None
        self._depth += 1
        try:
            return self._subquery_of(type_, Scope(scope.inside().outer))
        finally:
            self._depth -= 1

    def _subquery_of(self, type_: str, outer: Scope) -> Piece:
        draw = self._expressions.expression
        source = self._from(outer)
        scope = Scope(source.columns, outer.columns)
        where = Piece(OPTIONAL, (" WHERE ", draw("bool", scope, 2)))
        tail = (" FROM ", source.piece, where)
        if type_ == "bool" and self.rng.random() < 0.7:
            each = self._expressions.type()
            inner, left = draw(each, scope, 1), draw(each, outer, 1)
            forms: list[tuple[str | Piece, ...]] = [
                ("EXISTS (SELECT 1", *tail, ")"),
                ("NOT EXISTS (SELECT 1", *tail, ")"),
                ("(", left, " IN (SELECT ", inner, *tail, "))"),
                ("(", left, " NOT IN (SELECT ", inner, *tail, "))"),
                ("(", left, " < ANY (SELECT ", inner, *tail, "))"),
                ("(", left, " >= ALL (SELECT ", inner, *tail, "))"),
            ]
            return Piece("bool", self.rng.choice(forms))
        if type_ in ("int4[]", "text[]") and self.rng.random() < 0.5:
            item = draw(type_[:-2], scope, 1)
            return Piece(type_, ("ARRAY(SELECT ", item, *tail, " ORDER BY 1)"))
        aggregate = self._aggregate(type_, source, scope)
        if aggregate is not None and self.rng.random() < 0.6:
            return Piece(type_, ("(SELECT ", aggregate, *tail, ")"))
        item = draw(type_, scope, 1)
        order = ", ".join(c.text + self._direction() for c in source.columns) or "1"
        return Piece(type_, ("(SELECT ", item, *tail, f" ORDER BY {order} LIMIT 1)"))
