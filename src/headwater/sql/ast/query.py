"""Expressions and queries. They contain each other, so they share a module.

``Expr`` is the closed union of expressions, ``SetExpr`` of query bodies, ``TableExpr`` of what may
stand in FROM: match over them and end with ``assert_never``.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from headwater.sql.ast.base import ColumnDefinition, DataType, Node, ObjectName

# --- literals and names ---------------------------------------------------------------------------


class Identifier(Node, frozen=True, gc=False):
    """A column reference, qualified or not: ``c``, ``t.c``, ``s.t.c``, ``db.s.t.c``."""

    parts: tuple[str, ...]


class Wildcard(Node, frozen=True, gc=False):
    """``*`` in a select list."""


class QualifiedWildcard(Node, frozen=True, gc=False):
    """``t.*`` in a select list."""

    parts: tuple[str, ...]


class RecordWildcard(Node, frozen=True, gc=False):
    """``(expression).*`` in a select list: all fields of a record."""

    operand: Expr


class Number(Node, frozen=True, gc=False):
    """A numeric literal as written; a minus directly before it is part of the text."""

    text: str


class String(Node, frozen=True, gc=False):
    """A string literal of any spelling, escapes already applied."""

    value: str


class Boolean(Node, frozen=True, gc=False):
    """``true`` or ``false``."""

    value: bool


class Null(Node, frozen=True, gc=False):
    """``NULL``."""


class Default(Node, frozen=True, gc=False):
    """``DEFAULT`` in VALUES of an INSERT and in UPDATE's SET; an error elsewhere."""


class Parameter(Node, frozen=True, gc=False):
    """``$1``."""

    number: int


class IntervalField(enum.StrEnum):
    """A field that an interval literal or type may name."""

    YEAR = "YEAR"
    MONTH = "MONTH"
    DAY = "DAY"
    HOUR = "HOUR"
    MINUTE = "MINUTE"
    SECOND = "SECOND"


class IntervalLiteral(Node, frozen=True, gc=False):
    """``INTERVAL 'value' [leading [TO trailing]] [(precision)]``."""

    value: str
    leading: IntervalField | None = None
    trailing: IntervalField | None = None
    precision: int | None = None


# --- operators ------------------------------------------------------------------------------------


class UnaryOp(Node, frozen=True, gc=False):
    """A prefix operator; ``schema`` is what ``OPERATOR(schema.op)`` names."""

    operator: str
    operand: Expr
    schema: tuple[str, ...] = ()


class BinaryOp(Node, frozen=True, gc=False):
    """An infix operator, ``!=`` already written ``<>``; ``position`` is the operator's."""

    operator: str
    left: Expr
    right: Expr
    schema: tuple[str, ...] = ()


class And(Node, frozen=True, gc=False):
    """A conjunction of two or more operands; chains without parentheses are flat."""

    operands: tuple[Expr, ...]


class Or(Node, frozen=True, gc=False):
    """A disjunction of two or more operands; chains without parentheses are flat."""

    operands: tuple[Expr, ...]


class Not(Node, frozen=True, gc=False):
    """``NOT operand``."""

    operand: Expr


class IsTest(enum.StrEnum):
    """What ``IS [NOT] …`` tests for."""

    NULL = "NULL"
    TRUE = "TRUE"
    FALSE = "FALSE"
    UNKNOWN = "UNKNOWN"


class Is(Node, frozen=True, gc=False):
    """``operand IS [NOT] NULL | TRUE | FALSE | UNKNOWN``."""

    operand: Expr
    test: IsTest
    negated: bool = False


class IsDistinctFrom(Node, frozen=True, gc=False):
    """``left IS [NOT] DISTINCT FROM right``."""

    left: Expr
    right: Expr
    negated: bool = False


class Like(Node, frozen=True, gc=False):
    """``operand [NOT] LIKE | ILIKE pattern [ESCAPE escape]``."""

    operand: Expr
    pattern: Expr
    escape: Expr | None = None
    case_insensitive: bool = False
    negated: bool = False


class Between(Node, frozen=True, gc=False):
    """``operand [NOT] BETWEEN [SYMMETRIC] low AND high``."""

    operand: Expr
    low: Expr
    high: Expr
    symmetric: bool = False
    negated: bool = False


class InList(Node, frozen=True, gc=False):
    """``operand [NOT] IN (item, …)``; ``items`` is empty only for ``IN ()``, which we allow."""

    operand: Expr
    items: tuple[Expr, ...]
    negated: bool = False


class InSubquery(Node, frozen=True, gc=False):
    """``operand [NOT] IN (query)``; a ``Row`` operand compares several columns."""

    operand: Expr
    query: Query
    negated: bool = False


class Exists(Node, frozen=True, gc=False):
    """``EXISTS (query)``."""

    query: Query


