"""CREATE of databases, schemas, roles, tables, views, types, secrets and connections."""

from collections.abc import Iterable

import msgspec

from headwater.adapter import dataflows
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.holds import logs_of
from headwater.adapter.refreshes import check_schedule, first_refresh, schedule_of
from headwater.adapter.sequencer.ddl import After, Work
from headwater.adapter.sequencer.drop import release_items
from headwater.adapter.sequencer.new_items import NewItem, exists_notice, new_item, new_shard
from headwater.adapter.sequencer.read import session_values
from headwater.adapter.sequencer.unique_index import with_enforcement
from headwater.adapter.session import Session
from headwater.catalog.items import (
    Connection,
    Database,
    Index,
    MaterializedView,
    NetworkPolicy,
    PolicyRule,
    Relation,
    Role,
    Schema,
    Secret,
    Table,
    Type,
    View,
)
from headwater.catalog.ops import Create, DropItem, Op, SetSecret, Update
from headwater.catalog.privileges import PUBLIC, granted, initial
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import FeatureNotSupported, InternalError, InvalidParameterValue
from headwater.ir.dataflow import DataflowDescription
from headwater.ir.literals import literal_bytes
from headwater.sql.ast.base import Node
from headwater.sql.ast.printer import to_sql
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan import ddl
from headwater.sql.plan.hir import HirGet
from headwater.sql.plan.kinds.refreshing import with_creation
from headwater.sql.plan.statements import Planned
from headwater.types.ids import GlobalId, PolicyId
from headwater.types.read_hold import ReadHold


def prepare_database(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: ddl.CreateDatabasePlan
) -> Work:
    """CREATE DATABASE: with a schema ``public``."""
    if plan.if_not_exists and any(d.name == plan.name for d in snapshot.databases.values()):
        return exists_notice("database", plan.name)
    database = Database(
        id=coord.ids.database(), oid=coord.ids.oid(), name=plan.name, owner=session.role
    )
    schema = Schema(
        id=coord.ids.schema(),
        oid=coord.ids.oid(),
        name="public",
        owner=session.role,
        database=database.id,
    )
    acl = initial(snapshot.default_privileges, "schema", session.role, database=database.id)
    acl = granted(acl, PUBLIC, session.role, "U")
    schema = msgspec.structs.replace(schema, privileges=acl)
    return Work(tag="CREATE DATABASE", ops=(Create(database), Create(schema)))


def prepare_schema(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: ddl.CreateSchemaPlan
) -> Work:
    """CREATE SCHEMA."""
    taken = any(
        s.name == plan.name and s.database == plan.database_id for s in snapshot.schemas.values()
    )
    if plan.if_not_exists and taken:
        return exists_notice("schema", plan.name)
    schema = Schema(
        id=coord.ids.schema(),
        oid=coord.ids.oid(),
        name=plan.name,
        owner=plan.owner or session.role,
        database=plan.database_id,
    )
    return Work(tag="CREATE SCHEMA", ops=(Create(schema),))


def prepare_role(coord: Coordinator, plan: ddl.CreateRolePlan) -> Work:
    """CREATE ROLE."""
    wanted = plan.attributes
    role = Role(
        id=coord.ids.role(),
        oid=coord.ids.oid(),
        name=plan.name,
        login=wanted.login,
        superuser=wanted.superuser,
        inherit=wanted.inherit is not False,
    )
    return Work(tag="CREATE ROLE", ops=(Create(role),))


def prepare_policy(
    coord: Coordinator,
    session: Session,
    snapshot: CatalogSnapshot,
    plan: ddl.CreateNetworkPolicyPlan,
) -> Work:
    """CREATE NETWORK POLICY, and ALTER … SET (RULES …)."""
    rules = tuple(PolicyRule(r.name, r.action, r.direction, r.address) for r in plan.rules)
    if plan.id is not None:
        old = snapshot.policies[PolicyId(plan.id)]
        changed = msgspec.structs.replace(old, rules=rules)
        return Work(tag="ALTER NETWORK POLICY", ops=(Update(changed),))
    policy = NetworkPolicy(
        id=coord.ids.policy(),
        oid=coord.ids.oid(),
        name=plan.name,
        owner=session.role,
        rules=rules,
    )
    return Work(tag="CREATE NETWORK POLICY", ops=(Create(policy),))


