//! Functions over floats and numerics.

use super::{Table, kernel};
use crate::error::EvalError;
use hw_types::numeric::Numeric;
use num_bigint::{BigInt, BigUint, Sign};

type Result<T> = std::result::Result<T, EvalError>;

const OK: fn(f64) -> Result<f64> = Ok;

fn finite(name: &str, x: f64, f: impl FnOnce(f64) -> f64) -> Result<f64> {
    if x.is_infinite() { Err(EvalError::infinite(name)) } else { Ok(f(x)) }
}

fn within(name: &str, x: f64, range: &str, ok: bool, f: impl FnOnce(f64) -> f64) -> Result<f64> {
    if ok || x.is_nan() {
        return Ok(f(x));
    }
    Err(EvalError::raise("22003", format!("function {name} is defined for numbers {range}")))
}

const UNIT_INTERVAL: &str = "between -1 and 1 inclusive";

fn positive(name: &str, x: f64, f: impl FnOnce(f64) -> f64) -> Result<f64> {
    if x == 0.0 {
        return Err(log_of_zero(name));
    }
    if x < 0.0 {
        return Err(log_of_negative(name));
    }
    Ok(f(x))
}

fn log_of_zero(name: &str) -> EvalError {
    EvalError::raise("2201E", format!("function {name} is not defined for zero"))
}

fn log_of_negative(name: &str) -> EvalError {
    EvalError::raise("2201E", format!("function {name} is not defined for negative numbers"))
}

fn root_of_negative() -> EvalError {
    EvalError::raise("2201F", "cannot take square root of a negative number")
}

fn zero_to_negative() -> EvalError {
    EvalError::raise("2201F", "zero raised to a negative power is undefined")
}

fn complex() -> EvalError {
    EvalError::raise("2201F", "function pow cannot return complex numbers")
}

fn float_exp(x: f64) -> Result<f64> {
    let value = x.exp();
    if value.is_infinite() && x.is_finite() {
        return Err(EvalError::FloatOverflow);
    }
    if value == 0.0 && x.is_finite() {
        return Err(EvalError::FloatUnderflow);
    }
    Ok(value)
}

fn float_power(x: f64, y: f64) -> Result<f64> {
    if x == 0.0 && y < 0.0 {
        return Err(zero_to_negative());
    }
    if x < 0.0 && y.is_finite() && y != y.trunc() {
        return Err(complex());
    }
    let value = x.powf(y);
    if value.is_infinite() && x.is_finite() && y.is_finite() {
        return Err(EvalError::FloatOverflow);
    }
    if value == 0.0 && x.is_finite() && y.is_finite() && x != 0.0 {
        return Err(EvalError::FloatUnderflow);
    }
    Ok(value)
}

