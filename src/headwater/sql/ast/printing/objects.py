"""DDL of what queries read, except sources, as SQL; ALTER, DROP and COMMENT of all kinds."""

from headwater.sql.ast.base import Node
from headwater.sql.ast.ddl import (
    AddColumn,
    AddConstraint,
    AlterApplyReplacement,
    AlterColumn,
    AlterColumnType,
    AlterOptions,
    AlterOwner,
    AlterRename,
    AlterRenameColumn,
    AlterSecret,
    AlterSetCluster,
    AlterSetSchema,
    AlterSinkFrom,
    AlterSourceAddSubsource,
    AlterSourceDropSubsource,
    AlterSourceRefresh,
    AlterSwap,
    AlterTable,
    CommentOn,
    Constraint,
    ConstraintKind,
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
    DropColumn,
    DropConstraint,
    DropOptions,
    DropOwned,
    ListDefinition,
    MapDefinition,
    ReassignOwned,
    RecordDefinition,
    RenameConstraint,
    ResetOptions,
    RotateKeys,
    SetOptions,
    TableColumn,
    TableLike,
)
from headwater.sql.ast.keywords import quote
from headwater.sql.ast.printing.options import with_options
from headwater.sql.ast.printing.writer import (
    LOOSEST,
    Rules,
    Writer,
    columns,
    name,
    names,
    when,
    words,
)

_IF_NOT_EXISTS = "IF NOT EXISTS "
_IF_EXISTS = "IF EXISTS "

# --- CREATE ---------------------------------------------------------------------------------------


def _constraint(w: Writer, node: Constraint) -> str:
    """Print a constraint; one of a column has no columns of its own."""
    named = "" if node.name is None else f"CONSTRAINT {quote(node.name)} "
    kind = node.kind
    if kind is ConstraintKind.FOREIGN_KEY and node.referenced is not None:
        target = f"REFERENCES {name(node.referenced)}{columns(node.referenced_columns)}"
        return named + (f"FOREIGN KEY{columns(node.columns)} " if node.columns else "") + target
    text = named + kind
    if kind is ConstraintKind.CHECK and node.expression is not None:
        return f"{text} ({w.node(node.expression)})"
    if node.expression is not None:
        return f"{text} {w.above(node.expression, LOOSEST)}"
    text += when(node.nulls_not_distinct, " NULLS NOT DISTINCT") + columns(node.columns)
    return text + when(not node.enforced, " NOT ENFORCED")


def _table_column(w: Writer, node: TableColumn) -> str:
    constraints = " ".join([w.node(constraint) for constraint in node.constraints])
    return words(quote(node.name), w.node(node.data_type), constraints)


def definitions(
    w: Writer, of: tuple[str, ...] | tuple[TableColumn, ...], constraints: tuple[Constraint, ...]
) -> str:
    """Return names or definitions and constraints in parentheses, or nothing if there are none."""
    shown = [quote(one) if isinstance(one, str) else w.node(one) for one in of]
    shown += [w.node(constraint) for constraint in constraints]
    return f" ({', '.join(shown)})" if shown else ""


def _create_table(w: Writer, node: CreateTable) -> str:
    kind = when(node.temporary, "TEMPORARY ") + "TABLE"
    target = when(node.if_not_exists, _IF_NOT_EXISTS) + name(node.name)
    body = _with_likes(w, node) if node.likes else definitions(w, node.columns, node.constraints)
    return f"CREATE {kind} {target}{body or ' ()'}{with_options(w, node.options)}"


def _with_likes(w: Writer, node: CreateTable) -> str:
    elements = [w.node(column) for column in node.columns]
    for like in reversed(node.likes):
        elements.insert(like.at, w.node(like))
    elements.extend([w.node(constraint) for constraint in node.constraints])
    return f" ({', '.join(elements)})"


def _like(_: Writer, node: TableLike) -> str:
    return " ".join(["LIKE", name(node.name), *[f"INCLUDING {one}" for one in node.including]])


def _create_table_as(w: Writer, node: CreateTableAs) -> str:
    kind = when(node.temporary, "TEMPORARY ") + "TABLE"
    target = when(node.if_not_exists, _IF_NOT_EXISTS) + name(node.name)
    return f"CREATE {kind} {target}{columns(node.columns)} AS {w.node(node.query)}"


def _create_table_from_source(w: Writer, node: CreateTableFromSource) -> str:
    target = when(node.if_not_exists, _IF_NOT_EXISTS) + name(node.name)
    text = f"CREATE TABLE {target}{definitions(w, node.columns, node.constraints)}"
    text += f" FROM SOURCE {name(node.source)}"
    if node.reference is not None:
        text += f" (REFERENCE = {name(node.reference.reference)})"
    return text + w.optional("", node.format) + with_options(w, node.options)


def _create_view(w: Writer, node: CreateView) -> str:
    kind = when(node.or_replace, "OR REPLACE ") + when(node.temporary, "TEMPORARY ") + "VIEW"
    target = when(node.if_not_exists, _IF_NOT_EXISTS) + name(node.name)
    return f"CREATE {kind} {target}{columns(node.columns)} AS {w.node(node.query)}"


