"""Transactions in which queries and writes mix: what they see of themselves, and must not miss.

A query sees what its transaction has written. What it has read of tables must be unchanged at
COMMIT, which fails with 40001 otherwise; having read anything else, a transaction can't write.
"""

from headwater.adapter.altered import unless_altered
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.transactions import Transaction
from headwater.catalog.items import BuiltinTable, MaterializedView, Source, Table, View
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import FeatureNotSupported
from headwater.ir.relation import Constant, Get, Global, RelationExpr
from headwater.ir.relation import Union as UnionAll
from headwater.ir.visit import transform_up
from headwater.persist import flat
from headwater.sql.plan.statements import Planned
from headwater.types.ids import GlobalId
from headwater.types.time import TIMESTAMP_MIN, Timestamp

# Rows of its own that a transaction's queries are planned with, as constants.
_OWN_ROWS_MAX = 100_000


def read_by(
    snapshot: CatalogSnapshot, ids: frozenset[GlobalId]
) -> tuple[dict[GlobalId, Table], str | None]:
    """Return the tables that are read, through views, and something else that is, if any.

    What somebody else writes (a source, a materialized view, the catalog) could change unnoticed.
    """
    tables: dict[GlobalId, Table] = {}
    other: str | None = None
    stack = sorted(ids)
    seen: set[GlobalId] = set()
    while stack:
        id = stack.pop()
        item = snapshot.try_item(id)
        if id in seen or item is None:
            continue
        seen.add(id)
        if isinstance(item, Source | MaterializedView | BuiltinTable) or (
            isinstance(item, Table) and item.source is not None
        ):
            other = f'{item.kind.noun} "{item.name}"'
        elif isinstance(item, Table):
            tables[id] = item
        elif isinstance(item, View):
            stack.extend(item.depends_on)
    return tables, other


def note_read(
    coord: Coordinator, transaction: Transaction, planned: Planned, ts: Timestamp
) -> None:
    """Note what a query of the transaction has read. Raises: FeatureNotSupported."""
    tables, other = read_by(coord.snapshot, planned.depends_on)
    transaction.add_read_for_write(set(tables), ts)
    if other is not None:
        transaction.unlocked = other
        if transaction.writes:
            transaction.admit_write("SELECT")


def with_writes(coord: Coordinator, expr: RelationExpr, transaction: Transaction) -> RelationExpr:
    """Return ``expr`` over tables to which a transaction's own writes are added.

    Raises: SerializationFailure where a table that it has written to was altered since.
    """
    writes = transaction.writes
    unless_altered(coord, transaction.tables.values(), adds_only=False)

    def added(node: RelationExpr) -> RelationExpr:
        if not isinstance(node, Get) or not isinstance(node.id, Global):
            return node
        batches = writes.get(node.id.id)
        if batches is None:
            return node
        if sum(flat.count(batch) for batch in batches) > _OWN_ROWS_MAX:
            raise FeatureNotSupported(
                f"a transaction that has written more than {_OWN_ROWS_MAX} rows of a table cannot "
                "read it",
                hint="Commit first.",
            )
        changes = flat.consolidate(flat.stamp(flat.concat(batches), TIMESTAMP_MIN))
        return UnionAll((node, Constant(tuple((row, diff) for row, _, diff in changes), node.desc)))

    return transform_up(coord.planner.world(coord.snapshot, None).inline(expr), added)
