"""What PostgreSQL's catalogs say of objects: rows of the tables that ``pg_views`` are made of."""

import re
from collections.abc import Iterator, Sequence
from zlib import crc32

from headwater.catalog import rows as r
from headwater.catalog.builtin.types import BUILTIN_TYPES, type_modifier, type_oid
from headwater.catalog.items import (
    CatalogItem,
    Database,
    Index,
    Item,
    ItemKind,
    Schema,
    Table,
    relation_desc,
    stored_desc,
)
from headwater.catalog.privileges import PUBLIC, Acl
from headwater.catalog.rows import TableRow
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.ir.scalar import Column
from headwater.ir.visit import columns_of
from headwater.types.ids import RoleId
from headwater.types.scalar import TEXT, BaseType, ColumnType, ScalarType

# Object ids from here on are hashes of what they mean.
HASHED_OIDS = 1 << 30
_BUILTIN_BY_OID = {builtin.oid: builtin for builtin in BUILTIN_TYPES}


def _internal(table: str, *datums: bytes) -> TableRow:
    return f"mz_internal.{table}", b"".join(datums)


def acl_names(snapshot: CatalogSnapshot, id: str, privileges: Acl) -> bytes:
    """Return privileges with the names that roles have now; NULL where there are none."""
    if not privileges or id.startswith("s"):
        return r.NULL

    def name(role: RoleId) -> str:
        known = snapshot.roles.get(role)
        return role if known is None else known.name

    return r.text_array(
        [
            f"{'' if a.grantee == PUBLIC else name(a.grantee)}={a.letters}/{name(a.grantor)}"
            for a in privileges
        ]
    )


def space_row(snapshot: CatalogSnapshot, object: Database | Schema) -> TableRow:
    """Return what PostgreSQL's catalogs say of a database or schema."""
    database = None
    if isinstance(object, Schema) and object.database is not None:
        database = snapshot.databases[object.database].name
    return _internal(
        "mz_space_details",
        r.text(object.id),
        r.integer(object.oid),
        r.text("schema" if isinstance(object, Schema) else "database"),
        r.text(object.name),
        r.integer(role_oid(snapshot, object.owner)),
        r.text(database),
        acl_names(snapshot, object.id, object.privileges),
    )


def role_oid(snapshot: CatalogSnapshot, role: RoleId) -> int:
    """Return a role's object id; 0 if it is gone."""
    known = snapshot.roles.get(role)
    return 0 if known is None else known.oid


def database_name(snapshot: CatalogSnapshot, item: Item) -> bytes:
    """Return the datum of the name of an item's database; NULL for the system's items."""
    database = snapshot.schemas[item.schema].database
    return r.text(None if database is None else snapshot.databases[database].name)


def class_rows(snapshot: CatalogSnapshot, item: CatalogItem) -> Iterator[TableRow]:
    """Yield what PostgreSQL's catalogs say of a relation or index, and of its columns."""
    kind = _RELATION_KINDS.get(item.kind)
    if kind is None:
        return
    desc = relation_desc(item)
    columns = desc.columns if desc is not None else ()
    database = database_name(snapshot, item)
    natts = len(item.key) if isinstance(item, Index) else len(columns)
    yield _class(snapshot, item, item.oid, item.name, kind, natts)
    defaults = shown_defaults(item, len(columns))
    for number, column in enumerate(columns):
        yield _attribute(
            item.oid,
            number,
            column.name,
            column.type,
            database,
            nullable=column.nullable,
            has_default=defaults[number] is not None,
        )
    if isinstance(item, Index):
        on = snapshot.try_item(item.on)
        of = stored_desc(on) if on is not None else None
        for number, expr in enumerate(item.key):
            named = of.columns[expr.index] if of is not None and isinstance(expr, Column) else None
            name = named.name if named is not None else "expr"
            declared = getattr(expr, "type", None)
            type_ = declared.type if isinstance(declared, ColumnType) else TEXT
            type_ = named.type if named is not None else type_
            yield _attribute(item.oid, number, name, type_, database)


def shown_defaults(item: CatalogItem, width: int) -> Sequence[str | None]:
    """Return the DEFAULT of each of a relation's ``width`` columns."""
    if not isinstance(item, Table) or not item.defaults:
        return [None] * width
    return [item.defaults[place] for place in item.shown]


def _class(
    snapshot: CatalogSnapshot, item: CatalogItem, oid: int, name: str, kind: str, natts: int
) -> TableRow:
    """Return the row of a relation, or of an index that belongs to one of its constraints."""
    is_table = isinstance(item, Table) and kind == "r"
    return _internal(
        "mz_class_details",
        r.text(item.id),
        r.integer(oid),
        r.text(name),
        r.integer(snapshot.schemas[item.schema].oid),
        r.integer(role_oid(snapshot, item.owner)),
        r.text(kind),
        r.integer(natts),
        r.integer(len(item.checks) if is_table and isinstance(item, Table) else 0),
        r.boolean(is_table and isinstance(item, Table) and any(k.index is None for k in item.keys)),
        r.text("t" if item.is_temporary else "p"),
        database_name(snapshot, item),
        acl_names(snapshot, item.id, item.privileges),
    )