pub(super) const KERNELS: Table = &[
    kernel!("ceil_float4", |a: f32| Ok::<_, EvalError>(a.ceil())),
    kernel!("ceil_float8", |a: f64| OK(a.ceil())),
    kernel!("ceil_numeric", |a: Numeric| a.ceil()),
    kernel!("floor_float4", |a: f32| Ok::<_, EvalError>(a.floor())),
    kernel!("floor_float8", |a: f64| OK(a.floor())),
    kernel!("floor_numeric", |a: Numeric| a.floor()),
    kernel!("round_float4", |a: f32| Ok::<_, EvalError>(a.round_ties_even())),
    kernel!("round_float8", |a: f64| OK(a.round_ties_even())),
    kernel!("round_numeric", |a: Numeric| a.round(0)),
    kernel!("round_numeric_int4", |a: Numeric, b: i64| a.round(b.clamp(-80, 80) as i32)),
    kernel!("trunc_float4", |a: f32| Ok::<_, EvalError>(a.trunc())),
    kernel!("trunc_float8", |a: f64| OK(a.trunc())),
    kernel!("trunc_numeric", |a: Numeric| a.trunc(0)),
    kernel!("sqrt_float8", |a: f64| if a < 0.0 { Err(root_of_negative()) } else { Ok(a.sqrt()) }),
    kernel!("sqrt_numeric", |a: Numeric| sqrt(&a)),
    kernel!("cbrt_float8", |a: f64| OK(a.cbrt())),
    kernel!("exp_float8", |a: f64| float_exp(a)),
    kernel!("exp_numeric", |a: Numeric| exp(&a)),
    kernel!("ln_float8", |a: f64| positive("ln", a, f64::ln)),
    kernel!("ln_numeric", |a: Numeric| ln(&a)),
    kernel!("log10_float8", |a: f64| positive("log10", a, f64::log10)),
    kernel!("log10_numeric", |a: Numeric| log("log10", &Numeric::from(10i64), &a)),
    kernel!("log_numeric_numeric", |a: Numeric, b: Numeric| log("log", &a, &b)),
    kernel!("power_float8_float8", |a: f64, b: f64| float_power(a, b)),
    kernel!("power_numeric_numeric", |a: Numeric, b: Numeric| power(&a, &b)),
    kernel!("degrees_float8", |a: f64| OK(a.to_degrees())),
    kernel!("radians_float8", |a: f64| OK(a.to_radians())),
    kernel!("sin_float8", |a: f64| finite("sin", a, f64::sin)),
    kernel!("cos_float8", |a: f64| finite("cos", a, f64::cos)),
    kernel!("tan_float8", |a: f64| finite("tan", a, f64::tan)),
    kernel!("cot_float8", |a: f64| finite("cot", a, |x| 1.0 / x.tan())),
    kernel!("asin_float8", |a: f64| within("asin", a, UNIT_INTERVAL, a.abs() <= 1.0, f64::asin)),
    kernel!("acos_float8", |a: f64| within("acos", a, UNIT_INTERVAL, a.abs() <= 1.0, f64::acos)),
    kernel!("atan_float8", |a: f64| OK(a.atan())),
    kernel!("sinh_float8", |a: f64| OK(a.sinh())),
    kernel!("cosh_float8", |a: f64| OK(a.cosh())),
    kernel!("tanh_float8", |a: f64| OK(a.tanh())),
    kernel!("asinh_float8", |a: f64| OK(a.asinh())),
    kernel!("acosh_float8", |a: f64| within("acosh", a, "greater than or equal to 1", a >= 1.0, f64::acosh)),
    kernel!("atanh_float8", |a: f64| within("atanh", a, UNIT_INTERVAL, a.abs() <= 1.0, f64::atanh)),
];

/// Digits after the point that intermediate results carry: twice what a numeric keeps.
const SCALE: u32 = 80;

fn unit() -> BigInt {
    BigInt::from(10u8).pow(SCALE)
}

fn scaled(value: &Numeric) -> BigInt {
    let shift = value.exponent() + SCALE as i32;
    value.signed_coefficient() * BigInt::from(10u8).pow(shift.max(0).unsigned_abs())
}

fn unscaled(value: BigInt) -> Result<Numeric> {
    Ok(Numeric::from_bigint(value, -(SCALE as i32))?)
}

/// The square root, to 39 digits.
pub(crate) fn sqrt(value: &Numeric) -> Result<Numeric> {
    if value.is_negative() {
        return Err(root_of_negative());
    }
    if !value.is_finite() || value.is_zero() {
        return Ok(*value);
    }
    // An even shift makes the root's exponent whole; one digit marks an inexact root.
    let mut shift = 2 * SCALE as i32 - value.exponent();
    shift += shift % 2;
    let scale = (value.exponent() + shift) as u32;
    let radicand = value.big_coefficient() * BigUint::from(10u8).pow(scale);
    let root = radicand.sqrt();
    let exact = &root * &root == radicand;
    let marked = root * 10u8 + u8::from(!exact);
    Ok(Numeric::from_big(false, marked, -shift / 2 - 1)?)
}

