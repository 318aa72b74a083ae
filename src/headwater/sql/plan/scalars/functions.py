"""Calls: which function a name means, and the functions that planning itself answers."""

import math

from headwater.catalog.items import CatalogItem
from headwater.errors import (
    FeatureNotSupported,
    GroupingError,
    IndeterminateDatatype,
    InvalidParameterValue,
    UndefinedFunction,
    UndefinedObject,
    WrongObjectType,
)
from headwater.ir.functions import CastContext, FunctionKind, Signature, lookup
from headwater.ir.functions.schemas import TYPE_IO, is_in_schema
from headwater.ir.literals import (
    bool_literal,
    literal_bool,
    literal_from_text,
    literal_text,
    null_literal,
    text_literal,
)
from headwater.ir.scalar import (
    CallUnmaterializable,
    Literal,
    LiteralError,
    Parameter,
    UnmaterializableFunc,
)
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import NamedType, Node, ObjectName
from headwater.sql.plan.calls import apply, choose_function, overloads_of
from headwater.sql.plan.coerce import zone_argument
from headwater.sql.plan.context import ExprContext, Handler
from headwater.sql.plan.hir import HirCall, HirIf, HirScalar
from headwater.sql.plan.scalars import catalog_functions
from headwater.sql.plan.scalars.aggregates import plan_aggregate
from headwater.sql.plan.scalars.catalog_functions import plan_catalog_function
from headwater.sql.plan.scalars.named_arguments import positional
from headwater.sql.plan.scalars.ordered_sets import plan_ordered_set, takes_order
from headwater.sql.plan.scalars.statement_texts import plan_pretty_sql, plan_redact_sql
from headwater.sql.plan.scalars.windows import plan_window
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.datatypes import BUILTIN_TYPES, show_type
from headwater.types.ids import GlobalId
from headwater.types.scalar import (
    BOOL,
    DATE,
    FLOAT8,
    INT4,
    INTERVAL,
    MZ_TIMESTAMP,
    NUMERIC,
    TEXT,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    BaseType,
    ColumnType,
    ScalarType,
    array_of,
    map_of,
)

FUNCTION_SCHEMAS = frozenset(
    {"pg_catalog", "mz_catalog", "mz_internal", "mz_unsafe", "information_schema"}
)

U = UnmaterializableFunc
_UNMATERIALIZABLE: dict[str, tuple[UnmaterializableFunc, ScalarType]] = {
    "mz_now": (U.MZ_NOW, MZ_TIMESTAMP),
    "now": (U.NOW, TIMESTAMPTZ),
    "transaction_timestamp": (U.NOW, TIMESTAMPTZ),
    "statement_timestamp": (U.NOW, TIMESTAMPTZ),
    "clock_timestamp": (U.NOW, TIMESTAMPTZ),
    "current_timestamp": (U.CURRENT_TIMESTAMP, TIMESTAMPTZ),
    "current_user": (U.CURRENT_USER, TEXT),
    "current_role": (U.CURRENT_USER, TEXT),
    "user": (U.CURRENT_USER, TEXT),
    "session_user": (U.SESSION_USER, TEXT),
    "current_database": (U.CURRENT_DATABASE, TEXT),
    "current_catalog": (U.CURRENT_DATABASE, TEXT),
    "current_schema": (U.CURRENT_SCHEMA, TEXT),
    "pg_backend_pid": (U.PG_BACKEND_PID, INT4),
    "version": (U.VERSION, TEXT),
    "mz_version": (U.MZ_VERSION, TEXT),
    "mz_environment_id": (U.MZ_ENVIRONMENT_ID, TEXT),
    "mz_session_id": (U.MZ_SESSION_ID, UUID),
    "mz_session_settings": (U.CURRENT_SETTING, map_of(TEXT)),
    "mz_uptime": (U.MZ_UPTIME, INTERVAL),
    "mz_is_superuser": (U.IS_SUPERUSER, BOOL),
}
_NULLABLE_CALLS = frozenset({U.CURRENT_SCHEMA})
# Functions of timestamptz that look at its fields.
_BY_ZONE = frozenset({"date_part", "date_trunc", "extract", "to_char"})
_FIELDS = frozenset({"date_part", "extract"})
_UNSAFE = frozenset({"mz_all", "mz_any", "mz_panic", "mz_sleep"})
# What the front end answers about itself as a map from setting to value.
_SETTINGS = ColumnType(map_of(TEXT), False)


