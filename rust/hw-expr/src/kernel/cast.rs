//! Casts between numbers, moments and texts; containers are in [`super::nested`].

use super::arithmetic::{BIGINT, INTEGER, Int2, Int4, Int8, SMALLINT, Uint2, Uint4, Width, fit};
use super::{CallInfo, Evaluated, Kernel, Table, arg, kernel, lax, many};
use crate::calendar::{self, check_timestamp};
use crate::error::EvalError;
use crate::{format, parse};
use hw_types::arena::Arena;
use hw_types::datum::{Datum, Jsonb};
use hw_types::interval::{DAY_MICROS, Interval};
use hw_types::jsonb::Value;
use hw_types::numeric::Numeric;
use hw_types::row;
use hw_types::scalar::{BaseType, ScalarType};

type Result<T> = std::result::Result<T, EvalError>;

pub(super) const KERNELS: &[Table] =
    &[BETWEEN_INTEGERS, FLOATS, NUMERICS, FROM_TEXT, TO_TEXT, TEXTS, MOMENTS, OIDS, FROM_JSONB];

const SAME: Kernel = Kernel::Identity;

const BETWEEN_INTEGERS: Table = &[
    ("cast_int2_int4", SAME),
    ("cast_int2_int8", SAME),
    ("cast_int4_int8", SAME),
    ("cast_uint2_uint4", SAME),
    ("cast_uint2_uint8", SAME),
    ("cast_uint2_int4", SAME),
    ("cast_uint2_int8", SAME),
    ("cast_uint4_uint8", SAME),
    ("cast_uint4_int8", SAME),
    kernel!("cast_int4_int2", |a: i64| fit::<Int2>(a)),
    kernel!("cast_int8_int2", |a: i64| fit::<Int2>(a)),
    kernel!("cast_int8_int4", |a: i64| fit::<Int4>(a)),
    kernel!("cast_int2_uint2", |a: i64| fit::<Uint2>(a)),
    kernel!("cast_int4_uint2", |a: i64| fit::<Uint2>(a)),
    kernel!("cast_int8_uint2", |a: i64| fit::<Uint2>(a)),
    kernel!("cast_uint4_uint2", |a: i64| fit::<Uint2>(a)),
    kernel!("cast_int2_uint4", |a: i64| fit::<Uint4>(a)),
    kernel!("cast_int4_uint4", |a: i64| fit::<Uint4>(a)),
    kernel!("cast_int8_uint4", |a: i64| fit::<Uint4>(a)),
    kernel!("cast_int2_uint8", |a: i64| not_negative(a)),
    kernel!("cast_int4_uint8", |a: i64| not_negative(a)),
    kernel!("cast_int8_uint8", |a: i64| not_negative(a)),
    kernel!("cast_uint2_int2", |a: i64| fit::<Int2>(a)),
    kernel!("cast_uint4_int2", |a: i64| fit::<Int2>(a)),
    kernel!("cast_uint4_int4", |a: i64| fit::<Int4>(a)),
    kernel!("cast_uint8_uint2", |a: u64| narrow::<Uint2>(a)),
    kernel!("cast_uint8_uint4", |a: u64| narrow::<Uint4>(a)),
    kernel!("cast_uint8_int2", |a: u64| narrow::<Int2>(a)),
    kernel!("cast_uint8_int4", |a: u64| narrow::<Int4>(a)),
    kernel!("cast_uint8_int8", |a: u64| narrow::<Int8>(a)),
    kernel!("cast_bool_int4", |a: bool| Ok::<_, EvalError>(i64::from(a))),
    kernel!("cast_bool_int8", |a: bool| Ok::<_, EvalError>(i64::from(a))),
    kernel!("cast_int4_bool", |a: i64| Ok::<_, EvalError>(a != 0)),
    kernel!("cast_int8_bool", |a: i64| Ok::<_, EvalError>(a != 0)),
    kernel!("cast_int4_mz_timestamp", |a: i64| moment(a.into())),
    kernel!("cast_int8_mz_timestamp", |a: i64| moment(a.into())),
    ("cast_uint4_mz_timestamp", SAME),
    ("cast_uint8_mz_timestamp", SAME),
];