/// `e^r` for a small `r`, both scaled.
fn exp_scaled(r: &BigInt) -> BigInt {
    // Halve until the series converges fast, and square back.
    const HALVINGS: u32 = 16;
    let unit = unit();
    let small = r >> HALVINGS;
    let (mut sum, mut term) = (unit.clone(), unit.clone());
    for n in 1u32.. {
        term = term * &small / &unit / n;
        if term.sign() == Sign::NoSign {
            break;
        }
        sum += &term;
    }
    for _ in 0..HALVINGS {
        sum = &sum * &sum / &unit;
    }
    sum
}

/// The natural logarithm of a positive scaled number.
fn ln_scaled(x: &BigInt) -> BigInt {
    // Roots bring it near one, where the series of atanh gains many digits a term.
    const ROOTS: u32 = 10;
    let unit = unit();
    let mut near = x.clone();
    for _ in 0..ROOTS {
        near = (near * &unit).sqrt();
    }
    let z = (&near - &unit) * &unit / (&near + &unit);
    let square = &z * &z / &unit;
    let (mut sum, mut power) = (BigInt::ZERO, z);
    for n in (1u32..).step_by(2) {
        let term = &power / n;
        if term.sign() == Sign::NoSign {
            break;
        }
        sum += term;
        power = power * &square / &unit;
    }
    sum << (ROOTS + 1)
}

fn ln10() -> &'static BigInt {
    static LN10: std::sync::OnceLock<BigInt> = std::sync::OnceLock::new();
    LN10.get_or_init(|| ln_scaled(&(unit() * 10)))
}

/// The natural logarithm, scaled, of a positive number.
fn ln_of(value: &Numeric) -> BigInt {
    let magnitude = value.magnitude();
    let shift = SCALE as i32 + value.exponent() - magnitude;
    let mantissa = value.signed_coefficient() * BigInt::from(10u8).pow(shift.unsigned_abs());
    ln_scaled(&mantissa) + ln10() * magnitude
}

fn check_log(name: &str, value: &Numeric) -> Result<()> {
    match (value.is_zero(), value.is_negative()) {
        (true, _) => Err(log_of_zero(name)),
        (_, true) => Err(log_of_negative(name)),
        _ => Ok(()),
    }
}

fn ln(value: &Numeric) -> Result<Numeric> {
    check_log("ln", value)?;
    if value.is_finite() { unscaled(ln_of(value)) } else { Ok(*value) }
}

/// The logarithm to a base, by the function that messages call `name`.
fn log(name: &str, base: &Numeric, value: &Numeric) -> Result<Numeric> {
    check_log(name, base)?;
    check_log(name, value)?;
    if !base.is_finite() || !value.is_finite() {
        return Ok(value.div(base)?);
    }
    let divisor = ln_of(base);
    if divisor.sign() == Sign::NoSign {
        return Err(EvalError::DivisionByZero);
    }
    // Rounding to 60 digits first makes whole results whole.
    let quotient = ln_of(value) * unit() / divisor;
    let coarse = BigInt::from(10u8).pow(20);
    let half = &coarse / 2 * if quotient.sign() == Sign::Minus { -1 } else { 1 };
    unscaled((quotient + half) / &coarse * coarse)
}

/// `e^x` of a scaled number.
fn exp_of(x: &BigInt) -> Result<Numeric> {
    // x = k·ln 10 + r: the power of ten becomes the exponent.
    let k = x / ln10();
    let r = x - &k * ln10();
    let k = i32::try_from(&k).map_err(|_| match x.sign() {
        Sign::Minus => EvalError::FloatUnderflow,
        _ => EvalError::FloatOverflow,
    })?;
    let value = exp_scaled(&r);
    Ok(Numeric::from_bigint(value, k - SCALE as i32)?)
}

