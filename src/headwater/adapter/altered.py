"""Writes that were made for tables as they were, before ALTER TABLE."""

from collections.abc import Iterable

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.group_commit import Refusal
from headwater.catalog.items import Table
from headwater.errors import HeadwaterError, SerializationFailure


def unless_altered(coord: Coordinator, tables: Iterable[Table], *, adds_only: bool) -> None:
    """Refuse a write that was made for tables as they no longer are.

    One that only adds rows may go on where columns have come that may be left out.

    Raises: SerializationFailure.
    """
    for made in tables:
        now = coord.snapshot.try_item(made.id)
        if not isinstance(now, Table) or now is made or _fits(made, now, adds_only=adds_only):
            continue
        raise SerializationFailure(
            f'could not serialize access because relation "{now.name}" was altered'
        )


def _fits(made: Table, now: Table, *, adds_only: bool) -> bool:
    if (made.keys, made.checks, made.layout) != (now.keys, now.checks, now.layout):
        return False
    if made.desc.arity < now.desc.arity and not adds_only:
        return False
    return all(
        then.nullable >= before.nullable
        for before, then in zip(made.desc.columns, now.desc.columns, strict=False)
    )


def refusal_if_altered(coord: Coordinator, tables: Iterable[Table], *, adds_only: bool) -> Refusal:
    """Return what tells, when the turn of a write comes, why it can't be made any more."""
    kept = tuple(tables)

    def refusal() -> HeadwaterError | None:
        try:
            unless_altered(coord, kept, adds_only=adds_only)
        except SerializationFailure as error:
            return error
        return None

    return refusal