def prepare_table(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: ddl.CreateTablePlan
) -> Work:
    """CREATE TABLE."""
    new = new_item(coord, session, snapshot, plan.name, temporary=plan.temporary)
    if new.taken is not None and plan.if_not_exists:
        return exists_notice("table", plan.name.item)
    table = table_item(coord, session, new, plan)

    async def after(made: CatalogSnapshot) -> None:
        now = made.try_item(table.id)  # the transaction may have altered it, or dropped it
        await dataflows.create_table(coord, now if isinstance(now, Table) else table)

    return Work(tag="CREATE TABLE", ops=(*new.ops, Create(table)), after=(after,))


def table_item(
    coord: Coordinator, session: Session, new: NewItem, plan: ddl.CreateTablePlan
) -> Table:
    """Return the item of a planned table."""
    return Table(
        id=new.id,
        oid=new.oid,
        name=plan.name.item,
        schema=new.schema,
        owner=session.role,
        create_sql=plan.create_sql,
        depends_on=plan.depends_on,
        desc=plan.desc,
        shard=new_shard(coord, new.id),
        keys=plan.keys,
        checks=coord.planner.checks(new.id, plan.desc, plan.checks),
        defaults=tuple(c.default_sql for c in plan.columns),
        retain_history_ms=plan.retain_history_ms,
    )


def _replaced(
    coord: Coordinator, snapshot: CatalogSnapshot, replaces: GlobalId | None
) -> tuple[tuple[Op, ...], tuple[After, ...]]:
    """Return what drops the view that OR REPLACE replaces, and its indexes."""
    if replaces is None:
        return (), ()
    gone = [snapshot.item(id) for id in snapshot.dependents_of([replaces])]

    async def release(_: CatalogSnapshot) -> None:
        await release_items(coord, gone)

    return tuple(DropItem(item.id) for item in gone), (release,)


async def prepare_view(
    coord: Coordinator,
    session: Session,
    snapshot: CatalogSnapshot,
    planned: Planned,
    plan: ddl.CreateViewPlan,
) -> Work:
    """CREATE VIEW."""
    new = new_item(coord, session, snapshot, plan.name, temporary=plan.temporary)
    if new.taken is not None and plan.if_not_exists:
        return exists_notice("view", plan.name.item)
    planner = coord.planner
    expr = await planner.perhaps_aside(planned.is_long, lambda: planner.relation(plan.query))
    view = View(
        id=new.id,
        oid=new.oid,
        name=plan.name.item,
        schema=new.schema,
        owner=session.role,
        create_sql=plan.create_sql,
        depends_on=plan.depends_on,
        desc=plan.desc,
        expr=expr,
        definition=definition_of(plan.create_sql),
    )
    drops, release = _replaced(coord, snapshot, plan.replaces)
    return Work(tag="CREATE VIEW", ops=(*new.ops, *drops, Create(view)), after=release)


def key_texts(create_sql: str) -> tuple[str, ...]:
    """Return the texts of an index's key; none for one on all columns."""
    (parsed,) = parse_statements(create_sql)
    keys = getattr(parsed.statement, "keys", None)
    return tuple(to_sql(key) for key in keys or ())


def definition_of(create_sql: str) -> str:
    """Return the query's text of a CREATE … AS statement."""
    (parsed,) = parse_statements(create_sql)
    query = getattr(parsed.statement, "query", None)
    if not isinstance(query, Node):
        raise InternalError("a view's statement has no query", detail=create_sql)
    return f"{to_sql(query)};"


