"""From a plan to the module that carries it out."""

from collections.abc import Callable
from functools import partial

import msgspec

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.purify import purify
from headwater.adapter.sequencer import (
    alter,
    alter_table,
    analyze,
    cluster,
    connection,
    copy,
    copy_files,
    create,
    cursor,
    drop,
    explain,
    explain_pushdown,
    explain_timestamp,
    filling,
    insert,
    privileges,
    read,
    read_then_write,
    rename_column,
    replacement,
    savepoint,
    select,
    source,
    subscribe,
    transaction,
    variables,
)
from headwater.adapter.sequencer.ddl import Work, run_ddl, session_snapshot
from headwater.adapter.session import Session
from headwater.catalog.rows import NULL
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import FeatureNotSupported, InvalidParameterValue
from headwater.ir.literals import literal_float, literal_int
from headwater.pgwire import protocol as p
from headwater.sql.plan import ddl
from headwater.sql.plan import statements as st
from headwater.sql.plan.statements import Planned

_SLEEP_MAX_S = 86_400
# What an explicit transaction that has failed still takes.
ENDS_FAILURE = (st.CommitPlan, st.RollbackPlan, st.RollbackToPlan)


# Plans the statement anew against a snapshot.
Replan = Callable[[CatalogSnapshot], Planned]


async def sequence(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    replan: Replan,
) -> p.ExecuteReply:
    """Carry out a planned statement.

    Raises: any HeadwaterError; the caller fails the transaction then.
    """
    plan = planned.plan
    if not isinstance(plan, ENDS_FAILURE):
        session.transaction.check_alive()
    session.transaction.statements += 1
    for said in planned.notices:
        session.notify(said)
    match plan:
        case st.SelectPlan():
            return await select.sequence_select(coord, session, request, planned, plan)
        case st.InsertPlan():
            return await insert.sequence_insert(coord, session, request, planned, plan)
        case st.ReadThenWritePlan():
            return await read_then_write.sequence_read_then_write(
                coord, session, request, planned, plan
            )
        case st.TruncatePlan():
            return await read_then_write.sequence_truncate(coord, session, request, planned, plan)
        case st.SubscribePlan():
            return await subscribe.sequence_subscribe(coord, session, request, planned, plan)
        case ddl.CreateTableAsPlan():
            return await filling.sequence_create_table_as(coord, session, request, planned, plan)
        case st.CopyToPlan() if plan.uri is not None:
            return await copy_files.sequence_copy_to_files(coord, session, request, planned, plan)
        case st.CopyFromPlan() if plan.uri is not None:
            return await copy_files.sequence_copy_from_files(coord, session, plan)
        case st.CopyToPlan():
            return await copy.sequence_copy_to(coord, session, request, planned, plan)
        case st.CopyFromPlan():
            return await copy.sequence_copy_from(coord, session, plan)
        case _:
            return await _sequence_control(coord, session, request, planned, replan)


async def _sequence_control(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    replan: Replan,
) -> p.ExecuteReply:
    plan = planned.plan
    match plan:
        case st.StartTransactionPlan():
            return await transaction.sequence_begin(coord, session, plan)
        case st.CommitPlan():
            return await transaction.sequence_commit(coord, session, plan)
        case st.RollbackPlan():
            return await transaction.sequence_rollback(coord, session, plan)
        case st.SavepointPlan():
            return savepoint.sequence_savepoint(session, plan)
        case st.ReleaseSavepointPlan():
            return savepoint.sequence_release(session, plan)
        case st.RollbackToPlan():
            return savepoint.sequence_rollback_to(coord, session, plan)
        case st.SetTransactionPlan():
            return transaction.sequence_set_transaction(session, plan)
        case st.SetVariablePlan():
            return variables.sequence_set(coord, session, plan)
        case st.ResetVariablePlan():
            return variables.sequence_reset(coord, session, plan)
        case st.ShowVariablePlan():
            return variables.sequence_show(session, plan)
        case st.ShowAllVariablesPlan():
            return variables.sequence_show_all(session.variables, plan)
        case st.SetConstraintsPlan():
            return variables.sequence_set_constraints(session)
        case st.DiscardPlan():
            return await variables.sequence_discard(coord, session, plan)
        case st.RaisePlan():
            return variables.sequence_raise(session, plan)
        case _:
            return await _sequence_prepared(coord, session, request, planned, replan)


