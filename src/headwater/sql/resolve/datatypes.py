"""SQL's names of data types as scalar types.

Source: ``surface-types-functions`` section 1 for names and bounds; PostgreSQL for the errors.
"""

from headwater.errors import (
    FeatureNotSupported,
    InvalidParameterValue,
    InvalidTableDefinition,
    SyntaxError_,
    UndefinedObject,
)
from headwater.sql.ast.base import ArrayType, DataType, ListType, MapType, NamedType, ObjectName
from headwater.sql.resolve.names import NameResolver
from headwater.types import scalar
from headwater.types.scalar import BaseType, ScalarType, array_of, list_of, map_of, range_of

NUMERIC_DIGITS_MAX = 39
CHARACTERS_MAX = 10_485_760
FRACTION_DIGITS_MAX = 6

BUILTIN_TYPES: dict[str, ScalarType] = {
    "bool": scalar.BOOL,
    "boolean": scalar.BOOL,
    "int2": scalar.INT2,
    "smallint": scalar.INT2,
    "int4": scalar.INT4,
    "int": scalar.INT4,
    "integer": scalar.INT4,
    "int8": scalar.INT8,
    "bigint": scalar.INT8,
    "uint2": scalar.UINT2,
    "uint4": scalar.UINT4,
    "uint8": scalar.UINT8,
    "float4": scalar.FLOAT4,
    "real": scalar.FLOAT4,
    "float8": scalar.FLOAT8,
    "float": scalar.FLOAT8,
    "double": scalar.FLOAT8,
    "numeric": scalar.NUMERIC,
    "decimal": scalar.NUMERIC,
    "dec": scalar.NUMERIC,
    "text": scalar.TEXT,
    "string": scalar.TEXT,
    "varchar": scalar.VARCHAR,
    "bpchar": scalar.BPCHAR,
    "char": scalar.CHAR,
    "name": scalar.NAME,
    "bytea": scalar.BYTEA,
    "bytes": scalar.BYTEA,
    "date": scalar.DATE,
    "time": scalar.TIME,
    "timestamp": scalar.TIMESTAMP,
    "timestamptz": scalar.TIMESTAMPTZ,
    "interval": scalar.INTERVAL,
    "uuid": scalar.UUID,
    "jsonb": scalar.JSONB,
    "json": scalar.JSONB,
    "oid": scalar.OID,
    "regclass": scalar.REGCLASS,
    "regproc": scalar.REGPROC,
    "regtype": scalar.REGTYPE,
    "int2vector": scalar.INT2VECTOR,
    "mz_timestamp": scalar.MZ_TIMESTAMP,
    "mz_aclitem": scalar.MZ_ACLITEM,
    "aclitem": scalar.ACLITEM,
    "int4range": range_of(scalar.INT4),
    "int8range": range_of(scalar.INT8),
    "numrange": range_of(scalar.NUMERIC),
    "daterange": range_of(scalar.DATE),
    "tsrange": range_of(scalar.TIMESTAMP),
    "tstzrange": range_of(scalar.TIMESTAMPTZ),
}
_CATALOG_SCHEMAS = frozenset({"pg_catalog", "mz_catalog"})
_MODIFIED = frozenset(
    {
        BaseType.NUMERIC,
        BaseType.VARCHAR,
        BaseType.BPCHAR,
        BaseType.TIMESTAMP,
        BaseType.TIMESTAMPTZ,
        BaseType.TIME,
        BaseType.INTERVAL,
        BaseType.FLOAT8,
    }
)


def resolve_type(node: DataType, names: NameResolver) -> ScalarType:
    """Return the type that ``node`` names.

    Raises: UndefinedObject (no such type), InvalidParameterValue (a modifier out of bounds),
        SyntaxError_ (a modifier where none may be).
    """
    if isinstance(node, NamedType):
        return _named(node, names)
    if isinstance(node, ArrayType):
        element = resolve_type(node.element, names)
        if element.base in (BaseType.LIST, BaseType.MAP):
            raise FeatureNotSupported(f"{show_type(element)}[] not yet supported")
        return array_of(element)
    if isinstance(node, ListType):
        element = resolve_type(node.element, names)
        if element.base is BaseType.CHAR:
            raise FeatureNotSupported("char list not yet supported", position=node.position)
        return list_of(element)
    assert isinstance(node, MapType)
    if resolve_type(node.key, names).base is not BaseType.TEXT:
        raise FeatureNotSupported("map keys must be of type text", position=node.position)
    value = resolve_type(node.value, names)
    if value.base is BaseType.CHAR:
        raise FeatureNotSupported("char map not yet supported", position=node.position)
    return map_of(value)


def _named(node: NamedType, names: NameResolver) -> ScalarType:
    parts = node.name.parts
    found: ScalarType | None = None
    if node.name.id is None and (len(parts) == 1 or parts[-2] in _CATALOG_SCHEMAS):
        found = BUILTIN_TYPES.get(parts[-1])
        if found is None and parts[-1].startswith("_"):
            element = BUILTIN_TYPES.get(parts[-1][1:])
            found = None if element is None else array_of(element)
    if found is None:
        found = _from_catalog(node.name, names)
    if node.modifiers:
        return _modified(found, node)
    if found.base is BaseType.BPCHAR and parts[-1] == "char":
        return ScalarType(BaseType.BPCHAR, 1)
    return found


