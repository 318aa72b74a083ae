//! Arithmetic over integers, floats and numerics.

use super::{Table, kernel};
use crate::error::EvalError;
use hw_types::numeric::Numeric;

type Result<T> = std::result::Result<T, EvalError>;

/// SQL names of the integer types, as messages call them.
pub(crate) const SMALLINT: &str = "smallint";
pub(crate) const INTEGER: &str = "integer";
pub(crate) const BIGINT: &str = "bigint";

/// An integer type's bounds.
pub(crate) trait Width {
    const NAME: &'static str;
    const MIN: i128;
    const MAX: i128;
    const BITS: u32;
}

macro_rules! width {
    ($($marker:ident $ty:ty, $name:expr;)*) => {$(
        pub(crate) struct $marker;
        impl Width for $marker {
            const NAME: &'static str = $name;
            const MIN: i128 = <$ty>::MIN as i128;
            const MAX: i128 = <$ty>::MAX as i128;
            const BITS: u32 = <$ty>::BITS;
        }
    )*};
}
width! {
    Int2 i16, SMALLINT; Int4 i32, INTEGER; Int8 i64, BIGINT;
    Uint2 u16, "uint2"; Uint4 u32, "uint4"; Uint8 u64, "uint8";
}

/// The value where it fits a type that lies within `i64`.
#[inline]
pub(crate) fn fit<W: Width>(value: i64) -> Result<i64> {
    let wide = i128::from(value);
    if wide < W::MIN || wide > W::MAX { Err(EvalError::beyond(value, W::NAME)) } else { Ok(value) }
}

/// The result of an operation on `a`, where it fits; the message names `a`.
#[inline]
fn fit_unary<W: Width>(a: i64, value: Option<i64>) -> Result<i64> {
    value.and_then(within::<W>).ok_or_else(|| EvalError::beyond(a, W::NAME))
}

#[inline]
fn within<W: Width>(value: i64) -> Option<i64> {
    let wide = i128::from(value);
    (wide >= W::MIN && wide <= W::MAX).then_some(value)
}

/// The sum, difference or product that `value` is, where it fits.
#[inline]
fn fit_result<W: Width>(value: Option<i64>) -> Result<i64> {
    value.and_then(within::<W>).ok_or(EvalError::FieldOverflow)
}

/// As [`fit_result`] for subtraction: unsigned differences name their operands.
#[inline]
fn fit_difference<W: Width>(a: i64, b: i64) -> Result<i64> {
    match a.checked_sub(b).and_then(within::<W>) {
        Some(value) => Ok(value),
        None if W::MIN == 0 => Err(EvalError::beyond(format_args!("{a} - {b}"), W::NAME)),
        None => Err(EvalError::FieldOverflow),
    }
}

#[inline]
fn fit_u64(value: Option<u64>) -> Result<u64> {
    value.ok_or(EvalError::FieldOverflow)
}

fn divide<W: Width>(a: i64, b: i64) -> Result<i64> {
    if b == 0 {
        return Err(EvalError::DivisionByZero);
    }
    let quotient = a.checked_div(b).and_then(within::<W>);
    quotient.ok_or_else(|| EvalError::beyond(format_args!("{a} / {b}"), W::NAME))
}

fn modulo(a: i64, b: i64) -> Result<i64> {
    if b == 0 { Err(EvalError::DivisionByZero) } else { Ok(a.wrapping_rem(b)) }
}

/// Shifts as the hardware does, within the type's width, and keeps its sign.
fn shift<W: Width>(value: i64, by: i64, left: bool) -> i64 {
    let by = (by as u32) % W::BITS.max(32);
    let bits = if left { value.wrapping_shl(by) } else { value.wrapping_shr(by) };
    if by >= W::BITS && left {
        return 0;
    }
    match (W::BITS, W::MIN == 0) {
        (16, false) => i64::from(bits as i16),
        (16, true) => i64::from(bits as u16),
        (32, false) => i64::from(bits as i32),
        (32, true) => i64::from(bits as u32),
        _ => bits,
    }
}

