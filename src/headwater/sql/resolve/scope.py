"""The columns that an expression can see, and what an identifier means among them.

A :class:`Scope` describes the rows of one relation under construction: ``columns`` are the row's
columns in order. Scopes are chained by ``outer``: level 0 is the scope itself, level 1 the one
outside. Scopes are immutable once made; joining makes a new one.

Source: PostgreSQL's rules, sections 4.2.1 and 7.2; ``parse_relation.c`` for the errors' texts.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from headwater.errors import AmbiguousColumn, DuplicateAlias, UndefinedColumn, UndefinedTable
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ColumnType

_NEAR_MISS_CUTOFF = 0.6
TABLE_OID = "tableoid"
"""The system column that every relation has, which only its name selects."""


class ScopeColumn:
    """A column of the rows that a scope describes."""

    __slots__ = ("name", "type")

    def __init__(self, name: str, type: ColumnType) -> None:
        self.name = name
        self.type = type


class ScopeTable:
    """A table's name in a FROM clause and where its columns are.

    ``path`` is the whole name of a catalog relation without an alias, so that ``s.t.c`` works;
    just ``(name,)`` under an alias, which hides the name of the ``relation``. ``columns`` pairs
    names with indexes, in the table's order. ``oid`` is the relation's object id: what its rows
    have as their system column ``tableoid``; None for what is no relation, and where a join may
    have padded the rows. ``unlisted`` are columns that only their names select.
    """

    __slots__ = ("columns", "name", "oid", "path", "relation", "unlisted")

    def __init__(
        self,
        path: tuple[str, ...],
        columns: tuple[tuple[str, int], ...],
        relation: str | None = None,
        oid: int | None = None,
        unlisted: tuple[tuple[str, int], ...] = (),
    ) -> None:
        self.oid = oid
        self.unlisted = unlisted
        self.path = path
        self.name = path[-1]
        self.columns = columns
        self.relation = relation

    def shifted(self, offset: int) -> "ScopeTable":
        """Return the table with its columns ``offset`` further to the right."""
        columns = tuple((name, index + offset) for name, index in self.columns)
        unlisted = tuple((name, index + offset) for name, index in self.unlisted)
        return ScopeTable(self.path, columns, self.relation, self.oid, unlisted)

    def padded(self) -> "ScopeTable":
        """Return the table as a join leaves it that may fill its columns with NULL."""
        return ScopeTable(self.path, self.columns, self.relation, None, self.unlisted)

    def matches(self, qualifier: tuple[str, ...]) -> bool:
        """Return whether ``[[db.]schema.]table`` can mean this table."""
        return self.path[-len(qualifier) :] == qualifier


class Found:
    """A column that an identifier means: where it is, what it is."""

    __slots__ = ("index", "level", "name", "type")

    def __init__(self, level: int, index: int, column: ScopeColumn) -> None:
        self.level = level
        self.index = index
        self.name = column.name
        self.type = column.type


class Scope:
    """Columns in sight.

    Attributes:
        columns: The row's columns.
        star: The columns that ``*`` and unqualified names see, in order: columns that USING has
            merged stand first, and once.
        tables: The tables by which columns can be qualified.
        outer: The next scope outwards.
        uses: Columns referred to, and where first: for the error of ungrouped ones.
        aggregates: Collects aggregates that a subquery has over columns of this scope alone; None
            where none may stand. The planner's own.
    """

    __slots__ = ("_by_name", "aggregates", "columns", "outer", "star", "tables", "uses")

    def __init__(
        self,
        columns: list[ScopeColumn],
        star: Sequence[int],
        tables: list[ScopeTable],
        outer: "Scope | None",
    ) -> None:
        self.columns = columns
        self.star = star
        self.tables = tables
        self.outer = outer
        self.uses: dict[int, int] = {}
        self.aggregates: object = None
        self._by_name: dict[str, list[int]] | None = None

    @staticmethod
    def empty(outer: "Scope | None" = None) -> "Scope":
        """Return the scope of a relation without columns."""
        return Scope([], (), [], outer)

    @staticmethod
    def of_relation(
        path: tuple[str, ...] | None,
        desc: RelationDesc,
        outer: "Scope | None",
        names: Sequence[str] = (),
        relation: str | None = None,
        oid: int | None = None,
        listed: int | None = None,
        shown: Sequence[int] | None = None,
    ) -> "Scope":
        """Return the scope of a relation's rows, its first columns renamed to ``names``.

        ``*`` selects the first ``listed`` columns, all if that is None. Of rows that hold more than
        the relation's columns, these are ``shown``.
        """
        columns = [ScopeColumn(c.name, ColumnType(c.type, c.nullable)) for c in desc.columns]
        for column, name in zip(columns, names, strict=False):
            column.name = name
        places = range(len(columns)) if shown is None else shown
        star = places if listed is None else places[:listed]
        tables = []
        if path is not None:
            pairs = tuple((columns[place].name, place) for place in places)
            count = len(star)
            tables.append(ScopeTable(path, pairs[:count], relation, oid, pairs[count:]))
        return Scope(columns, star, tables, outer)

    def with_outer(self, outer: "Scope | None") -> "Scope":
        """Return the same columns inside another scope."""
        scope = Scope(self.columns, self.star, self.tables, outer)
        scope.uses = self.uses
        scope.aggregates = self.aggregates
        return scope

    def outwards(self, level: int) -> "Scope":
        """Return the scope ``level`` levels outwards."""
        scope = self
        for _ in range(level):
            assert scope.outer is not None
            scope = scope.outer
        return scope

    def note_use(self, level: int, index: int, position: int) -> None:
        """Remember where a column of the scope ``level`` outwards is first referred to."""
        self.outwards(level).uses.setdefault(index, position)

    @property
    def by_name(self) -> dict[str, list[int]]:
        """Return the columns that each unqualified name can mean."""
        if self._by_name is None:
            found: dict[str, list[int]] = {}
            columns = self.columns
            for index in self.star:
                found.setdefault(columns[index].name, []).append(index)
            listed = set(found)
            for table in self.tables:
                for name, index in table.unlisted:
                    if name not in listed:
                        found.setdefault(name, []).append(index)
            self._by_name = found
        return self._by_name

    def resolve(self, parts: tuple[str, ...], position: int = 0) -> Found | None:
        """Return the column that an identifier means, in the innermost scope that has it.

        Returns: None if no scope has a column (or, where qualified, a table) of the name.

        Raises: AmbiguousColumn, UndefinedColumn (the table is in sight but lacks the column).
        """
        if len(parts) == 1:
            return self._resolve_unqualified(parts[0], position)
        qualifier, name = parts[:-1], parts[-1]
        scope: Scope | None = self
        level = 0
        while scope is not None:
            table = scope.table(qualifier, position)
            if table is not None:
                columns = (*table.columns, *table.unlisted)
                indexes = [index for column, index in columns if column == name]
                if len(indexes) > 1:
                    raise AmbiguousColumn(
                        f'column reference "{name}" is ambiguous', position=position
                    )
                if indexes:
                    return Found(level, indexes[0], scope.columns[indexes[0]])
                raise UndefinedColumn(
                    f'column "{show(parts)}" does not exist',
                    hint=_hint(name, (f"{table.name}.{c}" for c, _ in table.columns)),
                    position=position,
                )
            scope = scope.outer
            level += 1
        return None

    def _resolve_unqualified(self, name: str, position: int) -> Found | None:
        scope: Scope | None = self
        level = 0
        while scope is not None:
            indexes = scope.by_name.get(name)
            if indexes is not None:
                if len(indexes) > 1:
                    raise AmbiguousColumn(
                        f'column reference "{name}" is ambiguous', position=position
                    )
                return Found(level, indexes[0], scope.columns[indexes[0]])
            scope = scope.outer
            level += 1
        return None

    def table(self, qualifier: tuple[str, ...], position: int = 0) -> ScopeTable | None:
        """Return the table of this scope (none further out) that ``qualifier`` names."""
        found = [table for table in self.tables if table.matches(qualifier)]
        if len(found) > 1:
            exact = [table for table in found if len(table.path) == len(qualifier)]
            if len(exact) != 1:
                raise AmbiguousColumn(
                    f'table reference "{show(qualifier)}" is ambiguous', position=position
                )
            return exact[0]
        return found[0] if found else None

    def find_table(
        self, qualifier: tuple[str, ...], position: int = 0
    ) -> tuple[int, "Scope", ScopeTable] | None:
        """Return the innermost table that ``qualifier`` names, with its level and scope."""
        scope: Scope | None = self
        level = 0
        while scope is not None:
            table = scope.table(qualifier, position)
            if table is not None:
                return level, scope, table
            scope = scope.outer
            level += 1
        return None

    def table_oid(self, parts: tuple[str, ...], position: int = 0) -> int | None:
        """Return what ``[table.]tableoid`` is, where the scope itself has no such column.

        Without a table it is asked of the only one in sight. Source: PostgreSQL, section 5.5.
        """
        if parts[-1] != TABLE_OID:
            return None
        if len(parts) == 1:
            is_column = TABLE_OID in self.by_name or len(self.tables) != 1
            return None if is_column else self.tables[0].oid
        table = self.table(parts[:-1], position)
        if table is None or any(name == TABLE_OID for name, _ in table.columns):
            return None
        return table.oid

    def missing_table(self, name: str, position: int) -> UndefinedTable:
        """Return the error for a table that is not in FROM, or hidden there by an alias."""
        scope: Scope | None = self
        while scope is not None:
            for table in scope.tables:
                if table.relation == name:
                    return UndefinedTable(
                        f'invalid reference to FROM-clause entry for table "{name}"',
                        hint=f'Perhaps you meant to reference the table alias "{table.name}".',
                        position=position,
                    )
            scope = scope.outer
        return UndefinedTable(f'missing FROM-clause entry for table "{name}"', position=position)

    def undefined(self, parts: tuple[str, ...], position: int) -> UndefinedColumn | UndefinedTable:
        """Return the error for an identifier that :meth:`resolve` did not find."""
        if len(parts) > 1:
            missing = self.missing_table(parts[-2], position)
            return UndefinedTable(
                f'column "{show(parts)}" does not exist',
                detail=missing.message[0].upper() + missing.message[1:] + ".",
                hint=missing.hint or "",
                position=position,
            )
        names: list[str] = []
        scope: Scope | None = self
        while scope is not None:
            qualified = [f"{table.name}.{c}" for table in scope.tables for c, _ in table.columns]
            names.extend(qualified or scope.by_name)
            scope = scope.outer
        return UndefinedColumn(
            f'column "{parts[0]}" does not exist', hint=_hint(parts[0], names), position=position
        )


def product(left: Scope, right: Scope, outer: Scope | None, position: int = 0) -> Scope:
    """Return the scope of rows of ``left`` followed by rows of ``right``.

    Raises: DuplicateAlias if both have a table of one name.
    """
    offset = len(left.columns)
    if left.tables and right.tables:
        taken = {table.path for table in left.tables}
        aliases = {table.name for table in left.tables}
        for table in right.tables:
            # Two relations of one name in different schemas may stand side by side.
            if table.path in taken or (len(table.path) == 1 and table.name in aliases):
                raise DuplicateAlias(
                    f'table name "{table.name}" specified more than once', position=position
                )
    tables = [*left.tables, *(table.shifted(offset) for table in right.tables)]
    star = [*left.star, *(index + offset for index in right.star)]
    return Scope([*left.columns, *right.columns], star, tables, outer)


def show(parts: Iterable[str]) -> str:
    """Return a name as messages show it."""
    return ".".join(parts)


def _hint(name: str, candidates: Iterable[str]) -> str:
    by_last: dict[str, str] = {}
    for candidate in candidates:
        by_last.setdefault(candidate.rpartition(".")[2], candidate)
    near = get_close_matches(name, sorted(by_last), n=2, cutoff=_NEAR_MISS_CUTOFF)
    if not near:
        return ""
    names = " or the column ".join(f'"{by_last[match]}"' for match in near)
    return f"Perhaps you meant to reference the column {names}."
