"""The catalog's durable form: rows ``(kind, key, value)`` of texts, the value JSON.

Kinds: ``meta`` (format, epoch, counters), ``database``, ``schema``, ``item``, ``cluster``,
``role``, ``policy``, ``system_privileges``, ``default_privilege``, ``variable``, ``comment``,
``secret``, ``audit`` (events that the audit log's collection may not hold yet) and ``builtin`` (the
ids of builtin objects). Items keep what can't be derived from their statement;
:class:`DurableItem` holds that.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

import msgspec

from headwater.catalog.items import (
    CatalogItem,
    Cluster,
    CommentKey,
    Database,
    Index,
    ItemKind,
    MaterializedView,
    NetworkPolicy,
    Role,
    Schema,
    Sink,
    Source,
    Table,
)
from headwater.catalog.layout import Layout
from headwater.catalog.privileges import Acl, DefaultPrivilegeKey, owned
from headwater.errors import DataCorrupted
from headwater.types.ids import ClusterId, GlobalId, RoleId, SchemaId, ShardId
from headwater.types.time import Timestamp


class Kind(StrEnum):
    """The kinds of rows."""

    META = "meta"
    DATABASE = "database"
    SCHEMA = "schema"
    ITEM = "item"
    CLUSTER = "cluster"
    ROLE = "role"
    POLICY = "policy"
    SYSTEM_PRIVILEGES = "system_privileges"
    DEFAULT_PRIVILEGE = "default_privilege"
    VARIABLE = "variable"
    COMMENT = "comment"
    SECRET = "secret"
    AUDIT = "audit"
    BUILTIN = "builtin"


RowKey = tuple[str, str]  # kind, key
State = dict[RowKey, str]


class Change(msgspec.Struct, frozen=True):
    """A row that a transaction makes, changes or removes; None where it was or is absent."""

    key: RowKey
    old: str | None
    new: str | None


class DurableItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item as stored: its statement, and what the statement does not say."""

    id: GlobalId
    kind: ItemKind
    oid: int
    name: str
    schema: SchemaId
    owner: RoleId
    create_sql: str
    shard: ShardId | None = None
    cluster: ClusterId | None = None
    parent: GlobalId | None = None
    progress: GlobalId | None = None
    source: GlobalId | None = None
    source_kind: str | None = None
    reference: tuple[str, ...] = ()
    as_of: Timestamp | None = None
    version: int = 0
    retain_history_ms: int | None = None
    added: tuple[bytes, ...] = ()  # as ``RelationDesc.added``
    layout: Layout | None = None
    granted: Acl | None = None  # None in rows written before privileges were recorded

    @property
    def privileges(self) -> Acl:
        """Return the item's privileges."""
        return owned(self.kind.noun, self.owner) if self.granted is None else self.granted


class BuiltinRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ids of a builtin object, by ``schema.name``; of a table its columns too."""

    id: GlobalId
    oid: int
    shard: ShardId | None = None
    shape: str = ""


def durable_item(item: CatalogItem) -> DurableItem:
    """Return the stored form of an item."""
    more: dict[str, object] = {}
    match item:
        case Table():
            more = {
                "shard": item.shard,
                "source": item.source,
                "reference": item.reference,
                "retain_history_ms": item.retain_history_ms,
                "added": item.desc.added,
                "layout": item.layout,
            }
        case Source():
            more = {
                "shard": item.shard,
                "cluster": item.cluster,
                "parent": item.parent,
                "progress": item.progress,
                "source_kind": item.source_kind,
                "reference": item.reference,
                "retain_history_ms": item.retain_history_ms,
            }
        case MaterializedView():
            more = {
                "shard": item.shard,
                "cluster": item.cluster,
                "retain_history_ms": item.retain_history_ms,
            }
        case Index():
            more = {"cluster": item.cluster, "retain_history_ms": item.retain_history_ms}
        case Sink():
            more = {"cluster": item.cluster, "as_of": item.as_of, "version": item.version}
        case _:
            pass
    return msgspec.convert(
        {
            "id": item.id,
            "kind": item.kind,
            "oid": item.oid,
            "name": item.name,
            "schema": item.schema,
            "owner": item.owner,
            "create_sql": item.create_sql,
            "granted": item.privileges,
            **more,
        },
        DurableItem,
    )


def encode_object(
    object: Database | Schema | CatalogItem | Cluster | Role | NetworkPolicy,
) -> tuple[RowKey, str]:
    """Return the row of an object."""
    match object:
        case Database():
            return (Kind.DATABASE, object.id), to_json(object)
        case Schema():
            return (Kind.SCHEMA, object.id), to_json(object)
        case Cluster():
            return (Kind.CLUSTER, object.id), to_json(object)
        case Role():
            return (Kind.ROLE, object.id), to_json(object)
        case NetworkPolicy():
            return (Kind.POLICY, object.id), to_json(object)
        case _:
            return (Kind.ITEM, object.id), to_json(durable_item(object))


def comment_row_key(key: CommentKey) -> RowKey:
    """Return the key of a comment's row."""
    return (Kind.COMMENT, to_json(key))


def default_privilege_row_key(key: DefaultPrivilegeKey) -> RowKey:
    """Return the key of a default privilege's row; the row holds its letters."""
    return (Kind.DEFAULT_PRIVILEGE, to_json(key))


SYSTEM_PRIVILEGES_ROW: RowKey = (Kind.SYSTEM_PRIVILEGES, "")


T = TypeVar("T")


def to_json(value: object) -> str:
    """Return the JSON of a struct, its keys in the order of its fields."""
    return msgspec.json.encode(value).decode()


def from_json(text: str, type_: type[T]) -> T:
    """Return the struct in ``text``. Raises: DataCorrupted."""
    try:
        return msgspec.json.decode(text.encode(), type=type_)
    except msgspec.MsgspecError as err:
        raise DataCorrupted(f"the catalog holds a malformed {type_.__name__}") from err


def decode_kind(state: Mapping[RowKey, str], kind: Kind, type_: type[T]) -> list[T]:
    """Return all objects of one kind."""
    return [from_json(value, type_) for (of, _), value in state.items() if of == kind]
