"""CREATE of namespaces, tables, views, indexes, types and secrets; DROP, COMMENT, REASSIGN.

The ``create_…`` rules are entered after the kind's word.
"""

from headwater.sql.ast.base import ColumnDefinition, ObjectKind, ObjectName
from headwater.sql.ast.connector import CreateWebhook, ExternalReference
from headwater.sql.ast.ddl import (
    CommentOn,
    CreateDatabase,
    CreateIndex,
    CreateMaterializedView,
    CreateSchema,
    CreateSecret,
    CreateTable,
    CreateTableAs,
    CreateTableFromSource,
    CreateType,
    CreateView,
    Drop,
    DropBehavior,
    DropOwned,
    ListDefinition,
    MapDefinition,
    ReassignOwned,
    RecordDefinition,
    TableColumn,
    TableLike,
)
from headwater.sql.ast.query import Expr
from headwater.sql.parse.column import Columns, Constraints, names_or_columns
from headwater.sql.parse.connector import create_webhook_table, in_cluster
from headwater.sql.parse.data_type import data_type
from headwater.sql.parse.expression import operand, order_items
from headwater.sql.parse.format import format_clauses
from headwater.sql.parse.kind import kind_name, object_kind
from headwater.sql.parse.option import option_list, with_options
from headwater.sql.parse.query import optional_as_of, query
from headwater.sql.parse.stream import TokenStream

# --- namespaces -----------------------------------------------------------------------------------


def create_database(p: TokenStream, position: int) -> CreateDatabase:
    """Read what follows CREATE DATABASE."""
    if_not_exists = p.if_not_exists()
    return CreateDatabase(p.name("a database"), if_not_exists, position=position)


def create_schema(p: TokenStream, position: int) -> CreateSchema:
    """Read what follows CREATE SCHEMA."""
    if_not_exists = p.if_not_exists()
    if p.key == "AUTHORIZATION" and p.peek() not in (";", ""):
        p.advance()
        at = p.position
        owner = p.name("a role")
        name = ObjectName(parts=(owner,), position=at)
        return CreateSchema(name, if_not_exists, owner, position=position)
    name = p.object_name("a schema")
    owned = p.name("a role") if p.accept("AUTHORIZATION") else None
    return CreateSchema(name, if_not_exists, owned, position=position)


# --- tables ---------------------------------------------------------------------------------------


def create_table(
    p: TokenStream, position: int, *, temporary: bool
) -> CreateTable | CreateTableAs | CreateTableFromSource | CreateWebhook:
    """Read what follows CREATE [TEMPORARY] TABLE."""
    if_not_exists = p.if_not_exists()
    name = p.object_name("a table")
    if p.at("FROM", "WEBHOOK"):
        p.advance()
        return create_webhook_table(p, position, name, if_not_exists=if_not_exists)
    likes: list[TableLike] = []
    if p.accept_all("(", ")"):
        columns: tuple[str, ...] | Columns = ()
        constraints: Constraints = ()
    elif p.key in ("(", "FROM", "AS"):
        columns, constraints = names_or_columns(p, likes)
    else:
        p.fail("(", "FROM SOURCE")
    if likes and p.key in ("FROM", "AS"):
        p.fail()
    if p.accept_all("FROM", "SOURCE"):
        source, reference = _source_table(p)
        return CreateTableFromSource(
            name,
            source,
            reference,
            columns,
            constraints,
            format_clauses(p),
            if_not_exists,
            with_options(p),
            position=position,
        )
    if p.accept("AS"):
        names = tuple(column for column in columns if isinstance(column, str))
        if len(names) != len(columns):
            p.fail("FROM SOURCE")
        return CreateTableAs(name, query(p), names, temporary, if_not_exists, position=position)
    definitions = tuple(column for column in columns if isinstance(column, TableColumn))
    if len(definitions) != len(columns):
        p.fail("FROM SOURCE")
    return CreateTable(
        name,
        definitions,
        constraints,
        temporary,
        if_not_exists,
        with_options(p),
        tuple(likes),
        position=position,
    )


def _source_table(p: TokenStream) -> tuple[ObjectName, ExternalReference | None]:
    """Read ``source [(REFERENCE table)]``."""
    source = p.object_name("a source")
    if not p.accept_all("(", "REFERENCE"):
        return source, None
    p.accept("=")
    position = p.position
    reference = ExternalReference(p.object_name("an upstream table"), position=position)
    p.expect(")")
    return source, reference


# --- views and indexes ----------------------------------------------------------------------------


def create_view(p: TokenStream, position: int, *, or_replace: bool, temporary: bool) -> CreateView:
    """Read what follows CREATE … VIEW."""
    if_not_exists = p.if_not_exists()
    name = p.object_name("a view")
    columns = p.name_list() if p.key == "(" else ()
    p.expect("AS")
    body = query(p)
    return CreateView(name, body, columns, or_replace, temporary, if_not_exists, position=position)