async def _sequence_prepared(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    replan: Replan,
) -> p.ExecuteReply:
    plan = planned.plan
    match plan:
        case st.PreparePlan():
            cursor.sequence_prepare(session, plan)
            return p.Command(tag="PREPARE")
        case st.DeallocatePlan():
            return cursor.sequence_deallocate(session, plan)
        case st.FetchPlan():
            return cursor.sequence_fetch(session, plan)
        case st.ClosePlan():
            return cursor.sequence_close(session, plan)
        case st.ExplainPlan():
            explained = partial(explain.sequence_explain, coord, session, request, planned, plan)
            return await coord.planner.perhaps_aside(planned.is_long, explained)
        case st.ExplainAnalyzePlan():
            return await analyze.sequence_analyze(coord, session, plan)
        case st.ExplainTimestampPlan():
            return await explain_timestamp.sequence_explain_timestamp(
                coord, session, request, planned, plan
            )
        case st.CancelBackendPlan():
            return _cancel_backend(coord, session, plan)
        case st.SetConfigPlan():
            return variables.sequence_set_config(coord, session, request, planned, plan)
        case st.SleepPlan():
            return await _sleep(coord, session, plan)
        case st.ExplainSchemaPlan():
            # Formats with schemas are Avro and Protobuf, which sinks do not write yet.
            raise FeatureNotSupported(
                "EXPLAIN SCHEMA is only available for Kafka sinks with Avro schemas"
            )
        case st.ValidateConnectionPlan():
            await purify(coord.snapshot, plan, coord.environment_id)
            return p.Command(tag="VALIDATE CONNECTION")
        case st.ExplainPushdownPlan():
            return await explain_pushdown.sequence_explain_pushdown(
                coord, session, request, planned, plan
            )
        case st.ExecutePlan() | st.DeclarePlan():
            raise FeatureNotSupported("this form of the statement is not supported yet")
        case _:
            return await _sequence_ddl(coord, session, planned, replan)


def _cancel_backend(
    coord: Coordinator, session: Session, plan: st.CancelBackendPlan
) -> p.ExecuteReply:
    del session
    pid = literal_int(coord.planner.constant(plan.pid))
    found = next((s for s in coord.sessions.values() if s.process_id == pid), None)
    if found is not None:
        coord.peeks.cancel(found.conn)
    data = b"\x03" if found is not None else b"\x02"
    return p.Rows(source=select.one_row(data), columns=select.result_columns(plan.desc))


async def _sleep(coord: Coordinator, session: Session, plan: st.SleepPlan) -> p.ExecuteReply:
    """Answer after a while; cancellation and the statement's time-out end it."""
    session.transaction.queried = True
    found = coord.planner.constant(plan.seconds, values=read.session_values(coord, session))
    if found.data != NULL:
        seconds = literal_float(found)
        if not 0 <= seconds <= _SLEEP_MAX_S:
            raise InvalidParameterValue(f"mz_sleep takes from 0 to {_SLEEP_MAX_S} seconds")
        await coord.clock.sleep(seconds)
    return p.Rows(source=select.one_row(NULL), columns=select.result_columns(plan.desc))


async def _sequence_ddl(
    coord: Coordinator, session: Session, planned: Planned, replan: Replan
) -> p.ExecuteReply:
    what = _title(planned.plan)
    await purify(session_snapshot(coord, session), planned.plan, coord.environment_id)
    if isinstance(planned.plan, ddl.AlterApplyReplacementPlan):
        await replacement.wait_for_replacement(coord, planned.plan)
    seen = session_snapshot(coord, session)

    async def prepare(snapshot: CatalogSnapshot) -> Work:
        current = planned
        if snapshot is not seen:
            current = await coord.planner.perhaps_aside(planned.is_long, lambda: replan(snapshot))
            current = msgspec.structs.replace(current, is_long=planned.is_long)
        return await prepare_ddl(coord, session, snapshot, current)

    if isinstance(planned.plan, ddl.AlterSinkFromPlan):
        async with source.cut_over(coord, planned.plan) as plan:

            async def prepare_cut(snapshot: CatalogSnapshot) -> Work:
                return source.prepare_sink_from(coord, snapshot, plan)

            return p.Command(tag=await run_ddl(coord, session, what, prepare_cut))
    return p.Command(tag=await run_ddl(coord, session, what, prepare))


def _title(plan: st.StatementPlan) -> str:
    tag = str(type(plan).__struct_config__.tag)
    return tag.replace("_", " ").upper()


