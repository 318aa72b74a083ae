//! Which SQL type is written as what, and one column at a time in either direction.

use crate::error::PartError;
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringBuilder,
};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, PrimitiveArray,
    StringArray,
};
use arrow_schema::{DataType, TimeUnit};
use hw_types::datum::Datum;
use hw_types::numeric::Numeric;
use hw_types::row::{push_datum, push_int, push_null, push_text, push_uint, try_skip};
use hw_types::scalar::{BaseType, ScalarType};
use std::sync::Arc;

const DECIMAL_DIGITS: u8 = 38;
const UUID_BYTES: i32 = 16;

/// The values of a column on their way into a part.
pub enum ColumnBuilder {
    /// bool
    Bool(BooleanBuilder),
    /// int2
    Int16(PrimitiveBuilder<Int16Type>),
    /// int4
    Int32(PrimitiveBuilder<Int32Type>),
    /// int8
    Int64(PrimitiveBuilder<Int64Type>),
    /// uint2
    UInt16(PrimitiveBuilder<UInt16Type>),
    /// uint4, oid and its kin
    UInt32(PrimitiveBuilder<UInt32Type>),
    /// uint8, mz_timestamp
    UInt64(PrimitiveBuilder<UInt64Type>),
    /// float4
    Float32(PrimitiveBuilder<Float32Type>),
    /// float8
    Float64(PrimitiveBuilder<Float64Type>),
    /// date
    Date(PrimitiveBuilder<Date32Type>),
    /// time
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    /// timestamp; timestamptz
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    /// numeric: what holds all of them is known at the end
    Numeric(Vec<Option<Numeric>>),
    /// text and its kin
    Text(StringBuilder),
    /// bytea
    Bytes(BinaryBuilder),
    /// uuid
    Uuid(FixedSizeBinaryBuilder),
    /// anything, as the bytes of its datums
    Datums(BinaryBuilder),
}

/// Appends `value` where it fits the column's type; says whether it did.
fn fits<T: ArrowPrimitiveType>(builder: &mut PrimitiveBuilder<T>, value: Option<T::Native>) -> bool {
    value.map(|value| builder.append_value(value)).is_some()
}