def _from_catalog(name: ObjectName, names: NameResolver) -> ScalarType:
    try:
        found = names.type_item(name).type
        if found.base is BaseType.UNKNOWN:
            raise InvalidTableDefinition(
                f"type {name.last} is a pseudo-type", position=name.position
            )
        return found
    except UndefinedObject as error:
        raise UndefinedObject(
            f'type "{".".join(name.parts)}" does not exist',
            hint=error.hint,
            position=name.position,
        ) from None


def _modified(type: ScalarType, node: NamedType) -> ScalarType:
    base, modifiers, position = type.base, node.modifiers, node.position
    if base not in _MODIFIED:
        raise SyntaxError_(
            f'type modifier is not allowed for type "{node.name.last}"', position=position
        )
    first = modifiers[0]
    if base is BaseType.NUMERIC:
        return _numeric(modifiers, position)
    if len(modifiers) > 1:
        raise SyntaxError_("invalid type modifier", position=position)
    if base in (BaseType.VARCHAR, BaseType.BPCHAR):
        if not 1 <= first <= CHARACTERS_MAX:
            raise InvalidParameterValue(
                f"length for type {show_type(type)} must be between 1 and {CHARACTERS_MAX}",
                position=position,
            )
        return ScalarType(base, first)
    if base is BaseType.FLOAT8:
        if not 1 <= first <= 53:
            raise InvalidParameterValue(
                "precision for type float must be within ([1-53])", position=position
            )
        return scalar.FLOAT4 if first <= 24 else scalar.FLOAT8
    if not 0 <= first <= FRACTION_DIGITS_MAX:
        moment = base in (BaseType.TIMESTAMP, BaseType.TIMESTAMPTZ)
        noun = "timestamp or timestamptz" if moment else show_type(type)
        raise InvalidParameterValue(
            f"precision for type {noun} must be between 0 and {FRACTION_DIGITS_MAX}",
            position=position,
        )
    return ScalarType(base, first)


def _numeric(modifiers: tuple[int, ...], position: int) -> ScalarType:
    precision = modifiers[0]
    if not 1 <= precision <= NUMERIC_DIGITS_MAX:
        raise InvalidParameterValue(
            f"precision for type numeric must be between 1 and {NUMERIC_DIGITS_MAX}",
            position=position,
        )
    if len(modifiers) > 2:
        raise InvalidParameterValue("invalid NUMERIC type modifier", position=position)
    scale = modifiers[1] if len(modifiers) == 2 else 0
    if not 0 <= scale <= precision:
        raise InvalidParameterValue(
            f"scale for type numeric must be between 0 and precision {precision}",
            position=position,
        )
    return ScalarType(BaseType.NUMERIC, scale)


_SHOWN = {
    BaseType.BOOL: "boolean",
    BaseType.INT2: "smallint",
    BaseType.INT4: "integer",
    BaseType.INT8: "bigint",
    BaseType.FLOAT4: "real",
    BaseType.FLOAT8: "double precision",
    BaseType.VARCHAR: "character varying",
    BaseType.BPCHAR: "character",
    BaseType.CHAR: '"char"',
    BaseType.TIMESTAMP: "timestamp without time zone",
    BaseType.TIMESTAMPTZ: "timestamp with time zone",
}
_RANGE_NAMES = {
    BaseType.INT4: "int4range",
    BaseType.INT8: "int8range",
    BaseType.NUMERIC: "numrange",
    BaseType.DATE: "daterange",
    BaseType.TIMESTAMP: "tsrange",
    BaseType.TIMESTAMPTZ: "tstzrange",
}


def show_type(type: ScalarType, *, modifier: bool = False) -> str:
    """Return the type's name as messages spell it: ``timestamp without time zone``."""
    base = type.base
    if base is BaseType.ARRAY and type.element is not None:
        return f"{show_type(type.element)}[]"
    if base is BaseType.LIST and type.element is not None:
        return f"{show_type(type.element)} list"
    if base is BaseType.MAP and type.element is not None:
        return f"map[text=>{show_type(type.element)}]"
    if base is BaseType.RANGE and type.element is not None:
        return _RANGE_NAMES[type.element.base]
    if base is BaseType.RECORD and type.fields and modifier:
        fields = ",".join(f"{f.name}: {show_type(f.type.type)}" for f in type.fields)
        return f"record({fields})"
    shown = _SHOWN.get(base, base.value)
    if modifier and type.modifier is not None:
        word, _, rest = shown.partition(" ")
        digits = f"{NUMERIC_DIGITS_MAX},{type.modifier}"
        shown_modifier = digits if base is BaseType.NUMERIC else str(type.modifier)
        if base in (BaseType.TIMESTAMP, BaseType.TIMESTAMPTZ):
            return f"{word}({shown_modifier}) {rest}"
        return f"{shown}({shown_modifier})"
    return shown
