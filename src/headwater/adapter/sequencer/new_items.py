"""What CREATE of all kinds shares: ids, places and shards of new items."""

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.ddl import Work
from headwater.adapter.session import Session, notice
from headwater.catalog.items import CatalogItem, Schema
from headwater.catalog.ops import Create, Op
from headwater.catalog.snapshot import TEMP_SCHEMA, CatalogSnapshot
from headwater.sql.plan import ddl
from headwater.types.ids import GlobalId, SchemaId, ShardId

# Which SQLSTATE says that there is one already; of relations it is 42P07.
_DUPLICATES = {"database": "42P04", "schema": "42P06", "connection": "42710", "secret": "42710"}
ITEM_NOUN = {"connection": "catalog item", "secret": "catalog item", "type": "type"}


def new_shard(coord: Coordinator, id: GlobalId) -> ShardId:
    """Return the name of a new item's shard, never used before."""
    return ShardId(f"{id}-{coord.rng.token().hex()[:16]}")


def exists_notice(kind: str, name: str) -> Work:
    """Return the work of IF NOT EXISTS where the object does exist."""
    noun = ITEM_NOUN.get(kind, "relation" if kind not in ("database", "schema") else kind)
    sqlstate = _DUPLICATES.get(kind, "42P07")
    said = notice(f'{noun} "{name}" already exists, skipping', sqlstate)
    return Work(tag=f"CREATE {kind.upper()}", notices=(said,))


def schema_for(
    session: Session, snapshot: CatalogSnapshot, path: ddl.ItemPath
) -> tuple[SchemaId, tuple[Op, ...]]:
    """Return the schema of a new item, and what makes it: a temporary one is made on first use."""
    if path.schema_id is not None:
        return path.schema_id, ()
    if path.schema != TEMP_SCHEMA:
        found = snapshot.schema(
            (path.schema,) if path.database is None else (path.database, path.schema),
            session.database,
        )
        return found.id, ()
    id = SchemaId(f"t{session.conn}")
    session.temp_schema = id
    if id in snapshot.schemas:
        return id, ()
    schema = Schema(id=id, oid=0, name=TEMP_SCHEMA, owner=session.role)
    return id, (Create(schema),)


class NewItem(msgspec.Struct, frozen=True):
    """The ids and place of an item to be made."""

    id: GlobalId
    oid: int
    schema: SchemaId
    ops: tuple[Op, ...]
    taken: CatalogItem | None


def new_item(
    coord: Coordinator,
    session: Session,
    snapshot: CatalogSnapshot,
    path: ddl.ItemPath,
    *,
    temporary: bool = False,
) -> NewItem:
    """Return where a new item goes and its ids; ``taken`` is what has the name already."""
    schema, ops = schema_for(session, snapshot, path)
    id = coord.ids.transient() if temporary else coord.ids.item()
    return NewItem(id, coord.ids.oid(), schema, ops, snapshot.item_in(schema, path.item))
