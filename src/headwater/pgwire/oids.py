"""SQL types as clients of the wire protocol know them: object id, size and modifier.

Source: PostgreSQL 15 ``pg_type.dat``; ids from 16384 up are Materialize's own pseudo types.
"""

from headwater.pgwire.protocol import Parameter, ResultColumn
from headwater.types.scalar import BaseType, ScalarType

# base: (oid, size in bytes or -1, oid of the array over it)
_TYPES: dict[BaseType, tuple[int, int, int]] = {
    BaseType.BOOL: (16, 1, 1000),
    BaseType.INT2: (21, 2, 1005),
    BaseType.INT4: (23, 4, 1007),
    BaseType.INT8: (20, 8, 1016),
    BaseType.UINT2: (16460, 2, 16461),
    BaseType.UINT4: (16462, 4, 16463),
    BaseType.UINT8: (16464, 8, 16465),
    BaseType.FLOAT4: (700, 4, 1021),
    BaseType.FLOAT8: (701, 8, 1022),
    BaseType.NUMERIC: (1700, -1, 1231),
    BaseType.TEXT: (25, -1, 1009),
    BaseType.VARCHAR: (1043, -1, 1015),
    BaseType.BPCHAR: (1042, -1, 1014),
    BaseType.CHAR: (18, 1, 1002),
    BaseType.NAME: (19, 64, 1003),
    BaseType.BYTEA: (17, -1, 1001),
    BaseType.DATE: (1082, 4, 1182),
    BaseType.TIME: (1083, 8, 1183),
    BaseType.TIMESTAMP: (1114, 8, 1115),
    BaseType.TIMESTAMPTZ: (1184, 8, 1185),
    BaseType.INTERVAL: (1186, 16, 1187),
    BaseType.UUID: (2950, 16, 2951),
    BaseType.JSONB: (3802, -1, 3807),
    BaseType.LIST: (16383, -1, 0),
    BaseType.MAP: (16384, -1, 0),
    BaseType.RECORD: (2249, -1, 2287),
    BaseType.OID: (26, 4, 1028),
    BaseType.REGCLASS: (2205, 4, 2210),
    BaseType.REGPROC: (24, 4, 1008),
    BaseType.REGTYPE: (2206, 4, 2211),
    BaseType.INT2VECTOR: (22, -1, 1006),
    BaseType.MZ_TIMESTAMP: (16552, 8, 16553),
    BaseType.MZ_ACLITEM: (16566, -1, 16567),
    BaseType.ACLITEM: (1033, 12, 1034),
    BaseType.UNKNOWN: (705, -2, 0),
}
_RANGES: dict[BaseType, int] = {
    BaseType.INT4: 3904,
    BaseType.INT8: 3926,
    BaseType.DATE: 3912,
    BaseType.NUMERIC: 3906,
    BaseType.TIMESTAMP: 3908,
    BaseType.TIMESTAMPTZ: 3910,
}
_RANGE_ARRAYS: dict[int, int] = {oid: oid + 1 for oid in _RANGES.values()}
_ANY_ARRAY = 2277
_BY_OID: dict[int, ScalarType] = {
    **{oid: ScalarType(base) for base, (oid, _, _) in _TYPES.items()},
    **{
        array: ScalarType(BaseType.ARRAY, element=ScalarType(base))
        for base, (_, _, array) in _TYPES.items()
        if array
    },
    **{oid: ScalarType(BaseType.RANGE, element=ScalarType(base)) for base, oid in _RANGES.items()},
}
_VARLENA_HEADER_BYTES = 4
_NUMERIC_PRECISION_MAX = 39


def oid_of(type_: ScalarType) -> int:
    """Return the type's object id."""
    if type_.base is BaseType.ARRAY:
        element = type_.element
        if element is None:
            return _ANY_ARRAY
        if element.base is BaseType.RANGE:
            return _RANGE_ARRAYS.get(oid_of(element), _ANY_ARRAY)
        if element.base is BaseType.ARRAY:  # PostgreSQL's arrays have no dimensions in their type
            return oid_of(element)
        return (_TYPES[element.base][2] if element.base in _TYPES else 0) or _ANY_ARRAY
    if type_.base is BaseType.RANGE:
        return _RANGES[type_.element.base] if type_.element is not None else 3831
    return _TYPES[type_.base][0]


def type_of(oid: int) -> ScalarType | None:
    """Return the type a client means by ``oid``, None if it is none of ours."""
    return _BY_OID.get(oid)


def size_of(type_: ScalarType) -> int:
    """Return PostgreSQL's ``typlen``: bytes, or -1 where it varies."""
    return _TYPES[type_.base][1] if type_.base in _TYPES else -1


def modifier_of(type_: ScalarType) -> int:
    """Return PostgreSQL's ``atttypmod``, -1 for none."""
    if type_.modifier is None:
        return -1
    match type_.base:
        case BaseType.VARCHAR | BaseType.BPCHAR:
            return type_.modifier + _VARLENA_HEADER_BYTES
        case BaseType.NUMERIC:
            return ((_NUMERIC_PRECISION_MAX << 16) | type_.modifier) + _VARLENA_HEADER_BYTES
        case BaseType.TIMESTAMP | BaseType.TIMESTAMPTZ | BaseType.TIME:
            return type_.modifier
        case _:
            return -1


def result_column(
    name: str, type_: ScalarType, *, table_oid: int = 0, column_number: int = 0
) -> ResultColumn:
    """Describe a result column of this type."""
    return ResultColumn(
        name=name,
        type=type_,
        oid=oid_of(type_),
        type_size=size_of(type_),
        type_modifier=modifier_of(type_),
        table_oid=table_oid,
        column_number=column_number,
    )


def parameter(type_: ScalarType) -> Parameter:
    """Describe a parameter of this type."""
    return Parameter(type=type_, oid=oid_of(type_))
