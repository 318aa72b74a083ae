"""SQL's scalar types, as plans and protocols carry them.

A :class:`ScalarType` says how the bytes of a datum are to be read, compared and printed; rows
themselves carry no types. The struct is mirrored by ``hw_types::scalar`` field by field.
"""

from enum import StrEnum

import msgspec

from headwater.errors import StatementTooComplex


class BaseType(StrEnum):
    """The closed set of type constructors, by PostgreSQL's internal names."""

    BOOL = "bool"
    INT2 = "int2"
    INT4 = "int4"
    INT8 = "int8"
    UINT2 = "uint2"
    UINT4 = "uint4"
    UINT8 = "uint8"
    FLOAT4 = "float4"
    FLOAT8 = "float8"
    NUMERIC = "numeric"
    TEXT = "text"
    VARCHAR = "varchar"
    BPCHAR = "bpchar"
    CHAR = "char"
    NAME = "name"
    BYTEA = "bytea"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    INTERVAL = "interval"
    UUID = "uuid"
    JSONB = "jsonb"
    ARRAY = "array"
    LIST = "list"
    MAP = "map"
    RECORD = "record"
    RANGE = "range"
    OID = "oid"
    REGCLASS = "regclass"
    REGPROC = "regproc"
    REGTYPE = "regtype"
    INT2VECTOR = "int2vector"
    MZ_TIMESTAMP = "mz_timestamp"
    MZ_ACLITEM = "mz_aclitem"
    ACLITEM = "aclitem"
    UNKNOWN = (
        "unknown"  # the type of an untyped string literal or NULL; never reaches a plan's output
    )


class RecordField(msgspec.Struct, frozen=True):
    """One field of a record type."""

    name: str
    type: "ColumnType"


class ScalarType(msgspec.Struct, frozen=True, omit_defaults=True):
    """A SQL type.

    Attributes:
        base: The constructor.
        modifier: numeric: the scale; varchar and bpchar: the length in characters; timestamp and
            timestamptz: digits of fractional seconds; None where none was declared.
        element: The element of an array, list or range, the value of a map; None otherwise.
        fields: The fields of a record; empty otherwise.
        custom: The id of the catalog's type where it was made by CREATE TYPE.
    """

    base: BaseType
    modifier: int | None = None
    element: "ScalarType | None" = None
    fields: tuple[RecordField, ...] = ()
    custom: str | None = None

    def without_modifier(self) -> "ScalarType":
        """Return the type with no modifier; element and fields stay as they are."""
        if self.modifier is None:
            return self
        return msgspec.structs.replace(self, modifier=None)


class ColumnType(msgspec.Struct, frozen=True):
    """A scalar type and whether NULL may occur."""

    type: ScalarType
    nullable: bool = True


BOOL = ScalarType(BaseType.BOOL)
INT2 = ScalarType(BaseType.INT2)
INT4 = ScalarType(BaseType.INT4)
INT8 = ScalarType(BaseType.INT8)
UINT2 = ScalarType(BaseType.UINT2)
UINT4 = ScalarType(BaseType.UINT4)
UINT8 = ScalarType(BaseType.UINT8)
FLOAT4 = ScalarType(BaseType.FLOAT4)
FLOAT8 = ScalarType(BaseType.FLOAT8)
NUMERIC = ScalarType(BaseType.NUMERIC)
TEXT = ScalarType(BaseType.TEXT)
VARCHAR = ScalarType(BaseType.VARCHAR)
BPCHAR = ScalarType(BaseType.BPCHAR)
CHAR = ScalarType(BaseType.CHAR)
NAME = ScalarType(BaseType.NAME)
BYTEA = ScalarType(BaseType.BYTEA)
DATE = ScalarType(BaseType.DATE)
TIME = ScalarType(BaseType.TIME)
TIMESTAMP = ScalarType(BaseType.TIMESTAMP)
TIMESTAMPTZ = ScalarType(BaseType.TIMESTAMPTZ)
INTERVAL = ScalarType(BaseType.INTERVAL)
UUID = ScalarType(BaseType.UUID)
JSONB = ScalarType(BaseType.JSONB)
OID = ScalarType(BaseType.OID)
REGCLASS = ScalarType(BaseType.REGCLASS)
REGPROC = ScalarType(BaseType.REGPROC)
REGTYPE = ScalarType(BaseType.REGTYPE)
INT2VECTOR = ScalarType(BaseType.INT2VECTOR)
MZ_TIMESTAMP = ScalarType(BaseType.MZ_TIMESTAMP)
MZ_ACLITEM = ScalarType(BaseType.MZ_ACLITEM)
ACLITEM = ScalarType(BaseType.ACLITEM)
UNKNOWN = ScalarType(BaseType.UNKNOWN)


def array_of(element: ScalarType) -> ScalarType:
    """Return the array type over ``element``."""
    return ScalarType(BaseType.ARRAY, element=element)


def list_of(element: ScalarType) -> ScalarType:
    """Return the list type over ``element``."""
    return ScalarType(BaseType.LIST, element=element)


def map_of(value: ScalarType) -> ScalarType:
    """Return the map type from text to ``value``."""
    return ScalarType(BaseType.MAP, element=value)


def range_of(element: ScalarType) -> ScalarType:
    """Return the range type over ``element``."""
    return ScalarType(BaseType.RANGE, element=element)


RECORD_LEVELS_MAX = 16
"""Records inside one another in a type. Each level doubles the quotes of the text form."""


def record_of(*fields: tuple[str, ColumnType]) -> ScalarType:
    """Return the record type with these fields.

    Raises:
        StatementTooComplex: Records nest more than ``RECORD_LEVELS_MAX`` levels.
    """
    record = ScalarType(
        BaseType.RECORD, fields=tuple(RecordField(name, column) for name, column in fields)
    )
    if _record_levels(record) > RECORD_LEVELS_MAX:
        raise StatementTooComplex(
            "records nest too deeply", detail=f"A record may nest {RECORD_LEVELS_MAX} levels."
        )
    return record


def _record_levels(type: ScalarType) -> int:
    inner = [field.type.type for field in type.fields]
    if type.element is not None:
        inner.append(type.element)
    return (type.base is BaseType.RECORD) + max(map(_record_levels, inner), default=0)
