"""Functions that are SQL over the catalog's relations: psql and its kin ask for them.

Each overload is an expression over its parameters ``p1 …``, planned in a scope that has those alone
and then moved into the call's place.
"""

from functools import lru_cache

from headwater.ir.functions import CastContext
from headwater.sql.ast import query as ast
from headwater.sql.parse.parser import parse_expression
from headwater.sql.plan.context import ExprContext
from headwater.sql.plan.hir import ColumnRef, HirScalar
from headwater.sql.plan.hir_visit import Rewriter, shift
from headwater.sql.plan.types import can_coerce, type_of
from headwater.sql.resolve.scope import Scope, ScopeColumn
from headwater.types.scalar import (
    BOOL,
    INT2,
    INT4,
    INT8,
    NUMERIC,
    OID,
    REGCLASS,
    TEXT,
    BaseType,
    ColumnType,
    ScalarType,
)

_TYPES = {
    "oid": OID,
    "text": TEXT,
    "int2": INT2,
    "int4": INT4,
    "int8": INT8,
    "bool": BOOL,
    "numeric": NUMERIC,
    "regclass": REGCLASS,
}

_VISIBLE = (
    "(SELECT bool_or(s.name = ANY (current_schemas(true))) FROM {relation} AS o"
    " JOIN mz_catalog.mz_schemas AS s ON o.schema_id = s.id WHERE o.oid = p1)"
)
_OBJECT_VISIBLE = _VISIBLE.format(relation="mz_catalog.mz_objects")
_COMMENT = (
    "(SELECT max(c.comment) FROM mz_catalog.mz_objects AS o JOIN mz_internal.mz_comments AS c"
    " ON c.id = o.id WHERE o.oid = p1 AND {sub})"
)
_VIEW = (
    "(SELECT max(v.definition) FROM (SELECT oid, name, definition FROM mz_catalog.mz_views"
    " UNION ALL SELECT oid, name, definition FROM mz_catalog.mz_materialized_views) AS v"
    " WHERE v.{by} = p1)"
)
_SHOWN_TYPES = {
    16: "boolean",
    18: '"char"',
    20: "bigint",
    21: "smallint",
    23: "integer",
    700: "real",
    701: "double precision",
    1042: "character",
    1043: "character varying",
    1083: "time without time zone",
    1114: "timestamp without time zone",
    1184: "timestamp with time zone",
}
_SHOWN_CASES = " ".join(f"WHEN {oid} THEN '{name}'" for oid, name in _SHOWN_TYPES.items())
_FORMAT_TYPE = (
    f"CASE WHEN p1 IS NULL THEN NULL ELSE COALESCE((SELECT max(CASE t.oid {_SHOWN_CASES}"
    " ELSE COALESCE((SELECT max(CASE e.oid " + _SHOWN_CASES + " ELSE e.name END || '[]')"
    " FROM mz_catalog.mz_array_types AS a JOIN mz_catalog.mz_types AS e ON a.element_id = e.id"
    " WHERE a.id = t.id), t.name) END"
    " || CASE WHEN p2 IS NULL OR p2 < 0 THEN ''"
    " WHEN t.oid IN (1042, 1043) THEN '(' || (p2 - 4)::text || ')'"
    " WHEN t.oid = 1700 THEN '(39,' || ((p2 - 4) % 65536)::text || ')'"
    " ELSE '' END)"
    " FROM mz_catalog.mz_types AS t WHERE t.oid = p1), '???') END"
)
_SIZE = (
    "CASE WHEN abs(p1) < 10240 THEN p1::text || ' bytes'"
    " WHEN abs(p1) < 10485760 THEN round(p1 / 1024)::text || ' kB'"
    " WHEN abs(p1) < 10737418240 THEN round(p1 / 1048576)::text || ' MB'"
    " WHEN abs(p1) < 10995116277760 THEN round(p1 / 1073741824)::text || ' GB'"
    " ELSE round(p1 / 1099511627776)::text || ' TB' END"
)
_TYPE_NAME = "(SELECT max(t.name) FROM mz_catalog.mz_types AS t WHERE t.oid = p1)"
_INDEX = "(SELECT max(i.create_sql) FROM mz_catalog.mz_indexes AS i WHERE i.oid = p1)"

