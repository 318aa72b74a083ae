//! Values from PostgreSQL's binary form, as its `typreceive` functions read it.

use crate::calendar::{self, PG_EPOCH_DAYS};
use crate::error::EvalError;
use hw_types::container;
use hw_types::datum::{Array, Datum, Jsonb, Record};
use hw_types::interval::{DAY_MICROS, Interval};
use hw_types::numeric::Numeric;
use hw_types::row;
use hw_types::scalar::{BaseType, ScalarType};
use num_bigint::BigUint;

type Result<T> = std::result::Result<T, EvalError>;

fn bad(what: &str) -> EvalError {
    EvalError::raise("22P03", format!("incorrect binary data format for type {what}"))
}

fn exactly<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| bad(what))
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes)
        .map_err(|_| EvalError::raise("22021", "invalid byte sequence for encoding \"UTF8\""))
}

/// The encoded datum that `bytes` write in type `ty`.
pub fn from_binary(ty: &ScalarType, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    push(ty, bytes, &mut out)?;
    Ok(out)
}

fn push(ty: &ScalarType, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    use BaseType as B;
    let int4 = |what| exactly(bytes, what).map(i32::from_be_bytes);
    let int8 = |what| exactly(bytes, what).map(i64::from_be_bytes);
    match ty.base {
        B::Bool => row::push_datum(out, Datum::bool(exactly::<1>(bytes, "boolean")?[0] != 0)),
        B::Int2 => row::push_int(out, i16::from_be_bytes(exactly(bytes, "smallint")?).into()),
        B::Int4 => row::push_int(out, int4("integer")?.into()),
        B::Int8 => row::push_int(out, int8("bigint")?),
        B::Uint2 => row::push_uint(out, u16::from_be_bytes(exactly(bytes, "uint2")?).into()),
        B::Uint4 | B::Oid | B::Regclass | B::Regproc | B::Regtype => {
            row::push_uint(out, u32::from_be_bytes(exactly(bytes, "oid")?).into());
        }
        B::Uint8 => row::push_uint(out, u64::from_be_bytes(exactly(bytes, "uint8")?)),
        B::Float4 => row::push_datum(out, Datum::Float4(f32::from_be_bytes(exactly(bytes, "real")?))),
        B::Float8 => {
            row::push_datum(out, Datum::Float8(f64::from_be_bytes(exactly(bytes, "double precision")?)));
        }
        B::Numeric => {
            row::push_datum(out, Datum::Numeric(super::rescale(&numeric(bytes)?, ty.modifier)?));
        }
        B::Bytea => row::push_datum(out, Datum::Bytes(bytes)),
        B::Date => row::push_int(out, calendar::check_date(i64::from(int4("date")?) + PG_EPOCH_DAYS)?),
        B::Time => match int8("time")? {
            micros @ 0..DAY_MICROS => row::push_int(out, micros),
            _ => return Err(EvalError::raise("22008", "time out of range")),
        },
        B::Timestamp | B::Timestamptz => {
            let micros = int8("timestamp")?.checked_add(PG_EPOCH_DAYS * DAY_MICROS);
            row::push_int(out, calendar::check_timestamp(micros)?);
        }
        B::Interval => {
            let raw: [u8; 16] = exactly(bytes, "interval")?;
            let micros = i64::from_be_bytes(exactly(&raw[..8], "interval")?);
            let days = i32::from_be_bytes(exactly(&raw[8..12], "interval")?);
            let months = i32::from_be_bytes(exactly(&raw[12..], "interval")?);
            row::push_datum(out, Datum::Interval(Interval { months, days, micros }));
        }
        B::Uuid => row::push_datum(out, Datum::Uuid(exactly(bytes, "uuid")?)),
        B::Jsonb => match bytes.split_first() {
            Some((1, text)) => row::push_datum(out, Datum::Jsonb(Jsonb(&super::json(utf8(text)?)?))),
            _ => return Err(EvalError::raise("22P03", "unsupported jsonb version number")),
        },
        B::Array | B::Int2vector => array(ty, bytes, out)?,
        B::Record => record(ty, bytes, out)?,
        B::Text
        | B::Varchar
        | B::Bpchar
        | B::Char
        | B::Name
        | B::Unknown
        | B::MzTimestamp
        | B::MzAclitem
        | B::Aclitem => {
            super::push_from_text(ty, utf8(bytes)?, out)?;
        }
        B::List | B::Map | B::Range => {
            return Err(EvalError::raise("0A000", "binary decoding of this type is not supported"));
        }
    }
    Ok(())
}

