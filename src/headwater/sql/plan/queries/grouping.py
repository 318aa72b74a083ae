"""Expressions of a grouped SELECT in terms of what grouping yields.

They are planned over the rows of FROM, with marks for aggregates. Here each part that equals a
group expression becomes that column, each mark the aggregate's column; a column of FROM that
remains is the error 42803.

Source: PostgreSQL compares analyzed expressions in just this way (``parse_agg.c``).
"""

from headwater.errors import GroupingError
from headwater.sql.plan.context import AGGREGATE_BASE, WINDOW_BASE, Aggregates
from headwater.sql.plan.hir import ColumnRef, HirCall, HirIf, HirScalar
from headwater.sql.plan.hir_visit import Rewriter, shift
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.scope import Scope


class GroupRewriter:
    """Moves expressions from the rows of FROM to the rows of the groups.

    Attributes:
        keys: Group expressions, and the column of each.
    """

    def __init__(
        self, keys: dict[HirScalar, int], group_columns: int, aggregates: Aggregates, scope: Scope
    ) -> None:
        self.keys = keys
        self.columns = {
            key.index: column
            for key, column in keys.items()
            if isinstance(key, ColumnRef) and key.level == 0
        }
        self.has_expressions = any(not isinstance(key, ColumnRef) for key in keys)
        self.group_columns = group_columns
        self.aggregates = aggregates
        self.scope = scope
        self.rewriter = Rewriter(self._leaf, self._whole if self.has_expressions else None)

    def rewrite(self, expr: HirScalar) -> HirScalar:
        """Return ``expr`` over the groups. Raises: GroupingError."""
        return self.rewriter.scalar(expr)

    def _whole(self, expr: HirScalar, depth: int) -> HirScalar | None:
        if not isinstance(expr, HirCall | HirIf):
            return None
        key = expr if depth == 0 else shift(expr, -depth)
        column = self.keys.get(key)
        if column is None:
            return None
        return ColumnRef(depth, column, type_of(expr))

    def _leaf(self, found: HirScalar, depth: int) -> HirScalar:
        if not isinstance(found, ColumnRef) or found.level != depth:
            return found
        index = found.index
        if index >= AGGREGATE_BASE:
            if index >= WINDOW_BASE:
                return found
            column = self.group_columns + index - AGGREGATE_BASE
            return ColumnRef(depth, column, found.type, found.name)
        grouped = self.columns.get(index)
        if grouped is None:
            raise self._ungrouped(index, depth)
        return ColumnRef(depth, grouped, found.type, found.name)

    def _ungrouped(self, index: int, depth: int) -> GroupingError:
        name = self.scope.columns[index].name
        for table in self.scope.tables:
            if any(at == index for _, at in table.columns):
                name = f"{table.name}.{name}"
                break
        _, position = self.aggregates.ungrouped.get(index, ((), 0))
        if depth:
            return GroupingError(
                f'subquery uses ungrouped column "{name}" from outer query', position=position
            )
        return GroupingError(
            f'column "{name}" must appear in the GROUP BY clause or be used in an aggregate'
            " function",
            position=position,
        )
