"""ALTER MATERIALIZED VIEW … APPLY REPLACEMENT: another definition for the same collection.

A replacement is a materialized view of its own, maintained beside its target until it is applied.
Then the target's dataflow is dropped and one of the new definition takes over its collection, at
the place that the old one has reached: what a sink writes is the difference between what the
collection holds and what it should, so that the change is made at one time. Who reads the target
(indexes, other views, sinks, subscriptions) sees that difference and goes on.
"""

import msgspec

from headwater.adapter import dataflows
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.ddl import Work
from headwater.adapter.sequencer.drop import release_items
from headwater.catalog.items import MaterializedView
from headwater.catalog.ops import DropItem, Update
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import ObjectNotInPrerequisiteState, WrongObjectType
from headwater.sql.ast.ddl import CreateMaterializedView
from headwater.sql.ast.printer import to_sql
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan.ddl import AlterApplyReplacementPlan
from headwater.types.ids import GlobalId

replace = msgspec.structs.replace


async def wait_for_replacement(coord: Coordinator, plan: AlterApplyReplacementPlan) -> None:
    """Return once the replacement is computed up to now: it can take over from here.

    Raises:
        ObjectNotInPrerequisiteState: Nothing computes the replacement, or what the target's
            collection holds is final.

    Cancellation: nothing has changed.
    """
    old, made = _view(coord.snapshot, plan.id), _view(coord.snapshot, plan.replacement)
    if coord.storage.frontiers(old.id)[1] is None:
        raise ObjectNotInPrerequisiteState(
            f'"{old.name}" is computed from constants: its rows are final',
            hint="Use CREATE OR REPLACE MATERIALIZED VIEW, or drop it.",
        )
    cluster = coord.snapshot.cluster_by_id(made.cluster)
    if not cluster.replicas:
        raise ObjectNotInPrerequisiteState(
            f'cluster "{cluster.name}" has no replicas: nothing computes the replacement',
            hint="Use CREATE CLUSTER REPLICA, or ALTER CLUSTER … SET (REPLICATION FACTOR 1).",
        )
    ts = coord.oracle.read_ts()
    coord.nudge_inputs([made.id], ts)
    await coord.storage.wait_upper(made.id, ts)


def prepare_apply(
    coord: Coordinator, snapshot: CatalogSnapshot, plan: AlterApplyReplacementPlan
) -> Work:
    """Give a view the definition of its replacement, which goes."""
    old, made = _view(snapshot, plan.id), _view(snapshot, plan.replacement)
    changed = replace(
        old,
        create_sql=_as_target(made.create_sql, old.create_sql),
        depends_on=tuple(id for id in made.depends_on if id != old.id),
        expr=made.expr,
        cluster=made.cluster,
        definition=made.definition,
        assert_not_null=made.assert_not_null,
        retain_history_ms=made.retain_history_ms,
        refresh=made.refresh,
    )

    async def after(now: CatalogSnapshot) -> None:
        coord.compute.drop(old.cluster, [old.id])
        await release_items(coord, [made])
        await dataflows.create_materialized_view(coord, now, changed, exists=True)

    ops = (DropItem(made.id), Update(changed, applied=made))
    return Work(tag="ALTER MATERIALIZED VIEW", ops=ops, after=(after,))


def _view(snapshot: CatalogSnapshot, id: GlobalId) -> MaterializedView:
    item = snapshot.item(id)
    if not isinstance(item, MaterializedView):
        raise WrongObjectType(f'"{item.name}" is not a materialized view')
    return item


def _as_target(made_sql: str, old_sql: str) -> str:
    """Return the replacement's statement as one that makes the target."""
    made, old = (parse_statements(sql)[0].statement for sql in (made_sql, old_sql))
    assert isinstance(made, CreateMaterializedView)
    assert isinstance(old, CreateMaterializedView)
    return to_sql(replace(made, name=old.name, replacement_for=None))