fn numeric(bytes: &[u8]) -> Result<Numeric> {
    let words: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    let [count, weight, sign, _scale, groups @ ..] = words.as_slice() else { return Err(bad("numeric")) };
    if !bytes.len().is_multiple_of(2)
        || groups.len() != usize::from(*count)
        || groups.iter().any(|group| *group > 9999)
    {
        return Err(bad("numeric"));
    }
    match sign {
        0xc000 => return Ok(Numeric::NAN),
        0xd000 => return Ok(Numeric::INFINITY),
        0xf000 => return Ok(Numeric::NEG_INFINITY),
        0 | 0x4000 => {}
        _ => return Err(bad("numeric")),
    }
    let value = groups.iter().fold(BigUint::ZERO, |value, group| value * 10_000u32 + *group);
    let exponent = (i32::from(*weight as i16) - i32::from(*count) + 1) * 4;
    Ok(Numeric::from_big(*sign == 0x4000, value, exponent)?)
}

/// A cursor over a container's bytes.
struct Cursor<'b> {
    rest: &'b [u8],
    what: &'static str,
}

impl<'b> Cursor<'b> {
    fn int4(&mut self) -> Result<i32> {
        let (word, rest) = self.rest.split_first_chunk::<4>().ok_or_else(|| bad(self.what))?;
        self.rest = rest;
        Ok(i32::from_be_bytes(*word))
    }
    /// A value with its length before it; `None` for NULL.
    fn sized(&mut self) -> Result<Option<&'b [u8]>> {
        let len = self.int4()?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| bad(self.what))?;
        let (value, rest) = self.rest.split_at_checked(len).ok_or_else(|| bad(self.what))?;
        self.rest = rest;
        Ok(Some(value))
    }
    fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(bad(self.what)) }
    }
}

fn push_sized(ty: &ScalarType, value: Option<&[u8]>, out: &mut Vec<u8>) -> Result<()> {
    match value {
        None => row::push_null(out),
        Some(bytes) => push(ty, bytes, out)?,
    }
    Ok(())
}

static TEXT: ScalarType = ScalarType::simple(BaseType::Text);
static INT2: ScalarType = ScalarType::simple(BaseType::Int2);

fn array(ty: &ScalarType, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut cursor = Cursor { rest: bytes, what: "array" };
    let element = match ty.base {
        BaseType::Int2vector => &INT2,
        _ => ty.element.as_deref().unwrap_or(&TEXT),
    };
    let count = cursor.int4()?;
    let (_flags, _oid) = (cursor.int4()?, cursor.int4()?);
    if !(0..=container::DIMENSIONS_MAX as i32).contains(&count) {
        return Err(bad("array"));
    }
    let mut dimensions = Vec::new();
    let mut items = usize::from(count > 0);
    for _ in 0..count {
        let len = usize::try_from(cursor.int4()?).map_err(|_| bad("array"))?;
        cursor.int4()?;
        items = items.checked_mul(len).ok_or_else(|| bad("array"))?;
        dimensions.push(len);
    }
    // Each element takes at least its length: a count beyond that is a lie.
    if items > bytes.len() / 4 {
        return Err(bad("array"));
    }
    let mut body = Vec::new();
    for _ in 0..items {
        push_sized(element, cursor.sized()?, &mut body)?;
    }
    cursor.end()?;
    if items == 0 {
        dimensions.clear();
    }
    container::push_array_end(&mut body, &dimensions);
    row::push_datum(out, Datum::Array(Array(&body)));
    Ok(())
}

fn record(ty: &ScalarType, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut cursor = Cursor { rest: bytes, what: "record" };
    if usize::try_from(cursor.int4()?).ok() != Some(ty.fields.len()) {
        return Err(bad("record"));
    }
    let mut body = Vec::new();
    for field in &ty.fields {
        cursor.int4()?;
        push_sized(&field.ty.ty, cursor.sized()?, &mut body)?;
    }
    cursor.end()?;
    container::push_end(&mut body);
    row::push_datum(out, Datum::Record(Record(&body)));
    Ok(())
}
