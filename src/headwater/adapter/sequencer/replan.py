"""Items made again from what the catalog keeps of them: their statement, ids and shards.

Builtin views are planned from their query; everything of users' from its CREATE statement. What a
statement does not say (ids, owner, shards, a source's subsources) comes from the durable item.
"""

import msgspec

from headwater.adapter.planning import Planner
from headwater.adapter.refreshes import schedule_of
from headwater.adapter.sequencer.create import connection_kind, definition_of, key_texts
from headwater.adapter.sequencer.shaping import shaped
from headwater.adapter.sequencer.source import subsource_desc
from headwater.catalog.builtin.initial import MZ_SYSTEM, builtin_privileges
from headwater.catalog.builtin.shapes import shapes
from headwater.catalog.builtin.views import BuiltinViewDef
from headwater.catalog.codec import BuiltinRecord, DurableItem
from headwater.catalog.items import (
    BuiltinView,
    CatalogItem,
    Connection,
    Index,
    MaterializedView,
    Secret,
    Sink,
    Source,
    Table,
    Type,
    View,
)
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import DataCorrupted, InternalError
from headwater.ir.relation import Constant, Project, RelationExpr
from headwater.ir.typing import arity
from headwater.sql.plan import ddl
from headwater.sql.plan.external import WebhookSource
from headwater.sql.plan.hir import HirGet
from headwater.sql.plan.kinds.references import references_of
from headwater.sql.plan.statements import Planned, SelectPlan
from headwater.types.ids import SchemaId, ShardId
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp


class BootSession(msgspec.Struct, frozen=True):
    """The session that statements are planned in at boot: stored SQL needs no search path."""

    database: str = "materialize"
    cluster: str = "quickstart"
    user: str = "mz_system"
    search_path: tuple[str, ...] = ()
    temp_schema: SchemaId | None = None


_SESSION = BootSession()


def builtin_view(
    planner: Planner,
    snapshot: CatalogSnapshot,
    definition: BuiltinViewDef,
    record: BuiltinRecord,
    schema: SchemaId,
) -> BuiltinView:
    """Plan a builtin view."""
    (statement,) = planner.parse(definition.query)
    planned = planner.plan(snapshot, _SESSION, statement)
    plan = planned.plan
    if not isinstance(plan, SelectPlan):
        raise InternalError(f"builtin view {definition.key} is not a query")
    expr = planner.relation(plan.query)
    project, desc = _shaped(definition, plan)
    if project != tuple(range(arity(expr))):
        expr = Project(expr, project)
    return BuiltinView(
        id=record.id,
        oid=record.oid,
        name=definition.name,
        schema=schema,
        owner=MZ_SYSTEM,
        privileges=builtin_privileges("view", definition.name),
        create_sql=f"CREATE VIEW {definition.key} AS {definition.query}",
        depends_on=tuple(sorted(planned.depends_on)),
        desc=desc,
        expr=expr,
        definition=f"{definition.query};",
    )


def _shaped(definition: BuiltinViewDef, plan: SelectPlan) -> tuple[tuple[int, ...], RelationDesc]:
    """Return the columns of a view's query in the order of its shape, and the shape.

    Raises: InternalError where the query does not yield what the shape says.
    """
    wanted = shapes().get(definition.key)
    if wanted is None:
        return plan.finishing.project, plan.desc
    at = {name: index for index, name in enumerate(plan.desc.names)}
    order = []
    for column in wanted.columns:
        index = at.get(column.name)
        found = None if index is None else plan.desc.columns[index].type.without_modifier()
        if index is None or found != column.type:
            raise InternalError(
                f"builtin view {definition.key} yields no column {column.name} of its type",
                detail=f"wanted {column.type}, found {found}",
            )
        order.append(plan.finishing.project[index])
    return tuple(order), wanted


def empty_relation(
    name: str, desc: RelationDesc, record: BuiltinRecord, schema: SchemaId
) -> BuiltinView:
    """Return a builtin relation that nothing fills."""
    return BuiltinView(
        id=record.id,
        oid=record.oid,
        name=name,
        schema=schema,
        owner=MZ_SYSTEM,
        privileges=builtin_privileges("view"),
        desc=desc,
        expr=Constant((), desc),
        definition="",
    )


def replan(planner: Planner, snapshot: CatalogSnapshot, stored: DurableItem) -> CatalogItem:
    """Return the item that ``stored`` keeps; what it depends on is in ``snapshot``.

    Raises: DataCorrupted where the statement is not one that makes such an item.
    """
    if stored.parent is not None:
        return _subsource(snapshot, stored)
    (statement,) = planner.parse(stored.create_sql)
    planned = planner.plan(snapshot, _SESSION, statement)
    item = _from_plan(planner, planned, stored)
    if item.kind is not stored.kind:
        raise DataCorrupted(f'the catalog\'s statement of "{stored.name}" makes something else')
    return item


def _common(stored: DurableItem) -> dict[str, object]:
    return {
        "id": stored.id,
        "oid": stored.oid,
        "name": stored.name,
        "schema": stored.schema,
        "owner": stored.owner,
        "create_sql": stored.create_sql,
        "privileges": stored.privileges,
    }


def _shard(stored: DurableItem) -> ShardId:
    if stored.shard is None:
        raise DataCorrupted(f'the catalog has no collection for "{stored.name}"')
    return stored.shard