/// A float's result: overflow and underflow are errors where the operands do not explain them.
fn float8(value: f64, overflow_ok: bool, underflow_ok: bool) -> Result<f64> {
    if value.is_infinite() && !overflow_ok {
        return Err(EvalError::FloatOverflow);
    }
    if value == 0.0 && !underflow_ok {
        return Err(EvalError::FloatUnderflow);
    }
    Ok(value)
}

fn float4(value: f32, overflow_ok: bool, underflow_ok: bool) -> Result<f32> {
    if value.is_infinite() && !overflow_ok {
        return Err(EvalError::FloatOverflow);
    }
    if value == 0.0 && !underflow_ok {
        return Err(EvalError::FloatUnderflow);
    }
    Ok(value)
}

macro_rules! float_ops {
    ($check:ident, $ty:ty, $add:literal, $sub:literal, $mul:literal, $div:literal, $mod:literal) => {
        &[
            kernel!($add, |a: $ty, b: $ty| $check(a + b, a.is_infinite() || b.is_infinite(), true)),
            kernel!($sub, |a: $ty, b: $ty| $check(a - b, a.is_infinite() || b.is_infinite(), true)),
            kernel!($mul, |a: $ty, b: $ty| {
                $check(a * b, a.is_infinite() || b.is_infinite(), a == 0.0 || b == 0.0)
            }),
            kernel!($div, |a: $ty, b: $ty| {
                if b == 0.0 && !a.is_nan() {
                    Err(EvalError::DivisionByZero)
                } else {
                    $check(a / b, a.is_infinite(), a == 0.0 || b.is_infinite())
                }
            }),
            kernel!($mod, |a: $ty, b: $ty| {
                if b == 0.0 { Err(EvalError::DivisionByZero) } else { Ok(a % b) }
            }),
        ]
    };
}

macro_rules! int_ops {
    ($W:ident, $t:literal) => {
        &[
            kernel!(concat!("add_", $t, "_", $t), |a: i64, b: i64| fit_result::<$W>(a.checked_add(b))),
            kernel!(concat!("sub_", $t, "_", $t), |a: i64, b: i64| fit_difference::<$W>(a, b)),
            kernel!(concat!("mul_", $t, "_", $t), |a: i64, b: i64| fit_result::<$W>(a.checked_mul(b))),
            kernel!(concat!("div_", $t, "_", $t), |a: i64, b: i64| divide::<$W>(a, b)),
            kernel!(concat!("mod_", $t, "_", $t), |a: i64, b: i64| modulo(a, b)),
            kernel!(concat!("bit_and_", $t, "_", $t), |a: i64, b: i64| Ok::<_, EvalError>(a & b)),
            kernel!(concat!("bit_or_", $t, "_", $t), |a: i64, b: i64| Ok::<_, EvalError>(a | b)),
            kernel!(concat!("bit_xor_", $t, "_", $t), |a: i64, b: i64| Ok::<_, EvalError>(a ^ b)),
        ]
    };
}

macro_rules! signed_ops {
    ($W:ident, $t:literal) => {
        &[
            kernel!(concat!("neg_", $t), |a: i64| fit_unary::<$W>(a, a.checked_neg())),
            kernel!(concat!("abs_", $t), |a: i64| fit_unary::<$W>(a, a.checked_abs())),
            kernel!(concat!("bit_not_", $t), |a: i64| Ok::<_, EvalError>(!a)),
            kernel!(concat!("shift_left_", $t, "_int4"), |a: i64, b: i64| {
                Ok::<_, EvalError>(shift::<$W>(a, b, true))
            }),
            kernel!(concat!("shift_right_", $t, "_int4"), |a: i64, b: i64| {
                Ok::<_, EvalError>(shift::<$W>(a, b, false))
            }),
        ]
    };
}

