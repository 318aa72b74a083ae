"""Who reads a table: what stands against the end of a column, goes with it, or follows."""

from collections.abc import Iterable, Iterator

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.create import definition_of
from headwater.adapter.sequencer.replan import replan
from headwater.adapter.sequencer.rewriting import narrowed
from headwater.adapter.session import notice
from headwater.adapter.stored_sql import with_version, without_columns
from headwater.catalog.codec import durable_item
from headwater.catalog.items import CatalogItem, Index, MaterializedView, Table, View
from headwater.catalog.ops import Update
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.catalog.transact import transact
from headwater.errors import (
    DependentObjectsStillExist,
    ErrorFields,
    FeatureNotSupported,
    UserError,
)
from headwater.ir.relation import Get, Global, Project, RelationExpr
from headwater.ir.visit import columns_of_all, inputs_of, walk
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.projection_pushdown import push_projections
from headwater.sql.plan.ddl import AlterTablePlan
from headwater.types.ids import GlobalId

replace = msgspec.structs.replace


class Followers(msgspec.Struct, frozen=True):
    """What becomes of a table's users.

    Attributes:
        gone: Those that are dropped, dependents first.
        changed: Those that go on, where anything is new in them.
        rebuilt: Whether indexes are among these.
        notices: What to say about it.
    """

    gone: tuple[GlobalId, ...] = ()
    changed: tuple[CatalogItem, ...] = ()
    rebuilt: bool = False
    notices: tuple[ErrorFields, ...] = ()


def followers(
    coord: Coordinator,
    snapshot: CatalogSnapshot,
    old: Table,
    new: Table,
    lost: frozenset[int],
    plan: AlterTablePlan,
) -> Followers:
    """Return what becomes of the users of a table that loses the columns ``lost``.

    As in PostgreSQL, its indexes go with a column that is dropped, or are made again with its new
    type; a view that reads it is in the way.

    Raises: DependentObjectsStillExist, FeatureNotSupported.
    """
    retyped = {old.shown[origin] for index, origin in _origins(plan) if index in plan.conversions}
    dropped = lost - retyped
    after = transact(snapshot, [Update(new)]).snapshot
    gone: list[GlobalId] = []
    changed: list[CatalogItem] = []
    stopping: list[GlobalId] = []
    rebuilt = False
    for id in snapshot.used_by(old.id):
        user = snapshot.item(id)
        if isinstance(user, Index) and lost:
            if not dropped.isdisjoint(columns_of_all(user.key)):
                gone.append(id)
            elif not lost.isdisjoint(columns_of_all(user.key)):
                changed.append(replan(coord.planner, after, durable_item(user)))
                rebuilt = True
            else:
                changed.append(user)  # the catalog shows its columns by their numbers
        if not isinstance(user, View | MaterializedView):
            continue
        follower = _following(coord, after, user, old, new, lost)
        if follower is None and not _reads(user, old, retyped) and plan.cascade:
            stopping.append(id)
        elif follower is None:
            raise _in_the_way(user, old, lost, retyped)
        elif follower != user:
            changed.append(follower)
    cascaded = [id for id in snapshot.dependents_of(stopping) if id not in gone]
    kept = tuple(item for item in changed if item.id not in cascaded)
    said = tuple(_cascades(snapshot, cascaded))
    return Followers((*cascaded, *gone), kept, rebuilt, said)


def _origins(plan: AlterTablePlan) -> Iterator[tuple[int, int]]:
    for index, origin in enumerate(plan.origins):
        if origin is not None:
            yield index, origin


def _following(
    coord: Coordinator,
    after: CatalogSnapshot,
    view: View | MaterializedView,
    old: Table,
    new: Table,
    lost: frozenset[int],
) -> View | MaterializedView | None:
    """Return a view of the columns that the table had; None where it reads one that is lost."""
    if lost and _reads(view, old, lost):
        return None
    if lost:
        sql = without_columns(view.create_sql, old.id, lambda version: _lost_at(old, version, lost))
        view = replace(view, create_sql=sql, definition=definition_of(sql))
    if new.desc.arity > old.desc.arity:
        sql = with_version(view.create_sql, old.id, len(old.desc.added))
        view = replace(view, create_sql=sql)
    if not lost:
        return replace(view, expr=narrowed(view.expr, new.id, old.desc, new.desc))
    try:
        planned = replan(coord.planner, after, durable_item(view))
    except UserError:  # the text names a column that the plan has no use for
        return None
    assert isinstance(planned, View | MaterializedView)
    return replace(view, expr=planned.expr) if planned.desc == view.desc else None


def _lost_at(old: Table, version: int | None, lost: frozenset[int]) -> set[int]:
    """Return the numbers that lost columns had in a version of a table."""
    return {at for at, place in enumerate(old.shown_at(version)) if place in lost}


def _in_the_way(
    view: View | MaterializedView, old: Table, lost: Iterable[int], retyped: Iterable[int]
) -> DependentObjectsStillExist | FeatureNotSupported:
    read = [place for place in lost if _reads(view, old, (place,))] or list(lost)
    name = old.desc.columns[min(read)].name
    noun = view.kind.noun
    if min(read) in set(retyped):
        return FeatureNotSupported(
            "cannot alter type of a column used by a view or rule",
            detail=f'{noun} {view.name} depends on column "{name}"',
        )
    return DependentObjectsStillExist(
        f"cannot drop column {name} of table {old.name} because other objects depend on it",
        detail=f"{noun} {view.name} depends on column {name} of table {old.name}",
        hint="Use DROP ... CASCADE to drop the dependent objects too.",
    )


def _cascades(snapshot: CatalogSnapshot, ids: list[GlobalId]) -> Iterator[ErrorFields]:
    said = [f"drop cascades to {item.kind.noun} {item.name}" for item in map(snapshot.item, ids)]
    if len(said) == 1:
        yield notice(said[0])
    elif said:
        yield notice(f"drop cascades to {len(said)} other objects", detail="\n".join(said))


# Columns that are read


def _reads(view: View | MaterializedView, on: Table, places: Iterable[int]) -> bool:
    """Return whether a view reads one of these columns.

    What its query carries along and nobody looks at is not read.
    """
    expr = push_projections(view.expr, OptimizerContext())
    found: set[int] = set()
    if _is_get(expr, on.id):
        found.update(range(on.desc.arity))
    for node in walk(expr):
        for child in inputs_of(node):
            if _is_get(child, on.id):
                found.update(node.outputs if isinstance(node, Project) else range(on.desc.arity))
    return not found.isdisjoint(places)


def _is_get(expr: RelationExpr, on: GlobalId) -> bool:
    return isinstance(expr, Get) and isinstance(expr.id, Global) and expr.id.id == on
