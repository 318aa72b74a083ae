"""Column definitions and constraints, of tables and of sources; what ALTER TABLE does to them."""

from __future__ import annotations

import enum
from typing import TypeAlias

from headwater.sql.ast.base import DataType, Node, ObjectName
from headwater.sql.ast.query import Expr


class ConstraintKind(enum.StrEnum):
    """The kinds of constraints of a column or a table."""

    NOT_NULL = "NOT NULL"
    NULL = "NULL"
    DEFAULT = "DEFAULT"
    PRIMARY_KEY = "PRIMARY KEY"
    UNIQUE = "UNIQUE"
    CHECK = "CHECK"
    FOREIGN_KEY = "FOREIGN KEY"


class Constraint(Node, frozen=True, gc=False):
    """A constraint; which fields are set depends on ``kind``.

    ``columns`` are a table constraint's; ``expression`` is DEFAULT's or CHECK's; ``referenced`` and
    ``referenced_columns`` are a foreign key's; ``enforced`` is False for NOT ENFORCED.
    """

    kind: ConstraintKind
    name: str | None = None
    columns: tuple[str, ...] = ()
    expression: Expr | None = None
    referenced: ObjectName | None = None
    referenced_columns: tuple[str, ...] = ()
    enforced: bool = True
    nulls_not_distinct: bool = False


class TableColumn(Node, frozen=True, gc=False):
    """``name type [constraint …]``."""

    name: str
    data_type: DataType
    constraints: tuple[Constraint, ...] = ()


class LikeOption(enum.StrEnum):
    """What LIKE takes over beside columns, types and NOT NULL."""

    DEFAULTS = "DEFAULTS"
    CONSTRAINTS = "CONSTRAINTS"
    INDEXES = "INDEXES"
    COMMENTS = "COMMENTS"
    COMPRESSION = "COMPRESSION"
    GENERATED = "GENERATED"
    IDENTITY = "IDENTITY"
    STATISTICS = "STATISTICS"
    STORAGE = "STORAGE"


class TableLike(Node, frozen=True, gc=False):
    """``LIKE relation [INCLUDING option | EXCLUDING option] …`` among a table's columns.

    ``including`` is what is left of the options, in their order above; ``at`` is how many columns
    stand before it.
    """

    name: ObjectName
    including: tuple[LikeOption, ...] = ()
    at: int = 0


class AddColumn(Node, frozen=True, gc=False):
    """``ADD [COLUMN] [IF NOT EXISTS] column``."""

    column: TableColumn
    if_not_exists: bool = False


class AddConstraint(Node, frozen=True, gc=False):
    """``ADD constraint``."""

    constraint: Constraint


class DropConstraint(Node, frozen=True, gc=False):
    """``DROP CONSTRAINT [IF EXISTS] name``; nothing depends on a constraint."""

    name: str
    if_exists: bool = False


class ColumnChange(enum.StrEnum):
    """What ALTER COLUMN does."""

    SET_NOT_NULL = "SET NOT NULL"
    DROP_NOT_NULL = "DROP NOT NULL"
    SET_DEFAULT = "SET DEFAULT"
    DROP_DEFAULT = "DROP DEFAULT"


class AlterColumn(Node, frozen=True, gc=False):
    """``ALTER [COLUMN] name change``; ``default`` is that of SET DEFAULT."""

    name: str
    change: ColumnChange
    default: Expr | None = None


class AlterColumnType(Node, frozen=True, gc=False):
    """``ALTER [COLUMN] name [SET DATA] TYPE type [USING using]``."""

    name: str
    data_type: DataType
    using: Expr | None = None


class DropColumn(Node, frozen=True, gc=False):
    """``DROP [COLUMN] [IF EXISTS] name [CASCADE | RESTRICT]``."""

    name: str
    if_exists: bool = False
    cascade: bool = False


class RenameConstraint(Node, frozen=True, gc=False):
    """``RENAME CONSTRAINT name TO new_name``."""

    name: str
    new_name: str


TableAction: TypeAlias = (
    AddColumn
    | AddConstraint
    | DropColumn
    | DropConstraint
    | AlterColumn
    | AlterColumnType
    | RenameConstraint
)
