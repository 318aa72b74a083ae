"""CREATE TABLE AS: the rows are read first, and are in the table when the catalog shows it.

A table's collection is made and filled before the commit that makes the table: whoever finds the
table finds its rows, also after a crash.
"""

from headwater.adapter import dataflows
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.create import table_item
from headwater.adapter.sequencer.ddl import Work, run_ddl
from headwater.adapter.sequencer.insert import refuse_mz_now, total
from headwater.adapter.sequencer.new_items import exists_notice, new_item
from headwater.adapter.sequencer.read import collect, identity_finishing, is_alone, plan_read
from headwater.adapter.session import Session
from headwater.catalog.ops import Create
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import DuplicateTable
from headwater.pgwire import protocol as p
from headwater.sql.plan.ddl import CreateTableAsPlan
from headwater.sql.plan.statements import Planned

_WHAT = "CREATE TABLE AS"


async def sequence_create_table_as(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: CreateTableAsPlan,
) -> p.ExecuteReply:
    """Answer CREATE TABLE AS. Raises: ActiveSqlTransaction, DuplicateTable."""
    session.transaction.admit_alone(_WHAT)
    session.transaction.admit_ddl(_WHAT)
    expr = coord.planner.relation(plan.query)
    refuse_mz_now(coord, expr)
    alone = is_alone(session, last=request.sync)
    read = await plan_read(coord, session, planned, expr, alone=alone)
    rows = await collect(coord, session, read, identity_finishing(plan.table.desc.arity))
    table_plan = plan.table

    async def prepare(snapshot: CatalogSnapshot) -> Work:
        new = new_item(coord, session, snapshot, table_plan.name, temporary=table_plan.temporary)
        if new.taken is not None and table_plan.if_not_exists:
            return exists_notice("table as", table_plan.name.item)
        if new.taken is not None:
            raise DuplicateTable(f'relation "{table_plan.name.item}" already exists')
        table = table_item(coord, session, new, table_plan)
        since = await coord.group_commit.register([(table.shard, table.desc)])
        await coord.group_commit.write({table.shard: rows})

        async def after(_: CatalogSnapshot) -> None:
            await dataflows.create_collection(coord, table, since)

        tag = f"SELECT {total(rows)}"
        return Work(tag=tag, ops=(*new.ops, Create(table)), after=(after,))

    return p.Command(tag=await run_ddl(coord, session, _WHAT, prepare))
