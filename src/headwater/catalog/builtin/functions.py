"""Functions and operators as rows of the builtin tables, from the tables that planning uses.

Ids and object ids follow from the signature alone, so that they are the same for ever: a function
that has no object id of its own gets one from a hash of its signature.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import msgspec

from headwater.catalog import rows as r
from headwater.catalog.builtin.casts import CastRow, casts
from headwater.catalog.builtin.function_oids import FUNCTION_OIDS
from headwater.catalog.builtin.initial import MZ_SYSTEM
from headwater.catalog.builtin.pack import type_id
from headwater.catalog.builtin.pg_rows import hashed_oid
from headwater.catalog.builtin.sql_functions import FUNCTIONS, KINDS
from headwater.catalog.builtin.types import show_type
from headwater.catalog.rows import TableRow
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.ir.functions import SIGNATURES, FunctionKind, Pseudo, Signature, Volatility
from headwater.ir.functions.schemas import TYPE_IO, schema_of
from headwater.ir.functions.signature import ArgType
from headwater.types.ids import GlobalId
from headwater.types.scalar import BaseType, ScalarType

# Ids of functions are above those of builtin items.
_FIRST_ID = 1_000_000
# What planning answers by itself: name, arguments and result.
_PLANNED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("now", (), "timestamptz"),
    ("transaction_timestamp", (), "timestamptz"),
    ("statement_timestamp", (), "timestamptz"),
    ("clock_timestamp", (), "timestamptz"),
    ("current_timestamp", (), "timestamptz"),
    ("current_user", (), "text"),
    ("current_role", (), "text"),
    ("user", (), "text"),
    ("session_user", (), "text"),
    ("current_database", (), "text"),
    ("current_catalog", (), "text"),
    ("current_schema", (), "text"),
    ("current_schemas", ("bool",), "text[]"),
    ("current_setting", ("text",), "text"),
    ("current_setting", ("text", "bool"), "text"),
    ("pg_backend_pid", (), "int4"),
    ("pg_typeof", ("any",), "regtype"),
    ("pg_get_keywords", (), "setof record"),
    ("pi", (), "float8"),
    ("pretty_sql", ("text",), "text"),
    ("pretty_sql", ("text", "int4"), "text"),
    ("redact_sql", ("text",), "text"),
    ("version", (), "text"),
    ("mz_now", (), "mz_timestamp"),
    ("mz_version", (), "text"),
    ("mz_environment_id", (), "text"),
    ("mz_session_id", (), "uuid"),
    ("mz_session_settings", (), "map"),
    ("mz_uptime", (), "interval"),
    ("mz_is_superuser", (), "bool"),
)
_PSEUDO_NAMES = {
    Pseudo.LIST_ELEMENT: "anyelement",
    Pseudo.MAP_VALUE: "anyelement",
}
_KINDS = {FunctionKind.AGGREGATE: "a", FunctionKind.WINDOW: "w"}
_VOLATILITIES = {Volatility.STABLE: "s", Volatility.VOLATILE: "v"}
# How an object may be named in a call, by its kind; which are listed is told by the object ids.
_NAMED_BY = {"class": ("regclass", "text", "oid")}


class Function(msgspec.Struct, frozen=True):
    """One overload, its types by name."""

    name: str
    oid: int
    args: tuple[str, ...]
    result: str
    returns_set: bool = False
    variadic: bool = False
    kind: str = "f"
    volatility: str = "i"

    @property
    def schema(self) -> str:
        """Return the schema that shows it."""
        return schema_of(self.name)


def _type_name(type_: ArgType) -> str:
    if isinstance(type_, Pseudo):
        return _PSEUDO_NAMES.get(type_, type_.value)
    if type_.base is BaseType.ARRAY and type_.element is not None:
        return f"{_type_name(type_.element)}[]"
    if type_.base is BaseType.RANGE:
        return show_type(type_)
    return type_.base.value


def _oid(oid: int, name: str, args: tuple[str, ...]) -> int:
    return oid or FUNCTION_OIDS.get((name, args)) or hashed_oid(f"{name}({', '.join(args)})")


def _of_signature(signature: Signature) -> Function:
    args = tuple(_type_name(arg) for arg in signature.args)
    return Function(
        signature.name,
        _oid(signature.oid, signature.name, args),
        args,
        _type_name(signature.result),
        signature.kind is FunctionKind.TABLE,
        signature.variadic,
        _KINDS.get(signature.kind, "f"),
        _VOLATILITIES.get(signature.volatility, "i"),
    )


def _over_catalog(name: str, signature: str) -> Iterator[Function]:
    """Yield what one overload of SQL is listed as: a row for each way to name its objects."""
    arguments, _, result = (part.strip() for part in signature.partition("->"))
    taken = [part.strip() for part in arguments.split(",") if part.strip()]
    ways = [_NAMED_BY.get(part, ("text", "oid")) if part in KINDS else (part,) for part in taken]
    listed = [args for args in product(*ways) if (name, args) in FUNCTION_OIDS]
    returns_set = result.startswith("setof ")
    for args in listed or [tuple("oid" if part in KINDS else part for part in taken)]:
        shown = "record" if returns_set else result.partition("[text=>")[0]
        yield Function(name, _oid(0, name, args), args, shown, returns_set, volatility="s")


def _planned(name: str, args: tuple[str, ...], result: str) -> Function:
    oid, is_set = _oid(0, name, args), result.startswith("setof ")
    return Function(name, oid, args, result.removeprefix("setof "), is_set, volatility="s")


@lru_cache(maxsize=1)
def functions() -> tuple[Function, ...]:
    """Return all functions, one an overload."""
    found = [_of_signature(s) for s in SIGNATURES if s.kind is not FunctionKind.OPERATOR]
    for name, overloads in FUNCTIONS.items():
        for signature, _ in overloads:
            found.extend(_over_catalog(name, signature))
    found.extend(_planned(*listed) for listed in _PLANNED)
    known = {function.oid for function in found}
    for cast in casts():
        oid = _cast_function(cast)
        if oid and oid not in known:
            known.add(oid)
            found.append(Function(cast.function, oid, (cast.takes,), cast.function))
    found.extend(_reads_a_type(name, oid) for name, oid in TYPE_IO.items())
    return tuple(found)


# Types whose values are read with the type's element or modifier.
_READ_WITH_MORE = frozenset(
    {
        *("array", "anyarray", "anycompatiblearray", "record", "range", "bpchar", "varchar"),
        *("numeric", "time", "timestamp", "timestamptz", "interval"),
    }
)


def _reads_a_type(name: str, oid: int) -> Function:
    """Return a function of ``pg_type.typinput`` or ``typreceive``, which nobody can call."""
    is_text = name.endswith("in")
    read = name.removesuffix("in" if is_text else "recv").removesuffix("_")
    result = {"array": "anyarray", "range": "anyrange"}.get(read, read)
    args = ["cstring" if is_text else "internal"]
    if read in _READ_WITH_MORE:
        args.extend(("oid", "int4"))
    return Function(name, oid, tuple(args), result)


def _cast_function(cast: CastRow) -> int:
    """Return the object id of the function that a cast is done by, 0 for none."""
    if cast.method != "f":
        return 0
    return _oid(cast.oid, cast.function, (cast.takes,))


def oids_of(name: str) -> tuple[int, ...]:
    """Return the object ids of a function's overloads."""
    return tuple(function.oid for function in functions() if function.name == name)


