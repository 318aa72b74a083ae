"""ALTER COLUMN … TYPE: rows get their values of the new type before the catalog shows them.

The new value is one more column of the row. It is made, filled and shown in this order: first the
catalog gets a column that nobody sees, then each row is replaced by itself with its value in that
column, and then the catalog shows it in place of the old one. A server that is killed between finds
a hidden column that costs some bytes. Who reads the table by its old shape sees nothing of it: a
row that is replaced by itself cancels out.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from headwater.adapter import dataflows
from headwater.adapter.coordinator import Coordinator
from headwater.adapter.sequencer.ddl import Before
from headwater.adapter.sequencer.read import session_values
from headwater.adapter.session import Session
from headwater.adapter.verifying import NewRules, table_batches, verify
from headwater.catalog.items import MaterializedView, Table, View
from headwater.catalog.layout import Layout
from headwater.catalog.ops import Op, Update
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import FeatureNotSupported
from headwater.ir.batches import evaluated
from headwater.ir.kernels import NULL_DATUM
from headwater.ir.relation import Get, Global, Map, Project, RelationExpr
from headwater.ir.scalar import ScalarExpr, UnmaterializableFunc
from headwater.ir.visit import remap, transform_up
from headwater.persist import flat
from headwater.sql.lower.substitute import substitute_unmaterializable, unmaterializable_of
from headwater.sql.plan.ddl import AlterTablePlan
from headwater.sql.plan.hir import HirGet
from headwater.types.ids import GlobalId
from headwater.types.relation import Column, RelationDesc

replace = msgspec.structs.replace


class Conversion(msgspec.Struct, frozen=True):
    """A table as it is and will be, and what the rows' columns become that are new in it.

    ``values`` are over the columns of old rows; the rows of ``new`` end with them.
    """

    old: Table
    new: Table
    values: tuple[ScalarExpr, ...]


def values_of(
    coord: Coordinator, session: Session, old: Table, plan: AlterTablePlan
) -> dict[int, ScalarExpr]:
    """Return what columns that change their types become, over the columns of old rows.

    Raises: FeatureNotSupported where each evaluation gives another value.
    """
    seen = old.desc.only(old.shown)
    exprs = tuple(plan.conversions.values())
    scalars = coord.planner.scalars(HirGet(old.id, seen), exprs)
    relation: RelationExpr = Map(Get(Global(old.id), seen), scalars)
    calls = unmaterializable_of(relation)
    if UnmaterializableFunc.EVALUATION in calls:
        raise FeatureNotSupported("volatile functions in a transform expression are not supported")
    if calls:
        relation = substitute_unmaterializable(relation, session_values(coord, session))
    assert isinstance(relation, Map)
    at = dict(enumerate(old.shown))
    return dict(zip(plan.conversions, (remap(one, at) for one in relation.scalars), strict=True))


def rewriting(coord: Coordinator, session: Session, change: Conversion) -> Before:
    """Return what gives rows their new values, and then enforces the constraints of ``new``.

    It raises what evaluating the values raises, UniqueViolation, NotNullViolation, CheckViolation,
    and FeatureNotSupported where the transaction has altered the table already.
    """
    old, new = change.old, change.new

    async def before(owner: object) -> Callable[[], None]:
        there = coord.snapshot.try_item(old.id)
        if there is not None and there is not old:
            raise FeatureNotSupported(
                "changing a column's type in a transaction that has altered the table before"
                " is not supported"
            )
        updates, rows = await _converted(coord, change)
        rules = NewRules.between(old, new)
        taken = await verify(new, rules, _once(rows)) if rules.any else None
        if there is not None:
            await coord.transact(_hidden(coord.snapshot, change), session.role)
            await coord.persist.open_writer(new.shard, new.desc)
            await dataflows.rebuild_indexes(coord, coord.snapshot, new.id)
            if updates != flat.EMPTY:
                await coord.group_commit.write({new.shard: updates}, owner=owner)

        def published() -> None:
            if new.keys != old.keys:
                coord.group_commit.keys.install(new, taken)

        return published

    return before


async def _once(batch: bytes) -> AsyncIterator[bytes]:
    yield batch


async def _converted(coord: Coordinator, change: Conversion) -> tuple[bytes, bytes]:
    """Return what makes old rows new ones, and the new ones. Raises: what evaluating raises."""
    batches = await table_batches(coord, change.old)
    return await asyncio.to_thread(_evaluated, change, batches)


def _evaluated(change: Conversion, batches: Sequence[bytes]) -> tuple[bytes, bytes]:
    old = flat.consolidate(flat.concat(batches))
    more = len(change.values)
    added = change.new.desc.added[len(change.old.desc.added) :]
    given = b"".join(added[: len(added) - more])
    updates: list[flat.Update] = []
    rows: list[flat.Update] = []
    found = evaluated(change.values, (row for row, _, _ in old))
    for (row, time, diff), values in zip(old, found, strict=True):
        before = row + given + NULL_DATUM * more
        after = row + given + b"".join(values)
        rows.append((after, time, diff))
        if before != after:
            updates.extend(((before, time, -diff), (after, time, diff)))
    return flat.build(updates), flat.build(rows)


def _hidden(snapshot: CatalogSnapshot, change: Conversion) -> list[Op]:
    """Return what adds the columns of ``new`` to the table, and shows nobody any of them."""
    old, new = change.old, change.new
    gone = tuple(
        Column(f"........pg.dropped.{place + 1}........", new.desc.columns[place].type, True)
        for place in range(old.desc.arity, new.desc.arity)
    )
    desc = replace(old.desc, columns=(*old.desc.columns, *gone), added=new.desc.added)
    table = replace(
        old,
        desc=desc,
        layout=Layout.of(old.shown, [column.type for column in desc.columns]),
        defaults=(*old.defaults, *(None for _ in gone)),
    )
    return [Update(table), *(Update(view) for view in _narrowed(snapshot, old, desc))]


def _narrowed(
    snapshot: CatalogSnapshot, old: Table, desc: RelationDesc
) -> list[View | MaterializedView]:
    users = (snapshot.item(id) for id in snapshot.used_by(old.id))
    return [
        replace(user, expr=narrowed(user.expr, old.id, old.desc, desc))
        for user in users
        if isinstance(user, View | MaterializedView)
    ]


def narrowed(
    expr: RelationExpr, id: GlobalId, old: RelationDesc, new: RelationDesc
) -> RelationExpr:
    """Return a plan that reads the columns of ``old`` of a table that has those of ``new``."""
    columns = tuple(range(old.arity))

    def visit(node: RelationExpr) -> RelationExpr:
        match node:
            case Get(id=Global(id=found)) if found != id:
                return node
            case Get(id=Global()) if old.arity < new.arity:
                return Project(Get(node.id, new), columns)
            case Get(id=Global()):
                return replace(node, desc=new)
        return node

    return transform_up(expr, visit)