def _create_materialized_view(w: Writer, node: CreateMaterializedView) -> str:
    replaced = node.replacement_for
    kind = when(node.or_replace, "OR REPLACE ") + when(replaced, "REPLACEMENT ")
    target = when(node.if_not_exists, _IF_NOT_EXISTS) + name(node.name)
    replica = "" if node.in_replica is None else f" REPLICA {quote(node.in_replica)}"
    return (
        f"CREATE {kind}MATERIALIZED VIEW {target}{columns(node.columns)}"
        + w.optional("FOR ", replaced)
        + w.optional("IN CLUSTER ", node.in_cluster)
        + replica
        + with_options(w, node.options)
        + f" AS {w.node(node.query)}"
        + w.optional("", node.as_of)
    )


def _create_index(w: Writer, node: CreateIndex) -> str:
    kind = when(node.keys is None, "DEFAULT ") + when(node.unique, "UNIQUE ") + "INDEX"
    target = when(node.if_not_exists, " IF NOT EXISTS")
    target += "" if node.name is None else f" {quote(node.name)}"
    using = "" if node.using is None else f" USING {quote(node.using)}"
    keys = "" if node.keys is None else f" ({w.nodes(node.keys)})"
    cluster = w.optional("IN CLUSTER ", node.in_cluster)
    options = with_options(w, node.options)
    return f"CREATE {kind}{target}{cluster} ON {name(node.on)}{using}{keys}{options}"


def _create_type(w: Writer, node: CreateType) -> str:
    return f"CREATE TYPE {name(node.name)} AS {w.node(node.definition)}"


def _create_secret(w: Writer, node: CreateSecret) -> str:
    target = when(node.if_not_exists, _IF_NOT_EXISTS) + name(node.name)
    return f"CREATE SECRET {target} AS {w.node(node.value)}"


def _create_database(w: Writer, node: CreateDatabase) -> str:
    return f"CREATE DATABASE {when(node.if_not_exists, _IF_NOT_EXISTS)}{quote(node.name)}"


def _create_schema(w: Writer, node: CreateSchema) -> str:
    owned = "" if node.owner is None else f" AUTHORIZATION {quote(node.owner)}"
    return f"CREATE SCHEMA {when(node.if_not_exists, _IF_NOT_EXISTS)}{name(node.name)}{owned}"


# --- DROP -----------------------------------------------------------------------------------------


def _behavior(behavior: DropBehavior | None) -> str:
    return "" if behavior is None else f" {behavior}"


def _drop(w: Writer, node: Drop) -> str:
    exists = when(node.if_exists, _IF_EXISTS)
    return f"DROP {node.kind} {exists}{w.nodes(node.names)}{_behavior(node.behavior)}"


def _drop_owned(w: Writer, node: DropOwned) -> str:
    return f"DROP OWNED BY {names(node.roles)}{_behavior(node.behavior)}"


def _reassign(w: Writer, node: ReassignOwned) -> str:
    return f"REASSIGN OWNED BY {names(node.roles)} TO {quote(node.new_role)}"


def _comment(w: Writer, node: CommentOn) -> str:
    text = "NULL" if node.text is None else w.string(node.text)
    return f"COMMENT ON {node.kind} {name(node.name)} IS {text}"


# --- ALTER ----------------------------------------------------------------------------------------


def _altered(kind: str, of: str, *, if_exists: bool) -> str:
    return f"ALTER {kind} {when(if_exists, _IF_EXISTS)}{of}"


def _rename(w: Writer, node: AlterRename) -> str:
    target = _altered(node.kind, name(node.name), if_exists=node.if_exists)
    return f"{target} RENAME TO {quote(node.new_name)}"


def _rename_column(w: Writer, node: AlterRenameColumn) -> str:
    target = _altered(node.kind, name(node.name), if_exists=node.if_exists)
    return f"{target} RENAME COLUMN {quote(node.column)} TO {quote(node.new_name)}"


def _owner(w: Writer, node: AlterOwner) -> str:
    target = _altered(node.kind, name(node.name), if_exists=node.if_exists)
    return f"{target} OWNER TO {quote(node.role)}"


def _set_cluster(w: Writer, node: AlterSetCluster) -> str:
    target = _altered(node.kind, name(node.name), if_exists=node.if_exists)
    return f"{target} SET CLUSTER {quote(node.cluster)}"


def _set_schema(w: Writer, node: AlterSetSchema) -> str:
    target = _altered(node.kind, name(node.name), if_exists=node.if_exists)
    return f"{target} SET SCHEMA {name(node.schema)}"


def _rename_constraint(_: Writer, node: RenameConstraint) -> str:
    return f"RENAME CONSTRAINT {quote(node.name)} TO {quote(node.new_name)}"


def _alter_options(w: Writer, node: AlterOptions) -> str:
    target = _altered(node.kind, name(node.name), if_exists=node.if_exists)
    return f"{target}{w.clause('', node.changes)}{with_options(w, node.with_options)}"


