"""CREATE of what queries read, except sources; the ALTERs and DROPs of all kinds."""

from __future__ import annotations

import enum
from typing import TypeAlias

from headwater.sql.ast.base import ColumnDefinition, Node, ObjectKind, ObjectName
from headwater.sql.ast.column import AddColumn as AddColumn
from headwater.sql.ast.column import AddConstraint as AddConstraint
from headwater.sql.ast.column import AlterColumn as AlterColumn
from headwater.sql.ast.column import AlterColumnType as AlterColumnType
from headwater.sql.ast.column import ColumnChange as ColumnChange
from headwater.sql.ast.column import Constraint as Constraint
from headwater.sql.ast.column import ConstraintKind as ConstraintKind
from headwater.sql.ast.column import DropColumn as DropColumn
from headwater.sql.ast.column import DropConstraint as DropConstraint
from headwater.sql.ast.column import LikeOption as LikeOption
from headwater.sql.ast.column import RenameConstraint as RenameConstraint
from headwater.sql.ast.column import TableAction as TableAction
from headwater.sql.ast.column import TableColumn as TableColumn
from headwater.sql.ast.column import TableLike as TableLike
from headwater.sql.ast.connector import ExternalReference, FormatClauses
from headwater.sql.ast.option import Option
from headwater.sql.ast.query import AsOf, Expr, Query

# --- CREATE ---------------------------------------------------------------------------------------


class CreateDatabase(Node, frozen=True, gc=False):
    """``CREATE DATABASE [IF NOT EXISTS] name``."""

    name: str
    if_not_exists: bool = False


class CreateSchema(Node, frozen=True, gc=False):
    """``CREATE SCHEMA [IF NOT EXISTS] name [AUTHORIZATION role]``."""

    name: ObjectName
    if_not_exists: bool = False
    owner: str | None = None


class CreateTable(Node, frozen=True, gc=False):
    """``CREATE [TEMPORARY] TABLE [IF NOT EXISTS] name (columns, constraints) [WITH (options)]``.

    ``likes`` stand among the columns; stored statements have none.
    """

    name: ObjectName
    columns: tuple[TableColumn, ...]
    constraints: tuple[Constraint, ...] = ()
    temporary: bool = False
    if_not_exists: bool = False
    options: tuple[Option, ...] = ()
    likes: tuple[TableLike, ...] = ()


