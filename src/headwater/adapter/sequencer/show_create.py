"""SHOW CREATE."""

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.inline import text_answer, text_desc
from headwater.adapter.session import Session
from headwater.adapter.stored_sql import shown_sql
from headwater.pgwire import protocol as p
from headwater.sql.plan import ddl
from headwater.sql.plan.statements import ShowCreatePlan
from headwater.types.ids import ClusterId, GlobalId


def sequence_show_create(
    coord: Coordinator, session: Session, plan: ShowCreatePlan
) -> p.ExecuteReply:
    """Answer SHOW CREATE."""
    del session
    if plan.object.type is ddl.ObjectType.CLUSTER:
        cluster = coord.snapshot.cluster_by_id(ClusterId(plan.object.id))
        sql = f"CREATE CLUSTER {cluster.name} (MANAGED = {str(cluster.managed).lower()}"
        if cluster.managed:
            sql += f", REPLICATION FACTOR = {cluster.replication_factor}, SIZE = '{cluster.size}'"
        return text_answer("SHOW", text_desc("name", "create_sql"), [[plan.name, sql + ")"]])
    item = coord.snapshot.item(GlobalId(plan.object.id))
    shown = shown_sql(coord.snapshot, item.create_sql)
    return text_answer("SHOW", text_desc("name", "create_sql"), [[plan.name, shown]])
