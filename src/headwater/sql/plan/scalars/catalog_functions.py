"""Functions that are SQL over the catalog's relations: psql and its kin ask for them.

Each overload of ``catalog.builtin.sql_functions`` is an expression (for table functions a query)
over its parameters ``p1 …``, planned in a scope that has those alone and then moved into the call's
place.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from headwater.catalog.builtin.functions import oids_of
from headwater.catalog.builtin.sql_functions import CASTS, FUNCTIONS, KINDS, LOOK_UPS
from headwater.catalog.items import CatalogItem
from headwater.errors import (
    AmbiguousFunction,
    InvalidName,
    UndefinedFunction,
    UndefinedObject,
    UndefinedTable,
)
from headwater.ir.functions import CastContext
from headwater.ir.literals import int_literal, is_null, literal_text, null_literal
from headwater.ir.scalar import CallUnmaterializable, Literal
from headwater.ir.scalar import Parameter as Param
from headwater.sql.ast import query as ast
from headwater.sql.parse.parser import parse_expression, parse_statements
from headwater.sql.plan.coerce import retype
from headwater.sql.plan.context import ExprContext
from headwater.sql.plan.hir import (
    ColumnRef,
    HirConstant,
    HirMap,
    HirProject,
    HirRelation,
    HirScalar,
    ScalarSubquery,
)
from headwater.sql.plan.hir_visit import Rewriter, shift
from headwater.sql.plan.scalars.statement_texts import KEYWORDS_FUNCTION
from headwater.sql.plan.types import can_coerce, type_of
from headwater.sql.resolve.datatypes import BUILTIN_TYPES
from headwater.sql.resolve.scope import Scope, ScopeColumn
from headwater.types.relation import RelationDesc
from headwater.types.scalar import OID, TEXT, BaseType, ColumnType, ScalarType, array_of, map_of

_MAP = "map[text=>"
_UNIT = HirConstant(((b"", 1),), RelationDesc((), ((),)))
_SIMPLE = (ColumnRef, Literal, Param, CallUnmaterializable)
_TEXTS = frozenset({BaseType.UNKNOWN, BaseType.TEXT, BaseType.VARCHAR, BaseType.NAME})


class Parameter(msgspec.Struct, frozen=True):
    """A parameter: its type, and the kind of object whose name may stand for its oid."""

    type: ScalarType
    kind: str = ""


class Overload(msgspec.Struct, frozen=True):
    """One overload: what it takes, what it yields, and its body."""

    parameters: tuple[Parameter, ...]
    result: ScalarType
    body: str
    is_set: bool = False


def _type(name: str) -> ScalarType:
    if name.startswith(_MAP):
        return map_of(_type(name[len(_MAP) : -1]))
    return array_of(_type(name[:-2])) if name.endswith("[]") else BUILTIN_TYPES[name]


def _parameter(name: str) -> Parameter:
    return Parameter(OID, name) if name in KINDS else Parameter(_type(name))


@lru_cache(maxsize=512)
def _overload(signature: str, body: str) -> Overload:
    arguments, _, result = (part.strip() for part in signature.partition("->"))
    names = [name.strip() for name in arguments.split(",") if name.strip()]
    return Overload(
        tuple(_parameter(name) for name in names),
        _type(result.removeprefix("setof ")),
        body,
        result.startswith("setof "),
    )


def overloads_of(name: str) -> tuple[Overload, ...]:
    """Return the overloads of a catalog function; empty if unknown."""
    listed = KEYWORDS_FUNCTION if name == "pg_get_keywords" else FUNCTIONS.get(name, ())
    return tuple(_overload(signature, body) for signature, body in listed)


def is_set_returning(name: str) -> bool:
    """Return whether the name is of a catalog function that yields rows."""
    return any(overload.is_set for overload in overloads_of(name))


def names() -> tuple[str, ...]:
    """Return the names of all catalog functions."""
    return tuple(FUNCTIONS)


@lru_cache(maxsize=1024)
def _parsed(body: str) -> ast.Expr:
    return parse_expression(body)


@lru_cache(maxsize=64)
def _parsed_query(body: str) -> ast.Query:
    (parsed,) = parse_statements(body)
    assert isinstance(parsed.statement, ast.Query)
    return parsed.statement


def _choose(
    ctx: ExprContext, name: str, args: Sequence[HirScalar], positions: Sequence[int]
) -> tuple[Overload, list[HirScalar]] | None:
    """Return the overload that a call means and its arguments, None if none fits."""
    types = [type_of(arg).type for arg in args]
    fitting = [
        overload
        for overload in overloads_of(name)
        if len(overload.parameters) == len(types)
        and all(
            (parameter.kind and source.base in _TEXTS)
            or can_coerce(source, parameter.type, CastContext.IMPLICIT)
            for source, parameter in zip(types, overload.parameters, strict=True)
        )
    ]
    if not fitting:
        return None
    chosen = min(fitting, key=lambda overload: _distance(types, overload.parameters))
    given = zip(args, chosen.parameters, positions, strict=True)
    return chosen, [_argument(ctx, arg, parameter, at) for arg, parameter, at in given]


def _argument(ctx: ExprContext, arg: HirScalar, parameter: Parameter, position: int) -> HirScalar:
    """Return an argument as the body sees it: a name as the oid of what it means."""
    base = type_of(arg).type.base
    if not parameter.kind or base not in _TEXTS:
        return ctx.coerce(arg, parameter.type, position)
    if isinstance(arg, Literal):
        if is_null(arg):
            return null_literal(OID)
        text = literal_text(arg)
        assert text is not None
        return int_literal(oid_named(ctx, parameter.kind, text, position), OID)
    return _inlined(ctx, LOOK_UPS[parameter.kind], [ctx.coerce(arg, TEXT, position)])


def plan_catalog_function(
    ctx: ExprContext, name: str, args: list[HirScalar], positions: list[int]
) -> HirScalar | None:
    """Plan a call, None if no overload fits."""
    found = _choose(ctx, name, args, positions)
    if found is None:
        return None
    overload, given = found
    return _as(_inlined(ctx, overload.body, given), overload.result)


def plan_catalog_rows(
    ctx: ExprContext, name: str, args: list[HirScalar], positions: list[int], levels: int
) -> tuple[HirRelation, RelationDesc] | None:
    """Plan a call that yields rows, its arguments ``levels`` outside of them; None if none fits."""
    found = _choose(ctx, name, args, positions)
    if found is None:
        return None
    overload, given = found
    scope = _scope(given)
    relation, desc = ctx.statement.queries.subquery(
        ctx.statement, _parsed_query(overload.body), scope, {}
    )

    def leaf(scalar: HirScalar, depth: int) -> HirScalar:
        if isinstance(scalar, ColumnRef) and scalar.level == depth + 1:
            return shift(given[scalar.index], depth + levels)
        return scalar

    return Rewriter(leaf).relation(relation, 0), desc


def cast_over_catalog(ctx: ExprContext, expr: HirScalar, target: ScalarType) -> HirScalar | None:
    """Plan a cast that needs the catalog, None where that is not such a one."""
    source = type_of(expr).type
    base = BaseType.TEXT if source.base in _TEXTS else source.base
    found = CASTS.get((base.value, target.base.value))
    if found is None:
        return None
    overload = _overload(*found)
    given = [_argument(ctx, expr, overload.parameters[0], 0)]
    return _as(_inlined(ctx, overload.body, given), target)


def _scope(args: Sequence[HirScalar]) -> Scope:
    columns = [
        ScopeColumn(f"p{number}", ColumnType(type_of(arg).type, True))
        for number, arg in enumerate(args, 1)
    ]
    return Scope(columns, range(len(columns)), [], None)


def _inlined(ctx: ExprContext, body: str, args: Sequence[HirScalar]) -> HirScalar:
    """Plan a body with ``args`` in the place of its parameters.

    Bodies name parameters many times. An argument that is more than a name or a value is computed
    once, as the only row of a subquery that the body reads.
    """
    planned = ExprContext(ctx.statement, _scope(args), {}, "a function").plan_typed(_parsed(body))
    if not all(isinstance(arg, _SIMPLE) for arg in args):
        row = HirMap(_UNIT, tuple(shift(arg, 1) for arg in args))
        answer = HirProject(HirMap(row, (planned,)), (len(args),))
        return ScalarSubquery(answer, ColumnType(type_of(planned).type, True))

    def leaf(found: HirScalar, depth: int) -> HirScalar:
        if isinstance(found, ColumnRef) and found.level == depth:
            return shift(args[found.index], depth)
        return found

    return Rewriter(leaf).scalar(planned)


def _as(expr: HirScalar, result: ScalarType) -> HirScalar:
    """Return a body declared to be of its result's type, which its datum is one of."""
    return expr if type_of(expr).type == result else retype(expr, result)


