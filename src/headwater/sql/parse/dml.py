"""INSERT, UPDATE, DELETE, MERGE, COPY, SUBSCRIBE, cursors and prepared statements.

Every rule is entered on the statement's first word.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from headwater.sql.ast.base import DataType, Node, ObjectName
from headwater.sql.ast.dml import (
    Assignment,
    Close,
    Copy,
    CopyDirection,
    Deallocate,
    Declare,
    Delete,
    Execute,
    Fetch,
    Insert,
    Merge,
    MergeAction,
    MergeClause,
    MergeMatch,
    OnConflict,
    Prepare,
    Subscribe,
    SubscribeEnvelope,
    Truncate,
    Update,
)
from headwater.sql.ast.keywords import NOT_A_TABLE_ALIAS
from headwater.sql.ast.option import Option, OptionList, OptionValue
from headwater.sql.ast.query import (
    DerivedTable,
    Expr,
    OrderItem,
    Query,
    Row,
    SelectItem,
    String,
    TableAlias,
    TableQuery,
    TableRef,
    Values,
    With,
    WithMutuallyRecursive,
)
from headwater.sql.parse.data_type import data_type
from headwater.sql.parse.expression import (
    expression_list,
    expression_or_default,
    operand,
    order_items,
)
from headwater.sql.parse.option import option_list, with_options
from headwater.sql.parse.primary import is_query
from headwater.sql.parse.query import (
    optional_as_of,
    parenthesized_query,
    query,
    select_items,
    with_clause,
)
from headwater.sql.parse.stream import NUMBER, TokenStream
from headwater.sql.parse.table import optional_alias, table_expression, table_expressions

# --- writes ---------------------------------------------------------------------------------------


def insert(p: TokenStream) -> Insert:
    """Read an INSERT."""
    position = p.position
    p.expect_all("INSERT", "INTO")
    table = p.object_name("a table")
    alias = None
    if p.accept("AS") or (p.is_name() and p.key not in _AFTER_INSERTED):
        alias = p.name("an alias")
    columns = p.name_list() if p.key == "(" and not is_query(p) else ()
    source: Query | None = None
    if not p.accept_all("DEFAULT", "VALUES"):
        source = query(p)
    conflict = _on_conflict(p) if p.key == "ON" else None
    return Insert(table, columns, source, alias, conflict, _returning(p), position=position)


_AFTER_INSERTED = NOT_A_TABLE_ALIAS | {"DEFAULT", "SHOW", "TABLE"}


def _on_conflict(p: TokenStream) -> OnConflict:
    position = p.position
    p.expect_all("ON", "CONFLICT")
    columns = p.name_list() if p.key == "(" else ()
    constraint = None
    if not columns and p.accept_all("ON", "CONSTRAINT"):
        constraint = p.name("a constraint's name")
    p.expect("DO")
    if p.expect_any("NOTHING", "UPDATE") == "NOTHING":
        return OnConflict(columns, constraint=constraint, position=position)
    p.expect("SET")
    changes = _assignments(p)
    return OnConflict(columns, changes, _where(p), constraint, position=position)


def _returning(p: TokenStream) -> tuple[SelectItem, ...]:
    return select_items(p) if p.accept("RETURNING") else ()


def _where(p: TokenStream) -> Expr | None:
    return operand(p, 0) if p.accept("WHERE") else None


def _assignments(p: TokenStream) -> tuple[Assignment, ...]:
    found = [_assignment(p)]
    while p.accept(","):
        found.append(_assignment(p))
    return tuple(found)


def _assignment(p: TokenStream) -> Assignment:
    position = p.position
    columns = p.name_list() if p.key == "(" else (p.name("a column"),)
    p.expect("=")
    if len(columns) > 1 and p.key == "(" and _is_row(p):
        at = p.position
        p.advance()
        items = [expression_or_default(p)]
        while p.accept(","):
            items.append(expression_or_default(p))
        p.expect(")")
        return Assignment(columns, Row(tuple(items), position=at), position=position)
    return Assignment(columns, expression_or_default(p), position=position)


def _is_row(p: TokenStream) -> bool:
    """Return whether the parenthesis holds a row with nothing behind it that makes it an operand.

    Such a row may hold DEFAULT.
    """
    following = p.keys[min(p.closing(p.i) + 1, len(p.keys) - 1)]
    return not is_query(p) and following in _AFTER_ASSIGNMENT


_AFTER_ASSIGNMENT = frozenset(["", ",", ")", ";", "FROM", "RETURNING", "WHEN", "WHERE"])


def update(p: TokenStream) -> Update:
    """Read an UPDATE."""
    position = p.position
    p.expect("UPDATE")
    table = p.object_name("a table")
    alias = optional_alias(p)
    p.expect("SET")
    changes = _assignments(p)
    from_ = table_expressions(p) if p.accept("FROM") else ()
    where = _where(p)
    return Update(table, changes, alias, from_, where, _returning(p), position=position)


def delete(p: TokenStream) -> Delete:
    """Read a DELETE."""
    position = p.position
    p.expect_all("DELETE", "FROM")
    table = p.object_name("a table")
    alias = optional_alias(p)
    using = table_expressions(p) if p.accept("USING") else ()
    where = _where(p)
    return Delete(table, alias, using, where, _returning(p), position=position)


def truncate(p: TokenStream) -> Truncate:
    """Read a TRUNCATE; there are no sequences, and no foreign keys, that its options are about."""
    position = p.position
    p.expect("TRUNCATE")
    p.accept("TABLE")
    tables = [_truncated(p)]
    while p.accept(","):
        tables.append(_truncated(p))
    if p.accept_any(("RESTART", "CONTINUE")):
        p.expect("IDENTITY")
    p.accept_any(("CASCADE", "RESTRICT"))
    return Truncate(tuple(tables), position=position)


def _truncated(p: TokenStream) -> ObjectName:
    if p.key == "ONLY" and p.peek() not in ("", ";", ","):
        p.advance()
    return p.object_name("a table")


def merge(p: TokenStream) -> Merge:
    """Read a MERGE."""
    position = p.position
    p.expect_all("MERGE", "INTO")
    table = p.object_name("a table")
    alias = optional_alias(p)
    p.expect("USING")
    source = table_expression(p)
    p.expect("ON")
    condition = operand(p, 0)
    clauses = [_merge_clause(p)]
    while p.key == "WHEN":
        clauses.append(_merge_clause(p))
    return Merge(table, source, condition, tuple(clauses), alias, position=position)


def _merge_clause(p: TokenStream) -> MergeClause:
    position = p.position
    p.expect("WHEN")
    match = MergeMatch.MATCHED
    if p.accept("NOT"):
        match = MergeMatch.NOT_MATCHED
    p.expect("MATCHED")
    by_source = match is MergeMatch.NOT_MATCHED and p.accept_all("BY", "SOURCE")
    if by_source:
        match = MergeMatch.NOT_MATCHED_BY_SOURCE
    elif match is MergeMatch.NOT_MATCHED:
        p.accept_all("BY", "TARGET")
    condition = operand(p, 0) if p.accept("AND") else None
    p.expect("THEN")
    action = p.expect_any("INSERT", "UPDATE", "DELETE", "DO")
    if action == "UPDATE":
        p.expect("SET")
        changes = _assignments(p)
        return MergeClause(match, MergeAction.UPDATE, condition, changes, position=position)
    if action != "INSERT":
        if action == "DO":
            p.expect("NOTHING")
        kind = MergeAction.DELETE if action == "DELETE" else MergeAction.NOTHING
        return MergeClause(match, kind, condition, position=position)
    columns = p.name_list() if p.key == "(" else ()
    values: tuple[Expr, ...] = ()
    if not p.accept_all("DEFAULT", "VALUES"):
        p.expect_all("VALUES", "(")
        items = [expression_or_default(p)]
        while p.accept(","):
            items.append(expression_or_default(p))
        p.expect(")")
        values = tuple(items)
    return MergeClause(match, MergeAction.INSERT, condition, (), columns, values, position=position)


# --- WITH -----------------------------------------------------------------------------------------

_WRITES = frozenset(["DELETE", "INSERT", "MERGE", "UPDATE"])
_BEGINS_QUERY = frozenset(["SELECT", "TABLE", "VALUES", "WITH"])


def with_statement(p: TokenStream) -> Query | Insert | Update | Delete | Merge:
    """Read a statement that begins with WITH: a query, or one that writes.

    Of one that writes, each query in it, and each table that is named like a CTE, gets the CTEs.
    """
    if _behind_ctes(p) not in _WRITES:
        return query(p)
    position = p.position
    ctes = with_clause(p)
    rules: dict[str, Callable[[TokenStream], Insert | Update | Delete | Merge]] = {
        "DELETE": delete,
        "INSERT": insert,
        "MERGE": merge,
        "UPDATE": update,
    }
    rule = rules.get(p.key)
    if rule is None:
        p.fail("a query")
    written = rule(p)
    names = {cte.name for cte in ctes.ctes} if isinstance(ctes, With) else set()
    attached = _attach(written, ctes, frozenset(names))
    return msgspec.structs.replace(attached, position=position)


def _behind_ctes(p: TokenStream) -> str:
    """Return the word after the CTEs of WITH if the text is right; nothing is checked."""
    i = p.i + 1
    while i < len(p.keys):
        key = p.keys[i]
        if key in ("(", "["):
            i = p.closing(i)
        elif key in _WRITES | _BEGINS_QUERY and p.keys[i - 1] not in ("WITH", "RECURSIVE", ","):
            return key
        elif key in ("", ";"):
            break
        i += 1
    return ""


N = TypeVar("N", bound=Node)


def _attach(node: N, ctes: With | WithMutuallyRecursive, names: frozenset[str]) -> N:
    """Return a statement whose queries, and tables named like CTEs, are over ``ctes``."""

    def over(value: object) -> object:
        if isinstance(value, Query):
            if isinstance(value.body, Values):  # it may hold DEFAULT
                return _attach(value, ctes, names)
            return Query(value, ctes, position=value.position)
        if isinstance(value, TableRef) and value.name.parts[-1:] == value.name.parts:
            if value.name.parts[0] not in names:
                return value
            body = TableQuery(value.name, position=value.position)
            alias = value.alias or TableAlias(value.name.parts[0], position=value.position)
            inner = Query(body, ctes, position=value.position)
            return DerivedTable(inner, alias=alias, position=value.position)
        if isinstance(value, tuple):
            return tuple(over(item) for item in value)
        return _attach(value, ctes, names) if isinstance(value, Node) else value

    fields = {name: over(getattr(node, name)) for name in node.__struct_fields__}
    return msgspec.structs.replace(node, **fields)


# --- COPY -----------------------------------------------------------------------------------------


def copy(p: TokenStream) -> Copy:
    """Read a COPY in either direction."""
    position = p.position
    p.expect("COPY")
    relation: ObjectName | Query | Subscribe
    columns: tuple[str, ...] = ()
    if p.key == "(" and p.peek() == "SUBSCRIBE":
        p.advance()
        relation = subscribe(p)
        p.expect(")")
    elif p.key == "(":
        relation = parenthesized_query(p)
    else:
        if p.key == "INTO":
            p.advance()
        relation = p.object_name("a relation")
        columns = p.name_list() if p.key == "(" else ()
    direction = CopyDirection(p.expect_any("FROM", "TO"))
    standard = "STDIN" if direction is CopyDirection.FROM else "STDOUT"
    target = None if p.accept(standard) else operand(p, 0)
    options: tuple[Option, ...] = ()
    with_ = p.accept("WITH")
    if p.key == "(":
        options = option_list(p)
    elif with_ or p.key in _OLD_COPY_WORDS:
        options = _old_copy_options(p)
    where = _where(p) if direction is CopyDirection.FROM else None
    return Copy(relation, direction, columns, target, options, where, position=position)


_OLD_COPY_WORDS = frozenset(["BINARY", "CSV", "DELIMITER", "ENCODING", "HEADER", "NULL"])


def _old_copy_options(p: TokenStream) -> tuple[Option, ...]:
    """Read options as PostgreSQL wrote them before version 9.0: ``CSV HEADER NULL AS ''``."""
    found: list[Option] = []
    while True:
        position = p.position
        if p.accept_any(("BINARY", "CSV")) is not None:
            word = "csv" if p.keys[p.i - 1] == "CSV" else "binary"
            found.append(Option("format", String(word), position=position))
        elif p.accept("HEADER"):
            found.append(Option("header", position=position))
        elif p.key in ("DELIMITER", "NULL", "QUOTE", "ESCAPE", "ENCODING"):
            name = p.key.lower()
            p.advance()
            p.accept("AS")
            found.append(Option(name, operand(p, 0), position=position))
        elif p.accept("FORCE"):
            name = "force_quote"
            if not p.accept("QUOTE"):
                name = "force_not_null" if p.accept("NOT") else "force_null"
                p.expect("NULL")
            found.append(Option(name, _forced_columns(p), position=position))
        else:
            return tuple(found)


def _forced_columns(p: TokenStream) -> OptionValue:
    position = p.position
    if p.accept("*"):
        return String("*", position=position)
    names = [p.object_name("a column")]
    while p.accept(","):
        names.append(p.object_name("a column"))
    return OptionList(tuple(names), position=position)


# --- SUBSCRIBE ------------------------------------------------------------------------------------


def subscribe(p: TokenStream) -> Subscribe:
    """Read a SUBSCRIBE."""
    position = p.position
    p.expect_any("SUBSCRIBE", "TAIL")
    if p.key == "TO" and p.peek() not in ("", ";", "AS", "WITH", "ENVELOPE", "WITHIN"):
        p.advance()
    relation = parenthesized_query(p) if p.key == "(" else p.object_name("a relation")
    envelope: SubscribeEnvelope | None = None
    key: tuple[str, ...] = ()
    order: tuple[OrderItem, ...] = ()
    options = with_options(p)
    as_of = optional_as_of(p)
    up_to = _up_to(p)
    if p.key in ("ENVELOPE", "WITHIN"):
        envelope, key, order = _subscribe_output(p)
    # Materialize reads these clauses before or after the output's form.
    options = options or with_options(p)
    as_of = as_of or optional_as_of(p)
    up_to = up_to or _up_to(p)
    return Subscribe(relation, envelope, key, order, options, as_of, up_to, position=position)


def _up_to(p: TokenStream) -> Expr | None:
    return operand(p, 0) if p.accept_all("UP", "TO") else None


def _subscribe_output(
    p: TokenStream,
) -> tuple[SubscribeEnvelope | None, tuple[str, ...], tuple[OrderItem, ...]]:
    if p.accept("ENVELOPE"):
        envelope = SubscribeEnvelope(p.expect_any("UPSERT", "DEBEZIUM"))
        p.expect_all("(", "KEY")
        key = p.name_list()
        p.expect(")")
        return envelope, key, ()
    p.expect_all("WITHIN", "TIMESTAMP", "ORDER", "BY")
    return None, (), order_items(p)


# --- cursors --------------------------------------------------------------------------------------


def declare(p: TokenStream) -> Declare:
    """Read a DECLARE."""
    position = p.position
    p.expect("DECLARE")
    name = p.name("a cursor's name")
    p.accept_any(("ASENSITIVE", "INSENSITIVE"))
    p.accept_all("NO", "SCROLL")
    p.expect("CURSOR")
    hold = False
    if p.key in ("WITH", "WITHOUT"):
        hold = p.key == "WITH"
        p.advance()
        p.expect("HOLD")
    p.expect("FOR")
    p.enter()
    statement = p.rules.statement(p)
    p.depth -= 1
    return Declare(name, statement, hold, position=position)


def fetch(p: TokenStream) -> Fetch:
    """Read a FETCH."""
    position = p.position
    p.expect("FETCH")
    backward = False
    if p.key in _DIRECTIONS and p.peek() not in ("", ";", "WITH"):
        backward = p.key not in ("FORWARD", "NEXT")
        p.advance()
    count: int | None = 1
    if p.kind is NUMBER:
        count = p.integer("a number of rows")
    elif p.key == "ALL" and p.peek() not in ("", ";", "WITH"):
        p.advance()
        count = None
    p.accept_any(("FROM", "IN"))
    cursor = p.name("a cursor's name")
    return Fetch(cursor, count, with_options(p), backward, position=position)


_DIRECTIONS = frozenset(
    ["ABSOLUTE", "BACKWARD", "FIRST", "FORWARD", "LAST", "NEXT", "PRIOR", "RELATIVE"]
)


def close(p: TokenStream) -> Close:
    """Read a CLOSE."""
    position = p.position
    p.expect("CLOSE")
    return Close(None if p.accept("ALL") else p.name("a cursor's name"), position=position)


# --- prepared statements --------------------------------------------------------------------------


def prepare(p: TokenStream) -> Prepare:
    """Read a PREPARE."""
    position = p.position
    p.expect("PREPARE")
    name = p.name("a statement's name")
    types: list[DataType] = []
    if p.accept("("):
        types.append(data_type(p))
        while p.accept(","):
            types.append(data_type(p))
        p.expect(")")
    p.expect("AS")
    p.enter()
    statement = p.rules.statement(p)
    p.depth -= 1
    return Prepare(name, statement, tuple(types), position=position)


def execute(p: TokenStream) -> Execute:
    """Read an EXECUTE."""
    position = p.position
    p.expect("EXECUTE")
    name = p.name("a statement's name")
    if p.accept_all("(", ")"):
        return Execute(name, position=position)
    arguments = expression_list(p) if p.key == "(" else ()
    return Execute(name, arguments, position=position)


def deallocate(p: TokenStream) -> Deallocate:
    """Read a DEALLOCATE."""
    position = p.position
    p.expect("DEALLOCATE")
    if p.key == "PREPARE" and p.peek() not in ("", ";"):
        p.advance()
    return Deallocate(None if p.accept("ALL") else p.name("a statement's name"), position=position)