def constraint_rows(snapshot: CatalogSnapshot, table: Table) -> Iterator[TableRow]:
    """Yield the constraints of a table. A key has an index, of its name, as in PostgreSQL."""
    schema = snapshot.schemas[table.schema].oid
    database = database_name(snapshot, table)
    for key in table.keys:
        if key.index is not None:
            continue
        columns = [table.desc.columns[index] for index in key.columns]
        listed = ", ".join(quoted(column.name) for column in columns)
        kind = "PRIMARY KEY" if key.primary else "UNIQUE"
        nulls_distinct = key.primary or key.nulls_distinct
        distinct = "" if nulls_distinct else " NULLS NOT DISTINCT"
        index = hashed_oid(f"index {table.oid}.{key.name}")
        yield _constraint(
            table,
            key.name,
            schema,
            "p" if key.primary else "u",
            index,
            key.columns,
            f"{kind}{distinct} ({listed})",
            None,
            nulls_distinct=nulls_distinct,
        )
        yield _class(snapshot, table, index, key.name, "i", len(columns))
        yield oid_name(snapshot, table, index, key.name)
        on = ".".join(quoted(part) for part in snapshot.full_name(table)[-2:])
        created = (
            f"CREATE UNIQUE INDEX {quoted(key.name)} ON {on} USING arrangement ({listed}){distinct}"
        )
        for position, text in enumerate((created, *(column.name for column in columns))):
            yield definition(index, position, text)
        for number, column in enumerate(columns):
            yield _attribute(index, number, column.name, column.type, database)
    for check in table.checks:
        used = sorted(columns_of(check.predicate))
        yield _constraint(
            table, check.name, schema, "c", 0, used, f"CHECK (({check.sql}))", check.sql
        )


def _constraint(
    table: Table,
    name: str,
    schema: int,
    kind: str,
    index: int,
    columns: Sequence[int],
    said: str,
    predicate: str | None,
    *,
    nulls_distinct: bool = True,
) -> TableRow:
    return _internal(
        "mz_constraints",
        r.integer(hashed_oid(f"constraint {table.oid}.{name}")),
        r.text(table.id),
        r.text(name),
        r.integer(schema),
        r.integer(table.oid),
        r.text(kind),
        r.integer(index),
        r.integer_array([table.shown.index(column) + 1 for column in columns]),
        r.text(said),
        r.text(predicate),
        r.boolean(nulls_distinct),
    )


def hashed_oid(text: str) -> int:
    """Return the object id of what has none of its own: always that of its text."""
    return HASHED_OIDS | crc32(text.encode()) & (HASHED_OIDS - 1)


_RELATION_KINDS = {
    ItemKind.TABLE: "r",
    ItemKind.SOURCE: "r",
    ItemKind.VIEW: "v",
    ItemKind.MATERIALIZED_VIEW: "m",
    ItemKind.INDEX: "i",
}


def _attribute(
    oid: int,
    number: int,
    name: str,
    type_: ScalarType,
    database: bytes,
    *,
    nullable: bool = True,
    has_default: bool = False,
) -> TableRow:
    builtin = _BUILTIN_BY_OID.get(type_oid(type_))
    return _internal(
        "mz_attribute_details",
        r.integer(oid),
        r.text(name),
        r.integer(type_oid(type_)),
        r.integer(-1 if builtin is None else builtin.size),
        r.integer(number + 1),
        r.integer(type_modifier(type_)),
        r.integer(int(type_.base is BaseType.ARRAY)),
        r.boolean(not nullable),
        r.boolean(has_default),
        database,
    )


_NAME_SPACES = {"type": "type", "connection": "connection", "secret": "secret"}


def oid_name(snapshot: CatalogSnapshot, item: CatalogItem, oid: int, name: str) -> TableRow:
    """Return what an oid in an item's schema means by name, in the name space for its kind."""
    schema = snapshot.schemas[item.schema]
    database = None if schema.database is None else snapshot.databases[schema.database].name
    return _internal(
        "mz_oid_names",
        r.text(_NAME_SPACES.get(item.kind.value, "class")),
        r.text(item.id),
        r.integer(oid),
        r.text(name),
        r.text(schema.name),
        r.text(database),
    )


def definition(oid: int, position: int, text: str) -> TableRow:
    """Return how an index is said in SQL (position 0), or one of its key's columns."""
    return _internal("mz_index_definitions", r.integer(oid), r.integer(position), r.text(text))


_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")


def quoted(name: str) -> str:
    """Return a name as SQL spells it."""
    if _PLAIN_NAME.match(name):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