fn not_negative(value: i64) -> Result<i64> {
    if value < 0 { Err(EvalError::beyond(value, "uint8")) } else { Ok(value) }
}

fn narrow<W: Width>(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| EvalError::beyond(value, W::NAME)).and_then(fit::<W>)
}

/// Milliseconds as a system time.
fn moment(millis: i128) -> Result<u64> {
    u64::try_from(millis).map_err(|_| EvalError::beyond(millis, "mz_timestamp"))
}

/// Rounds half to even, as PostgreSQL's `rint` does.
fn float_int<W: Width, F: Into<f64> + std::fmt::Display + Copy>(value: F) -> Result<Datum<'static>> {
    let rounded = value.into().round_ties_even();
    // The bounds are powers of two, or one less: exact as floats, or rounded up to one that is out.
    if rounded.is_nan() || rounded < W::MIN as f64 || rounded >= (W::MAX + 1) as f64 {
        return Err(EvalError::beyond(value, W::NAME));
    }
    Ok(if rounded < 0.0 { Datum::Int(rounded as i64) } else { Datum::uint(rounded as u64) })
}

fn float8_float4(value: f64) -> Result<f32> {
    let narrow = value as f32;
    if narrow.is_infinite() && value.is_finite() {
        return Err(EvalError::FloatOverflow);
    }
    if narrow == 0.0 && value != 0.0 {
        return Err(EvalError::FloatUnderflow);
    }
    Ok(narrow)
}

macro_rules! float_ints {
    ($($W:ident $t:literal;)*) => {&[$(
        kernel!(concat!("cast_float4_", $t), |a: f32| float_int::<$W, _>(a)),
        kernel!(concat!("cast_float8_", $t), |a: f64| float_int::<$W, _>(a)),
        kernel!(concat!("cast_numeric_", $t), |a: Numeric| numeric_int::<$W>(&a)),
    )*
        kernel!("cast_float4_float8", |a: f32| Ok::<_, EvalError>(f64::from(a))),
        kernel!("cast_float8_float4", |a: f64| float8_float4(a)),
        kernel!("cast_int2_float4", |a: i64| Ok::<_, EvalError>(a as f32)),
        kernel!("cast_int4_float4", |a: i64| Ok::<_, EvalError>(a as f32)),
        kernel!("cast_int8_float4", |a: i64| Ok::<_, EvalError>(a as f32)),
        kernel!("cast_uint2_float4", |a: i64| Ok::<_, EvalError>(a as f32)),
        kernel!("cast_uint4_float4", |a: i64| Ok::<_, EvalError>(a as f32)),
        kernel!("cast_uint8_float4", |a: u64| Ok::<_, EvalError>(a as f32)),
        kernel!("cast_int2_float8", |a: i64| Ok::<_, EvalError>(a as f64)),
        kernel!("cast_int4_float8", |a: i64| Ok::<_, EvalError>(a as f64)),
        kernel!("cast_int8_float8", |a: i64| Ok::<_, EvalError>(a as f64)),
        kernel!("cast_uint2_float8", |a: i64| Ok::<_, EvalError>(a as f64)),
        kernel!("cast_uint4_float8", |a: i64| Ok::<_, EvalError>(a as f64)),
        kernel!("cast_uint8_float8", |a: u64| Ok::<_, EvalError>(a as f64)),
    ]};
}

const FLOATS: Table = float_ints! {
    Int2 "int2"; Int4 "int4"; Int8 "int8"; Uint2 "uint2"; Uint4 "uint4"; Uint8Range "uint8";
};

use super::arithmetic::Uint8 as Uint8Range;

