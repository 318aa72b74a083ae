"""What CREATE statements of items share: where the new item goes, its stored text."""

from typing import TypeVar

import msgspec

from headwater.catalog.items import Cluster
from headwater.catalog.snapshot import TEMP_SCHEMA
from headwater.errors import UndefinedObject, UndefinedParameter
from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.printer import to_sql
from headwater.sql.plan.context import StatementContext
from headwater.sql.plan.ddl import ItemPath
from headwater.types.ids import GlobalId

N = TypeVar("N", bound=Node)


def new_path(ctx: StatementContext, name: ObjectName, *, temporary: bool = False) -> ItemPath:
    """Return where a new item goes; the statement's own name becomes the full one.

    Raises: InvalidSchemaName, InvalidName, ReservedName.
    """
    schema = ctx.names.schema_to_create_in(name, temporary=temporary)
    if schema is None:
        ctx.names.new_name(name, (TEMP_SCHEMA, name.last))
        return ItemPath(None, TEMP_SCHEMA, name.last)
    assert schema.database is not None
    database = ctx.catalog.database_by_id(schema.database)
    ctx.names.new_name(name, (database.name, schema.name, name.last))
    return ItemPath(database.name, schema.name, name.last, database.id, schema.id)


def sibling_path(path: ItemPath, item: str) -> ItemPath:
    """Return the path of another item in the same schema."""
    return msgspec.structs.replace(path, item=item)


def path_parts(path: ItemPath) -> tuple[str, ...]:
    """Return the parts of a full name."""
    parts = (path.database, path.schema, path.item)
    return tuple(part for part in parts if part is not None)


def stored_sql(ctx: StatementContext, statement: Node, **changes: object) -> str:
    """Return the statement as the catalog keeps it: names resolved, conditions taken away.

    ``changes`` replace fields, such as ``if_not_exists``, which a stored statement has no use for.
    """
    stored = ctx.names.stored(statement)
    return to_sql(msgspec.structs.replace(stored, **changes))


def dependencies(ctx: StatementContext) -> tuple[GlobalId, ...]:
    """Return the items that the statement mentions, builtin ones included."""
    return tuple(ctx.names.used)


def no_parameters(ctx: StatementContext, what: str) -> None:
    """Refuse parameters in what is stored. Raises: UndefinedParameter."""
    if ctx.params:
        raise UndefinedParameter(
            "there is no parameter $1", detail=f"{what} cannot have parameters."
        )


def cluster_of(ctx: StatementContext, name: ObjectName | None) -> tuple[Cluster, ObjectName]:
    """Return the cluster that IN CLUSTER names, else the session's, and its resolved name.

    Raises: UndefinedObject.
    """
    if name is not None:
        cluster = ctx.names.cluster(name)
        return cluster, ObjectName(parts=(cluster.name,), id=cluster.id)
    wanted = ctx.session.cluster
    found = ctx.catalog.try_cluster(wanted)
    if found is None:
        raise UndefinedObject(
            f"unknown cluster '{wanted}'",
            hint="Set the session's cluster, or name one with IN CLUSTER.",
        )
    return found, ObjectName(parts=(found.name,), id=found.id)