def create_materialized_view(
    p: TokenStream, position: int, *, or_replace: bool = False, replacement: bool = False
) -> CreateMaterializedView:
    """Read what follows CREATE … MATERIALIZED VIEW."""
    if_not_exists = p.if_not_exists()
    name = p.object_name("a materialized view")
    columns = p.name_list() if p.key == "(" else ()
    target = None
    if replacement:
        p.expect("FOR")
        target = p.object_name("a materialized view")
    cluster, replica = in_cluster(p), None
    if cluster is not None and p.accept("REPLICA"):
        replica = p.name("a replica")
    options = with_options(p)
    p.expect("AS")
    body = query(p)
    as_of = body.as_of or optional_as_of(p)
    return CreateMaterializedView(
        name,
        body,
        columns,
        cluster,
        replica,
        options,
        or_replace,
        if_not_exists,
        target,
        None if body.as_of is not None else as_of,
        position=position,
    )


def create_index(
    p: TokenStream, position: int, *, default: bool = False, unique: bool = False
) -> CreateIndex:
    """Read what follows CREATE [DEFAULT | UNIQUE] INDEX."""
    if_not_exists = p.if_not_exists()
    anonymous = p.key == "ON" or p.at("IN", "CLUSTER")
    name = None if anonymous else p.name("an index")
    cluster = in_cluster(p)
    p.expect("ON")
    on = p.object_name("a relation")
    using = p.label("an index method") if p.accept("USING") else None
    keys = None if default else _index_keys(p)
    if p.accept("INCLUDE"):
        p.name_list()
    return CreateIndex(
        name, on, keys, cluster, using, with_options(p), if_not_exists, unique, position=position
    )


def _index_keys(p: TokenStream) -> tuple[Expr, ...]:
    """Read an index's keys, maybe none; the order that may be written has no node."""
    p.expect("(")
    keys = () if p.key == ")" else tuple(item.expression for item in order_items(p))
    p.expect(")")
    return keys


# --- types and secrets ----------------------------------------------------------------------------


def create_type(p: TokenStream, position: int) -> CreateType:
    """Read what follows CREATE TYPE."""
    name = p.object_name("a type")
    p.expect("AS")
    at = p.position
    if p.accept("LIST"):
        return CreateType(name, ListDefinition(option_list(p), position=at), position=position)
    if p.accept("MAP"):
        return CreateType(name, MapDefinition(option_list(p), position=at), position=position)
    if p.key != "(":
        p.fail("(", "LIST", "MAP")
    p.expect("(")
    fields = []
    while p.key != ")":
        field_position = p.position
        field = p.name("a field")
        fields.append(ColumnDefinition(field, data_type(p), position=field_position))
        if not p.accept(","):
            break
    p.expect(")")
    return CreateType(name, RecordDefinition(tuple(fields), position=at), position=position)


def create_secret(p: TokenStream, position: int) -> CreateSecret:
    """Read what follows CREATE SECRET."""
    if_not_exists = p.if_not_exists()
    name = p.object_name("a secret")
    p.expect("AS")
    return CreateSecret(name, operand(p, 0), if_not_exists, position=position)


# --- DROP and others, entered on their first word -------------------------------------------------


def behavior(p: TokenStream) -> DropBehavior | None:
    """Read CASCADE or RESTRICT, if one is there."""
    word = p.accept_any(("CASCADE", "RESTRICT"))
    return DropBehavior(word) if word else None


def drop(p: TokenStream) -> Drop | DropOwned:
    """Read a DROP."""
    position = p.position
    p.expect("DROP")
    if p.accept_all("OWNED", "BY"):
        roles = p.names("a role")
        return DropOwned(roles, behavior(p), position=position)
    kind = object_kind(p)
    if kind is ObjectKind.COLUMN:
        p.fail("a kind of object")
    if_exists = p.if_exists()
    names = [_dropped(p, kind)]
    while p.accept(","):
        names.append(_dropped(p, kind))
    return Drop(kind, tuple(names), if_exists, behavior(p), position=position)


def _dropped(p: TokenStream, kind: ObjectKind) -> ObjectName:
    name = kind_name(p, kind)
    if kind is ObjectKind.FUNCTION and p.key == "(":
        p.skip(p.closing(p.i) - p.i)
        p.expect(")")
    return name


def reassign_owned(p: TokenStream) -> ReassignOwned:
    """Read a REASSIGN OWNED."""
    position = p.position
    p.expect_all("REASSIGN", "OWNED", "BY")
    roles = p.names("a role")
    p.expect("TO")
    return ReassignOwned(roles, p.name("a role"), position=position)


def comment_on(p: TokenStream) -> CommentOn:
    """Read a COMMENT ON."""
    position = p.position
    p.expect_all("COMMENT", "ON")
    kind = object_kind(p)
    name = kind_name(p, kind)
    p.expect("IS")
    text = None if p.accept("NULL") else p.string("a comment or NULL")
    return CommentOn(kind, name, text, position=position)
