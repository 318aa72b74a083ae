"""What builtin tables hold, and what they should: set right when a server starts."""

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.variable_rows import variable_rows
from headwater.catalog.builtin import functions
from headwater.catalog.builtin.pack import (
    comment_row,
    default_privilege_row,
    rows_of,
    size_rows,
    system_privilege_row,
    variable_row,
)
from headwater.catalog.builtin.roles import role_rows
from headwater.catalog.builtin.tables import (
    AUDIT_TABLE,
    BUILTIN_TABLES,
    HISTORY_TABLES,
    MEASURED_TABLES,
    RUNNING_TABLES,
    STATEMENT_TABLES,
)
from headwater.catalog.items import (
    BuiltinTable,
)
from headwater.catalog.rows import TableRow
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.catalog.transact import TableUpdate
from headwater.persist import flat
from headwater.persist.client import PersistClient
from headwater.types.ids import ShardId
from headwater.types.time import Timestamp


def desired_rows(snapshot: CatalogSnapshot) -> dict[str, dict[bytes, int]]:
    """Return what every builtin table that shows the catalog should hold, with multiplicities."""
    wanted: dict[str, dict[bytes, int]] = {
        table.key: {}
        for table in BUILTIN_TABLES
        if table.name not in RUNNING_TABLES and table.name != AUDIT_TABLE
    }
    entities = (
        *snapshot.databases.values(),
        *snapshot.schemas.values(),
        *snapshot.clusters.values(),
        *snapshot.roles.values(),
        *snapshot.policies.values(),
        *snapshot.items.values(),
    )
    rows = [row for entity in entities for row in rows_of(snapshot, entity)]
    rows.extend(comment_row(key, comment) for key, comment in snapshot.comments.items())
    rows.extend(variable_rows())
    rows.extend(variable_row(name, value) for name, value in snapshot.variables.items())
    rows.extend(role_rows(snapshot.roles, snapshot.system_privileges))
    rows.extend(system_privilege_row(item) for item in snapshot.system_privileges)
    rows.extend(default_privilege_row(*entry) for entry in snapshot.default_privileges.items())
    rows.extend(functions.rows(snapshot))
    rows.extend(size_rows(snapshot.sizes.values()))
    for table, row in rows:
        held = wanted[table]
        held[row] = held.get(row, 0) + 1
    return wanted


class Earlier(msgspec.Struct, frozen=True):
    """The rows of the tables that earlier servers' words stay in."""

    history: set[TableRow]
    statements: dict[str, dict[bytes, int]]  # by table, without its schema


async def correct_builtin_tables(coord: Coordinator, txns_shard: ShardId) -> Earlier:
    """Write the difference between what builtin tables hold and what they should hold."""
    wanted = desired_rows(coord.snapshot)
    history: set[TableRow] = set()
    statements: dict[str, dict[bytes, int]] = {}
    updates: list[TableUpdate] = []
    ts = coord.oracle.read_ts()
    for item in coord.snapshot.items.values():
        if not isinstance(item, BuiltinTable):
            continue
        if item.name in MEASURED_TABLES:
            continue
        key = ".".join(coord.snapshot.full_name(item))
        held = await read_table(coord.persist, txns_shard, item.shard, ts)
        if item.name == AUDIT_TABLE:
            updates.extend(coord.audit.missing(held))
            continue
        if item.name in HISTORY_TABLES:
            history.update((key, row) for row in held)
            continue
        if item.name in STATEMENT_TABLES:
            statements[item.name] = held
            continue
        target = wanted.get(key, {})
        for row in held.keys() | target.keys():
            diff = target.get(row, 0) - held.get(row, 0)
            if diff:
                updates.append(TableUpdate(key, row, diff))
    await coord.write_tables(updates)
    coord.audit.note_shown()
    return Earlier(history, statements)


async def read_table(
    persist: PersistClient, txns_shard: ShardId, shard: ShardId, ts: Timestamp
) -> dict[bytes, int]:
    """Return a table's rows as of ``ts`` with their multiplicities."""
    return flat.multiplicities(await read_batches(persist, txns_shard, shard, ts))


async def read_batches(
    persist: PersistClient, txns_shard: ShardId, shard: ShardId, ts: Timestamp
) -> list[bytes]:
    """Return a table's rows as of ``ts``, as flat batches."""
    reader = await persist.open_reader(shard, txns=txns_shard)
    try:
        snapshot = await reader.snapshot(ts)
        return [await reader.fetch_flat(ref) for ref in snapshot.parts]
    finally:
        await reader.close()
