"""ALTER … RENAME COLUMN: what reads the relation goes on to call the column as it did.

In PostgreSQL a view knows columns by their number; here it is text. The text gets the names that it
was written for as an alias: ``FROM [u1 AS db.s.t] AS t (a, b)``, which is what PostgreSQL prints of
such a view too. An index calls the column by its new name.
"""

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.create import definition_of, key_texts
from headwater.adapter.sequencer.ddl import Work
from headwater.adapter.sequencer.replan import replan
from headwater.adapter.stored_sql import with_columns_named, with_key_column_named
from headwater.catalog.codec import durable_item
from headwater.catalog.items import (
    CatalogItem,
    Index,
    MaterializedView,
    Sink,
    Table,
    View,
    relation_desc,
)
from headwater.catalog.ops import Update
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.catalog.transact import transact
from headwater.errors import FeatureNotSupported, UserError
from headwater.sql.plan.ddl import AlterRenameColumnPlan
from headwater.types.ids import GlobalId
from headwater.types.relation import RelationDesc

replace = msgspec.structs.replace


def prepare_rename_column(
    coord: Coordinator, snapshot: CatalogSnapshot, plan: AlterRenameColumnPlan
) -> Work:
    """ALTER … RENAME COLUMN. Raises: FeatureNotSupported where a sink writes the relation out."""
    old = snapshot.item(GlobalId(plan.object.id))
    assert isinstance(old, Table | View | MaterializedView)
    new = replace(old, create_sql=plan.create_sql)
    planned = replan(coord.planner, snapshot, durable_item(new))
    if isinstance(new, Table) and isinstance(planned, Table):
        new = replace(new, desc=planned.desc, checks=planned.checks)
    else:
        new = replace(new, desc=relation_desc(planned))
    after = transact(snapshot, [Update(new)]).snapshot
    users = [snapshot.item(id) for id in snapshot.used_by(old.id)]
    followers = [_following(coord, after, user, old, plan) for user in users if user.id != old.id]
    ops = [Update(item) for item in (new, *followers)]
    return Work(tag=f"ALTER {old.kind.noun.upper()}", ops=tuple(ops))


def _following(
    coord: Coordinator,
    after: CatalogSnapshot,
    user: CatalogItem,
    on: Table | View | MaterializedView,
    plan: AlterRenameColumnPlan,
) -> CatalogItem:
    """Return a user of the relation as it goes on; ``after`` has the column's new name."""
    match user:
        case Sink():
            raise FeatureNotSupported(
                f'cannot rename a column of "{on.name}": sink "{user.name}" writes it out',
                hint="Let the sink read a materialized view over it.",
            )
        case Index():
            name = _at(on, None).names[plan.column]
            sql = with_key_column_named(user.create_sql, name, plan.new_name)
            return replace(user, create_sql=sql, expressions=key_texts(sql))
        case View() | MaterializedView():
            path = after.full_name(on)
            sql = with_columns_named(
                user.create_sql, on.id, path, lambda version: _at(on, version).names
            )
            changed = replace(user, create_sql=sql, definition=definition_of(sql))
            return replace(changed, expr=_planned(coord, after, changed, on).expr)
    return user


def _at(on: Table | View | MaterializedView, version: int | None) -> RelationDesc:
    """Return the columns that the relation had in a version of it, None being the present one."""
    desc = relation_desc(on, version)
    assert desc is not None
    return desc


def _planned(
    coord: Coordinator,
    after: CatalogSnapshot,
    changed: View | MaterializedView,
    on: Table | View | MaterializedView,
) -> View | MaterializedView:
    """Return a view as its statement makes it. Raises: FeatureNotSupported where it makes none."""
    try:
        planned = replan(coord.planner, after, durable_item(changed))
    except UserError as error:
        raise _not_followed(changed, on, error.message) from error
    assert isinstance(planned, View | MaterializedView)
    if planned.desc != changed.desc:
        raise _not_followed(changed, on, "Its columns would be others.")
    return planned


def _not_followed(
    view: View | MaterializedView, on: Table | View | MaterializedView, why: str
) -> FeatureNotSupported:
    return FeatureNotSupported(
        f'cannot rename a column of "{on.name}": {view.kind.noun} "{view.name}" names it'
        " in a way that can't be kept",
        detail=why,
        hint="Drop the view, rename the column, and create it again.",
    )