def function_id(oid: int) -> GlobalId:
    """Return the id of the function with an object id."""
    return GlobalId(f"s{_FIRST_ID + oid}")


class _TypeIds:
    """The ids of the items of types, by name."""

    def __init__(self, snapshot: CatalogSnapshot) -> None:
        self._snapshot = snapshot
        self._schemas = [
            schema.id
            for schema in snapshot.schemas.values()
            if schema.database is None and schema.name in ("pg_catalog", "mz_catalog")
        ]

    def oid(self, name: str) -> int:
        """Return the type's object id, 0 where it has none."""
        id = self(name)
        return 0 if id is None else self._snapshot.item(GlobalId(id)).oid

    def __call__(self, name: str) -> str | None:
        bare = f"_{name[:-2]}" if name.endswith("[]") else name
        for schema in self._schemas:
            found = self._snapshot.type_in(schema, bare)
            if found is not None:
                return found.id
        if name in BaseType.__members__.values():
            return type_id(self._snapshot, ScalarType(BaseType(name)))
        return None


def rows(snapshot: CatalogSnapshot) -> Iterator[TableRow]:
    """Yield the rows of all functions, aggregates and operators."""
    ids = _TypeIds(snapshot)
    schema_oids = {s.name: s.oid for s in snapshot.schemas.values() if s.database is None}
    schemas = {s.name: s.id for s in snapshot.schemas.values() if s.database is None}
    for function in functions():
        shown = function.schema
        args = [ids(arg) or "" for arg in function.args]
        plain = args[:-1] if function.variadic else args
        yield (
            "mz_catalog.mz_functions",
            b"".join(
                (
                    r.text(function_id(function.oid)),
                    r.integer(function.oid),
                    r.text(schemas[shown]),
                    r.text(function.name),
                    r.text_array(plain),
                    r.text(args[-1] if function.variadic else None),
                    r.text(ids(function.result)),
                    r.boolean(function.returns_set),
                    r.text(MZ_SYSTEM),
                )
            ),
        )
        yield (
            "mz_internal.mz_oid_names",
            b"".join(
                (
                    r.text("proc"),
                    r.text(function_id(function.oid)),
                    r.integer(function.oid),
                    r.text(function.name),
                    r.text(shown),
                    r.NULL,
                )
            ),
        )
        yield _argument_row(ids, function, schema_oids[shown])
        if function.kind == "a":
            yield (
                "mz_internal.mz_aggregates",
                r.integer(function.oid) + r.text("n") + r.integer(0),
            )
    yield from _operator_rows(ids)
    yield from _cast_rows(ids)


