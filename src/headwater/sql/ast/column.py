"""Column definitions and constraints, of tables and of sources."""

from __future__ import annotations

import enum

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