macro_rules! small_unsigned_ops {
    ($W:ident, $t:literal) => {
        &[
            kernel!(concat!("bit_not_", $t), |a: i64| Ok::<_, EvalError>(!a & $W::MAX as i64)),
            kernel!(concat!("shift_left_", $t, "_uint4"), |a: i64, b: i64| {
                Ok::<_, EvalError>(shift::<$W>(a, b, true))
            }),
            kernel!(concat!("shift_right_", $t, "_uint4"), |a: i64, b: i64| {
                Ok::<_, EvalError>(shift::<$W>(a, b, false))
            }),
        ]
    };
}

pub(super) const KERNELS: &[Table] = &[
    int_ops!(Int2, "int2"),
    int_ops!(Int4, "int4"),
    int_ops!(Int8, "int8"),
    int_ops!(Uint2, "uint2"),
    int_ops!(Uint4, "uint4"),
    signed_ops!(Int2, "int2"),
    signed_ops!(Int4, "int4"),
    signed_ops!(Int8, "int8"),
    small_unsigned_ops!(Uint2, "uint2"),
    small_unsigned_ops!(Uint4, "uint4"),
    float_ops!(
        float4,
        f32,
        "add_float4_float4",
        "sub_float4_float4",
        "mul_float4_float4",
        "div_float4_float4",
        "mod_float4_float4"
    ),
    float_ops!(
        float8,
        f64,
        "add_float8_float8",
        "sub_float8_float8",
        "mul_float8_float8",
        "div_float8_float8",
        "mod_float8_float8"
    ),
    OTHERS,
];

const OTHERS: Table = &[
    kernel!("add_uint8_uint8", |a: u64, b: u64| fit_u64(a.checked_add(b))),
    kernel!("sub_uint8_uint8", |a: u64, b: u64| {
        a.checked_sub(b).ok_or_else(|| EvalError::beyond(format_args!("{a} - {b}"), Uint8::NAME))
    }),
    kernel!("mul_uint8_uint8", |a: u64, b: u64| fit_u64(a.checked_mul(b))),
    kernel!("div_uint8_uint8", |a: u64, b: u64| a.checked_div(b).ok_or(EvalError::DivisionByZero)),
    kernel!("mod_uint8_uint8", |a: u64, b: u64| a.checked_rem(b).ok_or(EvalError::DivisionByZero)),
    kernel!("bit_and_uint8_uint8", |a: u64, b: u64| Ok::<_, EvalError>(a & b)),
    kernel!("bit_or_uint8_uint8", |a: u64, b: u64| Ok::<_, EvalError>(a | b)),
    kernel!("bit_xor_uint8_uint8", |a: u64, b: u64| Ok::<_, EvalError>(a ^ b)),
    kernel!("bit_not_uint8", |a: u64| Ok::<_, EvalError>(!a)),
    kernel!("shift_left_uint8_uint4", |a: u64, b: u64| Ok::<_, EvalError>(a.wrapping_shl(b as u32))),
    kernel!("shift_right_uint8_uint4", |a: u64, b: u64| Ok::<_, EvalError>(a.wrapping_shr(b as u32))),
    kernel!("neg_float4", |a: f32| Ok::<_, EvalError>(-a)),
    kernel!("neg_float8", |a: f64| Ok::<_, EvalError>(-a)),
    kernel!("abs_float4", |a: f32| Ok::<_, EvalError>(a.abs())),
    kernel!("abs_float8", |a: f64| Ok::<_, EvalError>(a.abs())),
    kernel!("add_numeric_numeric", |a: Numeric, b: Numeric| a.add(&b)),
    kernel!("sub_numeric_numeric", |a: Numeric, b: Numeric| a.sub(&b)),
    kernel!("mul_numeric_numeric", |a: Numeric, b: Numeric| a.mul(&b)),
    kernel!("div_numeric_numeric", |a: Numeric, b: Numeric| a.div(&b)),
    kernel!("mod_numeric_numeric", |a: Numeric, b: Numeric| a.rem(&b)),
    kernel!("neg_numeric", |a: Numeric| Ok::<_, EvalError>(a.negated())),
    kernel!("abs_numeric", |a: Numeric| Ok::<_, EvalError>(a.abs())),
];