def _argument_row(ids: "_TypeIds", function: Function, schema_oid: int) -> TableRow:
    """Return what PostgreSQL's catalogs say of a function."""
    listed = [*function.args]
    if function.variadic:
        listed[-1] = f"VARIADIC {listed[-1]}"
    oids = [ids.oid(arg) for arg in function.args]
    datums = (
        r.integer(function.oid),
        r.text(function.name),
        r.integer(schema_oid),
        r.text(", ".join(listed)),
        r.text(function.kind),
        r.integer(ids.oid(function.result)),
        r.boolean(function.returns_set),
        r.integer(len(oids)),
        r.integer_array(oids),
        r.integer(oids[-1] if function.variadic else 0),
        r.text(function.volatility),
    )
    return "mz_internal.mz_function_arguments", b"".join(datums)


def _cast_rows(ids: "_TypeIds") -> Iterator[TableRow]:
    for cast in casts():
        datums = (
            r.integer(_oid(0, "cast", (f"{cast.source} AS {cast.target}",))),
            r.integer(ids.oid(cast.source)),
            r.integer(ids.oid(cast.target)),
            r.integer(_cast_function(cast)),
            r.text(cast.context),
            r.text(cast.method),
        )
        yield "mz_internal.mz_casts", b"".join(datums)


def _operator_rows(ids: _TypeIds) -> Iterator[TableRow]:
    for signature in SIGNATURES:
        if signature.kind is not FunctionKind.OPERATOR:
            continue
        args = tuple(_type_name(arg) for arg in signature.args)
        yield (
            "mz_catalog.mz_operators",
            b"".join(
                (
                    r.integer(_oid(signature.oid, signature.name, args)),
                    r.text(signature.name),
                    r.text_array([ids(arg) or "" for arg in args]),
                    r.text(ids(_type_name(signature.result))),
                )
            ),
        )