class CreateTableFromSource(Node, frozen=True, gc=False):
    """``CREATE TABLE name [(columns)] FROM SOURCE source [(REFERENCE r)] [format] [WITH …]``.

    ``columns`` holds names alone or definitions, as written.
    """

    name: ObjectName
    source: ObjectName
    reference: ExternalReference | None = None
    columns: tuple[str, ...] | tuple[TableColumn, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    format: FormatClauses | None = None
    if_not_exists: bool = False
    options: tuple[Option, ...] = ()


class CreateTableAs(Node, frozen=True, gc=False):
    """``CREATE [TEMPORARY] TABLE [IF NOT EXISTS] name [(columns)] AS query``."""

    name: ObjectName
    query: Query
    columns: tuple[str, ...] = ()
    temporary: bool = False
    if_not_exists: bool = False


class CreateView(Node, frozen=True, gc=False):
    """``CREATE [OR REPLACE] [TEMPORARY] VIEW [IF NOT EXISTS] name [(columns)] AS query``."""

    name: ObjectName
    query: Query
    columns: tuple[str, ...] = ()
    or_replace: bool = False
    temporary: bool = False
    if_not_exists: bool = False


class CreateMaterializedView(Node, frozen=True, gc=False):
    """``CREATE [OR REPLACE | REPLACEMENT] MATERIALIZED VIEW name … AS query``.

    ``replacement_for`` is the view that a REPLACEMENT names after FOR. ``as_of`` is internal.
    """

    name: ObjectName
    query: Query
    columns: tuple[str, ...] = ()
    in_cluster: ObjectName | None = None
    in_replica: str | None = None
    options: tuple[Option, ...] = ()
    or_replace: bool = False
    if_not_exists: bool = False
    replacement_for: ObjectName | None = None
    as_of: AsOf | None = None


class CreateIndex(Node, frozen=True, gc=False):
    """``CREATE [DEFAULT] INDEX [IF NOT EXISTS] [name] [IN CLUSTER c] ON relation [(keys)]``.

    ``keys`` is None for a default index. ``using`` is the method's name, where written. ASC, DESC
    and INCLUDE are read and dropped: an arrangement has an order of its own and whole rows.
    """

    name: str | None
    on: ObjectName
    keys: tuple[Expr, ...] | None
    in_cluster: ObjectName | None = None
    using: str | None = None
    options: tuple[Option, ...] = ()
    if_not_exists: bool = False
    unique: bool = False


class CreateType(Node, frozen=True, gc=False):
    """``CREATE TYPE name AS (fields) | LIST (options) | MAP (options)``."""

    name: ObjectName
    definition: RecordDefinition | ListDefinition | MapDefinition


class RecordDefinition(Node, frozen=True, gc=False):
    """``(field type, …)``."""

    fields: tuple[ColumnDefinition, ...]


class ListDefinition(Node, frozen=True, gc=False):
    """``LIST (ELEMENT TYPE = t)``."""

    options: tuple[Option, ...]


class MapDefinition(Node, frozen=True, gc=False):
    """``MAP (KEY TYPE = t, VALUE TYPE = t)``."""

    options: tuple[Option, ...]


class CreateSecret(Node, frozen=True, gc=False):
    """``CREATE SECRET [IF NOT EXISTS] name AS value``."""

    name: ObjectName
    value: Expr
    if_not_exists: bool = False


# --- DROP -----------------------------------------------------------------------------------------


class DropBehavior(enum.StrEnum):
    """CASCADE or RESTRICT; databases cascade where neither is written."""

    CASCADE = "CASCADE"
    RESTRICT = "RESTRICT"


class Drop(Node, frozen=True, gc=False):
    """``DROP <kind> [IF EXISTS] name, … [CASCADE | RESTRICT]``."""

    kind: ObjectKind
    names: tuple[ObjectName, ...]
    if_exists: bool = False
    behavior: DropBehavior | None = None


class DropOwned(Node, frozen=True, gc=False):
    """``DROP OWNED BY role, … [CASCADE | RESTRICT]``."""

    roles: tuple[str, ...]
    behavior: DropBehavior | None = None


class ReassignOwned(Node, frozen=True, gc=False):
    """``REASSIGN OWNED BY role, … TO role``."""

    roles: tuple[str, ...]
    new_role: str


# --- ALTER ----------------------------------------------------------------------------------------


class AlterRename(Node, frozen=True, gc=False):
    """``ALTER <kind> [IF EXISTS] name RENAME TO new_name``."""

    kind: ObjectKind
    name: ObjectName
    new_name: str
    if_exists: bool = False


class AlterSwap(Node, frozen=True, gc=False):
    """``ALTER SCHEMA | CLUSTER name SWAP WITH other``."""

    kind: ObjectKind
    name: ObjectName
    other: str


class AlterOwner(Node, frozen=True, gc=False):
    """``ALTER <kind> [IF EXISTS] name OWNER TO role``."""

    kind: ObjectKind
    name: ObjectName
    role: str
    if_exists: bool = False


class SetOptions(Node, frozen=True, gc=False):
    """``SET (option, …)``."""

    options: tuple[Option, ...]


class ResetOptions(Node, frozen=True, gc=False):
    """``RESET (name, …)``; names as in ``Option``."""

    names: tuple[str, ...]


class DropOptions(Node, frozen=True, gc=False):
    """``DROP (name, …)``, of a connection."""

    names: tuple[str, ...]


class RotateKeys(Node, frozen=True, gc=False):
    """``ROTATE KEYS``, of an SSH tunnel."""


OptionChange: TypeAlias = SetOptions | ResetOptions | DropOptions | RotateKeys


class AlterOptions(Node, frozen=True, gc=False):
    """``ALTER <kind> [IF EXISTS] name change, … [WITH (options)]``.

    Table, view, index, source, sink, cluster have one change; a connection may have several.
    """

    kind: ObjectKind
    name: ObjectName
    changes: tuple[OptionChange, ...]
    with_options: tuple[Option, ...] = ()
    if_exists: bool = False


class AlterSetCluster(Node, frozen=True, gc=False):
    """``ALTER <kind> [IF EXISTS] name SET CLUSTER cluster``."""

    kind: ObjectKind
    name: ObjectName
    cluster: str
    if_exists: bool = False


class AlterSetSchema(Node, frozen=True, gc=False):
    """``ALTER <kind> [IF EXISTS] name SET SCHEMA schema``."""

    kind: ObjectKind
    name: ObjectName
    schema: ObjectName
    if_exists: bool = False


class AlterTable(Node, frozen=True, gc=False):
    """``ALTER TABLE [IF EXISTS] name action, …``."""

    name: ObjectName
    actions: tuple[TableAction, ...]
    if_exists: bool = False


class AlterRenameColumn(Node, frozen=True, gc=False):
    """``ALTER <kind> [IF EXISTS] name RENAME [COLUMN] column TO new_name``."""

    kind: ObjectKind
    name: ObjectName
    column: str
    new_name: str
    if_exists: bool = False


class AlterApplyReplacement(Node, frozen=True, gc=False):
    """``ALTER MATERIALIZED VIEW [IF EXISTS] name APPLY REPLACEMENT replacement``."""

    name: ObjectName
    replacement: ObjectName
    if_exists: bool = False


class AlterSecret(Node, frozen=True, gc=False):
    """``ALTER SECRET [IF EXISTS] name AS value``."""

    name: ObjectName
    value: Expr
    if_exists: bool = False


class AlterSinkFrom(Node, frozen=True, gc=False):
    """``ALTER SINK [IF EXISTS] name SET FROM relation``."""

    name: ObjectName
    from_: ObjectName
    if_exists: bool = False


class AlterSourceAddSubsource(Node, frozen=True, gc=False):
    """``ALTER SOURCE [IF EXISTS] name ADD SUBSOURCE reference [AS name], … [WITH (options)]``."""

    name: ObjectName
    references: tuple[ExternalReference, ...]
    options: tuple[Option, ...] = ()
    if_exists: bool = False


class AlterSourceDropSubsource(Node, frozen=True, gc=False):
    """``ALTER SOURCE [IF EXISTS] name DROP SUBSOURCE name, … [CASCADE | RESTRICT]``."""

    name: ObjectName
    names: tuple[ObjectName, ...]
    if_exists: bool = False
    if_subsource_exists: bool = False
    behavior: DropBehavior | None = None


class AlterSourceRefresh(Node, frozen=True, gc=False):
    """``ALTER SOURCE [IF EXISTS] name REFRESH REFERENCES``."""

    name: ObjectName
    if_exists: bool = False


class CommentOn(Node, frozen=True, gc=False):
    """``COMMENT ON <kind> name IS 'text' | NULL``; a column's name has the relation's before it."""

    kind: ObjectKind
    name: ObjectName
    text: str | None