class AnyAll(Node, frozen=True, gc=False):
    """``operand op ANY | ALL (array or query)``; SOME is ANY; LIKE is ``~~`` and so on."""

    operand: Expr
    operator: str
    right: Expr | Query
    is_all: bool = False
    schema: tuple[str, ...] = ()


class Subquery(Node, frozen=True, gc=False):
    """A scalar subquery."""

    query: Query


# --- constructors and access ----------------------------------------------------------------------


class ArrayExpr(Node, frozen=True, gc=False):
    """``ARRAY[item, …]``; inner brackets of ``ARRAY[[…]]`` are ``ArrayExpr`` as well."""

    items: tuple[Expr, ...]


class ArrayQuery(Node, frozen=True, gc=False):
    """``ARRAY(query)``."""

    query: Query


class ListExpr(Node, frozen=True, gc=False):
    """``LIST[item, …]``."""

    items: tuple[Expr, ...]


class ListQuery(Node, frozen=True, gc=False):
    """``LIST(query)``."""

    query: Query


class MapEntry(Node, frozen=True, gc=False):
    """``key => value`` inside ``MAP[…]``."""

    key: Expr
    value: Expr


class MapExpr(Node, frozen=True, gc=False):
    """``MAP[key => value, …]``."""

    entries: tuple[MapEntry, ...]


class MapQuery(Node, frozen=True, gc=False):
    """``MAP(query)`` of a key and a value column."""

    query: Query


class Row(Node, frozen=True, gc=False):
    """``ROW(item, …)`` or ``(item, item, …)``."""

    items: tuple[Expr, ...]


class SubscriptItem(Node, frozen=True, gc=False):
    """``[lower]``, or ``[lower:upper]`` with either bound optional."""

    lower: Expr | None
    upper: Expr | None = None
    is_slice: bool = False


class Subscript(Node, frozen=True, gc=False):
    """``operand[…][…]``: all brackets that follow one another."""

    operand: Expr
    items: tuple[SubscriptItem, ...]


class FieldAccess(Node, frozen=True, gc=False):
    """``(operand).field``."""

    operand: Expr
    field: str


class Cast(Node, frozen=True, gc=False):
    """``operand::type``, ``CAST(operand AS type)``, or ``type 'literal'``."""

    operand: Expr
    data_type: DataType


# --- conditionals and functions -------------------------------------------------------------------


class When(Node, frozen=True, gc=False):
    """``WHEN condition THEN result``."""

    condition: Expr
    result: Expr


class Case(Node, frozen=True, gc=False):
    """``CASE [operand] WHEN … THEN … [ELSE otherwise] END``."""

    operand: Expr | None
    branches: tuple[When, ...]
    otherwise: Expr | None = None


class Coalesce(Node, frozen=True, gc=False):
    """``COALESCE(item, …)``."""

    items: tuple[Expr, ...]


class Greatest(Node, frozen=True, gc=False):
    """``GREATEST(item, …)``."""

    items: tuple[Expr, ...]


class Least(Node, frozen=True, gc=False):
    """``LEAST(item, …)``."""

    items: tuple[Expr, ...]


class NullIf(Node, frozen=True, gc=False):
    """``NULLIF(left, right)``."""

    left: Expr
    right: Expr


class NamedArgument(Node, frozen=True, gc=False):
    """``name => value`` in a function's arguments."""

    name: str
    value: Expr


class FrameUnit(enum.StrEnum):
    """What a window frame counts."""

    ROWS = "ROWS"
    RANGE = "RANGE"
    GROUPS = "GROUPS"


class FrameBoundKind(enum.StrEnum):
    """Where a window frame begins or ends."""

    UNBOUNDED_PRECEDING = "UNBOUNDED PRECEDING"
    PRECEDING = "PRECEDING"
    CURRENT_ROW = "CURRENT ROW"
    FOLLOWING = "FOLLOWING"
    UNBOUNDED_FOLLOWING = "UNBOUNDED FOLLOWING"


class FrameExclusion(enum.StrEnum):
    """What EXCLUDE leaves out of a window frame."""

    CURRENT_ROW = "CURRENT ROW"
    GROUP = "GROUP"
    TIES = "TIES"
    NO_OTHERS = "NO OTHERS"


class FrameBound(Node, frozen=True, gc=False):
    """One end of a frame; ``offset`` is set for PRECEDING and FOLLOWING alone."""

    kind: FrameBoundKind
    offset: Expr | None = None


class WindowFrame(Node, frozen=True, gc=False):
    """``unit BETWEEN start AND end [EXCLUDE …]``; without BETWEEN, ``end`` is None."""

    unit: FrameUnit
    start: FrameBound
    end: FrameBound | None = None
    exclusion: FrameExclusion | None = None