def _distance(types: Sequence[ScalarType], parameters: Sequence[Parameter]) -> int:
    """Return how far arguments are from an overload: unknown ones would rather be text."""
    distance = 0
    for source, parameter in zip(types, parameters, strict=True):
        target = parameter.type.base
        if source.base is BaseType.UNKNOWN:
            distance += target is not BaseType.TEXT
        else:
            distance += source.base is not target
    return distance


# --- what names mean ------------------------------------------------------------------------------


def oid_named(ctx: ExprContext, kind: str, text: str, position: int) -> int:
    """Return the oid of the object of a kind that a text names.

    Raises: what look-ups raise; UndefinedFunction, AmbiguousFunction for functions.
    """
    catalog, names = ctx.statement.catalog, ctx.statement.names
    if kind == "grantee" and text == "public":
        return 0
    if kind in ("role", "grantee"):
        return catalog.role(text, position=position).oid
    if kind == "database":
        return catalog.database(split_name(text)[-1], position=position).oid
    if text.isdigit() and kind in ("class", "proc", "type"):
        return int(text)
    parts = split_name(text)
    if kind == "schema":
        if len(parts) > 2:
            raise InvalidName(
                f"improper schema name (too many dotted names): {text}", position=position
            )
        return catalog.schema(
            parts, names.database, temp_schema=names.temp_schema, position=position
        ).oid
    if kind == "proc":
        return _function_oid(parts, text, position)
    if kind == "type":
        return _type_named(ctx, parts, position).oid
    return _relation_named(ctx, kind, parts, position).oid


