"""ALTER TABLE of columns and constraints: rows are checked, then the catalog changes.

Other writers to the table wait meanwhile; what they had made for the table as it was is refused
when their turn comes, if it no longer fits (``adapter.altered``). Rows are not rewritten: a column
that is added stands in the table's shape with the value that older rows have in it, and they get it
as they are read (``types.relation``); one that is dropped keeps its place (``catalog.layout``). Who
reads the table by an older shape, running dataflows and views that were made before, goes on to see
what it saw; the table's indexes are built again. A column that changes its type is one that is
dropped and one that is added, and whose values are written first (``rewriting``).
"""

import msgspec

from headwater.adapter import dataflows
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.ddl import Work
from headwater.adapter.sequencer.drop import release_items
from headwater.adapter.sequencer.read import session_values
from headwater.adapter.sequencer.readers import Followers, followers
from headwater.adapter.sequencer.rewriting import Conversion, rewriting, values_of
from headwater.adapter.sequencer.shaping import shaped
from headwater.adapter.sequencer.unique_index import enforcing, with_key
from headwater.adapter.session import Session
from headwater.catalog.items import CommentKey, Index, Sink, Table
from headwater.catalog.layout import Layout
from headwater.catalog.ops import DropItem, Op, SetComment, Update
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import FeatureNotSupported, ObjectInUse
from headwater.ir.kernels import NULL_DATUM
from headwater.ir.scalar import ScalarExpr, UnmaterializableFunc
from headwater.sql.lower.substitute import unmaterializable_of
from headwater.sql.plan.ddl import AlterTablePlan
from headwater.sql.plan.hir import HirConstant, HirMap, HirScalar
from headwater.types.relation import RelationDesc

replace = msgspec.structs.replace


class _Change(msgspec.Struct, frozen=True):
    """What becomes of the rows.

    Attributes:
        layout: Where the table's columns are in them.
        added: What older rows have in the columns that are new in them.
        values: What rows get in the last of those, where columns change their types.
        lost: The places of columns that are dropped or change their types.
    """

    layout: Layout | None
    added: tuple[bytes, ...]
    values: tuple[ScalarExpr, ...]
    lost: frozenset[int]


def prepare_alter_table(
    coord: Coordinator, session: Session, snapshot: CatalogSnapshot, plan: AlterTablePlan
) -> Work:
    """ALTER TABLE … ADD, DROP, ALTER COLUMN; ADD, DROP CONSTRAINT.

    Raises: FeatureNotSupported, ObjectInUse, DependentObjectsStillExist. The work raises
    UniqueViolation, NotNullViolation and CheckViolation where the table's rows do not fulfil what
    is new, and what evaluating new values raises.
    """
    old = snapshot.item(plan.id)
    assert isinstance(old, Table)
    change = _change(coord, session, old, plan)
    new = replace(
        old,
        create_sql=plan.create_sql,
        depends_on=plan.depends_on,
        **shaped(coord.planner, plan.id, plan, change.layout, (*old.desc.added, *change.added)),
    )
    found = followers(coord, snapshot, old, new, change.lost, plan)
    new = _with_index_keys(old, new, found)
    _check_users(coord, snapshot, old, new, change.lost)
    gone = [snapshot.item(id) for id in found.gone]

    async def after(made: CatalogSnapshot) -> None:
        await release_items(coord, gone)
        now = made.item(new.id)  # also what the same transaction has made of it later
        assert isinstance(now, Table)
        await coord.persist.open_writer(now.shard, now.desc)
        if change.added or found.rebuilt:
            await dataflows.rebuild_indexes(coord, made, new.id)

    before = enforcing(coord, old, new)
    if change.values:
        before = rewriting(coord, session, Conversion(old, new, change.values))
    ops: list[Op] = [DropItem(id) for id in found.gone]
    ops.extend(Update(item) for item in (new, *found.changed))
    ops.extend(_moved_comments(snapshot, plan))
    return Work(
        tag="ALTER TABLE",
        ops=tuple(ops),
        after=(after,),
        before=(before,),
        locks=(new.shard,),
        notices=found.notices,
    )


def _change(coord: Coordinator, session: Session, old: Table, plan: AlterTablePlan) -> _Change:
    values = values_of(coord, session, old, plan) if plan.conversions else {}
    new = [index for index, origin in enumerate(plan.origins) if origin is None]
    appended = [*new, *values]
    at = {index: old.desc.arity + number for number, index in enumerate(appended)}
    places = [
        at[index] if origin is None or index in at else old.shown[origin]
        for index, origin in enumerate(plan.origins)
    ]
    types = [column.type for column in old.desc.columns]
    types.extend(plan.columns[index].type.type for index in appended)
    added = [_value_of_older_rows(coord, session, plan.columns[index].default) for index in new]
    return _Change(
        Layout.of(places, types),
        (*added, *(NULL_DATUM for _ in values)),
        tuple(values.values()),
        frozenset(old.shown) - frozenset(places),
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


def _with_index_keys(old: Table, new: Table, found: Followers) -> Table:
    """Return the table with the keys of its unique indexes, which its statement has not."""
    for key in old.keys:
        if key.index is not None and key.index not in found.gone:
            new = replace(new, keys=(*new.keys, key))
    for item in found.changed:
        if isinstance(item, Index) and item.unique:
            new = with_key(new, item)
    return new


def _moved_comments(snapshot: CatalogSnapshot, plan: AlterTablePlan) -> list[Op]:
    """Return what puts comments on columns to the columns' new numbers."""
    numbers = {
        origin + 1: index + 1 for index, origin in enumerate(plan.origins) if origin is not None
    }
    old = {
        key: text
        for key, text in snapshot.comments.items()
        if key.id == plan.id and key.column is not None
    }
    new = {
        CommentKey(key.kind, key.id, numbers[key.column]): text
        for key, text in old.items()
        if key.column in numbers
    }
    keys = dict.fromkeys((*old, *new))
    return [SetComment(key, new.get(key)) for key in keys if new.get(key) != old.get(key)]


# Who uses the table


def _check_users(
    coord: Coordinator,
    snapshot: CatalogSnapshot,
    old: Table,
    new: Table,
    lost: frozenset[int],
) -> None:
    """Refuse what those that use the table could not follow."""
    users = [snapshot.item(id) for id in snapshot.used_by(old.id)]
    sink = next((user for user in users if isinstance(user, Sink)), None)
    if sink is not None and (new.desc.arity > old.desc.arity or lost):
        verb = "add a column to" if not lost else "change columns of"
        raise FeatureNotSupported(
            f'cannot {verb} table "{old.name}": sink "{sink.name}" writes it out',
            hint="Let the sink read a materialized view over the table.",
        )
    if lost and any(dataflows.subscriptions_of(coord, old.id)):
        raise ObjectInUse(f'cannot change columns of table "{old.name}": it is subscribed to')
    if not _weaker(old.desc, new.desc, lost):
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


def _weaker(old: RelationDesc, new: RelationDesc, lost: frozenset[int]) -> bool:
    """Return whether less is known of the columns that stay; nobody's plan reads the others."""
    nullable = any(
        then.nullable > before.nullable
        for place, (before, then) in enumerate(zip(old.columns, new.columns, strict=False))
        if place not in lost
    )
    return nullable or any(lost.isdisjoint(key) and key not in new.keys for key in old.keys)