# name: overloads (argument types, expression).
_FUNCTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "pg_table_is_visible": (("oid", _OBJECT_VISIBLE),),
    "pg_type_is_visible": (("oid", _VISIBLE.format(relation="mz_catalog.mz_types")),),
    "pg_function_is_visible": (("oid", _VISIBLE.format(relation="mz_catalog.mz_functions")),),
    "pg_get_userbyid": (
        (
            "oid",
            "CASE WHEN p1 IS NULL THEN NULL ELSE COALESCE((SELECT max(r.name)"
            " FROM mz_catalog.mz_roles AS r WHERE r.oid = p1),"
            " 'unknown (OID=' || p1::int8::text || ')') END",
        ),
    ),
    "obj_description": (
        ("oid, text", _COMMENT.format(sub="c.object_sub_id IS NULL")),
        ("oid", _COMMENT.format(sub="c.object_sub_id IS NULL")),
    ),
    "col_description": (("oid, int4", _COMMENT.format(sub="c.object_sub_id = p2")),),
    "shobj_description": (("oid, text", "NULL::text"),),
    "format_type": (("oid, int4", _FORMAT_TYPE),),
    "pg_get_expr": (("text, oid", "p1"), ("text, oid, bool", "p1")),
    "pg_get_constraintdef": (("oid", "NULL::text"), ("oid, bool", "NULL::text")),
    "pg_get_ruledef": (("oid", "NULL::text"), ("oid, bool", "NULL::text")),
    "pg_get_indexdef": (("oid", _INDEX), ("oid, int4, bool", _INDEX)),
    "pg_get_viewdef": (
        ("oid", _VIEW.format(by="oid")),
        ("oid, bool", _VIEW.format(by="oid")),
        ("oid, int4", _VIEW.format(by="oid")),
        ("text", _VIEW.format(by="name")),
        ("text, bool", _VIEW.format(by="name")),
    ),
    "pg_encoding_to_char": (("int8", "CASE WHEN p1 = 6 THEN 'UTF8' END"),),
    "pg_is_in_recovery": (("", "false"),),
    "pg_relation_size": (("regclass", "NULL::int8"), ("regclass, text", "NULL::int8")),
    "pg_table_size": (("regclass", "NULL::int8"),),
    "pg_total_relation_size": (("regclass", "NULL::int8"),),
    "pg_stat_get_numscans": (("oid", "(-1)::int8"),),
    "pg_tablespace_location": (("oid", "NULL::text"),),
    "pg_size_pretty": (("numeric", _SIZE),),
    "pg_postmaster_start_time": (("", "now() - mz_uptime()"),),
    "is_rbac_enabled": (("", "false"),),
    "mz_type_name": (
        ("oid", "(SELECT max(t.name) FROM mz_catalog.mz_types AS t WHERE t.oid = p1)"),
    ),
    "mz_global_id_to_name": (
        (
            "text",
            "CASE WHEN p1 IS NULL THEN NULL ELSE (SELECT max(concat_ws('.', n.database_name,"
            " n.schema_name, n.name)) FROM mz_internal.mz_object_fully_qualified_names AS n"
            " WHERE n.id = p1) END",
        ),
    ),
}
_PRIVILEGE_CHECKS = (
    "has_table_privilege",
    "has_schema_privilege",
    "has_database_privilege",
    "has_cluster_privilege",
    "has_connection_privilege",
    "has_secret_privilege",
    "has_type_privilege",
    "has_system_privilege",
    "has_role",
    "pg_has_role",
)
# Privileges are recorded, not enforced: whoever asks may.
_ALLOWED = "p1 IS NOT NULL OR NULL"
_PRIVILEGE_OVERLOADS = tuple(
    (args, _ALLOWED)
    for args in (
        "text",
        "text, text",
        "oid, text",
        "text, text, text",
        "text, oid, text",
        "oid, text, text",
        "oid, oid, text",
    )
)


@lru_cache(maxsize=512)
def _parsed(body: str) -> ast.Expr:
    return parse_expression(body)


def overloads_of(name: str) -> tuple[tuple[tuple[ScalarType, ...], str], ...]:
    """Return the overloads of a catalog function: argument types and body; empty if unknown."""
    found = _PRIVILEGE_OVERLOADS if name in _PRIVILEGE_CHECKS else _FUNCTIONS.get(name, ())
    return tuple(
        (tuple(_TYPES[arg.strip()] for arg in args.split(",") if arg.strip()), body)
        for args, body in found
    )


def plan_catalog_function(
    ctx: ExprContext, name: str, args: list[HirScalar], positions: list[int]
) -> HirScalar | None:
    """Plan a call, None if no overload fits."""
    types = [type_of(arg).type for arg in args]
    fitting = [
        (targets, body)
        for targets, body in overloads_of(name)
        if len(targets) == len(types)
        and all(
            can_coerce(source, target, CastContext.IMPLICIT)
            for source, target in zip(types, targets, strict=True)
        )
    ]
    if not fitting:
        return None
    targets, body = min(fitting, key=lambda found: _distance(types, found[0]))
    coerced = [
        ctx.coerce(arg, target, position)
        for arg, target, position in zip(args, targets, positions, strict=True)
    ]
    columns = [
        ScopeColumn(f"p{number}", ColumnType(target, True))
        for number, target in enumerate(targets, 1)
    ]
    scope = Scope(columns, range(len(columns)), [], None)
    planned = ExprContext(ctx.statement, scope, {}, name).plan_typed(_parsed(body))

    def leaf(found: HirScalar, depth: int) -> HirScalar:
        if isinstance(found, ColumnRef) and found.level == depth:
            return shift(coerced[found.index], depth)
        return found

    return Rewriter(leaf).scalar(planned)


def _distance(types: list[ScalarType], targets: tuple[ScalarType, ...]) -> int:
    """Return how far arguments are from an overload: unknown ones would rather be text."""
    distance = 0
    for source, target in zip(types, targets, strict=True):
        if source.base is BaseType.UNKNOWN:
            distance += target.base is not BaseType.TEXT
        else:
            distance += source.base is not target.base
    return distance
