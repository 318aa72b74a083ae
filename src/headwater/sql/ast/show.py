"""The SHOW statements. All may stand as a query's body, except the form for variables."""

from __future__ import annotations

from typing import TypeAlias

from headwater.sql.ast.base import Node, ObjectKind, ObjectName
from headwater.sql.ast.query import Expr, Show


class ShowLike(Node, frozen=True, gc=False):
    """``LIKE 'pattern'`` over the names shown."""

    pattern: str


class ShowWhere(Node, frozen=True, gc=False):
    """``WHERE condition`` over the columns shown."""

    condition: Expr


ShowFilter: TypeAlias = ShowLike | ShowWhere


class ShowObjects(Show, frozen=True, gc=False):
    """``SHOW <kind>s [FROM container] [ON object] [IN CLUSTER c] [filter]``.

    ``kind`` OBJECT is SHOW OBJECTS. ``container`` is the schema (a database for SCHEMAS).
    """

    kind: ObjectKind
    container: ObjectName | None = None
    on: ObjectName | None = None
    in_cluster: str | None = None
    filter: ShowFilter | None = None


class ShowColumns(Show, frozen=True, gc=False):
    """``SHOW COLUMNS FROM relation [filter]``."""

    relation: ObjectName
    filter: ShowFilter | None = None


class ShowCreate(Show, frozen=True, gc=False):
    """``SHOW [REDACTED] CREATE <kind> name``."""

    kind: ObjectKind
    name: ObjectName
    redacted: bool = False


class ShowPrivileges(Show, frozen=True, gc=False):
    """``SHOW [DEFAULT] PRIVILEGES [ON <kind>s] [FOR role] [filter]``."""

    on: ObjectKind | None = None
    role: str | None = None
    default: bool = False
    filter: ShowFilter | None = None


class ShowRoleMembership(Show, frozen=True, gc=False):
    """``SHOW ROLE MEMBERSHIP [FOR role] [filter]``."""

    role: str | None = None
    filter: ShowFilter | None = None


class ShowVariable(Show, frozen=True, gc=False):
    """``SHOW name``; None is ALL."""

    name: str | None


class InspectShard(Show, frozen=True, gc=False):
    """``INSPECT SHARD 'id'`` (``SHOW INSPECT SHARD``)."""

    shard: str