def _refuse_logs(snapshot: CatalogSnapshot, depends_on: Iterable[GlobalId]) -> None:
    """Refuse to write down for all clusters what differs from replica to replica."""
    logs = logs_of(snapshot, depends_on)
    if logs:
        raise FeatureNotSupported(
            "materialized view objects cannot depend on log sources",
            detail="The object depends on the following log sources: "
            + ", ".join(snapshot.show_item(log) for log in logs),
            hint="An index on a view of them can be created.",
        )


async def prepare_materialized_view(
    coord: Coordinator,
    session: Session,
    snapshot: CatalogSnapshot,
    planned: Planned,
    plan: ddl.CreateMaterializedViewPlan,
) -> Work:
    """CREATE MATERIALIZED VIEW."""
    new = new_item(coord, session, snapshot, plan.name)
    if new.taken is not None and plan.if_not_exists:
        return exists_notice("materialized view", plan.name.item)
    _refuse_logs(snapshot, plan.depends_on)
    planner = coord.planner
    expr = await planner.perhaps_aside(
        planned.is_long,
        lambda: planner.asserted(plan.query, plan.desc, plan.assert_not_null),
    )
    view = MaterializedView(
        id=new.id,
        oid=new.oid,
        name=plan.name.item,
        schema=new.schema,
        owner=session.role,
        create_sql=plan.create_sql,
        depends_on=plan.depends_on,
        desc=plan.desc,
        expr=expr,
        shard=new_shard(coord, new.id),
        cluster=plan.cluster_id,
        definition=definition_of(plan.create_sql),
        assert_not_null=plan.assert_not_null,
        retain_history_ms=plan.retain_history_ms,
        replacement_for=plan.replacement_for,
    )
    # What can't be maintained is refused before anything is committed.
    world = planner.world(snapshot, plan.cluster_id)
    lowered = await dataflows.materialized_view_dataflow(coord, world, view)
    holds: list[ReadHold] = []
    if plan.refresh is not None:
        session.transaction.admit_alone("CREATE MATERIALIZED VIEW … WITH (REFRESH …)")
        view, holds = _refreshed(coord, snapshot, view, plan.refresh, lowered.dataflow)

    async def after(made: CatalogSnapshot) -> None:
        await dataflows.create_materialized_view(coord, made, view)

    drops, gone = _replaced(coord, snapshot, plan.replaces)
    return Work(
        tag="CREATE MATERIALIZED VIEW",
        ops=(*new.ops, *drops, Create(view)),
        after=(*gone, after),
        release=tuple(hold.release for hold in holds),
    )


def _refreshed(
    coord: Coordinator,
    snapshot: CatalogSnapshot,
    view: MaterializedView,
    plan: ddl.RefreshPlan,
    dataflow: DataflowDescription,
) -> tuple[MaterializedView, list[ReadHold]]:
    """Return a view with its schedule, and holds under which its first refreshes stay possible.

    Raises: FeatureNotSupported: Schedules are switched off. DataException: A refresh is too early.
    """
    if snapshot.variables.get("enable_refresh_every_mvs") == "off":
        raise FeatureNotSupported(
            "REFRESH EVERY and REFRESH AT materialized views is not available",
            hint="An operator has set enable_refresh_every_mvs to off.",
        )
    readable, holds = dataflows.least_readable(coord, view, dataflow)
    try:
        creation = coord.oracle.read_ts()
        schedule = schedule_of(coord.planner, plan, creation)
        assert schedule is not None
        check_schedule(schedule, readable)
        first_refresh(schedule, readable)
    except BaseException:
        for hold in holds:
            hold.release()
        raise
    (parsed,) = parse_statements(view.create_sql)
    sql = to_sql(with_creation(parsed.statement, creation))
    return msgspec.structs.replace(view, refresh=schedule, create_sql=sql), holds


