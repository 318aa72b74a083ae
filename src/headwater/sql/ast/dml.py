"""Statements that read and write rows: INSERT to COPY, SUBSCRIBE, cursors, prepared statements.

``Prepare`` and ``Declare`` hold a ``statement.Statement``, which this module cannot name: the union
has them as members. The same goes for ``explain``.
"""

from __future__ import annotations

import enum

from headwater.sql.ast.base import DataType, Node, ObjectName
from headwater.sql.ast.option import Option
from headwater.sql.ast.query import AsOf, Expr, OrderItem, Query, SelectItem, TableExpr


class Assignment(Node, frozen=True, gc=False):
    """``column = value``, or ``(column, …) = row`` where there are several columns."""

    columns: tuple[str, ...]
    value: Expr


class OnConflict(Node, frozen=True, gc=False):
    """``ON CONFLICT [(column, …) | ON CONSTRAINT name] DO NOTHING | UPDATE SET …``.

    NOTHING has no assignments.
    """

    columns: tuple[str, ...]
    assignments: tuple[Assignment, ...] = ()
    where: Expr | None = None
    constraint: str | None = None


class Insert(Node, frozen=True, gc=False):
    """``INSERT INTO table [AS alias] [(columns)] source``; source None is DEFAULT VALUES."""

    table: ObjectName
    columns: tuple[str, ...]
    source: Query | None
    alias: str | None = None
    on_conflict: OnConflict | None = None
    returning: tuple[SelectItem, ...] = ()


class Update(Node, frozen=True, gc=False):
    """``UPDATE table [AS alias] SET … [FROM …] [WHERE …] [RETURNING …]``."""

    table: ObjectName
    assignments: tuple[Assignment, ...]
    alias: str | None = None
    from_: tuple[TableExpr, ...] = ()
    where: Expr | None = None
    returning: tuple[SelectItem, ...] = ()


class Delete(Node, frozen=True, gc=False):
    """``DELETE FROM table [AS alias] [USING …] [WHERE …] [RETURNING …]``."""

    table: ObjectName
    alias: str | None = None
    using: tuple[TableExpr, ...] = ()
    where: Expr | None = None
    returning: tuple[SelectItem, ...] = ()


class MergeAction(enum.StrEnum):
    """What a MERGE clause does."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    NOTHING = "DO NOTHING"


class MergeMatch(enum.StrEnum):
    """Which rows a MERGE clause is about."""

    MATCHED = "MATCHED"
    NOT_MATCHED = "NOT MATCHED"
    NOT_MATCHED_BY_SOURCE = "NOT MATCHED BY SOURCE"


class MergeClause(Node, frozen=True, gc=False):
    """``WHEN match [AND condition] THEN action``; an INSERT without values is DEFAULT VALUES."""

    match: MergeMatch
    action: MergeAction
    condition: Expr | None = None
    assignments: tuple[Assignment, ...] = ()
    columns: tuple[str, ...] = ()
    values: tuple[Expr, ...] = ()


class Merge(Node, frozen=True, gc=False):
    """``MERGE INTO table [AS alias] USING source ON condition clause …``."""

    table: ObjectName
    source: TableExpr
    condition: Expr
    clauses: tuple[MergeClause, ...]
    alias: str | None = None


class Truncate(Node, frozen=True, gc=False):
    """``TRUNCATE [TABLE] table, … [CASCADE | RESTRICT]``."""

    tables: tuple[ObjectName, ...]


class SubscribeEnvelope(enum.StrEnum):
    """The forms of SUBSCRIBE's output that take a key."""

    UPSERT = "UPSERT"
    DEBEZIUM = "DEBEZIUM"


class Subscribe(Node, frozen=True, gc=False):
    """``SUBSCRIBE relation | (query) [output] [WITH (options)] [AS OF t] [UP TO t]``."""

    relation: ObjectName | Query
    envelope: SubscribeEnvelope | None = None
    key: tuple[str, ...] = ()
    within_timestamp_order_by: tuple[OrderItem, ...] = ()
    options: tuple[Option, ...] = ()
    as_of: AsOf | None = None
    up_to: Expr | None = None


class CopyDirection(enum.StrEnum):
    """Which way COPY moves rows."""

    FROM = "FROM"
    TO = "TO"


class Copy(Node, frozen=True, gc=False):
    """``COPY relation [(columns)] | (query | subscribe) FROM | TO target [WITH (options)]``.

    FROM may have a ``where``. ``target`` None is STDIN or STDOUT, else an expression that gives
    a URL.
    """

    relation: ObjectName | Query | Subscribe
    direction: CopyDirection
    columns: tuple[str, ...] = ()
    target: Expr | None = None
    options: tuple[Option, ...] = ()
    where: Expr | None = None


class Declare(Node, frozen=True, gc=False):
    """``DECLARE name CURSOR [WITH | WITHOUT HOLD] FOR statement``.

    The planner takes a Query or a Subscribe; the grammar, like Materialize's, takes any statement.
    """

    name: str
    statement: Node
    hold: bool = False


class Fetch(Node, frozen=True, gc=False):
    """``FETCH [count | ALL] [FROM] cursor [WITH (options)]``; count None is ALL, 1 the default.

    ``backward`` stands for every direction but forward.
    """

    cursor: str
    count: int | None = 1
    options: tuple[Option, ...] = ()
    backward: bool = False


class Close(Node, frozen=True, gc=False):
    """``CLOSE name``; None is ALL."""

    name: str | None


class Prepare(Node, frozen=True, gc=False):
    """``PREPARE name [(types)] AS statement``."""

    name: str
    statement: Node
    types: tuple[DataType, ...] = ()


class Execute(Node, frozen=True, gc=False):
    """``EXECUTE name [(arguments)]``."""

    name: str
    arguments: tuple[Expr, ...] = ()


class Deallocate(Node, frozen=True, gc=False):
    """``DEALLOCATE name``; None is ALL."""

    name: str | None
