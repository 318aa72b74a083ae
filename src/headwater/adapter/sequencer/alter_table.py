"""ALTER TABLE of columns and constraints: rows are checked, then the catalog changes.

Other writers to the table wait meanwhile; what they had made for the table as it was is refused
when their turn comes, if it no longer fits (``adapter.altered``). Rows are not rewritten: a column
that is added stands in the table's shape with the value that older rows have in it, and they get it
as they are read (``types.relation``). Who reads the table by an older shape, running dataflows and
views that were made before, goes on to see what it saw; the table's indexes are built again.
"""

from collections.abc import Iterable

import msgspec

from headwater.adapter import dataflows
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.ddl import Work
from headwater.adapter.sequencer.read import session_values
from headwater.adapter.sequencer.unique_index import enforcing
from headwater.adapter.session import Session
from headwater.adapter.stored_sql import with_version
from headwater.catalog.items import CatalogItem, Index, MaterializedView, Sink, Table, View
from headwater.catalog.ops import Update
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import FeatureNotSupported, ObjectInUse
from headwater.ir.kernels import NULL_DATUM
from headwater.ir.relation import Get, Global, Project, RelationExpr
from headwater.ir.scalar import UnmaterializableFunc
from headwater.ir.visit import transform_up
from headwater.sql.lower.substitute import unmaterializable_of
from headwater.sql.plan.ddl import AlterTablePlan
from headwater.sql.plan.hir import HirConstant, HirMap, HirScalar
from headwater.types.ids import GlobalId
from headwater.types.relation import RelationDesc

replace = msgspec.structs.replace


def prepare_alter_table(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: AlterTablePlan
) -> Work:
    """ALTER TABLE … ADD, DROP CONSTRAINT, ALTER COLUMN.

    Raises: FeatureNotSupported, ObjectInUse. The work raises UniqueViolation, NotNullViolation and
    CheckViolation where the table's rows do not fulfil what is new.
    """
    old = snapshot.item(plan.id)
    assert isinstance(old, Table)
    new_columns = plan.columns[old.desc.arity :]
    added = tuple(_value_of_older_rows(coord, session, column.default) for column in new_columns)
    desc = replace(plan.desc, added=(*old.desc.added, *added))
    new = replace(
        old,
        create_sql=plan.create_sql,
        depends_on=plan.depends_on,
        desc=desc,
        keys=(*plan.keys, *(key for key in old.keys if key.index is not None)),
        checks=coord.planner.checks(plan.id, desc, plan.checks),
        defaults=tuple(column.default_sql for column in plan.columns),
    )
    _check_users(coord, snapshot, old, new)

    async def after(made: CatalogSnapshot) -> None:
        await coord.persist.open_writer(new.shard, new.desc)
        if added:
            await dataflows.rebuild_indexes(coord, made, new.id)

    ops = [Update(new)]
    if added:
        ops.extend(Update(item) for item in _pinned(snapshot, old, new))
    return Work(
        tag="ALTER TABLE",
        ops=tuple(ops),
        after=(after,),
        before=(enforcing(coord, old, new),),
        locks=(new.shard,),
    )


def _value_of_older_rows(coord: Coordinator, session: Session, default: HirScalar | None) -> bytes:
    """Return what rows that are there already have in a column with this DEFAULT.

    Raises: FeatureNotSupported where each would have another.
    """
    if default is None:
        return NULL_DATUM
    query = HirMap(HirConstant(((b"", 1),), RelationDesc(())), (default,))
    calls = unmaterializable_of(coord.planner.relation(query))
    if UnmaterializableFunc.EVALUATION in calls:
        raise FeatureNotSupported(
            "adding a column with a DEFAULT that is volatile is not supported",
            hint="Add the column without it, use ALTER COLUMN ... SET DEFAULT, and then UPDATE.",
        )
    return coord.planner.constant(default, values=session_values(coord, session)).data


# Who uses the table


def _check_users(coord: Coordinator, snapshot: CatalogSnapshot, old: Table, new: Table) -> None:
    """Refuse what those that use the table could not follow."""
    users = [snapshot.item(id) for id in snapshot.used_by(old.id)]
    sink = next((user for user in users if isinstance(user, Sink)), None)
    if sink is not None and new.desc.arity > old.desc.arity:
        raise FeatureNotSupported(
            f'cannot add a column to table "{old.name}": sink "{sink.name}" writes it out',
            hint="Let the sink read a materialized view over the table.",
        )
    if not _weaker(old.desc, new.desc):
        return
    # Plans made before may rest on what would no longer hold.
    for id in snapshot.dependents_of([old.id]):
        user = snapshot.item(id)
        if id != old.id and not (isinstance(user, Index) and user.on == old.id):
            raise ObjectInUse(
                f'cannot weaken constraints of table "{old.name}" because other objects use it',
                detail=f'{user.kind.noun} "{user.name}" may rest on the constraint.',
                hint="Drop them, alter the table, and create them again.",
            )
    if any(dataflows.subscriptions_of(coord, old.id)):
        raise ObjectInUse(
            f'cannot weaken constraints of table "{old.name}" because it is subscribed to'
        )


def _weaker(old: RelationDesc, new: RelationDesc) -> bool:
    nullable = any(
        then.nullable > before.nullable
        for before, then in zip(old.columns, new.columns, strict=False)
    )
    return nullable or not set(old.keys) <= set(new.keys)


def _pinned(snapshot: CatalogSnapshot, old: Table, new: Table) -> Iterable[CatalogItem]:
    """Yield the views over the table as views of the columns that it had."""
    version = len(old.desc.added)
    for id in snapshot.used_by(old.id):
        user = snapshot.item(id)
        if isinstance(user, View | MaterializedView):
            yield replace(
                user,
                expr=narrowed(user.expr, new.id, old.desc, new.desc),
                create_sql=with_version(user.create_sql, old.id, version),
            )


def narrowed(
    expr: RelationExpr, id: GlobalId, old: RelationDesc, new: RelationDesc
) -> RelationExpr:
    """Return a plan that reads the columns of ``old`` of a table that has those of ``new``."""
    columns = tuple(range(old.arity))

    def visit(node: RelationExpr) -> RelationExpr:
        match node:
            case Get(id=Global(id=found)) if found == id and node.desc.arity == old.arity:
                return Project(Get(node.id, new), columns)
            case Get(id=Global(id=found)) if found == id:
                return replace(node, desc=new)
        return node

    return transform_up(expr, visit)