def function_name(name: ObjectName) -> str:
    """Return the bare name of a builtin function. Raises: UndefinedFunction (another schema)."""
    bare = name.parts[-1]
    if len(name.parts) == 1:
        return bare
    schema = name.parts[-2]
    if schema not in FUNCTION_SCHEMAS or (
        not is_in_schema(bare, schema) and (lookup(bare) or bare in _UNMATERIALIZABLE)
    ):
        raise UndefinedFunction(
            f'function "{".".join(name.parts)}" does not exist', position=name.position
        )
    return bare


def _function(ctx: ExprContext, node: ast.Function) -> HirScalar:
    name = function_name(node.name)
    if len(node.name.parts) > 2:
        ctx.statement.catalog.database(node.name.parts[-3], position=node.name.position)
    if name in _UNSAFE:
        raise FeatureNotSupported(
            "executing potentially dangerous functions is not supported", position=node.position
        )
    node = positional(node)
    special = _SPECIAL.get(name)
    if special is not None and node.over is None:
        return special(ctx, node)
    unmaterializable = _UNMATERIALIZABLE.get(name)
    if unmaterializable is not None and not node.arguments:
        return _moment(ctx, *unmaterializable)
    overloads = overloads_of(name)
    if not overloads:
        if catalog_functions.is_set_returning(name):
            return _rows(ctx, node)
        if catalog_functions.overloads_of(name):
            return _over_catalog(ctx, name, node)
        return _unknown(ctx, name, node)
    kind = overloads[0].kind
    if takes_order(node, name):
        return plan_ordered_set(ctx, node, name, overloads)
    if node.over is not None:
        return plan_window(ctx, node, name, overloads)
    if kind is FunctionKind.AGGREGATE:
        return plan_aggregate(ctx, node, name, overloads)
    if kind is FunctionKind.WINDOW:
        raise WrongObjectType(
            f"window function pg_catalog.{name} requires an OVER clause", position=node.position
        )
    _refuse_aggregate_syntax(node, name)
    if kind is FunctionKind.TABLE:
        return _rows(ctx, node)
    return _scalar(ctx, node, name, overloads)


def _rows(ctx: ExprContext, node: ast.Function) -> HirScalar:
    """Note a set-returning call in a select list."""
    if ctx.table_functions is None:
        raise ctx.refuse_table_function(function_name(node.name), node.position)
    return ctx.table_functions.planner(ctx, node)


def _moment(ctx: ExprContext, func: UnmaterializableFunc, type: ScalarType) -> HirScalar:
    call = CallUnmaterializable(func, ColumnType(type, func in _NULLABLE_CALLS))
    ctx.statement.uses_now.append(call)
    return call


def plan_arguments(ctx: ExprContext, node: ast.Function) -> list[HirScalar]:
    """Plan a call's arguments, their types open."""
    if node.variadic:
        raise FeatureNotSupported(
            "VARIADIC arguments are not yet supported", position=node.position
        )
    return [ctx.plan(argument) for argument in node.arguments]


def _scalar(
    ctx: ExprContext, node: ast.Function, name: str, overloads: tuple[Signature, ...]
) -> HirScalar:
    args = plan_arguments(ctx, node)
    types = tuple([type_of(arg).type for arg in args])
    positions = [argument.position for argument in node.arguments]
    if ctx.statement.time_zone is not None and name in _BY_ZONE:
        if name in _FIELDS and len(args) == 2 and types[1].base is BaseType.TIMESTAMPTZ:
            unit = ctx.coerce(args[0], TEXT, positions[0])
            nullable = type_of(unit).nullable or type_of(args[1]).nullable
            result = ColumnType(NUMERIC if name == "extract" else FLOAT8, nullable)
            zone = text_literal(ctx.statement.time_zone)
            return HirCall(f"{name}_in_zone", (unit, args[1], zone), result)
        args = _in_zone(ctx, name, args, ctx.statement.time_zone)
        types = tuple([type_of(arg).type for arg in args])
        positions = [*positions, *[0] * (len(args) - len(positions))]
    choice = choose_function(name, types, node.position)
    return apply(ctx, choice, args, positions)


def _in_zone(ctx: ExprContext, name: str, args: list[HirScalar], zone: str) -> list[HirScalar]:
    """Return the arguments with moments as they are in the session's zone."""
    if name == "date_trunc":
        is_zoned = len(args) == 2 and type_of(args[1]).type.base is BaseType.TIMESTAMPTZ
        return [*args, text_literal(zone_argument(zone))] if is_zoned else args
    return [
        ctx.coerce(arg, TIMESTAMP, 0, CastContext.EXPLICIT)
        if type_of(arg).type.base is BaseType.TIMESTAMPTZ
        else arg
        for arg in args
    ]