impl ColumnBuilder {
    /// The builder for columns of a type; what Arrow lacks goes as datums.
    pub fn typed(ty: &ScalarType) -> ColumnBuilder {
        use ColumnBuilder as C;
        match ty.base {
            BaseType::Bool => C::Bool(BooleanBuilder::new()),
            BaseType::Int2 => C::Int16(PrimitiveBuilder::new()),
            BaseType::Int4 => C::Int32(PrimitiveBuilder::new()),
            BaseType::Int8 => C::Int64(PrimitiveBuilder::new()),
            BaseType::Uint2 => C::UInt16(PrimitiveBuilder::new()),
            BaseType::Uint4 | BaseType::Oid | BaseType::Regclass | BaseType::Regproc | BaseType::Regtype => {
                C::UInt32(PrimitiveBuilder::new())
            }
            BaseType::Uint8 | BaseType::MzTimestamp => C::UInt64(PrimitiveBuilder::new()),
            BaseType::Float4 => C::Float32(PrimitiveBuilder::new()),
            BaseType::Float8 => C::Float64(PrimitiveBuilder::new()),
            BaseType::Numeric => C::Numeric(Vec::new()),
            BaseType::Text
            | BaseType::Varchar
            | BaseType::Bpchar
            | BaseType::Char
            | BaseType::Name
            | BaseType::Unknown => C::Text(StringBuilder::new()),
            BaseType::Bytea => C::Bytes(BinaryBuilder::new()),
            BaseType::Date => C::Date(PrimitiveBuilder::new()),
            BaseType::Time => C::Time(PrimitiveBuilder::new()),
            BaseType::Timestamp => C::Timestamp(PrimitiveBuilder::new()),
            BaseType::Timestamptz => {
                let zone = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                C::Timestamp(PrimitiveBuilder::new().with_data_type(zone))
            }
            BaseType::Uuid => C::Uuid(FixedSizeBinaryBuilder::new(UUID_BYTES)),
            BaseType::Interval
            | BaseType::Jsonb
            | BaseType::Array
            | BaseType::List
            | BaseType::Map
            | BaseType::Record
            | BaseType::Range
            | BaseType::Int2vector
            | BaseType::MzAclitem
            | BaseType::Aclitem => ColumnBuilder::datums(),
        }
    }
    /// The builder that takes everything.
    pub fn datums() -> ColumnBuilder {
        ColumnBuilder::Datums(BinaryBuilder::new())
    }
    /// Whether the column is written as the bytes of its datums.
    pub fn is_datums(&self) -> bool {
        matches!(self, ColumnBuilder::Datums(_))
    }
    /// Appends a value, of which `bytes` are the datum's; false where the column cannot hold it.
    pub fn push(&mut self, datum: Datum<'_>, bytes: &[u8]) -> bool {
        use ColumnBuilder as C;
        match (self, datum) {
            (C::Datums(b), _) => b.append_value(bytes),
            (builder, Datum::Null) => builder.push_null(),
            (C::Bool(b), Datum::True) => b.append_value(true),
            (C::Bool(b), Datum::False) => b.append_value(false),
            (C::Int16(b), Datum::Int(v)) => return fits(b, v.try_into().ok()),
            (C::Int32(b), Datum::Int(v)) => return fits(b, v.try_into().ok()),
            (C::Int64(b), Datum::Int(v)) => b.append_value(v),
            (C::UInt16(b), Datum::Int(v)) => return fits(b, v.try_into().ok()),
            (C::UInt32(b), Datum::Int(v)) => return fits(b, v.try_into().ok()),
            (C::UInt64(b), Datum::Int(v)) => return fits(b, v.try_into().ok()),
            (C::UInt64(b), Datum::UInt(v)) => b.append_value(v),
            (C::Float32(b), Datum::Float4(v)) => b.append_value(v),
            (C::Float64(b), Datum::Float8(v)) => b.append_value(v),
            (C::Date(b), Datum::Int(v)) => return fits(b, v.try_into().ok()),
            (C::Time(b), Datum::Int(v)) => b.append_value(v),
            (C::Timestamp(b), Datum::Int(v)) => b.append_value(v),
            (C::Numeric(b), Datum::Numeric(v)) => b.push(Some(v)),
            (C::Text(b), Datum::Text(v)) => b.append_value(v),
            (C::Bytes(b), Datum::Bytes(v)) => b.append_value(v),
            (C::Uuid(b), Datum::Uuid(v)) => return b.append_value(v).is_ok(),
            _ => return false,
        }
        true
    }
    fn push_null(&mut self) {
        use ColumnBuilder as C;
        match self {
            C::Bool(b) => b.append_null(),
            C::Int16(b) => b.append_null(),
            C::Int32(b) => b.append_null(),
            C::Int64(b) => b.append_null(),
            C::UInt16(b) => b.append_null(),
            C::UInt32(b) => b.append_null(),
            C::UInt64(b) => b.append_null(),
            C::Float32(b) => b.append_null(),
            C::Float64(b) => b.append_null(),
            C::Date(b) => b.append_null(),
            C::Time(b) => b.append_null(),
            C::Timestamp(b) => b.append_null(),
            C::Numeric(b) => b.push(None),
            C::Text(b) => b.append_null(),
            C::Bytes(b) | C::Datums(b) => b.append_null(),
            C::Uuid(b) => b.append_null(),
        }
    }
    /// The column.
    pub fn finish(self, ty: &ScalarType) -> ArrayRef {
        use ColumnBuilder as C;
        match self {
            C::Bool(mut b) => Arc::new(b.finish()),
            C::Int16(mut b) => Arc::new(b.finish()),
            C::Int32(mut b) => Arc::new(b.finish()),
            C::Int64(mut b) => Arc::new(b.finish()),
            C::UInt16(mut b) => Arc::new(b.finish()),
            C::UInt32(mut b) => Arc::new(b.finish()),
            C::UInt64(mut b) => Arc::new(b.finish()),
            C::Float32(mut b) => Arc::new(b.finish()),
            C::Float64(mut b) => Arc::new(b.finish()),
            C::Date(mut b) => Arc::new(b.finish()),
            C::Time(mut b) => Arc::new(b.finish()),
            C::Timestamp(mut b) => Arc::new(b.finish()),
            C::Numeric(values) => {
                let declared = ty.modifier.and_then(|scale| i32::try_from(scale).ok());
                decimals(&values, declared.unwrap_or(0)).unwrap_or_else(|| texts(&values))
            }
            C::Text(mut b) => Arc::new(b.finish()),
            C::Bytes(mut b) | C::Datums(mut b) => Arc::new(b.finish()),
            C::Uuid(mut b) => Arc::new(b.finish()),
        }
    }
}

