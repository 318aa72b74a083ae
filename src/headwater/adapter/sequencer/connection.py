"""ALTER CONNECTION: sources and sinks that use it go on over it as it is now."""

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.running import sink_of
from headwater.adapter.sequencer.ddl import Work
from headwater.adapter.sequencer.source import run_source
from headwater.catalog.items import Connection, Sink, Source
from headwater.catalog.ops import Update
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import FeatureNotSupported
from headwater.sql.plan import ddl


def prepare_alter_connection(
    coord: Coordinator, snapshot: CatalogSnapshot, plan: ddl.AlterConnectionPlan
) -> Work:
    """ALTER CONNECTION … SET, RESET, DROP."""
    if plan.rotate_keys:
        raise FeatureNotSupported("ALTER CONNECTION … ROTATE KEYS")
    item = snapshot.item(plan.id)
    assert isinstance(item, Connection)
    changed = msgspec.structs.replace(
        item, create_sql=plan.create_sql, details=plan.details, depends_on=plan.depends_on
    )

    async def run(made: CatalogSnapshot) -> None:
        for id in made.used_by(plan.id):
            user = made.item(id)
            if isinstance(user, Source) and user.progress is not None:
                run_source(coord, made, user)
            elif isinstance(user, Sink):
                described = sink_of(made, user, coord.environment_id, coord.planner)
                coord.storage.run_sink(user.cluster, described)

    return Work(tag="ALTER CONNECTION", ops=(Update(changed),), after=(run,))
