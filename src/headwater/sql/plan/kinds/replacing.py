"""CREATE REPLACEMENT MATERIALIZED VIEW: what a new definition must have in common with the old."""

from collections.abc import Sequence

from headwater.catalog.items import MaterializedView
from headwater.errors import (
    DatatypeMismatch,
    InvalidObjectDefinition,
    ObjectNotInPrerequisiteState,
)
from headwater.sql.plan.context import StatementContext
from headwater.sql.resolve.datatypes import show_type
from headwater.types.ids import GlobalId
from headwater.types.relation import Column, RelationDesc


def check_replacement(
    ctx: StatementContext,
    target: MaterializedView,
    desc: RelationDesc,
    reads: Sequence[GlobalId],
    position: int,
) -> None:
    """Check that all who read ``target`` can go on when it is what ``desc`` describes.

    Raises:
        DatatypeMismatch: Columns differ, or a column or a key promises less than it did.
        InvalidObjectDefinition: The view would be computed from itself.
        ObjectNotInPrerequisiteState: The target is a replacement itself, or has one.
    """
    if target.replacement_for is not None:
        raise ObjectNotInPrerequisiteState(
            f'"{target.name}" is itself a replacement', position=position
        )
    for id in ctx.catalog.used_by(target.id):
        other = ctx.catalog.item(id)
        if isinstance(other, MaterializedView) and other.replacement_for == target.id:
            raise ObjectNotInPrerequisiteState(
                f'"{target.name}" already has the replacement "{other.name}"',
                hint="Apply it, or drop it.",
                position=position,
            )
    if target.id in _all_read(ctx, reads):
        raise InvalidObjectDefinition(
            f'the replacement reads "{target.name}", which it is to replace', position=position
        )
    difference = _difference(target.desc, desc)
    if difference is not None:
        raise DatatypeMismatch(
            f'the replacement has another schema than "{target.name}"',
            detail=difference,
            position=position,
        )


def _all_read(ctx: StatementContext, ids: Sequence[GlobalId]) -> set[GlobalId]:
    seen: set[GlobalId] = set()
    stack = list(ids)
    while stack:
        id = stack.pop()
        if id not in seen:
            seen.add(id)
            stack.extend(ctx.catalog.depends_on(id))
    return seen


def _difference(old: RelationDesc, new: RelationDesc) -> str | None:
    if old.arity != new.arity:
        return f"It has {new.arity} columns in place of {old.arity}."
    for number, (was, is_) in enumerate(zip(old.columns, new.columns, strict=True), start=1):
        if (was.name, was.type) != (is_.name, is_.type) or (is_.nullable and not was.nullable):
            return f"Column {number} is {_shown(is_)} in place of {_shown(was)}."
    for key in old.keys:
        if not any(set(other) <= set(key) for other in new.keys):
            named = ", ".join(old.columns[at].name for at in key)
            return f"Rows are no longer known to be unique by ({named})."
    return None


def _shown(column: Column) -> str:
    not_null = "" if column.nullable else " NOT NULL"
    return f'"{column.name}" {show_type(column.type, modifier=True)}{not_null}'
