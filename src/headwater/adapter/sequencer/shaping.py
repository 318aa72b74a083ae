"""What a table's statement says of it, in terms of its rows."""

from typing import TypedDict

import msgspec

from headwater.adapter.planning import Planner
from headwater.catalog.items import CheckConstraint, KeyConstraint
from headwater.catalog.layout import Layout, stored_shape
from headwater.ir.visit import remap
from headwater.sql.plan.ddl import AlterTablePlan, CreateTablePlan
from headwater.types.ids import GlobalId
from headwater.types.relation import RelationDesc

replace = msgspec.structs.replace


class Shaped(TypedDict):
    """Fields of a ``Table`` that follow from its statement and layout."""

    desc: RelationDesc
    layout: Layout | None
    keys: tuple[KeyConstraint, ...]
    checks: tuple[CheckConstraint, ...]
    defaults: tuple[str | None, ...]


def shaped(
    planner: Planner,
    id: GlobalId,
    plan: CreateTablePlan | AlterTablePlan,
    layout: Layout | None,
    added: tuple[bytes, ...],
) -> Shaped:
    """Return a table's shape, keys, checks and defaults, by the places of columns in rows."""
    desc = stored_shape(plan.desc, layout, added)
    places = range(desc.arity) if layout is None else layout.shown
    checks = planner.checks(id, plan.desc, plan.checks)
    at = dict(enumerate(places))
    texts = {place: column.default_sql for place, column in zip(places, plan.columns, strict=True)}
    return {
        "desc": desc,
        "layout": layout,
        "keys": tuple(
            replace(key, columns=tuple(places[index] for index in key.columns)) for key in plan.keys
        ),
        "checks": tuple(replace(check, predicate=remap(check.predicate, at)) for check in checks),
        "defaults": tuple(texts.get(place) for place in range(desc.arity)),
    }