class WindowSpec(Node, frozen=True, gc=False):
    """``([base] [PARTITION BY …] [ORDER BY …] [frame])``."""

    base: str | None = None
    partition_by: tuple[Expr, ...] = ()
    order_by: tuple[OrderItem, ...] = ()
    frame: WindowFrame | None = None


class Nulls(enum.StrEnum):
    """How lag and its kin treat NULL."""

    IGNORE = "IGNORE"
    RESPECT = "RESPECT"


class Function(Node, frozen=True, gc=False):
    """A call.

    SQL's special syntax becomes an ordinary call with PostgreSQL's names and argument order:
    ``EXTRACT(f FROM x)`` is ``extract('f', x)``, ``x AT TIME ZONE z`` is ``timezone(z, x)``,
    ``POSITION(a IN b)`` is ``position(a, b)``, ``SUBSTRING(x FROM a FOR b)`` is
    ``substring(x, a, b)``, ``TRIM(BOTH c FROM x)`` is ``btrim(x, c)``, ``OVERLAY(x PLACING y FROM
    a)`` is ``overlay(x, y, a)``, ``NORMALIZE(x, NFC)`` is ``normalize(x, 'NFC')``,
    ``CURRENT_TIMESTAMP`` is ``current_timestamp()``.
    """

    name: ObjectName
    arguments: tuple[Expr, ...] = ()
    star: bool = False
    distinct: bool = False
    variadic: bool = False
    order_by: tuple[OrderItem, ...] = ()
    within_group: tuple[OrderItem, ...] = ()
    filter: Expr | None = None
    nulls: Nulls | None = None
    over: WindowSpec | str | None = None


Expr: TypeAlias = (
    Identifier
    | Wildcard
    | QualifiedWildcard
    | RecordWildcard
    | Number
    | String
    | Boolean
    | Null
    | Default
    | Parameter
    | IntervalLiteral
    | UnaryOp
    | BinaryOp
    | And
    | Or
    | Not
    | Is
    | IsDistinctFrom
    | Like
    | Between
    | InList
    | InSubquery
    | Exists
    | AnyAll
    | Subquery
    | ArrayExpr
    | ArrayQuery
    | ListExpr
    | ListQuery
    | MapExpr
    | MapQuery
    | Row
    | Subscript
    | FieldAccess
    | Cast
    | Case
    | Coalesce
    | Greatest
    | Least
    | NullIf
    | NamedArgument
    | Function
)

# --- queries --------------------------------------------------------------------------------------


class OrderItem(Node, frozen=True, gc=False):
    """``expression [ASC | DESC] [NULLS FIRST | LAST]``.

    ``nulls_first`` is None where not written: then NULLs come last ascending, first descending.
    """

    expression: Expr
    descending: bool = False
    nulls_first: bool | None = None


class AsOf(Node, frozen=True, gc=False):
    """``AS OF [AT LEAST] time``."""

    time: Expr
    at_least: bool = False


class Cte(Node, frozen=True, gc=False):
    """``name [(columns)] AS [[NOT] MATERIALIZED] (query)``."""

    name: str
    columns: tuple[str, ...]
    query: Query
    materialized: bool | None = None


class With(Node, frozen=True, gc=False):
    """``WITH [RECURSIVE] cte, …``."""

    ctes: tuple[Cte, ...]
    recursive: bool = False


class RecursionLimitKind(enum.StrEnum):
    """What happens when a recursion limit is reached; RECURSION alone means ERROR."""

    RETURN = "RETURN AT"
    ERROR = "ERROR AT"
    PLAIN = ""


class RecursiveBinding(Node, frozen=True, gc=False):
    """``name (column type, …) AS (query)``."""

    name: str
    columns: tuple[ColumnDefinition, ...]
    query: Query


class WithMutuallyRecursive(Node, frozen=True, gc=False):
    """``WITH MUTUALLY RECURSIVE [(… RECURSION LIMIT n)] binding, …``."""

    bindings: tuple[RecursiveBinding, ...]
    limit: int | None = None
    limit_kind: RecursionLimitKind = RecursionLimitKind.PLAIN


class TableAlias(Node, frozen=True, gc=False):
    """``AS name [(column, …)]``; ``types`` is as long as ``columns`` where types were given."""

    name: str
    columns: tuple[str, ...] = ()
    types: tuple[DataType, ...] = ()


class TableRef(Node, frozen=True, gc=False):
    """A relation by name."""

    name: ObjectName
    alias: TableAlias | None = None


class DerivedTable(Node, frozen=True, gc=False):
    """``[LATERAL] (query) [AS alias]``."""

    query: Query
    lateral: bool = False
    alias: TableAlias | None = None


