"""The builtin items that no query defines: types, tables, logs, and relations without rows.

Each keeps its ids for ever (``BuiltinIds``), by its name.
"""

from headwater.adapter.sequencer.replan import empty_relation
from headwater.catalog.allocate import BuiltinIds
from headwater.catalog.builtin.initial import (
    MZ_SYSTEM,
    builtin_privileges,
)
from headwater.catalog.builtin.logs import LOG_SCHEMA, LOGS
from headwater.catalog.builtin.pg_views import PG_VIEWS
from headwater.catalog.builtin.shapes import shape, shapes
from headwater.catalog.builtin.tables import (
    BUILTIN_TABLES,
)
from headwater.catalog.builtin.types import BUILTIN_TYPES, show_type
from headwater.catalog.builtin.views import MZ_VIEWS
from headwater.catalog.items import (
    BuiltinLog,
    BuiltinTable,
    CatalogItem,
    Type,
)
from headwater.errors import InternalError
from headwater.types.ids import SchemaId
from headwater.types.relation import RelationDesc


def builtin_items(builtin: BuiltinIds, schemas: dict[str, SchemaId]) -> list[CatalogItem]:
    """Return all of them; ``schemas`` are the system's, by name."""
    return [
        *_builtin_types(builtin, schemas),
        *_builtin_tables(builtin, schemas),
        *_builtin_logs(builtin, schemas),
        *_empty_relations(builtin, schemas),
    ]


def _builtin_types(builtin: BuiltinIds, schemas: dict[str, SchemaId]) -> list[CatalogItem]:
    items: list[CatalogItem] = []
    for made in BUILTIN_TYPES:
        record = builtin.record(f"type {made.schema}.{made.name}", oid=made.oid)
        items.append(
            Type(
                id=record.id,
                oid=record.oid,
                name=made.name,
                schema=schemas[made.schema],
                owner=MZ_SYSTEM,
                type=made.type,
                category=made.category,
                privileges=builtin_privileges("type"),
            )
        )
    return items


def _empty_relations(builtin: BuiltinIds, schemas: dict[str, SchemaId]) -> list[CatalogItem]:
    """Return the relations that have a shape and nothing that fills them."""
    filled = {table.key for table in BUILTIN_TABLES}
    filled.update(f"{LOG_SCHEMA}.{name}" for name in LOGS)
    filled.update(view.key for view in (*MZ_VIEWS, *PG_VIEWS))
    items: list[CatalogItem] = []
    for key, desc in shapes().items():
        if key not in filled:
            schema, _, name = key.partition(".")
            record = builtin.record(f"view {key}")
            items.append(empty_relation(name, desc, record, schemas[schema]))
    return items


def _builtin_logs(builtin: BuiltinIds, schemas: dict[str, SchemaId]) -> list[CatalogItem]:
    items: list[CatalogItem] = []
    for name, log in LOGS.items():
        record = builtin.record(f"log {LOG_SCHEMA}.{name}")
        items.append(
            BuiltinLog(
                id=record.id,
                oid=record.oid,
                name=name,
                schema=schemas[LOG_SCHEMA],
                owner=MZ_SYSTEM,
                privileges=builtin_privileges("source"),
                desc=shape(LOG_SCHEMA, name),
                source_kind="log",
                log=log,
            )
        )
    return items


def _builtin_tables(builtin: BuiltinIds, schemas: dict[str, SchemaId]) -> list[CatalogItem]:
    items: list[CatalogItem] = []
    for definition in BUILTIN_TABLES:
        record = builtin.record(
            f"table {definition.key}", shard=True, shape=_shape_text(definition.desc)
        )
        if record.shard is None:
            raise InternalError(f"builtin table {definition.key} has no collection")
        items.append(
            BuiltinTable(
                id=record.id,
                oid=record.oid,
                name=definition.name,
                schema=schemas[definition.schema],
                owner=MZ_SYSTEM,
                desc=definition.desc,
                shard=record.shard,
                privileges=builtin_privileges("table", definition.name),
            )
        )
    return items


def _shape_text(desc: RelationDesc) -> str:
    return ", ".join(
        f"{c.name}:{show_type(c.type)}{'?' if c.nullable else ''}" for c in desc.columns
    )