fn numeric_int<W: Width>(value: &Numeric) -> Result<Datum<'static>> {
    if !value.is_finite() {
        return Err(EvalError::raise("0A000", format!("\"{value}\" {} out of range", W::NAME)));
    }
    match value.to_i128() {
        Some(whole) if (W::MIN..=W::MAX).contains(&whole) => {
            Ok(if whole < 0 { Datum::Int(whole as i64) } else { Datum::uint(whole as u64) })
        }
        _ => Err(EvalError::beyond(value, W::NAME)),
    }
}

fn numeric_float4(value: &Numeric) -> Result<f32> {
    // Text rounds once, where going through float8 would round twice.
    let narrow: f32 = match value.is_finite() {
        true => value.to_string().parse().unwrap_or(f32::NAN),
        false => value.to_f64() as f32,
    };
    if narrow.is_infinite() && value.is_finite() {
        return Err(EvalError::beyond(value, "real"));
    }
    Ok(narrow)
}

const NUMERICS: Table = &[
    kernel!("cast_numeric_float4", |a: Numeric| numeric_float4(&a)),
    kernel!("cast_numeric_float8", |a: Numeric| Ok::<_, EvalError>(a.to_f64())),
    kernel!("cast_numeric_mz_timestamp", |a: Numeric| {
        a.trunc(0)?.to_i128().map_or(Err(EvalError::OutOfRange("mz_timestamp")), moment)
    }),
    ("cast_numeric_numeric", many(to_numeric)),
    ("cast_int2_numeric", many(to_numeric)),
    ("cast_int4_numeric", many(to_numeric)),
    ("cast_int8_numeric", many(to_numeric)),
    ("cast_uint2_numeric", many(to_numeric)),
    ("cast_uint4_numeric", many(to_numeric)),
    ("cast_uint8_numeric", many(to_numeric)),
    ("cast_float4_numeric", many(to_numeric)),
    ("cast_float8_numeric", many(to_numeric)),
];

/// Any number as a numeric of the call's scale.
fn to_numeric<'a>(args: &[Datum<'a>], info: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let value = match arg::<Datum<'a>>(args, 0)? {
        Datum::Int(value) => Numeric::from(value),
        Datum::UInt(value) => Numeric::from(value),
        Datum::Numeric(value) => value,
        Datum::Float4(value) => float_numeric(value.into(), &value.to_string(), "real")?,
        Datum::Float8(value) => float_numeric(value, &value.to_string(), "double precision")?,
        _ => return Err(EvalError::internal("not a number")),
    };
    Ok(Datum::Numeric(parse::rescale(&value, info.ty.modifier)?))
}

/// The shortest decimal that reads back as the float.
fn float_numeric(value: f64, shortest: &str, name: &str) -> Result<Numeric> {
    if value.is_infinite() {
        let message = format!("function casting {name} to numeric is only defined for finite arguments");
        return Err(EvalError::raise("22003", message));
    }
    Numeric::parse(shortest).map_err(|_| EvalError::FieldOverflow)
}

