"""Subqueries that yield a row of several columns, as a record."""

from headwater.errors import SyntaxError_
from headwater.sql.ast import query as ast
from headwater.sql.plan.coerce import is_record_maker, make_record
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
from headwater.sql.plan.types import type_of
from headwater.types.relation import RelationDesc
from headwater.types.scalar import TEXT, BaseType, ColumnType, ScalarType, record_of


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


def plan_operand(ctx: ExprContext, node: ast.Expr) -> HirScalar:
    """Plan an operand of a comparison: a written row keeps fields of open type."""
    return open_row(ctx, node) if isinstance(node, ast.Row) else ctx.plan(node)


def open_row(ctx: ExprContext, node: ast.Row) -> HirScalar:
    """Plan ``ROW(…)``; ``t.*`` inside stands for all columns of the table."""
    fields: list[HirScalar] = []
    for item in node.items:
        expr = ctx.plan(item)
        if isinstance(item, ast.QualifiedWildcard) and is_record_maker(expr):
            assert isinstance(expr, HirCall)
            fields.extend(expr.args)
        else:
            fields.append(expr)
    kind = record_of(*((f"f{number}", type_of(f)) for number, f in enumerate(fields, 1)))
    return make_record(tuple(fields), kind)


def close_row(ctx: ExprContext, expr: HirScalar) -> HirScalar:
    """Return a written row with text in place of open types; anything else as it is."""
    if not is_record_maker(expr):
        return expr
    assert isinstance(expr, HirCall)
    if all(type_of(field).type.base is not BaseType.UNKNOWN for field in expr.args):
        return expr
    fields = tuple(
        ctx.coerce(field, TEXT) if type_of(field).type.base is BaseType.UNKNOWN else field
        for field in expr.args
    )
    names = [field.name for field in expr.type.type.fields]
    kind = record_of(*zip(names, (type_of(field) for field in fields), strict=True))
    return make_record(fields, kind)