def _relation_named(
    ctx: ExprContext, kind: str, parts: tuple[str, ...], position: int
) -> CatalogItem:
    names = ctx.statement.names
    try:
        return ctx.statement.catalog.resolve_item(
            parts,
            ctx.statement.session.search_path,
            names.database,
            temp_schema=names.temp_schema,
            position=position,
        )
    except UndefinedTable as error:
        if kind == "class":
            raise
        if len(parts) == 1:
            found = _anywhere(ctx, kind, parts[0])
            if found is not None:
                return found
        shown = ".".join(parts)
        raise UndefinedObject(f'{kind} "{shown}" does not exist', position=position) from error


def _anywhere(ctx: ExprContext, kind: str, name: str) -> CatalogItem | None:
    """Return the connection or secret of a name, whatever its schema: the database's own first."""
    catalog, database = ctx.statement.catalog, ctx.statement.names.database
    found = [i for i in catalog.items.values() if i.kind.value == kind and i.name == name]
    return min(found, key=lambda i: (catalog.full_name(i)[0] != database, i.oid), default=None)


def _type_named(ctx: ExprContext, parts: tuple[str, ...], position: int) -> CatalogItem:
    names = ctx.statement.names
    return ctx.statement.catalog.resolve_type(
        parts,
        ctx.statement.session.search_path,
        names.database,
        temp_schema=names.temp_schema,
        position=position,
    )


def _function_oid(parts: tuple[str, ...], text: str, position: int) -> int:
    """Return the oid of the only function of a name."""
    oids = oids_of(parts[-1])
    if len(oids) > 1:
        raise AmbiguousFunction(f'more than one function named "{text}"', position=position)
    if not oids:
        raise UndefinedFunction(f'function "{text}" does not exist', position=position)
    return int(oids[0])


def split_name(text: str) -> tuple[str, ...]:
    """Return the parts of a dotted name written in a string: folded unless quoted."""
    parts: list[str] = []
    rest = text
    while True:
        if rest.startswith('"'):
            end = rest.find('"', 1)
            if end < 0:
                return (text,)
            parts.append(rest[1:end])
            rest = rest[end + 1 :]
        else:
            word, _, _ = rest.partition(".")
            parts.append(word.strip().lower())
            rest = rest[len(word) :]
        if not rest.startswith("."):
            return tuple(parts)
        rest = rest[1:]
