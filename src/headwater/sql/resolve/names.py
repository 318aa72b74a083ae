"""Names of catalog objects in one statement, and the ids by which stored SQL refers to them.

A :class:`NameResolver` lives as long as the planning of a statement. It remembers each item it was
asked for: their ids are the statement's dependencies, and :meth:`NameResolver.stored` rewrites a
statement so that its names are ``[id AS database.schema.item]``, which survive renames.
"""

from typing import TypeVar

import msgspec

from headwater.catalog.items import CatalogItem, Cluster, ItemKind, Role, Schema, Type
from headwater.catalog.snapshot import TEMP_SCHEMA, CatalogSnapshot
from headwater.errors import (
    FeatureNotSupported,
    InvalidName,
    ReservedName,
    UndefinedObject,
    UndefinedTable,
    WrongObjectType,
)
from headwater.sql.ast.base import Node, ObjectName
from headwater.types.ids import GlobalId, SchemaId

N = TypeVar("N", bound=Node)

IDENTIFIER_BYTES_MAX = 255
RESERVED_PREFIXES = ("mz_", "pg_", "external_")
_FORBIDDEN = frozenset({"", ".", ".."})


class NameResolver:
    """Looks names up for one session and remembers what was found.

    Attributes:
        used: Ids of the items that the statement refers to, in order of appearance.
    """

    def __init__(
        self,
        catalog: CatalogSnapshot,
        search_path: tuple[str, ...],
        database: str,
        temp_schema: SchemaId | None = None,
    ) -> None:
        self.catalog = catalog
        self.search_path = search_path
        self.database = database
        self.temp_schema = temp_schema
        self.used: dict[GlobalId, None] = {}
        self._rewrites: dict[int, tuple[ObjectName, ObjectName]] = {}

    # Items.

    def item(self, name: ObjectName) -> CatalogItem:
        """Return the item that ``name`` means. Raises: UndefinedTable, InvalidSchemaName."""
        if name.id is not None:
            item = self.catalog.item(GlobalId(name.id))
        else:
            item = self.catalog.resolve_item(
                name.parts,
                self.search_path,
                self.database,
                temp_schema=self.temp_schema,
                position=name.position,
            )
        self._remember(name, item)
        return item

    def try_item(self, name: ObjectName) -> CatalogItem | None:
        """Return the item that ``name`` means, None if there is none."""
        if name.id is not None:
            item = self.catalog.try_item(GlobalId(name.id))
        else:
            item = self.catalog.try_resolve_item(
                name.parts, self.search_path, self.database, temp_schema=self.temp_schema
            )
        if item is not None:
            self._remember(name, item)
        return item

    def item_of_kind(self, name: ObjectName, *kinds: ItemKind) -> CatalogItem:
        """Return the item, which must be of one of ``kinds``.

        Raises: WrongObjectType; for other things than relations UndefinedObject where the name is
            unknown.
        """
        noun = kinds[0].noun
        try:
            item = self.item(name)
        except UndefinedTable as error:
            raise self.unknown(noun, name, error) from None
        if item.kind not in kinds:
            raise WrongObjectType(f'"{item.name}" is not {_article(noun)}', position=name.position)
        return item

    def unknown(
        self, noun: str, name: ObjectName, error: UndefinedTable
    ) -> UndefinedTable | UndefinedObject:
        """Return the error for an unknown object of this kind."""
        shown = ".".join(name.parts)
        cls = UndefinedTable if noun in _RELATION_NOUNS else UndefinedObject
        noun = "relation" if noun in _RELATION_NOUNS else noun
        return cls(f'{noun} "{shown}" does not exist', hint=error.hint, position=name.position)

    def type_item(self, name: ObjectName) -> Type:
        """Return the named type. Raises: UndefinedObject."""
        if name.id is not None:
            item = self.catalog.item(GlobalId(name.id))
            if not isinstance(item, Type):
                raise WrongObjectType(f'"{item.name}" is not a type', position=name.position)
        else:
            item = self.catalog.resolve_type(
                name.parts,
                self.search_path,
                self.database,
                temp_schema=self.temp_schema,
                position=name.position,
            )
        if not item.is_builtin:
            self._remember(name, item)
        return item

    def use(self, id: GlobalId) -> None:
        """Note that the statement depends on ``id`` though it does not name it."""
        self.used[id] = None

    def _remember(self, name: ObjectName, item: CatalogItem) -> None:
        self.used[item.id] = None
        resolved = msgspec.structs.replace(name, parts=self.catalog.full_name(item), id=item.id)
        self._rewrites[id(name)] = (name, resolved)

    # Clusters, roles, schemas: global or rarely qualified.

    def cluster(self, name: ObjectName | str, position: int = 0) -> Cluster:
        """Return the cluster. Raises: UndefinedObject."""
        if isinstance(name, str):
            return self.catalog.cluster(name, position=position)
        if name.id is not None:
            for cluster in self.catalog.clusters.values():
                if cluster.id == name.id:
                    return cluster
            raise UndefinedObject(f"unknown cluster '{name.last}'", position=name.position)
        cluster = self.catalog.cluster(name.last, position=name.position)
        resolved = msgspec.structs.replace(name, parts=(cluster.name,), id=cluster.id)
        self._rewrites[id(name)] = (name, resolved)
        return cluster

    def role(self, name: str, position: int = 0) -> Role:
        """Return the role. Raises: UndefinedObject."""
        return self.catalog.role(name, position=position)

    def schema(self, name: ObjectName) -> Schema:
        """Return the schema. Raises: InvalidSchemaName."""
        return self.catalog.schema(
            name.parts, self.database, temp_schema=self.temp_schema, position=name.position
        )

    def schema_to_create_in(self, name: ObjectName, *, temporary: bool = False) -> Schema | None:
        """Return the schema that a new item called ``name`` goes to; None for ``mz_temp``.

        Raises: InvalidSchemaName, InvalidName, ReservedName (the schema is the system's).
        """
        check_identifier(name.last, name.position)
        if temporary or (len(name.parts) > 1 and name.parts[-2] == TEMP_SCHEMA):
            if len(name.parts) > 1 and name.parts[-2] != TEMP_SCHEMA:
                raise FeatureNotSupported(
                    "cannot create a temporary item in a schema that is not temporary",
                    position=name.position,
                )
            return None
        if len(name.parts) > 3:
            raise InvalidName(
                f"improper qualified name (too many dotted names): {'.'.join(name.parts)}",
                position=name.position,
            )
        if len(name.parts) > 1:
            schema = self.catalog.schema(name.parts[:-1], self.database, position=name.position)
        else:
            schema = self.catalog.creation_schema(
                self.search_path, self.database, position=name.position
            )
        if schema.database is None:
            raise ReservedName(
                f"permission denied for schema {schema.name}", position=name.position
            )
        return schema

    def new_name(self, name: ObjectName, path: tuple[str, ...]) -> None:
        """Note that the statement's own ``name`` is, in full, ``path``."""
        resolved = msgspec.structs.replace(name, parts=path, id=None)
        self._rewrites[id(name)] = (name, resolved)

    # Stored SQL.

    def stored(self, statement: N) -> N:
        """Return ``statement`` with the names that were resolved replaced by ids and full names."""
        rewritten = self._rewrite(statement)
        assert isinstance(rewritten, type(statement))
        return rewritten

    def _rewrite(self, value: object) -> object:
        if isinstance(value, tuple):
            items = tuple(self._rewrite(item) for item in value)
            same = all(new is old for new, old in zip(items, value, strict=True))
            return value if same else items
        if not isinstance(value, Node):
            return value
        if isinstance(value, ObjectName):
            found = self._rewrites.get(id(value))
            return value if found is None else found[1]
        changes = {}
        for field in value.__struct_fields__:
            old = getattr(value, field)
            if isinstance(old, tuple | Node):
                new = self._rewrite(old)
                if new is not old:
                    changes[field] = new
        return msgspec.structs.replace(value, **changes) if changes else value


_RELATION_NOUNS = frozenset({"table", "source", "view", "materialized view"})


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def check_identifier(name: str, position: int = 0) -> None:
    """Refuse names that nothing may have. Raises: InvalidName."""
    if name in _FORBIDDEN:
        raise InvalidName(f'invalid identifier: "{name}"', position=position)
    if len(name.encode()) > IDENTIFIER_BYTES_MAX:
        raise InvalidName(
            f'identifier length exceeds {IDENTIFIER_BYTES_MAX} bytes: "{name[:40]}…"',
            position=position,
        )


def check_not_reserved(noun: str, name: str, position: int = 0) -> None:
    """Refuse names kept for the system. Raises: ReservedName."""
    check_identifier(name, position)
    if name.startswith(RESERVED_PREFIXES):
        prefix = next(p for p in RESERVED_PREFIXES if name.startswith(p))
        raise ReservedName(
            f'unacceptable {noun} name "{name}"',
            detail=f'The prefix "{prefix}" is reserved for system {noun}s.',
            position=position,
        )