def _over_catalog(ctx: ExprContext, name: str, node: ast.Function) -> HirScalar:
    _refuse_aggregate_syntax(node, name)
    args = plan_arguments(ctx, node)
    positions = [argument.position for argument in node.arguments]
    found = plan_catalog_function(ctx, name, args, positions)
    if found is None:
        choose_function(name, tuple(type_of(arg).type for arg in args), node.position)
        raise UndefinedFunction(f"function {name} does not exist", position=node.position)
    return found


def _unknown(ctx: ExprContext, name: str, node: ast.Function) -> HirScalar:
    """Plan ``type(x)`` as a cast; refuse any other name.

    Source: PostgreSQL, section 10.3: a call of a type's name with one argument is a cast.
    """
    if name in TYPE_IO and node.arguments:
        raise FeatureNotSupported(
            "cannot call function with arguments of type internal"
            if name != "array_in"
            else "array_in not yet supported",
            position=node.position,
        )
    if len(node.arguments) == 1 and name in BUILTIN_TYPES and not node.star:
        data_type = NamedType(name=ObjectName(parts=(name,)), position=node.position)
        return ctx.plan(
            ast.Cast(operand=node.arguments[0], data_type=data_type, position=node.position)
        )
    args = plan_arguments(ctx, node)
    types = tuple(type_of(arg).type for arg in args)
    choose_function(name, types, node.position, exists=name in TYPE_IO)
    raise UndefinedFunction(f"function {name} does not exist", position=node.position)


def _refuse_aggregate_syntax(node: ast.Function, name: str) -> None:
    """Refuse what only aggregates take. Raises: WrongObjectType."""
    what = ""
    if node.star:
        what = f"{name}(*) specified, but {name} is not an aggregate function"
    elif node.distinct:
        what = f"DISTINCT specified, but {name} is not an aggregate function"
    elif node.within_group:
        what = f"WITHIN GROUP specified, but {name} is not an aggregate function"
    elif node.order_by:
        what = f"ORDER BY specified, but {name} is not an aggregate function"
    elif node.filter is not None:
        what = f"FILTER specified, but {name} is not an aggregate function"
    if what:
        raise WrongObjectType(what, position=node.position)


# --- functions that planning answers --------------------------------------------------------------


def _pg_typeof(ctx: ExprContext, node: ast.Function) -> HirScalar:
    args = plan_arguments(ctx, node)
    if len(args) != 1:
        choose_function("pg_typeof", tuple(type_of(a).type for a in args), node.position)
    declared = type_of(args[0]).type
    if isinstance(args[0], Parameter) and declared.base is BaseType.UNKNOWN:
        raise IndeterminateDatatype(
            f"could not determine data type of parameter ${args[0].number}", position=node.position
        )
    return text_literal(_shown(ctx, declared))


def _shown(ctx: ExprContext, type: ScalarType) -> str:
    """Return a type's name; one made by CREATE TYPE has its own, qualified where it must be."""
    if type.custom is not None:
        item = ctx.statement.catalog.item(GlobalId(type.custom))
        full = ctx.statement.catalog.full_name(item)
        return item.name if _found_bare(ctx, item) else ".".join(full[-2:])
    if type.element is not None and type.base in (BaseType.LIST, BaseType.ARRAY, BaseType.MAP):
        inner = _shown(ctx, type.element)
        if type.base is BaseType.LIST:
            return f"{inner} list"
        return f"{inner}[]" if type.base is BaseType.ARRAY else f"map[text=>{inner}]"
    return show_type(type)


def _found_bare(ctx: ExprContext, item: CatalogItem) -> bool:
    """Return whether a type's name alone means it."""
    try:
        return ctx.statement.names.type_item(ObjectName(parts=(item.name,))) is item
    except UndefinedObject:
        return False


def _pi(ctx: ExprContext, node: ast.Function) -> HirScalar:
    if node.arguments:
        choose_function("pi", tuple(type_of(a).type for a in plan_arguments(ctx, node)), 0)
    return literal_from_text(repr(math.pi), FLOAT8)


def _not_in_recovery(_ctx: ExprContext, _node: ast.Function) -> HirScalar:
    return bool_literal(False)


