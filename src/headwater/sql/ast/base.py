"""What all nodes share: the root class, names, and data types."""

from __future__ import annotations

import enum
from typing import TypeAlias

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A piece of a statement.

    ``position`` counts characters of the statement's text from 1; 0 where unknown. Equality
    includes it: compare with ``visit.same`` to ignore positions. Nodes cannot form a cycle, since
    they are frozen, so the cyclic collector does not track them.
    """

    position: int = 0


class ObjectName(Node, frozen=True, gc=False):
    """A possibly qualified name, already folded to lower case unless it was quoted.

    ``id`` is set for the resolved form ``[u1 AS db.schema.item]``, which stored SQL uses so that a
    renamed object keeps its dependents; ``version`` (``[u1 AS db.schema.item VERSION 0]``) counts
    the columns that had been added to a table, and means it without those that came later.
    """

    parts: tuple[str, ...]
    id: str | None = None
    version: int | None = None

    @property
    def last(self) -> str:
        """Return the object's own name, without its qualifiers."""
        return self.parts[-1]


class ObjectKind(enum.StrEnum):
    """The kinds of objects that DDL names; the value is the SQL spelling."""

    TABLE = "TABLE"
    VIEW = "VIEW"
    MATERIALIZED_VIEW = "MATERIALIZED VIEW"
    SOURCE = "SOURCE"
    SUBSOURCE = "SUBSOURCE"
    SINK = "SINK"
    INDEX = "INDEX"
    TYPE = "TYPE"
    ROLE = "ROLE"
    CLUSTER = "CLUSTER"
    CLUSTER_REPLICA = "CLUSTER REPLICA"
    SECRET = "SECRET"
    CONNECTION = "CONNECTION"
    DATABASE = "DATABASE"
    SCHEMA = "SCHEMA"
    FUNCTION = "FUNCTION"
    NETWORK_POLICY = "NETWORK POLICY"
    COLUMN = "COLUMN"
    OBJECT = "OBJECT"
    SYSTEM = "SYSTEM"


class NamedType(Node, frozen=True, gc=False):
    """A type by name, with its modifiers: ``numeric(10, 2)``.

    SQL's spelled-out types come under PostgreSQL's internal names: ``double precision`` is
    ``float8``, ``timestamp with time zone`` is ``timestamptz``, ``character varying`` is
    ``varchar``, ``int`` and ``integer`` are ``int4``.
    """

    name: ObjectName
    modifiers: tuple[int, ...] = ()


class ArrayType(Node, frozen=True, gc=False):
    """``element[]``; as in PostgreSQL the number of dimensions says nothing about the values."""

    element: DataType
    dimensions: int = 1


class ListType(Node, frozen=True, gc=False):
    """``element list``."""

    element: DataType


class MapType(Node, frozen=True, gc=False):
    """``map[key => value]``."""

    key: DataType
    value: DataType


DataType: TypeAlias = NamedType | ArrayType | ListType | MapType


class ColumnDefinition(Node, frozen=True, gc=False):
    """A column with a type and nothing else: record types, recursive bindings, formats."""

    name: str
    data_type: DataType