const FROM_TEXT: Table = &[
    kernel!("cast_text_bool", |a: &str| parse::boolean(a)),
    kernel!("cast_text_int2", |a: &str| parse::integer::<i16>(a, SMALLINT).map(i64::from)),
    kernel!("cast_text_int4", |a: &str| parse::integer::<i32>(a, INTEGER).map(i64::from)),
    kernel!("cast_text_int8", |a: &str| parse::integer::<i64>(a, BIGINT)),
    kernel!("cast_text_uint2", |a: &str| parse::integer::<u16>(a, "uint2").map(i64::from)),
    kernel!("cast_text_uint4", |a: &str| parse::integer::<u32>(a, "uint4").map(i64::from)),
    kernel!("cast_text_uint8", |a: &str| parse::integer::<u64>(a, "uint8")),
    kernel!("cast_text_float4", |a: &str| parse::float4(a)),
    kernel!("cast_text_float8", |a: &str| parse::float8(a)),
    kernel!("cast_text_date", |a: &str| parse::date(a)),
    kernel!("cast_text_time", |a: &str| parse::time(a)),
    kernel!("cast_text_interval", |a: &str| parse::interval(a)),
    kernel!("cast_text_bytea", |a: &str| parse::bytea(a)),
    kernel!("cast_text_uuid", |a: &str| parse::uuid(a)),
    kernel!("cast_text_mz_timestamp", |a: &str| parse::mz_timestamp(a)),
    ("cast_text_numeric", many(from_text)),
    ("cast_text_timestamp", many(from_text)),
    ("cast_text_timestamptz", many(from_text)),
    ("cast_text_jsonb", many(from_text)),
    ("cast_text_array", many(from_text)),
    ("cast_text_list", many(from_text)),
    ("cast_text_map", many(from_text)),
    ("cast_text_range", many(from_text)),
    ("cast_text_int2vector", many(from_text)),
    ("cast_text_oid", many(from_text)),
    ("cast_text_regclass", many(from_text)),
    ("cast_text_regproc", many(from_text)),
    ("cast_text_regtype", many(from_text)),
];

/// Reads a text as a value of the call's type.
fn from_text<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let bytes = parse::from_text(&info.ty, arg(args, 0)?)?;
    Ok(row::read_datum(arena.bytes(&bytes), arena)?.0)
}

macro_rules! to_text {
    ($($name:literal $base:ident;)*) => {&[$(
        kernel!(concat!("cast_", $name, "_text"), |a: Datum<'a>| {
            static TYPE: ScalarType = ScalarType::simple(BaseType::$base);
            Ok::<_, EvalError>(format::to_text(&TYPE, a))
        }),
    )*
        kernel!("cast_bool_text", |a: bool| Ok::<_, EvalError>(if a { "true" } else { "false" })),
        ("out_text", lax(out_text)),
        ("cast_array_text", lax(out_text)),
        ("cast_list_text", lax(out_text)),
        ("cast_map_text", lax(out_text)),
        ("cast_record_text", lax(out_text)),
        ("cast_range_text", lax(out_text)),
    ]};
}

const TO_TEXT: Table = to_text! {
    "int2" Int2; "int4" Int4; "int8" Int8; "uint2" Uint2; "uint4" Uint4; "uint8" Uint8; "float4" Float4;
    "float8" Float8; "numeric" Numeric; "date" Date; "time" Time; "timestamp" Timestamp;
    "timestamptz" Timestamptz; "interval" Interval; "uuid" Uuid; "jsonb" Jsonb; "bytea" Bytea; "oid" Oid;
    "regclass" Regclass; "regproc" Regproc; "regtype" Regtype; "int2vector" Int2vector;
    "mz_timestamp" MzTimestamp; "mz_aclitem" MzAclitem; "aclitem" Aclitem;
};

/// The output form of a value of the witness's type.
fn out_text<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let value: Datum<'a> = arg(args, 0)?;
    if value.is_null() {
        return Ok(Datum::Null);
    }
    Ok(Datum::Text(arena.text(&format::to_text(info.witness(1)?, value))))
}