def _alter_table(w: Writer, node: AlterTable) -> str:
    target = _altered("TABLE", name(node.name), if_exists=node.if_exists)
    return f"{target} {', '.join([w.node(action) for action in node.actions])}"


def _add_column(w: Writer, node: AddColumn) -> str:
    return f"ADD COLUMN {when(node.if_not_exists, _IF_NOT_EXISTS)}{w.node(node.column)}"


def _drop_constraint(_: Writer, node: DropConstraint) -> str:
    return f"DROP CONSTRAINT {when(node.if_exists, _IF_EXISTS)}{quote(node.name)}"


def _alter_column(w: Writer, node: AlterColumn) -> str:
    value = "" if node.default is None else f" {w.node(node.default)}"
    return f"ALTER COLUMN {quote(node.name)} {node.change}{value}"


def _alter_column_type(w: Writer, node: AlterColumnType) -> str:
    using = "" if node.using is None else f" USING {w.node(node.using)}"
    return f"ALTER COLUMN {quote(node.name)} TYPE {w.node(node.data_type)}{using}"


def _drop_column(_: Writer, node: DropColumn) -> str:
    cascade = when(node.cascade, " CASCADE")
    return f"DROP COLUMN {when(node.if_exists, _IF_EXISTS)}{quote(node.name)}{cascade}"


def _apply(w: Writer, node: AlterApplyReplacement) -> str:
    target = _altered("MATERIALIZED VIEW", name(node.name), if_exists=node.if_exists)
    return f"{target} APPLY REPLACEMENT {name(node.replacement)}"


def _alter_secret(w: Writer, node: AlterSecret) -> str:
    target = _altered("SECRET", name(node.name), if_exists=node.if_exists)
    return f"{target} AS {w.node(node.value)}"


def _sink_from(w: Writer, node: AlterSinkFrom) -> str:
    target = _altered("SINK", name(node.name), if_exists=node.if_exists)
    return f"{target} SET FROM {name(node.from_)}"


def _add_subsource(w: Writer, node: AlterSourceAddSubsource) -> str:
    target = _altered("SOURCE", name(node.name), if_exists=node.if_exists)
    return f"{target} ADD SUBSOURCE {w.nodes(node.references)}{with_options(w, node.options)}"


def _drop_subsource(w: Writer, node: AlterSourceDropSubsource) -> str:
    target = _altered("SOURCE", name(node.name), if_exists=node.if_exists)
    exists = when(node.if_subsource_exists, _IF_EXISTS)
    return f"{target} DROP SUBSOURCE {exists}{w.nodes(node.names)}{_behavior(node.behavior)}"


def _refresh(w: Writer, node: AlterSourceRefresh) -> str:
    target = _altered("SOURCE", name(node.name), if_exists=node.if_exists)
    return f"{target} REFRESH REFERENCES"


def _option_names(before: str, of: tuple[str, ...]) -> str:
    return f"{before} ({', '.join([one.upper() for one in of])})"


def _rotate(w: Writer, node: Node) -> str:
    return "ROTATE KEYS"


RULES: Rules = {
    AlterApplyReplacement: _apply,
    AlterOptions: _alter_options,
    AlterOwner: _owner,
    AlterRename: _rename,
    AlterRenameColumn: _rename_column,
    AlterSecret: _alter_secret,
    AlterSetCluster: _set_cluster,
    AlterSetSchema: _set_schema,
    AlterSinkFrom: _sink_from,
    AlterSourceAddSubsource: _add_subsource,
    AlterSourceDropSubsource: _drop_subsource,
    AlterSourceRefresh: _refresh,
    AlterSwap: lambda w, node: f"ALTER {node.kind} {name(node.name)} SWAP WITH {quote(node.other)}",
    AlterColumn: _alter_column,
    AlterColumnType: _alter_column_type,
    AlterTable: _alter_table,
    AddColumn: _add_column,
    AddConstraint: lambda w, node: f"ADD {w.node(node.constraint)}",
    DropColumn: _drop_column,
    RenameConstraint: _rename_constraint,
    DropConstraint: _drop_constraint,
    CommentOn: _comment,
    Constraint: _constraint,
    CreateDatabase: _create_database,
    CreateIndex: _create_index,
    CreateMaterializedView: _create_materialized_view,
    CreateSchema: _create_schema,
    CreateSecret: _create_secret,
    CreateTable: _create_table,
    CreateTableAs: _create_table_as,
    CreateTableFromSource: _create_table_from_source,
    CreateType: _create_type,
    CreateView: _create_view,
    Drop: _drop,
    DropOptions: lambda w, node: _option_names("DROP", node.names),
    DropOwned: _drop_owned,
    ListDefinition: lambda w, node: f"LIST ({w.nodes(node.options)})",
    MapDefinition: lambda w, node: f"MAP ({w.nodes(node.options)})",
    ReassignOwned: _reassign,
    RecordDefinition: lambda w, node: f"({w.nodes(node.fields)})",
    ResetOptions: lambda w, node: _option_names("RESET", node.names),
    RotateKeys: _rotate,
    SetOptions: lambda w, node: f"SET ({w.nodes(node.options)})",
    TableLike: _like,
    TableColumn: _table_column,
}