/// The numbers as decimals of one scale, where all of them have an exact one.
fn decimals(values: &[Option<Numeric>], declared_scale: i32) -> Option<ArrayRef> {
    let scale = values.iter().flatten().map(|v| -v.exponent()).fold(declared_scale.max(0), i32::max);
    let scale = u8::try_from(scale).ok().filter(|scale| *scale <= DECIMAL_DIGITS)?;
    let limit = 10i128.pow(u32::from(DECIMAL_DIGITS));
    let mut raw = Vec::with_capacity(values.len());
    for value in values {
        let Some(value) = value else {
            raw.push(None);
            continue;
        };
        let shift = u32::try_from(value.exponent() + i32::from(scale)).ok()?;
        let magnitude =
            if value.is_finite() { i128::try_from(value.coefficient()?).ok()? } else { return None };
        let scaled = magnitude.checked_mul(10i128.checked_pow(shift)?).filter(|v| *v < limit)?;
        raw.push(Some(if value.is_negative() { -scaled } else { scaled }));
    }
    let array = Decimal128Array::from(raw);
    let scale = i8::try_from(scale).ok()?;
    Some(Arc::new(array.with_precision_and_scale(DECIMAL_DIGITS, scale).ok()?))
}

fn texts(values: &[Option<Numeric>]) -> ArrayRef {
    Arc::new(values.iter().map(|v| v.map(|v| v.to_string())).collect::<StringArray>())
}

/// A column of a part, to be read.
pub enum ColumnReader {
    /// bool
    Bool(BooleanArray),
    /// int2
    Int16(PrimitiveArray<Int16Type>),
    /// int4
    Int32(PrimitiveArray<Int32Type>),
    /// int8
    Int64(PrimitiveArray<Int64Type>),
    /// uint2
    UInt16(PrimitiveArray<UInt16Type>),
    /// uint4
    UInt32(PrimitiveArray<UInt32Type>),
    /// uint8
    UInt64(PrimitiveArray<UInt64Type>),
    /// float4
    Float32(PrimitiveArray<Float32Type>),
    /// float8
    Float64(PrimitiveArray<Float64Type>),
    /// date
    Date(PrimitiveArray<Date32Type>),
    /// time
    Time(PrimitiveArray<Time64MicrosecondType>),
    /// timestamp; timestamptz
    Timestamp(PrimitiveArray<TimestampMicrosecondType>),
    /// numeric, with the scale
    Decimal(Decimal128Array, i32),
    /// numeric that fits no decimal
    Number(StringArray),
    /// text and its kin
    Text(StringArray),
    /// bytea
    Bytes(BinaryArray),
    /// uuid
    Uuid(FixedSizeBinaryArray),
    /// the bytes of datums
    Datums(BinaryArray),
}

fn cast<A: Clone + 'static>(array: &ArrayRef) -> Result<A, PartError> {
    let shape = || PartError::Shape(format!("an unexpected column of type {}", array.data_type()));
    array.as_any().downcast_ref::<A>().cloned().ok_or_else(shape)
}

/// Appends the value at `i`, widened.
macro_rules! int {
    ($array:expr, $i:expr, $out:expr, $push:ident, $wide:ty) => {
        $push($out, <$wide>::from($array.value($i)))
    };
}