async def prepare_index(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: ddl.CreateIndexPlan
) -> Work:
    """CREATE INDEX."""
    new = new_item(coord, session, snapshot, plan.name)
    if new.taken is not None and plan.if_not_exists:
        return exists_notice("index", plan.name.item)
    on = snapshot.item(plan.on)
    assert isinstance(on, Relation)
    index = Index(
        id=new.id,
        oid=new.oid,
        name=plan.name.item,
        schema=new.schema,
        owner=on.owner,
        create_sql=plan.create_sql,
        depends_on=plan.depends_on,
        on=plan.on,
        key=coord.planner.scalars(HirGet(plan.on, plan.on_desc), plan.keys),
        expressions=key_texts(plan.create_sql),
        cluster=plan.cluster_id,
        retain_history_ms=plan.retain_history_ms,
        unique=plan.unique,
    )
    world = coord.planner.world(snapshot, plan.cluster_id)
    await dataflows.index_dataflow(coord, world, index, on)

    async def after(made: CatalogSnapshot) -> None:
        await dataflows.create_index(coord, made, index)

    work = Work(tag="CREATE INDEX", ops=(*new.ops, Create(index)), after=(after,))
    if not plan.unique:
        return work
    assert isinstance(on, Table)
    return with_enforcement(coord, work, on, index)


def prepare_type(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: ddl.CreateTypePlan
) -> Work:
    """CREATE TYPE."""
    new = new_item(coord, session, snapshot, plan.name)
    made = Type(
        id=new.id,
        oid=new.oid,
        name=plan.name.item,
        schema=new.schema,
        owner=session.role,
        create_sql=plan.create_sql,
        depends_on=plan.depends_on,
        type=msgspec.structs.replace(plan.definition, custom=new.id),
    )
    return Work(tag="CREATE TYPE", ops=(*new.ops, Create(made)))


def secret_value(coord: Coordinator, session: Session, plan: "SecretPlan") -> bytes:
    """Return a secret's bytes. Raises: InvalidParameterValue for NULL."""
    literal = coord.planner.constant(plan.value, values=session_values(coord, session))
    value = literal_bytes(literal)
    if value is None:
        raise InvalidParameterValue("secret value can not be null")
    return value


SecretPlan = ddl.CreateSecretPlan | ddl.AlterSecretPlan


def prepare_secret(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: ddl.CreateSecretPlan
) -> Work:
    """CREATE SECRET: the value is a row of its own in the catalog's shard, never shown."""
    new = new_item(coord, session, snapshot, plan.name)
    if new.taken is not None and plan.if_not_exists:
        return exists_notice("secret", plan.name.item)
    value = secret_value(coord, session, plan)
    secret = Secret(
        id=new.id,
        oid=new.oid,
        name=plan.name.item,
        schema=new.schema,
        owner=session.role,
        create_sql=plan.create_sql,
    )

    async def after(_: CatalogSnapshot) -> None:
        coord.secrets[secret.id] = value

    ops = (*new.ops, Create(secret), SetSecret(secret.id, value))
    return Work(tag="CREATE SECRET", ops=ops, after=(after,))


def prepare_connection(
    coord: Coordinator,
    session: Session,
    snapshot: CatalogSnapshot,
    plan: ddl.CreateConnectionPlan,
) -> Work:
    """CREATE CONNECTION; ``purify`` has tried it already."""
    new = new_item(coord, session, snapshot, plan.name)
    if new.taken is not None and plan.if_not_exists:
        return exists_notice("connection", plan.name.item)
    connection = Connection(
        id=new.id,
        oid=new.oid,
        name=plan.name.item,
        schema=new.schema,
        owner=session.role,
        create_sql=plan.create_sql,
        depends_on=plan.depends_on,
        connection_kind=connection_kind(plan.details),
        details=plan.details,
    )
    return Work(tag="CREATE CONNECTION", ops=(*new.ops, Create(connection)))


_CONNECTION_KINDS = {
    "registry": "confluent-schema-registry",
    "ssh": "ssh-tunnel",
    "privatelink": "aws-privatelink",
    "iceberg": "iceberg-catalog",
}


def connection_kind(details: msgspec.Struct) -> str:
    """Return a connection's type as ``mz_connections`` shows it."""
    product = getattr(details, "product", None)
    if product is not None:
        return str(product)
    tag = str(type(details).__struct_config__.tag)
    return _CONNECTION_KINDS.get(tag, tag)
