"""Rows as Parquet files, and back: for COPY, which is not in a hurry.

Needs pyarrow, which headwater does without otherwise. Types as Materialize writes them (snappy,
dictionaries, Parquet 1.0; the extension name says which SQL type a column was).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from headwater.errors import BadCopyFileFormat, FeatureNotSupported, InvalidParameterValue
from headwater.ir.batches import batch_of, values_of
from headwater.types.relation import RelationDesc
from headwater.types.scalar import BaseType, ScalarType

# Rows that are converted at once.
_BATCH_ROWS = 8_192
_NUMERIC_DIGITS = 38
_NUMERIC_SCALE = 10  # where the type does not say
_EXTENSION = "materialize.v1."
_NEEDS_ARROW = "Install it with: pip install 'headwater[parquet]'"


def arrow() -> Any:
    """Return pyarrow. Raises: FeatureNotSupported (it is not installed)."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise FeatureNotSupported("FORMAT PARQUET needs pyarrow", hint=_NEEDS_ARROW) from error
    return pyarrow


def write_parquet(desc: RelationDesc, rows: bytes) -> bytes:
    """Return a file of the rows of a flat batch, as often as each is there.

    Raises: FeatureNotSupported (a column's type, pyarrow), InvalidParameterValue (a value).
    """
    pa = arrow()
    fields = [_field(pa, column.name, column.type, column.nullable) for column in desc.columns]
    types = [column.type for column in desc.columns]
    expanded = [row for row, count in values_of(types, rows) for _ in range(count)]
    columns = []
    for at, column in enumerate(desc.columns):
        try:
            values = [_to_arrow(column.type, row[at]) for row in expanded]
            columns.append(pa.array(values, type=fields[at].type))
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise InvalidParameterValue(
                f'a value of column "{column.name}" has no form in Parquet', detail=f"{error}."
            ) from error
    sink = pa.BufferOutputStream()
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    pa.parquet.write_table(table, sink, compression="snappy", version="1.0")
    return bytes(sink.getvalue())


def read_parquet(file: bytes, desc: RelationDesc) -> Iterator[bytes]:
    """Yield flat batches of a file's rows: the columns of ``desc``, found by name.

    Raises: BadCopyFileFormat (no Parquet, a column is missing), and what a type's input raises.
    """
    pa = arrow()
    types = [column.type for column in desc.columns]
    try:
        parquet = pa.parquet.ParquetFile(pa.BufferReader(file))
        names = [column.name for column in desc.columns]
        missing = [name for name in names if name not in parquet.schema_arrow.names]
        if missing:
            raise BadCopyFileFormat(
                f'the Parquet file has no column "{missing[0]}"',
                detail=f"Its columns: {', '.join(parquet.schema_arrow.names)}.",
            )
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=names):
            columns = [
                _from_arrow(pa, batch.column(column.name), column.type) for column in desc.columns
            ]
            yield batch_of(types, list(zip(*columns, strict=True)))
    except pa.ArrowException as error:
        raise BadCopyFileFormat("the file can't be read as Parquet", detail=f"{error}.") from error


def _field(pa: Any, name: str, type: ScalarType, nullable: bool) -> Any:
    found = _arrow_type(pa, type)
    if found is None:
        raise FeatureNotSupported(f'column "{name}" of type {type.base} in FORMAT PARQUET')
    metadata = {"ARROW:extension:name": f"{_EXTENSION}{_NAMES.get(type.base, type.base)}"}
    return pa.field(name, found, nullable=nullable, metadata=metadata)


_NAMES: Mapping[BaseType, str] = {
    BaseType.BOOL: "boolean",
    BaseType.INT2: "smallint",
    BaseType.INT4: "integer",
    BaseType.INT8: "bigint",
    BaseType.FLOAT4: "real",
    BaseType.FLOAT8: "double",
    BaseType.TIMESTAMPTZ: "timestamptz",
}


