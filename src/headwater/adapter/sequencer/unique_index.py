"""Unique indexes: a table's keys that come and go with an index.

An index is an arrangement on a cluster and enforces nothing; what CREATE UNIQUE INDEX promises is a
key of its table, enforced like those of constraints (``adapter.constraints``) and named as the
index is. It is not stored with the table: the index's statement says UNIQUE.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.ddl import Before, Work
from headwater.adapter.verifying import NewRules, table_rows, verify
from headwater.catalog.items import CatalogItem, Index, KeyConstraint, Table
from headwater.catalog.ops import Update
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.ir.scalar import Column
from headwater.types.ids import GlobalId

replace = msgspec.structs.replace


def enforcing(coord: Coordinator, old: Table, new: Table) -> Before:
    """Return what checks a table's rows against what is new in ``new``, and then enforces it.

    It raises UniqueViolation, NotNullViolation, CheckViolation, ProgramLimitExceeded.
    """
    rules = NewRules.between(old, new)
    keys = coord.group_commit.keys

    async def before(_: object) -> Callable[[], None]:
        taken = await verify(new, rules, table_rows(coord, new)) if rules.any else None

        def published() -> None:
            if new.keys != old.keys:
                keys.install(new, taken)

        return published

    return before


def with_enforcement(coord: Coordinator, work: Work, table: Table, index: Index) -> Work:
    """Return the work that makes or renames a unique index with that of its table's key."""
    keyed = with_key(table, index)
    return replace(
        work,
        ops=(*work.ops, Update(keyed)),
        before=(*work.before, enforcing(coord, table, keyed)),
        locks=(*work.locks, table.shard),
    )


def with_key(table: Table, index: Index) -> Table:
    """Return a table with the key of a unique index, in place of what it had of that index."""
    columns = dict.fromkeys(part.index for part in index.key if isinstance(part, Column))
    key = KeyConstraint(index.name, tuple(columns), index=index.id)
    rest = tuple(known for known in table.keys if known.index != index.id)
    return replace(table, keys=(*rest, key))


def tables_without(
    snapshot: CatalogSnapshot, dropped: Sequence[CatalogItem]
) -> Iterable[tuple[Table, Table]]:
    """Yield the tables that stay and lose keys when ``dropped`` goes, as they were and will be."""
    gone: set[GlobalId] = {item.id for item in dropped}
    for id in dict.fromkeys(item.on for item in dropped if isinstance(item, Index) and item.unique):
        table = snapshot.item(id)
        if id not in gone and isinstance(table, Table):
            kept = tuple(key for key in table.keys if key.index not in gone)
            yield table, replace(table, keys=kept)


def tables_with_keys(snapshot: CatalogSnapshot) -> list[Table]:
    """Return the tables that have unique indexes, with their keys; for a catalog at boot."""
    tables: dict[GlobalId, Table] = {}
    for item in snapshot.items.values():
        if isinstance(item, Index) and item.unique:
            table = tables.get(item.on) or snapshot.item(item.on)
            assert isinstance(table, Table)
            tables[table.id] = with_key(table, item)
    return list(tables.values())