impl ColumnReader {
    /// Reads a column of SQL type `ty`, written as its datums' bytes or as its Arrow type.
    pub fn new(ty: &ScalarType, datums: bool, array: &ArrayRef) -> Result<ColumnReader, PartError> {
        use ColumnReader as C;
        if datums {
            return Ok(C::Datums(cast(array)?));
        }
        Ok(match array.data_type() {
            DataType::Boolean => C::Bool(cast(array)?),
            DataType::Int16 => C::Int16(cast(array)?),
            DataType::Int32 => C::Int32(cast(array)?),
            DataType::Int64 => C::Int64(cast(array)?),
            DataType::UInt16 => C::UInt16(cast(array)?),
            DataType::UInt32 => C::UInt32(cast(array)?),
            DataType::UInt64 => C::UInt64(cast(array)?),
            DataType::Float32 => C::Float32(cast(array)?),
            DataType::Float64 => C::Float64(cast(array)?),
            DataType::Date32 => C::Date(cast(array)?),
            DataType::Time64(TimeUnit::Microsecond) => C::Time(cast(array)?),
            DataType::Timestamp(TimeUnit::Microsecond, _) => C::Timestamp(cast(array)?),
            DataType::Decimal128(_, scale) => C::Decimal(cast(array)?, i32::from(*scale)),
            DataType::Utf8 if ty.base == BaseType::Numeric => C::Number(cast(array)?),
            DataType::Utf8 => C::Text(cast(array)?),
            DataType::Binary => C::Bytes(cast(array)?),
            DataType::FixedSizeBinary(UUID_BYTES) => C::Uuid(cast(array)?),
            other => return Err(PartError::Shape(format!("a column of type {other}"))),
        })
    }
    fn array(&self) -> &dyn Array {
        use ColumnReader as C;
        match self {
            C::Bool(a) => a,
            C::Int16(a) => a,
            C::Int32(a) => a,
            C::Int64(a) => a,
            C::UInt16(a) => a,
            C::UInt32(a) => a,
            C::UInt64(a) => a,
            C::Float32(a) => a,
            C::Float64(a) => a,
            C::Date(a) => a,
            C::Time(a) => a,
            C::Timestamp(a) => a,
            C::Decimal(a, _) => a,
            C::Number(a) | C::Text(a) => a,
            C::Bytes(a) | C::Datums(a) => a,
            C::Uuid(a) => a,
        }
    }
    /// Appends the datum at `i`.
    #[inline]
    pub fn push(&self, i: usize, out: &mut Vec<u8>) -> Result<(), PartError> {
        use ColumnReader as C;
        match self {
            C::Int64(a) if a.is_valid(i) => push_int(out, a.value(i)),
            C::Int32(a) if a.is_valid(i) => int!(a, i, out, push_int, i64),
            C::Text(a) if a.is_valid(i) => push_text(out, a.value(i)),
            C::Datums(a) => {
                let bytes = a.value(i);
                if try_skip(bytes)? != bytes.len() {
                    return Err(hw_types::row::RowError::Trailing.into());
                }
                out.extend_from_slice(bytes);
            }
            other if other.array().is_null(i) => push_null(out),
            C::Bool(a) => push_datum(out, Datum::bool(a.value(i))),
            C::Int16(a) => int!(a, i, out, push_int, i64),
            C::Int32(a) => int!(a, i, out, push_int, i64),
            C::Int64(a) => push_int(out, a.value(i)),
            C::UInt16(a) => int!(a, i, out, push_uint, u64),
            C::UInt32(a) => int!(a, i, out, push_uint, u64),
            C::UInt64(a) => push_uint(out, a.value(i)),
            C::Float32(a) => push_datum(out, Datum::Float4(a.value(i))),
            C::Float64(a) => push_datum(out, Datum::Float8(a.value(i))),
            C::Date(a) => int!(a, i, out, push_int, i64),
            C::Time(a) => push_int(out, a.value(i)),
            C::Timestamp(a) => push_int(out, a.value(i)),
            C::Decimal(a, scale) => {
                let value = a.value(i);
                let number = Numeric::from_parts(value < 0, value.unsigned_abs(), -scale);
                push_datum(out, Datum::Numeric(number.map_err(number_error)?));
            }
            C::Number(a) => {
                push_datum(out, Datum::Numeric(Numeric::parse(a.value(i)).map_err(number_error)?));
            }
            C::Text(a) => push_text(out, a.value(i)),
            C::Bytes(a) => push_datum(out, Datum::Bytes(a.value(i))),
            C::Uuid(a) => {
                let bytes = <[u8; 16]>::try_from(a.value(i));
                push_datum(out, Datum::Uuid(bytes.expect("the type has sixteen bytes")));
            }
        }
        Ok(())
    }
}

fn number_error(error: hw_types::numeric::NumericError) -> PartError {
    PartError::Shape(format!("a malformed number: {error}"))
}
