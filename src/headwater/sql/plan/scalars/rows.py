"""Subqueries that yield a row of several columns, as a record."""

from headwater.errors import SyntaxError_
from headwater.sql.ast import query as ast
from headwater.sql.plan.context import ExprContext
from headwater.sql.plan.hir import (
    ColumnRef,
    HirCall,
    HirMap,
    HirProject,
    HirRelation,
    HirScalar,
    ScalarSubquery,
)
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ColumnType, ScalarType, record_of


def row_subquery(ctx: ExprContext, node: ast.Subquery, width: int) -> HirScalar:
    """Plan a subquery that yields at most one row of ``width`` columns, as a record."""
    relation, desc = ctx.statement.queries.subquery(ctx.statement, node.query, ctx.scope, ctx.ctes)
    if desc.arity != width:
        few = "few" if desc.arity < width else "many"
        raise SyntaxError_(f"subquery has too {few} columns", position=node.position)
    return ScalarSubquery(as_record(relation, desc), ColumnType(record_type(desc), True))


def record_type(desc: RelationDesc) -> ScalarType:
    """Return the record type of a relation's rows."""
    return record_of(*((c.name, ColumnType(c.type, c.nullable)) for c in desc.columns))


def as_record(relation: HirRelation, desc: RelationDesc) -> HirRelation:
    """Return the relation's rows as one column of records."""
    fields = columns_of(desc)
    record = HirCall("record_make", fields, ColumnType(record_type(desc), False))
    return HirProject(HirMap(relation, (record,)), (desc.arity,))


def columns_of(desc: RelationDesc) -> tuple[HirScalar, ...]:
    """Return references to all columns of level 0."""
    return tuple(
        ColumnRef(0, index, ColumnType(column.type, column.nullable), column.name)
        for index, column in enumerate(desc.columns)
    )
