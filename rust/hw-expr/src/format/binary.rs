//! PostgreSQL's binary form of values, as its `typsend` functions write it.

use super::text;
use crate::calendar::PG_EPOCH_DAYS;
use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::datum::{Array, Datum, Range, Record};
use hw_types::interval::DAY_MICROS;
use hw_types::numeric::{Kind, Numeric};
use hw_types::scalar::{BaseType, ScalarType};

/// Appends the binary form; nothing for NULL, which has none.
///
/// # Errors
/// For lists, maps and records of them, which have no binary form.
pub fn binary(ty: &ScalarType, datum: Datum<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
    match datum {
        Datum::Null => {}
        Datum::False => out.push(0),
        Datum::True => out.push(1),
        Datum::Int(value) => int(ty, value, out),
        Datum::UInt(value) if ty.base == BaseType::MzTimestamp => {
            out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        }
        Datum::UInt(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Float4(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Float8(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Numeric(value) => numeric(&value, ty.modifier, out),
        Datum::Text(_) => text(ty, datum, out),
        Datum::Bytes(value) => out.extend_from_slice(value),
        Datum::Uuid(value) => out.extend_from_slice(&value),
        Datum::Interval(value) => {
            out.extend_from_slice(&value.micros.to_be_bytes());
            out.extend_from_slice(&value.days.to_be_bytes());
            out.extend_from_slice(&value.months.to_be_bytes());
        }
        Datum::Jsonb(_) => {
            out.push(1);
            text(ty, datum, out);
        }
        Datum::Array(value) => array(ty, value, out)?,
        Datum::Record(value) => record(ty, value, out)?,
        Datum::Range(value) => range(ty, value, out)?,
        Datum::List(_) => return Err(unsupported("list")),
        Datum::Map(_) => return Err(unsupported("map")),
    }
    Ok(())
}

fn unsupported(what: &str) -> EvalError {
    EvalError::raise("0A000", format!("binary encoding of {what} types is not supported"))
}

fn int(ty: &ScalarType, value: i64, out: &mut Vec<u8>) {
    use BaseType as B;
    match ty.base {
        B::Int2 | B::Uint2 => out.extend_from_slice(&(value as i16).to_be_bytes()),
        B::Int4 | B::Uint4 | B::Oid | B::Regclass | B::Regproc | B::Regtype => {
            out.extend_from_slice(&(value as i32).to_be_bytes());
        }
        B::Date => out.extend_from_slice(&((value - PG_EPOCH_DAYS) as i32).to_be_bytes()),
        B::Timestamp | B::Timestamptz => {
            out.extend_from_slice(&value.wrapping_sub(PG_EPOCH_DAYS * DAY_MICROS).to_be_bytes());
        }
        B::MzTimestamp => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        _ => out.extend_from_slice(&value.to_be_bytes()),
    }
}

/// Groups of four digits, most significant first, as `numeric_send` writes them.
fn numeric(value: &Numeric, modifier: Option<i64>, out: &mut Vec<u8>) {
    let head = |digits: u16, weight: i16, sign: u16, scale: u16, out: &mut Vec<u8>| {
        out.extend_from_slice(&digits.to_be_bytes());
        out.extend_from_slice(&weight.to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&scale.to_be_bytes());
    };
    let scale = modifier.and_then(|scale| u16::try_from(scale).ok()).unwrap_or(0);
    match value.kind() {
        Kind::Nan => return head(0, 0, 0xc000, 0, out),
        Kind::Infinity => return head(0, 0, 0xd000, 0, out),
        Kind::NegInfinity => return head(0, 0, 0xf000, 0, out),
        Kind::Zero => return head(0, 0, 0, scale, out),
        Kind::Negative | Kind::Positive => {}
    }
    let digits = value.big_coefficient().to_str_radix(10);
    // Pad so that the point falls between groups of four.
    let after = value.scale() as usize;
    let trailing =
        if value.exponent() >= 0 { value.exponent() as usize } else { after.next_multiple_of(4) - after };
    let mut padded = digits + &"0".repeat(trailing);
    let leading = padded.len().next_multiple_of(4) - padded.len();
    padded.insert_str(0, &"0".repeat(leading));
    let groups: Vec<u16> = padded
        .as_bytes()
        .chunks(4)
        .map(|group| group.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0')))
        .collect();
    let after_groups = if value.exponent() >= 0 { 0 } else { after.div_ceil(4) };
    let lead_zeros = groups.iter().take_while(|group| **group == 0).count();
    let weight = groups.len() as i16 - after_groups as i16 - 1 - lead_zeros as i16;
    let end = groups.len() - groups.iter().rev().take_while(|group| **group == 0).count();
    let kept = &groups[lead_zeros..end];
    let sign = if value.is_negative() { 0x4000 } else { 0 };
    head(kept.len() as u16, weight, sign, scale.max(after as u16), out);
    kept.iter().for_each(|group| out.extend_from_slice(&group.to_be_bytes()));
}

/// Appends a value with its length before it, −1 for NULL.
fn sized(ty: &ScalarType, datum: Datum<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
    if datum.is_null() {
        out.extend_from_slice(&(-1i32).to_be_bytes());
        return Ok(());
    }
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    binary(ty, datum, out)?;
    let len = (out.len() - at - 4) as i32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
    Ok(())
}

static TEXT: ScalarType = ScalarType::simple(BaseType::Text);
static INT2: ScalarType = ScalarType::simple(BaseType::Int2);

fn array(ty: &ScalarType, value: Array<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let arena = Arena::new();
    let is_vector = ty.base == BaseType::Int2vector;
    let element = if is_vector { &INT2 } else { ty.element.as_deref().unwrap_or(&TEXT) };
    let mut dimensions = value.dimensions();
    if is_vector && dimensions.is_empty() {
        dimensions.push(0);
    }
    let has_null = value.items(&arena).any(|item| item.is_null());
    out.extend_from_slice(&(dimensions.len() as i32).to_be_bytes());
    out.extend_from_slice(&i32::from(has_null).to_be_bytes());
    out.extend_from_slice(&oid_of(element).to_be_bytes());
    for len in dimensions {
        out.extend_from_slice(&(len as i32).to_be_bytes());
        out.extend_from_slice(&i32::from(!is_vector).to_be_bytes());
    }
    value.items(&arena).try_for_each(|item| sized(element, item, out))
}

fn record(ty: &ScalarType, value: Record<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let arena = Arena::new();
    let count = value.items(&arena).count();
    out.extend_from_slice(&(count as i32).to_be_bytes());
    for (i, field) in value.items(&arena).enumerate() {
        let ty = ty.fields.get(i).map_or(&TEXT, |field| &field.ty.ty);
        out.extend_from_slice(&oid_of(ty).to_be_bytes());
        sized(ty, field, out)?;
    }
    Ok(())
}

fn range(ty: &ScalarType, value: Range<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
    const EMPTY: u8 = 1;
    const LOWER_INCLUSIVE: u8 = 2;
    const UPPER_INCLUSIVE: u8 = 4;
    const LOWER_INFINITE: u8 = 8;
    const UPPER_INFINITE: u8 = 16;
    let arena = Arena::new();
    let element = ty.element.as_deref().unwrap_or(&TEXT);
    let Some(bounds) = value.bounds(&arena) else {
        out.push(EMPTY);
        return Ok(());
    };
    let flag = |bound: Option<hw_types::container::Bound<'_>>, inclusive, infinite| match bound {
        None => infinite,
        Some(bound) if bound.inclusive => inclusive,
        Some(_) => 0,
    };
    out.push(
        flag(bounds.lower, LOWER_INCLUSIVE, LOWER_INFINITE)
            | flag(bounds.upper, UPPER_INCLUSIVE, UPPER_INFINITE),
    );
    for bound in [bounds.lower, bounds.upper].into_iter().flatten() {
        sized(element, bound.value, out)?;
    }
    Ok(())
}

/// The object identifier of a type, as clients know it; lists and maps share one each.
pub fn oid_of(ty: &ScalarType) -> u32 {
    use BaseType as B;
    let element = || ty.element.as_deref().map_or(B::Unknown, |element| element.base);
    match ty.base {
        B::Array => array_oid(ty.element.as_deref()),
        B::Range => match element() {
            B::Int4 => 3904,
            B::Int8 => 3926,
            B::Numeric => 3906,
            B::Date => 3912,
            B::Timestamp => 3908,
            _ => 3910,
        },
        base => scalar_oids(base).0,
    }
}

fn array_oid(element: Option<&ScalarType>) -> u32 {
    let Some(element) = element else { return 2277 };
    if element.base != BaseType::Range {
        return scalar_oids(element.base).1;
    }
    match oid_of(element) {
        3904 => 3905,
        3926 => 3927,
        3906 => 3907,
        3912 => 3913,
        3908 => 3909,
        _ => 3911,
    }
}

/// The object identifiers of a type and of the array over it.
fn scalar_oids(base: BaseType) -> (u32, u32) {
    use BaseType as B;
    match base {
        B::Bool => (16, 1000),
        B::Int2 => (21, 1005),
        B::Int4 => (23, 1007),
        B::Int8 => (20, 1016),
        B::Uint2 => (16460, 16461),
        B::Uint4 => (16462, 16463),
        B::Uint8 => (16464, 16465),
        B::Float4 => (700, 1021),
        B::Float8 => (701, 1022),
        B::Numeric => (1700, 1231),
        B::Text => (25, 1009),
        B::Varchar => (1043, 1015),
        B::Bpchar => (1042, 1014),
        B::Char => (18, 1002),
        B::Name => (19, 1003),
        B::Bytea => (17, 1001),
        B::Date => (1082, 1182),
        B::Time => (1083, 1183),
        B::Timestamp => (1114, 1115),
        B::Timestamptz => (1184, 1185),
        B::Interval => (1186, 1187),
        B::Uuid => (2950, 2951),
        B::Jsonb => (3802, 3807),
        B::List => (16384, 0),
        B::Map => (16385, 0),
        B::Record => (2249, 2287),
        B::Oid => (26, 1028),
        B::Regclass => (2205, 2210),
        B::Regproc => (24, 1008),
        B::Regtype => (2206, 2211),
        B::Int2vector => (22, 1006),
        B::MzTimestamp => (16552, 16553),
        B::MzAclitem => (16566, 16567),
        B::Aclitem => (1033, 1034),
        B::Unknown => (705, 0),
        B::Array | B::Range => (2277, 0),
    }
}