def _from_plan(planner: Planner, planned: Planned, stored: DurableItem) -> CatalogItem:
    plan = planned.plan
    common = _common(stored)
    depends_on = tuple(getattr(plan, "depends_on", ()))
    match plan:
        case ddl.CreateTablePlan():
            made: CatalogItem = _new(
                Table,
                common,
                depends_on=depends_on,
                shard=_shard(stored),
                retain_history_ms=stored.retain_history_ms,
                **shaped(planner, stored.id, plan, stored.layout, stored.added),
            )
        case ddl.CreateTableFromSourcePlan():
            made = _new(
                Table,
                common,
                depends_on=depends_on,
                desc=plan.desc,
                shard=_shard(stored),
                source=plan.source,
                reference=stored.reference,
                details=plan,
                retain_history_ms=stored.retain_history_ms,
            )
        case ddl.CreateViewPlan():
            made = _new(
                View,
                common,
                depends_on=depends_on,
                desc=plan.desc,
                expr=_relation(planner, plan),
                definition=definition_of(stored.create_sql),
            )
        case ddl.CreateMaterializedViewPlan():
            made = _new(
                MaterializedView,
                common,
                depends_on=depends_on,
                desc=plan.desc,
                expr=planner.asserted(plan.query, plan.desc, plan.assert_not_null),
                shard=_shard(stored),
                cluster=stored.cluster or plan.cluster_id,
                definition=definition_of(stored.create_sql),
                assert_not_null=plan.assert_not_null,
                retain_history_ms=stored.retain_history_ms,
                replacement_for=plan.replacement_for,
                refresh=schedule_of(planner, plan.refresh),
            )
        case ddl.CreateIndexPlan():
            made = _new(
                Index,
                common,
                depends_on=depends_on,
                on=plan.on,
                key=planner.scalars(HirGet(plan.on, plan.on_desc), plan.keys),
                expressions=key_texts(stored.create_sql),
                cluster=stored.cluster or plan.cluster_id,
                retain_history_ms=stored.retain_history_ms,
                unique=plan.unique,
            )
        case _:
            made = _external(planned, stored, common, depends_on)
    return made


def _external(
    planned: Planned,
    stored: DurableItem,
    common: dict[str, object],
    depends_on: tuple[object, ...],
) -> CatalogItem:
    plan = planned.plan
    match plan:
        case ddl.CreateSourcePlan(details=WebhookSource(is_table=True)):
            return _new(
                Table,
                common,
                depends_on=depends_on,
                desc=plan.desc,
                shard=_shard(stored),
                details=plan,
            )
        case ddl.CreateSourcePlan():
            return _new(
                Source,
                common,
                depends_on=depends_on,
                desc=plan.desc,
                source_kind=stored.source_kind or "",
                shard=stored.shard,
                cluster=stored.cluster,
                connection=getattr(plan.details, "connection", None),
                details=plan,
                envelope=plan.envelope,
                progress=stored.progress,
                retain_history_ms=stored.retain_history_ms,
                timestamp_interval_ms=plan.timestamp_interval_ms,
                references=references_of(plan.details),
            )
        case ddl.CreateSinkPlan():
            return _new(
                Sink,
                common,
                depends_on=depends_on,
                on=plan.from_id,
                sink_kind=str(type(plan.details).__struct_config__.tag),
                cluster=stored.cluster,
                connection=plan.details.connection,
                details=plan,
                key=plan.key,
                as_of=stored.as_of or Timestamp(0),
                with_snapshot=plan.with_snapshot,
                version=stored.version,
            )
        case ddl.CreateConnectionPlan():
            return _new(
                Connection,
                common,
                depends_on=depends_on,
                connection_kind=connection_kind(plan.details),
                details=plan.details,
            )
        case ddl.CreateSecretPlan():
            return _new(Secret, common)
        case ddl.CreateTypePlan():
            type_ = msgspec.structs.replace(plan.definition, custom=stored.id)
            return _new(Type, common, depends_on=depends_on, type=type_)
        case _:
            raise DataCorrupted(f'the catalog holds no CREATE statement for "{stored.name}"')


def _new(class_: type[CatalogItem], common: dict[str, object], **more: object) -> CatalogItem:
    fields = {**common, **more}
    known = class_.__struct_fields__
    return class_(**{name: value for name, value in fields.items() if name in known})  # type: ignore[arg-type]


def _relation(
    planner: Planner, plan: ddl.CreateViewPlan | ddl.CreateMaterializedViewPlan
) -> RelationExpr:
    return planner.relation(plan.query)


def _subsource(snapshot: CatalogSnapshot, stored: DurableItem) -> Source:
    assert stored.parent is not None
    parent = snapshot.item(stored.parent)
    if not isinstance(parent, Source):
        raise DataCorrupted(f'the parent of "{stored.name}" is not a source')
    return Source(
        id=stored.id,
        oid=stored.oid,
        name=stored.name,
        schema=stored.schema,
        owner=stored.owner,
        create_sql=stored.create_sql,
        privileges=stored.privileges,
        depends_on=(parent.id,),
        desc=subsource_desc(parent, stored.reference, progress=stored.source_kind == "progress"),
        source_kind=stored.source_kind or "subsource",
        shard=stored.shard,
        parent=parent.id,
        reference=stored.reference,
    )