def _arrow_type(pa: Any, type: ScalarType) -> Any:
    """Return how a type is stored; None where it is not."""
    plain = {
        BaseType.BOOL: pa.bool_(),
        BaseType.INT2: pa.int16(),
        BaseType.INT4: pa.int32(),
        BaseType.INT8: pa.int64(),
        BaseType.UINT2: pa.uint16(),
        BaseType.UINT4: pa.uint32(),
        BaseType.UINT8: pa.uint64(),
        BaseType.MZ_TIMESTAMP: pa.uint64(),
        BaseType.FLOAT4: pa.float32(),
        BaseType.FLOAT8: pa.float64(),
        BaseType.TEXT: pa.utf8(),
        BaseType.VARCHAR: pa.utf8(),
        BaseType.BPCHAR: pa.utf8(),
        BaseType.CHAR: pa.utf8(),
        BaseType.NAME: pa.utf8(),
        BaseType.JSONB: pa.utf8(),
        BaseType.BYTEA: pa.binary(),
        BaseType.UUID: pa.binary(16),
        BaseType.DATE: pa.date32(),
        BaseType.TIME: pa.time64("ns"),
        BaseType.TIMESTAMP: pa.timestamp("us"),
        BaseType.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
    }
    if type.base is BaseType.NUMERIC:
        scale = _NUMERIC_SCALE if type.modifier is None else type.modifier
        return pa.decimal128(_NUMERIC_DIGITS, scale)
    if type.element is not None and type.base in (BaseType.ARRAY, BaseType.LIST, BaseType.MAP):
        element = _arrow_type(pa, type.element)
        if element is None:
            return None
        if type.base is BaseType.LIST:
            return pa.list_(element)
        if type.base is BaseType.MAP:
            return pa.map_(pa.utf8(), element)
        return pa.struct([("items", pa.list_(element)), ("dimensions", pa.uint8())])
    return plain.get(type.base)


def _to_arrow(type: ScalarType, value: Any) -> Any:
    """Return a value as pyarrow takes it for :func:`_arrow_type`."""
    if value is None:
        return None
    match type.base:
        case BaseType.UUID:
            return UUID(str(value)).bytes
        case BaseType.NUMERIC:
            return Decimal(str(value))
        case BaseType.DATE:
            return datetime.fromisoformat(str(value)).date()
        case BaseType.TIME:
            return datetime.fromisoformat(f"2000-01-01 {value}").time()
        case BaseType.TIMESTAMP:
            return datetime.fromisoformat(str(value))
        case BaseType.TIMESTAMPTZ:
            return datetime.fromisoformat(str(value)).astimezone(UTC)
        case BaseType.JSONB:
            return value if isinstance(value, str) else msgspec.json.encode(value).decode()
        case BaseType.LIST if type.element is not None:
            return [_to_arrow(type.element, each) for each in value]
        case BaseType.MAP if type.element is not None:
            return [(key, _to_arrow(type.element, each)) for key, each in value.items()]
        case BaseType.ARRAY if type.element is not None:
            items, dimensions = _flat(value)
            return {
                "items": [_to_arrow(type.element, each) for each in items],
                "dimensions": dimensions,
            }
        case _:
            return value


def _flat(value: Sequence[Any]) -> tuple[list[Any], int]:
    """Return the elements of an array, and how many dimensions it has: 0 where it is empty."""
    if isinstance(value, str):  # as text: the native side gives no lists of lists
        raise FeatureNotSupported("arrays of several dimensions in FORMAT PARQUET")
    return list(value), 1 if value else 0


def _from_arrow(pa: Any, column: Any, type: ScalarType) -> list[Any]:
    """Return a column as values for ``ir.batches.batch_of``; others than plain ones as text."""
    kind = column.type
    if pa.types.is_temporal(kind):
        return list(column.cast(pa.utf8()).to_pylist())
    return [_from_value(value, type) for value in column.to_pylist()]


def _from_value(value: Any, type: ScalarType) -> Any:
    if value is None:
        return None
    match type.base:
        case BaseType.UUID if isinstance(value, bytes):
            return str(UUID(bytes=value))
        case BaseType.ARRAY if isinstance(value, Mapping) and type.element is not None:
            if value.get("dimensions") not in (None, 0, 1):
                raise FeatureNotSupported("arrays of several dimensions from Parquet")
            return [_from_value(each, type.element) for each in value["items"] or ()]
        case BaseType.ARRAY | BaseType.LIST if isinstance(value, list) and type.element:
            return [_from_value(each, type.element) for each in value]
        case BaseType.MAP if type.element is not None:
            pairs = value.items() if isinstance(value, Mapping) else value
            return {key: _from_value(each, type.element) for key, each in pairs}
        case BaseType.JSONB if not isinstance(value, str):
            return msgspec.json.encode(value).decode()
        case BaseType.NUMERIC if isinstance(value, int | float):
            return Decimal(str(value))
        case BaseType.TEXT | BaseType.VARCHAR | BaseType.BPCHAR if not isinstance(value, str):
            return _text(value)
        case _:
            return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode()
    return str(value)