fn exp(value: &Numeric) -> Result<Numeric> {
    match (value.is_finite(), value.is_negative()) {
        (true, _) => exp_of(&scaled(value)),
        (false, true) => Ok(Numeric::ZERO),
        (false, false) => Ok(*value),
    }
}

fn power(base: &Numeric, exponent: &Numeric) -> Result<Numeric> {
    let one = Numeric::from(1i64);
    if exponent.is_zero() || *base == one {
        return Ok(one);
    }
    if base.is_zero() {
        return if exponent.is_negative() { Err(zero_to_negative()) } else { Ok(Numeric::ZERO) };
    }
    let nan = *base == Numeric::NAN || *exponent == Numeric::NAN;
    if nan || !base.is_finite() || !exponent.is_finite() {
        let value = base.to_f64().powf(exponent.to_f64());
        return Ok(Numeric::from_f64(value, 15)?);
    }
    let whole = exponent.scale() == 0;
    if base.is_negative() && !whole {
        return Err(complex());
    }
    if whole && let Some(times) = exponent.to_i128().filter(|n| n.unsigned_abs() <= 1024) {
        return power_whole(base, times);
    }
    let odd = whole && exponent.to_i128().is_some_and(|n| n % 2 != 0);
    let value = exp_of(&(ln_of(&base.abs()) * scaled(exponent) / unit()))?;
    Ok(if base.is_negative() && odd { value.negated() } else { value })
}

/// Exact multiplication, rounded once at the end.
fn power_whole(base: &Numeric, times: i128) -> Result<Numeric> {
    let count = times.unsigned_abs() as u32;
    let coefficient = base.signed_coefficient().pow(count);
    let exponent = base.exponent() * count as i32;
    if times > 0 {
        return Ok(Numeric::from_bigint(coefficient, exponent)?);
    }
    // A reciprocal with twice the digits, plus those of the divisor.
    let negative = coefficient.sign() == Sign::Minus;
    let divisor = coefficient.into_parts().1;
    let digits = divisor.to_str_radix(10).len() as u32 + SCALE;
    let quotient = BigUint::from(10u8).pow(digits) / divisor;
    Ok(Numeric::from_big(negative, quotient, -exponent - digits as i32)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Numeric {
        Numeric::parse(text).expect("a number")
    }

    #[test]
    fn known_constants_to_39_digits() {
        // Source: OEIS A001113 (e), A002392 (ln 10), A002193 (sqrt 2).
        assert_eq!(exp(&n("1")), Ok(n("2.71828182845904523536028747135266249776")));
        assert_eq!(ln(&n("10")), Ok(n("2.30258509299404568401799145468436420760")));
        assert_eq!(sqrt(&n("2")), Ok(n("1.41421356237309504880168872420969807857")));
        assert_eq!(sqrt(&n("1.44")), Ok(n("1.2")));
        assert_eq!(sqrt(&n("400")), Ok(n("20")));
        assert_eq!(log("log", &n("10"), &n("1000")), Ok(n("3")));
        assert_eq!(log("log", &n("2"), &n("64")), Ok(n("6")));
        assert_eq!(power(&n("2"), &n("100")), Ok(n("1267650600228229401496703205376")));
        assert_eq!(power(&n("2"), &n("-2")), Ok(n("0.25")));
        assert_eq!(power(&n("2"), &n("0.5")), Ok(n("1.41421356237309504880168872420969807857")));
        assert_eq!(exp(&n("-1")), Ok(n("0.367879441171442321595523770161460867446")));
    }

    #[test]
    fn undefined_results_are_errors() {
        assert_eq!(power(&n("0"), &n("-1")), Err(zero_to_negative()));
        assert_eq!(power(&n("-2"), &n("0.5")), Err(complex()));
        assert_eq!(ln(&n("0")), Err(log_of_zero("ln")));
        assert_eq!(exp(&n("1000")), Err(EvalError::NumericOverflow));
        assert_eq!(float_exp(1000.0), Err(EvalError::FloatOverflow));
    }
}