async def prepare_ddl(  # noqa: C901, PLR0911, PLR0912 - one case a statement
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, planned: Planned
) -> Work:
    """Return what a statement that changes the catalog does."""
    plan = planned.plan
    match plan:
        case ddl.CreateDatabasePlan():
            return create.prepare_database(coord, session, snapshot, plan)
        case ddl.CreateSchemaPlan():
            return create.prepare_schema(coord, session, snapshot, plan)
        case ddl.CreateRolePlan():
            return create.prepare_role(coord, plan)
        case ddl.CreateTablePlan():
            return create.prepare_table(coord, session, snapshot, plan)
        case ddl.CreateTableFromSourcePlan():
            return source.prepare_table_from_source(coord, session, snapshot, plan)
        case ddl.CreateViewPlan():
            return await create.prepare_view(coord, session, snapshot, planned, plan)
        case ddl.CreateMaterializedViewPlan():
            return await create.prepare_materialized_view(coord, session, snapshot, planned, plan)
        case ddl.CreateIndexPlan():
            return await create.prepare_index(coord, session, snapshot, plan)
        case ddl.CreateTypePlan():
            return create.prepare_type(coord, session, snapshot, plan)
        case ddl.CreateSecretPlan():
            return create.prepare_secret(coord, session, snapshot, plan)
        case ddl.CreateConnectionPlan():
            return create.prepare_connection(coord, session, snapshot, plan)
        case ddl.CreateSourcePlan():
            return source.prepare_source(coord, session, snapshot, plan)
        case ddl.CreateSinkPlan():
            return source.prepare_sink(coord, session, snapshot, plan)
        case ddl.CreateClusterPlan():
            return cluster.prepare_cluster(coord, session, snapshot, plan)
        case ddl.CreateClusterReplicaPlan():
            return cluster.prepare_replica(coord, session, snapshot, plan)
        case ddl.DropObjectsPlan() | ddl.DropOwnedPlan():
            return drop.prepare_drop(session, coord, snapshot, plan)
        case _:
            return _prepare_alter(coord, session, snapshot, planned)


def _prepare_alter(  # noqa: C901, PLR0911, PLR0912 - one case a statement
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, planned: Planned
) -> Work:
    plan = planned.plan
    match plan:
        case ddl.AlterClusterPlan():
            return cluster.prepare_alter_cluster(coord, session, snapshot, plan)
        case ddl.AlterSizePlan():
            return cluster.prepare_size(coord, session, snapshot, plan)
        case ddl.AlterNoopPlan():
            return Work(tag=f"ALTER {plan.type.value.upper()}")
        case ddl.AlterTablePlan():
            return alter_table.prepare_alter_table(coord, session, snapshot, plan)
        case ddl.AlterRenamePlan():
            return alter.prepare_rename(coord, snapshot, plan)
        case ddl.AlterRenameColumnPlan():
            return rename_column.prepare_rename_column(coord, snapshot, plan)
        case ddl.AlterSetSchemaPlan():
            return alter.prepare_set_schema(snapshot, plan)
        case ddl.AlterSwapPlan():
            return alter.prepare_swap(snapshot, plan)
        case ddl.AlterOwnerPlan():
            return privileges.prepare_owner(snapshot, plan)
        case ddl.ReassignOwnedPlan():
            return privileges.prepare_reassign(snapshot, plan)
        case ddl.AlterSetClusterPlan():
            return alter.prepare_set_cluster(coord, snapshot, plan)
        case ddl.AlterRetainHistoryPlan():
            return alter.prepare_retain_history(snapshot, plan)
        case ddl.AlterTimestampIntervalPlan():
            return alter.prepare_timestamp_interval(snapshot, plan)
        case ddl.AlterSecretPlan():
            return alter.prepare_secret_value(coord, session, plan)
        case ddl.AlterRolePlan():
            return alter.prepare_role(snapshot, plan)
        case ddl.RoleMembershipPlan():
            return privileges.prepare_membership(snapshot, plan)
        case ddl.AlterSystemSetPlan() | ddl.AlterSystemResetAllPlan():
            return alter.prepare_system_variable(plan)
        case ddl.CommentPlan():
            return alter.prepare_comment(plan)
        case ddl.AlterConnectionPlan():
            return connection.prepare_alter_connection(coord, snapshot, plan)
        case ddl.AlterSinkFromPlan():
            return source.prepare_sink_from(coord, snapshot, plan)
        case ddl.AlterApplyReplacementPlan():
            return replacement.prepare_apply(coord, snapshot, plan)
        case ddl.PrivilegesPlan():
            return privileges.prepare_privileges(snapshot, plan)
        case ddl.DefaultPrivilegesPlan():
            return privileges.prepare_default_privileges(snapshot, plan)
        case ddl.CreateNetworkPolicyPlan():
            return create.prepare_policy(coord, session, snapshot, plan)
        case _:
            raise FeatureNotSupported(f"{_title(plan)} is not supported yet")