const TEXTS: Table = &[
    ("cast_varchar_text", SAME),
    ("cast_char_text", SAME),
    ("cast_name_text", SAME),
    ("cast_bpchar_text", SAME),
    ("cast_text_varchar", many(cut)),
    ("cast_varchar_varchar", many(cut)),
    ("cast_bpchar_varchar", many(cut)),
    ("cast_name_varchar", many(cut)),
    ("cast_char_varchar", many(cut)),
    ("assign_text_varchar", many(assign)),
    ("assign_varchar_varchar", many(assign)),
    ("assign_bpchar_varchar", many(assign)),
    ("assign_name_varchar", many(assign)),
    ("assign_char_varchar", many(assign)),
    ("cast_text_bpchar", many(cut)),
    ("cast_varchar_bpchar", many(cut)),
    ("cast_bpchar_bpchar", many(cut)),
    ("cast_name_bpchar", many(cut)),
    ("cast_char_bpchar", many(cut)),
    ("assign_text_bpchar", many(assign)),
    ("assign_varchar_bpchar", many(assign)),
    ("assign_bpchar_bpchar", many(assign)),
    ("assign_name_bpchar", many(assign)),
    ("assign_char_bpchar", many(assign)),
    ("cast_text_name", many(from_text)),
    ("cast_varchar_name", many(from_text)),
    ("cast_bpchar_name", many(from_text)),
    ("cast_text_char", many(from_text)),
    ("cast_varchar_char", many(from_text)),
    ("cast_bpchar_char", many(from_text)),
    kernel!("cast_int4_char", |a: i64| int_char(a)),
    kernel!("cast_char_int4", |a: &str| Ok::<_, EvalError>(char_int(a))),
];

fn int_char(value: i64) -> Result<String> {
    match u8::try_from(value) {
        Ok(0) => Ok(String::new()),
        Ok(byte) if byte < 128 => Ok(char::from(byte).to_string()),
        _ => Err(EvalError::OutOfRange("\"char\"")),
    }
}

fn char_int(text: &str) -> i64 {
    text.bytes().next().map_or(0, |byte| i64::from(byte as i8))
}

fn cut<'a>(args: &[Datum<'a>], info: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    fit_text(args, info, true)
}

fn assign<'a>(args: &[Datum<'a>], info: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    fit_text(args, info, false)
}

fn fit_text<'a>(args: &[Datum<'a>], info: &'a CallInfo, cut: bool) -> Evaluated<'a> {
    let padded = info.ty.base == BaseType::Bpchar;
    let name = if padded { "character" } else { "character varying" };
    let text = parse::fit_length(arg(args, 0)?, info.ty.modifier, cut, name)?;
    Ok(Datum::Text(if padded { parse::unpadded(text) } else { text }))
}

fn millis(micros: i64) -> Result<u64> {
    moment(i128::from(micros.div_euclid(1000)))
}

fn from_millis(millis: u64) -> Result<i64> {
    check_timestamp(i64::try_from(millis).ok().and_then(|millis| millis.checked_mul(1000)))
}

fn day(micros: i64) -> Result<i64> {
    Ok(calendar::split(micros).0)
}

const MOMENTS: Table = &[
    ("cast_timestamp_timestamp", many(round_moment)),
    ("cast_timestamptz_timestamptz", many(round_moment)),
    ("cast_timestamp_timestamptz", many(round_moment)),
    ("cast_timestamptz_timestamp", many(round_moment)),
    ("cast_date_timestamp", SAME_DAY),
    ("cast_date_timestamptz", SAME_DAY),
    kernel!("cast_timestamp_date", |a: i64| day(a)),
    kernel!("cast_timestamptz_date", |a: i64| day(a)),
    kernel!("cast_timestamp_time", |a: i64| Ok::<_, EvalError>(calendar::split(a).1)),
    kernel!("cast_timestamptz_time", |a: i64| Ok::<_, EvalError>(calendar::split(a).1)),
    kernel!("cast_time_interval", |a: i64| Ok::<_, EvalError>(Interval::new(0, 0, a))),
    kernel!("cast_interval_time", |a: Interval| Ok::<_, EvalError>(a.micros.rem_euclid(DAY_MICROS))),
    kernel!("cast_timestamp_mz_timestamp", |a: i64| millis(a)),
    kernel!("cast_timestamptz_mz_timestamp", |a: i64| millis(a)),
    kernel!("cast_date_mz_timestamp", |a: i64| millis(a * DAY_MICROS)),
    kernel!("cast_mz_timestamp_timestamp", |a: u64| from_millis(a)),
    kernel!("cast_mz_timestamp_timestamptz", |a: u64| from_millis(a)),
];