def _age(ctx: ExprContext, node: ast.Function) -> HirScalar:
    """Plan ``age(x)`` as the time from ``x`` to the beginning of the current day."""
    args = plan_arguments(ctx, node)
    positions = [argument.position for argument in node.arguments]
    if len(args) == 1:
        declared = type_of(args[0]).type.base
        moment = TIMESTAMPTZ if declared is BaseType.TIMESTAMPTZ else TIMESTAMP
        now = ctx.coerce(_moment(ctx, U.NOW, TIMESTAMPTZ), DATE, 0, CastContext.EXPLICIT)
        args = [ctx.coerce(now, moment, 0), ctx.coerce(args[0], moment, positions[0])]
        positions = [0, positions[0]]
    choice = choose_function("age", tuple(type_of(arg).type for arg in args), node.position)
    return apply(ctx, choice, args, positions)


def _current_setting(ctx: ExprContext, node: ast.Function) -> HirScalar:
    """Plan a look-up in the session's settings; unknown ones fail unless told otherwise."""
    if not 1 <= len(node.arguments) <= 2:
        raise UndefinedFunction("function current_setting does not exist", position=node.position)
    name = ctx.plan_as(node.arguments[0], TEXT)
    settings = CallUnmaterializable(U.CURRENT_SETTING, _SETTINGS)
    ctx.statement.uses_now.append(settings)
    lowered = HirCall("lower_text", (name,), ColumnType(TEXT, type_of(name).nullable))
    found = HirCall("get_map_text", (settings, lowered), ColumnType(TEXT, True))
    shown = f' "{literal_text(name)}"' if isinstance(name, Literal) else ""
    unknown = UndefinedObject(f"unrecognized configuration parameter{shown}").fields()
    is_unknown = HirCall("is_null", (found,), ColumnType(BOOL, False))
    failed = LiteralError(unknown, ColumnType(TEXT, True))
    strict: HirScalar = HirIf(is_unknown, failed, found)
    if type_of(name).nullable:
        unnamed = HirCall("is_null", (name,), ColumnType(BOOL, False))
        strict = HirIf(unnamed, null_literal(TEXT), strict)
    if len(node.arguments) == 1:
        return strict
    missing_ok = ctx.plan_as(node.arguments[1], BOOL)
    return HirIf(missing_ok, found, strict)


def _setseed(_ctx: ExprContext, node: ast.Function) -> HirScalar:
    raise FeatureNotSupported(
        "setseed is not supported: random() is drawn for each row by itself",
        position=node.position,
    )


def _local(target: ScalarType) -> Handler:
    """Return what plans LOCALTIMESTAMP or LOCALTIME: the moment, in the session's zone."""

    def plan(ctx: ExprContext, node: ast.Function) -> HirScalar:
        now = _moment(ctx, U.CURRENT_TIMESTAMP, TIMESTAMPTZ)
        local = ctx.coerce(now, TIMESTAMP, node.position, CastContext.EXPLICIT)
        return ctx.coerce(local, target, node.position, CastContext.EXPLICIT)

    return plan


def _current_schemas(ctx: ExprContext, node: ast.Function) -> HirScalar:
    if len(node.arguments) != 1:
        raise UndefinedFunction("function current_schemas does not exist", position=node.position)
    argument = ctx.plan_as(node.arguments[0], BOOL)
    with_system = _moment(ctx, U.CURRENT_SCHEMAS_WITH_SYSTEM, array_of(TEXT))
    without = _moment(ctx, U.CURRENT_SCHEMAS_WITHOUT_SYSTEM, array_of(TEXT))
    if isinstance(argument, Literal):
        return with_system if literal_bool(argument) else without
    return HirIf(argument, with_system, without)


def _grouping(ctx: ExprContext, node: ast.Function) -> HirScalar:
    if ctx.aggregates is None:
        raise GroupingError(
            f"grouping operations are not allowed in {ctx.clause}", position=node.position
        )
    return ctx.aggregates.add_grouping(tuple(plan_arguments(ctx, node)))


def _old_now(_ctx: ExprContext, node: ast.Function) -> HirScalar:
    raise InvalidParameterValue(
        "mz_logical_timestamp() has been renamed to mz_now()", position=node.position
    )


_SPECIAL: dict[str, Handler] = {
    "age": _age,
    "grouping": _grouping,
    "pg_is_in_recovery": _not_in_recovery,
    "pi": _pi,
    "pg_typeof": _pg_typeof,
    "current_setting": _current_setting,
    "current_schemas": _current_schemas,
    "setseed": _setseed,
    "localtime": _local(TIME),
    "localtimestamp": _local(TIMESTAMP),
    "mz_logical_timestamp": _old_now,
    "pretty_sql": plan_pretty_sql,
    "redact_sql": plan_redact_sql,
}

HANDLERS: dict[type[Node], Handler] = {ast.Function: _function}

__all__ = ["FUNCTION_SCHEMAS", "HANDLERS", "function_name", "plan_arguments"]