class TableFunction(Node, frozen=True, gc=False):
    """``[LATERAL] f(…) [WITH ORDINALITY] [AS alias]``; implicitly lateral either way."""

    function: Expr
    with_ordinality: bool = False
    lateral: bool = False
    alias: TableAlias | None = None


class RowsFrom(Node, frozen=True, gc=False):
    """``[LATERAL] ROWS FROM (f(), g()) [WITH ORDINALITY] [AS alias]``."""

    functions: tuple[Expr, ...]
    with_ordinality: bool = False
    lateral: bool = False
    alias: TableAlias | None = None


class JoinKind(enum.StrEnum):
    """How rows without a partner are treated."""

    INNER = "JOIN"
    LEFT = "LEFT JOIN"
    RIGHT = "RIGHT JOIN"
    FULL = "FULL JOIN"
    CROSS = "CROSS JOIN"


class JoinOn(Node, frozen=True, gc=False):
    """``ON condition``."""

    condition: Expr


class JoinUsing(Node, frozen=True, gc=False):
    """``USING (column, …) [AS alias]``."""

    columns: tuple[str, ...]
    alias: str | None = None


class JoinNatural(Node, frozen=True, gc=False):
    """``NATURAL``, written before the join."""


class Join(Node, frozen=True, gc=False):
    """Two tables joined; ``constraint`` is None exactly for CROSS."""

    kind: JoinKind
    left: TableExpr
    right: TableExpr
    constraint: JoinOn | JoinUsing | JoinNatural | None = None


class NestedJoin(Node, frozen=True, gc=False):
    """``(join) AS alias``: the alias hides the names inside."""

    join: Join
    alias: TableAlias


TableExpr: TypeAlias = TableRef | DerivedTable | TableFunction | RowsFrom | Join | NestedJoin


class SelectItem(Node, frozen=True, gc=False):
    """``expression [AS alias]``."""

    expression: Expr
    alias: str | None = None


class GroupingKind(enum.StrEnum):
    """The kinds of GROUP BY elements that are more than an expression."""

    EMPTY = ""
    SETS = "GROUPING SETS"
    CUBE = "CUBE"
    ROLLUP = "ROLLUP"


class Grouping(Node, frozen=True, gc=False):
    """``()``, ``GROUPING SETS (…)``, ``CUBE (…)`` or ``ROLLUP (…)``; ``(a, b)`` inside is a Row."""

    kind: GroupingKind
    elements: tuple[Expr | Grouping, ...] = ()


class NamedWindow(Node, frozen=True, gc=False):
    """``name AS (spec)`` in a WINDOW clause."""

    name: str
    spec: WindowSpec


class SelectHint(Node, frozen=True, gc=False):
    """One of ``OPTIONS (…)``: ``name`` is lower case with blanks."""

    name: str
    value: Expr | None = None


class Select(Node, frozen=True, gc=False):
    """One SELECT; ``distinct`` also holds where ``distinct_on`` is not empty."""

    items: tuple[SelectItem, ...]
    from_: tuple[TableExpr, ...] = ()
    where: Expr | None = None
    group_by: tuple[Expr | Grouping, ...] = ()
    having: Expr | None = None
    qualify: Expr | None = None
    windows: tuple[NamedWindow, ...] = ()
    distinct: bool = False
    distinct_on: tuple[Expr, ...] = ()
    hints: tuple[SelectHint, ...] = ()


class SetOperator(enum.StrEnum):
    """The operators between queries."""

    UNION = "UNION"
    EXCEPT = "EXCEPT"
    INTERSECT = "INTERSECT"


class SetOperation(Node, frozen=True, gc=False):
    """``left UNION | EXCEPT | INTERSECT [ALL] right``."""

    operator: SetOperator
    left: SetExpr
    right: SetExpr
    all: bool = False


class Values(Node, frozen=True, gc=False):
    """``VALUES (…), …``."""

    rows: tuple[tuple[Expr, ...], ...]


class TableQuery(Node, frozen=True, gc=False):
    """``TABLE name``."""

    name: ObjectName


class Show(Node, frozen=True, gc=False):
    """The root of all SHOW statements (``ast.show``); as a query's body, SHOW is a relation."""


class Query(Node, frozen=True, gc=False):
    """A whole query; as a statement it is a SELECT.

    ``limit`` is None for ``LIMIT ALL`` too. A parenthesised query with clauses of its own is a
    ``Query`` as ``body`` or as an operand; one without any is represented by its body alone.
    """

    body: SetExpr
    with_: With | WithMutuallyRecursive | None = None
    order_by: tuple[OrderItem, ...] = ()
    limit: Expr | None = None
    offset: Expr | None = None
    with_ties: bool = False
    as_of: AsOf | None = None


SetExpr: TypeAlias = Select | SetOperation | Values | TableQuery | Show | Query