const SAME_DAY: Kernel = Kernel::Unary({
    fn kernel<'a>(datum: Datum<'a>, _: &'a Arena) -> Evaluated<'a> {
        match datum {
            Datum::Int(days) => Ok(Datum::Int(check_timestamp(days.checked_mul(DAY_MICROS))?)),
            _ => Err(EvalError::internal("not a date")),
        }
    }
    kernel
});

fn round_moment<'a>(args: &[Datum<'a>], info: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    Ok(Datum::Int(parse::round_moment(arg(args, 0)?, info.ty.modifier)?))
}

/// Object identifiers are unsigned; PostgreSQL takes the bits of a negative integer.
fn to_oid(value: i64) -> Result<i64> {
    Ok(value & 0xffff_ffff)
}

fn big_to_oid(value: i64) -> Result<i64> {
    if (0..=0xffff_ffff).contains(&value) { Ok(value) } else { Err(EvalError::beyond(value, "OID")) }
}

macro_rules! oids {
    ($($t:literal)*) => {&[$(
        kernel!(concat!("cast_int2_", $t), |a: i64| to_oid(a)),
        kernel!(concat!("cast_int4_", $t), |a: i64| to_oid(a)),
        kernel!(concat!("cast_int8_", $t), |a: i64| big_to_oid(a)),
    )*
        ("cast_oid_regclass", SAME),
        ("cast_oid_regproc", SAME),
        ("cast_oid_regtype", SAME),
        ("cast_regclass_oid", SAME),
        ("cast_regproc_oid", SAME),
        ("cast_regtype_oid", SAME),
        ("cast_oid_int8", SAME),
        kernel!("cast_oid_int4", |a: i64| Ok::<_, EvalError>(i64::from(a as i32))),
    ]};
}

const OIDS: Table = oids!("oid" "regclass" "regproc" "regtype");

/// A JSON number, or an error that says what it is instead.
fn json_number(value: Jsonb<'_>, target: &str) -> Result<Numeric> {
    let arena = Arena::new();
    match json_scalar(value, target, &arena)? {
        Value::Number(number) => Ok(number),
        other => Err(cannot_cast(&other, target)),
    }
}

fn json_scalar<'a>(value: Jsonb<'_>, _target: &str, arena: &'a Arena) -> Result<Value<'a>> {
    Ok(Jsonb(arena.bytes(value.0)).try_value(arena)?)
}

fn json_bool(value: Jsonb<'_>) -> Result<bool> {
    let arena = Arena::new();
    match json_scalar(value, "boolean", &arena)? {
        Value::Bool(value) => Ok(value),
        other => Err(cannot_cast(&other, "boolean")),
    }
}

fn cannot_cast(value: &Value<'_>, target: &str) -> EvalError {
    EvalError::parameter(format!("cannot cast jsonb {} to type {target}", super::json::kind(value)))
}

fn from_jsonb_numeric<'a>(args: &[Datum<'a>], info: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let value = json_number(arg(args, 0)?, "numeric")?;
    Ok(Datum::Numeric(parse::rescale(&value, info.ty.modifier)?))
}

const FROM_JSONB: Table = &[
    kernel!("cast_jsonb_bool", |a: Jsonb<'a>| json_bool(a)),
    kernel!("cast_jsonb_int2", |a: Jsonb<'a>| numeric_int::<Int2>(&json_number(a, SMALLINT)?)),
    kernel!("cast_jsonb_int4", |a: Jsonb<'a>| numeric_int::<Int4>(&json_number(a, INTEGER)?)),
    kernel!("cast_jsonb_int8", |a: Jsonb<'a>| numeric_int::<Int8>(&json_number(a, BIGINT)?)),
    kernel!("cast_jsonb_float4", |a: Jsonb<'a>| numeric_float4(&json_number(a, "real")?)),
    kernel!("cast_jsonb_float8", |a: Jsonb<'a>| json_number(a, "double precision").map(|n| n.to_f64())),
    ("cast_jsonb_numeric", many(from_jsonb_numeric)),
];
